//! A transcript from its lines to the facts of a session.
//!
//! A person's prompt opens a receipt, and all that follows belongs to it until the next prompt. A receipt is closed
//! only by what the transcript shows: `completed` where the agent's last word is followed by the end of its turn or by
//! the next prompt, `cancelled` where the person interrupted, `failed` where the API's error was the last word.
//! Everything else stays open.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::paths::Scope;
use super::record::{Record, Says, ToolResult, Words, record, text};
use super::tools::{self, Call, NAME_MAX, Outcome, Told};
use super::{Options, SOURCE, closed_once, guidance_once, prompt_once, usage_once};
use crate::agents::{Problem, Session, Step, clip, once_key};
use crate::domain::fact::Fact;
use crate::domain::fact::data::*;
use crate::domain::fact::values::Content;
use crate::domain::ids::Timestamp;

/// Why bytes are no transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscriptError {
    /// Not one line is of the kind that the agent writes.
    #[error("no line of it is from a transcript of Claude Code")]
    NotATranscript,
}

/// Reads a transcript, whole or cut anywhere between two lines.
///
/// Lines that cannot be read are problems of the session and end nothing. The last receipt stays open unless the file
/// shows that the agent's turn ended; what a longer file could still change is marked as not settled.
///
/// # Errors
/// When no line is from a transcript.
pub fn read(lines: &[u8], options: &Options<'_>) -> Result<Session, TranscriptError> {
    let mut problems = Vec::new();
    let values = parse(lines, &mut problems);
    let mut seen = HashSet::new();
    let records: Vec<Record<'_>> = values
        .iter()
        .map(|(line, value)| record(*line, value))
        // A resumed session repeats lines of the one before.
        .filter(|record| record.uuid.is_none_or(|uuid| seen.insert(uuid)))
        .collect();
    if !values.iter().any(|(_, value)| text(value, "type").is_some_and(|kind| KINDS.contains(&kind))) {
        return Err(TranscriptError::NotATranscript);
    }
    let first =
        |name: &str| values.iter().find_map(|(_, value)| text(value, name).filter(|text| !text.is_empty()));
    let spoken = |record: &&Record<'_>| matches!(record.says, Says::User { .. } | Says::Assistant { .. });
    let own_agent = records
        .iter()
        .filter(spoken)
        .all(|record| record.agent.is_some())
        .then(|| records.iter().find(spoken).and_then(|record| record.agent.clone()))
        .flatten();
    let scope = Scope::new(*options, first("cwd"));
    let version = first("version").map(|version| clip(version, NAME_MAX));
    let mut reader = Reader {
        session: Session {
            source: SOURCE,
            id: clip(first("sessionId").unwrap_or(""), NAME_MAX),
            agent: own_agent,
            version,
            root: scope.root.clone(),
            steps: Vec::new(),
            problems,
            tally: Default::default(),
        },
        scope,
        answered: answered(&records),
        usage: usage(&records),
        calls: HashMap::new(),
        occurrences: HashMap::new(),
        turn: None,
        turns: 0,
        command: None,
    };
    reader.session.tally.lines = values.len() as u64 + reader.session.problems.len() as u64;
    for (index, record) in records.iter().enumerate() {
        reader.take(index, record);
    }
    reader.end_turn(None);
    Ok(reader.session)
}

/// The types of lines that the agent writes.
const KINDS: &[&str] =
    &["user", "assistant", "progress", "system", "summary", "file-history-snapshot", "attachment"];

/// The lines as JSON objects, with their numbers.
fn parse(lines: &[u8], problems: &mut Vec<Problem>) -> Vec<(usize, Value)> {
    let mut values = Vec::new();
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let what = match serde_json::from_slice::<Value>(line) {
            Ok(value) if value.is_object() => {
                values.push((index + 1, value));
                continue;
            }
            Ok(_) => "not a JSON object".to_owned(),
            Err(error) => format!("not JSON: {error}"),
        };
        problems.push(Problem { line: index + 1, what });
    }
    values
}

/// The calls that have a result somewhere.
fn answered(records: &[Record<'_>]) -> HashSet<String> {
    let results = records.iter().filter_map(|record| match &record.says {
        Says::User { results, .. } => Some(results),
        _ => None,
    });
    results.flatten().map(|result| result.id.to_owned()).collect()
}

/// What is counted for a message: the fullest of the usages that its lines repeat, and where the last one stands.
struct Counted {
    fact: UsageCounted,
    last: usize,
}

fn usage(records: &[Record<'_>]) -> HashMap<String, Counted> {
    let mut counted: HashMap<String, Counted> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        let Some((key, fact)) = counts(record) else { continue };
        let known = counted.entry(key).or_insert_with(|| Counted { fact: fact.clone(), last: index });
        known.last = index;
        if fact.output_tokens > known.fact.output_tokens {
            known.fact = fact;
        }
    }
    counted
}

/// The key and the usage of a line of an API message; none for what no model said.
fn counts(record: &Record<'_>) -> Option<(String, UsageCounted)> {
    let Says::Assistant { message, request, .. } = &record.says else { return None };
    let id = text(message, "id").filter(|id| !id.is_empty())?;
    let fact = tools::usage(model(message)?, message.get("usage")?)?;
    Some((usage_once(id, request), fact))
}

/// The model of a message, unless the program wrote it itself.
fn model(message: &Value) -> Option<&str> {
    text(message, "model").filter(|model| !model.is_empty() && *model != "<synthetic>")
}

/// How the work on a prompt last stood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Nothing said yet, or a tool at work.
    Working,
    /// The agent's text is the last thing.
    Said,
    /// The API's error is.
    Failed,
    /// The person interrupted.
    Interrupted,
}

/// The receipt that is open.
struct Turn<'a> {
    index: usize,
    once: String,
    /// Where its `receipt.opened` is among the steps.
    opened: usize,
    stand: Stand,
    /// Whether the end of the turn was told after the last word.
    ended: bool,
    agent_ms: Option<u64>,
    time: Option<Timestamp>,
    /// The agent's last text, and the message it is of.
    said: String,
    message: Option<&'a str>,
    /// Calls without a result so far.
    waiting: Vec<String>,
}

/// A call and the receipt it belongs to.
struct Made<'a> {
    call: Call<'a>,
    turn: usize,
    elapsed_ms: Option<u64>,
    answered: bool,
}

struct Reader<'a> {
    session: Session,
    scope: Scope<'a>,
    answered: HashSet<String>,
    usage: HashMap<String, Counted>,
    calls: HashMap<String, Made<'a>>,
    occurrences: HashMap<String, u64>,
    turn: Option<Turn<'a>>,
    turns: usize,
    /// A slash command that may yet prove to be a prompt, with its time and mode.
    command: Option<(String, Option<Timestamp>, Option<&'a str>)>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, index: usize, record: &'a Record<'a>) {
        match &record.says {
            Says::User { results, words } => {
                results.iter().for_each(|result| self.result(record, result));
                self.words(record, words);
            }
            Says::Assistant { message, api_error, .. } => self.assistant(index, record, message, *api_error),
            Says::TurnEnded(agent_ms) => {
                if let Some(turn) = &mut self.turn {
                    turn.ended = true;
                    turn.agent_ms = agent_ms.filter(|ms| *ms < 1 << 53).or(turn.agent_ms);
                }
            }
            Says::Queued(said) => {
                self.command = None;
                self.open_if_none(record);
                let occurrence = self.occurrence("guidance", said);
                let fact = GuidanceGiven { form: GuidanceForm::Steer, text: said.as_str().into() };
                let told = Told {
                    once: guidance_once(said, occurrence),
                    title: said.clone(),
                    fact: Fact::GuidanceGiven(fact),
                };
                self.push(record.time, None, told);
            }
            Says::Elapsed(id, ms) => {
                if let Some(made) = self.calls.get_mut(*id) {
                    made.elapsed_ms = Some(*ms);
                }
            }
            Says::Other => return,
        }
        if let Some(turn) = &mut self.turn {
            turn.time = record.time.or(turn.time);
        }
    }

    fn words(&mut self, record: &'a Record<'a>, words: &Words) {
        if record.agent.is_some() {
            // A sub-agent's task opens a receipt only in its own transcript, and only the first does.
            match (words, &self.session.agent) {
                (Words::Prompt(task), Some(agent)) if self.turns == 0 => {
                    let once = once_key("agent", &[agent]);
                    self.open(task.clone(), once, record.time, record.mode);
                }
                (Words::Interrupted, Some(_)) => self.stand(Stand::Interrupted),
                _ => {}
            }
            return;
        }
        let command = self.command.take();
        match words {
            Words::Prompt(task) => self.prompt(task.clone(), record.time, record.mode),
            Words::Command(task) => self.command = Some((task.clone(), record.time, record.mode)),
            Words::Meta => {
                if let Some((task, time, mode)) = command {
                    self.prompt(task, time, mode);
                }
            }
            Words::Interrupted => self.stand(Stand::Interrupted),
            Words::None | Words::Local => {}
        }
    }

    fn assistant(&mut self, index: usize, record: &'a Record<'a>, message: &'a Value, api_error: bool) {
        let model = model(message);
        let command = self.command.take_if(|_| model.is_some() && record.agent.is_none());
        if let Some((task, time, mode)) = command {
            self.prompt(task, time, mode);
        }
        if model.is_some() {
            self.open_if_none(record);
        }
        let own = record.agent.is_none() || self.session.agent.is_some();
        for block in message.get("content").and_then(Value::as_array).into_iter().flatten() {
            match text(block, "type") {
                Some("tool_use") => self.call(record, block, own),
                Some("text") if own && (model.is_some() || api_error) => {
                    let stand = if api_error { Stand::Failed } else { Stand::Said };
                    self.said(text(message, "id"), text(block, "text").unwrap_or(""), stand);
                }
                _ => {}
            }
        }
        if let (Some(turn), Some(model)) = (&self.turn, model.filter(|_| own))
            && let Fact::ReceiptOpened(ReceiptOpened { agent: Some(agent), .. }) =
                &mut self.session.steps[turn.opened].fact
        {
            agent.model.get_or_insert_with(|| clip(model, NAME_MAX));
        }
        if own
            && text(message, "stop_reason") == Some("end_turn")
            && let Some(turn) = self.turn.as_mut().filter(|turn| turn.stand == Stand::Said)
        {
            turn.ended = true;
        }
        self.count(index, record);
    }

    /// The usage of a message, at the last of its lines.
    fn count(&mut self, index: usize, record: &Record<'a>) {
        let Some((key, _)) = counts(record) else { return };
        let Some(counted) = self.usage.get(&key).filter(|counted| counted.last == index) else { return };
        let fact = counted.fact.clone();
        let tally = &mut self.session.tally;
        tally.input_tokens = tally.input_tokens.saturating_add(fact.input_tokens);
        tally.output_tokens = tally.output_tokens.saturating_add(fact.output_tokens);
        tally.cache_read_tokens = tally.cache_read_tokens.saturating_add(fact.cache_read_tokens.unwrap_or(0));
        tally.cache_write_tokens =
            tally.cache_write_tokens.saturating_add(fact.cache_write_tokens.unwrap_or(0));
        let title = format!("{} in, {} out", fact.input_tokens, fact.output_tokens);
        self.push(record.time, None, Told { once: key, title, fact: Fact::UsageCounted(fact) });
    }

    fn call(&mut self, record: &'a Record<'a>, block: &'a Value, own: bool) {
        let id = text(block, "id").unwrap_or("");
        if id.is_empty() {
            return self.problem(record, "a tool call without an id");
        }
        if self.calls.contains_key(id) {
            return;
        }
        self.open_if_none(record);
        let Some(turn) = &mut self.turn else { return };
        if own {
            (turn.stand, turn.ended) = (Stand::Working, false);
        }
        turn.waiting.push(id.to_owned());
        self.session.tally.tool_calls += 1;
        let call = Call {
            id,
            tool: text(block, "name").unwrap_or("unknown"),
            input: block.get("input").unwrap_or(&Value::Null),
            agent: record.agent.as_deref(),
            at: record.time,
            directory: record.directory,
        };
        let made = Made { call, turn: turn.index, elapsed_ms: None, answered: false };
        self.calls.insert(id.to_owned(), made);
    }

    fn result(&mut self, record: &Record<'a>, result: &ToolResult<'a>) {
        let Some(made) = self.calls.get_mut(result.id) else {
            return self.problem(record, "the result of a call that is not in the file");
        };
        if std::mem::replace(&mut made.answered, true) {
            return;
        }
        let outcome = Outcome {
            text: result.text.clone(),
            is_error: result.is_error,
            detail: result.detail,
            at: record.time,
            elapsed_ms: made.elapsed_ms,
        };
        let (call, of) = (made.call, made.turn);
        let own = record.agent.is_none() || self.session.agent.is_some();
        if let Some(turn) = &mut self.turn {
            turn.waiting.retain(|id| id != result.id);
            if own {
                (turn.stand, turn.ended) = (Stand::Working, false);
            }
        }
        let closed = self.turn.as_ref().is_none_or(|turn| turn.index != of);
        for told in tools::told(&call, Some(&outcome), &self.scope) {
            // What comes late may join a closed receipt; a gate may not.
            if !(closed && matches!(told.fact, Fact::GateChecked(_))) {
                self.push(record.time, Some(of), told);
            }
        }
    }

    fn said(&mut self, message: Option<&'a str>, said: &str, stand: Stand) {
        let Some(turn) = self.turn.as_mut().filter(|_| !said.trim().is_empty()) else { return };
        if message.is_none() || turn.message != message {
            turn.said.clear();
        } else if !turn.said.is_empty() {
            turn.said.push('\n');
        }
        turn.said.push_str(said);
        (turn.message, turn.stand, turn.ended) = (message, stand, false);
    }

    fn stand(&mut self, stand: Stand) {
        if let Some(turn) = &mut self.turn {
            turn.stand = stand;
        }
    }

    fn prompt(&mut self, task: String, time: Option<Timestamp>, mode: Option<&str>) {
        self.session.tally.prompts += 1;
        let occurrence = self.occurrence("prompt", &task);
        self.open(task.clone(), prompt_once(&task, occurrence), time, mode);
    }

    /// A file that begins in the middle of the work: the receipt says what is known, which is not the task.
    fn open_if_none(&mut self, record: &Record<'_>) {
        if self.turn.is_none() {
            let once = match &self.session.agent {
                Some(agent) => once_key("agent", &[agent]),
                None => "prompt:start".to_owned(),
            };
            self.open(String::new(), once, record.time, record.mode);
        }
    }

    fn open(&mut self, task: String, once: String, time: Option<Timestamp>, mode: Option<&str>) {
        self.end_turn(Some(()));
        let summary = task.trim().to_owned();
        let title =
            if summary.is_empty() { "(the prompt is not in the transcript)".into() } else { summary.clone() };
        let agent = tools::agent(self.session.version.as_deref(), None, self.session.agent.as_deref());
        let fact = ReceiptOpened {
            task: task.into(),
            summary,
            mode: mode.filter(|mode| !mode.is_empty()).map(|mode| clip(mode, NAME_MAX)),
            risk: None,
            base: None,
            task_type: None,
            agent: Some(agent),
            parent: None,
            forked_from: None,
            estimate: None,
            envelope: None,
        };
        self.turn = Some(Turn {
            index: self.turns,
            once: once.clone(),
            opened: self.session.steps.len(),
            stand: Stand::Working,
            ended: false,
            agent_ms: None,
            time,
            said: String::new(),
            message: None,
            waiting: Vec::new(),
        });
        self.turns += 1;
        self.push(time, None, Told { once, title, fact: Fact::ReceiptOpened(fact) });
    }

    /// Ends the open receipt: at the next prompt, or at the end of the file.
    fn end_turn(&mut self, next_prompt: Option<()>) {
        let Some(mut turn) = self.turn.take() else { return };
        let status = match turn.stand {
            Stand::Said if next_prompt.is_some() || turn.ended => Some(CloseStatus::Completed),
            Stand::Interrupted => Some(CloseStatus::Cancelled),
            Stand::Failed => Some(CloseStatus::Failed),
            Stand::Said | Stand::Working => None,
        };
        let over = next_prompt.is_some() || status.is_some();
        let index = turn.index;
        for id in std::mem::take(&mut turn.waiting) {
            // A result that comes after the next prompt is told there.
            if self.answered.contains(&id) {
                continue;
            }
            let Some(made) = self.calls.get(&id) else { continue };
            let (call, time) = (made.call, made.call.at);
            for told in tools::told(&call, None, &self.scope) {
                self.push(time, Some(index), told);
                self.session.steps.last_mut().expect("just pushed").settled = over;
            }
        }
        if !over {
            // The last message of a file that goes on may still count more.
            let last = self.session.steps.iter_mut().rfind(|step| matches!(step.fact, Fact::UsageCounted(_)));
            if let Some(step) = last.filter(|step| step.prompt == index) {
                step.settled = false;
            }
        }
        if let Some(status) = status {
            let summary = match status {
                CloseStatus::Cancelled => "interrupted".to_owned(),
                _ => turn.said.trim().to_owned(),
            };
            let fact = ReceiptClosed {
                status,
                output: Content::Inline(turn.said),
                summary: summary.clone(),
                failure: (status == CloseStatus::Failed).then_some(Failure::Unknown),
                remaining: None,
                human_ms: None,
                agent_ms: turn.agent_ms,
                edits_by_human: None,
            };
            let told =
                Told { once: closed_once(&turn.once), title: summary, fact: Fact::ReceiptClosed(fact) };
            self.push(turn.time, Some(index), told);
        }
    }

    fn push(&mut self, time: Option<Timestamp>, prompt: Option<usize>, told: Told) {
        let Some(prompt) = prompt.or(self.turn.as_ref().map(|turn| turn.index)) else { return };
        let tally = &mut self.session.tally;
        match &told.fact {
            Fact::ToolCalled(called) => match called.status {
                ToolStatus::Error => tally.failures += 1,
                ToolStatus::Interrupted => tally.interrupted += 1,
                ToolStatus::Unknown => tally.unknown += 1,
                ToolStatus::Denied => {
                    let by_person = |c: &Confirmation| c.source.starts_with("user_");
                    tally.rejections += u64::from(called.confirmation.as_ref().is_some_and(by_person));
                }
                ToolStatus::Ok => {}
            },
            Fact::GateChecked(_) => tally.gates += 1,
            Fact::RetrievalMade(_) => tally.retrievals += 1,
            _ => {}
        }
        let Told { once, title, fact } = told;
        self.session.steps.push(Step { time, prompt, once, title, settled: true, fact });
    }

    fn occurrence(&mut self, kind: &str, text: &str) -> u64 {
        let count = self.occurrences.entry(format!("{kind} {}", text.trim())).or_default();
        *count += 1;
        *count
    }

    fn problem(&mut self, record: &Record<'_>, what: &str) {
        self.session.problems.push(Problem { line: record.line, what: what.to_owned() });
    }
}

#[cfg(test)]
#[path = "tests.rs"]
pub(crate) mod tests;
