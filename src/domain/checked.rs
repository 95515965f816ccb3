//! Signatures that were checked before, so that they need not be checked again: a check takes five times as long as all
//! the rest that is looked at in an entry, and gives the same for the same bytes for ever.
//!
//! What is remembered is a list of tags over everything that the check depends on, by a secret of the user's. So whoever
//! can write the list, or brings one along from elsewhere, cannot make a signature hold that was not found to hold here.

use std::collections::HashSet;

use super::ids::{Digest, KeyId};
use super::kept::Secret;

/// The rules that the remembered checks were made by: another version of them has other words here.
const RULES: &str = "signatures by strict Ed25519 and SSHSIG, 1";

/// The length of a tag in bytes: half of the hash, as much as nobody can guess.
const TAG: usize = 16;

/// What stands for one signature that holds.
pub type Tag = [u8; TAG];

/// A signature, with all that a check of it depends on.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The key that shall have signed.
    pub signer: &'a KeyId,
    /// The digest of the bytes that were signed.
    pub digest: &'a Digest,
    /// The signature's envelope.
    pub armour: &'a str,
}

/// The signatures that are known to hold.
#[derive(Clone)]
pub struct Checked {
    secret: Secret,
    tags: HashSet<Tag>,
}

impl Checked {
    /// Takes the secret, and the list as it was kept.
    pub fn new(secret: Secret, list: &[u8]) -> Self {
        // A tag that was cut off is none, and neither is one of another secret: nothing has it.
        Checked { secret, tags: list.as_chunks::<TAG>().0.iter().copied().collect() }
    }

    /// Whether the signature was found to hold before.
    ///
    /// # Errors
    /// Where it was not: the tag to remember once it was checked and holds.
    pub fn holds(&self, signed: &Signed<'_>) -> Result<(), Tag> {
        let tag = self.tag(signed);
        if self.tags.contains(&tag) { Ok(()) } else { Err(tag) }
    }

    fn tag(&self, signed: &Signed<'_>) -> Tag {
        let parts = [signed.digest.as_bytes(), signed.signer.as_str().as_bytes(), signed.armour.as_bytes()];
        let whole = self.secret.tag(RULES, &parts);
        std::array::from_fn(|at| whole[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed<'a>(signer: &'a KeyId, digest: &'a Digest, armour: &'a str) -> Signed<'a> {
        Signed { signer, digest, armour }
    }

    fn key(letter: char) -> KeyId {
        format!("SHA256:{}", letter.to_string().repeat(42) + "A").parse().unwrap()
    }

    #[test]
    fn a_list_holds_for_its_secret_and_for_exactly_what_was_checked() {
        let (ann, bob, body, other) = (key('a'), key('b'), Digest::of(b"body"), Digest::of(b"other"));
        let fresh = Checked::new(Secret::new(&[1; 32]), &[]);
        let tag = fresh.holds(&signed(&ann, &body, "armour")).unwrap_err();
        let kept = Checked::new(Secret::new(&[1; 32]), &tag);
        assert!(kept.holds(&signed(&ann, &body, "armour")).is_ok());
        for not in
            [signed(&bob, &body, "armour"), signed(&ann, &other, "armour"), signed(&ann, &body, "armou")]
        {
            assert!(kept.holds(&not).is_err(), "{not:?}");
        }
        let elsewhere = Checked::new(Secret::new(&[2; 32]), &tag);
        assert!(elsewhere.holds(&signed(&ann, &body, "armour")).is_err());
    }

    #[test]
    fn what_is_left_of_a_torn_list_holds_and_nothing_else() {
        let (ann, bodies) = (key('a'), [Digest::of(b"one"), Digest::of(b"two")]);
        let fresh = Checked::new(Secret::new(&[1; 32]), &[]);
        let list = bodies.map(|body| fresh.holds(&signed(&ann, &body, "armour")).unwrap_err()).concat();
        for length in 0..=list.len() {
            let torn = Checked::new(Secret::new(&[1; 32]), &list[..length]);
            let held = bodies.iter().filter(|body| torn.holds(&signed(&ann, body, "armour")).is_ok());
            assert_eq!(held.count(), length / TAG, "{length} bytes");
        }
    }
}
