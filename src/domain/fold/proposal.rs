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
    /// Whether decisions about an earlier revision could not be carried over, as nobody here can tell which.
    pub uncertain: bool,
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

    /// How far a proposal of `count` lines has come with these.
    pub fn stage(&self, count: u64) -> Stage {
        if !self.applied.is_empty() {
            Stage::Applied
        } else if !self.pending(count).is_empty() {
            Stage::Proposed
        } else if self.accepted.is_empty() {
            Stage::Rejected
        } else {
            Stage::Decided
        }
    }
}

/// Where a proposal stands at some moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing<'a> {
    /// What it proposes.
    pub made: &'a Proposal,
    /// Which lines are in which state.
    pub lines: LineStates,
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

    /// Whether all of its lines landed.
    pub fn is_all_applied(&self) -> bool {
        self.lines.applied.len() == self.made.lines.count
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.lines.stage(self.made.lines.count)
    }

    /// The states of the lines once `principal` decided about some of them.
    pub fn after(&self, principal: &str, accepts: bool, lines: &LineSet) -> LineStates {
        let (entry, principal) = (self.entry, principal.to_owned());
        let new = Decided { entry, principal, accepts, lines: lines.clone() };
        let (accepted, rejected) = tally(self.decisions.iter().chain([&new]));
        let applied = self.lines.applied.clone();
        LineStates { accepted: accepted.minus(&applied), rejected: rejected.minus(&applied), applied }
    }

    /// The lines that were accepted, and rejected by nobody, after the first `count` decisions.
    pub fn accepted_after(&self, count: usize) -> LineSet {
        tally(self.decisions.iter().take(count)).0
    }

    /// The lines that `principal` accepts by their latest word.
    pub fn accepted_by(&self, principal: &str) -> LineSet {
        self.said_by(principal).0
    }

    /// The lines that `principal` accepts and those that they reject, by their latest word.
    pub fn said_by(&self, principal: &str) -> (LineSet, LineSet) {
        tally(self.decisions.iter().filter(|decided| decided.principal == principal))
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
    /// The revision before.
    replaced: Option<Digest>,
    /// Whether decisions about the revision before could not be carried over, as nobody here can tell which.
    uncertain: bool,
    superseded_by: Option<&'a Placed<'a>>,
    /// Those that were carried over first.
    decisions: Vec<(&'a Placed<'a>, Decided)>,
    /// How many of the decisions were carried over.
    inherited: usize,
    /// Lines that somebody refused in an earlier revision without the reviser having seen it: what was carried over in
    /// favour of these does not count.
    vetoed: LineSet,
    /// What the decisions that count come to, kept along with them.
    words: Words,
    applied: Vec<(&'a Placed<'a>, LineSet)>,
    /// What landed of this revision, by its own numbers: as itself, or as what an earlier one had in its place.
    landed: LineSet,
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

    /// Adds lines to those that were refused in an earlier revision.
    fn veto(&mut self, lines: &LineSet) {
        self.vetoed = self.vetoed.union(lines);
        self.words = self.counted().fold(Words::default(), |words, (_, decided)| words.and(&decided));
    }

    fn lines(&self) -> LineStates {
        let (accepted, rejected) = self.words.tally();
        LineStates {
            accepted: accepted.minus(&self.landed),
            rejected: rejected.minus(&self.landed),
            applied: self.landed.clone(),
        }
    }
}

impl<'a> Proposals<'a> {
    /// Every revision in its final state, in order.
    pub(super) fn finish(self) -> Vec<ProposalState> {
        let mut states: Vec<ProposalState> = self
            .all
            .into_values()
            .map(|folding| ProposalState {
                entry: folding.placed.entry.reference(),
                commit: folding.placed.link.commit,
                made: folding.made.clone(),
                superseded_by: folding.superseded_by.map(|newer| newer.entry.digest),
                uncertain: folding.uncertain,
                lines: folding.lines(),
                decisions: folding.counted().map(|(_, decided)| decided).collect(),
                applications: folding.applied.iter().map(|(placed, _)| placed.entry.reference()).collect(),
            })
            .collect();
        states.sort_by_key(|state| (state.made.revision, state.entry.chain, state.entry.seq));
        states
    }

    /// Where the newest revision stands, by the order in which [`finish`](Self::finish) lists them.
    pub(super) fn newest(&self) -> Option<Standing<'a>> {
        let in_force = self.all.values().filter(|folding| folding.superseded_by.is_none());
        let newest = in_force.max_by_key(|folding| {
            let entry = folding.placed.entry.reference();
            (folding.made.revision, entry.chain, entry.seq)
        })?;
        Some(Standing { made: newest.made, lines: newest.lines() })
    }

    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.all.contains_key(digest)
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
            uncertain: false,
            superseded_by: None,
            decisions: Vec::new(),
            inherited: 0,
            vetoed: LineSet::default(),
            words: Words::default(),
            applied: Vec::new(),
            landed: LineSet::default(),
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
                fresh.replaced = Some(replaced.digest());
                let counted: Vec<(&Placed<'_>, Decided)> = old.counted().collect();
                if !counted.is_empty() || !old.vetoed.is_empty() || !old.landed.is_empty() {
                    let carried = (around.carried)(old.made, proposal);
                    if !counted.is_empty() || !old.vetoed.is_empty() {
                        fresh.uncertain = old.uncertain || carried.is_none();
                    }
                    let carried = carried.unwrap_or_default();
                    fresh.landed = carried.forward(&old.landed);
                    for (decision, decided) in counted {
                        let lines = carried.forward(&decided.lines);
                        // What the reviser could not see came too late for this revision, whatever the clocks say. It
                        // may still take trust away, never add any.
                        if !placed.saw(decision) {
                            let message =
                                format!("decides lines while revision {} appeared", proposal.revision);
                            self.lost.push((decision, message));
                            if !decided.accepts {
                                fresh.vetoed = fresh.vetoed.union(&lines);
                            }
                        } else if !lines.is_empty() {
                            fresh.decisions.push((decision, Decided { lines, ..decided }));
                        }
                    }
                    fresh.inherited = fresh.decisions.len();
                    fresh.veto(&carried.forward(&old.vetoed));
                }
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
        let (superseded_by, mut late) = (proposal.superseded_by, None);
        let mut lines = decided.lines.clone();
        for (application, landed) in self.applications(&decided.proposal.digest, &lines, around) {
            if landed.intersects(&lines) {
                let message = format!("decides lines {}, which were applied", landed.common(&lines));
                if placed.saw(application) {
                    return Err(Refusal::Illegal(Code::IllegalMove, message));
                }
                // Whoever could not see it decided about what was left as well.
                lines = lines.minus(&landed);
                late = Some(Refusal::Late(message));
            }
        }
        if let Some(newer) = superseded_by {
            let message = "decides lines of a superseded revision".to_owned();
            if placed.saw(newer) {
                return Err(Refusal::Illegal(Code::Superseded, message));
            }
            // It stands for the revision that it is about, and takes away what was carried over against it.
            if !accepts {
                self.veto(newer.entry.digest, &lines, around);
            }
            late = Some(Refusal::Late(message));
        }
        let counted = Decided {
            entry: placed.entry.reference(),
            principal: (around.principal_of)(&placed.entry.body.signer),
            accepts,
            lines,
        };
        if let Some(proposal) = self.all.get_mut(&decided.proposal.digest)
            && !counted.lines.is_empty()
        {
            proposal.words.add(&counted);
            proposal.decisions.push((placed, counted));
        }
        late.map_or(Ok(()), Err)
    }

    pub(super) fn apply(
        &mut self,
        placed: &'a Placed<'a>,
        applied: &LinesApplied,
        around: &Around<'_>,
    ) -> Result<(), Refusal> {
        let proposal = self.cited(placed, &applied.proposal, &applied.lines)?;
        if let Some(newer) = proposal.superseded_by
            && placed.saw(newer)
        {
            let message = "applies lines of a superseded revision".to_owned();
            return Err(Refusal::Illegal(Code::Superseded, message));
        }
        // What the writer could see is judged by what they could see of it.
        let seen = |named: bool| {
            let decisions = proposal.decisions.iter().filter(|(decision, decided)| {
                decided.lines.intersects(&applied.lines)
                    && placed.saw(decision)
                    && (!named || applied.decisions.contains(&decided.entry))
            });
            tally(decisions.map(|(_, decided)| decided)).0
        };
        let unaccepted = applied.lines.minus(&seen(false));
        let unnamed = applied.lines.minus(&seen(true));
        let mut answer = Ok(());
        if !unaccepted.is_empty() || !unnamed.is_empty() {
            let message = match unaccepted.is_empty() {
                false => format!("applies lines {unaccepted}, which nobody accepted or somebody rejected"),
                true => format!("applies lines {unnamed}, which none of the decisions that it names accepts"),
            };
            if !proposal.uncertain {
                return Err(Refusal::Illegal(Code::IllegalMove, message));
            }
            answer = Err(Refusal::Unproven(format!("{message}, as far as the tables that are here show")));
        }
        let rejected = proposal.words.tally().1;
        let refused = rejected.common(&applied.lines).union(&proposal.vetoed.common(&applied.lines));
        if !refused.is_empty() {
            return Err(Refusal::Late(format!("applies lines {refused} while somebody rejected them")));
        }
        let mut lines = applied.lines.clone();
        for (other, landed) in self.applications(&applied.proposal.digest, &lines, around) {
            if landed.intersects(&lines) {
                let message = format!("applies lines {} twice", landed.common(&lines));
                if placed.saw(other) {
                    return Err(Refusal::Illegal(Code::IllegalMove, message));
                }
                lines = lines.minus(&landed);
                answer = Err(Refusal::Late(message));
            }
        }
        if let Some(proposal) = self.all.get_mut(&applied.proposal.digest)
            && !lines.is_empty()
        {
            proposal.applied.push((placed, lines.clone()));
            self.land(applied.proposal.digest, lines, around);
        }
        answer
    }

    /// Takes away what was carried over in favour of lines of the revision before `digest`, there and in every later
    /// one.
    fn veto(&mut self, digest: Digest, lines: &LineSet, around: &Around<'_>) {
        let (mut next, mut lines) = (Some(digest), lines.clone());
        while let Some(digest) = next.take() {
            let Some(carried) = self.carried_to(&digest, around) else { return };
            lines = carried.forward(&lines);
            let Some(folding) = self.all.get_mut(&digest).filter(|_| !lines.is_empty()) else { return };
            folding.veto(&lines);
            next = folding.superseded_by.map(|newer| newer.entry.digest);
        }
    }

    /// Notes that lines of a revision landed, there and in every later one.
    fn land(&mut self, digest: Digest, mut lines: LineSet, around: &Around<'_>) {
        let mut next = Some(digest);
        while let Some(folding) = next.and_then(|digest| self.all.get_mut(&digest)) {
            folding.landed = folding.landed.union(&lines);
            next = folding.superseded_by.map(|newer| newer.entry.digest);
            let carried = next.and_then(|newer| self.carried_to(&newer, around)).unwrap_or_default();
            lines = carried.forward(&lines);
            if lines.is_empty() {
                return;
            }
        }
    }

    /// Which numbers of the revision before stand for which of this one.
    fn carried_to(&self, digest: &Digest, around: &Around<'_>) -> Option<Carried> {
        let folding = self.all.get(digest)?;
        let before = self.all.get(&folding.replaced?)?;
        (around.carried)(before.made, folding.made)
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

    /// The applications of a revision and of those before it, each with its lines by the numbers of this one; none
    /// where nothing of `lines` landed.
    fn applications(
        &self,
        digest: &Digest,
        lines: &LineSet,
        around: &Around<'_>,
    ) -> Vec<(&'a Placed<'a>, LineSet)> {
        let (mut found, mut ways) = (Vec::new(), Vec::new());
        let landed = |folding: &Folding<'_>| folding.landed.intersects(lines);
        let mut next = self.all.get(digest).filter(|folding| landed(folding)).map(|_| *digest);
        while let Some((digest, folding)) =
            next.take().and_then(|digest| Some((digest, self.all.get(&digest)?)))
        {
            for (placed, lines) in &folding.applied {
                let through = ways.iter().rev().fold(lines.clone(), |lines, later| {
                    self.carried_to(later, around).map(|carried| carried.forward(&lines)).unwrap_or_default()
                });
                found.push((*placed, through));
            }
            ways.push(digest);
            next = folding.replaced;
        }
        found
    }
}

/// Each principal's latest word on lines: those that they accept and those that they reject.
#[derive(Default)]
struct Words(BTreeMap<String, (LineSet, LineSet)>);

impl Words {
    fn add(&mut self, decided: &Decided) {
        let (yes, no) = self.0.entry(decided.principal.clone()).or_default();
        let (gains, loses) = if decided.accepts { (yes, no) } else { (no, yes) };
        *gains = gains.union(&decided.lines);
        *loses = loses.minus(&decided.lines);
    }

    fn and(mut self, decided: &Decided) -> Self {
        self.add(decided);
        self
    }

    /// Accepted and rejected lines: one rejection outweighs.
    fn tally(&self) -> (LineSet, LineSet) {
        let (mut accepted, mut rejected) = (LineSet::default(), LineSet::default());
        for (yes, no) in self.0.values() {
            accepted = accepted.union(yes);
            rejected = rejected.union(no);
        }
        (accepted.minus(&rejected), rejected)
    }
}

/// Accepted and rejected lines after some decisions.
fn tally<'d>(decisions: impl IntoIterator<Item = &'d Decided>) -> (LineSet, LineSet) {
    decisions.into_iter().fold(Words::default(), Words::and).tally()
}
