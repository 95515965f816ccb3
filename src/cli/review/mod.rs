//! `git receipt review` on a terminal: a screen, or questions and answers in plain text.
//!
//! `model` is the review as a value that keys change. `screen` feeds it keys and `draw`s it, `prompt` asks in its place.
//! What was said is signed, kept or forgotten here, once either is done.

pub mod draw;
mod input;
pub mod keys;
pub mod model;
mod prompt;
mod screen;
#[cfg(test)]
mod tests;
mod text;

use anyhow::Context as _;

use crate::child::Interrupts;
use crate::commands::review::{
    Args, Ending, Reviewed, begin, discard, keep, no_terminal, set_aside, sign, unsigned,
};
use crate::commands::{Context, user_error};
use model::{Leaving, Model};

/// The signal of a terminal that went away.
const HANG_UP: i32 = 1;
/// What Ctrl-C at a terminal sends.
const INTERRUPT: i32 = 2;

/// How going through the lines ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The reviewer said so.
    Left(Leaving),
    /// This signal came.
    Interrupted(i32),
}

/// Runs the command.
///
/// # Errors
/// When there is no terminal, nothing to review, or what was said cannot be signed. It is kept then.
pub fn run(ctx: &Context, args: &Args, color: bool) -> anyhow::Result<Reviewed> {
    let in_words = ctx.env.var_os("ACCESSIBLE").is_some();
    if !in_words {
        if !ctx.env.stdin_is_terminal || !ctx.env.stdout_is_terminal {
            return Err(no_terminal(args));
        }
        if ctx.env.var("TERM").is_none_or(|term| term == "dumb") {
            return Err(user_error(
                "`TERM` names no terminal that can be drawn on",
                "`ACCESSIBLE=1` asks in plain text",
            ));
        }
    }
    let mut sitting = begin(ctx, args)?;
    let mut model = Model::new(&mut sitting);
    let ended = {
        let mut interrupts = Interrupts::listen().context("cannot hold signals")?;
        match in_words {
            true => prompt::run(&mut model, &mut interrupts),
            false => screen::run(&mut model, &mut interrupts, color),
        }
    };
    let said = model.said();
    let discards = matches!(ended, Ok(Ended::Left(Leaving::Discard)));
    if model.left_kept() && !said.is_empty() && !discards {
        set_aside(ctx, &sitting)?;
    }
    let left = match ended {
        Ok(Ended::Left(left)) => left,
        Ok(Ended::Interrupted(signal)) => {
            let code = u8::try_from(128 + signal).unwrap_or(u8::MAX);
            if said.is_empty() {
                return Ok(unsigned(&sitting, Ending::Unchanged, code));
            }
            keep(ctx, &sitting, said)?;
            return Ok(unsigned(&sitting, Ending::Kept, code));
        }
        Err(error) => {
            if !said.is_empty() {
                keep(ctx, &sitting, said)?;
                (ctx.warn)("what was decided is kept, unsigned");
            }
            return Err(error).context("the terminal failed");
        }
    };
    match left {
        Leaving::Nothing => Ok(unsigned(&sitting, Ending::Unchanged, 0)),
        Leaving::Discard => {
            // What was not taken up is not what is discarded.
            if !model.left_kept() {
                discard(ctx, &sitting)?;
            }
            Ok(unsigned(&sitting, Ending::Discarded, 0))
        }
        Leaving::Keep => {
            keep(ctx, &sitting, said)?;
            Ok(unsigned(&sitting, Ending::Kept, 0))
        }
        Leaving::Sign => {
            sign(ctx, args, &sitting, said).inspect_err(|_| (ctx.warn)("what was decided is kept, unsigned"))
        }
    }
}
