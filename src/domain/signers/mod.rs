//! Who may sign: the text of `.receipts/allowed_signers`.
//!
//! The format is the ALLOWED SIGNERS of ssh-keygen(1), narrowed until every line says one thing: one exact
//! principal, one key, and a key stands on one line only. Whatever is taken here, `ssh-keygen -Y verify` takes
//! too; what only ssh-keygen takes (patterns, lists, authorities) is refused with its place in the text.
//! One bad line refuses the whole text: ssh-keygen, too, may stop at it and miss the lines below.

mod line;
mod problem;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use jiff::civil::DateTime;
use ssh_key::PublicKey;

use line::{Parsed, check_key, check_namespace, check_principal, parse_line, quoted};
use problem::shown;
pub use problem::{AddError, Problem, SignersError};

use super::ids::KeyId;
use super::lines_of_text::{append_line, column, numbered_lines};

/// The SSHSIG namespace of receipts.
pub const NAMESPACE: &str = "git-receipt";

/// The longest principal or namespace. OpenSSH never matches one of 1,023 bytes or more, and lets such a name
/// spoil the whole list that it stands in.
const MAX_NAME: usize = 255;

const ED25519: &str = "ssh-ed25519";
const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";

/// The lines of an allowed signers file; no key stands in it twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedSigners {
    entries: Vec<Signer>,
    by_key: HashMap<KeyId, usize>,
}

/// A line of the file: a key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The person or machine, exactly as written.
    pub principal: String,
    /// The key, without comment.
    pub key: PublicKey,
    /// The key's fingerprint.
    pub fingerprint: KeyId,
    /// What stands between principal and key.
    pub options: Options,
    /// The line's number, counted from 1.
    pub line: usize,
}

impl Signer {
    /// Whether the line lists the key for receipts, and not only for other purposes.
    pub fn signs_receipts(&self) -> bool {
        self.options.allow_receipts()
    }
}

/// The options of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The namespaces that the key may sign in; `None` is every one.
    pub namespaces: Option<Vec<String>>,
    /// Kept for ssh-keygen and for people; it orders nothing here.
    pub valid_after: Option<ValidTime>,
    /// Kept for ssh-keygen and for people; it orders nothing here.
    pub valid_before: Option<ValidTime>,
}

impl Options {
    /// `namespaces="git-receipt"` and nothing else: a key that can sign receipts but no commits.
    pub fn receipts_only() -> Self {
        Options { namespaces: Some(vec![NAMESPACE.to_owned()]), ..Options::default() }
    }

    fn allow_receipts(&self) -> bool {
        self.namespaces.as_ref().is_none_or(|names| names.iter().any(|name| name == NAMESPACE))
    }

    fn check_times(&self) -> Result<(), Problem> {
        match (&self.valid_after, &self.valid_before) {
            // Which of them is first would depend on the reader's time zone.
            (Some(after), Some(before)) if after.utc != before.utc => Err(Problem::MixedTimes),
            (Some(after), Some(before)) if before.at <= after.at => Err(Problem::TimeOrder),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespaces = self.namespaces.as_ref().map(|names| format!("namespaces=\"{}\"", names.join(",")));
        let after = self.valid_after.as_ref().map(|time| format!("valid-after=\"{time}\""));
        let before = self.valid_before.as_ref().map(|time| format!("valid-before=\"{time}\""));
        let options: Vec<String> = [namespaces, after, before].into_iter().flatten().collect();
        f.write_str(&options.join(","))
    }
}

/// A time in a form of ssh-keygen: `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, each with or without `Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidTime {
    text: String,
    at: DateTime,
    utc: bool,
}

impl ValidTime {
    /// The moment as a calendar and a clock on the wall show it.
    pub fn at(&self) -> DateTime {
        self.at
    }

    /// Whether it is in UTC; without its `Z` it is in the time zone of whoever reads it.
    pub fn is_utc(&self) -> bool {
        self.utc
    }
}

impl fmt::Display for ValidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is not a time that ssh-keygen reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time")]
pub struct TimeError(String);

impl FromStr for ValidTime {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse_time(text).ok_or_else(|| TimeError(shown(text)))
    }
}

fn parse_time(text: &str) -> Option<ValidTime> {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: Range<usize>| digits.get(range).map_or(Some(0), |part| part.parse::<i8>().ok());
    let year = digits[..4].parse::<i16>().ok()?;
    let at =
        DateTime::new(year, part(4..6)?, part(6..8)?, part(8..10)?, part(10..12)?, part(12..14)?, 0).ok()?;
    // ssh-keygen refuses what lies before 1970 in its own time zone.
    (year > 1970).then(|| ValidTime { text: text.to_owned(), at, utc: digits.len() < text.len() })
}

impl FromStr for AllowedSigners {
    type Err = SignersError;
    fn from_str(text: &str) -> Result<Self, SignersError> {
        Self::parse(text)
    }
}

impl AllowedSigners {
    /// Reads the whole file; the first bad line is the error.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        Ok(read(text)?.0)
    }

    /// Every line with a key, in order, also those that list it for other purposes only.
    pub fn entries(&self) -> &[Signer] {
        &self.entries
    }

    /// The line that lists the key for receipts.
    pub fn signer(&self, key: &KeyId) -> Option<&Signer> {
        self.by_key.get(key).map(|&at| &self.entries[at]).filter(|signer| signer.signs_receipts())
    }

    /// Whose key it is, where it is listed for receipts.
    pub fn principal_of(&self, key: &KeyId) -> Option<&str> {
        self.signer(key).map(|signer| signer.principal.as_str())
    }

    /// The lines that list a key of the principal for receipts.
    pub fn keys_of<'a>(&'a self, principal: &'a str) -> impl Iterator<Item = &'a Signer> {
        self.entries.iter().filter(move |signer| signer.signs_receipts() && signer.principal == principal)
    }
}

/// The text with `key` listed for receipts as `principal`'s; all other bytes stay.
///
/// A new key gets a line at the end. A key that is listed already keeps its line, its options and its comment:
/// only the principal changes, and `git-receipt` joins its namespaces where it was missing. Where neither is
/// needed the text comes back as it was.
pub fn add(text: &str, principal: &str, key: &PublicKey, options: &Options) -> Result<String, AddError> {
    check_principal(principal)?;
    check_key(key.key_data())?;
    options.check_times()?;
    for name in options.namespaces.iter().flatten() {
        check_namespace(name)?;
    }
    if !options.allow_receipts() {
        return Err(Problem::NotForReceipts.into());
    }

    let (signers, places) = read(text)?;
    let Some(&at) = signers.by_key.get(&KeyId::of(key)) else {
        let options = match options.to_string() {
            options if options.is_empty() => options,
            options => options + " ",
        };
        let key = PublicKey::from(key.key_data().clone());
        let key = key.to_openssh().expect("a key in memory can be written");
        return Ok(append_line(text, &format!("{} {options}{key}", quoted(principal))));
    };
    let (signer, place) = (&signers.entries[at], &places[at]);
    let mut text = text.to_owned();
    // From the back, so that the places in front stay right.
    if let (false, Some(end)) = (signer.signs_receipts(), place.namespaces_end) {
        text.insert_str(end, &format!(",{NAMESPACE}"));
    }
    if signer.principal != principal {
        text.replace_range(place.principal.clone(), &quoted(principal));
    }
    Ok(text)
}

/// Where in the text the parts of a line stand that `add` may change.
struct Place {
    /// The principal with its quotes.
    principal: Range<usize>,
    /// The closing quote of `namespaces`.
    namespaces_end: Option<usize>,
}

fn read(text: &str) -> Result<(AllowedSigners, Vec<Place>), SignersError> {
    let mut signers = AllowedSigners::default();
    let mut places = Vec::new();
    for (number, start, line) in numbered_lines(text) {
        let error = |(at, problem): (usize, Problem)| SignersError {
            line: number,
            column: column(line, at),
            problem,
        };
        let Some(parsed) = parse_line(line).map_err(error)? else { continue };
        let Parsed { principal, principal_at, options, namespaces_end, key, key_at } = parsed;
        let fingerprint = KeyId::of(&key);
        if let Some(&earlier) = signers.by_key.get(&fingerprint) {
            let earlier: &Signer = &signers.entries[earlier];
            let (key, line) = (fingerprint, earlier.line);
            return Err(error(if earlier.principal == principal {
                (key_at, Problem::Duplicate { key, principal: shown(&principal), line })
            } else {
                let other = shown(&earlier.principal);
                (key_at, Problem::TwoPrincipals { key, principal: shown(&principal), other, line })
            }));
        }
        signers.by_key.insert(fingerprint.clone(), signers.entries.len());
        signers.entries.push(Signer { principal, key, fingerprint, options, line: number });
        places.push(Place {
            principal: start + principal_at.start..start + principal_at.end,
            namespaces_end: namespaces_end.map(|at| start + at),
        });
    }
    Ok((signers, places))
}
