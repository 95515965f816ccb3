//! What agents say about their own work, turned into facts.
//!
//! Everything here is pure: bytes of a transcript or a hook payload go in, facts come out. No git, no files, no
//! clock; ids of blobs are computed by a function that is handed in. What was not recorded is not stated: a call
//! without a result is `unknown`, a check whose own exit code cannot be told from its command line is no gate.

pub mod claude_code;
pub mod gates;
mod output;
mod shell;

use crate::domain::entry::ONCE_MAX;
use crate::domain::fact::Fact;
use crate::domain::ids::{Digest, Timestamp};

/// A session as a transcript tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Which agent wrote it, as `claude-code`.
    pub source: &'static str,
    /// The agent's id of the session; empty when no line has one.
    pub id: String,
    /// The sub-agent whose own transcript this is; none where it is a person's session.
    pub agent: Option<String>,
    /// The agent's version.
    pub version: Option<String>,
    /// The top of the working tree that was taken off paths.
    pub root: Option<String>,
    /// The facts in the order in which they happened.
    pub steps: Vec<Step>,
    /// Lines that could not be read.
    pub problems: Vec<Problem>,
    /// What was found, for people and for comparing with another count.
    pub tally: Tally,
}

/// One fact of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When, as it was recorded.
    pub time: Option<Timestamp>,
    /// Which receipt of the session it belongs to, counted from 0.
    pub prompt: usize,
    /// Idempotency key, at most [`ONCE_MAX`] bytes.
    pub once: String,
    /// For people, whole and not redacted yet; so are the summaries in the facts.
    pub title: String,
    /// Whether later lines of a growing transcript cannot change it: false for a call that may still get its
    /// result and for the usage of a message that may still go on.
    pub settled: bool,
    /// The fact.
    pub fact: Fact,
}

/// A line that could not be read, or part of one that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its number, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// How much of what a session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Lines that are not empty.
    pub lines: u64,
    /// A person's prompts that opened a receipt.
    pub prompts: u64,
    /// Tool calls.
    pub tool_calls: u64,
    /// Calls that a person rejected.
    pub rejections: u64,
    /// Calls that ended in an error.
    pub failures: u64,
    /// Calls that were interrupted.
    pub interrupted: u64,
    /// Calls without a result.
    pub unknown: u64,
    /// Gates.
    pub gates: u64,
    /// Retrievals.
    pub retrievals: u64,
    /// Tokens read, without cached ones.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens read from a cache.
    pub cache_read_tokens: u64,
    /// Tokens written to one.
    pub cache_write_tokens: u64,
}

/// An idempotency key of a few parts, joined by `:`; what is too long or not printable ASCII is replaced by its
/// digest.
pub fn once_key(kind: &str, parts: &[&str]) -> String {
    let plain = format!("{kind}:{}", parts.join(":"));
    if plain.len() <= ONCE_MAX && plain.bytes().all(|byte| byte.is_ascii_graphic()) {
        return plain;
    }
    // Lengths keep `a:b` apart from two parts `a` and `b`.
    let mut joined = String::new();
    for part in parts {
        joined.push_str(&format!("{}:{part}", part.len()));
    }
    format!("{kind}:{}", Digest::of(joined.as_bytes()).to_hex())
}

/// A short text: at most `max` bytes, cut between characters.
pub(crate) fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_short_and_apart() {
        assert_eq!(once_key("tool", &["toolu_1"]), "tool:toolu_1");
        let long = once_key("tool", &[&"x".repeat(500)]);
        assert!(long.len() <= ONCE_MAX && long != once_key("tool", &[&"x".repeat(501)]));
        assert_ne!(once_key("usage", &["a b", "c"]), once_key("usage", &["a", "b c"]));
        assert_eq!(clip("aé", 2), "a");
    }
}
