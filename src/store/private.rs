//! Files and folders that only their owner can read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Result, Write as _};
use std::path::Path;

/// Makes a folder that must be new.
pub fn make_new_folder(folder: &Path) -> Result<()> {
    builder().create(folder)
}

/// Makes a folder with those above it, as far as they are not there.
pub fn make_folders(folder: &Path) -> Result<()> {
    builder().recursive(true).create(folder)
}

/// Writes a file whole, in place of one that may be there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    let written = create(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    written.inspect_err(|_| {
        // What could not be written whole is of no use, and the next try does without it.
        let _ = fs::remove_file(&unfinished);
    })
}

fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn create(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        // Left behind by a process that had our number and died.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(path).and_then(|()| options.open(path))
        }
        other => other,
    }
}
