//! Facts: what one entry says, one variant a kind.

pub mod data;
pub mod values;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use data::*;

/// Declares [`Fact`] and everything that has to name all kinds.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident($data:ty) = $name:literal,)+) => {
        /// One immutable fact about a receipt or a chain.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Fact {
            $($(#[$doc])* $variant($data),)+
            /// A kind that this version does not know: kept, checked for signature and links, never folded.
            Unknown {
                /// The kind's name.
                kind: String,
                /// Its data as it was read.
                data: Value,
            },
        }

        /// The names of all kinds that this version knows.
        pub const KINDS: &[&str] = &[$($name,)+];

        impl Fact {
            /// The kind's name, as `receipt.opened`.
            pub fn kind(&self) -> &str {
                match self {
                    $(Fact::$variant(_) => $name,)+
                    Fact::Unknown { kind, .. } => kind,
                }
            }

            /// The data as JSON, ready to be written in canonical form.
            ///
            /// # Errors
            /// When a content of the fact is still pending, and so has no stored form.
            pub fn to_value(&self) -> Result<Value, serde_json::Error> {
                match self {
                    $(Fact::$variant(data) => serde_json::to_value(data),)+
                    Fact::Unknown { data, .. } => Ok(data.clone()),
                }
            }

            /// Reads the data of a draft of kind `kind`, whose inline texts may still be of any length.
            ///
            /// # Errors
            /// As [`Fact::read`], the limits aside.
            pub fn read_draft(kind: &str, data: Value) -> Result<ReadFact, DataError> {
                match kind {
                    $($name => read_known::<$data>(data).map(|(data, unknown_fields)| ReadFact {
                        fact: Fact::$variant(data),
                        unknown_fields,
                    }),)+
                    _ => Ok(ReadFact {
                        fact: Fact::Unknown { kind: kind.to_owned(), data },
                        unknown_fields: Vec::new(),
                    }),
                }
            }

            /// Reads the data of an entry of kind `kind`.
            ///
            /// # Errors
            /// When `kind` is known and `data` lacks one of its fields or has one of another type.
            pub fn read(kind: &str, data: Value) -> Result<ReadFact, DataError> {
                let read = Fact::read_draft(kind, data)?;
                read.fact.check_limits()?;
                Ok(read)
            }
        }
    };
}

kinds! {
    /// Opens a chain: who writes it.
    ChainOpened(ChainOpened) = "chain.opened",
    /// Ends a chain: nothing may follow.
    ChainClosed(ChainClosed) = "chain.closed",
    /// Seals the tips that it cites.
    ChainsSealed(ChainsSealed) = "chains.sealed",
    /// Says which heads were seen.
    HeadsWitnessed(HeadsWitnessed) = "heads.witnessed",
    /// Opens a receipt.
    ReceiptOpened(ReceiptOpened) = "receipt.opened",
    /// A tool was called.
    ToolCalled(ToolCalled) = "tool.called",
    /// Something was looked up.
    RetrievalMade(RetrievalMade) = "retrieval.made",
    /// A check ran.
    GateChecked(GateChecked) = "gate.checked",
    /// A person was asked.
    HumanAsked(HumanAsked) = "human.asked",
    /// A person steered the work.
    GuidanceGiven(GuidanceGiven) = "guidance.given",
    /// An agent changed what it remembers.
    MemoryPatched(MemoryPatched) = "memory.patched",
    /// Tokens were used.
    UsageCounted(UsageCounted) = "usage.counted",
    /// The working tree was kept.
    SnapshotTaken(SnapshotTaken) = "snapshot.taken",
    /// A change was proposed.
    ProposalMade(Proposal) = "proposal.made",
    /// A proposal was replaced by a newer one.
    ProposalRevised(Proposal) = "proposal.revised",
    /// Lines were accepted.
    LinesAccepted(LinesDecided) = "lines.accepted",
    /// Lines were rejected.
    LinesRejected(LinesDecided) = "lines.rejected",
    /// Accepted lines became a commit.
    LinesApplied(LinesApplied) = "lines.applied",
    /// Closes a receipt.
    ReceiptClosed(ReceiptClosed) = "receipt.closed",
    /// Ties a receipt to a commit.
    CommitBound(CommitBound) = "commit.bound",
    /// Follows a commit through a rewrite.
    CommitRebound(CommitRebound) = "commit.rebound",
    /// Another receipt was taken back.
    RollbackApplied(RollbackApplied) = "rollback.applied",
    /// A receipt was replayed.
    ReplayChecked(ReplayChecked) = "replay.checked",
    /// Artifacts were dropped.
    ArtifactPruned(ArtifactPruned) = "artifact.pruned",
    /// Somebody remarked on a receipt.
    RemarkMade(RemarkMade) = "remark.made",
}

/// A fact as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadFact {
    /// The fact.
    pub fact: Fact,
    /// Paths of the data fields that this version does not know.
    pub unknown_fields: Vec<String>,
}

/// Why an entry's data does not fit its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DataError(String);

/// Reads an optional field that is there: its value, never null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn read_known<T: DeserializeOwned>(data: Value) -> Result<(T, Vec<String>), DataError> {
    if !data.is_object() {
        return Err(DataError("`data` is not an object".into()));
    }
    let mut unknown = Vec::new();
    let parsed = serde_ignored::deserialize(data, |path| unknown.push(path.to_string()))
        .map_err(|error| DataError(error.to_string()))?;
    Ok((parsed, unknown))
}

/// Lists the content fields of every kind that has some, borrowed one way or the other.
macro_rules! contents_of {
    ($fact:expr, $as_borrowed:ident, $($borrow:tt)+) => {{
        let mut found = Vec::new();
        macro_rules! always {
            ($d:ident.$field:ident) => { found.push((stringify!($field), $($borrow)+ $d.$field)) };
        }
        macro_rules! optional {
            ($d:ident.$field:ident) => {
                found.extend($d.$field.$as_borrowed().map(|content| (stringify!($field), content)))
            };
        }
        match $fact {
            Fact::ReceiptOpened(d) => { always!(d.task); optional!(d.envelope); }
            Fact::ToolCalled(d) => { optional!(d.input); optional!(d.output); optional!(d.more_files); }
            Fact::RetrievalMade(d) => { always!(d.query); optional!(d.more_sources); }
            Fact::GateChecked(d) => { optional!(d.output); optional!(d.environment); }
            Fact::HumanAsked(d) => { always!(d.question); always!(d.answer); }
            Fact::GuidanceGiven(d) => always!(d.text),
            Fact::MemoryPatched(d) => always!(d.diff),
            Fact::ReceiptClosed(d) => always!(d.output),
            Fact::ReplayChecked(d) => always!(d.detail),
            Fact::RemarkMade(d) => always!(d.text),
            _ => {}
        }
        found
    }};
}

/// The most files of a tool call and sources of a retrieval that stand in a body.
pub const LIST_MAX: usize = 100;
/// The most heads that one `heads.witnessed` names.
pub const HEADS_MAX: usize = 400;

impl Fact {
    /// The files that a tool call changed.
    pub fn files(&self) -> &[data::FileChange] {
        match self {
            Fact::ToolCalled(called) => &called.files,
            _ => &[],
        }
    }

    /// Checks that no list or inline text is longer than a body may have it.
    ///
    /// # Errors
    /// Names the field that is too long.
    pub fn check_limits(&self) -> Result<(), DataError> {
        let too_long =
            |name: &str, max: usize| Err(DataError(format!("`{name}` has more than {max} elements")));
        match self {
            Fact::ToolCalled(call) if call.files.len() > LIST_MAX => return too_long("files", LIST_MAX),
            Fact::RetrievalMade(made) if made.sources.len() > LIST_MAX => {
                return too_long("sources", LIST_MAX);
            }
            Fact::HeadsWitnessed(seen) if seen.heads.len() > HEADS_MAX => {
                return too_long("heads", HEADS_MAX);
            }
            _ => {}
        }
        let long = self
            .contents()
            .into_iter()
            .find(|(_, content)| content.text().is_some_and(|text| text.len() > values::INLINE_MAX));
        match long {
            Some((name, _)) => {
                Err(DataError(format!("`{name}` holds more than {} bytes inline", values::INLINE_MAX)))
            }
            None => Ok(()),
        }
    }

    /// Whether it changes what may be decided about a receipt's lines.
    pub fn decides(&self) -> bool {
        matches!(
            self,
            Fact::ProposalMade(_)
                | Fact::ProposalRevised(_)
                | Fact::LinesAccepted(_)
                | Fact::LinesRejected(_)
                | Fact::LinesApplied(_)
                | Fact::ReceiptClosed(_)
        )
    }

    /// Whether its artifacts are evidence that reviewers need: then they travel with the chains.
    pub fn is_evidence(&self) -> bool {
        matches!(self, Fact::ProposalMade(_) | Fact::ProposalRevised(_) | Fact::LinesApplied(_))
    }

    /// Whether the fact is about the chain itself, so that its entry names no receipt. `None` where the kind is
    /// unknown and either may be.
    pub fn concerns_chain(&self) -> Option<bool> {
        match self {
            Fact::ChainOpened(_) | Fact::ChainClosed(_) | Fact::ChainsSealed(_) | Fact::HeadsWitnessed(_) => {
                Some(true)
            }
            Fact::Unknown { .. } => None,
            _ => Some(false),
        }
    }

    /// The citations inside the data; those of other chains must stand in the entry's `cites` too.
    pub fn citations(&self) -> Vec<crate::domain::ids::EntryRef> {
        match self {
            Fact::ReceiptOpened(opened) => opened.forked_from.into_iter().collect(),
            Fact::ProposalMade(proposal) | Fact::ProposalRevised(proposal) => {
                proposal.replaces.iter().filter_map(|replaced| replaced.citation()).collect()
            }
            Fact::LinesAccepted(decided) | Fact::LinesRejected(decided) => vec![decided.proposal],
            Fact::LinesApplied(applied) => {
                std::iter::once(applied.proposal).chain(applied.decisions.iter().copied()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The mentions inside the data: entries said to have been seen, without git carrying them along.
    pub fn mentions(&self) -> Vec<crate::domain::ids::EntryRef> {
        match self {
            Fact::ChainOpened(opened) => opened.continues.into_iter().collect(),
            Fact::HeadsWitnessed(witnessed) => witnessed.heads.clone(),
            _ => Vec::new(),
        }
    }

    /// Every content object of the fact, by field name.
    pub fn contents(&self) -> Vec<(&'static str, &values::Content)> {
        contents_of!(self, as_ref, &)
    }

    /// Every content object of the fact, by field name, for redaction and detaching.
    pub fn contents_mut(&mut self) -> Vec<(&'static str, &mut values::Content)> {
        contents_of!(self, as_mut, &mut)
    }

    /// Every short text of the fact that people or agents wrote, for redaction.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Fact::ReceiptOpened(d) => {
                let words = [&mut d.mode, &mut d.task_type].into_iter().flatten();
                let by = d.estimate.iter_mut().map(|estimate| &mut estimate.by);
                let agent = d.agent.iter_mut().flat_map(agent_texts);
                std::iter::once(&mut d.summary).chain(words).chain(by).chain(agent).collect()
            }
            Fact::ToolCalled(d) => {
                let words = [&mut d.call_id, &mut d.reason].into_iter().flatten();
                let who =
                    d.confirmation.iter_mut().flat_map(|c| std::iter::once(&mut c.source).chain(&mut c.by));
                let runtime = d.runtime.iter_mut().flat_map(|runtime| [&mut runtime.kind, &mut runtime.id]);
                std::iter::once(&mut d.tool).chain(words).chain(who).chain(runtime).collect()
            }
            Fact::RetrievalMade(d) => {
                let sources = d.sources.iter_mut().flat_map(|s| [&mut s.uri, &mut s.lines]).flatten();
                std::iter::once(&mut d.tool).chain(sources).collect()
            }
            Fact::GateChecked(d) => std::iter::once(&mut d.gate).chain(&mut d.command).collect(),
            Fact::UsageCounted(d) => vec![&mut d.model],
            Fact::SnapshotTaken(d) => d.label.iter_mut().collect(),
            Fact::MemoryPatched(d) => vec![&mut d.target, &mut d.reason],
            Fact::ProposalMade(d) | Fact::ProposalRevised(d) => {
                std::iter::once(&mut d.summary).chain(d.agent.iter_mut().flat_map(agent_texts)).collect()
            }
            Fact::LinesAccepted(d) | Fact::LinesRejected(d) => d.reason.iter_mut().collect(),
            Fact::ReceiptClosed(d) => {
                std::iter::once(&mut d.summary).chain(d.remaining.iter_mut().flatten()).collect()
            }
            Fact::CommitBound(d) => vec![&mut d.subject],
            Fact::ArtifactPruned(d) => vec![&mut d.reason],
            _ => Vec::new(),
        }
    }

    /// The paths of files that work touched or looked at.
    pub fn paths_mut(&mut self) -> Vec<&mut values::GitPath> {
        match self {
            Fact::ToolCalled(d) => d.files.iter_mut().map(|file| &mut file.path).collect(),
            Fact::RetrievalMade(d) => {
                d.sources.iter_mut().filter_map(|source| source.path.as_mut()).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn agent_texts(agent: &mut data::Agent) -> impl Iterator<Item = &mut String> {
    let words = [&mut agent.version, &mut agent.model, &mut agent.id].into_iter().flatten();
    std::iter::once(&mut agent.tool).chain(words)
}
