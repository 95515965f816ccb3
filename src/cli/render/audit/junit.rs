//! An audit as JUnit XML, in the dialect of `junit-10.xsd` that Jenkins and its kin read.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::{NAME, evidence, nothing_required};
use crate::cli::ui::safe;
use crate::domain::audit::report::{AuditFinding, AuditReport, CommitReport, Level};

/// A test case before it is written.
struct Case<'a> {
    class: String,
    name: String,
    findings: Vec<&'a AuditFinding>,
    evidence: Option<String>,
    skipped: Option<&'a str>,
}

enum Outcome {
    Passed,
    Skipped,
    Error,
    Failure,
}

/// A report as one test suite with a test case for each commit and rule.
///
/// A commit that no rule matches is skipped, not passed, and where nothing was required a skipped case says so.
/// Errors are failures, what is incomplete is an error, as that test could not be decided; a case with warnings
/// alone passes and has them in its output. Times and hosts are optional in the schema and left out: they would
/// differ from run to run.
pub fn junit(report: &AuditReport) -> String {
    let cases = cases(report);
    let with = |wanted: fn(&Outcome) -> bool| cases.iter().filter(|case| wanted(&case.outcome())).count();
    let failures = with(|outcome| matches!(outcome, Outcome::Failure));
    let errors = with(|outcome| matches!(outcome, Outcome::Error));
    let skipped = with(|outcome| matches!(outcome, Outcome::Skipped));
    let counts =
        format!("name=\"{NAME}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", cases.len());
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(xml, "<testsuites {counts}>");
    let _ = writeln!(xml, "  <testsuite {counts} skipped=\"{skipped}\">");
    xml.push_str("    <properties>\n");
    let judged = report.judged.to_string();
    let required = report.required.to_string();
    let properties = [
        ("verdict", Some(report.verdict.word())),
        ("required", Some(required.as_str())),
        ("judged", Some(judged.as_str())),
        ("from", report.from.as_deref()),
        ("to", Some(report.to.as_str())),
        ("ref", report.r#ref.as_deref()),
        ("policy", report.policy.as_deref()),
    ];
    for (name, value) in properties {
        if let Some(value) = value {
            let _ = writeln!(xml, "      <property name=\"{name}\" value=\"{}\"/>", escape(value));
        }
    }
    xml.push_str("    </properties>\n");
    for case in &cases {
        case.write(&mut xml);
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Every case: for each commit its rules and what was found beside them, then what concerns no commit listed.
fn cases(report: &AuditReport) -> Vec<Case<'_>> {
    let mut findings: HashMap<Option<&str>, Vec<&AuditFinding>> = HashMap::new();
    for finding in &report.findings {
        findings.entry(finding.commit.as_deref()).or_default().push(finding);
    }
    let mut cases = Vec::new();
    if let Some(why) = nothing_required(report) {
        let (class, name) = ("policy".into(), "required".into());
        cases.push(Case { class, name, findings: Vec::new(), evidence: None, skipped: Some(why) });
    }
    let mut listed = HashSet::new();
    for commit in &report.commits {
        if listed.insert(Some(commit.commit.as_str())) {
            let found = findings.get(&Some(commit.commit.as_str())).map_or(&[][..], Vec::as_slice);
            of_commit(Some(&commit.commit), Some(commit), found, &mut cases);
        }
    }
    for finding in &report.findings {
        let commit = finding.commit.as_deref();
        if listed.insert(commit) {
            of_commit(commit, None, &findings[&commit], &mut cases);
        }
    }
    if cases.is_empty() {
        // Readers take a suite without cases for a broken one.
        let (class, name) = ("policy".into(), "commits".into());
        let skipped = Some("there was no commit to judge");
        cases.push(Case { class, name, findings: Vec::new(), evidence: None, skipped });
    }
    cases
}

fn of_commit<'a>(
    commit: Option<&str>,
    about: Option<&CommitReport>,
    findings: &[&'a AuditFinding],
    cases: &mut Vec<Case<'a>>,
) {
    let mut by_rule: HashMap<Option<u64>, Vec<&'a AuditFinding>> = HashMap::new();
    for finding in findings {
        by_rule.entry(finding.rule).or_default().push(finding);
    }
    let mut rules: Vec<Option<u64>> = match about {
        Some(about) if about.rules.is_empty() => vec![None],
        Some(about) => about.rules.iter().copied().map(Some).collect(),
        None => Vec::new(),
    };
    rules.extend(findings.iter().map(|finding| finding.rule));
    let mut seen = HashSet::new();
    for rule in rules {
        if !seen.insert(rule) {
            continue;
        }
        let rule_name = rule.map_or("no rule".into(), |rule| format!("rule {rule}"));
        let findings = by_rule.remove(&rule).unwrap_or_default();
        cases.push(Case {
            // Class and name tell a case apart from all others, and stay what they are from run to run.
            class: commit.map_or("policy".into(), |commit| format!("commit {commit}")),
            name: match about {
                Some(about) => format!("{rule_name}: {}", about.subject),
                None => rule_name,
            },
            skipped: (rule.is_none() && findings.is_empty()).then_some("no rule matches this commit"),
            findings,
            evidence: about.map(evidence),
        });
    }
}

impl Case<'_> {
    fn outcome(&self) -> Outcome {
        match self.findings.iter().map(|finding| finding.level).max() {
            Some(Level::Error) => Outcome::Failure,
            Some(Level::Incomplete) => Outcome::Error,
            Some(Level::Warning) => Outcome::Passed,
            None if self.skipped.is_some() => Outcome::Skipped,
            None => Outcome::Passed,
        }
    }

    fn write(&self, xml: &mut String) {
        let _ = write!(
            xml,
            "    <testcase classname=\"{}\" name=\"{}\">",
            escape(&self.class),
            escape(&self.name)
        );
        let mut listed = String::new();
        for finding in &self.findings {
            listed.push_str(&escape(&described(finding)));
            listed.push('\n');
        }
        let tag = match self.outcome() {
            Outcome::Failure => Some("failure"),
            Outcome::Error => Some("error"),
            Outcome::Skipped | Outcome::Passed => None,
        };
        // One element a case, as most readers count elements: the gravest finding heads it, and it lists all.
        let gravest = self.findings.iter().rev().max_by_key(|finding| finding.level);
        if let (Some(tag), Some(gravest)) = (tag, gravest) {
            let (kind, message) = (gravest.code, escape(&gravest.message));
            let _ = write!(xml, "\n      <{tag} type=\"{kind}\" message=\"{message}\">{listed}</{tag}>");
            listed.clear();
        } else if let (Outcome::Skipped, Some(why)) = (self.outcome(), self.skipped) {
            let _ = write!(xml, "\n      <skipped message=\"{}\"/>", escape(why));
        }
        if let Some(evidence) = &self.evidence {
            listed.push_str(&escape(evidence));
            listed.push('\n');
        }
        if !listed.is_empty() {
            let _ = write!(xml, "\n      <system-out>{listed}</system-out>");
        }
        xml.push_str("\n    </testcase>\n");
    }
}

/// A finding in a line.
fn described(finding: &AuditFinding) -> String {
    let mut line = format!("{} {}: {}", finding.level, finding.code, finding.message);
    match (&finding.path, finding.line) {
        (Some(path), Some(number)) => {
            let _ = write!(line, " in {path}:{number}");
        }
        (Some(path), None) => {
            let _ = write!(line, " in {path}");
        }
        (None, _) => {}
    }
    if !finding.hint.is_empty() {
        let _ = write!(line, "; hint: {}", finding.hint);
    }
    line
}

/// Foreign text as XML text or attribute. What XML 1.0 has no way to write and `safe` leaves is taken out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in safe(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c => escaped.push(c),
        }
    }
    escaped
}
