//! Inputs made to be slow: work grows with their size, not with its square. The sizes here suit an unoptimised
//! build; `GIT_RECEIPT_LINES_SCALE=10` makes them those of the worst files anyone should bring.

use std::time::Instant;

use super::world::{Random, World, id};
use crate::domain::fact::values::LineSet;
use crate::domain::lines::place::{Request, place, placed_is_right};
use crate::domain::lines::{Change, Table, apply, carry, diff};

fn scale() -> usize {
    std::env::var("GIT_RECEIPT_LINES_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Everything that a proposal goes through, on one file.
fn all_of_it(name: &str, base: String, proposed: String) {
    let size = base.len() + proposed.len();
    let mut world = World::default();
    let started = Instant::now();
    let parent = world.tree(&[("f", &format!("first\n{base}"))]);
    let (base, proposed) = (world.tree(&[("f", &base)]), world.tree(&[("f", &proposed)]));
    let mut laps = Vec::new();
    let mut lap =
        |what: &'static str, at: Instant| laps.push(format!("{what} {} ms", at.elapsed().as_millis()));
    let at = Instant::now();
    let table = diff(&base, &proposed, &world.blobs).unwrap();
    lap("diff", at);
    let at = Instant::now();
    assert_eq!(Table::read(&table.write().unwrap()).as_ref(), Ok(&table));
    lap("write and read", at);
    let at = Instant::now();
    let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
    lap("check", at);
    let at = Instant::now();
    let half = LineSet::from_numbers((1..=table.count()).filter(|number| number % 2 == 0));
    apply(&change, &half, &world.blobs).unwrap();
    lap("apply half", at);
    let at = Instant::now();
    let same = carry(&change, &change, &world.blobs).unwrap();
    assert_eq!(same.forward(&half), half);
    lap("carry", at);
    let at = Instant::now();
    let nothing = LineSet::default();
    let request = Request { change, accepted: &half, applied: &nothing, parent: &parent };
    let placing = place(&request, &id, &world.blobs).unwrap();
    lap("place", at);
    let result = world.edited(&parent, &placing.edits);
    let at = Instant::now();
    placed_is_right(&request, &placing.table, &result, &world.blobs).unwrap();
    lap("check placed", at);
    let operations: usize = table.files().iter().map(|file| file.ops.len()).sum();
    println!(
        "{name}: {size} bytes, {} numbers in {operations} operations, {} placed, {} ms ({})",
        table.count(),
        placing.placed.len(),
        started.elapsed().as_millis(),
        laps.join(", ")
    );
}

fn numbered(prefix: &str, count: usize) -> String {
    (0..count).map(|n| format!("{prefix} {n}\n")).collect()
}

/// Lines of two sorts without any order.
fn coins(seed: u64, count: usize) -> String {
    let mut random = Random::new(seed);
    (0..count).map(|_| if random.once_in(2) { "a\n" } else { "b\n" }).collect()
}

#[test]
fn different_lines_on_both_sides() {
    all_of_it("different lines", numbered("old", 10_000 * scale()), numbered("new", 10_000 * scale()));
}

#[test]
fn long_lines() {
    let long = |letter: &str| {
        format!("{letter}\n").repeat(3) + &format!("{}\n", letter.repeat(100_000 * scale())).repeat(4)
    };
    all_of_it("long lines", long("x"), long("y"));
    let words = |word: &str| format!("{}\n", format!("{word} ").repeat(50_000 * scale())).repeat(2);
    all_of_it("many words", words("ab"), words("ba"));
}

#[test]
fn equal_lines() {
    all_of_it("equal lines", "x\n".repeat(100_000 * scale()), "x\n".repeat(80_000 * scale()));
}

#[test]
fn two_sorts_of_lines() {
    all_of_it("two sorts", coins(1, 100_000 * scale()), coins(2, 80_000 * scale()));
}

#[test]
fn every_second_line_changed() {
    let every =
        |word: &str| (0..20_000 * scale()).map(|n| format!("line {n}\n{word} {n}\n")).collect::<String>();
    all_of_it("every second line", every("old"), every("new"));
}

#[test]
fn anchors_between_regions_as_large_as_they_may_be() {
    let regions = |seed: u64| {
        (0..2 * scale()).map(|n| format!("anchor {n}\n{}", coins(seed + n as u64, 2000))).collect::<String>()
    };
    all_of_it("regions", regions(1), regions(1000));
}

#[test]
fn anchors_that_show_themselves_one_at_a_time() {
    // Reversed unique lines: every split keeps one of them.
    let lines: Vec<String> = (0..10_000 * scale()).map(|n| format!("line {n}\n")).collect();
    all_of_it("reversed", lines.concat(), lines.iter().rev().cloned().collect());
}

#[test]
fn many_files_that_came_and_went() {
    let mut world = World::default();
    let count = 2_000 * scale();
    let started = Instant::now();
    let names: Vec<String> = (0..count).map(|n| format!("d/{n}")).collect();
    let tree = |world: &mut World, prefix: &str, text: &str| {
        let files: Vec<(String, String)> =
            names.iter().map(|name| (format!("{prefix}/{name}"), format!("{text} {name}\n"))).collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        world.tree(&files)
    };
    for (old, new) in [("same", "same"), ("one", "two")] {
        let (base, proposed) = (tree(&mut world, "old", old), tree(&mut world, "new", new));
        let table = diff(&base, &proposed, &world.blobs).unwrap();
        let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
        apply(&change, &LineSet::from_numbers((1..=table.count()).step_by(2)), &world.blobs).unwrap();
        let nothing = LineSet::default();
        let all = table.all();
        let request = Request { change, accepted: &all, applied: &nothing, parent: &base };
        let placing = place(&request, &id, &world.blobs).unwrap();
        assert_eq!(placing.placed, all);
    }
    println!("{count} files: {} ms", started.elapsed().as_millis());
}
