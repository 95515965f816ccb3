//! Linked worktrees of our own: one for a fork, which stays, and those for running gates again, which go.
//!
//! Both are made from a tree and not from a branch: files as git checks them out, with the user's own filters and the
//! line endings that attributes ask for. No hook runs, and the worktree that the command was started in is not touched.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::StoreError;
use super::lock::Lock;
use super::{Store, git, private};
use crate::domain::ids::{self, Oid};

/// What the names of worktrees that go away begin with.
const PREFIX: &str = "git-receipt-rerun-";

/// A worktree that is gone when the value is.
#[derive(Debug)]
pub struct TemporaryWorktree {
    path: PathBuf,
    admin: PathBuf,
    lock_path: PathBuf,
    /// Tells other runs that somebody is at work here.
    lock: Option<Lock>,
}

impl TemporaryWorktree {
    /// The top of the worktree.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it away.
    ///
    /// # Errors
    /// When something of it stays, with what to delete by hand.
    pub fn remove(mut self) -> Result<(), StoreError> {
        self.clear()
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        let Some(lock) = self.lock.take() else { return Ok(()) };
        let cleared = remove_all(&self.path).and_then(|()| remove_all(&self.admin));
        drop(lock);
        // With the lock's file left in place the next run looks for the worktree in vain.
        let _ = fs::remove_file(&self.lock_path);
        cleared
    }
}

impl Drop for TemporaryWorktree {
    fn drop(&mut self) {
        // The next run tries again.
        let _ = self.clear();
    }
}

impl Store {
    /// A worktree below `folder` with the files of `tree`, HEAD detached at `head` or at a commit of that tree alone.
    ///
    /// # Errors
    /// When git cannot make it.
    pub fn temporary_worktree(
        &self,
        folder: &Path,
        tree: Oid,
        head: Option<Oid>,
    ) -> Result<TemporaryWorktree, StoreError> {
        let name = format!("{PREFIX}{}", ids::hex(&self.random::<8>()));
        let lock_path = self.rerun_locks().join(&name);
        let lock = Lock::acquire(&self.rerun_locks(), &name)?;
        // git takes the folder's name for the worktree's, and an empty folder for a place to put it.
        let made = TemporaryWorktree {
            path: folder.join(&name),
            admin: self.common_dir().join("worktrees").join(&name),
            lock_path,
            lock: Some(lock),
        };
        private::make_new_folder(&made.path).map_err(StoreError::io("create", &made.path))?;
        let head = match head {
            Some(head) => head,
            None => self.write_plain_commit(tree, &[], ("git receipt", ""), "replayed tree\n")?,
        };
        let admin = self.add_worktree(&made.path, head)?;
        fill(&admin, &made.path, tree)?;
        Ok(made)
    }

    /// A worktree that stays, with HEAD detached at `head` and the files of `tree`: where that is not the commit's own
    /// tree, the difference is local changes.
    ///
    /// # Errors
    /// When there is something at `path`, or git cannot make it.
    pub fn new_worktree(&self, path: &Path, head: Oid, tree: Oid) -> Result<(), StoreError> {
        // What git refuses to make is somebody's.
        let admin = self.add_worktree(path, head)?;
        let index = ["read-tree", "--reset", &head.to_hex()];
        let filled = fill(&admin, path, tree).and_then(|()| run(in_worktree(&admin, path, &index), &index));
        filled.inspect_err(|_| self.drop_worktree(path))
    }

    /// Takes away a worktree that [`Store::new_worktree`] made just now.
    pub fn drop_worktree(&self, path: &Path) {
        if let Some(path) = path.to_str() {
            // What cannot be taken away stays, and git lists it.
            let _ = git::run(self.git_dir(), &["worktree", "remove", "--force", path], None);
        }
    }

    /// What tells a worktree at `path` from others, as [`Store::worktree_id`] does for this one.
    ///
    /// # Errors
    /// When there is none.
    pub fn worktree_id_at(&self, path: &Path) -> Result<PathBuf, StoreError> {
        Ok(self.worktree_id_of(&admin_of(path)?))
    }

    /// Takes away what killed runs left: worktrees of ours that nobody holds any more. Returns how many there were.
    ///
    /// # Errors
    /// When one of them cannot be taken away.
    pub fn clear_temporary_worktrees(&self) -> Result<usize, StoreError> {
        let locks = self.rerun_locks();
        let names = match fs::read_dir(&locks) {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(StoreError::io("list", &locks)(error)),
        };
        let mut cleared = 0;
        for name in names.filter_map(Result::ok) {
            let name = name.file_name();
            let Some(ours) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            let Some(lock) = Lock::try_acquire(&locks, ours)? else { continue };
            let admin = self.common_dir().join("worktrees").join(ours);
            // git keeps there where the worktree is. Only a folder of our own name is taken away.
            let kept = fs::read_to_string(admin.join("gitdir")).unwrap_or_default();
            let link = admin.join(kept.trim());
            let path = link.parent().filter(|path| path.file_name() == Some(OsStr::new(ours)));
            if let Some(path) = path {
                remove_all(path)?;
                cleared += 1;
            }
            remove_all(&admin)?;
            drop(lock);
            let _ = fs::remove_file(locks.join(ours));
        }
        Ok(cleared)
    }

    fn rerun_locks(&self) -> PathBuf {
        self.state_dir().join("reruns")
    }

    /// Registers a worktree without files; returns its git directory.
    fn add_worktree(&self, path: &Path, head: Oid) -> Result<PathBuf, StoreError> {
        let head = head.to_hex();
        let mut args: Vec<&OsStr> = CONFIG.iter().map(OsStr::new).collect();
        args.extend(["worktree", "add", "--quiet", "--detach", "--no-checkout"].map(OsStr::new));
        args.extend([path.as_os_str(), OsStr::new(&head)]);
        let mut command = git::command(self.git_dir(), &args);
        // A hook that we run in says where its own files are; none of that is about the new worktree.
        command.env_remove("GIT_WORK_TREE").env_remove("GIT_PREFIX");
        run(command, &["worktree", "add"])?;
        admin_of(path)
    }
}

/// Puts the files of a tree into a worktree that has none, and into its index.
fn fill(admin: &Path, path: &Path, tree: Oid) -> Result<(), StoreError> {
    let args = ["read-tree", "--reset", "-u", &tree.to_hex()];
    run(in_worktree(admin, path, &args), &args)
}

/// No hook runs, every file is there, and submodules stay the empty folders that git makes of them.
const CONFIG: [&str; 8] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.sparseCheckout=false",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "submodule.recurse=false",
];

/// A git command in a worktree of ours.
fn in_worktree(admin: &Path, path: &Path, args: &[&str]) -> Command {
    let mut command = git::command(admin, CONFIG.iter().chain(args));
    command.env_remove("GIT_PREFIX").env("GIT_WORK_TREE", path).current_dir(path);
    command
}

fn run(command: Command, args: &[&str]) -> Result<(), StoreError> {
    let output = git::output(command, None).map_err(|error| git::failed(args, &error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(git::failed(args, String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// The git directory of a linked worktree, as its `.git` file names it.
fn admin_of(path: &Path) -> Result<PathBuf, StoreError> {
    let link = path.join(".git");
    let text = fs::read_to_string(&link).map_err(StoreError::io("read", &link))?;
    let named = text.trim_end().strip_prefix("gitdir: ").map(|admin| path.join(admin));
    named.ok_or_else(|| StoreError::Corrupt(format!("`{}` names no git directory", link.display())))
}

/// Removes a folder with all in it, also folders that were made read-only. None is as good.
pub(super) fn remove_all(folder: &Path) -> Result<(), StoreError> {
    let gone = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if gone(fs::remove_dir_all(folder)).is_ok() {
        return Ok(());
    }
    make_writable(folder);
    gone(fs::remove_dir_all(folder)).map_err(StoreError::io("remove", folder))
}

/// Makes the folders in a folder ours to empty, as far as they are.
fn make_writable(folder: &Path) {
    let Ok(meta) = fs::symlink_metadata(folder) else { return };
    if !meta.is_dir() {
        return;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // A folder that stays as it is makes the removal fail, which is told.
        let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    }
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        make_writable(&entry.path());
    }
}
