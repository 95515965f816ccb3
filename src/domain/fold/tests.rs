//! What forks start from, and what they may do with it.

use super::*;
use crate::domain::chain::SignedEntry;
use crate::domain::entry::Body;
use crate::domain::fact::data::{
    CloseStatus, GateChecked, GateResult, LinesDecided, ReceiptClosed, ReceiptOpened, RemarkMade,
    RollbackApplied, SnapshotTaken, TreeAt,
};
use crate::domain::fact::data::{LineTable, Proposal};
use crate::domain::fact::values::LineSet;
use crate::domain::ids::{ChainId, EntryRef, Oid, Timestamp};

/// Entries of chains that cite each other, made by hand.
#[derive(Default)]
struct Story {
    links: OidMap<Link>,
    tips: BTreeMap<ChainId, Oid>,
    made: u8,
}

impl Story {
    /// Adds an entry to the chain numbered `chain`, of the key of the same number, with others in its past.
    fn add(&mut self, chain: u8, receipt: u8, fact: Fact, cites: &[EntryRef]) -> EntryRef {
        self.made += 1;
        let id = ChainId::from_parts(Timestamp::from_unix_ms(0), chain.into());
        let commit = oid(self.made);
        let before = self.tips.insert(id, commit);
        let previous = before.and_then(|before| self.links[&before].reference());
        let commit_of = |cited: &EntryRef| {
            let found = self.links.values().find(|link| link.reference() == Some(*cited));
            found.map(|link| link.commit).unwrap()
        };
        let body = Body {
            repo: oid(0),
            chain: id,
            seq: previous.map_or(0, |previous| previous.seq + 1),
            prev: previous.map(|previous| previous.digest),
            cites: cites.to_vec(),
            time: Timestamp::from_unix_ms(self.made.into()),
            signer: key(chain),
            receipt: Some(receipt_id(receipt)),
            once: None,
            title: String::new(),
            fact,
        };
        let link = Link {
            commit,
            parents: before.into_iter().chain(cites.iter().map(commit_of)).collect(),
            ident: Default::default(),
            entry: Some(SignedEntry {
                body,
                digest: Digest::of(&[self.made]),
                signed: true,
                unknown_fields: Vec::new(),
            }),
            findings: Vec::new(),
        };
        let reference = link.reference().unwrap();
        self.links.insert(commit, link);
        reference
    }

    fn fold(&self) -> Folded {
        self.around(|known, around| fold(&self.links, known, &OidSet::default(), around))
    }

    fn moments(&self, receipt: &Receipt) -> Vec<Told> {
        let mut told = Vec::new();
        self.around(|known, around| {
            timeline(&self.links, known, &OidSet::default(), around, receipt, &mut |moment| {
                let accepted = moment.proposal.map(|standing| standing.lines.accepted.clone());
                let (receipt, closed) = (moment.receipt, moment.closed.is_some());
                told.push(Told { receipt, entry: moment.step.entry, closed, accepted });
            });
        });
        told
    }

    fn around<T>(&self, with: impl FnOnce(&OidSet, &Around<'_>) -> T) -> T {
        let around = Around { principal_of: &|key| key.to_string(), carried: &|_, _| None };
        with(&self.links.keys().copied().collect(), &around)
    }
}

/// What is told of a moment.
struct Told {
    receipt: ReceiptId,
    entry: EntryRef,
    closed: bool,
    accepted: Option<LineSet>,
}

fn oid(n: u8) -> Oid {
    Oid::from_bytes(&[n; 20]).unwrap()
}

fn key(n: u8) -> KeyId {
    // 32 bytes in base64: the last character holds four bits alone.
    let letter = char::from(b'A' + n);
    format!("SHA256:{}A", letter.to_string().repeat(42)).parse().unwrap()
}

fn receipt_id(n: u8) -> ReceiptId {
    ReceiptId::from_parts(Timestamp::from_unix_ms(0), n.into())
}

fn opened(from: Option<EntryRef>) -> Fact {
    Fact::ReceiptOpened(ReceiptOpened { forked_from: from, ..ReceiptOpened::of("task", "task", None) })
}

fn remark(text: &str) -> Fact {
    Fact::RemarkMade(RemarkMade { text: text.into() })
}

fn snapshot(tree: u8) -> Fact {
    Fact::SnapshotTaken(SnapshotTaken { label: None, worktree: oid(tree), index: None })
}

fn gate(tree: u8) -> Fact {
    Fact::GateChecked(GateChecked {
        gate: "test".into(),
        command: vec!["true".into()],
        exit_code: 0,
        result: GateResult::Passed,
        duration_ms: 1,
        output: None,
        tree: oid(tree),
        dirty: true,
        counts: None,
        environment: None,
    })
}

fn proposal() -> Fact {
    let lines = LineTable {
        digest: Digest::of(b"table"),
        oid: oid(200),
        count: 2,
        added: 2,
        removed: 0,
        mutated: 0,
        moved: 0,
        files: 1,
    };
    Fact::ProposalMade(Proposal {
        revision: 1,
        replaces: None,
        base: TreeAt { commit: oid(201), tree: oid(202) },
        tree: oid(203),
        target: None,
        lines,
        algorithm: "test".into(),
        summary: "two lines".into(),
        agent: None,
    })
}

fn accepted(proposal: EntryRef) -> Fact {
    Fact::LinesAccepted(LinesDecided { proposal, lines: LineSet::run(1, 1), reason: None })
}

fn closed() -> Fact {
    Fact::ReceiptClosed(ReceiptClosed {
        status: CloseStatus::Completed,
        output: "".into(),
        summary: String::new(),
        failure: None,
        remaining: None,
        human_ms: None,
        agent_ms: None,
        edits_by_human: None,
    })
}

fn entries<'s>(steps: impl IntoIterator<Item = &'s Step>) -> Vec<EntryRef> {
    steps.into_iter().map(|step| step.entry).collect()
}

#[test]
fn a_fork_starts_from_the_entry_that_it_names_and_from_nothing_later() {
    let mut story = Story::default();
    let opening = story.add(1, 1, opened(None), &[]);
    let made = story.add(1, 1, proposal(), &[]);
    let decided = story.add(1, 1, accepted(made), &[]);
    // Both behind the entry in question: one that the fork's opening could see, one that it could not.
    let later = story.add(1, 1, remark("later"), &[]);
    let fork = story.add(2, 2, opened(Some(decided)), &[decided, later]);
    story.add(1, 1, closed(), &[]);
    let folded = story.fold();
    assert_eq!(folded.findings, []);
    let forked = folded.receipt(receipt_id(2)).unwrap();
    let origin = forked.origin.as_ref().unwrap();
    assert_eq!((origin.receipt, origin.entry), (Some(receipt_id(1)), decided));
    assert_eq!(entries(origin.steps()), [opening, made, decided]);
    // What is its own is told apart, and it is open though the other was closed since.
    assert_eq!(entries(&forked.steps), [fork]);
    assert_eq!((&forked.proposals[..], forked.closed), (&[][..], None));
    let moments = story.moments(forked);
    assert_eq!(moments.iter().map(|moment| moment.entry).collect::<Vec<_>>(), [opening, made, decided, fork]);
    assert!(moments.iter().all(|moment| !moment.closed));
    assert_eq!(moments[2].accepted, Some(LineSet::run(1, 1)));
}

#[test]
fn what_the_openings_writer_could_not_see_is_not_inherited() {
    let mut story = Story::default();
    let opening = story.add(1, 1, opened(None), &[]);
    // Of another chain, and earlier than the entry that is named, but not in the past of the fork's opening.
    let unseen = story.add(3, 1, remark("elsewhere"), &[opening]);
    let named = story.add(1, 1, remark("named"), &[]);
    story.add(2, 2, opened(Some(named)), &[named]);
    story.add(2, 3, opened(Some(named)), &[named, unseen]);
    let folded = story.fold();
    assert_eq!(folded.findings, []);
    let inherited = |n| entries(folded.receipt(receipt_id(n)).unwrap().origin.as_ref().unwrap().steps());
    assert_eq!(inherited(2), [opening, named]);
    assert_eq!(inherited(3), [opening, unseen, named]);
}

#[test]
fn a_fork_only_looks_at_what_it_inherited() {
    let mut story = Story::default();
    story.add(1, 1, opened(None), &[]);
    let made = story.add(1, 1, proposal(), &[]);
    story.add(1, 2, opened(Some(made)), &[]);
    story.add(1, 3, opened(Some(made)), &[]);
    let before = story.fold();
    // In the fork, by the very key that owns both.
    story.add(1, 2, accepted(made), &[]);
    let after = story.fold();
    let messages: Vec<_> = after.findings.iter().map(|finding| (finding.code, &finding.message)).collect();
    assert!(
        matches!(messages[..], [(Code::IllegalMove, message)] if message.contains("forked from")),
        "{messages:?}"
    );
    for n in 1..=3 {
        assert_eq!(after.receipt(receipt_id(n)), before.receipt(receipt_id(n)), "{n}");
    }
    // A fork of the fork has no more say about it.
    let mut story = Story::default();
    story.add(1, 1, opened(None), &[]);
    let made = story.add(1, 1, proposal(), &[]);
    let fork = story.add(1, 2, opened(Some(made)), &[]);
    story.add(1, 3, opened(Some(fork)), &[]);
    story.add(1, 3, accepted(made), &[]);
    let messages: Vec<_> = story.fold().findings.into_iter().map(|finding| finding.message).collect();
    assert!(messages.len() == 1 && messages[0].contains(&receipt_id(1).to_string()), "{messages:?}");
}

#[test]
fn a_fork_of_a_fork_inherits_the_one_behind_the_other() {
    let mut story = Story::default();
    let opening = story.add(1, 1, opened(None), &[]);
    story.add(1, 1, remark("not inherited"), &[]);
    let fork = story.add(1, 2, opened(Some(opening)), &[]);
    let own = story.add(1, 2, remark("in the fork"), &[]);
    story.add(1, 2, remark("behind it"), &[]);
    let last = story.add(1, 3, opened(Some(own)), &[]);
    let folded = story.fold();
    assert_eq!(folded.findings, []);
    let receipt = folded.receipt(receipt_id(3)).unwrap();
    let origin = receipt.origin.as_ref().unwrap();
    assert_eq!(origin.receipt, Some(receipt_id(2)));
    assert_eq!(entries(origin.steps()), [opening, fork, own]);
    let moments = story.moments(receipt);
    let of: Vec<_> = moments.iter().map(|moment| (moment.receipt, moment.entry)).collect();
    let [one, two, three] = [1, 2, 3].map(receipt_id);
    assert_eq!(of, [(one, opening), (two, fork), (two, own), (three, last)]);
}

#[test]
fn a_gate_of_a_fork_may_rest_on_a_snapshot_that_it_inherited_and_on_no_later_one() {
    let mut story = Story::default();
    story.add(1, 1, opened(None), &[]);
    let kept = story.add(1, 1, snapshot(7), &[]);
    story.add(1, 1, snapshot(8), &[]);
    let fork = story.add(1, 2, opened(Some(kept)), &[]);
    story.add(1, 2, gate(7), &[]);
    // One further on, of a fork of it.
    story.add(1, 3, opened(Some(fork)), &[]);
    story.add(1, 3, gate(7), &[]);
    assert_eq!(story.fold().findings, []);
    for receipt in [2, 3] {
        story.add(1, receipt, gate(8), &[]);
    }
    let folded = story.fold();
    let codes: Vec<_> = folded.findings.iter().map(|finding| (finding.receipt, finding.code)).collect();
    let illegal = |n| (Some(receipt_id(n)), Code::IllegalMove);
    assert_eq!(codes, [illegal(2), illegal(3)]);
    assert_eq!(folded.receipt(receipt_id(3)).unwrap().steps.len(), 2);
}

#[test]
fn a_rollback_stands_in_a_receipt_of_its_own() {
    let mut story = Story::default();
    let landed = story.add(1, 1, opened(None), &[]);
    let own = story.add(2, 2, opened(None), &[landed]);
    let rollback = || {
        let (from_tree, to_tree) = (oid(101), oid(102));
        let of = receipt_id(1);
        Fact::RollbackApplied(RollbackApplied { of, lines: None, commit: Some(oid(100)), from_tree, to_tree })
    };
    // Somebody else's, by who sees it well.
    story.add(3, 2, rollback(), &[own]);
    let folded = story.fold();
    assert_eq!(folded.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::NotOwner]);
    let others = folded.receipt(receipt_id(2)).unwrap();
    assert!(others.takes_back.is_empty() && others.bound.is_empty());
    assert!(folded.receipt(receipt_id(1)).unwrap().taken_back.is_empty());
    story.add(2, 2, rollback(), &[]);
    let folded = story.fold();
    assert_eq!(folded.findings.len(), 1);
    assert_eq!(folded.receipt(receipt_id(1)).unwrap().taken_back.len(), 1);
}
