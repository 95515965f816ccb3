//! Forks: receipts that continue from an entry of another one.
//!
//! What a fork starts from is a function of its opening alone: the entries of the other receipt that its opening could
//! see, up to the one that it names, in their order. What arrives there later changes nothing in the fork. The fork
//! looks at what it inherited and has no say about it.

use std::collections::{HashMap, HashSet};

use super::Around;
use super::order::Placed;
use super::proposal::ProposalState;
use super::receipt::{Folding, Refusal, Step};
use crate::domain::fact::Fact;
use crate::domain::finding::Code;
use crate::domain::ids::{Digest, EntryRef, Oid, ReceiptId};

/// What a fork continues from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The receipt that holds the entry; none where the entry is not here, or of no receipt.
    pub receipt: Option<ReceiptId>,
    /// The entry.
    pub entry: EntryRef,
    /// The entries up to that one: those that the other receipt inherited itself first. Nothing where one of
    /// the two receipts is a stranger's.
    pub steps: Vec<Step>,
    /// Its proposals as they stood then, those that it inherited itself first.
    pub proposals: Vec<ProposalState>,
}

/// As [`Origin`], while it is being folded.
#[derive(Clone)]
pub(super) struct Inherited<'a> {
    receipt: Option<ReceiptId>,
    entry: EntryRef,
    /// The other receipt as it stood at the entry.
    state: Option<Folding<'a>>,
}

impl<'a> Inherited<'a> {
    /// What the fork that `opening` opens inherits of `origin`.
    pub(super) fn new(
        entry: EntryRef,
        receipt: Option<ReceiptId>,
        origin: Option<&Folding<'a>>,
        opening: &Placed<'_>,
        around: &Around<'_>,
    ) -> Self {
        Inherited { receipt, entry, state: origin.map(|origin| as_seen(origin, entry, opening, around)) }
    }

    pub(super) fn snapshots(&self) -> Vec<Oid> {
        self.state.iter().flat_map(|state| state.snapshots().iter().copied()).collect()
    }

    /// The other receipt as it stood at the entry.
    pub(super) fn state(&self) -> Option<&Folding<'a>> {
        self.state.as_ref()
    }

    /// Refuses what would decide about the receipt that was forked, or go on with a proposal of it.
    pub(super) fn check_untouched(&self, fact: &Fact) -> Result<(), Refusal> {
        let named = match fact {
            Fact::LinesAccepted(decided) | Fact::LinesRejected(decided) => Some(decided.proposal.digest),
            Fact::LinesApplied(applied) => Some(applied.proposal.digest),
            Fact::ProposalRevised(proposal) => proposal.replaces.map(|replaced| replaced.digest()),
            _ => None,
        };
        match named.and_then(|digest| self.proposed_in(&digest)) {
            Some(receipt) => {
                let message = format!(
                    "is about a proposal of receipt `{receipt}`, which it was forked from and has no say about"
                );
                Err(Refusal::Illegal(Code::IllegalMove, message))
            }
            None => Ok(()),
        }
    }

    /// The receipt before in which a proposal was made.
    fn proposed_in(&self, digest: &Digest) -> Option<ReceiptId> {
        let state = self.state.as_ref()?;
        match state.proposed(digest) {
            true => Some(state.id()),
            false => state.inherited()?.proposed_in(digest),
        }
    }

    pub(super) fn finish(self, around: &Around<'_>) -> Origin {
        let (mut steps, mut proposals) = (Vec::new(), Vec::new());
        if let Some(state) = self.state {
            let receipt = state.finish(around);
            if let Some(before) = receipt.origin {
                steps.extend(before.steps);
                proposals.extend(before.proposals);
            }
            steps.extend(receipt.steps);
            proposals.extend(receipt.proposals);
        }
        Origin { receipt: self.receipt, entry: self.entry, steps, proposals }
    }
}

/// A receipt after those of its entries that stand at or before `entry` and that the fork's opening could see.
fn as_seen<'a>(
    origin: &Folding<'a>,
    entry: EntryRef,
    opening: &Placed<'_>,
    around: &Around<'_>,
) -> Folding<'a> {
    let mut state = origin.begun();
    if origin.opening().entry.digest == entry.digest {
        return state;
    }
    for placed in origin.tried() {
        if opening.saw(placed) {
            // Whatever is wrong with it was said where it stands.
            drop(state.add(placed, around));
        }
        if placed.entry.digest == entry.digest {
            break;
        }
    }
    state.take_lost();
    state
}

/// The entries that forks continue from, as far as they are here, each with its receipt.
pub(super) fn origins(order: &[Placed<'_>]) -> HashMap<Digest, Option<ReceiptId>> {
    let forked = |placed: &Placed<'_>| match &placed.entry.body.fact {
        Fact::ReceiptOpened(opened) => opened.forked_from.map(|from| from.digest),
        _ => None,
    };
    let named: HashSet<Digest> = order.iter().filter_map(forked).collect();
    if named.is_empty() {
        return HashMap::new();
    }
    let here = order.iter().filter(|placed| named.contains(&placed.entry.digest));
    here.map(|placed| (placed.entry.digest, placed.entry.body.receipt)).collect()
}
