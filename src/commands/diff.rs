//! `git receipt diff`

use schemars::JsonSchema;
use serde::Serialize;

use super::lines_view::{FileView, view};
use super::proposal::lines_error;
use super::verify::Picture;
use super::{Context, Report, user_error};
use crate::domain::fold::Receipt;
use crate::domain::ids::Oid;
use crate::domain::lines;

/// Show what is proposed, line by line with numbers; or the same between any two revisions or receipts
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A receipt; or two receipts or revisions to compare
    #[arg(value_name = "R|REV", required = true, num_args = 1..=2)]
    pub names: Vec<String>,
    /// Only these lines, as `1-4,7`
    #[arg(long, value_name = "S")]
    pub lines: Option<String>,
    /// An earlier revision of the proposal
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
    /// As a unified diff that `git apply` takes
    #[arg(long)]
    pub patch: bool,
    /// List the revisions
    #[arg(long, conflicts_with_all = ["lines", "revision", "patch"])]
    pub revisions: bool,
}

/// The lines.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Diffed {
    /// The receipt; none between two revisions.
    pub receipt: Option<String>,
    /// Which revision of its proposal.
    pub revision: Option<u64>,
    /// The change in a few words.
    pub summary: Option<String>,
    /// The tree that the lines start from.
    pub base: String,
    /// The tree that all of them give.
    pub tree: String,
    /// How many numbers there are.
    pub count: u64,
    /// The files.
    pub files: Vec<FileView>,
    /// Every revision, where they were asked for.
    pub revisions: Vec<RevisionView>,
    /// The unified diff, where it was asked for.
    #[serde(skip)]
    pub patch: Option<Vec<u8>>,
}

/// One revision of a proposal.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RevisionView {
    /// Its number.
    pub revision: u64,
    /// `proposed`, `decided`, `applied`, `rejected` or `superseded`.
    pub state: String,
    /// The change in a few words.
    pub summary: String,
    /// The commit that it is against.
    pub base: String,
    /// The tree that all lines give.
    pub tree: String,
    /// How many numbers it has.
    pub count: u64,
    /// The entry, as chain and place.
    pub entry: String,
}

impl Report for Diffed {
    const NAME: &'static str = "diff";
}

/// Runs the command.
///
/// # Errors
/// When a name is neither a receipt with a proposal nor a revision, or there are no such lines.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Diffed> {
    let trust = ctx.trust(None)?;
    let picture = ctx.picture(&trust)?;
    match args.names.as_slice() {
        [one] => {
            let target = picture.target(ctx, one)?;
            of_receipt(ctx, &picture, picture.receipt(target.receipt)?, args)
        }
        [from, to] => {
            if args.revision.is_some() || args.revisions {
                return Err(user_error(
                    "two names are compared as they are",
                    "give one receipt to see its revisions",
                ));
            }
            between(ctx, tree_named(ctx, &picture, from)?, tree_named(ctx, &picture, to)?, args)
        }
        _ => Err(user_error("a name too many", "give one receipt, or two names to compare")),
    }
}

/// The lines of a receipt's proposal.
fn of_receipt(ctx: &Context, picture: &Picture, receipt: &Receipt, args: &Args) -> anyhow::Result<Diffed> {
    let proposal = picture.revision(receipt, args.revision)?;
    let made = &proposal.made;
    let mut diffed = Diffed {
        receipt: Some(receipt.id.to_string()),
        revision: Some(made.revision),
        summary: Some(made.summary.clone()),
        base: made.base.tree.to_hex(),
        tree: made.tree.to_hex(),
        count: made.lines.count,
        files: Vec::new(),
        revisions: Vec::new(),
        patch: None,
    };
    if args.revisions {
        diffed.revisions = revisions(receipt);
        return Ok(diffed);
    }
    let loaded = ctx.load(made)?;
    let change = ctx.check(&loaded)?;
    let chosen = ctx.selected(&receipt.id.to_string(), &loaded.table, args.lines.as_deref(), None)?;
    if args.patch {
        let tree = match &chosen {
            Some(lines) => {
                let edits = lines::apply(&change, lines, &ctx.store).map_err(lines_error)?;
                ctx.store.write_edits(made.base.tree, &edits)?
            }
            None => made.tree,
        };
        diffed.patch = Some(ctx.store.patch_between(made.base.tree, tree)?);
        return Ok(diffed);
    }
    let states = Some(&proposal.lines);
    diffed.files = view(&loaded.table, &loaded.base, &loaded.proposed, &ctx.store, chosen.as_ref(), states)
        .map_err(lines_error)?;
    Ok(diffed)
}

/// Every revision of a receipt's proposal, oldest first.
pub fn revisions(receipt: &Receipt) -> Vec<RevisionView> {
    let view = |proposal: &crate::domain::fold::ProposalState| RevisionView {
        revision: proposal.made.revision,
        state: match proposal.superseded_by {
            Some(_) => "superseded".to_owned(),
            None => proposal.stage().as_str().to_owned(),
        },
        summary: proposal.made.summary.clone(),
        base: proposal.made.base.commit.to_hex(),
        tree: proposal.made.tree.to_hex(),
        count: proposal.made.lines.count,
        entry: format!("{}@{}", proposal.entry.chain, proposal.entry.seq),
    };
    receipt.proposals.iter().map(view).collect()
}

/// The tree that a receipt proposes, or that a revision has.
fn tree_named(ctx: &Context, picture: &Picture, name: &str) -> anyhow::Result<Oid> {
    // What git takes for a revision is one, also where receipts are bound to it.
    let of_receipt = name.starts_with('@') && !name.starts_with("@{");
    if !of_receipt
        && name.parse::<crate::domain::ids::ReceiptId>().is_err()
        && let Some(tree) = ctx.store.resolve_tree(name)?
    {
        return Ok(tree);
    }
    let receipt = picture.receipt(picture.target(ctx, name)?.receipt)?;
    Ok(picture.proposal(receipt)?.made.tree)
}

/// The same operations between two trees.
fn between(ctx: &Context, from: Oid, to: Oid, args: &Args) -> anyhow::Result<Diffed> {
    let (base, proposed) = ctx.store.changed_files(from, to)?;
    let table = lines::diff(&base, &proposed, &ctx.store).map_err(lines_error)?;
    let chosen = ctx.selected(&args.names.join(" "), &table, args.lines.as_deref(), None)?;
    let mut diffed = Diffed {
        receipt: None,
        revision: None,
        summary: None,
        base: from.to_hex(),
        tree: to.to_hex(),
        count: table.count(),
        files: Vec::new(),
        revisions: Vec::new(),
        patch: None,
    };
    if args.patch {
        let tree = match &chosen {
            Some(lines) => {
                let change =
                    lines::Change::check(&table, &base, &proposed, &ctx.store).map_err(lines_error)?;
                let edits = lines::apply(&change, lines, &ctx.store).map_err(lines_error)?;
                ctx.store.write_edits(from, &edits)?
            }
            None => to,
        };
        diffed.patch = Some(ctx.store.patch_between(from, tree)?);
        return Ok(diffed);
    }
    diffed.files = view(&table, &base, &proposed, &ctx.store, chosen.as_ref(), None).map_err(lines_error)?;
    Ok(diffed)
}
