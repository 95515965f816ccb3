//! Transcripts, as an independent counter in Python counts them.

use serde_json::{Value, json};

use crate::agents::claude_code::transcript::tests::{check, try_session};

/// What `tests/count_transcript.py` counts; none without Python.
fn independent_count(file: &std::path::Path) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/count_transcript.py");
    let output = std::process::Command::new("python3").arg(script).arg(file).output().ok()?;
    Some(serde_json::from_slice(&output.stdout).expect("the counter prints JSON"))
}

/// Compares every transcript of a folder with the independent count; how many there were.
fn compare(files: impl Iterator<Item = std::path::PathBuf>) -> usize {
    let mut seen = 0;
    for file in files {
        let Some(theirs) = independent_count(&file) else {
            eprintln!("skipped: no python3 here");
            break;
        };
        let session = try_session(&std::fs::read(&file).unwrap()).unwrap();
        let tally = &session.tally;
        let ours = json!({
            "tool_calls": tally.tool_calls, "rejections": tally.rejections, "failures": tally.failures,
            "interrupted": tally.interrupted, "input_tokens": tally.input_tokens,
            "output_tokens": tally.output_tokens, "cache_read_tokens": tally.cache_read_tokens,
            "cache_write_tokens": tally.cache_write_tokens, "prompts": tally.prompts,
        });
        assert_eq!(ours, theirs, "{}", file.display());
        check(&session);
        seen += 1;
    }
    seen
}

#[test]
fn sessions_count_as_an_independent_count_does() {
    let home = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = |folder: std::path::PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    compare(entries(home.join("fixtures/claude-code")).map(|entry| entry.path()));
    let recorded = std::env::var_os("GIT_RECEIPT_FIXTURES")
        .map_or_else(|| home.join("../shared/fixtures"), std::path::PathBuf::from)
        .join("claude-code");
    let files = entries(recorded).map(|entry| entry.path().join("full.jsonl")).filter(|file| file.exists());
    match compare(files) {
        0 => eprintln!("skipped: no recorded sessions here"),
        seen => eprintln!("compared {seen} recorded sessions"),
    }
}
