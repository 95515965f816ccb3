//! A table held against the two trees that it leads from and to.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::table::{FileLines, Op, Table, TableError};
use super::text::{Lines, is_binary};
use super::weave::{check_bounds, join, weave};
use super::{Blobs, File, Files, LinesError, Mode, path, shown};
use crate::domain::fact::values::GitPath;

/// A table together with its trees, proven to fit: every changed file is in it, and all its lines applied to the
/// base give exactly the proposed tree.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub(super) table: &'a Table,
    pub(super) base: &'a Files,
    pub(super) proposed: &'a Files,
}

impl<'a> Change<'a> {
    /// Holds `table` against both trees. Reads both blobs of every file that the table says anything about.
    ///
    /// # Errors
    /// When it does not fit, naming file and operation, or when a blob is missing.
    pub fn check(
        table: &'a Table,
        base: &'a Files,
        proposed: &'a Files,
        blobs: &dyn Blobs,
    ) -> Result<Self, LinesError> {
        let change = Change { table, base, proposed };
        change.covers()?;
        for file in table.files() {
            let sides = change.sides(file)?;
            check_sides(file, sides)?;
            check_content(file, sides, blobs)?;
        }
        Ok(change)
    }

    /// The table.
    pub fn table(&self) -> &'a Table {
        self.table
    }

    /// Every changed file present once, and nothing that did not change.
    fn covers(&self) -> Result<(), TableError> {
        let files = self.table.files();
        let from: BTreeMap<&GitPath, usize> =
            files.iter().enumerate().filter_map(|(index, file)| Some((file.base_path()?, index))).collect();
        let to: BTreeMap<&GitPath, usize> = files
            .iter()
            .enumerate()
            .filter(|(_, file)| file.proposed.is_some())
            .map(|(index, file)| (&file.path, index))
            .collect();
        for path in self.base.keys().chain(self.proposed.keys()) {
            let (before, after) = (self.base.get(path), self.proposed.get(path));
            let left_out = if before == after {
                from.contains_key(path) != to.contains_key(path)
            } else {
                before.is_some() && !from.contains_key(path) || after.is_some() && !to.contains_key(path)
            };
            if left_out {
                return Err(TableError::file(path, "a changed file that the table leaves out"));
            }
        }
        if let Some((file, below)) = path::folder_clashes(self.proposed).first() {
            let problem = format!("a file where `{}` needs a folder", shown(below));
            return Err(TableError::file(file, problem));
        }
        Ok(())
    }

    /// What stands at both ends of a file, as the trees have it.
    pub(super) fn sides(&self, file: &FileLines) -> Result<(Option<File>, Option<File>), TableError> {
        let before = file.base_path().and_then(|path| self.base.get(path)).copied();
        if before.map(|file| file.oid) != file.base {
            return Err(TableError::file(&file.path, "`base` is not what the base tree has"));
        }
        let after = file.proposed.and_then(|_| self.proposed.get(&file.path)).copied();
        if after.map(|file| file.oid) != file.proposed {
            return Err(TableError::file(&file.path, "`proposed` is not what the proposed tree has"));
        }
        Ok((before, after))
    }
}

/// Modes and paths.
fn check_sides(file: &FileLines, (before, after): (Option<File>, Option<File>)) -> Result<(), TableError> {
    let bad = |problem: &str| Err(TableError::file(&file.path, problem));
    let has = |wanted: fn(&Op) -> bool| file.ops.iter().any(wanted);
    if let Some(after) = after {
        let same_place = file.base_path() == Some(&file.path);
        let judged = if same_place {
            path::check_file(&file.path, after.mode)
        } else {
            path::check_new(&file.path, after.mode)
        };
        judged.map_err(|problem| TableError::file(&file.path, problem.to_string()))?;
        if has(Op::is_text) && !after.mode.is_regular() {
            return bad("operations on lines of what is not a regular file");
        }
    }
    let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
    if before.mode.same_type(after.mode) == has(|op| matches!(op, Op::Type)) {
        return bad("`type` stands where the type changes and nowhere else");
    }
    let cap = file.ops.iter().find_map(|op| match op {
        Op::Cap { from, to } => Some((*from, *to)),
        _ => None,
    });
    let changed = before.mode.is_regular() && after.mode.is_regular() && before.mode != after.mode;
    if cap != changed.then_some((before.mode, after.mode)) {
        return bad("`cap` is not the change of the executable bit");
    }
    Ok(())
}

/// Contents: lines within bounds, all of them giving the proposed file, and whole-file operations only where
/// there are no lines.
fn check_content(
    file: &FileLines,
    (before, after): (Option<File>, Option<File>),
    blobs: &dyn Blobs,
) -> Result<(), LinesError> {
    let Some(after) = after else { return Ok(()) };
    let text = file.ops.iter().any(Op::is_text);
    let whole = file.ops.iter().any(|op| matches!(op, Op::Bytes)) || !text && before.is_none();
    if !text && !whole {
        return Ok(());
    }
    let old = content(before, blobs)?;
    let new = content(Some(after), blobs)?;
    if whole {
        let lines = [before, Some(after)].into_iter().flatten().all(|side| side.mode.is_regular())
            && !is_binary(&old)
            && !is_binary(&new)
            && (before.is_some() || !new.is_empty());
        if lines {
            return Err(TableError::file(&file.path, "taken whole where it has lines").into());
        }
        return Ok(());
    }
    let (old, new) = (Lines::of(&old), Lines::of(&new));
    check_bounds(file, old.len(), new.len())?;
    if join(&weave(old.len(), file, &file.all()), &old, &new) != new.bytes() {
        return Err(TableError::file(&file.path, "all lines together do not give the proposed file").into());
    }
    Ok(())
}

/// The bytes of a file; none where there is no file, or a submodule.
pub(super) fn content<'b>(file: Option<File>, blobs: &'b dyn Blobs) -> Result<Cow<'b, [u8]>, LinesError> {
    match file {
        Some(file) if file.mode != Mode::Submodule => Ok(blobs.blob(&file.oid)?),
        _ => Ok(Cow::Borrowed(&[])),
    }
}
