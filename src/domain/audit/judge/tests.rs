use super::*;

const POLICY: &str = r#"version = 1
[roles]
reviewers = ["ann@example.com", "bob@example.com", "eve@example.com"]
ci = ["ci@example.com"]
[owners]
"ann+agent@example.com" = "ann@example.com"
[[rule]]
refs = ["refs/heads/*"]
"#;

const RECEIPTS: [&str; 2] = ["01J00000000000000000000000", "01J00000000000000000000001"];

fn receipt(at: usize) -> ReceiptId {
    RECEIPTS[at].parse().unwrap()
}

/// One way whose lines these people accept: a set for each part of the lines.
fn way(grade: Grade, authors: &[&str], parts: &[&[&str]]) -> Acceptance {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    Acceptance {
        grade,
        receipts: vec![receipt(0)],
        accepted_by: parts.iter().map(|names| owned(names)).collect(),
        authors: owned(authors),
    }
}

fn gate(name: &str, command: &str, outcome: Outcome, by: &str) -> GateSeen {
    let command = command.split(' ').map(str::to_owned).collect();
    GateSeen { name: name.into(), command, outcome, by: by.into(), receipt: receipt(1) }
}

fn judged(rule: &str, scope: Scope, evidence: &Evidence) -> Judged {
    let policy = Policy::parse(&format!("{POLICY}{rule}")).expect(rule);
    judge(&policy, (1, &policy.rules()[0]), "c0ffee", scope, evidence)
}

fn codes(rule: &str, evidence: &Evidence) -> Vec<(&'static str, Level)> {
    let found = judged(rule, Scope::Change, evidence).findings;
    found.iter().map(|finding| (finding.code.slug(), finding.level)).collect()
}

const ACCEPTED: &str = "receipt = \"accepted\"\napprovers = [\"reviewers\"]\n";

fn accepted(ways: Vec<Acceptance>) -> Evidence {
    Evidence { accepted: ways, author: "ann@example.com".into(), ..Evidence::default() }
}

#[test]
fn a_bound_receipt_counts_at_its_grade() {
    let none = Evidence::default();
    assert_eq!(codes("", &none), [("no-receipt", Level::Error)]);
    let bound = |grade| Evidence { bound: [(receipt(0), grade)].into(), ..Evidence::default() };
    assert_eq!(codes("", &bound(Grade::Tree)), []);
    assert_eq!(codes("grade = \"commit\"\n", &bound(Grade::Tree)), [("grade-too-weak", Level::Error)]);
    assert_eq!(codes("grade = \"commit\"\n", &bound(Grade::Commit)), []);
    // Where nothing is bound, lines that give it bind it as closely as they were found.
    let lines = accepted(vec![way(Grade::Lines, &[], &[])]);
    assert_eq!(codes("grade = \"lines\"\n", &lines), []);
    assert_eq!(codes("", &lines), [("grade-too-weak", Level::Error)]);
    // A binding that is there counts by itself, whatever other rules made somebody look for.
    let both = Evidence { accepted: vec![way(Grade::Commit, &[], &[])], ..bound(Grade::Tree) };
    assert_eq!(codes("grade = \"commit\"\n", &both), [("grade-too-weak", Level::Error)]);
}

#[test]
fn approvals_are_counted_by_person_and_line() {
    let agent: &[&str] = &["ann+agent@example.com"];
    let two = format!("{ACCEPTED}approvals = 2\n");
    type Parts<'a> = &'a [&'a [&'a str]];
    let cases: [(&str, Parts<'_>, &[&str]); 9] = [
        (ACCEPTED, &[&["bob@example.com"]], &[]),
        (ACCEPTED, &[&["ann@example.com"]], &["self-approval"]),
        (ACCEPTED, &[&["mallory@example.com"]], &["approvals-missing"]),
        (ACCEPTED, &[&[]], &["approvals-missing"]),
        // One part of the lines that nobody else looked at.
        (ACCEPTED, &[&["bob@example.com"], &["ann@example.com"]], &["self-approval"]),
        (ACCEPTED, &[&["bob@example.com"], &["eve@example.com"]], &[]),
        (&two, &[&["bob@example.com", "eve@example.com"]], &[]),
        (&two, &[&["bob@example.com", "ann@example.com"]], &["self-approval"]),
        (&two, &[&["bob@example.com", "eve@example.com"], &["bob@example.com"]], &["approvals-missing"]),
    ];
    for (rule, parts, expected) in cases {
        let found = codes(rule, &accepted(vec![way(Grade::Commit, agent, parts)]));
        let found: Vec<&str> = found.into_iter().map(|(slug, _)| slug).collect();
        assert_eq!(found, expected, "{rule} {parts:?}");
    }
}

#[test]
fn who_wrote_the_commit_is_an_author_however_they_spell_it() {
    for author in ["bob@example.com", "Bob@Example.COM"] {
        let evidence = Evidence {
            author: author.into(),
            ..accepted(vec![way(Grade::Commit, &["ann+agent@example.com"], &[&["bob@example.com"]])])
        };
        assert_eq!(codes(ACCEPTED, &evidence), [("self-approval", Level::Error)], "{author}");
        assert_eq!(codes(&format!("{ACCEPTED}author_may_approve = true\n"), &evidence), [], "{author}");
        let hint = &judged(ACCEPTED, Scope::Change, &evidence).findings[0].hint;
        assert!(hint.contains("by eve@example.com signs"), "{hint}");
    }
}

#[test]
fn the_way_with_enough_approvals_counts() {
    let ways = vec![
        way(Grade::Commit, &["ann+agent@example.com"], &[&["ann@example.com"]]),
        way(Grade::Tree, &["ann+agent@example.com"], &[&["eve@example.com"]]),
    ];
    let found = judged(ACCEPTED, Scope::Change, &accepted(ways));
    assert_eq!((found.findings.len(), found.grade), (0, Some(Grade::Tree)));
    assert_eq!(found.approved_by, BTreeSet::from(["eve@example.com".to_owned()]));
}

#[test]
fn nothing_accepted_is_refused_and_what_is_not_here_makes_it_incomplete() {
    assert_eq!(codes(ACCEPTED, &accepted(vec![])), [("not-accepted", Level::Error)]);
    let weak = accepted(vec![way(Grade::Patch, &[], &[&["bob@example.com"]])]);
    assert_eq!(codes(ACCEPTED, &weak), [("grade-too-weak", Level::Error)]);
    let missing = Evidence { missing: ["x is not here".to_owned()].into(), ..Evidence::default() };
    assert_eq!(codes(ACCEPTED, &missing), [("evidence-missing", Level::Incomplete)]);
    let stranger = Evidence { strangers: ["a key".to_owned()].into(), ..Evidence::default() };
    let expected = [("not-accepted", Level::Error), ("unknown-signer", Level::Incomplete)];
    assert_eq!(codes(ACCEPTED, &stranger), expected);
    // There is nothing to accept in a commit without changes.
    let empty = Evidence { empty: true, ..Evidence::default() };
    assert_eq!(codes(ACCEPTED, &empty), []);
    assert_eq!(codes("", &empty), [("no-receipt", Level::Error)]);
}

#[test]
fn every_receipt_that_speaks_for_it_states_its_risk() {
    let rule = "max_risk = \"medium\"\n";
    let risks = |risks: [Option<Risk>; 2]| Evidence {
        bound: [(receipt(0), Grade::Commit), (receipt(1), Grade::Commit)].into(),
        risks: [(receipt(0), risks[0]), (receipt(1), risks[1])].into(),
        ..Evidence::default()
    };
    assert_eq!(codes(rule, &risks([Some(Risk::Low), Some(Risk::Medium)])), []);
    assert_eq!(codes(rule, &risks([Some(Risk::High), Some(Risk::Low)])), [("risk-too-high", Level::Error)]);
    assert_eq!(codes(rule, &risks([Some(Risk::Low), None])), [("risk-too-high", Level::Error)]);
}

#[test]
fn a_gate_counts_with_its_command_its_runner_and_its_output() {
    let rule = "receipt = \"none\"\ngates = [{ name = \"test\", command = [\"sh\", \"t\"] }]\ngate_runners = [\"ci\"]\n";
    let cases = [
        (vec![gate("test", "sh t", Outcome::Passed, "ci@example.com")], None, GateResult::Passed),
        (vec![], Some("did not run"), GateResult::Missing),
        (
            vec![gate("lint", "sh t", Outcome::Passed, "ci@example.com")],
            Some("did not run"),
            GateResult::Missing,
        ),
        (
            vec![gate("test", "true", Outcome::Passed, "ci@example.com")],
            Some("another command"),
            GateResult::Missing,
        ),
        (
            vec![gate("test", "sh t", Outcome::Passed, "bob@example.com")],
            Some("no gate runner"),
            GateResult::Missing,
        ),
        (
            vec![gate("test", "sh t", Outcome::Unproven, "ci@example.com")],
            Some("without output"),
            GateResult::Missing,
        ),
        (vec![gate("test", "sh t", Outcome::Failed, "ci@example.com")], Some("failed"), GateResult::Failed),
        // One that failed and passed later on the same files has passed.
        (
            vec![
                gate("test", "sh t", Outcome::Failed, "ci@example.com"),
                gate("test", "sh t", Outcome::Passed, "ci@example.com"),
            ],
            None,
            GateResult::Passed,
        ),
    ];
    for (gates, expected, result) in cases {
        let evidence = Evidence { gates, ..Evidence::default() };
        // A merge that adds nothing is held to its gates like any change.
        for scope in [Scope::Change, Scope::CleanMerge] {
            let found = judged(rule, scope, &evidence);
            let message = found.findings.first().map(|finding| finding.message.clone());
            assert_eq!(message.is_some(), expected.is_some(), "{message:?}");
            assert!(message.unwrap_or_default().contains(expected.unwrap_or_default()), "{expected:?}");
            assert_eq!(found.gates[0].result, result);
        }
    }
    let doubtful = Evidence {
        gates: vec![gate("test", "sh t", Outcome::Passed, "ci@example.com")],
        doubts: [(receipt(1), Doubt::UnknownKind)].into(),
        ..Evidence::default()
    };
    assert_eq!(codes(rule, &doubtful), [("unknown-kind", Level::Incomplete)]);
}

#[test]
fn a_merge_that_adds_nothing_needs_no_receipt() {
    assert!(judged(ACCEPTED, Scope::CleanMerge, &Evidence::default()).findings.is_empty());
}

#[test]
fn doubts_about_what_was_relied_on_make_it_incomplete() {
    for (doubt, code) in [
        (Doubt::UnknownKind, "unknown-kind"),
        (Doubt::Broken, "broken-evidence"),
        (Doubt::Uncertain, "evidence-missing"),
    ] {
        let evidence = Evidence {
            doubts: [(receipt(0), doubt), (receipt(1), doubt)].into(),
            ..accepted(vec![way(Grade::Commit, &[], &[&["bob@example.com"]])])
        };
        assert_eq!(codes(ACCEPTED, &evidence), [(code, Level::Incomplete)]);
    }
}

#[test]
fn a_rule_that_warns_only_warns() {
    let rule = format!(
        "{ACCEPTED}max_risk = \"low\"\ngates = [{{ name = \"test\" }}]\ngate_runners = [\"ci\"]\nenforce = \"warn\"\n"
    );
    let evidence = Evidence {
        bound: [(receipt(0), Grade::Tree)].into(),
        missing: ["x".to_owned()].into(),
        strangers: ["y".to_owned()].into(),
        ..Evidence::default()
    };
    let found = codes(&rule, &evidence);
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|(_, level)| *level == Level::Warning), "{found:?}");
}
