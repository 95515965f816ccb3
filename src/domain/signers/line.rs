//! One line of the file: its principal, options and key, and what each may hold.

use std::ops::Range;

use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::problem::shown;
use super::{ED25519, MAX_NAME, Options, Problem, SK_ED25519, parse_time};

pub(super) struct Parsed {
    pub principal: String,
    pub principal_at: Range<usize>,
    pub options: Options,
    pub namespaces_end: Option<usize>,
    pub key: PublicKey,
    pub key_at: usize,
}

/// A problem and the byte of the line that it begins at.
pub(super) type Misfit = (usize, Problem);

const BLANKS: [char; 2] = [' ', '\t'];

pub(super) fn parse_line(line: &str) -> Result<Option<Parsed>, Misfit> {
    if let Some((at, bad)) = line.char_indices().find(|&(_, c)| c.is_control() && c != '\t') {
        return Err((at, Problem::Control(bad)));
    }
    let begin = skip_blanks(line, 0);
    if begin == line.len() || line[begin..].starts_with('#') {
        return Ok(None);
    }
    let (principal, end) = parse_principal(line, begin)?;
    check_principal(principal).map_err(|problem| (begin, problem))?;

    let mut at = skip_blanks(line, end);
    let (mut options, mut namespaces_end) = (Options::default(), None);
    let first = word(line, at);
    if first.is_empty() {
        return Err((at, Problem::NoKey));
    }
    if !is_key_type(first) {
        // A word of base64 would otherwise be called an unknown option.
        if first.starts_with("AAAA") {
            return Err((at, Problem::NoKeyType));
        }
        let begin = at;
        (options, namespaces_end, at) = parse_options(line, at)?;
        options.check_times().map_err(|problem| (begin, problem))?;
        at = skip_blanks(line, at);
    }
    let (key, key_at) = parse_key(line, at)?;
    let principal_at = begin..end;
    Ok(Some(Parsed { principal: principal.to_owned(), principal_at, options, namespaces_end, key, key_at }))
}

/// The principal without its quotes, and where its text ends. OpenSSH would also take quotes in the middle of a
/// word and text glued to a closing quote; it knows no escapes here.
fn parse_principal(line: &str, begin: usize) -> Result<(&str, usize), Misfit> {
    let Some(inner) = line[begin..].strip_prefix('"') else {
        let principal = word(line, begin);
        return match principal.find('"') {
            Some(quote) => Err((begin + quote, Problem::InnerQuote(shown(principal)))),
            None => Ok((principal, begin + principal.len())),
        };
    };
    let (principal, _) = inner.split_once('"').ok_or((begin, Problem::OpenQuote))?;
    let end = begin + principal.len() + 2;
    match line[end..].chars().next() {
        Some(next) if !BLANKS.contains(&next) => Err((end, Problem::AfterQuote(next))),
        _ => Ok((principal, end)),
    }
}

fn parse_options(line: &str, begin: usize) -> Result<(Options, Option<usize>, usize), Misfit> {
    let mut options = Options::default();
    let mut namespaces_end = None;
    let mut at = begin;
    loop {
        let name_at = at;
        let rest = &line[at..];
        let written = &rest[..rest.find(['=', ',', '"', ' ', '\t']).unwrap_or(rest.len())];
        let name = written.to_ascii_lowercase();
        match name.as_str() {
            "" => return Err((at, Problem::EmptyOption)),
            "cert-authority" => return Err((at, Problem::CertAuthority)),
            "namespaces" | "valid-after" | "valid-before" => {}
            _ => return Err((at, Problem::UnknownOption(shown(written)))),
        }
        at += name.len();
        let Some(inner) = line[at..].strip_prefix("=\"") else {
            return Err((name_at, Problem::NoValue(name)));
        };
        let (value, _) = inner.split_once('"').ok_or((at + 1, Problem::OpenQuote))?;
        let value_at = at + 2;
        at = value_at + value.len();
        if let Some(backslash) = value.find('\\') {
            return Err((value_at + backslash, Problem::Backslash(name)));
        }
        let repeated = match name.as_str() {
            "namespaces" => {
                namespaces_end = Some(at);
                let names: Vec<String> = value.split(',').map(str::to_owned).collect();
                for name in &names {
                    check_namespace(name).map_err(|problem| (value_at, problem))?;
                }
                options.namespaces.replace(names).is_some()
            }
            _ => {
                let time = parse_time(value)
                    .ok_or_else(|| (value_at, Problem::BadTime(name.clone(), shown(value))))?;
                let slot =
                    if name == "valid-after" { &mut options.valid_after } else { &mut options.valid_before };
                slot.replace(time).is_some()
            }
        };
        if repeated {
            return Err((name_at, Problem::RepeatedOption(name)));
        }
        at += 1;
        match line[at..].chars().next() {
            Some(',') => at += 1,
            Some(next) if !BLANKS.contains(&next) => return Err((at, Problem::AfterQuote(next))),
            _ => return Ok((options, namespaces_end, at)),
        }
    }
}

/// The key and the place of its base64; what follows is a comment.
fn parse_key(line: &str, at: usize) -> Result<(PublicKey, usize), Misfit> {
    let kind = word(line, at);
    if kind.is_empty() {
        return Err((at, Problem::NoKey));
    }
    if kind != ED25519 && kind != SK_ED25519 {
        let problem =
            if kind.starts_with("AAAA") { Problem::NoKeyType } else { Problem::KeyType(shown(kind)) };
        return Err((at, problem));
    }
    let blob_at = skip_blanks(line, at + kind.len());
    let blob = word(line, blob_at);
    if blob.is_empty() {
        return Err((blob_at, Problem::NoKey));
    }
    let bare = format!("{kind} {blob}");
    let key = PublicKey::from_openssh(&bare)
        .ok()
        // Only the canonical spelling, so that equal keys are equal text.
        .filter(|key| key.to_openssh().is_ok_and(|written| written == bare))
        .filter(|key| check_key(key.key_data()).is_ok());
    key.map(|key| (key, blob_at)).ok_or_else(|| (blob_at, Problem::BadKey(shown(blob), kind.to_owned())))
}

pub(super) fn check_key(key: &KeyData) -> Result<(), Problem> {
    match key {
        KeyData::Ed25519(_) => Ok(()),
        // OpenSSH refuses a NUL in the application; nothing else invisible belongs there either.
        KeyData::SkEd25519(key) if !key.application().chars().any(char::is_control) => Ok(()),
        other => Err(Problem::KeyType(other.algorithm().to_string())),
    }
}

pub(super) fn check_principal(principal: &str) -> Result<(), Problem> {
    if principal.is_empty() {
        return Err(Problem::EmptyPrincipal);
    }
    if principal.starts_with(' ') || principal.ends_with(' ') {
        return Err(Problem::PaddedPrincipal(shown(principal)));
    }
    check_name(principal)?;
    if principal.contains(['*', '?', '!']) {
        return Err(Problem::Pattern(shown(principal)));
    }
    if principal.contains(',') {
        return Err(Problem::List(shown(principal)));
    }
    if principal.contains('"') {
        return Err(Problem::InnerQuote(shown(principal)));
    }
    Ok(())
}

pub(super) fn check_namespace(name: &str) -> Result<(), Problem> {
    check_name(name)?;
    if name.is_empty() || name.contains(['*', '?', '!', ' ', ',', '"', '\\']) {
        return Err(Problem::BadNamespace(shown(name)));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Problem> {
    if name.len() > MAX_NAME {
        return Err(Problem::TooLong(shown(name)));
    }
    match name.chars().find(|&c| c.is_control() || is_confusing(c)) {
        Some(bad) if bad.is_control() => Err(Problem::Control(bad)),
        Some(bad) => Err(Problem::Invisible(bad)),
        None => Ok(()),
    }
}

/// Whether a word is meant as a key's type, also as one that is not taken; no option begins like these.
fn is_key_type(word: &str) -> bool {
    let bare = !word.contains(['=', ',', '"']);
    bare && ["ssh-", "sk-", "ecdsa-", "rsa-"].iter().any(|prefix| word.starts_with(prefix))
}

/// The principal as it stands on a line.
pub(super) fn quoted(principal: &str) -> String {
    if principal.contains(' ') || principal.starts_with('#') {
        format!("\"{principal}\"")
    } else {
        principal.to_owned()
    }
}

fn skip_blanks(line: &str, at: usize) -> usize {
    line.len() - line[at..].trim_start_matches(BLANKS).len()
}

fn word(line: &str, at: usize) -> &str {
    let rest = &line[at..];
    &rest[..rest.find(BLANKS).unwrap_or(rest.len())]
}

/// Characters that make two different names look the same, or a name read backwards. More than nobody sees: a name has
/// no use for any of them.
fn is_confusing(c: char) -> bool {
    (c.is_whitespace() && c != ' ')
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}
