//! Notes on bound commits: a hint for people, rebuilt from bindings whenever it is in doubt.

use std::collections::{BTreeMap, BTreeSet};

use gix::note::plumbing::State;

use super::error::StoreError;
use super::lock::{self, Lock};
use super::refs::RefMove;
use super::{Store, names, object_id, oid};
use crate::domain::ids::{EntryRef, Oid, ReceiptId};

/// One line of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoteLine {
    /// The commit it is on.
    pub commit: Oid,
    /// The receipt bound to it.
    pub receipt: ReceiptId,
    /// The binding entry.
    pub entry: EntryRef,
}

/// A notes commit that is written, while nobody else of ours writes another.
pub struct NotesMove {
    /// How the ref is to move.
    pub to_move: RefMove,
    _lock: Lock,
}

impl Store {
    /// Adds lines to the notes of bound commits in one notes commit, keeping what is there.
    ///
    /// # Errors
    /// When the notes ref moved meanwhile or its tree cannot be read.
    pub fn add_notes(&self, lines: &[NoteLine], author: (&str, &str)) -> Result<(), StoreError> {
        self.write_notes(lines, author, None)
    }

    /// As [`Store::add_notes`], on top of `onto` (a remote's notes commit) instead of the local one.
    ///
    /// # Errors
    /// As [`Store::add_notes`].
    pub fn write_notes(
        &self,
        lines: &[NoteLine],
        author: (&str, &str),
        onto: Option<Oid>,
    ) -> Result<(), StoreError> {
        self.check_writable()?;
        match self.notes_move(lines, author, onto)? {
            Some(held) => self.move_refs(std::slice::from_ref(&held.to_move)),
            None => Ok(()),
        }
    }

    /// Writes the notes commit of [`Store::write_notes`] and leaves moving the ref to the caller; none where nothing
    /// changes.
    ///
    /// # Errors
    /// As [`Store::add_notes`].
    pub fn notes_move(
        &self,
        lines: &[NoteLine],
        author: (&str, &str),
        onto: Option<Oid>,
    ) -> Result<Option<NotesMove>, StoreError> {
        let lock = Lock::acquire(&self.state_dir().join("locks"), "notes")?;
        lock::clear_stale(self.common_dir(), names::NOTES, lock.abandoned);
        let seen = self.find_ref(names::NOTES)?;
        let parent = onto.or(seen);
        let root = match parent {
            Some(commit) => self
                .tree_of(commit)?
                .ok_or_else(|| StoreError::Corrupt(format!("notes commit `{commit}` is not here")))?,
            None => self.empty_tree(),
        };
        if root == self.empty_tree() {
            self.write_object(gix::object::Kind::Tree, b"")?;
        }
        let failed = StoreError::write;
        let mut state = State::new(object_id(root), &self.repo.objects).map_err(failed("notes"))?;
        for (commit, added) in by_commit(lines) {
            let id = object_id(commit);
            let old = match state.get(&id, &self.repo.objects).map_err(failed("notes"))? {
                Some(blob) => self.repo.find_blob(blob).map_err(StoreError::read("a note"))?.data.clone(),
                None => Vec::new(),
            };
            let mut all: BTreeSet<String> =
                String::from_utf8_lossy(&old).lines().map(str::to_owned).collect();
            all.extend(added);
            let text: String = all.iter().map(|line| format!("{line}\n")).collect();
            if text.as_bytes() != old {
                let blob = self.write_object(gix::object::Kind::Blob, text.as_bytes())?;
                state.edit(id, Some(object_id(blob)), &self.repo.objects).map_err(failed("notes"))?;
            }
        }
        let tree = oid(&state.write(&self.repo.objects).map_err(failed("notes"))?);
        if tree == root && parent == seen {
            return Ok(None);
        }
        let new = match tree == root {
            true => parent,
            false => {
                let message = "Notes of git receipt\n";
                Some(self.write_plain_commit(tree, parent.as_slice(), author, message)?)
            }
        };
        let message = "receipt: notes".to_owned();
        let to_move = RefMove { name: names::NOTES.into(), expected: seen, new, reflog: true, message };
        Ok(Some(NotesMove { to_move, _lock: lock }))
    }

    /// The note of one commit.
    ///
    /// # Errors
    /// When the notes tree cannot be read.
    pub fn note_of(&self, commit: Oid) -> Result<Option<String>, StoreError> {
        let Some(notes) = self.find_ref(names::NOTES)? else { return Ok(None) };
        let Some(tree) = self.tree_of(notes)?.filter(|tree| *tree != self.empty_tree()) else {
            return Ok(None);
        };
        let failed = StoreError::read("notes");
        let mut state = State::new(object_id(tree), &self.repo.objects).map_err(failed)?;
        let found = state.get(&object_id(commit), &self.repo.objects).map_err(StoreError::read("notes"))?;
        let Some(blob) = found else { return Ok(None) };
        let note = self.repo.find_blob(blob).map_err(StoreError::read("a note"))?;
        Ok(Some(String::from_utf8_lossy(&note.data).into_owned()))
    }

    /// All notes, by commit.
    ///
    /// # Errors
    /// When the notes tree cannot be read.
    pub fn read_notes(&self) -> Result<Vec<(Oid, String)>, StoreError> {
        let Some(commit) = self.find_ref(names::NOTES)? else { return Ok(Vec::new()) };
        let Some(tree) = self.tree_of(commit)? else { return Ok(Vec::new()) };
        let mut notes = Vec::new();
        self.collect_notes(tree, String::new(), &mut notes)?;
        Ok(notes)
    }

    fn collect_notes(
        &self,
        tree: Oid,
        prefix: String,
        notes: &mut Vec<(Oid, String)>,
    ) -> Result<(), StoreError> {
        if tree == self.empty_tree() {
            return Ok(());
        }
        let tree = self.repo.find_tree(object_id(tree)).map_err(StoreError::read("notes"))?;
        for entry in tree.iter() {
            let entry = entry.map_err(|error| StoreError::Corrupt(format!("notes: {error}")))?;
            let name = format!("{prefix}{}", entry.filename());
            // Fan-out folders have two digits; anything else in the tree is not a note of ours.
            if entry.mode().is_tree() && entry.filename().len() == 2 && name.len() < 64 {
                self.collect_notes(oid(entry.oid()), name, notes)?;
            } else if entry.mode().is_blob()
                && let Some(commit) = Oid::from_hex(&name)
            {
                // Anyone can write a note, so one that cannot be read is only one that says nothing true.
                let text = match self.repo.find_blob(entry.oid()) {
                    Ok(blob) => String::from_utf8_lossy(&blob.data).into_owned(),
                    Err(_) => "something that cannot be read".to_owned(),
                };
                notes.push((commit, text));
            }
        }
        Ok(())
    }
}

fn by_commit(lines: &[NoteLine]) -> BTreeMap<Oid, Vec<String>> {
    let mut by_commit: BTreeMap<Oid, Vec<String>> = BTreeMap::new();
    for line in lines {
        by_commit.entry(line.commit).or_default().push(format!("{} {}", line.receipt, line.entry));
    }
    by_commit
}
