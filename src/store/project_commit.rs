//! Making a commit of the project's own history, with what git does around one: hooks, identity, signature.

use std::fs;
use std::process::Stdio;

use super::error::StoreError;
use super::scratch_index::ScratchIndex;
use super::{Store, git};
use crate::domain::ids::{Oid, Timestamp};

/// A name, an address, and where it matters a time.
#[derive(Debug, Clone)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// When; now if left out.
    pub time: Option<Timestamp>,
}

impl Store {
    /// What the working tree is in the middle of, in words; none where it is in the middle of nothing.
    pub fn in_progress(&self) -> Option<&'static str> {
        let states = [
            ("MERGE_HEAD", "a merge"),
            ("CHERRY_PICK_HEAD", "a cherry-pick"),
            ("REVERT_HEAD", "a revert"),
            ("rebase-merge", "a rebase"),
            ("rebase-apply", "a rebase"),
        ];
        states.into_iter().find(|(name, _)| self.git_dir().join(name).exists()).map(|(_, what)| what)
    }

    /// Runs the `pre-commit` hook on `tree` and the `commit-msg` hook on `message`, as `git commit` would, and
    /// returns the message as that hook leaves it.
    ///
    /// # Errors
    /// When a hook refuses, or one changes what is to be committed: only what was signed may land.
    pub fn run_commit_hooks(&self, tree: Oid, message: &str) -> Result<String, StoreError> {
        let index = ScratchIndex::of_tree(self, tree)?;
        let refused = |name: &str, status: std::process::ExitStatus| StoreError::HookRefused {
            hook: name.to_owned(),
            cause: status.to_string(),
        };
        let run = |args: &[&str]| {
            let mut command = index.command(args);
            // Hooks talk to the person; what they print to standard output git sends there too.
            command.stdin(Stdio::null()).stderr(Stdio::inherit()).stdout(Stdio::piped());
            command.status().map_err(|error| git::failed(args, &error.to_string()))
        };
        let checked = run(&["hook", "run", "--ignore-missing", "pre-commit"])?;
        if !checked.success() {
            return Err(refused("pre-commit", checked));
        }
        if index.write_tree()? != tree {
            return Err(StoreError::HookChanged("pre-commit"));
        }
        let path = self.git_dir().join(format!("RECEIPT_EDITMSG-{}", std::process::id()));
        let path = std::path::absolute(&path).unwrap_or(path);
        fs::write(&path, message).map_err(StoreError::io("write", &path))?;
        let checked = run(&["hook", "run", "--ignore-missing", "commit-msg", "--", &path.to_string_lossy()]);
        let left = fs::read(&path);
        let _ = fs::remove_file(&path);
        let checked = checked?;
        if !checked.success() {
            return Err(refused("commit-msg", checked));
        }
        let left = left.map_err(StoreError::io("read", &path))?;
        if left.trim_ascii().is_empty() {
            return Err(StoreError::HookRefused {
                hook: "commit-msg".into(),
                cause: "it left an empty message".into(),
            });
        }
        Ok(String::from_utf8_lossy(&left).into_owned())
    }

    /// A commit message with trailers added.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn with_trailers(&self, message: &str, trailers: &[String]) -> Result<String, StoreError> {
        // A line of dashes is text here: nothing follows a message that ends in a patch.
        // Nothing is a comment: a character that no message has any more begins one.
        let mut args = vec![
            "-c",
            "core.commentChar=\u{1}",
            "interpret-trailers",
            "--no-divider",
            "--if-exists",
            "addIfDifferent",
        ];
        // Whatever the user's own trailers are configured to do, ours are added.
        args.extend(["--if-missing", "add", "--where", "end"]);
        for trailer in trailers {
            args.extend(["--trailer", trailer]);
        }
        let out = git::run(self.git_dir(), &args, Some(message.as_bytes()))?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// Who the `AUTHOR` or `COMMITTER` of a commit that is made now is, by git's own rules; in words why nobody is, where
    /// git would make no commit either.
    ///
    /// # Errors
    /// When git cannot be run, or objects to anything else.
    pub fn ident(&self, role: &str) -> Result<Result<Ident, String>, StoreError> {
        let args = ["var".to_owned(), format!("GIT_{role}_IDENT")];
        let out = git::output(git::command(self.git_dir(), &args), None)
            .map_err(|error| git::failed(&args, &error.to_string()))?;
        if out.status.success() {
            let text = String::from_utf8_lossy(&out.stdout);
            let ident = text.split_once(" <").and_then(|(name, rest)| Some((name, rest.split_once('>')?.0)));
            let (name, email) =
                ident.ok_or_else(|| StoreError::Corrupt(format!("`git var` printed `{}`", text.trim())))?;
            return Ok(Ok(Ident { name: name.to_owned(), email: email.to_owned(), time: None }));
        }
        let said = String::from_utf8_lossy(&out.stderr);
        let cause = said.lines().find_map(|line| line.strip_prefix("fatal: ")).unwrap_or(said.trim());
        let about_them = said.contains("identity unknown") || cause.contains("ident name");
        match about_them || cause.contains("disallowed characters") {
            true => Ok(Err(cause.to_owned())),
            false => Err(git::failed(&args, cause)),
        }
    }

    /// Writes a commit, signed where `commit.gpgSign` asks for it. No ref moves.
    ///
    /// # Errors
    /// When git cannot write or sign it.
    pub fn write_commit(
        &self,
        tree: Oid,
        parents: &[Oid],
        author: &Ident,
        committer: &Ident,
        message: &str,
    ) -> Result<Oid, StoreError> {
        let mut args =
            vec!["-c".to_owned(), "i18n.commitEncoding=UTF-8".to_owned(), "commit-tree".to_owned()];
        args.push(tree.to_hex());
        args.extend(parents.iter().flat_map(|parent| ["-p".to_owned(), parent.to_hex()]));
        if self.config_bool("commit.gpgSign") == Some(true) {
            args.push("-S".to_owned());
        }
        let mut command = git::command(self.git_dir(), &args);
        for (role, ident) in [("AUTHOR", author), ("COMMITTER", committer)] {
            command
                .env(format!("GIT_{role}_NAME"), &ident.name)
                .env(format!("GIT_{role}_EMAIL"), &ident.email);
            if let Some(time) = ident.time {
                command.env(format!("GIT_{role}_DATE"), format!("@{} +0000", time.unix_seconds()));
            }
        }
        let out = git::output(command, Some(message.as_bytes()))
            .map_err(|error| git::failed(&["commit-tree"], &error.to_string()))?;
        if !out.status.success() {
            return Err(git::failed(&["commit-tree"], String::from_utf8_lossy(&out.stderr).trim()));
        }
        Oid::from_hex(String::from_utf8_lossy(&out.stdout).trim())
            .ok_or_else(|| StoreError::Corrupt("`git commit-tree` printed no id".into()))
    }
}
