//! Landing while other things happen: hooks that act, people who save, clones that decide at the same time, and
//! repositories that are not what they seem.

use serde_json::json;

use crate::support::{PROGRAM, TestRepo, check, said, ten_lines, write};

/// A repository with a file of ten lines.
fn ten() -> TestRepo {
    let repo = TestRepo::new();
    write(&repo.path, "a.txt", &ten_lines(&[]));
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Ten lines"]);
    repo
}

fn hook(repo: &TestRepo, name: &str, text: &str) {
    let path = repo.path.join(".git/hooks").join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_decision_does_not_rest_on_what_changed_while_hooks_ran() {
    let repo = ten();
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = repo.receipt(&["propose", "-m", "One"]);
    hook(&repo, "pre-commit", &format!("echo more >> a.txt; {PROGRAM} revise {receipt} >/dev/null"));
    let accepted = repo.try_receipt(&["accept", &receipt]);
    assert_eq!(accepted.status.code(), Some(3), "{}", said(&accepted));
    repo.assert_clean(&repo.path);
    hook(&repo, "pre-commit", "git checkout -q -b elsewhere");
    let accepted = repo.try_receipt(&["accept", &receipt]);
    assert_eq!(accepted.status.code(), Some(3), "{}", said(&accepted));
    assert!(!repo.path.join(".git/index.lock").exists());
    assert_eq!(repo.git(&["rev-parse", "main"]), repo.git(&["rev-parse", "elsewhere"]), "nothing landed");
    repo.assert_clean(&repo.path);
    // A gate that the hook records is no such change.
    hook(&repo, "pre-commit", &format!("{PROGRAM} run --gate test -- true"));
    repo.receipt(&["accept", &receipt]);
    repo.assert_clean(&repo.path);
}

#[test]
fn somebody_elses_locks_are_left_alone() {
    let repo = ten();
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = repo.receipt(&["propose", "-m", "One"]);
    for lock in [".git/index.lock", ".git/refs/heads/main.lock"] {
        let lock = repo.path.join(lock);
        std::fs::write(&lock, "").unwrap();
        let refs = repo.git(&["for-each-ref"]);
        let stopped = repo.try_receipt(&["accept", &receipt]);
        assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
        assert!(lock.exists(), "{}", lock.display());
        assert_eq!(repo.git(&["for-each-ref"]), refs);
        assert!(!repo.path.join(".git/receipts/landing").exists());
        std::fs::remove_file(&lock).unwrap();
        assert!(!repo.path.join(".git/index.lock").exists());
    }
    repo.receipt(&["accept", &receipt]);
    repo.assert_clean(&repo.path);
}

#[test]
fn folders_give_way_only_with_everything_in_them() {
    let repo = ten();
    write(&repo.path, ".gitignore", "*.o\n");
    write(&repo.path, "d/x", "x\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "A folder"]);
    std::fs::remove_dir_all(repo.path.join("d")).unwrap();
    write(&repo.path, "d", "a file now\n");
    let receipt = repo.receipt(&["propose", "-m", "A file in its place", "--restore"]);
    write(&repo.path, "d/y.o", "ignored work\n");
    let head = repo.git(&["rev-parse", "HEAD"]);
    let stopped = repo.try_receipt(&["accept", &receipt]);
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(std::fs::read_to_string(repo.path.join("d/y.o")).unwrap(), "ignored work\n");
    std::fs::remove_file(repo.path.join("d/y.o")).unwrap();
    repo.receipt(&["accept", &receipt]);
    assert_eq!(std::fs::read_to_string(repo.path.join("d")).unwrap(), "a file now\n");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    // An empty folder is nothing to git.
    write(&repo.path, "e", "new\n");
    let receipt = repo.receipt(&["propose", "-m", "E", "--restore"]);
    std::fs::create_dir(repo.path.join("e")).unwrap();
    repo.receipt(&["accept", &receipt]);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    // What the index does not have is not git's to remove.
    repo.git(&["rm", "-q", "e"]);
    let receipt = repo.receipt(&["propose", "-m", "No E"]);
    write(&repo.path, "e", "mine\n");
    write(&repo.path, ".git/info/exclude", "e\n");
    repo.receipt(&["accept", &receipt]);
    assert_eq!(std::fs::read_to_string(repo.path.join("e")).unwrap(), "mine\n");
    repo.assert_clean(&repo.path);
}

#[cfg(unix)]
#[test]
fn what_a_link_leads_to_is_shown_and_marked_and_folders_become_files_in_place() {
    let repo = ten();
    write(&repo.path, "s/f", "x\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "A folder"]);
    std::fs::remove_dir_all(repo.path.join("s")).unwrap();
    write(&repo.path, "s", "a file\n");
    std::os::unix::fs::symlink("/etc/passwd", repo.path.join("l")).unwrap();
    let receipt = repo.receipt(&["propose", "-m", "Both"]);
    let (diff, _) = repo.json(&["diff", &receipt]);
    assert_eq!(diff["files"][0]["lines"][0]["new"], "link to /etc/passwd", "{diff:#}");
    assert_eq!(diff["files"][0]["sensitive"][0], "symbolic link");
    repo.receipt(&["accept", &receipt]);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.assert_clean(&repo.path);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_folder_that_became_a_link() {
    let repo = ten();
    write(&repo.path, "d/keep", "keep\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "A folder"]);
    write(&repo.path, "d/new", "new\n");
    let receipt = repo.receipt(&["propose", "-m", "New", "--restore"]);
    let outside = repo.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::rename(repo.path.join("d"), repo.path.join("was-d")).unwrap();
    std::os::unix::fs::symlink(&outside, repo.path.join("d")).unwrap();
    repo.try_receipt(&["accept", &receipt]);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_tree_that_looks_like_a_repository_gets_nothing_done() {
    let repo = ten();
    let fake = repo.path.join("docs");
    for (name, content) in [
        ("HEAD", "ref: refs/heads/main\n"),
        ("config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = ../.git/hooks\n"),
        ("refs/.keep", ""),
        ("objects/.keep", ""),
        (
            "receipts/landing/journal.json",
            r#"{"branch":null,"moves":[],"removed":[],"written":[["post-checkout",null]],"index":false}"#,
        ),
        ("receipts/landing/files/post-checkout", "#!/bin/sh\n"),
    ] {
        write(&fake, name, content);
    }
    for command in [&["status"][..], &["list"], &["hook", "claude-code"]] {
        let mut command = repo.command(PROGRAM, &fake, command);
        command.output().unwrap();
        assert!(!repo.path.join(".git/hooks/post-checkout").exists(), "{command:?}");
    }
    repo.git(&["config", "--global", "safe.bareRepository", "explicit"]);
    let refused = repo.command(PROGRAM, &fake, &["status"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("safe.bareRepository"), "{}", said(&refused));
}

/// Signs an entry of any kind.
fn record(repo: &TestRepo, receipt: &str, kind: &str, data: serde_json::Value) {
    let file = repo.folder.path().join("entry.jsonl");
    std::fs::write(&file, format!("{}\n", json!({ "kind": kind, "data": data }))).unwrap();
    repo.receipt(&["record", "--receipt", receipt, file.to_str().unwrap()]);
}

fn codes(repo: &TestRepo) -> (i32, Vec<String>) {
    let (verdict, code) = repo.verify();
    let findings = verdict["findings"].as_array().unwrap().iter();
    (code, findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn an_application_is_held_against_its_parents_tree() {
    let repo = ten();
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = repo.receipt(&["propose", "-m", "One", "--restore"]);
    repo.receipt(&["accept", &receipt, "--lines", "1"]);
    let entry = |kind: &str| {
        let (log, _) = repo.json(&["log", &receipt, "--kind", kind]);
        let entry = &log["entries"][0];
        json!({ "chain": entry["chain"], "seq": entry["seq"], "digest": entry["digest"] })
    };
    let (proposal, decision) = (entry("proposal.made"), entry("lines.accepted"));
    let (shown, _) = repo.json(&["preview", &receipt, "--on-base"]);
    let proposed = shown["tree"].as_str().unwrap().to_owned();
    // A fix comes in between, and the tree of the proposal is put over it.
    write(&repo.path, "fix.txt", "a fix\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "A fix"]);
    let parent = repo.git(&["rev-parse", "HEAD"]);
    let commit = repo.git(&["commit-tree", &proposed, "-p", &parent, "-m", "One"]);
    let applied = |commit: &str, placed: Option<serde_json::Value>| {
        let tree = repo.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
        let mut data = json!({
            "proposal": proposal, "decisions": [decision], "lines": "1",
            "commit": format!("sha1:{commit}"), "parent": format!("sha1:{parent}"), "tree": format!("sha1:{tree}"),
        });
        if let Some(placed) = placed {
            data["placed"] = placed;
        }
        data
    };
    record(&repo, &receipt, "lines.applied", applied(&commit, None));
    assert_eq!(codes(&repo), (1, vec!["E404".to_owned()]));
}

#[test]
fn a_placing_that_nobody_can_see_is_no_evidence() {
    let repo = ten();
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = repo.receipt(&["propose", "-m", "One", "--restore"]);
    repo.receipt(&["accept", &receipt, "--lines", "1"]);
    let (log, _) = repo.json(&["log", &receipt]);
    let find = |kind: &str| {
        let entries = log["entries"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["kind"] == kind).unwrap();
        json!({ "chain": entry["chain"], "seq": entry["seq"], "digest": entry["digest"] })
    };
    let parent = repo.git(&["rev-parse", "HEAD"]);
    write(&repo.path, "evil", "evil\n");
    repo.git(&["add", "evil"]);
    let tree = repo.git(&["write-tree"]);
    let commit = repo.git(&["commit-tree", &tree, "-p", &parent, "-m", "One"]);
    let data = json!({
        "proposal": find("proposal.made"), "decisions": [find("lines.accepted")], "lines": "1",
        "commit": format!("sha1:{commit}"), "parent": format!("sha1:{parent}"), "tree": format!("sha1:{tree}"),
        "placed": { "digest": format!("sha256:{}", "0".repeat(64)), "oid": format!("sha1:{}", "0".repeat(39) + "1") },
    });
    record(&repo, &receipt, "lines.applied", data);
    assert_eq!(codes(&repo), (4, vec!["I503".to_owned()]));
}

#[test]
fn two_clones_may_land_different_lines_at_the_same_time() {
    let repo = ten();
    write(&repo.path, "a.txt", &ten_lines(&[2, 9]));
    let receipt = repo.receipt(&["propose", "-m", "Two", "--restore"]);
    let (_, second) = repo.share();
    repo.receipt(&["accept", &receipt, "--lines", "1", "--apply"]);
    repo.receipt_in(&second, &["accept", &receipt, "--lines", "2", "--apply"]);
    repo.receipt(&["push"]);
    repo.receipt_in(&second, &["push"]);
    repo.receipt(&["fetch"]);
    repo.receipt_in(&second, &["fetch"]);
    for folder in [&repo.path, &second] {
        repo.assert_clean(folder);
        let (shown, _) = repo.json_in(folder, &["show", &receipt]);
        assert_eq!(shown["proposal"]["applied"], "1-2", "{shown:#}");
    }
}

#[test]
fn a_withdrawn_acceptance_stays_withdrawn() {
    let repo = ten();
    write(&repo.path, "a.txt", &ten_lines(&[2, 9]));
    let receipt = repo.receipt(&["propose", "-m", "Two"]);
    let (_, second) = repo.share();
    repo.receipt_in(&second, &["accept", &receipt, "--lines", "1"]);
    repo.receipt_in(&second, &["push"]);
    repo.receipt(&["fetch"]);
    repo.receipt_in(&second, &["reject", &receipt, "--lines", "1"]);
    repo.receipt_in(&second, &["push"]);
    // The revision has seen the acceptance and not yet the rejection.
    write(&repo.path, "a.txt", &ten_lines(&[2, 5, 9]));
    repo.receipt(&["revise", &receipt]);
    repo.receipt(&["fetch"]);
    let (shown, _) = repo.json(&["show", &receipt]);
    assert_eq!(shown["proposal"]["accepted"], "", "{shown:#}");
    let applied = repo.try_receipt(&["apply", &receipt, "--partial"]);
    assert_eq!(applied.status.code(), Some(2), "{}", said(&applied));
    repo.assert_clean(&repo.path);
}

#[test]
fn revisions_are_compared_as_revisions_also_where_receipts_are_bound() {
    let repo = ten();
    write(&repo.path, "a.txt", &ten_lines(&[2, 9]));
    let receipt = repo.receipt(&["propose", "-m", "Two", "--restore"]);
    repo.receipt(&["reject", &receipt, "--lines", "2"]);
    repo.receipt(&["accept", &receipt]);
    let (diff, _) = repo.json(&["diff", "HEAD~1", "HEAD"]);
    assert_eq!(diff["count"], 1, "{diff:#}");
    let patch = check(repo.command(PROGRAM, &repo.path, &["diff", "HEAD~1", "HEAD", "--patch"]));
    assert_eq!(patch, repo.git(&["diff", "--full-index", "HEAD~1", "HEAD"]));
}

#[test]
fn nothing_lands_in_the_middle_of_a_merge() {
    let repo = ten();
    write(&repo.path, "b.txt", "b\n");
    let receipt = repo.receipt(&["propose", "-m", "B", "--restore"]);
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.git(&["commit", "-q", "--allow-empty", "-m", "Side"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "--no-commit", "side"]);
    let stopped = repo.try_receipt(&["accept", &receipt]);
    assert_eq!(stopped.status.code(), Some(2));
    assert!(said(&stopped).contains("in the middle of a merge"), "{}", said(&stopped));
}

/// Lets git's own transaction of refs kill the program that started it, at `step`, and end as `then` says.
#[cfg(unix)]
fn killed_by_git(repo: &TestRepo, step: &str, then: &str, args: &[&str]) -> String {
    let kill = "kill -9 $(ps -o ppid= -p $PPID)";
    hook(repo, "reference-transaction", &format!("[ \"$1\" != {step} ] || {{ {kill}; {then}; }}"));
    let done = repo.try_receipt(args);
    assert!(!done.status.success() && done.status.code().is_none(), "{}", said(&done));
    std::fs::remove_file(repo.path.join(".git/hooks/reference-transaction")).unwrap();
    said(&repo.try_receipt(&["status"]))
}

#[cfg(unix)]
#[test]
fn a_program_that_is_killed_while_refs_move_is_finished_or_dropped_as_git_decides() {
    let repo = ten();
    let (tip, lock) = (|| repo.git(&["rev-parse", "HEAD"]), repo.path.join(".git/index.lock"));
    // What git does after its hook let it go on, with nobody to tell, is for git to say.
    for (step, then, expected) in [
        ("prepared", "exit 1", Some(false)),
        ("prepared", "exit 0", None),
        ("committed", "exit 0", Some(true)),
    ] {
        write(&repo.path, "a.txt", &(step.to_owned() + then));
        write(&repo.path, &format!("new-{step}"), then);
        let receipt = repo.receipt(&["propose", "-m", "One", "--restore"]);
        let before = (tip(), repo.git(&["for-each-ref"]));
        let told = killed_by_git(&repo, step, then, &["accept", &receipt]);
        let moves = expected.unwrap_or(tip() != before.0);
        assert!(told.contains(if moves { "finished" } else { "dropped" }), "{step} {then}: {told}");
        assert_eq!(tip() != before.0, moves, "{step} {then}");
        assert_eq!(repo.git(&["for-each-ref"]) != before.1, moves, "{step} {then}");
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "{step} {then}");
        assert!(!lock.exists() && !repo.path.join(".git/receipts/landing").exists(), "{step} {then}");
        repo.assert_clean(&repo.path);
    }
}

#[cfg(unix)]
#[test]
fn a_landing_that_cannot_be_finished_names_a_way_out() {
    let repo = ten();
    let lock = repo.path.join(".git/index.lock");
    let index = repo.path.join(".git/index");
    let stuck = |text: &str| {
        write(&repo.path, "a.txt", text);
        let receipt = repo.receipt(&["propose", "-m", "One", "--restore"]);
        let aside = repo.path.join(".git/index-aside");
        // Nothing can be renamed over a folder with something in it.
        let move_away = format!("mv '{0}' '{1}'; mkdir -p '{0}/x'; exit 0", index.display(), aside.display());
        let told = killed_by_git(&repo, "committed", &move_away, &["accept", &receipt]);
        assert!(told.contains("could not be finished") && told.contains("index.lock"), "{told}");
        assert!(lock.exists());
        std::fs::remove_dir_all(&index).unwrap();
        std::fs::rename(&aside, &index).unwrap();
    };
    stuck("mended\n");
    let told = said(&repo.try_receipt(&["status"]));
    assert!(told.contains("finished bringing"), "{told}");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    stuck("given up\n");
    std::fs::remove_file(&lock).unwrap();
    write(&repo.path, "other", "other\n");
    repo.git(&["add", "other"]);
    let told = said(&repo.try_receipt(&["status"]));
    assert!(told.contains("gave up"), "{told}");
    assert!(!lock.exists());
    assert!(repo.git(&["status", "--porcelain"]).contains("A  other"), "what was staged since stays");
    assert!(!said(&repo.try_receipt(&["status"])).contains("gave up"));
    repo.assert_clean(&repo.path);
}

#[test]
fn a_lock_that_we_left_before_anything_was_decided_is_taken_away() {
    let repo = ten();
    write(&repo.path, ".git/receipts/landing/files/x", "");
    write(&repo.path, ".git/index.lock", "git receipt\n");
    repo.receipt(&["status"]);
    assert!(!repo.path.join(".git/index.lock").exists());
    write(&repo.path, ".git/index.lock", "");
    repo.receipt(&["status"]);
    assert!(repo.path.join(".git/index.lock").exists());
}

#[cfg(unix)]
#[test]
fn a_return_to_a_snapshot_that_was_killed_goes_on_only_where_it_was() {
    // There git moves all refs, so it can be asked to kill.
    let repo = TestRepo::bare_of_receipts(&["--ref-format=reftable"]);
    repo.receipt(&["init", "--no-man"]);
    let linked = repo.folder.path().join("linked");
    repo.git(&["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    let to = format!("{receipt}@1");
    repo.receipt(&["snapshot"]);
    let file = || std::fs::read_to_string(repo.path.join("file")).unwrap();
    let recorded = |at: &std::path::Path| {
        let (list, _) = repo.json_in(at, &["list"]);
        list["receipts"].as_array().unwrap().len()
    };
    let kill = || {
        let kill = "[ \"$1\" != committed ] || kill -9 $(ps -o ppid= -p $PPID)";
        hook(&repo, "reference-transaction", kill);
        let killed = repo.try_receipt(&["rollback", "--to", &to]);
        assert!(killed.status.code().is_none(), "{}", said(&killed));
        std::fs::remove_file(repo.path.join(".git/hooks/reference-transaction")).unwrap();
    };
    write(&repo.path, "file", "two\n");
    kill();
    assert_eq!((file(), recorded(&linked)), ("two\n".to_owned(), 2));
    // Another worktree goes on with the chain before this one is looked at.
    repo.receipt_in(&linked, &["remark", &receipt, "-m", "meanwhile"]);
    let told = said(&repo.try_receipt(&["status"]));
    assert!(told.contains("finished bringing"), "{told}");
    assert_eq!(file(), "one\n");
    repo.assert_clean(&repo.path);
    // HEAD is on another commit.
    write(&repo.path, "file", "two\n");
    kill();
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let commit = repo.git(&["commit-tree", &tree, "-p", "HEAD", "-m", "Elsewhere"]);
    repo.git(&["update-ref", "HEAD", &commit]);
    let told = said(&repo.try_receipt(&["status"]));
    assert!(told.contains("gave up"), "{told}");
    assert_eq!(file(), "two\n");
    assert!(!repo.path.join(".git/index.lock").exists());
    repo.receipt(&["rollback", "--to", &to]);
    assert_eq!(file(), "one\n");
    repo.assert_clean(&repo.path);
}
