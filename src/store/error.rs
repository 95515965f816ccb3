//! What can go wrong with a repository, by what the caller can do about it.

use std::path::PathBuf;

use super::keys::KeyProblem;
use crate::domain::fact::values::GitPath;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no repository here.
    #[error("`{}` is not in a git repository", .0.display())]
    NoRepository(PathBuf),
    /// The repository belongs to somebody else, and `safe.directory` does not list it.
    #[error("repository `{}` is owned by somebody else", .0.display())]
    Untrusted(PathBuf),
    /// The repository is no more than a folder in some tree, and `safe.bareRepository` wants such a one named.
    #[error("`{}` only looks like a repository, and `safe.bareRepository` is `explicit`", .0.display())]
    Embedded(PathBuf),
    /// The repository cannot be used.
    #[error("cannot open the repository: {0}")]
    Open(String),
    /// What was asked needs files, and the repository is bare.
    #[error("a bare repository has no working tree")]
    Bare,
    /// A ref or chain moved while we looked, or somebody holds it.
    #[error("`{name}` moved or is locked: {cause}")]
    Moved {
        /// Which ref.
        name: String,
        /// What git said.
        cause: String,
    },
    /// A folder of our own is a link, and nothing is written through one.
    #[error("`{}` is a symbolic link, and nothing is written through it", .0.display())]
    Linked(PathBuf),
    /// Writing is refused here.
    #[error("{0}")]
    Refused(&'static str),
    /// Something that is needed does not exist.
    #[error("{0}")]
    Missing(String),
    /// Stored data is not what it must be.
    #[error("{0}")]
    Corrupt(String),
    /// The memory of heads is not as it was written.
    #[error("the memory of heads `{}` is damaged: {cause}", .path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Work with the same idempotency key and other content is there already.
    #[error("`once` key `{key}` was used {entry} with other content")]
    OnceConflict {
        /// The key.
        key: String,
        /// Where: the chain and seq of the entry that has it, in words.
        entry: String,
    },
    /// What was asked to be stored is more than the format allows.
    #[error("{0}")]
    Format(String),
    /// A key cannot sign.
    #[error("key `{key}` {problem}")]
    Key {
        /// Its path, or `literal`.
        key: String,
        /// Why.
        problem: KeyProblem,
    },
    /// Signing failed, so nothing was written.
    #[error("cannot sign with key `{key}`: {cause}")]
    Sign {
        /// Fingerprint or path of the key.
        key: String,
        /// Why.
        cause: String,
    },
    /// A hook of the user's said no.
    #[error("hook `{hook}` refused: {cause}")]
    HookRefused {
        /// Its name.
        hook: String,
        /// How it ended.
        cause: String,
    },
    /// A hook of the user's changed what was to be committed.
    #[error("hook `{0}` changed what is to be committed, and only what was signed lands")]
    HookChanged(&'static str),
    /// Local changes are where a change has to go.
    #[error("local changes are in the way: {0}")]
    InTheWay(String),
    /// Index and working tree could not be brought all the way.
    #[error("index and working tree are half way: {cause}")]
    Unfinished {
        /// What failed.
        cause: String,
        /// git's lock of the index, which is held until it is done.
        lock: PathBuf,
    },
    /// Everything is done but for some files.
    #[error("{} changed meanwhile and stays as it is; everything else is done", listed(.0))]
    Stays(Vec<GitPath>),
    /// git itself failed.
    #[error("`git {command}` failed: {cause}")]
    Git {
        /// The subcommand.
        command: String,
        /// What it printed.
        cause: String,
    },
    /// A file could not be read or written.
    #[error("cannot {what} `{}`: {error}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        error: std::io::Error,
    },
}

impl StoreError {
    /// The way on from what could not be finished, and the way out of it.
    pub fn way_out(&self) -> Option<String> {
        let StoreError::Unfinished { lock, .. } = self else { return None };
        let lock = lock.display();
        Some(format!(
            "mend that and any command finishes it; or remove `{lock}` to leave files and index as they are now"
        ))
    }

    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.into();
        move |error| StoreError::Io { what, path, error }
    }

    /// Wraps a failure of gix that says nothing more than that stored data could not be read.
    pub(super) fn read(what: impl std::fmt::Display) -> impl FnOnce(gix::Error) -> StoreError {
        let what = what.to_string();
        move |error| StoreError::Corrupt(format!("cannot read {what}: {}", chain_of(&error)))
    }

    pub(super) fn write(what: impl std::fmt::Display) -> impl FnOnce(gix::Error) -> StoreError {
        let what = what.to_string();
        move |error| StoreError::Git { command: what, cause: chain_of(&error) }
    }
}

fn listed(paths: &[GitPath]) -> String {
    let named: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
    named.join(", ")
}

/// An error and its causes in one line.
pub(super) fn chain_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}
