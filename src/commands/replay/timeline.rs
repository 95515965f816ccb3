//! The state of a receipt after each of its entries, and what each of them changed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::Context;
use crate::commands::log::{EntryView, view};
use crate::commands::summary::{
    GateState, Money, ProposalView, Usage, gates_of, money, standing_of, state_of, usage_of,
};
use crate::commands::trust::TrustSet;
use crate::commands::verify::Picture;
use crate::domain::fold::{self, Moment, Receipt, Work};

/// One entry and what the receipt was after it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MomentView {
    /// Its number among the receipt's own entries; nothing where a fork inherited it.
    pub n: Option<u64>,
    /// The entry.
    #[serde(flatten)]
    pub entry: EntryView,
    /// Whether it arrived after the receipt was closed.
    pub late: bool,
    /// What it changed.
    pub changes: Vec<ChangeView>,
    /// What was so after it.
    pub state: StateView,
}

/// Something that an entry changed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ChangeView {
    /// What, as `gate test` or `lines accepted`.
    pub what: String,
    /// What it was before; nothing where there was none.
    pub from: Option<String>,
    /// What it is now; nothing where there is none any more.
    pub to: Option<String>,
}

/// A receipt as it stood.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StateView {
    /// `open`, or how it was closed.
    pub state: String,
    /// How many entries had counted, with those that a fork inherited.
    pub entries: u64,
    /// Tool calls.
    pub tool_calls: u64,
    /// Of these, how many a person or policy refused.
    pub rejections: u64,
    /// Of these, how many failed.
    pub failures: u64,
    /// Of these, how many were interrupted or have no result.
    pub interrupted: u64,
    /// Retrievals made.
    pub retrievals: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// How many files tool calls had touched, at most 1,000.
    pub files: u64,
    /// Gates by what they said last.
    pub gates: Vec<GateState>,
    /// Tokens by model.
    pub usage: Vec<Usage>,
    /// What the work had cost.
    pub spent: Vec<Money>,
    /// What acceptance had been charged.
    pub charged: Vec<Money>,
    /// The proposed change, by its newest revision. Which files are sensitive is not worked out for each entry.
    pub proposal: Option<ProposalView>,
    /// Commits that it was bound to.
    pub commits: Vec<String>,
}

/// Every entry up to the receipt's own entry `at`, those that a fork inherited first.
pub fn entries(
    ctx: &Context,
    picture: &Picture,
    trust: &TrustSet,
    receipt: &Receipt,
    at: usize,
) -> Vec<MomentView> {
    let (mut own, mut count, mut work) = (0, 0, Work::default());
    let mut before = Vec::new();
    let mut shown = Vec::new();
    ctx.tell_moments(picture, trust, receipt, &mut |moment| {
        count += 1;
        if own > at as u64 {
            return;
        }
        let Some(link) = picture.link(&moment.step.commit) else { return };
        let (Some(entry), Some(signed)) = (view(link, picture, trust), &link.entry) else { return };
        work.add(&signed.body.fact);
        let state = state_at(&moment, count, &work);
        let after = facets(&state);
        let is_own = moment.receipt == receipt.id;
        let n = is_own.then_some(own);
        own += u64::from(is_own);
        shown.push(MomentView { n, entry, late: moment.step.late, changes: changes(&before, &after), state });
        before = after;
    });
    shown
}

impl Context {
    /// Tells the state of a receipt after every entry that counts.
    fn tell_moments(
        &self,
        picture: &Picture,
        trust: &TrustSet,
        receipt: &Receipt,
        tell: &mut dyn FnMut(Moment<'_>),
    ) {
        self.around(trust, |around| {
            let (links, verdict) = (&picture.history.links, &picture.verdict);
            fold::timeline(links, &verdict.counted, &verdict.strangers, around, receipt, tell);
        });
    }
}

fn state_at(moment: &Moment<'_>, entries: u64, work: &Work) -> StateView {
    StateView {
        state: state_of(moment.closed),
        entries,
        tool_calls: work.tool_calls,
        rejections: work.rejections,
        failures: work.failures,
        interrupted: work.interrupted,
        retrievals: work.retrievals,
        snapshots: work.snapshots,
        files: work.files.len() as u64,
        gates: gates_of(work),
        usage: usage_of(work),
        spent: money(work.spent.clone()),
        charged: money(work.charged.clone()),
        proposal: moment.proposal.map(|standing| standing_of(standing.made, &standing.lines)),
        commits: moment.bound.iter().map(|commit| commit.to_hex()).collect(),
    }
}

/// What can change in a state, each with a name and a value in words.
type Facets = Vec<(String, String)>;

fn facets(state: &StateView) -> Facets {
    let mut facets = vec![("state".to_owned(), state.state.clone())];
    let counts = [
        ("tool calls", state.tool_calls),
        ("refused calls", state.rejections),
        ("failed calls", state.failures),
        ("calls without result", state.interrupted),
        ("retrievals", state.retrievals),
        ("snapshots", state.snapshots),
        ("files", state.files),
    ];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    facets.extend(counts.map(|(what, count)| (what.to_owned(), count.to_string())));
    for gate in &state.gates {
        let unproven = if gate.unproven { " (unproven)" } else { "" };
        let run = if gate.runs > 1 { format!(", run {}", gate.runs) } else { String::new() };
        facets.push((format!("gate {}", gate.gate), format!("{}{unproven}{run}", gate.result)));
    }
    for usage in &state.usage {
        let tokens = format!(
            "{} in, {} out, {} cache read, {} cache written",
            usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens
        );
        facets.push((format!("tokens {}", usage.model), tokens));
    }
    for (word, sums) in [("spent", &state.spent), ("charged", &state.charged)] {
        facets.extend(sums.iter().map(|sum| (format!("{word} {}", sum.currency), sum.amount.clone())));
    }
    if let Some(proposal) = &state.proposal {
        let standing = format!("revision {} {}", proposal.revision, proposal.state);
        facets.push(("proposal".to_owned(), standing));
        let lines = [
            ("lines pending", &proposal.pending),
            ("lines accepted", &proposal.accepted),
            ("lines rejected", &proposal.rejected),
            ("lines applied", &proposal.applied),
        ];
        let there = lines.into_iter().filter(|(_, lines)| !lines.is_empty());
        facets.extend(there.map(|(what, lines)| (what.to_owned(), lines.clone())));
    }
    facets.extend(state.commits.iter().map(|commit| (format!("commit {commit}"), "bound".to_owned())));
    facets
}

/// What differs between two states, in the order of the later one, then what is gone.
fn changes(before: &Facets, after: &Facets) -> Vec<ChangeView> {
    fn by_name(facets: &Facets) -> BTreeMap<&str, &String> {
        facets.iter().map(|(what, value)| (what.as_str(), value)).collect()
    }
    let (old, new) = (by_name(before), by_name(after));
    let changed = |what: &str, to: &String| old.get(what) != Some(&to);
    let came = after.iter().filter(|(what, to)| changed(what, to)).map(|(what, to)| ChangeView {
        what: what.clone(),
        from: old.get(what.as_str()).map(|from| (*from).clone()),
        to: Some(to.clone()),
    });
    let gone = |what: &str| !new.contains_key(what);
    let went = before.iter().filter(|(what, _)| gone(what)).map(|(what, from)| ChangeView {
        what: what.clone(),
        from: Some(from.clone()),
        to: None,
    });
    came.chain(went).collect()
}
