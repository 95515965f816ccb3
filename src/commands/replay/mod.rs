//! `git receipt replay`: the state after every entry, trees worked out again, gates run again.

pub mod check;
pub mod rerun;
pub mod timeline;

use schemars::JsonSchema;
use serde::Serialize;

use self::check::Checked;
use self::rerun::{Rerun, Talk};
use self::timeline::{MomentView, StateView};
use super::evidence::Known;
use super::summary::{OriginView, RollbackView, rollbacks};
use super::target::Target;
use super::{Context, Report, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{ReplayChecked, ReplayForm, ReplayResult};
use crate::domain::fact::values::{Content, Pending};
use crate::domain::fold::Receipt;

/// Show the state of a receipt after every entry, or work it out again
///
/// `--check` rebuilds what the receipt says about trees and hashes every object that this rests on; it writes nothing.
/// `--rerun` runs the recorded gates again, each in a new temporary worktree with the files that it ran on. It shows the
/// commands and asks first, and records what came of it unless something was missing. Entries count from 0, as
/// `git receipt show` lists them.
///
/// Exits with 0 when all is as recorded, 1 when something differs, 4 when what would show it is not here.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    /// Only up to the receipt's own entry N; with `--rerun`, the gates as they last ran by then
    #[arg(long, value_name = "N", conflicts_with = "check")]
    pub at: Option<usize>,
    /// Rebuild every applied tree, proposal, snapshot and rollback, and compare object ids
    #[arg(long, conflicts_with = "rerun")]
    pub check: bool,
    /// Sign what the check came to
    #[arg(long, requires = "check")]
    pub record: bool,
    /// Run these gates again, or without a name all of them, each as it last ran
    #[arg(long, value_name = "GATE", num_args = 0..)]
    pub rerun: Option<Vec<String>>,
    /// End a gate after this time, as `90s` or `10m`
    #[arg(long, value_name = "T", requires = "rerun")]
    pub timeout: Option<String>,
    /// Run without asking, as in CI
    #[arg(short = 'y', long, requires = "rerun")]
    pub yes: bool,
}

/// What a replay gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Replayed {
    /// The receipt.
    pub receipt: String,
    /// What it continues from, where it is a fork.
    pub forked_from: Option<OriginView>,
    /// Up to which of its own entries, where that was said.
    pub at: Option<u64>,
    /// The state after the last of the entries, without `--check` and `--rerun`.
    pub state: Option<StateView>,
    /// Every entry with the state after it, without `--check` and `--rerun`. Those that a fork inherited come first.
    pub entries: Option<Vec<MomentView>>,
    /// What other receipts take back of it, where all of its entries are shown.
    pub taken_back: Vec<RollbackView>,
    /// What was rebuilt, with `--check`.
    pub check: Option<Checked>,
    /// What was run again, with `--rerun`.
    pub rerun: Option<Rerun>,
}

impl Report for Replayed {
    const NAME: &'static str = "replay";

    fn exit_code(&self) -> u8 {
        let check = self.check.iter().map(Checked::exit_code);
        check.chain(self.rerun.iter().map(Rerun::exit_code)).next().unwrap_or(0)
    }
}

/// Runs the command.
///
/// # Errors
/// When there is no such receipt, entry or gate, or nothing may be run.
pub fn run(ctx: &Context, args: &Args, talk: &Talk) -> anyhow::Result<Replayed> {
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let target = picture.target(ctx, &args.receipt)?;
    let receipt = picture.receipt(target.receipt)?;
    let at = match args.at {
        Some(n) => n_of(receipt, n)?,
        None => receipt.steps.len() - 1,
    };
    let mut report = Replayed {
        receipt: receipt.id.to_string(),
        forked_from: receipt.origin.as_ref().map(OriginView::from),
        at: args.at.map(|n| n as u64),
        state: None,
        entries: None,
        taken_back: Vec::new(),
        check: None,
        rerun: None,
    };
    if args.check {
        let id = receipt.id;
        let known = Known::new(ctx, picture, trust)?;
        let receipt = known.picture.receipt(id)?;
        report.check = Some(check::run(ctx, &known, receipt, target, args.record)?);
    } else if let Some(gates) = &args.rerun {
        let asked = rerun::Asked { gates, at, timeout: args.timeout.as_deref(), yes: args.yes };
        report.rerun = Some(rerun::run(ctx, (&picture, &trust), (receipt, target), &asked, talk)?);
    } else {
        let entries = timeline::entries(ctx, &picture, &trust, receipt, at);
        report.state = entries.last().map(|entry| entry.state.clone());
        report.entries = Some(entries);
        if at + 1 == receipt.steps.len() {
            report.taken_back = rollbacks(&receipt.taken_back, &picture);
        }
    }
    Ok(report)
}

/// Checks that a receipt has an entry `n` of its own.
///
/// # Errors
/// Says how many there are.
pub fn n_of(receipt: &Receipt, n: usize) -> anyhow::Result<usize> {
    match n < receipt.steps.len() {
        true => Ok(n),
        false => Err(user_error(
            format!("receipt has {} entries, no entry {n}", receipt.steps.len()),
            format!("entries count from 0; `git receipt show {}` lists them", receipt.id),
        )),
    }
}

/// Signs what a replay came to, and says where.
fn record(
    ctx: &Context,
    target: Target,
    form: ReplayForm,
    reproduced: bool,
    detail: &impl Serialize,
) -> anyhow::Result<String> {
    let result = if reproduced { ReplayResult::Reproduced } else { ReplayResult::Diverged };
    let bytes = serde_json::to_vec(detail)?;
    let detail = Content::Pending(Pending { bytes, whole: None, media: "application/json".into() });
    let fact = Fact::ReplayChecked(ReplayChecked { of: target.receipt, form, result, detail });
    let draft = Draft::new(Some(target.receipt), &format!("{form} {result}"), fact);
    let report = ctx.append_about(target, vec![draft])?;
    let entry = report.entries[0].entry;
    Ok(format!("{}@{}", entry.chain, entry.seq))
}
