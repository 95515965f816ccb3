//! `git receipt generate`: man page, completions, schemas and the command reference, out of the code.

use std::path::PathBuf;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::Report;

/// Write man page, completions, JSON Schemas and the command reference
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to write
    #[arg(value_enum)]
    pub what: What,
    /// The folder to write into
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
}

/// What can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// `git-receipt.1`
    Man,
    /// Completions for bash, zsh, fish, elvish and PowerShell
    Completions,
    /// `schemas/*.json`
    Schemas,
    /// `commands.md`
    Reference,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Generated {
    /// The files.
    pub files: Vec<String>,
}

impl Report for Generated {
    const NAME: &'static str = "generate";
}

/// Writes `files`, given by name and content, into the folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write_files(args: &Args, files: Vec<(String, Vec<u8>)>) -> anyhow::Result<Generated> {
    let mut written = Vec::new();
    for (name, content) in files {
        let path = args.folder.join(&name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create `{}`", folder.display()))?;
        }
        std::fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
        written.push(path.display().to_string());
    }
    Ok(Generated { files: written })
}
