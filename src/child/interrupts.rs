//! Signals that would end us while we wait for somebody's answer.

use std::io;

#[cfg(unix)]
use std::os::fd::AsFd as _;

#[cfg(unix)]
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

#[cfg(unix)]
use super::signals::{Signals, is_continuing, is_ending};

/// While one exists, SIGINT, SIGTERM, SIGHUP and SIGQUIT do not end this process, and it can ask which of them came.
/// Where there are no such signals, none ever comes.
pub struct Interrupts {
    #[cfg(unix)]
    signals: Signals,
    /// What was read and not yet handed out.
    #[cfg(unix)]
    read: Vec<u8>,
}

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// There may be something to read.
    Input,
    /// A signal came that only tells us to look.
    Told,
    /// We were stopped and go on: whoever had the terminal meanwhile may have left it otherwise.
    Continued,
    /// This signal came, which would have ended us.
    Interrupted(i32),
    /// The other side of standard input is gone.
    HungUp,
}

/// What came of waiting for a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end.
    Text(String),
    /// There is nothing more to read.
    End,
    /// This signal came first.
    Interrupted(i32),
}

#[cfg(unix)]
impl Interrupts {
    /// Holds the signals from now on.
    ///
    /// # Errors
    /// The system refused a signal handler.
    pub fn listen() -> io::Result<Interrupts> {
        Ok(Interrupts { signals: Signals::listen()?, read: Vec::new() })
    }

    /// Whether one came since the last call.
    pub fn came(&mut self) -> bool {
        self.signals.take().into_iter().any(is_ending)
    }

    /// Waits until there is something to read on standard input, or any signal came, the one of a new terminal size
    /// among them.
    ///
    /// # Errors
    /// When standard input cannot be waited for.
    pub fn wait(&mut self) -> io::Result<Waited> {
        let input = rustix::stdio::stdin();
        let signals = PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN);
        let mut fds = [PollFd::new(&input, PollFlags::IN), signals];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let input = fds[0].revents();
        let arrived = self.signals.take();
        if let Some(signal) = arrived.iter().find(|signal| is_ending(**signal)) {
            return Ok(Waited::Interrupted(*signal));
        }
        if arrived.into_iter().any(is_continuing) {
            return Ok(Waited::Continued);
        }
        Ok(match input {
            ready if ready.contains(PollFlags::IN) && !ready.intersects(PollFlags::HUP) => Waited::Input,
            gone if gone.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) => Waited::HungUp,
            _ => Waited::Told,
        })
    }

    /// Waits for a line on standard input, or a signal. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// When standard input cannot be read.
    pub fn read_line(&mut self) -> io::Result<Line> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Line::Text(text(&line)));
            }
            match self.wait()? {
                Waited::Interrupted(signal) => return Ok(Line::Interrupted(signal)),
                Waited::Told | Waited::Continued => continue,
                // A pipe whose writer is gone may still have something in it.
                Waited::Input | Waited::HungUp => {}
            }
            let mut buffer = [0; 4096];
            match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
                Ok(0) if self.read.is_empty() => return Ok(Line::End),
                Ok(0) => return Ok(Line::Text(text(&std::mem::take(&mut self.read)))),
                Ok(count) => self.read.extend_from_slice(&buffer[..count]),
                Err(Errno::INTR) => {}
                // A terminal that is gone has nothing more to say.
                Err(Errno::IO) => return Ok(Line::End),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(not(unix))]
impl Interrupts {
    /// Holds nothing here.
    ///
    /// # Errors
    /// None here.
    pub fn listen() -> io::Result<Interrupts> {
        Ok(Interrupts {})
    }

    /// None ever comes here.
    pub fn came(&mut self) -> bool {
        false
    }

    /// Waits a moment.
    ///
    /// # Errors
    /// None here.
    pub fn wait(&mut self) -> io::Result<Waited> {
        std::thread::sleep(std::time::Duration::from_millis(20));
        Ok(Waited::Input)
    }

    /// Waits for a line on standard input.
    ///
    /// # Errors
    /// When standard input cannot be read.
    pub fn read_line(&mut self) -> io::Result<Line> {
        let mut line = Vec::new();
        match io::BufRead::read_until(&mut io::stdin().lock(), b'\n', &mut line)? {
            0 => Ok(Line::End),
            _ => Ok(Line::Text(text(&line))),
        }
    }
}

/// Stops everything that the shell started with us, as Ctrl-Z does where the terminal sees to it, and returns when the
/// shell lets it go on. Nothing happens where there is no shell that could.
///
/// # Errors
/// When the system refuses.
pub fn suspend() -> io::Result<()> {
    // The default action is wanted: the system leaves it out where nobody is there to go on with us.
    #[cfg(unix)]
    rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
    Ok(())
}

/// A line without its end.
fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}
