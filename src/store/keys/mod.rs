//! Keys: where they lie, how they are made and loaded, and signing with them.
//!
//! A readable Ed25519 key signs in this process. One that is encrypted, in an agent or on a token signs through
//! `ssh-keygen -Y sign`, or the program that git has for it. Either the signature comes back or the command fails;
//! nothing is written unsigned. No message holds anything of a private key or a passphrase.

mod dir;
mod problem;

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ssh_key::{PrivateKey, PublicKey};

use super::Store;
use super::error::StoreError;
use crate::domain::ids::{Digest, KeyId};
use crate::domain::sshsig::{self, NAMESPACE};
pub use dir::{KeyDir, Rotated};
pub use problem::KeyProblem;

/// The name of the key that records unattended.
pub const RECORDER: &str = "recorder";
/// The name of the key that `key new --person` makes.
pub const PERSON: &str = "person";

/// A key as configuration names it, read as git reads `user.signingKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyName {
    /// A file with a private or a public key.
    File(PathBuf),
    /// A public key itself, whose private half an agent has.
    Literal(String),
}

impl KeyName {
    /// Tells a literal key (`key::ssh-ed25519 AAAA…`, or without `key::`) from a path, which is left as it is.
    ///
    /// # Errors
    /// When it is a private key: that is no name, and stands in too many places already.
    pub fn read(name: &str) -> Result<Self, KeyProblem> {
        // The second is what the base64 of every private key of OpenSSH's starts with.
        if name.contains("-----BEGIN") || name.contains("b3BlbnNzaC1rZXktdjE") {
            return Err(KeyProblem::NoPath);
        }
        if let Some(literal) = name.strip_prefix("key::") {
            return Ok(KeyName::Literal(literal.to_owned()));
        }
        // git takes whatever starts with `ssh-`; other types are no path either where a key follows.
        let other = ["ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| name.starts_with(start));
        if name.starts_with("ssh-") || other && name.contains(" AAAA") {
            return Ok(KeyName::Literal(name.to_owned()));
        }
        Ok(KeyName::File(PathBuf::from(name)))
    }
}

/// How `ssh-keygen` is run.
#[derive(Debug, Clone)]
pub struct Keygen {
    /// The program: `ssh-keygen`, or git's `gpg.ssh.program`.
    pub program: OsString,
    /// Whether it may ask for a passphrase.
    pub asking: Asking,
}

/// Whether somebody can be asked for a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// On the terminal.
    Terminal,
    /// There is no terminal; `SSH_ASKPASS` may help where it is set.
    NoTerminal,
    /// Nobody is there, or must not be asked.
    Never,
}

impl Default for Keygen {
    fn default() -> Self {
        Keygen { program: "ssh-keygen".into(), asking: Asking::NoTerminal }
    }
}

/// Something that can sign.
pub struct Signer {
    public: PublicKey,
    id: KeyId,
    means: Means,
    exposed: Option<(PathBuf, u32)>,
    keygen: Keygen,
}

enum Means {
    InProcess(Box<PrivateKey>),
    /// A file: an encrypted key, a token's, or a public key whose private half is elsewhere.
    File(PathBuf),
    /// A file that holds just the public key, to be written when it is needed; the private half is in an agent.
    Agent(PathBuf),
}

impl Signer {
    /// Loads the key at `path`: a private key, or a public one whose private half is beside it, in an agent or
    /// on a token. As with git, a path whose key is only there as `path.pub` stands for that.
    ///
    /// # Errors
    /// When there is no usable Ed25519 key.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let text = match read_text(path) {
            Err(StoreError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
                let public = with_pub(path);
                return match read_text(&public) {
                    Ok(text) => Self::from_public(&public, &text),
                    Err(_) => Err(StoreError::io("read key", path)(error)),
                };
            }
            text => text?,
        };
        if text.trim_start().starts_with("-----BEGIN") {
            return Self::from_private(path, &text);
        }
        let private = path.with_extension("");
        if path.extension().is_some_and(|ext| ext == "pub")
            && let Ok(text) = read_text(&private)
        {
            return Self::from_private(&private, &text);
        }
        Self::from_public(path, &text)
    }

    fn from_public(path: &Path, text: &str) -> Result<Self, StoreError> {
        Ok(Self::new(parse_public(path, text)?, Means::File(path.to_owned())))
    }

    fn from_private(path: &Path, text: &str) -> Result<Self, StoreError> {
        let wrong = |problem| StoreError::Key { key: path.display().to_string(), problem };
        // What CI systems hand out often lacks its last newline, or has Windows' ones.
        let clean = text.replace("\r\n", "\n").trim().to_owned() + "\n";
        let key = PrivateKey::from_openssh(&clean).map_err(|error| {
            wrong(match problem::type_in(text) {
                Some(name) if !is_usable(&name) => KeyProblem::Type(name),
                None if !text.contains("OPENSSH PRIVATE KEY") => KeyProblem::ForeignForm,
                _ => KeyProblem::Form(error.to_string()),
            })
        })?;
        let mut public = key.public_key().clone();
        public.set_comment("");
        check_type(&public).map_err(wrong)?;
        let plain = !key.is_encrypted() && key.algorithm() == ssh_key::Algorithm::Ed25519;
        let means = if plain { Means::InProcess(Box::new(key)) } else { Means::File(path.to_owned()) };
        Ok(Signer { exposed: exposed(path).map(|mode| (path.to_owned(), mode)), ..Self::new(public, means) })
    }

    fn new(public: PublicKey, means: Means) -> Self {
        Signer { id: KeyId::of(&public), public, means, exposed: None, keygen: Keygen::default() }
    }

    /// The same, signing through `keygen` where it does not sign in this process.
    pub fn through(self, keygen: Keygen) -> Self {
        Signer { keygen, ..self }
    }

    /// The key's fingerprint.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The public key, without comment.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private key's file and its mode, where others than its owner may use it and the owner is us.
    pub fn exposed(&self) -> Option<(&Path, u32)> {
        self.exposed.as_ref().map(|(path, mode)| (path.as_path(), *mode))
    }

    /// Signs the bytes of a body and returns the armour.
    ///
    /// # Errors
    /// When no signature could be made.
    pub fn sign(&self, body: &[u8]) -> Result<String, StoreError> {
        let failed = |cause: String| StoreError::Sign { key: self.id.to_string(), cause };
        let armour = match &self.means {
            Means::InProcess(key) => {
                return sshsig::sign(key, body).map_err(|error| failed(error.to_string()));
            }
            Means::File(path) => self.sign_by_program(path, &[], body)?,
            Means::Agent(path) => {
                self.write_public(path)?;
                self.sign_by_program(path, &["-U"], body)?
            }
        };
        sshsig::Verifier::new(&self.public)
            .and_then(|verifier| verifier.verify(&armour, body))
            .map_err(|error| failed(error.to_string()))?;
        Ok(armour)
    }

    fn sign_by_program(&self, path: &Path, options: &[&str], body: &[u8]) -> Result<String, StoreError> {
        let program = Path::new(&self.keygen.program).display();
        let failed = |cause: String| StoreError::Sign { key: self.id.to_string(), cause };
        let mut command = Command::new(&self.keygen.program);
        command.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(path).args(options);
        if self.keygen.program == "ssh-keygen" {
            // Others are called just as git calls them.
            command.arg("-q");
        }
        if self.keygen.asking == Asking::Never {
            // Else it opens the terminal of whoever runs the agent that runs us.
            command.env("SSH_ASKPASS_REQUIRE", "force").env("SSH_ASKPASS", "false");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("cannot run `{program}`: {error}")))?;
        let written = child.stdin.take().map(|mut stdin| stdin.write_all(body));
        let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(match self.problem_in(&said) {
                Some(problem) => StoreError::Key { key: path.display().to_string(), problem },
                None => failed(format!("`{program}`: {}", said.trim())),
            });
        }
        written.transpose().map_err(|error| failed(error.to_string()))?;
        String::from_utf8(output.stdout).map_err(|_| failed(format!("`{program}` printed no text")))
    }

    /// What `ssh-keygen` means.
    fn problem_in(&self, said: &str) -> Option<KeyProblem> {
        let says = |words: &str| said.contains(words);
        if says("UNPROTECTED PRIVATE KEY") {
            Some(KeyProblem::Exposed)
        } else if says("incorrect passphrase") {
            Some(match self.keygen.asking {
                Asking::Terminal => KeyProblem::Passphrase,
                Asking::NoTerminal | Asking::Never => KeyProblem::Locked,
            })
        } else if says("find key in agent") || says("agent socket") || says("No private key found for public")
        {
            Some(KeyProblem::Away)
        } else {
            None
        }
    }

    /// Writes the public key where `ssh-keygen` reads it, unless it is there: everybody would write the same.
    fn write_public(&self, path: &Path) -> Result<(), StoreError> {
        let encode = |error: ssh_key::Error| StoreError::Format(format!("cannot encode a key: {error}"));
        let line = format!("{}\n", self.public.to_openssh().map_err(encode)?);
        if fs::read(path).is_ok_and(|there| there == line.as_bytes()) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        let unfinished = path.with_extension(format!("{}.new", std::process::id()));
        fs::write(&unfinished, line)
            .and_then(|()| fs::rename(&unfinished, path))
            .map_err(StoreError::io("write key", path))
    }
}

impl Store {
    /// Loads the key that `name` names. A relative path starts at the top of the working tree, as git has it.
    ///
    /// # Errors
    /// As [`Signer::load`].
    pub fn load_key(&self, name: &KeyName) -> Result<Signer, StoreError> {
        match name {
            KeyName::File(path) => {
                Signer::load(&self.work_dir().map_or_else(|| path.clone(), |top| top.join(path)))
            }
            KeyName::Literal(line) => {
                let public = parse_public(Path::new("literal"), line)?;
                let name = Digest::of(KeyId::of(&public).as_str().as_bytes()).to_hex();
                let path = self.state_dir().join("keys").join(format!("{}.pub", &name[..32]));
                Ok(Signer::new(public, Means::Agent(path)))
            }
        }
    }

    /// The program that git signs with where it signs with SSH keys. Only the user's own configuration is asked,
    /// as by git: none of it comes along with a clone.
    pub fn ssh_program(&self) -> Option<OsString> {
        let program = self.repo.config_snapshot().trusted_program("gpg.ssh.program").ok().flatten();
        program.filter(|program| !program.is_empty())
    }

    /// A path in configuration, with `~/`, `~user/` and `%(prefix)/` as git has them.
    ///
    /// # Errors
    /// When there is no such home.
    pub fn config_path(&self, name: &str) -> Result<Option<PathBuf>, StoreError> {
        let path = self.repo.config_snapshot().trusted_path(name);
        path.map_err(|error| StoreError::Open(format!("configuration `{name}`: {error}")))
    }
}

fn read_text(path: &Path) -> Result<String, StoreError> {
    let bytes = fs::read(path).map_err(StoreError::io("read key", path))?;
    let wrong = |problem| StoreError::Key { key: path.display().to_string(), problem };
    let text = String::from_utf8(bytes).map_err(|_| wrong(KeyProblem::Form("it is no text".into())))?;
    if text.trim().is_empty() {
        return Err(wrong(KeyProblem::Empty));
    }
    Ok(text)
}

/// `path.pub`.
fn with_pub(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// As `ssh` judges it: what somebody else owns is theirs to answer for.
#[cfg(unix)]
fn exposed(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::metadata(path).ok()?;
    let mode = meta.mode() & 0o777;
    (meta.uid() == rustix::process::getuid().as_raw() && mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn exposed(_path: &Path) -> Option<u32> {
    None
}

fn is_usable(name: &str) -> bool {
    matches!(name, "ssh-ed25519" | "sk-ssh-ed25519@openssh.com")
}

fn check_type(public: &PublicKey) -> Result<(), KeyProblem> {
    let name = public.algorithm().to_string();
    if !is_usable(&name) {
        return Err(KeyProblem::Type(name));
    }
    sshsig::Verifier::new(public).map(drop).map_err(|error| KeyProblem::Form(error.to_string()))
}

fn parse_public(path: &Path, text: &str) -> Result<PublicKey, StoreError> {
    let wrong = |problem| StoreError::Key { key: path.display().to_string(), problem };
    let mut public = PublicKey::from_openssh(text.trim()).map_err(|error| {
        wrong(match problem::type_in(text) {
            Some(name) if !is_usable(&name) => KeyProblem::Type(name),
            _ => KeyProblem::Form(error.to_string()),
        })
    })?;
    public.set_comment("");
    check_type(&public).map_err(wrong)?;
    Ok(public)
}
