//! `git receipt accept` and `git receipt reject`

use schemars::JsonSchema;
use serde::Serialize;

use super::apply::{Applied, LandingArgs, RANGES, Request};
use super::verify::Picture;
use super::{Context, Report, UserError, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::LinesDecided;
use crate::domain::fact::values::LineSet;
use crate::domain::fold::{ProposalState, Receipt};
use crate::store::Alone;

/// Accept lines of a proposal, signed
///
/// Without a selection all lines that nobody rejected, and they land at once. With one only that is said, unless
/// `--apply` lands it in the same transaction.
#[derive(Debug, Clone, clap::Args)]
pub struct AcceptArgs {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub which: Which,
    /// Land what is accepted, in the same transaction
    #[arg(long)]
    pub apply: bool,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub landing: LandingArgs,
}

/// Refuse lines of a proposal, signed
///
/// Without a selection all lines that are pending. A decision may be changed until the line has landed.
#[derive(Debug, Clone, clap::Args)]
pub struct RejectArgs {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub which: Which,
    /// Refuse if this is no longer the newest revision
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
}

/// Which lines, and why.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Which {
    /// These lines, as `1-4,7`
    #[arg(long, value_name = "S")]
    pub lines: Option<String>,
    /// All lines of the files at and below a path
    #[arg(long, value_name = "P", conflicts_with = "lines")]
    pub path: Option<String>,
    /// Why
    #[arg(short = 'm', long = "message", value_name = "WHY")]
    pub message: Option<String>,
}

/// What was decided, and where the proposal stands now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Decided {
    /// The receipt.
    pub receipt: String,
    /// Which revision.
    pub revision: u64,
    /// Whether the lines were accepted.
    pub accepts: bool,
    /// The lines decided about now.
    pub lines: String,
    /// Whose decision it is.
    pub principal: String,
    /// Lines pending now.
    pub pending: String,
    /// Lines accepted and not landed.
    pub accepted: String,
    /// Lines rejected.
    pub rejected: String,
    /// Lines landed.
    pub applied: String,
    /// What landed with it.
    pub landed: Option<Applied>,
}

/// What `accept` did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Accepted(pub Decided);

/// What `reject` did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Rejected(pub Decided);

impl Report for Accepted {
    const NAME: &'static str = "accept";
}

impl Report for Rejected {
    const NAME: &'static str = "reject";
}

impl Picture {
    /// The newest revision, and only if it is the one that was meant.
    ///
    /// # Errors
    /// When a newer one took its place, which is named.
    pub fn current<'p>(
        &'p self,
        receipt: &'p Receipt,
        meant: Option<u64>,
    ) -> anyhow::Result<&'p ProposalState> {
        let newest = self.proposal(receipt)?;
        match meant {
            Some(number) if number != newest.made.revision => {
                self.revision(receipt, Some(number))?;
                let message =
                    format!("revision {number} was superseded by revision {}", newest.made.revision);
                let hint = format!("`git receipt diff {}` shows the newer one", receipt.id);
                Err(UserError { message, hint: Some(hint), code: 3 }.into())
            }
            _ => Ok(newest),
        }
    }
}

/// Runs `accept`.
///
/// # Errors
/// When there is no such line, it landed before, or what is to land does not fit; nothing is signed then.
pub fn accept(ctx: &Context, args: &AcceptArgs) -> anyhow::Result<Accepted> {
    ctx.check_recording()?;
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let target = picture.target(ctx, &args.receipt)?;
    let receipt = picture.receipt(target.receipt)?;
    let proposal = picture.current(receipt, args.landing.revision)?;
    let me = trust.principal_of(ctx.person()?.id());
    let loaded = ctx.load(&proposal.made)?;
    ctx.check(&loaded)?;
    let (lines, path) = (args.which.lines.as_deref(), args.which.path.as_deref());
    let chosen = ctx.selected(&receipt.id.to_string(), &loaded.table, lines, path)?;
    let whole = chosen.is_none();
    let lines = match chosen {
        Some(lines) => lines,
        None => {
            let open = LineSet::run(1, proposal.made.lines.count).minus(&proposal.lines.rejected);
            open.minus(&proposal.lines.applied).minus(&proposal.accepted_by(&me))
        }
    };
    check_undecided(receipt, proposal, &lines)?;
    let after = proposal.after(&me, true, &lines);
    let still = lines.common(&after.rejected);
    if !still.is_empty() {
        ctx.notice(format!("lines {still} stay rejected: somebody else refuses them"));
    }
    let drafts = drafts(receipt, proposal, true, &lines, args.which.message.as_deref());
    let pending = after.pending(proposal.made.lines.count);
    let lands = whole || args.apply;
    if lands && after.accepted.is_empty() {
        let hint = format!("`git receipt show {} --lines` says what became of each line", receipt.id);
        return Err(user_error(format!("receipt `{}` has no line left to accept", receipt.id), hint));
    }
    let landed = if lands {
        let request = Request {
            picture: &picture,
            receipt,
            proposal,
            loaded: &loaded,
            accepted: after.accepted.clone(),
            pending: pending.clone(),
            partial: false,
            stage: false,
            args: &args.landing,
        };
        Some(request.land(ctx, drafts)?.0)
    } else {
        ctx.append_decision(ctx.person()?, (&picture, receipt.id), drafts, &mut Alone)?;
        None
    };
    let now = landed.iter().flat_map(|landed| LineSet::from_user(&landed.lines));
    let applied = now.fold(after.applied, |all, lines| all.union(&lines));
    Ok(Accepted(Decided {
        receipt: receipt.id.to_string(),
        revision: proposal.made.revision,
        accepts: true,
        lines: lines.to_string(),
        principal: me,
        pending: pending.to_string(),
        accepted: after.accepted.minus(&applied).to_string(),
        rejected: after.rejected.to_string(),
        applied: applied.to_string(),
        landed,
    }))
}

/// Runs `reject`.
///
/// # Errors
/// When there is no such line, or it landed before.
pub fn reject(ctx: &Context, args: &RejectArgs) -> anyhow::Result<Rejected> {
    ctx.check_recording()?;
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let target = picture.target(ctx, &args.receipt)?;
    let receipt = picture.receipt(target.receipt)?;
    let proposal = picture.current(receipt, args.revision)?;
    let me = trust.principal_of(ctx.person()?.id());
    let loaded = ctx.load(&proposal.made)?;
    let (lines, path) = (args.which.lines.as_deref(), args.which.path.as_deref());
    let chosen = ctx.selected(&receipt.id.to_string(), &loaded.table, lines, path)?;
    let lines = chosen.unwrap_or_else(|| proposal.pending());
    if lines.is_empty() {
        let hint = "name lines with `--lines` to change a decision";
        return Err(user_error(format!("receipt `{}` has no line pending", receipt.id), hint));
    }
    check_undecided(receipt, proposal, &lines)?;
    let drafts = drafts(receipt, proposal, false, &lines, args.which.message.as_deref());
    ctx.append_decision(ctx.person()?, (&picture, receipt.id), drafts, &mut Alone)?;
    let after = proposal.after(&me, false, &lines);
    Ok(Rejected(Decided {
        receipt: receipt.id.to_string(),
        revision: proposal.made.revision,
        accepts: false,
        lines: lines.to_string(),
        principal: me,
        pending: after.pending(proposal.made.lines.count).to_string(),
        accepted: after.accepted.to_string(),
        rejected: after.rejected.to_string(),
        applied: after.applied.to_string(),
        landed: None,
    }))
}

impl Receipt {
    /// Refuses a stranger's proposal: what is decided about it would count nowhere.
    ///
    /// # Errors
    /// Exit code 4, naming the key.
    pub fn check_known(&self) -> anyhow::Result<()> {
        if self.known {
            return Ok(());
        }
        let message =
            format!("receipt `{}` was opened by `{}`, a key that is not listed", self.id, self.owner);
        let hint = "`git receipt key trust` lists a key, once you know whose it is";
        Err(UserError { message, hint: Some(hint.into()), code: 4 }.into())
    }
}

/// Refuses lines that landed, and a stranger's proposal.
fn check_undecided(receipt: &Receipt, proposal: &ProposalState, lines: &LineSet) -> anyhow::Result<()> {
    receipt.check_known()?;
    let landed = lines.common(&proposal.lines.applied);
    if !landed.is_empty() {
        return Err(user_error(
            format!("lines {landed} landed already"),
            format!("`git receipt rollback {} --lines {landed}` takes them back", receipt.id),
        ));
    }
    Ok(())
}

/// A decision as entries: one for each part of a selection that one can hold.
pub(super) fn drafts(
    receipt: &Receipt,
    proposal: &ProposalState,
    accepts: bool,
    lines: &LineSet,
    reason: Option<&str>,
) -> Vec<Draft> {
    let parts = lines.in_parts(RANGES).into_iter();
    let title = |lines: &LineSet| {
        let text = lines.to_string();
        if text.len() <= 40 { format!("lines {text}") } else { format!("{} lines", lines.len()) }
    };
    let fact = |decided| if accepts { Fact::LinesAccepted(decided) } else { Fact::LinesRejected(decided) };
    parts
        .map(|lines| {
            let title = title(&lines);
            let reason = reason.map(str::to_owned);
            let decided = LinesDecided { proposal: proposal.entry, lines, reason };
            Draft::new(Some(receipt.id), &title, fact(decided)).citing(proposal.entry)
        })
        .collect()
}
