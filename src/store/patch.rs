//! Unified diffs, read and written by git itself.

use super::error::StoreError;
use super::scratch_index::ScratchIndex;
use super::{Store, git};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;

impl Store {
    /// The paths that a unified diff writes to, without applying it.
    ///
    /// # Errors
    /// When it is none, or none that git can make sense of.
    pub fn paths_of_patch(&self, tree: Oid, patch: &[u8]) -> Result<Vec<GitPath>, StoreError> {
        let index = ScratchIndex::of_tree(self, tree)?;
        let listed = index.run(&["apply", "--cached", "--numstat", "-z", "-"], Some(patch))?;
        // `added TAB removed TAB path NUL`: a renamed file stands there by its new path.
        let mut paths = Vec::new();
        for record in listed.split(|byte| *byte == 0).filter(|record| !record.is_empty()) {
            let path = record.splitn(3, |byte| *byte == b'\t').last().unwrap_or_default();
            paths.push(GitPath::new(path));
        }
        Ok(paths)
    }

    /// The tree that a unified diff makes of another.
    ///
    /// # Errors
    /// When it does not apply; the cause is what git says.
    pub fn tree_from_patch(&self, tree: Oid, patch: &[u8]) -> Result<Oid, StoreError> {
        let index = ScratchIndex::of_tree(self, tree)?;
        // White space is content: what the user's configuration would mend is not what was proposed.
        let args =
            ["-c", "apply.ignoreWhitespace=no", "apply", "--cached", "--binary", "--whitespace=nowarn", "-"];
        index.run(&args, Some(patch))?;
        index.write_tree()
    }

    /// The difference between two trees as a unified diff that `git apply` takes, binary files included.
    ///
    /// # Errors
    /// When git cannot read the trees.
    pub fn patch_between(&self, from: Oid, to: Oid) -> Result<Vec<u8>, StoreError> {
        let (from, to) = (from.to_hex(), to.to_hex());
        let args = [
            "-c",
            "diff.suppressBlankEmpty=false",
            "-c",
            "core.quotePath=true",
            "diff-tree",
            "-r",
            "-p",
            "-M",
            "--binary",
            "--full-index",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--unified=3",
            "--inter-hunk-context=0",
            "--submodule=short",
            "--ignore-submodules=none",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            &from,
            &to,
            "--",
        ];
        git::run(self.git_dir(), &args, None)
    }
}
