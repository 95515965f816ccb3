//! Tables that must not pass, choices that must not, and the exact operations of small changes.

use super::world::{World, id};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::lines::place::{Request, Why, place, placed_is_right};
use crate::domain::lines::table::{FileLines, Op, Table};
use crate::domain::lines::{Change, Clash, File, Files, LinesError, Mode, apply, diff};

fn path(text: &str) -> GitPath {
    GitPath::new(text)
}

fn lines(text: &str) -> LineSet {
    text.parse().unwrap()
}

/// The operations of a table as their JSON, file by file.
fn ops(table: &Table) -> Vec<String> {
    table
        .files()
        .iter()
        .map(|file| format!("{} {}", file.path, serde_json::to_string(&file.ops).unwrap()))
        .collect()
}

fn diff_of(base: &str, proposed: &str) -> String {
    let mut world = World::default();
    let (base, proposed) = (world.tree(&[("f", base)]), world.tree(&[("f", proposed)]));
    ops(&diff(&base, &proposed, &world.blobs).unwrap()).join("")
}

#[test]
fn small_changes_come_out_as_people_would_say_them() {
    for (base, proposed, expected) in [
        ("a\nb\nc\n", "a\nx\nb\nc\n", r#"f [["+",2,2,1]]"#),
        ("a\nb\nc\n", "a\nc\n", r#"f [["-",2,1]]"#),
        ("a\n", "a\nb\nc\n", r#"f [["+",2,2,2]]"#),
        ("let x = 1;\n", "let x = 2;\n", r#"f [["~",1,1,1]]"#),
        ("one two\n", "three four\n", r#"f [["-",1,1],["+",2,1,1]]"#),
        ("a\nb", "a\nb\n", r#"f [["~",2,2,1]]"#),
        ("a\nb\n", "a\r\nb\r\n", r#"f [["~",1,1,2]]"#),
        // Paired lines stay in place, what is new around them goes in before them or behind all that goes.
        ("f(a)\nz\n", "new\nf(a, b)\n", r#"f [["+",1,1,1],["~",1,2,1],["-",2,1]]"#),
        ("", "a\n", r#"f [["+",1,1,1]]"#),
        ("a\n", "", r#"f [["-",1,1]]"#),
        ("one\ntwo\nthree\nk1\nk2\nk3\nk4\n", "k1\nk2\nk3\nk4\none\ntwo\nthree\n", r#"f [[">",1,3,8,5]]"#),
        ("one\ntwo\nk1\nk2\nk3\nk4\n", "k1\nk2\nk3\nk4\none\ntwo\n", r#"f [["-",1,2],["+",7,5,2]]"#),
        ("a\0\n", "b\0\n", r#"f [["bytes"]]"#),
    ] {
        assert_eq!(diff_of(base, proposed), expected, "{base:?} to {proposed:?}");
    }
}

#[test]
fn whole_files_have_operations_of_their_own() {
    let mut world = World::default();
    let body = "first\nsecond\nthird\nfourth\n";
    let mut base =
        world.tree(&[("gone", "x\n"), ("old/a", body), ("mode", "m\n"), ("kind", "k\n"), ("same", "s\n")]);
    let mut proposed = world.tree(&[
        ("new", "n\n"),
        ("empty", ""),
        ("nulls", "\0"),
        ("new/a", "y"),
        ("mode", "m\nm2\n"),
        ("same", "s\n"),
    ]);
    proposed.remove(&path("new"));
    let edited = world.file(&format!("{body}fifth\n"));
    proposed.insert(path("new/a"), edited);
    proposed.get_mut(&path("mode")).unwrap().mode = Mode::Executable;
    let target = world.blob("same");
    proposed.insert(path("kind"), File { mode: Mode::Symlink, oid: target });
    let commit = |byte| File { mode: Mode::Submodule, oid: crate::domain::ids::Oid::Sha256([byte; 32]) };
    base.insert(path("sub"), commit(1));
    proposed.insert(path("sub"), commit(2));
    let table = diff(&base, &proposed, &world.blobs).unwrap();
    assert_eq!(
        ops(&table),
        [
            r#"empty [["file+"]]"#,
            r#"gone [["file-"]]"#,
            r#"kind [["type"]]"#,
            r#"mode [["cap","100644","100755"],["+",2,2,1]]"#,
            r#"new/a [["rename"],["+",5,5,1]]"#,
            r#"nulls [["file+"]]"#,
            r#"sub [["bytes"]]"#,
        ]
    );
    let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
    // The line of a renamed file without the rename applies to the old path.
    let number = *table.numbers_at(&path("old")).ranges().last().unwrap();
    let edits = apply(&change, &LineSet::from_numbers([number.1]), &world.blobs).unwrap();
    assert_eq!(edits.keys().collect::<Vec<_>>(), [&path("old/a")]);
    let counts = table.counts();
    assert_eq!((counts.count, counts.added, counts.files), (9, 2, 7));
}

#[test]
fn a_created_file_comes_with_any_of_its_lines() {
    let mut world = World::default();
    let (base, proposed) = (Files::new(), world.tree(&[("f", "a\nb\nc")]));
    let table = diff(&base, &proposed, &world.blobs).unwrap();
    let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
    for (chosen, expected) in [("1", ""), ("3", "b\n"), ("2,4", "a\nc"), ("4", "c")] {
        let edits = apply(&change, &lines(chosen), &world.blobs).unwrap();
        let tree = world.edited(&base, &edits);
        assert_eq!(world.bytes(&tree[&path("f")]), expected.as_bytes(), "{chosen}");
    }
}

#[test]
fn a_line_without_terminator_gets_one_where_another_follows() {
    for (base, proposed, chosen, expected) in [
        ("a\nb", "a\nb\nc", "2", "a\nb\nc"),
        ("a\r\nb", "a\r\nc", "2", "a\r\nb\r\nc"),
        ("x", "y", "2", "x\ny"),
        ("x", "y", "1", ""),
    ] {
        let mut world = World::default();
        let (base, proposed) = (world.tree(&[("f", base)]), world.tree(&[("f", proposed)]));
        let table = diff(&base, &proposed, &world.blobs).unwrap();
        let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
        let edits = apply(&change, &lines(chosen), &world.blobs).unwrap();
        let tree = world.edited(&base, &edits);
        assert_eq!(String::from_utf8_lossy(&world.bytes(&tree[&path("f")])), expected, "{:?}", ops(&table));
    }
}

/// A table from path, base and proposed paths' blobs and operations as JSON.
fn table(files: &[(&str, Option<&str>, &Files, &Files, &str)]) -> Result<Table, String> {
    let mut next = 1;
    let files = files
        .iter()
        .map(|(name, old_path, base, proposed, ops)| {
            let ops: Vec<Op> = serde_json::from_str(ops).unwrap();
            let file = FileLines {
                path: path(name),
                old_path: old_path.map(path),
                base: base.get(&path(old_path.unwrap_or(name))).map(|file| file.oid),
                proposed: proposed.get(&path(name)).map(|file| file.oid),
                first: next,
                ops,
                from_lines: None,
            };
            let count = file.ops.iter().map(Op::numbers).fold(0, u64::saturating_add);
            next = u64::saturating_add(next, count);
            file
        })
        .collect();
    Table::new(files).map_err(|error| error.to_string())
}

#[test]
fn forged_operations_are_refused_by_file_and_operation() {
    let mut world = World::default();
    let base = world.tree(&[("f", "a\nb\nc\nd\ne\nf\n")]);
    let proposed = world.tree(&[("f", "a\nB\nC\nd\ne\nf\n")]);
    for (ops, problem) in [
        ("[]", "`f`: a file without operations"),
        (
            r#"[["-",2,2],["~",3,3,1]]"#,
            "`f`, operation 2: base lines that an operation before it takes out too, or out of order",
        ),
        (r#"[["~",2,2,1],["~",3,2,1]]"#, "`f`, operation 2: proposed lines that another operation gives too"),
        (
            r#"[["~",2,2,1],["~",3,3,1]]"#,
            "`f`, operation 2: continues the operation before it and belongs into that",
        ),
        (
            r#"[["~",3,3,1],["~",2,2,1]]"#,
            "`f`, operation 2: base lines that an operation before it takes out too, or out of order",
        ),
        (r#"[["+",2,3,1],["+",2,2,1]]"#, "`f`, operation 2: operations are not in their order, each once"),
        (r#"[["~",2,2,0]]"#, "`f`, operation 1: a line or range of lines that cannot be"),
        (r#"[["~",0,2,1]]"#, "`f`, operation 1: a line or range of lines that cannot be"),
        (r#"[["~",2,9007199254740992,1]]"#, "`f`, operation 1: a line or range of lines that cannot be"),
        (r#"[["-",2,18446744073709551615]]"#, "`f`, operation 1: a line or range of lines that cannot be"),
        (r#"[[">",1,2,5,1]]"#, "`f`, operation 1: a move of fewer than three lines"),
        (r#"[[">",1,3,4,1]]"#, "`f`, operation 1: a move to where the block is"),
        (r#"[["-",1,3],["+",2,2,1]]"#, "`f`, operation 1: another operation puts lines in between its lines"),
        (r#"[["file-"],["-",1,1]]"#, "`f`: `file+` or `file-` on a file that is there before and after"),
        (r#"[["bytes"],["-",1,1]]"#, "`f`: `bytes` and operations on lines in one file"),
        (r#"[["type"],["cap","100644","100755"]]"#, "`f`: `type` stands alone"),
        (r#"[["cap","100644","100644"],["-",1,1]]"#, "`f`, operation 1: `cap` between equal modes"),
        (
            r#"[["cap","100644","100755"]]"#,
            "`f`: `base` is not `proposed`, yet no operation changes the content",
        ),
        (r#"[["rename"],["-",1,1]]"#, "`f`: `old_path` and `rename` come together or not at all"),
        (r#"[["-",1,1],["bytes"]]"#, "`f`, operation 2: operations are not in their order, each once"),
    ] {
        assert_eq!(table(&[("f", None, &base, &proposed, ops)]), Err(problem.to_owned()), "{ops}");
    }
    for (ops, problem) in [
        (r#"[["~",2,2,9]]"#, "`f`, operation 1: beyond the 6 lines of the base file"),
        (r#"[["+",8,2,1]]"#, "`f`, operation 1: beyond the 6 lines of the base file"),
        (r#"[["+",2,6,2]]"#, "`f`, operation 1: beyond the 6 lines of the proposed file"),
        (r#"[["~",2,2,1]]"#, "`f`: all lines together do not give the proposed file"),
        (r#"[["cap","100644","100755"],["~",2,2,2]]"#, "`f`: `cap` is not the change of the executable bit"),
        (r#"[["bytes"]]"#, "`f`: taken whole where it has lines"),
        (r#"[["type"]]"#, "`f`: `type` stands where the type changes and nowhere else"),
    ] {
        let table = table(&[("f", None, &base, &proposed, ops)]).unwrap();
        let error = Change::check(&table, &base, &proposed, &world.blobs).unwrap_err();
        assert_eq!(error.to_string(), problem, "{ops}");
    }
    let empty = Table::default();
    let error = Change::check(&empty, &base, &proposed, &world.blobs).unwrap_err();
    assert_eq!(error.to_string(), "`f`: a changed file that the table leaves out");
}

#[test]
fn forged_paths_are_refused() {
    let mut world = World::default();
    for (name, problem) in [
        ("../x", "`../x`: `.` or `..` in the path"),
        (".git/hooks/pre-commit", "`.git/hooks/pre-commit`: `.git` in the path, openly or in disguise"),
        ("a\n/.GIT ", "`a\\n/.GIT `: `.git` in the path, openly or in disguise"),
    ] {
        let proposed = world.tree(&[(name, "x\n")]);
        let ops = r#"[["file+"],["+",1,1,1]]"#;
        assert_eq!(table(&[(name, None, &Files::new(), &proposed, ops)]), Err(problem.to_owned()));
        assert!(diff(&Files::new(), &proposed, &world.blobs).is_err());
    }
    // A link in the way of a folder is a file in the way of a folder.
    let link = File { mode: Mode::Symlink, oid: world.blob("/etc") };
    let mut proposed = world.tree(&[("etc/passwd", "x\n")]);
    proposed.insert(path("etc"), link);
    let table = diff(&Files::new(), &proposed, &world.blobs).unwrap();
    let error = Change::check(&table, &Files::new(), &proposed, &world.blobs).unwrap_err();
    assert_eq!(error.to_string(), "`etc`: a file where `etc/passwd` needs a folder");
    let base = [(path("etc"), link)].into_iter().collect();
    proposed.remove(&path("etc"));
    let table = diff(&base, &proposed, &world.blobs).unwrap();
    let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
    let refused = apply(&change, &table.numbers_at(&path("etc/passwd")), &world.blobs);
    assert!(matches!(refused, Err(LinesError::Clash(_))), "{refused:?}");
    let device = world.tree(&[("aux.c", "x\n")]);
    let table = diff(&Files::new(), &device, &world.blobs).unwrap();
    assert!(Change::check(&table, &Files::new(), &device, &world.blobs).is_err());
    let changed = world.tree(&[("aux.c", "y\n")]);
    let table = diff(&device, &changed, &world.blobs).unwrap();
    assert!(Change::check(&table, &device, &changed, &world.blobs).is_ok(), "one that is there may change");
}

#[test]
fn half_a_swap_names_the_other_half() {
    let mut world = World::default();
    let base = world.tree(&[("a", "one\n"), ("b", "two\n"), ("c", "three\n")]);
    let proposed = world.tree(&[("b", "one\n"), ("c", "two\n"), ("a", "three\n")]);
    let table = table(&[
        ("a", Some("c"), &base, &proposed, r#"[["rename"]]"#),
        ("b", Some("a"), &base, &proposed, r#"[["rename"]]"#),
        ("c", Some("b"), &base, &proposed, r#"[["rename"]]"#),
    ])
    .unwrap();
    let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
    let clash = |chosen: &str| match apply(&change, &lines(chosen), &world.blobs) {
        Err(LinesError::Clash(Clash { needs, .. })) => needs.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!((clash("1"), clash("2"), clash("1-2")), ("2-3".into(), "1,3".into(), "3".into()));
    assert_eq!(apply(&change, &lines("1-3"), &world.blobs).unwrap().len(), 3);
    // Only one of them in the table leaves changed files out.
    let half = Table::new(vec![table.files()[0].clone()]).unwrap();
    assert!(Change::check(&half, &base, &proposed, &world.blobs).is_err());
}

#[test]
fn bytes_of_a_table_have_one_spelling() {
    let mut world = World::default();
    let (base, proposed) = (world.tree(&[("f", "a\nb\n")]), world.tree(&[("f", "a\nc\n"), ("g", "")]));
    let bytes = diff(&base, &proposed, &world.blobs).unwrap().write().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let (old, new, empty) = (id(b"a\nb\n"), id(b"a\nc\n"), id(b""));
    assert_eq!(
        text,
        format!(
            r#"{{"files":[{{"base":"{old}","first":1,"ops":[["-",2,1],["+",3,2,1]],"path":"f","proposed":"{new}"}},{{"base":null,"first":3,"ops":[["file+"]],"path":"g","proposed":"{empty}"}}]}}"#
        )
    );
    assert!(Table::read(&bytes).is_ok());
    assert!(crate::domain::canonical::read(&bytes).is_ok(), "it is canonical JSON like a body");
    for (from, to) in [
        (",", ", "),
        (r#""first":1,"#, ""),
        (r#""first":1"#, r#""first":1.0"#),
        (r#""first":1"#, r#""first":01"#),
        (r#""first":1"#, r#""first":1,"first":1"#),
        (r#""first":1"#, r#""first":2"#),
        (r#""first":1"#, r#""first":-1"#),
        (r#""base":null,"#, ""),
        (r#""path":"f""#, r#""path":"\u0066""#),
        (r#""path":"f""#, r#""path":{"b64":"Zg=="}"#),
        (r#""path":"f""#, r#""path":"f","x":1"#),
        (r#"["-",2,1]"#, r#"["-",2,1,1]"#),
        (r#"["-",2,1]"#, r#"["-",2]"#),
        (r#"["-",2,1]"#, r#"["?",2,1]"#),
        (r#"["-",2,1]"#, r#"{"-":[2,1]}"#),
        (r#""ops""#, r#""from_lines":[1,2],"ops""#),
        (r#""ops""#, r#""old_path":null,"ops""#),
        (r#"]}"#, "]}\n"),
    ] {
        let forged = text.replacen(from, to, 1);
        assert_ne!(forged, text);
        assert!(Table::read(forged.as_bytes()).is_err(), "{forged}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(table) = Table::read(&flipped) {
                assert_eq!(table.write().unwrap(), flipped);
                assert!(
                    Change::check(&table, &base, &proposed, &world.blobs).is_err(),
                    "byte {at}, bit {bit}"
                );
            }
        }
    }
}

#[test]
fn a_moved_base_keeps_lines_that_fit_and_names_the_others() {
    let text = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut world = World::default();
    let base = world.tree(&[("f", &text(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]))]);
    let proposed =
        world.tree(&[("f", &text(&["1", "2", "3", "new", "4", "5", "6", "7", "8", "9", "10", "11"]))]);
    let table = diff(&base, &proposed, &world.blobs).unwrap();
    assert_eq!(ops(&table), [r#"f [["+",4,4,1],["-",12,1]]"#]);
    let change = Change::check(&table, &base, &proposed, &world.blobs).unwrap();
    let nothing = LineSet::default();
    let all = table.all();
    let mut outcome = |parent: &[&str]| {
        let parent = world.tree(&[("f", &text(parent))]);
        let request = Request { change, accepted: &all, applied: &nothing, parent: &parent };
        let placing = place(&request, &id, &world.blobs).unwrap();
        let result = world.edited(&parent, &placing.edits);
        placed_is_right(&request, &placing.table, &result, &world.blobs).unwrap();
        let why: Vec<Why> = placing.conflicts.iter().map(|conflict| conflict.why).collect();
        (ops(&placing.table).join(""), placing.there.to_string(), why)
    };
    let moved = ["0", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    assert_eq!(outcome(&moved), (r#"f [["+",6,6,1],["-",14,1]]"#.into(), String::new(), vec![]));
    let there = ["0", "1", "2", "3", "new", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    assert_eq!(outcome(&there), (r#"f [["-",14,1]]"#.into(), "1".into(), vec![]));
    let changed = ["1", "2", "3", "4", "x", "6", "7", "8", "9", "10", "11", "12"];
    assert_eq!(outcome(&changed), (r#"f [["-",12,1]]"#.into(), String::new(), vec![Why::Changed]));
    let twice = ["1", "2", "3", "4", "5", "6", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    assert_eq!(outcome(&twice), (r#"f [["-",18,1]]"#.into(), String::new(), vec![Why::Ambiguous]));
    let turned = ["7", "8", "9", "10", "11", "12", "1", "2", "3", "4", "5", "6"];
    assert_eq!(outcome(&turned).2, [Why::Order]);
}

#[test]
fn a_file_created_on_a_moved_base_holds_no_more_than_was_accepted() {
    let mut world = World::default();
    let (base, proposed) = (Files::new(), world.tree(&[("f", "a\nb")]));
    let own = diff(&base, &proposed, &world.blobs).unwrap();
    let change = Change::check(&own, &base, &proposed, &world.blobs).unwrap();
    let (all, nothing) = (own.all(), LineSet::default());
    let request = Request { change, accepted: &all, applied: &nothing, parent: &base };
    let mut judge = |content: &str, ops: &str, from: Vec<u64>| {
        let result = world.tree(&[("f", content)]);
        let mut files = table(&[("f", None, &base, &result, ops)]).unwrap().files().to_vec();
        files[0].from_lines = Some(from);
        let placed = Table::new_placed(files).unwrap();
        placed_is_right(&request, &placed, &result, &world.blobs).map_err(|error| error.to_string())
    };
    assert_eq!(judge("a\nb", r#"[["file+"],["+",1,1,2]]"#, vec![1, 2, 3]), Ok(()));
    assert_eq!(judge("", r#"[["file+"]]"#, vec![1]), Ok(()));
    assert_eq!(
        judge("\0", r#"[["file+"]]"#, vec![1]),
        Err("`f`, operation 1: does something else than was accepted".into())
    );
    assert_eq!(
        judge("a\nb\n", r#"[["file+"],["+",1,1,2]]"#, vec![1, 2, 3]),
        Err("`f`, operation 2: puts in other lines than were accepted".into())
    );
    assert!(judge("b", r#"[["file+"],["+",1,1,1]]"#, vec![1, 2]).is_err());
}
