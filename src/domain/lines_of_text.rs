//! Text that people edit, line by line: what both trust files are read and changed with.

/// Each line's number from 1, the byte that it begins at, and its text without `\n` or `\r\n`.
pub(super) fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    text.split_inclusive('\n').enumerate().scan(0, |next, (index, line)| {
        let start = *next;
        *next += line.len();
        let line = line.strip_suffix('\n').unwrap_or(line);
        Some((index + 1, start, line.strip_suffix('\r').unwrap_or(line)))
    })
}

/// The text with one line more, ended as the first line is.
pub(super) fn append_line(text: &str, line: &str) -> String {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    let newline = if first.ends_with("\r\n") { "\r\n" } else { "\n" };
    let joint = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    format!("{text}{joint}{line}{newline}")
}

/// The column of a byte, counted in characters from 1.
pub(super) fn column(line: &str, at: usize) -> usize {
    line[..at].chars().count() + 1
}
