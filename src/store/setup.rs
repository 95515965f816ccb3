//! Configuration and transport set-up: what `init` writes and takes back.

use super::error::StoreError;
use super::{Store, git, names};

/// The oldest git whose `merge-tree --write-tree --merge-base` we rely on.
const OLDEST_GIT: (u32, u32) = (2, 40);

/// The refspecs by which a plain `git fetch` brings receipts: never onto our own refs, where pruning would
/// delete chains that exist only here.
pub fn fetch_refspecs(remote: &str) -> [String; 3] {
    let to = |folder: &str| format!("refs/receipts/{folder}/*:{}{remote}/{folder}/*", names::REMOTES);
    [to("chains"), to("sealed"), format!("+{}", to("evidence"))]
}

/// Refuses a git that is too old.
///
/// # Errors
/// Names the version that is there.
pub fn check_git_version() -> Result<(), StoreError> {
    let mut command = std::process::Command::new("git");
    command.arg("--version");
    let output =
        git::output(command, None).map_err(|error| git::failed(&["--version"], &error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = text.split(' ').nth(2).unwrap_or_default().split('.').map(str::parse::<u32>);
    let version = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => return Err(StoreError::Open(format!("cannot tell git's version from `{text}`"))),
    };
    if version < OLDEST_GIT {
        return Err(StoreError::Open(format!("`{text}` is too old; 2.40 or newer is needed")));
    }
    Ok(())
}

impl Store {
    /// The configured remotes.
    pub fn remote_names(&self) -> Vec<String> {
        self.repo.remote_names().iter().map(|name| name.to_string()).collect()
    }

    /// The configured remote of this name, or of this address: git says only the address where one was typed.
    pub fn remote_called(&self, name: &str) -> Option<String> {
        let names = self.remote_names();
        if names.iter().any(|known| known == name) {
            return Some(name.to_owned());
        }
        let has = |remote: &String| {
            let keys = ["url", "pushurl"].map(|key| format!("remote.{remote}.{key}"));
            keys.iter().any(|key| self.config_all(key).iter().any(|address| address == name))
        };
        names.into_iter().find(has)
    }

    /// Adds a value to a key of the repository's own configuration.
    ///
    /// # Errors
    /// When git refuses.
    pub fn add_config(&self, name: &str, value: &str) -> Result<(), StoreError> {
        git::run(self.git_dir(), &["config", "--local", "--add", name, value], None).map(drop)
    }

    /// Removes one value of a key, and says whether it was there.
    ///
    /// # Errors
    /// When git refuses.
    pub fn remove_config(&self, name: &str, value: &str) -> Result<bool, StoreError> {
        let args = ["config", "--local", "--fixed-value", "--unset-all", name, value];
        let output = git::output(git::command(self.git_dir(), args), None)
            .map_err(|error| git::failed(&args, &error.to_string()))?;
        match output.status.code() {
            Some(0) => Ok(true),
            // git-config(1): 5 means that there was nothing to unset.
            Some(5) => Ok(false),
            _ => Err(git::failed(&args, String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// Removes all values of a key.
    ///
    /// # Errors
    /// When git refuses.
    pub fn remove_config_all(&self, name: &str) -> Result<(), StoreError> {
        let args = ["config", "--local", "--unset-all", name];
        let output = git::output(git::command(self.git_dir(), args), None)
            .map_err(|error| git::failed(&args, &error.to_string()))?;
        match output.status.code() {
            Some(0 | 5) => Ok(()),
            _ => Err(git::failed(&args, String::from_utf8_lossy(&output.stderr).trim())),
        }
    }
}
