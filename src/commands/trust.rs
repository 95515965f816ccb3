//! Which keys are known, which are revoked, and which projects count.

use super::{Context, user_error};
use crate::domain::ids::{KeyId, Oid};
use crate::domain::revoked::Revoked;
use crate::domain::signers::AllowedSigners;
use std::collections::{BTreeMap, BTreeSet};

/// Path of the signers file in the tree.
pub const SIGNERS_FILE: &str = ".receipts/allowed_signers";
/// Path of the file of revoked keys in the tree.
pub const REVOKED_FILE: &str = ".receipts/revoked";

/// What a check believes.
#[derive(Debug, Default)]
pub struct TrustSet {
    /// Keys listed in the signers file.
    pub signers: AllowedSigners,
    /// Where that file was read, for the report.
    pub source: Option<String>,
    /// Keys of this machine, by what they are called here.
    pub machine: BTreeMap<KeyId, String>,
    /// Revoked keys.
    pub revoked: Revoked,
    /// Projects whose entries count; none where that cannot be told.
    pub repos: Option<BTreeSet<Oid>>,
}

impl TrustSet {
    /// Whether a key is listed or of this machine.
    pub fn knows(&self, key: &KeyId) -> bool {
        self.signers.principal_of(key).is_some() || self.machine.contains_key(key)
    }

    /// Whose a key is when decisions are counted: its principal, or the key for itself.
    pub fn principal_of(&self, key: &KeyId) -> String {
        self.signers.principal_of(key).map_or_else(|| key.to_string(), str::to_owned)
    }

    /// Who a key belongs to, as far as that is known.
    pub fn name_of(&self, key: &KeyId) -> Option<String> {
        let listed = self.signers.principal_of(key).map(str::to_owned);
        listed.or_else(|| self.machine.get(key).map(|name| format!("{name} (this machine)")))
    }

    /// A principal as decisions have it, for people: a key that is not listed by its name on this machine.
    pub fn shown_principal(&self, principal: &str) -> String {
        let key = principal.parse::<KeyId>().ok();
        key.and_then(|key| self.name_of(&key)).unwrap_or_else(|| principal.to_owned())
    }
}

impl Context {
    /// Reads what a check shall believe: from `rev` if given, else from the default branch.
    ///
    /// # Errors
    /// When `rev` names nothing, or a file of trust is there and does not parse: then nothing is believed.
    pub fn trust(&self, rev: Option<&str>) -> anyhow::Result<TrustSet> {
        let mut trust = self.machine_trust()?;
        let root = match rev {
            Some(rev) => Some(self.commit_named(rev)?),
            None => self.store.default_branch()?.map(|(_, commit)| commit),
        };
        let Some(root) = root else {
            trust.repos =
                self.store.config("receipt.repo").and_then(|id| id.parse().ok()).map(|id| [id].into());
            return Ok(trust);
        };
        if let Some(text) = self.store.file_at(root, SIGNERS_FILE)? {
            let text = utf8(&text, SIGNERS_FILE, root)?;
            trust.signers = text.parse().map_err(|error: crate::domain::signers::SignersError| {
                user_error(format!("`{SIGNERS_FILE}` at `{}`: {error}", root.to_hex()), error.hint())
            })?;
            trust.source = Some(format!("{SIGNERS_FILE} at {}", &root.to_hex()[..12]));
        }
        if let Some(text) = self.store.file_at(root, REVOKED_FILE)? {
            let text = utf8(&text, REVOKED_FILE, root)?;
            trust.revoked = text.parse().map_err(|error: crate::domain::revoked::RevokedError| {
                user_error(format!("`{REVOKED_FILE}` at `{}`: {error}", root.to_hex()), error.hint())
            })?;
        }
        trust.repos = self.store.roots_of(root)?;
        Ok(trust)
    }

    /// What can be believed without any file: the keys of this machine.
    ///
    /// # Errors
    /// When the key folder cannot be read.
    pub fn machine_trust(&self) -> anyhow::Result<TrustSet> {
        Ok(TrustSet { machine: self.machine_keys()?, ..Default::default() })
    }

    /// The keys of this machine: the key folder's, and those that configuration or environment name.
    ///
    /// # Errors
    /// When the key folder cannot be read.
    pub fn machine_keys(&self) -> anyhow::Result<BTreeMap<KeyId, String>> {
        let mut keys = BTreeMap::new();
        if let Ok(folder) = self.key_dir() {
            for (name, key) in folder.list()? {
                keys.insert(KeyId::of(&key), name);
            }
        }
        for (name, signer) in self.named_keys() {
            keys.entry(signer.id().clone()).or_insert_with(|| name.to_owned());
        }
        Ok(keys)
    }
}

/// Text of a file that trust rests on: bytes that are no UTF-8 could stand for any name.
fn utf8<'a>(bytes: &'a [u8], name: &str, root: crate::domain::ids::Oid) -> anyhow::Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let message =
            format!("`{name}` at `{}` is no UTF-8 from byte {} on", root.to_hex(), error.valid_up_to());
        user_error(message, "write the file in UTF-8 and commit it")
    })
}
