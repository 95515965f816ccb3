//! The tree that taking something back gives: three-way merges upon a commit, the newest of what is taken back first.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::found::untold;
use super::standing::{Holds, Piece, Rollbacks, Standing, View};
use crate::commands::proposal::LoadError;
use crate::commands::summary::facts;
use crate::commands::verify::Picture;
use crate::commands::{UserError, user_error};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{RollbackApplied, TreeAt};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::fold::Receipt;
use crate::domain::ids::{Oid, ReceiptId};
use crate::store::Merged;

/// What is taken back, and what comes of it.
pub struct Undoing<'k> {
    /// What is taken back, the newest first.
    pub taken: Vec<Taken<'k>>,
    /// Its lines, where all that is left was wanted and others are taken back already.
    pub rest: Option<LineSet>,
    /// The tree without it, or the files that conflict.
    pub merged: Merged,
    /// What was found out for it.
    pub standing: std::rc::Rc<Standing<'k>>,
}

/// One commit, or some of its lines.
pub struct Taken<'k> {
    piece: Piece<'k>,
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
        self.piece.lines().map(|(revision, _)| revision)
    }
}

/// What is to be taken back.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// These lines; all that stands where none are named.
    pub lines: Option<&'a LineSet>,
    /// Whether commits go as a whole that hold more than what can be told to be the receipt's.
    pub whole_commits: bool,
}

impl<'k> Rollbacks<'k> {
    /// Works out what taking back a receipt, or some lines of it, gives upon a commit. Trees are written, and no ref
    /// moves.
    ///
    /// # Errors
    /// When nothing of it stands there, there are no such lines, it cannot be told what in a commit is the receipt's, or
    /// something is not here.
    pub fn undo(
        &self,
        receipt: &'k Receipt,
        on: &TreeAt,
        wanted: Wanted<'_>,
        view: &View,
    ) -> anyhow::Result<Undoing<'k>> {
        let standing = self.standing(receipt, on.commit, view)?;
        let (revision, some_back) = (standing.revision(), standing.pieces.iter().any(Piece::is_touched));
        let mut pieces = standing.pieces.clone();
        if wanted.lines.is_none()
            && let Some((commit, others)) = standing.untold.first()
        {
            if !wanted.whole_commits {
                return Err(untold(*commit, others, receipt));
            }
            pieces.extend(standing.untold.iter().map(|(commit, _)| Piece::new(*commit, Holds::Whole)));
            let commits: Vec<Oid> = pieces.iter().map(|piece| piece.commit).collect();
            let order = self.newest_first(on.commit, &commits)?;
            pieces.sort_by_key(|piece| order.iter().position(|commit| *commit == piece.commit));
        }
        let taken = chosen(receipt, &standing, pieces, wanted.lines)?;
        let rest = taken.iter().try_fold(LineSet::default(), |all, one| {
            let numbered = one.piece.lines().filter(|(at, _)| Some(*at) == revision);
            numbered.and(one.lines.as_ref()).map(|lines| all.union(lines))
        });
        let rest = rest.filter(|_| some_back && wanted.lines.is_none());
        let mut tree = on.tree;
        for one in &taken {
            let (base, theirs) = self.sides(receipt, one)?;
            if base == theirs {
                continue;
            }
            match self.ctx.store.merge_trees(base, tree, theirs)? {
                Merged::Clean(merged) => tree = merged,
                conflicts @ Merged::Conflicts(_) => {
                    return Ok(Undoing { taken, rest, merged: conflicts, standing });
                }
            }
        }
        Ok(Undoing { taken, rest, merged: Merged::Clean(tree), standing })
    }

    /// What the change is taken from, and what it leaves: the commit's tree without what was taken back of it before, and
    /// the same without what is taken back now.
    fn sides(&self, receipt: &Receipt, taken: &Taken<'_>) -> anyhow::Result<(Oid, Oid)> {
        let (ctx, commit) = (self.ctx, taken.piece.commit);
        let not_here = || -> UserError {
            let hint = Some("fetch the history that it is in".to_owned());
            UserError { message: format!("commit `{commit}` or its parent is not here"), hint, code: 4 }
        };
        let tree_of =
            |commit| -> anyhow::Result<Oid> { Ok(ctx.store.tree_of(commit)?.ok_or_else(not_here)?) };
        let parent = || match ctx.store.parents_of(commit)?.as_slice() {
            [] => Ok(ctx.store.empty_tree()),
            [parent] => tree_of(*parent),
            _ => Err(user_error(
                format!("commit `{commit}` is a merge, and what it changed depends on the side"),
                "`git revert -m` takes a merge back",
            )),
        };
        let Some(lines) = &taken.lines else { return Ok((tree_of(commit)?, parent()?)) };
        let (back, left) = (&taken.piece.back, taken.piece.back.union(lines));
        let (revision, landed) = match &taken.piece.holds {
            Holds::Whole => return Ok((tree_of(commit)?, parent()?)),
            Holds::Found(found) => return self.found_sides(found, back, &left),
            Holds::Landed(revision, landed) => (*revision, landed),
        };
        let whole = landed.lines.minus(&left).is_empty();
        if back.is_empty() && whole {
            return Ok((tree_of(commit)?, parent()?));
        }
        let loaded = ctx.load(&receipt.proposals[revision].made)?;
        let base = if back.is_empty() { tree_of(commit)? } else { ctx.tree_without(&loaded, landed, back)? };
        let theirs = if whole { parent()? } else { ctx.tree_without(&loaded, landed, &left)? };
        Ok((base, theirs))
    }
}

/// What is to be taken back of what stands.
fn chosen<'k>(
    receipt: &Receipt,
    standing: &Standing<'k>,
    pieces: Vec<Piece<'k>>,
    lines: Option<&LineSet>,
) -> anyhow::Result<Vec<Taken<'k>>> {
    let id = receipt.id;
    if pieces.is_empty() {
        return Err(nothing(receipt, standing, lines));
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
        if pieces.iter().all(|piece| !piece.stands()) {
            return Err(all_back());
        }
        let stand = pieces.into_iter().filter(Piece::stands);
        return Ok(stand
            .map(|piece| {
                let lines = piece.lines().map(|(_, lines)| lines.minus(&piece.back));
                Taken { piece, lines }
            })
            .collect());
    };
    let Some(revision) = standing.revision() else {
        return Err(user_error(
            format!(
                "receipt `{id}` has no lines that can be told apart in the history of HEAD, only whole commits"
            ),
            "leave out `--lines` to take back those commits",
        ));
    };
    let (mut landed, mut back) = (LineSet::default(), LineSet::default());
    let of_revision = |piece: &Piece<'_>| piece.lines().is_some_and(|(at, _)| at == revision);
    for piece in pieces.iter().filter(|piece| of_revision(piece)) {
        let Some((_, there)) = piece.lines() else { continue };
        landed = landed.union(there);
        back = back.union(if piece.gone { there } else { &piece.back });
    }
    let never = lines.minus(&landed);
    if !never.is_empty() {
        let number = receipt.proposals[revision].made.revision;
        return Err(user_error(
            format!("lines {never} of revision {number} are not found in the history of HEAD"),
            match standing.untold.first() {
                Some((commit, _)) => format!("commit `{commit}` is bound to the receipt and may hold them"),
                None => format!("`git receipt show {id} --lines` says what became of each line"),
            },
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
    let pieces = pieces.into_iter().filter(of_revision);
    let taken = pieces.map(|piece| {
        let mine = piece.lines().map(|(_, there)| there.common(lines));
        Taken { piece, lines: mine }
    });
    Ok(taken.filter(|one| one.lines.as_ref().is_some_and(|lines| !lines.is_empty())).collect())
}

/// Says why there is nothing to take back.
fn nothing(receipt: &Receipt, standing: &Standing<'_>, lines: Option<&LineSet>) -> anyhow::Error {
    let id = receipt.id;
    if let (Some((commit, others)), Some(_)) = (standing.untold.first(), lines) {
        return untold(*commit, others, receipt);
    }
    if let Some(problem) = standing.withheld.first() {
        let hint = Some("`git receipt fetch` brings what reviewers need".to_owned());
        let message = format!("what receipt `{id}` put into the history of HEAD cannot be told: {problem}");
        return UserError { message, hint, code: 4 }.into();
    }
    if let Some(problem) = standing.wrong.first() {
        return user_error(
            format!("nothing of receipt `{id}` that can be relied on is in the history of HEAD: {problem}"),
            "`git receipt verify` says what is wrong",
        );
    }
    let landed: Vec<String> = standing.elsewhere.iter().map(|(commit, _)| format!("`{commit}`")).collect();
    user_error(
        format!("nothing of receipt `{id}` is in the history of HEAD"),
        match landed.is_empty() {
            true => format!("`git receipt show {id}` names the commits that it led to"),
            false => {
                format!("it landed as {}, and nothing tells what became of that here", landed.join(", "))
            }
        },
    )
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

impl<'k> Rollbacks<'k> {
    /// Whether taking back what a receipt says upon the commit that it says gives the tree that it says, by what its
    /// signer could know: the one place where rollbacks are worked out again.
    ///
    /// # Errors
    /// When it gives something else, or something that it takes is not here.
    pub fn again(&self, by: &'k Receipt, commit: Option<Oid>) -> Result<(), LoadError> {
        if let Some(there) = self.again.borrow().get(&(by.id, commit)) {
            return there.clone();
        }
        let judged = self.work_out(by, commit).map_err(|error| match error.downcast_ref::<UserError>() {
            Some(UserError { message, code: 4, .. }) => LoadError::Withheld(message.clone()),
            _ => LoadError::Wrong(format!("{error:#}")),
        });
        self.again.borrow_mut().insert((by.id, commit), judged.clone());
        judged
    }

    /// The commits that working a rollback out again rests on, besides its own: what it takes back, and their parents.
    pub fn rests_on(&self, by: &Receipt) -> Vec<Oid> {
        let of = by.takes_back.first().and_then(|first| self.known.picture.folded.receipt(first.said.of));
        let commits = of.into_iter().flat_map(|of| of.bound.iter().chain(&of.rewritten));
        let here = commits.filter(|commit| self.ctx.store.has_object(**commit));
        here.flat_map(|commit| {
            self.ctx.store.parents_of(*commit).unwrap_or_default().into_iter().chain([*commit])
        })
        .collect()
    }

    fn work_out(&self, by: &'k Receipt, commit: Option<Oid>) -> anyhow::Result<()> {
        // Several entries about one commit say it together.
        let known: Vec<_> = by.takes_back.iter().filter(|known| known.said.commit == commit).collect();
        let said: Vec<&RollbackApplied> = known.iter().map(|known| &known.said).collect();
        let (Some(first), Some(last)) = (said.first(), known.last()) else { return Ok(()) };
        let what = |said: &RollbackApplied| (said.of, said.from_tree, said.to_tree);
        if said.iter().any(|one| what(one) != what(first)) {
            anyhow::bail!("the entries about this rollback do not agree");
        }
        let missing = |message: String| UserError { message, hint: None, code: 4 };
        let of = self.known.picture.folded.receipt(first.of);
        let of = of.ok_or_else(|| missing(format!("receipt `{}` is not here", first.of)))?;
        let base = self.stated_base(by, first)?;
        if !self.ctx.store.has_object(base) {
            return Err(missing(format!("commit `{base}` is not here")).into());
        }
        let tree = self.ctx.store.tree_of(base)?;
        if tree != Some(first.from_tree) {
            anyhow::bail!("commit `{base}` does not have tree `{}`", first.from_tree);
        }
        if let Some(commit) = first.commit
            && self.ctx.store.tree_of(commit)? != Some(first.to_tree)
        {
            anyhow::bail!("commit `{commit}` does not have tree `{}`", first.to_tree);
        }
        let on = TreeAt { commit: base, tree: first.from_tree };
        let view = View { by: by.owner.clone(), until: Some(last.entry) };
        let lines = lines_of(&said);
        let wanted = Wanted { lines: lines.as_ref(), whole_commits: true };
        match self.undo(of, &on, wanted, &view)?.merged {
            Merged::Clean(tree) if tree == first.to_tree => Ok(()),
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

    /// Whether a receipt that rolled something back did that in a commit: in the one that it says, or in one to which that
    /// was rewritten, or that holds what was staged.
    pub(super) fn takes_back_in(&self, by: &'k Receipt, commit: Oid, view: &View) -> anyhow::Result<bool> {
        if by.takes_back.iter().any(|known| known.said.commit == Some(commit)) {
            return Ok(self.again(by, Some(commit)).is_ok());
        }
        let [parent] = self.ctx.store.parents_of(commit)?[..] else { return Ok(false) };
        let (Some(before), Some(after)) = (self.ctx.store.tree_of(parent)?, self.ctx.store.tree_of(commit)?)
        else {
            return Ok(false);
        };
        let said: Vec<&RollbackApplied> = by.takes_back.iter().map(|known| &known.said).collect();
        let of = said.first().and_then(|first| self.known.picture.folded.receipt(first.of));
        let Some(of) = of else { return Ok(false) };
        let lines = lines_of(&said);
        let wanted = Wanted { lines: lines.as_ref(), whole_commits: true };
        let view = View { by: by.owner.clone(), until: view.until };
        match self.undo(of, &TreeAt { commit: parent, tree: before }, wanted, &view) {
            Ok(Undoing { merged: Merged::Clean(tree), .. }) => self.holds(before, tree, after),
            // Nothing that it says could be taken back there.
            Ok(_) | Err(_) => Ok(false),
        }
    }

    /// Whether a rollback that was proposed proposes exactly what taking back gives.
    pub(super) fn is_right_proposal(&self, by: &'k Receipt) -> bool {
        self.proposed(by).is_ok()
    }

    /// Judges a rollback that was proposed.
    ///
    /// # Errors
    /// When its proposal is something else than what it says to take back, or something is not here.
    pub fn proposed(&self, by: &'k Receipt) -> Result<(), LoadError> {
        let wrong = |problem: &str| Err(LoadError::Wrong(problem.to_owned()));
        for known in &by.takes_back {
            let trees = (known.said.from_tree, known.said.to_tree);
            let same = |proposal: &&crate::domain::fold::ProposalState| {
                (proposal.made.base.tree, proposal.made.tree) == trees
            };
            if known.said.commit.is_some()
                || by.proposals.len() != 1
                || !by.proposals.iter().any(|one| same(&one))
            {
                return wrong("what is proposed is not what the rollback says to take back");
            }
        }
        self.again(by, None)
    }

    /// The tree that a rollback gives upon another commit than it states; none where it conflicts there, or where it would
    /// take back anything else than what its signer saw go.
    ///
    /// # Errors
    /// When something that it takes is not here.
    pub fn upon(
        &self,
        by: &'k Receipt,
        said: &[&RollbackApplied],
        on: &TreeAt,
    ) -> Result<Option<Oid>, LoadError> {
        let upon = || -> anyhow::Result<Option<Oid>> {
            let Some(first) = said.first() else { return Ok(None) };
            let what = |said: &RollbackApplied| (said.of, said.from_tree, said.to_tree);
            let Some(of) = self.known.picture.folded.receipt(first.of) else { return Ok(None) };
            if said.iter().any(|one| what(one) != what(first)) {
                return Ok(None);
            }
            let lines = lines_of(said);
            let wanted = Wanted { lines: lines.as_ref(), whole_commits: true };
            let now = View { by: by.owner.clone(), until: None };
            let last = by.takes_back.iter().rfind(|known| known.said.commit == first.commit);
            let then = View { until: last.map(|known| known.entry), ..now.clone() };
            let on_then = TreeAt { commit: self.stated_base(by, first)?, tree: first.from_tree };
            let then = self.undo(of, &on_then, wanted, &then)?;
            let now = self.undo(of, on, wanted, &now)?;
            let rewritten: BTreeMap<Oid, Oid> = facts(of, &self.known.picture)
                .filter_map(|fact| match fact {
                    Fact::CommitRebound(rebound) => Some((rebound.to, rebound.from)),
                    _ => None,
                })
                .collect();
            let as_then = |now: &Taken<'_>| then.taken.iter().any(|then| now.is_as(then, &rewritten));
            Ok(match now.merged {
                Merged::Clean(tree)
                    if now.taken.len() == then.taken.len() && now.taken.iter().all(as_then) =>
                {
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

    /// The commit upon which a rollback says that it happened.
    fn stated_base(&self, by: &Receipt, said: &RollbackApplied) -> anyhow::Result<Oid> {
        let missing =
            |commit| UserError { message: format!("commit `{commit}` is not here"), hint: None, code: 4 };
        let base = match said.commit {
            Some(commit) if self.ctx.store.has_object(commit) => {
                match self.ctx.store.parents_of(commit)?.as_slice() {
                    [parent] => Some(*parent),
                    parents => anyhow::bail!("commit `{commit}` has {} parents, and not one", parents.len()),
                }
            }
            Some(commit) => return Err(missing(commit).into()),
            // One that was proposed starts from the proposal's base, one that was staged from HEAD as it was then.
            None => match by.proposals.first() {
                Some(proposal) => Some(proposal.made.base.commit),
                None => base_of(&self.known.picture, by),
            },
        };
        base.context("nothing says upon which commit it was rolled back")
    }
}

impl Taken<'_> {
    /// Whether this is the same as was taken `then`, as it is or as it was rewritten to.
    fn is_as(&self, then: &Taken<'_>, rewritten: &BTreeMap<Oid, Oid>) -> bool {
        if self.commit() == then.commit() {
            return self.lines == then.lines;
        }
        // Lines are found only where they are.
        if let (Some((now, _)), Some((before, _))) = (self.piece.lines(), then.piece.lines()) {
            return now == before && self.lines == then.lines;
        }
        let mut from = self.commit();
        // As often as there are rewritten commits at most: whoever states them may let them go in circles.
        for _ in 0..rewritten.len() {
            match rewritten.get(&from) {
                Some(before) if *before == then.commit() => {
                    return self.lines.is_none() && then.lines.is_none();
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

/// The commit that HEAD was when a receipt was opened.
pub fn base_of(picture: &Picture, receipt: &Receipt) -> Option<Oid> {
    match facts(receipt, picture).next() {
        Some(Fact::ReceiptOpened(opened)) => opened.base.as_ref().map(|base| base.commit),
        _ => None,
    }
}
