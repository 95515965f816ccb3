//! One commit held against one rule: values to values, whatever the evidence was found by.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{AuditCode, AuditFinding, GateFound, GateResult, Level};
use crate::domain::fact::data::Risk;
use crate::domain::fact::values::GitPath;
use crate::domain::ids::ReceiptId;
use crate::domain::policy::{Approvals, Enforce, Gate, Grade, Policy, Requirement, Rule};

#[cfg(test)]
mod tests;

/// What was found about a commit.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Receipts that a known signer bound to it, by the best grade at which it is this commit.
    pub bound: BTreeMap<ReceiptId, Grade>,
    /// Ways in which accepted lines give exactly its tree.
    pub accepted: Vec<Acceptance>,
    /// Checks that ran on exactly its tree, by known signers.
    pub gates: Vec<GateSeen>,
    /// What the receipts state as their risk.
    pub risks: BTreeMap<ReceiptId, Option<Risk>>,
    /// Receipts that what is here does not say everything about.
    pub doubts: BTreeMap<ReceiptId, Doubt>,
    /// What might speak for it and is not here, in words.
    pub missing: BTreeSet<String>,
    /// What would speak for it and is wrong in itself, in words.
    pub unusable: BTreeSet<String>,
    /// Keys that are not listed and would count if they were, each with what it did, in words.
    pub strangers: BTreeSet<String>,
    /// Whether it changes nothing, so that there is nothing to accept.
    pub empty: bool,
    /// Who the commit says wrote it.
    pub author: String,
    /// The first file and line that no accepted line explains.
    pub unexplained: Option<(GitPath, Option<u64>)>,
}

/// Why a receipt may be other than it looks here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It holds entries that this version cannot read.
    UnknownKind,
    /// A chain of it is broken, or was cut.
    Broken,
    /// Tables are not here without which nobody can tell which decisions count.
    Uncertain,
}

/// Accepted lines that, applied to the first parent's tree, give exactly the commit's tree.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// How the lines were found.
    pub grade: Grade,
    /// Whose lines they are.
    pub receipts: Vec<ReceiptId>,
    /// For every different set of principals that accept some of the lines, that set.
    pub accepted_by: BTreeSet<BTreeSet<String>>,
    /// Who proposed them.
    pub authors: BTreeSet<String>,
}

/// A check that ran.
#[derive(Debug, Clone)]
pub struct GateSeen {
    /// Its name.
    pub name: String,
    /// What ran.
    pub command: Vec<String>,
    /// How it went.
    pub outcome: Outcome,
    /// Who says so.
    pub by: String,
    /// Where they say so.
    pub receipt: ReceiptId,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It passed, and its output is recorded.
    Passed,
    /// It is said to have passed, and no output shows it.
    Unproven,
    /// It did not pass.
    Failed,
}

/// What judging gave: findings, and who and what spoke for the commit.
#[derive(Debug, Default)]
pub struct Judged {
    /// What does not hold.
    pub findings: Vec<AuditFinding>,
    /// The grade of what was relied on.
    pub grade: Option<Grade>,
    /// The receipts relied on.
    pub receipts: BTreeSet<ReceiptId>,
    /// Whose approvals counted.
    pub approved_by: BTreeSet<String>,
    /// The checks that were asked for.
    pub gates: Vec<GateFound>,
}

/// What a commit is held against a rule for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A change: receipts, risk and gates.
    Change,
    /// A merge that adds nothing to what its parents have: only the gates, as no gate of theirs saw its tree.
    CleanMerge,
}

/// Holds a commit against a rule that is about it.
pub fn judge(
    policy: &Policy,
    (number, rule): (u64, &Rule),
    commit: &str,
    scope: Scope,
    evidence: &Evidence,
) -> Judged {
    let mut judging = Judging { policy, number, rule, commit, evidence, judged: Judged::default() };
    if scope == Scope::Change {
        match &rule.receipt {
            Requirement::None => {}
            Requirement::Bound => judging.bound(),
            Requirement::Accepted(approvals) => judging.accepted(approvals),
        }
        judging.risk();
    }
    for gate in &rule.gates {
        judging.gate(gate);
    }
    judging.judged
}

/// How much something weighs under a rule that says what happens where it does not hold.
pub fn weigh(enforce: Enforce, level: Level) -> Level {
    match enforce {
        Enforce::Block => level,
        Enforce::Warn => Level::Warning,
    }
}

struct Judging<'a> {
    policy: &'a Policy,
    number: u64,
    rule: &'a Rule,
    commit: &'a str,
    evidence: &'a Evidence,
    judged: Judged,
}

impl Judging<'_> {
    fn say(&mut self, code: AuditCode, message: impl Into<String>, hint: impl Into<String>) {
        self.push(code, Level::Error, message.into(), hint.into());
    }

    fn push(&mut self, code: AuditCode, level: Level, message: String, hint: String) {
        let place = self.evidence.unexplained.as_ref().filter(|_| code == AuditCode::NotAccepted);
        self.judged.findings.push(AuditFinding {
            code,
            level: weigh(self.rule.enforce, level),
            commit: Some(self.commit.to_owned()),
            rule: Some(self.number),
            path: place.map(|(path, _)| path.to_string()),
            line: place.and_then(|(_, line)| *line),
            message,
            hint,
        });
    }

    /// What would have counted and cannot be read makes the answer uncertain, never better.
    fn doubt(&mut self, receipts: impl IntoIterator<Item = ReceiptId>) {
        for receipt in receipts {
            let Some(doubt) = self.evidence.doubts.get(&receipt) else { continue };
            let (code, message, hint) = match doubt {
                Doubt::UnknownKind => (
                    AuditCode::UnknownKind,
                    format!("receipt {receipt} holds entries that this version cannot read"),
                    "a newer version may judge it otherwise; update `git receipt`",
                ),
                Doubt::Broken => (
                    AuditCode::BrokenEvidence,
                    format!("a chain of receipt {receipt} is broken or was cut"),
                    "`git receipt verify` says where; `git receipt fetch` brings what a remote has",
                ),
                Doubt::Uncertain => (
                    AuditCode::EvidenceMissing,
                    format!("tables of receipt {receipt} are not here, so some decisions cannot be told"),
                    "`git receipt fetch` brings what a remote has",
                ),
            };
            let known = self.judged.findings.iter().any(|finding| finding.message == message);
            if !known {
                self.push(code, Level::Incomplete, message, hint.to_owned());
            }
        }
    }

    /// Says that nothing was found, and what stands in the way of more.
    fn nothing(&mut self, code: AuditCode, message: &str, hint: String) {
        // What is not here might be all that is asked for, so then nobody can say that it is not there.
        if self.evidence.missing.is_empty() {
            self.say(code, message, hint);
        }
        for missing in &self.evidence.missing {
            let hint = "`git receipt fetch` brings what a remote has".to_owned();
            self.push(AuditCode::EvidenceMissing, Level::Incomplete, missing.clone(), hint);
        }
        for unusable in &self.evidence.unusable {
            let hint = "`git receipt verify` says what is wrong".to_owned();
            self.push(AuditCode::BrokenEvidence, Level::Incomplete, unusable.clone(), hint);
        }
        for stranger in &self.evidence.strangers {
            let hint = "`git receipt key trust` lists a key; the list is reviewed like any change, and judges the \
                        commits after it";
            self.push(AuditCode::UnknownSigner, Level::Incomplete, stranger.clone(), hint.to_owned());
        }
    }

    fn bound(&mut self) {
        let best = self.evidence.bound.values().max().copied();
        let (grade, receipts): (Grade, BTreeSet<ReceiptId>) = match best {
            Some(grade) => {
                let best = self.evidence.bound.iter().filter(|(_, known)| **known == grade);
                (grade, best.map(|(receipt, _)| *receipt).collect())
            }
            None => match self.evidence.accepted.iter().max_by_key(|way| way.grade) {
                Some(way) => (way.grade, way.receipts.iter().copied().collect()),
                None => {
                    let hint = format!("`git receipt bind R {}` binds a receipt R of the work", self.commit);
                    return self.nothing(AuditCode::NoReceipt, "no receipt is bound to it", hint);
                }
            },
        };
        if grade < self.rule.grade {
            return self.weak(grade);
        }
        self.doubt(receipts.iter().copied());
        self.judged.grade = Some(grade);
        self.judged.receipts = receipts;
    }

    fn weak(&mut self, grade: Grade) {
        let message = format!("the evidence is of grade `{grade}`, and `{}` is asked for", self.rule.grade);
        let hint = format!("{}, or ask for a weaker grade in the policy", self.accept_anew(self.rule));
        self.say(AuditCode::GradeTooWeak, message, hint);
    }

    /// How the commit gets accepted as it is.
    fn accept_anew(&self, rule: &Rule) -> String {
        let people = match &rule.receipt {
            Requirement::Accepted(approvals) => self.may(approvals, &BTreeSet::new()),
            _ => String::new(),
        };
        let who = match people.is_empty() {
            true => "a reviewer".to_owned(),
            false => people,
        };
        format!(
            "`git receipt propose --base {0}~ --tree {0}` prints an id, and `git receipt accept ID` by {who} signs for \
             this very commit",
            self.commit
        )
    }

    fn accepted(&mut self, approvals: &Approvals) {
        let evidence = self.evidence;
        if evidence.empty {
            return;
        }
        if evidence.accepted.is_empty() {
            let message = match evidence.bound.is_empty() {
                false => "it is not what the accepted lines of its receipts give",
                true => "no accepted lines give it",
            };
            return self.nothing(AuditCode::NotAccepted, message, self.accept_anew(self.rule));
        }
        let fitting = evidence.accepted.iter().filter(|way| way.grade >= self.rule.grade);
        let mut best: Option<(BTreeSet<String>, &Acceptance)> = None;
        for way in fitting {
            let counted = self.approvals(way, approvals, approvals.author_may_approve);
            if best
                .as_ref()
                .is_none_or(|(seen, known)| (seen.len(), known.grade) < (counted.len(), way.grade))
            {
                best = Some((counted, way));
            }
        }
        let Some((counted, way)) = best else {
            let grade = evidence.accepted.iter().map(|way| way.grade).max().unwrap_or(Grade::Lines);
            return self.weak(grade);
        };
        if counted.len() >= approvals.count {
            self.judged.grade = Some(way.grade);
            self.judged.receipts = way.receipts.iter().copied().collect();
            self.judged.approved_by = counted;
            return self.doubt(way.receipts.iter().copied());
        }
        let hint = format!(
            "{}; accept with `--lines` where more than one has to, as the lines land with the last",
            self.accept_anew(self.rule)
        );
        if self.approvals(way, approvals, true).len() >= approvals.count {
            let authors: Vec<&str> = self.authors(way).into_iter().collect();
            let message = format!(
                "{} of {} approvals count: {} made it, and an author's own does not",
                counted.len(),
                approvals.count,
                authors.join(" and ")
            );
            return self.say(AuditCode::SelfApproval, message, hint);
        }
        let message =
            format!("some lines have {} of {} approvals that count", counted.len(), approvals.count);
        self.say(AuditCode::ApprovalsMissing, message, hint);
    }

    /// Whose work a way is: who proposed it, who wrote the commit, and whose agents these are.
    fn authors<'w>(&'w self, way: &'w Acceptance) -> BTreeSet<&'w str> {
        let wrote = self.evidence.author.as_str();
        let proposed = way.authors.iter().map(String::as_str);
        proposed.chain([wrote]).map(|who| self.policy.owner_of(who)).collect()
    }

    /// Those who approve every line of a way, each person once. Where no line has the same approvers as another, the
    /// fewest decide.
    fn approvals(&self, way: &Acceptance, approvals: &Approvals, authors_too: bool) -> BTreeSet<String> {
        let authors = self.authors(way);
        let counted = way.accepted_by.iter().map(|principals| {
            let members = principals.iter().filter(|who| self.policy.in_roles(who, &approvals.approvers));
            let people = members.map(|who| self.policy.owner_of(who));
            people
                .filter(|who| authors_too || !authors.iter().any(|author| same_person(author, who)))
                .map(str::to_owned)
                .collect::<BTreeSet<String>>()
        });
        counted.min_by_key(BTreeSet::len).unwrap_or_default()
    }

    /// Those whose approval of the commit would count, besides `without`.
    fn may(&self, approvals: &Approvals, without: &BTreeSet<&str>) -> String {
        let members = approvals.approvers.iter().flat_map(|role| self.policy.members(role));
        let wrote = self.policy.owner_of(&self.evidence.author);
        let proposed: BTreeSet<&str> = self
            .evidence
            .accepted
            .iter()
            .flat_map(|way| &way.authors)
            .map(|who| self.policy.owner_of(who))
            .collect();
        let is_author = |who: &str| {
            let who = self.policy.owner_of(who);
            same_person(who, wrote) || proposed.contains(who)
        };
        let may: BTreeSet<&str> = members
            .filter(|who| !without.contains(who) && (approvals.author_may_approve || !is_author(who)))
            .collect();
        may.into_iter().collect::<Vec<_>>().join(" or ")
    }

    fn risk(&mut self) {
        let Some(most) = self.rule.max_risk else { return };
        // All that speak for it, not only those that were enough: a second receipt with less risk takes none away.
        let ways = self.evidence.accepted.iter().flat_map(|way| way.receipts.iter());
        let receipts: BTreeSet<ReceiptId> = self.evidence.bound.keys().chain(ways).copied().collect();
        for receipt in receipts {
            let stated = self.evidence.risks.get(&receipt).copied().flatten();
            if stated.unwrap_or(Risk::Critical) > most {
                let said =
                    stated.map_or("none, which counts as critical".to_owned(), |risk| risk.to_string());
                let message = format!("receipt {receipt} states the risk {said}, and `{most}` is the most");
                let hint = "split the work, or open the receipt with `--risk`";
                self.say(AuditCode::RiskTooHigh, message, hint);
            }
        }
    }

    fn gate(&mut self, gate: &Gate) {
        let may = |by: &str| self.policy.in_roles(by, &self.rule.gate_runners);
        let fits = |seen: &&GateSeen| {
            seen.name == gate.name && gate.command.as_ref().is_none_or(|command| *command == seen.command)
        };
        let mut found = GateFound { gate: gate.name.clone(), result: GateResult::Missing, by: None };
        let passed = self
            .evidence
            .gates
            .iter()
            .filter(fits)
            .find(|seen| seen.outcome == Outcome::Passed && may(&seen.by));
        if let Some(seen) = passed {
            (found.result, found.by) = (GateResult::Passed, Some(seen.by.clone()));
            self.judged.gates.push(found);
            return self.doubt([seen.receipt]);
        }
        let command = gate.command.as_ref().map_or_else(|| "CMD".to_owned(), |words| words.join(" "));
        let run = format!("`git receipt run --gate {} -- {command}`", gate.name);
        let who = self.rule.gate_runners.join(" or ");
        let named: Vec<&GateSeen> =
            self.evidence.gates.iter().filter(|seen| seen.name == gate.name).collect();
        if let Some(seen) = named.iter().find(|seen| seen.outcome == Outcome::Failed && fits(seen)) {
            (found.result, found.by) = (GateResult::Failed, Some(seen.by.clone()));
            self.judged.gates.push(found);
            let hint =
                format!("mend what it found and commit, then {run} on the new files, by a member of {who}");
            let message = format!("gate `{}` failed on its tree", gate.name);
            return self.say(AuditCode::GateFailed, message, hint);
        }
        self.judged.gates.push(found);
        let message = if let Some(other) = named.iter().find(|seen| !fits(seen)) {
            format!("gate `{}` ran another command: `{}`", gate.name, other.command.join(" "))
        } else if named.iter().any(|seen| seen.outcome == Outcome::Unproven && may(&seen.by)) {
            format!("gate `{}` passed without output that shows it", gate.name)
        } else if let Some(seen) = named.first() {
            format!("gate `{}` was run by {}, who is no gate runner", gate.name, seen.by)
        } else {
            format!("gate `{}` did not run on its tree", gate.name)
        };
        self.say(AuditCode::GateMissing, message, format!("{run} on this tree, by a member of {who}"));
    }
}

/// Whether two principals are one person. Git's addresses come in any case, as mail does.
fn same_person(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
