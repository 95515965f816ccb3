//! Who may sign: the text of `.receipts/allowed_signers`.
//!
//! The format is the ALLOWED SIGNERS of ssh-keygen(1), narrowed until every line says one thing: one exact
//! principal, one key, and a key stands on one line only. Whatever is taken here, `ssh-keygen -Y verify` takes
//! too; what only ssh-keygen takes (patterns, lists, authorities) is refused with its place in the text.
//! One bad line refuses the whole text: ssh-keygen, too, may stop at it and miss the lines below.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use jiff::civil::DateTime;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::ids::KeyId;

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

/// Where and why a text is not an allowed signers file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct SignersError {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in it, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl SignersError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        self.problem.hint()
    }
}

/// What can be wrong with a line, or with what is to become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A control character other than a tab.
    #[error("control character `U+{:04X}`", u32::from(*.0))]
    Control(char),
    /// A principal or namespace holds something that a reader of the file would not see.
    #[error("invisible character `U+{:04X}` in a name", u32::from(*.0))]
    Invisible(char),
    /// A quote that never ends.
    #[error("a double quote that is not closed")]
    OpenQuote,
    /// Something directly behind a closing quote.
    #[error("`{0}` right after a closing quote")]
    AfterQuote(char),
    /// A quote in the middle of a word.
    #[error("a double quote inside `{0}`")]
    InnerQuote(String),
    /// A principal without characters.
    #[error("an empty principal")]
    EmptyPrincipal,
    /// A principal with spaces at its ends.
    #[error("principal `{0}` begins or ends with a space")]
    PaddedPrincipal(String),
    /// A principal or namespace that OpenSSH would not match.
    #[error("`{0}` is longer than 255 bytes")]
    TooLong(String),
    /// A principal with `*`, `?` or `!`.
    #[error("`{0}` is a pattern, not a principal")]
    Pattern(String),
    /// A principal with a comma.
    #[error("`{0}` is a list, not a principal")]
    List(String),
    /// The line ends before its key.
    #[error("no key")]
    NoKey,
    /// A key's base64 where its type should stand.
    #[error("a key without its type")]
    NoKeyType,
    /// A type other than the two that sign receipts.
    #[error("key type `{0}` is not supported")]
    KeyType(String),
    /// The base64 is none, is not canonical, or holds another key.
    #[error("`{0}` is not the base64 of an `{1}` key")]
    BadKey(String, String),
    /// A comma too many.
    #[error("an empty option")]
    EmptyOption,
    /// The authority option.
    #[error("option `cert-authority` is not supported")]
    CertAuthority,
    /// Any other option.
    #[error("unknown option `{0}`")]
    UnknownOption(String),
    /// An option given twice.
    #[error("option `{0}` stands twice")]
    RepeatedOption(String),
    /// An option without a quoted value.
    #[error("option `{0}` has no value in double quotes")]
    NoValue(String),
    /// A backslash in an option's value.
    #[error("a backslash in the value of `{0}`")]
    Backslash(String),
    /// A namespace that is empty, a pattern, or holds a space or quote.
    #[error("`{0}` is not a namespace")]
    BadNamespace(String),
    /// A time in no known form.
    #[error("`{1}` is not a time for `{0}`")]
    BadTime(String, String),
    /// The window is empty.
    #[error("`valid-before` is not after `valid-after`")]
    TimeOrder,
    /// One time in UTC, the other not.
    #[error("`valid-after` and `valid-before` are in different time zones")]
    MixedTimes,
    /// The same principal and key on an earlier line.
    #[error("key `{key}` of `{principal}` is listed in line {line} already")]
    Duplicate {
        /// The key.
        key: KeyId,
        /// Its principal.
        principal: String,
        /// The earlier line.
        line: usize,
    },
    /// The same key for somebody else on an earlier line.
    #[error("key `{key}` of `{principal}` is listed for `{other}` in line {line} already")]
    TwoPrincipals {
        /// The key.
        key: KeyId,
        /// The principal of this line.
        principal: String,
        /// The principal of the earlier line.
        other: String,
        /// The earlier line.
        line: usize,
    },
    /// A line to be added would not list its key for receipts.
    #[error("the namespaces do not contain `git-receipt`")]
    NotForReceipts,
}

impl Problem {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Problem::Control(_) | Problem::Invisible(_) => "delete the character",
            Problem::OpenQuote => "close the quote on the same line",
            Problem::AfterQuote(_) => "put a space or, between options, a comma after the quote",
            Problem::InnerQuote(_) => "put quotes around the whole name or leave them out",
            Problem::EmptyPrincipal => "begin the line with a name such as `alice@example.com`",
            Problem::PaddedPrincipal(_) => "take the space out of the quotes",
            Problem::TooLong(_) => "use a shorter name",
            Problem::Pattern(_) => "write one line for each exact principal",
            Problem::List(_) => "a key has one principal: keep the one whose it is",
            Problem::NoKey => "a line is `principal [options] key-type base64`",
            Problem::NoKeyType => "write `ssh-ed25519` before the key",
            Problem::KeyType(_) => "use an `ssh-ed25519` or `sk-ssh-ed25519@openssh.com` key",
            Problem::BadKey(..) => "copy the line of the `.pub` file again",
            Problem::EmptyOption => "separate options by one comma, without spaces",
            Problem::CertAuthority => "list each key itself",
            Problem::UnknownOption(_) => "known are `namespaces`, `valid-after` and `valid-before`",
            Problem::RepeatedOption(_) => "keep one of the two",
            Problem::NoValue(_) => "write it as `name=\"value\"`",
            Problem::Backslash(_) => "values need no escapes here",
            Problem::BadNamespace(_) => "write each namespace out, separated by commas without spaces",
            Problem::BadTime(..) => "use `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with `Z` for UTC",
            Problem::TimeOrder => "put the earlier time into `valid-after`",
            Problem::MixedTimes => "end both with `Z`",
            Problem::Duplicate { .. } => "delete one of the two lines",
            Problem::TwoPrincipals { .. } => "a key has one principal: delete the line that is wrong",
            Problem::NotForReceipts => "add `git-receipt` to the namespaces",
        }
    }
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

/// Why a key cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The text does not parse as it is.
    #[error(transparent)]
    Text(#[from] SignersError),
    /// The line to be written would not parse.
    #[error(transparent)]
    Line(#[from] Problem),
}

impl AddError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            AddError::Text(error) => error.hint(),
            AddError::Line(problem) => problem.hint(),
        }
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

struct Parsed {
    principal: String,
    principal_at: Range<usize>,
    options: Options,
    namespaces_end: Option<usize>,
    key: PublicKey,
    key_at: usize,
}

/// A problem and the byte of the line that it begins at.
type Misfit = (usize, Problem);

const BLANKS: [char; 2] = [' ', '\t'];

fn parse_line(line: &str) -> Result<Option<Parsed>, Misfit> {
    if let Some((at, bad)) = line.char_indices().find(|&(_, c)| c.is_control() && c != '\t') {
        return Err((at, Problem::Control(bad)));
    }
    let begin = skip_blanks(line, 0);
    if begin == line.len() || line[begin..].starts_with('#') {
        return Ok(None);
    }
    let (principal, end) = parse_principal(line, begin)?;
    check_principal(principal).map_err(|problem| (begin, problem))?;

    let mut at = skip_blanks(line, end);
    let (mut options, mut namespaces_end) = (Options::default(), None);
    let first = word(line, at);
    if first.is_empty() {
        return Err((at, Problem::NoKey));
    }
    if !is_key_type(first) {
        // A word of base64 would otherwise be called an unknown option.
        if first.starts_with("AAAA") {
            return Err((at, Problem::NoKeyType));
        }
        let begin = at;
        (options, namespaces_end, at) = parse_options(line, at)?;
        options.check_times().map_err(|problem| (begin, problem))?;
        at = skip_blanks(line, at);
    }
    let (key, key_at) = parse_key(line, at)?;
    let principal_at = begin..end;
    Ok(Some(Parsed { principal: principal.to_owned(), principal_at, options, namespaces_end, key, key_at }))
}

/// The principal without its quotes, and where its text ends. OpenSSH would also take quotes in the middle of a
/// word and text glued to a closing quote; it knows no escapes here.
fn parse_principal(line: &str, begin: usize) -> Result<(&str, usize), Misfit> {
    let Some(inner) = line[begin..].strip_prefix('"') else {
        let principal = word(line, begin);
        return match principal.find('"') {
            Some(quote) => Err((begin + quote, Problem::InnerQuote(shown(principal)))),
            None => Ok((principal, begin + principal.len())),
        };
    };
    let (principal, _) = inner.split_once('"').ok_or((begin, Problem::OpenQuote))?;
    let end = begin + principal.len() + 2;
    match line[end..].chars().next() {
        Some(next) if !BLANKS.contains(&next) => Err((end, Problem::AfterQuote(next))),
        _ => Ok((principal, end)),
    }
}

fn parse_options(line: &str, begin: usize) -> Result<(Options, Option<usize>, usize), Misfit> {
    let mut options = Options::default();
    let mut namespaces_end = None;
    let mut at = begin;
    loop {
        let name_at = at;
        let rest = &line[at..];
        let written = &rest[..rest.find(['=', ',', '"', ' ', '\t']).unwrap_or(rest.len())];
        let name = written.to_ascii_lowercase();
        match name.as_str() {
            "" => return Err((at, Problem::EmptyOption)),
            "cert-authority" => return Err((at, Problem::CertAuthority)),
            "namespaces" | "valid-after" | "valid-before" => {}
            _ => return Err((at, Problem::UnknownOption(shown(written)))),
        }
        at += name.len();
        let Some(inner) = line[at..].strip_prefix("=\"") else {
            return Err((name_at, Problem::NoValue(name)));
        };
        let (value, _) = inner.split_once('"').ok_or((at + 1, Problem::OpenQuote))?;
        let value_at = at + 2;
        at = value_at + value.len();
        if let Some(backslash) = value.find('\\') {
            return Err((value_at + backslash, Problem::Backslash(name)));
        }
        let repeated = match name.as_str() {
            "namespaces" => {
                namespaces_end = Some(at);
                let names: Vec<String> = value.split(',').map(str::to_owned).collect();
                for name in &names {
                    check_namespace(name).map_err(|problem| (value_at, problem))?;
                }
                options.namespaces.replace(names).is_some()
            }
            _ => {
                let time = parse_time(value)
                    .ok_or_else(|| (value_at, Problem::BadTime(name.clone(), shown(value))))?;
                let slot =
                    if name == "valid-after" { &mut options.valid_after } else { &mut options.valid_before };
                slot.replace(time).is_some()
            }
        };
        if repeated {
            return Err((name_at, Problem::RepeatedOption(name)));
        }
        at += 1;
        match line[at..].chars().next() {
            Some(',') => at += 1,
            Some(next) if !BLANKS.contains(&next) => return Err((at, Problem::AfterQuote(next))),
            _ => return Ok((options, namespaces_end, at)),
        }
    }
}

/// The key and the place of its base64; what follows is a comment.
fn parse_key(line: &str, at: usize) -> Result<(PublicKey, usize), Misfit> {
    let kind = word(line, at);
    if kind.is_empty() {
        return Err((at, Problem::NoKey));
    }
    if kind != ED25519 && kind != SK_ED25519 {
        let problem =
            if kind.starts_with("AAAA") { Problem::NoKeyType } else { Problem::KeyType(shown(kind)) };
        return Err((at, problem));
    }
    let blob_at = skip_blanks(line, at + kind.len());
    let blob = word(line, blob_at);
    if blob.is_empty() {
        return Err((blob_at, Problem::NoKey));
    }
    let bare = format!("{kind} {blob}");
    let key = PublicKey::from_openssh(&bare)
        .ok()
        // Only the canonical spelling, so that equal keys are equal text.
        .filter(|key| key.to_openssh().is_ok_and(|written| written == bare))
        .filter(|key| check_key(key.key_data()).is_ok());
    key.map(|key| (key, blob_at)).ok_or_else(|| (blob_at, Problem::BadKey(shown(blob), kind.to_owned())))
}

fn check_key(key: &KeyData) -> Result<(), Problem> {
    match key {
        KeyData::Ed25519(_) => Ok(()),
        // OpenSSH refuses a NUL in the application; nothing else invisible belongs there either.
        KeyData::SkEd25519(key) if !key.application().chars().any(char::is_control) => Ok(()),
        other => Err(Problem::KeyType(other.algorithm().to_string())),
    }
}

fn check_principal(principal: &str) -> Result<(), Problem> {
    if principal.is_empty() {
        return Err(Problem::EmptyPrincipal);
    }
    if principal.starts_with(' ') || principal.ends_with(' ') {
        return Err(Problem::PaddedPrincipal(shown(principal)));
    }
    check_name(principal)?;
    if principal.contains(['*', '?', '!']) {
        return Err(Problem::Pattern(shown(principal)));
    }
    if principal.contains(',') {
        return Err(Problem::List(shown(principal)));
    }
    if principal.contains('"') {
        return Err(Problem::InnerQuote(shown(principal)));
    }
    Ok(())
}

fn check_namespace(name: &str) -> Result<(), Problem> {
    check_name(name)?;
    if name.is_empty() || name.contains(['*', '?', '!', ' ', ',', '"', '\\']) {
        return Err(Problem::BadNamespace(shown(name)));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Problem> {
    if name.len() > MAX_NAME {
        return Err(Problem::TooLong(shown(name)));
    }
    match name.chars().find(|&c| c.is_control() || is_invisible(c)) {
        Some(bad) if bad.is_control() => Err(Problem::Control(bad)),
        Some(bad) => Err(Problem::Invisible(bad)),
        None => Ok(()),
    }
}

/// Characters that make two different names look the same, or a name read backwards.
fn is_invisible(c: char) -> bool {
    (c.is_whitespace() && c != ' ')
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Whether a word is meant as a key's type, also as one that is not taken; no option begins like these.
fn is_key_type(word: &str) -> bool {
    let bare = !word.contains(['=', ',', '"']);
    bare && ["ssh-", "sk-", "ecdsa-", "rsa-"].iter().any(|prefix| word.starts_with(prefix))
}

/// The principal as it stands on a line.
fn quoted(principal: &str) -> String {
    if principal.contains(' ') || principal.starts_with('#') {
        format!("\"{principal}\"")
    } else {
        principal.to_owned()
    }
}

fn skip_blanks(line: &str, at: usize) -> usize {
    line.len() - line[at..].trim_start_matches(BLANKS).len()
}

fn word(line: &str, at: usize) -> &str {
    let rest = &line[at..];
    &rest[..rest.find(BLANKS).unwrap_or(rest.len())]
}

/// Text for a message: at most 60 characters, nothing in it that acts on a terminal.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

/// Each line's number from 1, the byte that it begins at, and its text without `\n` or `\r\n`.
pub(super) fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    text.split_inclusive('\n').enumerate().scan(0, |next, (index, line)| {
        let start = *next;
        *next += line.len();
        let line = line.strip_suffix('\n').unwrap_or(line);
        Some((index + 1, start, line.strip_suffix('\r').unwrap_or(line)))
    })
}

/// The text with one line more, ended as the first line is.
pub(super) fn append_line(text: &str, line: &str) -> String {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    let newline = if first.ends_with("\r\n") { "\r\n" } else { "\n" };
    let joint = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    format!("{text}{joint}{line}{newline}")
}

/// The column of a byte, counted in characters from 1.
pub(super) fn column(line: &str, at: usize) -> usize {
    line[..at].chars().count() + 1
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;
    use ssh_key::private::{Ed25519Keypair, PrivateKey};
    use ssh_key::public::{Ed25519PublicKey, SkEd25519};
    use ssh_key::{Algorithm, HashAlg, LineEnding, Signature, SshSig};

    use super::*;

    fn keypair(seed: u8) -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
    }

    fn key(seed: u8) -> PublicKey {
        keypair(seed).public_key().clone()
    }

    fn sk_key(seed: u8, application: &str) -> PublicKey {
        let point = Ed25519Keypair::from_seed(&[seed; 32]).public;
        KeyData::SkEd25519(SkEd25519::new(Ed25519PublicKey(point.0), application)).into()
    }

    fn openssh(key: &PublicKey) -> String {
        key.to_openssh().unwrap()
    }

    /// Puts keys where a line says `KEY1`, `KEY2` or `SKEY1`, and their bare base64 for `B641`.
    fn fill(text: &str) -> String {
        let base64 = openssh(&key(1))[ED25519.len() + 1..].to_owned();
        text.replace("SKEY1", &openssh(&sk_key(1, "ssh:")))
            .replace("KEY1", &openssh(&key(1)))
            .replace("KEY2", &openssh(&key(2)))
            .replace("B641", &base64)
    }

    #[test]
    fn a_file_says_whose_each_key_is() {
        let text = fill(concat!(
            "# our people\r\n",
            "\n",
            "  \t\n",
            "alice@example.com namespaces=\"git,git-receipt\",valid-after=\"20240101Z\" KEY1 laptop # old\r\n",
            "\t\"Bob B.\"\tSKEY1\n",
            "alice@example.com namespaces=\"git\" KEY2",
        ));
        let signers = AllowedSigners::parse(&text).unwrap();
        let lines: Vec<_> =
            signers.entries().iter().map(|signer| (signer.line, &*signer.principal)).collect();
        assert_eq!(lines, [(4, "alice@example.com"), (5, "Bob B."), (6, "alice@example.com")]);
        assert_eq!(signers.entries()[0].key, key(1));
        assert_eq!(
            signers.entries()[0].options.to_string(),
            r#"namespaces="git,git-receipt",valid-after="20240101Z""#
        );
        assert_eq!(signers.principal_of(&KeyId::of(&key(1))), Some("alice@example.com"));
        assert_eq!(signers.principal_of(&KeyId::of(&sk_key(1, "ssh:"))), Some("Bob B."));
        assert_eq!(signers.principal_of(&KeyId::of(&key(2))), None, "listed for commits only");
        let keys: Vec<_> = signers.keys_of("alice@example.com").map(|signer| signer.line).collect();
        assert_eq!(keys, [4]);
        assert_eq!(AllowedSigners::parse("").unwrap(), AllowedSigners::default());
    }

    #[test]
    fn every_refusal_names_its_place_and_cause() {
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC";
        let nul = openssh(&sk_key(1, "ssh:\0"));
        let (long, shown_long) = ("x".repeat(256), "x".repeat(60) + "…");
        let one = KeyId::of(&key(1));
        let table: Vec<(String, String)> = [
            ("*@example.com KEY1", "line 1, column 1: `*@example.com` is a pattern, not a principal"),
            ("ali?e KEY1", "line 1, column 1: `ali?e` is a pattern, not a principal"),
            ("!alice KEY1", "line 1, column 1: `!alice` is a pattern, not a principal"),
            ("# x\n\n  a,b KEY1", "line 3, column 3: `a,b` is a list, not a principal"),
            ("\"a,b\" KEY1", "line 1, column 1: `a,b` is a list, not a principal"),
            ("\"\" KEY1", "line 1, column 1: an empty principal"),
            ("\" a\" KEY1", "line 1, column 1: principal ` a` begins or ends with a space"),
            ("\"a\tb\" KEY1", "line 1, column 1: control character `U+0009`"),
            ("\"a KEY1", "line 1, column 1: a double quote that is not closed"),
            ("\"a\"b KEY1", "line 1, column 4: `b` right after a closing quote"),
            ("a\"b\" KEY1", "line 1, column 2: a double quote inside `a\\\"b\\\"`"),
            ("a\u{200b} KEY1", "line 1, column 1: invisible character `U+200B` in a name"),
            ("\u{feff}a KEY1", "line 1, column 1: invisible character `U+FEFF` in a name"),
            ("a\u{a0}b KEY1", "line 1, column 1: invisible character `U+00A0` in a name"),
            ("é KEY1\rb KEY2", "line 1, column 83: control character `U+000D`"),
            ("# \u{1b}[2J", "line 1, column 3: control character `U+001B`"),
            (&format!("{long} KEY1"), &format!("line 1, column 1: `{shown_long}` is longer than 255 bytes")),
            ("alice", "line 1, column 6: no key"),
            ("alice ssh-ed25519", "line 1, column 18: no key"),
            ("alice namespaces=\"git\" ", "line 1, column 24: no key"),
            ("alice B641", "line 1, column 7: a key without its type"),
            ("alice namespaces=\"git\" B641", "line 1, column 24: a key without its type"),
            (&format!("alice {rsa}"), "line 1, column 7: key type `ssh-rsa` is not supported"),
            (
                "alice namespaces=\"git\" ecdsa-sha2-nistp256 AAAA",
                "line 1, column 24: key type `ecdsa-sha2-nistp256` is not supported",
            ),
            (
                "alice ssh-ed25519-cert-v01@openssh.com AAAA",
                "line 1, column 7: key type `ssh-ed25519-cert-v01@openssh.com` is not supported",
            ),
            ("alice ssh-ed25519 AAAA", "line 1, column 19: `AAAA` is not the base64 of an `ssh-ed25519` key"),
            ("alice ssh-ed25519 é= x", "line 1, column 19: `é=` is not the base64 of an `ssh-ed25519` key"),
            (
                &format!("alice {nul}"),
                &format!(
                    "line 1, column 34: `{}…` is not the base64 of an `{SK_ED25519}` key",
                    &nul[SK_ED25519.len() + 1..][..60],
                ),
            ),
            ("alice cert-authority KEY1", "line 1, column 7: option `cert-authority` is not supported"),
            ("alice Cert-Authority KEY1", "line 1, column 7: option `cert-authority` is not supported"),
            ("alice no-touch-required KEY1", "line 1, column 7: unknown option `no-touch-required`"),
            ("alice namespace=\"git\" KEY1", "line 1, column 7: unknown option `namespace`"),
            (
                "alice namespaces=\"git\",namespaces=\"x\" KEY1",
                "line 1, column 24: option `namespaces` stands twice",
            ),
            ("alice namespaces=\"git\",,x KEY1", "line 1, column 24: an empty option"),
            ("alice namespaces=\"git\", KEY1", "line 1, column 24: an empty option"),
            ("alice namespaces KEY1", "line 1, column 7: option `namespaces` has no value in double quotes"),
            (
                "alice namespaces=git KEY1",
                "line 1, column 7: option `namespaces` has no value in double quotes",
            ),
            ("alice namespaces=\"git KEY1", "line 1, column 18: a double quote that is not closed"),
            ("alice namespaces=\"git\"x KEY1", "line 1, column 23: `x` right after a closing quote"),
            (
                "alice namespaces=\"a\\\"\" KEY1",
                "line 1, column 20: a backslash in the value of `namespaces`",
            ),
            ("alice namespaces=\"git*\" KEY1", "line 1, column 19: `git*` is not a namespace"),
            ("alice namespaces=\"git, x\" KEY1", "line 1, column 19: ` x` is not a namespace"),
            ("alice namespaces=\"\" KEY1", "line 1, column 19: `` is not a namespace"),
            (
                "alice namespaces=\"git-receipt,!git-*\" KEY1",
                "line 1, column 19: `!git-*` is not a namespace",
            ),
            ("alice valid-after=\"2024\" KEY1", "line 1, column 20: `2024` is not a time for `valid-after`"),
            (
                "alice valid-before=\"20240230\" KEY1",
                "line 1, column 21: `20240230` is not a time for `valid-before`",
            ),
            (
                "alice valid-before=\"19691231\" KEY1",
                "line 1, column 21: `19691231` is not a time for `valid-before`",
            ),
            (
                "alice valid-before=\"2024013020\" KEY1",
                "line 1, column 21: `2024013020` is not a time for `valid-before`",
            ),
            (
                "alice valid-after=\"20240101\",valid-before=\"20240101\" KEY1",
                "line 1, column 7: `valid-before` is not after `valid-after`",
            ),
            (
                "alice valid-after=\"20240101\",valid-before=\"20250101Z\" KEY1",
                "line 1, column 7: `valid-after` and `valid-before` are in different time zones",
            ),
            (
                "a KEY1\na namespaces=\"git\" KEY1",
                &format!("line 2, column 32: key `{one}` of `a` is listed in line 1 already",),
            ),
            (
                "a KEY1\nb KEY1",
                &format!("line 2, column 15: key `{one}` of `b` is listed for `a` in line 1 already"),
            ),
        ]
        .map(|(text, message)| (fill(text), message.to_owned()))
        .to_vec();
        // Base64 that other readers forgive: no padding, spare bits set, bytes left over.
        let sk = openssh(&sk_key(1, "ssh:"));
        let bare = sk.trim_end_matches('=');
        let spare = format!("{}{}=", &bare[..bare.len() - 1], 'p');
        let over = format!("{}AAAA", openssh(&key(1)));
        assert!(sk.ends_with("o="), "a last digit of which two bits are spare: {sk}");
        for line in [bare, &spare, &over] {
            let error = AllowedSigners::parse(&format!("alice {line}")).unwrap_err();
            assert!(matches!(error.problem, Problem::BadKey(..)), "{error}");
        }
        for (text, message) in table {
            let error = AllowedSigners::parse(&text).expect_err(&text);
            assert_eq!(error.to_string(), message, "{text}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn times_are_kept_as_written() {
        for (text, at, utc) in [
            ("20240229", "2024-02-29T00:00:00", false),
            ("20240229Z", "2024-02-29T00:00:00", true),
            ("202402291530", "2024-02-29T15:30:00", false),
            ("20240229153059Z", "2024-02-29T15:30:59", true),
        ] {
            let time: ValidTime = text.parse().unwrap();
            assert_eq!(
                (time.to_string().as_str(), time.at().to_string().as_str(), time.is_utc()),
                (text, at, utc)
            );
        }
        for text in [
            "",
            "Z",
            "2024022",
            "20240229z",
            "20240229UTC",
            "20230229",
            "20240229156059",
            "+2024022",
            "２０２４",
        ] {
            assert_eq!(text.parse::<ValidTime>().unwrap_err().to_string(), format!("`{text}` is not a time"));
        }
    }

    #[test]
    fn adding_keeps_every_other_byte() {
        let limited = Options::receipts_only();
        let added = |text: &str, principal: &str, key: &PublicKey| {
            add(&fill(text), principal, key, &limited).unwrap()
        };
        for (before, principal, after) in [
            ("", "alice", "alice namespaces=\"git-receipt\" KEY1\n"),
            ("# x", "Al B", "# x\n\"Al B\" namespaces=\"git-receipt\" KEY1\n"),
            ("# x\r\nbob KEY2", "#1", "# x\r\nbob KEY2\r\n\"#1\" namespaces=\"git-receipt\" KEY1\r\n"),
            ("alice KEY1 laptop", "alice", "alice KEY1 laptop"),
            ("\"alice\"  KEY1\r\n# x", "alice", "\"alice\"  KEY1\r\n# x"),
            ("\t\"al b\"  KEY1 laptop\r\n# x", "bob", "\tbob  KEY1 laptop\r\n# x"),
            ("bob NameSpaces=\"git\" KEY1\n", "bob", "bob NameSpaces=\"git,git-receipt\" KEY1\n"),
            (
                "é KEY2\nb namespaces=\"git\" KEY1",
                "é è",
                "é KEY2\n\"é è\" namespaces=\"git,git-receipt\" KEY1",
            ),
        ] {
            assert_eq!(added(before, principal, &key(1)), fill(after), "{before}");
        }
        let mut commented = key(1);
        commented.set_comment("x\ny");
        assert_eq!(added("", "a", &commented), fill("a namespaces=\"git-receipt\" KEY1\n"));
        assert_eq!(add("", "a", &key(1), &Options::default()).unwrap(), fill("a KEY1\n"));
        let window = Options {
            valid_after: "20240101Z".parse().ok(),
            valid_before: "20250101Z".parse().ok(),
            ..Options::receipts_only()
        };
        assert_eq!(
            add("", "a", &sk_key(1, "ssh:"), &window).unwrap(),
            fill("a namespaces=\"git-receipt\",valid-after=\"20240101Z\",valid-before=\"20250101Z\" SKEY1\n"),
        );
    }

    #[test]
    fn what_would_not_parse_is_not_written() {
        let refusal = |text: &str, principal: &str, options: &Options| {
            add(text, principal, &key(1), options).unwrap_err().to_string()
        };
        let limited = Options::receipts_only();
        let named = |name: &str| Options { namespaces: Some(vec![name.to_owned()]), ..Options::default() };
        assert_eq!(refusal("", "a b ", &limited), "principal `a b ` begins or ends with a space");
        assert_eq!(refusal("", "*", &limited), "`*` is a pattern, not a principal");
        assert_eq!(refusal("", "a\nb", &limited), "control character `U+000A`");
        assert_eq!(refusal("", "a\"b", &limited), "a double quote inside `a\\\"b`");
        assert_eq!(refusal("", "a", &named("git")), "the namespaces do not contain `git-receipt`");
        assert_eq!(refusal("", "a", &named("git-receipt\" x")), "`git-receipt\\\" x` is not a namespace");
        assert_eq!(refusal("x", "a", &limited), "line 1, column 2: no key");
        let backwards = Options {
            valid_after: "20250101".parse().ok(),
            valid_before: "20240101".parse().ok(),
            ..limited
        };
        assert_eq!(refusal("", "a", &backwards), "`valid-before` is not after `valid-after`");
        let nul = add("", "a", &sk_key(1, "ssh:\0"), &Options::default()).unwrap_err();
        assert_eq!(nul.to_string(), "key type `sk-ssh-ed25519@openssh.com` is not supported");
    }

    /// Lines out of pieces that mean something, so that many get past the first check.
    fn lines() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "alice",
            "bob",
            "\"alice\"",
            "\"al b\"",
            "a\\b",
            "#",
            "\"",
            ",",
            "=",
            "*",
            "!",
            "\\",
            "\\\"",
            " ",
            "\t",
            "  ",
            "\r",
            "\0",
            "é",
            "namespaces=\"git-receipt\"",
            "namespaces=\"git,git-receipt\"",
            "namespaces=\"git\"",
            "NAMESPACES=",
            "valid-after=\"20240101\"",
            "valid-before=\"20300101Z\"",
            "valid-after=\"20240101Z\"",
            "cert-authority",
            "KEY1",
            "SKEY1",
            "KEY2",
            "B641",
            "ssh-ed25519",
            "ssh-rsa",
        ]);
        let noise = prop::collection::vec(piece.clone(), 0..8).prop_map(|pieces| pieces.concat());
        let option = prop::sample::select(vec![
            "namespaces=\"git-receipt\"",
            "namespaces=\"git,git-receipt\"",
            "Namespaces=\"git\"",
            "valid-after=\"20240101\"",
            "valid-after=\"202401011200Z\"",
            "valid-before=\"20300101Z\"",
            "x",
        ]);
        let options = prop::collection::vec(option, 0..3).prop_map(|options| options.join(","));
        let name = prop::sample::select(vec![
            "alice",
            "\"alice\"",
            "\"al b\"",
            "a\\b",
            "\"#x\"",
            "ssh-ed25519",
            "é'",
        ]);
        let gap = || prop::sample::select(vec![" ", "\t", "  ", " \t", ""]);
        let key = prop::sample::select(vec!["KEY1", "SKEY1", "KEY2", "KEY1 c", "KEY2\t# \"c"]);
        let line = (gap(), name, gap(), options, gap(), key, piece, any::<u8>()).prop_map(
            |(indent, name, gap, options, gap2, key, piece, dice)| {
                let mut line = format!("{indent}{name}{gap} {options}{gap2}{key}");
                if dice < 64 {
                    let at = line.char_indices().nth(usize::from(dice)).map_or(line.len(), |(at, _)| at);
                    line.insert_str(at, piece);
                }
                line
            },
        );
        prop_oneof![3 => line, 1 => noise].prop_map(|line| fill(&line))
    }

    fn files() -> impl Strategy<Value = String> {
        let end = prop::sample::select(vec!["\n", "\r\n", "\n\n", "\n# x\n"]);
        prop::collection::vec((lines(), end), 0..3)
            .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), files()]) {
            if let Err(error) = AllowedSigners::parse(&text) {
                let line = text.split('\n').nth(error.line - 1).unwrap();
                prop_assert!((1..=line.chars().count() + 1).contains(&error.column), "{error}");
            }
            let _ = text.parse::<ValidTime>();
        }

        #[test]
        fn what_was_added_is_read_back(
            text in files(),
            principal in prop_oneof!["[a-z@. #é]{1,12}", any::<String>()],
            seed in 1..4u8,
        ) {
            let Ok(before) = AllowedSigners::parse(&text) else { return Ok(()) };
            let id = KeyId::of(&key(seed));
            let Ok(new) = add(&text, &principal, &key(seed), &Options::receipts_only()) else {
                prop_assert!(check_principal(&principal).is_err());
                return Ok(());
            };
            let after = AllowedSigners::parse(&new).unwrap();
            prop_assert_eq!(after.principal_of(&id), Some(principal.as_str()));
            prop_assert_eq!(add(&new, &principal, &key(seed), &Options::default()).unwrap(), new);
            let others = |signers: &AllowedSigners| -> Vec<Signer> {
                signers.entries().iter().filter(|signer| signer.fingerprint != id).cloned().collect()
            };
            prop_assert_eq!(others(&before), others(&after));
        }
    }

    const MESSAGE: &[u8] = b"{}";

    /// What `ssh-keygen` says about one signature.
    struct Oracle {
        dir: tempfile::TempDir,
    }

    impl Oracle {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for seed in [1, 2] {
                let signature = keypair(seed).sign(NAMESPACE, HashAlg::Sha512, MESSAGE).unwrap();
                write_signature(dir.path(), &key(seed), &signature);
            }
            // A token signs a digest of the application, its flags (touched) and counter, and of the data.
            let public = sk_key(1, "ssh:");
            let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, MESSAGE).unwrap();
            let sha256 = |bytes: &[u8]| HashAlg::Sha256.digest(bytes);
            let trailer = [1, 0, 0, 0, 7];
            let signed = [&sha256(b"ssh:")[..], &trailer, &sha256(&data)].concat();
            let signer = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
            let raw = ed25519_dalek::Signer::sign(&signer, &signed).to_bytes();
            let raw = Signature::new(Algorithm::SkEd25519, [&raw[..], &trailer].concat()).unwrap();
            let signature = SshSig::new(public.key_data().clone(), NAMESPACE, HashAlg::Sha512, raw).unwrap();
            write_signature(dir.path(), &public, &signature);
            fs::write(dir.path().join("message"), MESSAGE).unwrap();
            Oracle { dir }
        }

        fn ask(&self, text: &str, words: &[&str], key: &PublicKey) -> (bool, String) {
            fs::write(self.dir.path().join("signers"), text).unwrap();
            let output = Command::new("ssh-keygen")
                .args([
                    "-Y",
                    words[0],
                    "-f",
                    "signers",
                    "-s",
                    &file_of(key),
                    "-O",
                    "verify-time=20250601120000",
                ])
                .args(&words[1..])
                .current_dir(self.dir.path())
                .env("TZ", "UTC")
                .stdin(Stdio::from(fs::File::open(self.dir.path().join("message")).unwrap()))
                .output()
                .expect("these tests need ssh-keygen");
            (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
        }

        /// Fails where we take a line that ssh-keygen reads otherwise.
        fn compare(&self, text: &str) -> Result<(), TestCaseError> {
            let Ok(signers) = AllowedSigners::parse(text) else { return Ok(()) };
            for signer in signers.entries() {
                let (takes, says) =
                    self.ask(text, &["verify", "-n", NAMESPACE, "-I", &signer.principal], &signer.key);
                prop_assert_eq!(takes, signer.signs_receipts(), "{:?}: {}", text, says);
                let (found, principals) = self.ask(text, &["find-principals"], &signer.key);
                prop_assert!(found, "{:?}", text);
                prop_assert_eq!(principals, format!("{}\n", signer.principal));
            }
            Ok(())
        }
    }

    fn file_of(key: &PublicKey) -> String {
        ssh_key::Fingerprint::to_string(&key.fingerprint(HashAlg::Sha256)).replace(['/', ':'], "_")
    }

    fn write_signature(dir: &Path, key: &PublicKey, signature: &SshSig) {
        fs::write(dir.join(file_of(key)), signature.to_pem(LineEnding::LF).unwrap()).unwrap();
    }

    #[test]
    fn ssh_keygen_takes_every_line_that_we_take() {
        let oracle = Oracle::new();
        // Whose `KEY1` or `SKEY1` we say it is; "" where the line is good and lists it for other purposes.
        let table = [
            ("alice@example.com KEY1", Some("alice@example.com")),
            ("alice@example.com SKEY1", Some("alice@example.com")),
            ("alice KEY1\n", Some("alice")),
            ("alice KEY1\r\n", Some("alice")),
            ("alice KEY1\r", Some("alice")),
            ("\r\n# x\r\n\r\nalice KEY1 c\r\n", Some("alice")),
            (" \t alice \t KEY1", Some("alice")),
            ("alice\tKEY1\tlaptop", Some("alice")),
            ("alice ssh-ed25519\tB641", Some("alice")),
            ("alice ssh-ed25519 \t B641 \"x", Some("alice")),
            ("alice KEY1 # comment", Some("alice")),
            ("\"alice\" KEY1", Some("alice")),
            ("\"al  b\" KEY1", Some("al  b")),
            ("\"#x\" KEY1", Some("#x")),
            ("\"a\\\" KEY1", Some("a\\")),
            ("a'b KEY1", Some("a'b")),
            ("local+agent@domain KEY1", Some("local+agent@domain")),
            ("Ünï KEY1", Some("Ünï")),
            ("ssh-ed25519 KEY1", Some("ssh-ed25519")),
            ("namespaces=x KEY1", Some("namespaces=x")),
            ("alice namespaces=\"git-receipt\" KEY1", Some("alice")),
            ("alice NameSpaces=\"git-receipt\" \t KEY1", Some("alice")),
            ("alice\tnamespaces=\"git-receipt\"\tSKEY1", Some("alice")),
            ("alice namespaces=\"git,git-receipt,file\" KEY1", Some("alice")),
            ("alice namespaces=\"git-receipt,git-receipt\" KEY1", Some("alice")),
            ("alice namespaces=\"git\" KEY1", Some("")),
            ("alice namespaces=\"GIT-RECEIPT\" KEY1", Some("")),
            ("alice namespaces=\"git-receipts,xgit-receipt\" KEY1", Some("")),
            ("alice valid-after=\"20240101\" KEY1", Some("alice")),
            ("alice VALID-AFTER=\"20240101Z\",Valid-Before=\"202801020304Z\" KEY1", Some("alice")),
            ("alice valid-before=\"20280102030405\",namespaces=\"git-receipt\" KEY1", Some("alice")),
            ("alice valid-before=\"20280102030405Z\",valid-after=\"202401010000Z\" KEY1", Some("alice")),
            ("bob namespaces=\"git\" KEY2\nalice KEY1", Some("alice")),
            ("alice namespaces=\"git-receipt\" KEY2\n\nalice valid-after=\"19710101\" KEY1", Some("alice")),
            ("alice, KEY1", None),
            ("alice,bob KEY1", None),
            ("al* KEY1", None),
            ("alice\"\" KEY1", None),
            ("\"alice\"KEY1", None),
            ("'alice b' KEY1", None),
            ("alice namespaces=\"git-receipt\" , KEY1", None),
            ("alice namespaces = \"git-receipt\" KEY1", None),
            ("alice namespaces=\"git-receipt\",KEY1", None),
            ("alice namespaces=\"git\\\"-receipt\" KEY1", None),
            ("alice namespaces='git-receipt' KEY1", None),
            ("alice namespaces=\"git-receipt\",! KEY1", None),
            ("alice namespaces=\" git-receipt\" KEY1", None),
            ("alice namespaces=\"git-*\" KEY1", None),
            ("alice no-cert-authority KEY1", None),
            ("alice \"namespaces=git-receipt\" KEY1", None),
            ("alice valid-after=\"2024-01-01\" KEY1", None),
            ("alice KEY1\0", None),
            ("alice ssh-ed25519 B641=", None),
            ("alice SSH-ED25519 B641", None),
            ("alice ED25519 B641", None),
            ("alice sk-ssh-ed25519@openssh.com B641", None),
        ];
        for (text, principal) in table {
            let text = fill(text);
            let signers = AllowedSigners::parse(&text);
            let said = signers.as_ref().ok().map(|signers| {
                let last = signers.entries().last().expect("the last line of each row has a key");
                signers.principal_of(&last.fingerprint).unwrap_or_default()
            });
            assert_eq!(said, principal, "{text:?}: {signers:?}");
            oracle.compare(&text).unwrap();
        }
    }

    #[test]
    fn ssh_keygen_takes_every_made_up_file_that_we_take() {
        let oracle = Oracle::new();
        let mut runner =
            TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
        runner.run(&files(), |text| oracle.compare(&text)).unwrap();
    }

    #[test]
    fn ssh_keygen_takes_what_we_add() {
        let oracle = Oracle::new();
        let mut text = "# x\r\nbob namespaces=\"git\" KEY2".to_owned();
        text = add(&fill(&text), "Al B", &key(1), &Options::receipts_only()).unwrap();
        text = add(&text, "#al", &key(2), &Options::receipts_only()).unwrap();
        text = add(&text, "al+agent@example.com", &sk_key(1, "ssh:"), &Options::default()).unwrap();
        assert_eq!(AllowedSigners::parse(&text).unwrap().entries().len(), 3);
        oracle.compare(&text).unwrap();
    }
}
