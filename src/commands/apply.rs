//! `git receipt apply`, and what `accept` shares with it: accepted lines become one commit.

use std::collections::BTreeSet;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::landing::{self, Commission, Story, message_of};
use super::plan::Plan;
use super::proposal::{Loaded, newest_of_each_chain};
use super::verify::Picture;
use super::{Context, Report, UserError, user_error};
use crate::domain::chain::Link;
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Change, FileChange, LinesApplied, Money, Placed, TreeAt};
use crate::domain::fact::values::{Amount, GitPath, LineSet};
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{Digest, EntryRef, Oid};
use crate::domain::invisible::is_invisible;
use crate::store::{Alone, Appended, Ident, OpenReceipt, Settled, StoreError};

/// How many ranges of lines, and how many citations, stand in one entry.
pub(super) const RANGES: usize = 1_500;
const CITATIONS: usize = 80;

/// Land accepted lines as one commit on the current branch
///
/// Refused while lines are pending, unless `--partial`. Where HEAD has moved since the proposal, each line is placed by
/// its surroundings; lines that no longer fit are named, and left out with `--partial`. Local edits elsewhere stay.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    /// Land what is accepted and fits, and leave the rest
    #[arg(long)]
    pub partial: bool,
    /// Put it into index and working tree without committing
    #[arg(long)]
    pub stage: bool,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub landing: LandingArgs,
}

/// What `apply` and `accept` have alike.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LandingArgs {
    /// Pass by the `pre-commit` and `commit-msg` hooks
    #[arg(long)]
    pub no_verify: bool,
    /// What the acceptance is charged, as `0.25 USD`
    #[arg(long, value_name = "AMOUNT")]
    pub cost: Option<String>,
    /// Refuse if this is no longer the newest revision
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
}

/// What landed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Applied {
    /// The receipt.
    pub receipt: String,
    /// The new commit; none with `--stage`, or where there was nothing left to do.
    pub commit: Option<String>,
    /// The tree.
    pub tree: String,
    /// The branch that it is on.
    pub branch: Option<String>,
    /// The lines that landed.
    pub lines: String,
    /// Lines whose effect was there already.
    pub already: String,
    /// Lines that no longer fit.
    pub conflicted: String,
    /// Lines that nobody has decided about.
    pub pending: String,
    /// Whether lines had to be placed, as the base had moved.
    pub placed: bool,
    /// Whether it is only in index and working tree.
    pub staged: bool,
}

impl Report for Applied {
    const NAME: &'static str = "apply";
}

/// Runs the command.
///
/// # Errors
/// While lines are pending or conflict and `--partial` is not given; exit code 3 where local changes or a moved base
/// are in the way. Nothing is changed then.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Applied> {
    ctx.check_recording()?;
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let target = picture.target(ctx, &args.receipt)?;
    let receipt = picture.receipt(target.receipt)?;
    receipt.check_known()?;
    let proposal = picture.current(receipt, args.landing.revision)?;
    let loaded = ctx.load(&proposal.made)?;
    let pending = proposal.pending();
    if !pending.is_empty() && !args.partial {
        return Err(user_error(
            format!("lines {pending} are pending"),
            format!(
                "accept or reject them, or `git receipt apply {} --partial` lands the others",
                receipt.id
            ),
        ));
    }
    if proposal.lines.accepted.is_empty() {
        let message = match proposal.lines.applied.is_empty() {
            true => "no line is accepted".to_owned(),
            false => format!("lines {} landed, and no other is accepted", proposal.lines.applied),
        };
        return Err(user_error(message, format!("`git receipt accept {}` accepts lines", receipt.id)));
    }
    let request = Request {
        picture: &picture,
        receipt,
        proposal,
        loaded: &loaded,
        accepted: proposal.lines.accepted.clone(),
        pending,
        partial: args.partial,
        stage: args.stage,
        args: &args.landing,
    };
    request.land(ctx, Vec::new()).map(|(applied, _)| applied)
}

/// Accepted lines that are to land.
pub(super) struct Request<'a> {
    pub picture: &'a Picture,
    pub receipt: &'a Receipt,
    pub proposal: &'a ProposalState,
    pub loaded: &'a Loaded,
    /// The lines, with those that are being accepted in the same transaction.
    pub accepted: LineSet,
    pub pending: LineSet,
    pub partial: bool,
    pub stage: bool,
    pub args: &'a LandingArgs,
}

impl Request<'_> {
    /// Lands the lines, with `decisions` signed before in the same transaction.
    pub(super) fn land(
        &self,
        ctx: &Context,
        decisions: Vec<Draft>,
    ) -> anyhow::Result<(Applied, Vec<Appended>)> {
        let cost = self.args.cost.as_deref().map(parse_cost).transpose()?;
        let site = ctx.site()?;
        let parent = &site.parent;
        let wanted = (&self.accepted, parent);
        let plan = Plan::best(ctx, self.picture, self.receipt, self.proposal, self.loaded, wanted)?;
        if self.stage && ctx.store.work_dir().is_none() {
            return Err(StoreError::Bare.into());
        }
        self.check(&plan, !decisions.is_empty())?;
        let mut applied = Applied {
            receipt: self.receipt.id.to_string(),
            commit: None,
            tree: plan.tree.to_hex(),
            branch: site.head.branch.as_deref().map(super::open::short),
            lines: plan.lines.to_string(),
            already: plan.already.to_string(),
            conflicted: plan.conflicted().to_string(),
            pending: self.pending.to_string(),
            placed: plan.placed.is_some(),
            staged: self.stage,
        };
        if plan.lines.is_empty() {
            // The effect of every accepted line is there: nothing to land, but what was decided is still said.
            let entries = match decisions.is_empty() {
                true => Vec::new(),
                false => {
                    ctx.append_decision(
                        ctx.person()?,
                        (self.picture, self.receipt.id),
                        decisions,
                        &mut Alone,
                    )?
                    .entries
                }
            };
            return Ok((applied, entries));
        }
        let settled = self.settled(ctx, parent, &plan)?;
        if self.stage {
            ctx.stage(&site, plan.tree, &settled)?;
            ctx.note_for_binding(self.receipt, (parent.tree, plan.tree))?;
            return Ok((applied, Vec::new()));
        }
        let commission = Commission {
            receipt: self.receipt.id,
            command: "apply",
            tree: plan.tree,
            message: message_of(&self.proposal.made.summary, "A proposed change"),
            no_verify: self.args.no_verify,
            author: self.author()?,
            if_hook_changes: format!(
                "`git receipt revise {}` proposes what the hook would have it be",
                self.receipt.id
            ),
            settled: &settled,
        };
        let mut story = Landed { ctx, request: self, plan: &plan, parent, cost, decisions: Vec::new() };
        let about = (self.picture, self.receipt.id);
        let (commit, entries) =
            landing::land(ctx, ctx.person()?, about, (&site, commission), decisions, &mut story)?;
        applied.commit = Some(commit.to_hex());
        Ok((applied, entries))
    }

    /// Refuses what does not fit, unless only what fits was asked for.
    fn check(&self, plan: &Plan, deciding: bool) -> anyhow::Result<()> {
        if plan.conflicts.is_empty() || self.partial && !(plan.lines.is_empty() && plan.already.is_empty()) {
            return Ok(());
        }
        let causes: Vec<String> = plan.conflicts.iter().map(ToString::to_string).collect();
        let hint = match self.partial {
            true => "`git receipt revise` proposes them anew on what is there now".to_owned(),
            false if deciding && plan.lines.is_empty() => {
                "nothing was signed; `git receipt revise` proposes them anew on what is there now".to_owned()
            }
            false if deciding => format!(
                "nothing was signed; `git receipt accept {} --lines {} --apply` takes those that fit",
                self.receipt.id, plan.lines
            ),
            false => format!(
                "`git receipt apply {0} --partial` leaves them out, `git receipt preview {0}` shows them",
                self.receipt.id
            ),
        };
        let message = format!("lines {} no longer fit: {}", plan.conflicted(), causes.join("; "));
        Err(UserError { message, hint: Some(hint), code: 3 }.into())
    }

    /// Files of the working tree that are as the proposal would have them: there they stay so, and what was not
    /// accepted of them is a local change.
    fn settled(&self, ctx: &Context, parent: &TreeAt, plan: &Plan) -> anyhow::Result<Vec<Settled>> {
        if ctx.store.work_dir().is_none() {
            return Ok(Vec::new());
        }
        let (before, after) = ctx.store.changed_files(parent.tree, plan.tree)?;
        let paths: BTreeSet<&GitPath> = before.keys().chain(after.keys()).collect();
        let staged = ctx.store.staged_files(&paths)?;
        let there = ctx.store.worktree_files(paths)?;
        let proposed = |path: &GitPath| {
            let about = self.loaded.base.contains_key(path) || self.loaded.proposed.contains_key(path);
            about.then(|| self.loaded.proposed.get(path).copied())
        };
        let as_proposed = there.into_iter().filter(|(path, file)| {
            let (was, is) = (before.get(path).copied(), after.get(path).copied());
            // What is staged and neither the one nor the other is work that only the index has.
            let kept = staged.get(path).copied();
            let untouched = kept == was || kept == is || Some(kept) == proposed(path);
            proposed(path) == Some(*file) && *file != was && untouched
        });
        Ok(as_proposed.map(|(path, _)| Settled { entry: after.get(&path).copied(), path }).collect())
    }

    /// Who proposed it, as the chain of the proposal says.
    fn author(&self) -> anyhow::Result<Ident> {
        // Along the first parents of the proposal itself: others may say that they opened a chain of this name.
        let opening = self.picture.history.first_parents(self.proposal.commit).last();
        let opened = opening.and_then(|link| link.entry.as_ref()).filter(|entry| entry.signed);
        let ident = opened.and_then(|entry| match &entry.body.fact {
            Fact::ChainOpened(opened) => Some((opened.name.clone(), opened.email.clone())),
            _ => None,
        });
        let (name, email) = ident.context("the proposal's chain has no opening")?;
        let made = self.picture.link(&self.proposal.commit).and_then(|link: &Link| link.entry.as_ref());
        let clean = |text: &str| -> String {
            crate::domain::commit::clean_ident(text).chars().filter(|c| !is_invisible(*c)).collect()
        };
        let (name, email) = (clean(&name), clean(&email));
        let name = if name.is_empty() { email.clone() } else { name };
        Ok(Ident { name, email, time: made.map(|entry| entry.body.time) })
    }
}

/// The entries about a landing: the decisions that it counts, and what landed.
struct Landed<'a> {
    ctx: &'a Context,
    request: &'a Request<'a>,
    plan: &'a Plan,
    parent: &'a TreeAt,
    cost: Option<Money>,
    /// Every decision that it counts.
    decisions: Vec<EntryRef>,
}

impl Story for Landed<'_> {
    fn named(&mut self, before: &[Appended]) -> Result<EntryRef, StoreError> {
        let proposal = self.request.proposal;
        let decided = proposal.decisions_for(&self.plan.lines);
        self.decisions = decided.into_iter().map(|decided| decided.entry).collect();
        self.decisions.extend(before.iter().map(|appended| appended.entry));
        self.decisions.dedup();
        Ok(self.decisions.last().copied().unwrap_or(proposal.entry))
    }

    fn told(&mut self, commit: Oid) -> Result<Vec<Draft>, StoreError> {
        let (store, request, decisions) = (&self.ctx.store, self.request, &self.decisions);
        let proposal = request.proposal;
        let placed = match &self.plan.placed {
            Some(bytes) => Some(Placed { digest: Digest::of(bytes), oid: store.write_blob(bytes)? }),
            None => None,
        };
        let conflicted = self.plan.conflicted();
        let fact = |decisions: &[EntryRef], lines: LineSet| LinesApplied {
            proposal: proposal.entry,
            decisions: decisions.to_vec(),
            lines,
            commit,
            parent: self.parent.commit,
            tree: self.plan.tree,
            placed: placed.clone(),
            conflicted: None,
            cost: None,
        };
        // Lists that one entry cannot hold are stated in several, all of the one commit.
        let mut facts: Vec<LinesApplied> = Vec::new();
        let mut left = self.plan.lines.clone();
        for (index, part) in decisions.chunks(CITATIONS).enumerate() {
            let last = (index + 1) * CITATIONS >= decisions.len();
            let lines = if last { left.clone() } else { left.common(&self.lines_of(part)) };
            left = left.minus(&lines);
            facts.extend(lines.in_parts(RANGES).into_iter().map(|lines| fact(part, lines)));
        }
        if let Some(first) = facts.first_mut() {
            first.cost.clone_from(&self.cost);
            first.conflicted = conflicted.in_parts(RANGES / 2).into_iter().next();
        }
        let title = &proposal.made.summary;
        // What landed before is what this lands on.
        let earlier = newest_of_each_chain(proposal.applications.iter().copied());
        Ok(facts
            .into_iter()
            .map(|fact| {
                let cites: Vec<EntryRef> = std::iter::once(proposal.entry)
                    .chain(fact.decisions.iter().copied())
                    .chain(earlier.iter().copied())
                    .collect();
                let draft = Draft::new(Some(request.receipt.id), title, Fact::LinesApplied(fact));
                cites.into_iter().fold(draft, Draft::citing)
            })
            .collect())
    }
}

impl Landed<'_> {
    /// The lines that some of the decisions accept.
    fn lines_of(&self, decisions: &[EntryRef]) -> LineSet {
        let made = self.request.proposal.decisions.iter();
        let counted = made.filter(|decided| decided.accepts && decisions.contains(&decided.entry));
        counted.fold(LineSet::default(), |all, decided| all.union(&decided.lines))
    }
}

impl Context {
    /// Tells the hook that binds commits which files of a receipt are waiting for one.
    pub(super) fn note_for_binding(&self, receipt: &Receipt, (from, to): (Oid, Oid)) -> anyhow::Result<()> {
        let store = &self.store;
        store.note_touched(receipt.id, &changes(self, from, to)?)?;
        if store.recent_receipts().iter().all(|known| known.receipt != receipt.id) {
            store.note_opened(OpenReceipt {
                receipt: receipt.id,
                opened: receipt.opened,
                owner: receipt.owner.clone(),
                worktree: store.worktree_id(),
                session: None,
                // Nothing more joins it; only its commit is still to come.
                closed: Some(self.now),
                staged: None,
            })?;
        }
        Ok(())
    }
}

/// The files in which two trees differ, as a receipt states them.
fn changes(ctx: &Context, from: Oid, to: Oid) -> anyhow::Result<Vec<FileChange>> {
    let changed = ctx.store.tree_changes(from, to)?;
    let fact = |change: crate::store::TreeChange| FileChange {
        path: GitPath::new(change.path),
        change: change.change,
        before: change.before,
        after: change.after.filter(|_| change.change != Change::Deleted),
    };
    Ok(changed.into_iter().map(fact).collect())
}

/// Reads `0.25 USD`.
fn parse_cost(text: &str) -> anyhow::Result<Money> {
    let wrong = || user_error(format!("`{text}` is no amount of money"), "write it as `0.25 USD`");
    let (amount, currency) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let amount = Amount::try_from(amount.to_owned()).map_err(|_| wrong())?;
    let code = currency.trim();
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(wrong());
    }
    Ok(Money { amount, currency: code.to_owned() })
}
