//! `git receipt list`

use schemars::JsonSchema;
use serde::Serialize;

use super::summary::{Summary, summarize};
use super::{Context, Report, user_error};
use crate::domain::fold::Receipt;
use crate::domain::ids::Timestamp;

/// List receipts, newest first
#[derive(Debug, Clone, clap::Args, Default)]
pub struct Args {
    /// Only open ones
    #[arg(long)]
    pub open: bool,
    /// Only those in this state: open, completed, rejected, modified, escalated, failed or cancelled
    #[arg(long, value_name = "S", conflicts_with = "open")]
    pub state: Option<String>,
    /// Only those opened since then: a date or time in RFC 3339, or an age as `7d`
    #[arg(long, value_name = "D")]
    pub since: Option<String>,
    /// Only those of this agent
    #[arg(long, value_name = "A")]
    pub agent: Option<String>,
    /// Only those that touched this path or something below it
    #[arg(long, value_name = "P")]
    pub path: Option<String>,
    /// Only those that were forked from this receipt
    #[arg(long, value_name = "R")]
    pub forks_of: Option<String>,
    /// At most so many
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    pub max_count: Option<usize>,
}

/// The receipts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    /// Newest first.
    pub receipts: Vec<Summary>,
}

impl Report for Listed {
    const NAME: &'static str = "list";
}

/// Runs the command.
///
/// # Errors
/// When a filter cannot be read or the chains cannot.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Listed> {
    let since = args.since.as_deref().map(|text| parse_since(text, ctx.now)).transpose()?;
    if let Some(state) = args.state.as_deref().filter(|state| !STATES.contains(state)) {
        let message = format!("`{}` is no state of a receipt", state.escape_debug());
        return Err(user_error(message, format!("the states are `{}`", STATES.join("`, `"))));
    }
    let path = args.path.as_deref().map(|path| ctx.path_from_top(path));
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let forked = match &args.forks_of {
        Some(name) => Some(picture.target(ctx, name)?.receipt),
        None => None,
    };
    let origin = |receipt: &Receipt| receipt.origin.as_ref().and_then(|origin| origin.receipt);
    let state = if args.open { Some("open") } else { args.state.as_deref() };
    let mut receipts: Vec<Summary> = picture
        .folded
        .receipts()
        .into_iter()
        .rev()
        .filter(|receipt| since.is_none_or(|since| receipt.opened_at >= since))
        .filter(|receipt| forked.is_none() || origin(receipt) == forked)
        .map(|receipt| summarize(&ctx.store, receipt, &picture, &trust))
        .filter(|summary| state.is_none_or(|state| summary.state == state))
        .filter(|summary| args.agent.is_none() || summary.agent == args.agent)
        .filter(|summary| path.as_deref().is_none_or(|path| touches(summary, path)))
        .collect();
    receipts.truncate(args.max_count.unwrap_or(usize::MAX));
    Ok(Listed { receipts })
}

/// The states that a receipt can be in.
const STATES: &[&str] = &["open", "completed", "rejected", "modified", "escalated", "failed", "cancelled"];

impl Context {
    /// A path that a person gave, from the top of the working tree: relative to where they are, or absolute. One that
    /// leads elsewhere stays as it is.
    pub fn path_from_top(&self, given: &str) -> String {
        let top = self.store.work_dir().and_then(|top| std::fs::canonicalize(top).ok());
        let here = std::fs::canonicalize(&self.env.directory).ok();
        let (Some(top), Some(here)) = (top, here) else { return given.to_owned() };
        let mut parts = Vec::new();
        for part in here.join(given).components() {
            match part {
                std::path::Component::CurDir => {}
                std::path::Component::ParentDir => drop(parts.pop()),
                other => parts.push(other.as_os_str().to_owned()),
            }
        }
        let path: std::path::PathBuf = parts.into_iter().collect();
        let below = path.strip_prefix(&top).ok().map(|below| {
            let text = below.to_string_lossy();
            if cfg!(windows) { text.replace('\\', "/") } else { text.into_owned() }
        });
        below.filter(|below| !below.is_empty()).unwrap_or_else(|| given.to_owned())
    }
}

fn touches(summary: &Summary, path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    summary.files.iter().any(|file| file == path || file.starts_with(&folder))
}

/// Reads a date, a time or an age.
///
/// # Errors
/// When it is none of these.
pub fn parse_since(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(age) = super::open::parse_duration(text) {
        return Ok(Timestamp::from_unix_ms(now.unix_ms() - i64::try_from(age).unwrap_or(i64::MAX)));
    }
    Timestamp::from_rfc3339(text)
        .or_else(|| Timestamp::from_rfc3339(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| user_error(format!("`{text}` is no date"), "write `2026-11-21`, a full time, or `7d`"))
}
