//! The state of a review: keys in, decisions out. Without terminal, files or clock.

mod search;
mod steps;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::input::Input;
use super::keys::{self, Action};
use super::text;
use crate::commands::lines_view::LineView;
use crate::commands::review::{Beside, Sitting};
use crate::domain::review::{Verdict, Verdicts, check_text};
use steps::Step;
pub use steps::Tally;

/// How many columns one step sideways is.
const SIDEWAYS: usize = 8;

/// One file of the proposal.
pub struct FileItem {
    /// Its path.
    pub path: String,
    /// The path before, where it changes.
    pub old_path: Option<String>,
    /// Why it deserves a second look.
    pub sensitive: Vec<String>,
    /// The index of its first line.
    pub first: usize,
    /// How many lines it has.
    pub len: usize,
    /// How many of them nobody has decided about.
    pub open: usize,
    /// What stays as it is below the last.
    below: Vec<Beside>,
}

/// Which part of the screen keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// The list of files.
    Files,
    /// The lines of one of them.
    Lines,
}

/// What the next key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Going through the lines.
    Browse,
    /// Typing another text for the line.
    Edit(Input),
    /// Typing what to search for.
    Search(Input),
    /// Reading which keys there are, from this row on.
    Help(usize),
    /// Answering whether what was kept is taken up.
    TakeUp,
    /// Answering what becomes of what was said.
    Leave,
}

/// What becomes of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Sign it.
    Sign,
    /// Forget it.
    Discard,
    /// Keep it for the next time, unsigned.
    Keep,
    /// Nothing was said.
    Nothing,
}

/// What a key asks of those who can do things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// To end the review.
    Leave(Leaving),
    /// To end it as a signal would.
    Interrupt,
    /// To stop until somebody goes on with it.
    Suspend,
}

/// The state.
pub struct Model {
    /// What is reviewed, in a line.
    pub title: String,
    files: Vec<FileItem>,
    lines: Vec<LineView>,
    /// For each line what stays as it is above it.
    above: Vec<Vec<Beside>>,
    said: Verdicts,
    tally: Tally,
    steps: Vec<Step>,
    kept: Option<Verdicts>,
    left_kept: bool,
    focus: Focus,
    mode: Mode,
    at: usize,
    top: usize,
    /// How many rows of what stands above that line are on the screen.
    lead: usize,
    rows: usize,
    shift: usize,
    pattern: String,
    message: String,
}

impl Model {
    /// A review at its beginning. Takes files and what was kept out of `sitting`.
    pub fn new(sitting: &mut Sitting) -> Self {
        let title = format!("{} revision {}  {}", sitting.receipt, sitting.revision, sitting.summary);
        let (mut files, mut lines, mut above) = (Vec::new(), Vec::new(), Vec::new());
        let mut around = std::mem::take(&mut sitting.around).into_iter();
        for file in std::mem::take(&mut sitting.files) {
            let open = file.lines.iter().filter(|line| line.state == Some("pending")).count();
            let (first, len) = (lines.len(), file.lines.len());
            let (path, old_path, sensitive) = (file.path, file.old_path, file.sensitive);
            let around = around.next().unwrap_or_default();
            files.push(FileItem { path, old_path, sensitive, first, len, open, below: around.below });
            lines.extend(file.lines);
            above.extend(around.above);
            above.resize_with(lines.len(), Vec::new);
        }
        let open = files.iter().map(|file| file.open).sum();
        let kept = sitting.kept.take();
        let mode = if kept.is_some() { Mode::TakeUp } else { Mode::Browse };
        let mut model = Model {
            title,
            files,
            lines,
            above,
            said: Verdicts::default(),
            tally: Tally { open, ..Tally::default() },
            steps: Vec::new(),
            kept,
            left_kept: false,
            focus: Focus::Lines,
            mode,
            at: 0,
            top: 0,
            lead: 0,
            rows: 1,
            shift: 0,
            pattern: String::new(),
            message: String::new(),
        };
        model.go_to_open(0);
        model
    }

    /// The files.
    pub fn files(&self) -> &[FileItem] {
        &self.files
    }

    /// All lines, by file.
    pub fn lines(&self) -> &[LineView] {
        &self.lines
    }

    /// What was said so far.
    pub fn said(&self) -> &Verdicts {
        &self.said
    }

    /// What was said about the line at an index.
    pub fn verdict(&self, index: usize) -> Option<&Verdict> {
        self.said.get(self.lines.get(index)?.line)
    }

    /// How many lines of which sort there are.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Which part of the screen keys go to.
    pub fn focus(&self) -> Focus {
        self.focus
    }

    /// What the next key is for.
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// The index of the line that decisions are about.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The index of the first line on the screen.
    pub fn top(&self) -> usize {
        self.top
    }

    /// How many columns of text are left of the screen.
    pub fn shift(&self) -> usize {
        self.shift
    }

    /// What there is to say about the last key.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The decisions that wait to be taken up.
    pub fn kept(&self) -> Option<&Verdicts> {
        self.kept.as_ref()
    }

    /// Whether there were decisions to take up, and they were not.
    pub fn left_kept(&self) -> bool {
        self.left_kept
    }

    /// The index of the file that a line is in.
    pub fn file_of(&self, index: usize) -> usize {
        self.files.partition_point(|file| file.first + file.len <= index).min(self.files.len().max(1) - 1)
    }

    /// The file before the reviewer.
    pub fn file(&self) -> Option<&FileItem> {
        self.files.get(self.file_of(self.at))
    }

    /// What stays as it is above a line, on the screen as far as there is room.
    pub fn above(&self, index: usize) -> &[Beside] {
        let all = self.above.get(index).map_or(&[][..], Vec::as_slice);
        if index == self.top { &all[all.len().saturating_sub(self.lead)..] } else { all }
    }

    /// What stays as it is below a line, where that is the last of its file.
    pub fn below(&self, index: usize) -> &[Beside] {
        let file = self.files.get(self.file_of(index));
        file.filter(|file| file.first + file.len == index + 1).map_or(&[], |file| &file.below)
    }

    /// The lines that stay as they are right above a line, and those right below it.
    pub fn next_to(&self, index: usize) -> (&[Beside], &[Beside]) {
        let is_gap = |beside: &Beside| *beside == Beside::Gap;
        let above = self.above.get(index).map_or(&[][..], Vec::as_slice);
        let below = match self.lines.get(index + 1).filter(|_| self.file_of(index + 1) == self.file_of(index))
        {
            Some(_) => &self.above[index + 1],
            None => self.below(index),
        };
        let from = above.iter().rposition(is_gap).map_or(0, |gap| gap + 1);
        let to = below.iter().position(is_gap).unwrap_or(below.len());
        (&above[from..], &below[..to])
    }

    /// How many rows a line itself takes on the screen.
    fn height(&self, index: usize) -> usize {
        let sides = if self.lines.get(index).is_some_and(|line| line.op == "mutate") { 2 } else { 1 };
        sides + usize::from(matches!(self.verdict(index), Some(Verdict::Edited(_))))
    }

    /// Takes another number of rows for the lines.
    pub fn fit(&mut self, rows: usize) {
        self.rows = rows.max(1);
        self.settle();
    }

    /// Whether nobody has decided about a line.
    pub fn is_open(&self, index: usize) -> bool {
        self.lines.get(index).is_some_and(|line| line.state == Some("pending"))
            && self.verdict(index).is_none()
    }

    /// Goes to the first open line from an index on, and says whether there is one.
    pub fn go_to_open(&mut self, from: usize) -> bool {
        let found = (from..self.lines.len()).find(|index| self.is_open(*index));
        if let Some(index) = found {
            self.at = index;
        }
        self.settle();
        found.is_some()
    }

    /// Takes a key.
    pub fn press(&mut self, key: KeyEvent) -> Effect {
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Effect::Interrupt,
            KeyCode::Char('z') if key.modifiers.contains(KeyModifiers::CONTROL) => return Effect::Suspend,
            _ => {}
        }
        self.message.clear();
        let effect = match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Browse => keys::action(key).map_or(Effect::None, |action| self.act(action)),
            Mode::Edit(input) => self.type_text(input, key),
            Mode::Search(input) => self.type_pattern(input, key),
            Mode::Help(row) => self.read_help(row, key),
            Mode::TakeUp => self.answer_offer(key),
            Mode::Leave => self.answer_leave(key),
        };
        self.settle();
        effect
    }

    /// Takes text that was pasted: into what is being typed, and nowhere else. It never stands for keys.
    pub fn paste(&mut self, text: &str) {
        match &mut self.mode {
            Mode::Edit(input) | Mode::Search(input) => input.paste(text),
            _ => self.message = "what is pasted decides nothing".into(),
        }
    }

    /// Does what a key stands for while going through the lines.
    pub fn act(&mut self, action: Action) -> Effect {
        match action {
            Action::Accept => self.decide(Verdict::Accepted),
            Action::Reject => self.decide(Verdict::Rejected),
            Action::AcceptFile => self.decide_file(&Verdict::Accepted),
            Action::RejectFile => self.decide_file(&Verdict::Rejected),
            Action::Edit => self.begin_edit(),
            Action::Undo => self.undo(),
            Action::Down => self.step(1),
            Action::Up => self.step(-1),
            Action::PageDown => self.page(1),
            Action::PageUp => self.page(-1),
            Action::First => self.at = 0,
            Action::Last => self.at = self.lines.len().max(1) - 1,
            Action::NextOpen => {
                if !self.go_to_open(self.at + 1) {
                    self.message = "no undecided line below".into();
                }
            }
            Action::NextFile => self.go_to_file(1),
            Action::PreviousFile => self.go_to_file(-1),
            Action::Left => self.shift = self.shift.saturating_sub(SIDEWAYS),
            Action::Right => {
                if self.shift + SIDEWAYS < self.widest() {
                    self.shift += SIDEWAYS;
                }
            }
            Action::SwitchPane => {
                self.focus = if self.focus == Focus::Files { Focus::Lines } else { Focus::Files };
            }
            Action::Search => self.mode = Mode::Search(Input::default()),
            Action::NextMatch => self.find(1),
            Action::PreviousMatch => self.find(-1),
            Action::Help => self.mode = Mode::Help(0),
            Action::Quit if self.said.is_empty() => return Effect::Leave(Leaving::Nothing),
            Action::Quit => self.mode = Mode::Leave,
        }
        Effect::None
    }

    /// Gives the line another text.
    ///
    /// # Errors
    /// When the line cannot have it.
    pub fn set_text(&mut self, typed: &str) -> Result<(), String> {
        check_text(typed)?;
        let Some(line) = self.lines.get(self.at).filter(|line| line.may_be_edited()) else {
            return Err("only text that comes can be edited".into());
        };
        let (number, same) = (line.line, line.new.as_deref() == Some(typed));
        if same {
            self.message = format!("L{number:02} has this text already: y takes it");
            return Ok(());
        }
        if line.op == "mutate" && line.old.as_deref() == Some(typed) {
            self.decide(Verdict::Rejected);
            self.message = format!("L{number:02} would have its old text: refused");
            return Ok(());
        }
        self.decide(Verdict::Edited(typed.to_owned()));
        Ok(())
    }

    /// Goes to a line by its number, and says whether there is one.
    pub fn go_to_line(&mut self, line: u64) -> bool {
        let found = self.lines.binary_search_by_key(&line, |view| view.line);
        if let Ok(index) = found {
            self.at = index;
            self.settle();
        }
        found.is_ok()
    }

    /// Leaves whatever else was being answered.
    pub fn browse(&mut self) {
        self.mode = Mode::Browse;
        self.message.clear();
    }

    /// Takes up what was kept.
    pub fn take_up(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        let index = |line: u64| self.lines.binary_search_by_key(&line, |view| view.line).ok();
        let said: Vec<_> =
            kept.iter().filter_map(|(line, said)| Some((index(line)?, said.clone()))).collect();
        self.put(said);
        self.go_to_open(0);
    }

    /// Leaves what was kept where it is.
    pub fn leave_kept(&mut self) {
        self.left_kept = self.kept.take().is_some();
    }

    fn answer_offer(&mut self, key: KeyEvent) -> Effect {
        match key.code {
            KeyCode::Char('y') => self.take_up(),
            KeyCode::Char('n') => self.leave_kept(),
            KeyCode::Char('q') => return Effect::Leave(Leaving::Nothing),
            _ => self.mode = Mode::TakeUp,
        }
        Effect::None
    }

    fn answer_leave(&mut self, key: KeyEvent) -> Effect {
        match key.code {
            KeyCode::Char('s') => return Effect::Leave(Leaving::Sign),
            KeyCode::Char('d') => return Effect::Leave(Leaving::Discard),
            KeyCode::Char('k') => return Effect::Leave(Leaving::Keep),
            KeyCode::Char('c') | KeyCode::Esc => {}
            _ => self.mode = Mode::Leave,
        }
        Effect::None
    }

    fn read_help(&mut self, row: usize, key: KeyEvent) -> Effect {
        match keys::action(key) {
            Some(Action::Down | Action::PageDown) => {
                self.mode = Mode::Help((row + 1).min(keys::HELP.len() - 1));
            }
            Some(Action::Up | Action::PageUp) => self.mode = Mode::Help(row.saturating_sub(1)),
            _ => {}
        }
        Effect::None
    }

    fn begin_edit(&mut self) {
        let Some(line) = self.lines.get(self.at) else { return };
        if line.state == Some("applied") {
            self.message = format!("L{:02} landed already", line.line);
        } else if line.may_be_edited() {
            let text = match self.verdict(self.at) {
                Some(Verdict::Edited(text)) => text.clone(),
                _ => line.new.clone().unwrap_or_default(),
            };
            self.mode = Mode::Edit(Input::new(text));
        } else if line.exact {
            self.message = "only a line that is added or changed can be edited".into();
        } else {
            self.message = "a line that is no UTF-8 cannot be edited here".into();
        }
    }

    fn type_text(&mut self, mut input: Input, key: KeyEvent) -> Effect {
        match key.code {
            KeyCode::Esc => self.message = "left as it was".into(),
            KeyCode::Enter => {
                if let Err(problem) = self.set_text(input.text()) {
                    self.message = problem;
                    self.mode = Mode::Edit(input);
                }
            }
            KeyCode::Tab => {
                input.insert('\t');
                self.mode = Mode::Edit(input);
            }
            _ => {
                input.press(key);
                self.mode = Mode::Edit(input);
            }
        }
        Effect::None
    }

    /// Says something about the line, and goes on to the next that is open.
    fn decide(&mut self, verdict: Verdict) {
        let Some(line) = self.lines.get(self.at) else { return };
        if line.state == Some("applied") {
            self.message = format!("L{:02} landed already", line.line);
            return;
        }
        self.put(vec![(self.at, verdict)]);
        if !self.go_to_open(self.at + 1) {
            self.message = match self.tally.open {
                0 => "every line is decided: q to sign".into(),
                open => format!("no undecided line below, {open} above"),
            };
        }
    }

    /// Says the same about every line of the file that is open.
    fn decide_file(&mut self, verdict: &Verdict) {
        let Some(file) = self.file() else { return };
        let all = file.first..file.first + file.len;
        let end = all.end;
        let open: Vec<_> = all.filter(|at| self.is_open(*at)).map(|at| (at, verdict.clone())).collect();
        if open.is_empty() {
            self.message = "every line of this file is decided: y and n change one".into();
            return;
        }
        let word = if *verdict == Verdict::Accepted { "accepted" } else { "rejected" };
        let count = open.len();
        self.put(open);
        if !self.go_to_open(end) {
            self.at = end - 1;
        }
        self.message = format!("{word}, lines of this file: {count}");
    }

    fn step(&mut self, by: isize) {
        if self.focus == Focus::Files {
            return self.go_to_file(by);
        }
        self.at = self.at.saturating_add_signed(by).min(self.lines.len().max(1) - 1);
    }

    fn page(&mut self, by: isize) {
        let Some(file) = self.file() else { return };
        let (first, last) = (file.first, file.first + file.len.max(1) - 1);
        if by > 0 && self.at == last || by < 0 && self.at == first {
            return self.step(by);
        }
        let mut rows = 0;
        while rows < self.rows && if by > 0 { self.at < last } else { self.at > first } {
            rows += self.height(self.at) + self.above.get(self.at).map_or(0, Vec::len);
            self.at = self.at.saturating_add_signed(by);
        }
    }

    fn go_to_file(&mut self, by: isize) {
        let file = self.file_of(self.at).saturating_add_signed(by);
        if let Some(file) = self.files.get(file) {
            self.at = file.first;
        }
    }

    /// The columns of the widest text of the line.
    fn widest(&self) -> usize {
        let Some(line) = self.lines.get(self.at) else { return 0 };
        let edited = match self.verdict(self.at) {
            Some(Verdict::Edited(text)) => Some(text),
            _ => None,
        };
        let texts = [line.old.as_ref(), line.new.as_ref(), edited].into_iter().flatten();
        texts.map(|text| text::columns(&text::counted(text))).max().unwrap_or(0)
    }

    /// Brings the line into view, with what stands next to it as far as there is room.
    fn settle(&mut self) {
        let Some(first) = self.file().map(|file| file.first) else { return };
        let beside = |index: usize| self.above.get(index).map_or(0, Vec::len);
        let free = self.rows.saturating_sub(self.height(self.at));
        // At most half of it below, so that there is as much above.
        let mut free = free - self.next_to(self.at).1.len().min(free / 2);
        let (mut lowest, mut lead) = (self.at, beside(self.at).min(free));
        while lowest > first && beside(lowest) + self.height(lowest - 1) <= free {
            free -= beside(lowest) + self.height(lowest - 1);
            lowest -= 1;
            lead = beside(lowest).min(free);
        }
        self.top = self.top.clamp(lowest, self.at);
        self.lead = if self.top == lowest { lead } else { beside(self.top) };
    }
}
