//! A review as questions and answers, line by line: nothing moves, so that a screen reader can follow.

use std::io;

use super::Ended;
use super::draw::{leaving, offer};
use super::keys::{self, Action};
use super::model::{Effect, Leaving, Mode, Model};
use super::text::counted;
use crate::child::{Interrupts, Line};
use crate::cli::render::proposals::whole_file;
use crate::cli::ui::{ask, safe};
use crate::commands::review::Beside;
use crate::domain::review::Verdict;

/// The answers, for people.
const ANSWERS: &[(&str, &str)] = &[
    ("y", "accept the line"),
    ("n", "reject the line"),
    ("a", "accept every line of the file that is still open"),
    ("d", "reject every line of the file that is still open"),
    ("e", "give the line another text, proposed in a receipt of your own"),
    ("s", "leave the line undecided and go on"),
    ("u", "take the last decision back"),
    ("12", "go to line 12"),
    ("q", "quit: sign, discard or keep what was decided"),
];

/// Why a question has no answer.
enum Stop {
    /// There is nobody any more.
    Ended(Ended),
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Failed(error)
    }
}

/// Asks about every open line.
///
/// # Errors
/// When nothing can be asked or read.
pub fn run(model: &mut Model, interrupts: &mut Interrupts) -> io::Result<Ended> {
    let mut prompt = Prompt { model, interrupts, file: None, line: None };
    match prompt.go_through() {
        Ok(leaving) => Ok(Ended::Left(leaving)),
        Err(Stop::Ended(ended)) => Ok(ended),
        Err(Stop::Failed(error)) => Err(error),
    }
}

struct Prompt<'p> {
    model: &'p mut Model,
    interrupts: &'p mut Interrupts,
    /// The file that was named last.
    file: Option<usize>,
    /// The line that was described last.
    line: Option<usize>,
}

impl Prompt<'_> {
    fn go_through(&mut self) -> Result<Leaving, Stop> {
        ask(&format!("{}\n", safe(&counted(&self.model.title))))?;
        if *self.model.mode() == Mode::TakeUp {
            self.offer()?;
        }
        loop {
            if self.questions()? {
                match self.model.act(Action::Quit) {
                    Effect::Leave(leaving) => return Ok(leaving),
                    Effect::None | Effect::Interrupt | Effect::Suspend => {}
                }
                if let Some(leaving) = self.leave()? {
                    return Ok(leaving);
                }
                if !self.model.go_to_open(0) {
                    ask("Every line is decided.\n")?;
                }
            }
        }
    }

    /// Asks about lines until there is none left or the person wants to leave. Whether to ask what becomes of it.
    fn questions(&mut self) -> Result<bool, Stop> {
        loop {
            self.describe()?;
            let number = self.number();
            match self.answer(&format!("Accept {number}? [y,n,a,d,e,s,u,q,?] "))?.as_str() {
                "?" => {
                    for (key, means) in ANSWERS {
                        ask(&format!("{key}: {means}\n"))?;
                    }
                }
                "q" => return Ok(true),
                "s" => {
                    if !self.model.go_to_open(self.model.at() + 1) {
                        return Ok(true);
                    }
                }
                "e" => {
                    let at = self.model.at();
                    let before = self.model.verdict(at).cloned();
                    self.edit(&number)?;
                    if self.model.verdict(at) != before.as_ref() && !self.is_left() {
                        return Ok(true);
                    }
                }
                "" => {}
                other => {
                    if !self.decide(other)? {
                        continue;
                    }
                    if other != "u" && to_line(other).is_none() && !self.is_left() {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Goes on to a line that is open, here or below, and says whether there is one.
    fn is_left(&mut self) -> bool {
        self.model.is_open(self.model.at()) || self.model.go_to_open(self.model.at())
    }

    /// Does what an answer asks for; whether it was one.
    fn decide(&mut self, answer: &str) -> Result<bool, Stop> {
        let mut letters = answer.chars();
        let action = match (letters.next(), letters.next()) {
            (Some(letter @ ('y' | 'n' | 'a' | 'd' | 'u')), None) => keys::of_letter(letter),
            _ => None,
        };
        if let Some(action) = action {
            self.model.act(action);
            self.tell()?;
        } else if !to_line(answer).is_some_and(|line| self.model.go_to_line(line)) {
            ask("That is no answer; ? lists them.\n")?;
            return Ok(false);
        }
        Ok(true)
    }

    fn edit(&mut self, number: &str) -> Result<(), Stop> {
        let at = self.model.at();
        self.model.act(Action::Edit);
        if !matches!(self.model.mode(), Mode::Edit(_)) {
            return self.tell();
        }
        self.model.browse();
        let mut text = self.answer(&format!("New text for {number}, nothing to leave it: "))?;
        if text.is_empty() {
            return Ok(());
        }
        // The end of a line as the file has it cannot be typed here.
        let carriage = self
            .model
            .lines()
            .get(at)
            .and_then(|line| line.new.as_ref())
            .is_some_and(|new| new.ends_with('\r'));
        if carriage {
            text.push('\r');
        }
        match self.model.set_text(&text) {
            Ok(()) => self.tell(),
            Err(problem) => Ok(ask(&format!("{problem}\n"))?),
        }
    }

    fn offer(&mut self) -> Result<(), Stop> {
        for row in offer(self.model) {
            ask(&format!("{row}\n"))?;
        }
        loop {
            match self.answer("Take them up? [y,n] ")?.as_str() {
                "y" => self.model.take_up(),
                "n" => self.model.leave_kept(),
                _ => continue,
            }
            self.model.browse();
            return Ok(());
        }
    }

    /// What becomes of what was said; none to go on.
    fn leave(&mut self) -> Result<Option<Leaving>, Stop> {
        for row in leaving(self.model) {
            ask(&format!("{row}\n"))?;
        }
        loop {
            let leaving = match self.answer("Sign, discard, keep or continue? [s,d,k,c] ")?.as_str() {
                "s" => Some(Leaving::Sign),
                "d" => Some(Leaving::Discard),
                "k" => Some(Leaving::Keep),
                "c" => None,
                _ => continue,
            };
            self.model.browse();
            return Ok(leaving);
        }
    }

    fn number(&self) -> String {
        self.model.lines().get(self.model.at()).map_or_else(String::new, |line| format!("L{:02}", line.line))
    }

    /// Names the file where it is another one, and says what the line does.
    fn describe(&mut self) -> Result<(), Stop> {
        let index = self.model.file_of(self.model.at());
        let count = self.model.files().len();
        if let Some(file) = self.model.file().filter(|_| self.file != Some(index)) {
            let sensitive = match file.sensitive.is_empty() {
                true => String::new(),
                false => format!(", sensitive: {}", file.sensitive.join(", ")),
            };
            let lines = if file.len == 1 { "1 line".into() } else { format!("{} lines", file.len) };
            ask(&format!("File {} of {count}: {}, {lines}{sensitive}\n", index + 1, safe(&file.path)))?;
            self.file = Some(index);
        }
        let at = self.model.at();
        let Some(line) = self.model.lines().get(at) else { return Ok(()) };
        let number = self.number();
        // What stands between two lines is told once.
        let (above, below) = match self.line.replace(at) {
            Some(before) if before == at => (&[][..], &[][..]),
            Some(before) if std::ptr::eq(self.model.next_to(before).1, self.model.next_to(at).0) => {
                (&[][..], self.model.next_to(at).1)
            }
            _ => self.model.next_to(at),
        };
        tell_beside(above)?;
        let (old, new) = (line.old.clone().unwrap_or_default(), line.new.clone().unwrap_or_default());
        let state = line.state.filter(|state| *state != "pending").map(|state| format!(", {state}"));
        let state = state.unwrap_or_default();
        let (old, new) = (safe(&counted(&old)), safe(&counted(&new)));
        ask(&match line.op {
            "add" => format!("{number} adds{state}: {new}\n"),
            "remove" => format!("{number} removes{state}: {old}\n"),
            "mutate" => format!("{number} changes{state}: {old}\n  to: {new}\n"),
            _ => format!("{number}{state} {}\n", whole_file(line, old, new)),
        })?;
        tell_beside(below)?;
        match self.model.verdict(self.model.at()) {
            Some(Verdict::Accepted) => ask("  so far: accepted\n")?,
            Some(Verdict::Rejected) => ask("  so far: rejected\n")?,
            Some(Verdict::Edited(text)) => ask(&format!("  so far: edited to: {}\n", safe(&counted(text))))?,
            None => {}
        }
        Ok(())
    }

    /// Says what the last action has to say.
    fn tell(&mut self) -> Result<(), Stop> {
        if !self.model.message().is_empty() {
            ask(&format!("{}\n", safe(self.model.message())))?;
        }
        self.model.browse();
        Ok(())
    }

    fn answer(&mut self, question: &str) -> Result<String, Stop> {
        ask(question)?;
        match self.interrupts.read_line()? {
            Line::Text(text) => Ok(text),
            Line::End => {
                ask("\n")?;
                let left = if self.model.said().is_empty() { Leaving::Nothing } else { Leaving::Keep };
                Err(Stop::Ended(Ended::Left(left)))
            }
            Line::Interrupted(signal) => Err(Stop::Ended(Ended::Interrupted(signal))),
        }
    }
}

/// Says which lines stay as they are.
fn tell_beside(lines: &[Beside]) -> io::Result<()> {
    lines.iter().try_for_each(|beside| match beside {
        Beside::Line(text) => ask(&format!("unchanged: {}\n", safe(&counted(text)))),
        Beside::Gap => Ok(()),
    })
}

/// A line's number as an answer.
fn to_line(answer: &str) -> Option<u64> {
    answer.strip_prefix('L').unwrap_or(answer).parse().ok()
}
