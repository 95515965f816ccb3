//! People's side: words in, words out. The only place that prints.

pub mod error;
pub mod render;
pub mod review;
pub mod ui;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands::{self, Context, Report};
use crate::env::Env;
use render::Render;
use ui::{ColorChoice, Text};

/// Signed, hash-linked receipts of agent and human work, inside the repository's own refs
#[derive(Debug, Parser)]
#[command(name = "git-receipt", bin_name = "git receipt", version, max_term_width = 100)]
#[command(
    after_help = "`git receipt init` sets a repository up; `git receipt demo` shows it all in seconds."
)]
pub struct Cli {
    /// Run as if started in PATH
    #[arg(short = 'C', value_name = "PATH", global = true)]
    pub directory: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print one JSON object a line, where a command lists things
    #[arg(long, global = true, conflicts_with = "json")]
    pub jsonl: bool,
    /// Print to the terminal itself, not through git's pager
    #[arg(long, global = true)]
    pub no_pager: bool,
    /// Check every signature, also those that were checked before
    #[arg(long, global = true)]
    pub no_cache: bool,
    /// When to colour
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: ColorChoice,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[allow(missing_docs)]
    Init(commands::init::Args),
    #[allow(missing_docs)]
    Deinit(commands::init::DeinitArgs),
    #[allow(missing_docs)]
    Status(commands::status::Args),
    #[allow(missing_docs)]
    Open(commands::open::Args),
    #[allow(missing_docs)]
    Record(commands::record::Args),
    #[allow(missing_docs)]
    Run(commands::run::Args),
    #[allow(missing_docs)]
    Snapshot(commands::snapshot::Args),
    #[allow(missing_docs)]
    Close(commands::close::Args),
    #[allow(missing_docs)]
    Remark(commands::remark::Args),
    #[allow(missing_docs)]
    Bind(commands::bind::Args),
    #[allow(missing_docs)]
    Propose(commands::propose::Args),
    #[allow(missing_docs)]
    Revise(commands::propose::ReviseArgs),
    #[allow(missing_docs)]
    Diff(commands::diff::Args),
    #[allow(missing_docs)]
    Preview(commands::preview::Args),
    #[allow(missing_docs)]
    Accept(commands::decide::AcceptArgs),
    #[allow(missing_docs)]
    Reject(commands::decide::RejectArgs),
    #[allow(missing_docs)]
    Review(commands::review::Args),
    #[allow(missing_docs)]
    Apply(commands::apply::Args),
    #[allow(missing_docs)]
    Policy(commands::policy::Args),
    #[allow(missing_docs)]
    Audit(commands::audit::Args),
    #[allow(missing_docs)]
    Log(commands::log::Args),
    #[allow(missing_docs)]
    Show(commands::show::Args),
    #[allow(missing_docs)]
    List(commands::list::Args),
    #[allow(missing_docs)]
    Trace(commands::log::TraceArgs),
    #[allow(missing_docs)]
    Blame(commands::blame::Args),
    #[allow(missing_docs)]
    Why(commands::why::Args),
    #[allow(missing_docs)]
    Verify(commands::verify::Args),
    #[allow(missing_docs)]
    Replay(commands::replay::Args),
    #[allow(missing_docs)]
    Rollback(commands::rollback::Args),
    #[allow(missing_docs)]
    Fork(commands::fork::Args),
    #[allow(missing_docs)]
    Key(commands::key::Args),
    #[allow(missing_docs)]
    Import(commands::import::Args),
    #[allow(missing_docs)]
    Push(commands::share::PushArgs),
    #[allow(missing_docs)]
    Fetch(commands::share::FetchArgs),
    #[allow(missing_docs)]
    Hook(commands::hook::Args),
    #[allow(missing_docs)]
    Hooks(commands::hooks::Args),
    #[allow(missing_docs)]
    Demo(commands::demo::Args),
    #[allow(missing_docs)]
    #[command(hide = true)]
    Generate(commands::generate::Args),
}

/// How output is wanted.
#[derive(Debug, Clone, Copy)]
struct Output {
    json: bool,
    jsonl: bool,
    color: bool,
    /// Whether standard output is a terminal.
    terminal: bool,
    /// Whether long results go through a pager.
    pager: bool,
}

/// Runs the program with the arguments of a process and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = scores_apart(args.into_iter().collect());
    let wants_json =
        args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json" || arg == "--jsonl");
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, swallowed(&error, &args), wants_json),
    };
    let mut env = Env::new();
    env.checks_all = cli.no_cache;
    if let Some(directory) = &cli.directory {
        // git's own -C changes the directory, and hooks, children and relative paths must agree with that.
        if let Err(error) = std::env::set_current_dir(directory) {
            let error = anyhow::Error::new(error).context(format!("cannot go to `{}`", directory.display()));
            return fail(&error, wants_json);
        }
    }
    env.man_page =
        matches!(cli.command, Command::Init(_)).then(|| render::generated::man_page().unwrap_or_default());
    let color = match cli.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            env.stdout_is_terminal
                && env.var_os("NO_COLOR").is_none()
                && env.var("TERM").is_none_or(|term| term != "dumb")
        }
    };
    let looks = matches!(
        cli.command,
        Command::Log(_)
            | Command::Show(_)
            | Command::List(_)
            | Command::Trace(_)
            | Command::Blame(_)
            | Command::Why(_)
            | Command::Verify(_)
            | Command::Diff(_)
            | Command::Replay(commands::replay::Args { rerun: None, .. })
            | Command::Preview(_)
    );
    let pager = looks && env.stdout_is_terminal && !cli.no_pager && !cli.json && !cli.jsonl;
    let terminal = env.stdout_is_terminal;
    let output = Output { json: cli.json, jsonl: cli.jsonl, color, terminal, pager };
    match dispatch(cli.command, env, output) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error, output.json || output.jsonl),
    }
}

/// Puts the sign between `-M` or `-C` of `blame` and the number that touches it, without which the parser would take that
/// for more letters or the next word for the number.
fn scores_apart(mut args: Vec<OsString>) -> Vec<OsString> {
    let mut words = args.iter_mut().skip(1);
    loop {
        match words.next().and_then(|word| word.to_str()) {
            Some("-C" | "--color") => drop(words.next()),
            Some(option) if option.starts_with('-') => {}
            Some("blame") => break,
            _ => return args,
        }
    }
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--") => break,
            Some("-L" | "--ignore-rev" | "--ignore-revs-file" | "--color") => drop(words.next()),
            Some(text) => {
                let letters = text.strip_prefix('-').map(|rest| rest.trim_start_matches('w'));
                let score = letters.and_then(|rest| rest.strip_prefix(['M', 'C'])).unwrap_or_default();
                if !score.is_empty() && !score.starts_with('=') {
                    *word = format!("{}={score}", &text[..text.len() - score.len()]).into();
                }
            }
            None => {}
        }
    }
    args
}

fn dispatch(command: Command, env: Env, output: Output) -> anyhow::Result<u8> {
    use commands::{apply, audit, decide, diff, policy, preview, propose};
    use commands::{
        bind, blame, close, demo, generate, import, init, key, list, log, open, record, remark, run,
    };
    use commands::{fork, hooks, replay, rollback, share, show, snapshot, status, verify, why};
    match command {
        Command::Demo(args) => {
            let quiet = output.json || output.jsonl;
            let say = |line: &str| if quiet { Ok(()) } else { ui::print(&format!("{line}\n")) };
            return finish(&demo::run(&env, &args, &say)?, output);
        }
        Command::Generate(args) => {
            return finish(&generate::write_files(&args, render::generated::files(args.what)?)?, output);
        }
        Command::Hooks(hooks::Args { action: hooks::Action::Run { name, args, strict } }) => {
            if name == "pre-push" {
                let reports = hooks::pre_push(&env, &args)?;
                for report in &reports {
                    let mut text = Text::new(false);
                    render::audit::text(report, &mut text);
                    ui::print(&text.into_string())?;
                }
                return Ok(u8::from(commands::pre_push::stops(&reports)));
            }
            return hooks::run_hook(&env, &name, &args, strict).map(|()| 0);
        }
        Command::Hook(args) => return commands::hook::run(&env, &args).map(|()| 0),
        Command::Run(args) => {
            let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
            // With `--json` standard output is for the document alone.
            let ran = match output.json || output.jsonl {
                true => run::run(env, &args, &mut std::io::stderr(), &mut err)?,
                false => run::run(env, &args, &mut out, &mut err)?,
            };
            for notice in &ran.notices {
                ui::talk("receipt", &ui::safe(notice));
            }
            return finish(&ran, output);
        }
        _ => {}
    }
    let mut ctx = Context::open(env)?;
    ctx.warn = |text| ui::talk("warning", &ui::safe(text));
    let code = match command {
        Command::Hooks(args) => match args.action {
            hooks::Action::Install => finish(&hooks::install(&ctx)?, output),
            hooks::Action::Uninstall => finish(&hooks::uninstall(&ctx)?, output),
            hooks::Action::Run { .. } => Ok(2),
        },
        Command::Init(args) => finish(&init::run(&ctx, &args)?, output),
        Command::Deinit(args) => finish(&init::deinit(&ctx, &args)?, output),
        Command::Status(args) => finish(&status::run(&ctx, &args)?, output),
        Command::Open(args) => finish(&open::run(&ctx, &args)?, output),
        Command::Record(args) => finish(&record::run(&ctx, &args)?, output),
        Command::Snapshot(args) => finish(&snapshot::run(&ctx, &args)?, output),
        Command::Close(args) => finish(&close::run(&ctx, &args)?, output),
        Command::Remark(args) => finish(&remark::run(&ctx, &args)?, output),
        Command::Bind(args) => finish(&bind::run(&ctx, &args)?, output),
        Command::Propose(args) => finish(&propose::run(&ctx, &args)?, output),
        Command::Revise(args) => finish(&propose::revise(&ctx, &args)?, output),
        Command::Diff(args) => finish(&diff::run(&ctx, &args)?, output),
        Command::Preview(args) => finish(&preview::run(&ctx, &args)?, output),
        Command::Accept(args) => finish(&decide::accept(&ctx, &args)?, output),
        Command::Reject(args) => finish(&decide::reject(&ctx, &args)?, output),
        Command::Review(args) => finish(&review::run(&ctx, &args, output.color)?, output),
        Command::Apply(args) => finish(&apply::run(&ctx, &args)?, output),
        Command::Policy(args) => finish(&policy::run(&ctx, &args)?, output),
        Command::Audit(args) => audited(&audit::run(&ctx, &args)?, output),
        Command::Log(args) => finish(&log::run(&ctx, &args)?, output),
        Command::Show(args) => finish(&show::run(&ctx, &args)?, output),
        Command::List(args) => finish(&list::run(&ctx, &args)?, output),
        Command::Trace(args) => finish(&log::trace(&ctx, &args)?, output),
        Command::Blame(args) => finish(&blame::run(&ctx, &args)?, output),
        Command::Why(args) => finish(&why::run(&ctx, &args)?, output),
        Command::Verify(args) => finish(&verify::run(&ctx, &args)?, output),
        Command::Replay(args) => {
            let talk = commands::replay::rerun::Talk {
                say: |line| ui::talk("rerun", &ui::safe(line)),
                ask: |question| ui::confirm(&ui::safe(question)),
            };
            finish(&replay::run(&ctx, &args, &talk)?, output)
        }
        Command::Rollback(args) => finish(&rollback::run(&ctx, &args)?, output),
        Command::Fork(args) => finish(&fork::run(&ctx, &args)?, output),
        Command::Key(args) => finish(&key::run(&ctx, &args)?, output),
        Command::Import(args) => finish(&import::run(&ctx, &args)?, output),
        Command::Push(args) => finish(&share::push(&ctx, &args)?, output),
        Command::Fetch(args) => finish(&share::fetch(&ctx, &args)?, output),
        Command::Run(_) | Command::Hook(_) | Command::Demo(_) | Command::Generate(_) => Ok(2),
    };
    for notice in ctx.notices.borrow().iter() {
        ui::talk("note", &ui::safe(notice));
    }
    code
}

/// Prints a report in the form that is wanted.
fn finish<R: Report + Render>(report: &R, output: Output) -> anyhow::Result<u8> {
    let text = if output.jsonl {
        render::json_lines(report)?
    } else if output.json {
        render::json(report)?
    } else {
        let mut text = Text::new(output.color);
        match report.instead() {
            Some(bytes) => {
                ui::print_foreign(bytes)?;
                return Ok(report.exit_code());
            }
            None => report.render(&mut text),
        }
        let text = text.into_string();
        match report.patch() {
            Some(patch) if output.pager => {
                text + &String::from_utf8_lossy(&ui::patch_bytes(patch, output.color, true))
            }
            Some(patch) => {
                let patch = ui::patch_bytes(patch, output.color, output.terminal);
                ui::print_bytes(&[text.as_bytes(), &patch].concat())?;
                return Ok(report.exit_code());
            }
            None => text,
        }
    };
    if output.pager {
        ui::page(&text)?
    } else {
        ui::print(&text)?
    }
    Ok(report.exit_code())
}

/// Prints an audit in the format that was asked for.
fn audited(audited: &commands::audit::Audited, output: Output) -> anyhow::Result<u8> {
    use commands::audit::Format;
    let report = &audited.report;
    let text = match audited.format {
        Format::Text => return finish(audited, output),
        Format::Json => render::json(audited)?,
        Format::Sarif => serde_json::to_string_pretty(&render::audit::sarif(report))? + "\n",
        Format::Junit => render::audit::junit(report),
        Format::Markdown => render::audit::markdown(report),
    };
    ui::print(&text)?;
    Ok(audited.exit_code())
}

fn fail(error: &anyhow::Error, json: bool) -> ExitCode {
    let report = error::report(error);
    if json {
        // A failure that cannot even be written has its exit code left.
        let _ = ui::print(
            &(render::escape_invisible(&serde_json::to_string(&report).unwrap_or_default()) + "\n"),
        );
    } else {
        ui::talk("error", &ui::safe_lines(&report.message));
        for cause in &report.causes {
            ui::talk("  because", &ui::safe_lines(cause));
        }
        if let Some(hint) = &report.hint {
            ui::talk(" hint", &ui::safe_lines(hint));
        }
    }
    ExitCode::from(report.code)
}

/// What helps where an option took the receipt for a word of its own.
fn swallowed(error: &clap::Error, args: &[OsString]) -> Option<String> {
    let mut words = args.iter().filter_map(|arg| arg.to_str()).skip_while(|word| *word != "replay");
    let taken = words.by_ref().skip_while(|word| *word != "--rerun").nth(1);
    let taken = taken.filter(|word| !word.starts_with('-'))?;
    (error.kind() == clap::error::ErrorKind::MissingRequiredArgument).then(|| {
        format!("`--rerun` takes the words behind it for gates: `git receipt replay {taken} --rerun`")
    })
}

/// Reports what clap says: help and version are results, the rest is wrong usage.
fn usage(error: &clap::Error, hint: Option<String>, json: bool) -> ExitCode {
    if !error.use_stderr() {
        return match ui::print(&error.to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(2),
        };
    }
    let text = error.to_string();
    if json {
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let report = error::ErrorReport {
            schema: "git-receipt/error/1",
            code: 2,
            message,
            causes: Vec::new(),
            hint: hint.or_else(|| {
                let help =
                    "`git receipt help` lists the commands, and `git receipt help COMMAND` its options";
                Some(help.into())
            }),
        };
        let _ = ui::print(
            &(render::escape_invisible(&serde_json::to_string(&report).unwrap_or_default()) + "\n"),
        );
    } else {
        eprint!("{text}");
        if let Some(hint) = hint {
            ui::talk(" hint", &ui::safe(&hint));
        }
    }
    ExitCode::from(2)
}

/// The parser, for man pages and completions.
pub fn parser() -> clap::Command {
    Cli::command()
}
