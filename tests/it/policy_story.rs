//! The running example of docs/policy.md, run as it stands there.

use std::path::Path;
use std::process::Command;

use crate::support::PROGRAM;

/// A fenced block: its info string and its text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((info.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// Runs a block line by line as one person. `R` is kept from block to block; a line that ends in a comment beginning
/// with `fails` or `refused` has to fail, and say the code that the comment names.
fn run(folder: &Path, who: &str, block: &str) {
    let state = folder.join("R");
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
        let receipt = std::fs::read_to_string(&state).unwrap_or_default();
        let script = format!("set -e; R={}; {command}; printf %s \"$R\" > ../R", receipt.trim());
        let mut shell = Command::new("sh");
        let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
        shell.args(["-c", &script]).current_dir(folder.join(who)).env_clear().env("PATH", path);
        shell.env("HOME", folder.join(format!("home-{who}"))).env("GIT_CONFIG_NOSYSTEM", "1");
        let output = shell.output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let fails = comment.starts_with("fails") || comment.starts_with("refused");
        assert_eq!(output.status.success(), !fails, "{who}: {line}\n{said}");
        if let Some(code) = comment.split([' ', ':']).find(|word| word.starts_with("A7")) {
            assert!(said.contains(code), "{who}: {line}\n{said}");
        }
    }
}

#[test]
fn the_story_of_the_policy_page_happens_as_it_is_told() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policy.md");
    let page = std::fs::read_to_string(page).unwrap();
    let start = page.find("## Two people").unwrap();
    let end = page.find("## Rules").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("bin")).unwrap();
    std::os::unix::fs::symlink(PROGRAM, folder.join("bin/git-receipt")).unwrap();
    for (who, email) in [("ann", "ann@example.com"), ("bob", "bob@example.com"), ("ci", "ci@example.com")] {
        let home = folder.join(format!("home-{who}"));
        std::fs::create_dir(&home).unwrap();
        let config = format!(
            "[user]\n\tname = {who}\n\temail = {email}\n[init]\n\tdefaultBranch = main\n[pull]\n\tff = only\n[advice]\n\tdetachedHead = false\n"
        );
        std::fs::write(home.join(".gitconfig"), config).unwrap();
    }
    let start_here = "git init -q --bare ../remote.git; git init -q .; echo 'one and one is three' > a.txt; \
                      printf 'grep -q \"is two$\" a.txt\\n' > test.sh; git add .; git commit -qm Start; \
                      git remote add origin ../remote.git; git push -q -u origin main; git remote set-head origin main";
    std::fs::create_dir(folder.join("ann")).unwrap();
    run(folder, "ann", start_here);
    for who in ["bob", "ci"] {
        run(folder, "ann", &format!("git clone -q ../remote.git ../{who}"));
    }
    let mut ran = 0;
    for (info, text) in blocks(&page[start..end]) {
        match info.split_once(' ') {
            Some(("sh", who)) => {
                run(folder, who, &text);
                ran += 1;
            }
            _ => std::fs::write(folder.join("ann/.receipts/policy.toml"), text).unwrap(),
        }
    }
    assert!(ran > 10);
}
