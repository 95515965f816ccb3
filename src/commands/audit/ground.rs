//! A tree that lines are put on one after the other, in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::commands::proposal::{LoadError, Loaded};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::Oid;
use crate::domain::lines::{self, BlobError, Blobs, Content, Edits, File, Files, LinesError};
use crate::store::Store;

/// The files of a tree that are in question, and what has become of them.
pub struct Ground<'s> {
    store: &'s Store,
    tree: Oid,
    files: Files,
    edits: Edits,
    made: BTreeMap<Oid, Vec<u8>>,
}

impl Blobs for Ground<'_> {
    fn blob(&self, oid: &Oid) -> Result<Cow<'_, [u8]>, BlobError> {
        match self.made.get(oid) {
            Some(bytes) => Ok(Cow::Borrowed(bytes.as_slice())),
            None => Blobs::blob(self.store, oid),
        }
    }
}

impl<'s> Ground<'s> {
    /// Begins with `tree`, of which `files` is what matters.
    pub fn new(store: &'s Store, tree: Oid, files: Files) -> Self {
        Ground { store, tree, files, edits: Edits::new(), made: BTreeMap::new() }
    }

    /// Puts lines on it, and says whether every one of them fits where it belongs; else nothing changes.
    ///
    /// # Errors
    /// When a content or a table is not here, or the table is wrong.
    pub fn put(
        &mut self,
        loaded: &Loaded,
        lines: &LineSet,
        applied: &LineSet,
    ) -> anyhow::Result<Result<bool, LoadError>> {
        for path in loaded.base.keys().chain(loaded.proposed.keys()) {
            if !self.files.contains_key(path)
                && !self.edits.contains_key(path)
                && let Some(file) = self.store.file_in_tree(self.tree, path)?
            {
                self.files.insert(path.clone(), file);
            }
        }
        let placing = match self.place(loaded, lines, applied) {
            Ok(placing) => placing,
            Err(LinesError::Blob(error)) => return Ok(Err(LoadError::Withheld(error.to_string()))),
            Err(LinesError::Table(error)) => return Ok(Err(LoadError::Wrong(error.to_string()))),
            Err(LinesError::Clash(_) | LinesError::Unknown(_)) => return Ok(Ok(false)),
        };
        if !placing.conflicts.is_empty() || !placing.there.is_empty() || placing.placed.is_empty() {
            return Ok(Ok(false));
        }
        for (path, written) in placing.edits {
            match &written {
                None => drop(self.files.remove(&path)),
                Some(new) => {
                    let oid = match &new.content {
                        Content::Blob(oid) => *oid,
                        Content::Bytes(bytes) => {
                            let oid = self.store.blob_id(bytes)?;
                            self.made.insert(oid, bytes.clone());
                            oid
                        }
                    };
                    self.files.insert(path.clone(), File { mode: new.mode, oid });
                }
            }
            self.edits.insert(path, written);
        }
        Ok(Ok(true))
    }

    fn place(
        &self,
        loaded: &Loaded,
        lines: &LineSet,
        applied: &LineSet,
    ) -> Result<lines::Placing, LinesError> {
        let change = lines::Change::check(&loaded.table, &loaded.base, &loaded.proposed, self)?;
        let request = lines::Request { change, accepted: lines, applied, parent: &self.files };
        // A hash that fails names no object, so nothing would be equal to the result.
        let id = |bytes: &[u8]| self.store.blob_id(bytes).unwrap_or(self.store.null_id());
        lines::place(&request, &id, self)
    }

    /// Whether it has become `tree`, whose differing files are `before` where it began and `after` in it.
    ///
    /// # Errors
    /// When trees cannot be read.
    pub fn is(&self, tree: Oid, before: &Files, after: &Files) -> anyhow::Result<bool> {
        // Files are compared first, as building trees costs more and only it tells the rest.
        let mut paths = before.keys().chain(after.keys());
        Ok(paths.all(|path| self.files.get(path) == after.get(path))
            && self.store.id_of_edits(self.tree, &self.edits)? == tree)
    }

    /// The first file that differs from those in `after`, and the first of its lines there that does.
    pub fn first_difference(&self, before: &Files, after: &Files) -> Option<(GitPath, Option<u64>)> {
        let mut paths: Vec<&GitPath> = before.keys().chain(after.keys()).collect();
        paths.sort();
        let path = paths.into_iter().find(|path| self.files.get(*path) != after.get(*path))?;
        let only = |files: &Files| -> Files {
            files.get(path).map(|file| (path.clone(), *file)).into_iter().collect()
        };
        let table = lines::diff(&only(&self.files), &only(after), self).ok();
        let line = table.as_ref().and_then(|table| table.files().first()).and_then(|file| {
            file.ops.iter().find_map(|op| match *op {
                lines::Op::Add { from, .. }
                | lines::Op::Mutate { from, .. }
                | lines::Op::Move { from, .. } => Some(from),
                _ => None,
            })
        });
        Some((path.clone(), line))
    }
}
