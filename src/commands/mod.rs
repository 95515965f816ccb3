//! Use cases, one file each: its arguments, its `run`, its report. Nothing here prints.

pub mod agent_settings;
pub mod apply;
pub mod audit;
pub mod bind;
pub mod blame;
pub mod close;
pub mod decide;
pub mod demo;
pub mod diff;
pub mod edits;
pub mod evidence;
pub mod fork;
pub mod generate;
pub mod git_hooks;
pub mod heads;
pub mod hook;
pub mod hooks;
pub mod import;
pub mod init;
pub mod key;
mod landing;
pub mod lines_view;
pub mod list;
pub mod log;
pub mod open;
pub mod plan;
pub mod policy;
pub mod pre_push;
pub mod preview;
pub mod proposal;
pub mod propose;
pub mod record;
pub mod remark;
pub mod replay;
pub mod review;
pub mod rollback;
pub mod run;
pub mod share;
pub mod show;
pub mod snapshot;
pub mod sources;
pub mod status;
pub mod summary;
pub mod target;
pub mod trust;
pub mod verify;
pub mod verify_lines;
pub mod why;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::domain::entry::Draft;
use crate::domain::fact::data::Role;
use crate::domain::ids::{Digest, KeyId, Oid, ReceiptId, Timestamp};
use crate::domain::lines::Carried;
use crate::domain::redact::Redactor;
use crate::env::{self, Env};
use crate::store::keys::{Asking, KeyDir, KeyName, Keygen, PERSON, RECORDER, Signer};
use crate::store::{
    Along, AppendOptions, AppendReport, ChainScope, Objects, OpenOptions, Recovered, Repeats, RestsOn, Store,
    StoreError,
};

/// What a command tells: a value whose JSON form is a contract. `cli::render` has the form for people.
pub trait Report: Serialize + schemars::JsonSchema {
    /// The name in the schema's id, `git-receipt/<name>/1`.
    const NAME: &'static str;
    /// The lists that `--jsonl` prints one element a line of: the first that the report has.
    const LISTS: &'static [&'static str] = &["entries", "receipts", "findings", "chains"];

    /// The exit code that the report asks for.
    fn exit_code(&self) -> u8 {
        0
    }
}

/// A failure that the person can do something about.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UserError {
    /// What went wrong: lower case, names the thing in backticks, no full stop.
    pub message: String,
    /// What helps.
    pub hint: Option<String>,
    /// The exit code.
    pub code: u8,
}

/// Makes an error with a hint and exit code 2.
pub fn user_error(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    UserError { message: message.into(), hint: Some(hint.into()), code: 2 }.into()
}

/// The variable that names the key in CI.
pub const KEY_FILE: &str = "GIT_RECEIPT_KEY_FILE";

/// What every command in a repository needs.
pub struct Context {
    /// The world outside.
    pub env: Env,
    /// The repository.
    pub store: Store,
    /// When the command started.
    pub now: Timestamp,
    /// Words for the person, said after the command.
    pub notices: std::cell::RefCell<Vec<String>>,
    /// Says something to the person at once, where it must come before what follows.
    pub warn: fn(&str),
    /// Which lines of one table stand for which of another: asked again and again while receipts are folded.
    carried: std::cell::RefCell<CarriedByTables>,
    signer: std::cell::OnceCell<Signer>,
    person: std::cell::OnceCell<Signer>,
    redactor: std::cell::OnceCell<Redactor>,
}

/// What carries over, by the tables and trees of both proposals; nothing where a table cannot be had.
type CarriedByTables = HashMap<(Digest, Oid, Digest, Oid), Option<Carried>>;

impl Context {
    /// Opens the repository.
    ///
    /// # Errors
    /// When there is none that can be used.
    pub fn open(env: Env) -> anyhow::Result<Self> {
        let now = env.now();
        let store = Store::open(&OpenOptions {
            directory: std::path::absolute(&env.directory).unwrap_or_else(|_| env.directory.clone()),
            now,
            quarantined: env.var_os("GIT_QUARANTINE_PATH").is_some(),
            entropy: env::entropy,
            settings: env.settings(),
            private: env.config_home().map(|home| home.join("git-receipt")),
            trusts_kept: !env.checks_all && !env.is_ci(),
            named: env.var_os("GIT_DIR").is_some(),
            temporary: env.temporary(),
            objects: Objects {
                directory: env.var_os("GIT_OBJECT_DIRECTORY").map(PathBuf::from),
                alternates: env.var_os("GIT_ALTERNATE_OBJECT_DIRECTORIES"),
            },
        })?;
        let ctx = Context {
            env,
            store,
            now,
            notices: Default::default(),
            warn: |_| {},
            carried: Default::default(),
            person: Default::default(),
            signer: Default::default(),
            redactor: Default::default(),
        };
        match ctx.store.recover_landing() {
            Ok(None) => {}
            Ok(Some(Recovered::Finished(stay))) => {
                ctx.notice("finished bringing the working tree along, which was interrupted");
                for path in stay {
                    ctx.notice(format!("`{path}` changed meanwhile and stays as it is"));
                }
            }
            Ok(Some(Recovered::Dropped)) => {
                ctx.notice("dropped an interrupted landing of which nothing had happened");
            }
            Ok(Some(Recovered::GivenUp)) => ctx.notice(
                "gave up an interrupted landing, as HEAD is elsewhere or the lock of the index was taken away: files \
                 and index stay as they are, see `git status`",
            ),
            // Looking must go on; whoever lands next is told again.
            Err(error) => {
                let way_out = error.way_out().map(|way| format!("; {way}")).unwrap_or_default();
                ctx.notice(format!("an interrupted landing could not be finished: {error}{way_out}"));
            }
        }
        Ok(ctx)
    }

    /// Says something to the person when the command is done, once.
    pub fn notice(&self, text: impl Into<String>) {
        let (text, mut notices) = (text.into(), self.notices.borrow_mut());
        if !notices.contains(&text) {
            notices.push(text);
        }
    }

    /// The folder of this machine's keys.
    ///
    /// # Errors
    /// When there is no home to have it in.
    pub fn key_dir(&self) -> anyhow::Result<KeyDir> {
        key_dir(&self.env)
    }

    /// The project's id, as `init` kept it.
    ///
    /// # Errors
    /// When `init` has not run here.
    pub fn repo_id(&self) -> anyhow::Result<Oid> {
        let kept = self.store.config("receipt.repo").ok_or_else(|| {
            user_error("`git receipt` is not set up in this repository", "run `git receipt init` first")
        })?;
        kept.parse().with_context(|| "configuration `receipt.repo`".to_owned())
    }

    /// Whether something shall be recorded at all.
    pub fn is_recording(&self) -> bool {
        !self.env.is_off() && self.store.config_bool("receipt.enabled") != Some(false)
    }

    /// Refuses where recording is switched off or not set up.
    ///
    /// # Errors
    /// Says how to switch it on.
    pub fn check_recording(&self) -> anyhow::Result<()> {
        if let Some(value) = self.store.config("receipt.enabled")
            && self.store.config_bool("receipt.enabled").is_none()
        {
            let message = format!("configuration `receipt.enabled` is `{}`", value.escape_debug());
            return Err(user_error(message, "set it to `true` or `false`"));
        }
        if self.env.is_off() {
            return Err(user_error("recording is switched off by `GIT_RECEIPT`", "unset `GIT_RECEIPT`"));
        }
        if !self.is_recording() {
            let hint = "`git config receipt.enabled true` switches it on";
            return Err(user_error("recording is switched off by `receipt.enabled`", hint));
        }
        self.repo_id().map(drop)
    }

    /// The key that records: `GIT_RECEIPT_KEY_FILE`, else this machine's recorder.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn recorder(&self) -> anyhow::Result<&Signer> {
        if let Some(signer) = self.signer.get() {
            return Ok(signer);
        }
        let signer = match self.env.var_os(KEY_FILE) {
            Some(path) => self.key_in_file(path)?,
            None => {
                let path = self.key_dir()?.path(RECORDER);
                if !path.exists() {
                    let message = format!("no key at `{}`", path.display());
                    let hint = "`git receipt init` makes one, or set `GIT_RECEIPT_KEY_FILE`";
                    return Err(user_error(message, hint));
                }
                Signer::load(&path)?
            }
        };
        let signer = self.ready(signer);
        Ok(self.signer.get_or_init(|| signer))
    }

    /// The key that a person decides with: `GIT_RECEIPT_KEY_FILE`, or [`Context::own_key`]. Where there is none of them
    /// the recorder stands in, which is said.
    ///
    /// # Errors
    /// When the key cannot be used, or there is none at all.
    pub fn person(&self) -> anyhow::Result<&Signer> {
        if let Some(signer) = self.person.get() {
            return Ok(signer);
        }
        if self.env.var_os(KEY_FILE).is_some() {
            return self.recorder();
        }
        match self.own_key()? {
            Some(signer) => {
                let signer = self.ready(signer);
                Ok(self.person.get_or_init(|| signer))
            }
            None => {
                self.notice(
                    "signed with the recorder, which agents here sign with too: a policy may not count it; \
                     `git receipt key new --person` makes a key of your own",
                );
                self.recorder()
            }
        }
    }

    /// The key here that is `owner`: the recorder, or the person's own.
    ///
    /// # Errors
    /// When the one that is configured cannot be used.
    pub fn key_of(&self, owner: &KeyId) -> anyhow::Result<Option<&Signer>> {
        let recorder = self.recorder()?;
        if recorder.id() == owner {
            return Ok(Some(recorder));
        }
        if self.env.var_os(KEY_FILE).is_some() {
            return Ok(None);
        }
        match self.own_key()? {
            Some(own) if own.id() == owner => self.person().map(Some),
            _ => Ok(None),
        }
    }

    /// The person's own key: `receipt.signingKey`, git's own SSH signing key, or the one that `key new --person` made.
    ///
    /// # Errors
    /// When the one that is configured cannot be used.
    pub fn own_key(&self) -> anyhow::Result<Option<Signer>> {
        if let Some(name) = self.configured_key() {
            return self.key_of_setting(name).map(Some);
        }
        let made = self.key_dir()?.path(PERSON);
        Ok(if made.exists() { Some(Signer::load(&made)?) } else { None })
    }

    /// The keys that environment and configuration name, with what names them. One that cannot be used is left out;
    /// signing with it says why.
    pub fn named_keys(&self) -> Vec<(&'static str, Signer)> {
        let file = self.env.var_os(KEY_FILE).map(|path| (KEY_FILE, self.key_in_file(path)));
        let settings = self.key_settings().map(|setting| (setting, self.key_of_setting(setting)));
        file.into_iter().chain(settings).filter_map(|(name, key)| Some((name, key.ok()?))).collect()
    }

    /// The setting that names the person's key, if one does.
    pub fn configured_key(&self) -> Option<&'static str> {
        self.key_settings().next()
    }

    /// The settings that name keys, the one that counts first.
    fn key_settings(&self) -> impl Iterator<Item = &'static str> {
        let ssh = self.store.config("gpg.format").is_some_and(|format| format.eq_ignore_ascii_case("ssh"));
        let names = [Some("receipt.signingKey"), Some("user.signingKey").filter(|_| ssh)];
        let is_set = |name: &&str| self.store.config(name).is_some_and(|value| !value.is_empty());
        names.into_iter().flatten().filter(is_set)
    }

    /// The key that a setting names, read as git reads `user.signingKey`.
    fn key_of_setting(&self, setting: &str) -> anyhow::Result<Signer> {
        let value = self.store.config(setting).unwrap_or_default();
        let load = || {
            let name = match KeyName::read(&value) {
                Ok(KeyName::File(path)) => KeyName::File(self.store.config_path(setting)?.unwrap_or(path)),
                Ok(literal) => literal,
                // The value is not said: it is a private key.
                Err(problem) => return Err(StoreError::Key { key: setting.to_owned(), problem }),
            };
            self.store.load_key(&name)
        };
        load().with_context(|| format!("cannot use the key that `{setting}` names"))
    }

    /// The key in the file that `GIT_RECEIPT_KEY_FILE` names.
    fn key_in_file(&self, path: OsString) -> anyhow::Result<Signer> {
        let load = || {
            if let Err(problem) = KeyName::read(&path.to_string_lossy()) {
                return Err(StoreError::Key { key: KEY_FILE.to_owned(), problem });
            }
            Signer::load(Path::new(&path))
        };
        load().with_context(|| format!("cannot use the key that `{KEY_FILE}` names"))
    }

    /// A key about to sign: says if others can read it, and knows how to ask for a passphrase.
    fn ready(&self, signer: Signer) -> Signer {
        if let Some((path, mode)) = signer.exposed() {
            let path = path.display();
            self.notice(format!(
                "private key `{path}` can be used by others (mode {mode:04o}): `chmod 600` it"
            ));
        }
        let asking = match (self.env.unattended, self.env.has_terminal()) {
            (true, _) => Asking::Never,
            (false, true) => Asking::Terminal,
            (false, false) => Asking::NoTerminal,
        };
        let program = self.store.ssh_program().unwrap_or_else(|| Keygen::default().program);
        signer.through(Keygen { program, asking })
    }

    /// The rules for taking out secrets, with the user's own.
    ///
    /// # Errors
    /// When a pattern of the user's is none.
    pub fn redactor(&self) -> anyhow::Result<&Redactor> {
        if let Some(redactor) = self.redactor.get() {
            return Ok(redactor);
        }
        // A pattern costs more to compile than an entry to write, so each is compiled once.
        let patterns = self.store.config_all("receipt.redact");
        let redactor = Redactor::new(&patterns).context("configuration `receipt.redact`")?;
        Ok(self.redactor.get_or_init(|| redactor))
    }

    /// Name and address for author lines: git's committer, else what the system knows.
    pub fn identity(&self) -> (String, String) {
        let configured = |variable: &str, key: &str| {
            let value = self.env.var(variable).or_else(|| self.store.config(key));
            value.filter(|value| !value.trim().is_empty())
        };
        let user =
            || self.env.var("USER").or_else(|| self.env.var("LOGNAME")).unwrap_or_else(|| "unknown".into());
        let name = configured("GIT_COMMITTER_NAME", "user.name").unwrap_or_else(user);
        let email = configured("GIT_COMMITTER_EMAIL", "user.email")
            .unwrap_or_else(|| format!("{}@{}", user(), crate::store::host_name()));
        (name, email)
    }

    /// What a new chain says about its writer: a label, never evidence.
    pub fn role(&self) -> Role {
        if ["CLAUDECODE", "AI_AGENT"].iter().any(|name| self.env.var_os(name).is_some()) {
            Role::Agent
        } else if self.env.is_ci() {
            Role::Ci
        } else {
            Role::Human
        }
    }

    /// Appends to the console chain of the recording key.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append(&self, drafts: Vec<Draft>) -> anyhow::Result<AppendReport> {
        self.append_to(ChainScope::Console, self.role(), None, drafts)
    }

    /// Appends to a chain of the recording key.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_to(
        &self,
        scope: ChainScope,
        role: Role,
        times: Option<&[Timestamp]>,
        drafts: Vec<Draft>,
    ) -> anyhow::Result<AppendReport> {
        self.append_with(scope, role, times, Repeats::SayTheSame, drafts)
    }

    /// Appends to a chain of the recording key, with a say on what repeats mean.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_with(
        &self,
        scope: ChainScope,
        role: Role,
        times: Option<&[Timestamp]>,
        repeats: Repeats,
        drafts: Vec<Draft>,
    ) -> anyhow::Result<AppendReport> {
        self.append_by(self.recorder()?, scope, role, times, repeats, drafts)
    }

    fn append_by(
        &self,
        signer: &Signer,
        scope: ChainScope,
        role: Role,
        times: Option<&[Timestamp]>,
        repeats: Repeats,
        drafts: Vec<Draft>,
    ) -> anyhow::Result<AppendReport> {
        let options = self.append_options(signer, scope, role, times, repeats)?;
        let touched: Vec<_> = drafts.iter().map(|draft| draft.fact.files().to_vec()).collect();
        let report = self.store.append(&options, drafts)?;
        for (files, entry) in touched.iter().zip(&report.entries) {
            if let Some(receipt) = entry.receipt.filter(|_| !files.is_empty() && !entry.existing) {
                self.store.note_touched(receipt, files)?;
            }
        }
        self.tell_cleared(&report);
        Ok(report)
    }

    /// Appends work on a receipt to the console chain of its owner's key.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_work(
        &self,
        owner: &Signer,
        target: target::Target,
        drafts: Vec<Draft>,
    ) -> anyhow::Result<AppendReport> {
        let drafts = drafts.into_iter().map(|draft| draft.citing(target.opened)).collect();
        self.append_by(owner, ChainScope::Console, self.role(), None, Repeats::SayTheSame, drafts)
    }

    /// Appends to the console chain of `signer` what was decided by looking at `picture`, along with what moves with it.
    ///
    /// # Errors
    /// As [`Store::append_along`]; [`StoreError::Moved`] where the same chain said
    /// something about the receipt's lines meanwhile.
    pub fn append_decision(
        &self,
        signer: &Signer,
        (picture, receipt): (&verify::Picture, ReceiptId),
        drafts: Vec<Draft>,
        along: &mut dyn Along,
    ) -> anyhow::Result<AppendReport> {
        let mut options =
            self.append_options(signer, ChainScope::Console, self.role(), None, Repeats::SayTheSame)?;
        let tip = |chain| picture.tip_of(chain);
        options.rests_on = Some(RestsOn { receipt, tip: &tip });
        let report = self.store.append_along(&options, drafts, along)?;
        self.tell_cleared(&report);
        Ok(report)
    }

    /// Appends to the console chain of the recording key, along with what moves with it.
    ///
    /// # Errors
    /// As [`Store::append_along`].
    pub fn append_along(&self, drafts: Vec<Draft>, along: &mut dyn Along) -> anyhow::Result<AppendReport> {
        let signer = self.recorder()?;
        let options =
            self.append_options(signer, ChainScope::Console, self.role(), None, Repeats::SayTheSame)?;
        let report = self.store.append_along(&options, drafts, along)?;
        self.tell_cleared(&report);
        Ok(report)
    }

    fn append_options<'c>(
        &'c self,
        signer: &'c Signer,
        scope: ChainScope,
        role: Role,
        times: Option<&'c [Timestamp]>,
        repeats: Repeats,
    ) -> anyhow::Result<AppendOptions<'c>> {
        self.check_recording()?;
        let (name, email) = self.identity();
        let (redactor, repo) = (self.redactor()?, self.repo_id()?);
        let rests_on = None;
        Ok(AppendOptions { signer, scope, role, name, email, repo, redactor, times, repeats, rests_on })
    }

    fn tell_cleared(&self, report: &AppendReport) {
        for stale in &report.cleared {
            let age = stale.age.as_secs_f32();
            self.notice(format!("cleared stale lock `{}`, {age:.1} s old", stale.path.display()));
        }
    }
}

/// The folder of this machine's keys.
///
/// # Errors
/// When there is no home to have it in.
pub fn key_dir(env: &Env) -> anyhow::Result<KeyDir> {
    let home = env.config_home().ok_or_else(|| {
        user_error("there is no folder for keys: neither `XDG_CONFIG_HOME` nor `HOME` is set", "set `HOME`")
    })?;
    Ok(KeyDir::new(&home))
}
