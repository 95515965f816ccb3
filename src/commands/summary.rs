//! A receipt in numbers: what `list`, `status` and `show` say of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::proposal::{Loaded, sensitive_marks};
use super::trust::TrustSet;
use super::verify::Picture;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{CloseStatus, Proposal};
use crate::domain::fold::{LineStates, Origin, ProposalState, Receipt, Rollback, Work};
use crate::domain::ids::Timestamp;
use crate::domain::money::Sums;
use crate::store::Store;

/// One receipt in a line.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Summary {
    /// Its id.
    pub receipt: String,
    /// `open`, or how it was closed.
    pub state: String,
    /// When it was opened.
    pub opened: String,
    /// When it was closed.
    pub closed: Option<String>,
    /// The task in a few words.
    pub summary: String,
    /// The agent that did it.
    pub agent: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The key that opened it.
    pub owner: String,
    /// Whose key that is, as far as known.
    pub principal: Option<String>,
    /// Whether the key is known.
    pub known: bool,
    /// Entries that count.
    pub entries: u64,
    /// Tool calls.
    pub tool_calls: u64,
    /// Of these, how many a person or policy refused.
    pub rejections: u64,
    /// Of these, how many failed.
    pub failures: u64,
    /// Of these, how many were interrupted or have no result.
    pub interrupted: u64,
    /// Gates by what they said last.
    pub gates: Vec<GateState>,
    /// Files touched, at most 1,000 named.
    pub files: Vec<String>,
    /// Tokens by model.
    pub usage: Vec<Usage>,
    /// Commits that it is bound to.
    pub commits: Vec<String>,
    /// The change that it proposes, by its newest revision.
    pub proposal: Option<ProposalView>,
    /// What the work cost, by currency, as far as it was counted.
    pub spent: Vec<Money>,
    /// What acceptance was charged, by currency.
    pub charged: Vec<Money>,
    /// The part of what the work cost that its refused lines stand for: their share of all lines.
    pub spent_on_refused: Vec<Money>,
    /// What it continues from, where it is a fork. None of that is counted in the numbers here.
    pub forked_from: Option<OriginView>,
    /// What it takes back of other receipts.
    pub takes_back: Vec<RollbackView>,
    /// What other receipts take back of it.
    pub taken_back: Vec<RollbackView>,
}

/// One receipt takes back another.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RollbackView {
    /// The receipt that does.
    pub by: String,
    /// The receipt that is taken back.
    pub of: String,
    /// Only these lines; all where none are named.
    pub lines: Option<String>,
    /// The commit that does it, as it is after rewriting; none where it was proposed, and what landed of that does, or
    /// was staged and no commit is bound to it yet.
    pub commit: Option<String>,
    /// Whether it was proposed.
    pub proposed: bool,
    /// What became of the proposal: `pending`, `accepted`, `rejected` or `landed`, each only where that is so of all its
    /// lines, else `pending`.
    pub proposal: Option<&'static str>,
}

/// What became of a proposed rollback.
fn fate(proposal: &ProposalState) -> &'static str {
    let (lines, count) = (&proposal.lines, proposal.made.lines.count);
    match () {
        () if proposal.is_all_applied() => "landed",
        () if lines.rejected.len() == count => "rejected",
        () if lines.accepted.union(&lines.applied).len() == count => "accepted",
        () => "pending",
    }
}

/// What rollbacks say, with the commits that they are by now.
pub fn rollbacks(rollbacks: &[Rollback], picture: &Picture) -> Vec<RollbackView> {
    let view = |rollback: &Rollback| {
        let by = picture.folded.receipt(rollback.by);
        let proposal = by.and_then(|by| by.proposals.last()).map(fate);
        let proposed = proposal.is_some();
        let done = by.filter(|_| proposal.is_none_or(|fate| fate == "landed"));
        let bound = done.and_then(|by| by.bound.last().copied());
        RollbackView {
            by: rollback.by.to_string(),
            of: rollback.said.of.to_string(),
            lines: rollback.said.lines.as_ref().map(ToString::to_string),
            commit: bound.or(rollback.said.commit).map(|commit| commit.to_hex()),
            proposed,
            proposal,
        }
    };
    rollbacks.iter().map(view).collect()
}

/// The entry that a fork continues from.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OriginView {
    /// The receipt that holds it; nothing where that is not here, or is an unknown signer's and this one counts.
    pub receipt: Option<String>,
    /// The chain.
    pub chain: String,
    /// The place there.
    pub seq: u64,
    /// The digest.
    pub digest: String,
    /// How many entries the fork inherited.
    pub entries: u64,
}

impl From<&Origin> for OriginView {
    fn from(origin: &Origin) -> Self {
        OriginView {
            receipt: origin.receipt.map(|receipt| receipt.to_string()),
            chain: origin.entry.chain.to_string(),
            seq: origin.entry.seq,
            digest: origin.entry.digest.to_string(),
            entries: origin.steps().count() as u64,
        }
    }
}

/// Where a proposal stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProposalView {
    /// The newest revision's number.
    pub revision: u64,
    /// `proposed`, `decided`, `applied` or `rejected`.
    pub state: &'static str,
    /// How many lines.
    pub count: u64,
    /// In how many files.
    pub files: u64,
    /// Lines that nobody has decided about.
    pub pending: String,
    /// Lines accepted and not landed.
    pub accepted: String,
    /// Lines rejected.
    pub rejected: String,
    /// Lines landed.
    pub applied: String,
    /// What landed of earlier revisions, by their own numbers.
    pub landed_before: Vec<LandedView>,
    /// Files that deserve a second look, each with why.
    pub sensitive: BTreeMap<String, Vec<String>>,
}

/// Lines of an earlier revision that landed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LandedView {
    /// The revision.
    pub revision: u64,
    /// The lines.
    pub lines: String,
}

/// An amount of money.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Money {
    /// A decimal number.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
}

/// The last word of a gate.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GateState {
    /// Its name.
    pub gate: String,
    /// `passed`, `failed`, `skipped` or `error`.
    pub result: String,
    /// Whether it stated no output when it was signed.
    pub unproven: bool,
    /// How often it ran.
    pub runs: u64,
}

/// Tokens used by a model.
#[derive(Debug, Clone, Serialize, JsonSchema, Default)]
pub struct Usage {
    /// The model.
    pub model: String,
    /// Messages counted.
    pub messages: u64,
    /// Tokens read, without cached ones.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens read from a cache.
    pub cache_read_tokens: u64,
    /// Tokens written to one.
    pub cache_write_tokens: u64,
}

/// Sums up a receipt.
pub fn summarize(store: &Store, receipt: &Receipt, picture: &Picture, trust: &TrustSet) -> Summary {
    let mut summary = Summary {
        receipt: receipt.id.to_string(),
        state: state_of(receipt.closed),
        opened: receipt.opened_at.to_string(),
        closed: receipt.closed.map(|(_, time)| time.to_string()),
        summary: String::new(),
        agent: None,
        model: None,
        owner: receipt.owner.to_string(),
        principal: trust.name_of(&receipt.owner),
        known: receipt.known,
        entries: receipt.steps.len() as u64,
        tool_calls: 0,
        rejections: 0,
        failures: 0,
        interrupted: 0,
        gates: Vec::new(),
        files: Vec::new(),
        usage: Vec::new(),
        commits: receipt.bound.iter().map(|commit| commit.to_hex()).collect(),
        proposal: None,
        spent: Vec::new(),
        charged: Vec::new(),
        spent_on_refused: Vec::new(),
        forked_from: receipt.origin.as_ref().map(OriginView::from),
        takes_back: rollbacks(&receipt.takes_back, picture),
        taken_back: rollbacks(&receipt.taken_back, picture),
    };
    (summary.agent, summary.model) = agent_of(receipt, picture);
    let mut work = Work::default();
    for fact in facts(receipt, picture) {
        work.add(fact);
        if let Fact::ReceiptOpened(opened) = fact {
            summary.summary = opened.summary.clone();
        }
    }
    summary.tool_calls = work.tool_calls;
    summary.rejections = work.rejections;
    summary.failures = work.failures;
    summary.interrupted = work.interrupted;
    summary.gates = gates_of(&work);
    summary.usage = usage_of(&work);
    summary.files = work.files.into_iter().collect();
    let newest = receipt.proposals.iter().rev().find(|proposal| proposal.superseded_by.is_none());
    if let Some(proposal) = newest {
        let (lines, count) = (&proposal.lines, proposal.made.lines.count);
        if !lines.rejected.is_empty() {
            summary.spent_on_refused = money(work.spent.share(lines.rejected.len(), count));
        }
        // What cannot be read here is marked nowhere, and `verify` counts it as withheld.
        let sensitive = Loaded::read(store, &proposal.made)
            .map(|loaded| sensitive_marks(&loaded.table, &loaded.proposed))
            .unwrap_or_default();
        let landed =
            |known: &&ProposalState| known.superseded_by.is_some() && !known.lines.applied.is_empty();
        let landed_before = receipt.proposals.iter().filter(landed).map(|known| LandedView {
            revision: known.made.revision,
            lines: known.lines.applied.to_string(),
        });
        let landed_before = landed_before.collect();
        summary.proposal =
            Some(ProposalView { sensitive, landed_before, ..standing_of(&proposal.made, lines) });
    }
    summary.spent = money(work.spent);
    summary.charged = money(work.charged);
    summary
}

/// The gates of some work, each with its last word.
pub fn gates_of(work: &Work) -> Vec<GateState> {
    let gates = work.gates.iter().map(|(gate, word)| GateState {
        gate: gate.clone(),
        result: word.result.to_string(),
        unproven: word.unproven,
        runs: word.runs,
    });
    gates.collect()
}

/// The tokens of some work.
pub fn usage_of(work: &Work) -> Vec<Usage> {
    let usage = work.tokens.iter().map(|(model, tokens)| Usage {
        model: model.clone(),
        messages: tokens.messages,
        input_tokens: tokens.input,
        output_tokens: tokens.output,
        cache_read_tokens: tokens.cache_read,
        cache_write_tokens: tokens.cache_write,
    });
    usage.collect()
}

/// Where a proposal stands, without the files that deserve a second look.
pub fn standing_of(made: &Proposal, lines: &LineStates) -> ProposalView {
    let count = made.lines.count;
    ProposalView {
        revision: made.revision,
        state: lines.stage(count).as_str(),
        count,
        files: made.lines.files,
        pending: lines.pending(count).to_string(),
        accepted: lines.accepted.to_string(),
        rejected: lines.rejected.to_string(),
        applied: lines.applied.to_string(),
        landed_before: Vec::new(),
        sensitive: BTreeMap::new(),
    }
}

/// Sums as they are shown.
pub fn money(sums: Sums) -> Vec<Money> {
    sums.amounts().map(|(currency, amount)| Money { amount: amount.to_string(), currency }).collect()
}

/// The agent that did a receipt's work and its model, as the opening says, else as tokens were counted.
pub fn agent_of(receipt: &Receipt, picture: &Picture) -> (Option<String>, Option<String>) {
    let (mut agent, mut model) = (None, None);
    for fact in facts(receipt, picture) {
        match fact {
            Fact::ReceiptOpened(opened) => {
                agent = opened.agent.as_ref().map(|agent| agent.tool.clone());
                model = opened.agent.as_ref().and_then(|agent| agent.model.clone());
            }
            Fact::UsageCounted(counted) if model.is_none() => model = Some(counted.model.clone()),
            _ => {}
        }
    }
    (agent, model)
}

/// `open`, or how it was closed.
pub fn state_of(closed: Option<(CloseStatus, Timestamp)>) -> String {
    closed.map_or_else(|| "open".into(), |(status, _)| status.to_string())
}

/// The facts of a receipt, in order.
pub fn facts<'p>(receipt: &'p Receipt, picture: &'p Picture) -> impl Iterator<Item = &'p Fact> {
    let entries = receipt.steps.iter().filter_map(|step| picture.link(&step.commit)?.entry.as_ref());
    entries.map(|entry| &entry.body.fact)
}
