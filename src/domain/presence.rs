//! Whether a commit holds what an edit left: by the file's bytes, or by single lines where a person went on editing.

use std::collections::HashSet;

/// Whether the file `committed` holds something of the edit that left the file as `left`, where it was `parent`
/// before the commit. `None` stands for no file.
///
/// It does when it is exactly what was left. Else it does when the commit adds a line that stands in what was left,
/// or, of an edit that only took lines out, takes one of those out. A commit that has other changes of the same file
/// holds nothing of the edit.
pub fn holds_edit(parent: Option<&[u8]>, committed: Option<&[u8]>, left: Option<&[u8]>) -> bool {
    if parent == committed {
        return false;
    }
    if committed == left {
        return true;
    }
    let (Some(committed), Some(left)) = (committed, left) else { return false };
    let (parent, committed, left) = (lines(parent.unwrap_or_default()), lines(committed), lines(left));
    if committed.iter().any(|line| !parent.contains(line) && left.contains(line)) {
        return true;
    }
    let only_removes = left.is_subset(&parent);
    only_removes && parent.iter().any(|line| !committed.contains(line) && !left.contains(line))
}

/// The lines that say something, without white space around them: reformatting leaves them the same.
fn lines(bytes: &[u8]) -> HashSet<&[u8]> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(parent: &str, committed: &str, left: &str) -> bool {
        holds_edit(Some(parent.as_bytes()), Some(committed.as_bytes()), Some(left.as_bytes()))
    }

    #[test]
    fn the_very_bytes_count_and_so_does_a_single_line() {
        assert!(holds("a\n", "a\nb\n", "a\nb\n"));
        assert!(holds("a\n", "a\nb\nby hand\n", "a\nb\nc\n"));
        assert!(holds("a\nb\n", "a\nx\n", "a\n"), "the line that was taken out is gone");
        assert!(holds_edit(Some(b"a"), None, None), "deleted as the edit did");
        assert!(holds_edit(None, Some(b"a"), Some(b"a")), "a new file");
    }

    #[test]
    fn other_changes_of_the_same_file_do_not_count() {
        assert!(!holds("x = 1\n", "x = 3\n", "x = 2\n"), "somebody else's change of the same line");
        assert!(!holds("a\nb\n", "a\nb\nc\n", "a\nb\nd\n"));
        assert!(!holds("a\n", "a\n", "a\nb\n"), "the commit does not change the file");
        assert!(!holds_edit(Some(b"a\n"), None, Some(b"b\n")));
        assert!(!holds("a\n", "a\n\n", "a\n\nb\n"), "an empty line says nothing");
    }
}
