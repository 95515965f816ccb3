//! Policies and audits for people.

use super::Render;
use crate::cli::ui::{Text, safe};
use crate::commands::audit::Audited;
use crate::commands::policy::PolicyReport;

impl Render for Audited {
    fn render(&self, text: &mut Text) {
        super::audit::text(&self.report, text);
    }
}

impl Render for PolicyReport {
    fn render(&self, text: &mut Text) {
        match (&self.file, self.written) {
            (Some(file), true) => text.line(format!("wrote `{}`; review it, then commit it", safe(file))),
            (Some(file), false) => text.line(format!("policy {}", safe(file))),
            (None, _) => text.line("no policy: nothing was required"),
        }
        for rule in &self.rules {
            let matches = match rule.matches {
                Some(true) => text.good("matches"),
                Some(false) => text.dim("is not about it"),
                None => String::new(),
            };
            text.line(format!("rule {} (line {}) {matches}", rule.number, rule.line));
            for need in &rule.needs {
                text.line(format!("  {}", safe(need)));
            }
        }
        for warning in &self.warnings {
            text.line(format!("{} {}", text.warn("warning"), safe(warning)));
        }
        for next in &self.next {
            text.line(format!("next: {}", safe(next)));
        }
        let Some(commit) = &self.commit else { return };
        text.line(format!("commit {} {}", commit.commit, safe(&commit.subject)));
        text.line(format!("  evidence {}", commit.grade));
        for receipt in &commit.receipts {
            text.line(format!("  receipt  {receipt}"));
        }
        for who in &commit.approved_by {
            text.line(format!("  approved {}", safe(who)));
        }
        for gate in &commit.gates {
            let by = gate.by.as_deref().map_or_else(String::new, |by| format!(" by {}", safe(by)));
            text.line(format!("  gate     {} {}{by}", safe(&gate.gate), gate.result));
        }
        for finding in &self.findings {
            let rule = finding.rule.map_or_else(String::new, |rule| format!(" (rule {rule})"));
            text.line(format!("{} {}{rule}", text.bad("missing"), safe(&finding.message)));
            text.line(format!("  {}", safe(&finding.hint)));
        }
        if self.findings.is_empty() && self.file.is_some() {
            let words = match commit.rules.is_empty() {
                true => text.dim("no rule is about it"),
                false => text.good("every rule holds"),
            };
            text.line(words);
        }
    }
}
