//! What a reviewer would rather have, as a receipt of their own.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::super::proposal::{Loaded, lines_error};
use super::super::propose::{Drafting, own_receipt};
use super::super::sources::Proposed;
use super::super::{Context, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::values::LineSet;
use crate::domain::fold::ProposalState;
use crate::domain::ids::{Oid, ReceiptId};
use crate::domain::lines::{self, Blobs, Change, Op, Table};

/// A receipt that is worked out and not yet signed.
pub(super) struct Fork {
    /// Its id.
    pub receipt: ReceiptId,
    /// How many numbers its proposal gives out.
    pub count: u64,
    /// Its opening and its proposal.
    pub drafts: Vec<Draft>,
}

/// Drafts a receipt forked from a proposal: what all lines but `refused` give, those in `edited` with another text.
///
/// # Errors
/// When such a text gives no valid proposal, or the lines that are left cannot stand without the others.
pub(super) fn fork(
    ctx: &Context,
    proposal: &ProposalState,
    loaded: &Loaded,
    edited: &BTreeMap<u64, &str>,
    refused: &LineSet,
) -> anyhow::Result<Fork> {
    let tree = edited_tree(ctx, loaded, edited, refused)?;
    let made = &proposal.made;
    let proposed = Proposed { base: made.base.clone(), tree, files: Vec::new() };
    if tree == proposed.base.tree {
        return Err(user_error(
            "with the edited text nothing is left of the change",
            "refuse the lines in place of editing them",
        ));
    }
    let summary = format!("{} (edited)", made.summary);
    let drafting = Drafting::new(ctx, &proposed)?;
    let fact = drafting.fact(1, None, summary.clone(), None);
    let count = fact.lines.count;
    let (receipt, opening) = own_receipt(ctx, &proposed, &summary, Some(proposal.entry))?;
    let proposing = Draft::new(Some(receipt), &summary, Fact::ProposalMade(fact));
    Ok(Fork { receipt, count, drafts: vec![opening, proposing] })
}

/// The tree that all lines but `refused` give, those in `edited` with another text.
fn edited_tree(
    ctx: &Context,
    loaded: &Loaded,
    edited: &BTreeMap<u64, &str>,
    refused: &LineSet,
) -> anyhow::Result<Oid> {
    let (mut files, mut proposed) = (loaded.table.files().to_vec(), loaded.proposed.clone());
    for file in &mut files {
        let mut texts = BTreeMap::new();
        for (first, op) in file.numbered() {
            let (Op::Add { from, n, .. } | Op::Mutate { from, n, .. }) = *op else { continue };
            texts.extend(edited.range(first..first + n).map(|(line, text)| (from + line - first, *text)));
        }
        let (Some(oid), false) = (file.proposed, texts.is_empty()) else { continue };
        let bytes = Blobs::blob(&ctx.store, &oid).map_err(|error| lines_error(error.into()))?;
        let written = ctx.store.write_blob(&with_lines(&bytes, &texts))?;
        file.proposed = Some(written);
        let there = proposed.get_mut(&file.path).with_context(|| format!("`{}` is not here", file.path))?;
        there.oid = written;
    }
    // The same operations on another text: held against it like a table of somebody else's.
    let table = Table::new(files).map_err(|error| lines_error(error.into()))?;
    let change = Change::check(&table, &loaded.base, &proposed, &ctx.store).map_err(|error| {
        user_error(
            format!("the edited text cannot be proposed: {error}"),
            "`git receipt review R` takes up the other decisions again",
        )
    })?;
    let edits = lines::apply(&change, &table.all().minus(refused), &ctx.store).map_err(lines_error)?;
    ctx.write_result(loaded.made.base.tree, &edits)
}

/// A file with another text on some of its lines, counted from 1. Line ends stay as they are.
fn with_lines(bytes: &[u8], texts: &BTreeMap<u64, &str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        match texts.get(&number) {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                out.extend_from_slice(if line.ends_with(b"\n") { b"\n" } else { b"" });
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_with_another_text_change_and_line_ends_stay() {
        let texts = BTreeMap::from([(2, "two"), (3, "")]);
        assert_eq!(with_lines(b"a\nb\nc", &texts), b"a\ntwo\n");
        assert_eq!(with_lines(b"a\r\nb\r\nc\n", &BTreeMap::from([(2, "x\r")])), b"a\r\nx\r\nc\n");
        assert_eq!(with_lines(b"", &texts), b"");
    }
}
