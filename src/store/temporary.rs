//! Folders for a moment, beside those of other programs: nobody else may look into them, each is held by a lock while
//! somebody needs it, and the next run clears those that a killed one left.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::StoreError;
use super::linked::remove_all;
use super::lock::Lock;
use super::private;
use crate::domain::ids;

const PREFIX: &str = "git-receipt-ground-";
/// What a folder's name ends with until its lock is held.
const UNFINISHED: &str = ".new";
const LOCK: &str = "lock";

/// A folder that is gone when the value is.
pub(super) struct TemporaryFolder {
    path: PathBuf,
    /// Tells other runs that somebody needs it.
    _lock: Lock,
}

impl TemporaryFolder {
    /// Makes one below `above`, and clears what was left there.
    pub(super) fn new(above: &Path, random: [u8; 8]) -> Result<Self, StoreError> {
        let name = format!("{PREFIX}{}", ids::hex(&random));
        let (new, path) = (above.join(format!("{name}{UNFINISHED}")), above.join(name));
        private::make_new_folder(&new).map_err(StoreError::io("create", &new))?;
        let lock = Lock::acquire(&new, LOCK)?;
        // Only now others may take it for one that was left, and find its lock held.
        fs::rename(&new, &path).map_err(StoreError::io("rename", &new))?;
        clear(above, &path);
        Ok(TemporaryFolder { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // The next run tries again.
        let _ = remove_all(&self.path);
    }
}

/// Takes away the folders of killed runs; one that cannot be taken away stays.
fn clear(above: &Path, own: &Path) {
    for entry in fs::read_dir(above).into_iter().flatten().filter_map(Result::ok) {
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if path == own || !is_private(&path, own) {
            continue;
        }
        let unneeded = match name.ends_with(UNFINISHED) {
            // Killed before it held the lock, or about to hold it.
            true => is_old(&path),
            false => matches!(Lock::try_acquire(&path, LOCK), Ok(Some(_))),
        };
        if unneeded {
            let _ = remove_all(&path);
        }
    }
}

/// Whether this is a folder that only the owner of `own` can have put anything into: the folder above is everybody's.
fn is_private(path: &Path, own: &Path) -> bool {
    let (Ok(there), Ok(own)) = (path.symlink_metadata(), own.symlink_metadata()) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let closed = there.mode() & 0o077 == 0;
        there.is_dir() && there.uid() == own.uid() && closed
    }
    #[cfg(not(unix))]
    {
        there.is_dir() && own.is_dir()
    }
}

fn is_old(path: &Path) -> bool {
    const PATIENCE: Duration = Duration::from_secs(60 * 60);
    let changed = path.symlink_metadata().and_then(|there| there.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_killed_runs_are_cleared_and_those_in_use_stay() {
        let above = tempfile::tempdir().unwrap();
        let held = TemporaryFolder::new(above.path(), [1; 8]).unwrap();
        let left = above.path().join(format!("{PREFIX}left"));
        private::make_new_folder(&left).unwrap();
        fs::write(left.join("file"), "").unwrap();
        let new = above.path().join(format!("{PREFIX}x{UNFINISHED}"));
        private::make_new_folder(&new).unwrap();
        let foreign = above.path().join("git-receipt-of-somebody");
        private::make_new_folder(&foreign).unwrap();
        #[cfg(unix)]
        let open = {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(held.path()).unwrap().permissions().mode() & 0o777, 0o700);
            let open = above.path().join(format!("{PREFIX}open"));
            fs::create_dir(&open).unwrap();
            fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
            open
        };
        let other = TemporaryFolder::new(above.path(), [2; 8]).unwrap();
        assert!(held.path().exists() && other.path().exists() && !left.exists());
        assert!(new.exists() && foreign.exists());
        #[cfg(unix)]
        assert!(open.exists(), "others may have put something into it");
        drop(held);
        drop(other);
        assert_eq!(fs::read_dir(above.path()).unwrap().count(), if cfg!(unix) { 3 } else { 2 });
    }
}
