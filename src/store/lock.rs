//! One process at a time per chain: an advisory lock that dies with its holder.
//!
//! The holder's process id stands in the file while it works, so the next one can tell that its predecessor was
//! killed and may clear the ref locks it left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::StoreError;

/// The lock of the refs that keep artifacts, which all chains of a clone share.
pub(super) const ARTIFACTS_LOCK: &str = "artifacts";

/// A held lock.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// Whether the last holder died while it worked.
    pub abandoned: bool,
}

impl Lock {
    /// Waits for the lock called `name` below `dir`.
    pub(super) fn acquire(dir: &Path, name: &str) -> Result<Self, StoreError> {
        match Self::take(dir, name, true)? {
            Some(lock) => Ok(lock),
            None => Err(StoreError::Moved { name: name.to_owned(), cause: "its lock is held".into() }),
        }
    }

    /// Takes the lock unless somebody holds it.
    pub(super) fn try_acquire(dir: &Path, name: &str) -> Result<Option<Self>, StoreError> {
        Self::take(dir, name, false)
    }

    fn take(dir: &Path, name: &str, wait: bool) -> Result<Option<Self>, StoreError> {
        let path = dir.join(name);
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = match open() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(dir).map_err(StoreError::io("create", dir))?;
                open()
            }
            other => other,
        }
        .map_err(StoreError::io("open lock", &path))?;
        if wait {
            file.lock().map_err(StoreError::io("lock", &path))?;
        } else {
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
                Err(std::fs::TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
            }
        }
        let mut holder = String::new();
        file.read_to_string(&mut holder).map_err(StoreError::io("read lock", &path))?;
        file.rewind()
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
            .map_err(StoreError::io("write lock", &path))?;
        Ok(Some(Lock { file, abandoned: !holder.is_empty() }))
    }
}

impl Lock {
    /// Whether programs that are started from now on keep the lock held for as long as they run.
    pub(super) fn share_with_children(&self, shared: bool) {
        #[cfg(unix)]
        {
            use rustix::io::{FdFlags, fcntl_setfd};
            let flags = if shared { FdFlags::empty() } else { FdFlags::CLOEXEC };
            // Without it a child that outlives us is only not waited for.
            let _ = fcntl_setfd(&self.file, flags);
        }
        #[cfg(not(unix))]
        let _ = shared;
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only a courtesy to the next holder: with the number left in place it looks for ref locks in vain.
        let _ = self.file.set_len(0);
    }
}

/// A ref lock left behind by a process that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleLock {
    /// The file.
    pub path: PathBuf,
    /// How old it was.
    pub age: Duration,
}

/// Removes `<ref>.lock` below `common_dir` if it is there, for a ref that only the holder of our own lock
/// writes: at once where that holder was killed. Of any other lock nobody knows whose it is, and it is left alone
/// until it is far older than any program ever holds one.
pub(super) fn clear_stale(common_dir: &Path, ref_name: &str, abandoned: bool) -> Option<StaleLock> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let path = common_dir.join(format!("{ref_name}.lock"));
    let age = age_of(common_dir, ref_name)?;
    if (abandoned || age > PATIENCE) && fs::remove_file(&path).is_ok() {
        return Some(StaleLock { path, age });
    }
    None
}

/// How old `<ref>.lock` is, if it is there.
pub(super) fn age_of(common_dir: &Path, ref_name: &str) -> Option<Duration> {
    let path = common_dir.join(format!("{ref_name}.lock"));
    let modified = fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    Some(SystemTime::now().duration_since(modified).unwrap_or_default())
}

/// The error for a ref whose lock somebody else holds, with the lock's age.
pub(super) fn held(common_dir: &Path, ref_name: &str) -> StoreError {
    let age = age_of(common_dir, ref_name).unwrap_or_default().as_secs_f32();
    let cause = format!("its lock `{ref_name}.lock` is {age:.1} s old; one older than 30 s is cleared");
    StoreError::Moved { name: ref_name.to_owned(), cause }
}
