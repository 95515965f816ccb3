//! Trees as the files that proposals are about, and their contents.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gix::bstr::BString;
use gix::objs::tree::{EntryKind, EntryMode};

use super::error::StoreError;
use super::landing::Settled;
use super::worktree::edit;
use super::{Store, object_id, oid};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;
use crate::domain::lines::{BlobError, Blobs, Content, Edits, File, Files, Mode};

impl Blobs for Store {
    fn blob(&self, oid: &Oid) -> Result<Cow<'_, [u8]>, BlobError> {
        let failed = |problem: String| BlobError { oid: *oid, problem };
        let found = Store::blob(self, *oid).map_err(|error| failed(error.to_string()))?;
        found.map(Cow::Owned).ok_or_else(|| failed("not here, or no blob".into()))
    }
}

impl Store {
    /// The files in which two trees differ, as each of them has them.
    ///
    /// # Errors
    /// When a tree is not here or cannot be read.
    pub fn changed_files(&self, from: Oid, to: Oid) -> Result<(Files, Files), StoreError> {
        let (mut before, mut after) = (Files::new(), Files::new());
        if from == to {
            return Ok((before, after));
        }
        let mut read = || -> Result<(), gix::Error> {
            use gix::object::tree::diff::ChangeDetached as Change;
            let (from, to) = (self.repo.find_tree(object_id(from))?, self.repo.find_tree(object_id(to))?);
            let mut options = gix::diff::Options::default();
            options.track_path().track_rewrites(None);
            for change in self.repo.diff_tree_to_tree(&from, &to, options)? {
                match change {
                    Change::Addition { location, entry_mode, id, .. } => {
                        add(&mut after, location, entry_mode, id);
                    }
                    Change::Deletion { location, entry_mode, id, .. } => {
                        add(&mut before, location, entry_mode, id);
                    }
                    Change::Modification {
                        location,
                        previous_entry_mode,
                        previous_id,
                        entry_mode,
                        id,
                        ..
                    } => {
                        add(&mut before, location.clone(), previous_entry_mode, previous_id);
                        add(&mut after, location, entry_mode, id);
                    }
                    Change::Rewrite { .. } => {}
                }
            }
            Ok(())
        };
        read().map_err(StoreError::read("two trees"))?;
        Ok((before, after))
    }

    /// Every file of a tree.
    ///
    /// # Errors
    /// When the tree or one below it cannot be read.
    pub fn files_of(&self, tree: Oid) -> Result<Files, StoreError> {
        let mut files = Files::new();
        if tree == self.empty_tree() {
            return Ok(files);
        }
        let read = || -> Result<Vec<gix::traverse::tree::recorder::Entry>, gix::Error> {
            let mut recorder = gix::traverse::tree::Recorder::default();
            self.repo.find_tree(object_id(tree))?.traverse().breadthfirst(&mut recorder)?;
            Ok(recorder.records)
        };
        for entry in read().map_err(StoreError::read(format_args!("tree `{tree}`")))? {
            add(&mut files, entry.filepath, entry.mode, entry.oid);
        }
        Ok(files)
    }

    /// What stands at a path of a tree: a file, or `None` where there is nothing or a folder.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn file_in_tree(&self, tree: Oid, path: &GitPath) -> Result<Option<File>, StoreError> {
        if tree == self.empty_tree() {
            return Ok(None);
        }
        let found = || -> Result<Option<File>, gix::Error> {
            let tree = self.repo.find_tree(object_id(tree))?;
            let parts = path.as_bytes().split(|byte| *byte == b'/').map(|part| part.to_vec());
            let entry = tree.lookup_entry(parts)?;
            Ok(entry
                .and_then(|entry| Some(File { mode: mode_of(entry.mode())?, oid: oid(&entry.object_id()) })))
        };
        found().map_err(StoreError::read(format_args!("tree `{tree}`")))
    }

    /// Whether a folder stands at a path of a tree.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn is_folder_in_tree(&self, tree: Oid, path: &GitPath) -> Result<bool, StoreError> {
        if tree == self.empty_tree() {
            return Ok(false);
        }
        let found = || -> Result<bool, gix::Error> {
            let tree = self.repo.find_tree(object_id(tree))?;
            let parts = path.as_bytes().split(|byte| *byte == b'/').map(|part| part.to_vec());
            Ok(tree.lookup_entry(parts)?.is_some_and(|entry| entry.mode().is_tree()))
        };
        found().map_err(StoreError::read(format_args!("tree `{tree}`")))
    }

    /// Writes `tree` with `edits` made to it: contents as blobs, then the trees.
    ///
    /// # Errors
    /// When objects cannot be read or written.
    pub fn write_edits(&self, tree: Oid, edits: &Edits) -> Result<Oid, StoreError> {
        make_edits(&self.repo, tree, edits)
    }

    /// Writes `tree` with other files, or none, at some paths.
    ///
    /// # Errors
    /// When objects cannot be read or written.
    pub(super) fn with_entries(&self, tree: Oid, settled: &[Settled]) -> Result<Oid, StoreError> {
        let entry = |file: File| (kind_of(file.mode), object_id(file.oid));
        let entries =
            settled.iter().map(|one| (BString::from(one.path.as_bytes()), one.entry.map(entry))).collect();
        edit(&self.repo, object_id(tree), &entries)
            .map(|id| oid(&id))
            .map_err(StoreError::write("write-tree"))
    }

    /// The id of the tree that [`Store::write_edits`] would write.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn id_of_edits(&self, tree: Oid, edits: &Edits) -> Result<Oid, StoreError> {
        make_edits(&self.repo.clone().with_object_memory(), tree, edits)
    }
}

fn make_edits(repo: &gix::Repository, tree: Oid, edits: &Edits) -> Result<Oid, StoreError> {
    use gix::objs::Write as _;
    let mut entries = BTreeMap::new();
    for (path, written) in edits {
        let entry = match written {
            None => None,
            Some(written) => {
                let id = match &written.content {
                    Content::Blob(id) => object_id(*id),
                    Content::Bytes(bytes) => repo
                        .objects
                        .write_buf(gix::object::Kind::Blob, bytes)
                        .map_err(StoreError::write("hash-object"))?,
                };
                Some((kind_of(written.mode), id))
            }
        };
        entries.insert(BString::from(path.as_bytes()), entry);
    }
    edit(repo, object_id(tree), &entries).map(|id| oid(&id)).map_err(StoreError::write("write-tree"))
}

fn add(files: &mut Files, path: BString, mode: EntryMode, id: gix::ObjectId) {
    // Folders come with the files in them.
    if let Some(mode) = mode_of(mode) {
        files.insert(GitPath::new(Vec::from(path)), File { mode, oid: oid(&id) });
    }
}

pub(super) fn mode_of(mode: EntryMode) -> Option<Mode> {
    match mode.kind() {
        EntryKind::Tree => None,
        EntryKind::Blob => Some(Mode::File),
        EntryKind::BlobExecutable => Some(Mode::Executable),
        EntryKind::Link => Some(Mode::Symlink),
        EntryKind::Commit => Some(Mode::Submodule),
    }
}

fn kind_of(mode: Mode) -> EntryKind {
    match mode {
        Mode::File => EntryKind::Blob,
        Mode::Executable => EntryKind::BlobExecutable,
        Mode::Symlink => EntryKind::Link,
        Mode::Submodule => EntryKind::Commit,
    }
}
