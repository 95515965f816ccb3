//! Which file that came is one that went.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;
use crate::domain::lines::text::{Lines, is_binary};
use crate::domain::lines::{Blobs, Files, LinesError};

/// The most pairs of a file that went and one that came whose lines are compared. With more, only files of equal
/// content are renames.
const PAIRS: usize = 1024;

/// For each new path that is a rename, the path that it had: first files of equal content, then regular files of
/// which more than half of the larger, in bytes of whole lines, is in the other. Of several, the one with the same
/// name in its folder comes first, then the most alike, then the first in byte order.
pub(super) fn find<'a>(
    gone: &[&'a GitPath],
    new: &[&'a GitPath],
    base: &Files,
    proposed: &Files,
    blobs: &dyn Blobs,
) -> Result<BTreeMap<&'a GitPath, &'a GitPath>, LinesError> {
    let mut renames = BTreeMap::new();
    let mut taken: BTreeSet<&GitPath> = BTreeSet::new();
    let mut by_content: BTreeMap<Oid, BTreeSet<&'a GitPath>> = BTreeMap::new();
    for path in gone {
        by_content.entry(base[*path].oid).or_default().insert(path);
    }
    for same_name in [true, false] {
        for path in new.iter().copied() {
            if renames.contains_key(path) {
                continue;
            }
            let file = proposed[path];
            let Some(candidates) = by_content.get_mut(&file.oid) else { continue };
            let fits = |old: &&&GitPath| {
                base[**old].mode.same_type(file.mode) && (!same_name || name(old) == name(path))
            };
            // Among many files of one content only the first few are looked at for the name.
            if let Some(old) = candidates.iter().take(PAIRS).find(fits).copied() {
                candidates.remove(old);
                taken.insert(old);
                renames.insert(path, old);
            }
        }
    }
    let regular = |files: &Files, path: &GitPath| files[path].mode.is_regular();
    let gone: Vec<&'a GitPath> =
        gone.iter().copied().filter(|path| !taken.contains(*path) && regular(base, path)).collect();
    let new: Vec<&'a GitPath> =
        new.iter().copied().filter(|path| !renames.contains_key(*path) && regular(proposed, path)).collect();
    if gone.is_empty() || new.is_empty() || gone.len() * new.len() > PAIRS {
        return Ok(renames);
    }
    let load = |paths: &[&'a GitPath], files: &Files| -> Result<Vec<Cow<'_, [u8]>>, LinesError> {
        paths.iter().map(|path| Ok(blobs.blob(&files[*path].oid)?)).collect()
    };
    let (old_bytes, new_bytes) = (load(&gone, base)?, load(&new, proposed)?);
    let (old_lines, new_lines): (Vec<_>, Vec<_>) = (
        old_bytes.iter().map(|bytes| sorted(bytes)).collect(),
        new_bytes.iter().map(|bytes| sorted(bytes)).collect(),
    );
    let mut pairs = Vec::new();
    for (i, ours) in old_bytes.iter().enumerate() {
        for (j, theirs) in new_bytes.iter().enumerate() {
            let larger = ours.len().max(theirs.len());
            if 2 * ours.len().min(theirs.len()) <= larger {
                continue;
            }
            let common = common(&old_lines[i], &new_lines[j]);
            if 2 * common > larger {
                let likeness = common as u128 * 1_000_000 / larger as u128;
                pairs.push((name(gone[i]) != name(new[j]), std::cmp::Reverse(likeness), j, i));
            }
        }
    }
    pairs.sort_unstable();
    for (_, _, j, i) in pairs {
        if !renames.contains_key(new[j]) && taken.insert(gone[i]) {
            renames.insert(new[j], gone[i]);
        }
    }
    Ok(renames)
}

fn name(path: &GitPath) -> &[u8] {
    path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// The lines of a text in order of their bytes; none of a binary file.
fn sorted(bytes: &[u8]) -> Vec<&[u8]> {
    if is_binary(bytes) {
        return Vec::new();
    }
    let mut lines: Vec<&[u8]> = Lines::of(bytes).iter().collect();
    lines.sort_unstable();
    lines
}

/// The bytes of the lines that both have.
fn common(ours: &[&[u8]], theirs: &[&[u8]]) -> usize {
    let (mut i, mut j, mut bytes) = (0, 0, 0);
    while i < ours.len() && j < theirs.len() {
        match ours[i].cmp(theirs[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                bytes += ours[i].len();
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    bytes
}
