//! Looking for text in the lines.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::super::input::Input;
use super::{Effect, Mode, Model};
use crate::domain::review::Verdict;

impl Model {
    /// Takes a key of what to search for.
    pub(super) fn type_pattern(&mut self, mut input: Input, key: KeyEvent) -> Effect {
        match key.code {
            KeyCode::Esc => {}
            KeyCode::Enter => {
                if !input.text().is_empty() {
                    self.pattern = input.text().to_owned();
                }
                self.find(1);
            }
            _ => {
                input.press(key);
                self.mode = Mode::Search(input);
            }
        }
        Effect::None
    }

    /// Goes to the next line that has the pattern in it, around the end if need be.
    pub(super) fn find(&mut self, by: isize) {
        if self.pattern.is_empty() {
            self.message = "nothing to search for yet: / asks".into();
            return;
        }
        let exact = self.pattern.chars().any(char::is_uppercase);
        let has = |text: &String| match exact {
            true => text.contains(&self.pattern),
            false => text.to_lowercase().contains(&self.pattern),
        };
        let len = self.lines.len();
        let found =
            (1..=len).map(|away| if by > 0 { (self.at + away) % len } else { (self.at + len - away) % len });
        let mut found = found.filter(|index| {
            let line = &self.lines[*index];
            let edited = matches!(self.verdict(*index), Some(Verdict::Edited(text)) if has(text));
            edited || [&line.old, &line.new].into_iter().flatten().any(has)
        });
        match found.next() {
            Some(index) => self.at = index,
            None => self.message = format!("`{}` is in no line", self.pattern),
        }
    }
}
