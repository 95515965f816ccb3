//! What a receipt put into a history, and what of that was taken back there since.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::found::FoundLines;
use crate::commands::Context;
use crate::commands::evidence::Known;
use crate::commands::proposal::{LoadError, Loaded};
use crate::commands::verify_lines::Landed;
use crate::domain::fact::Fact;
use crate::domain::fact::values::LineSet;
use crate::domain::fold::{Pasts, Receipt, Rollback};
use crate::domain::ids::{EntryRef, KeyId, Oid, ReceiptId};

/// A commit by which a receipt changed a history.
#[derive(Clone)]
pub struct Piece<'k> {
    /// The commit.
    pub commit: Oid,
    /// What of the commit is the receipt's.
    pub holds: Holds<'k>,
    /// Whether it was taken back as a whole.
    pub gone: bool,
    /// The lines of it that were taken back one by one.
    pub back: LineSet,
}

/// What of a commit is a receipt's.
#[derive(Clone)]
pub enum Holds<'k> {
    /// Lines that landed in it, as the entries say and as they give it.
    Landed(usize, Rc<Landed<'k>>),
    /// Lines that were found in it, where what landed was rewritten or carried over.
    Found(Rc<FoundLines>),
    /// All of it.
    Whole,
}

impl Piece<'_> {
    /// The lines, with their revision by its index; none where the commit counts as a whole.
    pub fn lines(&self) -> Option<(usize, &LineSet)> {
        match &self.holds {
            Holds::Landed(at, landed) => Some((*at, &landed.lines)),
            Holds::Found(found) => Some((found.index, &found.lines)),
            Holds::Whole => None,
        }
    }

    /// Whether something of it was taken back.
    pub fn is_touched(&self) -> bool {
        self.gone || !self.back.is_empty()
    }

    /// Whether something of it is still there.
    pub fn stands(&self) -> bool {
        !self.gone && self.lines().is_none_or(|(_, lines)| !lines.minus(&self.back).is_empty())
    }
}

/// What a receipt put into the history of a commit, the newest first.
#[derive(Default)]
pub struct Standing<'k> {
    /// Its commits in that history.
    pub pieces: Vec<Piece<'k>>,
    /// The receipts by which something of it was taken back there.
    pub by: Vec<ReceiptId>,
    /// Those, and the ones that take back something of them there: what whoever goes on from here relies on.
    pub relies_on: BTreeSet<ReceiptId>,
    /// Bound commits there that hold more than what can be told to be the receipt's, each with what else is bound to it.
    pub untold: Vec<(Oid, BTreeSet<ReceiptId>)>,
    /// Lines that landed in a commit which is not in that history, and that were not found there either.
    pub elsewhere: Vec<(Oid, LineSet)>,
    /// What is not here and might have told more.
    pub withheld: Vec<String>,
    /// Landings that are not what their lines give.
    pub wrong: Vec<String>,
}

impl Standing<'_> {
    /// The newest revision of which something landed: the one that numbers of lines are of.
    pub fn revision(&self) -> Option<usize> {
        self.pieces.iter().filter_map(|piece| Some(piece.lines()?.0)).max()
    }
}

/// For whom something is judged, and what they could know: which entries count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct View {
    /// The key that signs the rollback.
    pub by: KeyId,
    /// The newest entry that they could see; none where all that is here counts.
    pub until: Option<EntryRef>,
}

/// Answers, each worked out once.
type Judged<K, V> = RefCell<HashMap<K, V>>;

/// What receipts take back of each other, each judged once.
pub struct Rollbacks<'k> {
    pub(super) ctx: &'k Context,
    pub(super) known: &'k Known,
    pasts: OnceCell<Pasts>,
    standings: Judged<(ReceiptId, Oid, View), Rc<Standing<'k>>>,
    /// Which of some commits are in the history of another, the newest first.
    there: Judged<(Oid, Vec<Oid>), Vec<Oid>>,
    /// Whether receipts take back in a commit what they say.
    done: Judged<(ReceiptId, Oid, View), bool>,
    pub(super) again: Judged<(ReceiptId, Option<Oid>), Result<(), LoadError>>,
}

/// The commits that entries bind to a receipt, with the keys that say so, and what each was before it was rewritten.
#[derive(Default)]
struct Bindings {
    commits: BTreeMap<Oid, BTreeSet<KeyId>>,
    before: BTreeMap<Oid, Oid>,
}

impl<'k> Rollbacks<'k> {
    /// Judges by what is known.
    pub fn new(ctx: &'k Context, known: &'k Known) -> Self {
        Rollbacks {
            ctx,
            known,
            pasts: OnceCell::new(),
            standings: RefCell::default(),
            there: RefCell::default(),
            done: RefCell::default(),
            again: RefCell::default(),
        }
    }

    /// Those of `wanted` that are in the history of `head`, the newest first.
    pub(super) fn newest_first(&self, head: Oid, wanted: &[Oid]) -> anyhow::Result<Vec<Oid>> {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(wanted);
        }
        let key = (head, wanted);
        if let Some(there) = self.there.borrow().get(&key) {
            return Ok(there.clone());
        }
        let there = self.ctx.store.newest_first(head, &key.1)?;
        self.there.borrow_mut().insert(key, there.clone());
        Ok(there)
    }

    fn saw(&self, later: &EntryRef, earlier: &EntryRef) -> bool {
        self.pasts.get_or_init(|| Pasts::of(&self.known.picture.history.links)).saw(later, earlier)
    }

    fn place(&self, entry: &EntryRef) -> usize {
        self.pasts.get_or_init(|| Pasts::of(&self.known.picture.history.links)).place(entry)
    }

    /// Finds out what a receipt put into the history of `head`.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn standing(&self, receipt: &'k Receipt, head: Oid, view: &View) -> anyhow::Result<Rc<Standing<'k>>> {
        let key = |receipt: &Receipt| (receipt.id, head, view.clone());
        if let Some(there) = self.standings.borrow().get(&key(receipt)) {
            return Ok(there.clone());
        }
        // What takes something back states that later than what it takes back was stated, so the latest are judged first,
        // and each finds those that it asks for judged already.
        let mut all: Vec<&'k Receipt> = vec![receipt];
        let mut asked = HashSet::from([receipt.id]);
        let mut next = 0;
        while let Some(one) = all.get(next).copied() {
            next += 1;
            all.extend(self.by(one, view).map(|(by, _)| by).filter(|by| asked.insert(by.id)));
        }
        if all.len() > 1 {
            all.sort_by_key(|one| std::cmp::Reverse(self.place(stated(one))));
        }
        for one in all {
            if !self.standings.borrow().contains_key(&key(one)) {
                let standing = self.find(one, head, view)?;
                self.standings.borrow_mut().insert(key(one), Rc::new(standing));
            }
        }
        let there = self.standings.borrow().get(&key(receipt)).cloned();
        Ok(there.unwrap_or_default())
    }

    /// The receipts that say to take back something of another, as far as a view sees them, with what they say.
    fn by(&self, receipt: &'k Receipt, view: &View) -> impl Iterator<Item = (&'k Receipt, &'k Rollback)> {
        let sees = |rollback: &&Rollback| {
            view.until.is_none_or(|until| until != rollback.entry && self.saw(&until, &rollback.entry))
        };
        let seen: Vec<_> = receipt.taken_back.iter().filter(sees).collect();
        seen.into_iter().filter_map(|rollback| {
            let by = self.known.picture.folded.receipt(rollback.by)?;
            let first = by.takes_back.first()?;
            // A rollback is of one receipt, whose own word it has seen: so none takes back itself by way of others.
            let sound = by.takes_back.iter().all(|one| one.said.of == receipt.id)
                && by.id != receipt.id
                && self.saw(&first.entry, stated(receipt));
            (by.known == receipt.known && sound).then_some((by, rollback))
        })
    }

    fn find(&self, receipt: &'k Receipt, head: Oid, view: &View) -> anyhow::Result<Standing<'k>> {
        let mut standing = match receipt.proposals.is_empty() && !receipt.takes_back.is_empty() {
            true => self.rolled_back(receipt, head, view)?,
            false => self.landed(receipt, head, view)?,
        };
        if standing.pieces.is_empty() {
            return Ok(standing);
        }
        let rollbacks: Vec<_> = self.by(receipt, view).collect();
        for (by, rollback) in rollbacks {
            let theirs = self.standing(by, head, view)?;
            let Some(done) = self.done_by(by, &theirs)? else { continue };
            self.take_back(rollback, done, &mut standing.pieces)?;
            standing.relies_on.insert(by.id);
            standing.relies_on.extend(&theirs.relies_on);
            if !standing.by.contains(&by.id) {
                standing.by.push(by.id);
            }
        }
        Ok(standing)
    }

    /// The commit by which a rollback that counts took back what it says, if that still stands.
    fn done_by(&self, by: &'k Receipt, theirs: &Standing<'k>) -> anyhow::Result<Option<Oid>> {
        let did = |piece: &&Piece<'_>| match piece.lines() {
            // Proposed and accepted: then what landed does it, where all of it did.
            Some((at, lines)) => lines.len() == by.proposals[at].made.lines.count,
            None => by.proposals.is_empty(),
        };
        let Some(done) = theirs.pieces.iter().filter(did).find(|piece| piece.stands()) else {
            return Ok(None);
        };
        let counts = by.proposals.is_empty() || self.is_right_proposal(by);
        Ok(counts.then_some(done.commit))
    }

    /// Notes what a rollback that counts took back in `done`.
    fn take_back(&self, rollback: &Rollback, done: Oid, pieces: &mut [Piece<'k>]) -> anyhow::Result<()> {
        let commits: Vec<Oid> = pieces.iter().map(|piece| piece.commit).collect();
        let before: BTreeSet<Oid> = self.newest_first(done, &commits)?.into_iter().collect();
        let mut met: Vec<&mut Piece<'_>> =
            pieces.iter_mut().filter(|piece| before.contains(&piece.commit)).collect();
        let Some(lines) = &rollback.said.lines else {
            met.iter_mut().for_each(|piece| piece.gone = true);
            return Ok(());
        };
        let revision = met.iter().filter_map(|piece| Some(piece.lines()?.0)).max();
        for piece in met {
            let of_it = piece.lines().filter(|(at, _)| Some(*at) == revision);
            if let Some(mine) = of_it.map(|(_, there)| there.common(lines)) {
                piece.back = piece.back.union(&mine);
            }
        }
        Ok(())
    }

    /// Where a receipt that rolled something back did so: the commits that it is bound to and that hold what taking the
    /// same back again on their parent gives, as they are or as they were rewritten.
    fn rolled_back(&self, receipt: &'k Receipt, head: Oid, view: &View) -> anyhow::Result<Standing<'k>> {
        let bound: Vec<Oid> = receipt.bound.iter().chain(&receipt.rewritten).copied().collect();
        let mut standing = Standing::default();
        for commit in self.newest_first(head, &bound)? {
            let key = (receipt.id, commit, view.clone());
            let judged = self.done.borrow().get(&key).copied();
            let done = match judged {
                Some(done) => done,
                None => {
                    let done = self.takes_back_in(receipt, commit, view)?;
                    self.done.borrow_mut().insert(key, done);
                    done
                }
            };
            match done {
                true => standing.pieces.push(Piece::new(commit, Holds::Whole)),
                false => standing.wrong.push(format!("commit `{commit}` does not take back what it says")),
            }
        }
        Ok(standing)
    }

    /// What landed of a receipt's lines in a history, and without lines the commits that it is bound to.
    fn landed(&self, receipt: &'k Receipt, head: Oid, view: &View) -> anyhow::Result<Standing<'k>> {
        let mut standing = Standing::default();
        let mut pieces: HashMap<Oid, Piece<'k>> = HashMap::new();
        let mut covered: Vec<LineSet> = vec![LineSet::default(); receipt.proposals.len()];
        let mut away: Vec<(usize, Landed<'k>)> = Vec::new();
        for (at, mut landings) in self.ctx.landings(&self.known.picture, receipt).into_iter().enumerate() {
            if landings.is_empty() {
                continue;
            }
            let loaded = Loaded::read(&self.ctx.store, &receipt.proposals[at].made);
            if let Ok(loaded) = &loaded {
                self.ctx.look_into_history(loaded, &mut landings)?;
            }
            let commits: Vec<Oid> = landings.iter().map(|landed| landed.applied.commit).collect();
            let there: BTreeSet<Oid> = self.newest_first(head, &commits)?.into_iter().collect();
            for landed in landings {
                let commit = landed.applied.commit;
                if !there.contains(&commit) {
                    away.push((at, landed));
                    continue;
                }
                let judged = match &loaded {
                    Ok(loaded) => self.ctx.recompute(loaded, &landed)?,
                    Err(error) => Err(error.clone()),
                };
                match judged {
                    Ok(()) => {
                        covered[at] = covered[at].union(&landed.lines);
                        let piece = Piece::new(commit, Holds::Landed(at, Rc::new(landed)));
                        pieces.insert(commit, piece);
                    }
                    Err(LoadError::Withheld(problem)) => standing.withheld.push(problem),
                    Err(LoadError::Wrong(problem)) => standing.wrong.push(problem),
                }
            }
        }
        let bindings = self.bindings(receipt, view);
        let has_lines = receipt
            .proposals
            .iter()
            .any(|one| !one.lines.applied.is_empty() || !one.lines.accepted.is_empty());
        if has_lines {
            let known: Vec<Oid> = bindings.commits.keys().copied().collect();
            let bound = self.newest_first(head, &known)?;
            let bound: Vec<Oid> = bound.into_iter().filter(|commit| !pieces.contains_key(commit)).collect();
            let mut told = BTreeSet::new();
            for (commit, found) in self.find_lines(receipt, head, &bound, &mut covered)? {
                told.insert(commit);
                pieces.entry(commit).or_insert_with(|| Piece::new(commit, Holds::Found(Rc::new(found))));
            }
            away.retain(|(at, landed)| !landed.lines.minus(&covered[*at]).is_empty());
            let lost: BTreeSet<Oid> = away.iter().map(|(_, landed)| landed.applied.commit).collect();
            let untold = bound.into_iter().filter(|commit| {
                let mine = self.is_own_word(receipt, &bindings.commits[commit], view);
                // One that is no rewritten landing is beside what landed, and stays.
                let in_question = pieces.is_empty() || bindings.was(*commit).any(|was| lost.contains(&was));
                mine && in_question && !told.contains(commit)
            });
            standing.untold = untold.map(|commit| (commit, self.others(receipt, commit))).collect();
        } else {
            let mine = |(_, by): &(&Oid, &BTreeSet<KeyId>)| self.is_own_word(receipt, by, view);
            let mine: Vec<Oid> = bindings.commits.iter().filter(mine).map(|(commit, _)| *commit).collect();
            for commit in self.newest_first(head, &mine)? {
                let others = self.others(receipt, commit);
                match others.is_empty() {
                    true => drop(pieces.insert(commit, Piece::new(commit, Holds::Whole))),
                    false => standing.untold.push((commit, others)),
                }
            }
        }
        standing.elsewhere = away
            .into_iter()
            .map(|(at, landed)| (landed.applied.commit, landed.lines.minus(&covered[at])))
            .collect();
        let commits: Vec<Oid> = pieces.keys().copied().collect();
        let order = self.newest_first(head, &commits)?;
        standing.pieces = order.into_iter().filter_map(|commit| pieces.remove(&commit)).collect();
        Ok(standing)
    }

    /// Who says that a receipt is bound to which commits, as far as a view sees it.
    fn bindings(&self, receipt: &Receipt, view: &View) -> Bindings {
        let mut bindings = Bindings::default();
        for step in &receipt.steps {
            let seen = || view.until.is_none_or(|until| self.saw(&until, &step.entry));
            let link = self.known.picture.link(&step.commit);
            let Some(entry) = link.and_then(|link| link.entry.as_ref()) else { continue };
            let commit = match &entry.body.fact {
                Fact::CommitBound(bound) if seen() => bound.commit,
                Fact::CommitRebound(rebound) if seen() => {
                    bindings.before.insert(rebound.to, rebound.from);
                    rebound.to
                }
                _ => continue,
            };
            bindings.commits.entry(commit).or_default().insert(entry.body.signer.clone());
        }
        bindings
    }

    /// Whether one of these keys belongs to the receipt's owner or to who takes it back: nobody else says what goes.
    fn is_own_word(&self, receipt: &Receipt, keys: &BTreeSet<KeyId>, view: &View) -> bool {
        let trust = &self.known.trust;
        let own = [&receipt.owner, &view.by].map(|key| trust.principal_of(key));
        keys.iter().any(|key| own.contains(&trust.principal_of(key)))
    }

    /// The other receipts that are bound to a commit. Of a rollback only a proposal can share one.
    fn others(&self, receipt: &Receipt, commit: Oid) -> BTreeSet<ReceiptId> {
        let folded = &self.known.picture.folded;
        let shares = |id: &ReceiptId| {
            let other = folded.receipt(*id);
            *id != receipt.id
                && other.is_some_and(|other| other.takes_back.is_empty() || !other.proposals.is_empty())
        };
        self.known.bound_at(commit).into_iter().filter(shares).collect()
    }
}

impl Bindings {
    /// What a commit was before it was rewritten, step by step.
    fn was(&self, commit: Oid) -> impl Iterator<Item = Oid> {
        // As often as there are rewritten commits at most: whoever states them may let them go in circles.
        std::iter::successors(self.before.get(&commit).copied(), |at| self.before.get(at).copied())
            .take(self.before.len())
    }
}

impl<'k> Piece<'k> {
    /// One that nothing was taken back of.
    pub fn new(commit: Oid, holds: Holds<'k>) -> Self {
        Piece { commit, holds, gone: false, back: LineSet::default() }
    }
}

/// The entry by which a receipt does what another can take back: for a rollback its first word of that, else its opening.
fn stated(receipt: &Receipt) -> &EntryRef {
    receipt.takes_back.first().map_or(&receipt.opened, |first| &first.entry)
}
