//! Which lines stay: matching two files, and the gaps between what matches.

use std::collections::HashMap;
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::domain::lines::text::Lines;

/// The most lines, both sides together, that Myers' algorithm is given at once. Its cost per line is bounded by
/// this, so the whole stays linear.
pub(super) const MYERS_LINES: usize = 4096;
/// How often a region is split again at lines that stand once on both sides.
pub(super) const DEPTH: u32 = 8;

/// Both files with a small number for each different line.
pub(super) struct Ids {
    pub(super) old: Vec<u32>,
    pub(super) new: Vec<u32>,
    kinds: usize,
}

impl Ids {
    pub(super) fn of(old: &Lines, new: &Lines) -> Self {
        let mut known: HashMap<&[u8], u32> = HashMap::new();
        let mut number = |line| {
            let next = known.len() as u32;
            *known.entry(line).or_insert(next)
        };
        let (old, new) = (old.iter().map(&mut number).collect(), new.iter().map(&mut number).collect());
        Ids { old, new, kinds: known.len() }
    }
}

/// Base lines that go and proposed lines that come between two places where both files agree. One of the ranges
/// may be empty. Counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// The gaps in order, at least one matching line between any two.
pub(super) fn gaps(ids: &Ids) -> Vec<Gap> {
    let mut matches = Matches {
        ids,
        counts: vec![[0; 2]; ids.kinds],
        places: vec![[0; 2]; ids.kinds],
        found: Vec::new(),
        regions: vec![(0..ids.old.len(), 0..ids.new.len(), 0)],
    };
    while let Some((old, new, depth)) = matches.regions.pop() {
        matches.region(old, new, depth);
    }
    let mut found = matches.found;
    found.push((ids.old.len(), ids.new.len(), 0));
    found.sort_unstable();
    let mut gaps = Vec::new();
    let (mut old, mut new) = (0, 0);
    for (old_start, new_start, length) in found {
        if old < old_start || new < new_start {
            gaps.push(Gap { old: old..old_start, new: new..new_start });
        }
        (old, new) = (old_start + length, new_start + length);
    }
    gaps
}

struct Matches<'a> {
    ids: &'a Ids,
    /// How often each line stands in the region at hand, old and new, and where it was seen last.
    counts: Vec<[u32; 2]>,
    places: Vec<[usize; 2]>,
    /// Matching blocks: old start, new start, length.
    found: Vec<(usize, usize, usize)>,
    regions: Vec<(Range<usize>, Range<usize>, u32)>,
}

impl Matches<'_> {
    fn region(&mut self, mut old: Range<usize>, mut new: Range<usize>, depth: u32) {
        let (a, b) = (&self.ids.old, &self.ids.new);
        let same = a[old.clone()].iter().zip(&b[new.clone()]).take_while(|(x, y)| x == y).count();
        if same > 0 {
            self.found.push((old.start, new.start, same));
            (old.start, new.start) = (old.start + same, new.start + same);
        }
        let ends = a[old.clone()].iter().rev().zip(b[new.clone()].iter().rev());
        let same = ends.take_while(|(x, y)| x == y).count();
        if same > 0 {
            (old.end, new.end) = (old.end - same, new.end - same);
            self.found.push((old.end, new.end, same));
        }
        if old.is_empty() || new.is_empty() {
            return;
        }
        if old.len() + new.len() <= MYERS_LINES {
            for op in capture_diff_slices(Algorithm::Myers, &a[old.clone()], &b[new.clone()]) {
                if let DiffOp::Equal { old_index, new_index, len } = op {
                    self.found.push((old.start + old_index, new.start + new_index, len));
                }
            }
        } else if depth < DEPTH {
            self.split(old, new, depth);
        }
    }

    /// Splits a region at lines that stand in it once on both sides, the longest row of them that both sides have
    /// in one order.
    fn split(&mut self, old: Range<usize>, new: Range<usize>, depth: u32) {
        let (a, b) = (&self.ids.old, &self.ids.new);
        for (side, range, ids) in [(0, &old, a), (1, &new, b)] {
            for at in range.clone() {
                self.counts[ids[at] as usize][side] += 1;
                self.places[ids[at] as usize][side] = at;
            }
        }
        let once: Vec<(usize, usize)> = old
            .clone()
            .filter(|at| self.counts[a[*at] as usize] == [1, 1])
            .map(|at| (at, self.places[a[at] as usize][1]))
            .collect();
        for id in a[old.clone()].iter().chain(&b[new.clone()]) {
            self.counts[*id as usize] = [0, 0];
        }
        let anchors = longest_rising(&once);
        let Some(&(first_old, first_new)) = anchors.first() else { return };
        self.regions.push((old.start..first_old, new.start..first_new, depth + 1));
        for (index, &(from_old, from_new)) in anchors.iter().enumerate() {
            let (to_old, to_new) = anchors.get(index + 1).copied().unwrap_or((old.end, new.end));
            // The anchor itself is the first line of its region and found there as a common beginning.
            self.regions.push((from_old..to_old, from_new..to_new, depth + 1));
        }
    }
}

/// The longest row of pairs, given by rising first value, whose second values rise too (patience sorting).
fn longest_rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut tops: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (index, pair) in pairs.iter().enumerate() {
        let pile = tops.partition_point(|top| pairs[*top].1 < pair.1);
        before.push(pile.checked_sub(1).map(|below| tops[below]));
        if pile == tops.len() { tops.push(index) } else { tops[pile] = index }
    }
    let mut row: Vec<(usize, usize)> = std::iter::successors(tops.last().copied(), |index| before[*index])
        .map(|index| pairs[index])
        .collect();
    row.reverse();
    row
}
