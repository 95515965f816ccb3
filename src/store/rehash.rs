//! Objects hashed again. git trusts the name of an object that it has, so other bytes under the same name show only to
//! who computes the name from the bytes.

use std::rc::Rc;

use gix::object::Kind;

use super::error::chain_of;
use super::{Store, object_id, oid};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::{Oid, OidMap};

/// What is said of one object at most, so that a repository without any object stays readable.
const FLAWS_MAX: usize = 20;
/// No project has folders in folders to this depth; a tree made to exhaust us may.
const DEPTH_MAX: usize = 1_000;

/// Something about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The object.
    pub oid: Oid,
    /// Where it stands in the tree that was asked about; nothing for that tree itself.
    pub path: Option<GitPath>,
    /// What is the matter.
    pub what: Rehashed,
}

/// What hashing an object again gave, where that is not its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rehashed {
    /// It is not here.
    Missing,
    /// Its bytes give another name, or cannot be read.
    Differs(String),
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "object `{}`", self.oid)?;
        if let Some(path) = &self.path {
            write!(f, " (`{path}`)")?;
        }
        match &self.what {
            Rehashed::Missing => f.write_str(" is not here"),
            Rehashed::Differs(how) => write!(f, " {how}"),
        }
    }
}

/// Hashes objects again, each once.
pub struct Rehasher<'s> {
    store: &'s Store,
    known: OidMap<Rc<Vec<Flaw>>>,
    objects: u64,
}

impl<'s> Rehasher<'s> {
    /// One that has looked at nothing yet.
    pub fn new(store: &'s Store) -> Self {
        Rehasher { store, known: OidMap::default(), objects: 0 }
    }

    /// How many objects were hashed.
    pub fn objects(&self) -> u64 {
        self.objects
    }

    /// A tree with all that is in it, submodules aside.
    pub fn tree(&mut self, tree: Oid) -> Rc<Vec<Flaw>> {
        match tree == self.store.empty_tree() {
            // Which needs no object.
            true => Rc::default(),
            false => self.look(tree, Kind::Tree, 0),
        }
    }

    /// A commit by itself, without its tree and its parents.
    pub fn commit(&mut self, commit: Oid) -> Rc<Vec<Flaw>> {
        self.look(commit, Kind::Commit, 0)
    }

    /// A blob.
    pub fn blob(&mut self, blob: Oid) -> Rc<Vec<Flaw>> {
        self.look(blob, Kind::Blob, 0)
    }

    fn look(&mut self, id: Oid, kind: Kind, depth: usize) -> Rc<Vec<Flaw>> {
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        let flaw = |what| Rc::new(vec![Flaw { oid: id, path: None, what }]);
        let flaws = match self.read(id, kind) {
            Err(what) => flaw(what),
            Ok(bytes) if kind == Kind::Tree => match self.below(&bytes, id, depth) {
                Ok(flaws) => Rc::new(flaws),
                Err(what) => flaw(what),
            },
            Ok(_) => Rc::default(),
        };
        self.known.insert(id, flaws.clone());
        flaws
    }

    /// The bytes of an object that are those of its name.
    fn read(&mut self, id: Oid, kind: Kind) -> Result<Vec<u8>, Rehashed> {
        let differs = |how: String| Err(Rehashed::Differs(how));
        let object = match self.store.repo.try_find_object(object_id(id)) {
            Ok(Some(object)) => object.detach(),
            Ok(None) => return Err(Rehashed::Missing),
            Err(error) => return differs(format!("cannot be read: {}", chain_of(&error))),
        };
        self.objects += 1;
        if object.kind != kind {
            return differs(format!("is a {}, not a {kind}", object.kind));
        }
        let hash = self.store.repo.object_hash();
        match gix::objs::compute_hash(hash, object.kind, &object.data) {
            Ok(found) if oid(&found) == id => Ok(object.data),
            Ok(found) => differs(format!("holds other bytes: they are those of `{}`", oid(&found))),
            Err(error) => differs(format!("cannot be hashed: {error}")),
        }
    }

    /// What is the matter with the entries of a tree.
    fn below(&mut self, bytes: &[u8], tree: Oid, depth: usize) -> Result<Vec<Flaw>, Rehashed> {
        if depth > DEPTH_MAX {
            return Err(Rehashed::Differs(format!("has more than {DEPTH_MAX} folders in each other")));
        }
        let mut flaws = Vec::new();
        for entry in gix::objs::TreeRefIter::from_bytes(bytes, object_id(tree).kind()) {
            let entry = entry.map_err(|error| Rehashed::Differs(format!("is no tree: {error}")))?;
            let kind = match entry.mode.is_tree() {
                true => Kind::Tree,
                false => Kind::Blob,
            };
            if entry.mode.is_commit() {
                continue;
            }
            for flaw in self.look(oid(entry.oid), kind, depth + 1).iter() {
                let rest = flaw.path.as_ref().map(|path| [b"/", path.as_bytes()].concat());
                let path = [entry.filename.to_vec(), rest.unwrap_or_default()].concat();
                flaws.push(Flaw { path: Some(GitPath::new(path)), ..flaw.clone() });
            }
            if flaws.len() >= FLAWS_MAX {
                break;
            }
        }
        Ok(flaws)
    }
}

impl Store {
    /// Hashes objects again, each once for as long as the value is kept.
    pub fn rehasher(&self) -> Rehasher<'_> {
        Rehasher::new(self)
    }
}
