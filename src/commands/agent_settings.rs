//! Our hooks in the settings of agents.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Context, user_error};
use crate::agents::claude_code::settings::{self, SettingsError};

/// The agents whose hooks are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Agent {
    /// Claude Code
    ClaudeCode,
}

/// The personal settings file, and the one that a project shares.
const FILES: [&str; 2] = [".claude/settings.local.json", ".claude/settings.json"];

/// Merges our hooks into an agent's settings: the personal file, or the shared one.
///
/// # Errors
/// Without a working tree, or when the file is not what it should be; it is left alone then.
pub fn install(ctx: &Context, agent: Agent, shared: bool, changes: &mut Vec<String>) -> anyhow::Result<()> {
    let Agent::ClaudeCode = agent;
    let (name, command) = match shared {
        true => (FILES[1], settings::SHARED_COMMAND),
        false => (FILES[0], settings::COMMAND),
    };
    let path = top(ctx)?.join(name);
    let text = read(&path)?;
    let Some(merged) =
        settings::install(text.as_deref(), command).map_err(|error| unusable(&path, &error))?
    else {
        return Ok(());
    };
    // What stood there comes back to the byte, as long as nobody else changes the file.
    let kept = kept_path(ctx, name);
    write(&kept, text.as_deref().unwrap_or(""))?;
    write(&path, &merged)?;
    changes.push(format!("hooks of Claude Code in `{name}`"));
    Ok(())
}

/// Takes our hooks out of the settings of every agent.
///
/// # Errors
/// When a file is not what it should be; it is left alone then.
pub fn uninstall(ctx: &Context, changes: &mut Vec<String>) -> anyhow::Result<()> {
    let Some(top) = ctx.store.work_dir() else { return Ok(()) };
    for name in FILES {
        let path = top.join(name);
        let Some(text) = read(&path)? else { continue };
        let Some(without) = settings::uninstall(&text).map_err(|error| unusable(&path, &error))? else {
            continue;
        };
        let kept = kept_path(ctx, name);
        let before = read(&kept)?;
        let command = if name == FILES[1] { settings::SHARED_COMMAND } else { settings::COMMAND };
        let untouched = before.as_ref().filter(|before| {
            let before = Some(before.as_str()).filter(|text| !text.is_empty());
            settings::install(before, command).is_ok_and(|merged| merged.as_deref() == Some(text.as_str()))
        });
        let back = untouched.cloned().unwrap_or(without);
        if back.is_empty() {
            fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
            // The folder goes too if it was only there for this file.
            let _ = path.parent().map(fs::remove_dir);
        } else {
            write(&path, &back)?;
        }
        let _ = fs::remove_file(&kept);
        changes.push(format!("hooks of Claude Code in `{name}` removed"));
    }
    Ok(())
}

fn top(ctx: &Context) -> anyhow::Result<&Path> {
    let hint = "run it in a working tree, or put the hooks into `~/.claude/settings.json` by hand";
    ctx.store.work_dir().ok_or_else(|| user_error("a bare repository has no settings of agents", hint))
}

fn kept_path(ctx: &Context, name: &str) -> PathBuf {
    ctx.store.git_dir().join("receipts-before").join(name.replace('/', "-"))
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// Replaces a file as a whole, through a link to where it really is.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(&path);
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&unfinished, text))
        .and_then(|()| fs::rename(&unfinished, &path))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

fn unusable(path: &Path, error: &SettingsError) -> anyhow::Error {
    user_error(
        format!("`{}` cannot be merged with: {error}", path.display()),
        "mend the file, or leave `--agent` out and add the hooks by hand",
    )
}
