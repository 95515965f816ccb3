//! Appending: objects first, then one ref transaction guarded by the tips that were read, then hints.

mod chain;
mod repeats;

use std::collections::VecDeque;

use gix::object::Kind;

use super::artifacts::{ContentRules, Kept, redacted};
use super::error::StoreError;
use super::keys::Signer;
use super::lock::{self, ARTIFACTS_LOCK, Lock, StaleLock};
use super::refs::RefMove;
use super::state::{ChainScope, ChainState, Place, TipState};
use super::{Store, names};
use crate::domain::commit::{self, Parts};
use crate::domain::entry::{Body, Draft, Tip, Writer, clean_title};
use crate::domain::fact::Fact;
use crate::domain::fact::data::Role;
use crate::domain::fact::values::{GitPath, Replaced};
use crate::domain::ids::{ChainId, Digest, EntryRef, Oid, ReceiptId, Timestamp};
use crate::domain::redact::Redactor;
use chain::OpenChain;
use repeats::OnceLookup;
pub use repeats::{AlreadyTold, Repeats};

/// Who writes, and to which of their chains.
pub struct AppendOptions<'a> {
    /// The key.
    pub signer: &'a Signer,
    /// Which of its chains.
    pub scope: ChainScope,
    /// What a new chain says about its writer.
    pub role: Role,
    /// Name for the author line of a new chain.
    pub name: String,
    /// Address for the author line of a new chain.
    pub email: String,
    /// The project, as `receipt.repo` has it.
    pub repo: Oid,
    /// What is taken out of everything before it is signed.
    pub redactor: &'a Redactor,
    /// The entries' times: now, or for an import the recorded ones, one a draft.
    pub times: Option<&'a [Timestamp]>,
    /// What a draft means whose idempotency key is there already.
    pub repeats: Repeats,
    /// What the drafts rest on, where that must not have changed meanwhile.
    pub rests_on: Option<RestsOn<'a>>,
}

/// A receipt as it was when something about it was decided.
#[derive(Clone, Copy)]
pub struct RestsOn<'a> {
    /// The receipt.
    pub receipt: ReceiptId,
    /// The tip of a chain as it was read then; none where the chain was not there.
    pub tip: &'a dyn Fn(ChainId) -> Option<Oid>,
}

/// One entry that an append led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// The entry.
    pub entry: EntryRef,
    /// Its commit.
    pub commit: Oid,
    /// The receipt it is about.
    pub receipt: Option<ReceiptId>,
    /// Whether it was there already, found by its idempotency key.
    pub existing: bool,
    /// How many secrets were taken out of it.
    pub redactions: u64,
}

/// What an append did.
#[derive(Debug, Default)]
pub struct AppendReport {
    /// One element for each draft.
    pub entries: Vec<Appended>,
    /// Whether a new chain was opened.
    pub opened_chain: Option<ChainId>,
    /// Ref locks of dead processes that were cleared.
    pub cleared: Vec<StaleLock>,
}

/// An entry that is written and not yet pointed to.
struct Written {
    tip: Tip,
    once: Option<String>,
}

/// Artifacts waiting for their commits, by whether they are evidence.
#[derive(Default)]
struct Shelf {
    entries: Vec<Shelved>,
}

/// The artifacts of one entry.
struct Shelved {
    entry: EntryRef,
    time: Timestamp,
    kept: Vec<Kept>,
    /// Whether reviewers need them.
    evidence: bool,
}

/// Artifact commits that are written, while nobody else of ours writes others.
struct KeptMoves {
    moves: Vec<RefMove>,
    _lock: Lock,
}

/// What an append takes along.
pub trait Along {
    /// More facts, which build on those before them: these are signed already, and nothing points to them yet.
    ///
    /// # Errors
    /// Ends the append; nothing is recorded then.
    fn more(&mut self, _before: &[Appended]) -> Result<Vec<Draft>, StoreError> {
        Ok(Vec::new())
    }

    /// Refs that move in the same transaction as the chain's.
    ///
    /// # Errors
    /// Ends the append; nothing is recorded then.
    fn moves(&mut self, _entries: &[Appended]) -> Result<Vec<RefMove>, StoreError> {
        Ok(Vec::new())
    }

    /// Told of every move just before the transaction.
    ///
    /// # Errors
    /// Ends the append; nothing is recorded then.
    fn ready(&mut self, _moves: &[RefMove]) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Nothing along.
pub struct Alone;

impl Along for Alone {}

impl Store {
    /// Appends `drafts` to the scope's chain: all of them or none, in order.
    ///
    /// Citations of the chain itself are left out, as its own links lead there. A draft whose idempotency key is there already with the same content changes nothing and returns the
    /// entry that is there. A chain is opened when the scope has none yet, or the one it had belongs to another
    /// copy of this clone.
    ///
    /// # Errors
    /// [`StoreError::OnceConflict`] when a key was used with other content, [`StoreError::Moved`] when a ref
    /// moved; nothing is recorded then.
    pub fn append(
        &self,
        options: &AppendOptions<'_>,
        drafts: Vec<Draft>,
    ) -> Result<AppendReport, StoreError> {
        self.append_along(options, drafts, &mut Alone)
    }

    /// As [`Store::append`], together with whatever `along` adds to it: all of it happens, or nothing.
    ///
    /// # Errors
    /// As there, and those of `along`.
    pub fn append_along(
        &self,
        options: &AppendOptions<'_>,
        drafts: Vec<Draft>,
        along: &mut dyn Along,
    ) -> Result<AppendReport, StoreError> {
        self.check_writable()?;
        let key = options.signer.id();
        let lock = Lock::acquire(&self.state_dir().join("locks"), &options.scope.file_name(key))?;
        let mut report = AppendReport::default();
        let mut chain = self.open_chain(options, lock.abandoned, &mut report)?;
        if let Some(rests_on) = &options.rests_on {
            self.check_unchanged(rests_on, &chain)?;
        }
        let mut once = OnceLookup::new(self, &chain, &drafts)?;
        let mut written: Vec<Written> = Vec::new();
        let mut shelf = Shelf::default();

        let rules = self.content_rules();
        let (mut waiting, mut asked) = (VecDeque::from(drafts), false);
        for index in 0.. {
            if waiting.is_empty() && !std::mem::replace(&mut asked, true) {
                waiting.extend(along.more(&report.entries)?);
            }
            let Some(mut draft) = waiting.pop_front() else { break };
            let time = options.times.and_then(|times| times.get(index).copied()).unwrap_or(self.now());
            let redactions = redact_texts(&mut draft, options.redactor);
            if let Some(found) = once.find(self, &draft, options)? {
                report.entries.push(found);
                continue;
            }
            if chain.tip.is_none() {
                let opening = self.opening(options, &chain);
                let first = options.times.and_then(|times| times.first().copied()).unwrap_or(time);
                self.write_entry(options, &mut chain, opening, first, &mut written)?;
                report.opened_chain = Some(chain.writer.chain);
            }
            let once_key = draft.once.clone().map(|key| (key, draft.fact.clone()));
            let (kept, found) = self.store_contents(&mut draft.fact, options.redactor, rules)?;
            let (receipt, evidence) = (draft.receipt, draft.fact.is_evidence());
            let entry = self.write_entry(options, &mut chain, draft, time, &mut written)?;
            if !kept.is_empty() {
                shelf.entries.push(Shelved { entry: entry.entry, time: entry.time, kept, evidence });
            }
            let appended = Appended {
                entry: entry.entry,
                commit: entry.commit,
                receipt,
                existing: false,
                redactions: redactions + found,
            };
            if let Some((key, said)) = once_key {
                once.fresh.insert(key, (appended.clone(), said));
            }
            report.entries.push(appended);
        }
        if written.is_empty() {
            return Ok(report);
        }
        let kept = self.keep_artifacts(&chain.writer, &shelf)?;
        // First: an artifact that no entry names is garbage, an entry whose artifacts no ref keeps loses them.
        let mut moves: Vec<RefMove> = kept.iter().flat_map(|kept| kept.moves.clone()).collect();
        moves.extend(along.moves(&report.entries)?);
        self.publish(&chain, &written, &mut report, lock.abandoned, moves, along)?;
        drop(kept);
        once.advance(self, &chain, &written);
        self.remember(options, chain)?;
        Ok(report)
    }

    /// Refuses where entries of this very chain changed meanwhile what the drafts rest on. Those of other chains cannot
    /// have been seen and lose, or win, the race by the rules; our own would count as seen.
    fn check_unchanged(&self, rests_on: &RestsOn<'_>, chain: &OpenChain) -> Result<(), StoreError> {
        let seen = (rests_on.tip)(chain.writer.chain);
        let mut next = chain.tip.as_ref().map(|tip| tip.commit);
        while let Some(commit) = next.take().filter(|commit| Some(*commit) != seen) {
            let Some(bytes) = self.commit_bytes(commit)? else { return Ok(()) };
            let Ok(layout) = commit::parse(&bytes) else { return Ok(()) };
            let Ok(read) = Body::read(layout.body) else { return Ok(()) };
            if read.body.receipt == Some(rests_on.receipt) && read.body.fact.decides() {
                return Err(StoreError::Moved {
                    name: format!("{}{}", names::CHAINS, chain.writer.chain),
                    cause: format!("`{}` was stated meanwhile", read.body.fact.kind()),
                });
            }
            next = layout.parents.first().copied().filter(|_| read.body.seq > 0);
        }
        Ok(())
    }

    /// Places, signs and writes one entry; the chain's tip moves on in memory only.
    fn write_entry(
        &self,
        options: &AppendOptions<'_>,
        chain: &mut OpenChain,
        draft: Draft,
        time: Timestamp,
        written: &mut Vec<Written>,
    ) -> Result<Tip, StoreError> {
        let mut draft = draft;
        // Known only under the lock: an entry of this very chain is not cited, `prev` leads to it.
        draft.cites.retain(|cite| cite.chain != chain.writer.chain);
        if let Fact::ProposalRevised(revised) = &mut draft.fact
            && let Some(Replaced::Citation(cite)) = revised.replaces
            && cite.chain == chain.writer.chain
        {
            revised.replaces = Some(Replaced::Own(cite.digest));
        }
        let once = draft.once.clone();
        let mut parents: Vec<Oid> = chain.tip.iter().map(|tip| tip.commit).collect();
        for cite in &draft.cites {
            parents.push(self.commit_of(*cite)?);
        }
        let body = chain.writer.place(draft, chain.tip.as_ref(), time);
        let bytes = body.to_bytes().map_err(|error| StoreError::Format(error.to_string()))?;
        let armour = options.signer.sign(&bytes)?;
        let subject = body.subject();
        let parts = Parts {
            parents: &parents,
            name: &chain.writer.name,
            email: &chain.writer.email,
            time: body.time,
            subject: &subject,
            body: &bytes,
            armour: &armour,
        };
        let object = commit::encode(&parts, self.empty_tree());
        let commit = self.write_object(Kind::Commit, &object)?;
        let entry = EntryRef { chain: body.chain, seq: body.seq, digest: Digest::of(&bytes) };
        let tip = Tip { entry, commit, time: body.time };
        written.push(Written { tip: tip.clone(), once });
        chain.tip = Some(tip.clone());
        Ok(tip)
    }

    /// Moves contents out of the fact where they must not stay in the body.
    fn store_contents(
        &self,
        fact: &mut Fact,
        redactor: &Redactor,
        rules: ContentRules,
    ) -> Result<(Vec<Kept>, u64), StoreError> {
        let may_stay_anyway = matches!(fact, Fact::RemarkMade(_) | Fact::ReplayChecked(_));
        let (mut kept, mut count) = (Vec::new(), 0);
        let tree = |oid: Oid| (oid != self.empty_tree()).then_some(Kept { digest: None, oid });
        match fact {
            Fact::SnapshotTaken(snapshot) => {
                kept.extend(std::iter::once(snapshot.worktree).chain(snapshot.index).filter_map(tree));
            }
            Fact::ProposalMade(made) | Fact::ProposalRevised(made) => {
                kept.extend([made.base.tree, made.tree].into_iter().filter_map(tree));
                kept.push(Kept { digest: Some(made.lines.digest), oid: made.lines.oid });
            }
            Fact::LinesApplied(applied) => {
                let placed = applied.placed.iter();
                kept.extend(placed.map(|table| Kept { digest: Some(table.digest), oid: table.oid }));
            }
            _ => {}
        }
        let gate = matches!(fact, Fact::GateChecked(_));
        for (name, content) in fact.contents_mut() {
            let Some((pending, found)) = redacted(content, redactor) else { continue };
            count += found;
            // Where a gate ran is needed to run it again, and a folder of the project is no secret.
            let where_it_ran = gate && name == "environment";
            let may_stay = rules.inline || may_stay_anyway || where_it_ran || pending.bytes.is_empty();
            let (stored, artifact) = self.store_content(pending, found, may_stay, rules)?;
            *content = stored;
            kept.extend(artifact);
        }
        Ok((kept, count))
    }

    /// Writes a commit for each entry's artifacts, on top of this month's refs, which are to move together with the
    /// chain: what is refused leaves none of them behind.
    fn keep_artifacts(&self, writer: &Writer, shelf: &Shelf) -> Result<Option<KeptMoves>, StoreError> {
        if shelf.entries.is_empty() {
            return Ok(None);
        }
        let lock = Lock::acquire(&self.state_dir().join("locks"), ARTIFACTS_LOCK)?;
        let mut moves = Vec::new();
        for evidence in [true, false] {
            let name = self.artifact_ref(evidence, self.now())?;
            let seen = self.find_ref(&name)?;
            let mut parent = seen;
            for one in shelf.entries.iter().filter(|one| one.evidence == evidence) {
                let author = (writer.name.as_str(), writer.email.as_str());
                parent = Some(self.write_artifact_commit(one.entry, &one.kept, author, one.time, parent)?);
            }
            if parent != seen {
                lock::clear_stale(self.common_dir(), &name, lock.abandoned);
                let message = format!("artifacts of {}", writer.chain);
                moves.push(RefMove { name, expected: seen, new: parent, reflog: false, message });
            }
        }
        Ok(Some(KeptMoves { moves, _lock: lock }))
    }

    fn publish(
        &self,
        chain: &OpenChain,
        written: &[Written],
        report: &mut AppendReport,
        abandoned: bool,
        mut moves: Vec<RefMove>,
        along: &mut dyn Along,
    ) -> Result<(), StoreError> {
        let Some(tip) = &chain.tip else { return Ok(()) };
        if chain.expected.is_none() {
            // `git fsck` wants the tree of every commit, and git itself writes the empty one only on demand.
            self.write_object(Kind::Tree, b"")?;
        }
        let name = format!("{}{}", names::CHAINS, chain.writer.chain);
        report.cleared.extend(lock::clear_stale(self.common_dir(), &name, abandoned));
        let message = match written {
            [one] => format!("receipt: entry {}", one.tip.entry.seq),
            more => format!("receipt: {} entries to {}", more.len(), tip.entry.seq),
        };
        // Last, as it is what counts: without it the others are hints that lead nowhere yet.
        moves.push(RefMove { name, expected: chain.expected, new: Some(tip.commit), reflog: true, message });
        let sync = self.config_bool("receipt.fsync").unwrap_or(false);
        if sync {
            // Before the ref names them: a power cut must not leave a chain that ends in nothing.
            self.sync_objects(written)?;
        }
        along.ready(&moves)?;
        self.move_refs(&moves)?;
        if sync {
            self.sync_ref(chain.writer.chain)?;
        }
        Ok(())
    }

    /// Flushes the new commits to the disk.
    fn sync_objects(&self, written: &[Written]) -> Result<(), StoreError> {
        let objects = self.repo.objects.store_ref().path();
        written.iter().try_for_each(|entry| {
            let hex = entry.tip.commit.to_hex();
            flush(&objects.join(&hex[..2]).join(&hex[2..]))
        })
    }

    /// Flushes the chain's ref and its folder to the disk.
    fn sync_ref(&self, chain: ChainId) -> Result<(), StoreError> {
        let path = self.common_dir().join(format!("{}{chain}", names::CHAINS));
        flush(&path)?;
        path.parent().map_or(Ok(()), flush)
    }

    /// Updates the hints; the append stands whether or not this works.
    fn remember(&self, options: &AppendOptions<'_>, chain: OpenChain) -> Result<(), StoreError> {
        let Some(tip) = &chain.tip else { return Ok(()) };
        let old = chain.state;
        let state = ChainState {
            place: Place::of(self.common_dir()),
            chain: chain.writer.chain,
            repo: chain.writer.repo,
            name: chain.writer.name,
            email: chain.writer.email,
            tip: Some(TipState { commit: tip.commit, entry: tip.entry, time: tip.time }),
            remotes: old.as_ref().map(|state| state.remotes.clone()).unwrap_or_default(),
            continues: chain.continues.map(|entry| entry.chain).or(old.and_then(|state| state.continues)),
        };
        self.save_state(&options.scope, options.signer.id(), &state)
    }
}

/// Flushes a file or folder; a reftable has no file of a ref's name.
fn flush(path: &std::path::Path) -> Result<(), StoreError> {
    match std::fs::File::open(path) {
        Ok(file) => file.sync_all().map_err(StoreError::io("flush", path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("flush", path)(error)),
    }
}

/// Takes secrets out of the title and the short texts of a draft.
fn redact_texts(draft: &mut Draft, redactor: &Redactor) -> u64 {
    let mut count = 0;
    let (title, found) = redactor.redact_str(&draft.title);
    draft.title = clean_title(&title);
    count += found;
    if let Some(key) = &draft.once
        && redactor.redact_str(key).1 > 0
    {
        // Still the same key for the same thing, and nothing to be read from it.
        draft.once = Some(format!("redacted:{}", Digest::of(key.as_bytes()).to_hex()));
    }
    for path in draft.fact.paths_mut() {
        let clean = redactor.redact(path.as_bytes());
        if clean.count > 0 {
            count += clean.count;
            *path = GitPath::new(clean.bytes.into_owned());
        }
    }
    for text in draft.fact.texts_mut() {
        let (clean, found) = redactor.redact_str(text);
        if found > 0 {
            *text = clean.into_owned();
            count += found;
        }
    }
    count
}
