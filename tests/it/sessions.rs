//! Real recorded sessions, against numbers taken from the files by another program.

use serde_json::Value;

use crate::support::{TestRepo, check, project, recorded};

#[test]
fn recorded_sessions_import_with_the_numbers_of_an_independent_count() {
    let Some(folder) = recorded("claude-code") else { return };
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("full.jsonl"))
        .filter(|path| path.exists())
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files.len(), 5);
    for format in ["sha1", "sha256"] {
        let repo = TestRepo::bare_of_receipts(&["--object-format", format]);
        repo.receipt(&["init", "--no-man"]);
        let mut args = vec!["import", "claude-code"];
        args.extend(files.iter().map(String::as_str));
        let (imported, code) = repo.json(&args);
        assert_eq!(code, 0);
        for (file, session) in files.iter().zip(imported["sessions"].as_array().unwrap()) {
            let script = project("tests/count_transcript.py");
            let counted = check(repo.command("python3", &repo.path, &[script.to_str().unwrap(), file]));
            let counted: Value = serde_json::from_str(&counted).unwrap();
            for name in [
                "tool_calls",
                "rejections",
                "failures",
                "input_tokens",
                "output_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
            ] {
                assert_eq!(session[name], counted[name], "{name} of {file}");
            }
        }
        let recorded_calls = calls_in_entries(&repo);
        let told: u64 =
            imported["sessions"].as_array().unwrap().iter().map(|s| s["tool_calls"].as_u64().unwrap()).sum();
        assert_eq!(recorded_calls, told, "every call is an entry");
        let (again, _) = repo.json(&args);
        assert!(again["sessions"].as_array().unwrap().iter().all(|session| session["added"] == 0));
        repo.assert_clean(&repo.path);
        let script = project("tests/stock-tools.sh");
        let said = check(repo.command("bash", &repo.path, &[script.to_str().unwrap(), "."]));
        assert!(said.contains("all verify"), "{said}");
    }
}

fn calls_in_entries(repo: &TestRepo) -> u64 {
    let (log, _) = repo.json(&["log", "--kind", "tool.called"]);
    log["entries"].as_array().unwrap().len() as u64
}

#[test]
fn a_session_of_our_own_making_imports_once() {
    let repo = TestRepo::new();
    let folder = project("fixtures/claude-code");
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let (first, code) = repo.json(&["import", "claude-code", file.to_str().unwrap()]);
        assert_eq!(code, 0, "{first:#}");
        let (again, _) = repo.json(&["import", "claude-code", file.to_str().unwrap()]);
        assert_eq!(again["sessions"][0]["added"], 0, "{}", file.display());
    }
    repo.assert_clean(&repo.path);
}

#[test]
fn a_file_that_is_no_transcript_is_refused_before_anything_is_written() {
    let repo = TestRepo::new();
    std::fs::write(repo.path.join("notes.txt"), "just text\n").unwrap();
    let (error, code) = repo.json(&["import", "claude-code", "notes.txt"]);
    assert_eq!(code, 2);
    assert!(error["message"].as_str().unwrap().contains("notes.txt"));
    assert_eq!(repo.git(&["for-each-ref", "refs/receipts"]), "");
}
