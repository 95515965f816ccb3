//! `git receipt close`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::target::Target;
use super::{Context, Report, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{CloseStatus, Failure, ReceiptClosed};
use crate::domain::ids::KeyId;
use crate::store::keys::Signer;

/// Close a receipt and say how it ended
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The receipt; the newest open one of this worktree if left out
    #[arg(value_name = "R")]
    pub receipt: Option<String>,
    /// How it ended: completed, rejected, modified, escalated, failed or cancelled
    #[arg(long, value_name = "S")]
    pub status: CloseStatus,
    /// The result in a few words
    #[arg(short = 'm', long = "message", value_name = "SUMMARY")]
    pub summary: Option<String>,
    /// The result in full, from a file or (`-`) from standard input
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Something that is left to do; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub remaining: Vec<String>,
    /// Why it failed: timeout, tool, model, gate, policy, human, environment or unknown
    #[arg(long, value_name = "CLASS")]
    pub failure: Option<Failure>,
}

/// What `close` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Closed {
    /// The receipt.
    pub receipt: String,
    /// How it ended.
    pub status: String,
    /// The chain of the closing entry.
    pub chain: String,
    /// Its place there.
    pub seq: u64,
}

impl Report for Closed {
    const NAME: &'static str = "close";
}

/// Runs the command.
///
/// # Errors
/// When the receipt is somebody else's or closed already.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Closed> {
    ctx.check_recording()?;
    let target = ctx.joined(args.receipt.as_deref())?;
    let output = match &args.output {
        Some(path) => super::open::read_text(path)?,
        None => String::new(),
    };
    let fact = ReceiptClosed {
        status: args.status,
        output: output.into(),
        summary: args.summary.clone().unwrap_or_default(),
        failure: args.failure,
        remaining: (!args.remaining.is_empty()).then(|| args.remaining.clone()),
        human_ms: None,
        agent_ms: None,
        edits_by_human: None,
    };
    let entry = close_receipt(ctx, target, fact)?;
    Ok(Closed {
        receipt: target.receipt.to_string(),
        status: args.status.to_string(),
        chain: entry.chain.to_string(),
        seq: entry.seq,
    })
}

/// Closes a receipt, in its session's chain if it belongs to one.
///
/// # Errors
/// When the receipt is not open, or somebody else's.
pub fn close_receipt(
    ctx: &Context,
    target: Target,
    fact: ReceiptClosed,
) -> anyhow::Result<crate::domain::ids::EntryRef> {
    let owner = ctx.owner_of(target)?;
    let title = if fact.summary.is_empty() { fact.status.to_string() } else { fact.summary.clone() };
    let draft = Draft::new(Some(target.receipt), &title, Fact::ReceiptClosed(fact));
    let report = ctx.append_work(owner, target, vec![draft])?;
    ctx.store.note_closed(target.receipt)?;
    Ok(report.entries[0].entry)
}

impl Context {
    /// The key that work on a receipt is signed with: the one that opened it. Refuses where the receipt is closed, or
    /// that key is not here. The list of open receipts answers for those of this clone; for others the chains are read.
    ///
    /// # Errors
    /// Says whose it is, or that it is closed.
    pub fn owner_of(&self, target: Target) -> anyhow::Result<&Signer> {
        let known = self.store.open_receipts().into_iter().find(|open| open.receipt == target.receipt);
        if let Some(open) = known {
            return self.owner(target, &open.owner);
        }
        let trust = self.trust(None)?;
        let picture = self.picture(&trust)?;
        let Some(receipt) = picture.folded.receipt(target.receipt) else {
            return Err(user_error(
                format!("receipt `{}` is not here", target.receipt),
                "run `git receipt fetch`",
            ));
        };
        let owner = self.owner(target, &receipt.owner)?;
        if receipt.closed.is_some() {
            return Err(user_error(
                format!("receipt `{}` is closed", target.receipt),
                "open another one; `git receipt remark` adds words to a closed one",
            ));
        }
        Ok(owner)
    }

    /// The key `owner`, where it is the recorder's or the person's here.
    ///
    /// # Errors
    /// Says whose the receipt is.
    pub fn owner(&self, target: Target, owner: &KeyId) -> anyhow::Result<&Signer> {
        self.key_of(owner)?.ok_or_else(|| {
            user_error(
                format!(
                    "receipt `{}` belongs to `{owner}`, which is neither the recorder nor your key here; only its \
                     owner states its work and closes it",
                    target.receipt
                ),
                "answer with `git receipt remark`, or open a receipt of your own",
            )
        })
    }
}
