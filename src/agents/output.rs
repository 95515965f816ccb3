//! How many checks ran, read from what well-known test runners print last.
//!
//! Only what cannot be read in two ways is counted: one runner's summary, complete, and nothing of another's.

use std::sync::LazyLock;

use regex::Regex;

use crate::domain::fact::data::Counts;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of this file")
}

static COLOUR: LazyLock<Regex> = LazyLock::new(|| regex("\x1b\\[[0-9;]*m"));
static TRUNCATED: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?mi)^.{0,40}\[\d+ (?:lines|characters) truncated\]|^<persisted-output>|\[truncated\]")
});
static CARGO: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?m)^test result: (?:ok|FAILED)\. (\d{1,9}) passed; (\d{1,9}) failed; (\d{1,9}) ignored;")
});
static GO: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^--- (PASS|FAIL|SKIP): "));
static PYTEST: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?m)^(?:=+ )?((?:\d{1,9} [a-z]+(?:, )?)+) in \d+(?:\.\d+)?s(?: \([0-9:]+\))?(?: =+)?\s*$")
});
static JEST: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?m)^Tests: +((?:\d{1,9} [a-z]+, )*)(\d{1,9}) total\s*$"));
static VITEST: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?m)^ *Tests +((?:\d{1,9} [a-z]+(?: \| )?)+) \((\d{1,9})\)\s*$"));

/// Reads one runner's summary. `None`: not this runner; `Some(None)`: this runner, and not clear.
type Reader = fn(&str) -> Option<Option<Counts>>;

/// The counts that `output` states, if it states them once and in full.
pub(super) fn counts(output: &str) -> Option<Counts> {
    let output = COLOUR.replace_all(output, "");
    if TRUNCATED.is_match(&output) {
        return None;
    }
    let readers: [Reader; 5] = [cargo, go, pytest, jest, vitest];
    let mut found = readers.iter().filter_map(|read| read(&output));
    let only = found.next()?;
    if found.next().is_some() { None } else { only }
}

fn number(text: &str) -> u64 {
    text.parse().expect("at most nine digits")
}

fn cargo(output: &str) -> Option<Option<Counts>> {
    let mut sum = Counts { passed: 0, failed: 0, skipped: 0 };
    let mut any = false;
    for found in CARGO.captures_iter(output) {
        any = true;
        sum.passed += number(&found[1]);
        sum.failed += number(&found[2]);
        sum.skipped += number(&found[3]);
    }
    any.then_some(Some(sum))
}

/// Top-level tests of `go test -v`; without `-v` only failures are named, so nothing is counted.
fn go(output: &str) -> Option<Option<Counts>> {
    let mut sum = Counts { passed: 0, failed: 0, skipped: 0 };
    for found in GO.captures_iter(output) {
        match &found[1] {
            "PASS" => sum.passed += 1,
            "FAIL" => sum.failed += 1,
            _ => sum.skipped += 1,
        }
    }
    let runs =
        output.lines().filter(|line| line.starts_with("=== RUN ") && !line.contains('/')).count() as u64;
    match sum.passed + sum.failed + sum.skipped {
        0 => None,
        all => Some((all == runs).then_some(sum)),
    }
}

fn pytest(output: &str) -> Option<Option<Counts>> {
    let mut lines = PYTEST.captures_iter(output);
    let words = lines.next()?[1].to_owned();
    Some(if lines.next().is_some() {
        None
    } else {
        sum(words.split(", "), &["warning", "warnings", "deselected"])
    })
}

fn jest(output: &str) -> Option<Option<Counts>> {
    let mut lines = JEST.captures_iter(output);
    let found = lines.next()?;
    let parts: Vec<&str> = found[1].split(", ").filter(|part| !part.is_empty()).collect();
    let clear = sum(parts.into_iter(), &[]).filter(|c| c.passed + c.failed + c.skipped == number(&found[2]));
    Some(if lines.next().is_some() { None } else { clear })
}

fn vitest(output: &str) -> Option<Option<Counts>> {
    let mut lines = VITEST.captures_iter(output);
    let found = lines.next()?;
    let clear =
        sum(found[1].split(" | "), &[]).filter(|c| c.passed + c.failed + c.skipped == number(&found[2]));
    Some(if lines.next().is_some() { None } else { clear })
}

/// Adds up `3 passed` and the like; none when a word is not known.
fn sum<'a>(parts: impl Iterator<Item = &'a str>, other: &[&str]) -> Option<Counts> {
    let mut sum = Counts { passed: 0, failed: 0, skipped: 0 };
    for part in parts {
        let (digits, word) = part.trim().split_once(' ')?;
        match word {
            "passed" => sum.passed += number(digits),
            "failed" => sum.failed += number(digits),
            "skipped" => sum.skipped += number(digits),
            word if other.contains(&word) => {}
            _ => return None,
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: &str) -> Option<(u64, u64, u64)> {
        counts(output).map(|c| (c.passed, c.failed, c.skipped))
    }

    #[test]
    fn summaries_are_read() {
        let cargo = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(shown(&cargo.repeat(2)), Some((6, 0, 2)));
        assert_eq!(
            shown("=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/b\nPASS\n"),
            Some((1, 0, 0))
        );
        assert_eq!(shown("==== 1 failed, 2 passed, 3 skipped, 1 warning in 0.12s ====\n"), Some((2, 1, 3)));
        assert_eq!(shown("2 passed in 61.02s (0:01:01)"), Some((2, 0, 0)));
        assert_eq!(shown("Tests:       1 failed, 3 passed, 4 total\n"), Some((3, 1, 0)));
        assert_eq!(
            shown(" \u{1b}[2m     Tests \u{1b}[22m \u{1b}[31m1 failed\u{1b}[39m | 3 passed (4)\n"),
            Some((3, 1, 0))
        );
    }

    #[test]
    fn what_is_not_clear_is_not_counted() {
        assert_eq!(shown("ok  \texample.org/a\t0.1s\n"), None, "packages are not tests");
        assert_eq!(
            shown("=== RUN   TestA\n=== RUN   TestB\n--- PASS: TestA (0.00s)\n"),
            None,
            "one is missing"
        );
        assert_eq!(shown("1 passed, 1 xfailed in 0.1s"), None, "a word without a place");
        assert_eq!(shown("1 passed in 0.1s\n2 passed in 0.1s\n"), None, "two runs");
        assert_eq!(shown("Tests:       1 todo, 3 passed, 4 total\n"), None);
        let both = "test result: ok. 3 passed; 0 failed; 1 ignored;\n1 passed in 0.1s\n";
        assert_eq!(shown(both), None, "two runners");
        let cut = "... [12 lines truncated] ...\ntest result: ok. 3 passed; 0 failed; 1 ignored;\n";
        assert_eq!(shown(cut), None, "cut");
    }
}
