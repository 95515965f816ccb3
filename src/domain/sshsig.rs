//! Signatures over the bytes of a body: SSHSIG as OpenSSH's PROTOCOL.sshsig has it, held to one encoding.
//!
//! Namespace `git-receipt`, hash SHA-512, key type `ssh-ed25519` or `sk-ssh-ed25519@openssh.com` with user
//! presence. `ssh-keygen -Y verify` accepts whatever [`verify`] accepts; the other way round it does not hold,
//! because OpenSSH reads envelopes of version 0, reserved fields, CRLF and any line width, and Ed25519 points of
//! small order.

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, Signature, SshSig};

use super::ids::KeyId;

/// The namespace of every signature: private on purpose, so that a key limited to it can sign nothing else.
pub const NAMESPACE: &str = "git-receipt";

/// The flag bit of PROTOCOL.u2f that says a person touched the key.
const USER_PRESENCE: u8 = 0x01;

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The armour or what it holds is not in the one accepted encoding.
    #[error("signature envelope: {0}")]
    Envelope(String),
    /// The envelope is sound and the signature is not one of these bytes by this key.
    #[error("signature does not match the body")]
    Mismatch,
    /// The key in the envelope is not the one asked for.
    #[error("signed by `{0}`")]
    OtherKey(KeyId),
}

/// A public key, ready to check signatures.
#[derive(Debug, Clone)]
pub struct Verifier {
    data: KeyData,
    point: VerifyingKey,
    id: KeyId,
    /// What every envelope of this key starts with, up to the signature itself; empty for a token, whose signatures
    /// end in a counter.
    start: Vec<u8>,
}

impl Verifier {
    /// Prepares a key.
    ///
    /// # Errors
    /// When the key is of another type, or no strict Ed25519 point (small order, or not canonical).
    pub fn new(key: &PublicKey) -> Result<Self, SignatureError> {
        Self::from_data(key.key_data().clone())
    }

    fn from_data(data: KeyData) -> Result<Self, SignatureError> {
        let bytes = match &data {
            KeyData::Ed25519(key) => &key.0,
            KeyData::SkEd25519(key) => &key.public_key().0,
            other => {
                return Err(SignatureError::Envelope(format!("key type `{}`", other.algorithm())));
            }
        };
        let point = VerifyingKey::from_bytes(bytes)
            .ok()
            .filter(|point| !point.is_weak() && point.to_bytes() == *bytes && canonical_point(bytes))
            .ok_or_else(|| SignatureError::Envelope("public key is no valid point".into()))?;
        let id = KeyId::of(&PublicKey::from(data.clone()));
        let start = match &data {
            KeyData::Ed25519(_) => envelope_start(bytes),
            _ => Vec::new(),
        };
        Ok(Verifier { data, point, id, start })
    }

    /// The signature in an armour that is, to the byte, what this key's envelopes look like; `None` for everything
    /// else, which is then read with care for what is wrong with it.
    fn signature_in(&self, armour: &str) -> Option<[u8; 64]> {
        let lines = armour.strip_prefix(ARMOUR_BEGIN)?.strip_suffix(ARMOUR_END)?.as_bytes();
        if self.start.is_empty() || lines.len() > 1024 {
            return None;
        }
        let mut text = [0; 1024];
        let mut length = 0;
        for line in lines.chunks(ARMOUR_WIDTH + 1) {
            // Every line is full but the last, and every one ends.
            let (content, end) = line.split_at(line.len() - 1);
            if end != b"\n" || content.contains(&b'\n') {
                return None;
            }
            text[length..length + content.len()].copy_from_slice(content);
            length += content.len();
        }
        let mut bytes = [0; 768];
        let decoded = Base64::decode(&text[..length], &mut bytes).ok()?;
        let signature = decoded.strip_prefix(self.start.as_slice())?.try_into().ok()?;
        let mut again = [0; 1024];
        let encoded = Base64::encode(decoded, &mut again).ok()?;
        (encoded.as_bytes() == &text[..length]).then_some(signature)
    }

    /// The fingerprint of the key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Checks that `armour` signs `body` by this key.
    ///
    /// # Errors
    /// Says what is wrong with the envelope, or that the signature is of other bytes or by another key.
    pub fn verify(&self, armour: &str, body: &[u8]) -> Result<(), SignatureError> {
        let envelope = Envelope::parse(armour)?;
        if *envelope.key_data() != self.data {
            let other = KeyId::of(&PublicKey::from(envelope.key_data().clone()));
            return Err(SignatureError::OtherKey(other));
        }
        self.check(&envelope, body)
    }

    fn check(&self, envelope: &Envelope, body: &[u8]) -> Result<(), SignatureError> {
        let signed = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, body)
            .map_err(|error| SignatureError::Envelope(error.to_string()))?;
        let signature = envelope.0.signature();
        let strict = |raw: &[u8], message: &[u8]| {
            let raw: &[u8; 64] = raw.try_into().map_err(|_| SignatureError::Mismatch)?;
            self.point
                .verify_strict(message, &Ed25519Signature::from_bytes(raw))
                .map_err(|_| SignatureError::Mismatch)
        };
        match &self.data {
            KeyData::SkEd25519(key) => {
                // PROTOCOL.u2f: the token signs SHA-256(application), flags, counter, SHA-256(message).
                let (raw, trailer) =
                    signature.as_bytes().split_at_checked(64).ok_or(SignatureError::Mismatch)?;
                let [flags, _, _, _, _] = trailer else { return Err(SignatureError::Mismatch) };
                if flags & USER_PRESENCE == 0 {
                    return Err(SignatureError::Envelope("made without user presence".into()));
                }
                let mut message = Sha256::digest(key.application().as_bytes()).to_vec();
                message.extend_from_slice(trailer);
                message.extend_from_slice(&Sha256::digest(&signed));
                strict(raw, &message)
            }
            _ => strict(signature.as_bytes(), &signed),
        }
    }
}

const ARMOUR_BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const ARMOUR_END: &str = "-----END SSH SIGNATURE-----\n";
const ARMOUR_WIDTH: usize = 70;

/// The fields of PROTOCOL.sshsig before the signature's 64 bytes, for an Ed25519 key.
fn envelope_start(point: &[u8; 32]) -> Vec<u8> {
    let string = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("a few bytes");
        [&length.to_be_bytes()[..], bytes].concat()
    };
    let key = [string(b"ssh-ed25519"), string(point)].concat();
    let mut start = b"SSHSIG".to_vec();
    start.extend(1u32.to_be_bytes());
    for field in [&key[..], NAMESPACE.as_bytes(), b"", b"sha512"] {
        start.extend(string(field));
    }
    let signature = [string(b"ssh-ed25519"), string(&[0; 64])].concat();
    start.extend(&string(&signature)[..4 + signature.len() - 64]);
    start
}

/// A point's y coordinate below the field's prime, 2^255−19, the sign bit aside (RFC 8032, section 5.1.3).
fn canonical_point(bytes: &[u8; 32]) -> bool {
    let high = bytes[31] & 0x7f;
    !(high == 0x7f && bytes[1..31].iter().all(|b| *b == 0xff) && bytes[0] >= 0xed)
}

/// A parsed envelope whose armour was in the one accepted form.
#[derive(Debug, Clone)]
pub struct Envelope(SshSig);

impl Envelope {
    /// Reads the armour, from its BEGIN line to its END line with the newline after it.
    ///
    /// # Errors
    /// When it is not exactly how the same envelope would be written: LF, 70 columns, version 1, nothing
    /// reserved, namespace `git-receipt`, SHA-512, a signature of the key's own algorithm.
    pub fn parse(armour: &str) -> Result<Self, SignatureError> {
        let envelope = |text: &str| SignatureError::Envelope(text.to_owned());
        let parsed = SshSig::from_pem(armour).map_err(|error| SignatureError::Envelope(error.to_string()))?;
        if parsed.version() != SshSig::VERSION {
            return Err(SignatureError::Envelope(format!("version {}", parsed.version())));
        }
        if !parsed.reserved().is_empty() {
            return Err(envelope("reserved field is not empty"));
        }
        if parsed.namespace() != NAMESPACE {
            let shown = parsed.namespace().escape_debug();
            return Err(SignatureError::Envelope(format!("namespace `{shown}`")));
        }
        if parsed.hash_alg() != HashAlg::Sha512 {
            return Err(SignatureError::Envelope(format!("hash `{}`", parsed.hash_alg())));
        }
        if parsed.algorithm() != parsed.public_key().algorithm() {
            return Err(envelope("signature and key are of different types"));
        }
        if parsed.to_pem(LineEnding::LF).ok().as_deref() != Some(armour) {
            return Err(envelope("armour is not in its one form (LF, 70 columns)"));
        }
        Ok(Envelope(parsed))
    }

    /// The key that the envelope names.
    pub fn key_data(&self) -> &KeyData {
        self.0.public_key()
    }

    /// Prepares the key that the envelope names.
    ///
    /// # Errors
    /// As [`Verifier::new`].
    pub fn verifier(&self) -> Result<Verifier, SignatureError> {
        Verifier::from_data(self.key_data().clone())
    }
}

/// Checks `armour` over `body` by whichever key the envelope names, and returns that key.
///
/// `cache` keeps prepared keys: decompressing a point costs about a sixth of a verification.
///
/// # Errors
/// As [`Verifier::verify`].
pub fn verify<'c>(
    armour: &str,
    body: &[u8],
    cache: &'c mut Vec<Verifier>,
) -> Result<&'c Verifier, SignatureError> {
    let plain = cache.iter().enumerate().find_map(|(at, known)| Some((at, known.signature_in(armour)?)));
    if let Some((index, signature)) = plain {
        let signed = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, body)
            .map_err(|error| SignatureError::Envelope(error.to_string()))?;
        let known = &cache[index];
        return match known.point.verify_strict(&signed, &Ed25519Signature::from_bytes(&signature)) {
            Ok(()) => Ok(known),
            Err(_) => Err(SignatureError::Mismatch),
        };
    }
    let envelope = Envelope::parse(armour)?;
    let index = match cache.iter().position(|known| known.data == *envelope.key_data()) {
        Some(index) => index,
        None => {
            cache.push(envelope.verifier()?);
            cache.len() - 1
        }
    };
    cache[index].check(&envelope, body)?;
    Ok(&cache[index])
}

/// Signs `body` with an Ed25519 key and returns the armour.
///
/// # Errors
/// When the key is encrypted or of another type: such a key signs through `ssh-keygen`.
pub fn sign(key: &PrivateKey, body: &[u8]) -> Result<String, ssh_key::Error> {
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(ssh_key::Error::AlgorithmUnsupported { algorithm: key.algorithm() });
    }
    SshSig::sign(key, NAMESPACE, HashAlg::Sha512, body)?.to_pem(LineEnding::LF)
}

/// Puts a raw signature into an envelope, for tokens and tests that sign by themselves.
///
/// # Errors
/// When the parts do not make an envelope.
pub fn armour(key: KeyData, signature: Signature) -> Result<String, ssh_key::Error> {
    SshSig::new(key, NAMESPACE, HashAlg::Sha512, signature)?.to_pem(LineEnding::LF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_key::private::Ed25519Keypair;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
    }

    #[test]
    fn a_signature_holds_for_its_bytes_and_key_only() {
        let signed = sign(&key(1), b"body").unwrap();
        let verifier = Verifier::new(key(1).public_key()).unwrap();
        verifier.verify(&signed, b"body").unwrap();
        assert_eq!(verifier.verify(&signed, b"bodY"), Err(SignatureError::Mismatch));
        let other = Verifier::new(key(2).public_key()).unwrap();
        assert_eq!(other.verify(&signed, b"body"), Err(SignatureError::OtherKey(verifier.id().clone())));
    }

    #[test]
    fn every_flipped_bit_of_the_armour_is_noticed() {
        let signed = sign(&key(1), b"body").unwrap();
        let verifier = Verifier::new(key(1).public_key()).unwrap();
        for bit in 0..signed.len() * 8 {
            let mut bytes = signed.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(verifier.verify(&text, b"body").is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn both_ways_of_reading_an_armour_agree() {
        let signed = sign(&key(1), b"body").unwrap();
        let mut cache = Vec::new();
        verify(&signed, b"body", &mut cache).unwrap();
        assert!(cache[0].signature_in(&signed).is_some(), "the short way is the one that is taken");
        assert_eq!(verify(&signed, b"bodY", &mut cache).err(), Some(SignatureError::Mismatch));
        let other = sign(&key(2), b"body").unwrap();
        assert!(cache[0].signature_in(&other).is_none());
        for bit in 0..signed.len() * 8 {
            let mut bytes = signed.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let careful = Verifier::new(key(1).public_key()).unwrap().verify(&text, b"body");
            assert!(careful.is_err() && verify(&text, b"body", &mut cache).is_err(), "bit {bit}");
        }
        for odd in [signed.replace('\n', "\r\n"), signed.trim_end().to_owned(), signed.replacen('\n', "", 1)]
        {
            assert!(cache[0].signature_in(&odd).is_none());
        }
    }

    #[test]
    fn armour_has_one_form() {
        let signed = sign(&key(1), b"body").unwrap();
        assert!(Envelope::parse(&signed.replace('\n', "\r\n")).is_err());
        assert!(Envelope::parse(signed.trim_end()).is_err());
        let unwrapped = {
            let lines: Vec<_> = signed.lines().collect();
            format!("{}\n{}\n{}\n", lines[0], lines[1..lines.len() - 1].concat(), lines[lines.len() - 1])
        };
        assert!(Envelope::parse(&unwrapped).is_err());
    }

    /// A token in software: PROTOCOL.u2f's message signed by an ordinary Ed25519 key.
    fn token_signature(flags: u8, body: &[u8]) -> (PublicKey, String) {
        use ed25519_dalek::Signer as _;
        let signing = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let point = ssh_key::public::Ed25519PublicKey(signing.verifying_key().to_bytes());
        let data = KeyData::SkEd25519(ssh_key::public::SkEd25519::new(point, "ssh:"));
        let mut message = Sha256::digest(b"ssh:").to_vec();
        let trailer = [flags, 0, 0, 0, 9];
        message.extend(trailer);
        message.extend(Sha256::digest(SshSig::signed_data(NAMESPACE, HashAlg::Sha512, body).unwrap()));
        let mut raw = signing.sign(&message).to_bytes().to_vec();
        raw.extend(trailer);
        let signature = Signature::new(Algorithm::SkEd25519, raw).unwrap();
        (PublicKey::from(data.clone()), armour(data, signature).unwrap())
    }

    #[test]
    fn a_token_signs_only_when_touched() {
        let (key, touched) = token_signature(USER_PRESENCE, b"body");
        Verifier::new(&key).unwrap().verify(&touched, b"body").unwrap();
        let (key, untouched) = token_signature(0, b"body");
        assert!(Verifier::new(&key).unwrap().verify(&untouched, b"body").is_err());
    }

    #[test]
    fn points_of_small_order_and_other_spellings_of_points_are_no_keys() {
        let small_order = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ];
        let not_canonical = [
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for digits in small_order.iter().chain(&not_canonical) {
            let bytes = super::super::ids::unhex::<32>(digits).unwrap();
            let key = PublicKey::from(KeyData::Ed25519(ssh_key::public::Ed25519PublicKey(bytes)));
            assert!(Verifier::new(&key).is_err(), "{digits}");
        }
    }

    #[test]
    fn a_signature_with_s_beyond_the_group_order_is_refused() {
        // S + L is the same scalar to a lax verifier (RFC 8032, section 5.1.7 forbids it).
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let signed = sign(&key(1), b"body").unwrap();
        let envelope = Envelope::parse(&signed).unwrap();
        let mut raw = envelope.0.signature_bytes().to_vec();
        let mut carry = 0u16;
        for (byte, add) in raw[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        let moved = armour(envelope.key_data().clone(), Signature::new(Algorithm::Ed25519, raw).unwrap());
        let verifier = Verifier::new(key(1).public_key()).unwrap();
        assert_eq!(verifier.verify(&moved.unwrap(), b"body"), Err(SignatureError::Mismatch));
    }
}
