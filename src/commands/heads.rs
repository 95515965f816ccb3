//! The heads of chains: expected, remembered and witnessed, so that what is cut off afterwards is missed.

use std::collections::HashSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::verify::Picture;
use super::{Context, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::data::HeadsWitnessed;
use crate::domain::fact::{Fact, HEADS_MAX};
use crate::domain::ids::{ChainId, EntryRef};
use crate::domain::verify::{Named, NamedBy};
use crate::store::ChainScope;

/// The last entry of a chain. A list of these is what `--expect` reads.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HeadView {
    /// The chain.
    pub chain: String,
    /// The place of its last entry, counted from 0.
    pub seq: u64,
    /// The digest of that entry.
    pub digest: String,
}

impl From<EntryRef> for HeadView {
    fn from(head: EntryRef) -> Self {
        HeadView { chain: head.chain.to_string(), seq: head.seq, digest: head.digest.to_string() }
    }
}

/// What this clone remembers now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Remembered {
    /// How many heads were seen.
    pub heads: u64,
    /// Whether that was news.
    pub changed: bool,
}

/// What was signed about heads.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Witnessed {
    /// How many heads were not signed by this key before, and are now.
    pub heads: u64,
    /// The entries that name them.
    pub entries: Vec<String>,
    /// Chains that were left out because their signers are not known.
    pub strangers: u64,
}

impl Context {
    /// The entries that must be here: written last by this clone, remembered by it, or expected by a file.
    ///
    /// # Errors
    /// When what is remembered is damaged, or the file does not hold heads.
    pub fn named_heads(&self, expected: Option<&Path>) -> anyhow::Result<(Vec<Named>, Option<u64>)> {
        let mut named = self.written_heads();
        let written: HashSet<EntryRef> = named.iter().map(|named| named.entry).collect();
        let seen = self.store.remembered_heads()?.into_iter().filter(|head| !written.contains(head));
        named.extend(seen.map(|entry| Named { entry, by: NamedBy::Seen }));
        let Some(file) = expected else { return Ok((named, None)) };
        let expected = read_heads(file)?;
        let count = expected.len() as u64;
        named.extend(expected.into_iter().map(|entry| Named { entry, by: NamedBy::Expected }));
        Ok((named, Some(count)))
    }

    /// The last entries that this clone wrote to its own chains.
    pub fn written_heads(&self) -> Vec<Named> {
        let tips = self.store.remembered_tips().into_iter();
        tips.map(|entry| Named { entry, by: NamedBy::Written }).collect()
    }

    /// Signs the heads of known signers' chains, other than the one that is signed to. What this key has signed
    /// before, to whichever of its chains, is not signed again.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub fn witness(&self, picture: &Picture) -> anyhow::Result<(Witnessed, Option<EntryRef>)> {
        let signer = self.recorder()?.id();
        let own = self.store.current_chain(&ChainScope::Console, signer);
        let told: HashSet<EntryRef> = picture
            .history
            .links
            .values()
            .filter(|link| picture.verdict.counted.contains(&link.commit))
            .filter_map(|link| Some(&link.entry.as_ref()?.body))
            .filter(|body| body.signer == *signer)
            .flat_map(|body| body.fact.mentions().into_iter().chain(body.cites.iter().copied()))
            .collect();
        let others = || picture.verdict.chains.iter().filter(|chain| Some(chain.chain) != own);
        // A stranger could have a chain witnessed and take it away, which would be a finding everywhere for good.
        let strangers = others().filter(|chain| !chain.known).count() as u64;
        let known = others().filter(|chain| chain.known).filter_map(|chain| chain.head);
        let heads: Vec<EntryRef> = known.filter(|head| !told.contains(head)).collect();
        let drafts = drafts(&heads);
        let entries = match drafts.is_empty() {
            true => Vec::new(),
            false => self.append(drafts)?.entries,
        };
        let witnessed = Witnessed {
            heads: heads.len() as u64,
            entries: entries
                .iter()
                .map(|entry| format!("{}@{}", entry.entry.chain, entry.entry.seq))
                .collect(),
            strangers,
        };
        Ok((witnessed, entries.last().map(|entry| entry.entry)))
    }
}

/// The entries that name `heads`, each as many as one may.
fn drafts(heads: &[EntryRef]) -> Vec<Draft> {
    let draft = |heads: &[EntryRef]| {
        let title = match heads.len() {
            1 => "saw the head of 1 chain".to_owned(),
            n => format!("saw the heads of {n} chains"),
        };
        Draft::new(None, &title, Fact::HeadsWitnessed(HeadsWitnessed { heads: heads.to_vec() }))
    };
    heads.chunks(HEADS_MAX).map(draft).collect()
}

/// Puts the new head of a chain in the place of the one before.
pub fn advance(heads: &mut Vec<EntryRef>, new: EntryRef) {
    let place = |chain: ChainId| move |head: &EntryRef| head.chain.cmp(&chain);
    match heads.binary_search_by(place(new.chain)) {
        Ok(at) => heads[at] = new,
        Err(at) => heads.insert(at, new),
    }
}

/// Reads a JSON list of heads, or a document of `verify --json`, which has one.
fn read_heads(path: &Path) -> anyhow::Result<Vec<EntryRef>> {
    let wrong = |cause: String| {
        let message = format!("`{}` holds no heads: {cause}", path.display());
        user_error(message, "`git receipt verify --json | jq .heads` writes a list of them")
    };
    let text = super::open::read_text(path)?;
    let mut value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if let Some(heads) = value.get_mut("heads") {
        value = heads.take();
    }
    let Value::Array(heads) = value else { return Err(wrong("it is not a list".into())) };
    let read = |(at, head)| {
        serde_json::from_value(head).map_err(|error| wrong(format!("element {at} of the list: {error}")))
    };
    heads.into_iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entry::Writer;
    use crate::domain::ids::{Digest, Oid, Timestamp};

    fn head(n: u64) -> EntryRef {
        let chain = ChainId::from_parts(Timestamp::from_unix_ms(0), n.into());
        // The longest number that a body can hold.
        EntryRef { chain, seq: (1 << 53) - 1 - n, digest: Digest::of(&n.to_be_bytes()) }
    }

    #[test]
    fn many_heads_are_split_over_entries_that_fit() {
        let heads: Vec<EntryRef> = (0..HEADS_MAX as u64 * 2 + 1).map(head).collect();
        let drafts = drafts(&heads);
        let writer = Writer {
            repo: Oid::Sha256([0; 32]),
            chain: heads[0].chain,
            signer: "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".parse().unwrap(),
            name: String::new(),
            email: String::new(),
        };
        let mut named = Vec::new();
        for draft in drafts {
            named.push(draft.fact.mentions());
            writer.place(draft, None, Timestamp::from_unix_ms(0)).to_bytes().expect("it fits a body");
        }
        assert_eq!(named.iter().map(Vec::len).collect::<Vec<_>>(), [HEADS_MAX, HEADS_MAX, 1]);
        assert_eq!(named.concat(), heads);
        assert!(super::drafts(&[]).is_empty(), "nothing to say is not said");
    }

    #[test]
    fn a_new_head_takes_the_place_of_the_one_before() {
        let mut heads = vec![head(1), head(3)];
        let newer = EntryRef { seq: 7, ..head(3) };
        advance(&mut heads, newer);
        advance(&mut heads, head(2));
        assert_eq!(heads, [head(1), head(2), newer]);
    }
}
