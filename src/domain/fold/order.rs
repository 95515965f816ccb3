//! The one order of entries, and what each entry could have seen.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use crate::domain::chain::{Link, SignedEntry};
use crate::domain::ids::{ChainId, EntryRef, Oid, OidMap, OidSet};

/// Entries in the order of chain position and citation, the ready ones by time and digest.
pub struct Order<'a> {
    /// The entries.
    pub entries: Vec<Placed<'a>>,
}

/// An entry with what it could have seen.
pub struct Placed<'a> {
    /// Its commit.
    pub link: &'a Link,
    /// What it says.
    pub entry: &'a SignedEntry,
    /// The highest seq of every other chain in its causal past, shared along a chain between citations.
    seen: Arc<BTreeMap<ChainId, u64>>,
}

impl Placed<'_> {
    /// Whether `other` lies in this entry's causal past.
    pub fn saw(&self, other: &Placed<'_>) -> bool {
        let (own, theirs) = (&self.entry.body, &other.entry.body);
        if own.chain == theirs.chain {
            return theirs.seq < own.seq;
        }
        self.seen.get(&theirs.chain).is_some_and(|seq| *seq >= theirs.seq)
    }
}

/// The one order of all entries, by what each is called, with what each could see.
pub struct Pasts {
    entries: HashMap<EntryRef, (usize, Arc<BTreeMap<ChainId, u64>>)>,
}

impl Pasts {
    /// Of everything that is here, whoever signed it.
    pub fn of(links: &OidMap<Link>) -> Self {
        let all = links.keys().copied().collect();
        let placed = order(links, &all).entries.into_iter().enumerate();
        Pasts { entries: placed.map(|(at, one)| (one.entry.reference(), (at, one.seen))).collect() }
    }

    /// Whether `earlier` is `later`, or lies in its causal past.
    pub fn saw(&self, later: &EntryRef, earlier: &EntryRef) -> bool {
        if later.chain == earlier.chain {
            return earlier.seq <= later.seq;
        }
        let seen = self.entries.get(later).and_then(|(_, seen)| seen.get(&earlier.chain));
        seen.is_some_and(|seq| *seq >= earlier.seq)
    }

    /// The place of an entry in the order.
    pub fn place(&self, entry: &EntryRef) -> usize {
        self.entries.get(entry).map_or(0, |(at, _)| *at)
    }
}

/// Orders the entries among `commits`: Kahn's algorithm over parents, whatever order they are given in.
pub fn order<'a>(links: &'a OidMap<Link>, commits: &OidSet) -> Order<'a> {
    let node = |oid: &Oid| {
        let link = links.get(oid).filter(|_| commits.contains(oid))?;
        link.entry.as_ref().map(|entry| (link, entry))
    };
    let mut waiting: OidMap<usize> = OidMap::default();
    let mut children: OidMap<Vec<Oid>> = OidMap::default();
    let mut ready = BinaryHeap::new();
    for oid in commits {
        let Some((link, entry)) = node(oid) else { continue };
        let mut needed = 0;
        for parent in link.parents.iter().filter(|parent| node(parent).is_some()) {
            children.entry(*parent).or_default().push(*oid);
            needed += 1;
        }
        match needed {
            0 => ready.push(Reverse((entry.body.time, entry.digest, *oid))),
            _ => drop(waiting.insert(*oid, needed)),
        }
    }
    let mut seen: OidMap<Arc<BTreeMap<ChainId, u64>>> = OidMap::default();
    let mut entries = Vec::with_capacity(commits.len());
    while let Some(Reverse((_, _, oid))) = ready.pop() {
        let Some((link, entry)) = node(&oid) else { continue };
        let past = past_of(link, entry, links, &seen);
        seen.insert(oid, past.clone());
        entries.push(Placed { link, entry, seen: past });
        for child in children.remove(&oid).unwrap_or_default() {
            let Some(needed) = waiting.get_mut(&child) else { continue };
            *needed -= 1;
            if *needed == 0
                && let Some((_, entry)) = node(&child)
            {
                ready.push(Reverse((entry.body.time, entry.digest, child)));
            }
        }
    }
    Order { entries }
}

/// What an entry saw: what its parents saw, and the cited parents themselves.
fn past_of(
    link: &Link,
    entry: &SignedEntry,
    links: &OidMap<Link>,
    seen: &OidMap<Arc<BTreeMap<ChainId, u64>>>,
) -> Arc<BTreeMap<ChainId, u64>> {
    let mut parents = link.parents.iter().filter_map(|parent| Some((parent, seen.get(parent)?)));
    let Some((first, first_seen)) = parents.next() else { return Arc::default() };
    let mut past = first_seen.clone();
    let mut add = |parent: &Oid, theirs: &BTreeMap<ChainId, u64>| {
        let Some(cited) = links.get(parent).and_then(Link::reference) else { return };
        if cited.chain == entry.body.chain {
            return;
        }
        let all = theirs.iter().map(|(chain, seq)| (*chain, *seq)).chain([(cited.chain, cited.seq)]);
        for (chain, seq) in all.filter(|(chain, _)| *chain != entry.body.chain) {
            if past.get(&chain).is_none_or(|known| *known < seq) {
                Arc::make_mut(&mut past).insert(chain, seq);
            }
        }
    };
    add(first, first_seen);
    for (parent, theirs) in parents {
        add(parent, theirs);
    }
    past
}
