//! What must be true of a commit before it may stand on a ref: the text of `.receipts/policy.toml`.
//!
//! Rules add up: a commit must satisfy every rule that names its ref and touches its paths, and no rule lifts
//! another. Whatever would let a policy ask for less than it seems to is refused with its place in the text: a word
//! that is not known, an empty list, a pattern that can match nothing, an approval that nobody could give, a key
//! without effect beside the others.

mod parse;
mod pattern;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ssh_key::PublicKey;
use ssh_key::public::Ed25519PublicKey;

pub use pattern::{PathPatterns, RefPattern, Unfit};

use super::fact::data::Risk;
use super::ids::Oid;
use super::signers;

/// The rules of a repository, and who its people and agents are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    repos: Vec<Oid>,
    roles: BTreeMap<String, BTreeSet<String>>,
    /// Who is owned, by whom in the end.
    owners: BTreeMap<String, String>,
    rules: Vec<Rule>,
}

/// What some refs and paths require.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The line that it begins on, counted from 1.
    pub line: usize,
    /// The refs that it is about; any of them is enough.
    pub refs: Vec<RefPattern>,
    /// The files that it is about.
    pub paths: PathPatterns,
    /// The receipt that a commit must have.
    pub receipt: Requirement,
    /// The checks that must have passed on the commit's tree; no two have one name.
    pub gates: Vec<Gate>,
    /// The roles whose members' gates count; never empty where there are gates.
    pub gate_runners: Vec<String>,
    /// The highest risk that a receipt may state. Without this any may; with it, a risk not stated is critical.
    pub max_risk: Option<Risk>,
    /// The weakest evidence that is taken.
    pub grade: Grade,
    /// What happens where the rule does not hold.
    pub enforce: Enforce,
}

/// The receipt that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// `none`: no receipt; such a rule has gates.
    None,
    /// `bound`: a receipt that a known signer has bound to the commit.
    Bound,
    /// `accepted`: every line of the change was approved.
    Accepted(Approvals),
}

impl Requirement {
    /// The word for it in a policy.
    pub fn as_str(&self) -> &'static str {
        match self {
            Requirement::None => "none",
            Requirement::Bound => "bound",
            Requirement::Accepted(_) => "accepted",
        }
    }
}

/// Who must have approved every line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvals {
    /// How many different principals, at least 1 and at most as many as the roles have.
    pub count: usize,
    /// The roles whose members may approve, none of them somebody's agent.
    pub approvers: Vec<String>,
    /// Whether an author of the change counts as one of them.
    pub author_may_approve: bool,
}

/// A check by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The name that it is recorded under.
    pub name: String,
    /// The command that it must have been, with its arguments; `None` takes any.
    pub command: Option<Vec<String>>,
}

/// How closely evidence fits a commit; the better grade is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Lines of several receipts together, as after a squash.
    Lines,
    /// All applied lines of one receipt, as after a rebase over other changes.
    Patch,
    /// The same tree upon the same tree, as after a reworded message.
    Tree,
    /// The very commit.
    Commit,
}

impl Grade {
    /// Every grade, the worst first.
    pub const ALL: [Grade; 4] = [Grade::Lines, Grade::Patch, Grade::Tree, Grade::Commit];

    /// The word for it in a policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Grade::Lines => "lines",
            Grade::Patch => "patch",
            Grade::Tree => "tree",
            Grade::Commit => "commit",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What happens where a rule does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Enforce {
    /// The answer is no.
    Block,
    /// It is said, and the answer stays yes.
    Warn,
}

impl Enforce {
    /// Both words.
    pub const ALL: [Enforce; 2] = [Enforce::Block, Enforce::Warn];

    /// The word for it in a policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Enforce::Block => "block",
            Enforce::Warn => "warn",
        }
    }
}

/// Where and why a text is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in it, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl Policy {
    /// Reads the whole file; the first problem found is the error.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        parse::parse(text)
    }

    /// A policy to begin with: it asks for a bound receipt on every branch and only warns. All else that a policy
    /// can say stands there as a comment with its explanation.
    pub fn template() -> &'static str {
        include_str!("template.toml")
    }

    /// The root commits of the projects whose receipts count; where there are none, those of the default branch.
    pub fn repos(&self) -> &[Oid] {
        &self.repos
    }

    /// Every rule, in the order of the file; there is at least one.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules for a ref, by its full name (`refs/heads/main`), with their numbers from 1.
    ///
    /// Without a name every rule applies, and so it does for a name that does not begin with `refs/`: such a name
    /// does not say which ref is meant, and no rule may be missed for that.
    pub fn rules_for(&self, ref_name: Option<&str>) -> impl Iterator<Item = (u64, &Rule)> {
        let name = ref_name.filter(|name| name.starts_with("refs/"));
        let numbered = (1..).zip(&self.rules);
        numbered.filter(move |(_, rule)| name.is_none_or(|name| rule.names(name)))
    }

    /// The strictest word of the rules for a ref; `None` where no rule is about it.
    pub fn strictest(&self, ref_name: Option<&str>) -> Option<Enforce> {
        let words = self.rules_for(ref_name).map(|(_, rule)| rule.enforce);
        words.min_by_key(|enforce| *enforce == Enforce::Warn)
    }

    /// Whose work the principal's counts as: the owner at the end of the line of owners, or the principal itself.
    pub fn owner_of<'a>(&'a self, principal: &'a str) -> &'a str {
        self.owners.get(principal).map_or(principal, String::as_str)
    }

    /// Whether the principal, exactly as spelled, is a member of one of the roles.
    pub fn in_roles(&self, principal: &str, roles: &[impl AsRef<str>]) -> bool {
        roles.iter().any(|role| self.roles.get(role.as_ref()).is_some_and(|who| who.contains(principal)))
    }

    /// The members of a role in the order of their names; none where there is no such role.
    pub fn members(&self, role: &str) -> impl Iterator<Item = &str> {
        self.roles.get(role).into_iter().flatten().map(String::as_str)
    }
}

impl Rule {
    /// Whether the rule is about the ref of this full name.
    pub fn names(&self, ref_name: &str) -> bool {
        self.refs.iter().any(|pattern| pattern.matches(ref_name))
    }

    /// Whether the rule is about a change of these paths: whatever was added, changed or deleted, and both names
    /// of what was renamed.
    ///
    /// A rule about everything is also about a commit that changes nothing.
    pub fn touches<P: AsRef<[u8]>>(&self, paths: impl IntoIterator<Item = P>) -> bool {
        self.paths.is_everything() || paths.into_iter().any(|path| self.matches_path(path.as_ref()))
    }

    /// Whether the rule is about the file at a path, written as git writes it: from the top, with `/`.
    pub fn matches_path(&self, path: &[u8]) -> bool {
        self.paths.covers(path)
    }
}

/// What is wrong, and the byte of the text that it begins at.
#[derive(Debug)]
struct Flaw {
    at: usize,
    message: String,
    hint: &'static str,
}

impl Flaw {
    fn place_in(self, text: &str) -> Problem {
        let Flaw { mut at, message, hint } = self;
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (before, after) = text.split_at(at);
        // The end of a line is where its text ends, however it is written.
        let before = before.strip_suffix('\r').filter(|_| after.starts_with('\n')).unwrap_or(before);
        let line = before.rsplit('\n').next().unwrap_or_default();
        // A mark at the beginning is in no editor's count.
        let marked = usize::from(line.len() == before.len() && line.starts_with(BYTE_ORDER_MARK));
        let column = line.chars().count() - marked + 1;
        Problem { line: before.matches('\n').count() + 1, column, message, hint }
    }
}

fn flaw<T>(at: usize, message: impl Into<String>, hint: &'static str) -> Result<T, Flaw> {
    Err(Flaw { at, message: message.into(), hint })
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Refuses what no signer can be called.
fn check_principal(principal: &str) -> Result<(), signers::Problem> {
    // Asked of the file of signers itself: what cannot stand there never signs, so here it would be a mistake.
    let key = PublicKey::from(Ed25519PublicKey([0; 32]));
    match signers::add("", principal, &key, &signers::Options::receipts_only()) {
        Ok(_) => Ok(()),
        Err(signers::AddError::Line(problem)) => Err(problem),
        Err(signers::AddError::Text(error)) => Err(error.problem),
    }
}

/// Text for a message: at most 60 characters, nothing in it that acts on a terminal.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
