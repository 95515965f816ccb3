//! Bringing the working tree from the tree that it is now to another, and the index to a third, while HEAD stays.

use super::{Landing, files_below, stamp};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;
use crate::domain::lines::Mode;
use crate::store::error::StoreError;
use crate::store::refs::Head;
use crate::store::worktree::{below_folders, copy_index};
use crate::store::{Store, git};

/// Where a working tree is to go.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The tree that the files are now.
    pub now: Oid,
    /// The tree that they shall be.
    pub to: Oid,
    /// The tree that the index shall be; it stays as it is where none is said.
    pub index: Option<Oid>,
}

impl Store {
    /// Prepares the way of files and index, while HEAD stays where it was seen.
    ///
    /// Only files in which the two trees differ are touched, and only those that are exactly as the first has them: what
    /// git ignores, and what else that tree does not hold, is never lost.
    ///
    /// # Errors
    /// [`StoreError::InTheWay`] when a file is not as `now` has it; nothing of the user's has been touched then.
    pub fn prepare_restore(&self, head: &Head, way: Way) -> Result<Landing<'_>, StoreError> {
        if self.work_dir().is_none() {
            return Err(StoreError::Bare);
        }
        let mut landing = self.begin_landing(head)?;
        landing.index = Some(stamp(&self.repo.index_path()));
        landing.prepare_files(way.now, way.to)?;
        landing.prepare_index(way.index)?;
        Ok(landing)
    }
}

impl Landing<'_> {
    /// Lets git write the files that come, beside the working tree, and sees what stands in their places.
    fn prepare_files(&mut self, now: Oid, to: Oid) -> Result<(), StoreError> {
        let store = self.store;
        let scratch = self.folder.join("scratch");
        let files = std::path::absolute(self.files()).unwrap_or(self.files());
        let (now_hex, to_hex) = (now.to_hex(), to.to_hex());
        // Sparse or not, the files are wanted.
        let sparse = ["-c", "core.sparseCheckout=false", "read-tree"];
        for last in [&[now_hex.as_str()][..], &["-m", "-u", &now_hex, &to_hex]] {
            let args = [&sparse[..], last].concat();
            let mut command = store.command_with_index(&args, &scratch);
            command.current_dir(&files).env("GIT_WORK_TREE", &files);
            let out = git::output(command, None).map_err(|error| git::failed(&args, &error.to_string()))?;
            if !out.status.success() {
                return Err(git::failed(&args, String::from_utf8_lossy(&out.stderr).trim()));
            }
        }
        // What is a submodule's is not ours to touch, and for git its folder is no file.
        let (mut before, mut after) = store.changed_files(now, to)?;
        before.retain(|_, file| file.mode != Mode::Submodule);
        after.retain(|_, file| file.mode != Mode::Submodule);
        self.look_at(
            before.keys().filter(|path| !after.contains_key(*path)).cloned().collect(),
            files_below(&files)?,
        )?;
        let Some(top) = store.work_dir() else { return Ok(()) };
        let gone = |path: &GitPath| self.removed.iter().any(|(gone, _)| gone == path);
        for (path, there) in &self.written {
            let is_new = !before.contains_key(path);
            if is_new && there.is_some_and(|there| !there.is_folder()) {
                return Err(StoreError::InTheWay(format!("`{path}` is in no snapshot and would be lost")));
            }
            let stands = above(path).find(|above| !below_folders(top, join(above).as_slice().into()));
            if let Some(stands) = stands
                && !gone(&stands)
            {
                return Err(StoreError::InTheWay(format!(
                    "`{stands}` is no folder, and `{path}` goes below"
                )));
            }
        }
        // After their stamps were taken, so that nothing changes unseen between.
        for (path, there) in store.worktree_files(before.keys())? {
            if there != before.get(&path).copied() {
                return Err(StoreError::InTheWay(format!("`{path}` is not as the snapshot of now has it")));
            }
        }
        Ok(())
    }

    fn prepare_index(&self, tree: Option<Oid>) -> Result<(), StoreError> {
        let index = self.folder.join("index");
        copy_index(&self.store.repo.index_path(), &index)?;
        let hex = tree.map(|tree| tree.to_hex());
        let args = match &hex {
            // What stays the same keeps what git knows about its file.
            Some(tree) => vec!["read-tree", "--reset", tree.as_str()],
            None if index.exists() => return Ok(()),
            None => vec!["read-tree", "--empty"],
        };
        let out = git::output(self.store.command_with_index(&args, &index), None)
            .map_err(|error| git::failed(&args, &error.to_string()))?;
        match out.status.success() {
            true => Ok(()),
            false => Err(git::failed(&args, String::from_utf8_lossy(&out.stderr).trim())),
        }
    }
}

/// The folders above a path, the topmost first.
fn above(path: &GitPath) -> impl Iterator<Item = GitPath> {
    let bytes = path.as_bytes();
    let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| GitPath::new(&bytes[..at]))
}

/// A path below a folder, to ask whether the folder is one.
fn join(folder: &GitPath) -> Vec<u8> {
    [folder.as_bytes(), b"/x"].concat()
}
