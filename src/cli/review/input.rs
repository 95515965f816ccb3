//! One line of text being typed.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The text, and where in it the next character goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    text: String,
    /// A place between characters, in bytes.
    cursor: usize,
}

impl Input {
    /// Starts at the end of a text.
    pub fn new(text: String) -> Self {
        Input { cursor: text.len(), text }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor.
    pub fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Takes a key; one that means nothing here changes nothing.
    pub fn press(&mut self, key: KeyEvent) {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('a') => self.cursor = 0,
                KeyCode::Char('e') => self.cursor = self.text.len(),
                KeyCode::Char('u') => self.remove(0, self.cursor),
                KeyCode::Char('k') => self.remove(self.cursor, self.text.len()),
                KeyCode::Char('w') => self.remove(self.word_start(), self.cursor),
                KeyCode::Char('h') => self.remove(self.left(), self.cursor),
                _ => {}
            }
            return;
        }
        if key.modifiers.contains(KeyModifiers::ALT) {
            return;
        }
        match key.code {
            KeyCode::Char(c) => self.insert(c),
            KeyCode::Backspace => self.remove(self.left(), self.cursor),
            KeyCode::Delete => self.remove(self.cursor, self.right()),
            KeyCode::Left => self.cursor = self.left(),
            KeyCode::Right => self.cursor = self.right(),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => {}
        }
    }

    /// Puts a character in at the cursor.
    pub fn insert(&mut self, c: char) {
        self.text.insert(self.cursor, c);
        self.cursor += c.len_utf8();
    }

    /// Puts pasted text in at the cursor, as one line: breaks become spaces, and what could not be typed is left out.
    pub fn paste(&mut self, text: &str) {
        let text = text.trim_end_matches(['\r', '\n']).replace("\r\n", "\n");
        let as_line = |c: char| if matches!(c, '\r' | '\n') { ' ' } else { c };
        let text: String = text.chars().map(as_line).filter(|c| *c == '\t' || !c.is_control()).collect();
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    fn left(&self) -> usize {
        self.before().char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        self.text[self.cursor..].chars().next().map_or(self.cursor, |c| self.cursor + c.len_utf8())
    }

    fn word_start(&self) -> usize {
        let before = self.before().trim_end_matches(char::is_whitespace);
        before.char_indices().rfind(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn press(input: &mut Input, code: KeyCode, modifiers: KeyModifiers) {
        input.press(KeyEvent::new(code, modifiers));
    }

    #[test]
    fn words_and_ends_go_as_in_a_shell() {
        let mut input = Input::new("let ü = one two".into());
        press(&mut input, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(input.text(), "let ü = one ");
        press(&mut input, KeyCode::Home, KeyModifiers::NONE);
        press(&mut input, KeyCode::Delete, KeyModifiers::NONE);
        press(&mut input, KeyCode::Char('L'), KeyModifiers::SHIFT);
        assert_eq!((input.text(), input.before()), ("Let ü = one ", "L"));
        press(&mut input, KeyCode::Char('k'), KeyModifiers::CONTROL);
        assert_eq!(input.text(), "L");
    }

    #[test]
    fn what_is_pasted_goes_in_as_one_line() {
        let mut input = Input::new("ab".into());
        press(&mut input, KeyCode::Left, KeyModifiers::NONE);
        input.paste("x\ty\r\nz\rü\u{1b}[A\n\n");
        assert_eq!((input.text(), input.before()), ("ax\ty z ü[Ab", "ax\ty z ü[A"));
    }

    proptest! {
        #[test]
        fn no_key_splits_a_character(text in "\\PC{0,8}", keys in prop::collection::vec(0_usize..14, 0..30)) {
            let plain = [
                KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End, KeyCode::Backspace, KeyCode::Delete,
                KeyCode::Char('漢'), KeyCode::Char(' '),
            ];
            let held = ['a', 'e', 'u', 'k', 'w', 'h'];
            let mut input = Input::new(text);
            for key in keys {
                match plain.get(key) {
                    Some(code) => press(&mut input, *code, KeyModifiers::NONE),
                    None => press(&mut input, KeyCode::Char(held[key - plain.len()]), KeyModifiers::CONTROL),
                }
                prop_assert!(input.before().len() <= input.text().len());
            }
        }
    }
}
