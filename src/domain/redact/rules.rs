//! Secrets with a shape of their own, and the table of literals that lead to every rule.

use std::ops::Range;

use super::assignment::Kind;
use super::values::{is_common, is_natural, is_placeholder};
use super::{ASSIGNMENT, Text, is_quote, is_word};

/// A literal that has to be in the text for a rule to apply.
pub(super) struct Trigger {
    pub rule: &'static str,
    pub literal: &'static [u8],
    /// Where in the literal the bytes are that the scan looks for: chosen to be rare in ordinary text.
    pub at: usize,
    /// Whether letters match in either case.
    pub any_case: bool,
    pub how: How,
}

/// What has to follow.
pub(super) enum How {
    /// So many bytes of a class; `edge` where the literal is short enough to end an ordinary word.
    Run { class: fn(u8) -> bool, min: usize, max: usize, edge: bool },
    /// A function of text, start of the literal and end of the literal; what it returns is replaced.
    Shape(fn(&Text, usize, usize) -> Option<Range<usize>>),
    /// A word in the name of something that holds a secret.
    Name(Kind),
}

impl Trigger {
    pub(super) fn is_at(&self, bytes: &[u8], start: usize) -> bool {
        bytes.get(start..start + self.literal.len()).is_some_and(|found| {
            if self.any_case { found.eq_ignore_ascii_case(self.literal) } else { found == self.literal }
        })
    }
}

const ANY: usize = usize::MAX;

const fn run(
    rule: &'static str,
    literal: &'static str,
    class: fn(u8) -> bool,
    min: usize,
    max: usize,
) -> Trigger {
    let how = How::Run { class, min, max, edge: false };
    Trigger { rule, literal: literal.as_bytes(), at: 0, any_case: false, how }
}

/// A run whose literal must not continue a word.
const fn edge(
    rule: &'static str,
    literal: &'static str,
    class: fn(u8) -> bool,
    min: usize,
    max: usize,
) -> Trigger {
    let how = How::Run { class, min, max, edge: true };
    Trigger { rule, literal: literal.as_bytes(), at: 0, any_case: false, how }
}

type Shape = fn(&Text, usize, usize) -> Option<Range<usize>>;

const fn shape(rule: &'static str, literal: &'static str, at: usize, shape: Shape) -> Trigger {
    Trigger { rule, literal: literal.as_bytes(), at, any_case: false, how: How::Shape(shape) }
}

const fn folded(rule: &'static str, literal: &'static str, at: usize, shape: Shape) -> Trigger {
    Trigger { rule, literal: literal.as_bytes(), at, any_case: true, how: How::Shape(shape) }
}

const fn name(literal: &'static str, at: usize, kind: Kind) -> Trigger {
    Trigger { rule: ASSIGNMENT, literal: literal.as_bytes(), at, any_case: true, how: How::Name(kind) }
}

/// Every rule. A literal may be two bytes long when those say enough.
pub(super) const TRIGGERS: &[Trigger] = &[
    shape("private-key", "BEGIN ", 0, private_key),
    shape("private-key", "END ", 0, private_key_tail),
    shape("private-key", "Private-Lines:", 7, putty_key),
    run("age-key", "AGE-SECRET-KEY-1", upper_alnum, 20, ANY),
    edge("aws-key-id", "AKIA", upper_alnum, 16, 16),
    edge("aws-key-id", "ASIA", upper_alnum, 16, 16),
    edge("aws-key-id", "ABIA", upper_alnum, 16, 16),
    edge("aws-key-id", "ACCA", upper_alnum, 16, 16),
    run("github-token", "ghp_", alnum, 20, ANY),
    run("github-token", "gho_", alnum, 20, ANY),
    run("github-token", "ghu_", alnum, 20, ANY),
    run("github-token", "ghs_", alnum, 20, ANY),
    run("github-token", "ghr_", alnum, 20, ANY),
    run("github-token", "github_pat_", is_word, 20, ANY),
    run("gitlab-token", "glpat-", dotted, 16, ANY),
    run("gitlab-token", "gldt-", dotted, 16, ANY),
    run("gitlab-token", "glrt-", dotted, 16, ANY),
    run("gitlab-token", "glptt-", dotted, 16, ANY),
    run("gitlab-token", "glft-", dotted, 16, ANY),
    run("gitlab-token", "glsoat-", dotted, 16, ANY),
    run("gitlab-token", "glcbt-", dotted, 16, ANY),
    run("gitlab-token", "gloas-", dotted, 16, ANY),
    run("gitlab-token", "glimt-", dotted, 16, ANY),
    run("gitlab-token", "glagent-", dotted, 16, ANY),
    shape("slack-token", "xox", 0, slack_token),
    run("slack-token", "xapp-", dashed, 16, ANY),
    shape("slack-webhook", "hooks.slack.com/", 4, slack_webhook),
    edge("stripe-key", "sk_live_", alnum, 10, ANY),
    edge("stripe-key", "rk_live_", alnum, 10, ANY),
    edge("stripe-key", "sk_test_", alnum, 10, ANY),
    edge("stripe-key", "rk_test_", alnum, 10, ANY),
    edge("stripe-key", "whsec_", base64, 16, ANY),
    run("google-key", "AIza", dashed, 35, 60),
    edge("google-key", "ya29.", dotted, 20, ANY),
    run("google-key", "GOCSPX-", dashed, 20, ANY),
    edge("google-key", "1//0", dashed, 35, ANY),
    run("azure-key", "AccountKey=", base64, 20, ANY),
    run("azure-key", "SharedAccessKey=", base64, 20, ANY),
    shape("azure-signature", "sig=", 1, azure_signature),
    shape("azure-secret", "Q~", 0, azure_secret),
    edge("npm-token", "npm_", alnum, 30, ANY),
    run("pypi-token", "pypi-AgE", dashed, 16, ANY),
    edge("anthropic-key", "sk-ant-", dashed, 20, ANY),
    edge("openai-key", "sk-proj-", dashed, 20, ANY),
    edge("openai-key", "sk-svcacct-", dashed, 20, ANY),
    edge("openai-key", "sk-admin-", dashed, 20, ANY),
    edge("openai-key", "sk-or-v1-", dashed, 20, ANY),
    edge("openai-key", "sk-", alnum, 32, ANY),
    edge("huggingface-token", "hf_", alnum, 30, ANY),
    edge("sendgrid-key", "SG.", dotted, 40, ANY),
    edge("twilio-key", "SK", lower_hex, 32, 32),
    run("digitalocean-token", "dop_v1_", lower_hex, 32, ANY),
    run("digitalocean-token", "doo_v1_", lower_hex, 32, ANY),
    run("digitalocean-token", "dor_v1_", lower_hex, 32, ANY),
    run("docker-token", "dckr_pat_", dashed, 20, ANY),
    run("docker-token", "dckr_oat_", dashed, 20, ANY),
    edge("crates-io-token", "cio", alnum, 32, 32),
    edge("vault-token", "hvs.", dotted, 20, ANY),
    edge("vault-token", "hvb.", dotted, 20, ANY),
    run("shopify-token", "shpat_", alnum, 32, ANY),
    run("shopify-token", "shpss_", alnum, 32, ANY),
    run("linear-key", "lin_api_", alnum, 20, ANY),
    run("atlassian-token", "ATATT3", dashed, 40, ANY),
    run("rubygems-token", "rubygems_", lower_hex, 40, ANY),
    run("grafana-token", "glsa_", is_word, 32, ANY),
    edge("groq-key", "gsk_", alnum, 32, ANY),
    edge("xai-key", "xai-", alnum, 40, ANY),
    edge("nvidia-key", "nvapi-", dashed, 40, ANY),
    edge("databricks-token", "dapi", lower_hex, 32, 32),
    edge("tailscale-key", "tskey-", dashed, 20, ANY),
    edge("supabase-token", "sbp_", lower_hex, 40, ANY),
    folded("docker-auth", "\"auth", 1, docker_auth),
    shape("telegram-token", ":A", 0, telegram_token),
    shape("discord-webhook", "/api/webhooks/", 5, discord_webhook),
    shape("jwt", "eyJ", 0, jwt),
    shape("url-password", "://", 0, url_password),
    shape("url-password", ":\\/\\/", 1, url_password),
    folded("authorization", "authorization", 0, authorization),
    folded("authorization", "bearer ", 2, bearer),
    folded("cookie", "cookie:", 3, cookie),
    folded("basic-auth", "curl ", 0, curl_user),
    folded("basic-auth", "sshpass -p", 1, sshpass),
    folded(ASSIGNMENT, "identified by ", 6, identified_by),
    name("secret", 0, Kind::Secret),
    name("token", 0, Kind::Token),
    name("password", 2, Kind::Password),
    name("passwd", 2, Kind::Password),
    name("passphrase", 2, Kind::Password),
    name("pwd", 0, Kind::Password),
    name("api_key", 1, Kind::Key),
    name("api-key", 1, Kind::Key),
    name("apikey", 1, Kind::Key),
    name("private_key", 5, Kind::Key),
    name("private-key", 5, Kind::Key),
    name("privatekey", 5, Kind::Key),
    name("access_key", 5, Kind::Key),
    name("access-key", 5, Kind::Key),
    name("accesskey", 5, Kind::Key),
    name("encryption_key", 7, Kind::Key),
    name("signing_key", 5, Kind::Key),
    name("credential", 2, Kind::Key),
    name("_auth", 0, Kind::Key),
];

// The scan keeps the low five bits of the last three bytes, which also folds the case of letters, as an index
// into a bitmap of four kilobytes; the few positions whose bit is set go through the chain of triggers for
// the first two bytes.

const KEYS: usize = 1 << 15;
const END: u8 = u8::MAX;

pub(super) const fn next_key(key: usize, byte: u8) -> usize {
    ((key << 5) | (byte & 31) as usize) & (KEYS - 1)
}

/// Whether a trigger may stand where the last three bytes make up `key`.
pub(super) fn may_start(key: usize) -> bool {
    BITS[key / 64] >> (key % 64) & 1 == 1
}

/// The triggers for `key`, and perhaps some more.
pub(super) fn of(key: usize) -> impl Iterator<Item = &'static Trigger> {
    let some = |at: u8| (at != END).then_some(at);
    let chain = std::iter::successors(some(CHAINS.0[key >> 5]), move |&at| some(CHAINS.1[at as usize]));
    chain.map(|at| &TRIGGERS[at as usize])
}

const fn key_of(trigger: &Trigger) -> (usize, usize) {
    let (literal, at) = (trigger.literal, trigger.at);
    let two = next_key(next_key(0, literal[at]), literal[at + 1]) << 5;
    if literal.len() == 2 { (two, two + 31) } else { (two | (literal[at + 2] & 31) as usize, 0) }
}

static BITS: [u64; KEYS / 64] = {
    let mut bits = [0; KEYS / 64];
    let mut at = 0;
    while at < TRIGGERS.len() {
        let (mut key, last) = key_of(&TRIGGERS[at]);
        bits[key / 64] |= 1 << (key % 64);
        while key < last {
            key += 1;
            bits[key / 64] |= 1 << (key % 64);
        }
        at += 1;
    }
    bits
};

static CHAINS: ([u8; KEYS >> 5], [u8; TRIGGERS.len()]) = {
    assert!(TRIGGERS.len() < END as usize);
    let mut heads = [END; KEYS >> 5];
    let mut next = [END; TRIGGERS.len()];
    let mut at = TRIGGERS.len();
    while at > 0 {
        at -= 1;
        let two = key_of(&TRIGGERS[at]).0 >> 5;
        next[at] = heads[two];
        heads[two] = at as u8;
    }
    (heads, next)
};

fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn upper_alnum(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn dashed(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

fn dotted(byte: u8) -> bool {
    dashed(byte) || byte == b'.'
}

fn base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn header_value(byte: u8) -> bool {
    dotted(byte) || base64(byte) || matches!(byte, b'~' | b':')
}

/// Whether this stands for a secret rather than being one: `xxxxxxxx`, `********`, a real beginning with
/// those after.
pub(super) fn is_dummy(body: &[u8]) -> bool {
    let tail = body.iter().rev().take(8);
    !body.is_empty() && tail.clone().all(|byte| matches!(byte, b'x' | b'X' | b'*' | b'.'))
}

fn tail_of(text: &Text, from: usize, class: fn(u8) -> bool, min: usize) -> Option<Range<usize>> {
    let len = text.run(from, class, ANY);
    let body = &text.bytes[from..from + len];
    (len >= min && !is_dummy(body)).then_some(from..from + len)
}

fn slack_token(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let kind = text.get(body)?;
    let separated = text.get(body + 1)? == b'-';
    let known = matches!(kind, b'a' | b'b' | b'c' | b'd' | b'e' | b'o' | b'p' | b'r' | b's');
    let value = (known && separated).then(|| tail_of(text, body + 2, dashed, 10))??;
    Some(start..value.end)
}

fn slack_webhook(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let rest = &text.bytes[body..];
    let kinds: [&[u8]; 3] = [b"services/", b"workflows/", b"triggers/"];
    let kind = kinds.iter().find(|kind| rest.starts_with(kind))?;
    tail_of(text, body + kind.len(), |byte| dashed(byte) || byte == b'/', 16)
}

fn discord_webhook(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let host = &text.bytes[start.saturating_sub(40)..start];
    let id = text.run(body, |byte| byte.is_ascii_digit(), 32);
    let ours = host.windows(7).any(|part| part == b"discord") && id > 0 && text.get(body + id) == Some(b'/');
    ours.then(|| tail_of(text, body + id + 1, dashed, 16))?
}

fn telegram_token(text: &Text, start: usize, _: usize) -> Option<Range<usize>> {
    let id = text.bytes[..start].iter().rev().take(13).take_while(|byte| byte.is_ascii_digit()).count();
    let len = text.run(start + 1, dashed, 48);
    ((6..=12).contains(&id) && (32..=46).contains(&len)).then_some(start + 1..start + 1 + len)
}

fn azure_signature(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let in_query = matches!(text.before(start), Some(b'?' | b'&' | b';'));
    let escaped = text.bytes[..start].ends_with(b"\\u0026") || text.bytes[..start].ends_with(b"amp;");
    (in_query || escaped)
        .then(|| tail_of(text, body, |byte| dashed(byte) || base64(byte) || byte == b'%', 24))?
}

/// Three characters, a digit, `Q~`, and 31 to 34 more.
fn azure_secret(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let class = |byte| dotted(byte) || byte == b'~';
    let from = start.checked_sub(4)?;
    let head = &text.bytes[from..start];
    let len = text.run(body, class, 64);
    let len = len - trailing(&text.bytes[body..body + len]);
    let fits =
        head[3].is_ascii_digit() && head[..3].iter().all(|&byte| class(byte)) && (30..=40).contains(&len);
    fits.then_some(from..body + len)
}

/// Base64url parts joined by dots, the first of them a JSON object: three when signed, five when encrypted.
fn jwt(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    if !text.is_edge(start) {
        return None;
    }
    let mut end = body + text.run(body, dashed, ANY);
    if end - body < 8 {
        return None;
    }
    let mut parts = 1;
    while parts < 5 && text.get(end) == Some(b'.') {
        let len = text.run(end + 1, dashed, ANY);
        if len < 4 {
            break;
        }
        parts += 1;
        end += 1 + len;
    }
    (parts >= 3).then_some(start..end)
}

/// The password of `scheme://user:password@host`, or a long user name without one, as tokens are passed.
fn url_password(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    if !text.before(start).is_some_and(alnum) {
        return None;
    }
    let word = &text.bytes[body..text.word_end(body).min(body + 2048)];
    let stop = |byte: &u8| matches!(byte, b'<' | b'>' | b'|' | b'^') || !byte.is_ascii();
    let mut word = &word[..word.iter().position(stop).unwrap_or(word.len())];
    if let Some(next) = word.windows(3).position(|part| part == b"://") {
        word = &word[..next];
    }
    let authority_end = word.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(word.len());
    let at = |part: &[u8]| part.iter().rposition(|&byte| byte == b'@');
    let colon = word[..authority_end].iter().position(|&byte| byte == b':');
    let Some(colon) = colon else {
        let user = &word[..at(&word[..authority_end])?];
        let token =
            user.len() >= 20 && user.iter().all(|&byte| dashed(byte)) && user.iter().any(u8::is_ascii_digit);
        return (token && !is_dummy(user)).then_some(body..body + user.len());
    };
    let end = match at(&word[..authority_end]) {
        Some(end) => end,
        // A password with `/`, `?` or `#` in it is no valid URL and works often enough; a port is not one.
        None => {
            let is_port = word[colon + 1..authority_end].iter().all(u8::is_ascii_digit);
            (!is_port).then(|| word.iter().position(|&byte| byte == b'@'))??
        }
    };
    let password = word.get(colon + 1..end)?;
    // `user:password@host` is how documents explain it.
    let is_secret = !is_placeholder(password) && !is_common(password);
    is_secret.then_some(body + colon + 1..body + end)
}

/// `"auth": "…"` of a container registry's configuration: user and password in base64.
fn docker_auth(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let closed = text.run(body, opening, 16);
    if closed == 0 || text.get(body + closed) != Some(b':') {
        return None;
    }
    let from = skip(text, body + closed + 1, opening);
    let value = tail_of(text, from, base64, 12)?;
    let quoted = matches!(text.get(value.end), Some(b'"' | b'\\'));
    (quoted && !is_natural(&text.bytes[value.clone()])).then_some(value)
}

const SCHEMES: [&[u8]; 9] =
    [b"bearer", b"basic", b"token", b"digest", b"apikey", b"api-key", b"bot", b"key", b"aws4-hmac-sha256"];

/// Skips `class`, and says where that ends.
fn skip(text: &Text, from: usize, class: fn(u8) -> bool) -> usize {
    from + text.run(from, class, 256)
}

/// What may stand between a name, the sign after it and its value, apart from that sign.
fn opening(byte: u8) -> bool {
    is_quote(byte) || matches!(byte, b'\\' | b' ' | b'\t' | b']' | b'[')
}

/// What follows an authorization header's name and scheme, in a header, a command line, JSON or a call's
/// arguments.
fn authorization(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let mut at = skip(text, body, opening);
    let separator = text.get(at)?;
    if !matches!(separator, b':' | b'=' | b',') || (separator == b',' && at == body) {
        return None;
    }
    at = skip(text, at + 1, |byte| opening(byte) || matches!(byte, b'=' | b'>'));
    let scheme = text.run(at, dashed, 32);
    let known = SCHEMES.iter().any(|s| text.bytes[at..at + scheme].eq_ignore_ascii_case(s));
    let has_scheme = known && matches!(text.get(at + scheme), Some(b' '));
    let value = if has_scheme { skip(text, at + scheme, |byte| byte == b' ') } else { at };
    let mut end = text.word_end(value);
    let several = [&b"digest"[..], b"aws4-hmac-sha256"]
        .iter()
        .any(|s| text.bytes[at..at + scheme].eq_ignore_ascii_case(s));
    if has_scheme && several {
        end = value + text.run(value, |byte| byte >= b' ' && !matches!(byte, b'\'' | b'\\'), 2048);
    }
    let end = end - trailing(&text.bytes[value..end]);
    let found = &text.bytes[value..end];
    let min = if has_scheme { 4 } else { 12 };
    let literal = found.len() >= min && (several || found.iter().all(|&byte| header_value(byte)));
    let natural = is_natural(found);
    let plain = !is_placeholder(found) && !is_dummy(found) && (has_scheme && found.len() >= 8 || !natural);
    (literal && plain && !natural_phrase(found)).then_some(value..end)
}

/// Words of prose that follow a scheme's name.
fn natural_phrase(value: &[u8]) -> bool {
    let words: [&[u8]; 8] = [
        b"token",
        b"tokens",
        b"auth",
        b"header",
        b"headers",
        b"authentication",
        b"authorization",
        b"credentials",
    ];
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn trailing(value: &[u8]) -> usize {
    value
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b',' | b';' | b')' | b']' | b'}' | b'.' | b'>'))
        .count()
}

fn bearer(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    if !text.is_edge(start) {
        return None;
    }
    let len = text.run(body, header_value, ANY);
    let len = len - trailing(&text.bytes[body..body + len]);
    let value = &text.bytes[body..body + len];
    let shaped = value.iter().any(u8::is_ascii_digit) || !is_natural(value);
    (len >= 12 && shaped && !is_dummy(value)).then_some(body..body + len)
}

fn cookie(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    // `Set-Cookie:` and `Cookie:` both; a word that merely ends so is not a header.
    let header = text.is_edge(start) && text.get(body) == Some(b' ');
    let value = body + 1;
    let name = header.then(|| text.run(value, dotted, 64))?;
    if name == 0 || text.get(value + name) != Some(b'=') {
        return None;
    }
    let from = value + name + 1;
    let end = from + text.run(from, |byte| byte > 0x1f && !is_quote(byte) && byte != b'\\', 8192);
    let found = &text.bytes[from..end];
    let plain = found.len() >= 8 && !is_placeholder(found) && !found.starts_with(b"[redacted:");
    plain.then_some(from..end)
}

/// The password that `curl -u` is given behind the user's name.
fn curl_user(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    if !text.is_edge(start) {
        return None;
    }
    let line = &text.bytes[body..text.bytes.len().min(body + 400)];
    let line = &line[..line.iter().position(|&byte| byte == b'\n').unwrap_or(line.len())];
    let flags: [&[u8]; 4] = [b"-u ", b"--user ", b"--user=", b"--proxy-user "];
    let flag_at =
        |at: usize| flags.iter().find(|flag| line[at..].starts_with(flag)).map(|flag| at + flag.len());
    let mut dashes = (0..line.len()).filter(|&at| line[at] == b'-' && (at == 0 || line[at - 1] == b' '));
    let from = body + dashes.find_map(flag_at)?;
    let from = skip(text, from, |byte| is_quote(byte) || byte == b'\\' || byte == b' ');
    let end = text.word_end(from);
    let colon = text.bytes[from..end].iter().position(|&byte| byte == b':')?;
    let password = &text.bytes[from + colon + 1..end];
    let plain = !is_placeholder(password);
    plain.then_some(from + colon + 1..end)
}

fn sshpass(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let from = skip(text, body, |byte| is_quote(byte) || byte == b'\\' || byte == b' ');
    let end = text.word_end(from);
    (end - from >= 3 && !is_placeholder(&text.bytes[from..end])).then_some(from..end)
}

/// The password that SQL's `IDENTIFIED BY` is given.
fn identified_by(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let from = skip(text, body, |byte| byte == b'\\');
    let from = text.get(from).filter(|byte| matches!(byte, b'\'' | b'"')).map(|_| from + 1)?;
    let end = text.word_end(from);
    (end - from >= 3 && !is_placeholder(&text.bytes[from..end])).then_some(from..end)
}

/// From `-----BEGIN … PRIVATE KEY` to its end, or as far as the key goes. The lines may be joined by `\n`
/// written out, be quoted, numbered or indented; a beginning without a key after it, as in source code, is
/// left alone.
fn private_key(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let dashes = text.bytes[..start].iter().rev().take(5).take_while(|&&byte| byte == b'-').count();
    let label = text.run(body, |byte| byte == b' ' || upper_alnum(byte), 48);
    let is_key = |label: &[u8]| label.windows(11).any(|part| part == b"PRIVATE KEY");
    if dashes < 4 || !is_key(&text.bytes[body..body + label]) {
        return None;
    }
    let mut at = body + label;
    at += text.run(at, |byte| byte == b'-', 5);
    // Key material found so far ends here; armour headers and line prefixes may come between.
    let (mut key_end, mut first, mut lost_at) = (None, true, at);
    while at < text.bytes.len() && at - lost_at <= 200 {
        let rest = &text.bytes[at..];
        if rest.starts_with(b"-----END ") || rest.starts_with(b"---- END ") {
            let close = rest[9..]
                .iter()
                .take(64)
                .position(|&byte| byte == b'-')
                .map_or(rest.len().min(72), |n| n + 9);
            return key_end
                .map(|_| start - dashes..at + close + text.run(at + close, |byte| byte == b'-', 5));
        }
        if rest.starts_with(b"-----BEGIN ") {
            break;
        }
        let len = text.run(at, base64, ANY);
        // Written out, the `n` of `\n` is no part of the line.
        let enough = if first && at - lost_at <= 12 { 16 } else { 40 };
        if len >= enough {
            (key_end, first, lost_at) = (Some(at + len), false, at + len);
        } else if key_end.is_some() && lost_at == key_end? && is_last_line(text, key_end?, at, len) {
            key_end = Some(at + len);
        }
        at += len.max(1);
    }
    key_end.map(|end| start - dashes..end)
}

/// Whether a short run of base64 is the last line of a key that was cut off: right after it, alone on its
/// line.
fn is_last_line(text: &Text, key_end: usize, at: usize, len: usize) -> bool {
    let gap = &text.bytes[key_end..at];
    let joined = gap == b" " || (gap.len() <= 12 && gap.iter().any(|byte| matches!(byte, b'\n' | b'\\')));
    let alone = matches!(text.get(at + len), None | Some(b'\n' | b'\r' | b'"' | b'\'' | b'\\' | b'.'));
    let last = text.bytes.len() - (at + len) <= 4 && text.bytes[at + len..].trim_ascii().is_empty();
    joined && (alone || last) && len > 1
}

/// The end of a private key whose beginning was cut off.
fn private_key_tail(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let label = text.run(body, |byte| byte == b' ' || upper_alnum(byte), 48);
    let is_key = text.bytes[body..body + label].windows(11).any(|part| part == b"PRIVATE KEY");
    if !is_key || !text.bytes[..start].ends_with(b"-----") {
        return None;
    }
    let (mut at, mut key_start) = (start - 5, None);
    let lost_at = |key_start: Option<usize>| key_start.unwrap_or(start - 5);
    while at > 0 && lost_at(key_start) - at <= 16 {
        let len = text.bytes[..at].iter().rev().take_while(|&&byte| base64(byte)).count();
        // The last line may be short, the ones before are not.
        if len >= 40 || (len >= 4 && key_start.is_none()) {
            key_start = Some(at - len);
        }
        at -= len.max(1);
    }
    let end = body + label;
    key_start.filter(|from| start - from > 24).map(|from| from..end + text.run(end, |byte| byte == b'-', 5))
}

/// The private half of a PuTTY key file.
fn putty_key(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let at = skip(text, body, |byte| {
        matches!(byte, b' ' | b'\r' | b'\n' | b'\\' | b'n' | b'r') || byte.is_ascii_digit()
    });
    let mut end = at;
    loop {
        let len = text.run(end, base64, ANY);
        if len == 0 || (len < 64 && text.get(end + len) == Some(b'-')) {
            break;
        }
        end += len;
        end += text.run(end, |byte| matches!(byte, b'\r' | b'\n'), 2);
    }
    let trimmed = text.bytes[at..end].trim_ascii_end().len();
    (trimmed >= 32).then_some(at..at + trimmed)
}
