//! Random trees and what tests need around them. Seeded: a case is its number.

use std::collections::BTreeMap;

use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::ids::{Digest, Oid};
use crate::domain::lines::{Blobs, Content, Edits, File, Files, Mode, path};

/// SplitMix64.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Once in `n` times.
    pub(super) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// How many cases a property is tried on.
pub(crate) fn cases(short: u64) -> u64 {
    std::env::var("GIT_RECEIPT_LINES_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

/// Blobs by id. The id is a SHA-256 of the bytes, not git's, which nothing here looks at.
#[derive(Default, Clone)]
pub(super) struct World {
    pub(super) blobs: BTreeMap<Oid, Vec<u8>>,
}

pub(super) fn id(bytes: &[u8]) -> Oid {
    Oid::Sha256(*Digest::of(bytes).as_bytes())
}

impl World {
    pub(super) fn blob(&mut self, bytes: impl Into<Vec<u8>>) -> Oid {
        let bytes = bytes.into();
        let oid = id(&bytes);
        self.blobs.insert(oid, bytes);
        oid
    }

    pub(super) fn file(&mut self, text: &str) -> File {
        File { mode: Mode::File, oid: self.blob(text) }
    }

    /// A tree of regular files.
    pub(super) fn tree(&mut self, files: &[(&str, &str)]) -> Files {
        files.iter().map(|(path, text)| (GitPath::new(*path), self.file(text))).collect()
    }

    /// The tree that edits lead to, and the blobs for it.
    pub(super) fn edited(&mut self, tree: &Files, edits: &Edits) -> Files {
        let mut tree = tree.clone();
        for path in edits.keys() {
            tree.remove(path);
        }
        for (path, written) in edits.iter().filter_map(|(path, written)| Some((path, written.as_ref()?))) {
            let oid = match &written.content {
                Content::Blob(oid) => *oid,
                Content::Bytes(bytes) => self.blob(bytes.clone()),
            };
            tree.insert(path.clone(), File { mode: written.mode, oid });
        }
        assert_eq!(path::folder_clashes(&tree), [], "a file and a folder at one path");
        tree
    }

    pub(super) fn bytes(&self, file: &File) -> Vec<u8> {
        self.blobs.blob(&file.oid).unwrap().into_owned()
    }
}

const WORDS: &[&str] =
    &["alpha", "beta", "gamma", "delta", "if", "x", "y", "(", ")", "{", "}", "=", "1", "22", ""];

fn line(random: &mut Random) -> Vec<u8> {
    let mut line = match random.below(6) {
        // Few different lines, so that places are alike.
        0..=2 => random.pick(&[&b"a"[..], b"b", b"}", b"", b"  a"]).to_vec(),
        3 => vec![b'a' + random.below(26) as u8, b'0' + random.below(10) as u8],
        4 if random.once_in(8) => vec![0xff, 0xfe, b'x'],
        _ => {
            let words: Vec<&str> = (0..1 + random.below(6)).map(|_| *random.pick(WORDS)).collect();
            words.join(" ").into_bytes()
        }
    };
    if random.once_in(60) {
        line.push(b'\r');
    }
    line
}

/// Text as lists of lines with terminators.
pub(super) fn text(random: &mut Random) -> Vec<Vec<u8>> {
    let count = match random.below(8) {
        0 => 0,
        1 => 1,
        2 => random.below(60),
        _ => random.below(14),
    };
    let crlf = random.once_in(6);
    let mut lines: Vec<Vec<u8>> = (0..count)
        .map(|_| {
            let mut line = line(random);
            line.extend_from_slice(if crlf != random.once_in(20) { b"\r\n" } else { b"\n" });
            line
        })
        .collect();
    if random.once_in(3) {
        cut_end(&mut lines);
    }
    lines
}

fn cut_end(lines: &mut Vec<Vec<u8>>) {
    if let Some(last) = lines.last_mut() {
        last.pop();
        if last.is_empty() {
            lines.pop();
        }
    }
}

/// Another version of a text.
pub(super) fn edit(random: &mut Random, lines: &mut Vec<Vec<u8>>) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(lines.len() + 1);
        let n = (1 + random.below(5)).min(lines.len() - at);
        match random.below(7) {
            0 => drop(lines.drain(at..at + n)),
            1 => {
                let block: Vec<Vec<u8>> = lines.drain(at..at + n).collect();
                let to = random.below(lines.len() + 1);
                lines.splice(to..to, block);
            }
            2 | 3 => {
                let new: Vec<Vec<u8>> =
                    (0..1 + random.below(4)).map(|_| [line(random), vec![b'\n']].concat()).collect();
                lines.splice(at..at, new);
            }
            4 if n > 0 => {
                let words = lines[at].len();
                lines[at].insert(random.below(words), b'q');
            }
            5 if random.once_in(3) => cut_end(lines),
            _ if n > 0 => lines[at] = [line(random), vec![b'\n']].concat(),
            _ => {}
        }
    }
    // Only the last line may lack a terminator.
    let last = lines.len().saturating_sub(1);
    for line in &mut lines[..last] {
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
    }
    lines.retain(|line| !line.is_empty());
}

fn content(random: &mut Random) -> Vec<u8> {
    let mut bytes = text(random).concat();
    if random.once_in(20) {
        bytes.insert(random.below(bytes.len() + 1), 0);
    }
    bytes
}

pub(super) fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

const PATHS: &[&[u8]] =
    &[b"a", b"a/b", b"a/c", b"b", b"b.rs", b"d/x", b"d/y/z", b"e\xff", "é".as_bytes(), b"z"];

fn mode(random: &mut Random) -> Mode {
    match random.below(12) {
        0 => Mode::Executable,
        1 => Mode::Symlink,
        2 => Mode::Submodule,
        _ => Mode::File,
    }
}

fn put(random: &mut Random, world: &mut World, tree: &mut Files, path: GitPath, file: Option<File>) {
    let file = file.unwrap_or_else(|| File { mode: mode(random), oid: world.blob(content(random)) });
    let free = !tree.contains_key(&path);
    tree.insert(path.clone(), file);
    if free && !path::folder_clashes(tree).is_empty() {
        tree.remove(&path);
    }
}

pub(super) fn tree(random: &mut Random, world: &mut World) -> Files {
    let mut tree = Files::new();
    for _ in 0..random.below(5) {
        let path = GitPath::new(*random.pick(PATHS));
        put(random, world, &mut tree, path, None);
    }
    tree
}

/// Another version of a tree.
pub(super) fn edited(random: &mut Random, world: &mut World, base: &Files) -> Files {
    let mut tree = base.clone();
    for (path, file) in base {
        match random.below(10) {
            0 => drop(tree.remove(path)),
            1 => {
                tree.remove(path);
                let mut file = *file;
                if random.once_in(2) && file.mode.is_regular() {
                    let mut lines = split(&world.bytes(&file));
                    edit(random, &mut lines);
                    file.oid = world.blob(lines.concat());
                }
                let to = GitPath::new(*random.pick(PATHS));
                if !tree.contains_key(&to) {
                    put(random, world, &mut tree, to, Some(file));
                }
            }
            2 => {
                let mode = mode(random);
                tree.insert(path.clone(), File { mode, ..*file });
            }
            3 => {}
            _ => {
                let mut lines = split(&world.bytes(file));
                edit(random, &mut lines);
                let mode = if random.once_in(12) { mode(random) } else { file.mode };
                tree.insert(path.clone(), File { mode, oid: world.blob(lines.concat()) });
            }
        }
    }
    for _ in 0..random.below(3) {
        let path = GitPath::new(*random.pick(PATHS));
        if !tree.contains_key(&path) {
            put(random, world, &mut tree, path, None);
        }
    }
    tree
}

/// Some of the numbers from 1 to `count`, in runs.
pub(super) fn choice(random: &mut Random, count: u64) -> LineSet {
    let share = 1 + random.below(8);
    let mut on = random.once_in(2);
    LineSet::from_numbers((1..=count).filter(|_| {
        if random.once_in(share) {
            on = !on;
        }
        on
    }))
}
