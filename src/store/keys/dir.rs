//! The folder of this machine's keys.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ssh_key::private::Ed25519Keypair;
use ssh_key::{PrivateKey, PublicKey};

use super::parse_public;
use crate::store::error::StoreError;

/// The folder of this machine's keys.
#[derive(Debug, Clone)]
pub struct KeyDir(PathBuf);

impl KeyDir {
    /// The folder below the user's configuration folder.
    pub fn new(config_home: &Path) -> Self {
        KeyDir(config_home.join("git-receipt").join("keys"))
    }

    /// Where the key called `name` lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the key called `name` from 32 random bytes: the private key readable by its owner only, the public
    /// one beside it.
    ///
    /// # Errors
    /// When the key exists already or cannot be written.
    pub fn create(&self, name: &str, seed: &[u8; 32], comment: &str) -> Result<PublicKey, StoreError> {
        fs::create_dir_all(&self.0).map_err(StoreError::io("create", &self.0))?;
        let path = self.path(name);
        let mut key = PrivateKey::from(Ed25519Keypair::from_seed(seed));
        key.set_comment(comment);
        let encode = |error: ssh_key::Error| StoreError::Format(format!("cannot encode a key: {error}"));
        let text = key.to_openssh(ssh_key::LineEnding::LF).map_err(encode)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(StoreError::io("create key", &path))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(StoreError::io("write key", &path))?;
        let public = key.public_key().clone();
        let line = format!("{}\n", line_of(&public)?);
        let beside = path.with_extension("pub");
        fs::write(&beside, line).map_err(StoreError::io("write key", &beside))?;
        Ok(public)
    }

    /// Puts the key called `name` aside as `name-DATE`, or as the first of `name-DATE-2`, `name-DATE-3` … that is
    /// free, and makes a new one in its place. Returns what the old one is called now, and both.
    ///
    /// # Errors
    /// When there is no such key, or a file cannot be written; then there is a key under the old name or the new.
    pub fn rotate(
        &self,
        name: &str,
        date: &str,
        seed: &[u8; 32],
        comment: &str,
    ) -> Result<Rotated, StoreError> {
        let (private, public) = (self.path(name), self.path(name).with_extension("pub"));
        let old = super::Signer::load(&private)?.public().clone();
        let dated = |n: u32| if n == 1 { format!("{name}-{date}") } else { format!("{name}-{date}-{n}") };
        let (kept, mut kept_public) = (1..)
            .map(dated)
            .find_map(|kept| {
                let path = self.path(&kept);
                if path.exists() {
                    return None;
                }
                // Whoever makes the file first has the name.
                let beside = path.with_extension("pub");
                match fs::OpenOptions::new().write(true).create_new(true).open(&beside) {
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => None,
                    made => Some(made.map(|file| (kept, file)).map_err(StoreError::io("create key", beside))),
                }
            })
            .expect("some number is free")?;
        // The public half first: a crash in between leaves a key that is listed twice, never one that is lost.
        let line = match fs::read(&public) {
            Ok(line) => line,
            Err(_) => format!("{}\n", line_of(&old)?).into_bytes(),
        };
        let path = self.path(&kept);
        kept_public.write_all(&line).map_err(StoreError::io("write key", &path))?;
        fs::rename(&private, &path).map_err(StoreError::io("rename key", &private))?;
        let new = self.create(name, seed, comment)?;
        Ok(Rotated { kept, old, new })
    }

    /// Every key of this machine, by name.
    ///
    /// # Errors
    /// When the folder cannot be read; that it does not exist is no error.
    pub fn list(&self) -> Result<Vec<(String, PublicKey)>, StoreError> {
        let mut keys = Vec::new();
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(keys),
            Err(error) => return Err(StoreError::io("read", &self.0)(error)),
        };
        for entry in entries {
            let path = entry.map_err(StoreError::io("read", &self.0))?.path();
            if path.extension().is_none_or(|ext| ext != "pub") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(StoreError::io("read key", &path))?;
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            keys.push((name.unwrap_or_default(), parse_public(&path, &text)?));
        }
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(keys)
    }
}

/// What a rotation did.
#[derive(Debug)]
pub struct Rotated {
    /// The name that the old key has now.
    pub kept: String,
    /// The old key.
    pub old: PublicKey,
    /// The new one.
    pub new: PublicKey,
}

fn line_of(key: &PublicKey) -> Result<String, StoreError> {
    key.to_openssh().map_err(|error| StoreError::Format(format!("cannot encode a key: {error}")))
}
