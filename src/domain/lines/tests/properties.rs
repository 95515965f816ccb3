//! What holds for any two trees, any choice, any later revision and any moved base.

use super::naive::naive;
use super::world::{Random, World, cases, choice, edited, id, tree};
use crate::domain::fact::values::LineSet;
use crate::domain::lines::place::{Request, place, placed_is_right};
use crate::domain::lines::table::{FileLines, Op, Table};
use crate::domain::lines::{Change, Clash, Files, LinesError, apply, carry, diff};

fn numbers(lines: &LineSet) -> Vec<u64> {
    lines.ranges().iter().flat_map(|(low, high)| *low..=*high).collect()
}

/// What `chosen` makes of the base; none where paths clash, after a look at what the clash says.
fn try_apply(world: &mut World, change: &Change, chosen: &LineSet) -> Option<Files> {
    match apply(change, chosen, &world.blobs) {
        Ok(edits) => Some(world.edited(change.base, &edits)),
        Err(LinesError::Clash(Clash { needs, .. })) => {
            assert!(!needs.is_empty() && numbers(&needs).iter().all(|number| !chosen.contains(*number)));
            let edits =
                apply(change, &chosen.union(&needs), &world.blobs).expect("with what it needs it goes");
            world.edited(change.base, &edits);
            // None of them can be done without.
            for number in numbers(&needs) {
                let less = LineSet::from_numbers(
                    numbers(&chosen.union(&needs)).into_iter().filter(|n| *n != number),
                );
                assert!(matches!(apply(change, &less, &world.blobs), Err(LinesError::Clash(_))));
            }
            None
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn all_lines_give_the_proposal_and_none_the_base() {
    for case in 0..cases(400) {
        let (mut random, mut world) = (Random::new(case), World::default());
        let base = tree(&mut random, &mut world);
        let proposed = edited(&mut random, &mut world, &base);
        let table = diff(&base, &proposed, &world.blobs).unwrap();
        assert_eq!(table, diff(&base, &proposed, &world.blobs).unwrap(), "case {case}");
        assert_eq!(Table::read(&table.write().unwrap()).as_ref(), Ok(&table), "case {case}");
        let change = Change::check(&table, &base, &proposed, &world.blobs)
            .unwrap_or_else(|error| panic!("case {case}: {error}"));
        assert_eq!(try_apply(&mut world, &change, &table.all()).as_ref(), Some(&proposed), "case {case}");
        assert!(apply(&change, &LineSet::default(), &world.blobs).unwrap().is_empty());
        // Equal files may be left out.
        let differs = |path: &_| base.get(path) != proposed.get(path);
        let only =
            |tree: &Files| tree.clone().into_iter().filter(|(path, _)| differs(path)).collect::<Files>();
        assert_eq!(diff(&only(&base), &only(&proposed), &world.blobs).unwrap(), table);
        let beyond = LineSet::from_numbers([table.count() + 1]);
        assert_eq!(apply(&change, &beyond, &world.blobs), Err(LinesError::Unknown(beyond.clone())));
        let found = super::super::Numbers::of(&table);
        for number in 1..=table.count() {
            let line = found.find(number).expect("every number up to the count is given out");
            let before: u64 = line.file.ops[..line.op].iter().map(Op::numbers).sum();
            assert_eq!(line.file.first + before + line.offset, number);
        }
        assert_eq!(found.find(0), None);
        assert_eq!(found.find(table.count() + 1), None);
    }
}

/// Trees but for the terminators that an earlier round had to give: one that a last line got stays, and is that of
/// the file as it was in that round.
fn but_for_terminators(world: &World, tree: &Files) -> Vec<(String, crate::domain::lines::Mode, Vec<u8>)> {
    tree.iter()
        .map(|(path, file)| {
            let mut bytes = world.bytes(file);
            bytes.retain(|byte| *byte != b'\r');
            bytes.pop_if(|last| *last == b'\n');
            (format!("{path:?}"), file.mode, bytes)
        })
        .collect()
}

#[test]
fn rounds_and_their_order_make_no_difference() {
    let (mut tried, mut whole) = (0, 0);
    for case in 0..cases(400) {
        let (mut random, mut world) = (Random::new(case), World::default());
        let base = tree(&mut random, &mut world);
        let proposed = edited(&mut random, &mut world, &base);
        let table = diff(&base, &proposed, &world.blobs).unwrap();
        let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
        let (one, two) = (choice(&mut random, table.count()), choice(&mut random, table.count()));
        let Some(together) = try_apply(&mut world, &change, &one.union(&two)) else { continue };
        for (first, second) in [(&one, &two), (&two, &one)] {
            let Some(parent) = try_apply(&mut world, &change, first) else { continue };
            let request = Request { change, accepted: second, applied: first, parent: &parent };
            let placing = place(&request, &id, &world.blobs).unwrap();
            assert_eq!(placing.conflicts, [], "case {case}: {first} then {second} of {:#?}", table.files());
            let result = world.edited(&parent, &placing.edits);
            assert_eq!(
                but_for_terminators(&world, &result),
                but_for_terminators(&world, &together),
                "case {case}: {first} then {second} of {:#?}",
                table.files()
            );
            placed_is_right(&request, &placing.table, &result, &world.blobs)
                .unwrap_or_else(|error| panic!("case {case}: {error}"));
            tried += 1;
            whole += usize::from(result == together);
        }
    }
    println!(
        "{tried} pairs of rounds, {whole} of them equal to the last byte, the rest but for a terminator"
    );
    assert!(whole * 100 >= tried * 97, "{whole} of {tried}");
}

/// A random change to one place of a table.
fn forged(random: &mut Random, table: &Table) -> Vec<FileLines> {
    let mut files = table.files().to_vec();
    let index = random.below(files.len());
    let file = &mut files[index];
    let op = random.below(file.ops.len());
    let nudge = |random: &mut Random, value: u64| (value + random.below(5) as u64).saturating_sub(2);
    match random.below(9) {
        0 => drop(file.ops.remove(op)),
        1 => file.ops.insert(op, file.ops[op]),
        2 => file.first = nudge(random, file.first),
        3 if random.once_in(4) => drop(files.remove(index)),
        4 => {
            let other = random.below(file.ops.len());
            file.ops.swap(op, other);
        }
        5 => std::mem::swap(&mut file.base, &mut file.proposed),
        _ => match &mut file.ops[op] {
            Op::Add { at, from, n } | Op::Mutate { at, from, n } => {
                let which = random.below(3);
                let value = [at, from, n].into_iter().nth(which).unwrap();
                *value = nudge(random, *value);
            }
            Op::Remove { at, n } => {
                let which = random.below(2);
                let value = [at, n].into_iter().nth(which).unwrap();
                *value = nudge(random, *value);
            }
            Op::Move { at, n, to, from } => {
                let which = random.below(4);
                let value = [at, n, to, from].into_iter().nth(which).unwrap();
                *value = nudge(random, *value);
            }
            Op::Cap { from, to } => std::mem::swap(from, to),
            other => *other = *random.pick(&[Op::Create, Op::Delete, Op::Bytes, Op::Type, Op::Rename]),
        },
    }
    // Numbers that follow on are no protection: a forger counts too.
    if random.once_in(2) {
        let mut next = 1u64;
        for file in &mut files {
            file.first = next;
            next = next.saturating_add(file.ops.iter().map(Op::numbers).fold(0, u64::saturating_add));
        }
    }
    files
}

#[test]
fn forged_tables_are_refused_or_say_the_same() {
    let (mut tried, mut refused) = (0, 0);
    for case in 0..cases(600) {
        let (mut random, mut world) = (Random::new(case), World::default());
        let base = tree(&mut random, &mut world);
        let proposed = edited(&mut random, &mut world, &base);
        let table = diff(&base, &proposed, &world.blobs).unwrap();
        if table.files().is_empty() {
            continue;
        }
        let files = forged(&mut random, &table);
        if files == table.files() {
            continue;
        }
        tried += 1;
        let Ok(forged) = Table::new(files) else {
            refused += 1;
            continue;
        };
        assert_eq!(Table::read(&forged.write().unwrap()).as_ref(), Ok(&forged), "case {case}");
        let Ok(change) = Change::check(&forged, &base, &proposed, &world.blobs) else {
            refused += 1;
            continue;
        };
        // Another way to say it is fine as long as it leads to the same tree, also to an independent reader.
        assert_eq!(try_apply(&mut world, &change, &forged.all()).as_ref(), Some(&proposed), "case {case}");
        for file in forged.files().iter().filter(|file| file.ops.iter().any(Op::is_text)) {
            let (before, after) = change.sides(file).unwrap();
            let bytes = |side: Option<_>| side.map(|side| world.bytes(&side)).unwrap_or_default();
            let given = naive(&bytes(before), &bytes(after), file, &file.all());
            assert_eq!(given, Some(bytes(after)), "case {case}: {file:?}");
        }
        let some = choice(&mut random, forged.count());
        try_apply(&mut world, &change, &some);
    }
    println!("{tried} forged tables, {refused} refused, the others lead to the proposed tree all the same");
    assert!(refused * 10 >= tried * 8, "{refused} of {tried}");
}

#[test]
fn carried_decisions_do_what_they_did() {
    let mut carried_lines = 0;
    for case in 0..cases(400) {
        let (mut random, mut world) = (Random::new(case), World::default());
        let base = tree(&mut random, &mut world);
        let one = edited(&mut random, &mut world, &base);
        let base_two = if random.once_in(4) { edited(&mut random, &mut world, &base) } else { base.clone() };
        let from = if random.once_in(3) { &base_two } else { &one };
        let two = edited(&mut random, &mut world, from);
        let table_one = diff(&base, &one, &world.blobs).unwrap();
        let table_two = diff(&base_two, &two, &world.blobs).unwrap();
        let change_one = Change::check(&table_one, &base, &one, &world.blobs).unwrap();
        let change_two = Change::check(&table_two, &base_two, &two, &world.blobs).unwrap();
        let same = carry(&change_one, &change_one, &world.blobs).unwrap();
        assert_eq!(same.forward(&table_one.all()), table_one.all(), "a revision that changes nothing");
        let carried = carry(&change_one, &change_two, &world.blobs).unwrap();
        let accepted = choice(&mut random, table_one.count());
        let after = carried.forward(&accepted);
        carried_lines += after.len();
        let back = numbers(&accepted)
            .into_iter()
            .filter(|number| !carried.forward(&LineSet::from_numbers([*number])).is_empty());
        let before = LineSet::from_numbers(back);
        assert_eq!(before.len(), after.len(), "one to one");
        let (Ok(edits_one), Ok(edits_two)) =
            (apply(&change_one, &before, &world.blobs), apply(&change_two, &after, &world.blobs))
        else {
            continue;
        };
        // Contents that all lines of a file give are blobs; those of fewer are bytes.
        let known = |edits: &crate::domain::lines::Edits, world: &World| -> Vec<_> {
            let bytes = |content: &crate::domain::lines::Content| match content {
                crate::domain::lines::Content::Blob(oid) => world.blobs[oid].clone(),
                crate::domain::lines::Content::Bytes(bytes) => bytes.clone(),
            };
            edits
                .iter()
                .map(|(path, written)| (path.clone(), written.as_ref().map(|w| (w.mode, bytes(&w.content)))))
                .collect()
        };
        // The executable bit is the base's where no line changes it.
        if base == base_two {
            assert_eq!(
                known(&edits_one, &world),
                known(&edits_two, &world),
                "case {case}: {before} as {after}\n{:#?}\n{:#?}",
                table_one.files(),
                table_two.files()
            );
        }
    }
    println!("{carried_lines} decided lines carried over");
    assert!(carried_lines > 0);
}

#[test]
fn placed_lines_pass_the_check_and_what_passes_does_what_was_accepted() {
    let (mut placed, mut there, mut conflicts, mut strange) = (0, 0, 0, [0; 2]);
    for case in 0..cases(500) {
        let (mut random, mut world) = (Random::new(case), World::default());
        let base = tree(&mut random, &mut world);
        let proposed = edited(&mut random, &mut world, &base);
        let other = edited(&mut random, &mut world, &proposed);
        let from = if random.once_in(5) { &proposed } else { &base };
        let parent = edited(&mut random, &mut world, from);
        let table = diff(&base, &proposed, &world.blobs).unwrap();
        let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
        let accepted = choice(&mut random, table.count());
        let applied = if random.once_in(3) { choice(&mut random, table.count()) } else { LineSet::default() };
        let request = Request { change, accepted: &accepted, applied: &applied, parent: &parent };
        let placing = place(&request, &id, &world.blobs)
            .unwrap_or_else(|error| panic!("case {case}: {error}\n{:#?}", table.files()));
        let result = world.edited(&parent, &placing.edits);
        placed_is_right(&request, &placing.table, &result, &world.blobs).unwrap_or_else(|error| {
            panic!("case {case}: {error}\n{:#?}\n{:#?}", table.files(), placing.table.files())
        });
        assert_eq!(Table::read_placed(&placing.table.write().unwrap()).as_ref(), Ok(&placing.table));
        let again = Change::check(&placing.table, &parent, &result, &world.blobs).unwrap();
        assert_eq!(
            try_apply(&mut world, &again, &placing.table.all()).as_ref(),
            Some(&result),
            "case {case}"
        );
        // Every accepted line is accounted for once.
        let mut all = [numbers(&placing.placed), numbers(&placing.there)].concat();
        all.extend(placing.conflicts.iter().flat_map(|conflict| numbers(&conflict.lines)));
        all.sort_unstable();
        assert_eq!(all, numbers(&accepted.minus(&applied)), "case {case}");
        placed += placing.placed.len();
        there += placing.there.len();
        conflicts += all.len() as u64 - placing.placed.len() - placing.there.len();

        // Lines of another proposal under the numbers of this one.
        let table_two = diff(&base, &other, &world.blobs).unwrap();
        let change_two = Change::check(&table_two, &base, &other, &world.blobs).unwrap();
        let chosen = choice(&mut random, table_two.count());
        let nothing = LineSet::default();
        let theirs = Request { change: change_two, accepted: &chosen, applied: &nothing, parent: &parent };
        let foreign = place(&theirs, &id, &world.blobs).unwrap();
        let foreign_result = world.edited(&parent, &foreign.edits);
        let everything = table.all();
        let mut files = foreign.table.files().to_vec();
        if random.once_in(2) && !files.is_empty() && table.count() > 0 {
            // The numbers of the accepted file that looks like it.
            for file in &mut files {
                let Some(like) = table.files().iter().find(|like| like.path == file.path) else { continue };
                let start = like.first + random.below(like.count() as usize) as u64;
                let count = file.count();
                file.from_lines = Some((start..start + count).collect());
            }
        }
        if let Ok(forged) = Table::new_placed(files)
            && !forged.files().is_empty()
        {
            let request = Request { change, accepted: &everything, applied: &nothing, parent: &parent };
            strange[0] += 1;
            if placed_is_right(&request, &forged, &foreign_result, &world.blobs).is_ok() {
                strange[1] += 1;
                let claimed =
                    forged.files().iter().flat_map(|file| file.from_lines.clone().unwrap_or_default());
                let claimed = LineSet::from_numbers(claimed);
                let honest = Request { change, accepted: &claimed, applied: &nothing, parent: &parent };
                let honest = place(&honest, &id, &world.blobs).unwrap();
                let honest_result = world.edited(&parent, &honest.edits);
                assert_eq!(
                    honest_result,
                    foreign_result,
                    "case {case}: {claimed} of {:#?}\n{:#?}",
                    table.files(),
                    forged.files()
                );
            }
        }
    }
    println!("{placed} lines placed, {there} there already, {conflicts} no longer fitting");
    println!("{} tables of other proposals, {} right because they do the same", strange[0], strange[1]);
    assert!(placed > 0 && there > 0 && conflicts > 0);
}

#[test]
fn the_same_lines_at_another_place_are_refused() {
    let mut refused = 0;
    for case in 0..cases(300) {
        let (mut random, mut world) = (Random::new(case), World::default());
        let mut lines = super::world::text(&mut random);
        let base: Files = [(crate::domain::fact::values::GitPath::new("f"), lines.concat())]
            .into_iter()
            .map(|(path, bytes)| {
                (
                    path,
                    crate::domain::lines::File {
                        mode: crate::domain::lines::Mode::File,
                        oid: world.blob(bytes),
                    },
                )
            })
            .collect();
        let version = |world: &mut World, lines: &[Vec<u8>]| -> Files {
            let oid = world.blob(lines.concat());
            base.iter()
                .map(|(path, file)| (path.clone(), crate::domain::lines::File { oid, ..*file }))
                .collect()
        };
        let mut wanted = lines.clone();
        super::world::edit(&mut random, &mut wanted);
        let proposed = version(&mut world, &wanted);
        super::world::edit(&mut random, &mut lines);
        let parent = if random.once_in(3) { base.clone() } else { version(&mut world, &lines) };
        let table = diff(&base, &proposed, &world.blobs).unwrap();
        let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
        // One line alone, so that it has the same number in the parent's lines and in the result's.
        let accepted = LineSet::from_numbers([1 + random.below(table.count() as usize) as u64]);
        if accepted.last() > Some(table.count()) {
            continue;
        }
        let nothing = LineSet::default();
        let request = Request { change, accepted: &accepted, applied: &nothing, parent: &parent };
        let placing = place(&request, &id, &world.blobs).unwrap();
        let [file] = placing.table.files() else { continue };
        let [right] = file.ops[..] else { continue };
        let now = super::world::split(&world.bytes(&parent.values().next().unwrap().clone()));
        for at in 1..=now.len() as u64 + 1 {
            let (op, put) = match right {
                Op::Add { from, .. } => (Op::Add { at, from: at, n: 1 }, Some(from)),
                Op::Mutate { from, .. } => (Op::Mutate { at, from: at, n: 1 }, Some(from)),
                Op::Remove { .. } => (Op::Remove { at, n: 1 }, None),
                _ => continue,
            };
            if op == right || op.takes().is_some() && at > now.len() as u64 {
                continue;
            }
            let result_file = world.edited(&parent, &placing.edits).values().next().copied().unwrap();
            let result_lines = super::world::split(&world.bytes(&result_file));
            let mut then = now.clone();
            let mut new = put.map(|from| result_lines[from as usize - 1].clone());
            if let Some(line) = &mut new
                && !line.ends_with(b"\n")
                && at <= now.len() as u64
            {
                line.push(b'\n');
            }
            let until = if op.takes().is_some() { at as usize } else { at as usize - 1 };
            then.splice(at as usize - 1..until, new);
            let result = version(&mut world, &then);
            let mut moved = file.clone();
            moved.ops = vec![op];
            moved.proposed = Some(result.values().next().unwrap().oid);
            let Ok(moved) = Table::new_placed(vec![moved]) else { continue };
            if let Ok(()) = placed_is_right(&request, &moved, &result, &world.blobs) {
                panic!("case {case}: {right:?} passes as {op:?} in {:#?}", table.files());
            }
            refused += 1;
        }
    }
    println!("{refused} placings beside the right place refused");
    assert!(refused > 0);
}
