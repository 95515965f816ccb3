//! `git receipt hook`: one payload of an agent's hook on standard input.
//!
//! It prints nothing and exits 0 whatever happens, so that nothing of ours ever stands in the agent's way; what
//! went wrong is a line in `receipts/hook.log` below git's common directory.

mod call;
mod claude_code;
pub(super) mod log;
mod session;
mod snapshots;

use std::io::Read;

use super::{Context, user_error};
use crate::env::Env;
use crate::store;

/// Take one payload of an agent's hook from standard input
///
/// Prints nothing and exits 0 whatever happens; problems go to `receipts/hook.log` below git's common directory.
/// In a repository without `init` it does nothing.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Whose hook it is; `claude-code` is known
    #[arg(value_name = "AGENT")]
    pub agent: String,
    /// Report problems on standard error and by the exit code
    #[arg(long)]
    pub strict: bool,
}

/// More than this of a payload is not kept in memory.
const LARGEST_PAYLOAD: u64 = 512 * 1024 * 1024;

/// Runs the command.
///
/// # Errors
/// Only with `--strict`.
pub fn run(env: &Env, args: &Args) -> anyhow::Result<()> {
    if !args.strict {
        log::survive_panics(None);
    }
    let done = take(env, args);
    let _ = std::panic::take_hook();
    if args.strict { done } else { Ok(()) }
}

fn take(env: &Env, args: &Args) -> anyhow::Result<()> {
    if env.stdin_is_terminal {
        return Err(user_error("there is no payload on standard input", "agents run this as their hook"));
    }
    let mut stdin = std::io::stdin().lock();
    if env.is_off() || !store::may_be_set_up(&env.directory, env.var_os("GIT_DIR").as_deref()) {
        return drain(&mut stdin);
    }
    // The terminal is the agent's: no passphrase is asked for on it.
    let ctx = match Context::open(Env { unattended: true, ..env.clone() }) {
        Ok(ctx) if ctx.is_recording() && ctx.repo_id().is_ok() => ctx,
        Ok(_) => return drain(&mut stdin),
        Err(error) => {
            drain(&mut stdin)?;
            return Err(error);
        }
    };
    if !args.strict {
        log::survive_panics(Some(&ctx));
    }
    let mut payload = Vec::new();
    let done = match stdin.by_ref().take(LARGEST_PAYLOAD).read_to_end(&mut payload) {
        Ok(_) => drain(&mut stdin).and_then(|()| match args.agent.as_str() {
            "claude-code" | "claude" => claude_code::take(&ctx, &payload),
            other => Err(user_error(format!("no agent is called `{other}`"), "`claude-code` is known")),
        }),
        Err(error) => Err(anyhow::Error::new(error).context("cannot read the payload")),
    };
    let mut said: Vec<String> = ctx.notices.take();
    said.extend(done.as_ref().err().map(|error| format!("error: {error:#}")));
    log::write(&ctx, &args.agent, &said);
    done
}

/// Reads to the end, so that the agent never writes into a closed pipe.
fn drain(stdin: &mut impl Read) -> anyhow::Result<()> {
    std::io::copy(stdin, &mut std::io::sink()).map(drop).map_err(Into::into)
}
