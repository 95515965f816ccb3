//! Values inside facts that have rules of their own: content, paths, line selections, amounts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::domain::ids::{Digest, EntryRef, Oid, hex, unhex};

/// The most bytes that a content object holds inline.
pub const INLINE_MAX: usize = 1024;
/// The most bytes of an artifact's head that a content object repeats.
pub const HEAD_MAX: usize = 160;

/// A text or byte value that can be long or sensitive.
///
/// Inside a draft any length may stand inline; what is stored holds at most [`INLINE_MAX`] bytes that way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "ContentWire")]
pub enum Content {
    /// The text itself.
    Inline(String),
    /// Bytes kept beside the chain, which may be gone.
    Detached(Detached),
    /// Bytes on their way into the store; a fact that still holds such content has no stored form.
    Pending(Pending),
}

/// Bytes of a draft that are not, or not surely, text.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// What is kept.
    pub bytes: Vec<u8>,
    /// How long the whole is, where only beginning and end are kept.
    pub whole: Option<u64>,
    /// Its media type.
    pub media: String,
}

/// Where detached content is, and what is known without it.
#[derive(Debug, Clone, PartialEq)]
pub struct Detached {
    /// SHA-256 of the stored blob: 16 random bytes, then the content.
    pub artifact: Digest,
    /// The blob's git id.
    pub oid: Oid,
    /// How long the content is, the random bytes not counted; the whole's size where it was truncated.
    pub bytes: u64,
    /// Its media type.
    pub media: String,
    /// Its beginning, where configuration allows that.
    pub head: Option<String>,
    /// How many secrets were taken out.
    pub redactions: Option<u64>,
    /// Whether only its beginning and end are kept.
    pub truncated: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct ContentWire {
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::present")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::present")]
    artifact: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::present")]
    oid: Option<Oid>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::present")]
    bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::present")]
    media: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::present")]
    head: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::present")]
    redactions: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::present")]
    truncated: Option<bool>,
}

impl TryFrom<ContentWire> for Content {
    type Error = &'static str;
    fn try_from(wire: ContentWire) -> Result<Self, &'static str> {
        match wire {
            ContentWire {
                text: Some(text),
                artifact: None,
                oid: None,
                bytes: None,
                media: None,
                head: None,
                redactions: None,
                truncated: None,
            } => Ok(Content::Inline(text)),
            ContentWire {
                text: None,
                artifact: Some(artifact),
                oid: Some(oid),
                bytes: Some(bytes),
                media: Some(media),
                head,
                redactions,
                truncated,
            } => {
                if head.as_ref().is_some_and(|head| head.len() > HEAD_MAX) {
                    return Err("`head` is longer than 160 bytes");
                }
                if truncated == Some(false) {
                    return Err("`truncated` is there only to say true");
                }
                let truncated = truncated.is_some();
                Ok(Content::Detached(Detached { artifact, oid, bytes, media, head, redactions, truncated }))
            }
            _ => Err("content is neither `text` alone nor `artifact`, `oid`, `bytes` and `media`"),
        }
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match self.clone() {
            Content::Inline(text) => ContentWire { text: Some(text), ..Default::default() },
            Content::Detached(d) => ContentWire {
                text: None,
                artifact: Some(d.artifact),
                oid: Some(d.oid),
                bytes: Some(d.bytes),
                media: Some(d.media),
                head: d.head,
                redactions: d.redactions,
                truncated: d.truncated.then_some(true),
            },
            Content::Pending(_) => return Err(serde::ser::Error::custom("content was not stored yet")),
        };
        wire.serialize(serializer)
    }
}

impl Content {
    /// The inline text, if it is inline.
    pub fn text(&self) -> Option<&str> {
        match self {
            Content::Inline(text) => Some(text),
            Content::Detached(_) | Content::Pending(_) => None,
        }
    }

    /// Where the content is kept, if it is detached.
    pub fn detached(&self) -> Option<&Detached> {
        match self {
            Content::Inline(_) | Content::Pending(_) => None,
            Content::Detached(detached) => Some(detached),
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Content::Inline(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Content::Inline(text)
    }
}

/// A path in a git tree: a string where its bytes are UTF-8, else `{"b64":"…"}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GitPath(Vec<u8>);

impl GitPath {
    /// Takes the bytes of a path, `/`-separated.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        GitPath(bytes.into())
    }

    /// The path's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for GitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for GitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitPath({:?})", String::from_utf8_lossy(&self.0))
    }
}

#[derive(Serialize, Deserialize)]
struct PathBytes {
    b64: String,
}

impl Serialize for GitPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => PathBytes { b64: base64_encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for GitPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = GitPath;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path as a string or as {\"b64\":…}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<GitPath, E> {
                Ok(GitPath(text.as_bytes().to_vec()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<GitPath, A::Error> {
                let wire = PathBytes::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let bytes =
                    base64_decode(&wire.b64).filter(|bytes| std::str::from_utf8(bytes).is_err()).ok_or_else(
                        || de::Error::custom("`b64` is not the base64 of bytes that are not UTF-8"),
                    )?;
                Ok(GitPath(bytes))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Standard base64 with padding (RFC 4648, section 4).
fn base64_encode(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(bytes)
}

fn base64_decode(text: &str) -> Option<Vec<u8>> {
    use base64ct::{Base64, Encoding};
    Base64::decode_vec(text).ok().filter(|bytes| base64_encode(bytes) == text)
}

/// 16 random bytes in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex(&text).map(Nonce).ok_or_else(|| de::Error::custom("nonce is not 16 bytes in lower-case hex"))
    }
}

/// A decimal number written as people write money: `12`, `0.25`, `-3.10`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(String);

impl TryFrom<String> for Amount {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(&text);
        let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(w, f)| (w, Some(f)));
        let plain = whole == "0" || !whole.starts_with('0');
        if digits(whole) && plain && fraction.is_none_or(digits) && text.len() <= 40 {
            Ok(Amount(text))
        } else {
            Err(format!("`{}` is not a decimal amount", text.escape_debug()))
        }
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> String {
        amount.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The entry that a revision takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// An entry of another chain.
    Citation(EntryRef),
    /// An entry of the own chain.
    Own(Digest),
}

impl Replaced {
    /// The citation, if the entry is in another chain.
    pub fn citation(&self) -> Option<EntryRef> {
        match self {
            Replaced::Citation(entry) => Some(*entry),
            Replaced::Own(_) => None,
        }
    }

    /// The digest of the entry.
    pub fn digest(&self) -> Digest {
        match self {
            Replaced::Citation(entry) => entry.digest,
            Replaced::Own(digest) => *digest,
        }
    }
}

impl Serialize for Replaced {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Replaced::Citation(entry) => entry.serialize(serializer),
            Replaced::Own(digest) => digest.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Replaced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().map(Replaced::Own).map_err(de::Error::custom),
            other => EntryRef::deserialize(other).map(Replaced::Citation).map_err(de::Error::custom),
        }
    }
}

/// A selection of line numbers, `1-4,7`: sorted, merged, counted from 1.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct LineSet(Vec<(u64, u64)>);

impl LineSet {
    /// Collects numbers in any order, repeats allowed.
    pub fn from_numbers(numbers: impl IntoIterator<Item = u64>) -> Self {
        Self::from_ranges(numbers.into_iter().map(|n| (n, n)).collect())
    }

    /// The `n` numbers from `first` on.
    pub fn run(first: u64, n: u64) -> Self {
        if n == 0 { Self::default() } else { LineSet(vec![(first, first.saturating_add(n - 1))]) }
    }

    fn from_ranges(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        LineSet(merged)
    }

    /// Reads what a person types: any order, overlaps allowed.
    ///
    /// # Errors
    /// Names the part that is not a number or range of numbers from 1.
    pub fn from_user(text: &str) -> Result<Self, String> {
        let mut ranges = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |digits: &str| {
                digits
                    .trim()
                    .strip_prefix('L')
                    .unwrap_or(digits.trim())
                    .parse::<u64>()
                    .ok()
                    .filter(|n| *n > 0)
            };
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => ranges.push((first, last)),
                _ => return Err(format!("`{}` is not a line or a range of lines", part.escape_debug())),
            }
        }
        Ok(Self::from_ranges(ranges))
    }

    /// The ranges, both ends included.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Whether `number` is selected.
    pub fn contains(&self, number: u64) -> bool {
        self.from(number).first().is_some_and(|&(first, _)| first <= number)
    }

    /// How many lines are selected.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The highest number selected.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|range| range.1)
    }

    /// Whether any line is in both.
    pub fn intersects(&self, other: &LineSet) -> bool {
        self.0.iter().any(|&(a, b)| other.from(a).first().is_some_and(|&(c, _)| c <= b))
    }

    /// The ranges that do not end before `line`; they stand in order and apart.
    fn from(&self, line: u64) -> &[(u64, u64)] {
        &self.0[self.0.partition_point(|&(_, last)| last < line)..]
    }
}

impl fmt::Display for LineSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for LineSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineSet({self})")
    }
}

impl FromStr for LineSet {
    type Err = String;
    /// Reads the stored form, which is canonical.
    fn from_str(text: &str) -> Result<Self, String> {
        let set = Self::from_user(text)?;
        if set.to_string() == text {
            Ok(set)
        } else {
            Err(format!("`{}` is not sorted and merged; it would be `{set}`", text.escape_debug()))
        }
    }
}

impl Serialize for LineSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LineSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl LineSet {
    /// Lines in either.
    pub fn union(&self, other: &LineSet) -> LineSet {
        Self::from_ranges(self.0.iter().chain(&other.0).copied().collect())
    }

    /// The same lines in parts of at most `ranges` ranges each: a long selection is stated in several entries.
    pub fn in_parts(&self, ranges: usize) -> Vec<LineSet> {
        self.0.chunks(ranges.max(1)).map(|part| LineSet(part.to_vec())).collect()
    }

    /// Lines in both.
    pub fn common(&self, other: &LineSet) -> LineSet {
        self.minus(&self.minus(other))
    }

    /// Lines here and not in `other`.
    pub fn minus(&self, other: &LineSet) -> LineSet {
        let mut left = Vec::new();
        for &(first, last) in &self.0 {
            let mut from = first;
            for &(a, b) in other.from(first).iter().take_while(|&&(a, _)| a <= last) {
                if a > from {
                    left.push((from, a - 1));
                }
                from = from.max(b.saturating_add(1));
            }
            if from <= last {
                left.push((from, last));
            }
        }
        LineSet(left)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::LineSet;

    fn set(numbers: &BTreeSet<u64>) -> LineSet {
        LineSet::from_ranges(numbers.iter().map(|number| (*number, *number)).collect())
    }

    proptest! {
        #[test]
        fn selections_are_the_sets_that_they_stand_for(
            ours in prop::collection::btree_set(1_u64..40, 0..30),
            theirs in prop::collection::btree_set(1_u64..40, 0..30),
        ) {
            let (a, b) = (set(&ours), set(&theirs));
            prop_assert_eq!(a.minus(&b), set(&(&ours - &theirs)));
            prop_assert_eq!(a.union(&b), set(&(&ours | &theirs)));
            prop_assert_eq!(a.intersects(&b), !ours.is_disjoint(&theirs));
        }
    }
}
