//! `git receipt status`

use schemars::JsonSchema;
use serde::Serialize;

use super::summary::{Summary, summarize};
use super::{Context, Report};
use crate::store::ChainScope;

/// Show what is open here, what is not pushed, and what waits for whom
#[derive(Debug, Clone, clap::Args, Default)]
pub struct Args {}

/// Where things stand.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Whether `init` has run here.
    pub set_up: bool,
    /// Whether anything is being recorded.
    pub recording: bool,
    /// The receipt that recording commands join.
    pub current: Option<String>,
    /// The console chain of this machine's key.
    pub chain: Option<String>,
    /// Open receipts, newest first.
    pub open: Vec<Summary>,
    /// Receipts with lines that wait for a decision.
    pub undecided: Vec<Undecided>,
    /// Chains of ours that a remote lacks or has only in part.
    pub unpushed: Vec<Unpushed>,
}

/// Lines that wait.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Undecided {
    /// The receipt.
    pub receipt: String,
    /// Which lines.
    pub pending: String,
}

/// What a remote lacks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Unpushed {
    /// The remote.
    pub remote: String,
    /// How many chains.
    pub chains: u64,
}

impl Report for Status {
    const NAME: &'static str = "status";
}

/// Runs the command.
///
/// # Errors
/// When the chains cannot be read.
pub fn run(ctx: &Context, _args: &Args) -> anyhow::Result<Status> {
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let receipts = picture.folded.receipts();
    let open: Vec<_> = receipts.iter().rev().filter(|receipt| receipt.closed.is_none()).collect();
    let newest = ctx.store.newest_open_here().map(|open| open.receipt);
    let named = ctx.env.var("GIT_RECEIPT_ID");
    let mut undecided = Vec::new();
    for receipt in &receipts {
        let Some(proposal) = receipt.proposals.last() else { continue };
        let pending = proposal.pending();
        if !pending.is_empty() {
            undecided.push(Undecided { receipt: receipt.id.to_string(), pending: pending.to_string() });
        }
    }
    let signer = ctx.recorder().ok();
    let chain = signer.and_then(|signer| ctx.store.current_chain(&ChainScope::Console, signer.id()));
    Ok(Status {
        set_up: ctx.store.config("receipt.repo").is_some(),
        recording: ctx.is_recording(),
        current: named.or_else(|| newest.map(|receipt| receipt.to_string())),
        chain: chain.map(|chain| chain.to_string()),
        open: open.into_iter().map(|receipt| summarize(&ctx.store, receipt, &picture, &trust)).collect(),
        undecided,
        unpushed: unpushed(ctx, &picture),
    })
}

/// Compares our chain refs with what each remote had at the last fetch or push.
fn unpushed(ctx: &Context, picture: &super::verify::Picture) -> Vec<Unpushed> {
    let refs = &picture.history.refs;
    let ours: Vec<_> = refs.iter().filter(|found| found.remote.is_none()).collect();
    let mut lacking = Vec::new();
    for remote in ctx.store.remote_names() {
        let has = |chain, tip| {
            refs.iter().any(|f| f.remote.as_deref() == Some(&remote) && f.chain == chain && f.tip == tip)
        };
        let chains = ours.iter().filter(|found| !has(found.chain, found.tip)).count() as u64;
        if chains > 0 {
            lacking.push(Unpushed { remote, chains });
        }
    }
    lacking
}
