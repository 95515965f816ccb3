//! Keys: where they lie, how they are made and loaded, and signing with them.
//!
//! A readable Ed25519 key signs in this process. One that is encrypted, in an agent or on a token signs through
//! `ssh-keygen -Y sign`. Either the signature comes back or the command fails; nothing is written unsigned.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ssh_key::private::Ed25519Keypair;
use ssh_key::{PrivateKey, PublicKey};

use super::error::StoreError;
use crate::domain::ids::KeyId;
use crate::domain::sshsig::{self, NAMESPACE};

/// The name of the key that records unattended.
pub const RECORDER: &str = "recorder";
/// The name of the key that `key new --person` makes.
pub const PERSON: &str = "person";

/// Something that can sign.
pub struct Signer {
    public: PublicKey,
    id: KeyId,
    means: Means,
}

enum Means {
    InProcess(Box<PrivateKey>),
    SshKeygen(PathBuf),
}

impl Signer {
    /// Loads the key at `path`: a private key, or a public one whose private half is beside it, in an agent or
    /// on a token.
    ///
    /// # Errors
    /// When there is no usable Ed25519 key.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let text = fs::read_to_string(path).map_err(StoreError::io("read key", path))?;
        if text.trim_start().starts_with("-----BEGIN") {
            return Self::from_private(path, &text);
        }
        let private = path.with_extension("");
        if path.extension().is_some_and(|ext| ext == "pub")
            && let Ok(text) = fs::read_to_string(&private)
        {
            return Self::from_private(&private, &text);
        }
        let public = parse_public(path, &text)?;
        Ok(Signer { id: KeyId::of(&public), public, means: Means::SshKeygen(path.to_owned()) })
    }

    fn from_private(path: &Path, text: &str) -> Result<Self, StoreError> {
        let wrong = |cause: String| StoreError::Sign { key: path.display().to_string(), cause };
        let key = PrivateKey::from_openssh(text).map_err(|error| wrong(error.to_string()))?;
        let mut public = key.public_key().clone();
        public.set_comment("");
        check_type(&public).map_err(wrong)?;
        let plain = !key.is_encrypted() && key.algorithm() == ssh_key::Algorithm::Ed25519;
        let means = if plain { Means::InProcess(Box::new(key)) } else { Means::SshKeygen(path.to_owned()) };
        Ok(Signer { id: KeyId::of(&public), public, means })
    }

    /// The key's fingerprint.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The public key, without comment.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs the bytes of a body and returns the armour.
    ///
    /// # Errors
    /// When no signature could be made.
    pub fn sign(&self, body: &[u8]) -> Result<String, StoreError> {
        let failed = |cause: String| StoreError::Sign { key: self.id.to_string(), cause };
        match &self.means {
            Means::InProcess(key) => sshsig::sign(key, body).map_err(|error| failed(error.to_string())),
            Means::SshKeygen(path) => {
                let armour = sign_by_ssh_keygen(path, body).map_err(failed)?;
                sshsig::Verifier::new(&self.public)
                    .and_then(|verifier| verifier.verify(&armour, body))
                    .map_err(|error| failed(error.to_string()))?;
                Ok(armour)
            }
        }
    }
}

fn sign_by_ssh_keygen(path: &Path, body: &[u8]) -> Result<String, String> {
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-q", "-n", NAMESPACE, "-f"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run `ssh-keygen`: {error}"))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(body));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("`ssh-keygen`: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    written.transpose().map_err(|error| error.to_string())?;
    String::from_utf8(output.stdout).map_err(|_| "`ssh-keygen` printed no text".to_owned())
}

fn check_type(public: &PublicKey) -> Result<(), String> {
    sshsig::Verifier::new(public).map(drop).map_err(|error| {
        format!(
            "{error}; usable are `ssh-ed25519` and `sk-ssh-ed25519@openssh.com`, not `{}`",
            public.algorithm()
        )
    })
}

fn parse_public(path: &Path, text: &str) -> Result<PublicKey, StoreError> {
    let wrong = |cause: String| StoreError::Sign { key: path.display().to_string(), cause };
    let mut public = PublicKey::from_openssh(text.trim()).map_err(|error| wrong(error.to_string()))?;
    public.set_comment("");
    check_type(&public).map_err(wrong)?;
    Ok(public)
}

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
        let line = format!("{}\n", public.to_openssh().map_err(encode)?);
        let beside = path.with_extension("pub");
        fs::write(&beside, line).map_err(StoreError::io("write key", &beside))?;
        Ok(public)
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
