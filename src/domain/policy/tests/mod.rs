//! What a policy says once it is read.

pub(crate) mod patterns;
mod refusals;

use proptest::prelude::*;

use super::*;

/// Words that stand for the beginnings that most texts share.
fn fill(text: &str) -> String {
    text.replace("RULE", "version = 1\n[[rule]]\nrefs = [\"refs/heads/main\"]\n")
        .replace("ROLES", "version = 1\n[roles]\nr = [\"ann\", \"bob\"]\ns = [\"bob\"]\n")
        .replace(
            "WORK",
            "[[rule]]\nrefs = [\"refs/heads/main\"]\nreceipt = \"accepted\"\napprovers = [\"r\"]\n",
        )
}

fn policy(text: &str) -> Policy {
    Policy::parse(&fill(text)).unwrap_or_else(|problem| panic!("{problem}: {text}"))
}

fn only_rule(text: &str) -> Rule {
    let policy = policy(text);
    let [rule] = policy.rules() else { panic!("not one rule: {text}") };
    rule.clone()
}

const EVERYTHING: &str = r#"
version = 1
repos = ["sha1:4b825dc642cb6eb9a060e54bf8d69288fbee4904"]
[roles]
reviewers = ["alice@example.com", "bob@example.com"]
ci = ["ci@example.com"]
[owners]
"alice+agent@example.com" = "alice@example.com"
"alice+agent+sub@example.com" = "alice+agent@example.com"

[[rule]]
refs = ["refs/heads/main", "refs/heads/release/*"]
paths = ["src/*", "!src/generated"]
receipt = "accepted"
approvals = 2
approvers = ["reviewers"]
author_may_approve = true
gates = [{ name = "test", command = ["cargo", "test", "--locked"] }, { name = "lint" }]
gate_runners = ["ci"]
max_risk = "medium"
grade = "lines"
enforce = "warn"

[[rule]]
refs = ["refs/heads/**"]
receipt = "none"
gates = [{ name = "lint" }]
gate_runners = ["ci", "reviewers"]
"#;

#[test]
fn every_key_says_what_it_says() {
    let policy = policy(EVERYTHING);
    assert_eq!(policy.repos(), ["sha1:4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap()]);
    assert_eq!(policy.members("reviewers").collect::<Vec<_>>(), ["alice@example.com", "bob@example.com"]);
    let [first, second] = policy.rules() else { panic!("two rules") };
    assert_eq!((first.line, second.line), (11, 24));
    assert_eq!(
        first.refs.iter().map(RefPattern::as_str).collect::<Vec<_>>(),
        ["refs/heads/main", "refs/heads/release/*"]
    );
    assert_eq!(first.paths.texts().collect::<Vec<_>>(), ["src/*", "!src/generated"]);
    let approvers = vec!["reviewers".to_owned()];
    let approvals = Approvals { count: 2, approvers, author_may_approve: true };
    assert_eq!(first.receipt, Requirement::Accepted(approvals));
    let command = ["cargo", "test", "--locked"].map(str::to_owned).to_vec();
    assert_eq!(
        first.gates,
        [
            Gate { name: "test".to_owned(), command: Some(command) },
            Gate { name: "lint".to_owned(), command: None }
        ]
    );
    assert_eq!(first.gate_runners, ["ci"]);
    assert_eq!(
        (first.max_risk, first.grade, first.enforce),
        (Some(Risk::Medium), Grade::Lines, Enforce::Warn)
    );
    assert_eq!((&second.receipt, second.gates.len()), (&Requirement::None, 1));
}

#[test]
fn what_is_not_said_is_strict() {
    let rule = only_rule("RULE");
    assert_eq!((rule.line, &rule.receipt), (2, &Requirement::Bound));
    assert!(rule.paths.is_everything() && rule.gates.is_empty() && rule.gate_runners.is_empty());
    assert_eq!((rule.max_risk, rule.grade, rule.enforce), (None, Grade::Tree, Enforce::Block));
    let Requirement::Accepted(approvals) = only_rule("ROLES WORK").receipt else { panic!("accepted") };
    assert_eq!((approvals.count, approvals.author_may_approve), (1, false));
    assert_eq!(policy("RULE").repos(), []);
}

#[test]
fn a_better_grade_is_greater() {
    assert!(Grade::Commit > Grade::Tree && Grade::Tree > Grade::Patch && Grade::Patch > Grade::Lines);
    assert!(Grade::ALL.is_sorted());
}

#[test]
fn people_are_who_they_are_spelled() {
    let policy = policy(EVERYTHING);
    for (name, owner) in [
        ("alice+agent@example.com", "alice@example.com"),
        ("alice+agent+sub@example.com", "alice@example.com"),
        ("alice@example.com", "alice@example.com"),
        ("nobody", "nobody"),
        ("Alice+agent@example.com", "Alice+agent@example.com"),
    ] {
        assert_eq!(policy.owner_of(name), owner);
    }
    assert!(policy.in_roles("bob@example.com", &["ci", "reviewers"]));
    assert!(!policy.in_roles("bob@example.com", &["ci"]));
    assert!(!policy.in_roles("BOB@example.com", &["reviewers"]));
    assert!(!policy.in_roles("alice+agent@example.com", &["reviewers"]));
    assert!(!policy.in_roles("bob@example.com", &["strangers"]));
    assert_eq!(policy.members("strangers").count(), 0);
}

#[test]
fn a_ref_that_is_not_known_is_under_every_rule() {
    let policy = policy(EVERYTHING);
    let lines = |name| policy.rules_for(name).map(|(_, rule)| rule.line).collect::<Vec<_>>();
    assert_eq!(lines(Some("refs/heads/main")), [11, 24]);
    assert_eq!(lines(Some("refs/heads/release/2")), [11, 24]);
    assert_eq!(lines(Some("refs/heads/release/2/a")), [11, 24]);
    assert_eq!(lines(Some("refs/heads/topic")), [24]);
    assert_eq!(lines(Some("refs/tags/v1")), [0; 0]);
    for unknown in [None, Some(""), Some("main"), Some("HEAD"), Some("heads/main")] {
        assert_eq!(lines(unknown), [11, 24], "{unknown:?}");
    }
}

#[test]
fn a_rule_about_everything_is_about_a_commit_that_changes_nothing() {
    let nothing: [&[u8]; 0] = [];
    for (paths, everything) in [
        ("", true),
        ("paths = [\"**\"]", true),
        ("paths = [\"src/**\", \"/*\"]", true),
        ("paths = [\"src/**\"]", false),
        ("paths = [\"**/\"]", false),
        ("paths = [\"/*\", \"!docs\"]", false),
    ] {
        let rule = only_rule(&format!("RULE{paths}"));
        assert_eq!(rule.touches(nothing), everything, "{paths}");
        assert!(rule.touches(["a/b", "src/main.rs"]), "{paths}");
    }
    assert!(!only_rule("RULEpaths = [\"src/**\"]").touches([&b"docs/a"[..], b"srcs/b"]));
}

/// The template with its examples in force.
fn uncommented() -> String {
    let lines = Policy::template().lines().map(|line| match line.strip_prefix('#') {
        Some(code) if !code.starts_with(' ') => code,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_template_warns_where_a_commit_has_no_receipt() {
    let policy = policy(Policy::template());
    let [rule] = policy.rules() else { panic!("one rule is in force") };
    assert_eq!((&rule.receipt, rule.enforce), (&Requirement::Bound, Enforce::Warn));
    assert!(rule.names("refs/heads/main") && rule.names("refs/heads/topic/a") && rule.paths.is_everything());
    assert_eq!((policy.repos().len(), policy.roles.len(), policy.owners.len()), (0, 0, 0));
}

#[test]
fn the_examples_of_the_template_hold_too() {
    let policy = policy(&uncommented());
    let [_, main, trust] = policy.rules() else { panic!("three rules") };
    assert_eq!(main.receipt.as_str(), "accepted");
    assert_eq!((main.gates.len(), main.max_risk, main.enforce), (2, Some(Risk::Medium), Enforce::Block));
    let Requirement::Accepted(approvals) = &trust.receipt else { panic!("people decide about trust") };
    assert_eq!(approvals.count, 2);
    assert!(trust.matches_path(b".receipts/policy.toml") && !trust.matches_path(b"src/main.rs"));
    assert_eq!(policy.owner_of("alice+agent@example.com"), "alice@example.com");
}

#[test]
fn each_line_of_the_template_that_says_something_has_its_explanation() {
    for key in [
        "refs",
        "paths",
        "receipt",
        "approvals",
        "approvers",
        "author_may_approve",
        "gates",
        "gate_runners",
        "max_risk",
        "grade",
        "enforce",
        "version",
        "repos",
        "roles",
        "owners",
    ] {
        let said = uncommented()
            .lines()
            .any(|line| line.split([' ', '=']).next() == Some(key) || line == format!("[{key}]"));
        assert!(said, "{key}");
    }
    assert!(Policy::template().lines().all(|line| line.chars().count() <= 120));
}

proptest! {
    #[test]
    fn the_last_owner_is_owned_by_nobody(pairs in prop::collection::btree_map("[a-f]", "[a-f]", 0..6)) {
        let owners: String = pairs.iter().map(|(owned, owner)| format!("{owned} = \"{owner}\"\n")).collect();
        let text = fill("RULE").replace("[[rule]]", &format!("[owners]\n{owners}[[rule]]"));
        let end = |name: &String| {
            let mut owner = name;
            (0..9).for_each(|_| owner = pairs.get(owner).unwrap_or(owner));
            owner.clone()
        };
        let circle = pairs.keys().any(|name| pairs.contains_key(&end(name)));
        let policy = Policy::parse(&text);
        prop_assert_eq!(policy.is_err(), circle, "{}", text);
        let Ok(policy) = policy else { return Ok(()) };
        for name in pairs.keys() {
            prop_assert_eq!(policy.owner_of(name), end(name));
        }
    }
}
