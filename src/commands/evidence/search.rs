//! Ways in which accepted lines give exactly a commit's tree, worked out again from the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::ground::Ground;
use super::known::{Known, Parent};
use crate::commands::Context;
use crate::commands::proposal::{LoadError, Loaded};
use crate::commands::verify_lines::Landed;
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::{Oid, OidSet, ReceiptId};
use crate::domain::lines::{self, Content, Files};
use crate::domain::policy::Grade;
use crate::store::RangeCommit;

/// How many proposals about the same files are tried where nothing says which of them a commit holds.
const MOST: usize = 256;

/// How many of a proposal's decisions are gone back through: what a commit holds was accepted at some time, and more
/// may have been since.
const MOST_DECISIONS: usize = 64;

/// Lines of one proposal that may have landed together.
struct Choice {
    lines: LineSet,
    /// What of the same proposal is in the parent already.
    before: LineSet,
    /// Whether these are all of its lines that landed or were accepted at one time.
    whole: bool,
}

/// Looks for accepted lines that give one commit.
pub struct Search<'a> {
    ctx: &'a Context,
    known: &'a Known,
    commit: &'a RangeCommit,
    /// The receipts that are bound to it.
    bound: BTreeMap<ReceiptId, Grade>,
    parent_tree: Oid,
    before: Files,
    after: Files,
}

/// What a [`Search`] came upon.
#[derive(Default)]
pub struct Found {
    /// Ways in which accepted lines give exactly the commit's tree.
    pub ways: Vec<Way>,
    /// What is not here and might have given more.
    pub missing: BTreeSet<String>,
    /// What is here and wrong.
    pub unusable: BTreeSet<String>,
    /// Where nothing was found, the first place that the lines of the receipts in question do not explain.
    pub unexplained: Option<(GitPath, Option<u64>)>,
}

/// Lines that, put on the first parent's tree, give exactly the commit's.
pub struct Way {
    /// How closely they fit.
    pub grade: Grade,
    /// The lines, in the order in which they go on.
    pub parts: Vec<Part>,
}

/// The lines of one proposal in a [`Way`].
pub struct Part {
    /// Which proposal, for [`Known::candidate`].
    pub at: usize,
    /// The lines.
    pub lines: LineSet,
    /// What of the same proposal the parent may hold already, the likeliest first.
    pub before: Vec<LineSet>,
}

impl<'a> Search<'a> {
    /// Looks at what a commit changes, to which the receipts in `bound` are bound.
    ///
    /// # Errors
    /// When its trees cannot be read.
    pub fn new(
        ctx: &'a Context,
        known: &'a Known,
        commit: &'a RangeCommit,
        parent: Parent,
        bound: BTreeMap<ReceiptId, Grade>,
    ) -> anyhow::Result<Self> {
        let parent_tree = parent.tree(ctx.store.empty_tree());
        let (before, after) = ctx.store.changed_files(parent_tree, commit.tree)?;
        Ok(Search { ctx, known, commit, bound, parent_tree, before, after })
    }

    /// What the entries themselves say landed in the commit, or in another of its tree.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn stated(&self, found: &mut Found) -> anyhow::Result<()> {
        for at in self.known.landed_in(self.commit) {
            let Some(loaded) = self.load(at, found) else { continue };
            let mut landings = self.landings(at);
            self.ctx.look_into_history(&loaded, &mut landings)?;
            for landed in landings.iter().filter(|landed| landed.applied.tree == self.commit.tree) {
                // The commit that was landed, or another upon the same tree: then the first need not be here.
                let (grade, judged) = match landed.applied.commit == self.commit.commit {
                    true => (Grade::Commit, self.ctx.recompute(&loaded, landed)?),
                    false => (Grade::Tree, self.ctx.gives(&loaded, landed, self.parent_tree)?),
                };
                match judged {
                    Ok(()) if !self.is_spent(&loaded, &landings, &landed.lines)? => {
                        let before =
                            vec![landed.before.clone(), landed.in_history.clone(), LineSet::default()];
                        let part = Part { at, lines: landed.lines.clone(), before };
                        found.ways.push(Way { grade, parts: vec![part] });
                    }
                    // Lines that give something else here say nothing against themselves.
                    Ok(()) | Err(LoadError::Wrong(_)) => {}
                    Err(error) => self.note(at, &error, found),
                }
            }
        }
        Ok(())
    }

    /// What the entries say landed in this very commit, laid on the parent, which gave the commit: as good as
    /// [`Search::stated`] for whoever needs the ground anyway, and half the work.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn laid_as_stated(&self) -> anyhow::Result<Option<(Way, Ground<'a>)>> {
        for at in self.known.landed_in(self.commit) {
            let Ok(loaded) = self.known.loaded(self.ctx, at) else { continue };
            let landings = self.landings(at);
            for landed in landings.iter().filter(|landed| landed.applied.commit == self.commit.commit) {
                let before = vec![landed.before.clone(), LineSet::default()];
                let parts = vec![Part { at, lines: landed.lines.clone(), before }];
                let way = Way { grade: Grade::Commit, parts };
                if !self.is_spent(&loaded, &landings, &landed.lines)?
                    && let Some(ground) = self.lay(&way)?
                {
                    return Ok(Some((way, ground)));
                }
            }
        }
        Ok(None)
    }

    /// Whatever else accepted lines give it: those of one proposal, or of several together.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn worked_out(&self, found: &mut Found) -> anyhow::Result<()> {
        let named = self.named();
        let changed: BTreeSet<&GitPath> = self.before.keys().chain(self.after.keys()).collect();
        let mut within = self.known.within(self.ctx, &changed);
        if within.len() > MOST {
            within.drain(..within.len() - MOST);
            found.missing.insert(format!(
                "more than {MOST} receipts are about its files, and a `Receipt-Id` in its message would say which"
            ));
        }
        let hinted: Vec<(usize, Rc<Loaded>)> = self.loaded(&named, found);
        let others: Vec<usize> = within.iter().copied().filter(|at| !named.contains(at)).collect();
        let others = self.loaded(&others, found);
        for (at, loaded) in hinted.iter().chain(&others) {
            self.alone(*at, loaded, found)?;
        }
        if found.ways.is_empty() {
            let all: Vec<&(usize, Rc<Loaded>)> = {
                let mut all: Vec<_> = hinted.iter().chain(&others).collect();
                all.sort_by_key(|(at, _)| *at);
                all
            };
            let fitting: Vec<&(usize, Rc<Loaded>)> =
                all.iter().copied().filter(|(at, loaded)| self.shows(*at, loaded)).collect();
            for group in [hinted.iter().collect(), fitting, all] {
                if self.together(&group, found)? {
                    break;
                }
            }
        }
        if found.ways.is_empty() {
            found.unexplained = self.unexplained(&hinted)?;
        } else {
            // What was found decides, whatever else there may be.
            found.missing.clear();
            found.unusable.clear();
        }
        Ok(())
    }

    /// Proposals of the receipts that the commit's message, its bindings or its landings name, oldest first.
    fn named(&self) -> Vec<usize> {
        let by_message = self.commit.named.iter().filter_map(|name| name.parse::<ReceiptId>().ok());
        let receipts: BTreeSet<ReceiptId> = by_message.chain(self.bound.keys().copied()).collect();
        let of_receipts = receipts.iter().flat_map(|receipt| self.known.of_receipt(receipt)).copied();
        let all: BTreeSet<usize> = of_receipts.chain(self.known.landed_in(self.commit)).collect();
        all.into_iter().collect()
    }

    fn loaded(&self, candidates: &[usize], found: &mut Found) -> Vec<(usize, Rc<Loaded>)> {
        let load = |at: &usize| Some((*at, self.load(*at, found)?));
        candidates.iter().filter_map(load).collect()
    }

    fn load(&self, at: usize, found: &mut Found) -> Option<Rc<Loaded>> {
        self.known.loaded(self.ctx, at).map_err(|error| self.note(at, &error, found)).ok()
    }

    fn landings(&self, at: usize) -> Vec<Landed<'a>> {
        let (receipt, _) = self.known.candidate(at);
        let index = self.known.index_of(at);
        self.ctx.landings(&self.known.picture, receipt).swap_remove(index)
    }

    /// The sets of lines of a proposal that may be what landed here, the most likely first.
    fn choices(&self, at: usize, landings: &[Landed<'_>]) -> Vec<Choice> {
        let (_, proposal) = self.known.candidate(at);
        let lines = &proposal.lines;
        let now = match proposal.superseded_by {
            None => lines.accepted.union(&lines.applied),
            Some(_) => lines.applied.clone(),
        };
        let mut choices: Vec<Choice> = Vec::new();
        let mut add = |lines: LineSet, before: LineSet, whole: bool| {
            let known = choices.iter().any(|choice| choice.lines == lines && choice.before == before);
            if !lines.is_empty() && !known {
                choices.push(Choice { lines, before, whole });
            }
        };
        add(now.clone(), LineSet::default(), true);
        add(lines.applied.clone(), LineSet::default(), true);
        let decisions = proposal.decisions.len();
        for count in (decisions.saturating_sub(MOST_DECISIONS)..decisions).rev() {
            add(proposal.accepted_after(count).common(&now), LineSet::default(), true);
        }
        for landed in landings {
            add(landed.lines.clone(), landed.before.clone(), false);
        }
        choices
    }

    /// Tries the lines of one proposal by themselves.
    fn alone(&self, at: usize, loaded: &Loaded, found: &mut Found) -> anyhow::Result<()> {
        let landings = self.landings(at);
        for choice in self.choices(at, &landings) {
            let mut ground = self.ground();
            match ground.put(loaded.into(), &choice.lines, &choice.before)? {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    self.note(at, &error, found);
                    return Ok(());
                }
            }
            if !ground.is(self.commit.tree, &self.before, &self.after)?
                || self.is_spent(loaded, &landings, &choice.lines)?
            {
                continue;
            }
            let grade = match (choice.whole, loaded.made.base.tree == self.parent_tree) {
                (_, true) => match self.bound.get(&self.known.candidate(at).0.id) {
                    Some(Grade::Commit) => Grade::Commit,
                    _ => Grade::Tree,
                },
                (true, false) => Grade::Patch,
                (false, false) => Grade::Lines,
            };
            let part = Part { at, lines: choice.lines, before: vec![choice.before] };
            found.ways.push(Way { grade, parts: vec![part] });
            return Ok(());
        }
        Ok(())
    }

    /// Puts the lines of several proposals on the parent, in the order in which their receipts were opened and only
    /// those that fit, and says whether that gave the commit.
    fn together(&self, group: &[&(usize, Rc<Loaded>)], found: &mut Found) -> anyhow::Result<bool> {
        if group.len() < 2 {
            return Ok(false);
        }
        let mut ground = self.ground();
        let mut used = Vec::new();
        for (at, loaded) in group {
            let (_, proposal) = self.known.candidate(*at);
            let lines = match proposal.superseded_by {
                None => proposal.lines.accepted.union(&proposal.lines.applied),
                Some(_) => proposal.lines.applied.clone(),
            };
            match ground.put(loaded.as_ref().into(), &lines, &LineSet::default())? {
                Ok(true) if self.is_spent(loaded, &self.landings(*at), &lines)? => return Ok(false),
                Ok(true) => used.push(Part { at: *at, lines, before: vec![LineSet::default()] }),
                Ok(false) => continue,
                Err(error) => self.note(*at, &error, found),
            }
            // What comes after is no part of it, though it may fit as well.
            if used.len() > 1 && ground.is(self.commit.tree, &self.before, &self.after)? {
                found.ways.push(Way { grade: Grade::Lines, parts: used });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether all that a proposal's accepted lines add on their own base is in the commit as well, file by file.
    fn shows(&self, at: usize, loaded: &Loaded) -> bool {
        let (_, proposal) = self.known.candidate(at);
        let lines = proposal.lines.accepted.union(&proposal.lines.applied);
        let store = &self.ctx.store;
        // One whose table is wrong or not here shows nothing, and says so where it is put on the parent.
        let edits = loaded.change(store).ok().and_then(|change| lines::apply(&change, &lines, store).ok());
        let Some(edits) = edits else { return false };
        let read = |oid: Oid| store.blob(oid).ok().flatten().unwrap_or_default();
        edits.iter().all(|(path, written)| match (written, self.after.get(path)) {
            (None, there) => there.is_none(),
            (Some(_), None) => false,
            (Some(written), Some(there)) => {
                let base = loaded.base.get(path).map(|file| read(file.oid)).unwrap_or_default();
                let new = match &written.content {
                    Content::Blob(oid) => read(*oid),
                    Content::Bytes(bytes) => bytes.clone(),
                };
                adds_only(&base, &new, &read(there.oid))
            }
        })
    }

    /// Whether some of these lines landed in what led to the commit: once there, an acceptance is used up, and who
    /// takes the lines back and brings them again needs a new one.
    fn is_spent(&self, loaded: &Loaded, landings: &[Landed<'_>], lines: &LineSet) -> anyhow::Result<bool> {
        let commits: OidSet = landings
            .iter()
            .filter(|landed| landed.lines.intersects(lines) && landed.applied.commit != self.commit.commit)
            .map(|landed| landed.applied.commit)
            .filter(|commit| self.ctx.store.has_object(*commit))
            .collect();
        let here = |parent: &&Oid| !commits.is_empty() && self.ctx.store.has_object(**parent);
        let Some(parent) = self.commit.parents.first().filter(here) else {
            return Ok(false);
        };
        Ok(!self.ctx.store.reached(*parent, Some(loaded.made.base.commit), &commits)?.is_empty())
    }

    /// The first place that the lines of the receipts in question do not explain.
    fn unexplained(&self, hinted: &[(usize, Rc<Loaded>)]) -> anyhow::Result<Option<(GitPath, Option<u64>)>> {
        let mut ground = self.ground();
        for (at, loaded) in hinted {
            let (_, proposal) = self.known.candidate(*at);
            let lines = proposal.lines.accepted.union(&proposal.lines.applied);
            // What does not fit explains nothing, for whatever reason.
            if ground.put(loaded.as_ref().into(), &lines, &LineSet::default())?.is_err() {
                break;
            }
        }
        Ok(ground.first_difference(&self.before, &self.after))
    }

    /// The parent's tree with the lines of a way on it, which is the commit's; none where it cannot be laid again.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn lay(&self, way: &Way) -> anyhow::Result<Option<Ground<'a>>> {
        let attempts = way.parts.iter().map(|part| part.before.len()).max().unwrap_or(0);
        for attempt in 0..attempts {
            let mut ground = self.ground();
            let mut fits = true;
            for part in &way.parts {
                let before = part.before.get(attempt).or(part.before.last()).cloned().unwrap_or_default();
                let Ok(loaded) = self.known.loaded(self.ctx, part.at) else { return Ok(None) };
                fits = fits && matches!(ground.put(loaded.as_ref().into(), &part.lines, &before)?, Ok(true));
            }
            if fits && ground.is(self.commit.tree, &self.before, &self.after)? {
                return Ok(Some(ground));
            }
        }
        Ok(None)
    }

    fn ground(&self) -> Ground<'a> {
        Ground::new(&self.ctx.store, self.parent_tree, self.before.clone())
    }

    fn note(&self, at: usize, error: &LoadError, found: &mut Found) {
        let receipt = self.known.candidate(at).0.id;
        match error {
            LoadError::Withheld(_) => {
                found.missing.insert(format!("the lines of receipt {receipt} are not here"));
            }
            LoadError::Wrong(problem) => {
                found.unusable.insert(format!("the lines of receipt {receipt} are wrong: {problem}"));
            }
        }
    }
}

/// Whether each line that is in `new` and not in `base` is in `there`.
fn adds_only(base: &[u8], new: &[u8], there: &[u8]) -> bool {
    let lines = |bytes: &'_ [u8]| -> BTreeSet<Vec<u8>> {
        bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    let (base, there) = (lines(base), lines(there));
    lines(new).difference(&base).all(|line| there.contains(line))
}
