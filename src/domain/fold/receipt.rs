//! One receipt: its state, and the moves that it allows.

use std::collections::{BTreeMap, BTreeSet};

use super::order::Placed;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{CloseStatus, LinesApplied, LinesDecided, Proposal};
use crate::domain::fact::values::LineSet;
use crate::domain::finding::Code;
use crate::domain::ids::{Digest, EntryRef, KeyId, Oid, ReceiptId, Timestamp};

/// A receipt after all its entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// Its id.
    pub id: ReceiptId,
    /// The key that opened it, in whichever of its chains.
    pub owner: KeyId,
    /// Whether that key is known.
    pub known: bool,
    /// The opening entry.
    pub opened: EntryRef,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// How and when it was closed.
    pub closed: Option<(CloseStatus, Timestamp)>,
    /// Every entry that counts, in order, the opening first.
    pub steps: Vec<Step>,
    /// Its proposals, one a revision, in order.
    pub proposals: Vec<ProposalState>,
    /// Commits it is bound to now, oldest binding first.
    pub bound: Vec<Oid>,
}

/// One entry of a receipt.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its commit.
    pub commit: Oid,
    /// Chain, seq and digest.
    pub entry: EntryRef,
    /// Whether it arrived after the receipt was closed.
    pub late: bool,
}

/// One revision of a proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct ProposalState {
    /// The entry that made it.
    pub entry: EntryRef,
    /// Its number, from 1.
    pub revision: u64,
    /// How many lines it has.
    pub count: u64,
    /// The revision that took its place.
    pub superseded_by: Option<Digest>,
    /// Which lines are in which state.
    pub lines: LineStates,
    /// The decisions that count, in order.
    pub decisions: Vec<Decided>,
}

/// The lines of a proposal by state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineStates {
    /// Accepted by somebody, rejected by nobody.
    pub accepted: LineSet,
    /// Rejected by somebody.
    pub rejected: LineSet,
    /// Landed.
    pub applied: LineSet,
}

/// A decision that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// Its entry.
    pub entry: EntryRef,
    /// Who decided.
    pub principal: String,
    /// Whether the lines were accepted.
    pub accepts: bool,
    /// Which lines.
    pub lines: LineSet,
}

/// Why an entry does not change the state.
pub(super) enum Refusal {
    /// Its writer could see that it may not.
    Illegal(Code, String),
    /// It lost a race.
    Late(String),
}

/// A receipt while it is being folded.
pub(super) struct Folding<'a> {
    state: Receipt,
    opening: &'a Placed<'a>,
    closing: Option<&'a Placed<'a>>,
    snapshots: BTreeSet<Oid>,
    proposals: BTreeMap<Digest, FoldingProposal<'a>>,
}

struct FoldingProposal<'a> {
    index: usize,
    superseded_by: Option<&'a Placed<'a>>,
    decisions: Vec<(&'a Placed<'a>, Decided)>,
    applied: Vec<(&'a Placed<'a>, LineSet)>,
}

impl<'a> Folding<'a> {
    pub(super) fn new(id: ReceiptId, opening: &'a Placed<'a>, known: bool) -> Self {
        let body = &opening.entry.body;
        let entry = opening.entry.reference();
        let state = Receipt {
            id,
            owner: body.signer.clone(),
            known,
            opened: entry,
            opened_at: body.time,
            closed: None,
            steps: vec![Step { commit: opening.link.commit, entry, late: false }],
            proposals: Vec::new(),
            bound: Vec::new(),
        };
        Folding { state, opening, closing: None, snapshots: BTreeSet::new(), proposals: BTreeMap::new() }
    }

    pub(super) fn owner(&self) -> &KeyId {
        &self.state.owner
    }

    pub(super) fn opening(&self) -> &'a Placed<'a> {
        self.opening
    }

    pub(super) fn finish(mut self) -> Receipt {
        for proposal in self.proposals.into_values() {
            let state = &mut self.state.proposals[proposal.index];
            let applied =
                proposal.applied.iter().fold(LineSet::default(), |all, (_, lines)| all.union(lines));
            let (accepted, rejected) = tally(proposal.decisions.iter().map(|(_, decided)| decided));
            state.lines = LineStates {
                accepted: accepted.minus(&applied),
                rejected: rejected.minus(&applied),
                applied,
            };
            state.superseded_by = proposal.superseded_by.map(|placed| placed.entry.digest);
            state.decisions = proposal.decisions.into_iter().map(|(_, decided)| decided).collect();
        }
        self.state
    }

    /// Adds an entry whose writer may state it.
    pub(super) fn add(
        &mut self,
        placed: &'a Placed<'a>,
        principal_of: &dyn Fn(&KeyId) -> String,
    ) -> Result<(), Refusal> {
        let body = &placed.entry.body;
        let mut late = false;
        if let Some(closing) = self.closing {
            match after_closing(&body.fact) {
                AfterClosing::Allowed => {}
                AfterClosing::ArrivesLate => late = true,
                AfterClosing::Never => {
                    let message = format!("`{}` after the receipt was closed", body.fact.kind());
                    return Err(refuse(placed, closing, Code::IllegalMove, message));
                }
            }
        }
        match &body.fact {
            Fact::ReceiptClosed(closed) => {
                self.state.closed = Some((closed.status, body.time));
                self.closing = Some(placed);
            }
            Fact::SnapshotTaken(snapshot) => drop(self.snapshots.insert(snapshot.worktree)),
            Fact::GateChecked(gate) => {
                let known_tree = gate.tree.as_bytes().iter().any(|byte| *byte != 0);
                if gate.dirty && known_tree && !self.snapshots.contains(&gate.tree) {
                    let message =
                        format!("gate on the dirty tree `{}` without its snapshot before", gate.tree);
                    return Err(Refusal::Illegal(Code::IllegalMove, message));
                }
            }
            Fact::ProposalMade(proposal) => self.propose(placed, proposal, false)?,
            Fact::ProposalRevised(proposal) => self.propose(placed, proposal, true)?,
            Fact::LinesAccepted(decided) => self.decide(placed, decided, true, principal_of)?,
            Fact::LinesRejected(decided) => self.decide(placed, decided, false, principal_of)?,
            Fact::LinesApplied(applied) => self.apply(placed, applied)?,
            Fact::CommitBound(bound) => self.bind(bound.commit),
            Fact::CommitRebound(rebound) => {
                self.state.bound.retain(|commit| *commit != rebound.from);
                self.bind(rebound.to);
            }
            _ => {}
        }
        self.state.steps.push(Step { commit: placed.link.commit, entry: placed.entry.reference(), late });
        Ok(())
    }

    fn bind(&mut self, commit: Oid) {
        if !self.state.bound.contains(&commit) {
            self.state.bound.push(commit);
        }
    }

    fn propose(&mut self, placed: &'a Placed<'a>, proposal: &Proposal, revises: bool) -> Result<(), Refusal> {
        let illegal = |message: String| Err(Refusal::Illegal(Code::IllegalMove, message));
        match (&proposal.replaces, revises) {
            (None, false) if proposal.revision == 1 => {}
            (None, false) => return illegal(format!("first revision has number {}", proposal.revision)),
            (Some(_), false) => return illegal("a new proposal replaces nothing".into()),
            (None, true) => return illegal("a revision must name what it replaces".into()),
            (Some(replaced), true) => {
                let Some(old) = self.proposals.get_mut(&replaced.digest()) else {
                    return illegal(format!("replaces `{}`, which is no proposal here", replaced.digest()));
                };
                if let Some(newer) = old.superseded_by {
                    let message = "replaces a revision that was replaced already".to_owned();
                    return Err(refuse(placed, newer, Code::Superseded, message));
                }
                let before = self.state.proposals[old.index].revision;
                if proposal.revision != before + 1 {
                    return illegal(format!("revision {} follows {before}", proposal.revision));
                }
                old.superseded_by = Some(placed);
            }
        }
        self.state.proposals.push(ProposalState {
            entry: placed.entry.reference(),
            revision: proposal.revision,
            count: proposal.lines.count,
            superseded_by: None,
            lines: LineStates::default(),
            decisions: Vec::new(),
        });
        let index = self.state.proposals.len() - 1;
        let fresh =
            FoldingProposal { index, superseded_by: None, decisions: Vec::new(), applied: Vec::new() };
        self.proposals.insert(placed.entry.digest, fresh);
        Ok(())
    }

    fn decide(
        &mut self,
        placed: &'a Placed<'a>,
        decided: &LinesDecided,
        accepts: bool,
        principal_of: &dyn Fn(&KeyId) -> String,
    ) -> Result<(), Refusal> {
        let proposal =
            on_proposal(&mut self.proposals, &self.state, placed, &decided.proposal, &decided.lines)?;
        if let Some(newer) = proposal.superseded_by {
            let message = "decides lines of a superseded revision".to_owned();
            return Err(refuse(placed, newer, Code::Superseded, message));
        }
        if let Some((application, _)) =
            proposal.applied.iter().find(|(_, lines)| lines.intersects(&decided.lines))
        {
            let message = "decides lines that were applied".to_owned();
            return Err(refuse(placed, application, Code::IllegalMove, message));
        }
        let decided = Decided {
            entry: placed.entry.reference(),
            principal: principal_of(&placed.entry.body.signer),
            accepts,
            lines: decided.lines.clone(),
        };
        proposal.decisions.push((placed, decided));
        Ok(())
    }

    fn apply(&mut self, placed: &'a Placed<'a>, applied: &LinesApplied) -> Result<(), Refusal> {
        let proposal =
            on_proposal(&mut self.proposals, &self.state, placed, &applied.proposal, &applied.lines)?;
        if let Some((other, _)) = proposal.applied.iter().find(|(_, lines)| lines.intersects(&applied.lines))
        {
            return Err(refuse(placed, other, Code::IllegalMove, "applies lines twice".into()));
        }
        let seen = proposal.decisions.iter().filter(|(decision, _)| placed.saw(decision));
        let (accepted, _) = tally(seen.map(|(_, decided)| decided));
        let unaccepted = applied.lines.minus(&accepted);
        if !unaccepted.is_empty() {
            let message = format!("applies lines {unaccepted}, which nobody accepted or somebody rejected");
            return Err(Refusal::Illegal(Code::IllegalMove, message));
        }
        proposal.applied.push((placed, applied.lines.clone()));
        self.bind(applied.commit);
        Ok(())
    }
}

/// Finds the proposal that an entry is about and checks that it has the lines.
fn on_proposal<'p, 'a>(
    proposals: &'p mut BTreeMap<Digest, FoldingProposal<'a>>,
    state: &Receipt,
    placed: &Placed<'_>,
    cited: &EntryRef,
    lines: &LineSet,
) -> Result<&'p mut FoldingProposal<'a>, Refusal> {
    let illegal = |message: String| Err(Refusal::Illegal(Code::IllegalMove, message));
    let Some(proposal) = proposals.get_mut(&cited.digest) else {
        return illegal(format!("`{}@{}` is no proposal of this receipt", cited.chain, cited.seq));
    };
    let made = &state.proposals[proposal.index];
    let own = placed.entry.body.chain == cited.chain;
    if made.entry != *cited || !(own || placed.entry.body.cites.contains(cited)) {
        return illegal(format!("does not cite the proposal at `{}@{}`", made.entry.chain, made.entry.seq));
    }
    match lines.last() {
        None => illegal("names no lines".into()),
        Some(last) if last > made.count => illegal(format!("line {last} of {} lines", made.count)),
        Some(_) => Ok(proposal),
    }
}

/// Accepted and rejected lines: each principal's latest word counts, and one rejection outweighs.
fn tally<'d>(decisions: impl Iterator<Item = &'d Decided>) -> (LineSet, LineSet) {
    let mut words: BTreeMap<&str, (LineSet, LineSet)> = BTreeMap::new();
    for decided in decisions {
        let (yes, no) = words.entry(&decided.principal).or_default();
        let (gains, loses) = if decided.accepts { (yes, no) } else { (no, yes) };
        *gains = gains.union(&decided.lines);
        *loses = loses.minus(&decided.lines);
    }
    let (mut accepted, mut rejected) = (LineSet::default(), LineSet::default());
    for (yes, no) in words.values() {
        accepted = accepted.union(yes);
        rejected = rejected.union(no);
    }
    (accepted.minus(&rejected), rejected)
}

/// Whether anything of this sort may be said of a closed receipt.
pub fn may_follow_closing(fact: &Fact) -> bool {
    !matches!(after_closing(fact), AfterClosing::Never)
}

/// Whether the owner may state a fact of work after closing, as something that arrives late.
pub fn may_come_late(fact: &Fact) -> bool {
    matches!(after_closing(fact), AfterClosing::ArrivesLate)
}

/// Illegal where the writer could see what stands in the way, late where it could not.
fn refuse(placed: &Placed<'_>, obstacle: &Placed<'_>, code: Code, message: String) -> Refusal {
    if placed.saw(obstacle) { Refusal::Illegal(code, message) } else { Refusal::Late(message) }
}

enum AfterClosing {
    Allowed,
    ArrivesLate,
    Never,
}

/// What may still be stated about a closed receipt.
fn after_closing(fact: &Fact) -> AfterClosing {
    match fact {
        Fact::ToolCalled(_)
        | Fact::RetrievalMade(_)
        | Fact::UsageCounted(_)
        | Fact::HumanAsked(_)
        | Fact::GuidanceGiven(_) => AfterClosing::ArrivesLate,
        Fact::ProposalRevised(_)
        | Fact::LinesAccepted(_)
        | Fact::LinesRejected(_)
        | Fact::LinesApplied(_)
        | Fact::CommitBound(_)
        | Fact::CommitRebound(_)
        | Fact::RollbackApplied(_)
        | Fact::ReplayChecked(_)
        | Fact::ArtifactPruned(_)
        | Fact::RemarkMade(_) => AfterClosing::Allowed,
        _ => AfterClosing::Never,
    }
}
