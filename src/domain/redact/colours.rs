//! Terminal colours between the letters of a text, which hide secrets from rules and not from people.
//!
//! `grep --color`, `bat` and `jq -C` colour names, signs and values each by themselves. So text with colours
//! in it is looked at a second time without them.

use std::ops::Range;

/// Text without colours.
pub(super) struct Plain {
    pub bytes: Vec<u8>,
    /// For every colour the place in `bytes` where it was, and how long all up to it are together.
    cuts: Vec<(usize, usize)>,
}

impl Plain {
    /// `bytes` without their colours, if they have any.
    pub(super) fn of(bytes: &[u8]) -> Option<Plain> {
        let mut plain = Plain { bytes: Vec::new(), cuts: Vec::new() };
        let (mut from, mut at, mut removed) = (0, 0, 0);
        while let Some(bracket) = bytes[at..].iter().position(|&byte| byte == b'[').map(|n| at + n) {
            at = bracket + 1;
            let before = escape_len(&bytes[from..bracket]);
            let Some(len) = (before > 0).then(|| rest_len(&bytes[at..])).flatten() else { continue };
            plain.bytes.extend_from_slice(&bytes[from..bracket - before]);
            at += len;
            removed += before + 1 + len;
            plain.cuts.push((plain.bytes.len(), removed));
            from = at;
        }
        plain.bytes.extend_from_slice(&bytes[from..]);
        (removed > 0).then_some(plain)
    }

    /// Where a range of the plain text is in the text with colours.
    pub(super) fn origin(&self, range: &Range<usize>) -> Range<usize> {
        let shift = |at: usize| {
            let cut = self.cuts.partition_point(|&(place, _)| place <= at);
            cut.checked_sub(1).map_or(at, |cut| at + self.cuts[cut].1)
        };
        shift(range.start)..shift(range.end - 1) + 1
    }
}

/// Length of the escape that `bytes` end with: the byte itself, or the ways in which JSON, shells and
/// languages write it.
fn escape_len(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\x1b") {
        return 1;
    }
    let written: [&[u8]; 6] = [b"\\u001b", b"\\u001B", b"\\x1b", b"\\x1B", b"\\033", b"\\e"];
    let Some(written) = written.iter().find(|written| bytes.ends_with(written)) else { return 0 };
    let slashes = bytes[..bytes.len() - written.len()].iter().rev().take(7).take_while(|&&b| b == b'\\');
    written.len() + slashes.count()
}

/// Length of what follows the bracket: numbers, and the letter that says what to do.
fn rest_len(bytes: &[u8]) -> Option<usize> {
    let numbers = bytes.iter().take(24).take_while(|b| b.is_ascii_digit() || matches!(b, b';' | b':' | b'?'));
    let numbers = numbers.count();
    matches!(bytes.get(numbers), Some(b'm' | b'K' | b'J' | b'G' | b'H' | b'A'..=b'D')).then_some(numbers + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_places_are_found_again() {
        let text = b"a\x1b[01;31m\x1b[Kb\\u001b[0mc [0m d\\\\u001b[33me";
        let plain = Plain::of(text).expect("it has colours");
        assert_eq!(plain.bytes, b"abc [0m de");
        assert_eq!(plain.origin(&(1..2)), 12..13);
        assert_eq!(&text[plain.origin(&(0..3))], &text[..23]);
        assert!(text[plain.origin(&(8..10))].ends_with(b"e"));
        assert!(Plain::of(b"plain [0m text").is_none());
    }
}
