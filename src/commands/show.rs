//! `git receipt show`

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::lines_view::{FileView, view};
use super::log::EntryView;
use super::proposal::lines_error;
use super::summary::{Summary, facts, summarize};
use super::verify::Picture;
use super::{Context, Report, UserError, user_error};
use crate::domain::fact::Fact;
use crate::domain::fact::values::Content;
use crate::domain::fold::{Receipt, Step};

/// Show one receipt: task, state, tools, gates, files, tokens, commits
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The receipt
    #[arg(value_name = "R")]
    pub receipt: String,
    /// Also list the lines of its proposal, with what became of each
    #[arg(long, conflicts_with_all = ["output", "raw", "format"])]
    pub lines: bool,
    /// Print what the receipt's own entry N (from 0) holds as content: output, else task, input or text
    #[arg(long, value_name = "N", conflicts_with_all = ["raw", "format"])]
    pub output: Option<usize>,
    /// Print the signed bytes of its entries, one a line
    #[arg(long, conflicts_with = "format")]
    pub raw: bool,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// Forms of a receipt for people and other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One compact JSON object: timestamp, mode, tools, gates, files, summary.
    Lex,
}

/// The receipt.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shown {
    /// The numbers.
    #[serde(flatten)]
    pub summary: Summary,
    /// What was asked, where that is here.
    pub task: Option<String>,
    /// Retrievals made.
    pub retrievals: u64,
    /// What a fork inherited, in order: entries of other receipts, which the numbers above leave out.
    pub inherited: Vec<EntryView>,
    /// Entries that count, in order.
    pub steps: Vec<EntryView>,
    /// The lines of its proposal, where they were asked for.
    pub lines: Option<Vec<FileView>>,
    /// Printed in place of the view for people: raw bytes, one content, or the compact form.
    #[serde(skip)]
    pub instead: Option<Vec<u8>>,
}

impl Report for Shown {
    const NAME: &'static str = "show";
}

/// Runs the command.
///
/// # Errors
/// When there is no such receipt; exit code 4 when a content that was asked for is withheld.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Shown> {
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    let target = picture.target(ctx, &args.receipt)?;
    let receipt = picture.receipt(target.receipt)?;
    let summary = summarize(&ctx.store, receipt, &picture, &trust);
    let all: Vec<&Fact> = facts(receipt, &picture).collect();
    let task = match all.first() {
        Some(Fact::ReceiptOpened(opened)) => ctx.text_of(&opened.task)?,
        _ => None,
    };
    let instead = if let Some(n) = args.output {
        let fact = all.get(n).ok_or_else(|| {
            user_error(format!("receipt has {} entries, no entry {n}", all.len()), "entries count from 0")
        })?;
        Some(content_of(ctx, fact, n)?)
    } else if args.raw {
        let mut raw = Vec::new();
        for step in &receipt.steps {
            let bytes = ctx.store.commit_bytes(step.commit)?.unwrap_or_default();
            if let Ok(layout) = crate::domain::commit::parse(&bytes) {
                raw.extend_from_slice(layout.body);
                raw.push(b'\n');
            }
        }
        Some(raw)
    } else if args.format == Format::Lex {
        Some(lex(&summary, &all)?)
    } else {
        None
    };
    let lines = match args.lines {
        true => Some(lines_of(ctx, &picture, receipt)?),
        false => None,
    };
    let views = |steps: &mut dyn Iterator<Item = &Step>| {
        let links = steps.filter_map(|step| picture.link(&step.commit));
        links.filter_map(|link| super::log::view(link, &picture, &trust)).collect::<Vec<_>>()
    };
    Ok(Shown {
        task,
        retrievals: all.iter().filter(|fact| matches!(fact, Fact::RetrievalMade(_))).count() as u64,
        inherited: receipt.origin.as_ref().map(|origin| views(&mut origin.steps())).unwrap_or_default(),
        steps: views(&mut receipt.steps.iter()),
        summary,
        lines,
        instead,
    })
}

/// The lines of a receipt's proposal with their states.
fn lines_of(ctx: &Context, picture: &Picture, receipt: &Receipt) -> anyhow::Result<Vec<FileView>> {
    let proposal = picture.proposal(receipt)?;
    let loaded = ctx.load(&proposal.made)?;
    ctx.check(&loaded)?;
    let states = Some(&proposal.lines);
    view(&loaded.table, &loaded.base, &loaded.proposed, &ctx.store, None, states).map_err(lines_error)
}

/// The content that an entry is about.
fn content_of(ctx: &Context, fact: &Fact, n: usize) -> anyhow::Result<Vec<u8>> {
    let mut fact = fact.clone();
    let contents = fact.contents_mut();
    let chosen = contents.iter().find(|(name, _)| *name == "output").or_else(|| contents.first());
    let Some((name, content)) = chosen else {
        return Err(user_error(
            format!("entry {n} holds no content"),
            "`git receipt show --raw` with the receipt prints it",
        ));
    };
    match ctx.bytes_of(content)? {
        Some(bytes) => Ok(bytes),
        None => Err(UserError {
            message: format!("the {name} of entry {n} is withheld: its artifact is not here"),
            hint: Some("artifacts stay in the clone that made them unless `receipt.share` is `all`".into()),
            code: 4,
        }
        .into()),
    }
}

impl Context {
    /// The bytes of a content, if they are here.
    ///
    /// # Errors
    /// When they are here and not what the entry names.
    pub fn bytes_of(&self, content: &Content) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(match content {
            Content::Inline(text) => Some(text.clone().into_bytes()),
            Content::Detached(detached) => self.store.read_content(detached)?,
            Content::Pending(pending) => Some(pending.bytes.clone()),
        })
    }

    /// As [`Context::bytes_of`], as text.
    ///
    /// # Errors
    /// As [`Context::bytes_of`].
    pub fn text_of(&self, content: &Content) -> anyhow::Result<Option<String>> {
        Ok(self.bytes_of(content)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// The compact form.
fn lex(summary: &Summary, facts: &[&Fact]) -> anyhow::Result<Vec<u8>> {
    let mut tools: Vec<&str> = Vec::new();
    let mut mode = None;
    for fact in facts {
        match fact {
            Fact::ToolCalled(call) if !tools.contains(&call.tool.as_str()) => tools.push(&call.tool),
            Fact::ReceiptOpened(opened) => mode = opened.mode.as_deref(),
            _ => {}
        }
    }
    let gates: serde_json::Map<_, _> = summary
        .gates
        .iter()
        .map(|gate| {
            let word = match (gate.result.as_str(), gate.unproven) {
                (_, true) => "unproven",
                ("passed", _) => "pass",
                ("failed", _) => "fail",
                _ => "blocked",
            };
            (gate.gate.clone(), json!(word))
        })
        .collect();
    let form = json!({
        "timestamp": summary.opened,
        "mode": mode,
        "tools_invoked": tools,
        "gates": gates,
        "files_touched": summary.files,
        "summary": summary.summary,
    });
    let mut bytes = serde_json::to_vec(&form)?;
    bytes.push(b'\n');
    Ok(bytes)
}
