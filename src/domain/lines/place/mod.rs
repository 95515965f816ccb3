//! Accepted lines on a tree that has moved on since they were proposed.
//!
//! What a place is compared with is the *reference*: the proposal's base file with those lines that were applied
//! before. Without such lines that is the base file. Lines accepted together that stand together in one operation
//! are one *unit* and fit together or not at all: their place is where the unit's base lines stand, and the
//! nearest three reference lines on each side of it, and nowhere else in the file. A file that is the reference
//! byte for byte has not moved, so there a unit stands at its own place and no other.

use std::collections::BTreeSet;

use super::apply::{path_with, some};
use super::change::Change;
use super::select::{common, without};
use super::table::{FileLines, Table};
use super::{Edits, File, Files, shown};
use crate::domain::fact::values::{GitPath, LineSet};

mod check;
mod find;
mod make;
mod reference;

pub use check::placed_is_right;
pub use make::place;

/// What is to be placed where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The proposal.
    pub change: Change<'a>,
    /// The lines to place. Those in `applied` are passed over.
    pub accepted: &'a LineSet,
    /// The lines of the same proposal that were applied before, in what led to `parent`.
    pub applied: &'a LineSet,
    /// The whole tree that they are placed on: here a missing file is one that is not there.
    pub parent: &'a Files,
}

/// Where lines went.
#[derive(Debug, Clone, PartialEq)]
pub struct Placing {
    /// The placed table, from the parent's tree to the result, each file with `from_lines`.
    pub table: Table,
    /// The result, as edits to the parent's tree.
    pub edits: Edits,
    /// The accepted lines that the table holds.
    pub placed: LineSet,
    /// Accepted lines whose effect the parent's tree has already.
    pub there: LineSet,
    /// Accepted lines that no longer fit, in order.
    pub conflicts: Vec<Conflict>,
}

/// Lines that no longer fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The file's path in the proposal.
    pub path: GitPath,
    /// The numbers, all of one unit or of the whole file.
    pub lines: LineSet,
    /// What happened to their place.
    pub why: Why,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`, lines {}: {}", shown(&self.path), self.lines, self.why)
    }
}

/// Why lines no longer fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The file is not there any more.
    #[error("the file is gone")]
    Gone,
    /// The lines or those around them are not there as they were.
    #[error("the lines around it changed")]
    Changed,
    /// The lines around them stand in more than one place.
    #[error("its place is no longer the only one of its kind")]
    Ambiguous,
    /// Lines that come after others in the proposal would stand before them.
    #[error("the order changed")]
    Order,
    /// Something else is at the path or in the way of it.
    #[error("something else is at the path")]
    Occupied,
}

/// How many lines on each side say where a unit belongs.
const CONTEXT: usize = 3;

impl<'a> Request<'a> {
    /// The accepted numbers of `file` that are to be placed.
    fn wanted(&self, file: &FileLines) -> LineSet {
        without(&common(&file.all(), self.accepted), self.applied)
    }

    /// The numbers of `file` that were applied before.
    fn done(&self, file: &FileLines) -> LineSet {
        common(&file.all(), self.applied)
    }

    /// Whether `file` is created by this proposal and no line of it was applied before.
    fn still_absent(&self, file: &FileLines) -> bool {
        file.base.is_none() && !some(file, self.applied)
    }
}

/// Where the parent's tree has each file of the proposal, by index. No two stand at one path.
struct Ground<'a>(Vec<Option<(&'a GitPath, File)>>);

impl<'a> Ground<'a> {
    /// A file stands at the path that the reference has it at; else, where it is renamed by the proposal, at its
    /// other path; and one that is still to be created at its path if nothing else of the proposal stands there.
    fn of(request: &Request<'a>) -> Self {
        let files = request.change.table().files();
        let mut ground: Vec<Option<(&'a GitPath, File)>> = vec![None; files.len()];
        let mut owned: BTreeSet<&GitPath> = BTreeSet::new();
        let mut pass = |path: &dyn Fn(&'a FileLines) -> Option<&'a GitPath>| {
            for (index, file) in files.iter().enumerate() {
                if ground[index].is_none()
                    && let Some(path) = path(file)
                    && let Some(there) = request.parent.get(path)
                    && owned.insert(path)
                {
                    ground[index] = Some((path, *there));
                }
            }
        };
        pass(&|file| path_with(file, request.applied));
        pass(&|file| {
            if path_with(file, request.applied) == Some(&file.path) { file.base_path() } else { None }
        });
        pass(&|file| (file.old_path.is_some() || request.still_absent(file)).then_some(&file.path));
        Ground(ground)
    }
}

/// The index of the file that has `number`.
fn file_of(change: &Change, number: u64) -> Option<usize> {
    let files = change.table().files();
    let index = files.partition_point(|file| file.first <= number).checked_sub(1)?;
    (number - files[index].first < files[index].count()).then_some(index)
}
