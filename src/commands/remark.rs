//! `git receipt remark`

use schemars::JsonSchema;
use serde::Serialize;

use super::target::Target;
use super::{Context, Report};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::RemarkMade;
use crate::store::AppendReport;

/// Say something about a receipt, also about somebody else's or a closed one
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    /// What to say
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub text: String,
}

/// What `remark` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Remarked {
    /// The receipt.
    pub receipt: String,
    /// The chain of the remark.
    pub chain: String,
    /// Its place there.
    pub seq: u64,
}

impl Report for Remarked {
    const NAME: &'static str = "remark";
}

/// Runs the command.
///
/// # Errors
/// When there is no such receipt, or nothing could be written.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Remarked> {
    ctx.check_recording()?;
    let target = ctx.find_receipt(&args.receipt)?;
    let fact = Fact::RemarkMade(RemarkMade { text: args.text.as_str().into() });
    let report = ctx.append_about(target, vec![Draft::new(Some(target.receipt), &args.text, fact)])?;
    let entry = report.entries[0].entry;
    Ok(Remarked { receipt: target.receipt.to_string(), chain: entry.chain.to_string(), seq: entry.seq })
}

impl Context {
    /// Appends to the console chain entries about a receipt, citing its opening where that stands in another
    /// chain.
    ///
    /// # Errors
    /// As appending.
    pub fn append_about(&self, target: Target, drafts: Vec<Draft>) -> anyhow::Result<AppendReport> {
        let drafts = drafts.into_iter().map(|draft| draft.citing(target.opened)).collect();
        self.append(drafts)
    }
}
