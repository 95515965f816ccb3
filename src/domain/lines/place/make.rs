//! Finding where accepted lines belong, and the placed table that comes of it.

use std::collections::BTreeSet;
use std::ops::Range;

use super::find::{Finder, Found, Interner};
use super::reference::{Reference, Unit, around, behind, ids, units};
use super::{Conflict, Ground, Placing, Request, Why};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::Oid;
use crate::domain::lines::apply::{Content, Written, known, takes};
use crate::domain::lines::change::content;
use crate::domain::lines::path::file_above;
use crate::domain::lines::rules::in_order;
use crate::domain::lines::select::{common, has};
use crate::domain::lines::table::{FileLines, Op, Table};
use crate::domain::lines::text::Lines;
use crate::domain::lines::weave::{Piece, check_bounds, join, weave};
use crate::domain::lines::{Blobs, Edits, File, LinesError};

/// Places accepted lines on the parent's tree, each by itself: those that no longer fit are left out and named.
/// `id` gives the object id that a blob of some bytes has or would have.
///
/// The table passes [`super::placed_is_right`], and all of it applied to the parent gives the edits.
///
/// # Errors
/// For numbers that the proposal does not have, and for missing content. Lines that do not fit are no error.
pub fn place(request: &Request, id: &dyn Fn(&[u8]) -> Oid, blobs: &dyn Blobs) -> Result<Placing, LinesError> {
    known(&request.change, request.accepted)?;
    known(&request.change, request.applied)?;
    let ground = Ground::of(request);
    let blocked = blocked(request, &ground);
    let mut placed_files = Vec::new();
    let mut making =
        Making { request, id, blobs, there: Vec::new(), conflicts: Vec::new(), edits: Edits::new() };
    for (index, file) in request.change.table().files().iter().enumerate() {
        let wanted = request.wanted(file);
        if !wanted.is_empty() {
            let file = making.file(file, &wanted, ground.0[index], blocked.contains(&index))?;
            placed_files.extend(file);
        }
    }
    placed_files.sort_by(|one, other| one.path.cmp(&other.path));
    let mut next = 1;
    for file in &mut placed_files {
        file.first = next;
        next += file.count();
    }
    let placed = placed_files.iter().flat_map(|file| file.from_lines.iter().flatten().copied());
    let placed = LineSet::from_numbers(placed);
    let Making { there, mut conflicts, edits, .. } = making;
    conflicts.sort_by_key(|conflict| conflict.lines.ranges().first().copied());
    let there = LineSet::from_numbers(there);
    Ok(Placing { table: Table::new_placed(placed_files)?, edits, placed, there, conflicts })
}

/// The files that cannot arrive at their proposed path, as something that stays is in the way.
fn blocked(request: &Request, ground: &Ground) -> BTreeSet<usize> {
    let files = request.change.table().files();
    let mut leaving: BTreeSet<&GitPath> = BTreeSet::new();
    let mut arriving: Vec<usize> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        match ground.0[index] {
            None if request.still_absent(file) => arriving.push(index),
            Some((path, there)) => {
                let takes =
                    |wanted| takes(file, request.accepted, wanted) && !takes(file, request.applied, wanted);
                if takes(|op| matches!(op, Op::Rename)) && path != &file.path {
                    leaving.insert(path);
                    arriving.push(index);
                }
                if takes(|op| matches!(op, Op::Delete)) && Some(&there) == request.change.base.get(path) {
                    leaving.insert(path);
                }
            }
            None => {}
        }
    }
    let mut blocked = BTreeSet::new();
    loop {
        let in_the_way = |path: &GitPath| {
            let stays = |path: &GitPath| !leaving.contains(path);
            let folder = GitPath::new([path.as_bytes(), b"/"].concat());
            let below = request.parent.range(folder.clone()..).map(|(path, _)| path);
            request.parent.contains_key(path) && stays(path)
                || file_above(request.parent, path).is_some_and(stays)
                || below.take_while(|path| path.as_bytes().starts_with(folder.as_bytes())).any(stays)
        };
        let (stuck, free): (Vec<usize>, Vec<usize>) =
            arriving.iter().partition(|index| in_the_way(&files[**index].path));
        if stuck.is_empty() {
            return blocked;
        }
        for index in &stuck {
            if let Some((path, _)) = ground.0[*index] {
                leaving.remove(path);
            }
        }
        blocked.extend(stuck);
        arriving = free;
    }
}

/// A unit and the parent's lines that it takes out and goes in before.
struct Spot {
    unit: Unit,
    out: Option<Range<usize>>,
    into: Option<usize>,
}

/// What became of the lines of one file.
struct Woven {
    ops: Vec<Op>,
    numbers: Vec<u64>,
    bytes: Vec<u8>,
}

struct Making<'r, 'a> {
    request: &'r Request<'a>,
    id: &'r dyn Fn(&[u8]) -> Oid,
    blobs: &'r dyn Blobs,
    there: Vec<u64>,
    conflicts: Vec<Conflict>,
    edits: Edits,
}

impl Making<'_, '_> {
    fn conflict(&mut self, file: &FileLines, lines: LineSet, why: Why) {
        if !lines.is_empty() {
            self.conflicts.push(Conflict { path: file.path.clone(), lines, why });
        }
    }

    fn already(&mut self, lines: &LineSet) {
        self.there.extend(lines.ranges().iter().flat_map(|&(low, high)| low..=high));
    }

    /// One file's part of the placed table; none where no line of it is placed.
    fn file(
        &mut self,
        file: &FileLines,
        wanted: &LineSet,
        ground: Option<(&GitPath, File)>,
        blocked: bool,
    ) -> Result<Option<FileLines>, LinesError> {
        let sides = self.request.change.sides(file)?;
        match (sides, ground) {
            ((None, Some(after)), _) if self.request.still_absent(file) => {
                self.created(file, wanted, after, ground, blocked)
            }
            (_, None) => {
                if file.ops == [Op::Delete] {
                    self.already(wanted);
                } else {
                    self.conflict(file, wanted.clone(), Why::Gone);
                }
                Ok(None)
            }
            ((Some(before), None), Some((path, there))) => {
                if there != before {
                    self.conflict(file, wanted.clone(), Why::Changed);
                    return Ok(None);
                }
                self.edits.entry(path.clone()).or_insert(None);
                Ok(Some(placed(path, None, Some(there.oid), None, vec![Op::Delete], vec![file.first])))
            }
            (_, Some((path, there))) => self.changed(file, wanted, sides, path, there, blocked),
        }
    }

    /// A file that comes to be.
    fn created(
        &mut self,
        file: &FileLines,
        wanted: &LineSet,
        after: File,
        ground: Option<(&GitPath, File)>,
        blocked: bool,
    ) -> Result<Option<FileLines>, LinesError> {
        let whole = file.ops == [Op::Create];
        let (ops, numbers, content) = if whole {
            (vec![Op::Create], vec![file.first], Content::Blob(after.oid))
        } else {
            let new = content(Some(after), self.blobs)?;
            let new = Lines::of(&new);
            check_bounds(file, 0, new.len())?;
            let nothing = Lines::of(&[]);
            let reference = Reference::of(&nothing, &new, file, &LineSet::default());
            let spots = units(file, wanted, &reference).into_iter();
            let spots = spots.map(|unit| Spot { out: None, into: Some(0), unit }).collect();
            let mut woven = weave_spots(spots, &nothing, &new);
            if has(wanted, file.first) {
                woven.ops.insert(0, Op::Create);
                woven.numbers.insert(0, file.first);
            }
            (woven.ops, woven.numbers, Content::Bytes(woven.bytes))
        };
        let oid = match &content {
            Content::Blob(oid) => *oid,
            Content::Bytes(bytes) => (self.id)(bytes),
        };
        if let Some((_, there)) = ground {
            if there == (File { mode: after.mode, oid }) {
                self.already(wanted);
            } else {
                self.conflict(file, wanted.clone(), Why::Occupied);
            }
            return Ok(None);
        }
        if blocked {
            self.conflict(file, wanted.clone(), Why::Occupied);
            return Ok(None);
        }
        self.edits.insert(file.path.clone(), Some(Written { mode: after.mode, content }));
        Ok(Some(placed(&file.path, None, None, Some(oid), ops, numbers)))
    }

    /// A file that is there and stays.
    fn changed(
        &mut self,
        file: &FileLines,
        wanted: &LineSet,
        (before, after): (Option<File>, Option<File>),
        path: &GitPath,
        there: File,
        blocked: bool,
    ) -> Result<Option<FileLines>, LinesError> {
        let (mut ops, mut numbers) = (Vec::new(), Vec::new());
        let mut result = Written { mode: there.mode, content: Content::Blob(there.oid) };
        let mut target = path;
        let whole = file.numbered().take_while(|(_, op)| !op.is_text());
        for (number, op) in whole.filter(|(number, _)| has(wanted, *number)) {
            let line = LineSet::from_numbers([number]);
            let (fits, already) = match (op, before, after) {
                // Some of its lines were applied, so it is there.
                (Op::Create, ..) => (false, true),
                (Op::Rename, ..) => (!blocked && path != &file.path, path == &file.path),
                (Op::Cap { from, to }, ..) => (there.mode == *from, there.mode == *to),
                (Op::Bytes, Some(before), Some(after)) => (
                    there.oid == before.oid && there.mode.same_type(before.mode),
                    there.oid == after.oid && there.mode.same_type(after.mode),
                ),
                (Op::Type, Some(before), Some(after)) => (there == before, there == after),
                _ => (false, false),
            };
            if !fits {
                match already {
                    true => self.already(&line),
                    false if matches!(op, Op::Rename) => self.conflict(file, line, Why::Occupied),
                    false => self.conflict(file, line, Why::Changed),
                }
                continue;
            }
            match (op, after) {
                (Op::Rename, _) => target = &file.path,
                (Op::Cap { to, .. }, _) => result.mode = *to,
                (Op::Bytes, Some(after)) => result.content = Content::Blob(after.oid),
                (Op::Type, Some(after)) => {
                    result = Written { mode: after.mode, content: Content::Blob(after.oid) };
                }
                _ => {}
            }
            ops.push(*op);
            numbers.push(number);
        }
        let text_first = file.numbered().find(|(_, op)| op.is_text()).map(|(number, _)| number);
        let text = text_first.map(|first| LineSet::run(first, file.first + file.count() - first));
        let text = text.map(|text| common(&text, wanted)).filter(|text| !text.is_empty());
        if let Some(text) = text {
            if !there.mode.is_regular() {
                self.conflict(file, text, Why::Changed);
            } else if let Some(woven) = self.text(file, &text, (before, after), there)? {
                ops.extend(woven.ops);
                numbers.extend(woven.numbers);
                result.content = Content::Bytes(woven.bytes);
            }
        }
        if ops.is_empty() {
            return Ok(None);
        }
        let oid = match &result.content {
            Content::Blob(oid) => *oid,
            Content::Bytes(bytes) => (self.id)(bytes),
        };
        let old_path = (target != path).then_some(path);
        if old_path.is_some() {
            self.edits.entry(path.clone()).or_insert(None);
        }
        self.edits.insert(target.clone(), Some(result));
        Ok(Some(placed(target, old_path, Some(there.oid), Some(oid), ops, numbers)))
    }

    /// The accepted lines `text` on the parent's file; none where nothing is left to do.
    fn text(
        &mut self,
        file: &FileLines,
        text: &LineSet,
        (before, after): (Option<File>, Option<File>),
        there: File,
    ) -> Result<Option<Woven>, LinesError> {
        let (old, new, now) =
            (content(before, self.blobs)?, content(after, self.blobs)?, content(Some(there), self.blobs)?);
        let (old, new, now) = (Lines::of(&old), Lines::of(&new), Lines::of(&now));
        check_bounds(file, old.len(), new.len())?;
        let done = self.request.done(file);
        let reference = Reference::of(&old, &new, file, &done);
        let goal = Reference::of(&old, &new, file, &done.union(text));
        let units = units(file, text, &reference);
        let spots = if reference.bytes == now.bytes() {
            let own = |unit: Unit| Spot { out: unit.out.clone(), into: unit.into, unit };
            units.into_iter().map(own).collect()
        } else if goal.bytes == now.bytes() {
            self.already(text);
            return Ok(None);
        } else {
            self.search(file, units, &reference, &goal, &now)
        };
        if spots.is_empty() {
            return Ok(None);
        }
        let numbers: LineSet = LineSet::from_numbers(
            spots.iter().flat_map(|spot| spot.unit.first..spot.unit.first + spot.unit.count),
        );
        let woven = weave_spots(spots, &now, &new);
        if woven.bytes == now.bytes() {
            self.already(&numbers);
            return Ok(None);
        }
        Ok(Some(woven))
    }

    /// The only place of each unit in a file that changed; what has none is noted.
    fn search(
        &mut self,
        file: &FileLines,
        units: Vec<Unit>,
        reference: &Reference,
        goal: &Reference,
        now: &Lines,
    ) -> Vec<Spot> {
        let (before, aim) = (Lines::of(&reference.bytes), Lines::of(&goal.bytes));
        let mut interner = Interner::default();
        let finder = Finder::of(ids(&mut interner, now));
        let (before, aim) = (ids(&mut interner, &before), ids(&mut interner, &aim));
        let place = |ids: &[u32], lines: Range<usize>| {
            let (pattern, in_front) = around(ids, lines);
            behind(finder.find(pattern), in_front)
        };
        let mut spots: Vec<Spot> = Vec::new();
        let mut reached = 0;
        for unit in units {
            let out = unit.out.clone().map(|lines| place(&before, lines));
            let into = unit.into.map(|at| place(&before, at..at));
            let both = [out, into];
            if both.contains(&Some(Found::Nowhere)) {
                let there = done_at(&unit, goal).is_some_and(|at| {
                    at.into_iter().flatten().all(|lines| matches!(place(&aim, lines), Found::Once(_)))
                });
                if there {
                    self.already(&unit.numbers());
                } else {
                    self.conflict(file, unit.numbers(), Why::Changed);
                }
                continue;
            }
            if both.contains(&Some(Found::Often)) {
                self.conflict(file, unit.numbers(), Why::Ambiguous);
                continue;
            }
            let once = |found: Option<Found>| match found {
                Some(Found::Once(at)) => Some(at),
                _ => None,
            };
            let length = unit.out.as_ref().map_or(0, Range::len);
            let out = once(out).map(|at| at..at + length);
            let into = once(into);
            // Units stand in the order of where they take out or, adds only, put in.
            let at = out.as_ref().map(|lines| lines.start).or(into).unwrap_or(0);
            if at < reached {
                self.conflict(file, unit.numbers(), Why::Order);
                continue;
            }
            reached = out.as_ref().map_or(at, |lines| lines.end);
            spots.push(Spot { unit, out, into });
        }
        let (spots, out_of_order) = settle_moves(spots);
        for spot in out_of_order {
            self.conflict(file, spot.unit.numbers(), Why::Order);
        }
        spots
    }
}

/// Where a unit's lines are once it has been applied: what it took out, as the gap that is left, and what it put
/// in. None where the goal does not have it.
fn done_at(unit: &Unit, goal: &Reference) -> Option<[Option<Range<usize>>; 2]> {
    let put = match unit.op.gives() {
        Some((from, n)) => {
            let at = goal.put(from as usize - 1)?;
            Some(at..at + n as usize)
        }
        None => None,
    };
    let gap = match unit.op {
        Op::Remove { at, .. } | Op::Move { at, .. } => {
            let at = goal.slot(at as usize - 1);
            Some(at..at)
        }
        _ => None,
    };
    Some([gap, put])
}

/// Leaves out moves whose lines would go in inside of what another unit takes out, beside their own block, or out
/// of the proposed order. Without moves everything is in order already.
fn settle_moves(spots: Vec<Spot>) -> (Vec<Spot>, Vec<Spot>) {
    if !spots.iter().any(|spot| matches!(spot.unit.op, Op::Move { .. })) {
        return (spots, Vec::new());
    }
    let outs: Vec<Range<usize>> = spots.iter().filter_map(|spot| spot.out.clone()).collect();
    let outside = |spot: &Spot| {
        let (Some(point), Op::Move { .. }, Some(own)) = (spot.into, spot.unit.op, &spot.out) else {
            return true;
        };
        let behind = outs.partition_point(|lines| lines.end <= point);
        let inside = outs.get(behind).is_some_and(|lines| lines.start < point);
        !inside && !(own.start..=own.end).contains(&point)
    };
    let (spots, mut refused): (Vec<Spot>, Vec<Spot>) = spots.into_iter().partition(outside);
    // In the result, proposed lines have to rise; what goes in at a point comes before what stands there.
    let mut order: Vec<(usize, u8, u64)> = spots
        .iter()
        .filter_map(|spot| {
            let (from, _) = spot.unit.op.gives()?;
            Some(match spot.into {
                Some(point) => (point, 0, from),
                None => (spot.out.as_ref()?.start, 1, from),
            })
        })
        .collect();
    order.sort_unstable();
    if order.windows(2).all(|pair| pair[0].2 < pair[1].2) {
        return (spots, refused);
    }
    let (moves, others): (Vec<Spot>, Vec<Spot>) =
        spots.into_iter().partition(|spot| matches!(spot.unit.op, Op::Move { .. }));
    refused.extend(moves);
    (others, refused)
}

/// Operations for spots that are in order, and the file that they give.
fn weave_spots(spots: Vec<Spot>, now: &Lines, new: &Lines) -> Woven {
    let numbers = spots.iter().flat_map(|spot| spot.unit.first..spot.unit.first + spot.unit.count).collect();
    // First in terms of the parent's lines and of the proposed file, to see what stands where.
    let line = |at: usize| at as u64 + 1;
    let ops = spots.iter().map(|spot| {
        let (out, into) = (spot.out.as_ref().map_or(0, |lines| lines.start), spot.into.unwrap_or(0));
        match spot.unit.op {
            Op::Add { from, n, .. } => Op::Add { at: line(into), from, n },
            Op::Remove { n, .. } => Op::Remove { at: line(out), n },
            Op::Mutate { from, n, .. } => Op::Mutate { at: line(out), from, n },
            Op::Move { n, from, .. } => Op::Move { at: line(out), n, to: line(into), from },
            other => other,
        }
    });
    let mut file = placed(&GitPath::new(""), None, None, None, ops.collect(), Vec::new());
    file.first = 1;
    let pieces = weave(now.len(), &file, &file.all());
    let bytes = join(&pieces, now, new);
    // Then in terms of the result.
    let mut result: Vec<Op> = file.ops.iter().filter(|op| matches!(op, Op::Remove { .. })).copied().collect();
    let mut here = 1;
    for piece in &pieces {
        let n = piece.len() as u64;
        match piece {
            Piece::Keep(_) => {}
            Piece::Swap(_, at) => result.push(Op::Mutate { at: line(*at), from: here, n }),
            Piece::Add(_, at) => result.push(Op::Add { at: line(*at), from: here, n }),
            Piece::Moved(block, at, _) => {
                result.push(Op::Move { at: line(block.start), n, to: line(*at), from: here });
            }
        }
        here += n;
    }
    Woven { ops: in_order(result), numbers, bytes }
}

fn placed(
    path: &GitPath,
    old_path: Option<&GitPath>,
    base: Option<Oid>,
    proposed: Option<Oid>,
    ops: Vec<Op>,
    numbers: Vec<u64>,
) -> FileLines {
    FileLines {
        path: path.clone(),
        old_path: old_path.cloned(),
        base,
        proposed,
        first: 0,
        ops,
        from_lines: Some(numbers),
    }
}
