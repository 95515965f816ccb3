//! What the hooks of one agent session leave for each other: a hint, kept while the session lasts.
//!
//! One folder a session, named by a digest, whatever the session is called. The state is read and replaced under
//! the session's lock; a call that is under way has a file of its own, so that hooks before calls wait for nobody.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use super::error::StoreError;
use super::lock::Lock;
use super::state::write_creating_folder;
use crate::domain::ids::Digest;
use crate::domain::redact::Redactor;

/// The files of a session.
pub struct Session {
    folder: PathBuf,
    name: String,
    locks: PathBuf,
}

/// A lock, held until this is dropped.
#[must_use = "the lock goes when this is dropped"]
pub struct SessionLock(#[expect(dead_code, reason = "held, not used")] Lock);

impl Store {
    /// Waits until no other process sets this clone up.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_setup(&self) -> Result<SessionLock, StoreError> {
        Lock::acquire(&self.state_dir().join("locks"), "init").map(SessionLock)
    }

    /// The files of the session that `source` calls `id`, which is untrusted text.
    pub fn session(&self, source: &str, id: &str) -> Session {
        let name = Digest::of(format!("{source}\0{id}").as_bytes()).to_hex()[..32].to_owned();
        let folder = self.state_dir().join("sessions").join(&name);
        Session { folder, name: format!("hooks-{name}"), locks: self.state_dir().join("locks") }
    }
}

impl Session {
    /// Waits until no other hook of the session is at work.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self) -> Result<SessionLock, StoreError> {
        Lock::acquire(&self.locks, &self.name).map(SessionLock)
    }

    /// The state; none where there is none that can be read.
    pub fn load<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&fs::read(self.folder.join("state.json")).ok()?).ok()
    }

    /// Replaces the state, without the secrets in it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save<T: Serialize>(&self, state: &T, redactor: &Redactor) -> Result<(), StoreError> {
        let path = self.folder.join("state.json");
        let unfinished = path.with_extension("new");
        write_creating_folder(&unfinished, &encode(state, redactor)?)?;
        fs::rename(&unfinished, &path).map_err(StoreError::io("replace", path))
    }

    /// Notes that the call `id` is under way, without the secrets in what is said of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin<T: Serialize>(&self, id: &str, call: &T, redactor: &Redactor) -> Result<(), StoreError> {
        let path = self.call_path(id);
        let unfinished = path.with_extension(format!("new-{}", std::process::id()));
        write_creating_folder(&unfinished, &encode(call, redactor)?)?;
        fs::rename(&unfinished, &path).map_err(StoreError::io("replace", path))
    }

    /// What was noted when the call `id` began.
    pub fn begun<T: DeserializeOwned>(&self, id: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.call_path(id)).ok()?).ok()
    }

    /// Every call under way, in no order.
    pub fn under_way<T: DeserializeOwned>(&self) -> Vec<T> {
        let files = fs::read_dir(self.folder.join("calls")).into_iter().flatten().flatten();
        let calls = files.filter(|file| file.path().extension().is_none());
        calls.filter_map(|file| serde_json::from_slice(&fs::read(file.path()).ok()?).ok()).collect()
    }

    /// Forgets the call `id`.
    ///
    /// # Errors
    /// When its file cannot be removed; that there is none is no error.
    pub fn end(&self, id: &str) -> Result<(), StoreError> {
        let path = self.call_path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
            _ => Ok(()),
        }
    }

    fn call_path(&self, id: &str) -> PathBuf {
        self.folder.join("calls").join(&Digest::of(id.as_bytes()).to_hex()[..32])
    }
}

/// JSON without secrets. A marker in place of one has no character that JSON would escape.
fn encode<T: Serialize>(value: &T, redactor: &Redactor) -> Result<Vec<u8>, StoreError> {
    let bytes = serde_json::to_vec(value).map_err(|error| StoreError::Format(error.to_string()))?;
    Ok(redactor.redact(&bytes).bytes.into_owned())
}
