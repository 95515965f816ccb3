//! What is kept between runs because working it out again takes long, and how it is known that nobody else wrote it.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// A secret of the user's that no repository has. Results that are kept beside the chains carry a keyed hash
/// (HMAC-SHA-256, RFC 2104) by it, so that nobody can make one up or bring one along from elsewhere.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// A keyed hash.
pub type Tag = [u8; 32];

impl Secret {
    /// Takes the bytes of the secret.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Secret(Hmac::new_from_slice(bytes).expect("a key may have any length"))
    }

    /// The tag over `parts`. `rules` names what they are, and by which version of our rules.
    pub fn tag(&self, rules: &str, parts: &[&[u8]]) -> Tag {
        let mut keyed = self.0.clone();
        for part in [rules.as_bytes()].iter().chain(parts) {
            // With its length, so that no other parts join to the same bytes.
            keyed.update(&(part.len() as u64).to_be_bytes());
            keyed.update(part);
        }
        keyed.finalize().into_bytes().into()
    }
}

/// A result as it is kept: behind the tag over what it was worked out from, and itself.
pub fn wrap(secret: &Secret, rules: &str, from: &[u8], result: &[u8]) -> Vec<u8> {
    [&secret.tag(rules, &[from, result])[..], result].concat()
}

/// The result in what [`wrap`] made; none where anybody else made it, or from something else.
pub fn unwrap<'k>(secret: &Secret, rules: &str, from: &[u8], kept: &'k [u8]) -> Option<&'k [u8]> {
    let (tag, result) = kept.split_first_chunk::<32>()?;
    (secret.tag(rules, &[from, result]) == *tag).then_some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_that_others_compute() {
        // Python: hmac.new(b"\1" * 32, b"".join(len(p).to_bytes(8, "big") + p for p in [b"rules", b"a", b"bc"]), "sha256")
        let tag = Secret::new(&[1; 32]).tag("rules", &[b"a", b"bc"]);
        assert_eq!(
            tag.map(|byte| format!("{byte:02x}")).concat(),
            "dd7e2f8b87d177d7ae86fa4557d91da26c5f70cd6e6e36a26a84a6a26b0de40f"
        );
    }

    #[test]
    fn a_result_comes_back_for_its_secret_its_rules_and_what_it_is_from_only() {
        let secret = Secret::new(&[1; 32]);
        let kept = wrap(&secret, "rules 1", b"from", b"result");
        assert_eq!(unwrap(&secret, "rules 1", b"from", &kept), Some(&b"result"[..]));
        assert_eq!(unwrap(&secret, "rules 2", b"from", &kept), None);
        assert_eq!(unwrap(&secret, "rules 1", b"fro", &kept), None);
        assert_eq!(unwrap(&Secret::new(&[2; 32]), "rules 1", b"from", &kept), None);
        for at in 0..kept.len() {
            let mut other = kept.clone();
            other[at] ^= 1;
            assert_eq!(unwrap(&secret, "rules 1", b"from", &other), None, "byte {at}");
            assert_eq!(unwrap(&secret, "rules 1", b"from", &kept[..at]), None, "{at} bytes");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let secret = Secret::new(&[1; 32]);
        assert_ne!(secret.tag("rules", &[b"ab", b"c"]), secret.tag("rules", &[b"a", b"bc"]));
        assert_ne!(secret.tag("rules", &[b"ab"]), secret.tag("rulesab", &[]));
    }
}
