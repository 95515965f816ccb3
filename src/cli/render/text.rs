//! The form of each report for people.

use super::Render;
use super::proposals::{files, standing};
use super::replay::origin_words;
use crate::cli::ui::{Text, safe, safe_lines};
use crate::commands::bind::Bound;
use crate::commands::close::Closed;
use crate::commands::demo::Demonstrated;
use crate::commands::generate::Generated;
use crate::commands::hooks::Hooked;
use crate::commands::import::Imported;
use crate::commands::init::{SetUp, TakenDown};
use crate::commands::key::Keys;
use crate::commands::list::Listed;
use crate::commands::log::{EntryView, Logged, Traced};
use crate::commands::open::Opened;
use crate::commands::record::Recorded;
use crate::commands::remark::Remarked;
use crate::commands::run::Ran;
use crate::commands::share::{Fetched, Pushed, Shared};
use crate::commands::show::Shown;
use crate::commands::snapshot::Snapshot;
use crate::commands::status::Status;
use crate::commands::summary::{RollbackView, Summary};
use crate::commands::verify::Verified;

impl Render for SetUp {
    fn render(&self, text: &mut Text) {
        if self.changes.is_empty() {
            text.line("Already set up; nothing changed.");
        }
        for change in &self.changes {
            text.line(format!("{} {}", text.good("+"), safe(change)));
        }
        if let (Some(repo), Some(key)) = (&self.repo, &self.key) {
            text.line(format!("project {repo}"));
            text.line(format!("signing {key}"));
        }
    }
}

impl Render for Hooked {
    fn render(&self, text: &mut Text) {
        if self.changes.is_empty() {
            text.line("Nothing to change.");
        }
        for change in &self.changes {
            text.line(safe(change));
        }
    }
}

impl Render for TakenDown {
    fn render(&self, text: &mut Text) {
        if self.changes.is_empty() {
            text.line("Nothing was set up here; nothing changed.");
        }
        for change in &self.changes {
            text.line(format!("{} {}", text.bad("-"), safe(change)));
        }
    }
}

impl Render for Opened {
    fn render(&self, text: &mut Text) {
        text.line(&self.receipt);
    }
}

impl Render for Closed {
    fn render(&self, text: &mut Text) {
        text.line(format!("closed {} as {}", self.receipt, self.status));
    }
}

impl Render for Remarked {
    fn render(&self, text: &mut Text) {
        text.line(format!("remarked on {} at {}@{}", self.receipt, self.chain, self.seq));
    }
}

impl Render for Snapshot {
    fn render(&self, text: &mut Text) {
        text.line(format!("snapshot {} in {} at {}@{}", self.worktree, self.receipt, self.chain, self.seq));
    }
}

impl Render for Recorded {
    fn render(&self, text: &mut Text) {
        let mut line = format!("{} added to {}", count(self.added, "entry", "entries"), self.receipt);
        if self.existing > 0 {
            line.push_str(&format!(", {} there already", self.existing));
        }
        if self.redactions > 0 {
            line.push_str(&format!(", {} taken out", count(self.redactions, "secret", "secrets")));
        }
        text.line(line);
    }
}

impl Render for Bound {
    fn render(&self, text: &mut Text) {
        for bound in &self.receipts {
            let word = if bound.existing { "was bound" } else { "bound" };
            text.line(format!("{} {word} to {}", bound.receipt, &self.commit[..12]));
        }
    }
}

impl Render for Ran {
    fn render(&self, _text: &mut Text) {
        // The child's own output is the result; what was recorded is talk, and said on standard error.
    }
}

impl Render for Imported {
    fn render(&self, text: &mut Text) {
        for session in &self.sessions {
            text.line(format!(
                "{}: {} added, {} there already ({} in {})",
                safe(&session.file),
                count(session.added, "entry", "entries"),
                session.existing,
                count(session.receipts, "receipt", "receipts"),
                session.chain.as_deref().unwrap_or("no chain"),
            ));
            text.line(format!(
                "  {}, {} rejected, {} failed, {} interrupted; {} in, {} out, {} cache read, {} cache written",
                count(session.tool_calls, "tool call", "tool calls"),
                session.rejections,
                session.failures,
                session.interrupted,
                session.input_tokens,
                session.output_tokens,
                session.cache_read_tokens,
                session.cache_write_tokens,
            ));
            if session.redactions > 0 {
                text.line(format!("  {} taken out", count(session.redactions, "secret", "secrets")));
            }
            for problem in &session.problems {
                text.line(format!("  {} {}", text.warn("skipped"), safe(problem)));
            }
        }
    }
}

impl Render for Keys {
    fn render(&self, text: &mut Text) {
        for change in &self.changes {
            text.line(safe(change));
        }
        for key in &self.keys {
            let mut line = format!("{:<10} {}", safe(&key.name), key.fingerprint);
            if let Some(principal) = &key.principal {
                line.push_str(&format!("  {}", safe(principal)));
            }
            if key.revoked {
                line.push_str(&format!("  {}", text.bad("revoked")));
            }
            text.line(line);
            if let Some(public) = &key.public_key {
                text.line(format!("           {public}"));
            }
        }
        for next in &self.next {
            text.line(format!("- {}", safe(next)));
        }
    }
}

impl Render for Demonstrated {
    fn render(&self, _text: &mut Text) {
        // The demonstration printed itself while it ran.
    }
}

impl Render for Pushed {
    fn render(&self, text: &mut Text) {
        self.0.render(text);
    }
}

impl Render for Fetched {
    fn render(&self, text: &mut Text) {
        self.0.render(text);
    }
}

impl Shared {
    fn render(&self, text: &mut Text) {
        let remote = safe(&self.remote);
        if self.moved.is_empty() && self.left_alone.is_empty() {
            text.line(format!("{remote}: everything up to date"));
        }
        if !self.moved.is_empty() {
            text.line(format!("{remote}: {} {}", count(self.moved.len() as u64, "ref", "refs"), self.verb));
        }
        for left in &self.left_alone {
            text.line(format!("{} {}: {}", text.bad("left alone"), safe(&left.name), safe(&left.reason)));
        }
    }
}

impl Render for Generated {
    fn render(&self, text: &mut Text) {
        for file in &self.files {
            text.line(safe(file));
        }
    }
}

impl Render for Listed {
    fn render(&self, text: &mut Text) {
        if self.receipts.is_empty() {
            text.line("No receipts.");
        }
        for summary in &self.receipts {
            summary_line(text, summary);
        }
    }
}

fn summary_line(text: &mut Text, summary: &Summary) {
    let state = state(text, &summary.state);
    let mut line = format!(
        "{}  {}  {state}  {}",
        text.bold(&summary.receipt),
        text.dim(&summary.opened[..16].replace('T', " ")),
        safe(&summary.summary)
    );
    if summary.tool_calls > 0 {
        line.push_str(&text.dim(&format!("  {}", count(summary.tool_calls, "tool call", "tool calls"))));
    }
    for gate in &summary.gates {
        line.push_str(&format!("  {}", gate_word(text, gate)));
    }
    if let Some(proposal) = &summary.proposal {
        line.push_str(&format!("  {}", standing(text, proposal)));
    }
    if !summary.known {
        line.push_str(&format!("  {}", text.warn("unknown signer")));
    }
    text.line(line);
}

pub(super) fn gate_word(text: &Text, gate: &crate::commands::summary::GateState) -> String {
    let shown = format!("{} {}", safe(&gate.gate), gate.result);
    let shown = match gate.result.as_str() {
        "passed" => text.good(&shown),
        "skipped" => text.dim(&shown),
        _ => text.bad(&shown),
    };
    if gate.unproven { format!("{shown} {}", text.warn("(unproven)")) } else { shown }
}

pub(super) fn state(text: &Text, state: &str) -> String {
    let padded = format!("{state:<9}");
    match state {
        "completed" => text.good(&padded),
        "open" => text.warn(&padded),
        _ => text.bad(&padded),
    }
}

impl Render for Shown {
    fn instead(&self) -> Option<&[u8]> {
        self.instead.as_deref()
    }

    fn render(&self, text: &mut Text) {
        let summary = &self.summary;
        text.line(format!("{} {}", text.bold("receipt"), text.bold(&summary.receipt)));
        text.line(format!("  state    {}", state(text, &summary.state)));
        text.line(format!("  opened   {}", summary.opened));
        if let Some(closed) = &summary.closed {
            text.line(format!("  closed   {closed}"));
        }
        let owner =
            summary.principal.as_deref().map_or_else(String::new, |name| format!(" ({})", safe(name)));
        let unknown = if summary.known { String::new() } else { format!(" {}", text.warn("unknown signer")) };
        text.line(format!("  owner    {}{owner}{unknown}", summary.owner));
        if let Some(agent) = &summary.agent {
            let model =
                summary.model.as_deref().map_or_else(String::new, |model| format!(" ({})", safe(model)));
            text.line(format!("  agent    {}{model}", safe(agent)));
        }
        for (index, line) in
            safe_lines(self.task.as_deref().unwrap_or("(withheld)")).lines().take(6).enumerate()
        {
            let label = if index == 0 { "task" } else { "" };
            text.line(format!("  {label:<8} {line}"));
        }
        if summary.tool_calls > 0 {
            text.line(format!(
                "  tools    {}: {} rejected, {} failed, {} without result",
                count(summary.tool_calls, "call", "calls"),
                summary.rejections,
                summary.failures,
                summary.interrupted
            ));
        }
        if self.retrievals > 0 {
            text.line(format!("  looked   {}", count(self.retrievals, "retrieval", "retrievals")));
        }
        for gate in &summary.gates {
            let line = format!("  gate     {} ({})", gate_word(text, gate), count(gate.runs, "run", "runs"));
            text.line(line);
        }
        for usage in &summary.usage {
            text.line(format!(
                "  tokens   {}: {} in, {} out, {} cache read, {} cache written",
                safe(&usage.model),
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens
            ));
        }
        for (label, sums) in [("spent", &summary.spent), ("charged", &summary.charged)] {
            for sum in sums {
                text.line(format!("  {label:<8} {} {}", sum.amount, safe(&sum.currency)));
            }
        }
        for sum in &summary.spent_on_refused {
            text.line(format!(
                "  refused  {} {} of it went into refused lines",
                sum.amount,
                safe(&sum.currency)
            ));
        }
        if let Some(proposal) = &summary.proposal {
            let line = format!("  proposal {}", standing(text, proposal));
            text.line(line);
        }
        if let Some(origin) = &summary.forked_from {
            text.line(format!("  forked   {}", origin_words(origin)));
        }
        for rollback in summary.takes_back.iter().chain(&summary.taken_back) {
            let line = format!("  rollback {}", rollback_words(rollback, &summary.receipt));
            text.line(line);
        }
        for file in summary.files.iter().take(20) {
            text.line(format!("  file     {}", safe(file)));
        }
        if summary.files.len() > 20 {
            text.line(format!("  file     … and {} more", summary.files.len() - 20));
        }
        for commit in &summary.commits {
            text.line(format!("  commit   {commit}"));
        }
        if let (Some(lines), Some(proposal)) = (&self.lines, &summary.proposal) {
            text.line("");
            files(text, lines, proposal.count, true);
        }
        text.line("");
        for step in &self.inherited {
            let line = format!("  {:>4}  {}", "·", entry_line(text, step));
            text.line(format!("{line}  {}", text.dim("inherited")));
        }
        for (index, step) in self.steps.iter().enumerate() {
            let line = format!("  {index:>4}  {}", entry_line(text, step));
            text.line(line);
        }
    }
}

/// Who takes back what, as one of both sees it.
pub(super) fn rollback_words(rollback: &RollbackView, here: &str) -> String {
    let what = rollback.lines.as_ref().map(|lines| format!("lines {lines}"));
    let what = what.as_deref();
    let how = match &rollback.commit {
        Some(commit) => format!("in {}", &commit[..12]),
        None if rollback.proposed => {
            let fate = rollback.proposal.unwrap_or("pending");
            return match rollback.by == here {
                true => format!(
                    "proposes to take back {}: {fate}",
                    what.map_or_else(|| rollback.of.clone(), |what| format!("{what} of {}", rollback.of))
                ),
                false => {
                    format!("{} proposed to be taken back by {}: {fate}", what.unwrap_or("is"), rollback.by)
                }
            };
        }
        None => "once what is staged is committed".to_owned(),
    };
    match rollback.by == here {
        true => format!(
            "takes back {} {how}",
            what.map_or_else(|| rollback.of.clone(), |what| format!("{what} of {}", rollback.of))
        ),
        false => format!("{} taken back by {} {how}", what.unwrap_or("is"), rollback.by),
    }
}

pub(super) fn entry_line(text: &Text, entry: &EntryView) -> String {
    let signature = match entry.signature {
        "good" => text.good("good"),
        "bad" => text.bad("BAD"),
        other => text.warn(other),
    };
    format!("{}  {:<17} {}  {signature}", text.dim(&entry.time), safe(&entry.kind), safe(&entry.title))
}

impl Render for Logged {
    fn render(&self, text: &mut Text) {
        for entry in &self.entries {
            if self.oneline {
                let line = format!("{}@{} {}", &entry.chain[18..], entry.seq, entry_line(text, entry));
                text.line(line);
                continue;
            }
            text.line(format!("{} {}@{}", text.bold("entry"), text.bold(&entry.chain), entry.seq));
            let signer = entry.principal.as_deref().unwrap_or(&entry.signer);
            let signature = match entry.signature {
                "good" => text.good("good signature"),
                "bad" => text.bad("BAD: see `git receipt verify`"),
                other => text.warn(other),
            };
            text.line(format!("Signer:  {} ({signature})", safe(signer)));
            text.line(format!("Date:    {}", entry.time));
            text.line(format!("Commit:  {}", entry.commit));
            if let Some(receipt) = &entry.receipt {
                text.line(format!("Receipt: {receipt}"));
            }
            text.line("");
            text.line(format!("    {}: {}", safe(&entry.kind), safe(&entry.title)));
            text.line("");
        }
    }
}

impl Render for Traced {
    fn render(&self, text: &mut Text) {
        const WIDTH: u64 = 24;
        let longest = self.steps.iter().filter_map(|step| step.duration_ms).max().unwrap_or(0).max(1);
        for step in &self.steps {
            let bar = step.duration_ms.map_or(0, |ms| (ms * WIDTH).div_ceil(longest)) as usize;
            let duration = step.duration_ms.map_or_else(String::new, human_ms);
            let outcome = step.outcome.as_deref().unwrap_or("");
            let outcome = match outcome {
                "ok" | "passed" | "completed" => text.good(outcome),
                "" => String::new(),
                other => text.bad(other),
            };
            let late = if step.late { text.warn(" (late)") } else { String::new() };
            text.line(format!(
                "{:>9}  {:<24} {:>7}  {:<17} {} {outcome}{late}",
                human_ms(u64::try_from(step.offset_ms).unwrap_or(0)),
                "█".repeat(bar),
                duration,
                safe(&step.kind),
                safe(step.name.trim()),
            ));
        }
    }
}

impl Render for Status {
    fn render(&self, text: &mut Text) {
        if !self.set_up {
            text.line("Not set up here: run `git receipt init`.");
        } else if !self.recording {
            text.line("Recording is switched off.");
        }
        match &self.current {
            Some(receipt) => text.line(format!("Current receipt {receipt}")),
            None if self.set_up => text.line("No receipt is open in this worktree."),
            None => {}
        }
        if let Some(chain) = &self.chain {
            text.line(format!("Console chain   {chain}"));
        }
        if !self.open.is_empty() {
            text.line("");
            text.line("Open receipts:");
            for summary in &self.open {
                summary_line(text, summary);
            }
        }
        for waiting in &self.undecided {
            text.line(format!("{}: lines {} wait for a decision", waiting.receipt, waiting.pending));
        }
        for lacking in &self.unpushed {
            text.line(format!(
                "{} not pushed to `{}`: run `git receipt push {}`",
                count(lacking.chains, "chain", "chains"),
                safe(&lacking.remote),
                safe(&lacking.remote)
            ));
        }
    }
}

impl Render for Verified {
    fn render(&self, text: &mut Text) {
        for finding in &self.findings {
            let head = format!("{} {}", finding.code, finding.name);
            let head = match finding.weight {
                "broken" => text.bad(&head),
                _ => text.warn(&head),
            };
            let mut place = String::new();
            if let Some(chain) = &finding.chain {
                place.push_str(chain);
                if let Some(seq) = finding.seq {
                    place.push_str(&format!("@{seq}"));
                }
            }
            if let Some(commit) = &finding.commit {
                place.push_str(&format!(" commit {commit}"));
            }
            text.line(format!("{head}: {}", safe(&finding.message)));
            if !place.is_empty() {
                text.line(format!("    in {}", place.trim()));
            }
        }
        for chain in &self.chains {
            let anchored = match (chain.anchored_through, chain.remembered_through) {
                (Some(seq), Some(seen)) if seen > seq => {
                    format!("anchored through {seq}, remembered through {seen}")
                }
                (Some(seq), _) => format!("anchored through {seq}"),
                (None, Some(seen)) => format!("not anchored, only remembered here through {seen}"),
                (None, None) => "not anchored: nothing else names it, so a cut would not show".into(),
            };
            let who = match (&chain.principal, chain.known) {
                (Some(name), _) => safe(name),
                (None, true) => "known key".into(),
                (None, false) => text.warn("unknown signer"),
            };
            let entries = count(chain.entries, "entry", "entries");
            text.line(text.dim(&format!("{}  {entries}, {who}, {anchored}", chain.chain)));
        }
        let broken = self.findings.iter().filter(|finding| finding.weight == "broken").count() as u64;
        let incomplete = self.findings.iter().filter(|finding| finding.weight == "incomplete").count() as u64;
        let verdict = match (broken, incomplete) {
            (0, 0) => text.good("all verify"),
            (0, n) => text.warn(&format!("evidence incomplete ({})", count(n, "finding", "findings"))),
            (n, _) => text.bad(&format!("NOT INTACT ({})", count(n, "finding", "findings"))),
        };
        let mut line = format!(
            "{} in {}, {}: {verdict}",
            count(self.entries, "entry", "entries"),
            count(self.chains.len() as u64, "chain", "chains"),
            count(self.receipts, "receipt", "receipts"),
        );
        if self.withheld > 0 {
            line.push_str(&format!("; {} withheld", count(self.withheld, "artifact", "artifacts")));
        }
        text.line(line);
        for rollback in &self.taken_back {
            text.line(format!("{} {}", rollback.of, rollback_words(rollback, &rollback.of)));
        }
        if let Some(expected) = self.expected {
            text.line(format!("held against {}", count(expected, "expected head", "expected heads")));
        }
        if let Some(witnessed) = &self.witnessed {
            let left_out = match witnessed.strangers {
                0 => String::new(),
                n => format!("; {} of unknown signers left out", count(n, "chain", "chains")),
            };
            let heads = count(witnessed.heads, "new head", "new heads");
            text.line(match witnessed.entries.is_empty() {
                true => format!("no new heads to sign{left_out}"),
                false => format!("signed {heads} in {}{left_out}", witnessed.entries.join(", ")),
            });
        }
        if let Some(remembered) = &self.remembered {
            let heads = count(remembered.heads, "head", "heads");
            let news = if remembered.changed { "" } else { ", as before" };
            text.line(format!("remembered {heads}{news}"));
        }
    }
}

/// `1 entry`, `2 entries`.
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Milliseconds as people say them.
pub(super) fn human_ms(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{} m {:02} s", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{} h {:02} m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}
