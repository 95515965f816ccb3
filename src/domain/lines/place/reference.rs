//! A file as it was when some of its lines had been applied, and where the others stand in it.

use std::ops::Range;

use super::CONTEXT;
use super::find::{Found, Interner};
use crate::domain::fact::values::LineSet;
use crate::domain::lines::select::{text_ops, within};
use crate::domain::lines::table::{FileLines, Op};
use crate::domain::lines::text::Lines;
use crate::domain::lines::weave::{Piece, join, weave};

/// The lines that some operations gave, and where each base line and each proposed line is among them.
pub(super) struct Reference {
    pub(super) bytes: Vec<u8>,
    /// For every base line, and behind the last: where it is or would be, behind all that goes in before it.
    slots: Vec<usize>,
    /// What went in: base point, proposed line, place here, how many. In order.
    ins: Vec<(usize, usize, usize, usize)>,
    /// Proposed lines that are here: first, place here, how many. In order of the first.
    puts: Vec<(usize, usize, usize)>,
}

impl Reference {
    pub(super) fn of(base: &Lines, proposed: &Lines, file: &FileLines, applied: &LineSet) -> Self {
        let pieces = weave(base.len(), file, applied);
        let mut slots = vec![0; base.len() + 1];
        let (mut here, mut next) = (0, 0);
        let (mut ins, mut puts) = (Vec::new(), Vec::new());
        for piece in &pieces {
            let start = match piece {
                Piece::Keep(lines) => lines.start,
                Piece::Swap(_, at) | Piece::Add(_, at) | Piece::Moved(_, at, _) => *at,
            };
            // Base lines that went leave their slot where the next piece begins.
            slots[next..start].fill(here);
            next = start;
            match piece {
                Piece::Keep(lines) => {
                    slots[lines.clone()]
                        .iter_mut()
                        .enumerate()
                        .for_each(|(index, slot)| *slot = here + index);
                    next = lines.end;
                }
                Piece::Swap(put, at) => {
                    let taken = &mut slots[*at..*at + put.len()];
                    taken.iter_mut().enumerate().for_each(|(index, slot)| *slot = here + index);
                    next = at + put.len();
                    puts.push((put.start, here, put.len()));
                }
                Piece::Add(put, at) => {
                    ins.push((*at, put.start, here, put.len()));
                    puts.push((put.start, here, put.len()));
                }
                Piece::Moved(block, at, from) => {
                    ins.push((*at, *from, here, block.len()));
                    puts.push((*from, here, block.len()));
                }
            }
            here += piece.len();
        }
        slots[next..].fill(here);
        puts.sort_unstable();
        Reference { bytes: join(&pieces, base, proposed), slots, ins, puts }
    }

    /// Where base line `line` is, or would be if it had not gone.
    pub(super) fn slot(&self, line: usize) -> usize {
        self.slots[line]
    }

    /// Where proposed line `from` would go in before base line `at`, between what is there.
    fn point(&self, at: usize, from: usize) -> usize {
        let behind = self.ins.partition_point(|(point, other, ..)| (*point, *other) < (at, from));
        match self.ins.get(behind) {
            Some((point, _, here, _)) if *point == at => *here,
            _ => self.slots[at],
        }
    }

    /// Where proposed line `from` is; it must have been applied.
    pub(super) fn put(&self, from: usize) -> Option<usize> {
        let index = self.puts.partition_point(|(first, ..)| *first <= from).checked_sub(1)?;
        let (first, here, n) = self.puts[index];
        (from - first < n).then_some(here + from - first)
    }
}

/// Accepted lines that stand or fall together: as many neighbours within one operation as were chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// Its first number and how many it has.
    pub(super) first: u64,
    pub(super) count: u64,
    /// The operation cut down to the unit's lines, still in terms of the proposal.
    pub(super) op: Op,
    /// The reference lines that it takes out.
    pub(super) out: Option<Range<usize>>,
    /// Before which reference line it puts something in.
    pub(super) into: Option<usize>,
}

impl Unit {
    pub(super) fn numbers(&self) -> LineSet {
        LineSet::run(self.first, self.count)
    }
}

/// The units of `chosen`, none of which was applied in `reference`, in order.
pub(super) fn units(file: &FileLines, chosen: &LineSet, reference: &Reference) -> Vec<Unit> {
    let mut units = Vec::new();
    for (first, op) in text_ops(file) {
        for (offset, count) in within(chosen, first, op.numbers()) {
            let op = match *op {
                Op::Add { at, from, .. } => Op::Add { at, from: from + offset, n: count },
                Op::Remove { at, .. } => Op::Remove { at: at + offset, n: count },
                Op::Mutate { at, from, .. } => Op::Mutate { at: at + offset, from: from + offset, n: count },
                whole => whole,
            };
            let out = op.takes().map(|(at, n)| {
                let start = reference.slot(at as usize - 1);
                start..start + n as usize
            });
            let into = op.point().zip(op.gives());
            let into = into.map(|(at, (from, _))| reference.point(at as usize - 1, from as usize - 1));
            units.push(Unit { first: first + offset, count, op, out, into });
        }
    }
    units
}

/// The lines from three before `lines` to three behind, and how many come before.
pub(super) fn around(ids: &[u32], lines: Range<usize>) -> (&[u32], usize) {
    let before = lines.start.min(CONTEXT);
    let end = (lines.end + CONTEXT).min(ids.len());
    (&ids[lines.start - before..end], before)
}

/// A place of `found` lines that were searched with `before` lines in front of them.
pub(super) fn behind(found: Found, before: usize) -> Found {
    match found {
        Found::Once(at) => Found::Once(at + before),
        other => other,
    }
}

/// Numbers of lines for a file and a reference of it.
pub(super) fn ids<'a>(interner: &mut Interner<'a>, lines: &Lines<'a>) -> Vec<u32> {
    interner.ids((0..lines.len()).map(|index| lines.get(index)))
}
