//! Lines and where they come from, for people.

use super::Render;
use super::replay::origin_words;
use crate::cli::ui::{Text, safe};
use crate::commands::blame::{Blamed, ClaimView, CommitView, LineView, ReceiptView, UNCOMMITTED};
use crate::commands::why::{Explained, GateView, Moment, OriginStory, RetrievalView, Story};

/// What a column may take at most; the longest names are cut.
const WIDEST: usize = 32;

impl Render for Blamed {
    fn instead(&self) -> Option<&[u8]> {
        self.porcelain.as_deref()
    }

    fn render(&self, text: &mut Text) {
        let rows: Vec<[String; 5]> = self.lines.iter().map(|line| self.columns(line)).collect();
        let mut widths = [0; 5];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let digits = self.lines.last().map_or(1, |line| line.line.to_string().len());
        for (line, row) in self.lines.iter().zip(rows) {
            let mut shown = String::new();
            for (index, (cell, width)) in
                row.iter().zip(widths).enumerate().filter(|(_, (_, width))| *width > 0)
            {
                let padded = format!("{cell:<width$} ");
                shown.push_str(&match index {
                    0 => padded,
                    _ if cell.is_empty() => padded,
                    1 => text.dim(&padded),
                    2 if line.receipts.iter().any(|claim| !claim.known) => text.warn(&padded),
                    2 if line.receipts.iter().any(ClaimView::is_of_line) => text.bold(&padded),
                    2 => text.warn(&padded),
                    4 => text.good(&padded),
                    _ => padded,
                });
            }
            text.line(format!("{shown}{:>digits$}) {}", line.line, content(&line.text)));
        }
    }
}

impl Blamed {
    /// Commit, author and day, receipt, agent, who accepted it.
    fn columns(&self, line: &LineView) -> [String; 5] {
        let commit = line.commit.as_ref().and_then(|id| self.commit(id));
        let (id, author) = match commit {
            Some(commit) => (short(commit), format!("{} {}", cut(&commit.author), day(&commit.time))),
            None => ("not committed".into(), String::new()),
        };
        let receipt = line.receipts.first();
        let view = receipt.and_then(|claim| self.receipt(claim.worked()));
        [
            id,
            author,
            claimed(&line.receipts),
            view.map(|view| cut(&agent(view))).unwrap_or_default(),
            receipt.map(|claim| cut(&claim.accepted_by.join(", "))).unwrap_or_default(),
        ]
    }
}

/// The end of a receipt's id, what ties it to the line, and the grade; `~` where it speaks for the commit only, `?` where
/// its signer is unknown.
fn claimed(claims: &[ClaimView]) -> String {
    let Some(first) = claims.first() else { return String::new() };
    let end = &first.receipt[first.receipt.len().saturating_sub(8)..];
    let tie = match (first.number, first.is_of_line()) {
        (Some(number), _) => format!(" L{number:02}"),
        (None, true) => " edit".into(),
        (None, false) => String::new(),
    };
    let mark = match (first.known, first.is_of_line()) {
        (false, _) => "?",
        (true, false) => "~",
        (true, true) => "",
    };
    let more = if claims.len() > 1 { format!(" +{}", claims.len() - 1) } else { String::new() };
    format!("{mark}{end}{tie}{more} {}", first.grade)
}

fn agent(receipt: &ReceiptView) -> String {
    match (&receipt.agent, &receipt.model) {
        (Some(agent), Some(model)) => format!("{agent} {model}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    }
}

/// As git shows it: the end of what was looked at has a mark.
fn short(commit: &CommitView) -> String {
    let mark = if commit.boundary { "^" } else { "" };
    format!("{mark}{}", &commit.commit[..12 - mark.len()])
}

fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

fn cut(name: &str) -> String {
    let name = safe(name);
    match name.char_indices().nth(WIDEST - 1) {
        Some((end, _)) if name.chars().count() > WIDEST => format!("{}…", &name[..end]),
        _ => name,
    }
}

/// A line of somebody's file: tabs stay tabs.
fn content(line: &str) -> String {
    line.split('\t').map(safe).collect::<Vec<_>>().join("\t")
}

impl Render for Explained {
    fn render(&self, text: &mut Text) {
        text.line(text.bold(&format!("{}:{}", safe(&self.path), self.line.line)));
        text.line(format!("    {}", content(&self.line.text)));
        match &self.commit {
            Some(commit) => {
                let at = format!("{} {}", cut(&commit.author), commit.time);
                text.line(format!("commit   {}  {}", commit.commit, safe(&commit.subject)));
                text.line(format!("         {}", text.dim(&at)));
                if self.line.origin_path != self.path || self.line.origin_line != self.line.line {
                    let origin = format!("{}:{}", safe(&self.line.origin_path), self.line.origin_line);
                    text.line(format!("         there as {origin}"));
                }
            }
            None => text.line("commit   none: the line is not committed"),
        }
        if self.stories.is_empty() && self.commit.is_some() {
            text.line("receipt  none speaks for this commit");
        }
        for story in &self.stories {
            text.line("");
            story.render(text);
        }
    }
}

impl Story {
    fn render(&self, text: &mut Text) {
        let (receipt, claim) = (&self.receipt, &self.claim);
        let unknown =
            if receipt.known { String::new() } else { format!("  {}", text.warn("unknown signer")) };
        text.line(format!("receipt  {}  {}{unknown}", text.bold(&receipt.receipt), safe(&receipt.summary)));
        let tie = match (claim.number, claim.is_of_line()) {
            (Some(number), _) => format!("its accepted line L{number:02} put this line here"),
            (None, true) => "a recorded edit wrote this line".into(),
            (None, false) => text.warn("it speaks for the commit; whether it wrote this line cannot be told"),
        };
        let grade: &str = if claim.grade == UNCOMMITTED { "not committed" } else { &claim.grade };
        text.line(format!("evidence {grade}: {tie}"));
        if let Some(from) = &claim.carried_from {
            text.line(format!("         carried over from {from}"));
        }
        by(text, receipt, self.task.as_deref());
        looked(text, &self.retrievals);
        written(text, self.wrote.as_ref());
        self.gates.iter().for_each(|gate| checked(text, gate, &receipt.receipt));
        for decision in &self.decisions {
            let word = if decision.accepted { text.good("accepted") } else { text.bad("rejected") };
            let why = decision.reason.as_deref().map_or_else(String::new, |why| format!(": {}", safe(why)));
            text.line(format!("{word} by {}, lines {}{why}", safe(&decision.principal), decision.lines));
        }
        for binding in self.bindings.iter().filter(|binding| binding.of_commit) {
            let how = match (&binding.how, &binding.from) {
                (Some(how), Some(from)) => format!(" ({how} of {})", &from[..12]),
                _ => String::new(),
            };
            text.line(format!(
                "bound    {}  {} {}{how}",
                text.dim(&binding.entry),
                binding.kind,
                &binding.commit[..12]
            ));
        }
        if let Some(from) = &self.forked_from {
            text.line(format!("forked   {}", origin_words(from)));
        }
        if let Some(origin) = &self.origin {
            origin.render(text);
        }
        text.line(text.dim(&format!("more     git receipt show {}", receipt.receipt)));
    }
}

impl OriginStory {
    fn render(&self, text: &mut Text) {
        let receipt = &self.receipt;
        let line = format!("its line L{:02} says the same, word for word", self.number);
        text.line(format!("origin   {}  {}: {line}", text.bold(&receipt.receipt), safe(&receipt.summary)));
        by(text, receipt, self.task.as_deref());
        looked(text, &self.retrievals);
        written(text, self.wrote.as_ref());
        self.gates.iter().for_each(|gate| checked(text, gate, &receipt.receipt));
    }
}

/// Who worked, with what, and what was asked.
fn by(text: &mut Text, receipt: &ReceiptView, task: Option<&str>) {
    let owner = receipt.principal.as_deref().unwrap_or(&receipt.owner);
    let agent = agent(receipt);
    let with = if agent.is_empty() { String::new() } else { format!(", with {}", safe(&agent)) };
    text.line(format!("by       {}{with}; {}", safe(owner), receipt.state));
    for of in &receipt.takes_back {
        text.line(format!("undoes   {of}"));
    }
    let task = task.unwrap_or("(withheld)");
    for (index, line) in task.lines().take(6).enumerate() {
        text.line(format!("{:<8} {}", if index == 0 { "task" } else { "" }, safe(line)));
    }
}

fn looked(text: &mut Text, retrievals: &[RetrievalView]) {
    const MOST: usize = 8;
    let hidden = retrievals.len().saturating_sub(MOST);
    if hidden > 0 {
        text.line(format!("looked   … {hidden} more before these"));
    }
    for made in retrievals.iter().skip(hidden) {
        let query = safe(made.query.as_deref().unwrap_or("(withheld)"));
        let found = match made.sources.as_slice() {
            [] => String::new(),
            [one] => format!(" → {}", safe(one)),
            [first, rest @ ..] => format!(" → {} and {} more", safe(first), rest.len()),
        };
        text.line(format!("looked   {}  {} {query}{found}", entry(text, &made.at), safe(&made.tool)));
    }
}

fn written(text: &mut Text, wrote: Option<&Moment>) {
    if let Some(wrote) = wrote {
        let what = format!("{} {}", safe(&wrote.kind), safe(&wrote.title));
        text.line(format!("written  {}  {what}", entry(text, wrote)));
    }
}

/// A check, which may be another receipt's than the one that is told of.
fn checked(text: &mut Text, gate: &GateView, receipt: &str) {
    let result = format!("{} {}", safe(&gate.gate), gate.result);
    let result = if gate.result == "passed" { text.good(&result) } else { text.bad(&result) };
    let unproven = if gate.unproven { format!(" {}", text.warn("(unproven)")) } else { String::new() };
    let tree = if gate.on_commit { ", on this commit's tree" } else { "" };
    let other = match gate.receipt == receipt {
        true => String::new(),
        false => format!(", in {}", gate.receipt),
    };
    text.line(format!("gate     {}  {result}{unproven}{tree}{other}", entry(text, &gate.at)));
}

fn entry(text: &Text, at: &Moment) -> String {
    text.dim(&format!("{} #{}", at.time.get(..19).unwrap_or(&at.time), at.step))
}
