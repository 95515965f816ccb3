//! An audit's report in each of its forms.
//!
//! Commits, policies and receipts are of strangers: every text from a report goes through `safe`, and then
//! through what the format needs. No form reads a clock, a host or a version of anything but this program, so
//! equal reports give equal bytes.

mod junit;
mod markdown;
mod sarif;
#[cfg(test)]
mod tests;
mod text;

pub use junit::junit;
pub use markdown::markdown;
pub use sarif::sarif;
pub use text::text;

use crate::cli::ui::safe;
use crate::domain::audit::report::{AuditReport, CommitReport, Level};

/// What an audit calls itself in all formats.
const NAME: &str = "git receipt audit";

/// The first twelve characters of a commit's id.
fn short(commit: &str) -> String {
    safe(&commit.chars().take(12).collect::<String>())
}

fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// How many findings of which level.
fn tally(report: &AuditReport) -> String {
    let parts = [
        (Level::Error, "error", "errors"),
        (Level::Incomplete, "incomplete", "incomplete"),
        (Level::Warning, "warning", "warnings"),
    ];
    let found: Vec<_> = parts
        .into_iter()
        .map(|(level, one, many)| (report.count(level), one, many))
        .filter(|(n, ..)| *n > 0)
        .map(|(n, one, many)| count(n, one, many))
        .collect();
    if found.is_empty() { "nothing found".into() } else { found.join(", ") }
}

/// Why a report without findings says nothing, where it does not.
fn nothing_required(report: &AuditReport) -> Option<&'static str> {
    match (report.required, report.judged, &report.policy) {
        (true, ..) => None,
        (false, 0, _) => Some("nothing was required: there was no commit to judge"),
        (false, _, None) => Some("nothing was required: there is no policy"),
        (false, _, Some(_)) => {
            Some("nothing was required: no rule of the policy is about these files on this ref")
        }
    }
}

/// What is known of a commit, in a line.
fn evidence(commit: &CommitReport) -> String {
    let list = |items: &[String]| items.iter().map(|item| safe(item)).collect::<Vec<_>>().join(", ");
    let mut parts = vec![format!("grade {}", commit.grade)];
    match commit.receipts.as_slice() {
        [] => parts.push("no receipt".into()),
        receipts => parts.push(format!("receipts {}", list(receipts))),
    }
    match commit.approved_by.as_slice() {
        [] => parts.push("approved by nobody".into()),
        people => parts.push(format!("approved by {}", list(people))),
    }
    for gate in &commit.gates {
        let mut part = format!("gate {} {}", safe(&gate.gate), gate.result);
        if let Some(by) = &gate.by {
            part.push_str(&format!(" (stated by {})", safe(by)));
        }
        parts.push(part);
    }
    if commit.evil {
        parts.push("evil merge".into());
    }
    if let Some(merge) = &commit.merged_by {
        parts.push(format!("merged by {}", short(merge)));
    }
    parts.join("; ")
}
