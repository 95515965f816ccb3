//! Everything that touches git: facts out, one guarded write in. The only place that knows gix.

mod ancestry;
mod artifacts;
mod blame;
mod current;
mod error;
mod git;
mod githook;
mod heads;
mod hooks;
mod inside;
mod kept;
pub mod keys;
mod landing;
mod lines;
mod linked;
mod lock;
mod loose_object;
mod loose_ref;
mod merge;
mod near;
mod notes;
mod once;
mod patch;
mod private;
mod project_commit;
mod read;
mod refs;
mod rehash;
mod scratch_index;
mod session;
mod setup;
mod state;
mod temporary;
mod touched;
mod transport;
mod tree;
mod unsigned;
mod worktree;
mod write;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gix::sec::trust::Mapping;

pub use ancestry::RangeCommit;
pub use blame::{Annotated, BlamedCommit, BlamedLine, Blaming, Tracing};
pub use current::OpenReceipt;
pub use error::StoreError;
pub use hooks::HookFolder;
pub use kept::Kind;
pub use landing::{Landing, Recovered, Settled, Way};
pub use linked::TemporaryWorktree;
pub use merge::Merged;
pub use near::may_be_set_up;
pub use notes::{NoteLine, NotesMove};
pub use project_commit::Ident;
pub use refs::{Head, RefMove, is_ref_name};
pub use rehash::{Flaw, Rehashed, Rehasher};
pub use session::{Session, SessionLock};
pub use setup::{check_git_version, fetch_refspecs};
pub use state::{ChainScope, host_name};
pub use transport::Transfer;
pub use tree::TreeEntry;
pub use worktree::{Care, TreeChange, Worktree};
pub use write::{Alone, Along, AlreadyTold, AppendOptions, AppendReport, Appended, Repeats, RestsOn};

use crate::domain::ids::{Oid, Timestamp};

/// Refs of our own.
pub mod names {
    /// Open chains, one ref each.
    pub const CHAINS: &str = "refs/receipts/chains/";
    /// Chains of seals.
    pub const SEALED: &str = "refs/receipts/sealed/";
    /// Artifacts that reviewers need, by month and clone.
    pub const EVIDENCE: &str = "refs/receipts/evidence/";
    /// Other artifacts, by month and clone.
    pub const ARTIFACTS: &str = "refs/receipts/artifacts/";
    /// What remotes had at the last fetch.
    pub const REMOTES: &str = "refs/receipts-remotes/";
    /// Notes on bound commits.
    pub const NOTES: &str = "refs/notes/receipts";
}

/// How to open a repository.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Where to look; discovery goes upwards from here unless `GIT_DIR` says otherwise.
    pub directory: PathBuf,
    /// The moment that reflogs get.
    pub now: Timestamp,
    /// Whether git runs us inside a quarantine, where nothing may be written.
    pub quarantined: bool,
    /// Where random bytes come from.
    pub entropy: Entropy,
    /// Configuration for this run only, as `NAME=VALUE`.
    pub settings: Vec<String>,
    /// The folder of the user's own, outside of every repository, in which our keys are too; without one nothing is
    /// recovered after a crash, and no decisions are taken up that were kept.
    pub private: Option<PathBuf>,
    /// Whether what was worked out before, and kept, counts.
    pub trusts_kept: bool,
    /// Whether the repository was named, so that it may be any.
    pub named: bool,
    /// Where folders go that are needed for a moment.
    pub temporary: PathBuf,
    /// Where git was told that objects are, if it was.
    pub objects: Objects,
}

/// Where git was told that objects are, instead of below the repository and besides.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// Those of the repository: `GIT_OBJECT_DIRECTORY`.
    pub directory: Option<PathBuf>,
    /// Others, as `GIT_ALTERNATE_OBJECT_DIRECTORIES` has them.
    pub alternates: Option<OsString>,
}

/// Fills a buffer with random bytes.
pub type Entropy = fn(&mut [u8]);

/// A repository.
pub struct Store {
    pub(crate) repo: gix::Repository,
    git_for_refs: bool,
    quarantined: bool,
    now: std::cell::Cell<Timestamp>,
    entropy: Entropy,
    private: Option<PathBuf>,
    trusts_kept: bool,
    secret: std::cell::OnceCell<Option<crate::domain::kept::Secret>>,
    temporary: PathBuf,
    objects: Objects,
}

impl Store {
    /// Opens the repository that git itself would use here.
    ///
    /// # Errors
    /// When there is none, it belongs to somebody else, or cannot be read.
    pub fn open(options: &OpenOptions) -> Result<Self, StoreError> {
        let open = || {
            gix::open::Options::default()
                .bail_if_untrusted(true)
                .cli_overrides(options.settings.iter().map(String::as_str))
        };
        let trust = Mapping { full: open(), reduced: open() };
        let repo = gix::ThreadSafeRepository::discover_with_environment_overrides_opts(
            &options.directory,
            Default::default(),
            trust,
        )
        .map_err(|error| open_error(&options.directory, &error))?
        .to_thread_local();
        let format = repo.config_snapshot().string("extensions.refStorage");
        let git_for_refs = format.is_some_and(|format| !format.eq_ignore_ascii_case(b"files"));
        let mut store = Store {
            repo,
            git_for_refs,
            quarantined: options.quarantined,
            now: options.now.into(),
            entropy: options.entropy,
            private: options.private.clone(),
            trusts_kept: options.trusts_kept,
            secret: Default::default(),
            temporary: options.temporary.clone(),
            objects: options.objects.clone(),
        };
        if !options.named && store.is_embedded() && store.bare_must_be_named() {
            return Err(StoreError::Embedded(store.git_dir().to_owned()));
        }
        // Replacement objects are other people's edits of history; receipts are about what is really there.
        store.repo.objects.ignore_replacements = true;
        store.repo.object_cache_size_if_unset(4 * 1024 * 1024);
        Ok(store)
    }

    /// Whether the repository was found as a folder that merely looks like one, as a tree could bring it along.
    fn is_embedded(&self) -> bool {
        let dir = std::path::absolute(self.git_dir()).unwrap_or_else(|_| self.git_dir().to_owned());
        // The same places as git itself takes for its own (`is_implicit_bare_repo` in its setup.c).
        let parts: Vec<_> = dir.components().map(|part| part.as_os_str().to_owned()).collect();
        let below = |name: &str| parts.windows(2).any(|pair| pair[0] == ".git" && pair[1] == name);
        !(parts.last().is_some_and(|last| last == ".git") || below("worktrees") || below("modules"))
    }

    /// Whether the user said by `safe.bareRepository` that such a one must be named. The repository's own word on that
    /// does not count.
    fn bare_must_be_named(&self) -> bool {
        use gix::config::Source;
        let snapshot = self.repo.config_snapshot();
        let trusted =
            |meta: &gix::config::file::Metadata| !matches!(meta.source, Source::Local | Source::Worktree);
        let value = snapshot.plumbing().string_filter("safe.bareRepository", trusted);
        value.is_some_and(|value| value.eq_ignore_ascii_case(b"explicit"))
    }

    /// The directory of this worktree's own git files.
    pub fn git_dir(&self) -> &Path {
        self.repo.git_dir()
    }

    /// The directory that all worktrees share.
    pub fn common_dir(&self) -> &Path {
        self.repo.common_dir()
    }

    /// The top of the working tree; none in a bare repository.
    pub fn work_dir(&self) -> Option<&Path> {
        self.repo.workdir()
    }

    /// Where our own derived files live, shared by all worktrees.
    pub fn state_dir(&self) -> PathBuf {
        self.common_dir().join("receipts")
    }

    /// Whether the clone lacks history.
    pub fn is_shallow(&self) -> bool {
        // A shallow file that cannot be read counts as one: then evidence is incomplete, never complete.
        self.repo.is_shallow().unwrap_or(true)
    }

    /// The id of git's empty tree in this repository's hash.
    pub fn empty_tree(&self) -> Oid {
        self.null_id().empty_tree()
    }

    /// The all-zero id in this repository's hash.
    pub fn null_id(&self) -> Oid {
        match self.repo.object_hash() {
            gix::hash::Kind::Sha256 => Oid::Sha256([0; 32]),
            _ => Oid::Sha1([0; 20]),
        }
    }

    /// A configuration value as text, by its dotted name.
    pub fn config(&self, name: &str) -> Option<String> {
        self.repo.config_snapshot().string(name).map(|value| value.to_string())
    }

    /// All values of a configuration key, in order.
    pub fn config_all(&self, name: &str) -> Vec<String> {
        let snapshot = self.repo.config_snapshot();
        let values = snapshot.plumbing().strings(name);
        values.into_iter().flatten().map(|value| value.to_string()).collect()
    }

    /// A configuration value as a switch; `None` when unset or not a boolean.
    pub fn config_bool(&self, name: &str) -> Option<bool> {
        self.repo.config_snapshot().boolean(name)
    }

    /// Sets a key in the repository's own configuration.
    ///
    /// # Errors
    /// When git refuses.
    pub fn set_config(&self, name: &str, value: &str) -> Result<(), StoreError> {
        git::run(self.git_dir(), &["config", "--local", "--replace-all", name, value], None).map(drop)
    }

    fn uses_git_for_refs(&self) -> bool {
        self.git_for_refs
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.entropy)(&mut bytes);
        bytes
    }

    /// The moment this run takes as now.
    pub fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// Takes another moment as now, after something took its time.
    pub fn set_now(&self, now: Timestamp) {
        self.now.set(now);
    }

    /// Refuses where nothing may be written.
    ///
    /// # Errors
    /// Inside a quarantine: objects of a refused push vanish, refs would stay.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        if self.quarantined {
            return Err(StoreError::Refused("nothing is recorded while git holds a push in quarantine"));
        }
        self.check_state_dirs()
    }

    /// Refuses where the folders of our own files lead elsewhere, as one who made the repository could have them.
    fn check_state_dirs(&self) -> Result<(), StoreError> {
        let (shared, own) = (self.state_dir(), self.git_dir().join("receipts"));
        for folder in [&own.join("landing"), &own.join("locks"), &own, &shared] {
            if folder.symlink_metadata().is_ok_and(|there| there.is_symlink()) {
                return Err(StoreError::Linked(folder.clone()));
            }
        }
        Ok(())
    }
}

fn open_error(directory: &Path, error: &gix::Error) -> StoreError {
    let text = error::chain_of(error);
    if ["untrusted", "ownership", "safe.directory", "considered unsafe"]
        .iter()
        .any(|word| text.contains(word))
    {
        StoreError::Untrusted(directory.to_owned())
    } else if text.contains("not find") || text.contains("NoGitRepository") {
        StoreError::NoRepository(directory.to_owned())
    } else {
        StoreError::Open(text)
    }
}

/// Our id as gix has it.
pub(crate) fn object_id(id: Oid) -> gix::ObjectId {
    gix::ObjectId::from_bytes_or_panic(id.as_bytes())
}

/// gix's id as we have it.
pub(crate) fn oid(id: &gix::oid) -> Oid {
    Oid::from_bytes(id.as_bytes()).expect("gix ids are 20 or 32 bytes, as ours")
}
