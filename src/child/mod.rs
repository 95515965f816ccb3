//! Running one child command as if it had been started directly, while keeping what it printed.
//!
//! [`run`] starts the command, copies its output to the given writers as it arrives, keeps a bounded copy,
//! and returns when the command is gone. Nothing else is printed.
//!
//! **Pipes.** Unless [`Command::terminal`] holds, standard output and standard error are pipes and standard
//! input is inherited. Both go into one buffer in the order they arrive; two writes to different streams
//! within the same moment may change places, as nothing in two pipes tells which came first.
//!
//! **Pseudo-terminal.** With [`Command::terminal`] on Unix the command leads a session of its own on a
//! pseudo-terminal with our terminal's modes and size. Ours is raw for that time, so every key goes to the
//! command, Ctrl-C included, and what is kept are the terminal's bytes, with `\r\n` at line ends. As with
//! `script` or `ssh`, what the command left running in its own process group is hung up when the command
//! ends.
//!
//! **Signals.** SIGINT, SIGTERM, SIGHUP and SIGQUIT do not end us while a command runs; they are the
//! command's to answer, so that a record can be written afterwards (see [`Hold`]). On a pseudo-terminal the
//! command's process group gets each at once, as no signal to our group reaches it. With pipes the command
//! stays in our process group, which keeps job control, prompts on `/dev/tty` and a group-wide SIGKILL
//! working, but then it may have had the signal already. Many programs take a second signal as "stop at
//! once", so:
//!
//! - SIGINT and SIGQUIT are not passed on while our group is in the terminal's foreground: there they come
//!   from the keyboard, and the whole group got them.
//! - Every other one is passed on after 100 ms, if the command is still there. A program that was sent
//!   SIGTERM through its group and takes longer than that to end sees it twice; one that was not is never
//!   left without.
//!
//! A signal that was ignored when we were started (`nohup`, a shell's `&`) stays ignored, for the command
//! too. Where `/proc` does not tell, it is handled like any other.

mod capture;
mod copy;
mod interrupts;
#[cfg(any(not(unix), test))]
mod portable;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod terminal;
#[cfg(all(unix, test))]
mod tests;
#[cfg(unix)]
mod unix;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

pub use capture::{Capture, Captured};
pub use interrupts::{Interrupts, Line, Waited, suspend};
#[cfg(not(unix))]
pub use portable::Hold;
#[cfg(unix)]
pub use signals::Hold;

/// How long output may be silent, after the command's end, while something the command started still holds
/// the pipe.
const GRACE: Duration = Duration::from_millis(200);

/// How long such a holder is listened to at most, when it keeps printing.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time between SIGTERM and SIGKILL when the time is up.
#[cfg(unix)]
const KILL_AFTER: Duration = Duration::from_secs(2);

/// The most that is read from a stream at once.
const CHUNK: usize = 64 * 1024;

/// Chunks that may wait for a slow writer; when there are as many, the command has to wait too.
const QUEUE: usize = 16;

/// A command to run, in our directory and environment unless it says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The program, looked up in `PATH` when it has no slash, and its arguments.
    pub argv: Vec<OsString>,
    /// After this long the command gets SIGTERM, and SIGKILL two seconds later. On a pseudo-terminal and in a group
    /// of its own both go to its whole process group, else to the command alone.
    pub timeout: Option<Duration>,
    /// Where it runs; in our own directory if left out.
    pub directory: Option<PathBuf>,
    /// Variables of our environment that it does not get.
    pub without: Vec<OsString>,
    /// Variables set on top of what is left of our environment.
    pub env: Vec<(OsString, OsString)>,
    /// Whether it reads nothing: then its standard input is empty, and not ours.
    pub no_input: bool,
    /// Whether it gets a process group of its own, where there are such groups: then every signal reaches all of the
    /// group, a second one that would end us kills it, and nothing of it runs on once its output is read. Not together
    /// with `terminal`.
    pub own_group: bool,
    /// Whether our standard input and output are terminals, so that the command shall have one too. Without
    /// effect where there are no pseudo-terminals, when standard input is no terminal after all, and when we
    /// are in the background. A standard error that is no terminal stays apart, as a pipe.
    pub terminal: bool,
}

/// How a command ended and what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// From its start to its end, without the wait for what it left running.
    pub duration: Duration,
    /// What it printed on both streams.
    pub output: Captured,
    /// SIGINT, SIGTERM, SIGHUP or SIGQUIT reached us while it ran, or it died of SIGINT.
    pub interrupted: bool,
    /// It was still running when its time was up.
    pub timed_out: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// It died of the signal with this number.
    Signal(i32),
}

impl Exit {
    /// The exit code as shells give it: the command's own, or 128 plus the signal's number.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }

    /// Whether the command exited with 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    fn from_status(status: std::process::ExitStatus) -> Exit {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Exit::Signal(signal);
        }
        Exit::Code(status.code().unwrap_or(-1))
    }
}

/// Why a command has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The argument list is empty.
    #[error("no command was given")]
    NoCommand,
    /// There is no such program, or its interpreter is missing.
    #[error("cannot find `{program}`")]
    NotFound { program: String, source: io::Error },
    /// The program is there but the system does not run it.
    #[error("cannot run `{program}`")]
    NotExecutable { program: String, source: io::Error },
    /// The system failed us: no process, descriptor, pseudo-terminal or signal handler to be had.
    #[error("cannot follow the command")]
    System(#[from] io::Error),
}

impl Error {
    /// The code a shell would exit with: 127 for a program that is not found, 126 for one that cannot be run.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Error::NotFound { .. } => Some(127),
            Error::NotExecutable { .. } => Some(126),
            Error::NoCommand | Error::System(_) => None,
        }
    }

    fn from_spawn(source: io::Error, program: &std::ffi::OsStr) -> Error {
        let program = program.to_string_lossy().into_owned();
        #[cfg(unix)]
        let no_descriptor = {
            use rustix::io::Errno;
            [Errno::MFILE, Errno::NFILE]
                .map(|errno| Some(errno.raw_os_error()))
                .contains(&source.raw_os_error())
        };
        #[cfg(not(unix))]
        let no_descriptor = false;
        match source.kind() {
            io::ErrorKind::NotFound => Error::NotFound { program, source },
            // No room for a process, or an argument that no process can have: nothing about the program.
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory | io::ErrorKind::InvalidInput => {
                Error::System(source)
            }
            _ if no_descriptor => Error::System(source),
            _ => Error::NotExecutable { program, source },
        }
    }
}

/// Run `cmd` to its end, copying what it prints to `out` and `err` as it arrives.
///
/// Every chunk is flushed. A pseudo-terminal has one stream, which goes to `out`. A writer that fails is not
/// written to again, and the output is read and kept all the same, so a command whose reader has gone away
/// runs on. A writer that blocks makes the command wait as a pipe would, while signals and the timeout still
/// work; `run` itself returns only when all was written.
///
/// When something the command started keeps its output open, reading ends after 200 ms of silence, or 2 s
/// after the command's end at the latest. Everything the command itself printed is in the outcome.
///
/// Our terminal gets its modes back on every way out. For panics in a build that does not unwind, a panic
/// hook sees to it, which the first use of a terminal puts before the one there is.
///
/// # Errors
///
/// [`Error::NoCommand`], [`Error::NotFound`] and [`Error::NotExecutable`] when nothing was run;
/// [`Error::System`] when it could not be started or followed, in which case it is not running any more. A
/// command that fails is no error.
pub fn run(
    cmd: Command,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Outcome, Error> {
    #[cfg(unix)]
    return unix::run(&cmd, out, err);
    #[cfg(not(unix))]
    return portable::run(&cmd, out, err);
}

/// The command as the standard library starts it, its streams still to be said.
fn prepare(cmd: &Command) -> Result<std::process::Command, Error> {
    let [program, args @ ..] = cmd.argv.as_slice() else { return Err(Error::NoCommand) };
    let mut command = std::process::Command::new(program);
    command.args(args);
    if let Some(directory) = &cmd.directory {
        command.current_dir(directory);
    }
    for name in &cmd.without {
        command.env_remove(name);
    }
    command.envs(cmd.env.iter().map(|(name, value)| (name, value)));
    command.stdin(if cmd.no_input { Stdio::null() } else { Stdio::inherit() });
    Ok(command)
}
