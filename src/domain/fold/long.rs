//! What is long: lines of forks, and work with very many decisions.

use super::*;
use crate::domain::chain::SignedEntry;
use crate::domain::entry::Body;
use crate::domain::fact::data::{LineTable, LinesApplied, LinesDecided, ReceiptOpened, RemarkMade, TreeAt};
use crate::domain::fact::values::{LineSet, Replaced};
use crate::domain::ids::{ChainId, EntryRef, Oid, Timestamp};

/// The entries of one chain, made by hand.
#[derive(Default)]
struct Chain {
    links: OidMap<Link>,
    last: Option<EntryRef>,
    tip: Option<Oid>,
}

impl Chain {
    fn add(&mut self, receipt: u16, fact: Fact) -> EntryRef {
        let seq = self.last.map_or(0, |last| last.seq + 1);
        let commit = oid(u16::try_from(seq).unwrap() + 1);
        let body = Body {
            repo: oid(0),
            chain: ChainId::from_parts(Timestamp::from_unix_ms(0), 1),
            seq,
            prev: self.last.map(|last| last.digest),
            cites: Vec::new(),
            time: Timestamp::from_unix_ms(i64::try_from(seq).unwrap()),
            signer: format!("SHA256:{}A", "A".repeat(42)).parse().unwrap(),
            receipt: Some(id(receipt)),
            once: None,
            title: String::new(),
            fact,
        };
        let digest = Digest::of(&seq.to_be_bytes());
        let entry = SignedEntry { body, digest, signed: true, unknown_fields: Vec::new() };
        let parents = self.tip.replace(commit).into_iter().collect();
        let link =
            Link { commit, parents, ident: Default::default(), entry: Some(entry), findings: Vec::new() };
        let reference = link.reference().unwrap();
        self.links.insert(commit, link);
        self.last = Some(reference);
        reference
    }

    fn fold(&self) -> Folded {
        self.around(|known, around| fold(&self.links, known, &OidSet::default(), around))
    }

    fn around<T>(&self, with: impl FnOnce(&OidSet, &Around<'_>) -> T) -> T {
        let carried = |_: &Proposal, _: &Proposal| Some(Carried::same(2_000));
        let around = Around { principal_of: &|key| key.to_string(), carried: &carried };
        with(&self.links.keys().copied().collect(), &around)
    }
}

fn oid(n: u16) -> Oid {
    Oid::from_bytes(&[&[0; 18][..], &n.to_be_bytes()].concat()).unwrap()
}

fn id(n: u16) -> ReceiptId {
    ReceiptId::from_parts(Timestamp::from_unix_ms(0), n.into())
}

fn opened(from: Option<EntryRef>) -> Fact {
    Fact::ReceiptOpened(ReceiptOpened { forked_from: from, ..ReceiptOpened::of("task", "task", None) })
}

fn origin_of(folded: &Folded, receipt: u16) -> &Origin {
    folded.receipt(id(receipt)).and_then(|receipt| receipt.origin.as_ref()).unwrap()
}

#[test]
fn a_line_of_forks_may_be_so_long_and_what_stands_further_inherits_nothing() {
    let deepest = u16::try_from(DEEPEST).unwrap();
    let beyond = 4_000;
    let mut chain = Chain::default();
    let mut from = None;
    for receipt in 0..=deepest + beyond {
        from = Some(chain.add(receipt, opened(from)));
    }
    let folded = chain.fold();
    assert_eq!(folded.findings.len(), usize::from(beyond));
    assert!(folded.findings.iter().all(|finding| finding.code == Code::IllegalMove));
    assert_eq!(folded.findings[0].receipt, Some(id(deepest + 1)), "{:?}", folded.findings[0]);
    let last = origin_of(&folded, deepest);
    assert_eq!(last.steps().count(), DEEPEST);
    assert_eq!(last.steps().next().map(|step| step.entry.seq), Some(0));
    assert_eq!(folded.line_before(folded.receipt(id(deepest)).unwrap()).len(), DEEPEST);
    let further = origin_of(&folded, deepest + 1);
    assert_eq!((further.is_empty(), further.receipt), (true, Some(id(deepest))));
    let mut told = 0;
    chain.around(|known, around| {
        let receipt = folded.receipt(id(deepest)).unwrap();
        timeline(&chain.links, known, &OidSet::default(), around, receipt, &mut |_| told += 1);
    });
    assert_eq!(told, DEEPEST + 1);
}

#[test]
fn two_receipts_are_never_forks_of_each_other() {
    let mut chain = Chain::default();
    let remark = chain.add(1, Fact::RemarkMade(RemarkMade { text: "about what nobody opened".into() }));
    let other = chain.add(2, opened(Some(remark)));
    chain.add(1, opened(Some(other)));
    let folded = chain.fold();
    assert_eq!((origin_of(&folded, 2).receipt, origin_of(&folded, 1).receipt), (None, Some(id(2))));
    let before: Vec<_> =
        folded.line_before(folded.receipt(id(1)).unwrap()).iter().map(|one| one.id).collect();
    assert_eq!(before, [id(2)]);
}

fn proposal(count: u64, replaces: Option<EntryRef>) -> Proposal {
    let (digest, oid_of) = (Digest::of(b"table"), oid(9_000));
    Proposal {
        revision: if replaces.is_some() { 2 } else { 1 },
        replaces: replaces.map(|entry| Replaced::Own(entry.digest)),
        base: TreeAt { commit: oid_of, tree: oid_of },
        tree: oid_of,
        target: None,
        lines: LineTable {
            digest,
            oid: oid_of,
            count,
            added: count,
            removed: 0,
            mutated: 0,
            moved: 0,
            files: 1,
        },
        algorithm: "test".into(),
        summary: "lines".into(),
        agent: None,
    }
}

#[test]
fn what_is_told_of_every_moment_is_the_fold_of_the_entries_up_to_it() {
    let mut chain = Chain::default();
    chain.add(1, opened(None));
    let count = 2_000;
    let made = chain.add(1, Fact::ProposalMade(proposal(count, None)));
    let decide = |proposal, accepts, first, n| {
        let decided = LinesDecided { proposal, lines: LineSet::run(first, n), reason: None };
        if accepts { Fact::LinesAccepted(decided) } else { Fact::LinesRejected(decided) }
    };
    let mut decisions = Vec::new();
    for line in (1..=count).step_by(2) {
        decisions.push(chain.add(1, decide(made, true, line, 1)));
    }
    // One that a rejection takes back again, one over many lines.
    chain.add(1, decide(made, false, 3, 1));
    chain.add(1, decide(made, true, 100, 40));
    let land = |proposal, decisions: &[EntryRef], line| {
        Fact::LinesApplied(LinesApplied {
            proposal,
            decisions: decisions.to_vec(),
            lines: LineSet::run(line, 1),
            commit: oid(9_001),
            parent: oid(9_002),
            tree: oid(9_003),
            placed: None,
            conflicted: None,
            cost: None,
        })
    };
    for (at, line) in (1..=count).step_by(2).enumerate().skip(5).take(40) {
        chain.add(1, land(made, &decisions[at..=at], line));
    }
    let revised = chain.add(1, Fact::ProposalRevised(proposal(count, Some(made))));
    chain.add(1, decide(revised, false, 901, 50));
    chain.add(1, land(revised, &decisions[500..501], 1_001));
    chain.add(1, decide(revised, true, 11, 1));

    let folded = chain.fold();
    // The last of them decides about a line that landed before the revision.
    assert_eq!(folded.findings.len(), 1, "{:?}", folded.findings);
    let receipt = folded.receipt(id(1)).unwrap();
    let mut moments = Vec::new();
    chain.around(|known, around| {
        timeline(&chain.links, known, &OidSet::default(), around, receipt, &mut |moment| {
            let lines = moment.proposal.map(|standing| (standing.made.revision, standing.lines.clone()));
            moments.push((moment.step.entry, lines));
        });
    });
    assert_eq!(moments.len(), receipt.steps.len());
    for (entry, lines) in moments.iter().step_by(97).chain(&moments[moments.len() - 45..]) {
        let until = |link: &Link| link.reference().is_some_and(|reference| reference.seq <= entry.seq);
        let links = chain.links.iter().filter(|(_, link)| until(link));
        let links = links.map(|(commit, link)| (*commit, link.clone())).collect();
        let part = Chain { links, ..Chain::default() };
        let folded = part.fold();
        let newest = folded.receipt(id(1)).unwrap().proposals.last();
        let expected = newest.map(|proposal| (proposal.made.revision, proposal.lines.clone()));
        assert_eq!(*lines, expected, "at {}", entry.seq);
    }
    let (_, Some((2, last))) = &moments[moments.len() - 1] else { panic!("{:?}", moments.last()) };
    assert_eq!(last.applied.len(), 41);
    assert!(last.rejected.contains(3) && last.rejected.contains(950) && !last.accepted.contains(901));
}
