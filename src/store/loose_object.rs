//! Writing one small object as a loose file.
//!
//! Setting up a compressor touches a third of a megabyte of memory, which costs more than everything else about
//! an entry of a kilobyte; and a file system gives such a file a whole block anyway. So small objects are stored
//! uncompressed inside their zlib stream (RFC 1950, with the stored blocks of RFC 1951), which every git reads
//! and packs like any other. Temporary files have the name git gives its own, so that `git gc` removes those of
//! killed processes.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};

use gix::object::Kind;

use super::error::StoreError;
use super::{Store, oid};
use crate::domain::ids::Oid;

/// Objects of more bytes are compressed. Far below the 65,535 that one stored block holds.
pub(super) const SMALL: usize = 4096;

impl Store {
    /// Writes an object of at most [`SMALL`] bytes, and returns its id.
    pub(super) fn write_small_object(&self, kind: Kind, bytes: &[u8]) -> Result<Oid, StoreError> {
        let id = gix::objs::compute_hash(self.repo.object_hash(), kind, bytes)
            .map_err(|error| StoreError::Git { command: "hash-object".into(), cause: error.to_string() })?;
        let id = oid(&id);
        let hex = id.to_hex();
        let objects = self.repo.objects.store_ref().path();
        let folder = objects.join(&hex[..2]);
        let path = folder.join(&hex[2..]);
        let random: String = self.random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let temporary = objects.join(format!("tmp_obj_{random}"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o444);
        let mut file = options.open(&temporary).map_err(StoreError::io("create object", &temporary))?;
        let written = file.write_all(&stored(kind, bytes));
        drop(file);
        let moved = written.and_then(|()| match fs::rename(&temporary, &path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&folder).and_then(|()| fs::rename(&temporary, &path))
            }
            other => other,
        });
        if let Err(error) = moved {
            let _ = fs::remove_file(&temporary);
            // Some systems do not rename over a read-only file; it has the same bytes.
            if !path.is_file() {
                return Err(StoreError::io("write object", &path)(error));
            }
        }
        Ok(id)
    }
}

/// The loose form: a zlib stream of one stored block with git's header and the object's bytes.
fn stored(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{kind} {}\0", bytes.len());
    let length = u16::try_from(header.len() + bytes.len()).expect("small objects only");
    let mut stream = Vec::with_capacity(usize::from(length) + 11);
    // Deflate with a 32 KiB window, fastest level; one final block, stored.
    stream.extend([0x78, 0x01, 0x01]);
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    let content = stream.len();
    stream.extend(header.as_bytes());
    stream.extend(bytes);
    let sum = adler32(&stream[content..]);
    stream.extend(sum.to_be_bytes());
    stream
}

/// The checksum of RFC 1950, section 8.2.
fn adler32(bytes: &[u8]) -> u32 {
    // No more steps than this keep both sums within 32 bits.
    const UNTIL_OVERFLOW: usize = 5552;
    let (mut a, mut b) = (1u32, 0u32);
    for run in bytes.chunks(UNTIL_OVERFLOW) {
        for byte in run {
            a += u32::from(*byte);
            b += a;
        }
        a %= 65_521;
        b %= 65_521;
    }
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_published_example() {
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&[0xff; 100_000]), {
            let (mut a, mut b) = (1u64, 0u64);
            for _ in 0..100_000 {
                a = (a + 255) % 65_521;
                b = (b + a) % 65_521;
            }
            (b << 16 | a) as u32
        });
    }

    #[test]
    fn a_stored_stream_has_the_bytes_in_the_clear() {
        let stream = stored(Kind::Blob, b"hello\n");
        assert_eq!(&stream[..7], &[0x78, 0x01, 0x01, 13, 0, 0xf2, 0xff]);
        assert_eq!(&stream[7..20], b"blob 6\0hello\n");
    }
}
