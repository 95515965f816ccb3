//! The state of one receipt after each of its entries.

use super::Around;
use super::order;
use super::proposal::Standing;
use super::receipt::{Folding, Receipt, Step};
use crate::domain::chain::Link;
use crate::domain::fact::data::CloseStatus;
use crate::domain::ids::{Oid, OidMap, OidSet, ReceiptId, Timestamp};

/// A receipt right after one of its entries.
pub struct Moment<'m> {
    /// The receipt that the entry is about: for a fork, first those that it continues from.
    pub receipt: ReceiptId,
    /// The entry.
    pub step: &'m Step,
    /// How and when the receipt had been closed by then.
    pub closed: Option<(CloseStatus, Timestamp)>,
    /// The commits that it was bound to.
    pub bound: &'m [Oid],
    /// Where its change stood, by the newest revision.
    pub proposal: Option<&'m Standing<'m>>,
}

/// Tells the state of a receipt after every entry that counts, in order; nothing where nothing sound opened it.
///
/// The same rules and the same order as in [`fold`](super::fold()): the last moment is the state that it gives.
pub fn timeline(
    links: &OidMap<Link>,
    known: &OidSet,
    strangers: &OidSet,
    around: &Around<'_>,
    receipt: &Receipt,
    tell: &mut dyn FnMut(Moment<'_>),
) {
    let all: OidSet = known.union(strangers).copied().collect();
    let order = order::order(links, &all);
    super::in_worlds(&order.entries, strangers, around, |world, stranger| {
        if stranger != receipt.known
            && let Some(folding) = world.receipts.get(&receipt.id)
        {
            tell_moments(folding, around, tell);
        }
    });
}

fn tell_moments(folding: &Folding<'_>, around: &Around<'_>, tell: &mut dyn FnMut(Moment<'_>)) {
    if let Some(before) = folding.inherited().and_then(|inherited| inherited.state()) {
        tell_moments(before, around, tell);
    }
    let mut state = folding.begun();
    let mut proposal = None;
    let mut told = 0;
    let mut tell_new = |state: &Folding<'_>, proposal: Option<&Standing<'_>>| {
        let (closed, bound) = state.closed_and_bound();
        for step in &state.steps()[told..] {
            tell(Moment { receipt: state.id(), step, closed, bound, proposal });
        }
        told = state.steps().len();
    };
    tell_new(&state, None);
    for placed in folding.tried() {
        // What is wrong with an entry is a finding of the fold.
        drop(state.add(placed, around));
        if placed.entry.body.fact.decides() {
            proposal = state.proposes();
        }
        tell_new(&state, proposal.as_ref());
    }
}
