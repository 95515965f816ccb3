//! The working tree as a tree object, without touching index or files.
//!
//! git itself does it in a copy of the index: filters, line ends, ignores, submodules and sparse checkouts come
//! out exactly as `git add -A` has them.

use std::fs;
use std::path::PathBuf;

use super::error::StoreError;
use super::{Store, git, object_id, oid};
use crate::domain::fact::data::Change;
use crate::domain::ids::Oid;

/// The working tree at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worktree {
    /// Its tree, with uncommitted and new files, without ignored ones.
    pub tree: Oid,
    /// Whether that differs from HEAD's tree.
    pub dirty: bool,
}

/// A file that differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// Its path.
    pub path: Vec<u8>,
    /// What happened.
    pub change: Change,
    /// The blob before.
    pub before: Option<Oid>,
    /// The blob after.
    pub after: Option<Oid>,
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
    /// Whether tracked files differ from HEAD or new ones lie beside them.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn is_dirty(&self) -> Result<bool, StoreError> {
        if self.work_dir().is_none() {
            return Ok(false);
        }
        let out = self.git_in_worktree(&["status", "--porcelain", "--no-renames"], None)?;
        Ok(!out.is_empty())
    }

    /// Writes the working tree as it is now.
    ///
    /// # Errors
    /// In a bare repository, or when a file cannot be read.
    pub fn write_worktree(&self) -> Result<Worktree, StoreError> {
        if self.work_dir().is_none() {
            return Err(StoreError::Refused("a bare repository has no working tree"));
        }
        let head = self.head()?.commit;
        let head_tree = match head {
            Some(commit) => self.tree_of(commit)?,
            None => None,
        };
        if let Some(tree) = head_tree
            && !self.is_dirty()?
        {
            return Ok(Worktree { tree, dirty: false });
        }
        let folder = self.state_dir();
        fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        let name = format!("index-{}-{}", std::process::id(), crate::domain::ids::hex(&self.random::<4>()));
        let scratch = Scratch(folder.join(name));
        let index = self.repo.index_path();
        match copy_with_time(&index, &scratch.0) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("copy", &index)(error)),
        }
        self.git_in_worktree(&["add", "--all", "--sparse", "."], Some(&scratch.0))
            .or_else(|_| self.git_in_worktree(&["add", "--all", "."], Some(&scratch.0)))?;
        let out = self.git_in_worktree(&["write-tree"], Some(&scratch.0))?;
        let tree = Oid::from_hex(String::from_utf8_lossy(&out).trim())
            .ok_or_else(|| StoreError::Corrupt("`git write-tree` printed no id".into()))?;
        Ok(Worktree { tree, dirty: head_tree != Some(tree) })
    }

    fn git_in_worktree(&self, args: &[&str], index: Option<&std::path::Path>) -> Result<Vec<u8>, StoreError> {
        let mut all = vec!["-c", "advice.addEmbeddedRepo=false", "-c", "core.safecrlf=false"];
        all.extend(args);
        let mut command = git::command(self.git_dir(), &all);
        if let Some(top) = self.work_dir() {
            command.current_dir(top).env("GIT_WORK_TREE", ".").env("GIT_DIR", absolute(self.git_dir()));
        }
        command.env("GIT_OPTIONAL_LOCKS", "0");
        if let Some(index) = index {
            command.env("GIT_INDEX_FILE", absolute(index));
        } else {
            command.env("GIT_INDEX_FILE", absolute(&self.repo.index_path()));
        }
        let output = git::output(command, None).map_err(|error| git::failed(args, &error.to_string()))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(git::failed(args, String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// The files that differ between two trees, by path.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn tree_changes(&self, from: Oid, to: Oid) -> Result<Vec<TreeChange>, StoreError> {
        if from == to {
            return Ok(Vec::new());
        }
        let args = ["diff-tree", "-r", "-z", "--no-renames", &from.to_hex(), &to.to_hex()];
        let out = git::run(self.git_dir(), &args, None)?;
        let mut fields = out.split(|b| *b == 0);
        let mut changes = Vec::new();
        while let (Some(meta), Some(path)) = (fields.next().filter(|meta| !meta.is_empty()), fields.next()) {
            let meta = String::from_utf8_lossy(meta).into_owned();
            let parts: Vec<_> = meta.split(' ').collect();
            let [_, _, before, after, status] = parts[..] else {
                return Err(StoreError::Corrupt(format!("`git diff-tree` printed `{meta}`")));
            };
            let id = |hex: &str| Oid::from_hex(hex).filter(|id| *id != self.null_id());
            changes.push(TreeChange {
                path: path.to_vec(),
                change: match status.as_bytes().first() {
                    Some(b'A') => Change::Added,
                    Some(b'D') => Change::Deleted,
                    Some(b'T') => Change::TypeChanged,
                    _ => Change::Modified,
                },
                before: id(before),
                after: id(after),
            });
        }
        Ok(changes)
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

/// Copies a file and its time of change. git tells entries that changed within the tick in which the index was
/// written by comparing with that time; a newer copy would hide them.
fn copy_with_time(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    let modified = fs::metadata(from)?.modified()?;
    fs::copy(from, to)?;
    fs::File::options().write(true).open(to)?.set_modified(modified)
}

fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
