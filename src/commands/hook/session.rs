//! The session that a payload belongs to: its chain, its turns, and what its hooks leave for each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::agents::claude_code::hook::Payload;
use crate::agents::claude_code::{SOURCE, guidance_once, prompt_once, tail};
use crate::commands::Context;
use crate::domain::entry::Draft;
use crate::domain::fact::data::Role;
use crate::domain::ids::{EntryRef, Oid, ReceiptId, Timestamp};
use crate::store::{AppendReport, ChainScope, OpenReceipt, Repeats, Session};

/// So many turns are remembered, for calls that end long after theirs.
const TURNS_MAX: usize = 32;
/// So much of a transcript's end is read.
const TAIL_MAX: u64 = 8 * 1024 * 1024;

/// What one hook leaves for the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The turns, newest last.
    pub turns: Vec<Turn>,
    /// How often each prompt and each guidance was given, by its key without a number.
    pub said: BTreeMap<String, u64>,
    /// How often each call that the agent gave no id was made, by the digest of what it was given.
    pub unnamed: BTreeMap<String, u64>,
    /// The model, where the session told it.
    pub model: Option<String>,
    /// The first directory that the session worked in.
    pub root: Option<String>,
    /// The newest snapshot: its receipt and its tree.
    pub snapshot: Option<(ReceiptId, Oid)>,
    /// Whether the last thing was that the person stopped a call.
    pub stopped_by_person: bool,
}

/// The work on one prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Turn {
    /// Its receipt.
    pub receipt: ReceiptId,
    /// The key that the receipt was opened under.
    pub once: String,
    /// Whether it came to its end.
    pub closed: bool,
}

/// A call under way, as the hook before it left it for the one after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CallBegun {
    /// Its id, or a digest where the agent gives none.
    pub id: String,
    /// The tool.
    pub tool: String,
    /// What it was given, as JSON without secrets.
    pub input: String,
    /// The digest of what it was really given.
    pub input_digest: String,
    /// When.
    pub at: Timestamp,
    /// The sub-agent.
    pub agent: Option<String>,
    /// The directory.
    pub directory: Option<String>,
    /// The receipt it belongs to.
    pub receipt: Option<ReceiptId>,
    /// Whether a person was asked.
    pub asked: bool,
    /// What stood in the file that it is to change.
    pub file: Option<FileBefore>,
    /// The tree that a check runs on, and whether it differs from HEAD's.
    pub tree: Option<(Oid, bool)>,
}

/// What stood in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileBefore {
    /// Whether there was a file.
    pub existed: bool,
    /// Its blob, where that may be named.
    pub blob: Option<Oid>,
}

/// A payload's session, locked.
pub(super) struct Locked<'a> {
    pub ctx: &'a Context,
    pub payload: &'a Payload,
    pub files: Session,
    pub state: State,
    pub scope: ChainScope,
    pub root: Root,
    before: State,
    _lock: crate::store::SessionLock,
}

/// What is taken off the session's paths.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Root {
    /// The top, as the session spells it.
    pub text: Option<String>,
    /// The top of the working tree, if that is what it is.
    pub here: Option<PathBuf>,
}

impl Root {
    /// Finds the top of the working tree among the folders above the session's directory.
    pub fn find(ctx: &Context, directory: Option<&str>, first: Option<&str>) -> Self {
        let top = ctx.store.work_dir().and_then(|top| std::fs::canonicalize(top).ok());
        let spelled = match (directory, &top) {
            (Some(directory), Some(top)) => Path::new(directory)
                .ancestors()
                .find(|above| std::fs::canonicalize(above).is_ok_and(|above| above == *top))
                .map(|above| above.to_string_lossy().into_owned()),
            (None, Some(top)) => Some(top.to_string_lossy().into_owned()),
            (_, None) => None,
        };
        match spelled {
            Some(text) => Root { text: Some(text), here: top },
            None => Root { text: first.or(directory).map(str::to_owned), here: None },
        }
    }
}

impl<'a> Locked<'a> {
    /// Waits for the session and reads what earlier hooks left.
    pub fn enter(ctx: &'a Context, payload: &'a Payload) -> anyhow::Result<Self> {
        let files = ctx.store.session(SOURCE, &payload.session);
        let lock = files.lock()?;
        let scope = ChainScope::Session { source: SOURCE.to_owned(), id: payload.session.clone() };
        let kept = files.load::<State>();
        let mut state = match kept.clone() {
            Some(state) => state,
            None => rebuilt(ctx, &scope)?,
        };
        if state.root.is_none() {
            state.root.clone_from(&payload.directory);
        }
        let root = Root::find(ctx, payload.directory.as_deref(), state.root.as_deref());
        let before = kept.unwrap_or_default();
        Ok(Locked { ctx, payload, files, state, scope, root, before, _lock: lock })
    }

    /// Appends to the session's chain; what is there already counts as said.
    pub fn append(&self, drafts: Vec<Draft>) -> anyhow::Result<AppendReport> {
        self.ctx.append_with(self.scope.clone(), Role::Agent, None, Repeats::FirstCounts, drafts)
    }

    /// The turn that has not come to its end.
    pub fn open_turn(&self) -> Option<&Turn> {
        self.state.turns.last().filter(|turn| !turn.closed && self.is_open(turn.receipt))
    }

    /// Whether a receipt of this clone is open: it may have been closed by hand or by an import meanwhile.
    pub fn is_open(&self, receipt: ReceiptId) -> bool {
        self.ctx.store.open_receipts().iter().any(|open| open.receipt == receipt)
    }

    /// Remembers a turn whose receipt was just opened by `entry`.
    pub fn begin_turn(&mut self, receipt: ReceiptId, once: String, entry: EntryRef) -> anyhow::Result<()> {
        let owner = self.ctx.recorder()?.id().clone();
        let worktree = self.ctx.store.worktree_id();
        let session = Some((SOURCE.to_owned(), self.payload.session.clone()));
        self.ctx.store.note_opened(OpenReceipt {
            receipt,
            opened: entry,
            owner,
            worktree,
            session,
            closed: None,
            staged: None,
        })?;
        self.state.turns.push(Turn { receipt, once, closed: false });
        let extra = self.state.turns.len().saturating_sub(TURNS_MAX);
        self.state.turns.drain(..extra);
        Ok(())
    }

    /// Counts how often something was said, by its key for the zeroth time.
    pub fn occurrence(&mut self, key: String) -> u64 {
        let count = self.state.said.entry(key).or_default();
        *count += 1;
        *count
    }

    /// The end of the session's transcript, where it can be read.
    pub fn transcript_tail(&self, calls: &[&str], prompt: Option<&str>) -> tail::Tail {
        let bytes = self.payload.transcript.as_deref().and_then(|path| last_bytes(Path::new(path)));
        bytes.map(|bytes| tail::read(&bytes, calls, prompt)).unwrap_or_default()
    }

    /// Keeps what the next hook needs, if anything changed.
    pub fn leave(self) -> anyhow::Result<()> {
        if self.state != self.before {
            self.files.save(&self.state, self.ctx.redactor()?)?;
        }
        Ok(())
    }
}

/// The end of a file, if it is a plain one: a payload may name anything, and a pipe would be waited for.
fn last_bytes(path: &Path) -> Option<Vec<u8>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_MAX))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// What can be told from the chain when the hint file is gone, or an import made the chain.
fn rebuilt(ctx: &Context, scope: &ChainScope) -> anyhow::Result<State> {
    let mut state = State::default();
    let signer = ctx.recorder()?;
    if ctx.store.current_chain(scope, signer.id()).is_none() {
        return Ok(state);
    }
    let known = ctx.store.told(scope, signer)?.once;
    for key in known.keys() {
        let numbered =
            key.rsplit_once(':').and_then(|(key, number)| Some((key, number.parse::<u64>().ok()?)));
        if let Some((said, number)) =
            numbered.filter(|_| key.starts_with("prompt:") || key.starts_with("guidance:"))
        {
            let count = state.said.entry(format!("{said}:0")).or_default();
            *count = number.max(*count);
        }
    }
    let ChainScope::Session { source, id } = scope else { return Ok(state) };
    let session = Some((source.clone(), id.clone()));
    for open in ctx.store.open_receipts().into_iter().filter(|open| open.session == session) {
        let opened = known.iter().find(|(key, of)| **of == Some(open.receipt) && key.starts_with("prompt:"));
        if let Some((once, _)) = opened {
            state.turns.push(Turn { receipt: open.receipt, once: once.clone(), closed: false });
        }
    }
    Ok(state)
}

/// The key under which occurrences of a prompt are counted.
pub(super) fn prompt_count_key(text: &str) -> String {
    prompt_once(text, 0)
}

/// The key under which occurrences of a guidance are counted.
pub(super) fn guidance_count_key(text: &str) -> String {
    guidance_once(text, 0)
}
