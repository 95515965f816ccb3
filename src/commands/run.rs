//! `git receipt run`

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::target::Target;
use super::{Context, Report, user_error};
use crate::child;
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{
    CloseStatus, Failure, FileChange, GateChecked, GateResult, ReceiptClosed, ReceiptOpened, SnapshotTaken,
    Step, ToolCalled, ToolStatus,
};
use crate::domain::fact::values::{Content, GitPath, Pending};
use crate::domain::ids::Oid;
use crate::domain::invisible::{is_invisible, is_odd_space};
use crate::domain::secret_paths::looks_secret;
use crate::env::Env;
use crate::store::TreeChange;

/// Run a command as usual and record it
///
/// Records command, exit code, duration, full output, the tree it ran on with uncommitted changes, and the files
/// it changed. Exits with the command's own code. Opens and closes a receipt of its own when none is open.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Record it as the gate of this name: a check with a verdict
    #[arg(long, value_name = "NAME")]
    pub gate: Option<String>,
    /// End it after this time, as `90s` or `10m`
    #[arg(long, value_name = "T")]
    pub timeout: Option<String>,
    /// The receipt; the newest open one of this worktree if left out
    #[arg(long, value_name = "R")]
    pub receipt: Option<String>,
    /// Fail instead of opening a receipt when none is open
    #[arg(long)]
    pub no_receipt_of_its_own: bool,
    /// The command
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// What ran.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ran {
    /// The receipt; none where recording is switched off.
    pub receipt: Option<String>,
    /// The command's exit code; 128 and its number for a signal.
    pub exit_code: u8,
    /// How long it took in milliseconds.
    pub duration_ms: u64,
    /// Whether a signal stopped it.
    pub interrupted: bool,
    /// Whether it was ended because it took too long.
    pub timed_out: bool,
    /// The tree it ran on.
    pub tree: Option<String>,
    /// Whether that tree differed from HEAD's.
    pub dirty: bool,
    /// Files it changed.
    pub files: Vec<String>,
    /// Words for the person.
    #[serde(skip)]
    pub notices: Vec<String>,
}

impl Report for Ran {
    const NAME: &'static str = "run";

    fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

/// Runs the command.
///
/// # Errors
/// When the command cannot be started, or recording fails after it succeeded. A command that failed keeps its exit
/// code, and the report says that it was not recorded.
pub fn run(
    env: Env,
    args: &Args,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> anyhow::Result<Ran> {
    let timeout = args.timeout.as_deref().map(super::open::parse_duration).transpose()?;
    let command = child::Command {
        argv: args.command.clone(),
        timeout: timeout.map(Duration::from_millis),
        terminal: env.stdin_is_terminal && env.stdout_is_terminal,
        ..Default::default()
    };
    let ctx = Context::open(env)?;
    if !ctx.is_recording() {
        let outcome = start(command, out, err)?;
        let mut ran = describe(&outcome);
        ran.notices.push("recording is switched off; nothing was recorded".into());
        return Ok(ran);
    }
    ctx.check_recording()?;
    // Nothing may stop the record once the child has run: signals are held until it is written.
    let _hold = child::Hold::new().context("cannot take over signals")?;
    let (target, own) = find_target(&ctx, args)?;
    let before = worktree(&ctx)?;
    let mut command = command;
    command.env.push(("GIT_RECEIPT_ID".into(), target.receipt.to_string().into()));
    let started = start(command, out, err);
    ctx.store.set_now(ctx.env.now());
    let outcome = match started {
        Ok(outcome) => outcome,
        Err(error) => {
            if own {
                let fact = closing(CloseStatus::Failed, Some(Failure::Environment), "could not be started");
                super::close::close_receipt(&ctx, target, fact)?;
            }
            return Err(error);
        }
    };
    match record(&ctx, args, target, own, before, &outcome) {
        Ok(ran) => Ok(ran),
        // Whoever runs this in a script goes by the command's own code, which only a success gives up.
        Err(error) if !outcome.exit.success() => {
            let mut ran = describe(&outcome);
            ran.notices.push(format!("the command ran and was not recorded: {error:#}"));
            Ok(ran)
        }
        Err(error) => Err(error.context("the command ran and was not recorded")),
    }
}

fn start(
    command: child::Command,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> anyhow::Result<child::Outcome> {
    child::run(command, out, err).map_err(|error| {
        let code = error.exit_code().unwrap_or(2);
        let message = error.to_string();
        super::UserError { message, hint: Some("give the command after `--`".into()), code: code as u8 }
            .into()
    })
}

fn describe(outcome: &child::Outcome) -> Ran {
    Ran {
        receipt: None,
        exit_code: outcome.exit.code().clamp(0, 255) as u8,
        duration_ms: outcome.duration.as_millis() as u64,
        interrupted: outcome.interrupted,
        timed_out: outcome.timed_out,
        tree: None,
        dirty: false,
        files: Vec::new(),
        notices: Vec::new(),
    }
}

/// The receipt to record into, and whether it was opened just for this.
fn find_target(ctx: &Context, args: &Args) -> anyhow::Result<(Target, bool)> {
    let named = args.receipt.is_some() || ctx.env.var("GIT_RECEIPT_ID").is_some();
    if named || ctx.newest_usable().is_some() {
        let target = ctx.joined(args.receipt.as_deref())?;
        ctx.owner_of(target)?;
        return Ok((target, false));
    }
    if args.no_receipt_of_its_own {
        let hint = "open one with `git receipt open -m SUMMARY`";
        return Err(user_error("no receipt is open in this worktree", hint));
    }
    let summary = typed(&args.command);
    let base = match ctx.store.head()?.commit {
        Some(_) => Some(super::open::base(ctx)?),
        None => None,
    };
    let kind = if args.gate.is_some() { "gate" } else { "command" };
    let title = crate::domain::entry::clean_title(&ctx.redactor()?.redact_str(&summary).0);
    let fact = ReceiptOpened { task_type: Some(kind.into()), ..ReceiptOpened::of(summary, title, base) };
    let (receipt, opened) = super::open::open_receipt(ctx, ctx.env.now(), fact, None)?;
    Ok((Target { receipt, opened }, true))
}

fn worktree(ctx: &Context) -> anyhow::Result<Option<(Oid, bool)>> {
    if ctx.store.work_dir().is_none() {
        return Ok(None);
    }
    let tree = ctx.careful_worktree()?;
    Ok(Some((tree.tree, tree.dirty)))
}

fn record(
    ctx: &Context,
    args: &Args,
    target: Target,
    own: bool,
    before: Option<(Oid, bool)>,
    outcome: &child::Outcome,
) -> anyhow::Result<Ran> {
    // The command may have taken long, and somebody may have closed the receipt meanwhile.
    let owner = if own { ctx.recorder()? } else { ctx.owner_of(target)? };
    let after = worktree(ctx)?;
    let changes = match (before, after) {
        (Some((before, _)), Some((after, _))) => ctx.store.tree_changes(before, after)?,
        _ => Vec::new(),
    };
    let output = Content::Pending(Pending {
        bytes: outcome.output.bytes.clone(),
        whole: outcome.output.truncated.then_some(outcome.output.total),
        media: "text/plain".into(),
    });
    let (tree, dirty) = before.unwrap_or((ctx.store.null_id(), true));
    let mut drafts = Vec::new();
    match &args.gate {
        Some(gate) => {
            if dirty && tree != ctx.store.null_id() {
                let label = Some(format!("before gate {gate}"));
                let fact = SnapshotTaken { label, worktree: tree, index: None };
                drafts.push(Draft::new(
                    Some(target.receipt),
                    &format!("before gate {gate}"),
                    Fact::SnapshotTaken(fact),
                ));
            }
            drafts.push(gate_draft(ctx, args, gate, target, outcome, output, (tree, dirty)));
        }
        None => drafts.push(tool_draft(args, target, outcome, output, &changes)),
    }
    if own {
        let (status, failure) = match (outcome.exit.success(), outcome.timed_out, outcome.interrupted) {
            (_, true, _) => (CloseStatus::Failed, Some(Failure::Timeout)),
            (_, _, true) => (CloseStatus::Cancelled, None),
            (true, ..) => (CloseStatus::Completed, None),
            (false, ..) if args.gate.is_some() => (CloseStatus::Failed, Some(Failure::Gate)),
            (false, ..) => (CloseStatus::Failed, Some(Failure::Tool)),
        };
        let fact = closing(status, failure, &format!("exit code {}", outcome.exit.code()));
        drafts.push(Draft::new(Some(target.receipt), status.as_str(), Fact::ReceiptClosed(fact)));
    }
    ctx.append_work(owner, target, drafts)?;
    if own {
        ctx.store.note_closed(target.receipt)?;
    }
    let mut ran = describe(outcome);
    ran.receipt = Some(target.receipt.to_string());
    ran.tree = before.map(|(tree, _)| tree.to_hex());
    ran.dirty = dirty;
    ran.files = changes.iter().map(|change| String::from_utf8_lossy(&change.path).into_owned()).collect();
    ran.notices.extend(ctx.notices.borrow().iter().cloned());
    if outcome.timed_out {
        ran.notices.push("the command was ended, as its time was up".into());
    }
    ran.notices.push(format!("recorded in {}", target.receipt));
    Ok(ran)
}

impl Context {
    /// The folder that the command was started in, from the top of the working tree; nothing at the top itself, or
    /// where its name is no text.
    fn directory_below_top(&self) -> Option<String> {
        let top = std::fs::canonicalize(self.store.work_dir()?).ok()?;
        let here = std::fs::canonicalize(&self.env.directory).ok()?;
        let parts = here.strip_prefix(top).ok()?.components();
        let names: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
        names.filter(|names| !names.is_empty()).map(|names| names.join("/"))
    }
}

fn gate_draft(
    ctx: &Context,
    args: &Args,
    gate: &str,
    target: Target,
    outcome: &child::Outcome,
    output: Content,
    (tree, dirty): (Oid, bool),
) -> Draft {
    let result = match outcome.exit.success() {
        true => GateResult::Passed,
        false if outcome.timed_out || outcome.interrupted => GateResult::Error,
        false => GateResult::Failed,
    };
    let fact = GateChecked {
        gate: gate.to_owned(),
        command: args.command.iter().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        exit_code: i64::from(outcome.exit.code()),
        result,
        duration_ms: outcome.duration.as_millis() as u64,
        output: Some(output),
        tree,
        dirty,
        counts: None,
        environment: ctx.directory_below_top().map(|directory| {
            let bytes = serde_json::json!({ "directory": directory }).to_string().into_bytes();
            Content::Pending(Pending { bytes, whole: None, media: "application/json".into() })
        }),
    };
    Draft::new(Some(target.receipt), &format!("{gate} {result}"), Fact::GateChecked(fact))
}

fn tool_draft(
    args: &Args,
    target: Target,
    outcome: &child::Outcome,
    output: Content,
    changes: &[TreeChange],
) -> Draft {
    let status = match outcome.exit.success() {
        _ if outcome.interrupted => ToolStatus::Interrupted,
        true => ToolStatus::Ok,
        false => ToolStatus::Error,
    };
    let command = typed(&args.command);
    let fact = ToolCalled {
        tool: "run".into(),
        call_id: None,
        input: Some(command.clone().into()),
        output: Some(output),
        status,
        exit_code: Some(i64::from(outcome.exit.code())),
        duration_ms: Some(outcome.duration.as_millis() as u64),
        confirmation: None,
        step: Step::Hardened,
        files: changes.iter().take(100).map(file_change).collect(),
        more_files: more_files(changes),
        runtime: None,
        reason: outcome.timed_out.then(|| "timeout".into()),
    };
    Draft::new(Some(target.receipt), &command, Fact::ToolCalled(fact))
}

/// A change as a fact has it: no object ids for files that look secret, whose content could be guessed from one.
fn file_change(change: &TreeChange) -> FileChange {
    let secret = looks_secret(&change.path);
    FileChange {
        path: GitPath::new(change.path.clone()),
        change: change.change,
        before: change.before.filter(|_| !secret),
        after: change.after.filter(|_| !secret),
    }
}

/// The changes that do not fit a fact, as JSON lines.
fn more_files(changes: &[TreeChange]) -> Option<Content> {
    let rest = changes.get(100..).filter(|rest| !rest.is_empty())?;
    let lines: Vec<String> =
        rest.iter().filter_map(|change| serde_json::to_string(&file_change(change)).ok()).collect();
    let bytes = (lines.join("\n") + "\n").into_bytes();
    Some(Content::Pending(Pending { bytes, whole: None, media: "application/jsonl".into() }))
}

/// A closing without more than a few words.
pub(super) fn closing(status: CloseStatus, failure: Option<Failure>, summary: &str) -> ReceiptClosed {
    ReceiptClosed {
        status,
        output: "".into(),
        summary: summary.to_owned(),
        failure,
        remaining: None,
        human_ms: None,
        agent_ms: None,
        edits_by_human: None,
    }
}

/// A command line as a person would type it, for recording: what is in a word stays as it is.
fn typed(command: &[impl AsRef<OsStr>]) -> String {
    quoted(command, |word| format!("'{}'", word.replace('\'', "'\\''")))
}

/// A command line for somebody who is to agree to it, or to paste it: no two commands look alike, and everything in it is
/// seen.
pub fn shown(command: &[impl AsRef<OsStr>]) -> String {
    let hides = |c: char| c.is_control() || is_invisible(c) || is_odd_space(c);
    quoted(command, |word| match word.contains(hides) {
        true => format!("$'{}'", word.chars().map(|c| in_ansi_c(c, hides(c))).collect::<String>()),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    })
}

fn quoted(command: &[impl AsRef<OsStr>], quote: impl Fn(&str) -> String) -> String {
    let words = command.iter().map(|word| {
        let word = word.as_ref().to_string_lossy();
        let plain = |c: char| (c.is_alphanumeric() && !is_invisible(c)) || "-_./=:,+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { quote(&word) }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A character as it stands between `$'` and `'`.
fn in_ansi_c(c: char, hides: bool) -> String {
    match c {
        '\n' => "\\n".into(),
        '\t' => "\\t".into(),
        '\r' => "\\r".into(),
        '\'' | '\\' => format!("\\{c}"),
        // Byte by byte, so that it means the same in every locale.
        c if hides => c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        c => c.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_that_differ_look_different() {
        let of = |script: &str| shown(&["sh", "-c", script]);
        assert_eq!(of("true # see\ntouch X"), r"sh -c $'true # see\ntouch X'");
        assert_eq!(of(r"true # see\ntouch X"), r"sh -c 'true # see\ntouch X'");
        assert_eq!(of("a\u{3164}\u{a0}'\\"), r"sh -c $'a\xe3\x85\xa4\xc2\xa0\'\\'");
        assert_eq!(shown(&["\u{3164}", "it's", ""]), r"$'\xe3\x85\xa4' 'it'\''s' ''");
        assert_eq!(typed(&["sh", "-c", "a\nb"]), "sh -c 'a\nb'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Pasted into bash it is the command again.
        #[test]
        fn bash_reads_what_is_shown(
            words in prop::collection::vec(r"([a-f0-9]|[ -~]|[\n\t\x01-\x1f\x7f\\']|\PC|\u{3164}|\u{a0}|\u{85}){0,6}", 1..5),
        ) {
            let line = shown(&words);
            prop_assert!(!line.contains(|c: char| c.is_control() || is_invisible(c) || is_odd_space(c)), "{line:?}");
            let script = format!("printf '%s\\0' {line}");
            // Where there is no bash there is nothing to ask.
            if let Ok(output) = Command::new("bash").args(["--norc", "-c", &script]).output() {
                let read: String = words.iter().map(|word| format!("{word}\0")).collect();
                prop_assert_eq!(String::from_utf8_lossy(&output.stdout), read);
            }
        }
    }
}
