//! `git receipt preview`

use schemars::JsonSchema;
use serde::Serialize;

use super::plan::Plan;
use super::{Context, Report, user_error};
use crate::domain::fact::data::TreeAt;
use crate::domain::fact::values::LineSet;

/// Show what applying would give, without moving a ref or a file
///
/// Without a selection it is every line that nobody rejected.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    /// Only these lines, as `1-4,7`
    #[arg(long, value_name = "S")]
    pub lines: Option<String>,
    /// On the proposal's own base instead of HEAD
    #[arg(long)]
    pub on_base: bool,
}

/// What applying would give.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Previewed {
    /// The receipt.
    pub receipt: String,
    /// Which revision.
    pub revision: u64,
    /// The commit that it is put on.
    pub onto: String,
    /// The tree that it gives.
    pub tree: String,
    /// The lines that it holds.
    pub lines: String,
    /// Lines whose effect is there already.
    pub already: String,
    /// Lines that no longer fit, with why.
    pub conflicts: Vec<ConflictView>,
    /// The difference to what it is put on, as a unified diff. Bytes that are no UTF-8 are replaced.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub patch: Vec<u8>,
}

/// Bytes as the text that they are for people.
fn as_text<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

/// Lines that no longer fit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConflictView {
    /// The file.
    pub path: String,
    /// The lines.
    pub lines: String,
    /// Why.
    pub why: String,
}

impl Report for Previewed {
    const NAME: &'static str = "preview";
}

/// Runs the command.
///
/// # Errors
/// When there are no such lines, or some need others to come along.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Previewed> {
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let target = picture.target(ctx, &args.receipt)?;
    let receipt = picture.receipt(target.receipt)?;
    let proposal = picture.proposal(receipt)?;
    let loaded = ctx.load(&proposal.made)?;
    let chosen = ctx.selected(&receipt.id.to_string(), &loaded.table, args.lines.as_deref(), None)?;
    let wanted =
        chosen.unwrap_or_else(|| LineSet::run(1, proposal.made.lines.count).minus(&proposal.lines.rejected));
    let (onto, plan) = if args.on_base {
        let onto = proposal.made.base.clone();
        let plan = Plan::make(ctx, &loaded, &LineSet::default(), &wanted, &onto)?;
        (onto, plan)
    } else {
        let head = ctx.store.head()?.commit;
        let commit = head.ok_or_else(|| {
            user_error("there is no commit yet to put it on", "`--on-base` puts it on its own base")
        })?;
        let tree = ctx.store.tree_of(commit)?.unwrap_or(proposal.made.base.tree);
        let onto = TreeAt { commit, tree };
        let wanted = wanted.minus(&proposal.lines.applied);
        let plan = Plan::best(ctx, &picture, receipt, proposal, &loaded, (&wanted, &onto))?;
        (onto, plan)
    };
    let patch = ctx.store.patch_between(onto.tree, plan.tree)?;
    let conflicts = plan.conflicts.iter().map(|conflict| ConflictView {
        path: conflict.path.to_string(),
        lines: conflict.lines.to_string(),
        why: conflict.why.to_string(),
    });
    Ok(Previewed {
        receipt: receipt.id.to_string(),
        revision: proposal.made.revision,
        onto: onto.commit.to_hex(),
        tree: plan.tree.to_hex(),
        lines: plan.lines.to_string(),
        already: plan.already.to_string(),
        conflicts: conflicts.collect(),
        patch,
    })
}
