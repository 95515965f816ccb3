//! What the chains say under one list of signers, arranged by what commits ask for.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::commands::Context;
use crate::commands::proposal::{LoadError, Loaded};
use crate::commands::trust::TrustSet;
use crate::commands::verify::Picture;
use crate::domain::fact::Fact;
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::finding::Code;
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{Oid, ReceiptId};
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

/// Bindings, accepted lines, and where lines landed: what ties receipts to commits.
pub struct Known {
    /// What the chains say.
    pub picture: Picture,
    /// Who is believed.
    pub trust: TrustSet,
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
    /// The same by the trees that they lead from and to.
    rollback_trees: HashMap<(Oid, Oid), BTreeSet<ReceiptId>>,
    /// Receipts that were opened by keys that are not listed, by the commits that they say to be bound to.
    strangers: HashMap<Oid, BTreeSet<ReceiptId>>,
    /// Tables and trees of proposals, read once.
    loaded: RefCell<HashMap<usize, Result<Rc<Loaded>, LoadError>>>,
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
            rollback_trees: HashMap::new(),
            strangers: HashMap::new(),
            loaded: RefCell::default(),
            picture,
        };
        // What a binding says of its commit is worth nothing where the commit itself says otherwise.
        let wrong: BTreeSet<Oid> = known
            .picture
            .verdict
            .findings
            .iter()
            .filter(|finding| finding.code == Code::WrongBinding)
            .filter_map(|finding| finding.commit)
            .collect();
        // Taken out while they are arranged, as they are read and the rest is written.
        let folded = std::mem::take(&mut known.picture.folded.known);
        let mut receipts: Vec<&Receipt> = folded.values().collect();
        receipts.sort_by_key(|receipt| (receipt.opened_at, receipt.id));
        for receipt in &receipts {
            known.add_proposals(receipt);
            known.add_steps(ctx, receipt, &wrong)?;
        }
        known.picture.folded.known = folded;
        for receipt in known.picture.folded.strangers.values() {
            for commit in &receipt.bound {
                known.strangers.entry(*commit).or_default().insert(receipt.id);
            }
        }
        Ok(known)
    }

    fn add_proposals(&mut self, receipt: &Receipt) {
        for (index, proposal) in receipt.proposals.iter().enumerate() {
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
                    let trees = (rolled.from_tree, rolled.to_tree);
                    self.rollback_trees.entry(trees).or_default().insert(receipt.id);
                    if let Some(commit) = rolled.commit {
                        self.rollbacks.entry(commit).or_default().insert(receipt.id);
                    }
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

    /// The receipts that are bound to a commit, each by the best grade at which it is this commit.
    pub fn bound_to(&self, commit: &RangeCommit, parent: Parent) -> BTreeMap<ReceiptId, Grade> {
        let mut bound = BTreeMap::new();
        for receipt in self.bound_trees.get(&(commit.tree, parent)).into_iter().flatten() {
            bound.insert(*receipt, Grade::Tree);
        }
        for receipt in self.bound.get(&commit.commit).into_iter().flatten() {
            bound.insert(*receipt, Grade::Commit);
        }
        bound
    }

    /// The receipts that are bound to a commit.
    pub fn bound_at(&self, commit: Oid) -> BTreeSet<ReceiptId> {
        self.bound.get(&commit).cloned().unwrap_or_default()
    }

    /// Every commit that a receipt is bound to.
    pub fn bound_commits(&self) -> impl Iterator<Item = Oid> + '_ {
        self.bound.keys().copied()
    }

    /// The receipts that say to be bound to a commit and were opened by keys that are not listed.
    pub fn strangers_at(&self, commit: Oid) -> BTreeSet<ReceiptId> {
        self.strangers.get(&commit).cloned().unwrap_or_default()
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

    /// The receipts whose rollback a commit upon a tree may be, though it is not the one that they name: what they state
    /// leads between these very trees, they are bound to it, or its message names them. What was proposed is no such
    /// rollback, but lines.
    pub fn rolled_back_like(&self, commit: &RangeCommit, parent: Oid) -> BTreeSet<ReceiptId> {
        let by_trees = self.rollback_trees.get(&(parent, commit.tree)).into_iter().flatten().copied();
        let by_binding = self.bound.get(&commit.commit).into_iter().flatten().copied();
        let by_message = commit.named.iter().filter_map(|name| name.parse::<ReceiptId>().ok());
        let rolls_back = |receipt: &ReceiptId| {
            let receipt = self.picture.folded.known.get(receipt);
            receipt.is_some_and(|one| !one.takes_back.is_empty() && one.proposals.is_empty())
        };
        by_trees.chain(by_binding).chain(by_message).filter(rolls_back).collect()
    }

    /// The numbers of all revisions that lines of were accepted or landed, of the oldest receipt first.
    pub fn candidates(&self) -> std::ops::Range<usize> {
        0..self.candidates.len()
    }

    /// Those of the candidates that have accepted lines which landed nowhere in the history of `head`. All others have
    /// said what commits they are in.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn still_open(&self, ctx: &Context, head: Oid) -> anyhow::Result<Vec<usize>> {
        let mut landed_in: HashMap<usize, Vec<Oid>> = HashMap::new();
        for (commit, candidates) in &self.landed {
            for at in candidates {
                landed_in.entry(*at).or_default().push(*commit);
            }
        }
        let commits = self.landed.keys().copied().filter(|commit| ctx.store.has_object(*commit)).collect();
        let here = ctx.store.reached(head, None, &commits)?;
        let is_open = |at: &usize| {
            let lines = &self.candidate(*at).1.lines;
            let all_landed = lines.accepted.minus(&lines.applied).is_empty();
            let all_here = || landed_in.get(at).is_some_and(|all| all.iter().all(|one| here.contains(one)));
            !(all_landed && all_here())
        };
        Ok(self.candidates().filter(is_open).collect())
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

    /// Table and trees of a revision.
    ///
    /// # Errors
    /// As [`Loaded::read`].
    pub fn loaded(&self, ctx: &Context, at: usize) -> Result<Rc<Loaded>, LoadError> {
        if let Some(there) = self.loaded.borrow().get(&at) {
            return there.clone();
        }
        let loaded = Loaded::read(&ctx.store, &self.candidate(at).1.made).map(Rc::new);
        self.loaded.borrow_mut().insert(at, loaded.clone());
        loaded
    }

    /// The number of the revision among those of its receipt.
    pub fn index_of(&self, at: usize) -> usize {
        self.candidates[at].index
    }

    /// The proposals whose lines are about no other files than these, oldest first.
    pub fn within(&self, ctx: &Context, changed: &BTreeSet<&GitPath>) -> Vec<usize> {
        let by_path = self.by_path.get_or_init(|| {
            let mut index: HashMap<GitPath, Vec<usize>> = HashMap::new();
            for at in self.candidates() {
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
            let loaded = self.loaded(ctx, at);
            loaded.map(|loaded| paths_of(&loaded, &lines)).map_err(|error| error.to_string())
        });
        found.as_ref()
    }
}

fn paths_of(loaded: &Loaded, lines: &LineSet) -> BTreeSet<GitPath> {
    let files = loaded.table.files().iter().filter(|file| file.all().intersects(lines));
    files.flat_map(|file| [Some(&file.path), file.old_path.as_ref()]).flatten().cloned().collect()
}

/// A commit's tree and what its first parent is; `None` where one of them is not here.
fn place_of(ctx: &Context, commit: Oid) -> anyhow::Result<Option<(Oid, Parent)>> {
    let Some(tree) = ctx.store.tree_of(commit)? else { return Ok(None) };
    Ok(match ctx.store.parents_of(commit)?.first() {
        None => Some((tree, Parent::Root)),
        Some(parent) => ctx.store.tree_of(*parent)?.map(|parent| (tree, Parent::Tree(parent))),
    })
}
