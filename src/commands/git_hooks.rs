//! What git's own hooks do: bind commits to the receipts whose work they hold, follow rewritten commits, and add
//! trailers.
//!
//! A receipt's work is in a commit when a file that it changed is, and holds something of what the receipt left. That
//! is judged by content, so neither a stashed edit nor somebody else's change of the same file is taken for it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::bind::bind;
use super::target::Target;
use super::{Context, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Change, CommitRebound, FileChange, Rebind};
use crate::domain::ids::{EntryRef, Oid, ReceiptId};
use crate::domain::presence::{Sides, holds_edit};
use crate::store::{ChainScope, NoteLine, Repeats, TreeChange};

/// Binds the receipts of this worktree whose work is in the commit that was just made.
///
/// # Errors
/// When the commit cannot be read or nothing could be written.
pub fn post_commit(ctx: &Context) -> anyhow::Result<()> {
    let Some(commit) = ctx.store.head()?.commit else { return Ok(()) };
    let latest = ctx.store.newest_reflog("HEAD")?;
    let (before, action) = latest.map_or((None, String::new()), |line| (line.before, line.message));
    if action.starts_with("rebase") || action.starts_with("pull --rebase") || action.starts_with("pull -r") {
        // Every commit that is rewritten comes again when the rebase is done, with the one it was made from.
        return Ok(());
    }
    let changes = own_changes(ctx, commit)?;
    let mut targets = receipts_in(ctx, &changes, &|staged| leads(ctx, commit, staged))?;
    if action.starts_with("commit (amend)")
        && let Some(before) = before
    {
        // What was bound to the commit before follows it when git tells of the rewrite.
        let bound: Vec<ReceiptId> = noted(ctx, before)?.into_iter().map(|(receipt, _)| receipt).collect();
        targets.retain(|target| !bound.contains(&target.receipt));
    }
    if !targets.is_empty() {
        bind(ctx, &targets, commit)?;
    }
    Ok(())
}

/// Follows commits that git rewrote: `amend` or `rebase`, and on standard input a line for each, the old id and the
/// new one.
///
/// # Errors
/// When the input is not git's, or nothing could be written.
pub fn post_rewrite(ctx: &Context, kind: &str, lines: &str) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let mut ids = line.split_ascii_whitespace().map(Oid::from_hex);
        match (ids.next().flatten(), ids.next().flatten()) {
            (Some(from), Some(to)) => pairs.push((from, to)),
            _ => {
                let shown = line.escape_debug();
                return Err(user_error(
                    format!("`{shown}` is no line of `post-rewrite`"),
                    "git gives two commit ids a line",
                ));
            }
        }
    }
    let mut sources: HashMap<Oid, usize> = HashMap::new();
    for (_, to) in &pairs {
        *sources.entry(*to).or_default() += 1;
    }
    let mut drafts = Vec::new();
    let mut notes = Vec::new();
    for (from, to) in pairs.into_iter().filter(|(from, to)| from != to) {
        let how = match kind {
            "amend" => Rebind::Amend,
            _ if sources[&to] > 1 => Rebind::Squash,
            _ => Rebind::Rebase,
        };
        for (receipt, entry) in noted(ctx, from)? {
            if lost_work(ctx, receipt, from, to)? {
                continue;
            }
            let title = ctx.store.subject_of(to)?;
            let fact = Fact::CommitRebound(CommitRebound { from, to, how });
            let once = format!("rebound:{receipt}:{}:{}", short(from), short(to));
            drafts.push(Draft::new(Some(receipt), &title, fact).citing(entry).once(once));
            notes.push((to, receipt));
        }
    }
    if drafts.is_empty() {
        return Ok(());
    }
    // A reworded commit is told of twice: as amended, and when its rebase is done.
    let report = ctx.append_with(ChainScope::Console, ctx.role(), None, Repeats::FirstCounts, drafts)?;
    let lines: Vec<NoteLine> = notes
        .into_iter()
        .zip(&report.entries)
        .map(|((commit, receipt), entry)| NoteLine { commit, receipt, entry: entry.entry })
        .collect();
    ctx.note_bindings(&lines);
    Ok(())
}

/// Adds `Receipt-Id` trailers for the receipts whose work is staged, where `receipt.trailers` asks for them.
///
/// # Errors
/// When git cannot tell what is staged, or the message cannot be written.
pub fn prepare_commit_msg(ctx: &Context, message: &Path, source: Option<&str>) -> anyhow::Result<()> {
    if ctx.store.config_bool("receipt.trailers") != Some(true) {
        return Ok(());
    }
    let amends = source == Some("commit");
    // A partial commit has an index of its own, which git names to its hooks.
    let index = ctx.env.var_os("GIT_INDEX_FILE");
    let changes = ctx.store.staged_changes(amends, index.as_deref())?;
    let alike = |(from, to)| Ok(by_path(ctx.store.tree_changes(from, to)?) == by_path(changes.clone()));
    let targets = receipts_in(ctx, &changes, &alike)?;
    let trailers: Vec<String> =
        targets.iter().map(|target| format!("Receipt-Id: {}", target.receipt)).collect();
    if !trailers.is_empty() {
        ctx.store.add_trailers(message, &trailers)?;
    }
    Ok(())
}

/// The files that a commit itself changes: against its parent, of a merge only what is as in none of its parents.
fn own_changes(ctx: &Context, commit: Oid) -> anyhow::Result<Vec<TreeChange>> {
    let store = &ctx.store;
    let tree = store.tree_of(commit)?.unwrap_or(store.empty_tree());
    let mut parents = Vec::new();
    for parent in store.parents_of(commit)? {
        parents.extend(store.tree_of(parent)?);
    }
    let Some((first, others)) = parents.split_first() else {
        return Ok(store.tree_changes(store.empty_tree(), tree)?);
    };
    let mut changes = store.tree_changes(*first, tree)?;
    for other in others {
        let against = store.tree_changes(*other, tree)?;
        changes.retain(|change| against.iter().any(|other| other.path == change.path));
    }
    Ok(changes)
}

/// Whether a rewritten commit held a receipt's work and the new one holds none of it.
fn lost_work(ctx: &Context, receipt: ReceiptId, from: Oid, to: Oid) -> anyhow::Result<bool> {
    let touched = ctx.store.touched(receipt);
    Ok(holds_any(ctx, &touched, &own_changes(ctx, from)?)?
        && !holds_any(ctx, &touched, &own_changes(ctx, to)?)?)
}

/// Whether any recorded change is among those of a commit.
fn holds_any(ctx: &Context, touched: &[FileChange], changes: &[TreeChange]) -> anyhow::Result<bool> {
    let changed: BTreeMap<&[u8], &TreeChange> = changes.iter().map(|c| (c.path.as_slice(), c)).collect();
    for file in touched.iter().rev() {
        if let Some(change) = changed.get(file.path.as_bytes())
            && holds_work(ctx, change, file)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The receipts of this worktree, open or lately closed, whose work is among `changes`, and the one that was staged with
/// trees of which `is_staged` says that this is the way from the one to the other.
fn receipts_in(
    ctx: &Context,
    changes: &[TreeChange],
    is_staged: &dyn Fn((Oid, Oid)) -> anyhow::Result<bool>,
) -> anyhow::Result<Vec<Target>> {
    let here = ctx.store.worktree_id();
    let (mut targets, mut staged) = (Vec::new(), None);
    for receipt in ctx.store.recent_receipts().into_iter().filter(|receipt| receipt.worktree == here) {
        let target = Target { receipt: receipt.receipt, opened: receipt.opened };
        match receipt.staged {
            // What was staged twice was given up once, so only the later one came to this.
            Some(trees) if is_staged(trees)? => staged = Some(target),
            Some(_) => {}
            None if holds_any(ctx, &ctx.store.touched(receipt.receipt), changes)? => targets.push(target),
            None => {}
        }
    }
    targets.extend(staged);
    Ok(targets)
}

/// Whether a commit changes exactly the files in which two trees differ, and as they do.
fn leads(ctx: &Context, commit: Oid, (from, to): (Oid, Oid)) -> anyhow::Result<bool> {
    let (tree, parents) = (ctx.store.tree_of(commit)?, ctx.store.parents_of(commit)?);
    let ([parent], Some(tree)) = (parents.as_slice(), tree) else { return Ok(false) };
    let Some(before) = ctx.store.tree_of(*parent)? else { return Ok(false) };
    Ok(ctx.store.changed_files(before, tree)? == ctx.store.changed_files(from, to)?)
}

fn by_path(mut changes: Vec<TreeChange>) -> Vec<TreeChange> {
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes
}

/// Whether a change holds something of a recorded one. Where the files of the recorded one are not known the path has
/// to do.
fn holds_work(ctx: &Context, change: &TreeChange, file: &FileChange) -> anyhow::Result<bool> {
    let read = |blob: Option<Oid>| blob.map(|blob| ctx.store.blob(blob)).transpose().map(Option::flatten);
    let (before, after) = (read(file.before)?, read(file.after)?);
    let known = |blob: &Option<Vec<u8>>, absent| blob.is_some() || file.change == absent;
    if !known(&after, Change::Deleted) {
        return Ok(change.after.is_some() && (file.after.is_none() || change.after == file.after));
    }
    if !known(&before, Change::Added) {
        return Ok(change.after == file.after);
    }
    let edit = Sides { before: before.as_deref(), after: after.as_deref() };
    let (parent, committed) = (read(change.before)?, read(change.after)?);
    Ok(holds_edit(Sides { before: parent.as_deref(), after: committed.as_deref() }, edit))
}

/// The receipts that the note of a commit names, with the entry that bound each to this very commit: git copies notes
/// of rewritten commits along, whatever became of the work.
pub(super) fn noted(ctx: &Context, commit: Oid) -> anyhow::Result<Vec<(ReceiptId, EntryRef)>> {
    let mut bound: BTreeMap<ReceiptId, EntryRef> = BTreeMap::new();
    for line in ctx.store.note_of(commit)?.unwrap_or_default().lines() {
        let Some((receipt, entry)) = line.split_once(' ') else { continue };
        if let (Ok(receipt), Ok(entry)) = (receipt.parse(), entry.parse::<EntryRef>())
            && binds(ctx, entry, commit)?
        {
            bound.insert(receipt, entry);
        }
    }
    Ok(bound.into_iter().collect())
}

fn binds(ctx: &Context, entry: EntryRef, commit: Oid) -> anyhow::Result<bool> {
    let Ok(at) = ctx.store.commit_of(entry) else { return Ok(false) };
    let link = ctx.store.read_link(at)?.and_then(|link| link.entry);
    Ok(link.is_some_and(|entry| match &entry.body.fact {
        Fact::CommitBound(fact) => fact.commit == commit,
        Fact::CommitRebound(fact) => fact.to == commit,
        Fact::LinesApplied(fact) => fact.commit == commit,
        Fact::RollbackApplied(fact) => fact.commit == Some(commit),
        _ => false,
    }))
}

/// As much of an id as a key has room for.
fn short(id: Oid) -> String {
    id.to_hex()[..40].to_owned()
}
