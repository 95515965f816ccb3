//! The state held against an independent reading of the same keys, and what is drawn of it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::draw::{draw, fit};
use super::keys::{self, HELP};
use super::model::{Effect, Leaving, Mode, Model};
use crate::commands::lines_view::{FileView, LineView};
use crate::commands::review::{Beside, Sitting, Surroundings};
use crate::domain::fact::values::LineSet;
use crate::domain::ids::{Digest, EntryRef};
use crate::domain::review::{Verdict, Verdicts};

/// A line of some sort: what it does turns with its number.
fn line(number: u64, state: &'static str) -> LineView {
    let op = ["mutate", "add", "remove", "move", "cap"][usize::try_from(number % 5).unwrap()];
    let has = |ops: &[&str], text: String| ops.contains(&op).then_some(text);
    LineView {
        line: number,
        op,
        state: Some(state),
        base_line: Some(number),
        proposed_line: Some(number),
        old: has(&["mutate", "remove", "cap"], format!("old {number}")),
        new: has(&["mutate", "add", "cap"], format!("new {number}")),
        old_lacks_newline: false,
        new_lacks_newline: false,
        count: (op == "move").then_some(3),
        exact: number != 11,
    }
}

/// Files with so many lines each, the lines with these states in turn.
fn sitting(files: &[u64], states: &[&'static str]) -> Sitting {
    let mut next = 1;
    let mut views = Vec::new();
    for (index, count) in files.iter().enumerate() {
        let lines = next..next + count;
        let state = |number: u64| states[usize::try_from(number).unwrap() % states.len()];
        views.push(FileView {
            path: format!("src/file{index}.rs"),
            old_path: (index == 1).then(|| "old name".to_owned()),
            sensitive: if index == 1 { vec!["runs when built".into()] } else { Vec::new() },
            lines: lines.map(|number| line(number, state(number))).collect(),
        });
        next += count;
    }
    let chain = "01M7YX0Q2N121PN3TDTKZK37S8".parse().unwrap();
    let pending = views.iter().flat_map(|file| &file.lines).filter(|line| line.state == Some("pending"));
    Sitting {
        receipt: "01M7YX0Q4QHXMHB14A1450D38G".parse().unwrap(),
        entry: EntryRef { chain, seq: 1, digest: Digest::of(b"") },
        revision: 1,
        summary: "Tidy up".into(),
        pending: LineSet::from_numbers(pending.map(|line| line.line)),
        files: views,
        around: Vec::new(),
        kept: None,
        decisions: Vec::new(),
    }
}

/// The same with lines that stay beside some of those that do not.
fn surrounded(mut sitting: Sitting) -> Sitting {
    let stays = |number: u64| Beside::Line(format!("stays {number}"));
    let above = |line: &LineView| {
        let gap = (line.line % 4 == 3).then_some(Beside::Gap);
        (0..line.line % 3).map(stays).chain(gap).chain((0..line.line % 4).map(stays)).collect()
    };
    sitting.around = sitting
        .files
        .iter()
        .map(|file| Surroundings {
            above: file.lines.iter().map(above).collect(),
            below: (0..file.lines.len() as u64 % 4).map(stays).collect(),
        })
        .collect();
    sitting
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

fn press(model: &mut Model, keys: &str) -> Effect {
    let codes = keys.chars().map(|c| match c {
        '\r' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        '\t' => KeyCode::Tab,
        c => KeyCode::Char(c),
    });
    codes.fold(Effect::None, |_, code| model.press(key(code)))
}

fn said(model: &Model) -> BTreeMap<u64, Verdict> {
    model.said().iter().map(|(line, verdict)| (line, verdict.clone())).collect()
}

/// Any key that a terminal can send, the meaningful ones more often.
fn any_key() -> impl Strategy<Value = KeyEvent> {
    let letters = "ynadeuyneujkJgG[]/NP?qscdkyn 漢x\t".chars().collect::<Vec<_>>();
    let codes = vec![
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Backspace,
        KeyCode::Delete,
        KeyCode::F(5),
        KeyCode::Null,
    ];
    prop_oneof![
        6 => prop::sample::select(letters).prop_map(|c| key(KeyCode::Char(c))),
        2 => prop::sample::select(codes).prop_map(key),
        1 => prop::sample::select(vec!['n', 'p', 'f', 'b', 'u', 'w', 'a', 'e', 'k', 'z'])
            .prop_map(|c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)),
    ]
}

fn world() -> impl Strategy<Value = (Vec<u64>, Vec<&'static str>)> {
    let states =
        prop::sample::select(vec!["pending", "pending", "pending", "accepted", "rejected", "applied"]);
    (prop::collection::vec(1_u64..9, 0..5), prop::collection::vec(states, 1..7))
}

/// What must be so whatever was pressed.
fn assert_sound(model: &Model) {
    let lines = model.lines();
    let tally = model.tally();
    let open = (0..lines.len()).filter(|index| model.is_open(*index)).count();
    assert_eq!(tally.open, open);
    assert_eq!(model.files().iter().map(|file| file.open).sum::<usize>(), open);
    assert_eq!(tally.accepted + tally.rejected + tally.edited, model.said().len());
    assert!(model.at() < lines.len().max(1) && model.top() <= model.at());
    for (number, verdict) in model.said().iter() {
        let line = lines.iter().find(|line| line.line == number).unwrap();
        assert_ne!(line.state, Some("applied"));
        assert!(!matches!(verdict, Verdict::Edited(_)) || line.may_be_edited());
    }
}

proptest! {
    #[test]
    fn no_keys_break_it_and_every_size_can_be_drawn(
        (files, states) in world(),
        keys in prop::collection::vec((any_key(), 0_u16..90, 0_u16..30), 0..60),
    ) {
        let mut model = Model::new(&mut surrounded(sitting(&files, &states)));
        for (key, width, height) in keys {
            model.press(key);
            assert_sound(&model);
            let rows = shown(&mut model, width, height);
            if let (Mode::Browse, Some(line), 1.., 60..) =
                (model.mode(), model.lines().get(model.at()), height, width)
            {
                let here = format!("L{:02} ", line.line);
                prop_assert!(rows.iter().any(|row| row.contains('>') && row.contains(&here)), "{rows:#?}");
            }
        }
    }

    #[test]
    fn undo_takes_back_exactly_one_step((files, states) in world(), keys in "[ynadjkJG\\[\\]]{0,40}") {
        let mut model = Model::new(&mut sitting(&files, &states));
        let mut before = Vec::new();
        for key in keys.chars() {
            let (was, at) = (said(&model), model.at());
            press(&mut model, &key.to_string());
            if said(&model) != was {
                before.push((was, at));
            }
        }
        for (was, at) in before.into_iter().rev() {
            press(&mut model, "u");
            prop_assert_eq!((said(&model), model.at()), (was, at));
            assert_sound(&model);
        }
        press(&mut model, "u");
        prop_assert!(model.said().is_empty());
    }

    /// The same keys read in another way: a list of words, searched from the front each time.
    #[test]
    fn decisions_are_what_another_reading_makes_of_the_keys((files, states) in world(), keys in "[ynadjkgG]{0,40}") {
        let mut model = Model::new(&mut sitting(&files, &states));
        let total: u64 = files.iter().sum();
        let state = |number: u64| states[usize::try_from(number).unwrap() % states.len()];
        let mut words: BTreeMap<u64, bool> = BTreeMap::new();
        let open = |words: &BTreeMap<u64, bool>, number: u64| state(number) == "pending" && !words.contains_key(&number);
        let mut here = (1..=total).find(|number| open(&words, *number)).unwrap_or(1);
        for key in keys.chars().filter(|_| total > 0) {
            let ends: Vec<u64> = files.iter().scan(0, |sum, count| { *sum += count; Some(*sum) }).collect();
            let end = *ends.iter().find(|end| **end >= here).unwrap();
            let start = ends.iter().rev().find(|end| **end < here).map_or(1, |end| end + 1);
            let next = |words: &BTreeMap<u64, bool>, from: u64| (from..=total).find(|number| open(words, *number));
            match key {
                'y' | 'n' if state(here) != "applied" => {
                    words.insert(here, key == 'y');
                    here = next(&words, here + 1).unwrap_or(here);
                }
                'a' | 'd' => {
                    let all: Vec<u64> = (start..=end).filter(|number| open(&words, *number)).collect();
                    if !all.is_empty() {
                        words.extend(all.into_iter().map(|number| (number, key == 'a')));
                        here = next(&words, end + 1).unwrap_or(end);
                    }
                }
                'j' => here = (here + 1).min(total),
                'k' => here = (here - 1).max(1),
                'g' => here = 1,
                'G' => here = total,
                _ => {}
            }
            press(&mut model, &key.to_string());
            prop_assert_eq!(model.lines()[model.at()].line, here);
        }
        let words: BTreeMap<u64, Verdict> = words
            .into_iter()
            .map(|(line, yes)| (line, if yes { Verdict::Accepted } else { Verdict::Rejected }))
            .collect();
        prop_assert_eq!(said(&model), words);
    }
}

#[test]
fn editing_says_what_the_line_shall_be() {
    let mut model = Model::new(&mut sitting(&[12], &["pending"]));
    press(&mut model, "e!\r");
    assert_eq!(model.verdict(0), Some(&Verdict::Edited("new 1!".into())));
    assert_eq!(model.at(), 1);
    // A line that goes, and one whose text is no UTF-8.
    press(&mut model, "e");
    assert_eq!(
        (model.mode(), model.message()),
        (&Mode::Browse, "only a line that is added or changed can be edited")
    );
    model.go_to_line(11);
    press(&mut model, "e");
    assert_eq!(model.message(), "a line that is no UTF-8 cannot be edited here");
    // As it is, and as it was.
    model.go_to_line(5);
    press(&mut model, "e\r");
    assert_eq!(model.verdict(4), None);
    press(&mut model, "e");
    model.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
    press(&mut model, "old 5\r");
    assert_eq!(model.verdict(4), Some(&Verdict::Rejected));
    model.go_to_line(6);
    press(&mut model, "ex\u{1b}");
    assert_eq!((model.verdict(5), model.message()), (None, "left as it was"));
}

#[test]
fn leaving_asks_only_where_something_was_decided() {
    let mut model = Model::new(&mut sitting(&[3], &["pending"]));
    assert_eq!(press(&mut model, "q"), Effect::Leave(Leaving::Nothing));
    for (answer, leaving) in [('s', Leaving::Sign), ('d', Leaving::Discard), ('k', Leaving::Keep)] {
        assert_eq!(press(&mut model, &format!("yqxq{answer}")), Effect::Leave(leaving));
    }
    assert_eq!(press(&mut model, "qc"), Effect::None);
    assert_eq!(model.mode(), &Mode::Browse);
    let held = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut model, "qe");
    assert_eq!(model.press(held), Effect::Interrupt);
}

#[test]
fn what_was_kept_is_taken_up_as_one_step() {
    let mut kept = Verdicts::default();
    kept.set(1, Some(Verdict::Accepted));
    kept.set(2, Some(Verdict::Edited("x".into())));
    let mut sitting = sitting(&[4], &["pending"]);
    sitting.kept = Some(kept.clone());
    let mut model = Model::new(&mut sitting);
    assert_eq!((model.mode(), model.kept()), (&Mode::TakeUp, Some(&kept)));
    press(&mut model, "xy");
    assert_eq!((model.said(), model.at()), (&kept, 2));
    press(&mut model, "u");
    assert!(model.said().is_empty());
}

/// What a screen of some size shows.
fn shown(model: &mut Model, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    fit(model, ratatui::layout::Rect::new(0, 0, width, height));
    terminal.draw(|frame| draw(frame, model, false)).unwrap();
    let buffer = terminal.backend().buffer();
    buffer
        .content()
        .chunks(usize::from(width.max(1)))
        .map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned())
        .collect()
}

#[test]
fn files_and_lines_stand_side_by_side() {
    let mut model = Model::new(&mut sitting(&[2, 9], &["pending"]));
    press(&mut model, "yye");
    let want = [
        "01M7YX0Q4QHXMHB14A1450D38G revision 1  Tidy up",
        "    0 src/file0.rs  old name → src/file1.rs  [sensitive: runs when built]",
        ">   9 ! src/file1.… >  L03 > moved 3 lines from line 3 to line 3",
        "                       L04 cap~ mode old 4 → new 4",
        "                       L05 - old 5",
        "                           + new 5",
        "                       L06 + new 6",
        "only a line that is added or changed can be edited",
    ];
    assert_eq!(shown(&mut model, 76, 8), want);
    // Where there is room for one of them, Tab changes between them.
    assert_eq!(shown(&mut model, 30, 4)[1], "old name → src/file1.rs  [sen…");
    press(&mut model, "\t");
    assert_eq!(shown(&mut model, 30, 4)[2], ">   9 ! src/file1.rs");
    assert_eq!(shown(&mut model, 1, 1), ["…"]);
}

#[test]
fn lines_that_stay_stand_around_those_that_do_not_as_far_as_there_is_room() {
    let mut sitting = sitting(&[2, 1], &["pending"]);
    let line = |text: &str| Beside::Line(text.to_owned());
    let first: Vec<Beside> = ["a", "b", "漢字\tc"].map(line).into();
    let second = vec![line("d"), Beside::Gap, line("e")];
    sitting.around = vec![
        Surroundings { above: vec![first, second], below: vec![line("f"), line("g")] },
        Surroundings { above: vec![Vec::new()], below: Vec::new() },
    ];
    let mut model = Model::new(&mut sitting);
    let lines = |model: &mut Model, height| shown(model, 30, height)[2..usize::from(height) - 1].to_vec();
    let all = [
        "         a",
        "         b",
        "         漢 字 \\tc",
        ">  L01 + new 1",
        "         d",
        "       …",
        "         e",
        "   L02 - old 2",
        "         f",
        "         g",
        "",
    ];
    assert_eq!(lines(&mut model, 14), all);
    // With little room the line itself comes first, then as much above it as below.
    assert_eq!(lines(&mut model, 4), all[3..4]);
    assert_eq!(lines(&mut model, 5), all[2..4]);
    assert_eq!(lines(&mut model, 6), all[2..5]);
    press(&mut model, "j");
    assert_eq!(lines(&mut model, 6), ["         e", ">  L02 - old 2", "         f"]);
    press(&mut model, "j");
    assert_eq!(lines(&mut model, 6)[0], ">  L03 > moved 3 lines from l…");
}

#[test]
fn what_is_pasted_goes_where_text_is_typed_and_decides_nothing() {
    let mut kept = Verdicts::default();
    kept.set(2, Some(Verdict::Accepted));
    let mut sitting = sitting(&[4], &["pending"]);
    sitting.kept = Some(kept);
    let mut model = Model::new(&mut sitting);
    model.paste("y");
    assert_eq!(model.mode(), &Mode::TakeUp);
    press(&mut model, "n");
    model.paste("yyn\rq");
    assert_eq!((said(&model).len(), model.mode()), (0, &Mode::Browse));
    press(&mut model, "e");
    model.paste(" and more\n");
    press(&mut model, "\r");
    assert_eq!(model.verdict(0), Some(&Verdict::Edited("new 1 and more".into())));
    press(&mut model, "/");
    model.paste("old 2");
    press(&mut model, "\r");
    assert_eq!(model.at(), 1);
    press(&mut model, "q");
    model.paste("s");
    assert_eq!(model.mode(), &Mode::Leave);
}

#[test]
fn long_lines_move_sideways_and_edits_stand_below() {
    let mut sitting = sitting(&[1], &["pending"]);
    sitting.files[0].lines[0].new = Some(format!("begin{}end", "-".repeat(30)));
    let mut model = Model::new(&mut sitting);
    press(&mut model, "e!\r");
    assert_eq!(
        shown(&mut model, 30, 5)[2..4],
        [">e L01 + begin---------------…", "       e begin---------------…"]
    );
    for _ in 0..9 {
        model.press(key(KeyCode::Right));
    }
    assert_eq!(shown(&mut model, 30, 5)[2..4], [">e L01 + …--end", "       e …--end!"]);
}

#[test]
fn no_space_hides_what_stands_behind_it() {
    let mut sitting = sitting(&[1], &["pending"]);
    sitting.files[0].lines[0].new = Some(format!("ok();{}evil();", " ".repeat(300)));
    let mut model = Model::new(&mut sitting);
    assert_eq!(shown(&mut model, 40, 5)[2], ">  L01 + ok();⟨300 spaces⟩evil();");
    assert_eq!(shown(&mut model, 30, 5)[2], ">  L01 + ok();⟨300 spaces⟩evi…");
}

#[test]
fn before_anything_is_signed_every_line_is_named() {
    let mut model = Model::new(&mut sitting(&[12], &["pending"]));
    press(&mut model, "e!\rynynynyq");
    let want = [
        "4 accepted,",
        "  3 rejected,",
        "  1 edited,",
        "  4 left undecided",
        "accepted lines 2,4,",
        "  6,8",
        "rejected lines 3,5,7",
        "edited lines 1",
        "s  sign what was de…",
    ];
    assert_eq!(shown(&mut model, 20, 16)[1..10], want);
}

#[test]
fn what_was_not_taken_up_is_known() {
    let mut kept = Verdicts::default();
    kept.set(1, Some(Verdict::Rejected));
    kept.set(3, Some(Verdict::Accepted));
    for (answer, left) in [("y", false), ("n", true)] {
        let mut sitting = sitting(&[4], &["pending"]);
        sitting.kept = Some(kept.clone());
        let mut model = Model::new(&mut sitting);
        let rows = shown(&mut model, 80, 10);
        assert!(
            rows.contains(&"accepted lines 3".into()) && rows.contains(&"rejected lines 1".into()),
            "{rows:#?}"
        );
        press(&mut model, answer);
        assert_eq!(model.left_kept(), left);
    }
}

#[test]
fn every_key_of_the_help_means_something_and_the_page_has_it() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/review.md")).unwrap();
    for (keys, means) in HELP {
        assert!(page.contains(&format!("| {means}")), "`{means}` is not in docs/review.md");
        for name in keys.split(", ") {
            assert!(page.contains(&format!("`{name}`")), "`{name}` is not in docs/review.md");
            let event = match name {
                "Down" => key(KeyCode::Down),
                "Up" => key(KeyCode::Up),
                "Left" => key(KeyCode::Left),
                "Right" => key(KeyCode::Right),
                "PgDn" => key(KeyCode::PageDown),
                "PgUp" => key(KeyCode::PageUp),
                "Home" => key(KeyCode::Home),
                "End" => key(KeyCode::End),
                "Tab" => key(KeyCode::Tab),
                "Space" => key(KeyCode::Char(' ')),
                "Ctrl-c" | "Ctrl-z" => continue,
                held if held.starts_with("Ctrl-") => {
                    KeyEvent::new(KeyCode::Char(held.chars().last().unwrap()), KeyModifiers::CONTROL)
                }
                letter => key(KeyCode::Char(letter.chars().next().unwrap())),
            };
            assert!(keys::action(event).is_some(), "{name}");
        }
    }
    let mut model = Model::new(&mut sitting(&[1], &["pending"]));
    press(&mut model, "?");
    assert!(shown(&mut model, 60, 10)[1].starts_with("y             accept the line"));
}
