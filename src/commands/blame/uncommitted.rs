//! Lines that nobody committed yet, and the open receipts whose recorded edits wrote them.

use std::borrow::Cow;

use super::attribute::{Basis, Claim};
use super::edits::writers;
use crate::commands::Context;
use crate::commands::evidence::{Known, without_end};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::{Oid, ReceiptId};
use crate::domain::lines::{BlobError, Blobs};
use crate::store::{Annotated, BlamedLine, Store};

/// A file of the working tree with lines that are not committed, and the receipts that may have written them.
pub struct Uncommitted {
    path: GitPath,
    /// The receipts open in this worktree that changed the file, the newest first.
    open: Vec<ReceiptId>,
}

impl Uncommitted {
    /// Finds them; none where there are no such lines, or nobody who is at work here can have written one.
    pub fn find(ctx: &Context, annotated: &Annotated) -> Option<Self> {
        let path = lines(ctx, annotated).next().map(|(_, line)| line.path.clone())?;
        let here = ctx.store.worktree_id();
        let mut open = ctx.store.open_receipts();
        open.retain(|open| {
            let touched = || ctx.store.touched(open.receipt);
            open.worktree == here && touched().iter().any(|file| file.path == path)
        });
        let open: Vec<ReceiptId> = open.into_iter().rev().map(|open| open.receipt).collect();
        (!open.is_empty()).then_some(Uncommitted { path, open })
    }

    /// Claims every such line for the newest of the receipts that recorded an edit writing exactly it.
    ///
    /// # Errors
    /// When the file cannot be hashed.
    pub fn claim(
        &self,
        ctx: &Context,
        known: &Known,
        annotated: &Annotated,
        claims: &mut [Vec<Claim>],
    ) -> anyhow::Result<()> {
        let Some(bytes) = ctx.store.file_on_disk(&self.path) else { return Ok(()) };
        let now: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').map(without_end).collect();
        let stands = |line: &BlamedLine| {
            let at = usize::try_from(line.line.saturating_sub(1)).unwrap_or(usize::MAX);
            now.get(at).is_some_and(|text| *text == without_end(annotated.shown(line)))
        };
        // What is not as git saw it was changed meanwhile, or is another text to git than on disk.
        let mut left: Vec<(usize, u64)> = lines(ctx, annotated)
            .filter(|(_, line)| stands(line))
            .map(|(index, line)| (index, line.line))
            .collect();
        let file = OnDisk { store: &ctx.store, oid: ctx.store.blob_id(&bytes)?, bytes: &bytes };
        for id in &self.open {
            let Some(receipt) = known.picture.folded.known.get(id).filter(|one| one.closed.is_none()) else {
                continue;
            };
            let wanted: Vec<u64> = left.iter().map(|(_, line)| *line).collect();
            let told = writers(&file, &known.picture, receipt, (&self.path, file.oid), &wanted);
            let mut told = told.into_iter();
            left.retain(|(index, _)| match told.next().flatten() {
                Some(step) => {
                    claims[*index].push(Claim {
                        receipt: *id,
                        known: true,
                        grade: None,
                        basis: Basis::Edit,
                        number: None,
                        step: Some(step),
                        from: None,
                    });
                    false
                }
                None => true,
            });
        }
        Ok(())
    }
}

/// The lines that are not committed, each with its index.
fn lines<'a>(ctx: &Context, annotated: &'a Annotated) -> impl Iterator<Item = (usize, &'a BlamedLine)> {
    let null = ctx.store.null_id();
    annotated.lines.iter().enumerate().filter(move |(_, line)| line.commit == null)
}

/// What is stored, and a file that is not.
struct OnDisk<'a> {
    store: &'a Store,
    oid: Oid,
    bytes: &'a [u8],
}

impl Blobs for OnDisk<'_> {
    fn blob(&self, oid: &Oid) -> Result<Cow<'_, [u8]>, BlobError> {
        if *oid == self.oid { Ok(Cow::Borrowed(self.bytes)) } else { Blobs::blob(self.store, oid) }
    }
}
