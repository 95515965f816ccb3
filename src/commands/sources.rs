//! Where a proposal comes from: the working tree, a patch, a tree, or a list of edits.

use std::path::PathBuf;

use anyhow::Context as _;

use super::edits::{self, Base};
use super::{Context, user_error};
use crate::domain::fact::data::TreeAt;
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;
use crate::domain::lines::{Content, Edits, File, Written, path};
use crate::store::Store;

/// What to propose.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Source {
    /// What the change is against
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub base: String,
    /// Take the change from a unified diff
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tree", "edits", "paths"])]
    pub patch: Option<PathBuf>,
    /// Take it from a commit or tree
    #[arg(long, value_name = "REV", conflicts_with_all = ["edits", "paths"])]
    pub tree: Option<String>,
    /// Take it from a JSON array of edits
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    pub edits: Option<PathBuf>,
    /// Put working tree and index back to the base afterwards, where the change is now kept in the proposal
    #[arg(long, conflicts_with_all = ["patch", "tree", "edits"])]
    pub restore: bool,
    /// Only these files and folders of the working tree
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
}

/// Two trees.
pub struct Proposed {
    /// What the change is against.
    pub base: TreeAt,
    /// What it leads to.
    pub tree: Oid,
    /// The files that the working tree has changed, where it came from there.
    pub files: Vec<GitPath>,
}

/// The base as edits see it.
struct BaseTree<'s> {
    store: &'s Store,
    tree: Oid,
}

impl Base for BaseTree<'_> {
    fn file(&self, path: &GitPath) -> anyhow::Result<Option<File>> {
        Ok(self.store.file_in_tree(self.tree, path)?)
    }

    fn is_folder(&self, path: &GitPath) -> anyhow::Result<bool> {
        Ok(self.store.is_folder_in_tree(self.tree, path)?)
    }

    fn bytes(&self, file: &File) -> anyhow::Result<Vec<u8>> {
        self.store.blob(file.oid)?.with_context(|| format!("blob `{}` is not here", file.oid))
    }
}

impl Context {
    /// Finds both trees of a change. The working tree stays as it is.
    ///
    /// # Errors
    /// When a source cannot be read, does not fit the base, or leads where nobody may write.
    pub fn proposed(&self, source: &Source) -> anyhow::Result<Proposed> {
        let base = self.tree_at(&source.base)?;
        let mut files = Vec::new();
        let tree = if let Some(patch) = &source.patch {
            self.tree_of_patch(&base, &super::open::read_bytes(patch)?)?
        } else if let Some(rev) = &source.tree {
            self.store.resolve_tree(rev)?.ok_or_else(|| {
                user_error(format!("`{rev}` names no tree"), "name a commit, a branch or a tree")
            })?
        } else if let Some(list) = &source.edits {
            let bytes = super::open::read_bytes(list)?;
            let made = edits::read(&bytes, &BaseTree { store: &self.store, tree: base.tree })?;
            self.store.write_edits(base.tree, &made)?
        } else {
            let tree = self.tree_of_worktree(&base, &source.paths)?;
            let (before, after) = self.store.changed_files(base.tree, tree)?;
            files = before.into_keys().chain(after.into_keys()).collect();
            files.sort();
            files.dedup();
            if source.restore {
                if self.store.head()?.commit != Some(base.commit) {
                    return Err(user_error(
                        "`--restore` puts files back to HEAD, and the base is another commit",
                        "leave out `--restore` or `--base`",
                    ));
                }
                self.check_restorable(&base, tree, &files)?;
            }
            tree
        };
        if tree == base.tree {
            return Err(user_error(
                "there is nothing to propose: both trees are the same",
                "change something, or name another base with `--base`",
            ));
        }
        Ok(Proposed { base, tree, files })
    }

    /// Refuses to put back what only the index has: the proposal takes the files as they are.
    fn check_restorable(&self, base: &TreeAt, tree: Oid, files: &[GitPath]) -> anyhow::Result<()> {
        let list: Vec<&GitPath> = files.iter().collect();
        for (path, staged) in self.store.staged_files(&list)? {
            let (was, is) =
                (self.store.file_in_tree(base.tree, &path)?, self.store.file_in_tree(tree, &path)?);
            if Some(staged) != was && Some(staged) != is {
                return Err(user_error(
                    format!(
                        "`{path}` is staged with other content than the file has, which `--restore` would lose"
                    ),
                    "stage it again or unstage it, or leave out `--restore`",
                ));
            }
        }
        Ok(())
    }

    fn tree_at(&self, rev: &str) -> anyhow::Result<TreeAt> {
        if rev == "HEAD" && self.store.head()?.commit.is_none() {
            return Err(user_error(
                "there is no commit yet to start from",
                "make a first commit, then try again",
            ));
        }
        let commit = self.commit_named(rev)?;
        let tree = self.store.tree_of(commit)?.with_context(|| format!("commit `{commit}` is not here"))?;
        Ok(TreeAt { commit, tree })
    }

    fn tree_of_patch(&self, base: &TreeAt, patch: &[u8]) -> anyhow::Result<Oid> {
        let hint = "`git apply --check` says more; `--base` names what it was made against";
        let not_fitting = |error: crate::store::StoreError| {
            anyhow::Error::new(error).context(super::UserError {
                message: "the patch does not fit the base".into(),
                hint: Some(hint.into()),
                code: 2,
            })
        };
        for file in self.store.paths_of_patch(base.tree, patch).map_err(not_fitting)? {
            let known = self.store.file_in_tree(base.tree, &file)?;
            let judged = match known {
                Some(there) => path::check_file(&file, there.mode),
                None => path::check_new(&file, crate::domain::lines::Mode::File),
            };
            judged.map_err(|problem| {
                user_error(
                    format!("`{file}` cannot be written: {problem}"),
                    "propose paths inside the project, in folders of its own",
                )
            })?;
        }
        self.store.tree_from_patch(base.tree, patch).map_err(not_fitting)
    }

    fn tree_of_worktree(&self, base: &TreeAt, paths: &[String]) -> anyhow::Result<Oid> {
        if self.store.has_conflicts()? {
            return Err(user_error(
                "the index has conflicts, and their marks are no change to propose",
                "resolve them with `git add`, or abort what made them",
            ));
        }
        let whole = self.store.write_worktree()?.tree;
        if paths.is_empty() {
            return Ok(whole);
        }
        let (tree, unchanged) = self.only_at(base.tree, whole, paths)?;
        match unchanged.first() {
            None => Ok(tree),
            Some(given) => Err(user_error(
                format!("nothing is changed at `{given}`"),
                "`git status` shows what is changed; ignored files are never proposed",
            )),
        }
    }

    /// `from` with what `to` has at and below some paths, and the paths at which there is no difference.
    ///
    /// # Errors
    /// When a tree cannot be read or written.
    pub(super) fn only_at(&self, from: Oid, to: Oid, paths: &[String]) -> anyhow::Result<(Oid, Vec<String>)> {
        let (before, after) = self.store.changed_files(from, to)?;
        let (mut chosen, mut unchanged) = (Edits::new(), Vec::new());
        for given in paths {
            let wanted = self.path_from_top(given);
            let all = matches!(wanted.as_str(), "." | "");
            let folder = format!("{}/", wanted.trim_end_matches('/'));
            let fits = |path: &&GitPath| {
                let bytes = path.as_bytes();
                all || bytes == wanted.as_bytes() || bytes.starts_with(folder.as_bytes())
            };
            let mut found = before.keys().chain(after.keys()).filter(fits).peekable();
            if found.peek().is_none() {
                unchanged.push(given.clone());
            }
            for path in found {
                let written =
                    after.get(path).map(|file| Written { mode: file.mode, content: Content::Blob(file.oid) });
                chosen.insert(path.clone(), written);
            }
        }
        Ok((self.store.write_edits(from, &chosen)?, unchanged))
    }
}
