//! Which keys are no longer good, and how far back they still count: the text of `.receipts/revoked`.
//!
//! A line is a key's fingerprint and the last good heads of its chains, separated by single spaces:
//! `SHA256:<43 base64> <chain>@<seq> sha256:<64 hex> …`. An entry of such a key counts only if it is one of the
//! heads or an ancestor of one; a line without heads lets nothing of the key count. Times play no part, for a
//! stolen key can claim any.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::str::FromStr;

use super::ids::{ChainId, EntryRef, KeyId, ParseIdError};
use super::lines_of_text::{append_line, column, numbered_lines};

/// The lines of a revocation file; no key stands in it twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    entries: Vec<Revocation>,
    by_key: HashMap<KeyId, usize>,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The key that is no longer good.
    pub key: KeyId,
    /// The last good entries, at most one a chain.
    pub heads: Vec<EntryRef>,
    /// The line's number, counted from 1.
    pub line: usize,
}

/// Where and why a text is not a revocation file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct RevokedError {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in it, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl RevokedError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        self.problem.hint()
    }
}

/// What can be wrong with a line, or with what is to become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The line does not begin with a fingerprint, or a head is none.
    #[error(transparent)]
    Id(#[from] ParseIdError),
    /// Anything but one space between two words, or a space at an end of the line.
    #[error("a space too many")]
    Space,
    /// A head without its digest.
    #[error("head `{0}` has no digest")]
    NoDigest(String),
    /// Two heads in one chain.
    #[error("chain `{0}` has two heads")]
    TwoHeads(ChainId),
    /// The same key on an earlier line.
    #[error("key `{key}` is revoked in line {line} already")]
    Duplicate {
        /// The key.
        key: KeyId,
        /// The earlier line.
        line: usize,
    },
}

impl Problem {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Problem::Id(_) | Problem::NoDigest(_) => {
                "a line is `SHA256:<43 base64> <chain>@<seq> sha256:<64 hex> …`"
            }
            Problem::Space => {
                "separate words by a single space, without tabs, and end the line after the last"
            }
            Problem::TwoHeads(_) => "keep the last good entry of the chain; it covers those before it",
            Problem::Duplicate { .. } => "join the heads on one line",
        }
    }
}

/// Why a key cannot be revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// The text does not parse as it is.
    #[error(transparent)]
    Text(#[from] RevokedError),
    /// The line to be written would not parse.
    #[error(transparent)]
    Line(#[from] Problem),
}

impl RevokeError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            RevokeError::Text(error) => error.hint(),
            RevokeError::Line(problem) => problem.hint(),
        }
    }
}

impl FromStr for Revoked {
    type Err = RevokedError;
    fn from_str(text: &str) -> Result<Self, RevokedError> {
        Self::parse(text)
    }
}

impl Revoked {
    /// Reads the whole file; the first bad line is the error.
    pub fn parse(text: &str) -> Result<Self, RevokedError> {
        let mut revoked = Revoked::default();
        for (number, _, line) in numbered_lines(text) {
            let error = |(at, problem)| RevokedError { line: number, column: column(line, at), problem };
            let Some((key, heads)) = parse_line(line).map_err(error)? else { continue };
            if let Some(&earlier) = revoked.by_key.get(&key) {
                let line = revoked.entries[earlier].line;
                return Err(error((0, Problem::Duplicate { key, line })));
            }
            revoked.by_key.insert(key.clone(), revoked.entries.len());
            revoked.entries.push(Revocation { key, heads, line: number });
        }
        Ok(revoked)
    }

    /// Takes in another list: a key of either is revoked, and only what both leave good stays good.
    pub fn add(&mut self, other: Revoked) {
        for theirs in other.entries {
            let Some(&at) = self.by_key.get(&theirs.key) else {
                self.by_key.insert(theirs.key.clone(), self.entries.len());
                self.entries.push(theirs);
                continue;
            };
            let ours = &mut self.entries[at].heads;
            *ours = ours.iter().filter_map(|head| earlier(head, &theirs.heads)).collect();
        }
    }

    /// Every line with a key, in order.
    pub fn entries(&self) -> &[Revocation] {
        &self.entries
    }

    /// The last good heads of a revoked key; `None` where the key is not revoked.
    pub fn heads_of(&self, key: &KeyId) -> Option<&[EntryRef]> {
        self.by_key.get(key).map(|&at| self.entries[at].heads.as_slice())
    }
}

/// The head of the same chain that both would leave good; `None` where one of them leaves none, or they are about two
/// continuations of the chain.
fn earlier(head: &EntryRef, others: &[EntryRef]) -> Option<EntryRef> {
    let other = others.iter().find(|other| other.chain == head.chain)?;
    match head.seq.cmp(&other.seq) {
        std::cmp::Ordering::Less => Some(*head),
        std::cmp::Ordering::Greater => Some(*other),
        std::cmp::Ordering::Equal => (head == other).then_some(*head),
    }
}

/// The text with `key` revoked but for `heads` and what they build on; all other bytes stay.
///
/// A key that is revoked already gets its line replaced, or left alone where it names these heads.
pub fn revoke(text: &str, key: &KeyId, heads: &[EntryRef]) -> Result<String, RevokeError> {
    let mut heads = heads.to_vec();
    heads.sort_unstable();
    heads.dedup();
    if let Some(pair) = heads.windows(2).find(|pair| pair[0].chain == pair[1].chain) {
        return Err(Problem::TwoHeads(pair[0].chain).into());
    }
    let mut line = key.to_string();
    for head in &heads {
        write!(line, " {head}").expect("a string takes all that is written");
    }

    let revoked = Revoked::parse(text)?;
    let Some(&at) = revoked.by_key.get(key) else {
        return Ok(append_line(text, &line));
    };
    let old = &revoked.entries[at];
    let mut old_heads = old.heads.clone();
    old_heads.sort_unstable();
    if old_heads == heads {
        return Ok(text.to_owned());
    }
    let (_, start, old_line) =
        numbered_lines(text).nth(old.line - 1).expect("the line was just read from this text");
    let mut text = text.to_owned();
    text.replace_range(start..start + old_line.len(), &line);
    Ok(text)
}

type Line = (KeyId, Vec<EntryRef>);

fn parse_line(line: &str) -> Result<Option<Line>, (usize, Problem)> {
    let bare = line.trim_start_matches([' ', '\t']);
    if bare.is_empty() || bare.starts_with('#') {
        return Ok(None);
    }
    let mut at = 0;
    let mut words = Vec::new();
    for word in line.split(' ') {
        if word.is_empty() {
            return Err((at, Problem::Space));
        }
        words.push((at, word));
        at += word.len() + 1;
    }
    let (_, key) = words[0];
    let key = key.parse().map_err(|error: ParseIdError| (0, error.into()))?;
    let (mut heads, mut chains) = (Vec::new(), HashSet::new());
    for pair in words[1..].chunks(2) {
        let (at, place) = pair[0];
        let Some((_, digest)) = pair.get(1) else {
            let shown = place.chars().take(60).flat_map(char::escape_debug).collect();
            return Err((at, Problem::NoDigest(shown)));
        };
        let head: EntryRef =
            format!("{place} {digest}").parse().map_err(|error: ParseIdError| (at, error.into()))?;
        if !chains.insert(head.chain) {
            return Err((at, Problem::TwoHeads(head.chain)));
        }
        heads.push(head);
    }
    Ok(Some((key, heads)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ssh_key::private::Ed25519Keypair;

    use super::*;
    use crate::domain::ids::{Digest, Timestamp};

    fn key(seed: u8) -> KeyId {
        KeyId::of(&ssh_key::PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32])).public_key().clone())
    }

    fn head(chain: u128, seq: u64) -> EntryRef {
        let chain = ChainId::from_parts(Timestamp::from_unix_ms(1_700_000_000_000), chain);
        EntryRef { chain, seq, digest: Digest::of(&seq.to_be_bytes()) }
    }

    /// Puts values where a line says `KEY1`, `KEY2`, `HEAD1`, `HEAD2` or, in the chain of the first, `HEAD3`.
    fn fill(text: &str) -> String {
        let mut text = text.replace("KEY1", key(1).as_str()).replace("KEY2", key(2).as_str());
        for (name, head) in [("HEAD1", head(1, 7)), ("HEAD2", head(2, 0)), ("HEAD3", head(1, 8))] {
            text = text.replace(name, &head.to_string());
        }
        text.replace("CHAIN1", &head(1, 7).chain.to_string())
            .replace("DIGEST1", &head(1, 7).digest.to_string())
    }

    #[test]
    fn a_file_says_how_far_back_each_key_is_good() {
        let text = fill("# stolen\r\n\n \t\nKEY1 HEAD2 HEAD1\r\n  # lost, never used\nKEY2");
        let revoked = Revoked::parse(&text).unwrap();
        assert_eq!(revoked.heads_of(&key(1)), Some(&[head(2, 0), head(1, 7)][..]));
        assert_eq!(revoked.heads_of(&key(2)), Some(&[][..]));
        assert_eq!(revoked.heads_of(&key(3)), None);
        assert_eq!(revoked.entries().iter().map(|entry| entry.line).collect::<Vec<_>>(), [4, 6]);
    }

    #[test]
    fn every_refusal_names_its_place_and_cause() {
        let form = "is not a key fingerprint of the form `SHA256:<43 base64 characters>`";
        let entry = "is not an entry of the form `<chain>@<seq> sha256:<64 hex digits>`";
        let (chain, digest) = (head(1, 7).chain, head(1, 7).digest);
        let cut = |text: String| text[..80].to_owned() + "…";
        for (text, message) in [
            ("x", format!("line 1, column 1: `x` {form}")),
            ("KEY1=", format!("line 1, column 1: `{}=` {form}", key(1))),
            ("\n\u{1b}[2J", format!("line 2, column 1: `\\u{{1b}}[2J` {form}")),
            ("KEY1\tHEAD1", format!("line 1, column 1: `{}\\t{chain}@7` {form}", key(1))),
            (" KEY1", "line 1, column 1: a space too many".to_owned()),
            ("KEY1 ", "line 1, column 52: a space too many".to_owned()),
            ("KEY1  HEAD1", "line 1, column 52: a space too many".to_owned()),
            ("KEY1 HEAD1 CHAIN1@9", format!("line 1, column 153: head `{chain}@9` has no digest")),
            ("KEY1 # x", format!("line 1, column 52: `# x` {entry}")),
            (
                "KEY1 CHAIN1 DIGEST1",
                format!("line 1, column 52: `{}` {entry}", cut(format!("{chain} {digest}"))),
            ),
            (
                "KEY1 CHAIN1@07 DIGEST1",
                format!("line 1, column 52: `{}` {entry}", cut(format!("{chain}@07 {digest}"))),
            ),
            ("KEY1 HEAD1 HEAD3", format!("line 1, column 153: chain `{chain}` has two heads")),
            ("KEY1 HEAD1 HEAD1", format!("line 1, column 153: chain `{chain}` has two heads")),
            (
                "KEY1\nKEY2\nKEY1 HEAD1",
                format!("line 3, column 1: key `{}` is revoked in line 1 already", key(1)),
            ),
        ] {
            let error = Revoked::parse(&fill(text)).expect_err(text);
            assert_eq!(error.to_string(), message, "{text}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn revoking_keeps_every_other_byte() {
        for (before, heads, after) in [
            ("", vec![], "KEY1\n"),
            ("# x", vec![head(2, 0), head(1, 7), head(2, 0)], "# x\nKEY1 HEAD1 HEAD2\n"),
            ("KEY2\r\n", vec![head(1, 7)], "KEY2\r\nKEY1 HEAD1\r\n"),
            ("KEY1 HEAD2 HEAD1\r\n# x", vec![head(1, 7), head(2, 0)], "KEY1 HEAD2 HEAD1\r\n# x"),
            ("# x\r\nKEY1 HEAD1\r\nKEY2", vec![head(1, 8)], "# x\r\nKEY1 HEAD3\r\nKEY2"),
            ("# x\nKEY1 HEAD1", vec![], "# x\nKEY1"),
        ] {
            assert_eq!(revoke(&fill(before), &key(1), &heads).unwrap(), fill(after), "{before}");
        }
        let forked = revoke("", &key(1), &[head(1, 7), head(1, 8)]).unwrap_err();
        assert_eq!(forked.to_string(), format!("chain `{}` has two heads", head(1, 7).chain));
        assert_eq!(revoke(" x", &key(1), &[]).unwrap_err().to_string(), "line 1, column 1: a space too many");
    }

    fn files() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "KEY1", "KEY2", " HEAD1", " HEAD2", " HEAD3", " ", "\n", "\r\n", "\nKEY1", "\nKEY2", "\t", "# x",
            "@", "\0",
        ]);
        prop::collection::vec(piece, 0..8).prop_map(|pieces| fill(&pieces.concat()))
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), files()]) {
            if let Err(error) = Revoked::parse(&text) {
                let line = text.split('\n').nth(error.line - 1).unwrap();
                prop_assert!((1..=line.chars().count() + 1).contains(&error.column), "{error}");
            }
        }

        #[test]
        fn what_was_revoked_is_read_back(
            text in files(),
            seed in 1..4u8,
            chains in prop::collection::btree_map(0..9u128, any::<u64>(), 0..4),
        ) {
            let Ok(before) = Revoked::parse(&text) else { return Ok(()) };
            let heads: Vec<_> = chains.into_iter().map(|(chain, seq)| head(chain, seq)).collect();
            let new = revoke(&text, &key(seed), &heads).unwrap();
            let after = Revoked::parse(&new).unwrap();
            let mut read = after.heads_of(&key(seed)).unwrap().to_vec();
            read.sort();
            prop_assert_eq!(&read, &heads);
            prop_assert_eq!(revoke(&new, &key(seed), &heads).unwrap(), new);
            let others = |revoked: &Revoked| -> Vec<Revocation> {
                revoked.entries().iter().filter(|entry| entry.key != key(seed)).cloned().collect()
            };
            prop_assert_eq!(others(&before), others(&after));
        }
    }
}
