//! A proposal with what its lines mean: its table and both trees, for the commands that work on one.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::verify::Picture;
use super::{Context, UserError, user_error};
use crate::domain::fact::data::Proposal;
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{ChainId, Digest, EntryRef, Oid};
use crate::domain::lines::{self, Carried, Change, Edits, Files, LinesError, Table};
use crate::domain::redact::Redactor;
use crate::domain::secret_paths::looks_secret;
use crate::store::Store;

/// A proposal's table and the files of both its trees that it is about.
pub struct Loaded {
    /// What was stated.
    pub made: Proposal,
    /// The operations.
    pub table: Table,
    /// What they start from.
    pub base: Files,
    /// What they lead to.
    pub proposed: Files,
}

/// Why a proposal cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// Its artifacts are not here.
    #[error("{0}")]
    Withheld(String),
    /// They are here and wrong.
    #[error("{0}")]
    Wrong(String),
}

impl Loaded {
    /// Reads table and trees of a proposal. Whether they fit is for [`Loaded::change`] to say.
    ///
    /// # Errors
    /// When they are not here, or the table is not the one that was signed.
    pub fn read(store: &Store, made: &Proposal) -> Result<Loaded, LoadError> {
        let wrong = |error: &dyn std::fmt::Display| LoadError::Wrong(error.to_string());
        let table = table_at(store, made.lines.oid, made.lines.digest)?;
        let table = Table::read(&table).map_err(|error| wrong(&error))?;
        let (stated, counts) = (&made.lines, table.counts());
        let same = (stated.count, stated.added, stated.removed, stated.mutated, stated.moved, stated.files)
            == (counts.count, counts.added, counts.removed, counts.mutated, counts.moved, counts.files);
        if !same {
            return Err(wrong(&"the table of lines has other counts than the entry states"));
        }
        for tree in [made.base.tree, made.tree] {
            if tree != store.empty_tree() && !store.has_object(tree) {
                return Err(LoadError::Withheld(format!("tree `{tree}` of the proposal is not here")));
            }
        }
        // Where the commit is here it says what its tree is; a base of another would show people another change.
        if let Ok(Some(tree)) = store.tree_of(made.base.commit)
            && tree != made.base.tree
        {
            return Err(wrong(&format!(
                "base commit `{}` has tree `{tree}`, not `{}`",
                made.base.commit, made.base.tree
            )));
        }
        // The trees are here: what of them is not cannot be told from what never was.
        let (base, proposed) = store
            .changed_files(made.base.tree, made.tree)
            .map_err(|error| LoadError::Withheld(error.to_string()))?;
        Ok(Loaded { made: made.clone(), table, base, proposed })
    }

    /// Holds the table against both trees.
    ///
    /// # Errors
    /// When it does not lead from one to the other.
    pub fn change(&self, store: &Store) -> Result<Change<'_>, LoadError> {
        let failed = |error: LinesError| match error {
            LinesError::Blob(error) => LoadError::Withheld(error.to_string()),
            error => LoadError::Wrong(error.to_string()),
        };
        let change = Change::check(&self.table, &self.base, &self.proposed, store).map_err(failed)?;
        // The table is about files. That the tree has nothing but these, in the one form that git writes, only its
        // id says.
        let edits = lines::apply(&change, &self.table.all(), store).map_err(failed)?;
        let given = store.id_of_edits(self.made.base.tree, &edits);
        if given.map_err(|error| LoadError::Wrong(error.to_string()))? != self.made.tree {
            return Err(LoadError::Wrong("all lines do not give the proposed tree".into()));
        }
        Ok(change)
    }
}

/// The bytes of a stored table, which are those that were signed.
pub fn table_at(store: &Store, oid: Oid, digest: Digest) -> Result<Vec<u8>, LoadError> {
    let bytes = store.blob(oid).map_err(|error| LoadError::Wrong(error.to_string()))?;
    let bytes = bytes.ok_or_else(|| LoadError::Withheld(format!("table of lines `{digest}` is not here")))?;
    if Digest::of(&bytes) != digest {
        return Err(LoadError::Wrong(format!("object `{oid}` is not the table of lines `{digest}`")));
    }
    Ok(bytes)
}

impl From<LoadError> for UserError {
    fn from(error: LoadError) -> Self {
        let (code, hint) = match &error {
            LoadError::Withheld(_) => (4, "`git receipt fetch` brings what reviewers need"),
            LoadError::Wrong(_) => (1, "`git receipt verify` says what is wrong"),
        };
        UserError { message: error.to_string(), hint: Some(hint.into()), code }
    }
}

/// An error about lines for the person who chose them.
pub fn lines_error(error: LinesError) -> anyhow::Error {
    let hint = match &error {
        LinesError::Clash(clash) => format!("choose lines {} as well", clash.needs),
        LinesError::Unknown(_) => "`git receipt diff` shows the lines with their numbers".into(),
        LinesError::Blob(_) => "`git receipt fetch` brings what reviewers need".into(),
        LinesError::Table(_) => "`git receipt verify` says what is wrong".into(),
    };
    let code = match &error {
        LinesError::Blob(_) => 4,
        LinesError::Table(_) => 1,
        LinesError::Clash(_) | LinesError::Unknown(_) => 2,
    };
    UserError { message: error.to_string(), hint: Some(hint), code }.into()
}

impl Picture {
    /// The newest revision of a receipt's proposal.
    ///
    /// # Errors
    /// When it has none.
    pub fn proposal<'p>(&'p self, receipt: &'p Receipt) -> anyhow::Result<&'p ProposalState> {
        let mut current = receipt.proposals.iter().filter(|proposal| proposal.superseded_by.is_none());
        match (current.next(), current.next()) {
            (Some(newest), None) => Ok(newest),
            (None, _) => Err(user_error(
                format!("receipt `{}` proposes nothing", receipt.id),
                format!(
                    "`git receipt propose --receipt {}` makes a proposal of the working tree",
                    receipt.id
                ),
            )),
            (Some(_), Some(_)) => Err(user_error(
                format!(
                    "receipt `{}` proposes several changes at once, and a line of which is meant?",
                    receipt.id
                ),
                "its owner can propose each in a receipt of its own",
            )),
        }
    }

    /// A revision of a receipt's proposal by its number, the newest if none is given.
    ///
    /// # Errors
    /// When there is none of that number.
    pub fn revision<'p>(
        &'p self,
        receipt: &'p Receipt,
        number: Option<u64>,
    ) -> anyhow::Result<&'p ProposalState> {
        let Some(number) = number else { return self.proposal(receipt) };
        let mut there = receipt.proposals.iter().filter(|proposal| proposal.made.revision == number);
        let found = there.next().filter(|_| there.next().is_none());
        found.ok_or_else(|| {
            user_error(
                format!("receipt `{}` has no one revision {number}", receipt.id),
                format!("`git receipt diff {} --revisions` lists them", receipt.id),
            )
        })
    }
}

impl Context {
    /// Reads table and trees of a proposal.
    ///
    /// # Errors
    /// Exit code 4 when they are not here, 1 when they are not what was signed.
    pub fn load(&self, made: &Proposal) -> anyhow::Result<Loaded> {
        Ok(Loaded::read(&self.store, made).map_err(UserError::from)?)
    }

    /// Holds a loaded table against its trees.
    ///
    /// # Errors
    /// As [`Context::load`].
    pub fn check<'l>(&self, loaded: &'l Loaded) -> anyhow::Result<Change<'l>> {
        Ok(loaded.change(&self.store).map_err(UserError::from)?)
    }

    /// Which lines of a revision stand for which of a later one; `None` where a table of theirs cannot be had, as then
    /// nobody can tell.
    pub fn carried(&self, from: &Proposal, to: &Proposal) -> Option<Carried> {
        let key = (from.lines.digest, from.tree, to.lines.digest, to.tree);
        if let Some(known) = self.carried.borrow().get(&key) {
            return known.clone();
        }
        let carried = self.work_out_carried(from, to);
        self.carried.borrow_mut().insert(key, carried.clone());
        carried
    }

    fn work_out_carried(&self, from: &Proposal, to: &Proposal) -> Option<Carried> {
        let carried = || -> Result<Carried, LoadError> {
            let (from, to) = (Loaded::read(&self.store, from)?, Loaded::read(&self.store, to)?);
            let (from, to) = (from.change(&self.store)?, to.change(&self.store)?);
            lines::carry(&from, &to, &self.store).map_err(|error| LoadError::Wrong(error.to_string()))
        };
        match carried() {
            Ok(carried) => Some(carried),
            // A table that is wrong carries nothing over, and `verify` names it.
            Err(LoadError::Wrong(_)) => Some(Carried::default()),
            Err(LoadError::Withheld(_)) => None,
        }
    }

    /// Reads a selection as people write it, or all lines of the files at and below a path. `of` is what `git receipt
    /// diff` is given to show them.
    ///
    /// # Errors
    /// When it is none, names lines that the table does not have, or there is no such file in it.
    pub fn selected(
        &self,
        of: &str,
        table: &Table,
        lines: Option<&str>,
        path: Option<&str>,
    ) -> anyhow::Result<Option<LineSet>> {
        if let Some(path) = path {
            let wanted = self.path_from_top(path);
            let folder = format!("{}/", wanted.trim_end_matches('/'));
            let fits = |path: &GitPath| {
                path.as_bytes() == wanted.as_bytes() || path.as_bytes().starts_with(folder.as_bytes())
            };
            let files = table
                .files()
                .iter()
                .filter(|file| fits(&file.path) || file.old_path.as_ref().is_some_and(&fits));
            let lines = files.fold(LineSet::default(), |all, file| all.union(&file.all()));
            if lines.is_empty() {
                return Err(user_error(
                    format!("the proposal changes nothing at `{path}`"),
                    format!("`git receipt diff {of}` shows what it changes"),
                ));
            }
            return Ok(Some(lines));
        }
        let Some(text) = lines else { return Ok(None) };
        let lines = LineSet::from_user(text).map_err(|error| user_error(error, "write lines as `1-4,7`"))?;
        let unknown = table.unknown(&lines);
        if !unknown.is_empty() {
            let hint = format!("`git receipt diff {of}` shows the lines with their numbers");
            return Err(user_error(LinesError::Unknown(unknown).to_string(), hint));
        }
        Ok(Some(lines))
    }

    /// The files of a change that look secret, by name or by what they would newly hold.
    pub fn secret_files(&self, redactor: &Redactor, base: &Files, proposed: &Files) -> Vec<GitPath> {
        let count = |file: &lines::File| {
            let regular = file.mode != lines::Mode::Submodule;
            let bytes = self.store.blob(file.oid).ok().flatten().filter(|_| regular);
            bytes.map_or(0, |bytes| redactor.redact(&bytes).count)
        };
        // Another secret in the place of one looks like none by numbers, so a file that has any and changed is named.
        let changed = proposed.iter().filter(|(path, file)| base.get(path) != Some(file));
        let secret = changed.filter(|(path, file)| looks_secret(path.as_bytes()) || count(file) > 0);
        secret.map(|(path, _)| path.clone()).collect()
    }

    /// The tree that edits give, by id and written.
    ///
    /// # Errors
    /// When objects cannot be written, or two paths of it are one to a file system without case.
    pub fn write_result(&self, tree: Oid, edits: &Edits) -> anyhow::Result<Oid> {
        let written = self.store.write_edits(tree, edits)?;
        self.check_case(tree, written)?;
        Ok(written)
    }

    /// Refuses a tree in which a path that is new clashes with another on a file system without case.
    ///
    /// # Errors
    /// Names both.
    pub fn check_case(&self, before: Oid, after: Oid) -> anyhow::Result<()> {
        let (old, new) = self.store.changed_files(before, after)?;
        let fresh: Vec<&GitPath> = new.keys().filter(|path| !old.contains_key(path)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let all = self.store.files_of(after)?;
        let clashes = lines::path::case_clashes(all.keys());
        let mine =
            |path: &GitPath| fresh.iter().any(|new| *new == path || above(path, new) || above(new, path));
        match clashes.iter().find(|(one, other)| mine(one) || mine(other)) {
            Some((one, other)) => Err(user_error(
                format!("`{one}` and `{other}` are one path where case does not count"),
                "rename one of them, or leave it out",
            )),
            None => Ok(()),
        }
    }
}

/// Whether `folder` is a folder of `path`.
fn above(folder: &GitPath, path: &GitPath) -> bool {
    path.as_bytes().strip_prefix(folder.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
}

/// Every path of a proposal's files, by what is sensitive about it, for people.
pub fn sensitive_marks(table: &Table, proposed: &Files) -> BTreeMap<String, Vec<String>> {
    let found = lines::sensitive(table, proposed);
    let words = |reasons: Vec<lines::Sensitive>| reasons.iter().map(|one| one.as_str().to_owned()).collect();
    found.into_iter().map(|(path, reasons)| (path.to_string(), words(reasons))).collect()
}

/// The object id of bytes, for rules that need one.
pub fn blob_ids(store: &Store) -> anyhow::Result<impl Fn(&[u8]) -> Oid + '_> {
    // Asked once for a result, as a hash that cannot be computed can never be.
    store.blob_id(b"").context("hashing")?;
    Ok(|bytes: &[u8]| store.blob_id(bytes).unwrap_or(store.null_id()))
}

/// The newest entry of each chain: citing it says that those before it were seen as well.
pub fn newest_of_each_chain(entries: impl Iterator<Item = EntryRef>) -> Vec<EntryRef> {
    let mut newest: BTreeMap<ChainId, EntryRef> = BTreeMap::new();
    for entry in entries {
        let known = newest.entry(entry.chain).or_insert(entry);
        if known.seq < entry.seq {
            *known = entry;
        }
    }
    newest.into_values().collect()
}
