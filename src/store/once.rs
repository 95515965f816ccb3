//! A table from idempotency keys to entries, one file a chain, as fast at 100,000 entries as at ten.
//!
//! Open addressing with fixed slots. The file is a hint: it names the tip up to which it is complete, is only
//! used under the chain's lock, and is built anew from the chain when it is missing, torn or behind. A slot has
//! no checksum of its own, so what is found is a candidate: whoever asks looks at the entry.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 16] = b"receipt-once-1\0\n";
/// Magic, capacity, count, tip seq, flags, tip commit, checksum.
const HEADER: usize = 16 + 8 + 8 + 8 + 8 + 32 + 32;
/// The header names a tip.
const HAS_TIP: u64 = 1;
/// Slots were written since the header was, so its count is too low.
const WRITING: u64 = 2;
/// Key hash, seq + 1 (0: empty), commit.
const SLOT: usize = 16 + 8 + 32;
const SMALLEST: u64 = 64;
/// Slots that are read at a time where all are.
const BATCH: u64 = 1024;

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
    /// Whether the header on disk says that slots are being written.
    writing: bool,
}

impl OnceTable {
    /// Opens the table at `path`; `None` when there is none that can be used.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        if length < HEADER as u64 {
            return Ok(None);
        }
        let mut header = [0; HEADER];
        read_at(&file, &mut header, 0)?;
        let (fields, checksum) = header.split_at(HEADER - 32);
        let number = |at: usize| u64::from_le_bytes(fields[at..at + 8].try_into().expect("eight bytes"));
        let (capacity, count, flags) = (number(16), number(24), number(40));
        let sound = fields.starts_with(MAGIC)
            && Sha256::digest(fields).as_slice() == checksum
            && capacity.is_power_of_two()
            && count < capacity
            && capacity.checked_mul(SLOT as u64).and_then(|slots| slots.checked_add(HEADER as u64))
                == Some(length);
        if !sound {
            return Ok(None);
        }
        let tip = (flags & HAS_TIP != 0)
            .then(|| TableTip { seq: number(32), commit: fields[48..80].try_into().expect("32 bytes") });
        let writing = flags & WRITING != 0;
        let mut table = OnceTable { file, path: path.to_owned(), capacity, count, tip, writing };
        if writing {
            // Somebody died between slots and header: without a true count the table would fill up unnoticed.
            let mut used = 0;
            table.each_slot(|_, _| {
                used += 1;
                Ok(())
            })?;
            if used == capacity {
                return Ok(None);
            }
            table.count = used;
        }
        Ok(Some(table))
    }

    /// Makes an empty table with room for `expected` keys, in place of any that was there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn create(path: &Path, expected: u64) -> io::Result<Self> {
        let capacity = (expected * 5 / 3 + 1).next_power_of_two().max(SMALLEST);
        let unfinished = path.with_extension("new");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        file.set_len(slot_offset(capacity))?;
        let path = path.to_owned();
        let mut table = OnceTable { file, path, capacity, count: 0, tip: None, writing: false };
        table.write_header()?;
        fs::rename(&unfinished, &table.path)?;
        Ok(table)
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
        if (self.count + 1) * 5 > self.capacity * 3 {
            self.grow()?;
        }
        if !self.writing {
            self.writing = true;
            self.write_header()?;
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
                    write_at(&self.file, &slot, slot_offset(index))?;
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
        self.writing = false;
        self.write_header()
    }

    /// Moves to a table of twice the size. Its tip stays: it holds the same keys.
    fn grow(&mut self) -> io::Result<()> {
        let mut bigger = OnceTable::create(&self.path.with_extension("grown"), self.capacity)?;
        self.each_slot(|hash, place| bigger.insert_hash(hash, &place))?;
        bigger.tip = self.tip;
        bigger.write_header()?;
        fs::rename(&bigger.path, &self.path)?;
        bigger.path.clone_from(&self.path);
        *self = bigger;
        Ok(())
    }

    fn each_slot(&self, mut visit: impl FnMut([u8; 16], Place) -> io::Result<()>) -> io::Result<()> {
        let mut batch = vec![0; SLOT * self.capacity.min(BATCH) as usize];
        for first in (0..self.capacity).step_by(BATCH as usize) {
            // Capacities and batches are powers of two, so batches fit.
            read_at(&self.file, &mut batch, slot_offset(first))?;
            for slot in batch.chunks_exact(SLOT) {
                if let Some((hash, place)) = parse_slot(slot) {
                    visit(hash, place)?;
                }
            }
        }
        Ok(())
    }

    fn read_slot(&self, index: u64) -> io::Result<Option<([u8; 16], Place)>> {
        let mut slot = [0; SLOT];
        read_at(&self.file, &mut slot, slot_offset(index))?;
        Ok(parse_slot(&slot))
    }

    /// The slots to look at for `hash`, each once.
    fn probe(&self, hash: &[u8; 16]) -> impl Iterator<Item = u64> + use<> {
        let start = u64::from_le_bytes(hash[..8].try_into().expect("eight bytes"));
        let mask = self.capacity - 1;
        (0..self.capacity).map(move |step| start.wrapping_add(step) & mask)
    }

    fn write_header(&mut self) -> io::Result<()> {
        let mut bytes = [0; HEADER];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..24].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.count.to_le_bytes());
        let mut flags = if self.writing { WRITING } else { 0 };
        if let Some(tip) = self.tip {
            flags |= HAS_TIP;
            bytes[32..40].copy_from_slice(&tip.seq.to_le_bytes());
            bytes[48..80].copy_from_slice(&tip.commit);
        }
        bytes[40..48].copy_from_slice(&flags.to_le_bytes());
        let checksum = Sha256::digest(&bytes[..HEADER - 32]);
        bytes[HEADER - 32..].copy_from_slice(&checksum);
        write_at(&self.file, &bytes, 0)
    }
}

fn parse_slot(slot: &[u8]) -> Option<([u8; 16], Place)> {
    let seq = u64::from_le_bytes(slot[16..24].try_into().expect("eight bytes")).checked_sub(1)?;
    let hash = slot[..16].try_into().expect("16 bytes");
    let commit = slot[24..].try_into().expect("32 bytes");
    Some((hash, Place { seq, commit }))
}

fn slot_offset(index: u64) -> u64 {
    HEADER as u64 + index * SLOT as u64
}

fn hash_of(key: &str) -> [u8; 16] {
    Sha256::digest(key.as_bytes())[..16].try_into().expect("a digest has 32 bytes")
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read as _, Seek as _};
    file.seek(io::SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}

#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek as _, Write as _};
    file.seek(io::SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeSet, HashMap};

    fn place(seq: u64) -> Place {
        Place { seq, commit: [seq as u8; 32] }
    }

    fn tip(seq: u64) -> TableTip {
        TableTip { seq, commit: [1; 32] }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(String, u64),
        Tip,
        Reopen,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            16 => ("[a-z]{1,3}", 0..4_u64).prop_map(|(key, seq)| Step::Insert(key, seq)),
            1 => Just(Step::Tip),
            1 => Just(Step::Reopen),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_table_finds_what_a_map_would_through_growth_and_reopening(
            steps in prop::collection::vec(step(), 1..500),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("chain");
            let mut model: HashMap<String, BTreeSet<u64>> = HashMap::new();
            let mut table = OnceTable::create(&path, 0).unwrap();
            let mut last = None;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(key, seq) => {
                        table.insert(&key, &place(seq)).unwrap();
                        model.entry(key).or_default().insert(seq);
                    }
                    Step::Tip => {
                        last = Some(tip(number as u64));
                        table.set_tip(tip(number as u64)).unwrap();
                    }
                    // Without a tip in between this is a crash.
                    Step::Reopen => table = OnceTable::open(&path).unwrap().unwrap(),
                }
                prop_assert_eq!(table.tip(), last);
                prop_assert_eq!(table.count, model.values().map(|seqs| seqs.len() as u64).sum::<u64>());
            }
            for (key, seqs) in &model {
                let found: BTreeSet<_> = table.get(key).unwrap().iter().map(|place| place.seq).collect();
                prop_assert_eq!(&found, seqs);
            }
            prop_assert_eq!(table.get("not there").unwrap(), vec![]);
        }

        #[test]
        fn a_flipped_bit_in_the_header_is_noticed(bit in 0..HEADER * 8) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("chain");
            let mut table = OnceTable::create(&path, 0).unwrap();
            table.insert("key", &place(7)).unwrap();
            table.set_tip(tip(7)).unwrap();
            let mut bytes = fs::read(&path).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            prop_assert!(OnceTable::open(&path).unwrap().is_none());
        }

        #[test]
        fn noise_in_the_slots_gives_wrong_candidates_at_worst(at in 0..SMALLEST as usize * SLOT, noise: [u8; 64]) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("chain");
            let mut table = OnceTable::create(&path, 0).unwrap();
            for seq in 0..30 {
                table.insert(&format!("key {seq}"), &place(seq)).unwrap();
            }
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len().min(HEADER + at + noise.len());
            bytes[HEADER + at..end].copy_from_slice(&noise[..end - HEADER - at]);
            fs::write(&path, bytes).unwrap();
            if let Some(mut table) = OnceTable::open(&path).unwrap() {
                for seq in 0..100 {
                    table.insert(&format!("key {seq}"), &place(seq)).unwrap();
                }
                for seq in 0..100 {
                    let found = table.get(&format!("key {seq}")).unwrap();
                    prop_assert!(found.contains(&place(seq)));
                }
            }
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
        let longer = [&whole[..], b"x"].concat();
        let foreign = b"x".repeat(whole.len());
        for broken in [&whole[..whole.len() - 1], &whole[..HEADER], &whole[..50], b"", &longer, &foreign] {
            fs::write(&path, broken).unwrap();
            assert!(OnceTable::open(&path).unwrap().is_none());
        }
    }

    #[test]
    fn inserting_again_after_a_crash_repairs_a_table_without_filling_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain");
        drop(OnceTable::create(&path, 0).unwrap());
        for round in 0..200 {
            let mut table = OnceTable::open(&path).unwrap().unwrap();
            assert_eq!(table.tip(), None);
            for seq in 0..=round {
                table.insert(&format!("key {seq}"), &place(seq)).unwrap();
            }
            assert_eq!(table.count, round + 1);
            assert!(table.count * 5 <= table.capacity * 3);
        }
        let mut table = OnceTable::open(&path).unwrap().unwrap();
        table.set_tip(tip(199)).unwrap();
        assert_eq!(OnceTable::open(&path).unwrap().unwrap().tip(), Some(tip(199)));
    }

    #[test]
    fn growing_leaves_one_file_that_holds_the_old_tip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain");
        let mut table = OnceTable::create(&path, 0).unwrap();
        table.set_tip(tip(3)).unwrap();
        let before = table.capacity;
        for seq in 0..before {
            table.insert(&seq.to_string(), &place(seq)).unwrap();
        }
        assert!(table.capacity > before);
        drop(table);
        let table = OnceTable::open(&path).unwrap().unwrap();
        assert_eq!((table.tip(), table.count), (Some(tip(3)), before));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_lookup_among_100_000_keys_reads_a_handful_of_slots() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = OnceTable::create(&folder.path().join("chain"), 0).unwrap();
        for seq in 0..100_000 {
            table.insert(&format!("key {seq}"), &place(seq)).unwrap();
        }
        let mut read = 0;
        for seq in (0..100_000).step_by(101) {
            let key = format!("key {seq}");
            assert_eq!(table.get(&key).unwrap(), vec![place(seq)]);
            let looked_at = |index: &u64| table.read_slot(*index).unwrap().is_some();
            read += 1 + table.probe(&hash_of(&key)).take_while(looked_at).count();
        }
        assert!(read < 990 * 6, "{read} slots read for 990 keys");
    }
}
