//! Claude Code's settings: our hooks merged into them, and taken out again.
//!
//! Everything that was there stays, unknown keys too. Only the text of the file is at stake here: where it lies is
//! not this module's to know.

use serde_json::{Map, Value, json};

/// What a settings file cannot be merged with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It is no JSON object.
    #[error("it is no JSON object: {0}")]
    NotAnObject(String),
    /// A part that holds hooks is of another type than it should be.
    #[error("`{0}` is not what hooks are listed in")]
    Unexpected(String),
}

/// The events that are recorded, and whether their hooks are chosen by tool.
const EVENTS: &[(&str, bool)] = &[
    ("SessionStart", false),
    ("UserPromptSubmit", false),
    ("PreToolUse", true),
    ("PermissionRequest", true),
    ("PermissionDenied", true),
    ("PostToolUse", true),
    ("PostToolUseFailure", true),
    ("Stop", false),
    ("StopFailure", false),
    ("SessionEnd", false),
];

/// The command of our hooks.
pub const COMMAND: &str = "git receipt hook claude-code";
/// The same for a file that others share: those without the program see no error.
pub const SHARED_COMMAND: &str =
    "if git receipt --version >/dev/null 2>&1; then git receipt hook claude-code; else cat >/dev/null; fi";

/// How many seconds the agent waits for a hook at most.
const TIMEOUT: u64 = 10;

/// `text` with our hooks in it; none where they are there already. An absent file is an empty one.
///
/// # Errors
/// When the file is not what it should be: it is left alone then.
pub fn install(text: Option<&str>, command: &str) -> Result<Option<String>, SettingsError> {
    let (mut settings, indent) = parse(text)?;
    let mut changed = false;
    let hooks = settings.entry("hooks").or_insert_with(|| json!({}));
    let hooks = hooks.as_object_mut().ok_or_else(|| SettingsError::Unexpected("hooks".into()))?;
    for (event, by_tool) in EVENTS {
        let groups = hooks.entry(*event).or_insert_with(|| json!([]));
        let groups =
            groups.as_array_mut().ok_or_else(|| SettingsError::Unexpected(format!("hooks.{event}")))?;
        if groups.iter().any(|group| group_hooks(group).any(is_ours)) {
            continue;
        }
        let hook = json!({"type": "command", "command": command, "timeout": TIMEOUT});
        groups.push(if *by_tool {
            json!({"matcher": "*", "hooks": [hook]})
        } else {
            json!({"hooks": [hook]})
        });
        changed = true;
    }
    Ok(changed.then(|| write(settings, indent)))
}

/// `text` without our hooks; none where there are none of ours. The text is empty where nothing else was in it.
///
/// # Errors
/// When the file is not what it should be.
pub fn uninstall(text: &str) -> Result<Option<String>, SettingsError> {
    let (mut settings, indent) = parse(Some(text))?;
    let mut changed = false;
    let Some(hooks) = settings.get_mut("hooks").and_then(Value::as_object_mut) else { return Ok(None) };
    for groups in hooks.values_mut().filter_map(Value::as_array_mut) {
        for group in groups.iter_mut() {
            let Some(listed) = group.get_mut("hooks").and_then(Value::as_array_mut) else { continue };
            let before = listed.len();
            listed.retain(|hook| !is_ours(hook));
            changed |= listed.len() != before;
        }
        groups.retain(|group| group_hooks(group).next().is_some() || group.get("hooks").is_none());
    }
    if !changed {
        return Ok(None);
    }
    hooks.retain(|_, groups| groups.as_array().is_none_or(|groups| !groups.is_empty()));
    if hooks.is_empty() {
        settings.remove("hooks");
    }
    Ok(Some(if settings.is_empty() { String::new() } else { write(settings, indent) }))
}

fn parse(text: Option<&str>) -> Result<(Map<String, Value>, usize), SettingsError> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok((Map::new(), 2)) };
    let value: Value =
        serde_json::from_str(text).map_err(|error| SettingsError::NotAnObject(error.to_string()))?;
    let second = text.lines().nth(1).unwrap_or("  ");
    let indent = second.len() - second.trim_start_matches(' ').len();
    match value {
        Value::Object(settings) => Ok((settings, if indent == 0 { 2 } else { indent })),
        _ => Err(SettingsError::NotAnObject("it is of another type".into())),
    }
}

fn write(settings: Map<String, Value>, indent: usize) -> String {
    use serde::Serialize as _;
    let spaces = " ".repeat(indent);
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    Value::Object(settings).serialize(&mut serializer).expect("JSON values are written into memory");
    let mut text = String::from_utf8(bytes).expect("JSON is UTF-8");
    text.push('\n');
    text
}

fn group_hooks(group: &Value) -> impl Iterator<Item = &Value> {
    group.get("hooks").and_then(Value::as_array).into_iter().flatten()
}

/// Whether a hook is one of ours, in whichever way it was installed.
fn is_ours(hook: &Value) -> bool {
    hook.get("command").and_then(Value::as_str).is_some_and(|command| {
        command.contains("git receipt hook claude-code") || command.contains("git-receipt hook claude-code")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = r#"{
    "model": "opus",
    "hooks": {
        "PreToolUse": [
            {
                "matcher": "Bash",
                "hooks": [
                    {
                        "type": "command",
                        "command": "check.sh"
                    }
                ]
            }
        ]
    },
    "unknown": [1, 2]
}
"#;

    #[test]
    fn what_was_there_stays_and_comes_back() {
        let merged = install(Some(THEIRS), COMMAND).unwrap().unwrap();
        let value: Value = serde_json::from_str(&merged).unwrap();
        assert_eq!(value["hooks"]["PreToolUse"][0]["hooks"][0]["command"], "check.sh");
        assert_eq!(value["hooks"]["PreToolUse"][1]["hooks"][0]["command"], COMMAND);
        assert_eq!(value["unknown"], json!([1, 2]));
        assert!(merged.find("model") < merged.find("hooks"), "in the order in which they stood");
        assert_eq!(install(Some(&merged), COMMAND), Ok(None), "twice changes nothing");
        let back: Value = serde_json::from_str(&uninstall(&merged).unwrap().unwrap()).unwrap();
        assert_eq!(back, serde_json::from_str::<Value>(THEIRS).unwrap());
    }

    #[test]
    fn nothing_comes_from_nothing_and_goes_to_nothing() {
        let fresh = install(None, SHARED_COMMAND).unwrap().unwrap();
        assert_eq!(uninstall(&fresh), Ok(Some(String::new())));
        assert_eq!(uninstall(THEIRS), Ok(None));
        assert!(fresh.contains("UserPromptSubmit") && fresh.ends_with("}\n"));
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        assert!(matches!(install(Some("// mine\n{}"), COMMAND), Err(SettingsError::NotAnObject(_))));
        assert!(matches!(install(Some("[]"), COMMAND), Err(SettingsError::NotAnObject(_))));
        let odd = install(Some(r#"{"hooks": {"Stop": "x"}}"#), COMMAND);
        assert_eq!(odd, Err(SettingsError::Unexpected("hooks.Stop".into())));
    }
}
