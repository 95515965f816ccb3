//! The proposals of one receipt: their revisions, decisions about their lines, and what landed.

use std::collections::BTreeMap;

use super::Around;
use super::order::Placed;
use super::receipt::{Refusal, refuse};
use crate::domain::fact::data::{LinesApplied, LinesDecided, Proposal};
use crate::domain::fact::values::LineSet;
use crate::domain::finding::Code;
use crate::domain::ids::{Digest, EntryRef, Oid};
use crate::domain::lines::Carried;

/// One revision of a proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct ProposalState {
    /// The entry that made it.
    pub entry: EntryRef,
    /// Its commit.
    pub commit: Oid,
    /// What it proposes.
    pub made: Proposal,
    /// The revision that took its place.
    pub superseded_by: Option<Digest>,
    /// Which lines are in which state.
    pub lines: LineStates,
    /// The decisions that count, in order, those that were carried over first.
    pub decisions: Vec<Decided>,
    /// The entries that say what of this very revision landed, in order.
    pub applications: Vec<EntryRef>,
}

/// The lines of a proposal by state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineStates {
    /// Accepted by somebody, rejected by nobody.
    pub accepted: LineSet,
    /// Rejected by somebody.
    pub rejected: LineSet,
    /// Landed.
    pub applied: LineSet,
}

impl LineStates {
    /// The lines of `count` that are in none of the states.
    pub fn pending(&self, count: u64) -> LineSet {
        LineSet::run(1, count).minus(&self.accepted).minus(&self.rejected).minus(&self.applied)
    }
}

/// A decision that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// Its entry.
    pub entry: EntryRef,
    /// Who decided.
    pub principal: String,
    /// Whether the lines were accepted.
    pub accepts: bool,
    /// Which lines, by the numbers of the revision that this stands in.
    pub lines: LineSet,
}

/// How far a proposal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Some lines are pending and none landed.
    Proposed,
    /// No line is pending, none landed, some are accepted.
    Decided,
    /// Some lines landed.
    Applied,
    /// No line is pending and none is accepted.
    Rejected,
}

impl Stage {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Proposed => "proposed",
            Stage::Decided => "decided",
            Stage::Applied => "applied",
            Stage::Rejected => "rejected",
        }
    }
}

impl ProposalState {
    /// The lines that nobody has decided about.
    pub fn pending(&self) -> LineSet {
        self.lines.pending(self.made.lines.count)
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        if !self.lines.applied.is_empty() {
            Stage::Applied
        } else if !self.pending().is_empty() {
            Stage::Proposed
        } else if self.lines.accepted.is_empty() {
            Stage::Rejected
        } else {
            Stage::Decided
        }
    }

    /// The states of the lines once `principal` decided about some of them.
    pub fn after(&self, principal: &str, accepts: bool, lines: &LineSet) -> LineStates {
        let (entry, principal) = (self.entry, principal.to_owned());
        let new = Decided { entry, principal, accepts, lines: lines.clone() };
        let (accepted, rejected) = tally(self.decisions.iter().chain([&new]));
        let applied = self.lines.applied.clone();
        LineStates { accepted: accepted.minus(&applied), rejected: rejected.minus(&applied), applied }
    }

    /// The lines that `principal` accepts by their latest word.
    pub fn accepted_by(&self, principal: &str) -> LineSet {
        tally(self.decisions.iter().filter(|decided| decided.principal == principal)).0
    }

    /// The decisions without which some of `lines` would not be accepted, in order.
    pub fn decisions_for(&self, lines: &LineSet) -> Vec<&Decided> {
        self.decisions.iter().filter(|decided| decided.accepts && decided.lines.intersects(lines)).collect()
    }
}

/// The proposals of a receipt while it is being folded.
#[derive(Default)]
pub(super) struct Proposals<'a> {
    /// By the digest of their entries.
    all: BTreeMap<Digest, Folding<'a>>,
    lost: Vec<(&'a Placed<'a>, String)>,
}

struct Folding<'a> {
    placed: &'a Placed<'a>,
    made: &'a Proposal,
    /// The revision before, and which of its numbers stand for which here.
    replaced: Option<(Digest, Carried)>,
    superseded_by: Option<&'a Placed<'a>>,
    /// Those that were carried over first.
    decisions: Vec<(&'a Placed<'a>, Decided)>,
    /// How many of the decisions were carried over.
    inherited: usize,
    /// Lines that somebody refused in an earlier revision without the reviser having seen it: what was carried over in
    /// favour of these does not count.
    vetoed: LineSet,
    applied: Vec<(&'a Placed<'a>, LineSet)>,
}

impl<'a> Folding<'a> {
    /// The decisions that count, those carried over without what was vetoed.
    fn counted(&self) -> impl Iterator<Item = (&'a Placed<'a>, Decided)> + '_ {
        self.decisions.iter().enumerate().filter_map(|(at, (placed, decided))| {
            if at >= self.inherited || !decided.accepts || self.vetoed.is_empty() {
                return Some((*placed, decided.clone()));
            }
            let lines = decided.lines.minus(&self.vetoed);
            (!lines.is_empty()).then(|| (*placed, Decided { lines, ..decided.clone() }))
        })
    }
}

impl<'a> Proposals<'a> {
    /// Every revision in its final state, in order.
    pub(super) fn finish(self) -> Vec<ProposalState> {
        let mut landed: BTreeMap<Digest, LineSet> =
            self.all.keys().map(|digest| (*digest, self.landed(digest))).collect();
        let mut states: Vec<ProposalState> = self
            .all
            .into_iter()
            .map(|(digest, folding)| {
                let applied = landed.remove(&digest).unwrap_or_default();
                let decisions: Vec<Decided> = folding.counted().map(|(_, decided)| decided).collect();
                let (accepted, rejected) = tally(&decisions);
                ProposalState {
                    entry: folding.placed.entry.reference(),
                    commit: folding.placed.link.commit,
                    made: folding.made.clone(),
                    superseded_by: folding.superseded_by.map(|newer| newer.entry.digest),
                    lines: LineStates {
                        accepted: accepted.minus(&applied),
                        rejected: rejected.minus(&applied),
                        applied,
                    },
                    decisions,
                    applications: folding
                        .applied
                        .iter()
                        .map(|(placed, _)| placed.entry.reference())
                        .collect(),
                }
            })
            .collect();
        states.sort_by_key(|state| (state.made.revision, state.entry.chain, state.entry.seq));
        states
    }

    pub(super) fn take_lost(&mut self) -> Vec<(&'a Placed<'a>, String)> {
        std::mem::take(&mut self.lost)
    }

    pub(super) fn propose(
        &mut self,
        placed: &'a Placed<'a>,
        proposal: &'a Proposal,
        revises: bool,
        around: &Around<'_>,
    ) -> Result<(), Refusal> {
        let illegal = |message: String| Err(Refusal::Illegal(Code::IllegalMove, message));
        let mut fresh = Folding {
            placed,
            made: proposal,
            replaced: None,
            superseded_by: None,
            decisions: Vec::new(),
            inherited: 0,
            vetoed: LineSet::default(),
            applied: Vec::new(),
        };
        match (&proposal.replaces, revises) {
            (None, false) if proposal.revision == 1 => {}
            (None, false) => return illegal(format!("first revision has number {}", proposal.revision)),
            (Some(_), false) => return illegal("a new proposal replaces nothing".into()),
            (None, true) => return illegal("a revision must name what it replaces".into()),
            (Some(replaced), true) => {
                let Some(old) = self.all.get_mut(&replaced.digest()) else {
                    return illegal(format!("replaces `{}`, which is no proposal here", replaced.digest()));
                };
                if let Some(newer) = old.superseded_by {
                    let message = "replaces a revision that was replaced already".to_owned();
                    return Err(refuse(placed, newer, Code::Superseded, message));
                }
                if proposal.revision != old.made.revision + 1 {
                    return illegal(format!("revision {} follows {}", proposal.revision, old.made.revision));
                }
                old.superseded_by = Some(placed);
                let carried = (around.carried)(old.made, proposal);
                for (decision, decided) in old.counted() {
                    let lines = carried.forward(&decided.lines);
                    // What the reviser could not see came too late for this revision, whatever the clocks say. It
                    // may still take trust away, never add any.
                    if !placed.saw(decision) {
                        let message = format!("decides lines while revision {} appeared", proposal.revision);
                        self.lost.push((decision, message));
                        if !decided.accepts {
                            fresh.vetoed = fresh.vetoed.union(&lines);
                        }
                    } else if !lines.is_empty() {
                        fresh.decisions.push((decision, Decided { lines, ..decided }));
                    }
                }
                fresh.vetoed = fresh.vetoed.union(&carried.forward(&old.vetoed));
                fresh.inherited = fresh.decisions.len();
                fresh.replaced = Some((replaced.digest(), carried));
            }
        }
        self.all.insert(placed.entry.digest, fresh);
        Ok(())
    }

    pub(super) fn decide(
        &mut self,
        placed: &'a Placed<'a>,
        decided: &LinesDecided,
        accepts: bool,
        around: &Around<'_>,
    ) -> Result<(), Refusal> {
        let proposal = self.cited(placed, &decided.proposal, &decided.lines)?;
        if let Some(newer) = proposal.superseded_by {
            let message = "decides lines of a superseded revision".to_owned();
            if !accepts && !placed.saw(newer) {
                self.veto(newer.entry.digest, &decided.lines);
            }
            return Err(refuse(placed, newer, Code::Superseded, message));
        }
        if let Some(application) = self.application_of(&decided.proposal.digest, &decided.lines) {
            let message = "decides lines that were applied".to_owned();
            return Err(refuse(placed, application, Code::IllegalMove, message));
        }
        let counted = Decided {
            entry: placed.entry.reference(),
            principal: (around.principal_of)(&placed.entry.body.signer),
            accepts,
            lines: decided.lines.clone(),
        };
        if let Some(proposal) = self.all.get_mut(&decided.proposal.digest) {
            proposal.decisions.push((placed, counted));
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, placed: &'a Placed<'a>, applied: &LinesApplied) -> Result<(), Refusal> {
        let proposal = self.cited(placed, &applied.proposal, &applied.lines)?;
        if let Some(newer) = proposal.superseded_by
            && placed.saw(newer)
        {
            let message = "applies lines of a superseded revision".to_owned();
            return Err(Refusal::Illegal(Code::Superseded, message));
        }
        if let Some(other) = self.application_of(&applied.proposal.digest, &applied.lines) {
            return Err(refuse(placed, other, Code::IllegalMove, "applies lines twice".into()));
        }
        let all: Vec<(&Placed<'_>, Decided)> = proposal.counted().collect();
        let seen = all.iter().filter(|(decision, _)| placed.saw(decision)).map(|(_, decided)| decided);
        let unaccepted = applied.lines.minus(&tally(seen.clone()).0);
        if !unaccepted.is_empty() {
            let message = format!("applies lines {unaccepted}, which nobody accepted or somebody rejected");
            return Err(Refusal::Illegal(Code::IllegalMove, message));
        }
        let named = seen.filter(|decided| applied.decisions.contains(&decided.entry));
        let unnamed = applied.lines.minus(&tally(named).0);
        if !unnamed.is_empty() {
            let message =
                format!("applies lines {unnamed}, which none of the decisions that it names accepts");
            return Err(Refusal::Illegal(Code::IllegalMove, message));
        }
        let refused = applied.lines.minus(&tally(all.iter().map(|(_, decided)| decided)).0);
        if !refused.is_empty() {
            return Err(Refusal::Late(format!("applies lines {refused} while somebody rejected them")));
        }
        if let Some(proposal) = self.all.get_mut(&applied.proposal.digest) {
            proposal.applied.push((placed, applied.lines.clone()));
        }
        Ok(())
    }

    /// Takes away what was carried over in favour of lines of the revision before `digest`, there and in every later
    /// one.
    fn veto(&mut self, digest: Digest, lines: &LineSet) {
        let (mut next, mut lines) = (Some(digest), lines.clone());
        while let Some(folding) = next.take().and_then(|digest| self.all.get_mut(&digest)) {
            let Some((_, carried)) = &folding.replaced else { return };
            lines = carried.forward(&lines);
            if lines.is_empty() {
                return;
            }
            folding.vetoed = folding.vetoed.union(&lines);
            next = folding.superseded_by.map(|newer| newer.entry.digest);
        }
    }

    /// Finds the proposal that an entry is about and checks that it has the lines.
    fn cited(&self, placed: &Placed<'_>, cited: &EntryRef, lines: &LineSet) -> Result<&Folding<'a>, Refusal> {
        let illegal = |message: String| Err(Refusal::Illegal(Code::IllegalMove, message));
        let Some(proposal) = self.all.get(&cited.digest) else {
            return illegal(format!("`{}@{}` is no proposal of this receipt", cited.chain, cited.seq));
        };
        let made = proposal.placed.entry.reference();
        let own = placed.entry.body.chain == cited.chain;
        if made != *cited || !(own || placed.entry.body.cites.contains(cited)) {
            return illegal(format!("does not cite the proposal at `{}@{}`", made.chain, made.seq));
        }
        let count = proposal.made.lines.count;
        match lines.last() {
            None => illegal("names no lines".into()),
            Some(last) if last > count => illegal(format!("line {last} of {count} lines")),
            Some(_) => Ok(proposal),
        }
    }

    /// The revisions that led to one, itself first, each with how its numbers come through to that one.
    fn line_of(&self, digest: &Digest) -> Vec<(&Folding<'a>, Vec<&Carried>)> {
        let (mut next, mut ways, mut found) = (Some(*digest), Vec::new(), Vec::new());
        while let Some(folding) = next.take().and_then(|digest| self.all.get(&digest)) {
            found.push((folding, ways.clone()));
            if let Some((before, carried)) = &folding.replaced {
                ways.push(carried);
                next = Some(*before);
            }
        }
        found
    }

    /// What landed of a revision, by its own numbers: as itself, or as what an earlier one had in its place.
    fn landed(&self, digest: &Digest) -> LineSet {
        let mut all = LineSet::default();
        for (folding, ways) in self.line_of(digest) {
            for (_, lines) in &folding.applied {
                all = all.union(&through(lines, &ways));
            }
        }
        all
    }

    /// The application that landed some of `lines` of a revision.
    fn application_of(&self, digest: &Digest, lines: &LineSet) -> Option<&'a Placed<'a>> {
        self.line_of(digest).into_iter().find_map(|(folding, ways)| {
            let mut applied = folding.applied.iter();
            applied.find(|(_, landed)| through(landed, &ways).intersects(lines)).map(|(placed, _)| *placed)
        })
    }
}

/// Numbers of an earlier revision as those of a later one, through the revisions between, the latest first.
fn through(lines: &LineSet, ways: &[&Carried]) -> LineSet {
    ways.iter().rev().fold(lines.clone(), |lines, carried| carried.forward(&lines))
}

/// Accepted and rejected lines: each principal's latest word counts, and one rejection outweighs.
fn tally<'d>(decisions: impl IntoIterator<Item = &'d Decided>) -> (LineSet, LineSet) {
    let mut words: BTreeMap<&str, (LineSet, LineSet)> = BTreeMap::new();
    for decided in decisions {
        let (yes, no) = words.entry(&decided.principal).or_default();
        let (gains, loses) = if decided.accepts { (yes, no) } else { (no, yes) };
        *gains = gains.union(&decided.lines);
        *loses = loses.minus(&decided.lines);
    }
    let (mut accepted, mut rejected) = (LineSet::default(), LineSet::default());
    for (yes, no) in words.values() {
        accepted = accepted.union(yes);
        rejected = rejected.union(no);
    }
    (accepted.minus(&rejected), rejected)
}
