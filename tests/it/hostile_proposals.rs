//! Paths that nobody may write and tables that lie, from every source, refused before anything is written.

use std::path::Path;

use serde_json::json;

use crate::support::{TestRepo, check};

/// Paths that a proposal must not write, and whether plain git lets a tree have them.
const PATHS: &[&str] = &[
    "../x",
    "a/../../x",
    "/absolute",
    ".git/hooks/pre-commit",
    ".GIT/config",
    ".Git/x",
    "sub/.git/config",
    "git~1/config",
    "GIT~1",
    ".git./x",
    ".git /x",
    ".git::$INDEX_ALLOCATION/x",
    ".g\u{200c}it/config",
    "sub/.gi\u{200d}t",
    "a//b",
    "./x",
    "sub/.",
    "link/inside",
    "con",
    "sub/NUL.txt",
    "aux.c",
    "com1",
    "LPT9.log",
    "c:/x",
    "sub\\..\\x",
    ".git\\config",
];

/// A repository with a link to a folder outside of it.
fn with_link() -> TestRepo {
    let repo = TestRepo::new();
    std::fs::create_dir_all(repo.folder.path().join("outside")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../outside", repo.path.join("link")).unwrap();
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "A link"]);
    repo
}

/// Everything that a refusal must leave alone.
fn state(repo: &TestRepo) -> (String, String, String, usize) {
    let outside = std::fs::read_dir(repo.folder.path().join("outside")).unwrap().count();
    (repo.git(&["for-each-ref"]), repo.git(&["status", "--porcelain"]), repo.git(&["count-objects"]), outside)
}

fn refused(repo: &TestRepo, source: &[&str], what: &str) {
    let before = state(repo);
    let args = [&["propose", "-m", "Attack"], source].concat();
    let output = repo.try_receipt(&args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{what}: {said}{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(state(repo), before, "{what}: {said}");
}

#[test]
fn no_list_of_edits_leads_out_of_the_project() {
    let repo = with_link();
    for path in PATHS {
        for edit in [
            json!([{ "path": path, "content": "x" }]),
            json!([{ "path": "fine.txt", "content": "x" }, { "path": path, "content": "x" }]),
        ] {
            let file = repo.folder.path().join("edits.json");
            std::fs::write(&file, edit.to_string()).unwrap();
            refused(&repo, &["--edits", file.to_str().unwrap()], path);
        }
    }
    for (edits, problem) in [
        (json!({ "path": "x" }), "no array"),
        (json!([{ "path": "x" }]), "says nothing"),
        (json!([{ "path": "x", "content": "a", "delete": true }]), "two things at once"),
        (json!([{ "path": "x", "content": "a", "mode": 1 }]), "unknown field"),
        (json!([{ "path": "file", "old": "", "new": "a" }]), "empty old"),
        (json!([{ "path": "file", "old": "absent", "new": "a" }]), "absent old"),
        (
            json!([{ "path": "file", "old": "n", "new": "a" }, { "path": "none", "delete": true }]),
            "absent file",
        ),
        (json!([{ "path": "link", "content": "a" }]), "through a link"),
        (json!([{ "path": "file/below", "content": "a" }]), "below a file"),
        (json!([{ "path": "", "content": "a" }]), "empty path"),
        (json!([{ "path": "nul\u{0}", "content": "a" }]), "NUL"),
    ] {
        let file = repo.folder.path().join("edits.json");
        std::fs::write(&file, edits.to_string()).unwrap();
        refused(&repo, &["--edits", file.to_str().unwrap()], problem);
    }
    let file = repo.folder.path().join("edits.json");
    std::fs::write(&file, r#"[{"path":"x","path":"y","content":"a"}]"#).unwrap();
    refused(&repo, &["--edits", file.to_str().unwrap()], "a key twice");
}

#[test]
fn no_patch_leads_out_of_the_project() {
    let repo = with_link();
    for path in PATHS {
        let quoted = path.replace('\\', "\\\\");
        let patch = format!(
            "diff --git \"a/{quoted}\" \"b/{quoted}\"\nnew file mode 100644\n--- /dev/null\n+++ \"b/{quoted}\"\n@@ -0,0 +1 @@\n+x\n"
        );
        let file = repo.folder.path().join("a.patch");
        std::fs::write(&file, patch).unwrap();
        refused(&repo, &["--patch", file.to_str().unwrap()], path);
    }
}

/// Writes a tree object byte for byte, as git itself would not.
fn raw_tree(repo: &TestRepo, entries: &[(&str, &str, &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let id: Vec<u8> =
            (0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()).collect();
        bytes.extend_from_slice(&id);
    }
    let file = repo.folder.path().join("tree");
    std::fs::write(&file, bytes).unwrap();
    repo.git(&["hash-object", "-t", "tree", "-w", "--literally", file.to_str().unwrap()])
}

#[test]
fn no_crafted_tree_leads_out_of_the_project() {
    let repo = with_link();
    let blob = repo.git(&["rev-parse", "HEAD:file"]);
    for path in PATHS {
        let mut parts: Vec<&str> = path.split('/').collect();
        let mut tree = raw_tree(&repo, &[("100644", parts.pop().unwrap(), &blob)]);
        for part in parts.iter().rev() {
            tree = raw_tree(&repo, &[("40000", part, &tree)]);
        }
        // A folder of that name, not the link that the base has, is a change of type and no way out.
        if *path == "link/inside" {
            let target = repo.git(&["rev-parse", "HEAD:link"]);
            let folder = raw_tree(&repo, &[("100644", "inside", &blob)]);
            tree = raw_tree(&repo, &[("120000", "link", &target), ("40000", "link", &folder)]);
        }
        refused(&repo, &["--tree", &tree], path);
    }
    // One name with a slash in it.
    for name in ["../x", "a/b", "link/inside", ".git/config"] {
        let tree = raw_tree(&repo, &[("100644", name, &blob)]);
        refused(&repo, &["--tree", &tree], name);
    }
    let odd = raw_tree(&repo, &[("100664", "file", &blob), ("100644", "more", &blob)]);
    refused(&repo, &["--tree", &odd], "a mode that git no longer writes");
    let modules = raw_tree(&repo, &[("120000", ".gitmodules", &blob)]);
    refused(&repo, &["--tree", &modules], "`.gitmodules` as a link");
    let twins = raw_tree(&repo, &[("100644", "Readme", &blob), ("100644", "readme", &blob)]);
    refused(&repo, &["--tree", &twins], "one path where case does not count");
}

/// Signs a proposal whose table is `table`, whatever it says.
fn forged(repo: &TestRepo, table: &str, count: u64, tree: &str) -> String {
    let receipt = repo.receipt(&["open", "-m", "Forged"]);
    let file = repo.folder.path().join("lines.json");
    std::fs::write(&file, table).unwrap();
    let oid = repo.git(&["hash-object", "-w", file.to_str().unwrap()]);
    let mut sum = repo.command("sha256sum", Path::new("/"), &[file.to_str().unwrap()]);
    sum.env("LC_ALL", "C");
    let digest = check(sum).split(' ').next().unwrap().to_owned();
    let (commit, base) = (repo.git(&["rev-parse", "HEAD"]), repo.git(&["rev-parse", "HEAD^{tree}"]));
    let data = json!({
        "revision": 1,
        "base": { "commit": format!("sha1:{commit}"), "tree": format!("sha1:{base}") },
        "tree": format!("sha1:{tree}"),
        "lines": {
            "digest": format!("sha256:{digest}"), "oid": format!("sha1:{oid}"), "count": count,
            "added": 0, "removed": 0, "mutated": count, "moved": 0, "files": 1,
        },
        "algorithm": "mine",
        "summary": "Forged",
    });
    let line = json!({ "kind": "proposal.made", "data": data });
    std::fs::write(&file, format!("{line}\n")).unwrap();
    repo.receipt(&["record", "--receipt", &receipt, file.to_str().unwrap()]);
    repo.receipt(&["close", &receipt, "--status", "completed"]);
    receipt
}

#[test]
fn tables_that_lie_are_found_and_never_applied() {
    let repo = with_link();
    std::fs::write(repo.path.join("file"), "ONE\n").unwrap();
    std::fs::write(repo.path.join("other"), "new\n").unwrap();
    repo.git(&["add", "."]);
    let two_files = repo.git(&["write-tree"]);
    repo.git(&["rm", "-q", "--cached", "other"]);
    let tree = repo.git(&["write-tree"]);
    let (old, new) = (repo.git(&["rev-parse", "HEAD:file"]), repo.git(&["rev-parse", ":file"]));
    repo.git(&["reset", "-q", "--hard"]);
    std::fs::remove_file(repo.path.join("other")).ok();
    let one = |ops: &str| {
        format!(
            r#"{{"files":[{{"base":"sha1:{old}","first":1,"ops":{ops},"path":"file","proposed":"sha1:{new}"}}]}}"#
        )
    };
    let table = |ops: &str| one(ops);
    for (table, count, tree, what) in [
        (table(r#"[["~",1,1,1],["~",1,1,1]]"#), 2, &tree, "ranges that overlap"),
        (table(r#"[["~",9,1,1]]"#), 1, &tree, "a line that is not there"),
        (table(r#"[["~",1,9,1]]"#), 1, &tree, "a proposed line that is not there"),
        (table(r#"[["~",1,1,9007199254740991]]"#), 9007199254740991, &tree, "more lines than can be counted"),
        (table(r#"[["-",1,1]]"#), 1, &tree, "lines that do not give the tree"),
        (table(r#"[["~",1,1,1]]"#), 1, &two_files, "a changed file left out"),
        (table(r#"[["bytes"]]"#), 1, &tree, "whole where there are lines"),
        (table(r#"[["~",1,1,1]]"#).replace("\"first\":1", "\"first\":2"), 1, &tree, "numbers with a gap"),
        (table(r#"[["~",1,1,1]]"#).replace("\"file\"", "\"../file\""), 1, &tree, "another path"),
        ("{}".to_owned(), 1, &tree, "no table"),
    ] {
        let receipt = forged(&repo, &table, count, tree);
        let before = state(&repo);
        for command in [&["accept", &receipt][..], &["apply", &receipt, "--partial"], &["preview", &receipt]]
        {
            let output = repo.try_receipt(command);
            assert!(!output.status.success(), "{what}: {output:?}");
        }
        assert_eq!(state(&repo), before, "{what}");
        let (verdict, code) = repo.json(&["verify", &receipt]);
        let findings = verdict["findings"].as_array().unwrap().iter();
        let mine = findings.filter(|finding| finding["receipt"] == receipt.as_str());
        let codes: Vec<_> = mine.map(|finding| finding["code"].clone()).collect();
        assert_eq!((code, codes), (1, vec!["E403".into()]), "{what}: {verdict:#}");
    }
}

#[test]
fn half_a_swap_is_refused_and_names_the_other_half() {
    let repo = with_link();
    std::fs::write(repo.path.join("other"), "two\nof\nthem\n").unwrap();
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Two files"]);
    std::fs::rename(repo.path.join("file"), repo.path.join("third")).unwrap();
    std::fs::rename(repo.path.join("other"), repo.path.join("file")).unwrap();
    std::fs::rename(repo.path.join("third"), repo.path.join("other")).unwrap();
    repo.git(&["checkout", "-q", "-b", "swap"]);
    // Renames over each other are changes of content to git; a folder where a file was is a swap of another sort.
    std::fs::remove_file(repo.path.join("file")).unwrap();
    std::fs::create_dir(repo.path.join("file")).unwrap();
    std::fs::write(repo.path.join("file/inside"), "x\n").unwrap();
    let receipt = repo.receipt(&["propose", "-m", "A folder in its place", "--restore"]);
    let (diff, _) = repo.json(&["diff", &receipt]);
    let inside = diff["files"].as_array().unwrap().iter().find(|file| file["path"] == "file/inside").unwrap();
    let number = inside["lines"][0]["line"].to_string();
    let refused = repo.try_receipt(&["preview", &receipt, "--lines", &number]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("must come along"), "{refused:?}");
}
