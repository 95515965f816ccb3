//! One tool call and its result, as facts. Transcripts and hooks both come here, so both say the same.

use serde_json::Value;

use super::paths::Scope;
use super::verdict::{Verdict, verdict};
use super::{Options, SOURCE, edits, retrieval};
use crate::agents::{clip, once_key};
use crate::domain::fact::Fact;
use crate::domain::fact::data::*;
use crate::domain::fact::values::{Content, GitPath};
use crate::domain::ids::Timestamp;

/// A call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call<'a> {
    /// The agent's id of it.
    pub id: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// What it was given.
    pub input: &'a Value,
    /// The sub-agent that made it.
    pub agent: Option<&'a str>,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// The directory that relative paths start from.
    pub directory: Option<&'a str>,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<'a> {
    /// What the model was given back.
    pub text: Option<String>,
    /// Whether that is an error.
    pub is_error: bool,
    /// What the tool itself returned (`toolUseResult`, a hook's `tool_response`); null where not recorded.
    pub detail: &'a Value,
    /// When it came.
    pub at: Option<Timestamp>,
    /// How long the call took, where that was measured.
    pub elapsed_ms: Option<u64>,
}

/// A fact with its key and title.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Idempotency key.
    pub once: String,
    /// For people, whole and not redacted yet.
    pub title: String,
    /// The fact.
    pub fact: Fact,
}

/// The largest integer that an entry can hold.
const MAX_INTEGER: u64 = (1 << 53) - 1;
/// The longest name of a tool, an agent, a model, a mode.
pub(super) const NAME_MAX: usize = 200;
/// The most bytes of a gate's command.
const COMMAND_MAX: usize = 8 * 1024;

/// The facts of a call: `tool.called` first, then what it looked up, which gates it ran, what it asked a person.
/// `first_directory` is the session's, from which paths are taken where the options name no other.
pub fn facts(
    call: &Call<'_>,
    outcome: Option<&Outcome<'_>>,
    options: &Options<'_>,
    first_directory: Option<&str>,
) -> Vec<Told> {
    told(call, outcome, &Scope::new(*options, first_directory))
}

/// What is said of a result that comes when its call was recorded without one: the call stands, so it is a remark.
pub fn late_result(id: &str, called: &ToolCalled) -> Told {
    let code = called.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let output = called.output.as_ref().and_then(Content::text).unwrap_or("");
    let text = format!("late result of {} `{id}`: {}{code}\n{output}", called.tool, called.status);
    Told {
        once: once_key("late", &[id]),
        title: format!("late result: {} {}", called.tool, called.status),
        fact: Fact::RemarkMade(RemarkMade { text: text.as_str().into() }),
    }
}

/// The file inside the working tree that a call of an editing tool is about to change.
pub fn edited_path(call: &Call<'_>, options: &Options<'_>) -> Option<GitPath> {
    let scope = Scope::new(*options, None);
    let path = ["file_path", "notebook_path"].iter().find_map(|name| call.input.get(name)?.as_str());
    let place = scope.place(path.filter(|_| edits::is_edit(call.tool))?, call.directory);
    place.inside.then_some(place.path)
}

pub(super) fn told(call: &Call<'_>, outcome: Option<&Outcome<'_>>, scope: &Scope<'_>) -> Vec<Told> {
    let verdict = outcome.map(|o| verdict(o.text.as_deref().unwrap_or(""), o.is_error, o.detail));
    let mut told = vec![called(call, outcome, verdict.as_ref(), scope)];
    let (Some(outcome), Some(verdict)) = (outcome, verdict) else { return told };
    if verdict.status == ToolStatus::Ok {
        let made = retrieval::retrieval(call.tool, call.input, outcome.detail, call.directory, scope);
        told.extend(made.map(|made| Told {
            once: once_key("retrieval", &[call.id]),
            title: format!("{}: {}", call.tool, made.query.text().unwrap_or("")),
            fact: Fact::RetrievalMade(made),
        }));
        asked(call, outcome, &mut told);
    }
    gates(call, outcome, &verdict, scope, &mut told);
    if let Some(said) = verdict.said {
        told.push(Told {
            once: once_key("guidance", &[call.id]),
            title: said.clone(),
            fact: Fact::GuidanceGiven(GuidanceGiven { form: GuidanceForm::Steer, text: said.into() }),
        });
    }
    told
}

fn called(
    call: &Call<'_>,
    outcome: Option<&Outcome<'_>>,
    verdict: Option<&Verdict>,
    scope: &Scope<'_>,
) -> Told {
    let detail = outcome.map_or(&Value::Null, |outcome| outcome.detail);
    let status = verdict.map_or(ToolStatus::Unknown, |verdict| verdict.status);
    let files = match status {
        ToolStatus::Ok => edits::changes(call.tool, call.input, detail, call.directory, scope),
        _ => Vec::new(),
    };
    let measured = ["durationMs", "totalDurationMs"].iter().find_map(|name| detail.get(name)?.as_u64());
    let duration_ms =
        outcome.and_then(|outcome| outcome.elapsed_ms).or(measured).filter(|ms| *ms <= MAX_INTEGER);
    let launched = detail.get("agentId").and_then(Value::as_str).filter(|id| !id.is_empty());
    let resumed = call.input.get("resume").is_some_and(Value::is_string);
    let runtime = match (call.agent, launched) {
        (Some(id), _) => Some((id, false)),
        (None, launched) => launched.map(|id| (id, resumed)),
    };
    let fact = ToolCalled {
        tool: clip(call.tool, NAME_MAX),
        call_id: Some(clip(call.id, NAME_MAX)),
        input: (!call.input.is_null()).then(|| Content::Inline(call.input.to_string())),
        output: outcome.and_then(|outcome| outcome.text.clone()).map(Content::Inline),
        status,
        exit_code: verdict.and_then(|verdict| verdict.exit_code),
        duration_ms,
        confirmation: verdict.and_then(|verdict| verdict.confirmation.clone()),
        step: Step::Flexible,
        files,
        more_files: None,
        runtime: runtime.map(|(id, reused)| Runtime {
            kind: "subagent".into(),
            id: clip(id, NAME_MAX),
            reused,
        }),
        reason: verdict.and_then(|verdict| verdict.reason).map(str::to_owned),
    };
    Told { once: super::tool_once(call.id), title: title(call, scope), fact: Fact::ToolCalled(fact) }
}

/// The tool and the one thing that tells its calls apart.
fn title(call: &Call<'_>, scope: &Scope<'_>) -> String {
    let given =
        |name: &str| call.input.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let path = given("file_path")
        .or(given("notebook_path"))
        .map(|path| scope.place(path, call.directory).path.to_string());
    let what = path.or_else(|| {
        ["description", "command", "pattern", "url", "query", "subject"]
            .iter()
            .find_map(|name| given(name))
            .map(str::to_owned)
    });
    match what {
        Some(what) => format!("{}: {}", call.tool, what.trim()),
        None => call.tool.to_owned(),
    }
}

/// The gates of a shell command. A success is the tool's own word: it reports every other exit code as an error, save
/// for commands that it interprets, runs in the background or was stopped in, and of those nothing is said.
fn gates(call: &Call<'_>, outcome: &Outcome<'_>, verdict: &Verdict, scope: &Scope<'_>, told: &mut Vec<Told>) {
    let Some(command) = call.input.get("command").and_then(Value::as_str).filter(|_| call.tool == "Bash")
    else {
        return;
    };
    let detail = outcome.detail;
    let background = call.input.get("run_in_background").and_then(Value::as_bool) == Some(true);
    let told_whole = detail.get("stdout").is_some_and(Value::is_string)
        && detail.get("interrupted").and_then(Value::as_bool) != Some(true)
        && ["backgroundTaskId", "returnCodeInterpretation"]
            .iter()
            .all(|n| detail.get(n).is_none_or(Value::is_null));
    let exit_code = match verdict.status {
        ToolStatus::Ok if told_whole && !background => 0,
        ToolStatus::Error => match verdict.exit_code {
            Some(code) if code != 0 => code,
            _ => return,
        },
        _ => return,
    };
    let output = outcome.text.as_deref().unwrap_or("");
    // The time between the two lines: what was recorded, waiting for a permission included.
    let span = match (call.at, outcome.at) {
        (Some(from), Some(to)) => u64::try_from(to.unix_ms() - from.unix_ms()).unwrap_or(0),
        _ => 0,
    };
    let duration_ms = outcome.elapsed_ms.filter(|ms| *ms <= MAX_INTEGER).unwrap_or(span);
    for (index, run) in scope.options.gates.recognise(command, exit_code, output).into_iter().enumerate() {
        if run.command.iter().map(String::len).sum::<usize>() > COMMAND_MAX || run.command.len() > 500 {
            continue;
        }
        let number = (index + 1).to_string();
        let parts = [call.id, &number];
        told.push(Told {
            once: once_key("gate", if index == 0 { &parts[..1] } else { &parts }),
            title: format!("{} {}", run.gate, run.result),
            fact: Fact::GateChecked(GateChecked {
                gate: run.gate,
                command: run.command,
                exit_code: run.exit_code,
                result: run.result,
                duration_ms,
                output: outcome.text.clone().filter(|_| !run.redirected).map(Content::Inline),
                tree: scope.options.null_tree,
                dirty: true,
                counts: run.counts,
                environment: None,
            }),
        });
    }
}

/// The questions that a person answered. The wait is told once, with the first.
fn asked(call: &Call<'_>, outcome: &Outcome<'_>, told: &mut Vec<Told>) {
    if call.tool != "AskUserQuestion" {
        return;
    }
    let Some(answers) = outcome.detail.get("answers").and_then(Value::as_object) else { return };
    let questions = call.input.get("questions").and_then(Value::as_array).into_iter().flatten();
    let mut wait_ms = match (call.at, outcome.at) {
        (Some(from), Some(to)) => u64::try_from(to.unix_ms() - from.unix_ms()).ok(),
        _ => None,
    };
    for (index, question) in questions.filter_map(|q| q.get("question")?.as_str()).enumerate() {
        let Some(answer) = answers.get(question) else { continue };
        let answer = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
        told.push(Told {
            once: once_key("asked", &[call.id, &(index + 1).to_string()]),
            title: question.to_owned(),
            fact: Fact::HumanAsked(HumanAsked {
                question: question.into(),
                answer: answer.into(),
                wait_ms: wait_ms.take(),
            }),
        });
    }
}

/// The agent of a receipt.
pub fn agent(version: Option<&str>, model: Option<&str>, id: Option<&str>) -> Agent {
    let short = |text: &str| clip(text, NAME_MAX);
    Agent { tool: SOURCE.into(), version: version.map(short), model: model.map(short), id: id.map(short) }
}

/// The usage of a message: none where it is not counted in full.
pub(super) fn usage(model: &str, usage: &Value) -> Option<UsageCounted> {
    let count = |name: &str| usage.get(name)?.as_u64().filter(|n| *n <= MAX_INTEGER);
    Some(UsageCounted {
        model: clip(model, NAME_MAX),
        input_tokens: count("input_tokens")?,
        output_tokens: count("output_tokens")?,
        cache_read_tokens: count("cache_read_input_tokens"),
        cache_write_tokens: count("cache_creation_input_tokens"),
        cost: None,
    })
}
