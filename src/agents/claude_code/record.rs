//! One line of a transcript, sorted by what it means.

use serde_json::Value;

use crate::domain::ids::Timestamp;

/// A line, or the message that a progress line wraps.
pub(super) struct Record<'a> {
    /// Its number, counted from 1.
    pub line: usize,
    /// When.
    pub time: Option<Timestamp>,
    /// Its own id.
    pub uuid: Option<&'a str>,
    /// The directory it was written in.
    pub directory: Option<&'a str>,
    /// The sub-agent that it is of.
    pub agent: Option<String>,
    /// How the agent was allowed to work.
    pub mode: Option<&'a str>,
    /// What it says.
    pub says: Says<'a>,
}

/// What a line says.
pub(super) enum Says<'a> {
    /// A user line: results of tools, or words.
    User { results: Vec<ToolResult<'a>>, words: Words },
    /// Part of an API message.
    Assistant { message: &'a Value, request: &'a str, api_error: bool },
    /// The agent came to the end of its turn; with its time where measured.
    TurnEnded(Option<u64>),
    /// What a person typed while the agent worked, as it was given to it.
    Queued(String),
    /// The measured time of a call.
    Elapsed(&'a str, u64),
    /// Nothing of interest.
    Other,
}

/// Words on a user line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Words {
    /// None.
    None,
    /// A person's prompt, or a sub-agent's task.
    Prompt(String),
    /// A slash command: a prompt if the agent is then told what it means, else carried out by the program itself.
    Command(String),
    /// What the program tells the agent by itself.
    Meta,
    /// Output of what the program carried out by itself, and the like.
    Local,
    /// The person interrupted the agent.
    Interrupted,
}

/// A result block.
pub(super) struct ToolResult<'a> {
    /// The call it is of.
    pub id: &'a str,
    /// Its text.
    pub text: Option<String>,
    /// Whether it is an error.
    pub is_error: bool,
    /// What the tool returned.
    pub detail: &'a Value,
}

/// Sorts a line. A line that is no object says nothing and is a problem for the caller to tell.
pub(super) fn record(line: usize, value: &Value) -> Record<'_> {
    let data = value.get("data").unwrap_or(&Value::Null);
    let wrapped = (text(value, "type") == Some("progress") && text(data, "type") == Some("agent_progress"))
        .then(|| data.get("message"))
        .flatten();
    let inner = wrapped.unwrap_or(value);
    let side_chain = wrapped.is_some() || flag(value, "isSidechain");
    let agent = side_chain.then(|| {
        let named = text(data, "agentId").or_else(|| text(value, "agentId"));
        named.unwrap_or("unknown").to_owned()
    });
    Record {
        line,
        time: time(inner).or_else(|| time(value)),
        uuid: text(inner, "uuid").or_else(|| text(value, "uuid")),
        directory: text(value, "cwd"),
        agent,
        mode: text(value, "permissionMode"),
        says: says(inner, value, data),
    }
}

fn says<'a>(inner: &'a Value, outer: &'a Value, data: &'a Value) -> Says<'a> {
    match text(inner, "type").unwrap_or("") {
        "user" => user(inner),
        "assistant" => Says::Assistant {
            message: inner.get("message").unwrap_or(&Value::Null),
            request: text(inner, "requestId").unwrap_or(""),
            api_error: flag(inner, "isApiErrorMessage"),
        },
        "progress" => match text(data, "type") {
            Some("hook_progress") if text(data, "hookEvent") == Some("Stop") => Says::TurnEnded(None),
            Some("mcp_progress") => {
                match (text(outer, "toolUseID"), data.get("elapsedTimeMs").and_then(Value::as_u64)) {
                    (Some(id), Some(ms)) => Says::Elapsed(id, ms),
                    _ => Says::Other,
                }
            }
            _ => Says::Other,
        },
        "system" => match text(inner, "subtype") {
            Some("turn_duration") => Says::TurnEnded(inner.get("durationMs").and_then(Value::as_u64)),
            Some("stop_hook_summary") => Says::TurnEnded(None),
            _ => Says::Other,
        },
        "attachment" => {
            let attached = inner.get("attachment").unwrap_or(&Value::Null);
            let by_person = text(attached, "type") == Some("queued_command")
                && text(attached, "commandMode").unwrap_or("prompt") == "prompt"
                && attached.get("origin").and_then(|o| text(o, "kind")).unwrap_or("human") == "human"
                && !flag(attached, "isMeta");
            match attached.get("prompt").filter(|_| by_person).map(|prompt| sort(&blocks(prompt))) {
                Some(Words::Prompt(said) | Words::Command(said)) => Says::Queued(said),
                _ => Says::Other,
            }
        }
        _ => Says::Other,
    }
}

fn user(inner: &Value) -> Says<'_> {
    let content = inner.get("message").and_then(|message| message.get("content")).unwrap_or(&Value::Null);
    let mut results = Vec::new();
    for block in content.as_array().into_iter().flatten() {
        if text(block, "type") == Some("tool_result") {
            // A line's details are of its only result; of several, nobody knows which.
            results.push(ToolResult {
                id: text(block, "tool_use_id").unwrap_or(""),
                text: block.get("content").and_then(result_text),
                is_error: flag(block, "is_error"),
                detail: inner.get("toolUseResult").unwrap_or(&Value::Null),
            });
        }
    }
    if results.len() > 1 {
        results.iter_mut().for_each(|result| result.detail = &Value::Null);
    }
    let by_program = ["isCompactSummary", "isVisibleInTranscriptOnly"].iter().any(|name| flag(inner, name))
        || inner.get("origin").and_then(|o| text(o, "kind")).is_some_and(|kind| kind != "human");
    let words = match sort(&blocks(content)) {
        Words::Prompt(_) | Words::Command(_) if by_program => Words::Local,
        Words::Prompt(_) | Words::Command(_) if !results.is_empty() => Words::None,
        Words::Prompt(_) | Words::Command(_) if flag(inner, "isMeta") => Words::Meta,
        words => words,
    };
    Says::User { results, words }
}

/// The text blocks of a message; an image stands as `[image]`.
fn blocks(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(blocks) => blocks
            .iter()
            .filter_map(|block| match text(block, "type") {
                Some("text") => text(block, "text"),
                Some("image") => Some("[image]"),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Beginnings of text that the program puts beside or in place of a person's words.
const BESIDE: &[&str] = &["<system-reminder>", "<ide_", "[Image: "];
const IN_PLACE: &[&str] = &[
    "<local-command-",
    "<bash-input>",
    "<bash-stdout>",
    "<bash-stderr>",
    "<user-memory-input>",
    "<task-notification>",
    "<teammate-message",
    "Caveat: The messages below were generated by the user while running local commands",
    "This session is being continued from a previous conversation",
    "Stop hook feedback:",
];

/// Sorts words by whose they are.
pub(super) fn sort(blocks: &[&str]) -> Words {
    let said: Vec<&str> = blocks
        .iter()
        .copied()
        .filter(|text| {
            !text.trim().is_empty() && !BESIDE.iter().any(|start| text.trim_start().starts_with(start))
        })
        .collect();
    let Some(first) = said.first().map(|text| text.trim_start()) else { return Words::None };
    if first.starts_with("[Request interrupted by user") {
        Words::Interrupted
    } else if IN_PLACE.iter().any(|start| first.starts_with(start)) {
        Words::Local
    } else if first.starts_with("<command-name>") || first.starts_with("<command-message>") {
        match tagged(first, "command-name").map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => {
                let args = tagged(first, "command-args").unwrap_or("").trim();
                Words::Command(format!("{name} {args}").trim_end().to_owned())
            }
            None => Words::Local,
        }
    } else {
        Words::Prompt(said.join("\n"))
    }
}

fn tagged<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside)
}

/// The text of a result; what is no text stands as its type in brackets.
fn result_text(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) => Some(
            blocks
                .iter()
                .map(|block| match text(block, "type") {
                    Some("text") => text(block, "text").unwrap_or("").to_owned(),
                    kind => format!("[{}]", kind.unwrap_or("unknown")),
                })
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        _ => None,
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    match value.get("timestamp")? {
        Value::String(text) => Timestamp::from_rfc3339(text),
        number => number.as_i64().filter(|ms| *ms > 0).map(Timestamp::from_unix_ms),
    }
}

/// A field of text.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool) == Some(true)
}
