//! The content that chosen operations give, computed line by line without regard for time or memory, as the text
//! of the format says it: to be compared with the real one. `tests/lines_oracle.py` is a third.

use std::collections::BTreeMap;

use super::world::{Random, World, choice, edited, split, tree};
use crate::domain::fact::values::LineSet;
use crate::domain::lines::table::{FileLines, Op};
use crate::domain::lines::text::Lines;
use crate::domain::lines::weave::{join, weave};
use crate::domain::lines::{Change, diff};

/// What `chosen` gives; none where the operations do not fit the contents.
pub(super) fn naive(base: &[u8], proposed: &[u8], file: &FileLines, chosen: &LineSet) -> Option<Vec<u8>> {
    let (base, proposed) = (split(base), split(proposed));
    let mut ins: BTreeMap<(u64, u64), Vec<Vec<u8>>> = BTreeMap::new();
    let mut stays: Vec<Option<Vec<u8>>> = base.iter().cloned().map(Some).collect();
    for (first, op) in file.numbered() {
        for offset in 0..op.numbers() {
            if !chosen.contains(first + offset) {
                continue;
            }
            let old = |line: u64| base.get(usize::try_from(line).ok()?.checked_sub(1)?).cloned();
            let new = |line: u64| proposed.get(usize::try_from(line).ok()?.checked_sub(1)?).cloned();
            match *op {
                Op::Add { at, from, .. } => {
                    (at <= base.len() as u64 + 1).then_some(())?;
                    ins.insert((at, from + offset), vec![new(from + offset)?]);
                }
                Op::Remove { at, .. } => {
                    old(at + offset)?;
                    stays[(at + offset) as usize - 1].take()?;
                }
                Op::Mutate { at, from, .. } => {
                    old(at + offset)?;
                    stays[(at + offset) as usize - 1].take()?;
                    ins.insert((at + offset, u64::MAX), vec![new(from + offset)?]);
                }
                Op::Move { at, n, to, from } => {
                    let block: Option<Vec<Vec<u8>>> = (at..at + n).map(old).collect();
                    (to <= base.len() as u64 + 1).then_some(())?;
                    ins.insert((to, from), block?);
                    for line in at..at + n {
                        stays[line as usize - 1].take()?;
                    }
                }
                _ => {}
            }
        }
    }
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for at in 1..=base.len() as u64 + 1 {
        lines.extend(ins.range((at, 0)..=(at, u64::MAX)).flat_map(|(_, block)| block.clone()));
        lines.extend(stays.get(at as usize - 1).cloned().flatten());
    }
    let crlf = base.first().is_some_and(|line| line.ends_with(b"\r\n"));
    let last = lines.len().saturating_sub(1);
    for line in &mut lines[..last] {
        if !line.ends_with(b"\n") {
            line.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        }
    }
    Some(lines.concat())
}

/// Random files with operations on lines, and a choice.
pub(crate) fn text_case(case: u64) -> Vec<(Vec<u8>, Vec<u8>, FileLines, LineSet)> {
    let (mut random, mut world) = (Random::new(case), World::default());
    let base = tree(&mut random, &mut world);
    let proposed = edited(&mut random, &mut world, &base);
    let table = diff(&base, &proposed, &world.blobs).unwrap();
    let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
    let chosen = choice(&mut random, table.count());
    table
        .files()
        .iter()
        .filter(|file| file.ops.iter().any(Op::is_text))
        .map(|file| {
            let (before, after) = change.sides(file).unwrap();
            let bytes = |side: Option<_>| side.map(|side| world.bytes(&side)).unwrap_or_default();
            (bytes(before), bytes(after), file.clone(), chosen.clone())
        })
        .collect()
}

pub(crate) fn ours(base: &[u8], proposed: &[u8], file: &FileLines, chosen: &LineSet) -> Vec<u8> {
    let (base, proposed) = (Lines::of(base), Lines::of(proposed));
    join(&weave(base.len(), file, chosen), &base, &proposed)
}

#[test]
fn chosen_lines_give_what_a_naive_reading_gives() {
    for case in 0..super::world::cases(300) {
        for (base, proposed, file, chosen) in text_case(case) {
            let theirs = naive(&base, &proposed, &file, &chosen);
            assert_eq!(
                Some(ours(&base, &proposed, &file, &chosen)),
                theirs,
                "case {case}: {file:?} {chosen}"
            );
        }
    }
}
