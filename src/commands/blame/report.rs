//! What blame tells: its report, and git's porcelain with receipts in it.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attribute::Basis;
use crate::commands::Report;
use crate::commands::evidence::without_end;
use crate::domain::ids::{Oid, Timestamp};
use crate::store::{Annotated, BlamedLine};

/// The grade where there is no commit that evidence could fit.
pub const UNCOMMITTED: &str = "uncommitted";

/// The lines and where they come from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Blamed {
    /// The commit that was looked at; none for the working tree.
    pub revision: Option<String>,
    /// The file, from the top of the working tree.
    pub path: String,
    /// The lines that were asked for, in order.
    pub lines: Vec<LineView>,
    /// The commits they come from, in the order of their ids.
    pub commits: Vec<CommitView>,
    /// The receipts that are named, in the order of their ids.
    pub receipts: Vec<ReceiptView>,
    /// git's porcelain format, where it was asked for.
    #[serde(skip)]
    pub porcelain: Option<Vec<u8>>,
}

/// One line.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LineView {
    /// Its place in the file, from 1.
    pub line: u64,
    /// Its text without the line's end. Bytes that are no UTF-8 are replaced.
    pub text: String,
    /// The commit that it comes from; none where it is not committed.
    pub commit: Option<String>,
    /// The file in that commit.
    pub origin_path: String,
    /// Its place there, from 1.
    pub origin_line: u64,
    /// The receipts that speak for it. Behind one that is tied to the line stand the rollbacks that brought it again; else
    /// there is more than one only where `basis` is `commit`.
    pub receipts: Vec<ClaimView>,
}

/// A receipt that speaks for a line.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClaimView {
    /// The receipt.
    pub receipt: String,
    /// Whether a known signer opened it.
    pub known: bool,
    /// How closely the evidence fits the commit: `commit`, `tree`, `patch` or `lines`, the best first; `uncommitted`
    /// where the line is not committed.
    pub grade: Cow<'static, str>,
    /// What ties it to the line: `line` where an accepted line put it there, `edit` where a recorded edit wrote it,
    /// `commit` where it speaks for the commit and no more can be told.
    pub basis: Cow<'static, str>,
    /// The accepted line's number in the proposal.
    pub number: Option<u64>,
    /// The receipt's own entry that recorded the edit, from 0.
    pub step: Option<u64>,
    /// Who accepts the very line.
    pub accepted_by: Vec<String>,
    /// The bound commit that the line was carried over from.
    pub carried_from: Option<String>,
    /// Where the receipt is a fork and took the line over as it was: where that was proposed first.
    pub origin: Option<LineOrigin>,
}

/// Where a line was proposed that a fork took over.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LineOrigin {
    /// The receipt.
    pub receipt: String,
    /// The line's number in its proposal.
    pub number: u64,
}

/// One commit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CommitView {
    /// Its id.
    pub commit: String,
    /// Its author's name.
    pub author: String,
    /// When it was written.
    pub time: String,
    /// Its subject.
    pub subject: String,
    /// Whether git looked no further back.
    pub boundary: bool,
}

/// One receipt.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptView {
    /// Its id.
    pub receipt: String,
    /// `open`, or how it was closed.
    pub state: String,
    /// The task in a few words.
    pub summary: String,
    /// The agent that did it.
    pub agent: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The key that opened it.
    pub owner: String,
    /// Whose key that is, as far as known.
    pub principal: Option<String>,
    /// Whether the key is known.
    pub known: bool,
    /// Where it is a rollback, the receipt that it takes back, the one that that took back in turn, and so on to the one
    /// that did something first.
    pub takes_back: Vec<String>,
}

impl Report for Blamed {
    const NAME: &'static str = "blame";
    const LISTS: &'static [&'static str] = &["lines"];
}

impl LineView {
    pub(super) fn of(annotated: &Annotated, line: &BlamedLine, null: Oid, receipts: Vec<ClaimView>) -> Self {
        let text = without_end(annotated.shown(line));
        LineView {
            line: line.line,
            text: String::from_utf8_lossy(text).into_owned(),
            commit: (line.commit != null).then(|| line.commit.to_hex()),
            origin_path: line.path.to_string(),
            origin_line: line.origin,
            receipts,
        }
    }
}

impl CommitView {
    pub(super) fn of(annotated: &Annotated, commit: Oid, null: Oid) -> Option<Self> {
        let said = annotated.commits.get(&commit).filter(|_| commit != null)?;
        Some(CommitView {
            commit: commit.to_hex(),
            author: said.author.clone(),
            time: Timestamp::from_unix_ms(said.time.saturating_mul(1000)).to_string(),
            subject: said.summary.clone(),
            boundary: said.boundary,
        })
    }
}

/// git's own porcelain with our headers on every line that a receipt speaks for, before its content.
pub(super) fn porcelain(annotated: &Annotated, lines: &[LineView], receipts: &[ReceiptView]) -> Vec<u8> {
    let mut out = Vec::with_capacity(annotated.raw.len() * 2);
    let mut written = 0;
    for (line, view) in annotated.lines.iter().zip(lines) {
        // The content stands behind a tab.
        let until = line.text.start.saturating_sub(1);
        out.extend_from_slice(&annotated.raw[written..until]);
        written = until;
        for claim in &view.receipts {
            let mut header = |name: &str, value: &str| {
                // A header is one line, whatever a stranger wrote.
                let value = value.replace(|c: char| c.is_control(), " ");
                out.extend_from_slice(format!("{name} {}\n", value.trim_end()).as_bytes());
            };
            header("receipt", &claim.receipt);
            header("receipt-grade", &claim.grade);
            header("receipt-basis", &claim.basis);
            header("receipt-signer", if claim.known { "known" } else { "unknown" });
            if let Some(number) = claim.number {
                header("receipt-line", &number.to_string());
            }
            if let Some(step) = claim.step {
                header("receipt-step", &step.to_string());
            }
            for of in receipt_named(receipts, &claim.receipt).into_iter().flat_map(|view| &view.takes_back) {
                header("receipt-takes-back", of);
            }
            let mut worked = vec![(&claim.receipt, ["receipt-agent", "receipt-model"])];
            if let Some(origin) = &claim.origin {
                header("receipt-origin", &origin.receipt);
                header("receipt-origin-line", &origin.number.to_string());
                worked.push((&origin.receipt, ["receipt-origin-agent", "receipt-origin-model"]));
            }
            for (receipt, names) in worked {
                let Some(view) = receipt_named(receipts, receipt) else { continue };
                for (name, value) in names.into_iter().zip([&view.agent, &view.model]) {
                    if let Some(value) = value {
                        header(name, value);
                    }
                }
            }
            for who in &claim.accepted_by {
                header("receipt-accepted-by", who);
            }
        }
    }
    out.extend_from_slice(&annotated.raw[written..]);
    out
}

/// One of the receipts, which stand in the order of their ids.
fn receipt_named<'r>(receipts: &'r [ReceiptView], id: &str) -> Option<&'r ReceiptView> {
    let at = receipts.binary_search_by(|receipt| receipt.receipt.as_str().cmp(id)).ok()?;
    receipts.get(at)
}

impl Blamed {
    /// A commit that a line names.
    pub fn commit(&self, id: &str) -> Option<&CommitView> {
        let at = self.commits.binary_search_by(|commit| commit.commit.as_str().cmp(id)).ok()?;
        self.commits.get(at)
    }

    /// A receipt that a line names.
    pub fn receipt(&self, id: &str) -> Option<&ReceiptView> {
        receipt_named(&self.receipts, id)
    }
}

impl ClaimView {
    /// The receipt whose work the line is: where a fork took it over, the one that proposed it first.
    pub fn worked(&self) -> &str {
        self.origin.as_ref().map_or(&self.receipt, |origin| &origin.receipt)
    }

    /// Whether it is tied to the line itself.
    pub fn is_of_line(&self) -> bool {
        self.basis != Basis::Commit.as_str()
    }
}
