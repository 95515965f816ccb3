//! A cheap look whether receipts can be kept here, for hooks that run in every repository of a user.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Whether the repository around `directory` may have been set up: false only where it surely was not. Costs a
/// few system calls, where opening the repository reads all its configuration.
pub fn may_be_set_up(directory: &Path, git_dir: Option<&OsStr>) -> bool {
    let found = match git_dir {
        Some(git_dir) => Some(directory.join(git_dir)),
        None => find(directory),
    };
    found.is_some_and(|git_dir| common_dir(&git_dir).join("receipts").is_dir())
}

/// The git directory that discovery would find.
fn find(directory: &Path) -> Option<PathBuf> {
    let start = fs::canonicalize(directory).ok()?;
    for folder in start.ancestors() {
        let dot_git = folder.join(".git");
        match fs::metadata(&dot_git) {
            Ok(there) if there.is_dir() => return Some(dot_git),
            Ok(_) => {
                let text = fs::read_to_string(&dot_git).ok()?;
                return Some(folder.join(text.strip_prefix("gitdir:")?.trim()));
            }
            Err(_) if folder.join("HEAD").is_file() && folder.join("objects").is_dir() => {
                return Some(folder.to_owned());
            }
            Err(_) => {}
        }
    }
    None
}

/// What all worktrees share, as gitrepository-layout has it.
fn common_dir(git_dir: &Path) -> PathBuf {
    match fs::read_to_string(git_dir.join("commondir")) {
        Ok(text) => git_dir.join(text.trim()),
        Err(_) => git_dir.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_repository_that_was_set_up_may_be() {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("top");
        let below = top.join("a/b");
        fs::create_dir_all(&below).unwrap();
        assert!(!may_be_set_up(&below, None), "no repository");
        fs::create_dir_all(top.join(".git")).unwrap();
        assert!(!may_be_set_up(&below, None), "not set up");
        fs::create_dir_all(top.join(".git/receipts")).unwrap();
        assert!(may_be_set_up(&below, None));
        assert!(may_be_set_up(root.path(), Some(OsStr::new("top/.git"))), "named by the environment");
        let linked = root.path().join("linked");
        let own = top.join(".git/worktrees/linked");
        fs::create_dir_all(&linked).unwrap();
        fs::create_dir_all(&own).unwrap();
        fs::write(linked.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        fs::write(own.join("commondir"), "../..\n").unwrap();
        assert!(may_be_set_up(&linked, None), "a linked worktree");
    }
}
