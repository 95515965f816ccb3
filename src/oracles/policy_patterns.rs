//! The patterns of policies, as git itself matches them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::domain::policy::tests::patterns::{globs, lists, paths};
use crate::domain::policy::{PathPatterns, RefPattern};

/// A repository without commits, to ask git about.
struct Oracle {
    dir: tempfile::TempDir,
}

impl Oracle {
    fn new() -> Self {
        let oracle = Oracle { dir: tempfile::tempdir().unwrap() };
        oracle.git(&["init", "-q"], "");
        oracle
    }

    /// What git prints; it may exit with 1, by which it says that nothing matches.
    fn git(&self, args: &[&str], input: &str) -> String {
        let mut child = Command::new("git")
            .args(["-c", "core.ignoreCase=false", "-c", "core.excludesFile="])
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need git");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "git {args:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Which of these paths the lines of a `.gitignore` would ignore; one that is not there counts as a file.
    fn ignored(&self, lines: &[String], paths: &[String]) -> BTreeSet<String> {
        fs::write(self.dir.path().join(".gitignore"), lines.join("\n") + "\n").unwrap();
        let input: String = paths.iter().map(|path| format!("{path}\0")).collect();
        let printed = self.git(&["check-ignore", "--no-index", "-z", "--stdin"], &input);
        printed.split_terminator('\0').map(str::to_owned).collect()
    }
}

/// Two repositories, in one of which every path that was asked about is a folder.
struct FilesAndFolders(Oracle, Oracle);

impl FilesAndFolders {
    fn new() -> Self {
        FilesAndFolders(Oracle::new(), Oracle::new())
    }

    /// Fails where git chooses otherwise, or where a line that we refuse as useless is of use; says whether we take
    /// the lines.
    fn compare_paths(&self, lines: &[String], paths: &[String]) -> Result<bool, TestCaseError> {
        let FilesAndFolders(files, folders) = self;
        for path in paths {
            fs::create_dir_all(folders.dir.path().join(path)).unwrap();
        }
        let ignored = |lines: &[String]| &files.ignored(lines, paths) | &folders.ignored(lines, paths);
        let patterns = match PathPatterns::parse(lines) {
            Ok(patterns) => patterns,
            Err((index, unfit)) => {
                if unfit.message.contains("leaves out no") {
                    let others = [&lines[..index], &lines[index + 1..]].concat();
                    prop_assert_eq!(ignored(lines), ignored(&others), "{}: {:?}", unfit, lines);
                }
                return Ok(false);
            }
        };
        let ours: BTreeSet<String> =
            paths.iter().filter(|path| patterns.covers(path.as_bytes())).cloned().collect();
        prop_assert_eq!(ours, ignored(lines), "{:?}", lines);
        Ok(true)
    }
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn git_would_ignore_the_paths_that_we_choose() {
    let oracle = FilesAndFolders::new();
    let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let paths = lines(&[
        "a",
        "a/b",
        "a/b/c",
        "docs",
        "docs/a",
        "docs/a/b",
        "x/docs/a",
        "src/a.rs",
        "src/x/a.rs",
        "!a",
        "#b",
        "c d",
        "[e]",
        "e",
        "Makefile",
        "x/makefile",
        "dataé",
        "data1",
        "a]",
        ".receipts/policy.toml",
    ]);
    for patterns in [
        &["docs"][..],
        &["/docs"],
        &["docs/"],
        &["docs/**"],
        &["**/docs/**"],
        &["docs/*", "!docs/a"],
        &["docs/*", "!docs/a", "docs/a/b"],
        &["/*", "!/docs/"],
        &["**", "!/docs/", "!/docs/**"],
        &["*", "!*.rs", "!*/"],
        &["src/**/*.rs", "!a.rs"],
        &["\\!a", "\\#b", "c\\ d", "\\[e]", "a[]]"],
        &["/*", "!\\!a"],
        &["[Mm]akefile", "data?"],
        &[".receipts/**", "data[!1]*"],
        &["[[:alpha:]]", "a[[:punct:]]"],
    ] {
        assert!(oracle.compare_paths(&lines(patterns), &paths).unwrap(), "{patterns:?}");
    }
}

#[test]
fn git_would_ignore_the_made_up_paths_that_we_choose() {
    let oracle = FilesAndFolders::new();
    let (taken, cases) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let single = globs().prop_map(|glob| vec![glob]);
    let odd = "[]ab*?\\[!^/:-]{1,8}".prop_map(|glob| vec![glob]);
    let lists = prop_oneof![3 => lists(), 1 => single, 1 => odd];
    let compared = runner().run(&(lists, paths()), |(lines, paths)| {
        cases.set(cases.get() + 1);
        taken.set(taken.get() + usize::from(oracle.compare_paths(&lines, &paths)?));
        Ok(())
    });
    compared.unwrap();
    assert!(taken.get() * 5 > cases.get(), "{} of {} lists were taken", taken.get(), cases.get());
}

#[test]
fn git_lists_the_refs_that_we_match() {
    let oracle = Oracle::new();
    let tree = oracle.git(&["mktree"], "");
    let commit =
        oracle.git(&["-c", "user.name=x", "-c", "user.email=x", "commit-tree", "-m", "x", tree.trim()], "");
    // No name is another's folder.
    let (mut names, folders) = (Vec::new(), ["", "a/", "b/", "ab/", "a/b/", "b/ab/a/"]);
    for kind in ["refs/heads/", "refs/tags/"] {
        for folder in folders {
            names.extend(["x", "xb", "]x", "é"].map(|leaf| format!("{kind}{folder}{leaf}")));
        }
    }
    let input: String = names.iter().map(|name| format!("create {name} {commit}")).collect();
    oracle.git(&["update-ref", "--stdin"], &input);
    let part = prop::sample::select(vec![
        "heads", "tags", "*", "**", "a", "b", "?", "a*", "*b", "[ab]", "[!a]", "[a-w]*", "x*", "[]a]x", "??",
        "x",
    ]);
    let patterns = prop::collection::vec(part, 1..5).prop_map(|parts| format!("refs/{}", parts.join("/")));
    let compared = runner().run(&patterns, |text| {
        let Ok(pattern) = RefPattern::parse(&text) else { return Ok(()) };
        let ours: BTreeSet<&str> =
            names.iter().map(String::as_str).filter(|name| pattern.matches(name)).collect();
        let listed = oracle.git(&["for-each-ref", "--format=%(refname)", &text], "");
        // A plain name also lists what is below it.
        let exact = text.contains(['*', '?', '[']);
        let mut theirs: BTreeSet<&str> = listed.lines().filter(|name| exact || *name == text).collect();
        let Some(branches) = text.strip_prefix("refs/heads/") else {
            // Only branches are also listed by patterns whose `*` takes slashes.
            prop_assert!(theirs.is_subset(&ours), "{}", text);
            return Ok(());
        };
        let listed = oracle.git(&["branch", "--list", "--format=%(refname)", branches], "");
        theirs.extend(listed.lines());
        prop_assert_eq!(ours, theirs, "{}", text);
        Ok(())
    });
    compared.unwrap();
}
