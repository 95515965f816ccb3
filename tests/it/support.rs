//! A repository of its own for each test, cut off from the user's configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_git-receipt");

/// A repository with one commit, a home, and nothing else of this machine's.
pub struct TestRepo {
    pub folder: tempfile::TempDir,
    pub path: PathBuf,
}

impl TestRepo {
    /// One commit, `init` run.
    pub fn new() -> Self {
        let repo = Self::bare_of_receipts(&[]);
        repo.receipt(&["init", "--no-man"]);
        repo
    }

    /// One commit, made with extra arguments of `git init`.
    pub fn bare_of_receipts(init: &[&str]) -> Self {
        let repo = Self::empty(init);
        std::fs::write(repo.path.join("file"), "one\n").unwrap();
        repo.git(&["add", "."]);
        repo.git(&["commit", "-qm", "First"]);
        repo
    }

    /// No commit yet.
    pub fn empty(init: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("repo");
        std::fs::create_dir_all(folder.path().join("home")).unwrap();
        let repo = TestRepo { path: path.clone(), folder };
        let mut args = vec!["init", "-q", "-b", "main"];
        args.extend(init);
        let name = path.to_string_lossy().into_owned();
        args.push(&name);
        check(repo.command("git", Path::new("/"), &args));
        repo
    }

    /// A bare remote and a second clone, both with `init` run and what is recorded so far.
    pub fn share(&self) -> (PathBuf, PathBuf) {
        let (remote, second) = (self.folder.path().join("remote.git"), self.folder.path().join("second"));
        let (there, other) = (remote.to_str().unwrap(), second.to_str().unwrap());
        // As over a network: a clone of a folder would bring along what no ref reaches.
        self.git(&["clone", "-q", "--no-local", "--bare", ".", there]);
        self.git(&["remote", "add", "origin", there]);
        self.git(&["fetch", "-q"]);
        self.receipt(&["init", "--no-man"]);
        self.receipt(&["push"]);
        self.git_in(self.folder.path(), &["clone", "-q", "--no-local", there, other]);
        self.receipt_in(&second, &["init", "--no-man"]);
        self.receipt_in(&second, &["fetch"]);
        (remote, second)
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A command that sees only this test's world.
    pub fn command(&self, program: &str, directory: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ann Example")
            .env("GIT_AUTHOR_EMAIL", "ann@example.com")
            .env("GIT_COMMITTER_NAME", "Ann Example")
            .env("GIT_COMMITTER_EMAIL", "ann@example.com")
            .stdin(Stdio::null());
        command
    }

    pub fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.path, args)
    }

    pub fn git_in(&self, directory: &Path, args: &[&str]) -> String {
        check(self.command("git", directory, args))
    }

    /// Runs git where its hooks find the program, as they do on a machine that has it; else they do nothing.
    pub fn hooked(&self, args: &[&str]) -> String {
        let mut command = self.command("git", &self.path, args);
        let folder = Path::new(PROGRAM).parent().unwrap();
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&paths));
        command.env("PATH", std::env::join_paths(paths).unwrap());
        check(command)
    }

    /// Runs `git receipt`, insists on success, and returns what it printed.
    pub fn receipt(&self, args: &[&str]) -> String {
        check(self.command(PROGRAM, &self.path, args))
    }

    pub fn receipt_in(&self, directory: &Path, args: &[&str]) -> String {
        check(self.command(PROGRAM, directory, args))
    }

    /// Runs `git receipt` and returns whatever came of it.
    pub fn try_receipt(&self, args: &[&str]) -> Output {
        self.command(PROGRAM, &self.path, args).output().unwrap()
    }

    /// Runs `git receipt … --json` and returns the document and the exit code.
    pub fn json(&self, args: &[&str]) -> (Value, i32) {
        self.json_in(&self.path, args)
    }

    pub fn json_in(&self, directory: &Path, args: &[&str]) -> (Value, i32) {
        let mut all = vec!["--json"];
        all.extend(args);
        let output = self.command(PROGRAM, directory, &all).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: `{text}`"));
        (value, output.status.code().unwrap())
    }

    pub fn verify(&self) -> (Value, i32) {
        self.json(&["verify"])
    }

    /// Insists that everything verifies and that git itself finds nothing wrong.
    pub fn assert_clean(&self, directory: &Path) {
        let (verdict, code) = self.json_in(directory, &["verify"]);
        assert_eq!(code, 0, "{verdict:#}");
        let fsck = self.command("git", directory, &["fsck", "--strict"]).output().unwrap();
        assert!(fsck.status.success(), "{}", String::from_utf8_lossy(&fsck.stderr));
        let said = String::from_utf8_lossy(&fsck.stderr).into_owned();
        let said: Vec<_> = said.lines().filter(|line| !line.starts_with("notice")).collect();
        assert!(said.is_empty(), "{said:?}");
    }
}

/// Runs a command that must succeed and returns its standard output, without the last newline.
pub fn check(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Writes a file below `folder`, with the folders that it stands in.
pub fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A file of a repository's working tree.
pub fn read(repo: &TestRepo, name: &str) -> String {
    std::fs::read_to_string(repo.path.join(name)).unwrap()
}

/// Ten lines, some of which say something else.
pub fn ten_lines(changed: &[u32]) -> String {
    let verb = |n| if changed.contains(&n) { "was" } else { "is" };
    (1..=10).map(|n| format!("line {n} {} here\n", verb(n))).collect()
}

/// What a command said beside its result.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file of the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Recorded data that lies beside the project on some machines; says so where it does not.
pub fn recorded(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GIT_RECEIPT_FIXTURES").map(PathBuf::from);
    let path = root.unwrap_or_else(|| project("../shared/fixtures")).join(path);
    if !path.exists() {
        println!("skipped: `{}` is not here", path.display());
        return None;
    }
    Some(path)
}
