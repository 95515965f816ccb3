//! Patterns, and lists of them.

use proptest::prelude::*;

use crate::domain::policy::{PathPatterns, RefPattern};

#[test]
fn refs_are_matched_by_their_full_names() {
    for (pattern, yes, no) in [
        ("refs/heads/main", &["refs/heads/main"][..], &["refs/heads/main2", "refs/heads/main/x", "main"][..]),
        ("refs/heads/*", &["refs/heads/a", "refs/heads/é", "refs/heads/a/b"], &["refs/tags/a", "refs/heads"]),
        (
            "refs/heads/release/*",
            &["refs/heads/release/1/x"],
            &["refs/heads/release", "refs/heads/prerelease/1"],
        ),
        ("refs/heads/**", &["refs/heads/a", "refs/heads/a/b"], &["refs/tags/a", "refs/heads"]),
        ("refs/**", &["refs/heads/a", "refs/stash"], &["HEAD"]),
        ("refs/**/main", &["refs/main", "refs/heads/main", "refs/heads/a/main"], &["refs/heads/amain"]),
        ("refs/heads/v[0-9]?", &["refs/heads/v1a"], &["refs/heads/va1", "refs/heads/v1"]),
        ("refs/tags/[!v]*", &["refs/tags/x", "refs/tags/x/y"], &["refs/tags/v"]),
        ("refs/heads/{a}", &["refs/heads/{a}"], &["refs/heads/a"]),
    ] {
        let parsed = RefPattern::parse(pattern).unwrap();
        assert!(yes.iter().all(|name| parsed.matches(name)), "{pattern}");
        assert!(!no.iter().any(|name| parsed.matches(name)), "{pattern}");
    }
}

#[test]
fn patterns_that_match_no_ref_are_refused() {
    for (pattern, message) in [
        ("", "`` is not the full name of a ref"),
        ("main", "`main` is not the full name of a ref"),
        ("*", "`*` is not the full name of a ref"),
        ("/refs/heads/main", "`/refs/heads/main` is not the full name of a ref"),
        (" refs/heads/main", "` refs/heads/main` is not the full name of a ref"),
        ("Refs/heads/main", "`Refs/heads/main` is not the full name of a ref"),
        ("!refs/heads/x", "`!refs/heads/x`: refs cannot be left out"),
        ("refs/heads/main ", "`refs/heads/main ` holds ` `, which no ref does"),
        ("refs/heads/ma\u{200b}in", "`refs/heads/ma\\u{200b}in` holds `\\u{200b}`, which no ref does"),
        ("refs\\heads\\main", "`refs\\\\heads\\\\main` is not the full name of a ref"),
        ("refs/heads\\main", "`refs/heads\\\\main` holds `\\\\`, which no ref does"),
        ("refs/heads/[^a]", "`refs/heads/[^a]` holds `^`, which no ref does"),
        ("refs/heads/", "`refs/heads/` matches no ref"),
        ("refs//main", "`refs//main` matches no ref"),
        ("refs/heads/.x", "`refs/heads/.x` matches no ref"),
        ("refs/heads/*.lock", "`refs/heads/*.lock` matches no ref"),
        ("refs/heads/a..b", "`refs/heads/a..b` matches no ref"),
        ("refs/heads/a.", "`refs/heads/a.` matches no ref"),
        ("refs/heads/a@{1}", "`refs/heads/a@{1}` matches no ref"),
        ("refs/heads", "`refs/heads` matches no branch and no tag"),
        ("refs/*", "`refs/*` matches no branch and no tag"),
        ("refs/head/main", "`refs/head/main`: there is no `refs/head/`"),
        ("refs/remotes/origin/main", "`refs/remotes/origin/main` names copies of another repository's refs"),
        (
            "refs/heads/release-**",
            "`refs/heads/release-**`: `**` beside other characters is no more than `*`",
        ),
        ("refs/heads/***", "`refs/heads/***`: `**` beside other characters is no more than `*`"),
        ("refs/heads/{a,b}", "`refs/heads/{a,b}`: braces stand for themselves here"),
        ("refs/heads/[a", "`refs/heads/[a`: a `[` that is not closed"),
        ("refs/heads/[z-a]", "`refs/heads/[z-a]`: nothing is in `z-a`"),
    ] {
        let unfit = RefPattern::parse(pattern).expect_err(pattern);
        assert_eq!(unfit.to_string(), message);
        assert!(!unfit.hint.is_empty());
    }
}

#[test]
fn paths_are_chosen_as_gitignore_would() {
    for (patterns, yes, no) in [
        (&["src"][..], &["src", "src/a", "x/src/y"][..], &["srcs", "a/srcs/b"][..]),
        (&["/src"], &["src", "src/a/b"], &["x/src"]),
        (&["src/"], &["src/a", "x/src/y", "src", "x/src"], &["srca"]),
        (&["*.rs"], &["a.rs", "x/y/a.rs", "dir.rs/a"], &["a.rs.txt", "ars"]),
        (&["src/*.rs"], &["src/a.rs"], &["src/x/a.rs", "x/src/a.rs"]),
        (&["src/**/*.rs"], &["src/a.rs", "src/x/y/a.rs"], &["a.rs"]),
        (&["**/migrations/**"], &["migrations/a", "x/migrations/y/z"], &["migration/a"]),
        (&[".receipts/**"], &[".receipts/policy.toml", ".receipts/a/b"], &["x/.receipts/a", ".Receipts/a"]),
        (&["docs/*", "!docs/a"], &["docs/b", "docs/b/a"], &["docs/a", "docs/a/b", "x/docs/b"]),
        (&["docs/*", "!docs/a", "docs/a/b"], &["docs/a/b", "docs/a/b/c"], &["docs/a/c"]),
        (&["/*", "!/docs/"], &["a", "docs", "x/docs/a"], &["docs/a", "docs/b/c"]),
        (&["**", "!/docs/", "!/docs/**"], &["a", "docs", "x/docs/a"], &["docs/a", "docs/b/c"]),
        (&["\\!a", "\\#b", "c\\ d", "\\[e]"], &["!a", "#b", "c d", "[e]"], &["a", "b", "e", "\\!a"]),
        (&["[Mm]akefile"], &["Makefile", "x/makefile"], &["akefile"]),
        (&["data?"], &["data1"], &["data", "data/1", "dataé"]),
    ] {
        let parsed = PathPatterns::parse(patterns).unwrap_or_else(|(_, unfit)| panic!("{unfit}"));
        let covered = |path: &&str| parsed.covers(path.as_bytes());
        assert!(yes.iter().all(covered), "{patterns:?}: {:?}", yes.iter().find(|path| !covered(path)));
        assert!(!no.iter().any(covered), "{patterns:?}: {:?}", no.iter().find(|path| covered(path)));
        for odd in ["", "/", "/a", "a/", "a//b"] {
            assert!(parsed.covers(odd.as_bytes()), "nobody knows what `{odd}` would be");
        }
    }
    let parsed = PathPatterns::parse(&["a?b"]).unwrap();
    assert!(parsed.covers(b"a\xffb") && !parsed.covers(b"\xff"));
}

#[test]
fn patterns_that_choose_nothing_are_refused() {
    let stars = "*a".repeat(13);
    let long = "a".repeat(4097);
    for (patterns, index, message) in [
        (&[""][..], 0, "`` has an empty part, so that it matches no file"),
        (&["/"], 0, "`/` has an empty part, so that it matches no file"),
        (&["a", "!"], 1, "`!` has an empty part, so that it matches no file"),
        (&["a//b"], 0, "`a//b` has an empty part, so that it matches no file"),
        (&["a//"], 0, "`a//` has an empty part, so that it matches no file"),
        (&["./a"], 0, "`./a` has a part that is `.` or `..`, so that it matches no file"),
        (&["a/../b"], 0, "`a/../b` has a part that is `.` or `..`, so that it matches no file"),
        (&["**/.GIT/**"], 0, "`**/.GIT/**` has a part that is `.git`, so that it matches no file"),
        (&[" a"], 0, "` a` begins or ends with a space"),
        (&["a "], 0, "`a ` begins or ends with a space"),
        (&["a\\ "], 0, "`a\\\\ ` begins or ends with a space"),
        (&["a\t"], 0, "`a\\t` holds `\\t`, which nobody sees"),
        (&["a\u{ad}b"], 0, "`a\\u{ad}b` holds `\\u{ad}`, which nobody sees"),
        (&["#a"], 0, "`#a` would be a comment in `.gitignore`"),
        (&["a", "!!a"], 1, "`!!a` has two `!`"),
        (&["src\\a"], 0, "`src\\\\a` has a backslash that is not needed"),
        (&["a\\"], 0, "`a\\\\` has a backslash that is not needed"),
        (&["src/**.rs"], 0, "`src/**.rs`: `**` beside other characters is no more than `*`"),
        (&["src**"], 0, "`src**`: `**` beside other characters is no more than `*`"),
        (&["*.{js,ts}"], 0, "`*.{js,ts}`: braces stand for themselves here"),
        (&["app/[id]/**"], 0, "`app/[id]/**`: brackets stand for one character out of them"),
        (&["app/[[...slug]].ts"], 0, "`app/[[...slug]].ts`: brackets stand for one character out of them"),
        (&["[a"], 0, "`[a`: a `[` that is not closed"),
        (&["[a/b]"], 0, "`[a/b]`: a `[` that is not closed"),
        (&["[]"], 0, "`[]`: a `[` that is not closed"),
        (&["x[é]"], 0, "`x[é]`: a set matches one byte, and `é` has more"),
        (&["x[[:word:]]"], 0, "`x[[:word:]]`: there is no set `[:word:]`"),
        (&["x[9-0]"], 0, "`x[9-0]`: nothing is in `9-0`"),
        (&[&stars], 0, "`*a*a*a*a*a*a*a*a*a*a*a*a*a` has more than 12 stars"),
        (&[&long], 0, &format!("`{}…` is longer than 4096 bytes", "a".repeat(60))),
        (&["a", "a"], 1, "`a` stands in the list already, with or without `!`"),
        (&["a", "!a"], 1, "`!a` stands in the list already, with or without `!`"),
        (&["!docs/**"], 0, "`!docs/**` leaves out what nothing has chosen"),
        (&["src/**", "!**"], 1, "`!**` leaves out everything before it"),
        (&["**", "!docs/"], 1, "`!docs/` leaves out no file: `**` chooses each by itself"),
        (&["src", "!src/a", "**/*"], 1, "`!src/a` leaves out no file: `**/*` chooses each by itself"),
        (&["**", "!docs/**"], 1, "`!docs/**` leaves out nothing: folder `docs` as a whole is chosen by `**`"),
        (&["docs/", "!docs/a/*.md"], 1, {
            "`!docs/a/*.md` leaves out nothing: folder `docs` as a whole is chosen by `docs/`"
        }),
    ] {
        let (at, unfit) = PathPatterns::parse(patterns).expect_err(patterns[0]);
        assert_eq!((at, unfit.to_string().as_str()), (index, message));
        assert!(!unfit.hint.is_empty());
    }
}

#[test]
fn the_worst_pattern_is_matched_in_time() {
    let path = "a/".repeat(200) + "b";
    for part in ["**/a/", "*a", "a*", "**/*a/*/"] {
        let mut pattern = part.repeat(12 / part.matches("**").count().max(1));
        while let Err((_, unfit)) = PathPatterns::parse(&[&(pattern.clone() + "x")]) {
            assert!(unfit.message.contains("stars"), "{unfit}");
            pattern.truncate(pattern.len() - part.len());
        }
        assert!(!PathPatterns::parse(&[pattern + "x"]).unwrap().covers(path.as_bytes()));
    }
}

/// Patterns of paths and refs, most of which are taken.
pub(crate) fn globs() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "b",
        "ab",
        "*",
        "*",
        "**",
        "**",
        "?",
        "a*",
        "*b",
        "?b",
        "a?",
        "[ab]b",
        "[!a]",
        "[a-b]*",
        "\\*",
        "\\a",
        "[[:alpha:]]b",
        "x",
        "[]a]x",
        "[a\\]]",
        "a[",
        "a*b*",
    ]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

/// Lists as in a `.gitignore`.
pub(crate) fn lists() -> impl Strategy<Value = Vec<String>> {
    let sign = prop::sample::select(vec!["", "", "", "!", "!"]);
    let begin = prop::sample::select(vec!["", "", "/"]);
    let end = prop::sample::select(vec!["", "", "", "/"]);
    let pattern =
        (sign, begin, globs(), end).prop_map(|(sign, begin, glob, end)| format!("{sign}{begin}{glob}{end}"));
    prop::collection::vec(pattern, 1..5)
}

pub(crate) fn paths() -> impl Strategy<Value = Vec<String>> {
    let part = prop::sample::select(vec!["a", "b", "ab", "aab", "x", "]", "!"]);
    let path = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    prop::collection::vec(path, 1..20)
}

proptest! {
    #[test]
    fn no_pattern_makes_the_reader_panic(text in prop_oneof![any::<String>(), "[]ab*?\\[!^/:{},. -]{0,12}"], path in any::<Vec<u8>>()) {
        if let Ok(patterns) = PathPatterns::parse(&[&text]) {
            patterns.covers(&path);
        }
        if let Ok(pattern) = RefPattern::parse(&format!("refs/heads/{text}")) {
            pattern.matches(&String::from_utf8_lossy(&path));
        }
    }

    #[test]
    fn another_pattern_never_takes_a_file_out(list in lists(), more in globs(), paths in paths()) {
        let longer = [&list[..], &[more]].concat();
        let (Ok(list), Ok(longer)) = (PathPatterns::parse(&list), PathPatterns::parse(&longer)) else {
            return Ok(());
        };
        for path in paths {
            prop_assert!(!list.covers(path.as_bytes()) || longer.covers(path.as_bytes()), "{path}");
        }
    }
}
