//! The files of a snapshot come back, after a snapshot of now.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Args, RolledBack, closed, effects};
use crate::commands::replay::n_of;
use crate::commands::verify::Picture;
use crate::commands::{Context, UserError, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Base, ReceiptOpened, SnapshotTaken};
use crate::domain::fact::values::GitPath;
use crate::domain::fold::{Origin, Receipt, Step};
use crate::domain::ids::{EntryRef, Oid};
use crate::store::{Along, Care, Head, Landing, RefMove, StoreError, Way, Worktree};

/// What came back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Restored {
    /// The tree of the snapshot's files.
    pub snapshot: String,
    /// The entry that has it, as `chain@seq`.
    pub entry: String,
    /// Files that are other than before, or would be.
    pub files: Vec<String>,
    /// Whether the index went back as well.
    pub index: bool,
    /// The tree of the files before.
    pub from_tree: String,
    /// The tree of the files now.
    pub to_tree: String,
    /// What brings back the files that were here, for `--to`; nothing where nothing was changed.
    pub way_back: Option<String>,
}

/// A snapshot that was found.
struct Point<'p> {
    receipt: &'p Receipt,
    entry: EntryRef,
    said: &'p SnapshotTaken,
    /// How many entries there are up to it, those that the receipt inherited first.
    seen: usize,
}

/// Runs it.
///
/// # Errors
/// When there is no such snapshot, or it is not here; exit code 3 where a file is in the way that no snapshot holds.
pub(super) fn run(ctx: &Context, to: &str, args: &Args) -> anyhow::Result<RolledBack> {
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let point = find(ctx, &picture, to)?;
    for tree in [Some(point.said.worktree), point.said.index].into_iter().flatten() {
        if tree != ctx.store.empty_tree() && !ctx.store.has_object(tree) {
            let message = format!("tree `{tree}` of the snapshot is not here");
            let hint = "snapshots stay in the clone that made them unless `receipt.share` is `all`";
            return Err(UserError { message, hint: Some(hint.into()), code: 4 }.into());
        }
    }
    ctx.check_nothing_in_progress()?;
    let head = ctx.store.head()?;
    let care = Care::new(ctx.redactor()?);
    let now = ctx.store.write_worktree_with(&care)?;
    let way = way(ctx, &point, now, &args.paths)?;
    let files: Vec<GitPath> = ctx
        .store
        .tree_changes(way.now, way.to)?
        .into_iter()
        .map(|change| GitPath::new(change.path))
        .collect();
    let held = care.held();
    if let Some(path) = files.iter().find(|path| held.iter().any(|held| held == path.as_bytes())) {
        let cause = format!("`{path}` looks secret, so no snapshot of now keeps it");
        return Err(StoreError::InTheWay(cause).into());
    }
    let not_taken_back = effects::effects_after(ctx, &picture, point.receipt, point.seen)?;
    let moves_index = way.index.is_some_and(|index| now.index != Some(index));
    let nothing = files.is_empty() && !moves_index;
    let own = match args.dry_run || nothing {
        true => None,
        false => Some(go_back(ctx, &point, (&head, &now), way)?),
    };
    if nothing {
        ctx.notice("the files are as they were then, so nothing was changed");
    } else {
        ctx.tell_effects(&not_taken_back);
    }
    let patch = match args.dry_run {
        true => Some(ctx.store.patch_between(way.now, way.to)?),
        false => None,
    };
    let way_back = own.as_ref().map(|own| format!("{own}@1"));
    if let Some(way_back) = &way_back {
        ctx.notice(format!("`git receipt rollback --to {way_back}` brings back what was here"));
    }
    Ok(RolledBack {
        receipt: own,
        of: point.receipt.id.to_string(),
        undone: None,
        restored: Some(Restored {
            snapshot: point.said.worktree.to_hex(),
            entry: format!("{}@{}", point.entry.chain, point.entry.seq),
            files: files.iter().map(ToString::to_string).collect(),
            index: moves_index,
            from_tree: way.now.to_hex(),
            to_tree: way.to.to_hex(),
            way_back,
        }),
        patch,
        not_taken_back,
    })
}

/// From the files as they are to those of the snapshot, or at some paths only.
fn way(ctx: &Context, point: &Point<'_>, now: Worktree, paths: &[String]) -> anyhow::Result<Way> {
    let said = point.said;
    if paths.is_empty() {
        return Ok(Way { now: now.tree, to: said.worktree, index: said.index });
    }
    let (to, _) = ctx.only_at(now.tree, said.worktree, paths)?;
    let index = match (now.index, said.index) {
        (Some(from), Some(to)) => Some(ctx.only_at(from, to, paths)?.0),
        // With conflicts there is no tree to put single files into.
        _ => None,
    };
    Ok(Way { now: now.tree, to, index })
}

/// Keeps what is here, then goes back; the id of the receipt that keeps it.
fn go_back(
    ctx: &Context,
    point: &Point<'_>,
    (head, now): (&Head, &Worktree),
    way: Way,
) -> anyhow::Result<String> {
    let mut going = Going(ctx.store.prepare_restore(head, way)?);
    let own = ctx.store.new_receipt_id(ctx.now);
    let summary = format!("Go back to snapshot {}", &point.said.worktree.to_hex()[..12]);
    let base = head.commit.zip(now.head).map(|(commit, tree)| Base {
        commit,
        tree,
        branch: head.branch.as_deref().map(super::super::open::short),
        dirty: now.dirty,
    });
    let opened = ReceiptOpened {
        task_type: Some("rollback".into()),
        ..ReceiptOpened::of(summary.clone(), summary.clone(), base)
    };
    let label = "before going back".to_owned();
    let kept = SnapshotTaken { label: Some(label.clone()), worktree: now.tree, index: now.index };
    let opening = Draft::new(Some(own), &summary, Fact::ReceiptOpened(opened)).citing(point.entry);
    let snapshot = Draft::new(Some(own), &label, Fact::SnapshotTaken(kept));
    ctx.append_along(vec![opening, snapshot, closed(own, "rolled back")], &mut going)?;
    // Everything is recorded. What is left would be finished by the next command as well.
    going.0.finish()?;
    Ok(own.to_string())
}

/// Files and index that move with the entries, or not at all.
struct Going<'s>(Landing<'s>);

impl Along for Going<'_> {
    fn ready(&mut self, moves: &[RefMove]) -> Result<(), StoreError> {
        self.0.ready(moves)
    }
}

/// Finds a snapshot: `R@N`, `chain@seq`, or the beginning of its tree's id.
fn find<'p>(ctx: &Context, picture: &'p Picture, to: &str) -> anyhow::Result<Point<'p>> {
    let numbered = to.rsplit_once('@').filter(|(name, _)| !name.is_empty());
    if let Some((name, n)) = numbered
        && let Ok(n) = n.parse::<usize>()
    {
        if let Some(found) = snapshots(picture)
            .find(|point| point.entry.chain.to_string() == name && point.entry.seq == n as u64)
        {
            return Ok(found);
        }
        let receipt = picture.receipt(picture.target(ctx, name)?.receipt)?;
        receipt.check_known()?;
        let n = n_of(receipt, n)?;
        let steps: Vec<&Step> = inherited(receipt).chain(&receipt.steps[..=n]).collect();
        let mut numbered = steps.into_iter().enumerate().rev();
        let found = numbered.find_map(|(at, step)| point(picture, receipt, step, at + 1));
        return found.ok_or_else(|| {
            user_error(
                format!("receipt `{}` has no snapshot up to entry {n}", receipt.id),
                "`git receipt log --kind snapshot.taken` lists those that are here",
            )
        });
    }
    let wanted = to.rsplit(':').next().unwrap_or(to).to_ascii_lowercase();
    let is_id = wanted.len() >= 4 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut fitting: Vec<Point<'_>> = snapshots(picture)
        .filter(|point| is_id && point.said.worktree.to_hex().starts_with(&wanted))
        .collect();
    let trees: std::collections::BTreeSet<Oid> = fitting.iter().map(|point| point.said.worktree).collect();
    if trees.len() > 1 {
        return Err(user_error(
            format!("`{to}` could be {} snapshots", trees.len()),
            "give more of the id, or name the entry as `R@N`",
        ));
    }
    fitting.pop().ok_or_else(|| {
        user_error(
            format!("`{to}` names no snapshot"),
            "name it as `R@N` or by the id of its tree; `git receipt log --kind snapshot.taken` lists them",
        )
    })
}

/// The snapshots of known receipts, by when the receipts were opened.
fn snapshots(picture: &Picture) -> impl Iterator<Item = Point<'_>> {
    let receipts = picture.folded.receipts().into_iter().filter(|receipt| receipt.known);
    receipts.flat_map(move |receipt| {
        let (before, steps) = (inherited(receipt).count(), receipt.steps.iter().enumerate());
        steps.filter_map(move |(at, step)| point(picture, receipt, step, before + at + 1))
    })
}

/// What a receipt inherited.
fn inherited(receipt: &Receipt) -> impl Iterator<Item = &Step> {
    receipt.origin.iter().flat_map(Origin::steps)
}

fn point<'p>(picture: &'p Picture, receipt: &'p Receipt, step: &Step, seen: usize) -> Option<Point<'p>> {
    match &picture.link(&step.commit)?.entry.as_ref()?.body.fact {
        Fact::SnapshotTaken(said) => Some(Point { receipt, entry: step.entry, said, seen }),
        _ => None,
    }
}
