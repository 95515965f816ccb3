//! Handing output on to writers that may be slow or gone.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// Which of our own outputs nobody reads any more.
#[derive(Debug, Default)]
pub(super) struct Gone {
    out: AtomicBool,
    err: AtomicBool,
}

impl Gone {
    pub(super) fn is(&self, stream: Stream) -> bool {
        self.of(stream).load(Ordering::SeqCst)
    }

    fn of(&self, stream: Stream) -> &AtomicBool {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }
}

/// Two writers, each written to until it fails.
pub(super) struct Writers<'w> {
    out: Option<&'w mut (dyn Write + Send)>,
    err: Option<&'w mut (dyn Write + Send)>,
    gone: Arc<Gone>,
}

impl<'w> Writers<'w> {
    pub(super) fn new(out: &'w mut (dyn Write + Send), err: &'w mut (dyn Write + Send)) -> Self {
        Writers { out: Some(out), err: Some(err), gone: Arc::default() }
    }

    /// Tells, also while others write, which outputs have lost their reader.
    pub(super) fn gone(&self) -> Arc<Gone> {
        Arc::clone(&self.gone)
    }

    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let writer = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        if let Some(open) = writer
            && let Err(error) = write_all(*open, bytes)
        {
            *writer = None;
            if error.kind() == io::ErrorKind::BrokenPipe {
                self.gone.of(stream).store(true, Ordering::SeqCst);
            }
        }
    }

    /// Write everything that comes, saying so after each chunk.
    #[cfg(unix)]
    pub(super) fn write_from(
        mut self,
        chunks: &std::sync::mpsc::Receiver<(Stream, Vec<u8>)>,
        mut written: impl FnMut(),
    ) {
        for (stream, bytes) in chunks {
            self.write(stream, &bytes);
            written();
        }
    }
}

/// As `Write::write_all` with a flush, but patient with a descriptor that some other program made
/// non-blocking.
fn write_all(writer: &mut (dyn Write + Send), mut bytes: &[u8]) -> io::Result<()> {
    let retry = |error: io::Error| match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock => {
            thread::sleep(Duration::from_millis(5));
            Ok(())
        }
        _ => Err(error),
    };
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) => retry(error)?,
        }
    }
    while let Err(error) = writer.flush() {
        retry(error)?;
    }
    Ok(())
}
