//! A table from idempotency keys to entries, one file a chain, as fast at 100,000 entries as at ten.
//!
//! Open addressing with fixed slots. The file is a hint: it names the tip up to which it is complete, is only
//! used under the chain's lock, and is built anew from the chain when it is missing, torn or behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 16] = b"receipt-once-1\0\n";
/// Magic, capacity, count, tip seq, whether there is a tip, tip commit, checksum.
const HEADER: usize = 16 + 8 + 8 + 8 + 8 + 32 + 32;
/// Key hash, seq + 1 (0: empty), commit.
const SLOT: usize = 16 + 8 + 32;
const SMALLEST: u64 = 64;

/// Where an entry with a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its seq.
    pub seq: u64,
    /// Its commit, padded with zeros.
    pub commit: [u8; 32],
}

/// The tip up to which a table is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableTip {
    /// Its seq.
    pub seq: u64,
    /// Its commit, padded with zeros.
    pub commit: [u8; 32],
}

/// An open table.
#[derive(Debug)]
pub(super) struct OnceTable {
    file: File,
    path: PathBuf,
    capacity: u64,
    count: u64,
    tip: Option<TableTip>,
}

impl OnceTable {
    /// Opens the table at `path`; `None` when there is none that can be used.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut header = [0; HEADER];
        if file.read_exact(&mut header).is_err() {
            return Ok(None);
        }
        let (fields, checksum) = header.split_at(HEADER - 32);
        let number = |at: usize| u64::from_le_bytes(fields[at..at + 8].try_into().expect("eight bytes"));
        let (capacity, count) = (number(16), number(24));
        let sound = fields.starts_with(MAGIC)
            && Sha256::digest(fields).as_slice() == checksum
            && capacity.is_power_of_two()
            && count < capacity
            && file.metadata()?.len() == HEADER as u64 + capacity * SLOT as u64;
        if !sound {
            return Ok(None);
        }
        let tip = (number(40) == 1)
            .then(|| TableTip { seq: number(32), commit: fields[48..80].try_into().expect("32 bytes") });
        Ok(Some(OnceTable { file, path: path.to_owned(), capacity, count, tip }))
    }

    /// Makes an empty table with room for `expected` keys, in place of any that was there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn create(path: &Path, expected: u64) -> io::Result<Self> {
        let capacity = (expected * 2).next_power_of_two().max(SMALLEST);
        let unfinished = path.with_extension("new");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        file.set_len(HEADER as u64 + capacity * SLOT as u64)?;
        file.write_all(&header(capacity, 0, None))?;
        fs::rename(&unfinished, path)?;
        Ok(OnceTable { file, path: path.to_owned(), capacity, count: 0, tip: None })
    }

    /// The tip up to which the table is complete.
    pub(super) fn tip(&self) -> Option<TableTip> {
        self.tip
    }

    /// The places where an entry with `key` may be; whoever asks looks at the entry.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn get(&self, key: &str) -> io::Result<Vec<Place>> {
        let hash = hash_of(key);
        let mut places = Vec::new();
        for index in self.probe(&hash) {
            match self.read_slot(index)? {
                None => break,
                Some((found, place)) if found == hash => places.push(place),
                Some(_) => {}
            }
        }
        Ok(places)
    }

    /// Adds an entry. Adding the same again changes nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn insert(&mut self, key: &str, place: &Place) -> io::Result<()> {
        if (self.count + 1) * 2 > self.capacity {
            self.grow()?;
        }
        self.insert_hash(hash_of(key), place)
    }

    fn insert_hash(&mut self, hash: [u8; 16], place: &Place) -> io::Result<()> {
        for index in self.probe(&hash) {
            match self.read_slot(index)? {
                Some((found, there)) if found == hash && there == *place => return Ok(()),
                Some(_) => {}
                None => {
                    let mut slot = [0; SLOT];
                    slot[..16].copy_from_slice(&hash);
                    slot[16..24].copy_from_slice(&(place.seq + 1).to_le_bytes());
                    slot[24..].copy_from_slice(&place.commit);
                    self.file.seek(SeekFrom::Start(slot_offset(index)))?;
                    self.file.write_all(&slot)?;
                    self.count += 1;
                    return Ok(());
                }
            }
        }
        Err(io::Error::other("table is full"))
    }

    /// Says up to where the table is complete. Goes last: what was inserted before a crash is inserted again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn set_tip(&mut self, tip: TableTip) -> io::Result<()> {
        self.tip = Some(tip);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.capacity, self.count, self.tip))
    }

    /// Moves to a table of twice the size. Its tip stays: it holds the same keys.
    fn grow(&mut self) -> io::Result<()> {
        let mut bigger = OnceTable::create(&self.path.with_extension("grown"), self.capacity)?;
        for index in 0..self.capacity {
            if let Some((hash, place)) = self.read_slot(index)? {
                bigger.insert_hash(hash, &place)?;
            }
        }
        if let Some(tip) = self.tip {
            bigger.set_tip(tip)?;
        }
        fs::rename(&bigger.path, &self.path)?;
        bigger.path = self.path.clone();
        *self = bigger;
        Ok(())
    }

    fn read_slot(&self, index: u64) -> io::Result<Option<([u8; 16], Place)>> {
        let mut slot = [0; SLOT];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(slot_offset(index)))?;
        file.read_exact(&mut slot)?;
        let seq = u64::from_le_bytes(slot[16..24].try_into().expect("eight bytes"));
        if seq == 0 {
            return Ok(None);
        }
        let hash = slot[..16].try_into().expect("16 bytes");
        let commit = slot[24..].try_into().expect("32 bytes");
        Ok(Some((hash, Place { seq: seq - 1, commit })))
    }

    /// The slots to look at for `hash`, each once.
    fn probe(&self, hash: &[u8; 16]) -> impl Iterator<Item = u64> + use<> {
        let start = u64::from_le_bytes(hash[..8].try_into().expect("eight bytes"));
        let mask = self.capacity - 1;
        (0..self.capacity).map(move |step| start.wrapping_add(step) & mask)
    }
}

fn slot_offset(index: u64) -> u64 {
    HEADER as u64 + index * SLOT as u64
}

fn hash_of(key: &str) -> [u8; 16] {
    Sha256::digest(key.as_bytes())[..16].try_into().expect("a digest has 32 bytes")
}

fn header(capacity: u64, count: u64, tip: Option<TableTip>) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..16].copy_from_slice(MAGIC);
    bytes[16..24].copy_from_slice(&capacity.to_le_bytes());
    bytes[24..32].copy_from_slice(&count.to_le_bytes());
    if let Some(tip) = tip {
        bytes[32..40].copy_from_slice(&tip.seq.to_le_bytes());
        bytes[40] = 1;
        bytes[48..80].copy_from_slice(&tip.commit);
    }
    let checksum = Sha256::digest(&bytes[..HEADER - 32]);
    bytes[HEADER - 32..].copy_from_slice(&checksum);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn place(seq: u64) -> Place {
        Place { seq, commit: [seq as u8; 32] }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_table_finds_what_a_map_would(keys in prop::collection::vec("[a-z]{1,3}", 1..300)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("chain");
            let mut model: HashMap<String, u64> = HashMap::new();
            let mut table = OnceTable::create(&path, 0).unwrap();
            for (seq, key) in keys.iter().enumerate() {
                let seq = *model.entry(key.clone()).or_insert(seq as u64);
                table.insert(key, &place(seq)).unwrap();
                if seq % 50 == 49 {
                    table.set_tip(TableTip { seq, commit: [1; 32] }).unwrap();
                    table = OnceTable::open(&path).unwrap().unwrap();
                }
            }
            for (key, seq) in &model {
                prop_assert_eq!(table.get(key).unwrap(), vec![place(*seq)]);
            }
            prop_assert_eq!(table.get("not there").unwrap(), vec![]);
        }
    }

    #[test]
    fn a_torn_or_foreign_file_reads_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain");
        assert!(OnceTable::open(&path).unwrap().is_none());
        OnceTable::create(&path, 10).unwrap();
        assert!(OnceTable::open(&path).unwrap().is_some());
        let whole = fs::read(&path).unwrap();
        for broken in [&whole[..whole.len() - 1], &whole[..50], b"", &b"x".repeat(whole.len())[..]] {
            fs::write(&path, broken).unwrap();
            assert!(OnceTable::open(&path).unwrap().is_none());
        }
    }
}
