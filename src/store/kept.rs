//! Results that are kept between runs, beside the chains: which signatures hold, where a history starts, and what else
//! takes long to work out. Each is by a secret that stands beside the user's keys.
//!
//! All of it can be deleted at any time. Then it is worked out once more. What cannot be written costs time and nothing
//! else, so no failure to write is one.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Store, private};
use crate::domain::checked::{Checked, Tag};
use crate::domain::ids::Digest;
use crate::domain::kept::{self, Secret};

/// Fewer new signatures are sooner checked once more than remembered.
const WORTH_A_WRITE: usize = 64;

/// How many results of one kind are kept.
const MOST: usize = 4_096;

/// A kind of results.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The folder that they are in.
    pub folder: &'static str,
    /// The rules that they are worked out by: others have other words here.
    pub rules: &'static str,
}

impl Store {
    /// The result of this kind that was worked out from `from`, where it was kept.
    pub fn kept(&self, kind: Kind, from: &[u8]) -> Option<Vec<u8>> {
        let there = fs::read(self.kept_path(kind, from)?).ok()?;
        Some(kept::unwrap(self.secret()?, kind.rules, from, &there)?.to_vec())
    }

    /// Keeps a result that was worked out from `from`.
    pub fn keep(&self, kind: Kind, from: &[u8], result: &[u8]) {
        let (Some(secret), Some(path)) = (self.secret(), self.kept_path(kind, from)) else { return };
        let Some(folder) = path.parent().filter(|_| !self.quarantined) else { return };
        let full = fs::read_dir(folder).is_ok_and(|there| there.count() >= MOST);
        // What was used last cannot be told, so all of it goes.
        let room = if full { fs::remove_dir_all(folder) } else { Ok(()) };
        let made = room.and_then(|()| private::make_folders(folder));
        // Half of a file is told by its tag.
        let _ = made.and_then(|()| fs::write(&path, kept::wrap(secret, kind.rules, from, result)));
    }

    /// The names of all packs: where one came or went, other objects may be here.
    pub fn packs(&self) -> Vec<std::ffi::OsString> {
        let listed = fs::read_dir(self.common_dir().join("objects").join("pack"));
        let mut names: Vec<_> =
            listed.into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    }

    /// The signatures that were found to hold before; none where that shall not count.
    pub(super) fn checked(&self) -> Option<Checked> {
        let list = fs::read(self.checked_path()?).unwrap_or_default();
        Some(Checked::new(self.secret()?.clone(), &list))
    }

    /// Adds signatures to those that were found to hold.
    pub(super) fn remember_checked(&self, fresh: &[Tag]) {
        let Some(path) = self.checked_path().filter(|_| fresh.len() >= WORTH_A_WRITE && !self.quarantined)
        else {
            return;
        };
        let folder = path.parent().map_or(Ok(()), private::make_folders);
        let file = folder.and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
        let _ = file.and_then(|mut file| {
            let length = file.metadata()?.len();
            // What a crash cut off would shift all that follows it.
            file.set_len(length - length % size_of::<Tag>() as u64)?;
            // In one write, which no other writer gets in between.
            file.write_all(fresh.as_flattened())
        });
    }

    fn checked_path(&self) -> Option<PathBuf> {
        Some(self.kept_folder()?.join("signatures"))
    }

    fn kept_path(&self, kind: Kind, from: &[u8]) -> Option<PathBuf> {
        Some(self.kept_folder()?.join(kind.folder).join(&Digest::of(from).to_hex()[..32]))
    }

    /// One for each secret: those who share a repository do not get in each other's way.
    fn kept_folder(&self) -> Option<PathBuf> {
        let name = Digest::from_bytes(self.secret()?.tag("folder", &[])).to_hex();
        Some(self.state_dir().join("kept").join(&name[..32]))
    }

    /// The secret; none where nothing that was kept shall count, or the user has no folder of ours yet.
    fn secret(&self) -> Option<&Secret> {
        let read = || {
            let folder = self.private.as_deref().filter(|folder| self.trusts_kept && folder.is_dir())?;
            let path = folder.join("kept.secret");
            read_secret(&path).or_else(|| {
                private::write(&path, &self.random::<32>()).ok()?;
                // Another process may have written its own since.
                read_secret(&path)
            })
        };
        self.secret.get_or_init(read).as_ref()
    }
}

fn read_secret(path: &Path) -> Option<Secret> {
    let bytes: [u8; 32] = fs::read(path).ok()?.try_into().ok()?;
    Some(Secret::new(&bytes))
}
