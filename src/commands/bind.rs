//! `git receipt bind`

use schemars::JsonSchema;
use serde::Serialize;

use super::git_hooks::noted;
use super::target::Target;
use super::trust::TrustSet;
use super::{Context, Report, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::CommitBound;
use crate::domain::ids::{EntryRef, Oid};
use crate::store::NoteLine;

/// Tie receipts to a commit
///
/// Writes a signed binding and a note on the commit. Binding again changes nothing.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Receipts, then the commit; without receipts the newest open one of this worktree, without a commit HEAD
    #[arg(value_name = "R|COMMIT")]
    pub names: Vec<String>,
}

/// What `bind` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Bound {
    /// The commit.
    pub commit: String,
    /// Each receipt.
    pub receipts: Vec<BoundReceipt>,
}

/// One receipt's binding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BoundReceipt {
    /// The receipt.
    pub receipt: String,
    /// The chain of the binding.
    pub chain: String,
    /// Its place there.
    pub seq: u64,
    /// Whether it was bound already.
    pub existing: bool,
}

impl Report for Bound {
    const NAME: &'static str = "bind";
}

/// Runs the command.
///
/// # Errors
/// When a name is neither receipt nor commit, or nothing could be written.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Bound> {
    ctx.check_recording()?;
    let (receipts, commit) = split_names(ctx, &args.names)?;
    let commit = match commit {
        Some(commit) => commit,
        None => ctx.store.head()?.commit.ok_or_else(|| {
            user_error("there is no commit yet to bind to", "commit first, or name a commit")
        })?,
    };
    let targets = match receipts.is_empty() {
        true => vec![ctx.joined(None)?],
        false => receipts,
    };
    bind(ctx, &targets, commit)
}

/// Ties receipts to a commit with one entry each, and notes them.
///
/// # Errors
/// As appending.
pub fn bind(ctx: &Context, targets: &[Target], commit: Oid) -> anyhow::Result<Bound> {
    let missing = || user_error(format!("commit `{}` is not here", commit.to_hex()), "fetch it first");
    let tree = ctx.store.tree_of(commit)?.ok_or_else(missing)?;
    let parent = ctx.store.parents_of(commit)?.first().copied();
    let parent_tree = match parent {
        Some(parent) => ctx.store.tree_of(parent)?,
        None => None,
    };
    let subject: String = ctx.store.subject_of(commit)?.chars().take(200).collect();
    let mut bound = Bound { commit: commit.to_hex(), receipts: Vec::new() };
    let mut lines = Vec::new();
    let tied = noted(ctx, commit)?;
    let trust = if tied.is_empty() { TrustSet::default() } else { ctx.trust(None)? };
    for target in targets {
        // Tied already, perhaps by following a rewrite. The word of a key that is not listed ties nothing for others.
        let known = |entry: &EntryRef| -> anyhow::Result<bool> {
            let at = ctx.store.commit_of(*entry)?;
            let entry = ctx.store.read_link(at)?.and_then(|link| link.entry);
            Ok(entry.is_some_and(|entry| trust.knows(&entry.body.signer)))
        };
        if let Some((receipt, entry)) = tied.iter().find(|(receipt, _)| *receipt == target.receipt)
            && known(entry)?
        {
            bound.receipts.push(BoundReceipt {
                receipt: receipt.to_string(),
                chain: entry.chain.to_string(),
                seq: entry.seq,
                existing: true,
            });
            continue;
        }
        let fact = Fact::CommitBound(CommitBound { commit, tree, parent_tree, subject: subject.clone() });
        let draft = Draft::new(Some(target.receipt), &subject, fact).once(format!(
            "bound:{}:{}",
            target.receipt,
            commit.to_hex()
        ));
        let report = ctx.append_about(*target, vec![draft])?;
        let appended = &report.entries[0];
        lines.push(NoteLine { commit, receipt: target.receipt, entry: appended.entry });
        bound.receipts.push(BoundReceipt {
            receipt: target.receipt.to_string(),
            chain: appended.entry.chain.to_string(),
            seq: appended.entry.seq,
            existing: appended.existing,
        });
    }
    if !lines.is_empty() {
        ctx.note_bindings(&lines);
    }
    for target in targets {
        // Whatever commit it waited for, this is it.
        ctx.store.note_arrived(target.receipt)?;
    }
    Ok(bound)
}

/// Tells receipts from the commit: the last name that is no receipt's is the commit's.
fn split_names(ctx: &Context, names: &[String]) -> anyhow::Result<(Vec<Target>, Option<Oid>)> {
    let Some((last, before)) = names.split_last() else { return Ok((Vec::new(), None)) };
    let mut targets: Vec<Target> =
        before.iter().map(|name| ctx.find_receipt(name)).collect::<anyhow::Result<_>>()?;
    // A receipt's id is no revision, and a commit-ish that receipts are bound to is meant as the commit here.
    let of_receipt = last.starts_with('@') && !last.starts_with("@{");
    if let Some(commit) = ctx.store.resolve_commit(last)?
        && !of_receipt
        && last.parse::<crate::domain::ids::ReceiptId>().is_err()
    {
        return Ok((targets, Some(commit)));
    }
    targets.push(ctx.find_receipt(last)?);
    Ok((targets, None))
}

impl Context {
    /// Adds notes for bindings that are recorded. A note only says where to look, so a binding stands without it.
    pub fn note_bindings(&self, lines: &[NoteLine]) {
        let (name, email) = self.author_ident();
        if let Err(error) = self.store.add_notes(lines, (&name, &email)) {
            self.notice(format!("the binding is recorded, its note is not: {error}"));
        }
    }

    /// Name and address as they may stand in a commit's headers.
    pub fn author_ident(&self) -> (String, String) {
        let (name, email) = self.identity();
        (crate::domain::commit::clean_ident(&name), crate::domain::commit::clean_ident(&email))
    }
}
