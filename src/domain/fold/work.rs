//! What work came to, counted entry by entry: calls, gates, tokens, money.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::fact::Fact;
use crate::domain::fact::data::{GateResult, ToolStatus};
use crate::domain::money::Sums;

/// Files named in [`Work::files`] at most.
const FILES_MAX: usize = 1_000;

/// What the entries added so far come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// Tool calls.
    pub tool_calls: u64,
    /// Of these, how many a person or policy refused.
    pub rejections: u64,
    /// Of these, how many failed.
    pub failures: u64,
    /// Of these, how many were interrupted or have no result.
    pub interrupted: u64,
    /// Retrievals made.
    pub retrievals: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// The last word of every gate, by its name.
    pub gates: BTreeMap<String, GateWord>,
    /// Tokens by model.
    pub tokens: BTreeMap<String, Tokens>,
    /// Files touched by tool calls, as they are shown; of many the first by name.
    pub files: BTreeSet<String>,
    /// What the work cost, as far as it was counted.
    pub spent: Sums,
    /// What acceptance was charged.
    pub charged: Sums,
}

/// The last word of a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct GateWord {
    /// What it said.
    pub result: GateResult,
    /// Whether it stated no output when it was signed.
    pub unproven: bool,
    /// How often it ran.
    pub runs: u64,
}

/// Tokens used by a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tokens {
    /// Messages counted.
    pub messages: u64,
    /// Read, without cached ones.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from a cache.
    pub cache_read: u64,
    /// Written to one.
    pub cache_write: u64,
}

impl Work {
    /// Counts what one more entry says.
    pub fn add(&mut self, fact: &Fact) {
        match fact {
            Fact::ToolCalled(call) => {
                self.tool_calls += 1;
                match call.status {
                    ToolStatus::Denied => self.rejections += 1,
                    ToolStatus::Error => self.failures += 1,
                    ToolStatus::Interrupted | ToolStatus::Unknown => self.interrupted += 1,
                    ToolStatus::Ok => {}
                }
                self.files.extend(call.files.iter().map(|file| file.path.to_string()));
                while self.files.len() > FILES_MAX {
                    self.files.pop_last();
                }
            }
            Fact::RetrievalMade(_) => self.retrievals += 1,
            Fact::SnapshotTaken(_) => self.snapshots += 1,
            Fact::GateChecked(gate) => {
                let runs = self.gates.get(&gate.gate).map_or(0, |known| known.runs) + 1;
                let unproven = gate.is_unproven();
                self.gates.insert(gate.gate.clone(), GateWord { result: gate.result, unproven, runs });
            }
            Fact::UsageCounted(counted) => {
                let sum = self.tokens.entry(counted.model.clone()).or_default();
                sum.messages += 1;
                sum.input += counted.input_tokens;
                sum.output += counted.output_tokens;
                sum.cache_read += counted.cache_read_tokens.unwrap_or(0);
                sum.cache_write += counted.cache_write_tokens.unwrap_or(0);
                self.spent.extend(&counted.cost);
            }
            Fact::LinesApplied(applied) => self.charged.extend(&applied.cost),
            _ => {}
        }
    }
}
