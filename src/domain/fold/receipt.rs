//! One receipt: its state, and the moves that it allows.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::Around;
use super::fork::{Inherited, Origin};
use super::order::Placed;
use super::proposal::{ProposalState, Proposals, Standing};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{CloseStatus, RollbackApplied};
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
    /// Commits that it was bound to until they were rewritten: in other histories they may still be.
    pub rewritten: Vec<Oid>,
    /// What it takes back of other receipts, in order.
    pub takes_back: Vec<Rollback>,
    /// What others take back of it, by when they were opened. Whether that holds in some history is for the history to
    /// say.
    pub taken_back: Vec<Rollback>,
    /// What it continues from, where it is a fork. Nothing of that stands in the fields above.
    pub origin: Option<Origin>,
}

/// One receipt takes back another, or some lines of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollback {
    /// The receipt that says so.
    pub by: ReceiptId,
    /// Its entry.
    pub entry: EntryRef,
    /// The receipt taken back, the lines, the commit and the trees.
    pub said: RollbackApplied,
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

/// Why an entry does not change the state.
pub(super) enum Refusal {
    /// Its writer could see that it may not.
    Illegal(Code, String),
    /// It lost a race.
    Late(String),
    /// It counts, and what would show that it may is not here.
    Unproven(String),
}

/// A receipt while it is being folded.
pub(super) struct Folding<'a> {
    state: Receipt,
    opening: &'a Placed<'a>,
    closing: Option<&'a Placed<'a>>,
    /// The trees that were kept, without those that a fork inherited.
    snapshots: BTreeSet<Oid>,
    proposals: Proposals<'a>,
    /// Every entry that its writer may state, in order, whether it counted or not.
    tried: Vec<&'a Placed<'a>>,
    /// What a fork continues from, shared with those that continue from it.
    inherited: Option<Rc<Inherited<'a>>>,
}

impl<'a> Folding<'a> {
    pub(super) fn new(
        id: ReceiptId,
        opening: &'a Placed<'a>,
        known: bool,
        inherited: Option<Rc<Inherited<'a>>>,
    ) -> Self {
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
            rewritten: Vec::new(),
            takes_back: Vec::new(),
            taken_back: Vec::new(),
            origin: None,
        };
        Folding {
            state,
            opening,
            closing: None,
            snapshots: BTreeSet::new(),
            proposals: Proposals::default(),
            tried: Vec::new(),
            inherited,
        }
    }

    pub(super) fn id(&self) -> ReceiptId {
        self.state.id
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.state.steps
    }

    pub(super) fn closed_and_bound(&self) -> (Option<(CloseStatus, Timestamp)>, &[Oid]) {
        (self.state.closed, &self.state.bound)
    }

    pub(super) fn tried(&self) -> &[&'a Placed<'a>] {
        &self.tried
    }

    /// Where the change stands that it proposes, by the newest revision.
    pub(super) fn proposes(&self) -> Option<Standing<'a>> {
        self.proposals.newest()
    }

    /// Whether a tree was kept before: what was kept for a receipt is kept for its forks as well.
    pub(super) fn kept(&self, tree: &Oid) -> bool {
        self.snapshots.contains(tree) || self.inherited.as_ref().is_some_and(|inherited| inherited.kept(tree))
    }

    /// Hands over its entries, once none is added any more.
    pub(super) fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.state.steps)
    }

    pub(super) fn inherited(&self) -> Option<&Inherited<'a>> {
        self.inherited.as_deref()
    }

    /// The receipt as it was when only its opening was there.
    pub(super) fn begun(&self) -> Folding<'a> {
        Folding::new(self.state.id, self.opening, self.state.known, self.inherited.clone())
    }

    pub(super) fn owner(&self) -> &KeyId {
        &self.state.owner
    }

    pub(super) fn opening(&self) -> &'a Placed<'a> {
        self.opening
    }

    /// Whether a proposal was made here.
    pub(super) fn proposed(&self, digest: &Digest) -> bool {
        self.proposals.has(digest)
    }

    /// Entries that counted until a later one turned out to have passed them over, each with what happened.
    pub(super) fn take_lost(&mut self) -> Vec<(&'a Placed<'a>, String)> {
        self.proposals.take_lost()
    }

    pub(super) fn finish(mut self) -> Receipt {
        self.state.proposals = self.proposals.finish();
        self.state.origin = self.inherited.map(|inherited| inherited.origin().clone());
        self.state
    }

    /// Adds an entry whose writer may state it.
    pub(super) fn add(&mut self, placed: &'a Placed<'a>, around: &Around<'_>) -> Result<(), Refusal> {
        self.tried.push(placed);
        let body = &placed.entry.body;
        if let Some(inherited) = &self.inherited {
            inherited.check_untouched(&body.fact)?;
        }
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
                if gate.dirty && known_tree && !self.kept(&gate.tree) {
                    let message =
                        format!("gate on the dirty tree `{}` without its snapshot before", gate.tree);
                    return Err(Refusal::Illegal(Code::IllegalMove, message));
                }
            }
            Fact::ProposalMade(proposal) => self.proposals.propose(placed, proposal, false, around)?,
            Fact::ProposalRevised(proposal) => self.proposals.propose(placed, proposal, true, around)?,
            Fact::LinesAccepted(decided) => self.proposals.decide(placed, decided, true, around)?,
            Fact::LinesRejected(decided) => self.proposals.decide(placed, decided, false, around)?,
            Fact::LinesApplied(applied) => {
                let applied_now = self.proposals.apply(placed, applied, around);
                if matches!(applied_now, Ok(()) | Err(Refusal::Unproven(_))) {
                    self.bind(applied.commit);
                }
                applied_now?;
            }
            Fact::RollbackApplied(said) => {
                if let Some(commit) = said.commit {
                    self.bind(commit);
                }
                let entry = placed.entry.reference();
                self.state.takes_back.push(Rollback { by: self.state.id, entry, said: said.clone() });
            }
            Fact::CommitBound(bound) => self.bind(bound.commit),
            Fact::CommitRebound(rebound) => {
                let bound = self.state.bound.len();
                self.state.bound.retain(|commit| *commit != rebound.from);
                if self.state.bound.len() < bound {
                    self.state.rewritten.push(rebound.from);
                }
                self.bind(rebound.to);
            }
            _ => {}
        }
        self.state.steps.push(Step { commit: placed.link.commit, entry: placed.entry.reference(), late });
        Ok(())
    }

    fn bind(&mut self, commit: Oid) {
        self.state.rewritten.retain(|known| *known != commit);
        if !self.state.bound.contains(&commit) {
            self.state.bound.push(commit);
        }
    }
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
pub(super) fn refuse(placed: &Placed<'_>, obstacle: &Placed<'_>, code: Code, message: String) -> Refusal {
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
