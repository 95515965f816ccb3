//! An index of our own beside git's, for what git only does with one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::error::StoreError;
use super::{Store, git};
use crate::domain::ids::Oid;

/// An index file that is gone when the value is.
pub(super) struct ScratchIndex<'s> {
    store: &'s Store,
    path: PathBuf,
}

impl Drop for ScratchIndex<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(self.path.with_extension("lock"));
    }
}

impl<'s> ScratchIndex<'s> {
    /// An index that holds `tree`.
    pub(super) fn of_tree(store: &'s Store, tree: Oid) -> Result<Self, StoreError> {
        let folder = store.state_dir();
        std::fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        let name = format!("index-{}-{}", std::process::id(), crate::domain::ids::hex(&store.random::<4>()));
        let index = ScratchIndex { store, path: folder.join(name) };
        index.run(&["read-tree", &tree.to_hex()], None)?;
        Ok(index)
    }

    /// A git command that takes this for the index, at the top of the working tree.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        self.store.command_with_index(args, &self.path)
    }

    /// Runs such a command; whatever its exit code.
    pub(super) fn output(&self, args: &[&str], input: Option<&[u8]>) -> Result<Output, StoreError> {
        git::output(self.command(args), input).map_err(|error| git::failed(args, &error.to_string()))
    }

    /// Runs such a command and returns what it printed.
    pub(super) fn run(&self, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>, StoreError> {
        let output = self.output(args, input)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(git::failed(args, String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// The index as a tree.
    pub(super) fn write_tree(&self) -> Result<Oid, StoreError> {
        let printed = self.run(&["write-tree"], None)?;
        Oid::from_hex(String::from_utf8_lossy(&printed).trim())
            .ok_or_else(|| StoreError::Corrupt("`git write-tree` printed no id".into()))
    }
}

impl Store {
    /// A git command with `index` for the index, at the top of the working tree; in a bare repository where that is.
    pub(super) fn command_with_index(&self, args: &[&str], index: &Path) -> Command {
        // What these would write beside the index, or ask for, is not for one that goes away.
        let settings =
            ["-c", "core.splitIndex=false", "-c", "core.fsmonitor=false", "-c", "submodule.recurse=false"];
        let mut command = git::command(self.git_dir(), settings.iter().chain(args));
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        command.env("GIT_DIR", absolute(self.git_dir())).env("GIT_INDEX_FILE", absolute(index));
        match self.work_dir() {
            Some(top) => command.current_dir(top).env("GIT_WORK_TREE", absolute(top)),
            None => command.current_dir(self.git_dir()),
        };
        command
    }
}
