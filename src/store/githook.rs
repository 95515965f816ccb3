//! What git's own hooks need to know: the newest move of HEAD, what is staged, and the message being written.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::error::StoreError;
use super::worktree::TreeChange;
use super::{Store, git, object_id};
use crate::domain::fact::data::Change;
use crate::domain::ids::Oid;

/// A line of a reflog, as gitformat-reflog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReflogLine {
    /// What the ref pointed to before; none where it did not exist.
    pub before: Option<Oid>,
    /// Why it moved.
    pub message: String,
}

impl Store {
    /// The newest line of a ref's reflog in this worktree; none where there is no reflog.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn newest_reflog(&self, name: &str) -> Result<Option<ReflogLine>, StoreError> {
        let line = if self.uses_git_for_refs() {
            let args = ["log", "--walk-reflogs", "-1", "--format=%H %gs", name, "--"];
            let out = git::output(git::command(self.git_dir(), args), None)
                .map_err(|error| git::failed(&args, &error.to_string()))?;
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let before = self.find_ref(&format!("{name}@{{1}}"))?;
            text.split_once(' ')
                .map(|(_, message)| ReflogLine { before, message: message.trim_end().to_owned() })
        } else {
            let path = self.git_dir().join("logs").join(name);
            let text = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(StoreError::io("read reflog", path)(error)),
            };
            let last = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            let last = String::from_utf8_lossy(last);
            last.split_once('\t').map(|(head, message)| ReflogLine {
                before: head.split(' ').next().and_then(Oid::from_hex).filter(|id| *id != self.null_id()),
                message: message.to_owned(),
            })
        };
        Ok(line)
    }

    /// What the next commit would change, by `index` or the usual one: against HEAD, or against HEAD's parent where HEAD
    /// is amended.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn staged_changes(&self, amends: bool, index: Option<&OsStr>) -> Result<Vec<TreeChange>, StoreError> {
        let head = self.head()?.commit;
        let against = match head {
            Some(head) if amends => self.parents_of(head)?.first().copied(),
            other => other,
        };
        let against = against.map_or(self.empty_tree(), |commit| commit).to_hex();
        let args = ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", &against, "--"];
        let mut command = git::command(self.git_dir(), args);
        if let Some(index) = index {
            command.env("GIT_INDEX_FILE", index);
        }
        let out = git::output(command, None).map_err(|error| git::failed(&args, &error.to_string()))?;
        if !out.status.success() {
            return Err(git::failed(&args, String::from_utf8_lossy(&out.stderr).trim()));
        }
        Ok(self.parse_raw(&out.stdout))
    }

    /// The records of `--raw -z`: `:<mode> <mode> <id> <id> <status>`, then the path.
    fn parse_raw(&self, raw: &[u8]) -> Vec<TreeChange> {
        let mut fields = raw.split(|byte| *byte == 0);
        let mut changes = Vec::new();
        while let (Some(head), Some(path)) = (fields.next().filter(|head| !head.is_empty()), fields.next()) {
            let head = String::from_utf8_lossy(head);
            let words: Vec<&str> = head.split(' ').collect();
            let [_, _, before, after, status] = words.as_slice() else { break };
            let id = |hex: &str| Oid::from_hex(hex).filter(|id| *id != self.null_id());
            let change = match status.as_bytes().first() {
                Some(b'A') => Change::Added,
                Some(b'D') => Change::Deleted,
                Some(b'T') => Change::TypeChanged,
                _ => Change::Modified,
            };
            changes.push(TreeChange { path: path.to_vec(), change, before: id(before), after: id(after) });
        }
        changes
    }

    /// Adds trailers to a commit message in a file, each once.
    ///
    /// # Errors
    /// When git cannot.
    pub fn add_trailers(&self, message: &Path, trailers: &[String]) -> Result<(), StoreError> {
        let mut args = vec!["interpret-trailers", "--in-place", "--if-exists", "addIfDifferent"];
        for trailer in trailers {
            args.extend(["--trailer", trailer]);
        }
        let path = std::path::absolute(message).map_err(StoreError::io("find", message))?;
        let path = path.to_string_lossy();
        args.push(&path);
        git::run(self.git_dir(), &args, None).map(drop)
    }

    /// The bytes of a blob that is here.
    ///
    /// # Errors
    /// When it is here and cannot be read.
    pub fn blob(&self, id: Oid) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self
            .repo
            .try_find_object(object_id(id))
            .map_err(StoreError::read(format_args!("object `{id}`")))?;
        Ok(found.filter(|object| object.kind == gix::object::Kind::Blob).map(|object| object.detach().data))
    }
}
