//! `git receipt open`

use std::path::PathBuf;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, Report, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Agent, Base, Estimate, ReceiptOpened, Risk};
use crate::domain::ids::{EntryRef, ReceiptId, Timestamp};
use crate::store::{ChainScope, OpenReceipt};

/// Open a receipt and print its id
///
/// The receipt stays open until `git receipt close`. Commands that record join the newest open receipt of the
/// worktree unless told otherwise.
#[derive(Debug, Clone, clap::Args, Default)]
pub struct Args {
    /// What shall be done, in a few words
    #[arg(short = 'm', long = "message", value_name = "SUMMARY")]
    pub summary: String,
    /// The task in full, from a file or (`-`) from standard input
    #[arg(long, value_name = "FILE")]
    pub task: Option<PathBuf>,
    /// What sort of task it is, as `bugfix`
    #[arg(long = "type", value_name = "T")]
    pub task_type: Option<String>,
    /// How the agent may work, as `plan`
    #[arg(long, value_name = "M")]
    pub mode: Option<String>,
    /// How bad it would be if it went wrong: low, medium, high or critical
    #[arg(long, value_name = "L")]
    pub risk: Option<Risk>,
    /// Which agent does it, as `claude-code`
    #[arg(long, value_name = "T")]
    pub agent: Option<String>,
    /// Which model the agent uses
    #[arg(long, value_name = "M", requires = "agent")]
    pub model: Option<String>,
    /// Record it in the chain of this agent session, not in the console's
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// A person's time for the same task, as `30m` or `2h`
    #[arg(long, value_name = "TIME")]
    pub estimate: Option<String>,
}

/// What `open` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Opened {
    /// The receipt's id.
    pub receipt: String,
    /// The chain it was recorded in.
    pub chain: String,
    /// The place of its opening there.
    pub seq: u64,
}

impl Report for Opened {
    const NAME: &'static str = "open";
}

/// Runs the command.
///
/// # Errors
/// When recording is not set up, or nothing could be written.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Opened> {
    ctx.check_recording()?;
    let task = match &args.task {
        Some(path) => read_text(path)?,
        None => args.summary.clone(),
    };
    let estimate = match &args.estimate {
        Some(text) => Some(Estimate { ms: parse_duration(text)?, by: ctx.identity().1 }),
        None => None,
    };
    let fact = ReceiptOpened {
        task: task.into(),
        summary: args.summary.clone(),
        mode: args.mode.clone(),
        risk: args.risk,
        base: Some(base(ctx)?),
        task_type: args.task_type.clone(),
        agent: args.agent.as_ref().map(|tool| Agent {
            tool: tool.clone(),
            version: None,
            model: args.model.clone(),
            id: None,
        }),
        parent: None,
        forked_from: None,
        estimate,
        envelope: None,
    };
    let session = args.session.as_ref().map(|id| {
        let source = args.agent.clone().unwrap_or_else(|| "session".into());
        (source, id.clone())
    });
    let (receipt, entry) = open_receipt(ctx, ctx.now, fact, session)?;
    Ok(Opened { receipt: receipt.to_string(), chain: entry.chain.to_string(), seq: entry.seq })
}

/// Opens a receipt in the console's chain or a session's, and notes it as open here.
///
/// # Errors
/// As appending.
pub fn open_receipt(
    ctx: &Context,
    time: Timestamp,
    fact: ReceiptOpened,
    session: Option<(String, String)>,
) -> anyhow::Result<(ReceiptId, EntryRef)> {
    open_with(ctx, Opening { time, fact, session, cites: Vec::new(), worktree: None })
}

/// What a receipt is opened with.
pub struct Opening {
    /// When.
    pub time: Timestamp,
    /// What its opening says.
    pub fact: ReceiptOpened,
    /// The session that it belongs to, as source and id; the console's if left out.
    pub session: Option<(String, String)>,
    /// Entries of other chains that it builds on.
    pub cites: Vec<EntryRef>,
    /// The worktree that it is open in; this one if left out.
    pub worktree: Option<PathBuf>,
}

/// As [`open_receipt`], with a say on the rest.
///
/// # Errors
/// As appending.
pub fn open_with(ctx: &Context, opening: Opening) -> anyhow::Result<(ReceiptId, EntryRef)> {
    let Opening { time, fact, session, cites, worktree } = opening;
    let receipt = ctx.store.new_receipt_id(time);
    let title = fact.summary.clone();
    let draft = Draft::new(Some(receipt), &title, Fact::ReceiptOpened(fact));
    let draft = cites.into_iter().fold(draft, Draft::citing);
    let scope = match &session {
        Some((source, id)) => ChainScope::Session { source: source.clone(), id: id.clone() },
        None => ChainScope::Console,
    };
    let report = ctx.append_to(scope, ctx.role(), None, vec![draft])?;
    let entry = report.entries[0].entry;
    let owner = ctx.recorder()?.id().clone();
    let worktree = worktree.unwrap_or_else(|| ctx.store.worktree_id());
    ctx.store.note_opened(OpenReceipt {
        receipt,
        opened: entry,
        owner,
        worktree,
        session,
        closed: None,
        staged: None,
    })?;
    Ok((receipt, entry))
}

/// What HEAD is, and whether tracked or new files differ from it.
///
/// # Errors
/// On an unborn branch, which has nothing to start from.
pub fn base(ctx: &Context) -> anyhow::Result<Base> {
    let head = ctx.store.head()?;
    let commit = head.commit.ok_or_else(|| {
        user_error("there is no commit yet to start from", "make a first commit, then try again")
    })?;
    let tree = ctx.store.tree_of(commit)?.with_context(|| format!("commit `{commit}` is not here"))?;
    let branch = head.branch.map(|name| short(&name));
    let dirty = ctx.store.is_dirty()?;
    Ok(Base { commit, tree, branch, dirty })
}

/// A branch without `refs/heads/`.
pub fn short(name: &str) -> String {
    name.strip_prefix("refs/heads/").unwrap_or(name).to_owned()
}

/// Reads text from a file, or from standard input for `-`.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read_text(path: &std::path::Path) -> anyhow::Result<String> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes)
        .map_err(|_| user_error(format!("`{}` is not UTF-8", path.display()), "give text in UTF-8"))
}

/// Reads bytes from a file, or from standard input for `-`.
///
/// # Errors
/// When it cannot be read.
pub fn read_bytes(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)
            .context("cannot read standard input")?;
        return Ok(bytes);
    }
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// Reads `90s`, `30m`, `2h`, `1h30m` as milliseconds.
///
/// # Errors
/// When it is no such duration.
pub fn parse_duration(text: &str) -> anyhow::Result<u64> {
    let wrong = || user_error(format!("`{text}` is no duration"), "write it as `90s`, `30m` or `2h`");
    let (mut total, mut digits) = (0_u64, String::new());
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        total = number.checked_mul(unit).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        digits.clear();
    }
    if !digits.is_empty() || total == 0 {
        return Err(wrong());
    }
    Ok(total)
}
