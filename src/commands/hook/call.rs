//! One tool call: noted before it, recorded after it, as a single entry with what it looked up and which checks it
//! ran.

use std::path::{Component, Path};

use super::claude_code;
use super::session::{CallBegun, FileBefore, Locked, Root};
use super::snapshots::{Often, often};
use crate::agents::claude_code::hook::{Ending, Payload, ToolUse};
use crate::agents::claude_code::tools::{self, Call, Outcome, Told};
use crate::agents::claude_code::{self as agent, SOURCE};
use crate::agents::gates::GateTable;
use crate::commands::Context;
use crate::commands::import::gate_table;
use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::*;
use crate::domain::fact::values::{Content, GitPath};
use crate::domain::ids::{Digest, Oid, ReceiptId, Timestamp};
use crate::domain::secret_paths::looks_secret;

/// A file larger than this is not hashed.
const FILE_MAX: u64 = 64 * 1024 * 1024;
/// Content larger than this keeps its ends only.
const WHOLE_MAX: usize = 16 * 1024 * 1024;

/// Before a call: notes it, with what stands in the file that it will edit and the tree that a check will run on.
/// Nothing is recorded yet, and no other hook is waited for.
pub(super) fn begins(ctx: &Context, payload: &Payload, used: &ToolUse) -> anyhow::Result<()> {
    let files = ctx.store.session(SOURCE, &payload.session);
    let root = Root::find(ctx, payload.directory.as_deref(), None);
    let gates = gate_table(ctx)?;
    let call = call_of(payload, used, "", Some(ctx.now));
    let options = Options { ctx, gates: &gates, root: &root };
    let path = root.here.as_ref().and_then(|_| options.with(|options| tools::edited_path(&call, options)));
    let file = path.map(|path| {
        let (existed, blob) = blob_of(ctx, &root, &path);
        FileBefore { existed, blob }
    });
    let command =
        used.input.get("command").and_then(serde_json::Value::as_str).filter(|_| used.tool == "Bash");
    let checks = command.is_some_and(|command| !gates.recognise(command, 0, "").is_empty());
    let mut tree = None;
    if checks && root.here.is_some() {
        // The session's state says which snapshot is the newest, so this one waits its turn.
        let session = Locked::enter(ctx, payload)?;
        tree = session.worktree().map(|worktree| (worktree.tree, worktree.dirty));
        session.leave()?;
    }
    let input = used.input.to_string();
    let digest = input_digest(used);
    let redactor = ctx.redactor()?;
    let input = redactor.redact_str(&input).0.into_owned();
    let begun = CallBegun {
        id: used.id.clone().unwrap_or_else(|| digest.clone()),
        tool: used.tool.clone(),
        input,
        input_digest: digest,
        at: ctx.now,
        agent: payload.agent.clone(),
        directory: payload.directory.clone(),
        receipt: newest_open(ctx, payload),
        asked: false,
        file,
        tree,
    };
    files.begin(&begun.id, &begun, redactor)?;
    Ok(())
}

/// The receipt that the session has open, as the list of open receipts has it.
fn newest_open(ctx: &Context, payload: &Payload) -> Option<ReceiptId> {
    let of_session = |open: &crate::store::OpenReceipt| {
        open.session.as_ref().is_some_and(|(source, id)| source == SOURCE && *id == payload.session)
    };
    ctx.store.open_receipts().iter().rev().find(|open| of_session(open)).map(|open| open.receipt)
}

/// A person is being asked: noted with the call.
pub(super) fn asked(ctx: &Context, payload: &Payload, used: &ToolUse) -> anyhow::Result<()> {
    let files = ctx.store.session(SOURCE, &payload.session);
    let digest = input_digest(used);
    let same = |begun: &CallBegun| match &used.id {
        Some(id) => begun.id == *id,
        None => begun.input_digest == digest,
    };
    let Some(mut begun) = files.under_way::<CallBegun>().into_iter().find(same) else { return Ok(()) };
    begun.asked = true;
    files.begin(&begun.id, &begun, ctx.redactor()?)?;
    Ok(())
}

/// After a call: one entry for it, and what follows from it.
pub(super) fn ended(ctx: &Context, payload: &Payload, used: &ToolUse, ending: &Ending) -> anyhow::Result<()> {
    if let Some(length) = ending.text.as_ref().map(String::len).filter(|length| *length > WHOLE_MAX) {
        ctx.notice(format!("output of {length} bytes keeps its first and its last MiB"));
    }
    let mut session = Locked::enter(ctx, payload)?;
    let digest = input_digest(used);
    let key = used.id.clone().unwrap_or_else(|| digest.clone());
    let begun: Option<CallBegun> = session.files.begun(&key);
    let id = match &used.id {
        Some(id) => id.clone(),
        None => {
            let count = session.state.unnamed.entry(digest.clone()).or_default();
            *count += 1;
            format!("{digest}-{count}")
        }
    };
    let outcome = Outcome {
        text: ending.text.clone(),
        is_error: ending.is_error,
        detail: &ending.detail,
        at: Some(ctx.now),
        elapsed_ms: ending.elapsed_ms,
    };
    let call = call_of(payload, used, &id, begun.as_ref().map(|begun| begun.at));
    record(&mut session, &call, Some(&outcome), begun.as_ref(), ending.decision_source.as_deref())?;
    session.files.end(&key)?;
    session.leave()
}

/// A call that was refused has no end of its own.
pub(super) fn denied(
    ctx: &Context,
    payload: &Payload,
    used: &ToolUse,
    reason: &str,
    source: &str,
) -> anyhow::Result<()> {
    let mut session = Locked::enter(ctx, payload)?;
    let digest = input_digest(used);
    let same = |begun: &CallBegun| begun.input_digest == digest;
    let begun = match &used.id {
        Some(id) => session.files.begun(id),
        None => session.files.under_way::<CallBegun>().into_iter().find(same),
    };
    let id = begun.as_ref().map(|begun| begun.id.clone()).or_else(|| used.id.clone()).unwrap_or(digest);
    let call = call_of(payload, used, &id, begun.as_ref().map(|begun| begun.at));
    let receipt = receipt_for(&mut session, begun.as_ref())?;
    let mut told = facts(&session, &call, None)?;
    if let Some(Fact::ToolCalled(called)) = told.first_mut().map(|told| &mut told.fact) {
        called.status = ToolStatus::Denied;
        called.output = (!reason.is_empty()).then(|| Content::Inline(reason.to_owned()));
        called.confirmation =
            Some(Confirmation { decision: Decision::Rejected, source: source.to_owned(), by: None });
        called.reason = Some("permission_denied".into());
    }
    let drafts = told.into_iter().map(|told| draft(receipt, told)).collect();
    session.append(drafts)?;
    session.files.end(&id)?;
    session.leave()
}

/// The end of every call that is still under way when the turn is over: what the transcript says of it, or else
/// that nobody knows.
pub(super) fn settle(session: &mut Locked<'_>, prompt: Option<&str>) -> anyhow::Result<Settled> {
    let mut under_way: Vec<CallBegun> = session.files.under_way();
    if under_way.is_empty() {
        return Ok(Settled::default());
    }
    under_way.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let ids: Vec<&str> = under_way.iter().map(|begun| begun.id.as_str()).collect();
    let tail = session.transcript_tail(&ids, prompt);
    let mut drafts = Vec::new();
    for begun in &under_way {
        let input = serde_json::from_str(&begun.input).unwrap_or(serde_json::Value::Null);
        let call = Call {
            id: &begun.id,
            tool: &begun.tool,
            input: &input,
            agent: begun.agent.as_deref(),
            at: Some(begun.at),
            directory: begun.directory.as_deref(),
        };
        let found = tail.results.get(&begun.id);
        let outcome = found.map(|found| Outcome {
            text: found.text.clone(),
            is_error: found.is_error,
            detail: &found.detail,
            at: found.at,
            elapsed_ms: None,
        });
        drafts.extend(drafts_of(session, &call, outcome.as_ref(), Some(begun), None)?);
    }
    Ok(Settled { drafts, calls: under_way.into_iter().map(|begun| begun.id).collect() })
}

/// The ends of calls that nobody told, to be recorded, and then the calls forgotten.
#[derive(Default)]
pub(super) struct Settled {
    pub drafts: Vec<Draft>,
    calls: Vec<String>,
}

impl Settled {
    /// Records what is to be said, and only then forgets that the calls were under way.
    pub fn record(self, session: &Locked<'_>) -> anyhow::Result<()> {
        if !self.drafts.is_empty() {
            session.append(self.drafts)?;
        }
        self.calls.iter().try_for_each(|id| session.files.end(id)).map_err(Into::into)
    }
}

/// Records a call, and tells of a result that comes when the call was given up already.
fn record(
    session: &mut Locked<'_>,
    call: &Call<'_>,
    outcome: Option<&Outcome<'_>>,
    begun: Option<&CallBegun>,
    source: Option<&str>,
) -> anyhow::Result<()> {
    let drafts = drafts_of(session, call, outcome, begun, source)?;
    let said = drafts.iter().find_map(|draft| match &draft.fact {
        Fact::ToolCalled(called) => Some((draft.receipt, called.clone())),
        _ => None,
    });
    let report = session.append(drafts)?;
    let Some((receipt, called)) = said else { return Ok(()) };
    let given_up =
        report.entries.first().filter(|entry| entry.existing && called.status != ToolStatus::Unknown);
    let Some(entry) = given_up else { return Ok(()) };
    let stored = session.ctx.store.read_link(entry.commit)?.and_then(|link| link.entry);
    let was_unknown = stored.is_some_and(
        |entry| matches!(entry.body.fact, Fact::ToolCalled(called) if called.status == ToolStatus::Unknown),
    );
    if was_unknown {
        let told = tools::late_result(call.id, &called);
        let late = Draft::new(entry.receipt.or(receipt), &told.title, told.fact).once(told.once);
        session.append(vec![late])?;
    }
    Ok(())
}

/// The entries of a call: the call itself, and what it looked up, checked and asked.
fn drafts_of(
    session: &mut Locked<'_>,
    call: &Call<'_>,
    outcome: Option<&Outcome<'_>>,
    begun: Option<&CallBegun>,
    source: Option<&str>,
) -> anyhow::Result<Vec<Draft>> {
    let receipt = receipt_for(session, begun)?;
    let is_open = session.is_open(receipt);
    let mut drafts = Vec::new();
    let mut edited = None;
    for mut told in facts(session, call, outcome)? {
        match &mut told.fact {
            Fact::ToolCalled(called) => {
                confirm(called, session, begun, source);
                edited = edited_file(session, called, begun);
                session.state.stopped_by_person = stopped_by_person(called);
            }
            Fact::GateChecked(_) if !is_open => {
                let gate = &told.title;
                session.ctx.notice(format!("`{gate}` came after its receipt was closed and is not recorded"));
                continue;
            }
            Fact::GateChecked(gate) => {
                if let Some((tree, dirty)) = begun.and_then(|begun| begun.tree) {
                    (gate.tree, gate.dirty) = (tree, dirty);
                    if dirty {
                        drafts.extend(session.snapshot_for_gate(tree, receipt));
                    }
                }
            }
            _ => {}
        }
        drafts.push(draft(receipt, told));
    }
    if let Some(path) = edited.filter(|_| is_open && often(session.ctx) == Often::Edits) {
        drafts.extend(session.snapshot_of_edit(&path, receipt));
    }
    Ok(drafts)
}

/// The receipt of a call: the one that was open when it began, else the one that is, else the last one, else one
/// that says that its prompt was not seen.
fn receipt_for(session: &mut Locked<'_>, begun: Option<&CallBegun>) -> anyhow::Result<ReceiptId> {
    let known = begun
        .and_then(|begun| begun.receipt)
        .or_else(|| session.open_turn().map(|turn| turn.receipt))
        .or_else(|| session.state.turns.last().map(|turn| turn.receipt));
    match known {
        Some(receipt) => Ok(receipt),
        None => claude_code::open(session, "", "prompt:start".to_owned()),
    }
}

/// Whether the person stopped this call, which ends the turn without a word to any hook.
fn stopped_by_person(called: &ToolCalled) -> bool {
    let by_person = |c: &Confirmation| c.source.starts_with("user_");
    match called.status {
        ToolStatus::Interrupted => true,
        ToolStatus::Denied => called.confirmation.as_ref().is_some_and(by_person),
        _ => false,
    }
}

/// Who let the call be made: what the payload says, else the person who was asked, else the mode in which nobody
/// is.
fn confirm(called: &mut ToolCalled, session: &Locked<'_>, begun: Option<&CallBegun>, source: Option<&str>) {
    let decided =
        |decision, source: &str| Some(Confirmation { decision, source: source.to_owned(), by: None });
    if let Some(confirmation) = &mut called.confirmation {
        if let Some(source) = source {
            source.clone_into(&mut confirmation.source);
        }
    } else if called.status == ToolStatus::Denied || called.status == ToolStatus::Unknown {
        // Who refused it, or whether anybody was asked, is not known.
    } else if let Some(source) = source {
        called.confirmation = decided(Decision::Accepted, source);
    } else if begun.is_some_and(|begun| begun.asked) {
        called.confirmation = decided(Decision::Accepted, "user");
    } else if session.payload.mode.as_deref() == Some("bypassPermissions") {
        called.confirmation = decided(Decision::Auto, "config");
    }
}

/// Fills in what the edited file was and is, as it lies on the disk.
fn edited_file(session: &Locked<'_>, called: &mut ToolCalled, begun: Option<&CallBegun>) -> Option<GitPath> {
    session.root.here.as_ref()?;
    let [file] = called.files.as_mut_slice() else { return None };
    let path = file.path.to_string();
    if Path::new(&*path).is_absolute()
        || Path::new(&*path).components().any(|part| part == Component::ParentDir)
    {
        session.ctx.notice(format!(
            "`{}` is outside of the repository, and nothing is said of its content",
            path.escape_debug()
        ));
        return None;
    }
    let (exists, after) = blob_of(session.ctx, &session.root, &file.path);
    file.after = after;
    match begun.and_then(|begun| begun.file.as_ref()) {
        Some(before) => {
            file.before = before.blob;
            file.change = match (before.existed, exists) {
                (false, true) => Change::Added,
                (true, false) => Change::Deleted,
                _ => Change::Modified,
            };
        }
        // Nobody looked before; what the tool says of it may be named only where the file now may be.
        None if after.is_none() => file.before = None,
        None => {}
    }
    Some(file.path.clone())
}

/// Whether a file is there, and its blob where that may be named: not of ignored, excluded or secret-looking files,
/// nor of those with a secret in them.
fn blob_of(ctx: &Context, root: &Root, path: &GitPath) -> (bool, Option<Oid>) {
    let bytes = path.as_bytes();
    let Some(top) = &root.here else { return (false, None) };
    let on_disk = top.join(path.to_string());
    let Ok(there) = on_disk.symlink_metadata() else { return (false, None) };
    if !there.is_file() || there.len() > FILE_MAX || looks_secret(bytes) || ctx.store.is_ignored(bytes) {
        return (true, None);
    }
    // Behind a link lies something that is not part of the tree.
    let straight = std::fs::canonicalize(&on_disk).is_ok_and(|real| real == on_disk);
    let content = std::fs::read(&on_disk).ok().filter(|_| straight);
    let blob = content.and_then(|content| {
        let clean = ctx.redactor().is_ok_and(|redactor| redactor.redact(&content).count == 0);
        clean.then(|| ctx.store.write_blob(&content).ok()).flatten()
    });
    (true, blob)
}

fn draft(receipt: ReceiptId, told: Told) -> Draft {
    Draft::new(Some(receipt), &told.title, told.fact).once(told.once)
}

fn facts(session: &Locked<'_>, call: &Call<'_>, outcome: Option<&Outcome<'_>>) -> anyhow::Result<Vec<Told>> {
    let gates = gate_table(session.ctx)?;
    let options = Options { ctx: session.ctx, gates: &gates, root: &session.root };
    Ok(options.with(|options| tools::facts(call, outcome, options, session.state.root.as_deref())))
}

fn call_of<'a>(payload: &'a Payload, used: &'a ToolUse, id: &'a str, at: Option<Timestamp>) -> Call<'a> {
    Call {
        id,
        tool: &used.tool,
        input: &used.input,
        agent: payload.agent.as_deref(),
        at,
        directory: payload.directory.as_deref(),
    }
}

fn input_digest(used: &ToolUse) -> String {
    Digest::of(format!("{}\0{}", used.tool, used.input).as_bytes()).to_hex()[..32].to_owned()
}

/// What the reader of calls is given here.
struct Options<'a> {
    ctx: &'a Context,
    gates: &'a GateTable,
    root: &'a Root,
}

impl Options<'_> {
    fn with<T>(&self, use_it: impl FnOnce(&agent::Options<'_>) -> T) -> T {
        let null = self.ctx.store.null_id();
        let blob_id = |bytes: &[u8]| self.ctx.store.blob_id(bytes).unwrap_or(null);
        let hidden = |path: &[u8]| looks_secret(path) || self.ctx.store.is_ignored(path);
        use_it(&agent::Options {
            gates: self.gates,
            blob_id: &blob_id,
            looks_secret: &hidden,
            root: self.root.text.as_deref(),
            null_tree: null,
        })
    }
}
