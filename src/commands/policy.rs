//! `git receipt policy`

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::audit::{POLICY_FILE, Request, audit};
use super::key::tree_file;
use super::trust::{REVOKED_FILE, SIGNERS_FILE};
use super::{Context, Report, UserError, user_error};
use crate::domain::audit::report::{AuditFinding, CommitReport};
use crate::domain::policy::{Policy, Requirement, Rule};
use crate::domain::revoked::Revoked;
use crate::domain::signers::{AllowedSigners, SignersError};

/// Write, check and explain the policy that commits are judged by
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[allow(missing_docs)]
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// Write a policy to begin with, which explains itself and only warns
    Init,
    /// Read the policy of the working tree, and say what is wrong with it
    Check {
        /// Another file
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Say which rules match a commit, what they need, what was found, and what would supply the rest
    Explain {
        /// The commit
        #[arg(value_name = "COMMIT", default_value = "HEAD")]
        commit: String,
        /// The full name of the ref that it is for; the branch HEAD is on if left out
        #[arg(long = "ref", value_name = "NAME")]
        ref_name: Option<String>,
        /// Trust policy, signers and revocations of this revision instead of its first parent
        #[arg(long, value_name = "REV")]
        policy_from: Option<String>,
    },
}

/// What the command says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyReport {
    /// The file.
    pub file: Option<String>,
    /// Whether it was written now.
    pub written: bool,
    /// The rules, where they were read.
    pub rules: Vec<RuleView>,
    /// What deserves a look.
    pub warnings: Vec<String>,
    /// What to do next.
    pub next: Vec<String>,
    /// The commit that was asked about.
    pub commit: Option<CommitReport>,
    /// What does not hold for it.
    pub findings: Vec<AuditFinding>,
    #[serde(skip)]
    code: u8,
}

/// A rule.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RuleView {
    /// Its number, from 1.
    pub number: u64,
    /// The line that it begins on.
    pub line: u64,
    /// Whether it is about the commit; none where no commit was asked about.
    pub matches: Option<bool>,
    /// What it asks for, in words.
    pub needs: Vec<String>,
}

impl Report for PolicyReport {
    const NAME: &'static str = "policy";

    fn exit_code(&self) -> u8 {
        self.code
    }
}

impl PolicyReport {
    fn new(file: Option<String>) -> Self {
        PolicyReport {
            file,
            written: false,
            rules: Vec::new(),
            warnings: Vec::new(),
            next: Vec::new(),
            commit: None,
            findings: Vec::new(),
            code: 0,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the file is there already, or cannot be read; exit code 1 where it is no policy.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<PolicyReport> {
    match &args.action {
        Action::Init => init(ctx),
        Action::Check { file } => check(ctx, file.clone()),
        Action::Explain { commit, ref_name, policy_from } => {
            explain(ctx, commit, ref_name.clone(), policy_from.as_deref())
        }
    }
}

fn init(ctx: &Context) -> anyhow::Result<PolicyReport> {
    let top = ctx.store.work_dir().ok_or(crate::store::StoreError::Bare)?;
    let path = top.join(POLICY_FILE);
    if path.symlink_metadata().is_ok() {
        return Err(user_error(
            format!("`{POLICY_FILE}` is there already"),
            "`git receipt policy check` reads it, and it is changed like code",
        ));
    }
    let path = tree_file(ctx, POLICY_FILE)?;
    let folder = path.parent().unwrap_or(top);
    let cannot = || format!("cannot write `{POLICY_FILE}`");
    std::fs::create_dir_all(folder).with_context(cannot)?;
    std::fs::write(&path, Policy::template()).with_context(cannot)?;
    let mut report = read(ctx, POLICY_FILE, Policy::template())?;
    report.written = true;
    report.next = vec![
        "list your keys: `git receipt key trust`".to_owned(),
        "commit `.receipts` and push it: commits after that one are judged".to_owned(),
        "look at what it finds: `git receipt policy explain`, then change `warn` to `block`".to_owned(),
    ];
    Ok(report)
}

fn check(ctx: &Context, file: Option<PathBuf>) -> anyhow::Result<PolicyReport> {
    let path = match file {
        Some(path) => path,
        None => ctx.store.work_dir().ok_or(crate::store::StoreError::Bare)?.join(POLICY_FILE),
    };
    let shown = path.display().to_string();
    let there = path.symlink_metadata().map_err(|error| {
        user_error(format!("cannot read `{shown}`: {error}"), "`git receipt policy init` writes one")
    })?;
    if !there.is_file() {
        return Err(broken(format!("`{shown}` is no regular file"), "a policy is never read through a link"));
    }
    read(ctx, &shown, &super::open::read_text(&path)?)
}

fn broken(message: String, hint: &str) -> anyhow::Error {
    UserError { message, hint: Some(hint.to_owned()), code: 1 }.into()
}

fn read(ctx: &Context, shown: &str, text: &str) -> anyhow::Result<PolicyReport> {
    let policy =
        Policy::parse(text).map_err(|problem| broken(format!("`{shown}`: {problem}"), problem.hint))?;
    let mut report = PolicyReport::new(Some(shown.to_owned()));
    report.rules = policy.rules().iter().zip(1..).map(|(rule, number)| view(number, rule, None)).collect();
    report.warnings = warnings(&listed(ctx)?, &policy);
    Ok(report)
}

/// Who the working tree's signers file lists. It and the file of revoked keys have to be sound as well, as nothing
/// passes upon one that is not.
fn listed(ctx: &Context) -> anyhow::Result<AllowedSigners> {
    let text = |name: &str| -> anyhow::Result<String> {
        let path = tree_file(ctx, name)?;
        match path.exists() {
            true => super::open::read_text(&path),
            false => Ok(String::new()),
        }
    };
    text(REVOKED_FILE)?
        .parse::<Revoked>()
        .map_err(|error| broken(format!("`{REVOKED_FILE}`: {error}"), error.hint()))?;
    text(SIGNERS_FILE)?
        .parse()
        .map_err(|error: SignersError| broken(format!("`{SIGNERS_FILE}`: {error}"), error.hint()))
}

/// People in the policy who could never sign, as no key of theirs is listed, and rules that nobody can satisfy for
/// their own work.
fn warnings(signers: &AllowedSigners, policy: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    for (rule, number) in policy.rules().iter().zip(1..) {
        let mut roles: Vec<&String> = rule.gate_runners.iter().collect();
        if let Requirement::Accepted(approvals) = &rule.receipt {
            roles.extend(&approvals.approvers);
            let members = approvals.approvers.iter().flat_map(|role| policy.members(role));
            let people: BTreeSet<&str> = members.map(|who| policy.owner_of(who)).collect();
            if people.len() == approvals.count && !approvals.author_may_approve {
                found.push(format!(
                    "rule {number} asks for {} approvals of {} people, so none of them can get a change of their own in",
                    approvals.count,
                    people.len()
                ));
            }
        }
        for member in roles.into_iter().flat_map(|role| policy.members(role)) {
            let known = signers.keys_of(member).next().is_some();
            let text =
                format!("no key of `{member}` is listed in `{SIGNERS_FILE}`, so nothing they sign counts");
            if !known && !found.contains(&text) {
                found.push(text);
            }
        }
    }
    found
}

fn explain(
    ctx: &Context,
    name: &str,
    ref_name: Option<String>,
    policy_from: Option<&str>,
) -> anyhow::Result<PolicyReport> {
    let to = ctx.commit_named(name)?;
    let from = ctx.store.parents_of(to)?.first().copied();
    let policy_from = policy_from.map(|name| ctx.commit_named(name)).transpose()?;
    let ref_name = ctx.ref_to_judge(ref_name.as_deref())?;
    let judged = audit(ctx, &Request { from, to, ref_name, policy_from })?;
    let commit = judged.commits.into_iter().find(|commit| commit.commit == to.to_hex());
    // The rules that it was judged by: its parent's, or those that stand in for them.
    let own = from.and_then(|from| ctx.policy_at(from).ok().flatten());
    let policy = match (own, policy_from) {
        (None, Some(root)) => ctx.policy_at(root).ok().flatten(),
        (own, _) => own,
    };
    let mut report = PolicyReport::new(judged.policy);
    let matched = commit.as_ref().map(|commit| commit.rules.clone()).unwrap_or_default();
    if let Some(policy) = policy {
        let rules = policy.rules().iter().zip(1..);
        report.rules =
            rules.map(|(rule, number)| view(number, rule, Some(matched.contains(&number)))).collect();
    }
    report.commit = commit;
    report.findings = judged.findings;
    report.code = judged.verdict.exit_code();
    Ok(report)
}

fn view(number: u64, rule: &Rule, matches: Option<bool>) -> RuleView {
    let refs: Vec<String> = rule.refs.iter().map(ToString::to_string).collect();
    let mut needs = vec![format!("on {}", refs.join(", "))];
    if !rule.paths.is_everything() {
        let paths: Vec<&str> = rule.paths.texts().collect();
        needs.push(format!("for {}", paths.join(", ")));
    }
    match &rule.receipt {
        Requirement::None => {}
        Requirement::Bound => needs.push(format!("a bound receipt, at least of grade `{}`", rule.grade)),
        Requirement::Accepted(approvals) => {
            let author = if approvals.author_may_approve { "" } else { ", the author not counted" };
            needs.push(format!(
                "every line accepted by {} of {}{author}, at least of grade `{}`",
                approvals.count,
                approvals.approvers.join(", "),
                rule.grade
            ));
        }
    }
    for gate in &rule.gates {
        let command = gate.command.as_ref().map(|words| format!(" as `{}`", words.join(" ")));
        let runners = rule.gate_runners.join(", ");
        needs.push(format!("gate `{}`{} passed by {runners}", gate.name, command.unwrap_or_default()));
    }
    if let Some(risk) = rule.max_risk {
        needs.push(format!("no risk above {risk}"));
    }
    if rule.enforce == crate::domain::policy::Enforce::Warn {
        needs.push("only warns".to_owned());
    }
    RuleView { number, line: rule.line as u64, matches, needs }
}
