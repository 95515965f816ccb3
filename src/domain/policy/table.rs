//! TOML whose parts know where they stand, and say what they are where something else is expected.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Flaw, flaw};

/// A value and the byte of the text that it begins at.
#[derive(Debug)]
pub(super) struct At<T> {
    pub at: usize,
    pub value: T,
}

/// Any value of TOML.
pub(super) type Value<'t> = At<DeValue<'t>>;

/// A table by its keys.
pub(super) struct Table<'t> {
    pub at: usize,
    pairs: BTreeMap<String, (usize, Value<'t>)>,
}

impl<'t> Table<'t> {
    /// Reads the whole text; the error is what TOML does not allow.
    pub(super) fn document(text: &'t str) -> Result<Self, Flaw> {
        match DeTable::parse(text) {
            Ok(table) => Ok(Self::new(table.span().start, table.into_inner())),
            Err(error) => flaw(
                error.span().map_or(0, |span| span.start),
                error.message().replace(char::is_control, "?"),
                "a policy is written in TOML: `key = \"value\"` on a line, lists as `[\"a\", \"b\"]`",
            ),
        }
    }

    fn new(at: usize, table: DeTable<'t>) -> Self {
        let pair = |(key, value): (Spanned<_>, _)| {
            let at = key.span().start;
            (std::borrow::Cow::into_owned(key.into_inner()), (at, placed(value)))
        };
        Table { at, pairs: table.into_iter().map(pair).collect() }
    }

    /// Refuses the first key that is not among these.
    pub(super) fn only(&self, known: &[&str], hint: &'static str) -> Result<(), Flaw> {
        let strange = self.pairs.iter().filter(|(key, _)| !known.contains(&key.as_str()));
        match strange.min_by_key(|(_, (at, _))| *at) {
            Some((key, (at, _))) => flaw(*at, format!("unknown key `{}`", super::shown(key)), hint),
            None => Ok(()),
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value<'t>> {
        self.pairs.remove(key).map(|(_, value)| value)
    }

    /// Keys and values in the order of the text.
    pub(super) fn in_order(self) -> Vec<(At<String>, Value<'t>)> {
        let pairs = self.pairs.into_iter().map(|(key, (at, value))| (At { at, value: key }, value));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by_key(|(key, _)| key.at);
        pairs
    }
}

fn placed<T>(value: Spanned<T>) -> At<T> {
    At { at: value.span().start, value: value.into_inner() }
}

impl<'t> Value<'t> {
    pub(super) fn table(self) -> Result<Table<'t>, Flaw> {
        match self.value {
            DeValue::Table(table) => Ok(Table::new(self.at, table)),
            _ => self.instead_of("a table"),
        }
    }

    pub(super) fn list(self) -> Result<At<Vec<Value<'t>>>, Flaw> {
        match self.value {
            DeValue::Array(list) => Ok(At { at: self.at, value: list.into_iter().map(placed).collect() }),
            _ => self.instead_of("a list"),
        }
    }

    pub(super) fn string(self) -> Result<At<String>, Flaw> {
        match self.value {
            DeValue::String(text) => Ok(At { at: self.at, value: text.into_owned() }),
            _ => self.instead_of("a string"),
        }
    }

    pub(super) fn strings(self) -> Result<At<Vec<At<String>>>, Flaw> {
        let At { at, value } = self.list()?;
        Ok(At { at, value: value.into_iter().map(Value::string).collect::<Result<_, _>>()? })
    }

    pub(super) fn number(self) -> Result<At<i64>, Flaw> {
        match &self.value {
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(value) => Ok(At { at: self.at, value }),
                Err(_) => flaw(self.at, "a number out of all bounds", "write a smaller one"),
            },
            _ => self.instead_of("a whole number"),
        }
    }

    pub(super) fn boolean(self) -> Result<At<bool>, Flaw> {
        match self.value {
            DeValue::Boolean(value) => Ok(At { at: self.at, value }),
            _ => self.instead_of("`true` or `false`"),
        }
    }

    fn instead_of<T>(self, expected: &str) -> Result<T, Flaw> {
        let is = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let hint = match expected {
            "a string" => "put double quotes around it",
            "a list" if is == "a table" => {
                "the heading of a rule is `[[rule]]`, with two brackets on each side; lists are `[\"a\", \"b\"]`"
            }
            "a list" => "put brackets around it: `[\"a\", \"b\"]`",
            "a table" => {
                "a table is `{ key = \"value\" }`, or a heading `[table]` with its keys on the lines below"
            }
            _ => "write it without quotes",
        };
        flaw(self.at, format!("{is} where {expected} is expected"), hint)
    }
}
