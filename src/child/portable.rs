//! Pipes with what the standard library has: a thread for each stream and a clock.
//!
//! Compiled for tests everywhere, so that it keeps working where nobody looks.

use std::{
    io::{self, Read, Write},
    process::Stdio,
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use super::{
    CHUNK, Capture, Command, Error, Exit, GRACE, Outcome, PATIENCE, QUEUE,
    copy::{Stream, Writers},
    prepare,
};

/// How often a silent command is asked whether it has ended.
const TICK: Duration = Duration::from_millis(20);

/// Stands for the hold on signals that there is on Unix, and holds nothing.
#[cfg(not(unix))]
#[derive(Debug)]
#[must_use = "signals are held until this is dropped"]
pub struct Hold(());

#[cfg(not(unix))]
impl Hold {
    /// # Errors
    ///
    /// None here.
    pub fn new() -> io::Result<Hold> {
        Ok(Hold(()))
    }
}

pub(super) fn run(
    cmd: &Command,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Outcome, Error> {
    let mut command = prepare(cmd)?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Error::from_spawn(error, command.get_program()))?;
    let started = Instant::now();
    let (sender, chunks) = sync_channel(QUEUE);
    // Not waited for: whoever holds the pipe after the command's end may hold it for long.
    read_into(sender.clone(), Stream::Out, child.stdout.take().expect("it was asked to be a pipe"));
    read_into(sender, Stream::Err, child.stderr.take().expect("it was asked to be a pipe"));

    let mut writers = Writers::new(out, err);
    let mut capture = Capture::default();
    let mut ended: Option<(Exit, Instant)> = None;
    let mut last_chunk = started;
    let mut chunks_since = 0;
    let mut all_read = false;
    let mut timed_out = false;
    loop {
        if ended.is_none()
            && let Some(status) = child.try_wait().map_err(Error::System)?
        {
            ended = Some((Exit::from_status(status), Instant::now()));
        }
        match &ended {
            Some(_) if all_read => break,
            // By then everything that was under way at the command's end has come, however slow the writers.
            Some((_, end)) if chunks_since > 2 * QUEUE && end.elapsed() >= PATIENCE => break,
            None if !timed_out && cmd.timeout.is_some_and(|timeout| started.elapsed() >= timeout) => {
                timed_out = true;
                // It can only fail when the command has just ended by itself.
                let _ = child.kill();
            }
            _ => {}
        }
        if all_read {
            thread::sleep(TICK);
            continue;
        }
        match chunks.recv_timeout(TICK) {
            Ok((stream, bytes)) => {
                let bytes: Vec<u8> = bytes;
                last_chunk = Instant::now();
                chunks_since += usize::from(ended.is_some());
                capture.push(&bytes);
                writers.write(stream, &bytes);
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some((_, end)) = &ended
                    && (last_chunk.max(*end).elapsed() >= GRACE || end.elapsed() >= PATIENCE)
                {
                    break;
                }
            }
            Err(RecvTimeoutError::Disconnected) => all_read = true,
        }
    }
    let (exit, end) = ended.expect("the loop ends after the command");
    Ok(Outcome { exit, duration: end - started, output: capture.finish(), interrupted: false, timed_out })
}

fn read_into(chunks: SyncSender<(Stream, Vec<u8>)>, stream: Stream, mut pipe: impl Read + Send + 'static) {
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            match pipe.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(count) if chunks.send((stream, buffer[..count].to_vec())).is_err() => break,
                Ok(_) => {}
            }
        }
    });
}
