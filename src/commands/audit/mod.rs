//! `git receipt audit`

mod gather;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::trust::{REVOKED_FILE, SIGNERS_FILE, TrustSet};
use super::{Context, Report, user_error};
use crate::domain::audit::judge::{Evidence, judge};
use crate::domain::audit::report::{
    AuditCode, AuditFinding, AuditReport, CommitReport, GateFound, GateResult, Grade, Level, Verdict,
};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;
use crate::domain::policy::{self, Policy, Requirement, Rule};
use crate::domain::revoked::Revoked;
use crate::domain::signers::AllowedSigners;
use crate::store::RangeCommit;
use gather::{Gathered, unexplained};

/// Path of the policy in the tree.
pub const POLICY_FILE: &str = ".receipts/policy.toml";

/// Judge commits by the policy of their parents: receipts, accepted lines, gates
///
/// `A..B` judges what B adds to A, and A is what is trusted. Exits with 0 when every rule holds, 1 when one that blocks
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
        Some((from, to)) => {
            let named = |name: &str| commit(if name.is_empty() { "HEAD" } else { name });
            (Some(named(from)?), named(to)?)
        }
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

    /// The full name of the ref that commits are for: the one given, else the branch that HEAD is on.
    ///
    /// # Errors
    /// When HEAD cannot be read.
    pub fn ref_to_judge(&self, given: Option<&str>) -> anyhow::Result<Option<String>> {
        Ok(match given {
            Some(name) if name.starts_with("refs/") => Some(name.to_owned()),
            Some(name) => Some(format!("refs/heads/{name}")),
            None => self.store.head()?.branch,
        })
    }
}

/// Judges commits.
///
/// # Errors
/// When the repository cannot be read.
pub fn audit(ctx: &Context, request: &Request) -> anyhow::Result<AuditReport> {
    let root = request.policy_from.or(request.from);
    let mut auditing = Auditing {
        ctx,
        request,
        root,
        courts: HashMap::new(),
        known: HashMap::new(),
        report: AuditReport {
            from: request.from.map(|commit| commit.to_hex()),
            to: request.to.to_hex(),
            r#ref: request.ref_name.clone(),
            policy: None,
            required: false,
            verdict: Verdict::Passed,
            judged: 0,
            commits: Vec::new(),
            findings: Vec::new(),
        },
    };
    auditing.run()?;
    let mut report = auditing.report;
    report.verdict = Verdict::of(&report.findings);
    Ok(report)
}

/// The rules and signers that a commit is judged by.
struct Court {
    policy: Option<Policy>,
    /// Why there is no sound policy or list of signers although there is one.
    broken: Option<(AuditCode, String)>,
    known: Rc<Gathered>,
}

/// Signers, revocations and projects: what decides which entries count.
type KnownBy = (Option<Vec<u8>>, Option<Vec<u8>>, Option<BTreeSet<Oid>>);

struct Auditing<'a> {
    ctx: &'a Context,
    request: &'a Request,
    /// What is trusted.
    root: Option<Oid>,
    /// By the blobs of policy, signers and revocations.
    courts: HashMap<[Option<Vec<u8>>; 3], Rc<Court>>,
    known: HashMap<KnownBy, Rc<Gathered>>,
    report: AuditReport,
}

impl Auditing<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let (ctx, request) = (self.ctx, self.request);
        if let Some(root) = self.root
            && ctx.store.file_at(root, POLICY_FILE).is_ok_and(|found| found.is_some())
        {
            self.report.policy = Some(root.to_hex());
        }
        // A commit that is not here, below a shallow cut, hides nothing.
        let without: Vec<Oid> =
            request.from.filter(|commit| ctx.store.has_object(*commit)).into_iter().collect();
        let main = ctx.store.range(request.to, &without, true)?;
        let on_line = match (request.from, main.first()) {
            (None, _) => true,
            (Some(from), Some(first)) => first.parents.first() == Some(&from),
            (Some(from), None) => from == request.to,
        };
        let guarded = match self.root {
            Some(root) => asks_of(ctx, root, request.ref_name.as_deref())?,
            None => false,
        };
        if !on_line && guarded {
            self.report.required = true;
            // Rewinds, force pushes and merges the other way round: what was trusted would no longer be there.
            self.find(AuditFinding {
                code: AuditCode::OffFirstParent,
                level: Level::Error,
                commit: Some(request.to.to_hex()),
                rule: None,
                path: None,
                line: None,
                message: format!(
                    "`{}` is not on the first-parent line of `{}`",
                    request.from.map(|commit| commit.to_hex()).unwrap_or_default(),
                    request.to.to_hex()
                ),
                hint: "rebase onto it, or merge into it with `git merge --no-ff` from its side".to_owned(),
            });
        }
        for commit in &main {
            let court = self.court(commit.parents.first().copied())?;
            if commit.parents.len() > 1 {
                let brought = ctx.store.range(commit.commit, &commit.parents[..1], false)?;
                for one in brought.iter().filter(|one| one.commit != commit.commit) {
                    self.judge(one, &court, Some(commit))?;
                }
            }
            self.judge(commit, &court, None)?;
        }
        Ok(())
    }

    fn find(&mut self, finding: AuditFinding) {
        if !self.report.findings.contains(&finding) {
            self.report.findings.push(finding);
        }
    }

    /// The rules and signers of a commit whose first parent is `parent`.
    fn court(&mut self, parent: Option<Oid>) -> anyhow::Result<Rc<Court>> {
        let ctx = self.ctx;
        let at = parent.or(self.root);
        if let Some(missing) = at.filter(|commit| !ctx.store.has_object(*commit)) {
            // Where history is cut off nobody can tell what was asked for.
            return self.unknown_court(missing);
        }
        let read = |commit: Option<Oid>, path: &str| match commit {
            Some(commit) => ctx.store.file_at(commit, path).map_err(|error| error.to_string()),
            None => Ok(None),
        };
        let policy = read(at, POLICY_FILE);
        // A branch that has no policy of its own is judged by the one that is trusted.
        let (at, policy) = match policy {
            Ok(None) if self.request.policy_from.is_some() => (self.root, read(self.root, POLICY_FILE)),
            other => (at, other),
        };
        let signers = read(at, SIGNERS_FILE);
        let revoked = read(self.root.or(at), REVOKED_FILE);
        let key = [
            policy.clone().unwrap_or(Some(b"?".to_vec())),
            signers.clone().unwrap_or(Some(b"?".to_vec())),
            revoked.clone().unwrap_or(Some(b"?".to_vec())),
        ];
        if let Some(court) = self.courts.get(&key) {
            return Ok(court.clone());
        }
        let place = at.map(|commit| commit.to_hex()).unwrap_or_default();
        let mut broken = None;
        let parsed = policy
            .map_err(|error| (AuditCode::PolicyBroken, error))
            .and_then(|bytes| bytes.map(|bytes| parse_policy(&bytes, &place)).transpose());
        let policy = parsed.unwrap_or_else(|problem| {
            broken = Some(problem);
            None
        });
        let mut parse = |bytes: Result<Option<Vec<u8>>, String>, file: &str| -> String {
            let text = bytes.and_then(|bytes| {
                String::from_utf8(bytes.unwrap_or_default()).map_err(|_| format!("`{file}` is no UTF-8"))
            });
            text.unwrap_or_else(|problem| {
                broken.get_or_insert((AuditCode::SignersBroken, problem));
                String::new()
            })
        };
        let (signers_text, revoked_text) = (parse(signers, SIGNERS_FILE), parse(revoked, REVOKED_FILE));
        let signers: AllowedSigners = signers_text.parse().unwrap_or_else(|error| {
            broken
                .get_or_insert((AuditCode::SignersBroken, format!("`{SIGNERS_FILE}` at `{place}`: {error}")));
            AllowedSigners::default()
        });
        let revoked: Revoked = revoked_text.parse().unwrap_or_else(|error| {
            broken.get_or_insert((AuditCode::SignersBroken, format!("`{REVOKED_FILE}`: {error}")));
            Revoked::default()
        });
        let repos = self.repos(policy.as_ref())?;
        let trust = TrustSet { signers, source: None, machine: BTreeMap::new(), revoked, repos };
        let known = self.known_under(trust, &key)?;
        let court = Rc::new(Court { policy, broken, known });
        self.courts.insert(key, court.clone());
        Ok(court)
    }

    /// What is known under a list of signers, worked out once for each.
    fn known_under(&mut self, trust: TrustSet, key: &[Option<Vec<u8>>; 3]) -> anyhow::Result<Rc<Gathered>> {
        let by = (key[1].clone(), key[2].clone(), trust.repos.clone());
        if let Some(known) = self.known.get(&by) {
            return Ok(known.clone());
        }
        let picture = self.ctx.picture(&trust)?;
        let known = Rc::new(Gathered::new(self.ctx, picture, trust));
        self.known.insert(by, known.clone());
        Ok(known)
    }

    /// The court of a commit whose parent is not here.
    fn unknown_court(&mut self, missing: Oid) -> anyhow::Result<Rc<Court>> {
        let key = [None, None, None];
        let known = self.known_under(TrustSet::default(), &key)?;
        let message = format!("commit `{}` and the policy in it are not here", missing.to_hex());
        Ok(Rc::new(Court { policy: None, broken: Some((AuditCode::EvidenceMissing, message)), known }))
    }

    /// The projects whose receipts count.
    fn repos(&self, policy: Option<&Policy>) -> anyhow::Result<Option<BTreeSet<Oid>>> {
        let listed: BTreeSet<Oid> =
            policy.into_iter().flat_map(|policy| policy.repos().iter().copied()).collect();
        if !listed.is_empty() {
            return Ok(Some(listed));
        }
        let branch = self.ctx.store.default_branch()?.map(|(_, commit)| commit);
        match branch.or(self.root).or(Some(self.request.to)) {
            Some(commit) => Ok(self.ctx.store.roots_of(commit)?),
            None => Ok(None),
        }
    }

    /// Judges one commit.
    fn judge(
        &mut self,
        commit: &RangeCommit,
        court: &Court,
        merged_by: Option<&RangeCommit>,
    ) -> anyhow::Result<()> {
        let ctx = self.ctx;
        let name = commit.commit.to_hex();
        self.report.judged += 1;
        let mut said = CommitReport {
            commit: name.clone(),
            subject: commit.subject.clone(),
            author: commit.author.clone(),
            merged_by: merged_by.map(|merge| merge.commit.to_hex()),
            evil: false,
            grade: Grade::None,
            receipts: Vec::new(),
            approved_by: Vec::new(),
            gates: Vec::new(),
            rules: Vec::new(),
        };
        if let Some((code, problem)) = &court.broken {
            self.report.required = true;
            let (level, hint) = match code {
                AuditCode::EvidenceMissing => {
                    (Level::Incomplete, "fetch the whole history: `git fetch --unshallow`")
                }
                _ => (Level::Error, "mend the file in the commit before; nothing passes without it"),
            };
            self.find(AuditFinding {
                code: *code,
                level,
                commit: Some(name),
                rule: None,
                path: None,
                line: None,
                message: problem.clone(),
                hint: hint.to_owned(),
            });
            self.report.commits.push(said);
            return Ok(());
        }
        let Some(policy) = &court.policy else {
            self.report.commits.push(said);
            return Ok(());
        };
        let parent = match commit.parents.first() {
            Some(parent) => ctx.store.tree_of(*parent)?,
            None => None,
        };
        let mut against = parent.unwrap_or_else(|| ctx.store.empty_tree());
        if commit.parents.len() > 1 {
            let plain = match commit.parents.as_slice() {
                [ours, theirs] => ctx.store.plain_merge(*ours, *theirs)?,
                _ => None,
            };
            if plain == Some(commit.tree) {
                // What it brings is judged commit by commit.
                self.report.commits.push(said);
                return Ok(());
            }
            said.evil = true;
            against = plain.unwrap_or(against);
        }
        let (before, after) = ctx.store.changed_files(against, commit.tree)?;
        let paths: BTreeSet<&GitPath> = before.keys().chain(after.keys()).collect();
        let rules: Vec<(u64, &Rule)> = policy
            .rules()
            .iter()
            .zip(1..)
            .map(|(rule, number)| (number, rule))
            .filter(|(_, rule)| match &self.request.ref_name {
                Some(name) => rule.names(name),
                None => true,
            })
            .filter(|(_, rule)| rule.touches(paths.iter().map(|path| path.as_bytes())))
            .collect();
        if rules.is_empty() {
            self.report.commits.push(said);
            return Ok(());
        }
        self.report.required = true;
        let with_lines = rules.iter().any(|(_, rule)| match rule.receipt {
            Requirement::Accepted(_) => true,
            Requirement::Bound => rule.grade < policy::Grade::Tree,
            Requirement::None => false,
        });
        let mut evidence = court.known.evidence(ctx, commit, parent, with_lines && !said.evil)?;
        if said.evil {
            evidence.unexplained = unexplained(&ctx.store, against, commit.tree)?;
            self.evil(&name, &evidence, &rules);
        }
        for (number, rule) in rules {
            let judged = judge(policy, number, rule, &name, &evidence);
            said.rules.push(number);
            // The weakest evidence that any rule had to rely on.
            if let Some(grade) = judged.grade {
                let grade = shown_grade(grade);
                said.grade = if said.grade == Grade::None { grade } else { said.grade.max(grade) };
            }
            said.receipts.extend(judged.receipts.iter().map(ToString::to_string));
            said.approved_by.extend(judged.approved_by);
            for (gate, by) in judged.gates {
                let result = if by.is_some() { GateResult::Passed } else { GateResult::Missing };
                said.gates.push(GateFound { gate, result, by });
            }
            for finding in judged.findings {
                self.find(finding);
            }
        }
        for list in [&mut said.receipts, &mut said.approved_by] {
            list.sort();
            list.dedup();
        }
        said.gates.dedup();
        self.report.commits.push(said);
        Ok(())
    }

    /// Says that a merge holds more than its parents.
    fn evil(&mut self, name: &str, evidence: &Evidence, rules: &[(u64, &Rule)]) {
        let asks = rules.iter().find(|(_, rule)| matches!(rule.receipt, Requirement::Accepted(_)));
        let Some((number, rule)) = asks else { return };
        let level = match rule.enforce {
            policy::Enforce::Block => Level::Error,
            policy::Enforce::Warn => Level::Warning,
        };
        let place = evidence.unexplained.as_ref();
        self.find(AuditFinding {
            code: AuditCode::EvilMerge,
            level,
            commit: Some(name.to_owned()),
            rule: Some(*number),
            path: place.map(|(path, _)| path.to_string()),
            line: place.and_then(|(_, line)| *line),
            message: "the merge is not what merging its parents gives".to_owned(),
            hint: "merge without changes, and make them in a commit of their own".to_owned(),
        });
    }
}

/// Whether a rule of the policy at a commit is about a ref, or about any where none is named. A policy that does not parse is about all of them.
///
/// # Errors
/// When the commit cannot be read.
pub fn asks_of(ctx: &Context, commit: Oid, name: Option<&str>) -> anyhow::Result<bool> {
    Ok(match ctx.store.file_at(commit, POLICY_FILE) {
        Ok(None) => false,
        Ok(Some(bytes)) => match parse_policy(&bytes, &commit.to_hex()) {
            Ok(policy) => policy.rules_for(name).next().is_some(),
            Err(_) => true,
        },
        Err(_) => true,
    })
}

fn shown_grade(grade: policy::Grade) -> Grade {
    match grade {
        policy::Grade::Commit => Grade::Commit,
        policy::Grade::Tree => Grade::Tree,
        policy::Grade::Patch => Grade::Patch,
        policy::Grade::Lines => Grade::Lines,
    }
}

fn parse_policy(bytes: &[u8], place: &str) -> Result<Policy, (AuditCode, String)> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| (AuditCode::PolicyBroken, format!("`{POLICY_FILE}` at `{place}` is no UTF-8")))?;
    Policy::parse(text)
        .map_err(|problem| (AuditCode::PolicyBroken, format!("`{POLICY_FILE}` at `{place}`: {problem}")))
}
