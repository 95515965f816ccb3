//! Everything that a receipt says about trees, worked out again, and every object that this rests on, hashed again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::Context;
use crate::commands::evidence::Known;
use crate::commands::proposal::LoadError;
use crate::commands::rollback::Rollbacks;
use crate::commands::target::Target;
use crate::commands::verify::Picture;
use crate::domain::chain::SignedEntry;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{LinesApplied, Proposal, ReplayForm, RollbackApplied, SnapshotTaken};
use crate::domain::fold::{Origin, Receipt};
use crate::domain::ids::{Digest, Oid};
use crate::store::{Flaw, Rehashed, Rehasher};

/// What rebuilding came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checked {
    /// `same`, `differs`, or `incomplete` where something that would show it is not here.
    pub result: &'static str,
    /// How many objects were hashed.
    pub objects: u64,
    /// Every entry that says something about trees, in order. Those that a fork inherited come first.
    pub rebuilt: Vec<Rebuilt>,
    /// The entry that signs this, as `chain@seq`, with `--record`.
    pub recorded: Option<String>,
}

/// One entry that was rebuilt.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rebuilt {
    /// Its number among the receipt's own entries; nothing where a fork inherited it.
    pub n: Option<u64>,
    /// The chain.
    pub chain: String,
    /// The place there.
    pub seq: u64,
    /// Its commit.
    pub commit: String,
    /// Its kind.
    pub kind: String,
    /// The tree that it says came out.
    pub tree: String,
    /// `same`, `differs` or `missing`.
    pub result: &'static str,
    /// What differs or is not here.
    pub problems: Vec<String>,
}

impl Checked {
    /// 0 all the same, 1 something differs, 4 something is not here.
    pub fn exit_code(&self) -> u8 {
        match self.result {
            "same" => 0,
            "differs" => 1,
            _ => 4,
        }
    }
}

/// What one entry came to.
#[derive(Default)]
struct Problems {
    wrong: Vec<String>,
    missing: Vec<String>,
}

impl Problems {
    fn flaws(&mut self, flaws: &[Flaw]) {
        for flaw in flaws {
            match flaw.what {
                Rehashed::Missing => self.missing.push(flaw.to_string()),
                Rehashed::Differs(_) if self.wrong.contains(&flaw.to_string()) => {}
                Rehashed::Differs(_) => self.wrong.push(flaw.to_string()),
            }
        }
    }

    fn judged(&mut self, judged: Result<(), LoadError>) {
        match judged {
            Ok(()) => {}
            Err(LoadError::Withheld(problem)) => self.missing.push(problem),
            Err(LoadError::Wrong(problem)) => self.wrong.push(problem),
        }
    }

    /// In a word, and in words, what differs first.
    fn finish(self) -> (&'static str, Vec<String>) {
        let result = match (self.wrong.is_empty(), self.missing.is_empty()) {
            (false, _) => "differs",
            (true, false) => "missing",
            (true, true) => "same",
        };
        let mut all = self.wrong;
        for problem in self.missing {
            if !all.contains(&problem) {
                all.push(problem);
            }
        }
        (result, all)
    }
}

/// Rebuilds what a receipt says about trees.
///
/// # Errors
/// When what came of it was to be signed and cannot.
pub fn run(
    ctx: &Context,
    known: &Known,
    receipt: &Receipt,
    target: Target,
    record: bool,
) -> anyhow::Result<Checked> {
    if record {
        ctx.check_recording()?;
    }
    let picture = &known.picture;
    let (rehasher, rollbacks) = (ctx.store.rehasher(), Rollbacks::new(ctx, known));
    let mut checker = Checker { ctx, rehasher, rollbacks, judged: BTreeMap::new() };
    checker.judge(picture, receipt);
    let inherited = receipt.origin.iter().flat_map(Origin::steps).map(|step| (None, step));
    let own = receipt.steps.iter().enumerate().map(|(n, step)| (Some(n as u64), step));
    let mut rebuilt = Vec::new();
    for (n, step) in inherited.chain(own) {
        let Some(entry) = picture.link(&step.commit).and_then(|link| link.entry.as_ref()) else { continue };
        let Some((tree, problems)) = checker.entry(of_step(picture, receipt, entry), entry) else { continue };
        let (result, problems) = problems.finish();
        rebuilt.push(Rebuilt {
            n,
            chain: step.entry.chain.to_string(),
            seq: step.entry.seq,
            commit: step.commit.to_hex(),
            kind: entry.body.fact.kind().to_owned(),
            tree: tree.to_hex(),
            result,
            problems,
        });
    }
    let any = |result: &str| rebuilt.iter().any(|one: &Rebuilt| one.result == result);
    let result = match (any("differs"), any("missing")) {
        (true, _) => "differs",
        (false, true) => "incomplete",
        (false, false) => "same",
    };
    let mut checked = Checked { result, objects: checker.rehasher.objects(), rebuilt, recorded: None };
    if record && result == "incomplete" {
        ctx.notice("nothing was recorded, as what is not here says neither yes nor no");
    } else if record {
        let recorded = super::record(ctx, target, ReplayForm::Rebuild, result == "same", &checked)?;
        checked.recorded = Some(recorded);
    }
    Ok(checked)
}

struct Checker<'c> {
    ctx: &'c Context,
    rehasher: Rehasher<'c>,
    rollbacks: Rollbacks<'c>,
    /// What working proposals and landings out again gave: by the proposal's entry, and the commit of a landing.
    judged: BTreeMap<(Digest, Option<Oid>), Verdict>,
}

/// Something that is asked of several entries.
enum Verdict {
    Same,
    Withheld(String),
    Wrong(String),
}

impl<'c> Checker<'c> {
    /// Works out every proposal and landing of a receipt, and of those that it continues from.
    fn judge(&mut self, picture: &Picture, receipt: &Receipt) {
        for receipt in picture.folded.line_before(receipt).into_iter().rev().chain([receipt]) {
            for judged in self.ctx.judged_lines(picture, receipt) {
                let proposal = judged.proposal.entry.digest;
                self.judged.insert((proposal, None), verdict(Ok(judged.table)));
                for (landed, given) in judged.landings {
                    self.judged.insert((proposal, Some(landed.applied.commit)), verdict(given));
                }
            }
        }
    }

    /// What an entry says about trees, if it does: the tree, and what is the matter with it.
    fn entry(&mut self, receipt: &'c Receipt, entry: &SignedEntry) -> Option<(Oid, Problems)> {
        let mut problems = Problems::default();
        let tree = match &entry.body.fact {
            Fact::SnapshotTaken(snapshot) => self.snapshot(snapshot, &mut problems),
            Fact::ProposalMade(made) | Fact::ProposalRevised(made) => {
                self.proposal(made, entry.digest, &mut problems)
            }
            Fact::LinesApplied(applied) => self.applied(applied, &mut problems),
            Fact::RollbackApplied(rolled) => self.rollback(receipt, rolled, &mut problems),
            _ => return None,
        };
        Some((tree, problems))
    }

    fn snapshot(&mut self, snapshot: &SnapshotTaken, problems: &mut Problems) -> Oid {
        for tree in [Some(snapshot.worktree), snapshot.index].into_iter().flatten() {
            problems.flaws(&self.rehasher.tree(tree));
        }
        snapshot.worktree
    }

    fn proposal(&mut self, made: &Proposal, entry: Digest, problems: &mut Problems) -> Oid {
        for tree in [made.base.tree, made.tree] {
            problems.flaws(&self.rehasher.tree(tree));
        }
        problems.flaws(&self.rehasher.blob(made.lines.oid));
        self.recall(entry, None, problems);
        made.tree
    }

    fn applied(&mut self, applied: &LinesApplied, problems: &mut Problems) -> Oid {
        problems.flaws(&self.rehasher.tree(applied.tree));
        self.commit(applied.commit, problems);
        if let Some(parent) = self.commit(applied.parent, problems) {
            problems.flaws(&self.rehasher.tree(parent));
        }
        if let Some(placed) = &applied.placed {
            problems.flaws(&self.rehasher.blob(placed.oid));
        }
        self.recall(applied.proposal.digest, Some(applied.commit), problems);
        applied.tree
    }

    /// What a rollback states: both trees, and that its commit leads from one to the other.
    fn rollback(&mut self, receipt: &'c Receipt, rolled: &RollbackApplied, problems: &mut Problems) -> Oid {
        for tree in [rolled.from_tree, rolled.to_tree] {
            problems.flaws(&self.rehasher.tree(tree));
        }
        if let Some(commit) = rolled.commit
            && self.commit_of(commit, rolled.to_tree, problems)
        {
            match self.ctx.store.parents_of(commit).as_deref() {
                Ok([parent]) => drop(self.commit_of(*parent, rolled.from_tree, problems)),
                Ok(parents) => {
                    let count = parents.len();
                    problems.wrong.push(format!("commit `{commit}` has {count} parents, and not one"));
                }
                Err(error) => problems.wrong.push(error.to_string()),
            }
        }
        let stated = receipt.takes_back.iter().map(|known| &known.said);
        let agree = stated.filter(|said| said.commit == rolled.commit).all(|said| {
            (said.of, said.from_tree, said.to_tree) == (rolled.of, rolled.from_tree, rolled.to_tree)
        });
        if !agree {
            problems.wrong.push("the entries about this rollback do not agree".into());
        }
        let judged = self.rollbacks.again(receipt, rolled.commit);
        if let Err(LoadError::Wrong(_)) = &judged {
            self.grounds(receipt, problems);
            // What rests on something that is not here says neither yes nor no.
            if !problems.missing.is_empty() && problems.wrong.is_empty() {
                return rolled.to_tree;
            }
        }
        problems.judged(judged);
        rolled.to_tree
    }

    /// Hashes again all that a rollback takes back.
    fn grounds(&mut self, receipt: &Receipt, problems: &mut Problems) {
        for commit in self.rollbacks.rests_on(receipt) {
            if let Some(tree) = self.commit(commit, problems) {
                problems.flaws(&self.rehasher.tree(tree));
            }
        }
    }

    /// Hashes a commit again and returns its tree, where that is what its name stands for.
    fn commit(&mut self, commit: Oid, problems: &mut Problems) -> Option<Oid> {
        let flaws = self.rehasher.commit(commit);
        problems.flaws(&flaws);
        flaws.is_empty().then(|| self.ctx.store.tree_of(commit).ok().flatten()).flatten()
    }

    /// Whether a commit is here; that it has another tree than `wanted` is a problem.
    fn commit_of(&mut self, commit: Oid, wanted: Oid, problems: &mut Problems) -> bool {
        let tree = self.commit(commit, problems);
        if let Some(tree) = tree.filter(|tree| *tree != wanted) {
            problems.wrong.push(format!("commit `{commit}` has tree `{tree}`, not `{wanted}`"));
        }
        tree.is_some()
    }

    fn recall(&self, proposal: Digest, landed: Option<Oid>, problems: &mut Problems) {
        match self.judged.get(&(proposal, landed)) {
            Some(Verdict::Same) => {}
            Some(Verdict::Withheld(problem)) => problems.missing.push(problem.clone()),
            Some(Verdict::Wrong(problem)) => problems.wrong.push(problem.clone()),
            None => problems.wrong.push("its lines cannot be worked out, as their table is wrong".into()),
        }
    }
}

/// The receipt that an entry is about: for what a fork inherited another one.
fn of_step<'p>(picture: &'p Picture, receipt: &'p Receipt, entry: &SignedEntry) -> &'p Receipt {
    entry.body.receipt.and_then(|id| picture.folded.receipt(id)).unwrap_or(receipt)
}

fn verdict(given: anyhow::Result<Result<(), LoadError>>) -> Verdict {
    match given {
        Ok(Ok(())) => Verdict::Same,
        Ok(Err(LoadError::Withheld(problem))) => Verdict::Withheld(problem),
        Ok(Err(LoadError::Wrong(problem))) => Verdict::Wrong(problem),
        // Something that is here could not be read; which object that is, hashing it says.
        Err(error) => Verdict::Wrong(format!("cannot be worked out: {error:#}")),
    }
}
