//! Proposals as people use them: propose, look, decide, land, revise; with others, on a base that moves.

use std::path::Path;

use serde_json::Value;

use crate::support::{PROGRAM, TestRepo, read, said, write};

/// A repository with a file of ten lines and a key of the person's own.
fn with_lines() -> TestRepo {
    let repo = TestRepo::new();
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.receipt(&["key", "new", "--person"]);
    write(&repo.path, "a.txt", &lines(1..=10));
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Ten lines"]);
    repo
}

fn lines(range: std::ops::RangeInclusive<u32>) -> String {
    range.map(|n| format!("line {n} is here\n")).collect()
}

/// The ten lines with some of them changed: each is one number of a proposal.
fn changed(numbers: &[u32]) -> String {
    numbers
        .iter()
        .fold(lines(1..=10), |text, n| text.replace(&format!("line {n} is"), &format!("line {n} was")))
}

fn standing(repo: &TestRepo, receipt: &str) -> Value {
    repo.json(&["show", receipt]).0["proposal"].clone()
}

#[test]
fn only_what_was_accepted_lands_and_the_rest_stays_as_a_local_change() {
    let repo = with_lines();
    write(&repo.path, "a.txt", &changed(&[2, 9]));
    write(&repo.path, "new.txt", "new\n");
    let receipt = repo.receipt(&["propose", "-m", "Shout"]);
    assert_eq!(receipt.len(), 26, "the id alone: {receipt}");
    let head = repo.git(&["rev-parse", "HEAD"]);
    repo.receipt(&["reject", &receipt, "--lines", "2", "-m", "not this one"]);
    let refused = repo.try_receipt(&["apply", &receipt]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("lines 1,3-4 are pending"), "{}", said(&refused));
    let (accepted, code) = repo.json(&["accept", &receipt]);
    assert_eq!((code, &accepted["landed"]["lines"]), (0, &"1,3-4".into()), "{accepted:#}");
    let commit = accepted["landed"]["commit"].as_str().unwrap();
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), commit);
    assert_eq!(repo.git(&["rev-parse", "HEAD^"]), head);
    assert_eq!(repo.git(&["show", "HEAD:a.txt"]), changed(&[2]).trim_end());
    assert_eq!(repo.git(&["show", "HEAD:new.txt"]), "new");
    // The refused line is still in the file, as any local change is.
    assert_eq!(repo.git(&["status", "--porcelain"]), " M a.txt");
    assert!(read(&repo, "a.txt").contains("line 9 was"));
    let message = repo.git(&["log", "-1", "--format=%s%n%(trailers:key=Receipt-Id,valueonly)"]);
    assert!(message.starts_with("Shout") && message.contains(&receipt), "{message}");
    let entry = repo.git(&["log", "-1", "--format=%(trailers:key=Receipt-Entry,valueonly)"]);
    let (log, _) = repo.json(&["log", &receipt, "--kind", "lines.accepted"]);
    let newest = &log["entries"][0];
    assert!(entry.contains(newest["chain"].as_str().unwrap()), "{entry} {newest:#}");
    assert!(repo.git(&["notes", "--ref=receipts", "show", "HEAD"]).contains(&receipt));
    let state = standing(&repo, &receipt);
    assert_eq!(
        (&state["state"], &state["rejected"], &state["applied"]),
        (&"applied".into(), &"2".into(), &"1,3-4".into())
    );
    let again = repo.try_receipt(&["reject", &receipt, "--lines", "1"]);
    assert!(said(&again).contains("lines 1 landed already"), "{}", said(&again));
    repo.assert_clean(&repo.path);
}

#[test]
fn rounds_land_on_each_other_and_a_decision_can_change_until_then() {
    let repo = with_lines();
    write(&repo.path, "a.txt", &lines(1..=10).replace("is", "was"));
    let receipt = repo.receipt(&["propose", "-m", "Shout", "--restore"]);
    assert_eq!(read(&repo, "a.txt"), lines(1..=10), "--restore puts the file back");
    repo.receipt(&["accept", &receipt, "--lines", "1-3"]);
    repo.receipt(&["reject", &receipt, "--lines", "3"]);
    repo.receipt(&["apply", &receipt, "--partial"]);
    assert_eq!(read(&repo, "a.txt"), changed(&[1, 2]));
    repo.receipt(&["accept", &receipt, "--lines", "3,7", "--apply"]);
    repo.receipt(&["accept", &receipt]);
    assert_eq!(read(&repo, "a.txt"), lines(1..=10).replace("is", "was"));
    assert_eq!(repo.git(&["rev-list", "--count", "HEAD"]), "5");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.assert_clean(&repo.path);
}

/// Two reviewers in two clones accept different lines; a third applies. `offsets` shift their clocks.
fn union_of_two(offsets: [i64; 2]) {
    let repo = with_lines();
    let remote = repo.folder.path().join("remote.git");
    let clones: Vec<_> = ["bob", "cy"].iter().map(|name| repo.folder.path().join(name)).collect();
    repo.receipt(&["key", "trust"]);
    let signers = repo.path.join(".receipts/allowed_signers");
    repo.git(&["clone", "-q", "--bare", ".", remote.to_str().unwrap()]);
    repo.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    #[cfg(target_os = "linux")]
    let shim = offsets.iter().any(|offset| *offset != 0).then(|| clock_shim(repo.folder.path()));
    #[cfg(not(target_os = "linux"))]
    let shim: Option<std::path::PathBuf> = None;
    let home = |name: &str| repo.folder.path().join(format!("home-{name}"));
    let at = |name: &str, folder: &Path, offset: i64, args: &[&str]| {
        let mut command = repo.command(PROGRAM, folder, args);
        command.env("HOME", home(name));
        if offset != 0 {
            let shim = shim.as_ref().unwrap();
            command.env("LD_PRELOAD", shim).env("CLOCK_OFFSET", offset.to_string());
        }
        crate::support::check(command)
    };
    let mut listed = std::fs::read_to_string(&signers).unwrap();
    for (name, folder) in ["bob", "cy"].iter().zip(&clones) {
        std::fs::create_dir_all(home(name)).unwrap();
        repo.git(&["clone", "-q", remote.to_str().unwrap(), folder.to_str().unwrap()]);
        at(name, folder, 0, &["init", "--no-man"]);
        at(name, folder, 0, &["key", "new", "--person"]);
        at(name, folder, 0, &["key", "trust", "--principal", &format!("{name}@example.com")]);
        let theirs = std::fs::read_to_string(folder.join(".receipts/allowed_signers")).unwrap();
        listed.push_str(&theirs);
        std::fs::remove_dir_all(folder.join(".receipts")).unwrap();
    }
    std::fs::write(&signers, listed).unwrap();
    repo.git(&["add", ".receipts"]);
    repo.git(&["commit", "-qm", "Signers"]);
    repo.git(&["push", "-q", "origin", "main"]);
    repo.receipt(&["init", "--no-man"]);

    write(&repo.path, "a.txt", &lines(1..=10).replace("is", "was"));
    let receipt = repo.receipt(&["propose", "-m", "Shout", "--restore"]);
    repo.receipt(&["push"]);
    for ((name, folder), (chosen, offset)) in
        ["bob", "cy"].iter().zip(&clones).zip(["1-2,5", "5-7"].iter().zip(offsets))
    {
        repo.git_in(folder, &["pull", "-q"]);
        at(name, folder, offset, &["fetch"]);
        at(name, folder, offset, &["accept", &receipt, "--lines", chosen]);
        at(name, folder, offset, &["push"]);
    }
    repo.receipt(&["fetch"]);
    repo.receipt(&["reject", &receipt, "--lines", "3-4,8-10"]);
    repo.receipt(&["apply", &receipt]);
    assert_eq!(read(&repo, "a.txt"), changed(&[1, 2, 5, 6, 7]));
    repo.receipt(&["push"]);
    repo.git(&["push", "-q", "origin", "main"]);
    repo.assert_clean(&repo.path);
    for (name, folder) in ["bob", "cy"].iter().zip(&clones) {
        repo.git_in(folder, &["pull", "-q"]);
        at(name, folder, 0, &["fetch"]);
        let verdict: Value = serde_json::from_str(&at(name, folder, 0, &["verify", "--json"])).unwrap();
        assert_eq!(verdict["clean"], true, "{verdict:#}");
        let shown = at(name, folder, 0, &["show", &receipt, "--json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["proposal"]["applied"], "1-2,5-7", "{shown:#}");
    }
}

#[test]
fn what_two_reviewers_accept_lands_together() {
    union_of_two([0, 0]);
}

/// A library that shifts the clock of a process by `CLOCK_OFFSET` seconds.
#[cfg(target_os = "linux")]
fn clock_shim(folder: &Path) -> std::path::PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    let code = r#"
        #define _GNU_SOURCE
        #include <stdlib.h>
        #include <time.h>
        #include <unistd.h>
        #include <sys/syscall.h>
        int clock_gettime(clockid_t id, struct timespec *now) {
            int result = (int)syscall(SYS_clock_gettime, id, now);
            const char *offset = getenv("CLOCK_OFFSET");
            if (result == 0 && id == CLOCK_REALTIME && offset) now->tv_sec += atol(offset);
            return result;
        }
    "#;
    std::fs::write(&source, code).unwrap();
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()
        .expect("a C compiler, which linking needs as well");
    assert!(built.success());
    library
}

#[cfg(target_os = "linux")]
#[test]
fn clocks_that_disagree_change_nothing() {
    union_of_two([4, -4]);
    union_of_two([-86_400, 86_400]);
}

#[test]
fn on_a_moved_base_lines_that_fit_land_and_those_that_do_not_are_named() {
    let repo = with_lines();
    write(&repo.path, "a.txt", &changed(&[2, 8]));
    let receipt = repo.receipt(&["propose", "-m", "Shout", "--restore"]);
    // Lines go in front, and the place of the second change is rewritten.
    let other = |text: String| format!("zero\nnull\n{}", text.replace("line 8", "other 8"));
    write(&repo.path, "a.txt", &other(lines(1..=10)));
    repo.git(&["commit", "-qam", "Meanwhile"]);
    let before = (repo.git(&["rev-parse", "HEAD"]), repo.git(&["for-each-ref"]));
    let refused = repo.try_receipt(&["accept", &receipt]);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(said(&refused).contains("lines 2 no longer fit"), "{}", said(&refused));
    assert_eq!(before, (repo.git(&["rev-parse", "HEAD"]), repo.git(&["for-each-ref"])), "nothing was signed");
    let (preview, code) = repo.json(&["preview", &receipt]);
    assert_eq!(code, 0);
    assert_eq!((&preview["lines"], &preview["conflicts"][0]["lines"]), (&"1".into(), &"2".into()));
    repo.receipt(&["accept", &receipt, "--lines", "1-2"]);
    let (applied, code) = repo.json(&["apply", &receipt, "--partial"]);
    assert_eq!(
        (code, &applied["conflicted"], &applied["placed"]),
        (0, &"2".into(), &true.into()),
        "{applied:#}"
    );
    let wanted = other(changed(&[2]));
    assert_eq!(read(&repo, "a.txt"), wanted);
    assert_eq!(repo.git(&["rev-parse", "HEAD^{tree}"]), preview["tree"].as_str().unwrap());
    repo.assert_clean(&repo.path);
    // What is there already is no conflict and no commit.
    write(&repo.path, "a.txt", &wanted.replace("other 8 is", "line 8 was"));
    repo.git(&["commit", "-qam", "By hand"]);
    let (applied, code) = repo.json(&["apply", &receipt, "--partial"]);
    assert_eq!(
        (code, &applied["already"], &applied["commit"]),
        (0, &"2".into(), &Value::Null),
        "{applied:#}"
    );
}

#[test]
fn local_edits_elsewhere_stay_and_edits_in_the_way_stop_it() {
    let repo = with_lines();
    write(&repo.path, "b.txt", "b\n");
    write(&repo.path, "c.txt", "c\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "More"]);
    write(&repo.path, "a.txt", &changed(&[2]));
    let receipt = repo.receipt(&["propose", "-m", "Shout", "--restore"]);
    write(&repo.path, "b.txt", "edited\n");
    write(&repo.path, "c.txt", "staged\n");
    repo.git(&["add", "c.txt"]);
    write(&repo.path, "a.txt", &lines(1..=10).replace("line 9", "mine 9"));
    let before = (repo.git(&["status", "--porcelain"]), repo.git(&["for-each-ref"]), read(&repo, "a.txt"));
    let stopped = repo.try_receipt(&["accept", &receipt]);
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
    assert!(said(&stopped).contains("in the way") && said(&stopped).contains("a.txt"), "{}", said(&stopped));
    let after = (repo.git(&["status", "--porcelain"]), repo.git(&["for-each-ref"]), read(&repo, "a.txt"));
    assert_eq!(before, after, "nothing was written");
    assert!(!repo.path.join(".git/index.lock").exists());
    repo.git(&["checkout", "-q", "a.txt"]);
    repo.receipt(&["accept", &receipt]);
    assert_eq!(repo.git(&["status", "--porcelain"]), " M b.txt\nM  c.txt");
    assert!(read(&repo, "a.txt").contains("line 2 was"));
    // An untracked file where the proposal creates one is in the way as well, unless it is the same.
    write(&repo.path, "d.txt", "proposed\n");
    let receipt = repo.receipt(&["propose", "-m", "D", "d.txt"]);
    write(&repo.path, "d.txt", "something else\n");
    let stopped = repo.try_receipt(&["accept", &receipt]);
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
    assert_eq!(read(&repo, "d.txt"), "something else\n");
    write(&repo.path, "d.txt", "proposed\n");
    repo.receipt(&["accept", &receipt]);
    repo.assert_clean(&repo.path);
}

#[test]
fn a_revision_keeps_decisions_only_where_everything_around_a_line_is_the_same() {
    let repo = with_lines();
    let first = changed(&[2, 9]).replace("line 9 was here\n", "line 9 was here\nadded\n");
    write(&repo.path, "a.txt", &first);
    let receipt = repo.receipt(&["propose", "-m", "Shout"]);
    repo.receipt(&["accept", &receipt, "--lines", "1-3"]);
    write(&repo.path, "a.txt", &first.replace("added\n", "added\nand more\n"));
    let (revised, code) = repo.json(&["revise", &receipt]);
    assert_eq!((code, &revised["revision"]), (0, &2.into()), "{revised:#}");
    let state = standing(&repo, &receipt);
    assert_eq!((&state["accepted"], &state["pending"]), (&"1".into(), &"2-4".into()), "{state:#}");
    let old = repo.try_receipt(&["accept", &receipt, "--lines", "2", "--revision", "1"]);
    assert_eq!(old.status.code(), Some(3));
    assert!(said(&old).contains("superseded by revision 2"), "{}", said(&old));
    repo.receipt(&["accept", &receipt]);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let revisions = repo.receipt(&["diff", &receipt, "--revisions"]);
    assert!(revisions.contains("revision 1") && revisions.contains("superseded"), "{revisions}");
    let (earlier, _) = repo.json(&["diff", &receipt, "--revision", "1"]);
    assert_eq!(earlier["count"], 3);
    repo.assert_clean(&repo.path);
}

#[test]
fn hooks_of_the_project_run_and_may_not_change_what_was_signed() {
    let repo = with_lines();
    let hook = |name: &str, text: &str| {
        let path = repo.path.join(".git/hooks").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    write(&repo.path, "a.txt", &changed(&[2]));
    let receipt = repo.receipt(&["propose", "-m", "Shout"]);
    repo.receipt(&["accept", &receipt, "--lines", "1"]);
    let refs = repo.git(&["for-each-ref"]);
    hook("pre-commit", "git diff --cached --name-only > ../seen; exit 1");
    let stopped = repo.try_receipt(&["apply", &receipt]);
    assert_eq!(stopped.status.code(), Some(2), "{}", said(&stopped));
    assert_eq!(std::fs::read_to_string(repo.folder.path().join("seen")).unwrap(), "a.txt\n");
    hook("pre-commit", "echo sneaked > sneaked; git add sneaked");
    let stopped = repo.try_receipt(&["apply", &receipt]);
    assert!(said(&stopped).contains("only what was signed lands"), "{}", said(&stopped));
    std::fs::remove_file(repo.path.join("sneaked")).unwrap();
    assert_eq!(repo.git(&["for-each-ref"]), refs, "nothing landed");
    hook("pre-commit", "exit 0");
    hook("commit-msg", "echo 'Signed-off-by: Ann <ann@example.com>' >> \"$1\"");
    repo.receipt(&["apply", &receipt]);
    let message = repo.git(&["log", "-1", "--format=%B"]);
    assert!(message.contains("Signed-off-by: Ann") && message.contains("Receipt-Id"), "{message}");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.assert_clean(&repo.path);
}

#[test]
fn a_reviewer_without_the_table_is_told_what_is_missing() {
    let repo = with_lines();
    write(&repo.path, "a.txt", &lines(1..=9));
    let receipt = repo.receipt(&["propose", "-m", "Shorter", "--restore"]);
    let evidence = repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/evidence"]);
    repo.git(&["update-ref", "-d", &evidence]);
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    repo.git(&["gc", "-q", "--prune=now"]);
    let refused = repo.try_receipt(&["accept", &receipt]);
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    assert!(said(&refused).contains("is not here"), "{}", said(&refused));
    let (verdict, code) = repo.verify();
    assert_eq!((code, &verdict["withheld"]), (0, &1.into()), "{verdict:#}");
}

#[cfg(unix)]
#[test]
fn staging_leaves_the_commit_to_the_person() {
    let repo = with_lines();
    write(&repo.path, "a.txt", &changed(&[2]));
    let receipt = repo.receipt(&["propose", "-m", "Shout", "--restore"]);
    repo.receipt(&["accept", &receipt, "--lines", "1"]);
    repo.receipt(&["apply", &receipt, "--stage"]);
    assert_eq!(repo.git(&["status", "--porcelain"]), "M  a.txt");
    let mut commit = repo.command("git", &repo.path, &["commit", "-qm", "By hand"]);
    commit.env("PATH", crate::hook_files::with_program(&repo));
    crate::support::check(commit);
    assert!(repo.git(&["notes", "--ref=receipts", "show", "HEAD"]).contains(&receipt), "the hook bound it");
    repo.assert_clean(&repo.path);
}

#[test]
fn money_is_charged_for_what_lands_and_spent_on_what_is_refused() {
    let repo = with_lines();
    let receipt = repo.receipt(&["open", "-m", "Costly"]);
    let usage = r#"{"kind":"usage.counted","data":{"model":"m","input_tokens":1,"output_tokens":1,"cost":{"amount":"1.20","currency":"USD"}}}"#;
    write(&repo.path, "usage.jsonl", usage);
    repo.receipt(&["record", "usage.jsonl"]);
    std::fs::remove_file(repo.path.join("usage.jsonl")).unwrap();
    write(&repo.path, "a.txt", &changed(&[2, 9]));
    assert_eq!(repo.receipt(&["propose"]), receipt, "the open receipt takes it");
    let again = repo.try_receipt(&["propose"]);
    assert!(said(&again).contains("proposes a change already"), "{}", said(&again));
    repo.receipt(&["reject", &receipt, "--lines", "1"]);
    repo.receipt(&["accept", &receipt, "--cost", "0.25 USD"]);
    let (shown, _) = repo.json(&["show", &receipt]);
    assert_eq!(shown["spent"][0]["amount"], "1.20");
    assert_eq!(shown["charged"][0]["amount"], "0.25");
    assert_eq!(shown["spent_on_refused"][0]["amount"], "0.6000");
    repo.assert_clean(&repo.path);
}

#[test]
fn a_file_that_ends_without_a_newline_is_shown_to() {
    let repo = TestRepo::new();
    write(&repo.path, "a", "x\ny");
    write(&repo.path, "b", "x\ny\n");
    write(&repo.path, "c", "x\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Ends"]);
    write(&repo.path, "a", "x\ny\n");
    write(&repo.path, "b", "x\ny");
    write(&repo.path, "c", "x\nz");
    let receipt = repo.receipt(&["propose", "-m", "Other ends"]);
    let shown = repo.receipt(&["diff", &receipt]);
    let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with(' ')).collect();
    let expected = [
        "  ~ L01 y [no newline at the end] → y",
        "  ~ L02 y → y [no newline at the end]",
        "  + L03 z [no newline at the end]",
    ];
    assert_eq!(lines, expected, "{shown}");
    assert_eq!(repo.receipt(&["show", &receipt, "--lines"]).matches("[no newline at the end]").count(), 3);
    let (report, _) = repo.json(&["diff", &receipt]);
    let line = &report["files"][0]["lines"][0];
    assert_eq!((&line["old_lacks_newline"], &line["new_lacks_newline"]), (&true.into(), &false.into()));
}
