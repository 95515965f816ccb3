//! The state of a review on a screen. Only what is visible is looked at.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use super::input::Input;
use super::keys::HELP;
use super::model::{Focus, Mode, Model};
use super::text::{self, columns, window};
use crate::cli::render::proposals::{sign, whole_file};
use crate::commands::lines_view::LineView;
use crate::commands::review::Beside;
use crate::domain::fact::values::LineSet;
use crate::domain::review::{Verdict, Verdicts};

/// The narrowest screen that has files and lines side by side.
const SIDE_BY_SIDE: u16 = 60;

/// Where things are on a screen of some size.
struct Panes {
    title: Option<Rect>,
    files: Rect,
    heading: Option<Rect>,
    lines: Rect,
    status: Option<Rect>,
}

impl Panes {
    /// A screen too small for everything leaves out what is around the lines, and shows one pane at a time.
    fn of(area: Rect, focus: Focus) -> Panes {
        let Rect { x, y, width, height } = area;
        let row = |at: u16| Rect { x, y: y + at, width, height: 1 };
        let (title, status) = ((height >= 3).then(|| row(0)), (height >= 2).then(|| row(height - 1)));
        let above = u16::from(title.is_some());
        let middle = Rect { x, y: y + above, width, height: height - above - u16::from(status.is_some()) };
        let left = match (width >= SIDE_BY_SIDE, focus) {
            (true, _) => (width / 4).min(40),
            (false, Focus::Files) => width,
            (false, Focus::Lines) => 0,
        };
        let gap = u16::from(left > 0 && left < width);
        let right = Rect { x: x + left + gap, width: width - left - gap, ..middle };
        let named = right.height >= 2;
        let lines = if named { Rect { y: right.y + 1, height: right.height - 1, ..right } } else { right };
        let heading = named.then_some(Rect { height: 1, ..right });
        Panes { title, files: Rect { width: left, ..middle }, heading, lines, status }
    }
}

/// Lets the state know how many rows there are for lines.
pub fn fit(model: &mut Model, area: Rect) {
    model.fit(usize::from(Panes::of(area, model.focus()).lines.height));
}

/// Draws the state.
pub fn draw(frame: &mut Frame<'_>, model: &Model, color: bool) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let panes = Panes::of(area, model.focus());
    let look = Look { color };
    let buffer = frame.buffer_mut();
    if let Some(row) = panes.title {
        put(buffer, row, &model.title, Modifier::BOLD.into());
    }
    match model.mode() {
        Mode::Help(from) => {
            let keys = HELP.iter().skip(*from).map(|(key, means)| format!("{key:<14}{means}"));
            rows(buffer, whole(&panes), keys);
        }
        mode @ (Mode::Leave | Mode::TakeUp) => {
            let texts = if *mode == Mode::Leave { leaving(model) } else { offer(model) };
            let (area, width) = (whole(&panes), usize::from(area.width));
            rows(buffer, area, texts.into_iter().flat_map(|text| wrapped(text, width)));
        }
        Mode::Browse | Mode::Edit(_) | Mode::Search(_) => {
            look.files(buffer, panes.files, model);
            look.heading(buffer, panes.heading, model);
            look.lines(buffer, panes.lines, model);
        }
    }
    let Some(row) = panes.status else { return };
    let cursor = match model.mode() {
        Mode::Edit(input) => Some(typed(buffer, row, "text: ", input)),
        Mode::Search(input) => Some(typed(buffer, row, "/", input)),
        _ => {
            put(buffer, row, &status(model), look.dim());
            None
        }
    };
    if let Some(position) = cursor {
        frame.set_cursor_position(position);
    }
}

/// What there is to choose from at the end.
pub fn leaving(model: &Model) -> Vec<String> {
    let tally = model.tally();
    let mut rows = vec![format!("{}, {} left undecided", tally.unsigned(), tally.open)];
    rows.extend(listed(model.said()));
    rows.extend([
        "s  sign what was decided".into(),
        "d  discard it".into(),
        "k  keep it, unsigned, for the next review".into(),
        "c  continue".into(),
    ]);
    rows
}

/// What there is to choose from at the beginning.
pub fn offer(model: &Model) -> Vec<String> {
    let count = model.kept().map_or(0, Verdicts::len);
    let mut rows = vec![format!("decisions of an earlier review that were kept, unsigned: {count}")];
    rows.extend(model.kept().into_iter().flat_map(listed));
    rows.extend(["y  take them up".into(), "n  start anew".into()]);
    rows
}

/// Which lines something is said about: a number of them would not tell what is signed.
fn listed(said: &Verdicts) -> impl Iterator<Item = String> {
    let edited = LineSet::from_numbers(said.edited().into_keys());
    let all = [("accepted", said.accepted()), ("rejected", said.rejected()), ("edited", edited)];
    all.into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(word, lines)| format!("{word} lines {lines}"))
}

/// A row in as many as it takes, broken after commas.
fn wrapped(text: String, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for part in text.split_inclusive(',') {
        let last = rows.len() - 1;
        if rows[last].trim_start().is_empty() || columns(&rows[last]) + columns(part) <= width {
            rows[last].push_str(part);
        } else {
            rows.push(format!("  {}", part.trim_start()));
        }
    }
    rows
}

/// Everything between title and status.
fn whole(panes: &Panes) -> Rect {
    let left = if panes.files.width > 0 { panes.files } else { panes.heading.unwrap_or(panes.lines) };
    left.union(panes.lines)
}

fn status(model: &Model) -> String {
    match model.mode() {
        Mode::TakeUp => return "y n".into(),
        Mode::Leave => return "s d k c".into(),
        Mode::Help(_) => return "any other key goes back".into(),
        _ => {}
    }
    if !model.message().is_empty() {
        return model.message().to_owned();
    }
    let tally = model.tally();
    format!("{}, {} undecided   y n a d e u / q, ? for help", tally.unsigned(), tally.open)
}

/// One row of foreign text.
fn put(buffer: &mut Buffer, row: Rect, text: &str, style: Style) {
    let width = usize::from(row.width);
    buffer.set_stringn(row.x, row.y, window(text, 0, width), width, style);
}

fn rows(buffer: &mut Buffer, area: Rect, texts: impl Iterator<Item = String>) {
    for (row, text) in area.rows().zip(texts) {
        put(buffer, row, &text, Style::new());
    }
}

/// A text being typed, with the place of its cursor.
fn typed(buffer: &mut Buffer, row: Rect, prompt: &str, input: &Input) -> Position {
    let room = usize::from(row.width).saturating_sub(prompt.len());
    let cursor = columns(input.before());
    // The cursor stands after the text, so it needs a column as well.
    let skip = (cursor + 1).saturating_sub(room);
    let shown = format!("{prompt}{}", text::typed(input.text(), skip, room));
    buffer.set_stringn(row.x, row.y, shown, usize::from(row.width), Style::new());
    let x = prompt.len() + cursor.saturating_sub(skip);
    let x = u16::try_from(x).unwrap_or(u16::MAX).min(row.width.saturating_sub(1));
    Position { x: row.x + x, y: row.y }
}

/// Styles, with or without colours.
struct Look {
    color: bool,
}

impl Look {
    fn colored(&self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    fn dim(&self) -> Style {
        if self.color { Modifier::DIM.into() } else { Style::new() }
    }

    fn of(&self, sign: &str) -> Style {
        match sign {
            "+" | "file+" => self.colored(Color::Green),
            "-" | "file-" => self.colored(Color::Red),
            _ => self.colored(Color::Yellow),
        }
    }

    fn files(&self, buffer: &mut Buffer, area: Rect, model: &Model) {
        let (current, height) = (model.file_of(model.at()), usize::from(area.height));
        if area.is_empty() {
            return;
        }
        let top = (current + 1).saturating_sub(height);
        for (row, (index, file)) in area.rows().zip(model.files().iter().enumerate().skip(top)) {
            let style = match (index == current, model.focus()) {
                (true, Focus::Files) => Modifier::REVERSED.into(),
                (true, Focus::Lines) => Modifier::BOLD.into(),
                _ => Style::new(),
            };
            let mark = if index == current { '>' } else { ' ' };
            let sensitive = if file.sensitive.is_empty() { "" } else { "! " };
            put(buffer, row, &format!("{mark}{:>4} {sensitive}{}", file.open, file.path), style);
        }
    }

    fn heading(&self, buffer: &mut Buffer, row: Option<Rect>, model: &Model) {
        let (Some(row), Some(file)) = (row, model.file()) else { return };
        let mut text = match &file.old_path {
            Some(old) => format!("{old} → {}", file.path),
            None => file.path.clone(),
        };
        if !file.sensitive.is_empty() {
            text.push_str(&format!("  [sensitive: {}]", file.sensitive.join(", ")));
        }
        put(buffer, row, &text, Modifier::UNDERLINED.into());
    }

    fn lines(&self, buffer: &mut Buffer, area: Rect, model: &Model) {
        let Some(file) = model.file().filter(|_| !area.is_empty()) else { return };
        let digits = model.lines().last().map_or(2, |line| line.line.to_string().len().max(2));
        let end = file.first + file.len;
        let mut free = area.rows();
        for index in model.top()..end {
            for beside in model.above(index) {
                let Some(row) = free.next() else { return };
                self.beside(buffer, row, (model, digits), beside);
            }
            for (nth, (sign, text)) in sides(model, index).into_iter().enumerate() {
                let Some(row) = free.next() else { return };
                self.side(buffer, row, (model, index, digits), nth == 0, (sign, &text));
            }
        }
        for beside in model.below(end - 1) {
            let Some(row) = free.next() else { return };
            self.beside(buffer, row, (model, digits), beside);
        }
    }

    /// A line that stays as it is: no number, no sign.
    fn beside(&self, buffer: &mut Buffer, row: Rect, (model, digits): (&Model, usize), beside: &Beside) {
        let (sign, text) = match beside {
            Beside::Line(text) => (" ", text.as_str()),
            Beside::Gap => ("…", ""),
        };
        let head = format!("{}{sign} ", " ".repeat(digits + 5));
        buffer.set_stringn(row.x, row.y, &head, usize::from(row.width), self.dim());
        let used = u16::try_from(digits + 7).unwrap_or(u16::MAX).min(row.width);
        let rest = Rect { x: row.x + used, width: row.width - used, ..row };
        let width = usize::from(rest.width);
        buffer.set_stringn(rest.x, rest.y, window(text, model.shift(), width), width, self.dim());
    }

    fn side(
        &self,
        buffer: &mut Buffer,
        row: Rect,
        (model, index, digits): (&Model, usize, usize),
        is_first: bool,
        (sign, text): (&str, &str),
    ) {
        let line = &model.lines()[index];
        let here = index == model.at();
        let head = match is_first {
            true => {
                let mark = if here { '>' } else { ' ' };
                format!("{mark}{} L{:0digits$} ", mark_of(model, index), line.line)
            }
            false => " ".repeat(digits + 5),
        };
        let width = usize::from(row.width);
        let style = if here && is_first { Modifier::REVERSED.into() } else { Style::new() };
        buffer.set_stringn(row.x, row.y, &head, width, style);
        let used = u16::try_from(head.len()).unwrap_or(u16::MAX).min(row.width);
        let rest = Rect { x: row.x + used, width: row.width - used, ..row };
        let head = format!("{sign} ");
        let style = self.of(sign);
        buffer.set_stringn(rest.x, rest.y, &head, usize::from(rest.width), style);
        let used = u16::try_from(head.len()).unwrap_or(u16::MAX).min(rest.width);
        let rest = Rect { x: rest.x + used, width: rest.width - used, ..rest };
        let width = usize::from(rest.width);
        buffer.set_stringn(rest.x, rest.y, window(text, model.shift(), width), width, style);
    }
}

/// The rows of a line itself, each with its sign. As many as the state counts.
fn sides(model: &Model, index: usize) -> Vec<(&'static str, std::borrow::Cow<'_, str>)> {
    let line: &LineView = &model.lines()[index];
    let text = |side: &'_ Option<String>| side.clone().unwrap_or_default();
    let mut sides: Vec<(&str, std::borrow::Cow<'_, str>)> = match line.op {
        "add" => vec![("+", line.new.as_deref().unwrap_or_default().into())],
        "remove" => vec![("-", line.old.as_deref().unwrap_or_default().into())],
        "mutate" => vec![
            ("-", line.old.as_deref().unwrap_or_default().into()),
            ("+", line.new.as_deref().unwrap_or_default().into()),
        ],
        _ => vec![(sign(line.op), whole_file(line, text(&line.old), text(&line.new)).into())],
    };
    if let Some(Verdict::Edited(text)) = model.verdict(index) {
        sides.push(("e", text.into()));
    }
    sides
}

/// What became of a line, in a letter: small where it is not signed.
fn mark_of(model: &Model, index: usize) -> char {
    match (model.verdict(index), model.lines()[index].state) {
        (Some(Verdict::Accepted), _) => 'y',
        (Some(Verdict::Rejected), _) => 'n',
        (Some(Verdict::Edited(_)), _) => 'e',
        (None, Some("accepted")) => 'A',
        (None, Some("rejected")) => 'R',
        (None, Some("applied")) => '=',
        (None, _) => ' ',
    }
}
