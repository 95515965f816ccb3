//! `git receipt log` and `git receipt trace`

use schemars::JsonSchema;
use serde::Serialize;

use super::trust::TrustSet;
use super::verify::Picture;
use super::{Context, Report, user_error};
use crate::domain::chain::Link;
use crate::domain::fact::{Fact, KINDS};
use crate::domain::ids::{ChainId, ReceiptId};

/// Show entries, newest first, with signer and whether the signature holds
#[derive(Debug, Clone, clap::Args, Default)]
pub struct Args {
    /// A receipt, or a commit or range of commits that receipts are bound to; everything if left out
    #[arg(value_name = "R|REV|RANGE", conflicts_with = "all")]
    pub what: Option<String>,
    /// Everything (the default)
    #[arg(long)]
    pub all: bool,
    /// Only this chain
    #[arg(long, value_name = "C")]
    pub chain: Option<ChainId>,
    /// Only entries of this kind
    #[arg(long, value_name = "K")]
    pub kind: Option<String>,
    /// One line an entry
    #[arg(long)]
    pub oneline: bool,
    /// At most so many
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    pub max_count: Option<usize>,
}

/// The entries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Logged {
    /// Newest first.
    pub entries: Vec<EntryView>,
    /// Whether to show one line an entry.
    #[serde(skip)]
    pub oneline: bool,
}

/// One entry.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EntryView {
    /// The chain.
    pub chain: String,
    /// The place there.
    pub seq: u64,
    /// The digest.
    pub digest: String,
    /// The commit.
    pub commit: String,
    /// The writer's time.
    pub time: String,
    /// The kind.
    pub kind: String,
    /// The title.
    pub title: String,
    /// The receipt.
    pub receipt: Option<String>,
    /// The key.
    pub signer: String,
    /// Whose key that is, as far as known.
    pub principal: Option<String>,
    /// `good`, `unknown signer` or `bad`.
    pub signature: &'static str,
    /// The data, as it was signed.
    pub data: serde_json::Value,
}

impl Report for Logged {
    const NAME: &'static str = "log";
}

/// Runs the command.
///
/// # Errors
/// When what is asked for is not here.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Logged> {
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    if let Some(chain) = args.chain
        && !picture.verdict.chains.iter().any(|known| known.chain == chain)
    {
        return Err(super::verify::no_chain(chain));
    }
    if let Some(kind) = &args.kind
        && !KINDS.contains(&kind.as_str())
        && !picture
            .history
            .links
            .values()
            .any(|link| link.entry.as_ref().is_some_and(|entry| entry.body.fact.kind() == kind))
    {
        return Err(user_error(
            format!("`{}` is no kind of entry", kind.escape_debug()),
            format!("the kinds are `{}`", KINDS.join("`, `")),
        ));
    }
    let wanted = match &args.what {
        Some(what) => Some(receipts_of(ctx, &picture, what)?),
        None => None,
    };
    let mut links: Vec<&Link> = picture
        .history
        .links
        .values()
        .filter(|link| {
            let Some(entry) = &link.entry else { return false };
            let body = &entry.body;
            args.chain.is_none_or(|chain| body.chain == chain)
                && args.kind.as_deref().is_none_or(|kind| body.fact.kind() == kind)
                && wanted.as_ref().is_none_or(|wanted| body.receipt.is_some_and(|r| wanted.contains(&r)))
        })
        .collect();
    links.sort_by_key(|link| {
        let entry = link.entry.as_ref().map(|entry| (entry.body.time, entry.body.chain, entry.body.seq));
        std::cmp::Reverse((entry, link.commit))
    });
    links.truncate(args.max_count.unwrap_or(usize::MAX));
    let entries = links.into_iter().filter_map(|link| view(link, &picture, &trust)).collect();
    Ok(Logged { entries, oneline: args.oneline })
}

/// The receipts that a name, a commit or a range of commits stands for.
fn receipts_of(ctx: &Context, picture: &Picture, what: &str) -> anyhow::Result<Vec<ReceiptId>> {
    if what.contains("..") {
        let commits = ctx.store.commits_in(what)?;
        let bound =
            |receipt: &&crate::domain::fold::Receipt| receipt.bound.iter().any(|c| commits.contains(c));
        return Ok(picture.folded.receipts().into_iter().filter(bound).map(|receipt| receipt.id).collect());
    }
    let of_receipt = what.starts_with('@') && !what.starts_with("@{");
    if let Some(commit) = ctx.store.resolve_commit(what)?
        && !of_receipt
        && what.parse::<ReceiptId>().is_err()
    {
        let bound = picture.folded.receipts().into_iter().filter(|receipt| receipt.bound.contains(&commit));
        let ids: Vec<_> = bound.map(|receipt| receipt.id).collect();
        if ids.is_empty() {
            let message = format!("no receipt is bound to `{what}`");
            return Err(user_error(message, "`git receipt bind` ties one to a commit"));
        }
        return Ok(ids);
    }
    Ok(vec![ctx.find_receipt(what)?.receipt])
}

/// How an entry is shown.
pub fn view(link: &Link, picture: &Picture, trust: &TrustSet) -> Option<EntryView> {
    let entry = link.entry.as_ref()?;
    let body = &entry.body;
    let signature = if picture.verdict.counted.contains(&link.commit) {
        "good"
    } else if picture.verdict.strangers.contains(&link.commit) {
        "unknown signer"
    } else {
        "bad"
    };
    Some(EntryView {
        chain: body.chain.to_string(),
        seq: body.seq,
        digest: entry.digest.to_string(),
        commit: link.commit.to_hex(),
        time: body.time.to_string(),
        kind: body.fact.kind().to_owned(),
        title: body.title.clone(),
        receipt: body.receipt.map(|receipt| receipt.to_string()),
        signer: body.signer.to_string(),
        principal: trust.name_of(&body.signer),
        signature,
        data: body.fact.to_value().unwrap_or_default(),
    })
}

/// Show the steps of a receipt in time order, with durations as bars
#[derive(Debug, Clone, clap::Args)]
pub struct TraceArgs {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
}

/// The steps.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Traced {
    /// The receipt.
    pub receipt: String,
    /// In time order.
    pub steps: Vec<StepView>,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepView {
    /// When it was recorded.
    pub time: String,
    /// Milliseconds since the receipt was opened.
    pub offset_ms: i64,
    /// The kind.
    pub kind: String,
    /// What it is called.
    pub name: String,
    /// How it ended, where that is known.
    pub outcome: Option<String>,
    /// How long it took in milliseconds, where that is known.
    pub duration_ms: Option<u64>,
    /// Whether it arrived after the receipt was closed.
    pub late: bool,
}

impl Report for Traced {
    const NAME: &'static str = "trace";
}

/// Runs `trace`.
///
/// # Errors
/// When there is no such receipt.
pub fn trace(ctx: &Context, args: &TraceArgs) -> anyhow::Result<Traced> {
    let target = ctx.find_receipt(&args.receipt)?;
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let receipt = picture.receipt(target.receipt)?;
    let steps = receipt.steps.iter().filter_map(|step| {
        let body = &picture.link(&step.commit)?.entry.as_ref()?.body;
        let (name, outcome, duration_ms) = describe(&body.fact, &body.title);
        Some(StepView {
            time: body.time.to_string(),
            offset_ms: body.time.unix_ms() - receipt.opened_at.unix_ms(),
            kind: body.fact.kind().to_owned(),
            name,
            outcome,
            duration_ms,
            late: step.late,
        })
    });
    Ok(Traced { receipt: receipt.id.to_string(), steps: steps.collect() })
}

/// Name, outcome and duration of a step.
fn describe(fact: &Fact, title: &str) -> (String, Option<String>, Option<u64>) {
    match fact {
        Fact::ToolCalled(call) => {
            (format!("{} {title}", call.tool), Some(call.status.to_string()), call.duration_ms)
        }
        Fact::GateChecked(gate) => {
            let unproven = if gate.is_unproven() { " (unproven)" } else { "" };
            (gate.gate.clone(), Some(format!("{}{unproven}", gate.result)), Some(gate.duration_ms))
        }
        Fact::ReceiptClosed(closed) => (title.to_owned(), Some(closed.status.to_string()), None),
        Fact::HumanAsked(asked) => (title.to_owned(), None, asked.wait_ms),
        _ => (title.to_owned(), None, None),
    }
}
