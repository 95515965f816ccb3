//! From gaps to operations: blocks that moved, removed lines paired with added ones, and the rest.

use std::collections::HashMap;

use super::runs::{Gap, Ids};
use crate::domain::lines::rules::MOVE_MIN;
use crate::domain::lines::table::Op;
use crate::domain::lines::text::Lines;

/// The most pairs of a removed and an added line of one gap that are all compared. In a larger gap the first
/// removed line is compared with the first added one, the second with the second, and so on.
const PAIRS: usize = 1024;
/// How many of a line's words count.
const WORDS: usize = 256;
/// How alike two lines must be to be paired, in thousandths.
const ALIKE: u64 = 500;

/// The operations of the gaps, one line each where they are not moves, in no particular order.
pub(super) fn operations(old: &Lines, new: &Lines, ids: &Ids, gaps: &[Gap]) -> Vec<Op> {
    let (moves, out, into) = moves(old, ids, gaps);
    let mut arrivals: HashMap<usize, Vec<&Block>> = HashMap::new();
    for block in &moves {
        arrivals.entry(block.to_gap).or_default().push(block);
    }
    let mut ops = Vec::new();
    for (index, gap) in gaps.iter().enumerate() {
        let removed: Vec<usize> = gap.old.clone().filter(|at| !out[*at]).collect();
        let added: Vec<usize> = gap.new.clone().filter(|at| !into[*at]).collect();
        let pairs = pairs(old, new, &removed, &added);
        // What comes goes in before the next paired base line, else behind everything that goes.
        let point = |new_line: usize| {
            let next = pairs.partition_point(|(_, paired)| *paired < new_line);
            pairs.get(next).map_or(gap.old.end, |(base, _)| *base) as u64 + 1
        };
        let mut paired = pairs.iter().peekable();
        for at in removed {
            match paired.next_if(|(base, _)| *base == at) {
                Some((_, from)) => ops.push(Op::Mutate { at: at as u64 + 1, from: *from as u64 + 1, n: 1 }),
                None => ops.push(Op::Remove { at: at as u64 + 1, n: 1 }),
            }
        }
        let mut paired = pairs.iter().peekable();
        for from in added {
            if paired.next_if(|(_, paired)| *paired == from).is_none() {
                ops.push(Op::Add { at: point(from), from: from as u64 + 1, n: 1 });
            }
        }
        for block in arrivals.get(&index).into_iter().flatten() {
            ops.push(Op::Move {
                at: block.old as u64 + 1,
                n: block.length as u64,
                to: point(block.new),
                from: block.new as u64 + 1,
            });
        }
    }
    ops
}

/// A block that leaves one gap and appears in another.
struct Block {
    old: usize,
    new: usize,
    length: usize,
    to_gap: usize,
}

/// Finds moved blocks: three lines in a row, not all of them without a letter or digit, that stand once among all
/// that goes and once, in another gap, among all that comes; and as many equal lines around them as the gaps have.
/// Also says which old lines leave so, and which new lines arrive.
fn moves(old: &Lines, ids: &Ids, gaps: &[Gap]) -> (Vec<Block>, Vec<bool>, Vec<bool>) {
    const WINDOW: usize = MOVE_MIN as usize;
    let (mut out, mut into) = (vec![false; ids.old.len()], vec![false; ids.new.len()]);
    let mut blocks = Vec::new();
    /// How often a window was seen, and where last: line and gap.
    type Seen<'a> = HashMap<&'a [u32], (u32, usize, usize)>;
    fn note<'a>(seen: &mut Seen<'a>, window: &'a [u32], at: usize, gap: usize) {
        let entry = seen.entry(window).or_insert((0, at, gap));
        entry.0 += 1;
    }
    let (mut going, mut coming): (Seen, Seen) = (HashMap::new(), HashMap::new());
    for (index, gap) in gaps.iter().enumerate() {
        for (at, window) in ids.old[gap.old.clone()].windows(WINDOW).enumerate() {
            note(&mut going, window, gap.old.start + at, index);
        }
    }
    if going.is_empty() {
        return (blocks, out, into);
    }
    for (index, gap) in gaps.iter().enumerate() {
        for (at, window) in ids.new[gap.new.clone()].windows(WINDOW).enumerate() {
            if going.contains_key(window) {
                note(&mut coming, window, gap.new.start + at, index);
            }
        }
    }
    let mut starts: Vec<(usize, usize, usize, usize)> = coming
        .iter()
        .filter(|(_, (count, ..))| *count == 1)
        .filter_map(|(window, &(_, new, to_gap))| {
            let &(count, at, from_gap) = going.get(window)?;
            (count == 1 && from_gap != to_gap).then_some((at, new, from_gap, to_gap))
        })
        .collect();
    starts.sort_unstable();
    for (at, to, from_gap, to_gap) in starts {
        let fits = |old_at: usize, new_at: usize| {
            ids.old[old_at] == ids.new[new_at] && !out[old_at] && !into[new_at]
        };
        if !(0..WINDOW).all(|offset| fits(at + offset, to + offset)) {
            continue;
        }
        if !(0..WINDOW).any(|offset| has_word(old.get(at + offset))) {
            continue;
        }
        let (old_gap, new_gap) = (&gaps[from_gap].old, &gaps[to_gap].new);
        let room = (at - old_gap.start).min(to - new_gap.start);
        let back = (1..=room).take_while(|back| fits(at - back, to - back)).count();
        let room = (old_gap.end - at).min(new_gap.end - to);
        let ahead = (WINDOW..room).take_while(|ahead| fits(at + ahead, to + ahead)).count() + WINDOW;
        let block = Block { old: at - back, new: to - back, length: back + ahead, to_gap };
        out[block.old..block.old + block.length].fill(true);
        into[block.new..block.new + block.length].fill(true);
        blocks.push(block);
    }
    (blocks, out, into)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn has_word(line: &[u8]) -> bool {
    line.iter().any(|byte| is_word(*byte))
}

/// Which removed line became which added one, in rising order of both.
fn pairs(old: &Lines, new: &Lines, removed: &[usize], added: &[usize]) -> Vec<(usize, usize)> {
    if removed.is_empty() || added.is_empty() {
        return Vec::new();
    }
    if removed.len() * added.len() > PAIRS {
        let abreast = removed.iter().zip(added);
        let alike = abreast
            .filter(|(at, from)| likeness(&Words::of(old.get(**at)), &Words::of(new.get(**from))) >= ALIKE);
        return alike.map(|(at, from)| (*at, *from)).collect();
    }
    let ours: Vec<Words> = removed.iter().map(|at| Words::of(old.get(*at))).collect();
    let theirs: Vec<Words> = added.iter().map(|at| Words::of(new.get(*at))).collect();
    // best[i][j]: the most likeness that removed lines from i on and added lines from j on can have.
    let width = theirs.len() + 1;
    let mut best = vec![0u64; (ours.len() + 1) * width];
    let mut alike = vec![0u64; ours.len() * theirs.len()];
    for i in (0..ours.len()).rev() {
        for j in (0..theirs.len()).rev() {
            let likeness = likeness(&ours[i], &theirs[j]);
            alike[i * theirs.len() + j] = likeness;
            let apart = best[(i + 1) * width + j].max(best[i * width + j + 1]);
            let together = if likeness >= ALIKE { likeness + best[(i + 1) * width + j + 1] } else { 0 };
            best[i * width + j] = apart.max(together);
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < ours.len() && j < theirs.len() {
        let likeness = alike[i * theirs.len() + j];
        let here = best[i * width + j];
        if likeness >= ALIKE && here == likeness + best[(i + 1) * width + j + 1] {
            pairs.push((removed[i], added[j]));
            (i, j) = (i + 1, j + 1);
        } else if here == best[(i + 1) * width + j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// The words of a line, sorted: runs of letters, digits, `_` and bytes beyond ASCII, and every other byte that is
/// not white space by itself.
struct Words<'a> {
    line: &'a [u8],
    sorted: Vec<&'a [u8]>,
    weight: u64,
}

impl<'a> Words<'a> {
    fn of(line: &'a [u8]) -> Self {
        let mut sorted = Vec::new();
        let mut at = 0;
        while at < line.len() && sorted.len() < WORDS {
            let length = line[at..].iter().take_while(|byte| is_word(**byte)).count().max(1);
            if !line[at].is_ascii_whitespace() {
                sorted.push(&line[at..at + length]);
            }
            at += length;
        }
        sorted.sort_unstable();
        let weight = sorted.iter().map(|word| word.len() as u64).sum();
        Words { line, sorted, weight }
    }
}

/// How much of both lines are words that they have in common, by length, in thousandths. Lines without words are
/// alike. Equal lines, of which a region too large to match may have some, are not: nothing would change.
fn likeness(ours: &Words, theirs: &Words) -> u64 {
    if ours.line == theirs.line {
        return 0;
    }
    let total = ours.weight + theirs.weight;
    if total == 0 {
        return 1000;
    }
    let (mut i, mut j, mut common) = (0, 0, 0);
    while let (Some(our), Some(their)) = (ours.sorted.get(i), theirs.sorted.get(j)) {
        match our.cmp(their) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                common += our.len() as u64;
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    2000 * common / total
}
