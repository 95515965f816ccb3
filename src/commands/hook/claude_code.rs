//! Claude Code's events, one after the other.

use super::call;
use super::session::{CallBegun, Locked, guidance_count_key, prompt_count_key};
use super::snapshots::{Often, often};
use crate::agents::claude_code::hook::{self, Event, Payload};
use crate::agents::claude_code::tail::Standing;
use crate::agents::claude_code::{closed_once, guidance_once, prompt_once, tools};
use crate::commands::Context;
use crate::commands::import::shorten_summary;
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{
    Base, CloseStatus, Failure, GuidanceForm, GuidanceGiven, ReceiptClosed, ReceiptOpened,
};
use crate::domain::fact::values::Content;
use crate::domain::ids::ReceiptId;
use crate::store::Worktree;

/// How long the end of a turn waits for hooks of calls that run at the same moment.
const GRACE: std::time::Duration = std::time::Duration::from_millis(300);

/// Takes one payload.
///
/// # Errors
/// When it cannot be read or recorded.
pub(super) fn take(ctx: &Context, bytes: &[u8]) -> anyhow::Result<()> {
    let payload = hook::read(bytes)?;
    payload.oddities().into_iter().for_each(|odd| ctx.notice(odd));
    match &payload.event {
        Event::SessionStarted { model } => {
            let mut session = Locked::enter(ctx, &payload)?;
            if model.is_some() {
                session.state.model.clone_from(model);
            }
            session.leave()
        }
        Event::Prompted { text } => prompted(ctx, &payload, text),
        Event::CallBegins(used) => call::begins(ctx, &payload, used),
        Event::CallEnded { call, ending } => call::ended(ctx, &payload, call, ending),
        Event::PermissionAsked(used) => call::asked(ctx, &payload, used),
        Event::PermissionDenied { call, reason, source } => call::denied(ctx, &payload, call, reason, source),
        Event::Stopped { said, failed } => stopped(ctx, &payload, said.as_deref(), *failed),
        Event::SessionEnded => {
            let mut session = Locked::enter(ctx, &payload)?;
            call::settle(&mut session, None)?.record(&session)?;
            session.leave()
        }
        Event::Other(_) => Ok(()),
    }
}

/// A prompt opens a receipt, unless the agent is at work: then it is guidance.
fn prompted(ctx: &Context, payload: &Payload, text: &str) -> anyhow::Result<()> {
    let mut session = Locked::enter(ctx, payload)?;
    if let Some(turn) = session.open_turn().cloned() {
        if is_at_work(&session, text) {
            let count = session.occurrence(guidance_count_key(text));
            let fact = GuidanceGiven { form: GuidanceForm::Steer, text: text.into() };
            let draft = Draft::new(Some(turn.receipt), text, Fact::GuidanceGiven(fact));
            session.append(vec![draft.once(guidance_once(text, count))])?;
            return session.leave();
        }
        // Abandoned: nobody said how it ended, so it stays open; its calls have come to nothing by now.
        call::settle(&mut session, Some(text))?.record(&session)?;
        if let Some(turn) = session.state.turns.last_mut() {
            turn.closed = true;
        }
    }
    let count = session.occurrence(prompt_count_key(text));
    let once = prompt_once(text, count);
    open(&mut session, text, once)?;
    session.leave()
}

/// Whether a prompt comes while the agent works. No hook tells of an interruption: the transcript does, or the
/// call that the person stopped.
fn is_at_work(session: &Locked<'_>, prompt: &str) -> bool {
    match session.transcript_tail(&[], Some(prompt)).standing {
        Standing::Working => true,
        Standing::Over => false,
        Standing::Unknown => !session.state.stopped_by_person,
    }
}

/// Opens a receipt for a task, with a snapshot of what it starts from.
pub(super) fn open(session: &mut Locked<'_>, task: &str, once: String) -> anyhow::Result<ReceiptId> {
    let ctx = session.ctx;
    let receipt = ctx.store.new_receipt_id(ctx.now);
    let worktree = (often(ctx) != Often::Off).then(|| session.worktree()).flatten();
    let title = if task.trim().is_empty() { "(the prompt was not seen)" } else { task };
    let model = session.state.model.as_deref();
    let fact = ReceiptOpened {
        task: task.into(),
        summary: task.to_owned(),
        mode: session.payload.mode.clone(),
        risk: None,
        base: base(session, worktree.as_ref()),
        task_type: None,
        agent: Some(tools::agent(None, model, None)),
        parent: None,
        forked_from: None,
        estimate: None,
        envelope: None,
    };
    let mut fact = Fact::ReceiptOpened(fact);
    shorten_summary(&mut fact, ctx.redactor()?);
    let mut drafts = vec![Draft::new(Some(receipt), title, fact).once(once.clone())];
    if let Some(worktree) = worktree {
        drafts.extend(session.snapshot(&worktree, receipt, "before the turn"));
    }
    let report = session.append(drafts)?;
    // Where the key was used before, the receipt is the one that it opened.
    let opened = &report.entries[0];
    let receipt = opened.receipt.unwrap_or(receipt);
    let entry = opened.entry;
    session.state.stopped_by_person = false;
    session.begin_turn(receipt, once, entry)?;
    Ok(receipt)
}

/// What HEAD is; unknown where the session works elsewhere, and before the first commit.
fn base(session: &Locked<'_>, worktree: Option<&Worktree>) -> Option<Base> {
    session.root.here.as_ref()?;
    let store = &session.ctx.store;
    let head = store.head().ok()?;
    let commit = head.commit?;
    let tree = store.tree_of(commit).ok().flatten()?;
    let branch = head.branch.map(|name| name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned());
    let dirty = match worktree {
        Some(worktree) => worktree.dirty,
        None => store.is_dirty().ok()?,
    };
    Some(Base { commit, tree, branch, dirty })
}

/// The end of a turn closes its receipt with what is known.
fn stopped(ctx: &Context, payload: &Payload, said: Option<&str>, failed: bool) -> anyhow::Result<()> {
    let files = ctx.store.session(crate::agents::claude_code::SOURCE, &payload.session);
    let until = std::time::Instant::now() + GRACE;
    while !files.under_way::<CallBegun>().is_empty() && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut session = Locked::enter(ctx, payload)?;
    let mut settled = call::settle(&mut session, None)?;
    let Some(turn) = session.open_turn().cloned() else {
        settled.record(&session)?;
        return session.leave();
    };
    if often(ctx) != Often::Off
        && let Some(worktree) = session.worktree()
    {
        settled.drafts.extend(session.snapshot(&worktree, turn.receipt, "after the turn"));
    }
    let status = if failed { CloseStatus::Failed } else { CloseStatus::Completed };
    let said = said.unwrap_or("").trim();
    let title = if said.is_empty() { status.as_str() } else { said };
    let fact = ReceiptClosed {
        status,
        output: Content::Inline(said.to_owned()),
        summary: said.to_owned(),
        failure: failed.then_some(Failure::Model),
        remaining: None,
        human_ms: None,
        agent_ms: None,
        edits_by_human: None,
    };
    let mut fact = Fact::ReceiptClosed(fact);
    shorten_summary(&mut fact, ctx.redactor()?);
    let closing = Draft::new(Some(turn.receipt), title, fact);
    settled.drafts.push(closing.once(closed_once(&turn.once)));
    settled.record(&session)?;
    ctx.store.note_closed(turn.receipt)?;
    if let Some(turn) = session.state.turns.last_mut() {
        turn.closed = true;
    }
    session.leave()
}
