//! A tree that lines are put on one after the other, in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::commands::proposal::{LoadError, Loaded};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::Oid;
use crate::domain::lines::{
    self, BlobError, Blobs, Content, Edits, File, FileLines, Files, LinesError, Placing, Table,
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

/// The files of a tree that are in question, and what has become of them.
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
    /// Begins with `tree`, of which `files` is what matters.
    pub fn new(store: &'s Store, tree: Oid, files: Files) -> Self {
        Ground { store, tree, files, edits: Edits::new(), made: BTreeMap::new(), steps: Vec::new() }
    }

    /// Puts lines on it, and says whether every one of them fits where it belongs; else nothing changes.
    ///
    /// # Errors
    /// When a content or a table is not here, or the table is wrong.
    pub fn put(
        &mut self,
        operations: Operations<'_>,
        lines: &LineSet,
        applied: &LineSet,
    ) -> anyhow::Result<Result<bool, LoadError>> {
        for path in operations.base.keys().chain(operations.proposed.keys()) {
            if !self.files.contains_key(path)
                && !self.edits.contains_key(path)
                && let Some(file) = self.store.file_in_tree(self.tree, path)?
            {
                self.files.insert(path.clone(), file);
            }
        }
        let placing = match self.place(operations, lines, applied) {
            Ok(placing) => placing,
            Err(LinesError::Blob(error)) => return Ok(Err(LoadError::Withheld(error.to_string()))),
            Err(LinesError::Table(error)) => return Ok(Err(LoadError::Wrong(error.to_string()))),
            Err(LinesError::Clash(_) | LinesError::Unknown(_)) => return Ok(Ok(false)),
        };
        if !placing.conflicts.is_empty() || !placing.there.is_empty() || placing.placed.is_empty() {
            return Ok(Ok(false));
        }
        self.settle(placing)?;
        Ok(Ok(true))
    }

    /// Puts those lines on it that fit where they belong.
    ///
    /// # Errors
    /// When objects cannot be hashed.
    pub fn put_what_fits(
        &mut self,
        operations: Operations<'_>,
        lines: &LineSet,
        applied: &LineSet,
    ) -> anyhow::Result<()> {
        match self.place(operations, lines, applied) {
            Ok(placing) => self.settle(placing),
            // What cannot be worked out puts nothing there.
            Err(_) => Ok(()),
        }
    }

    fn settle(&mut self, placing: Placing) -> anyhow::Result<()> {
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
        self.steps.push(placing.table);
        Ok(())
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

    /// The tree that it has become, which is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> anyhow::Result<Oid> {
        Ok(self.store.write_edits(self.tree, &self.edits)?)
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

/// The files of a tree that operations can meet: at their paths, and where a file stands in the place of a folder of
/// theirs.
///
/// # Errors
/// When the tree cannot be read.
pub fn files_met(store: &Store, tree: Oid, operations: Operations<'_>) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for path in operations.base.keys().chain(operations.proposed.keys()) {
        let bytes = path.as_bytes();
        let folders = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in folders.chain([bytes.len()]) {
            let path = GitPath::new(&bytes[..end]);
            if let Some(file) = store.file_in_tree(tree, &path)? {
                files.insert(path, file);
            }
        }
    }
    Ok(files)
}
