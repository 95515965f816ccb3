//! An audit as SARIF 2.1.0, as code-scanning services take it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{nothing_required, short};
use crate::cli::ui::safe;
use crate::domain::audit::report::{AuditCode, AuditFinding, AuditReport, Level};

/// Where a finding is shown that lies in no file.
///
/// The standard lets a result have no location, but services refuse the whole upload for a single one without a
/// file. The policy is the file whose rule was not met, or could not be read.
const NO_PATH: &str = ".receipts/policy.toml";

/// The last line that consumers with signed 32-bit numbers can hold.
const LAST_LINE: u64 = i32::MAX as u64;

/// A report as one SARIF log with one run.
///
/// Every known code is among the rules, so that a rule's place stays the same. What is incomplete becomes a
/// `note`, for the format has no level for it. Where nothing was required a notification says so, as an empty
/// list of results would look like a check that passed.
pub fn sarif(report: &AuditReport) -> Value {
    let rules: Vec<_> = AuditCode::ALL.iter().map(|&code| rule(code)).collect();
    let mut seen = HashMap::new();
    let results: Vec<_> = report.findings.iter().map(|finding| result(finding, &mut seen)).collect();
    let mut invocation = json!({ "executionSuccessful": true });
    if let Some(why) = nothing_required(report) {
        invocation["toolExecutionNotifications"] =
            json!([{ "level": "note", "message": { "text": message(why) } }]);
    }
    let mut about = Map::new();
    about.insert("verdict".into(), report.verdict.word().into());
    about.insert("required".into(), report.required.into());
    about.insert("judged".into(), report.judged.into());
    about.insert("to".into(), safe(&report.to).into());
    for (name, value) in [("from", &report.from), ("ref", &report.r#ref), ("policy", &report.policy)] {
        if let Some(value) = value {
            about.insert(name.into(), safe(value).into());
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "git receipt",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                },
            },
            "invocations": [invocation],
            "results": results,
            "properties": about,
        }],
    })
}

fn rule(code: AuditCode) -> Value {
    let text = json!({ "text": code.meaning() });
    // Services ask for all three.
    json!({
        "id": code.number(),
        "name": code.slug(),
        "shortDescription": text,
        "fullDescription": text,
        "help": text,
    })
}

fn result(finding: &AuditFinding, seen: &mut HashMap<String, u64>) -> Value {
    let level = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Incomplete => "note",
    };
    let path = finding.path.as_deref();
    let uri = path.and_then(relative_uri);
    let mut place = Vec::new();
    let mut about = Map::new();
    if let Some(commit) = &finding.commit {
        place.push(format!("commit {}", short(commit)));
        about.insert("commit".into(), safe(commit).into());
    }
    if let Some(rule) = finding.rule {
        place.push(format!("rule {rule}"));
        about.insert("rule".into(), rule.into());
    }
    if let (Some(path), None) = (path, &uri) {
        place.push(format!("path `{}`", safe(path)));
    }
    // The first sentence is all that lists of alerts show, and a commit is not among what they show besides.
    let mut text = match finding.message.as_str() {
        "" => finding.code.meaning().trim_end_matches('.').to_owned(),
        message => safe(message),
    };
    if !place.is_empty() {
        text.push_str(&format!(" ({})", place.join(", ")));
    }
    if !finding.hint.is_empty() {
        text.push_str(&format!(". {}", safe(&finding.hint)));
    }
    let line = if uri.is_some() { finding.line.unwrap_or(1).clamp(1, LAST_LINE) } else { 1 };
    let index = AuditCode::ALL.iter().position(|code| *code == finding.code);
    let mut result = json!({
        "ruleId": finding.code.number(),
        "ruleIndex": index,
        "level": level,
        "message": { "text": message(&text) },
        "locations": [{
            "physicalLocation": {
                // Services take a relative URI as relative to the root of the repository, with this base or none.
                "artifactLocation": { "uri": uri.as_deref().unwrap_or(NO_PATH), "uriBaseId": "%SRCROOT%" },
                "region": { "startLine": line },
            },
        }],
        "partialFingerprints": { "primaryLocationLineHash": fingerprint(finding, seen) },
    });
    if !about.is_empty() {
        result["properties"] = about.into();
    }
    result
}

/// What stays the same of a finding over runs: code, commit, path and line.
///
/// Neither its wording, which versions change, nor its rule's number, which a rule put in above changes; equals
/// are counted. The key is the only one that services read, and would else be the hash of the line shown, the
/// same for all that lie in no file.
fn fingerprint(finding: &AuditFinding, seen: &mut HashMap<String, u64>) -> String {
    let line = finding.line.map(|line| line.to_string());
    let mut hash = Sha256::new();
    for field in
        [Some(finding.code.number()), finding.commit.as_deref(), finding.path.as_deref(), line.as_deref()]
    {
        // The length keeps neighbours apart, and one that cannot be marks what is absent.
        let length = field.map_or(u64::MAX, |field| field.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(field.unwrap_or_default());
    }
    let hex: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let nth = seen.entry(hex.clone()).or_default();
    *nth += 1;
    format!("{hex}:{nth}")
}

/// A text as a plain SARIF message: braces would be placeholders and `[text](target)` a link.
fn message(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}").replace("](", "] (")
}

/// A path in a tree as a relative URI, or nothing for one that would lead out of the tree.
fn relative_uri(path: &str) -> Option<String> {
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(uri)
}
