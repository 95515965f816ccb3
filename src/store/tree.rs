//! What revisions name: commits, trees, files in them, the default branch.

use super::error::StoreError;
use super::{Store, object_id, oid};
use crate::domain::ids::Oid;

/// What stands at a path of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeEntry {
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Its object.
    pub oid: Oid,
}

impl Store {
    /// The commit that a revision names, tags peeled; `None` when it names nothing.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn resolve_commit(&self, rev: &str) -> Result<Option<Oid>, StoreError> {
        if self.uses_git_for_refs() {
            return self.find_ref(&format!("{rev}^{{commit}}"));
        }
        let Ok(id) = self.repo.rev_parse_single(rev) else { return Ok(None) };
        let object = id.object().map_err(StoreError::read(format_args!("`{rev}`")))?;
        Ok(object.peel_to_kind(gix::object::Kind::Commit).ok().map(|commit| oid(&commit.id)))
    }

    /// The tree that a revision names, itself or a commit's; `None` when it names neither.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn resolve_tree(&self, rev: &str) -> Result<Option<Oid>, StoreError> {
        if self.uses_git_for_refs() {
            return self.find_ref(&format!("{rev}^{{tree}}"));
        }
        let Ok(id) = self.repo.rev_parse_single(rev) else { return Ok(None) };
        let object = id.object().map_err(StoreError::read(format_args!("`{rev}`")))?;
        Ok(object.peel_to_kind(gix::object::Kind::Tree).ok().map(|tree| oid(&tree.id)))
    }

    /// The tree of a commit, if the commit is here.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn tree_of(&self, commit: Oid) -> Result<Option<Oid>, StoreError> {
        let Some(bytes) = self.commit_bytes(commit)? else { return Ok(None) };
        let line = bytes.split(|b| *b == b'\n').next().and_then(|line| line.strip_prefix(b"tree "));
        Ok(line.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(Oid::from_hex))
    }

    /// The parents of a commit that is here.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn parents_of(&self, commit: Oid) -> Result<Vec<Oid>, StoreError> {
        let bytes = self.commit_bytes(commit)?;
        Ok(bytes.iter().flat_map(|bytes| super::read::parents_of(bytes)).collect())
    }

    /// The subject line of a commit: its message's first paragraph in one line.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn subject_of(&self, commit: Oid) -> Result<String, StoreError> {
        let Some(bytes) = self.commit_bytes(commit)? else { return Ok(String::new()) };
        let message =
            bytes.windows(2).position(|pair| pair == b"\n\n").map_or(&[][..], |at| &bytes[at + 2..]);
        Ok(super::ancestry::subject(&String::from_utf8_lossy(message)))
    }

    /// What stands at a path of a commit's tree; `None` where nothing does.
    ///
    /// # Errors
    /// When the commit or a tree of it cannot be read.
    pub fn entry_at(&self, commit: Oid, path: &str) -> Result<Option<TreeEntry>, StoreError> {
        let Some(tree) = self.tree_of(commit)? else {
            return Err(StoreError::Corrupt(format!("commit `{commit}` is not here")));
        };
        if tree == self.empty_tree() {
            return Ok(None);
        }
        let tree =
            self.repo.find_tree(object_id(tree)).map_err(StoreError::read(format_args!("tree `{tree}`")))?;
        let found = tree.lookup_entry_by_path(path).map_err(StoreError::read(format_args!("`{path}`")))?;
        Ok(found.map(|entry| TreeEntry { is_folder: entry.mode().is_tree(), oid: oid(&entry.object_id()) }))
    }

    /// When a commit was made, in seconds since 1970, as its committer says; 0 where it does not say.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn committed_at(&self, commit: Oid) -> Result<i64, StoreError> {
        let Some(bytes) = self.commit_bytes(commit)? else { return Ok(0) };
        let headers = bytes.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
        let mut committers = headers.filter_map(|line| line.strip_prefix(b"committer "));
        // `committer NAME <ADDRESS> SECONDS ZONE`
        let seconds = committers.next().and_then(|line| line.rsplit(|byte| *byte == b' ').nth(1));
        let seconds = seconds.and_then(|text| std::str::from_utf8(text).ok());
        Ok(seconds.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// The content of a regular file in a commit's tree; `None` when there is none.
    ///
    /// # Errors
    /// When the path holds something that is no regular file: trust is never read through a link.
    pub fn file_at(&self, commit: Oid, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(tree) = self.tree_of(commit)? else { return Ok(None) };
        let tree =
            self.repo.find_tree(object_id(tree)).map_err(StoreError::read(format_args!("tree `{tree}`")))?;
        let found = tree.lookup_entry_by_path(path).map_err(StoreError::read(format_args!("`{path}`")))?;
        let Some(entry) = found else { return Ok(None) };
        if !entry.mode().is_blob() {
            return Err(StoreError::Corrupt(format!("`{path}` in `{}` is no regular file", commit.to_hex())));
        }
        let object = entry.object().map_err(StoreError::read(format_args!("`{path}`")))?;
        Ok(Some(object.detach().data))
    }

    /// The default branch and its commit: what `init` found, else the remote's, else the usual names.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn default_branch(&self) -> Result<Option<(String, Oid)>, StoreError> {
        let local =
            |name: String| if name.starts_with("refs/") { name } else { format!("refs/heads/{name}") };
        let configured = self.config("receipt.defaultBranch").map(local);
        let initial = self.config("init.defaultBranch").map(local);
        let candidates = configured
            .into_iter()
            .chain(["refs/remotes/origin/HEAD".to_owned()])
            .chain(initial)
            .chain(["refs/heads/main".to_owned(), "refs/heads/master".to_owned()]);
        for name in candidates {
            if let Some(commit) = self.find_ref(&name)? {
                return Ok(Some((name, commit)));
            }
        }
        Ok(None)
    }
}
