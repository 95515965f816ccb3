//! The lines of a change as they are listed: number by number, with old and new text.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::fold::LineStates;
use crate::domain::lines::{self, Blobs, File, FileLines, Files, LinesError, Mode, Op, Sensitive, Table};

/// One file of a change.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FileView {
    /// Its path; of a deleted file the one that it had.
    pub path: String,
    /// The path before, where it changes.
    pub old_path: Option<String>,
    /// Why it deserves a second look; empty for most.
    pub sensitive: Vec<String>,
    /// Its lines.
    pub lines: Vec<LineView>,
}

/// One number.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LineView {
    /// The number.
    pub line: u64,
    /// `add`, `remove`, `mutate`, `move`, `create`, `delete`, `bytes`, `type`, `rename` or `cap`.
    pub op: &'static str,
    /// `pending`, `accepted`, `rejected` or `applied`; none where nobody decides about it.
    pub state: Option<&'static str>,
    /// The line of the base, from 1; of a move the first.
    pub base_line: Option<u64>,
    /// The line of the proposed file, from 1; of a move the first.
    pub proposed_line: Option<u64>,
    /// What goes: the line, the path, the mode, the link's target or the submodule's commit before. Bytes that are no
    /// UTF-8 are replaced.
    pub old: Option<String>,
    /// What comes.
    pub new: Option<String>,
    /// Whether what goes is the last line of its file and has no newline at its end.
    pub old_lacks_newline: bool,
    /// Whether what comes is the last line of its file and has no newline at its end.
    pub new_lacks_newline: bool,
    /// How many lines move.
    pub count: Option<u64>,
    /// Whether `new` is exactly what comes, no byte replaced.
    #[serde(skip)]
    pub exact: bool,
}

impl LineView {
    /// Whether it is a line of text that can have another text.
    pub fn may_be_edited(&self) -> bool {
        matches!(self.op, "add" | "mutate") && self.exact && self.new.is_some()
    }
}

/// Lists the numbers of a table, or those chosen.
///
/// # Errors
/// When content is missing.
pub fn view(
    table: &Table,
    base: &Files,
    proposed: &Files,
    blobs: &dyn Blobs,
    chosen: Option<&LineSet>,
    states: Option<&LineStates>,
) -> Result<Vec<FileView>, LinesError> {
    let marks: std::collections::BTreeMap<GitPath, Vec<Sensitive>> =
        lines::sensitive(table, proposed).into_iter().collect();
    let mut files = Vec::new();
    for file in table.files() {
        if chosen.is_some_and(|chosen| !chosen.intersects(&file.all())) {
            continue;
        }
        let before = file.base_path().and_then(|path| base.get(path));
        let after = file.proposed.and_then(|_| proposed.get(&file.path));
        let text = file.ops.iter().any(Op::is_text);
        let whole = (pointed_at(before, blobs)?, pointed_at(after, blobs)?);
        let old = if text { content(before, blobs)? } else { Vec::new() };
        let new = if text { content(after, blobs)? } else { Vec::new() };
        let (old, new) = (split(&old), split(&new));
        let mut lines = Vec::new();
        for (first, op) in file.numbered() {
            for offset in 0..op.numbers() {
                let number = first + offset;
                if chosen.is_none_or(|chosen| chosen.contains(number)) {
                    let state = states.map(|states| state_of(states, number));
                    let mut shown = LineView { line: number, state, ..one(file, op, offset, &old, &new) };
                    if matches!(op, Op::Create | Op::Delete | Op::Bytes | Op::Type) {
                        (shown.old, shown.new) = whole.clone();
                    }
                    lines.push(shown);
                }
            }
        }
        let reasons = marks.get(&file.path).into_iter().flatten();
        files.push(FileView {
            path: file.path.to_string(),
            old_path: file.old_path.as_ref().map(ToString::to_string),
            sensitive: reasons.map(|reason| reason.as_str().to_owned()).collect(),
            lines,
        });
    }
    Ok(files)
}

/// The state of one line in a word.
fn state_of(states: &LineStates, number: u64) -> &'static str {
    if states.applied.contains(number) {
        "applied"
    } else if states.rejected.contains(number) {
        "rejected"
    } else if states.accepted.contains(number) {
        "accepted"
    } else {
        "pending"
    }
}

fn content(file: Option<&File>, blobs: &dyn Blobs) -> Result<Vec<u8>, LinesError> {
    match file.filter(|file| file.mode.is_regular()) {
        Some(file) => Ok(blobs.blob(&file.oid)?.into_owned()),
        None => Ok(Vec::new()),
    }
}

/// What is no file with content of its own: a link with its target, a submodule with its commit.
fn pointed_at(file: Option<&File>, blobs: &dyn Blobs) -> Result<Option<String>, LinesError> {
    Ok(match file {
        Some(file) if file.mode == Mode::Symlink => {
            let target = blobs.blob(&file.oid)?;
            Some(format!("link to {}", String::from_utf8_lossy(&target)))
        }
        Some(file) if file.mode == Mode::Submodule => Some(format!("submodule at {}", file.oid.to_hex())),
        _ => None,
    })
}

fn split(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

/// A line without its terminator.
fn bare<'l>(lines: &[&'l [u8]], number: u64) -> Option<&'l [u8]> {
    let line = lines.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
    Some(line.strip_suffix(b"\n").unwrap_or(line))
}

fn shown(lines: &[&[u8]], number: u64) -> Option<String> {
    bare(lines, number).map(|line| String::from_utf8_lossy(line).into_owned())
}

/// Whether a line is there and ends with its file instead of a newline.
fn lacks_newline(lines: &[&[u8]], number: Option<u64>) -> bool {
    let at = number.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
    at.and_then(|at| lines.get(at)).is_some_and(|line| !line.ends_with(b"\n"))
}

fn is_text(lines: &[&[u8]], number: u64) -> bool {
    bare(lines, number).is_some_and(|line| std::str::from_utf8(line).is_ok())
}

fn one(file: &FileLines, op: &Op, offset: u64, old: &[&[u8]], new: &[&[u8]]) -> LineView {
    let mut view = LineView {
        line: 0,
        op: "",
        state: None,
        base_line: None,
        proposed_line: None,
        old: None,
        new: None,
        old_lacks_newline: false,
        new_lacks_newline: false,
        count: None,
        exact: true,
    };
    match *op {
        Op::Add { from, .. } => {
            view.op = "add";
            view.proposed_line = Some(from + offset);
            view.new = shown(new, from + offset);
            view.exact = is_text(new, from + offset);
        }
        Op::Remove { at, .. } => {
            view.op = "remove";
            view.base_line = Some(at + offset);
            view.old = shown(old, at + offset);
        }
        Op::Mutate { at, from, .. } => {
            view.op = "mutate";
            view.base_line = Some(at + offset);
            view.proposed_line = Some(from + offset);
            view.old = shown(old, at + offset);
            view.new = shown(new, from + offset);
            view.exact = is_text(new, from + offset);
        }
        Op::Move { at, n, from, .. } => {
            view.op = "move";
            view.base_line = Some(at);
            view.proposed_line = Some(from);
            view.count = Some(n);
        }
        Op::Create => view.op = "create",
        Op::Delete => view.op = "delete",
        Op::Bytes => view.op = "bytes",
        Op::Type => view.op = "type",
        Op::Rename => {
            view.op = "rename";
            view.old = file.old_path.as_ref().map(ToString::to_string);
            view.new = Some(file.path.to_string());
        }
        Op::Cap { from, to } => {
            view.op = "cap";
            view.old = Some(from.as_str().to_owned());
            view.new = Some(to.as_str().to_owned());
        }
    }
    if op.is_text() {
        view.old_lacks_newline = view.old.is_some() && lacks_newline(old, view.base_line);
        view.new_lacks_newline = view.new.is_some() && lacks_newline(new, view.proposed_line);
    }
    view
}
