//! What speaks for a commit: bindings, accepted lines worked out again, checks on its tree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::commands::Context;
use crate::commands::evidence::{Asked, Known, Part, Way};
use crate::commands::trust::TrustSet;
use crate::commands::verify::Picture;
use crate::domain::audit::judge::{Acceptance, Evidence, GateSeen};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{GateResult, Risk};
use crate::domain::fact::values::{GitPath, LineSet};
use crate::domain::fold::Receipt;
use crate::domain::ids::{Oid, ReceiptId};
use crate::domain::lines::{self, Files};
use crate::store::{RangeCommit, Store};

/// What is known under one list of signers, with what only judging asks for.
pub struct Gathered {
    known: Known,
    gates: HashMap<Oid, Vec<GateSeen>>,
    risks: BTreeMap<ReceiptId, Option<Risk>>,
    unreadable: BTreeSet<ReceiptId>,
}

impl Gathered {
    /// Arranges what `picture` holds, which was folded under `trust`.
    pub fn new(ctx: &Context, picture: Picture, trust: TrustSet) -> Self {
        let known = Known::new(ctx, picture, trust);
        let (mut gates, mut risks, mut unreadable) = (HashMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut receipts: Vec<&Receipt> = known.picture.folded.known.values().collect();
        receipts.sort_by_key(|receipt| (receipt.opened_at, receipt.id));
        for receipt in receipts {
            for step in &receipt.steps {
                let Some(entry) = known.picture.link(&step.commit).and_then(|link| link.entry.as_ref())
                else {
                    continue;
                };
                match &entry.body.fact {
                    Fact::ReceiptOpened(opened) => drop(risks.insert(receipt.id, opened.risk)),
                    Fact::GateChecked(gate) => {
                        let proven = gate.output.is_some();
                        gates.entry(gate.tree).or_insert_with(Vec::new).push(GateSeen {
                            name: gate.gate.clone(),
                            command: gate.command.clone(),
                            passed: gate.result == GateResult::Passed && gate.exit_code == 0 && proven,
                            by: known.trust.principal_of(&entry.body.signer),
                        });
                    }
                    _ => {}
                }
            }
        }
        for link in known.picture.history.links.values() {
            let Some(entry) = &link.entry else { continue };
            let counted = known.picture.verdict.counted.contains(&link.commit);
            if let (Fact::Unknown { .. }, Some(receipt), true) =
                (&entry.body.fact, entry.body.receipt, counted)
            {
                unreadable.insert(receipt);
            }
        }
        Gathered { known, gates, risks, unreadable }
    }

    /// Collects what speaks for a commit upon its first parent.
    ///
    /// # Errors
    /// When its trees cannot be read.
    pub fn evidence(
        &self,
        ctx: &Context,
        commit: &RangeCommit,
        parent: Option<Oid>,
        with_lines: bool,
    ) -> anyhow::Result<Evidence> {
        let asked = Asked {
            commit: commit.commit,
            tree: commit.tree,
            parent_tree: parent,
            trailers: &commit.trailers,
        };
        let mut evidence = Evidence {
            gates: self.gates.get(&commit.tree).cloned().unwrap_or_default(),
            unreadable: self.unreadable.clone(),
            author: commit.author.clone(),
            strangers: self.known.strangers_at(commit.commit),
            bound: self.known.bound_to(&asked),
            ..Evidence::default()
        };
        if with_lines {
            let ways = self.known.ways(ctx, &asked, &evidence.bound)?;
            evidence.withheld = ways.withheld;
            evidence.accepted = ways.found.iter().map(|way| self.acceptance(way)).collect();
            if evidence.accepted.is_empty() {
                let parent_tree = parent.unwrap_or_else(|| ctx.store.empty_tree());
                evidence.unexplained = unexplained(&ctx.store, parent_tree, commit.tree)?;
            }
        }
        let named = evidence.accepted.iter().flat_map(|way| &way.receipts).chain(evidence.bound.keys());
        evidence.risks =
            named.map(|receipt| (*receipt, self.risks.get(receipt).copied().flatten())).collect();
        Ok(evidence)
    }

    /// Who accepts these lines, and who proposed them.
    fn acceptance(&self, found: &Way) -> Acceptance {
        let mut way = Acceptance {
            grade: found.grade,
            receipts: Vec::new(),
            accepted_by: BTreeSet::new(),
            authors: BTreeSet::new(),
        };
        for Part { at, lines, .. } in &found.parts {
            let landing = self.known.landing(*at);
            way.receipts.push(landing.receipt.id);
            let principals: BTreeSet<&str> =
                landing.proposal.decisions.iter().map(|decided| decided.principal.as_str()).collect();
            // Each principal splits the lines into those that they accept and the others.
            let mut groups: Vec<(LineSet, BTreeSet<String>)> = vec![(lines.clone(), BTreeSet::new())];
            for who in principals {
                let theirs = landing.proposal.accepted_by(who);
                let mut split = Vec::new();
                for (lines, mut by) in groups {
                    let others = lines.minus(&theirs);
                    let both = lines.common(&theirs);
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
            way.accepted_by.extend(groups.into_iter().map(|(_, by)| by));
            for step in &landing.receipt.steps {
                let entry = self.known.picture.link(&step.commit).and_then(|link| link.entry.as_ref());
                if let Some(entry) = entry
                    && matches!(
                        entry.body.fact,
                        Fact::ReceiptOpened(_) | Fact::ProposalMade(_) | Fact::ProposalRevised(_)
                    )
                {
                    way.authors.insert(self.known.trust.principal_of(&entry.body.signer));
                }
            }
        }
        way
    }
}

/// The first file that differs, and the first of its lines that does.
pub fn unexplained(store: &Store, from: Oid, to: Oid) -> anyhow::Result<Option<(GitPath, Option<u64>)>> {
    let (before, after) = store.changed_files(from, to)?;
    let first = before.keys().chain(after.keys()).min().cloned();
    let Some(path) = first else { return Ok(None) };
    let only = |files: &Files| -> Files {
        files.iter().filter(|(known, _)| **known == path).map(|(path, file)| (path.clone(), *file)).collect()
    };
    let table = lines::diff(&only(&before), &only(&after), store);
    let line = table.ok().and_then(|table| {
        let file = table.files().first()?;
        file.ops.iter().find_map(|op| match *op {
            lines::Op::Add { from, .. } | lines::Op::Mutate { from, .. } | lines::Op::Move { from, .. } => {
                Some(from)
            }
            _ => None,
        })
    });
    Ok(Some((path, line)))
}
