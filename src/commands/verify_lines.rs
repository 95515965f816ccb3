//! What `verify` finds about proposals: whether tables are valid and lead where they say, and whether commits are
//! what their accepted lines give.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::proposal::{LoadError, Loaded, lines_error, table_at};
use super::verify::Picture;
use super::{Context, UserError};
use crate::domain::fact::Fact;
use crate::domain::fact::data::LinesApplied;
use crate::domain::fact::values::LineSet;
use crate::domain::finding::{Code, Finding};
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{Digest, Oid};
use crate::domain::lines::{self, Request, Table};

/// Lines that landed in one commit, as one or several entries state it.
pub struct Landed<'p> {
    /// The commit of the first of these entries, to name it in findings.
    pub entry: Oid,
    /// What that entry says.
    pub applied: &'p LinesApplied,
    /// Every line that landed in it.
    pub lines: LineSet,
    /// Whether all entries about it say the same of it.
    pub agree: bool,
    /// What landed of the same revision before, as the order of the entries has it.
    pub before: LineSet,
    /// What of it had landed in the history of the parent.
    pub in_history: LineSet,
}

/// A revision of a proposal, and what came of working it out again.
pub struct Judged<'p> {
    /// The revision.
    pub proposal: &'p ProposalState,
    /// Whether its table leads from its base to its tree.
    pub table: Result<(), LoadError>,
    /// The commits that its lines landed in, each with whether they give its tree.
    pub landings: Vec<(Landed<'p>, anyhow::Result<Result<(), LoadError>>)>,
}

impl Context {
    /// Holds every proposal's table against its trees, and every commit that lines landed in against the lines. What
    /// is not here is withheld, and counted.
    ///
    /// # Errors
    /// When objects cannot be hashed.
    pub fn check_lines(&self, picture: &Picture) -> anyhow::Result<(Vec<Finding>, u64)> {
        let (mut findings, mut withheld) = (Vec::new(), 0);
        for receipt in picture.folded.receipts() {
            for judged in self.judged_lines(picture, receipt) {
                let Some(link) = picture.link(&judged.proposal.commit) else { continue };
                match judged.table {
                    Ok(()) => {}
                    Err(LoadError::Withheld(_)) => withheld += 1,
                    Err(LoadError::Wrong(problem)) => {
                        findings.push(link.finding(Code::BadLines, problem));
                    }
                }
                for (landed, verdict) in judged.landings {
                    let link = picture.link(&landed.entry).unwrap_or(link);
                    match verdict? {
                        Ok(()) => {}
                        // A commit that is gone says nothing; one that is here and cannot be worked out again may say
                        // anything.
                        Err(LoadError::Withheld(_)) if !self.store.has_object(landed.applied.commit) => {
                            withheld += 1;
                        }
                        Err(LoadError::Withheld(problem)) => {
                            findings.push(link.finding(Code::Unproven, problem));
                        }
                        Err(LoadError::Wrong(problem)) => {
                            findings.push(link.finding(Code::WrongApplication, problem));
                        }
                    }
                }
            }
        }
        Ok((findings, withheld))
    }

    /// Holds every revision of a receipt's proposals against its trees, and what landed of it against its lines. Of a
    /// table that is wrong nothing is worked out.
    pub fn judged_lines<'p>(&self, picture: &'p Picture, receipt: &'p Receipt) -> Vec<Judged<'p>> {
        let landings = self.landings(picture, receipt);
        let judge = |(proposal, landings): (&'p ProposalState, Vec<Landed<'p>>)| {
            let loaded = Loaded::read(&self.store, &proposal.made)
                .and_then(|loaded| loaded.change(&self.store).map(drop).map(|()| loaded));
            let (table, landings) = match loaded {
                Ok(loaded) => (Ok(()), self.recompute_all(&loaded, landings)),
                Err(LoadError::Withheld(problem)) => {
                    let withheld = |landed| (landed, Ok(Err(LoadError::Withheld(problem.clone()))));
                    (Err(LoadError::Withheld(problem.clone())), landings.into_iter().map(withheld).collect())
                }
                Err(wrong) => (Err(wrong), Vec::new()),
            };
            Judged { proposal, table, landings }
        };
        receipt.proposals.iter().zip(landings).map(judge).collect()
    }

    fn recompute_all<'p>(
        &self,
        loaded: &Loaded,
        mut landings: Vec<Landed<'p>>,
    ) -> Vec<(Landed<'p>, anyhow::Result<Result<(), LoadError>>)> {
        let looked = self.look_into_history(loaded, &mut landings);
        let failed = looked.err().map(|error| format!("{error:#}"));
        let judge = |landed: Landed<'p>| {
            let verdict = match &failed {
                None => self.recompute(loaded, &landed),
                Some(problem) => Err(anyhow::anyhow!("{problem}")),
            };
            (landed, verdict)
        };
        landings.into_iter().map(judge).collect()
    }

    /// The commits that lines landed in, in order, for every revision of a receipt's proposals by its index.
    pub fn landings<'p>(&self, picture: &'p Picture, receipt: &'p Receipt) -> Vec<Vec<Landed<'p>>> {
        let index: BTreeMap<Digest, usize> =
            receipt.proposals.iter().enumerate().map(|(at, known)| (known.entry.digest, at)).collect();
        let before_of = |at: usize| {
            let replaced = receipt.proposals[at].made.replaces?;
            index.get(&replaced.digest()).copied().filter(|before| *before != at)
        };
        let mut found: Vec<Vec<Landed<'p>>> = receipt.proposals.iter().map(|_| Vec::new()).collect();
        // What has landed by now, by the numbers of each revision that is there by now.
        let mut landed: Vec<Option<LineSet>> = vec![None; receipt.proposals.len()];
        for step in &receipt.steps {
            let entry = picture.link(&step.commit).and_then(|link| link.entry.as_ref());
            let Some(entry) = entry else { continue };
            if let Some(at) = index.get(&entry.digest).copied() {
                let earlier = before_of(at).and_then(|before| Some((before, landed[before].clone()?)));
                landed[at] = Some(match earlier {
                    Some((before, lines)) if !lines.is_empty() => {
                        let (from, to) = (&receipt.proposals[before].made, &receipt.proposals[at].made);
                        self.carried(from, to).unwrap_or_default().forward(&lines)
                    }
                    _ => LineSet::default(),
                });
            }
            let Fact::LinesApplied(applied) = &entry.body.fact else { continue };
            let Some(at) = index.get(&applied.proposal.digest).copied() else { continue };
            let before = landed[at].clone().unwrap_or_default();
            match found[at].iter_mut().find(|known| known.applied.commit == applied.commit) {
                Some(last) => {
                    last.lines = last.lines.union(&applied.lines);
                    let (one, other) = (last.applied, applied);
                    last.agree &=
                        (one.parent, one.tree, &one.placed) == (other.parent, other.tree, &other.placed);
                }
                None => found[at].push(Landed {
                    entry: step.commit,
                    applied,
                    lines: applied.lines.clone(),
                    agree: true,
                    before: before.clone(),
                    in_history: LineSet::default(),
                }),
            }
            landed[at] = Some(before.union(&applied.lines));
            // One that landed while a later revision was there already has landed in that one as well.
            let (mut from, mut lines) = (at, applied.lines.clone());
            while !lines.is_empty()
                && let Some(next) = (from + 1..landed.len()).find(|next| before_of(*next) == Some(from))
                && let Some(known) = landed[next].clone()
            {
                let (old, new) = (&receipt.proposals[from].made, &receipt.proposals[next].made);
                lines = self.carried(old, new).unwrap_or_default().forward(&lines);
                landed[next] = Some(known.union(&lines));
                from = next;
            }
        }
        found
    }

    /// Finds out for each landing what others had landed in the history of its parent. One alone has none.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn look_into_history(&self, loaded: &Loaded, landings: &mut [Landed<'_>]) -> anyhow::Result<()> {
        if landings.len() < 2 {
            return Ok(());
        }
        let there: Vec<LineSet> = landings
            .iter()
            .map(|landed| match self.store.has_object(landed.applied.parent) {
                true => self.landed_in(loaded, landings, landed.applied.parent),
                false => Ok(LineSet::default()),
            })
            .collect::<anyhow::Result<_>>()?;
        for (landed, lines) in landings.iter_mut().zip(there) {
            landed.in_history = lines;
        }
        Ok(())
    }

    /// What of a revision had landed in the history of a commit.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn landed_in(&self, loaded: &Loaded, landings: &[Landed<'_>], head: Oid) -> anyhow::Result<LineSet> {
        if landings.is_empty() {
            return Ok(LineSet::default());
        }
        let commits = landings.iter().map(|landed| landed.applied.commit).collect();
        let there = self.store.reached(head, Some(loaded.made.base.commit), &commits)?;
        let lines = landings.iter().filter(|landed| there.contains(&landed.applied.commit));
        Ok(lines.fold(LineSet::default(), |all, landed| all.union(&landed.lines)))
    }

    /// Works out a commit's tree again from the lines that are said to have landed in it.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn recompute(&self, loaded: &Loaded, landed: &Landed<'_>) -> anyhow::Result<Result<(), LoadError>> {
        let applied = landed.applied;
        let (store, named) = (&self.store, applied.commit);
        let (Ok(Some(tree)), Ok(parents)) = (store.tree_of(named), store.parents_of(named)) else {
            return Ok(Err(LoadError::Withheld(format!("commit `{named}` is not here"))));
        };
        let wrong = |problem: String| Ok(Err(LoadError::Wrong(problem)));
        if !landed.agree {
            return wrong(format!("the entries about commit `{named}` do not agree"));
        }
        if parents != [applied.parent] {
            return wrong(format!("commit `{named}` does not follow `{}` alone", applied.parent));
        }
        if tree != applied.tree {
            return wrong(format!("commit `{named}` has tree `{tree}`, not `{}`", applied.tree));
        }
        let Ok(Some(parent_tree)) = store.tree_of(applied.parent) else {
            return Ok(Err(LoadError::Withheld(format!("commit `{}` is not here", applied.parent))));
        };
        self.gives(loaded, landed, parent_tree)
    }

    /// The tree of a commit that lines landed in, had `taken` of them stayed away. It is written.
    ///
    /// # Errors
    /// When lines need others to stay away too, the landing is not what its lines give, or something is not here.
    pub fn tree_without(&self, loaded: &Loaded, landed: &Landed<'_>, taken: &LineSet) -> anyhow::Result<Oid> {
        self.recompute(loaded, landed)?.map_err(UserError::from)?;
        let store = &self.store;
        let parent_tree =
            store.tree_of(landed.applied.parent)?.context("the landing's parent is not here")?;
        let Some(placed) = &landed.applied.placed else {
            let (change, base) = (self.check(loaded)?, loaded.made.base.tree);
            let mut befores = [&landed.before, &landed.in_history].map(Clone::clone).to_vec();
            befores.push(LineSet::default());
            for before in befores {
                let there = lines::apply(&change, &before, store).map_err(lines_error)?;
                if store.id_of_edits(base, &there)? == parent_tree {
                    let left = before.union(&landed.lines.minus(taken));
                    let edits = lines::apply(&change, &left, store).map_err(lines_error)?;
                    return Ok(store.write_edits(base, &edits)?);
                }
            }
            anyhow::bail!("commit `{}` is on another tree than its lines are for", landed.applied.commit);
        };
        let table = table_at(store, placed.oid, placed.digest).map_err(UserError::from)?;
        let table = Table::read_placed(&table)?;
        let (parent, result) = (store.files_of(parent_tree)?, store.files_of(landed.applied.tree)?);
        let change = lines::Change::check(&table, &parent, &result, store).map_err(lines_error)?;
        let left = table.files().iter().flat_map(|file| {
            let accepted = file.from_lines.iter().flatten();
            let stays = accepted.enumerate().filter(|(_, line)| !taken.contains(**line));
            stays.map(|(at, _)| file.first + at as u64)
        });
        let edits = lines::apply(&change, &LineSet::from_numbers(left), store).map_err(lines_error)?;
        Ok(store.write_edits(parent_tree, &edits)?)
    }

    /// Whether lines that landed give the tree that their entry states, upon the tree of some parent.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn gives(
        &self,
        loaded: &Loaded,
        landed: &Landed<'_>,
        parent_tree: Oid,
    ) -> anyhow::Result<Result<(), LoadError>> {
        let applied = landed.applied;
        // What had landed before is told by the entries, and by the history where another clone landed some at the
        // same time. Whatever it is, the parent's tree decides.
        let mut befores = vec![landed.before.clone(), landed.in_history.clone(), LineSet::default()];
        befores.dedup();
        let mut answer = Err(LoadError::Wrong(String::new()));
        for before in befores {
            let judged = match &applied.placed {
                None => self.unplaced(loaded, landed, &before, parent_tree)?,
                Some(placed) => {
                    self.placed(loaded, landed, &before, (placed.oid, placed.digest), parent_tree)?
                }
            };
            match judged {
                Ok(()) => return Ok(Ok(())),
                Err(error) => answer = Err(error),
            }
        }
        Ok(answer)
    }

    /// Lines on the tree that they were proposed for, with what landed before.
    fn unplaced(
        &self,
        loaded: &Loaded,
        landed: &Landed<'_>,
        before: &LineSet,
        parent_tree: Oid,
    ) -> anyhow::Result<Result<(), LoadError>> {
        let (store, base) = (&self.store, loaded.made.base.tree);
        let given = |lines: &LineSet| -> anyhow::Result<Result<Oid, LoadError>> {
            let change = match loaded.change(store) {
                Ok(change) => change,
                Err(error) => return Ok(Err(error)),
            };
            Ok(match lines::apply(&change, lines, store) {
                Ok(edits) => Ok(store.id_of_edits(base, &edits)?),
                Err(error) => Err(withheld_or_wrong(error)),
            })
        };
        let (named, all) = (landed.applied.commit, before.union(&landed.lines));
        Ok(match (given(before)?, given(&all)?) {
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(parent), _) if parent != parent_tree => {
                Err(LoadError::Wrong(format!("commit `{named}` is on another tree than its lines are for")))
            }
            (_, Ok(tree)) if tree != landed.applied.tree => {
                Err(LoadError::Wrong(format!("commit `{named}` is not what lines {all} give")))
            }
            _ => Ok(()),
        })
    }

    /// Lines on another tree, where a table says that they went.
    fn placed(
        &self,
        loaded: &Loaded,
        landed: &Landed<'_>,
        before: &LineSet,
        (oid, digest): (Oid, Digest),
        parent_tree: Oid,
    ) -> anyhow::Result<Result<(), LoadError>> {
        let (store, named) = (&self.store, landed.applied.commit);
        let wrong = |problem: String| Ok(Err(LoadError::Wrong(problem)));
        let table = match table_at(store, oid, digest) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        let table = match Table::read_placed(&table) {
            Ok(table) => table,
            Err(error) => return wrong(format!("placed lines: {error}")),
        };
        let from = table.files().iter().flat_map(|file| file.from_lines.iter().flatten().copied());
        if LineSet::from_numbers(from) != landed.lines {
            return wrong(format!("commit `{named}` is said to hold lines {}, and does not", landed.lines));
        }
        let change = match loaded.change(store) {
            Ok(change) => change,
            Err(error) => return Ok(Err(error)),
        };
        let (parent, result) = (store.files_of(parent_tree)?, store.files_of(landed.applied.tree)?);
        let request = Request { change, accepted: &landed.lines, applied: before, parent: &parent };
        let edits = lines::placed_is_right(&request, &table, &result, store)
            .and_then(|()| lines::Change::check(&table, &parent, &result, store))
            .and_then(|placed| lines::apply(&placed, &table.all(), store));
        match edits {
            Err(error) => Ok(Err(withheld_or_wrong(error))),
            // Files do not say everything of a tree.
            Ok(edits) if store.id_of_edits(parent_tree, &edits)? != landed.applied.tree => {
                wrong(format!("commit `{named}` has a tree that its lines do not give"))
            }
            Ok(_) => Ok(Ok(())),
        }
    }
}

fn withheld_or_wrong(error: lines::LinesError) -> LoadError {
    match error {
        lines::LinesError::Blob(error) => LoadError::Withheld(error.to_string()),
        error => LoadError::Wrong(error.to_string()),
    }
}
