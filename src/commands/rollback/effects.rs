//! What a receipt did outside of the repository, which nothing here can take back.

use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::Context;
use crate::commands::run::shown;
use crate::commands::verify::Picture;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{ToolCalled, ToolStatus};
use crate::domain::fold::{Origin, Receipt, Step};

/// A command or tool that ran.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Effect {
    /// The number of its entry among the receipt's own entries; nothing where a fork inherited it.
    pub n: Option<u64>,
    /// Its entry, as `chain@seq`.
    pub entry: String,
    /// The tool that ran it, or `gate` with the gate's name.
    pub what: String,
    /// The command, or else all that the tool was given, as far as it was recorded and is here.
    pub command: Option<String>,
    /// How the tool ended, or what the gate said.
    pub result: String,
}

/// Tools that only look, by the names that agents have for them: what they do is over when they return.
const READERS: [&str; 21] = [
    "find_file",
    "file_search",
    "glob",
    "grep",
    "grep_search",
    "list_dir",
    "list_directory",
    "list_files",
    "ls",
    "notebookread",
    "read",
    "read_file",
    "read_many_files",
    "search_file_content",
    "search_files",
    "todoread",
    "todowrite",
    "view",
    "view_file",
    "web_search",
    "websearch",
];

/// Tools that change files which their entries name.
const EDITORS: [&str; 11] = [
    "apply_patch",
    "create_file",
    "edit",
    "edit_file",
    "multiedit",
    "notebookedit",
    "replace",
    "search_replace",
    "str_replace",
    "write",
    "write_file",
];

/// What the receipt's own entries from `first` on say ran.
///
/// # Errors
/// When a content is here and not what its entry names.
pub fn effects(
    ctx: &Context,
    picture: &Picture,
    receipt: &Receipt,
    first: usize,
) -> anyhow::Result<Vec<Effect>> {
    let own = receipt.steps.iter().enumerate().map(|(n, step)| (Some(n), step));
    told(ctx, picture, own.skip(first))
}

/// What ran after the first `seen` of a receipt's entries, with those that a fork inherited counted first.
///
/// # Errors
/// As [`effects`].
pub fn effects_after(
    ctx: &Context,
    picture: &Picture,
    receipt: &Receipt,
    seen: usize,
) -> anyhow::Result<Vec<Effect>> {
    let inherited = receipt.origin.iter().flat_map(Origin::steps).map(|step| (None, step));
    let own = receipt.steps.iter().enumerate().map(|(n, step)| (Some(n), step));
    told(ctx, picture, inherited.chain(own).skip(seen))
}

fn told<'r>(
    ctx: &Context,
    picture: &Picture,
    steps: impl Iterator<Item = (Option<usize>, &'r Step)>,
) -> anyhow::Result<Vec<Effect>> {
    let mut found = Vec::new();
    for (n, step) in steps {
        let (what, command, result) = match fact(picture, step) {
            Some(Fact::ToolCalled(call)) => {
                let given = match &call.input {
                    Some(input) => ctx.text_of(input)?,
                    None => None,
                };
                let command = given.as_deref().and_then(command_in);
                if command.is_none() && stays_inside(call) {
                    continue;
                }
                (call.tool.clone(), command.or(given), call.status.to_string())
            }
            Some(Fact::GateChecked(gate)) => {
                (format!("gate {}", gate.gate), Some(shown(&gate.command)), gate.result.to_string())
            }
            _ => continue,
        };
        let entry = format!("{}@{}", step.entry.chain, step.entry.seq);
        found.push(Effect { n: n.map(|n| n as u64), entry, what, command, result });
    }
    Ok(found)
}

fn fact<'p>(picture: &'p Picture, step: &Step) -> Option<&'p Fact> {
    Some(&picture.link(&step.commit)?.entry.as_ref()?.body.fact)
}

/// Whether a tool is known to do nothing but look, or to change files that are recorded. Of any other nobody knows.
fn stays_inside(call: &ToolCalled) -> bool {
    let name = call.tool.to_lowercase();
    let did_nothing = matches!(call.status, ToolStatus::Error | ToolStatus::Denied);
    let recorded = !call.files.is_empty() && call.files.iter().all(|file| is_inside(file.path.as_bytes()));
    READERS.contains(&name.as_str()) || EDITORS.contains(&name.as_str()) && (did_nothing || recorded)
}

/// Whether a path is one below the top of the working tree: any other is kept as the tool was given it.
fn is_inside(path: &[u8]) -> bool {
    let drive = path.get(1) == Some(&b':');
    let climbs = path.split(|byte| *byte == b'/').any(|part| part == b"..");
    !drive && !climbs && !path.starts_with(b"/") && !path.starts_with(b"~")
}

/// The command in what a tool was given: its words, or the text itself.
fn command_in(given: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(given).ok()?;
    let command = value.get("command")?;
    if let Some(text) = command.as_str() {
        return Some(text.to_owned());
    }
    let words: Option<Vec<&str>> =
        command.as_array().and_then(|words| words.iter().map(|word| word.as_str()).collect());
    Some(words.map_or_else(|| command.to_string(), |words| shown(&words)))
}

/// The longest line about a command; of a longer one beginning and end are shown, as what it does may stand in either.
const LONGEST: usize = 300;

fn cut(line: &str) -> String {
    let count = line.chars().count();
    if count <= LONGEST {
        return line.to_owned();
    }
    let half = (LONGEST - 3) / 2;
    let head: String = line.chars().take(half).collect();
    let tail: String = line.chars().skip(count - half).collect();
    format!("{head} … {tail}")
}

impl Context {
    /// Tells the person which commands ran and stay as they are.
    pub(super) fn tell_effects(&self, effects: &[Effect]) {
        let mut told: Vec<(String, u64)> = Vec::new();
        for effect in effects {
            let command = effect.command.as_deref().unwrap_or("(withheld)");
            let line =
                format!("{}: {}", effect.what, command.split_whitespace().collect::<Vec<_>>().join(" "));
            match told.iter_mut().find(|(known, _)| *known == line) {
                Some((_, times)) => *times += 1,
                None => told.push((line, 1)),
            }
        }
        for (line, times) in told {
            let times = if times > 1 { format!(", {times} times") } else { String::new() };
            self.notice(format!("ran and is not taken back: {}{times}", cut(&line)));
        }
    }
}
