//! Replays: the state after every entry, and trees worked out again.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{TestRepo, said, write};

/// A receipt with a gate, a snapshot and a proposal of which two lines landed, one after the base had moved.
fn worked(init: &[&str]) -> (TestRepo, String) {
    let repo = TestRepo::bare_of_receipts(init);
    repo.receipt(&["init", "--no-man"]);
    write(&repo.path, "a.txt", &(1..=12).map(|n| format!("line {n}\n")).collect::<String>());
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Lines"]);
    let receipt = repo.receipt(&["open", "-m", "All sorts"]);
    repo.receipt(&["run", "--gate", "test", "--", "cat", "a.txt"]);
    let text = std::fs::read_to_string(repo.path.join("a.txt")).unwrap();
    write(&repo.path, "a.txt", &text.replace("line 2\n", "line two\n").replace("line 9\n", "line nine\n"));
    write(&repo.path, "sub/new.txt", "new\n");
    write(&repo.path, "scratch", "only in the snapshot\n");
    repo.receipt(&["snapshot", "-m", "before"]);
    std::fs::remove_file(repo.path.join("scratch")).unwrap();
    repo.receipt(&["propose", "-m", "Words", "--receipt", &receipt, "--restore"]);
    repo.receipt(&["accept", &receipt, "--lines", "1", "--apply"]);
    write(&repo.path, "b.txt", "moved on\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Elsewhere"]);
    repo.receipt(&["reject", &receipt, "--lines", "2"]);
    repo.receipt(&["accept", &receipt]);
    repo.receipt(&["close", &receipt, "--status", "completed"]);
    (repo, receipt)
}

/// What an entry changed, as `what: to`.
fn changes(entry: &Value) -> Vec<String> {
    let list = entry["changes"].as_array().unwrap().iter();
    list.map(|change| {
        format!("{}: {}", change["what"].as_str().unwrap(), change["to"].as_str().unwrap_or("none"))
    })
    .collect()
}

#[test]
fn every_entry_says_what_it_changed_and_the_last_state_is_that_of_show() {
    let (repo, receipt) = worked(&[]);
    let (replayed, code) = repo.json(&["replay", &receipt]);
    assert_eq!(code, 0, "{replayed:#}");
    let entries = replayed["entries"].as_array().unwrap();
    let by_kind = |kind: &str| entries.iter().find(|entry| entry["kind"] == kind).unwrap();
    assert_eq!(changes(&entries[0]), ["state: open"]);
    assert_eq!(changes(by_kind("gate.checked")), ["gate test: passed"]);
    assert_eq!(changes(by_kind("snapshot.taken")), ["snapshots: 1"]);
    let made = changes(by_kind("proposal.made"));
    assert_eq!(made, ["proposal: revision 1 proposed", "lines pending: 1-4"]);
    let accepted = changes(by_kind("lines.accepted"));
    assert_eq!(accepted, ["lines pending: 2-4", "lines accepted: 1"]);
    let landed = changes(by_kind("lines.applied"));
    assert!(landed.contains(&"lines applied: 1".into()) && landed.contains(&"lines accepted: none".into()));
    assert!(landed.iter().any(|change| change.starts_with("commit ")), "{landed:?}");
    assert_eq!(changes(by_kind("receipt.closed")), ["state: completed"]);
    let (shown, _) = repo.json(&["show", &receipt]);
    let state = &replayed["state"];
    for same in ["state", "entries", "tool_calls", "gates", "usage", "spent", "charged", "commits"] {
        assert_eq!(state[same], shown[same], "{same}");
    }
    for same in ["revision", "state", "pending", "accepted", "rejected", "applied"] {
        assert_eq!(state["proposal"][same], shown["proposal"][same], "{same}");
    }
    let text = repo.receipt(&["replay", &receipt]);
    assert!(text.contains("lines accepted: 1") && text.contains("gate test: passed"), "{text}");
}

#[test]
fn at_n_is_the_state_after_the_entry_that_show_numbers_so() {
    let (repo, receipt) = worked(&[]);
    let (all, _) = repo.json(&["replay", &receipt]);
    let entries = all["entries"].as_array().unwrap();
    for n in [0, 3, entries.len() - 1] {
        let (at, _) = repo.json(&["replay", &receipt, "--at", &n.to_string()]);
        assert_eq!(at["state"], entries[n]["state"], "{n}");
        assert_eq!(at["entries"].as_array().unwrap().len(), n + 1);
        let (shown, _) = repo.json(&["show", &receipt]);
        assert_eq!(at["entries"][n]["digest"], shown["steps"][n]["digest"]);
    }
    let lines = repo.command(crate::support::PROGRAM, &repo.path, &["--jsonl", "replay", &receipt]);
    let printed = crate::support::check(lines);
    assert_eq!(printed.lines().count(), entries.len());
    let beyond = repo.try_receipt(&["replay", &receipt, "--at", "99"]);
    assert_eq!(beyond.status.code(), Some(2));
    assert!(said(&beyond).contains("no entry 99"), "{}", said(&beyond));
}

#[test]
fn a_check_of_real_work_is_clean_under_both_hashes_and_writes_nothing() {
    for init in [&[][..], &["--object-format=sha256"]] {
        let (repo, receipt) = worked(init);
        let refs = repo.git(&["for-each-ref"]);
        let (checked, code) = repo.json(&["replay", &receipt, "--check"]);
        assert_eq!(code, 0, "{checked:#}");
        let rebuilt = checked["check"]["rebuilt"].as_array().unwrap();
        let kinds: Vec<_> = rebuilt.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["snapshot.taken", "proposal.made", "lines.applied", "lines.applied"]);
        assert!(checked["check"]["objects"].as_u64().unwrap() > 10, "{checked:#}");
        assert_eq!(repo.git(&["for-each-ref"]), refs);
        let (recorded, code) = repo.json(&["replay", &receipt, "--check", "--record"]);
        assert_eq!(code, 0, "{recorded:#}");
        let (log, _) = repo.json(&["log", &receipt, "--kind", "replay.checked"]);
        let data = &log["entries"][0]["data"];
        assert_eq!((&data["form"], &data["result"]), (&"rebuild".into(), &"reproduced".into()));
        assert_eq!(data["of"], receipt);
        repo.assert_clean(&repo.path);
    }
}

/// The file of a loose object.
fn loose(repo: &TestRepo, id: &str) -> PathBuf {
    repo.path.join(".git/objects").join(&id[..2]).join(&id[2..])
}

/// Puts the file of one loose object in the place of another's.
fn replace(repo: &TestRepo, id: &str, by: &str) {
    let path = loose(repo, id);
    let bytes = std::fs::read(loose(repo, by)).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn blob(repo: &TestRepo, content: &str) -> String {
    write(repo.folder.path(), "blob", content);
    repo.git(&["hash-object", "-w", repo.folder.path().join("blob").to_str().unwrap()])
}

#[test]
fn another_object_under_the_same_name_is_found_and_the_entry_named() {
    // A blob of the snapshot, a blob that only the landed commit has, a tree, and a commit.
    let cases: [(&str, &str); 4] = [
        ("snapshot.taken", "HEAD:sub/new.txt"),
        ("lines.applied", "HEAD:b.txt"),
        ("lines.applied", "HEAD^{tree}"),
        ("lines.applied", "HEAD"),
    ];
    for (kind, name) in cases {
        let (repo, receipt) = worked(&[]);
        let victim = repo.git(&["rev-parse", name]);
        let by = match name {
            "HEAD^{tree}" => repo.git(&["rev-parse", "HEAD~2^{tree}"]),
            "HEAD" => repo.git(&["rev-parse", "HEAD~3"]),
            _ => blob(&repo, "something else\n"),
        };
        replace(&repo, &victim, &by);
        let (checked, code) = repo.json(&["replay", &receipt, "--check"]);
        assert_eq!(code, 1, "{name}: {checked:#}");
        let rebuilt = checked["check"]["rebuilt"].as_array().unwrap();
        let named = rebuilt.iter().find(|one| {
            one["kind"] == kind && one["problems"].to_string().contains(&victim) && one["result"] == "differs"
        });
        let named = named.unwrap_or_else(|| panic!("{name}: {checked:#}"));
        assert!(named["n"].is_u64() && named["commit"].is_string());
        let text = repo.try_receipt(&["replay", &receipt, "--check"]);
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        assert!(text.contains("DIFFERS") && text.contains("NOT THE SAME"), "{text}");
        let recorded = repo.try_receipt(&["replay", &receipt, "--check", "--record"]);
        assert_eq!(recorded.status.code(), Some(1));
        let (log, _) = repo.json(&["log", &receipt, "--kind", "replay.checked"]);
        assert_eq!(log["entries"][0]["data"]["result"], "diverged");
    }
}

#[test]
fn an_object_of_no_sense_at_all_is_found_too() {
    let (repo, receipt) = worked(&[]);
    let victim = repo.git(&["rev-parse", "HEAD:sub"]);
    let path = loose(&repo, &victim);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "rubbish").unwrap();
    let (checked, code) = repo.json(&["replay", &receipt, "--check"]);
    assert_eq!(code, 1, "{checked:#}");
    assert!(checked.to_string().contains("cannot be read"), "{checked:#}");
}

#[test]
fn what_is_not_here_is_incomplete_and_nothing_is_recorded_of_it() {
    let (repo, receipt) = worked(&[]);
    // Snapshots are private: a clone that fetched has the proposals and what landed, and not them.
    let (_, second) = repo.share();
    let (checked, code) = repo.json_in(&second, &["replay", &receipt, "--check", "--record"]);
    // The signers are not listed, and looking does not need that.
    assert_eq!(code, 4, "{checked:#}");
    let rebuilt = checked["check"]["rebuilt"].as_array().unwrap();
    for one in rebuilt {
        let missing = one["kind"] == "snapshot.taken";
        assert_eq!(one["result"], if missing { "missing" } else { "same" }, "{checked:#}");
    }
    assert_eq!(checked["check"]["recorded"], Value::Null);
}

#[test]
fn the_statement_of_a_rollback_is_held_against_its_commit() {
    let (repo, receipt) = worked(&[]);
    let tree = |rev: &str| format!("sha1:{}", repo.git(&["rev-parse", &format!("{rev}^{{tree}}")]));
    repo.git(&["revert", "--no-edit", "-n", "HEAD"]);
    repo.git(&["commit", "-qm", "Back"]);
    let back = format!("sha1:{}", repo.git(&["rev-parse", "HEAD"]));
    let (from, to) = (tree("HEAD^"), tree("HEAD"));
    // What landed in the commit that was reverted; the rest landed before.
    let some = serde_json::json!("3-4");
    for (from, to, lines, problem) in [
        (&from, &to, Some(&some), None),
        (&to, &to, Some(&some), Some("has tree")),
        (&from, &from, Some(&some), Some("has tree")),
        (&from, &to, None, Some("gives tree")),
    ] {
        let own = repo.receipt(&["open", "-m", "Roll back"]);
        let mut line = serde_json::json!({
            "kind": "rollback.applied",
            "data": {"of": receipt, "commit": back, "from_tree": from, "to_tree": to},
        });
        if let Some(lines) = lines {
            line["data"]["lines"] = lines.clone();
        }
        write(&repo.path, "../line.jsonl", &format!("{line}\n"));
        repo.receipt(&["record", "--receipt", &own, "../line.jsonl"]);
        let (checked, code) = repo.json(&["replay", &own, "--check"]);
        assert_eq!(code, i32::from(problem.is_some()), "{checked:#}");
        if let Some(problem) = problem {
            assert!(checked.to_string().contains(problem), "{checked:#}");
        }
    }
}
