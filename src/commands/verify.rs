//! `git receipt verify`

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::Known;
use super::heads::{HeadView, Remembered, Witnessed, advance};
use super::proposal::LoadError;
use super::rollback::Rollbacks;
use super::summary::{RollbackView, rollbacks};
use super::trust::TrustSet;
use super::{Context, Report};
use crate::domain::chain::Link;
use crate::domain::fact::Fact;
use crate::domain::finding::{self, Code, Finding, Weight};
use crate::domain::fold::{self, Folded, Receipt};
use crate::domain::ids::{ChainId, EntryRef, Oid, ReceiptId};
use crate::domain::verify::{self, History, Named, NamedBy, Trust, Verdict};

/// Check every entry: bytes, signatures, links, citations, authority and artifacts
///
/// Exits with 0 when all is well, 1 when anything is broken, 4 when evidence is incomplete (unknown signers,
/// shallow history). Every finding is listed, not only the first.
///
/// Nothing inside a chain shows that its end was cut off, or that it is gone altogether. `--remember`, `--expect` and
/// `--witness` are for that: in this clone, by a file that you keep, and for everybody by a signed entry.
#[derive(Debug, Clone, clap::Args, Default)]
pub struct Args {
    /// Only what concerns this receipt
    #[arg(value_name = "R", conflicts_with_all = ["chain", "all"])]
    pub receipt: Option<String>,
    /// Only this chain
    #[arg(long, value_name = "C", conflicts_with = "all")]
    pub chain: Option<ChainId>,
    /// Everything (the default)
    #[arg(long)]
    pub all: bool,
    /// Take signers and revocations from this revision instead of the default branch
    #[arg(long, value_name = "REV")]
    pub policy_from: Option<String>,
    /// Remember in this clone the heads of all chains, own and fetched, unless something is broken
    ///
    /// Every later `verify` here misses what is gone. They are in `receipts/heads` below git's common directory;
    /// deleting that file forgets them.
    #[arg(long, conflicts_with_all = ["receipt", "chain"])]
    pub remember: bool,
    /// Insist on the heads in this file (`-`: standard input), as `git receipt verify --json | jq .heads` gives them
    ///
    /// A JSON list of objects with `chain`, `seq` and `digest`, or a whole document of `verify --json`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["receipt", "chain"])]
    pub expect: Option<PathBuf>,
    /// Sign the heads of other chains with the recording key, unless something is broken
    ///
    /// For CI, after `git receipt fetch` and before `git receipt push`: every clone that has the entry then misses what
    /// is gone. Chains of unknown signers are left out, as are heads that this key has signed before.
    #[arg(long, conflicts_with_all = ["receipt", "chain"])]
    pub witness: bool,
}

/// What `verify` found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verified {
    /// Whether nothing is broken and nothing incomplete.
    pub clean: bool,
    /// How many entries were checked.
    pub entries: u64,
    /// How many receipts there are.
    pub receipts: u64,
    /// Where the list of signers came from.
    pub signers_from: Option<String>,
    /// Everything found.
    pub findings: Vec<FindingView>,
    /// Every chain that was looked at.
    pub chains: Vec<ChainView>,
    /// The last entry of each of them, for `--expect`.
    pub heads: Vec<HeadView>,
    /// How many heads were expected, with `--expect`.
    pub expected: Option<u64>,
    /// What is remembered, with `--remember`; nothing where something is broken.
    pub remembered: Option<Remembered>,
    /// What other receipts take back of the one that was named.
    pub taken_back: Vec<RollbackView>,
    /// What was signed, with `--witness`; nothing where something is broken.
    pub witnessed: Option<Witnessed>,
    /// Artifacts that are named and not here.
    pub withheld: u64,
    /// Entries of kinds or with fields that this version does not know.
    pub unknown_kinds: u64,
    #[serde(skip)]
    code: u8,
}

/// One finding.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FindingView {
    /// The stable code, as `E101`.
    pub code: &'static str,
    /// Its stable name, as `bad-signature`.
    pub name: &'static str,
    /// `broken`, `incomplete` or `warning`.
    pub weight: &'static str,
    /// The chain.
    pub chain: Option<String>,
    /// The place in the chain.
    pub seq: Option<u64>,
    /// The commit.
    pub commit: Option<String>,
    /// The receipt.
    pub receipt: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// One chain.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChainView {
    /// Its id.
    pub chain: String,
    /// Its key.
    pub signer: Option<String>,
    /// Whose key that is, as far as known.
    pub principal: Option<String>,
    /// Whether the key is known.
    pub known: bool,
    /// How many entries.
    pub entries: u64,
    /// Through which seq other chains vouch for it; later entries could be cut without a trace.
    pub anchored_through: Option<u64>,
    /// Through which seq this clone remembers it: a cut would show here, and nowhere else.
    pub remembered_through: Option<u64>,
    /// Whether it is here only as a remote's.
    pub remote_only: bool,
    /// Whether a seal stands for its ref.
    pub sealed: bool,
}

impl Report for Verified {
    const NAME: &'static str = "verify";

    fn exit_code(&self) -> u8 {
        self.code
    }
}

/// Everything that the chains say, checked and folded.
pub struct Picture {
    /// The entries.
    pub history: Rc<History>,
    /// What checking them gave.
    pub verdict: Verdict,
    /// The receipts.
    pub folded: Folded,
}

impl Picture {
    /// A receipt as it was folded.
    ///
    /// # Errors
    /// When no sound entry opened it.
    pub fn receipt(&self, id: ReceiptId) -> anyhow::Result<&Receipt> {
        self.folded.receipt(id).ok_or_else(|| {
            let message = format!("receipt `{id}` has no sound opening");
            super::user_error(message, "`git receipt verify` says what is wrong")
        })
    }

    /// The tip of a chain of ours, as it was read.
    pub fn tip_of(&self, chain: ChainId) -> Option<Oid> {
        let ours = |found: &&verify::ChainRef| found.chain == chain && found.remote.is_none();
        self.history.refs.iter().find(ours).map(|found| found.tip)
    }

    /// The entry at a commit that a folded receipt names.
    pub fn link(&self, commit: &Oid) -> Option<&Link> {
        self.history.links.get(commit)
    }
}

impl Context {
    /// Reads, checks and folds all chains.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn picture(&self, trust: &TrustSet) -> anyhow::Result<Picture> {
        self.picture_with(trust, &self.written_heads())
    }

    /// As [`Context::picture`], with all entries that must be here.
    fn picture_with(&self, trust: &TrustSet, named: &[Named]) -> anyhow::Result<Picture> {
        self.picture_of(Rc::new(self.store.read_history()?), trust, named)
    }

    /// As [`Context::picture`], of a history that was read before, with all entries that must be here.
    ///
    /// # Errors
    /// When hashing fails.
    pub fn picture_of(
        &self,
        history: Rc<History>,
        trust: &TrustSet,
        named: &[Named],
    ) -> anyhow::Result<Picture> {
        let trees = self.trees_of_bound(&history)?;
        let verdict = verify::verify(
            &history,
            &Trust {
                repos: trust.repos.as_ref(),
                knows: &|key| trust.knows(key),
                revoked: &trust.revoked,
                named,
                tree_of: &|commit| trees.get(&commit).copied(),
                threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            },
        );
        let folded = self
            .around(trust, |around| fold::fold(&history.links, &verdict.counted, &verdict.strangers, around));
        Ok(Picture { history, verdict, folded })
    }

    /// Calls `fold` with what folding needs to know besides the entries.
    pub(super) fn around<T>(&self, trust: &TrustSet, fold: impl FnOnce(&fold::Around<'_>) -> T) -> T {
        let principal = |key: &_| trust.principal_of(key);
        let carried = |from: &_, to: &_| self.carried(from, to);
        fold(&fold::Around { principal_of: &principal, carried: &carried })
    }

    /// The trees of the commits that bindings name, as far as those are here.
    fn trees_of_bound(&self, history: &History) -> anyhow::Result<BTreeMap<Oid, Oid>> {
        let mut trees = BTreeMap::new();
        for entry in history.links.values().filter_map(|link| link.entry.as_ref()) {
            let commit = match &entry.body.fact {
                Fact::CommitBound(bound) => bound.commit,
                Fact::LinesApplied(applied) => applied.commit,
                _ => continue,
            };
            // One that cannot be read says as little as one that is not here.
            if let Ok(Some(tree)) = self.store.tree_of(commit) {
                trees.insert(commit, tree);
            }
        }
        Ok(trees)
    }
}

/// Runs the command.
///
/// # Errors
/// When the repository cannot be read; what is wrong with the chains is part of the report.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Verified> {
    let trust = ctx.trust(args.policy_from.as_deref())?;
    let (named, expected) = ctx.named_heads(args.expect.as_deref())?;
    if args.witness {
        ctx.check_recording()?;
        ctx.recorder()?;
    }
    let picture = ctx.picture_with(&trust, &named)?;
    if let Some(chain) = args.chain
        && !picture.verdict.chains.iter().any(|known| known.chain == chain)
    {
        return Err(no_chain(chain));
    }
    let mut findings = picture.verdict.findings.clone();
    findings.extend(picture.folded.findings.iter().cloned());
    if picture.history.missing.iter().any(|missing| missing.shallow) {
        // What was opened before the cut cannot be seen to have been.
        for finding in findings.iter_mut().filter(|finding| finding.code == Code::NotOpened) {
            finding.code = Code::Shallow;
            finding.message.push_str(", as far as the shallow history shows");
        }
    }
    let (artifacts, withheld) = ctx.check_artifacts(&picture.history)?;
    findings.extend(artifacts);
    let (lines, withheld_lines) = ctx.check_lines(&picture)?;
    findings.extend(lines);
    let (picture, trust, rolled_back) = check_rollbacks(ctx, picture, trust)?;
    findings.extend(rolled_back);
    let withheld = withheld + withheld_lines;
    findings.extend(ctx.check_notes(&picture)?);
    if trust.repos.is_none() && !picture.history.links.is_empty() {
        findings.push(Finding {
            code: Code::Shallow,
            chain: None,
            seq: None,
            commit: None,
            receipt: None,
            message:
                "the project's root commits cannot be told here, so entries of other projects would pass"
                    .into(),
        });
    }
    findings.sort();
    let receipt = match &args.receipt {
        Some(name) => Some(picture.target(ctx, name)?.receipt),
        None => None,
    };
    if let Some(chain) = args.chain {
        // What nobody owns may be of this chain: an entry that cannot be read does not say where it belongs.
        findings.retain(|finding| finding.chain.is_none_or(|found| found == chain));
    }
    if let Some(receipt) = receipt {
        let chains = chains_of(&picture, receipt);
        findings
            .retain(|f| f.receipt == Some(receipt) || f.chain.is_none_or(|chain| chains.contains(&chain)));
    }
    let broken = findings.iter().any(|finding| finding.code.weight() == Weight::Broken);
    let mut report = describe(&trust, &picture, args, receipt, findings, withheld);
    let mut remembered: BTreeMap<String, u64> = BTreeMap::new();
    for Named { entry, .. } in named.iter().filter(|named| named.by != NamedBy::Expected) {
        let through = remembered.entry(entry.chain.to_string()).or_default();
        *through = entry.seq.max(*through);
    }
    for chain in &mut report.chains {
        chain.remembered_through = remembered.get(&chain.chain).copied();
    }
    if let Some(named) = receipt.and_then(|receipt| picture.folded.receipt(receipt)) {
        report.taken_back = rollbacks(&named.taken_back, &picture);
    }
    report.expected = expected;
    keep_heads(ctx, args, &picture, broken, &mut report)?;
    // The process ends here, and taking a long history apart first would only take time.
    std::mem::forget(picture);
    Ok(report)
}

/// Works out again the rollbacks that were proposed: who accepts one relies on its taking back what it says.
fn check_rollbacks(
    ctx: &Context,
    picture: Picture,
    trust: TrustSet,
) -> anyhow::Result<(Picture, TrustSet, Vec<Finding>)> {
    let proposed = |receipt: &Receipt| !receipt.takes_back.is_empty() && !receipt.proposals.is_empty();
    if !picture.folded.known.values().any(proposed) {
        return Ok((picture, trust, Vec::new()));
    }
    let known = Known::new(ctx, picture, trust)?;
    let mut findings = Vec::new();
    let rollbacks = Rollbacks::new(ctx, &known);
    for receipt in known.picture.folded.known.values().filter(|receipt| proposed(receipt)) {
        let Err(LoadError::Wrong(problem)) = rollbacks.proposed(receipt) else { continue };
        let first = &receipt.takes_back[0].entry;
        let step = receipt.steps.iter().find(|step| step.entry == *first);
        let link = step.and_then(|step| known.picture.link(&step.commit));
        findings.extend(link.map(|link| link.finding(Code::WrongApplication, problem)));
    }
    drop(rollbacks);
    let Known { picture, trust, .. } = known;
    Ok((picture, trust, findings))
}

/// Signs and remembers heads, as far as that was asked for and all is well.
fn keep_heads(
    ctx: &Context,
    args: &Args,
    picture: &Picture,
    broken: bool,
    report: &mut Verified,
) -> anyhow::Result<()> {
    if broken {
        if args.remember || args.witness {
            ctx.notice("no heads were remembered or signed, as something is broken");
        }
        return Ok(());
    }
    let mut heads: Vec<EntryRef> = picture.verdict.chains.iter().filter_map(|chain| chain.head).collect();
    if args.witness {
        let (witnessed, new) = ctx.witness(picture)?;
        if let Some(new) = new {
            advance(&mut heads, new);
            report.heads = heads.iter().copied().map(HeadView::from).collect();
        }
        report.witnessed = Some(witnessed);
    }
    if args.remember {
        let changed = ctx.store.remember_heads(&heads)?;
        report.remembered = Some(Remembered { heads: heads.len() as u64, changed });
    }
    Ok(())
}

/// The error for a chain that is not here.
pub(super) fn no_chain(chain: ChainId) -> anyhow::Error {
    super::user_error(
        format!("chain `{chain}` is not here"),
        "`git receipt verify` lists the chains that are",
    )
}

/// The chains that hold entries of a receipt.
fn chains_of(picture: &Picture, receipt: ReceiptId) -> Vec<ChainId> {
    let entries = picture.history.links.values().filter_map(|link| link.entry.as_ref());
    entries.filter(|entry| entry.body.receipt == Some(receipt)).map(|entry| entry.body.chain).collect()
}

fn describe(
    trust: &TrustSet,
    picture: &Picture,
    args: &Args,
    receipt: Option<ReceiptId>,
    findings: Vec<Finding>,
    withheld: u64,
) -> Verified {
    let code = finding::exit_code(&findings);
    let of_receipt = receipt.map(|receipt| chains_of(picture, receipt));
    let chains = || {
        let chains = picture.verdict.chains.iter();
        chains
            .filter(|chain| args.chain.is_none_or(|wanted| wanted == chain.chain))
            .filter(|chain| of_receipt.as_ref().is_none_or(|wanted| wanted.contains(&chain.chain)))
    };
    let heads = chains().filter_map(|chain| chain.head).map(HeadView::from).collect();
    let chains = chains()
        .map(|chain| ChainView {
            chain: chain.chain.to_string(),
            signer: chain.signer.as_ref().map(ToString::to_string),
            principal: chain.signer.as_ref().and_then(|key| trust.name_of(key)),
            known: chain.known,
            entries: chain.entries,
            anchored_through: chain.anchored,
            remembered_through: None,
            remote_only: chain.remote_only,
            sealed: chain.sealed,
        })
        .collect();
    Verified {
        clean: code == 0,
        entries: picture.verdict.entries,
        receipts: picture.folded.receipts().len() as u64,
        signers_from: trust.source.clone(),
        unknown_kinds: findings.iter().filter(|f| f.code == Code::UnknownKind).count() as u64,
        findings: findings.iter().map(view).collect(),
        chains,
        heads,
        expected: None,
        remembered: None,
        taken_back: Vec::new(),
        witnessed: None,
        withheld,
        code,
    }
}

fn view(finding: &Finding) -> FindingView {
    FindingView {
        code: finding.code.number(),
        name: finding.code.slug(),
        weight: match finding.code.weight() {
            Weight::Broken => "broken",
            Weight::Incomplete => "incomplete",
            Weight::Warning => "warning",
        },
        chain: finding.chain.map(|chain| chain.to_string()),
        seq: finding.seq,
        commit: finding.commit.map(|commit| commit.to_hex()),
        receipt: finding.receipt.map(|receipt| receipt.to_string()),
        message: finding.message.clone(),
    }
}

impl Context {
    /// Compares the artifacts that are here with what the entries name.
    fn check_artifacts(&self, history: &History) -> anyhow::Result<(Vec<Finding>, u64)> {
        let (mut findings, mut withheld) = (Vec::new(), 0);
        for link in history.links.values() {
            let Some(entry) = &link.entry else { continue };
            for (field, content) in entry.body.fact.contents() {
                let Some(detached) = content.detached() else { continue };
                match self.store.read_content(detached) {
                    Ok(Some(_)) => {}
                    Ok(None) => withheld += 1,
                    Err(error) => {
                        findings.push(link.finding(Code::BadArtifact, format!("`{field}`: {error}")))
                    }
                }
            }
        }
        Ok((findings, withheld))
    }

    /// Compares notes with bindings: a note that says something else is a warning, for anyone can write one.
    fn check_notes(&self, picture: &Picture) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let notes = self.store.read_notes()?;
        if notes.is_empty() {
            return Ok(findings);
        }
        let entries = picture.history.links.values().filter_map(|link| link.entry.as_ref());
        let known: HashSet<(ReceiptId, EntryRef)> =
            entries.filter_map(|entry| Some((entry.body.receipt?, entry.reference()))).collect();
        for (commit, text) in notes {
            // Git joins notes that it copies together by an empty line.
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let there = line.split_once(' ').and_then(|(receipt, entry)| {
                    let named = (receipt.parse().ok()?, entry.parse().ok()?);
                    known.get(&named)
                });
                if there.is_none() {
                    findings.push(Finding {
                        code: Code::NoteDisagrees,
                        chain: None,
                        seq: None,
                        commit: Some(commit),
                        receipt: None,
                        message: format!("note names `{line}`, which is not here"),
                    });
                }
            }
        }
        Ok(findings)
    }
}
