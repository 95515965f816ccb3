//! Replays and forks for people.

use super::Render;
use super::proposals::standing;
use super::text::{count, entry_line, gate_word, human_ms, rollback_words, state};
use crate::cli::ui::{Text, safe};
use crate::commands::fork::Forked;
use crate::commands::replay::Replayed;
use crate::commands::replay::check::Checked;
use crate::commands::replay::rerun::{GateRerun, Rerun};
use crate::commands::replay::timeline::{ChangeView, MomentView, StateView};
use crate::commands::summary::OriginView;

impl Render for Forked {
    fn render(&self, text: &mut Text) {
        text.line(&self.receipt);
    }
}

impl Render for Replayed {
    fn render(&self, text: &mut Text) {
        if let Some(checked) = &self.check {
            return check(text, checked);
        }
        if let Some(again) = &self.rerun {
            return rerun(text, again);
        }
        text.line(text.bold(&format!("receipt {}", self.receipt)));
        if let Some(origin) = &self.forked_from {
            text.line(format!("  forked   {}", origin_words(origin)));
        }
        let entries = self.entries.as_deref().unwrap_or_default();
        match (self.at, entries.last()) {
            (Some(n), Some(last)) => {
                text.line(format!("  at       {n:>4}  {}", entry_line(text, &last.entry)));
                state_lines(text, &last.state);
            }
            _ => entries.iter().for_each(|moment| moment_lines(text, moment)),
        }
        for rollback in &self.taken_back {
            text.line(format!("  rollback {}", rollback_words(rollback, &self.receipt)));
        }
    }
}

/// Where a fork comes from, in a line.
pub(super) fn origin_words(origin: &OriginView) -> String {
    let receipt = origin.receipt.as_deref().unwrap_or("a receipt that is not here or does not count");
    let entries = count(origin.entries, "entry", "entries");
    format!("from {receipt} at {}@{}, {entries} inherited", origin.chain, origin.seq)
}

fn moment_lines(text: &mut Text, moment: &MomentView) {
    let (number, mark) = match moment.n {
        Some(n) => (n.to_string(), String::new()),
        None => ("·".to_owned(), format!("  {}", text.dim("inherited"))),
    };
    let late = if moment.late { text.warn("  (late)") } else { String::new() };
    let line = format!("  {number:>4}  {}{late}{mark}", entry_line(text, &moment.entry));
    text.line(line);
    for change in &moment.changes {
        text.line(format!("          {}", change_words(text, change)));
    }
}

fn change_words(text: &Text, change: &ChangeView) -> String {
    let (what, to) = (safe(&change.what), change.to.as_deref().map(safe));
    let from = change.from.as_deref().map(|from| text.dim(&format!("{} → ", safe(from)))).unwrap_or_default();
    format!("{what}: {from}{}", to.unwrap_or_else(|| text.dim("none")))
}

fn state_lines(text: &mut Text, at: &StateView) {
    text.line(format!("  state    {}", state(text, &at.state)));
    text.line(format!("  entries  {}", at.entries));
    if at.tool_calls > 0 {
        text.line(format!(
            "  tools    {}: {} rejected, {} failed, {} without result",
            count(at.tool_calls, "call", "calls"),
            at.rejections,
            at.failures,
            at.interrupted
        ));
    }
    for (label, n) in [("looked", at.retrievals), ("kept", at.snapshots), ("files", at.files)] {
        if n > 0 {
            let what = match label {
                "looked" => count(n, "retrieval", "retrievals"),
                "kept" => count(n, "snapshot", "snapshots"),
                _ => count(n, "file touched", "files touched"),
            };
            text.line(format!("  {label:<8} {what}"));
        }
    }
    for gate in &at.gates {
        let line = format!("  gate     {} ({})", gate_word(text, gate), count(gate.runs, "run", "runs"));
        text.line(line);
    }
    for usage in &at.usage {
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        text.line(format!("  tokens   {}: {input} in, {output} out", safe(&usage.model)));
    }
    for (label, sums) in [("spent", &at.spent), ("charged", &at.charged)] {
        for sum in sums {
            text.line(format!("  {label:<8} {} {}", sum.amount, safe(&sum.currency)));
        }
    }
    if let Some(proposal) = &at.proposal {
        let line = format!("  proposal {}", standing(text, proposal));
        text.line(line);
    }
    for commit in &at.commits {
        text.line(format!("  commit   {commit}"));
    }
}

fn check(text: &mut Text, checked: &Checked) {
    for one in &checked.rebuilt {
        let word = match one.result {
            "same" => text.good("same   "),
            "differs" => text.bad("DIFFERS"),
            _ => text.warn("missing"),
        };
        let number = one.n.map_or_else(|| "·".to_owned(), |n| n.to_string());
        text.line(format!("  {number:>4}  {word}  {:<17} {}", safe(&one.kind), one.tree));
        if one.result != "same" {
            text.line(format!("          in {}@{} commit {}", one.chain, one.seq, one.commit));
        }
        for problem in &one.problems {
            text.line(format!("          {}", safe(problem)));
        }
    }
    let rebuilt = count(checked.rebuilt.len() as u64, "entry", "entries");
    let objects = count(checked.objects, "object", "objects");
    let verdict = match checked.result {
        "same" => text.good("all the same"),
        "differs" => text.bad("NOT THE SAME"),
        _ => text.warn("incomplete, as something is not here"),
    };
    text.line(format!("{rebuilt} rebuilt, {objects} hashed: {verdict}"));
    if let Some(recorded) = &checked.recorded {
        text.line(format!("recorded at {recorded}"));
    }
}

fn rerun(text: &mut Text, rerun: &Rerun) {
    for gate in &rerun.gates {
        gate_lines(text, gate);
    }
    if let Some(recorded) = &rerun.recorded {
        text.line(format!("recorded at {recorded}"));
    }
}

fn gate_lines(text: &mut Text, gate: &GateRerun) {
    let word = match gate.result {
        "reproduced" => text.good("reproduced"),
        "diverged" => text.bad("DIVERGED"),
        other => text.warn(other),
    };
    let took = gate.duration_ms.map(|ms| format!("  {}", human_ms(ms))).unwrap_or_default();
    let code = gate.exit_code.map(|code| format!("  exit code {code}")).unwrap_or_default();
    text.line(format!("{word}  {}  {}{code}{}", safe(&gate.gate), safe(&gate.command), text.dim(&took)));
    if let Some(why) = &gate.why {
        text.line(format!("    {}", safe(why)));
    }
    if let Some(diff) = &gate.diff {
        text.patch(diff, "    ");
    }
}
