//! Forks: receipts that continue from an entry of another.

use std::path::Path;

use serde_json::Value;

use crate::support::{PROGRAM, TestRepo, check, read, said, write};

/// A receipt with a gate (entry 1), a snapshot (2), a remark (3) and a proposal (4).
fn worked() -> (TestRepo, String) {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "The first way"]);
    repo.receipt(&["run", "--gate", "test", "--", "echo", "fine"]);
    write(&repo.path, "file", "one and a half\n");
    write(&repo.path, "new", "new\n");
    repo.receipt(&["snapshot"]);
    repo.receipt(&["remark", &receipt, "-m", "not sure"]);
    repo.receipt(&["propose", "-m", "Half", "--receipt", &receipt]);
    (repo, receipt)
}

fn kinds(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

#[test]
fn a_fork_prints_its_id_starts_from_the_state_at_the_entry_and_touches_nothing() {
    let (repo, receipt) = worked();
    let before = repo.git(&["status", "--porcelain"]);
    let fork = repo.receipt(&["fork", &receipt, "--at", "2", "-m", "Another way"]);
    assert_eq!(fork.len(), 26, "the id alone: {fork}");
    assert_eq!(repo.git(&["status", "--porcelain"]), before);
    let (shown, _) = repo.json(&["show", &fork]);
    assert_eq!(kinds(&shown["inherited"]), ["receipt.opened", "gate.checked", "snapshot.taken"]);
    assert_eq!(kinds(&shown["steps"]), ["receipt.opened"]);
    assert_eq!(shown["forked_from"]["receipt"], receipt);
    assert_eq!(shown["gates"].as_array().unwrap().len(), 0, "what was inherited is not counted twice");
    let text = repo.receipt(&["show", &fork]);
    assert!(text.contains("inherited") && text.contains(&format!("from {receipt}")), "{text}");
    // Appending goes on as with any receipt, also to the one that was forked, which changes nothing in the fork.
    let _ = repo.try_receipt(&["run", "--gate", "lint", "--receipt", &fork, "--", "true"]);
    repo.receipt(&["remark", &receipt, "-m", "went on"]);
    let (replayed, _) = repo.json(&["replay", &fork]);
    let n: Vec<_> = replayed["entries"].as_array().unwrap().iter().map(|entry| entry["n"].as_u64()).collect();
    assert_eq!(n, [None, None, None, Some(0), Some(1), Some(2)], "{replayed:#}");
    let gates = &replayed["state"]["gates"];
    assert_eq!(gates.as_array().unwrap().len(), 2, "{gates:#}");
    let (origin, _) = repo.json(&["replay", &receipt, "--at", "2"]);
    assert_eq!(replayed["entries"][2]["state"], origin["state"]);
    repo.assert_clean(&repo.path);
}

#[test]
fn a_fork_of_a_fork_and_the_list_of_forks() {
    let (repo, receipt) = worked();
    let one = repo.receipt(&["fork", &receipt, "--at", "2"]);
    repo.receipt(&["remark", &one, "-m", "in the first fork"]);
    let two = repo.receipt(&["fork", &one, "--at", "1"]);
    let other = repo.receipt(&["fork", &receipt, "--at", "0"]);
    let (shown, _) = repo.json(&["show", &two]);
    assert_eq!(
        kinds(&shown["inherited"]),
        ["receipt.opened", "gate.checked", "snapshot.taken", "receipt.opened", "remark.made"]
    );
    assert_eq!(shown["summary"], "The first way", "what the other receipt says");
    let forks = |of: &str| {
        let (listed, _) = repo.json(&["list", "--forks-of", of]);
        let list = listed["receipts"].as_array().unwrap().clone();
        list.iter().map(|one| one["receipt"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(forks(&receipt), [other, one.clone()]);
    assert_eq!(forks(&one), std::slice::from_ref(&two));
    assert!(forks(&two).is_empty());
    let (checked, code) = repo.json(&["replay", &two, "--check"]);
    assert_eq!(code, 0, "{checked:#}");
    assert_eq!(
        kinds(&checked["check"]["rebuilt"]),
        ["snapshot.taken"],
        "what it inherited is rebuilt as well"
    );
    repo.assert_clean(&repo.path);
}

#[test]
fn a_fork_of_a_closed_receipt_is_open() {
    let (repo, receipt) = worked();
    repo.receipt(&["close", &receipt, "--status", "failed"]);
    let fork = repo.receipt(&["fork", &receipt, "--at", "5"]);
    let (replayed, _) = repo.json(&["replay", &fork]);
    let states: Vec<_> =
        replayed["entries"].as_array().unwrap().iter().map(|e| e["state"]["state"].clone()).collect();
    assert_eq!(states[5..], ["failed", "open"]);
    repo.receipt(&["run", "--gate", "test", "--receipt", &fork, "--", "true"]);
    repo.receipt(&["close", &fork, "--status", "completed"]);
    repo.assert_clean(&repo.path);
}

#[test]
fn work_on_a_receipt_is_signed_by_the_key_that_opened_it() {
    let (repo, receipt) = worked();
    repo.receipt(&["key", "new", "--person"]);
    let mut forking = repo.command(PROGRAM, &repo.path, &["fork", &receipt, "--at", "2"]);
    forking.env("GIT_RECEIPT_KEY_FILE", repo.home().join(".config/git-receipt/keys/person"));
    let fork = check(forking);
    repo.receipt(&["run", "--gate", "test", "--receipt", &fork, "--", "echo", "fine"]);
    repo.receipt(&["snapshot", "--receipt", &fork]);
    let line = r#"{"kind":"guidance.given","data":{"form":"steer","text":{"text":"other"}}}"#;
    write(repo.folder.path(), "line.jsonl", &format!("{line}\n"));
    let path = repo.folder.path().join("line.jsonl");
    repo.receipt(&["record", "--receipt", &fork, path.to_str().unwrap()]);
    repo.receipt(&["propose", "--receipt", &fork, "-m", "Here"]);
    repo.receipt(&["close", &fork, "--status", "completed"]);
    let raw = repo.receipt(&["show", &fork, "--raw"]);
    let signers: std::collections::BTreeSet<String> = raw
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["signer"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(signers.len(), 1, "{raw}");
    assert!(raw.lines().count() >= 6, "{raw}");
    repo.assert_clean(&repo.path);
}

#[test]
fn a_fork_has_no_say_about_what_it_was_forked_from() {
    let (repo, receipt) = worked();
    let fork = repo.receipt(&["fork", &receipt, "--at", "4"]);
    for args in [["accept", &fork], ["reject", &fork]] {
        let refused = repo.try_receipt(&args);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains("proposes nothing"), "{}", said(&refused));
    }
    let (log, _) = repo.json(&["log", &receipt, "--kind", "proposal.made"]);
    let made = &log["entries"][0];
    let cited = serde_json::json!({"chain": made["chain"], "seq": made["seq"], "digest": made["digest"]});
    let decide = |kind: &str, mut data: Value| {
        let fork = repo.receipt(&["fork", &receipt, "--at", "4"]);
        data["once"] = Value::Null;
        data.as_object_mut().unwrap().remove("once");
        let line = serde_json::json!({"kind": kind, "data": data});
        write(repo.folder.path(), "line.jsonl", &format!("{line}\n"));
        let path = repo.folder.path().join("line.jsonl");
        repo.try_receipt(&["record", "--receipt", &fork, path.to_str().unwrap()])
    };
    let accepted = decide("lines.accepted", serde_json::json!({"proposal": cited, "lines": "1"}));
    let mut revised = made["data"].clone();
    revised["revision"] = 2.into();
    revised["replaces"] = cited.clone();
    let revision = decide("proposal.revised", revised);
    // `record` may refuse it or write it; what was written is a finding and changes nothing.
    let wrote = [&accepted, &revision].iter().filter(|output| output.status.success()).count();
    let (verdict, _) = repo.verify();
    let findings = verdict["findings"].as_array().unwrap();
    let illegal: Vec<_> = findings.iter().filter(|finding| finding["name"] == "illegal-move").collect();
    assert_eq!(illegal.len(), wrote, "{verdict:#}");
    for finding in illegal {
        assert!(finding["message"].as_str().unwrap().contains("forked from"), "{finding:#}");
    }
    let (shown, _) = repo.json(&["show", &receipt]);
    assert_eq!(shown["proposal"]["revision"], 1);
    assert_eq!(shown["proposal"]["accepted"], "");
}

#[test]
fn a_worktree_has_the_files_of_the_snapshot_and_the_receipt_is_open_there() {
    for init in [&[][..], &["--object-format=sha256"]] {
        let repo = TestRepo::bare_of_receipts(init);
        repo.receipt(&["init", "--no-man"]);
        let receipt = repo.receipt(&["open", "-m", "Ways"]);
        write(&repo.path, "file", "changed\n");
        write(&repo.path, "new", "new\n");
        repo.receipt(&["snapshot"]);
        repo.git(&["checkout", "-q", "--", "file"]);
        std::fs::remove_file(repo.path.join("new")).unwrap();
        let before = (repo.git(&["status", "--porcelain"]), repo.git(&["symbolic-ref", "HEAD"]));
        let place = repo.folder.path().join("way-two");
        let path = place.to_str().unwrap();
        let fork = repo.receipt(&["fork", &receipt, "--at", "1", "--worktree", path]);
        assert_eq!(std::fs::read_to_string(place.join("file")).unwrap(), "changed\n");
        // What was not committed then is not committed now.
        assert_eq!(repo.git_in(&place, &["status", "--porcelain"]), " M file\n?? new");
        assert_eq!((repo.git(&["status", "--porcelain"]), repo.git(&["symbolic-ref", "HEAD"])), before);
        let current = |folder: &Path| repo.json_in(folder, &["status"]).0["current"].clone();
        assert_eq!(current(&place), fork.as_str());
        assert_eq!(current(&repo.path), receipt.as_str(), "here the other one stays the current one");
        repo.receipt_in(&place, &["run", "--gate", "test", "--", "cat", "file"]);
        let (shown, _) = repo.json(&["show", &fork]);
        assert_eq!(kinds(&shown["steps"]), ["receipt.opened", "snapshot.taken", "gate.checked"]);
        // The base, where there is no snapshot yet.
        let base = repo.folder.path().join("way-three");
        repo.receipt(&["fork", &receipt, "--at", "0", "--worktree", base.to_str().unwrap()]);
        assert_eq!(repo.git_in(&base, &["status", "--porcelain"]), "");
        // A place that is taken: nothing is opened.
        let (log, _) = repo.json(&["log", "--kind", "receipt.opened"]);
        let taken = repo.try_receipt(&["fork", &receipt, "--at", "1", "--worktree", path]);
        assert_eq!(taken.status.code(), Some(2), "{}", said(&taken));
        assert!(
            said(&taken).contains("already exists") && !said(&taken).contains("graft"),
            "{}",
            said(&taken)
        );
        assert_eq!(repo.json(&["log", "--kind", "receipt.opened"]).0, log);
        assert!(place.join("file").exists(), "what stood there stays");
        repo.assert_clean(&repo.path);
    }
}

#[test]
fn what_a_fork_inherits_does_not_depend_on_what_arrives_later() {
    let (repo, receipt) = worked();
    let (_, second) = repo.share();
    let fork = repo.receipt(&["fork", &receipt, "--at", "4"]);
    let inherited = || repo.json(&["replay", &fork]).0["entries"][4]["state"].clone();
    let before = inherited();
    // Another clone decides about it.
    repo.receipt_in(&second, &["accept", &receipt, "--lines", "1"]);
    repo.receipt_in(&second, &["push"]);
    repo.receipt(&["fetch"]);
    let (shown, _) = repo.json(&["show", &receipt]);
    assert_eq!(shown["proposal"]["accepted"], "1", "{shown:#}");
    assert_eq!(inherited(), before);
    // A fork that is made now, at the same place and later ones, has what stands before it.
    let all = shown["steps"].as_array().unwrap().len() - 1;
    let later = repo.receipt(&["fork", &receipt, "--at", &all.to_string()]);
    let (replayed, _) = repo.json(&["replay", &later]);
    assert_eq!(replayed["entries"][all]["state"]["proposal"]["accepted"], "1", "{replayed:#}");
    let (verdict, code) = repo.verify();
    assert_eq!(code, 0, "{verdict:#}");
}

#[test]
fn what_arrives_later_and_belongs_before_stays_out_of_a_fork() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Shared"]);
    let (_, second) = repo.share();
    // A machine of its own, so that its chain is another one.
    let home = repo.folder.path().join("bob");
    std::fs::create_dir_all(&home).unwrap();
    let bob = |args: &[&str]| {
        let mut command = repo.command(PROGRAM, &second, args);
        check({
            command.env("HOME", &home);
            command
        })
    };
    bob(&["init", "--no-man"]);
    let key = home.join(".config/git-receipt/keys/recorder.pub");
    let trust = ["key", "trust", key.to_str().unwrap(), "--principal", "bob@example.com"];
    repo.receipt(&trust);
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.receipt(&["key", "trust"]);
    repo.git(&["add", ".receipts"]);
    repo.git(&["commit", "-qm", "Keys"]);
    bob(&["remark", &receipt, "-m", "meanwhile"]);
    bob(&["push"]);
    repo.receipt(&["remark", &receipt, "-m", "later"]);
    let before = repo.receipt(&["fork", &receipt, "--at", "1"]);
    repo.receipt(&["fetch"]);
    let titles = |list: &Value| {
        list.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let shown = |receipt: &str| repo.json(&["show", receipt]).0;
    assert_eq!(titles(&shown(&receipt)["steps"]), ["Shared", "meanwhile", "later"]);
    assert_eq!(titles(&shown(&before)["inherited"]), ["Shared", "later"]);
    let after = repo.receipt(&["fork", &receipt, "--at", "2"]);
    assert_eq!(titles(&shown(&after)["inherited"]), ["Shared", "meanwhile", "later"]);
    let (verdict, code) = repo.verify();
    assert_eq!(code, 0, "{verdict:#}");
}

#[test]
fn a_fork_by_somebody_else_cites_what_it_continues_from() {
    let (repo, receipt) = worked();
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.receipt(&["key", "trust"]);
    repo.git(&["add", ".receipts"]);
    repo.git(&["commit", "-qm", "Keys"]);
    let (_, second) = repo.share();
    let home = repo.folder.path().join("bob");
    std::fs::create_dir_all(&home).unwrap();
    let bob = |args: &[&str]| {
        let mut command = repo.command(PROGRAM, &second, args);
        command.env("HOME", &home);
        check(command)
    };
    bob(&["init", "--no-man"]);
    let fork = bob(&["fork", &receipt, "--at", "2", "-m", "Bob's way"]);
    let shown: Value = serde_json::from_str(&bob(&["--json", "show", &fork])).unwrap();
    assert_eq!(shown["inherited"].as_array().unwrap().len(), 3, "{shown:#}");
    let verdict: Value = serde_json::from_str(&bob(&["--json", "verify"])).unwrap();
    assert_eq!(verdict["clean"], true, "{verdict:#}");
}

#[test]
fn a_worktree_stands_on_what_a_rollback_made_and_on_what_took_a_commits_place() {
    let repo = TestRepo::new();
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.receipt(&["key", "new", "--person"]);
    let old = read(&repo, "file");
    write(&repo.path, "file", "changed\n");
    let receipt = repo.receipt(&["propose", "-m", "Change"]);
    repo.receipt(&["accept", &receipt]);
    let back = repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "file"), old);
    let last = |receipt: &str| repo.json(&["show", receipt]).0["steps"].as_array().unwrap().len() - 1;
    let forked = |receipt: &str, at: usize, name: &str| {
        let place = repo.folder.path().join(name);
        let args = ["fork", receipt, "--at", &at.to_string(), "--worktree", place.to_str().unwrap()];
        repo.receipt(&args);
        (std::fs::read_to_string(place.join("file")).unwrap(), repo.git_in(&place, &["rev-parse", "HEAD"]))
    };
    assert_eq!(forked(&back, last(&back), "after"), (old, repo.git(&["rev-parse", "HEAD"])));

    // An amend of what is bound, with more in it.
    let landed = repo.receipt(&["open", "-m", "By hand"]);
    write(&repo.path, "file", "first\n");
    repo.git(&["commit", "-qam", "One"]);
    repo.receipt(&["bind", &landed, "HEAD"]);
    let bound = last(&landed);
    let before = repo.git(&["rev-parse", "HEAD"]);
    write(&repo.path, "file", "second\n");
    repo.git(&["commit", "-qa", "--amend", "--no-edit"]);
    let after = repo.git(&["rev-parse", "HEAD"]);
    let line = serde_json::json!({"kind": "commit.rebound", "data": {
        "from": format!("sha1:{before}"), "to": format!("sha1:{after}"), "how": "amend",
    }});
    write(repo.folder.path(), "line.jsonl", &format!("{line}\n"));
    let path = repo.folder.path().join("line.jsonl");
    repo.receipt(&["record", "--receipt", &landed, path.to_str().unwrap()]);
    assert_eq!(forked(&landed, bound, "before-amend"), ("first\n".into(), before.clone()));
    assert_eq!(forked(&landed, last(&landed), "after-amend"), ("second\n".into(), after));

    // A commit that is gone is not a matter of snapshots.
    repo.git(&["worktree", "remove", "--force", repo.folder.path().join("before-amend").to_str().unwrap()]);
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    repo.git(&["gc", "-q", "--prune=now"]);
    let place = repo.folder.path().join("gone");
    let at = bound.to_string();
    let args = ["fork", &landed, "--at", &at, "--worktree", place.to_str().unwrap()];
    let gone = repo.try_receipt(&args);
    assert_eq!(gone.status.code(), Some(4), "{}", said(&gone));
    assert!(said(&gone).contains("is not here") && said(&gone).contains("git fetch"), "{}", said(&gone));
    assert!(!said(&gone).contains("snapshots"), "{}", said(&gone));
}
