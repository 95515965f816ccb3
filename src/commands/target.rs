//! Which receipt a command is about.

use super::verify::Picture;
use super::{Context, user_error};
use crate::domain::fact::Fact;
use crate::domain::fold::Receipt;
use crate::domain::ids::{EntryRef, ReceiptId};
use crate::store::OpenReceipt;

/// A receipt that was found, and the entry that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The receipt.
    pub receipt: ReceiptId,
    /// Its first entry, for citing it from another chain.
    pub opened: EntryRef,
}

impl Context {
    /// The receipt that a recording command joins: the one given, else `GIT_RECEIPT_ID`, else the newest open
    /// one of this worktree.
    ///
    /// # Errors
    /// When there is none, or what was given names none or several.
    pub fn joined(&self, given: Option<&str>) -> anyhow::Result<Target> {
        let from_env = self.env.var("GIT_RECEIPT_ID");
        if let Some(name) = given.or(from_env.as_deref()) {
            return self.find_receipt(name);
        }
        let open = self.newest_usable().ok_or_else(|| {
            user_error(
                "no receipt is open in this worktree",
                "open one with `git receipt open -m SUMMARY`, or name one with `--receipt`",
            )
        })?;
        Ok(Target { receipt: open.receipt, opened: open.opened })
    }

    /// The newest receipt that is open in this worktree and whose chain is still here.
    pub fn newest_usable(&self) -> Option<OpenReceipt> {
        let here = self.store.worktree_id();
        let mut open = self.store.open_receipts();
        open.retain(|open| open.worktree == here);
        while let Some(newest) = open.pop() {
            if self.store.has_chain(newest.opened.chain) {
                return Some(newest);
            }
            self.notice(format!("the chain of receipt {} is gone, so nothing joins it", newest.receipt));
        }
        None
    }

    /// Finds a receipt by id, unique part of its id, `@`, `@~N`, or a commit it is bound to.
    ///
    /// # Errors
    /// When nothing or more than one receipt answers to `name`.
    pub fn find_receipt(&self, name: &str) -> anyhow::Result<Target> {
        let open = self.store.open_receipts();
        if let Some(found) = open.iter().find(|open| open.receipt.to_string() == name) {
            return Ok(Target { receipt: found.receipt, opened: found.opened });
        }
        // Finding a receipt judges nothing, so a file of trust that does not parse is no reason to find none.
        let trust = self.trust(None).or_else(|_| self.machine_trust())?;
        self.picture(&trust)?.target(self, name)
    }
}

impl Picture {
    /// Finds a receipt among those here: by id, unique part of its id, `@`, `@~N`, or a commit it is bound to.
    ///
    /// # Errors
    /// When nothing or more than one receipt answers to `name`.
    pub fn target(&self, ctx: &Context, name: &str) -> anyhow::Result<Target> {
        match self.targets(ctx, name)?.as_slice() {
            [one] => Ok(*one),
            [] => Err(user_error(
                format!("no receipt answers to `{name}`"),
                "`git receipt list` shows those that are here",
            )),
            several => {
                let ids: Vec<_> = several.iter().take(5).map(|t| format!("`{}`", t.receipt)).collect();
                let message = format!("`{name}` could be {} receipts: {}", several.len(), ids.join(", "));
                Err(user_error(message, "give more of the id"))
            }
        }
    }

    /// Every receipt that answers to `name`.
    fn targets(&self, ctx: &Context, name: &str) -> anyhow::Result<Vec<Target>> {
        let target = |receipt: &Receipt| Target { receipt: receipt.id, opened: receipt.opened };
        if let Some(back) = steps_back(name) {
            let back = back.map_err(|()| {
                user_error(format!("`{name}` is no receipt"), "`@~1` is the receipt before the newest")
            })?;
            // A stranger's receipt is never meant by where it stands, only by its name.
            let mut known: Vec<&Receipt> = self.folded.known.values().collect();
            known.sort_by_key(|receipt| (receipt.opened_at, receipt.id));
            return Ok(known.iter().rev().nth(back).map(|receipt| target(receipt)).into_iter().collect());
        }
        let all = self.folded.receipts();
        if name.len() >= 4 && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            let upper = name.to_ascii_uppercase();
            let fits = |receipt: &&&Receipt| {
                let id = receipt.id.to_string();
                id.starts_with(&upper) || id.ends_with(&upper)
            };
            let found: Vec<_> = all.iter().filter(fits).map(|receipt| target(receipt)).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if let Ok(id) = name.parse::<ReceiptId>() {
            return Ok(self.unsound(id).into_iter().collect());
        }
        let Some(commit) = ctx.store.resolve_commit(name)? else { return Ok(Vec::new()) };
        Ok(all
            .iter()
            .filter(|receipt| receipt.bound.contains(&commit))
            .map(|receipt| target(receipt))
            .collect())
    }

    /// A receipt whose opening stands somewhere and does not count.
    fn unsound(&self, id: ReceiptId) -> Option<Target> {
        let entries = self.history.links.values().filter_map(|link| link.entry.as_ref());
        let mut openings = entries.filter(|entry| {
            entry.body.receipt == Some(id) && matches!(entry.body.fact, Fact::ReceiptOpened(_))
        });
        openings.next().map(|entry| Target { receipt: id, opened: entry.reference() })
    }
}

/// Reads `@` and `@~N`.
fn steps_back(name: &str) -> Option<Result<usize, ()>> {
    let rest = name.strip_prefix('@')?;
    if rest.is_empty() {
        return Some(Ok(0));
    }
    Some(rest.strip_prefix('~').and_then(|n| n.parse().ok()).ok_or(()))
}
