//! `git receipt propose` and `git receipt revise`

use std::collections::BTreeMap;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::proposal::{newest_of_each_chain, sensitive_marks};
use super::sources::{Proposed, Source};
use super::target::Target;
use super::verify::Picture;
use super::{Context, Report, user_error};
use crate::domain::entry::{Body, Draft};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Agent, Base, LineTable, Proposal, ReceiptOpened};
use crate::domain::fact::values::Replaced;
use crate::domain::ids::{Digest, EntryRef, ReceiptId};
use crate::domain::lines::{self, Change};
use crate::store::Alone;
use crate::store::keys::Signer;

/// Propose a change as numbered lines that people accept or refuse one by one
///
/// Prints the receipt's id alone. Without a source it is the working tree, tracked and new files, against HEAD. The
/// working tree stays as it is. Opens a receipt of its own unless one is open here or named.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The change in a few words
    #[arg(short = 'm', long = "message", value_name = "S")]
    pub message: Option<String>,
    /// The receipt; the newest open one of this worktree if left out
    #[arg(long, value_name = "R")]
    pub receipt: Option<String>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub source: Source,
}

/// Propose something else in a proposal's place, from the same sources
///
/// Decisions stand where the operations around a line are the same as before; everything else is to be decided anew.
#[derive(Debug, Clone, clap::Args)]
pub struct ReviseArgs {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    /// The change in a few words; as before if left out
    #[arg(short = 'm', long = "message", value_name = "S")]
    pub message: Option<String>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub source: Source,
}

/// What is proposed now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Made {
    /// The receipt.
    pub receipt: String,
    /// Which revision, from 1.
    pub revision: u64,
    /// The chain of the entry.
    pub chain: String,
    /// Its place there.
    pub seq: u64,
    /// The commit that the change is against.
    pub base: String,
    /// The tree that all lines give.
    pub tree: String,
    /// How many numbers there are.
    pub count: u64,
    /// Files touched.
    pub files: u64,
    /// Files that deserve a second look, each with why.
    pub sensitive: BTreeMap<String, Vec<String>>,
    /// Files that look secret.
    pub secret: Vec<String>,
}

impl Report for Made {
    const NAME: &'static str = "propose";
}

/// What `revise` did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Revised(pub Made);

impl Report for Revised {
    const NAME: &'static str = "revise";
}

/// Runs `propose`.
///
/// # Errors
/// When there is nothing to propose, it leads where nobody may write, or the receipt cannot take a proposal.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Made> {
    ctx.check_recording()?;
    let named = args.receipt.is_some() || ctx.env.var("GIT_RECEIPT_ID").is_some();
    let target = match named {
        true => Some(ctx.joined(args.receipt.as_deref())?),
        false => ctx.newest_usable().map(|open| Target { receipt: open.receipt, opened: open.opened }),
    };
    let (mut picture, mut owner) = (None, ctx.recorder()?);
    if let Some(target) = target {
        owner = ctx.owner_of(target)?;
        let trust = ctx.trust(None).or_else(|_| ctx.machine_trust())?;
        let read = picture.insert(ctx.picture(&trust)?);
        if let Some(there) = read.folded.receipt(target.receipt).and_then(|receipt| receipt.proposals.last())
        {
            let hint = format!(
                "`git receipt revise {0}` replaces it, `git receipt close {0}` makes room for another receipt",
                target.receipt
            );
            let number = there.made.revision;
            let message =
                format!("receipt `{}` proposes a change already, revision {number}", target.receipt);
            return Err(user_error(message, hint));
        }
    }
    let proposed = ctx.proposed(&args.source)?;
    let summary = args.message.clone().unwrap_or_else(|| summary_of(&proposed));
    let drafting = Drafting::new(ctx, &proposed)?;
    let agent = match target {
        Some(target) => ctx.agent_of(target.opened)?,
        None => None,
    };
    let fact = Fact::ProposalMade(drafting.fact(1, None, summary.clone(), agent));
    let into = match target {
        Some(target) => Into::There(target, Vec::new()),
        None => {
            let (receipt, opening) = own_receipt(ctx, &proposed, &summary, None)?;
            Into::Own(receipt, Box::new(opening), Vec::new())
        }
    };
    drafting.finish(ctx, (owner, into), picture.as_ref(), fact, &args.source)
}

/// Runs `revise`.
///
/// # Errors
/// As [`run`], and when the receipt proposes nothing or is somebody else's.
pub fn revise(ctx: &Context, args: &ReviseArgs) -> anyhow::Result<Revised> {
    ctx.check_recording()?;
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let target = picture.target(ctx, &args.receipt)?;
    let receipt = picture.receipt(target.receipt)?;
    let owner = ctx.owner(target, &receipt.owner)?;
    let before = picture.proposal(receipt)?;
    let proposed = ctx.proposed(&args.source)?;
    if proposed.tree == before.made.tree && proposed.base.tree == before.made.base.tree {
        return Err(user_error(
            format!("revision {} proposes exactly this", before.made.revision),
            "change something first",
        ));
    }
    let summary = args.message.clone().unwrap_or_else(|| before.made.summary.clone());
    let drafting = Drafting::new(ctx, &proposed)?;
    let replaced = Some(before.entry);
    let fact = drafting.fact(before.made.revision + 1, replaced, summary, before.made.agent.clone());
    let seen = newest_of_each_chain(before.decisions.iter().map(|decided| decided.entry));
    let into = Into::There(target, seen);
    let fact = Fact::ProposalRevised(fact);
    drafting.finish(ctx, (owner, into), Some(&picture), fact, &args.source).map(Revised)
}

/// Proposes a tree in a receipt of its own, with entries behind it that say more.
///
/// # Errors
/// As [`run`].
pub(super) fn as_proposal(
    ctx: &Context,
    proposed: &Proposed,
    summary: &str,
    also: &dyn Fn(ReceiptId) -> Vec<Draft>,
) -> anyhow::Result<Made> {
    let drafting = Drafting::new(ctx, proposed)?;
    let fact = Fact::ProposalMade(drafting.fact(1, None, summary.to_owned(), None));
    let (receipt, opening) = own_receipt(ctx, proposed, summary, None)?;
    let into = Into::Own(receipt, Box::new(opening), also(receipt));
    drafting.finish(ctx, (ctx.recorder()?, into), None, fact, &Source::default())
}

/// A proposal that is worked out and not yet signed.
pub(super) struct Drafting<'a> {
    proposed: &'a Proposed,
    lines: LineTable,
    target: Option<String>,
    sensitive: BTreeMap<String, Vec<String>>,
    secret: Vec<String>,
}

impl<'a> Drafting<'a> {
    /// Works out the lines, holds them against both trees, and warns of what deserves a look before it is signed.
    pub(super) fn new(ctx: &Context, proposed: &'a Proposed) -> anyhow::Result<Self> {
        let (base, after) = ctx.store.changed_files(proposed.base.tree, proposed.tree)?;
        let refused = |error: lines::LinesError| {
            user_error(
                format!("the change cannot be proposed: {error}"),
                "leave out what nobody may write, or name other files",
            )
        };
        let table = lines::diff(&base, &after, &ctx.store).map_err(refused)?;
        let change = Change::check(&table, &base, &after, &ctx.store).map_err(refused)?;
        let edits = lines::apply(&change, &table.all(), &ctx.store).map_err(refused)?;
        if ctx.store.id_of_edits(proposed.base.tree, &edits)? != proposed.tree {
            return Err(user_error(
                "the change cannot be proposed: its tree is not in the one form that git writes",
                "`git fsck` says what is wrong with it",
            ));
        }
        ctx.check_case(proposed.base.tree, proposed.tree)?;
        let secret: Vec<String> =
            ctx.secret_files(ctx.redactor()?, &base, &after).iter().map(ToString::to_string).collect();
        for path in &secret {
            (ctx.warn)(&format!("`{path}` looks secret, and reviewers get the whole proposal"));
        }
        if ctx.store.is_ahead_of_remotes(proposed.base.commit)? {
            ctx.notice(
                "the base has commits that no remote has; `git receipt push` sends its files along with the proposal",
            );
        }
        let sensitive = sensitive_marks(&table, &after);
        for (path, reasons) in &sensitive {
            (ctx.warn)(&format!("`{path}` is sensitive: {}", reasons.join(", ")));
        }
        let bytes = table.write()?;
        let oid = ctx.store.write_blob(&bytes)?;
        let counts = table.counts();
        let lines = LineTable {
            digest: Digest::of(&bytes),
            oid,
            count: counts.count,
            added: counts.added,
            removed: counts.removed,
            mutated: counts.mutated,
            moved: counts.moved,
            files: counts.files,
        };
        Ok(Drafting { proposed, lines, target: ctx.store.head()?.branch, sensitive, secret })
    }

    /// The proposal as it is stated.
    pub(super) fn fact(
        &self,
        revision: u64,
        replaces: Option<EntryRef>,
        summary: String,
        agent: Option<Agent>,
    ) -> Proposal {
        Proposal {
            revision,
            replaces: replaces.map(Replaced::Citation),
            base: self.proposed.base.clone(),
            tree: self.proposed.tree,
            target: self.target.clone(),
            lines: self.lines.clone(),
            algorithm: lines::ALGORITHM.to_owned(),
            summary,
            agent,
        }
    }

    fn finish(
        self,
        ctx: &Context,
        (owner, into): (&Signer, Into),
        picture: Option<&Picture>,
        fact: Fact,
        source: &Source,
    ) -> anyhow::Result<Made> {
        let (Fact::ProposalMade(made) | Fact::ProposalRevised(made)) = &fact else {
            anyhow::bail!("`{}` is no proposal", fact.kind());
        };
        let (title, revision) = (made.summary.clone(), made.revision);
        let replaced = made.replaces.as_ref().and_then(Replaced::citation);
        let (receipt, drafts) = match into {
            Into::There(target, seen) => {
                let mut draft = Draft::new(Some(target.receipt), &title, fact).citing(target.opened);
                for entry in replaced.into_iter().chain(seen) {
                    draft = draft.citing(entry);
                }
                (target.receipt, vec![draft])
            }
            Into::Own(receipt, opening, also) => {
                let made = Draft::new(Some(receipt), &title, fact);
                (receipt, [*opening, made].into_iter().chain(also).collect())
            }
        };
        let place = drafts
            .iter()
            .position(|draft| matches!(draft.fact, Fact::ProposalMade(_) | Fact::ProposalRevised(_)));
        let report = match picture {
            Some(picture) => ctx.append_decision(owner, (picture, receipt), drafts, &mut Alone)?,
            None => ctx.append(drafts)?,
        };
        let entry = place.and_then(|place| report.entries.get(place)).context("nothing was written")?.entry;
        if source.restore
            && let Err(error) = self.restore(ctx)
        {
            ctx.notice(format!("the proposal is made, and the files could not be put back: {error:#}"));
        }
        Ok(Made {
            receipt: receipt.to_string(),
            revision,
            chain: entry.chain.to_string(),
            seq: entry.seq,
            base: self.proposed.base.commit.to_hex(),
            tree: self.proposed.tree.to_hex(),
            count: self.lines.count,
            files: self.lines.files,
            sensitive: self.sensitive,
            secret: self.secret,
        })
    }
}

impl Drafting<'_> {
    /// Puts files back to the base that are still as they were proposed.
    fn restore(&self, ctx: &Context) -> anyhow::Result<()> {
        let now = ctx.store.worktree_files(&self.proposed.files)?;
        let mut same = Vec::new();
        for (path, file) in now {
            if file == ctx.store.file_in_tree(self.proposed.tree, &path)? {
                same.push(path);
            } else {
                ctx.notice(format!("`{path}` is not as it was proposed and stays"));
            }
        }
        Ok(ctx.store.restore_files(self.proposed.base.tree, &same)?)
    }
}

/// A few words where the person gave none.
fn summary_of(proposed: &Proposed) -> String {
    match proposed.files.as_slice() {
        [one] => format!("Change {one}"),
        [] => "A proposed change".to_owned(),
        several => format!("Change {} files", several.len()),
    }
}

/// The receipt that a proposal goes into.
enum Into {
    /// One that is there, and entries of others that the proposal builds on.
    There(Target, Vec<EntryRef>),
    /// One of its own, opened in the same transaction.
    /// What else is to be said stands behind the proposal.
    Own(ReceiptId, Box<Draft>, Vec<Draft>),
}

/// Prepares a receipt for a proposal that has none. Later commands do not join it by themselves: what comes after a
/// proposal is decisions.
pub(super) fn own_receipt(
    ctx: &Context,
    proposed: &Proposed,
    summary: &str,
    forked_from: Option<EntryRef>,
) -> anyhow::Result<(ReceiptId, Draft)> {
    let base = Base {
        commit: proposed.base.commit,
        tree: proposed.base.tree,
        branch: ctx.store.head()?.branch.map(|name| super::open::short(&name)),
        dirty: ctx.store.is_dirty()?,
    };
    let fact = ReceiptOpened {
        task_type: Some("proposal".into()),
        forked_from,
        ..ReceiptOpened::of(summary.to_owned(), summary, Some(base))
    };
    let receipt = ctx.store.new_receipt_id(ctx.store.now());
    let opening = Draft::new(Some(receipt), summary, Fact::ReceiptOpened(fact));
    Ok((receipt, forked_from.into_iter().fold(opening, Draft::citing)))
}

impl Context {
    /// Which agent a receipt was opened for.
    fn agent_of(&self, opened: EntryRef) -> anyhow::Result<Option<Agent>> {
        let commit = self.store.commit_of(opened)?;
        let bytes = self.store.commit_bytes(commit)?.context("the receipt's opening is not here")?;
        let Ok(layout) = crate::domain::commit::parse(&bytes) else { return Ok(None) };
        let read = Body::read(layout.body)?;
        Ok(match read.body.fact {
            Fact::ReceiptOpened(opened) => opened.agent,
            _ => None,
        })
    }
}
