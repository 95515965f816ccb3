//! The single read of the world outside: variables, clock, randomness, terminals.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use crate::domain::ids::Timestamp;

/// The environment of one run.
#[derive(Debug, Clone)]
pub struct Env {
    /// Where commands look for the repository.
    pub directory: PathBuf,
    /// Whether standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// Whether nobody is there to be asked anything, whatever there is of a terminal.
    pub unattended: bool,
    /// Whether every signature shall be checked, also those that were found to hold before.
    pub checks_all: bool,
    /// This program.
    pub program: Option<PathBuf>,
    /// The man page, which only the command-line parser can make.
    pub man_page: Option<Vec<u8>>,
}

impl Env {
    /// Reads the process's environment.
    pub fn new() -> Self {
        Env {
            directory: PathBuf::from("."),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            unattended: false,
            checks_all: false,
            program: std::env::current_exe().ok(),
            man_page: None,
        }
    }

    /// A variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<String> {
        self.var_os(name).and_then(|value| value.into_string().ok())
    }

    /// A variable that is set and not empty, as bytes of the system.
    pub fn var_os(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name).filter(|value| !value.is_empty())
    }

    /// What `git -c NAME=VALUE` set for this run, as `NAME=VALUE`. git hands it on in shell quotes, each setting as
    /// `'name=value'` or as `'name'='value'`.
    pub fn settings(&self) -> Vec<String> {
        let text = self.var("GIT_CONFIG_PARAMETERS").unwrap_or_default();
        let (mut settings, mut word, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\'' => quoted = !quoted,
                '\\' if !quoted => word.extend(chars.next()),
                ' ' if !quoted => settings.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
                c => word.push(c),
            }
        }
        settings.extend((!word.is_empty()).then_some(word));
        settings
    }

    /// The clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(jiff::Timestamp::now().as_millisecond())
    }

    /// The folder for configuration: `$XDG_CONFIG_HOME`, else `~/.config`.
    pub fn config_home(&self) -> Option<PathBuf> {
        self.var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| self.home().map(|home| home.join(".config")))
    }

    /// Whether there is a terminal to ask on, even where the standard streams lead elsewhere.
    pub fn has_terminal(&self) -> bool {
        #[cfg(unix)]
        return std::fs::File::open("/dev/tty").is_ok();
        #[cfg(not(unix))]
        return self.stdin_is_terminal;
    }

    /// The user's home.
    pub fn home(&self) -> Option<PathBuf> {
        self.var_os("HOME").or_else(|| self.var_os("USERPROFILE")).map(PathBuf::from)
    }

    /// The folder for what is gone after a while.
    pub fn temporary(&self) -> PathBuf {
        std::env::temp_dir()
    }

    /// Whether this is a job of continuous integration, as they all say by `CI`.
    pub fn is_ci(&self) -> bool {
        self.var("CI").is_some_and(|value| value != "false")
    }

    /// Whether `GIT_RECEIPT=off` switches recording off.
    pub fn is_off(&self) -> bool {
        self.var("GIT_RECEIPT")
            .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "off" | "0" | "false" | "no"))
    }
}

impl Default for Env {
    fn default() -> Self {
        Self::new()
    }
}

/// Fills a buffer with the operating system's randomness.
pub fn entropy(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}
