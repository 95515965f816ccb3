//! Which paths a proposal may write.
//!
//! The rules are those of git's `verify_path` (`read-cache.c`) with `core.protectHFS` and `core.protectNTFS` on,
//! as a repository is shared with machines that need them, and Windows' device names besides.

use std::collections::BTreeMap;

use super::{Files, Mode};
use crate::domain::fact::values::GitPath;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// No bytes at all.
    #[error("an empty path")]
    Empty,
    /// It begins with a slash, or with a drive letter and a colon.
    #[error("an absolute path")]
    Absolute,
    /// Two slashes in a row, or one at the end.
    #[error("an empty part in the path")]
    EmptyPart,
    /// A part is `.` or `..`.
    #[error("`.` or `..` in the path")]
    Dots,
    /// A NUL in it.
    #[error("a NUL in the path")]
    Nul,
    /// A part is `.git`, or is that to some file system.
    #[error("`.git` in the path, openly or in disguise")]
    DotGit,
    /// A part is a device on Windows.
    #[error("a device name of Windows in the path")]
    Device,
    /// `.gitmodules` as a symbolic link.
    #[error("`.gitmodules` as a symbolic link")]
    ModulesLink,
}

/// Judges the path of something that a proposal writes.
///
/// # Errors
/// Says what is wrong with it.
pub fn check(path: &GitPath) -> Result<(), PathProblem> {
    let bytes = path.as_bytes();
    if bytes.is_empty() {
        return Err(PathProblem::Empty);
    }
    if bytes.contains(&0) {
        return Err(PathProblem::Nul);
    }
    if bytes[0] == b'/' {
        return Err(PathProblem::Absolute);
    }
    for part in bytes.split(|byte| *byte == b'/') {
        if part.is_empty() {
            return Err(PathProblem::EmptyPart);
        }
        if is_hfs(part, b".git") {
            return Err(PathProblem::DotGit);
        }
        // To NTFS a backslash ends a part as well.
        for part in part.split(|byte| *byte == b'\\') {
            if matches!(part, b"." | b"..") {
                return Err(PathProblem::Dots);
            }
            if is_ntfs_dot_git(part) {
                return Err(PathProblem::DotGit);
            }
        }
    }
    Ok(())
}

/// Judges a path together with what is to stand there.
///
/// # Errors
/// As [`check`], and where `.gitmodules` in any disguise would be a symbolic link.
pub fn check_file(path: &GitPath, mode: Mode) -> Result<(), PathProblem> {
    check(path)?;
    if mode == Mode::Symlink {
        let last = path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let names_modules = is_hfs(last, b".gitmodules")
            || last.split(|byte| *byte == b'\\').any(|part| is_ntfs_short(part, b"gitmodules", b"gi7eba"));
        if names_modules {
            return Err(PathProblem::ModulesLink);
        }
    }
    Ok(())
}

/// Judges a path that the base does not have: as [`check_file`], no drive letter before it, and no part a device on
/// Windows. A project that has such a file already can go on changing it.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_new(path: &GitPath, mode: Mode) -> Result<(), PathProblem> {
    check_file(path, mode)?;
    if matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err(PathProblem::Absolute);
    }
    let mut parts = path.as_bytes().split(|byte| matches!(byte, b'/' | b'\\'));
    if parts.any(is_device) { Err(PathProblem::Device) } else { Ok(()) }
}

/// HFS+ passes over these code points when it compares names (`next_hfs_char` in git's `utf8.c`).
fn hfs_ignores(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Whether HFS+ takes `part` for `name`, which is ASCII in lower case. A name that is not UTF-8 counts as far as
/// it is, as git's does.
fn is_hfs(part: &[u8], name: &[u8]) -> bool {
    let text = match std::str::from_utf8(part) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&part[..error.valid_up_to()]).unwrap_or_default(),
    };
    let seen = text.chars().filter(|c| !hfs_ignores(*c)).map(|c| c.to_ascii_lowercase());
    seen.eq(name.iter().map(|byte| char::from(*byte)))
}

/// Only spaces and periods up to the end or to a colon, which begins a stream's name.
fn ends_for_ntfs(rest: &[u8]) -> bool {
    let end = rest.iter().position(|byte| *byte == b':').unwrap_or(rest.len());
    rest[..end].iter().all(|byte| matches!(byte, b' ' | b'.'))
}

/// `is_ntfs_dotgit` in git's `path.c`.
fn is_ntfs_dot_git(part: &[u8]) -> bool {
    [&b".git"[..], b"git~1"].iter().any(|name| {
        part.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
            && ends_for_ntfs(&part[name.len()..])
    })
}

/// `is_ntfs_dot_generic` in git's `path.c`: `.` and `name`, or a short name that NTFS may give to that.
fn is_ntfs_short(part: &[u8], name: &[u8], fallback: &[u8; 6]) -> bool {
    let head = |n: usize| part.get(..n).unwrap_or_default();
    if part.first() == Some(&b'.')
        && head(name.len() + 1).get(1..).is_some_and(|rest| rest.eq_ignore_ascii_case(name))
        && ends_for_ntfs(&part[name.len() + 1..])
    {
        return true;
    }
    if head(6).eq_ignore_ascii_case(&name[..6])
        && part.get(6) == Some(&b'~')
        && part.get(7).is_some_and(|digit| (b'1'..=b'4').contains(digit))
        && ends_for_ntfs(&part[8..])
    {
        return true;
    }
    // Eight characters: some of the fallback, a tilde, and a number that does not begin with 0.
    let Some(short) = part.get(..8) else { return false };
    let Some(tilde) = short.iter().position(|byte| *byte == b'~') else { return false };
    tilde <= 6
        && short[..tilde].eq_ignore_ascii_case(&fallback[..tilde])
        && short[tilde + 1..].iter().all(u8::is_ascii_digit)
        && short.get(tilde + 1).is_some_and(|digit| *digit != b'0')
        && ends_for_ntfs(&part[8..])
}

/// Whether Windows opens a device instead of a file of this name, whatever extension or stream follows.
fn is_device(part: &[u8]) -> bool {
    let end = part.iter().position(|byte| matches!(byte, b'.' | b':')).unwrap_or(part.len());
    let stem = part[..end].trim_ascii_end().to_ascii_lowercase();
    if matches!(&stem[..], b"con" | b"prn" | b"aux" | b"nul" | b"conin$" | b"conout$") {
        return true;
    }
    let number = stem.strip_prefix(b"com").or_else(|| stem.strip_prefix(b"lpt"));
    // The superscripts one, two and three count as digits there.
    number.is_some_and(|number| matches!(number, [b'1'..=b'9'] | [0xc2, 0xb9] | [0xc2, 0xb2] | [0xc2, 0xb3]))
}

/// Pairs of a file and another path that needs a folder in its place.
pub fn folder_clashes(files: &Files) -> Vec<(GitPath, GitPath)> {
    let mut clashes = Vec::new();
    for path in files.keys() {
        if let Some(file) = file_above(files, path) {
            clashes.push((file.clone(), path.clone()));
        }
    }
    clashes
}

/// The file that stands where `path` needs a folder.
pub(super) fn file_above<'a>(files: &'a Files, path: &GitPath) -> Option<&'a GitPath> {
    let bytes = path.as_bytes();
    let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes
        .map(|(at, _)| GitPath::new(&bytes[..at]))
        .find_map(|folder| files.get_key_value(&folder).map(|(path, _)| path))
}

/// Pairs of different paths that a file system without case takes for one, or where it takes one for a folder of
/// the other. Case is folded as Unicode's lower case where a path is UTF-8, else in ASCII; each path comes with
/// the first in byte order that it clashes with.
pub fn case_clashes<'a>(paths: impl IntoIterator<Item = &'a GitPath>) -> Vec<(GitPath, GitPath)> {
    let mut sorted: Vec<&GitPath> = paths.into_iter().collect();
    sorted.sort();
    sorted.dedup();
    let mut seen: BTreeMap<Vec<u8>, &GitPath> = BTreeMap::new();
    let mut clashes = Vec::new();
    for path in &sorted {
        match seen.get(&folded(path)) {
            Some(first) => clashes.push(((*first).clone(), (*path).clone())),
            None => {
                seen.insert(folded(path), path);
            }
        }
    }
    for path in &sorted {
        let folded = folded(path);
        let slashes = folded.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let above = slashes.map(|(at, _)| &folded[..at]).find_map(|folder| seen.get(folder));
        clashes.extend(above.map(|file| ((*file).clone(), (*path).clone())));
    }
    clashes.sort();
    clashes
}

fn folded(path: &GitPath) -> Vec<u8> {
    match std::str::from_utf8(path.as_bytes()) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => path.as_bytes().to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> GitPath {
        GitPath::new(text)
    }

    #[test]
    fn what_git_refuses_is_refused() {
        use PathProblem::*;
        for (text, problem) in [
            ("", Empty),
            ("/etc/passwd", Absolute),
            ("a//b", EmptyPart),
            ("a/", EmptyPart),
            ("..", Dots),
            ("../x", Dots),
            ("a/../b", Dots),
            ("./a", Dots),
            ("a/.", Dots),
            ("..\\x", Dots),
            ("a\0b", Nul),
            (".git", DotGit),
            (".git/hooks/pre-commit", DotGit),
            ("a/.GIT/config", DotGit),
            (".giT", DotGit),
            (".git.", DotGit),
            (".git ", DotGit),
            (".git . .", DotGit),
            ("git~1", DotGit),
            ("GIT~1/config", DotGit),
            ("git~1. ", DotGit),
            (".git::$INDEX_ALLOCATION/config", DotGit),
            (".git:stream", DotGit),
            ("a\\.git\\config", DotGit),
            (".git\\config", DotGit),
            (".g\u{200c}it/config", DotGit),
            ("\u{feff}.git", DotGit),
            (".GI\u{200d}T", DotGit),
        ] {
            assert_eq!(check(&path(text)), Err(problem), "{text:?}");
        }
        let cut = [b".git".to_vec(), vec![0xff]].concat();
        assert_eq!(check(&GitPath::new(cut)), Err(DotGit), "broken UTF-8 ends a name for git");
        for text in
            ["a", ".gitignore", ".github/x", "git", "git~2", ".git-x", "a..b", "...", "x.git", "aux.c"]
        {
            assert_eq!(check(&path(text)), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn modules_may_not_be_a_link_and_devices_may_not_be_new() {
        for text in [
            ".gitmodules",
            ".GITMODULES",
            ".gitmodules .",
            "gitmod~1",
            "GI7EBA~1",
            "gi7eb~23",
            ".gitm\u{200c}odules",
        ] {
            assert_eq!(check_file(&path(text), Mode::Symlink), Err(PathProblem::ModulesLink), "{text:?}");
            assert_eq!(check_file(&path(text), Mode::File), Ok(()), "{text:?}");
        }
        for text in ["gitmod~5", "gi7eba~0", "gi7eba", ".gitmodulesx"] {
            assert_eq!(check_file(&path(text), Mode::Symlink), Ok(()), "{text:?}");
        }
        for text in
            ["con", "AUX.c", "a/nul", "x/com1.txt", "LPT9", "prn .txt", "CONOUT$", "com\u{b9}", "nul:x"]
        {
            assert_eq!(check_new(&path(text), Mode::File), Err(PathProblem::Device), "{text:?}");
        }
        assert_eq!(check_new(&path("c:/x"), Mode::File), Err(PathProblem::Absolute));
        for text in ["console", "com0", "com10", "auxiliary.c", "x.con"] {
            assert_eq!(check_new(&path(text), Mode::File), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn clashes_are_found_with_and_without_case() {
        let list = ["A/x", "a/x", "b", "B/c", "d", "d/e", "É", "é"].map(path);
        let found = case_clashes(&list);
        assert_eq!(
            found,
            [("A/x", "a/x"), ("b", "B/c"), ("d", "d/e"), ("É", "é")].map(|(a, b)| (path(a), path(b)))
        );
        let file = super::super::File { mode: Mode::File, oid: crate::domain::ids::Oid::Sha1([0; 20]) };
        let files: Files = list.into_iter().map(|path| (path, file)).collect();
        assert_eq!(folder_clashes(&files), [(path("d"), path("d/e"))]);
    }
}
