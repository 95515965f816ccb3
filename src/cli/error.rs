//! Any error to message, causes, hint and exit code.
//!
//! 0 done · 1 the answer is no · 2 could not · 3 it moved, is locked or conflicts · 4 evidence incomplete.

use serde::Serialize;

use crate::commands::UserError;
use crate::store::StoreError;

/// What is said about a failure.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ErrorReport {
    /// Always `git-receipt/error/1`.
    pub schema: &'static str,
    /// The exit code.
    pub code: u8,
    /// What went wrong.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What helps.
    pub hint: Option<String>,
}

/// Describes an error.
pub fn report(error: &anyhow::Error) -> ErrorReport {
    let mut causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    causes.dedup();
    let (code, hint) = error.chain().find_map(classify).unwrap_or((2, None));
    ErrorReport { schema: "git-receipt/error/1", code, message: error.to_string(), causes, hint }
}

fn classify(cause: &(dyn std::error::Error + 'static)) -> Option<(u8, Option<String>)> {
    if let Some(error) = cause.downcast_ref::<UserError>() {
        return Some((error.code, error.hint.clone()));
    }
    let error = cause.downcast_ref::<StoreError>()?;
    let (code, hint) = match error {
        StoreError::NoRepository(_) => (2, Some("run it inside a repository, or name one with `-C`")),
        StoreError::Untrusted(_) => {
            (2, Some("if you trust it: `git config --global --add safe.directory <path>`"))
        }
        StoreError::Embedded(_) => (2, Some("if you mean it, name it: set `GIT_DIR`")),
        StoreError::Moved { .. } => {
            (3, Some("nothing was changed; look with `git receipt status` and try again"))
        }
        StoreError::InTheWay(_) => {
            (3, Some("nothing was changed; commit or stash what is there, then try again"))
        }
        StoreError::HookRefused { .. } => (2, Some("nothing was changed; `--no-verify` passes the hooks by")),
        StoreError::HookChanged(_) => {
            (2, Some("`git receipt revise` proposes what the hook would have it be"))
        }
        StoreError::OnceConflict { .. } => (2, Some("use another `once` key, or the content that is there")),
        StoreError::Sign { .. } => (2, Some("`git receipt key list` shows the keys that can sign here")),
        StoreError::Format(_) => {
            (2, Some("long text belongs into content fields, which are kept beside the chain"))
        }
        StoreError::Corrupt(_) => (2, Some("`git receipt verify` names everything that is wrong")),
        StoreError::Memory { .. } => {
            (2, Some("deleting the file forgets the heads, and `git receipt verify --remember` starts anew"))
        }
        StoreError::Missing(_) => (2, Some("`git receipt fetch` brings what a remote has")),
        StoreError::Bare
        | StoreError::Open(_)
        | StoreError::Refused(_)
        | StoreError::Git { .. }
        | StoreError::Io { .. } => (2, None),
    };
    Some((code, hint.map(str::to_owned)))
}
