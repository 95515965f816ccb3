//! `git receipt audit`

mod court;
mod gathered;
mod walk;

use super::{Context, Report, user_error};
use crate::domain::audit::report::AuditReport;
use crate::domain::ids::Oid;
pub use walk::{audit, empty};

/// Path of the policy in the tree.
pub const POLICY_FILE: &str = ".receipts/policy.toml";

/// Judge commits by the policy of their parents: receipts, accepted lines, gates
///
/// `A..B` judges what B adds to A, and A is what is trusted. A single revision is judged upon its first parent. Exits with 0 when every rule holds, 1 when one that blocks
/// does not, 4 when evidence is incomplete. The first line says so where nothing was required.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The commits: a range, or a single one upon its first parent
    #[arg(value_name = "A..B|REV", default_value = "HEAD")]
    pub range: String,
    /// The full name of the ref that they are for; the branch HEAD is on if left out
    #[arg(long = "ref", value_name = "NAME")]
    pub ref_name: Option<String>,
    /// Trust policy, signers and revocations of this revision instead of A
    #[arg(long, value_name = "REV")]
    pub policy_from: Option<String>,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// Forms of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document, as `--json`.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for test reports.
    Junit,
    /// Markdown, for the summary of a CI run.
    Markdown,
}

/// The report and how it is wanted.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Audited {
    /// The report.
    pub report: AuditReport,
    /// How to print it.
    #[serde(skip)]
    pub format: Format,
}

impl Report for Audited {
    const NAME: &'static str = "audit";

    fn exit_code(&self) -> u8 {
        self.report.verdict.exit_code()
    }
}

/// What is asked for.
pub struct Request {
    /// What is trusted and not judged; none judges all of the history.
    pub from: Option<Oid>,
    /// The newest commit judged.
    pub to: Oid,
    /// The ref it is for; none applies every rule.
    pub ref_name: Option<String>,
    /// Where trust comes from in place of `from`.
    pub policy_from: Option<Oid>,
}

/// Runs the command.
///
/// # Errors
/// When a name is no revision or the repository cannot be read; what is wrong with the commits is part of the report.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Audited> {
    let commit = |name: &str| ctx.commit_named(name);
    let (from, to) = match args.range.split_once("..") {
        Some((_, to)) if to.starts_with('.') => {
            return Err(user_error(
                format!("`{}` has three dots", args.range),
                "write `A..B`: what B adds to A",
            ));
        }
        // An empty side is more often a variable that was not set than HEAD, and would leave nothing to judge.
        Some((from, to)) if from.is_empty() || to.is_empty() => {
            return Err(user_error(
                format!("`{}` leaves out a side", args.range),
                "write both commits: `A..B`, what B adds to A",
            ));
        }
        Some((from, to)) => (Some(commit(from)?), commit(to)?),
        None => {
            let to = commit(&args.range)?;
            (ctx.store.parents_of(to)?.first().copied(), to)
        }
    };
    let ref_name = ctx.ref_to_judge(args.ref_name.as_deref())?;
    let policy_from = args.policy_from.as_deref().map(commit).transpose()?;
    let report = audit(ctx, &Request { from, to, ref_name, policy_from })?;
    Ok(Audited { report, format: args.format })
}

impl Context {
    /// The commit that a person names.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn commit_named(&self, name: &str) -> anyhow::Result<Oid> {
        self.store.resolve_commit(name)?.ok_or_else(|| {
            user_error(format!("`{name}` names no commit"), "name a branch, a tag or a commit id")
        })
    }

    /// The full name of the ref that commits are for: the one given, else the branch that HEAD is on; `None` on a
    /// detached HEAD, where every rule applies.
    ///
    /// # Errors
    /// When what was given can be no ref, or HEAD cannot be read.
    pub fn ref_to_judge(&self, given: Option<&str>) -> anyhow::Result<Option<String>> {
        let Some(name) = given else { return Ok(self.store.head()?.branch) };
        let full = match name.split_once('/') {
            Some(("refs", _)) => name.to_owned(),
            Some(("heads" | "tags", _)) => format!("refs/{name}"),
            _ => format!("refs/heads/{name}"),
        };
        if name == "HEAD" || !crate::store::is_ref_name(&full) {
            return Err(user_error(
                format!("`{name}` is no name of a ref"),
                "write the ref that the commits are for in full, such as `refs/heads/main`",
            ));
        }
        Ok(Some(full))
    }
}
