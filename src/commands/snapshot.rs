//! `git receipt snapshot`

use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, Report};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::SnapshotTaken;
use crate::domain::fact::values::GitPath;
use crate::domain::secret_paths::looks_secret;
use crate::store::{Care, Worktree};

/// Keep the working tree and the index as a point to go back to
///
/// Touches neither. Ignored files and those that `receipt.exclude` names are left out; files that look secret are
/// named, as what is kept in a snapshot can be pushed.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A few words on what it is for
    #[arg(short = 'm', value_name = "LABEL")]
    pub label: Option<String>,
    /// The receipt to keep it in; otherwise the one that is open here
    #[arg(long, value_name = "R")]
    pub receipt: Option<String>,
}

/// What was kept.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Snapshot {
    /// The receipt.
    pub receipt: String,
    /// The chain.
    pub chain: String,
    /// Its place there.
    pub seq: u64,
    /// The tree of the working files.
    pub worktree: String,
    /// The tree of the index; none while it has conflicts.
    pub index: Option<String>,
    /// Files in it that look secret.
    pub secret_looking: Vec<String>,
}

impl Report for Snapshot {
    const NAME: &'static str = "snapshot";
}

impl Context {
    /// The working tree for a record that nobody asked for one by one: without what looks secret, which is told.
    ///
    /// # Errors
    /// As [`Store::write_worktree`](crate::store::Store::write_worktree).
    pub fn careful_worktree(&self) -> anyhow::Result<Worktree> {
        let care = Care::new(self.redactor()?);
        let written = self.store.write_worktree_with(&care);
        self.tell_held(&care);
        Ok(written?)
    }

    /// Names the files that were held back.
    pub fn tell_held(&self, care: &Care<'_>) {
        let held = care.held();
        if !held.is_empty() {
            let names: Vec<_> =
                held.iter().take(10).map(|path| format!("`{}`", GitPath::new(path.clone()))).collect();
            let more = if held.len() > 10 { format!(" and {} more", held.len() - 10) } else { String::new() };
            self.notice(format!("held back, as it looks secret: {}{more}", names.join(", ")));
        }
    }
}

/// Runs the command.
///
/// # Errors
/// In a bare repository, without an open receipt, or when a file cannot be read.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Snapshot> {
    ctx.check_recording()?;
    let target = ctx.joined(args.receipt.as_deref())?;
    let owner = ctx.owner_of(target)?;
    let worktree = ctx.store.write_worktree()?;
    let before = worktree.head.unwrap_or(ctx.store.empty_tree());
    let redactor = ctx.redactor()?;
    let mut secret_looking = Vec::new();
    for change in ctx.store.tree_changes(before, worktree.tree)? {
        let Some(blob) = change.after else { continue };
        let inside =
            || ctx.store.blob(blob).map(|bytes| bytes.is_some_and(|b| redactor.redact(&b).count > 0));
        if looks_secret(&change.path) || inside()? {
            secret_looking.push(String::from_utf8_lossy(&change.path).into_owned());
        }
    }
    for path in &secret_looking {
        ctx.notice(format!(
            "`{path}` looks secret and is in the snapshot; `receipt.exclude` leaves such files out"
        ));
    }
    let title = args.label.as_deref().unwrap_or("snapshot");
    let fact = SnapshotTaken { label: args.label.clone(), worktree: worktree.tree, index: worktree.index };
    let draft = Draft::new(Some(target.receipt), title, Fact::SnapshotTaken(fact));
    let report = ctx.append_work(owner, target, vec![draft])?;
    let entry = report.entries[0].entry;
    Ok(Snapshot {
        receipt: target.receipt.to_string(),
        chain: entry.chain.to_string(),
        seq: entry.seq,
        worktree: worktree.tree.to_hex(),
        index: worktree.index.map(|tree| tree.to_hex()),
        secret_looking,
    })
}
