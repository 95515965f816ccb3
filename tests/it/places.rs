//! Every sort of place that a repository can be in.

use std::path::Path;

use crate::support::{PROGRAM, TestRepo, check};

#[test]
fn linked_worktrees_share_chains_and_keep_their_own_open_receipt() {
    let repo = TestRepo::new();
    let side = repo.folder.path().join("side");
    repo.git(&["worktree", "add", "-q", side.to_str().unwrap()]);
    let here = repo.receipt(&["open", "-m", "Main tree"]);
    let there = repo.receipt_in(&side, &["open", "-m", "Side tree"]);
    repo.receipt_in(&side, &["close", "--status", "completed"]);
    let (status, _) = repo.json(&["status"]);
    assert_eq!(status["current"], here.as_str());
    let (list, _) = repo.json(&["list", "--state", "completed"]);
    assert_eq!(list["receipts"][0]["receipt"], there.as_str());
    let (verdict, _) = repo.verify();
    assert_eq!(verdict["chains"].as_array().unwrap().len(), 1);
    repo.assert_clean(&repo.path);
}

#[test]
fn git_dir_in_the_environment_says_where_to_write() {
    let (repo, other) = (TestRepo::new(), TestRepo::new());
    let mut command = repo.command(PROGRAM, &other.path, &["open", "-m", "Where?"]);
    let output =
        command.env("GIT_DIR", repo.path.join(".git")).env("GIT_WORK_TREE", &repo.path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_ne!(repo.git(&["for-each-ref", "refs/receipts"]), "");
    assert_eq!(other.git(&["for-each-ref", "refs/receipts"]), "");
}

#[test]
fn bare_repositories_can_be_read_and_written() {
    let repo = TestRepo::new();
    let bare = repo.folder.path().join("bare.git");
    repo.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    repo.receipt_in(&bare, &["init", "--no-man"]);
    let receipt = repo.receipt_in(&bare, &["open", "-m", "On the server"]);
    repo.receipt_in(&bare, &["close", &receipt, "--status", "completed"]);
    repo.assert_clean(&bare);
}

#[test]
fn sha256_repositories_work() {
    let repo = TestRepo::bare_of_receipts(&["--object-format=sha256"]);
    repo.receipt(&["init", "--no-man"]);
    repo.receipt(&["open", "-m", "Longer ids"]);
    repo.receipt(&["run", "--gate", "test", "--", "true"]);
    repo.receipt(&["bind"]);
    repo.receipt(&["close", "--status", "completed"]);
    assert!(repo.git(&["notes", "--ref=receipts", "show", "HEAD"]).contains("sha256:"));
    repo.assert_clean(&repo.path);
}

#[test]
fn reftable_repositories_never_get_a_loose_ref() {
    let repo = TestRepo::bare_of_receipts(&["--ref-format=reftable"]);
    repo.receipt(&["init", "--no-man"]);
    let receipt = repo.receipt(&["open", "-m", "In a table"]);
    repo.receipt(&["run", "--gate", "test", "--", "true"]);
    repo.receipt(&["bind"]);
    repo.receipt(&["remark", &receipt, "-m", "there"]);
    assert!(!repo.path.join(".git/refs/receipts").exists());
    assert_eq!(repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]).lines().count(), 1);
    repo.assert_clean(&repo.path);
}

#[test]
fn nothing_is_written_while_a_push_is_in_quarantine() {
    let repo = TestRepo::new();
    let mut command = repo.command(PROGRAM, &repo.path, &["open", "-m", "Refused"]);
    let output = command.env("GIT_QUARANTINE_PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("quarantine"), "{output:?}");
    assert_eq!(repo.git(&["for-each-ref", "refs/receipts"]), "");
}

#[test]
fn a_shallow_chain_is_incomplete_evidence() {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "Long"]);
    repo.receipt(&["remark", "@", "-m", "one"]);
    repo.receipt(&["remark", "@", "-m", "two"]);
    let shallow = repo.folder.path().join("shallow");
    let url = format!("file://{}", repo.path.display());
    repo.git_in(repo.folder.path(), &["clone", "-q", "--depth=1", &url, shallow.to_str().unwrap()]);
    let refspec = "refs/receipts/chains/*:refs/receipts-remotes/origin/chains/*";
    repo.git_in(&shallow, &["fetch", "-q", "--depth=1", "origin", refspec]);
    let (verdict, code) = repo.json_in(&shallow, &["verify"]);
    assert_eq!(code, 4, "{verdict:#}");
    let codes: Vec<_> = verdict["findings"].as_array().unwrap().iter().map(|f| f["code"].clone()).collect();
    assert!(codes.contains(&"I502".into()), "{verdict:#}");
    let (error, code) = repo.json_in(&shallow, &["init", "--no-man"]);
    assert_eq!(code, 2, "{error:#}");
    assert!(error["hint"].as_str().unwrap().contains("unshallow"));
}

#[test]
fn an_unborn_branch_is_a_clear_error() {
    let repo = TestRepo::empty(&[]);
    let (error, code) = repo.json(&["init", "--no-man"]);
    assert_eq!(code, 2);
    assert!(error["hint"].as_str().unwrap().contains("commit something first"), "{error:#}");
    let (error, code) = repo.json(&["open", "-m", "Too early"]);
    assert_eq!(code, 2);
    assert!(error["hint"].as_str().unwrap().contains("git receipt init"), "{error:#}");
    assert_eq!(repo.json(&["verify"]).1, 0, "reading needs nothing");
}

#[test]
fn a_detached_head_records_as_any_other() {
    let repo = TestRepo::new();
    repo.git(&["checkout", "-q", "--detach"]);
    let receipt = repo.receipt(&["open", "-m", "Detached"]);
    repo.receipt(&["bind"]);
    let (shown, _) = repo.json(&["show", &receipt]);
    assert_eq!(shown["commits"].as_array().unwrap().len(), 1);
    repo.assert_clean(&repo.path);
}

#[test]
fn a_copied_clone_starts_a_chain_of_its_own_that_continues() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Copied"]);
    let copy = repo.folder.path().join("copy");
    let names = [repo.path.to_str().unwrap().to_owned(), copy.to_str().unwrap().to_owned()];
    assert!(std::process::Command::new("cp").arg("-r").args(&names).status().unwrap().success());
    repo.receipt(&["remark", &receipt, "-m", "in the original"]);
    repo.receipt_in(&copy, &["remark", &receipt, "-m", "in the copy"]);
    let chains = repo.git_in(&copy, &["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]);
    assert_eq!(chains.lines().count(), 2, "{chains}");
    let (log, _) = repo.json_in(&copy, &["log", "--kind", "chain.opened"]);
    let continued = log["entries"].as_array().unwrap().iter().filter(|e| e["data"]["continues"].is_object());
    assert_eq!(continued.count(), 1);
    // Together they tell no two stories about one place.
    repo.git(&["remote", "add", "copy", copy.to_str().unwrap()]);
    repo.receipt(&["fetch", "copy"]);
    repo.assert_clean(&repo.path);
    repo.assert_clean(&copy);
}

#[test]
fn a_cut_or_deleted_chain_shows_by_what_this_clone_remembers() {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "Cut"]);
    repo.receipt(&["remark", "@", "-m", "gone soon"]);
    let chain = repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]);
    repo.git(&["update-ref", &chain, &format!("{chain}^")]);
    let (verdict, code) = repo.verify();
    assert_eq!(code, 1);
    assert!(verdict["findings"].as_array().unwrap().iter().any(|f| f["code"] == "E212"), "{verdict:#}");
    repo.git(&["update-ref", "-d", &chain]);
    let (verdict, code) = repo.verify();
    assert_eq!(code, 1);
    assert!(verdict["findings"].as_array().unwrap().iter().any(|f| f["code"] == "E213"), "{verdict:#}");
}

#[test]
fn init_twice_changes_nothing_and_deinit_undoes_it() {
    let repo = TestRepo::bare_of_receipts(&[]);
    repo.git(&["config", "notes.displayRef", "refs/notes/mine"]);
    let before = std::fs::read_to_string(repo.path.join(".git/config")).unwrap();
    let (first, _) = repo.json(&["init", "--no-man"]);
    assert!(!first["changes"].as_array().unwrap().is_empty());
    let set_up = std::fs::read_to_string(repo.path.join(".git/config")).unwrap();
    let (second, _) = repo.json(&["init", "--no-man"]);
    assert_eq!(second["changes"].as_array().unwrap().len(), 0, "{second:#}");
    assert_eq!(std::fs::read_to_string(repo.path.join(".git/config")).unwrap(), set_up);
    repo.receipt(&["deinit"]);
    let after = std::fs::read_to_string(repo.path.join(".git/config")).unwrap();
    let values = |text: &str| repo_values(text);
    assert_eq!(values(&after), values(&before));
}

/// The lines of a configuration file that set something.
fn repo_values(text: &str) -> Vec<String> {
    text.lines().filter(|line| line.contains('=')).map(|line| line.trim().to_owned()).collect()
}

#[cfg(unix)]
#[test]
fn the_man_page_goes_to_no_folder_of_others() {
    let repo = TestRepo::bare_of_receipts(&[]);
    let page = |share: &Path| share.join("man/man1/git-receipt.1");
    let init = |place: &Path| {
        let bin = place.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink(PROGRAM, bin.join("git-receipt")).unwrap();
        let paths = std::env::var_os("PATH").unwrap();
        let paths = std::iter::once(bin).chain(std::env::split_paths(&paths));
        let mut command = repo.command(PROGRAM, &repo.path, &["init"]);
        command.env("PATH", std::env::join_paths(paths).unwrap());
        check(command)
    };
    let (others, system, own) =
        (repo.folder.path().join("opt"), repo.folder.path().join("usr"), repo.home().join("tools"));
    let said = init(&others);
    assert!(!others.join("share").exists());
    let fallback = page(&repo.home().join(".local/share"));
    assert!(fallback.exists() && said.contains(&format!("man page `{}`", fallback.display())), "{said}");
    std::fs::remove_file(&fallback).unwrap();
    std::fs::create_dir_all(system.join("share/man")).unwrap();
    init(&system);
    assert!(page(&system.join("share")).exists());
    init(&own);
    assert!(page(&own.join("share")).exists() && !fallback.exists());
}
