//! What a check printed, without what differs from one run to the next: colours, durations, temporary folders, and where
//! the working tree was.
//!
//! The rules take out little on purpose. Whatever they take out twice the same way could hide a difference, so a
//! duration counts only where programs put measurements: at the end of a line, behind a word that announces one, or in
//! brackets behind the verdict. A word that merely contains one, as the name `waits_5ms`, stays as it is.

use std::sync::LazyLock;

use regex::{Captures, Regex, RegexBuilder};

/// Stands for a duration.
const TIME: &str = "<time>";
/// Stands for a temporary folder.
const TEMPORARY: &str = "<tmp>";
/// Stands for the top of the working tree.
const TOP: &str = "<top>";

/// The rules that are the same for all output.
struct Rules {
    colours: Regex,
    at_end: Regex,
    announced: Regex,
    all_of_line: Regex,
    bracketed: Regex,
    duration: Regex,
    temporary: Regex,
    random: Regex,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    // A number and a unit, or several of these as in `1m 02.3s`.
    const NUMBER: &str = r"[0-9]+(?:[.,][0-9]+)?";
    const UNIT: &str =
        r"(?:ns|µs|μs|us|ms|msecs?|milliseconds?|secs?|seconds?|s|mins?|minutes?|m|hours?|hrs?|h)";
    let duration = format!(r"{NUMBER}[ \t]?{UNIT}(?:[ \t]?{NUMBER}[ \t]?{UNIT})*");
    let rule = |pattern: &str| {
        RegexBuilder::new(pattern).multi_line(true).build().expect("the pattern is written here")
    };
    Rules {
        // CSI and OSC sequences, and the few escapes of two bytes that tools print.
        colours: rule("\x1b(?:\\[[0-9;:?<=>]*[ -/]*[@-~]|\\][^\x07\x1b\n]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])"),
        at_end: rule(&format!(r"(^|[ \t])([(\[<]?)[ \t]*{duration}([)\]>]?[ \t.;=]*)$")),
        announced: rule(&format!(
            r"(^|[ \t(])((?:[Tt]ime elapsed|[Tt]otal time|[Ee]lapsed(?: time)?):[ \t]*){duration}([ \t,;)]|$)"
        )),
        all_of_line: rule(r"^[ \t]*(?:Time:|Duration:?[ \t]|real\b|user\b|sys\b).*$"),
        bracketed: rule(&format!(r"^([ \t]*[A-Z]+ \[)[ \t]*{duration}(\])")),
        duration: rule(&format!(r"(^|[ \t(]){duration}([ \t,;)]|$)")),
        temporary: rule(
            r#"(^|[ \t])([("'`=]?)((?:/private)?(?:/tmp|/var/tmp|/var/folders/[^/\s]+/[^/\s]+/T))/([^/\s"'`)\]:,;]+)"#,
        ),
        random: rule(r"[A-Za-z0-9]{6,}$"),
    }
});

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
    let text = rules.all_of_line.replace_all(&text, |line: &Captures<'_>| settle(&rules.duration, &line[0]));
    let text = rules.bracketed.replace_all(&text, format!("${{1}}{TIME}${{2}}"));
    let text = settle(&rules.announced, &text);
    rules.at_end.replace_all(&text, format!("${{1}}${{2}}{TIME}${{3}}")).into_owned()
}

/// Puts [`TIME`] in the middle of every match, until there is none: neighbours share the character between them.
fn settle(rule: &Regex, text: &str) -> String {
    let mut text = text.to_owned();
    while rule.is_match(&text) {
        let middle = |found: &Captures<'_>| {
            let group = |n| found.get(n).map_or("", |group| group.as_str());
            match found.len() {
                3 => format!("{}{TIME}{}", group(1), group(2)),
                _ => format!("{}{}{TIME}{}", group(1), group(2), group(3)),
            }
        };
        text = rule.replace_all(&text, middle).into_owned();
    }
    text
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
            ("======= 3 passed in 0.12s =======", "======= 3 passed in 0.34s ======="),
            ("  ✓ adds (3 ms)", "  ✓ adds (12 ms)"),
            ("Time:        1.234 s, estimated 2 s", "Time:        0.9 s, estimated 1 s"),
            ("   Duration  1.2s (transform 12ms, setup 0ms)", "   Duration  2s (transform 1ms, setup 3ms)"),
            ("Ran 3 tests in 0.001s", "Ran 3 tests in 0.002s"),
            ("real\t0m0.003s\nuser\t0m0.001s", "real\t1m2.003s\nuser\t0m0.002s"),
            ("        PASS [   0.004s] it adds::two", "        PASS [   1.304s] it adds::two"),
            ("1/3 Test #1: it ....   Passed    0.01 sec", "1/3 Test #1: it ....   Passed    0.22 sec"),
            (
                "Tests run: 3, Time elapsed: 0.01 s - in it.Adds",
                "Tests run: 3, Time elapsed: 0.2 s - in it.Adds",
            ),
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
        ] {
            assert_eq!(normal(text, &[]), text);
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
            text in "([a-z0-9 .,:;()\\[\\]<>=\t\n\r\x1b/]|[0-9]{1,2}(ms|s|m)|\x1b\\[[0-9]m|/tmp/|/w|Time:|in ){0,40}"
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
