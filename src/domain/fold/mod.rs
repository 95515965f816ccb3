//! The fold: entries to the state of receipts, and the moves that are legal.
//!
//! Entries of known signers make the known receipts. Those of strangers are folded among themselves, so their
//! mistakes are found, and never change a known receipt. A move that is illegal given what its writer could
//! see is a finding; one that was legal there and lost a race is reported as late and changes nothing.

mod fork;
#[cfg(test)]
mod long;
mod order;
mod proposal;
mod receipt;
#[cfg(test)]
mod tests;
mod timeline;
mod work;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

pub use fork::{DEEPEST, Origin};
pub use order::{Pasts, Placed};
pub use proposal::{Decided, LineStates, ProposalState, Stage, Standing};
pub use receipt::{Receipt, Rollback, Step, may_come_late, may_follow_closing};
pub use timeline::{Moment, timeline};
pub use work::{GateWord, Tokens, Work};

use super::chain::Link;
use super::fact::Fact;
use super::fact::data::Proposal;
use super::finding::{Code, Finding};
use super::ids::{Digest, KeyId, OidMap, OidSet, ReceiptId};
use super::lines::Carried;
use fork::Inherited;
use receipt::Refusal;

/// All receipts.
#[derive(Debug, Default)]
pub struct Folded {
    /// Receipts opened by known signers.
    pub known: BTreeMap<ReceiptId, Receipt>,
    /// Receipts that only strangers opened.
    pub strangers: BTreeMap<ReceiptId, Receipt>,
    /// Illegal and late moves.
    pub findings: Vec<Finding>,
}

impl Folded {
    /// A receipt, whoever opened it.
    pub fn receipt(&self, id: ReceiptId) -> Option<&Receipt> {
        self.known.get(&id).or_else(|| self.strangers.get(&id))
    }

    /// What a receipt continues from, the nearest first: those of which it inherited entries.
    pub fn line_before(&self, receipt: &Receipt) -> Vec<&Receipt> {
        let before = |receipt: &Receipt| {
            let origin = receipt.origin.as_ref().filter(|origin| !origin.is_empty())?;
            self.receipt(origin.receipt?)
        };
        // No line leads back into itself, and whoever follows one need not know why.
        let mut met = HashSet::from([receipt.id]);
        std::iter::successors(before(receipt), |receipt| before(receipt))
            .take_while(|receipt| met.insert(receipt.id))
            .collect()
    }

    /// Every receipt, oldest first.
    pub fn receipts(&self) -> Vec<&Receipt> {
        let mut all: Vec<_> = self.known.values().chain(self.strangers.values()).collect();
        all.sort_by_key(|receipt| (receipt.opened_at, receipt.id));
        all
    }
}

/// What folding needs to know besides the entries.
pub struct Around<'a> {
    /// Whose a key is, so that two keys of one person count once.
    pub principal_of: &'a dyn Fn(&KeyId) -> String,
    /// Which numbers of a revision stand for which of the next; `None` where a table of theirs cannot be had.
    pub carried: &'a dyn Fn(&Proposal, &Proposal) -> Option<Carried>,
}

/// Folds the entries among `known` and, apart from them, those among `strangers`.
pub fn fold(links: &OidMap<Link>, known: &OidSet, strangers: &OidSet, around: &Around<'_>) -> Folded {
    let all: OidSet = known.union(strangers).copied().collect();
    let order = order::order(links, &all);
    let mut folded = Folded::default();
    in_worlds(&order.entries, strangers, around, |world, stranger| {
        folded.findings.append(&mut world.findings);
        let receipts = std::mem::take(&mut world.receipts).into_iter();
        let finished = receipts.map(|(id, state)| (id, state.finish())).collect();
        match stranger {
            false => folded.known = finished,
            true => folded.strangers = finished,
        }
    });
    tell_taken_back(&mut folded.known);
    tell_taken_back(&mut folded.strangers);
    folded
}

/// Tells receipts what others take back of them.
fn tell_taken_back(receipts: &mut BTreeMap<ReceiptId, Receipt>) {
    let mut by: Vec<&Receipt> = receipts.values().filter(|receipt| !receipt.takes_back.is_empty()).collect();
    by.sort_by_key(|receipt| (receipt.opened_at, receipt.id));
    let rollbacks: Vec<_> = by.iter().flat_map(|receipt| receipt.takes_back.iter().cloned()).collect();
    for rollback in rollbacks {
        if let Some(receipt) = receipts.get_mut(&rollback.said.of) {
            receipt.taken_back.push(rollback);
        }
    }
}

/// Folds what is known and then, apart from it, what is strangers', and hands each on once it is whole.
fn in_worlds<'a>(
    order: &'a [Placed<'a>],
    strangers: &OidSet,
    around: &Around<'_>,
    mut whole: impl FnMut(&mut World<'a, '_>, bool),
) {
    let origins = fork::origins(order);
    let mut taken: BTreeMap<ReceiptId, KeyId> = BTreeMap::new();
    for stranger in [false, true] {
        let mut world =
            World { receipts: BTreeMap::new(), taken: &taken, origins: &origins, findings: Vec::new() };
        for placed in order.iter().filter(|placed| strangers.contains(&placed.link.commit) == stranger) {
            world.add(placed, stranger, around);
        }
        let owners = world.receipts.iter().map(|(id, state)| (*id, state.owner().clone())).collect();
        whole(&mut world, stranger);
        taken = owners;
    }
}

/// The receipts of known signers, or those of strangers.
struct World<'a, 'w> {
    receipts: BTreeMap<ReceiptId, receipt::Folding<'a>>,
    /// For strangers: the receipts that are not theirs to change, with who opened them.
    taken: &'w BTreeMap<ReceiptId, KeyId>,
    /// The receipts of the entries that forks continue from.
    origins: &'w HashMap<Digest, Option<ReceiptId>>,
    findings: Vec<Finding>,
}

impl<'a> World<'a, '_> {
    fn add(&mut self, placed: &'a Placed<'a>, stranger: bool, around: &Around<'_>) {
        let body = &placed.entry.body;
        let Some(id) = body.receipt else { return };
        let mut say = |code, message: String| self.findings.push(placed.link.finding(code, message));
        if let Some(owner) = self.taken.get(&id) {
            match &body.fact {
                Fact::ReceiptOpened(_) => say(Code::OpenedTwice, format!("receipt was opened by `{owner}`")),
                fact if is_owners(fact) => {
                    say(Code::NotOwner, format!("only `{owner}` may state `{}` here", fact.kind()));
                }
                _ => {}
            }
            return;
        }
        if let Fact::ReceiptOpened(opened) = &body.fact {
            if let Some(there) = self.receipts.get(&id) {
                return say(Code::OpenedTwice, format!("receipt was opened by `{}` before", there.owner()));
            }
            let inherited = opened.forked_from.map(|from| {
                let found = self.origins.get(&from.digest).copied();
                if found == Some(None) {
                    say(Code::IllegalMove, "continues from an entry that is of no receipt".into());
                }
                // One that is opened only later is none to continue from: two could be forks of each other.
                let is_open = |of: &ReceiptId| self.receipts.contains_key(of) || self.taken.contains_key(of);
                let of = found.flatten().filter(is_open);
                let origin = of.and_then(|of| self.receipts.get(&of));
                let inherited = Inherited::new(from, of, origin, placed, around);
                if inherited.is_too_deep() {
                    say(Code::IllegalMove, format!("has more than {DEEPEST} receipts before it as a fork"));
                }
                Rc::new(inherited)
            });
            self.receipts.insert(id, receipt::Folding::new(id, placed, !stranger, inherited));
            return;
        }
        if matches!(body.fact, Fact::Unknown { .. }) {
            return;
        }
        let Some(receipt) = self.receipts.get_mut(&id) else {
            // A known signer may remark on, or decide about, what a stranger opened; that world comes later.
            if stranger || is_owners(&body.fact) {
                say(Code::NotOpened, format!("receipt `{id}` was never opened by its owner"));
            }
            return;
        };
        if is_owners(&body.fact) && body.signer != *receipt.owner() {
            return say(
                Code::NotOwner,
                format!("only `{}` may state `{}` here", receipt.owner(), body.fact.kind()),
            );
        }
        if body.signer != *receipt.owner() && !placed.saw(receipt.opening()) {
            return say(Code::NotOpened, "cites no entry of the receipt it is about".into());
        }
        match receipt.add(placed, around) {
            Ok(()) => {}
            Err(Refusal::Illegal(code, message)) => say(code, message),
            Err(Refusal::Late(message)) => say(Code::Late, message),
            Err(Refusal::Unproven(message)) => say(Code::Unproven, message),
        }
        for (lost, message) in receipt.take_lost() {
            self.findings.push(lost.link.finding(Code::Late, message));
        }
    }
}

/// Whether only the receipt's owner may state it.
fn is_owners(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::ToolCalled(_)
            | Fact::RetrievalMade(_)
            | Fact::GateChecked(_)
            | Fact::HumanAsked(_)
            | Fact::GuidanceGiven(_)
            | Fact::MemoryPatched(_)
            | Fact::UsageCounted(_)
            | Fact::SnapshotTaken(_)
            | Fact::ProposalMade(_)
            | Fact::ProposalRevised(_)
            | Fact::RollbackApplied(_)
            | Fact::ReceiptClosed(_)
    )
}
