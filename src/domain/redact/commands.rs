//! Secrets that programs are given as arguments or through a pipe, where a flag or the program's name says so.

use std::ops::Range;

use super::rules::{cookies, skip};
use super::values::{is_common, is_placeholder, is_strong};
use super::{Text, is_quote};

/// So far on the same line arguments are looked for.
const LINE: usize = 400;

/// How a flag and its value are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    /// By a blank or `=`, which are part of the flag.
    Apart,
    /// Not at all: `-uroot`.
    Glued,
}

/// The rest of the line that `from` is on.
fn line<'a>(text: &Text<'a>, from: usize) -> &'a [u8] {
    let line = &text.bytes[from..text.bytes.len().min(from + LINE)];
    &line[..line.iter().position(|&byte| byte == b'\n').unwrap_or(line.len())]
}

/// Where the value of the first of `flags` begins, quotes skipped, and whether there were any.
fn flag(text: &Text, body: usize, flags: &[(&[u8], Join)]) -> Option<(usize, bool)> {
    let line = line(text, body);
    let opens = |at: usize| at == 0 || matches!(line[at - 1], b' ' | b'"' | b'\'');
    let (at, join) = (0..line.len()).filter(|&at| line[at] == b'-' && opens(at)).find_map(|at| {
        let found = flags.iter().find(|(flag, _)| line[at..].starts_with(flag));
        found.map(|(flag, join)| (body + at + flag.len(), *join))
    })?;
    let from = skip(text, at, |byte| is_quote(byte) || byte == b'\\');
    let from = if join == Join::Apart { skip(text, from, argument_gap) } else { from };
    Some((from, from > at))
}

fn argument_gap(byte: u8) -> bool {
    is_quote(byte) || matches!(byte, b'\\' | b' ' | b',')
}

/// The word at `from`, unless it stands for something else.
fn value(text: &Text, from: usize, least: usize) -> Option<Range<usize>> {
    let end = text.word_end(from);
    let found = &text.bytes[from..end];
    let other = is_placeholder(found) || is_common(found);
    (found.len() >= least && found[0] != b'-' && !other).then_some(from..end)
}

/// What follows the colon of the word at `from`.
fn password_of(text: &Text, from: usize) -> Option<Range<usize>> {
    let end = text.word_end(from);
    let colon = text.bytes[from..end].iter().position(|&byte| byte == b':')?;
    value(text, from + colon + 1, 1)
}

/// The password that `curl -u` is given behind the user's name.
pub(super) fn curl_user(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    use Join::{Apart, Glued};
    const FLAGS: &[(&[u8], Join)] = &[
        (b"-u", Glued),
        (b"--user ", Apart),
        (b"--user=", Apart),
        (b"--proxy-user ", Apart),
        (b"-U ", Apart),
    ];
    let (from, _) = text.is_edge(start).then(|| flag(text, body, FLAGS))??;
    password_of(text, skip(text, from, argument_gap))
}

pub(super) fn curl_cookie(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    const FLAGS: &[(&[u8], Join)] =
        &[(b"-b ", Join::Apart), (b"--cookie ", Join::Apart), (b"--cookie=", Join::Apart)];
    let (from, _) = text.is_edge(start).then(|| flag(text, body, FLAGS))??;
    cookies(text, from)
}

/// `user:password` right after the flag.
pub(super) fn after_colon(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    password_of(text, skip(text, body, argument_gap))
}

/// The argument right after the flag.
pub(super) fn argument(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    value(text, skip(text, body, argument_gap), 3)
}

/// `mysql -psecret`: glued, or it would be asked for. A word without quotes may be another flag.
pub(super) fn mysql(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let (from, quoted) = text.is_edge(start).then(|| flag(text, body, &[(b"-p", Join::Glued)]))??;
    let value = value(text, from, 3)?;
    (quoted || is_strong(&text.bytes[value.clone()])).then_some(value)
}

pub(super) fn redis(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let (from, _) = flag(text, body, &[(b"-a ", Join::Apart), (b"--pass ", Join::Apart)])?;
    value(text, from, 3)
}

pub(super) fn login(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let (from, _) = flag(text, body, &[(b"-p ", Join::Apart), (b"-p=", Join::Apart)])?;
    value(text, from, 3)
}

pub(super) fn zip(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let (from, _) = flag(text, body, &[(b"-P ", Join::Apart)])?;
    value(text, from, 3)
}

pub(super) fn keytool(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    const FLAGS: &[(&[u8], Join)] = &[(b"-storepass ", Join::Apart), (b"-keypass ", Join::Apart)];
    let (from, _) = flag(text, body, FLAGS)?;
    let first = value(text, from, 3)?;
    // Both passwords, with what is between them, when they are the same as they mostly are.
    let second = flag(text, first.end, FLAGS).and_then(|(from, _)| value(text, from, 3));
    Some(first.start..second.map_or(first.end, |second| second.end))
}

/// `gh secret set NAME --body …`.
pub(super) fn secret_set(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    const FLAGS: &[(&[u8], Join)] =
        &[(b"--body ", Join::Apart), (b"--body=", Join::Apart), (b"-b ", Join::Apart), (b"-b", Join::Glued)];
    let (from, _) = flag(text, body, FLAGS)?;
    value(text, from, 3)
}

/// `aws ssm put-parameter`, if what is put is secret.
pub(super) fn put_parameter(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let secure = line(text, body).windows(12).any(|part| part == b"SecureString");
    let flags: &[(&[u8], Join)] = &[(b"--value ", Join::Apart), (b"--value=", Join::Apart)];
    let (from, _) = secure.then(|| flag(text, body, flags))??;
    value(text, from, 3)
}

/// What `echo` or `printf` says on the same line before `start`.
fn echoed(text: &Text, start: usize) -> Option<usize> {
    let before = &text.bytes[start.saturating_sub(LINE)..start];
    let from = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let words: [&[u8]; 5] = [b"echo -n ", b"echo ", b"printf '%s' ", b"printf %s ", b"printf "];
    let at = |word: &&[u8]| before[from..].windows(word.len()).rposition(|part| part == *word);
    let at = words.iter().find_map(|word| at(word).map(|at| from + at + word.len()))?;
    Some(skip(text, start - before.len() + at, argument_gap))
}

/// `echo user:password | chpasswd`.
pub(super) fn chpasswd(text: &Text, start: usize, _: usize) -> Option<Range<usize>> {
    password_of(text, echoed(text, start)?)
}

/// `echo password | sudo -S`.
pub(super) fn piped(text: &Text, start: usize, _: usize) -> Option<Range<usize>> {
    let found = value(text, echoed(text, start)?, 3)?;
    (found.end <= start).then_some(found)
}

/// `echo token | gh auth login --with-token`.
pub(super) fn piped_into(text: &Text, start: usize, _: usize) -> Option<Range<usize>> {
    let before = &text.bytes[start.saturating_sub(LINE)..start];
    let before = &before[before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)..];
    let pipe = before.iter().rposition(|&byte| byte == b'|')?;
    piped(text, start - before.len() + pipe, start)
}

/// `-passin pass:…` of OpenSSL.
pub(super) fn openssl(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let before = &text.bytes[start.saturating_sub(16)..start];
    before.windows(5).any(|part| part == b"-pass").then(|| value(text, body, 3))?
}

/// `ConvertTo-SecureString '…' -AsPlainText`.
pub(super) fn secure_string(text: &Text, _: usize, body: usize) -> Option<Range<usize>> {
    let string = text.bytes[body..].starts_with(b"-String ");
    let from = skip(text, body + if string { 8 } else { 0 }, argument_gap);
    (from > body).then(|| value(text, from, 3))?
}

/// What `expect` sends after it has seen the question for a password.
pub(super) fn expect(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let before = &text.bytes[start.saturating_sub(80)..start];
    let asked = before.windows(7).any(|part| part.eq_ignore_ascii_case(b"assword"));
    let from = skip(text, body, |byte| is_quote(byte) || byte == b'\\');
    (asked && from > body).then(|| value(text, from, 3))?
}

/// The last field of a line of `.pgpass`: host, port, database, user, password.
pub(super) fn pgpass(text: &Text, start: usize, body: usize) -> Option<Range<usize>> {
    let host = text.before(start).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'*');
    let field = |at: usize| {
        let len = text.run(at, |byte| byte > b' ' && byte != b':' && byte < 0x7f && !is_quote(byte), 64);
        (len > 0 && text.get(at + len) == Some(b':')).then_some(at + len + 1)
    };
    let user = host.then(|| field(body))??;
    value(text, field(user)?, 3)
}
