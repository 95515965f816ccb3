//! Planted secrets are put together here at run time, so that no scanner takes this file for a leak.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

fn redactor() -> Redactor {
    Redactor::new(&[]).expect("no patterns, no mistake")
}

fn redacted(text: &str) -> String {
    redactor().redact_str(text).0.into_owned()
}

/// Letters and digits without meaning, the same for the same seed.
fn noise(seed: u64, len: usize, alphabet: &str) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let letters: Vec<char> = alphabet.chars().collect();
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            letters[(state >> 33) as usize % letters.len()]
        })
        .collect()
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &str = "0123456789abcdef";
const URL64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const STRONG: &str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789!@#%^*+~-_";

/// Tokens that are known wherever they stand.
fn tokens(seed: u64) -> Vec<String> {
    let n = |i: u64, len, alphabet| noise(seed * 1000 + i, len, alphabet);
    let with = |i, head: &[&str], len, alphabet| format!("{}{}", head.concat(), n(i, len, alphabet));
    vec![
        with(1, &["AK", "IA"], 16, UPPER),
        with(2, &["AS", "IA"], 16, UPPER),
        with(3, &["gh", "p_"], 36, ALNUM),
        with(4, &["gh", "o_"], 36, ALNUM),
        with(5, &["gh", "u_"], 36, ALNUM),
        with(6, &["gh", "s_"], 36, ALNUM),
        with(7, &["gh", "r_"], 76, ALNUM),
        format!("{}_{}", with(8, &["github", "_pat_"], 22, ALNUM), n(9, 59, ALNUM)),
        with(10, &["gl", "pat-"], 20, URL64),
        with(11, &["gl", "dt-"], 20, URL64),
        with(12, &["gl", "rt-"], 20, URL64),
        with(13, &["gl", "ptt-"], 40, HEX),
        format!(
            "{}-{}-{}",
            with(14, &["xo", "xb-"], 12, "0123456789"),
            n(15, 12, "0123456789"),
            n(16, 24, ALNUM)
        ),
        format!("{}-{}", with(17, &["xo", "xp-"], 12, "0123456789"), n(18, 32, HEX)),
        with(19, &["xa", "pp-1-A"], 40, ALNUM),
        format!(
            "https://hooks.slack.com/serv{}/{}/{}",
            with(20, &["ices/", "T"], 9, UPPER),
            n(21, 9, UPPER),
            n(22, 24, ALNUM)
        ),
        with(23, &["sk_", "live_"], 24, ALNUM),
        with(24, &["rk_", "live_"], 24, ALNUM),
        with(25, &["sk_", "test_"], 24, ALNUM),
        with(26, &["wh", "sec_"], 32, ALNUM),
        with(27, &["AI", "za"], 35, URL64),
        with(28, &["ya", "29."], 60, URL64),
        with(29, &["GOC", "SPX-"], 28, URL64),
        format!(
            "DefaultEndpointsProtocol=https;AccountName=x;{}==",
            with(30, &["Account", "Key="], 86, BASE64)
        ),
        format!("{}8Q~{}", n(31, 3, ALNUM), n(32, 34, ALNUM)),
        with(33, &["np", "m_"], 36, ALNUM),
        with(34, &["pypi-", "AgEIcHlwaS5vcmc"], 70, URL64),
        with(35, &["sk", "-"], 48, ALNUM),
        with(36, &["sk", "-proj-"], 74, URL64),
        with(37, &["sk", "-svcacct-"], 74, URL64),
        with(38, &["sk", "-ant-api03-"], 93, URL64),
        with(39, &["h", "f_"], 34, ALNUM),
        format!("{}.{}", with(40, &["S", "G."], 22, URL64), n(41, 43, URL64)),
        with(42, &["S", "K"], 32, HEX),
        with(43, &["dop", "_v1_"], 64, HEX),
        with(44, &["dckr", "_pat_"], 27, URL64),
        with(45, &["ci", "o"], 32, ALNUM),
        format!("{}:AA{}", n(46, 10, "123456789"), n(47, 33, URL64)),
        format!("https://discord.com/api/webhooks/{}/{}", n(48, 18, "123456789"), n(49, 68, URL64)),
        with(50, &["AGE-SECRET", "-KEY-1"], 58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
        format!(
            "{}.{}.{}",
            with(51, &["ey", "J"], 33, URL64),
            with(52, &["ey", "J"], 60, URL64),
            n(53, 43, URL64)
        ),
    ]
}

/// The part of a planted token that must be gone.
fn core(token: &str) -> &str {
    let from = token.rfind(['/', ':', '=']).filter(|at| token.len() - at > 20).map_or(0, |at| at + 1);
    let tail = token[from..].trim_end_matches('=');
    &tail[tail.len() - tail.len().min(14)..]
}

#[test]
fn tokens_are_known_wherever_they_stand() {
    let places: &[(&str, &str)] = &[
        ("", ""),
        ("say ", " here"),
        ("x = \"", "\";"),
        ("{\"a\":\"line\\n", "\\nnext\"}"),
        ("'", "',"),
        ("(", ")."),
        ("\u{1b}[31m", "\u{1b}[0m"),
        ("curl https://example.org?q=", "&b=1"),
        ("ends the sentence with ", "."),
        ("日本", "語"),
    ];
    let mut missed = Vec::new();
    for seed in 0..5 {
        for token in tokens(seed) {
            for (before, after) in places {
                let text = format!("{before}{token}{after}");
                let out = redacted(&text);
                if out.contains(core(&token)) || !out.starts_with(before) || !out.ends_with(after) {
                    missed.push(format!("{text} -> {out}"));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

/// Ways to give a name a value; `N` is a name in capitals, `n` in lower case, `V` the value.
const FORMATS: &[&str] = &[
    "{N}={V}",
    "export {N}={V}",
    "export {N}=\"{V}\"",
    "{N}='{V}' ./run.sh",
    "# comment\nA=1\n{N}={V}\nB=2",
    "  {n}: {V}",
    "- {n}: \"{V}\"",
    "a:\n  {n}: '{V}'\n  b: 1",
    "{\"user\":\"me\",\"{n}\":\"{V}\",\"x\":1}",
    "{\"tool_input\":\"{\\\"{n}\\\": \\\"{V}\\\"}\"}",
    "{\"env\":\"A=1\\n{N}={V}\\nB=2\"}",
    "[db]\n{n} = {V}\nport = 1",
    "[db]\n{n} = \"{V}\"",
    "tool --{f} {V} --verbose",
    "tool --{f}={V} --verbose",
    "tool --{f} '{V}'",
    "const {n} = \"{V}\";",
    "let {n}: &str = \"{V}\";",
    "{n} = '{V}'  # do not commit",
    "client = Client({n}=\"{V}\")",
    "os.environ[\"{N}\"] = \"{V}\"",
    "<{n}>{V}</{n}>",
    "<add key=\"{n}\" value=\"{V}\" />",
    "- name: {N}\n  value: {V}",
    "{\"name\": \"{N}\", \"value\": \"{V}\"}",
    "docker run -e {N}={V} image",
    "ENV {N} {V}",
    "set {N}={V}",
    "$env:{N} = \"{V}\"",
    "spring.datasource.{n}={V}",
    "level=info {n}={V} user=me",
    "POST /login?user=me&{n}={V}&x=1",
    "Server=db;User=me;{n}={V};Pooling=true",
    "curl -H \"X-{h}: {V}\" https://example.org",
    "X-{h}: {V}\r\nAccept: */*",
    "[\"--{f}\", \"{V}\"]",
    "{n} := \"{V}\"",
    "+{N}={V}",
    "    12\u{2192}{N}={V}",
    "the {n} is {V} now",
    "String {n} = new String(\"{V}\");",
];

const VARIABLES: &[&str] = &[
    "DB_PASSWORD",
    "PASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "API_KEY",
    "STRIPE_APIKEY",
    "CLIENT_SECRET",
    "AUTH_TOKEN",
    "MY_PRIVATE_KEY",
    "REDIS_PASSWD",
    "APP_CREDENTIALS",
    "SECRET_KEY_BASE",
];

#[test]
fn values_are_known_by_their_names_in_every_format() {
    let mut missed = Vec::new();
    let mut count = 0;
    for (f, format) in FORMATS.iter().enumerate() {
        for (v, variable) in VARIABLES.iter().enumerate() {
            for (a, alphabet) in [ALNUM, HEX, URL64, STRONG, BASE64].iter().enumerate() {
                let in_text =
                    format.contains("?user") || format.contains("Server=") || format.starts_with("the ");
                let xml = format.starts_with('<');
                let value = noise((f * 1000 + v * 10 + a) as u64, [16, 20, 32, 24, 40][a], alphabet);
                // What these formats themselves would have to escape.
                let value = if in_text || xml {
                    value.replace(['&', ';', ',', '#', '%', '!', '^', '~'], "q")
                } else {
                    value
                };
                let value = value.trim_start_matches(['-', '#', '@', '!', '%', '*', '+', '~', '/', '^', '_']);
                let value = value.trim_end_matches(['-', '#', '@', '!', '%', '*', '+', '~', '/', '^', '_']);
                let lower = variable.to_lowercase();
                let text = format
                    .replace("{N}", variable)
                    .replace("{n}", &lower)
                    .replace("{f}", &lower.replace('_', "-"))
                    .replace("{h}", &lower.replace('_', "-"))
                    .replace("{V}", value);
                let out = redacted(&text);
                let gone = text.replace(value, "[redacted:assignment]");
                count += 1;
                if out != gone && (!out.contains("[redacted:") || out.contains(&value[value.len() - 6..])) {
                    missed.push(format!("{text:?}\n   -> {out:?}"));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} of {count} missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn passwords_that_people_choose_are_known_by_their_names() {
    let chosen = [
        "hunter2",
        "Summer2024!",
        "P@ssw0rd",
        "s3cr3t",
        "correct-horse-battery",
        "letmein99",
        "qwerty123",
        "admin1234",
        "Tr0ub4dor&3",
    ];
    let mut missed = Vec::new();
    for format in FORMATS {
        for value in chosen {
            let text =
                format.replace("{N}", "DB_PASSWORD").replace("{n}", "db_password").replace("{V}", value);
            let text = text.replace("{f}", "password").replace("{h}", "Password");
            let gone = text.replace(value, "[redacted:assignment]");
            // A word in a sentence, and a byte that separates values there.
            let ambiguous = (format.starts_with("the ") && value.starts_with("correct"))
                || value.contains('&')
                    && (format.contains("?user") || format.contains("/login") || format.contains("Server"));
            let out = redacted(&text);
            if out != gone && !ambiguous {
                missed.push(format!("{text:?}\n   -> {out:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn what_identifies_the_place_is_kept() {
    let v = noise(7, 40, BASE64);
    let t = noise(8, 24, ALNUM);
    let cases = [
        (format!("AWS_SECRET_ACCESS_KEY={v}"), "AWS_SECRET_ACCESS_KEY=[redacted:assignment]"),
        (format!("https://user:{t}@host/x"), "https://user:[redacted:url-password]@host/x"),
        (format!("postgres://u:p@ss{t}@db:5432/x"), "postgres://u:[redacted:url-password]@db:5432/x"),
        (format!("redis://:{t}@h"), "redis://:[redacted:url-password]@h"),
        (format!("https://{t}0@github.com/a/b"), "https://[redacted:url-password]@github.com/a/b"),
        (format!("Authorization: Bearer {t}"), "Authorization: Bearer [redacted:authorization]"),
        (format!("Authorization: token {t}\n"), "Authorization: token [redacted:authorization]\n"),
        (
            format!("curl -H 'Authorization: Basic {v}=='"),
            "curl -H 'Authorization: Basic [redacted:authorization]'",
        ),
        (
            format!("{{\"Authorization\": \"Bearer {t}\"}}"),
            "{\"Authorization\": \"Bearer [redacted:authorization]\"}",
        ),
        (
            format!("{{\\\"authorization\\\":\\\"Bearer {t}\\\"}}"),
            "{\\\"authorization\\\":\\\"Bearer [redacted:authorization]\\\"}",
        ),
        (
            format!(".header(\"Authorization\", \"Bearer {t}\")"),
            ".header(\"Authorization\", \"Bearer [redacted:authorization]\")",
        ),
        (format!("Cookie: session={t}; a=b"), "Cookie: session=[redacted:cookie]"),
        (format!("curl -u admin:{t} https://x"), "curl -u admin:[redacted:basic-auth] https://x"),
        (format!("machine h login me password {t}"), "machine h login me password [redacted:assignment]"),
        (
            format!("//registry.npmjs.org/:_authToken={t}"),
            "//registry.npmjs.org/:_authToken=[redacted:assignment]",
        ),
        (
            format!("CREATE USER x IDENTIFIED BY '{t}';"),
            "CREATE USER x IDENTIFIED BY '[redacted:assignment]';",
        ),
        (
            format!("https://b.blob.core.windows.net/c?sv=1&sig={v}%3D"),
            "https://b.blob.core.windows.net/c?sv=1&sig=[redacted:azure-signature]",
        ),
        ("\"password\": 12345678,".to_owned(), "\"password\": \"[redacted:assignment]\","),
        ("{\\\"password\\\":12345678}".to_owned(), "{\\\"password\\\":\\\"[redacted:assignment]\\\"}"),
        ("password: changeme".to_owned(), "password: [redacted:assignment]"),
        (
            "\"password\": \"correct horse battery staple\"".to_owned(),
            "\"password\": \"[redacted:assignment]\"",
        ),
        ("password: |\n  hunter2\nuser: me".to_owned(), "password: |\n  [redacted:assignment]\nuser: me"),
        ("DB_PASSWORD=hunter".to_owned(), "DB_PASSWORD=[redacted:assignment]"),
    ];
    for (text, expected) in cases {
        assert_eq!(redacted(&text), expected, "{text}");
    }
}

fn private_key(label: &str, newline: &str, lines: usize) -> String {
    let body: Vec<String> =
        (0..lines).map(|n| noise(n as u64, if n + 1 == lines { 22 } else { 64 }, BASE64)).collect();
    format!("-----{} {label}-----{newline}{}{newline}-----END {label}-----", "BEGIN", body.join(newline))
}

#[test]
fn private_keys_go_whole_or_cut_off() {
    let r = "[redacted:private-key]";
    for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA "] {
        for newline in
            ["\n", "\\n", "\r\n", "\\\\n", "\n    ", "\n> ", " ", "\\n\" +\n  \"", "\n   12\u{2192}"]
        {
            let key = private_key(&format!("{kind}PRIVATE KEY"), newline, 8);
            assert_eq!(redacted(&format!("a \"{key}\" b")), format!("a \"{r}\" b"), "{key}");
            let end = key.find("-----END").unwrap();
            for cut in [end, end - newline.len(), end - newline.len() - 9, 140] {
                let out = redacted(&key[..cut]);
                assert!(out.starts_with(r) && out.len() < r.len() + 14, "{:?} -> {out:?}", &key[..cut]);
            }
        }
    }
    let pgp = private_key("PGP PRIVATE KEY BLOCK", "\n", 20).replacen(
        "-----\n",
        "-----\nVersion: GnuPG v2\nComment: a, b\n\n",
        1,
    );
    assert_eq!(redacted(&pgp), r);
    let headers = private_key("RSA PRIVATE KEY", "\n", 9).replacen(
        "-----\n",
        "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n",
        1,
    );
    assert_eq!(redacted(&headers), r);
    let account = format!(
        "{{\"private_key_id\": \"{}\", \"private_key\": \"{}\\n\"}}",
        noise(1, 40, HEX),
        private_key("PRIVATE KEY", "\\n", 26)
    );
    let out = redacted(&account);
    assert!(
        out.starts_with(&format!("{{\"private_key_id\": \"{}\"", noise(1, 40, HEX))) && out.len() < 130,
        "{out}"
    );
    let tail = private_key("RSA PRIVATE KEY", "\n", 9);
    let tail = &tail[120..];
    assert!(redacted(tail).len() < 100, "{}", redacted(tail));
    let prose = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
    assert_eq!(redacted(prose), prose);
}

#[test]
fn what_is_no_secret_is_left_alone() {
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    let texts = [
        format!("commit {}", noise(1, 40, HEX)),
        format!("sha256:{}", noise(2, 64, HEX)),
        format!("index {}..{} 100644", noise(3, 7, HEX), noise(4, 7, HEX)),
        uuid.to_owned(),
        "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
        format!("integrity: sha512-{}==", noise(5, 86, BASE64)),
        format!("\"integrity\": \"sha512-{}==\"", noise(6, 86, BASE64)),
        format!("SHA256:{} me@host (ED25519)", noise(7, 43, BASE64)),
        format!("checksum = \"{}\"", noise(8, 64, HEX)),
        "token = next_token()".to_owned(),
        "token=next_token()".to_owned(),
        "let token = self.next_token();".to_owned(),
        "password: str".to_owned(),
        "    password: String,".to_owned(),
        "    pub token: Option<Token>,".to_owned(),
        "let secret_key = load_key(&path)?;".to_owned(),
        "GITHUB_TOKEN=${{ secrets.GITHUB_TOKEN }}".to_owned(),
        "GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}".to_owned(),
        "TOKEN=$TOKEN".to_owned(),
        "TOKEN=\"${TOKEN}\"".to_owned(),
        "export TOKEN=$(cat token)".to_owned(),
        "api_key=os.environ[\"X\"]".to_owned(),
        "api_key = os.environ[\"API_KEY\"]".to_owned(),
        "api_key = os.getenv(\"API_KEY\")".to_owned(),
        "const token = process.env.TOKEN;".to_owned(),
        "token: <your-token>".to_owned(),
        "API_KEY=your-api-key-here".to_owned(),
        "password=****".to_owned(),
        "token: xxxx".to_owned(),
        "API_KEY=".to_owned(),
        "password = \"\"".to_owned(),
        "\"input_tokens\": 12345, \"output_tokens\": 678".to_owned(),
        "max_tokens=4096".to_owned(),
        "\"token_type\": \"bearer\"".to_owned(),
        "password_file=/run/secrets/db".to_owned(),
        "SECRET_PATH=/run/secrets/db".to_owned(),
        "TOKEN=/run/secrets/token".to_owned(),
        "secrets: inherit".to_owned(),
        "https://github.com/a/b.git".to_owned(),
        "http://localhost:8080/a@b".to_owned(),
        "git@github.com:a/b.git".to_owned(),
        "ssh://git@host/x".to_owned(),
        "\"{}://{}:{}@{}\"".to_owned(),
        "https://$USER:$PASS@host".to_owned(),
        "error: unexpected token: expected `;`".to_owned(),
        "the token is expired".to_owned(),
        "Enter your password: ".to_owned(),
        "Password: required".to_owned(),
        "--token <TOKEN>  The token to use".to_owned(),
        "--password-stdin".to_owned(),
        "use --token to authenticate".to_owned(),
        "def login(user, password=None, token=token):".to_owned(),
        "Client(token=self.token, secret=config.secret)".to_owned(),
        "if password == other {".to_owned(),
        "Token::Ident(name) => 1".to_owned(),
        "tokenizer = \"cl100k_base_abc1\"".to_owned(),
        "use crate::token::Token;".to_owned(),
        "PWD=/home/me/project1".to_owned(),
        "Authorization: Bearer $TOKEN".to_owned(),
        "Authorization: Bearer <token>".to_owned(),
        "authorization: required".to_owned(),
        "Bearer token authentication".to_owned(),
        "-----BEGIN PRIVATE KEY-----".to_owned(),
        "if text.contains(\"-----BEGIN RSA PRIVATE KEY-----\") { return Err(Secret::Found(anotherfunction)); }".to_owned(),
        "author: a_secretary".to_owned(),
        "risk-assessment-for-the-long-running-project".to_owned(),
        "src/domain/secret_paths.rs:12:5: token: src/lib.rs".to_owned(),
        "AWS_ACCESS_KEY_ID=${ID}".to_owned(),
        "passwordField.text = \"abc123def\"".to_owned(),
        "\"required\": [\"password\", \"token\", \"secret\"]".to_owned(),
        "\"password\": {\"type\": \"string\"}".to_owned(),
        "\"token\": null".to_owned(),
        "const TOKEN_ENV = \"GITHUB_TOKEN\";".to_owned(),
        "Set-Cookie: header is parsed".to_owned(),
        "process 12:34:56 took 1:23".to_owned(),
        "fn from(secret_key: &SecretKey) -> Key {".to_owned(),
        "pub const INET6_TOKEN: _bindgen_ty_7 = _bindgen_ty_7::INET6_TOKEN;".to_owned(),
        "    ATTR_SAE_PASSWORD = 277,".to_owned(),
        "identified by `pack_id`".to_owned(),
        "const PRIVATE_KEY: &str = include_str!(\"examples/id_rsa_3072\");".to_owned(),
        "(\"tokens\", \"symbol2label\")".to_owned(),
        "shlex: token=EOF".to_owned(),
        "GET /?api_key=[REDACTED]&a=b".to_owned(),
    ];
    for text in texts {
        let done = redactor().redact(text.as_bytes());
        assert_eq!((String::from_utf8_lossy(&done.bytes), done.count), (text.as_str().into(), 0));
        assert!(matches!(done.bytes, Cow::Borrowed(_)));
    }
}

#[test]
fn a_patterns_whole_match_or_its_secret_group_is_replaced() {
    let redactor = Redactor::new(&["ACME-[0-9]+".into(), "code (?P<secret>[a-z]+)!".into()]).unwrap();
    let (text, count) = redactor.redact_str("ACME-123 and code abc! and code x");
    assert_eq!((&*text, count), ("[redacted:custom] and code [redacted:custom]! and code x", 2));
    assert_eq!(redactor.redact_str(&text).1, 0);
}

#[test]
fn a_bad_pattern_is_named_with_its_cause() {
    let error = Redactor::new(&["fine".into(), "(open".into()]).unwrap_err();
    assert_eq!(error.to_string(), "redaction pattern `(open` is not a usable regular expression");
    assert!(error.cause.to_string().contains("unclosed group"));
    assert!(Redactor::new(&["(a{1000}){1000}".into()]).is_err());
}

#[test]
fn overlapping_finds_are_one() {
    let token = format!("{}{}", ["gh", "p_"].concat(), noise(1, 36, ALNUM));
    let text = format!("GITHUB_TOKEN={token}");
    let redactor = redactor();
    let (text, count) = redactor.redact_str(&text);
    assert_eq!((&*text, count), ("GITHUB_TOKEN=[redacted:github-token]", 1));
}

/// Pieces that rules care about, so that random text reaches them.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<Vec<u8>> = rules::TRIGGERS
        .iter()
        .map(|trigger| trigger.literal.to_vec())
        .chain(
            [
                "=",
                ": ",
                "\"",
                "'",
                "\\\"",
                "\\n",
                "\n",
                " ",
                "--",
                "@",
                "[redacted:custom]",
                "[redacted:",
                "]",
                "$",
                "<",
                ">",
                "|\n  ",
                "-----",
                "PRIVATE KEY",
                "abcd1234EFGH5678ijkl",
                "hunter2!",
                "value",
                "name: ",
                "é",
                ",",
                ".",
                "http",
                "\\",
                "\u{1b}[0m",
                "\\u001b[33m",
                "{'V'}",
                "A+ASt",
                " | ",
                "#",
                "by '",
                "\r\n\r\n",
            ]
            .map(|text| text.as_bytes().to_vec()),
        )
        .collect();
    let piece = prop_oneof![
        4 => proptest::sample::select(words),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => "[A-Za-z0-9+/_-]{1,60}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn redacting_again_changes_nothing(text in pieces()) {
        let redactor = Redactor::new(&["hunter[0-9]".into()]).unwrap();
        let once = redactor.redact(&text);
        let twice = redactor.redact(&once.bytes);
        prop_assert_eq!(twice.count, 0, "{:?} -> {:?} -> {:?}", text.escape_ascii().to_string(), once.bytes.escape_ascii().to_string(), twice.bytes.escape_ascii().to_string());
        prop_assert_eq!(&twice.bytes, &once.bytes);
        prop_assert_eq!(once.count == 0, matches!(once.bytes, Cow::Borrowed(_)));
    }

    #[test]
    fn any_bytes_can_be_redacted(text in proptest::collection::vec(any::<u8>(), 0..600)) {
        redactor().redact(&text);
    }

    #[test]
    fn text_stays_text(text in "\\PC{0,80}", tail in pieces()) {
        let text = format!("{text}{}", String::from_utf8_lossy(&tail));
        let (out, _) = redactor().redact_str(&text);
        let broken = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        prop_assert!(!broken(&out) || broken(&text));
    }

    #[test]
    fn text_without_triggers_is_borrowed(text in "[ g-mv-w0-9\n]{0,400}") {
        let done = redactor().redact(text.as_bytes());
        prop_assert!(matches!(done.bytes, Cow::Borrowed(_)) && done.count == 0);
    }
}
