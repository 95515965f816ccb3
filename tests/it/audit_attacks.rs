//! Ways around a policy, and what has no say in it: each ends in a finding, or changes nothing.

use crate::audit::{POLICY, Project, numbers};
use crate::support::{PROGRAM, check, write};

const BOUND: &str = r#"version = 1
[[rule]]
refs = ["refs/heads/*"]
"#;

fn commit_all(project: &Project, message: &str) -> String {
    project.repo.git(&["add", "-A"]);
    project.repo.git(&["commit", "-qm", message]);
    project.repo.git(&["rev-parse", "HEAD"])
}

/// Lets Bob accept what is proposed, upon HEAD, with the gate run on it.
fn land(project: &Project, changed: &[u32]) -> String {
    let receipt = project.propose(changed);
    project.of("bob", &["accept", &receipt]);
    project.gate();
    receipt
}

#[test]
fn what_was_taken_back_needs_a_new_acceptance() {
    let project = Project::new("lines");
    let repo = &project.repo;
    land(&project, &[2]);
    let accepted = repo.git(&["rev-parse", "HEAD"]);
    land(&project, &[]);
    assert!(project.codes(&project.since_root()).is_empty());
    repo.git(&["cherry-pick", &accepted]);
    project.gate();
    assert_eq!(project.codes("HEAD"), ["A702"]);
    repo.git(&["reset", "-q", "--hard", "HEAD~"]);
    land(&project, &[15]);
    repo.git(&["cherry-pick", &accepted]);
    project.gate();
    assert_eq!(project.codes("HEAD"), ["A702"]);
    // Elsewhere, where they never were, they count.
    repo.git(&["checkout", "-q", "-b", "release", &project.root]);
    repo.git(&["cherry-pick", &accepted]);
    assert!(project.codes(&project.since_root()).is_empty());
}

#[test]
fn a_hunk_at_another_place_is_not_what_was_accepted() {
    let project = Project::new("lines");
    let repo = &project.repo;
    write(&repo.path, "b.txt", &"same\n".repeat(30));
    let base = commit_all(&project, "Many equal lines");
    let mut lines = vec!["same"; 30];
    lines[4] = "other";
    write(&repo.path, "b.txt", &(lines.join("\n") + "\n"));
    let receipt = repo.receipt(&["propose", "-m", "Change", "--restore"]);
    project.of("bob", &["accept", &receipt]);
    lines.swap(4, 22);
    write(&repo.path, "b.txt", &(lines.join("\n") + "\n"));
    repo.git(&["commit", "-qa", "--amend", "--no-edit"]);
    project.gate();
    let (report, code) = project.audit(&format!("{base}..HEAD"));
    let finding = &report["findings"][0];
    assert_eq!(
        (code, &finding["code"], &finding["path"]),
        (1, &"A702".into(), &"b.txt".into()),
        "{report:#}"
    );
    assert!(finding["hint"].as_str().unwrap().contains("git receipt propose --base"), "{report:#}");
}

#[test]
fn a_merge_cannot_undo_in_silence_what_one_side_has() {
    let policy = POLICY
        .replace("GRADE", "tree")
        .replace("receipt = \"accepted\"", "paths = [\"/src/\"]\nreceipt = \"accepted\"");
    let project = Project::under(&policy);
    let repo = &project.repo;
    write(&repo.path, "src/code", "bug\n");
    let before = commit_all(&project, "Code");
    write(&repo.path, "src/code", "fix\n");
    let fix = commit_all(&project, "A fix");
    // A merge whose tree is its first parent's, upon which the second merge is as clean as can be.
    let tree = |commit: &str| repo.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
    let other = repo.git(&["commit-tree", &tree(&before), "-p", &before, "-m", "Nothing"]);
    let swapped = ["commit-tree", &tree(&before), "-p", &other, "-p", &fix, "-m", "A merge"];
    let swapped = repo.git(&swapped);
    let clean = ["commit-tree", &tree(&before), "-p", &fix, "-p", &swapped, "-m", "Another"];
    let clean = repo.git(&clean);
    let codes = project.codes(&format!("{fix}..{clean}"));
    assert!(codes.contains(&"A711".to_owned()) && codes.contains(&"A702".to_owned()), "{codes:?}");
}

#[test]
fn no_local_setting_changes_a_verdict() {
    let project = Project::new("tree");
    let repo = &project.repo;
    write(&repo.path, "a.txt", &numbers(&[3]));
    let hidden = commit_all(&project, "Nobody agreed");
    land(&project, &[3, 9]);
    // Two sides that conflict, settled by hand, and two that do not.
    repo.git(&["checkout", "-q", "-b", "side", &project.root]);
    write(&repo.path, "a.txt", &numbers(&[3, 4]));
    commit_all(&project, "Side");
    repo.git(&["checkout", "-q", "main"]);
    let mut merge = repo.command("git", &repo.path, &["merge", "-q", "side"]);
    assert!(!merge.output().unwrap().status.success());
    write(&repo.path, "a.txt", &numbers(&[3, 4, 9]));
    commit_all(&project, "By hand");
    let report = project.audit(&project.since_root());
    assert_eq!(report.1, 1);
    std::fs::create_dir_all(repo.path.join(".git/info")).unwrap();
    std::fs::write(repo.path.join(".git/info/attributes"), "* merge=union\n").unwrap();
    let graft = format!("{} {}\n", repo.git(&["rev-parse", "HEAD~"]), project.root);
    std::fs::write(repo.path.join(".git/info/grafts"), graft).unwrap();
    for (key, value) in [
        ("merge.default", "union"),
        ("merge.renames", "false"),
        ("diff.algorithm", "patience"),
        ("core.autocrlf", "true"),
        ("init.defaultBranch", "side"),
        ("receipt.defaultBranch", "side"),
        ("i18n.logOutputEncoding", "latin1"),
        ("log.date", "bogus"),
    ] {
        repo.git(&["config", key, value]);
    }
    repo.git(&["replace", &hidden, &project.root]);
    let mut command = repo.command(
        PROGRAM,
        &repo.path,
        &["audit", &project.since_root(), "--ref", "refs/heads/main", "--json"],
    );
    command.env("LC_ALL", "de_DE.UTF-8").env("GIT_CONFIG_COUNT", "1");
    command.env("GIT_CONFIG_KEY_0", "merge.default").env("GIT_CONFIG_VALUE_0", "union");
    let output = command.output().unwrap();
    let again: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((again, output.status.code()), (report.0, Some(1)));
}

#[test]
fn a_revocation_counts_from_where_it_is_said_and_cannot_be_pushed_on() {
    let project = Project::new("tree");
    let repo = &project.repo;
    land(&project, &[2]);
    let key = project.of("bob", &["key", "show", "person"]);
    let key = key.split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap().to_owned();
    repo.receipt(&["key", "revoke", &key]);
    let file = repo.path.join(".receipts/revoked");
    let once = std::fs::read_to_string(&file).unwrap();
    let revoked = commit_all(&project, "Bob's key was stolen");
    land(&project, &[2, 9]);
    assert_eq!(project.codes(&format!("{revoked}..HEAD")), ["A702"]);
    assert!(project.codes(&project.since_root()).contains(&"A702".to_owned()));
    // What came before stands, and saying it again makes nothing good that was signed since.
    assert!(project.codes(&format!("{}..{revoked}~", project.root)).is_empty());
    repo.receipt(&["key", "revoke", &key]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), once);
}

#[test]
fn another_binding_hides_nothing_and_lends_nothing() {
    let project = Project::new("patch");
    let repo = &project.repo;
    land(&project, &[2]);
    let landed = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["reset", "-q", "--hard", &project.root]);
    land(&project, &[15]);
    let main = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["cherry-pick", "--no-commit", &landed]);
    repo.git(&["commit", "-qm", "Picked, without a word"]);
    project.gate();
    let range = format!("{main}..HEAD");
    assert!(project.codes(&range).is_empty());
    let other = repo.receipt(&["open", "-m", "Something else"]);
    repo.receipt(&["bind", &other, "HEAD"]);
    repo.receipt(&["close", &other, "--status", "completed"]);
    assert!(project.codes(&range).is_empty());
    repo.git(&["commit", "-q", "--amend", "-m", &format!("Picked\n\nReceipt-Id: {other}")]);
    assert!(project.codes(&range).is_empty());
    // A receipt that is not here might say anything.
    write(&repo.path, "a.txt", &numbers(&[1]));
    repo.git(&["commit", "-qam", "More\n\nReceipt-Id: 01J00000000000000000000000"]);
    project.gate();
    let (report, code) = project.audit("HEAD");
    assert_eq!((code, &report["findings"][0]["code"]), (4, &"A714".into()), "{report:#}");
}

#[test]
fn files_of_trust_that_cannot_be_used_let_nothing_pass() {
    let project = Project::new("tree");
    let repo = &project.repo;
    std::fs::rename(repo.path.join(".receipts"), repo.path.join("trust")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("trust", repo.path.join(".receipts")).unwrap();
    commit_all(&project, "A link");
    write(&repo.path, "a.txt", &numbers(&[4]));
    commit_all(&project, "Under it");
    assert_eq!(project.codes("HEAD"), ["A710"]);
    repo.git(&["reset", "-q", "--hard", &project.root]);
    for (file, text, code) in [
        (".receipts/allowed_signers", "* ssh-ed25519 AAAA\n", "A715"),
        (".receipts/revoked", "nonsense\n", "A715"),
        (".receipts/policy.toml", "version = 2\n", "A710"),
    ] {
        write(&repo.path, file, text);
        let checked = repo.try_receipt(&["policy", "check"]);
        assert_eq!(checked.status.code(), Some(1), "{file}");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(said.contains("line 1, column"), "{file}: {said}");
        commit_all(&project, "Broken");
        write(&repo.path, "a.txt", &numbers(&[4]));
        commit_all(&project, "Under it");
        let (report, exit) = project.audit("HEAD");
        assert_eq!((exit, &report["findings"][0]["code"]), (1, &code.into()), "{file}: {report:#}");
        // With a sound one to stand in it can be mended.
        let (report, _) =
            repo.json(&["audit", "HEAD", "--ref", "refs/heads/main", "--policy-from", &project.root]);
        assert_eq!(report["findings"][0]["code"], "A702", "{file}: {report:#}");
        repo.git(&["reset", "-q", "--hard", &project.root]);
    }
}

#[test]
fn a_policy_that_only_warns_stops_nothing() {
    let warn = format!("{BOUND}enforce = \"warn\"\n");
    let project = Project::under(&warn);
    let repo = &project.repo;
    write(&repo.path, "a.txt", &numbers(&[4]));
    commit_all(&project, "Just so");
    let (report, code) = project.audit(&project.since_root());
    assert_eq!((code, &report["verdict"]), (0, &"warned".into()), "{report:#}");
    // A rewind is a warning then as well.
    let (report, code) = project.audit(&format!("HEAD..{}", project.root));
    assert_eq!((code, &report["findings"][0]["level"]), (0, &"warning".into()), "{report:#}");
}

#[test]
fn one_person_counts_once_whatever_keys_they_have() {
    let policy = POLICY
        .replace("GRADE", "tree")
        .replace("approvals = 1", "approvals = 2")
        .replace("\"bob@example.com\"]", "\"bob@example.com\", \"carol@example.com\"]");
    let project = Project::under(&policy);
    let repo = &project.repo;
    let mut signers = std::fs::read_to_string(repo.path.join(".receipts/allowed_signers")).unwrap();
    for (who, name) in [("bob2", "bob@example.com"), ("carol", "carol@example.com")] {
        std::fs::create_dir_all(project.home(who)).unwrap();
        project.of(who, &["key", "new", "--person"]);
        signers.push_str(&project.public(&project.home(who), "person", name));
    }
    write(&repo.path, ".receipts/allowed_signers", &signers);
    commit_all(&project, "More keys");
    let base = repo.git(&["rev-parse", "HEAD"]);
    let receipt = project.propose(&[2]);
    for who in ["bob", "bob2"] {
        project.of(who, &["accept", &receipt, "--lines", "1"]);
    }
    project.of("bob", &["apply", &receipt]);
    project.gate();
    assert_eq!(project.codes(&format!("{base}..HEAD")), ["A703"]);
    // The very commit, proposed again, with somebody else's word as well.
    let again = repo.receipt(&["propose", "-m", "As it is", "--base", "HEAD~", "--tree", "HEAD"]);
    for who in ["bob", "carol"] {
        project.of(who, &["accept", &again, "--lines", "1"]);
    }
    assert!(project.codes(&format!("{base}..HEAD")).is_empty());
}

#[test]
fn a_shallow_clone_believes_no_other_project() {
    let project = Project::under(BOUND);
    let repo = &project.repo;
    for number in 1..5 {
        write(&repo.path, "a.txt", &numbers(&[number]));
        commit_all(&project, "Just so");
    }
    let clone = repo.folder.path().join("shallow");
    let url = format!("file://{}", repo.path.display());
    repo.git(&["clone", "-q", "--depth=3", &url, clone.to_str().unwrap()]);
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    repo.receipt(&["bind", &receipt, "HEAD"]);
    repo.git_in(&clone, &["fetch", "-q", "origin", "refs/receipts/*:refs/receipts/*"]);
    let (report, code) = repo.json_in(&clone, &["audit", "HEAD~..HEAD", "--ref", "refs/heads/main"]);
    assert_eq!((code, &report["findings"][0]["code"]), (4, &"A714".into()), "{report:#}");
    assert!(project.codes("HEAD").is_empty());
}

#[test]
fn ranges_and_refs_that_say_nothing_are_refused() {
    let project = Project::new("tree");
    for range in ["..HEAD", "HEAD..", "HEAD...HEAD", "nowhere"] {
        assert_eq!(project.repo.try_receipt(&["audit", range]).status.code(), Some(2), "{range}");
    }
    for name in ["", "refs/heads/", "HEAD", "a b", "refs/heads/.x"] {
        let output = project.repo.try_receipt(&["audit", "HEAD", "--ref", name]);
        assert_eq!(output.status.code(), Some(2), "{name:?}");
    }
    // Short names are meant as git means them.
    write(&project.repo.path, "a.txt", &numbers(&[3]));
    commit_all(&project, "Just so");
    for name in ["main", "heads/main", "refs/heads/main"] {
        let (_, code) = project.repo.json(&["audit", "HEAD", "--ref", name]);
        assert_eq!(code, 1, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_push_is_judged_wherever_it_goes_and_whatever_it_names() {
    let policy = POLICY
        .replace("GRADE", "tree")
        .replace("refs = [\"refs/heads/main\"]", "refs = [\"refs/heads/*\", \"refs/tags/*\"]");
    let project = Project::under(&policy);
    let repo = &project.repo;
    let remote = repo.folder.path().join("remote.git");
    let there = remote.to_str().unwrap().to_owned();
    repo.git(&["clone", "-q", "--bare", ".", &there]);
    repo.git(&["remote", "add", "origin", &there]);
    repo.git(&["fetch", "-q"]);
    let push = |args: &[&str]| {
        let mut command = repo.command("git", &repo.path, &[&["push", "-q"], args].concat());
        command.env("PATH", crate::hook_files::with_program(repo));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let refused = |args: &[&str], code: &str| {
        let (pushed, said) = push(args);
        assert!(!pushed && said.contains(code), "{args:?}: {said}");
    };
    write(&repo.path, "a.txt", &numbers(&[3]));
    commit_all(&project, "Just so");
    project.gate();
    refused(&[&there, "main"], "A702");
    refused(&["origin", "main:refs/heads/topic/x"], "A702");
    refused(&["origin", "HEAD:refs/tags/v1"], "A702");
    repo.git(&["tag", "tree", "HEAD^{tree}"]);
    refused(&["origin", "tree"], "would name no commit");
    repo.git(&["tag", "-a", "-m", "x", "good", &project.root]);
    assert!(push(&["origin", "good"]).0);
    refused(&["origin", ":good"], "A716");
    // Where nothing is known of the remote, its own branch being bad makes it no better.
    let empty = repo.folder.path().join("empty.git");
    repo.git(&["init", "-q", "--bare", empty.to_str().unwrap()]);
    repo.git(&["remote", "add", "other", empty.to_str().unwrap()]);
    refused(&["other", "main"], "A702");
    // A branch with a history of its own is judged by what is trusted.
    repo.git(&["checkout", "-q", "--orphan", "orphan"]);
    commit_all(&project, "From nothing");
    refused(&["origin", "orphan"], "A702");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["reset", "-q", "--hard", &project.root]);
    land(&project, &[2]);
    let (pushed, said) = push(&["origin", "main", "main:refs/heads/topic/y"]);
    assert!(pushed, "{said}");
}

#[test]
fn a_build_gets_all_forms_from_one_script() {
    let project = Project::new("tree");
    let repo = &project.repo;
    write(&repo.path, "a.txt", &numbers(&[3]));
    commit_all(&project, "Just so");
    let clone = repo.folder.path().join("build");
    repo.git(&["clone", "-q", ".", clone.to_str().unwrap()]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ci/audit.sh");
    let run = |base: &str| {
        let mut command = repo.command("sh", &clone, &[script]);
        let folder = std::path::Path::new(PROGRAM).parent().unwrap().display().to_string();
        command.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
        command.env("BASE", base).env("REF", "refs/heads/main");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = run(&project.root);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("A702"), "{said}");
    for (file, begins) in
        [("receipts.json", "{"), ("receipts.sarif", "{"), ("receipts.xml", "<?xml"), ("receipts.md", "#")]
    {
        let text = std::fs::read_to_string(clone.join(file)).unwrap();
        assert!(text.starts_with(begins), "{file}: {text}");
    }
    assert_eq!(run(&"0".repeat(40)).0, Some(0), "a branch that is not ahead of the default one");
    assert_eq!(run("").0, Some(2));
    // After a squash, all the receipts that messages name are bound.
    let receipt = land(&project, &[3, 8]);
    repo.git(&["reset", "-q", "--soft", "HEAD~"]);
    repo.git(&["commit", "-qm", &format!("Topic (#1)\n\n* Change\n\n  Receipt-Id: {receipt}\n\nThe end")]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ci/rebind.sh");
    let mut command = repo.command("sh", &repo.path, &[script, "HEAD"]);
    let folder = std::path::Path::new(PROGRAM).parent().unwrap().display().to_string();
    command.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
    assert!(check(command).contains(&receipt));
}
