//! Gates run again: the recorded command on the recorded tree, and what came of it held against what was recorded.
//!
//! The commands come out of a chain, and whoever wrote that chain could have written anything. So they are shown, with
//! who signed for them, and nothing runs without a yes. What an unknown signer wrote runs only by name and by a person.

mod compare;
mod run;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

pub use self::compare::Compared;
use crate::child;
use crate::commands::run::shown;
use crate::commands::target::Target;
use crate::commands::trust::TrustSet;
use crate::commands::verify::Picture;
use crate::commands::{Context, UserError, user_error};
use crate::domain::fact::Fact;
use crate::domain::fact::data::{GateChecked, GateResult, ReplayForm};
use crate::domain::fold::{Receipt, Step};
use crate::store::{Rehashed, Rehasher};

/// How the command talks to the person while it works.
pub struct Talk {
    /// Says a line.
    pub say: fn(&str),
    /// Asks for a yes.
    pub ask: fn(&str) -> std::io::Result<bool>,
}

/// What was asked for.
pub struct Asked<'a> {
    /// Names of gates; all where there are none.
    pub gates: &'a [String],
    /// The entry up to which runs count.
    pub at: usize,
    /// When to end a gate.
    pub timeout: Option<&'a str>,
    /// Whether to run without asking.
    pub yes: bool,
}

/// What running gates again came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rerun {
    /// `reproduced`, `diverged`, or `incomplete` where a gate could not be run or not be compared. Only the first two are
    /// signed.
    pub result: &'static str,
    /// Every gate that was asked for.
    pub gates: Vec<GateRerun>,
    /// The entry that signs this, as `chain@seq`.
    pub recorded: Option<String>,
}

/// One gate.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GateRerun {
    /// Its name.
    pub gate: String,
    /// The receipt's own entry that was run again.
    pub n: u64,
    /// The chain of that entry.
    pub chain: String,
    /// The place there.
    pub seq: u64,
    /// The command as a person would type it.
    pub command: String,
    /// The folder below the top that it ran in; nothing for the top itself.
    pub directory: Option<String>,
    /// The tree that it ran on.
    pub tree: String,
    /// The exit code as it was recorded.
    pub recorded_exit_code: i64,
    /// `reproduced`, `diverged`, `unproven` where the exit code is the same and there is no output to compare, `not run`,
    /// or `skipped` where it was skipped when it was recorded and nobody asked for it by name.
    pub result: &'static str,
    /// Why it was not run, or what differs, or what could not be compared.
    pub why: Option<String>,
    /// The exit code now.
    pub exit_code: Option<i64>,
    /// How long it took now, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Whether the outputs were compared, and not only the exit codes.
    pub output_compared: bool,
    /// How the outputs differ, as a unified diff of what is compared.
    pub diff: Option<String>,
}

impl Rerun {
    /// 0 reproduced, 1 diverged, 4 where a gate could not be run or not be compared.
    pub fn exit_code(&self) -> u8 {
        match self.result {
            "reproduced" => 0,
            "diverged" => 1,
            _ => 4,
        }
    }
}

/// A gate that was recorded.
struct Recorded<'p> {
    n: usize,
    step: &'p Step,
    gate: &'p GateChecked,
    directory: Directory,
}

/// Where a gate ran.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Directory {
    Top,
    Below(String),
    /// What says so is not here, or says something else.
    Unknown(String),
}

/// Runs gates of a receipt again.
///
/// # Errors
/// When there is no such gate, nobody agrees, or nothing can be started.
pub fn run(
    ctx: &Context,
    (picture, trust): (&Picture, &TrustSet),
    (receipt, target): (&Receipt, Target),
    asked: &Asked<'_>,
    talk: &Talk,
) -> anyhow::Result<Rerun> {
    let timeout = asked.timeout.map(crate::commands::open::parse_duration).transpose()?;
    if ctx.is_recording() {
        ctx.check_recording()?;
    } else {
        ctx.notice("recording is switched off; nothing was recorded");
    }
    let recorded = chosen(ctx, picture, receipt, asked)?;
    check_may_run(receipt, asked)?;
    let mut rehasher = ctx.store.rehasher();
    let named = !asked.gates.is_empty();
    let plans: Vec<_> = recorded.iter().map(|one| (one, why_not(ctx, one, named, &mut rehasher))).collect();
    let runnable = plans.iter().filter(|(_, why)| why.is_none()).map(|(one, _)| *one);
    let runnable: Vec<&Recorded<'_>> = runnable.collect();
    if !runnable.is_empty() {
        let signer = trust.name_of(&receipt.owner).unwrap_or_else(|| "an unknown signer".into());
        agree(ctx, &runnable, &signer, asked, talk)?;
    }
    // From here on a Ctrl-C ends what runs, and what was made is cleared away.
    let mut interrupts = child::Interrupts::listen()?;
    match ctx.store.clear_temporary_worktrees() {
        Ok(0) => {}
        Ok(cleared) => ctx.notice(format!("cleared away {cleared} that an interrupted rerun left")),
        Err(error) => ctx.notice(format!("what an interrupted rerun left stays behind: {error}")),
    }
    let mut gates = Vec::new();
    for (one, why) in plans {
        let mut view = describe(one);
        match why {
            Some((result, why)) => (view.result, view.why) = (result, Some(why)),
            None => {
                go_on(&mut interrupts, one)?;
                (talk.say)(&format!("running {}: {}", one.gate.gate, view.command));
                let ran = run::run(ctx, picture, receipt, one, timeout);
                // Whatever it came to then, somebody wants an end of all of it.
                go_on(&mut interrupts, one)?;
                match ran {
                    Ok(ran) => {
                        let compared = compare::compare(ctx, one.gate, &ran);
                        view.result = compared.result;
                        view.why = compared.why;
                        view.diff = compared.diff;
                        view.output_compared = compared.output;
                        view.exit_code = Some(ran.exit_code);
                        view.duration_ms = Some(ran.duration_ms);
                    }
                    // What came of the others counts all the same.
                    Err(error) => view.why = Some(format!("{error:#}")),
                }
            }
        }
        gates.push(view);
    }
    let any = |result: &str| gates.iter().any(|gate: &GateRerun| gate.result == result);
    let result = match (any("diverged"), any("not run") || any("unproven"), any("reproduced")) {
        (true, ..) => "diverged",
        (false, false, true) => "reproduced",
        (false, ..) => "incomplete",
    };
    let mut rerun = Rerun { result, gates, recorded: None };
    if !ctx.is_recording() {
        return Ok(rerun);
    }
    if result == "incomplete" {
        // What is missing says neither yes nor no, and there is no third word to sign.
        ctx.notice("this is neither a yes nor a no, so nothing was recorded");
        return Ok(rerun);
    }
    ctx.store.set_now(ctx.env.now());
    let detail = serde_json::json!({ "gates": &rerun.gates });
    rerun.recorded = Some(super::record(ctx, target, ReplayForm::Rerun, result == "reproduced", &detail)?);
    Ok(rerun)
}

/// The newest run of every gate that was asked for, in the order of the entries.
fn chosen<'p>(
    ctx: &Context,
    picture: &'p Picture,
    receipt: &'p Receipt,
    asked: &Asked<'_>,
) -> anyhow::Result<Vec<Recorded<'p>>> {
    let mut newest: BTreeMap<&str, Recorded<'p>> = BTreeMap::new();
    for (n, step) in receipt.steps.iter().enumerate().take(asked.at + 1) {
        let entry = picture.link(&step.commit).and_then(|link| link.entry.as_ref());
        if let Some(Fact::GateChecked(gate)) = entry.map(|entry| &entry.body.fact) {
            let directory = run::directory_of(ctx, gate);
            newest.insert(&gate.gate, Recorded { n, step, gate, directory });
        }
    }
    let names = newest.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if newest.is_empty() {
        return Err(user_error(
            format!("receipt `{}` recorded no gate", receipt.id),
            "`git receipt run --gate NAME -- CMD` records one",
        ));
    }
    if let Some(unknown) = asked.gates.iter().find(|name| !newest.contains_key(name.as_str())) {
        let message = format!("receipt `{}` recorded no gate `{unknown}`", receipt.id);
        return Err(user_error(message, format!("it recorded {names}")));
    }
    let wanted = |one: &Recorded<'_>| asked.gates.is_empty() || asked.gates.contains(&one.gate.gate);
    let mut chosen: Vec<_> = newest.into_values().filter(wanted).collect();
    chosen.sort_by_key(|one| one.n);
    Ok(chosen)
}

/// Refuses the commands of an unknown signer, unless a person names them and is asked.
fn check_may_run(receipt: &Receipt, asked: &Asked<'_>) -> anyhow::Result<()> {
    if receipt.known || (!asked.gates.is_empty() && !asked.yes) {
        return Ok(());
    }
    let message = format!("receipt `{}` is of an unknown signer, and so are its commands", receipt.id);
    let then = match asked.yes {
        true => "answer for them without `--yes`",
        false => "then name the gate: `--rerun GATE`",
    };
    let hint = format!("look at them with `git receipt log {} --kind gate.checked`, {then}", receipt.id);
    Err(UserError { message, hint: Some(hint), code: 4 }.into())
}

/// Ends where somebody wanted it to.
fn go_on(interrupts: &mut child::Interrupts, one: &Recorded<'_>) -> anyhow::Result<()> {
    match interrupts.came() {
        true => {
            let message = format!("gate `{}` was interrupted", one.gate.gate);
            Err(UserError { message, hint: Some("nothing was recorded".into()), code: 2 }.into())
        }
        false => Ok(()),
    }
}

/// Shows the commands and gets a yes.
fn agree(
    ctx: &Context,
    gates: &[&Recorded<'_>],
    signer: &str,
    asked: &Asked<'_>,
    talk: &Talk,
) -> anyhow::Result<()> {
    for one in gates {
        let place = match &one.directory {
            Directory::Below(folder) => format!(" in `{folder}`"),
            _ => String::new(),
        };
        let tree = &one.gate.tree.to_hex()[..12];
        (talk.say)(&format!("gate `{}` on tree {tree}{place}, signed by {signer}:", one.gate.gate));
        (talk.say)(&format!("    {}", shown(&one.gate.command)));
    }
    if asked.yes {
        return Ok(());
    }
    if !(ctx.env.stdin_is_terminal && ctx.env.stderr_is_terminal) {
        return Err(user_error(
            "these commands come out of the receipt, and nobody is here to be asked about them",
            "run it on a terminal, or with `--yes` where you trust who signed them",
        ));
    }
    let question = match gates.len() {
        1 => "run this command?".to_owned(),
        many => format!("run these {many} commands?"),
    };
    match (talk.ask)(&question)? {
        true => Ok(()),
        false => Err(UserError { message: "nothing was run".into(), hint: None, code: 2 }.into()),
    }
}

/// Why a gate is not run again: what that comes to, and the reason.
fn why_not(
    ctx: &Context,
    one: &Recorded<'_>,
    named: bool,
    rehasher: &mut Rehasher<'_>,
) -> Option<(&'static str, String)> {
    let gate = one.gate;
    let not_run = |why: &str| Some(("not run", why.to_owned()));
    if gate.result == GateResult::Skipped {
        let why = "it was skipped, so there is nothing to compare with";
        return Some((if named { "not run" } else { "skipped" }, why.into()));
    }
    if gate.command.is_empty() {
        return not_run("no command was recorded");
    }
    if gate.command.iter().any(|word| word.contains("[redacted:")) {
        return not_run("a secret was taken out of its command");
    }
    if let Directory::Unknown(why) = &one.directory {
        return not_run(why);
    }
    if gate.tree == ctx.store.null_id() {
        return not_run("the files that it ran on were not recorded");
    }
    // What is run is what was signed for, and not what stands under its name.
    let flaws = rehasher.tree(gate.tree);
    let differs = flaws.iter().find(|flaw| matches!(flaw.what, Rehashed::Differs(_)));
    match (differs, flaws.first()) {
        (Some(flaw), _) => Some(("diverged", flaw.to_string())),
        (None, Some(flaw)) => not_run(&flaw.to_string()),
        (None, None) => None,
    }
}

fn describe(one: &Recorded<'_>) -> GateRerun {
    GateRerun {
        gate: one.gate.gate.clone(),
        n: one.n as u64,
        chain: one.step.entry.chain.to_string(),
        seq: one.step.entry.seq,
        command: shown(&one.gate.command),
        directory: match &one.directory {
            Directory::Below(folder) => Some(folder.clone()),
            _ => None,
        },
        tree: one.gate.tree.to_hex(),
        recorded_exit_code: one.gate.exit_code,
        result: "not run",
        why: None,
        exit_code: None,
        duration_ms: None,
        output_compared: false,
        diff: None,
    }
}
