//! Our scripts among git's hooks: put in front of what is there, and taken away to the byte.
//!
//! A hook that exists is kept beside ours under another name, with its mode, and ours hands over to it: a shell script
//! is sourced, so that it sees its own name and place as ever; anything else is executed. Where `core.hooksPath` leads
//! out of the repository the folder is other repositories' too and is not written to: this repository then gets a
//! folder of its own, whose hooks hand over to those there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::{Store, git};

/// The hooks and their scripts.
const SCRIPTS: &[(&str, &str)] = &[
    ("post-commit", include_str!("../../hooks/post-commit")),
    ("prepare-commit-msg", include_str!("../../hooks/prepare-commit-msg")),
    ("post-rewrite", include_str!("../../hooks/post-rewrite")),
    ("pre-push", include_str!("../../hooks/pre-push")),
];
/// What the hook that was there is called.
const BEFORE: &str = ".before-git-receipt";
/// By this line a script is known as ours, whatever was changed in it.
const MARK: &str = "`git receipt hooks uninstall`";
/// Programs whose scripts can be sourced by themselves.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"];

/// Where the hooks of a repository are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookFolder {
    /// A folder of this repository's.
    Own(PathBuf),
    /// A folder that `core.hooksPath` names and that is others' too.
    Shared(PathBuf),
}

impl Store {
    /// Finds the folder that git looks for hooks in; none in a bare repository, where ours have nothing to do.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn hook_folder(&self) -> Result<Option<HookFolder>, StoreError> {
        let Some(top) = self.work_dir() else { return Ok(None) };
        // git resolves `~` and conditional includes; a relative path starts at the top.
        let args = ["rev-parse", "--git-path", "hooks"];
        let mut command = git::command(&absolute(self.git_dir()), args);
        command.current_dir(top);
        let out = git::output(command, None).map_err(|error| git::failed(&args, &error.to_string()))?;
        if !out.status.success() {
            return Err(git::failed(&args, String::from_utf8_lossy(&out.stderr).trim()));
        }
        let named = String::from_utf8_lossy(&out.stdout).trim_end_matches(['\n', '\r']).to_owned();
        let folder = top.join(named);
        let real = real(&folder);
        let own = [top, self.common_dir()].into_iter().any(|own| real.starts_with(self::real(own)));
        Ok(Some(if own { HookFolder::Own(folder) } else { HookFolder::Shared(folder) }))
    }

    /// The folder that stands in for a shared one.
    pub fn stand_in_folder(&self) -> PathBuf {
        absolute(self.common_dir()).join("receipts").join("hooks")
    }

    /// Puts our hooks into `folder`, and says what was done. Twice changes nothing.
    ///
    /// # Errors
    /// When a file cannot be written; a hook that was there is never lost, and works at every moment.
    pub fn install_hooks(&self, folder: &Path) -> Result<Vec<String>, StoreError> {
        fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        let mut changes = Vec::new();
        for (name, script) in SCRIPTS {
            let path = folder.join(name);
            let before = folder.join(format!("{name}{BEFORE}"));
            let there = read(&path)?;
            if there.as_deref().is_some_and(is_ours) {
                continue;
            }
            // pre-commit keeps the hook it replaces and calls it; lefthook keeps it and does not.
            if read(&folder.join(format!("{name}.legacy")))?.as_deref().is_some_and(is_ours) {
                continue;
            }
            remove_replaced(folder, name, ".old")?;
            if let Some(there) = &there {
                match read(&before)? {
                    Some(kept) if kept == *there => {}
                    Some(_) => {
                        changes.push(format!(
                            "hook `{name}` left alone: it was replaced, and an older one is kept as `{name}{BEFORE}`"
                        ));
                        continue;
                    }
                    None => keep(&path, &before)?,
                }
            }
            replace(&path, &script_for(script, there.as_deref()))?;
            changes.push(match there {
                Some(_) => format!("hook `{}`, before the one that was there", shown(folder, name)),
                None => format!("hook `{}`", shown(folder, name)),
            });
        }
        Ok(changes)
    }

    /// Takes our hooks out of `folder` and puts back what was there, to the byte.
    ///
    /// # Errors
    /// When a file cannot be moved.
    pub fn uninstall_hooks(&self, folder: &Path) -> Result<Vec<String>, StoreError> {
        let mut changes = Vec::new();
        for (name, script) in SCRIPTS {
            let path = folder.join(name);
            let before = folder.join(format!("{name}{BEFORE}"));
            let (there, kept) = (read(&path)?, read(&before)?);
            let legacy = folder.join(format!("{name}.legacy"));
            if read(&legacy)?.as_deref().is_some_and(is_ours) && kept.is_some() {
                // pre-commit calls ours, and ours the one before it: that one takes our place.
                fs::rename(&before, &legacy).map_err(StoreError::io("put back", &legacy))?;
                changes.push(format!("hook `{}` removed", shown(folder, &format!("{name}.legacy"))));
                continue;
            }
            for end in [".old", ".legacy"] {
                remove_replaced(folder, name, end)?;
            }
            let Some(there) = there else { continue };
            if !is_ours(&there) {
                if kept.is_some_and(|kept| kept == there) {
                    // An installation that was cut short.
                    fs::remove_file(&before).map_err(StoreError::io("remove", &before))?;
                }
                continue;
            }
            if there != script_for(script, kept.as_deref()).into_bytes() {
                changes.push(format!("hook `{}` left alone: it was changed by hand", shown(folder, name)));
                continue;
            }
            match kept {
                Some(_) => fs::rename(&before, &path).map_err(StoreError::io("put back", &path))?,
                None => fs::remove_file(&path).map_err(StoreError::io("remove", &path))?,
            }
            changes.push(format!("hook `{}` removed", shown(folder, name)));
        }
        Ok(changes)
    }

    /// Makes the folder that stands in for `shared`: every hook there has one of the same name that hands over to it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn make_stand_in(&self, shared: &Path) -> Result<PathBuf, StoreError> {
        let folder = self.stand_in_folder();
        fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        for file in fs::read_dir(shared).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            if name.contains('.') || path.exists() || !is_executable(&file.path()) {
                continue;
            }
            let real = quoted(&absolute(&file.path()).to_string_lossy());
            replace(&path, &format!("#!/bin/sh\nexec {real} \"$@\"\n"))?;
        }
        Ok(folder)
    }
}

/// Our script in front of a hook: with its own shell where it has one, so that it can be sourced.
fn script_for(script: &str, there: Option<&[u8]>) -> String {
    let Some(there) = there else { return script.to_owned() };
    let first = there.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = std::str::from_utf8(first).ok().and_then(|line| line.trim_end().strip_prefix("#!"));
    let shell = first.filter(|line| {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let program = if program == "env" {
            words.find(|word| !word.starts_with('-')).unwrap_or_default()
        } else {
            program
        };
        SHELLS.contains(&program)
    });
    match shell {
        Some(shell) => script.replacen("#!/bin/sh", &format!("#!{shell}"), 1),
        None => script.replacen("\t. \"$before\"", "\t\"$before\" \"$@\"", 1),
    }
}

/// Removes a script of ours that another tool put aside.
fn remove_replaced(folder: &Path, name: &str, end: &str) -> Result<(), StoreError> {
    let aside = folder.join(format!("{name}{end}"));
    if read(&aside)?.as_deref().is_some_and(is_ours) {
        fs::remove_file(&aside).map_err(StoreError::io("remove", &aside))?;
    }
    Ok(())
}

fn is_ours(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes())
}

/// Gives a hook its second name: the first keeps working until ours takes its place.
fn keep(path: &Path, before: &Path) -> Result<(), StoreError> {
    if path.is_symlink() || fs::hard_link(path, before).is_err() {
        // Through a link the hook may lie anywhere; a copy of it works as well, and the link comes back by the same
        // move as a file would.
        match fs::read_link(path) {
            Ok(target) => link(&target, before).map_err(StoreError::io("keep hook", path))?,
            Err(_) => fs::copy(path, before).map(drop).map_err(StoreError::io("keep hook", path))?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(target: &Path, path: &Path) -> std::io::Result<()> {
    fs::copy(target, path).map(drop)
}

/// Writes an executable file in one step.
fn replace(path: &Path, text: &str) -> Result<(), StoreError> {
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&unfinished, text).map_err(StoreError::io("write hook", path))?;
    #[cfg(unix)]
    fs::set_permissions(&unfinished, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(StoreError::io("write hook", path))?;
    fs::rename(&unfinished, path).map_err(StoreError::io("write hook", path))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read hook", path)(error)),
    }
}

fn is_executable(path: &Path) -> bool {
    #[cfg(unix)]
    return fs::metadata(path).is_ok_and(|there| {
        there.is_file() && std::os::unix::fs::PermissionsExt::mode(&there.permissions()) & 0o111 != 0
    });
    #[cfg(not(unix))]
    return path.is_file();
}

fn shown(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path without links, as far up as it exists.
fn real(path: &Path) -> PathBuf {
    let path = absolute(path);
    let mut above = path.ancestors();
    let found = above.find_map(|above| Some((above, fs::canonicalize(above).ok()?)));
    found.map_or(path.clone(), |(above, real)| real.join(path.strip_prefix(above).unwrap_or(Path::new(""))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_hook_is_sourced_by_its_own_shell_and_others_are_executed() {
        let script = SCRIPTS[0].1;
        assert_eq!(script_for(script, None), script);
        let bash = script_for(script, Some(b"#!/usr/bin/env bash\necho\n"));
        assert!(bash.starts_with("#!/usr/bin/env bash\n") && bash.contains("\t. \"$before\""));
        assert!(script_for(script, Some(b"#!/bin/sh -e\n")).starts_with("#!/bin/sh -e\n"));
        let python = script_for(script, Some(b"#!/usr/bin/env python3\n"));
        assert!(python.starts_with("#!/bin/sh\n") && python.contains("\t\"$before\" \"$@\""));
        assert!(script_for(script, Some(b"\x7fELF\0")).contains("\t\"$before\" \"$@\""));
        assert!(SCRIPTS.iter().all(|(_, script)| is_ours(script.as_bytes())));
    }
}
