//! What a gate came to this time, held against what was recorded.

use std::time::Duration;

use similar::{Algorithm, TextDiff};

use super::run::{Ran, spellings};
use crate::commands::Context;
use crate::domain::fact::data::GateChecked;
use crate::domain::normal::{normal, text_of};

/// Lines of a diff that are shown and recorded.
const LINES_MAX: usize = 200;
/// Characters of each of them.
const LINE_MAX: usize = 1_000;

/// What comparing gave.
pub struct Compared {
    /// `reproduced`, `diverged`, or `unproven` where only exit codes could be compared, which are the same.
    pub result: &'static str,
    /// Whether the outputs were compared.
    pub output: bool,
    /// What differs, or could not be compared.
    pub why: Option<String>,
    /// How the outputs differ.
    pub diff: Option<String>,
}

/// Compares exit codes and, as far as it is here, the recorded output with what the gate printed.
pub(super) fn compare(ctx: &Context, gate: &GateChecked, ran: &Ran) -> Compared {
    let mut why = Vec::new();
    if ran.timed_out {
        why.push("it was ended, as its time was up".to_owned());
    }
    let same_code = ran.exit_code == gate.exit_code;
    if !same_code {
        why.push(format!("exit code {} where {} was recorded", ran.exit_code, gate.exit_code));
    }
    let outputs = outputs(ctx, gate, ran);
    let diff = match &outputs {
        Ok((before, now)) if before != now => {
            why.push("another output than was recorded".to_owned());
            Some(difference(before, now))
        }
        Ok(_) => None,
        Err(reason) => {
            why.push(format!("{reason}, so only exit codes were compared"));
            None
        }
    };
    if outputs.is_ok() && ran.truncated {
        why.push("of output this long only the beginning and the end are kept and were compared".to_owned());
    }
    let result = match (same_code && diff.is_none() && !ran.timed_out, &outputs) {
        (false, _) => "diverged",
        (true, Ok(_)) => "reproduced",
        (true, Err(_)) => "unproven",
    };
    let why = (!why.is_empty()).then(|| why.join("; "));
    Compared { result, output: outputs.is_ok(), why, diff }
}

/// The output as it was recorded and as it is now, to be held against each other; or why that cannot be.
fn outputs(ctx: &Context, gate: &GateChecked, ran: &Ran) -> Result<(String, String), String> {
    let Some(output) = &gate.output else { return Err("no output was recorded".into()) };
    let recorded = match ctx.bytes_of(output) {
        Ok(Some(recorded)) => recorded,
        Ok(None) => return Err("the recorded output is withheld".into()),
        Err(error) => return Err(format!("the recorded output cannot be read: {error:#}")),
    };
    alike(ctx, &recorded, ran).map_err(|error| format!("the outputs cannot be compared: {error:#}"))
}

/// Both outputs without what differs from one run to the next.
fn alike(ctx: &Context, recorded: &[u8], ran: &Ran) -> anyhow::Result<(String, String)> {
    // Secrets were taken out of what is recorded.
    let printed = ctx.redactor()?.redact(&ran.output);
    let here = ctx.store.work_dir().map(spellings).unwrap_or_default();
    let tops = |paths: &[String], output: &[u8]| {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        normal(&text_of(output), &paths)
    };
    Ok((tops(&here, recorded), tops(&ran.tops, &printed.bytes)))
}

/// A line that is no longer than people read.
fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn difference(before: &str, now: &str) -> String {
    let mut config = TextDiff::configure();
    config.algorithm(Algorithm::Myers).timeout(Duration::from_secs(2));
    let diff = config.diff_lines(before, now);
    let text = diff.unified_diff().context_radius(3).header("recorded", "now").to_string();
    let left_out = text.lines().count().saturating_sub(LINES_MAX);
    let mut text: String = text.lines().take(LINES_MAX).map(|line| cut(line) + "\n").collect();
    if left_out > 0 {
        text.push_str(&format!("[{left_out} lines left out here]\n"));
    }
    text
}
