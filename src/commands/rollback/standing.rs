//! What a receipt put into a history, and what of that was taken back there since.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands::Context;
use crate::commands::proposal::Loaded;
use crate::commands::verify::Picture;
use crate::commands::verify_lines::Landed;
use crate::domain::fact::values::LineSet;
use crate::domain::fold::{ProposalState, Receipt, Rollback};
use crate::domain::ids::{Oid, ReceiptId};

/// A commit by which a receipt changed a history.
pub struct Piece<'p> {
    /// The commit.
    pub commit: Oid,
    /// The lines that landed in it, with their revision by its index; none where the commit counts as a whole.
    pub landed: Option<(usize, Landed<'p>)>,
    /// Whether it was taken back as a whole.
    pub gone: bool,
    /// The lines of it that were taken back one by one.
    pub back: LineSet,
}

impl Piece<'_> {
    /// Whether something of it was taken back.
    pub fn is_touched(&self) -> bool {
        self.gone || !self.back.is_empty()
    }

    /// Whether something of it is still there.
    pub fn stands(&self) -> bool {
        let lines_left =
            self.landed.as_ref().is_none_or(|(_, landed)| !landed.lines.minus(&self.back).is_empty());
        !self.gone && lines_left
    }
}

/// What a receipt put into the history of a commit, the newest first.
pub struct Standing<'p> {
    /// The receipt.
    pub receipt: &'p Receipt,
    /// Its commits in that history.
    pub pieces: Vec<Piece<'p>>,
    /// The receipts by which something of it was taken back there.
    pub by: Vec<ReceiptId>,
}

impl<'p> Standing<'p> {
    /// Finds it out for the history of `head`.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn of(ctx: &Context, picture: &'p Picture, receipt: &'p Receipt, head: Oid) -> anyhow::Result<Self> {
        Finder { ctx, picture, asked: BTreeSet::new() }.standing(receipt, head)
    }

    /// The newest revision of which something landed: the one that numbers of lines are of.
    pub fn revision(&self) -> Option<usize> {
        self.pieces.iter().filter_map(|piece| Some(piece.landed.as_ref()?.0)).max()
    }
}

struct Finder<'c, 'p> {
    ctx: &'c Context,
    picture: &'p Picture,
    /// The receipts that are being looked at: none can take back itself by way of others.
    asked: BTreeSet<ReceiptId>,
}

impl<'p> Finder<'_, 'p> {
    fn standing(&mut self, receipt: &'p Receipt, head: Oid) -> anyhow::Result<Standing<'p>> {
        let (mut pieces, mut by) = (self.pieces(receipt, head)?, Vec::new());
        if !pieces.is_empty() && self.asked.insert(receipt.id) {
            for rollback in &receipt.taken_back {
                if self.take_back(rollback, head, &mut pieces)? && !by.contains(&rollback.by) {
                    by.push(rollback.by);
                }
            }
            self.asked.remove(&receipt.id);
        }
        Ok(Standing { receipt, pieces, by })
    }

    /// The landings of a receipt in a history; where there are none, the commits that it is bound to, or was until they
    /// were rewritten elsewhere.
    fn pieces(&self, receipt: &'p Receipt, head: Oid) -> anyhow::Result<Vec<Piece<'p>>> {
        let mut landed = BTreeMap::new();
        for (at, mut landings) in self.ctx.landings(self.picture, receipt).into_iter().enumerate() {
            if landings.len() > 1
                && let Ok(loaded) = Loaded::read(&self.ctx.store, &receipt.proposals[at].made)
            {
                self.ctx.look_into_history(&loaded, &mut landings)?;
            }
            landed.extend(landings.into_iter().map(|one| (one.applied.commit, (at, one))));
        }
        let commits: Vec<Oid> = landed.keys().copied().collect();
        let mut there = self.ctx.store.newest_first(head, &commits)?;
        if there.is_empty() {
            let bound: Vec<Oid> = receipt.bound.iter().chain(&receipt.rewritten).copied().collect();
            there = self.ctx.store.newest_first(head, &bound)?;
        }
        let piece =
            |commit| Piece { commit, landed: landed.remove(&commit), gone: false, back: LineSet::default() };
        Ok(there.into_iter().map(piece).collect())
    }

    /// Notes what a rollback took back, if it is in the history and was not taken back itself, and says whether it is.
    fn take_back(
        &mut self,
        rollback: &'p Rollback,
        head: Oid,
        pieces: &mut [Piece<'p>],
    ) -> anyhow::Result<bool> {
        let Some(by) = self.picture.folded.receipt(rollback.by) else { return Ok(false) };
        let standing = self.standing(by, head)?;
        let did = |piece: &&Piece<'_>| match (rollback.said.commit, &piece.landed) {
            (Some(commit), Some(_)) => piece.commit == commit,
            // Proposed and accepted: then what landed does it, where all of it did.
            (None, Some((at, landed))) => landed.lines.len() == by.proposals[*at].made.lines.count,
            // Its own commit, what that was rewritten to, or the one that holds what was staged. Of what was proposed,
            // one that a landing was rewritten to.
            (_, None) => by.proposals.is_empty() || by.proposals.iter().any(ProposalState::is_all_applied),
        };
        let Some(done) = standing.pieces.iter().filter(did).find(|piece| piece.stands()) else {
            return Ok(false);
        };
        let commits: Vec<Oid> = pieces.iter().map(|piece| piece.commit).collect();
        let before: BTreeSet<Oid> = self.ctx.store.newest_first(done.commit, &commits)?.into_iter().collect();
        let mut met: Vec<&mut Piece<'_>> =
            pieces.iter_mut().filter(|piece| before.contains(&piece.commit)).collect();
        let Some(lines) = &rollback.said.lines else {
            met.iter_mut().for_each(|piece| piece.gone = true);
            return Ok(true);
        };
        let revision = met.iter().filter_map(|piece| Some(piece.landed.as_ref()?.0)).max();
        for piece in met {
            if let Some((at, landed)) = &piece.landed
                && Some(*at) == revision
            {
                piece.back = piece.back.union(&landed.lines.common(lines));
            }
        }
        Ok(true)
    }
}
