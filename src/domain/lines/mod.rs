//! A proposed change as numbered line operations, and what follows from choosing some of them.
//!
//! A [`Table`] says, file by file, which operations lead from a base tree to a proposed one. [`diff()`] makes it,
//! [`Change::check`] holds one that somebody else wrote against both trees, and everything else takes the
//! [`Change`] that comes of that: [`apply`] gives the files for any selection of numbers, [`carry()`] says which
//! decisions still stand for a later revision, [`place()`] puts accepted lines on a tree that has moved on, and
//! [`placed_is_right`] judges such a placing that somebody else made.
//!
//! Everything here is a function of its arguments. Trees are maps of paths, contents are asked for by object id
//! through [`Blobs`] and only for files that changed, so both trees may leave out what is equal in both.
//!
//! The bytes of a table and the rules for each operation are in `docs/format.md`, section *Proposal lines*.
//! The properties that hold all of it together are tested with a few seeds in `cargo test`, and with many by
//!
//! ```sh
//! GIT_RECEIPT_LINES_CASES=100000 cargo test --lib lines::tests -- --nocapture
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::Oid;

mod apply;
mod carry;
mod change;
mod diff;
mod origin;
pub mod path;
mod place;
mod rules;
mod select;
mod sensitive;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod weave;
mod wire;

pub use apply::{Clash, Content, Edits, Written, apply};
pub use carry::{Carried, carry};
pub use change::Change;
pub use diff::{ALGORITHM, diff};
pub use origin::{Origin, origins};
pub use place::{Conflict, Placing, Request, Why, place, placed_is_right};
pub use select::{Line, Numbers};
pub use sensitive::{Sensitive, sensitive};
pub use table::{Counts, FileLines, MAX_BYTES, Op, Table, TableError};
pub use text::is_binary;

/// What kind of thing stands at a path, as git's trees say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A regular file, `100644`.
    File,
    /// A regular file with the executable bit, `100755`.
    Executable,
    /// A symbolic link, `120000`; its content is the target.
    Symlink,
    /// A submodule, `160000`; its object id is a commit and has no bytes here.
    Submodule,
}

impl Mode {
    /// The six octal digits that git prints.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::File => "100644",
            Mode::Executable => "100755",
            Mode::Symlink => "120000",
            Mode::Submodule => "160000",
        }
    }

    /// Whether this is a file with content of its own, executable or not.
    pub fn is_regular(self) -> bool {
        matches!(self, Mode::File | Mode::Executable)
    }

    /// Whether `other` differs from this in the executable bit at most.
    pub fn same_type(self, other: Mode) -> bool {
        self == other || self.is_regular() && other.is_regular()
    }
}

/// What stands at a path of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its mode.
    pub mode: Mode,
    /// Its blob, or the commit of a submodule.
    pub oid: Oid,
}

/// The files of a tree by path, folders left out. Files that both trees of a change have alike may be missing
/// from both.
pub type Files = BTreeMap<GitPath, File>;

/// Where the bytes of blobs come from.
pub trait Blobs {
    /// The bytes of a blob. Asked only for regular files and symbolic links that a change touches.
    ///
    /// # Errors
    /// When the blob is missing or cannot be read; the error is handed on as it is.
    fn blob(&self, oid: &Oid) -> Result<Cow<'_, [u8]>, BlobError>;
}

/// The bytes of a blob could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("blob `{oid}`: {problem}")]
pub struct BlobError {
    /// The blob.
    pub oid: Oid,
    /// Why not.
    pub problem: String,
}

impl Blobs for BTreeMap<Oid, Vec<u8>> {
    fn blob(&self, oid: &Oid) -> Result<Cow<'_, [u8]>, BlobError> {
        let missing = || BlobError { oid: *oid, problem: "not there".into() };
        self.get(oid).map(|bytes| Cow::Borrowed(bytes.as_slice())).ok_or_else(missing)
    }
}

/// Why something about lines cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinesError {
    /// Content is missing.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The table breaks a rule, or does not lead from the base to the proposed tree.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A selection has numbers that the table does not give out; their ends stand here.
    #[error("no such lines: {0}")]
    Unknown(LineSet),
    /// A choice would put two things at one path.
    #[error(transparent)]
    Clash(#[from] Clash),
}

/// A path for a message: lossy and without control characters.
fn shown(path: &GitPath) -> String {
    path.to_string().escape_debug().to_string()
}
