//! Which decisions about one revision still stand for the next.

use std::collections::BTreeMap;

use super::change::{Change, content};
use super::select::within;
use super::table::{FileLines, Op};
use super::text::Lines;
use super::weave::check_bounds;
use super::{Blobs, LinesError};
use crate::domain::fact::values::{GitPath, LineSet};

/// Pairs of numbers, of an earlier revision and of a later one, that stand for the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carried {
    /// First number before, first number after, how many; in order of both.
    ranges: Vec<(u64, u64, u64)>,
}

impl Carried {
    /// The first `count` numbers, each for itself.
    #[cfg(test)]
    pub fn same(count: u64) -> Self {
        Carried { ranges: vec![(1, 1, count)] }
    }

    /// The numbers of the later revision that `lines` of the earlier one stand for. What has none is left out, and
    /// every number of the later revision that is not here is pending.
    pub fn forward(&self, lines: &LineSet) -> LineSet {
        let new = self.ranges.iter().flat_map(|&(before, after, n)| {
            within(lines, before, n).flat_map(move |(offset, n)| after + offset..after + offset + n)
        });
        LineSet::from_numbers(new)
    }

    /// The numbers of the later revision that have one in the earlier.
    pub fn carried(&self) -> LineSet {
        LineSet::from_numbers(self.ranges.iter().flat_map(|&(_, after, n)| after..after + n))
    }
}

/// Finds what carries over from `old` to `new`.
///
/// A decision does so only where the file's base blob is the same, at the same path of the base, and the complete
/// ordered run of operations at its place is identical. A run is every operation on lines that touches another
/// without an unchanged base line in between; a move ties the runs at both its places into one. The whole-file
/// operations of a file are a run of their own, except that a created file is one run altogether.
///
/// # Errors
/// When content is missing.
pub fn carry(old: &Change, new: &Change, blobs: &dyn Blobs) -> Result<Carried, LinesError> {
    let before = old.table.files();
    let from: BTreeMap<&GitPath, &FileLines> =
        before.iter().filter_map(|file| Some((file.base_path()?, file))).collect();
    let created: BTreeMap<&GitPath, &FileLines> =
        before.iter().filter(|file| file.base.is_none()).map(|file| (&file.path, file)).collect();
    let mut ranges = Vec::new();
    for theirs in new.table.files() {
        let ours = match theirs.base_path() {
            Some(path) => from.get(path).filter(|ours| ours.base == theirs.base),
            None => created.get(&theirs.path),
        };
        if let Some(ours) = ours {
            file(old, ours, new, theirs, blobs, &mut ranges)?;
        }
    }
    // A file may come before another in one revision and behind it in the next: renames change the order.
    ranges.sort_unstable();
    Ok(Carried { ranges })
}

/// Adds what carries over in one file, both sides of which come from the same base.
fn file(
    old: &Change,
    ours: &FileLines,
    new: &Change,
    theirs: &FileLines,
    blobs: &dyn Blobs,
    ranges: &mut Vec<(u64, u64, u64)>,
) -> Result<(), LinesError> {
    let (our_sides, their_sides) = (old.sides(ours)?, new.sides(theirs)?);
    let created = ours.base.is_none();
    let whole = |file: &FileLines| file.ops.iter().filter(|op| !op.is_text()).copied().collect::<Vec<Op>>();
    let has = |wanted: fn(&Op) -> bool| ours.ops.iter().any(wanted);
    let same_head = whole(ours) == whole(theirs)
        && (!has(|op| matches!(op, Op::Rename)) || ours.path == theirs.path)
        && (!has(|op| matches!(op, Op::Bytes)) || ours.proposed == theirs.proposed)
        && (!has(|op| matches!(op, Op::Create | Op::Type)) || our_sides.1 == their_sides.1);
    if created {
        // Equal blobs of equal lines: the run is the whole file.
        if same_head && ours.ops == theirs.ops {
            ranges.push((ours.first, theirs.first, ours.count()));
        }
        return Ok(());
    }
    let head = whole(ours).len() as u64;
    if same_head && head > 0 {
        ranges.push((ours.first, theirs.first, head));
    }
    if !ours.ops.iter().any(Op::is_text) || !theirs.ops.iter().any(Op::is_text) {
        return Ok(());
    }
    let (our_content, their_content) = (content(our_sides.1, blobs)?, content(their_sides.1, blobs)?);
    let (our_lines, their_lines) = (Lines::of(&our_content), Lines::of(&their_content));
    // The base needs no look: its lines are bounded by what both changes were checked against.
    check_bounds(ours, usize::MAX - 1, our_lines.len())?;
    check_bounds(theirs, usize::MAX - 1, their_lines.len())?;
    let our_runs = runs(ours);
    let by_place: BTreeMap<u64, &Run> = our_runs.iter().map(|run| (run.place, run)).collect();
    for run in runs(theirs) {
        let Some(before) = by_place.get(&run.place) else { continue };
        if same_run(ours, before, &our_lines, theirs, &run, &their_lines) {
            for (&(our_op, our_first), &(_, their_first)) in before.ops.iter().zip(&run.ops) {
                ranges.push((our_first, their_first, ours.ops[our_op].numbers()));
            }
        }
    }
    Ok(())
}

/// Operations that stand or fall together.
struct Run {
    /// The first point that it touches: before which base line.
    place: u64,
    /// Which operations of the file, in order, each with its first number.
    ops: Vec<(usize, u64)>,
}

/// Groups the operations on lines of a file.
fn runs(file: &FileLines) -> Vec<Run> {
    // Points that an operation touches: taking lines a to b touches the point before a to that behind b.
    let mut touched: Vec<(u64, u64, usize)> = Vec::new();
    for (index, op) in file.ops.iter().enumerate() {
        touched.extend(op.takes().map(|(at, n)| (at, at + n, index)));
        touched.extend(op.point().map(|at| (at, at, index)));
    }
    touched.sort_unstable();
    // Neighbours that touch are one place; a move's two places are one run.
    let mut run_of: Vec<Option<usize>> = vec![None; file.ops.len()];
    let mut joined: Vec<usize> = Vec::new();
    fn root(joined: &mut [usize], mut run: usize) -> usize {
        while joined[run] != run {
            joined[run] = joined[joined[run]];
            run = joined[run];
        }
        run
    }
    let mut reach: Option<u64> = None;
    for &(from, to, index) in &touched {
        if reach.is_none_or(|reach| from > reach) {
            joined.push(joined.len());
        }
        reach = reach.max(Some(to));
        let here = joined.len() - 1;
        match run_of[index] {
            None => run_of[index] = Some(here),
            Some(other) => {
                let (a, b) = (root(&mut joined, here), root(&mut joined, other));
                joined[a.max(b)] = a.min(b);
            }
        }
    }
    let mut runs: BTreeMap<usize, Run> = BTreeMap::new();
    for &(from, _, index) in &touched {
        if let Some(run) = run_of[index] {
            // Touched places come in order, so the first one seen is the first of its run.
            runs.entry(root(&mut joined, run)).or_insert(Run { place: from, ops: Vec::new() });
        }
    }
    for (index, (first, _)) in file.numbered().enumerate() {
        if let Some(run) = run_of[index]
            && let Some(run) = runs.get_mut(&root(&mut joined, run))
        {
            run.ops.push((index, first));
        }
    }
    runs.into_values().collect()
}

/// Whether two runs do the same to the same base: equal operations in equal order, putting in equal bytes, and
/// what they put in stands in equal order too.
fn same_run(
    ours: &FileLines,
    our_run: &Run,
    our_lines: &Lines,
    theirs: &FileLines,
    their_run: &Run,
    their_lines: &Lines,
) -> bool {
    let plain = |op: &Op| match *op {
        Op::Add { at, n, .. } => Op::Add { at, from: 0, n },
        Op::Mutate { at, n, .. } => Op::Mutate { at, from: 0, n },
        Op::Move { at, n, to, .. } => Op::Move { at, n, to, from: 0 },
        other => other,
    };
    let bytes = |op: &Op, lines: &Lines| -> Option<Vec<u8>> {
        // What a move puts in is the base's.
        let (from, n) = op.gives().filter(|_| !matches!(op, Op::Move { .. }))?;
        Some(lines.span(from as usize - 1..(from + n) as usize - 1).to_vec())
    };
    let order = |file: &FileLines, run: &Run| {
        let mut order: Vec<(u64, usize)> = run
            .ops
            .iter()
            .enumerate()
            .filter_map(|(index, (op, _))| Some((file.ops[*op].gives()?.0, index)))
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, index)| index).collect::<Vec<usize>>()
    };
    our_run.ops.len() == their_run.ops.len()
        && our_run.ops.iter().zip(&their_run.ops).all(|((our, _), (their, _))| {
            let (our, their) = (&ours.ops[*our], &theirs.ops[*their]);
            plain(our) == plain(their) && bytes(our, our_lines) == bytes(their, their_lines)
        })
        && order(ours, our_run) == order(theirs, their_run)
}
