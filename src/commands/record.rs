//! `git receipt record`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::target::Target;
use super::{Context, Report, user_error};
use crate::domain::canonical;
use crate::domain::entry::Draft;
use crate::domain::fact::data::GateChecked;
use crate::domain::fact::{Fact, KINDS, ReadFact};
use crate::domain::fold::may_follow_closing;
use crate::domain::ids::Oid;
use crate::store::NoteLine;

/// Append facts given as JSON lines to a receipt
///
/// Each line is an object `{"kind":…,"data":{…},"once"?:…,"title"?:…}`. Content fields take `{"text":"…"}` of
/// any length; long or sensitive ones are redacted and kept beside the chain.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A file of JSON lines; standard input if left out or `-`
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// The receipt; the newest open one of this worktree if left out
    #[arg(long, value_name = "R")]
    pub receipt: Option<String>,
    /// Append all lines or none
    #[arg(long)]
    pub atomic: bool,
}

/// What `record` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Recorded {
    /// The receipt.
    pub receipt: String,
    /// Entries that were added.
    pub added: u64,
    /// Lines whose `once` key was there already.
    pub existing: u64,
    /// Secrets that were taken out.
    pub redactions: u64,
    /// One element a line, in order.
    pub entries: Vec<RecordedEntry>,
}

/// One line's entry.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecordedEntry {
    /// The chain.
    pub chain: String,
    /// The place there.
    pub seq: u64,
    /// The digest.
    pub digest: String,
    /// The commit.
    pub commit: String,
    /// Whether it was there already.
    pub existing: bool,
}

impl Report for Recorded {
    const NAME: &'static str = "record";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kind: String,
    data: Value,
    #[serde(default)]
    once: Option<String>,
    #[serde(default)]
    title: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Names the line that is no fact; with `--atomic`, or when the first line is wrong, nothing is recorded.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Recorded> {
    ctx.check_recording()?;
    let target = ctx.joined(args.receipt.as_deref())?;
    let bytes = super::open::read_bytes(&args.file)?;
    let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let mut drafts = Vec::new();
    let mut wrong = None;
    for (index, line) in lines {
        match draft(target, line) {
            Ok(draft) => drafts.push(draft),
            Err(problem) => {
                let place = format!("line {} of `{}`", index + 1, args.file.display());
                let hint = "each line is {\"kind\":…,\"data\":{…}}; see `docs/format.md` for the kinds";
                wrong = Some(user_error(format!("{place}: {problem}"), hint));
                break;
            }
        }
    }
    if let Some(error) = wrong {
        if !args.atomic && !drafts.is_empty() {
            let kept = drafts.len();
            append(ctx, target, drafts)?;
            let lines = if kept == 1 { "the line before it was" } else { "the lines before it were" };
            return Err(error.context(format!("stopped at a line that is no fact; {lines} recorded")));
        }
        return Err(error);
    }
    append(ctx, target, drafts)
}

fn append(ctx: &Context, target: Target, drafts: Vec<Draft>) -> anyhow::Result<Recorded> {
    let works = drafts.iter().any(|draft| {
        !matches!(
            draft.fact,
            Fact::RemarkMade(_) | Fact::CommitBound(_) | Fact::CommitRebound(_) | Fact::ReplayChecked(_)
        )
    });
    let owner = if works { ctx.owner_of(target)? } else { ctx.recorder()? };
    check_moves(ctx, target, &drafts)?;
    let closes = drafts.iter().any(|draft| matches!(draft.fact, Fact::ReceiptClosed(_)));
    let bound: Vec<(usize, Oid)> = drafts
        .iter()
        .enumerate()
        .filter_map(|(index, draft)| match &draft.fact {
            Fact::CommitBound(bound) => Some((index, bound.commit)),
            Fact::CommitRebound(rebound) => Some((index, rebound.to)),
            _ => None,
        })
        .collect();
    let report = ctx.append_work(owner, target, drafts)?;
    let notes: Vec<NoteLine> = bound
        .into_iter()
        .filter(|(_, commit)| ctx.store.has_object(*commit))
        .map(|(index, commit)| NoteLine {
            commit,
            receipt: target.receipt,
            entry: report.entries[index].entry,
        })
        .collect();
    if !notes.is_empty() {
        ctx.note_bindings(&notes);
    }
    if closes {
        ctx.store.note_closed(target.receipt)?;
    }
    let existing = report.entries.iter().filter(|entry| entry.existing).count() as u64;
    Ok(Recorded {
        receipt: target.receipt.to_string(),
        added: report.entries.len() as u64 - existing,
        existing,
        redactions: report.entries.iter().map(|entry| entry.redactions).sum(),
        entries: report
            .entries
            .iter()
            .map(|entry| RecordedEntry {
                chain: entry.entry.chain.to_string(),
                seq: entry.entry.seq,
                digest: entry.entry.digest.to_string(),
                commit: entry.commit.to_hex(),
                existing: entry.existing,
            })
            .collect(),
    })
}

/// What tells an entry apart where no title was given.
fn title_of(fact: &Fact) -> String {
    match fact {
        Fact::RemarkMade(remark) => remark.text.text().unwrap_or("").to_owned(),
        Fact::GateChecked(gate) => format!("{} {}", gate.gate, gate.result),
        Fact::ToolCalled(call) => call.tool.clone(),
        Fact::UsageCounted(usage) => format!("{} in, {} out", usage.input_tokens, usage.output_tokens),
        Fact::CommitBound(bound) => bound.subject.clone(),
        Fact::ReceiptClosed(closed) if closed.summary.is_empty() => closed.status.to_string(),
        Fact::ReceiptClosed(closed) => closed.summary.clone(),
        Fact::SnapshotTaken(snapshot) => snapshot.label.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

/// Refuses what would be a finding for ever after: an entry cannot be taken back.
fn check_moves(ctx: &Context, target: Target, drafts: &[Draft]) -> anyhow::Result<()> {
    let mut closed = false;
    let mut snapshots: Vec<Oid> = Vec::new();
    for draft in drafts {
        if closed && !may_follow_closing(&draft.fact) {
            let message = format!("`{}` cannot follow the closing of the receipt", draft.fact.kind());
            return Err(user_error(message, "put it before `receipt.closed`, or open another receipt"));
        }
        match &draft.fact {
            Fact::ReceiptClosed(_) => closed = true,
            Fact::SnapshotTaken(snapshot) => snapshots.push(snapshot.worktree),
            Fact::GateChecked(gate) => check_gate(ctx, target, gate, &snapshots)?,
            Fact::CommitBound(bound) => {
                let tree = ctx.store.tree_of(bound.commit)?;
                if tree.is_some_and(|tree| tree != bound.tree) {
                    let message =
                        format!("commit `{}` has another tree than the binding says", bound.commit.to_hex());
                    return Err(user_error(message, "`git receipt bind` fills it in"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a check on a dirty tree that nobody could look at again.
fn check_gate(ctx: &Context, target: Target, gate: &GateChecked, snapshots: &[Oid]) -> anyhow::Result<()> {
    let known = !gate.dirty || gate.tree == ctx.store.null_id() || snapshots.contains(&gate.tree);
    if known || has_snapshot(ctx, target, gate.tree)? {
        return Ok(());
    }
    let name = gate.gate.escape_debug();
    let message = format!("gate `{name}` ran on a dirty tree of which there is no snapshot");
    Err(user_error(message, "record a `snapshot.taken` of that tree before it"))
}

/// Whether the receipt holds a snapshot of `tree`.
fn has_snapshot(ctx: &Context, target: Target, tree: Oid) -> anyhow::Result<bool> {
    let history = ctx.store.read_history()?;
    let mut entries = history.links.values().filter_map(|link| link.entry.as_ref());
    Ok(entries.any(|entry| {
        let of_receipt = entry.body.receipt == Some(target.receipt);
        matches!(&entry.body.fact, Fact::SnapshotTaken(snapshot) if of_receipt && snapshot.worktree == tree)
    }))
}

/// Reads one line as a draft.
fn draft(target: Target, line: &[u8]) -> Result<Draft, String> {
    let value = canonical::read_any_form(line).map_err(|error| error.to_string())?;
    if !value.is_object() {
        return Err("not a JSON object".into());
    }
    let line: Line = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if !KINDS.contains(&line.kind.as_str()) {
        return Err(format!("unknown kind `{}`", line.kind.escape_debug()));
    }
    let ReadFact { fact, unknown_fields } = Fact::read_draft(&line.kind, line.data)
        .map_err(|error| format!("data of `{}`: {error}", line.kind))?;
    if !unknown_fields.is_empty() {
        return Err(format!("`{}` has no field `{}`", line.kind, unknown_fields.join("`, `")));
    }
    if fact.concerns_chain() == Some(true) || matches!(fact, Fact::ReceiptOpened(_)) {
        return Err(format!("`{}` has a command of its own", line.kind));
    }
    let title = line.title.unwrap_or_else(|| title_of(&fact));
    let mut draft = Draft::new(Some(target.receipt), &title, fact);
    draft.once = line.once;
    for cite in draft.fact.citations() {
        draft = draft.citing(cite);
    }
    Ok(draft)
}
