//! What test runners print, twice: with another duration each time and nothing else.
//!
//! `fixtures/check-output` holds what they printed where they are; those on this machine run again.

use std::path::Path;
use std::process::Command;

use crate::domain::normal::{normal, text_of};

/// A suite for `python -m unittest` and pytest.
const PYTHON: &str = "
import os, time, unittest
class Suite(unittest.TestCase):
    def test_adds(self): print(os.environ['SAY'])
    def test_waits_5ms(self): time.sleep(float(os.environ['WAIT']))
    @unittest.skip('later')
    def test_later(self): pass
";

/// One for `node --test`.
const NODE: &str = "
import { describe, it } from 'node:test';
const wait = () => new Promise((done) => setTimeout(done, 1000 * process.env.WAIT));
describe('suite', () => { it('adds', () => console.log(process.env.SAY)); it('waits 5ms', wait); });
";

/// One for `rustc --test`.
const RUST: &str = "
#[test] fn adds() { println!(\"{}\", std::env::var(\"SAY\").unwrap()) }
#[test] fn waits_5ms() {
    let seconds = std::env::var(\"WAIT\").unwrap().parse().unwrap();
    std::thread::sleep(std::time::Duration::from_secs_f64(seconds))
}
";

/// What a runner in `folder` prints for a suite that waits and says something; nothing where there is no such runner.
fn printed(folder: &Path, argv: &[&str], wait: &str, say: &str) -> Option<String> {
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).current_dir(folder).env("WAIT", wait).env("SAY", say);
    let output = command.env_remove("NODE_TEST_CONTEXT").output().ok()?;
    let text = text_of(&[output.stdout, output.stderr].concat());
    output.status.success().then_some(text)
}

#[test]
fn runners_here_print_the_same_but_for_durations_and_what_a_test_says_counts() {
    let folder = tempfile::tempdir().unwrap();
    for (name, suite) in [("test_suite.py", PYTHON), ("suite.mjs", NODE), ("suite.rs", RUST)] {
        std::fs::write(folder.path().join(name), suite).unwrap();
    }
    let _ = Command::new("rustc").args(["--test", "suite.rs"]).current_dir(folder.path()).output();
    let built = folder.path().join("suite");
    let runners: [&[&str]; 6] = [
        &["python3", "-m", "unittest", "-v", "test_suite"],
        &["python3", "-m", "pytest", "-p", "no:cacheprovider", "-s"],
        &["node", "--test", "--test-reporter=spec", "suite.mjs"],
        &["node", "--test", "--test-reporter=tap", "suite.mjs"],
        &[built.to_str().unwrap(), "--test-threads=1", "--nocapture"],
        &["bash", "-c", "time (sleep $WAIT; echo $SAY)"],
    ];
    for runner in runners {
        let run = |wait, say| printed(folder.path(), runner, wait, say);
        let (Some(one), Some(other)) = (run("0", "took 30 s"), run("0.3", "took 30 s")) else {
            println!("skipped: {runner:?}");
            continue;
        };
        assert_ne!(one, other, "{runner:?}");
        assert_eq!(normal(&one, &[]), normal(&other, &[]), "{runner:?}");
        let another = run("0", "took 5 ms").unwrap();
        assert_ne!(normal(&one, &[]), normal(&another, &[]), "{runner:?}");
    }
}

#[test]
fn runners_elsewhere_printed_the_same_but_for_durations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/check-output");
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for pair in names.chunks(2) {
        let [one, other] = [0, 1].map(|at| std::fs::read_to_string(&pair[at]).unwrap());
        assert_ne!(one, other, "{pair:?}");
        assert_eq!(normal(&one, &[]), normal(&other, &[]), "{pair:?}");
    }
    assert!(names.len() >= 16, "{names:?}");
}

#[test]
fn the_page_says_what_is_taken_out_and_what_is_not() {
    let page = include_str!("../../docs/replay.md");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let code = |cell: &str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.replace("\\t", "\t"));
        match cells[..] {
            ["", what, printed, compared, ""] => Some((what, code(printed)?, code(compared)?)),
            _ => None,
        }
    });
    let rows: Vec<_> = rows.collect();
    for (what, printed, compared) in &rows {
        assert_eq!(normal(printed, &["/home/ann/site"]), *compared, "{what}");
    }
    // Every known line stands there, and so does what stays.
    let with_time = rows.iter().filter(|(_, printed, compared)| printed != compared).count();
    assert!(with_time >= 30 && rows.len() > with_time, "{with_time} of {}", rows.len());
    for program in crate::domain::normal::programs() {
        assert!(rows.iter().any(|(what, ..)| what.split(", ").any(|word| word == program)), "{program}");
    }
}
