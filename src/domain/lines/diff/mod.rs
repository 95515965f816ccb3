//! From two trees to the table that leads from one to the other.

use std::collections::BTreeMap;

use super::table::{FileLines, Op, Table};
use super::text::{Lines, is_binary};
use super::{Blobs, File, Files, LinesError, Mode, rules};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;

mod pair;
mod renames;
mod runs;

/// Names the rules by which [`diff()`] chooses operations, as a proposal's entry states it. Another choice of
/// rules or limits has another name; applying never depends on it.
///
/// The rules stand in `docs/format.md`, section *The algorithm `myers-v1`*. Their limits are sizes, never a clock.
pub const ALGORITHM: &str = "myers-v1";

/// The table from `base` to `proposed`. Files that are equal in both cost nothing; both trees may leave them out.
///
/// The time taken grows about linearly with the size of what changed, whatever the content.
///
/// # Errors
/// When a blob is missing, or a proposed path is one that nobody may write.
pub fn diff(base: &Files, proposed: &Files, blobs: &dyn Blobs) -> Result<Table, LinesError> {
    let differs = |path: &GitPath| base.get(path) != proposed.get(path);
    let gone: Vec<&GitPath> =
        base.keys().filter(|path| differs(path) && !proposed.contains_key(*path)).collect();
    let new: Vec<&GitPath> =
        proposed.keys().filter(|path| differs(path) && !base.contains_key(*path)).collect();
    let renames = renames::find(&gone, &new, base, proposed, blobs)?;
    let renamed_away: std::collections::BTreeSet<&GitPath> = renames.values().copied().collect();
    let mut files: BTreeMap<&GitPath, FileLines> = BTreeMap::new();
    for path in base.keys().chain(proposed.keys()) {
        if !differs(path) || renamed_away.contains(path) || files.contains_key(path) {
            continue;
        }
        let old_path = renames.get(path).copied();
        let before = base.get(old_path.unwrap_or(path)).copied();
        let after = proposed.get(path).copied();
        files.insert(path, one(path, old_path, before, after, blobs)?);
    }
    let mut next = 1;
    let files = files.into_values().map(|mut file| {
        file.first = next;
        next += file.count();
        file
    });
    Ok(Table::new(files.collect())?)
}

/// The operations of one file that differs.
fn one(
    path: &GitPath,
    old_path: Option<&GitPath>,
    before: Option<File>,
    after: Option<File>,
    blobs: &dyn Blobs,
) -> Result<FileLines, LinesError> {
    let mut ops = Vec::new();
    match (before, after) {
        (Some(before), Some(after)) if !before.mode.same_type(after.mode) => ops.push(Op::Type),
        (Some(before), Some(after)) => {
            if old_path.is_some() {
                ops.push(Op::Rename);
            }
            if before.mode != after.mode {
                ops.push(Op::Cap { from: before.mode, to: after.mode });
            }
            if before.oid != after.oid {
                ops.extend(content(before, after, blobs)?);
            }
        }
        (None, Some(after)) => {
            ops.push(Op::Create);
            let n = match text(after, blobs)? {
                Some(bytes) => Lines::of(&bytes).len() as u64,
                None => 0,
            };
            if n > 0 {
                ops.push(Op::Add { at: 1, from: 1, n });
            }
        }
        (_, None) => ops.push(Op::Delete),
    }
    let oid = |file: Option<File>| -> Option<Oid> { file.map(|file| file.oid) };
    Ok(FileLines {
        path: path.clone(),
        old_path: old_path.cloned(),
        base: oid(before),
        proposed: oid(after),
        first: 0,
        ops,
        from_lines: None,
    })
}

/// Operations between two contents that differ.
fn content(before: File, after: File, blobs: &dyn Blobs) -> Result<Vec<Op>, LinesError> {
    let (Some(old), Some(new)) = (text(before, blobs)?, text(after, blobs)?) else {
        return Ok(vec![Op::Bytes]);
    };
    let (old, new) = (Lines::of(&old), Lines::of(&new));
    let ids = runs::Ids::of(&old, &new);
    let gaps = runs::gaps(&ids);
    let ops = rules::in_order(pair::operations(&old, &new, &ids, &gaps));
    // Two blobs of equal bytes are one blob, except to a caller whose ids are not those of the bytes.
    Ok(if ops.is_empty() { vec![Op::Bytes] } else { ops })
}

/// The bytes of a file that has lines; none for links, submodules and binary content.
fn text(file: File, blobs: &dyn Blobs) -> Result<Option<std::borrow::Cow<'_, [u8]>>, LinesError> {
    if !file.mode.is_regular() {
        debug_assert!(matches!(file.mode, Mode::Symlink | Mode::Submodule));
        return Ok(None);
    }
    let bytes = blobs.blob(&file.oid)?;
    Ok(if is_binary(&bytes) { None } else { Some(bytes) })
}
