//! One loop over the command's output, the signals, the keyboard and the clock. It never blocks but in
//! `poll`, so a slow writer holds up neither a signal nor the timeout.

use std::{
    collections::VecDeque,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::process::CommandExt as _,
    process::{Child, Stdio},
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid},
};
use signal_hook::consts;

use super::{
    CHUNK, Capture, Command, Error, Exit, GRACE, KILL_AFTER, Outcome, PATIENCE, QUEUE,
    copy::{Gone, Stream, Writers},
    prepare,
    signals::{Signals, is_ending},
    terminal::{Terminal, keyboard_signals_our_group},
};

/// How long a command in our group has to answer a signal before it is taken not to have got it.
const FORWARD_AFTER: Duration = Duration::from_millis(100);

/// The longest sleep, in case something else in the process kept SIGCHLD from us.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// How often a pseudo-terminal that nobody holds open is looked at: its command may open it again as
/// `/dev/tty`.
const REOPEN: Duration = Duration::from_millis(50);

pub(super) fn run(
    cmd: &Command,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Outcome, Error> {
    let terminal = if cmd.terminal { Terminal::of_standard_streams()? } else { None };
    run_on(cmd, terminal.as_ref(), out, err)
}

pub(super) fn run_on(
    cmd: &Command,
    terminal: Option<&Terminal<'_>>,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Outcome, Error> {
    let mut command = prepare(cmd)?;
    let program = command.get_program().to_owned();
    // From before the start, so that no signal falls between.
    let signals = Signals::listen()?;
    let waker = signals.waker()?;

    let (mut child, pty) = match terminal {
        Some(terminal) => terminal.spawn(command).map(|(child, pty)| (child, Some(pty))),
        None => {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            if cmd.own_group {
                command.process_group(0);
            }
            command.spawn().map(|child| (child, None))
        }
    }
    .map_err(|error| Error::from_spawn(error, &program))?;
    let started = Instant::now();

    let mut sources = Vec::with_capacity(2);
    sources.extend(pty.map(|fd| Source::new(fd, Stream::Out, true)));
    sources.extend(child.stdout.take().map(|pipe| Source::new(pipe.into(), Stream::Out, false)));
    sources.extend(child.stderr.take().map(|pipe| Source::new(pipe.into(), Stream::Err, false)));

    let writers = Writers::new(out, err);
    let gone = writers.gone();
    thread::scope(|scope| {
        let (sender, chunks) = sync_channel(QUEUE);
        // When the wake-up does not fit, there are others before it that do the same.
        scope.spawn(move || writers.write_from(&chunks, || drop((&waker).write(&[0]))));
        let mut running = Running {
            in_our_group: terminal.is_none() && !cmd.own_group,
            own_group: terminal.is_none() && cmd.own_group,
            child,
            sources,
            gone,
            keyboard: terminal.map(|terminal| Keyboard { terminal, open: true, typed: VecDeque::new() }),
            signals,
            writer: sender,
            unwritten: None,
            capture: Capture::default(),
            last_read: started,
            ended: None,
            forward: Vec::new(),
            time_up: cmd.timeout.and_then(|timeout| started.checked_add(timeout)),
            kill_at: None,
            interrupted: false,
            timed_out: false,
        };
        let followed = running.follow();
        if running.own_group {
            // Nobody has waited for it so far, so the number is still that of its group.
            running.signal(Signal::KILL);
            let _ = running.child.wait();
        } else if followed.is_err() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        let (exit, end) = followed?;
        Ok(Outcome {
            exit,
            duration: end - started,
            interrupted: running.interrupted || exit == Exit::Signal(consts::SIGINT),
            timed_out: running.timed_out,
            output: running.capture.finish(),
        })
    })
}

/// Where output comes from: a pipe, or our end of the pseudo-terminal.
struct Source {
    fd: OwnedFd,
    stream: Stream,
    is_pty: bool,
    open: bool,
    /// What still has to be read, as it was there when the command ended.
    owed: u64,
    /// Nobody holds the other end of the pseudo-terminal; look again then.
    not_before: Option<Instant>,
}

impl Source {
    fn new(fd: OwnedFd, stream: Stream, is_pty: bool) -> Source {
        Source { fd, stream, is_pty, open: true, owed: 0, not_before: None }
    }
}

/// What is typed, on its way to the pseudo-terminal.
struct Keyboard<'t> {
    terminal: &'t Terminal<'t>,
    open: bool,
    typed: VecDeque<u8>,
}

struct Running<'t> {
    child: Child,
    /// Whether a signal to our process group is one to the command's.
    in_our_group: bool,
    /// Whether its process group is its own and goes with it.
    own_group: bool,
    sources: Vec<Source>,
    gone: Arc<Gone>,
    keyboard: Option<Keyboard<'t>>,
    signals: Signals,
    writer: SyncSender<(Stream, Vec<u8>)>,
    /// A chunk the writer had no room for. Nothing is read while there is one.
    unwritten: Option<(Stream, Vec<u8>)>,
    capture: Capture,
    last_read: Instant,
    ended: Option<(Exit, Instant)>,
    forward: Vec<(Instant, Signal)>,
    time_up: Option<Instant>,
    kill_at: Option<Instant>,
    interrupted: bool,
    timed_out: bool,
}

/// What a ready descriptor is.
#[derive(Clone, Copy)]
enum Ready {
    Signals,
    Source(usize),
    KeyboardInput,
    KeyboardOutput(usize),
}

impl Running<'_> {
    /// Follow the command until it has ended and its output was read.
    fn follow(&mut self) -> io::Result<(Exit, Instant)> {
        loop {
            self.look_for_the_end()?;
            // Whoever writes into a pipe that nobody reads is told so, and `yes` ends under `head` as ever.
            self.sources.retain(|source| source.is_pty || !self.gone.is(source.stream));
            self.hand_on();
            if let Some(ended) = self.ended
                && self.is_read(ended.1)
            {
                if let Some(chunk) = self.unwritten.take() {
                    let _ = self.writer.send(chunk);
                }
                return Ok(ended);
            }
            self.keep_time();
            self.wait_and_serve()?;
        }
    }

    fn look_for_the_end(&mut self) -> io::Result<()> {
        if self.ended.is_none()
            && let Some(exit) = self.exit()?
        {
            self.ended = Some((exit, Instant::now()));
            // What it wrote is now in the pipes; whatever comes on top is from others.
            for source in &mut self.sources {
                source.owed = rustix::io::ioctl_fionread(&source.fd).unwrap_or(0);
                source.not_before = None;
            }
        }
        Ok(())
    }

    /// How the command ended, if it has. One with a group of its own is only looked at.
    fn exit(&mut self) -> io::Result<Option<Exit>> {
        if !self.own_group {
            return Ok(self.child.try_wait()?.map(Exit::from_status));
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(Pid::from_child(&self.child)), options)?;
        Ok(status.and_then(|status| match status.terminating_signal() {
            Some(signal) => Some(Exit::Signal(signal)),
            None => status.exit_status().map(Exit::Code),
        }))
    }

    /// Whether the command, which ended at `end`, has no more output that we would wait for.
    fn is_read(&self, end: Instant) -> bool {
        let mut open = self.sources.iter().filter(|source| source.open).peekable();
        open.peek().is_none()
            || (self.unwritten.is_none()
                && open.all(|source| source.owed == 0)
                && (end.max(self.last_read).elapsed() >= GRACE || end.elapsed() >= PATIENCE))
    }

    /// Offer the writer the chunk that waits for it.
    fn hand_on(&mut self) {
        if let Some(chunk) = self.unwritten.take() {
            match self.writer.try_send(chunk) {
                Err(TrySendError::Full(chunk)) => self.unwritten = Some(chunk),
                // Without a writer there is a panic on its way up; what is left is only kept.
                Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// Send the signals that are due.
    fn keep_time(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let now = Instant::now();
        if self.time_up.is_some_and(|at| at <= now) {
            self.time_up = None;
            self.timed_out = true;
            self.kill_at = Some(now + KILL_AFTER);
            self.signal(Signal::TERM);
            // A stopped command would otherwise not see it.
            self.signal(Signal::CONT);
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.signal(Signal::KILL);
        }
        let due: Vec<Signal> =
            self.forward.extract_if(.., |(at, _)| *at <= now).map(|(_, signal)| signal).collect();
        for signal in due {
            self.signal(signal);
            if self.own_group {
                // Whoever reads from a terminal in the background is stopped, and would not see it.
                self.signal(Signal::CONT);
            }
        }
    }

    /// Signal the command, which was not waited for yet, so the number is still its own.
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // It may have become someone else, as `sudo` does, and then it is not ours to signal.
        let _ = if self.in_our_group { kill_process(pid, signal) } else { kill_process_group(pid, signal) };
    }

    fn next_wake(&self) -> Duration {
        let reopen = self.sources.iter().filter(|source| source.open).filter_map(|source| source.not_before);
        let clocks = match self.ended {
            None => [self.time_up, self.kill_at, self.forward.iter().map(|(at, _)| *at).min()],
            Some((_, end)) => [Some(end.max(self.last_read) + GRACE), Some(end + PATIENCE), None],
        };
        let next = clocks.into_iter().flatten().chain(reopen).min();
        let until = next.map_or(LONGEST_SLEEP, |at| at.saturating_duration_since(Instant::now()));
        match self.ended {
            // With the clock run out, what is left waits for the writer, and that one wakes us.
            Some(_) if until.is_zero() => LONGEST_SLEEP,
            _ => until.min(LONGEST_SLEEP),
        }
    }

    fn wait_and_serve(&mut self) -> io::Result<()> {
        let timeout = Timespec::try_from(self.next_wake()).expect("a second at most");
        let now = Instant::now();
        let mut what = vec![Ready::Signals];
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        for (at, source) in self.sources.iter().enumerate() {
            if source.open && self.unwritten.is_none() && source.not_before.is_none_or(|at| at <= now) {
                what.push(Ready::Source(at));
                fds.push(PollFd::new(&source.fd, PollFlags::IN));
            }
        }
        if let Some(keyboard) = &self.keyboard
            && self.ended.is_none()
        {
            if keyboard.typed.is_empty() {
                if keyboard.open {
                    what.push(Ready::KeyboardInput);
                    fds.push(PollFd::from_borrowed_fd(keyboard.terminal.input(), PollFlags::IN));
                }
            } else if let Some(at) = self.sources.iter().position(|source| source.is_pty && source.open) {
                what.push(Ready::KeyboardOutput(at));
                fds.push(PollFd::new(&self.sources[at].fd, PollFlags::OUT));
            }
        }
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
        let ready: Vec<Ready> =
            fds.iter().zip(&what).filter(|(fd, _)| !fd.revents().is_empty()).map(|(_, what)| *what).collect();
        drop(fds);
        for ready in ready {
            match ready {
                Ready::Signals => self.take_signals(),
                Ready::Source(at) => self.read(at)?,
                Ready::KeyboardInput => self.read_keys(),
                Ready::KeyboardOutput(at) => self.type_keys(at),
            }
        }
        Ok(())
    }

    fn take_signals(&mut self) {
        let now = Instant::now();
        for signal in self.signals.take() {
            match signal {
                consts::SIGWINCH => self.pass_size(),
                consts::SIGCONT => {
                    if let Some(keyboard) = &self.keyboard {
                        keyboard.terminal.resume();
                    }
                    self.pass_size();
                }
                _ if is_ending(signal) && self.ended.is_none() => {
                    if self.own_group && self.interrupted {
                        self.kill_at = Some(now);
                    }
                    self.interrupted = true;
                    let typed = matches!(signal, consts::SIGINT | consts::SIGQUIT);
                    if self.in_our_group && typed && keyboard_signals_our_group() {
                        continue;
                    }
                    let delay = if self.in_our_group { FORWARD_AFTER } else { Duration::ZERO };
                    self.forward.extend(Signal::from_named_raw(signal).map(|signal| (now + delay, signal)));
                }
                // SIGCHLD did its work by waking us.
                _ => {}
            }
        }
    }

    fn pass_size(&self) {
        if let Some(keyboard) = &self.keyboard
            && let Some(source) = self.sources.iter().find(|source| source.is_pty)
        {
            keyboard.terminal.pass_size(source.fd.as_fd());
        }
    }

    fn read(&mut self, at: usize) -> io::Result<()> {
        if self.unwritten.is_some() {
            return Ok(());
        }
        let source = &mut self.sources[at];
        match read_chunk(source.fd.as_fd()) {
            Ok(chunk) if chunk.is_empty() => source.open = false,
            Ok(chunk) => {
                source.owed = source.owed.saturating_sub(chunk.len() as u64);
                source.not_before = None;
                self.last_read = Instant::now();
                self.capture.push(&chunk);
                self.unwritten = Some((source.stream, chunk));
                self.hand_on();
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            // How Linux says that nobody holds the other end of a pseudo-terminal.
            Err(Errno::IO) if source.is_pty && self.ended.is_none() => {
                source.not_before = Some(Instant::now() + REOPEN)
            }
            Err(Errno::IO) if source.is_pty => source.open = false,
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    fn read_keys(&mut self) {
        let Some(keyboard) = &mut self.keyboard else { return };
        match read_chunk(keyboard.terminal.input()) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            // The terminal is gone, which SIGHUP tells whom it concerns.
            Err(_) => keyboard.open = false,
            Ok(typed) if typed.is_empty() => keyboard.open = false,
            Ok(typed) => keyboard.typed.extend(typed),
        }
    }

    fn type_keys(&mut self, at: usize) {
        let Some(keyboard) = &mut self.keyboard else { return };
        match rustix::io::write(&self.sources[at].fd, keyboard.typed.as_slices().0) {
            Ok(count) => drop(keyboard.typed.drain(..count)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => keyboard.typed.clear(),
        }
    }
}

fn read_chunk(fd: BorrowedFd<'_>) -> rustix::io::Result<Vec<u8>> {
    let mut chunk = vec![0; CHUNK];
    let count = rustix::io::read(fd, &mut chunk)?;
    chunk.truncate(count);
    Ok(chunk)
}
