//! Bringing index and working tree along with the refs, so that a crash leaves all of it before or after.
//!
//! Everything that can fail happens first and beside what is there: git makes the new index and writes the changed
//! files into a folder of ours, after it said that nothing local is in the way. Then git's lock of the index is taken, and
//! under it everything is seen to be as it was. Only then a journal is written, the refs move, the files are moved into
//! place and the index after them. Who finds a journal that nobody works on finishes it if the refs moved, or if there
//! are none to move, and drops it if they did not.
//!
//! As long as it cannot be finished the lock stays, so that git does not build on what is half done. Who takes the lock
//! away, as git itself advises, gives the landing up: files and index stay as they are then.
//!
//! A journal counts only if its digest stands in the user's own configuration folder: a repository may come from
//! anywhere, with anything in it. And a file goes only where what was seen there before still is: what somebody
//! saved meanwhile stays.

mod restore;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice as _;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::inside::{Inside, Stamp};
use super::lock::{self, ARTIFACTS_LOCK, Lock};
use super::refs::{Head, RefMove};
use super::worktree::copy_index;
use super::{Store, git, names};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::{Digest, Oid};
use crate::domain::lines::File as TreeFile;
pub use restore::Way;

/// What became of a landing that a crash interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// It is done now, but for files that somebody wrote meanwhile: they stay as they are.
    Finished(Vec<GitPath>),
    /// Nothing of it had happened, and nothing will.
    Dropped,
    /// Somebody took the lock of the index away or went elsewhere, so what was left to do stays undone.
    GivenUp,
}

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
    /// Where HEAD is: the branch, if it is on one. Files are only put in place while it still is there.
    branch: Option<String>,
    /// HEAD's commit after the moves, for the same.
    commit: Option<Oid>,
    moves: Vec<JournalMove>,
    /// Files that go, with what was seen there.
    removed: Vec<(GitPath, Option<Stamp>)>,
    /// Files that come, with what was seen in their places.
    written: Vec<(GitPath, Option<Stamp>)>,
    /// Whether there is an index to put in place.
    index: bool,
}

#[derive(Clone, Serialize, Deserialize)]
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
    removed: Vec<(GitPath, Option<Stamp>)>,
    written: Vec<(GitPath, Option<Stamp>)>,
    /// The index as it was, to see that it still is; none without a working tree.
    index: Option<IndexStamp>,
    /// Where HEAD was when it was prepared.
    head: Head,
    /// Whether git's lock of the index is ours.
    holds_index: bool,
    /// Whether the journal is written.
    written_down: bool,
    done: bool,
    lock: Lock,
}

/// When the index was written, and how long it is; none where there is none yet.
type IndexStamp = Option<(std::time::SystemTime, u64)>;

const JOURNAL: &str = "journal.json";
/// Stands in git's lock of the index while we hold it, so that it is known for ours after a crash.
const OURS: &[u8] = b"git receipt\n";

impl Store {
    /// One landing at a time in each worktree.
    fn landing_locks(&self) -> PathBuf {
        self.git_dir().join("receipts").join("locks")
    }

    fn landing_folder(&self) -> PathBuf {
        self.git_dir().join("receipts").join("landing")
    }

    /// Prepares the way of index and working tree from one commit's tree to another, while HEAD stays
    /// where it was seen. Files in `settled` stay as they
    /// are.
    ///
    /// # Errors
    /// [`StoreError::InTheWay`] when local changes would be lost; nothing of the user's has been touched then.
    pub fn prepare_landing(
        &self,
        head: &Head,
        (from, to): (Oid, Oid),
        settled: &[Settled],
    ) -> Result<Landing<'_>, StoreError> {
        let mut landing = self.begin_landing(head)?;
        if self.work_dir().is_some() {
            landing.prepare(from, to, settled)?;
        }
        Ok(landing)
    }

    /// Makes room for a landing: one that was interrupted is finished before.
    fn begin_landing(&self, head: &Head) -> Result<Landing<'_>, StoreError> {
        self.check_state_dirs()?;
        let lock = Lock::acquire(&self.landing_locks(), "landing")?;
        let folder = self.landing_folder();
        if self.is_ours(&folder) {
            self.finish_landing(&folder, false, false)?;
        }
        // Hooks have run since HEAD was looked at, and somebody else may have landed.
        if self.head()? != *head {
            return Err(StoreError::Moved { name: "HEAD".into(), cause: "it is elsewhere meanwhile".into() });
        }
        self.unlock_index()?;
        remove_folder(&folder)?;
        let landing = Landing {
            store: self,
            folder,
            removed: Vec::new(),
            written: Vec::new(),
            index: None,
            head: head.clone(),
            holds_index: false,
            written_down: false,
            done: false,
            lock,
        };
        fs::create_dir_all(landing.files()).map_err(StoreError::io("create", landing.files()))?;
        Ok(landing)
    }

    /// Finishes, or drops, a change of index and working tree that a crash interrupted, and says which, if there was one.
    ///
    /// # Errors
    /// When files or refs cannot be written.
    pub fn recover_landing(&self) -> Result<Option<Recovered>, StoreError> {
        let folder = self.landing_folder();
        if self.quarantined || !folder.exists() || self.check_state_dirs().is_err() {
            return Ok(None);
        }
        // A transaction that outlived its program is over in a moment. Somebody at work finishes it.
        let mut tries = 0;
        let _lock = loop {
            match Lock::try_acquire(&self.landing_locks(), "landing")? {
                Some(lock) => break lock,
                None if folder.join(JOURNAL).exists() && tries < 200 => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                None => return Ok(None),
            }
        };
        if self.is_ours(&folder) {
            return self.finish_landing(&folder, false, false).map(Some);
        }
        // Killed before there was a journal: then only the lock is in anybody's way.
        if !folder.join(JOURNAL).exists() {
            self.unlock_index()?;
        }
        Ok(None)
    }

    /// Where the digest of this landing folder's journal stands: outside of anything that a clone could bring along.
    fn seal_of(&self, folder: &Path) -> Option<PathBuf> {
        let real = fs::canonicalize(folder).ok()?;
        let name = Digest::of(real.as_os_str().as_encoded_bytes()).to_hex();
        Some(self.private.as_ref()?.join("landings").join(name))
    }

    /// Whether there is a journal that this user wrote.
    fn is_ours(&self, folder: &Path) -> bool {
        let sealed = || {
            let journal = fs::read(folder.join(JOURNAL)).ok()?;
            let seal = fs::read_to_string(self.seal_of(folder)?).ok()?;
            Some(seal == Digest::of(&journal).to_hex())
        };
        sealed().unwrap_or(false)
    }

    /// `holds_index` says that this very process holds git's lock of the index, `published` that it moved the refs.
    fn finish_landing(
        &self,
        folder: &Path,
        holds_index: bool,
        published: bool,
    ) -> Result<Recovered, StoreError> {
        let path = folder.join(JOURNAL);
        let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
        // The journal is renamed into place whole, so one that does not parse is not ours to go by.
        let journal: Journal = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::Corrupt(format!("`{}`: {error}", path.display())))?;
        let lock = index_lock(&self.repo.index_path());
        let locked = holds_index || fs::read(&lock).is_ok_and(|there| there == OURS);
        let mut recovered = Recovered::Dropped;
        if published || self.have_moved(&journal.moves)? {
            let head = self.head()?;
            // Somebody who went elsewhere since has other files, and the change is in the history that they left.
            let still_there = head.branch == journal.branch && head.commit == journal.commit;
            let index = folder.join("index");
            // As with the files: what is not there any more was moved before, and the index is the last.
            let left = journal.index && index.exists();
            recovered = match (left, still_there && locked) {
                (true, true) => {
                    let unfinished = |error: StoreError| StoreError::Unfinished {
                        cause: error.to_string(),
                        lock: lock.clone(),
                    };
                    let stay = self.put_in_place(folder, &journal.removed, &journal.written);
                    let stay = stay.map_err(unfinished)?;
                    rename(&index, &self.repo.index_path()).map_err(unfinished)?;
                    Recovered::Finished(stay)
                }
                (true, false) => Recovered::GivenUp,
                (false, _) => Recovered::Finished(Vec::new()),
            };
        }
        if locked {
            // Held by us, so it is ours to take away, whatever stands in it.
            let _ = fs::remove_file(&lock);
        }
        self.remove_landing(folder)?;
        Ok(recovered)
    }

    /// Whether the refs of a journal moved, or there are none. If some did, the others follow.
    fn have_moved(&self, moves: &[JournalMove]) -> Result<bool, StoreError> {
        // Every worktree writes artifacts, so theirs is a lock that may be somebody else's who is at work.
        let shared = moves.iter().any(|one| is_of_artifacts(&one.name));
        let _lock = match shared {
            true => Some(Lock::acquire(&self.state_dir().join("locks"), ARTIFACTS_LOCK)?),
            false => None,
        };
        let mut moved = moves.is_empty();
        let mut left = Vec::new();
        for one in moves {
            // Only the locks of refs that nobody but us writes can be told to be left behind.
            let only_ours = one.name.starts_with("refs/receipts/") || one.name == names::NOTES;
            lock::clear_stale(self.common_dir(), &one.name, only_ours);
            let now = self.find_ref(&one.name)?;
            if now == one.expected && now != one.new {
                let JournalMove { name, expected, new, message } = one.clone();
                left.push(RefMove { name, expected, new, reflog: true, message });
            } else if now == one.new {
                moved = true;
            } else if one.name.starts_with(names::CHAINS)
                && let (Some(new), Some(now)) = (one.new, now)
            {
                // Another worktree went on with the chain.
                moved |= self.merge_base(new, now)? == Some(new);
            }
        }
        if moved {
            self.move_refs(&left)?;
        }
        Ok(moved)
    }

    /// Removes the folder, and after it what vouches for its journal.
    fn remove_landing(&self, folder: &Path) -> Result<(), StoreError> {
        let seal = self.seal_of(folder);
        remove_folder(folder)?;
        if let Some(seal) = seal {
            // Without a journal it vouches for nothing.
            let _ = fs::remove_file(seal);
        }
        Ok(())
    }

    /// Takes away git's lock of the index if it is ours.
    fn unlock_index(&self) -> Result<(), StoreError> {
        let lock = index_lock(&self.repo.index_path());
        if fs::read(&lock).is_ok_and(|there| there == OURS) {
            fs::remove_file(&lock).map_err(StoreError::io("remove", &lock))?;
        }
        Ok(())
    }

    /// Removes what goes, and moves what comes from the folder to the working tree. Returns what stays as it is, as
    /// somebody wrote it meanwhile.
    fn put_in_place(
        &self,
        folder: &Path,
        removed: &[(GitPath, Option<Stamp>)],
        written: &[(GitPath, Option<Stamp>)],
    ) -> Result<Vec<GitPath>, StoreError> {
        let Some(top) = self.work_dir() else { return Ok(Vec::new()) };
        let inside = Inside::of(top);
        let mut stay = Vec::new();
        for (path, was) in removed {
            if !inside.remove(path, *was).map_err(StoreError::io("remove", path.to_string()))? {
                stay.push(path.clone());
            }
        }
        for (path, was) in written {
            let source = below(&folder.join("files"), path)?;
            // What is not there any more was moved before.
            if source.symlink_metadata().is_ok()
                && !inside.put(path, *was, &source).map_err(StoreError::io("write", path.to_string()))?
            {
                stay.push(path.clone());
            }
        }
        stay.sort();
        stay.dedup();
        Ok(stay)
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
            // What goes makes room first: a file may come where a folder was.
            let mut settled: Vec<&Settled> = settled.iter().collect();
            settled.sort_by_key(|one| one.entry.is_some());
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
        // What is settled is as it will be, so for git there is nothing to do about it.
        let from = store.with_entries(from, settled)?;
        let (from_hex, to_hex) = (from.to_hex(), to.to_hex());
        let dry = ["read-tree", "-m", "-u", "--dry-run", &from_hex, &to_hex];
        let out = git::output(store.command_with_index(&dry, &index), None)
            .map_err(|error| git::failed(&dry, &error.to_string()))?;
        if !out.status.success() {
            return Err(StoreError::InTheWay(plain(&out.stderr)));
        }
        let before = paths_of_index(store, &index)?;
        // The same once more, into a folder that is empty: there git writes just what changes.
        let files = self.files();
        let go = ["read-tree", "-m", "-u", &from_hex, &to_hex];
        let mut command = store.command_with_index(&go, &index);
        command.current_dir(&files).env("GIT_WORK_TREE", std::path::absolute(&files).unwrap_or(files));
        let out = git::output(command, None).map_err(|error| git::failed(&go, &error.to_string()))?;
        if !out.status.success() {
            return Err(git::failed(&go, String::from_utf8_lossy(&out.stderr).trim()));
        }
        let after = paths_of_index(store, &index)?;
        // Only what the index had is git's to remove, and what stays settled never was in it to go.
        let gone = before.difference(&after).filter(|path| settled.iter().all(|one| one.path != **path));
        self.look_at(gone.cloned().collect(), files_below(&self.files())?)
    }

    /// Sees what stands where files go and come, and whether folders give way.
    fn look_at(&mut self, gone: Vec<GitPath>, come: Vec<GitPath>) -> Result<(), StoreError> {
        let Some(top) = self.store.work_dir() else { return Ok(()) };
        let inside = Inside::of(top);
        let seen = |path: GitPath| {
            let stamp = inside.stamp(&path).map_err(StoreError::io("look at", path.to_string()))?;
            Ok::<_, StoreError>((path, stamp))
        };
        self.removed = gone.into_iter().map(&seen).collect::<Result<_, _>>()?;
        self.written = come.into_iter().map(&seen).collect::<Result<_, _>>()?;
        for (path, stamp) in &self.written {
            let Some(stamp) = stamp else { continue };
            let comes_as_folder = below(&self.files(), path)?.is_dir();
            let goes = |path: &GitPath| self.removed.iter().any(|(gone, _)| gone == path);
            if !stamp.is_folder() {
                if comes_as_folder && !goes(path) {
                    return Err(StoreError::InTheWay(format!("`{path}` is a file, and a folder goes there")));
                }
                continue;
            }
            // A folder gives way when everything in it goes; git takes an empty one for nothing.
            let Some(folder) = inside.at(path).filter(|_| !comes_as_folder) else { continue };
            for name in files_below(&folder)? {
                let there = below(&folder, &name)?;
                let there = there.symlink_metadata().map_err(StoreError::io("look at", &there))?;
                let whole = GitPath::new([path.as_bytes(), b"/", name.as_bytes()].concat());
                if !there.is_dir() && !goes(&whole) {
                    return Err(StoreError::InTheWay(format!("`{path}` is a folder with files in it")));
                }
            }
        }
        Ok(())
    }

    /// Whether everything in the working tree still is what it was when git looked.
    fn is_unchanged(&self) -> Result<(), StoreError> {
        let Some(top) = self.store.work_dir() else { return Ok(()) };
        let inside = Inside::of(top);
        for (path, was) in self.removed.iter().chain(&self.written) {
            let now = inside.stamp(path).map_err(StoreError::io("look at", path.to_string()))?;
            if now != *was {
                return Err(StoreError::InTheWay(format!("`{path}` changed meanwhile")));
            }
        }
        Ok(())
    }

    /// Locks the index, looks once more whether everything is as it was, and writes down what is about to happen. From
    /// here on it is finished or taken back, as the refs say; without `moves` it is finished.
    ///
    /// # Errors
    /// [`StoreError::Moved`] when HEAD or the index changed since, or somebody holds it; [`StoreError::InTheWay`] when a
    /// file changed.
    pub fn ready(&mut self, moves: &[RefMove]) -> Result<(), StoreError> {
        let store = self.store;
        if let Some(seen) = self.index {
            self.lock_index()?;
            if stamp(&store.repo.index_path()) != seen {
                return Err(StoreError::Moved { name: "index".into(), cause: "it changed meanwhile".into() });
            }
        }
        if store.head()? != self.head {
            return Err(StoreError::Moved { name: "HEAD".into(), cause: "it is elsewhere meanwhile".into() });
        }
        self.is_unchanged()?;
        self.write_down(moves)?;
        // git's transaction may outlive us: then it is waited for before anybody judges what became of it.
        self.lock.share_with_children(true);
        Ok(())
    }

    /// Takes git's lock of the index. It never is there without the words that say whose it is.
    fn lock_index(&mut self) -> Result<(), StoreError> {
        let lock = index_lock(&self.store.repo.index_path());
        let held = |error: std::io::Error| StoreError::Moved {
            name: "index".into(),
            cause: format!("cannot lock it: {error}"),
        };
        let ours = self.folder.join("lock");
        fs::write(&ours, OURS).map_err(StoreError::io("write", &ours))?;
        match fs::hard_link(&ours, &lock) {
            Ok(()) => self.holds_index = true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(held(error)),
            // The index may be on another file system, or on one without hard links.
            Err(_) => {
                let mut file = OpenOptions::new().write(true).create_new(true).open(&lock).map_err(held)?;
                self.holds_index = true;
                file.write_all(OURS).map_err(StoreError::io("write", &lock))?;
            }
        }
        Ok(())
    }

    fn write_down(&mut self, moves: &[RefMove]) -> Result<(), StoreError> {
        let moved = self.head.branch.as_deref().unwrap_or("HEAD");
        let moved = moves.iter().find(|one| one.name == moved);
        let journal = Journal {
            branch: self.head.branch.clone(),
            commit: moved.map_or(self.head.commit, |one| one.new),
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
            written: self.written.clone(),
            index: self.index.is_some(),
        };
        let bytes = serde_json::to_vec(&journal).map_err(|error| StoreError::Format(error.to_string()))?;
        let (new, place) = (self.folder.join("journal.new"), self.folder.join(JOURNAL));
        if let Some(seal) = self.store.seal_of(&self.folder) {
            let above = seal.parent().unwrap_or(&seal);
            fs::create_dir_all(above).map_err(StoreError::io("create", above))?;
            fs::write(&seal, Digest::of(&bytes).to_hex()).map_err(StoreError::io("write", &seal))?;
        }
        fs::write(&new, bytes).map_err(StoreError::io("write", &new))?;
        rename(&new, &place)?;
        self.written_down = true;
        Ok(())
    }

    /// Moves files and index into place, after the refs moved.
    ///
    /// # Errors
    /// [`StoreError::Unfinished`] when a file cannot be written: the journal stays then, and the next command tries
    /// again. [`StoreError::Stays`] when it is done but for files that somebody wrote meanwhile.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.lock.share_with_children(false);
        // Whatever happens from here on is for the journal to finish.
        self.done = true;
        match self.store.finish_landing(&self.folder, self.holds_index, true)? {
            Recovered::Finished(stay) if !stay.is_empty() => Err(StoreError::Stays(stay)),
            _ => Ok(()),
        }
    }
}

impl Drop for Landing<'_> {
    /// Whatever went wrong, the refs say whether it is to be finished or taken back.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.lock.share_with_children(false);
        // The next command tries again where this fails.
        if self.written_down {
            let _ = self.store.finish_landing(&self.folder, self.holds_index, false);
            return;
        }
        if self.holds_index {
            let _ = fs::remove_file(index_lock(&self.store.repo.index_path()));
        }
        let _ = self.store.remove_landing(&self.folder);
    }
}

/// Whether a ref is one of those that keep artifacts.
fn is_of_artifacts(name: &str) -> bool {
    name.starts_with(names::ARTIFACTS) || name.starts_with(names::EVIDENCE)
}

/// The place of a path of a tree below a folder.
fn below(folder: &Path, path: &GitPath) -> Result<PathBuf, StoreError> {
    let name = gix::path::from_bstr(path.as_bytes().as_bstr());
    let name = name.map_err(|error| StoreError::Corrupt(format!("file name `{path}`: {error}")))?;
    Ok(folder.join(name))
}

fn stamp(path: &Path) -> IndexStamp {
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

/// The files that an index has, but for those that a sparse checkout leaves out.
fn paths_of_index(store: &Store, index: &Path) -> Result<BTreeSet<GitPath>, StoreError> {
    if !index.exists() {
        return Ok(BTreeSet::new());
    }
    let hash = store.repo.object_hash();
    let read = gix::index::File::at(index, hash, false, Default::default());
    let read = read.map_err(StoreError::read("the index"))?;
    let there = read.entries().iter().filter(|entry| {
        !entry.flags.contains(gix::index::entry::Flags::SKIP_WORKTREE)
            && entry.mode != gix::index::entry::Mode::COMMIT
    });
    Ok(there.map(|entry| GitPath::new(entry.path(&read).to_vec())).collect())
}

/// The files below a folder, by their paths from there, and the folders with nothing in them: submodules to come.
fn files_below(folder: &Path) -> Result<Vec<GitPath>, StoreError> {
    let mut found = Vec::new();
    let mut waiting = vec![(folder.to_owned(), Vec::new())];
    while let Some((folder, above)) = waiting.pop() {
        let before = found.len() + waiting.len();
        for entry in fs::read_dir(&folder).map_err(StoreError::io("read", &folder))? {
            let entry = entry.map_err(StoreError::io("read", &folder))?;
            let name = entry.file_name();
            let name = gix::path::os_str_into_bstr(&name)
                .map_err(|error| StoreError::Corrupt(format!("a file name: {error}")))?;
            let mut path: Vec<u8> = above.clone();
            path.extend_from_slice(name);
            let kind = entry.file_type().map_err(StoreError::io("read", entry.path()))?;
            if kind.is_dir() {
                path.push(b'/');
                waiting.push((entry.path(), path));
            } else {
                found.push(GitPath::new(path));
            }
        }
        if found.len() + waiting.len() == before
            && let Some(path) = above.strip_suffix(b"/")
        {
            found.push(GitPath::new(path));
        }
    }
    found.sort();
    Ok(found)
}
