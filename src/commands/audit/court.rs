//! The rules and signers that a commit is judged by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::POLICY_FILE;
use super::gathered::Gathered;
use crate::commands::Context;
use crate::commands::trust::{REVOKED_FILE, SIGNERS_FILE, TrustSet};
use crate::domain::audit::report::AuditCode;
use crate::domain::ids::Oid;
use crate::domain::policy::{Enforce, Policy};
use crate::domain::revoked::Revoked;
use crate::domain::signers::AllowedSigners;
use crate::domain::verify::History;
use crate::store::TreeEntry;

/// The folder that rules, signers and revocations are in.
const FOLDER: &str = ".receipts";

/// What judges a commit.
pub enum Court {
    /// There is no policy, so nothing is asked for.
    None,
    /// There is one that cannot be used: nothing passes.
    Broken(AuditCode, String),
    /// The commit that would hold it is not here.
    NotHere(Oid),
    /// Rules, and what is known under their signers.
    Sound(Box<Policy>, Rc<Gathered>),
}

/// Signers, revocations and projects: what decides which entries count.
type Judges = (String, String, Option<BTreeSet<Oid>>);

/// Finds the court of every commit, each made once.
pub struct Courts<'a> {
    ctx: &'a Context,
    /// What is trusted: its revocations count everywhere.
    root: Option<Oid>,
    /// Whether `root` stands in where a commit has no policy.
    stands_in: bool,
    /// The projects whose receipts count where the policy lists none.
    repos: Option<BTreeSet<Oid>>,
    courts: HashMap<Option<TreeEntry>, Rc<Court>>,
    known: HashMap<Judges, Rc<Gathered>>,
    history: Option<Rc<History>>,
}

impl<'a> Courts<'a> {
    /// Courts under a commit that is trusted; `to` is the newest one judged.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn new(ctx: &'a Context, root: Option<Oid>, stands_in: bool, to: Oid) -> anyhow::Result<Self> {
        // What is trusted says which projects count, not whatever branch this clone calls its default.
        let from = root.filter(|root| ctx.store.has_object(*root)).unwrap_or(to);
        let repos = ctx.store.roots_of(from)?;
        Ok(Courts {
            ctx,
            root,
            stands_in,
            repos,
            courts: HashMap::new(),
            known: HashMap::new(),
            history: None,
        })
    }

    /// Whether any chain is here whose project cannot be told, as in a shallow clone.
    ///
    /// # Errors
    /// When chains cannot be read.
    pub fn projects_are_unknown(&mut self) -> anyhow::Result<bool> {
        Ok(self.repos.is_none() && !self.history()?.links.is_empty())
    }

    /// The court of a commit whose first parent is `parent`.
    ///
    /// # Errors
    /// When chains cannot be read.
    pub fn of(&mut self, parent: Option<Oid>) -> anyhow::Result<Rc<Court>> {
        for commit in [parent, self.root].into_iter().flatten() {
            if !self.ctx.store.has_object(commit) {
                return Ok(Rc::new(Court::NotHere(commit)));
            }
        }
        let own = match parent.or(self.root) {
            Some(commit) => self.ctx.store.entry_at(commit, FOLDER)?,
            None => None,
        };
        if let Some(court) = self.courts.get(&own) {
            return Ok(court.clone());
        }
        let mut court = self.read(parent.or(self.root))?;
        // A branch that has no policy of its own is judged by the one that is trusted, and so is one whose policy is
        // broken: that is how it gets mended.
        if self.stands_in && matches!(court, Court::None | Court::Broken(..)) {
            court = self.read(self.root)?;
        }
        let court = Rc::new(court);
        self.courts.insert(own, court.clone());
        Ok(court)
    }

    /// The court that a commit's own files make.
    fn read(&mut self, commit: Option<Oid>) -> anyhow::Result<Court> {
        let Some(commit) = commit else { return Ok(Court::None) };
        let policy = match self.ctx.policy_at(commit) {
            Ok(Some(policy)) => policy,
            Ok(None) => return Ok(Court::None),
            Err((code, problem)) => return Ok(Court::Broken(code, problem)),
        };
        let text = |commit: Oid, path: &str| -> Result<String, String> {
            let bytes = self.ctx.store.file_at(commit, path).map_err(|error| error.to_string())?;
            String::from_utf8(bytes.unwrap_or_default()).map_err(|_| format!("`{path}` is no UTF-8"))
        };
        let signers = text(commit, SIGNERS_FILE);
        // Revoking only ever takes away, so it counts wherever it is said.
        let revoked = [Some(commit), self.root.filter(|root| *root != commit)]
            .into_iter()
            .flatten()
            .map(|commit| text(commit, REVOKED_FILE))
            .collect::<Result<Vec<String>, String>>();
        let (signers, revoked) = match (signers, revoked) {
            (Ok(signers), Ok(revoked)) => (signers, revoked),
            (Err(problem), _) | (_, Err(problem)) => {
                return Ok(Court::Broken(AuditCode::SignersBroken, problem));
            }
        };
        match self.known(&policy, signers, &revoked)? {
            Ok(known) => Ok(Court::Sound(Box::new(policy), known)),
            Err(problem) => Ok(Court::Broken(AuditCode::SignersBroken, problem)),
        }
    }

    fn known(
        &mut self,
        policy: &Policy,
        signers: String,
        revoked: &[String],
    ) -> anyhow::Result<Result<Rc<Gathered>, String>> {
        let repos = match policy.repos() {
            [] => self.repos.clone(),
            listed => Some(listed.iter().copied().collect()),
        };
        let key = (signers, revoked.join("\0"), repos.clone());
        if let Some(known) = self.known.get(&key) {
            return Ok(Ok(known.clone()));
        }
        let listed: AllowedSigners = match key.0.parse() {
            Ok(listed) => listed,
            Err(error) => return Ok(Err(format!("`{SIGNERS_FILE}`: {error}"))),
        };
        let mut all = Revoked::default();
        for text in revoked {
            match text.parse::<Revoked>() {
                Ok(more) => all.add(more),
                Err(error) => return Ok(Err(format!("`{REVOKED_FILE}`: {error}"))),
            }
        }
        let trust = TrustSet { signers: listed, source: None, machine: BTreeMap::new(), revoked: all, repos };
        let history = self.history()?;
        let picture = self.ctx.picture_of(history, &trust, &self.ctx.written_heads())?;
        let known = Rc::new(Gathered::new(self.ctx, picture, trust)?);
        self.known.insert(key, known.clone());
        Ok(Ok(known))
    }

    /// All chains, read once.
    fn history(&mut self) -> anyhow::Result<Rc<History>> {
        if self.history.is_none() {
            self.history = Some(Rc::new(self.ctx.store.read_history()?));
        }
        Ok(self.history.clone().unwrap_or_default())
    }
}

impl Context {
    /// The policy in a commit's tree; `None` where there is none.
    ///
    /// # Errors
    /// The code and the words for one that is there and cannot be used.
    pub fn policy_at(&self, commit: Oid) -> Result<Option<Policy>, (AuditCode, String)> {
        let broken = |problem: String| (AuditCode::PolicyBroken, problem);
        match self.store.entry_at(commit, FOLDER) {
            Ok(None) => return Ok(None),
            Ok(Some(entry)) if entry.is_folder => {}
            Ok(Some(_)) => return Err(broken(format!("`{FOLDER}` is no folder"))),
            Err(error) => return Err(broken(error.to_string())),
        }
        let bytes = self.store.file_at(commit, POLICY_FILE).map_err(|error| broken(error.to_string()))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            broken(format!("`{POLICY_FILE}`: line {line} is no UTF-8"))
        })?;
        Policy::parse(text).map(Some).map_err(|problem| broken(format!("`{POLICY_FILE}`: {problem}")))
    }

    /// The strictest word that the policy at a commit has for a ref, or for any where none is named. One that cannot be
    /// used is as strict as can be.
    pub fn strictest_at(&self, commit: Oid, name: Option<&str>) -> Option<Enforce> {
        match self.policy_at(commit) {
            Ok(None) => None,
            Ok(Some(policy)) => policy.strictest(name),
            Err(_) => Some(Enforce::Block),
        }
    }
}
