//! Our terminal, and the pseudo-terminal that stands in for it.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{Child, Stdio},
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use pty_process::blocking as pty;
use rustix::{
    fs::OFlags,
    process::getpgrp,
    stdio,
    termios::{self, OptionalActions, Termios},
};

/// Our terminal in raw mode, until dropped.
pub(super) struct Terminal<'fd> {
    input: BorrowedFd<'fd>,
    output: BorrowedFd<'fd>,
    errors_apart: bool,
    raw: Raw,
}

impl Terminal<'static> {
    /// The terminal on our standard streams, or none when it cannot stand behind a pseudo-terminal.
    pub(super) fn of_standard_streams() -> io::Result<Option<Self>> {
        Terminal::new(stdio::stdin(), stdio::stdout(), !termios::isatty(stdio::stderr()))
    }
}

impl<'fd> Terminal<'fd> {
    pub(super) fn new(
        input: BorrowedFd<'fd>,
        output: BorrowedFd<'fd>,
        errors_apart: bool,
    ) -> io::Result<Option<Self>> {
        if !termios::isatty(input) || !termios::isatty(output) || in_background(input) {
            return Ok(None);
        }
        Ok(Some(Terminal { input, output, errors_apart, raw: Raw::enter(input)? }))
    }

    /// Start `command` as the leader of a session on a new pseudo-terminal like ours, and return our end of
    /// it.
    pub(super) fn spawn(&self, command: std::process::Command) -> io::Result<(Child, OwnedFd)> {
        let (ours, theirs) = pty::open().map_err(flatten)?;
        termios::tcsetattr(&ours, OptionalActions::Now, &self.raw.modes)?;
        self.pass_size(ours.as_fd());
        // The command has its own idea of blocking on its end; here a full input queue must not stop the
        // output.
        rustix::fs::fcntl_setfl(&ours, rustix::fs::fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
        let mut on_pty = pty::Command::from(command);
        if self.errors_apart {
            on_pty = on_pty.stderr(Stdio::piped());
        }
        let child = on_pty.spawn(theirs).map_err(flatten)?;
        Ok((child, ours.into()))
    }

    /// Give the pseudo-terminal the size of ours. A terminal that does not know its size is left alone.
    pub(super) fn pass_size(&self, pty: BorrowedFd<'_>) {
        if let Ok(size) = termios::tcgetwinsize(self.output) {
            let _ = termios::tcsetwinsize(pty, size);
        }
    }

    /// Be raw again after a stop, during which the shell set modes of its own.
    pub(super) fn resume(&self) {
        if !in_background(self.input) {
            let _ = termios::tcsetattr(self.input, OptionalActions::Now, &raw(&self.raw.modes));
        }
    }

    pub(super) fn input(&self) -> BorrowedFd<'fd> {
        self.input
    }
}

/// Whether the terminal's foreground belongs to others, so that touching it would stop us.
fn in_background(terminal: BorrowedFd<'_>) -> bool {
    termios::tcgetpgrp(terminal).is_ok_and(|group| group != getpgrp())
}

/// Whether what is typed at our controlling terminal signals our process group.
pub(super) fn keyboard_signals_our_group() -> bool {
    File::open("/dev/tty").is_ok_and(|tty| termios::tcgetpgrp(&tty).is_ok_and(|group| group == getpgrp()))
}

fn flatten(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(errno) => errno.into(),
    }
}

fn raw(modes: &Termios) -> Termios {
    let mut raw = modes.clone();
    raw.make_raw();
    raw
}

/// A terminal in raw mode, put right on drop.
struct Raw {
    id: u64,
    modes: Termios,
}

/// How to put a raw terminal right from anywhere.
struct Kept {
    id: u64,
    terminal: OwnedFd,
    modes: Termios,
}

impl Kept {
    fn restore(&self) {
        // A terminal that is gone needs nothing.
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.modes);
    }
}

/// The terminals that are raw now, for the panic hook: a release build does not unwind.
static RAW: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

fn lock() -> MutexGuard<'static, Vec<Kept>> {
    RAW.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Raw {
    fn enter(terminal: BorrowedFd<'_>) -> io::Result<Raw> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        restore_on_panic();
        let modes = termios::tcgetattr(terminal)?;
        let entered = Raw { id: NEXT.fetch_add(1, Ordering::Relaxed), modes };
        lock().push(Kept {
            id: entered.id,
            terminal: terminal.try_clone_to_owned()?,
            modes: entered.modes.clone(),
        });
        termios::tcsetattr(terminal, OptionalActions::Now, &raw(&entered.modes))?;
        Ok(entered)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let mut kept = lock();
        if let Some(at) = kept.iter().position(|kept| kept.id == self.id) {
            kept.swap_remove(at).restore();
        }
    }
}

fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Not waited for, as the panic may have come while it was held.
            if let Ok(kept) = RAW.try_lock() {
                kept.iter().for_each(Kept::restore);
            }
            earlier(panic);
        }));
    });
}
