//! Hooks of an agent: what they record, what they keep out, and that they are never in the way.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::{PROGRAM, TestRepo, check, project, recorded};

fn fire_bytes(repo: &TestRepo, directory: &Path, payload: &[u8]) -> Output {
    let mut command = repo.command(PROGRAM, directory, &["hook", "claude-code"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(payload).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    output
}

fn fire(repo: &TestRepo, event: &str, more: Value) {
    let mut payload = json!({"session_id": "s", "cwd": repo.path, "hook_event_name": event,
        "permission_mode": "default", "transcript_path": "/nowhere"});
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fire_bytes(repo, &repo.path, payload.to_string().as_bytes());
}

fn call(id: &str, tool: &str, input: Value) -> Value {
    json!({"tool_name": tool, "tool_use_id": id, "tool_input": input})
}

fn with(mut call: Value, more: Value) -> Value {
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call
}

fn entries(repo: &TestRepo, kind: &str) -> Vec<Value> {
    let (log, code) = repo.json(&["log", "--all", "--kind", kind]);
    assert_eq!(code, 0);
    let mut entries = log["entries"].as_array().unwrap().clone();
    entries.reverse();
    entries
}

fn hook_log(repo: &TestRepo) -> String {
    std::fs::read_to_string(repo.path.join(".git/receipts/hook.log")).unwrap_or_default()
}

#[test]
fn a_turn_is_a_receipt_and_each_call_one_entry() {
    let repo = TestRepo::new();
    let file = repo.path.join("file");
    fire(&repo, "SessionStart", json!({"source": "startup", "model": "m-1"}));
    fire(&repo, "UserPromptSubmit", json!({"prompt": "make it two"}));
    let edit = call("t1", "Edit", json!({"file_path": file, "old_string": "one", "new_string": "two"}));
    fire(&repo, "PreToolUse", edit.clone());
    fire(&repo, "PermissionRequest", edit.clone());
    std::fs::write(&file, "two\n").unwrap();
    let detail = json!({"filePath": file, "oldString": "one", "newString": "two", "originalFile": "one\n"});
    fire(&repo, "PostToolUse", with(edit, json!({"tool_response": detail, "duration_ms": 12})));
    fire(&repo, "PreToolUse", call("t2", "Bash", json!({"command": "sleep 100"})));
    fire(&repo, "Notification", json!({"message": "still there"}));
    fire(&repo, "SomethingNew", json!({"tool_name": 4}));
    fire(&repo, "Stop", json!({"last_assistant_message": "It is two now."}));

    let calls = entries(&repo, "tool.called");
    assert_eq!(calls.len(), 2);
    let edit = &calls[0]["data"];
    let blob = |content: &str| {
        std::fs::write(repo.folder.path().join("blob"), content).unwrap();
        let path = repo.folder.path().join("blob").to_string_lossy().into_owned();
        format!("sha1:{}", repo.git(&["hash-object", "--no-filters", &path]))
    };
    assert_eq!(edit["files"][0]["path"], "file");
    assert_eq!(edit["files"][0]["before"], blob("one\n"));
    assert_eq!(edit["files"][0]["after"], blob("two\n"));
    assert_eq!(edit["confirmation"], json!({"decision": "accepted", "source": "user"}));
    assert_eq!(edit["duration_ms"], 12);
    assert_eq!(calls[1]["data"]["status"], "unknown", "a call without an end");
    let opened = entries(&repo, "receipt.opened");
    assert_eq!(opened[0]["data"]["agent"], json!({"tool": "claude-code", "model": "m-1"}));
    assert_eq!(opened[0]["data"]["base"]["dirty"], false);
    let closed = entries(&repo, "receipt.closed");
    assert_eq!(closed[0]["data"]["status"], "completed");
    assert_eq!(closed[0]["data"]["summary"], "It is two now.");
    assert_eq!(entries(&repo, "snapshot.taken").len(), 2, "before the turn and after it");
    assert_eq!(hook_log(&repo), "");
    repo.assert_clean(&repo.path);
}

#[test]
fn words_while_it_works_are_guidance_and_an_abandoned_turn_stays_open() {
    let repo = TestRepo::new();
    fire(&repo, "UserPromptSubmit", json!({"prompt": "first"}));
    let bash = call("t1", "Bash", json!({"command": "make"}));
    fire(&repo, "PreToolUse", bash.clone());
    fire(&repo, "UserPromptSubmit", json!({"prompt": "use tabs"}));
    assert_eq!(entries(&repo, "guidance.given").len(), 1);
    assert_eq!(entries(&repo, "receipt.opened").len(), 1);
    // Stopped by the person: no Stop follows, and what is said next is another task.
    fire(&repo, "PostToolUseFailure", with(bash, json!({"error": "stopped", "is_interrupt": true})));
    fire(&repo, "UserPromptSubmit", json!({"prompt": "second"}));
    fire(&repo, "Stop", json!({}));
    assert_eq!(entries(&repo, "receipt.opened").len(), 2);
    assert_eq!(entries(&repo, "tool.called")[0]["data"]["status"], "interrupted");
    let (list, _) = repo.json(&["list", "--open"]);
    assert_eq!(list["receipts"].as_array().unwrap().len(), 1, "{list:#}");
    assert_eq!(list["receipts"][0]["summary"], "first");
    repo.assert_clean(&repo.path);
}

#[test]
fn a_transcript_tells_of_calls_that_were_turned_down() {
    let repo = TestRepo::new();
    let transcript = repo.folder.path().join("t.jsonl");
    fire(&repo, "UserPromptSubmit", json!({"prompt": "first"}));
    fire(&repo, "PreToolUse", call("t1", "Bash", json!({"command": "rm -rf /"})));
    let refused = "The user doesn't want to proceed with this tool use. The tool use was rejected.";
    let lines = [
        json!({"type": "user", "message": {"content": "first"}}),
        json!({"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "t1", "name": "Bash"}]}}),
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t1",
            "content": refused, "is_error": true}]}}),
        json!({"type": "user", "message": {"content": [{"type": "text",
            "text": "[Request interrupted by user for tool use]"}]}}),
    ];
    std::fs::write(&transcript, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    fire(&repo, "UserPromptSubmit", json!({"prompt": "second", "transcript_path": transcript}));
    let call = &entries(&repo, "tool.called")[0]["data"];
    assert_eq!(call["status"], "denied");
    assert_eq!(call["confirmation"], json!({"decision": "rejected", "source": "user_reject"}));
    assert_eq!(entries(&repo, "receipt.opened").len(), 2, "what was said next is no guidance");
}

#[test]
fn a_gate_stands_on_the_tree_it_ran_on() {
    let repo = TestRepo::new();
    fire(&repo, "UserPromptSubmit", json!({"prompt": "test it"}));
    std::fs::write(repo.path.join("new"), "new\n").unwrap();
    let tests = call("t1", "Bash", json!({"command": "cargo test"}));
    fire(&repo, "PreToolUse", tests.clone());
    // What the run leaves behind is not what it ran on.
    std::fs::write(repo.path.join("left-behind"), "x\n").unwrap();
    let detail = json!({"stdout": "test result: ok. 3 passed; 0 failed; 0 ignored", "stderr": "",
        "interrupted": false, "isImage": false});
    fire(&repo, "PostToolUse", with(tests, json!({"tool_response": detail})));
    let gate = &entries(&repo, "gate.checked")[0]["data"];
    assert_eq!((&gate["result"], &gate["dirty"]), (&json!("passed"), &json!(true)));
    let tree = gate["tree"].as_str().unwrap().trim_start_matches("sha1:");
    assert_eq!(repo.git(&["ls-tree", "--name-only", tree]), "file\nnew");
    let snapshots = entries(&repo, "snapshot.taken");
    assert!(snapshots.iter().any(|entry| entry["data"]["worktree"] == gate["tree"]));
}

#[test]
fn a_gate_on_a_tree_that_an_earlier_turn_left_is_proven_in_its_own_receipt() {
    for snapshots in ["turns", "edits", "off"] {
        let repo = TestRepo::new();
        repo.git(&["config", "receipt.snapshots", snapshots]);
        std::fs::write(repo.path.join("file"), "dirty\n").unwrap();
        fire(&repo, "UserPromptSubmit", json!({"prompt": "first"}));
        fire(&repo, "Stop", json!({}));
        fire(&repo, "UserPromptSubmit", json!({"prompt": "second"}));
        for id in ["t1", "t2"] {
            let tests = call(id, "Bash", json!({"command": "cargo test"}));
            fire(&repo, "PreToolUse", tests.clone());
            let detail = json!({"stdout": "ok", "stderr": "", "interrupted": false});
            fire(&repo, "PostToolUse", with(tests, json!({"tool_response": detail})));
        }
        fire(&repo, "Stop", json!({}));
        assert_eq!(entries(&repo, "gate.checked").len(), 2);
        repo.assert_clean(&repo.path);
    }
}

#[test]
fn results_that_come_after_the_end_stay_legal() {
    let repo = TestRepo::new();
    fire(&repo, "UserPromptSubmit", json!({"prompt": "go"}));
    let tests = call("t1", "Bash", json!({"command": "cargo test"}));
    let read = call("t2", "Read", json!({"file_path": repo.path.join("file")}));
    fire(&repo, "PreToolUse", tests.clone());
    fire(&repo, "Stop", json!({}));
    let detail = json!({"stdout": "ok", "stderr": "", "interrupted": false});
    fire(&repo, "PostToolUse", with(tests, json!({"tool_response": detail})));
    fire(&repo, "PostToolUse", with(read, json!({"tool_response": {"file": {"content": "one\n"}}})));
    assert_eq!(entries(&repo, "tool.called").len(), 2);
    assert_eq!(entries(&repo, "gate.checked").len(), 0, "never a gate after the end");
    assert!(hook_log(&repo).contains("came after its receipt was closed"), "{}", hook_log(&repo));
    let remark = &entries(&repo, "remark.made")[0];
    assert_eq!(remark["title"], "late result: Bash ok", "and what was late is not lost");
    repo.assert_clean(&repo.path);
}

#[test]
fn snapshots_follow_the_configuration_and_leave_secrets_alone() {
    let repo = TestRepo::new();
    repo.git(&["config", "receipt.snapshots", "edits"]);
    fire(&repo, "UserPromptSubmit", json!({"prompt": "write"}));
    let write = call("t1", "Write", json!({"file_path": repo.path.join("a"), "content": "a\n"}));
    fire(&repo, "PreToolUse", write.clone());
    std::fs::write(repo.path.join("a"), "a\n").unwrap();
    let secret = format!("token = ghp_{}\n", "Ab3".repeat(12));
    std::fs::write(repo.path.join("config.toml"), &secret).unwrap();
    std::fs::write(repo.path.join(".env"), "X=1\n").unwrap();
    let detail = json!({"type": "create", "filePath": repo.path.join("a"), "content": "a\n"});
    fire(&repo, "PostToolUse", with(write, json!({"tool_response": detail})));
    fire(&repo, "Stop", json!({}));
    let trees: Vec<String> = entries(&repo, "snapshot.taken")
        .iter()
        .map(|entry| entry["data"]["worktree"].as_str().unwrap().trim_start_matches("sha1:").to_owned())
        .collect();
    assert_eq!(trees.len(), 2, "before the turn and after the edit; the end of the turn is the same");
    assert_eq!(repo.git(&["ls-tree", "--name-only", &trees[1]]), "a\nfile");
    let log = hook_log(&repo);
    assert!(log.contains("`.env`") && log.contains("`config.toml`"), "{log}");
    repo.git(&["config", "receipt.snapshots", "off"]);
    fire(&repo, "UserPromptSubmit", json!({"prompt": "more"}));
    fire(&repo, "Stop", json!({}));
    assert_eq!(entries(&repo, "snapshot.taken").len(), 2);
}

/// Every file below `.git`, objects and compressed files opened.
fn everything_stored(repo: &TestRepo) -> Vec<u8> {
    let mut all = Vec::new();
    let ids = repo.git(&["cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)"]);
    for line in ids.lines() {
        let (id, kind) = line.split_once(' ').unwrap();
        let output = repo.command("git", &repo.path, &["cat-file", kind, id]).output().unwrap();
        all.extend(output.stdout);
    }
    let mut folders = vec![repo.path.join(".git")];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.extend(std::fs::read(path).unwrap());
            }
        }
    }
    all
}

#[test]
fn no_secret_of_any_field_is_stored() {
    let repo = TestRepo::new();
    let secret = format!("ghp_{}", "Zz9".repeat(12));
    let words = format!("use {secret} please");
    fire(&repo, "SessionStart", json!({"model": words}));
    fire(&repo, "UserPromptSubmit", json!({"prompt": words, "permission_mode": words}));
    let bash =
        call("t1", "Bash", json!({"command": format!("cargo test --token {secret}"), "description": words}));
    fire(&repo, "PreToolUse", bash.clone());
    fire(&repo, "UserPromptSubmit", json!({"prompt": format!("no, {words}")}));
    let detail = json!({"stdout": words, "stderr": words, "interrupted": false});
    fire(&repo, "PostToolUse", with(bash, json!({"tool_response": detail})));
    let search = call("t2", "Grep", json!({"pattern": words}));
    fire(&repo, "PostToolUse", with(search, json!({"tool_response": {"filenames": [words], "numFiles": 1}})));
    let failed = call("t3", &words, json!({"file_path": words}));
    fire(&repo, "PostToolUseFailure", with(failed, json!({"error": words})));
    let denied = call(&words, "Bash", json!({"command": words}));
    fire(&repo, "PermissionDenied", with(denied, json!({"reason": words, "source": words})));
    fire(&repo, "PreToolUse", call("t4", "Bash", json!({"command": words})));
    fire(&repo, "Stop", json!({"last_assistant_message": words}));
    fire_bytes(&repo, &repo.path, format!("{{\"hook_event_name\": \"{secret}\"}}").as_bytes());
    let stored = everything_stored(&repo);
    assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()));
    assert!(entries(&repo, "tool.called").len() >= 4, "all of it was recorded: {}", hook_log(&repo));
    repo.assert_clean(&repo.path);
}

#[test]
fn hostile_payloads_are_logged_and_nothing_else() {
    let repo = TestRepo::new();
    let outside = repo.folder.path().join("outside");
    std::fs::write(&outside, "mine\n").unwrap();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for bytes in [
        &b""[..],
        b"not json",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b"{\"session_id\": 4, \"hook_event_name\": \"Stop\"}",
        b"{\"session_id\": \"s\", \"hook_event_name\": [\"Stop\"]}",
        deep.as_bytes(),
    ] {
        fire_bytes(&repo, &repo.path, bytes);
    }
    assert_eq!(hook_log(&repo).lines().count(), 8, "{}", hook_log(&repo));
    let session = json!({"session_id": "../../../x\n\u{1b}[31m", "cwd": "/", "hook_event_name": "UserPromptSubmit",
        "prompt": "hello", "transcript_path": "/dev/zero"});
    fire_bytes(&repo, &repo.path, session.to_string().as_bytes());
    for path in ["../outside", "/etc/passwd", "a/../../outside", ".git/config", ""] {
        let write = call(&format!("../{path}"), "Write", json!({"file_path": path, "content": "theirs"}));
        fire(&repo, "PreToolUse", write.clone());
        fire(
            &repo,
            "PostToolUse",
            with(write, json!({"tool_response": {"filePath": path, "content": "theirs"}})),
        );
    }
    fire(
        &repo,
        "PostToolUse",
        with(
            call("big", "Bash", json!({"command": "yes"})),
            json!({"tool_response": {"stdout": "y\n".repeat(25 << 20), "stderr": "", "interrupted": false}}),
        ),
    );
    fire(&repo, "Stop", json!({}));
    let raw = b"{\"session_id\": \"s\", \"hook_event_name\": \"Notification\", \"message\": \"\xff\"}";
    fire_bytes(&repo, &repo.path, raw);
    let log = hook_log(&repo);
    for said in ["is no plain name", "is outside of the repository", "keeps its first", "was no UTF-8"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "mine\n");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let mut names: Vec<_> =
        std::fs::read_dir(repo.folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["home", "outside", "repo"]);
    let big = entries(&repo, "tool.called").pop().unwrap();
    assert_eq!(big["data"]["output"]["truncated"], true);
    assert_eq!(big["data"]["output"]["bytes"], 50 << 20);
    repo.assert_clean(&repo.path);
}

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Payloads with fields exchanged, of another type, missing, or with their bytes broken.
fn mutated(seed: &[Value], numbers: &mut Numbers) -> Vec<u8> {
    let odd = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!([[]]),
        json!({}),
        json!(""),
        json!("\u{0}\u{1b}[2J"),
        json!("../../x"),
        json!("/dev/zero"),
        json!("x".repeat(70_000)),
        json!(true),
    ];
    let mut value = seed[numbers.below(seed.len())].clone();
    for _ in 0..1 + numbers.below(3) {
        let fields = value.as_object_mut().unwrap();
        let name = fields.keys().nth(numbers.below(fields.len())).unwrap().clone();
        match numbers.below(3) {
            0 => drop(fields.remove(&name)),
            1 => drop(fields.insert(name, odd[numbers.below(odd.len())].clone())),
            _ => match fields.get_mut(&name) {
                Some(Value::Object(inner)) if !inner.is_empty() => {
                    let name = inner.keys().nth(numbers.below(inner.len())).unwrap().clone();
                    inner.insert(name, odd[numbers.below(odd.len())].clone());
                }
                _ => drop(fields.insert("tool_response".into(), odd[numbers.below(odd.len())].clone())),
            },
        }
        if fields.is_empty() {
            break;
        }
    }
    let mut bytes = value.to_string().into_bytes();
    if numbers.below(4) == 0 {
        let at = numbers.below(bytes.len());
        bytes[at] = numbers.below(256) as u8;
    }
    if numbers.below(8) == 0 {
        bytes.truncate(numbers.below(bytes.len() + 1));
    }
    bytes
}

#[test]
fn whatever_a_payload_says_the_chain_stays_sound() {
    let repo = TestRepo::new();
    let file = repo.path.join("file");
    let of = |event: &str, more: Value| {
        with(
            json!({"session_id": "s", "cwd": repo.path, "hook_event_name": event, "transcript_path": "/nowhere"}),
            more,
        )
    };
    let edit = call("t1", "Edit", json!({"file_path": file, "old_string": "one", "new_string": "two"}));
    let bash = call("t2", "Bash", json!({"command": "cargo test"}));
    let seed = [
        of("SessionStart", json!({"source": "startup", "model": "m"})),
        of("UserPromptSubmit", json!({"prompt": "go"})),
        of("PreToolUse", edit.clone()),
        of("PostToolUse", with(edit, json!({"tool_response": {"filePath": file, "originalFile": "one\n"}}))),
        of("PreToolUse", bash.clone()),
        of(
            "PostToolUse",
            with(
                bash.clone(),
                json!({"tool_response": {"stdout": "ok", "stderr": "", "interrupted": false}}),
            ),
        ),
        of("PostToolUseFailure", with(bash.clone(), json!({"error": "Exit code 1", "is_interrupt": false}))),
        of("PermissionDenied", with(bash, json!({"reason": "no"}))),
        of("Stop", json!({"last_assistant_message": "done"})),
        of("SessionEnd", json!({"reason": "other"})),
    ];
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let cases = std::env::var("GIT_RECEIPT_PAYLOADS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    for _ in 0..cases {
        fire_bytes(&repo, &repo.path, &mutated(&seed, &mut numbers));
    }
    assert!(!hook_log(&repo).contains("panicked"));
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.assert_clean(&repo.path);
}

#[test]
fn a_hook_is_silent_where_nothing_is_to_be_recorded() {
    let repo = TestRepo::bare_of_receipts(&[]);
    let prompt = json!({"session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "x"}).to_string();
    fire_bytes(&repo, &repo.path, prompt.as_bytes());
    fire_bytes(&repo, repo.folder.path(), prompt.as_bytes());
    assert!(!repo.path.join(".git/receipts").exists());
    repo.receipt(&["init", "--no-man"]);
    repo.git(&["config", "receipt.enabled", "false"]);
    fire_bytes(&repo, &repo.path, prompt.as_bytes());
    repo.git(&["config", "--unset", "receipt.enabled"]);
    let mut off = repo.command(PROGRAM, &repo.path, &["hook", "claude-code"]);
    off.env("GIT_RECEIPT", "off").stdin(Stdio::piped());
    let mut child = off.spawn().unwrap();
    child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(entries(&repo, "receipt.opened").len(), 0);
    fire_bytes(&repo, &repo.path, prompt.as_bytes());
    assert_eq!(entries(&repo, "receipt.opened").len(), 1);
}

#[test]
fn recorded_sessions_replayed_as_hooks_lose_and_double_nothing() {
    let Some(folder) = recorded("claude-code") else { return };
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("full.jsonl").to_string_lossy().into_owned())
        .collect();
    files.sort();
    for late in [false, true] {
        let repo = TestRepo::new();
        let script = project("tests/replay_hooks.py").to_string_lossy().into_owned();
        let top = repo.path.to_string_lossy().into_owned();
        let mut args = vec![script.as_str(), PROGRAM, &top];
        args.extend(files.iter().map(String::as_str));
        if late {
            args.push("--late");
        }
        let said = check(repo.command("python3", &repo.path, &args));
        let sent: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let sum =
            |name: &str| sent.iter().map(|session| session[name].as_u64().unwrap()).sum::<u64>() as usize;
        let count = |kind: &str| entries(&repo, kind).len();
        assert_eq!(count("tool.called"), sum("calls"));
        assert_eq!(count("receipt.opened"), sum("prompts"));
        assert_eq!(count("receipt.closed"), sum("prompts"));
        assert_eq!(repo.verify().1, 0);
        let kinds = ["tool.called", "gate.checked", "retrieval.made"];
        let before: Vec<usize> = kinds.iter().map(|kind| count(kind)).collect();
        if !late {
            check(repo.command("python3", &repo.path, &args));
            assert_eq!(kinds.iter().map(|kind| count(kind)).collect::<Vec<_>>(), before, "a second replay");
        }
        let mut import = vec!["import", "claude-code"];
        import.extend(files.iter().map(String::as_str));
        repo.receipt(&import);
        assert_eq!(kinds.iter().map(|kind| count(kind)).collect::<Vec<_>>(), before, "an import afterwards");
        assert!(count("usage.counted") > 0, "which adds what hooks cannot know");
        let (again, _) = repo.json(&import);
        assert!(again["sessions"].as_array().unwrap().iter().all(|session| session["added"] == 0));
        repo.assert_clean(&repo.path);
    }
}

#[test]
fn random_sessions_of_git_end_as_they_do_without_hooks() {
    let repo = TestRepo::bare_of_receipts(&[]);
    let script = project("tests/random_git.py").to_string_lossy().into_owned();
    let sessions = std::env::var("GIT_RECEIPT_RANDOM_SESSIONS").unwrap_or_else(|_| "12".into());
    let said = check(repo.command("python3", &repo.path, &[&script, PROGRAM, &sessions]));
    assert!(said.contains("bindings are right, all verify"), "{said}");
}
