//! `git receipt demo`: the whole round in a throw-away repository, by the same commands as everywhere else.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Report, user_error};
use crate::env::Env;

/// Show a recorded session, a proposal of which some lines are refused, a rollback, and what tampering looks like
///
/// Works in a temporary folder with a key of its own, needs no network, and leaves nothing behind.
#[derive(Debug, Clone, clap::Args, Default)]
pub struct Args {
    /// Keep the repository and say where it is
    #[arg(long)]
    pub keep: bool,
}

/// What was shown.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Demonstrated {
    /// Every command that ran, with its exit code.
    pub commands: Vec<DemoCommand>,
    /// The code of the finding about the tampered entry.
    pub tampering_found: String,
    /// Where the repository is, if it was kept.
    pub kept: Option<String>,
}

/// One command of the demonstration.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DemoCommand {
    /// What ran.
    pub command: String,
    /// Its exit code.
    pub exit_code: i32,
}

impl Report for Demonstrated {
    const NAME: &'static str = "demo";
}

/// A folder that goes when the value does.
struct Stage {
    folder: PathBuf,
    keep: bool,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Prints a line for the person.
type Say<'a> = &'a dyn Fn(&str) -> io::Result<()>;

struct Show<'a> {
    repo: PathBuf,
    home: PathBuf,
    program: PathBuf,
    say: Say<'a>,
    ran: Vec<DemoCommand>,
}

/// Runs the command; `say` prints a line.
///
/// # Errors
/// When git is not there, or a step does not go as it must.
pub fn run(_env: &Env, args: &Args, say: Say<'_>) -> anyhow::Result<Demonstrated> {
    let mut random = [0; 8];
    crate::env::entropy(&mut random);
    let folder = std::env::temp_dir().join(format!("git-receipt-demo-{}", crate::domain::ids::hex(&random)));
    let stage = Stage { folder, keep: args.keep };
    let mut show = Show {
        repo: stage.folder.join("project"),
        home: stage.folder.join("home"),
        program: std::env::current_exe().context("cannot tell where this program is")?,
        say,
        ran: Vec::new(),
    };
    for folder in [&show.repo, &show.home] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    let tampering_found = play(&mut show)?;
    let kept = args.keep.then(|| stage.folder.display().to_string());
    if let Some(kept) = &kept {
        say(&format!("Kept in {kept}"))?;
    }
    Ok(Demonstrated { commands: show.ran, tampering_found, kept })
}

fn play(show: &mut Show<'_>) -> anyhow::Result<String> {
    show.tell("A project with a bug: the greeting lacks its comma.")?;
    show.git(&["init", "--quiet", "--initial-branch=main"])?;
    show.git(&["config", "user.name", "Ann Example"])?;
    show.git(&["config", "user.email", "ann@example.com"])?;
    show.file("greet.sh", "echo \"Hello world\"\n")?;
    show.file("test.sh", "out=$(sh greet.sh)\n[ \"$out\" = \"Hello, world\" ] || { echo \"FAIL: got '$out'\"; exit 1; }\necho \"ok: 1 passed\"\n")?;
    show.git(&["add", "."])?;
    show.git(&["commit", "--quiet", "-m", "Greet the world"])?;

    show.tell("Set up once per clone; nothing leaves this machine.")?;
    show.receipt(&["init", "--no-man"], 0)?;

    show.tell(
        "Work begins: a receipt opens, and the tests fail. The failure is recorded with its real output.",
    )?;
    let opened = show.receipt(&["open", "-m", "Fix the greeting", "--agent", "demo-agent"], 0)?;
    let receipt = String::from_utf8_lossy(&opened.stdout).trim().to_owned();
    show.receipt(&["run", "--gate", "test", "--", "sh", "test.sh"], 1)?;

    show.tell("The fix, and the same gate again. It is tied to the exact tree that it ran on.")?;
    show.file("greet.sh", "echo \"Hello, world\"\n")?;
    show.receipt(&["run", "--gate", "test", "--", "sh", "test.sh"], 0)?;
    show.git(&["commit", "--quiet", "-a", "-m", "Put the comma into the greeting"])?;
    show.receipt(&["bind", &receipt, "HEAD"], 0)?;
    show.receipt(&["close", &receipt, "--status", "completed", "-m", "Comma added"], 0)?;

    show.tell("What happened, signed and linked, in the repository's own refs:")?;
    show.receipt(&["log", &receipt, "--oneline"], 0)?;

    show.tell(
        "Next comes a change to be decided about. Every line has a number, and a person signs for each.",
    )?;
    show.receipt(&["key", "new", "--person"], 0)?;
    show.file("greet.sh", "echo \"Hello, ${1:-world}\"\necho \"debug: greeted\" >&2\n")?;
    let proposed = show.receipt(&["propose", "-m", "Greet by name"], 0)?;
    let proposal = String::from_utf8_lossy(&proposed.stdout).trim().to_owned();
    show.receipt(&["diff", &proposal], 0)?;
    show.receipt(&["reject", &proposal, "--lines", "2", "-m", "no debug output"], 0)?;
    show.receipt(&["accept", &proposal], 0)?;

    show.tell("Only line 1 landed. The refused line is a local change, as it was in the file before:")?;
    show.git(&["log", "-1", "--format=%an: %s%n%b"])?;
    show.git(&["diff", "--stat"])?;
    show.receipt(&["verify"], 0)?;

    show.tell("On second thoughts line 1 goes again: one new commit, with a receipt of its own.")?;
    show.git(&["restore", "greet.sh"])?;
    let back = ["rollback", &proposal, "--lines", "1", "-m", "The name belongs elsewhere"];
    let back = show.receipt(&back, 0)?;
    let back = String::from_utf8_lossy(&back.stdout).trim().to_owned();
    show.git(&["log", "-1", "--format=%an: %s%n%b"])?;
    show.receipt(&["replay", &back, "--check"], 0)?;

    show.tell(
        "Now somebody with write access makes it look as if the refused line had been accepted as well, and drops \
         what came after.",
    )?;
    tamper(show)?;
    let verdict = show.receipt(&["verify"], 1)?;
    let text = String::from_utf8_lossy(&verdict.stdout).into_owned();
    let code = text.split_whitespace().find(|word| word.starts_with('E') && word.len() == 4);
    let code = code.context("tampering was not named")?.to_owned();
    show.tell("Every entry says what came before it, so nothing can be changed, dropped or put in unseen.")?;
    Ok(code)
}

/// Puts another selection into the entry that says what landed, and points the chain there, as an attacker with
/// write access would.
fn tamper(show: &mut Show<'_>) -> anyhow::Result<()> {
    let refs = show.quiet_git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"], None)?;
    for name in refs.lines() {
        let entries = show.quiet_git(&["rev-list", "--first-parent", name], None)?;
        for entry in entries.lines() {
            let body = show.quiet_git(&["cat-file", "commit", entry], None)?;
            if !body.contains("\"kind\":\"lines.applied\"") {
                continue;
            }
            let changed = body.replacen("\"lines\":\"1\"", "\"lines\":\"1-2\"", 1);
            let id = show.quiet_git(&["hash-object", "-t", "commit", "-w", "--stdin"], Some(&changed))?;
            show.quiet_git(&["update-ref", name, id.trim()], None)?;
            return Ok(());
        }
    }
    anyhow::bail!("no entry says what landed")
}

impl Show<'_> {
    fn tell(&self, text: &str) -> anyhow::Result<()> {
        Ok((self.say)(&format!("\n# {text}"))?)
    }

    fn file(&self, name: &str, content: &str) -> anyhow::Result<()> {
        std::fs::write(self.repo.join(name), content).with_context(|| format!("cannot write `{name}`"))
    }

    fn git(&mut self, args: &[&str]) -> anyhow::Result<()> {
        self.step("git", Path::new("git"), args, 0).map(drop)
    }

    fn receipt(&mut self, args: &[&str], expected: i32) -> anyhow::Result<Output> {
        let program = self.program.clone();
        self.step("git receipt", &program, args, expected)
    }

    /// Runs a command, shows it with its output, and insists on its exit code.
    fn step(&mut self, shown: &str, program: &Path, args: &[&str], expected: i32) -> anyhow::Result<Output> {
        let words: Vec<String> = args
            .iter()
            .map(|arg| if arg.contains(' ') { format!("\"{arg}\"") } else { (*arg).to_owned() })
            .collect();
        let line = format!("{shown} {}", words.join(" "));
        (self.say)(&format!("$ {line}"))?;
        let output = self.command(program, args).output().with_context(|| missing(program))?;
        for stream in [&output.stdout, &output.stderr] {
            for line in String::from_utf8_lossy(stream).lines() {
                (self.say)(&format!("  {line}"))?;
            }
        }
        let exit_code = output.status.code().unwrap_or(-1);
        self.ran.push(DemoCommand { command: line.clone(), exit_code });
        if exit_code != expected {
            let cause = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let message = format!("`{line}` ended with {exit_code}, not {expected}: {cause}");
            return Err(user_error(message, "run it again with `--keep` and look around"));
        }
        Ok(output)
    }

    fn quiet_git(&self, args: &[&str], input: Option<&str>) -> anyhow::Result<String> {
        use std::io::Write as _;
        let mut child = self
            .command(Path::new("git"), args)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .with_context(|| missing(Path::new("git")))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.unwrap_or_default().as_bytes())?;
        }
        let output = child.wait_with_output()?;
        anyhow::ensure!(output.status.success(), "`git {}` failed", args.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A command that sees nothing of the user's own configuration.
    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.repo);
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("GIT_") || name_text.starts_with("XDG_") || name_text == "CI" {
                command.env_remove(&name);
            }
        }
        command
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("NO_COLOR", "1")
            .stdin(std::process::Stdio::null());
        command
    }
}

fn missing(program: &Path) -> String {
    format!("cannot run `{}`; is it installed?", program.display())
}
