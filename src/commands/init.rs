//! `git receipt init` and `git receipt deinit`

use std::path::PathBuf;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::agent_settings::{self, Agent};
use super::{Context, Report, user_error};
use crate::store::keys::RECORDER;

/// Set up recording in this repository
///
/// Makes this machine's recorder key if there is none, and writes the repository's own configuration. Says each
/// thing it did; running it again changes nothing, and `deinit` undoes exactly what it did.
///
/// The man page goes to `share/man` beside the program where that is below your home folder or is there already, else to
/// the one in your own data folder.
#[derive(Debug, Clone, clap::Args, Default)]
pub struct Args {
    /// Leave the man page alone
    #[arg(long)]
    pub no_man: bool,
    /// Record what this agent does: its hooks are merged into its personal settings; may be given several times
    #[arg(long, value_name = "AGENT")]
    pub agent: Vec<Agent>,
    /// Leave git's own hooks alone
    #[arg(long)]
    pub no_hooks: bool,
    /// Merge the agent's hooks into the settings that the project shares, where they do nothing for those without
    /// this program
    #[arg(long, requires = "agent")]
    pub shared: bool,
}

/// Undo what `init` did in this repository
///
/// Receipts, keys and the man page stay.
#[derive(Debug, Clone, clap::Args, Default)]
pub struct DeinitArgs {}

/// What `init` or `deinit` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SetUp {
    /// Each thing that was changed; nothing where all was in place.
    pub changes: Vec<String>,
    /// The project's id.
    pub repo: Option<String>,
    /// The fingerprint of the recording key.
    pub key: Option<String>,
}

impl Report for SetUp {
    const NAME: &'static str = "init";
}

/// What `deinit` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TakenDown {
    /// Each thing that was changed.
    pub changes: Vec<String>,
}

impl Report for TakenDown {
    const NAME: &'static str = "deinit";
}

/// The configuration key that keeps what `init` set, so that `deinit` undoes exactly that.
const SET_BY_INIT: &str = "receipt.setByInit";

/// Runs `init`.
///
/// # Errors
/// On an unborn branch, in a shallow clone, or when something cannot be written.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<SetUp> {
    ctx.store.check_writable()?;
    crate::store::check_git_version()?;
    // Hooks tell by this folder whether to look any further.
    let folder = ctx.store.state_dir();
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let _lock = ctx.store.lock_setup()?;
    // Another `init` may have written its configuration while this one waited.
    let fresh = Context::open(ctx.env.clone())?;
    let done = set_up(&fresh, args);
    ctx.notices.borrow_mut().extend(fresh.notices.take());
    done
}

fn set_up(ctx: &Context, args: &Args) -> anyhow::Result<SetUp> {
    let mut changes = Vec::new();
    let repo = repo_id(ctx)?;
    let key = recorder(ctx, &mut changes)?;
    let mut set = |name: &str, value: &str, unless_set: bool| -> anyhow::Result<()> {
        if unless_set && ctx.store.config(name).is_some() {
            return Ok(());
        }
        if ctx.store.config_all(name).iter().any(|known| known == value) {
            return Ok(());
        }
        ctx.store.add_config(name, value)?;
        ctx.store.add_config(SET_BY_INIT, &format!("{name}={value}"))?;
        changes.push(format!("configuration `{name}` = `{value}`"));
        Ok(())
    };
    set("receipt.repo", &repo, true)?;
    if ctx.store.config("receipt.clone").is_none() {
        let id = crate::domain::ids::hex(&ctx.store.random::<8>());
        set("receipt.clone", &id, true)?;
    }
    let remotes = ctx.store.remote_names();
    match ctx.store.default_branch()?.or_else(|| current_branch(ctx).filter(|_| remotes.is_empty())) {
        Some((branch, _)) => set("receipt.defaultBranch", &branch, true)?,
        // The branch that happens to be checked out says nothing about what a remote's people agree on.
        None if !remotes.is_empty() => ctx.notice(
            "the default branch cannot be told: `git remote set-head REMOTE --auto` asks the remote, or set \
             `receipt.defaultBranch`",
        ),
        None => {}
    }
    for remote in ctx.store.remote_names() {
        for refspec in crate::store::fetch_refspecs(&remote) {
            set(&format!("remote.{remote}.fetch"), &refspec, false)?;
        }
    }
    set("notes.rewriteRef", crate::store::names::NOTES, false)?;
    set("notes.displayRef", crate::store::names::NOTES, false)?;
    // Every entry is a commit; without this an everyday fetch would tell the remote about each of them.
    set("fetch.negotiationAlgorithm", "skipping", true)?;
    for refs in ["refs/receipts/*", "refs/receipts-remotes/*"] {
        set("log.excludeDecoration", refs, false)?;
    }
    if !args.no_hooks {
        changes.extend(super::hooks::install(ctx)?.changes);
    }
    for agent in &args.agent {
        agent_settings::install(ctx, *agent, args.shared, &mut changes)?;
    }
    if !args.no_man
        && let Some(path) = install_man_page(ctx)?
    {
        changes.push(format!("man page `{}`", path.display()));
    }
    Ok(SetUp { changes, repo: Some(repo), key: Some(key) })
}

fn current_branch(ctx: &Context) -> Option<(String, crate::domain::ids::Oid)> {
    let head = ctx.store.head().ok()?;
    head.branch.zip(head.commit)
}

/// The project's id: the lowest of HEAD's root commits.
fn repo_id(ctx: &Context) -> anyhow::Result<String> {
    if let Some(kept) = ctx.store.config("receipt.repo") {
        if kept.parse::<crate::domain::ids::Oid>().is_err() {
            let message =
                format!("configuration `receipt.repo` is `{}`, which is no commit id", kept.escape_debug());
            return Err(user_error(
                message,
                "`git config --unset receipt.repo`, then run `git receipt init` again",
            ));
        }
        return Ok(kept);
    }
    let head = ctx.store.head()?;
    let commit = head.commit.ok_or_else(|| {
        user_error(
            "there is no commit yet, and the first commit is what names the project",
            "commit something first, then run `git receipt init` again",
        )
    })?;
    let roots = ctx.store.roots_of(commit)?.ok_or_else(|| {
        user_error(
            "this clone is shallow, so the project's first commit cannot be told",
            "run `git fetch --unshallow` first",
        )
    })?;
    let lowest = roots.first().map(ToString::to_string);
    lowest.ok_or_else(|| user_error("HEAD's history has no first commit", "run `git fsck`"))
}

fn recorder(ctx: &Context, changes: &mut Vec<String>) -> anyhow::Result<String> {
    if ctx.env.var_os("GIT_RECEIPT_KEY_FILE").is_none() {
        let folder = ctx.key_dir()?;
        let path = folder.path(RECORDER);
        if !path.exists() {
            let comment = format!("git-receipt recorder on {}", crate::store::host_name());
            folder.create(RECORDER, &ctx.store.random(), &comment)?;
            changes.push(format!("recorder key `{}`", path.display()));
        }
    }
    Ok(ctx.recorder()?.id().to_string())
}

/// Puts the man page where `man`, and so `git receipt --help`, finds it.
///
/// man-db looks in `share/man` beside every `bin` folder of the path, so the page goes beside this program where
/// that is the user's own or a folder for man pages already, else below the user's own data folder.
fn install_man_page(ctx: &Context) -> anyhow::Result<Option<PathBuf>> {
    let Some(page) = &ctx.env.man_page else { return Ok(None) };
    // On the path the program may be a link to where it really is; `man` goes by the path.
    let on_path =
        ctx.env.var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let found = on_path.map(|folder| folder.join("git-receipt")).find(|program| program.is_file());
    let program = found.or_else(|| ctx.env.program.clone());
    let beside = program.and_then(|program| Some(program.parent()?.parent()?.join("share")));
    let home = ctx.env.home();
    let is_own = |share: &PathBuf| home.as_ref().is_some_and(|home| share.starts_with(home));
    let beside = beside.filter(|share| is_own(share) || share.join("man").is_dir());
    let own = ctx
        .env
        .var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| ctx.env.home().map(|home| home.join(".local").join("share")));
    let places: Vec<PathBuf> = beside
        .into_iter()
        .chain(own)
        .map(|share| share.join("man").join("man1").join("git-receipt.1"))
        .collect();
    if places.iter().any(|path| std::fs::read(path).is_ok_and(|there| there == *page)) {
        return Ok(None);
    }
    let mut problem = None;
    for path in places {
        let folder = path.parent().unwrap_or(&path);
        match std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, page)) {
            Ok(()) => return Ok(Some(path)),
            Err(error) => problem = Some(format!("no man page written to `{}`: {error}", path.display())),
        }
    }
    // A read-only home is no reason to fail: the page is a convenience.
    if let Some(problem) = problem {
        ctx.notice(problem);
    }
    Ok(None)
}

/// Runs `deinit`.
///
/// # Errors
/// When the configuration cannot be written.
pub fn deinit(ctx: &Context, _args: &DeinitArgs) -> anyhow::Result<TakenDown> {
    let mut changes = Vec::new();
    for set in ctx.store.config_all(SET_BY_INIT) {
        let Some((name, value)) = set.split_once('=') else { continue };
        if ctx.store.remove_config(name, value)? {
            changes.push(format!("configuration `{name}` = `{value}` removed"));
        }
    }
    ctx.store.remove_config_all(SET_BY_INIT)?;
    changes.extend(super::hooks::uninstall(ctx)?.changes);
    agent_settings::uninstall(ctx, &mut changes)?;
    Ok(TakenDown { changes })
}
