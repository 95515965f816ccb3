//! Takes secrets out of text before it is hashed and signed, since nothing can be taken out afterwards.
//!
//! Two kinds of rules. Tokens with a shape of their own (`rules`) are known by a literal they contain; values
//! are known by the name they are given to (`assignment`, `values`). There is no guessing by entropy: object
//! ids, digests and lock files look just as random as keys, and a record that loses those is worth little.
//!
//! The rules are plain functions, not regular expressions: this runs once for every recorded tool call, in a
//! process that lives a millisecond or two, where compiling the patterns would cost more than everything
//! else. One pass over the bytes looks at every three of them in a bitmap made at compile time and calls the
//! few rules whose literal is really there.

mod assignment;
mod colours;
mod commands;
#[cfg(test)]
pub(crate) mod corpus;
mod rules;
#[cfg(test)]
mod tests;
mod values;

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use colours::Plain;
use rules::{How, Trigger};

/// Name of the rule for patterns that the user configured.
const CUSTOM: &str = "custom";
/// Name of the rule for values known by the name they are given to.
const ASSIGNMENT: &str = "assignment";
/// Text after a redaction can match where the text before it did not (the token next to it is gone); so many
/// rounds settle every input we know of, and a bound keeps a strange user pattern from going round forever.
const MAX_ROUNDS: usize = 8;
/// So much before a number is enough to see the quote that closes its name.
const NUMBER_LOOK_BACK: usize = 32;
/// The largest automaton that one user pattern may compile to, in bytes.
const PATTERN_SIZE_LIMIT: usize = 1 << 20;

/// A set of rules that find secrets in text: the built-in ones and the user's. Cheap to build, clone and
/// share.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    user: Arc<[Regex]>,
}

/// A user's pattern that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("redaction pattern `{pattern}` is not a usable regular expression")]
pub struct PatternError {
    /// The pattern as it was configured.
    pub pattern: String,
    /// What is wrong with it.
    #[source]
    pub cause: regex::Error,
}

/// Text without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted<'a> {
    /// The text: borrowed, and the very same bytes, when nothing was found.
    pub bytes: Cow<'a, [u8]>,
    /// How many places were replaced.
    pub count: u64,
}

/// A place to replace, and the name of the rule that found it.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub range: Range<usize>,
    pub rule: &'static str,
}

impl Redactor {
    /// Makes a redactor of the built-in rules and `user_patterns`, regular expressions that match on bytes.
    /// What such a pattern matches is replaced whole, or only its group `secret` (`(?P<secret>…)`) where it
    /// has one.
    ///
    /// Without user patterns this allocates next to nothing and compiles nothing; each pattern is compiled
    /// here, so that a mistake is found before anything is recorded.
    ///
    /// # Errors
    /// [`PatternError`] for the first pattern that is not a regular expression or that compiles to more than
    /// a mebibyte.
    pub fn new(user_patterns: &[String]) -> Result<Redactor, PatternError> {
        let compile = |pattern: &String| {
            RegexBuilder::new(pattern)
                .size_limit(PATTERN_SIZE_LIMIT)
                .build()
                .map_err(|cause| PatternError { pattern: pattern.clone(), cause })
        };
        Ok(Redactor { user: user_patterns.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// Replaces every secret in `bytes`, which need not be UTF-8, by `[redacted:<rule>]`, keeping what tells
    /// the place: the name of a variable, the user and host of a URL, the scheme of a header.
    ///
    /// Doing it again changes nothing and counts nothing. Takes time in proportion to the length, whatever
    /// the bytes.
    pub fn redact<'a>(&self, bytes: &'a [u8]) -> Redacted<'a> {
        let mut done = Redacted { bytes: Cow::Borrowed(bytes), count: 0 };
        for _ in 0..MAX_ROUNDS {
            let hits = self.hits(&done.bytes);
            if hits.is_empty() {
                break;
            }
            done.count += hits.len() as u64;
            done.bytes = Cow::Owned(replace(&done.bytes, &hits));
        }
        done
    }

    /// [`redact`](Self::redact) for text; returns the text and how many places were replaced.
    ///
    /// A user pattern that cuts a character in two, which takes `(?-u)`, leaves U+FFFD there.
    pub fn redact_str<'a>(&self, text: &'a str) -> (Cow<'a, str>, u64) {
        let done = self.redact(text.as_bytes());
        let text = match done.bytes {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(
                String::from_utf8(bytes)
                    .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
            ),
        };
        (text, done.count)
    }

    /// What to replace in `bytes`, in order and without overlaps.
    pub(crate) fn hits(&self, bytes: &[u8]) -> Vec<Hit> {
        let mut hits = self.find(bytes);
        if let Some(plain) = Plain::of(bytes) {
            let found = self.find(&plain.bytes).into_iter();
            hits.extend(found.map(|hit| Hit { range: plain.origin(&hit.range), ..hit }));
        }
        merge(hits)
    }

    /// What all rules find in `bytes` outside of earlier redactions; hits may overlap.
    fn find(&self, bytes: &[u8]) -> Vec<Hit> {
        let mut hits = scan(bytes);
        for pattern in self.user.iter() {
            let group = pattern.capture_names().position(|name| name == Some("secret")).unwrap_or(0);
            let found = pattern.captures_iter(bytes).filter_map(|found| found.get(group));
            hits.extend(found.map(|found| Hit { range: found.range(), rule: CUSTOM }));
        }
        if !hits.is_empty() {
            let markers = markers(bytes);
            let touches = |hit: &Hit, m: &Range<usize>| hit.range.start < m.end && m.start < hit.range.end;
            hits.retain(|hit| {
                let from = markers.partition_point(|m| m.end <= hit.range.start);
                !hit.range.is_empty() && !markers.get(from).is_some_and(|m| touches(hit, m))
            });
        }
        hits
    }
}

/// Text under the scan, with what earlier looks at it found out, so that no input makes us read it again and
/// again.
struct Text<'a> {
    bytes: &'a [u8],
    /// The last word looked at: from where, and where it ends.
    word: Cell<(usize, usize)>,
}

impl Text<'_> {
    fn get(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn before(&self, at: usize) -> Option<u8> {
        self.bytes.get(at.checked_sub(1)?).copied()
    }

    /// Where the word ends that `from` is in: at white space, a quote, a control byte or an escape such as
    /// `\n`.
    fn word_end(&self, from: usize) -> usize {
        let (start, end) = self.word.get();
        if (start..end).contains(&from) {
            return end;
        }
        let mut at = from;
        while let Some(byte) = self.get(at) {
            if byte <= b' ' || byte == 0x7f || is_quote(byte) || (byte == b'\\' && self.is_escape(at)) {
                break;
            }
            at += 1;
        }
        self.word.set((from, at));
        at
    }

    /// Whether backslashes at `at` lead to a letter or quote that JSON and most languages write with one.
    fn is_escape(&self, at: usize) -> bool {
        // More than a few levels of quoting is not a thing; a bound keeps a run of backslashes cheap.
        let rest = &self.bytes[at..self.bytes.len().min(at + 16)];
        let after = rest.iter().position(|&byte| byte != b'\\').and_then(|at| rest.get(at));
        after.is_none_or(|&byte| matches!(byte, b'n' | b'r' | b't' | b'u' | b'\n' | b'\r') || is_quote(byte))
    }

    /// Whether a word can begin at `at`: what is before it is no letter, digit or `_`, or belongs to an
    /// escape (`\n`, `\u001b`, `%3D`, a terminal colour).
    fn is_edge(&self, at: usize) -> bool {
        let Some(before) = self.before(at) else { return true };
        if !is_word(before) {
            return true;
        }
        let back = |n: usize| at.checked_sub(n).map(|from| &self.bytes[from..at]);
        match back(2) {
            Some([b'\\', b'n' | b'r' | b't']) => return true,
            Some([_, b'm']) => {
                let code = &self.bytes[at.saturating_sub(16)..at - 1];
                let start = code.iter().rposition(|byte| !(byte.is_ascii_digit() || *byte == b';'));
                return start.is_some_and(|start| code[start] == b'[');
            }
            _ => {}
        }
        back(3).is_some_and(|b| b[0] == b'%' && b[1].is_ascii_hexdigit() && b[2].is_ascii_hexdigit())
            || back(6).is_some_and(|b| b.starts_with(b"\\u") && b[2..].iter().all(u8::is_ascii_hexdigit))
    }

    /// How many bytes of `class` there are from `from` on, looking at no more than `most`.
    fn run(&self, from: usize, class: fn(u8) -> bool, most: usize) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        rest.iter().take(most).take_while(|&&byte| class(byte)).count()
    }
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What the built-in rules find, in any order; hits may overlap.
fn scan(bytes: &[u8]) -> Vec<Hit> {
    let text = Text { bytes, word: Cell::new((0, 0)) };
    let mut hits = Vec::new();
    // Up to where tokens, and values, are found already: what lies inside need not be looked at again.
    let (mut tokens_to, mut values_to) = (0, 0);
    let mut key = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        key = rules::next_key(key, byte);
        if !rules::may_start(key) || at < 2 {
            continue;
        }
        for trigger in rules::of(key) {
            let Some(start) = (at - 2).checked_sub(trigger.at) else { continue };
            if !trigger.is_at(bytes, start) {
                continue;
            }
            let found_to =
                if matches!(trigger.how, How::Name(_)) { tokens_to.max(values_to) } else { tokens_to };
            if start < found_to {
                continue;
            }
            if let Some(range) = look(&text, trigger, start) {
                let to = if trigger.rule == ASSIGNMENT { &mut values_to } else { &mut tokens_to };
                *to = range.end.max(*to);
                hits.push(Hit { range, rule: trigger.rule });
            }
        }
    }
    hits
}

fn look(text: &Text, trigger: &Trigger, start: usize) -> Option<Range<usize>> {
    let body = start + trigger.literal.len();
    match trigger.how {
        How::Run { class, min, max, edge } => {
            if edge && !text.is_edge(start) {
                return None;
            }
            let mut len = text.run(body, class, max.saturating_add(1));
            // A token at the end of a sentence.
            while len > 0 && text.bytes[body + len - 1] == b'.' {
                len -= 1;
            }
            let found = &text.bytes[body..body + len];
            let right_length = (min..=max).contains(&len);
            (right_length && !rules::is_dummy(found)).then_some(start..body + len)
        }
        How::Shape(shape) => shape(text, start, body),
        How::Name(kind) => assignment::value_of(text, start, body, kind),
    }
}

/// Joins hits that overlap under the name of the most telling rule: one for tokens rather than one for
/// values.
fn merge(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
    let rank = |rule| if rule == CUSTOM { 0 } else { 1 + usize::from(rule == ASSIGNMENT) };
    let mut merged: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits {
        match merged.last_mut() {
            Some(last) if hit.range.start < last.range.end => {
                last.range.end = last.range.end.max(hit.range.end);
                if rank(hit.rule) < rank(last.rule) {
                    last.rule = hit.rule;
                }
            }
            _ => merged.push(hit),
        }
    }
    merged
}

fn replace(bytes: &[u8], hits: &[Hit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + hits.len() * 32);
    let mut from = 0;
    for hit in hits {
        out.extend_from_slice(&bytes[from..hit.range.start]);
        let quote = missing_quote(bytes, &hit.range);
        for part in [quote, b"[redacted:", hit.rule.as_bytes(), b"]", quote] {
            out.extend_from_slice(part);
        }
        from = hit.range.end;
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

/// The quote that a replacement needs so that JSON stays JSON, where a number was the value of a quoted name.
fn missing_quote<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    let before = &bytes[range.start.saturating_sub(NUMBER_LOOK_BACK)..range.start];
    let Some(name) = before.trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end) else {
        return b"";
    };
    let slashes = name.iter().rev().skip(1).take_while(|&&byte| byte == b'\\').count();
    let number = bytes[range.clone()].iter().all(u8::is_ascii_digit);
    if number && name.ends_with(b"\"") { &name[name.len() - 1 - slashes..] } else { b"" }
}

/// Where earlier redactions stand. Only names of ours count: brackets with a secret in them are not one.
fn markers(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(|&byte| byte == b'[').map(|n| at + n) {
        at = start + 1;
        if let Some(len) = marker_len(&bytes[start..]) {
            at = start + len;
            found.push(start..at);
        }
    }
    found
}

/// Length of the redaction that `bytes` begin with.
fn marker_len(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"[redacted:")?;
    let end = rest.iter().take(32).position(|&byte| byte == b']')?;
    let name = &rest[..end];
    let known = name == CUSTOM.as_bytes() || rules::TRIGGERS.iter().any(|t| t.rule.as_bytes() == name);
    known.then_some(b"[redacted:".len() + end + 1)
}

/// How many bytes there are beside redactions.
#[cfg(test)]
pub(crate) fn without_markers(bytes: &[u8]) -> usize {
    bytes.len() - markers(bytes).iter().map(Range::len).sum::<usize>()
}
