//! What each kind of entry says, field by field, under the names that stand in the stored JSON.
//!
//! An optional field is absent when it has no value; null is a value of its own and only where the type says so.
//! Times are milliseconds, scores millionths, object ids carry their algorithm.

use serde::{Deserialize, Serialize};

use super::present;
use super::values::{Amount, Content, GitPath, LineSet, Nonce, Replaced};
use crate::domain::ids::{Digest, EntryRef, Oid, ReceiptId};

/// A closed set of words.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every word of the set.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The word as it is stored.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                $name::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| {
                    let known: Vec<_> = $name::ALL.iter().map(|word| word.as_str()).collect();
                    format!("`{}` is none of {}", text.escape_debug(), known.join(", "))
                })
            }
        }
    };
}

word! {
    /// What a writer says it is: a label, never evidence.
    Role {
        Human = "human",
        Agent = "agent",
        Ci = "ci",
    }
}

word! {
    /// How bad it would be if the work went wrong.
    Risk {
        Low = "low",
        Medium = "medium",
        High = "high",
        Critical = "critical",
    }
}

word! {
    /// How a tool call ended. A call without a result stays `unknown`.
    ToolStatus {
        Ok = "ok",
        Error = "error",
        Denied = "denied",
        Interrupted = "interrupted",
        Unknown = "unknown",
    }
}

word! {
    /// What was decided about a tool call before it ran.
    Decision {
        Accepted = "accepted",
        Rejected = "rejected",
        Auto = "auto",
    }
}

word! {
    /// Whether a step ran by fixed rules, by an agent's choice or by a person.
    Step {
        Hardened = "hardened",
        Flexible = "flexible",
        Human = "human",
    }
}

word! {
    /// What happened to a file.
    Change {
        Added = "added",
        Modified = "modified",
        Deleted = "deleted",
        Renamed = "renamed",
        Copied = "copied",
        TypeChanged = "type_changed",
        Read = "read",
    }
}

word! {
    /// What a check said.
    GateResult {
        Passed = "passed",
        Failed = "failed",
        Skipped = "skipped",
        Error = "error",
    }
}

word! {
    /// Whether a person steered work in progress or asked for more afterwards.
    GuidanceForm {
        Steer = "steer",
        FollowUp = "follow_up",
    }
}

word! {
    /// How a receipt ended.
    CloseStatus {
        Completed = "completed",
        Rejected = "rejected",
        Modified = "modified",
        Escalated = "escalated",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

word! {
    /// The class of a failure.
    Failure {
        Timeout = "timeout",
        Tool = "tool",
        Model = "model",
        Gate = "gate",
        Policy = "policy",
        Human = "human",
        Environment = "environment",
        Unknown = "unknown",
    }
}

word! {
    /// How a receipt was replayed: trees rebuilt, or gates run again.
    ReplayForm {
        Rebuild = "rebuild",
        Rerun = "rerun",
    }
}

word! {
    /// Whether a replay gave what was recorded.
    ReplayResult {
        Reproduced = "reproduced",
        Diverged = "diverged",
    }
}

word! {
    /// How a commit took the place of another.
    Rebind {
        Amend = "amend",
        Rebase = "rebase",
        Squash = "squash",
        CherryPick = "cherry-pick",
        SameTree = "same-tree",
        SamePatch = "same-patch",
    }
}

/// The program that wrote a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The agent session that a chain belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The session's id as its agent gave it.
    pub id: String,
    /// Where it came from, as `claude-code`.
    pub source: String,
}

/// What the work started from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// HEAD's commit.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The branch, without `refs/heads/`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub branch: Option<String>,
    /// Whether tracked files differed from it.
    pub dirty: bool,
}

/// Which agent did the work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// The program, as `claude-code`.
    pub tool: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub version: Option<String>,
    /// The model it used.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub model: Option<String>,
    /// The id of one among several agents.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub id: Option<String>,
}

/// A person's time for the same task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Milliseconds.
    pub ms: u64,
    /// Whose estimate it is.
    pub by: String,
}

/// Who let a tool call run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confirmation {
    /// What was decided.
    pub decision: Decision,
    /// Where the decision came from.
    pub source: String,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub by: Option<String>,
}

/// A file that a tool call touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileChange {
    /// Where, from the top of the working tree.
    pub path: GitPath,
    /// What happened to it.
    pub change: Change,
    /// Its blob before.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Oid>,
    /// Its blob after.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub after: Option<Oid>,
}

/// What a tool ran in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runtime {
    /// As `container`.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// Whether it had run other work before.
    pub reused: bool,
}

/// Something that a retrieval returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// A file.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub path: Option<GitPath>,
    /// Or another place.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub uri: Option<String>,
    /// Its blob.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub oid: Option<Oid>,
    /// Which lines, as `10-24`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub lines: Option<String>,
    /// How well it matched, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub score: Option<i64>,
}

/// How many checks ran inside a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Skipped.
    pub skipped: u64,
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Money {
    /// A decimal number.
    pub amount: Amount,
    /// ISO 4217 code.
    pub currency: String,
}

/// A commit and its tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeAt {
    /// The commit.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
}

/// The table of a proposal's lines and what it counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineTable {
    /// SHA-256 of `lines.json`.
    pub digest: Digest,
    /// Its blob.
    pub oid: Oid,
    /// Numbers given out.
    pub count: u64,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// Lines changed in place.
    pub mutated: u64,
    /// Blocks moved.
    pub moved: u64,
    /// Files touched.
    pub files: u64,
}

/// The table of operations as they were placed on another base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// SHA-256 of the table.
    pub digest: Digest,
    /// Its blob.
    pub oid: Oid,
}

/// A change as numbered lines: the data of `proposal.made` and `proposal.revised`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// 1, 2, 3 ….
    pub revision: u64,
    /// The revision before, by citation or, in the own chain, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub replaces: Option<Replaced>,
    /// What the lines apply to.
    pub base: TreeAt,
    /// What all of them give.
    pub tree: Oid,
    /// The ref it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub target: Option<String>,
    /// The table of lines.
    pub lines: LineTable,
    /// Which diff made them.
    pub algorithm: String,
    /// The change in a few words.
    pub summary: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub agent: Option<Agent>,
}

/// A decision about lines: the data of `lines.accepted` and `lines.rejected`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinesDecided {
    /// The proposal entry decided on.
    pub proposal: EntryRef,
    /// Which lines.
    pub lines: LineSet,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub reason: Option<String>,
}

/// The data of `chain.opened`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChainOpened {
    /// OpenSSH public key line without comment.
    pub public_key: String,
    /// Name for the author line.
    pub name: String,
    /// Address for the author line.
    pub email: String,
    /// What the writer says it is.
    pub role: Role,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// What wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub tool: Option<Tool>,
    /// The session it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub session: Option<Session>,
    /// The entry of another chain that it takes over from.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub continues: Option<EntryRef>,
}

/// The data of `chain.closed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChainClosed {
    /// How many entries the chain has, this one included.
    pub entries: u64,
    /// Why.
    pub reason: String,
}

/// The data of `chains.sealed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChainsSealed {}

/// The data of `heads.witnessed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadsWitnessed {
    /// The heads.
    pub heads: Vec<EntryRef>,
}

/// The data of `receipt.opened`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReceiptOpened {
    /// What was asked.
    pub task: Content,
    /// The task in a few words.
    pub summary: String,
    /// How the agent was allowed to work.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub mode: Option<String>,
    /// The risk class.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub risk: Option<Risk>,
    /// What it starts from, where known.
    #[serde(deserialize_with = "Option::deserialize")]
    pub base: Option<Base>,
    /// The sort of task.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub task_type: Option<String>,
    /// Who does it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub agent: Option<Agent>,
    /// The receipt it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub parent: Option<ReceiptId>,
    /// The entry that it continues from.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub forked_from: Option<EntryRef>,
    /// A person's time for the same.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub estimate: Option<Estimate>,
    /// Permissions, limits and context given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub envelope: Option<Content>,
}

impl ReceiptOpened {
    /// A task and the state that work on it begins with; nothing else is said.
    pub fn of(task: impl Into<Content>, summary: impl Into<String>, base: Option<Base>) -> Self {
        ReceiptOpened {
            task: task.into(),
            summary: summary.into(),
            mode: None,
            risk: None,
            base,
            task_type: None,
            agent: None,
            parent: None,
            forked_from: None,
            estimate: None,
            envelope: None,
        }
    }
}

/// The data of `tool.called`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCalled {
    /// Its name.
    pub tool: String,
    /// The agent's id of the call.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub call_id: Option<String>,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub input: Option<Content>,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub output: Option<Content>,
    /// How it ended.
    pub status: ToolStatus,
    /// The exit code of a command.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub exit_code: Option<i64>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub duration_ms: Option<u64>,
    /// Who let it run.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub confirmation: Option<Confirmation>,
    /// What sort of step it was.
    pub step: Step,
    /// Files touched, at most 100.
    pub files: Vec<FileChange>,
    /// The files beyond those.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub more_files: Option<Content>,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub runtime: Option<Runtime>,
    /// Why it fell back or failed, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub reason: Option<String>,
}

/// The data of `retrieval.made`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrievalMade {
    /// What looked.
    pub tool: String,
    /// What was asked.
    pub query: Content,
    /// What was found, at most 100.
    pub sources: Vec<Source>,
    /// What was found beyond those.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub more_sources: Option<Content>,
}

/// The data of `gate.checked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateChecked {
    /// Its name.
    pub gate: String,
    /// What ran.
    pub command: Vec<String>,
    /// What it exited with.
    pub exit_code: i64,
    /// What it said.
    pub result: GateResult,
    /// How long it took.
    pub duration_ms: u64,
    /// What it printed; without it the gate is unproven.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub output: Option<Content>,
    /// The tree of the files it ran on.
    pub tree: Oid,
    /// Whether that tree differed from HEAD's.
    pub dirty: bool,
    /// Checks inside it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub counts: Option<Counts>,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub environment: Option<Content>,
}

impl GateChecked {
    /// Whether nothing that it printed shows what it said: it ran and stated no output when it was signed.
    pub fn is_unproven(&self) -> bool {
        self.output.is_none() && self.result != GateResult::Skipped
    }
}

/// The data of `human.asked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HumanAsked {
    /// What.
    pub question: Content,
    /// What they said.
    pub answer: Content,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub wait_ms: Option<u64>,
}

/// The data of `guidance.given`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuidanceGiven {
    /// When.
    pub form: GuidanceForm,
    /// What they said.
    pub text: Content,
}

/// The data of `memory.patched`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryPatched {
    /// Which memory.
    pub target: String,
    /// The change.
    pub diff: Content,
    /// Why.
    pub reason: String,
}

/// The data of `usage.counted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageCounted {
    /// By which model.
    pub model: String,
    /// Tokens read, without cached ones.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens read from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub cache_read_tokens: Option<u64>,
    /// Tokens written to one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub cache_write_tokens: Option<u64>,
    /// What that cost.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub cost: Option<Money>,
}

/// The data of `snapshot.taken`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotTaken {
    /// A name for it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub label: Option<String>,
    /// Tree of the working tree.
    pub worktree: Oid,
    /// Tree of the index.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub index: Option<Oid>,
}

/// The data of `lines.applied`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinesApplied {
    /// The proposal.
    pub proposal: EntryRef,
    /// Every decision that it counts.
    pub decisions: Vec<EntryRef>,
    /// The lines applied.
    pub lines: LineSet,
    /// The new commit.
    pub commit: Oid,
    /// Its parent.
    pub parent: Oid,
    /// Its tree.
    pub tree: Oid,
    /// Where lines went when the base had moved.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub placed: Option<Placed>,
    /// Lines left out because they no longer fit.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub conflicted: Option<LineSet>,
    /// What acceptance is charged.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub cost: Option<Money>,
}

/// The data of `receipt.closed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReceiptClosed {
    /// How it ended.
    pub status: CloseStatus,
    /// The result.
    pub output: Content,
    /// The result in a few words.
    pub summary: String,
    /// Class of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub failure: Option<Failure>,
    /// What is left to do.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub remaining: Option<Vec<String>>,
    /// A person's time in it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub human_ms: Option<u64>,
    /// The agent's time in it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub agent_ms: Option<u64>,
    /// Edits a person made.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub edits_by_human: Option<u64>,
}

/// The data of `commit.bound`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitBound {
    /// The commit.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The tree of its first parent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub parent_tree: Option<Oid>,
    /// Its subject line.
    pub subject: String,
}

/// The data of `commit.rebound`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRebound {
    /// The commit before.
    pub from: Oid,
    /// The commit now.
    pub to: Oid,
    /// What happened.
    pub how: Rebind,
}

/// The data of `rollback.applied`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollbackApplied {
    /// The receipt taken back.
    pub of: ReceiptId,
    /// Only these of its lines.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub lines: Option<LineSet>,
    /// The commit that does it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub commit: Option<Oid>,
    /// The tree before.
    pub from_tree: Oid,
    /// The tree after.
    pub to_tree: Oid,
}

/// The data of `replay.checked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayChecked {
    /// Which.
    pub of: ReceiptId,
    /// How.
    pub form: ReplayForm,
    /// Whether it gave the same.
    pub result: ReplayResult,
    /// What differed.
    pub detail: Content,
}

/// The data of `artifact.pruned`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactPruned {
    /// Their digests or object ids.
    pub artifacts: Vec<String>,
    /// Why.
    pub reason: String,
}

/// The data of `remark.made`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemarkMade {
    /// What they said.
    pub text: Content,
}
