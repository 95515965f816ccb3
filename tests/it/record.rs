//! Recording by hand and by `run`.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{PROGRAM, TestRepo};

fn record(repo: &TestRepo, args: &[&str], lines: &str) -> std::process::Output {
    let mut command = repo.command(PROGRAM, &repo.path, &[&["record"], args].concat());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_run_keeps_no_file_that_looks_secret() {
    let repo = TestRepo::new();
    std::fs::write(repo.path.join(".env"), "X=1\n").unwrap();
    std::fs::write(repo.path.join("new"), "new\n").unwrap();
    let output = repo.try_receipt(&["--json", "run", "--gate", "t", "--", "true"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("`.env`"), "{output:?}");
    let ran: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(repo.git(&["ls-tree", "--name-only", ran["tree"].as_str().unwrap()]), "file\nnew");
    assert_eq!(repo.verify().1, 0);
}

#[test]
fn what_the_receipt_does_not_allow_is_refused_before_it_is_signed() {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "Moves"]);
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let commit = repo.git(&["rev-parse", "HEAD"]);
    let zeros = "0".repeat(40);
    let close =
        r#"{"kind":"receipt.closed","data":{"status":"completed","output":{"text":""},"summary":""}}"#;
    let gate = format!(
        r#"{{"kind":"gate.checked","data":{{"gate":"t","command":["t"],"exit_code":0,"result":"passed","duration_ms":1,"tree":"sha1:{tree}","dirty":true}}}}"#
    );
    let bound = format!(
        r#"{{"kind":"commit.bound","data":{{"commit":"sha1:{commit}","tree":"sha1:{zeros}","subject":"x"}}}}"#
    );
    for lines in [format!("{close}\n{close}\n"), gate, bound] {
        let file = repo.folder.path().join("lines");
        std::fs::write(&file, lines).unwrap();
        let output = repo.try_receipt(&["record", "--atomic", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    assert_eq!(repo.verify().1, 0);
}

#[test]
fn run_keeps_exit_code_output_and_tree_and_touches_nothing() {
    let repo = TestRepo::new();
    std::fs::write(repo.path.join("file"), "two\n").unwrap();
    std::fs::write(repo.path.join("new"), "new\n").unwrap();
    let index = std::fs::read(repo.path.join(".git/index")).unwrap();
    repo.receipt(&["open", "-m", "Gates"]);
    let output =
        repo.try_receipt(&["run", "--gate", "test", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("err\n"));
    assert_eq!(std::fs::read(repo.path.join(".git/index")).unwrap(), index, "the index is as it was");
    let (shown, _) = repo.json(&["show", "@"]);
    let steps = shown["steps"].as_array().unwrap();
    let (snapshot, gate) = (&steps[1], &steps[2]);
    assert_eq!(snapshot["kind"], "snapshot.taken");
    assert_eq!(gate["data"]["exit_code"], 7);
    assert_eq!(gate["data"]["dirty"], true);
    assert_eq!(gate["data"]["tree"], snapshot["data"]["worktree"]);
    // The tree is the one git would write.
    repo.git(&["add", "-A"]);
    assert_eq!(gate["data"]["tree"], format!("sha1:{}", repo.git(&["write-tree"])));
    let full = repo.try_receipt(&["show", "@", "--output", "2"]);
    let mut lines: Vec<_> = String::from_utf8_lossy(&full.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
    repo.assert_clean(&repo.path);
}

#[test]
fn run_without_an_open_receipt_has_one_of_its_own() {
    let repo = TestRepo::new();
    let (ran, code) = repo.json(&["run", "--", "sh", "-c", "echo more >> file"]);
    assert_eq!(code, 0);
    assert_eq!(ran["files"], serde_json::json!(["file"]));
    let (list, _) = repo.json(&["list"]);
    assert_eq!(list["receipts"][0]["state"], "completed");
    let refused = repo.try_receipt(&["run", "--no-receipt-of-its-own", "--", "true"]);
    assert_eq!(refused.status.code(), Some(2));
    let missing = repo.try_receipt(&["run", "--", "no-such-program-here"]);
    assert_eq!(missing.status.code(), Some(127));
    repo.assert_clean(&repo.path);
}

#[cfg(unix)]
#[test]
fn an_interrupted_command_is_recorded_as_such() {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "Interrupted"]);
    let mut command = repo.command(PROGRAM, &repo.path, &["run", "--", "sleep", "30"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    let (shown, _) = repo.json(&["show", "@"]);
    let last = shown["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(last["data"]["status"], "interrupted", "{last:#}");
    repo.assert_clean(&repo.path);
}

#[test]
fn once_adds_once_and_refuses_other_content() {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "Idempotent"]);
    let line = |text: &str| {
        format!(
            "{{\"kind\":\"tool.called\",\"once\":\"k\",\"data\":{{\"tool\":\"T\",\"status\":\"ok\",\"step\":\"flexible\",\"files\":[],\"output\":{{\"text\":\"{text}\"}}}}}}\n"
        )
    };
    let long = "x".repeat(5000);
    assert!(record(&repo, &[], &line(&long)).status.success());
    let again = record(&repo, &["--json"], &line(&long));
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&again["added"], &again["existing"]), (&0.into(), &1.into()));
    let other = record(&repo, &[], &line("something else"));
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("`k`"), "{other:?}");
    // The table is a hint: without it the answer is the same.
    std::fs::remove_dir_all(repo.path.join(".git/receipts/once")).unwrap();
    let again = record(&repo, &["--json"], &line(&long));
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["existing"], 1);
    repo.assert_clean(&repo.path);
}

#[test]
fn bad_lines_are_named_and_atomic_records_none() {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "Bad input"]);
    let good = "{\"kind\":\"remark.made\",\"data\":{\"text\":{\"text\":\"fine\"}}}\n";
    for (bad, word) in [
        ("{\"kind\":\"remark.sung\",\"data\":{}}\n", "unknown kind `remark.sung`"),
        ("{\"kind\":\"remark.made\",\"data\":{\"mood\":1,\"text\":{\"text\":\"x\"}}}\n", "no field `mood`"),
        ("{\"kind\":\"remark.made\",\"data\":{}}\n", "missing field `text`"),
        ("{\"kind\":\"receipt.opened\",\"data\":{}}\n", "receipt.opened"),
        ("not json\n", "line 2"),
    ] {
        let before = repo.receipt(&["log", "--oneline"]);
        let output = record(&repo, &["--atomic"], &format!("{good}{bad}"));
        assert_eq!(output.status.code(), Some(2), "{bad}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(word), "{bad}: {output:?}");
        assert_eq!(repo.receipt(&["log", "--oneline"]), before, "{bad}: nothing was written");
    }
}

#[test]
fn secrets_are_taken_out_before_signing_and_long_text_leaves_the_body() {
    let repo = TestRepo::new();
    let secret = ["ghp", "_", &"aB3".repeat(12)].concat();
    repo.receipt(&["open", "-m", &format!("use {secret} now")]);
    repo.receipt(&["run", "--", "sh", "-c", &format!("echo token {secret}")]);
    repo.receipt(&["remark", "@", "-m", &format!("TOKEN={secret}")]);
    let everything = repo.git(&["rev-list", "--objects", "--all", "--reflog", "--filter=object:type=blob"]);
    for line in everything.lines().chain(repo.git(&["rev-list", "--all"]).lines()) {
        let id = line.split(' ').next().unwrap();
        let bytes = repo.command("git", &repo.path, &["cat-file", "-p", id]).output().unwrap().stdout;
        assert!(!String::from_utf8_lossy(&bytes).contains(&secret), "{id}");
    }
    assert!(repo.receipt(&["show", "@"]).contains("[redacted:"));
    repo.assert_clean(&repo.path);
}

#[test]
fn foreign_text_cannot_steer_the_terminal() {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "red \u{1b}[31m and \u{202e}reversed"]);
    for args in [&["list"][..], &["show", "@"], &["log"], &["trace", "@"], &["status"]] {
        let text = repo.receipt(args);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{args:?}: {text:?}");
    }
    let output = repo.try_receipt(&["show", "@", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{202e}') && text.contains("\\u202e"), "{text}");
}

#[test]
fn nobody_works_on_a_strangers_or_closed_receipt() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Mine"]);
    repo.receipt(&["close", "--status", "completed"]);
    let (error, code) = repo.json(&["close", &receipt, "--status", "failed"]);
    assert_eq!(code, 2);
    assert!(error["message"].as_str().unwrap().contains("closed"), "{error:#}");
    let open = repo.receipt(&["open", "-m", "Still mine"]);
    let key = repo.home().join("other");
    let made = ["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()];
    crate::support::check(repo.command("ssh-keygen", &repo.path, &made));
    let mut command = repo.command(PROGRAM, &repo.path, &["close", &open, "--status", "failed"]);
    let output = command.env("GIT_RECEIPT_KEY_FILE", &key).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("belongs to"), "{output:?}");
}

#[test]
fn switching_off_records_nothing() {
    let repo = TestRepo::new();
    let mut command = repo.command(PROGRAM, &repo.path, &["run", "--", "sh", "-c", "exit 3"]);
    let output = command.env("GIT_RECEIPT", "off").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(repo.git(&["for-each-ref", "refs/receipts"]), "");
    repo.git(&["config", "receipt.enabled", "false"]);
    assert_eq!(repo.try_receipt(&["open", "-m", "Off"]).status.code(), Some(2));
    assert_eq!(repo.git(&["for-each-ref", "refs/receipts"]), "");
}

#[test]
fn keys_are_revoked_with_their_last_good_heads() {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "Before"]);
    repo.receipt(&["key", "revoke", "recorder"]);
    repo.git(&["add", ".receipts"]);
    repo.git(&["commit", "-qm", "Revoke"]);
    assert_eq!(repo.verify().1, 0, "what came before still counts");
    repo.receipt(&["remark", "@", "-m", "after"]);
    let (verdict, code) = repo.verify();
    assert_eq!(code, 1);
    assert!(verdict["findings"].as_array().unwrap().iter().any(|f| f["code"] == "E215"), "{verdict:#}");
}

#[test]
fn a_change_within_one_tick_of_the_clock_is_seen() {
    let repo = TestRepo::new();
    for round in 0..8 {
        // Same size, same tick: only the index's own time tells that the entry cannot be trusted.
        std::fs::write(repo.path.join("file"), format!("a{round}\n")).unwrap();
        repo.git(&["add", "file"]);
        std::fs::write(repo.path.join("file"), format!("b{round}\n")).unwrap();
        let (ran, _) = repo.json(&["run", "--", "true"]);
        repo.git(&["add", "-A"]);
        assert_eq!(ran["tree"], repo.git(&["write-tree"]), "round {round}");
    }
}

#[test]
fn raw_output_is_the_bytes_that_were_signed() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Raw"]);
    repo.receipt(&["remark", &receipt, "-m", "ünïcode"]);
    let raw = repo.receipt(&["show", &receipt, "--raw"]);
    let (shown, _) = repo.json(&["show", &receipt]);
    let digests: Vec<_> =
        raw.lines().map(|line| git_receipt::domain::ids::Digest::of(line.as_bytes()).to_string()).collect();
    let told: Vec<_> = shown["steps"].as_array().unwrap().iter().map(|step| step["digest"].clone()).collect();
    assert_eq!(told, digests);
}
