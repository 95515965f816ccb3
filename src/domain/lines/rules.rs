//! What a table must be in itself, before any tree is looked at.

use std::collections::BTreeSet;

use super::path;
use super::table::{FileLines, Op, TableError};
use crate::domain::canonical::MAX_INTEGER;
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;

/// The shortest block that may be a move.
pub(super) const MOVE_MIN: u64 = 3;

/// Which sort of table is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A proposal's own, without `from_lines`. A created file's lines come with their `file+`.
    Proposal,
    /// Accepted operations on another tree, with `from_lines`.
    Placed,
}

pub(super) fn check(files: &[FileLines], form: Form) -> Result<(), TableError> {
    let mut next = 1u64;
    let mut base_paths: BTreeSet<&GitPath> = BTreeSet::new();
    let mut accepted: BTreeSet<u64> = BTreeSet::new();
    let mut kind: Option<Oid> = None;
    for (index, file) in files.iter().enumerate() {
        let bad = |problem: String| Err(TableError::file(&file.path, problem));
        if index > 0 && files[index - 1].path >= file.path {
            return bad("files are not in byte order of path, each once".into());
        }
        if file.first != next {
            return bad(format!("`first` is {} where {next} comes next", file.first));
        }
        for oid in [file.base, file.proposed].into_iter().flatten() {
            if !kind.get_or_insert(oid).same_kind(&oid) {
                return bad("object ids of two algorithms in one table".into());
            }
        }
        whole_file(file, form)?;
        let mut count = 0u64;
        for (index, op) in file.ops.iter().enumerate() {
            bounded(op).map_err(|problem| TableError::op(&file.path, index, problem))?;
            count = count
                .checked_add(op.numbers())
                .filter(|count| *count <= MAX_INTEGER.unsigned_abs())
                .ok_or_else(|| TableError::op(&file.path, index, "numbers run beyond 2^53-1"))?;
        }
        text(file)?;
        if let Some(path) = file.base_path()
            && !base_paths.insert(path)
        {
            return bad("two files come from one path of the base".into());
        }
        from_lines(file, count, form, &mut accepted)?;
        next = next.saturating_add(count);
        if next > MAX_INTEGER.unsigned_abs() {
            return bad("numbers run beyond 2^53-1".into());
        }
    }
    Ok(())
}

fn from_lines(file: &FileLines, count: u64, form: Form, seen: &mut BTreeSet<u64>) -> Result<(), TableError> {
    let bad = |problem: &str| Err(TableError::file(&file.path, problem));
    match (&file.from_lines, form) {
        (None, Form::Proposal) => Ok(()),
        (Some(_), Form::Proposal) => bad("`from_lines` in a proposal's own table"),
        (None, Form::Placed) => bad("no `from_lines` in a placed table"),
        (Some(from), Form::Placed) => {
            if from.len() as u64 != count {
                return bad("`from_lines` has another length than the file has numbers");
            }
            if from.first() == Some(&0) || from.windows(2).any(|pair| pair[0] >= pair[1]) {
                return bad("`from_lines` does not keep the accepted order");
            }
            if from.iter().any(|number| !seen.insert(*number)) {
                return bad("an accepted line is placed twice");
            }
            Ok(())
        }
    }
}

/// Which operations may stand together, and the paths and blobs that go with them.
fn whole_file(file: &FileLines, form: Form) -> Result<(), TableError> {
    let bad = |problem: &str| Err(TableError::file(&file.path, problem));
    if file.ops.is_empty() {
        return bad("a file without operations");
    }
    for (index, pair) in file.ops.windows(2).enumerate() {
        if rank(&pair[0]) > rank(&pair[1]) || rank(&pair[0]) == rank(&pair[1]) && !pair[0].is_text() {
            return Err(TableError::op(
                &file.path,
                index + 1,
                "operations are not in their order, each once",
            ));
        }
    }
    let has = |wanted: fn(&Op) -> bool| file.ops.iter().any(wanted);
    let text = has(Op::is_text);
    let content = text || has(|op| matches!(op, Op::Bytes | Op::Type));
    if file.old_path.is_some() != has(|op| matches!(op, Op::Rename)) {
        return bad("`old_path` and `rename` come together or not at all");
    }
    if file.old_path.as_ref() == Some(&file.path) {
        return bad("renamed to its own path");
    }
    if file.proposed.is_some() {
        path::check(&file.path).map_err(|problem| TableError::file(&file.path, problem.to_string()))?;
    }
    match (file.base, file.proposed) {
        (None, None) => return bad("neither `base` nor `proposed`"),
        (None, Some(_)) => {
            let created = matches!(file.ops[0], Op::Create);
            let rest = &file.ops[usize::from(created)..];
            if !created && form == Form::Proposal {
                return bad("a file without `base` and without `file+`");
            }
            if !rest.iter().all(|op| matches!(op, Op::Add { .. })) {
                return bad("a created file has `file+` and added lines, nothing else");
            }
        }
        (Some(_), None) if file.ops != [Op::Delete] => {
            return bad("a deleted file has `file-` alone");
        }
        (Some(_), None) => {}
        (Some(base), Some(proposed)) => {
            if has(|op| matches!(op, Op::Create | Op::Delete)) {
                return bad("`file+` or `file-` on a file that is there before and after");
            }
            if has(|op| matches!(op, Op::Type)) && file.ops.len() > 1 {
                return bad("`type` stands alone");
            }
            if text && has(|op| matches!(op, Op::Bytes)) {
                return bad("`bytes` and operations on lines in one file");
            }
            let same = base == proposed;
            if same && content && !has(|op| matches!(op, Op::Type)) {
                return bad("content changes, yet `base` is `proposed`");
            }
            if !same && !content {
                return bad("`base` is not `proposed`, yet no operation changes the content");
            }
        }
    }
    Ok(())
}

/// The place of an operation among those of its file: the whole file first, then its lines.
fn rank(op: &Op) -> u8 {
    match op {
        Op::Create | Op::Delete | Op::Type => 0,
        Op::Rename => 1,
        Op::Cap { .. } => 2,
        Op::Bytes => 3,
        Op::Add { .. } | Op::Remove { .. } | Op::Mutate { .. } | Op::Move { .. } => 4,
    }
}

/// Lines count from 1, ranges are not empty, and no end lies beyond what a number can say.
fn bounded(op: &Op) -> Result<(), &'static str> {
    let range = |first: u64, n: u64| {
        first >= 1 && n >= 1 && first.checked_add(n).is_some_and(|end| end <= MAX_INTEGER.unsigned_abs())
    };
    let fine = op.takes().is_none_or(|(at, n)| range(at, n))
        && op.gives().is_none_or(|(from, n)| range(from, n))
        && op.point().is_none_or(|at| range(at, 1));
    if !fine {
        return Err("a line or range of lines that cannot be");
    }
    match *op {
        Op::Move { n, .. } if n < MOVE_MIN => Err("a move of fewer than three lines"),
        Op::Move { at, n, to, .. } if (at..=at + n).contains(&to) => Err("a move to where the block is"),
        Op::Cap { from, to } if from == to => Err("`cap` between equal modes"),
        Op::Cap { from, to } if !(from.is_regular() && to.is_regular()) => {
            Err("`cap` of what is not a regular file")
        }
        _ => Ok(()),
    }
}

/// Order, overlaps and one spelling of the operations on lines.
fn text(file: &FileLines) -> Result<(), TableError> {
    let mut taken_to = 0u64;
    let mut previous: Option<&Op> = None;
    let mut given: Vec<(u64, u64, usize)> = Vec::new();
    let moved_to = moved_to(&file.ops);
    for (index, op) in file.ops.iter().enumerate().filter(|(_, op)| op.is_text()) {
        let bad = |problem: &str| Err(TableError::op(&file.path, index, problem));
        if let Some((at, n)) = op.takes() {
            if at < taken_to {
                return bad("base lines that an operation before it takes out too, or out of order");
            }
            taken_to = at + n;
        }
        if let Some(before) = previous {
            if place(before) >= place(op) {
                return bad("operations are not in their order, each once");
            }
            if joins(before, op) && !apart(op, &moved_to) {
                return bad("continues the operation before it and belongs into that");
            }
        }
        if let Some((from, n)) = op.gives() {
            given.push((from, n, index));
        }
        previous = Some(op);
    }
    given.sort_unstable();
    if let Some(pair) = given.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0) {
        return Err(TableError::op(&file.path, pair[1].2, "proposed lines that another operation gives too"));
    }
    split_at_points(file)
}

/// Nothing goes in strictly between base lines of one operation: it is written as two there, so that numbers run
/// in the order of places.
fn split_at_points(file: &FileLines) -> Result<(), TableError> {
    let mut points: Vec<u64> = file.ops.iter().filter_map(Op::point).collect();
    points.sort_unstable();
    for (index, op) in file.ops.iter().enumerate() {
        if let Some((at, n)) = op.takes()
            && let Some(point) = points.get(points.partition_point(|point| *point <= at))
            && *point < at + n
        {
            return Err(TableError::op(
                &file.path,
                index,
                "another operation puts lines in between its lines",
            ));
        }
    }
    Ok(())
}

/// Sorts operations on lines: by base line, what goes in before it first, in the order of proposed lines.
pub(super) fn place(op: &Op) -> (u64, u8, u64) {
    match *op {
        Op::Add { at, from, .. } => (at, 0, from),
        Op::Remove { at, .. } | Op::Mutate { at, .. } | Op::Move { at, .. } => (at, 1, 0),
        _ => (0, 0, 0),
    }
}

/// Whether `next` only continues `op`, so that the two have one spelling as one.
pub(super) fn joins(op: &Op, next: &Op) -> bool {
    match (*op, *next) {
        (Op::Add { at, from, n }, Op::Add { at: next_at, from: next_from, .. }) => {
            at == next_at && from + n == next_from
        }
        (Op::Remove { at, n }, Op::Remove { at: next_at, .. }) => at + n == next_at,
        (Op::Mutate { at, from, n }, Op::Mutate { at: next_at, from: next_from, .. }) => {
            at + n == next_at && from + n == next_from
        }
        _ => false,
    }
}

fn moved_to(ops: &[Op]) -> BTreeSet<u64> {
    ops.iter().filter(|op| matches!(op, Op::Move { .. })).filter_map(Op::point).collect()
}

/// Whether a block goes in just before the base lines of `op`, which keeps it from continuing the one before.
fn apart(op: &Op, moved_to: &BTreeSet<u64>) -> bool {
    op.takes().is_some_and(|(at, _)| moved_to.contains(&at))
}

/// Sorts and joins operations on lines into their one spelling. A join across a place where a move goes in stays
/// two, as [`split_at_points`] wants it.
pub(super) fn in_order(mut ops: Vec<Op>) -> Vec<Op> {
    ops.sort_by_key(place);
    let moved_to = moved_to(&ops);
    let mut joined: Vec<Op> = Vec::with_capacity(ops.len());
    for op in ops {
        match joined.last_mut() {
            Some(last) if joins(last, &op) && !apart(&op, &moved_to) => {
                if let Op::Add { n, .. } | Op::Remove { n, .. } | Op::Mutate { n, .. } = last {
                    *n += op.numbers();
                }
            }
            _ => joined.push(op),
        }
    }
    joined
}
