//! This clone's memory of the heads it saw, so that a chain that was cut or taken away afterwards is missed.
//!
//! `receipts/heads` below git's common directory: a line that says what it is and holds the digest of the lines after
//! it, then one line a chain, by chain. It is no hint that may be built anew from what is here: that is what it is
//! held against. So it is replaced whole, by rename, and one that is damaged is an error.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Store;
use super::error::StoreError;
use super::lock::Lock;
use crate::domain::ids::{ChainId, Digest, EntryRef};

/// What the first line starts with; the digest follows.
const TITLE: &str = "git-receipt heads 1 ";

impl Store {
    /// Where the heads are remembered.
    pub fn heads_path(&self) -> PathBuf {
        self.state_dir().join("heads")
    }

    /// The heads that this clone was told to remember, by chain; none where it never was.
    ///
    /// # Errors
    /// When they cannot be read, or are not as they were written.
    pub fn remembered_heads(&self) -> Result<Vec<EntryRef>, StoreError> {
        let path = self.heads_path();
        match fs::read(&path) {
            Ok(bytes) => parse(&bytes).map_err(|cause| StoreError::Memory { path, cause }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// Remembers `heads` besides what is remembered already, and says whether that was news. Of a chain that is
    /// remembered further on nothing is forgotten: another process may have seen more.
    ///
    /// # Errors
    /// When what is remembered is damaged, or cannot be written.
    pub fn remember_heads(&self, heads: &[EntryRef]) -> Result<bool, StoreError> {
        let _lock = Lock::acquire(&self.state_dir().join("locks"), "heads")?;
        let kept = self.remembered_heads()?;
        let mut all: BTreeMap<ChainId, EntryRef> = kept.iter().map(|head| (head.chain, *head)).collect();
        for head in heads {
            let known = all.entry(head.chain).or_insert(*head);
            if known.seq < head.seq {
                *known = *head;
            }
        }
        let all: Vec<EntryRef> = all.into_values().collect();
        if all == kept && (!all.is_empty() || self.heads_path().exists()) {
            return Ok(false);
        }
        replace(&self.heads_path(), render(&all).as_bytes())?;
        Ok(true)
    }
}

fn render(heads: &[EntryRef]) -> String {
    let lines: String = heads.iter().map(|head| format!("{head}\n")).collect();
    format!("{TITLE}{}\n{lines}", Digest::of(lines.as_bytes()))
}

fn parse(bytes: &[u8]) -> Result<Vec<EntryRef>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("it is no text from byte {} on", error.valid_up_to()))?;
    let (title, lines) = text.split_once('\n').ok_or("its first line is missing")?;
    let digest = title.strip_prefix(TITLE).ok_or("its first line is not what it must be")?;
    if digest.parse() != Ok(Digest::of(lines.as_bytes())) {
        return Err("its lines are not those that were written".into());
    }
    let heads = lines.lines().map(str::parse).collect::<Result<Vec<EntryRef>, _>>();
    heads.map_err(|error| error.to_string())
}

/// Puts a whole file into place, flushed before it is named.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let unfinished = path.with_extension("new");
    let written = File::create(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    written.map_err(StoreError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads() -> Vec<EntryRef> {
        ["01KAHQ3V5T8Z0000000000000A", "01KAHQ3V5T8Z0000000000000B"]
            .iter()
            .zip(3..)
            .map(|(chain, seq)| EntryRef { chain: chain.parse().unwrap(), seq, digest: Digest::of(b"x") })
            .collect()
    }

    #[test]
    fn heads_read_back() {
        assert_eq!(parse(render(&heads()).as_bytes()), Ok(heads()));
        assert_eq!(parse(render(&[]).as_bytes()), Ok(vec![]));
    }

    #[test]
    fn a_changed_byte_or_a_lost_end_is_noticed() {
        let whole = render(&heads()).into_bytes();
        for at in 0..whole.len() {
            assert!(parse(&whole[..at]).is_err(), "cut at {at}");
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(parse(&flipped).is_err(), "flipped at {at}");
        }
    }
}
