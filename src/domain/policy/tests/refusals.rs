//! Texts that are no policy, and where they say so.

use proptest::prelude::*;

use super::{EVERYTHING, fill};
use crate::domain::policy::{Policy, Problem};

#[test]
fn every_refusal_names_its_place_and_cause() {
    for (text, line, column, message) in [
        ("", 1, 1, "no `version`"),
        ("[[rule]]", 1, 1, "no `version`"),
        ("version = 2\nlater = 1", 1, 11, "version 2 is not known"),
        ("version = \"1\"", 1, 11, "a string where a whole number is expected"),
        ("version = 1.0", 1, 11, "a number with a fraction where a whole number is expected"),
        ("version = 1\nversion = 1", 2, 1, "duplicate key"),
        ("version = 1 # é\u{7}", 1, 16, "invalid comment character, expected printable characters"),
        ("version = 1\n# \u{202e}", 2, 3, "`\\u{202e}` changes the direction of the text"),
        ("version", 1, 8, "key with no value, expected `=`"),
        ("version = 1", 1, 12, "no rule: such a policy requires nothing"),
        ("version = 1\nrule = []\n", 3, 1, "no rule: such a policy requires nothing"),
        ("version = 1\n[[rules]]", 2, 3, "unknown key `rules`"),
        ("RULE[x]\n", 4, 2, "unknown key `x`"),
        ("version = 1\n\"x\\u001b\" = 1", 2, 1, "unknown key `x\\u{1b}`"),
        ("version = 1\n[rule]\nrefs = []", 2, 1, "a table where a list is expected"),
        ("version = 1\nrule = [1]", 2, 9, "a number where a table is expected"),
        ("version = 1\nrule = [[[\"refs/heads/main\"]]]", 2, 9, "a list where a table is expected"),
        // Whose receipts count.
        ("version = 1\nrepos = [1]", 2, 10, "a number where a string is expected"),
        (
            "version = 1\nrepos = [\"4b825dc\"]",
            2,
            10,
            "`4b825dc` is not an object id of the form `sha1:<40 hex digits>` or `sha256:<64 hex digits>`",
        ),
        (
            "version = 1\nrepos = [\n\"sha1:4b825dc642cb6eb9a060e54bf8d69288fbee4904\",\n\
             \"sha1:4b825dc642cb6eb9a060e54bf8d69288fbee4904\"]",
            4,
            1,
            "`sha1:4b825dc642cb6eb9a060e54bf8d69288fbee4904` stands twice in `repos`",
        ),
        // Roles.
        ("version = 1\nroles = []", 2, 9, "a list where a table is expected"),
        ("version = 1\n[roles]\nr = \"ann\"", 3, 5, "a string where a list is expected"),
        ("version = 1\n[roles]\nr.s = [\"ann\"]", 3, 1, "a table where a list is expected"),
        ("version = 1\n[roles]\n\"a b\" = [\"ann\"]", 3, 1, "`a b` is not a name for a role"),
        ("version = 1\n[roles]\n\"\" = [\"ann\"]", 3, 1, "`` is not a name for a role"),
        ("version = 1\n[roles]\nr = []", 3, 5, "role `r` has no members"),
        ("version = 1\n[roles]\nr = [\"ann\", \"ann\"]", 3, 13, "`ann` stands twice in role `r`"),
        ("version = 1\n[roles]\nr = [\"\"]", 3, 6, "an empty principal"),
        ("version = 1\n[roles]\nr = [\"ann \"]", 3, 6, "principal `ann ` begins or ends with a space"),
        ("version = 1\n[roles]\nr = [\"*@x\"]", 3, 6, "`*@x` is a pattern, not a principal"),
        ("version = 1\n[roles]\nr = [\"ann,bob\"]", 3, 6, "`ann,bob` is a list, not a principal"),
        ("version = 1\n[roles]\nr = [\"a\u{200b}b\"]", 3, 6, "invisible character `U+200B` in a name"),
        ("version = 1\n[roles]\nr = [\"ann\"]\ns = [\"Ann\"]", 4, 6, "`Ann` and `ann` differ in case only"),
        ("version = 1\n[roles]\nb = [\"é\", 1]\na = []", 3, 11, "a number where a string is expected"),
        ("version = 1\n[roles]\nb = []\na = []", 3, 5, "role `b` has no members"),
        // Owners.
        ("version = 1\n[owners]\nx = 1", 3, 5, "a number where a string is expected"),
        ("version = 1\n[owners]\nx = \"y\"\nx = \"z\"", 4, 1, "duplicate key"),
        ("version = 1\n[owners]\nx = \"x\"", 3, 1, "the owners of `x` go in a circle"),
        (
            "version = 1\n[owners]\nd = \"e\"\nz = \"b\"\nb = \"c\"\nc = \"b\"",
            4,
            1,
            "the owners of `z` go in a circle",
        ),
        ("version = 1\n[owners]\nx = \"\"", 3, 5, "an empty principal"),
        ("ROLES[owners]\nx = \"ANN\"", 6, 5, "`ANN` and `ann` differ in case only"),
        // Rules.
        ("version = 1\n\n[[rule]]\nenforce = \"warn\"", 3, 1, "a rule without `refs`"),
        ("version = 1\n[[rule]]\nrefs = []", 3, 8, "`refs` is empty"),
        ("version = 1\n[[rule]]\nrefs = \"refs/heads/main\"", 3, 8, "a string where a list is expected"),
        ("version = 1\n[[rule]]\nrefs = [\"main\"]", 3, 9, "`main` is not the full name of a ref"),
        (
            "version = 1\n[[rule]]\nrefs = [\"refs/heads/é\", \"refs/heads/é\"]",
            3,
            25,
            "`refs/heads/é` stands twice in `refs`",
        ),
        ("RULEpath = [\"src\"]", 4, 1, "unknown key `path`"),
        ("RULEEnforce = \"warn\"", 4, 1, "unknown key `Enforce`"),
        ("RULEpaths = []", 4, 9, "`paths` is empty"),
        ("RULEpaths = [\"é\", \"\"]", 4, 15, "`` has an empty part, so that it matches no file"),
        ("RULEreceipt = \"Bound\"", 4, 11, "`Bound` is none of the words for this"),
        ("RULEreceipt = { accepted = {} }", 4, 11, "a table where a string is expected"),
        ("RULEgrade = \"none\"", 4, 9, "`none` is none of the words for this"),
        ("RULEmax_risk = \"moderate\"", 4, 12, "`moderate` is none of the words for this"),
        ("RULEenforce = true", 4, 11, "`true` or `false` where a string is expected"),
        ("RULEreceipt = \"none\"", 2, 1, "a rule that requires nothing"),
        (
            "RULEreceipt = \"none\"\ngrade = \"tree\"",
            5,
            9,
            "`grade` says nothing beside `receipt = \"none\"`",
        ),
        (
            "RULEgrade = \"tree\"\nmax_risk = \"low\"\nreceipt = \"none\"",
            4,
            9,
            "`grade` says nothing beside `receipt = \"none\"`",
        ),
        // Approvals.
        ("RULEapprovals = 2", 4, 13, "`approvals` asks for nothing without `receipt = \"accepted\"`"),
        (
            "RULEapprovers = [\"r\"]\napprovals = 1",
            4,
            13,
            "`approvers` asks for nothing without `receipt = \"accepted\"`",
        ),
        (
            "RULEreceipt = \"bound\"\nauthor_may_approve = false",
            5,
            22,
            "`author_may_approve` asks for nothing without `receipt = \"accepted\"`",
        ),
        ("RULEreceipt = \"accepted\"", 4, 11, "`receipt = \"accepted\"` without `approvers`"),
        ("RULEreceipt = \"accepted\"\napprovers = []", 5, 13, "`approvers` is empty"),
        ("RULEreceipt = \"accepted\"\napprovers = [\"r\"]", 5, 14, "there is no role `r`"),
        (
            "ROLES[[rule]]\nrefs = [\"refs/heads/main\"]\napprovers = [\"r\", \"r\"]\nreceipt = \"accepted\"",
            7,
            19,
            { "role `r` stands twice in `approvers`" },
        ),
        ("ROLES[owners]\nbob = \"carl\"\nWORK", 10, 14, {
            "role `r` cannot approve: its member `bob` is owned by `carl`"
        }),
        ("ROLESWORKapprovals = 0", 9, 13, "0 approvals are no acceptance"),
        ("ROLESWORKapprovals = -1", 9, 13, "-1 approvals are no acceptance"),
        ("ROLESWORKapprovals = 3", 9, 13, "3 approvals can never be met: the approvers are 2"),
        ("ROLESWORKapprovals = 9223372036854775808", 9, 13, "a number out of all bounds"),
        ("ROLESWORKapprovals = \"2\"", 9, 13, "a string where a whole number is expected"),
        ("ROLESWORKauthor_may_approve = 1", 9, 22, "a number where `true` or `false` is expected"),
        // Gates.
        ("RULEgates = []\ngate_runners = [\"r\"]", 4, 9, "`gates` is empty"),
        ("RULEgate_runners = [\"r\"]", 4, 16, "`gate_runners` without `gates`"),
        ("RULEgates = [{ name = \"test\" }]", 4, 9, "`gates` without `gate_runners`"),
        ("RULEgates = [{ name = \"test\" }]\ngate_runners = []", 5, 16, "`gate_runners` is empty"),
        ("RULEgates = [{ name = \"test\" }]\ngate_runners = [\"r\"]", 5, 17, "there is no role `r`"),
        ("RULEgates = [\"test\"]", 4, 10, "a string where a table is expected"),
        ("RULEgates = [[\"test\", [\"cargo\"]]]", 4, 10, "a list where a table is expected"),
        ("RULEgates = [{ nam = \"test\" }]", 4, 12, "unknown key `nam`"),
        ("RULEgates = [{ command = [\"x\"] }]", 4, 10, "a gate without a `name`"),
        ("RULEgates = [{ name = \"\" }]", 4, 19, "`` is not a gate's name"),
        ("RULEgates = [{ name = \"test \" }]", 4, 19, "`test ` is not a gate's name"),
        ("RULEgates = [{ name = \"te\\u0000st\" }]", 4, 19, "`te\\0st` is not a gate's name"),
        (
            "RULEgates = [{ name = \"é\" }, { name = \"é\", command = [\"x\"] }]",
            4,
            35,
            "gate `é` stands twice",
        ),
        (
            "RULEgates = [{ name = \"test\", command = \"cargo test\" }]",
            4,
            37,
            "a string where a list is expected",
        ),
        (
            "RULEgates = [{ name = \"test\", command = [] }]",
            4,
            37,
            "the command of gate `test` names no program",
        ),
        (
            "RULEgates = [{ name = \"test\", command = [\"\"] }]",
            4,
            38,
            "the command of gate `test` names no program",
        ),
        (
            "RULEgates = [{ name = \"test\", command = [\"x\", \"\\u0000\"] }]",
            4,
            43,
            "no command has a NUL, as `\\0` has",
        ),
    ] {
        let text = fill(text);
        let refused = |text: &str| Policy::parse(text).expect_err(text);
        let problem = refused(&text);
        assert_eq!(problem.to_string(), format!("line {line}, column {column}: {message}"), "{text}");
        assert!(!problem.hint.is_empty());

        assert_eq!(refused(&text.replace('\n', "\r\n")), problem, "{text}");
        assert_eq!(refused(&format!("\u{feff}{text}")), problem, "{text}");
        let below = refused(&format!("# é 𝄞 ﷽\r\n\n{text}"));
        // The place of what is missing from the file as a whole is its beginning.
        let moved = if message == "no `version`" { line } else { line + 2 };
        assert_eq!(below, Problem { line: moved, ..problem });
    }
}

/// Texts that are nearly policies.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "RULE",
        "ROLES",
        "WORK",
        "\n",
        "\r\n",
        "[[rule]]\n",
        "[rule]\n",
        "[roles]\n",
        "[owners]\n",
        "refs",
        "paths",
        "receipt",
        "approvals",
        "approvers",
        "gates",
        "gate_runners",
        " = ",
        "1",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "\"\"\"",
        "'",
        ",",
        "\"r\"",
        "\"ann\"",
        "name",
        "command",
        "\"refs/heads/**\"",
        "\"!a/b\"",
        "\"a/\"",
        "\"accepted\"",
        "# ",
        "é",
        "𝄞",
        "\u{feff}",
        "\0",
        "\u{202e}",
        "\\u0007",
        ".",
        "true",
    ]);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| fill(&pieces.concat()))
}

fn is_in_text(problem: &Problem, text: &str) -> Result<(), TestCaseError> {
    let line = text.split('\n').nth(problem.line - 1);
    let line = line.ok_or_else(|| TestCaseError::fail(format!("no such line: {problem}")))?;
    prop_assert!((1..=line.chars().count() + 1).contains(&problem.column), "{problem}");
    prop_assert!(!problem.hint.is_empty() && !problem.message.contains(char::is_control), "{problem}");
    Ok(())
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), texts()]) {
        if let Err(problem) = Policy::parse(&text) {
            is_in_text(&problem, &text)?;
        }
    }

    #[test]
    fn no_change_of_a_policy_makes_the_reader_panic(
        from in 0..EVERYTHING.len(),
        length in 0..30usize,
        new in prop_oneof![any::<String>(), texts()],
    ) {
        let mut text = EVERYTHING.to_owned();
        text.replace_range(from..text.len().min(from + length), &new);
        match Policy::parse(&text) {
            Err(problem) => is_in_text(&problem, &text)?,
            Ok(policy) => prop_assert!(!policy.rules().is_empty()),
        }
    }

    #[test]
    fn line_ends_do_not_move_a_problem(text in texts()) {
        // Inside of long strings they are part of the text.
        let unix = text.replace("\"\"\"", "\"").replace("'''", "'").replace("\r\n", "\n");
        prop_assert_eq!(Policy::parse(&unix.replace('\n', "\r\n")), Policy::parse(&unix));
    }
}
