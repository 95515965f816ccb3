//! Gates run again.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{PROGRAM, TestRepo, check, said, write};

/// A repository with a script `suite.sh` and a receipt in which it ran as gate `test`.
fn gated(script: &str) -> (TestRepo, String) {
    let repo = TestRepo::new();
    write(&repo.path, "suite.sh", script);
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Suite"]);
    let receipt = repo.receipt(&["open", "-m", "Gated"]);
    let _ = repo.try_receipt(&["run", "--gate", "test", "--", "sh", "suite.sh"]);
    (repo, receipt)
}

fn rerun(repo: &TestRepo, receipt: &str) -> (Value, i32) {
    repo.json(&["replay", receipt, "--rerun", "--yes"])
}

/// Nothing of a rerun is left: no worktree of git's, no folder, no lock.
fn assert_gone(repo: &TestRepo) {
    assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1);
    assert!(!repo.path.join(".git/worktrees").exists() || empty(&repo.path.join(".git/worktrees")));
    assert!(empty(&repo.path.join(".git/receipts/reruns")));
}

fn empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn a_suite_that_does_the_same_again_is_reproduced_and_recorded() {
    let script = "echo 'test adds ... ok'\necho 'test waits_5ms ... ok'\n\
                  echo \"test result: ok. 2 passed; finished in 0.$(date +%N | cut -c1-3)s\"\npwd\nprintf '\\033[32mgreen\\033[0m\\n'\n\
                  mktemp -u\n";
    let (repo, receipt) = gated(script);
    write(&repo.path, "suite.sh", "exit 3\n");
    write(&repo.path, "stray", "not of the tree\n");
    let before = (repo.git(&["status", "--porcelain"]), repo.git(&["rev-parse", "HEAD"]));
    let index = std::fs::read(repo.path.join(".git/index")).unwrap();
    let (again, code) = rerun(&repo, &receipt);
    assert_eq!(code, 0, "{again:#}");
    let gate = &again["rerun"]["gates"][0];
    assert_eq!((&gate["result"], &gate["output_compared"]), (&"reproduced".into(), &true.into()), "{gate:#}");
    assert_eq!(std::fs::read(repo.path.join(".git/index")).unwrap(), index);
    assert_eq!((repo.git(&["status", "--porcelain"]), repo.git(&["rev-parse", "HEAD"])), before);
    let (log, _) = repo.json(&["log", &receipt, "--kind", "replay.checked"]);
    let data = &log["entries"][0]["data"];
    assert_eq!((&data["form"], &data["result"]), (&"rerun".into(), &"reproduced".into()), "{data:#}");
    let detail: Value = serde_json::from_str(data["detail"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(detail["gates"][0]["gate"], "test");
    assert_gone(&repo);
    repo.assert_clean(&repo.path);
}

#[test]
fn another_exit_code_or_output_is_a_divergence_with_its_difference() {
    let outside = |repo: &TestRepo| repo.folder.path().join("outside");
    // What a check depends on and does not say: a file beside the project.
    let script = "cat ../outside 2>/dev/null || cat \"$HOME/../outside\"\n. \"$HOME/../code\"\n";
    let repo = TestRepo::new();
    write(&repo.path, "suite.sh", script);
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Suite"]);
    std::fs::write(outside(&repo), "test one ... ok\ntest two ... ok\n").unwrap();
    write(repo.folder.path(), "code", "exit 0\n");
    let receipt = repo.receipt(&["open", "-m", "Gated"]);
    repo.receipt(&["run", "--gate", "test", "--", "sh", "suite.sh"]);
    assert_eq!(rerun(&repo, &receipt).1, 0);
    std::fs::write(outside(&repo), "test one ... ok\ntest two ... FAILED\n").unwrap();
    let (again, code) = rerun(&repo, &receipt);
    assert_eq!(code, 1, "{again:#}");
    let gate = &again["rerun"]["gates"][0];
    assert_eq!((&gate["result"], &gate["exit_code"]), (&"diverged".into(), &0.into()));
    let diff = gate["diff"].as_str().unwrap();
    assert!(diff.contains("-test two ... ok\n+test two ... FAILED\n"), "{diff}");
    let text = repo.try_receipt(&["replay", &receipt, "--rerun", "--yes"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("DIVERGED") && text.contains("+test two ... FAILED"), "{text}");
    std::fs::write(outside(&repo), "test one ... ok\ntest two ... ok\n").unwrap();
    write(repo.folder.path(), "code", "exit 7\n");
    let (again, code) = rerun(&repo, &receipt);
    assert_eq!(code, 1, "{again:#}");
    let gate = &again["rerun"]["gates"][0];
    assert_eq!((&gate["exit_code"], &gate["diff"]), (&7.into(), &Value::Null));
    assert!(gate["why"].as_str().unwrap().contains("exit code 7 where 0 was recorded"));
    let (log, _) = repo.json(&["log", &receipt, "--kind", "replay.checked"]);
    let results: Vec<_> =
        log["entries"].as_array().unwrap().iter().map(|e| e["data"]["result"].clone()).collect();
    assert_eq!(results, ["diverged", "diverged", "diverged", "reproduced"]);
    assert_gone(&repo);
}

#[test]
fn files_are_those_that_the_gate_ran_on_whatever_they_are() {
    let repo = TestRepo::bare_of_receipts(&[]);
    repo.receipt(&["init", "--no-man"]);
    write(&repo.path, ".gitattributes", "*.crlf text eol=crlf\n*.up filter=up\n");
    repo.git(&["config", "filter.up.clean", "tr A-Z a-z"]);
    repo.git(&["config", "filter.up.smudge", "tr a-z A-Z"]);
    write(&repo.path, "lines.crlf", "one\r\ntwo\r\n");
    write(&repo.path, "shout.up", "LOUD\n");
    write(&repo.path, "run-me", "#!/bin/sh\necho ran\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(repo.path.join("run-me"), PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("run-me", repo.path.join("link")).unwrap();
    }
    repo.git(&["add", "."]);
    let id = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},module")]);
    std::fs::create_dir(repo.path.join("module")).unwrap();
    repo.git(&["commit", "-qm", "All sorts"]);
    let receipt = repo.receipt(&["open", "-m", "Sorts"]);
    // Uncommitted content is what it ran on as well.
    write(&repo.path, "uncommitted", "here\n");
    let look = "od -c lines.crlf; cat shout.up uncommitted; ./run-me; readlink link; ls -d module; ls module";
    repo.receipt(&["run", "--gate", "look", "--", "sh", "-c", look]);
    write(&repo.path, ".git/hooks/post-checkout", "#!/bin/sh\ntouch \"$HOME/hook-ran\"\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let hook = repo.path.join(".git/hooks/post-checkout");
        std::fs::set_permissions(hook, PermissionsExt::from_mode(0o755)).unwrap();
    }
    for gone in ["uncommitted", "lines.crlf", "shout.up"] {
        std::fs::remove_file(repo.path.join(gone)).unwrap();
    }
    let (again, code) = rerun(&repo, &receipt);
    assert_eq!(code, 0, "{again:#}");
    assert!(!repo.home().join("hook-ran").exists(), "a hook of the user's ran");
    assert_gone(&repo);
}

#[test]
fn a_gate_runs_where_it_ran() {
    let repo = TestRepo::new();
    write(&repo.path, "deep/er/file", "found\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Deep"]);
    let receipt = repo.receipt(&["open", "-m", "Below"]);
    let folder = repo.path.join("deep/er");
    repo.receipt_in(&folder, &["run", "--gate", "cat", "--receipt", &receipt, "--", "cat", "file"]);
    let (log, _) = repo.json(&["log", &receipt, "--kind", "gate.checked"]);
    let environment = &log["entries"][0]["data"]["environment"]["text"];
    assert_eq!(environment, "{\"directory\":\"deep/er\"}", "{log:#}");
    let (again, code) = rerun(&repo, &receipt);
    assert_eq!(code, 0, "{again:#}");
    assert_eq!(again["rerun"]["gates"][0]["directory"], "deep/er");
}

#[cfg(unix)]
#[test]
fn what_a_hook_says_of_its_repository_does_not_reach_the_gate() {
    let (repo, receipt) = gated("git rev-parse --show-toplevel; env | grep -c '^GIT_DIR=' ; true\n");
    let other = TestRepo::new();
    let mut command = repo.command(PROGRAM, &repo.path, &["--json", "replay", &receipt, "--rerun", "--yes"]);
    command
        .env("GIT_DIR", repo.path.join(".git"))
        .env("GIT_INDEX_FILE", other.path.join(".git/index"))
        .env("GIT_WORK_TREE", &repo.path)
        .env("GIT_PREFIX", "x/")
        .env("GIT_RECEIPT_ID", &receipt);
    let index = std::fs::read(other.path.join(".git/index")).unwrap();
    let again: Value = serde_json::from_str(&check(command)).unwrap();
    assert_eq!(again["rerun"]["result"], "reproduced", "{again:#}");
    assert_eq!(std::fs::read(other.path.join(".git/index")).unwrap(), index);
}

#[test]
fn nothing_runs_without_a_yes_and_the_command_is_shown_harmless() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Asked"]);
    let marker = repo.folder.path().join("ran");
    let script = format!("echo x >> {}; printf '\u{1b}[31m\u{202e}'", marker.display());
    repo.receipt(&["run", "--gate", "bad", "--", "sh", "-c", &script]);
    let runs = || std::fs::read_to_string(&marker).unwrap().lines().count();
    assert_eq!(runs(), 1);
    let asked = repo.try_receipt(&["replay", &receipt, "--rerun"]);
    assert_eq!(asked.status.code(), Some(2));
    let words = said(&asked);
    assert!(words.contains("--yes") && words.contains(r"\x1b[31m\xe2\x80\xae"), "{words}");
    assert!(!words.contains('\u{1b}') && !words.contains('\u{202e}'));
    assert_eq!(runs(), 1, "it ran without a yes");
    repo.receipt(&["replay", &receipt, "--rerun", "--yes"]);
    assert_eq!(runs(), 2);
    let unknown = repo.try_receipt(&["replay", &receipt, "--rerun", "other"]);
    assert!(said(&unknown).contains("recorded no gate `other`"), "{}", said(&unknown));
}

#[test]
fn a_line_break_in_a_command_is_not_shown_as_two_letters() {
    let repo = TestRepo::new();
    let shown = ["true # see\ntouch X", r"true # see\ntouch X"].map(|script| {
        let receipt = repo.receipt(&["open", "-m", "Asked"]);
        let _ = repo.try_receipt(&["run", "--receipt", &receipt, "--gate", "t", "--", "sh", "-c", script]);
        let words = said(&repo.try_receipt(&["replay", &receipt, "--rerun"]));
        words
            .lines()
            .find(|line| line.contains("touch X"))
            .unwrap_or_default()
            .trim_start_matches("rerun:")
            .trim()
            .to_owned()
    });
    assert_eq!(shown, [r"sh -c $'true # see\ntouch X'", r"sh -c 'true # see\ntouch X'"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_person_on_a_terminal_is_asked_and_anything_but_yes_is_a_no() {
    use std::io::Write as _;
    let (repo, receipt) = gated("touch \"$HOME/ran\"\n");
    let ran = repo.home().join("ran");
    for (answer, code, runs) in [("n\n", 2, false), ("\n", 2, false), ("y\n", 0, true)] {
        std::fs::remove_file(&ran).unwrap_or_default();
        let line = format!("{PROGRAM} replay {receipt} --rerun");
        let mut command = repo.command("script", &repo.path, &["-qec", &line, "/dev/null"]);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = spawned else {
            println!("skipped: no `script` here");
            return;
        };
        child.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains("run this command? [y/N]") && shown.contains("sh suite.sh"), "{shown}");
        assert_eq!((output.status.code(), ran.exists()), (Some(code), runs), "{answer:?}: {shown}");
    }
}

#[test]
fn commands_of_an_unknown_signer_do_not_run_for_a_yes_given_beforehand() {
    let (repo, receipt) = gated("echo ran\n");
    let (_, second) = repo.share();
    // Another machine, which has none of the keys.
    let home = repo.folder.path().join("other-home");
    std::fs::create_dir_all(&home).unwrap();
    let run = |args: &[&str]| {
        let mut command = repo.command(PROGRAM, &second, args);
        command.env("HOME", &home).output().unwrap()
    };
    assert!(run(&["init", "--no-man"]).status.success());
    for args in [&["--rerun", "--yes"][..], &["--rerun", "test", "--yes"], &["--rerun"]] {
        let refused = run(&[&["replay", &receipt][..], args].concat());
        assert_eq!(refused.status.code(), Some(4), "{args:?}: {}", said(&refused));
        assert!(said(&refused).contains("unknown signer"), "{}", said(&refused));
    }
    // By name a person may answer for it; here there is none.
    let asked = run(&["replay", &receipt, "--rerun", "test"]);
    assert_eq!(asked.status.code(), Some(2), "{}", said(&asked));
    let forked = run(&["fork", &receipt, "--at", "0"]);
    assert_eq!(forked.status.code(), Some(4), "{}", said(&forked));
}

#[test]
fn where_the_output_is_withheld_the_same_exit_code_proves_nothing() {
    let (repo, receipt) = gated("date +%N\n");
    let (_, second) = repo.share();
    let (again, code) = repo.json_in(&second, &["replay", &receipt, "--rerun", "--yes"]);
    assert_eq!(code, 4, "{again:#}");
    let gate = &again["rerun"]["gates"][0];
    assert_eq!((&gate["result"], &gate["output_compared"]), (&"unproven".into(), &false.into()));
    assert_eq!(again["rerun"]["recorded"], Value::Null);
    assert!(gate["why"].as_str().unwrap().contains("withheld"), "{gate:#}");
    // Where it is here, the output is another each time.
    assert_eq!(rerun(&repo, &receipt).1, 1);
}

#[test]
fn a_tree_that_is_not_here_is_incomplete_and_one_that_was_replaced_never_runs() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Gated"]);
    write(&repo.path, "suite.sh", "echo good\n");
    repo.receipt(&["run", "--gate", "test", "--", "sh", "suite.sh"]);
    let (_, second) = repo.share();
    let (again, code) = repo.json_in(&second, &["replay", &receipt, "--rerun", "--yes"]);
    assert_eq!(code, 4, "{again:#}");
    let gate = &again["rerun"]["gates"][0];
    assert_eq!(gate["result"], "not run");
    assert!(gate["why"].as_str().unwrap().contains(gate["tree"].as_str().unwrap()), "{again:#}");
    assert_eq!(again["rerun"]["recorded"], Value::Null);
    let victim = repo.git(&["hash-object", "suite.sh"]);
    write(&repo.path, "evil", "touch \"$HOME/evil-ran\"; echo good\n");
    let evil = repo.git(&["hash-object", "-w", "evil"]);
    let loose = |id: &str| repo.path.join(".git/objects").join(&id[..2]).join(&id[2..]);
    let bytes = std::fs::read(loose(&evil)).unwrap();
    std::fs::remove_file(loose(&victim)).unwrap();
    std::fs::write(loose(&victim), bytes).unwrap();
    let (again, code) = rerun(&repo, &receipt);
    assert_eq!(code, 1, "{again:#}");
    assert!(again["rerun"]["gates"][0]["why"].as_str().unwrap().contains(&victim), "{again:#}");
    assert!(!repo.home().join("evil-ran").exists(), "what stood under the name of a signed file ran");
}

#[test]
fn time_is_up_when_it_is_up() {
    let (repo, receipt) = gated("[ -e \"$HOME/slow\" ] && sleep 30; echo done\n");
    write(&repo.home(), "slow", "");
    let start = Instant::now();
    let (again, code) = repo.json(&["replay", &receipt, "--rerun", "--yes", "--timeout", "1s"]);
    assert_eq!(code, 1, "{again:#}");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(again["rerun"]["gates"][0]["why"].as_str().unwrap().contains("time was up"), "{again:#}");
    assert_gone(&repo);
}

#[cfg(unix)]
#[test]
fn an_interrupted_rerun_leaves_nothing_and_a_killed_one_is_cleared_away_next_time() {
    let (repo, receipt) =
        gated("[ -e \"$HOME/slow\" ] && { touch \"$HOME/started\"; exec sleep 30; }; echo done\n");
    write(&repo.home(), "slow", "");
    let start = |signal: &str| {
        let started = repo.home().join("started");
        let _ = std::fs::remove_file(&started);
        let args = ["replay", &receipt, "--rerun", "--yes"];
        let mut command = repo.command(PROGRAM, &repo.path, &args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let patience = Instant::now();
        while !started.exists() {
            assert!(patience.elapsed() < Duration::from_secs(30), "the gate never started");
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid = child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        child.wait().unwrap()
    };
    // Build servers start things with SIGINT ignored, and a gate inherits that.
    assert_eq!(start("-TERM").code(), Some(2));
    assert_gone(&repo);
    let (log, _) = repo.json(&["log", &receipt, "--kind", "replay.checked"]);
    assert_eq!(log["entries"].as_array().unwrap().len(), 0);
    assert_eq!(start("-KILL").code(), None);
    let listed = repo.git(&["worktree", "list", "--porcelain"]);
    let left = listed.lines().filter_map(|line| line.strip_prefix("worktree ")).nth(1).unwrap().to_owned();
    assert!(Path::new(&left).exists());
    std::fs::remove_file(repo.home().join("slow")).unwrap();
    let output = repo.try_receipt(&["replay", &receipt, "--rerun", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("cleared away 1"), "{}", said(&output));
    assert!(!Path::new(&left).exists());
    assert_gone(&repo);
}

#[test]
fn a_folder_that_a_gate_made_read_only_goes_as_well() {
    let (repo, receipt) = gated("mkdir -p locked/in && touch locked/in/file && chmod -R a-w locked\n");
    let (again, code) = rerun(&repo, &receipt);
    assert_eq!(code, 0, "{again:#}");
    assert_gone(&repo);
    check(repo.command("chmod", &repo.path, &["-R", "u+w", "locked"]));
}

#[test]
fn a_gate_is_run_again_as_it_last_ran_by_then() {
    let (repo, receipt) = gated("echo one\n");
    write(&repo.path, "suite.sh", "echo two\n");
    repo.receipt(&["run", "--gate", "test", "--", "sh", "suite.sh"]);
    repo.receipt(&["run", "--gate", "lint", "--", "true"]);
    let (again, _) = rerun(&repo, &receipt);
    let gates = again["rerun"]["gates"].as_array().unwrap();
    let names: Vec<_> =
        gates.iter().map(|gate| (gate["gate"].as_str().unwrap(), gate["n"].as_u64())).collect();
    assert_eq!(names, [("test", Some(3)), ("lint", Some(5))]);
    let (early, code) = repo.json(&["replay", &receipt, "--at", "1", "--rerun", "test", "--yes"]);
    assert_eq!((code, &early["rerun"]["gates"][0]["n"]), (0, &1.into()), "{early:#}");
}

/// The results of the gates of a rerun, by their names.
fn results(gates: &Value) -> Vec<(&str, &str)> {
    let gates = gates.as_array().unwrap().iter();
    gates.map(|gate| (gate["gate"].as_str().unwrap(), gate["result"].as_str().unwrap())).collect()
}

/// What was signed about reruns, newest first: the result, and those of the gates in the details.
fn signed(repo: &TestRepo, receipt: &str) -> Vec<(String, Value)> {
    let (log, _) = repo.json(&["log", receipt, "--kind", "replay.checked"]);
    let entries = log["entries"].as_array().unwrap().iter();
    let signed = entries.map(|entry| {
        let data = &entry["data"];
        let detail: Value = serde_json::from_str(data["detail"]["text"].as_str().unwrap()).unwrap();
        (data["result"].as_str().unwrap().to_owned(), detail["gates"].clone())
    });
    signed.collect()
}

#[test]
fn a_gate_that_cannot_run_keeps_no_other_from_it_and_is_signed_for_by_nobody() {
    let repo = TestRepo::new();
    write(&repo.path, ".gitignore", "build/\n");
    write(&repo.path, "build/file", "made\n");
    repo.git(&["add", ".gitignore"]);
    repo.git(&["commit", "-qm", "Ignore"]);
    let receipt = repo.receipt(&["open", "-m", "Gated"]);
    let code = |number: &str| write(&repo.home(), "code", number);
    code("0");
    repo.receipt(&["run", "--gate", "first", "--", "sh", "-c", "exit $(cat \"$HOME/code\")"]);
    // The folder is there, and in no tree.
    let args = ["run", "--gate", "built", "--receipt", &receipt, "--", "cat", "file"];
    repo.receipt_in(&repo.path.join("build"), &args);
    repo.receipt(&["run", "--gate", "last", "--", "true"]);
    let (again, exit) = rerun(&repo, &receipt);
    assert_eq!(exit, 4, "{again:#}");
    let all = [("first", "reproduced"), ("built", "not run"), ("last", "reproduced")];
    assert_eq!(results(&again["rerun"]["gates"]), all);
    assert!(again["rerun"]["gates"][1]["why"].as_str().unwrap().contains("no folder `build`"), "{again:#}");
    assert_eq!(
        (&again["rerun"]["result"], &again["rerun"]["recorded"]),
        (&"incomplete".into(), &Value::Null)
    );
    assert_eq!(signed(&repo, &receipt), []);
    let words = said(&repo.try_receipt(&["replay", &receipt, "--rerun", "--yes"]));
    assert!(words.contains("nothing was recorded"), "{words}");
    // What was asked for is complete.
    let (again, exit) = repo.json(&["replay", &receipt, "--rerun", "first", "last", "--yes"]);
    assert_eq!(exit, 0, "{again:#}");
    // A no is a no whatever else could not run, and says what did not.
    code("7");
    let (again, exit) = rerun(&repo, &receipt);
    assert_eq!(exit, 1, "{again:#}");
    let signed = signed(&repo, &receipt);
    let [(no, gates), (yes, named)] = &signed[..] else { panic!("{signed:#?}") };
    assert_eq!((no.as_str(), yes.as_str()), ("diverged", "reproduced"));
    assert_eq!(results(gates), [("first", "diverged"), ("built", "not run"), ("last", "reproduced")]);
    assert_eq!(results(named), [("first", "reproduced"), ("last", "reproduced")]);
    assert!(gates[1]["why"].as_str().unwrap().contains("no folder `build`"));
    assert_eq!(named[0]["output_compared"], true);
    assert_gone(&repo);
}

#[test]
fn a_gate_without_output_is_unproven_and_a_skipped_one_is_no_yes() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Gated"]);
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let record = |gate: &str, result: &str, command: &str| {
        let data = serde_json::json!({
            "gate": gate, "command": ["sh", "-c", command], "exit_code": 0, "result": result,
            "duration_ms": 1, "tree": format!("sha1:{tree}"), "dirty": false,
        });
        let line = serde_json::json!({ "kind": "gate.checked", "data": data });
        write(repo.folder.path(), "line.jsonl", &format!("{line}\n"));
        repo.receipt(&["record", repo.folder.path().join("line.jsonl").to_str().unwrap()]);
    };
    record("lint", "skipped", "true");
    let (again, exit) = rerun(&repo, &receipt);
    assert_eq!((exit, results(&again["rerun"]["gates"])), (4, vec![("lint", "skipped")]), "{again:#}");
    record("mute", "passed", "true");
    let (again, exit) = rerun(&repo, &receipt);
    assert_eq!(exit, 4, "{again:#}");
    assert_eq!(results(&again["rerun"]["gates"]), [("lint", "skipped"), ("mute", "unproven")]);
    assert_eq!(again["rerun"]["gates"][1]["output_compared"], false);
    assert_eq!(signed(&repo, &receipt), []);
    // Another exit code proves something.
    record("mute", "passed", "exit 3");
    assert_eq!(rerun(&repo, &receipt).1, 1);
    // A skipped one does not stand in the way of those that ran, unless it was asked for.
    repo.receipt(&["run", "--gate", "mute", "--", "echo", "said"]);
    assert_eq!(rerun(&repo, &receipt).1, 0);
    let (again, exit) = repo.json(&["replay", &receipt, "--rerun", "lint", "mute", "--yes"]);
    assert_eq!((exit, &again["rerun"]["gates"][0]["result"]), (4, &"not run".into()), "{again:#}");
}

#[cfg(unix)]
#[test]
fn what_a_gate_commits_and_records_moves_no_branch_and_no_chain() {
    let script = format!(
        "[ -e \"$HOME/again\" ] || exit 0\n\
         echo x > made && git add made && git commit -qm Made && touch \"$HOME/committed\"\n\
         '{PROGRAM}' remark @ -m x; '{PROGRAM}' open -m y; '{PROGRAM}' run -- touch \"$HOME/ran\"; exit 0\n"
    );
    let (repo, receipt) = gated(&script);
    repo.receipt(&["hooks", "install"]);
    let state = || {
        let (log, _) = repo.json(&["log"]);
        let count = log["entries"].as_array().unwrap().len();
        (
            repo.git(&["for-each-ref", "refs/heads", "refs/tags", "refs/notes"]),
            repo.git(&["log", "-1"]),
            count,
        )
    };
    let before = state();
    write(&repo.home(), "again", "");
    let (again, _) = rerun(&repo, &receipt);
    assert!(repo.home().join("committed").exists() && repo.home().join("ran").exists(), "{again:#}");
    let (refs, head, count) = state();
    assert_eq!((refs, head), (before.0, before.1));
    assert_eq!(count, before.2 + 1, "more than the rerun was recorded");
    assert_gone(&repo);
}

#[cfg(unix)]
#[test]
fn what_a_gate_started_ends_with_it_whatever_ended_it() {
    let (repo, receipt) = gated(
        "[ -e \"$HOME/slow\" ] || exit 0\n\
         (trap '' INT TERM; while :; do touch left; sleep 0.01; done) & echo $! > \"$HOME/pid\"\n\
         [ -e \"$HOME/leave\" ] || wait\n",
    );
    let pid = || std::fs::read_to_string(repo.home().join("pid")).unwrap_or_default();
    let runs = || {
        let listed = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid().trim()]).output();
        let state = String::from_utf8(listed.unwrap().stdout).unwrap();
        !state.trim().is_empty() && !state.trim_start().starts_with('Z')
    };
    let assert_ended = || {
        let patience = Instant::now();
        while runs() {
            assert!(patience.elapsed() < Duration::from_secs(10), "something of the gate runs on");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_gone(&repo);
        std::fs::remove_file(repo.home().join("pid")).unwrap();
    };
    write(&repo.home(), "slow", "");
    let (again, code) = repo.json(&["replay", &receipt, "--rerun", "--yes", "--timeout", "1s"]);
    assert_eq!(code, 1, "{again:#}");
    assert_ended();
    for signal in ["-INT", "-TERM"] {
        let mut command = repo.command(PROGRAM, &repo.path, &["replay", &receipt, "--rerun", "--yes"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let patience = Instant::now();
        while !pid().ends_with('\n') {
            assert!(patience.elapsed() < Duration::from_secs(30), "the gate never started");
            std::thread::sleep(Duration::from_millis(10));
        }
        let id = child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        // Where this was started with SIGINT ignored, so was that.
        if signal == "-INT" && ignores_interrupts() {
            assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        }
        assert_eq!(child.wait().unwrap().code(), Some(2));
        assert_ended();
    }
    write(&repo.home(), "leave", "");
    rerun(&repo, &receipt);
    assert_ended();
    let words: Vec<_> = signed(&repo, &receipt).into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["reproduced", "diverged"], "an interrupted one is signed, or an ended one is not");
}

/// Whether this process was started with SIGINT ignored, as build servers do.
#[cfg(unix)]
fn ignores_interrupts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 2 != 0)
}

#[test]
fn a_gate_of_a_fork_runs_on_files_that_a_snapshot_before_the_fork_kept() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Before"]);
    write(&repo.path, "uncommitted", "one\n");
    repo.receipt(&["snapshot"]);
    write(&repo.path, "uncommitted", "two\n");
    let worktree = repo.folder.path().join("fork");
    let folder = worktree.to_str().unwrap();
    let fork = repo.receipt(&["fork", &receipt, "--at", "1", "--worktree", folder]).trim().to_owned();
    repo.receipt_in(&worktree, &["run", "--gate", "look", "--", "cat", "uncommitted"]);
    repo.git(&["worktree", "remove", "--force", folder]);
    let (again, code) = rerun(&repo, &fork);
    assert_eq!(code, 0, "{again:#}");
    let (log, _) = repo.json(&["log", &receipt, "--kind", "snapshot.taken"]);
    let ran_on = again["rerun"]["gates"][0]["tree"].as_str().unwrap();
    assert_eq!(log["entries"][0]["data"]["worktree"], format!("sha1:{ran_on}"));
    assert_eq!(std::fs::read_to_string(repo.path.join("uncommitted")).unwrap(), "two\n");
    // It is the fork's word and not that of the other.
    assert_eq!((signed(&repo, &fork).len(), signed(&repo, &receipt).len()), (1, 0));
    // What was not recorded there does not run there.
    let (error, code) = rerun(&repo, &receipt);
    assert_eq!(code, 2, "{error:#}");
    assert_gone(&repo);
}
