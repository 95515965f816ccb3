//! How a call ended, by what its result says.

use serde_json::Value;

use crate::domain::fact::data::{Confirmation, Decision, ToolStatus};

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// How it ended.
    pub status: ToolStatus,
    /// The exit code, where one was stated.
    pub exit_code: Option<i64>,
    /// A decision against it.
    pub confirmation: Option<Confirmation>,
    /// Why, in a word.
    pub reason: Option<&'static str>,
    /// What the person said when rejecting it.
    pub said: Option<String>,
}

const REJECTED: &str = "The user doesn't want to proceed with this tool use";
const ABORTED: &str = "The user doesn't want to take this action right now";
const SAID: &str = "the user said:\n";

/// Reads the result's text, its error flag and its details.
pub(super) fn verdict(text: &str, is_error: bool, detail: &Value) -> Verdict {
    let plain = |status, reason| Verdict { status, exit_code: None, confirmation: None, reason, said: None };
    let rejected = |source: &str, reason| Verdict {
        confirmation: Some(Confirmation {
            decision: Decision::Rejected,
            source: source.to_owned(),
            by: None,
        }),
        ..plain(ToolStatus::Denied, Some(reason))
    };
    let text = text.trim_start();
    let flag = |name: &str| detail.get(name).and_then(Value::as_bool) == Some(true);
    if !is_error {
        return if flag("interrupted") {
            plain(ToolStatus::Interrupted, None)
        } else if flag("userModified") {
            plain(ToolStatus::Ok, Some("user_modified"))
        } else if detail.get("backgroundTaskId").is_some_and(Value::is_string) || flag("isAsync") {
            plain(ToolStatus::Ok, Some("background"))
        } else {
            plain(ToolStatus::Ok, None)
        };
    }
    let exit_code = exit_code(text);
    let rest = if exit_code.is_some() { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text };
    if text.starts_with(REJECTED) {
        let said =
            text.split_once(SAID).map(|(_, said)| said.trim().to_owned()).filter(|said| !said.is_empty());
        Verdict { said, ..rejected("user_reject", "rejected") }
    } else if text.starts_with(ABORTED) {
        rejected("user_abort", "rejected")
    } else if flag("interrupted") || rest.starts_with("[Request interrupted by user") {
        Verdict { exit_code, ..plain(ToolStatus::Interrupted, None) }
    } else if text.starts_with("Permission to use ") && text.contains("has been denied") {
        rejected("config", "permission_rule")
    } else if text.starts_with("Claude requested permissions to ") && text.contains("haven't granted it yet")
    {
        plain(ToolStatus::Denied, Some("permission_not_granted"))
    } else if text.starts_with("PreToolUse:") || text.starts_with("Hook PreToolUse:") {
        rejected("hook", "hook")
    } else {
        let reason = text.starts_with("<tool_use_error>").then_some("tool_use_error");
        Verdict { exit_code, ..plain(ToolStatus::Error, reason) }
    }
}

/// `N` of a first line `Exit code N`.
fn exit_code(text: &str) -> Option<i64> {
    let digits = text.strip_prefix("Exit code ")?.lines().next()?.trim();
    digits.parse::<i32>().ok().map(i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(text: &str, is_error: bool, detail: Value) -> String {
        let v = verdict(text, is_error, &detail);
        let source = v.confirmation.map_or(String::new(), |c| format!(" {} by {}", c.decision, c.source));
        let code = v.exit_code.map_or(String::new(), |code| format!(" {code}"));
        format!("{}{code}{source} {}", v.status, v.reason.unwrap_or("-"))
    }

    #[test]
    fn results_say_how_a_call_ended() {
        assert_eq!(told("fine", false, json!({})), "ok -");
        assert_eq!(told("Exit code 2\nno", true, json!("Error: Exit code 2\nno")), "error 2 -");
        assert_eq!(told("Exit code 2\nno", false, json!({})), "ok -", "printed, not stated");
        assert_eq!(
            told("<tool_use_error>no such file</tool_use_error>", true, json!("")),
            "error tool_use_error"
        );
        let rejected = format!(
            "{REJECTED}. The tool use was rejected … To tell you how to proceed, {SAID}use the other"
        );
        assert_eq!(told(&rejected, true, json!("")), "denied rejected by user_reject rejected");
        assert_eq!(verdict(&rejected, true, &json!("")).said.as_deref(), Some("use the other"));
        assert_eq!(told(&rejected, false, json!("")), "ok -", "a file that holds the sentence");
        assert_eq!(
            told(&format!("{ABORTED}. STOP"), true, json!("")),
            "denied rejected by user_abort rejected"
        );
        assert_eq!(
            told("Permission to use Bash has been denied.", true, json!("")),
            "denied rejected by config permission_rule"
        );
        assert_eq!(
            told("Exit code 137\n[Request interrupted by user for tool use]", true, json!("")),
            "interrupted 137 -"
        );
        assert_eq!(told("", false, json!({"interrupted": true})), "interrupted -");
        assert_eq!(told("ok", false, json!({"userModified": true})), "ok user_modified");
        assert_eq!(told("Exit code 99999999999999999999", true, json!("")), "error -");
    }
}
