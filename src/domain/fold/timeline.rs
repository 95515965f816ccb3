//! The state of one receipt after each of its entries.

use super::Around;
use super::order;
use super::proposal::ProposalState;
use super::receipt::{Folding, Receipt, Step};
use crate::domain::chain::Link;
use crate::domain::fact::data::CloseStatus;
use crate::domain::ids::{Oid, OidMap, OidSet, ReceiptId, Timestamp};

/// A receipt right after one of its entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The receipt that the entry is about: for a fork, first those that it continues from.
    pub receipt: ReceiptId,
    /// The entry.
    pub step: Step,
    /// How and when the receipt had been closed by then.
    pub closed: Option<(CloseStatus, Timestamp)>,
    /// The commits that it was bound to.
    pub bound: Vec<Oid>,
    /// Its proposals as they stood.
    pub proposals: Vec<ProposalState>,
}

/// The state of a receipt after every entry that counts, in order; none where nothing sound opened it.
///
/// The same rules and the same order as in [`fold`](super::fold()): the last moment is the state that it gives.
pub fn timeline(
    links: &OidMap<Link>,
    known: &OidSet,
    strangers: &OidSet,
    around: &Around<'_>,
    receipt: &Receipt,
) -> Vec<Moment> {
    let all: OidSet = known.union(strangers).copied().collect();
    let order = order::order(links, &all);
    let mut moments = Vec::new();
    super::in_worlds(&order.entries, strangers, around, |world, stranger| {
        if stranger != receipt.known
            && let Some(folding) = world.receipts.get(&receipt.id)
        {
            add_moments(folding, around, &mut moments);
        }
    });
    moments
}

fn add_moments(folding: &Folding<'_>, around: &Around<'_>, moments: &mut Vec<Moment>) {
    if let Some(before) = folding.inherited().and_then(|inherited| inherited.state()) {
        add_moments(before, around, moments);
    }
    let mut state = folding.begun();
    let mut proposals = Vec::new();
    let moment = |state: &Folding<'_>, step: &Step, proposals: &[ProposalState]| {
        let (closed, bound) = state.closed_and_bound();
        let proposals = proposals.to_vec();
        Moment { receipt: state.id(), step: step.clone(), closed, bound: bound.to_vec(), proposals }
    };
    moments.extend(state.steps().iter().map(|step| moment(&state, step, &[])));
    for placed in folding.tried() {
        let before = state.steps().len();
        // What is wrong with an entry is a finding of the fold.
        drop(state.add(placed, around));
        if placed.entry.body.fact.decides() {
            proposals = state.clone().finish(around).proposals;
        }
        moments.extend(state.steps()[before..].iter().map(|step| moment(&state, step, &proposals)));
    }
}
