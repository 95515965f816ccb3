//! What the program prints and what the documentation says agree.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{TestRepo, project};

fn schemas() -> BTreeMap<String, jsonschema::Validator> {
    let mut schemas = BTreeMap::new();
    for entry in std::fs::read_dir(project("docs/schemas")).unwrap() {
        let path = entry.unwrap().path();
        let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        schemas.insert(name, jsonschema::validator_for(&schema).unwrap());
    }
    schemas
}

#[test]
fn every_command_prints_what_its_schema_says() {
    let schemas = schemas();
    let repo = TestRepo::bare_of_receipts(&[]);
    let remote = repo.folder.path().join("remote.git");
    repo.git(&["clone", "-q", "--bare", ".", remote.to_str().unwrap()]);
    repo.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    let line = repo.folder.path().join("line.jsonl");
    std::fs::write(&line, "{\"kind\":\"remark.made\",\"data\":{\"text\":{\"text\":\"x\"}}}\n").unwrap();
    let session = std::fs::read_dir(project("fixtures/claude-code")).unwrap().next().unwrap().unwrap().path();
    let commands: Vec<(&str, Vec<&str>)> = vec![
        ("init", vec!["init", "--no-man"]),
        ("open", vec!["open", "-m", "All commands"]),
        ("record", vec!["record", line.to_str().unwrap()]),
        ("run", vec!["run", "--gate", "test", "--", "true"]),
        ("bind", vec!["bind"]),
        ("remark", vec!["remark", "@", "-m", "x"]),
        ("status", vec!["status"]),
        ("close", vec!["close", "--status", "completed"]),
        ("import", vec!["import", "claude-code", session.to_str().unwrap()]),
        ("log", vec!["log"]),
        ("list", vec!["list"]),
        ("show", vec!["show", "@"]),
        ("trace", vec!["trace", "@"]),
        ("blame", vec!["blame", "file"]),
        ("why", vec!["why", "file:1"]),
        ("replay", vec!["replay", "@"]),
        ("replay", vec!["replay", "@", "--check"]),
        ("fork", vec!["fork", "@", "--at", "0"]),
        ("snapshot", vec!["snapshot"]),
        ("rollback", vec!["rollback", "--to", "@@1"]),
        ("verify", vec!["verify"]),
        ("key", vec!["key", "list"]),
        ("push", vec!["push"]),
        ("fetch", vec!["fetch"]),
        ("generate", vec!["generate", "man", repo.folder.path().to_str().unwrap()]),
        ("demo", vec!["demo"]),
        ("deinit", vec!["deinit"]),
        ("error", vec!["show", "no-such-receipt"]),
    ];
    for (name, args) in commands {
        let (document, code) = repo.json(&args);
        assert_eq!(document["schema"], format!("git-receipt/{name}/1"), "{args:?}: {document:#}");
        assert_eq!(code, if name == "error" { 2 } else { 0 }, "{args:?}: {document:#}");
        let schema = schemas.get(name).unwrap_or_else(|| panic!("no schema for `{name}`"));
        let problems: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
}

#[test]
fn schemas_and_command_reference_are_those_of_this_code() {
    let repo = TestRepo::empty(&[]);
    let folder = repo.folder.path().join("generated");
    for what in ["schemas", "reference"] {
        repo.receipt(&["generate", what, folder.to_str().unwrap()]);
    }
    let mut names = vec!["commands.md".to_owned()];
    for entry in std::fs::read_dir(folder.join("schemas")).unwrap() {
        names.push(format!("schemas/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    for name in &names {
        let made = std::fs::read_to_string(folder.join(name)).unwrap();
        let kept = std::fs::read_to_string(project("docs").join(name)).unwrap_or_default();
        assert!(
            made == kept,
            "`docs/{name}` is stale: run `git receipt generate {{schemas,reference}} docs`"
        );
    }
    assert_eq!(std::fs::read_dir(project("docs/schemas")).unwrap().count(), names.len() - 1);
}

#[test]
fn every_finding_stands_in_the_threats_page() {
    let page = std::fs::read_to_string(project("docs/threats.md")).unwrap();
    for code in git_receipt::domain::finding::Code::ALL {
        let (number, slug) = (code.number(), code.slug());
        assert!(page.contains(number) && page.contains(slug), "`{number} {slug}` is not in docs/threats.md");
    }
}

#[test]
fn every_kind_stands_in_the_format_page() {
    let page = std::fs::read_to_string(project("docs/format.md")).unwrap();
    for kind in git_receipt::domain::fact::KINDS {
        assert!(page.contains(&format!("`{kind}`")), "`{kind}` is not in docs/format.md");
    }
}

#[test]
fn help_of_every_command_says_what_it_does() {
    let repo = TestRepo::empty(&[]);
    let help = repo.receipt(&["help"]);
    for command in ["init", "open", "run", "verify", "import", "push", "fetch", "demo", "key"] {
        assert!(help.contains(command), "{help}");
        assert!(!repo.receipt(&["help", command]).is_empty());
    }
    let page = repo.folder.path().to_str().unwrap().to_owned();
    repo.receipt(&["generate", "man", &page]);
    let man = std::fs::read_to_string(repo.folder.path().join("git-receipt.1")).unwrap();
    assert!(man.contains("GIT RECEIPT VERIFY"), "the man page has a section for each command");
}

/// A text without ids, whole ones or such as are shortened to their ends, and without the places behind them.
fn without_ids(text: &str) -> String {
    let (mut left, mut shown) = (text, String::new());
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '…';
    while let Some(start) = left.find(is_part) {
        let end = left[start..].find(|c| !is_part(c)).map_or(left.len(), |length| start + length);
        let (before, word) = (&left[..start], &left[start..end]);
        left = &left[end..];
        shown.push_str(before);
        let is_hex = word.len() >= 12 && word.chars().all(|c| c.is_ascii_hexdigit() && !c.is_uppercase());
        if is_hex || word.len() == 26 && word.starts_with("01") || word.len() > 3 && word.contains('…') {
            shown.push_str("ID");
            let place =
                left.strip_prefix('@').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            left = place.unwrap_or(left);
        } else {
            shown.push_str(word);
        }
    }
    shown + left
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let readme = std::fs::read_to_string(project("README.md")).unwrap();
    let (_, shown) = readme.split_once("```text\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let repo = TestRepo::bare_of_receipts(&[]);
    let printed = without_ids(&repo.receipt(&["demo"]));
    let mut left = printed.as_str();
    for part in shown.split("…\n").filter(|part| part.contains('$')) {
        let part = without_ids(part);
        let at = left.find(&part);
        left = &left[at.unwrap_or_else(|| panic!("not printed:\n{part}\nbut:\n{left}"))..];
    }
    assert!(left.trim_end().ends_with("put in unseen."), "{left}");
}
