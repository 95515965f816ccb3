//! The table of operations, `lines.json`, as values.

use std::fmt;

use super::{Mode, rules, shown, wire};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::Oid;

/// The longest table that is read, in bytes: some three million operations.
pub const MAX_BYTES: usize = 64 << 20;

/// One operation. Lines are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Proposed lines `from` to `from + n − 1` go in before base line `at`; the last + 1 appends.
    Add {
        /// The base line before which they go in.
        at: u64,
        /// The first proposed line.
        from: u64,
        /// How many.
        n: u64,
    },
    /// Base lines `at` to `at + n − 1` go.
    Remove {
        /// The first base line.
        at: u64,
        /// How many.
        n: u64,
    },
    /// Base line `at + i` becomes proposed line `from + i`.
    Mutate {
        /// The first base line.
        at: u64,
        /// The first proposed line.
        from: u64,
        /// How many.
        n: u64,
    },
    /// Base lines leave `at` and go in before base line `to`. One number for the block.
    Move {
        /// The first base line.
        at: u64,
        /// How many, at least 3.
        n: u64,
        /// The base line before which they go in.
        to: u64,
        /// Where they begin in the proposed file.
        from: u64,
    },
    /// The file comes to be.
    Create,
    /// The file goes.
    Delete,
    /// The content is replaced whole.
    Bytes,
    /// File, symbolic link or submodule becomes another of them, content and mode together.
    Type,
    /// The path changes.
    Rename,
    /// The executable bit changes.
    Cap {
        /// The mode before.
        from: Mode,
        /// The mode after.
        to: Mode,
    },
}

impl Op {
    /// How many numbers it takes.
    pub fn numbers(&self) -> u64 {
        match *self {
            Op::Add { n, .. } | Op::Remove { n, .. } | Op::Mutate { n, .. } => n,
            _ => 1,
        }
    }

    /// Whether it is about lines rather than the whole file.
    pub fn is_text(&self) -> bool {
        matches!(self, Op::Add { .. } | Op::Remove { .. } | Op::Mutate { .. } | Op::Move { .. })
    }

    /// First and count of the base lines that it takes out or replaces.
    pub(super) fn takes(&self) -> Option<(u64, u64)> {
        match *self {
            Op::Remove { at, n } | Op::Mutate { at, n, .. } | Op::Move { at, n, .. } => Some((at, n)),
            _ => None,
        }
    }

    /// The base line before which it puts lines in.
    pub(super) fn point(&self) -> Option<u64> {
        match *self {
            Op::Add { at, .. } => Some(at),
            Op::Move { to, .. } => Some(to),
            _ => None,
        }
    }

    /// First and count of the proposed lines that it gives.
    pub(super) fn gives(&self) -> Option<(u64, u64)> {
        match *self {
            Op::Add { from, n, .. } | Op::Mutate { from, n, .. } | Op::Move { from, n, .. } => {
                Some((from, n))
            }
            _ => None,
        }
    }
}

/// The operations of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLines {
    /// The proposed path; of a deleted file the one that it had.
    pub path: GitPath,
    /// The path before, where `ops` has a [`Op::Rename`].
    pub old_path: Option<GitPath>,
    /// The blob before; none where the file is created.
    pub base: Option<Oid>,
    /// The blob after; none where the file is deleted.
    pub proposed: Option<Oid>,
    /// Its first number.
    pub first: u64,
    /// Its operations in their one order.
    pub ops: Vec<Op>,
    /// In a placed table, the accepted number for each of its numbers.
    pub from_lines: Option<Vec<u64>>,
}

impl FileLines {
    /// How many numbers the file takes.
    pub fn count(&self) -> u64 {
        self.ops.iter().map(Op::numbers).sum()
    }

    /// Its numbers.
    pub fn all(&self) -> LineSet {
        LineSet::run(self.first, self.count())
    }

    /// The path in the base tree; none where the file is created.
    pub fn base_path(&self) -> Option<&GitPath> {
        self.base.map(|_| self.old_path.as_ref().unwrap_or(&self.path))
    }

    /// Each operation with its first number.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &Op)> {
        self.ops.iter().scan(self.first, |next, op| {
            let first = *next;
            *next += op.numbers();
            Some((first, op))
        })
    }
}

/// How many operations of which sort a table has, as a proposal's entry states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Numbers given out.
    pub count: u64,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// Lines changed in place.
    pub mutated: u64,
    /// Blocks moved.
    pub moved: u64,
    /// Files touched.
    pub files: u64,
}

/// A whole table that is valid in itself. Whether it fits two trees is for [`super::Change::check`] to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    files: Vec<FileLines>,
}

impl Table {
    /// Takes the files of a proposal.
    ///
    /// # Errors
    /// When they break a rule that needs no tree to see; the error names file and operation.
    pub fn new(files: Vec<FileLines>) -> Result<Table, TableError> {
        rules::check(&files, rules::Form::Proposal)?;
        Ok(Table { files })
    }

    /// Takes the files of a placed table, each with `from_lines`.
    ///
    /// # Errors
    /// As [`Table::new`].
    pub fn new_placed(files: Vec<FileLines>) -> Result<Table, TableError> {
        rules::check(&files, rules::Form::Placed)?;
        Ok(Table { files })
    }

    /// Reads the `lines.json` of a proposal.
    ///
    /// # Errors
    /// When `bytes` are longer than [`MAX_BYTES`], not the canonical form of a table, or not a valid one.
    pub fn read(bytes: &[u8]) -> Result<Table, TableError> {
        Table::new(wire::read(bytes)?)
    }

    /// Reads a placed table.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn read_placed(bytes: &[u8]) -> Result<Table, TableError> {
        Table::new_placed(wire::read(bytes)?)
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// When they are more than [`MAX_BYTES`].
    pub fn write(&self) -> Result<Vec<u8>, TableError> {
        wire::write(&self.files)
    }

    /// The files in byte order of path.
    pub fn files(&self) -> &[FileLines] {
        &self.files
    }

    /// How many numbers it gives out: they run from 1 to this.
    pub fn count(&self) -> u64 {
        self.files.last().map_or(0, |file| file.first + file.count() - 1)
    }

    /// What a proposal's entry states about it.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { count: self.count(), files: self.files.len() as u64, ..Counts::default() };
        for op in self.files.iter().flat_map(|file| &file.ops) {
            match op {
                Op::Add { n, .. } => counts.added += n,
                Op::Remove { n, .. } => counts.removed += n,
                Op::Mutate { n, .. } => counts.mutated += n,
                Op::Move { .. } => counts.moved += 1,
                _ => {}
            }
        }
        counts
    }

    /// Every number of the table.
    pub fn all(&self) -> LineSet {
        LineSet::run(1, self.count())
    }
}

/// Why a table is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TableError {
    /// The file that the problem is in, by its `path`.
    pub file: Option<GitPath>,
    /// The operation, counted from 1 within the file.
    pub op: Option<usize>,
    /// What is wrong.
    pub problem: String,
}

impl TableError {
    pub(super) fn whole(problem: impl Into<String>) -> Self {
        TableError { file: None, op: None, problem: problem.into() }
    }

    pub(super) fn file(path: &GitPath, problem: impl Into<String>) -> Self {
        TableError { file: Some(path.clone()), op: None, problem: problem.into() }
    }

    /// `index` is counted from 0.
    pub(super) fn op(path: &GitPath, index: usize, problem: impl Into<String>) -> Self {
        TableError { file: Some(path.clone()), op: Some(index + 1), problem: problem.into() }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.op) {
            (Some(file), Some(op)) => write!(f, "`{}`, operation {op}: {}", shown(file), self.problem),
            (Some(file), None) => write!(f, "`{}`: {}", shown(file), self.problem),
            (None, _) => f.write_str(&self.problem),
        }
    }
}
