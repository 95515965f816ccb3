//! One hook payload, sorted by what it means.
//!
//! Events that say nothing worth keeping, and those nobody knows yet, are [`Event::Other`]. Names that older
//! versions or the plugin kit use are accepted beside the present ones.

use serde_json::Value;

use super::record::{Words, sort, text};
use crate::agents::clip;

/// What the agent told a hook.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// The session's id, untrusted text.
    pub session: String,
    /// The sub-agent that it is about.
    pub agent: Option<String>,
    /// Where the transcript is.
    pub transcript: Option<String>,
    /// The directory the agent works in.
    pub directory: Option<String>,
    /// How the agent is allowed to work.
    pub mode: Option<String>,
    /// Whether bytes that are no UTF-8 were replaced.
    pub repaired: bool,
    /// What happened.
    pub event: Event,
}

impl Payload {
    /// What is odd about it, though it can be recorded.
    pub fn oddities(&self) -> Vec<String> {
        let mut odd = Vec::new();
        if self.repaired {
            odd.push("the payload was no UTF-8, and bytes that were none were replaced".to_owned());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if self.session.len() > 128 || self.session.contains("..") || !self.session.chars().all(plain) {
            let shown: String = self.session.escape_debug().take(100).collect();
            odd.push(format!("session id `{shown}` is no plain name, and is taken as text only"));
        }
        odd
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A session began or went on, with its model where known.
    SessionStarted { model: Option<String> },
    /// A person said something.
    Prompted { text: String },
    /// A call is about to be made.
    CallBegins(ToolUse),
    /// A call came to its end.
    CallEnded { call: ToolUse, ending: Ending },
    /// A person is asked whether a call may be made.
    PermissionAsked(ToolUse),
    /// A call may not be made.
    PermissionDenied { call: ToolUse, reason: String, source: String },
    /// The agent ended its turn, with its last words where told.
    Stopped { said: Option<String>, failed: bool },
    /// The session is over.
    SessionEnded,
    /// Something else, by its name.
    Other(String),
}

/// A call as hooks tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolUse {
    /// The agent's id; none where the agent gives none.
    pub id: Option<String>,
    /// The tool.
    pub tool: String,
    /// What it was given.
    pub input: Value,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// What the tool returned.
    pub detail: Value,
    /// The same as text.
    pub text: Option<String>,
    /// Whether it failed.
    pub is_error: bool,
    /// The measured time in milliseconds.
    pub elapsed_ms: Option<u64>,
    /// Who allowed or refused it, where the payload says so.
    pub decision_source: Option<String>,
}

/// Why bytes are no payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// They are no JSON object.
    #[error("the payload is no JSON object: {0}")]
    NotAnObject(String),
    /// A field that every event has is missing or of another type.
    #[error("the payload of event `{event}` has no `{field}`")]
    Missing {
        /// The event, clipped.
        event: String,
        /// The field.
        field: &'static str,
    },
}

/// The longest session id, path or name that is taken as it is.
const NAME_MAX: usize = 4096;

/// Reads a payload. Bytes that are no UTF-8 are replaced, as an agent may pass on a tool's raw output.
///
/// # Errors
/// When it is no JSON object, or lacks its session or its event's name.
pub fn read(bytes: &[u8]) -> Result<Payload, PayloadError> {
    let said = String::from_utf8_lossy(bytes);
    let repaired = matches!(said, std::borrow::Cow::Owned(_));
    let value: Value =
        serde_json::from_str(&said).map_err(|error| PayloadError::NotAnObject(error.to_string()))?;
    if !value.is_object() {
        return Err(PayloadError::NotAnObject("it is of another type".into()));
    }
    let named = ["hook_event_name", "event", "hook_event"].iter().find_map(|name| text(&value, name));
    let name = clip(named.unwrap_or(""), 100);
    let missing = |field| PayloadError::Missing { event: name.clone(), field };
    if name.is_empty() {
        return Err(missing("hook_event_name"));
    }
    let session =
        text(&value, "session_id").filter(|id| !id.is_empty()).ok_or_else(|| missing("session_id"))?;
    let own = |field: &str| text(&value, field).filter(|text| !text.is_empty()).map(|t| clip(t, NAME_MAX));
    Ok(Payload {
        session: clip(session, NAME_MAX),
        agent: own("agent_id"),
        transcript: own("transcript_path"),
        directory: own("cwd"),
        mode: own("permission_mode"),
        repaired,
        event: event(&name, &value).unwrap_or(Event::Other(name)),
    })
}

fn event(name: &str, value: &Value) -> Option<Event> {
    Some(match name {
        "SessionStart" => Event::SessionStarted {
            model: value
                .get("model")
                .and_then(|model| model.as_str().or_else(|| text(model, "id")))
                .map(str::to_owned),
        },
        "UserPromptSubmit" => {
            let said = first(value, &["prompt", "user_prompt"])?;
            match sort(&prompt_blocks(said)) {
                Words::Prompt(text) | Words::Command(text) => Event::Prompted { text },
                // What the program puts in a person's place.
                _ => return None,
            }
        }
        "PreToolUse" => Event::CallBegins(tool_use(value)?),
        "PostToolUse" | "PostToolUseFailure" => {
            let call = tool_use(value)?;
            let ending = ending(&call, value, name == "PostToolUseFailure");
            Event::CallEnded { call, ending }
        }
        "PermissionRequest" => Event::PermissionAsked(tool_use(value)?),
        "PermissionDenied" => Event::PermissionDenied {
            call: tool_use(value)?,
            reason: text(value, "reason").unwrap_or("").to_owned(),
            source: decision_source(value).unwrap_or_else(|| "config".to_owned()),
        },
        // A sub-agent's stop ends no turn of the person's.
        "Stop" | "StopFailure" if value.get("agent_id").is_none_or(Value::is_null) => Event::Stopped {
            said: text(value, "last_assistant_message").map(str::to_owned),
            failed: name == "StopFailure",
        },
        "SessionEnd" => Event::SessionEnded,
        _ => return None,
    })
}

fn tool_use(value: &Value) -> Option<ToolUse> {
    Some(ToolUse {
        id: text(value, "tool_use_id").filter(|id| !id.is_empty()).map(str::to_owned),
        tool: text(value, "tool_name").filter(|tool| !tool.is_empty())?.to_owned(),
        input: value.get("tool_input").cloned().unwrap_or(Value::Null),
    })
}

fn ending(call: &ToolUse, value: &Value, failed: bool) -> Ending {
    let returned = first(value, &["tool_response", "tool_result", "tool_output"]);
    let error = text(value, "error");
    let mut detail = returned.cloned().unwrap_or(Value::Null);
    let flag = |value: &Value, name: &str| value.get(name).and_then(Value::as_bool) == Some(true);
    let is_error = failed || flag(&detail, "is_error") || flag(value, "is_error");
    if flag(value, "is_interrupt") {
        detail = serde_json::json!({"interrupted": true});
    }
    let told = error.map(str::to_owned).or_else(|| returned.and_then(|returned| said(&call.tool, returned)));
    let elapsed =
        value.get("duration_ms").and_then(|ms| ms.as_u64().or_else(|| Some(ms.as_f64()?.round() as u64)));
    Ending { detail, text: told, is_error, elapsed_ms: elapsed, decision_source: decision_source(value) }
}

/// What a tool returned, as the text that people and gates read.
fn said(tool: &str, returned: &Value) -> Option<String> {
    let field = |name: &str| returned.get(name).and_then(Value::as_str);
    if let Some(text) = returned.as_str() {
        return Some(text.to_owned());
    }
    if returned.is_null() {
        return None;
    }
    if field("stdout").is_some() || field("stderr").is_some() {
        let (out, err) = (field("stdout").unwrap_or(""), field("stderr").unwrap_or(""));
        let between = if out.is_empty() || err.is_empty() || out.ends_with('\n') { "" } else { "\n" };
        return Some(format!("{out}{between}{err}"));
    }
    let content = match (tool, returned.get("file")) {
        ("Read", Some(file)) => file.get("content"),
        _ => returned.get("content").or_else(|| returned.get("result")),
    };
    let blocks = content.map(|content| prompt_blocks(content).join("\n"));
    blocks.filter(|text| !text.is_empty()).or_else(|| Some(returned.to_string()))
}

/// The texts of a string or of a list of blocks.
fn prompt_blocks(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block.as_str().or_else(|| text(block, "text"))).collect()
        }
        Value::Object(_) => text(value, "text").into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Who decided, in the agent's own words for it.
fn decision_source(value: &Value) -> Option<String> {
    let names = ["decision_source", "decisionClassification", "decision_classification", "source"];
    let source = names.iter().find_map(|name| text(value, name)).filter(|source| !source.is_empty())?;
    Some(clip(source, super::tools::NAME_MAX))
}

fn first<'a>(value: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| value.get(name)).filter(|found| !found.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn payload(event: &str, more: Value) -> Payload {
        let mut value = json!({"session_id": "s", "cwd": "/w", "hook_event_name": event});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_finished_call_is_read_under_each_of_its_names() {
        for name in ["tool_response", "tool_result", "tool_output"] {
            let told = json!({"tool_name": "Bash", "tool_use_id": "t", "tool_input": {"command": "ls"},
                name: {"stdout": "a", "stderr": "b", "interrupted": false}, "duration_ms": 812});
            let Event::CallEnded { call, ending } = payload("PostToolUse", told).event else {
                panic!("{name}")
            };
            assert_eq!((call.id.as_deref(), call.tool.as_str()), (Some("t"), "Bash"));
            assert_eq!((ending.text.as_deref(), ending.elapsed_ms), (Some("a\nb"), Some(812)));
            assert!(!ending.is_error);
        }
        let text = payload("PostToolUse", json!({"tool_name": "X", "tool_response": "plain"}));
        assert!(
            matches!(text.event, Event::CallEnded { ending, .. } if ending.text.as_deref() == Some("plain"))
        );
    }

    #[test]
    fn a_failure_says_whether_it_was_an_interruption() {
        let told = json!({"tool_name": "Bash", "tool_use_id": "t", "tool_input": {}, "error": "Exit code 2\nno",
            "is_interrupt": true});
        let Event::CallEnded { ending, .. } = payload("PostToolUseFailure", told).event else { panic!() };
        assert!(ending.is_error && ending.detail["interrupted"] == true);
        assert_eq!(ending.text.as_deref(), Some("Exit code 2\nno"));
    }

    #[test]
    fn prompts_are_people_s_words_only() {
        let prompted = |said: Value| payload("UserPromptSubmit", json!({ "prompt": said })).event;
        assert_eq!(prompted(json!("do it")), Event::Prompted { text: "do it".into() });
        assert_eq!(prompted(json!([{"type": "text", "text": "do"}])), Event::Prompted { text: "do".into() });
        let command = "<command-name>/fix</command-name><command-args>7</command-args>";
        assert_eq!(prompted(json!(command)), Event::Prompted { text: "/fix 7".into() });
        assert_eq!(prompted(json!("<task-notification>x")), Event::Other("UserPromptSubmit".into()));
        let alias = payload("UserPromptSubmit", json!({"user_prompt": "old name"})).event;
        assert_eq!(alias, Event::Prompted { text: "old name".into() });
    }

    #[test]
    fn a_sub_agent_s_stop_is_not_the_end_of_the_turn() {
        let stop = |more| payload("Stop", more).event;
        assert_eq!(stop(json!({})), Event::Stopped { said: None, failed: false });
        assert_eq!(stop(json!({"agent_id": "a"})), Event::Other("Stop".into()));
        assert_eq!(payload("SubagentStop", json!({})).event, Event::Other("SubagentStop".into()));
        assert_eq!(payload("NeverHeardOf", json!({})).event, Event::Other("NeverHeardOf".into()));
    }

    #[test]
    fn what_is_no_payload_says_why() {
        assert!(matches!(read(b"not json"), Err(PayloadError::NotAnObject(_))));
        assert!(matches!(read(b"[1]"), Err(PayloadError::NotAnObject(_))));
        let error = read(br#"{"hook_event_name": "Stop"}"#).unwrap_err();
        assert_eq!(error.to_string(), "the payload of event `Stop` has no `session_id`");
        assert!(read(br#"{"session_id": "s", "hook_event_name": 4}"#).is_err());
        let raw =
            b"{\"session_id\": \"s\", \"hook_event_name\": \"UserPromptSubmit\", \"prompt\": \"a\xffb\"}";
        assert_eq!(read(raw).unwrap().event, Event::Prompted { text: "a\u{fffd}b".into() });
    }
}
