//! Taking back what a receipt applied, and going back to a snapshot.

use std::path::Path;

use crate::support::{PROGRAM, TestRepo, check, read, said, ten_lines, write};

/// A repository with a file of ten lines.
fn ten(init: &[&str]) -> TestRepo {
    let repo = TestRepo::bare_of_receipts(init);
    repo.receipt(&["init", "--no-man"]);
    write(&repo.path, "a.txt", &ten_lines(&[]));
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Ten lines"]);
    repo
}

/// Proposes what the working tree has, and lands it.
fn land(repo: &TestRepo, summary: &str) -> String {
    let receipt = repo.receipt(&["propose", "-m", summary]);
    repo.receipt(&["accept", &receipt]);
    receipt
}

/// Everything that a command must not have touched: refs, index, files.
fn state(repo: &TestRepo) -> [String; 4] {
    [
        repo.git(&["for-each-ref"]),
        repo.git(&["ls-files", "-s"]),
        repo.git(&["status", "--porcelain"]),
        repo.git(&["rev-parse", "HEAD"]),
    ]
}

/// Checks a rollback as `replay --check` does, and everything as `verify` and git do.
fn assert_sound(repo: &TestRepo, receipts: &[&str]) {
    for receipt in receipts {
        let (checked, code) = repo.json(&["replay", receipt, "--check"]);
        assert_eq!(code, 0, "{checked:#}");
    }
    assert_eq!(repo.git(&["status", "--porcelain", "--untracked-files=no"]), "");
    assert_eq!(repo.git(&["write-tree"]), repo.git(&["rev-parse", "HEAD^{tree}"]));
    repo.assert_clean(&repo.path);
}

#[test]
fn a_landing_is_taken_back_on_a_head_that_moved_on() {
    for init in [&[][..], &["--object-format=sha256"]] {
        let repo = ten(init);
        write(&repo.path, "a.txt", &ten_lines(&[2, 9]));
        write(&repo.path, "new", "new\n");
        let receipt = land(&repo, "Change two lines");
        write(&repo.path, "a.txt", &(ten_lines(&[2, 5, 9]) + "more\n"));
        repo.git(&["commit", "-qam", "Later"]);
        let revert = {
            let copy = repo.folder.path().join("copy");
            repo.git(&["worktree", "add", "-q", "--detach", copy.to_str().unwrap()]);
            repo.git_in(&copy, &["revert", "--no-edit", "HEAD^"]);
            repo.git_in(&copy, &["rev-parse", "HEAD^{tree}"])
        };
        let own = repo.receipt(&["rollback", &receipt, "-m", "Not wanted\n\nReceipt-Id: forged"]);
        assert_eq!(own.len(), 26, "{own}");
        assert_eq!(repo.git(&["rev-parse", "HEAD^{tree}"]), revert);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[5]) + "more\n");
        assert!(!repo.path.join("new").exists());
        let message = repo.git(&["log", "-1", "--format=%an%n%B"]);
        assert!(
            message.starts_with("Ann Example\nRoll back \"Change two lines\"\n\nNot wanted\n"),
            "{message}"
        );
        assert!(message.contains(&format!("Receipt-Id: {own}")) && !message.contains("forged"), "{message}");
        assert_sound(&repo, &[&receipt, &own]);
        let note = repo.git(&["notes", "--ref=receipts", "show", "HEAD"]);
        assert!(note.starts_with(&format!("{own} ")), "{note}");
        let (shown, _) = repo.json(&["show", &own]);
        assert_eq!(shown["state"], "completed", "{shown:#}");
        assert_eq!(shown["takes_back"][0]["of"], receipt.as_str(), "{shown:#}");
        let (shown, _) = repo.json(&["show", &receipt]);
        assert_eq!(shown["taken_back"][0]["by"], own.as_str(), "{shown:#}");
        assert_eq!(shown["taken_back"][0]["commit"], repo.git(&["rev-parse", "HEAD"]).as_str());
        let text = repo.receipt(&["show", &receipt]);
        assert!(text.contains(&format!("taken back by {own}")), "{text}");
        for command in ["replay", "verify"] {
            let (report, _) = repo.json(&[command, &receipt]);
            assert_eq!(report["taken_back"][0]["by"], own.as_str(), "{report:#}");
            let text = repo.receipt(&[command, &receipt]);
            assert!(text.contains(&format!("taken back by {own} in ")), "{text}");
        }
        let (then, _) = repo.json(&["replay", &receipt, "--at", "1"]);
        assert_eq!(then["taken_back"], serde_json::json!([]), "{then:#}");
        // Once is enough.
        let before = state(&repo);
        let again = repo.try_receipt(&["rollback", &receipt]);
        assert_eq!(again.status.code(), Some(2));
        assert!(said(&again).contains("rolled back already by"), "{}", said(&again));
        assert_eq!(state(&repo), before);
    }
}

#[test]
fn single_lines_go_and_what_is_left_of_them_later() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 3, 4, 8]));
    let receipt = land(&repo, "Four lines");
    let first = repo.receipt(&["rollback", &receipt, "--lines", "2"]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2, 4, 8]));
    // Right beside it, where a merge of whole commits would conflict.
    let second = repo.receipt(&["rollback", &receipt, "--lines", "3-4"]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2]));
    for (lines, word) in [("2", "rolled back already"), ("9", "are not found"), ("x", "lines")] {
        let refused = repo.try_receipt(&["rollback", &receipt, "--lines", lines]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(word), "{}", said(&refused));
    }
    let third = repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    assert_sound(&repo, &[&first, &second, &third]);
    // The second comes again, and then goes again with the rest.
    let fourth = repo.receipt(&["rollback", &second]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[4, 8]));
    let fifth = repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    assert_sound(&repo, &[&fourth, &fifth]);
}

#[test]
fn partial_landings_go_one_by_one_or_together() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 6, 9]));
    let receipt = repo.receipt(&["propose", "-m", "Three lines", "--restore"]);
    repo.receipt(&["accept", &receipt, "--lines", "1"]);
    repo.receipt(&["apply", &receipt, "--partial"]);
    write(&repo.path, "a.txt", &("first\n".to_owned() + &ten_lines(&[2])));
    repo.git(&["commit", "-qam", "Between"]);
    repo.receipt(&["accept", &receipt]);
    assert_eq!(read(&repo, "a.txt"), "first\n".to_owned() + &ten_lines(&[2, 6, 9]));
    // A line of the placed one.
    let one = repo.receipt(&["rollback", &receipt, "--lines", "3"]);
    assert_eq!(read(&repo, "a.txt"), "first\n".to_owned() + &ten_lines(&[2, 6]));
    let all = repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "a.txt"), "first\n".to_owned() + &ten_lines(&[]));
    assert_sound(&repo, &[&receipt, &one, &all]);
    // What is rolled back somewhere else is still here.
    repo.git(&["checkout", "-q", "-b", "other", "HEAD~2"]);
    let there = repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "a.txt"), "first\n".to_owned() + &ten_lines(&[]));
    assert_sound(&repo, &[&there]);
    repo.git(&["checkout", "-q", "--orphan", "none"]);
    repo.git(&["commit", "-qm", "Nothing of it"]);
    let refused = repo.try_receipt(&["rollback", &receipt]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("is in the history of HEAD"), "{}", said(&refused));
}

#[test]
fn a_conflict_changes_nothing_and_names_the_files() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
    let receipt = land(&repo, "Two lines");
    write(&repo.path, "a.txt", &ten_lines(&[8]).replace("line 2 is", "line two is"));
    repo.git(&["commit", "-qam", "In the way"]);
    let before = state(&repo);
    let stopped = repo.try_receipt(&["rollback", &receipt]);
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
    assert!(said(&stopped).contains("`a.txt`") && said(&stopped).contains("--lines"), "{}", said(&stopped));
    assert_eq!(state(&repo), before);
    // The line that nothing stands in the way of still goes.
    repo.receipt(&["rollback", &receipt, "--lines", "2"]);
    assert!(read(&repo, "a.txt").contains("line 8 is here"));
    // Gone already by other hands.
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    repo.git(&["revert", "--no-edit", "HEAD"]);
    let before = state(&repo);
    let nothing = repo.try_receipt(&["rollback", &receipt]);
    assert_eq!(nothing.status.code(), Some(2), "{}", said(&nothing));
    assert!(said(&nothing).contains("is left to take back"), "{}", said(&nothing));
    assert_eq!(state(&repo), before);
}

#[test]
fn a_rollback_is_rolled_back_as_often_as_one_likes() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    let mut last = receipt.clone();
    for round in 0..4 {
        last = repo.receipt(&["rollback", &last]);
        let expected = if round % 2 == 0 { ten_lines(&[]) } else { ten_lines(&[2]) };
        assert_eq!(read(&repo, "a.txt"), expected, "round {round}");
        assert_sound(&repo, &[&last]);
    }
    // A line that came again names what brought it, and what that took back in turn.
    let rounds = repo.json(&["blame", "a.txt", "-L", "2,2"]).0;
    let named = rounds["lines"][0]["receipts"].as_array().unwrap();
    let named: Vec<&str> = named.iter().map(|claim| claim["receipt"].as_str().unwrap()).collect();
    assert_eq!(named, [receipt.as_str(), last.as_str()], "{rounds:#}");
    let brought = rounds["receipts"].as_array().unwrap().iter().find(|one| one["receipt"] == last.as_str());
    let taken = brought.unwrap()["takes_back"].as_array().unwrap();
    assert_eq!((taken.len(), &taken[3]), (4, &receipt.as_str().into()), "{rounds:#}");
    assert!(repo.receipt(&["why", "a.txt:2"]).contains(&format!("undoes   {receipt}")));
    // It stands again, so it can go again.
    let again = repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    assert_sound(&repo, &[&again]);
}

#[cfg(unix)]
#[test]
fn renames_modes_links_and_bytes_come_back() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let repo = ten(&[]);
    let bytes = |n: u8| (0..200).map(|i: u8| i ^ n).collect::<Vec<u8>>();
    std::fs::write(repo.path.join("data.bin"), bytes(0)).unwrap();
    write(&repo.path, "gone/deep/file", "was here\n");
    symlink("a.txt", repo.path.join("link")).unwrap();
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "All sorts"]);
    let before = repo.git(&["rev-parse", "HEAD^{tree}"]);
    std::fs::rename(repo.path.join("a.txt"), repo.path.join("b.txt")).unwrap();
    std::fs::write(repo.path.join("data.bin"), bytes(7)).unwrap();
    std::fs::remove_dir_all(repo.path.join("gone")).unwrap();
    std::fs::remove_file(repo.path.join("link")).unwrap();
    symlink("b.txt", repo.path.join("link")).unwrap();
    std::fs::set_permissions(repo.path.join("file"), PermissionsExt::from_mode(0o755)).unwrap();
    let receipt = land(&repo, "All sorts change");
    // Changed under its new name since: git follows it there and back.
    write(&repo.path, "b.txt", &ten_lines(&[7]));
    repo.git(&["commit", "-qam", "Later"]);
    let own = repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[7]));
    assert!(!repo.path.join("b.txt").exists());
    assert_eq!(std::fs::read(repo.path.join("data.bin")).unwrap(), bytes(0));
    assert_eq!(read(&repo, "gone/deep/file"), "was here\n");
    assert_eq!(std::fs::read_link(repo.path.join("link")).unwrap(), Path::new("a.txt"));
    assert_eq!(std::fs::metadata(repo.path.join("file")).unwrap().permissions().mode() & 0o111, 0);
    assert_sound(&repo, &[&receipt, &own]);
    assert_eq!(repo.git(&["diff", "--name-only", &before, "HEAD"]), "a.txt");
}

#[test]
fn commits_that_a_receipt_is_bound_to_go_as_a_whole() {
    let repo = ten(&[]);
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    for n in [2, 3] {
        write(&repo.path, "a.txt", &ten_lines(&(2..=n).collect::<Vec<_>>()));
        repo.git(&["commit", "-qam", &format!("Line {n}")]);
        repo.receipt(&["bind", &receipt, "HEAD"]);
    }
    repo.receipt(&["close", &receipt, "--status", "completed"]);
    write(&repo.path, "later", "later\n");
    repo.git(&["add", "later"]);
    repo.git(&["commit", "-qm", "Later"]);
    let refused = repo.try_receipt(&["rollback", &receipt, "--lines", "1"]);
    assert_eq!(refused.status.code(), Some(2));
    let (report, code) = repo.json(&["rollback", &receipt]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["undone"]["taken"].as_array().unwrap().len(), 2, "{report:#}");
    assert_eq!(report["undone"]["taken"][0]["commit"], repo.git(&["rev-parse", "HEAD~2"]).as_str());
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    assert_sound(&repo, &[report["receipt"].as_str().unwrap()]);
    // A merge has no one change to take back.
    let receipt = repo.receipt(&["open", "-m", "A merge"]);
    repo.git(&["checkout", "-q", "-b", "side", "HEAD^"]);
    write(&repo.path, "side", "side\n");
    repo.git(&["add", "side"]);
    repo.git(&["commit", "-qm", "Side"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "Merge", "side"]);
    repo.receipt(&["bind", &receipt, "HEAD"]);
    let refused = repo.try_receipt(&["rollback", &receipt]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("is a merge"), "{}", said(&refused));
}

#[test]
fn a_rollback_can_be_proposed_or_only_shown() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
    let receipt = land(&repo, "Two lines");
    let before = state(&repo);
    let (report, code) = repo.json(&["rollback", &receipt, "--dry-run"]);
    assert_eq!(code, 0, "{report:#}");
    assert!(report["patch"].as_str().unwrap().contains("+line 2 is here"), "{report:#}");
    assert!(report["receipt"].is_null());
    assert!(repo.receipt(&["rollback", &receipt, "-n"]).contains("+line 8 is here"));
    assert_eq!(state(&repo), before);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2, 8]));

    let proposal = repo.receipt(&["rollback", &receipt, "--propose", "-m", "Not wanted"]);
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), before[3]);
    let (shown, _) = repo.json(&["show", &proposal]);
    assert_eq!(shown["proposal"]["pending"], "1-2", "{shown:#}");
    // Nothing is taken back yet.
    repo.receipt(&["rollback", &receipt, "--dry-run"]);
    repo.receipt(&["accept", &proposal]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    let again = repo.try_receipt(&["rollback", &receipt]);
    assert!(said(&again).contains("rolled back already by"), "{}", said(&again));
    assert_sound(&repo, &[&proposal]);
    repo.receipt(&["rollback", &proposal]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2, 8]));
}

#[test]
fn what_is_only_shown_is_a_patch_that_git_applies() {
    let repo = ten(&[]);
    std::fs::create_dir(repo.path.join("d d")).unwrap();
    std::fs::write(repo.path.join("d d/f"), b"\tone\r\n-- two\n\xff\n").unwrap();
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Bytes"]);
    std::fs::write(repo.path.join("d d/f"), b"\tother\r\ntwo\n\xfe\n").unwrap();
    let shown = |arguments: &[&str]| {
        let output = repo.command(PROGRAM, &repo.path, arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        std::fs::write(repo.folder.path().join("shown"), &output.stdout).unwrap();
        output.stdout
    };
    let receipt = repo.receipt(&["propose", "-m", "Bytes", "--restore"]);
    shown(&["preview", &receipt]);
    repo.git(&["apply", "../shown"]);
    repo.receipt(&["accept", &receipt]);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    shown(&["rollback", &receipt, "-n"]);
    repo.git(&["apply", "--index", "../shown"]);
    assert_eq!(repo.git(&["diff", "--cached", "--stat", "HEAD^"]), "");
    repo.git(&["reset", "-q", "--hard"]);
    // What is no header is one line of the file.
    let colored = shown(&["--color", "always", "rollback", &receipt, "-n"]);
    let colored = String::from_utf8_lossy(&colored).into_owned();
    assert!(colored.contains("\u{1b}[1m--- a/d d/f\t\u{1b}[0m\n"), "{colored:?}");
    assert!(colored.contains("\u{1b}[32m+-- two\u{1b}[0m\n"), "{colored:?}");
}

#[test]
fn lines_of_an_earlier_revision_are_told_by_its_number() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
    let receipt = repo.receipt(&["propose", "-m", "Two lines", "--restore"]);
    repo.receipt(&["accept", &receipt, "--lines", "2"]);
    repo.receipt(&["apply", &receipt, "--partial"]);
    let told = "those of revision 1";
    // As long as it is the newest nothing needs to be said.
    let shown = repo.try_receipt(&["rollback", &receipt, "--lines", "2", "-n"]);
    assert!(!said(&shown).contains(told), "{}", said(&shown));
    write(&repo.path, "a.txt", &ten_lines(&[3, 8]));
    repo.receipt(&["revise", &receipt, "-m", "Another line"]);
    let (report, _) = repo.json(&["show", &receipt]);
    let before = serde_json::json!([{"revision": 1, "lines": "2"}]);
    assert_eq!(report["proposal"]["landed_before"], before, "{report:#}");
    let text = repo.receipt(&["show", &receipt]);
    assert!(
        text.contains("revision 2 proposed") && text.contains("applied before lines 2 of revision 1"),
        "{text}"
    );
    let shown = repo.try_receipt(&["rollback", &receipt, "--lines", "2", "-n"]);
    assert!(said(&shown).contains(told), "{}", said(&shown));
    repo.git(&["restore", "."]);
    let done = repo.try_receipt(&["rollback", &receipt, "--lines", "2"]);
    assert!(done.status.success() && said(&done).contains(told), "{}", said(&done));
    assert_eq!(said(&done).matches("revision 1,").count(), 1, "{}", said(&done));
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
}

#[test]
fn a_reason_is_kept_wherever_it_goes_and_an_empty_one_is_none() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
    let receipt = land(&repo, "Two lines");
    let own = repo.receipt(&["rollback", &receipt, "--lines", "1", "-m", " "]);
    let message = repo.git(&["log", "-1", "--format=%B"]);
    assert!(message.starts_with("Roll back \"Two lines\"\n\nThis takes back lines 1"), "{message}");
    let (shown, _) = repo.json(&["show", &own]);
    assert_eq!(shown["task"], "Roll back \"Two lines\"", "{shown:#}");
    let staged = repo.receipt(&["rollback", &receipt, "--stage", "-m", "Not wanted after all"]);
    let (shown, _) = repo.json(&["show", &staged]);
    assert_eq!(shown["task"], "Not wanted after all", "{shown:#}");
    let text = repo.receipt(&["show", &staged]);
    assert!(text.contains("Not wanted after all"), "{text}");
}

#[test]
fn the_folder_that_somebody_stands_in_stays() {
    let repo = ten(&[]);
    write(&repo.path, "sub/deep/x", "x\n");
    write(&repo.path, "other/y", "y\n");
    let receipt = land(&repo, "Folders");
    repo.receipt_in(&repo.path.join("sub/deep"), &["rollback", &receipt]);
    assert!(repo.path.join("sub/deep").is_dir() && !repo.path.join("sub/deep/x").exists());
    assert!(!repo.path.join("other").exists());
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn what_would_be_typed_next_can_be_typed() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One");
    let hook = repo.path.join(".git/hooks/pre-commit");
    write(&repo.path, ".git/hooks/pre-commit", "#!/bin/sh\necho more >>a.txt\ngit add a.txt\n");
    #[cfg(unix)]
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let hint = |arguments: &[&str]| {
        let output = repo.try_receipt(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        said(&output)
    };
    let changed = hint(&["rollback", &receipt]);
    assert!(changed.contains("`--stage`") && !changed.contains("revise"), "{changed}");
    std::fs::remove_file(&hook).unwrap();
    repo.git(&["restore", "."]);
    let own = repo.receipt(&["rollback", &receipt]);
    assert!(hint(&["diff", &own]).contains(&format!("propose --receipt {own}`")));
    assert!(hint(&["diff", &receipt, "--revision", "7"]).contains(&format!("diff {receipt} --revisions`")));
    assert!(
        hint(&["diff", &receipt, "--lines", "7"]).contains(&format!("`git receipt diff {receipt}` shows"))
    );
    assert!(
        hint(&["replay", &receipt, "--at", "70"]).contains(&format!("`git receipt show {receipt}` lists"))
    );
    assert!(
        hint(&["replay", "--rerun", &receipt]).contains(&format!("`git receipt replay {receipt} --rerun`"))
    );
    let (error, code) = repo.json(&["replay", "--rerun", &receipt]);
    assert!(code == 2 && error["hint"].as_str().unwrap().contains("--rerun"), "{error:#}");
    let usage = hint(&["rollback", "--to", "x", &receipt]);
    assert!(!usage.contains("<SNAPSHOT> [R]") && usage.contains("--to <SNAPSHOT> [--paths"), "{usage}");
}

/// What `rollback` says of a receipt that is rolled back already.
fn assert_already(repo: &TestRepo, receipt: &str, by: &str) {
    let before = state(repo);
    let again = repo.try_receipt(&["rollback", receipt]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    let words = format!("rolled back already by `{by}`");
    assert!(said(&again).contains(&words), "{}", said(&again));
    assert_eq!(state(repo), before);
}

#[test]
fn a_staged_rollback_is_done_with_the_commit_of_exactly_that() {
    for init in [&[][..], &["--object-format=sha256"]] {
        let repo = ten(init);
        write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
        let receipt = land(&repo, "Two lines");
        let head = repo.git(&["rev-parse", "HEAD"]);
        // Given up, so that nothing ever becomes of it.
        let given_up = repo.receipt(&["rollback", &receipt, "--stage"]);
        repo.git(&["reset", "-q", "--hard"]);
        let own = repo.receipt(&["rollback", &receipt, "--stage"]);
        assert_eq!(own.len(), 26, "{own}");
        assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
        assert_eq!(repo.git(&["diff"]), "");
        assert_eq!(repo.git(&["diff", "--cached", "--name-only"]), "a.txt");
        let (shown, _) = repo.json(&["show", &own]);
        assert_eq!(shown["state"], "completed", "nothing joins it: {shown:#}");
        assert_eq!(shown["steps"][1]["data"]["commit"], serde_json::Value::Null, "{shown:#}");
        assert!(repo.receipt(&["show", &own]).contains("once what is staged is committed"));
        assert_ne!(repo.try_receipt(&["snapshot"]).status.code(), Some(0), "nothing is open");
        // It is not done before it is committed.
        repo.receipt(&["rollback", &receipt, "--dry-run"]);
        repo.hooked(&["commit", "-qm", "Take it back"]);
        let commit = repo.git(&["rev-parse", "HEAD"]);
        assert_sound(&repo, &[&receipt, &own, &given_up]);
        let (shown, _) = repo.json(&["show", &own]);
        assert_eq!(shown["commits"], serde_json::json!([commit]), "{shown:#}");
        assert_eq!(shown["takes_back"][0]["commit"], commit, "{shown:#}");
        let (shown, _) = repo.json(&["show", &receipt]);
        let taken: Vec<_> =
            shown["taken_back"].as_array().unwrap().iter().map(|one| &one["commit"]).collect();
        assert_eq!(taken, [&serde_json::Value::Null, &commit.as_str().into()], "{shown:#}");
        let note = repo.git(&["notes", "--ref=receipts", "show", "HEAD"]);
        assert!(note.starts_with(&format!("{own} ")), "{note}");
        assert_already(&repo, &receipt, &own);
        let (lines, _) = repo.json(&["blame", "a.txt"]);
        assert!(lines["lines"][1].to_string().contains(&own), "{lines:#}");
        // And back again, staged as well.
        let back = repo.receipt(&["rollback", &own, "--stage"]);
        repo.hooked(&["commit", "-qm", "Have it again"]);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[2, 8]));
        assert_already(&repo, &own, &back);
        let again = repo.receipt(&["rollback", &receipt]);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
        assert_sound(&repo, &[&own, &back, &again]);
    }
}

#[test]
fn another_commit_than_the_staged_one_counts_only_by_hand() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
    let receipt = land(&repo, "Two lines");
    let own = repo.receipt(&["rollback", &receipt, "--stage"]);
    write(&repo.path, "a.txt", &ten_lines(&[5]));
    repo.hooked(&["commit", "-qam", "And something else"]);
    let (shown, _) = repo.json(&["show", &own]);
    assert_eq!(shown["commits"], serde_json::json!([]), "{shown:#}");
    let stopped = repo.try_receipt(&["rollback", &receipt]);
    assert!(!said(&stopped).contains("already by"), "{}", said(&stopped));
    repo.receipt(&["bind", &own]);
    assert_already(&repo, &receipt, &own);
    // It counts as a whole then.
    let back = repo.receipt(&["rollback", &own]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2, 8]));
    assert_sound(&repo, &[&own, &back]);

    // Somebody else's work between, in other files, is no matter.
    let own = repo.receipt(&["rollback", &receipt, "--stage", "--lines", "1"]);
    repo.git(&["stash", "-q"]);
    write(&repo.path, "other.txt", "between\n");
    repo.git(&["add", "other.txt"]);
    repo.hooked(&["commit", "-qm", "Between"]);
    repo.git(&["stash", "pop", "-q", "--index"]);
    repo.hooked(&["commit", "-qm", "One line goes"]);
    let again = repo.try_receipt(&["rollback", &receipt, "--lines", "1"]);
    assert!(said(&again).contains("rolled back already"), "{}", said(&again));
    repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    assert_sound(&repo, &[&own]);
}

#[test]
fn what_cannot_be_staged_leaves_no_trace() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    let hints = || std::fs::read_to_string(repo.path.join(".git/receipts/open.json")).unwrap_or_default();
    let stopped = |why: &str| {
        let (before, hints_before) = (state(&repo), hints());
        let stopped = repo.try_receipt(&["rollback", &receipt, "--stage"]);
        assert_eq!(stopped.status.code(), Some(3), "{why}: {}", said(&stopped));
        assert!(stopped.stdout.is_empty(), "{why}");
        assert_eq!((state(&repo), hints()), (before, hints_before), "{why}");
    };
    write(&repo.path, "a.txt", &ten_lines(&[2, 7]));
    stopped("a local edit");
    repo.git(&["checkout", "-q", "a.txt"]);
    let lock = repo.path.join(".git/index.lock");
    write(&repo.path, ".git/index.lock", "");
    // Seen at the last moment, with everything else ready.
    let chains = ["for-each-ref", "refs/heads", "refs/receipts/chains"];
    let before = (repo.git(&chains), hints());
    let locked = repo.try_receipt(&["rollback", &receipt, "--stage"]);
    assert_eq!(locked.status.code(), Some(3), "{}", said(&locked));
    assert_eq!((repo.git(&chains), hints()), before);
    std::fs::remove_file(lock).unwrap();
    write(&repo.path, "a.txt", &ten_lines(&[2]).replace("line 2 was", "line two"));
    repo.git(&["commit", "-qam", "In the way"]);
    stopped("a conflict");
    repo.assert_clean(&repo.path);
}

#[test]
fn a_rollback_counts_after_it_was_rewritten() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
    let receipt = land(&repo, "Two lines");
    let own = repo.receipt(&["rollback", &receipt, "--lines", "1"]);
    let first = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["branch", "as-it-was"]);
    repo.hooked(&["commit", "-q", "--amend", "-m", "In other words"]);
    let again = repo.try_receipt(&["rollback", &receipt, "--lines", "1"]);
    assert!(said(&again).contains("lines 1 are rolled back already"), "{}", said(&again));
    let (shown, _) = repo.json(&["show", &receipt]);
    assert_eq!(shown["taken_back"][0]["commit"], repo.git(&["rev-parse", "HEAD"]), "{shown:#}");
    assert_sound(&repo, &[&own]);
    // Where it was not rewritten it counts as well.
    repo.git(&["checkout", "-q", "as-it-was"]);
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), first);
    let again = repo.try_receipt(&["rollback", &receipt, "--lines", "1"]);
    assert!(said(&again).contains("lines 1 are rolled back already"), "{}", said(&again));
    repo.git(&["checkout", "-q", "main"]);
    let back = repo.receipt(&["rollback", &own]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2, 8]));
    assert_sound(&repo, &[&own, &back]);

    // What landed and what took it back, both on another base now.
    let own = repo.receipt(&["rollback", &receipt]);
    repo.git(&["checkout", "-q", "-b", "base", "main~4"]);
    write(&repo.path, "base.txt", "below\n");
    repo.git(&["add", "base.txt"]);
    repo.git(&["commit", "-qm", "Below"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.hooked(&["rebase", "-q", "base"]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    assert_already(&repo, &receipt, &own);
    let last = repo.receipt(&["rollback", &own]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2, 8]));
    assert_sound(&repo, &[&receipt, &own, &last]);
}

#[test]
fn what_is_refused_moves_no_ref_at_all() {
    for init in [&[][..], &["--ref-format=reftable"]] {
        let repo = ten(init);
        write(&repo.path, "a.txt", &ten_lines(&[2]));
        let receipt = land(&repo, "One");
        let before = state(&repo);
        // No lock of its own for a branch in a reftable.
        for lock in [".git/index.lock", ".git/refs/heads/main.lock"].iter().take(2 - init.len()) {
            write(&repo.path, lock, "");
            // Its task is kept beside the chain, and what keeps it has a ref too.
            let refused = repo.try_receipt(&["rollback", &receipt, "-m", "Why not"]);
            assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
            assert_eq!(state(&repo), before, "{lock}");
            std::fs::remove_file(repo.path.join(lock)).unwrap();
        }
        repo.git(&["config", "core.logAllRefUpdates", "always"]);
        let own = repo.receipt(&["rollback", &receipt, "-m", "Why not"]);
        assert_sound(&repo, &[&own]);
        for name in repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts"]).lines() {
            let logged = repo.command("git", &repo.path, &["reflog", "exists", name]).status().unwrap();
            assert_eq!(logged.success(), name.starts_with("refs/receipts/chains/"), "{name}");
        }
    }
}

#[test]
fn nobody_commits_where_git_does_not_know_who_they_are() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let landed = land(&repo, "One");
    write(&repo.path, "a.txt", &ten_lines(&[2, 5]));
    let open = repo.receipt(&["propose", "-m", "Two", "--restore"]);
    repo.git(&["config", "user.useConfigOnly", "true"]);
    let run = |arguments: &[&str], known: &[(&str, &str)]| {
        let mut command = repo.command(PROGRAM, &repo.path, arguments);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env_remove(format!("GIT_{role}_NAME")).env_remove(format!("GIT_{role}_EMAIL"));
        }
        command.envs(known.iter().copied()).output().unwrap()
    };
    let before = state(&repo);
    for arguments in [&["rollback", &landed][..], &["accept", &open]] {
        let refused = run(arguments, &[]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(" identity unknown: no email was given"), "{}", said(&refused));
        assert!(said(&refused).contains("git config --global user.email"), "{}", said(&refused));
        assert_eq!(state(&repo), before);
    }
    // Entries of chains are no commits of the project.
    let signed = run(&["accept", &open, "--lines", "1"], &[]);
    assert!(signed.status.success(), "{}", said(&signed));
    let refused = run(&["apply", &open], &[]);
    assert!(said(&refused).contains("committer identity unknown"), "{}", said(&refused));
    // As git has it, a committer may be named alone.
    repo.git(&["config", "committer.name", "Con Mitter"]);
    repo.git(&["config", "committer.email", "con@example.com"]);
    let applied = run(&["apply", &open], &[]);
    assert!(applied.status.success(), "{}", said(&applied));
    assert_eq!(repo.git(&["log", "-1", "--format=%cn <%ce>"]), "Con Mitter <con@example.com>");
    let known = [("GIT_AUTHOR_NAME", "Au Thor"), ("GIT_AUTHOR_EMAIL", "au@example.com")];
    assert!(said(&run(&["rollback", &landed], &[])).contains("author identity unknown"));
    assert!(run(&["rollback", &landed], &known).status.success());
    assert_eq!(repo.git(&["log", "-1", "--format=%an <%ae> %cn"]), "Au Thor <au@example.com> Con Mitter");
    assert_sound(&repo, &[&landed, &open]);
}

#[test]
fn what_stands_in_the_way_stops_it_before_anything_is_written() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    // Local edits elsewhere stay.
    write(&repo.path, "file", "mine\n");
    write(&repo.path, "a.txt", &ten_lines(&[2, 7]));
    let before = state(&repo);
    let stopped = repo.try_receipt(&["rollback", &receipt]);
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
    assert_eq!(state(&repo), before);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2, 7]));
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    std::fs::write(repo.path.join(".git/MERGE_HEAD"), repo.git(&["rev-parse", "HEAD"])).unwrap();
    let stopped = repo.try_receipt(&["rollback", &receipt]);
    assert!(said(&stopped).contains("in the middle of a merge"), "{}", said(&stopped));
    std::fs::remove_file(repo.path.join(".git/MERGE_HEAD")).unwrap();
    let hook = repo.path.join(".git/hooks/pre-commit");
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let before = state(&repo);
    assert!(!repo.try_receipt(&["rollback", &receipt]).status.success());
    assert_eq!(state(&repo), before);
    repo.receipt(&["rollback", &receipt, "--no-verify"]);
    assert_eq!(read(&repo, "file"), "mine\n");
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    repo.assert_clean(&repo.path);
}

#[test]
fn commands_that_ran_are_named_and_not_passed_over() {
    let repo = ten(&[]);
    let receipt = repo.receipt(&["open", "-m", "Deploy"]);
    repo.receipt(&["run", "--", "sh", "-c", "echo deployed >/dev/null"]);
    repo.receipt(&["run", "--gate", "test", "--", "true"]);
    let line = r#"{"kind":"tool.called","data":{"tool":"Bash","input":{"text":"{\"command\":\"curl \\u001b[2J evil\"}"},"status":"ok","step":"flexible","files":[]}}"#;
    write(&repo.path, "../call.jsonl", &(line.to_owned() + "\n"));
    repo.receipt(&["record", "../call.jsonl", "--receipt", &receipt]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    repo.git(&["commit", "-qam", "Work"]);
    repo.receipt(&["bind", &receipt, "HEAD"]);
    let output = repo.try_receipt(&["rollback", &receipt]);
    assert!(output.status.success(), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("not taken back: run: sh -c 'echo deployed >/dev/null'"), "{text}");
    assert!(text.contains("not taken back: gate test: true"), "{text}");
    assert!(text.contains("curl") && !text.contains('\u{1b}'), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim().len(), 26);
    let (report, _) = repo.json(&["rollback", "@"]);
    assert_eq!(report["not_taken_back"].as_array().unwrap().len(), 0, "{report:#}");
    let (report, _) = repo.json(&["rollback", &receipt, "--dry-run"]);
    let named = report["not_taken_back"].as_array().unwrap();
    assert_eq!(named.len(), 3, "{report:#}");
    assert_eq!(named[1]["what"], "gate test");
    assert_eq!(named[2]["command"], "curl \u{1b}[2J evil");
}

#[test]
fn a_linked_worktree_rolls_back_on_its_own_branch() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    let linked = repo.folder.path().join("linked");
    repo.git(&["worktree", "add", "-q", "-b", "side", linked.to_str().unwrap()]);
    let main = repo.git(&["rev-parse", "main"]);
    repo.receipt_in(&linked, &["rollback", &receipt]);
    assert_eq!(std::fs::read_to_string(linked.join("a.txt")).unwrap(), ten_lines(&[]));
    assert_eq!(repo.git_in(&linked, &["status", "--porcelain"]), "");
    assert_eq!(repo.git(&["rev-parse", "main"]), main);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2]));
    // On main it still stands.
    repo.receipt(&["rollback", &receipt]);
    repo.assert_clean(&repo.path);
}

/// The files of a folder that are not git's, each with what it is and holds.
#[cfg(unix)]
fn files(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let find = ["find", ".", "-path", "./.git", "-prune", "-o", "-not", "-type", "d", "-print"];
    let mut command = std::process::Command::new(find[0]);
    command.args(&find[1..]).current_dir(folder);
    let mut all: Vec<String> = check(command)
        .lines()
        .map(|name| {
            let path = folder.join(name);
            let there = path.symlink_metadata().unwrap();
            match there.is_symlink() {
                true => format!("{name} -> {}", std::fs::read_link(&path).unwrap().display()),
                false => {
                    let executable = there.permissions().mode() & 0o111 != 0;
                    format!("{name} {executable} {}", std::fs::read_to_string(&path).unwrap())
                }
            }
        })
        .collect();
    all.sort();
    all
}

#[cfg(unix)]
#[test]
fn files_go_back_to_a_snapshot_and_forth_again() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    for init in [&[][..], &["--object-format=sha256"]] {
        let repo = ten(init);
        write(&repo.path, ".gitignore", "*.o\n");
        write(&repo.path, "swap", "a file\n");
        repo.git(&["add", "."]);
        repo.git(&["commit", "-qm", "Ignore"]);
        let receipt = repo.receipt(&["open", "-m", "Work"]);
        // Untracked, staged, executable, a link, an ignored file, one that is deleted.
        write(&repo.path, "d/untracked", "one\n");
        write(&repo.path, "staged", "staged\n");
        repo.git(&["add", "staged"]);
        write(&repo.path, "tool", "#!/bin/sh\n");
        std::fs::set_permissions(repo.path.join("tool"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("a.txt", repo.path.join("link")).unwrap();
        write(&repo.path, "x.o", "built\n");
        std::fs::remove_file(repo.path.join("file")).unwrap();
        let (snapshot, _) = repo.json(&["snapshot"]);
        let (then, index) = (files(&repo.path), repo.git(&["ls-files", "-s"]));
        // Everything is other.
        write(&repo.path, "file", "back\n");
        write(&repo.path, "staged", "changed\n");
        std::fs::remove_dir_all(repo.path.join("d")).unwrap();
        write(&repo.path, "d", "a file now\n");
        std::fs::remove_file(repo.path.join("swap")).unwrap();
        write(&repo.path, "swap/inside", "a folder now\n");
        std::fs::set_permissions(repo.path.join("tool"), PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::remove_file(repo.path.join("link")).unwrap();
        write(&repo.path, "link", "a file now\n");
        write(&repo.path, "new/untracked", "new\n");
        repo.git(&["add", "new", "a.txt"]);
        let (now, index_now) = (files(&repo.path), repo.git(&["ls-files", "-s"]));
        let head = repo.git(&["rev-parse", "HEAD"]);
        let (report, code) = repo.json(&["rollback", "--to", &format!("{receipt}@1"), "--dry-run"]);
        assert_eq!(code, 0, "{report:#}");
        assert_eq!((files(&repo.path), repo.git(&["ls-files", "-s"])), (now.clone(), index_now.clone()));
        let own = repo.receipt(&["rollback", "--to", &format!("{receipt}@1")]);
        assert_eq!(files(&repo.path), then);
        assert_eq!(repo.git(&["ls-files", "-s"]), index);
        assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
        // And back again, named by the tree.
        let (kept, _) = repo.json(&["show", &own]);
        let tree = kept["steps"][1]["data"]["worktree"].as_str().unwrap();
        repo.receipt(&["rollback", "--to", tree]);
        assert_eq!(files(&repo.path), now);
        assert_eq!(repo.git(&["ls-files", "-s"]), index_now);
        assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
        // Only some of it, by the chain's own numbers.
        let at = format!("{}@{}", snapshot["chain"].as_str().unwrap(), snapshot["seq"]);
        repo.receipt(&["rollback", "--to", &at, "--paths", "tool", "d"]);
        assert_eq!(read(&repo, "d/untracked"), "one\n");
        assert!(std::fs::metadata(repo.path.join("tool")).unwrap().permissions().mode() & 0o111 != 0);
        assert_eq!(read(&repo, "staged"), "changed\n");
        repo.assert_clean(&repo.path);
    }
}

#[test]
fn going_back_never_loses_what_no_snapshot_holds() {
    let repo = ten(&[]);
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    write(&repo.path, "out.o", "tracked then\n");
    write(&repo.path, "notes.txt", "then\n");
    repo.receipt(&["snapshot"]);
    std::fs::remove_file(repo.path.join("out.o")).unwrap();
    write(&repo.path, ".gitignore", "*.o\n");
    write(&repo.path, "out.o", "ignored now\n");
    write(&repo.path, "notes.txt", "now\n");
    let to = format!("{receipt}@1");
    let refs = repo.git(&["for-each-ref"]);
    let stopped = repo.try_receipt(&["rollback", "--to", &to]);
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
    assert!(said(&stopped).contains("`out.o`"), "{}", said(&stopped));
    assert_eq!(read(&repo, "out.o"), "ignored now\n");
    assert_eq!(read(&repo, "notes.txt"), "now\n");
    assert_eq!(repo.git(&["for-each-ref"]), refs);
    repo.receipt(&["rollback", "--to", &to, "--paths", "notes.txt"]);
    assert_eq!(read(&repo, "notes.txt"), "then\n");
    assert_eq!(read(&repo, "out.o"), "ignored now\n");
    // Files that look secret are in no snapshot that nobody asked for, so they stay.
    write(&repo.path, ".env", "KEY=1\n");
    std::fs::remove_file(repo.path.join("out.o")).unwrap();
    repo.receipt(&["rollback", "--to", &to]);
    assert_eq!(read(&repo, ".env"), "KEY=1\n");
    assert!(!repo.path.join(".gitignore").exists());
    let nothing = repo.try_receipt(&["rollback", "--to", &to]);
    assert!(nothing.status.success() && nothing.stdout.is_empty(), "{}", said(&nothing));
    for wrong in [format!("{receipt}@0"), format!("{receipt}@99"), "0000".into(), "nonsense".into()] {
        let refused = repo.try_receipt(&["rollback", "--to", &wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}: {}", said(&refused));
    }
    // Somebody is at work in the index.
    write(&repo.path, "notes.txt", "edited\n");
    std::fs::write(repo.path.join(".git/index.lock"), "").unwrap();
    let refs = repo.git(&["for-each-ref"]);
    let mut command = repo.command(PROGRAM, &repo.path, &["rollback", "--to", &to]);
    assert_eq!(command.output().unwrap().status.code(), Some(3));
    assert_eq!(repo.git(&["for-each-ref"]), refs);
    assert_eq!(read(&repo, "notes.txt"), "edited\n");
    assert!(repo.path.join(".git/index.lock").exists());
    std::fs::remove_file(repo.path.join(".git/index.lock")).unwrap();
    repo.receipt(&["rollback", "--to", &to]);
    assert_eq!(read(&repo, "notes.txt"), "then\n");
    repo.assert_clean(&repo.path);
}

#[test]
fn a_submodule_takes_the_place_of_a_file_and_gives_it_back() {
    let repo = ten(&[]);
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    repo.receipt(&["snapshot"]);
    std::fs::remove_file(repo.path.join("file")).unwrap();
    repo.git(&["init", "-q", "file"]);
    repo.git_in(&repo.path.join("file"), &["commit", "-q", "--allow-empty", "-m", "First"]);
    repo.git(&["add", "file"]);
    let (module, _) = repo.json(&["snapshot"]);
    std::fs::remove_dir_all(repo.path.join("file")).unwrap();
    repo.receipt(&["rollback", "--to", &format!("{receipt}@1")]);
    assert_eq!(read(&repo, "file"), "one\n");
    repo.receipt(&["rollback", "--to", &format!("{receipt}@2")]);
    assert!(repo.path.join("file").is_dir());
    assert_eq!(repo.git(&["ls-files", "-s", "file"]).split(' ').next(), Some("160000"));
    let (now, _) = repo.json(&["snapshot"]);
    assert_eq!(now["worktree"], module["worktree"]);
    repo.receipt(&["rollback", "--to", &format!("{receipt}@1")]);
    assert_eq!(read(&repo, "file"), "one\n");
    assert!(!repo.path.join(".git/index.lock").exists());
    repo.assert_clean(&repo.path);
    // A file that no snapshot holds stays.
    std::fs::remove_file(repo.path.join("file")).unwrap();
    repo.git(&["rm", "-q", "--cached", "file"]);
    write(&repo.path, ".gitignore", "file\n");
    write(&repo.path, "file", "mine\n");
    let refs = repo.git(&["for-each-ref"]);
    let stopped = repo.try_receipt(&["rollback", "--to", &format!("{receipt}@2")]);
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
    assert_eq!((read(&repo, "file"), repo.git(&["for-each-ref"])), ("mine\n".to_owned(), refs));
    repo.assert_clean(&repo.path);
}

#[cfg(unix)]
#[test]
fn a_folder_with_anything_in_it_is_not_taken_for_an_empty_one() {
    use std::os::unix::ffi::OsStrExt as _;
    let repo = ten(&[]);
    write(&repo.path, ".gitignore", "*.o\n");
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    write(&repo.path, "d", "a file\n");
    repo.receipt(&["snapshot"]);
    std::fs::remove_file(repo.path.join("d")).unwrap();
    let to = format!("{receipt}@1");
    let dangling = std::ffi::OsStr::new("dangling.o");
    for name in [dangling, std::ffi::OsStr::from_bytes(b"\xff.o")] {
        std::fs::create_dir(repo.path.join("d")).unwrap();
        let file = repo.path.join("d").join(name);
        match name == dangling {
            true => std::os::unix::fs::symlink("nowhere", &file).unwrap(),
            false => std::fs::write(&file, "mine\n").unwrap(),
        }
        let refs = repo.git(&["for-each-ref"]);
        let stopped = repo.try_receipt(&["rollback", "--to", &to]);
        assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
        assert!(said(&stopped).contains("`d` is a folder with files in it"), "{}", said(&stopped));
        assert!(file.symlink_metadata().is_ok());
        assert_eq!(repo.git(&["for-each-ref"]), refs);
        std::fs::remove_dir_all(repo.path.join("d")).unwrap();
    }
    // Folders with nothing but folders in them are nothing to git.
    write(&repo.path, "d/e/tracked", "now\n");
    std::fs::create_dir_all(repo.path.join("d/f/g")).unwrap();
    repo.receipt(&["rollback", "--to", &to]);
    assert_eq!(read(&repo, "d"), "a file\n");
    repo.assert_clean(&repo.path);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_where_our_folder_is_a_link() {
    let repo = ten(&[]);
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    repo.receipt(&["snapshot"]);
    write(&repo.path, "a.txt", "now\n");
    let outside = repo.folder.path().join("outside");
    for name in ["receipts/landing", "receipts"] {
        let place = repo.path.join(".git").join(name);
        let _ = std::fs::rename(&place, repo.folder.path().join("aside"));
        write(&outside, "landing/keep", "precious\n");
        std::os::unix::fs::symlink(&outside, &place).unwrap();
        let stopped = repo.try_receipt(&["rollback", "--to", &format!("{receipt}@1")]);
        assert_eq!(stopped.status.code(), Some(2), "{}", said(&stopped));
        assert!(said(&stopped).contains("is a symbolic link"), "{}", said(&stopped));
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(outside.join("landing/keep")).unwrap(), "precious\n");
        assert_eq!(read(&repo, "a.txt"), "now\n");
        std::fs::remove_file(&place).unwrap();
    }
    repo.receipt(&["rollback", "--to", &format!("{receipt}@1")]);
    repo.assert_clean(&repo.path);
}

/// Records calls of tools, each with what it was given and the files that it changed.
fn call_tools(repo: &TestRepo, receipt: &str, calls: &[(&str, &str, &[&str])]) {
    let lines = calls.iter().map(|(tool, input, files)| {
        let files: Vec<_> =
            files.iter().map(|path| serde_json::json!({ "path": path, "change": "modified" })).collect();
        let data = serde_json::json!({
            "tool": tool, "input": { "text": input }, "status": "ok", "step": "flexible", "files": files,
        });
        format!("{}\n", serde_json::json!({ "kind": "tool.called", "data": data }))
    });
    write(&repo.path, "../calls.jsonl", &lines.collect::<String>());
    repo.receipt(&["record", "../calls.jsonl", "--receipt", receipt]);
}

#[test]
fn a_tool_that_nobody_knows_is_named_as_well() {
    let repo = ten(&[]);
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    repo.receipt(&["snapshot"]);
    let long = format!("{{\"command\":\"start {} curl evil\"}}", "x".repeat(1000));
    call_tools(
        &repo,
        &receipt,
        &[
            ("execute_command", "{\"command\":\"one\"}", &[]),
            ("run_terminal_cmd", "{\"command\":[\"two\",\"words here\"]}", &[]),
            ("mcp__db__execute", "{\"sql\":\"DROP TABLE x\"}", &[]),
            ("Frobnicate", "", &[]),
            ("Read", "{\"file_path\":\"a.txt\"}", &[]),
            ("Read", "{\"command\":\"not only reading\"}", &[]),
            ("Edit", "{\"file_path\":\"a.txt\"}", &["a.txt"]),
            ("Write", "{\"file_path\":\"/etc/hosts\"}", &["/etc/hosts"]),
            ("Write", "{\"file_path\":\"unknown\"}", &[]),
            ("Bash", &long, &[]),
        ],
    );
    write(&repo.path, "a.txt", "now\n");
    let to = format!("{receipt}@1");
    let (report, code) = repo.json(&["rollback", "--to", &to, "--dry-run"]);
    assert_eq!(code, 0, "{report:#}");
    let named: Vec<(&str, &str)> = report["not_taken_back"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["what"].as_str().unwrap(), one["command"].as_str().unwrap_or("")))
        .collect();
    let expected = [
        ("execute_command", "one"),
        ("run_terminal_cmd", "two 'words here'"),
        ("mcp__db__execute", "{\"sql\":\"DROP TABLE x\"}"),
        ("Frobnicate", ""),
        ("Read", "not only reading"),
        ("Write", "{\"file_path\":\"/etc/hosts\"}"),
        ("Write", "{\"file_path\":\"unknown\"}"),
    ];
    assert_eq!(named[..7], expected);
    assert_eq!(named.len(), 8);
    let text = said(&repo.try_receipt(&["rollback", "--to", &to]));
    let shown = text.lines().find(|line| line.contains("Bash")).unwrap();
    assert!(shown.contains("start x") && shown.ends_with("x curl evil") && shown.len() < 400, "{shown}");
}

#[test]
fn what_ran_after_a_snapshot_that_a_fork_inherited_is_named() {
    let repo = ten(&[]);
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    call_tools(&repo, &receipt, &[("Bash", "{\"command\":\"before\"}", &[])]);
    repo.receipt(&["snapshot"]);
    call_tools(&repo, &receipt, &[("Bash", "{\"command\":\"inherited\"}", &[])]);
    let fork = repo.receipt(&["fork", &receipt, "--at", "3"]);
    call_tools(&repo, &receipt, &[("Bash", "{\"command\":\"elsewhere\"}", &[])]);
    call_tools(&repo, &fork, &[("Bash", "{\"command\":\"own\"}", &[])]);
    write(&repo.path, "a.txt", "now\n");
    let (report, code) = repo.json(&["rollback", "--to", &format!("{fork}@1"), "--dry-run"]);
    assert_eq!(code, 0, "{report:#}");
    let named = report["not_taken_back"].as_array().unwrap();
    let named: Vec<_> =
        named.iter().map(|one| (one["command"].as_str().unwrap(), one["n"].as_u64())).collect();
    assert_eq!(named, [("inherited", None), ("own", Some(1))], "{report:#}");
}

#[cfg(unix)]
#[test]
fn a_repository_may_be_anywhere() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    write(&repo.path, "later", "later\n");
    repo.git(&["add", "later"]);
    repo.git(&["commit", "-qm", "Later"]);
    let odd = repo.folder.path().join("o:d\"d\\n p;l\nce");
    std::fs::rename(&repo.path, &odd).unwrap();
    let temporary = repo.folder.path().join("t:m\"p");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = repo.command(PROGRAM, &odd, &["rollback", &receipt]);
    let done = command.env("TMPDIR", &temporary).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(std::fs::read_to_string(odd.join("a.txt")).unwrap(), ten_lines(&[]));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

/// What a rollback refuses to do, which changes nothing.
fn refused(repo: &TestRepo, args: &[&str], words: &str) {
    let before = state(repo);
    let refused = repo.try_receipt(&[&["rollback"], args].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains(words), "{}", said(&refused));
    assert_eq!(state(repo), before);
}

#[test]
fn lines_are_taken_out_of_what_landed_and_was_rewritten() {
    let hooks_off = ["-c", "core.hooksPath=/dev/null"];
    for off in [&[][..], &hooks_off] {
        let git = |repo: &TestRepo, args: &[&str]| repo.hooked(&[off, args].concat());
        // Squashed with another: only its own line goes.
        let repo = ten(&[]);
        write(&repo.path, "a.txt", &ten_lines(&[2]));
        let one = land(&repo, "One");
        write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
        let two = land(&repo, "Two");
        repo.git(&["reset", "-q", "--soft", "HEAD~2"]);
        git(&repo, &["commit", "-qm", "Both"]);
        for receipt in [&one, &two] {
            repo.receipt(&["bind", receipt]);
        }
        let own = repo.receipt(&["rollback", &one]);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[8]));
        assert_already(&repo, &one, &own);
        let other = repo.receipt(&["rollback", &two]);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
        assert_sound(&repo, &[&own, &other]);

        // Amended with a file of somebody's own.
        let repo = ten(&[]);
        write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
        let receipt = land(&repo, "Two lines");
        write(&repo.path, "mine", "mine\n");
        repo.git(&["add", "mine"]);
        git(&repo, &["commit", "-q", "--amend", "--no-edit"]);
        let first = repo.receipt(&["rollback", &receipt, "--lines", "1"]);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[8]));
        let rest = repo.receipt(&["rollback", &receipt]);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
        assert_eq!(read(&repo, "mine"), "mine\n");
        assert_sound(&repo, &[&first, &rest]);

        // Reworded and rebased; then what took it back is rebased as well.
        let repo = ten(&[]);
        write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
        let receipt = land(&repo, "Two lines");
        git(&repo, &["commit", "-q", "--amend", "-m", "In other words"]);
        let own = repo.receipt(&["rollback", &receipt, "--lines", "1"]);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[8]));
        repo.git(&["checkout", "-q", "-b", "base", "HEAD~2"]);
        write(&repo.path, "below", "below\n");
        repo.git(&["add", "below"]);
        repo.git(&["commit", "-qm", "Below"]);
        repo.git(&["checkout", "-q", "main"]);
        git(&repo, &["rebase", "-q", "base"]);
        assert_sound(&repo, &[&receipt, &own]);
        repo.receipt(&["rollback", &receipt, "--lines", "2"]);
        assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));

        // Picked onto another branch, and squashed into one.
        let repo = ten(&[]);
        write(&repo.path, "other", "other\n");
        repo.git(&["add", "other"]);
        repo.git(&["commit", "-qm", "Other"]);
        repo.git(&["checkout", "-q", "-b", "side", "HEAD~"]);
        write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
        let receipt = land(&repo, "Two lines");
        for (branch, how) in
            [("picked", &["cherry-pick", "side"][..]), ("squashed", &["merge", "--squash", "side"])]
        {
            repo.git(&["checkout", "-q", "-b", branch, "main"]);
            git(&repo, how);
            if branch == "squashed" {
                git(&repo, &["commit", "-qm", "By hand"]);
            }
            repo.receipt(&["rollback", &receipt, "--lines", "2"]);
            assert_eq!(read(&repo, "a.txt"), ten_lines(&[2]), "{branch}");
        }
        repo.git(&["checkout", "-q", "main"]);
        refused(&repo, &[&receipt], "it landed as");
    }
}

#[test]
fn a_commit_in_which_lines_cannot_be_told_apart_is_named_and_not_taken_whole() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    write(&repo.path, "a.txt", &ten_lines(&[2]).replace("line 3 is", "line three is"));
    repo.hooked(&["commit", "-qa", "--amend", "--no-edit"]);
    let commit = repo.git(&["rev-parse", "HEAD"]);
    let other = repo.receipt(&["open", "-m", "Other work"]);
    repo.receipt(&["bind", &other]);
    refused(&repo, &[&receipt], &commit);
    refused(&repo, &[&receipt], &other);
    refused(&repo, &[&receipt, "--lines", "1"], &commit);
    let whole = repo.try_receipt(&["rollback", &receipt, "--whole-commits"]);
    assert!(said(&whole).contains(&format!("takes back all of `sha1:{commit}`")), "{}", said(&whole));
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    let own = String::from_utf8_lossy(&whole.stdout).trim().to_owned();
    assert_sound(&repo, &[&own]);

    // Of two partial landings one was amended: what became of it is told.
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
    let receipt = repo.receipt(&["propose", "-m", "Two lines", "--restore"]);
    repo.receipt(&["accept", &receipt, "--lines", "1"]);
    repo.receipt(&["apply", &receipt, "--partial"]);
    repo.receipt(&["accept", &receipt]);
    let gone = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["reset", "-q", "--hard", "HEAD~"]);
    let output = repo.try_receipt(&["rollback", &receipt]);
    assert!(output.status.success() && said(&output).contains(&gone), "{}", said(&output));
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    // Files of a snapshot are no lines of a receipt.
    refused(&repo, &[&receipt, "--paths", "a.txt"], "--to");
}

/// States a fact in a receipt, as a second writer may.
fn record(repo: &TestRepo, receipt: &str, kind: &str, data: serde_json::Value) {
    write(&repo.path, "../line.jsonl", &format!("{}\n", serde_json::json!({ "kind": kind, "data": data })));
    repo.receipt(&["record", "--receipt", receipt, "../line.jsonl"]);
}

/// Says in a receipt of its own that another was taken back in a commit, with that commit's own trees.
fn claim(repo: &TestRepo, of: &[&str], commit: &str, lines: Option<&str>) -> String {
    let own = repo.receipt(&["open", "-m", "Roll back"]);
    let oid = |rev: &str| format!("sha1:{}", repo.git(&["rev-parse", rev]));
    for of in of {
        let mut data = serde_json::json!({
            "of": of,
            "commit": oid(commit),
            "from_tree": oid(&format!("{commit}^^{{tree}}")),
            "to_tree": oid(&format!("{commit}^{{tree}}")),
        });
        if let Some(lines) = lines {
            data["lines"] = lines.into();
        }
        record(repo, &own, "rollback.applied", data);
    }
    repo.receipt(&["close", &own, "--status", "completed"]);
    own
}

#[test]
fn a_rollback_counts_only_where_doing_it_again_gives_what_it_says() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
    let receipt = land(&repo, "Two lines");
    write(&repo.path, "fix", "fix\n");
    repo.git(&["add", "fix"]);
    repo.git(&["commit", "-qm", "Fix"]);
    let fix = repo.git(&["rev-parse", "HEAD"]);
    let forged = claim(&repo, &[&receipt], &fix, Some("2"));
    claim(&repo, &[&receipt], &fix, None);
    assert_eq!(repo.json(&["replay", &forged, "--check"]).1, 1);
    refused(&repo, &[&forged], "does not take back what it says");
    let own = repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
    // Nor does a later one change what an earlier one gives.
    claim(&repo, &[&receipt], &fix, None);
    assert_sound(&repo, &[&own]);
    assert_already(&repo, &receipt, &own);
    let back = repo.receipt(&["rollback", &own]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[2, 8]));
    assert_sound(&repo, &[&own, &back]);

    // One that proposes something else.
    write(&repo.path, "fix", "tidy\n");
    let tidy = repo.receipt(&["propose", "-m", "Tidy up", "--restore"]);
    let oid = |rev: &str| format!("sha1:{}", repo.git(&["rev-parse", rev]));
    repo.receipt(&["accept", &tidy]);
    let (from_tree, to_tree) = (oid("HEAD^^{tree}"), oid("HEAD^{tree}"));
    let data = serde_json::json!({"of": receipt, "from_tree": from_tree, "to_tree": to_tree});
    record(&repo, &tidy, "rollback.applied", data);
    let (report, code) = repo.json(&["verify"]);
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(report["findings"][0]["code"], "E404", "{report:#}");
    repo.receipt(&["rollback", &receipt]);
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
}

#[test]
fn layers_of_rollbacks_are_judged_once_each() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    write(&repo.path, "fix", "fix\n");
    repo.git(&["add", "fix"]);
    repo.git(&["commit", "-qm", "Fix"]);
    let mut below = vec![receipt.clone()];
    for _ in 0..15 {
        let of: Vec<&str> = below.iter().map(String::as_str).collect();
        below = (0..2).map(|_| claim(&repo, &of, "HEAD", None)).collect();
    }
    // One takes back itself.
    let own = repo.receipt(&["open", "-m", "Itself"]);
    let trees = [&repo.git(&["rev-parse", "HEAD^^{tree}"]), &repo.git(&["rev-parse", "HEAD^{tree}"])];
    let [from, to] = trees.map(|tree| format!("sha1:{tree}"));
    let commit = format!("sha1:{}", repo.git(&["rev-parse", "HEAD"]));
    let data = serde_json::json!({"of": own, "commit": commit, "from_tree": from, "to_tree": to});
    record(&repo, &own, "rollback.applied", data);
    refused(&repo, &[&own], "does not take back what it says");
    let begun = std::time::Instant::now();
    repo.receipt(&["rollback", &receipt]);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    assert_eq!(read(&repo, "a.txt"), ten_lines(&[]));
}

#[test]
fn what_a_proposed_rollback_is_by_now_is_said() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    let proposal = repo.receipt(&["rollback", &receipt, "--propose"]);
    let shown = |fate: &str| {
        let text = repo.receipt(&["show", &receipt]);
        let words = format!("is proposed to be taken back by {proposal}: {fate}");
        assert!(text.contains(&words), "{text}");
        let (report, _) = repo.json(&["show", &receipt]);
        assert_eq!(report["taken_back"][0]["proposal"], fate, "{report:#}");
    };
    shown("pending");
    repo.receipt(&["reject", &proposal]);
    shown("rejected");
    let proposal = repo.receipt(&["rollback", &receipt, "--propose"]);
    repo.receipt(&["accept", &proposal]);
    let text = repo.receipt(&["show", &receipt]);
    assert!(text.contains(&format!("is taken back by {proposal} in ")), "{text}");
}

#[test]
fn a_rollback_that_cannot_be_worked_out_again_is_incomplete_and_a_replaced_object_is_named() {
    let repo = ten(&[]);
    write(&repo.path, "a.txt", &ten_lines(&[2]));
    let receipt = land(&repo, "One line");
    let landed = repo.git(&["rev-parse", "HEAD"]);
    write(&repo.path, "later", "later\n");
    repo.git(&["add", "later"]);
    repo.git(&["commit", "-qm", "Later"]);
    let own = repo.receipt(&["rollback", &receipt]);
    let tree = repo.git(&["rev-parse", &format!("{landed}^{{tree}}")]);
    let path = repo.path.join(format!(".git/objects/{}/{}", &tree[..2], &tree[2..]));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (checked, code) = repo.json(&["replay", &own, "--check"]);
    assert_eq!(code, 4, "{checked:#}");
    assert!(checked.to_string().contains(&tree), "{checked:#}");
    // The tree of another commit in its place.
    let other = repo.git(&["rev-parse", "HEAD~3^{tree}"]);
    let other = repo.path.join(format!(".git/objects/{}/{}", &other[..2], &other[2..]));
    std::fs::copy(&other, &path).unwrap();
    let (checked, code) = repo.json(&["replay", &own, "--check"]);
    assert_eq!(code, 1, "{checked:#}");
    assert!(checked.to_string().contains(&tree), "{checked:#}");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    assert_sound(&repo, &[&own]);
}
