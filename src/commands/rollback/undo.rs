//! The tree that taking something back gives: three-way merges upon a commit, the newest of what is taken back first.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::standing::{Piece, Standing};
use crate::commands::proposal::LoadError;
use crate::commands::summary::facts;
use crate::commands::verify::Picture;
use crate::commands::{Context, UserError, user_error};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{RollbackApplied, TreeAt};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::fold::Receipt;
use crate::domain::ids::{Oid, ReceiptId};
use crate::store::Merged;

/// What is taken back, and what comes of it.
pub struct Undoing<'p> {
    /// What is taken back, the newest first.
    pub taken: Vec<Taken<'p>>,
    /// Its lines, where all that is left was wanted and others are taken back already.
    pub rest: Option<LineSet>,
    /// The tree without it, or the files that conflict.
    pub merged: Merged,
}

/// One commit, or some of its lines.
pub struct Taken<'p> {
    piece: Piece<'p>,
    /// The lines; none where the commit counts as a whole.
    pub lines: Option<LineSet>,
}

impl Taken<'_> {
    /// The commit.
    pub fn commit(&self) -> Oid {
        self.piece.commit
    }

    /// The place of the revision that numbers its lines, among those of the receipt.
    pub fn revision(&self) -> Option<usize> {
        self.piece.landed.as_ref().map(|(revision, _)| *revision)
    }
}

/// Works out what taking back a receipt, or some lines of it, gives upon a commit. Trees are written, and no ref moves.
///
/// # Errors
/// When nothing of it stands there, there are no such lines, or something is not here.
pub fn undo<'p>(
    ctx: &Context,
    picture: &'p Picture,
    receipt: &'p Receipt,
    on: &TreeAt,
    lines: Option<&LineSet>,
) -> anyhow::Result<Undoing<'p>> {
    let standing = Standing::of(ctx, picture, receipt, on.commit)?;
    let (revision, some_back) = (standing.revision(), standing.pieces.iter().any(Piece::is_touched));
    let taken = chosen(standing, lines)?;
    let rest = taken.iter().try_fold(LineSet::default(), |all, one| {
        let numbered = one.piece.landed.as_ref().filter(|(at, _)| Some(*at) == revision);
        numbered.and(one.lines.as_ref()).map(|lines| all.union(lines))
    });
    let rest = rest.filter(|_| some_back && lines.is_none());
    let mut tree = on.tree;
    for one in &taken {
        let (base, theirs) = sides(ctx, receipt, one)?;
        if base == theirs {
            continue;
        }
        match ctx.store.merge_trees(base, tree, theirs)? {
            Merged::Clean(merged) => tree = merged,
            conflicts @ Merged::Conflicts(_) => return Ok(Undoing { taken, rest, merged: conflicts }),
        }
    }
    Ok(Undoing { taken, rest, merged: Merged::Clean(tree) })
}

/// What is to be taken back of what stands.
fn chosen<'p>(standing: Standing<'p>, lines: Option<&LineSet>) -> anyhow::Result<Vec<Taken<'p>>> {
    let id = standing.receipt.id;
    if standing.pieces.is_empty() {
        return Err(user_error(
            format!("nothing of receipt `{id}` is in the history of HEAD"),
            format!("`git receipt show {id}` names the commits that it led to"),
        ));
    }
    let all_back = || {
        let by: Vec<String> = standing.by.iter().map(|by| format!("`{by}`")).collect();
        let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
        user_error(
            format!("receipt `{id}` is rolled back already{by}"),
            "`git receipt rollback` with that receipt brings it again",
        )
    };
    let Some(lines) = lines else {
        if standing.pieces.iter().all(|piece| !piece.stands()) {
            return Err(all_back());
        }
        let stand = standing.pieces.into_iter().filter(Piece::stands);
        return Ok(stand
            .map(|piece| {
                let lines = piece.landed.as_ref().map(|(_, landed)| landed.lines.minus(&piece.back));
                Taken { piece, lines }
            })
            .collect());
    };
    let Some(revision) = standing.revision() else {
        return Err(user_error(
            format!("receipt `{id}` has no lines that landed, only commits that it is bound to"),
            "leave out `--lines` to take back those commits",
        ));
    };
    let (mut landed, mut back) = (LineSet::default(), LineSet::default());
    let of_revision = |piece: &Piece<'_>| piece.landed.as_ref().is_some_and(|(at, _)| *at == revision);
    for piece in standing.pieces.iter().filter(|piece| of_revision(piece)) {
        let Some((_, there)) = &piece.landed else { continue };
        landed = landed.union(&there.lines);
        back = back.union(if piece.gone { &there.lines } else { &piece.back });
    }
    let never = lines.minus(&landed);
    if !never.is_empty() {
        let revision = standing.receipt.proposals[revision].made.revision;
        return Err(user_error(
            format!("lines {never} of revision {revision} did not land in the history of HEAD"),
            format!("`git receipt show {id} --lines` says what became of each line"),
        ));
    }
    let again = lines.common(&back);
    if !again.is_empty() {
        return Err(match landed.minus(&back).is_empty() {
            true => all_back(),
            false => user_error(
                format!("lines {again} are rolled back already"),
                format!("lines {} are still there", landed.minus(&back)),
            ),
        });
    }
    let pieces = standing.pieces.into_iter().filter(of_revision);
    let taken = pieces.map(|piece| {
        let mine = piece.landed.as_ref().map(|(_, landed)| landed.lines.common(lines));
        Taken { piece, lines: mine }
    });
    Ok(taken.filter(|one| one.lines.as_ref().is_some_and(|lines| !lines.is_empty())).collect())
}

/// What the change is taken from, and what it leaves: the commit's tree without what was taken back of it before, and
/// the same without what is taken back now.
fn sides(ctx: &Context, receipt: &Receipt, taken: &Taken<'_>) -> anyhow::Result<(Oid, Oid)> {
    let commit = taken.piece.commit;
    let not_here = || -> UserError {
        let hint = Some("fetch the history that it is in".to_owned());
        UserError { message: format!("commit `{commit}` or its parent is not here"), hint, code: 4 }
    };
    let tree_of = |commit| -> anyhow::Result<Oid> { Ok(ctx.store.tree_of(commit)?.ok_or_else(not_here)?) };
    let parent = || match ctx.store.parents_of(commit)?.as_slice() {
        [] => Ok(ctx.store.empty_tree()),
        [parent] => tree_of(*parent),
        _ => Err(user_error(
            format!("commit `{commit}` is a merge, and what it changed depends on the side"),
            "`git revert -m` takes a merge back",
        )),
    };
    let (Some((revision, landed)), Some(lines)) = (&taken.piece.landed, &taken.lines) else {
        return Ok((tree_of(commit)?, parent()?));
    };
    let (back, left) = (&taken.piece.back, taken.piece.back.union(lines));
    let whole = landed.lines.minus(&left).is_empty();
    if back.is_empty() && whole {
        return Ok((tree_of(commit)?, parent()?));
    }
    let loaded = ctx.load(&receipt.proposals[*revision].made)?;
    let base = if back.is_empty() { tree_of(commit)? } else { ctx.tree_without(&loaded, landed, back)? };
    let theirs = if whole { parent()? } else { ctx.tree_without(&loaded, landed, &left)? };
    Ok((base, theirs))
}

/// An error that names the files in which a merge conflicts.
pub fn conflict(id: ReceiptId, paths: &[GitPath], chose_lines: bool) -> anyhow::Error {
    let named: Vec<String> = paths.iter().take(20).map(|path| format!("`{path}`")).collect();
    let more = if paths.len() > 20 { format!(" and {} more", paths.len() - 20) } else { String::new() };
    let hint = match chose_lines {
        true => "choose other lines, or change the files by hand and commit them".to_owned(),
        false => format!(
            "`git receipt rollback {id} --lines S` takes back some lines; otherwise change the files by hand"
        ),
    };
    let message = format!("what came later stands in the way in {}{more}", named.join(", "));
    UserError { message, hint: Some(hint), code: 3 }.into()
}

/// Whether taking back what a receipt says upon the commit that it says gives the tree that it says: the one place where
/// rollbacks are worked out again, for `replay --check` and `audit`.
///
/// # Errors
/// When it gives something else, or something that it takes is not here.
pub fn rollback_again(
    ctx: &Context,
    picture: &Picture,
    by: &Receipt,
    commit: Option<Oid>,
) -> Result<(), LoadError> {
    // Several entries about one commit say it together.
    let stated = by.takes_back.iter().map(|known| &known.said).filter(|said| said.commit == commit);
    again(ctx, picture, by, &stated.collect::<Vec<_>>()).map_err(|error| {
        match error.downcast_ref::<UserError>() {
            Some(UserError { message, code: 4, .. }) => LoadError::Withheld(message.clone()),
            _ => LoadError::Wrong(format!("{error:#}")),
        }
    })
}

fn again(ctx: &Context, picture: &Picture, by: &Receipt, said: &[&RollbackApplied]) -> anyhow::Result<()> {
    let Some(first) = said.first() else { return Ok(()) };
    let missing = |message: String| UserError { message, hint: None, code: 4 };
    let of = picture.folded.receipt(first.of);
    let of = of.ok_or_else(|| missing(format!("receipt `{}` is not here", first.of)))?;
    let base = stated_base(ctx, picture, by, first)?;
    if !ctx.store.has_object(base) {
        return Err(missing(format!("commit `{base}` is not here")).into());
    }
    let tree = ctx.store.tree_of(base)?;
    if tree != Some(first.from_tree) {
        anyhow::bail!("commit `{base}` does not have tree `{}`", first.from_tree);
    }
    if let Some(commit) = first.commit
        && ctx.store.tree_of(commit)? != Some(first.to_tree)
    {
        anyhow::bail!("commit `{commit}` does not have tree `{}`", first.to_tree);
    }
    let on = TreeAt { commit: base, tree: first.from_tree };
    match undo(ctx, picture, of, &on, lines_of(said).as_ref())?.merged {
        Merged::Clean(tree) if said.iter().all(|one| one.to_tree == tree && one.of == first.of) => Ok(()),
        Merged::Clean(tree) => anyhow::bail!(
            "taking back receipt `{}` on commit `{base}` gives tree `{tree}`, not `{}`",
            first.of,
            first.to_tree
        ),
        Merged::Conflicts(_) => {
            anyhow::bail!("taking back receipt `{}` on commit `{base}` conflicts", first.of)
        }
    }
}

/// The tree that a rollback gives upon another commit than it states; none where it conflicts there, or where it would take
/// back anything else than what its signer saw go.
///
/// # Errors
/// When something that it takes is not here.
pub fn rollback_upon(
    ctx: &Context,
    picture: &Picture,
    by: &Receipt,
    said: &[&RollbackApplied],
    on: &TreeAt,
) -> Result<Option<Oid>, LoadError> {
    let upon = || -> anyhow::Result<Option<Oid>> {
        let Some(first) = said.first() else { return Ok(None) };
        let what = |said: &RollbackApplied| (said.of, said.from_tree, said.to_tree);
        let Some(of) = picture.folded.receipt(first.of) else { return Ok(None) };
        if said.iter().any(|one| what(one) != what(first)) {
            return Ok(None);
        }
        let lines = lines_of(said);
        let then = TreeAt { commit: stated_base(ctx, picture, by, first)?, tree: first.from_tree };
        let then = undo(ctx, picture, of, &then, lines.as_ref())?;
        let now = undo(ctx, picture, of, on, lines.as_ref())?;
        let rewritten: BTreeMap<Oid, Oid> = facts(of, picture)
            .filter_map(|fact| match fact {
                Fact::CommitRebound(rebound) => Some((rebound.to, rebound.from)),
                _ => None,
            })
            .collect();
        let as_then = |now: &Taken<'_>| then.taken.iter().any(|then| now.is_as(then, &rewritten));
        Ok(match now.merged {
            Merged::Clean(tree) if now.taken.len() == then.taken.len() && now.taken.iter().all(as_then) => {
                Some(tree)
            }
            _ => None,
        })
    };
    upon().or_else(|error| match error.downcast_ref::<UserError>() {
        Some(UserError { message, code: 4, .. }) => Err(LoadError::Withheld(message.clone())),
        _ => Ok(None),
    })
}

impl Taken<'_> {
    /// Whether this is the same as was taken `then`, as it is or as it was rewritten to.
    fn is_as(&self, then: &Taken<'_>, rewritten: &BTreeMap<Oid, Oid>) -> bool {
        if self.commit() == then.commit() {
            return self.lines == then.lines;
        }
        let mut from = self.commit();
        // As often as there are rewritten commits at most: whoever states them may let them go in circles.
        for _ in 0..rewritten.len() {
            match rewritten.get(&from) {
                Some(before) if *before == then.commit() => {
                    let whole = then.piece.landed.as_ref().map(|(_, landed)| &landed.lines);
                    return self.lines.is_none() && then.lines.as_ref() == whole;
                }
                Some(before) => from = *before,
                None => break,
            }
        }
        false
    }
}

/// The lines that several entries about one rollback name together; none where one of them takes all.
fn lines_of(said: &[&RollbackApplied]) -> Option<LineSet> {
    said.iter().try_fold(LineSet::default(), |all, one| Some(all.union(one.lines.as_ref()?)))
}

/// The commit upon which a rollback says that it happened.
fn stated_base(
    ctx: &Context,
    picture: &Picture,
    by: &Receipt,
    said: &RollbackApplied,
) -> anyhow::Result<Oid> {
    let base = match said.commit {
        Some(commit) if ctx.store.has_object(commit) => ctx.store.parents_of(commit)?.first().copied(),
        Some(commit) => {
            let message = format!("commit `{commit}` is not here");
            return Err(UserError { message, hint: None, code: 4 }.into());
        }
        // One that was proposed starts from the proposal's base, one that was staged from HEAD as it was then.
        None => match by.proposals.first() {
            Some(proposal) => Some(proposal.made.base.commit),
            None => base_of(picture, by),
        },
    };
    base.context("nothing says upon which commit it was rolled back")
}

/// The commit that HEAD was when a receipt was opened.
pub fn base_of(picture: &Picture, receipt: &Receipt) -> Option<Oid> {
    match facts(receipt, picture).next() {
        Some(Fact::ReceiptOpened(opened)) => opened.base.as_ref().map(|base| base.commit),
        _ => None,
    }
}
