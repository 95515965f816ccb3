//! From line numbers to operations.

use super::table::{FileLines, Op, Table};
use crate::domain::fact::values::{GitPath, LineSet};

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The number.
    pub number: u64,
    /// Its file.
    pub file: &'a FileLines,
    /// Which operation of the file, counted from 0.
    pub op: usize,
    /// Which line of the operation, counted from 0; 0 for operations of one number.
    pub offset: u64,
}

/// The first number of every operation of a table, so that a number is found in logarithmic time.
#[derive(Debug)]
pub struct Numbers<'a> {
    table: &'a Table,
    firsts: Vec<Vec<u64>>,
}

impl<'a> Numbers<'a> {
    /// Counts through the table once.
    pub fn of(table: &'a Table) -> Self {
        let firsts = table.files().iter().map(|file| file.numbered().map(|(first, _)| first).collect());
        Numbers { table, firsts: firsts.collect() }
    }

    /// What `number` stands for; none where the table has no such number.
    pub fn find(&self, number: u64) -> Option<Line<'a>> {
        let index = self.table.files().partition_point(|file| file.first <= number).checked_sub(1)?;
        let file = &self.table.files()[index];
        let firsts = &self.firsts[index];
        let op = firsts.partition_point(|first| *first <= number).checked_sub(1)?;
        let offset = number - firsts[op];
        (offset < file.ops[op].numbers()).then_some(Line { number, file, op, offset })
    }
}

impl Table {
    /// The numbers of the file at `path`, or of all files in the folder of that name; paths before and after a
    /// rename count alike. Empty where nothing is there.
    pub fn numbers_at(&self, path: &GitPath) -> LineSet {
        let under = |candidate: &GitPath| {
            candidate
                .as_bytes()
                .strip_prefix(path.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let there =
            self.files().iter().filter(|file| under(&file.path) || file.old_path.as_ref().is_some_and(under));
        there.fold(LineSet::default(), |lines, file| lines.union(&file.all()))
    }

    /// The proposed file and its line, from 1, that a number gives; none for numbers that give no single line.
    pub fn proposed_line(&self, number: u64) -> Option<(GitPath, u64)> {
        let line = Numbers::of(self).find(number)?;
        match line.file.ops[line.op] {
            Op::Add { from, .. } | Op::Mutate { from, .. } => {
                Some((line.file.path.clone(), from + line.offset))
            }
            _ => None,
        }
    }

    /// The numbers of `lines` that the table does not have.
    pub fn unknown(&self, lines: &LineSet) -> LineSet {
        // The ends are enough to name: a selection may claim more numbers than could be listed.
        let count = self.count();
        let beyond = lines.ranges().iter().filter(|(_, last)| *last > count);
        LineSet::from_numbers(beyond.flat_map(|(first, last)| [(*first).max(count + 1), *last]))
    }
}

/// The parts of `lines` within the `n` numbers from `first`, as offsets and lengths in order.
pub(super) fn within(lines: &LineSet, first: u64, n: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
    let end = first + n;
    let ranges = lines.ranges();
    let start = ranges.partition_point(|(_, last)| *last < first);
    ranges[start..].iter().take_while(move |(low, _)| *low < end).map(move |(low, high)| {
        let (low, high) = ((*low).max(first), (*high).min(end - 1));
        (low - first, high - low + 1)
    })
}

/// Whether `lines` has `number`, in logarithmic time.
pub(super) fn has(lines: &LineSet, number: u64) -> bool {
    within(lines, number, 1).next().is_some()
}

/// The numbers of `lines` that are in `others` too; both within what a table gives out.
pub(super) fn common(lines: &LineSet, others: &LineSet) -> LineSet {
    let both = lines.ranges().iter().flat_map(|&(low, high)| {
        within(others, low, high - low + 1).flat_map(move |(offset, n)| low + offset..low + offset + n)
    });
    LineSet::from_numbers(both)
}

/// The numbers of `lines`, which are within what a table gives out, that are not in `others`.
pub(super) fn without(lines: &LineSet, others: &LineSet) -> LineSet {
    let numbers = lines.ranges().iter().flat_map(|&(low, high)| low..=high);
    LineSet::from_numbers(numbers.filter(|number| !has(others, *number)))
}

/// The operations of one file with the numbers that they begin at, for as long as they are about lines.
pub(super) fn text_ops(file: &FileLines) -> impl Iterator<Item = (u64, &Op)> {
    file.numbered().filter(|(_, op)| op.is_text())
}
