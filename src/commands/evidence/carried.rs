//! Changes that were carried over to another commit without a word: a cherry-pick, a rebase or a squash where no hook
//! ran. What a bound commit changed is put on the other one's parent, by the same rule as accepted lines, and gives
//! exactly its tree or speaks for nothing.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use super::{Ground, Operations, Parent, files_met, plausible, without_end};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::Oid;
use crate::domain::lines::{self, File, Files, LinesError, Table};
use crate::domain::policy::Grade;
use crate::store::{RangeCommit, Store};

/// The most bound commits that are looked at for one file, the newest first.
const MOST: usize = 64;

/// How far two clocks may be apart, in seconds, when one commit is held to be made before another.
const SKEW: i64 = 60 * 60;

/// The commits that receipts are bound to and that changed one of the paths in question.
pub struct Carriers {
    /// In the order in which they were made.
    changes: Vec<Rc<Change>>,
}

/// What a bound commit changed.
struct Change {
    commit: Oid,
    committed: i64,
    tree: Oid,
    parent_tree: Oid,
    /// The lines that the paths in question have since this commit.
    brought: HashSet<Vec<u8>>,
    whole: OnceCell<Option<Whole>>,
}

/// All of a change, which is worked out only where it may have been carried over.
struct Whole {
    table: Table,
    base: Files,
    proposed: Files,
}

impl Change {
    /// All that it changed; none where a path is one that nobody may write, or content is not here.
    fn whole(&self, store: &Store) -> Option<&Whole> {
        let whole = self.whole.get_or_init(|| {
            let (base, proposed) = store.changed_files(self.parent_tree, self.tree).ok()?;
            let table = lines::diff(&base, &proposed, store).ok()?;
            Some(Whole { table, base, proposed })
        });
        whole.as_ref()
    }

    fn may_be(&self, commit: Oid, committed: i64) -> bool {
        self.commit != commit && self.committed <= committed.saturating_add(SKEW)
    }
}

impl Whole {
    fn operations(&self) -> Operations<'_> {
        Operations { table: &self.table, base: &self.base, proposed: &self.proposed }
    }

    fn has(&self, path: &GitPath) -> bool {
        self.base.contains_key(path) || self.proposed.contains_key(path)
    }
}

/// A commit that is what other, bound commits changed.
pub struct CarriedOver<'c> {
    /// `patch` where it was one of them, `lines` where several.
    pub grade: Grade,
    changes: Vec<Rc<Change>>,
    ground: Ground<'c>,
    store: &'c Store,
}

/// Where a line stood in the commit that it was carried over from; no place where only the commit can be told.
pub type CarriedFrom = (Oid, Option<(GitPath, u64)>);

impl CarriedOver<'_> {
    /// The commits that were carried over.
    pub fn commits(&self) -> impl Iterator<Item = Oid> + '_ {
        self.changes.iter().map(|change| change.commit)
    }

    /// Where every line of a file was carried over from; none for lines that were there before.
    ///
    /// # Errors
    /// When content is missing.
    pub fn lines_of(&self, path: &GitPath) -> Result<Vec<Option<CarriedFrom>>, LinesError> {
        let from = |(step, number): (usize, u64)| -> Option<CarriedFrom> {
            let change = self.changes.get(step)?;
            let whole = change.whole(self.store)?;
            Some((change.commit, whole.table.proposed_line(number)))
        };
        let told = self.ground.numbers_of(path)?;
        Ok(told.into_iter().map(|put| put.and_then(from)).collect())
    }
}

impl Carriers {
    /// Finds which of `bound` changed one of `paths` and were made before `latest`, in seconds since 1970.
    ///
    /// # Errors
    /// When trees cannot be read.
    pub fn find(
        store: &Store,
        bound: impl Iterator<Item = Oid>,
        paths: &BTreeSet<GitPath>,
        latest: i64,
    ) -> anyhow::Result<Self> {
        let mut made: Vec<(i64, Oid)> = Vec::new();
        for commit in bound {
            // One that is gone says nothing any more.
            let committed = store.committed_at(commit)?;
            if committed <= latest.saturating_add(SKEW) {
                made.push((committed, commit));
            }
        }
        made.sort_unstable_by(|one, other| other.cmp(one));
        let mut changes = Vec::new();
        for (committed, commit) in made {
            // What a merge changed stands in what it merged.
            let (Some(tree), parents) = (store.tree_of(commit)?, store.parents_of(commit)?) else { continue };
            let [parent] = parents.as_slice() else { continue };
            let Some(parent_tree) = store.tree_of(*parent)? else { continue };
            let (mut touches, mut brought) = (false, HashSet::new());
            for path in paths {
                let (after, before) =
                    (store.file_in_tree(tree, path)?, store.file_in_tree(parent_tree, path)?);
                if after == before {
                    continue;
                }
                touches = true;
                let read = |file: Option<File>| match file {
                    Some(file) => Ok(store.blob(file.oid)?.unwrap_or_default()),
                    None => anyhow::Ok(Vec::new()),
                };
                let (after, before) = (read(after)?, read(before)?);
                let old: HashSet<&[u8]> = lines_in(&before).collect();
                brought.extend(lines_in(&after).filter(|line| !old.contains(line)).map(<[u8]>::to_vec));
            }
            if touches {
                let whole = OnceCell::new();
                changes.push(Rc::new(Change { commit, committed, tree, parent_tree, brought, whole }));
            }
            if changes.len() == MOST {
                break;
            }
        }
        changes.reverse();
        Ok(Carriers { changes })
    }

    /// Whether a commit made at `committed`, of which git says that it brought the lines `texts`, may be what one of
    /// these changed.
    pub fn may_give(&self, commit: Oid, committed: i64, texts: &[&[u8]]) -> bool {
        let earlier = self.changes.iter().filter(|change| change.may_be(commit, committed));
        earlier.into_iter().any(|change| plausible(texts, &change.brought))
    }

    /// Whether a commit made at `committed` is what one or several of these changed, on its own parent.
    ///
    /// # Errors
    /// When trees cannot be read.
    pub fn carried_over<'c>(
        &self,
        store: &'c Store,
        asked: &RangeCommit,
        parent: Parent,
        committed: i64,
    ) -> anyhow::Result<Option<CarriedOver<'c>>> {
        let parent_tree = parent.tree(store.empty_tree());
        let (before, after) = store.changed_files(parent_tree, asked.tree)?;
        let changed = || before.keys().chain(after.keys());
        let candidates: Vec<(&Rc<Change>, &Whole)> = self
            .changes
            .iter()
            .filter(|change| change.may_be(asked.commit, committed))
            .filter_map(|change| Some((change, change.whole(store)?)))
            .filter(|(_, whole)| changed().any(|path| whole.has(path)))
            .collect();
        for (change, whole) in &candidates {
            if !changed().all(|path| whole.has(path)) {
                continue;
            }
            let files = files_met(store, parent_tree, whole.operations())?;
            let mut ground = Ground::new(store, parent_tree, files);
            let put = ground.put(whole.operations(), &whole.table.all(), &LineSet::default())?;
            if matches!(put, Ok(true)) && ground.is(asked.tree, &before, &after)? {
                let changes = vec![Rc::clone(change)];
                return Ok(Some(CarriedOver { grade: Grade::Patch, changes, ground, store }));
            }
        }
        if !changed().all(|path| candidates.iter().any(|(_, whole)| whole.has(path))) {
            return Ok(None);
        }
        let mut files = Files::new();
        for (_, whole) in &candidates {
            files.extend(files_met(store, parent_tree, whole.operations())?);
        }
        let mut ground = Ground::new(store, parent_tree, files);
        let mut changes = Vec::new();
        for (change, whole) in candidates {
            let put = ground.put(whole.operations(), &whole.table.all(), &LineSet::default())?;
            if matches!(put, Ok(true)) {
                changes.push(Rc::clone(change));
            }
        }
        Ok(match changes.is_empty() || !ground.is(asked.tree, &before, &after)? {
            true => None,
            false => Some(CarriedOver { grade: Grade::Lines, changes, ground, store }),
        })
    }
}

fn lines_in(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(without_end)
}
