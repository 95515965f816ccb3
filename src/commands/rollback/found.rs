//! The lines of a receipt in commits that say nothing of them: those that what landed was rewritten or carried over to.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::standing::Rollbacks;
use crate::commands::blame::edits::stood;
use crate::commands::evidence::{Found, Ground, Parent, Search, files_met};
use crate::commands::proposal::Loaded;
use crate::commands::{UserError, user_error};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::fold::Receipt;
use crate::domain::ids::Oid;
use crate::store::{Merged, RangeCommit};

/// How many commits that change the same files are looked at where nothing ties them to the receipt.
const MOST: usize = 64;

/// Lines of one proposal in a commit that may hold more.
pub struct FoundLines {
    /// The revision, by its index.
    pub index: usize,
    /// The lines.
    pub lines: LineSet,
    commit: Oid,
    parent_tree: Oid,
    /// What other proposals put there before.
    earlier: Vec<Laid>,
    own: Laid,
}

/// Lines as they go on a tree.
struct Laid {
    loaded: Rc<Loaded>,
    lines: LineSet,
    /// What of the same proposal is there already.
    before: LineSet,
}

/// A commit with the one parent that it changes.
struct Asked {
    commit: RangeCommit,
    parent: Parent,
    parent_tree: Oid,
}

impl<'k> Rollbacks<'k> {
    /// Looks for the lines of a receipt in the history of `head` that are not `covered` yet: in the commits that it is
    /// bound to, and in those that change the same files. What is found is covered then.
    pub(super) fn find_lines(
        &self,
        receipt: &'k Receipt,
        head: Oid,
        bound: &[Oid],
        covered: &mut [LineSet],
    ) -> anyhow::Result<Vec<(Oid, FoundLines)>> {
        let mut found = Vec::new();
        let is_open = |covered: &[LineSet]| {
            receipt.proposals.iter().zip(covered).any(|(one, covered)| {
                let accepted = one.lines.accepted.union(&one.lines.applied);
                let wanted = if one.superseded_by.is_none() { &accepted } else { &one.lines.applied };
                !wanted.minus(covered).is_empty()
            })
        };
        if !is_open(covered) {
            return Ok(found);
        }
        let (paths, below) = self.reach(receipt);
        let touching = self.ctx.store.touching(head, &below, &paths, MOST)?;
        let mut seen = BTreeSet::new();
        for commit in bound.iter().chain(&touching).copied().filter(|commit| seen.insert(*commit)) {
            if !is_open(covered) {
                break;
            }
            let Some(asked) = self.asked(commit)? else { continue };
            let named = asked.commit.named.iter().any(|name| *name == receipt.id.to_string());
            let mut one = self.searched(receipt, &asked, covered)?;
            if one.is_none() && (named || bound.contains(&commit)) {
                one = self.beside_others(receipt, &asked, covered)?;
            }
            if let Some(one) = one {
                covered[one.index] = covered[one.index].union(&one.lines);
                found.push((commit, one));
            }
        }
        Ok(found)
    }

    /// The files that a receipt's lines are about, and the commits below which they cannot have landed.
    fn reach(&self, receipt: &Receipt) -> (BTreeSet<GitPath>, Vec<Oid>) {
        let (mut paths, mut below) = (BTreeSet::new(), Vec::new());
        for at in self.known.of_receipt(&receipt.id) {
            let (_, proposal) = self.known.candidate(*at);
            below.push(proposal.made.base.commit);
            if let Ok(loaded) = self.known.loaded(self.ctx, *at) {
                paths.extend(loaded.base.keys().chain(loaded.proposed.keys()).cloned());
            }
        }
        // Only the first: what a later revision starts from may hold lines of an earlier one.
        below.truncate(1);
        (paths, below)
    }

    fn asked(&self, commit: Oid) -> anyhow::Result<Option<Asked>> {
        let commit = self.ctx.store.range_commit(commit)?;
        let empty = self.ctx.store.empty_tree();
        let parent = match commit.parents.as_slice() {
            [] => Parent::Root,
            [parent] => match self.ctx.store.tree_of(*parent)? {
                Some(tree) => Parent::Tree(tree),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(Asked { commit, parent, parent_tree: parent.tree(empty) }))
    }

    /// Accepted lines that give exactly the commit, those of the receipt among them.
    fn searched(
        &self,
        receipt: &Receipt,
        asked: &Asked,
        covered: &[LineSet],
    ) -> anyhow::Result<Option<FoundLines>> {
        let bound = self.known.bound_to(&asked.commit, asked.parent);
        let search = Search::new(self.ctx, self.known, &asked.commit, asked.parent, bound)?;
        let mut found = Found::default();
        search.stated(&mut found)?;
        let mine = |at: usize| self.known.candidate(at).0.id == receipt.id;
        if !found.ways.iter().any(|way| way.parts.iter().any(|part| mine(part.at))) {
            search.worked_out(&mut found)?;
        }
        found.ways.sort_by_key(|way| std::cmp::Reverse(way.grade));
        for way in &found.ways {
            let Some(place) = way.parts.iter().rposition(|part| mine(part.at)) else { continue };
            let index = self.known.index_of(way.parts[place].at);
            if way.parts[place].lines.intersects(&covered[index]) {
                continue;
            }
            let attempts = way.parts.iter().map(|part| part.before.len()).max().unwrap_or(0);
            for attempt in 0..attempts {
                let laid: Result<Vec<Laid>, _> = way
                    .parts
                    .iter()
                    .map(|part| {
                        let before = part.before.get(attempt).or(part.before.last()).cloned();
                        let loaded = self.known.loaded(self.ctx, part.at)?;
                        Ok::<_, crate::commands::proposal::LoadError>(Laid {
                            loaded,
                            lines: part.lines.clone(),
                            before: before.unwrap_or_default(),
                        })
                    })
                    .collect();
                let Ok(mut laid) = laid else { break };
                if self.lay(asked.parent_tree, laid.iter())? != Some(asked.commit.tree) {
                    continue;
                }
                laid.truncate(place + 1);
                let Some(own) = laid.pop() else { break };
                return Ok(Some(FoundLines {
                    index,
                    lines: own.lines.clone(),
                    commit: asked.commit.commit,
                    parent_tree: asked.parent_tree,
                    earlier: laid,
                    own,
                }));
            }
        }
        Ok(None)
    }

    /// Lines of the receipt that a commit holds beside other changes, where each can be told from the other: without the
    /// lines they merge away, and come again.
    fn beside_others(
        &self,
        receipt: &Receipt,
        asked: &Asked,
        covered: &[LineSet],
    ) -> anyhow::Result<Option<FoundLines>> {
        for at in self.known.of_receipt(&receipt.id).iter().rev() {
            let (_, proposal) = self.known.candidate(*at);
            let index = self.known.index_of(*at);
            let Ok(loaded) = self.known.loaded(self.ctx, *at) else { continue };
            let mut choices: Vec<LineSet> = Vec::new();
            let mut add = |lines: LineSet| {
                if !lines.is_empty() && !choices.contains(&lines) {
                    choices.push(lines);
                }
            };
            if proposal.superseded_by.is_none() {
                add(proposal.lines.accepted.union(&proposal.lines.applied).minus(&covered[index]));
            }
            add(proposal.lines.applied.minus(&covered[index]));
            let landings = self.ctx.landings(&self.known.picture, receipt).swap_remove(index);
            landings.iter().for_each(|landed| add(landed.lines.minus(&covered[index])));
            if let Some(first) = choices.first() {
                let left = self.left_of(&loaded, first, asked)?;
                if !left.is_empty() && !choices.contains(&left) {
                    choices.push(left);
                }
            }
            for lines in choices {
                let own =
                    Laid { loaded: loaded.clone(), lines: lines.clone(), before: covered[index].clone() };
                let Some(with) = self.lay(asked.parent_tree, [&own].into_iter())? else { continue };
                if self.holds(asked.parent_tree, with, asked.commit.tree)? {
                    let (commit, parent_tree) = (asked.commit.commit, asked.parent_tree);
                    let earlier = Vec::new();
                    return Ok(Some(FoundLines { index, lines, commit, parent_tree, earlier, own }));
                }
            }
        }
        Ok(None)
    }

    /// What of some lines may still be in a commit: all but those that add text which does not stand there.
    fn left_of(&self, loaded: &Loaded, lines: &LineSet, asked: &Asked) -> anyhow::Result<LineSet> {
        let store = &self.ctx.store;
        let mut ground =
            Ground::new(store, asked.parent_tree, files_met(store, asked.parent_tree, loaded.into())?);
        ground.put_what_fits(loaded.into(), lines, &LineSet::default())?;
        let mut left = lines.clone();
        for path in loaded.proposed.keys() {
            let Ok(numbers) = ground.numbers_of(path) else { continue };
            let put = |put: &Option<(usize, u64)>| put.map(|(_, number)| number);
            let shown = LineSet::from_numbers(numbers.iter().filter_map(put));
            let there = match (ground.blob_at(path), store.file_in_tree(asked.commit.tree, path)?) {
                (Some(blob), Some(file)) => stood(&ground, blob, file.oid).unwrap_or_default(),
                _ => Vec::new(),
            };
            let there = there
                .into_iter()
                .flatten()
                .filter_map(|line| put(numbers.get(usize::try_from(line.checked_sub(1)?).ok()?)?));
            left = left.minus(&shown.minus(&LineSet::from_numbers(there)));
        }
        Ok(left)
    }

    /// The tree that lines give, one after the other; none where some do not fit. It is written.
    fn lay<'l>(&self, tree: Oid, laid: impl Iterator<Item = &'l Laid>) -> anyhow::Result<Option<Oid>> {
        let mut ground = Ground::new(&self.ctx.store, tree, Default::default());
        for one in laid.filter(|one| !one.lines.is_empty()) {
            if !matches!(ground.put(one.loaded.as_ref().into(), &one.lines, &one.before)?, Ok(true)) {
                return Ok(None);
            }
        }
        Ok(Some(ground.write()?))
    }

    /// Whether a tree holds a change, whatever else it holds beside that.
    pub(super) fn holds(&self, before: Oid, after: Oid, tree: Oid) -> anyhow::Result<bool> {
        if before == after || tree == after {
            return Ok(before != after);
        }
        let Merged::Clean(without) = self.ctx.store.merge_trees(after, tree, before)? else {
            return Ok(false);
        };
        let Merged::Clean(again) = self.ctx.store.merge_trees(before, without, after)? else {
            return Ok(false);
        };
        Ok(without != tree && again == tree)
    }

    /// What a change of found lines is taken from, and what it leaves: the tree that they gave without `back`, and the
    /// same without `left` of them.
    ///
    /// # Errors
    /// When some lines cannot stay without others.
    pub(super) fn found_sides(
        &self,
        found: &FoundLines,
        back: &LineSet,
        left: &LineSet,
    ) -> anyhow::Result<(Oid, Oid)> {
        let side = |gone: &LineSet| -> anyhow::Result<Oid> {
            let own = Laid {
                loaded: found.own.loaded.clone(),
                lines: found.lines.minus(gone),
                before: found.own.before.clone(),
            };
            let laid = self.lay(found.parent_tree, found.earlier.iter().chain([&own]))?;
            laid.ok_or_else(|| {
                user_error(
                    format!("lines {gone} cannot be told from the others in commit `{}`", found.commit),
                    "take all of them back, or change the files by hand",
                )
            })
        };
        Ok((side(back)?, side(left)?))
    }
}

/// Why a commit is not taken back.
pub fn untold(
    commit: Oid,
    others: &BTreeSet<crate::domain::ids::ReceiptId>,
    receipt: &Receipt,
) -> anyhow::Error {
    let id = receipt.id;
    let others: Vec<String> = others.iter().map(|other| format!("`{other}`")).collect();
    let with = match others.is_empty() {
        true => String::new(),
        false => format!(", and is bound to {} too", others.join(", ")),
    };
    let message = format!("commit `{commit}` holds more than what can be told to be of receipt `{id}`{with}");
    let hint = "`--whole-commits` takes back all of it; otherwise change the files by hand".to_owned();
    UserError { message, hint: Some(hint), code: 2 }.into()
}
