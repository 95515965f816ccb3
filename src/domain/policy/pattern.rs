//! Which refs and which files a rule is about.
//!
//! Both are git's own patterns, matched by gitoxide's `wildmatch`. What git would take and never match is refused,
//! and so is what git reads otherwise than most people.

use std::collections::HashSet;
use std::fmt;

use gix_glob::pattern::{Case, Mode};
use gix_glob::wildmatch;

use super::{check_principal, shown};
use crate::domain::signers;

/// Neither `*` nor `?` nor a set of characters stands for a slash.
const PATHNAME: wildmatch::Mode = wildmatch::Mode::NO_MATCH_SLASH_LITERAL;

/// The most `*` and `**` in a pattern: some patterns take time that doubles with each of them.
const MAX_STARS: usize = 12;

/// The longest pattern, in bytes; few systems open longer paths.
const MAX_LENGTH: usize = 4096;

/// Why a text is no pattern, or no use as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unfit {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

fn unfit<T>(message: impl Into<String>, hint: &'static str) -> Result<T, Unfit> {
    Err(Unfit { message: message.into(), hint })
}

/// A full ref name in which `*` stands for anything, slashes too, and `?` for any one character.
///
/// It is matched as `git branch --list` and `git for-each-ref` match theirs, and a ref that either would list is meant:
/// a rule for `refs/heads/*` that passed `refs/heads/topic/x` by would leave open what it seems to close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefPattern(String);

impl RefPattern {
    /// Takes a pattern that begins with `refs/` and can match the name of a branch, a tag or the like.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        const FULL: &str = "write the full name, such as `refs/heads/main`";
        const FORM: &str = "a ref has no space and none of `~^:\\` in its name, no `..`, no part that is empty, \
                            begins with `.` or ends with `.lock`";
        let text_shown = shown(text);
        if text.starts_with('!') {
            return unfit(
                format!("`{text_shown}`: refs cannot be left out"),
                "name the refs that the rule is about",
            );
        }
        let Some(rest) = text.strip_prefix("refs/") else {
            return unfit(format!("`{text_shown}` is not the full name of a ref"), FULL);
        };
        let stranger = |c: char| matches!(c, ' ' | '~' | '^' | ':' | '\\') || is_unseen(c);
        if let Some(bad) = text.chars().find(|&c| stranger(c)) {
            return unfit(format!("`{text_shown}` holds `{}`, which no ref does", bad.escape_debug()), FORM);
        }
        literal_length(text)?;
        let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
        if text.split('/').any(bad_part) || text.contains("..") || text.contains("@{") || text.ends_with('.')
        {
            return unfit(format!("`{text_shown}` matches no ref"), FORM);
        }
        match rest.split_once('/') {
            Some(("remotes", _)) => unfit(
                format!("`{text_shown}` names copies of another repository's refs"),
                "name the ref as it is called there, such as `refs/heads/main`",
            ),
            Some((kind @ ("head" | "tag" | "branch" | "branches"), _)) => unfit(
                format!("`{text_shown}`: there is no `refs/{kind}/`"),
                "branches are `refs/heads/…`, tags `refs/tags/…`",
            ),
            None if rest != "**" => unfit(
                format!("`{text_shown}` matches no branch and no tag"),
                "branches are `refs/heads/…`, tags `refs/tags/…`; `refs/heads/*` is all branches, `refs/**` all refs",
            ),
            _ => Ok(RefPattern(text.to_owned())),
        }
    }

    /// Whether it matches the ref of this full name.
    pub fn matches(&self, name: &str) -> bool {
        let matches = |mode| gix_glob::wildmatch(self.0.as_str().into(), name.into(), mode);
        matches(wildmatch::Mode::empty()) || matches(PATHNAME)
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RefPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A choice of files, read as the lines of a `.gitignore` at the top are: what they would ignore is chosen.
///
/// So the last pattern that matches a file decides, `!` leaves out, and nothing under a chosen folder can be left
/// out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPatterns(Vec<PathPattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct PathPattern {
    text: String,
    compiled: gix_glob::Pattern,
    /// The folders that hold whatever it matches, as far as it spells them out.
    parents: Vec<String>,
}

impl PathPatterns {
    /// All files.
    pub fn everything() -> Self {
        Self::parse(&["**"]).expect("this is one pattern and a good one")
    }

    /// Takes patterns in their order; the error comes with the index of the pattern that it is about.
    pub fn parse(texts: &[impl AsRef<str>]) -> Result<Self, (usize, Unfit)> {
        if texts.is_empty() {
            return Err((
                0,
                Unfit { message: "no patterns".to_owned(), hint: "choose `**`, which is everything" },
            ));
        }
        let mut patterns = Vec::new();
        let mut seen = HashSet::new();
        for (index, text) in texts.iter().map(AsRef::as_ref).enumerate() {
            let at = |unfit| (index, unfit);
            let pattern = PathPattern::parse(text).map_err(at)?;
            if !seen.insert(text.strip_prefix('!').unwrap_or(text)) {
                let message = format!("`{}` stands in the list already, with or without `!`", shown(text));
                return Err(at(Unfit { message, hint: "keep the one that is meant" }));
            }
            patterns.push(pattern);
        }
        let patterns = PathPatterns(patterns);
        patterns.check_negations()?;
        Ok(patterns)
    }

    /// Whether the file at a path is chosen.
    ///
    /// What has a folder's place without being one, a submodule or a symbolic link, is chosen where such a folder
    /// would be. A path that git would not write, such as an empty one, always is.
    pub fn covers(&self, path: &[u8]) -> bool {
        if path.split(|&byte| byte == b'/').any(<[u8]>::is_empty) {
            return true;
        }
        let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(at, _)| at);
        slashes.chain([path.len()]).any(|end| self.chooses(&path[..end], true)) || self.chooses(path, false)
    }

    /// Whether nothing at all is left out.
    pub fn is_everything(&self) -> bool {
        self.0.iter().all(|pattern| !pattern.is_negative())
            && self.0.iter().any(|pattern| pattern.matches_every_file() || pattern.text == "/*")
    }

    /// The patterns as written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|pattern| pattern.text.as_str())
    }

    /// What the last pattern that matches says, those above it in the path left aside.
    fn chooses(&self, path: &[u8], is_dir: bool) -> bool {
        self.last_match(path, is_dir).is_some_and(|pattern| !pattern.is_negative())
    }

    fn last_match(&self, path: &[u8], is_dir: bool) -> Option<&PathPattern> {
        let name = path.iter().rposition(|&byte| byte == b'/').map(|slash| slash + 1);
        self.0.iter().rev().find(|pattern| {
            let pattern = &pattern.compiled;
            pattern.matches_repo_relative_path(path.into(), name, Some(is_dir), Case::Sensitive, PATHNAME)
        })
    }

    /// Refuses what leaves nothing out, or everything.
    fn check_negations(&self) -> Result<(), (usize, Unfit)> {
        let all = &self.0;
        let refuse = |index: usize, message: &str, hint| {
            let message = format!("`{}` {message}", shown(&all[index].text));
            Err((index, Unfit { message, hint }))
        };
        let Some(first) = all.iter().position(PathPattern::is_negative) else { return Ok(()) };
        if first == 0 {
            return refuse(
                0,
                "leaves out what nothing has chosen",
                "choose first, then leave out: all but a folder is `/*` and `!/folder/`",
            );
        }
        if let Some(index) =
            all.iter().position(|pattern| pattern.is_negative() && pattern.matches_every_file())
        {
            return refuse(index, "leaves out everything before it", "delete it and what it leaves out");
        }
        let last_of_all =
            all.iter().rposition(|pattern| !pattern.is_negative() && pattern.matches_every_file());
        if let Some(last) = last_of_all
            && !all[last..].iter().any(|pattern| pattern.is_negative() && !pattern.is_folder())
        {
            return refuse(
                first,
                &format!("leaves out no file: `{}` chooses each by itself", shown(&all[last].text)),
                "choose `/*` instead, or leave out a folder and what is in it: `!/folder/` and `!/folder/**`",
            );
        }
        for (index, pattern) in all.iter().enumerate().filter(|(_, pattern)| pattern.is_negative()) {
            for parent in &pattern.parents {
                let Some(by) = self.last_match(parent.as_bytes(), true).filter(|by| !by.is_negative()) else {
                    continue;
                };
                let message = format!(
                    "leaves out nothing: folder `{}` as a whole is chosen by `{}`",
                    shown(parent),
                    shown(&by.text)
                );
                return refuse(
                    index,
                    &message,
                    "leave the folder itself out first, as `!/folder/`; where `folder/` is chosen, choose `folder/*`",
                );
            }
        }
        Ok(())
    }
}

impl PathPattern {
    fn parse(text: &str) -> Result<Self, Unfit> {
        let text_shown = shown(text);
        if let Some(bad) = text.chars().find(|&c| is_unseen(c)) {
            return unfit(
                format!("`{text_shown}` holds `{}`, which nobody sees", bad.escape_debug()),
                "delete it; where a file's name has it, write `?`",
            );
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return unfit(
                format!("`{text_shown}` begins or ends with a space"),
                "delete it; where a file's name has it, write `?`",
            );
        }
        if text.starts_with('#') {
            return unfit(format!("`{text_shown}` would be a comment in `.gitignore`"), "write `\\#`");
        }
        let pattern = text.strip_prefix('!').unwrap_or(text);
        if pattern.starts_with('!') && pattern.len() < text.len() {
            return unfit(
                format!("`{text_shown}` has two `!`"),
                "write `!\\!` where a file's name begins with `!`",
            );
        }
        let anchored = pattern.strip_prefix('/');
        let bare = anchored.unwrap_or(pattern);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        let literal = literal_length(bare)?;
        for part in bare.split('/') {
            let why = match part {
                "" => "an empty part",
                "." | ".." => "a part that is `.` or `..`",
                part if part.eq_ignore_ascii_case(".git") => "a part that is `.git`",
                _ => continue,
            };
            return unfit(
                format!("`{text_shown}` has {why}, so that it matches no file"),
                "write the path from the top of the repository, as `git ls-files` does",
            );
        }
        if bare.split('/').any(is_bracketed_name) {
            return unfit(
                format!("`{text_shown}`: brackets stand for one character out of them"),
                "write `\\[name]` for a name with brackets, or one pattern for each character",
            );
        }
        let mut parents = Vec::new();
        if anchored.is_some() || bare.contains('/') {
            let ends = bare.match_indices('/').map(|(at, _)| at);
            parents.extend(ends.take_while(|&at| at <= literal).map(|at| bare[..at].to_owned()));
        }
        let compiled = gix_glob::parse(text).expect("there is more to it than space");
        Ok(PathPattern { text: text.to_owned(), compiled, parents })
    }

    fn is_negative(&self) -> bool {
        self.compiled.is_negative()
    }

    /// Whether it matches folders only, and so only what is in them.
    fn is_folder(&self) -> bool {
        self.compiled.mode.contains(Mode::MUST_BE_DIR)
    }

    /// Whether it matches each file there can be, and not only the folder above it.
    fn matches_every_file(&self) -> bool {
        let text = self.text.strip_prefix('!').unwrap_or(&self.text);
        let (top_only, text) = text.strip_prefix('/').map_or((false, text), |rest| (rest == "*", rest));
        let (above, name) = text.rsplit_once('/').unwrap_or(("**", text));
        !top_only && matches!(name, "*" | "**") && above.split('/').all(|part| part == "**")
    }
}

/// How many bytes there are before the first that stands for more than itself; refuses what git would read, but
/// not as it was meant.
fn literal_length(text: &str) -> Result<usize, Unfit> {
    let text_shown = shown(text);
    if text.len() > MAX_LENGTH {
        return unfit(format!("`{text_shown}` is longer than {MAX_LENGTH} bytes"), "use a `*`");
    }
    if has_alternatives(text) {
        return unfit(
            format!("`{text_shown}`: braces stand for themselves here"),
            "write one pattern for each; where a name has a brace, write `[{]`",
        );
    }
    let (mut stars, mut literal, mut at) = (0, None, 0);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at + c.len_utf8()..];
        let length = match c {
            '*' => {
                stars += 1;
                let deep = rest.starts_with('*');
                let alone = text[..at].is_empty() || text[..at].ends_with('/');
                if deep && !(alone && (rest == "*" || rest.starts_with("*/"))) {
                    return unfit(
                        format!("`{text_shown}`: `**` beside other characters is no more than `*`"),
                        "put `**` alone between slashes, such as `src/**/*.rs`",
                    );
                }
                1 + usize::from(deep)
            }
            '?' => 1,
            '\\' if rest.starts_with(['*', '?', '[', ']', '\\', '!', '#', ' ']) => 2,
            '\\' => {
                return unfit(
                    format!("`{text_shown}` has a backslash that is not needed"),
                    "folders are separated by `/`; a backslash makes `*`, `?`, `[` or `\\` stand for itself",
                );
            }
            '[' => match set(rest) {
                Ok(inside) => 1 + inside + 1,
                Err(what) => {
                    return unfit(
                        format!("`{text_shown}`: {what}"),
                        "a set is `[a-z]` or `[!a-z]`; for the bracket itself write `\\[`",
                    );
                }
            },
            _ => {
                at += c.len_utf8();
                continue;
            }
        };
        literal.get_or_insert(at);
        at += length;
    }
    if stars > MAX_STARS {
        return unfit(format!("`{text_shown}` has more than {MAX_STARS} stars"), "write several patterns");
    }
    Ok(literal.unwrap_or(text.len()))
}

const SETS: [&str; 12] = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
    "xdigit",
];

/// Where a set of characters ends whose text begins after its `[`.
fn set(text: &str) -> Result<usize, String> {
    let open = || "a `[` that is not closed".to_owned();
    let negated = usize::from(text.starts_with(['!', '^']));
    let mut at = negated;
    // One character, which a backslash may stand before.
    let one = |at: &mut usize| {
        let escaped = usize::from(text[*at..].starts_with('\\'));
        let c = text[*at + escaped..].chars().next().filter(|&c| c != '/').ok_or_else(open)?;
        *at += escaped + c.len_utf8();
        if c.is_ascii() { Ok(c) } else { Err(format!("a set matches one byte, and `{c}` has more")) }
    };
    loop {
        // A bracket that would close an empty set is a member of it.
        if at > negated && text[at..].starts_with(']') {
            return Ok(at);
        }
        if let Some(name) = text[at..].strip_prefix("[:") {
            let (name, _) = name.split_once(":]").ok_or_else(open)?;
            if !SETS.contains(&name) {
                return Err(format!("there is no set `[:{}:]`", shown(name)));
            }
            at += name.len() + 4;
            continue;
        }
        let from = one(&mut at)?;
        if text[at..].starts_with('-') && !text[at + 1..].starts_with(']') {
            at += 1;
            let to = one(&mut at)?;
            if to < from {
                return Err(format!("nothing is in `{from}-{to}`"));
            }
        }
    }
}

/// Whether braces look like a choice, which they are to a shell.
fn has_alternatives(text: &str) -> bool {
    text.match_indices('{').any(|(at, _)| {
        let inside = text[at..].split('}').next().unwrap_or_default();
        inside.contains(',') && at + inside.len() < text.len() && !text[..at].ends_with('[')
    })
}

/// A part that looks like a folder or file called `[name]`, and would be any one of these letters.
fn is_bracketed_name(part: &str) -> bool {
    let Some(rest) = part.strip_prefix('[') else { return false };
    let Ok(end) = set(rest) else { return false };
    let (inside, after) = (&rest[..end], &rest[end + 1..]);
    let plain = !inside.starts_with(['!', '^']) && !inside.contains(['-', '\\', ':']);
    plain && inside.len() > 1 && (after.is_empty() || after.starts_with([']', '.']))
}

/// Whether a character is one that no name of a signer may hold either, because nobody would see it.
pub(super) fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(
        check_principal(&format!("x{c}x")),
        Err(signers::Problem::Control(_) | signers::Problem::Invisible(_))
    )
}
