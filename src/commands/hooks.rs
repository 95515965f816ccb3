//! `git receipt hooks`

use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, Report, git_hooks, hook, user_error};
use crate::domain::audit::report::AuditReport;
use crate::env::Env;
use crate::store::{self, HookFolder};

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
    /// Put our hooks in front of those that are there
    ///
    /// Existing hooks keep working, also those of `core.hooksPath`, husky, lefthook and pre-commit. Twice changes
    /// nothing.
    Install,
    /// Take our hooks away and put back what was there, to the byte
    Uninstall,
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

/// What was done about hooks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Hooked {
    /// Each thing that was changed; nothing where all was in place.
    pub changes: Vec<String>,
}

impl Report for Hooked {
    const NAME: &'static str = "hooks";
}

/// The configuration by which a folder of our own stands in for a shared one.
const HOOKS_PATH: &str = "core.hooksPath";

/// Puts our hooks in.
///
/// # Errors
/// When a file cannot be written.
pub fn install(ctx: &Context) -> anyhow::Result<Hooked> {
    ctx.store.check_writable()?;
    let folder = match ctx.store.hook_folder()? {
        None => {
            ctx.notice("a bare repository has no commits made in it, so no hooks were installed");
            return Ok(Hooked { changes: Vec::new() });
        }
        Some(HookFolder::Own(folder)) => {
            return Ok(Hooked { changes: ctx.store.install_hooks(&folder)? });
        }
        Some(HookFolder::Shared(folder)) => folder,
    };
    // Other repositories use that folder too: one of our own stands in for it here and hands over to it.
    let own = ctx.store.make_stand_in(&folder)?;
    let mut changes = ctx.store.install_hooks(&own)?;
    let value = own.to_string_lossy().into_owned();
    ctx.store.add_config(HOOKS_PATH, &value)?;
    changes.push(format!(
        "configuration `{HOOKS_PATH}` = `{value}`, which hands over to `{}`",
        folder.display()
    ));
    Ok(Hooked { changes })
}

/// Takes our hooks away.
///
/// # Errors
/// When a file cannot be moved.
pub fn uninstall(ctx: &Context) -> anyhow::Result<Hooked> {
    ctx.store.check_writable()?;
    let mut changes = Vec::new();
    let own = ctx.store.stand_in_folder();
    let value = own.to_string_lossy().into_owned();
    if own.is_dir() && ctx.store.remove_config(HOOKS_PATH, &value)? {
        std::fs::remove_dir_all(&own).with_context(|| format!("cannot remove `{value}`"))?;
        changes.push(format!("configuration `{HOOKS_PATH}` = `{value}` removed"));
    } else if let Some(HookFolder::Own(folder)) = ctx.store.hook_folder()? {
        changes.extend(ctx.store.uninstall_hooks(&folder)?);
    }
    Ok(Hooked { changes })
}

/// Does the work of a hook.
///
/// # Errors
/// Only with `strict`.
pub fn run_hook(env: &Env, name: &str, args: &[OsString], strict: bool) -> anyhow::Result<()> {
    if !strict {
        hook::log::survive_panics(None);
    }
    let done = work(env, name, args, strict);
    let _ = std::panic::take_hook();
    if strict { done } else { Ok(()) }
}

/// What goes out with a push, judged. Nothing where recording is off, or nothing is set up here.
///
/// # Errors
/// When git's lines are none, or the repository cannot be read: then no policy could be held, and the hook's script
/// stops the push where there is one.
pub fn pre_push(env: &Env, args: &[OsString]) -> anyhow::Result<Vec<AuditReport>> {
    // Read to its end, whatever becomes of it: git would be left writing otherwise.
    let input = match env.stdin_is_terminal {
        true => String::new(),
        false => {
            // A ref's name can be any bytes, and one that is no text must not keep the others from being judged.
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    if env.is_off() || !store::may_be_set_up(&env.directory, env.var_os("GIT_DIR").as_deref()) {
        return Ok(Vec::new());
    }
    let ctx = Context::open(env.clone())?;
    if ctx.repo_id().is_err() {
        return Ok(Vec::new());
    }
    let remote = args.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    super::pre_push::judge(&ctx, &remote, &super::pre_push::read(&input)?)
}

fn work(env: &Env, name: &str, args: &[OsString], strict: bool) -> anyhow::Result<()> {
    if env.is_off() || !store::may_be_set_up(&env.directory, env.var_os("GIT_DIR").as_deref()) {
        return Ok(());
    }
    let ctx = Context::open(env.clone())?;
    if !ctx.is_recording() || ctx.repo_id().is_err() {
        return Ok(());
    }
    if !strict {
        hook::log::survive_panics(Some(&ctx));
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
            "there are `post-commit`, `prepare-commit-msg`, `post-rewrite` and `pre-push`",
        )),
    };
    let mut said: Vec<String> = ctx.notices.take();
    said.extend(done.as_ref().err().map(|error| format!("error: {error:#}")));
    hook::log::write(&ctx, name, &said);
    done
}
