//! What speaks for a commit: receipts bound to it, and lines that give exactly its tree. For whoever judges commits, and
//! for whoever asks where lines come from.

mod brought;
mod carried;
mod glance;
mod ground;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

pub use brought::{add_lines_brought, plausible, without_end};
pub use carried::{CarriedFrom, CarriedOver, Carriers};
pub use glance::Glance;
pub use ground::{Ground, Operations, Put};

use super::Context;
use super::proposal::{LoadError, Loaded};
use super::summary::facts;
use super::trust::TrustSet;
use super::verify::Picture;
use super::verify_lines::Landed;
use crate::domain::fact::Fact;
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{Oid, ReceiptId};
use crate::domain::lines::Files;
use crate::domain::policy::Grade;
use crate::store::Store;

/// Everything known under one list of signers, arranged by what commits ask for.
pub struct Known {
    /// What the chains say.
    pub picture: Picture,
    /// Who is believed.
    pub trust: TrustSet,
    /// Receipts with a proposal of which lines landed, oldest first.
    proposals: Vec<(ReceiptId, usize)>,
    /// Bindings by commit, and by tree and parent's tree.
    bound: HashMap<Oid, BTreeSet<ReceiptId>>,
    bound_trees: HashMap<(Oid, Option<Oid>), BTreeSet<ReceiptId>>,
    /// Where lines landed: proposals by commit, and by tree.
    landed: HashMap<Oid, Vec<usize>>,
    landed_trees: HashMap<Oid, Vec<usize>>,
    strangers: HashMap<Oid, BTreeSet<ReceiptId>>,
    /// Tables and trees of proposals, read once.
    loaded: RefCell<HashMap<usize, Result<Rc<Loaded>, LoadError>>>,
}

/// A commit that evidence is looked for.
pub struct Asked<'a> {
    /// The commit.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The tree of its first parent; none for a root.
    pub parent_tree: Option<Oid>,
    /// The receipts that its trailers name, as they stand there.
    pub trailers: &'a [String],
}

/// Ways in which lines give exactly a commit's tree.
#[derive(Default)]
pub struct Ways {
    /// The ways, those found first by the commit's own id.
    pub found: Vec<Way>,
    /// Receipts whose lines could not be worked out, as their tables are not here.
    pub withheld: BTreeSet<ReceiptId>,
}

/// Lines that, put on the first parent's tree, give exactly the commit's.
pub struct Way {
    /// How the lines were found.
    pub grade: Grade,
    /// The lines, in the order in which they go on.
    pub parts: Vec<Part>,
}

/// The lines of one proposal in a [`Way`].
pub struct Part {
    /// Which proposal, for [`Known::landing`].
    pub at: usize,
    /// The lines.
    pub lines: LineSet,
    /// What of the same proposal the parent may hold already, the likeliest first.
    pub before: Vec<LineSet>,
}

/// A proposal's lines that landed, as far as they can be worked out.
pub struct Landing<'k> {
    /// The proposal's place.
    pub at: usize,
    /// Its receipt.
    pub receipt: &'k Receipt,
    /// Its state.
    pub proposal: &'k ProposalState,
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
            strangers: HashMap::new(),
            loaded: RefCell::default(),
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
                    for fact in facts(receipt, &known.picture) {
                        let Fact::LinesApplied(applied) = fact else { continue };
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
                // A binding says itself what its commit was: that holds where the commit is gone.
                if let Fact::CommitBound(bound) = fact {
                    let key = (bound.tree, bound.parent_tree);
                    known.bound_trees.entry(key).or_default().insert(receipt.id);
                }
            }
        }
        for receipt in known.picture.folded.strangers.values() {
            for commit in &receipt.bound {
                known.strangers.entry(*commit).or_default().insert(receipt.id);
            }
        }
        known
    }

    /// The receipts that known signers bound to a commit, each by the best grade at which it is this commit.
    pub fn bound_to(&self, asked: &Asked<'_>) -> BTreeMap<ReceiptId, Grade> {
        let mut bound = BTreeMap::new();
        for receipt in self.bound_trees.get(&(asked.tree, asked.parent_tree)).into_iter().flatten() {
            bound.insert(*receipt, Grade::Tree);
        }
        for receipt in self.bound.get(&asked.commit).into_iter().flatten() {
            bound.insert(*receipt, Grade::Commit);
        }
        bound
    }

    /// The receipts of unknown signers that say to be bound to a commit.
    pub fn strangers_at(&self, commit: Oid) -> BTreeSet<ReceiptId> {
        self.strangers.get(&commit).cloned().unwrap_or_default()
    }

    /// Every commit that a receipt of a known signer is bound to.
    pub fn bound_commits(&self) -> impl Iterator<Item = Oid> + '_ {
        self.bound.keys().copied()
    }

    /// Every proposal of which lines landed, by its place.
    pub fn landings(&self) -> impl Iterator<Item = Landing<'_>> {
        (0..self.proposals.len()).map(|at| self.landing(at))
    }

    /// Whether the entries say that lines landed as this commit, or as one with its tree.
    pub fn landed_as(&self, asked: &Asked<'_>) -> bool {
        self.landed.contains_key(&asked.commit) || self.landed_trees.contains_key(&asked.tree)
    }

    /// Finds ways in which landed lines give exactly the commit's tree: of those found by one kind of search, all that
    /// the search gives, the kinds with the better grades first.
    ///
    /// # Errors
    /// When its trees cannot be read.
    pub fn ways(
        &self,
        ctx: &Context,
        asked: &Asked<'_>,
        bound: &BTreeMap<ReceiptId, Grade>,
    ) -> anyhow::Result<Ways> {
        let mut ways = Ways::default();
        let parent_tree = asked.parent_tree.unwrap_or_else(|| ctx.store.empty_tree());
        let at_commit = self.landed.get(&asked.commit).into_iter().flatten();
        let at_tree = self.landed_trees.get(&asked.tree).into_iter().flatten();
        let hints: BTreeSet<usize> = at_commit.chain(at_tree).copied().collect();
        for at in hints {
            let loaded = match self.loaded(ctx, at) {
                Ok(loaded) => loaded,
                Err(error) => {
                    ways.note_withheld(&self.landing(at), &error);
                    continue;
                }
            };
            let mut landings = self.landed(ctx, at);
            ctx.look_into_history(&loaded, &mut landings)?;
            for landed in landings.iter().filter(|landed| landed.applied.tree == asked.tree) {
                // The commit that was landed, or another upon the same tree: then the first need not be here.
                let (grade, judged) = match landed.applied.commit == asked.commit {
                    true => (Grade::Commit, ctx.recompute(&loaded, landed)?),
                    false => (Grade::Tree, ctx.gives(&loaded, landed, parent_tree)?),
                };
                let before = vec![landed.before.clone(), landed.in_history.clone(), LineSet::default()];
                match judged {
                    Ok(()) => ways
                        .found
                        .push(Way { grade, parts: vec![Part { at, lines: landed.lines.clone(), before }] }),
                    Err(error) => ways.note_withheld(&self.landing(at), &error),
                }
            }
        }
        if ways.found.is_empty() {
            self.replaced(ctx, asked, parent_tree, bound, &mut ways)?;
        }
        Ok(ways)
    }

    /// Puts the landed lines of the receipts in question on the parent's tree again: those of one, or of several
    /// together.
    fn replaced(
        &self,
        ctx: &Context,
        asked: &Asked<'_>,
        parent_tree: Oid,
        bound: &BTreeMap<ReceiptId, Grade>,
        ways: &mut Ways,
    ) -> anyhow::Result<()> {
        let (before, after) = ctx.store.changed_files(parent_tree, asked.tree)?;
        let touched = |path: &GitPath| before.contains_key(path) || after.contains_key(path);
        let named: BTreeSet<ReceiptId> =
            asked.trailers.iter().filter_map(|name| name.parse().ok()).chain(bound.keys().copied()).collect();
        // Without a hint any receipt whose files are among the changed ones may be meant; all of them are too many.
        const MOST: usize = 64;
        let mut candidates: Vec<(Landing<'_>, Rc<Loaded>)> = Vec::new();
        for at in 0..self.proposals.len() {
            let landing = self.landing(at);
            if !named.is_empty() && !named.contains(&landing.receipt.id) {
                continue;
            }
            match self.loaded(ctx, at) {
                Ok(loaded) => {
                    let mut paths = loaded.base.keys().chain(loaded.proposed.keys());
                    if named.contains(&landing.receipt.id) || paths.any(touched) {
                        candidates.push((landing, loaded));
                    }
                }
                Err(error) => ways.note_withheld(&landing, &error),
            }
        }
        if candidates.len() > MOST {
            candidates.drain(..candidates.len() - MOST);
        }
        // Every path that the commit changes must be one of theirs, or they cannot give its tree.
        let theirs = |loaded: &Loaded, path: &GitPath| {
            loaded.base.contains_key(path) || loaded.proposed.contains_key(path)
        };
        let covers = |path: &GitPath| candidates.iter().any(|(_, loaded)| theirs(loaded, path));
        if candidates.is_empty() || !before.keys().chain(after.keys()).all(covers) {
            return Ok(());
        }
        let parent = ctx.store.files_of(parent_tree)?;
        for (landing, loaded) in &candidates {
            if !before.keys().chain(after.keys()).all(|path| theirs(loaded, path)) {
                continue;
            }
            let all = landing.proposal.lines.applied.clone();
            let mut parts = vec![(all, LineSet::default())];
            for landed in self.landed(ctx, landing.at) {
                parts.push((landed.lines, landed.before));
            }
            for (lines, applied) in parts {
                let mut ground = Ground::new(&ctx.store, parent_tree, parent.clone());
                if ground.put(loaded.as_ref().into(), &lines, &applied) && ground.tree()? == Some(asked.tree)
                {
                    let part = Part { at: landing.at, lines, before: vec![applied] };
                    ways.found.push(Way { grade: Grade::Patch, parts: vec![part] });
                    return Ok(());
                }
            }
        }
        // Several together, each in the order in which they were opened, and only those that fit.
        let mut ground = Ground::new(&ctx.store, parent_tree, parent);
        let mut used = Vec::new();
        for (landing, loaded) in &candidates {
            let lines = landing.proposal.lines.applied.clone();
            if ground.put(loaded.as_ref().into(), &lines, &LineSet::default()) {
                used.push(Part { at: landing.at, lines, before: vec![LineSet::default()] });
            }
        }
        if !used.is_empty() && ground.tree()? == Some(asked.tree) {
            ways.found.push(Way { grade: Grade::Lines, parts: used });
        }
        Ok(())
    }

    /// A proposal of which lines landed, by its place.
    pub fn landing(&self, at: usize) -> Landing<'_> {
        let (id, index) = self.proposals[at];
        let receipt = &self.picture.folded.known[&id];
        Landing { at, receipt, proposal: &receipt.proposals[index] }
    }

    /// Table and trees of a proposal of which lines landed.
    ///
    /// # Errors
    /// As [`Loaded::read`].
    pub fn loaded(&self, ctx: &Context, at: usize) -> Result<Rc<Loaded>, LoadError> {
        if let Some(there) = self.loaded.borrow().get(&at) {
            return there.clone();
        }
        let loaded = Loaded::read(&ctx.store, &self.landing(at).proposal.made).map(Rc::new);
        self.loaded.borrow_mut().insert(at, loaded.clone());
        loaded
    }

    /// The commits that lines of a proposal landed in.
    fn landed(&self, ctx: &Context, at: usize) -> Vec<Landed<'_>> {
        let (id, index) = self.proposals[at];
        ctx.landings(&self.picture, &self.picture.folded.known[&id]).swap_remove(index)
    }
}

impl Ways {
    fn note_withheld(&mut self, landing: &Landing<'_>, error: &LoadError) {
        if matches!(error, LoadError::Withheld(_)) {
            self.withheld.insert(landing.receipt.id);
        }
    }
}

fn add<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Vec<usize>>, key: K, at: usize) {
    let known = map.entry(key).or_default();
    if !known.contains(&at) {
        known.push(at);
    }
}

/// The files of a tree that operations can meet: at their paths, and where a file stands in the place of a folder of
/// theirs.
///
/// # Errors
/// When the tree cannot be read.
pub fn files_met(store: &Store, tree: Oid, operations: Operations<'_>) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for path in operations.base.keys().chain(operations.proposed.keys()) {
        let bytes = path.as_bytes();
        let folders = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in folders.chain([bytes.len()]) {
            let path = GitPath::new(&bytes[..end]);
            if let Some(file) = store.file_in_tree(tree, &path)? {
                files.insert(path, file);
            }
        }
    }
    Ok(files)
}
