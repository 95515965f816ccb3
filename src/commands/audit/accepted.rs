//! Ways in which accepted lines give exactly a commit's tree, worked out again from the tables.

use std::collections::BTreeSet;

use super::ground::Ground;
use super::known::{Known, Parent};
use crate::commands::Context;
use crate::commands::proposal::{LoadError, Loaded};
use crate::commands::rollback::rollback_again;
use crate::commands::verify_lines::Landed;
use crate::domain::audit::judge::{Acceptance, Evidence};
use crate::domain::fact::Fact;
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{EntryRef, Oid, ReceiptId};
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
    parent_tree: Oid,
    before: Files,
    after: Files,
}

impl<'a> Search<'a> {
    /// Looks at what a commit changes.
    ///
    /// # Errors
    /// When its trees cannot be read.
    pub fn new(
        ctx: &'a Context,
        known: &'a Known,
        commit: &'a RangeCommit,
        parent: Parent,
    ) -> anyhow::Result<Self> {
        let parent_tree = parent.tree(ctx.store.empty_tree());
        let (before, after) = ctx.store.changed_files(parent_tree, commit.tree)?;
        Ok(Search { ctx, known, commit, parent_tree, before, after })
    }

    /// What the entries themselves say landed in the commit, or in another of its tree.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn stated(&self, evidence: &mut Evidence) -> anyhow::Result<()> {
        for at in self.known.landed_in(self.commit) {
            let (receipt, proposal) = self.known.candidate(at);
            let Some(loaded) = self.load(receipt, proposal, evidence) else { continue };
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
                        evidence.accepted.push(self.way(grade, &[(at, landed.lines.clone())]));
                    }
                    // Lines that give something else here say nothing against themselves.
                    Ok(()) | Err(LoadError::Wrong(_)) => {}
                    Err(error) => note_missing(evidence, receipt, &error),
                }
            }
        }
        self.rolled_back(evidence);
        Ok(())
    }

    /// Rollbacks that give the commit when they are worked out again. Who signed one accepts it.
    fn rolled_back(&self, evidence: &mut Evidence) {
        for receipt in self.known.rolled_back_in(self.commit.commit) {
            match rollback_again(self.ctx, &self.known.picture, receipt, Some(self.commit.commit)) {
                Ok(()) => {}
                Err(error) => {
                    note_missing(evidence, receipt, &error);
                    continue;
                }
            }
            let mut way = Acceptance {
                grade: Grade::Commit,
                receipts: vec![receipt.id],
                accepted_by: BTreeSet::new(),
                authors: self.authors(receipt),
            };
            let signers =
                receipt.takes_back.iter().filter(|known| known.said.commit == Some(self.commit.commit));
            let signers: BTreeSet<&EntryRef> = signers.map(|known| &known.entry).collect();
            for step in receipt.steps.iter().filter(|step| signers.contains(&step.entry)) {
                let entry = self.known.picture.link(&step.commit).and_then(|link| link.entry.as_ref());
                let by = entry.map(|entry| self.known.trust.principal_of(&entry.body.signer));
                way.accepted_by.insert(by.into_iter().collect());
            }
            evidence.accepted.push(way);
        }
    }

    /// Whatever else accepted lines give it: those of one proposal, or of several together.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn worked_out(&self, evidence: &mut Evidence) -> anyhow::Result<()> {
        let named = self.named(evidence);
        let changed: BTreeSet<&GitPath> = self.before.keys().chain(self.after.keys()).collect();
        let mut within = self.known.within(self.ctx, &changed);
        if within.len() > MOST {
            within.drain(..within.len() - MOST);
            evidence.missing.insert(format!(
                "more than {MOST} receipts are about its files, and a `Receipt-Id` in its message would say which"
            ));
        }
        let hinted: Vec<(usize, Loaded)> = self.loaded(&named, evidence);
        let others: Vec<usize> = within.iter().copied().filter(|at| !named.contains(at)).collect();
        let others = self.loaded(&others, evidence);
        for (at, loaded) in hinted.iter().chain(&others) {
            self.alone(*at, loaded, evidence)?;
        }
        if evidence.accepted.is_empty() {
            let all: Vec<&(usize, Loaded)> = {
                let mut all: Vec<_> = hinted.iter().chain(&others).collect();
                all.sort_by_key(|(at, _)| *at);
                all
            };
            let fitting: Vec<&(usize, Loaded)> =
                all.iter().copied().filter(|(at, loaded)| self.shows(*at, loaded)).collect();
            for group in [hinted.iter().collect(), fitting, all] {
                if self.together(&group, evidence)? {
                    break;
                }
            }
        }
        if evidence.accepted.is_empty() {
            evidence.unexplained = self.unexplained(&hinted)?;
        } else {
            // What was found decides, whatever else there may be.
            evidence.missing.clear();
            evidence.unusable.clear();
        }
        Ok(())
    }

    /// Proposals of the receipts that the commit's message, its bindings or its landings name, oldest first.
    fn named(&self, evidence: &Evidence) -> Vec<usize> {
        let by_message = self.commit.named.iter().filter_map(|name| name.parse::<ReceiptId>().ok());
        let receipts: BTreeSet<ReceiptId> = by_message.chain(evidence.bound.keys().copied()).collect();
        let of_receipts = receipts.iter().flat_map(|receipt| self.known.of_receipt(receipt)).copied();
        let all: BTreeSet<usize> = of_receipts.chain(self.known.landed_in(self.commit)).collect();
        all.into_iter().collect()
    }

    fn loaded(&self, candidates: &[usize], evidence: &mut Evidence) -> Vec<(usize, Loaded)> {
        let mut found = Vec::new();
        for at in candidates {
            let (receipt, proposal) = self.known.candidate(*at);
            found.extend(self.load(receipt, proposal, evidence).map(|loaded| (*at, loaded)));
        }
        found
    }

    fn load(&self, receipt: &Receipt, proposal: &ProposalState, evidence: &mut Evidence) -> Option<Loaded> {
        let read = Loaded::read(&self.ctx.store, &proposal.made);
        read.map_err(|error| note_missing(evidence, receipt, &error)).ok()
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
    fn alone(&self, at: usize, loaded: &Loaded, evidence: &mut Evidence) -> anyhow::Result<()> {
        let (receipt, _) = self.known.candidate(at);
        let landings = self.landings(at);
        for choice in self.choices(at, &landings) {
            let mut ground = self.ground();
            match ground.put(loaded, &choice.lines, &choice.before)? {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    note_missing(evidence, receipt, &error);
                    return Ok(());
                }
            }
            if !ground.is(self.commit.tree, &self.before, &self.after)?
                || self.is_spent(loaded, &landings, &choice.lines)?
            {
                continue;
            }
            let grade = match (choice.whole, loaded.made.base.tree == self.parent_tree) {
                (_, true) => match evidence.bound.get(&receipt.id) {
                    Some(Grade::Commit) => Grade::Commit,
                    _ => Grade::Tree,
                },
                (true, false) => Grade::Patch,
                (false, false) => Grade::Lines,
            };
            evidence.accepted.push(self.way(grade, &[(at, choice.lines)]));
            return Ok(());
        }
        Ok(())
    }

    /// Puts the lines of several proposals on the parent, in the order in which their receipts were opened and only those that
    /// fit, and says whether that gave the commit.
    fn together(&self, group: &[&(usize, Loaded)], evidence: &mut Evidence) -> anyhow::Result<bool> {
        if group.len() < 2 {
            return Ok(false);
        }
        let mut ground = self.ground();
        let mut used = Vec::new();
        for (at, loaded) in group {
            let (receipt, proposal) = self.known.candidate(*at);
            let lines = match proposal.superseded_by {
                None => proposal.lines.accepted.union(&proposal.lines.applied),
                Some(_) => proposal.lines.applied.clone(),
            };
            match ground.put(loaded, &lines, &LineSet::default())? {
                Ok(true) if self.is_spent(loaded, &self.landings(*at), &lines)? => return Ok(false),
                Ok(true) => used.push((*at, lines)),
                Ok(false) => continue,
                Err(error) => note_missing(evidence, receipt, &error),
            }
            // What comes after is no part of it, though it may fit as well.
            if used.len() > 1 && ground.is(self.commit.tree, &self.before, &self.after)? {
                evidence.accepted.push(self.way(Grade::Lines, &used));
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
        let commits: Vec<Oid> = landings
            .iter()
            .filter(|landed| landed.lines.intersects(lines) && landed.applied.commit != self.commit.commit)
            .map(|landed| landed.applied.commit)
            .filter(|commit| self.ctx.store.has_object(*commit))
            .collect();
        let Some(parent) = self.commit.parents.first().filter(|_| !commits.is_empty()) else {
            return Ok(false);
        };
        Ok(!self.ctx.store.reached(*parent, loaded.made.base.commit, &commits)?.is_empty())
    }

    /// The first place that the lines of the receipts in question do not explain.
    fn unexplained(&self, hinted: &[(usize, Loaded)]) -> anyhow::Result<Option<(GitPath, Option<u64>)>> {
        let mut ground = self.ground();
        for (at, loaded) in hinted {
            let (_, proposal) = self.known.candidate(*at);
            let lines = proposal.lines.accepted.union(&proposal.lines.applied);
            // What does not fit explains nothing, for whatever reason.
            if ground.put(loaded, &lines, &LineSet::default())?.is_err() {
                break;
            }
        }
        Ok(ground.first_difference(&self.before, &self.after))
    }

    fn ground(&self) -> Ground<'a> {
        Ground::new(&self.ctx.store, self.parent_tree, self.before.clone())
    }

    /// Who accepts these lines, and who proposed them.
    fn way(&self, grade: Grade, parts: &[(usize, LineSet)]) -> Acceptance {
        let mut way = Acceptance {
            grade,
            receipts: Vec::new(),
            accepted_by: BTreeSet::new(),
            authors: BTreeSet::new(),
        };
        for (at, lines) in parts {
            let (receipt, proposal) = self.known.candidate(*at);
            way.receipts.push(receipt.id);
            way.accepted_by.extend(acceptors(proposal, lines));
            way.authors.extend(self.authors(receipt));
        }
        way
    }

    /// Who opened a receipt or proposed something in it.
    fn authors(&self, receipt: &Receipt) -> BTreeSet<String> {
        let entries = receipt.steps.iter();
        let entries = entries.filter_map(|step| self.known.picture.link(&step.commit)?.entry.as_ref());
        let proposing = entries.filter(|entry| {
            let fact = &entry.body.fact;
            matches!(fact, Fact::ReceiptOpened(_) | Fact::ProposalMade(_) | Fact::ProposalRevised(_))
        });
        proposing.map(|entry| self.known.trust.principal_of(&entry.body.signer)).collect()
    }
}

/// For every different set of principals that accept some of `lines`, that set.
fn acceptors(proposal: &ProposalState, lines: &LineSet) -> Vec<BTreeSet<String>> {
    let principals: BTreeSet<&str> =
        proposal.decisions.iter().map(|decided| decided.principal.as_str()).collect();
    // Each principal splits the lines into those that they accept and the others.
    let mut groups: Vec<(LineSet, BTreeSet<String>)> = vec![(lines.clone(), BTreeSet::new())];
    for who in principals {
        let theirs = proposal.accepted_by(who);
        let mut split = Vec::new();
        for (lines, mut by) in groups {
            let (others, both) = (lines.minus(&theirs), lines.common(&theirs));
            if !others.is_empty() {
                split.push((others, by.clone()));
            }
            if !both.is_empty() {
                by.insert(who.to_owned());
                split.push((both, by));
            }
        }
        groups = split;
    }
    groups.into_iter().map(|(_, by)| by).collect()
}

/// Whether each line that is in `new` and not in `base` is in `there`.
fn adds_only(base: &[u8], new: &[u8], there: &[u8]) -> bool {
    let lines = |bytes: &'_ [u8]| -> BTreeSet<Vec<u8>> {
        bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    let (base, there) = (lines(base), lines(there));
    lines(new).difference(&base).all(|line| there.contains(line))
}

fn note_missing(evidence: &mut Evidence, receipt: &Receipt, error: &LoadError) {
    match error {
        LoadError::Withheld(_) => {
            evidence.missing.insert(format!("the lines of receipt {} are not here", receipt.id));
        }
        LoadError::Wrong(problem) => {
            evidence.unusable.insert(format!("the lines of receipt {} are wrong: {problem}", receipt.id));
        }
    }
}
