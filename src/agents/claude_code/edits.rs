//! What an edit changed, and the blobs before and after where the transcript proves them.
//!
//! A result holds the file as it was, the strings and a patch. The patch is for showing (leading tabs may stand in it
//! as spaces), so the file after is made from the strings, and stated only if the patch says the same. The agent
//! records text with `\n` line ends whatever the file has: the ids are those of the text that it recorded.

use serde_json::Value;

use super::paths::Scope;
use crate::domain::fact::data::{Change, FileChange};

/// Whether a tool changes the file that it is given.
pub(super) fn is_edit(tool: &str) -> bool {
    matches!(tool, "Write" | "Edit" | "MultiEdit" | "NotebookEdit")
}

/// The files that a successful call of an editing tool changed.
pub(super) fn changes(
    tool: &str,
    input: &Value,
    detail: &Value,
    directory: Option<&str>,
    scope: &Scope<'_>,
) -> Vec<FileChange> {
    let text = |value: &Value, names: &[&str]| {
        names.iter().find_map(|name| value.get(name)?.as_str().map(str::to_owned))
    };
    let path = text(detail, &["filePath", "notebook_path"])
        .or_else(|| text(input, &["file_path", "notebook_path"]))
        .filter(|path| !path.is_empty() && path.len() <= 4096);
    let Some(path) = path else { return Vec::new() };
    let before = text(detail, &["originalFile", "originalFileContents", "original_file"]);
    let (change, after) = match tool {
        "Write" => {
            let created = detail.get("type").and_then(Value::as_str) == Some("create");
            let content = text(detail, &["content"]).filter(|content| {
                let as_asked = input.get("content").and_then(Value::as_str) == Some(content);
                as_asked
                    && (created || before.as_ref().is_some_and(|before| patched(detail, before, content)))
            });
            (if created { Change::Added } else { Change::Modified }, content)
        }
        "Edit" => (Change::Modified, before.as_ref().and_then(|before| edited(detail, before))),
        "MultiEdit" => (Change::Modified, before.as_ref().and_then(|before| edited_often(detail, before))),
        "NotebookEdit" => (Change::Modified, text(detail, &["updated_file"])),
        _ => return Vec::new(),
    };
    let place = scope.place(&path, directory);
    let blob = |content: Option<String>| content.and_then(|content| scope.blob(&place, &content));
    // An empty file before may as well have been none.
    let before = before.filter(|before| change != Change::Added && !before.is_empty());
    let (before, after) = (blob(before), blob(after));
    vec![FileChange { path: place.path, change, before, after }]
}

/// The file after a single replacement.
fn edited(detail: &Value, before: &str) -> Option<String> {
    let old = detail.get("oldString")?.as_str()?;
    let new = detail.get("newString")?.as_str()?;
    let all = detail.get("replaceAll").and_then(Value::as_bool).unwrap_or(false);
    let plain = replaced(before, old, new, all);
    // Where nothing is put in, the agent takes the line's end out too.
    let whole_line = (new.is_empty() && !old.ends_with('\n'))
        .then(|| replaced(before, &format!("{old}\n"), new, all))
        .flatten();
    let mut fitting =
        [plain, whole_line].into_iter().flatten().filter(|after| patched(detail, before, after));
    let only = fitting.next()?;
    fitting.next().is_none().then_some(only)
}

/// The file after several replacements in turn.
fn edited_often(detail: &Value, before: &str) -> Option<String> {
    let mut text = before.to_owned();
    for edit in detail.get("edits")?.as_array()? {
        let all = edit.get("replace_all").and_then(Value::as_bool).unwrap_or(false);
        text = replaced(&text, edit.get("old_string")?.as_str()?, edit.get("new_string")?.as_str()?, all)?;
        // Replacing one letter by a thousand, often, must not fill the memory.
        if text.len() > LARGEST {
            return None;
        }
    }
    patched(detail, before, &text).then_some(text)
}

/// The longest text that is put together.
const LARGEST: usize = 64 * 1024 * 1024;

/// `text` with `old` replaced: everywhere, or at the only place where it stands.
fn replaced(text: &str, old: &str, new: &str, all: bool) -> Option<String> {
    if old.is_empty() {
        return text.is_empty().then(|| new.to_owned());
    }
    let places = text.matches(old).count();
    let fits = text.len().saturating_add(places.saturating_mul(new.len())) <= LARGEST;
    (fits && (places == 1 || all && places > 0)).then(|| text.replace(old, new))
}

/// Whether the result's patch leads from `before` to `after`: its lines stand in both, and outside it nothing
/// differs.
fn patched(detail: &Value, before: &str, after: &str) -> bool {
    let Some(hunks) = detail.get("structuredPatch").and_then(Value::as_array) else { return false };
    let (before, after): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    let (mut at_before, mut at_after) = (0, 0);
    for hunk in hunks {
        let number = |name: &str| hunk.get(name)?.as_u64().and_then(|n| usize::try_from(n).ok());
        let Some(lines) = hunk.get("lines").and_then(Value::as_array) else { return false };
        let (Some(old_start), Some(new_start)) = (number("oldStart"), number("newStart")) else {
            return false;
        };
        let (old_start, new_start) = (old_start.saturating_sub(1), new_start.saturating_sub(1));
        // Up to the hunk both are the same, byte for byte.
        let (Some(same), Some(same_after)) =
            (before.get(at_before..old_start), after.get(at_after..new_start))
        else {
            return false;
        };
        if same != same_after {
            return false;
        }
        (at_before, at_after) = (old_start, new_start);
        for line in lines {
            let Some(line) = line.as_str() else { return false };
            let (in_before, in_after) = match line.as_bytes().first() {
                Some(b' ') | None => (true, true),
                Some(b'-') => (true, false),
                Some(b'+') => (false, true),
                Some(b'\\') => continue,
                Some(_) => return false,
            };
            let shown = line.get(1..).unwrap_or("");
            if in_before && !takes(&before, &mut at_before, shown)
                || in_after && !takes(&after, &mut at_after, shown)
            {
                return false;
            }
        }
    }
    before.get(at_before..) == after.get(at_after..)
}

/// Whether the line at `at` is shown as `shown`; moves on.
fn takes(lines: &[&str], at: &mut usize, shown: &str) -> bool {
    let Some(line) = lines.get(*at) else { return false };
    *at += 1;
    let tabs = line.len() - line.trim_start_matches('\t').len();
    *line == shown || shown.strip_prefix(&*"  ".repeat(tabs)) == Some(&line[tabs..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::claude_code::Options;
    use crate::agents::gates::GateTable;
    use crate::domain::ids::{Digest, Oid};
    use serde_json::json;

    fn oid(content: &str) -> Oid {
        Oid::Sha256(*Digest::of(content.as_bytes()).as_bytes())
    }

    fn run(tool: &str, input: Value, detail: Value) -> FileChange {
        let gates = GateTable::built_in();
        let options = Options {
            gates: &gates,
            blob_id: &|bytes| Oid::Sha256(*Digest::of(bytes).as_bytes()),
            looks_secret: &|path| path == b".env",
            root: Some("/w"),
            null_tree: Oid::Sha256([0; 32]),
        };
        changes(tool, &input, &detail, None, &Scope::new(options, None)).remove(0)
    }

    fn edit(before: &str, old: &str, new: &str, lines: &[&str]) -> FileChange {
        let detail = json!({"filePath": "/w/a", "oldString": old, "newString": new, "originalFile": before,
            "replaceAll": false, "userModified": false,
            "structuredPatch": [{"oldStart": 1, "oldLines": 2, "newStart": 1, "newLines": 2, "lines": lines}]});
        run("Edit", json!({}), detail)
    }

    #[test]
    fn an_edit_names_both_blobs_when_the_patch_agrees() {
        let change = edit("\tone\ntwo\n", "two", "2", &["   one", "-two", "+2", " "]);
        assert_eq!((change.before, change.after), (Some(oid("\tone\ntwo\n")), Some(oid("\tone\n2\n"))));
        let gone = edit("one\ntwo\n", "one", "", &["-one", " two"]);
        assert_eq!(gone.after, Some(oid("two\n")), "the line's end went too");
    }

    #[test]
    fn an_edit_that_the_patch_contradicts_names_no_blob_after() {
        assert_eq!(edit("one\ntwo\n", "two", "2", &[" one", "-two", "+3"]).after, None);
        assert_eq!(edit("two\ntwo\n", "two", "2", &["-two", "+2", " two"]).after, None, "at which place?");
        assert_eq!(edit("one\ntwo\n", "two", "2", &[]).after, None);
    }

    #[test]
    fn a_file_written_anew_was_added() {
        let detail = json!({"type": "create", "filePath": "/w/n", "content": "x", "originalFile": null, "structuredPatch": []});
        let change = run("Write", json!({"file_path": "/w/n", "content": "x"}), detail.clone());
        assert_eq!((change.change, change.before, change.after), (Change::Added, None, Some(oid("x"))));
        let changed = run("Write", json!({"file_path": "/w/n", "content": "y"}), detail);
        assert_eq!(changed.after, None, "not what was asked for");
    }

    #[test]
    fn secret_looking_and_outside_files_have_no_blobs() {
        let detail =
            |path: &str| json!({"type": "create", "filePath": path, "content": "x", "originalFile": null});
        let input = |path: &str| json!({"file_path": path, "content": "x"});
        assert_eq!(run("Write", input("/w/.env"), detail("/w/.env")).after, None);
        let outside = run("Write", input("/tmp/x"), detail("/tmp/x"));
        assert_eq!((outside.path.to_string().as_str(), outside.after), ("/tmp/x", None));
    }

    #[test]
    fn several_edits_are_made_in_turn() {
        let detail = json!({"filePath": "/w/a", "originalFileContents": "a\nb\n",
            "edits": [{"old_string": "a", "new_string": "c"}, {"old_string": "c\n", "new_string": "d\n"}],
            "structuredPatch": [{"oldStart": 1, "newStart": 1, "lines": ["-a", "+d", " b"]}]});
        assert_eq!(run("MultiEdit", json!({}), detail).after, Some(oid("d\nb\n")));
    }
}
