//! What a reviewer says about the lines of a proposal before it is signed, and the form in which that is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::canonical;
use super::fact::values::LineSet;
use super::ids::EntryRef;

/// The longest text that a line may be edited to, in bytes.
pub const LINE_MAX: usize = 64 * 1024;

/// What a reviewer says about one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Accepted,
    /// It is refused.
    Rejected,
    /// It is refused as it is, and wanted with this text.
    Edited(String),
}

/// What a reviewer says about lines, by number. A line that is not in here stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdicts(BTreeMap<u64, Verdict>);

impl Verdicts {
    /// What is said about a line.
    pub fn get(&self, line: u64) -> Option<&Verdict> {
        self.0.get(&line)
    }

    /// Says something else about a line, or nothing any more, and returns what was said before.
    pub fn set(&mut self, line: u64, verdict: Option<Verdict>) -> Option<Verdict> {
        match verdict {
            Some(verdict) => self.0.insert(line, verdict),
            None => self.0.remove(&line),
        }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many lines something is said about.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The lines that something is said about, each with what.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Verdict)> {
        self.0.iter().map(|(line, verdict)| (*line, verdict))
    }

    /// The lines that something is said about.
    pub fn lines(&self) -> LineSet {
        self.which(|_| true)
    }

    /// The lines that are taken.
    pub fn accepted(&self) -> LineSet {
        self.which(|verdict| *verdict == Verdict::Accepted)
    }

    /// The lines that are refused and not wanted otherwise.
    pub fn rejected(&self) -> LineSet {
        self.which(|verdict| *verdict == Verdict::Rejected)
    }

    /// The lines that are wanted with another text, each with that text.
    pub fn edited(&self) -> BTreeMap<u64, &str> {
        let mut edited = BTreeMap::new();
        for (line, verdict) in self.iter() {
            if let Verdict::Edited(text) = verdict {
                edited.insert(line, text.as_str());
            }
        }
        edited
    }

    fn which(&self, fits: impl Fn(&Verdict) -> bool) -> LineSet {
        LineSet::from_numbers(self.iter().filter(|(_, verdict)| fits(verdict)).map(|(line, _)| line))
    }

    /// The form in which verdicts about the proposal at `entry` are kept until somebody signs them.
    ///
    /// # Errors
    /// Never in practice: everything in it has a form.
    pub fn write(&self, entry: EntryRef) -> serde_json::Result<Vec<u8>> {
        let lines = |lines: LineSet| Some(lines).filter(|lines| !lines.is_empty());
        let edited = self.edited().into_iter();
        serde_json::to_vec(&Kept {
            version: VERSION,
            proposal: entry,
            accepted: lines(self.accepted()),
            rejected: lines(self.rejected()),
            edited: edited.map(|(line, text)| Edited { line, text: text.to_owned() }).collect(),
        })
    }

    /// Reads what was kept about the proposal at `entry`, whose table gives out `count` numbers. `may_edit` says which
    /// lines can have another text.
    ///
    /// # Errors
    /// When it is in another form, about another proposal, or about lines that there are not.
    pub fn read(
        bytes: &[u8],
        entry: EntryRef,
        count: u64,
        may_edit: impl Fn(u64) -> bool,
    ) -> Result<Verdicts, String> {
        let value = canonical::read_any_form(bytes).map_err(|error| error.to_string())?;
        let kept: Kept = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if kept.version != VERSION {
            return Err(format!("version {} is not known", kept.version));
        }
        if kept.proposal != entry {
            return Err(format!("it is about `{}@{}`", kept.proposal.chain, kept.proposal.seq));
        }
        let (accepted, rejected) = (kept.accepted.unwrap_or_default(), kept.rejected.unwrap_or_default());
        // Before anything is spread out: a range of a few digits could name more lines than fit anywhere.
        if let Some(last) = accepted.last().max(rejected.last()).filter(|last| *last > count) {
            return Err(format!("line {last} of {count} lines"));
        }
        let mut verdicts = Verdicts::default();
        let plain = [(accepted, Verdict::Accepted), (rejected, Verdict::Rejected)].into_iter();
        let plain = plain.flat_map(|(lines, verdict)| {
            let numbers: Vec<u64> = lines.ranges().iter().flat_map(|(first, last)| *first..=*last).collect();
            numbers.into_iter().map(move |line| (line, verdict.clone()))
        });
        let edited = kept.edited.into_iter().map(|one| (one.line, Verdict::Edited(one.text)));
        for (line, verdict) in plain.chain(edited) {
            if let Verdict::Edited(text) = &verdict {
                check_text(text)?;
                if line == 0 || line > count || !may_edit(line) {
                    return Err(format!("line {line} cannot have another text"));
                }
            }
            if verdicts.set(line, Some(verdict)).is_some() {
                return Err(format!("line {line} is there twice"));
            }
        }
        Ok(verdicts)
    }
}

/// Whether a line can have this text.
///
/// # Errors
/// When it is more than one line, or too long.
pub fn check_text(text: &str) -> Result<(), String> {
    if text.contains('\n') {
        return Err("a line has no line break in it".into());
    }
    if text.len() > LINE_MAX {
        return Err(format!("a line edited here has at most {LINE_MAX} bytes"));
    }
    Ok(())
}

const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u64,
    proposal: EntryRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted: Option<LineSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejected: Option<LineSet>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    edited: Vec<Edited>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edited {
    line: u64,
    text: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::Digest;

    fn entry(seq: u64) -> EntryRef {
        let chain = "01M7YX0Q2N121PN3TDTKZK37S8".parse().unwrap();
        EntryRef { chain, seq, digest: Digest::of(&seq.to_le_bytes()) }
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![Just(Verdict::Accepted), Just(Verdict::Rejected), "[^\n]{0,12}".prop_map(Verdict::Edited),]
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_back(said in prop::collection::btree_map(1_u64..60, verdict(), 0..40)) {
            let verdicts = Verdicts(said);
            let bytes = verdicts.write(entry(1)).unwrap();
            prop_assert_eq!(Verdicts::read(&bytes, entry(1), 60, |_| true), Ok(verdicts));
        }

        #[test]
        fn nothing_that_is_read_back_ever_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(Verdicts::read(&bytes, entry(1), 60, |_| true).is_err());
        }
    }

    #[test]
    fn what_does_not_fit_the_proposal_is_refused() {
        let kept = |fields: &str| {
            let about = serde_json::to_string(&entry(1)).unwrap();
            format!("{{\"version\":1,\"proposal\":{about}{fields}}}").into_bytes()
        };
        let read = |bytes: &[u8]| Verdicts::read(bytes, entry(1), 9, |line| line < 5);
        assert_eq!(read(&kept(",\"accepted\":\"1-9\"")).unwrap().len(), 9);
        let wrong = [
            (kept(",\"accepted\":\"1-18446744073709551615\""), "of 9 lines"),
            (kept(",\"accepted\":\"1-3\",\"rejected\":\"3\""), "line 3 is there twice"),
            (kept(",\"accepted\":\"3,1\""), "not sorted"),
            (kept(",\"edited\":[{\"line\":6,\"text\":\"x\"}]"), "cannot have another text"),
            (kept(",\"edited\":[{\"line\":0,\"text\":\"x\"}]"), "cannot have another text"),
            (kept(",\"edited\":[{\"line\":2,\"text\":\"x\\ny\"}]"), "line break"),
            (kept(",\"note\":1"), "unknown field"),
            (kept(",\"accepted\":\"1\",\"accepted\":\"2\""), "twice"),
            (Verdicts::default().write(entry(2)).unwrap(), "it is about"),
            (b"{}".to_vec(), "missing field"),
        ];
        for (bytes, why) in wrong {
            let problem = read(&bytes).unwrap_err();
            assert!(problem.contains(why), "{problem}");
        }
    }
}
