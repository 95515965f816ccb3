//! A tree that lines are put on one after the other, in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::commands::proposal::Loaded;
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::Oid;
use crate::domain::lines::{
    self, BlobError, Blobs, Edits, File, FileLines, Files, LinesError, Placing, Table,
};
use crate::store::Store;

/// Operations and the files that they lead from and to.
#[derive(Clone, Copy)]
pub struct Operations<'a> {
    /// The operations.
    pub table: &'a Table,
    /// What they start from.
    pub base: &'a Files,
    /// What they lead to.
    pub proposed: &'a Files,
}

impl<'a> From<&'a Loaded> for Operations<'a> {
    fn from(loaded: &'a Loaded) -> Self {
        Operations { table: &loaded.table, base: &loaded.base, proposed: &loaded.proposed }
    }
}

/// The tree.
pub struct Ground<'s> {
    store: &'s Store,
    tree: Oid,
    files: Files,
    edits: Edits,
    made: BTreeMap<Oid, Vec<u8>>,
    /// What was put on it, in order, each from the tree before.
    steps: Vec<Table>,
}

/// A number of what was put on the tree, and as the how many-th that was, from 0.
pub type Put = (usize, u64);

impl Blobs for Ground<'_> {
    fn blob(&self, oid: &Oid) -> Result<Cow<'_, [u8]>, BlobError> {
        match self.made.get(oid) {
            Some(bytes) => Ok(Cow::Borrowed(bytes.as_slice())),
            None => Blobs::blob(self.store, oid),
        }
    }
}

impl<'s> Ground<'s> {
    /// The files of `tree`: all of them, or those that can matter to what is put on it.
    pub fn new(store: &'s Store, tree: Oid, files: Files) -> Self {
        Ground { store, tree, files, edits: Edits::new(), made: BTreeMap::new(), steps: Vec::new() }
    }

    /// Puts lines on it, and says whether every one of them fits where it belongs. Where one does not, nothing is put.
    pub fn put(&mut self, operations: Operations<'_>, lines: &LineSet, applied: &LineSet) -> bool {
        match self.place(operations, lines, applied) {
            Ok(placing)
                if placing.conflicts.is_empty() && placing.there.is_empty() && !placing.placed.is_empty() =>
            {
                self.settle(placing);
                true
            }
            _ => false,
        }
    }

    /// Puts those lines on it that fit where they belong.
    pub fn put_what_fits(&mut self, operations: Operations<'_>, lines: &LineSet, applied: &LineSet) {
        if let Ok(placing) = self.place(operations, lines, applied) {
            self.settle(placing);
        }
    }

    fn settle(&mut self, placing: Placing) {
        for (path, written) in placing.edits {
            match &written {
                None => drop(self.files.remove(&path)),
                Some(new) => {
                    let oid = match &new.content {
                        lines::Content::Blob(oid) => *oid,
                        lines::Content::Bytes(bytes) => {
                            let oid = self.store.blob_id(bytes).unwrap_or(self.store.null_id());
                            self.made.insert(oid, bytes.clone());
                            oid
                        }
                    };
                    self.files.insert(path.clone(), File { mode: new.mode, oid });
                }
            }
            self.edits.insert(path, written);
        }
        self.steps.push(placing.table);
    }

    fn place(
        &self,
        operations: Operations<'_>,
        lines: &LineSet,
        applied: &LineSet,
    ) -> Result<Placing, LinesError> {
        let Operations { table, base, proposed } = operations;
        let change = lines::Change::check(table, base, proposed, self)?;
        let request = lines::Request { change, accepted: lines, applied, parent: &self.files };
        let id = |bytes: &[u8]| self.store.blob_id(bytes).unwrap_or(self.store.null_id());
        lines::place(&request, &id, self)
    }

    /// The tree that it has become.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn tree(&self) -> anyhow::Result<Option<Oid>> {
        Ok(self.store.id_of_edits(self.tree, &self.edits).ok())
    }

    /// The blob at a path, as it has become.
    pub fn blob_at(&self, path: &GitPath) -> Option<Oid> {
        self.files.get(path).map(|file| file.oid)
    }

    /// Which number put every line of a file there; none for lines that were there before.
    ///
    /// # Errors
    /// When content is missing.
    pub fn numbers_of(&self, path: &GitPath) -> Result<Vec<Option<Put>>, LinesError> {
        let Some(file) = self.files.get(path) else { return Ok(Vec::new()) };
        let count = count_lines(&self.blob(&file.oid)?);
        let mut told: Vec<Option<Put>> = vec![None; count];
        // Lines that nothing has been found for, each with where it stood before the steps looked at so far.
        let mut open: Vec<(usize, u64)> = (0..count).map(|at| (at, at as u64 + 1)).collect();
        let mut path = path;
        for (step, table) in self.steps.iter().enumerate().rev() {
            let by_path = |file: &&FileLines| file.path == *path && file.proposed.is_some();
            let Some(file) = table.files().iter().find(by_path) else { continue };
            let side = |oid: Option<Oid>| oid.map(|oid| self.blob(&oid)).transpose();
            let (before, after) = (side(file.base)?, side(file.proposed)?);
            let origins =
                lines::origins(file, before.as_deref().unwrap_or(&[]), after.as_deref().unwrap_or(&[]))?;
            let from = file.from_lines.as_deref().unwrap_or_default();
            open.retain_mut(|(at, line)| {
                let Some(origin) = usize::try_from(*line - 1).ok().and_then(|line| origins.get(line)) else {
                    return false;
                };
                if let Some(number) = origin.number {
                    let accepted = usize::try_from(number - file.first).ok().and_then(|at| from.get(at));
                    told[*at] = accepted.map(|accepted| (step, *accepted));
                    return false;
                }
                *line = origin.base.unwrap_or(*line);
                true
            });
            match file.base_path() {
                Some(before) => path = before,
                None => break,
            }
        }
        Ok(told)
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    let ended = bytes.iter().filter(|byte| **byte == b'\n').count();
    ended + usize::from(bytes.last().is_some_and(|last| *last != b'\n'))
}
