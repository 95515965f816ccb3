//! `git receipt push` and `git receipt fetch`

use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, Report, user_error};
use crate::domain::fact::Fact;
use crate::store::{NoteLine, Transfer};

/// Push chains, seals, evidence and notes to a remote
///
/// Never forced: a chain that the remote has otherwise is left alone with a word.
#[derive(Debug, Clone, clap::Args, Default)]
pub struct PushArgs {
    /// The remote; the one that git itself would push to if left out
    #[arg(value_name = "REMOTE")]
    pub remote: Option<String>,
}

/// Fetch chains, seals, evidence and notes from a remote
///
/// What others wrote lands below `refs/receipts-remotes/`; the chains of this clone are never touched.
#[derive(Debug, Clone, clap::Args, Default)]
pub struct FetchArgs {
    /// The remote; the one that git itself would fetch from if left out
    #[arg(value_name = "REMOTE")]
    pub remote: Option<String>,
}

/// What `push` did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Pushed(pub Shared);

/// What `fetch` did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Fetched(pub Shared);

/// What travelled.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shared {
    /// The remote.
    pub remote: String,
    /// `pushed` or `fetched`.
    pub verb: &'static str,
    /// Refs that moved.
    pub moved: Vec<String>,
    /// Refs that did not, and why.
    pub left_alone: Vec<LeftAlone>,
}

/// A ref that did not move.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LeftAlone {
    /// The ref.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Report for Pushed {
    const NAME: &'static str = "push";

    fn exit_code(&self) -> u8 {
        self.0.exit_code()
    }
}

impl Report for Fetched {
    const NAME: &'static str = "fetch";

    fn exit_code(&self) -> u8 {
        self.0.exit_code()
    }
}

impl Shared {
    fn exit_code(&self) -> u8 {
        if self.left_alone.is_empty() { 0 } else { 3 }
    }

    fn new(remote: String, verb: &'static str, transfer: Transfer) -> Self {
        let left_alone = transfer.left_alone.into_iter().map(|(name, reason)| LeftAlone { name, reason });
        Shared { remote, verb, moved: transfer.moved, left_alone: left_alone.collect() }
    }
}

/// Runs `push`.
///
/// # Errors
/// When there is no remote or it cannot be reached.
pub fn push(ctx: &Context, args: &PushArgs) -> anyhow::Result<Pushed> {
    ctx.repo_id()?;
    let remote = remote(ctx, args.remote.as_deref(), "pushDefault")?;
    let lines = ctx.bound_lines()?;
    let author = ctx.author_ident();
    let transfer = ctx.store.push_receipts(&remote, ctx.shares_all(), &lines, (&author.0, &author.1))?;
    Ok(Pushed(Shared::new(remote, "pushed", transfer)))
}

/// Runs `fetch`.
///
/// # Errors
/// When there is no remote or it cannot be reached.
pub fn fetch(ctx: &Context, args: &FetchArgs) -> anyhow::Result<Fetched> {
    let remote = remote(ctx, args.remote.as_deref(), "fetchDefault")?;
    let transfer = ctx.store.fetch_receipts(&remote, ctx.shares_all())?;
    let lines = ctx.bound_lines()?;
    if !lines.is_empty() {
        let author = ctx.author_ident();
        ctx.store.add_notes(&lines, (&author.0, &author.1))?;
    }
    Ok(Fetched(Shared::new(remote, "fetched", transfer)))
}

impl Context {
    /// Whether artifacts travel too.
    fn shares_all(&self) -> bool {
        self.store.config("receipt.share").is_some_and(|value| value == "all")
    }

    /// A note line for every binding by a known signer, of commits that are here.
    ///
    /// # Errors
    /// When the chains cannot be read.
    pub fn bound_lines(&self) -> anyhow::Result<Vec<NoteLine>> {
        let trust = self.trust(None)?;
        let picture = self.picture(&trust)?;
        let mut lines = Vec::new();
        for receipt in picture.folded.known.values() {
            for step in &receipt.steps {
                let Some(entry) = picture.link(&step.commit).and_then(|link| link.entry.as_ref()) else {
                    continue;
                };
                let commit = match &entry.body.fact {
                    Fact::CommitBound(bound) => bound.commit,
                    Fact::CommitRebound(rebound) => rebound.to,
                    _ => continue,
                };
                if self.store.has_object(commit) {
                    lines.push(NoteLine { commit, receipt: receipt.id, entry: step.entry });
                }
            }
        }
        Ok(lines)
    }
}

/// The remote that is meant: the one given, else as git chooses.
fn remote(ctx: &Context, given: Option<&str>, default_key: &str) -> anyhow::Result<String> {
    let all = ctx.store.remote_names();
    if let Some(name) = given {
        let is_address = name.contains('/') || name.contains(':');
        if all.iter().any(|known| known == name) || is_address {
            return Ok(name.to_owned());
        }
        return Err(user_error(
            format!("there is no remote `{name}`"),
            "`git remote -v` lists those there are",
        ));
    }
    let head = ctx.store.head()?.branch;
    let branch = head.as_deref().and_then(|name| name.strip_prefix("refs/heads/"));
    let of_branch = branch.and_then(|branch| ctx.store.config(&format!("branch.{branch}.remote")));
    let chosen = ctx.store.config(&format!("remote.{default_key}")).or(of_branch);
    let usual = || match all.as_slice() {
        [only] => Some(only.clone()),
        several => several.iter().find(|name| *name == "origin").cloned(),
    };
    chosen.filter(|name| name != ".").or_else(usual).ok_or_else(|| {
        user_error(
            "there is no remote to share with",
            "add one with `git remote add origin URL`, or name one",
        )
    })
}
