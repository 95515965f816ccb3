//! What some lines of a proposal come to on a commit: where they go, what is there already, what no longer fits.

use super::Context;
use super::proposal::{Loaded, blob_ids, lines_error};
use super::verify::Picture;
use crate::domain::fact::data::TreeAt;
use crate::domain::fact::values::LineSet;
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::Oid;
use crate::domain::lines::{self, Conflict, Request};

/// The result, worked out and written as objects; no ref and no file has moved.
pub struct Plan {
    /// The lines that it holds.
    pub lines: LineSet,
    /// Lines whose effect is there already.
    pub already: LineSet,
    /// Lines that no longer fit.
    pub conflicts: Vec<Conflict>,
    /// The tree.
    pub tree: Oid,
    /// The placed table, where the base had moved.
    pub placed: Option<Vec<u8>>,
}

impl Plan {
    /// Puts `wanted` on `parent`, whatever of the proposal landed in its history before.
    ///
    /// Entries and history may disagree about that: others may have landed lines elsewhere, and history may have been
    /// rewritten since. The way in which more lines fit is taken.
    ///
    /// # Errors
    /// As [`Plan::make`].
    pub fn best(
        ctx: &Context,
        picture: &Picture,
        receipt: &Receipt,
        proposal: &ProposalState,
        loaded: &Loaded,
        (wanted, parent): (&LineSet, &TreeAt),
    ) -> anyhow::Result<Plan> {
        let stated = &proposal.lines.applied;
        let at = receipt.proposals.iter().position(|known| known.entry == proposal.entry);
        let landings = at.map(|at| ctx.landings(picture, receipt).swap_remove(at)).unwrap_or_default();
        let there = ctx.landed_in(loaded, &landings, parent.commit)?;
        let plan = Plan::make(ctx, loaded, &there, wanted, parent);
        if there == *stated {
            return plan;
        }
        let other = Plan::make(ctx, loaded, stated, wanted, parent);
        match (plan, other) {
            (Ok(plan), Ok(other)) if other.conflicted().len() < plan.conflicted().len() => Ok(other),
            (Err(_), Ok(other)) => Ok(other),
            (plan, _) => plan,
        }
    }

    /// Puts `wanted` on `parent`, where `applied` landed before.
    ///
    /// # Errors
    /// When lines need others to come along, or content is missing.
    pub fn make(
        ctx: &Context,
        loaded: &Loaded,
        applied: &LineSet,
        wanted: &LineSet,
        parent: &TreeAt,
    ) -> anyhow::Result<Plan> {
        let change = ctx.check(loaded)?;
        let base = loaded.made.base.tree;
        let before = lines::apply(&change, applied, &ctx.store).map_err(lines_error)?;
        if ctx.store.id_of_edits(base, &before)? == parent.tree {
            let edits = lines::apply(&change, &applied.union(wanted), &ctx.store).map_err(lines_error)?;
            let tree = ctx.write_result(base, &edits)?;
            return Ok(Plan {
                lines: wanted.clone(),
                already: LineSet::default(),
                conflicts: Vec::new(),
                tree,
                placed: None,
            });
        }
        let files = ctx.store.files_of(parent.tree)?;
        let request = Request { change, accepted: wanted, applied, parent: &files };
        let id = blob_ids(&ctx.store)?;
        let placing = lines::place(&request, &id, &ctx.store).map_err(lines_error)?;
        let tree = ctx.write_result(parent.tree, &placing.edits)?;
        let placed = placing.table.write()?;
        Ok(Plan {
            lines: placing.placed,
            already: placing.there,
            conflicts: placing.conflicts,
            tree,
            placed: Some(placed),
        })
    }

    /// The lines that no longer fit.
    pub fn conflicted(&self) -> LineSet {
        self.conflicts.iter().fold(LineSet::default(), |all, conflict| all.union(&conflict.lines))
    }
}
