//! Lines to the receipts that they come from, as far as that can be told.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::edits::{stood, writers};
use crate::commands::Context;
use crate::commands::evidence::{
    Carriers, Found, Ground, Known, Parent, Put, Search, Way, add_lines_brought, files_met, plausible,
    without_end,
};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::{Oid, ReceiptId};
use crate::domain::policy::Grade;
use crate::store::{Annotated, RangeCommit};

/// A receipt that speaks for a line.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The receipt.
    pub receipt: ReceiptId,
    /// Whether a known signer opened it.
    pub known: bool,
    /// How closely the evidence fits the commit; none where there is no commit yet.
    pub grade: Option<Grade>,
    /// What ties the receipt to the line.
    pub basis: Basis,
    /// The accepted line, as the proposal's place and number; with [`Basis::Line`] only.
    pub number: Option<(usize, u64)>,
    /// The index of the step that wrote it; with [`Basis::Edit`] only.
    pub step: Option<usize>,
    /// The commit that the receipt is bound to, where the line was carried over from it.
    pub from: Option<Oid>,
}

/// What ties a receipt to a line, the closest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// An accepted line put exactly this line at this place.
    Line,
    /// A recorded edit wrote it.
    Edit,
    /// It speaks for the commit. Whether it has to do with the line cannot be told.
    Commit,
}

impl Basis {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Line => "line",
            Basis::Edit => "edit",
            Basis::Commit => "commit",
        }
    }
}

/// A line in a commit: its file, and its place there from 1.
type Place = (GitPath, u64);

/// The claims on every line, in order; none on lines that no receipt speaks for, and on uncommitted ones. `head` is
/// the commit in whose history they stand, if there is one.
///
/// # Errors
/// When objects of the project cannot be read.
pub fn attribute(
    ctx: &Context,
    known: &Known,
    annotated: &Annotated,
    head: Option<Oid>,
) -> anyhow::Result<Vec<Vec<Claim>>> {
    let mut by_commit: BTreeMap<Oid, Vec<usize>> = BTreeMap::new();
    for (index, line) in annotated.lines.iter().enumerate() {
        if line.commit != ctx.store.null_id() {
            by_commit.entry(line.commit).or_default().push(index);
        }
    }
    let looking =
        Looking { ctx, known, annotated, head, brought: OnceCell::new(), carriers: OnceCell::new() };
    let mut claims = vec![Vec::new(); annotated.lines.len()];
    for (commit, indices) in by_commit {
        let line = |index: &usize| &annotated.lines[*index];
        let wanted: Vec<Place> =
            indices.iter().map(line).map(|line| (line.path.clone(), line.origin)).collect();
        let texts: Vec<&[u8]> =
            indices.iter().map(line).map(|line| without_end(annotated.text(line))).collect();
        let found = looking.commit(commit, &wanted, Some(&texts))?;
        for (index, found) in indices.into_iter().zip(found) {
            claims[index] = found;
        }
    }
    Ok(claims)
}

struct Looking<'a> {
    ctx: &'a Context,
    known: &'a Known,
    annotated: &'a Annotated,
    head: Option<Oid>,
    /// Every line that an accepted proposal brings which has not landed for all we know.
    brought: OnceCell<HashSet<Vec<u8>>>,
    carriers: OnceCell<Carriers>,
}

impl<'a> Looking<'a> {
    /// The claims on lines of a commit. With their `texts` evidence is searched for where none names the commit.
    fn commit(
        &self,
        commit: Oid,
        wanted: &[Place],
        texts: Option<&[&[u8]]>,
    ) -> anyhow::Result<Vec<Vec<Claim>>> {
        let (ctx, known) = (self.ctx, self.known);
        let nothing = || vec![Vec::new(); wanted.len()];
        if !ctx.store.has_object(commit) {
            return Ok(nothing());
        }
        let asked = ctx.store.range_commit(commit)?;
        let parent_tree = match asked.parents.first() {
            Some(parent) => ctx.store.tree_of(*parent)?,
            None => None,
        };
        // Where the parent is not here, git too takes the commit for one without.
        let parent = parent_tree.map_or(Parent::Root, Parent::Tree);
        let bound = known.bound_to(&asked, parent);
        let is_named = || !bound.is_empty() || !asked.named.is_empty() || !known.landed_in(&asked).is_empty();
        let likely = || match texts {
            Some(texts) => anyhow::Ok(plausible(texts, self.brought()?)),
            None => Ok(false),
        };
        let best = match is_named() || likely()? {
            true => self.search(&asked, parent, &bound)?,
            false => None,
        };
        let mut holders = bound.clone();
        if let Some((way, _)) = &best {
            for part in &way.parts {
                let grade = holders.entry(known.candidate(part.at).0.id).or_insert(way.grade);
                *grade = way.grade.max(*grade);
            }
        }
        if holders.is_empty() {
            let carried = match texts {
                Some(texts) => self.carried(&asked, parent, wanted, texts)?,
                None => None,
            };
            return Ok(carried.unwrap_or_else(|| {
                let strangers = known.strangers_at(commit).into_iter();
                let claims: Vec<Claim> =
                    strangers.map(|receipt| claim(receipt, false, Grade::Commit)).collect();
                vec![claims; wanted.len()]
            }));
        }
        let mut telling = Telling {
            looking: self,
            asked: &asked,
            parent,
            bound: &bound,
            ground: best.and_then(|(way, ground)| Some((way, ground?))),
            numbers: HashMap::new(),
            partly: HashMap::new(),
        };
        let mut claims = vec![Vec::new(); wanted.len()];
        let mut open = Vec::new();
        for (index, (path, line)) in wanted.iter().enumerate() {
            let told = match telling.accepted(path, *line)? {
                Some(claim) => Some(claim),
                None => telling.partly(path, *line)?,
            };
            match told {
                Some(told) => {
                    // What brought the line again is named beside who wrote it.
                    let brought = known.rolled_back_in(commit).map(|receipt| receipt.id);
                    let brought =
                        brought.filter(|receipt| *receipt != told.receipt && bound.contains_key(receipt));
                    claims[index] = brought.map(|receipt| claim(receipt, true, Grade::Commit)).collect();
                    claims[index].insert(0, told);
                }
                None => open.push(index),
            }
        }
        for (index, writers) in telling.written(wanted, &open, &holders)? {
            claims[index] = match writers.as_slice() {
                [(receipt, step)] => {
                    let grade = holders.get(receipt).copied().unwrap_or(Grade::Lines);
                    vec![Claim { basis: Basis::Edit, step: Some(*step), ..claim(*receipt, true, grade) }]
                }
                // It cannot be said which of them, if any.
                _ => {
                    let strangers = known.strangers_at(commit).into_iter();
                    let known = holders.iter().map(|(receipt, grade)| claim(*receipt, true, *grade));
                    known.chain(strangers.map(|receipt| claim(receipt, false, Grade::Commit))).collect()
                }
            };
        }
        Ok(claims)
    }

    /// Looks for accepted lines that give a commit: what the entries state, and only without that what can be worked
    /// out. With the ground that they were laid on, where that can be done again.
    fn search<'s>(
        &'s self,
        asked: &'s RangeCommit,
        parent: Parent,
        bound: &BTreeMap<ReceiptId, Grade>,
    ) -> anyhow::Result<Option<(Way, Option<Ground<'s>>)>> {
        let search = Search::new(self.ctx, self.known, asked, parent, bound.clone())?;
        if let Some((way, ground)) = search.laid_as_stated()? {
            return Ok(Some((way, Some(ground))));
        }
        let mut found = Found::default();
        search.stated(&mut found)?;
        if found.ways.is_empty() {
            search.worked_out(&mut found)?;
        }
        let Some(way) = found.ways.into_iter().rev().max_by_key(|way| way.grade) else { return Ok(None) };
        let ground = search.lay(&way)?;
        Ok(Some((way, ground)))
    }

    /// Every line that an accepted proposal brings which has not landed in this history for all we know; worked out
    /// once, for the first commit that nothing names.
    fn brought(&self) -> anyhow::Result<&HashSet<Vec<u8>>> {
        if let Some(there) = self.brought.get() {
            return Ok(there);
        }
        let mut lines = HashSet::new();
        let open = match self.head {
            Some(head) => self.known.still_open(self.ctx, head)?,
            None => Vec::new(),
        };
        for at in open {
            // One whose table is not here cannot be put anywhere either.
            if let Ok(loaded) = self.known.loaded(self.ctx, at) {
                add_lines_brought(&self.ctx.store, loaded.as_ref().into(), &mut lines);
            }
        }
        Ok(self.brought.get_or_init(|| lines))
    }

    fn carriers(&self) -> anyhow::Result<&Carriers> {
        if let Some(there) = self.carriers.get() {
            return Ok(there);
        }
        let bound = self.known.bound_commits();
        let found = Carriers::find(&self.ctx.store, bound, &self.annotated.paths(), self.annotated.latest())?;
        Ok(self.carriers.get_or_init(|| found))
    }

    /// The claims on lines of a commit that is what bound commits changed, by what is claimed of them there.
    fn carried(
        &self,
        asked: &RangeCommit,
        parent: Parent,
        wanted: &[Place],
        texts: &[&[u8]],
    ) -> anyhow::Result<Option<Vec<Vec<Claim>>>> {
        let carriers = self.carriers()?;
        let committed = self.annotated.commits.get(&asked.commit).map_or(i64::MAX, |said| said.committed);
        if !carriers.may_give(asked.commit, committed, texts) {
            return Ok(None);
        }
        let Some(carried) = carriers.carried_over(&self.ctx.store, asked, parent, committed)? else {
            return Ok(None);
        };
        let mut claims: Vec<Vec<Claim>> = vec![Vec::new(); wanted.len()];
        let mut asking: BTreeMap<Oid, Vec<(usize, Place)>> = BTreeMap::new();
        let mut lines = HashMap::new();
        for (index, (path, line)) in wanted.iter().enumerate() {
            if !lines.contains_key(path) {
                lines.insert(path, carried.lines_of(path)?);
            }
            let at = usize::try_from(line - 1).unwrap_or(usize::MAX);
            match lines[path].get(at).cloned().flatten() {
                Some((commit, Some(place))) => asking.entry(commit).or_default().push((index, place)),
                told => {
                    let commits: Vec<Oid> = match told {
                        Some((commit, _)) => vec![commit],
                        None => carried.commits().collect(),
                    };
                    for commit in commits {
                        let found = self.commit(commit, &[(path.clone(), 0)], None)?;
                        let found = found.into_iter().flatten();
                        claims[index].extend(found.map(|claim| Claim { from: Some(commit), ..claim }));
                    }
                }
            }
        }
        for (commit, places) in asking {
            let wanted: Vec<Place> = places.iter().map(|(_, place)| place.clone()).collect();
            let found = self.commit(commit, &wanted, None)?;
            for ((index, _), found) in places.into_iter().zip(found) {
                claims[index] =
                    found.into_iter().map(|claim| Claim { from: Some(commit), ..claim }).collect();
            }
        }
        for claim in claims.iter_mut().flatten() {
            claim.grade = Some(carried.grade);
        }
        Ok(Some(claims))
    }
}

/// A receipt that speaks for a commit.
fn claim(receipt: ReceiptId, known: bool, grade: Grade) -> Claim {
    Claim { receipt, known, grade: Some(grade), basis: Basis::Commit, number: None, step: None, from: None }
}

/// The lines of one commit that receipts are known for.
struct Telling<'t, 'a> {
    looking: &'t Looking<'a>,
    asked: &'t RangeCommit,
    parent: Parent,
    bound: &'t BTreeMap<ReceiptId, Grade>,
    /// The lines that give exactly this commit, on its parent.
    ground: Option<(Way, Ground<'t>)>,
    /// What of `ground` put every line of a file there.
    numbers: HashMap<GitPath, Vec<Option<Put>>>,
    /// For every line of a file the bound receipts of which an accepted line stands there.
    partly: HashMap<GitPath, Vec<Vec<Claim>>>,
}

impl Telling<'_, '_> {
    /// The accepted line that put a line there, where accepted lines give exactly the commit.
    fn accepted(&mut self, path: &GitPath, line: u64) -> anyhow::Result<Option<Claim>> {
        let Some((way, ground)) = &self.ground else { return Ok(None) };
        if !self.numbers.contains_key(path) {
            self.numbers.insert(path.clone(), ground.numbers_of(path)?);
        }
        let put = at(&self.numbers[path], line).copied().flatten();
        let part = put.and_then(|(step, number)| Some((way.parts.get(step)?, number)));
        Ok(part.map(|(part, number)| Claim {
            basis: Basis::Line,
            number: Some((part.at, number)),
            ..claim(self.looking.known.candidate(part.at).0.id, true, way.grade)
        }))
    }

    /// The accepted line of a bound receipt that stands there, where the commit holds other changes as well.
    fn partly(&mut self, path: &GitPath, line: u64) -> anyhow::Result<Option<Claim>> {
        if self.ground.is_some() || self.bound.is_empty() {
            return Ok(None);
        }
        if !self.partly.contains_key(path) {
            let found = self.find_partly(path)?;
            self.partly.insert(path.clone(), found);
        }
        Ok(match at(&self.partly[path], line).map(Vec::as_slice) {
            Some([one]) => Some(one.clone()),
            _ => None,
        })
    }

    /// Puts what fits of every bound receipt on the parent's tree, and holds that against the commit's own file.
    fn find_partly(&self, path: &GitPath) -> anyhow::Result<Vec<Vec<Claim>>> {
        let (ctx, known) = (self.looking.ctx, self.looking.known);
        let store = &ctx.store;
        let parent_tree = self.parent.tree(store.empty_tree());
        let Some(file) = store.file_in_tree(self.asked.tree, path)? else { return Ok(Vec::new()) };
        let mut found: Vec<Vec<Claim>> = Vec::new();
        for candidate in known.candidates() {
            let (receipt, proposal) = known.candidate(candidate);
            let Some(grade) = self.bound.get(&receipt.id) else { continue };
            if proposal.superseded_by.is_some() || proposal.lines.applied.is_empty() {
                continue;
            }
            let Ok(loaded) = known.loaded(ctx, candidate) else { continue };
            if !loaded.base.contains_key(path) && !loaded.proposed.contains_key(path) {
                continue;
            }
            let files = files_met(store, parent_tree, loaded.as_ref().into())?;
            let mut ground = Ground::new(store, parent_tree, files);
            let lines = &proposal.lines.applied;
            ground.put_what_fits(loaded.as_ref().into(), lines, &Default::default())?;
            let Some(blob) = ground.blob_at(path) else { continue };
            let numbers = ground.numbers_of(path)?;
            for (index, there) in stood(&ground, blob, file.oid).unwrap_or_default().into_iter().enumerate() {
                found.resize_with(found.len().max(index + 1), Vec::new);
                if let Some((_, number)) = there.and_then(|there| at(&numbers, there).copied().flatten()) {
                    found[index].push(Claim {
                        basis: Basis::Line,
                        number: Some((candidate, number)),
                        ..claim(receipt.id, true, *grade)
                    });
                }
            }
        }
        Ok(found)
    }

    /// For every line among `open` the receipts of which a recorded edit wrote it, each with the step.
    fn written(
        &self,
        wanted: &[Place],
        open: &[usize],
        holders: &BTreeMap<ReceiptId, Grade>,
    ) -> anyhow::Result<BTreeMap<usize, Vec<(ReceiptId, usize)>>> {
        let (ctx, known) = (self.looking.ctx, self.looking.known);
        let mut written: BTreeMap<usize, Vec<(ReceiptId, usize)>> =
            open.iter().map(|index| (*index, Vec::new())).collect();
        let mut by_path: BTreeMap<&GitPath, (Vec<usize>, Vec<u64>)> = BTreeMap::new();
        for index in open {
            let (path, line) = &wanted[*index];
            let (indices, lines) = by_path.entry(path).or_default();
            indices.push(*index);
            lines.push(*line);
        }
        for (path, (indices, lines)) in by_path {
            let Some(file) = ctx.store.file_in_tree(self.asked.tree, path)? else { continue };
            for id in holders.keys() {
                let Some(receipt) = known.picture.folded.receipt(*id) else { continue };
                let told = writers(&ctx.store, &known.picture, receipt, (path, file.oid), &lines);
                for (index, step) in indices.iter().zip(told) {
                    written.entry(*index).or_default().extend(step.map(|step| (*id, step)));
                }
            }
        }
        Ok(written)
    }
}

fn at<T>(list: &[T], line: u64) -> Option<&T> {
    list.get(usize::try_from(line.checked_sub(1)?).ok()?)
}
