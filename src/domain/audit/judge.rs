//! One commit held against one rule: values to values, whatever the evidence was found by.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{AuditCode, AuditFinding, Level};
use crate::domain::fact::data::Risk;
use crate::domain::fact::values::GitPath;
use crate::domain::ids::ReceiptId;
use crate::domain::policy::{Approvals, Enforce, Gate, Grade, Policy, Requirement, Rule};

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
    /// Receipts that hold entries which this version cannot read.
    pub unreadable: BTreeSet<ReceiptId>,
    /// Receipts whose lines could not be worked out, as their tables are not here.
    pub withheld: BTreeSet<ReceiptId>,
    /// Receipts that were found and opened by a key that is not listed.
    pub strangers: BTreeSet<ReceiptId>,
    /// Who the commit says wrote it.
    pub author: String,
    /// The first file and line that no accepted line explains.
    pub unexplained: Option<(GitPath, Option<u64>)>,
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
    /// Whether it passed, with output that shows it.
    pub passed: bool,
    /// Who says so.
    pub by: String,
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
    /// The checks that counted: name, by whom.
    pub gates: Vec<(String, Option<String>)>,
}

/// Holds a commit against a rule that is about it.
pub fn judge(policy: &Policy, number: u64, rule: &Rule, commit: &str, evidence: &Evidence) -> Judged {
    let mut judging = Judging { policy, number, rule, commit, evidence, judged: Judged::default() };
    match &rule.receipt {
        Requirement::None => {}
        Requirement::Bound => judging.bound(),
        Requirement::Accepted(approvals) => judging.accepted(approvals),
    }
    judging.risk();
    for gate in &rule.gates {
        judging.gate(gate);
    }
    judging.judged
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
    fn say(&mut self, code: AuditCode, message: String, hint: String) {
        let level = match self.rule.enforce {
            Enforce::Block => Level::Error,
            Enforce::Warn => Level::Warning,
        };
        self.push(code, level, message, hint);
    }

    fn push(&mut self, code: AuditCode, level: Level, message: String, hint: String) {
        let place = self.evidence.unexplained.as_ref();
        self.judged.findings.push(AuditFinding {
            code,
            level,
            commit: Some(self.commit.to_owned()),
            rule: Some(self.number),
            path: place.map(|(path, _)| path.to_string()),
            line: place.and_then(|(_, line)| *line),
            message,
            hint,
        });
    }

    /// What would have counted and cannot be read makes the answer uncertain, never better.
    fn incomplete(&mut self, receipts: &BTreeSet<ReceiptId>) {
        let unreadable: Vec<ReceiptId> = receipts.intersection(&self.evidence.unreadable).copied().collect();
        for receipt in unreadable {
            let message = format!("receipt {receipt} holds entries that this version cannot read");
            let hint = "a newer version may judge it otherwise; update `git receipt`".to_owned();
            self.push(AuditCode::UnknownKind, Level::Incomplete, message, hint);
        }
    }

    /// Says that nothing was found, and what stands in the way of more.
    fn nothing(&mut self, code: AuditCode, message: &str, hint: &str) {
        let strangers = self.evidence.strangers.clone();
        let withheld = self.evidence.withheld.clone();
        self.say(code, message.to_owned(), hint.to_owned());
        for receipt in strangers {
            let message = format!("receipt {receipt} names it and was opened by a key that is not listed");
            let hint = "`git receipt key trust` lists a key, reviewed like any change".to_owned();
            self.push(AuditCode::UnknownSigner, Level::Incomplete, message, hint);
        }
        for receipt in withheld {
            let message = format!("the lines of receipt {receipt} are not here");
            let hint = "`git receipt fetch` brings what a remote has".to_owned();
            self.push(AuditCode::EvidenceMissing, Level::Incomplete, message, hint);
        }
    }

    fn bound(&mut self) {
        let by_lines = self.evidence.accepted.iter().map(|way| (way.grade, way.receipts.as_slice()));
        let bound = self.evidence.bound.iter();
        let bindings = bound.map(|(receipt, grade)| (*grade, std::slice::from_ref(receipt)));
        let best = bindings.chain(by_lines).max_by_key(|(grade, _)| *grade);
        let Some((grade, receipts)) = best else {
            return self.nothing(
                AuditCode::NoReceipt,
                "no receipt is bound to it",
                "`git receipt bind R COMMIT` binds one that recorded the work",
            );
        };
        let receipts: BTreeSet<ReceiptId> = receipts.iter().copied().collect();
        if grade < self.rule.grade {
            return self.weak(grade);
        }
        self.incomplete(&receipts);
        self.judged.grade = Some(grade);
        self.judged.receipts = receipts;
    }

    fn weak(&mut self, grade: Grade) {
        let message = format!("the evidence is of grade `{grade}`, and `{}` is asked for", self.rule.grade);
        let hint = "apply the lines on this very base, or ask for a weaker grade in the policy".to_owned();
        self.say(AuditCode::GradeTooWeak, message, hint);
    }

    fn accepted(&mut self, approvals: &Approvals) {
        let evidence = self.evidence;
        if evidence.accepted.is_empty() {
            let bound = !evidence.bound.is_empty();
            let message = match bound {
                true => "it is not what the accepted lines of its receipts give",
                false => "no accepted lines give it",
            };
            let hint = "propose the change with `git receipt propose --base PARENT --tree COMMIT`, and have \
                        `git receipt accept` sign for it";
            return self.nothing(AuditCode::NotAccepted, message, hint);
        }
        let fitting: Vec<&Acceptance> =
            evidence.accepted.iter().filter(|way| way.grade >= self.rule.grade).collect();
        let mut best: Option<(usize, usize, &Acceptance)> = None;
        for way in &fitting {
            let (with, without) =
                (self.approvals(way, approvals, true), self.approvals(way, approvals, false));
            let counted = if approvals.author_may_approve { &with } else { &without };
            if counted.len() >= approvals.count {
                self.judged.grade = Some(way.grade);
                self.judged.receipts = way.receipts.iter().copied().collect();
                self.judged.approved_by.clone_from(counted);
                let receipts = self.judged.receipts.clone();
                return self.incomplete(&receipts);
            }
            if best.is_none_or(|(seen, _, _)| seen < counted.len()) {
                best = Some((counted.len(), with.len(), way));
            }
        }
        match best {
            None => {
                let grade = evidence.accepted.iter().map(|way| way.grade).max().unwrap_or(Grade::Lines);
                self.weak(grade);
            }
            Some((counted, with_authors, way)) if with_authors >= approvals.count => {
                let authors: Vec<&str> = way.authors.iter().map(String::as_str).collect();
                let message = format!(
                    "{counted} of {} approvals count: {} proposed it, and an author's own does not",
                    approvals.count,
                    authors.join(", ")
                );
                self.say(AuditCode::SelfApproval, message, self.who_may(approvals, way));
            }
            Some((counted, _, way)) => {
                let message =
                    format!("some lines have {counted} of {} approvals that count", approvals.count);
                self.say(AuditCode::ApprovalsMissing, message, self.who_may(approvals, way));
            }
        }
    }

    /// Those who approve every line of a way, each person once. Where no line has the same approvers as another, the
    /// fewest decide.
    fn approvals(&self, way: &Acceptance, approvals: &Approvals, authors_too: bool) -> BTreeSet<String> {
        let authors: BTreeSet<&str> = way.authors.iter().map(|who| self.policy.owner_of(who)).collect();
        let counted = way.accepted_by.iter().map(|principals| {
            let members = principals.iter().filter(|who| self.policy.in_roles(who, &approvals.approvers));
            let people = members.map(|who| self.policy.owner_of(who));
            people
                .filter(|who| {
                    authors_too
                        || !authors.contains(who) && *who != self.policy.owner_of(&self.evidence.author)
                })
                .map(str::to_owned)
                .collect::<BTreeSet<String>>()
        });
        counted.min_by_key(BTreeSet::len).unwrap_or_default()
    }

    fn who_may(&self, approvals: &Approvals, way: &Acceptance) -> String {
        let authors: BTreeSet<&str> = way.authors.iter().map(|who| self.policy.owner_of(who)).collect();
        let members = approvals.approvers.iter().flat_map(|role| self.policy.members(role));
        let may: BTreeSet<&str> =
            members.filter(|who| !authors.contains(self.policy.owner_of(who))).collect();
        let receipts: Vec<String> = way.receipts.iter().map(ToString::to_string).collect();
        let may: Vec<&str> = may.into_iter().collect();
        format!("`git receipt accept {}` by {} would count", receipts.join("`, `"), may.join(" or "))
    }

    fn risk(&mut self) {
        let Some(most) = self.rule.max_risk else { return };
        let receipts: Vec<ReceiptId> = match self.judged.receipts.is_empty() {
            false => self.judged.receipts.iter().copied().collect(),
            true => self.evidence.bound.keys().copied().collect(),
        };
        for receipt in receipts {
            let stated = self.evidence.risks.get(&receipt).copied().flatten();
            if stated.unwrap_or(Risk::Critical) > most {
                let said =
                    stated.map_or("none, which counts as critical".to_owned(), |risk| risk.to_string());
                let message = format!("receipt {receipt} states the risk {said}, and `{most}` is the most");
                let hint = "split the work, or open the receipt with `--risk`".to_owned();
                self.say(AuditCode::RiskTooHigh, message, hint);
            }
        }
    }

    fn gate(&mut self, gate: &Gate) {
        let may = |by: &str| self.policy.in_roles(by, &self.rule.gate_runners);
        let fits = |seen: &&GateSeen| {
            seen.name == gate.name && gate.command.as_ref().is_none_or(|command| *command == seen.command)
        };
        let passed = self.evidence.gates.iter().filter(fits).find(|seen| seen.passed && may(&seen.by));
        if let Some(seen) = passed {
            self.judged.gates.push((gate.name.clone(), Some(seen.by.clone())));
            return;
        }
        self.judged.gates.push((gate.name.clone(), None));
        let command = gate.command.as_ref().map_or_else(|| "CMD".to_owned(), |words| words.join(" "));
        let hint = format!(
            "`git receipt run --gate {} -- {command}` on this tree, by a member of {}",
            gate.name,
            self.rule.gate_runners.join(" or ")
        );
        let named: Vec<&GateSeen> =
            self.evidence.gates.iter().filter(|seen| seen.name == gate.name).collect();
        let message = if named.iter().any(|seen| !seen.passed && fits(seen)) {
            return self.say(AuditCode::GateFailed, format!("gate `{}` failed on its tree", gate.name), hint);
        } else if let Some(other) = named.iter().find(|seen| !fits(seen)) {
            format!("gate `{}` ran another command: `{}`", gate.name, other.command.join(" "))
        } else if let Some(seen) = named.first() {
            format!("gate `{}` was run by {}, who is no gate runner", gate.name, seen.by)
        } else {
            format!("gate `{}` did not run on its tree", gate.name)
        };
        self.say(AuditCode::GateMissing, message, hint);
    }
}
