//! `git receipt why`

use std::ffi::{OsStr, OsString};

use schemars::JsonSchema;
use serde::Serialize;

use super::blame::attribute::Claim;
use super::blame::edits::writers;
use super::blame::forked::First;
use super::blame::{ClaimView, CommitView, LineView, Looked, ReceiptView, look};
use super::evidence::Known;
use super::summary::OriginView;
use super::{Context, Report, user_error};
use crate::domain::entry::Body;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{GateChecked, RetrievalMade};
use crate::domain::fact::values::Content;
use crate::domain::fold::Receipt;
use crate::domain::ids::{Oid, ReceiptId};
use crate::store::Tracing;

/// Tell the story behind one line: the task, what was looked up, the edit, the checks, who accepted it
///
/// A path may hold colons: the last one stands before the line.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The file and the line, from 1
    #[arg(value_name = "FILE:LINE")]
    pub place: OsString,
    /// The revision to look at; the working tree if left out
    #[arg(value_name = "REV")]
    pub revision: Option<String>,
}

/// A line and what led to it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explained {
    /// The commit that was looked at; none for the working tree.
    pub revision: Option<String>,
    /// The file, from the top of the working tree.
    pub path: String,
    /// The line.
    pub line: LineView,
    /// The commit that it comes from; none where it is not committed.
    pub commit: Option<CommitView>,
    /// What every receipt tells that speaks for it.
    pub stories: Vec<Story>,
}

/// What one receipt tells.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Story {
    /// The receipt.
    pub receipt: ReceiptView,
    /// What ties it to the line.
    pub claim: ClaimView,
    /// What was asked, where that is here.
    pub task: Option<String>,
    /// The entry that wrote the line: the call, else the proposal; none where that cannot be told.
    pub wrote: Option<Moment>,
    /// What was looked up before that, the newest last. Where the entry cannot be told, all there is.
    pub retrievals: Vec<RetrievalView>,
    /// The checks after that, and those of any receipt on exactly the commit's tree.
    pub gates: Vec<GateView>,
    /// The decisions about the accepted line that count, in order.
    pub decisions: Vec<DecisionView>,
    /// What ties the receipt to commits.
    pub bindings: Vec<BindingView>,
    /// What the receipt continues from, where it is a fork.
    pub forked_from: Option<OriginView>,
    /// Where it took the line over as it was: what the receipt tells that proposed it first.
    pub origin: Option<OriginStory>,
}

/// What a receipt tells of a line that a fork took over.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OriginStory {
    /// The receipt.
    pub receipt: ReceiptView,
    /// The line's number in its proposal.
    pub number: u64,
    /// What was asked, where that is here.
    pub task: Option<String>,
    /// The entry that wrote the line: the call, else the proposal.
    pub wrote: Option<Moment>,
    /// What was looked up before that, the newest last.
    pub retrievals: Vec<RetrievalView>,
    /// The checks of this receipt after that.
    pub gates: Vec<GateView>,
}

/// An entry of a receipt.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Moment {
    /// The receipt's own entry, from 0.
    pub step: u64,
    /// Its chain and place there.
    pub entry: String,
    /// When it was recorded.
    pub time: String,
    /// Its kind.
    pub kind: String,
    /// Its title.
    pub title: String,
}

/// One retrieval.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RetrievalView {
    /// The entry.
    #[serde(flatten)]
    pub at: Moment,
    /// What looked.
    pub tool: String,
    /// What was asked, where that is here.
    pub query: Option<String>,
    /// The files and addresses that were found, at most 100.
    pub sources: Vec<String>,
}

/// One check.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GateView {
    /// The receipt that holds it.
    pub receipt: String,
    /// The entry, with the step in that receipt.
    #[serde(flatten)]
    pub at: Moment,
    /// Its name.
    pub gate: String,
    /// `passed`, `failed`, `skipped` or `error`.
    pub result: String,
    /// Whether it stated no output when it was signed.
    pub unproven: bool,
    /// Whether it ran on exactly the tree of the line's commit.
    pub on_commit: bool,
}

/// One decision.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DecisionView {
    /// Who decided.
    pub principal: String,
    /// Whether the line was accepted.
    pub accepted: bool,
    /// All lines that were decided about with it.
    pub lines: String,
    /// Why, as far as it was said.
    pub reason: Option<String>,
    /// When.
    pub time: Option<String>,
    /// Its chain and place there.
    pub entry: String,
}

/// One binding.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BindingView {
    /// `commit.bound`, `commit.rebound` or `lines.applied`.
    pub kind: &'static str,
    /// The commit.
    pub commit: String,
    /// The commit before, where one took its place.
    pub from: Option<String>,
    /// How one took its place: `amend`, `rebase` and so on.
    pub how: Option<String>,
    /// The entry.
    pub entry: String,
    /// Whether it is about the line's commit.
    pub of_commit: bool,
}

impl Report for Explained {
    const NAME: &'static str = "why";
}

/// Runs the command.
///
/// # Errors
/// When there is no such file, line or revision.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Explained> {
    let (file, number) = split(&args.place)?;
    let range = format!("{number},{number}");
    let looked = look(ctx, args.revision.as_deref(), &[range], &Tracing::default(), &file)?;
    let missing = || {
        let message = format!("`{}` has no line {number}", file.to_string_lossy());
        user_error(message, "lines count from 1, and `git receipt blame FILE` shows them all")
    };
    let line = looked.annotated.lines.first().ok_or_else(missing)?;
    let claims = looked.claims.first().map(Vec::as_slice).unwrap_or_default();
    let tree = ctx.store.tree_of(line.commit)?;
    let there = match tree {
        Some(tree) => ctx.store.file_in_tree(tree, &line.path)?,
        None => None,
    };
    let whole = match there {
        Some(there) => ctx.store.blob(there.oid)?,
        None => None,
    };
    let content = whole.as_deref().unwrap_or_else(|| looked.annotated.shown(line));
    if crate::domain::lines::is_binary(content) {
        let message = format!("`{}` is binary, so it has no lines to tell of", file.to_string_lossy());
        return Err(user_error(message, "`git receipt list --path FILE` lists the receipts that touched it"));
    }
    let receipts = looked.receipts();
    let view = looked.line(line, claims);
    let mut stories = Vec::new();
    if let Some(known) = &looked.known {
        for (claim, shown) in claims.iter().zip(&view.receipts) {
            let receipt = receipts.iter().find(|receipt| receipt.receipt == shown.receipt);
            if let (Some(view), Some(receipt)) = (receipt, known.picture.folded.receipt(claim.receipt)) {
                let telling = Telling { ctx, known, looked: &looked, receipt, tree };
                let mut story = telling.story(claim, view.clone(), shown.clone())?;
                story.origin = looked.first(claim).and_then(|first| {
                    let before = known.picture.folded.receipt(first.receipt)?;
                    let view = receipts.iter().find(|view| view.receipt == before.id.to_string())?;
                    Some(Telling { receipt: before, ..telling }.origin(first, view.clone()))
                });
                stories.push(story);
            }
        }
    }
    Ok(Explained {
        revision: looked.revision.map(|commit| commit.to_hex()),
        path: ctx.path_from_top(&file.to_string_lossy()),
        commit: looked.commit(line.commit),
        line: view,
        stories,
    })
}

/// Splits `FILE:LINE` at the last colon.
fn split(place: &OsStr) -> anyhow::Result<(OsString, u64)> {
    let odd = || {
        let message = format!("`{}` names no line", place.to_string_lossy());
        user_error(message, "write `FILE:LINE`, with a line from 1 on")
    };
    let (file, line) = halves(place).ok_or_else(odd)?;
    match line.parse() {
        Ok(line) if line > 0 && !file.is_empty() => Ok((file, line)),
        _ => Err(odd()),
    }
}

/// What stands before and behind the last colon.
#[cfg(unix)]
fn halves(place: &OsStr) -> Option<(OsString, String)> {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = place.as_bytes();
    let colon = bytes.iter().rposition(|byte| *byte == b':')?;
    let line = String::from_utf8(bytes[colon + 1..].to_vec()).ok()?;
    Some((OsStr::from_bytes(&bytes[..colon]).to_owned(), line))
}

/// What stands before and behind the last colon.
#[cfg(not(unix))]
fn halves(place: &OsStr) -> Option<(OsString, String)> {
    let (file, line) = place.to_str()?.rsplit_once(':')?;
    Some((file.into(), line.to_owned()))
}

/// One receipt about one line.
struct Telling<'a> {
    ctx: &'a Context,
    known: &'a Known,
    looked: &'a Looked,
    receipt: &'a Receipt,
    /// The tree of the line's commit.
    tree: Option<Oid>,
}

impl<'a> Telling<'a> {
    fn story(&self, claim: &Claim, receipt: ReceiptView, shown: ClaimView) -> anyhow::Result<Story> {
        let wrote = self.wrote(claim)?;
        let mut story = Story {
            receipt,
            claim: shown,
            task: None,
            wrote: wrote.and_then(|step| self.moment(self.receipt, step)),
            retrievals: Vec::new(),
            gates: Vec::new(),
            decisions: self.decisions(claim),
            bindings: Vec::new(),
            forked_from: self.receipt.origin.as_ref().map(OriginView::from),
            origin: None,
        };
        for (step, body) in self.bodies(self.receipt) {
            let Some(at) = self.moment(self.receipt, step) else { continue };
            match &body.fact {
                Fact::ReceiptOpened(opened) => story.task = self.text(&opened.task),
                Fact::RetrievalMade(made) if wrote.is_none_or(|wrote| step < wrote) => {
                    story.retrievals.push(self.retrieval(made, at));
                }
                fact => story.bindings.extend(self.binding(fact, &at, claim)),
            }
        }
        story.gates = self.gates(wrote);
        Ok(story)
    }

    /// What the receipt tells of a line of its proposal that a fork took over.
    fn origin(&self, first: &First, view: ReceiptView) -> OriginStory {
        let proposed = || self.receipt.steps.iter().position(|step| step.entry == first.entry);
        let place = (&first.path, first.blob);
        let found = writers(&self.ctx.store, &self.known.picture, self.receipt, place, &[first.line]);
        let wrote = found.into_iter().flatten().next().or_else(proposed);
        let mut story = OriginStory {
            receipt: view,
            number: first.number,
            task: None,
            wrote: wrote.and_then(|step| self.moment(self.receipt, step)),
            retrievals: Vec::new(),
            gates: Vec::new(),
        };
        for (step, body) in self.bodies(self.receipt) {
            let Some(at) = self.moment(self.receipt, step) else { continue };
            match &body.fact {
                Fact::ReceiptOpened(opened) => story.task = self.text(&opened.task),
                Fact::RetrievalMade(made) if wrote.is_none_or(|wrote| step < wrote) => {
                    story.retrievals.push(self.retrieval(made, at));
                }
                Fact::GateChecked(gate) if wrote.is_some_and(|wrote| step > wrote) => {
                    let on_commit = Some(gate.tree) == self.tree;
                    story.gates.push(view_of(gate, self.receipt.id, at, on_commit));
                }
                _ => {}
            }
        }
        story
    }

    fn retrieval(&self, made: &RetrievalMade, at: Moment) -> RetrievalView {
        let sources = made.sources.iter().filter_map(|source| {
            source.path.as_ref().map(ToString::to_string).or_else(|| source.uri.clone())
        });
        let query = self.text(&made.query);
        RetrievalView { at, tool: made.tool.clone(), query, sources: sources.collect() }
    }

    /// A text of the receipt; one that is damaged is as good as withheld here, and `verify` names it.
    fn text(&self, content: &Content) -> Option<String> {
        self.ctx.text_of(content).ok().flatten()
    }

    /// What the entries of a receipt say, each with its index.
    fn bodies(&self, receipt: &'a Receipt) -> impl Iterator<Item = (usize, &'a Body)> {
        let known = self.known;
        receipt.steps.iter().enumerate().filter_map(move |(index, step)| {
            Some((index, &known.picture.link(&step.commit)?.entry.as_ref()?.body))
        })
    }

    fn moment(&self, receipt: &Receipt, step: usize) -> Option<Moment> {
        let at = receipt.steps.get(step)?;
        let body = &self.known.picture.link(&at.commit)?.entry.as_ref()?.body;
        Some(Moment {
            step: step as u64,
            entry: format!("{}@{}", at.entry.chain, at.entry.seq),
            time: body.time.to_string(),
            kind: body.fact.kind().to_owned(),
            title: body.title.clone(),
        })
    }

    /// The step that wrote the line: for an accepted one the recorded edit that the proposal took it from, else the
    /// proposal itself.
    fn wrote(&self, claim: &Claim) -> anyhow::Result<Option<usize>> {
        let Some((at, number)) = claim.number else { return Ok(claim.step) };
        let (_, proposal) = self.known.candidate(at);
        let proposed = || self.receipt.steps.iter().position(|step| step.entry == proposal.entry);
        let Ok(loaded) = self.known.loaded(self.ctx, at) else { return Ok(proposed()) };
        let Some((path, line)) = loaded.table.proposed_line(number) else { return Ok(proposed()) };
        let Some(file) = loaded.proposed.get(&path) else { return Ok(proposed()) };
        let found = writers(&self.ctx.store, &self.known.picture, self.receipt, (&path, file.oid), &[line]);
        Ok(found.into_iter().flatten().next().or_else(proposed))
    }

    fn decisions(&self, claim: &Claim) -> Vec<DecisionView> {
        let Some((at, number)) = claim.number else { return Vec::new() };
        let decided = self.known.candidate(at).1.decisions.iter();
        decided
            .filter(|decided| decided.lines.contains(number))
            .map(|decided| {
                let step = self.receipt.steps.iter().find(|step| step.entry == decided.entry);
                let entry = step.and_then(|step| self.known.picture.link(&step.commit)?.entry.as_ref());
                let reason = entry.and_then(|entry| match &entry.body.fact {
                    Fact::LinesAccepted(said) | Fact::LinesRejected(said) => said.reason.clone(),
                    _ => None,
                });
                DecisionView {
                    principal: self.known.trust.shown_principal(&decided.principal),
                    accepted: decided.accepts,
                    lines: decided.lines.to_string(),
                    reason,
                    time: entry.map(|entry| entry.body.time.to_string()),
                    entry: format!("{}@{}", decided.entry.chain, decided.entry.seq),
                }
            })
            .collect()
    }

    fn binding(&self, fact: &Fact, at: &Moment, claim: &Claim) -> Option<BindingView> {
        let (kind, commit, from, how) = match fact {
            Fact::CommitBound(bound) => ("commit.bound", bound.commit, None, None),
            Fact::CommitRebound(rebound) => {
                ("commit.rebound", rebound.to, Some(rebound.from), Some(rebound.how))
            }
            Fact::LinesApplied(applied) => ("lines.applied", applied.commit, None, None),
            _ => return None,
        };
        let line = self.looked.annotated.lines.first().map(|line| line.commit);
        Some(BindingView {
            kind,
            commit: commit.to_hex(),
            from: from.map(|commit| commit.to_hex()),
            how: how.map(|how| how.to_string()),
            entry: at.entry.clone(),
            of_commit: Some(commit) == line || Some(commit) == claim.from,
        })
    }

    /// The checks of this receipt after `wrote`, and those of known signers on exactly the commit's tree.
    fn gates(&self, wrote: Option<usize>) -> Vec<GateView> {
        let folded = &self.known.picture.folded;
        let own = std::iter::once(self.receipt);
        let others = folded.known.values().filter(|receipt| receipt.id != self.receipt.id);
        let mut gates = Vec::new();
        for receipt in own.chain(others) {
            for (step, body) in self.bodies(receipt) {
                let Fact::GateChecked(gate) = &body.fact else { continue };
                let later = receipt.id == self.receipt.id && wrote.is_some_and(|wrote| step > wrote);
                let on_commit = Some(gate.tree) == self.tree;
                if (later || on_commit)
                    && let Some(at) = self.moment(receipt, step)
                {
                    gates.push(view_of(gate, receipt.id, at, on_commit));
                }
            }
        }
        gates
    }
}

fn view_of(gate: &GateChecked, receipt: ReceiptId, at: Moment, on_commit: bool) -> GateView {
    GateView {
        receipt: receipt.to_string(),
        at,
        gate: gate.gate.clone(),
        result: gate.result.to_string(),
        unproven: gate.is_unproven(),
        on_commit,
    }
}
