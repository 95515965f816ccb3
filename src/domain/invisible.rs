//! Characters that nobody sees, or that pass for an ordinary space, and that change what people read.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Default_Ignorable_Code_Point of Unicode 16 (`DerivedCoreProperties.txt`): what is drawn as nothing.
const IGNORABLE: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether nothing is seen of a character by itself: ignorable ones, line and paragraph separators, annotation marks,
/// and the blank of Braille.
pub fn is_invisible(c: char) -> bool {
    let ignorable = |&(first, last): &(char, char)| (first..=last).contains(&c);
    // Most text ends here.
    c >= '\u{ad}'
        && (matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{2800}')
            || IGNORABLE.iter().any(ignorable))
}

/// Whether a character is a space and not the one of the keyboard.
pub fn is_odd_space(c: char) -> bool {
    c > ' ' && c.is_whitespace() && !c.is_control() && !is_invisible(c)
}

/// The characters of a text, each with whether it is invisible there: a selector that turns the symbol before it into an
/// emoji is seen.
pub fn chars(text: &str) -> impl Iterator<Item = (char, bool)> + '_ {
    let mut before = None;
    text.chars().map(move |c| {
        let symbol = before.replace(c);
        (c, is_invisible(c) && !(c == EMOJI && symbol.is_some_and(becomes_emoji)))
    })
}

/// Asks for the coloured form of the symbol before it.
const EMOJI: char = '\u{fe0f}';

/// Whether a symbol looks another way with [`EMOJI`] after it.
fn becomes_emoji(symbol: char) -> bool {
    let with = format!("{symbol}{EMOJI}");
    !symbol.is_ascii() && symbol.width() == Some(1) && with.width() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_unicode_says() {
        let all: String = ('\0'..=char::MAX).collect();
        // Of the same file, by way of `regex`; and what is invisible without being ignorable.
        let unicode =
            regex::Regex::new(r"[\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\u{fff9}-\u{fffb}\u{2800}]");
        let unicode: String = unicode.unwrap().find_iter(&all).map(|found| found.as_str()).collect();
        let ours: String = all.chars().filter(|c| is_invisible(*c)).collect();
        assert!(ours == unicode, "{:?}", ours.chars().filter(|c| !unicode.contains(*c)).collect::<Vec<_>>());
        let unicode = regex::Regex::new(r"[\p{Zs}--\x20]").unwrap();
        let unicode: String = unicode.find_iter(&all).map(|found| found.as_str()).collect();
        assert_eq!(all.chars().filter(|c| is_odd_space(*c)).collect::<String>(), unicode);
    }
}
