//! `git receipt key`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;
use ssh_key::PublicKey;

use super::trust::{REVOKED_FILE, SIGNERS_FILE, TrustSet};
use super::{Context, Report, user_error};
use crate::domain::ids::{EntryRef, KeyId, Oid};
use crate::domain::revoked::{self, Revoked, RevokedError};
use crate::domain::signers::{self, AllowedSigners, Options};
use crate::store::keys::{PERSON, RECORDER};

/// Make, list, trust and revoke signing keys
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with keys.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// Make a key: this machine's recorder, or a person's
    New {
        /// A person's own key, apart from the one that records unattended
        #[arg(long)]
        person: bool,
        /// Put the key that is there aside under a dated name, and make another in its place
        ///
        /// The old one is kept: it still lists among this machine's keys, so that what it signed stays known.
        #[arg(long)]
        rotate: bool,
    },
    /// List the keys of this machine and those that the signers file of the default branch lists
    List,
    /// Show one key with its public line
    Show {
        /// Its name or fingerprint; the recorder if left out
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// List keys in the working tree's signers file, which you then commit
    ///
    /// Without a file: this machine's recorder as `local+agent@domain` and the person's key as `user.email`. With
    /// `--principal` and no file: the person's key, or the recorder where there is no other, under that name.
    Trust {
        /// A public key, from a file or (`-`) from standard input
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Whose key it is, as `alice@example.com`
        #[arg(long, value_name = "P")]
        principal: Option<String>,
    },
    /// Put a key into the working tree's file of revoked keys, with the heads that were good until now
    Revoke {
        /// Its name or fingerprint
        #[arg(value_name = "KEY")]
        key: String,
    },
}

/// Keys, and what was done about them.
#[derive(Debug, Serialize, JsonSchema, Default)]
pub struct Keys {
    /// Each thing that was changed.
    pub changes: Vec<String>,
    /// The keys.
    pub keys: Vec<KeyView>,
    /// What is left to do by hand.
    pub next: Vec<String>,
}

/// One key.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeyView {
    /// Its name on this machine, or `listed`.
    pub name: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Who it is listed as.
    pub principal: Option<String>,
    /// Its OpenSSH line, where asked for.
    pub public_key: Option<String>,
    /// Whether it is revoked.
    pub revoked: bool,
}

impl Report for Keys {
    const NAME: &'static str = "key";
}

/// Runs the command.
///
/// # Errors
/// When a key is not there or a file does not parse; files are left as they were then.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Keys> {
    match &args.action {
        Action::New { person, rotate } => {
            let name = if *person { PERSON } else { RECORDER };
            if *rotate { self::rotate(ctx, name) } else { new(ctx, name) }
        }
        Action::List => list(ctx),
        Action::Show { key } => show(ctx, key.as_deref().unwrap_or(RECORDER)),
        Action::Trust { file, principal } => trust(ctx, file.as_deref(), principal.as_deref()),
        Action::Revoke { key } => revoke(ctx, key),
    }
}

fn new(ctx: &Context, name: &str) -> anyhow::Result<Keys> {
    let folder = ctx.key_dir()?;
    let path = folder.path(name);
    if path.exists() {
        let message = format!("there is a key at `{}` already", path.display());
        return Err(user_error(message, "`--rotate` puts it aside and makes another"));
    }
    let public = folder.create(name, &ctx.store.random(), &comment(name))?;
    let key = view(&ctx.trust(None)?, name, &public, true)?;
    let next = after_making(ctx, name, &path);
    Ok(Keys { changes: vec![format!("made key `{}`", path.display())], keys: vec![key], next })
}

fn comment(name: &str) -> String {
    format!("git-receipt {name} on {}", crate::store::host_name())
}

/// What a person should know of a new key.
fn after_making(ctx: &Context, name: &str, path: &Path) -> Vec<String> {
    let mut next = Vec::new();
    if name == PERSON {
        if let Some(setting) = ctx.configured_key() {
            next.push(format!("`{setting}` names another key, and that decides until it is unset"));
        }
        next.push(format!(
            "whatever can read it can sign with it; `ssh-keygen -p -f {}` gives it a passphrase",
            path.display()
        ));
    }
    next
}

/// Makes a key in the place of another, and says what the project's list of signers needs.
fn rotate(ctx: &Context, name: &str) -> anyhow::Result<Keys> {
    let folder = ctx.key_dir()?;
    let path = folder.path(name);
    if !path.exists() {
        let hint = "without `--rotate` a first key is made";
        return Err(user_error(format!("there is no key at `{}` to rotate", path.display()), hint));
    }
    let today = ctx.now.to_string().split('T').next().unwrap_or_default().to_owned();
    let trust = ctx.trust(None)?;
    let rotated = folder.rotate(name, &today, &ctx.store.random(), &comment(name))?;
    let mut next = lines_to_change(ctx, &rotated.old, &rotated.new);
    if name == RECORDER {
        next.push("receipts that the old key opened stay its own; work goes on in a new one".into());
    }
    next.extend(after_making(ctx, name, &path));
    let changes = vec![
        format!("kept the old key as `{}`", folder.path(&rotated.kept).display()),
        format!("made key `{}`", path.display()),
    ];
    let keys =
        vec![view(&trust, name, &rotated.new, true)?, view(&trust, &rotated.kept, &rotated.old, true)?];
    Ok(Keys { changes, keys, next })
}

/// What to do about the signers file of the working tree, as words: it is changed by review. One that does not parse
/// says so when it is used.
fn lines_to_change(ctx: &Context, old: &PublicKey, new: &PublicKey) -> Vec<String> {
    let text = tree_file(ctx, SIGNERS_FILE).and_then(|path| read_or_empty(&path)).unwrap_or_default();
    let signers: AllowedSigners = text.parse().unwrap_or_default();
    let old = KeyId::of(old);
    let Some(listed) = signers.signer(&old) else {
        return vec![format!(
            "`{SIGNERS_FILE}` does not list the old key; `git receipt key trust` lists the new one"
        )];
    };
    let (principal, line) = (&listed.principal, listed.line);
    let mut next = vec![format!(
        "line {line} of `{SIGNERS_FILE}` lists the old key: keep it, so that what it signed counts"
    )];
    if let Ok(added) = signers::add("", principal, new, &Options::receipts_only()) {
        next.push(format!(
            "add a line for the new key, as `git receipt key trust` does: {}",
            added.trim_end()
        ));
    }
    next.push(format!("where the old key may have leaked: `git receipt key revoke {old}`"));
    next
}

fn view(trust: &TrustSet, name: &str, public: &PublicKey, with_line: bool) -> anyhow::Result<KeyView> {
    let id = KeyId::of(public);
    let mut bare = public.clone();
    bare.set_comment("");
    Ok(KeyView {
        name: name.to_owned(),
        fingerprint: id.to_string(),
        principal: trust.signers.principal_of(&id).map(str::to_owned),
        public_key: if with_line { Some(bare.to_openssh()?) } else { None },
        revoked: trust.revoked.heads_of(&id).is_some(),
    })
}

fn list(ctx: &Context) -> anyhow::Result<Keys> {
    let mut keys = Vec::new();
    let trust = ctx.trust(None)?;
    for (name, public) in ctx.key_dir()?.list()? {
        keys.push(view(&trust, &name, &public, false)?);
    }
    for (name, signer) in ctx.named_keys() {
        if keys.iter().all(|key| key.fingerprint != signer.id().to_string()) {
            keys.push(view(&trust, name, signer.public(), false)?);
        }
    }
    for signer in trust.signers.entries() {
        if keys.iter().all(|key| key.fingerprint != signer.fingerprint.to_string()) {
            let name = if signer.signs_receipts() { "listed" } else { "other use" };
            keys.push(view(&trust, name, &signer.key, false)?);
        }
    }
    Ok(Keys { keys, ..Keys::default() })
}

fn show(ctx: &Context, name: &str) -> anyhow::Result<Keys> {
    for (known, public) in ctx.key_dir()?.list()? {
        if known == name || KeyId::of(&public).as_str() == name {
            return Ok(Keys {
                keys: vec![view(&ctx.trust(None)?, &known, &public, true)?],
                ..Keys::default()
            });
        }
    }
    for (known, signer) in ctx.named_keys() {
        if known == name || signer.id().as_str() == name {
            return Ok(Keys {
                keys: vec![view(&ctx.trust(None)?, known, signer.public(), true)?],
                ..Keys::default()
            });
        }
    }
    for signer in ctx.trust(None)?.signers.entries() {
        if signer.fingerprint.as_str() == name || signer.principal == name {
            return Ok(Keys {
                keys: vec![view(&ctx.trust(None)?, "listed", &signer.key, true)?],
                ..Keys::default()
            });
        }
    }
    Err(user_error(format!("there is no key `{name}`"), "`git receipt key list` shows those that are known"))
}

fn trust(ctx: &Context, file: Option<&Path>, principal: Option<&str>) -> anyhow::Result<Keys> {
    let mut wanted: Vec<(PublicKey, String)> = Vec::new();
    match (file, principal) {
        (Some(file), principal) => {
            let text = super::open::read_text(file)?;
            let public = PublicKey::from_openssh(text.trim())
                .with_context(|| format!("`{}` is no OpenSSH public key", file.display()))?;
            let comment = public.comment().to_owned();
            let principal = principal.map(str::to_owned).or_else(|| comment.contains('@').then_some(comment));
            let principal = principal.ok_or_else(|| {
                user_error("whose key is it?", "name them with `--principal alice@example.com`")
            })?;
            wanted.push((public, principal));
        }
        (None, Some(principal)) => {
            let public = match ctx.own_key()? {
                Some(signer) => signer.public().clone(),
                None => ctx.recorder()?.public().clone(),
            };
            wanted.push((public, principal.to_owned()));
        }
        (None, None) => {
            let email = ctx.store.config("user.email").ok_or_else(|| {
                user_error("`user.email` is not set, and names the keys", "set it, or use `--principal`")
            })?;
            let agent = match email.split_once('@') {
                Some((local, domain)) => format!("{local}+agent@{domain}"),
                None => format!("{email}+agent"),
            };
            wanted.push((ctx.recorder()?.public().clone(), agent));
            if let Some(signer) = ctx.own_key()? {
                wanted.push((signer.public().clone(), email));
            }
        }
    }
    let path = tree_file(ctx, SIGNERS_FILE)?;
    let old = read_or_empty(&path)?;
    let mut text = old.clone();
    let mut keys = Vec::new();
    for (mut public, principal) in wanted {
        public.set_comment("");
        text = signers::add(&text, &principal, &public, &Options::receipts_only())
            .map_err(|error| user_error(format!("`{SIGNERS_FILE}`: {error}"), error.hint()))?;
        keys.push(KeyView {
            principal: Some(principal),
            ..view(&ctx.trust(None)?, "trusted", &public, false)?
        });
    }
    let changes = write_if_changed(&path, &old, &text, SIGNERS_FILE)?;
    Ok(Keys { changes, keys, ..Keys::default() })
}

fn revoke(ctx: &Context, name: &str) -> anyhow::Result<Keys> {
    let key: KeyId = match name.parse() {
        Ok(key) => key,
        Err(_) => show(ctx, name)?.keys[0].fingerprint.parse()?,
    };
    let path = tree_file(ctx, REVOKED_FILE)?;
    let old = read_or_empty(&path)?;
    let listed: Revoked = old
        .parse()
        .map_err(|error: RevokedError| user_error(format!("`{REVOKED_FILE}`: {error}"), error.hint()))?;
    let trust = ctx.trust(None)?;
    let changes = match listed.heads_of(&key) {
        // What was signed since must not become good by saying it again.
        Some(_) => {
            ctx.notice(format!(
                "`{REVOKED_FILE}` revokes the key already, and its last good heads stay as they are"
            ));
            Vec::new()
        }
        None => {
            let heads = good_heads(ctx, &trust, &key)?;
            let text = revoked::revoke(&old, &key, &heads)
                .map_err(|error| user_error(format!("`{REVOKED_FILE}`: {error}"), error.hint()))?;
            write_if_changed(&path, &old, &text, REVOKED_FILE)?
        }
    };
    let view = KeyView {
        name: "revoked".into(),
        fingerprint: key.to_string(),
        principal: trust.signers.principal_of(&key).map(str::to_owned),
        public_key: None,
        revoked: true,
    };
    Ok(Keys { changes, keys: vec![view], ..Keys::default() })
}

/// The last good heads of a key: the newest sound entry of each of its chains that this clone has now.
fn good_heads(ctx: &Context, trust: &TrustSet, key: &KeyId) -> anyhow::Result<Vec<EntryRef>> {
    let picture = ctx.picture(trust)?;
    let sound =
        |commit: &Oid| picture.verdict.counted.contains(commit) || picture.verdict.strangers.contains(commit);
    let mut heads: Vec<EntryRef> = Vec::new();
    for found in &picture.history.refs {
        let mut entries = picture.history.first_parents(found.tip).filter(|link| sound(&link.commit));
        let Some(entry) = entries.find_map(|link| link.entry.as_ref()) else { continue };
        if entry.body.signer != *key {
            continue;
        }
        let head = entry.reference();
        match heads.iter_mut().find(|known| known.chain == head.chain) {
            Some(known) if known.seq < head.seq => *known = head,
            Some(_) => {}
            None => heads.push(head),
        }
    }
    Ok(heads)
}

/// A file of trust in the working tree.
pub fn tree_file(ctx: &Context, name: &str) -> anyhow::Result<PathBuf> {
    let top = ctx.store.work_dir().ok_or_else(|| {
        user_error("a bare repository has no working tree to edit", "edit the file in a clone and push it")
    })?;
    let path = top.join(name);
    let folder = path.parent().unwrap_or(top);
    for part in [folder, path.as_path()] {
        if part.symlink_metadata().is_ok_and(|meta| meta.file_type().is_symlink()) {
            let message = format!("`{}` is a symbolic link", part.display());
            return Err(user_error(message, "trust is only ever read from a regular file"));
        }
    }
    Ok(path)
}

fn read_or_empty(path: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// Replaces a file by renaming, so that it is never half-written.
fn write_if_changed(path: &Path, old: &str, new: &str, name: &str) -> anyhow::Result<Vec<String>> {
    if old == new {
        return Ok(Vec::new());
    }
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let unfinished = path.with_extension("new");
    std::fs::write(&unfinished, new)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(vec![format!("`{name}` changed; review and commit it")])
}
