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
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{Digest, Oid};
use crate::domain::lines::{self, Request, Table};

/// Lines that landed in one commit, as one or several entries state it.
struct Landed<'p> {
    /// The commit of the first of these entries, to name it in findings.
    entry: Oid,
    applied: &'p LinesApplied,
    lines: LineSet,
    /// What landed of the same revision before.
    before: LineSet,
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
            for proposal in &receipt.proposals {
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
                for landed in self.landed(picture, receipt, proposal) {
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

    /// The commits that lines of a revision landed in, in order.
    fn landed<'p>(
        &self,
        picture: &'p Picture,
        receipt: &'p Receipt,
        proposal: &ProposalState,
    ) -> Vec<Landed<'p>> {
        let by_digest: BTreeMap<Digest, &ProposalState> =
            receipt.proposals.iter().map(|known| (known.entry.digest, known)).collect();
        let mut found: Vec<Landed<'p>> = Vec::new();
        let mut before = LineSet::default();
        for step in &receipt.steps {
            let entry = picture.link(&step.commit).and_then(|link| link.entry.as_ref());
            let Some(Fact::LinesApplied(applied)) = entry.map(|entry| &entry.body.fact) else { continue };
            if applied.proposal.digest != proposal.entry.digest {
                // What landed of the revision before may stand for lines of this one.
                let lines = self.come_through(&by_digest, applied.proposal.digest, proposal, &applied.lines);
                before = before.union(&lines);
                continue;
            }
            match found.last_mut() {
                Some(last) if last.applied.commit == applied.commit => {
                    last.lines = last.lines.union(&applied.lines);
                }
                _ => found.push(Landed {
                    entry: step.commit,
                    applied,
                    lines: applied.lines.clone(),
                    before: before.clone(),
                }),
            }
            before = before.union(&applied.lines);
        }
        found
    }

    /// Lines of an earlier revision by the numbers of a later one.
    fn come_through(
        &self,
        by_digest: &BTreeMap<Digest, &ProposalState>,
        from: Digest,
        to: &ProposalState,
        lines: &LineSet,
    ) -> LineSet {
        let mut ways = Vec::new();
        let mut next = to;
        while next.entry.digest != from {
            let before = next.made.replaces.and_then(|replaced| by_digest.get(&replaced.digest()));
            let Some(before) = before else { return LineSet::default() };
            ways.push(self.carried(&before.made, &next.made));
            next = before;
        }
        ways.iter().rev().fold(lines.clone(), |lines, carried| carried.forward(&lines))
    }

    /// Works out a commit's tree again from the lines that are said to have landed in it.
    fn recompute(&self, loaded: &Loaded, landed: &Landed<'_>) -> anyhow::Result<Result<(), LoadError>> {
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
