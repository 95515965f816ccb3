//! An audit as Markdown, for the summary page of a CI run.

use std::fmt::Write as _;

use super::{NAME, count, nothing_required, short, tally};
use crate::cli::ui::safe;
use crate::domain::audit::report::{AuditFinding, AuditReport, CommitReport, GateFound};

/// A report as GitHub-flavoured Markdown: a verdict, a table of commits and a table of findings.
pub fn markdown(report: &AuditReport) -> String {
    let mut page = format!("### {NAME}\n\n");
    if let Some(why) = nothing_required(report) {
        let _ = writeln!(page, "**{why}**\n");
    }
    let judged = count(report.judged, "commit", "commits");
    let _ = writeln!(page, "**{}**: {judged} judged, {}\n", report.verdict, tally(report));
    let from = report.from.as_deref().map_or("the start".into(), code);
    let _ = write!(page, "From {from} to {}", code(&report.to));
    if let Some(name) = &report.r#ref {
        let _ = write!(page, " of {}", code(name));
    }
    match &report.policy {
        Some(policy) => page.push_str(&format!(", policy from {}\n", code(policy))),
        None => page.push_str(", no policy\n"),
    }
    table(
        &mut page,
        &["Commit", "Subject", "Author", "Grade", "Receipts", "Approved by", "Gates", "Rules", "Merge"],
        report.commits.iter().map(commit_row),
    );
    table(
        &mut page,
        &["Level", "Code", "Commit", "Rule", "Place", "Message", "Hint"],
        report.findings.iter().map(finding_row),
    );
    page
}

fn commit_row(commit: &CommitReport) -> Vec<String> {
    let codes = |items: &[String]| items.iter().map(|item| code(item)).collect::<Vec<_>>().join(", ");
    let mut merge = Vec::new();
    if commit.evil {
        merge.push("evil".to_owned());
    }
    if let Some(by) = &commit.merged_by {
        merge.push(format!("by {}", code(&short(by))));
    }
    vec![
        code(&short(&commit.commit)),
        code(&commit.subject),
        code(&commit.author),
        commit.grade.word().into(),
        codes(&commit.receipts),
        codes(&commit.approved_by),
        commit.gates.iter().map(gate).collect::<Vec<_>>().join(", "),
        commit.rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        merge.join(", "),
    ]
}

fn gate(gate: &GateFound) -> String {
    let by = gate.by.as_deref().map(|by| format!(" by {}", code(by))).unwrap_or_default();
    format!("{} {}{by}", code(&gate.gate), gate.result)
}

fn finding_row(finding: &AuditFinding) -> Vec<String> {
    let line = finding.line.map(|line| format!(" line {line}")).unwrap_or_default();
    vec![
        finding.level.word().into(),
        finding.code.to_string(),
        finding.commit.as_deref().map(|commit| code(&short(commit))).unwrap_or_default(),
        finding.rule.map(|rule| rule.to_string()).unwrap_or_default(),
        finding.path.as_deref().map(|path| format!("{}{line}", code(path))).unwrap_or_default(),
        code(&finding.message),
        code(&finding.hint),
    ]
}

/// A table, or nothing without rows.
fn table(page: &mut String, head: &[&str], rows: impl ExactSizeIterator<Item = Vec<String>>) {
    if rows.len() == 0 {
        return;
    }
    let _ = writeln!(page, "\n| {} |", head.join(" | "));
    let _ = writeln!(page, "|{}", " --- |".repeat(head.len()));
    for row in rows {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
}

/// Foreign text as a code span: the one place where no renderer looks for links, HTML, mentions or references.
///
/// Bars would still end a cell, and renderers differ on how to write one inside code, so they become escapes.
fn code(text: &str) -> String {
    let text = safe(text).replace('|', "\\u{7c}");
    if text.is_empty() {
        return String::new();
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // A span loses one space at either end when it has both; these keep back-ticks off the fence.
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}
