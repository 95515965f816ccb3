//! What was said before under the same idempotency key, by this chain or by those it continues.

use std::collections::{HashMap, HashSet};

use super::chain::OpenChain;
use super::{AppendOptions, Appended, Written};
use crate::domain::commit;
use crate::domain::entry::{Body, Draft, Tip};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{ToolStatus, UsageCounted};
use crate::domain::fact::values::{Content, Pending};
use crate::domain::ids::{ChainId, Digest, EntryRef, Oid, ReceiptId};
use crate::domain::redact::Redactor;
use crate::store::artifacts::redacted;
use crate::store::error::StoreError;
use crate::store::keys::Signer;
use crate::store::once::{OnceTable, Place as OncePlace, TableTip};
use crate::store::state::ChainScope;
use crate::store::{Store, names};

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

/// Idempotency keys of a chain, the chains it continues, and this very append.
pub(super) struct OnceLookup {
    table: Option<OnceTable>,
    earlier: Vec<OnceTable>,
    pub(super) fresh: HashMap<String, (Appended, Fact)>,
}

impl OnceLookup {
    /// Opens tables only when a draft has a key, or the chain has a table that must not fall behind.
    pub(super) fn new(store: &Store, chain: &OpenChain, drafts: &[Draft]) -> Result<Self, StoreError> {
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

    /// Adds what was just written to the chain's table.
    pub(super) fn advance(self, store: &Store, chain: &OpenChain, written: &[Written]) {
        let (Some(mut table), Some(tip)) = (self.table, &chain.tip) else { return };
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
            let _ = std::fs::remove_file(store.once_path(chain.writer.chain));
        }
    }

    /// The entry that has the draft's key already.
    pub(super) fn find(
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

impl Store {
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
