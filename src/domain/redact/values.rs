//! What a value looks like by itself: a placeholder, a word, a path, code, or nothing but a secret.

use super::{is_word, marker_len};

/// Whether `word` is among the words of `list`, in either case.
pub(super) fn is_listed(list: &str, word: &[u8]) -> bool {
    list.split_ascii_whitespace().any(|listed| word.eq_ignore_ascii_case(listed.as_bytes()))
}

/// Splits at separators and where camel case begins a new word.
pub(super) fn words_of(name: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut from = 0;
    for at in 0..=name.len() {
        let ends = name.get(at).is_none_or(|byte| !byte.is_ascii_alphabetic());
        let hump = at > from && !ends && name[at].is_ascii_uppercase() && name[at - 1].is_ascii_lowercase();
        if (ends || hump) && at > from {
            words.push(&name[from..at]);
        }
        if ends {
            from = at + 1;
        } else if hump {
            from = at;
        }
    }
    words
}

/// Whether something stands for the secret, or stood for it before: a marker of ours, `***`, `<token>`,
/// `$TOKEN`.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let Some((&first, &last)) = value.first().zip(value.last()) else { return true };
    if marker_len(value).is_some()
        || value.iter().all(|byte| matches!(byte, b'x' | b'X' | b'*' | b'.' | b'-' | b'_' | b'?' | b'#'))
    {
        return true;
    }
    // A run of dots or bullets that are no ASCII.
    if value.chunks(3).all(|chunk| matches!(chunk, [0xe2, 0x80, 0xa2 | 0xa6])) {
        return true;
    }
    let name = |part: &[u8]| {
        !part.is_empty() && part.iter().all(|byte| is_word(*byte) || matches!(byte, b':' | b'.' | b'-'))
    };
    match first {
        b'<' => last == b'>' || value[1..].iter().take(24).all(|byte| dashed_word(*byte)),
        b'$' => {
            value.get(1).is_some_and(|byte| matches!(byte, b'{' | b'('))
                || (name(&value[1..]) && !value[1].is_ascii_digit())
                || value.len() == 2
        }
        b'%' => last == b'%' && value.len() > 2,
        b'{' => true,
        b'[' => last == b']' || value.get(..9).is_some_and(|head| head.eq_ignore_ascii_case(b"[redacted")),
        _ => {
            let lower = value[..value.len().min(24)].to_ascii_lowercase();
            let yours = lower.starts_with(b"your") || lower.starts_with(b"my-") && lower.ends_with(b"-here");
            let redacted: [&[u8]; 3] = [b"redacted", b"[redacted", b"(redacted"];
            yours || redacted.iter().any(|word| lower.starts_with(word)) || is_template(value)
        }
    }
}

pub(super) fn dashed_word(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'-' | b' ')
}

/// Whether a value is hardly more than what is put in later: `{user}:{password}`, `%s`, `prefix-${ID}`.
pub(super) fn is_template(value: &[u8]) -> bool {
    if matches!(value, b"%s" | b"%v" | b"%q" | b"%d") {
        return true;
    }
    let (mut depth, mut own, mut groups) = (0_u32, 0, 0);
    for &byte in value {
        match byte {
            b'{' => (depth, groups) = (depth + 1, groups + 1),
            b'}' => depth = depth.saturating_sub(1),
            _ if depth == 0 && byte.is_ascii_alphanumeric() => own += 1,
            _ => {}
        }
    }
    groups > 0 && depth == 0 && own < 8
}

/// Words that documents and code have where a secret would be.
pub(super) fn is_common(value: &[u8]) -> bool {
    const WORDS: &str = "true false yes no on off null none nil undefined str string int integer bool boolean bytes byte \
        any object number float text char varchar optional required enabled disabled default unset empty \
        missing invalid valid expired auto inherit read write expected unexpected found not the password \
        passwd token secret apikey api_key api-key bearer basic flag option options argument parameter \
        value values instead and with for from when which must this that will are has was can pass self \
        void array list dict input output prompt file env stdin masked hidden omitted unknown function \
        variable incorrect correct wrong type name field securestring redacted stringvalue example omit \
        write_only authentication";
    let end = value
        .iter()
        .rposition(|byte| !matches!(byte, b',' | b';' | b'.' | b'!' | b'?' | b':'))
        .map_or(0, |n| n + 1);
    is_listed(WORDS, &value[..end])
}

/// Whether a value tells where the secret is: a path, an address, a variable's name behind `env:`.
pub(super) fn is_elsewhere(value: &[u8]) -> bool {
    let scheme =
        value.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-')).count();
    if value[scheme..].starts_with(b"://")
        || value.starts_with(b"env:")
        || value.starts_with(b"file:")
        || value.starts_with(b"arn:")
    {
        return true;
    }
    if value.starts_with(b"id=") || value.starts_with(b"src=") {
        return true;
    }
    let relative = [&b"./"[..], b"../", b"~/"].iter().any(|start| value.starts_with(start));
    let drive = matches!(value, [b'A'..=b'Z' | b'a'..=b'z', b':', b'\\' | b'/', ..]);
    let segments = || value.split(|&byte| byte == b'/');
    let plain = |part: &[u8]| {
        let shaped = part.iter().all(|byte| is_word(*byte) || matches!(byte, b'-' | b'.' | b'@' | b':'));
        let mixed = part.iter().any(u8::is_ascii_digit) && part.iter().any(u8::is_ascii_uppercase);
        shaped && part.len() <= 40 && !(mixed && part.len() >= 10)
    };
    let slashes = value.iter().filter(|&&byte| byte == b'/').count();
    let extension = segments().next_back().is_some_and(|last| last.contains(&b'.'));
    let rooted = value.starts_with(b"/") && slashes >= 2;
    relative
        || drive
        || (segments().all(plain)
            && (rooted || (slashes >= 1 && extension) || (slashes >= 2 && segments().all(is_natural))))
}

/// `GITHUB_TOKEN` as a value: the variable that holds the secret.
pub(super) fn is_variable_name(value: &[u8]) -> bool {
    let shaped = value.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    shaped && value.len() >= 3 && (value.contains(&b'_') || has_keyword(value))
}

pub(super) fn has_keyword(value: &[u8]) -> bool {
    let words: [&[u8]; 8] =
        [b"password", b"passwd", b"token", b"secret", b"key", b"credential", b"auth", b"pass"];
    words.iter().any(|word| value.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}

pub(super) fn has_brackets(value: &[u8]) -> bool {
    value.iter().any(|byte| {
        matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'"' | b'\'' | b'`')
    }) || matches!(value[0], b'&' | b'*')
}

/// A call, a path into a module or object, a name with a telling word: what code has on the right of `=`.
pub(super) fn is_code(value: &[u8]) -> bool {
    let path = value
        .iter()
        .take_while(|byte| is_word(**byte) || matches!(byte, b'.' | b':' | b'!' | b'?' | b'-' | b'>'))
        .count();
    let opens = matches!(value.get(path), Some(b'(' | b'[')) && path > 0;
    let inner = value.windows(2).any(|pair| pair == b"::") || value.windows(2).any(|pair| pair == b"()");
    if inner || (opens && matches!(value.last(), Some(b')' | b']' | b';' | b',' | b'?' | b'(' | b'['))) {
        return true;
    }
    if value[0] == b'('
        || value[0] == b'&' && value.get(1).is_some_and(u8::is_ascii_lowercase) && is_natural(&value[1..])
    {
        return true;
    }
    let mut end = value.len();
    while end > 0 && matches!(value[end - 1], b',' | b';' | b'?' | b')') {
        end -= 1;
    }
    let value = &value[..end];
    let identifier = value.iter().all(|byte| is_word(*byte) || *byte == b'.');
    let joined = value.iter().any(|byte| matches!(byte, b'.' | b'_')) && !value.starts_with(b".");
    identifier
        && is_natural(value)
        && (has_keyword(value) && (joined || value.iter().any(u8::is_ascii_uppercase))
            || value.contains(&b'.'))
}

/// Whether a value is made of words: only letters and separators, in words of a natural length and look.
/// Random letters change case every other letter and have few vowels.
pub(super) fn is_natural(value: &[u8]) -> bool {
    let separator = |byte: &u8| matches!(byte, b'_' | b'-' | b'.' | b' ' | b':' | b'/');
    if !value.iter().all(|byte| byte.is_ascii_alphabetic() || separator(byte)) {
        return false;
    }
    let words = words_of(value);
    let letters: usize = words.iter().map(|word| word.len()).sum();
    let regular = |word: &&&[u8]| {
        word[1..].iter().all(u8::is_ascii_lowercase) || word.iter().all(u8::is_ascii_uppercase)
    };
    let irregular = words.len() - words.iter().filter(regular).count();
    let vowel = |byte: &&u8| matches!(byte.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u');
    let vowels = value.iter().filter(vowel).count();
    // Short names, and abbreviations joined by `_`, may do without vowels.
    let joined = value.contains(&b'_') && !value.iter().any(u8::is_ascii_uppercase);
    let pronounced = vowels * 4 >= letters || value.len() < 12 || joined;
    let long_words =
        if value.len() < 10 { letters >= words.len() * 2 } else { letters * 2 >= words.len() * 7 };
    long_words && irregular * 4 <= words.len() && pronounced && words.iter().all(|word| word.len() <= 18)
}

/// Whether a value has to be a secret where nothing else says so: long enough, and neither a word nor code.
pub(super) fn is_strong(value: &[u8]) -> bool {
    let code = |byte: &u8| {
        matches!(
            byte,
            b'(' | b')'
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b'<'
                | b'>'
                | b';'
                | b','
                | b'"'
                | b'\''
                | b'`'
                | b'|'
                | b'\\'
        )
    };
    let symbol = |byte: &u8| {
        matches!(byte, b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'*' | b'+' | b'=' | b'~' | b'$')
    };
    let reference = matches!(value, [b'&' | b'*', next, ..] if next.is_ascii_alphabetic());
    if reference || is_numbered_name(value) {
        return false;
    }
    let letter = value.iter().any(u8::is_ascii_alphabetic);
    let digit = value.iter().any(u8::is_ascii_digit);
    let random = value.len() >= 12
        && !is_natural(value)
        && value.iter().any(u8::is_ascii_uppercase)
        && value.iter().any(u8::is_ascii_lowercase);
    let shaped = letter && (digit || value.iter().any(symbol)) || random;
    value.len() >= 6
        && shaped
        && !value.iter().any(code)
        && !value.iter().any(u8::is_ascii_whitespace)
        && value.is_ascii()
        && !is_code(value)
}

/// `line_12_end`: words in lower case and small numbers joined by `_`.
fn is_numbered_name(value: &[u8]) -> bool {
    let part = |part: &[u8]| {
        let digits = part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        digits <= 2 && part[..part.len() - digits].iter().all(u8::is_ascii_lowercase)
    };
    value.contains(&b'_') && value.split(|&byte| byte == b'_').all(part)
}
