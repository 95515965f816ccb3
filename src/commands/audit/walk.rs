//! The commits of a range, each held against the rules of its court.

use std::collections::BTreeSet;

use super::Request;
use super::court::{Court, Courts};
use super::gathered::Gathered;
use crate::commands::Context;
use crate::commands::evidence::{Found, Parent, Search};
use crate::domain::audit::judge::{Judged, Scope, judge, weigh};
use crate::domain::audit::report::{
    AuditCode, AuditFinding, AuditReport, CommitReport, Grade, Level, Verdict,
};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;
use crate::domain::policy::{self, Policy, Requirement, Rule};
use crate::store::RangeCommit;

/// Judges commits.
///
/// # Errors
/// When the repository cannot be read.
pub fn audit(ctx: &Context, request: &Request) -> anyhow::Result<AuditReport> {
    let root = request.policy_from.or(request.from);
    let courts = Courts::new(ctx, root, request.policy_from.is_some(), request.to)?;
    let mut walk = Walk { ctx, request, root, courts, report: empty(request) };
    walk.run()?;
    let mut report = walk.report;
    if report.required && walk.courts.projects_are_unknown()? {
        report.findings.push(AuditFinding {
            code: AuditCode::EvidenceMissing,
            level: Level::Incomplete,
            commit: None,
            rule: None,
            path: None,
            line: None,
            message: "the project's root commits are not here, so receipts of another project would pass"
                .into(),
            hint: "fetch the whole history: `git fetch --unshallow`".into(),
        });
    }
    report.verdict = Verdict::of(&report.findings);
    Ok(report)
}

/// A report about nothing yet.
pub fn empty(request: &Request) -> AuditReport {
    AuditReport {
        from: request.from.map(|commit| commit.to_hex()),
        to: request.to.to_hex(),
        r#ref: request.ref_name.clone(),
        policy: None,
        required: false,
        verdict: Verdict::Passed,
        judged: 0,
        commits: Vec::new(),
        findings: Vec::new(),
    }
}

/// What a commit does, before anything is asked for it.
struct Change<'c> {
    commit: &'c RangeCommit,
    parent: Parent,
    scope: Scope,
    /// Whether it is a merge that is not what merging its parents gives.
    evil: bool,
    /// Every path that differs from one of its parents; for a merge that adds nothing, from its first.
    paths: BTreeSet<GitPath>,
}

struct Walk<'a> {
    ctx: &'a Context,
    request: &'a Request,
    /// What is trusted.
    root: Option<Oid>,
    courts: Courts<'a>,
    report: AuditReport,
}

impl Walk<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let (ctx, request) = (self.ctx, self.request);
        if let Some(root) = self.root.filter(|root| !ctx.store.has_object(*root)) {
            self.not_here(None, root);
        } else if let Some(root) = self.root
            && !matches!(ctx.policy_at(root), Ok(None))
        {
            self.report.policy = Some(root.to_hex());
        }
        let without: Vec<Oid> =
            request.from.filter(|commit| ctx.store.has_object(*commit)).into_iter().collect();
        let main = ctx.store.range(request.to, &without, true)?;
        self.check_line(&main);
        for commit in &main {
            let court = self.courts.of(commit.parents.first().copied())?;
            if commit.parents.len() > 1 {
                // What a parent leads to that is not here is the merge's own trouble.
                let known: Vec<Oid> = commit.parents[..1]
                    .iter()
                    .copied()
                    .filter(|first| ctx.store.has_object(*first))
                    .collect();
                let brought = ctx.store.range(commit.commit, &known, false)?;
                for one in brought.iter().filter(|one| one.commit != commit.commit) {
                    self.judge(one, &court, Some(commit))?;
                }
            }
            self.judge(commit, &court, None)?;
        }
        Ok(())
    }

    /// Rewinds, force pushes and merges the other way round: what was trusted would no longer be there.
    fn check_line(&mut self, main: &[RangeCommit]) {
        let request = self.request;
        let on_line = match (request.from, main.first()) {
            (None, _) => true,
            (Some(from), Some(first)) => first.parents.first() == Some(&from),
            (Some(from), None) => from == request.to,
        };
        let strictest = self.root.and_then(|root| self.ctx.strictest_at(root, request.ref_name.as_deref()));
        let (false, Some(enforce)) = (on_line, strictest) else { return };
        self.report.required = true;
        let from = request.from.map(|commit| commit.to_hex()).unwrap_or_default();
        let (message, hint) = match main.is_empty() {
            true => (
                format!("`{}` takes back what leads to `{from}`", request.to.to_hex()),
                "what is there stays there: take changes back with `git revert`",
            ),
            false => (
                format!("`{from}` is not on the first-parent line of `{}`", request.to.to_hex()),
                "rebase onto it, or merge into it with `git merge --no-ff` from its side",
            ),
        };
        self.find(AuditFinding {
            code: AuditCode::OffFirstParent,
            level: weigh(enforce, Level::Error),
            commit: Some(request.to.to_hex()),
            rule: None,
            path: None,
            line: None,
            message,
            hint: hint.to_owned(),
        });
    }

    fn find(&mut self, finding: AuditFinding) {
        // Several rules may ask for the same; only what is said of one commit can be equal.
        let of_commit = self.report.findings.iter().rev().take_while(|known| known.commit == finding.commit);
        if !of_commit.into_iter().any(|known| *known == finding) {
            self.report.findings.push(finding);
        }
    }

    fn not_here(&mut self, commit: Option<&RangeCommit>, missing: Oid) {
        self.report.required = true;
        self.find(AuditFinding {
            code: AuditCode::EvidenceMissing,
            level: Level::Incomplete,
            commit: commit.map(|commit| commit.commit.to_hex()),
            rule: None,
            path: None,
            line: None,
            message: format!("commit `{}`, which it builds on, is not here", missing.to_hex()),
            hint: "fetch the whole history: `git fetch --unshallow`".to_owned(),
        });
    }

    /// Judges one commit.
    fn judge(
        &mut self,
        commit: &RangeCommit,
        court: &Court,
        merged_by: Option<&RangeCommit>,
    ) -> anyhow::Result<()> {
        self.report.judged += 1;
        let mut said = CommitReport {
            commit: commit.commit.to_hex(),
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
        match court {
            Court::None => {}
            Court::NotHere(missing) => self.not_here(Some(commit), *missing),
            Court::Broken(code, problem) => self.broken(&said.commit, *code, problem),
            Court::Sound(policy, gathered) => self.hold(commit, policy, gathered, &mut said)?,
        }
        self.report.commits.push(said);
        Ok(())
    }

    fn broken(&mut self, commit: &str, code: AuditCode, problem: &str) {
        self.report.required = true;
        self.find(AuditFinding {
            code,
            level: Level::Error,
            commit: Some(commit.to_owned()),
            rule: None,
            path: None,
            line: None,
            message: problem.to_owned(),
            hint: "nothing passes upon a broken policy: mend it in the commit that brought it, or name one that is \
                   sound with `--policy-from`"
                .to_owned(),
        });
    }

    /// Holds a commit against the rules that are about it.
    fn hold(
        &mut self,
        commit: &RangeCommit,
        policy: &Policy,
        gathered: &Gathered,
        said: &mut CommitReport,
    ) -> anyhow::Result<()> {
        let Some(change) = self.change(commit)? else { return Ok(()) };
        said.evil = change.evil;
        let rules: Vec<(u64, &Rule)> = policy
            .rules_for(self.request.ref_name.as_deref())
            .filter(|(_, rule)| rule.touches(change.paths.iter().map(|path| path.as_bytes())))
            .collect();
        if rules.is_empty() {
            return Ok(());
        }
        self.report.required = true;
        let judged = self.evidence_for(&change, gathered, policy, &rules)?;
        let (mut weakest, mut without): (Option<policy::Grade>, bool) = (None, false);
        for ((number, rule), judged) in rules.into_iter().zip(judged) {
            if change.evil && matches!(rule.receipt, Requirement::Accepted(_)) && judged.grade.is_none() {
                self.find(evil(&said.commit, number, rule));
            }
            said.rules.push(number);
            // Whatever rule had to rely on the least; a rule that found nothing relied on nothing.
            weakest = weakest.into_iter().chain(judged.grade).min();
            let asks = change.scope == Scope::Change && !matches!(rule.receipt, Requirement::None);
            without |= asks && judged.grade.is_none() && !judged.findings.is_empty();
            said.receipts.extend(judged.receipts.iter().map(ToString::to_string));
            said.approved_by.extend(judged.approved_by);
            said.gates.extend(judged.gates);
            for finding in judged.findings {
                self.find(finding);
            }
        }
        said.grade = weakest.filter(|_| !without).into();
        for list in [&mut said.receipts, &mut said.approved_by] {
            list.sort();
            list.dedup();
        }
        said.gates.sort_by(|one, other| {
            (&one.gate, one.result, &one.by).cmp(&(&other.gate, other.result, &other.by))
        });
        said.gates.dedup();
        Ok(())
    }

    /// Judges a change by every rule: first by what the entries say of it, and where that is not enough by whatever
    /// can be worked out, which takes longer.
    fn evidence_for(
        &self,
        change: &Change<'_>,
        gathered: &Gathered,
        policy: &Policy,
        rules: &[(u64, &Rule)],
    ) -> anyhow::Result<Vec<Judged>> {
        let name = change.commit.commit.to_hex();
        let mut evidence = gathered.evidence(change.commit, change.parent);
        evidence.empty = change.paths.is_empty();
        let judge_all = |evidence: &_| -> Vec<Judged> {
            rules.iter().map(|rule| judge(policy, *rule, &name, change.scope, evidence)).collect()
        };
        let asks = |rule: &Rule| match rule.receipt {
            Requirement::Accepted(_) => true,
            Requirement::Bound => evidence.bound.is_empty(),
            Requirement::None => false,
        };
        if change.scope == Scope::CleanMerge || !rules.iter().any(|(_, rule)| asks(rule)) {
            gathered.add_risks(&mut evidence);
            return Ok(judge_all(&evidence));
        }
        let bound = evidence.bound.clone();
        let search = Search::new(self.ctx, &gathered.known, change.commit, change.parent, bound)?;
        let mut found = Found::default();
        search.stated(&mut found)?;
        gathered.add_found(&mut evidence, &found);
        gathered.add_rolled_back(self.ctx, change.commit, &mut evidence)?;
        gathered.add_risks(&mut evidence);
        let judged = judge_all(&evidence);
        let wanting = |((_, rule), judged): (&(u64, &Rule), &Judged)| {
            !matches!(rule.receipt, Requirement::None)
                && judged.grade.is_none()
                && !judged.findings.is_empty()
        };
        if !rules.iter().zip(&judged).any(wanting) {
            return Ok(judged);
        }
        search.worked_out(&mut found)?;
        if !found.ways.is_empty() {
            // What was found decides, whatever else there may be.
            evidence.missing.clear();
            evidence.unusable.clear();
        }
        gathered.add_found(&mut evidence, &found);
        gathered.add_rolled_back(self.ctx, change.commit, &mut evidence)?;
        gathered.add_risks(&mut evidence);
        Ok(judge_all(&evidence))
    }

    /// What a commit does to its parents; `None` where one of them is not here, which is said.
    fn change<'c>(&mut self, commit: &'c RangeCommit) -> anyhow::Result<Option<Change<'c>>> {
        let mut trees = Vec::new();
        for parent in &commit.parents {
            match self.ctx.store.tree_of(*parent)? {
                Some(tree) => trees.push(tree),
                None => {
                    self.not_here(Some(commit), *parent);
                    return Ok(None);
                }
            }
        }
        let parent = trees.first().map_or(Parent::Root, |tree| Parent::Tree(*tree));
        let plain = match commit.parents.as_slice() {
            [ours, theirs] => self.ctx.store.plain_merge(*ours, *theirs)?,
            _ => None,
        };
        let clean = plain == Some(commit.tree);
        let mut change = Change {
            commit,
            parent,
            scope: Scope::Change,
            evil: trees.len() > 1 && !clean,
            paths: BTreeSet::new(),
        };
        if clean {
            change.scope = Scope::CleanMerge;
            trees.truncate(1);
        }
        // A merge can undo what only one of its parents has, so it is about all that differs from any of them.
        for tree in trees.iter().copied().chain(trees.is_empty().then(|| self.ctx.store.empty_tree())) {
            let (before, after) = self.ctx.store.changed_files(tree, commit.tree)?;
            change.paths.extend(before.into_keys().chain(after.into_keys()));
        }
        Ok(Some(change))
    }
}

/// Says that a merge holds more than its parents.
fn evil(commit: &str, number: u64, rule: &Rule) -> AuditFinding {
    AuditFinding {
        code: AuditCode::EvilMerge,
        level: weigh(rule.enforce, Level::Error),
        commit: Some(commit.to_owned()),
        rule: Some(number),
        path: None,
        line: None,
        message: "the merge is not what merging its parents gives".to_owned(),
        hint: "merge without changes and make them in a commit of their own; where the parents conflict, have the \
               whole merge accepted as a change of its first parent"
            .to_owned(),
    }
}
