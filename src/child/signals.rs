//! The signals that reach us while a command runs.

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::{SigId, consts, flag, low_level};

/// What would end us, and is the command's to answer while there is one.
const ENDING: [i32; 4] = [consts::SIGINT, consts::SIGTERM, consts::SIGHUP, consts::SIGQUIT];

/// What only tells us to look: at the command, at the terminal's size, at its modes after a stop.
const TELLING: [i32; 3] = [consts::SIGCHLD, consts::SIGWINCH, consts::SIGCONT];

pub(super) fn is_ending(signal: i32) -> bool {
    ENDING.contains(&signal)
}

pub(super) fn is_continuing(signal: i32) -> bool {
    signal == consts::SIGCONT
}

/// While one exists, SIGINT, SIGTERM, SIGHUP and SIGQUIT do not end this process.
///
/// [`run`](super::run) holds them for as long as it runs. Whoever has to finish something afterwards, such as
/// writing down what ran, takes a hold first and drops it when done. With the last hold gone the signals have
/// their default action again; one that came meanwhile is not caught up on.
#[derive(Debug)]
#[must_use = "signals are held until this is dropped"]
pub struct Hold(());

/// How many holds there are, and whether there are none, as the handlers read it.
static HOLDS: Mutex<(usize, bool)> = Mutex::new((0, false));
static IDLE: OnceLock<Arc<AtomicBool>> = OnceLock::new();

impl Hold {
    /// Hold the signals from now on. Signals that were ignored when the process started stay ignored.
    ///
    /// # Errors
    ///
    /// The system refused a signal handler.
    pub fn new() -> io::Result<Hold> {
        let idle = IDLE.get_or_init(Arc::default);
        let mut holds = HOLDS.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, registered) = &mut *holds;
        if !*registered {
            for signal in ENDING.into_iter().filter(|&signal| !ignored(signal)) {
                flag::register_conditional_default(signal, Arc::clone(idle))?;
            }
            *registered = true;
        }
        *count += 1;
        idle.store(false, Ordering::SeqCst);
        Ok(Hold(()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holds = HOLDS.lock().unwrap_or_else(PoisonError::into_inner);
        holds.0 -= 1;
        if holds.0 == 0
            && let Some(idle) = IDLE.get()
        {
            idle.store(true, Ordering::SeqCst);
        }
    }
}

/// Whether `signal` was ignored before we first handled any: then it is to stay so, here and in the command,
/// which a handler would undo.
fn ignored(signal: i32) -> bool {
    static MASK: OnceLock<u64> = OnceLock::new();
    let mask = *MASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    });
    mask >> (signal - 1) & 1 == 1
}

/// Signals as something to poll.
pub(super) struct Signals {
    reader: UnixStream,
    writer: UnixStream,
    arrived: Vec<(i32, Arc<AtomicBool>)>,
    registered: Vec<SigId>,
    _hold: Hold,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Signals> {
        let hold = Hold::new()?;
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let mut signals =
            Signals { reader, writer, arrived: Vec::new(), registered: Vec::new(), _hold: hold };
        let ending = ENDING.into_iter().filter(|&signal| !ignored(signal));
        for signal in ending.chain(TELLING) {
            // The flag before the wake-up, as they run in this order.
            let arrived = Arc::new(AtomicBool::new(false));
            signals.registered.push(flag::register(signal, Arc::clone(&arrived))?);
            signals.registered.push(low_level::pipe::register(signal, signals.writer.try_clone()?)?);
            signals.arrived.push((signal, arrived));
        }
        Ok(signals)
    }

    /// Something that makes [`Signals::as_fd`] readable when written to.
    pub(super) fn waker(&self) -> io::Result<UnixStream> {
        self.writer.try_clone()
    }

    /// The signals that arrived since the last call.
    pub(super) fn take(&mut self) -> Vec<i32> {
        let mut buffer = [0; 256];
        while matches!(self.reader.read(&mut buffer), Ok(count) if count > 0) {}
        let arrived = self.arrived.iter().filter(|(_, arrived)| arrived.swap(false, Ordering::SeqCst));
        arrived.map(|&(signal, _)| signal).collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}
