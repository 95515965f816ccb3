//! What speaks for a commit: bindings, accepted lines worked out again, checks on its tree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::commands::Context;
use crate::commands::proposal::{LoadError, Loaded};
use crate::commands::summary::facts;
use crate::commands::trust::TrustSet;
use crate::commands::verify::Picture;
use crate::commands::verify_lines::Landed;
use crate::domain::audit::judge::{Acceptance, Evidence, GateSeen};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{GateResult, Risk};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{Oid, ReceiptId};
use crate::domain::lines::{self, Blobs, Edits, File, Files, LinesError};
use crate::domain::policy::Grade;
use crate::store::{RangeCommit, Store};

/// Everything known under one list of signers, arranged by what commits ask for.
pub struct Known {
    picture: Picture,
    trust: TrustSet,
    /// Receipts with a proposal, oldest first.
    proposals: Vec<(ReceiptId, usize)>,
    /// Bindings by commit, and by tree and parent's tree.
    bound: HashMap<Oid, BTreeSet<ReceiptId>>,
    bound_trees: HashMap<(Oid, Option<Oid>), BTreeSet<ReceiptId>>,
    /// Where lines landed: proposals by commit, and by tree.
    landed: HashMap<Oid, Vec<usize>>,
    landed_trees: HashMap<Oid, Vec<usize>>,
    gates: HashMap<Oid, Vec<GateSeen>>,
    risks: BTreeMap<ReceiptId, Option<Risk>>,
    unreadable: BTreeSet<ReceiptId>,
    strangers: HashMap<Oid, BTreeSet<ReceiptId>>,
}

/// A proposal's lines that landed, as far as they can be worked out.
struct Landing<'k> {
    at: usize,
    receipt: &'k Receipt,
    proposal: &'k ProposalState,
}

impl Known {
    /// Arranges what `picture` holds, which was folded under `trust`.
    pub fn new(ctx: &Context, picture: Picture, trust: TrustSet) -> Self {
        let mut known = Known {
            trust,
            proposals: Vec::new(),
            bound: HashMap::new(),
            bound_trees: HashMap::new(),
            landed: HashMap::new(),
            landed_trees: HashMap::new(),
            gates: HashMap::new(),
            risks: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            strangers: HashMap::new(),
            picture,
        };
        let parent_tree = |commit: Oid| {
            let parent = ctx.store.parents_of(commit).ok().and_then(|parents| parents.first().copied());
            parent.and_then(|parent| ctx.store.tree_of(parent).ok().flatten())
        };
        let mut receipts: Vec<&Receipt> = known.picture.folded.known.values().collect();
        receipts.sort_by_key(|receipt| (receipt.opened_at, receipt.id));
        for receipt in receipts {
            for (index, proposal) in receipt.proposals.iter().enumerate() {
                let at = known.proposals.len();
                if !proposal.lines.applied.is_empty() {
                    known.proposals.push((receipt.id, index));
                    for step in &receipt.steps {
                        let entry = known.picture.link(&step.commit).and_then(|link| link.entry.as_ref());
                        let Some(Fact::LinesApplied(applied)) = entry.map(|entry| &entry.body.fact) else {
                            continue;
                        };
                        if applied.proposal == proposal.entry {
                            add(&mut known.landed, applied.commit, at);
                            add(&mut known.landed_trees, applied.tree, at);
                        }
                    }
                }
            }
            for commit in &receipt.bound {
                known.bound.entry(*commit).or_default().insert(receipt.id);
                if let Ok(Some(tree)) = ctx.store.tree_of(*commit) {
                    known.bound_trees.entry((tree, parent_tree(*commit))).or_default().insert(receipt.id);
                }
            }
            for fact in facts(receipt, &known.picture) {
                match fact {
                    Fact::ReceiptOpened(opened) => drop(known.risks.insert(receipt.id, opened.risk)),
                    // A binding says itself what its commit was: that holds where the commit is gone.
                    Fact::CommitBound(bound) => {
                        let key = (bound.tree, bound.parent_tree);
                        known.bound_trees.entry(key).or_default().insert(receipt.id);
                    }
                    _ => {}
                }
            }
            for step in &receipt.steps {
                let Some(entry) = known.picture.link(&step.commit).and_then(|link| link.entry.as_ref())
                else {
                    continue;
                };
                if let Fact::GateChecked(gate) = &entry.body.fact {
                    let proven = gate.output.is_some();
                    known.gates.entry(gate.tree).or_default().push(GateSeen {
                        name: gate.gate.clone(),
                        command: gate.command.clone(),
                        passed: gate.result == GateResult::Passed && gate.exit_code == 0 && proven,
                        by: known.trust.principal_of(&entry.body.signer),
                    });
                }
            }
        }
        for link in known.picture.history.links.values() {
            let Some(entry) = &link.entry else { continue };
            let counted = known.picture.verdict.counted.contains(&link.commit);
            if let (Fact::Unknown { .. }, Some(receipt), true) =
                (&entry.body.fact, entry.body.receipt, counted)
            {
                known.unreadable.insert(receipt);
            }
        }
        for receipt in known.picture.folded.strangers.values() {
            for commit in &receipt.bound {
                known.strangers.entry(*commit).or_default().insert(receipt.id);
            }
        }
        known
    }

    /// Collects what speaks for a commit upon its first parent.
    ///
    /// # Errors
    /// When its trees cannot be read.
    pub fn evidence(
        &self,
        ctx: &Context,
        commit: &RangeCommit,
        parent: Option<Oid>,
        with_lines: bool,
    ) -> anyhow::Result<Evidence> {
        let parent_tree = parent.unwrap_or_else(|| ctx.store.empty_tree());
        let key = (commit.tree, parent);
        let mut evidence = Evidence {
            gates: self.gates.get(&commit.tree).cloned().unwrap_or_default(),
            unreadable: self.unreadable.clone(),
            author: commit.author.clone(),
            strangers: self.strangers.get(&commit.commit).cloned().unwrap_or_default(),
            ..Evidence::default()
        };
        for receipt in self.bound_trees.get(&key).into_iter().flatten() {
            evidence.bound.insert(*receipt, Grade::Tree);
        }
        for receipt in self.bound.get(&commit.commit).into_iter().flatten() {
            evidence.bound.insert(*receipt, Grade::Commit);
        }
        if with_lines {
            self.accepted(ctx, commit, parent_tree, &mut evidence)?;
            if evidence.accepted.is_empty() {
                evidence.unexplained = unexplained(&ctx.store, parent_tree, commit.tree)?;
            }
        }
        let named = evidence.accepted.iter().flat_map(|way| &way.receipts).chain(evidence.bound.keys());
        evidence.risks =
            named.map(|receipt| (*receipt, self.risks.get(receipt).copied().flatten())).collect();
        Ok(evidence)
    }

    /// Finds ways in which accepted lines give exactly the commit's tree, the best grade first.
    fn accepted(
        &self,
        ctx: &Context,
        commit: &RangeCommit,
        parent_tree: Oid,
        evidence: &mut Evidence,
    ) -> anyhow::Result<()> {
        let at_commit = self.landed.get(&commit.commit).into_iter().flatten();
        let at_tree = self.landed_trees.get(&commit.tree).into_iter().flatten();
        let hints: BTreeSet<usize> = at_commit.chain(at_tree).copied().collect();
        for at in hints {
            let landing = self.landing(at);
            let loaded = match Loaded::read(&ctx.store, &landing.proposal.made) {
                Ok(loaded) => loaded,
                Err(error) => {
                    note_withheld(evidence, &landing, &error);
                    continue;
                }
            };
            let mut landings = self.landings(ctx, at);
            ctx.look_into_history(&loaded, &mut landings)?;
            for landed in landings.iter().filter(|landed| landed.applied.tree == commit.tree) {
                // The commit that was landed, or another upon the same tree: then the first need not be here.
                let (grade, judged) = match landed.applied.commit == commit.commit {
                    true => (Grade::Commit, ctx.recompute(&loaded, landed)?),
                    false => (Grade::Tree, ctx.gives(&loaded, landed, parent_tree)?),
                };
                match judged {
                    Ok(()) => evidence.accepted.push(self.way(grade, &[(&landing, landed.lines.clone())])),
                    Err(error) => note_withheld(evidence, &landing, &error),
                }
            }
        }
        if evidence.accepted.is_empty() {
            self.replaced(ctx, commit, parent_tree, evidence)?;
        }
        Ok(())
    }

    /// Puts the landed lines of the receipts in question on the parent's tree again: those of one, or of several
    /// together.
    fn replaced(
        &self,
        ctx: &Context,
        commit: &RangeCommit,
        parent_tree: Oid,
        evidence: &mut Evidence,
    ) -> anyhow::Result<()> {
        let (before, after) = ctx.store.changed_files(parent_tree, commit.tree)?;
        let touched = |path: &GitPath| before.contains_key(path) || after.contains_key(path);
        let named: BTreeSet<ReceiptId> = commit
            .trailers
            .iter()
            .filter_map(|name| name.parse().ok())
            .chain(evidence.bound.keys().copied())
            .collect();
        // Without a hint any receipt whose files are among the changed ones may be meant; all of them are too many.
        const MOST: usize = 64;
        let mut candidates: Vec<(Landing<'_>, Loaded)> = Vec::new();
        for at in 0..self.proposals.len() {
            let landing = self.landing(at);
            if !named.is_empty() && !named.contains(&landing.receipt.id) {
                continue;
            }
            match Loaded::read(&ctx.store, &landing.proposal.made) {
                Ok(loaded) => {
                    let paths = loaded.base.keys().chain(loaded.proposed.keys());
                    if named.contains(&landing.receipt.id)
                        || paths.clone().any(touched) && paths.clone().count() > 0
                    {
                        candidates.push((landing, loaded));
                    }
                }
                Err(error) => note_withheld(evidence, &landing, &error),
            }
        }
        if candidates.len() > MOST {
            candidates.drain(..candidates.len() - MOST);
        }
        if candidates.is_empty() {
            return Ok(());
        }
        let parent = ctx.store.files_of(parent_tree)?;
        for (landing, loaded) in &candidates {
            let all = landing.proposal.lines.applied.clone();
            let mut parts = vec![(all, LineSet::default())];
            for landed in self.landings(ctx, landing.at) {
                parts.push((landed.lines, landed.before));
            }
            for (lines, applied) in parts {
                let mut ground = Ground::new(&ctx.store, parent_tree, parent.clone());
                if ground.put(loaded, &lines, &applied) && ground.tree()? == Some(commit.tree) {
                    evidence.accepted.push(self.way(Grade::Patch, &[(landing, lines)]));
                    return Ok(());
                }
            }
        }
        // Several together, each in the order in which they were opened, and only those that fit.
        let mut ground = Ground::new(&ctx.store, parent_tree, parent);
        let mut used = Vec::new();
        for (landing, loaded) in &candidates {
            let lines = landing.proposal.lines.applied.clone();
            if ground.put(loaded, &lines, &LineSet::default()) {
                used.push((landing, lines));
            }
        }
        if !used.is_empty() && ground.tree()? == Some(commit.tree) {
            evidence.accepted.push(self.way(Grade::Lines, &used));
        }
        Ok(())
    }

    fn landing(&self, at: usize) -> Landing<'_> {
        let (id, index) = self.proposals[at];
        let receipt = &self.picture.folded.known[&id];
        Landing { at, receipt, proposal: &receipt.proposals[index] }
    }

    /// The commits that lines of a proposal landed in.
    fn landings(&self, ctx: &Context, at: usize) -> Vec<Landed<'_>> {
        let (id, index) = self.proposals[at];
        ctx.landings(&self.picture, &self.picture.folded.known[&id]).swap_remove(index)
    }

    /// Who accepts these lines, and who proposed them.
    fn way(&self, grade: Grade, parts: &[(&Landing<'_>, LineSet)]) -> Acceptance {
        let mut way = Acceptance {
            grade,
            receipts: Vec::new(),
            accepted_by: BTreeSet::new(),
            authors: BTreeSet::new(),
        };
        for (landing, lines) in parts {
            way.receipts.push(landing.receipt.id);
            let principals: BTreeSet<&str> =
                landing.proposal.decisions.iter().map(|decided| decided.principal.as_str()).collect();
            // Each principal splits the lines into those that they accept and the others.
            let mut groups: Vec<(LineSet, BTreeSet<String>)> = vec![(lines.clone(), BTreeSet::new())];
            for who in principals {
                let theirs = landing.proposal.accepted_by(who);
                let mut split = Vec::new();
                for (lines, mut by) in groups {
                    let others = lines.minus(&theirs);
                    let both = lines.common(&theirs);
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
            way.accepted_by.extend(groups.into_iter().map(|(_, by)| by));
            for step in &landing.receipt.steps {
                let entry = self.picture.link(&step.commit).and_then(|link| link.entry.as_ref());
                if let Some(entry) = entry
                    && matches!(
                        entry.body.fact,
                        Fact::ReceiptOpened(_) | Fact::ProposalMade(_) | Fact::ProposalRevised(_)
                    )
                {
                    way.authors.insert(self.trust.principal_of(&entry.body.signer));
                }
            }
        }
        way
    }
}

fn add<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Vec<usize>>, key: K, at: usize) {
    let known = map.entry(key).or_default();
    if !known.contains(&at) {
        known.push(at);
    }
}

fn note_withheld(evidence: &mut Evidence, landing: &Landing<'_>, error: &LoadError) {
    if matches!(error, LoadError::Withheld(_)) {
        evidence.withheld.insert(landing.receipt.id);
    }
}

/// A tree that lines are put on one after the other, in memory.
struct Ground<'s> {
    store: &'s Store,
    tree: Oid,
    files: Files,
    edits: Edits,
    made: BTreeMap<Oid, Vec<u8>>,
}

impl Blobs for Ground<'_> {
    fn blob(&self, oid: &Oid) -> Result<std::borrow::Cow<'_, [u8]>, lines::BlobError> {
        match self.made.get(oid) {
            Some(bytes) => Ok(std::borrow::Cow::Borrowed(bytes.as_slice())),
            None => Blobs::blob(self.store, oid),
        }
    }
}

impl<'s> Ground<'s> {
    fn new(store: &'s Store, tree: Oid, files: Files) -> Self {
        Ground { store, tree, files, edits: Edits::new(), made: BTreeMap::new() }
    }

    /// Puts lines on it, and says whether every one of them fits where it belongs.
    fn put(&mut self, loaded: &Loaded, lines: &LineSet, applied: &LineSet) -> bool {
        let placed = self.place(loaded, lines, applied);
        let Ok(placing) = placed else { return false };
        if !placing.conflicts.is_empty() || !placing.there.is_empty() || placing.placed.is_empty() {
            return false;
        }
        for (path, written) in placing.edits {
            match &written {
                None => drop(self.files.remove(&path)),
                Some(new) => {
                    let oid = match &new.content {
                        lines::Content::Blob(oid) => *oid,
                        lines::Content::Bytes(bytes) => {
                            let oid = self.store.blob_id(bytes).unwrap_or(self.store.null_id());
                            self.made.insert(oid, bytes.clone());
                            oid
                        }
                    };
                    self.files.insert(path.clone(), File { mode: new.mode, oid });
                }
            }
            self.edits.insert(path, written);
        }
        true
    }

    fn place(
        &self,
        loaded: &Loaded,
        lines: &LineSet,
        applied: &LineSet,
    ) -> Result<lines::Placing, LinesError> {
        let change = lines::Change::check(&loaded.table, &loaded.base, &loaded.proposed, self)?;
        let request = lines::Request { change, accepted: lines, applied, parent: &self.files };
        let id = |bytes: &[u8]| self.store.blob_id(bytes).unwrap_or(self.store.null_id());
        lines::place(&request, &id, self)
    }

    /// The tree that it has become.
    fn tree(&self) -> anyhow::Result<Option<Oid>> {
        Ok(self.store.id_of_edits(self.tree, &self.edits).ok())
    }
}

/// The first file that differs, and the first of its lines that does.
pub fn unexplained(store: &Store, from: Oid, to: Oid) -> anyhow::Result<Option<(GitPath, Option<u64>)>> {
    let (before, after) = store.changed_files(from, to)?;
    let first = before.keys().chain(after.keys()).min().cloned();
    let Some(path) = first else { return Ok(None) };
    let only = |files: &Files| -> Files {
        files.iter().filter(|(known, _)| **known == path).map(|(path, file)| (path.clone(), *file)).collect()
    };
    let table = lines::diff(&only(&before), &only(&after), store);
    let line = table.ok().and_then(|table| {
        let file = table.files().first()?;
        file.ops.iter().find_map(|op| match *op {
            lines::Op::Add { from, .. } | lines::Op::Mutate { from, .. } | lines::Op::Move { from, .. } => {
                Some(from)
            }
            _ => None,
        })
    });
    Ok(Some((path, line)))
}
