//! Appending: objects first, then one ref transaction guarded by the tips that were read, then hints.

use std::collections::{HashMap, HashSet};

use gix::object::Kind;

use super::artifacts::{Kept, plain_commit, redacted};
use super::error::StoreError;
use super::keys::Signer;
use super::lock::{self, Lock, StaleLock};
use super::once::{OnceTable, Place as OncePlace, TableTip};
use super::refs::RefMove;
use super::state::{ChainScope, ChainState, Place, TipState};
use super::{Store, names};
use crate::domain::commit::{self, Parts};
use crate::domain::entry::{Body, Draft, Tip, Writer, clean_title};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{ChainOpened, Role, Session, Tool, ToolStatus, UsageCounted};
use crate::domain::fact::values::{Content, GitPath, Nonce, Pending};
use crate::domain::ids::{ChainId, Digest, EntryRef, Oid, ReceiptId, Timestamp};
use crate::domain::redact::Redactor;

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
}

/// What a draft means whose idempotency key is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// The same if it says the same, else an error.
    SayTheSame,
    /// The same, whatever it says: several witnesses tell of one thing, and the first was recorded.
    FirstCounts,
}

/// What a scope's chains have told already.
#[derive(Debug, Clone, Default)]
pub struct AlreadyTold {
    /// Every idempotency key, with the receipt it was used for.
    pub once: HashMap<String, Option<ReceiptId>>,
    /// The receipts that were closed there.
    pub closed: HashSet<ReceiptId>,
    /// What was counted under each key.
    pub usage: HashMap<String, UsageCounted>,
    /// The keys of calls without a result.
    pub unknown: HashSet<String>,
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

/// A chain under our lock, with everything needed to add to it.
struct OpenChain {
    writer: Writer,
    tip: Option<Tip>,
    /// What the ref must point to: the tip, or nothing where the chain is new or sealed.
    expected: Option<Oid>,
    continues: Option<EntryRef>,
    state: Option<ChainState>,
}

/// An entry that is written and not yet pointed to.
struct Written {
    tip: Tip,
    once: Option<String>,
}

/// Artifacts waiting for their commits, by whether they are evidence.
#[derive(Default)]
struct Shelf {
    entries: Vec<(EntryRef, Timestamp, Vec<Kept>)>,
}

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
        self.check_writable()?;
        let key = options.signer.id();
        let lock = Lock::acquire(&self.state_dir().join("locks"), &options.scope.file_name(key))?;
        let mut report = AppendReport::default();
        let mut chain = self.open_chain(options, lock.abandoned, &mut report)?;
        let mut once = OnceLookup::new(self, &chain, &drafts)?;
        let mut written: Vec<Written> = Vec::new();
        let mut shelf = Shelf::default();

        if chain.tip.is_none() && !drafts.is_empty() {
            let time = options.times.and_then(|times| times.first().copied()).unwrap_or(self.now());
            let draft = self.opening(options, &chain);
            self.write_entry(options, &mut chain, draft, time, &mut written)?;
            report.opened_chain = Some(chain.writer.chain);
        }
        let rules = self.content_rules();
        for (index, mut draft) in drafts.into_iter().enumerate() {
            let time = options.times.and_then(|times| times.get(index).copied()).unwrap_or(self.now());
            let redactions = redact_texts(&mut draft, options.redactor);
            if let Some(found) = once.find(self, &draft, options)? {
                report.entries.push(found);
                continue;
            }
            let once_key = draft.once.clone().map(|key| (key, draft.fact.clone()));
            let (kept, found) = self.store_contents(&mut draft.fact, options.redactor, rules)?;
            let receipt = draft.receipt;
            let entry = self.write_entry(options, &mut chain, draft, time, &mut written)?;
            if !kept.is_empty() {
                shelf.entries.push((entry.entry, entry.time, kept));
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
        self.keep_artifacts(&chain.writer, &shelf)?;
        self.publish(&chain, &written, &mut report, lock.abandoned)?;
        self.remember(options, chain, &written, once.table)?;
        Ok(report)
    }

    /// Finds the scope's chain and its tip, or prepares a new chain.
    fn open_chain(
        &self,
        options: &AppendOptions<'_>,
        abandoned: bool,
        report: &mut AppendReport,
    ) -> Result<OpenChain, StoreError> {
        let key = options.signer.id();
        let place = Place::of(self.common_dir());
        let Some(state) = self.load_state(&options.scope, key) else {
            let continues = self.lost_chain(options)?;
            return Ok(self.new_chain(options, continues));
        };
        let ref_name = format!("{}{}", names::CHAINS, state.chain);
        report.cleared.extend(lock::clear_stale(self.common_dir(), &ref_name, abandoned));
        let on_ref = self.find_ref(&ref_name)?;
        let sealed_tip = || match (&on_ref, &state.tip) {
            (None, Some(tip)) => self.is_sealed(tip.entry).map(|sealed| sealed.then_some(tip.commit)),
            _ => Ok(None),
        };
        let Some(tip_commit) = (match on_ref {
            Some(commit) => Some(commit),
            None => sealed_tip()?,
        }) else {
            // The ref is gone and no seal covers it: what is remembered says what is missing.
            let continues = state.tip.as_ref().map(|tip| tip.entry);
            return Ok(self.new_chain(options, continues));
        };
        let tip = match &state.tip {
            Some(known) if known.commit == tip_commit => {
                Tip { entry: known.entry, commit: known.commit, time: known.time }
            }
            _ => self.tip_at(tip_commit, state.chain)?,
        };
        let mut state = state;
        if let Some(known) = &state.tip
            && !self.continues_at(known, &tip)?
        {
            // The ref was set back: going on from there would claim a place twice.
            let lost = known.entry;
            return Ok(self.new_chain(options, Some(lost)));
        }
        if state.place != place || self.is_behind_remote(&mut state, &tip)? || state.repo != options.repo {
            return Ok(self.new_chain(options, Some(tip.entry)));
        }
        if self.ends_chain(&tip)? {
            return Ok(self.new_chain(options, Some(tip.entry)));
        }
        let writer = Writer {
            repo: state.repo,
            chain: state.chain,
            signer: key.clone(),
            name: state.name.clone(),
            email: state.email.clone(),
        };
        Ok(OpenChain { writer, tip: Some(tip), expected: on_ref, continues: None, state: Some(state) })
    }

    fn new_chain(&self, options: &AppendOptions<'_>, continues: Option<EntryRef>) -> OpenChain {
        let time = options.times.and_then(|times| times.first().copied()).unwrap_or(self.now());
        let writer = Writer {
            repo: options.repo,
            chain: ChainId::from_parts(time, self.random_80()),
            signer: options.signer.id().clone(),
            name: commit::clean_ident(&options.name),
            email: commit::clean_ident(&options.email),
        };
        OpenChain { writer, tip: None, expected: None, continues, state: None }
    }

    /// 80 random bits.
    fn random_80(&self) -> u128 {
        u128::from_be_bytes(self.random::<16>()) >> 48
    }

    /// A new receipt's id, of this moment.
    pub fn new_receipt_id(&self, time: Timestamp) -> ReceiptId {
        ReceiptId::from_parts(time, self.random_80())
    }

    fn opening(&self, options: &AppendOptions<'_>, chain: &OpenChain) -> Draft {
        let session = match &options.scope {
            ChainScope::Console => None,
            ChainScope::Session { source, id } => Some(Session { id: id.clone(), source: source.clone() }),
        };
        let title = match &session {
            None => "console".to_owned(),
            Some(session) => format!("{} session", session.source),
        };
        let opened = ChainOpened {
            public_key: options.signer.public().to_openssh().unwrap_or_default(),
            name: options.name.clone(),
            email: options.email.clone(),
            role: options.role,
            nonce: Nonce(self.random()),
            tool: Some(Tool { name: "git-receipt".into(), version: env!("CARGO_PKG_VERSION").into() }),
            session,
            continues: chain.continues,
        };
        Draft::new(None, &title, Fact::ChainOpened(opened))
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
        rules: super::artifacts::ContentRules,
    ) -> Result<(Vec<Kept>, u64), StoreError> {
        let may_stay_anyway = matches!(fact, Fact::RemarkMade(_) | Fact::ReplayChecked(_));
        let (mut kept, mut count) = (Vec::new(), 0);
        if let Fact::SnapshotTaken(snapshot) = fact {
            let trees = std::iter::once(snapshot.worktree).chain(snapshot.index);
            let trees = trees.filter(|tree| *tree != self.empty_tree());
            kept.extend(trees.map(|tree| Kept { digest: None, oid: tree }));
        }
        for (_, content) in fact.contents_mut() {
            let Some((pending, found)) = redacted(content, redactor) else { continue };
            count += found;
            let may_stay = rules.inline || may_stay_anyway || pending.bytes.is_empty();
            let (stored, artifact) = self.store_content(pending, found, may_stay, rules)?;
            *content = stored;
            kept.extend(artifact);
        }
        Ok((kept, count))
    }

    /// Adds a commit for each entry's artifacts to this month's ref. An artifact commit that no entry names
    /// afterwards is garbage, so this goes before the chain moves.
    fn keep_artifacts(&self, writer: &Writer, shelf: &Shelf) -> Result<(), StoreError> {
        if shelf.entries.is_empty() {
            return Ok(());
        }
        let ref_name = self.artifact_ref(false, self.now())?;
        let lock = Lock::acquire(&self.state_dir().join("locks"), "artifacts")?;
        lock::clear_stale(self.common_dir(), &ref_name, lock.abandoned);
        let seen = self.find_ref(&ref_name)?;
        let mut parent = seen;
        for (entry, time, kept) in &shelf.entries {
            let author = (writer.name.as_str(), writer.email.as_str());
            parent = Some(self.write_artifact_commit(*entry, kept, author, *time, parent)?);
        }
        let message = format!("artifacts of {}", writer.chain);
        self.move_refs(&[RefMove { name: ref_name, expected: seen, new: parent, reflog: false, message }])
    }

    fn publish(
        &self,
        chain: &OpenChain,
        written: &[Written],
        report: &mut AppendReport,
        abandoned: bool,
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
        let moved = RefMove { name, expected: chain.expected, new: Some(tip.commit), reflog: true, message };
        let sync = self.config_bool("receipt.fsync").unwrap_or(false);
        if sync {
            // Before the ref names them: a power cut must not leave a chain that ends in nothing.
            self.sync_objects(written)?;
        }
        self.move_refs(&[moved])?;
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
    fn remember(
        &self,
        options: &AppendOptions<'_>,
        chain: OpenChain,
        written: &[Written],
        table: Option<OnceTable>,
    ) -> Result<(), StoreError> {
        let Some(tip) = &chain.tip else { return Ok(()) };
        if let Some(mut table) = table {
            let kept: std::io::Result<()> = (|| {
                for entry in written {
                    if let Some(key) = &entry.once {
                        table.insert(key, &once_place(&entry.tip))?;
                    }
                }
                table.set_tip(table_tip(tip))
            })();
            if kept.is_err() {
                // Behind or torn: the next use rebuilds it.
                let _ = std::fs::remove_file(self.once_path(chain.writer.chain));
            }
        }
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

    /// Reads the tip of a chain of ours from its commit.
    fn tip_at(&self, commit: Oid, chain: ChainId) -> Result<Tip, StoreError> {
        let link = self.read_link(commit)?;
        let broken =
            || StoreError::Corrupt(format!("chain `{chain}` ends in `{commit}`, which is no sound entry"));
        let link = link.filter(|link| link.findings.is_empty()).ok_or_else(broken)?;
        link.tip().filter(|tip| tip.entry.chain == chain).ok_or_else(broken)
    }

    /// Whether `tip` is what is remembered or comes after it in the chain, as after a crash before remembering.
    fn continues_at(&self, known: &TipState, tip: &Tip) -> Result<bool, StoreError> {
        let (mut at, mut seq) = (Some(tip.commit), tip.entry.seq);
        while let Some(commit) = at.filter(|_| seq > known.entry.seq) {
            at = self.parents_of(commit)?.first().copied();
            seq -= 1;
        }
        Ok(at == Some(known.commit))
    }

    /// Whether nothing may follow `tip`.
    fn ends_chain(&self, tip: &Tip) -> Result<bool, StoreError> {
        let Some(bytes) = self.commit_bytes(tip.commit)? else {
            return Err(StoreError::Corrupt(format!("commit `{}` of a chain's tip is missing", tip.commit)));
        };
        let message =
            bytes.windows(2).position(|pair| pair == b"\n\n").map_or(&[][..], |at| &bytes[at + 2..]);
        Ok(message.starts_with(b"chain.closed:"))
    }

    /// Whether a remote has entries of the chain that this clone lacks: then the clone was set back, and going
    /// on would write two different entries under one number.
    fn is_behind_remote(&self, state: &mut ChainState, tip: &Tip) -> Result<bool, StoreError> {
        for (name, remote_tip) in self.remote_tips(state.chain)? {
            if state.remotes.contains(&(name.clone(), remote_tip)) {
                continue;
            }
            let Some(link) = self.read_link(remote_tip)? else { return Ok(true) };
            let Some(remote) = link.tip() else { continue };
            let mut at = Some(tip.commit);
            let mut seq = tip.entry.seq;
            while let Some(commit) = at.filter(|_| seq > remote.entry.seq) {
                let bytes = self.commit_bytes(commit)?.unwrap_or_default();
                at = commit::parse(&bytes).ok().and_then(|layout| layout.parents.first().copied());
                seq -= 1;
            }
            if at != Some(remote_tip) {
                return Ok(true);
            }
            state.remotes.retain(|(known, _)| *known != name);
            state.remotes.push((name, remote_tip));
        }
        Ok(false)
    }

    /// Whether a chain of seals cites exactly this tip.
    fn is_sealed(&self, tip: EntryRef) -> Result<bool, StoreError> {
        for (_, seal_tip) in self.list_refs(names::SEALED)? {
            let mut next = Some(seal_tip);
            while let Some(commit) = next {
                let Some(bytes) = self.commit_bytes(commit)? else { break };
                let Ok(layout) = commit::parse(&bytes) else { break };
                let Ok(read) = Body::read(layout.body) else { break };
                if matches!(read.body.fact, Fact::ChainsSealed(_)) && read.body.cites.contains(&tip) {
                    return Ok(true);
                }
                next = layout.parents.first().copied().filter(|_| read.body.seq > 0);
            }
        }
        Ok(false)
    }

    /// The newest chain of this scope and key that the refs know, when the hint file is gone.
    fn lost_chain(&self, options: &AppendOptions<'_>) -> Result<Option<EntryRef>, StoreError> {
        let mut newest: Option<(Timestamp, EntryRef)> = None;
        for (_, tip) in self.list_refs(names::CHAINS)? {
            let Some(link) = self.read_link(tip)? else { continue };
            let Some(entry) = link.entry.as_ref().filter(|entry| entry.body.signer == *options.signer.id())
            else {
                continue;
            };
            let candidate = (entry.body.time, entry.reference());
            if newest.is_none_or(|best| best < candidate) && self.opens_scope(tip, &options.scope)? {
                newest = Some(candidate);
            }
        }
        Ok(newest.map(|(_, entry)| entry))
    }

    /// Whether the chain that ends at `tip` was opened for `scope`.
    fn opens_scope(&self, tip: Oid, scope: &ChainScope) -> Result<bool, StoreError> {
        let mut next = tip;
        loop {
            let Some(bytes) = self.commit_bytes(next)? else { return Ok(false) };
            let Ok(layout) = commit::parse(&bytes) else { return Ok(false) };
            match layout.parents.first() {
                Some(parent) => next = *parent,
                None => {
                    let Ok(read) = Body::read(layout.body) else { return Ok(false) };
                    let Fact::ChainOpened(opened) = read.body.fact else { return Ok(false) };
                    return Ok(match scope {
                        ChainScope::Console => opened.session.is_none(),
                        ChainScope::Session { source, id } => {
                            opened.session.is_some_and(|s| s.source == *source && s.id == *id)
                        }
                    });
                }
            }
        }
    }

    /// Whether a chain of this clone is here, by its ref or under a seal.
    pub fn has_chain(&self, chain: ChainId) -> bool {
        let named = |name: &str| self.find_ref(name).is_ok_and(|found| found.is_some());
        if named(&format!("{}{chain}", names::CHAINS)) {
            return true;
        }
        // Sealed chains have no ref of their own, and seals are rare: then its last entry has to be looked for.
        let seals = self.list_refs(names::SEALED).unwrap_or_default();
        let remembered = self.remembered_tips();
        let tip = remembered.iter().find(|tip| tip.chain == chain);
        !seals.is_empty() && tip.is_some_and(|tip| self.is_sealed(*tip).unwrap_or(false))
    }

    /// The commit of an entry of another chain, found from the chain's refs.
    pub fn commit_of(&self, entry: EntryRef) -> Result<Oid, StoreError> {
        let suffix = format!("/{}", entry.chain);
        let mut tips = Vec::new();
        for folder in [names::CHAINS, names::SEALED] {
            tips.extend(self.find_ref(&format!("{folder}{}", entry.chain))?);
        }
        if tips.is_empty() {
            let remote = self.list_refs(names::REMOTES)?;
            tips.extend(remote.into_iter().filter(|(name, _)| name.ends_with(&suffix)).map(|(_, tip)| tip));
        }
        for tip in tips {
            let mut next = Some(tip);
            while let Some(commit) = next {
                let Some(bytes) = self.commit_bytes(commit)? else { break };
                let Ok(layout) = commit::parse(&bytes) else { break };
                if Digest::of(layout.body) == entry.digest {
                    return Ok(commit);
                }
                next = layout.parents.first().copied();
            }
        }
        Err(StoreError::Missing(format!("entry `{}@{}` is not here", entry.chain, entry.seq)))
    }

    fn once_path(&self, chain: ChainId) -> std::path::PathBuf {
        self.state_dir().join("once").join(chain.to_string())
    }

    /// Opens a chain's table of idempotency keys and brings it up to `tip`.
    fn once_table(&self, chain: ChainId, tip: Option<&Tip>) -> Result<OnceTable, StoreError> {
        let path = self.once_path(chain);
        let io = |error| StoreError::io("use", &path)(error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        }
        let kept = OnceTable::open(&path).map_err(io)?;
        let io = |error| StoreError::io("use", &path)(error);
        let known = kept.as_ref().and_then(OnceTable::tip);
        if known == tip.map(table_tip)
            && let Some(table) = kept
        {
            return Ok(table);
        }
        // Walk back to where the table stands; if that is not on the chain, build it anew.
        let mut news = Vec::new();
        let mut reached = false;
        let mut next = tip.map(|tip| tip.commit);
        while let Some(commit) = next {
            if known.as_ref().is_some_and(|known| known.commit == padded(commit)) {
                reached = true;
                break;
            }
            let Some(bytes) = self.commit_bytes(commit)? else { break };
            let Ok(layout) = commit::parse(&bytes) else { break };
            let Ok(read) = Body::read(layout.body) else { break };
            if let Some(key) = read.body.once {
                news.push((key, OncePlace { seq: read.body.seq, commit: padded(commit) }));
            }
            next = layout.parents.first().copied().filter(|_| read.body.seq > 0);
        }
        let mut table = match kept.filter(|_| reached) {
            Some(table) => table,
            None => OnceTable::create(&path, news.len() as u64).map_err(io)?,
        };
        let io = |error| StoreError::io("use", &path)(error);
        for (key, place) in news.iter().rev() {
            table.insert(key, place).map_err(io)?;
        }
        if let Some(tip) = tip {
            table.set_tip(table_tip(tip)).map_err(StoreError::io("use", &path))?;
        }
        Ok(table)
    }

    /// What the scope's chain, and those it continues, have told already.
    ///
    /// # Errors
    /// When a chain cannot be read.
    pub fn told(&self, scope: &ChainScope, signer: &Signer) -> Result<AlreadyTold, StoreError> {
        let mut known = AlreadyTold::default();
        let mut chain = self.load_state(scope, signer.id()).map(|state| state.chain);
        while let Some(id) = chain.take() {
            let mut next = self.find_ref(&format!("{}{id}", names::CHAINS))?;
            while let Some(commit) = next.take() {
                let Some(bytes) = self.commit_bytes(commit)? else { break };
                let Ok(layout) = commit::parse(&bytes) else { break };
                let Ok(read) = Body::read(layout.body) else { break };
                if let Some(key) = read.body.once {
                    match &read.body.fact {
                        Fact::UsageCounted(usage) => drop(known.usage.insert(key.clone(), usage.clone())),
                        Fact::ToolCalled(call) if call.status == ToolStatus::Unknown => {
                            known.unknown.insert(key.clone());
                        }
                        _ => {}
                    }
                    known.once.entry(key).or_insert(read.body.receipt);
                }
                if matches!(read.body.fact, Fact::ReceiptClosed(_)) {
                    known.closed.extend(read.body.receipt);
                }
                match read.body.fact {
                    Fact::ChainOpened(opened) => chain = opened.continues.map(|entry| entry.chain),
                    _ => next = layout.parents.first().copied(),
                }
            }
        }
        Ok(known)
    }

    fn entry_with_once(
        &self,
        table: &OnceTable,
        key: &str,
    ) -> Result<Option<(Oid, Digest, Body)>, StoreError> {
        let places = table.get(key).map_err(StoreError::io("read", "once table"))?;
        for place in places {
            let commit = unpadded(place.commit, self.null_id());
            if let Some(bytes) = self.commit_bytes(commit)?
                && let Ok(layout) = commit::parse(&bytes)
                && let Ok(read) = Body::read(layout.body)
                && read.body.once.as_deref() == Some(key)
            {
                return Ok(Some((commit, Digest::of(layout.body), read.body)));
            }
        }
        Ok(None)
    }

    /// The chain that the one ending at `tip` takes over from.
    fn continued_from(&self, tip: Oid) -> Result<Option<ChainId>, StoreError> {
        let mut next = tip;
        loop {
            let Some(bytes) = self.commit_bytes(next)? else { return Ok(None) };
            let Ok(layout) = commit::parse(&bytes) else { return Ok(None) };
            match layout.parents.first() {
                Some(parent) => next = *parent,
                None => {
                    let Ok(read) = Body::read(layout.body) else { return Ok(None) };
                    let Fact::ChainOpened(opened) = read.body.fact else { return Ok(None) };
                    return Ok(opened.continues.map(|entry| entry.chain));
                }
            }
        }
    }

    /// Whether stored and drafted content are the same bytes, or of the same length where those are gone.
    fn same_content(&self, stored: &Content, drafted: &Pending) -> Result<bool, StoreError> {
        match stored {
            Content::Inline(text) => Ok(text.as_bytes() == drafted.bytes),
            Content::Detached(detached) => {
                let length = drafted.whole.unwrap_or(drafted.bytes.len() as u64);
                if detached.truncated || drafted.whole.is_some() {
                    return Ok(length == detached.bytes);
                }
                Ok(match self.read_content(detached)? {
                    Some(bytes) => bytes == drafted.bytes,
                    None => length == detached.bytes,
                })
            }
            Content::Pending(_) => Ok(false),
        }
    }

    /// A commit of ours that is no entry.
    pub(super) fn write_plain_commit(
        &self,
        tree: Oid,
        parents: &[Oid],
        author: (&str, &str),
        message: &str,
    ) -> Result<Oid, StoreError> {
        let bytes = plain_commit(tree, parents, author, self.now(), message);
        self.write_object(Kind::Commit, &bytes)
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

/// Idempotency keys of a chain, the chains it continues, and this very append.
struct OnceLookup {
    table: Option<OnceTable>,
    earlier: Vec<OnceTable>,
    fresh: HashMap<String, (Appended, Fact)>,
}

impl OnceLookup {
    /// Opens tables only when a draft has a key, or the chain has a table that must not fall behind.
    fn new(store: &Store, chain: &OpenChain, drafts: &[Draft]) -> Result<Self, StoreError> {
        let mut lookup = OnceLookup { table: None, earlier: Vec::new(), fresh: HashMap::new() };
        let wanted = drafts.iter().any(|draft| draft.once.is_some());
        if !wanted {
            return Ok(lookup);
        }
        lookup.table = Some(store.once_table(chain.writer.chain, chain.tip.as_ref())?);
        let mut continued = match (&chain.state, &chain.continues) {
            (Some(state), _) => state.continues,
            (None, continues) => continues.map(|entry| entry.chain),
        };
        while let Some(id) = continued {
            let Some(commit) = store.find_ref(&format!("{}{id}", names::CHAINS))? else { break };
            let tip = store.tip_at(commit, id)?;
            lookup.earlier.push(store.once_table(id, Some(&tip))?);
            continued = store.continued_from(commit)?;
        }
        Ok(lookup)
    }

    /// The entry that has the draft's key already.
    fn find(
        &self,
        store: &Store,
        draft: &Draft,
        options: &AppendOptions<'_>,
    ) -> Result<Option<Appended>, StoreError> {
        let Some(key) = &draft.once else { return Ok(None) };
        let any = options.repeats == Repeats::FirstCounts;
        if let Some((fresh, said)) = self.fresh.get(key) {
            if any || *said == draft.fact {
                return Ok(Some(Appended { existing: true, ..fresh.clone() }));
            }
            return Err(StoreError::OnceConflict {
                key: key.clone(),
                entry: "earlier in the same input".into(),
            });
        }
        for table in self.table.iter().chain(&self.earlier) {
            let Some((commit, digest, body)) = store.entry_with_once(table, key)? else { continue };
            if !any && !same_fact(store, &body.fact, &draft.fact, options.redactor)? {
                let entry = format!("at `{}@{}`", body.chain, body.seq);
                return Err(StoreError::OnceConflict { key: key.clone(), entry });
            }
            let entry = EntryRef { chain: body.chain, seq: body.seq, digest };
            let receipt = body.receipt;
            return Ok(Some(Appended { entry, commit, receipt, existing: true, redactions: 0 }));
        }
        Ok(None)
    }
}

/// Whether a stored fact says the same as a drafted one, contents compared before detaching.
fn same_fact(store: &Store, stored: &Fact, drafted: &Fact, redactor: &Redactor) -> Result<bool, StoreError> {
    let (mut stored, mut drafted) = (stored.clone(), drafted.clone());
    {
        let (ours, theirs) = (stored.contents_mut(), drafted.contents_mut());
        if ours.len() != theirs.len() {
            return Ok(false);
        }
        for ((name, ours), (other, theirs)) in ours.into_iter().zip(theirs) {
            let same = match redacted(theirs, redactor) {
                Some((pending, _)) => store.same_content(ours, &pending)?,
                None => ours == theirs,
            };
            if name != other || !same {
                return Ok(false);
            }
            *ours = Content::Inline(String::new());
            *theirs = Content::Inline(String::new());
        }
    }
    Ok(stored == drafted)
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

fn padded(commit: Oid) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..commit.as_bytes().len()].copy_from_slice(commit.as_bytes());
    bytes
}

fn unpadded(bytes: [u8; 32], like: Oid) -> Oid {
    Oid::from_bytes(&bytes[..like.as_bytes().len()]).expect("cut to the length of an id")
}

fn once_place(tip: &Tip) -> OncePlace {
    OncePlace { seq: tip.entry.seq, commit: padded(tip.commit) }
}

fn table_tip(tip: &Tip) -> TableTip {
    TableTip { seq: tip.entry.seq, commit: padded(tip.commit) }
}
