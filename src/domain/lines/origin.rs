//! Where each line of a file comes from, once all numbers of its table are taken.

use std::collections::BTreeMap;

use super::table::{FileLines, Op, TableError};
use super::text::Lines;
use super::weave::{Piece, check_bounds, weave};

/// Where a line comes from: a line of the base that stayed, a number that put it there, or both where it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The line of the base with the same bytes, from 1.
    pub base: Option<u64>,
    /// The number of the table that put it here.
    pub number: Option<u64>,
}

/// The origin of every line of the proposed file, in order. Where content is replaced whole, every line comes by the
/// number of that operation.
///
/// # Errors
/// When an operation is beyond the lines of either side.
pub fn origins(file: &FileLines, base: &[u8], proposed: &[u8]) -> Result<Vec<Origin>, TableError> {
    let (base, proposed) = (Lines::of(base).len(), Lines::of(proposed).len());
    let whole = |op: &Op| matches!(op, Op::Bytes | Op::Type) || file.ops == [Op::Create];
    if let Some((number, _)) = file.numbered().find(|(_, op)| whole(op)) {
        return Ok(vec![Origin { base: None, number: Some(number) }; proposed]);
    }
    check_bounds(file, base, proposed)?;
    let giving: BTreeMap<u64, (u64, bool)> = file
        .numbered()
        .filter_map(|(first, op)| Some((op.gives()?.0, (first, matches!(op, Op::Move { .. })))))
        .collect();
    let number = |line: usize| {
        let line = line as u64 + 1;
        let (from, (first, block)) = giving.range(..=line).next_back()?;
        Some(if *block { *first } else { first + line - from })
    };
    let mut all = Vec::with_capacity(proposed);
    for piece in weave(base, file, &file.all()) {
        match piece {
            Piece::Keep(lines) => {
                all.extend(lines.map(|line| Origin { base: Some(line as u64 + 1), number: None }));
            }
            Piece::Swap(lines, _) | Piece::Add(lines, _) => {
                all.extend(lines.map(|line| Origin { base: None, number: number(line) }));
            }
            Piece::Moved(lines, _, at) => {
                let number = number(at);
                all.extend(lines.map(|line| Origin { base: Some(line as u64 + 1), number }));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::{File, Files, Mode, diff};
    use super::*;
    use crate::domain::fact::values::GitPath;
    use crate::domain::ids::Oid;

    /// Base line and number of every line, as `base` or `#number`.
    fn told(before: &str, after: &str) -> Vec<String> {
        let ids = [Oid::Sha1([1; 20]), Oid::Sha1([2; 20])];
        let blobs: BTreeMap<Oid, Vec<u8>> = [(ids[0], before.into()), (ids[1], after.into())].into();
        let files = |oid| -> Files { [(GitPath::new("f"), File { mode: Mode::File, oid })].into() };
        let table = diff(&files(ids[0]), &files(ids[1]), &blobs).unwrap();
        let origins = origins(&table.files()[0], before.as_bytes(), after.as_bytes()).unwrap();
        let word = |origin: &Origin| match (origin.base, origin.number) {
            (Some(base), None) => base.to_string(),
            (None, Some(number)) => format!("#{number}"),
            (Some(base), Some(number)) => format!("{base}#{number}"),
            (None, None) => "?".into(),
        };
        origins.iter().map(word).collect()
    }

    #[test]
    fn every_line_has_one_origin() {
        assert_eq!(told("a\nline 2 is\nc\n", "a\nline 2 was\nc\n"), ["1", "#1", "3"], "changed in place");
        assert_eq!(told("a\nb\nc\n", "a\nx\nc\n"), ["1", "#2", "3"], "taken out, and another put in");
        assert_eq!(told("a\nb\n", "new\na\nb\nnew too\n"), ["#1", "1", "2", "#2"]);
        assert_eq!(told("a\nb\nc\n", "a\nc\n"), ["1", "3"]);
        let (block, rest) = ("one\ntwo\nthree\nfour\n", "a\nb\nc\nd\ne\nf\n");
        let moved = told(&format!("{block}{rest}"), &format!("{rest}{block}"));
        assert_eq!(moved.len(), 10);
        assert!(moved.iter().filter(|line| line.contains('#')).count() >= 4, "{moved:?}");
    }
}
