//! What the rules find where there is little or nothing to find: recorded sessions, and this project itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::domain::redact::Redactor;

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
    found.sort();
}

/// A hit as people may see it: no more of the secret than its shape.
fn masked(text: &[u8], range: &std::ops::Range<usize>) -> String {
    let shown = |from: usize, to: usize| String::from_utf8_lossy(&text[from..to]).escape_debug().to_string();
    let shape = |byte: &u8| match byte {
        b'a'..=b'z' => 'a',
        b'A'..=b'Z' => 'A',
        b'0'..=b'9' => '0',
        0x21..0x7f => char::from(*byte),
        _ => '?',
    };
    let inside: String = text[range.clone()].iter().take(48).map(shape).collect();
    let before = shown(range.start.saturating_sub(48), range.start);
    let after = shown(range.end, text.len().min(range.end + 16));
    format!("{before}«{inside}» {} bytes «{after}", range.len())
}

/// Every string in a JSON value, as it was before it was put there.
fn strings(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            // Sessions hold documents inside of documents.
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                strings(&inner, found);
            }
            found.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        Value::Object(values) => values.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

/// Lists the hits in `texts`, each once for a source, and returns how many there are.
fn list(source: &str, texts: &BTreeSet<Vec<u8>>) -> (usize, usize) {
    let redactor = Redactor::new(&[]).expect("no patterns, no mistake");
    let mut seen = BTreeMap::new();
    for text in texts {
        for hit in redactor.hits(text) {
            seen.entry((hit.rule, text[hit.range.clone()].to_vec()))
                .or_insert_with(|| masked(text, &hit.range));
        }
    }
    for ((rule, _), excerpt) in &seen {
        println!("{source} {rule}: {excerpt}");
    }
    (texts.iter().map(Vec::len).sum(), seen.len())
}

#[test]
fn recorded_sessions_lose_only_what_is_secret() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let root = std::env::var_os("GIT_RECEIPT_FIXTURES").map_or(beside, PathBuf::from);
    let mut paths = Vec::new();
    files(&root, &mut paths);
    if paths.is_empty() {
        println!("skipped: no recorded sessions at {}", root.display());
        return;
    }
    // Both as they lie there and as agents hand them over.
    let mut sources: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for path in &paths {
        let Ok(bytes) = std::fs::read(path) else { continue };
        let name = path.strip_prefix(&root).unwrap_or(path).components().next().expect("a file has a name");
        let texts = sources.entry(name.as_os_str().to_string_lossy().into_owned()).or_default();
        let mut found = BTreeSet::new();
        match serde_json::from_slice(&bytes) {
            Ok(value) => strings(&value, &mut found),
            Err(_) => bytes
                .split(|&byte| byte == b'\n')
                .filter_map(|line| serde_json::from_slice(line).ok())
                .for_each(|value| strings(&value, &mut found)),
        }
        texts.extend(found.into_iter().map(String::into_bytes));
        texts.insert(bytes);
    }
    let (mut bytes, mut hits) = (0, 0);
    for (source, texts) in &sources {
        let (size, count) = list(source, texts);
        println!("{source}: {count} hits in {} texts of {size} bytes", texts.len());
        (bytes, hits) = (bytes + size, hits + count);
    }
    println!("all: {hits} hits in {bytes} bytes");
    assert_eq!(hits, 0, "they are listed above: which of them are secrets?");
}

#[test]
fn our_own_sources_hold_no_secret() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git").arg("-C").arg(root).args(["ls-files", "-z"]).output();
    let Some(listed) = listed.ok().filter(|output| output.status.success() && !output.stdout.is_empty())
    else {
        println!("skipped: {} is no working tree of git", root.display());
        return;
    };
    let (mut bytes, mut hits) = (0, 0);
    for path in listed.stdout.split(|&byte| byte == 0).filter(|path| !path.is_empty()) {
        let path = String::from_utf8_lossy(path);
        // Tests of the rules are full of what looks like secrets.
        let tests =
            ["domain/redact/tests.rs", "domain/redact/corpus/places.rs", "oracles/redaction_speed.rs"];
        if path.strip_prefix("src/").is_some_and(|path| tests.contains(&path)) {
            continue;
        }
        let Ok(text) = std::fs::read(root.join(&*path)) else { continue };
        // Whole, and line by line, where less is around to tell what a line is.
        let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec);
        let texts: BTreeSet<Vec<u8>> = lines.chain([text.clone()]).collect();
        let (_, count) = list(&path, &texts);
        (bytes, hits) = (bytes + text.len(), hits + count);
    }
    println!("this project: {hits} hits in {bytes} bytes");
    assert_eq!(hits, 0, "they are listed above: which of them are secrets?");
}
