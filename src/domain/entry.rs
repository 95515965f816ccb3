//! Entries: the body that is signed, and how the next one is made and sealed.

use serde_json::{Map, Value, json};

use super::canonical::{self, CanonicalError};
use super::fact::{DataError, Fact, ReadFact};
use super::ids::{ChainId, Digest, EntryRef, KeyId, Oid, ReceiptId, Timestamp};

/// The format version that this program writes, and the only one it reads.
pub const VERSION: i64 = 1;
/// The longest title in characters.
pub const TITLE_MAX: usize = 60;
/// The longest idempotency key in bytes.
pub const ONCE_MAX: usize = 128;

/// What an entry says apart from its place in a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The receipt it is about; none for facts about the chain.
    pub receipt: Option<ReceiptId>,
    /// Idempotency key.
    pub once: Option<String>,
    /// For people, whole: it is cut to [`clean_title`] only when secrets were taken out, as a part of one would no longer
    /// be known for what it is.
    pub title: String,
    /// Entries of other chains that it builds on.
    pub cites: Vec<EntryRef>,
    /// The fact itself.
    pub fact: Fact,
}

impl Draft {
    /// A draft without citations and idempotency key.
    pub fn new(receipt: Option<ReceiptId>, title: &str, fact: Fact) -> Self {
        Draft { receipt, once: None, title: title.to_owned(), cites: Vec::new(), fact }
    }

    /// With an idempotency key.
    pub fn once(mut self, key: impl Into<String>) -> Self {
        self.once = Some(key.into());
        self
    }

    /// With a citation, unless it stands there already.
    pub fn citing(mut self, entry: EntryRef) -> Self {
        if !self.cites.contains(&entry) {
            self.cites.push(entry);
        }
        self
    }
}

/// A signed body: one immutable fact in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The project it belongs to: the root commit.
    pub repo: Oid,
    /// The chain it stands in.
    pub chain: ChainId,
    /// Its place there, from 0.
    pub seq: u64,
    /// Digest of the entry before.
    pub prev: Option<Digest>,
    /// Entries of other chains that it builds on.
    pub cites: Vec<EntryRef>,
    /// When, as its writer says.
    pub time: Timestamp,
    /// The writer's key.
    pub signer: KeyId,
    /// The receipt it is about.
    pub receipt: Option<ReceiptId>,
    /// Idempotency key.
    pub once: Option<String>,
    /// For people.
    pub title: String,
    /// What it says.
    pub fact: Fact,
}

/// A body as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadBody {
    /// The body.
    pub body: Body,
    /// Data fields that this version does not know.
    pub unknown_fields: Vec<String>,
}

/// Why bytes are not a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not canonical JSON.
    #[error("body: {0}")]
    NotCanonical(#[from] CanonicalError),
    /// A top-level field is missing, unknown or of another form.
    #[error("body: {0}")]
    Field(String),
    /// The data does not fit the kind.
    #[error("data of `{kind}`: {error}")]
    Data {
        /// The kind.
        kind: String,
        /// What does not fit.
        error: DataError,
    },
}

impl Body {
    /// The canonical bytes: what is signed and digested.
    ///
    /// # Errors
    /// When the body is longer, deeper or otherwise more than the format allows, or a field of it is.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BodyError> {
        check_texts(&self.title, self.once.as_deref())?;
        check_cites(&self.fact, &self.cites)?;
        self.fact
            .check_limits()
            .map_err(|error| BodyError::Data { kind: self.fact.kind().to_owned(), error })?;
        let data = self.fact.to_value().map_err(|error| BodyError::Field(error.to_string()))?;
        let value = json!({
            "v": VERSION,
            "repo": self.repo,
            "chain": self.chain,
            "seq": self.seq,
            "prev": self.prev,
            "cites": self.cites,
            "time": self.time,
            "signer": self.signer,
            "receipt": self.receipt,
            "once": self.once,
            "title": self.title,
            "kind": self.fact.kind(),
            "data": data,
        });
        Ok(canonical::write(&value)?)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Says which byte, field or part of the data is wrong.
    pub fn read(bytes: &[u8]) -> Result<ReadBody, BodyError> {
        let Value::Object(mut object) = canonical::read(bytes)? else {
            return Err(BodyError::Field("not an object".into()));
        };
        match object.remove("v") {
            Some(version) if version == VERSION => {}
            Some(version) => return Err(BodyError::Field(format!("unknown version `v` {version}"))),
            None => return Err(BodyError::Field("field `v` is missing".into())),
        }
        let kind: String = take(&mut object, "kind")?;
        if kind.is_empty() || !kind.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.')) {
            return Err(BodyError::Field(format!("field `kind`: `{}` is no kind", kind.escape_debug())));
        }
        let data = object.remove("data").ok_or_else(|| BodyError::Field("field `data` is missing".into()))?;
        if !data.is_object() {
            return Err(BodyError::Field("field `data`: not an object".into()));
        }
        let body = Body {
            repo: take(&mut object, "repo")?,
            chain: take(&mut object, "chain")?,
            seq: take(&mut object, "seq")?,
            prev: take(&mut object, "prev")?,
            cites: take_cites(&mut object)?,
            time: take(&mut object, "time")?,
            signer: take(&mut object, "signer")?,
            receipt: take(&mut object, "receipt")?,
            once: take(&mut object, "once")?,
            title: take(&mut object, "title")?,
            fact: Fact::Unknown { kind: String::new(), data: Value::Null },
        };
        if let Some(name) = object.keys().next() {
            return Err(BodyError::Field(format!("unknown field `{name}`")));
        }
        check_texts(&body.title, body.once.as_deref())?;
        let ReadFact { fact, unknown_fields } =
            Fact::read(&kind, data).map_err(|error| BodyError::Data { kind, error })?;
        let body = Body { fact, ..body };
        check_cites(&body.fact, &body.cites)?;
        if let Some(concerns_chain) = body.fact.concerns_chain()
            && concerns_chain != body.receipt.is_none()
        {
            let must = if concerns_chain { "must be null" } else { "must not be null" };
            return Err(BodyError::Field(format!("field `receipt` {must} for `{}`", body.fact.kind())));
        }
        Ok(ReadBody { body, unknown_fields })
    }

    /// The subject line of the entry's commit.
    pub fn subject(&self) -> String {
        format!("{}: {}", self.fact.kind(), self.title)
    }
}

fn take<T: serde::de::DeserializeOwned>(object: &mut Map<String, Value>, name: &str) -> Result<T, BodyError> {
    let value = object.remove(name).ok_or_else(|| BodyError::Field(format!("field `{name}` is missing")))?;
    serde_json::from_value(value).map_err(|error| BodyError::Field(format!("field `{name}`: {error}")))
}

/// Reads `cites`; an unknown field inside a citation is refused, as citations are part of the frame, not of data.
fn take_cites(object: &mut Map<String, Value>) -> Result<Vec<EntryRef>, BodyError> {
    take(object, "cites")
}

/// The most chains that one seal covers.
pub const SEALS_MAX: usize = 200;

fn check_cites(fact: &Fact, cites: &[EntryRef]) -> Result<(), BodyError> {
    if matches!(fact, Fact::ChainsSealed(_)) && cites.len() > SEALS_MAX {
        return Err(BodyError::Field(format!("field `cites` of a seal has more than {SEALS_MAX} elements")));
    }
    Ok(())
}

fn check_texts(title: &str, once: Option<&str>) -> Result<(), BodyError> {
    if title.chars().count() > TITLE_MAX {
        return Err(BodyError::Field(format!("field `title` is longer than {TITLE_MAX} characters")));
    }
    if title.chars().any(char::is_control) {
        return Err(BodyError::Field("field `title` holds a control character".into()));
    }
    if once.is_some_and(|once| once.len() > ONCE_MAX) {
        return Err(BodyError::Field(format!("field `once` is longer than {ONCE_MAX} bytes")));
    }
    Ok(())
}

/// Makes any text a title: its first line that is not blank, control characters as spaces, at most
/// [`TITLE_MAX`] characters.
pub fn clean_title(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    let clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim();
    if clean.chars().count() <= TITLE_MAX {
        return clean.to_owned();
    }
    let mut short: String = clean.chars().take(TITLE_MAX - 1).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// The end of a chain, to which the next entry links.
#[derive(Debug, Clone, PartialEq)]
pub struct Tip {
    /// The last entry.
    pub entry: EntryRef,
    /// Its commit.
    pub commit: Oid,
    /// Its time, behind which the next one's may not fall.
    pub time: Timestamp,
}

/// What stays the same along a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Writer {
    /// The project.
    pub repo: Oid,
    /// The chain.
    pub chain: ChainId,
    /// The key.
    pub signer: KeyId,
    /// Name for the author line, as `chain.opened` has it.
    pub name: String,
    /// Address for the author line.
    pub email: String,
}

impl Writer {
    /// Gives `draft` its place after `tip`, at `now` or at the tip's time if the clock went back.
    pub fn place(&self, draft: Draft, tip: Option<&Tip>, now: Timestamp) -> Body {
        Body {
            repo: self.repo,
            chain: self.chain,
            seq: tip.map_or(0, |tip| tip.entry.seq + 1),
            prev: tip.map(|tip| tip.entry.digest),
            cites: draft.cites,
            time: tip.map_or(now, |tip| now.max(tip.time)),
            signer: self.signer.clone(),
            receipt: draft.receipt,
            once: draft.once,
            title: clean_title(&draft.title),
            fact: draft.fact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fact::data::RemarkMade;

    fn body() -> Body {
        Body {
            repo: Oid::Sha1([1; 20]),
            chain: "01KAHQ3V5T8Z0000000000000A".parse().unwrap(),
            seq: 3,
            prev: Some(Digest::of(b"before")),
            cites: vec![],
            time: Timestamp::from_unix_ms(1_763_692_560_123),
            signer: "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".parse().unwrap(),
            receipt: Some("01KAHQ3V5T8Z0000000000000B".parse().unwrap()),
            once: None,
            title: "a remark".into(),
            fact: Fact::RemarkMade(RemarkMade { text: "fine".into() }),
        }
    }

    #[test]
    fn a_body_reads_back() {
        let bytes = body().to_bytes().unwrap();
        assert_eq!(Body::read(&bytes).unwrap(), ReadBody { body: body(), unknown_fields: vec![] });
    }

    #[test]
    fn unknown_data_is_kept_and_named_while_unknown_fields_are_refused() {
        let text = String::from_utf8(body().to_bytes().unwrap()).unwrap();
        let extended = text.replace(r#""data":{"#, r#""data":{"mood":"good","#);
        assert_eq!(Body::read(extended.as_bytes()).unwrap().unknown_fields, ["mood"]);
        let renamed = text.replace("remark.made", "remark.sung");
        assert!(matches!(Body::read(renamed.as_bytes()).unwrap().body.fact, Fact::Unknown { .. }));
        let framed = text.replace(r#""v":1"#, r#""v":1,"w":2"#);
        assert!(Body::read(framed.as_bytes()).unwrap_err().to_string().contains("unknown field `w`"));
        let newer = text.replace(r#""v":1"#, r#""v":2"#);
        assert!(Body::read(newer.as_bytes()).unwrap_err().to_string().contains("unknown version"));
    }

    #[test]
    fn any_text_becomes_a_title() {
        assert_eq!(clean_title("\n  fix \u{1b}[31mthe parser\nand more"), "fix  [31mthe parser");
        let long = clean_title(&"long ".repeat(30));
        assert!(long.chars().count() <= TITLE_MAX && long.ends_with('…'));
    }
}
