//! Any error to message, causes, hint and exit code.
//!
//! 0 done · 1 the answer is no · 2 could not · 3 it moved, is locked or conflicts · 4 evidence incomplete.

use serde::Serialize;

use crate::commands::UserError;
use crate::store::StoreError;
use crate::store::keys::KeyProblem;

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
        StoreError::Linked(_) => {
            (2, Some("see where it leads and remove it; what it is there for is built anew"))
        }
        StoreError::Unfinished { .. } => return Some((2, error.way_out())),
        StoreError::Stays(_) => (2, Some("`git status` shows how it differs")),
        StoreError::HookRefused { .. } => (2, Some("nothing was changed; `--no-verify` passes the hooks by")),
        StoreError::HookChanged(_) => {
            (2, Some("`git receipt revise` proposes what the hook would have it be"))
        }
        StoreError::OnceConflict { .. } => (2, Some("use another `once` key, or the content that is there")),
        StoreError::Key { problem, .. } => (2, Some(key_hint(problem))),
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

fn key_hint(problem: &KeyProblem) -> &'static str {
    match problem {
        KeyProblem::Type(_) => {
            "`git receipt key new --person` makes a key that can, and `git config receipt.signingKey FILE` names one \
             for receipts alone"
        }
        KeyProblem::Empty | KeyProblem::Form(_) => {
            "name a file with an Ed25519 key, as `ssh-keygen -t ed25519` makes it"
        }
        KeyProblem::ForeignForm => "`ssh-keygen -p -f FILE` rewrites it in OpenSSH's own form",
        KeyProblem::NoPath => "write the key to a file with mode 0600, and name that",
        KeyProblem::Locked => "`ssh-add FILE` hands it to an agent; or run it on a terminal",
        KeyProblem::Passphrase => "try again, or hand the key to an agent with `ssh-add FILE`",
        KeyProblem::Away => {
            "`ssh-add -l` lists what the agent has that `SSH_AUTH_SOCK` names, and `ssh-add FILE` adds to it"
        }
        KeyProblem::Exposed => "`chmod 600 FILE` makes it yours alone",
    }
}
