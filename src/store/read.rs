//! Chains as they are: every commit that our refs or their citations reach, inspected once.

use std::num::NonZero;
use std::sync::{Mutex, mpsc};

use super::error::StoreError;
use super::{Store, names, object_id};
use crate::domain::chain::{Inspector, Link};
use crate::domain::ids::{Oid, OidMap, OidSet};
use crate::domain::verify::{ChainRef, History, MissingCommit};

impl Store {
    /// The refs of all chains: ours and those fetched from remotes.
    ///
    /// # Errors
    /// When refs cannot be listed.
    pub fn chain_refs(&self) -> Result<(Vec<ChainRef>, Vec<String>), StoreError> {
        let (mut refs, mut odd) = (Vec::new(), Vec::new());
        for prefix in [names::CHAINS, names::SEALED, names::REMOTES] {
            odd.extend(self.symbolic_refs(prefix)?);
            for (name, tip) in self.list_refs(prefix)? {
                match parse_chain_ref(&name, tip) {
                    Some(Some(found)) => refs.push(found),
                    Some(None) => {}
                    None => odd.push(name),
                }
            }
        }
        refs.sort();
        Ok((refs, odd))
    }

    /// Reads and inspects every entry that `refs` reach, following first parents and citations.
    ///
    /// # Errors
    /// When refs cannot be listed; a missing or damaged commit is part of the result instead.
    pub fn read_history(&self) -> Result<History, StoreError> {
        let (refs, odd_refs) = self.chain_refs()?;
        let tips: Vec<Oid> = refs.iter().map(|r| r.tip).collect();
        let (links, missing) = self.read_links(&tips)?;
        Ok(History { refs, links, missing, odd_refs })
    }

    /// One reader, and a verifier on every core: reading an object is an eighth of the work on it.
    fn read_links(&self, tips: &[Oid]) -> Result<(OidMap<Link>, Vec<MissingCommit>), StoreError> {
        const BATCH: usize = 64;
        type Batch = Vec<(Oid, Vec<u8>)>;
        let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
        let (send, receive) = mpsc::sync_channel::<Batch>(workers * 4);
        let receive = Mutex::new(receive);
        let shallow: OidSet = self.shallow_commits();
        let checked = self.checked();
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..workers)
                .map(|_| {
                    scope.spawn(|| {
                        let (mut inspector, mut links) = (Inspector::knowing(checked.as_ref()), Vec::new());
                        loop {
                            let next = receive.lock().map(|queue| queue.recv());
                            let Ok(Ok(batch)) = next else { break (links, inspector.into_fresh()) };
                            links.extend(
                                batch.iter().map(|(commit, bytes)| inspector.inspect(*commit, bytes)),
                            );
                        }
                    })
                })
                .collect();
            let walked = self.walk(tips, &shallow, BATCH, |batch| {
                // A worker ends only when the channel does, so sending cannot fail while walking.
                let _ = send.send(batch);
            });
            drop(send);
            let (mut links, mut all_fresh) = (OidMap::default(), Vec::new());
            for handle in handles {
                let (found, fresh) =
                    handle.join().map_err(|_| StoreError::Corrupt("a verifier panicked".into()))?;
                links.extend(found.into_iter().map(|link| (link.commit, link)));
                all_fresh.extend(fresh);
            }
            if checked.is_some() {
                self.remember_checked(&all_fresh);
            }
            Ok((links, walked?))
        })
    }

    /// Visits every commit reachable from `tips` once.
    fn walk(
        &self,
        tips: &[Oid],
        shallow: &OidSet,
        batch_size: usize,
        mut deliver: impl FnMut(Vec<(Oid, Vec<u8>)>),
    ) -> Result<Vec<MissingCommit>, StoreError> {
        let mut seen = OidSet::default();
        let mut missing = Vec::new();
        let mut queue: Vec<(Oid, Option<Oid>)> = tips.iter().map(|tip| (*tip, None)).collect();
        let mut batch = Vec::with_capacity(batch_size);
        while let Some((commit, named_by)) = queue.pop() {
            if !seen.insert(commit) {
                continue;
            }
            let (bytes, damaged) = match self.commit_bytes(commit) {
                Ok(bytes) => (bytes, None),
                Err(StoreError::Corrupt(why)) => (None, Some(why)),
                Err(error) => return Err(error),
            };
            let Some(bytes) = bytes else {
                let shallow = named_by.is_some_and(|child| shallow.contains(&child));
                missing.push(MissingCommit { commit, named_by, shallow, damaged });
                continue;
            };
            // A commit that is no entry is a finding, and what lies behind it is somebody's history, not a chain.
            if bytes.ends_with(b"-----END SSH SIGNATURE-----\n") {
                queue.extend(parents_of(&bytes).map(|parent| (parent, Some(commit))));
            }
            batch.push((commit, bytes));
            if batch.len() == batch_size {
                deliver(std::mem::replace(&mut batch, Vec::with_capacity(batch_size)));
            }
        }
        deliver(batch);
        Ok(missing)
    }

    /// The content of a commit object, or `None` when it is not here or not a commit.
    ///
    /// # Errors
    /// When it is here and cannot be read.
    pub fn commit_bytes(&self, commit: Oid) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self
            .repo
            .try_find_object(object_id(commit))
            .map_err(StoreError::read(format_args!("object `{commit}`")))?;
        Ok(found.filter(|object| object.kind == gix::object::Kind::Commit).map(|object| object.detach().data))
    }

    /// Reads and inspects one entry.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn read_link(&self, commit: Oid) -> Result<Option<Link>, StoreError> {
        Ok(self.commit_bytes(commit)?.map(|bytes| Inspector::default().inspect(commit, &bytes)))
    }

    fn shallow_commits(&self) -> OidSet {
        let commits = self.repo.shallow_commits().ok().flatten();
        commits.iter().flat_map(|list| list.iter()).map(|id| super::oid(id)).collect()
    }
}

/// Parses a ref name: `None` when it is odd, `Some(None)` when it is ours and holds no chain.
fn parse_chain_ref(name: &str, tip: Oid) -> Option<Option<ChainRef>> {
    let (remote, rest) = match name.strip_prefix(names::REMOTES) {
        Some(rest) => {
            // A remote's name may hold slashes; the folder and the chain are the last two parts.
            let (head, chain) = rest.rsplit_once('/')?;
            match head.rsplit_once('/') {
                Some((remote, folder)) if folder == "chains" || folder == "sealed" => {
                    (Some(remote.to_owned()), format!("{folder}/{chain}"))
                }
                _ => return Some(None),
            }
        }
        None => (None, name.strip_prefix("refs/receipts/")?.to_owned()),
    };
    let (folder, chain) = rest.split_once('/')?;
    let chain = chain.parse().ok()?;
    Some(Some(ChainRef { chain, remote, sealed: folder == "sealed", name: name.to_owned(), tip }))
}

/// The parents in a commit's headers.
pub(super) fn parents_of(bytes: &[u8]) -> impl Iterator<Item = Oid> + '_ {
    bytes
        .split(|b| *b == b'\n')
        .skip(1)
        .map_while(|line| line.strip_prefix(b"parent "))
        .filter_map(|id| std::str::from_utf8(id).ok().and_then(Oid::from_hex))
}
