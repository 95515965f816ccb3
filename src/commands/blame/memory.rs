//! What was told of a file before: the same again as long as nothing is different that it rests on.

use serde::{Deserialize, Serialize};

use super::{ClaimView, ReceiptView};
use crate::commands::Context;
use crate::domain::ids::{Digest, Oid};
use crate::store::{Annotated, Kind};

/// What receipts say of lines, as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// What speaks for each line, in the order of the lines.
    pub claims: Vec<Vec<ClaimView>>,
    /// The receipts that are named, in the order of their ids.
    pub receipts: Vec<ReceiptView>,
}

/// The rules by which lines are told: this very version's.
const RULES: &str = concat!("blame of ", env!("CARGO_PKG_VERSION"), ", 1");

/// What was told, by the state of everything and git's own word on the lines.
const TOLD: Kind = Kind { folder: "blame", rules: RULES };

/// The states of which something was told.
const STATES: Kind = Kind { folder: "blame-states", rules: RULES };

/// What was told before in the present state of chains, keys and history.
pub struct Memory<'c> {
    ctx: &'c Context,
    state: Digest,
    warm: bool,
}

impl<'c> Memory<'c> {
    /// Looks at everything that claims on lines rest on, except for the lines. `head` is the commit in whose history they
    /// stand.
    ///
    /// # Errors
    /// When refs or keys cannot be read.
    pub fn at(ctx: &'c Context, head: Option<Oid>) -> anyhow::Result<Self> {
        // Chains and evidence, what was fetched, and the branch that trust comes from.
        let refs = ctx.store.list_refs("refs/")?;
        let state = serde_json::to_vec(&(
            refs.iter().map(|(name, tip)| (name, tip.to_hex())).collect::<Vec<_>>(),
            ctx.store.default_branch()?.map(|(name, commit)| (name, commit.to_hex())),
            head.map(|head| head.to_hex()),
            ctx.machine_keys()?,
            ctx.store.config("receipt.repo"),
            ctx.written_heads().iter().map(|named| named.entry).collect::<Vec<_>>(),
            (ctx.store.is_shallow(), ctx.store.packs()),
        ))?;
        let state = Digest::of(&state);
        let warm = ctx.store.kept(STATES, state.as_bytes()).is_some();
        Ok(Memory { ctx, state, warm })
    }

    /// Whether anything was told in this state, so that all may have been.
    pub fn is_warm(&self) -> bool {
        self.warm
    }

    /// What was told of these lines.
    pub fn recall(&self, annotated: &Annotated) -> Option<Told> {
        let kept = self.ctx.store.kept(TOLD, &self.from(annotated)).filter(|_| self.warm)?;
        let told: Told = serde_json::from_slice(&kept).ok()?;
        (told.claims.len() == annotated.lines.len()).then_some(told)
    }

    /// Remembers what was told of these lines.
    pub fn keep(&self, annotated: &Annotated, told: &Told) {
        if let Ok(told) = serde_json::to_vec(told) {
            self.ctx.store.keep(TOLD, &self.from(annotated), &told);
            self.ctx.store.keep(STATES, self.state.as_bytes(), &[]);
        }
    }

    fn from(&self, annotated: &Annotated) -> Vec<u8> {
        [self.state, Digest::of(&annotated.raw)].map(|digest| *digest.as_bytes()).concat()
    }
}
