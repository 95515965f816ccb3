//! Rollback points that hooks leave while an agent works, as `receipt.snapshots` asks for.

use super::session::Locked;
use crate::commands::Context;
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::SnapshotTaken;
use crate::domain::fact::values::GitPath;
use crate::domain::ids::{Oid, ReceiptId};
use crate::store::{Care, Worktree};

/// When snapshots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Often {
    /// Never.
    Off,
    /// When a turn begins and when it ends.
    Turns,
    /// After every edit too.
    Edits,
}

/// Reads `receipt.snapshots`; what it says otherwise is told, and `turns` taken.
pub(super) fn often(ctx: &Context) -> Often {
    match ctx.store.config("receipt.snapshots").as_deref() {
        None | Some("turns") => Often::Turns,
        Some("edits") => Often::Edits,
        Some("off" | "false" | "no") => Often::Off,
        Some(other) => {
            let shown = other.escape_debug();
            ctx.notice(format!(
                "configuration `receipt.snapshots` is `{shown}`; use `edits`, `turns` or `off`"
            ));
            Often::Turns
        }
    }
}

impl Locked<'_> {
    /// The working tree as it is, without what must not be stored; none where the session works elsewhere or
    /// the tree cannot be read, which is told.
    pub fn worktree(&self) -> Option<Worktree> {
        self.root.here.as_ref()?;
        match self.ctx.careful_worktree() {
            Ok(worktree) => Some(worktree),
            Err(error) => {
                self.ctx.notice(format!("no snapshot: {error}"));
                None
            }
        }
    }

    /// A snapshot of `worktree`, unless the receipt's newest one is the same.
    pub fn snapshot(&mut self, worktree: &Worktree, receipt: ReceiptId, label: &str) -> Option<Draft> {
        let fact =
            SnapshotTaken { label: Some(label.to_owned()), worktree: worktree.tree, index: worktree.index };
        self.draft(fact, receipt, label)
    }

    /// A snapshot after the named file was edited: nothing else is looked at.
    pub fn snapshot_of_edit(&mut self, path: &GitPath, receipt: ReceiptId) -> Option<Draft> {
        let from = self.state.snapshot.map(|(_, tree)| tree).filter(|tree| self.ctx.store.has_object(*tree));
        let redactor = self.ctx.redactor().ok()?;
        let care = Care::new(redactor);
        let Some(from) = from else {
            let worktree = self.worktree()?;
            return self.snapshot(&worktree, receipt, "after an edit");
        };
        let tree = self.ctx.store.tree_with_files(from, &[path.as_bytes().to_vec()], &care);
        self.ctx.tell_held(&care);
        match tree {
            Ok(tree) => {
                let label = "after an edit";
                self.draft(
                    SnapshotTaken { label: Some(label.to_owned()), worktree: tree, index: None },
                    receipt,
                    label,
                )
            }
            Err(error) => {
                self.ctx.notice(format!("no snapshot: {error}"));
                None
            }
        }
    }

    /// A snapshot of the very tree that a check ran on.
    pub fn snapshot_for_gate(&mut self, tree: Oid, receipt: ReceiptId) -> Option<Draft> {
        let label = "before a gate";
        self.draft(
            SnapshotTaken { label: Some(label.to_owned()), worktree: tree, index: None },
            receipt,
            label,
        )
    }

    fn draft(&mut self, fact: SnapshotTaken, receipt: ReceiptId, label: &str) -> Option<Draft> {
        // What an earlier receipt holds is no evidence of this one.
        if self.state.snapshot == Some((receipt, fact.worktree)) {
            return None;
        }
        self.state.snapshot = Some((receipt, fact.worktree));
        Some(Draft::new(Some(receipt), label, Fact::SnapshotTaken(fact)))
    }
}
