//! A table's canonical bytes, and the strict reader of them.
//!
//! Reading goes straight into typed values, so a large table costs a small multiple of its length, and ends in
//! writing them again: whatever is not the one canonical spelling differs there.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Mode;
use super::table::{FileLines, MAX_BYTES, Op, TableError};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;

/// Keys in byte order, as canonical JSON wants them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWire {
    #[serde(deserialize_with = "Option::deserialize")]
    base: Option<Oid>,
    first: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_lines: Option<Vec<u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_path: Option<GitPath>,
    ops: Vec<Op>,
    path: GitPath,
    #[serde(deserialize_with = "Option::deserialize")]
    proposed: Option<Oid>,
}

#[derive(Serialize)]
struct TableOut<'a> {
    files: Vec<FileOut<'a>>,
}

#[derive(Serialize)]
struct FileOut<'a> {
    base: &'a Option<Oid>,
    first: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_lines: &'a Option<Vec<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_path: &'a Option<GitPath>,
    ops: &'a [Op],
    path: &'a GitPath,
    proposed: &'a Option<Oid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableWire {
    files: Vec<FileWire>,
}

pub(super) fn write(files: &[FileLines]) -> Result<Vec<u8>, TableError> {
    let files = files.iter().map(|file| FileOut {
        base: &file.base,
        first: file.first,
        from_lines: &file.from_lines,
        old_path: &file.old_path,
        ops: &file.ops,
        path: &file.path,
        proposed: &file.proposed,
    });
    let bytes = serde_json::to_vec(&TableOut { files: files.collect() })
        .map_err(|error| TableError::whole(error.to_string()))?;
    within_limit(bytes.len())?;
    Ok(bytes)
}

fn within_limit(length: usize) -> Result<(), TableError> {
    if length > MAX_BYTES {
        return Err(TableError::whole(format!("{length} bytes of table where {MAX_BYTES} are allowed")));
    }
    Ok(())
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<FileLines>, TableError> {
    within_limit(bytes.len())?;
    let table: TableWire =
        serde_json::from_slice(bytes).map_err(|error| TableError::whole(error.to_string()))?;
    let files: Vec<FileLines> = table
        .files
        .into_iter()
        .map(|file| FileLines {
            path: file.path,
            old_path: file.old_path,
            base: file.base,
            proposed: file.proposed,
            first: file.first,
            ops: file.ops,
            from_lines: file.from_lines,
        })
        .collect();
    let canonical = write(&files)?;
    if canonical != bytes {
        let same = canonical.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
        return Err(TableError::whole(format!("not in canonical form at byte {same}")));
    }
    Ok(files)
}

impl Serialize for Op {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn tuple<S: Serializer>(serializer: S, tag: &str, rest: &[u64]) -> Result<S::Ok, S::Error> {
            let mut tuple = serializer.serialize_tuple(1 + rest.len())?;
            tuple.serialize_element(tag)?;
            for number in rest {
                tuple.serialize_element(number)?;
            }
            tuple.end()
        }
        match *self {
            Op::Add { at, from, n } => tuple(serializer, "+", &[at, from, n]),
            Op::Remove { at, n } => tuple(serializer, "-", &[at, n]),
            Op::Mutate { at, from, n } => tuple(serializer, "~", &[at, from, n]),
            Op::Move { at, n, to, from } => tuple(serializer, ">", &[at, n, to, from]),
            Op::Create => tuple(serializer, "file+", &[]),
            Op::Delete => tuple(serializer, "file-", &[]),
            Op::Bytes => tuple(serializer, "bytes", &[]),
            Op::Type => tuple(serializer, "type", &[]),
            Op::Rename => tuple(serializer, "rename", &[]),
            Op::Cap { from, to } => ("cap", from.as_str(), to.as_str()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(OpVisitor)
    }
}

struct OpVisitor;

impl<'de> Visitor<'de> for OpVisitor {
    type Value = Op;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an operation such as [\"+\",1,1,1]")
    }

    /// Elements left over are refused by the caller.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Op, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(items: &mut A) -> Result<T, A::Error> {
            items.next_element()?.ok_or_else(|| de::Error::custom("operation is too short"))
        }
        fn bit<'de, A: SeqAccess<'de>>(items: &mut A) -> Result<Mode, A::Error> {
            match next::<String, A>(items)?.as_str() {
                "100644" => Ok(Mode::File),
                "100755" => Ok(Mode::Executable),
                _ => Err(de::Error::custom("`cap` is between `100644` and `100755`")),
            }
        }
        let tag: String = next(&mut items)?;
        Ok(match tag.as_str() {
            "+" => Op::Add { at: next(&mut items)?, from: next(&mut items)?, n: next(&mut items)? },
            "-" => Op::Remove { at: next(&mut items)?, n: next(&mut items)? },
            "~" => Op::Mutate { at: next(&mut items)?, from: next(&mut items)?, n: next(&mut items)? },
            ">" => Op::Move {
                at: next(&mut items)?,
                n: next(&mut items)?,
                to: next(&mut items)?,
                from: next(&mut items)?,
            },
            "file+" => Op::Create,
            "file-" => Op::Delete,
            "bytes" => Op::Bytes,
            "type" => Op::Type,
            "rename" => Op::Rename,
            "cap" => Op::Cap { from: bit(&mut items)?, to: bit(&mut items)? },
            _ => return Err(de::Error::custom("unknown operation")),
        })
    }
}
