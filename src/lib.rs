//! Signed, hash-linked receipts of agent and human work, kept inside the repository's own refs.
//!
//! Imports point one way: [`cli`] → [`commands`] → [`store`], [`child`] → [`domain`], and `domain` imports none
//! of the others. `cli` parses words and prints; a command reads facts through the store, lets `domain` decide,
//! and hands the store one guarded write; only `env` reads the process's environment.

pub mod agents;
pub mod child;
pub mod cli;
pub mod commands;
pub mod domain;
pub mod env;
pub mod store;

#[cfg(test)]
mod oracles;
