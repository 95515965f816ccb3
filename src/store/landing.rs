//! Bringing index and working tree along with the refs, so that a crash leaves all of it before or after.
//!
//! Everything that can fail happens first and beside what is there: git makes the new index and writes the changed
//! files into a folder of ours, after it said that nothing local is in the way. Then a journal is written, the refs
//! move, the files are moved into place and the index after them. Who finds a journal that nobody works on finishes
//! it if the refs moved, and drops it if they did not.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice as _;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::lock::{self, Lock};
use super::refs::RefMove;
use super::worktree::{below_folders, copy_index, remove_file_and_folders};
use super::{Store, git};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;
use crate::domain::lines::File as TreeFile;

/// A file of the working tree that stays as it is, with what the index shall have for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Its path.
    pub path: GitPath,
    /// The index entry; none where it goes.
    pub entry: Option<TreeFile>,
}

/// What a crash must not leave half done.
#[derive(Serialize, Deserialize)]
struct Journal {
    moves: Vec<JournalMove>,
    /// Files that go.
    removed: Vec<GitPath>,
    /// Whether there is an index to put in place.
    index: bool,
}

#[derive(Serialize, Deserialize)]
struct JournalMove {
    name: String,
    expected: Option<Oid>,
    new: Option<Oid>,
    message: String,
}

/// A change of index and working tree that is ready to happen.
pub struct Landing<'s> {
    store: &'s Store,
    folder: PathBuf,
    removed: Vec<GitPath>,
    /// The index as it was, to see that it still is; none without a working tree.
    index: Option<Stamp>,
    index_lock: Option<File>,
    done: bool,
    _lock: Lock,
}

/// What tells one state of a file from the next without reading it.
type Stamp = Option<(std::time::SystemTime, u64)>;

const JOURNAL: &str = "journal.json";
/// Stands in git's lock of the index while we hold it, so that it is known for ours after a crash.
const OURS: &[u8] = b"git receipt\n";

impl Store {
    fn landing_folder(&self) -> PathBuf {
        self.git_dir().join("receipts").join("landing")
    }

    /// Prepares the way of index and working tree from one commit's tree to another. Files in `settled` stay as they
    /// are.
    ///
    /// # Errors
    /// [`StoreError::InTheWay`] when local changes would be lost; nothing of the user's has been touched then.
    pub fn prepare_landing(
        &self,
        from: Oid,
        to: Oid,
        settled: &[Settled],
    ) -> Result<Landing<'_>, StoreError> {
        let lock = Lock::acquire(&self.state_dir().join("locks"), "landing")?;
        let folder = self.landing_folder();
        if folder.join(JOURNAL).exists() {
            self.finish_landing(&folder)?;
        }
        remove_folder(&folder)?;
        let mut landing = Landing {
            store: self,
            folder,
            removed: Vec::new(),
            index: None,
            index_lock: None,
            done: false,
            _lock: lock,
        };
        fs::create_dir_all(landing.files()).map_err(StoreError::io("create", landing.files()))?;
        if self.work_dir().is_some() {
            landing.prepare(from, to, settled)?;
        }
        Ok(landing)
    }

    /// Finishes, or drops, a change of index and working tree that a crash interrupted, and says whether there was one.
    ///
    /// # Errors
    /// When files or refs cannot be written.
    pub fn recover_landing(&self) -> Result<bool, StoreError> {
        let folder = self.landing_folder();
        if !folder.join(JOURNAL).exists() || self.quarantined {
            return Ok(false);
        }
        // Somebody at work on it finishes it.
        let Some(_lock) = Lock::try_acquire(&self.state_dir().join("locks"), "landing")? else {
            return Ok(false);
        };
        if !folder.join(JOURNAL).exists() {
            return Ok(false);
        }
        self.finish_landing(&folder)?;
        Ok(true)
    }

    fn finish_landing(&self, folder: &Path) -> Result<(), StoreError> {
        let path = folder.join(JOURNAL);
        let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
        // The journal is renamed into place whole, so one that does not parse is not ours to go by.
        let journal: Journal = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::Corrupt(format!("`{}`: {error}", path.display())))?;
        for one in &journal.moves {
            lock::clear_stale(self.common_dir(), &one.name, true);
        }
        // Without refs to go by, what was begun is finished.
        let mut moved = journal.moves.is_empty();
        let mut left = Vec::new();
        for one in journal.moves {
            let now = self.find_ref(&one.name)?;
            moved |= now == one.new;
            if now == one.expected && now != one.new {
                let JournalMove { name, expected, new, message } = one;
                left.push(RefMove { name, expected, new, reflog: true, message });
            }
        }
        if moved {
            self.move_refs(&left)?;
            self.put_in_place(folder, &journal.removed)?;
            let lock = index_lock(&self.repo.index_path());
            // The lock becomes the index, so where it is gone that has happened.
            if journal.index && lock.exists() {
                let bytes = folder.join("index");
                fs::copy(&bytes, &lock).map_err(StoreError::io("copy", &bytes))?;
                rename(&lock, &self.repo.index_path())?;
            }
        } else {
            self.unlock_index()?;
        }
        remove_folder(folder)
    }

    /// Takes away git's lock of the index if it is ours.
    fn unlock_index(&self) -> Result<(), StoreError> {
        let lock = index_lock(&self.repo.index_path());
        if fs::read(&lock).is_ok_and(|there| there == OURS) {
            fs::remove_file(&lock).map_err(StoreError::io("remove", &lock))?;
        }
        Ok(())
    }

    /// Removes what goes, and moves what comes from the folder to the working tree.
    fn put_in_place(&self, folder: &Path, removed: &[GitPath]) -> Result<(), StoreError> {
        let Some(top) = self.work_dir() else { return Ok(()) };
        for path in removed {
            let bytes = path.as_bytes().as_bstr();
            let Ok(name) = gix::path::from_bstr(bytes) else { continue };
            if below_folders(top, bytes) {
                remove_file_and_folders(top, &top.join(name))?;
            }
        }
        move_tree(&folder.join("files"), top)
    }
}

impl Landing<'_> {
    fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// Lets git make the new index, and the files that change.
    fn prepare(&mut self, from: Oid, to: Oid, settled: &[Settled]) -> Result<(), StoreError> {
        let store = self.store;
        let index = self.folder.join("index");
        self.index = Some(stamp(&store.repo.index_path()));
        copy_index(&store.repo.index_path(), &index)?;
        if !settled.is_empty() {
            let mut input = Vec::new();
            for one in settled {
                let (mode, id) = match one.entry {
                    Some(file) => (file.mode.as_str(), file.oid),
                    None => ("0", store.null_id()),
                };
                input.extend_from_slice(format!("{mode} {}\t", id.to_hex()).as_bytes());
                input.extend_from_slice(one.path.as_bytes());
                input.push(0);
            }
            let args = ["update-index", "-z", "--index-info"];
            let out = git::output(store.command_with_index(&args, &index), Some(&input))
                .map_err(|error| git::failed(&args, &error.to_string()))?;
            if !out.status.success() {
                return Err(git::failed(&args, String::from_utf8_lossy(&out.stderr).trim()));
            }
        }
        // Entries whose file has only another time count as changed until git has looked at them.
        let refresh = ["update-index", "-q", "--refresh"];
        git::output(store.command_with_index(&refresh, &index), None)
            .map_err(|error| git::failed(&refresh, &error.to_string()))?;
        let (from_hex, to_hex) = (from.to_hex(), to.to_hex());
        let dry = ["read-tree", "-m", "-u", "--dry-run", &from_hex, &to_hex];
        let out = git::output(store.command_with_index(&dry, &index), None)
            .map_err(|error| git::failed(&dry, &error.to_string()))?;
        if !out.status.success() {
            return Err(StoreError::InTheWay(plain(&out.stderr)));
        }
        let kept: std::collections::BTreeSet<&GitPath> = settled.iter().map(|one| &one.path).collect();
        let (before, after) = store.changed_files(from, to)?;
        let gone = before.into_keys().filter(|path| !after.contains_key(path) && !kept.contains(path));
        self.removed = gone.collect();
        // The same once more, into a folder that is empty: there git writes just what changes.
        let files = self.files();
        let go = ["read-tree", "-m", "-u", &from_hex, &to_hex];
        let mut command = store.command_with_index(&go, &index);
        command.current_dir(&files).env("GIT_WORK_TREE", std::path::absolute(&files).unwrap_or(files));
        let out = git::output(command, None).map_err(|error| git::failed(&go, &error.to_string()))?;
        if !out.status.success() {
            return Err(git::failed(&go, String::from_utf8_lossy(&out.stderr).trim()));
        }
        Ok(())
    }

    /// Writes down what is about to happen, with the index locked. From here on it is finished or taken back.
    ///
    /// # Errors
    /// [`StoreError::Moved`] when the index changed since, or somebody holds it.
    pub fn ready(&mut self, moves: &[RefMove]) -> Result<(), StoreError> {
        let store = self.store;
        let path = store.repo.index_path();
        if let Some(seen) = &self.index {
            let lock = index_lock(&path);
            let held = OpenOptions::new().write(true).create_new(true).open(&lock);
            let mut file = held.map_err(|error| StoreError::Moved {
                name: "index".into(),
                cause: format!("cannot lock it: {error}"),
            })?;
            let written = file.write_all(OURS);
            self.index_lock = Some(file);
            written.map_err(StoreError::io("write", &lock))?;
            if stamp(&path) != *seen {
                return Err(StoreError::Moved { name: "index".into(), cause: "it changed meanwhile".into() });
            }
        }
        let journal = Journal {
            moves: moves
                .iter()
                .map(|one| JournalMove {
                    name: one.name.clone(),
                    expected: one.expected,
                    new: one.new,
                    message: one.message.clone(),
                })
                .collect(),
            removed: self.removed.clone(),
            index: self.index.is_some(),
        };
        let bytes = serde_json::to_vec(&journal).map_err(|error| StoreError::Format(error.to_string()))?;
        let (new, place) = (self.folder.join("journal.new"), self.folder.join(JOURNAL));
        fs::write(&new, bytes).map_err(StoreError::io("write", &new))?;
        rename(&new, &place)
    }

    /// Moves files and index into place, after the refs moved.
    ///
    /// # Errors
    /// When a file cannot be written. The journal stays then, and the next command tries again.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let store = self.store;
        // Whatever happens from here on is for the journal to finish.
        self.done = true;
        store.put_in_place(&self.folder, &self.removed)?;
        let path = store.repo.index_path();
        if self.index_lock.take().is_some() {
            let (index, lock) = (self.folder.join("index"), index_lock(&path));
            fs::copy(&index, &lock).map_err(StoreError::io("copy", &index))?;
            rename(&lock, &path)?;
        }
        remove_folder(&self.folder)?;
        if store.work_dir().is_some() {
            // The files are where they were not when git looked at them; this only saves it a second look.
            let refresh = ["update-index", "-q", "--refresh"];
            let _ = git::output(store.command_with_index(&refresh, &path), None);
        }
        Ok(())
    }
}

impl Drop for Landing<'_> {
    /// Whatever went wrong, the refs say whether it is to be finished or taken back.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.index_lock = None;
        // The next command tries again where this fails.
        let _ = match self.folder.join(JOURNAL).exists() {
            true => self.store.finish_landing(&self.folder),
            false => self.store.unlock_index().and_then(|()| remove_folder(&self.folder)),
        };
    }
}

fn stamp(path: &Path) -> Stamp {
    let there = fs::metadata(path).ok()?;
    Some((there.modified().ok()?, there.len()))
}

fn index_lock(index: &Path) -> PathBuf {
    let mut name = index.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// What git says, without its frame.
fn plain(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().map(|line| line.trim_start_matches("error: ").trim());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(StoreError::io("rename", to))
}

/// The journal goes first: what is left without it is only garbage.
fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    let gone = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", folder)(error)),
        _ => Ok(()),
    };
    gone(fs::remove_file(folder.join(JOURNAL)))?;
    gone(fs::remove_dir_all(folder))
}

/// Moves every file below `from` to the same place below `to`. Again is a no-op for what is moved.
fn move_tree(from: &Path, to: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(StoreError::io("read", from))?,
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(StoreError::io("read", &source))?.is_dir() {
            match fs::create_dir(&target) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(StoreError::io("create", &target)(error));
                }
                _ => {}
            }
            move_tree(&source, &target)?;
        } else if let Err(error) = fs::rename(&source, &target) {
            // The working tree may be on another file system than git's directory.
            if error.kind() != ErrorKind::CrossesDevices {
                return Err(StoreError::io("write", &target)(error));
            }
            copy_over(&source, &target).map_err(StoreError::io("write", &target))?;
        }
    }
    Ok(())
}

fn copy_over(source: &Path, target: &Path) -> std::io::Result<()> {
    if source.symlink_metadata()?.is_symlink() {
        #[cfg(unix)]
        {
            let _ = fs::remove_file(target);
            return std::os::unix::fs::symlink(fs::read_link(source)?, target);
        }
    }
    let beside = target.with_extension(format!("receipt-{}", std::process::id()));
    fs::copy(source, &beside)?;
    fs::rename(beside, target)
}
