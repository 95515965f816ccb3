//! An audit for people at a terminal.

use super::{count, evidence, nothing_required, short, tally};
use crate::cli::ui::{Text, safe};
use crate::domain::audit::report::{AuditFinding, AuditReport, Level, Verdict};

/// Writes a report: first whether anything was asked for at all, then commits, findings and a summary.
pub fn text(report: &AuditReport, text: &mut Text) {
    // An empty green must not look like a checked one.
    if let Some(why) = nothing_required(report) {
        let why = text.warn(why);
        text.line(why);
    }
    for commit in &report.commits {
        let line = format!(
            "{}  {}  {}",
            text.bold(&short(&commit.commit)),
            safe(&commit.subject),
            text.dim(&evidence(commit))
        );
        text.line(line);
    }
    for found in &report.findings {
        finding(found, text);
    }
    let from = report.from.as_deref().map_or("the start".into(), short);
    let of = report.r#ref.as_deref().map_or(" of any ref".into(), |name| format!(" of {}", safe(name)));
    let policy = match &report.policy {
        Some(policy) => format!("trusting the policy from {}", safe(policy)),
        None => "trusting no policy".into(),
    };
    let verdict = format!("{} ({})", report.verdict, tally(report));
    let verdict = match report.verdict {
        Verdict::Passed if report.required => text.good(&verdict),
        Verdict::Passed | Verdict::Warned | Verdict::Incomplete => text.warn(&verdict),
        Verdict::Failed => text.bad(&verdict),
    };
    let judged = count(report.judged, "commit", "commits");
    text.line(format!("{judged} judged, {from} to {}{of}, {policy}: {verdict}", short(&report.to)));
}

fn finding(finding: &AuditFinding, text: &mut Text) {
    let head = format!("{} {}", finding.level, finding.code);
    let head = match finding.level {
        Level::Error => text.bad(&head),
        Level::Incomplete | Level::Warning => text.warn(&head),
    };
    text.line(format!("{head}: {}", safe(&finding.message)));
    let mut place = Vec::new();
    if let Some(commit) = &finding.commit {
        place.push(format!("commit {}", safe(commit)));
    }
    if let Some(rule) = finding.rule {
        place.push(format!("rule {rule}"));
    }
    match (&finding.path, finding.line) {
        (Some(path), Some(line)) => place.push(format!("{}:{line}", safe(path))),
        (Some(path), None) => place.push(safe(path)),
        (None, _) => {}
    }
    if !place.is_empty() {
        text.line(format!("    in {}", place.join(", ")));
    }
    if !finding.hint.is_empty() {
        text.line(format!("    hint: {}", safe(&finding.hint)));
    }
}
