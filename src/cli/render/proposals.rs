//! Proposals for people: numbered lines, decisions, what landed.

use super::Render;
use crate::cli::ui::{Text, safe};
use crate::commands::apply::Applied;
use crate::commands::decide::{Accepted, Decided, Rejected};
use crate::commands::diff::{Diffed, RevisionView};
use crate::commands::lines_view::{FileView, LineView};
use crate::commands::preview::Previewed;
use crate::commands::propose::{Made, Revised};
use crate::commands::review::{Ending, Reviewed};
use crate::commands::summary::ProposalView;

impl Render for Made {
    fn render(&self, text: &mut Text) {
        text.line(&self.receipt);
    }
}

impl Render for Revised {
    fn render(&self, text: &mut Text) {
        self.0.render(text);
    }
}

impl Render for Accepted {
    fn render(&self, text: &mut Text) {
        self.0.render(text);
    }
}

impl Render for Rejected {
    fn render(&self, text: &mut Text) {
        self.0.render(text);
    }
}

impl Render for Diffed {
    fn instead(&self) -> Option<&[u8]> {
        self.patch.as_deref()
    }

    fn render(&self, text: &mut Text) {
        for revision in &self.revisions {
            let line = revision_line(text, revision);
            text.line(line);
        }
        files(text, &self.files, self.count, false);
    }
}

fn revision_line(text: &Text, revision: &RevisionView) -> String {
    format!(
        "revision {}  {:<10}  {} lines  {}  {}",
        text.bold(&revision.revision.to_string()),
        revision.state,
        revision.count,
        text.dim(&revision.entry),
        safe(&revision.summary)
    )
}

/// Every file with its lines. `states` also says what became of each.
pub(super) fn files(text: &mut Text, files: &[FileView], count: u64, states: bool) {
    let width = count.to_string().len().max(2);
    for file in files {
        let mut head = text.bold(&safe(&file.path));
        if !file.sensitive.is_empty() {
            let marks = format!("  [sensitive: {}]", file.sensitive.join(", "));
            head.push_str(&text.warn(&marks));
        }
        text.line(head);
        for line in &file.lines {
            let state = match line.state {
                Some(state) if states => format!("{state:<8} "),
                _ => String::new(),
            };
            let shown = line_text(text, line, width);
            text.exact(format!("  {state}{shown}"));
        }
    }
}

/// One number, with what it does.
fn line_text(text: &Text, line: &LineView, width: usize) -> String {
    let number = format!("L{:0width$}", line.line);
    let side = |shown: &Option<String>, lacks_newline: bool| {
        let end = if lacks_newline { " [no newline at the end]" } else { "" };
        safe(shown.as_deref().unwrap_or_default()) + end
    };
    let old = || side(&line.old, line.old_lacks_newline);
    let new = || side(&line.new, line.new_lacks_newline);
    let sign = sign(line.op);
    match line.op {
        "add" => text.good(&format!("{sign} {number} {}", new())),
        "remove" => text.bad(&format!("{sign} {number} {}", old())),
        "mutate" => {
            format!("{} {} → {}", text.warn(&format!("{sign} {number}")), old(), text.good(&new()))
        }
        op => {
            let shown = format!("{sign} {number} {}", whole_file(line, old(), new()));
            match op {
                "create" => text.good(shown.trim_end()),
                "delete" => text.bad(shown.trim_end()),
                _ => text.warn(&shown),
            }
        }
    }
}

/// What stands before a number.
pub fn sign(op: &'static str) -> &'static str {
    match op {
        "add" => "+",
        "remove" => "-",
        "mutate" => "~",
        "move" => ">",
        "cap" => "cap~",
        "create" => "file+",
        "delete" => "file-",
        other => other,
    }
}

/// What a number does that is not one line of text, in words.
pub fn whole_file(line: &LineView, old: String, new: String) -> String {
    match line.op {
        "move" => {
            let moved = line.count.unwrap_or_default();
            let (from, to) = (line.base_line.unwrap_or_default(), line.proposed_line.unwrap_or_default());
            format!("moved {moved} lines from line {from} to line {to}")
        }
        "cap" => format!("mode {old} → {new}"),
        "create" => format!("created {new}"),
        "delete" => format!("deleted {old}"),
        "bytes" | "type" => {
            let what = if line.op == "bytes" { "content replaced whole" } else { "type changed" };
            let file = |side: String| if side.is_empty() { "file".to_owned() } else { side };
            match old.is_empty() && new.is_empty() {
                true => what.to_owned(),
                false => format!("{what}: {} → {}", file(old), file(new)),
            }
        }
        _ => format!("{old} → {new}"),
    }
}

impl Render for Previewed {
    fn render(&self, text: &mut Text) {
        text.line(format!("tree {}", self.tree));
        if !self.already.is_empty() {
            text.line(format!("lines {} are there already", self.already));
        }
        for conflict in &self.conflicts {
            let lines = format!("lines {} no longer fit", conflict.lines);
            text.line(format!("{} in {}: {}", text.bad(&lines), safe(&conflict.path), conflict.why));
        }
    }

    fn patch(&self) -> Option<&[u8]> {
        Some(&self.patch)
    }
}

impl Decided {
    fn render(&self, text: &mut Text) {
        let word = if self.accepts { text.good("accepted") } else { text.bad("rejected") };
        if !self.lines.is_empty() {
            text.line(format!("{word} lines {} of {}", self.lines, self.receipt));
        }
        if !self.pending.is_empty() {
            text.line(format!("pending lines {}", self.pending));
        }
        if let Some(landed) = &self.landed {
            landed.render(text);
        }
    }
}

impl Render for Reviewed {
    fn render(&self, text: &mut Text) {
        match self.ending {
            Ending::Signed => {}
            Ending::Discarded => text.line("nothing signed; what was decided is discarded"),
            Ending::Kept => text.line(format!(
                "nothing signed; what was decided is kept: `git receipt review {}` takes it up",
                self.receipt
            )),
            Ending::Unchanged => text.line("nothing to sign"),
        }
        if !self.accepted.is_empty() {
            text.line(format!("{} lines {} of {}", text.good("accepted"), self.accepted, self.receipt));
        }
        if !self.rejected.is_empty() {
            text.line(format!("{} lines {} of {}", text.bad("rejected"), self.rejected, self.receipt));
        }
        if let Some(fork) = &self.fork {
            text.line(format!("edited lines {}, proposed in {}", self.edited, fork.receipt));
        }
        if !self.pending.is_empty() {
            text.line(format!("pending lines {}", self.pending));
        }
    }
}

impl Render for Applied {
    fn render(&self, text: &mut Text) {
        match (&self.commit, &self.branch) {
            (Some(commit), branch) => {
                let branch = branch.as_deref().unwrap_or("HEAD");
                text.line(format!("{} lines {} as {}", text.good("landed"), self.lines, &commit[..12]));
                text.line(format!("on {}", safe(branch)));
            }
            (None, _) if self.staged && !self.lines.is_empty() => {
                text.line(format!("staged lines {}; commit them as usual", self.lines));
            }
            _ => text.line("nothing to land"),
        }
        if self.placed && self.commit.is_some() {
            text.line("placed by their surroundings, as the base had moved");
        }
        if !self.already.is_empty() {
            text.line(format!("lines {} were there already", self.already));
        }
        if !self.conflicted.is_empty() {
            text.line(format!("{} lines {}, which no longer fit", text.warn("left out"), self.conflicted));
        }
    }
}

/// Where a proposal stands, in a line.
pub(super) fn standing(text: &Text, proposal: &ProposalView) -> String {
    let mut line = format!("revision {} {}", proposal.revision, proposal.state);
    let parts = [
        ("pending", &proposal.pending),
        ("accepted", &proposal.accepted),
        ("rejected", &proposal.rejected),
        ("applied", &proposal.applied),
    ];
    for (word, lines) in parts {
        if !lines.is_empty() {
            line.push_str(&format!(", {word} {lines}"));
        }
    }
    for before in &proposal.landed_before {
        line.push_str(&format!(", applied before lines {} of revision {}", before.lines, before.revision));
    }
    if !proposal.sensitive.is_empty() {
        let paths: Vec<_> = proposal.sensitive.keys().map(|path| safe(path)).collect();
        line.push_str(&text.warn(&format!("  [sensitive: {}]", paths.join(", "))));
    }
    line
}
