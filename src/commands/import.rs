//! `git receipt import`

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, Report, user_error};
use crate::agents::claude_code::{self, tools, transcript};
use crate::agents::gates::GateTable;
use crate::agents::{Session, Step, once_key};
use crate::domain::entry::{Draft, clean_title};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Role, ToolStatus};
use crate::domain::fold::may_come_late;
use crate::domain::ids::{ReceiptId, Timestamp};
use crate::domain::redact::Redactor;
use crate::domain::secret_paths::looks_secret;
use crate::store::{AlreadyTold, ChainScope};

/// A session that was quiet for so long is over: what had no result then will get none.
const QUIET_MS: i64 = 3_600_000;

/// Turn recorded sessions of agents into chains
///
/// Nothing is invented, and importing again adds nothing.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Whose format it is
    #[command(subcommand)]
    pub format: Format,
}

/// The formats that can be read.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Format {
    /// Transcripts of Claude Code, one JSON object a line
    ClaudeCode {
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

/// What was imported.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Imported {
    /// One element a file.
    pub sessions: Vec<ImportedSession>,
}

/// What one file gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportedSession {
    /// The file.
    pub file: String,
    /// The session's id.
    pub session: String,
    /// The chain it is in; none where the file holds nothing to record.
    pub chain: Option<String>,
    /// Entries that were added.
    pub added: u64,
    /// Facts that were there already.
    pub existing: u64,
    /// Receipts, one a prompt.
    pub receipts: u64,
    /// Tool calls in the file.
    pub tool_calls: u64,
    /// Calls that a person rejected.
    pub rejections: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that were interrupted or have no result.
    pub interrupted: u64,
    /// Gates in the file.
    pub gates: u64,
    /// Retrievals in the file.
    pub retrievals: u64,
    /// Tokens read, without cached ones.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens read from a cache.
    pub cache_read_tokens: u64,
    /// Tokens written to one.
    pub cache_write_tokens: u64,
    /// Secrets that were taken out.
    pub redactions: u64,
    /// Lines that could not be read.
    pub problems: Vec<String>,
}

impl Report for Imported {
    const NAME: &'static str = "import";
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or holds no transcript; files before it are imported then.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Imported> {
    ctx.check_recording()?;
    let Format::ClaudeCode { files } = &args.format;
    let gates = gate_table(ctx)?;
    // Every file is read before anything is written, so that a wrong name among them costs nothing.
    let sessions = files.iter().map(|file| read(ctx, file, &gates)).collect::<anyhow::Result<Vec<_>>>()?;
    let imported = files.iter().zip(sessions).map(|(file, session)| import(ctx, file, session));
    Ok(Imported { sessions: imported.collect::<anyhow::Result<_>>()? })
}

/// The built-in gates and those of `receipt.gate`, each `name = command words`.
pub(super) fn gate_table(ctx: &Context) -> anyhow::Result<GateTable> {
    let mut table = GateTable::built_in();
    for line in ctx.store.config_all("receipt.gate") {
        table.add_lines(&line).context("configuration `receipt.gate`")?;
    }
    Ok(table)
}

fn read(ctx: &Context, file: &Path, gates: &GateTable) -> anyhow::Result<Session> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let null = ctx.store.null_id();
    let options = claude_code::Options {
        gates,
        // Hashing bytes in memory fails for no input there is.
        blob_id: &|bytes| ctx.store.blob_id(bytes).unwrap_or(null),
        looks_secret: &looks_secret,
        root: None,
        null_tree: null,
    };
    transcript::read(&bytes, &options).map_err(|error| {
        let hint = "transcripts lie below `~/.claude/projects`, one `.jsonl` file a session";
        user_error(format!("`{}`: {error}", file.display()), hint)
    })
}

fn import(ctx: &Context, file: &Path, session: Session) -> anyhow::Result<ImportedSession> {
    let id = if session.id.is_empty() { file.display().to_string() } else { session.id.clone() };
    let of_person = ChainScope::Session { source: session.source.to_owned(), id: id.clone() };
    // A sub-agent's own file is a chain of its own beside that of the session it served.
    let id = session.agent.as_ref().map_or(id.clone(), |agent| format!("{id}/{agent}"));
    let scope = ChainScope::Session { source: session.source.to_owned(), id: id.clone() };
    let signer = ctx.recorder()?;
    let last = session.steps.iter().filter_map(|step| step.time).max();
    let over = last.is_none_or(|last| ctx.now.unix_ms() - last.unix_ms() > QUIET_MS);
    let times = times(&session.steps, ctx.now);
    let mut receipts: HashMap<usize, ReceiptId> = HashMap::new();
    let redactor = ctx.redactor()?;
    let (mut drafts, mut draft_times, mut existing) = (Vec::new(), Vec::new(), 0);
    let mut known = ctx.store.told(&scope, signer)?;
    if session.agent.is_some() {
        // Hooks put what sub-agents do into the chain of the session.
        known.once.extend(ctx.store.told(&of_person, signer)?.once);
    }
    for (step, time) in session.steps.iter().zip(times) {
        if let Some(receipt) = told_as(step, &known) {
            if let (Fact::ReceiptOpened(_), Some(receipt)) = (&step.fact, receipt) {
                receipts.insert(step.prompt, receipt);
            }
            existing += 1;
            if let Some(draft) = completed(step, &known, receipt) {
                drafts.push(draft);
                draft_times.push(time);
            }
            continue;
        }
        // Hooks closed the receipt before they could have told this: what may not come late is left out.
        let closed = receipts.get(&step.prompt).is_some_and(|receipt| known.closed.contains(receipt));
        if closed && !may_come_late(&step.fact) {
            continue;
        }
        if !step.settled && !over {
            continue;
        }
        let receipt = *receipts.entry(step.prompt).or_insert_with(|| ctx.store.new_receipt_id(time));
        let mut fact = step.fact.clone();
        shorten_summary(&mut fact, redactor);
        let draft = Draft::new(Some(receipt), &step.title, fact);
        drafts.push(draft.once(step.once.clone()));
        draft_times.push(time);
    }
    let report = match drafts.is_empty() {
        true => Default::default(),
        false => ctx.append_to(scope.clone(), Role::Agent, Some(&draft_times), drafts)?,
    };
    let tally = session.tally;
    let chain = report.entries.first().map(|entry| entry.entry.chain);
    let chain = chain.or_else(|| ctx.store.current_chain(&scope, signer.id()));
    Ok(ImportedSession {
        file: file.display().to_string(),
        session: id,
        chain: chain.map(|chain| chain.to_string()),
        added: report.entries.len() as u64,
        existing,
        receipts: receipts.len() as u64,
        tool_calls: tally.tool_calls,
        rejections: tally.rejections,
        failures: tally.failures,
        interrupted: tally.interrupted + tally.unknown,
        gates: tally.gates,
        retrievals: tally.retrievals,
        input_tokens: tally.input_tokens,
        output_tokens: tally.output_tokens,
        cache_read_tokens: tally.cache_read_tokens,
        cache_write_tokens: tally.cache_write_tokens,
        redactions: report.entries.iter().map(|entry| entry.redactions).sum(),
        problems: session.problems.iter().map(|p| format!("line {}: {}", p.line, p.what)).collect(),
    })
}

/// The receipt of a step that was told already, under its own key or, for a prompt that came while the agent
/// worked, as guidance.
fn told_as(step: &Step, known: &AlreadyTold) -> Option<Option<ReceiptId>> {
    if let Some(receipt) = known.once.get(&step.once) {
        return Some(*receipt);
    }
    let Fact::ReceiptOpened(opened) = &step.fact else { return None };
    let key = claude_code::guidance_once(opened.task.text()?, 1);
    known.once.get(&key).copied()
}

/// Makes a line of a summary that is a whole text of the agent's, with the secrets taken out first.
pub(super) fn shorten_summary(fact: &mut Fact, redactor: &Redactor) {
    let summary = match fact {
        Fact::ReceiptOpened(opened) => &mut opened.summary,
        Fact::ReceiptClosed(closed) => &mut closed.summary,
        _ => return,
    };
    *summary = clean_title(&redactor.redact_str(summary).0);
}

/// What a longer transcript tells of something that was told already: a message that went on costing tokens, a call
/// whose result came later. What is recorded stands, so this is added to it.
fn completed(step: &Step, known: &AlreadyTold, receipt: Option<ReceiptId>) -> Option<Draft> {
    match &step.fact {
        Fact::UsageCounted(now) => {
            let mut rest = now.clone();
            let mut key = step.once.clone();
            for more in 1.. {
                let Some(before) = known.usage.get(&key) else { break };
                let less = |now: u64, before: u64| now.saturating_sub(before);
                let less_of =
                    |now: Option<u64>, before: Option<u64>| now.map(|now| less(now, before.unwrap_or(0)));
                rest.input_tokens = less(rest.input_tokens, before.input_tokens);
                rest.output_tokens = less(rest.output_tokens, before.output_tokens);
                rest.cache_read_tokens = less_of(rest.cache_read_tokens, before.cache_read_tokens);
                rest.cache_write_tokens = less_of(rest.cache_write_tokens, before.cache_write_tokens);
                key = once_key("more", &[&step.once, &more.to_string()]);
            }
            let cached = rest.cache_read_tokens.unwrap_or(0) + rest.cache_write_tokens.unwrap_or(0);
            let some =
                rest.input_tokens + rest.output_tokens + cached > 0 && known.usage.contains_key(&step.once);
            let title = format!("{} in, {} out more", rest.input_tokens, rest.output_tokens);
            some.then(|| Draft::new(receipt, &title, Fact::UsageCounted(rest)).once(key))
        }
        Fact::ToolCalled(now) if now.status != ToolStatus::Unknown && known.unknown.contains(&step.once) => {
            let told = tools::late_result(now.call_id.as_deref()?, now);
            (!known.once.contains_key(&told.once))
                .then(|| Draft::new(receipt, &told.title, told.fact).once(told.once))
        }
        _ => None,
    }
}

/// The recorded times, each at least the one before; a step without one has that of the step before.
fn times(steps: &[Step], now: Timestamp) -> Vec<Timestamp> {
    let mut latest = steps.iter().filter_map(|step| step.time).find(|time| *time <= now).unwrap_or(now);
    steps
        .iter()
        .map(|step| {
            // A clock that was ahead must not carry everything after it along.
            latest = step.time.filter(|time| *time <= now).map_or(latest, |time| time.max(latest));
            latest
        })
        .collect()
}
