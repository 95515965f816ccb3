//! What differs between index and working tree, found by gix.
//!
//! Where gix is known to answer differently from git, or fails, the answer is [`Unsure`] and git is asked.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::path::Path;

use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::index::entry::{Flags, Mode, Stage};
use gix::objs::tree::EntryKind;
use gix::status::index_worktree::Item;
use gix::status::plumbing::index_as_worktree::{Change, EntryStatus};
use gix::status::{Submodule, UntrackedFiles};
use gix::{ObjectId, Repository};

use super::super::error;

/// Why git has to be asked.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "the reason is for tests and whoever debugs"))]
pub(super) struct Unsure(pub(super) String);

impl From<gix::Error> for Unsure {
    fn from(error: gix::Error) -> Self {
        Unsure(error::chain_of(&error))
    }
}

impl From<&str> for Unsure {
    fn from(why: &str) -> Self {
        Unsure(why.to_owned())
    }
}

/// What stands at a path that is not as the index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing that git tracks.
    Nothing,
    /// A file or symbolic link, to be read.
    File,
    /// Another repository, at this commit.
    Repository(ObjectId),
}

/// Patterns of files whose working content is left alone.
pub(super) struct Excluded {
    patterns: Option<gix::ignore::Search>,
    case: gix::glob::pattern::Case,
}

impl Excluded {
    pub(super) fn new(repo: &Repository, patterns: &[String]) -> Self {
        let parse = gix::ignore::search::Ignore { support_precious: false };
        let ignore_case = repo.config_snapshot().boolean("core.ignoreCase").unwrap_or(false);
        Excluded {
            patterns: (!patterns.is_empty()).then(|| gix::ignore::Search::from_overrides(patterns, parse)),
            case: if ignore_case {
                gix::glob::pattern::Case::Fold
            } else {
                gix::glob::pattern::Case::Sensitive
            },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_none()
    }

    /// Whether the file at `path` is excluded, by itself or with a directory above it.
    pub(super) fn matches(&self, path: &BStr) -> bool {
        let Some(patterns) = &self.patterns else { return false };
        let excludes = |path: &BStr, is_dir| {
            let found = patterns.pattern_matching_relative_path(path, Some(is_dir), self.case);
            found.is_some_and(|found| !found.pattern.is_negative())
        };
        path.find_iter("/").any(|slash| excludes(path[..slash].as_bstr(), true)) || excludes(path, false)
    }
}

/// Every path where the working tree is not as the index has it.
pub(super) fn scan(
    repo: &Repository,
    index: &gix::worktree::Index,
    excluded: &Excluded,
) -> Result<BTreeMap<BString, Found>, Unsure> {
    let top = repo.workdir().ok_or("there is no working tree")?;
    if index.is_sparse() || repo.config_snapshot().boolean("core.sparseCheckout").unwrap_or(false) {
        // git first decides which entries are still outside of the checkout.
        return Err("the checkout is sparse".into());
    }
    let mut found = BTreeMap::new();
    for entry in index.entries() {
        if entry.stage() != Stage::Unconflicted {
            // Line ends of a file in conflict follow one of its sides.
            return Err("the index has conflicts".into());
        }
        let kept = entry.flags.intersects(Flags::SKIP_WORKTREE | Flags::ASSUME_VALID);
        if entry.mode == Mode::COMMIT && !kept {
            let path = entry.path(index);
            if let Some(state) = gitlink(repo, top, path, entry.id)? {
                found.insert(path.to_owned(), state);
            }
        }
    }
    let status = repo
        .status(gix::progress::Discard)?
        .index(gix::worktree::IndexPersistedOrInMemory::Persisted(index.clone()))
        .index_worktree_rewrites(None)
        .index_worktree_submodules(Submodule::Given {
            ignore: gix::submodule::config::Ignore::All,
            check_dirty: false,
        })
        .index_worktree_options_mut(|options| {
            // `status.showUntrackedFiles=no` is about what people want to see.
            if options.dirwalk_options.is_none() {
                options.dirwalk_options = repo.dirwalk_options().ok();
            }
        })
        .untracked_files(UntrackedFiles::Files);
    for item in status.into_index_worktree_iter(Vec::new())? {
        match item? {
            Item::Modification { rela_path, status, entry, .. } => {
                if entry.mode == Mode::COMMIT {
                    continue;
                }
                let state = match status {
                    EntryStatus::NeedsUpdate(_) => continue,
                    EntryStatus::Change(Change::Removed) if entry.flags.contains(Flags::INTENT_TO_ADD) => {
                        continue;
                    }
                    EntryStatus::Change(Change::Removed) => Found::Nothing,
                    EntryStatus::Change(Change::SubmoduleModification(_)) | EntryStatus::Conflict { .. } => {
                        return Err("a file has the state of a submodule or conflict".into());
                    }
                    EntryStatus::Change(Change::Type { .. } | Change::Modification { .. })
                    | EntryStatus::IntentToAdd => match metadata(top, rela_path.as_ref())? {
                        Some(there) if there.is_file() || there.is_symlink() => Found::File,
                        _ => Found::Nothing,
                    },
                };
                // The walk below the path may have said already what is there instead.
                found.entry(rela_path).or_insert(state);
            }
            Item::DirectoryContents { entry, .. } => {
                if entry.status != gix::dir::entry::Status::Untracked {
                    continue;
                }
                let state = match entry.disk_kind {
                    Some(gix::dir::entry::Kind::File | gix::dir::entry::Kind::Symlink) => Found::File,
                    Some(gix::dir::entry::Kind::Untrackable) => continue,
                    Some(gix::dir::entry::Kind::Repository) => {
                        let head =
                            nested_head(repo, &top.join(gix::path::from_bstr(entry.rela_path.as_bstr())?))?;
                        Found::Repository(head.ok_or("a repository in the working tree has no commit")?)
                    }
                    Some(gix::dir::entry::Kind::Directory) | None => {
                        return Err("the walk did not look into a directory".into());
                    }
                };
                found.insert(entry.rela_path, state);
            }
            Item::Rewrite { .. } => return Err("renames were looked for".into()),
        }
    }
    found.retain(|path, _| !excluded.matches(path.as_ref()));
    Ok(found)
}

/// What stands where the index has another repository's commit; `None` when it is that commit.
fn gitlink(repo: &Repository, top: &Path, path: &BStr, id: ObjectId) -> Result<Option<Found>, Unsure> {
    let Some(there) = metadata(top, path)? else { return Ok(Some(Found::Nothing)) };
    if !there.is_dir() {
        return Ok(Some(if there.is_file() || there.is_symlink() { Found::File } else { Found::Nothing }));
    }
    let directory = top.join(gix::path::from_bstr(path)?);
    if !directory.join(".git").exists() {
        // Not checked out: the commit stays.
        return Ok(None);
    }
    let head = nested_head(repo, &directory)?.ok_or("a submodule has no commit")?;
    if head == id {
        return Ok(None);
    }
    let ignores = |key: &str| repo.config_snapshot().string(key).is_some();
    let mut modules = repo.submodules()?.into_iter().flatten();
    let module = modules.find(|module| module.path().is_ok_and(|its| its.as_bstr() == path));
    if ignores("diff.ignoreSubmodules") || module.is_some_and(|module| !matches!(module.ignore(), Ok(None))) {
        return Err("changes of a submodule may be ignored".into());
    }
    Ok(Some(Found::Repository(head)))
}

/// The commit that the repository checked out at `directory` is at.
fn nested_head(repo: &Repository, directory: &Path) -> Result<Option<ObjectId>, Unsure> {
    let nested = gix::open_opts(directory, repo.open_options().clone())?;
    let refs = nested.config_snapshot().string("extensions.refStorage");
    if nested.object_hash() != repo.object_hash() || refs.is_some_and(|kind| kind != "files") {
        return Err("a repository in the working tree is of another format".into());
    }
    Ok(nested.head()?.id().map(|id| id.detach()))
}

/// What stands at a path, unless a symbolic link stands above it.
fn metadata(top: &Path, path: &BStr) -> Result<Option<Metadata>, Unsure> {
    for slash in path.find_iter("/") {
        let above = top.join(gix::path::from_bstr(path[..slash].as_bstr())?);
        match above.symlink_metadata() {
            Ok(there) if there.is_dir() => {}
            _ => return Ok(None),
        }
    }
    Ok(top.join(gix::path::from_bstr(path)?).symlink_metadata().ok())
}

/// The tree that an index stands for, without entries in conflict or only intended. Subtrees that the index
/// knows already are taken from there.
pub(super) struct IndexTree<'a> {
    pub(super) repo: &'a Repository,
    pub(super) index: &'a gix::index::State,
    /// Whether trees are stored, or only their ids found out.
    pub(super) store: bool,
}

impl IndexTree<'_> {
    pub(super) fn id(&self) -> Result<ObjectId, gix::Error> {
        let whole = self.below(0, self.index.entries(), self.index.tree())?;
        Ok(whole.unwrap_or_else(|| ObjectId::empty_tree(self.repo.object_hash())))
    }

    /// The tree of `entries`, all of which share their first `prefix` bytes; `None` when it is empty.
    fn below(
        &self,
        prefix: usize,
        entries: &[gix::index::Entry],
        known: Option<&gix::index::extension::Tree>,
    ) -> Result<Option<ObjectId>, gix::Error> {
        if let Some(known) = known
            && known.num_entries.is_some_and(|count| count as usize == entries.len())
            && self.repo.has_object(known.id)
        {
            return Ok(Some(known.id));
        }
        let children: HashMap<&[u8], _> = known
            .iter()
            .flat_map(|tree| &tree.children)
            .map(|child| (child.name.as_slice(), child))
            .collect();
        let mut tree = gix::objs::Tree::empty();
        let mut rest = entries;
        while let [first, after @ ..] = rest {
            let name: &[u8] = &first.path(self.index)[prefix..];
            let (name, mode, id) = match name.find_byte(b'/') {
                Some(slash) if first.mode != Mode::DIR => {
                    let folder = &first.path(self.index)[..=prefix + slash];
                    let inside = rest.partition_point(|entry| entry.path(self.index).starts_with(folder));
                    let (entries, others) = rest.split_at(inside);
                    rest = others;
                    let name = &name[..slash];
                    match self.below(folder.len(), entries, children.get(name).copied())? {
                        Some(id) => (name, EntryKind::Tree.into(), id),
                        None => continue,
                    }
                }
                _ => {
                    rest = after;
                    let intended = first.flags.contains(Flags::INTENT_TO_ADD);
                    if intended || first.stage() != Stage::Unconflicted {
                        continue;
                    }
                    let Some(mode) = first.mode.to_tree_entry_mode() else { continue };
                    (name.strip_suffix(b"/").unwrap_or(name), mode, first.id)
                }
            };
            tree.entries.push(gix::objs::tree::Entry { mode, filename: name.into(), oid: id });
        }
        if tree.entries.is_empty() {
            return Ok(None);
        }
        Ok(Some(if self.store {
            self.repo.write_object(&tree)?.detach()
        } else {
            let mut bytes = Vec::new();
            gix::objs::WriteTo::write_to(&tree, &mut bytes).expect("a vector takes all");
            gix::objs::compute_hash(self.repo.object_hash(), gix::objs::Kind::Tree, &bytes)?
        }))
    }
}
