//! What must be true of a commit before it may stand on a ref.

mod pattern;
#[cfg(test)]
pub(crate) mod tests;

use ssh_key::PublicKey;
use ssh_key::public::Ed25519PublicKey;

pub use pattern::{PathPatterns, RefPattern, Unfit};

use super::signers;

/// Refuses what no signer can be called.
fn check_principal(principal: &str) -> Result<(), signers::Problem> {
    // Asked of the file of signers itself: what cannot stand there never signs, so here it would be a mistake.
    let key = PublicKey::from(Ed25519PublicKey([0; 32]));
    match signers::add("", principal, &key, &signers::Options::receipts_only()) {
        Ok(_) => Ok(()),
        Err(signers::AddError::Line(problem)) => Err(problem),
        Err(signers::AddError::Text(error)) => Err(error.problem),
    }
}

/// Text for a message: at most 60 characters, nothing in it that acts on a terminal.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
