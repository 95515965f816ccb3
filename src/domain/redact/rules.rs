//! Secrets with a shape of their own, and the table of literals that lead to every rule.

use std::ops::Range;

use super::assignment::Kind;
use super::values::{is_common, is_natural, is_placeholder, is_strong};
use super::{ASSIGNMENT, Text, commands, is_quote, is_word};

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
/// `-----BEGIN ` in base64.
const PACKED_BEGIN: &str = "LS0tLS1CRUdJTi";
/// What is given for a password where the user's name is the secret.
const OAUTH_BASIC: &[u8] = b"x-oauth-basic";

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
    shape("private-key", PACKED_BEGIN, 0, packed_key),
    run("age-key", "AGE-SECRET-KEY-1", upper_alnum, 20, ANY),
    edge("aws-key-id", "AKIA", upper_alnum, 16, 16),
    edge("aws-key-id", "ASIA", upper_alnum, 16, 16),
    edge("aws-key-id", "ABIA", upper_alnum, 16, 16),
    edge("aws-key-id", "ACCA", upper_alnum, 16, 16),
    run("github-token", "ghp_", alnum, 20, ANY),
    run("github-token", "gho_", alnum, 20, ANY),
    run("github-token", "ghu_", alnum, 20, ANY),
    run("github-token", "ghs_", dotted, 20, ANY),
    run("github-token", "ghr_", alnum, 20, ANY),
    run("github-token", "github_pat_", is_word, 20, ANY),
    run("gitlab-token", "glpat-", dotted, 16, ANY),
    run("gitlab-token", "glrtr-", dotted, 16, ANY),
    run("gitlab-token", "glwt-", dotted, 16, ANY),
    run("gitlab-token", "glffct-", dotted, 16, ANY),
    run("gitlab-token", "GR1348941", dashed, 16, ANY),
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
    run("slack-token", "xwfp-", dashed, 16, ANY),
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
    // Keys that carry a mark of their maker: storage, Cosmos DB, service bus, event hubs, IoT, DevOps, and so
    // on.
    shape("azure-key", "+ASt", 0, azure_marked),
    shape("azure-key", "ACDb", 0, azure_marked),
    shape("azure-key", "+ASb", 0, azure_marked),
    shape("azure-key", "+AEh", 0, azure_marked),
    shape("azure-key", "+ABa", 0, azure_marked),
    shape("azure-key", "+ACR", 0, azure_marked),
    shape("azure-key", "AIoT", 0, azure_marked),
    shape("azure-key", "APIM", 0, azure_marked),
    shape("azure-key", "AzFu", 0, azure_marked),
    shape("azure-key", "AzSe", 0, azure_marked),
    shape("azure-key", "AzCa", 0, azure_marked),
    shape("azure-key", "AZDO", 0, azure_marked),
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
    run("shopify-token", "shpca_", alnum, 32, ANY),
    run("shopify-token", "shppa_", alnum, 32, ANY),
    run("linear-key", "lin_api_", alnum, 20, ANY),
    run("linear-key", "lin_oauth_", alnum, 20, ANY),
    run("atlassian-token", "ATCTT3", dashed, 40, ANY),
    edge("atlassian-token", "ATBB", alnum, 32, 32),
    run("heroku-token", "HRKU-AA", dashed, 30, ANY),
    run("fly-token", "fm2_", base64, 60, ANY),
    run("sentry-token", "sntryu_", lower_hex, 40, ANY),
    run("sentry-token", "sntrys_", |byte| dashed(byte) || base64(byte), 40, ANY),
    edge("newrelic-key", "NRAK-", upper_alnum, 20, ANY),
    edge("postman-key", "PMAK-", dashed, 40, ANY),
    edge("notion-token", "ntn_", alnum, 40, ANY),
    run("figma-token", "figd_", dashed, 30, ANY),
    edge("doppler-token", "dp.pt.", alnum, 40, ANY),
    edge("doppler-token", "dp.st.", dotted, 40, ANY),
    edge("doppler-token", "dp.sa.", alnum, 40, ANY),
    edge("pulumi-token", "pul-", lower_hex, 40, 40),
    run("planetscale-token", "pscale_tkn_", dotted, 30, ANY),
    run("planetscale-token", "pscale_pw_", dotted, 30, ANY),
    run("supabase-token", "sb_secret_", dashed, 20, ANY),
    edge("perplexity-key", "pplx-", alnum, 40, ANY),
    edge("replicate-token", "r8_", alnum, 36, ANY),
    run("langsmith-key", "lsv2_pt_", is_word, 32, ANY),
    run("langsmith-key", "lsv2_sk_", is_word, 32, ANY),
    run("circleci-token", "CCIPAT_", is_word, 40, ANY),
    edge("buildkite-token", "bkua_", lower_hex, 40, 40),
    run("brevo-key", "xkeysib-", dashed, 60, ANY),
    run("dynatrace-token", "dt0c01.", dotted, 60, ANY),
    edge("netlify-token", "nfp_", alnum, 36, ANY),
    run("square-token", "sq0csp-", dashed, 40, ANY),
    run("square-token", "sq0atp-", dashed, 20, ANY),
    run("firebase-key", "APA91b", dashed, 100, ANY),
    shape("terraform-token", ".atlasv1.", 1, terraform_token),
    shape("mapbox-token", "sk.eyJ", 0, mapbox_token),
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
    folded("docker-auth", ".dockerconfigjson", 1, docker_config),
    folded("docker-auth", ".dockercfg:", 1, docker_config),
    shape("telegram-token", ":A", 0, telegram_token),
    shape("discord-webhook", "/api/webhooks/", 5, discord_webhook),
    shape("jwt", "eyJ", 0, jwt),
    shape("url-password", "://", 0, url_password),
    shape("url-password", ":\\/\\/", 1, url_password),
    folded("authorization", "authorization", 0, authorization),
    folded("authorization", "bearer ", 2, bearer),
    folded("cookie", "cookie", 3, cookie),
    shape("cookie", "TRUE", 0, cookie_jar),
    shape("cookie", "FALSE", 0, cookie_jar),
    folded("basic-auth", "curl ", 0, commands::curl_user),
    folded("cookie", "curl ", 0, commands::curl_cookie),
    folded("basic-auth", "http -a ", 2, commands::after_colon),
    folded("basic-auth", "sshpass -p", 1, commands::argument),
    shape("basic-auth", "mysql", 1, commands::mysql),
    shape("basic-auth", "mariadb", 3, commands::mysql),
    shape("basic-auth", "redis-cli ", 2, commands::redis),
    shape("basic-auth", "docker login ", 3, commands::login),
    shape("basic-auth", "podman login ", 0, commands::login),
    shape("basic-auth", "registry login ", 3, commands::login),
    shape("basic-auth", "zip ", 0, commands::zip),
    shape("basic-auth", "keytool ", 1, commands::keytool),
    shape(ASSIGNMENT, "secret set ", 3, commands::secret_set),
    shape(ASSIGNMENT, "put-parameter ", 4, commands::put_parameter),
    shape("basic-auth", "| chpasswd", 2, commands::chpasswd),
    shape("basic-auth", "| sudo -S", 4, commands::piped),
    shape("basic-auth", "--password-stdin", 4, commands::piped_into),
    shape("basic-auth", "--with-token", 4, commands::piped_into),
    shape("basic-auth", "pass:", 2, commands::openssl),
    folded(ASSIGNMENT, "ConvertTo-SecureString ", 2, commands::secure_string),
    folded(ASSIGNMENT, "send ", 2, commands::expect),
    shape(ASSIGNMENT, ":5432:", 1, commands::pgpass),
    folded(ASSIGNMENT, "identified ", 2, identified_by),
    folded(ASSIGNMENT, "secret access key", 7, secret_access_key),
    shape(ASSIGNMENT, "?key=", 1, query_key),
    shape(ASSIGNMENT, "&key=", 1, query_key),
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
    name("api key", 1, Kind::Key),
    name("private key", 5, Kind::Key),
    name("access key", 5, Kind::Key),
    name("app_key", 1, Kind::Key),
    name("auth_key", 2, Kind::Key),
    name("auth-key", 2, Kind::Key),
    name("authkey", 2, Kind::Key),
    name("account_key", 5, Kind::Key),
    name("account-key", 5, Kind::Key),
    name("accountkey", 5, Kind::Key),
    name("application_key", 9, Kind::Key),
    name("application-key", 9, Kind::Key),
    name("subscription_key", 10, Kind::Key),
    name("subscription-key", 10, Kind::Key),
    name("subscriptionkey", 10, Kind::Key),
    name("master_key", 4, Kind::Key),
    name("master-key", 4, Kind::Key),
    name("masterkey", 4, Kind::Key),
    name("storage_key", 5, Kind::Key),
    name("shared_key", 4, Kind::Key),
    name("sharedkey", 4, Kind::Key),
    name("session_key", 5, Kind::Key),
    name("jwt_key", 1, Kind::Key),
    name("_salt", 0, Kind::Key),
    name("_pass", 0, Kind::Password),
    name("db-pass", 1, Kind::Password),
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

/// A key of Azure with its maker's mark near the end, forty characters or more before it.
fn azure_marked(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let class = |byte: &u8| dashed(*byte) || matches!(byte, b'+' | b'/');
    let before = text.bytes[..start].iter().rev().take(79).take_while(|byte| class(byte)).count();
    let after = text.run(body, |byte| dashed(byte) || base64(byte), 12);
    // The sign of a diff, and the `n` of `\n` written out, are no part of the key.
    let known = [76, 44, 42, 33].into_iter().find(|&len| (len..=len + 2).contains(&before))?;
    (4..=10).contains(&after).then_some(start - known..body + after)
}

/// A token of Terraform Cloud: fourteen characters before the word, sixty and more after it.
fn terraform_token(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let before = text.bytes[..start].iter().rev().take(14).take_while(|byte| alnum(**byte)).count();
    let value = tail_of(text, body, dashed, 40)?;
    Some(start - before..value.end)
}

/// A secret token of Mapbox: a JSON object and a signature.
fn mapbox_token(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let object = text.run(body, dashed, ANY);
    let signed = text.is_edge(start) && object >= 20 && text.get(body + object) == Some(b'.');
    let value = signed.then(|| tail_of(text, body + object + 1, dashed, 16))??;
    Some(start..value.end)
}

/// The data of a pull secret.
fn docker_config(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let from = skip(text, body, |byte| opening(byte) || byte == b':');
    tail_of(text, from, base64, 24)
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
    let path = word.iter().position(|&byte| byte == b'/').unwrap_or(word.len());
    let end = match at(&word[..authority_end]) {
        // The same where the password has an `@` besides.
        Some(_) if word.get(authority_end) == Some(&b'#') && colon < authority_end => at(&word[..path])?,
        Some(end) => end,
        // A password with `/`, `?` or `#` in it is no valid URL and works often enough; a port is not one.
        None => {
            let is_port = word[colon + 1..authority_end].iter().all(u8::is_ascii_digit);
            (!is_port).then(|| word.iter().position(|&byte| byte == b'@'))??
        }
    };
    let password = word.get(colon + 1..end)?;
    let user = &word[..colon];
    if (password.is_empty() || password == OAUTH_BASIC) && colon >= 20 && is_strong(user) {
        return Some(body..body + colon);
    }
    // `user:password@host` is how documents explain it; `x-oauth-basic` says that the user is the secret.
    let is_secret = !is_placeholder(password) && !is_common(password) && password != OAUTH_BASIC;
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
pub(super) fn skip(text: &Text, from: usize, class: fn(u8) -> bool) -> usize {
    from + text.run(from, class, 256)
}

/// What may stand between a name, the sign after it and its value, apart from that sign.
pub(super) fn opening(byte: u8) -> bool {
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
    // `Set-Cookie:` and `Cookie:` both, and as names in JSON; a word that merely ends so is not a header.
    let at = skip(text, body, opening);
    if !text.is_edge(start) || text.get(at) != Some(b':') {
        return None;
    }
    let value = skip(text, at + 1, opening);
    cookies(text, value)
}

/// From the first cookie's value to the end of the header.
pub(super) fn cookies(text: &Text, value: usize) -> Option<Range<usize>> {
    let name = text.run(value, dotted, 64);
    if name == 0 || text.get(value + name) != Some(b'=') {
        return None;
    }
    let from = value + name + 1;
    let end = from + text.run(from, |byte| byte > 0x1f && !is_quote(byte) && byte != b'\\', 8192);
    let found = &text.bytes[from..end];
    let plain = found.len() >= 8 && !is_placeholder(found) && !found.starts_with(b"[redacted:");
    plain.then_some(from..end)
}

/// The value in a line of a cookie jar: after whether it is secure come its end, its name and itself.
fn cookie_jar(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let tab = |at: usize| match text.get(at)? {
        b'\t' => Some(at + 1),
        b'\\' => {
            let slashes = text.run(at, |byte| byte == b'\\', 8);
            (text.get(at + slashes) == Some(b't')).then_some(at + slashes + 1)
        }
        _ => None,
    };
    matches!(text.before(start), Some(b'\t' | b't')).then_some(())?;
    let time = tab(body)?;
    let name = tab(time + text.run(time, |byte| byte.is_ascii_digit(), 20))?;
    let value = tab(name + text.run(name, dotted, 256))?;
    let len = text.run(value, |byte| byte > b' ' && byte < 0x7f && byte != b'\\' && !is_quote(byte), 8192);
    (time < name && len >= 8).then_some(value..value + len)
}

/// The password that SQL's `IDENTIFIED BY` and `IDENTIFIED WITH … BY` are given.
fn identified_by(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let by = |at: usize| text.bytes.get(at..at + 3).is_some_and(|by| by.eq_ignore_ascii_case(b"by "));
    let mut at = body;
    if text.bytes.get(at..at + 5).is_some_and(|with| with.eq_ignore_ascii_case(b"with ")) {
        at += 5;
        at += text.run(at, |byte| is_word(byte) || is_quote(byte), 64) + 1;
    }
    let from = by(at).then(|| skip(text, at + 3, |byte| byte == b'\\'))?;
    let from = text.get(from).filter(|byte| matches!(byte, b'\'' | b'"')).map(|_| from + 1)?;
    let end = text.word_end(from);
    (end - from >= 3 && !is_placeholder(&text.bytes[from..end])).then_some(from..end)
}

/// The key behind `Secret access key` as the console's CSV file and `aws configure` write it: forty
/// characters, some way on.
fn secret_access_key(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let end = text.bytes.len().min(body + 160);
    let mut at = body;
    while at < end {
        let len = text.run(at, base64, 64);
        let found = &text.bytes[at..at + len];
        if len == 40 && is_strong(found) && found.iter().any(u8::is_ascii_uppercase) {
            return Some(at..at + len);
        }
        // The `n` of `\n` written out is glued to what follows.
        if len == 41 && at > 0 && text.bytes[at - 1] == b'\\' {
            return Some(at + 1..at + len);
        }
        at += len.max(1);
    }
    None
}

/// `?key=…`, which maps and feeds have.
fn query_key(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let value = tail_of(text, body, dashed, 20)?;
    is_strong(&text.bytes[value.clone()]).then_some(value)
}

/// From `-----BEGIN … PRIVATE KEY` to its end, or as far as the key goes. The lines may be joined by `\n`
/// written out, be quoted, numbered or indented; a beginning without a key after it, as in source code, is
/// left alone.
fn private_key(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    // SSH2 has four dashes and a blank.
    let blank = usize::from(text.before(start) == Some(b' '));
    let dashes = text.bytes[..start - blank].iter().rev().take(5).take_while(|&&byte| byte == b'-').count();
    let label = text.run(body, |byte| byte == b' ' || upper_alnum(byte), 48);
    let is_key = |label: &[u8]| label.windows(11).any(|part| part == b"PRIVATE KEY");
    if dashes < 4 || !is_key(&text.bytes[body..body + label]) {
        return None;
    }
    let mut at = body + label;
    at += text.run(at, |byte| byte == b'-', 5);
    let end = key_lines(text, at)?;
    Some(start - blank - dashes..end)
}

/// Where the lines of a private key end that begin somewhere after `from`, with what closes it.
fn key_lines(text: &Text, from: usize) -> Option<usize> {
    let mut at = from;
    // Key material found so far ends here; armour headers and line prefixes may come between.
    let (mut key_end, mut first, mut lost_at) = (None, true, at);
    while at < text.bytes.len() && at - lost_at <= 320 {
        let rest = &text.bytes[at..];
        if rest.starts_with(b"-----END ") || rest.starts_with(b"---- END ") {
            let close = rest[9..]
                .iter()
                .take(64)
                .position(|&byte| byte == b'-')
                .map_or(rest.len().min(72), |n| n + 9);
            return key_end.map(|_| at + close + text.run(at + close, |byte| byte == b'-', 5));
        }
        if rest.starts_with(b"-----BEGIN ") || rest.starts_with(b"Private-MAC") {
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
    key_end
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
    let end = key_lines(text, body)?;
    let from = body + text.bytes[body..end].windows(16).position(|part| part.iter().all(|&b| base64(b)))?;
    // The `n` of `\n` written out is no part of the key.
    Some(from + usize::from(text.before(from) == Some(b'\\'))..end)
}

/// A private key file in base64 on one line, as in a kubeconfig.
fn packed_key(text: &Text, start: usize, _: usize) -> Option<Range<usize>> {
    let class = |byte| base64(byte) || dashed(byte);
    if !text.is_edge(start) || text.run(start, class, 76) < 76 {
        return None;
    }
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        _ => 63,
    };
    let head: Vec<u8> = text.bytes[start..start + 76]
        .chunks_exact(4)
        .flat_map(|four| {
            let word = four.iter().fold(0_u32, |word, &byte| word << 6 | u32::from(sextet(byte)));
            [(word >> 16) as u8, (word >> 8) as u8, word as u8]
        })
        .collect();
    head.windows(11).any(|part| part == b"PRIVATE KEY").then(|| tail_of(text, start, class, 80))?
}
