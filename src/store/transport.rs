//! Push and fetch on top of git's own transport.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::notes::NoteLine;
use super::refs::RefMove;
use super::{Store, git, names};
use crate::domain::ids::{ChainId, Oid};

/// Refs in one call of `git push`: below the limits of command lines everywhere.
const BATCH: usize = 300;
/// How often notes are rebuilt on what a remote has meanwhile.
const TRIES: usize = 3;

/// What a push or fetch moved.
#[derive(Debug, Default)]
pub struct Transfer {
    /// Names of refs that moved.
    pub moved: Vec<String>,
    /// Names of refs that did not, with the reason.
    pub left_alone: Vec<(String, String)>,
}

impl Store {
    /// Pushes this clone's chains and seals, never forced, then evidence, artifacts if `all`, and notes rebuilt
    /// on top of the remote's.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn push_receipts(
        &self,
        remote: &str,
        all: bool,
        notes: &[NoteLine],
        author: (&str, &str),
    ) -> Result<Transfer, StoreError> {
        self.check_writable()?;
        let theirs = self.remote_refs(remote)?;
        let mut transfer = Transfer::default();
        let mut specs = Vec::new();
        for prefix in [names::CHAINS, names::SEALED] {
            for (name, ours) in self.list_refs(prefix)? {
                if name.strip_prefix(prefix).is_none_or(|chain| chain.parse::<ChainId>().is_err()) {
                    transfer.left_alone.push((name, "it is named for no chain".into()));
                    continue;
                }
                match theirs.get(&name) {
                    Some(there) if *there == ours => self.note_remote_has(remote, &name, ours)?,
                    Some(there) if !self.descends(ours, *there)? => {
                        let reason = "the remote has entries that are not here; run `git receipt fetch`";
                        transfer.left_alone.push((name, reason.into()));
                    }
                    _ => specs.push((name, ours, None)),
                }
            }
        }
        let mut folders = vec![names::EVIDENCE];
        folders.extend(all.then_some(names::ARTIFACTS));
        let own = format!("/{}", self.clone_id()?);
        for folder in folders {
            for (name, ours) in self.list_refs(folder)?.into_iter().filter(|(name, _)| name.ends_with(&own)) {
                let there = theirs.get(&name).copied();
                if there != Some(ours) {
                    specs.push((name, ours, Some(there)));
                }
            }
        }
        for batch in specs.chunks(BATCH) {
            self.push_batch(remote, batch, &mut transfer)?;
        }
        self.push_notes(remote, notes, author, &mut transfer)?;
        Ok(transfer)
    }

    /// Pushes some refs. An inner `Some` asks for a lease on the value the remote had.
    fn push_batch(
        &self,
        remote: &str,
        batch: &[(String, Oid, Option<Option<Oid>>)],
        transfer: &mut Transfer,
    ) -> Result<(), StoreError> {
        let mut args: Vec<String> = [
            "push",
            "--porcelain",
            "--no-verify",
            "--no-follow-tags",
            "--recurse-submodules=no",
            "--no-signed",
        ]
        .map(str::to_owned)
        .to_vec();
        for (name, _, lease) in batch {
            if let Some(expected) = lease {
                args.push(format!(
                    "--force-with-lease={name}:{}",
                    expected.map_or(String::new(), |id| id.to_hex())
                ));
            }
        }
        args.push(remote.to_owned());
        args.extend(batch.iter().map(|(name, _, _)| format!("{name}:{name}")));
        let mut command = git::command(self.git_dir(), &args);
        // A hook of ours that git starts anyway must not record this push.
        command.env("GIT_RECEIPT", "off");
        let output =
            git::output(command, None).map_err(|error| git::failed(&["push"], &error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut answered = 0;
        for line in text.lines() {
            // git-push(1): `<flag> \t <from>:<to> \t <summary> (<reason>)`.
            let mut fields = line.split('\t');
            let (Some(flag), Some(refs), Some(summary)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let Some((_, name)) = refs.split_once(':') else { continue };
            answered += 1;
            if flag.trim() == "!" {
                transfer.left_alone.push((name.to_owned(), summary.to_owned()));
            } else if let Some((_, id, _)) = batch.iter().find(|(sent, _, _)| sent == name) {
                transfer.moved.push(name.to_owned());
                self.note_remote_has(remote, name, *id)?;
            }
        }
        if answered == 0 && !output.status.success() {
            let cause = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(git::failed(&["push", remote], &cause));
        }
        Ok(())
    }

    /// Pushes notes as a child of the remote's notes commit, again when somebody was quicker.
    fn push_notes(
        &self,
        remote: &str,
        lines: &[NoteLine],
        author: (&str, &str),
        transfer: &mut Transfer,
    ) -> Result<(), StoreError> {
        if lines.is_empty() && self.find_ref(names::NOTES)?.is_none() {
            return Ok(());
        }
        let mut last = Transfer::default();
        for _ in 0..TRIES {
            let theirs = self.fetch_notes(remote)?;
            let ours = self.find_ref(names::NOTES)?;
            let behind = match (ours, theirs) {
                (Some(ours), Some(theirs)) => !self.descends(ours, theirs)?,
                (None, _) => true,
                (Some(_), None) => false,
            };
            if behind {
                self.write_notes(lines, author, theirs)?;
            }
            let Some(ours) = self.find_ref(names::NOTES)? else { return Ok(()) };
            if theirs == Some(ours) {
                return Ok(());
            }
            last = Transfer::default();
            self.push_batch(remote, &[(names::NOTES.to_owned(), ours, None)], &mut last)?;
            if last.left_alone.is_empty() {
                break;
            }
        }
        transfer.moved.append(&mut last.moved);
        transfer.left_alone.append(&mut last.left_alone);
        Ok(())
    }

    /// Fetches the remote's notes commit beside ours.
    fn fetch_notes(&self, remote: &str) -> Result<Option<Oid>, StoreError> {
        let Some(theirs) = self.remote_refs(remote)?.get(names::NOTES).copied() else { return Ok(None) };
        let spec = format!("+{}:{}", names::NOTES, tracking(remote, "notes"));
        self.git_fetch(remote, &[spec])?;
        Ok(Some(theirs))
    }

    /// Fetches chains and seals fast-forward only, evidence (and artifacts if `all`) as they are, and notes.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch_receipts(&self, remote: &str, all: bool) -> Result<Transfer, StoreError> {
        self.check_writable()?;
        let prefix = format!("{}{}/", names::REMOTES, tracking_name(remote));
        let before: BTreeMap<String, Oid> = self.list_refs(&prefix)?.into_iter().collect();
        let theirs = self.remote_refs(remote)?;
        let mut specs = Vec::new();
        for folder in ["chains", "sealed"] {
            specs.push(format!("refs/receipts/{folder}/*:{}", tracking(remote, &format!("{folder}/*"))));
        }
        let mut folders = vec!["evidence"];
        folders.extend(all.then_some("artifacts"));
        for folder in folders {
            specs.push(format!("+refs/receipts/{folder}/*:{}", tracking(remote, &format!("{folder}/*"))));
        }
        if theirs.contains_key(names::NOTES) {
            specs.push(format!("+{}:{}", names::NOTES, tracking(remote, "notes")));
        }
        let failure = self.git_fetch(remote, &specs).err();
        let after: BTreeMap<String, Oid> = self.list_refs(&prefix)?.into_iter().collect();
        let mut transfer = Transfer::default();
        for (name, id) in &after {
            if before.get(name) != Some(id) {
                transfer.moved.push(name.clone());
            }
        }
        for (name, id) in &theirs {
            let Some(rest) = name.strip_prefix("refs/receipts/") else { continue };
            let fast_forward_only = rest.starts_with("chains/") || rest.starts_with("sealed/");
            if fast_forward_only && after.get(&tracking(remote, rest)) != Some(id) {
                let reason = "the remote's chain is no continuation of what was fetched before";
                transfer.left_alone.push((name.clone(), reason.into()));
            }
        }
        match failure {
            Some(error) if transfer.left_alone.is_empty() => Err(error),
            _ => Ok(transfer),
        }
    }

    fn git_fetch(&self, remote: &str, specs: &[String]) -> Result<(), StoreError> {
        let mut args: Vec<String> = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-prune",
            "--recurse-submodules=no",
        ]
        .map(str::to_owned)
        .to_vec();
        args.extend(["--no-auto-maintenance".to_owned(), remote.to_owned()]);
        args.extend(specs.iter().cloned());
        let mut command = git::command(self.git_dir(), &args);
        command.env("GIT_RECEIPT", "off");
        let output =
            git::output(command, None).map_err(|error| git::failed(&["fetch"], &error.to_string()))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(git::failed(&["fetch", remote], String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// Our refs as the remote has them.
    fn remote_refs(&self, remote: &str) -> Result<BTreeMap<String, Oid>, StoreError> {
        let args = ["ls-remote", "--refs", "--quiet", remote, "refs/receipts/*", names::NOTES];
        let out = git::run(self.git_dir(), &args, None)?;
        let text = String::from_utf8_lossy(&out).into_owned();
        Ok(text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter_map(|(id, name)| Some((name.to_owned(), Oid::from_hex(id)?)))
            .collect())
    }

    /// Remembers that a remote has a ref as we do.
    fn note_remote_has(&self, remote: &str, name: &str, id: Oid) -> Result<(), StoreError> {
        let Some(rest) = name.strip_prefix("refs/receipts/") else { return Ok(()) };
        let tracked = tracking(remote, rest);
        let expected = self.find_ref(&tracked)?;
        if expected == Some(id) {
            return Ok(());
        }
        let message = "receipt: push".to_owned();
        self.move_refs(&[RefMove { name: tracked, expected, new: Some(id), reflog: false, message }])
    }

    /// Whether `ancestor` is `commit` or one of its first-parent ancestors.
    fn descends(&self, commit: Oid, ancestor: Oid) -> Result<bool, StoreError> {
        if !self.has_object(ancestor) {
            return Ok(false);
        }
        let mut next = Some(commit);
        while let Some(at) = next {
            if at == ancestor {
                return Ok(true);
            }
            next = self.parents_of(at)?.first().copied();
        }
        Ok(false)
    }
}

/// The folder of a remote's refs: its name, or for an address a digest of it.
fn tracking_name(remote: &str) -> String {
    let plain = !remote.is_empty()
        && !remote.starts_with(['.', '-'])
        && !remote.contains("..")
        && remote.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if plain && !remote.ends_with(".lock") {
        return remote.to_owned();
    }
    format!("at-{}", &crate::domain::ids::Digest::of(remote.as_bytes()).to_hex()[..16])
}

fn tracking(remote: &str, rest: &str) -> String {
    format!("{}{}/{rest}", names::REMOTES, tracking_name(remote))
}
