//! Text of strangers cut to columns of a screen.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

use crate::cli::ui::{escape, escaped};

/// As many marks may stand on one character; more of them climb over other rows.
const MARKS: usize = 2;

/// The characters that stand for a text, each with its columns. A mark that goes onto the character before it has none.
fn cells(text: &str) -> impl Iterator<Item = (char, usize)> + '_ {
    let mut marks = 0;
    text.chars().flat_map(move |c| {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        let escape = escaped(c).or_else(|| (is_overwide(c) || marks > MARKS).then(|| escape(c)));
        let plain = escape.is_none().then_some((c, c.width().unwrap_or(0)));
        let spelled: Vec<char> = escape.unwrap_or_default().chars().collect();
        plain.into_iter().chain(spelled.into_iter().map(|c| (c, 1)))
    })
}

/// Characters that terminals draw wider than any table says, over their neighbours.
fn is_overwide(c: char) -> bool {
    matches!(c, '\u{fdfa}'..='\u{fdfd}' | '\u{2e3a}' | '\u{2e3b}' | '\u{12000}'..='\u{1254f}' | '\u{a9c1}' | '\u{a9c2}')
}

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    cells(text).map(|(_, width)| width).sum()
}

/// The most spaces that are shown one by one; a screen of them hides what stands behind.
const SPACES: usize = 20;

/// A text with long runs of spaces as their number. Those at its beginning stay, since nothing stands before them.
pub fn counted(text: &str) -> Cow<'_, str> {
    let inside = text.trim_start_matches(' ');
    let long = " ".repeat(SPACES + 1);
    if !inside.contains(&long) {
        return text.into();
    }
    let mut shown = text[..text.len() - inside.len()].to_owned();
    let mut rest = inside;
    while let Some((before, after)) = rest.split_once(&long) {
        let behind = after.trim_start_matches(' ');
        let count = long.len() + after.len() - behind.len();
        shown.push_str(&format!("{before}⟨{count} spaces⟩"));
        rest = behind;
    }
    (shown + rest).into()
}

/// The part of a text that stands in `width` columns after the first `skip`, with long runs of spaces counted, and a mark
/// where there is more of it.
pub fn window(text: &str, skip: usize, width: usize) -> String {
    typed(&counted(text), skip, width)
}

/// As [`window`], for a text that is being typed: every space has its column.
pub fn typed(text: &str, skip: usize, width: usize) -> String {
    let all = columns(text);
    if width == 0 || all == 0 {
        return String::new();
    }
    let (left, right) = (if skip > 0 && width >= MARKED_LEFT { "…" } else { "" }, all > skip + width);
    let inner = width - columns(left) - usize::from(right);
    let shown = cut(text, skip + columns(left), inner);
    match right {
        true => format!("{left}{shown}{}…", " ".repeat(inner - columns(&shown))),
        false => format!("{left}{shown}"),
    }
}

/// The narrowest window with a mark at its left: with two marks in a narrower one, a step sideways would pass over text.
const MARKED_LEFT: usize = 10;

/// The part of a text that stands in `width` columns after the first `skip`. What reaches over an edge is left out;
/// spaces stand for the part of it that would be seen at the left.
fn cut(text: &str, skip: usize, width: usize) -> String {
    let (mut shown, mut column) = (String::new(), 0);
    for (cell, wide) in cells(text) {
        let end = column + wide;
        if wide > 0 && column >= skip + width || end > skip + width {
            break;
        }
        if column >= skip {
            // A mark needs something of this row to stand on.
            if wide > 0 || !shown.is_empty() {
                shown.push(cell);
            }
        } else if end > skip {
            shown.extend(std::iter::repeat_n(' ', end - skip));
        }
        column = end;
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_steer_or_spill_is_spelled_out() {
        assert_eq!(window("a\u{1b}[2J\tb\r", 0, 80), "a\\u{1b}[2J\\tb\\r");
        assert_eq!(window("x\u{202e}y", 0, 80), "x\\u{202e}y");
        assert_eq!(window("﷽", 0, 80), "\\u{fdfd}");
        assert_eq!(window("e\u{301}\u{301}\u{301}", 0, 80), "e\u{301}\u{301}\\u{301}");
    }

    #[test]
    fn a_wide_character_is_never_halved() {
        assert_eq!(cut("漢字", 0, 3), "漢");
        assert_eq!(cut("漢字", 1, 3), " 字");
        assert_eq!(cut("abc", 3, 3), "");
        assert_eq!(window("漢字漢字漢字", 0, 8), "漢字漢 …");
    }

    #[test]
    fn where_there_is_more_is_a_mark() {
        assert_eq!(window("0123456789", 0, 10), "0123456789");
        assert_eq!(window("0123456789a", 0, 10), "012345678…");
        assert_eq!(window("0123456789abcdefghij", 8, 10), "…9abcdefg…");
        assert_eq!(window("0123456789abcdefghij", 16, 10), "…hij");
        assert_eq!(
            (window("abc", 0, 1), window("abc", 8, 10), window("", 8, 10)),
            ("…".into(), "…".into(), "".into())
        );
    }

    #[test]
    fn spaces_cannot_push_text_out_of_sight() {
        let hiding = |count| format!("ok();{}evil();", " ".repeat(count));
        assert_eq!(counted(&hiding(20)), hiding(20));
        assert_eq!(counted(&hiding(21)), "ok();⟨21 spaces⟩evil();");
        assert_eq!(window(&hiding(300), 0, 40), "ok();⟨300 spaces⟩evil();");
        assert_eq!(counted("a                       b                         "), "a⟨23 spaces⟩b⟨25 spaces⟩");
        let indented = format!("{}x", " ".repeat(40));
        assert_eq!(
            (counted(&indented), window(&indented, 0, 20)),
            (indented.as_str().into(), format!("{}…", " ".repeat(19)))
        );
        assert_eq!(window("ok();\t\tevil();", 0, 40), "ok();\\t\\tevil();");
    }

    proptest! {
        #[test]
        fn nothing_reaches_over_the_edge(text in "\\PC{0,20}", skip in 0_usize..24, width in 0_usize..24) {
            let shown = window(&text, skip, width);
            prop_assert!(columns(&shown) <= width, "{shown:?}");
        }

        #[test]
        fn windows_side_by_side_are_the_text(text in "[a-z\u{1b}\t]{0,20}", width in 1_usize..9) {
            let whole = window(&text, 0, 1000);
            let parts: String = (0..200).map(|part| cut(&whole, part * width, width)).collect();
            prop_assert_eq!(parts, whole);
        }
    }
}
