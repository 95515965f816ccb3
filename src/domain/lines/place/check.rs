//! Judging a placed table that somebody else made.

use std::collections::BTreeSet;
use std::ops::Range;

use super::find::{Finder, Found, Interner};
use super::reference::{Reference, Unit, around, behind, ids, units};
use super::{Ground, Request, file_of};
use crate::domain::fact::values::LineSet;
use crate::domain::lines::apply::known;
use crate::domain::lines::change::content;
use crate::domain::lines::select::has;
use crate::domain::lines::table::{FileLines, Op, Table, TableError};
use crate::domain::lines::text::{Lines, terminator};
use crate::domain::lines::weave::check_bounds;
use crate::domain::lines::{Blobs, Change, File, Files, LinesError};

/// Whether `placed` is what the accepted lines of `request` come to on the parent's tree, and leads to `result`.
///
/// It is if it is a valid table between both trees, and each of its operations is in the same file as the accepted
/// one (or in its rename) and of the same kind, takes out and puts in the same bytes, keeps the accepted order, and
/// stands at the only place in the file that has the nearest three reference lines on each side unchanged around
/// it (fewer at the reference's ends). Accepted lines may be left out: the caller compares
/// `from_lines` with what an entry claims.
///
/// # Errors
/// [`LinesError::Table`] names the file and operation of the placed table that is not right.
pub fn placed_is_right(
    request: &Request,
    placed: &Table,
    result: &Files,
    blobs: &dyn Blobs,
) -> Result<(), LinesError> {
    known(&request.change, request.accepted)?;
    known(&request.change, request.applied)?;
    Change::check(placed, request.parent, result, blobs)?;
    let ground = Ground::of(request);
    let mut seen = BTreeSet::new();
    for file in placed.files() {
        let bad = |problem: &str| TableError::file(&file.path, problem);
        let from = file.from_lines.as_deref().unwrap_or_default();
        if let Some(number) =
            from.iter().find(|number| !has(request.accepted, **number) || has(request.applied, **number))
        {
            return Err(bad(&format!("line {number} was not accepted, or was applied before")).into());
        }
        let index = from.first().and_then(|number| file_of(&request.change, *number));
        let Some(index) = index else { return Err(bad("no accepted file").into()) };
        let accepted = &request.change.table().files()[index];
        if from.last().is_some_and(|last| *last >= accepted.first + accepted.count()) {
            return Err(bad("lines of two accepted files").into());
        }
        if !seen.insert(index) {
            return Err(bad("lines of an accepted file that came before").into());
        }
        // Where this file stands is what the ground says; a file still to be created stands nowhere.
        let path = ground.0[index].map(|(path, _)| path);
        if file.base_path() != path || path.is_none() && file.path != accepted.path {
            return Err(bad("not the file that the lines were accepted for").into());
        }
        if path.is_none() && !request.still_absent(accepted) {
            return Err(bad("creates a file that was there").into());
        }
        Judging { request, accepted, file, result, blobs }.judge(from)?;
    }
    Ok(())
}

struct Judging<'r, 'a> {
    request: &'r Request<'a>,
    /// The accepted file.
    accepted: &'r FileLines,
    /// The placed one.
    file: &'r FileLines,
    result: &'r Files,
    blobs: &'r dyn Blobs,
}

/// One number of a file: its operation, and which line of it.
#[derive(Clone, Copy)]
struct Numbered {
    index: usize,
    op: Op,
    offset: u64,
}

fn numbered(file: &FileLines) -> impl Iterator<Item = Numbered> {
    file.ops
        .iter()
        .enumerate()
        .flat_map(|(index, op)| (0..op.numbers()).map(move |offset| Numbered { index, op: *op, offset }))
}

impl Judging<'_, '_> {
    fn bad(&self, index: usize, problem: &str) -> LinesError {
        TableError::op(&self.file.path, index, problem).into()
    }

    fn judge(&self, from: &[u64]) -> Result<(), LinesError> {
        let accepted: Vec<(u64, Op)> = self.accepted.numbered().map(|(first, op)| (first, *op)).collect();
        let placed: Vec<Numbered> = numbered(self.file).collect();
        if self.file.base.is_none() {
            let mode = self.result.get(&self.file.path).map(|file| file.mode);
            if mode != self.request.change.proposed.get(&self.accepted.path).map(|file| file.mode) {
                return Err(self.bad(0, "created with another mode"));
            }
        }
        for (placed, number) in placed.iter().zip(from) {
            let behind = accepted.partition_point(|(first, _)| first <= number);
            let Some((_, op)) = behind.checked_sub(1).map(|index| accepted[index]) else {
                return Err(self.bad(placed.index, "no such accepted line"));
            };
            if std::mem::discriminant(&placed.op) != std::mem::discriminant(&op) {
                return Err(self.bad(placed.index, "another kind of operation than was accepted"));
            }
            if !op.is_text() {
                self.whole(placed, &op)?;
            }
        }
        if self.accepted.ops.iter().any(Op::is_text) { self.text(&placed, from) } else { Ok(()) }
    }

    /// An operation on the whole file.
    fn whole(&self, placed: &Numbered, op: &Op) -> Result<(), LinesError> {
        let (before, after) = self.request.change.sides(self.accepted)?;
        let there = self.file.base_path().and_then(|path| self.request.parent.get(path)).copied();
        let then = self.result.get(&self.file.path).copied();
        let same = |one: Option<File>, other: Option<File>| {
            one.zip(other).is_some_and(|(one, other)| one.oid == other.oid && one.mode.same_type(other.mode))
        };
        let right = match op {
            Op::Create if self.accepted.ops.len() == 1 => then == after,
            // Of a file that has lines, none of them is the empty file, and never content taken whole.
            Op::Create if self.file.ops.len() == 1 => content(then, self.blobs)?.is_empty(),
            Op::Create => true,
            Op::Delete => there == before,
            Op::Type => there == before && then == after,
            Op::Bytes => same(there, before) && same(then, after),
            Op::Rename => self.file.path == self.accepted.path,
            _ => placed.op == *op,
        };
        if right { Ok(()) } else { Err(self.bad(placed.index, "does something else than was accepted")) }
    }

    /// Operations on lines, unit by unit.
    fn text(&self, placed: &[Numbered], from: &[u64]) -> Result<(), LinesError> {
        let (before, after) = self.request.change.sides(self.accepted)?;
        let (old, new) = (content(before, self.blobs)?, content(after, self.blobs)?);
        let there = self.file.base_path().and_then(|path| self.request.parent.get(path)).copied();
        let (now, then) =
            (content(there, self.blobs)?, content(self.result.get(&self.file.path).copied(), self.blobs)?);
        let (old, new, now, then) = (Lines::of(&old), Lines::of(&new), Lines::of(&now), Lines::of(&then));
        check_bounds(self.accepted, old.len(), new.len())?;
        let reference = Reference::of(&old, &new, self.accepted, &self.request.done(self.accepted));
        let lines = Lines::of(&reference.bytes);
        let unmoved = lines.bytes() == now.bytes();
        let mut interner = Interner::default();
        let finder = Finder::of(ids(&mut interner, &now));
        let ids = ids(&mut interner, &lines);
        let mut order: Vec<(u64, u64, usize)> = Vec::new();
        for unit in units(self.accepted, &LineSet::from_numbers(from.iter().copied()), &reference) {
            let start = from.partition_point(|number| *number < unit.first);
            let rows = &placed[start..start + unit.count as usize];
            let (out, into) = self.spot(rows, &unit)?;
            let index = rows[0].index;
            for (mine, theirs) in [(&unit.out, &out), (&unit.into.map(|at| at..at), &into.map(|at| at..at))] {
                let (Some(mine), Some(theirs)) = (mine, theirs) else { continue };
                let (pattern, in_front) = around(&ids, mine.clone());
                let only = match behind(finder.find(pattern), in_front) {
                    _ if unmoved => mine.start == theirs.start,
                    Found::Once(at) => at == theirs.start,
                    Found::Nowhere | Found::Often => false,
                };
                if !only {
                    return Err(self.bad(index, "not at the only place with the accepted lines around it"));
                }
                if ids.get(mine.clone()) != finder.lines().get(theirs.clone()) {
                    return Err(self.bad(index, "takes out other lines than were accepted"));
                }
            }
            self.puts(rows, &unit, &new, &then, terminator(now.bytes()), &mut order)?;
        }
        order.sort_unstable();
        if let Some(pair) = order.windows(2).find(|pair| pair[0].1 >= pair[1].1) {
            return Err(self.bad(pair[1].2, "puts lines in another order than was accepted"));
        }
        Ok(())
    }

    /// Which of the parent's lines the rows of a unit take out together, and where they put in. The rows are as
    /// many as the unit has numbers and of its kind.
    fn spot(
        &self,
        rows: &[Numbered],
        unit: &Unit,
    ) -> Result<(Option<Range<usize>>, Option<usize>), LinesError> {
        let first = rows[0];
        if let Op::Move { at, n, to, .. } = first.op {
            let start = at as usize - 1;
            if unit.out.as_ref().map(Range::len) != Some(n as usize) {
                return Err(self.bad(first.index, "moves another number of lines than was accepted"));
            }
            return Ok((Some(start..start + n as usize), Some(to as usize - 1)));
        }
        let line = |row: &Numbered| row.op.takes().map(|(at, _)| at + row.offset);
        for (index, row) in (0..).zip(rows) {
            let together = row.op.point() == first.op.point()
                && line(row) == line(&first).map(|at| at + index)
                && put(row) == put(&first).map(|from| from + index);
            if !together {
                return Err(self.bad(row.index, "lines that were accepted as neighbours are apart"));
            }
        }
        let out = line(&first).map(|at| at as usize - 1);
        Ok((out.map(|at| at..at + rows.len()), first.op.point().map(|at| at as usize - 1)))
    }

    /// What the rows of a unit put in, and notes in which order.
    fn puts(
        &self,
        rows: &[Numbered],
        unit: &Unit,
        new: &Lines,
        then: &Lines,
        terminator: &[u8],
        order: &mut Vec<(u64, u64, usize)>,
    ) -> Result<(), LinesError> {
        let Some((accepted, _)) = unit.op.gives() else { return Ok(()) };
        for (index, row) in (0..).zip(rows) {
            let Some(from) = put(row) else { continue };
            order.push((from, accepted + index, row.index));
            if matches!(row.op, Op::Move { .. }) {
                continue;
            }
            let (wanted, given) = (new.get((accepted + index) as usize - 1), then.get(from as usize - 1));
            // The last line of a file has to get a terminator where others follow it, and only there.
            let followed = from < then.len() as u64;
            let completed = !wanted.ends_with(b"\n") && given.strip_suffix(terminator) == Some(wanted);
            let same = wanted == given || followed && completed;
            if !same {
                return Err(self.bad(row.index, "puts in other lines than were accepted"));
            }
        }
        Ok(())
    }
}

/// The proposed line that a row gives.
fn put(row: &Numbered) -> Option<u64> {
    row.op.gives().map(|(from, _)| from + row.offset)
}
