//! Decisions that a reviewer has not signed yet: one private file a proposal, named by the digest of its entry.
//!
//! They are no hint that could be built anew, and no fact either: nothing of them counts until it is signed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;

use super::error::StoreError;
use super::{Store, private};
use crate::domain::ids::Digest;

/// The most that is read back, in bytes.
const MAX: u64 = 64 << 20;

impl Store {
    /// Where unsigned decisions about the proposal with this digest are kept.
    fn unsigned_path(&self, proposal: &Digest) -> PathBuf {
        self.state_dir().join("reviews").join(format!("{}.json", proposal.to_hex()))
    }

    /// Keeps unsigned decisions about a proposal, in place of those that were kept before. Only the owner can read them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep_unsigned(&self, proposal: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.unsigned_path(proposal);
        if let Some(folder) = path.parent() {
            private::make_folders(folder).map_err(StoreError::io("create", folder))?;
        }
        private::write(&path, bytes).map_err(StoreError::io("write", path))
    }

    /// The unsigned decisions about a proposal that are kept here, as they were written.
    ///
    /// # Errors
    /// When they are there and cannot be read.
    pub fn unsigned(&self, proposal: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.unsigned_path(proposal);
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_file() && there.len() <= MAX => {}
            Ok(_) => {
                let error = std::io::Error::new(ErrorKind::InvalidData, "no file, or too long");
                return Err(StoreError::io("read", path)(error));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", path)(error)),
        }
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX).read_to_end(&mut bytes));
        read.map(|_| Some(bytes)).map_err(StoreError::io("read", path))
    }

    /// Forgets the unsigned decisions about a proposal.
    ///
    /// # Errors
    /// When they are there and cannot be removed.
    pub fn forget_unsigned(&self, proposal: &Digest) -> Result<(), StoreError> {
        let path = self.unsigned_path(proposal);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
            _ => Ok(()),
        }
    }
}
