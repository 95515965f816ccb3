//! Which chain a writer continues, and what is remembered about its tip.
//!
//! Everything here is a hint that can be rebuilt from refs: one small file a scope, valid only in the very
//! clone that wrote it and only while it names the chain's tip.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::{Store, names};
use crate::domain::ids::{ChainId, Digest, EntryRef, KeyId, Oid, Timestamp};

/// What a chain is for: each key has one chain per scope and clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainScope {
    /// The command line.
    Console,
    /// One session of an agent.
    Session {
        /// Where the session came from, as `claude-code`.
        source: String,
        /// Its id there, which is untrusted text.
        id: String,
    },
}

impl ChainScope {
    /// A file name for the scope of `key`: hex digits and fixed words only, whatever the session is called.
    pub(super) fn file_name(&self, key: &KeyId) -> String {
        let text = match self {
            ChainScope::Console => format!("console\0{key}"),
            ChainScope::Session { source, id } => format!("session\0{key}\0{source}\0{id}"),
        };
        let digest = Digest::of(text.as_bytes()).to_hex();
        let word = if *self == ChainScope::Console { "console" } else { "session" };
        format!("{word}-{}", &digest[..32])
    }
}

/// The very place a clone is at. A copy of a clone differs in at least one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    host: String,
    common_dir: PathBuf,
    inode: u64,
}

impl Place {
    pub(super) fn of(common_dir: &Path) -> Place {
        let absolute = fs::canonicalize(common_dir).unwrap_or_else(|_| common_dir.to_owned());
        #[cfg(unix)]
        let inode = fs::metadata(&absolute).map_or(0, |meta| std::os::unix::fs::MetadataExt::ino(&meta));
        #[cfg(not(unix))]
        let inode = 0;
        Place { host: host_name(), common_dir: absolute, inode }
    }
}

/// The machine's name.
pub fn host_name() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").unwrap_or_else(|_| "localhost".into());
}

/// What is remembered about a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ChainState {
    pub place: Place,
    pub chain: ChainId,
    pub repo: Oid,
    pub name: String,
    pub email: String,
    pub tip: Option<TipState>,
    /// What remotes were seen to have of the chain, so that only news is looked at.
    #[serde(default)]
    pub remotes: Vec<(String, Oid)>,
    /// The chain that this one continues, for idempotency keys used there.
    #[serde(default)]
    pub continues: Option<ChainId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TipState {
    pub commit: Oid,
    pub entry: EntryRef,
    pub time: Timestamp,
}

impl Store {
    fn scope_path(&self, scope: &ChainScope, key: &KeyId) -> PathBuf {
        self.state_dir().join("scopes").join(scope.file_name(key))
    }

    /// The state of a scope, if it was written and can be read.
    pub(super) fn load_state(&self, scope: &ChainScope, key: &KeyId) -> Option<ChainState> {
        let bytes = fs::read(self.scope_path(scope, key)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps the state of a scope. Only ever called under the scope's lock; a torn file reads as none.
    pub(super) fn save_state(
        &self,
        scope: &ChainScope,
        key: &KeyId,
        state: &ChainState,
    ) -> Result<(), StoreError> {
        let path = self.scope_path(scope, key);
        let bytes = serde_json::to_vec(state).map_err(|error| StoreError::Format(error.to_string()))?;
        write_creating_folder(&path, &bytes)
    }

    /// The chain that a scope continues here, if it has one.
    pub fn current_chain(&self, scope: &ChainScope, key: &KeyId) -> Option<ChainId> {
        self.load_state(scope, key).map(|state| state.chain)
    }

    /// The last entries that this very clone wrote, one a chain.
    pub fn remembered_tips(&self) -> Vec<EntryRef> {
        let place = Place::of(self.common_dir());
        let files = fs::read_dir(self.state_dir().join("scopes")).into_iter().flatten();
        let states = files
            .filter_map(|file| fs::read(file.ok()?.path()).ok())
            .filter_map(|bytes| serde_json::from_slice::<ChainState>(&bytes).ok());
        states.filter(|state| state.place == place).filter_map(|state| Some(state.tip?.entry)).collect()
    }

    /// This clone's id for its artifact refs: 16 hex digits, made anew on a copied clone.
    ///
    /// # Errors
    /// When a new one cannot be kept.
    pub fn clone_id(&self) -> Result<String, StoreError> {
        #[derive(Serialize, Deserialize)]
        struct CloneFile {
            place: Place,
            id: String,
        }
        let path = self.state_dir().join("clone.json");
        let place = Place::of(self.common_dir());
        let kept: Option<CloneFile> =
            fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(kept) = kept
            && kept.place == place
            && is_clone_id(&kept.id)
        {
            return Ok(kept.id);
        }
        let configured = self.config("receipt.clone").filter(|id| is_clone_id(id));
        // A configured id without a file of ours beside it is what `init` just made; with one from elsewhere
        // the configuration was copied along with the clone.
        let id = match configured {
            Some(id) if !path.exists() => id,
            _ => {
                let id = crate::domain::ids::hex(&self.random::<8>());
                self.set_config("receipt.clone", &id)?;
                id
            }
        };
        let file = CloneFile { place, id };
        let bytes = serde_json::to_vec(&file).map_err(|error| StoreError::Format(error.to_string()))?;
        write_creating_folder(&path, &bytes)?;
        Ok(file.id)
    }

    /// The tips that remotes were seen to have of `chain`.
    pub(super) fn remote_tips(&self, chain: ChainId) -> Result<Vec<(String, Oid)>, StoreError> {
        let mut tips = Vec::new();
        for remote in self.repo.remote_names() {
            for folder in ["chains", "sealed"] {
                let name = format!("{}{remote}/{folder}/{chain}", names::REMOTES);
                if let Some(tip) = self.find_ref(&name)? {
                    tips.push((name, tip));
                }
            }
        }
        Ok(tips)
    }
}

fn is_clone_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Writes a whole file, making its folder on the first try.
pub(super) fn write_creating_folder(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    match fs::write(path, bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(path);
            fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
            fs::write(path, bytes).map_err(StoreError::io("write", path))
        }
        other => other.map_err(StoreError::io("write", path)),
    }
}
