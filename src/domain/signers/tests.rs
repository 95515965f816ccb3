//! What is taken and refused, on made-up files; `ssh-keygen` is asked elsewhere.

use proptest::prelude::*;
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::public::{Ed25519PublicKey, SkEd25519};

use super::*;
use ssh_key::public::KeyData;

pub(crate) fn keypair(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

pub(crate) fn key(seed: u8) -> PublicKey {
    keypair(seed).public_key().clone()
}

pub(crate) fn sk_key(seed: u8, application: &str) -> PublicKey {
    let point = Ed25519Keypair::from_seed(&[seed; 32]).public;
    KeyData::SkEd25519(SkEd25519::new(Ed25519PublicKey(point.0), application)).into()
}

fn openssh(key: &PublicKey) -> String {
    key.to_openssh().unwrap()
}

/// Puts keys where a line says `KEY1`, `KEY2` or `SKEY1`, and their bare base64 for `B641`.
pub(crate) fn fill(text: &str) -> String {
    let base64 = openssh(&key(1))[ED25519.len() + 1..].to_owned();
    text.replace("SKEY1", &openssh(&sk_key(1, "ssh:")))
        .replace("KEY1", &openssh(&key(1)))
        .replace("KEY2", &openssh(&key(2)))
        .replace("B641", &base64)
}

#[test]
fn a_file_says_whose_each_key_is() {
    let text = fill(concat!(
        "# our people\r\n",
        "\n",
        "  \t\n",
        "alice@example.com namespaces=\"git,git-receipt\",valid-after=\"20240101Z\" KEY1 laptop # old\r\n",
        "\t\"Bob B.\"\tSKEY1\n",
        "alice@example.com namespaces=\"git\" KEY2",
    ));
    let signers = AllowedSigners::parse(&text).unwrap();
    let lines: Vec<_> = signers.entries().iter().map(|signer| (signer.line, &*signer.principal)).collect();
    assert_eq!(lines, [(4, "alice@example.com"), (5, "Bob B."), (6, "alice@example.com")]);
    assert_eq!(signers.entries()[0].key, key(1));
    assert_eq!(
        signers.entries()[0].options.to_string(),
        r#"namespaces="git,git-receipt",valid-after="20240101Z""#
    );
    assert_eq!(signers.principal_of(&KeyId::of(&key(1))), Some("alice@example.com"));
    assert_eq!(signers.principal_of(&KeyId::of(&sk_key(1, "ssh:"))), Some("Bob B."));
    assert_eq!(signers.principal_of(&KeyId::of(&key(2))), None, "listed for commits only");
    let keys: Vec<_> = signers.keys_of("alice@example.com").map(|signer| signer.line).collect();
    assert_eq!(keys, [4]);
    assert_eq!(AllowedSigners::parse("").unwrap(), AllowedSigners::default());
}

#[test]
fn every_refusal_names_its_place_and_cause() {
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC";
    let nul = openssh(&sk_key(1, "ssh:\0"));
    let (long, shown_long) = ("x".repeat(256), "x".repeat(60) + "…");
    let one = KeyId::of(&key(1));
    let table: Vec<(String, String)> = [
        ("*@example.com KEY1", "line 1, column 1: `*@example.com` is a pattern, not a principal"),
        ("ali?e KEY1", "line 1, column 1: `ali?e` is a pattern, not a principal"),
        ("!alice KEY1", "line 1, column 1: `!alice` is a pattern, not a principal"),
        ("# x\n\n  a,b KEY1", "line 3, column 3: `a,b` is a list, not a principal"),
        ("\"a,b\" KEY1", "line 1, column 1: `a,b` is a list, not a principal"),
        ("\"\" KEY1", "line 1, column 1: an empty principal"),
        ("\" a\" KEY1", "line 1, column 1: principal ` a` begins or ends with a space"),
        ("\"a\tb\" KEY1", "line 1, column 1: control character `U+0009`"),
        ("\"a KEY1", "line 1, column 1: a double quote that is not closed"),
        ("\"a\"b KEY1", "line 1, column 4: `b` right after a closing quote"),
        ("a\"b\" KEY1", "line 1, column 2: a double quote inside `a\\\"b\\\"`"),
        ("a\u{200b} KEY1", "line 1, column 1: invisible character `U+200B` in a name"),
        ("\u{feff}a KEY1", "line 1, column 1: invisible character `U+FEFF` in a name"),
        ("a\u{a0}b KEY1", "line 1, column 1: invisible character `U+00A0` in a name"),
        ("é KEY1\rb KEY2", "line 1, column 83: control character `U+000D`"),
        ("# \u{1b}[2J", "line 1, column 3: control character `U+001B`"),
        (&format!("{long} KEY1"), &format!("line 1, column 1: `{shown_long}` is longer than 255 bytes")),
        ("alice", "line 1, column 6: no key"),
        ("alice ssh-ed25519", "line 1, column 18: no key"),
        ("alice namespaces=\"git\" ", "line 1, column 24: no key"),
        ("alice B641", "line 1, column 7: a key without its type"),
        ("alice namespaces=\"git\" B641", "line 1, column 24: a key without its type"),
        (&format!("alice {rsa}"), "line 1, column 7: key type `ssh-rsa` is not supported"),
        (
            "alice namespaces=\"git\" ecdsa-sha2-nistp256 AAAA",
            "line 1, column 24: key type `ecdsa-sha2-nistp256` is not supported",
        ),
        (
            "alice ssh-ed25519-cert-v01@openssh.com AAAA",
            "line 1, column 7: key type `ssh-ed25519-cert-v01@openssh.com` is not supported",
        ),
        ("alice ssh-ed25519 AAAA", "line 1, column 19: `AAAA` is not the base64 of an `ssh-ed25519` key"),
        ("alice ssh-ed25519 é= x", "line 1, column 19: `é=` is not the base64 of an `ssh-ed25519` key"),
        (
            &format!("alice {nul}"),
            &format!(
                "line 1, column 34: `{}…` is not the base64 of an `{SK_ED25519}` key",
                &nul[SK_ED25519.len() + 1..][..60],
            ),
        ),
        ("alice cert-authority KEY1", "line 1, column 7: option `cert-authority` is not supported"),
        ("alice Cert-Authority KEY1", "line 1, column 7: option `cert-authority` is not supported"),
        ("alice no-touch-required KEY1", "line 1, column 7: unknown option `no-touch-required`"),
        ("alice namespace=\"git\" KEY1", "line 1, column 7: unknown option `namespace`"),
        (
            "alice namespaces=\"git\",namespaces=\"x\" KEY1",
            "line 1, column 24: option `namespaces` stands twice",
        ),
        ("alice namespaces=\"git\",,x KEY1", "line 1, column 24: an empty option"),
        ("alice namespaces=\"git\", KEY1", "line 1, column 24: an empty option"),
        ("alice namespaces KEY1", "line 1, column 7: option `namespaces` has no value in double quotes"),
        ("alice namespaces=git KEY1", "line 1, column 7: option `namespaces` has no value in double quotes"),
        ("alice namespaces=\"git KEY1", "line 1, column 18: a double quote that is not closed"),
        ("alice namespaces=\"git\"x KEY1", "line 1, column 23: `x` right after a closing quote"),
        ("alice namespaces=\"a\\\"\" KEY1", "line 1, column 20: a backslash in the value of `namespaces`"),
        ("alice namespaces=\"git*\" KEY1", "line 1, column 19: `git*` is not a namespace"),
        ("alice namespaces=\"git, x\" KEY1", "line 1, column 19: ` x` is not a namespace"),
        ("alice namespaces=\"\" KEY1", "line 1, column 19: `` is not a namespace"),
        ("alice namespaces=\"git-receipt,!git-*\" KEY1", "line 1, column 19: `!git-*` is not a namespace"),
        ("alice valid-after=\"2024\" KEY1", "line 1, column 20: `2024` is not a time for `valid-after`"),
        (
            "alice valid-before=\"20240230\" KEY1",
            "line 1, column 21: `20240230` is not a time for `valid-before`",
        ),
        (
            "alice valid-before=\"19691231\" KEY1",
            "line 1, column 21: `19691231` is not a time for `valid-before`",
        ),
        (
            "alice valid-before=\"2024013020\" KEY1",
            "line 1, column 21: `2024013020` is not a time for `valid-before`",
        ),
        (
            "alice valid-after=\"20240101\",valid-before=\"20240101\" KEY1",
            "line 1, column 7: `valid-before` is not after `valid-after`",
        ),
        (
            "alice valid-after=\"20240101\",valid-before=\"20250101Z\" KEY1",
            "line 1, column 7: `valid-after` and `valid-before` are in different time zones",
        ),
        (
            "a KEY1\na namespaces=\"git\" KEY1",
            &format!("line 2, column 32: key `{one}` of `a` is listed in line 1 already",),
        ),
        (
            "a KEY1\nb KEY1",
            &format!("line 2, column 15: key `{one}` of `b` is listed for `a` in line 1 already"),
        ),
    ]
    .map(|(text, message)| (fill(text), message.to_owned()))
    .to_vec();
    // Base64 that other readers forgive: no padding, spare bits set, bytes left over.
    let sk = openssh(&sk_key(1, "ssh:"));
    let bare = sk.trim_end_matches('=');
    let spare = format!("{}{}=", &bare[..bare.len() - 1], 'p');
    let over = format!("{}AAAA", openssh(&key(1)));
    assert!(sk.ends_with("o="), "a last digit of which two bits are spare: {sk}");
    for line in [bare, &spare, &over] {
        let error = AllowedSigners::parse(&format!("alice {line}")).unwrap_err();
        assert!(matches!(error.problem, Problem::BadKey(..)), "{error}");
    }
    for (text, message) in table {
        let error = AllowedSigners::parse(&text).expect_err(&text);
        assert_eq!(error.to_string(), message, "{text}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn times_are_kept_as_written() {
    for (text, at, utc) in [
        ("20240229", "2024-02-29T00:00:00", false),
        ("20240229Z", "2024-02-29T00:00:00", true),
        ("202402291530", "2024-02-29T15:30:00", false),
        ("20240229153059Z", "2024-02-29T15:30:59", true),
    ] {
        let time: ValidTime = text.parse().unwrap();
        assert_eq!(
            (time.to_string().as_str(), time.at().to_string().as_str(), time.is_utc()),
            (text, at, utc)
        );
    }
    for text in
        ["", "Z", "2024022", "20240229z", "20240229UTC", "20230229", "20240229156059", "+2024022", "２０２４"]
    {
        assert_eq!(text.parse::<ValidTime>().unwrap_err().to_string(), format!("`{text}` is not a time"));
    }
}

#[test]
fn adding_keeps_every_other_byte() {
    let limited = Options::receipts_only();
    let added =
        |text: &str, principal: &str, key: &PublicKey| add(&fill(text), principal, key, &limited).unwrap();
    for (before, principal, after) in [
        ("", "alice", "alice namespaces=\"git-receipt\" KEY1\n"),
        ("# x", "Al B", "# x\n\"Al B\" namespaces=\"git-receipt\" KEY1\n"),
        ("# x\r\nbob KEY2", "#1", "# x\r\nbob KEY2\r\n\"#1\" namespaces=\"git-receipt\" KEY1\r\n"),
        ("alice KEY1 laptop", "alice", "alice KEY1 laptop"),
        ("\"alice\"  KEY1\r\n# x", "alice", "\"alice\"  KEY1\r\n# x"),
        ("\t\"al b\"  KEY1 laptop\r\n# x", "bob", "\tbob  KEY1 laptop\r\n# x"),
        ("bob NameSpaces=\"git\" KEY1\n", "bob", "bob NameSpaces=\"git,git-receipt\" KEY1\n"),
        ("é KEY2\nb namespaces=\"git\" KEY1", "é è", "é KEY2\n\"é è\" namespaces=\"git,git-receipt\" KEY1"),
    ] {
        assert_eq!(added(before, principal, &key(1)), fill(after), "{before}");
    }
    let mut commented = key(1);
    commented.set_comment("x\ny");
    assert_eq!(added("", "a", &commented), fill("a namespaces=\"git-receipt\" KEY1\n"));
    assert_eq!(add("", "a", &key(1), &Options::default()).unwrap(), fill("a KEY1\n"));
    let window = Options {
        valid_after: "20240101Z".parse().ok(),
        valid_before: "20250101Z".parse().ok(),
        ..Options::receipts_only()
    };
    assert_eq!(
        add("", "a", &sk_key(1, "ssh:"), &window).unwrap(),
        fill("a namespaces=\"git-receipt\",valid-after=\"20240101Z\",valid-before=\"20250101Z\" SKEY1\n"),
    );
}

#[test]
fn what_would_not_parse_is_not_written() {
    let refusal = |text: &str, principal: &str, options: &Options| {
        add(text, principal, &key(1), options).unwrap_err().to_string()
    };
    let limited = Options::receipts_only();
    let named = |name: &str| Options { namespaces: Some(vec![name.to_owned()]), ..Options::default() };
    assert_eq!(refusal("", "a b ", &limited), "principal `a b ` begins or ends with a space");
    assert_eq!(refusal("", "*", &limited), "`*` is a pattern, not a principal");
    assert_eq!(refusal("", "a\nb", &limited), "control character `U+000A`");
    assert_eq!(refusal("", "a\"b", &limited), "a double quote inside `a\\\"b`");
    assert_eq!(refusal("", "a", &named("git")), "the namespaces do not contain `git-receipt`");
    assert_eq!(refusal("", "a", &named("git-receipt\" x")), "`git-receipt\\\" x` is not a namespace");
    assert_eq!(refusal("x", "a", &limited), "line 1, column 2: no key");
    let backwards =
        Options { valid_after: "20250101".parse().ok(), valid_before: "20240101".parse().ok(), ..limited };
    assert_eq!(refusal("", "a", &backwards), "`valid-before` is not after `valid-after`");
    let nul = add("", "a", &sk_key(1, "ssh:\0"), &Options::default()).unwrap_err();
    assert_eq!(nul.to_string(), "key type `sk-ssh-ed25519@openssh.com` is not supported");
}

/// Lines out of pieces that mean something, so that many get past the first check.
fn lines() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "alice",
        "bob",
        "\"alice\"",
        "\"al b\"",
        "a\\b",
        "#",
        "\"",
        ",",
        "=",
        "*",
        "!",
        "\\",
        "\\\"",
        " ",
        "\t",
        "  ",
        "\r",
        "\0",
        "é",
        "namespaces=\"git-receipt\"",
        "namespaces=\"git,git-receipt\"",
        "namespaces=\"git\"",
        "NAMESPACES=",
        "valid-after=\"20240101\"",
        "valid-before=\"20300101Z\"",
        "valid-after=\"20240101Z\"",
        "cert-authority",
        "KEY1",
        "SKEY1",
        "KEY2",
        "B641",
        "ssh-ed25519",
        "ssh-rsa",
    ]);
    let noise = prop::collection::vec(piece.clone(), 0..8).prop_map(|pieces| pieces.concat());
    let option = prop::sample::select(vec![
        "namespaces=\"git-receipt\"",
        "namespaces=\"git,git-receipt\"",
        "Namespaces=\"git\"",
        "valid-after=\"20240101\"",
        "valid-after=\"202401011200Z\"",
        "valid-before=\"20300101Z\"",
        "x",
    ]);
    let options = prop::collection::vec(option, 0..3).prop_map(|options| options.join(","));
    let name =
        prop::sample::select(vec!["alice", "\"alice\"", "\"al b\"", "a\\b", "\"#x\"", "ssh-ed25519", "é'"]);
    let gap = || prop::sample::select(vec![" ", "\t", "  ", " \t", ""]);
    let key = prop::sample::select(vec!["KEY1", "SKEY1", "KEY2", "KEY1 c", "KEY2\t# \"c"]);
    let line = (gap(), name, gap(), options, gap(), key, piece, any::<u8>()).prop_map(
        |(indent, name, gap, options, gap2, key, piece, dice)| {
            let mut line = format!("{indent}{name}{gap} {options}{gap2}{key}");
            if dice < 64 {
                let at = line.char_indices().nth(usize::from(dice)).map_or(line.len(), |(at, _)| at);
                line.insert_str(at, piece);
            }
            line
        },
    );
    prop_oneof![3 => line, 1 => noise].prop_map(|line| fill(&line))
}

pub(crate) fn files() -> impl Strategy<Value = String> {
    let end = prop::sample::select(vec!["\n", "\r\n", "\n\n", "\n# x\n"]);
    prop::collection::vec((lines(), end), 0..3)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), files()]) {
        if let Err(error) = AllowedSigners::parse(&text) {
            let line = text.split('\n').nth(error.line - 1).unwrap();
            prop_assert!((1..=line.chars().count() + 1).contains(&error.column), "{error}");
        }
        let _ = text.parse::<ValidTime>();
    }

    #[test]
    fn what_was_added_is_read_back(
        text in files(),
        principal in prop_oneof!["[a-z@. #é]{1,12}", any::<String>()],
        seed in 1..4u8,
    ) {
        let Ok(before) = AllowedSigners::parse(&text) else { return Ok(()) };
        let id = KeyId::of(&key(seed));
        let Ok(new) = add(&text, &principal, &key(seed), &Options::receipts_only()) else {
            prop_assert!(check_principal(&principal).is_err());
            return Ok(());
        };
        let after = AllowedSigners::parse(&new).unwrap();
        prop_assert_eq!(after.principal_of(&id), Some(principal.as_str()));
        prop_assert_eq!(add(&new, &principal, &key(seed), &Options::default()).unwrap(), new);
        let others = |signers: &AllowedSigners| -> Vec<Signer> {
            signers.entries().iter().filter(|signer| signer.fingerprint != id).cloned().collect()
        };
        prop_assert_eq!(others(&before), others(&after));
    }
}
