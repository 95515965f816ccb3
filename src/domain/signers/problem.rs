//! What can be wrong with a file of signers, and what to do about it.

use crate::domain::ids::KeyId;

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

/// Text for a message: at most 60 characters, nothing in it that acts on a terminal.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
