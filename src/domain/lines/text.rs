//! Lines of a file: bytes with their terminator.

use std::ops::Range;

/// How far git looks for a NUL to call a file binary (`FIRST_FEW_BYTES` in its `xdiff-interface.c`).
const BINARY_LOOK: usize = 8000;

/// Whether content is replaced whole rather than by lines: a NUL stands among its first 8,000 bytes.
pub fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(BINARY_LOOK)].contains(&0)
}

/// What a line without terminator gets where another follows it: `\r\n` if the first line of `base` ends so.
pub(super) fn terminator(base: &[u8]) -> &'static [u8] {
    match base.iter().position(|byte| *byte == b'\n') {
        Some(at) if at > 0 && base[at - 1] == b'\r' => b"\r\n",
        _ => b"\n",
    }
}

/// Content split after every `\n`; the last line may have none. No bytes are no lines.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where each line ends.
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let mut ends: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
        if ends.last().copied().unwrap_or(0) < bytes.len() {
            ends.push(bytes.len());
        }
        Lines { bytes, ends }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] }
    }

    /// One line, counted from 0.
    pub(super) fn get(&self, index: usize) -> &'a [u8] {
        &self.bytes[self.start(index)..self.ends[index]]
    }

    /// The bytes of neighbouring lines, counted from 0.
    pub(super) fn span(&self, lines: Range<usize>) -> &'a [u8] {
        if lines.is_empty() {
            return &[];
        }
        &self.bytes[self.start(lines.start)..self.ends[lines.end - 1]]
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Joins lines, giving a terminator to one that has none as soon as another follows.
pub(super) struct Joiner {
    out: Vec<u8>,
    terminator: &'static [u8],
}

impl Joiner {
    /// `base` is the file whose first line says how lines end.
    pub(super) fn new(base: &[u8]) -> Self {
        Joiner { out: Vec::with_capacity(base.len()), terminator: terminator(base) }
    }

    /// Puts neighbouring lines behind what is there.
    pub(super) fn push(&mut self, lines: &[u8]) {
        if !lines.is_empty() && self.out.last().is_some_and(|last| *last != b'\n') {
            self.out.extend_from_slice(self.terminator);
        }
        self.out.extend_from_slice(lines);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }
}
