//! Forks: receipts that continue from an entry of another one.
//!
//! What a fork starts from is a function of its opening alone: the entries of the other receipt that its opening could
//! see, up to the one that it names, in their order. What arrives there later changes nothing in the fork. The fork
//! looks at what it inherited and has no say about it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Around;
use super::order::Placed;
use super::receipt::{Folding, Refusal, Step};
use crate::domain::fact::Fact;
use crate::domain::finding::Code;
use crate::domain::ids::{Digest, EntryRef, Oid, ReceiptId};

/// How many receipts a fork may continue from, one after the other. What stands in a line behind more inherits nothing.
pub const DEEPEST: usize = 256;

/// What a fork continues from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The receipt that holds the entry, as far as the fork may follow it: none where the entry is not here or of no
    /// receipt, or where its receipt was opened later or, for a fork that counts, by an unknown signer.
    pub receipt: Option<ReceiptId>,
    /// The entry.
    pub entry: EntryRef,
    /// How many receipts stand before the fork, one before the other.
    pub depth: usize,
    /// Nothing where one of the two receipts is a stranger's, or the line of forks is too long.
    before: Option<Arc<Before>>,
}

/// A receipt as forks found it. They share it, and what it was forked from itself.
#[derive(Debug, PartialEq)]
struct Before {
    steps: Vec<Step>,
    before: Option<Arc<Before>>,
}

impl Origin {
    /// The entries up to that one: those that the other receipt inherited itself first.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        let mut line: Vec<&Before> =
            std::iter::successors(self.before.as_deref(), |before| before.before.as_deref()).collect();
        line.reverse();
        line.into_iter().flat_map(|before| &before.steps)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.before.is_none()
    }
}

/// As [`Origin`], while it is being folded.
pub(super) struct Inherited<'a> {
    origin: Origin,
    /// The other receipt as it stood at the entry, without its steps.
    state: Option<Folding<'a>>,
}

impl<'a> Inherited<'a> {
    /// What the fork that `opening` opens inherits of `before`, which holds `entry`. Where that is not folded along with
    /// it, `receipt` alone is known.
    pub(super) fn new(
        entry: EntryRef,
        receipt: Option<ReceiptId>,
        before: Option<&Folding<'a>>,
        opening: &Placed<'_>,
        around: &Around<'_>,
    ) -> Self {
        let depth =
            before.map_or(0, |before| before.inherited().map_or(0, |inherited| inherited.origin.depth) + 1);
        let mut state =
            before.filter(|_| depth <= DEEPEST).map(|before| as_seen(before, entry, opening, around));
        let shared = state.as_mut().map(|state| {
            let before = state.inherited().and_then(|inherited| inherited.origin.before.clone());
            Arc::new(Before { steps: state.take_steps(), before })
        });
        Inherited { origin: Origin { receipt, entry, depth, before: shared }, state }
    }

    /// Whether more receipts stand before than may.
    pub(super) fn is_too_deep(&self) -> bool {
        self.origin.depth > DEEPEST
    }

    /// Whether a tree was kept in what was inherited.
    pub(super) fn kept(&self, tree: &Oid) -> bool {
        self.state.as_ref().is_some_and(|state| state.kept(tree))
    }

    /// The other receipt as it stood at the entry, to be told again from its beginning.
    pub(super) fn state(&self) -> Option<&Folding<'a>> {
        self.state.as_ref()
    }

    /// What the fork continues from.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
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
