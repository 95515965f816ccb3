//! Two people, an agent and a build server under one policy: what passes, and what does not.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{PROGRAM, TestRepo, check, write};

pub const POLICY: &str = r#"version = 1

[roles]
reviewers = ["ann@example.com", "bob@example.com"]
ci = ["ci@example.com"]

[owners]
"ann+agent@example.com" = "ann@example.com"

[[rule]]
refs = ["refs/heads/main"]
receipt = "accepted"
approvals = 1
approvers = ["reviewers"]
gates = [{ name = "test", command = ["sh", "test.sh"] }]
gate_runners = ["ci"]
grade = "GRADE"
"#;

/// A project with its policy, its keys and a commit to start from.
pub struct Project {
    pub repo: TestRepo,
    /// What is trusted: the commit with policy and signers.
    pub root: String,
}

impl Project {
    pub fn new(grade: &str) -> Self {
        Self::under(&POLICY.replace("GRADE", grade))
    }

    /// A project with another policy.
    pub fn under(policy: &str) -> Self {
        let repo = TestRepo::new();
        let project = Project { repo, root: String::new() };
        let repo = &project.repo;
        let mut signers = String::new();
        for (who, name) in [("bob", "bob@example.com"), ("ci", "ci@example.com"), ("ann", "ann@example.com")]
        {
            std::fs::create_dir_all(project.home(who)).unwrap();
            project.of(who, &["key", "new", "--person"]);
            signers.push_str(&project.public(&project.home(who), "person", name));
        }
        signers.push_str(&project.public(&repo.home(), "recorder", "ann+agent@example.com"));
        write(&repo.path, ".receipts/allowed_signers", &signers);
        write(&repo.path, ".receipts/policy.toml", policy);
        write(&repo.path, "test.sh", "grep -q one a.txt\n");
        write(&repo.path, "a.txt", &numbers(&[]));
        repo.git(&["add", "."]);
        repo.git(&["commit", "-qm", "A policy"]);
        let root = repo.git(&["rev-parse", "HEAD"]);
        Project { root, ..project }
    }

    pub fn home(&self, who: &str) -> PathBuf {
        self.repo.folder.path().join(format!("home-{who}"))
    }

    pub fn public(&self, home: &Path, name: &str, principal: &str) -> String {
        let path = home.join(".config/git-receipt/keys").join(format!("{name}.pub"));
        let key = std::fs::read_to_string(path).unwrap();
        let key: Vec<&str> = key.split(' ').take(2).collect();
        format!("{principal} namespaces=\"git-receipt\" {}\n", key.join(" ").trim())
    }

    /// Runs `git receipt` as somebody.
    pub fn of(&self, who: &str, args: &[&str]) -> String {
        let mut command = self.repo.command(PROGRAM, &self.repo.path, args);
        command.env("HOME", self.home(who));
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_EMAIL"), format!("{who}@example.com"));
        }
        check(command)
    }

    /// Runs `git receipt` with somebody's key for all that is signed.
    fn try_of_key(&self, who: &str, args: &[&str]) -> std::process::Output {
        let key = self.home(who).join(".config/git-receipt/keys/person");
        let mut command = self.repo.command(PROGRAM, &self.repo.path, args);
        command.env("GIT_RECEIPT_KEY_FILE", key);
        command.output().unwrap()
    }

    /// As [`Project::try_of_key`], where that must succeed.
    fn of_key(&self, who: &str, args: &[&str]) -> String {
        let output = self.try_of_key(who, args);
        assert!(output.status.success(), "{}", crate::support::said(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The gate on the files as they are, by the build server's key.
    pub fn gate(&self) {
        let key = self.home("ci").join(".config/git-receipt/keys/person");
        let mut command =
            self.repo.command(PROGRAM, &self.repo.path, &["run", "--gate", "test", "--", "sh", "test.sh"]);
        command.env("GIT_RECEIPT_KEY_FILE", key);
        command.output().unwrap();
    }

    /// The agent proposes `a.txt` with some lines changed.
    pub fn propose(&self, changed: &[u32]) -> String {
        write(&self.repo.path, "a.txt", &numbers(changed));
        self.repo.receipt(&["propose", "-m", "Change", "--restore"])
    }

    pub fn audit(&self, range: &str) -> (Value, i32) {
        self.repo.json(&["audit", range, "--ref", "refs/heads/main"])
    }

    pub fn codes(&self, range: &str) -> Vec<String> {
        let (report, code) = self.audit(range);
        let codes: Vec<String> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| finding["code"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(code == 0, codes.is_empty(), "{report:#}");
        codes
    }

    pub fn since_root(&self) -> String {
        format!("{}..HEAD", self.root)
    }
}

pub fn numbers(changed: &[u32]) -> String {
    let verb = |n| if changed.contains(&n) { "was" } else { "is" };
    (1..=20).map(|n| format!("line {n} {} number one of {n}\n", verb(n))).collect()
}

#[test]
fn without_a_policy_the_first_line_says_that_nothing_was_required() {
    let repo = TestRepo::new();
    let text = repo.receipt(&["audit"]);
    assert!(text.lines().next().unwrap().contains("nothing was required"), "{text}");
}

#[test]
fn a_reviewed_and_checked_change_passes() {
    let project = Project::new("tree");
    let receipt = project.propose(&[2, 9]);
    // Before the gate and before the review nothing passes.
    project.of("bob", &["reject", &receipt, "--lines", "2"]);
    project.of("bob", &["accept", &receipt]);
    assert_eq!(project.codes(&project.since_root()), ["A705"]);
    project.gate();
    let (report, code) = project.audit(&project.since_root());
    assert_eq!(
        (code, &report["verdict"], &report["required"]),
        (0, &"passed".into(), &true.into()),
        "{report:#}"
    );
    let commit = &report["commits"][0];
    assert_eq!((&commit["grade"], &commit["approved_by"][0]), (&"commit".into(), &"bob@example.com".into()));
    assert_eq!(
        (&commit["gates"][0]["by"], &commit["receipts"][0]),
        (&"ci@example.com".into(), &receipt.as_str().into())
    );
    // From a fresh clone, with no key and no cache, the very same bytes.
    let clone = project.repo.folder.path().join("clone");
    let there = clone.to_str().unwrap();
    project.repo.git(&["clone", "-q", "--no-local", ".", there]);
    project.repo.git_in(&clone, &["fetch", "-q", "origin", "refs/receipts/*:refs/receipts/*"]);
    let args = ["audit", &project.since_root(), "--ref", "refs/heads/main", "--format"];
    for format in ["text", "json", "sarif", "junit", "markdown"] {
        let here = project.repo.receipt(&[&args[..], &[format]].concat());
        let mut elsewhere = project.repo.command(PROGRAM, &clone, &[&args[..], &[format]].concat());
        elsewhere.env("HOME", project.home("bob")).env("LC_ALL", "de_DE.UTF-8");
        assert_eq!(check(elsewhere), here, "{format}");
    }
}

#[test]
fn a_rollback_counts_as_its_signers_approval_and_only_where_it_gives_the_tree() {
    for (may, codes) in [("false", &["A704"][..]), ("true", &[])] {
        let project = Project::new("tree");
        let repo = &project.repo;
        let policy = std::fs::read_to_string(repo.path.join(".receipts/policy.toml")).unwrap();
        write(&repo.path, ".receipts/policy.toml", &format!("{policy}author_may_approve = {may}\n"));
        repo.git(&["commit", "-qam", "Who may"]);
        let root = repo.git(&["rev-parse", "HEAD"]);
        let receipt = project.propose(&[2, 9]);
        project.of("bob", &["accept", &receipt]);
        project.gate();
        let own = project.of("bob", &["rollback", &receipt]);
        project.gate();
        let (report, _) = project.audit(&format!("{root}..HEAD"));
        assert_eq!(project.codes(&format!("{root}..HEAD")), codes, "{report:#}");
        let commit = &report["commits"][1];
        if codes.is_empty() {
            assert_eq!(commit["approved_by"][0], "bob@example.com", "{report:#}");
            assert_eq!(commit["receipts"][0], own.as_str(), "{report:#}");
        }
        // The same words about a commit that does something else count for nothing.
        write(&repo.path, "more.txt", "one\n");
        repo.git(&["add", "."]);
        let trailer = format!("Receipt-Id: {own}");
        repo.git(&["commit", "-q", "--amend", "-m", "Roll back more", "--trailer", &trailer]);
        project.gate();
        assert!(!project.codes(&format!("{root}..HEAD")).is_empty());
    }
    // Where more are needed, it is proposed.
    let project = Project::new("tree");
    let receipt = project.propose(&[2]);
    project.of("bob", &["accept", &receipt]);
    project.gate();
    let proposal = project.repo.receipt(&["rollback", &receipt, "--propose"]);
    project.of("bob", &["accept", &proposal]);
    project.gate();
    assert_eq!(project.codes(&project.since_root()), [""; 0]);
}

/// A project where bob may approve what he rolls back, and a receipt with two lines that landed.
fn rolled_back_by_bob(grade: &str) -> (Project, String) {
    let may = POLICY.replace("GRADE", grade) + "author_may_approve = true\n";
    let project = Project::under(&may);
    let receipt = project.propose(&[2, 9]);
    project.of("bob", &["accept", &receipt]);
    project.gate();
    (project, receipt)
}

#[test]
fn a_rollback_that_was_rewritten_counts_where_it_gives_the_new_commit() {
    let (project, receipt) = rolled_back_by_bob("lines");
    let repo = &project.repo;
    let own = project.of("bob", &["rollback", &receipt]);
    let grade = |own: &str| {
        project.gate();
        let (report, _) = project.audit(&project.since_root());
        assert_eq!(project.codes(&project.since_root()), [""; 0], "{report:#}");
        let last = report["commits"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["receipts"][0], &last["approved_by"][0]), (&own.into(), &"bob@example.com".into()));
        last["grade"].as_str().unwrap().to_owned()
    };
    assert_eq!(grade(&own), "commit");
    // Only the words; whether anything was told of it or not.
    repo.git(&["commit", "-q", "--amend", "-m", "In other words"]);
    assert_eq!(grade(&own), "tree");
    // Over another change of the same file, which somebody accepted.
    repo.git(&["reset", "-q", "--hard", "HEAD^"]);
    let other = project.propose(&[2, 9, 15]);
    project.of("bob", &["accept", &other]);
    project.gate();
    let below = repo.git(&["rev-parse", "HEAD"]);
    write(&repo.path, "a.txt", &numbers(&[15]));
    let trailer = format!("Receipt-Id: {own}");
    repo.git(&["commit", "-qam", "Roll back", "--trailer", &trailer]);
    assert_eq!(grade(&own), "patch");
    // One line more, one line less, and nothing that names it.
    for (changed, words) in [(&[][..], trailer.as_str()), (&[9, 15], &trailer), (&[15], "Nothing: said")] {
        repo.git(&["reset", "-q", "--hard", &below]);
        write(&repo.path, "a.txt", &numbers(changed));
        repo.git(&["commit", "-qam", "Roll back", "--trailer", words]);
        project.gate();
        assert_eq!(project.codes(&project.since_root()), ["A702"], "{changed:?} {words}");
    }
}

#[test]
fn the_signature_of_a_rollback_is_used_up_and_takes_no_more_than_its_signer_saw() {
    let (project, receipt) = rolled_back_by_bob("lines");
    let repo = &project.repo;
    let own = project.of("bob", &["rollback", &receipt]);
    project.gate();
    project.of("bob", &["rollback", &own]);
    project.gate();
    assert_eq!(project.codes(&project.since_root()), [""; 0]);
    // It was brought back, and the old signature shall take it once more.
    let trailer = format!("Receipt-Id: {own}");
    write(&repo.path, "a.txt", &numbers(&[]));
    repo.git(&["commit", "-qam", "Roll back", "--trailer", &trailer]);
    project.gate();
    assert_eq!(project.codes(&project.since_root()), ["A702"]);

    // Staged when one line had landed, committed when two have.
    let may = POLICY.replace("GRADE", "lines") + "author_may_approve = true\n";
    let project = Project::under(&may);
    let repo = &project.repo;
    let receipt = project.propose(&[2, 9]);
    project.of("bob", &["accept", &receipt, "--lines", "1", "--apply"]);
    project.gate();
    let own = project.of("bob", &["rollback", &receipt, "--stage"]);
    repo.git(&["reset", "-q", "--hard"]);
    project.of("bob", &["accept", &receipt]);
    project.gate();
    write(&repo.path, "a.txt", &numbers(&[]));
    repo.git(&["commit", "-qam", "Roll back", "--trailer", &format!("Receipt-Id: {own}")]);
    repo.receipt(&["bind", &own]);
    project.gate();
    assert_eq!(project.codes(&project.since_root()), ["A702"]);
}

#[test]
fn a_staged_rollback_counts_by_its_binding_and_by_its_trees() {
    let (project, receipt) = rolled_back_by_bob("commit");
    let own = project.of("bob", &["rollback", &receipt, "--stage"]);
    project.repo.git(&["commit", "-qm", "Take it back"]);
    project.gate();
    // Its trees speak for it; that it is this very commit nothing says yet.
    assert_eq!(project.codes(&project.since_root()), ["A708"]);
    project.repo.receipt(&["bind", &own]);
    assert_eq!(project.codes(&project.since_root()), [""; 0]);
}

#[test]
fn who_proposed_it_does_not_approve_it_and_neither_does_their_owner() {
    let project = Project::new("tree");
    let receipt = project.propose(&[2]);
    project.of("ann", &["accept", &receipt]);
    project.gate();
    assert_eq!(project.codes(&project.since_root()), ["A704"]);
    let explained = project.repo.try_receipt(&["policy", "explain", "HEAD"]);
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(text.contains("by bob@example.com signs"), "{text}");
}

#[test]
fn what_nobody_accepted_does_not_pass() {
    let project = Project::new("tree");
    let repo = &project.repo;
    write(&repo.path, "a.txt", &numbers(&[3]));
    repo.git(&["commit", "-qam", "Just so"]);
    project.gate();
    assert_eq!(project.codes(&project.since_root()), ["A702"]);
    repo.git(&["reset", "-q", "--hard", &project.root]);
    // One line more than was accepted.
    let receipt = project.propose(&[2]);
    project.of("bob", &["accept", &receipt]);
    write(&repo.path, "a.txt", &numbers(&[2, 17]));
    repo.git(&["commit", "-qa", "--amend", "--no-edit"]);
    project.gate();
    let (report, _) = project.audit(&project.since_root());
    assert_eq!(report["findings"][0]["code"], "A702", "{report:#}");
    assert_eq!(report["findings"][0]["path"], "a.txt");
    repo.git(&["reset", "-q", "--hard", &project.root]);
    // The tree of an accepted commit, brought back over a fix.
    let receipt = project.propose(&[5]);
    project.of("bob", &["accept", &receipt]);
    let accepted = repo.git(&["rev-parse", "HEAD^{tree}"]);
    repo.git(&["reset", "-q", "--hard", &project.root]);
    write(&repo.path, "fix.txt", "a fix\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "A fix"]);
    let commit = repo.git(&["commit-tree", &accepted, "-p", "HEAD", "-m", "Change"]);
    repo.git(&["reset", "-q", "--hard", &commit]);
    project.gate();
    assert_eq!(project.codes("HEAD"), ["A702"]);
}

#[test]
fn a_policy_cannot_let_itself_in_and_what_was_trusted_stays() {
    let project = Project::new("tree");
    let repo = &project.repo;
    write(
        &repo.path,
        ".receipts/policy.toml",
        &POLICY.replace("GRADE", "tree").replace("approvals = 1", "approvals = 2"),
    );
    repo.git(&["commit", "-qam", "Another policy"]);
    project.gate();
    assert_eq!(project.codes(&project.since_root()), ["A702"]);
    write(&repo.path, ".receipts/policy.toml", "version = 1\n[[rules]]\n");
    repo.git(&["commit", "-qam", "A broken one"]);
    write(&repo.path, "a.txt", "one\n");
    repo.git(&["commit", "-qam", "Under the broken one"]);
    let codes = project.codes("HEAD");
    assert_eq!(codes, ["A710"]);
    // A rewind, and a branch from before that merged and is pushed as if it had been there.
    let late = repo.git(&["rev-parse", "HEAD"]);
    assert_eq!(project.codes(&format!("{late}..{}", project.root)), ["A709"]);
    repo.git(&["checkout", "-q", "-b", "old", &format!("{}^", project.root)]);
    repo.git(&["merge", "-q", "--no-ff", "--no-edit", &project.root]);
    assert!(project.codes(&format!("{}..HEAD", project.root)).contains(&"A709".to_owned()));
}

#[test]
fn evidence_survives_a_reworded_message_a_rebase_and_a_squash() {
    let project = Project::new("lines");
    let repo = &project.repo;
    let receipt = project.propose(&[2]);
    project.of("bob", &["accept", &receipt]);
    repo.git(&["commit", "-q", "--amend", "-m", "Other words"]);
    project.gate();
    let grade = |range: &str| project.audit(range).0["commits"][0]["grade"].as_str().unwrap().to_owned();
    assert_eq!(project.codes(&project.since_root()), Vec::<String>::new());
    assert_eq!(grade(&project.since_root()), "tree");
    let reworded = repo.git(&["rev-parse", "HEAD"]);
    // Upon another change, which has a receipt of its own.
    repo.git(&["reset", "-q", "--hard", &project.root]);
    let other = project.propose(&[15]);
    project.of("bob", &["accept", &other]);
    project.gate();
    let main = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["cherry-pick", &reworded]);
    project.gate();
    assert_eq!(project.codes(&format!("{main}..HEAD")), Vec::<String>::new());
    assert_eq!(grade(&format!("{main}..HEAD")), "patch");
    // Both as one commit.
    repo.git(&["reset", "-q", "--soft", &project.root]);
    repo.git(&["commit", "-qm", "Both"]);
    project.gate();
    assert_eq!(project.codes(&project.since_root()), Vec::<String>::new());
    assert_eq!(grade(&project.since_root()), "lines");
}

#[test]
fn merges_are_looked_into_and_must_be_what_git_makes_of_them() {
    let project = Project::new("tree");
    let repo = &project.repo;
    repo.git(&["checkout", "-q", "-b", "topic"]);
    let receipt = project.propose(&[2]);
    project.of("bob", &["accept", &receipt]);
    project.gate();
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "--no-edit", "topic"]);
    let (report, code) = project.audit(&project.since_root());
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["commits"].as_array().unwrap().len(), 2, "{report:#}");
    repo.git(&["reset", "-q", "--hard", &project.root]);
    repo.git(&["merge", "-q", "--no-ff", "--no-commit", "topic"]);
    write(&repo.path, "sneaked", "in\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "A merge"]);
    project.gate();
    let codes = project.codes(&project.since_root());
    assert!(codes.contains(&"A711".to_owned()), "{codes:?}");
}

#[test]
fn a_shallow_clone_does_not_pass_for_want_of_a_policy() {
    let project = Project::new("tree");
    let repo = &project.repo;
    write(&repo.path, "a.txt", &numbers(&[3]));
    repo.git(&["commit", "-qam", "Just so"]);
    let clone = repo.folder.path().join("shallow");
    let url = format!("file://{}", repo.path.display());
    repo.git(&["clone", "-q", "--depth=1", &url, clone.to_str().unwrap()]);
    let (report, code) = repo.json_in(&clone, &["audit", "HEAD", "--ref", "refs/heads/main"]);
    assert_eq!((code, &report["findings"][0]["code"]), (4, &"A714".into()), "{report:#}");
}

#[cfg(unix)]
#[test]
fn a_push_is_judged_before_anything_goes_out() {
    let project = Project::new("tree");
    let repo = &project.repo;
    let remote = repo.folder.path().join("remote.git");
    repo.git(&["clone", "-q", "--bare", ".", remote.to_str().unwrap()]);
    repo.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    repo.git(&["fetch", "-q"]);
    let push = |args: &[&str]| {
        let mut command = repo.command("git", &repo.path, &[&["push", "-q", "origin"], args].concat());
        command.env("PATH", crate::hook_files::with_program(repo));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    write(&repo.path, "a.txt", &numbers(&[3]));
    repo.git(&["commit", "-qam", "Just so"]);
    project.gate();
    let (pushed, said) = push(&["main"]);
    assert!(!pushed && said.contains("A702"), "{said}");
    // No rule is about another branch, and a policy that does not parse is about all of them.
    assert!(push(&["main:refs/heads/topic"]).0);
    assert!(push(&[":refs/heads/topic"]).0);
    let (deleted, said) = push(&[":refs/heads/main"]);
    assert!(!deleted && said.contains("A716"), "{said}");
    repo.git(&["reset", "-q", "--hard", &project.root]);
    let receipt = project.propose(&[2]);
    project.of("bob", &["accept", &receipt]);
    project.gate();
    let (pushed, said) = push(&["main"]);
    assert!(pushed, "{said}");
    repo.git(&["reset", "-q", "--hard", &project.root]);
    let (forced, said) = push(&["--force", "main"]);
    assert!(!forced && said.contains("A709"), "{said}");
    assert!(push(&["--no-verify", "--force", "main"]).0);
}

#[test]
fn policies_are_written_checked_and_explained() {
    let repo = TestRepo::new();
    assert!(repo.receipt(&["policy", "init"]).contains("policy.toml"));
    assert_eq!(repo.try_receipt(&["policy", "init"]).status.code(), Some(2), "twice is once too many");
    let (checked, code) = repo.json(&["policy", "check"]);
    assert_eq!((code, checked["rules"].as_array().unwrap().len()), (0, 1));
    write(&repo.path, ".receipts/policy.toml", "version = 1\nrule = 3\n");
    let refused = repo.try_receipt(&["policy", "check"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("line 2, column"), "{said}");
}

#[test]
fn nobody_takes_back_by_what_others_say_or_in_what_others_opened() {
    let (project, receipt) = rolled_back_by_bob("tree");
    let repo = &project.repo;
    let landed = repo.git(&["rev-parse", "HEAD"]);
    // A receipt that is only bound, and a commit of somebody else's that another key binds it to.
    let work = repo.receipt(&["open", "-m", "Work"]);
    for (file, who) in [("mine.txt", None), ("theirs.txt", Some("bob"))] {
        write(&repo.path, file, "new\n");
        repo.git(&["add", file]);
        repo.git(&["commit", "-qm", file]);
        match who {
            None => drop(repo.receipt(&["bind", &work])),
            Some(who) => drop(project.of_key(who, &["bind", &work])),
        }
    }
    let (report, code) = repo.json(&["rollback", &work, "--dry-run"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["undone"]["taken"].as_array().unwrap().len(), 1, "{report:#}");
    assert!(report["patch"].as_str().unwrap().contains("mine.txt"), "{report:#}");

    // What bob says in it of a rollback is not his to say; in a receipt of his own, a merge is none.
    let oid = |rev: &str| format!("sha1:{}", repo.git(&["rev-parse", rev]));
    repo.git(&["checkout", "-q", "-b", "undo", &landed]);
    write(&repo.path, "a.txt", &numbers(&[]));
    repo.git(&["commit", "-qam", "Back"]);
    let back = repo.git(&["rev-parse", "HEAD"]);
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let side = repo.git(&["commit-tree", &format!("{landed}^{{tree}}"), "-p", &landed, "-m", "Beside"]);
    let merge = repo.git(&["commit-tree", &tree, "-p", &landed, "-p", &side, "-m", "Back"]);
    let say = |own: &str, commit: &str| {
        let data = serde_json::json!({
            "of": receipt,
            "commit": oid(commit),
            "from_tree": oid(&format!("{landed}^{{tree}}")),
            "to_tree": oid(&format!("{commit}^{{tree}}")),
        });
        let line = serde_json::json!({"kind": "rollback.applied", "data": data});
        write(&repo.path, "../line.jsonl", &format!("{line}\n"));
        project.try_of_key("bob", &["record", "--receipt", own, "../line.jsonl"])
    };
    say(&work, &back);
    repo.receipt(&["close", &work, "--status", "completed"]);
    project.gate();
    assert!(!project.codes(&format!("{landed}..{back}")).is_empty());
    let own = project.of_key("bob", &["open", "-m", "Back"]);
    assert!(say(&own, &merge).status.success());
    assert!(!project.codes(&format!("{landed}..{merge}")).is_empty());
    assert!(say(&own, &back).status.success());
    assert_eq!(project.codes(&format!("{landed}..{back}")), [""; 0]);
}
