//! The only bytes that are hashed and signed: RFC 8785 (JCS), narrowed.
//!
//! A body is UTF-8 JSON of objects, arrays, strings, booleans, null and whole numbers within ±(2^53−1), with
//! keys of `[a-z0-9_]`, at most [`MAX_BYTES`] long and [`MAX_DEPTH`] deep, in the one form that [`write()`] gives
//! it. [`read`] refuses everything else and says where.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The longest body in bytes.
pub const MAX_BYTES: usize = 65_536;
/// The deepest nesting; the outermost object is level 1.
pub const MAX_DEPTH: usize = 32;
/// The largest magnitude of a number, 2^53−1: what RFC 8785 (and so any JavaScript reader) keeps exactly.
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Why bytes are not canonical.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct CanonicalError {
    /// What is wrong there.
    pub problem: String,
    /// Where, counted from 0.
    pub offset: usize,
}

/// Writes `value` in canonical form.
///
/// # Errors
/// When the value holds what the narrowed form cannot say (see the module), or comes out too long. The offset is
/// that in the text `value` would have had.
pub fn write(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let bytes = serde_json_canonicalizer::to_vec(value)
        .map_err(|error| CanonicalError { problem: error.to_string(), offset: 0 })?;
    read(&bytes)?;
    Ok(bytes)
}

/// Reads canonical bytes.
///
/// # Errors
/// When `bytes` are anything but the canonical form of what they say; the error names the first offending byte.
pub fn read(bytes: &[u8]) -> Result<Value, CanonicalError> {
    if bytes.len() > MAX_BYTES {
        return Err(CanonicalError {
            problem: format!("{} bytes where {MAX_BYTES} are allowed", bytes.len()),
            offset: MAX_BYTES,
        });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| CanonicalError { problem: "invalid UTF-8".into(), offset: error.valid_up_to() })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 1, ordered: true }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| located(text, &error))?;
    // With whole numbers, and keys of ASCII that came in order, plain serialisation is the canonical one at a third of
    // the cost; a property test holds the two together.
    let canonical = serde_json::to_vec(&value)
        .map_err(|error| CanonicalError { problem: error.to_string(), offset: 0 })?;
    if canonical == bytes {
        return Ok(value);
    }
    let same = canonical.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
    Err(CanonicalError { problem: "not in canonical form".into(), offset: same })
}

/// Reads JSON that people write: in any form, but with nothing in it that a body could not say.
///
/// # Errors
/// When it is no JSON, has a key twice, or what a body cannot hold.
pub fn read_any_form(bytes: &[u8]) -> Result<Value, CanonicalError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| CanonicalError { problem: "invalid UTF-8".into(), offset: error.valid_up_to() })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 1, ordered: false }.deserialize(&mut reader);
    value.and_then(|value| reader.end().map(|()| value)).map_err(|error| located(text, &error))
}

/// Turns serde_json's line and column into a byte offset and drops them from the message.
fn located(text: &str, error: &serde_json::Error) -> CanonicalError {
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let message = error.to_string();
    let problem = message.rsplit_once(" at line ").map_or(message.as_str(), |(problem, _)| problem);
    CanonicalError {
        problem: problem.to_owned(),
        offset: (line_start + error.column().saturating_sub(1)).min(text.len()),
    }
}

/// Reads a value at nesting level `depth` and below, refusing what serde_json passes over: equal keys, rounded
/// numbers, odd keys, depth.
struct Strict {
    depth: usize,
    /// Whether keys have to come in order.
    ordered: bool,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Strict {
    fn check_depth<E: de::Error>(&self) -> Result<(), E> {
        if self.depth > MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_INTEGER.unsigned_abs() {
            return Err(E::custom("number beyond 2^53-1"));
        }
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_INTEGER.unsigned_abs() {
            return Err(E::custom("number beyond 2^53-1"));
        }
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom("number that is not a whole one within 2^53-1"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut values = Vec::new();
        while let Some(value) =
            items.next_element_seed(Strict { depth: self.depth + 1, ordered: self.ordered })?
        {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key.is_empty() || !key.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
                return Err(de::Error::custom(format_args!(
                    "key `{}` outside [a-z0-9_]+",
                    key.escape_debug()
                )));
            }
            if object.contains_key(&key) {
                return Err(de::Error::custom(format_args!("key `{key}` twice")));
            }
            if self.ordered && object.keys().next_back().is_some_and(|last| *last > key) {
                return Err(de::Error::custom(format_args!("key `{key}` out of order")));
            }
            let value = entries.next_value_seed(Strict { depth: self.depth + 1, ordered: self.ordered })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-MAX_INTEGER..=MAX_INTEGER).prop_map(Value::from),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map("[a-z0-9_]{1,8}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back(value in any_value()) {
            prop_assert_eq!(read(&write(&value).unwrap()).unwrap(), value);
        }

        #[test]
        fn plain_serialisation_of_what_we_allow_is_canonical(value in any_value()) {
            prop_assert_eq!(serde_json::to_vec(&value).unwrap(), serde_json_canonicalizer::to_vec(&value).unwrap());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = read(&bytes) {
                prop_assert_eq!(write(&value).unwrap(), bytes);
            }
        }

        #[test]
        fn changing_a_byte_changes_the_value_or_is_refused(value in any_value(), at in any::<usize>(), to in any::<u8>()) {
            let bytes = write(&value).unwrap();
            let mut changed = bytes.clone();
            let at = at % bytes.len();
            changed[at] = to;
            if changed != bytes && let Ok(other) = read(&changed) {
                prop_assert_ne!(other, value);
            }
        }
    }

    #[test]
    fn every_sort_of_laxness_is_refused_with_its_place() {
        for (bytes, problem, offset) in [
            (&b"{\"a\": 1}"[..], "not in canonical form", 5),
            (b"{\"b\":1,\"a\":2}", "key `a` out of order", 9),
            (b"{\"a\":1,\"a\":1}", "key `a` twice", 9),
            (b"{\"a\":1.0}", "number that is not a whole one within 2^53-1", 7),
            (b"{\"a\":1e2}", "number that is not a whole one within 2^53-1", 7),
            (b"{\"a\":-0}", "number that is not a whole one within 2^53-1", 6),
            (b"{\"a\":9007199254740992}", "number beyond 2^53-1", 20),
            (b"{\"a\":-9007199254740992}", "number beyond 2^53-1", 21),
            (b"{\"a\":18446744073709551616}", "number that is not a whole one within 2^53-1", 24),
            (b"{\"A\":1}", "key `A` outside [a-z0-9_]+", 3),
            (b"{\"\":1}", "key `` outside [a-z0-9_]+", 2),
            (b"{\"a\":\"\\u0041\"}", "not in canonical form", 6),
            (b"{\"a\":\"\\u000A\"}", "not in canonical form", 7),
            (b"{\"a\":\"\\u001F\"}", "not in canonical form", 11),
            (b"{\"a\":\"\\/\"}", "not in canonical form", 6),
            (b"{\"a\":\"\\ud800\"}", "unexpected end of hex escape", 12),
            (b"{\"a\":\"\xff\"}", "invalid UTF-8", 6),
            (b"{\"a\":1}\n", "not in canonical form", 7),
            (b"{\"a\":1}{}", "trailing characters", 7),
            (b"\xef\xbb\xbf{}", "expected value", 0),
        ] {
            let error = read(bytes).expect_err(&String::from_utf8_lossy(bytes));
            assert_eq!(
                (error.problem.as_str(), error.offset),
                (problem, offset),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn limits_are_exact() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(nested(32).as_bytes()).is_ok());
        assert!(read(nested(33).as_bytes()).is_err());
        assert!(read(nested(30_000).as_bytes()).is_err(), "deep nesting is refused, never a stack overflow");
        let long = |n: usize| format!("\"{}\"", "x".repeat(n - 2));
        assert!(read(long(MAX_BYTES).as_bytes()).is_ok());
        assert!(read(long(MAX_BYTES + 1).as_bytes()).is_err());
    }

    #[test]
    fn strings_of_rfc_8785_keep_their_form() {
        // The string of RFC 8785, section 3.2.2.2, as its section 3.2.4 writes it.
        let text = "\u{20ac}$\u{f}\nA'B\"\\\\\"/";
        assert_eq!(
            write(&Value::String(text.into())).unwrap(),
            "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"".as_bytes()
        );
    }
}
