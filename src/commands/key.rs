//! `git receipt key`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Serialize;
use ssh_key::PublicKey;

use super::trust::{REVOKED_FILE, SIGNERS_FILE};
use super::{Context, Report, user_error};
use crate::domain::ids::{EntryRef, KeyId};
use crate::domain::revoked;
use crate::domain::signers::{self, Options};
use crate::store::keys::{PERSON, RECORDER, Signer};

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
    },
    /// List the keys of this machine and those that the working tree's signers file lists
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
        Action::New { person } => new(ctx, if *person { PERSON } else { RECORDER }),
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
        return Err(user_error(message, "move it away first if it shall be replaced"));
    }
    let comment = format!("git-receipt {name} on {}", crate::store::host_name());
    let public = folder.create(name, &ctx.store.random(), &comment)?;
    let key = view(ctx, name, &public, true)?;
    Ok(Keys { changes: vec![format!("made key `{}`", path.display())], keys: vec![key] })
}

fn view(ctx: &Context, name: &str, public: &PublicKey, with_line: bool) -> anyhow::Result<KeyView> {
    let trust = ctx.trust(None)?;
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
    for (name, public) in ctx.key_dir()?.list()? {
        keys.push(view(ctx, &name, &public, false)?);
    }
    let trust = ctx.trust(None)?;
    for signer in trust.signers.entries() {
        if keys.iter().all(|key| key.fingerprint != signer.fingerprint.to_string()) {
            let name = if signer.signs_receipts() { "listed" } else { "other use" };
            keys.push(view(ctx, name, &signer.key, false)?);
        }
    }
    Ok(Keys { changes: Vec::new(), keys })
}

fn show(ctx: &Context, name: &str) -> anyhow::Result<Keys> {
    for (known, public) in ctx.key_dir()?.list()? {
        if known == name || KeyId::of(&public).as_str() == name {
            return Ok(Keys { changes: Vec::new(), keys: vec![view(ctx, &known, &public, true)?] });
        }
    }
    for signer in ctx.trust(None)?.signers.entries() {
        if signer.fingerprint.as_str() == name || signer.principal == name {
            return Ok(Keys { changes: Vec::new(), keys: vec![view(ctx, "listed", &signer.key, true)?] });
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
            let public = match person_key(ctx)? {
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
            if let Some(signer) = person_key(ctx)? {
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
        keys.push(KeyView { principal: Some(principal), ..view(ctx, "trusted", &public, false)? });
    }
    let changes = write_if_changed(&path, &old, &text, SIGNERS_FILE)?;
    Ok(Keys { changes, keys })
}

/// The person's own key: configured, or made by `key new --person`.
fn person_key(ctx: &Context) -> anyhow::Result<Option<Signer>> {
    let ssh_signing = ctx.store.config("gpg.format").is_some_and(|format| format == "ssh");
    let configured = ctx
        .store
        .config("receipt.signingKey")
        .or_else(|| ctx.store.config("user.signingKey").filter(|_| ssh_signing));
    let path = match configured {
        Some(path) => match path.strip_prefix("~/").zip(ctx.env.home()) {
            Some((rest, home)) => home.join(rest),
            None => PathBuf::from(path),
        },
        None => ctx.key_dir()?.path(PERSON),
    };
    match path.exists() {
        true => Ok(Some(Signer::load(&path)?)),
        false => Ok(None),
    }
}

fn revoke(ctx: &Context, name: &str) -> anyhow::Result<Keys> {
    let key: KeyId = match name.parse() {
        Ok(key) => key,
        Err(_) => show(ctx, name)?.keys[0].fingerprint.parse()?,
    };
    // The last good heads: what this clone has of the key now.
    let history = ctx.store.read_history()?;
    let mut heads: Vec<EntryRef> = Vec::new();
    for found in &history.refs {
        let Some(link) = history.links.get(&found.tip) else { continue };
        let Some(entry) = link.entry.as_ref().filter(|entry| entry.body.signer == key) else { continue };
        let head = entry.reference();
        match heads.iter_mut().find(|known| known.chain == head.chain) {
            Some(known) if known.seq < head.seq => *known = head,
            Some(_) => {}
            None => heads.push(head),
        }
    }
    let path = tree_file(ctx, REVOKED_FILE)?;
    let old = read_or_empty(&path)?;
    let text = revoked::revoke(&old, &key, &heads)
        .map_err(|error| user_error(format!("`{REVOKED_FILE}`: {error}"), error.hint()))?;
    let changes = write_if_changed(&path, &old, &text, REVOKED_FILE)?;
    let view = KeyView {
        name: "revoked".into(),
        fingerprint: key.to_string(),
        principal: ctx.trust(None)?.signers.principal_of(&key).map(str::to_owned),
        public_key: None,
        revoked: true,
    };
    Ok(Keys { changes, keys: vec![view] })
}

/// A file of trust in the working tree.
fn tree_file(ctx: &Context, name: &str) -> anyhow::Result<PathBuf> {
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
