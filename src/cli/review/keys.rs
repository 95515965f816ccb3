//! Which key means what while going through the lines.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Take the line.
    Accept,
    /// Refuse the line.
    Reject,
    /// Take what is open of the file.
    AcceptFile,
    /// Refuse what is open of the file.
    RejectFile,
    /// Give the line another text.
    Edit,
    /// Take the last decision back.
    Undo,
    /// One line down, or one file.
    Down,
    /// One line up, or one file.
    Up,
    /// A screen down.
    PageDown,
    /// A screen up.
    PageUp,
    /// The first line.
    First,
    /// The last line.
    Last,
    /// The next line that is open.
    NextOpen,
    /// The next file.
    NextFile,
    /// The file before.
    PreviousFile,
    /// To the beginning of long lines.
    Left,
    /// To the end of long lines.
    Right,
    /// Between files and lines.
    SwitchPane,
    /// Search.
    Search,
    /// The next line that was searched for.
    NextMatch,
    /// The one before.
    PreviousMatch,
    /// Which keys there are.
    Help,
    /// End the review.
    Quit,
}

/// The keys, for people. `docs/review.md` has the same table.
pub const HELP: &[(&str, &str)] = &[
    ("y", "accept the line"),
    ("n", "reject the line"),
    ("a", "accept every line of the file that is still open"),
    ("d", "reject every line of the file that is still open"),
    ("e", "give the line another text, proposed in a receipt of your own"),
    ("u", "take the last decision back"),
    ("j, Down", "next line"),
    ("k, Up", "line before"),
    ("J, Space", "next line that is open"),
    ("PgDn, Ctrl-f", "a screen down"),
    ("PgUp, Ctrl-b", "a screen up"),
    ("g, Home", "first line"),
    ("G, End", "last line"),
    ("], [", "next file, file before"),
    ("Right, Left", "along long lines"),
    ("Tab", "between files and lines"),
    ("/", "search; without capitals any case fits"),
    ("N, Ctrl-n", "next line found"),
    ("P, Ctrl-p", "line found before"),
    ("?", "these keys"),
    ("q", "quit: sign, discard or keep what was decided"),
    ("Ctrl-c", "quit at once; what was decided is kept, unsigned"),
    ("Ctrl-z", "suspend, as the shell's job; `fg` goes on"),
];

/// What a key means.
pub fn action(key: KeyEvent) -> Option<Action> {
    let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    let held = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('f') if held => Action::PageDown,
        KeyCode::Char('b') if held => Action::PageUp,
        KeyCode::Char('n') if held => Action::NextMatch,
        KeyCode::Char('p') if held => Action::PreviousMatch,
        KeyCode::Char(c) if plain => of_letter(c)?,
        KeyCode::Down => Action::Down,
        KeyCode::Up => Action::Up,
        KeyCode::Left => Action::Left,
        KeyCode::Right => Action::Right,
        KeyCode::PageDown => Action::PageDown,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::Home => Action::First,
        KeyCode::End => Action::Last,
        KeyCode::Tab | KeyCode::BackTab => Action::SwitchPane,
        _ => return None,
    })
}

/// What a letter means, on the screen and as an answer.
pub fn of_letter(c: char) -> Option<Action> {
    Some(match c {
        'y' => Action::Accept,
        'n' => Action::Reject,
        'a' => Action::AcceptFile,
        'd' => Action::RejectFile,
        'e' => Action::Edit,
        'u' => Action::Undo,
        'j' => Action::Down,
        'k' => Action::Up,
        'J' | ' ' => Action::NextOpen,
        'g' => Action::First,
        'G' => Action::Last,
        ']' => Action::NextFile,
        '[' => Action::PreviousFile,
        '/' => Action::Search,
        'N' => Action::NextMatch,
        'P' => Action::PreviousMatch,
        '?' => Action::Help,
        'q' => Action::Quit,
        _ => return None,
    })
}
