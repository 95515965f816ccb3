//! Files of the working tree, reached folder by folder without following a link: what stands there may change while
//! we look, and must never lead us out.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice as _;
use serde::{Deserialize, Serialize};

use crate::domain::fact::values::GitPath;

/// What tells one state of a file from the next without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    folder: bool,
    // As wide as any system has them.
    size: i128,
    /// Seconds and nanoseconds of the last change.
    changed: (i128, i128),
    file: i128,
}

impl Stamp {
    /// Whether it is a folder.
    pub(super) fn is_folder(&self) -> bool {
        self.folder
    }
}

/// The top of a working tree.
pub(super) struct Inside {
    top: PathBuf,
}

/// A place below the top: an open folder, and a name in it.
struct Place {
    #[cfg(unix)]
    folder: std::os::fd::OwnedFd,
    #[cfg(not(unix))]
    folder: PathBuf,
    name: PathBuf,
}

impl Inside {
    pub(super) fn of(top: &Path) -> Self {
        Inside { top: top.to_owned() }
    }

    /// What stands at a path; nothing where there is none, or a link or file stands where a folder should.
    pub(super) fn stamp(&self, path: &GitPath) -> io::Result<Option<Stamp>> {
        match self.place(path, false)? {
            Some(place) => place.stamp(),
            None => Ok(None),
        }
    }

    /// Where a path is, for looking only.
    pub(super) fn at(&self, path: &GitPath) -> Option<PathBuf> {
        gix::path::from_bstr(path.as_bytes().as_bstr()).ok().map(|name| self.top.join(name))
    }

    /// Removes a file that is still as it was, and the folders that become empty by that. Says whether nothing is left
    /// there, or a folder.
    pub(super) fn remove(&self, path: &GitPath, was: Option<Stamp>) -> io::Result<bool> {
        let Some(place) = self.place(path, false)? else { return Ok(true) };
        let now = place.stamp()?;
        if now.is_none_or(|now| now.folder) {
            return Ok(true);
        }
        if now != was {
            return Ok(false);
        }
        place.unlink()?;
        let Some(file) = self.at(path) else { return Ok(true) };
        for folder in file.ancestors().skip(1).take_while(|folder| *folder != self.top) {
            // A link is no folder, and what is not empty stays. So does the folder that somebody runs us in, as with git.
            if is_here(folder) || fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(true)
    }

    /// Moves `source` to a path where it still is as it was. What somebody wrote there meanwhile stays; says whether
    /// nothing did.
    pub(super) fn put(&self, path: &GitPath, was: Option<Stamp>, source: &Path) -> io::Result<bool> {
        let Some(place) = self.place(path, true)? else { return Ok(false) };
        let now = place.stamp()?;
        if source.symlink_metadata()?.is_dir() {
            // The empty folder of a submodule, which takes the place of a file only after that went.
            return match now {
                Some(now) => Ok(now.folder),
                None => place.make_folder().map(|()| true),
            };
        }
        let is_folder = |stamp: Option<Stamp>| stamp.is_some_and(|stamp| stamp.folder);
        match is_folder(was) {
            // One that gave way with its last file is as good as one that is still there, and whatever was in it is in
            // no stamp.
            true if now.is_none() => {}
            true if is_folder(now) => {
                let folder = self.at(path);
                if !folder.is_some_and(|folder| remove_empty(&folder)) {
                    return Ok(false);
                }
            }
            _ if now == was => {}
            _ => return Ok(false),
        }
        match place.take(source) {
            // The working tree may be on another file system than git's directory: then beside it first.
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                let beside = self.top.join(format!(".receipt-{}", std::process::id()));
                copy(source, &beside)?;
                place.take(&beside)?;
                fs::remove_file(source)?;
                Ok(true)
            }
            other => other.map(|()| true),
        }
    }

    /// Finds the folder of a path, made where it is missing; none where something else stands in its place.
    fn place(&self, path: &GitPath, make: bool) -> io::Result<Option<Place>> {
        let bytes = path.as_bytes();
        let split = bytes.rfind_byte(b'/');
        let (above, name) = split.map_or((&b""[..], bytes), |at| (&bytes[..at], &bytes[at + 1..]));
        let native = |bytes: &[u8]| {
            let path = gix::path::from_bstr(bytes.as_bstr());
            path.map(|path| path.into_owned()).map_err(|error| io::Error::other(error.to_string()))
        };
        let mut folder = open_top(&self.top)?;
        for part in above.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            match step(&folder, &native(part)?, make)? {
                Some(next) => folder = next,
                None => return Ok(None),
            }
        }
        Ok(Some(Place { folder, name: native(name)? }))
    }
}

/// Whether a folder is the one that this program runs in.
fn is_here(folder: &Path) -> bool {
    fs::canonicalize(".").is_ok_and(|here| fs::canonicalize(folder).is_ok_and(|folder| folder == here))
}

/// Removes a folder with nothing but folders in it.
fn remove_empty(folder: &Path) -> bool {
    let mut inside = fs::read_dir(folder).into_iter().flatten();
    let empty = inside.all(|entry| {
        entry.is_ok_and(|entry| {
            entry.file_type().is_ok_and(|kind| kind.is_dir()) && remove_empty(&entry.path())
        })
    });
    empty && fs::remove_dir(folder).is_ok()
}

/// Copies a file or a link.
fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let _ = fs::remove_file(target);
    #[cfg(unix)]
    if source.symlink_metadata()?.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(source)?, target);
    }
    fs::copy(source, target).map(drop)
}

#[cfg(unix)]
mod native {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::{self as unix, AtFlags, FileType, Mode, OFlags};
    use rustix::io::Errno;

    use super::{Place, Stamp};

    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    pub(super) fn open_top(top: &Path) -> io::Result<OwnedFd> {
        Ok(unix::open(top, FOLDER, Mode::empty())?)
    }

    pub(super) fn step(folder: &OwnedFd, name: &Path, make: bool) -> io::Result<Option<OwnedFd>> {
        if make {
            match unix::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match unix::openat(folder, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty()) {
            Ok(next) => Ok(Some(next)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    impl Place {
        pub(super) fn stamp(&self) -> io::Result<Option<Stamp>> {
            match unix::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(there) => Ok(Some(Stamp {
                    folder: FileType::from_raw_mode(there.st_mode) == FileType::Directory,
                    size: there.st_size.into(),
                    changed: (there.st_mtime.into(), there.st_mtime_nsec.into()),
                    file: there.st_ino.into(),
                })),
                Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
                Err(error) => Err(error.into()),
            }
        }

        pub(super) fn unlink(&self) -> io::Result<()> {
            Ok(unix::unlinkat(&self.folder, &self.name, AtFlags::empty())?)
        }

        pub(super) fn make_folder(&self) -> io::Result<()> {
            Ok(unix::mkdirat(&self.folder, &self.name, Mode::from_raw_mode(0o777))?)
        }

        pub(super) fn take(&self, source: &Path) -> io::Result<()> {
            Ok(unix::renameat(unix::CWD, source, &self.folder, &self.name)?)
        }
    }
}

#[cfg(not(unix))]
mod native {
    use std::fs;
    use std::io::{self, ErrorKind};
    use std::path::{Path, PathBuf};

    use super::{Place, Stamp};

    pub(super) fn open_top(top: &Path) -> io::Result<PathBuf> {
        Ok(top.to_owned())
    }

    pub(super) fn step(folder: &Path, name: &Path, make: bool) -> io::Result<Option<PathBuf>> {
        let next = folder.join(name);
        if make
            && let Err(error) = fs::create_dir(&next)
            && error.kind() != ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        Ok(next.symlink_metadata().is_ok_and(|there| there.is_dir()).then_some(next))
    }

    impl Place {
        fn path(&self) -> PathBuf {
            self.folder.join(&self.name)
        }

        pub(super) fn stamp(&self) -> io::Result<Option<Stamp>> {
            let Ok(there) = self.path().symlink_metadata() else { return Ok(None) };
            let changed = there.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let changed = (changed.as_secs().into(), changed.subsec_nanos().into());
            Ok(Some(Stamp { folder: there.is_dir(), size: there.len().into(), changed, file: 0 }))
        }

        pub(super) fn unlink(&self) -> io::Result<()> {
            fs::remove_file(self.path())
        }

        pub(super) fn make_folder(&self) -> io::Result<()> {
            fs::create_dir(self.path())
        }

        pub(super) fn take(&self, source: &Path) -> io::Result<()> {
            fs::rename(source, self.path())
        }
    }
}

use native::{open_top, step};
