//! Signed, hash-linked receipts of agent and human work, kept inside the repository's own refs.

pub mod agents;
pub mod child;
pub mod domain;
pub mod store;
