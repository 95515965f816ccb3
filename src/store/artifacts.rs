//! Artifacts: bytes kept beside the chains, on a ref of the month and the clone.

use gix::object::Kind;
use gix::objs::tree::{Entry, EntryKind};

use super::error::StoreError;
use super::loose_object::SMALL;
use super::{Store, names, object_id, oid};
use crate::domain::commit::Parts;
use crate::domain::fact::values::{Content, Detached, HEAD_MAX, INLINE_MAX, Pending};
use crate::domain::ids::{Digest, EntryRef, Oid, Timestamp};
use crate::domain::redact::Redactor;

/// Contents longer than this keep only their ends.
const WHOLE_MAX: usize = 16 * 1024 * 1024;
/// What is kept of each end then.
const END_KEPT: usize = 1024 * 1024;
/// The random bytes before an artifact's content.
const SALT: usize = 16;

/// What an entry keeps beside its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// What names it in the entry's folder: a blob goes by its salted digest, a tree by its id.
    pub digest: Option<Digest>,
    /// The object.
    pub oid: Oid,
}

/// How content is stored.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ContentRules {
    /// Whether short texts stay in the body.
    pub inline: bool,
    /// Whether the beginning of an artifact is repeated in the body.
    pub heads: bool,
}

impl Store {
    pub(super) fn content_rules(&self) -> ContentRules {
        ContentRules {
            inline: self.config_bool("receipt.inline").unwrap_or(false),
            heads: self.config_bool("receipt.heads").unwrap_or(false),
        }
    }

    /// Writes content as an artifact unless it may and can stay in the body.
    pub(super) fn store_content(
        &self,
        content: Pending,
        redactions: u64,
        may_stay: bool,
        rules: ContentRules,
    ) -> Result<(Content, Option<Kept>), StoreError> {
        let Pending { mut bytes, mut whole, media } = content;
        if may_stay && whole.is_none() && bytes.len() <= INLINE_MAX {
            match String::from_utf8(bytes) {
                Ok(text) => return Ok((Content::Inline(text), None)),
                Err(error) => bytes = error.into_bytes(),
            }
        }
        if whole.is_none() && bytes.len() > WHOLE_MAX {
            whole = Some(bytes.len() as u64);
            bytes = keep_ends(&bytes);
        }
        let head = rules.heads.then(|| head_of(&bytes)).filter(|head| !head.is_empty());
        let counted = whole.unwrap_or(bytes.len() as u64);
        let mut blob = self.random::<SALT>().to_vec();
        blob.append(&mut bytes);
        let artifact = Digest::of(&blob);
        let id = self.write_object(gix::object::Kind::Blob, &blob)?;
        let detached = Detached {
            artifact,
            oid: id,
            bytes: counted,
            media,
            head,
            redactions: (redactions > 0).then_some(redactions),
            truncated: whole.is_some(),
        };
        Ok((Content::Detached(detached), Some(Kept { digest: Some(artifact), oid: id })))
    }

    /// Writes an object of any kind.
    pub(super) fn write_object(&self, kind: gix::object::Kind, bytes: &[u8]) -> Result<Oid, StoreError> {
        use gix::objs::Write as _;
        if bytes.len() <= SMALL {
            return self.write_small_object(kind, bytes);
        }
        let id = self.repo.objects.write_buf(kind, bytes).map_err(StoreError::write("hash-object"))?;
        Ok(oid(&id))
    }

    /// Writes bytes as a blob.
    ///
    /// # Errors
    /// When the object cannot be written.
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Oid, StoreError> {
        self.write_object(gix::object::Kind::Blob, bytes)
    }

    /// Writes the commit that keeps one entry's artifacts: a tree with one folder named by the entry's digest.
    pub(super) fn write_artifact_commit(
        &self,
        entry: EntryRef,
        kept: &[Kept],
        author: (&str, &str),
        time: Timestamp,
        parent: Option<Oid>,
    ) -> Result<Oid, StoreError> {
        let mut entries: Vec<Entry> = kept
            .iter()
            .map(|kept| Entry {
                mode: if kept.digest.is_some() { EntryKind::Blob } else { EntryKind::Tree }.into(),
                filename: kept.digest.map_or_else(|| kept.oid.to_hex(), |digest| digest.to_hex()).into(),
                oid: object_id(kept.oid),
            })
            .collect();
        entries.sort();
        entries.dedup();
        let folder = self.write_tree(gix::objs::Tree { entries })?;
        let top = gix::objs::Tree {
            entries: vec![Entry {
                mode: EntryKind::Tree.into(),
                filename: entry.digest.to_hex().into(),
                oid: folder,
            }],
        };
        let tree = oid(&self.write_tree(top)?);
        let message = format!("artifacts of {}@{}\n", entry.chain, entry.seq);
        let bytes = plain_commit(tree, parent.as_slice(), author, time, &message);
        self.write_object(gix::object::Kind::Commit, &bytes)
    }

    pub(super) fn write_tree(&self, tree: gix::objs::Tree) -> Result<gix::ObjectId, StoreError> {
        use gix::objs::Write as _;
        self.repo.objects.write(&tree).map_err(StoreError::write("mktree"))
    }

    /// The ref that takes artifacts written at `time`.
    pub(super) fn artifact_ref(&self, evidence: bool, time: Timestamp) -> Result<String, StoreError> {
        let folder = if evidence { names::EVIDENCE } else { names::ARTIFACTS };
        Ok(format!("{folder}{}/{}", time.month(), self.clone_id()?))
    }

    /// The content of an artifact; `None` when it is withheld.
    ///
    /// # Errors
    /// When the blob is here and is not what the entry names.
    pub fn read_content(&self, detached: &Detached) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self
            .repo
            .try_find_object(object_id(detached.oid))
            .map_err(StoreError::read(format_args!("artifact `{}`", detached.artifact)))?;
        let Some(object) = found else { return Ok(None) };
        let blob = object.detach().data;
        if Digest::of(&blob) != detached.artifact || blob.len() < SALT {
            return Err(StoreError::Corrupt(format!(
                "artifact `{}`: object `{}` has other bytes",
                detached.artifact, detached.oid
            )));
        }
        Ok(Some(blob[SALT..].to_vec()))
    }

    /// A commit of ours that is no entry.
    pub(super) fn write_plain_commit(
        &self,
        tree: Oid,
        parents: &[Oid],
        author: (&str, &str),
        message: &str,
    ) -> Result<Oid, StoreError> {
        let bytes = plain_commit(tree, parents, author, self.now(), message);
        self.write_object(Kind::Commit, &bytes)
    }
}

/// A commit of ours that is no entry: artifacts and notes.
fn plain_commit(
    tree: Oid,
    parents: &[Oid],
    (name, email): (&str, &str),
    time: Timestamp,
    message: &str,
) -> Vec<u8> {
    let parts = Parts { parents, name, email, time, subject: "", body: b"", armour: "" };
    let with_headers = crate::domain::commit::encode(&parts, tree);
    let headers_end = with_headers.windows(2).position(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
    let mut bytes = with_headers[..headers_end].to_vec();
    bytes.extend_from_slice(message.as_bytes());
    bytes
}

/// Redacts pending or inline content; what is detached already stays as it is.
pub(super) fn redacted(content: &Content, redactor: &Redactor) -> Option<(Pending, u64)> {
    let pending = match content {
        Content::Inline(text) => {
            Pending { bytes: text.clone().into_bytes(), whole: None, media: "text/plain".into() }
        }
        Content::Pending(pending) => pending.clone(),
        Content::Detached(_) => return None,
    };
    let found = redactor.redact(&pending.bytes);
    let count = found.count;
    Some((Pending { bytes: found.bytes.into_owned(), ..pending }, count))
}

fn keep_ends(bytes: &[u8]) -> Vec<u8> {
    let left_out = bytes.len() - 2 * END_KEPT;
    let mut kept = bytes[..END_KEPT].to_vec();
    kept.extend_from_slice(format!("\n[{left_out} bytes left out here]\n").as_bytes());
    kept.extend_from_slice(&bytes[bytes.len() - END_KEPT..]);
    kept
}

/// The first characters of content, as many as fit.
fn head_of(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(HEAD_MAX)];
    let text = match std::str::from_utf8(cut) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&cut[..error.valid_up_to()]).unwrap_or_default(),
    };
    text.to_owned()
}
