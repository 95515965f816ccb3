//! Which commit each line of a file comes from: git's own word on it, read from `git blame --porcelain`.
//!
//! gix has a blame too; on real histories it names another commit than git for a line in a thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread::JoinHandle;

use super::error::StoreError;
use super::inside::Inside;
use super::{Store, git};
use crate::domain::fact::values::GitPath;
use crate::domain::ids::{Oid, OidMap};

/// A `git blame` under way.
#[must_use]
pub struct Blaming {
    running: JoinHandle<std::io::Result<Output>>,
    args: Vec<OsString>,
    looks_past_text: bool,
}

/// How far git looks for where lines come from, in the words of `git blame`.
#[derive(Debug, Default)]
pub struct Tracing {
    /// `-w`: white space makes no other line.
    pub ignore_space: bool,
    /// `-M`, each time with the number that stands behind it, or nothing.
    pub moved: Vec<String>,
    /// `-C`, the same.
    pub copied: Vec<String>,
    /// `--ignore-rev`
    pub ignored: Vec<OsString>,
    /// `--ignore-revs-file`
    pub ignored_in: Vec<OsString>,
}

impl Tracing {
    fn words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        words.extend(self.ignore_space.then(|| "-w".into()));
        // git takes a number only where it touches the letter.
        words.extend(self.moved.iter().map(|number| format!("-M{number}").into()));
        words.extend(self.copied.iter().map(|number| format!("-C{number}").into()));
        words.extend(self.ignored.iter().flat_map(|rev| ["--ignore-rev".into(), rev.clone()]));
        words.extend(self.ignored_in.iter().flat_map(|file| ["--ignore-revs-file".into(), file.clone()]));
        words
    }

    /// Whether git may name a commit that has a line in other words.
    fn looks_past_text(&self, store: &Store) -> bool {
        let told = self.ignore_space || !self.ignored.is_empty() || !self.ignored_in.is_empty();
        told || store.config("blame.ignoreRevsFile").is_some()
    }
}

/// What git says of a file's lines.
#[derive(Debug, Default)]
pub struct Annotated {
    /// What git printed.
    pub raw: Vec<u8>,
    /// The lines asked for, in order.
    pub lines: Vec<BlamedLine>,
    /// The commits they come from.
    pub commits: OidMap<BlamedCommit>,
}

/// One line.
#[derive(Debug, Clone)]
pub struct BlamedLine {
    /// The commit; all zeros where it is not committed.
    pub commit: Oid,
    /// The file in that commit, from the top of its tree.
    pub path: GitPath,
    /// The line there, from 1.
    pub origin: u64,
    /// The line in the file asked about, from 1.
    pub line: u64,
    /// Where its content stands in what git printed, without the line's end.
    pub text: Range<usize>,
    /// Its content in that commit, where git was asked to look past differences.
    pub there: Option<Vec<u8>>,
}

/// What git says of a commit.
#[derive(Debug, Clone, Default)]
pub struct BlamedCommit {
    /// The author's name.
    pub author: String,
    /// When it was written, in seconds since 1970.
    pub time: i64,
    /// When it was committed, in seconds since 1970.
    pub committed: i64,
    /// The subject.
    pub summary: String,
    /// Whether git looked no further: at a root, a shallow cut or the end of a range.
    pub boundary: bool,
}

impl Annotated {
    /// The content of a line in the file asked about.
    pub fn shown(&self, line: &BlamedLine) -> &[u8] {
        &self.raw[line.text.clone()]
    }

    /// The content of a line in the commit that it comes from.
    pub fn text<'a>(&'a self, line: &'a BlamedLine) -> &'a [u8] {
        line.there.as_deref().unwrap_or_else(|| self.shown(line))
    }

    /// The paths that the lines come from.
    pub fn paths(&self) -> BTreeSet<GitPath> {
        self.lines.iter().map(|line| &line.path).collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    /// When the newest of the commits was made, in seconds since 1970.
    pub fn latest(&self) -> i64 {
        self.commits.values().map(|commit| commit.committed).max().unwrap_or(i64::MAX)
    }
}

impl Store {
    /// Starts `git blame` in `directory`, which the path is relative to. `within` says what is looked at, the newest
    /// commit first and then those whose history is left out; none is the working tree. `ranges` are as git's `-L`
    /// takes them, and `tracing` its other options. git's own settings for `blame` hold.
    ///
    /// # Errors
    /// When git cannot be started; what git says is for [`Blaming::finish`].
    pub fn start_blame(
        &self,
        directory: &Path,
        within: Option<(Oid, &[Oid])>,
        ranges: &[String],
        tracing: &Tracing,
        file: &OsStr,
    ) -> Result<Blaming, StoreError> {
        let mut args: Vec<OsString> = vec!["blame".into(), "--porcelain".into()];
        // As a word of its own no range is taken for an option, and neither is what follows `--`.
        args.extend(ranges.iter().flat_map(|range| [OsString::from("-L"), range.into()]));
        args.extend(tracing.words());
        if let Some((to, without)) = within {
            args.push(to.to_hex().into());
            args.extend(without.iter().map(|commit| format!("^{}", commit.to_hex()).into()));
        }
        args.extend(["--".into(), file.to_owned()]);
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut command = git::command(&absolute(self.git_dir()), &args);
        if let Some(top) = self.work_dir() {
            command.env("GIT_WORK_TREE", absolute(top));
        }
        command.current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| git::failed(&args, &error.to_string()))?;
        let looks_past_text = tracing.looks_past_text(self);
        Ok(Blaming { running: std::thread::spawn(move || child.wait_with_output()), args, looks_past_text })
    }

    /// What a file of the working tree holds; none where there is no such file, or a link in its place.
    pub fn file_on_disk(&self, path: &GitPath) -> Option<Vec<u8>> {
        let file = Inside::of(self.work_dir()?).at(path)?;
        let is_file = std::fs::symlink_metadata(&file).is_ok_and(|there| there.is_file());
        is_file.then(|| std::fs::read(&file).ok())?
    }

    /// Reads every committed line as its own commit has it.
    fn read_there(&self, annotated: &mut Annotated) -> Result<(), StoreError> {
        let mut places: BTreeMap<(Oid, GitPath), Vec<usize>> = BTreeMap::new();
        for (index, line) in
            annotated.lines.iter().enumerate().filter(|(_, line)| line.commit != self.null_id())
        {
            places.entry((line.commit, line.path.clone())).or_default().push(index);
        }
        for ((commit, path), indices) in places {
            let Some(tree) = self.tree_of(commit)? else { continue };
            let Some(file) = self.file_in_tree(tree, &path)? else { continue };
            let Some(bytes) = self.blob(file.oid)? else { continue };
            let there: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            for index in indices {
                let line = &mut annotated.lines[index];
                let at = usize::try_from(line.origin.saturating_sub(1)).unwrap_or(usize::MAX);
                line.there = there.get(at).map(|text| text.to_vec());
            }
        }
        Ok(())
    }
}

impl Blaming {
    /// Waits for git and reads what it says.
    ///
    /// # Errors
    /// When git refuses; the cause is its own word. When objects cannot be read.
    pub fn finish(self, store: &Store) -> Result<Annotated, StoreError> {
        let failed = |cause: &str| git::failed(&self.args, cause);
        let ended = self.running.join().map_err(|_| failed("its output could not be read"))?;
        let output = ended.map_err(|error| failed(&error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
        }
        let mut annotated = read(output.stdout)
            .map_err(|line| StoreError::Corrupt(format!("`git blame` printed `{line}`")))?;
        if self.looks_past_text {
            store.read_there(&mut annotated)?;
        }
        Ok(annotated)
    }
}

/// Reads the porcelain format: for every line a header, what is said of its commit for the first time, and the content
/// behind a tab. What is not known is passed over.
fn read(raw: Vec<u8>) -> Result<Annotated, String> {
    let mut found = Annotated::default();
    // A path holds for the rest of its group of lines, and for the commit until another is named.
    let mut paths: OidMap<GitPath> = OidMap::default();
    let mut header: Option<(Oid, u64, u64)> = None;
    let mut start = 0;
    while start < raw.len() {
        let end = raw[start..].iter().position(|byte| *byte == b'\n').map_or(raw.len(), |at| start + at);
        let line = &raw[start..end];
        let odd = || String::from_utf8_lossy(line).into_owned();
        match (header, line.first()) {
            (Some((commit, origin, number)), Some(b'\t')) => {
                let path = paths.get(&commit).cloned().ok_or_else(odd)?;
                let text = start + 1..end;
                found.lines.push(BlamedLine { commit, path, origin, line: number, text, there: None });
                header = None;
            }
            (Some((commit, ..)), _) => {
                let said = found.commits.entry(commit).or_default();
                let (name, value) = split(line);
                let text = || String::from_utf8_lossy(value).into_owned();
                match name {
                    b"author" => said.author = text(),
                    b"author-time" => said.time = text().parse().map_err(|_| odd())?,
                    b"committer-time" => said.committed = text().parse().map_err(|_| odd())?,
                    b"summary" => said.summary = text(),
                    b"boundary" => said.boundary = true,
                    b"filename" => drop(paths.insert(commit, GitPath::new(unquoted(value)))),
                    _ => {}
                }
            }
            (None, _) => {
                let text = std::str::from_utf8(line).map_err(|_| odd())?;
                let mut words = text.split(' ');
                let commit = words.next().and_then(Oid::from_hex).ok_or_else(odd)?;
                let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).ok_or_else(odd);
                header = Some((commit, number()?, number()?));
            }
        }
        start = end + 1;
    }
    found.raw = raw;
    Ok(found)
}

fn split(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

/// A path as git prints it where a line ends it: odd ones stand in double quotes with the escapes of C.
fn unquoted(path: &[u8]) -> Vec<u8> {
    let inner = path.strip_prefix(b"\"").and_then(|path| path.strip_suffix(b"\""));
    let Some(inner) = inner else { return path.to_vec() };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    if let Some(digit) = rest.next_if(|byte| (b'0'..=b'7').contains(byte)) {
                        value = value * 8 + u32::from(digit - b'0');
                    }
                }
                (value & 0xff) as u8
            }
            Some(b'a') => 0x07,
            Some(b'b') => 0x08,
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'v') => 0x0b,
            Some(b'f') => 0x0c,
            Some(b'r') => b'\r',
            Some(other) => other,
            None => b'\\',
        });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_git_quotes_them() {
        assert_eq!(unquoted(b"plain name"), b"plain name");
        assert_eq!(unquoted(br#""a\tb\n\"c\" \\ \303\244""#), "a\tb\n\"c\" \\ ä".as_bytes());
        assert_eq!(unquoted(b"\""), b"\"");
    }

    #[test]
    fn what_is_no_porcelain_is_refused() {
        assert!(read(b"fatal: no such thing\n".to_vec()).is_err());
        assert!(read(b"\tcontent\n".to_vec()).is_err());
        assert!(read(Vec::new()).is_ok_and(|found| found.lines.is_empty()));
    }
}
