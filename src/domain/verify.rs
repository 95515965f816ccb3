//! The whole picture: every chain that can be reached, held against itself and against what others say of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::chain::{self, Before, Link};
use super::fact::Fact;
use super::finding::{Code, Finding};
use super::ids::{ChainId, Digest, EntryRef, KeyId, Oid, OidMap, OidSet, ReceiptId};
use super::revoked::Revoked;

/// A ref that holds a chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainRef {
    /// The chain that the ref's name says.
    pub chain: ChainId,
    /// The remote it was fetched from; none for our own refs.
    pub remote: Option<String>,
    /// Whether it is a chain of seals.
    pub sealed: bool,
    /// The full ref name.
    pub name: String,
    /// Where it points.
    pub tip: Oid,
}

/// A commit that is named and not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingCommit {
    /// Its id.
    pub commit: Oid,
    /// The commit that names it; none for a ref.
    pub named_by: Option<Oid>,
    /// Whether the clone is shallow exactly there.
    pub shallow: bool,
    /// Why it cannot be read, where it is here.
    pub damaged: Option<String>,
}

/// Everything read from a repository's chains.
#[derive(Debug, Default)]
pub struct History {
    /// The refs that were read.
    pub refs: Vec<ChainRef>,
    /// Every commit of an entry, by id.
    pub links: OidMap<Link>,
    /// Commits that a ref, chain or citation names and that are not here, or cannot be read.
    pub missing: Vec<MissingCommit>,
    /// Refs in the place of chains whose names are none.
    pub odd_refs: Vec<String>,
}

impl History {
    /// The entries of the chain that ends at `tip`, newest first, as far as they are here.
    pub fn first_parents(&self, tip: Oid) -> impl Iterator<Item = &Link> {
        let mut next = Some(tip);
        std::iter::from_fn(move || {
            let link = self.links.get(&next?)?;
            let has_previous = link.entry.as_ref().is_none_or(|entry| entry.body.seq > 0);
            next = link.parents.first().copied().filter(|_| has_previous);
            Some(link)
        })
    }
}

/// An entry that must be here, by a word that stands outside the chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The entry.
    pub entry: EntryRef,
    /// Whose word it is.
    pub by: NamedBy,
}

/// Who says that an entry must be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// This clone wrote it last to one of its own chains.
    Written,
    /// This clone saw it as the head of a chain, and was told to remember.
    Seen,
    /// Whoever asks for the check expects it.
    Expected,
}

impl NamedBy {
    fn words(self) -> &'static str {
        match self {
            NamedBy::Written => "what this clone remembers to have written",
            NamedBy::Seen => "what this clone remembers to have seen",
            NamedBy::Expected => "the heads that are expected",
        }
    }
}

/// What a verdict rests on besides the history itself.
pub struct Trust<'a> {
    /// The projects whose entries are accepted; none where that cannot be told.
    pub repos: Option<&'a BTreeSet<Oid>>,
    /// Whether a key is known.
    pub knows: &'a dyn Fn(&KeyId) -> bool,
    /// Revoked keys and their last good heads.
    pub revoked: &'a Revoked,
    /// Entries that must be here, whoever remembers or expects them.
    pub named: &'a [Named],
    /// The tree of a commit, where the commit is here.
    pub tree_of: &'a dyn Fn(Oid) -> Option<Oid>,
    /// On how many threads entries are held against the ones before them.
    pub threads: usize,
}

/// What is said about one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSummary {
    /// The chain.
    pub chain: ChainId,
    /// Who signs it, where its tip could be read.
    pub signer: Option<KeyId>,
    /// Whether the signer is known.
    pub known: bool,
    /// How many entries were reached.
    pub entries: u64,
    /// Its last signed entry.
    pub head: Option<EntryRef>,
    /// The highest seq that an entry of another chain names; what comes after could be cut without a trace.
    pub anchored: Option<u64>,
    /// Whether the chain is here only as a remote's.
    pub remote_only: bool,
    /// Whether its ref is gone and a seal stands for it.
    pub sealed: bool,
}

/// The result of looking at everything.
#[derive(Debug, Default)]
pub struct Verdict {
    /// All that was found, sorted by chain and seq.
    pub findings: Vec<Finding>,
    /// Every chain.
    pub chains: Vec<ChainSummary>,
    /// How many entries were looked at.
    pub entries: u64,
    /// Commits whose entry is sound, strictly signed and by a known key that is not revoked: only these may
    /// change the state of a known receipt.
    pub counted: OidSet,
    /// Commits whose entry is sound and by a key that is not known.
    pub strangers: OidSet,
}

/// Which commits each chain's own refs, or an effective seal in their place, reach.
struct Reach {
    by_chain: BTreeMap<ChainId, OidSet>,
    sealed: BTreeSet<ChainId>,
    has_ref: BTreeSet<ChainId>,
    /// Where a shallow clone's history of a chain starts, if that is not at its opening.
    cut: BTreeMap<ChainId, u64>,
}

/// Checks every entry, link, citation, mention and seal of `history`.
pub fn verify(history: &History, trust: &Trust<'_>) -> Verdict {
    let mut findings = check_links(history, trust.threads);
    for link in history.links.values() {
        findings.extend(link.findings.iter().cloned());
        check_repo(history, link, trust, &mut findings);
        check_binding(link, trust, &mut findings);
        if let Some(entry) = &link.entry
            && (!entry.unknown_fields.is_empty() || matches!(entry.body.fact, Fact::Unknown { .. }))
        {
            let message = match &entry.body.fact {
                Fact::Unknown { kind, .. } => format!("unknown kind `{kind}`"),
                _ => format!("unknown fields `{}`", entry.unknown_fields.join("`, `")),
            };
            findings.push(link.finding(Code::UnknownKind, message));
        }
    }
    findings.extend(missing_objects(history));
    findings.extend(history.odd_refs.iter().map(|name| Finding {
        code: Code::WrongChain,
        chain: None,
        seq: None,
        commit: None,
        receipt: None,
        message: format!("ref `{name}` stands among the chains and is named for none"),
    }));
    for found in &history.refs {
        findings.extend(history.links.get(&found.tip).and_then(|link| chain::check_ref(link, found.chain)));
    }
    let reach = reach(history, trust);
    let mut anchors = BTreeMap::new();
    check_names(history, &reach, trust.named, &mut anchors, &mut findings);
    check_equivocation(history, &mut findings);
    let revoked = check_revoked(history, trust, &mut findings);
    let chains = summaries(history, trust, &reach, &anchors, &mut findings);

    let broken: OidSet = findings
        .iter()
        .filter(|finding| finding.code.weight() == super::finding::Weight::Broken)
        .filter(|finding| !blames_others(finding.code))
        .filter_map(|finding| finding.commit)
        .collect();
    // What is wrong where a chain starts is wrong with all of it.
    let foreign: HashSet<ChainId> = findings
        .iter()
        .filter(|finding| matches!(finding.code, Code::WrongRepo | Code::BadOpening | Code::WrongKey))
        .filter(|finding| finding.code == Code::WrongRepo || finding.seq == Some(0))
        .filter_map(|finding| finding.chain)
        .collect();
    let mut verdict = Verdict { entries: history.links.len() as u64, chains, ..Default::default() };
    for link in history.links.values() {
        let Some(entry) = link.entry.as_ref().filter(|entry| entry.signed) else { continue };
        if broken.contains(&link.commit)
            || revoked.contains(&link.commit)
            || foreign.contains(&entry.body.chain)
        {
            continue;
        }
        if (trust.knows)(&entry.body.signer) {
            verdict.counted.insert(link.commit);
        } else {
            verdict.strangers.insert(link.commit);
        }
    }
    findings.sort_by(|a, b| {
        (a.chain, a.seq, a.code, a.commit, &a.message).cmp(&(b.chain, b.seq, b.code, b.commit, &b.message))
    });
    findings.dedup();
    verdict.findings = findings;
    verdict
}

/// Holds every entry against the one before it and those it cites.
fn check_links(history: &History, threads: usize) -> Vec<Finding> {
    /// Fewer are not worth a thread.
    const WORTH_A_THREAD: usize = 2_000;
    let check = |links: &[&Link]| -> Vec<Finding> {
        let check =
            |link: &&Link| chain::check_link(link, before(history, link), |oid| history.links.get(oid));
        links.iter().flat_map(check).collect()
    };
    let links: Vec<&Link> = history.links.values().collect();
    let share = links.len().div_ceil(threads.max(1)).max(WORTH_A_THREAD);
    if links.len() <= share {
        return check(&links);
    }
    std::thread::scope(|scope| {
        let shares: Vec<_> = links.chunks(share).map(|share| scope.spawn(move || check(share))).collect();
        shares
            .into_iter()
            .flat_map(|share| share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Findings about what an entry names, which say nothing against the entry itself.
fn blames_others(code: Code) -> bool {
    matches!(code, Code::Equivocation | Code::Truncated | Code::MissingChain | Code::WrongBinding)
}

fn before<'a>(history: &'a History, link: &Link) -> Before<'a> {
    let opens = link.entry.as_ref().is_some_and(|entry| entry.body.seq == 0);
    match link.parents.first() {
        Some(parent) if !opens => match history.links.get(parent) {
            Some(previous) => Before::Entry(previous),
            None => Before::NotHere,
        },
        _ => Before::Nothing,
    }
}

/// Reports a foreign project once a chain, where the chain starts.
fn check_repo(history: &History, link: &Link, trust: &Trust<'_>, findings: &mut Vec<Finding>) {
    let (Some(entry), Some(repos)) = (&link.entry, trust.repos) else { return };
    if !matches!(before(history, link), Before::Entry(_)) && !repos.contains(&entry.body.repo) {
        let message = format!("belongs to project `{}`, which is not this one", entry.body.repo);
        findings.push(link.finding(Code::WrongRepo, message));
    }
}

fn check_binding(link: &Link, trust: &Trust<'_>, findings: &mut Vec<Finding>) {
    let Some(entry) = &link.entry else { return };
    let (commit, tree) = match &entry.body.fact {
        Fact::CommitBound(bound) => (bound.commit, bound.tree),
        Fact::LinesApplied(applied) => (applied.commit, applied.tree),
        _ => return,
    };
    if let Some(actual) = (trust.tree_of)(commit)
        && actual != tree
    {
        let message = format!("commit `{commit}` has tree `{actual}`, not `{tree}`");
        findings.push(link.finding(Code::WrongBinding, message));
    }
}

fn missing_objects(history: &History) -> Vec<Finding> {
    history
        .missing
        .iter()
        .map(|missing| {
            let code = if missing.shallow { Code::Shallow } else { Code::MissingObject };
            let message = match (missing.shallow, &missing.damaged) {
                (true, _) => format!("history is cut here by a shallow clone: commit `{}`", missing.commit),
                (false, Some(why)) => format!("commit `{}` is damaged: {why}", missing.commit),
                (false, None) => format!("commit `{}` is not in the repository", missing.commit),
            };
            match missing.named_by.and_then(|commit| history.links.get(&commit)) {
                Some(link) => link.finding(code, message),
                None => {
                    let named = history.refs.iter().find(|found| found.tip == missing.commit);
                    let chain = named.map(|found| found.chain);
                    Finding { code, chain, seq: None, commit: Some(missing.commit), receipt: None, message }
                }
            }
        })
        .collect()
}

fn reach(history: &History, trust: &Trust<'_>) -> Reach {
    let mut reach = Reach {
        by_chain: BTreeMap::new(),
        sealed: BTreeSet::new(),
        has_ref: BTreeSet::new(),
        cut: BTreeMap::new(),
    };
    for found in &history.refs {
        reach.has_ref.insert(found.chain);
        let commits = reach.by_chain.entry(found.chain).or_default();
        for link in history.first_parents(found.tip) {
            if !commits.insert(link.commit) {
                break;
            }
        }
    }
    // A seal stands for a chain only where the chain has no ref at all; one set back is not excused.
    for found in history.refs.iter().filter(|found| found.sealed) {
        for seal in history.first_parents(found.tip) {
            let Some(entry) = seal.entry.as_ref().filter(|entry| entry.signed) else { continue };
            if !matches!(entry.body.fact, Fact::ChainsSealed(_)) {
                continue;
            }
            for cite in &entry.body.cites {
                let tip = seal.parents.iter().filter_map(|parent| history.links.get(parent));
                let tip = tip.filter(|link| link.reference() == Some(*cite)).find_map(|link| {
                    let sealed = link.entry.as_ref()?;
                    let entitled =
                        sealed.body.signer == entry.body.signer || (trust.knows)(&entry.body.signer);
                    entitled.then_some(link.commit)
                });
                if let Some(tip) = tip.filter(|_| !reach.has_ref.contains(&cite.chain)) {
                    reach.sealed.insert(cite.chain);
                    let commits = reach.by_chain.entry(cite.chain).or_default();
                    commits.extend(history.first_parents(tip).map(|link| link.commit));
                }
            }
        }
    }
    let shallow: OidSet =
        history.missing.iter().filter(|missing| missing.shallow).map(|missing| missing.commit).collect();
    for (chain, commits) in reach.by_chain.iter().filter(|_| !shallow.is_empty()) {
        let links = commits.iter().filter_map(|commit| history.links.get(commit));
        let cuts = links.filter(|link| link.parents.first().is_some_and(|parent| shallow.contains(parent)));
        if let Some(seq) = cuts.filter_map(|link| Some(link.entry.as_ref()?.body.seq)).max() {
            reach.cut.insert(*chain, seq);
        }
    }
    reach
}

/// Checks that everything which a reachable entry names is still reached by its own chain, and notes how far
/// each chain is anchored by others.
fn check_names(
    history: &History,
    reach: &Reach,
    from_outside: &[Named],
    anchors: &mut BTreeMap<ChainId, u64>,
    findings: &mut Vec<Finding>,
) {
    let mut places: HashMap<(ChainId, u64), HashSet<Digest>> = HashMap::new();
    for (chain, commits) in &reach.by_chain {
        for commit in commits {
            if let Some(entry) = history.links.get(commit).and_then(Link::reference)
                && entry.chain == *chain
            {
                places.entry((entry.chain, entry.seq)).or_default().insert(entry.digest);
            }
        }
    }
    for link in history.links.values() {
        let Some(entry) = link.entry.as_ref().filter(|entry| entry.signed) else { continue };
        let body = &entry.body;
        let mentions = body.fact.mentions();
        let own = body.fact.citations().into_iter().filter(|cite| cite.chain == body.chain);
        for named in body.cites.iter().copied().chain(mentions).chain(own) {
            let there = places.get(&(named.chain, named.seq));
            if there.is_some_and(|digests| digests.contains(&named.digest)) {
                if named.chain != body.chain {
                    let anchor = anchors.entry(named.chain).or_default();
                    *anchor = (*anchor).max(named.seq);
                }
                continue;
            }
            let by = link.reference().map(|by| format!("`{}@{}`", by.chain, by.seq));
            let by = format!("{} in commit `{}`", by.unwrap_or_default(), link.commit.to_hex());
            findings.push(missing_name(reach, &by, body.receipt, named, there.is_some()));
        }
    }
    for Named { entry, by } in from_outside {
        let there = places.get(&(entry.chain, entry.seq));
        if there.is_none_or(|digests| !digests.contains(&entry.digest)) {
            findings.push(missing_name(reach, by.words(), None, *entry, there.is_some()));
        }
    }
}

fn missing_name(
    reach: &Reach,
    by: &str,
    receipt: Option<ReceiptId>,
    named: EntryRef,
    taken: bool,
) -> Finding {
    let place = format!("`{}@{}`", named.chain, named.seq);
    let (code, message) = if taken {
        (Code::Equivocation, format!("{place} is another entry here than `{}`, named by {by}", named.digest))
    } else if reach.cut.get(&named.chain).is_some_and(|start| named.seq < *start) {
        // It may be there or not: what is behind the cut cannot be seen from here.
        (Code::Shallow, format!("entry {place} is behind where the shallow history starts, named by {by}"))
    } else if reach.by_chain.contains_key(&named.chain) {
        (Code::Truncated, format!("entry {place} is gone, named by {by}"))
    } else {
        (Code::MissingChain, format!("chain of {place} is gone, named by {by}"))
    };
    let (chain, seq) = (Some(named.chain), Some(named.seq));
    Finding { code, chain, seq, commit: None, receipt, message }
}

fn check_equivocation(history: &History, findings: &mut Vec<Finding>) {
    let mut places: HashMap<(ChainId, u64), Vec<&Link>> = HashMap::new();
    for link in history.links.values() {
        if let Some(entry) = link.entry.as_ref().filter(|entry| entry.signed) {
            places.entry((entry.body.chain, entry.body.seq)).or_default().push(link);
        }
    }
    for mut claimants in places.into_values().filter(|links| links.len() > 1) {
        claimants.sort_by_key(|link| link.commit);
        for (at, link) in claimants.iter().enumerate() {
            let other = &claimants[usize::from(at == 0)];
            let more = match claimants.len() - 2 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!("the same place is claimed by `{}`{more}", other.commit);
            findings.push(link.finding(Code::Equivocation, message));
        }
    }
}

/// Finds entries of revoked keys that are neither a last good head nor an ancestor of one.
fn check_revoked(history: &History, trust: &Trust<'_>, findings: &mut Vec<Finding>) -> OidSet {
    let mut refused = OidSet::default();
    for revocation in trust.revoked.entries() {
        let mut good = OidSet::default();
        let mut queue: Vec<Oid> = history
            .links
            .values()
            .filter(|link| link.reference().is_some_and(|entry| revocation.heads.contains(&entry)))
            .map(|link| link.commit)
            .collect();
        while let Some(commit) = queue.pop() {
            if good.insert(commit)
                && let Some(link) = history.links.get(&commit)
            {
                queue.extend(&link.parents);
            }
        }
        for link in history.links.values() {
            let Some(entry) = &link.entry else { continue };
            if entry.body.signer == revocation.key && !good.contains(&link.commit) {
                refused.insert(link.commit);
                let message =
                    format!("key `{}` is revoked and this is not among its last good heads", revocation.key);
                findings.push(link.finding(Code::Revoked, message));
            }
        }
    }
    refused
}

fn summaries(
    history: &History,
    trust: &Trust<'_>,
    reach: &Reach,
    anchors: &BTreeMap<ChainId, u64>,
    findings: &mut Vec<Finding>,
) -> Vec<ChainSummary> {
    let mut summaries = Vec::new();
    for (chain, commits) in &reach.by_chain {
        let first = commits
            .iter()
            .filter_map(|commit| history.links.get(commit))
            .filter_map(|link| Some((link.entry.as_ref()?.body.seq, link)))
            .min_by_key(|(seq, link)| (*seq, link.commit));
        let signer = first.and_then(|(_, link)| Some(link.entry.as_ref()?.body.signer.clone()));
        let known = signer.as_ref().is_some_and(|signer| (trust.knows)(signer));
        if let (Some((_, link)), Some(signer), false) = (first, &signer, known) {
            let message = format!("`{signer}` is not a known key ({} entries)", commits.len());
            findings.push(Finding { seq: None, ..link.finding(Code::UnknownSigner, message) });
        }
        let head = commits
            .iter()
            .filter_map(|commit| history.links.get(commit))
            .filter(|link| link.entry.as_ref().is_some_and(|entry| entry.signed))
            .filter_map(Link::reference)
            .filter(|entry| entry.chain == *chain)
            .max_by_key(|entry| (entry.seq, entry.digest));
        let refs = || history.refs.iter().filter(|found| found.chain == *chain);
        summaries.push(ChainSummary {
            chain: *chain,
            signer,
            known,
            entries: commits.len() as u64,
            head,
            anchored: anchors.get(chain).copied(),
            remote_only: reach.has_ref.contains(chain) && refs().all(|found| found.remote.is_some()),
            sealed: reach.sealed.contains(chain),
        });
    }
    summaries
}
