//! The files that a choice of lines gives.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::change::{Change, content};
use super::select::{has, within};
use super::table::{FileLines, Op, TableError};
use super::text::Lines;
use super::weave::{check_bounds, join, weave};
use super::{Blobs, File, LinesError, Mode, shown};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::Oid;

/// Content of a file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A blob that is there already, or a submodule's commit.
    Blob(Oid),
    /// Bytes that some of the lines gave.
    Bytes(Vec<u8>),
}

/// What stands at a path afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its mode.
    pub mode: Mode,
    /// Its content.
    pub content: Content,
}

/// The difference to a tree, by path: what stands there, or nothing any more. Removals come before what is
/// written, as a folder may take a file's place.
pub type Edits = BTreeMap<GitPath, Option<Written>>;

/// A choice would put two things at one path, or a file where a folder is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` cannot come while `{}` is there; lines {needs} must come along",
    shown(arriving),
    shown(standing)
)]
pub struct Clash {
    /// The first path that is in the way of another, in byte order.
    pub arriving: GitPath,
    /// What it meets.
    pub standing: GitPath,
    /// The numbers that have to be chosen as well; with them there is no clash.
    pub needs: LineSet,
}

/// The files that `chosen` gives, as edits to the base tree. All lines give the proposed tree, none the base.
/// Nothing depends on the order in which lines were chosen: the choice is a set.
///
/// # Errors
/// [`LinesError::Unknown`] for numbers that the table does not have, [`LinesError::Clash`] where paths get in each
/// other's way, [`LinesError::Blob`] for missing content.
pub fn apply(change: &Change, chosen: &LineSet, blobs: &dyn Blobs) -> Result<Edits, LinesError> {
    known(change, chosen)?;
    clashes(change, chosen)?;
    let mut edits = Edits::new();
    for file in touched(change, chosen) {
        let after = state(change, file, chosen, blobs)?;
        if let Some(path) = file.base_path() {
            edits.entry(path.clone()).or_insert(None);
        }
        if let Some((path, written)) = after {
            edits.insert(path.clone(), Some(written));
        }
    }
    Ok(edits)
}

pub(super) fn known(change: &Change, chosen: &LineSet) -> Result<(), LinesError> {
    let unknown = change.table.unknown(chosen);
    if unknown.is_empty() { Ok(()) } else { Err(LinesError::Unknown(unknown)) }
}

/// The files that `chosen` has numbers of.
fn touched<'a>(change: &Change<'a>, chosen: &LineSet) -> impl Iterator<Item = &'a FileLines> {
    change.table.files().iter().filter(|file| some(file, chosen))
}

/// Whether any number of `file` is chosen.
pub(super) fn some(file: &FileLines, chosen: &LineSet) -> bool {
    within(chosen, file.first, file.count()).next().is_some()
}

/// Whether the whole-file operation that `wanted` picks is chosen.
pub(super) fn takes(file: &FileLines, chosen: &LineSet, wanted: fn(&Op) -> bool) -> bool {
    number_of(file, wanted).is_some_and(|number| has(chosen, number))
}

/// The number of the whole-file operation that `wanted` picks. These stand first, so the search is short.
fn number_of(file: &FileLines, wanted: fn(&Op) -> bool) -> Option<u64> {
    file.numbered().take_while(|(_, op)| !op.is_text()).find(|(_, op)| wanted(op)).map(|(number, _)| number)
}

/// The path that `file` has with `chosen`; none where there is no file then.
pub(super) fn path_with<'a>(file: &'a FileLines, chosen: &LineSet) -> Option<&'a GitPath> {
    match (file.base_path(), file.proposed) {
        (None, _) => some(file, chosen).then_some(&file.path),
        (Some(path), None) => (!some(file, chosen)).then_some(path),
        (Some(path), Some(_)) => {
            Some(if takes(file, chosen, |op| matches!(op, Op::Rename)) { &file.path } else { path })
        }
    }
}

/// What `chosen` makes of one file, without a look at the others.
pub(super) fn state<'a>(
    change: &Change,
    file: &'a FileLines,
    chosen: &LineSet,
    blobs: &dyn Blobs,
) -> Result<Option<(&'a GitPath, Written)>, LinesError> {
    let (before, after) = change.sides(file)?;
    let Some(path) = path_with(file, chosen) else { return Ok(None) };
    let takes = |wanted| takes(file, chosen, wanted);
    let mode = match (before, after) {
        (None, Some(after)) => after.mode,
        (Some(before), Some(after)) => {
            if takes(|op| matches!(op, Op::Type | Op::Cap { .. })) {
                after.mode
            } else {
                before.mode
            }
        }
        (Some(before), None) => before.mode,
        (None, None) => return Err(TableError::file(&file.path, "neither `base` nor `proposed`").into()),
    };
    let content = if takes(|op| matches!(op, Op::Type | Op::Bytes)) || file.ops == [Op::Create] {
        after.map(|file| Content::Blob(file.oid))
    } else {
        text_state(file, before, after, chosen, blobs)?
    };
    let content = content.ok_or_else(|| TableError::file(&file.path, "no content on either side"))?;
    Ok(Some((path, Written { mode, content })))
}

/// The content that chosen lines give; the blob itself where that is all of them or none.
fn text_state(
    file: &FileLines,
    before: Option<File>,
    after: Option<File>,
    chosen: &LineSet,
    blobs: &dyn Blobs,
) -> Result<Option<Content>, LinesError> {
    let (mut there, mut picked) = (0, 0);
    for (first, op) in super::select::text_ops(file) {
        there += op.numbers();
        picked += within(chosen, first, op.numbers()).map(|(_, n)| n).sum::<u64>();
    }
    if picked == 0
        && let Some(before) = before
    {
        return Ok(Some(Content::Blob(before.oid)));
    }
    if picked == there && there > 0 {
        return Ok(after.map(|after| Content::Blob(after.oid)));
    }
    let (old, new) = (content(before, blobs)?, content(after, blobs)?);
    let (old, new) = (Lines::of(&old), Lines::of(&new));
    check_bounds(file, old.len(), new.len())?;
    Ok(Some(Content::Bytes(join(&weave(old.len(), file, chosen), &old, &new))))
}

/// Refuses a choice where a file arrives at a path that another has not left.
///
/// Both trees are free of clashes, and a file equal in both is in neither's way. So what is met stands where the
/// base had it and has a `rename` or `file-` of its own: that is the line that must come along.
fn clashes(change: &Change, chosen: &LineSet) -> Result<(), LinesError> {
    let files = change.table.files();
    let standing: BTreeMap<&GitPath, &FileLines> =
        files.iter().filter_map(|file| Some((file.base_path()?, file))).collect();
    let arrives =
        |file: &FileLines| path_with(file, chosen).is_some() && path_with(file, chosen) != file.base_path();
    let mut arriving: VecDeque<&FileLines> = files.iter().filter(|file| arrives(file)).collect();
    let mut needs: BTreeSet<u64> = BTreeSet::new();
    let mut first: Option<(GitPath, GitPath)> = None;
    while let Some(file) = arriving.pop_front() {
        for (path, met) in in_the_way(&standing, &file.path) {
            let Some(leave) = number_of(met, |op| matches!(op, Op::Rename | Op::Delete)) else {
                let problem = format!("`{}` is in its way and never leaves", shown(path));
                return Err(TableError::file(&file.path, problem).into());
            };
            if has(chosen, leave) || !needs.insert(leave) {
                continue;
            }
            first.get_or_insert_with(|| (file.path.clone(), path.clone()));
            if met.proposed.is_some() {
                arriving.push_back(met);
            }
        }
    }
    match first {
        None => Ok(()),
        Some((arriving, standing)) => {
            Err(Clash { arriving, standing, needs: LineSet::from_numbers(needs) }.into())
        }
    }
}

/// The files of the base at `path`, above it, and below it.
fn in_the_way<'a>(
    standing: &BTreeMap<&'a GitPath, &'a FileLines>,
    path: &GitPath,
) -> Vec<(&'a GitPath, &'a FileLines)> {
    let bytes = path.as_bytes();
    let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let mut met: Vec<(&GitPath, &FileLines)> = slashes
        .chain([bytes.len()])
        .filter_map(|end| standing.get_key_value(&GitPath::new(&bytes[..end])))
        .map(|(path, file)| (*path, *file))
        .collect();
    let folder = GitPath::new([bytes, b"/"].concat());
    let below = standing
        .range::<GitPath, _>(&folder..)
        .take_while(|(path, _)| path.as_bytes().starts_with(folder.as_bytes()));
    met.extend(below.map(|(path, file)| (*path, *file)));
    met
}
