use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::agents::gates::GateTable;
use crate::agents::{Session, Tally};
use crate::domain::canonical;
use crate::domain::entry::ONCE_MAX;
use crate::domain::ids::{Digest, Oid};

const SESSION: &str = include_str!("../../../fixtures/claude-code/session.jsonl");
const PEOPLE: &str = include_str!("../../../fixtures/claude-code/people.jsonl");
const SUBAGENTS: &str = include_str!("../../../fixtures/claude-code/subagents.jsonl");
const SUBAGENT_OWN: &str = include_str!("../../../fixtures/claude-code/subagent-own.jsonl");
const MIDDLE: &str = include_str!("../../../fixtures/claude-code/middle.jsonl");

pub(crate) fn try_session(lines: &[u8]) -> Result<Session, TranscriptError> {
    let gates = GateTable::built_in();
    read(
        lines,
        &Options {
            gates: &gates,
            blob_id: &|bytes| Oid::Sha256(*Digest::of(bytes).as_bytes()),
            looks_secret: &crate::domain::secret_paths::looks_secret,
            root: None,
            null_tree: Oid::Sha256([0; 32]),
        },
    )
}

fn session(lines: &str) -> Session {
    try_session(lines.as_bytes()).unwrap()
}

/// The data of the step with this key.
fn data(session: &Session, once: &str) -> Value {
    let mut found = session.steps.iter().filter(|step| step.once == once);
    let step = found.next().unwrap_or_else(|| panic!("no step {once}"));
    assert!(found.next().is_none(), "{once} twice");
    step.fact.to_value().unwrap()
}

fn outline(session: &Session) -> String {
    let mut shown = String::new();
    for step in &session.steps {
        let key = step.once.split(':').next().unwrap();
        let data = step.fact.to_value().unwrap();
        let word = data.get("status").or(data.get("result")).and_then(Value::as_str).unwrap_or("-");
        let open = if step.settled { "" } else { " ?" };
        writeln!(shown, "{} {key} {word} {}{open}", step.prompt, step.title).unwrap();
    }
    shown
}

#[test]
fn a_session_becomes_receipts() {
    let session = session(SESSION);
    assert_eq!(
        outline(&session),
        "\
0 prompt - add a greeting
0 usage - 10 in, 9 out
0 tool ok Read: src/lib.rs
0 retrieval - Read: src/lib.rs
0 usage - 10 in, 5 out
0 tool ok Edit: src/lib.rs
0 usage - 10 in, 5 out
0 tool error Bash: Run the tests
0 gate failed cargo test failed
0 tool ok Bash: cargo clippy && cargo test | tail -1
0 gate passed cargo clippy passed
0 usage - 10 in, 5 out
0 closed completed Done: it greets.
1 prompt - delete everything
1 usage - 10 in, 5 out
1 tool denied Bash: rm -rf src
1 closed cancelled interrupted
2 prompt - add a greeting
2 usage - 10 in, 5 out
2 tool ok Bash: cargo test
2 gate passed cargo test passed
2 usage - 10 in, 5 out
2 tool ok Write: .env
2 usage - 10 in, 5 out ?
"
    );
    assert_eq!((session.id.as_str(), session.version.as_deref()), ("5e55-1", Some("2.1.30")));
    assert!(session.problems.is_empty());
    assert_eq!(
        session.tally,
        Tally {
            lines: 27,
            prompts: 3,
            tool_calls: 7,
            rejections: 1,
            failures: 1,
            gates: 3,
            retrievals: 1,
            input_tokens: 80,
            output_tokens: 44,
            cache_read_tokens: 800,
            cache_write_tokens: 160,
            ..Tally::default()
        }
    );
}

#[test]
fn facts_hold_what_was_recorded() {
    let session = session(SESSION);
    let blob = |text: &str| Digest::of(text.as_bytes()).to_string();
    let first = prompt_once("add a greeting", 1);
    let opened = data(&session, &first);
    assert_eq!(opened["mode"], "acceptEdits");
    assert_eq!(opened["base"], Value::Null);
    assert_eq!(opened["agent"], json!({"tool": "claude-code", "version": "2.1.30", "model": "model-a"}));
    assert_eq!(data(&session, &prompt_once("add a greeting", 2))["task"]["text"], "add a greeting");
    let closed = data(&session, &closed_once(&first));
    assert_eq!((&closed["output"]["text"], &closed["agent_ms"]), (&json!("Done: it greets."), &json!(4200)));

    let (before, after) = (blob("fn a() {}\n"), blob("fn greet() {}\n"));
    assert_eq!(
        data(&session, "retrieval:t1")["sources"],
        json!([{"path": "src/lib.rs", "lines": "1-2", "oid": before}])
    );
    let edit = data(&session, "tool:t2");
    assert_eq!(
        edit["files"],
        json!([{"path": "src/lib.rs", "change": "modified", "before": before, "after": after}])
    );
    assert_eq!(edit["reason"], "user_modified");
    assert_eq!(
        data(&session, "tool:t7")["files"],
        json!([{"path": ".env", "change": "added"}]),
        "no id of a secret"
    );

    let failed = data(&session, "tool:t3");
    assert_eq!((&failed["exit_code"], &failed["duration_ms"]), (&json!(101), &Value::Null));
    let gate = data(&session, "gate:t3");
    assert_eq!(gate["counts"], json!({"passed": 2, "failed": 1, "skipped": 0}));
    assert_eq!(gate["command"], json!(["cargo", "test", "-q"]));
    assert_eq!(
        (&gate["exit_code"], &gate["duration_ms"], &gate["dirty"]),
        (&json!(101), &json!(2000), &json!(true))
    );
    assert_eq!(
        data(&session, "tool:t5")["confirmation"],
        json!({"decision": "rejected", "source": "user_reject"})
    );
    assert_eq!(data(&session, "usage:m1:req_m1")["output_tokens"], 9, "once, and the fullest");
}

#[test]
fn people_in_the_loop_are_heard() {
    let session = session(PEOPLE);
    assert_eq!(
        outline(&session),
        "\
0 prompt - /tidy docs
0 usage - 10 in, 5 out
0 tool ok AskUserQuestion
0 asked - Which one?
0 usage - 10 in, 5 out
0 tool denied Bash: mv docs/a docs/b
0 guidance - copy it instead
0 guidance - and keep the dates
0 usage - 10 in, 5 out
0 tool interrupted Bash: sleep 99
0 closed cancelled interrupted
1 prompt - go on
1 closed failed API Error: overloaded
2 prompt - [image]
2 usage - 10 in, 5 out ?
2 tool unknown Bash: cargo test ?
"
    );
    assert_eq!(
        data(&session, "asked:q1:1"),
        json!({"question": {"text": "Which one?"}, "answer": {"text": "b"}, "wait_ms": 2000})
    );
    assert_eq!(data(&session, "tool:q3")["exit_code"], 137);
    assert_eq!((session.tally.rejections, session.tally.interrupted, session.tally.unknown), (1, 1, 1));
}

#[test]
fn sub_agents_are_told_once_and_by_name() {
    let session = self::session(SUBAGENTS);
    assert_eq!(session.tally.tool_calls, 3);
    assert_eq!(
        data(&session, "tool:s2")["runtime"],
        json!({"kind": "subagent", "id": "a1", "reused": false})
    );
    assert_eq!(data(&session, "tool:s3")["runtime"]["id"], "a2");
    assert_eq!(data(&session, "gate:s3")["result"], "passed");
    assert_eq!(data(&session, "tool:s1")["duration_ms"], 812);
    let closed = data(&session, &closed_once(&prompt_once("look around", 1)));
    assert_eq!(closed["output"]["text"], "It is in a.rs.", "not a sub-agent's word");
    assert_eq!(session.tally.prompts, 1, "its task is no person's prompt");
    assert_eq!(session.tally.output_tokens, 5 + 7 + 5 + 5 + 5);

    let own = self::session(SUBAGENT_OWN);
    assert_eq!(own.agent.as_deref(), Some("a7"));
    assert_eq!(data(&own, "agent:a7")["agent"]["id"], "a7");
    assert_eq!(data(&own, "tool:p1t")["runtime"]["id"], "a7", "as the session that started it says");
    assert_eq!(own.tally.prompts, 0);
}

#[test]
fn a_file_cut_in_the_middle_says_what_is_known() {
    let session = session(MIDDLE);
    let problems: Vec<_> = session.problems.iter().map(|p| format!("{} {}", p.line, p.what)).collect();
    assert_eq!(problems.len(), 5, "{problems:?}");
    assert_eq!(data(&session, "prompt:start")["task"]["text"], "");
    assert_eq!(data(&session, "tool:r2")["status"], "ok");
    assert!(data(&session, "retrieval:r2")["sources"][0].get("oid").is_none(), "outside of the working tree");
    assert!(
        !session.steps.iter().any(|step| step.once == "closed:prompt:start"),
        "nobody knows how it ended"
    );
    assert_eq!(session.steps.last().unwrap().prompt, 1);
    assert_eq!(try_session(b"").unwrap_err(), TranscriptError::NotATranscript);
    assert_eq!(try_session(b"{\"a\":1}\n").unwrap_err(), TranscriptError::NotATranscript);
}

#[test]
fn a_longer_file_says_the_same_of_what_was_settled() {
    for text in [SESSION, PEOPLE, SUBAGENTS, SUBAGENT_OWN] {
        let whole = session(text);
        let lines: Vec<&str> = text.lines().collect();
        for end in 1..lines.len() {
            let Ok(part) = try_session(lines[..end].join("\n").as_bytes()) else { continue };
            for step in part.steps.iter().filter(|step| step.settled) {
                let later = whole.steps.iter().find(|other| other.once == step.once);
                let later = later.unwrap_or_else(|| panic!("{} of {end} lines is gone", step.once));
                if step.fact.kind() != "receipt.opened" {
                    assert_eq!(later.fact, step.fact, "{} of {end} lines", step.once);
                }
            }
        }
    }
}

#[test]
fn a_repeated_file_adds_nothing() {
    assert_eq!(session(&SESSION.repeat(2)).steps.len(), session(SESSION).steps.len());
}

/// Every fact can be an entry: short keys, no two alike, bodies within bounds once contents are detached.
pub(crate) fn check(session: &Session) {
    let mut keys = std::collections::HashSet::new();
    let mut opened = 0;
    for step in &session.steps {
        assert!(step.once.len() <= ONCE_MAX && keys.insert(step.once.clone()), "{}", step.once);
        opened += usize::from(step.fact.kind() == "receipt.opened");
        assert!(step.prompt < opened, "a step before its receipt");
        let mut fact = step.fact.clone();
        for (_, content) in fact.contents_mut() {
            *content = "detached".into();
        }
        let bytes = canonical::write(&fact.to_value().unwrap()).expect("data has a canonical form");
        assert!(bytes.len() < 60_000, "{} bytes", bytes.len());
    }
}

#[test]
fn our_own_sessions_fit_into_entries() {
    for text in [SESSION, PEOPLE, SUBAGENTS, SUBAGENT_OWN, MIDDLE] {
        check(&session(text));
    }
}

/// Puts a hostile value somewhere into a line.
fn mutate(value: &mut Value, path: &[usize], with: &Value) {
    let Some((step, rest)) = path.split_first() else { return *value = with.clone() };
    match value {
        Value::Object(map) if !map.is_empty() => {
            let at = step % map.len();
            mutate(map.values_mut().nth(at).expect("within bounds"), rest, with);
        }
        Value::Array(items) if !items.is_empty() => {
            let at = step % items.len();
            mutate(&mut items[at], rest, with);
        }
        _ => *value = with.clone(),
    }
}

fn hostile() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!(-1)),
        Just(json!(u64::MAX)),
        Just(json!(1e300)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[{"type": "text"}], {"type": "tool_result"}])),
        Just(json!("é\u{0}\u{1b}[2J".repeat(3000))),
        "\\PC{0,40}".prop_map(Value::String),
        prop_oneof!["t[1-7]", "m[1-9]", "cd (x|y) && [a-z |&;'\"<>]{0,20}"].prop_map(Value::String),
    ]
}

proptest! {
    #[test]
    fn hostile_lines_never_panic(
        which in 0..5usize,
        changes in prop::collection::vec((0..40usize, prop::collection::vec(0..12usize, 0..6), hostile()), 1..8),
        cut in prop::option::of((0..10_000usize, 0..10_000usize)),
    ) {
        let text = [SESSION, PEOPLE, SUBAGENTS, SUBAGENT_OWN, MIDDLE][which];
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (line, path, with) in changes {
            let at = line % lines.len();
            if let Ok(mut value) = serde_json::from_str::<Value>(&lines[at]) {
                mutate(&mut value, &path, &with);
                lines[at] = value.to_string();
            }
        }
        let mut bytes = lines.join("\n").into_bytes();
        if let Some((from, len)) = cut {
            let from = from % bytes.len();
            let to = (from + len).min(bytes.len());
            bytes.drain(from..to);
        }
        if let Ok(session) = try_session(&bytes) {
            check(&session);
        }
    }
}
