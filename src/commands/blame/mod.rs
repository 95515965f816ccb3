//! `git receipt blame`

pub mod attribute;
pub mod edits;
pub mod forked;
mod memory;
mod report;
mod uncommitted;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::evidence::Known;
use super::summary::{agent_of, facts, state_of};
use super::verify::Picture;
use super::{Context, user_error};
use crate::domain::fact::Fact;
use crate::domain::fold::Receipt;
use crate::domain::ids::{Oid, ReceiptId};
use crate::domain::policy::Grade;
use crate::store::{Annotated, BlamedLine, Blaming, StoreError, Tracing};
use attribute::{Claim, attribute};
use forked::First;
use memory::{Memory, Told};
use report::porcelain;
pub use report::{Blamed, ClaimView, CommitView, LineOrigin, LineView, ReceiptView, UNCOMMITTED};
use uncommitted::Uncommitted;

/// Show for every line of a file the commit, the receipt, the agent and who accepted it
///
/// The commits are those that git itself names; settings such as `blame.ignoreRevsFile` hold. Without REV the file in the
/// working tree is looked at, with lines that are not committed.
///
/// A receipt stands with how closely the evidence fits the commit: `commit`, `tree`, `patch` or `lines`. `L07` is the
/// accepted line that put exactly this line here, `edit` a recorded edit that wrote it. Behind `~` stand receipts that
/// speak for the commit where none can be tied to the line, behind `?` those of unknown signers. A line without a receipt
/// has none. Beside a line that is not committed stands the receipt open in this worktree of which a recorded edit wrote
/// it, as `uncommitted`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A revision (or `A..B`, to look no further back than A), and the file; after `--` where a name begins with a dash
    #[arg(value_name = "REV|FILE", required = true, num_args = 1..=2)]
    pub names: Vec<OsString>,
    /// Only these lines: `10,20`, `10,+5`, `/PATTERN/,+3` or `:FUNCTION`, as git takes them; may be given again
    #[arg(short = 'L', value_name = "A,B", allow_hyphen_values = true)]
    pub ranges: Vec<String>,
    /// Look past white space
    #[arg(short = 'w')]
    pub ignore_space: bool,
    /// Follow lines that moved within the file, as in `-M20`: at least so many letters and digits
    #[arg(short = 'M', value_name = "NUM", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", value_parser = score)]
    pub moved: Vec<String>,
    /// Follow lines that came from files changed in the same commit, as in `-C40`; twice, from any file of the commit
    /// that made this one; three times, from any file of any commit
    #[arg(short = 'C', value_name = "NUM", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", value_parser = score)]
    pub copied: Vec<String>,
    /// Look past this commit; may be given again
    #[arg(long, value_name = "REV")]
    pub ignore_rev: Vec<OsString>,
    /// Look past the commits that a file lists, named from the top of the working tree; may be given again
    #[arg(long, value_name = "FILE")]
    pub ignore_revs_file: Vec<OsString>,
    // Its being here keeps the `-C PATH` of all commands from `-C` as git's blame has it. git takes that one before the
    // command only, and that place is left for it.
    #[arg(id = "directory", long = "directory", hide = true)]
    _directory: Option<PathBuf>,
    /// Print git's porcelain format with the receipts as further headers
    #[arg(long)]
    pub porcelain: bool,
}

/// The number behind `-M` or `-C`, if there is one.
fn score(text: &str) -> Result<String, String> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => Err("a number belongs there, or nothing; repeated options are written one by one".into()),
    }
}

/// Runs the command.
///
/// # Errors
/// When there is no such file, revision or range.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Blamed> {
    let (rev, file) = match args.names.as_slice() {
        [file] => (None, file),
        [rev, file] => (Some(rev.to_string_lossy()), file),
        _ => return Err(user_error("a name too many", "give a revision and a file")),
    };
    let tracing = Tracing {
        ignore_space: args.ignore_space,
        moved: args.moved.clone(),
        copied: args.copied.clone(),
        ignored: args.ignore_rev.clone(),
        ignored_in: args.ignore_revs_file.clone(),
    };
    let begun = begin(ctx, rev.as_deref(), &args.ranges, &tracing, file)?;
    let memory = Memory::at(ctx, begun.head)?;
    let looked_through = (!memory.is_warm()).then(|| known(ctx));
    let (head, revision) = (begun.head, begun.revision());
    let annotated = begun.finish(ctx, rev.as_deref(), file)?;
    let uncommitted = Uncommitted::find(ctx, &annotated);
    let recalled = if uncommitted.is_some() { None } else { memory.recall(&annotated) };
    let (annotated, told) = match recalled {
        Some(told) => (annotated, told),
        None => {
            let known = looked_through.unwrap_or_else(|| known(ctx))?;
            let is_committed = uncommitted.is_none();
            let looked = Looked::at(ctx, (revision, head), annotated, known, uncommitted)?;
            let told = looked.told();
            if is_committed {
                memory.keep(&looked.annotated, &told);
            }
            (looked.annotated, told)
        }
    };
    let null = ctx.store.null_id();
    let commits: BTreeMap<String, CommitView> = annotated
        .lines
        .iter()
        .filter_map(|line| CommitView::of(&annotated, line.commit, null))
        .map(|view| (view.commit.clone(), view))
        .collect();
    let Told { claims, receipts } = told;
    let views = annotated.lines.iter().zip(claims);
    let lines: Vec<LineView> =
        views.map(|(line, claims)| LineView::of(&annotated, line, null, claims)).collect();
    let porcelain = args.porcelain.then(|| porcelain(&annotated, &lines, &receipts));
    Ok(Blamed {
        revision: revision.map(|commit| commit.to_hex()),
        path: ctx.path_from_top(&file.to_string_lossy()),
        lines,
        commits: commits.into_values().collect(),
        receipts,
        porcelain,
    })
}

/// What git says of lines, and the receipts that speak for them.
pub struct Looked {
    /// The commit that was looked at; none for the working tree.
    pub revision: Option<Oid>,
    /// git's word.
    pub annotated: Annotated,
    /// For every line, what speaks for it.
    pub claims: Vec<Vec<Claim>>,
    /// Everything known; none where there are no receipts.
    pub known: Option<Known>,
    /// Where accepted lines were proposed first that forks took over.
    pub first: HashMap<(usize, u64), First>,
    null: Oid,
}

/// Looks at lines of a file: git while it does its part, and the chains meanwhile.
///
/// # Errors
/// When there is no such file, revision or range.
pub fn look(
    ctx: &Context,
    rev: Option<&str>,
    ranges: &[String],
    tracing: &Tracing,
    file: &OsStr,
) -> anyhow::Result<Looked> {
    let begun = begin(ctx, rev, ranges, tracing, file)?;
    let known = known(ctx);
    let (head, revision) = (begun.head, begun.revision());
    let annotated = begun.finish(ctx, rev, file)?;
    let uncommitted = Uncommitted::find(ctx, &annotated);
    Looked::at(ctx, (revision, head), annotated, known?, uncommitted)
}

/// git at work on a file.
struct Begun {
    within: Option<Oid>,
    /// The commit in whose history the lines stand, if there is one.
    head: Option<Oid>,
    running: Blaming,
}

impl Begun {
    /// The commit that is looked at; none for the working tree.
    fn revision(&self) -> Option<Oid> {
        self.within
    }

    /// What git says.
    fn finish(self, ctx: &Context, rev: Option<&str>, file: &OsStr) -> anyhow::Result<Annotated> {
        self.running.finish(&ctx.store).map_err(|error| in_our_words(error, rev, file))
    }
}

fn begin(
    ctx: &Context,
    rev: Option<&str>,
    ranges: &[String],
    tracing: &Tracing,
    file: &OsStr,
) -> anyhow::Result<Begun> {
    let named = |name: &str| ctx.commit_named(if name.is_empty() { "HEAD" } else { name });
    let within = match rev.map(|rev| rev.split_once("..").unwrap_or(("", rev))) {
        None => None,
        Some((_, to)) if to.starts_with('.') => {
            return Err(user_error("three dots name no place to look from", "write `A..B`, or one revision"));
        }
        Some((from, to)) => {
            let without = rev.filter(|rev| rev.contains("..")).map(|_| named(from)).transpose()?;
            Some((named(to)?, without))
        }
    };
    let without: Vec<Oid> = within.iter().filter_map(|(_, without)| *without).collect();
    let asked = within.map(|(to, _)| (to, without.as_slice()));
    let running = ctx.store.start_blame(&ctx.env.directory, asked, ranges, tracing, file)?;
    let head = match within {
        Some((to, _)) => Some(to),
        None => ctx.store.head()?.commit,
    };
    Ok(Begun { within: within.map(|(to, _)| to), head, running })
}

/// Everything that receipts tell; nothing where there are none.
fn known(ctx: &Context) -> anyhow::Result<Option<Known>> {
    let (refs, odd) = ctx.store.chain_refs()?;
    if refs.is_empty() && odd.is_empty() {
        return Ok(None);
    }
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    Known::new(ctx, picture, trust).map(Some)
}

/// What git says where the file or the lines are not there, with what helps.
fn in_our_words(error: StoreError, rev: Option<&str>, file: &OsStr) -> anyhow::Error {
    let StoreError::Git { cause, .. } = &error else { return error.into() };
    let file = file.to_string_lossy();
    let place = rev.map_or_else(|| "the working tree".to_owned(), |rev| format!("`{rev}`"));
    if cause.contains("no such path") || cause.contains("cannot stat path") {
        let hint = match rev {
            Some(_) => "`git ls-tree -r --name-only REV` lists the files of a revision",
            None => "`git ls-files` lists those that are tracked; name a revision to look at an earlier one",
        };
        return user_error(format!("`{file}` is no file of {place}"), hint);
    }
    if let Some((_, count)) = cause.split_once(" has only ") {
        let hint = "lines count from 1, and `git receipt blame FILE` shows them all";
        return user_error(format!("`{file}` has only {count} in {place}"), hint);
    }
    if let Some((_, rev)) = cause.split_once("cannot find revision ") {
        let rev = rev.strip_suffix(" to ignore").unwrap_or(rev);
        let message = format!("`{rev}` names no commit to look past");
        return user_error(message, "name a branch, a tag or a commit id");
    }
    if let Some((_, list)) = cause.split_once("could not open object name list: ") {
        let hint = "git looks for it from the top of the working tree";
        return user_error(format!("cannot open the list of commits `{list}`"), hint);
    }
    error.into()
}

impl Looked {
    /// `at` is the commit that was looked at, none for the working tree, and the one in whose history the lines stand.
    fn at(
        ctx: &Context,
        at: (Option<Oid>, Option<Oid>),
        annotated: Annotated,
        known: Option<Known>,
        uncommitted: Option<Uncommitted>,
    ) -> anyhow::Result<Self> {
        let (revision, head) = at;
        let mut claims = match &known {
            Some(known) => attribute(ctx, known, &annotated, head)?,
            None => vec![Vec::new(); annotated.lines.len()],
        };
        if let (Some(uncommitted), Some(known)) = (uncommitted, &known) {
            uncommitted.claim(ctx, known, &annotated, &mut claims)?;
        }
        let first = known.as_ref().map(|known| forked::find(ctx, known, &claims)).unwrap_or_default();
        Ok(Looked { revision, annotated, claims, known, first, null: ctx.store.null_id() })
    }

    /// Everything that receipts say of the lines, as it is shown.
    fn told(&self) -> Told {
        let claims = self.claims.iter().map(|claims| claims.iter().map(|claim| self.claim(claim)).collect());
        Told { claims: claims.collect(), receipts: self.receipts() }
    }

    /// A line as it is shown.
    pub fn line(&self, line: &BlamedLine, claims: &[Claim]) -> LineView {
        let claims = claims.iter().map(|claim| self.claim(claim)).collect();
        LineView::of(&self.annotated, line, self.null, claims)
    }

    /// What a line's claim comes to.
    fn claim(&self, claim: &Claim) -> ClaimView {
        ClaimView {
            receipt: claim.receipt.to_string(),
            known: claim.known,
            grade: claim.grade.map_or(UNCOMMITTED, Grade::as_str).into(),
            basis: claim.basis.as_str().into(),
            number: claim.number.map(|(_, number)| number),
            step: claim.step.map(|step| step as u64),
            accepted_by: self.accepted_by(claim),
            carried_from: claim.from.map(|commit| commit.to_hex()),
            origin: self
                .first(claim)
                .map(|first| LineOrigin { receipt: first.receipt.to_string(), number: first.number }),
        }
    }

    /// Where the line of a claim was proposed first, if a fork took it over.
    pub fn first(&self, claim: &Claim) -> Option<&First> {
        self.first.get(&claim.number?)
    }

    /// Who accepts the very line.
    fn accepted_by(&self, claim: &Claim) -> Vec<String> {
        let (Some(known), Some((at, number))) = (&self.known, claim.number) else { return Vec::new() };
        let (_, proposal) = known.candidate(at);
        let principals: BTreeSet<&str> =
            proposal.decisions.iter().map(|decided| decided.principal.as_str()).collect();
        let accepts = |who: &&str| proposal.accepted_by(who).contains(number);
        principals.into_iter().filter(accepts).map(|who| known.trust.shown_principal(who)).collect()
    }

    /// A commit as it is shown; none where nothing is committed.
    pub fn commit(&self, commit: Oid) -> Option<CommitView> {
        CommitView::of(&self.annotated, commit, self.null)
    }

    /// The receipts that any line names, in the order of their ids.
    pub fn receipts(&self) -> Vec<ReceiptView> {
        let Some(known) = &self.known else { return Vec::new() };
        let claimed = self.claims.iter().flatten().map(|claim| claim.receipt);
        let first = self.first.values().map(|first| first.receipt);
        let ids: BTreeSet<ReceiptId> = claimed.chain(first).collect();
        let found = ids.into_iter().filter_map(|id| known.picture.folded.receipt(id));
        found
            .map(|receipt| {
                let (agent, model) = agent_of(receipt, &known.picture);
                let summary = facts(receipt, &known.picture).find_map(|fact| match fact {
                    Fact::ReceiptOpened(opened) => Some(opened.summary.clone()),
                    _ => None,
                });
                ReceiptView {
                    receipt: receipt.id.to_string(),
                    state: state_of(receipt.closed),
                    summary: summary.unwrap_or_default(),
                    agent,
                    model,
                    owner: receipt.owner.to_string(),
                    principal: known.trust.name_of(&receipt.owner),
                    known: receipt.known,
                    takes_back: taken_back_by(receipt, &known.picture),
                }
            })
            .collect()
    }
}

/// How far a line of rollbacks of rollbacks is followed.
const MOST_TAKEN_BACK: usize = 100;

/// What a rollback takes back, and what that took back.
fn taken_back_by(receipt: &Receipt, picture: &Picture) -> Vec<String> {
    let of = |receipt: &Receipt| receipt.takes_back.first().map(|first| first.said.of);
    let next = |id: &ReceiptId| picture.folded.receipt(*id).and_then(of);
    std::iter::successors(of(receipt), next).take(MOST_TAKEN_BACK).map(|id| id.to_string()).collect()
}
