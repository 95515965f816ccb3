//! Files of the working tree and the index by their names: what stands there, and putting it back.

use std::collections::BTreeMap;

use gix::bstr::ByteSlice as _;
use gix::index::entry::Stage;

use super::{below_folders, read_index, trusted_kind};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;
use crate::domain::lines::File;
use crate::store::error::StoreError;
use crate::store::inside::Inside;
use crate::store::lines::mode_of;
use crate::store::{Store, git, oid};

impl Store {
    /// What stands at paths of the working tree, as git would add it; nothing where there is no file, or one that is
    /// reached through a link.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn worktree_files<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p GitPath>,
    ) -> Result<BTreeMap<GitPath, Option<File>>, StoreError> {
        let top = self.work_dir().ok_or(StoreError::Bare)?;
        let read = || -> Result<BTreeMap<GitPath, Option<File>>, gix::Error> {
            let index = read_index(&self.repo)?;
            let capabilities = self.repo.filesystem_options()?;
            let source = gix::worktree::stack::state::attributes::Source::WorktreeThenIdMapping;
            let attributes = self.repo.attributes_only(&index, source)?.detach();
            let mut filters = gix::filter::Pipeline::new(&self.repo, attributes)?;
            let mut found = BTreeMap::new();
            for path in paths {
                let bytes = path.as_bytes().as_bstr();
                let file = match below_folders(top, bytes) {
                    true => filters.worktree_file_to_object(bytes, &index)?,
                    false => None,
                };
                let file = file.and_then(|(id, kind, _)| {
                    let before = index.entry_by_path(bytes).map(|entry| entry.mode);
                    let mode = mode_of(trusted_kind(kind, before, &capabilities).into())?;
                    Some(File { mode, oid: oid(&id) })
                });
                found.insert(path.clone(), file);
            }
            Ok(found)
        };
        read().map_err(StoreError::read("the working tree"))
    }

    /// Whether the index has conflicts.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn has_conflicts(&self) -> Result<bool, StoreError> {
        let index = read_index(&self.repo).map_err(StoreError::read("the index"))?;
        Ok(index.entries().iter().any(|entry| entry.stage() != Stage::Unconflicted))
    }

    /// What the index has at some paths; those with conflicts are left out.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn staged_files<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p &'p GitPath>,
    ) -> Result<BTreeMap<GitPath, File>, StoreError> {
        let index = read_index(&self.repo).map_err(StoreError::read("the index"))?;
        let mut staged = BTreeMap::new();
        for path in paths {
            let entry = index.entry_by_path_and_stage(path.as_bytes().as_bstr(), Stage::Unconflicted);
            let file = entry.and_then(|entry| {
                let mode = mode_of(entry.mode.to_tree_entry_mode()?)?;
                Some(File { mode, oid: oid(&entry.id) })
            });
            staged.extend(file.map(|file| ((*path).clone(), file)));
        }
        Ok(staged)
    }

    /// Puts files of the working tree and their index entries to what `tree` has; those that it does not have go.
    ///
    /// # Errors
    /// When git cannot write them.
    pub fn restore_files(&self, tree: Oid, paths: &[GitPath]) -> Result<(), StoreError> {
        let top = self.work_dir().ok_or(StoreError::Bare)?;
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for path in paths {
            match self.file_in_tree(tree, path)? {
                Some(_) => known.push(path),
                None => new.push(path),
            }
        }
        let list =
            |paths: &[&GitPath]| paths.iter().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
        let index = self.repo.index_path();
        let run = |args: &[&str], input: Vec<u8>| -> Result<(), StoreError> {
            let out = git::output(self.command_with_index(args, &index), Some(&input))
                .map_err(|error| git::failed(args, &error.to_string()))?;
            if out.status.success() {
                return Ok(());
            }
            Err(git::failed(args, String::from_utf8_lossy(&out.stderr).trim()))
        };
        // New ones first: a file may stand where a folder has to come back.
        if !new.is_empty() {
            run(&["update-index", "--force-remove", "-z", "--stdin"], list(&new))?;
            let inside = Inside::of(top);
            for path in &new {
                let removed = inside.stamp(path).and_then(|stamp| inside.remove(path, stamp));
                removed.map_err(StoreError::io("remove", path.to_string()))?;
            }
        }
        if !known.is_empty() {
            let source = format!("--source={}", tree.to_hex());
            let args = [
                "--literal-pathspecs",
                "restore",
                &source,
                "--staged",
                "--worktree",
                "--pathspec-from-file=-",
                "--pathspec-file-nul",
            ];
            run(&args, list(&known))?;
        }
        Ok(())
    }
}
