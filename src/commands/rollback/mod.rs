//! `git receipt rollback`: what a receipt applied is taken back, or the files of a snapshot come back.

mod effects;
mod found;
mod restore;
mod standing;
mod undo;

use schemars::JsonSchema;
use serde::Serialize;

pub use self::effects::Effect;
pub use self::restore::Restored;
pub use self::standing::Rollbacks;
pub use self::undo::base_of;

use self::standing::View;
use self::undo::{Undoing, Wanted};
use super::evidence::Known;
use super::landing::{self, Commission, Role, Site, Story, message_of};
use super::proposal::newest_of_each_chain;
use super::sources::Proposed;
use super::verify::Picture;
use super::{Context, Report, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Base, CloseStatus, ReceiptOpened, RollbackApplied};
use crate::domain::fact::values::LineSet;
use crate::domain::fold::Receipt;
use crate::domain::ids::{EntryRef, Oid, ReceiptId};
use crate::store::{Appended, Merged, OpenReceipt, StoreError};

/// Take back what a receipt applied, or bring the files back as they were at a snapshot
///
/// Prints the id of the receipt that it opens. What landed is taken back by a three-way merge on HEAD, as one new commit;
/// where that conflicts nothing is changed. A rollback can itself be rolled back. Commands that ran are named: what they
/// did outside of the repository stays.
///
/// With `--to` the working tree goes back to a snapshot, after a snapshot of now. HEAD and branches stay, and so do
/// ignored files.
#[derive(Debug, Clone, clap::Args)]
#[command(override_usage = "git receipt rollback [OPTIONS] <R>\n       \
                            git receipt rollback [OPTIONS] --to <SNAPSHOT> [--paths <P>...]")]
pub struct Args {
    /// The receipt
    #[arg(value_name = "R", required_unless_present = "to")]
    pub receipt: Option<String>,
    /// Only these of its lines, as `1-4,7`
    #[arg(long, value_name = "S")]
    pub lines: Option<String>,
    /// Take commits back as a whole that hold more than what can be told to be the receipt's
    #[arg(long)]
    pub whole_commits: bool,
    /// Why
    #[arg(short = 'm', long = "message", value_name = "WHY")]
    pub message: Option<String>,
    /// Show what would happen, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Put it into index and working tree; the commit is yours, and `git receipt bind R` ties it to the receipt where the
    /// hook does not
    #[arg(long, conflicts_with_all = ["dry_run", "propose"])]
    pub stage: bool,
    /// Propose it, for others to decide about
    #[arg(long, conflicts_with = "dry_run")]
    pub propose: bool,
    /// Pass by the `pre-commit` and `commit-msg` hooks
    #[arg(long)]
    pub no_verify: bool,
    /// Bring the files back as at a snapshot: the id of its tree, or R@N for the newest up to entry N
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["receipt", "lines", "whole_commits", "stage", "propose", "no_verify"])]
    pub to: Option<String>,
    /// Only these files and folders
    #[arg(long, value_name = "P", num_args = 1..)]
    pub paths: Vec<String>,
}

/// What was rolled back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RolledBack {
    /// The receipt that it opened; nothing where nothing was recorded.
    pub receipt: Option<String>,
    /// The receipt that was taken back, or that has the snapshot.
    pub of: String,
    /// What was taken back, without `--to`.
    pub undone: Option<Undone>,
    /// What was brought back, with `--to`.
    pub restored: Option<Restored>,
    /// The difference that it makes, as a unified diff, with `--dry-run`. Bytes that are no UTF-8 are replaced.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "Option<String>")]
    pub patch: Option<Vec<u8>>,
    /// Commands that ran, whose effects outside of the repository are not taken back.
    pub not_taken_back: Vec<Effect>,
}

/// Bytes as the text that they are for people.
fn as_text<S: serde::Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_deref().map(String::from_utf8_lossy).serialize(serializer)
}

/// How something was taken back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Undone {
    /// `committed`, `proposed`, `staged` or `dry run`.
    pub how: &'static str,
    /// The new commit.
    pub commit: Option<String>,
    /// The branch that it is on.
    pub branch: Option<String>,
    /// HEAD's tree before.
    pub from_tree: String,
    /// The tree without what was taken back.
    pub to_tree: String,
    /// What was taken back, the newest first.
    pub taken: Vec<TakenView>,
}

/// A commit that was taken back, or some of its lines.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TakenView {
    /// The commit.
    pub commit: String,
    /// The lines; nothing where it counts as a whole.
    pub lines: Option<String>,
}

impl Report for RolledBack {
    const NAME: &'static str = "rollback";
}

/// Runs the command.
///
/// # Errors
/// When there is nothing to take back; exit code 3 where what came later, or local changes, are in the way. Nothing is
/// changed then.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<RolledBack> {
    if !args.dry_run {
        ctx.check_recording()?;
    }
    if !args.paths.is_empty() && args.to.is_none() {
        return Err(user_error(
            "`--paths` chooses files of a snapshot, and none is named",
            "name it with `--to`; `--lines` chooses what is taken back of a receipt",
        ));
    }
    if let Some(to) = &args.to {
        return restore::run(ctx, to, args);
    }
    let Some(name) = &args.receipt else {
        return Err(user_error("no receipt is named", "`git receipt list` shows those that are here"));
    };
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let known = Known::new(ctx, picture, trust)?;
    let picture = &known.picture;
    let receipt = picture.receipt(picture.target(ctx, name)?.receipt)?;
    receipt.check_known()?;
    let lines = args.lines.as_deref().map(LineSet::from_user).transpose();
    let lines = lines.map_err(|error| user_error(error, "write lines as `1-4,7`"))?;
    let site = ctx.site()?;
    let signer = match args.propose {
        true => ctx.recorder()?,
        false => ctx.person().or_else(|error| if args.dry_run { ctx.recorder() } else { Err(error) })?,
    };
    let rollbacks = Rollbacks::new(ctx, &known);
    let wanted = Wanted { lines: lines.as_ref(), whole_commits: args.whole_commits };
    let view = View { by: signer.id().clone(), until: None };
    let undoing = rollbacks.undo(receipt, &site.parent, wanted, &view)?;
    tell(ctx, receipt, &undoing)?;
    let to_tree = match &undoing.merged {
        Merged::Clean(tree) => *tree,
        Merged::Conflicts(paths) => return Err(undo::conflict(receipt.id, paths, lines.is_some())),
    };
    if to_tree == site.parent.tree {
        return Err(user_error(
            format!("nothing of receipt `{}` is left to take back: HEAD has none of it any more", receipt.id),
            "`git log` shows what took it away",
        ));
    }
    if lines.is_some() {
        tell_revision(ctx, receipt, &undoing);
    }
    // What was taken back before is not taken back once more, and the entry must not say so.
    let stated = lines.or_else(|| undoing.rest.clone());
    let rollback =
        Rollback { ctx, picture, receipt, site: &site, lines: stated, undoing: &undoing, to_tree, args };
    let not_taken_back = effects::effects(ctx, picture, receipt, 0)?;
    let (how, own, commit) = rollback.happen()?;
    ctx.tell_effects(&not_taken_back);
    let patch = match args.dry_run {
        true => Some(ctx.store.patch_between(site.parent.tree, to_tree)?),
        false => None,
    };
    let view = |taken: &undo::Taken<'_>| TakenView {
        commit: taken.commit().to_hex(),
        lines: taken.lines.as_ref().map(ToString::to_string),
    };
    Ok(RolledBack {
        receipt: own,
        of: receipt.id.to_string(),
        undone: Some(Undone {
            how,
            commit: commit.map(|commit| commit.to_hex()),
            branch: site.head.branch.as_deref().map(super::open::short),
            from_tree: site.parent.tree.to_hex(),
            to_tree: to_tree.to_hex(),
            taken: undoing.taken.iter().map(view).collect(),
        }),
        restored: None,
        patch,
        not_taken_back,
    })
}

/// Says whose numbers count where they are not those that `diff` shows.
fn tell_revision(ctx: &Context, receipt: &Receipt, undoing: &Undoing<'_>) {
    let taken = undoing.taken.iter().find_map(undo::Taken::revision);
    let Some(proposal) = taken.map(|at| &receipt.proposals[at]).filter(|known| known.superseded_by.is_some())
    else {
        return;
    };
    let (id, revision) = (receipt.id, proposal.made.revision);
    ctx.notice(format!(
        "the numbers are those of revision {revision}, the newest of which something landed: `git receipt diff {id} \
         --revision {revision}` shows them"
    ));
}

/// Says what is taken back as a whole, and what is left where it is.
fn tell(ctx: &Context, receipt: &Receipt, undoing: &Undoing<'_>) -> anyhow::Result<()> {
    let whole: Vec<Oid> =
        undoing.taken.iter().filter(|taken| taken.lines.is_none()).map(undo::Taken::commit).collect();
    if whole.len() > 1 || undoing.standing.untold.iter().any(|(commit, _)| whole.contains(commit)) {
        for commit in &whole {
            let subject = ctx.store.range_commit(*commit)?.subject;
            ctx.notice(format!("takes back all of `{commit}`: {subject}"));
        }
    }
    let untold = &undoing.standing.untold;
    let elsewhere = undoing.standing.elsewhere.iter();
    // What a whole commit that was taken held of them went with it.
    for (commit, lines) in elsewhere.filter(|_| !untold.iter().any(|(commit, _)| whole.contains(commit))) {
        ctx.notice(format!(
            "left as it is: lines {lines} of receipt `{}` landed as `{commit}`, which is not in the history of HEAD, and \
             were not found in it",
            receipt.id
        ));
    }
    for problem in undoing.standing.wrong.iter().chain(&undoing.standing.withheld) {
        ctx.notice(format!("left as it is: {problem}"));
    }
    Ok(())
}

/// A rollback that is worked out.
struct Rollback<'a> {
    ctx: &'a Context,
    picture: &'a Picture,
    receipt: &'a Receipt,
    site: &'a Site,
    /// The lines that were chosen.
    lines: Option<LineSet>,
    undoing: &'a Undoing<'a>,
    to_tree: Oid,
    args: &'a Args,
}

impl Rollback<'_> {
    /// Does what was asked for: in a word, the receipt that says so, and the commit.
    fn happen(&self) -> anyhow::Result<(&'static str, Option<String>, Option<Oid>)> {
        let (ctx, args) = (self.ctx, self.args);
        let summary = format!("Roll back \"{}\"", self.subject()?);
        if args.dry_run {
            return Ok(("dry run", None, None));
        }
        if args.stage {
            return Ok(("staged", Some(self.stage(&summary)?), None));
        }
        let message = message_of(&self.message(&summary), &summary);
        if args.propose {
            let base = self.site.parent.clone();
            let proposed = Proposed { base, tree: self.to_tree, files: Vec::new() };
            let also = |own| self.applied(own, None);
            let made = super::propose::as_proposal(ctx, &proposed, message.trim_end(), &also)?;
            return Ok(("proposed", Some(made.receipt), None));
        }
        let own = ctx.store.new_receipt_id(ctx.now);
        let commission = Commission {
            receipt: own,
            command: "rollback",
            tree: self.to_tree,
            message,
            no_verify: args.no_verify,
            author: ctx.project_ident(Role::Author)?,
            if_hook_changes:
                "nothing was changed; the same with `--stage` leaves the commit to you, and `--no-verify` \
                              passes the hook by"
                    .to_owned(),
            settled: &[],
        };
        let opening = self.opened(own, &summary)?;
        let mut story = Told { rollback: self, own, applied: 0 };
        let about = (self.picture, self.receipt.id);
        let job = (self.site, commission);
        let (commit, _) = landing::land(ctx, ctx.person()?, about, job, vec![opening], &mut story)?;
        Ok(("committed", Some(own.to_string()), Some(commit)))
    }

    /// The subject of the one commit that is taken back, else what the receipt was about.
    fn subject(&self) -> anyhow::Result<String> {
        if let [one] = self.undoing.taken.as_slice()
            && one.lines.is_none()
        {
            return Ok(self.ctx.store.range_commit(one.commit())?.subject);
        }
        let mut facts = super::summary::facts(self.receipt, self.picture);
        let opened = facts.next();
        let proposed = self.receipt.proposals.iter().rev().find(|known| known.superseded_by.is_none());
        let summary = match (proposed, opened) {
            (Some(proposal), _) => &proposal.made.summary,
            (None, Some(Fact::ReceiptOpened(opened))) => &opened.summary,
            _ => return Ok("a receipt".to_owned()),
        };
        Ok(summary.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// The reason, if there is one.
    fn why(&self) -> Option<&str> {
        self.args.message.as_deref().map(str::trim).filter(|why| !why.is_empty())
    }

    fn message(&self, summary: &str) -> String {
        let lines = self.lines.as_ref().map(|lines| format!("lines {lines} of ")).unwrap_or_default();
        let what = format!("This takes back {lines}receipt {}", self.receipt.id);
        let commits: Vec<String> = self.undoing.taken.iter().map(|taken| taken.commit().to_hex()).collect();
        let landed = match commits.as_slice() {
            [one] => format!(",\nwhich landed as {one}."),
            several => format!(", which landed as\n{}.", several.join(",\n")),
        };
        match self.why() {
            Some(why) => format!("{summary}\n\n{why}\n\n{what}{landed}"),
            None => format!("{summary}\n\n{what}{landed}"),
        }
    }

    /// Puts the tree into index and files along with a receipt that says so, and waits for its commit.
    fn stage(&self, summary: &str) -> anyhow::Result<String> {
        let ctx = self.ctx;
        let own = ctx.store.new_receipt_id(ctx.now);
        let mut drafts = vec![self.opened(own, summary)?];
        drafts.extend(self.applied(own, None));
        // Nothing more is to be said but which commit it becomes, and that may be said of a closed one.
        drafts.push(closed(own, "staged"));
        let (signer, about) = (ctx.person()?, (self.picture, self.receipt.id));
        let (landing, entries) = landing::stage(ctx, signer, about, (self.site, self.to_tree), drafts)?;
        let opened = entries.first().map(|appended| appended.entry);
        let hint = opened.map(|opened| OpenReceipt {
            receipt: own,
            opened,
            owner: signer.id().clone(),
            worktree: ctx.store.worktree_id(),
            session: None,
            closed: Some(ctx.now),
            staged: Some((self.site.parent.tree, self.to_tree)),
        });
        // Before the files, so that whoever finds them staged finds it as well.
        if let Some(Err(error)) = hint.map(|hint| ctx.store.note_opened(hint)) {
            ctx.notice(format!("`git receipt bind {own}` is needed once it is committed: {error}"));
        }
        landing.finish()?;
        ctx.notice("staged: it counts as rolled back with the commit of exactly this");
        Ok(own.to_string())
    }

    fn opened(&self, own: ReceiptId, summary: &str) -> anyhow::Result<Draft> {
        let opening = Draft::new(Some(own), summary, Fact::ReceiptOpened(self.opening(summary)?));
        Ok(self.cites().into_iter().fold(opening, Draft::citing))
    }

    fn opening(&self, summary: &str) -> anyhow::Result<ReceiptOpened> {
        let (site, ctx) = (self.site, self.ctx);
        let base = Base {
            commit: site.parent.commit,
            tree: site.parent.tree,
            branch: site.head.branch.as_deref().map(super::open::short),
            dirty: ctx.store.is_dirty()?,
        };
        let task = self.why().unwrap_or(summary).to_owned();
        Ok(ReceiptOpened {
            task_type: Some("rollback".into()),
            ..ReceiptOpened::of(task, summary, Some(base))
        })
    }

    /// Everything that is known of the receipt that is taken back, and of what took back something of it before.
    fn cites(&self) -> Vec<EntryRef> {
        let relied_on = self.undoing.standing.relies_on.iter();
        let others = relied_on.filter_map(|id| self.picture.folded.receipt(*id));
        let steps = others.chain([self.receipt]).flat_map(|receipt| &receipt.steps);
        newest_of_each_chain(steps.map(|step| step.entry))
    }

    /// What is stated: one entry for each part of the lines that one can hold.
    fn applied(&self, own: ReceiptId, commit: Option<Oid>) -> Vec<Draft> {
        let parts: Vec<Option<LineSet>> = match &self.lines {
            Some(lines) => lines.in_parts(super::apply::RANGES).into_iter().map(Some).collect(),
            None => vec![None],
        };
        let title = format!("of {}", self.receipt.id);
        let draft = |lines| {
            let fact = RollbackApplied {
                of: self.receipt.id,
                lines,
                commit,
                from_tree: self.site.parent.tree,
                to_tree: self.to_tree,
            };
            let draft = Draft::new(Some(own), &title, Fact::RollbackApplied(fact));
            self.cites().into_iter().fold(draft, Draft::citing)
        };
        parts.into_iter().map(draft).collect()
    }
}

/// The entries about a rollback: what it took back, and the end of its receipt.
struct Told<'a> {
    rollback: &'a Rollback<'a>,
    own: ReceiptId,
    /// How many entries say what was taken back.
    applied: usize,
}

impl Story for Told<'_> {
    fn named(&mut self, before: &[Appended]) -> Result<EntryRef, StoreError> {
        let opened = before.last().map(|appended| appended.entry);
        opened.ok_or_else(|| StoreError::Corrupt("a rollback without its receipt".into()))
    }

    fn told(&mut self, commit: Oid) -> Result<Vec<Draft>, StoreError> {
        let mut drafts = self.rollback.applied(self.own, Some(commit));
        self.applied = drafts.len();
        drafts.push(closed(self.own, "rolled back"));
        Ok(drafts)
    }

    fn noted(&self, _all: usize) -> usize {
        // Behind the opening.
        self.applied
    }
}

/// The end of a receipt that is done with as soon as it is opened.
fn closed(own: ReceiptId, summary: &str) -> Draft {
    let status = CloseStatus::Completed;
    Draft::new(Some(own), summary, Fact::ReceiptClosed(super::run::closing(status, None, summary)))
}
