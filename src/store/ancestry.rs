//! The project's own history: which commits a range holds, what descends from what.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::error::StoreError;
use super::kept::Kind;
use super::{Store, git, object_id, oid};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::{Oid, OidSet};

/// Where histories start: a line for each of the last few commits that this was asked of.
const ROOTS: Kind = Kind { folder: "roots", rules: "roots by the commits' own parents, 1" };

/// A walk over fewer commits is sooner done again than remembered.
const LONG_WALK: usize = 256;

/// How many histories are remembered.
const MOST_HISTORIES: usize = 16;

/// A commit of a range, as its own bytes have it: grafts, replacements and shallow cuts change nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeCommit {
    /// The commit.
    pub commit: Oid,
    /// Its parents, whether they are here or not.
    pub parents: Vec<Oid>,
    /// Its tree.
    pub tree: Oid,
    /// The address of its author.
    pub author: String,
    /// Its subject.
    pub subject: String,
    /// The receipts that lines `Receipt-Id: …` of its message name, as they stand there. A squash leaves such lines
    /// anywhere, not only at the end.
    pub named: Vec<String>,
}

impl Store {
    /// The commits that `to` reaches and `without` do not, oldest first, along first parents or all of them.
    ///
    /// # Errors
    /// When git cannot walk the history, or a commit of it cannot be read.
    pub fn range(
        &self,
        to: Oid,
        without: &[Oid],
        first_parent: bool,
    ) -> Result<Vec<RangeCommit>, StoreError> {
        let mut args: Vec<String> = ["-c", "core.commitGraph=false", "rev-list", "--topo-order", "--reverse"]
            .map(str::to_owned)
            .into();
        args.extend(first_parent.then(|| "--first-parent".to_owned()));
        args.push(to.to_hex());
        args.extend(without.iter().map(|commit| format!("^{}", commit.to_hex())));
        args.push("--".to_owned());
        let out = git::run(self.git_dir(), &args, None)?;
        let listed = String::from_utf8_lossy(&out).into_owned();
        listed.lines().map(|hex| self.range_commit(id_printed(hex)?)).collect()
    }

    /// One commit.
    ///
    /// # Errors
    /// When it is not here, or is no commit.
    pub fn range_commit(&self, commit: Oid) -> Result<RangeCommit, StoreError> {
        let damaged = |what: &str| StoreError::Corrupt(format!("commit `{commit}` {what}"));
        let bytes = self.commit_bytes(commit)?.ok_or_else(|| damaged("is not here"))?;
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
        let headers = String::from_utf8_lossy(&bytes[..end]);
        let message = String::from_utf8_lossy(&bytes[end..]);
        let field = |name: &str| headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let tree = field("tree").and_then(Oid::from_hex).ok_or_else(|| damaged("names no tree"))?;
        // `Name <address> seconds zone`: neither name nor address can hold an angle bracket.
        let author = field("author").and_then(|line| line.split_once('<')?.1.split_once('>'));
        Ok(RangeCommit {
            commit,
            parents: super::read::parents_of(&bytes).collect(),
            tree,
            author: author.map(|(address, _)| address.trim().to_owned()).unwrap_or_default(),
            subject: subject(&message),
            named: named(&message),
        })
    }

    /// Which of `wanted` are `head` or an ancestor of it. History that `base` has as well is not looked through.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn reached(&self, head: Oid, base: Option<Oid>, wanted: &OidSet) -> Result<OidSet, StoreError> {
        let mut found = OidSet::default();
        if wanted.is_empty() {
            return Ok(found);
        }
        let hidden = base.filter(|base| self.has_object(*base)).map(object_id);
        let walk = self.repo.rev_walk([object_id(head)]).with_hidden(hidden);
        for info in walk.all().map_err(StoreError::read("the history"))? {
            let info =
                info.map_err(|error| StoreError::Corrupt(format!("cannot read the history: {error}")))?;
            let commit = oid(&info.id);
            if wanted.contains(&commit) {
                found.insert(commit);
                if found.len() == wanted.len() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Commits that change one of these files and that `head` reaches and `without` do not, the newest first, `most` of
    /// them at most. Merges are none.
    ///
    /// # Errors
    /// When git cannot walk the history.
    pub fn touching(
        &self,
        head: Oid,
        without: &[Oid],
        paths: &BTreeSet<GitPath>,
        most: usize,
    ) -> Result<Vec<Oid>, StoreError> {
        let args = ["-c", "core.commitGraph=false", "--literal-pathspecs", "rev-list", "--topo-order"];
        let mut args: Vec<String> = args.map(str::to_owned).into();
        args.extend(["--full-history".to_owned(), "--no-merges".to_owned(), format!("--max-count={most}")]);
        args.push(head.to_hex());
        let here = without.iter().filter(|commit| self.has_object(**commit));
        args.extend(here.map(|commit| format!("^{}", commit.to_hex())));
        args.push("--".to_owned());
        // A name that cannot be handed over narrows nothing down.
        let named: Option<Vec<String>> =
            paths.iter().map(|path| Some(std::str::from_utf8(path.as_bytes()).ok()?.to_owned())).collect();
        args.extend(named.unwrap_or_default());
        let out = git::run(self.git_dir(), &args, None)?;
        String::from_utf8_lossy(&out).lines().map(id_printed).collect()
    }

    /// Those of `wanted` that `head` is or descends from, the newest first: none stands before one that descends from
    /// it. Those that are not here are left out.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn newest_first(&self, head: Oid, wanted: &[Oid]) -> Result<Vec<Oid>, StoreError> {
        let here: Vec<Oid> = wanted.iter().copied().filter(|commit| self.has_object(*commit)).collect();
        if here.is_empty() {
            return Ok(here);
        }
        let mut args: Vec<String> =
            ["-c", "core.commitGraph=false", "rev-list", "--topo-order"].map(str::to_owned).into();
        args.push(head.to_hex());
        // What all of them descend from holds none of them, and may be long.
        if let Some(below) = self.below_all(&here)? {
            args.push(format!("^{}", below.to_hex()));
        }
        args.push("--".to_owned());
        let out = git::run(self.git_dir(), &args, None)?;
        let listed = String::from_utf8_lossy(&out);
        let mut found = Vec::new();
        for line in listed.lines() {
            let commit = id_printed(line)?;
            if here.contains(&commit) {
                found.push(commit);
            }
        }
        Ok(found)
    }

    /// A commit that the parents of all of them are or descend from; none where one has no parent, or there is none.
    fn below_all(&self, commits: &[Oid]) -> Result<Option<Oid>, StoreError> {
        let mut parents = BTreeSet::new();
        for commit in commits {
            let Some(first) = self.parents_of(*commit)?.first().copied() else { return Ok(None) };
            if !self.has_object(first) {
                return Ok(None);
            }
            parents.insert(first.to_hex());
        }
        if parents.len() == 1 {
            return Ok(parents.first().and_then(|only| Oid::from_hex(only)));
        }
        let args: Vec<String> =
            ["merge-base".to_owned(), "--octopus".to_owned()].into_iter().chain(parents).collect();
        let out = git::output(git::command(self.git_dir(), &args), None)
            .map_err(|error| git::failed(&args, &error.to_string()))?;
        match out.status.code() {
            Some(0) => Ok(Oid::from_hex(String::from_utf8_lossy(&out.stdout).trim())),
            Some(1) => Ok(None),
            _ => Err(git::failed(&args, String::from_utf8_lossy(&out.stderr).trim())),
        }
    }

    /// The commits without parents that `commit` descends from; `None` in a shallow clone, where they cannot be
    /// told.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn roots_of(&self, commit: Oid) -> Result<Option<BTreeSet<Oid>>, StoreError> {
        if self.is_shallow() {
            return Ok(None);
        }
        let kept = Rc::new(self.kept_roots());
        if let Some(roots) = kept.get(&commit) {
            return Ok(Some(roots.clone()));
        }
        let met: Rc<RefCell<BTreeSet<Oid>>> = Rc::default();
        let goes_on = {
            let (kept, met) = (Rc::clone(&kept), Rc::clone(&met));
            move |id: &gix::oid| match kept.get(&oid(id)) {
                Some(roots) => {
                    met.borrow_mut().extend(roots);
                    false
                }
                None => true,
            }
        };
        // A file that tells parents more quickly may tell others.
        let walk = self.repo.rev_walk([object_id(commit)]).use_commit_graph(false);
        let (mut roots, mut walked) = (BTreeSet::new(), 0);
        for info in walk.selected(goes_on).map_err(StoreError::read("the history"))? {
            let info =
                info.map_err(|error| StoreError::Corrupt(format!("cannot read the history: {error}")))?;
            if info.parent_ids.is_empty() {
                roots.insert(oid(&info.id));
            }
            walked += 1;
        }
        roots.append(&mut met.borrow_mut());
        if walked >= LONG_WALK {
            self.keep_roots(&kept, commit, &roots);
        }
        Ok(Some(roots))
    }

    /// Where the histories of some commits start, as that was found out before.
    fn kept_roots(&self) -> BTreeMap<Oid, BTreeSet<Oid>> {
        let text = self.kept(ROOTS, &[]).unwrap_or_default();
        let line = |line: &str| {
            let mut ids = line.split(' ').map(Oid::from_hex);
            Some((ids.next()??, ids.collect::<Option<_>>()?))
        };
        String::from_utf8_lossy(&text).lines().filter_map(line).collect()
    }

    fn keep_roots(&self, kept: &BTreeMap<Oid, BTreeSet<Oid>>, commit: Oid, roots: &BTreeSet<Oid>) {
        let line = |(commit, roots): (&Oid, &BTreeSet<Oid>)| {
            let ids = [commit].into_iter().chain(roots).map(|id| id.to_hex());
            ids.collect::<Vec<_>>().join(" ") + "\n"
        };
        let others = kept.iter().take(MOST_HISTORIES - 1);
        let text: String = others.chain([(&commit, roots)]).map(line).collect();
        self.keep(ROOTS, &[], text.as_bytes());
    }

    /// Whether a commit has history that no remote-tracking branch has. Without remotes none is ahead of any.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn is_ahead_of_remotes(&self, commit: Oid) -> Result<bool, StoreError> {
        if self.remote_names().is_empty() {
            return Ok(false);
        }
        let args = ["rev-list", "--max-count=1", &commit.to_hex(), "--not", "--remotes", "--"];
        git::run(self.git_dir(), &args, None).map(|printed| !printed.is_empty())
    }

    /// The commits of a range such as `A..B`.
    ///
    /// # Errors
    /// When git does not know the range.
    pub fn commits_in(&self, range: &str) -> Result<BTreeSet<Oid>, StoreError> {
        let out = git::run(self.git_dir(), &["rev-list", "--end-of-options", range, "--"], None)?;
        Ok(String::from_utf8_lossy(&out).lines().filter_map(Oid::from_hex).collect())
    }
}

fn id_printed(hex: &str) -> Result<Oid, StoreError> {
    Oid::from_hex(hex.trim()).ok_or_else(|| StoreError::Corrupt(format!("`git rev-list` printed `{hex}`")))
}

/// The first paragraph of a message in one line, as git's `%s`.
pub(super) fn subject(message: &str) -> String {
    let paragraph = message.trim_start().lines().take_while(|line| !line.trim().is_empty());
    paragraph.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The values of all lines `Receipt-Id: …`, each once.
fn named(message: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in message.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if key.trim().eq_ignore_ascii_case("Receipt-Id") && !found.iter().any(|known| known == value) {
            found.push(value.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_named_anywhere_in_a_message() {
        let message = "\n\nSquash\n\n* One\n\nReceipt-Id: A\n\n    receipt-id: B\n* Receipt-Id\nReceipt-Id: A\n\nEnd: x\n";
        assert_eq!(named(message), ["A", "B"]);
        assert_eq!(subject(message), "Squash");
    }
}
