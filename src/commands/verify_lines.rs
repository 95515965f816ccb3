//! What `verify` finds about proposals: whether tables are valid and lead where they say, and whether commits are
//! what their accepted lines give.

use std::collections::BTreeMap;

use super::Context;
use super::proposal::{LoadError, Loaded, table_at};
use super::verify::Picture;
use crate::domain::fact::Fact;
use crate::domain::fact::data::LinesApplied;
use crate::domain::fact::values::LineSet;
use crate::domain::finding::{Code, Finding};
use crate::domain::fold::Receipt;
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
    /// What landed of the same revision before.
    pub before: LineSet,
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
            let landings = self.landings(picture, receipt);
            for (proposal, landings) in receipt.proposals.iter().zip(landings) {
                let Some(link) = picture.link(&proposal.commit) else { continue };
                let loaded = match Loaded::read(&self.store, &proposal.made) {
                    Ok(loaded) => loaded,
                    Err(LoadError::Withheld(_)) => {
                        withheld += 1;
                        continue;
                    }
                    Err(LoadError::Wrong(problem)) => {
                        findings.push(link.finding(Code::BadLines, problem));
                        continue;
                    }
                };
                match loaded.change(&self.store) {
                    Ok(_) => {}
                    Err(LoadError::Withheld(_)) => {
                        withheld += 1;
                        continue;
                    }
                    Err(LoadError::Wrong(problem)) => {
                        findings.push(link.finding(Code::BadLines, problem));
                        continue;
                    }
                }
                for landed in landings {
                    match self.recompute(&loaded, &landed)? {
                        Ok(()) => {}
                        Err(LoadError::Withheld(_)) => withheld += 1,
                        Err(LoadError::Wrong(problem)) => {
                            let link = picture.link(&landed.entry).unwrap_or(link);
                            findings.push(link.finding(Code::WrongApplication, problem));
                        }
                    }
                }
            }
        }
        Ok((findings, withheld))
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
                        self.carried(from, to).forward(&lines)
                    }
                    _ => LineSet::default(),
                });
            }
            let Fact::LinesApplied(applied) = &entry.body.fact else { continue };
            let Some(at) = index.get(&applied.proposal.digest).copied() else { continue };
            let before = landed[at].clone().unwrap_or_default();
            match found[at].last_mut() {
                Some(last) if last.applied.commit == applied.commit => {
                    last.lines = last.lines.union(&applied.lines);
                }
                _ => found[at].push(Landed {
                    entry: step.commit,
                    applied,
                    lines: applied.lines.clone(),
                    before: before.clone(),
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
                lines = self.carried(old, new).forward(&lines);
                landed[next] = Some(known.union(&lines));
                from = next;
            }
        }
        found
    }

    /// Works out a commit's tree again from the lines that are said to have landed in it.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn recompute(&self, loaded: &Loaded, landed: &Landed<'_>) -> anyhow::Result<Result<(), LoadError>> {
        let applied = landed.applied;
        let store = &self.store;
        let (Ok(Some(tree)), Ok(parents)) = (store.tree_of(applied.commit), store.parents_of(applied.commit))
        else {
            return Ok(Err(LoadError::Withheld(format!("commit `{}` is not here", applied.commit))));
        };
        let wrong = |problem: String| Ok(Err(LoadError::Wrong(problem)));
        let named = applied.commit;
        if parents.first() != Some(&applied.parent) {
            return wrong(format!("commit `{named}` does not follow `{}`", applied.parent));
        }
        if tree != applied.tree {
            return wrong(format!("commit `{named}` has tree `{tree}`, not `{}`", applied.tree));
        }
        let change = match loaded.change(store) {
            Ok(change) => change,
            Err(error) => return Ok(Err(error)),
        };
        let failed = |error: lines::LinesError| match error {
            lines::LinesError::Blob(error) => Ok(Err(LoadError::Withheld(error.to_string()))),
            error => wrong(format!("commit `{named}`: {error}")),
        };
        let Some(placed) = &applied.placed else {
            let chosen = landed.before.union(&landed.lines);
            let edits = match lines::apply(&change, &chosen, store) {
                Ok(edits) => edits,
                Err(error) => return failed(error),
            };
            return match store.id_of_edits(loaded.made.base.tree, &edits)? == tree {
                true => Ok(Ok(())),
                false => wrong(format!("commit `{named}` is not what lines {chosen} give")),
            };
        };
        let table = match table_at(store, placed.oid, placed.digest) {
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
        let Ok(Some(parent_tree)) = store.tree_of(applied.parent) else {
            return Ok(Err(LoadError::Withheld(format!("commit `{}` is not here", applied.parent))));
        };
        let (parent, result) = (store.files_of(parent_tree)?, store.files_of(tree)?);
        let request = Request { change, accepted: &landed.lines, applied: &landed.before, parent: &parent };
        match lines::placed_is_right(&request, &table, &result, store) {
            Ok(()) => Ok(Ok(())),
            Err(error) => failed(error),
        }
    }
}
