//! What git itself would make of a merge, whoever's configuration this is.

#[cfg(unix)]
use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::StoreError;
use super::temporary::TemporaryFolder;
use super::{Store, git};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;

/// What a merge of three trees came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// The tree that it gives.
    Clean(Oid),
    /// The files that conflict.
    Conflicts(Vec<GitPath>),
}

/// Keeps a user's attributes out of a merge.
const NO_ATTRIBUTES: [&str; 2] = ["-c", "core.attributesFile=/dev/null"];

/// An empty repository of our own that reads and writes another one's objects: no configuration, attributes, grafts
/// or replacements of anybody's reach what runs in it. It is gone when the value is.
struct BareGround {
    folder: TemporaryFolder,
}

impl BareGround {
    fn new(store: &Store) -> Result<Self, StoreError> {
        let ground = BareGround { folder: TemporaryFolder::new(&store.temporary, store.random())? };
        let make = |name: &str| {
            let path = ground.path().join(name);
            std::fs::create_dir(&path).map_err(StoreError::io("create", path))
        };
        let write = |name: &str, text: &str| {
            let path = ground.path().join(name);
            std::fs::write(&path, text).map_err(StoreError::io("write", path))
        };
        make("refs")?;
        make("objects")?;
        write("HEAD", "ref: refs/heads/none\n")?;
        let format = match store.null_id().as_bytes().len() {
            32 => {
                "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
            }
            _ => "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
        };
        write("config", format)?;
        Ok(ground)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A command in it that writes its objects to the other repository.
    fn command(&self, store: &Store, args: &[&str]) -> Command {
        let mut command = self.plain_command(args);
        command.env("GIT_OBJECT_DIRECTORY", objects_of(store));
        command
    }

    /// Wraps a tree in a commit that stays in here: git before 2.45 merges commits only.
    fn commit_of(&self, store: &Store, tree: Oid) -> Result<Oid, StoreError> {
        let args = ["commit-tree", "-m", "tree", &tree.to_hex()];
        let mut command = self.plain_command(&args);
        self.look_into(&mut command, store, &objects_of(store));
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "tree").env(format!("GIT_{role}_EMAIL"), "tree");
            command.env(format!("GIT_{role}_DATE"), "@0 +0000");
        }
        command.env("GIT_OBJECT_DIRECTORY", self.path().join("objects"));
        let out = git::output(command, None).map_err(|error| git::failed(&args, &error.to_string()))?;
        if !out.status.success() {
            return Err(git::failed(&args, String::from_utf8_lossy(&out.stderr).trim()));
        }
        Oid::from_hex(String::from_utf8_lossy(&out.stdout).trim())
            .ok_or_else(|| StoreError::Corrupt("`git commit-tree` printed no id".into()))
    }

    /// Lets a command read the objects of another folder as well.
    fn look_into(&self, command: &mut Command, store: &Store, objects: &Path) {
        let mut all = quoted(objects);
        for more in store.objects.alternates.iter().filter(|more| !more.is_empty()) {
            all.push(if cfg!(windows) { ";" } else { ":" });
            all.push(more);
        }
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", all);
    }

    fn plain_command(&self, args: &[&str]) -> Command {
        let mut command = git::command(self.path(), args);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_ATTR_NOSYSTEM", "1");
        for name in [
            "GIT_CONFIG_PARAMETERS",
            "GIT_CONFIG_COUNT",
            "GIT_ATTR_SOURCE",
            "GIT_COMMON_DIR",
            "GIT_WORK_TREE",
        ] {
            command.env_remove(name);
        }
        command
    }
}

/// Where a repository's objects are.
fn objects_of(store: &Store) -> PathBuf {
    let objects = store.objects.directory.clone().unwrap_or_else(|| store.common_dir().join("objects"));
    std::path::absolute(&objects).unwrap_or(objects)
}

/// A path as git reads it in a list of paths whatever is in it: in C's quotes, see `unquote_c_style` in its quote.c.
fn quoted(path: &Path) -> OsString {
    let mut all = OsString::from("\"");
    // What is escaped is ASCII, so what is between stays as it is on any system.
    let mut rest = path.as_os_str().as_encoded_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n')) {
        all.push(part_of(&rest[..at]));
        all.push(match rest[at] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
    }
    all.push(part_of(rest));
    all.push("\"");
    all
}

#[cfg(unix)]
fn part_of(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

#[cfg(not(unix))]
fn part_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Store {
    /// Merges three trees with git's defaults and no attributes, on any machine alike: what changed from `base` to
    /// `theirs` is done to `ours`.
    ///
    /// # Errors
    /// When an object that it takes is not here, or git cannot be run.
    pub fn merge_trees(&self, base: Oid, ours: Oid, theirs: Oid) -> Result<Merged, StoreError> {
        let ground = BareGround::new(self)?;
        let commit = |tree| ground.commit_of(self, tree).map(|commit| commit.to_hex());
        let (base, ours, theirs) =
            (format!("--merge-base={}", commit(base)?), commit(ours)?, commit(theirs)?);
        let merge =
            ["merge-tree", "--write-tree", "--no-messages", "--name-only", "-z", &base, &ours, &theirs];
        let args = [&NO_ATTRIBUTES[..], &merge[..]].concat();
        let mut command = ground.command(self, &args);
        ground.look_into(&mut command, self, &ground.path().join("objects"));
        let out = git::output(command, None).map_err(|error| git::failed(&args, &error.to_string()))?;
        let mut printed = out.stdout.split(|byte| *byte == 0);
        let tree = printed.next().and_then(|hex| Oid::from_hex(std::str::from_utf8(hex).ok()?));
        match (out.status.code(), tree) {
            (Some(0), Some(tree)) => Ok(Merged::Clean(tree)),
            (Some(1), Some(_)) => {
                let mut paths: Vec<GitPath> =
                    printed.filter(|path| !path.is_empty()).map(GitPath::new).collect();
                paths.sort();
                paths.dedup();
                Ok(Merged::Conflicts(paths))
            }
            _ => Err(git::failed(&args, String::from_utf8_lossy(&out.stderr).trim())),
        }
    }

    /// The tree that merging two commits gives with git's defaults and no attributes, on any machine alike; `None`
    /// where they conflict or have no history in common.
    ///
    /// # Errors
    /// When a commit or an object that it takes is not here, or git cannot be run.
    pub fn plain_merge(&self, ours: Oid, theirs: Oid) -> Result<Option<Oid>, StoreError> {
        for commit in [ours, theirs] {
            if !self.has_object(commit) {
                return Err(StoreError::Corrupt(format!("commit `{commit}` is not here")));
            }
        }
        let (ours, theirs) = (ours.to_hex(), theirs.to_hex());
        let args =
            [&NO_ATTRIBUTES[..], &["merge-tree", "--write-tree", "--no-messages", &ours, &theirs]].concat();
        let ground = BareGround::new(self)?;
        let failed = |cause: &str| git::failed(&args, cause);
        let out =
            git::output(ground.command(self, &args), None).map_err(|error| failed(&error.to_string()))?;
        let printed = String::from_utf8_lossy(&out.stdout);
        let tree = printed.lines().next().and_then(Oid::from_hex);
        let said = String::from_utf8_lossy(&out.stderr);
        match (out.status.code(), tree) {
            (Some(0), Some(tree)) => Ok(Some(tree)),
            // With conflicts it prints the tree that has their marks.
            (Some(1), Some(_)) => Ok(None),
            _ if said.contains("unrelated histories") => Ok(None),
            _ => Err(failed(said.trim())),
        }
    }

    /// The best common ancestor of two commits; `None` where there is none.
    ///
    /// # Errors
    /// When git cannot be run, or the history cannot be read.
    pub fn merge_base(&self, one: Oid, other: Oid) -> Result<Option<Oid>, StoreError> {
        let args = ["merge-base", &one.to_hex(), &other.to_hex()];
        let out = git::output(git::command(self.git_dir(), args), None)
            .map_err(|error| git::failed(&args, &error.to_string()))?;
        match out.status.code() {
            Some(0) => Ok(Oid::from_hex(String::from_utf8_lossy(&out.stdout).trim())),
            Some(1) => Ok(None),
            _ => Err(git::failed(&args, String::from_utf8_lossy(&out.stderr).trim())),
        }
    }
}
