//! A bounded copy of a stream of any length.

/// What is kept whole.
const WHOLE: usize = 16 * 1024 * 1024;

/// What is kept of each end of anything longer.
const END: usize = 1024 * 1024;

/// What was kept of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// All of it, or its first and last MiB with a marker line between. The ends are cut between UTF-8
    /// characters, so text stays text; each may be up to three bytes shorter for that.
    pub bytes: Vec<u8>,
    /// How long the stream was.
    pub total: u64,
    /// Whether it was longer than 16 MiB, so that `bytes` is not all of it.
    pub truncated: bool,
}

/// Collects a stream and keeps it whole up to 16 MiB, else its first and last MiB. Holds no more than that 16
/// MiB at any time, and far less once there was more.
#[derive(Debug, Default)]
pub struct Capture {
    /// Everything, until there is too much; then the first end.
    head: Vec<u8>,
    /// The last end and up to as much again of what came before it; in use once there is too much.
    tail: Option<Vec<u8>>,
    total: u64,
}

impl Capture {
    /// Take in the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None if self.head.len() + bytes.len() <= WHOLE => return self.head.extend_from_slice(bytes),
            None => {
                // The new bytes may begin inside the first end; after this both ends are in place.
                let missing = END.saturating_sub(self.head.len()).min(bytes.len());
                self.head.extend_from_slice(&bytes[..missing]);
                let rest = &self.head[END.min(self.head.len())..];
                let tail = rest[rest.len().saturating_sub(END)..].to_vec();
                self.head.truncate(END);
                self.head.shrink_to_fit();
                let tail = self.tail.insert(tail);
                return push_tail(tail, &bytes[missing..]);
            }
        };
        push_tail(tail, bytes);
    }

    /// What was kept.
    pub fn finish(self) -> Captured {
        let Capture { head: mut bytes, tail, total } = self;
        let Some(tail) = tail else { return Captured { bytes, total, truncated: false } };
        let tail = &tail[tail.len().saturating_sub(END)..];
        let tail = &tail[broken_start(tail)..];
        bytes.truncate(bytes.len() - broken_end(&bytes));
        let left_out = total - (bytes.len() + tail.len()) as u64;
        if bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(format!("[{left_out} bytes left out here]\n").as_bytes());
        bytes.extend_from_slice(tail);
        Captured { bytes, total, truncated: true }
    }
}

fn push_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(&bytes[bytes.len().saturating_sub(END)..]);
    // Shortened only when it has doubled, so that a stream of small pieces does not move a MiB for each.
    if tail.len() > 2 * END {
        tail.drain(..tail.len() - END);
    }
}

fn continues(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// How many bytes at the start belong to a character whose beginning is cut off.
fn broken_start(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|&&byte| continues(byte)).count()
}

/// How many bytes at the end begin a character whose rest is cut off.
fn broken_end(bytes: &[u8]) -> usize {
    let more = bytes.iter().rev().take(3).take_while(|&&byte| continues(byte)).count();
    let Some(&lead) = bytes.len().checked_sub(more + 1).and_then(|at| bytes.get(at)) else { return 0 };
    let length = lead.leading_ones() as usize;
    if (2..=4).contains(&length) && length > more + 1 { more + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(stream: &[u8], piece: usize) -> Captured {
        let mut capture = Capture::default();
        for piece in stream.chunks(piece) {
            capture.push(piece);
            assert!(capture.head.len() + capture.tail.as_ref().map_or(0, Vec::len) <= WHOLE);
        }
        capture.finish()
    }

    /// Every four bytes are their own number, so a misplaced one is seen.
    fn numbers(len: usize) -> Vec<u8> {
        (0..len.div_ceil(4) as u32).flat_map(|n| (n & 0x7f7f_7f7f).to_be_bytes()).take(len).collect()
    }

    #[test]
    fn sixteen_mib_are_kept_whole() {
        let stream = numbers(WHOLE);
        let kept = capture(&stream, 65_536);
        assert!(!kept.truncated);
        assert_eq!(kept.total, WHOLE as u64);
        assert!(kept.bytes == stream);
    }

    #[test]
    fn more_keeps_both_ends_and_a_marker_line_whatever_the_pieces() {
        for (len, piece) in [
            (WHOLE + 1, 65_536),
            (WHOLE + 5, 4_099),
            (3 * WHOLE, 7_777_777),
            (2 * WHOLE, 2 * WHOLE),
            (WHOLE + 7, 500),
        ] {
            let stream = numbers(len);
            let kept = capture(&stream, piece);
            let marker = format!("\n[{} bytes left out here]\n", len - 2 * END);
            let expected = [&stream[..END], marker.as_bytes(), &stream[len - END..]].concat();
            assert!(kept.truncated);
            assert_eq!(kept.total, len as u64);
            assert!(kept.bytes == expected, "{len} in pieces of {piece}");
        }
    }

    #[test]
    fn no_character_is_cut_in_two() {
        for shift in 0..4 {
            for character in ["é", "€", "🦀"] {
                let stream =
                    format!("{}{}", "x".repeat(shift), character.repeat(WHOLE / character.len() + 9));
                let kept = capture(stream.as_bytes(), 65_536);
                let text = String::from_utf8(kept.bytes).expect("text stays text");
                let marker = text.lines().nth(1).expect("a marker line");
                let left_out: usize = marker[1..].split(' ').next().unwrap().parse().unwrap();
                let ends = text.len() - marker.len() - 2;
                assert_eq!(left_out + ends, stream.len());
                assert!(ends >= 2 * END - 6);
            }
        }
    }

    #[test]
    fn the_marker_has_a_line_of_its_own() {
        let kept = capture(&b"line ok\n".repeat(WHOLE / 8 + 1), 65_536);
        let text = String::from_utf8(kept.bytes).unwrap();
        assert!(text.contains("line ok\n[14680072 bytes left out here]\nline ok\n"));
    }
}
