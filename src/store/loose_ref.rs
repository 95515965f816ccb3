//! Moving refs of ours in the files format, in as few system calls as git's protocol allows.
//!
//! An append moves the chain's ref, often with that of its artifacts, and in a process of two milliseconds the general
//! transaction costs a tenth of the whole. The protocol is git's own for loose refs
//! (Documentation/technical/api-lockfile): create `<ref>.lock` exclusively, compare under it, write; once that went well
//! for all of them, append to the reflog and rename each. Everything else (deletions, symbolic refs) goes through gix.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::refs::RefMove;
use super::{Store, lock};
use crate::domain::ids::Oid;

/// A lock file that goes away unless it becomes the ref.
struct RefLock {
    path: PathBuf,
    kept: bool,
}

impl Drop for RefLock {
    fn drop(&mut self) {
        if !self.kept {
            // Left in place it is named, with its age, by the next who wants the ref.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A ref whose lock is ours and has the new value.
struct Prepared<'m> {
    wanted: &'m RefMove,
    new: Oid,
    path: PathBuf,
    lock: RefLock,
}

impl Store {
    /// Moves refs below `refs/receipts/` to new values, all of them or none; `None` where the general way is needed.
    pub(super) fn move_loose_refs(&self, moves: &[RefMove]) -> Option<Result<(), StoreError>> {
        let mut prepared = Vec::new();
        for wanted in moves {
            match self.prepare(wanted)? {
                Ok(ready) => prepared.push(ready),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(prepared.into_iter().try_for_each(|ready| self.finish(ready)))
    }

    /// Locks a ref, sees that it is where it was, and writes its new value into the lock.
    fn prepare<'m>(&self, wanted: &'m RefMove) -> Option<Result<Prepared<'m>, StoreError>> {
        let new = wanted.new.filter(|_| wanted.name.starts_with("refs/receipts/"))?;
        let path = self.common_dir().join(&wanted.name);
        let mut lock_name = path.clone().into_os_string();
        lock_name.push(".lock");
        let (mut file, lock) = match create_in(Path::new(&lock_name)) {
            Ok(file) => (file, RefLock { path: lock_name.into(), kept: false }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Some(Err(lock::held(self.common_dir(), &wanted.name)));
            }
            Err(error) => return Some(Err(StoreError::io("lock ref", &path)(error))),
        };
        let current = match read_loose(&path) {
            Ok(Loose::Id(id)) => Some(id),
            // A packed ref or none at all.
            Ok(Loose::Absent) => match self.find_ref(&wanted.name) {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            },
            Ok(Loose::Other) => return None,
            Err(error) => return Some(Err(StoreError::io("read ref", &path)(error))),
        };
        if current != wanted.expected {
            let shown = |id: Option<Oid>| id.map_or("nothing".into(), |id| format!("`{id}`"));
            let cause =
                format!("it points to {} and was at {} when read", shown(current), shown(wanted.expected));
            return Some(Err(StoreError::Moved { name: wanted.name.clone(), cause }));
        }
        let line = format!("{}\n", new.to_hex());
        let written = file.write_all(line.as_bytes()).map_err(StoreError::io("write ref", &path));
        Some(written.map(|()| Prepared { wanted, new, path, lock }))
    }

    fn finish(&self, ready: Prepared<'_>) -> Result<(), StoreError> {
        let Prepared { wanted, new, path, mut lock } = ready;
        if wanted.logs() {
            self.append_reflog(wanted, new)?;
        }
        fs::rename(&lock.path, &path).map_err(StoreError::io("move ref", &path))?;
        lock.kept = true;
        Ok(())
    }

    /// One line, in one write, as gitformat-reflog has it.
    fn append_reflog(&self, wanted: &RefMove, new: Oid) -> Result<(), StoreError> {
        let path = self.common_dir().join("logs").join(&wanted.name);
        let old = wanted.expected.unwrap_or(self.null_id()).to_hex();
        let line = format!(
            "{old} {} git-receipt <git-receipt@localhost> {} +0000\t{}\n",
            new.to_hex(),
            self.now().unix_seconds(),
            wanted.message
        );
        let open = || OpenOptions::new().append(true).create(true).open(&path);
        let file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => create_parent(&path).and_then(|()| open()),
            other => other,
        };
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(StoreError::io("write reflog", &path))
    }
}

/// What stands in a loose ref's file.
enum Loose {
    Id(Oid),
    Absent,
    /// A symbolic ref, or nothing that is a ref at all.
    Other,
}

fn read_loose(path: &Path) -> std::io::Result<Loose> {
    let mut text = Vec::with_capacity(128);
    match File::open(path) {
        Ok(file) => file.take(128).read_to_end(&mut text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Loose::Absent),
        Err(error) => return Err(error),
    };
    let id = std::str::from_utf8(&text).ok().and_then(|text| Oid::from_hex(text.trim_end()));
    Ok(id.map_or(Loose::Other, Loose::Id))
}

/// Creates a file that must not exist yet, and its folder where that is missing.
fn create_in(path: &Path) -> std::io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).open(path);
    match create() {
        Err(error) if error.kind() == ErrorKind::NotFound => create_parent(path).and_then(|()| create()),
        other => other,
    }
}

fn create_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}
