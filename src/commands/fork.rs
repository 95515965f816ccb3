//! `git receipt fork`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::open::Opening;
use super::proposal::newest_of_each_chain;
use super::replay::n_of;
use super::verify::Picture;
use super::{Context, Report, UserError, user_error};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Base, ReceiptOpened};
use crate::domain::fold::{DEEPEST, Origin, Receipt};
use crate::domain::ids::Oid;

/// Open a receipt that continues from an entry of another one, and print its id
///
/// Its state starts from the state at that entry, as `git receipt replay R --at N` shows it. Nothing is copied, and the
/// fork has no say about the receipt that it was forked from. The working tree stays as it is; `--worktree` makes a new
/// one with the files as they were then.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    /// The receipt's own entry to continue from, counted from 0 as `git receipt show R` lists them
    #[arg(long, value_name = "N")]
    pub at: usize,
    /// What shall be done, in a few words; what the other receipt says if left out
    #[arg(short = 'm', long = "message", value_name = "S")]
    pub summary: Option<String>,
    /// Make a linked worktree in this folder, with the files of the newest snapshot or commit up to that entry
    #[arg(long, value_name = "DIR")]
    pub worktree: Option<PathBuf>,
}

/// What `fork` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Forked {
    /// The new receipt's id.
    pub receipt: String,
    /// The chain it was recorded in.
    pub chain: String,
    /// The place of its opening there.
    pub seq: u64,
    /// The receipt that it continues from.
    pub forked_from: String,
    /// The entry that it continues from, as `chain@seq`.
    pub entry: String,
    /// The new worktree, where one was asked for.
    pub worktree: Option<String>,
    /// The commit that HEAD names there.
    pub commit: Option<String>,
    /// The tree of the files there.
    pub tree: Option<String>,
}

impl Report for Forked {
    const NAME: &'static str = "fork";
}

/// The files of a receipt at some entry.
struct Files {
    commit: Oid,
    tree: Oid,
}

/// Runs the command.
///
/// # Errors
/// When there is no such entry, the receipt is a stranger's, or nothing could be written.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Forked> {
    ctx.check_recording()?;
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let receipt = picture.receipt(picture.target(ctx, &args.receipt)?.receipt)?;
    if !receipt.known {
        let message = format!("receipt `{}` is of an unknown signer, so nothing of it counts", receipt.id);
        let hint = "`git receipt key trust` lists the key once you know whose it is";
        return Err(UserError { message, hint: Some(hint.into()), code: 4 }.into());
    }
    if receipt.origin.as_ref().is_some_and(|origin| origin.depth >= DEEPEST) {
        return Err(user_error(
            format!(
                "receipt `{}` has {DEEPEST} receipts before it already, each forked from another",
                receipt.id
            ),
            "`git receipt open` begins anew",
        ));
    }
    let steps = &receipt.steps[..=n_of(receipt, args.at)?];
    let entry = steps[args.at].entry;
    let summary = match &args.summary {
        Some(summary) => summary.clone(),
        None => summary_of(&picture, receipt),
    };
    let files = match args.worktree {
        Some(_) => Some(files_at(ctx, &picture, receipt, args.at)?),
        None => None,
    };
    let base = match &files {
        Some(at) => {
            let tree = ctx.store.tree_of(at.commit)?.unwrap_or(at.tree);
            Some(Base { commit: at.commit, tree, branch: None, dirty: tree != at.tree })
        }
        None if ctx.store.head()?.commit.is_some() => Some(super::open::base(ctx)?),
        None => None,
    };
    let fact =
        ReceiptOpened { forked_from: Some(entry), ..ReceiptOpened::of(summary.clone(), summary, base) };
    let made = match (&args.worktree, &files) {
        (Some(path), Some(at)) => {
            let path = std::path::absolute(ctx.env.directory.join(path))?;
            ctx.store.new_worktree(&path, at.commit, at.tree)?;
            Some(path)
        }
        _ => None,
    };
    // The entry itself, and the newest of every other chain that stands before it: so the fork has all of them in its
    // past, whatever the clocks say.
    let cites = newest_of_each_chain(steps.iter().map(|step| step.entry)).into_iter();
    let cites = std::iter::once(entry).chain(cites).collect();
    let open = || {
        let worktree = made.as_deref().map(|path| ctx.store.worktree_id_at(path)).transpose()?;
        super::open::open_with(ctx, Opening { time: ctx.now, fact, session: None, cites, worktree })
    };
    let (opened, place) = match open() {
        Ok(opened) => opened,
        Err(error) => {
            if let Some(path) = &made {
                ctx.store.drop_worktree(path);
            }
            return Err(error);
        }
    };
    Ok(Forked {
        receipt: opened.to_string(),
        chain: place.chain.to_string(),
        seq: place.seq,
        forked_from: receipt.id.to_string(),
        entry: format!("{}@{}", entry.chain, entry.seq),
        worktree: made.map(|path| path.display().to_string()),
        commit: files.as_ref().map(|at| at.commit.to_hex()),
        tree: files.as_ref().map(|at| at.tree.to_hex()),
    })
}

fn summary_of(picture: &Picture, receipt: &Receipt) -> String {
    let opening = super::summary::facts(receipt, picture).next();
    match opening {
        Some(Fact::ReceiptOpened(opened)) => opened.summary.clone(),
        _ => String::new(),
    }
}

/// The newest files up to a receipt's own entry `at`: what it started from, a snapshot, or a commit that it made or was
/// bound to, or that took the place of such a one.
fn files_at(ctx: &Context, picture: &Picture, receipt: &Receipt, at: usize) -> anyhow::Result<Files> {
    let inherited = receipt.origin.iter().flat_map(Origin::steps);
    let mut commit = None;
    let mut tree = Tree::Unknown;
    for step in inherited.chain(&receipt.steps[..=at]) {
        let entry = picture.link(&step.commit).and_then(|link| link.entry.as_ref());
        match entry.map(|entry| &entry.body.fact) {
            Some(Fact::ReceiptOpened(opened)) => {
                if let Some(base) = &opened.base {
                    (commit, tree) = (Some(base.commit), Tree::OfCommit(Some(base.tree)));
                }
            }
            Some(Fact::SnapshotTaken(snapshot)) => tree = Tree::OfSnapshot(snapshot.worktree),
            Some(Fact::LinesApplied(applied)) => {
                (commit, tree) = (Some(applied.commit), Tree::OfCommit(Some(applied.tree)));
            }
            Some(Fact::CommitBound(bound)) => {
                (commit, tree) = (Some(bound.commit), Tree::OfCommit(Some(bound.tree)));
            }
            // Without a commit it was proposed only, and what landed of that says so itself.
            Some(Fact::RollbackApplied(rolled)) if rolled.commit.is_some() => {
                (commit, tree) = (rolled.commit, Tree::OfCommit(Some(rolled.to_tree)));
            }
            // Of several that were rewritten the newest stays it. What its tree is only the new commit says.
            Some(Fact::CommitRebound(rebound)) if commit == Some(rebound.from) => {
                (commit, tree) = (Some(rebound.to), Tree::OfCommit(None));
            }
            _ => {}
        }
    }
    let unknown = || {
        user_error(
            format!("receipt `{}` does not say what it started from", receipt.id),
            "fork it without `--worktree`",
        )
    };
    let absent = |message: String, hint: &str| UserError { message, hint: Some(hint.into()), code: 4 };
    let commit = commit.ok_or_else(unknown)?;
    let there = ctx.store.tree_of(commit)?.ok_or_else(|| {
        let hint =
            "`git fetch` brings it where a branch of the other side has it; git drops commits that none has";
        absent(format!("commit `{commit}` is not here"), hint)
    })?;
    let (tree, hint) = match tree {
        Tree::Unknown => return Err(unknown()),
        Tree::OfSnapshot(tree) => {
            (tree, "snapshots stay in the clone that made them unless `receipt.share` is `all`")
        }
        Tree::OfCommit(tree) => (tree.unwrap_or(there), "`git fsck` lists what this repository lacks"),
    };
    if tree != ctx.store.empty_tree() && !ctx.store.has_object(tree) {
        return Err(absent(format!("tree `{tree}` is not here"), hint).into());
    }
    Ok(Files { commit, tree })
}

/// Which tree the files are.
enum Tree {
    Unknown,
    /// A commit's, as the entry states it; the commit's own where that states none.
    OfCommit(Option<Oid>),
    OfSnapshot(Oid),
}
