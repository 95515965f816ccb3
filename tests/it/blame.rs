//! Where lines come from: git's own word on commits, and receipts through everything that git does to them.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{PROGRAM, TestRepo, check, ten_lines, write};

/// A repository with a file of ten lines and a key of the person's own.
fn ten() -> TestRepo {
    with_ten(TestRepo::bare_of_receipts(&[]))
}

fn with_ten(repo: TestRepo) -> TestRepo {
    repo.receipt(&["init", "--no-man"]);
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.receipt(&["key", "new", "--person"]);
    write(&repo.path, "a.txt", &ten_lines(&[]));
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Ten lines"]);
    repo
}

/// Proposes the ten lines with some changed, accepts that, and returns the receipt.
fn land(repo: &TestRepo, changed: &[u32], summary: &str) -> String {
    write(&repo.path, "a.txt", &ten_lines(changed));
    let receipt = repo.receipt(&["propose", "-m", summary]);
    repo.receipt(&["accept", &receipt]);
    receipt
}

/// Our lines, after holding every commit against git's own word.
fn blame_in(repo: &TestRepo, folder: &Path, args: &[&str]) -> Vec<Value> {
    let (report, code) = repo.json_in(folder, &[&["blame"], args].concat());
    assert_eq!(code, 0, "{report:#}");
    let git = repo.git_in(folder, &[&["blame", "--line-porcelain"], args].concat());
    let is_id = |word: &str| word.len() >= 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let headers = || git.lines().filter(|line| !line.starts_with('\t'));
    let theirs: Vec<(&str, &str)> = headers()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next().filter(|word| is_id(word))?, words.next()?))
        })
        .collect();
    let files: Vec<&str> = headers().filter_map(|line| line.strip_prefix("filename ")).collect();
    let lines = report["lines"].as_array().unwrap().clone();
    assert_eq!((lines.len(), lines.len()), (theirs.len(), files.len()), "{report:#}");
    for ((ours, (commit, origin)), file) in lines.iter().zip(theirs).zip(files) {
        // Odd names are in quotes there.
        assert!(file.starts_with('"') || ours["origin_path"] == file, "{file}: {ours:#}");
        let committed = commit.bytes().any(|byte| byte != b'0').then_some(commit);
        assert_eq!(ours["commit"].as_str(), committed, "{ours:#}");
        assert_eq!(ours["origin_line"].to_string(), origin, "{ours:#}");
    }
    lines
}

fn blame(repo: &TestRepo, args: &[&str]) -> Vec<Value> {
    blame_in(repo, &repo.path, args)
}

/// For a line: receipt, grade, basis and number of what speaks for it.
fn told(line: &Value) -> Vec<(String, String, String, Value)> {
    let word = |claim: &Value, name: &str| claim[name].as_str().unwrap().to_owned();
    let claims = line["receipts"].as_array().unwrap().iter();
    claims
        .map(|claim| {
            (word(claim, "receipt"), word(claim, "grade"), word(claim, "basis"), claim["number"].clone())
        })
        .collect()
}

/// Insists that the lines of a file come from these accepted lines, and the others from nothing.
fn assert_told(lines: &[Value], expected: &[(u64, &str, &str, u64)]) {
    for line in lines {
        let wanted: Vec<_> = expected
            .iter()
            .filter(|(number, ..)| line["line"] == *number)
            .map(|(_, receipt, grade, number)| {
                ((*receipt).to_owned(), (*grade).to_owned(), "line".to_owned(), json!(number))
            })
            .collect();
        assert_eq!(told(line), wanted, "{line:#}");
    }
}

#[test]
fn a_line_names_its_receipt_and_who_accepted_it_and_one_without_names_none() {
    let repo = ten();
    let receipt = land(&repo, &[2, 9], "Shout");
    let lines = blame(&repo, &["a.txt"]);
    assert_told(&lines, &[(2, &receipt, "commit", 1), (9, &receipt, "commit", 2)]);
    assert_eq!(lines[1]["receipts"][0]["accepted_by"], json!(["person (this machine)"]));
    let text = repo.receipt(&["blame", "a.txt"]);
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[1].contains(&receipt[18..]) && rows[1].contains("L01 commit"), "{text}");
    assert!(!rows[0].contains("commit ") && rows[0].ends_with("1) line 1 is here"), "{text}");
}

#[test]
fn receipts_are_found_through_an_amend_that_git_tells_of_and_one_that_it_does_not() {
    let repo = ten();
    let receipt = land(&repo, &[2], "Shout");
    repo.hooked(&["commit", "-q", "--amend", "-m", "Reworded, with hooks"]);
    let bound = repo.json(&["show", &receipt]).0["commits"].clone();
    assert_eq!(bound, json!([repo.git(&["rev-parse", "HEAD"])]), "the hook has followed");
    // The binding is to this commit; its lines were worked out for another with the same tree.
    assert_told(&blame(&repo, &["a.txt"]), &[(2, &receipt, "tree", 1)]);
    repo.git(&["commit", "-q", "--amend", "-m", "Reworded, without"]);
    assert_told(&blame(&repo, &["a.txt"]), &[(2, &receipt, "tree", 1)]);
}

#[test]
fn in_a_commit_with_more_than_was_accepted_the_accepted_line_is_still_told_apart() {
    let repo = ten();
    let receipt = land(&repo, &[2], "Shout");
    write(&repo.path, "a.txt", &ten_lines(&[2, 8]));
    repo.hooked(&["commit", "-qa", "--amend", "--no-edit"]);
    let lines = blame(&repo, &["a.txt"]);
    assert_eq!(told(&lines[1]), [(receipt.clone(), "commit".into(), "line".into(), json!(1))]);
    // The other line is in the same commit, and nobody accepted it.
    assert_eq!(told(&lines[7]), [(receipt, "commit".into(), "commit".into(), Value::Null)]);
    assert_eq!(lines[7]["receipts"][0]["accepted_by"], json!([]));
}

#[test]
fn a_rebase_over_other_changes_and_a_cherry_pick_are_found_by_their_lines() {
    let repo = ten();
    repo.git(&["checkout", "-qb", "side"]);
    let receipt = land(&repo, &[2], "Shout");
    let picked = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["checkout", "-q", "main"]);
    write(&repo.path, "a.txt", &format!("new first line\n{}", ten_lines(&[])));
    repo.git(&["commit", "-qam", "By hand"]);
    repo.git(&["cherry-pick", &picked]);
    assert_told(&blame(&repo, &["a.txt"]), &[(3, &receipt, "patch", 1)]);
    // A rebase does the same to a commit, and where the hooks are told of it the binding follows.
    repo.git(&["checkout", "-q", "side"]);
    repo.git(&["rebase", "-q", "main^"]);
    assert_told(&blame(&repo, &["a.txt"]), &[(3, &receipt, "patch", 1)]);
    repo.git(&["checkout", "-qb", "told", &picked]);
    repo.hooked(&["rebase", "-q", "main^"]);
    assert_told(&blame(&repo, &["a.txt"]), &[(3, &receipt, "patch", 1)]);
    let bound = repo.json(&["show", &receipt]).0["commits"].clone();
    assert_eq!(bound, json!([repo.git(&["rev-parse", "HEAD"])]));
}

/// Two receipts landed one after the other.
fn two(repo: &TestRepo) -> (String, String) {
    (land(repo, &[2], "First"), land(repo, &[2, 8], "Second"))
}

#[test]
fn an_interactive_rebase_that_reorders_keeps_every_line_with_its_receipt() {
    let repo = ten();
    let (first, second) = two(&repo);
    let editor = "sed -i '1h;1d;$G'";
    let mut rebase = repo.command("git", &repo.path, &["rebase", "-q", "-i", "HEAD~2"]);
    rebase.env("GIT_SEQUENCE_EDITOR", editor);
    check(rebase);
    assert_eq!(repo.git(&["log", "-1", "--format=%s"]), "First");
    let lines = blame(&repo, &["a.txt"]);
    assert_told(&lines, &[(2, &first, "patch", 1), (8, &second, "patch", 1)]);
}

#[test]
fn a_squash_keeps_every_line_with_its_own_receipt() {
    let repo = ten();
    let (first, second) = two(&repo);
    let mut rebase = repo.command("git", &repo.path, &["rebase", "-q", "-i", "HEAD~2"]);
    rebase.env("GIT_SEQUENCE_EDITOR", "sed -i '2s/pick/fixup/'");
    check(rebase);
    assert_eq!(repo.git(&["rev-list", "--count", "HEAD"]), "3");
    let lines = blame(&repo, &["a.txt"]);
    assert_told(&lines, &[(2, &first, "lines", 1), (8, &second, "lines", 1)]);
}

#[test]
fn a_line_that_a_later_receipt_of_a_squash_moved_down_keeps_its_own() {
    let repo = ten();
    let first = land(&repo, &[5], "First");
    write(&repo.path, "a.txt", &format!("above\nand above\n{}", ten_lines(&[5])));
    let second = repo.receipt(&["propose", "-m", "Second"]);
    repo.receipt(&["accept", &second]);
    repo.git(&["reset", "-q", "--soft", "HEAD~2"]);
    repo.git(&["commit", "-qm", "Both"]);
    assert_told(
        &blame(&repo, &["a.txt"]),
        &[(1, &second, "lines", 1), (2, &second, "lines", 2), (7, &first, "lines", 1)],
    );
}

#[test]
fn a_squashed_merge_that_nothing_was_told_of_is_found_by_its_lines() {
    let repo = ten();
    repo.git(&["checkout", "-qb", "side"]);
    let (first, second) = two(&repo);
    repo.git(&["checkout", "-q", "main"]);
    write(&repo.path, "a.txt", &format!("new first line\n{}", ten_lines(&[])));
    repo.git(&["commit", "-qam", "By hand"]);
    repo.git(&["merge", "-q", "--squash", "side"]);
    repo.git(&["commit", "-qm", "All of it"]);
    let lines = blame(&repo, &["a.txt"]);
    assert_told(&lines, &[(3, &first, "lines", 1), (9, &second, "lines", 1)]);
    // One more line in the same commit, and nothing speaks for any of them.
    write(&repo.path, "a.txt", &format!("new first line\n{}", ten_lines(&[2, 5, 8])));
    repo.git(&["commit", "-qa", "--amend", "--no-edit"]);
    assert_told(&blame(&repo, &["a.txt"]), &[]);
}

#[test]
fn commits_are_gits_own_in_every_form_of_asking() {
    for init in [&[][..], &["--object-format=sha256"]] {
        let repo = with_ten(TestRepo::bare_of_receipts(init));
        let receipt = land(&repo, &[2, 9], "Shout");
        repo.git(&["mv", "a.txt", "folder-b.txt"]);
        repo.git(&["commit", "-qm", "Rename"]);
        let renamed = &["folder-b.txt"][..];
        assert_told(&blame(&repo, renamed), &[(2, &receipt, "commit", 1), (9, &receipt, "commit", 2)]);
        for ranges in
            [&["-L", "2,3"][..], &["-L", "2,+1", "-L", "9,10"], &["-L", "/line 9/,+2"], &["-L", "8"]]
        {
            blame(&repo, &[ranges, renamed].concat());
            blame(&repo, &[ranges, &["HEAD~1", "--", "a.txt"]].concat());
        }
        blame(&repo, &["HEAD~2..HEAD", "--", "folder-b.txt"]);
        // Uncommitted lines, of which no receipt speaks.
        write(&repo.path, "folder-b.txt", &format!("new\n{}", ten_lines(&[2, 5, 9])));
        let lines = blame(&repo, renamed);
        assert_eq!((&lines[0]["commit"], &lines[5]["commit"]), (&Value::Null, &Value::Null));
        assert_told(&lines, &[(3, &receipt, "commit", 1), (10, &receipt, "commit", 2)]);
        assert!(repo.receipt(&["blame", "folder-b.txt"]).starts_with("not committed"));
        // A commit that everybody agreed to look past.
        repo.git(&["commit", "-qam", "Reformat"]);
        write(&repo.path, "ignored", &repo.git(&["rev-parse", "HEAD"]));
        repo.git(&["config", "blame.ignoreRevsFile", "ignored"]);
        blame(&repo, renamed);
        repo.git(&["config", "--unset", "blame.ignoreRevsFile"]);
        let linked = repo.folder.path().join("linked");
        repo.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "HEAD~1"]);
        write(&linked, "folder-b.txt", &ten_lines(&[2, 3, 9]));
        let lines = blame_in(&repo, &linked, renamed);
        assert_told(&lines, &[(2, &receipt, "commit", 1), (9, &receipt, "commit", 2)]);
        let bare = repo.folder.path().join("bare.git");
        repo.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
        repo.git_in(&bare, &["fetch", "-q", "origin", "refs/receipts/*:refs/receipts/*"]);
        assert_told(
            &blame_in(&repo, &bare, &["HEAD~2", "--", "a.txt"]),
            &[(2, &receipt, "commit", 1), (9, &receipt, "commit", 2)],
        );
    }
}

/// Commits by hand what a proposal has, after accepting some of its lines without landing them.
fn by_hand(repo: &TestRepo, changed: &[u32], accepted: &str) -> String {
    write(&repo.path, "a.txt", &ten_lines(changed));
    let receipt = repo.receipt(&["propose", "-m", "Shout"]);
    repo.receipt(&["accept", &receipt, "--lines", accepted]);
    repo.git(&["commit", "-qam", "By hand"]);
    receipt
}

#[test]
fn accepted_lines_that_were_committed_by_hand_are_told_by_their_numbers() {
    let repo = ten();
    let receipt = by_hand(&repo, &[2, 9], "1-2");
    assert_eq!(repo.json(&["show", &receipt]).0["proposal"]["applied"], "");
    let lines = blame(&repo, &["a.txt"]);
    let grade = told(&lines[1])[0].1.clone();
    assert_told(&lines, &[(2, &receipt, &grade, 1), (9, &receipt, &grade, 2)]);
    assert_eq!(lines[1]["receipts"][0]["accepted_by"], json!(["person (this machine)"]));
    assert!(repo.receipt(&["why", "a.txt:9"]).contains("its accepted line L02 put this line here"));
    // Later commits of the same file are no matter.
    write(&repo.path, "a.txt", &format!("above\n{}", ten_lines(&[2, 9])));
    repo.git(&["commit", "-qam", "Above"]);
    assert_told(&blame(&repo, &["a.txt"]), &[(3, &receipt, &grade, 1), (10, &receipt, &grade, 2)]);

    // Some lines of a proposal, and only these in the commit.
    let repo = ten();
    write(&repo.path, "a.txt", &ten_lines(&[2, 5, 9]));
    let receipt = repo.receipt(&["propose", "-m", "Shout"]);
    repo.receipt(&["accept", &receipt, "--lines", "1,3"]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 9]));
    repo.git(&["commit", "-qam", "By hand"]);
    assert_told(&blame(&repo, &["a.txt"]), &[(2, &receipt, "tree", 1), (9, &receipt, "tree", 3)]);

    // A line that nobody accepted in the same commit, and nothing speaks for it.
    let repo = ten();
    by_hand(&repo, &[2, 9], "1");
    assert_told(&blame(&repo, &["a.txt"]), &[]);
}

#[test]
fn a_line_that_git_looks_past_a_change_of_is_still_known_by_what_was_accepted() {
    let repo = ten();
    let receipt = by_hand(&repo, &[2, 9], "1-2");
    let grade = told(&blame(&repo, &["a.txt"])[1])[0].1.clone();
    write(&repo.path, "a.txt", &ten_lines(&[2, 9]).replace("line", "    line"));
    repo.git(&["commit", "-qam", "Indent"]);
    assert_told(&blame(&repo, &["a.txt"]), &[]);
    let expected = [(2, &*receipt, &*grade, 1), (9, &*receipt, &*grade, 2)];
    let lines = blame(&repo, &["-w", "a.txt"]);
    assert_told(&lines, &expected);
    assert_eq!(lines[1]["text"], "    line 2 was here");
    let indent = repo.git(&["rev-parse", "HEAD"]);
    assert_told(&blame(&repo, &["--ignore-rev", &indent, "a.txt"]), &expected);
    write(&repo.path, "past", &format!("# looked past\n{indent}\n"));
    assert_told(&blame(&repo, &["--ignore-revs-file", "past", "a.txt"]), &expected);
    assert_told(&blame(&repo, &["--ignore-revs-file", "past", "--ignore-revs-file", "", "a.txt"]), &[]);
    repo.git(&["config", "blame.ignoreRevsFile", "past"]);
    assert_told(&blame(&repo, &["a.txt"]), &expected);
}

#[test]
fn a_line_that_moved_to_another_file_is_told_by_the_file_that_it_comes_from() {
    let repo = ten();
    let receipt = land(&repo, &[2, 9], "Shout");
    write(&repo.path, "b.txt", &format!("of its own\n{}", ten_lines(&[2, 9])));
    write(&repo.path, "a.txt", "what is left\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Move"]);
    assert_told(&blame(&repo, &["b.txt"]), &[]);
    let lines = blame(&repo, &["-C", "b.txt"]);
    assert_told(&lines, &[(3, &receipt, "commit", 1), (10, &receipt, "commit", 2)]);
    assert_eq!((&lines[2]["origin_path"], &lines[2]["origin_line"]), (&"a.txt".into(), &2.into()));
    assert_eq!(lines[0]["origin_path"], "b.txt");
    // Nothing names this commit; the accepted lines are found by what they bring, in the file where they were.
    let repo = ten();
    let receipt = by_hand(&repo, &[2, 9], "1-2");
    repo.git(&["mv", "a.txt", "c.txt"]);
    write(&repo.path, "a.txt", "another\n");
    write(&repo.path, "b.txt", &ten_lines(&[2, 9]));
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Copy"]);
    let lines = blame(&repo, &["-C", "-C", "b.txt"]);
    assert_eq!((told(&lines[1])[0].0.as_str(), &told(&lines[8])[0].3), (receipt.as_str(), &json!(2)));
}

#[test]
fn every_option_names_the_commits_and_places_that_git_names_with_it() {
    let repo = ten();
    let block = |name: &str| -> String { (1..=5).map(|n| format!("    {name} says number {n}\n")).collect() };
    let commit = |files: &[(&str, String)]| {
        for (name, content) in files {
            write(&repo.path, name, content);
        }
        repo.git(&["add", "."]);
        repo.git(&["commit", "-qm", "Step"]);
        repo.git(&["rev-parse", "HEAD"])
    };
    let (one, two, short) = (block("one"), block("two"), "abcdef\n");
    let moved = |first: &str, last: &str| ("m", format!("{first}{two}{last}"));
    commit(&[moved(&one, short), ("x", format!("{one}{two}")), ("y", "y\n".into()), ("z", two.clone())]);
    // Within the file; to a file of the same commit; from a file that stays, to a new one and to an old one.
    commit(&[moved(short, &one)]);
    commit(&[("x", one.clone()), ("y", format!("y\n{two}"))]);
    commit(&[("new", two.clone()), ("old", "old\n".into())]);
    commit(&[("old", format!("old\n{two}"))]);
    let indent = commit(&[("x", one.replace("    ", "\t"))]);
    let shouted = commit(&[("z", two.to_uppercase())]);
    write(&repo.path, "past", &format!("{indent}\n{shouted}\n"));
    let files = ["m", "x", "y", "z", "new", "old"];
    let all = |options: &[&str]| -> Vec<Value> {
        let lines = |file: &&str| blame(&repo, &[options, &["--", file]].concat());
        let bare = |line: Value| json!([line["commit"], line["origin_path"], line["origin_line"]]);
        files.iter().flat_map(lines).map(bare).collect()
    };
    let mut seen = vec![all(&[])];
    // Each of them is for something.
    for options in [
        &["-w"][..],
        &["-M"],
        &["-M3"],
        &["-wM3"],
        &["-C"],
        &["-C", "-C"],
        &["-C", "-C", "-C"],
        &["-wC", "-C", "-C"],
        &["--ignore-rev", &shouted],
        &["--ignore-revs-file", "past"],
        &["-w", "-M", "-C", "-C", "-C", "--ignore-revs-file", "past", "-L", "2,4"],
    ] {
        let lines = all(options);
        assert!(!seen.contains(&lines), "{options:?}");
        seen.push(lines);
    }
    for options in [&["-C90", "-C"][..], &["-M", "-C200", "-C", "-C20"], &["--ignore-rev=HEAD", "-M30"]] {
        all(options);
    }
    // Anywhere else the letter still says where to run.
    let there = repo.path.to_str().unwrap();
    assert_eq!(
        repo.receipt_in(Path::new("/"), &["-C", there, "blame", "-C", "x"]),
        repo.receipt(&["blame", "-C", "x"])
    );
    assert_eq!(repo.receipt_in(Path::new("/"), &["list", "-C", there]), repo.receipt(&["list"]));
    for (args, said) in [
        (&["blame", "-CC", "x"][..], "invalid value 'C' for '-C"),
        (&["blame", "-M=x", "x"], "a number belongs there"),
        (&["blame", "--ignore-rev", "no-such", "x"], "`no-such` names no commit to look past"),
        (&["blame", "--ignore-revs-file", "no-such", "x"], "from the top of the working tree"),
        (&["why", "-w", "x:1"], "unexpected argument"),
    ] {
        let output = repo.try_receipt(args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
}

#[test]
fn odd_names_line_ends_and_folders_are_no_matter() {
    let repo = ten();
    let names =
        ["with space.txt", "-dash", "--contents=x", "quote\"d", "tab\tnew\nline", "ünïcode 漢", "deep/er/f"];
    let crlf = ten_lines(&[]).replace('\n', "\r\n");
    for name in names {
        write(&repo.path, name, &crlf);
    }
    repo.git(&["-c", "core.autocrlf=false", "add", "."]);
    repo.git(&["commit", "-qm", "Odd names"]);
    for name in names {
        write(&repo.path, name, &ten_lines(&[4]).replace('\n', "\r\n"));
    }
    let receipt = repo.receipt(&["propose", "-m", "Odd"]);
    repo.receipt(&["accept", &receipt]);
    for name in names {
        let lines = blame(&repo, &["--", name]);
        assert_eq!(told(&lines[3])[0].0, receipt, "{name:?}");
        assert_eq!(told(&lines[3])[0].2, "line", "{name:?}");
        assert!(lines.iter().filter(|line| line["line"] != 4).all(|line| told(line).is_empty()));
        assert_eq!((&lines[3]["text"], &lines[3]["origin_path"]), (&"line 4 was here".into(), &name.into()));
        let (story, code) = repo.json(&["why", "--", &format!("{name}:4")]);
        assert_eq!((code, &story["stories"][0]["receipt"]["summary"]), (0, &"Odd".into()), "{story:#}");
        let text = repo.receipt(&["blame", "--", name]);
        assert!(!text.contains('\r'), "{text:?}");
    }
    let lines = blame_in(&repo, &repo.path.join("deep"), &["er/f"]);
    assert_eq!(told(&lines[3])[0].0, receipt);
    let lines = blame_in(&repo, &repo.path.join("deep"), &["HEAD", "--", "er/f"]);
    assert_eq!(told(&lines[3])[0].0, receipt);
}

/// Runs `git receipt` with the keys of somebody else.
fn as_other(repo: &TestRepo, who: &str, args: &[&str]) -> String {
    let home = repo.folder.path().join(format!("home-{who}"));
    std::fs::create_dir_all(&home).unwrap();
    let mut command = repo.command(PROGRAM, &repo.path, args);
    command.env("HOME", home);
    check(command)
}

#[test]
fn each_line_names_those_who_accepted_that_very_line() {
    let repo = ten();
    repo.receipt(&["key", "trust"]);
    for who in ["bob", "cy"] {
        as_other(&repo, who, &["key", "new", "--person"]);
        as_other(&repo, who, &["key", "trust", "--principal", &format!("{who}@example.com")]);
    }
    repo.git(&["add", ".receipts"]);
    repo.git(&["commit", "-qm", "Signers"]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 5, 9]));
    let receipt = repo.receipt(&["propose", "-m", "Shout", "--restore"]);
    as_other(&repo, "bob", &["accept", &receipt, "--lines", "1-2", "-m", "both fine"]);
    as_other(&repo, "cy", &["accept", &receipt, "--lines", "2-3"]);
    repo.receipt(&["apply", &receipt]);
    let lines = blame(&repo, &["a.txt"]);
    let accepted = |line: usize| lines[line - 1]["receipts"][0]["accepted_by"].clone();
    assert_eq!(accepted(2), json!(["bob@example.com"]));
    assert_eq!(accepted(5), json!(["bob@example.com", "cy@example.com"]));
    assert_eq!(accepted(9), json!(["cy@example.com"]));
    let (story, _) = repo.json(&["why", "a.txt:2"]);
    let decisions = &story["stories"][0]["decisions"];
    assert_eq!(decisions.as_array().unwrap().len(), 1, "{story:#}");
    assert_eq!(
        (&decisions[0]["principal"], &decisions[0]["lines"], &decisions[0]["reason"]),
        (&"bob@example.com".into(), &"1-2".into(), &"both fine".into())
    );
}

#[test]
fn a_strangers_receipt_is_shown_as_such_and_never_beside_what_is_known_of_a_line() {
    let repo = ten();
    let known = land(&repo, &[2], "Shout");
    let landed = repo.git(&["rev-parse", "HEAD"]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 7]));
    repo.git(&["commit", "-qam", "By hand"]);
    as_other(&repo, "eve", &["init", "--no-man"]);
    let strange =
        as_other(&repo, "eve", &["open", "-m", "Mine\u{1b}[31m all mine", "--agent", "evil\nagent"]);
    as_other(&repo, "eve", &["bind", &strange, &landed]);
    as_other(&repo, "eve", &["bind", &strange, "HEAD"]);
    let lines = blame(&repo, &["a.txt"]);
    assert_eq!(told(&lines[1]), [(known, "commit".into(), "line".into(), json!(1))]);
    assert_eq!(told(&lines[6]), [(strange.clone(), "commit".into(), "commit".into(), Value::Null)]);
    assert_eq!(lines[6]["receipts"][0]["known"], false);
    let text = repo.receipt(&["blame", "a.txt"]);
    assert!(text.lines().nth(6).unwrap().contains(&format!("?{}", &strange[18..])), "{text}");
    let porcelain = repo.receipt(&["blame", "--porcelain", "a.txt"]);
    assert!(porcelain.contains("\nreceipt-signer unknown\nreceipt-agent evil agent\n"), "{porcelain}");
    let story = repo.receipt(&["why", "a.txt:7"]);
    assert!(story.contains("unknown signer") && !story.contains('\u{1b}'), "{story}");
}

/// Records calls of an agent that edit `a.txt`, as content before and after, and returns the receipt.
fn edited(repo: &TestRepo, summary: &str, edits: &[(&str, &str)]) -> String {
    let receipt = repo.receipt(&["open", "-m", summary, "--agent", "robot", "--model", "m-1"]);
    let blob = |content: &str| {
        write(&repo.path, "scratch", content);
        let oid = repo.git(&["hash-object", "-w", "scratch"]);
        std::fs::remove_file(repo.path.join("scratch")).unwrap();
        format!("sha1:{oid}")
    };
    let mut lines = vec![json!({"kind": "retrieval.made", "data": {
        "tool": "Grep", "query": {"text": format!("where is {summary}")}, "sources": [{"path": "a.txt"}]}})];
    for (before, after) in edits {
        lines.push(json!({"kind": "tool.called", "title": format!("edit for {summary}"), "data": {
            "tool": "Edit", "status": "ok", "step": "flexible", "files": [{
                "path": "a.txt", "change": "modified", "before": blob(before), "after": blob(after)}]}}));
    }
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    let file = repo.folder.path().join("facts.jsonl");
    std::fs::write(&file, text.join("\n") + "\n").unwrap();
    repo.receipt(&["record", file.to_str().unwrap(), "--receipt", &receipt]);
    receipt
}

/// Two receipts, each with edits, in one commit with a line by hand.
fn two_in_one_commit() -> (TestRepo, String, String) {
    let repo = ten();
    let (base, one, two) = (ten_lines(&[]), ten_lines(&[2]), ten_lines(&[2, 3]));
    let first = edited(&repo, "first", &[(&base, &one), (&one, &two)]);
    let second = edited(&repo, "second", &[(&two, &ten_lines(&[2, 3, 8]))]);
    write(&repo.path, "a.txt", &ten_lines(&[2, 3, 5, 8]));
    repo.git(&["commit", "-qam", "Both, and one by hand"]);
    repo.receipt(&["bind", &first, &second, "HEAD"]);
    (repo, first, second)
}

#[test]
fn of_several_receipts_bound_to_a_commit_the_one_whose_edit_wrote_the_line_is_named() {
    let (repo, first, second) = two_in_one_commit();
    let lines = blame(&repo, &["a.txt"]);
    let edit = |receipt: &str| [(receipt.to_owned(), "commit".into(), "edit".into(), Value::Null)];
    assert_eq!(told(&lines[1]), edit(&first));
    assert_eq!(told(&lines[2]), edit(&first));
    assert_eq!(told(&lines[7]), edit(&second));
    // The line by hand: both speak for the commit, and neither is known to have written it.
    let of_commit = told(&lines[4]);
    assert_eq!(of_commit.len(), 2, "{of_commit:?}");
    assert!(of_commit.iter().all(|(_, _, basis, _)| basis == "commit"), "{of_commit:?}");
    assert!(told(&lines[0]).is_empty());
    // Carried to another branch, where nothing was told of it.
    let both = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["checkout", "-qb", "side", "HEAD~1"]);
    write(&repo.path, "a.txt", &format!("above\n{}", ten_lines(&[])));
    repo.git(&["commit", "-qam", "By hand"]);
    repo.git(&["cherry-pick", &both]);
    let lines = blame(&repo, &["a.txt"]);
    assert_eq!(told(&lines[2]), [(first, "patch".into(), "edit".into(), Value::Null)]);
    assert_eq!(told(&lines[8]), [(second, "patch".into(), "edit".into(), Value::Null)]);
    assert_eq!(lines[8]["receipts"][0]["carried_from"], both);
    assert_eq!(told(&lines[5]).len(), 2);
    assert!(told(&lines[0]).is_empty());
    // With one more line it is no longer what was carried over.
    write(&repo.path, "a.txt", &format!("above\n{}", ten_lines(&[2, 3, 5, 8, 10])));
    repo.git(&["commit", "-qa", "--amend", "--no-edit"]);
    assert!(blame(&repo, &["a.txt"]).iter().all(|line| told(line).is_empty()));
}

#[test]
fn a_line_that_is_not_committed_names_the_newest_open_receipt_whose_edit_wrote_it() {
    let repo = ten();
    let (base, one, two) = (ten_lines(&[]), ten_lines(&[2]), ten_lines(&[2, 3]));
    let first = edited(&repo, "first", &[(&base, &one), (&one, &two)]);
    let second = edited(&repo, "second", &[(&two, &ten_lines(&[2, 3, 8]))]);
    // A line by hand, and one of them changed by hand afterwards.
    write(
        &repo.path,
        "a.txt",
        &format!("above\n{}", ten_lines(&[2, 3, 5, 8])).replace("line 3 was", "line 3 is not"),
    );
    let edit = |receipt: &str| vec![(receipt.to_owned(), "uncommitted".into(), "edit".into(), Value::Null)];
    let expected = |number: u64| match number {
        3 => edit(&first),
        9 => edit(&second),
        _ => Vec::new(),
    };
    for args in [&["a.txt"][..], &["-L", "3,9", "a.txt"], &["-w", "-C", "a.txt"]] {
        for line in blame(&repo, args) {
            assert_eq!(told(&line), expected(line["line"].as_u64().unwrap()), "{line:#}");
        }
    }
    let text = repo.receipt(&["blame", "a.txt"]);
    let row = text.lines().nth(2).unwrap();
    assert!(
        row.starts_with("not committed") && row.contains(&format!("{} edit uncommitted", &first[18..])),
        "{text}"
    );
    assert!(
        repo.receipt(&["blame", "--porcelain", "a.txt"])
            .contains("receipt-grade uncommitted\nreceipt-basis edit")
    );
    let (story, _) = repo.json(&["why", "a.txt:3"]);
    let told_of = &story["stories"][0];
    assert_eq!((&story["commit"], &told_of["wrote"]["step"]), (&Value::Null, &2.into()), "{story:#}");
    assert_eq!(told_of["retrievals"][0]["query"], "where is first");
    let text = repo.receipt(&["why", "a.txt:3"]);
    assert!(text.contains("evidence not committed: a recorded edit wrote this line"), "{text}");
    assert_eq!(repo.json(&["why", "a.txt:6"]).0["stories"], json!([]));
    // What is committed is told by evidence for the commit, of which there is none here.
    repo.git(&["commit", "-qam", "Both, and by hand"]);
    assert!(blame(&repo, &["a.txt"]).iter().all(|line| told(line).is_empty()));
    repo.git(&["reset", "-q", "HEAD~1"]);
    assert_eq!(told(&blame(&repo, &["a.txt"])[2]), edit(&first));
    // In another worktree neither is at work, and one that is closed is no longer.
    let linked = repo.folder.path().join("linked");
    repo.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "HEAD"]);
    write(&linked, "a.txt", &two);
    assert!(blame_in(&repo, &linked, &["a.txt"]).iter().all(|line| told(line).is_empty()));
    repo.receipt(&["close", &second, "--status", "completed"]);
    let lines = blame(&repo, &["a.txt"]);
    assert_eq!((told(&lines[2]), told(&lines[8])), (edit(&first), Vec::new()));
    // The same line by a newer one.
    let third = edited(&repo, "third", &[(&base, &one)]);
    assert_eq!(told(&blame(&repo, &["a.txt"])[2]), edit(&third));
}

#[test]
fn a_squash_of_bound_commits_is_taken_apart_again() {
    let repo = ten();
    repo.git(&["checkout", "-qb", "side"]);
    let mut receipts = Vec::new();
    let mut text = ten_lines(&[]);
    for changed in [&[2][..], &[2, 9]] {
        let after = ten_lines(changed);
        let receipt = edited(&repo, "step", &[(&text, &after)]);
        write(&repo.path, "a.txt", &after);
        repo.git(&["commit", "-qam", "Step"]);
        repo.receipt(&["bind", &receipt, "HEAD"]);
        (text, _) = (after, receipts.push(receipt));
    }
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--squash", "side"]);
    repo.git(&["commit", "-qm", "All of it"]);
    let lines = blame(&repo, &["a.txt"]);
    assert_eq!(told(&lines[1]), [(receipts[0].clone(), "lines".into(), "edit".into(), Value::Null)]);
    assert_eq!(told(&lines[8]), [(receipts[1].clone(), "lines".into(), "edit".into(), Value::Null)]);
    assert!(told(&lines[0]).is_empty());
}

#[test]
fn why_tells_what_led_to_a_line() {
    let (repo, first, _) = two_in_one_commit();
    repo.receipt(&["run", "--gate", "test", "--receipt", &first, "--", "grep", "-q", "was", "a.txt"]);
    let (story, code) = repo.json(&["why", "a.txt:3"]);
    assert_eq!(code, 0, "{story:#}");
    let told = &story["stories"][0];
    assert_eq!(told["receipt"]["receipt"], first.as_str());
    assert_eq!((&told["receipt"]["agent"], &told["receipt"]["model"]), (&"robot".into(), &"m-1".into()));
    assert_eq!((&told["task"], &told["claim"]["basis"]), (&"first".into(), &"edit".into()));
    // The second edit wrote line 3: opening, retrieval, first edit, second edit.
    assert_eq!((&told["wrote"]["step"], &told["wrote"]["kind"]), (&3.into(), &"tool.called".into()));
    assert_eq!(repo.json(&["why", "a.txt:2"]).0["stories"][0]["wrote"]["step"], 2);
    assert_eq!(told["retrievals"][0]["query"], "where is first");
    assert_eq!(told["retrievals"][0]["sources"], json!(["a.txt"]));
    assert_eq!(
        (&told["gates"][0]["result"], &told["gates"][0]["unproven"]),
        (&"passed".into(), &false.into())
    );
    assert_eq!(told["gates"][0]["on_commit"], true, "{story:#}");
    assert_eq!(told["bindings"][0]["of_commit"], true);
    let text = repo.receipt(&["why", "a.txt:3"]);
    for part in
        ["line 3 was here", "where is first", "edit for first", "test passed", &first, "git receipt show"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let nobody = repo.receipt(&["why", "a.txt:1"]);
    assert!(nobody.contains("receipt  none"), "{nobody}");
    assert!(repo.receipt(&["why", "a.txt:3", "HEAD"]).contains(&first));
}

#[test]
fn why_finds_the_edit_behind_an_accepted_line() {
    let repo = ten();
    let (base, after) = (ten_lines(&[]), ten_lines(&[4]));
    let receipt = edited(&repo, "work", &[(&base, &after)]);
    write(&repo.path, "a.txt", &after);
    repo.receipt(&["propose", "--receipt", &receipt, "-m", "Shout"]);
    repo.receipt(&["accept", &receipt, "-m", "looks right"]);
    let (story, _) = repo.json(&["why", "a.txt:4"]);
    let told = &story["stories"][0];
    assert_eq!((&told["claim"]["basis"], &told["wrote"]["kind"]), (&"line".into(), &"tool.called".into()));
    assert_eq!(told["decisions"][0]["reason"], "looks right");
    let text = repo.receipt(&["why", "a.txt:4"]);
    assert!(text.contains("accepted by person (this machine), lines 1: looks right"), "{text}");
}

#[test]
fn a_line_that_a_fork_left_as_it_was_is_the_origins_and_one_that_it_changed_is_not() {
    let repo = ten();
    let (base, after) = (ten_lines(&[]), ten_lines(&[4, 6]));
    let robots = edited(&repo, "work", &[(&base, &after)]);
    write(&repo.path, "a.txt", &after);
    repo.receipt(&["run", "--gate", "test", "--receipt", &robots, "--", "grep", "-q", "was", "a.txt"]);
    repo.receipt(&["propose", "--receipt", &robots, "-m", "Shout"]);
    repo.git(&["checkout", "-q", "a.txt"]);
    // As a reviewer's edited line does: a receipt of one's own from the proposal, with one line put differently.
    let at = repo.json(&["show", &robots]).0["steps"].as_array().unwrap().len() - 1;
    let fork = repo.receipt(&["fork", &robots, "--at", &at.to_string(), "-m", "Shout (edited)"]);
    let changed = after.replace("line 6 was here", "line six was here");
    write(&repo.path, "a.txt", &changed);
    repo.receipt(&["propose", "--receipt", &fork, "-m", "Shout (edited)"]);
    repo.receipt(&["accept", &fork]);

    let lines = blame(&repo, &["a.txt"]);
    assert_told(&lines, &[(4, &fork, "commit", 1), (6, &fork, "commit", 2)]);
    let (kept, put) = (&lines[3]["receipts"][0], &lines[5]["receipts"][0]);
    assert_eq!(kept["origin"], json!({"receipt": robots, "number": 1}));
    assert_eq!(put["origin"], Value::Null);
    assert_eq!(kept["accepted_by"], put["accepted_by"], "who accepted it stays");
    let (report, _) = repo.json(&["blame", "a.txt"]);
    let named: Vec<_> = report["receipts"].as_array().unwrap().iter().map(|one| &one["receipt"]).collect();
    assert_eq!(named, [robots.as_str(), fork.as_str()]);
    let text = repo.receipt(&["blame", "a.txt"]);
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[3].contains("robot m-1") && !rows[5].contains("robot"), "{text}");
    let porcelain = repo.receipt(&["blame", "--porcelain", "a.txt"]);
    let headers =
        [&format!("receipt-origin {robots}\nreceipt-origin-line 1\n"), "receipt-origin-agent robot\n"];
    assert!(headers.iter().all(|header| porcelain.matches(header).count() == 1), "{porcelain}");

    let (story, _) = repo.json(&["why", "a.txt:4"]);
    let told = &story["stories"][0];
    assert_eq!(told["forked_from"]["receipt"], robots.as_str());
    let origin = &told["origin"];
    assert_eq!((&origin["receipt"]["agent"], &origin["number"]), (&"robot".into(), &1.into()));
    assert_eq!(origin["wrote"]["kind"], "tool.called");
    assert_eq!(origin["retrievals"][0]["query"], "where is work");
    assert_eq!(origin["gates"][0]["gate"], "test", "{story:#}");
    let text = repo.receipt(&["why", "a.txt:4"]);
    assert!(text.contains("where is work") && text.contains("with robot m-1"), "{text}");
    // The line that was put differently has its own story, and says where the receipt came from.
    let (story, _) = repo.json(&["why", "a.txt:6"]);
    assert_eq!(story["stories"][0]["origin"], Value::Null);
    assert_eq!(story["stories"][0]["forked_from"]["receipt"], robots.as_str());
    assert!(repo.receipt(&["why", "a.txt:6"]).contains(&format!("forked   from {robots}")));
}

#[test]
fn what_is_not_there_is_said_with_what_helps() {
    let repo = ten();
    std::fs::write(repo.path.join("binary"), b"a\0b\nc\n").unwrap();
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Binary"]);
    for (args, said) in [
        (&["blame", "none.txt"][..], "`none.txt` is no file of the working tree"),
        (&["blame", "HEAD", "none.txt"], "`none.txt` is no file of `HEAD`"),
        (&["blame", "no-such", "a.txt"], "`no-such` names no commit"),
        (&["blame", "--", "--contents=a.txt", "a.txt"], "`--contents=a.txt` names no commit"),
        (&["blame", "-L", "99", "a.txt"], "`a.txt` has only 10 lines"),
        (&["blame", "-L", "--help", "a.txt"], "git blame"),
        (&["why", "a.txt"], "`a.txt` names no line"),
        (&["why", "a.txt:x"], "`a.txt:x` names no line"),
        (&["why", "a.txt:0"], "`a.txt:0` names no line"),
        (&["why", "a.txt:11"], "`a.txt` has only 10 lines"),
        (&["why", "none.txt:1"], "`none.txt` is no file"),
        (&["why", "binary:2"], "`binary` is binary"),
    ] {
        let output = repo.try_receipt(args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
}

#[test]
fn porcelain_is_gits_own_with_headers_of_ours_in_between() {
    let repo = ten();
    let receipt = land(&repo, &[2, 9], "Shout");
    let ours = repo.receipt(&["blame", "--porcelain", "a.txt"]);
    let theirs = repo.git(&["blame", "--porcelain", "a.txt"]);
    let without: Vec<&str> = ours.lines().filter(|line| !line.starts_with("receipt")).collect();
    assert_eq!(without, theirs.lines().collect::<Vec<_>>());
    let headers: Vec<&str> = ours.lines().filter(|line| line.starts_with("receipt")).collect();
    let of = |number: u64| {
        vec![
            format!("receipt {receipt}"),
            "receipt-grade commit".into(),
            "receipt-basis line".into(),
            "receipt-signer known".into(),
            format!("receipt-line {number}"),
            "receipt-accepted-by person (this machine)".into(),
        ]
    };
    assert_eq!(headers, [of(1), of(2)].concat());
}

#[test]
fn a_repository_without_receipts_and_one_never_set_up_are_no_trouble() {
    let repo = TestRepo::bare_of_receipts(&[]);
    assert!(told(&blame(&repo, &["file"])[0]).is_empty());
    let (story, code) = repo.json(&["why", "file:1"]);
    assert_eq!((code, &story["stories"]), (0, &json!([])));
}
