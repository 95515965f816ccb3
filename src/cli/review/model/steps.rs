//! What is said about lines, in steps that can be taken back, and how many lines of which sort that makes.

use super::Model;
use crate::domain::review::Verdict;

/// What one key changed: enough to take it back.
pub(super) struct Step {
    at: usize,
    /// Lines, each with what was said about it before.
    before: Vec<(usize, Option<Verdict>)>,
}

/// How many lines of which sort there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Taken and not signed.
    pub accepted: usize,
    /// Refused and not signed.
    pub rejected: usize,
    /// With another text, and not signed.
    pub edited: usize,
    /// Without any decision.
    pub open: usize,
}

impl Model {
    /// Says something about lines, as one step that can be taken back.
    pub(super) fn put(&mut self, said: Vec<(usize, Verdict)>) {
        let mut before = Vec::with_capacity(said.len());
        for (index, verdict) in said {
            if self.verdict(index) != Some(&verdict) {
                let old = self.set(index, Some(verdict));
                before.push((index, old));
            }
        }
        if !before.is_empty() {
            self.steps.push(Step { at: self.at, before });
        }
    }

    pub(super) fn undo(&mut self) {
        let Some(step) = self.steps.pop() else {
            self.message = "nothing to undo".into();
            return;
        };
        for (index, verdict) in step.before {
            self.set(index, verdict);
        }
        self.at = step.at;
    }

    /// The only place that changes what is said, so that the counts stay right.
    fn set(&mut self, index: usize, verdict: Option<Verdict>) -> Option<Verdict> {
        let line = self.lines.get(index)?.line;
        let file = self.file_of(index);
        let was_open = self.is_open(index);
        if let Some(now) = &verdict {
            *self.tally.of(now) += 1;
        }
        let old = self.said.set(line, verdict);
        if let Some(old) = &old {
            *self.tally.of(old) -= 1;
        }
        match (was_open, self.is_open(index)) {
            (true, false) => {
                self.tally.open -= 1;
                self.files[file].open -= 1;
            }
            (false, true) => {
                self.tally.open += 1;
                self.files[file].open += 1;
            }
            _ => {}
        }
        old
    }
}

impl Tally {
    fn of(&mut self, verdict: &Verdict) -> &mut usize {
        match verdict {
            Verdict::Accepted => &mut self.accepted,
            Verdict::Rejected => &mut self.rejected,
            Verdict::Edited(_) => &mut self.edited,
        }
    }

    /// What waits to be signed, in words.
    pub fn unsigned(self) -> String {
        let parts = [(self.accepted, "accepted"), (self.rejected, "rejected"), (self.edited, "edited")];
        let parts: Vec<_> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        if parts.is_empty() { "nothing decided".into() } else { parts.join(", ") }
    }
}
