//! `git receipt review`: what a reviewer has before them, and signing what they say. How they say it is up to `cli`.

mod fork;
mod surroundings;

use schemars::JsonSchema;
use serde::Serialize;

use super::decide::drafts;
use super::lines_view::{FileView, view};
use super::proposal::lines_error;
use super::{Context, Report, UserError, user_error};
use crate::domain::fact::values::LineSet;
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{EntryRef, ReceiptId};
use crate::domain::review::Verdicts;
use crate::store::Alone;
use fork::{Fork, fork};
pub use surroundings::{Beside, Surroundings};

/// Go through a proposal line by line on the terminal, and sign all decisions at the end
///
/// Keys are those of `git add -p`: y and n for a line, a and d for a file, e for another text, ? for the others.
/// `ACCESSIBLE=1` asks line by line in plain text instead of drawing a screen.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    /// Why
    #[arg(short = 'm', long = "message", value_name = "WHY")]
    pub message: Option<String>,
    /// Refuse if this is no longer the newest revision
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
}

/// A proposal before a reviewer.
#[derive(Debug)]
pub struct Sitting {
    /// The receipt.
    pub receipt: ReceiptId,
    /// The entry that proposes it.
    pub entry: EntryRef,
    /// Which revision.
    pub revision: u64,
    /// The change in a few words.
    pub summary: String,
    /// Its files, each with its lines and what is signed about them.
    pub files: Vec<FileView>,
    /// For each of them, the unchanged lines around.
    pub around: Vec<Surroundings>,
    /// The lines that nobody has decided about.
    pub pending: LineSet,
    /// What was said before and not signed.
    pub kept: Option<Verdicts>,
    /// The decisions that stood when this began.
    pub decisions: Vec<EntryRef>,
}

/// What became of what the reviewer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It is signed.
    Signed,
    /// It is forgotten.
    Discarded,
    /// It is kept for the next review, unsigned.
    Kept,
    /// There was nothing new to sign.
    Unchanged,
}

/// What came of a review.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reviewed {
    /// The receipt.
    pub receipt: String,
    /// Which revision.
    pub revision: u64,
    /// What became of what the reviewer said.
    pub ending: Ending,
    /// The lines accepted now.
    pub accepted: String,
    /// The lines rejected now, those that were edited among them.
    pub rejected: String,
    /// The lines that were edited.
    pub edited: String,
    /// The receipt that proposes the edited text.
    pub fork: Option<Forked>,
    /// Lines pending now.
    pub pending: String,
    /// The exit code: more than 0 where a signal ended the review.
    #[serde(skip)]
    pub code: u8,
}

/// A receipt of the reviewer's own.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Forked {
    /// Its id.
    pub receipt: String,
    /// How many numbers its proposal gives out.
    pub count: u64,
}

impl Report for Reviewed {
    const NAME: &'static str = "review";

    fn exit_code(&self) -> u8 {
        self.code
    }
}

/// Reads the proposal that shall be reviewed.
///
/// # Errors
/// When there is none, it cannot be read, or it is a stranger's.
pub fn begin(ctx: &Context, args: &Args) -> anyhow::Result<Sitting> {
    ctx.check_recording()?;
    // A key that cannot be used is better known before the work than after it.
    ctx.person()?;
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let target = picture.target(ctx, &args.receipt)?;
    let receipt = picture.receipt(target.receipt)?;
    receipt.check_known()?;
    let proposal = picture.current(receipt, args.revision)?;
    let loaded = ctx.load(&proposal.made)?;
    ctx.check(&loaded)?;
    let states = Some(&proposal.lines);
    let files =
        view(&loaded.table, &loaded.base, &loaded.proposed, &ctx.store, None, states).map_err(lines_error)?;
    let around = loaded.table.files().iter().map(|file| {
        let base = file.base_path().and_then(|path| loaded.base.get(path));
        Surroundings::of(file, base, &ctx.store)
    });
    let around = around.collect::<Result<_, _>>().map_err(lines_error)?;
    tell_superseded(ctx, receipt, proposal)?;
    let kept = kept(ctx, proposal, &files);
    Ok(Sitting {
        receipt: receipt.id,
        entry: proposal.entry,
        revision: proposal.made.revision,
        summary: proposal.made.summary.clone(),
        files,
        around,
        pending: proposal.pending(),
        kept,
        decisions: proposal.decisions.iter().map(|decided| decided.entry).collect(),
    })
}

/// Says where unsigned decisions are about an earlier revision: they stand for nothing in this one.
fn tell_superseded(ctx: &Context, receipt: &Receipt, newest: &ProposalState) -> anyhow::Result<()> {
    for earlier in receipt.proposals.iter().filter(|proposal| proposal.superseded_by.is_some()) {
        if ctx.store.unsigned(&earlier.entry.digest)?.is_some() {
            (ctx.warn)(&format!(
                "unsigned decisions about revision {} are not taken up: revision {} took its place",
                earlier.made.revision, newest.made.revision
            ));
        }
    }
    Ok(())
}

/// What was said before about this very proposal, as far as it can still be said.
fn kept(ctx: &Context, proposal: &ProposalState, files: &[FileView]) -> Option<Verdicts> {
    let ignored = |problem: String| {
        (ctx.warn)(&format!("unsigned decisions that were kept cannot be used: {problem}"));
        None
    };
    let bytes = match ctx.store.unsigned(&proposal.entry.digest) {
        Ok(bytes) => bytes?,
        Err(error) => return ignored(error.to_string()),
    };
    if !ctx.store.kept_by_us(&bytes) {
        return ignored("nothing in your configuration folder says that they are yours".into());
    }
    let lines = files.iter().flat_map(|file| &file.lines).filter(|line| line.may_be_edited());
    let editable = LineSet::from_numbers(lines.map(|line| line.line));
    let read =
        Verdicts::read(&bytes, proposal.entry, proposal.made.lines.count, |line| editable.contains(line));
    let mut kept = match read {
        Ok(kept) => kept,
        Err(problem) => return ignored(problem),
    };
    let landed = kept.lines().common(&proposal.lines.applied);
    if !landed.is_empty() {
        (ctx.warn)(&format!("unsigned decisions about lines {landed} are left out: they landed meanwhile"));
        for line in landed.ranges().iter().flat_map(|(first, last)| *first..=*last) {
            kept.set(line, None);
        }
    }
    Some(kept).filter(|kept| !kept.is_empty())
}

/// Keeps what was said for the next review, unsigned.
///
/// # Errors
/// When it cannot be written.
pub fn keep(ctx: &Context, sitting: &Sitting, said: &Verdicts) -> anyhow::Result<()> {
    Ok(ctx.store.keep_unsigned(&sitting.entry.digest, &said.write(sitting.entry)?)?)
}

/// Sets aside what an earlier review kept and this one did not take up, so that keeping does not overwrite it.
///
/// # Errors
/// When it cannot be moved.
pub fn set_aside(ctx: &Context, sitting: &Sitting) -> anyhow::Result<()> {
    if let Some(path) = ctx.store.set_unsigned_aside(&sitting.entry.digest)? {
        ctx.notice(format!(
            "the decisions of the earlier review are set aside as `{}`: renamed to `{}.json` they are offered again",
            path.display(),
            sitting.entry.digest.to_hex()
        ));
    }
    Ok(())
}

/// Forgets what was said and kept.
///
/// # Errors
/// When it cannot be removed.
pub fn discard(ctx: &Context, sitting: &Sitting) -> anyhow::Result<()> {
    Ok(ctx.store.forget_unsigned(&sitting.entry.digest)?)
}

/// A review that ended without anything signed.
pub fn unsigned(sitting: &Sitting, ending: Ending, code: u8) -> Reviewed {
    Reviewed {
        receipt: sitting.receipt.to_string(),
        revision: sitting.revision,
        ending,
        accepted: String::new(),
        rejected: String::new(),
        edited: String::new(),
        fork: None,
        pending: sitting.pending.to_string(),
        code,
    }
}

/// Signs what was said, all of it in one transaction or nothing. What is not signed is kept.
///
/// # Errors
/// Exit code 3 when a newer revision appeared, or the lines are not as they were: nothing is signed then.
pub fn sign(ctx: &Context, args: &Args, sitting: &Sitting, said: &Verdicts) -> anyhow::Result<Reviewed> {
    // Before anything that can fail, so that a passphrase mistyped costs no decision.
    keep(ctx, sitting, said)?;
    ctx.store.set_now(ctx.env.now());
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let receipt = picture.receipt(sitting.receipt)?;
    receipt.check_known()?;
    let proposal = picture.current(receipt, Some(sitting.revision))?;
    let me = trust.principal_of(ctx.person()?.id());
    check_meanwhile(ctx, sitting, proposal, &me, &said.lines())?;

    let (yes, no) = proposal.said_by(&me);
    let edited = said.edited();
    let changed = LineSet::from_numbers(edited.keys().copied());
    let accepted = said.accepted().minus(&yes);
    let rejected = said.rejected().minus(&no);
    let fork = match edited.is_empty() {
        true => None,
        false => {
            let loaded = ctx.load(&proposal.made)?;
            ctx.check(&loaded)?;
            let refused = proposal.lines.rejected.minus(&said.accepted()).union(&said.rejected());
            Some(fork(ctx, proposal, &loaded, &edited, &refused.minus(&changed))?)
        }
    };
    let why = args.message.as_deref();
    let mut all = drafts(receipt, proposal, true, &accepted, why);
    all.extend(drafts(receipt, proposal, false, &rejected, why));
    if let Some(fork) = &fork {
        let mut reason = format!("edited in {}", fork.receipt);
        reason.extend(why.map(|why| format!(": {why}")));
        all.extend(drafts(receipt, proposal, false, &changed, Some(&reason)));
    }
    let fork = fork.map(|Fork { receipt, count, drafts }| {
        all.extend(drafts);
        Forked { receipt: receipt.to_string(), count }
    });
    let nothing = all.is_empty();
    if !nothing {
        ctx.append_decision(ctx.person()?, (&picture, receipt.id), all, &mut Alone)?;
    }
    forget(ctx, receipt);

    let rejected = rejected.union(&changed);
    let pending = proposal.pending().minus(&accepted).minus(&rejected);
    let refused = accepted.common(&proposal.lines.rejected.minus(&no));
    if !refused.is_empty() {
        ctx.notice(format!("lines {refused} stay rejected: somebody else refuses them"));
    }
    Ok(Reviewed {
        receipt: receipt.id.to_string(),
        revision: proposal.made.revision,
        ending: if nothing { Ending::Unchanged } else { Ending::Signed },
        accepted: accepted.to_string(),
        rejected: rejected.to_string(),
        edited: changed.to_string(),
        fork,
        pending: pending.to_string(),
        code: 0,
    })
}

/// Refuses where what the reviewer looked at is no longer so, and says what others decided meanwhile.
fn check_meanwhile(
    ctx: &Context,
    sitting: &Sitting,
    proposal: &ProposalState,
    me: &str,
    lines: &LineSet,
) -> anyhow::Result<()> {
    let moved = |message: String| {
        let hint = format!("nothing is signed; `git receipt review {}` shows how it stands", sitting.receipt);
        anyhow::Error::from(UserError { message, hint: Some(hint), code: 3 })
    };
    if proposal.entry != sitting.entry {
        return Err(moved(format!("another proposal took the place of revision {}", sitting.revision)));
    }
    let landed = lines.common(&proposal.lines.applied);
    if !landed.is_empty() {
        return Err(moved(format!("lines {landed} landed meanwhile")));
    }
    let news = proposal.decisions.iter().filter(|decided| !sitting.decisions.contains(&decided.entry));
    for decided in news {
        let touched = lines.common(&decided.lines);
        if touched.is_empty() {
            continue;
        }
        let word = if decided.accepts { "accepted" } else { "rejected" };
        if decided.principal == me {
            return Err(moved(format!("your own key {word} lines {touched} meanwhile")));
        }
        ctx.notice(format!("{} {word} lines {touched} meanwhile", decided.principal));
    }
    Ok(())
}

/// Forgets what was kept about any revision of a receipt, now that there is something signed.
fn forget(ctx: &Context, receipt: &Receipt) {
    for proposal in &receipt.proposals {
        if let Err(error) = ctx.store.forget_unsigned(&proposal.entry.digest) {
            ctx.notice(format!("decisions are signed, and what was kept of them stays: {error}"));
        }
    }
}

/// The error where there is nobody to ask.
pub fn no_terminal(args: &Args) -> anyhow::Error {
    user_error(
        "a review needs a terminal for standard input and output",
        format!(
            "`git receipt accept {0} --lines S` and `git receipt reject {0} --lines S` decide without one, \
             `ACCESSIBLE=1` asks in plain text",
            args.receipt
        ),
    )
}
