//! Which files a receipt's work changed: a hint for the hook that binds commits, kept so that it need not read
//! chains.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use super::Store;
use super::error::StoreError;
use crate::domain::fact::data::FileChange;
use crate::domain::ids::ReceiptId;

impl Store {
    fn touched_path(&self, receipt: ReceiptId) -> PathBuf {
        self.state_dir().join("touched").join(receipt.to_string())
    }

    /// Notes that `receipt` changed `files`.
    ///
    /// # Errors
    /// When the hint cannot be written.
    pub fn note_touched(&self, receipt: ReceiptId, files: &[FileChange]) -> Result<(), StoreError> {
        let mut lines = String::new();
        for file in files {
            lines.push_str(
                &serde_json::to_string(file).map_err(|error| StoreError::Format(error.to_string()))?,
            );
            lines.push('\n');
        }
        let path = self.touched_path(receipt);
        let open = || OpenOptions::new().append(true).create(true).open(&path);
        let file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let folder = path.parent().unwrap_or(&path);
                fs::create_dir_all(folder).and_then(|()| open())
            }
            other => other,
        };
        file.and_then(|mut file| file.write_all(lines.as_bytes())).map_err(StoreError::io("write", &path))
    }

    /// The files that `receipt` changed, oldest change first. A torn line counts as none.
    pub fn touched(&self, receipt: ReceiptId) -> Vec<FileChange> {
        let text = fs::read_to_string(self.touched_path(receipt)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Forgets the files of a receipt.
    pub(super) fn forget_touched(&self, receipt: ReceiptId) {
        // Left behind it is a small file that nobody reads.
        let _ = fs::remove_file(self.touched_path(receipt));
    }
}
