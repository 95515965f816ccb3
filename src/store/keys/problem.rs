//! What can be wrong with a key, in words that hold nothing of it.

use base64ct::{Base64, Encoding as _};

/// Why a key cannot sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// It is of another type.
    #[error(
        "is of type `{0}`, and receipts are signed with `ssh-ed25519` or `sk-ssh-ed25519@openssh.com` only"
    )]
    Type(String),
    /// There is nothing in its file.
    #[error("is empty")]
    Empty,
    /// It cannot be read as a key.
    #[error("cannot be read: {0}")]
    Form(String),
    /// It is a private key in the form of another program.
    #[error("is a private key in another form than OpenSSH's own")]
    ForeignForm,
    /// What should be a path is a private key.
    #[error("is a private key itself, where the path of a file with one belongs")]
    NoPath,
    /// It has a passphrase that nobody can be asked for.
    #[error("has a passphrase, no agent holds it, and there is no terminal to ask on")]
    Locked,
    /// The passphrase was wrong.
    #[error("has another passphrase than the one that was given")]
    Passphrase,
    /// Its private half is not to be found.
    #[error("is a public key, whose private half is neither beside it nor in a running agent")]
    Away,
    /// `ssh-keygen` ignores it because others can read it.
    #[error("can be read by others, and `ssh-keygen` does not use such keys")]
    Exposed,
}

/// The type of the key in a file, as far as its frame says, for one that cannot be used.
pub(super) fn type_in(text: &str) -> Option<String> {
    let text = text.trim();
    let Some(rest) = text.strip_prefix("-----BEGIN ") else {
        let word = text.split_whitespace().next()?;
        return ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|start| word.starts_with(start))
            .then(|| word.to_owned());
    };
    let (label, rest) = rest.split_once("-----")?;
    match label {
        "RSA PRIVATE KEY" => return Some("ssh-rsa".into()),
        "DSA PRIVATE KEY" => return Some("ssh-dss".into()),
        "EC PRIVATE KEY" => return Some("ecdsa-sha2".into()),
        "OPENSSH PRIVATE KEY" => {}
        _ => return None,
    }
    let (body, _) = rest.split_once("-----END")?;
    let body: String = body.split_whitespace().collect();
    let bytes = Base64::decode_vec(&body).ok()?;
    // PROTOCOL.key: cipher, kdf and its options, the number of keys, the first public key; in that its type.
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    for _ in 0..3 {
        rest = string(rest)?.1;
    }
    let (name, _) = string(string(rest.get(4..)?)?.0)?;
    let name = std::str::from_utf8(name).ok()?;
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())).then(|| name.to_owned())
}

/// A length and so many bytes, and what comes after them.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_file_holds_its_type_is_found_or_not() {
        for text in
            ["", "ssh", "-----BEGIN ", "-----BEGIN OPENSSH PRIVATE KEY-----", "-----BEGIN X-----\n-----END"]
        {
            assert_eq!(type_in(text), None, "{text}");
        }
        let body = Base64::encode_string(b"openssh-key-v1\0\xff\xff\xff\xff");
        let text =
            format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n");
        assert_eq!(type_in(&text), None);
        assert_eq!(type_in("ecdsa-sha2-nistp256 AAAA x").as_deref(), Some("ecdsa-sha2-nistp256"));
    }
}
