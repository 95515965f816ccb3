//! A change as a list of edits, the form in which agents say what they would write.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::user_error;
use crate::domain::canonical;
use crate::domain::fact::values::GitPath;
use crate::domain::lines::{Content, Edits, File, Mode, Written, path};

/// One edit as people and programs write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    path: GitPath,
    content: Option<String>,
    old: Option<String>,
    new: Option<String>,
    #[serde(default)]
    delete: bool,
    executable: Option<bool>,
}

/// What stands in the base.
pub trait Base {
    /// What stands at a path, if it is no folder.
    ///
    /// # Errors
    /// When the tree cannot be read.
    fn file(&self, path: &GitPath) -> anyhow::Result<Option<File>>;
    /// Whether a folder stands at a path.
    ///
    /// # Errors
    /// When the tree cannot be read.
    fn is_folder(&self, path: &GitPath) -> anyhow::Result<bool>;
    /// The bytes of a blob.
    ///
    /// # Errors
    /// When it cannot be read.
    fn bytes(&self, file: &File) -> anyhow::Result<Vec<u8>>;
}

/// Reads a JSON array of edits and makes them to the base in order. Nothing is written; every path is judged first.
///
/// # Errors
/// Names the first edit that is none, that leads where nobody may write, or that does not fit the base.
pub fn read(bytes: &[u8], base: &dyn Base) -> anyhow::Result<Edits> {
    let hint = "write an array of `{\"path\",\"content\"}`, `{\"path\",\"old\",\"new\"}` or \
                `{\"path\",\"delete\":true}`, each with `\"executable\"` if it matters";
    let value = canonical::read_any_form(bytes)
        .map_err(|error| user_error(format!("the edits are no JSON: {error}"), hint))?;
    let serde_json::Value::Array(items) = value else {
        return Err(user_error("the edits are no JSON array", hint));
    };
    let mut made = Edits::new();
    // Whether the base has a file at a path, for the rules about new ones.
    let mut there: BTreeMap<GitPath, bool> = BTreeMap::new();
    for (index, item) in items.into_iter().enumerate() {
        let place = format!("edit {}", index + 1);
        let edit: Edit =
            serde_json::from_value(item).map_err(|error| user_error(format!("{place}: {error}"), hint))?;
        let wrong = |problem: String| user_error(format!("{place}, `{}`: {problem}", edit.path), hint);
        path::check(&edit.path).map_err(|problem| wrong(problem.to_string()))?;
        if base.is_folder(&edit.path)? {
            return Err(wrong("a folder; delete the files in it one by one first".into()));
        }
        let before = base.file(&edit.path)?;
        there.insert(edit.path.clone(), before.is_some());
        let now = match made.get(&edit.path) {
            Some(state) => state.clone(),
            None => match before {
                Some(file) if file.mode.is_regular() => {
                    Some(Written { mode: file.mode, content: Content::Bytes(base.bytes(&file)?) })
                }
                Some(_) if edit.delete => Some(Written { mode: Mode::File, content: Content::Bytes(vec![]) }),
                Some(_) => return Err(wrong("a symbolic link or submodule, not a file".into())),
                None => None,
            },
        };
        let next = one(&edit, now).map_err(wrong)?;
        made.insert(edit.path, next);
    }
    check_places(&made, &there, base)?;
    Ok(made)
}

/// What one edit makes of what stands at its path.
fn one(edit: &Edit, now: Option<Written>) -> Result<Option<Written>, String> {
    let mode = match (edit.executable, &now) {
        (Some(true), _) => Mode::Executable,
        (Some(false), _) => Mode::File,
        (None, Some(file)) => file.mode,
        (None, None) => Mode::File,
    };
    match (&edit.content, &edit.old, &edit.new, edit.delete) {
        (Some(content), None, None, false) => {
            Ok(Some(Written { mode, content: Content::Bytes(content.clone().into_bytes()) }))
        }
        (None, Some(old), Some(new), false) => {
            let Some(Written { content: Content::Bytes(bytes), .. }) = now else {
                return Err("there is no such file to replace text in".into());
            };
            let bytes = replace_once(&bytes, old.as_bytes(), new.as_bytes())?;
            Ok(Some(Written { mode, content: Content::Bytes(bytes) }))
        }
        (None, None, None, true) if edit.executable.is_none() => match now {
            Some(_) => Ok(None),
            None => Err("there is no such file to delete".into()),
        },
        (None, None, None, false) if edit.executable.is_some() => match now {
            Some(file) => Ok(Some(Written { mode, ..file })),
            None => Err("there is no such file".into()),
        },
        _ => Err("is neither `content`, nor `old` with `new`, nor `delete`".into()),
    }
}

fn replace_once(bytes: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>, String> {
    if old.is_empty() {
        return Err("`old` is empty".into());
    }
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, part)| *part == old).map(|(at, _)| at).collect();
    match places.as_slice() {
        [at] => Ok([&bytes[..*at], new, &bytes[at + old.len()..]].concat()),
        [] => Err("`old` does not occur".into()),
        several => Err(format!("`old` occurs {} times, and once is wanted", several.len())),
    }
}

/// Refuses what would be written through a link, where a file stays in the way, or where nobody may write.
fn check_places(made: &Edits, there: &BTreeMap<GitPath, bool>, base: &dyn Base) -> anyhow::Result<()> {
    for (file, written) in made {
        let Some(written) = written else { continue };
        let judged = match there.get(file) {
            Some(true) => path::check_file(file, written.mode),
            _ => path::check_new(file, written.mode),
        };
        judged.map_err(|problem| refused(file, &problem.to_string()))?;
        let bytes = file.as_bytes();
        let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for folder in slashes.map(|at| GitPath::new(&bytes[..at])) {
            let stands = match made.get(&folder) {
                Some(state) => state.is_some(),
                None => base.file(&folder)?.is_some(),
            };
            if stands {
                let problem = format!("`{folder}` is a file or a link, not a folder");
                return Err(refused(file, &problem));
            }
        }
    }
    Ok(())
}

fn refused(path: &GitPath, problem: &str) -> anyhow::Error {
    user_error(
        format!("`{path}` cannot be written: {problem}"),
        "propose paths inside the project, in folders of its own",
    )
}
