use std::collections::HashSet;
use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::Value;

use super::{junit, markdown, sarif, text};
use crate::cli::ui::{Text, is_hidden, safe};
use crate::domain::audit::report::{
    AuditCode, AuditFinding, AuditReport, CommitReport, GateFound, GateResult, Grade, Level, Verdict,
};

const HOSTILE: &[&str] = &[
    "",
    " ",
    "`",
    "``` `",
    "\\",
    "\\|",
    "a | b |\n| c |",
    "| --- |",
    "]]>",
    "<!--",
    "--><script>alert(1)</script>",
    "</testcase><testcase name=\"x\">",
    "&lt;&#0;&amp",
    "\" onload='x'",
    "[click](https://example.com)",
    "![x](//example.com/x.png)",
    "<https://example.com>",
    "https://example.com www.example.com a@example.com",
    "@everyone #1 owner/name#2",
    "{0} {{1}} {",
    "$`x`$ $$y$$",
    "\u{1b}[31m\u{1b}]8;;https://example.com\u{7}x",
    "\u{0}\u{b}\u{c}\u{85}\u{2028}\u{fffe}\u{ffff}\u{10ffff}",
    "\u{202e}dlrow\u{2066}\u{200b}\u{feff}",
    "\r\n\r\n# heading\n- [ ] item\n```\n",
    "../../etc/passwd",
    "/etc/passwd",
    "//example.com/x",
    "javascript:alert(1)",
    "a b%20c?d#e:f/ü/漢字.rs",
];

fn plain() -> AuditReport {
    let commit = |digit: &str, subject: &str| CommitReport {
        commit: digit.repeat(40),
        subject: subject.into(),
        author: "Ada <ada@example.com>".into(),
        merged_by: None,
        evil: false,
        grade: Grade::None,
        receipts: Vec::new(),
        approved_by: Vec::new(),
        gates: Vec::new(),
        rules: Vec::new(),
    };
    let finding = |code, level, rule, message: &str| AuditFinding {
        code,
        level,
        commit: Some("b".repeat(40)),
        rule: Some(rule),
        path: None,
        line: None,
        message: message.into(),
        hint: "open a receipt before the work".into(),
    };
    AuditReport {
        from: None,
        to: "c".repeat(40),
        r#ref: Some("refs/heads/main".into()),
        policy: Some("origin/main".into()),
        required: true,
        verdict: Verdict::Failed,
        judged: 3,
        commits: vec![
            CommitReport {
                grade: Grade::Patch,
                receipts: vec!["R1".into()],
                approved_by: vec!["ada".into(), "bob".into()],
                gates: vec![
                    GateFound { gate: "test".into(), result: GateResult::Passed, by: Some("ci".into()) },
                    GateFound { gate: "lint".into(), result: GateResult::Missing, by: None },
                ],
                rules: vec![1, 2],
                ..commit("a", "Add a parser")
            },
            CommitReport { rules: vec![1], ..commit("b", "Fix `x | y`") },
            CommitReport { merged_by: Some("d".repeat(40)), evil: true, ..commit("c", "Merge") },
        ],
        findings: vec![
            finding(AuditCode::NoReceipt, Level::Error, 1, "no receipt is bound"),
            AuditFinding {
                path: Some("src/lib.rs".into()),
                line: Some(7),
                ..finding(AuditCode::NotAccepted, Level::Warning, 1, "1 line was not accepted")
            },
            AuditFinding {
                commit: None,
                rule: None,
                ..finding(AuditCode::EvidenceMissing, Level::Incomplete, 1, "a chain is shallow")
            },
        ],
    }
}

fn rendered(report: &AuditReport) -> String {
    let mut page = Text::new(false);
    text(report, &mut page);
    page.into_string()
}

#[test]
fn people_read_commits_then_findings_then_a_summary() {
    assert_eq!(
        rendered(&plain()),
        "\
aaaaaaaaaaaa  Add a parser  grade patch; receipts R1; approved by ada, bob; gate test passed (stated by ci); \
gate lint missing
bbbbbbbbbbbb  Fix `x | y`  grade none; no receipt; approved by nobody
cccccccccccc  Merge  grade none; no receipt; approved by nobody; evil merge; merged by dddddddddddd
error A701 no-receipt: no receipt is bound
    in commit bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, rule 1
    hint: open a receipt before the work
warning A702 not-accepted: 1 line was not accepted
    in commit bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, rule 1, src/lib.rs:7
    hint: open a receipt before the work
incomplete A714 evidence-missing: a chain is shallow
    hint: open a receipt before the work
3 commits judged, the start to cccccccccccc of refs/heads/main, trusting the policy from origin/main: failed (1 error, \
1 incomplete, 1 warning)
"
    );
}

#[test]
fn every_form_says_that_nothing_was_required() {
    let no_rule = "nothing was required: no rule of the policy is about these files on this ref";
    for (policy, judged, why) in [
        (None, 0, "nothing was required: there was no commit to judge"),
        (None, 1, "nothing was required: there is no policy"),
        (Some("main".into()), 1, no_rule),
    ] {
        let (commits, findings) = (Vec::new(), Vec::new());
        let report = AuditReport {
            policy,
            required: false,
            verdict: Verdict::Passed,
            judged,
            commits,
            findings,
            ..plain()
        };
        assert_eq!(rendered(&report).lines().next(), Some(why));
        assert!(markdown(&report).contains(&format!("**{why}**")));
        assert!(junit(&report).contains(&format!("<skipped message=\"{why}\"/>")));
        let log = sarif(&report);
        let said = &log["runs"][0]["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
        assert_eq!(said, why);
        assert_eq!(log["runs"][0]["results"], Value::Array(Vec::new()));
    }
}

#[test]
fn a_test_case_stands_for_a_commit_and_a_rule() {
    let a = "a".repeat(40);
    let b = "b".repeat(40);
    let c = "c".repeat(40);
    let hint = "hint: open a receipt before the work";
    let expected = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="git receipt audit" tests="5" failures="1" errors="1">
  <testsuite name="git receipt audit" tests="5" failures="1" errors="1" skipped="1">
    <properties>
      <property name="verdict" value="failed"/>
      <property name="required" value="true"/>
      <property name="judged" value="3"/>
      <property name="to" value="{c}"/>
      <property name="ref" value="refs/heads/main"/>
      <property name="policy" value="origin/main"/>
    </properties>
    <testcase classname="commit {a}" name="rule 1: Add a parser">
      <system-out>grade patch; receipts R1; approved by ada, bob; gate test passed (stated by ci); gate lint missing
</system-out>
    </testcase>
    <testcase classname="commit {a}" name="rule 2: Add a parser">
      <system-out>grade patch; receipts R1; approved by ada, bob; gate test passed (stated by ci); gate lint missing
</system-out>
    </testcase>
    <testcase classname="commit {b}" name="rule 1: Fix `x | y`">
      <failure type="A701 no-receipt" message="no receipt is bound">error A701 no-receipt: no receipt is bound; {hint}
warning A702 not-accepted: 1 line was not accepted in src/lib.rs:7; {hint}
</failure>
      <system-out>grade none; no receipt; approved by nobody
</system-out>
    </testcase>
    <testcase classname="commit {c}" name="no rule: Merge">
      <skipped message="no rule matches this commit"/>
      <system-out>grade none; no receipt; approved by nobody; evil merge; merged by dddddddddddd
</system-out>
    </testcase>
    <testcase classname="policy" name="no rule">
      <error type="A714 evidence-missing" message="a chain is shallow">incomplete A714 evidence-missing: a chain is shallow; {hint}
</error>
    </testcase>
  </testsuite>
</testsuites>
"#
    );
    assert_eq!(junit(&plain()), expected);
}

#[test]
fn a_summary_page_has_a_table_of_commits_and_one_of_findings() {
    assert_eq!(
        markdown(&plain()),
        "\
### git receipt audit

**failed**: 3 commits judged, 1 error, 1 incomplete, 1 warning

From the start to `cccccccccccccccccccccccccccccccccccccccc` of `refs/heads/main`, policy from `origin/main`

| Commit | Subject | Author | Grade | Receipts | Approved by | Gates | Rules | Merge |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| `aaaaaaaaaaaa` | `Add a parser` | `Ada <ada@example.com>` | patch | `R1` | `ada`, `bob` | \
`test` passed by `ci`, `lint` missing | 1, 2 |  |
| `bbbbbbbbbbbb` | `` Fix `x \\u{7c} y` `` | `Ada <ada@example.com>` | none |  |  |  | 1 |  |
| `cccccccccccc` | `Merge` | `Ada <ada@example.com>` | none |  |  |  |  | evil, by `dddddddddddd` |

| Level | Code | Commit | Rule | Place | Message | Hint |
| --- | --- | --- | --- | --- | --- | --- |
| error | A701 no-receipt | `bbbbbbbbbbbb` | 1 |  | `no receipt is bound` | `open a receipt before the work` |
| warning | A702 not-accepted | `bbbbbbbbbbbb` | 1 | `src/lib.rs` line 7 | `1 line was not accepted` | \
`open a receipt before the work` |
| incomplete | A714 evidence-missing |  |  |  | `a chain is shallow` | `open a receipt before the work` |
"
    );
}

#[test]
fn results_have_a_file_and_a_line_even_where_findings_have_none() {
    let log = sarif(&plain());
    let results = log["runs"][0]["results"].as_array().unwrap();
    let places: Vec<_> = results
        .iter()
        .map(|result| {
            let place = &result["locations"][0]["physicalLocation"];
            (
                place["artifactLocation"]["uri"].as_str().unwrap(),
                place["region"]["startLine"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(places, [(".receipts/policy.toml", 1), ("src/lib.rs", 7), (".receipts/policy.toml", 1)]);
    let levels: Vec<_> = results.iter().map(|result| result["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["error", "warning", "note"]);
    assert_eq!(
        results[0]["message"]["text"],
        "no receipt is bound (commit bbbbbbbbbbbb, rule 1). open a receipt before the work"
    );
}

#[test]
fn paths_become_relative_uris_and_never_leave_the_tree() {
    let uri = |path: &str, line| {
        let mut report = plain();
        report.findings.truncate(1);
        report.findings[0].path = Some(path.into());
        report.findings[0].line = line;
        let log = sarif(&report);
        let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        (
            place["artifactLocation"]["uri"].as_str().unwrap().to_owned(),
            place["region"]["startLine"].as_u64().unwrap(),
        )
    };
    assert_eq!(uri("a b%20c?d#e:f/ü.rs", Some(0)), ("a%20b%2520c%3Fd%23e%3Af/%C3%BC.rs".into(), 1));
    assert_eq!(uri("src/a.rs", Some(u64::MAX)), ("src/a.rs".into(), 2_147_483_647));
    for outside in ["", "/etc/passwd", "//example.com/x", "a/../../b", "./a", "a//b", "a/"] {
        assert_eq!(uri(outside, Some(9)), (".receipts/policy.toml".into(), 1), "{outside}");
    }
}

#[test]
fn fingerprints_outlive_wording_and_rule_numbers_and_tell_findings_apart() {
    let prints = |report: &AuditReport| -> Vec<String> {
        let log = sarif(report);
        let results = log["runs"][0]["results"].as_array().unwrap().iter();
        results
            .map(|r| r["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut report = plain();
    report.findings.push(report.findings[0].clone());
    let before = prints(&report);
    assert_eq!(before.iter().collect::<HashSet<_>>().len(), 4);
    // Services keep them, so they must not change between versions either.
    assert_eq!(before[0], FIRST_PRINT);
    for finding in &mut report.findings {
        finding.message.push_str(" at all");
        finding.hint.clear();
        finding.rule = finding.rule.map(|rule| rule + 1);
    }
    report.commits.clear();
    assert_eq!(prints(&report), before);
    report.findings[0].commit = Some("e".repeat(40));
    assert_ne!(prints(&report)[0], before[0]);
}

const FIRST_PRINT: &str = "0e27b79b44c6bb3f:1";

/// Each hostile text in every place at once, and a report without anything.
fn hostile() -> Vec<AuditReport> {
    let mut reports = vec![plain(), empty()];
    for text in HOSTILE {
        let text = || (*text).to_owned();
        let mut report = plain();
        report.from = Some(text());
        report.to = text();
        report.r#ref = Some(text());
        report.policy = Some(text());
        for commit in &mut report.commits {
            (commit.subject, commit.author, commit.merged_by) = (text(), text(), Some(text()));
            (commit.receipts, commit.approved_by) = (vec![text(), text()], vec![text()]);
            commit.gates = vec![GateFound { gate: text(), result: GateResult::Failed, by: Some(text()) }];
        }
        for finding in &mut report.findings {
            (finding.path, finding.message, finding.hint) = (Some(text()), text(), text());
        }
        reports.push(report.clone());
        for commit in &mut report.commits {
            commit.commit = text();
        }
        for finding in &mut report.findings {
            finding.commit = Some(text());
        }
        reports.push(report);
    }
    reports
}

fn empty() -> AuditReport {
    AuditReport {
        from: None,
        to: String::new(),
        r#ref: None,
        policy: None,
        required: true,
        verdict: Verdict::Passed,
        judged: 0,
        commits: Vec::new(),
        findings: Vec::new(),
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => prop::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter),
        2 => prop::sample::select(HOSTILE).prop_map(str::to_owned),
        2 => prop::collection::vec(prop::sample::select("`|\\[](){}<>&\"'!@#$*_~:/. \n\t\u{1b}\u{ffff}x".chars().collect::<Vec<_>>()), 0..8)
            .prop_map(String::from_iter),
    ];
    prop::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat())
}

fn any_report() -> impl Strategy<Value = AuditReport> {
    let maybe = || prop::option::of(any_text());
    let number = || prop_oneof![0..4_u64, any::<u64>()];
    // Few ids, so that findings meet their commits.
    let id =
        || prop_oneof![prop::sample::select(&["aa", "bb", "\u{1b}"][..]).prop_map(str::to_owned), any_text()];
    let gate = (any_text(), prop::sample::select(GateResult::ALL), maybe())
        .prop_map(|(gate, result, by)| GateFound { gate, result, by });
    let commit = (
        (id(), any_text(), any_text(), maybe(), any::<bool>(), prop::sample::select(Grade::ALL)),
        prop::collection::vec(any_text(), 0..3),
        prop::collection::vec(any_text(), 0..3),
        prop::collection::vec(gate, 0..3),
        prop::collection::vec(number(), 0..3),
    )
        .prop_map(|(one, receipts, approved_by, gates, rules)| {
            let (commit, subject, author, merged_by, evil, grade) = one;
            CommitReport {
                commit,
                subject,
                author,
                merged_by,
                evil,
                grade,
                receipts,
                approved_by,
                gates,
                rules,
            }
        });
    let finding = (
        (prop::sample::select(AuditCode::ALL), prop::sample::select(Level::ALL)),
        (prop::option::of(id()), prop::option::of(number()), maybe(), prop::option::of(number())),
        (any_text(), any_text()),
    )
        .prop_map(|((code, level), (commit, rule, path, line), (message, hint))| AuditFinding {
            code,
            level,
            commit,
            rule,
            path,
            line,
            message,
            hint,
        });
    (
        (maybe(), any_text(), maybe(), maybe(), any::<bool>()),
        (prop::sample::select(Verdict::ALL), any::<u64>()),
        prop::collection::vec(commit, 0..4),
        prop::collection::vec(finding, 0..5),
    )
        .prop_map(|((from, to, r#ref, policy, required), (verdict, judged), commits, findings)| {
            AuditReport { from, to, r#ref, policy, required, verdict, judged, commits, findings }
        })
}

/// Whether a text has anything that steers a terminal or reorders text, besides ends of lines.
fn steers(text: &str) -> bool {
    text.chars().any(|c| c != '\n' && is_hidden(c))
}

fn sarif_schema() -> jsonschema::Validator {
    let schema = include_str!("../../../../tests/schemas/sarif-2.1.0.json");
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
}

fn check_sarif(schema: &jsonschema::Validator, report: &AuditReport) {
    let log = sarif(report);
    let problems: Vec<_> = schema.iter_errors(&log).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?} in {log:#}");
    let printed = log.to_string();
    assert!(!steers(&printed) && !printed.contains('\n'), "{printed:?}");
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    let mut prints = HashSet::new();
    for (result, finding) in results.iter().zip(&report.findings) {
        let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], finding.code.number());
        assert_eq!(result["ruleId"], finding.code.number());
        let message = result["message"]["text"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("]("), "{message}");
        assert!(!message.replace("{{", "").replace("}}", "").contains(['{', '}']), "{message}");
        let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b)), "{uri}");
        assert!(uri.split('/').all(|part| !matches!(part, "" | "." | "..")), "{uri}");
        assert!(prints.insert(result["partialFingerprints"].to_string()), "{result}");
    }
}

fn check_junit(report: &AuditReport) {
    let xml = junit(report);
    assert!(!steers(&xml), "{xml:?}");
    let document = roxmltree::Document::parse(&xml).unwrap_or_else(|error| panic!("{error} in {xml}"));
    let with = |name| document.descendants().filter(|node| node.has_tag_name(name)).count().to_string();
    for suite in document.descendants().filter(|node| node.has_tag_name("testsuite")) {
        assert_eq!(suite.attribute("tests"), Some(with("testcase").as_str()));
        assert_eq!(suite.attribute("failures"), Some(with("failure").as_str()));
        assert_eq!(suite.attribute("errors"), Some(with("error").as_str()));
        assert_eq!(suite.attribute("skipped"), Some(with("skipped").as_str()));
    }
    assert_eq!(with("testsuite"), "1");
    assert_ne!(with("testcase"), "0");
    // Nothing found is lost: each is a line of its own.
    let lines = document
        .descendants()
        .filter(|node| node.is_text())
        .filter_map(|node| node.text())
        .flat_map(str::lines);
    let starts = |line: &str| Level::ALL.iter().any(|level| line.starts_with(&format!("{level} A7")));
    assert_eq!(lines.filter(|line| starts(line)).count(), report.findings.len(), "{xml}");
    let mut names = HashSet::new();
    for case in document.descendants().filter(|node| node.has_tag_name("testcase")) {
        assert!(names.insert((case.attribute("classname"), case.attribute("name"))), "{xml}");
    }
}

/// A cell: its text outside of code, and the code spans in it.
type Cell = (String, Vec<String>);
type Table = Vec<Vec<Cell>>;

/// Tables as a renderer sees them.
fn tables(page: &str) -> Vec<Table> {
    let mut tables = Vec::new();
    for event in Parser::new_ext(page, Options::all()) {
        match event {
            Event::Start(Tag::Table(_)) => tables.push(Vec::new()),
            Event::Start(Tag::TableHead | Tag::TableRow) => tables.last_mut().unwrap().push(Vec::new()),
            Event::Start(Tag::TableCell) => {
                let row: &mut Vec<Cell> = tables.last_mut().unwrap().last_mut().unwrap();
                row.push((String::new(), Vec::new()));
            }
            Event::Text(text) => {
                // What renderers make links, mentions and references of stands in code only.
                assert!(
                    text.chars().all(|c| c.is_ascii_alphanumeric() || " ,:-".contains(c)),
                    "{text:?} in {page}"
                );
                if let Some(cell) = cell(&mut tables) {
                    cell.0.push_str(&text);
                }
            }
            Event::Code(code) => {
                if let Some(cell) = cell(&mut tables) {
                    cell.1.push(code.into_string());
                }
            }
            Event::Start(Tag::Heading { .. } | Tag::Paragraph | Tag::Strong) => {}
            Event::End(_) => {}
            other => panic!("{other:?} in {page}"),
        }
    }
    tables
}

fn cell(tables: &mut [Table]) -> Option<&mut Cell> {
    tables.last_mut()?.last_mut()?.last_mut()
}

fn check_markdown(report: &AuditReport) {
    let page = markdown(report);
    assert!(!steers(&page), "{page:?}");
    let spans = |texts: &[&str]| -> Vec<String> {
        let shown = texts.iter().map(|text| safe(text).replace('|', "\\u{7c}"));
        shown.filter(|text| !text.is_empty()).map(|text| text.trim_matches(' ').to_owned()).collect()
    };
    let code = |cell: &Cell| -> Vec<String> {
        cell.1.iter().map(|text| text.trim_matches(' ').to_owned()).collect()
    };
    let mut tables = tables(&page).into_iter();
    if !report.commits.is_empty() {
        let table = tables.next().unwrap();
        assert_eq!(table.len(), report.commits.len() + 1, "{page}");
        for (row, commit) in table[1..].iter().zip(&report.commits) {
            assert_eq!(row.len(), 9);
            assert_eq!(code(&row[1]), spans(&[&commit.subject]), "{page}");
            assert_eq!(code(&row[2]), spans(&[&commit.author]), "{page}");
            assert_eq!(row[3], (commit.grade.to_string(), Vec::new()), "{page}");
            let receipts: Vec<_> = commit.receipts.iter().map(String::as_str).collect();
            assert_eq!(code(&row[4]), spans(&receipts), "{page}");
            let rules: Vec<_> = commit.rules.iter().map(ToString::to_string).collect();
            assert_eq!(row[7].0, rules.join(", "), "{page}");
        }
    }
    if !report.findings.is_empty() {
        let table = tables.next().unwrap();
        assert_eq!(table.len(), report.findings.len() + 1, "{page}");
        for (row, finding) in table[1..].iter().zip(&report.findings) {
            assert_eq!(row.len(), 7);
            assert_eq!(row[1].0, finding.code.to_string(), "{page}");
            assert_eq!(code(&row[4]), spans(&[finding.path.as_deref().unwrap_or_default()]), "{page}");
            assert_eq!(code(&row[5]), spans(&[&finding.message]), "{page}");
            assert_eq!(code(&row[6]), spans(&[&finding.hint]), "{page}");
        }
    }
    assert!(tables.next().is_none(), "{page}");
}

fn check_text(report: &AuditReport) {
    let page = rendered(report);
    assert!(!steers(&page), "{page:?}");
    let last = page.lines().last().unwrap();
    assert!(last.contains(" judged, ") && last.contains(report.verdict.word()), "{page}");
    assert_eq!(page.starts_with("nothing was required"), !report.required);
}

#[test]
fn hostile_texts_break_no_format() {
    let schema = sarif_schema();
    for report in hostile() {
        check_sarif(&schema, &report);
        check_junit(&report);
        check_markdown(&report);
        check_text(&report);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_junit_markdown_or_text(report in any_report()) {
        check_junit(&report);
        check_markdown(&report);
        check_text(&report);
        let again = report.clone();
        prop_assert_eq!(junit(&report), junit(&again));
        prop_assert_eq!(sarif(&report).to_string(), sarif(&again).to_string());
    }
}

#[test]
fn no_text_breaks_sarif() {
    // One schema for all cases, as building it takes longer than checking against it.
    let schema = sarif_schema();
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&any_report(), |report| {
            check_sarif(&schema, &report);
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_sarif_schema_refuses_what_is_no_sarif() {
    let schema = sarif_schema();
    let mut log = sarif(&plain());
    assert!(schema.is_valid(&log));
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0.into();
    assert!(!schema.is_valid(&log));
}

#[test]
fn junit_is_what_its_schema_says() {
    if Command::new("xmllint").arg("--version").output().is_err() {
        eprintln!("skipped: there is no xmllint to check the schema with");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut reports = hostile();
    let mut runner = TestRunner::deterministic();
    reports.extend((0..100).map(|_| any_report().new_tree(&mut runner).unwrap().current()));
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas/junit-10.xsd");
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--nonet", "--noout", "--schema", schema]);
    for (n, report) in reports.iter().enumerate() {
        let path = folder.path().join(format!("{n}.xml"));
        std::fs::write(&path, junit(report)).unwrap();
        xmllint.arg(path);
    }
    let output = xmllint.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The check itself can fail.
    let broken = folder.path().join("broken.xml");
    std::fs::write(&broken, junit(&plain()).replace("tests=", "texts=")).unwrap();
    let output =
        Command::new("xmllint").args(["--nonet", "--noout", "--schema", schema]).arg(broken).output();
    assert!(!output.unwrap().status.success());
}
