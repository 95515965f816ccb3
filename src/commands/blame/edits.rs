//! Which recorded edit of a receipt wrote a line: the edits are walked back from the file that holds it.

use crate::commands::verify::Picture;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Change, FileChange};
use crate::domain::fact::values::GitPath;
use crate::domain::fold::Receipt;
use crate::domain::ids::Oid;
use crate::domain::lines::{self, Blobs, File, Files, Mode};

/// For each of `wanted` (lines from 1) of `blob`, which stands at `path`, the step of the receipt that wrote it, by its
/// index; none where no recorded edit is known to have. An edit whose content is not here tells nothing.
pub fn writers(
    blobs: &dyn Blobs,
    picture: &Picture,
    receipt: &Receipt,
    (path, blob): (&GitPath, Oid),
    wanted: &[u64],
) -> Vec<Option<usize>> {
    let mut told = vec![None; wanted.len()];
    // Lines that no edit is found for yet, each with where it stood before the edits looked at so far.
    let mut open: Vec<(usize, Oid, u64)> =
        wanted.iter().enumerate().map(|(at, line)| (at, blob, *line)).collect();
    for (step, edit) in edits_of(picture, receipt, path).into_iter().rev() {
        let Some(after) = edit.after else { continue };
        let before = edit.before.filter(|_| edit.change != Change::Added);
        let mut aligned: Vec<(Oid, Option<Vec<Option<u64>>>)> = Vec::new();
        let earlier = before.map(|before| stood(blobs, before, after));
        open.retain_mut(|(at, blob, line)| {
            if !aligned.iter().any(|(known, _)| known == blob) {
                aligned.push((*blob, stood(blobs, after, *blob)));
            }
            let lines = aligned.iter().find(|(known, _)| known == blob).and_then(|(_, lines)| lines.as_ref());
            // A line that the edit did not leave is not its own, nor one that it found.
            let Some(here) = at_line(lines, *line) else { return true };
            match (&earlier, edit.change) {
                (None, Change::Added) => {
                    told[*at] = Some(step);
                    false
                }
                (Some(Some(found)), _) => match at_line(Some(found), here) {
                    Some(there) => {
                        if let Some(before) = before {
                            (*blob, *line) = (before, there);
                        }
                        true
                    }
                    None => {
                        told[*at] = Some(step);
                        false
                    }
                },
                // What it started from is not here: it may have written the line or found it.
                _ => false,
            }
        });
    }
    told
}

fn at_line(lines: Option<&Vec<Option<u64>>>, line: u64) -> Option<u64> {
    let at = usize::try_from(line.checked_sub(1)?).ok()?;
    lines?.get(at).copied().flatten()
}

/// What the receipt's calls did to a file, in order, each with the index of its step.
fn edits_of<'p>(picture: &'p Picture, receipt: &'p Receipt, path: &GitPath) -> Vec<(usize, &'p FileChange)> {
    let mut edits = Vec::new();
    for (index, step) in receipt.steps.iter().enumerate() {
        let entry = picture.link(&step.commit).and_then(|link| link.entry.as_ref());
        let Some(Fact::ToolCalled(call)) = entry.map(|entry| &entry.body.fact) else { continue };
        let files = call.files.iter().filter(|file| file.path == *path && file.change != Change::Read);
        edits.extend(files.map(|file| (index, file)));
    }
    edits
}

/// For every line of `new`, the line of `old` that it is; none altogether where content is missing or no text.
pub fn stood(blobs: &dyn Blobs, old: Oid, new: Oid) -> Option<Vec<Option<u64>>> {
    let after = blobs.blob(&new).ok()?;
    if old == new {
        let count = after.split_inclusive(|byte| *byte == b'\n').count() as u64;
        return Some((1..=count).map(Some).collect());
    }
    let files = |oid| -> Files { [(GitPath::new("file"), File { mode: Mode::File, oid })].into() };
    let table = lines::diff(&files(old), &files(new), blobs).ok()?;
    let origins = lines::origins(table.files().first()?, &blobs.blob(&old).ok()?, &after).ok()?;
    Some(origins.into_iter().map(|origin| origin.base).collect())
}
