//! Whether a commit holds what an edit did: the very change, or single lines of it where a person went on editing.

use std::collections::HashSet;

/// A file on both sides of a change; `None` stands for no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides<'a> {
    /// What it was.
    pub before: Option<&'a [u8]>,
    /// What it became.
    pub after: Option<&'a [u8]>,
}

/// Whether what a commit did to a file holds something of what an edit did to it.
///
/// It does when both are the same change. Else it does when the commit adds a line that the edit added, or, of an edit
/// that only took lines out, takes one of those out. A commit with other changes of the same file holds nothing of the
/// edit, and neither does one that takes the edit back.
pub fn holds_edit(commit: Sides<'_>, edit: Sides<'_>) -> bool {
    if commit.before == commit.after {
        return false;
    }
    if commit == edit || (commit.after.is_none() && edit.after.is_none()) {
        return true;
    }
    let (Some(_), Some(_)) = (commit.after, edit.after) else { return false };
    let (committed, edited) = (Lines::of(commit), Lines::of(edit));
    if edited.added().next().is_none() && edited.removed().next().is_none() {
        // Nothing but white space, or lines that stand elsewhere too: only the whole file can tell.
        return commit.after == edit.after;
    }
    let added: HashSet<_> = committed.added().collect();
    if edited.added().any(|line| added.contains(line)) {
        return true;
    }
    let removed: HashSet<_> = committed.removed().collect();
    edited.added().next().is_none() && edited.removed().any(|line| removed.contains(line))
}

/// The lines of both sides that say something, without white space around them: reformatting leaves them the same.
struct Lines<'a> {
    before: HashSet<&'a [u8]>,
    after: HashSet<&'a [u8]>,
}

impl<'a> Lines<'a> {
    fn of(sides: Sides<'a>) -> Self {
        let lines = |side: Option<&'a [u8]>| {
            let lines = side.unwrap_or_default().split(|byte| *byte == b'\n');
            lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect()
        };
        Lines { before: lines(sides.before), after: lines(sides.after) }
    }

    fn added(&self) -> impl Iterator<Item = &&'a [u8]> {
        self.after.difference(&self.before)
    }

    fn removed(&self) -> impl Iterator<Item = &&'a [u8]> {
        self.before.difference(&self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides<'a>(before: &'a str, after: &'a str) -> Sides<'a> {
        let side = |text: &'a str| (text != "-").then_some(text.as_bytes());
        Sides { before: side(before), after: side(after) }
    }

    fn holds(commit: (&str, &str), edit: (&str, &str)) -> bool {
        holds_edit(sides(commit.0, commit.1), sides(edit.0, edit.1))
    }

    #[test]
    fn the_very_change_counts_and_so_does_a_single_line_of_it() {
        assert!(holds(("a\n", "a\nb\n"), ("a\n", "a\nb\n")));
        assert!(holds(("a\n", "a\nb\nby hand\n"), ("a\n", "a\nb\nc\n")));
        assert!(holds(("a\nb\n", "a\nx\n"), ("a\nb\n", "a\n")), "the line that was taken out is gone");
        assert!(holds(("a", "-"), ("b", "-")), "deleted as the edit did");
        assert!(holds(("-", "a"), ("-", "a")), "a new file");
        assert!(holds(("}\n", "}\n}\n"), ("}\n", "}\n}\n")), "a line that stood there before");
        assert!(holds(("a\n", "a\nb\nc\n"), ("a\nb\n", "a\nb\nc\n")), "one edit of several");
    }

    #[test]
    fn other_changes_of_the_same_file_do_not_count() {
        assert!(!holds(("x = 1\n", "x = 3\n"), ("x = 1\n", "x = 2\n")), "the same line, by somebody else");
        assert!(!holds(("a\nb\n", "a\nb\nc\n"), ("a\nb\n", "a\nb\nd\n")));
        assert!(!holds(("a\n", "a\n"), ("a\n", "a\nb\n")), "the commit does not change the file");
        assert!(!holds(("a\n", "-"), ("a\n", "b\n")));
        assert!(!holds(("a\n", "a\n\n"), ("a\n", "a\n\nb\n")), "an empty line says nothing");
        assert!(!holds(("a\nb\nc\n", "a\nb\n"), ("a\n", "a\nb\n")), "a later edit taken back");
    }
}
