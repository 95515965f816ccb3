//! Values known for secrets by the name they are given to: `DB_PASSWORD=…`, `"api_key": "…"`, `--token …`.
//!
//! Names alone say little, since source code is full of `token = next_token()`. So what counts as a value
//! depends on how it is written: quoted, in the manner of an environment file, as the whole rest of a line,
//! or loosely in a sentence or a call, where it has to look like no word and no piece of code.

use std::ops::Range;

use super::values::{
    dashed_word, has_brackets, has_keyword, is_code, is_common, is_elsewhere, is_listed, is_natural,
    is_placeholder, is_strong, is_variable_name, words_of,
};
use super::{Text, is_quote, is_word};

/// What a word in a name says about the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Chosen by people: may be a word or a number.
    Password,
    Secret,
    /// Also what parsers and language models count.
    Token,
    Key,
}

/// How a value is written, from the most telling to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As in an environment file or on a command line: everything that is no reference or code.
    Plain,
    /// A string literal.
    Quoted,
    /// Alone on the rest of its line, as in YAML or INI: no identifier and no type.
    Line,
    /// Anything else: has to look like a secret.
    Loose,
}

/// A name with a telling word in it.
struct Name<'a> {
    start: usize,
    end: usize,
    bytes: &'a [u8],
    kind: Kind,
    /// Written in capitals, as environment variables are.
    capitals: bool,
    /// The word is a plural or otherwise not quite it.
    doubtful: bool,
    /// First on its line, whatever of `export`, `- ` and the like is before it.
    leads: bool,
    /// `leads`, and the line is a real one rather than `\n` inside a string.
    leads_file_line: bool,
}

/// Names are no longer than this.
const NAME_LIMIT: usize = 96;
/// So much of a value is enough to judge it.
const JUDGED: usize = 512;

/// The secret value of the name that the word at `start..end` is in, if it has one.
pub(super) fn value_of(text: &Text, start: usize, end: usize, kind: Kind) -> Option<Range<usize>> {
    let name = name_at(text, start, end, kind)?;
    let (range, form) = written(text, &name)?;
    let value = &text.bytes[range.clone()];
    let from = range.start + scheme_len(value);
    let judged = &text.bytes[from..range.end.min(from + JUDGED)];
    is_secret(judged, &name, form).then_some(from..range.end)
}

fn name_at<'a>(text: &Text<'a>, start: usize, end: usize, kind: Kind) -> Option<Name<'a>> {
    let bytes = text.bytes;
    let part = |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'-');
    let back = bytes[..start].iter().rev().take(NAME_LIMIT).take_while(|byte| part(byte)).count();
    let on = bytes[end..].iter().take(NAME_LIMIT).take_while(|byte| part(byte)).count();
    let (mut from, to) = (start - back, end + on);
    // `\n` before the name, written out.
    if from > 0 && from < start && bytes[from - 1] == b'\\' && matches!(bytes[from], b'n' | b'r' | b't') {
        from += 1;
    }
    // A list's or diff's mark rather than a flag's.
    if bytes[from] == b'-' && from < start && bytes.get(from + 1) != Some(&b'-') {
        from += 1;
    }
    let name = &bytes[from..to];
    let doubtful = rest_of_name(&bytes[start..end], &bytes[end..to], kind)?;
    let lower = name.to_ascii_lowercase();
    if lower.starts_with(b"--no-")
        || (kind == Kind::Password
            && &bytes[start..end].to_ascii_lowercase() == b"pwd"
            && !is_password_pwd(text, name, from))
    {
        return None;
    }
    if bytes[start..end].eq_ignore_ascii_case(b"_auth") && to != end {
        return None;
    }
    let capitals = name.iter().any(u8::is_ascii_uppercase) && !name.iter().any(u8::is_ascii_lowercase);
    let (leads, leads_file_line) = leads(text, from);
    Some(Name { start: from, end: to, bytes: name, kind, capitals, doubtful, leads, leads_file_line })
}

/// `PWD` is where a shell stands; `Pwd=` in a connection string and `DB_PWD` are passwords.
fn is_password_pwd(text: &Text, name: &[u8], from: usize) -> bool {
    let lower = name.to_ascii_lowercase();
    match &lower[..] {
        b"pwd" => text.before(from) == Some(b';') || (name == b"pwd" && text.get(from + 3) == Some(b'=')),
        b"oldpwd" | b"init_cwd" => false,
        lower => lower.ends_with(b"pwd"),
    }
}

/// Whether what follows the word in the name leaves it a secret's, and if so whether that is in doubt.
fn rest_of_name(word: &[u8], rest: &[u8], kind: Kind) -> Option<bool> {
    // Words that say the value is about the secret, not the secret.
    const ABOUT: &str = "url uri urls endpoint file files path paths dir name names type types count counts limit limits \
        len length size max min budget usage ttl expiry expires expiration expire expired at in age \
        policy hint label field fields input placeholder prompt format regex pattern version versions \
        status state scope scopes header kind index env var id ids manager store provider enabled \
        required strength validator class method algorithm alg issuer audience address span rate cost \
        price total used remaining position offset stdin source arn error errors message validation \
        exists changed reset stream list map set details detail kinds helper lifetime duration timeout \
        interval delta flag icon rotation ref refs fingerprint scanner scanning detection patterns rules \
        handler request response per window text range";
    let Some(&next) = rest.first() else { return Some(false) };
    let last = *word.last().expect("a word in a name is not empty");
    let plural =
        next.eq_ignore_ascii_case(&b's') && !rest.get(1).is_some_and(|byte| is_word(*byte) && *byte != b'_');
    let same_case = next.is_ascii_lowercase() || (next.is_ascii_uppercase() && last.is_ascii_uppercase());
    if next.is_ascii_alphabetic() && same_case && !plural {
        // `tokenizer`, `secretary`, but also `passwordHash`, which changes case, and `tokenfoo`, which says
        // nothing.
        return None;
    }
    let words = words_of(rest);
    let about = |word: &&[u8]| is_listed(ABOUT, word);
    let is_secret_id = kind == Kind::Secret && rest.eq_ignore_ascii_case(b"_id");
    if is_secret_id {
        return Some(true);
    }
    (!words.iter().any(about)).then_some(plural && (kind != Kind::Password))
}

/// Whether only such words are before `at` on its line as do not make it code or prose; and whether the line
/// is one.
fn leads(text: &Text, at: usize) -> (bool, bool) {
    let window = &text.bytes[at.saturating_sub(64)..at];
    let real = window.iter().rposition(|&byte| byte == b'\n').map(|n| n + 1).or((at <= 64).then_some(0));
    let written = window.windows(2).rposition(|pair| pair == b"\\n").map(|n| n + 2);
    let Some(from) = real.max(written) else { return (false, false) };
    const MAY: [&str; 13] = [
        "export", "set", "setx", "env", "arg", "declare", "local", "readonly", "x", "gx", "ux", "setenv",
        "global",
    ];
    let may = |word: &[u8]| MAY.iter().any(|may| word.eq_ignore_ascii_case(may.as_bytes()));
    let leads = words_of(&window[from..]).into_iter().all(may)
        && !window[from..].iter().any(|b| matches!(b, b'(' | b'=' | b'{'));
    let bare = !window[from..].iter().any(|&byte| is_quote(byte));
    (leads, leads && bare && real >= written)
}

/// Where the value is, and how it is written.
fn written(text: &Text, name: &Name) -> Option<(Range<usize>, Form)> {
    let mut at = name.end;
    // `"name"`, `\"name\"`, `config["name"]`, `password[32]`.
    let slashes = text.run(at, |byte| byte == b'\\', 8);
    let closed = text.get(at + slashes).is_some_and(is_quote);
    if closed {
        at += slashes + 1;
    }
    if text.get(at) == Some(b'[') {
        let digits = text.run(at + 1, |byte| byte.is_ascii_digit(), 8);
        if text.get(at + 1 + digits) == Some(b']') {
            at += digits + 2;
        }
    }
    if closed && text.get(at) == Some(b']') {
        at += 1;
    }
    if closed && let Some(value) = form_field(text, name, at) {
        return Some((value, Form::Plain));
    }
    if name.bytes.contains(&b' ') && text.bytes[at..].starts_with(b" [") {
        // The value so far, as `aws configure` shows it.
        at += text.run(at, |byte| !matches!(byte, b']' | b'\n'), 32) + 1;
    }
    let blanks = text.run(at, is_blank, 64);
    let after = at + blanks;
    let flag = name.bytes.starts_with(b"--");
    let rest = &text.bytes[after.min(text.bytes.len())..];
    let (separator, len) = match rest {
        [b':', b':', ..] | [b'!', ..] => return None,
        [b'=', b'=', b'=', ..] => (b'#', 3),
        [b'=', b'=', ..] => (b'#', 2),
        [b'=', b'>', ..] | [b':', b'=', ..] => (b'#', 2),
        [b'?' | b'+' | b'|', b'=', ..] => (b'=', 2),
        [b'|', b'|', b'=', ..] => (b'=', 3),
        [b'|', b'|', ..] | [b'?', b'?', ..] => return fallback(text, after + 2),
        [b'|', ..] => return cell(text, after + 1),
        [b'(', ..] if blanks == 0 && !closed => return setter(text, name, after + 1),
        [b'=', ..] => (b'=', 1),
        [b'%', b'3', b'D' | b'd', ..] => (b'=', 3),
        [b':', ..] => (b':', 1),
        [b'>', ..] if blanks == 0 && !closed => (b'>', 1),
        [b',', ..] if closed => (b',', 1),
        _ => return named_value(text, name, at).or_else(|| by_space(text, name, at, blanks, flag, closed)),
    };
    if separator == b','
        && let Some(found) = named_value(text, name, at)
    {
        return Some(found);
    }
    let at = after + len;
    let gap = text.run(at, is_blank_or_line(separator), 256);
    let from = at + gap;
    if separator == b'>' {
        return element(text, name, from);
    }
    let tight = blanks == 0 && gap == 0;
    if let Some(value) = literal(text, from) {
        let form = match separator {
            // Any two strings, unless the second can be nothing else.
            b',' if !flag && (name.doubtful || (name.kind != Kind::Password && value.len() < 12)) => {
                return None;
            }
            b',' if !flag => Form::Loose,
            b'=' if tight && (name.capitals || flag) => Form::Plain,
            _ => Form::Quoted,
        };
        return Some((value, form));
    }
    match separator {
        b',' | b'#' => None,
        b':' if !tight => after_colon(text, name, from, closed),
        b':' => Some((cut(text, from..text.word_end(from)), Form::Loose)),
        _ if tight => Some(tight_value(text, name, from, flag)),
        _ => rest_of_line(text, from).map(|value| (value, if name.leads { Form::Line } else { Form::Loose })),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// JSON and calls may break the line before a value; elsewhere a line's end is the end.
fn is_blank_or_line(separator: u8) -> fn(u8) -> bool {
    if separator == b',' { |byte| byte.is_ascii_whitespace() } else { is_blank }
}

/// The inside of a string literal that begins at `from`, perhaps behind a prefix or wrapper as in
/// `String::from("…")`.
fn literal(text: &Text, from: usize) -> Option<Range<usize>> {
    let from = if text.bytes[from.min(text.bytes.len())..].starts_with(b"new ") { from + 4 } else { from };
    let wrapper =
        text.run(from, |byte| is_word(byte) || matches!(byte, b':' | b'.' | b'!' | b'(' | b'#' | b'@'), 40);
    let at = from + wrapper;
    let prefix = &text.bytes[from..at];
    let slashes = text.run(at, |byte| byte == b'\\', 8);
    let quote = text.get(at + slashes).filter(|&byte| is_quote(byte))?;
    const PREFIXES: &[&[u8]] = &[b"", b"b", b"r", b"f", b"u", b"@", b"r#", b"br", b"("];
    const WRAPPERS: &[&[u8]] =
        &[b"from(", b"new(", b"Some(", b"Ok(", b"String(", b"Secret(", b"SecretStr(", b"SecretString("];
    let wraps = |wrapper: &&[u8]| {
        prefix.strip_suffix(*wrapper).is_some_and(|before| !before.last().is_some_and(|byte| is_word(*byte)))
    };
    if !PREFIXES.contains(&prefix) && !WRAPPERS.iter().any(wraps) {
        return None;
    }
    let mut start = at + slashes + 1;
    // Three quotes for a long string.
    if slashes == 0 && text.bytes[start..].starts_with(&[quote, quote]) {
        start += 2;
    }
    Some(start..closing(text, start, quote, slashes))
}

/// Where the quote that was opened behind `slashes` backslashes closes: the line's end when it does not.
fn closing(text: &Text, start: usize, quote: u8, slashes: usize) -> usize {
    let mut at = start;
    let mut run = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => run += 1,
            // With fewer backslashes than it was opened it is the string around that ends.
            _ if byte == quote && (run <= slashes || (slashes == 0 && run % 2 == 0)) => return at - run,
            b'\n' => return at,
            _ => run = 0,
        }
        if byte == quote {
            run = 0;
        }
        at += 1;
    }
    at
}

/// `NAME=value` without blanks.
fn tight_value(text: &Text, name: &Name, from: usize, flag: bool) -> (Range<usize>, Form) {
    let before = text.before(name.start);
    if name.leads_file_line && before != Some(b';') {
        // Quotes inside belong to the value here, which only a blank ends.
        let mut end = from;
        while text.get(end).is_some_and(|byte| byte > b' ' && byte != 0x7f)
            && !(text.bytes[end] == b'\\' && text.is_escape(end) && !text.get(end + 1).is_some_and(is_quote))
            && end - from < 4096
        {
            end += 1;
        }
        end -= text.bytes[from..end].iter().rev().take_while(|byte| matches!(byte, b';' | b',')).count();
        let form = if name.capitals || !name.bytes.contains(&b'.') || name.bytes.len() > 8 {
            Form::Plain
        } else {
            Form::Line
        };
        return (from..end, form);
    }
    let whole = from..text.word_end(from);
    let in_list = matches!(before, Some(b'(' | b','));
    if (name.capitals && !matches!(before, Some(b';' | b'&' | b'?'))) || flag {
        let end = whole.end - trailing(&text.bytes[whole.clone()]);
        return (from..end.max(from), Form::Plain);
    }
    let called =
        in_list || (before == Some(b' ') && text.bytes[..name.start].trim_ascii_end().ends_with(b","));
    (cut(text, whole), if called { Form::Loose } else { Form::Plain })
}

fn trailing(value: &[u8]) -> usize {
    value.iter().rev().take_while(|byte| matches!(byte, b',' | b';' | b')' | b']' | b'}')).count()
}

/// Ends a value at what separates values in queries, connection strings and sentences.
fn cut(text: &Text, value: Range<usize>) -> Range<usize> {
    let bytes = &text.bytes[value.clone()];
    let stops = |at: usize| match bytes[at] {
        b';' | b',' | b'<' | b'>' | b'|' | b')' | b']' | b'}' => true,
        // `&name=` begins the next one; else it may be part of this.
        b'&' => {
            let name = bytes[at + 1..].iter().take(NAME_LIMIT).take_while(|byte| dashed_word(**byte)).count();
            matches!(bytes.get(at + 1 + name), Some(b'=' | b'&' | b'%'))
        }
        _ => false,
    };
    let end = (0..bytes.len().min(4096)).find(|&at| stops(at)).unwrap_or(bytes.len());
    value.start..value.start + end
}

/// The one word that the rest of the line is, comments aside.
fn rest_of_line(text: &Text, from: usize) -> Option<Range<usize>> {
    let end = text.word_end(from);
    let blanks = text.run(end, is_blank, 256);
    let ends = match text.get(end + blanks) {
        None | Some(b'\n' | b'\r') => true,
        Some(b'\\') => text.is_escape(end + blanks),
        Some(byte) if blanks == 0 => is_quote(byte),
        Some(byte) => byte == b'#',
    };
    ends.then_some(from..end)
}

/// After `name: `: YAML, headers, log lines, and the types of declarations.
fn after_colon(text: &Text, name: &Name, from: usize, closed: bool) -> Option<(Range<usize>, Form)> {
    if let Some(value) = declared(text, from) {
        return Some((value, Form::Quoted));
    }
    if !closed && matches!(text.get(from), Some(b'|' | b'>')) {
        return block(text, name, from).map(|value| (value, Form::Line));
    }
    let word = from..text.word_end(from);
    let numeric = text.bytes[word.clone()].first().is_some_and(u8::is_ascii_digit);
    if closed {
        // A quoted name with a bare value: a number in JSON, an expression in code.
        let value = cut(text, word);
        let yaml = name.leads && rest_of_line(text, from) == Some(value.clone());
        return (numeric || yaml).then_some((value, Form::Loose));
    }
    if text.before(name.start).is_some_and(is_quote) {
        // `-H "X-Api-Key: value"`.
        return Some((word, Form::Plain));
    }
    match rest_of_line(text, from) {
        Some(value) if name.leads && name.bytes.contains(&b'-') => Some((value, Form::Plain)),
        Some(value) if name.leads => Some((value, Form::Line)),
        _ => Some((cut(text, word), Form::Loose)),
    }
}

/// `name: Type = "value"`.
fn declared(text: &Text, from: usize) -> Option<Range<usize>> {
    let class = |byte: u8| {
        is_word(byte)
            || matches!(byte, b'&' | b'\'' | b'<' | b'>' | b'[' | b']' | b':' | b'.' | b'|' | b'?' | b' ')
    };
    let at = from + text.run(from, class, 48);
    let assigns = text.get(at) == Some(b'=') && !matches!(text.get(at + 1), Some(b'=' | b'>'));
    assigns.then(|| literal(text, at + 1 + text.run(at + 1, is_blank, 8)))?
}

/// A YAML block scalar: the lines after `|` or `>` that are indented deeper than the name, whatever is in
/// front of all lines.
fn block(text: &Text, name: &Name, from: usize) -> Option<Range<usize>> {
    let mark = text.run(from, |byte| matches!(byte, b'|' | b'>' | b'-' | b'+') || byte.is_ascii_digit(), 3);
    let mut at = from + mark;
    let window = name.start.saturating_sub(NAME_LIMIT);
    let before = &text.bytes[window..name.start];
    let real = before.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
    let written = before.windows(2).rposition(|pair| pair == b"\\n").map(|at| at + 2);
    let start = real.max(written).or((window == 0).then_some(0))?;
    let front = &before[start..];
    let deeper = |at: usize| {
        let line = text.bytes.get(at..at + front.len() + 1)?;
        let same = front.iter().zip(line).all(|(front, byte)| !is_blank(*front) || is_blank(*byte));
        (same && is_blank(line[front.len()])).then(|| at + front.len())
    };
    let mut found: Option<Range<usize>> = None;
    while let Some(inside) = deeper(at + line_break(text, at)?) {
        let value = inside + text.run(inside, is_blank, 256);
        let mut end = value;
        while end < text.bytes.len() && text.bytes[end] >= b' ' && line_break(text, end).is_none() {
            let quote = is_quote(text.bytes[end]) && real < written;
            if quote || end - from > 1 << 13 {
                break;
            }
            end += 1;
        }
        found = Some(found.map_or(value, |found| found.start)..end);
        at = end;
        if line_break(text, at).is_none() {
            break;
        }
    }
    found
}

/// Length of the line's end at `at`, which may be written out.
fn line_break(text: &Text, at: usize) -> Option<usize> {
    match text.get(at)? {
        b'\n' => Some(1),
        b'\r' => (text.get(at + 1) == Some(b'\n')).then_some(2),
        b'\\' => {
            let slashes = text.run(at, |byte| byte == b'\\', 8);
            match text.get(at + slashes)? {
                b'n' => Some(slashes + 1),
                b'r' => {
                    let next = at + slashes + 1;
                    let more = text.run(next, |byte| byte == b'\\', 8);
                    (more > 0 && text.get(next + more) == Some(b'n')).then_some(slashes + more + 2)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// `<password>value</password>`.
fn element(text: &Text, name: &Name, from: usize) -> Option<(Range<usize>, Form)> {
    let opens = text.before(name.start) == Some(b'<');
    let len = text.run(from, |byte| !matches!(byte, b'<' | b'\n' | b'>'), 4096);
    (opens && text.get(from + len) == Some(b'<') && text.get(from + len + 1) == Some(b'/'))
        .then_some((from..from + len, Form::Quoted))
}

/// `process.env.API_KEY || "value"`.
fn fallback(text: &Text, at: usize) -> Option<(Range<usize>, Form)> {
    let value = literal(text, at + text.run(at, is_blank, 8))?;
    Some((value, Form::Loose))
}

/// The next cell of a table.
fn cell(text: &Text, at: usize) -> Option<(Range<usize>, Form)> {
    let from = at + text.run(at, |byte| is_blank(byte) || is_quote(byte), 64);
    let end = text.word_end(from);
    let gap = text.run(end, |byte| is_blank(byte) || is_quote(byte), 64);
    (text.get(end + gap) == Some(b'|')).then_some((from..end, Form::Loose))
}

/// `.api_key("value")` and `setPassword("value")`, but not `get_token("name")`.
fn setter(text: &Text, name: &Name, at: usize) -> Option<(Range<usize>, Form)> {
    let method = name.bytes.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    let sets = method.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(b"set"));
    let builder = method.len() < name.bytes.len() && rest_is_name(method, name.kind);
    let value = (sets || builder).then(|| literal(text, at))??;
    let least = if name.kind == Kind::Password { 6 } else { 16 };
    (value.len() >= least).then_some((value, Form::Loose))
}

/// Whether a method is named for the thing alone: `password`, `api_key`, `client_secret`.
fn rest_is_name(method: &[u8], kind: Kind) -> bool {
    const ASKS: &str = "get read load fetch find has is check verify validate parse new create make generate with_no \
        next peek expect decode encode hash lookup list delete remove revoke";
    let first = words_of(method).first().is_some_and(|first| is_listed(ASKS, first));
    kind != Kind::Token && !first
}

/// The value of a field of a form in several parts: a blank line after the field's name.
fn form_field(text: &Text, name: &Name, at: usize) -> Option<Range<usize>> {
    let before = &text.bytes[name.start.saturating_sub(16)..name.start];
    before.windows(5).any(|part| part == b"name=").then_some(())?;
    let line_end = |at: usize| Some(at + line_break(text, at)?);
    let from = line_end(line_end(at)?)?;
    Some(from..text.word_end(from))
}

/// A value that the name is followed by without a sign: flags, `.netrc`, `ENV` and `setenv`, SQL, "password
/// is …".
fn by_space(
    text: &Text,
    name: &Name,
    at: usize,
    blanks: usize,
    flag: bool,
    closed: bool,
) -> Option<(Range<usize>, Form)> {
    let from = at + blanks;
    if blanks == 0 || closed {
        return None;
    }
    let line = &text.bytes[name.start.saturating_sub(200)..name.start];
    let line = &line[line.iter().rposition(|&byte| byte == b'\n').map_or(0, |n| n + 1)..];
    let has = |word: &[u8]| line.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    let sets = ["config set ", "configure set "].iter().any(|words| has(words.as_bytes()))
        || (name.capitals
            && ["env ", "set ", "setx ", "setenv ", "-x ", "-gx ", "-ux ", "define "]
                .iter()
                .any(|word| has(word.as_bytes())));
    if let Some(value) = literal(text, from) {
        let quoted = text.get(from).is_some_and(|byte| is_quote(byte) || byte == b'\\');
        if quoted && sets {
            return Some((value, Form::Plain));
        }
        let sql = name.kind == Kind::Password && name.bytes.eq_ignore_ascii_case(b"password");
        return (quoted && (flag || sql)).then_some((value, if flag { Form::Plain } else { Form::Loose }));
    }
    let word = from..text.word_end(from);
    if flag {
        let value = text.bytes[word.clone()].first().is_some_and(|byte| !matches!(byte, b'-' | b'['));
        return value.then_some((word, if blanks == 1 { Form::Line } else { Form::Loose }));
    }
    let netrc = name.bytes == b"password" && (has(b"login ") || has(b"machine ") || name.leads);
    if sets {
        return (text.get(from) != Some(b'-')).then_some((word, Form::Plain));
    }
    if netrc {
        return Some((word, if has(b"login ") { Form::Plain } else { Form::Loose }));
    }
    let said = ["is: ", "is ", "was "].iter().find(|said| text.bytes[from..].starts_with(said.as_bytes()))?;
    let from = from + said.len();
    if let Some(value) = literal(text, from) {
        return Some((value, Form::Loose));
    }
    let mut value = cut(text, from..text.word_end(from));
    while value.end > value.start && matches!(text.bytes[value.end - 1], b'.' | b'?' | b':') {
        value.end -= 1;
    }
    Some((value, Form::Loose))
}

/// `name: DB_PASSWORD` and then `value: …`, as in Kubernetes, ECS and .NET configuration.
fn named_value(text: &Text, name: &Name, at: usize) -> Option<(Range<usize>, Form)> {
    let before = &text.bytes[name.start.saturating_sub(16)..name.start];
    let has = |word: &[u8]| before.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    if !(has(b"name") || has(b"key")) {
        return None;
    }
    let rest = &text.bytes[at..text.bytes.len().min(at + 96)];
    let value = rest.windows(5).position(|part| part.eq_ignore_ascii_case(b"value"))?;
    let between =
        |byte: &u8| byte.is_ascii_whitespace() || is_quote(*byte) || matches!(byte, b',' | b'\\' | b'n');
    let closed = rest.iter().take_while(|byte| is_quote(**byte)).count();
    let ends = line_break(text, at + closed).map(|len| closed + len);
    // On a line of its own, behind whatever is in front of all lines.
    let fronted = ends.is_some_and(|ends| {
        let front = rest.get(ends..value).unwrap_or(b"{");
        matches!(front.last(), None | Some(b' ' | b'\t'))
            && !front.iter().any(|byte| is_quote(*byte) || matches!(byte, b'{' | b'}' | b'(' | b'=' | b'\n'))
    });
    if !fronted && !rest[..value].iter().all(between) {
        return None;
    }
    let mut at = at + value + 5;
    at += text.run(at, |byte| is_quote(byte) || byte == b'\\', 8);
    at += text.run(at, is_blank, 8);
    if !matches!(text.get(at)?, b':' | b'=') {
        return None;
    }
    at += 1;
    at += text.run(at, is_blank, 8);
    let value = literal(text, at).unwrap_or_else(|| at..text.word_end(at));
    Some((value, Form::Plain))
}

/// Length of `Bearer ` and the like in front of a value.
fn scheme_len(value: &[u8]) -> usize {
    let schemes: [&[u8]; 3] = [b"bearer ", b"basic ", b"token "];
    let begins =
        |scheme: &&&[u8]| value.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
    schemes.iter().find(begins).map_or(0, |scheme| scheme.len())
}

fn is_secret(value: &[u8], name: &Name, form: Form) -> bool {
    let short =
        name.kind == Kind::Password || (form == Form::Plain && (name.capitals || name.kind == Kind::Secret));
    let least = if short { 3 } else { 6 };
    if value.len() < least || is_placeholder(value) || is_common(value) || is_elsewhere(value) {
        return false;
    }
    // An expression that matches values, as `sed` is given.
    if value.starts_with(b".*") || value.starts_with(b"[^") {
        return false;
    }
    if value.eq_ignore_ascii_case(name.bytes.trim_ascii()) || is_variable_name(value) {
        return false;
    }
    let number = value.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'_' | b'%'));
    if number {
        let counts = matches!(name.kind, Kind::Token | Kind::Key) || value.len() < 4 || value.ends_with(b",");
        return !counts && !name.doubtful && (name.kind == Kind::Password || form == Form::Plain);
    }
    if name.doubtful {
        return is_strong(value) && value.len() >= 8;
    }
    let phrase = value.iter().any(u8::is_ascii_whitespace);
    match form {
        Form::Quoted | Form::Plain if phrase => is_passphrase(value, name),
        Form::Plain => !is_code(value),
        Form::Quoted => match name.kind {
            Kind::Password => true,
            Kind::Secret => !(is_natural(value) && value.iter().any(|byte| !byte.is_ascii_alphabetic())),
            Kind::Token => !is_natural(value),
            Kind::Key => {
                !(is_natural(value)
                    && (value.len() < 8 || value.iter().any(|byte| !byte.is_ascii_lowercase())))
            }
        },
        Form::Line => {
            let chosen =
                |byte: &u8| byte.is_ascii_lowercase() || (*byte == b'-' && name.kind == Kind::Password);
            let word = matches!(name.kind, Kind::Password | Kind::Secret) && value.iter().all(chosen);
            let ends = !matches!(value.last(), Some(b',' | b';' | b'{' | b'('));
            ends && !is_code(value)
                && !has_brackets(value)
                && (!is_natural(value)
                    || (word && !has_keyword(value) && value.len() >= 4 && !name.bytes.contains(&b'.')))
        }
        Form::Loose => is_strong(value),
    }
}

/// Several words that are no sentence about the secret.
fn is_passphrase(value: &[u8], name: &Name) -> bool {
    const PROSE: &str = "the a an your is at to must be enter of for in not with was are has please least no or if from \
        by on this that";
    if !matches!(name.kind, Kind::Password | Kind::Secret) || has_keyword(value) {
        return false;
    }
    let prose = |word: &&[u8]| is_listed(PROSE, word);
    !words_of(value).iter().any(prose) && !has_brackets(value)
}
