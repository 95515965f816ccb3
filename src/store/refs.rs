//! Refs: found, listed and moved, in the files format by gix and in any other by git itself.

use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};

use super::error::{StoreError, chain_of};
use super::{Store, git, lock, names};
use crate::domain::ids::Oid;

/// One ref to be moved, with the value it must have.
#[derive(Debug, Clone)]
pub struct RefMove {
    /// The full name.
    pub name: String,
    /// What it must point to now; `None` when it must not exist.
    pub expected: Option<Oid>,
    /// What it shall point to; `None` deletes it.
    pub new: Option<Oid>,
    /// Whether to write a reflog even where git would not; what artifacts are on never has one.
    pub reflog: bool,
    /// The reflog message.
    pub message: String,
}

impl RefMove {
    /// Whether a reflog is to be written.
    pub(super) fn logs(&self) -> bool {
        self.reflog && ![names::ARTIFACTS, names::EVIDENCE].iter().any(|folder| self.name.starts_with(folder))
    }
}

/// Where HEAD is.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The branch's full ref name; none when detached.
    pub branch: Option<String>,
    /// The commit; none on an unborn branch.
    pub commit: Option<Oid>,
}

/// How often a symbolic ref may point to another one, as git has it (`SYMREF_MAXDEPTH`).
const MOST_SYMBOLIC: usize = 5;

/// Whether a ref can have this full name, by the rules of `git check-ref-format`.
pub fn is_ref_name(name: &str) -> bool {
    gix::refs::FullName::try_from(name).is_ok()
}

impl Store {
    /// What a ref points to, by full name; symbolic refs are followed.
    ///
    /// # Errors
    /// When the ref cannot be read.
    pub fn find_ref(&self, name: &str) -> Result<Option<Oid>, StoreError> {
        if self.uses_git_for_refs() {
            let out = git::output(
                git::command(self.git_dir(), ["rev-parse", "--verify", "--quiet", "--end-of-options", name]),
                None,
            )
            .map_err(|error| git::failed(&["rev-parse"], &error.to_string()))?;
            return Ok(Oid::from_hex(String::from_utf8_lossy(&out.stdout).trim()));
        }
        // A symbolic ref whose target is gone, as a removed branch leaves `refs/remotes/origin/HEAD`, names nothing.
        let mut at = name.to_owned();
        for _ in 0..=MOST_SYMBOLIC {
            // What no ref can be called names none.
            if !is_ref_name(&at) {
                return Ok(None);
            }
            let found = self.repo.try_find_reference(&at);
            let Some(found) = found.map_err(StoreError::read(format_args!("ref `{at}`")))? else {
                return Ok(None);
            };
            match found.target() {
                gix::refs::TargetRef::Object(id) => return Ok(Oid::from_bytes(id.as_bytes())),
                gix::refs::TargetRef::Symbolic(next) => at = next.as_bstr().to_string(),
            }
        }
        Err(StoreError::Corrupt(format!("ref `{name}` is symbolic more than {MOST_SYMBOLIC} times over")))
    }

    /// All refs below `prefix` (which ends in `/`), by name.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn list_refs(&self, prefix: &str) -> Result<Vec<(String, Oid)>, StoreError> {
        if self.uses_git_for_refs() {
            let out = git::run(
                self.git_dir(),
                &["for-each-ref", "--format=%(objectname) %(refname)", prefix],
                None,
            )?;
            let lines = String::from_utf8_lossy(&out).into_owned();
            return Ok(lines
                .lines()
                .filter_map(|line| line.split_once(' '))
                .filter_map(|(id, name)| Some((name.to_owned(), Oid::from_hex(id)?)))
                .collect());
        }
        let platform = self.repo.references().map_err(StoreError::read("refs"))?;
        let mut refs = Vec::new();
        for found in platform.prefixed(prefix).map_err(StoreError::read("refs"))? {
            let found = found.map_err(|error| StoreError::Corrupt(format!("cannot read a ref: {error}")))?;
            let name = found.name().as_bstr().to_string();
            if let Some(id) = found.try_id().and_then(|id| Oid::from_bytes(id.as_bytes())) {
                refs.push((name, id));
            }
        }
        refs.sort();
        Ok(refs)
    }

    /// The refs below `prefix` that only name other refs, which no chain's does.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn symbolic_refs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        if self.uses_git_for_refs() {
            let args = ["for-each-ref", "--format=%(symref) %(refname)", prefix];
            let out = git::run(self.git_dir(), &args, None)?;
            let lines = String::from_utf8_lossy(&out).into_owned();
            let symbolic = lines.lines().filter(|line| !line.starts_with(' '));
            return Ok(symbolic.filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect());
        }
        let platform = self.repo.references().map_err(StoreError::read("refs"))?;
        let mut symbolic = Vec::new();
        for found in platform.prefixed(prefix).map_err(StoreError::read("refs"))?.flatten() {
            if found.try_id().is_none() {
                symbolic.push(found.name().as_bstr().to_string());
            }
        }
        Ok(symbolic)
    }

    /// Where HEAD is.
    ///
    /// # Errors
    /// When HEAD cannot be read.
    pub fn head(&self) -> Result<Head, StoreError> {
        if self.uses_git_for_refs() {
            let branch = git::output(git::command(self.git_dir(), ["symbolic-ref", "--quiet", "HEAD"]), None)
                .map_err(|error| git::failed(&["symbolic-ref"], &error.to_string()))?;
            let branch = String::from_utf8_lossy(&branch.stdout).trim().to_owned();
            let commit = self.find_ref("HEAD")?;
            return Ok(Head { branch: (!branch.is_empty()).then_some(branch), commit });
        }
        let head = self.repo.head().map_err(StoreError::read("HEAD"))?;
        let branch = head.referent_name().map(|name| name.as_bstr().to_string());
        let commit = head.id().and_then(|id| Oid::from_bytes(id.as_bytes()));
        Ok(Head { branch, commit })
    }

    /// Moves all of `moves` or none, each only from the value it expects.
    ///
    /// # Errors
    /// [`StoreError::Moved`] when any ref has another value or is locked.
    pub fn move_refs(&self, moves: &[RefMove]) -> Result<(), StoreError> {
        self.check_writable()?;
        if moves.is_empty() {
            return Ok(());
        }
        // git also writes the reflog of HEAD when the branch under it moves, in the committer's name.
        let branches = moves.iter().any(|m| m.name == "HEAD" || m.name.starts_with("refs/heads/"));
        if branches || self.uses_git_for_refs() {
            return self.move_refs_by_git(moves);
        }
        if let Some(done) = self.move_loose_refs(moves) {
            return done;
        }
        let edits = moves.iter().map(to_edit).collect::<Result<Vec<_>, _>>()?;
        let when = gix::date::Time::new(self.now().unix_seconds(), 0).format(gix::date::time::Format::Raw);
        let when = when.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let who = gix::actor::SignatureRef {
            name: "git-receipt".into(),
            email: "git-receipt@localhost".into(),
            time: &when,
        };
        self.repo.edit_references_as(edits, Some(who)).map(drop).map_err(|error| {
            let names: Vec<_> = moves.iter().map(|m| m.name.as_str()).collect();
            let locked = moves.iter().find(|m| lock::age_of(self.common_dir(), &m.name).is_some());
            if let Some(locked) = locked {
                return lock::held(self.common_dir(), &locked.name);
            }
            StoreError::Moved { name: names.join("`, `"), cause: chain_of(&error) }
        })
    }

    /// `git update-ref --stdin` in one transaction, for branches and for ref formats that gix does not write.
    fn move_refs_by_git(&self, moves: &[RefMove]) -> Result<(), StoreError> {
        let zero = "0".repeat(self.repo.object_hash().len_in_hex());
        let mut script = String::from("start\n");
        for m in moves {
            let old = m.expected.map_or(zero.clone(), |id| id.to_hex());
            let new = m.new.map_or(zero.clone(), |id| id.to_hex());
            script.push_str(&format!("update {} {new} {old}\n", m.name));
        }
        script.push_str("prepare\ncommit\n");
        let mut args = Vec::new();
        let without = moves.iter().any(|m| !m.logs());
        if without
            && self.config("core.logAllRefUpdates").is_some_and(|set| set.eq_ignore_ascii_case("always"))
        {
            args.extend(["-c", "core.logAllRefUpdates=true"]);
        }
        args.extend(["update-ref", "-m", moves[0].message.as_str()]);
        // The chains' reflogs are asked for, the branch's is as the user has it.
        if moves.iter().any(RefMove::logs) && self.config_bool("core.logAllRefUpdates") != Some(false) {
            match without {
                false => args.push("--create-reflog"),
                // It would make one for every ref, and what artifacts are on has none. git goes on with those that are
                // there; in a reftable the chain's begins with an entry that comes alone.
                true => self.begin_reflogs(moves)?,
            }
        }
        args.push("--stdin");
        git::run(self.git_dir(), &args, Some(script.as_bytes())).map(drop).map_err(|error| match error {
            StoreError::Git { cause, .. } => {
                let names: Vec<_> = moves.iter().map(|m| m.name.as_str()).collect();
                StoreError::Moved { name: names.join("`, `"), cause }
            }
            other => other,
        })
    }
}

impl Store {
    /// Makes the reflogs that are asked for, with nothing in them yet.
    fn begin_reflogs(&self, moves: &[RefMove]) -> Result<(), StoreError> {
        if self.uses_git_for_refs() {
            return Ok(());
        }
        for m in moves.iter().filter(|m| m.logs() && m.name.starts_with("refs/")) {
            let path = self.common_dir().join("logs").join(&m.name);
            let folder = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
            let log = std::fs::OpenOptions::new().append(true).create(true).open(&path);
            log.map_err(StoreError::io("write reflog", &path))?;
        }
        Ok(())
    }
}

fn to_edit(m: &RefMove) -> Result<RefEdit, StoreError> {
    let name = FullName::try_from(m.name.as_str())
        .map_err(|error| StoreError::Corrupt(format!("`{}` is no ref name: {error}", m.name)))?;
    let expected = match m.expected {
        Some(id) => PreviousValue::MustExistAndMatch(Target::Object(super::object_id(id))),
        None => PreviousValue::MustNotExist,
    };
    let change = match m.new {
        Some(id) => Change::Update {
            log: LogChange {
                mode: RefLog::AndReference,
                force_create_reflog: m.logs(),
                message: m.message.as_str().into(),
            },
            expected,
            new: Target::Object(super::object_id(id)),
        },
        None => Change::Delete { expected, log: RefLog::AndReference },
    };
    Ok(RefEdit { change, name, deref: false })
}
