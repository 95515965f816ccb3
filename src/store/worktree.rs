//! The working tree as a tree object, without touching index or files.
//!
//! The tree is what `git add --all` and `git write-tree` would give in a copy of the index. gix finds and reads
//! what differs; where it is known to see things differently from git, or fails, git does it in such a copy:
//! sparse checkouts, conflicts, submodules that may be ignored, nested repositories of another format or without
//! a commit, and filters that fail.

mod named;
mod scan;
// Other file systems refuse some of the names, and other systems' tools some of the words.
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::index::entry::{Mode, Stage};
use gix::objs::tree::EntryKind;
use gix::{ObjectId, Repository};

use self::scan::{Excluded, Found, IndexTree, Unsure};
use super::error::StoreError;
use super::{Store, git, object_id, oid};
use crate::domain::fact::data::Change;
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;
use crate::domain::lines::File;
use crate::domain::redact::Redactor;
use crate::domain::secret_paths::looks_secret;

/// The working tree at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worktree {
    /// Its tree, with uncommitted and new files, without ignored ones.
    pub tree: Oid,
    /// The tree of the index; none while it has conflicts.
    pub index: Option<Oid>,
    /// HEAD's tree; none before the first commit.
    pub head: Option<Oid>,
    /// Whether the working tree differs from HEAD's.
    pub dirty: bool,
}

/// What is held back from trees that are written without being asked for, and what was.
pub struct Care<'a> {
    redactor: &'a Redactor,
    held: RefCell<BTreeSet<Vec<u8>>>,
}

impl<'a> Care<'a> {
    /// Holds back files that look like secrets by name, and those in which `redactor` finds one.
    pub fn new(redactor: &'a Redactor) -> Self {
        Care { redactor, held: RefCell::default() }
    }

    /// The paths that were held back, in order.
    pub fn held(&self) -> Vec<Vec<u8>> {
        self.held.borrow().iter().cloned().collect()
    }

    fn holds_back(&self, top: &Path, path: &BStr) -> bool {
        let secret = looks_secret(path) || self.has_secret(top, path);
        if secret {
            self.held.borrow_mut().insert(path.to_vec());
        }
        secret
    }

    /// Whether there is a secret in a file, or in the target of a link. What cannot be read here cannot be read
    /// for the tree either, and fails there.
    fn has_secret(&self, top: &Path, path: &BStr) -> bool {
        let Ok(path) = gix::path::from_bstr(path).map(|path| top.join(path)) else { return false };
        let Ok(there) = path.symlink_metadata() else { return false };
        if there.is_symlink() {
            let target = fs::read_link(&path).unwrap_or_default();
            return self.redactor.redact_str(&target.to_string_lossy()).1 > 0;
        }
        there.is_file() && fs::read(&path).is_ok_and(|bytes| self.redactor.redact(&bytes).count > 0)
    }
}

/// A file that differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// Its path.
    pub path: Vec<u8>,
    /// What happened.
    pub change: Change,
    /// The blob before, or the commit of a submodule.
    pub before: Option<Oid>,
    /// The blob after, or the commit of a submodule.
    pub after: Option<Oid>,
}

/// The trees of the working tree and of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trees {
    worktree: ObjectId,
    index: Option<ObjectId>,
}

/// A file that is gone when the value is.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(self.0.with_extension("lock"));
    }
}

impl Store {
    /// Whether tracked files differ from HEAD or new ones lie beside them, other than those that
    /// `receipt.exclude` names. Nothing is written.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn is_dirty(&self) -> Result<bool, StoreError> {
        if self.work_dir().is_none() {
            return Ok(false);
        }
        let head = self.head_tree()?.unwrap_or_else(|| self.empty_tree());
        let excluded = Excluded::new(&self.repo, &self.config_all("receipt.exclude"));
        if self.has_dirty_submodules()? {
            return Ok(true);
        }
        match differs(&self.repo, object_id(head), &excluded) {
            Ok(dirty) => Ok(dirty),
            Err(Unsure(_)) => {
                let trees = self.trees_by_git(&excluded, None)?;
                Ok(trees.index != Some(object_id(head)) || trees.worktree != object_id(head))
            }
        }
    }

    /// Writes the working tree as it is now. Untracked files that `receipt.exclude` names are left out, and
    /// tracked ones stay as the index has them.
    ///
    /// # Errors
    /// [`StoreError::Bare`] without a working tree, and whatever keeps git from reading a file.
    pub fn write_worktree(&self) -> Result<Worktree, StoreError> {
        self.write_worktree_except(&self.config_all("receipt.exclude"))
    }

    /// Like [`write_worktree`](Self::write_worktree), with patterns as in `.gitignore` in place of the
    /// configured ones.
    ///
    /// # Errors
    /// As there.
    pub fn write_worktree_except(&self, exclude: &[String]) -> Result<Worktree, StoreError> {
        self.write(exclude, None)
    }

    /// Like [`write_worktree`](Self::write_worktree), for records that nobody asked for one by one: what would
    /// carry a secret into the object database is held back, an untracked file whole and a tracked one as the
    /// index has it. `care` is told the paths.
    ///
    /// # Errors
    /// As there.
    pub fn write_worktree_with(&self, care: &Care<'_>) -> Result<Worktree, StoreError> {
        self.write(&self.config_all("receipt.exclude"), Some(care))
    }

    fn write(&self, exclude: &[String], care: Option<&Care<'_>>) -> Result<Worktree, StoreError> {
        if self.work_dir().is_none() {
            return Err(StoreError::Bare);
        }
        let head = self.head_tree()?;
        let excluded = Excluded::new(&self.repo, exclude);
        let trees = match trees_by_gix(&self.repo, &excluded, care) {
            Ok(trees) => trees,
            Err(Unsure(_)) => self.trees_by_git(&excluded, care)?,
        };
        let tree = oid(&trees.worktree);
        let dirty = head != Some(tree) || self.has_dirty_submodules()?;
        Ok(Worktree { tree, index: trees.index.as_deref().map(oid), head, dirty })
    }

    /// Whether files inside of a submodule differ from its commit, which no tree of ours shows.
    fn has_dirty_submodules(&self) -> Result<bool, StoreError> {
        if !self.work_dir().is_some_and(|top| top.join(".gitmodules").exists()) {
            return Ok(false);
        }
        let diff = ["diff-files", "--quiet", "--ignore-submodules=none"];
        let diff = self.git_in_worktree(&diff, &self.repo.index_path())?;
        Ok(diff.status.code() == Some(1))
    }

    /// `tree` with the named files as they are in the working tree now; nothing else is looked at. Ignored and
    /// excluded files are left as `tree` has them, and so is what `care` holds back.
    ///
    /// # Errors
    /// When a file cannot be read, or `tree` is not here.
    pub fn tree_with_files(&self, tree: Oid, paths: &[Vec<u8>], care: &Care<'_>) -> Result<Oid, StoreError> {
        let top = self.work_dir().ok_or(StoreError::Bare)?;
        let excluded = Excluded::new(&self.repo, &self.config_all("receipt.exclude"));
        let mut edits = BTreeMap::new();
        let mut read = || -> Result<(), gix::Error> {
            // Attributes and ignore rules come from the files themselves: the index is not read at all.
            let index = gix::index::State::new(self.repo.object_hash());
            let source = gix::worktree::stack::state::attributes::Source::WorktreeThenIdMapping;
            let attributes = self.repo.attributes_only(&index, source)?.detach();
            let mut filters = gix::filter::Pipeline::new(&self.repo, attributes)?;
            for path in paths {
                let path = BString::from(path.as_slice());
                let reachable = below_folders(top, path.as_bstr());
                if !reachable || excluded.matches(path.as_bstr()) || care.holds_back(top, path.as_bstr()) {
                    continue;
                }
                let found = filters.worktree_file_to_object(path.as_bstr(), &index)?;
                edits.insert(path, found.map(|(id, kind, _)| (kind, id)));
            }
            Ok(())
        };
        read().map_err(StoreError::read("the named files"))?;
        edit(&self.repo, object_id(tree), &edits).map(|id| oid(&id)).map_err(StoreError::write("write-tree"))
    }

    /// Whether git ignores the untracked file at `path`, by the ignore rules that lie in the working tree, in
    /// `info/exclude` and in the user's own, or `receipt.exclude` names it.
    pub fn is_ignored(&self, path: &[u8]) -> bool {
        if Excluded::new(&self.repo, &self.config_all("receipt.exclude")).matches(path.as_bstr()) {
            return true;
        }
        let index = gix::index::State::new(self.repo.object_hash());
        let source = gix::worktree::stack::state::ignore::Source::WorktreeThenIdMappingIfNotSkipped;
        let Ok(mut excludes) = self.repo.excludes(&index, None, source) else { return false };
        excludes.at_entry(path.as_bstr(), None).is_ok_and(|platform| platform.is_excluded())
    }

    fn head_tree(&self) -> Result<Option<Oid>, StoreError> {
        self.head()?.commit.map_or(Ok(None), |commit| self.tree_of(commit))
    }

    /// Lets git add everything to a copy of the index.
    fn trees_by_git(&self, excluded: &Excluded, care: Option<&Care<'_>>) -> Result<Trees, StoreError> {
        let folder = self.state_dir();
        fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        let name = format!("index-{}-{}", std::process::id(), crate::domain::ids::hex(&self.random::<4>()));
        let scratch = Scratch(folder.join(name));
        copy_index(&self.repo.index_path(), &scratch.0)?;
        let held = match care {
            Some(care) => self.held_back_by_git(care, &scratch.0)?,
            None => Vec::new(),
        };
        let add = [
            &["add", "--all", "--sparse", "."],
            held.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
        ]
        .concat();
        let added = self.git_in_worktree(&add, &scratch.0)?;
        if !added.status.success() {
            let failed = || git::failed(&add, String::from_utf8_lossy(&added.stderr).trim());
            // `git add` gives up at a repository that has no commit yet: there is nothing to record of it.
            if !only_commitless(&added.stderr) {
                return Err(failed());
            }
            let again = [&["add", "--ignore-errors"], &add[1..]].concat();
            let again = self.git_in_worktree(&again, &scratch.0)?;
            if !again.status.success() && !only_commitless(&again.stderr) {
                return Err(failed());
            }
        }
        let written = self.git_in_worktree(&["write-tree"], &scratch.0)?;
        if !written.status.success() {
            return Err(git::failed(&["write-tree"], String::from_utf8_lossy(&written.stderr).trim()));
        }
        let tree = Oid::from_hex(String::from_utf8_lossy(&written.stdout).trim())
            .ok_or_else(|| StoreError::Corrupt("`git write-tree` printed no id".into()))?;

        let index = read_index(&self.repo).map_err(StoreError::read("the index"))?;
        let staged = IndexTree { repo: &self.repo, index: &index, store: true };
        let staged = staged.id().map_err(StoreError::write("write-tree"))?;
        let conflicts = index.entries().iter().any(|entry| entry.stage() != Stage::Unconflicted);
        let mut worktree = object_id(tree);
        if !excluded.is_empty() {
            worktree = self.without_excluded(excluded, &index, staged, worktree)?;
        }
        Ok(Trees { worktree, index: (!conflicts).then_some(staged) })
    }

    /// What git is to leave alone when it adds everything, as pathspecs.
    fn held_back_by_git(&self, care: &Care<'_>, index: &Path) -> Result<Vec<String>, StoreError> {
        let Some(top) = self.work_dir() else { return Ok(Vec::new()) };
        let list = ["ls-files", "-z", "--others", "--modified", "--exclude-standard"];
        let listed = self.git_in_worktree(&list, index)?;
        if !listed.status.success() {
            return Err(git::failed(&list, String::from_utf8_lossy(&listed.stderr).trim()));
        }
        let paths = listed.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        let held = paths.filter(|path| care.holds_back(top, path.as_bstr()));
        Ok(held.map(|path| format!(":(top,exclude,literal){}", path.to_str_lossy())).collect())
    }

    /// `tree` with excluded paths as the index has them.
    fn without_excluded(
        &self,
        excluded: &Excluded,
        index: &gix::index::State,
        staged: ObjectId,
        tree: ObjectId,
    ) -> Result<ObjectId, StoreError> {
        let mut edits = BTreeMap::new();
        for change in self.tree_changes(oid(&staged), oid(&tree))? {
            let path = BString::from(change.path);
            if excluded.matches(path.as_ref()) {
                let entry = [Stage::Unconflicted, Stage::Ours]
                    .into_iter()
                    .find_map(|stage| index.entry_by_path_and_stage(path.as_ref(), stage));
                let kept = entry.and_then(|entry| Some((entry.mode.to_tree_entry_mode()?.kind(), entry.id)));
                edits.insert(path, kept);
            }
        }
        edit(&self.repo, tree, &edits).map_err(StoreError::write("write-tree"))
    }

    fn git_in_worktree(&self, args: &[&str], index: &Path) -> Result<std::process::Output, StoreError> {
        // Neither hooks nor a shared index: nothing but the copy is to change.
        let settings = [
            "advice.addEmbeddedRepo=false",
            "core.safecrlf=false",
            "core.splitIndex=false",
            "core.hooksPath=/dev/null",
        ];
        let mut all: Vec<_> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
        all.extend(args);
        let mut command = git::command(self.git_dir(), &all);
        if let Some(top) = self.work_dir() {
            command.current_dir(top).env("GIT_WORK_TREE", ".").env("GIT_DIR", absolute(self.git_dir()));
        }
        command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_INDEX_FILE", absolute(index));
        git::output(command, None).map_err(|error| git::failed(args, &error.to_string()))
    }

    /// The files that differ between two trees, by path. Renames are a deletion and an addition.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn tree_changes(&self, from: Oid, to: Oid) -> Result<Vec<TreeChange>, StoreError> {
        let (before, after) = self.changed_files(from, to)?;
        let paths: BTreeSet<&GitPath> = before.keys().chain(after.keys()).collect();
        let change = |path: &GitPath| {
            let (was, is) = (before.get(path), after.get(path));
            let change = match (was, is) {
                (None, _) => Change::Added,
                (Some(_), None) => Change::Deleted,
                (Some(was), Some(is)) if was.mode.same_type(is.mode) => Change::Modified,
                _ => Change::TypeChanged,
            };
            let id = |file: Option<&File>| file.map(|file| file.oid);
            TreeChange { path: path.as_bytes().to_vec(), change, before: id(was), after: id(is) }
        };
        Ok(paths.into_iter().map(change).collect())
    }

    /// The git id that bytes have as a blob here.
    pub fn blob_id(&self, bytes: &[u8]) -> Result<Oid, StoreError> {
        gix::objs::compute_hash(self.repo.object_hash(), gix::objs::Kind::Blob, bytes)
            .map(|id| oid(&id))
            .map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// Whether an object is here.
    pub fn has_object(&self, id: Oid) -> bool {
        self.repo.has_object(object_id(id))
    }
}

/// The index as it is on disk. The one that gix keeps is old when git wrote another within a tick of the clock, or
/// somebody put back an older one.
fn read_index(repo: &Repository) -> Result<gix::worktree::Index, gix::Error> {
    let index = match repo.index_path().exists() {
        true => repo.open_index()?,
        false => gix::index::File::from_state(gix::index::State::new(repo.object_hash()), repo.index_path()),
    };
    Ok(gix::worktree::Index::new(index.into()))
}

/// Finds out by gix what the working tree is, and writes it.
fn trees_by_gix(repo: &Repository, excluded: &Excluded, care: Option<&Care<'_>>) -> Result<Trees, Unsure> {
    let top = repo.workdir().ok_or("there is no working tree")?;
    let index = read_index(repo)?;
    let found = scan::scan(repo, &index, excluded)?;
    let staged = IndexTree { repo, index: &index, store: true }.id()?;
    let mut edits = BTreeMap::new();
    if !found.is_empty() {
        let capabilities = repo.filesystem_options()?;
        let source = gix::worktree::stack::state::attributes::Source::WorktreeThenIdMapping;
        let attributes = repo.attributes_only(&index, source)?.detach();
        let mut filters = gix::filter::Pipeline::new(repo, attributes)?;
        for (path, found) in found {
            let entry = match found {
                Found::Nothing => None,
                Found::Repository(id) => Some((EntryKind::Commit, id)),
                Found::File if care.is_some_and(|care| care.holds_back(top, path.as_bstr())) => continue,
                Found::File => {
                    // Gone since it was seen: then it is gone.
                    filters.worktree_file_to_object(path.as_ref(), &index)?.map(|(id, kind, _)| {
                        let before = index.entry_by_path(path.as_ref()).map(|entry| entry.mode);
                        (trusted_kind(kind, before, &capabilities), id)
                    })
                }
            };
            edits.insert(path, entry);
        }
    }
    Ok(Trees { worktree: edit(repo, staged, &edits)?, index: Some(staged) })
}

/// Whether index or working tree differ from `head`, found out by gix and without writing.
fn differs(repo: &Repository, head: ObjectId, excluded: &Excluded) -> Result<bool, Unsure> {
    let index = read_index(repo)?;
    if (IndexTree { repo, index: &index, store: false }).id()? != head {
        return Ok(true);
    }
    Ok(!scan::scan(repo, &index, excluded)?.is_empty())
}

/// The kind of a file, where the file system's word counts only as far as configured.
fn trusted_kind(kind: EntryKind, before: Option<Mode>, trusted: &gix::fs::Capabilities) -> EntryKind {
    match (kind, before) {
        (EntryKind::Blob | EntryKind::BlobExecutable, Some(Mode::SYMLINK)) if !trusted.symlink => {
            EntryKind::Link
        }
        (EntryKind::Blob | EntryKind::BlobExecutable, Some(Mode::FILE_EXECUTABLE))
            if !trusted.executable_bit =>
        {
            EntryKind::BlobExecutable
        }
        (EntryKind::BlobExecutable, _) if !trusted.executable_bit => EntryKind::Blob,
        (kind, _) => kind,
    }
}

/// `tree` with other entries at some paths, or none. What becomes empty goes.
pub(super) fn edit(
    repo: &Repository,
    tree: ObjectId,
    edits: &BTreeMap<BString, Option<(EntryKind, ObjectId)>>,
) -> Result<ObjectId, gix::Error> {
    let mut edited = tree;
    if !edits.is_empty() {
        let mut editor = repo.edit_tree(tree)?;
        // What goes makes way for files that become directories, and the other way round.
        for (path, _) in edits.iter().filter(|(_, entry)| entry.is_none()) {
            editor.remove(path.as_bstr())?;
        }
        for (path, entry) in edits {
            if let Some((kind, id)) = entry {
                editor.upsert(path.as_bstr(), *kind, *id)?;
            }
        }
        edited = editor.write()?.detach();
    }
    if edited.is_empty_tree() {
        // gix takes the empty tree for granted, `git fsck` does not.
        gix::objs::Write::write_buf(&repo.objects, gix::objs::Kind::Tree, b"")?;
    }
    Ok(edited)
}

/// Copies the index with its time. git tells entries that changed within the tick in which the index was written
/// by comparing with that time; a newer copy would hide them. An older time only makes git look closer.
pub(super) fn copy_index(from: &Path, to: &Path) -> Result<(), StoreError> {
    let copy = || {
        let written = fs::metadata(from)?.modified()?;
        fs::copy(from, to)?;
        fs::File::options().write(true).open(to)?.set_modified(written)
    };
    match copy() {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("copy", from)(error))
        }
        // Before the first `git add` there is none.
        _ => Ok(()),
    }
}

/// Whether `git add` complained about nothing but repositories without a commit.
fn only_commitless(stderr: &[u8]) -> bool {
    let mut errors = stderr.lines().filter(|line| line.starts_with(b"error: ")).peekable();
    errors.peek().is_some() && errors.all(|line| line.ends_with(b"does not have a commit checked out"))
}

/// Whether nothing but folders stands above `path`: behind a symbolic link lies something that is not part of
/// the tree.
pub(super) fn below_folders(top: &Path, path: &BStr) -> bool {
    path.find_iter("/").all(|slash| {
        let above =
            gix::path::from_bstr(path[..slash].as_bstr()).map(|above| top.join(above).symlink_metadata());
        match above {
            Ok(Ok(there)) => there.is_dir(),
            Ok(Err(error)) => error.kind() == std::io::ErrorKind::NotFound,
            Err(_) => false,
        }
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
