//! Chosen operations on lines, woven into the base: what stands where.

use std::ops::Range;

use super::select::within;
use super::table::{FileLines, Op, TableError};
use super::text::{Joiner, Lines};
use crate::domain::fact::values::LineSet;

/// Neighbouring lines of a result, counted from 0 where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Base lines that stay.
    Keep(Range<usize>),
    /// Proposed lines that take the place of as many base lines, from the second value on.
    Swap(Range<usize>, usize),
    /// Proposed lines that go in before the base line of the second value.
    Add(Range<usize>, usize),
    /// Base lines that came here, before the base line of the second value; the third is where the block begins in
    /// the proposed file.
    Moved(Range<usize>, usize, usize),
}

impl Piece {
    /// How many lines it has.
    pub(super) fn len(&self) -> usize {
        match self {
            Piece::Keep(lines) | Piece::Swap(lines, _) | Piece::Add(lines, _) | Piece::Moved(lines, ..) => {
                lines.len()
            }
        }
    }
}

/// Refuses lines that the two files do not have, so that nothing below has to ask.
pub(super) fn check_bounds(file: &FileLines, base: usize, proposed: usize) -> Result<(), TableError> {
    for (index, op) in file.ops.iter().enumerate() {
        let beyond = |range: Option<(u64, u64)>, count: usize| {
            range.is_some_and(|(first, n)| first + n - 1 > count as u64)
        };
        if beyond(op.takes(), base) || op.point().is_some_and(|at| at > base as u64 + 1) {
            return Err(TableError::op(
                &file.path,
                index,
                format!("beyond the {base} lines of the base file"),
            ));
        }
        if beyond(op.gives(), proposed) {
            let problem = format!("beyond the {proposed} lines of the proposed file");
            return Err(TableError::op(&file.path, index, problem));
        }
    }
    Ok(())
}

/// What stands where with the chosen numbers of `file`. Operations are in their order and within bounds.
pub(super) fn weave(base_lines: usize, file: &FileLines, chosen: &LineSet) -> Vec<Piece> {
    let at_zero = |line: u64, offset: u64, n: u64| {
        let first = (line - 1 + offset) as usize;
        first..first + n as usize
    };
    // What goes in, by point and proposed line; what goes out or is replaced, by base line.
    let mut ins: Vec<(usize, u64, Piece)> = Vec::new();
    let mut outs: Vec<(Range<usize>, Option<Range<usize>>)> = Vec::new();
    for (first, op) in super::select::text_ops(file) {
        for (offset, n) in within(chosen, first, op.numbers()) {
            match *op {
                Op::Add { at, from, .. } => {
                    let point = at as usize - 1;
                    ins.push((point, from + offset, Piece::Add(at_zero(from, offset, n), point)));
                }
                Op::Remove { at, .. } => outs.push((at_zero(at, offset, n), None)),
                Op::Mutate { at, from, .. } => {
                    outs.push((at_zero(at, offset, n), Some(at_zero(from, offset, n))));
                }
                Op::Move { at, n, to, from } => {
                    let (block, point) = (at_zero(at, 0, n), to as usize - 1);
                    ins.push((point, from, Piece::Moved(block.clone(), point, from as usize - 1)));
                    outs.push((block, None));
                }
                _ => {}
            }
        }
    }
    ins.sort_by_key(|(point, from, _)| (*point, *from));
    let mut pieces = Vec::new();
    let mut next = 0;
    let mut keep = |pieces: &mut Vec<Piece>, to: usize, resume: usize| {
        if next < to {
            pieces.push(Piece::Keep(next..to));
        }
        next = next.max(resume);
    };
    let mut outs = outs.into_iter().peekable();
    for (point, _, piece) in ins {
        while let Some((out, put)) = outs.next_if(|(out, _)| out.start < point) {
            keep(&mut pieces, out.start, out.end);
            pieces.extend(put.map(|put| Piece::Swap(put, out.start)));
        }
        keep(&mut pieces, point, point);
        pieces.push(piece);
    }
    for (out, put) in outs {
        keep(&mut pieces, out.start, out.end);
        pieces.extend(put.map(|put| Piece::Swap(put, out.start)));
    }
    keep(&mut pieces, base_lines, base_lines);
    pieces
}

/// The bytes of what was woven.
pub(super) fn join(pieces: &[Piece], base: &Lines, proposed: &Lines) -> Vec<u8> {
    let mut joiner = Joiner::new(base.bytes());
    for piece in pieces {
        joiner.push(match piece {
            Piece::Keep(lines) | Piece::Moved(lines, ..) => base.span(lines.clone()),
            Piece::Swap(lines, _) | Piece::Add(lines, _) => proposed.span(lines.clone()),
        });
    }
    joiner.finish()
}
