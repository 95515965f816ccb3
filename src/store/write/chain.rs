//! Which chain a scope goes on with: the one it had, or a new one that takes over from it.

use super::{AppendOptions, AppendReport};
use crate::domain::commit;
use crate::domain::entry::{Body, Draft, Tip, Writer};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{ChainOpened, Session, Tool};
use crate::domain::fact::values::Nonce;
use crate::domain::ids::{ChainId, Digest, EntryRef, Oid, ReceiptId, Timestamp};
use crate::store::error::StoreError;
use crate::store::lock;
use crate::store::state::{ChainScope, ChainState, Place, TipState};
use crate::store::{Store, names};

/// A chain under our lock, with everything needed to add to it.
pub(super) struct OpenChain {
    pub(super) writer: Writer,
    pub(super) tip: Option<Tip>,
    /// What the ref must point to: the tip, or nothing where the chain is new or sealed.
    pub(super) expected: Option<Oid>,
    pub(super) continues: Option<EntryRef>,
    pub(super) state: Option<ChainState>,
}

impl Store {
    /// Finds the scope's chain and its tip, or prepares a new chain.
    pub(super) fn open_chain(
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

    pub(super) fn opening(&self, options: &AppendOptions<'_>, chain: &OpenChain) -> Draft {
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

    /// Reads the tip of a chain of ours from its commit.
    pub(super) fn tip_at(&self, commit: Oid, chain: ChainId) -> Result<Tip, StoreError> {
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

    /// The chain that the one ending at `tip` takes over from.
    pub(super) fn continued_from(&self, tip: Oid) -> Result<Option<ChainId>, StoreError> {
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
}
