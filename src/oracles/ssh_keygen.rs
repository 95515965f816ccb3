//! Files of signers, as `ssh-keygen -Y verify` reads them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use ssh_key::{Algorithm, HashAlg, LineEnding, PublicKey, Signature, SshSig};

use crate::domain::signers::tests::{files, fill, key, keypair, sk_key};
use crate::domain::signers::{AllowedSigners, NAMESPACE, Options, add};

const MESSAGE: &[u8] = b"{}";

/// What `ssh-keygen` says about one signature.
struct Oracle {
    dir: tempfile::TempDir,
}

impl Oracle {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for seed in [1, 2] {
            let signature = keypair(seed).sign(NAMESPACE, HashAlg::Sha512, MESSAGE).unwrap();
            write_signature(dir.path(), &key(seed), &signature);
        }
        // A token signs a digest of the application, its flags (touched) and counter, and of the data.
        let public = sk_key(1, "ssh:");
        let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, MESSAGE).unwrap();
        let sha256 = |bytes: &[u8]| HashAlg::Sha256.digest(bytes);
        let trailer = [1, 0, 0, 0, 7];
        let signed = [&sha256(b"ssh:")[..], &trailer, &sha256(&data)].concat();
        let signer = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let raw = ed25519_dalek::Signer::sign(&signer, &signed).to_bytes();
        let raw = Signature::new(Algorithm::SkEd25519, [&raw[..], &trailer].concat()).unwrap();
        let signature = SshSig::new(public.key_data().clone(), NAMESPACE, HashAlg::Sha512, raw).unwrap();
        write_signature(dir.path(), &public, &signature);
        fs::write(dir.path().join("message"), MESSAGE).unwrap();
        Oracle { dir }
    }

    fn ask(&self, text: &str, words: &[&str], key: &PublicKey) -> (bool, String) {
        fs::write(self.dir.path().join("signers"), text).unwrap();
        let output = Command::new("ssh-keygen")
            .args(["-Y", words[0], "-f", "signers", "-s", &file_of(key), "-O", "verify-time=20250601120000"])
            .args(&words[1..])
            .current_dir(self.dir.path())
            .env("TZ", "UTC")
            .stdin(Stdio::from(fs::File::open(self.dir.path().join("message")).unwrap()))
            .output()
            .expect("these tests need ssh-keygen");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Fails where we take a line that ssh-keygen reads otherwise.
    fn compare(&self, text: &str) -> Result<(), TestCaseError> {
        let Ok(signers) = AllowedSigners::parse(text) else { return Ok(()) };
        for signer in signers.entries() {
            let (takes, says) =
                self.ask(text, &["verify", "-n", NAMESPACE, "-I", &signer.principal], &signer.key);
            prop_assert_eq!(takes, signer.signs_receipts(), "{:?}: {}", text, says);
            let (found, principals) = self.ask(text, &["find-principals"], &signer.key);
            prop_assert!(found, "{:?}", text);
            prop_assert_eq!(principals, format!("{}\n", signer.principal));
        }
        Ok(())
    }
}

fn file_of(key: &PublicKey) -> String {
    ssh_key::Fingerprint::to_string(&key.fingerprint(HashAlg::Sha256)).replace(['/', ':'], "_")
}

fn write_signature(dir: &Path, key: &PublicKey, signature: &SshSig) {
    fs::write(dir.join(file_of(key)), signature.to_pem(LineEnding::LF).unwrap()).unwrap();
}

#[test]
fn ssh_keygen_takes_every_line_that_we_take() {
    let oracle = Oracle::new();
    // Whose `KEY1` or `SKEY1` we say it is; "" where the line is good and lists it for other purposes.
    let table = [
        ("alice@example.com KEY1", Some("alice@example.com")),
        ("alice@example.com SKEY1", Some("alice@example.com")),
        ("alice KEY1\n", Some("alice")),
        ("alice KEY1\r\n", Some("alice")),
        ("alice KEY1\r", Some("alice")),
        ("\r\n# x\r\n\r\nalice KEY1 c\r\n", Some("alice")),
        (" \t alice \t KEY1", Some("alice")),
        ("alice\tKEY1\tlaptop", Some("alice")),
        ("alice ssh-ed25519\tB641", Some("alice")),
        ("alice ssh-ed25519 \t B641 \"x", Some("alice")),
        ("alice KEY1 # comment", Some("alice")),
        ("\"alice\" KEY1", Some("alice")),
        ("\"al  b\" KEY1", Some("al  b")),
        ("\"#x\" KEY1", Some("#x")),
        ("\"a\\\" KEY1", Some("a\\")),
        ("a'b KEY1", Some("a'b")),
        ("local+agent@domain KEY1", Some("local+agent@domain")),
        ("Ünï KEY1", Some("Ünï")),
        ("ssh-ed25519 KEY1", Some("ssh-ed25519")),
        ("namespaces=x KEY1", Some("namespaces=x")),
        ("alice namespaces=\"git-receipt\" KEY1", Some("alice")),
        ("alice NameSpaces=\"git-receipt\" \t KEY1", Some("alice")),
        ("alice\tnamespaces=\"git-receipt\"\tSKEY1", Some("alice")),
        ("alice namespaces=\"git,git-receipt,file\" KEY1", Some("alice")),
        ("alice namespaces=\"git-receipt,git-receipt\" KEY1", Some("alice")),
        ("alice namespaces=\"git\" KEY1", Some("")),
        ("alice namespaces=\"GIT-RECEIPT\" KEY1", Some("")),
        ("alice namespaces=\"git-receipts,xgit-receipt\" KEY1", Some("")),
        ("alice valid-after=\"20240101\" KEY1", Some("alice")),
        ("alice VALID-AFTER=\"20240101Z\",Valid-Before=\"202801020304Z\" KEY1", Some("alice")),
        ("alice valid-before=\"20280102030405\",namespaces=\"git-receipt\" KEY1", Some("alice")),
        ("alice valid-before=\"20280102030405Z\",valid-after=\"202401010000Z\" KEY1", Some("alice")),
        ("bob namespaces=\"git\" KEY2\nalice KEY1", Some("alice")),
        ("alice namespaces=\"git-receipt\" KEY2\n\nalice valid-after=\"19710101\" KEY1", Some("alice")),
        ("alice, KEY1", None),
        ("alice,bob KEY1", None),
        ("al* KEY1", None),
        ("alice\"\" KEY1", None),
        ("\"alice\"KEY1", None),
        ("'alice b' KEY1", None),
        ("alice namespaces=\"git-receipt\" , KEY1", None),
        ("alice namespaces = \"git-receipt\" KEY1", None),
        ("alice namespaces=\"git-receipt\",KEY1", None),
        ("alice namespaces=\"git\\\"-receipt\" KEY1", None),
        ("alice namespaces='git-receipt' KEY1", None),
        ("alice namespaces=\"git-receipt\",! KEY1", None),
        ("alice namespaces=\" git-receipt\" KEY1", None),
        ("alice namespaces=\"git-*\" KEY1", None),
        ("alice no-cert-authority KEY1", None),
        ("alice \"namespaces=git-receipt\" KEY1", None),
        ("alice valid-after=\"2024-01-01\" KEY1", None),
        ("alice KEY1\0", None),
        ("alice ssh-ed25519 B641=", None),
        ("alice SSH-ED25519 B641", None),
        ("alice ED25519 B641", None),
        ("alice sk-ssh-ed25519@openssh.com B641", None),
    ];
    for (text, principal) in table {
        let text = fill(text);
        let signers = AllowedSigners::parse(&text);
        let said = signers.as_ref().ok().map(|signers| {
            let last = signers.entries().last().expect("the last line of each row has a key");
            signers.principal_of(&last.fingerprint).unwrap_or_default()
        });
        assert_eq!(said, principal, "{text:?}: {signers:?}");
        oracle.compare(&text).unwrap();
    }
}

#[test]
fn ssh_keygen_takes_every_made_up_file_that_we_take() {
    let oracle = Oracle::new();
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    runner.run(&files(), |text| oracle.compare(&text)).unwrap();
}

#[test]
fn ssh_keygen_takes_what_we_add() {
    let oracle = Oracle::new();
    let mut text = "# x\r\nbob namespaces=\"git\" KEY2".to_owned();
    text = add(&fill(&text), "Al B", &key(1), &Options::receipts_only()).unwrap();
    text = add(&text, "#al", &key(2), &Options::receipts_only()).unwrap();
    text = add(&text, "al+agent@example.com", &sk_key(1, "ssh:"), &Options::default()).unwrap();
    assert_eq!(AllowedSigners::parse(&text).unwrap().entries().len(), 3);
    oracle.compare(&text).unwrap();
}
