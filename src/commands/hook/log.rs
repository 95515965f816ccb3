//! The log of what hooks could not do.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use crate::commands::Context;

/// A log of this size makes way for a new one; one old one is kept.
const LARGEST: u64 = 1024 * 1024;
/// The longest line.
const LINE_MAX: usize = 2000;

/// Lets a bug of ours end the process with 0 and a line in the log: not even that may stand in anybody's way.
pub(in crate::commands) fn survive_panics(ctx: Option<&Context>) {
    let path = ctx.map(|ctx| (ctx.store.state_dir().join("hook.log"), ctx.now));
    std::panic::set_hook(Box::new(move |panic| {
        if let Some((path, now)) = &path {
            let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
            let line = format!("{now} panicked at {}\n", place.unwrap_or_default());
            let _ = OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .and_then(|mut log| log.write_all(line.as_bytes()));
        }
        std::process::exit(0);
    }));
}

/// Adds a line for each thing said, without secrets and control characters. A log that cannot be written is no
/// reason to fail: there is nobody to tell.
pub(in crate::commands) fn write(ctx: &Context, agent: &str, said: &[String]) {
    if said.is_empty() {
        return;
    }
    let folder = ctx.store.state_dir();
    let path = folder.join("hook.log");
    if fs::metadata(&path).is_ok_and(|log| log.len() > LARGEST) {
        let _ = fs::rename(&path, folder.join("hook.log.1"));
    }
    let redactor = ctx.redactor().cloned().unwrap_or_default();
    let mut lines = String::new();
    for line in said {
        let line = redactor.redact_str(line).0;
        let line: String =
            line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LINE_MAX).collect();
        lines.push_str(&format!("{} {} {line}\n", ctx.now, agent.escape_default()));
    }
    let _ = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut log| log.write_all(lines.as_bytes()));
}
