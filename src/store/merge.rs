//! What git itself would make of a merge, whoever's configuration this is.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::StoreError;
use super::{Store, git};
use crate::domain::ids::Oid;

/// An empty repository of our own that reads and writes another one's objects: no configuration, attributes, grafts
/// or replacements of anybody's reach what runs in it. It is gone when the value is.
struct BareGround {
    folder: PathBuf,
}

impl Drop for BareGround {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl BareGround {
    fn new(store: &Store) -> Result<Self, StoreError> {
        let random = crate::domain::ids::hex(&store.random::<8>());
        let name = format!("git-receipt-{}-{random}", std::process::id());
        let ground = BareGround { folder: std::env::temp_dir().join(name) };
        let make = |path: &Path| std::fs::create_dir(path).map_err(StoreError::io("create", path));
        let write =
            |path: &Path, text: &str| std::fs::write(path, text).map_err(StoreError::io("write", path));
        make(&ground.folder)?;
        make(&ground.folder.join("refs"))?;
        make(&ground.folder.join("objects"))?;
        write(&ground.folder.join("HEAD"), "ref: refs/heads/none\n")?;
        let format = match store.null_id().as_bytes().len() {
            32 => {
                "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
            }
            _ => "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
        };
        write(&ground.folder.join("config"), format)?;
        Ok(ground)
    }

    fn command(&self, store: &Store, args: &[&str]) -> Command {
        let mut command = git::command(&self.folder, args);
        if std::env::var_os("GIT_OBJECT_DIRECTORY").is_none() {
            command.env("GIT_OBJECT_DIRECTORY", store.common_dir().join("objects"));
        }
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

impl Store {
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
        let args = [
            "-c",
            "core.attributesFile=/dev/null",
            "merge-tree",
            "--write-tree",
            "--no-messages",
            &ours,
            &theirs,
        ];
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
