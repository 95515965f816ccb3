//! Which lines a change brings: enough to tell that it cannot be where other lines come from.

use std::collections::HashSet;

use super::Operations;
use crate::domain::lines::{Blobs, Op};
use crate::store::Store;

/// Adds the lines that operations put into files, without their ends, and all lines of files that they bring whole.
/// Content that is not here adds nothing.
pub fn add_lines_brought(store: &Store, operations: Operations<'_>, lines: &mut HashSet<Vec<u8>>) {
    for file in operations.table.files() {
        let Some(oid) = file.proposed else { continue };
        let Ok(bytes) = Blobs::blob(store, &oid) else { continue };
        let all: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').map(without_end).collect();
        for op in &file.ops {
            let range = match *op {
                Op::Add { from, n, .. } | Op::Mutate { from, n, .. } | Op::Move { from, n, .. } => {
                    let first = usize::try_from(from - 1).unwrap_or(usize::MAX);
                    first..first.saturating_add(usize::try_from(n).unwrap_or(usize::MAX))
                }
                Op::Create | Op::Bytes | Op::Type => 0..all.len(),
                Op::Remove { .. } | Op::Delete | Op::Rename | Op::Cap { .. } => 0..0,
            };
            lines.extend(all.get(range).into_iter().flatten().map(|line| line.to_vec()));
        }
    }
}

/// Whether lines that git names a commit for may come from what brings the lines of `brought`: one that says something
/// is among them, or all are where none says much.
pub fn plausible(texts: &[&[u8]], brought: &HashSet<Vec<u8>>) -> bool {
    if brought.is_empty() {
        return false;
    }
    // A brace or an empty line stands in every file, and git may well name another commit for one than we would.
    let mut telling = texts.iter().filter(|text| text.trim_ascii().len() > 2).peekable();
    match telling.peek() {
        Some(_) => telling.any(|text| brought.contains(*text)),
        None => texts.iter().all(|text| brought.contains(*text)),
    }
}

/// A line without the carriage return that may end it.
pub fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
