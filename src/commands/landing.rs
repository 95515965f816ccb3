//! What landing has alike, whatever lands: where it goes, and the one transaction of entries, commit, branch and note,
//! with index and working tree behind it.

use anyhow::Context as _;

use super::verify::Picture;
use super::{Context, user_error};
use crate::domain::entry::Draft;
use crate::domain::fact::data::TreeAt;
use crate::domain::ids::{EntryRef, Oid, ReceiptId};
use crate::domain::invisible::is_invisible;
use crate::store::keys::Signer;
use crate::store::{
    Along, Appended, Head, Ident, Landing, NoteLine, NotesMove, RefMove, Settled, StoreError,
};

/// Where something is to land.
pub(super) struct Site {
    /// HEAD as it was seen.
    pub head: Head,
    /// The commit that it goes on.
    pub parent: TreeAt,
}

impl Context {
    /// Where something can land now.
    ///
    /// # Errors
    /// In the middle of a merge or the like, and where there is no commit yet.
    pub(super) fn site(&self) -> anyhow::Result<Site> {
        self.check_nothing_in_progress()?;
        let head = self.store.head()?;
        let commit = head.commit.ok_or_else(|| {
            user_error("there is no commit yet to land on", "make a first commit, then try again")
        })?;
        let tree = self.store.tree_of(commit)?.context("HEAD's commit is not here")?;
        Ok(Site { head, parent: TreeAt { commit, tree } })
    }

    /// Refuses in the middle of a merge, a rebase and the like.
    ///
    /// # Errors
    /// Says of what.
    pub(super) fn check_nothing_in_progress(&self) -> anyhow::Result<()> {
        match self.store.in_progress() {
            Some(what) => Err(user_error(
                format!("the working tree is in the middle of {what}"),
                "finish it or abort it first",
            )),
            None => Ok(()),
        }
    }

    /// Puts a tree into index and working tree, without a commit.
    ///
    /// # Errors
    /// When local changes are in the way; nothing is changed then.
    pub(super) fn stage(&self, site: &Site, tree: Oid, settled: &[Settled]) -> anyhow::Result<()> {
        if self.store.work_dir().is_none() {
            return Err(StoreError::Bare.into());
        }
        let mut landing = self.store.prepare_landing(&site.head, (site.parent.tree, tree), settled)?;
        landing.ready(&[])?;
        Ok(landing.finish()?)
    }
}

/// What the entries about a commit say, which need the commit and are needed by it.
pub(super) trait Story {
    /// The entry that the commit's message names, with `before` signed in this very transaction.
    fn named(&mut self, before: &[Appended]) -> Result<EntryRef, StoreError>;

    /// The entries that name the commit. The note on it names one of them by its place here, the last if none is
    /// said.
    fn told(&mut self, commit: Oid) -> Result<Vec<Draft>, StoreError>;

    /// Which of the entries the note names, of how many there are altogether.
    fn noted(&self, all: usize) -> usize {
        all.saturating_sub(1)
    }
}

/// A tree that is to become the next commit.
pub(super) struct Commission<'a> {
    /// The receipt that the commit and its note name.
    pub receipt: ReceiptId,
    /// The command, as the reflog names it.
    pub command: &'static str,
    /// The tree.
    pub tree: Oid,
    /// The message, without our trailers.
    pub message: String,
    /// Whether hooks are passed by.
    pub no_verify: bool,
    /// Who is its author.
    pub author: Ident,
    /// Files that stay as they are.
    pub settled: &'a [Settled],
}

/// Lands a tree: hooks, commit, entries, note and branch, then index and files. All of it happens, or nothing.
///
/// `drafts` are signed first. What was decided by looking at `picture` about the receipt `about` must still stand.
///
/// # Errors
/// When a hook refuses, local changes are in the way, or something moved.
pub(super) fn land(
    ctx: &Context,
    signer: &Signer,
    (picture, about): (&Picture, ReceiptId),
    (site, commission): (&Site, Commission<'_>),
    drafts: Vec<Draft>,
    story: &mut dyn Story,
) -> anyhow::Result<(Oid, Vec<Appended>)> {
    let Commission { receipt, command, tree, message, no_verify, author, settled } = commission;
    let message = match no_verify {
        true => message,
        false => ctx.store.run_commit_hooks(tree, &message)?,
    };
    let landing = ctx.store.prepare_landing(&site.head, (site.parent.tree, tree), settled)?;
    let branch = site.head.branch.clone().unwrap_or_else(|| "HEAD".to_owned());
    let mut making = Making {
        ctx,
        receipt,
        command,
        tree,
        parent: site.parent.commit,
        branch,
        message,
        author,
        story,
        commit: None,
        notes: None,
        landing,
    };
    let report = ctx.append_decision(signer, (picture, about), drafts, &mut making)?;
    let Making { landing, commit, notes, .. } = making;
    // Everything is recorded. What is left would be finished by the next command as well.
    landing.finish()?;
    drop(notes);
    Ok((commit.context("no commit was made")?, report.entries))
}

/// A commit in the making, in the order in which its parts need each other: entries before it, the commit that names
/// the newest of them, the entries that name the commit, and the note that names such an entry.
struct Making<'a> {
    ctx: &'a Context,
    receipt: ReceiptId,
    command: &'static str,
    tree: Oid,
    parent: Oid,
    branch: String,
    message: String,
    author: Ident,
    story: &'a mut dyn Story,
    commit: Option<Oid>,
    notes: Option<NotesMove>,
    landing: Landing<'a>,
}

impl Along for Making<'_> {
    fn more(&mut self, before: &[Appended]) -> Result<Vec<Draft>, StoreError> {
        let store = &self.ctx.store;
        let newest = self.story.named(before)?;
        let trailers = [format!("Receipt-Id={}", self.receipt), format!("Receipt-Entry={newest}")];
        let message = store.with_trailers(&self.message, &trailers)?;
        let (name, email) = self.ctx.author_ident();
        let committer = Ident { name, email, time: None };
        let commit = store.write_commit(self.tree, &[self.parent], &self.author, &committer, &message)?;
        self.commit = Some(commit);
        self.story.told(commit)
    }

    fn moves(&mut self, entries: &[Appended]) -> Result<Vec<RefMove>, StoreError> {
        let noted = entries.get(self.story.noted(entries.len()));
        let (Some(commit), Some(noted)) = (self.commit, noted) else { return Ok(Vec::new()) };
        let subject = self.message.lines().next().unwrap_or_default();
        let mut moves = vec![RefMove {
            name: self.branch.clone(),
            expected: Some(self.parent),
            new: Some(commit),
            reflog: true,
            message: format!("receipt {}: {subject}", self.command),
        }];
        let line = NoteLine { commit, receipt: self.receipt, entry: noted.entry };
        let (name, email) = self.ctx.author_ident();
        self.notes = self.ctx.store.notes_move(&[line], (&name, &email), None)?;
        moves.extend(self.notes.iter().map(|notes| notes.to_move.clone()));
        Ok(moves)
    }

    fn waits(&self) -> bool {
        true
    }

    fn ready(&mut self, moves: &[RefMove]) -> Result<(), StoreError> {
        self.landing.ready(moves)
    }
}

/// A commit message out of what somebody wrote: without control characters, and without trailers that would pass for
/// ours. Where nothing is left of it, `otherwise`.
pub(super) fn message_of(text: &str, otherwise: &str) -> String {
    let clean = |line: &str| {
        let shows = |c: &char| !c.is_control() && !is_invisible(*c);
        line.chars().filter(shows).collect::<String>().trim_end().to_owned()
    };
    let ours = |line: &String| line.trim_start().to_ascii_lowercase().starts_with("receipt-");
    let lines: Vec<String> = text.trim().lines().map(clean).filter(|line| !ours(line)).collect();
    let text = lines.join("\n");
    let text = text.trim();
    format!("{}\n", if text.is_empty() { otherwise } else { text })
}
