//! The end of a transcript that is still being written: what hooks were not told.
//!
//! No hook runs when a person interrupts the agent or turns a call down. The transcript says so, and a hook that
//! finds a call without an end, or a prompt where a turn had not ended, looks there.

use std::collections::HashMap;

use serde_json::Value;

use super::record::{Says, Words, record};
use crate::domain::ids::Timestamp;

/// How the work stood before a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// The transcript does not say.
    #[default]
    Unknown,
    /// The agent was at work.
    Working,
    /// The turn was over: the agent had ended it, or the person had interrupted.
    Over,
}

/// The result of a call as the transcript has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What the model was given back.
    pub text: Option<String>,
    /// Whether that is an error.
    pub is_error: bool,
    /// What the tool itself returned.
    pub detail: Value,
    /// When it came.
    pub at: Option<Timestamp>,
}

/// What the end of a transcript tells.
#[derive(Debug, Default)]
pub struct Tail {
    /// Results by call.
    pub results: HashMap<String, Found>,
    /// How the work stood before the prompt, or at the end where the prompt is not there yet.
    pub standing: Standing,
}

/// Reads the last lines of a transcript, the first of which may be cut, for the results of `calls` and for how the
/// work stood before `prompt`.
pub fn read(lines: &[u8], calls: &[&str], prompt: Option<&str>) -> Tail {
    let mut tail = Tail::default();
    let mut standing = Standing::Unknown;
    let mut before_prompt = None;
    for line in lines.split(|byte| *byte == b'\n') {
        let Ok(value) = serde_json::from_slice::<Value>(line) else { continue };
        let record = record(0, &value);
        let own = record.agent.is_none();
        match record.says {
            Says::User { results, words } => {
                for result in results.iter().filter(|result| calls.contains(&result.id)) {
                    let found = Found {
                        text: result.text.clone(),
                        is_error: result.is_error,
                        detail: result.detail.clone(),
                        at: record.time,
                    };
                    tail.results.insert(result.id.to_owned(), found);
                }
                match words {
                    Words::Interrupted if own => standing = Standing::Over,
                    Words::Prompt(said) | Words::Command(said) if own => {
                        if prompt.is_some_and(|prompt| prompt.trim() == said.trim()) {
                            before_prompt = Some(standing);
                        }
                        standing = Standing::Working;
                    }
                    _ if own && !results.is_empty() => standing = Standing::Working,
                    _ => {}
                }
            }
            Says::Assistant { message, .. } if own => {
                let ended = message.get("stop_reason").and_then(Value::as_str) == Some("end_turn");
                standing = if ended { Standing::Over } else { Standing::Working };
            }
            Says::TurnEnded(_) => standing = Standing::Over,
            _ => {}
        }
    }
    tail.standing = before_prompt.unwrap_or(standing);
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKING: &str = r#"{"type":"user","message":{"content":"first"}}
{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t1","name":"Bash","input":{}}]}}
"#;

    #[test]
    fn results_and_interruptions_are_found() {
        let rejected = format!(
            "cut off}}\n{WORKING}{}\n{}\n",
            r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1","content":"no","is_error":true}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"text","text":"[Request interrupted by user for tool use]"}]}}"#,
        );
        let tail = read(rejected.as_bytes(), &["t1", "t2"], Some("next"));
        assert_eq!(tail.standing, Standing::Over);
        assert!(tail.results["t1"].is_error && !tail.results.contains_key("t2"));
        assert_eq!(read(WORKING.as_bytes(), &[], Some("next")).standing, Standing::Working);
        assert_eq!(read(b"", &[], None).standing, Standing::Unknown);
    }

    #[test]
    fn of_a_transcript_that_goes_on_only_what_was_before_the_prompt_counts() {
        let over = format!("{}\n{WORKING}", r#"{"type":"system","subtype":"turn_duration","durationMs":5}"#);
        assert_eq!(read(over.as_bytes(), &[], Some("first")).standing, Standing::Over);
    }
}
