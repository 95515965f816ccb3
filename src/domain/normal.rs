//! What a check printed, without what differs from one run to the next: colours, durations, temporary folders, and where
//! the working tree was.
//!
//! The rules take out little on purpose. Whatever they take out twice the same way could hide a difference, so a
//! duration counts only in the lines in which known programs put their measurements, or in brackets that end a line.
//! What a program says in words of its own, as `waited 5 s`, may be the very thing that the check is about.

use std::sync::LazyLock;

use regex::{Captures, Regex, RegexBuilder};

/// Stands for a duration.
const TIME: &str = "<time>";
/// Stands for a temporary folder.
const TEMPORARY: &str = "<tmp>";
/// Stands for the top of the working tree.
const TOP: &str = "<top>";

/// Lines of known programs. What is in a group is taken out: a measurement, one in brackets with these, or what fills up
/// the line beside it. `{D}` is a duration, `{N}` a number, `{C}` what pytest counts. `docs/replay.md` has examples.
const LINES: &[(&str, &str)] = &[
    ("cargo", r"^test result: .*; finished in ({D})$"),
    ("cargo", r"^all doctests ran in ({D})(?:; merged doctests compilation took ({D}))?$"),
    ("cargo", r"^test .* \.\.\. (?:ok|FAILED) <({D})>$"),
    ("cargo", r"^ +Finished .* target\(s\) in ({D})$"),
    (
        "nextest",
        r"^[ ]*(?:PASS|FAIL|LEAK|ABORT|TIMEOUT|SIG[A-Z]+|FLAKY [0-9/]+|TRY [0-9]+ [A-Z]+|Summary) \[( *)([0-9]+\.[0-9]{3}s)\]",
    ),
    (
        "pytest",
        r"^(=*) ?(?:no tests ran|no tests collected|{C}(?:, {C})*) in ({D}(?: \([^()\n]*[0-9]:[0-9]{2}:[0-9]{2}\))?)(?: (=+))?$",
    ),
    ("pytest", r"^({D}) (?:call|setup|teardown)[ ]"),
    ("unittest", r"^Ran [0-9]+ tests? in ({D})$"),
    ("go", r"^(?:ok|FAIL)[ ]*\t[^ \t\n]+\t({D}|\(cached\))(?:[ \t].*)?$"),
    ("node", r"^(?:ℹ|#) duration_ms ({N})$"),
    ("node", r"^[ ]*duration_ms: ({N})$"),
    // Runners put it there or not, as a test took long or not.
    ("jest", r"^[ ]*(?:[✓✔√✕✖×▶﹣]|PASS|FAIL) .*?( \({D}\)(?: \({D}\))*)(?: # [A-Z].*)?$"),
    ("jest", r"^Time: {8}({D}(?:, estimated {D})?)$"),
    ("vitest", r"^[ ]*[✓❯×↓] [^ \n]+ +\([0-9]+ tests?[^()\n]*\) +({D})$"),
    ("vitest", r"^ {3}Duration  ({D}(?: \([a-z]+ {D}(?:, [a-z]+ {D})*\))?)$"),
    ("vitest", r"^ {3}Start at  ([0-9]{2}:[0-9]{2}:[0-9]{2})$"),
    ("mocha", r"^  [0-9]+ passing \(({D})\)$"),
    ("maven", r"^(?:\[[A-Z]+\] )?Tests run: .*, Time elapsed: ({D})(?:[ ].*)?$"),
    ("maven", r"^(?:\[[A-Z]+\] )?[^ \n]+.*Time elapsed: ({D}) +<<< [A-Z]+!$"),
    ("maven", r"^\[INFO\] Total time: +({D}|[0-9]+:[0-9]{2} (?:min|h))$"),
    ("maven", r"^\[INFO\] Finished at: ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+))$"),
    ("gradle", r"^BUILD (?:SUCCESSFUL|FAILED) in ({D})$"),
    (
        "ctest",
        r"^[ ]*[0-9]+/[0-9]+ Test[ ]+#[0-9]+: .*[ .*](?:Passed|Failed|Exception|Timeout)[A-Za-z: ]*?( +)({D})$",
    ),
    ("ctest", r"^Total Test time \(real\) =( +)({D})$"),
    ("meson", r"^[ ]*[0-9]+/[0-9]+ .* (?:OK|FAIL|SKIP|TIMEOUT|ERROR|EXPECTEDFAIL)( +)({D})(?:[ ].*)?$"),
    ("gtest", r"^\[[-=]+\] .* \(({D}) total\)$"),
    ("rspec", r"^Finished in ({D})(?: \(files took ({D}) to load\))?$"),
    ("exunit", r"^Finished in ({D}) \(({D}) async, ({D}) sync\)$"),
    ("minitest", r"^Finished in ({D}), ({N}) runs/s, ({N}) assertions/s\.$"),
    ("phpunit", r"^Time: ((?:[0-9]{2}:)+[0-9]{2}\.[0-9]{3}), Memory: "),
    ("dotnet", r"^(?:Passed|Failed)!  - .*, Duration: (?:< )?({D}) - "),
    ("yarn", r"^(?:✨  )?Done in ({D})\.$"),
    ("time", r"^(?:real|user|sys)\t([0-9]+m[0-9]+[.,][0-9]+s)$"),
];

/// The rules that are the same for all output.
struct Rules {
    colours: Regex,
    lines: Vec<Regex>,
    bracketed: Regex,
    temporary: Regex,
    random: Regex,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    const NUMBER: &str = r"[0-9]+(?:[.,][0-9]+)?";
    const SHORT: &str = r"(?:ns|µs|μs|us|ms|msecs?|milliseconds?|secs?|seconds?|s)";
    const LONG: &str = r"(?:mins?|minutes?|m|hours?|hrs?|h)";
    const COUNTED: &str = r"[0-9]+ (?:passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?|rerun|tests? collected)";
    // As in `1m 02.3s`. By itself a number and `m` or `h` may as well be a length, so that needs a line we know.
    let measured = format!(r"(?:[0-9]+ ?{LONG},? ?)*{NUMBER} ?{SHORT}");
    let duration = format!(r"(?:{measured}|(?:[0-9]+ ?{LONG} ?)*{NUMBER} ?{LONG})");
    let rule = |pattern: &str| {
        RegexBuilder::new(pattern).multi_line(true).build().expect("the pattern is written here")
    };
    let line = |pattern: &str| {
        rule(&pattern.replace("{D}", &duration).replace("{N}", NUMBER).replace("{C}", COUNTED))
    };
    Rules {
        // CSI and OSC sequences, and the few escapes of two bytes that tools print.
        colours: rule("\x1b(?:\\[[0-9;:?<=>]*[ -/]*[@-~]|\\][^\x07\x1b\n]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])"),
        lines: LINES.iter().map(|(_, pattern)| line(pattern)).collect(),
        bracketed: rule(&format!(r"([ \t][(\[]){measured}([)\]][ \t]*)$")),
        temporary: rule(
            r#"(^|[ \t])([("'`=]?)((?:/private)?(?:/tmp|/var/tmp|/var/folders/[^/\s]+/[^/\s]+/T))/([^/\s"'`)\]:,;]+)"#,
        ),
        random: rule(r"[A-Za-z0-9]{6,}$"),
    }
});

/// The programs whose lines are known.
#[cfg(test)]
pub(crate) fn programs() -> impl Iterator<Item = &'static str> {
    LINES.iter().map(|(program, _)| *program)
}

/// What a program printed as text: bytes that are none stand as `\xff`, so that different ones stay different.
pub fn text_of(output: &[u8]) -> String {
    let mut text = String::with_capacity(output.len());
    for chunk in output.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Takes out of `output` what differs from one run to the next. `tops` are the places where the working tree was.
///
/// Doing it again changes nothing.
pub fn normal(output: &str, tops: &[&str]) -> String {
    let rules = &*RULES;
    let mut text = output.to_owned();
    // What is taken out may put together what looks like a colour again.
    while rules.colours.is_match(&text) {
        text = rules.colours.replace_all(&text, "").into_owned();
    }
    text = text.replace("\r\n", "\n").replace('\r', "\n");
    text = without_tops(text, tops);
    let text = rules.temporary.replace_all(&text, |found: &Captures<'_>| match is_random(rules, &found[4]) {
        true => format!("{}{}{TEMPORARY}", &found[1], &found[2]),
        false => found[0].to_owned(),
    });
    let lines = |text: String, rule: &Regex| rule.replace_all(&text, without_groups).into_owned();
    let text = rules.lines.iter().fold(text.into_owned(), lines);
    rules.bracketed.replace_all(&text, format!("${{1}}{TIME}${{2}}")).into_owned()
}

/// A match with [`TIME`] in the place of every group. One with its brackets goes with them, and of what only fills up a
/// line one character stays.
fn without_groups(found: &Captures<'_>) -> String {
    let whole = found.get_match();
    let (mut text, mut rest_at) = (String::new(), 0);
    for group in found.iter().skip(1).flatten().filter(|group| !group.is_empty()) {
        let (start, end) = (group.start() - whole.start(), group.end() - whole.start());
        text.push_str(&whole.as_str()[rest_at..start]);
        text.push_str(match group.as_str() {
            bracketed if bracketed.starts_with(" (") => "",
            fill if fill.bytes().all(|byte| byte == b'=') => "=",
            fill if fill.bytes().all(|byte| byte == b' ') => " ",
            _ => TIME,
        });
        rest_at = end;
    }
    text + &whole.as_str()[rest_at..]
}

/// Whether a name below a temporary folder looks as if a program had made it up.
fn is_random(rules: &Rules, name: &str) -> bool {
    let Some(end) = rules.random.find(name) else { return false };
    let has = |test: fn(&u8) -> bool| end.as_str().as_bytes().iter().any(test);
    has(u8::is_ascii_digit) || (has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase))
}

/// Puts [`TOP`] in the place of every path of `tops`, where it is one by itself or the beginning of a longer one.
fn without_tops(text: String, tops: &[&str]) -> String {
    let mut tops: Vec<&str> = tops.iter().copied().filter(|top| top.len() > 1).collect();
    tops.sort_by_key(|top| std::cmp::Reverse(top.len()));
    let mut text = text;
    for top in tops {
        let mut kept = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(top) {
            let (before, after) = (&rest[..at], &rest[at + top.len()..]);
            let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            let whole = !after.starts_with(part_of_name)
                && !before.ends_with(|c| part_of_name(c) || matches!(c, '/' | '>'));
            kept.push_str(before);
            kept.push_str(if whole { TOP } else { top });
            rest = after;
        }
        kept.push_str(rest);
        text = kept;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn same(one: &str, other: &str) {
        assert_ne!(one, other, "nothing to show");
        assert_eq!(normal(one, &[]), normal(other, &[]));
    }

    #[test]
    fn what_test_runners_measure_is_taken_out() {
        for (one, other) in [
            ("test result: ok. 3 passed; finished in 0.01s", "test result: ok. 3 passed; finished in 1.20s"),
            ("--- PASS: TestIt (0.00s)", "--- PASS: TestIt (0.31s)"),
            ("ok  \texample.com/it\t0.002s", "ok  \texample.com/it\t12.020s"),
            ("======= 3 passed in 0.12s =======", "====== 3 passed in 10.34s ======="),
            ("1 failed, 2 passed in 0.12s", "1 failed, 2 passed in 62.12s (0:01:02)"),
            ("  ✓ adds (3 ms)", "  ✓ adds (1.012 s)"),
            ("  ✓ adds (3 ms)", "  ✓ adds"),
            ("Time:        1.234 s, estimated 2 s", "Time:        0.9 s, estimated 1 s"),
            ("   Duration  1.2s (transform 12ms, setup 0ms)", "   Duration  2s (transform 1ms, setup 3ms)"),
            ("Ran 3 tests in 0.001s", "Ran 3 tests in 0.002s"),
            ("real\t0m0.003s\nuser\t0m0.001s", "real\t1m2.003s\nuser\t0m0.002s"),
            ("        PASS [   0.004s] it adds::two", "        PASS [   1.304s] it adds::two"),
            ("1/3 Test #1: it ....   Passed    0.01 sec", "1/3 Test #1: it ....   Passed   10.22 sec"),
            (
                "Tests run: 3, Failures: 0, Time elapsed: 0.01 s - in it.Adds",
                "Tests run: 3, Failures: 0, Time elapsed: 0.2 s - in it.Adds",
            ),
            ("  3 passing (12ms)", "  3 passing (1m)"),
            ("BUILD SUCCESSFUL in 1m 2s", "BUILD SUCCESSFUL in 59s"),
            ("\x1b[32mok\x1b[0m", "ok"),
            ("one\r\ntwo\r\n", "one\ntwo\n"),
            ("in /tmp/tmp.aB3dE6gH/file", "in /tmp/tmp.Zz9yYxXw/file"),
        ] {
            same(one, other);
        }
    }

    #[test]
    fn the_top_of_the_working_tree_is_taken_out_where_it_is_one() {
        let tops = ["/home/ann/site", "/tmp/rerun-1"];
        assert_eq!(
            normal("at /home/ann/site/src/a.rs:3", &tops),
            normal("at /tmp/rerun-1/src/a.rs:3", &tops)
        );
        assert_eq!(normal("at /home/ann/sitex", &tops), "at /home/ann/sitex");
        assert_eq!(normal("at /srv/home/ann/site", &["/home/ann/site"]), "at /srv/home/ann/site");
    }

    #[test]
    fn bytes_that_are_no_text_stay_different() {
        assert_eq!(text_of(b"a\xff\xc3b"), "a\\xff\\xc3b");
        assert_ne!(text_of(b"\xfe"), text_of(b"\xff"));
    }

    #[test]
    fn what_is_no_measurement_stays() {
        for text in [
            "test waits_5ms ... ok",
            "test takes::10s ... FAILED",
            "exit code 3",
            "3 passed; 0 failed",
            "expected 5s but got 6s instead",
            "see /tmp/notes",
            "PASSED test_it[0.5s]",
            "request took 30 s",
            "request took 5 ms",
            "finished in 5 s",
            "job 3 finished in 5s",
            "3 files copied in 5s",
            "waited 9s",
            "distance is 4 m",
            "distance (4 m)",
            "open for [8 h]",
            "sum\t8 h",
            "Total time: 8 h",
            "Time: 5 s",
            "Elapsed: 3 s",
            "Duration 5 s",
            "user waited 5s",
            "WAIT [5s] left",
            "Finished the job in 5s",
            "Ran 3 miles in 20 minutes",
            "= 3 apples in 5 s =",
        ] {
            assert_eq!(normal(text, &[]), text);
        }
    }

    #[test]
    fn what_a_program_says_in_its_own_words_stays_different() {
        for (one, other) in [
            ("request took 30 s", "request took 5 ms"),
            ("waited 9s", "waited 1s"),
            ("distance is 4 m", "distance is 8 m"),
            ("finished in 5 s", "finished in 6 s"),
            ("Total time: 8 h", "Total time: 7 h"),
            ("user waited 5s", "user waited 6s"),
            ("1 failed, 2 passed in 0.12s", "2 failed, 1 passed in 0.12s"),
            ("ok  \texample.com/it\t0.002s\tcoverage: 50%", "ok  \texample.com/it\t0.002s\tcoverage: 40%"),
        ] {
            assert_ne!(normal(one, &[]), normal(other, &[]));
        }
    }

    /// Names as test runners have them: one word, with anything in it that looks like what is taken out.
    fn name() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[a-z]{1,4}",
            "[0-9]{1,3}(ms|s|m|h|us)",
            "[0-9]\\.[0-9]s",
            Just("::".to_owned()),
            Just("_".to_owned()),
            Just("/tmp/aB3dE6".to_owned()),
            Just("[0.5s]".to_owned()),
            Just("(12ms)".to_owned()),
            Just("<time>".to_owned()),
            Just("in".to_owned()),
        ];
        // What begins a name is a letter, as in every language that has tests.
        ("[a-z]", prop::collection::vec(part, 0..5)).prop_map(|(first, rest)| first + &rest.concat())
    }

    /// The same name with every digit another one.
    fn shifted(name: &str) -> String {
        let shift =
            |c: char| c.to_digit(10).and_then(|digit| char::from_digit((digit + 1) % 10, 10)).unwrap_or(c);
        name.chars().map(shift).collect()
    }

    fn line(form: usize, name: &str, ms: u32) -> String {
        match form {
            0 => format!("test {name} ... ok\n"),
            1 => format!("--- PASS: {name} (0.{ms:02}s)\n"),
            2 => format!("  ✓ {name} ({ms} ms)\n"),
            3 => format!("{name} PASSED [ 50%]\n"),
            4 => format!("        PASS [   0.{ms:03}s] it {name}\n"),
            5 => format!("ok  \t{name}\t0.{ms:03}s\n"),
            6 => format!("FAILED {name}\n"),
            _ => format!("ok 1 - {name}\n"),
        }
    }

    proptest! {
        #[test]
        fn doing_it_again_changes_nothing(
            text in "([a-z0-9 .,:;()\\[\\]<>=\t\n\r\x1b/]|[0-9]{1,2}(ms|s|m)|\x1b\\[[0-9]m|/tmp/|/w|Time:|in |✓ | \\([0-9]s\\)|\n(ok|FAIL)\t|===? |[0-9] passed){0,40}"
        ) {
            let once = normal(&text, &["/w", "/w/x"]);
            prop_assert_eq!(normal(&once, &["/w", "/w/x"]), once);
        }

        #[test]
        fn lines_of_tests_with_different_names_stay_different(
            one in name(), other in name(), form in 0_usize..8, ms in (0_u32..99, 0_u32..99),
        ) {
            let (a, b) = (normal(&line(form, &one, ms.0), &[]), normal(&line(form, &other, ms.1), &[]));
            prop_assert_eq!(a == b, one == other, "{} {}", a, b);
            let (other, ms) = (shifted(&one), (ms.0 + 1) % 99);
            let b = normal(&line(form, &other, ms), &[]);
            prop_assert_eq!(a == b, one == other, "{} {}", a, b);
        }
    }
}
