//! Everything that a commit is judged by under one list of signers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::commands::Context;
use crate::commands::evidence::{Found, Known, Parent, Way};
use crate::commands::proposal::LoadError;
use crate::commands::rollback::{Rollbacks, base_of};
use crate::commands::trust::TrustSet;
use crate::commands::verify::Picture;
use crate::domain::audit::judge::{Acceptance, Doubt, Evidence, GateSeen, Outcome};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{GateChecked, GateResult, Risk, TreeAt};
use crate::domain::fact::values::LineSet;
use crate::domain::finding::{Code, Weight};
use crate::domain::fold::{ProposalState, Receipt};
use crate::domain::ids::{ChainId, EntryRef, Oid, ReceiptId};
use crate::domain::policy::Grade;
use crate::store::RangeCommit;

/// What ties receipts to commits, with the checks, risks and doubts that judging asks for beside it.
pub struct Gathered {
    /// What ties receipts to commits.
    pub known: Known,
    gates: HashMap<Oid, Vec<GateSeen>>,
    risks: BTreeMap<ReceiptId, Option<Risk>>,
    doubts: BTreeMap<ReceiptId, Doubt>,
    strangers: Strangers,
}

/// What keys did that are not listed.
#[derive(Default)]
struct Strangers {
    /// Receipts that they bound, by commit.
    bound: HashMap<Oid, BTreeSet<ReceiptId>>,
    /// Receipts whose lines they accepted, with the keys.
    accepted: BTreeMap<ReceiptId, BTreeSet<String>>,
    /// Checks that they ran, by tree.
    gates: HashMap<Oid, BTreeSet<String>>,
}

impl Gathered {
    /// Arranges what `picture` holds, which was folded under `trust`.
    ///
    /// # Errors
    /// When a commit that is here cannot be read.
    pub fn new(ctx: &Context, picture: Picture, trust: TrustSet) -> anyhow::Result<Self> {
        let mut gathered = Gathered {
            known: Known::new(ctx, picture, trust)?,
            gates: HashMap::new(),
            risks: BTreeMap::new(),
            doubts: BTreeMap::new(),
            strangers: Strangers::default(),
        };
        let broken = gathered.broken_chains();
        // Taken out while they are arranged, as they are read and the rest is written.
        let folded = std::mem::take(&mut gathered.known.picture.folded.known);
        let mut receipts: Vec<&Receipt> = folded.values().collect();
        receipts.sort_by_key(|receipt| (receipt.opened_at, receipt.id));
        for receipt in &receipts {
            gathered.add_steps(receipt);
            if receipt.proposals.iter().any(|proposal| proposal.uncertain) {
                gathered.doubts.insert(receipt.id, Doubt::Uncertain);
            }
            if receipt.steps.iter().any(|step| broken.contains(&step.entry.chain)) {
                gathered.doubts.insert(receipt.id, Doubt::Broken);
            }
        }
        gathered.known.picture.folded.known = folded;
        gathered.add_strangers();
        let verdict = &gathered.known.picture.verdict;
        for finding in verdict.findings.iter().filter(|finding| finding.code == Code::UnknownKind) {
            // A stranger's entries can cast no doubt either.
            let counted = finding.commit.is_some_and(|commit| verdict.counted.contains(&commit));
            let doubted = finding.receipt.filter(|_| counted);
            gathered.doubts.extend(doubted.map(|receipt| (receipt, Doubt::UnknownKind)));
        }
        Ok(gathered)
    }

    /// Chains of which something is gone, or was put in another's place.
    fn broken_chains(&self) -> BTreeSet<ChainId> {
        let integrity = |code: Code| {
            matches!(code, Code::Truncated | Code::MissingChain | Code::Equivocation | Code::Shallow)
                || (code.weight() == Weight::Broken && code.number() < Code::NotOwner.number())
        };
        let found = self.known.picture.verdict.findings.iter().filter(|finding| integrity(finding.code));
        found.filter_map(|finding| finding.chain).collect()
    }

    fn add_steps(&mut self, receipt: &Receipt) {
        for step in &receipt.steps {
            let entry = self.known.picture.link(&step.commit).and_then(|link| link.entry.as_ref());
            let Some(entry) = entry else { continue };
            match &entry.body.fact {
                Fact::ReceiptOpened(opened) => drop(self.risks.insert(receipt.id, opened.risk)),
                Fact::GateChecked(gate) => {
                    let by = self.known.trust.principal_of(&entry.body.signer);
                    self.gates.entry(gate.tree).or_default().push(seen(gate, by, receipt.id));
                }
                _ => {}
            }
        }
    }

    /// What strangers wrote, which is part of no receipt's state.
    fn add_strangers(&mut self) {
        for link in self.known.picture.history.links.values() {
            let Some(entry) = &link.entry else { continue };
            let Some(receipt) = entry.body.receipt else { continue };
            let signer = &entry.body.signer;
            match &entry.body.fact {
                _ if self.known.trust.knows(signer) => {}
                Fact::LinesAccepted(_) => {
                    self.strangers.accepted.entry(receipt).or_default().insert(signer.to_string());
                }
                Fact::CommitBound(bound) => {
                    self.strangers.bound.entry(bound.commit).or_default().insert(receipt);
                }
                Fact::GateChecked(gate) => {
                    let words = format!(
                        "gate `{}` was run on its tree by `{signer}`, a key that is not listed",
                        gate.gate
                    );
                    self.strangers.gates.entry(gate.tree).or_default().insert(words);
                }
                _ => {}
            }
        }
    }

    /// Collects what speaks for a commit besides lines.
    pub fn evidence(&self, commit: &RangeCommit, parent: Parent) -> Evidence {
        let mut evidence = Evidence {
            bound: self.known.bound_to(commit, parent),
            gates: self.gates.get(&commit.tree).cloned().unwrap_or_default(),
            doubts: self.doubts.clone(),
            author: commit.author.clone(),
            ..Evidence::default()
        };
        self.add_strangers_at(commit, &mut evidence);
        evidence
    }

    /// Adds what the receipts that speak for a commit state as their risk.
    pub fn add_risks(&self, evidence: &mut Evidence) {
        let ways = evidence.accepted.iter().flat_map(|way| &way.receipts);
        let receipts = ways.chain(evidence.bound.keys());
        evidence.risks =
            receipts.map(|receipt| (*receipt, self.risks.get(receipt).copied().flatten())).collect();
    }

    fn add_strangers_at(&self, commit: &RangeCommit, evidence: &mut Evidence) {
        for receipt in self.strangers.bound.get(&commit.commit).into_iter().flatten() {
            let words = match self.known.picture.folded.strangers.contains_key(receipt) {
                true => format!("receipt {receipt} names it and was opened by a key that is not listed"),
                false => format!("receipt {receipt} was bound to it by a key that is not listed"),
            };
            evidence.strangers.insert(words);
        }
        evidence.strangers.extend(self.strangers.gates.get(&commit.tree).into_iter().flatten().cloned());
        for name in &commit.named {
            let Ok(receipt) = name.parse::<ReceiptId>() else { continue };
            let stranger = self.known.picture.folded.strangers.contains_key(&receipt);
            if stranger {
                let words = format!(
                    "receipt {receipt}, which its message names, was opened by a key that is not listed"
                );
                evidence.strangers.insert(words);
            } else if !self.known.picture.folded.known.contains_key(&receipt) {
                evidence.missing.insert(format!("receipt {receipt}, which its message names, is not here"));
            }
            for key in self.strangers.accepted.get(&receipt).into_iter().flatten() {
                let words =
                    format!("lines of receipt {receipt} were accepted by `{key}`, a key that is not listed");
                evidence.strangers.insert(words);
            }
        }
    }

    /// Adds what a search for lines came upon; the ways are then those that it found, and no others.
    pub fn add_found(&self, evidence: &mut Evidence, found: &Found) {
        evidence.accepted = found.ways.iter().map(|way| self.acceptance(way)).collect();
        evidence.missing.extend(found.missing.iter().cloned());
        evidence.unusable.extend(found.unusable.iter().cloned());
        evidence.unexplained.clone_from(&found.unexplained);
    }

    /// Who accepts the lines of a way, and who proposed them.
    fn acceptance(&self, way: &Way) -> Acceptance {
        let mut acceptance = Acceptance {
            grade: way.grade,
            receipts: Vec::new(),
            accepted_by: BTreeSet::new(),
            authors: BTreeSet::new(),
        };
        for part in &way.parts {
            let (receipt, proposal) = self.known.candidate(part.at);
            acceptance.receipts.push(receipt.id);
            acceptance.accepted_by.extend(acceptors(proposal, &part.lines));
            acceptance.authors.extend(self.authors(receipt));
        }
        acceptance
    }

    /// Adds rollbacks that give the commit when they are worked out again. Who signed one accepts it.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn add_rolled_back(
        &self,
        ctx: &Context,
        commit: &RangeCommit,
        evidence: &mut Evidence,
    ) -> anyhow::Result<()> {
        let rollbacks = Rollbacks::new(ctx, &self.known);
        for receipt in self.known.rolled_back_in(commit.commit) {
            match rollbacks.again(receipt, Some(commit.commit)) {
                Ok(()) => {}
                Err(LoadError::Withheld(_)) => {
                    evidence.missing.insert(format!("what receipt {} took back is not here", receipt.id));
                    continue;
                }
                Err(LoadError::Wrong(problem)) => {
                    evidence
                        .unusable
                        .insert(format!("the rollback of receipt {} is wrong: {problem}", receipt.id));
                    continue;
                }
            }
            let acceptance = self.signed(receipt, Some(commit.commit), Grade::Commit);
            evidence.accepted.push(acceptance);
        }
        self.add_rolled_back_elsewhere(&rollbacks, ctx, commit, evidence)
    }

    /// Adds rollbacks that were stated of another commit, before it was rewritten to this one, or of none yet. The same
    /// upon this one's parent must give exactly its tree.
    fn add_rolled_back_elsewhere<'k>(
        &'k self,
        rollbacks: &Rollbacks<'k>,
        ctx: &Context,
        commit: &RangeCommit,
        evidence: &mut Evidence,
    ) -> anyhow::Result<()> {
        let [parent] = commit.parents.as_slice() else { return Ok(()) };
        let Some(tree) = ctx.store.tree_of(*parent)? else { return Ok(()) };
        let on = TreeAt { commit: *parent, tree };
        for id in self.known.rolled_back_like(commit, tree) {
            let Some(receipt) = self.known.picture.folded.known.get(&id) else { continue };
            let stated: BTreeSet<Option<Oid>> =
                receipt.takes_back.iter().map(|known| known.said.commit).collect();
            for stated in stated.into_iter().filter(|stated| *stated != Some(commit.commit)) {
                let said = receipt.takes_back.iter().map(|known| &known.said);
                let said: Vec<_> = said.filter(|said| said.commit == stated).collect();
                match rollbacks.upon(receipt, &said, &on) {
                    Ok(Some(gives)) if gives == commit.tree => {}
                    // What gives something else here says nothing against itself.
                    Ok(_) | Err(LoadError::Wrong(_)) => continue,
                    Err(LoadError::Withheld(_)) => {
                        evidence.missing.insert(format!("what receipt {id} took back is not here"));
                        continue;
                    }
                }
                if self.is_spent(ctx, receipt, *parent)? {
                    continue;
                }
                let same = said.iter().all(|said| (said.from_tree, said.to_tree) == (tree, commit.tree));
                let grade = match (same, stated) {
                    // What was staged names no commit itself, so the binding does.
                    (true, None) => evidence.bound.get(&id).copied().unwrap_or(Grade::Tree),
                    (true, Some(_)) => Grade::Tree,
                    (false, _) => Grade::Patch,
                };
                evidence.accepted.push(self.signed(receipt, stated, grade));
            }
        }
        Ok(())
    }

    /// Whether a rollback is in the history of a commit already, as far as that can be told: who brings again what it
    /// took, and takes it once more, needs another signature.
    fn is_spent(&self, ctx: &Context, receipt: &Receipt, parent: Oid) -> anyhow::Result<bool> {
        let base = base_of(&self.known.picture, receipt).filter(|base| ctx.store.has_object(*base));
        let without: Vec<Oid> = base.into_iter().collect();
        for commit in ctx.store.range(parent, &without, false)? {
            let before = match commit.parents.first() {
                Some(parent) => ctx.store.tree_of(*parent)?,
                None => None,
            };
            let like =
                before.is_some_and(|tree| self.known.rolled_back_like(&commit, tree).contains(&receipt.id));
            if like || receipt.bound.contains(&commit.commit) || receipt.rewritten.contains(&commit.commit) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a rollback's signature accepts, as its entries about the commit `stated` have it.
    fn signed(&self, receipt: &Receipt, stated: Option<Oid>, grade: Grade) -> Acceptance {
        let taken = receipt.takes_back.iter().filter(|known| known.said.commit == stated);
        let signed: BTreeSet<&EntryRef> = taken.map(|known| &known.entry).collect();
        let signers = receipt.steps.iter().filter(|step| signed.contains(&step.entry)).filter_map(|step| {
            let entry = self.known.picture.link(&step.commit)?.entry.as_ref()?;
            Some(BTreeSet::from([self.known.trust.principal_of(&entry.body.signer)]))
        });
        let accepted_by: BTreeSet<BTreeSet<String>> = signers.collect();
        // Who says what goes is an author of it.
        let mut authors = self.authors(receipt);
        authors.extend(accepted_by.iter().flatten().cloned());
        Acceptance { grade, receipts: vec![receipt.id], accepted_by, authors }
    }

    /// Who opened a receipt or proposed something in it.
    fn authors(&self, receipt: &Receipt) -> BTreeSet<String> {
        let entries = receipt.steps.iter();
        let entries = entries.filter_map(|step| self.known.picture.link(&step.commit)?.entry.as_ref());
        let proposing = entries.filter(|entry| {
            let fact = &entry.body.fact;
            matches!(fact, Fact::ReceiptOpened(_) | Fact::ProposalMade(_) | Fact::ProposalRevised(_))
        });
        proposing.map(|entry| self.known.trust.principal_of(&entry.body.signer)).collect()
    }
}

/// For every different set of principals that accept some of `lines`, that set.
fn acceptors(proposal: &ProposalState, lines: &LineSet) -> Vec<BTreeSet<String>> {
    let principals: BTreeSet<&str> =
        proposal.decisions.iter().map(|decided| decided.principal.as_str()).collect();
    // Each principal splits the lines into those that they accept and the others.
    let mut groups: Vec<(LineSet, BTreeSet<String>)> = vec![(lines.clone(), BTreeSet::new())];
    for who in principals {
        let theirs = proposal.accepted_by(who);
        let mut split = Vec::new();
        for (lines, mut by) in groups {
            let (others, both) = (lines.minus(&theirs), lines.common(&theirs));
            if !others.is_empty() {
                split.push((others, by.clone()));
            }
            if !both.is_empty() {
                by.insert(who.to_owned());
                split.push((both, by));
            }
        }
        groups = split;
    }
    groups.into_iter().map(|(_, by)| by).collect()
}

fn seen(gate: &GateChecked, by: String, receipt: ReceiptId) -> GateSeen {
    let passed = gate.result == GateResult::Passed && gate.exit_code == 0;
    let outcome = match (passed, gate.output.is_some()) {
        (true, true) => Outcome::Passed,
        (true, false) => Outcome::Unproven,
        (false, _) => Outcome::Failed,
    };
    GateSeen { name: gate.gate.clone(), command: gate.command.clone(), outcome, by, receipt }
}
