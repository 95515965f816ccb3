//! Which receipts are open here: a hint, kept so that commands need not read every chain to find them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Store;
use super::error::StoreError;
use super::lock::Lock;
use super::state::write_creating_folder;
use crate::domain::ids::{EntryRef, KeyId, Oid, ReceiptId, Timestamp};

/// An open receipt of this clone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenReceipt {
    /// Its id.
    pub receipt: ReceiptId,
    /// The entry that opened it.
    pub opened: EntryRef,
    /// Whose it is.
    pub owner: KeyId,
    /// The git directory of the worktree that it was opened in.
    pub worktree: PathBuf,
    /// The agent session it belongs to, as source and id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<(String, String)>,
    /// When it was closed: then it is kept for a while, for the commit that holds its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Timestamp>,
    /// Where it waits for one very commit: the trees that this leads from and to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<(Oid, Oid)>,
}

/// So many closed receipts are kept, and so long.
const CLOSED_MAX: usize = 100;
const CLOSED_FOR_MS: i64 = 30 * 24 * 3_600_000;

impl Store {
    fn open_receipts_path(&self) -> PathBuf {
        self.state_dir().join("open.json")
    }

    /// The open receipts of this clone, oldest first.
    pub fn open_receipts(&self) -> Vec<OpenReceipt> {
        let mut all = self.recent_receipts();
        all.retain(|receipt| receipt.closed.is_none());
        all
    }

    /// The receipts of this clone that are open or were closed lately, oldest first.
    pub fn recent_receipts(&self) -> Vec<OpenReceipt> {
        let bytes = fs::read(self.open_receipts_path()).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// The newest receipt that was opened in this worktree and not closed.
    pub fn newest_open_here(&self) -> Option<OpenReceipt> {
        let here = self.worktree_id();
        self.open_receipts().into_iter().rev().find(|open| open.worktree == here)
    }

    /// What tells this worktree from others.
    pub fn worktree_id(&self) -> PathBuf {
        self.worktree_id_of(self.git_dir())
    }

    /// What tells the worktree with this git directory from others.
    pub(super) fn worktree_id_of(&self, git_dir: &Path) -> PathBuf {
        // From the shared directory on, so that moving the clone changes nothing.
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let own = real(git_dir);
        own.strip_prefix(real(self.common_dir())).map(PathBuf::from).unwrap_or(own)
    }

    /// Notes that a receipt was opened here.
    ///
    /// # Errors
    /// When the hint cannot be written.
    pub fn note_opened(&self, open: OpenReceipt) -> Result<(), StoreError> {
        self.edit_open(|all| {
            all.retain(|known| known.receipt != open.receipt);
            all.push(open);
        })
    }

    /// Notes that a receipt was closed.
    ///
    /// # Errors
    /// When the hint cannot be written.
    pub fn note_closed(&self, receipt: ReceiptId) -> Result<(), StoreError> {
        let now = self.now();
        self.edit_open(|all| {
            if let Some(open) = all.iter_mut().find(|known| known.receipt == receipt) {
                open.closed = Some(now);
            }
            let mut room = CLOSED_MAX;
            let mut kept: Vec<_> = std::mem::take(all).into_iter().rev().collect();
            kept.retain(|known| match known.closed {
                None => true,
                Some(closed) => {
                    let keep = room > 0 && now.unix_ms() - closed.unix_ms() < CLOSED_FOR_MS;
                    room = room.saturating_sub(1);
                    if !keep {
                        self.forget_touched(known.receipt);
                    }
                    keep
                }
            });
            *all = kept.into_iter().rev().collect();
        })
    }

    /// Notes that a receipt waits for no commit any more.
    ///
    /// # Errors
    /// When the hint cannot be written.
    pub fn note_arrived(&self, receipt: ReceiptId) -> Result<(), StoreError> {
        let waits = |known: &OpenReceipt| known.receipt == receipt && known.staged.is_some();
        if !self.recent_receipts().iter().any(waits) {
            return Ok(());
        }
        self.edit_open(|all| all.retain(|known| !waits(known)))
    }

    fn edit_open(&self, edit: impl FnOnce(&mut Vec<OpenReceipt>)) -> Result<(), StoreError> {
        let _lock = Lock::acquire(&self.state_dir().join("locks"), "open")?;
        let mut all = self.recent_receipts();
        edit(&mut all);
        let bytes = serde_json::to_vec(&all).map_err(|error| StoreError::Format(error.to_string()))?;
        let path = self.open_receipts_path();
        let unfinished = path.with_extension("new");
        write_creating_folder(&unfinished, &bytes)?;
        fs::rename(&unfinished, &path).map_err(StoreError::io("replace", path))
    }
}
