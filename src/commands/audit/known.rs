//! Everything that the chains say under one list of signers, arranged by what commits ask for.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::commands::Context;
use crate::commands::proposal::{LoadError, Loaded};
use crate::commands::trust::TrustSet;
use crate::commands::verify::Picture;
use crate::domain::audit::judge::{Doubt, Evidence, GateSeen, Outcome};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{GateChecked, GateResult, Risk};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::finding::{Code, Weight};
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{ChainId, Oid, ReceiptId};
use crate::domain::policy::Grade;
use crate::store::RangeCommit;

/// What a commit's first parent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parent {
    /// It has none.
    Root,
    /// A commit with this tree.
    Tree(Oid),
}

impl Parent {
    /// The parent's tree, `empty` where there is none.
    pub fn tree(self, empty: Oid) -> Oid {
        match self {
            Parent::Root => empty,
            Parent::Tree(tree) => tree,
        }
    }
}

/// A revision of a proposal some lines of which were accepted or landed.
pub struct Candidate {
    receipt: ReceiptId,
    index: usize,
    /// The files that these lines are about, once somebody asked.
    paths: OnceCell<Result<BTreeSet<GitPath>, String>>,
}

/// Bindings, landings, checks: what speaks for commits.
pub struct Known {
    pub(super) picture: Picture,
    pub(super) trust: TrustSet,
    /// Oldest receipt first.
    candidates: Vec<Candidate>,
    of_receipt: HashMap<ReceiptId, Vec<usize>>,
    by_path: OnceCell<HashMap<GitPath, Vec<usize>>>,
    bound: HashMap<Oid, BTreeSet<ReceiptId>>,
    bound_trees: HashMap<(Oid, Parent), BTreeSet<ReceiptId>>,
    landed: HashMap<Oid, BTreeSet<usize>>,
    landed_trees: HashMap<Oid, BTreeSet<usize>>,
    /// The receipts that say they rolled something back, by the commit that does it.
    rollbacks: HashMap<Oid, BTreeSet<ReceiptId>>,
    gates: HashMap<Oid, Vec<GateSeen>>,
    risks: BTreeMap<ReceiptId, Option<Risk>>,
    doubts: BTreeMap<ReceiptId, Doubt>,
    strangers: Strangers,
}

/// What keys did that are not listed.
#[derive(Default)]
struct Strangers {
    /// Receipts that they bound, by commit.
    bound: HashMap<Oid, BTreeSet<ReceiptId>>,
    /// Receipts whose lines they accepted, with the keys.
    accepted: BTreeMap<ReceiptId, BTreeSet<String>>,
    /// Checks that they ran, by tree.
    gates: HashMap<Oid, BTreeSet<String>>,
}

impl Known {
    /// Arranges what `picture` holds, which was folded under `trust`.
    ///
    /// # Errors
    /// When a commit that is here cannot be read.
    pub fn new(ctx: &Context, picture: Picture, trust: TrustSet) -> anyhow::Result<Self> {
        let mut known = Known {
            trust,
            candidates: Vec::new(),
            of_receipt: HashMap::new(),
            by_path: OnceCell::new(),
            bound: HashMap::new(),
            bound_trees: HashMap::new(),
            landed: HashMap::new(),
            landed_trees: HashMap::new(),
            rollbacks: HashMap::new(),
            gates: HashMap::new(),
            risks: BTreeMap::new(),
            doubts: BTreeMap::new(),
            strangers: Strangers::default(),
            picture,
        };
        let broken = known.broken_chains();
        // What a binding says of its commit is worth nothing where the commit itself says otherwise.
        let wrong: BTreeSet<Oid> = known
            .picture
            .verdict
            .findings
            .iter()
            .filter(|finding| finding.code == Code::WrongBinding)
            .filter_map(|finding| finding.commit)
            .collect();
        let mut receipts: Vec<Receipt> = known.picture.folded.known.values().cloned().collect();
        receipts.sort_by_key(|receipt| (receipt.opened_at, receipt.id));
        for receipt in &receipts {
            known.add_proposals(receipt);
            known.add_steps(ctx, receipt, &wrong)?;
            if receipt.steps.iter().any(|step| broken.contains(&step.entry.chain)) {
                known.doubts.insert(receipt.id, Doubt::Broken);
            }
        }
        known.add_strangers();
        let verdict = &known.picture.verdict;
        for finding in verdict.findings.iter().filter(|finding| finding.code == Code::UnknownKind) {
            // A stranger's entries can cast no doubt either.
            let counted = finding.commit.is_some_and(|commit| verdict.counted.contains(&commit));
            known
                .doubts
                .extend(finding.receipt.filter(|_| counted).map(|receipt| (receipt, Doubt::UnknownKind)));
        }
        Ok(known)
    }

    /// Chains of which something is gone, or was put in another's place.
    fn broken_chains(&self) -> BTreeSet<ChainId> {
        let integrity = |code: Code| {
            matches!(code, Code::Truncated | Code::MissingChain | Code::Equivocation | Code::Shallow)
                || (code.weight() == Weight::Broken && code.number() < Code::NotOwner.number())
        };
        let found = self.picture.verdict.findings.iter().filter(|finding| integrity(finding.code));
        found.filter_map(|finding| finding.chain).collect()
    }

    fn add_proposals(&mut self, receipt: &Receipt) {
        for (index, proposal) in receipt.proposals.iter().enumerate() {
            if proposal.uncertain {
                self.doubts.insert(receipt.id, Doubt::Uncertain);
            }
            let in_force = proposal.superseded_by.is_none() && !proposal.lines.accepted.is_empty();
            if in_force || !proposal.lines.applied.is_empty() {
                let at = self.candidates.len();
                self.candidates.push(Candidate { receipt: receipt.id, index, paths: OnceCell::new() });
                self.of_receipt.entry(receipt.id).or_default().push(at);
            }
        }
    }

    fn add_steps(&mut self, ctx: &Context, receipt: &Receipt, wrong: &BTreeSet<Oid>) -> anyhow::Result<()> {
        let bound: BTreeSet<Oid> = receipt.bound.iter().copied().collect();
        for step in &receipt.steps {
            let entry = self.picture.link(&step.commit).and_then(|link| link.entry.as_ref());
            let Some(entry) = entry else { continue };
            match &entry.body.fact {
                Fact::ReceiptOpened(opened) => drop(self.risks.insert(receipt.id, opened.risk)),
                Fact::LinesApplied(applied) => {
                    let of = self.of_receipt.get(&receipt.id).into_iter().flatten().copied();
                    let revision =
                        |at: &usize| receipt.proposals[self.candidates[*at].index].entry == applied.proposal;
                    if let Some(at) = of.clone().find(revision) {
                        self.landed.entry(applied.commit).or_default().insert(at);
                        self.landed_trees.entry(applied.tree).or_default().insert(at);
                    }
                }
                Fact::RollbackApplied(rolled) => {
                    if let Some(commit) = rolled.commit {
                        self.rollbacks.entry(commit).or_default().insert(receipt.id);
                    }
                }
                Fact::GateChecked(gate) => {
                    let by = self.trust.principal_of(&entry.body.signer);
                    self.gates.entry(gate.tree).or_default().push(seen(gate, by, receipt.id));
                }
                // A binding says itself what its commit was: that holds where the commit is gone.
                Fact::CommitBound(stated)
                    if bound.contains(&stated.commit) && !ctx.store.has_object(stated.commit) =>
                {
                    if let Some(parent) = stated.parent_tree {
                        let place = (stated.tree, Parent::Tree(parent));
                        self.bound_trees.entry(place).or_default().insert(receipt.id);
                    }
                }
                _ => {}
            }
        }
        for commit in bound {
            let stated_wrong = receipt
                .steps
                .iter()
                .any(|step| wrong.contains(&step.commit) && self.binds(&step.commit, commit));
            if stated_wrong {
                continue;
            }
            self.bound.entry(commit).or_default().insert(receipt.id);
            if let Some(place) = place_of(ctx, commit)? {
                self.bound_trees.entry(place).or_default().insert(receipt.id);
            }
        }
        Ok(())
    }

    /// Whether the entry at `step` binds its receipt to `commit`.
    fn binds(&self, step: &Oid, commit: Oid) -> bool {
        let entry = self.picture.link(step).and_then(|link| link.entry.as_ref());
        matches!(entry.map(|entry| &entry.body.fact), Some(Fact::CommitBound(stated)) if stated.commit == commit)
    }

    /// What strangers wrote, which is part of no receipt's state.
    fn add_strangers(&mut self) {
        for link in self.picture.history.links.values() {
            let Some(entry) = &link.entry else { continue };
            let Some(receipt) = entry.body.receipt else { continue };
            let signer = &entry.body.signer;
            match &entry.body.fact {
                _ if self.trust.knows(signer) => {}
                Fact::LinesAccepted(_) => {
                    self.strangers.accepted.entry(receipt).or_default().insert(signer.to_string());
                }
                Fact::CommitBound(bound) => {
                    self.strangers.bound.entry(bound.commit).or_default().insert(receipt);
                }
                Fact::GateChecked(gate) => {
                    let words = format!(
                        "gate `{}` was run on its tree by `{signer}`, a key that is not listed",
                        gate.gate
                    );
                    self.strangers.gates.entry(gate.tree).or_default().insert(words);
                }
                _ => {}
            }
        }
    }

    /// Collects what speaks for a commit besides lines.
    pub fn evidence(&self, commit: &RangeCommit, parent: Parent) -> Evidence {
        let mut evidence = Evidence {
            gates: self.gates.get(&commit.tree).cloned().unwrap_or_default(),
            doubts: self.doubts.clone(),
            author: commit.author.clone(),
            ..Evidence::default()
        };
        for receipt in self.bound_trees.get(&(commit.tree, parent)).into_iter().flatten() {
            evidence.bound.insert(*receipt, Grade::Tree);
        }
        for receipt in self.bound.get(&commit.commit).into_iter().flatten() {
            evidence.bound.insert(*receipt, Grade::Commit);
        }
        self.strangers_at(commit, &mut evidence);
        evidence
    }

    /// Adds what the receipts that speak for a commit state as their risk.
    pub fn add_risks(&self, evidence: &mut Evidence) {
        let ways = evidence.accepted.iter().flat_map(|way| &way.receipts);
        let receipts = ways.chain(evidence.bound.keys());
        evidence.risks =
            receipts.map(|receipt| (*receipt, self.risks.get(receipt).copied().flatten())).collect();
    }

    fn strangers_at(&self, commit: &RangeCommit, evidence: &mut Evidence) {
        for receipt in self.strangers.bound.get(&commit.commit).into_iter().flatten() {
            let words = match self.picture.folded.strangers.contains_key(receipt) {
                true => format!("receipt {receipt} names it and was opened by a key that is not listed"),
                false => format!("receipt {receipt} was bound to it by a key that is not listed"),
            };
            evidence.strangers.insert(words);
        }
        evidence.strangers.extend(self.strangers.gates.get(&commit.tree).into_iter().flatten().cloned());
        for name in &commit.named {
            let Ok(receipt) = name.parse::<ReceiptId>() else { continue };
            let stranger = self.picture.folded.strangers.contains_key(&receipt);
            if stranger {
                let words = format!(
                    "receipt {receipt}, which its message names, was opened by a key that is not listed"
                );
                evidence.strangers.insert(words);
            } else if !self.picture.folded.known.contains_key(&receipt) {
                evidence.missing.insert(format!("receipt {receipt}, which its message names, is not here"));
            }
            for key in self.strangers.accepted.get(&receipt).into_iter().flatten() {
                let words =
                    format!("lines of receipt {receipt} were accepted by `{key}`, a key that is not listed");
                evidence.strangers.insert(words);
            }
        }
    }

    /// The proposals that are said to have landed in a commit, or in another of its tree.
    pub fn landed_in(&self, commit: &RangeCommit) -> BTreeSet<usize> {
        let at_commit = self.landed.get(&commit.commit).into_iter().flatten();
        at_commit.chain(self.landed_trees.get(&commit.tree).into_iter().flatten()).copied().collect()
    }

    /// The receipts that say they rolled something back in a commit.
    pub fn rolled_back_in(&self, commit: Oid) -> impl Iterator<Item = &Receipt> {
        let receipts = self.rollbacks.get(&commit).into_iter().flatten();
        receipts.filter_map(|receipt| self.picture.folded.known.get(receipt))
    }

    /// The proposals of a receipt.
    pub fn of_receipt(&self, receipt: &ReceiptId) -> &[usize] {
        self.of_receipt.get(receipt).map_or(&[], Vec::as_slice)
    }

    /// The receipt and the revision that a number stands for.
    pub fn candidate(&self, at: usize) -> (&Receipt, &ProposalState) {
        let candidate = &self.candidates[at];
        let receipt = &self.picture.folded.known[&candidate.receipt];
        (receipt, &receipt.proposals[candidate.index])
    }

    /// The number of the revision among those of its receipt.
    pub fn index_of(&self, at: usize) -> usize {
        self.candidates[at].index
    }

    /// The proposals whose lines are about no other files than these, oldest first.
    pub fn within(&self, ctx: &Context, changed: &BTreeSet<&GitPath>) -> Vec<usize> {
        let by_path = self.by_path.get_or_init(|| {
            let mut index: HashMap<GitPath, Vec<usize>> = HashMap::new();
            for at in 0..self.candidates.len() {
                for path in self.paths(ctx, at).iter().flat_map(|paths| paths.iter()) {
                    index.entry(path.clone()).or_default().push(at);
                }
            }
            index
        });
        let touching: BTreeSet<usize> =
            changed.iter().filter_map(|path| by_path.get(*path)).flatten().copied().collect();
        let inside = |at: &usize| {
            self.paths(ctx, *at).is_ok_and(|paths| paths.iter().all(|path| changed.contains(path)))
        };
        touching.into_iter().filter(inside).collect()
    }

    /// The files that the accepted and landed lines of a proposal are about.
    fn paths(&self, ctx: &Context, at: usize) -> Result<&BTreeSet<GitPath>, &String> {
        let found = self.candidates[at].paths.get_or_init(|| {
            let (_, proposal) = self.candidate(at);
            let lines = proposal.lines.accepted.union(&proposal.lines.applied);
            Loaded::read(&ctx.store, &proposal.made)
                .map(|loaded| paths_of(&loaded, &lines))
                .map_err(|error: LoadError| error.to_string())
        });
        found.as_ref()
    }
}

fn paths_of(loaded: &Loaded, lines: &LineSet) -> BTreeSet<GitPath> {
    let files = loaded.table.files().iter().filter(|file| file.all().intersects(lines));
    files.flat_map(|file| [Some(&file.path), file.old_path.as_ref()]).flatten().cloned().collect()
}

fn seen(gate: &GateChecked, by: String, receipt: ReceiptId) -> GateSeen {
    let passed = gate.result == GateResult::Passed && gate.exit_code == 0;
    let outcome = match (passed, gate.output.is_some()) {
        (true, true) => Outcome::Passed,
        (true, false) => Outcome::Unproven,
        (false, _) => Outcome::Failed,
    };
    GateSeen { name: gate.gate.clone(), command: gate.command.clone(), outcome, by, receipt }
}

/// A commit's tree and what its first parent is; `None` where one of them is not here.
fn place_of(ctx: &Context, commit: Oid) -> anyhow::Result<Option<(Oid, Parent)>> {
    let Some(tree) = ctx.store.tree_of(commit)? else { return Ok(None) };
    Ok(match ctx.store.parents_of(commit)?.first() {
        None => Some((tree, Parent::Root)),
        Some(parent) => ctx.store.tree_of(*parent)?.map(|parent| (tree, Parent::Tree(parent))),
    })
}
