//! What git itself would make of a merge, and which commits a range holds.

use super::error::StoreError;
use super::{Store, git};
use crate::domain::ids::Oid;

/// A commit of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeCommit {
    /// The commit.
    pub commit: Oid,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// Its tree.
    pub tree: Oid,
    /// The address of its author.
    pub author: String,
    /// Its subject.
    pub subject: String,
    /// The receipts that its trailers name, as they stand there.
    pub trailers: Vec<String>,
}

impl Store {
    /// The commits that `to` reaches and `without` do not, oldest first, along first parents or all of them.
    ///
    /// # Errors
    /// When git cannot walk the history.
    pub fn range(
        &self,
        to: Oid,
        without: &[Oid],
        first_parent: bool,
    ) -> Result<Vec<RangeCommit>, StoreError> {
        let format =
            "--format=%H%x00%P%x00%T%x00%ae%x00%s%x00%(trailers:key=Receipt-Id,valueonly,separator=%x20)";
        let mut args: Vec<String> =
            ["-c", "log.showSignature=false", "-c", "i18n.logOutputEncoding=UTF-8", "log", "--topo-order"]
                .map(str::to_owned)
                .into();
        args.extend(["--reverse", "-z", "--no-color", "--no-show-signature", format].map(str::to_owned));
        args.extend(first_parent.then(|| "--first-parent".to_owned()));
        args.push(to.to_hex());
        args.extend(without.iter().map(|commit| format!("^{}", commit.to_hex())));
        args.push("--".to_owned());
        let out = git::run(self.git_dir(), &args, None)?;
        let text = String::from_utf8_lossy(&out);
        // With `-z` records end in NUL as their fields do, so the fields are counted.
        let fields: Vec<&str> = text.split('\0').collect();
        let id = |hex: &str| {
            Oid::from_hex(hex.trim()).ok_or_else(|| StoreError::Corrupt(format!("`git log` printed `{hex}`")))
        };
        let records = fields.chunks(6).filter(|record| record.len() == 6);
        records
            .map(|record| {
                Ok(RangeCommit {
                    commit: id(record[0])?,
                    parents: record[1]
                        .split(' ')
                        .filter(|hex| !hex.is_empty())
                        .map(id)
                        .collect::<Result<_, _>>()?,
                    tree: id(record[2])?,
                    author: record[3].to_owned(),
                    subject: record[4].to_owned(),
                    trailers: record[5].split_whitespace().map(str::to_owned).collect(),
                })
            })
            .collect()
    }

    /// The tree that merging two commits gives with git's defaults and no attributes, on any machine alike; `None`
    /// where they conflict or have no history in common.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn plain_merge(&self, ours: Oid, theirs: Oid) -> Result<Option<Oid>, StoreError> {
        let (ours, theirs) = (ours.to_hex(), theirs.to_hex());
        let empty = format!("--attr-source={}", self.empty_tree().to_hex());
        let args = [
            empty.as_str(),
            "-c",
            "core.attributesFile=/dev/null",
            "-c",
            "merge.renames=true",
            "-c",
            "diff.renames=true",
            "-c",
            "merge.directoryRenames=conflict",
            "-c",
            "merge.renameLimit=7000",
            "-c",
            "diff.algorithm=myers",
            "-c",
            "merge.renormalize=false",
            "merge-tree",
            "--write-tree",
            "--no-messages",
            &ours,
            &theirs,
        ];
        let mut command = git::command(self.git_dir(), args);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_ATTR_NOSYSTEM", "1");
        let out = git::output(command, None).map_err(|error| git::failed(&args, &error.to_string()))?;
        match out.status.code() {
            Some(0) => Ok(Oid::from_hex(String::from_utf8_lossy(&out.stdout).trim())),
            _ => Ok(None),
        }
    }

    /// The best common ancestor of two commits; `None` where there is none.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn merge_base(&self, one: Oid, other: Oid) -> Result<Option<Oid>, StoreError> {
        let args = ["merge-base", &one.to_hex(), &other.to_hex()];
        let out = git::output(git::command(self.git_dir(), args), None)
            .map_err(|error| git::failed(&args, &error.to_string()))?;
        Ok(Oid::from_hex(String::from_utf8_lossy(&out.stdout).trim()))
    }
}
