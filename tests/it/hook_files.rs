//! Installing git's hooks beside other people's, and taking them away.

use std::fs;
use std::path::Path;

use crate::support::{PROGRAM, TestRepo, check};

#[cfg(unix)]
fn write_hook(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// Everything in a folder with its mode.
#[cfg(unix)]
fn contents(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).into_iter().flatten() {
        let path = file.unwrap().path();
        let there = path.symlink_metadata().unwrap();
        if !there.is_dir() {
            let mode = std::os::unix::fs::PermissionsExt::mode(&there.permissions());
            let bytes = fs::read(&path).unwrap();
            found.push((path.file_name().unwrap().to_string_lossy().into_owned(), mode, bytes));
        }
    }
    found.sort();
    found
}

/// A folder with `git-receipt` in it, for hooks to find.
pub fn with_program(repo: &TestRepo) -> String {
    let tools = repo.folder.path().join("tools");
    fs::create_dir_all(&tools).unwrap();
    let link = tools.join("git-receipt");
    if !link.exists() {
        std::os::unix::fs::symlink(PROGRAM, link).unwrap();
    }
    format!("{}:{}", tools.display(), std::env::var("PATH").unwrap())
}

fn commit(repo: &TestRepo, message: &str) -> String {
    let mut command = repo.command("git", &repo.path, &["commit", "-qm", message, "--allow-empty"]);
    command.env("PATH", with_program(repo));
    check(command);
    repo.git(&["rev-parse", "HEAD"])
}

/// Makes a commit with work of a receipt in it, and says whether it was bound by the hook.
fn binds(repo: &TestRepo) -> bool {
    repo.receipt(&["run", "--", "sh", "-c", "echo $$-$(date +%N) > work"]);
    repo.git(&["add", "work"]);
    let commit = commit(repo, "Work");
    let (log, _) = repo.json(&["log", "--all", "--kind", "commit.bound"]);
    log["entries"].as_array().unwrap().iter().any(|e| e["data"]["commit"] == format!("sha1:{commit}"))
}

#[test]
fn existing_hooks_keep_their_arguments_input_name_and_exit_code() {
    let repo = TestRepo::bare_of_receipts(&[]);
    let hooks = repo.path.join(".git/hooks");
    let out = repo.folder.path().join("said").display().to_string();
    write_hook(
        &hooks.join("post-commit"),
        &format!("#!/bin/sh\necho \"post-commit $(basename \"$0\")\" >> {out}\nexit 3\n"),
        0o755,
    );
    write_hook(
        &hooks.join("prepare-commit-msg"),
        &format!(
            "#!/usr/bin/env bash\n[[ $2 == message ]] && echo \"msg $#\" >> {out}\ngrep -q refuse \"$1\" && exit 1\nexit 0\n"
        ),
        0o755,
    );
    let python = format!(
        "#!/usr/bin/env python3\nimport sys\nopen('{out}', 'a').write(sys.argv[1] + ' ' + sys.stdin.read())\n"
    );
    write_hook(&hooks.join("post-rewrite"), &python, 0o700);
    let before = contents(&hooks);
    repo.receipt(&["init", "--no-man"]);
    repo.receipt(&["init", "--no-man"]);
    assert!(binds(&repo));
    let old = repo.git(&["rev-parse", "HEAD"]);
    let mut amend = repo.command("git", &repo.path, &["commit", "-q", "--amend", "-m", "Amended"]);
    amend.env("PATH", with_program(&repo));
    check(amend);
    let new = repo.git(&["rev-parse", "HEAD"]);
    let said = fs::read_to_string(&out).unwrap();
    assert_eq!(
        said,
        format!("msg 2\npost-commit post-commit\nmsg 2\npost-commit post-commit\namend {old} {new}\n")
    );
    let (log, _) = repo.json(&["log", "--all", "--kind", "commit.rebound"]);
    assert_eq!(log["entries"][0]["data"]["to"], format!("sha1:{new}"));
    let receipt = log["entries"][0]["receipt"].as_str().unwrap();
    let (again, _) = repo.json(&["bind", receipt, "HEAD"]);
    assert_eq!(again["receipts"][0]["existing"], true, "tied already, by following the amend");
    let mut refused = repo.command("git", &repo.path, &["commit", "-qm", "refuse", "--allow-empty"]);
    refused.env("PATH", with_program(&repo));
    assert!(!refused.output().unwrap().status.success(), "the old hook's word counts");
    repo.receipt(&["deinit"]);
    assert_eq!(contents(&hooks), before);
    repo.assert_clean(&repo.path);
}

#[test]
fn a_hook_that_is_switched_off_stays_off() {
    let repo = TestRepo::bare_of_receipts(&[]);
    let hooks = repo.path.join(".git/hooks");
    let out = repo.folder.path().join("said");
    write_hook(&hooks.join("post-commit"), &format!("#!/bin/sh\ntouch {}\n", out.display()), 0o644);
    let before = contents(&hooks);
    repo.receipt(&["init", "--no-man"]);
    assert!(binds(&repo));
    assert!(!out.exists());
    repo.receipt(&["hooks", "uninstall"]);
    assert_eq!(contents(&hooks), before);
}

#[test]
fn hooks_elsewhere_are_found_as_git_finds_them() {
    for (place, name) in [(".githooks", "relative"), (".git/shared", "absolute")] {
        let repo = TestRepo::bare_of_receipts(&[]);
        let folder = repo.path.join(place);
        write_hook(&folder.join("post-commit"), "#!/bin/sh\ntouch ran\n", 0o755);
        let value = if name == "relative" { place.to_owned() } else { folder.display().to_string() };
        repo.git(&["config", "core.hooksPath", &value]);
        let before = contents(&folder);
        repo.receipt(&["init", "--no-man"]);
        assert!(binds(&repo), "{name}");
        assert!(repo.path.join("ran").exists(), "{name}");
        repo.receipt(&["deinit"]);
        assert_eq!(contents(&folder), before);
    }
}

#[test]
fn a_folder_that_other_repositories_use_too_is_not_written_to() {
    let repo = TestRepo::bare_of_receipts(&[]);
    let shared = repo.home().join("hooks");
    write_hook(&shared.join("post-commit"), "#!/bin/sh\ntouch ran-shared\n", 0o755);
    write_hook(&shared.join("pre-commit"), "#!/bin/sh\ntouch ran-pre\n", 0o755);
    repo.git(&["config", "--global", "core.hooksPath", "~/hooks"]);
    let (before, config) = (contents(&shared), fs::read(repo.path.join(".git/config")).unwrap());
    repo.receipt(&["init", "--no-man"]);
    repo.receipt(&["init", "--no-man"]);
    assert!(binds(&repo));
    assert!(repo.path.join("ran-shared").exists() && repo.path.join("ran-pre").exists());
    assert_eq!(contents(&shared), before);
    repo.receipt(&["deinit"]);
    assert_eq!(contents(&shared), before);
    assert_eq!(repo.git(&["config", "core.hooksPath"]), "~/hooks");
    assert_eq!(fs::read(repo.path.join(".git/config")).unwrap(), config);
}

/// As husky 9 lays its folder out: every hook there sources `h`, which goes by the name it was called with.
#[test]
fn a_replica_of_husky_runs_its_hooks_as_before() {
    let repo = TestRepo::bare_of_receipts(&[]);
    let folder = repo.path.join(".husky/_");
    for name in ["post-commit", "prepare-commit-msg", "post-rewrite"] {
        write_hook(&folder.join(name), "#!/usr/bin/env sh\n. \"$(dirname \"$0\")/h\"", 0o755);
    }
    let dispatch = "n=$(basename \"$0\")\ns=$(dirname \"$(dirname \"$0\")\")/$n\n[ ! -f \"$s\" ] && exit 0\nsh -e \"$s\" \"$@\"\nc=$?\nexit $c\n";
    write_hook(&folder.join("h"), dispatch, 0o644);
    write_hook(&repo.path.join(".husky/post-commit"), "echo husky > ran\n", 0o644);
    fs::write(folder.join(".gitignore"), "*").unwrap();
    repo.git(&["config", "core.hooksPath", ".husky/_"]);
    let before = contents(&folder);
    repo.receipt(&["init", "--no-man"]);
    assert!(binds(&repo));
    assert_eq!(fs::read_to_string(repo.path.join("ran")).unwrap(), "husky\n");
    // A fresh `npm install` writes its files anew.
    write_hook(&folder.join("post-commit"), "#!/usr/bin/env sh\n. \"$(dirname \"$0\")/h\"", 0o755);
    repo.receipt(&["hooks", "install"]);
    assert!(binds(&repo));
    repo.receipt(&["deinit"]);
    assert_eq!(contents(&folder), before);
}

/// As pre-commit installs itself: what it finds becomes `.legacy`, and its own hook calls that.
#[test]
fn a_hook_that_pre_commit_took_over_goes_and_the_one_before_it_stays() {
    let repo = TestRepo::bare_of_receipts(&[]);
    let hooks = repo.path.join(".git/hooks");
    write_hook(&hooks.join("post-commit"), "#!/bin/sh\necho mine >> ran\n", 0o755);
    repo.receipt(&["init", "--no-man"]);
    fs::rename(hooks.join("post-commit"), hooks.join("post-commit.legacy")).unwrap();
    let theirs = "#!/usr/bin/env bash\n\"$(dirname \"$0\")/post-commit.legacy\" \"$@\"\n";
    write_hook(&hooks.join("post-commit"), theirs, 0o755);
    repo.receipt(&["hooks", "install"]);
    assert!(binds(&repo));
    assert_eq!(fs::read_to_string(repo.path.join("ran")).unwrap(), "mine\n");
    repo.receipt(&["hooks", "uninstall"]);
    commit(&repo, "More");
    assert_eq!(fs::read_to_string(repo.path.join("ran")).unwrap(), "mine\nmine\n");
    assert_eq!(fs::read_to_string(hooks.join("post-commit")).unwrap(), theirs);
    assert!(!hooks.join("post-commit.before-git-receipt").exists());
}

#[test]
fn without_the_program_hooks_are_silent_and_commits_work() {
    let repo = TestRepo::new();
    let said = repo.command("git", &repo.path, &["commit", "-qm", "x", "--allow-empty"]).output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    let bare = repo.folder.path().join("bare.git");
    repo.git_in(repo.folder.path(), &["clone", "-q", "--bare", "repo", "bare.git"]);
    let told = repo.command(PROGRAM, &bare, &["hooks", "install"]).output().unwrap();
    assert!(told.status.success() && String::from_utf8_lossy(&told.stderr).contains("bare"), "{told:?}");
}

#[test]
fn a_hook_that_somebody_changed_is_left_alone() {
    let repo = TestRepo::new();
    let hook = repo.path.join(".git/hooks/post-commit");
    let mut text = fs::read_to_string(&hook).unwrap();
    text.push_str("echo mine\n");
    write_hook(&hook, &text, 0o755);
    let said = repo.receipt(&["hooks", "uninstall"]);
    assert!(said.contains("changed by hand"), "{said}");
    assert_eq!(fs::read_to_string(&hook).unwrap(), text);
    assert!(!repo.path.join(".git/hooks/post-rewrite").exists());
}

#[test]
fn trailers_name_the_receipts_whose_work_is_staged() {
    let repo = TestRepo::new();
    repo.git(&["config", "receipt.trailers", "true"]);
    repo.receipt(&["run", "--", "sh", "-c", "echo a > a"]);
    repo.receipt(&["run", "--", "sh", "-c", "echo b > b"]);
    let (list, _) = repo.json(&["list"]);
    let of_a = list["receipts"][1]["receipt"].as_str().unwrap();
    repo.git(&["add", "a", "b"]);
    let mut part = repo.command("git", &repo.path, &["commit", "-qm", "Only a", "--", "a"]);
    part.env("PATH", with_program(&repo));
    check(part);
    assert_eq!(repo.git(&["log", "-1", "--format=%B"]), format!("Only a\n\nReceipt-Id: {of_a}"));
}
