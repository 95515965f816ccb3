//! `git receipt hooks`

use std::ffi::OsString;
use std::path::Path;

use super::{Context, git_hooks, hook, user_error};
use crate::env::Env;
use crate::store;

/// Install, remove or run git's own hooks
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// Do the work of one of git's hooks, with the arguments and the standard input that git gives it
    ///
    /// Prints nothing and never makes git fail; problems go to `receipts/hook.log` below git's common directory.
    Run {
        /// The hook: `post-commit`, `prepare-commit-msg` or `post-rewrite`
        #[arg(value_name = "NAME")]
        name: String,
        /// What git gave the hook
        #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
        /// Report problems on standard error and by the exit code
        #[arg(long)]
        strict: bool,
    },
}

/// Does the work of a hook.
///
/// # Errors
/// Only with `strict`.
pub fn run_hook(env: &Env, name: &str, args: &[OsString], strict: bool) -> anyhow::Result<()> {
    if !strict {
        // Not even a bug of ours may stop a commit.
        std::panic::set_hook(Box::new(|_| std::process::exit(0)));
    }
    let done = work(env, name, args);
    let _ = std::panic::take_hook();
    if strict { done } else { Ok(()) }
}

fn work(env: &Env, name: &str, args: &[OsString]) -> anyhow::Result<()> {
    if env.is_off() || !store::may_be_set_up(&env.directory, env.var_os("GIT_DIR").as_deref()) {
        return Ok(());
    }
    let ctx = Context::open(env.clone())?;
    if !ctx.is_recording() || ctx.repo_id().is_err() {
        return Ok(());
    }
    let done = match name {
        "post-commit" => git_hooks::post_commit(&ctx),
        "post-rewrite" => {
            let kind = args.first().map(|kind| kind.to_string_lossy().into_owned()).unwrap_or_default();
            let lines = if env.stdin_is_terminal {
                Ok(String::new())
            } else {
                std::io::read_to_string(std::io::stdin())
            };
            lines.map_err(Into::into).and_then(|lines| git_hooks::post_rewrite(&ctx, &kind, &lines))
        }
        "prepare-commit-msg" => match args.first() {
            Some(message) => {
                let source = args.get(1).and_then(|source| source.to_str());
                git_hooks::prepare_commit_msg(&ctx, Path::new(message), source)
            }
            None => {
                Err(user_error("`prepare-commit-msg` was given no file", "git gives it the message's file"))
            }
        },
        other => Err(user_error(
            format!("`{other}` is no hook of `git receipt`"),
            "there are `post-commit`, `prepare-commit-msg` and `post-rewrite`",
        )),
    };
    let mut said: Vec<String> = ctx.notices.take();
    said.extend(done.as_ref().err().map(|error| format!("error: {error:#}")));
    hook::log::write(&ctx, name, &said);
    done
}
