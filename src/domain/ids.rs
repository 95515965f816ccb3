//! Identifiers that are parsed once and trusted afterwards.
//!
//! Every type here has exactly one text form; parsing refuses all others, so two equal values always have
//! equal bytes and a name built from one can safely become part of a ref or a path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// Why a text is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseIdError {
    /// What was given, shortened to 80 characters and with control characters escaped.
    pub text: String,
    /// The form that was expected, with its article.
    pub expected: &'static str,
}

impl ParseIdError {
    fn new(text: &str, expected: &'static str) -> Self {
        let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        if text.chars().count() > 80 {
            shown.push('…');
        }
        ParseIdError { text: shown, expected }
    }
}

/// Serialises through `Display` and parses through `FromStr`.
macro_rules! as_string {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($name::FORM)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

/// A ULID newtype in its one canonical spelling: 26 upper-case Crockford digits.
macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ulid::Ulid);

        impl $name {
            const FORM: &'static str = "a ULID of 26 upper-case characters";

            /// Makes an identifier from a moment and 80 random bits.
            pub fn from_parts(time: Timestamp, random: u128) -> Self {
                $name(ulid::Ulid::from_parts(time.unix_ms().max(0) as u64, random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut buffer = [0; ulid::ULID_LEN];
                f.pad(self.0.array_to_str(&mut buffer))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let error = || ParseIdError::new(text, Self::FORM);
                let ulid = ulid::Ulid::from_string(text).map_err(|_| error())?;
                let mut buffer = [0; ulid::ULID_LEN];
                // The crate also reads lower case and look-alikes; only the canonical spelling is ours.
                if ulid.array_to_str(&mut buffer) == text { Ok($name(ulid)) } else { Err(error()) }
            }
        }

        as_string!($name);
    };
}

ulid_id! {
    /// Names a receipt: a unit of work or a proposed change.
    ReceiptId
}

ulid_id! {
    /// Names a chain: the entries of exactly one writer in one run or session.
    ChainId
}

/// A SHA-256 digest, written `sha256:<64 hex>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    const FORM: &'static str = "a digest of the form `sha256:<64 lower-case hex digits>`";

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }

    /// Takes bytes that are a digest already.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    /// The 32 raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hex digits without the algorithm prefix, as used in artifact trees.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for Digest {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        text.strip_prefix("sha256:")
            .and_then(unhex)
            .map(Digest)
            .ok_or_else(|| ParseIdError::new(text, Self::FORM))
    }
}

as_string!(Digest);

/// A git object id that carries its algorithm: `sha1:<40 hex>` or `sha256:<64 hex>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oid {
    /// An id of a SHA-1 repository.
    Sha1([u8; 20]),
    /// An id of a SHA-256 repository.
    Sha256([u8; 32]),
}

/// An id is a hash already: eight of its bytes spread as well as any function of all of them.
impl std::hash::Hash for Oid {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let bytes = self.as_bytes();
        state.write_u64(u64::from_le_bytes(bytes[..8].try_into().expect("ids are longer than eight bytes")));
    }
}

/// Passes on the eight bytes that an [`Oid`] hashes to.
#[derive(Debug, Clone, Copy, Default)]
pub struct OidHasher(u64);

impl std::hash::Hasher for OidHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map by object id.
pub type OidMap<V> = std::collections::HashMap<Oid, V, std::hash::BuildHasherDefault<OidHasher>>;
/// A set of object ids.
pub type OidSet = std::collections::HashSet<Oid, std::hash::BuildHasherDefault<OidHasher>>;

impl Oid {
    const FORM: &'static str = "an object id of the form `sha1:<40 hex digits>` or `sha256:<64 hex digits>`";

    /// Takes the raw bytes of an id; `None` unless they are 20 or 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            20 => bytes.try_into().ok().map(Oid::Sha1),
            32 => bytes.try_into().ok().map(Oid::Sha256),
            _ => None,
        }
    }

    /// Parses the bare hex digits that git prints; the length tells the algorithm.
    pub fn from_hex(digits: &str) -> Option<Self> {
        unhex(digits).map(Oid::Sha1).or_else(|| unhex(digits).map(Oid::Sha256))
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Oid::Sha1(bytes) => bytes,
            Oid::Sha256(bytes) => bytes,
        }
    }

    /// The hex digits without the algorithm prefix, as git prints them.
    pub fn to_hex(&self) -> String {
        hex(self.as_bytes())
    }

    /// Whether `other` is of the same algorithm, and so may stand in the same repository.
    pub fn same_kind(&self, other: &Oid) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// The id of git's empty tree in the same algorithm.
    pub fn empty_tree(&self) -> Oid {
        match self {
            Oid::Sha1(_) => Oid::EMPTY_TREE_SHA1,
            Oid::Sha256(_) => Oid::EMPTY_TREE_SHA256,
        }
    }

    const EMPTY_TREE_SHA1: Oid = Oid::Sha1([
        0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e, 0xb9, 0xa0, 0x60, 0xe5, 0x4b, 0xf8, 0xd6, 0x92, 0x88, 0xfb,
        0xee, 0x49, 0x04,
    ]);
    const EMPTY_TREE_SHA256: Oid = Oid::Sha256([
        0x6e, 0xf1, 0x9b, 0x41, 0x22, 0x5c, 0x53, 0x69, 0xf1, 0xc1, 0x04, 0xd4, 0x5d, 0x8d, 0x85, 0xef, 0xa9,
        0xb0, 0x57, 0xb5, 0x3b, 0x14, 0xb4, 0xb9, 0xb9, 0x39, 0xdd, 0x74, 0xde, 0xcc, 0x53, 0x21,
    ]);
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Oid::Sha1(_) => "sha1:",
            Oid::Sha256(_) => "sha256:",
        })?;
        f.write_str(&self.to_hex())
    }
}

impl FromStr for Oid {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let parsed = match text.split_once(':') {
            Some(("sha1", digits)) => unhex(digits).map(Oid::Sha1),
            Some(("sha256", digits)) => unhex(digits).map(Oid::Sha256),
            _ => None,
        };
        parsed.ok_or_else(|| ParseIdError::new(text, Self::FORM))
    }
}

as_string!(Oid);

/// An OpenSSH key fingerprint, `SHA256:<43 characters of unpadded base64>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    const FORM: &'static str = "a key fingerprint of the form `SHA256:<43 base64 characters>`";

    /// The fingerprint of a public key.
    pub fn of(key: &ssh_key::PublicKey) -> Self {
        KeyId(key.fingerprint(ssh_key::HashAlg::Sha256).to_string())
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text.parse::<ssh_key::Fingerprint>() {
            Ok(parsed) if parsed.is_sha256() && parsed.to_string() == text => Ok(KeyId(text.to_owned())),
            _ => Err(ParseIdError::new(text, Self::FORM)),
        }
    }
}

as_string!(KeyId);

/// Chain, seq and digest of an entry: a citation where git's parents carry the entry along, a mention where not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryRef {
    /// The chain that the entry stands in.
    pub chain: ChainId,
    /// Its place there, counted from 0.
    pub seq: u64,
    /// The digest of its body.
    pub digest: Digest,
}

impl fmt::Display for EntryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} {}", self.chain, self.seq, self.digest)
    }
}

impl FromStr for EntryRef {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError::new(text, "an entry of the form `<chain>@<seq> sha256:<64 hex digits>`");
        let (place, digest) = text.split_once(' ').ok_or_else(error)?;
        let (chain, seq) = place.split_once('@').ok_or_else(error)?;
        let number: u64 = seq.parse().map_err(|_| error())?;
        if number.to_string() != seq {
            return Err(error());
        }
        Ok(EntryRef {
            chain: chain.parse().map_err(|_| error())?,
            seq: number,
            digest: digest.parse().map_err(|_| error())?,
        })
    }
}

/// A moment in UTC with millisecond precision, written `2026-11-21T02:36:00.123Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    const FORM: &'static str = "a time of the form `2026-11-21T02:36:00.123Z`";
    /// The first millisecond that is not taken: 9999-12-30T22:00:01Z, where every time zone is still in the year 9999.
    const END: i64 = 253_402_207_201_000;

    /// Takes milliseconds since 1970-01-01T00:00:00Z, moved into the years 1970 to 9999 if outside.
    pub fn from_unix_ms(ms: i64) -> Self {
        Timestamp(ms.clamp(0, Self::END - 1))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, as git's author and committer lines have them.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Parses any RFC 3339 time, as transcripts of agents hold them, to the millisecond below it.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|time| Self::from_unix_ms(time.as_millisecond()))
    }

    /// The calendar month in UTC, `2026-11`, as artifact refs are named.
    pub fn month(self) -> String {
        self.to_string()[..7].to_owned()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Days to civil date as in Howard Hinnant's `chrono`-compatible algorithms, years 1970 to 9999 only.
        let (days, ms_of_day) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (seconds, ms) = (ms_of_day / 1000, ms_of_day % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

impl FromStr for Timestamp {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let shaped = text.len() == 24 && text.ends_with('Z');
        let parsed = text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond());
        match parsed.filter(|ms| shaped && (0..Self::END).contains(ms)).map(Timestamp) {
            Some(time) if time.to_string() == text => Ok(time),
            _ => Err(ParseIdError::new(text, Self::FORM)),
        }
    }
}

as_string!(Timestamp);

/// Lower-case hex digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// The bytes behind exactly 2 × `N` lower-case hex digits.
pub fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_has_the_text_that_another_library_gives_it(ms in 0..Timestamp::END) {
            let time = Timestamp::from_unix_ms(ms);
            let theirs = jiff::Timestamp::from_millisecond(ms).unwrap();
            prop_assert_eq!(time.to_string(), format!("{theirs:.3}"));
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }

        #[test]
        fn only_the_canonical_spelling_of_a_ulid_is_read(text in "[0-9a-zA-Z]{26}") {
            if let Ok(id) = text.parse::<ChainId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn look_alikes_are_refused() {
        assert!("01KAHQ3V5T8Z0000000000000a".parse::<ChainId>().is_err(), "lower case");
        assert!("81KAHQ3V5T8Z00000000000000".parse::<ChainId>().is_err(), "over 128 bits");
        assert!("2026-11-21T02:36:00Z".parse::<Timestamp>().is_err(), "no milliseconds");
        assert!("2026-11-21T02:36:60.000Z".parse::<Timestamp>().is_err(), "leap second");
        assert!("2026-11-21T02:36:00.123+00:00".parse::<Timestamp>().is_err(), "offset");
        assert!("2026-11-21t02:36:00.123z".parse::<Timestamp>().is_err(), "lower case");
        assert!("sha1:4B825DC642CB6EB9A060E54BF8D69288FBEE4904".parse::<Oid>().is_err(), "upper case");
        assert!("SHA256:short".parse::<KeyId>().is_err());
        assert!("01KAHQ3V5T8Z00000000000000@01 sha256:00".parse::<EntryRef>().is_err());
    }

    #[test]
    fn empty_trees_are_gits() {
        assert_eq!(Oid::EMPTY_TREE_SHA1.to_string(), "sha1:4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        assert_eq!(
            Oid::EMPTY_TREE_SHA256.to_hex(),
            "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
        );
    }
}
