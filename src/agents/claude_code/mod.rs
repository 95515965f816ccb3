//! Claude Code: its transcripts and the shapes that its hooks share with them.
//!
//! A transcript is JSON lines. One API message spans several lines that repeat its usage; a tool's result is a later
//! line that names the call; what a sub-agent does comes as lines of its own file, as side-chain lines, or wrapped in
//! progress lines, and often as more than one of these. Every fact therefore has a key made of the agent's own ids, so
//! that the same thing told twice, here or by a hook, is one fact.

mod edits;
pub mod hook;
mod paths;
mod record;
mod retrieval;
pub mod settings;
pub mod tail;
pub mod tools;
pub mod transcript;
mod verdict;

use super::gates::GateTable;
use super::once_key;
use crate::domain::ids::{Digest, Oid};

/// The name under which this agent's sessions and receipts stand.
pub const SOURCE: &str = "claude-code";

/// What the reader is given.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Which commands are gates.
    pub gates: &'a GateTable,
    /// The id of a blob of these bytes in the repository.
    pub blob_id: &'a dyn Fn(&[u8]) -> Oid,
    /// Whether a path, from the top of the working tree, is of a file whose content must not be named by an id:
    /// secret-looking, ignored or excluded.
    pub looks_secret: &'a dyn Fn(&[u8]) -> bool,
    /// The top of the working tree, which is taken off paths; where none is given, the session's first directory.
    pub root: Option<&'a str>,
    /// The id of zeros, which stands for the tree that an imported gate ran on: nobody knows it.
    pub null_tree: Oid,
}

/// The key of a person's prompt, the `occurrence`-th of the session with this text, counted from 1.
pub fn prompt_once(text: &str, occurrence: u64) -> String {
    once_key("prompt", &[&short_digest(text), &occurrence.to_string()])
}

/// The key of what closes the receipt that was opened under `prompt_once`.
pub fn closed_once(prompt_once: &str) -> String {
    once_key("closed", &[prompt_once])
}

/// The key of a tool call.
pub fn tool_once(tool_use_id: &str) -> String {
    once_key("tool", &[tool_use_id])
}

/// The key of the usage of one API message.
pub fn usage_once(message_id: &str, request_id: &str) -> String {
    once_key("usage", &[message_id, request_id])
}

/// The key of what a person said while the agent worked, the `occurrence`-th of the session with this text.
pub fn guidance_once(text: &str, occurrence: u64) -> String {
    once_key("guidance", &[&short_digest(text), &occurrence.to_string()])
}

/// 16 hex digits for a text without its outer white space, which hooks and transcripts do not agree on.
fn short_digest(text: &str) -> String {
    Digest::of(text.trim().as_bytes()).to_hex()[..16].to_owned()
}
