//! Decisions that a reviewer has not signed yet: one private file a proposal, named by the digest of its entry.
//!
//! They are no hint that could be built anew, and no fact either: nothing of them counts until it is signed. What is
//! kept is signed later with few words, so it is only taken up where its digest stands in the user's own configuration
//! folder: whoever writes into the repository cannot put words into a reviewer's mouth.

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

    /// What vouches for decisions that were kept: outside of anything that a clone could bring along.
    fn voucher(&self, bytes: &[u8]) -> Option<PathBuf> {
        Some(self.private.as_ref()?.join("reviews").join(Digest::of(bytes).to_hex()))
    }

    /// Whether this user kept these decisions.
    pub fn kept_by_us(&self, bytes: &[u8]) -> bool {
        self.voucher(bytes).is_some_and(|voucher| voucher.is_file())
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
        let before = self.unsigned(proposal).ok().flatten().filter(|before| before != bytes);
        if let Some(voucher) = self.voucher(bytes) {
            let folder = voucher.parent().unwrap_or(&voucher);
            private::make_folders(folder).map_err(StoreError::io("create", folder))?;
            fs::write(&voucher, []).map_err(StoreError::io("write", &voucher))?;
        }
        private::write(&path, bytes).map_err(StoreError::io("write", path))?;
        self.vouch_no_more(before);
        Ok(())
    }

    /// Without what it vouches for a voucher is of no use, and one that stays does no harm.
    fn vouch_no_more(&self, bytes: Option<Vec<u8>>) {
        if let Some(voucher) = bytes.and_then(|bytes| self.voucher(&bytes)) {
            let _ = fs::remove_file(voucher);
        }
    }

    /// Moves what is kept about a proposal to a file beside it, and says which. Moved back it is as good as before.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn set_unsigned_aside(&self, proposal: &Digest) -> Result<Option<PathBuf>, StoreError> {
        let Some(bytes) = self.unsigned(proposal)? else { return Ok(None) };
        let path = self.unsigned_path(proposal);
        let aside = path.with_extension(format!("{}.json", &Digest::of(&bytes).to_hex()[..12]));
        fs::rename(&path, &aside).map_err(StoreError::io("rename", path))?;
        Ok(Some(aside))
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
        let kept = self.unsigned(proposal).ok().flatten();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(StoreError::io("remove", path)(error));
            }
            _ => self.vouch_no_more(kept),
        }
        Ok(())
    }
}
