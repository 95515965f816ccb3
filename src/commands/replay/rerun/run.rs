//! One gate, run again in a worktree of its own that is gone afterwards.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::{Directory, Recorded};
use crate::child;
use crate::commands::verify::Picture;
use crate::commands::{Context, UserError};
use crate::domain::fact::Fact;
use crate::domain::fact::data::GateChecked;
use crate::domain::fold::Receipt;
use crate::domain::ids::Oid;

/// How a gate ended this time.
pub(super) struct Ran {
    /// Its exit code.
    pub exit_code: i64,
    /// How long it took.
    pub duration_ms: u64,
    /// Whether it was ended because it took too long.
    pub timed_out: bool,
    /// What it printed.
    pub output: Vec<u8>,
    /// Where the top of the working tree was, in every spelling.
    pub tops: Vec<String>,
}

/// What says where the repository of a hook is, or is about the command that we were started by: none of it is about
/// the worktree that the gate runs in. The first are what `git rev-parse --local-env-vars` lists.
const LEFT_OUT: [&str; 22] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
    "GIT_REFLOG_ACTION",
    "GIT_EDITOR",
    "GIT_RECEIPT_ID",
    "GIT_RECEIPT_IN_HOOK",
];

/// Runs a gate again.
pub(super) fn run(
    ctx: &Context,
    picture: &Picture,
    receipt: &Receipt,
    one: &Recorded<'_>,
    timeout: Option<u64>,
) -> anyhow::Result<Ran> {
    let (gate, head) = (one.gate, head_for(ctx, picture, receipt, one));
    let worktree = ctx
        .store
        .temporary_worktree(&ctx.env.temporary(), gate.tree, head)
        .with_context(|| format!("cannot make a worktree for gate `{}`", gate.gate))?;
    let directory = inside(worktree.path(), &one.directory)?;
    let command = child::Command {
        argv: gate.command.iter().map(OsString::from).collect(),
        timeout: timeout.map(Duration::from_millis),
        directory: Some(directory),
        without: LEFT_OUT.iter().map(OsString::from).collect(),
        // What the gate does is no work of its own, and `replay.checked` records it.
        env: vec![("GIT_RECEIPT".into(), "off".into())],
        no_input: true,
        ..Default::default()
    };
    let ran = child::run(command, &mut std::io::sink(), &mut std::io::sink());
    let tops = spellings(worktree.path());
    if let Err(error) = worktree.remove() {
        ctx.notice(format!("a temporary worktree stays behind: {error}"));
    }
    match ran {
        Ok(outcome) if outcome.interrupted => {
            let message = format!("gate `{}` was interrupted", gate.gate);
            Err(UserError { message, hint: Some("nothing was recorded".into()), code: 2 }.into())
        }
        Ok(outcome) => Ok(Ran {
            exit_code: i64::from(outcome.exit.code()),
            duration_ms: outcome.duration.as_millis() as u64,
            timed_out: outcome.timed_out,
            output: outcome.output.bytes,
            tops,
        }),
        // As a shell would tell it: that the program is not here is how the gate ended.
        Err(error) if error.exit_code().is_some() => Ok(Ran {
            exit_code: error.exit_code().map_or(127, i64::from),
            duration_ms: 0,
            timed_out: false,
            output: format!("{error}\n").into_bytes(),
            tops,
        }),
        Err(error) => Err(error.into()),
    }
}

/// The commit that HEAD names while the gate runs: one with just these files that the receipt is bound to, else what the
/// receipt started from, as far as they are here.
fn head_for(ctx: &Context, picture: &Picture, receipt: &Receipt, one: &Recorded<'_>) -> Option<Oid> {
    let tree_of = |commit: &Oid| ctx.store.tree_of(*commit).ok().flatten();
    let opening = picture.link(&receipt.steps.first()?.commit)?.entry.as_ref();
    let base = opening.and_then(|entry| match &entry.body.fact {
        Fact::ReceiptOpened(opened) => opened.base.as_ref().map(|base| base.commit),
        _ => None,
    });
    let known: Vec<Oid> = base.into_iter().chain(receipt.bound.iter().copied()).collect();
    let exact = known.iter().find(|commit| tree_of(commit) == Some(one.gate.tree)).copied();
    exact.or_else(|| base.filter(|base| tree_of(base).is_some()))
}

/// Where a gate ran, as its `environment` says.
pub(super) fn directory_of(ctx: &Context, gate: &GateChecked) -> anyhow::Result<Directory> {
    let Some(environment) = &gate.environment else { return Ok(Directory::Top) };
    let Some(bytes) = ctx.bytes_of(environment)? else {
        return Ok(Directory::Unknown("what says where it ran is withheld"));
    };
    let said = serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default();
    let Some(directory) = said.get("directory").and_then(serde_json::Value::as_str) else {
        return Ok(Directory::Top);
    };
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
    match directory.split('/').all(plain) {
        true => Ok(Directory::Below(directory.to_owned())),
        false => Ok(Directory::Unknown("where it ran is no folder below the top")),
    }
}

/// The folder to run in, which no link leads out of the worktree.
fn inside(top: &Path, directory: &Directory) -> anyhow::Result<PathBuf> {
    let Directory::Below(folder) = directory else { return Ok(top.to_owned()) };
    let path = top.join(folder);
    let (real, real_top) = (std::fs::canonicalize(&path), std::fs::canonicalize(top));
    match (real, real_top) {
        (Ok(real), Ok(real_top)) if real.starts_with(&real_top) && real.is_dir() => Ok(path),
        _ => Err(crate::commands::user_error(
            format!("the tree has no folder `{folder}` for the gate to run in"),
            "`git receipt log --kind gate.checked` with the receipt shows what was recorded",
        )),
    }
}

/// A path as programs may print it.
pub(super) fn spellings(path: &Path) -> Vec<String> {
    let real = std::fs::canonicalize(path).ok();
    let mut all: Vec<String> = [Some(path.to_owned()), real]
        .into_iter()
        .flatten()
        .filter_map(|path| path.to_str().map(str::to_owned))
        .collect();
    all.dedup();
    all
}
