//! What a receipt did outside of the repository, which nothing here can take back.

use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::Context;
use crate::commands::run::shown;
use crate::commands::verify::Picture;
use crate::domain::fact::Fact;
use crate::domain::fact::values::Content;
use crate::domain::fold::{Receipt, Step};

/// A command that ran.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Effect {
    /// The number of its entry among the receipt's own entries.
    pub n: u64,
    /// The tool that ran it, or `gate` with the gate's name.
    pub what: String,
    /// The command, as far as it was recorded and is here.
    pub command: Option<String>,
    /// How the tool ended, or what the gate said.
    pub result: String,
}

/// Tools that run what they are told, by the names that agents have for them.
const SHELLS: [&str; 12] = [
    "bash",
    "cmd",
    "exec",
    "execute",
    "local_shell",
    "powershell",
    "pwsh",
    "run",
    "run_command",
    "run_shell_command",
    "sh",
    "shell",
];

/// The commands that the receipt's own entries from `first` on say ran.
///
/// # Errors
/// When a content is here and not what its entry names.
pub fn effects(
    ctx: &Context,
    picture: &Picture,
    receipt: &Receipt,
    first: usize,
) -> anyhow::Result<Vec<Effect>> {
    let mut found = Vec::new();
    for (n, step) in receipt.steps.iter().enumerate().skip(first) {
        let (what, command, result) = match fact(picture, step) {
            Some(Fact::ToolCalled(call)) if SHELLS.contains(&call.tool.to_lowercase().as_str()) => {
                let command = match &call.input {
                    Some(input) => command_in(ctx, input)?,
                    None => None,
                };
                (call.tool.clone(), command, call.status.to_string())
            }
            Some(Fact::GateChecked(gate)) => {
                (format!("gate {}", gate.gate), Some(shown(&gate.command)), gate.result.to_string())
            }
            _ => continue,
        };
        found.push(Effect { n: n as u64, what, command, result });
    }
    Ok(found)
}

fn fact<'p>(picture: &'p Picture, step: &Step) -> Option<&'p Fact> {
    Some(&picture.link(&step.commit)?.entry.as_ref()?.body.fact)
}

/// The command that a tool was given: the text itself, or what stands for it in an agent's input.
fn command_in(ctx: &Context, input: &Content) -> anyhow::Result<Option<String>> {
    let Some(text) = ctx.text_of(input)? else { return Ok(None) };
    let named = serde_json::from_str::<serde_json::Value>(&text).ok();
    let named = named.as_ref().and_then(|value| value.get("command")?.as_str()).map(str::to_owned);
    Ok(Some(named.unwrap_or(text)))
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
            let short: String = line.chars().take(300).collect();
            let more = if short.len() < line.len() { "…" } else { "" };
            let times = if times > 1 { format!(", {times} times") } else { String::new() };
            self.notice(format!("ran and is not taken back: {short}{more}{times}"));
        }
    }
}
