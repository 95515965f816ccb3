//! Lines that a fork left as they were, and where they were proposed first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use super::attribute::Claim;
use crate::commands::Context;
use crate::commands::evidence::{Known, without_end};
use crate::commands::proposal::Loaded;
use crate::domain::fact::values::GitPath;
use crate::domain::fold::{Origin, ProposalState, Receipt};
use crate::domain::ids::{Digest, EntryRef, Oid, ReceiptId};
use crate::domain::lines::{Blobs, Op};

/// A line of the proposal that a fork continues from, word for word that of the fork's own.
#[derive(Debug, Clone)]
pub struct First {
    /// The receipt that proposed it.
    pub receipt: ReceiptId,
    /// The entry of that proposal.
    pub entry: EntryRef,
    /// The line's number there.
    pub number: u64,
    /// The file.
    pub path: GitPath,
    /// The file as it was proposed.
    pub blob: Oid,
    /// The line's place in it, from 1.
    pub line: u64,
}

/// An accepted line, as in [`Claim::number`].
type Numbered = (usize, u64);

/// Where lines were proposed first that claims name, for those that forks took over.
pub fn find(ctx: &Context, known: &Known, claims: &[Vec<Claim>]) -> HashMap<Numbered, First> {
    let named: HashSet<Numbered> = claims.iter().flatten().filter_map(|claim| claim.number).collect();
    let mut following = Following { ctx, known, proposed: HashMap::new() };
    named.into_iter().filter_map(|line| Some((line, following.first(line)?))).collect()
}

/// The lines that a proposal brings to a file, by their text: their numbers, and their places in the file.
struct Brought {
    blob: Oid,
    by_text: HashMap<Vec<u8>, Vec<(u64, u64)>>,
}

struct Following<'a> {
    ctx: &'a Context,
    known: &'a Known,
    /// What proposals that forks continue from bring, by their entries; nothing where that is not here.
    proposed: HashMap<Digest, Rc<BTreeMap<GitPath, Brought>>>,
}

impl Following<'_> {
    fn first(&mut self, (at, number): Numbered) -> Option<First> {
        let (receipt, _) = self.known.candidate(at);
        let line = self.known.picture.folded.line_before(receipt);
        if line.is_empty() {
            return None;
        }
        let loaded = self.known.loaded(self.ctx, at).ok()?;
        let (path, mut place) = loaded.table.proposed_line(number)?;
        let bytes = Blobs::blob(&self.ctx.store, &loaded.proposed.get(&path)?.oid).ok()?;
        let index = usize::try_from(place.checked_sub(1)?).ok()?;
        let text = without_end(bytes.split(|byte| *byte == b'\n').nth(index)?);
        let mut first = None;
        for before in line {
            // One that proposed nothing by then changed nothing either.
            let Some(proposal) = continued(receipt, before) else { continue };
            let proposed = self.brought(proposal);
            let Some(brought) = proposed.get(&path) else { break };
            let same = brought.by_text.get(text).into_iter().flatten();
            let Some(&(number, line)) = same.min_by_key(|(_, line)| line.abs_diff(place)) else { break };
            place = line;
            let path = path.clone();
            first = Some(First {
                receipt: before.id,
                entry: proposal.entry,
                number,
                path,
                blob: brought.blob,
                line,
            });
        }
        first
    }

    fn brought(&mut self, proposal: &ProposalState) -> Rc<BTreeMap<GitPath, Brought>> {
        if let Some(there) = self.proposed.get(&proposal.entry.digest) {
            return there.clone();
        }
        let read = Loaded::read(&self.ctx.store, &proposal.made);
        let brought = Rc::new(read.map(|loaded| self.read(&loaded)).unwrap_or_default());
        self.proposed.insert(proposal.entry.digest, brought.clone());
        brought
    }

    fn read(&self, loaded: &Loaded) -> BTreeMap<GitPath, Brought> {
        let mut all = BTreeMap::new();
        for file in loaded.table.files() {
            let Some(blob) = file.proposed else { continue };
            let Ok(bytes) = Blobs::blob(&self.ctx.store, &blob) else { continue };
            let texts: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').map(without_end).collect();
            let mut by_text: HashMap<Vec<u8>, Vec<(u64, u64)>> = HashMap::new();
            for (first, op) in file.numbered() {
                let (Op::Add { from, n, .. } | Op::Mutate { from, n, .. }) = *op else { continue };
                for offset in 0..n {
                    let index = usize::try_from(from + offset - 1).unwrap_or(usize::MAX);
                    let Some(text) = texts.get(index) else { break };
                    by_text.entry(text.to_vec()).or_default().push((first + offset, from + offset));
                }
            }
            all.insert(file.path.clone(), Brought { blob, by_text });
        }
        all
    }
}

/// The newest proposal of `before` among what `fork` inherited.
fn continued<'r>(fork: &Receipt, before: &'r Receipt) -> Option<&'r ProposalState> {
    let mut inherited = fork.origin.iter().flat_map(Origin::steps).rev();
    inherited.find_map(|step| before.proposals.iter().find(|proposal| proposal.entry == step.entry))
}
