//! A glance at the chains: whether any entry may speak for the commits in question at all. Checking every signature takes
//! most of the time that looking at chains takes, and of most files no receipt tells anything.
//!
//! Nothing that is seen here counts. It only says when there is nothing to see.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Carriers, add_lines_brought, plausible, without_end};
use crate::commands::proposal::Loaded;
use crate::domain::commit;
use crate::domain::entry::Body;
use crate::domain::fact::Fact;
use crate::domain::fact::data::Proposal;
use crate::domain::ids::{Oid, OidMap, ReceiptId};
use crate::store::{Annotated, Store};

/// What entries say that tie receipts to commits, whoever signed them.
#[derive(Default)]
pub struct Glance {
    /// Commits that receipts say to be bound to.
    commits: BTreeSet<Oid>,
    /// Trees of such commits, as the entries have them.
    trees: BTreeSet<Oid>,
    /// The proposals of receipts of which lines were accepted or landed.
    proposals: Vec<Proposal>,
}

impl Glance {
    /// Looks through all chains.
    ///
    /// # Errors
    /// When refs cannot be listed or objects not be read.
    pub fn at(store: &Store) -> anyhow::Result<Self> {
        const KINDS: &[&str] = &[
            "commit.bound",
            "commit.rebound",
            "lines.accepted",
            "lines.applied",
            "proposal.made",
            "proposal.revised",
            "rollback.applied",
        ];
        let mut glance = Glance::default();
        let mut proposals: BTreeMap<ReceiptId, Vec<Proposal>> = BTreeMap::new();
        let mut decided: BTreeSet<ReceiptId> = BTreeSet::new();
        for bytes in store.glance(KINDS)? {
            // One that cannot be read never counts.
            let Ok(layout) = commit::parse(&bytes) else { continue };
            let Ok(read) = Body::read(layout.body) else { continue };
            let Some(receipt) = read.body.receipt else { continue };
            match read.body.fact {
                Fact::CommitBound(bound) => {
                    glance.commits.insert(bound.commit);
                    glance.trees.insert(bound.tree);
                }
                Fact::CommitRebound(rebound) => drop(glance.commits.insert(rebound.to)),
                Fact::LinesApplied(applied) => {
                    glance.commits.insert(applied.commit);
                    glance.trees.insert(applied.tree);
                    decided.insert(receipt);
                }
                Fact::RollbackApplied(rolled) => {
                    glance.commits.extend(rolled.commit);
                    glance.trees.insert(rolled.to_tree);
                }
                Fact::LinesAccepted(_) => drop(decided.insert(receipt)),
                Fact::ProposalMade(made) | Fact::ProposalRevised(made) => {
                    proposals.entry(receipt).or_default().push(made);
                }
                _ => {}
            }
        }
        glance.proposals = decided.iter().filter_map(|receipt| proposals.remove(receipt)).flatten().collect();
        Ok(glance)
    }

    /// Whether any of it may speak for any of the lines.
    ///
    /// # Errors
    /// When objects of the project cannot be read.
    pub fn may_speak_for(&self, store: &Store, annotated: &Annotated) -> anyhow::Result<bool> {
        if annotated.commits.keys().any(|commit| self.commits.contains(commit)) {
            return Ok(true);
        }
        if self.commits.is_empty() && self.proposals.is_empty() {
            return Ok(false);
        }
        // A binding that followed a rewrite does not state the tree.
        let mut trees = self.trees.clone();
        for commit in &self.commits {
            trees.extend(store.tree_of(*commit)?);
        }
        let mut texts: OidMap<Vec<&[u8]>> = OidMap::default();
        for line in annotated.lines.iter().filter(|line| line.commit != store.null_id()) {
            texts.entry(line.commit).or_default().push(without_end(annotated.text(line)));
        }
        let mut brought = HashSet::new();
        for made in &self.proposals {
            // One that is not here cannot be put anywhere either.
            if let Ok(loaded) = Loaded::read(store, made) {
                add_lines_brought(store, (&loaded).into(), &mut brought);
            }
        }
        let commits = self.commits.iter().copied();
        let carriers = Carriers::find(store, commits, &annotated.paths(), annotated.latest())?;
        for (commit, texts) in &texts {
            let committed = annotated.commits.get(commit).map_or(i64::MAX, |said| said.committed);
            if plausible(texts, &brought) || carriers.may_give(*commit, committed, texts) {
                return Ok(true);
            }
            let tree = store.tree_of(*commit)?;
            if tree.is_some_and(|tree| trees.contains(&tree)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
