//! Heads that somebody remembers, expects or has signed: what is cut off or taken away afterwards is missed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::sharing::two_clones;
use crate::support::{PROGRAM, TestRepo};

/// The name of the only chain below a prefix.
fn only_chain(repo: &TestRepo, directory: &Path, prefix: &str) -> String {
    let chains = repo.git_in(directory, &["for-each-ref", "--format=%(refname)", prefix]);
    assert_eq!(chains.lines().count(), 1, "{chains}");
    chains
}

/// Names and chains of what a verify found broken, and its exit code.
fn broken(repo: &TestRepo, directory: &Path, args: &[&str]) -> (Vec<String>, i32) {
    let (verdict, code) = repo.json_in(directory, args);
    let findings = verdict["findings"].as_array().unwrap_or_else(|| panic!("{verdict:#}"));
    let broken = findings.iter().filter(|finding| finding["weight"] == "broken");
    let place = |finding: &Value| {
        format!(
            "{} {}@{}",
            finding["name"].as_str().unwrap(),
            finding["chain"].as_str().unwrap(),
            finding["seq"]
        )
    };
    (broken.map(place).collect(), code)
}

/// Two clones, the second of which fetched a chain of three entries; its ref and its id there.
fn fetched() -> (TestRepo, PathBuf, String, String) {
    let (repo, _, second) = two_clones();
    repo.receipt(&["open", "-m", "Seen elsewhere"]);
    repo.receipt(&["remark", "@", "-m", "the end that is cut"]);
    repo.receipt(&["push"]);
    repo.receipt_in(&second, &["fetch"]);
    let chain = only_chain(&repo, &second, "refs/receipts-remotes/origin/chains/");
    let id = chain.rsplit('/').next().unwrap().to_owned();
    (repo, second, chain, id)
}

/// Cuts a chain, then deletes it, and insists that each is found by `args` and that all is well with it back.
fn assert_missed(repo: &TestRepo, directory: &Path, chain: &str, args: &[&str]) {
    let id = chain.rsplit('/').next().unwrap();
    let tip = repo.git_in(directory, &["rev-parse", chain]);
    repo.git_in(directory, &["update-ref", chain, &format!("{tip}^")]);
    assert_eq!(broken(repo, directory, args), (vec![format!("truncated {id}@2")], 1));
    repo.git_in(directory, &["update-ref", "-d", chain]);
    assert_eq!(broken(repo, directory, args), (vec![format!("missing-chain {id}@2")], 1));
    repo.git_in(directory, &["update-ref", chain, &tip]);
    assert_eq!(broken(repo, directory, args), (vec![], 0));
}

#[test]
fn a_clone_misses_what_it_was_told_to_remember() {
    let (repo, second, chain, id) = fetched();
    let tip = repo.git_in(&second, &["rev-parse", &chain]);
    repo.git_in(&second, &["update-ref", &chain, &format!("{tip}^")]);
    assert_eq!(broken(&repo, &second, &["verify"]), (vec![], 0), "nobody knows yet that there was more");
    repo.git_in(&second, &["update-ref", &chain, &tip]);
    let (verdict, code) = repo.json_in(&second, &["verify", "--remember"]);
    assert_eq!((code, &verdict["remembered"]), (0, &json!({ "heads": 1, "changed": true })), "{verdict:#}");
    assert_missed(&repo, &second, &chain, &["verify"]);
    let said = repo.receipt_in(&second, &["verify"]);
    assert!(said.contains("only remembered here through 2"), "{said}");
    // What is told once is told of every chain, own ones too, and grows with them.
    let receipt = repo.receipt_in(&second, &["open", "-m", "Own"]);
    repo.receipt(&["remark", "@", "-m", "more"]);
    repo.receipt(&["push"]);
    repo.receipt_in(&second, &["fetch"]);
    assert_eq!(broken(&repo, &second, &["verify", "--remember"]), (vec![], 0));
    repo.git_in(&second, &["update-ref", &chain, &tip]);
    assert_eq!(broken(&repo, &second, &["verify"]), (vec![format!("truncated {id}@3")], 1));
    assert!(repo.receipt_in(&second, &["list"]).contains(&receipt), "looking goes on");
}

#[test]
fn remembering_twice_changes_nothing_and_remembers_nothing_broken() {
    let (repo, second, chain, _) = fetched();
    let file = second.join(".git/receipts/heads");
    repo.receipt_in(&second, &["verify", "--remember"]);
    let (kept, time) = (std::fs::read(&file).unwrap(), file.metadata().unwrap().modified().unwrap());
    let (verdict, _) = repo.json_in(&second, &["verify", "--remember"]);
    assert_eq!(verdict["remembered"]["changed"], false);
    assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
    repo.git_in(&second, &["update-ref", &chain, &format!("{chain}^")]);
    let output = repo.command(PROGRAM, &second, &["verify", "--remember"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no heads were remembered"), "{output:?}");
    assert_eq!(std::fs::read(&file).unwrap(), kept);
    // Whoever knows why it went deletes the memory and starts anew.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(broken(&repo, &second, &["verify", "--remember"]), (vec![], 0));
}

#[test]
fn a_damaged_memory_is_an_error_that_names_it() {
    let (repo, second, _, _) = fetched();
    let file = second.join(".git/receipts/heads");
    repo.receipt_in(&second, &["verify", "--remember"]);
    let whole = std::fs::read_to_string(&file).unwrap();
    let (title, line) = whole.split_once('\n').unwrap();
    let damaged = [
        String::new(),
        title.to_owned(),
        format!("{title}\n"),
        format!("{title}\n{}", line.replacen("@2", "@1", 1)),
        format!("{title}\n{line}{line}"),
        format!("git-receipt heads 2{}\n{line}", title.strip_prefix("git-receipt heads 1").unwrap()),
        line.to_owned(),
        "\u{0}".repeat(whole.len()),
    ];
    for text in &damaged {
        std::fs::write(&file, text).unwrap();
        for args in [vec!["verify"], vec!["verify", "--remember"], vec!["verify", "--witness"]] {
            let (error, code) = repo.json_in(&second, &args);
            assert_eq!(code, 2, "{text:?}: {error:#}");
            assert!(error["message"].as_str().unwrap().contains(".git/receipts/heads"), "{error:#}");
            assert!(error["hint"].as_str().unwrap().contains("--remember"), "{error:#}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), *text, "it is left for somebody to look at");
        repo.receipt_in(&second, &["list"]);
    }
}

#[test]
fn expected_heads_must_be_reached() {
    let (repo, second, chain, id) = fetched();
    let (verdict, _) = repo.json_in(&second, &["verify"]);
    let file = second.join("heads.json");
    let expect = ["verify", "--expect", "heads.json"];
    // A list of heads, or the whole document that holds it.
    for saved in [&verdict["heads"], &verdict] {
        std::fs::write(&file, saved.to_string()).unwrap();
        assert_missed(&repo, &second, &chain, &expect);
    }
    let (verdict, code) = repo.json_in(&second, &expect);
    assert_eq!((code, &verdict["expected"]), (0, &json!(1)));
    assert!(repo.receipt_in(&second, &expect).contains("held against 1 expected head"));
    // Later entries are fine; another entry at the same place is not.
    repo.receipt(&["remark", "@", "-m", "more"]);
    repo.receipt(&["push"]);
    repo.receipt_in(&second, &["fetch"]);
    assert_eq!(broken(&repo, &second, &expect), (vec![], 0));
    let digest = format!("sha256:{}", "0".repeat(64));
    std::fs::write(&file, json!([{ "chain": id, "seq": 2, "digest": digest }]).to_string()).unwrap();
    assert_eq!(broken(&repo, &second, &expect), (vec![format!("equivocation {id}@2")], 1));
    std::fs::write(&file, json!([{ "chain": id, "seq": 9, "digest": digest }]).to_string()).unwrap();
    assert_eq!(broken(&repo, &second, &expect), (vec![format!("truncated {id}@9")], 1));
    std::fs::write(&file, "[]").unwrap();
    assert!(repo.receipt_in(&second, &expect).contains("held against 0 expected heads"));
}

#[test]
fn a_file_that_holds_no_heads_is_an_error() {
    let (repo, second, _, id) = fetched();
    let digest = format!("sha256:{}", "0".repeat(64));
    let good = json!({ "chain": id, "seq": 2, "digest": digest });
    let with = |name: &str, value: Value| {
        let mut head = good.clone();
        head[name] = value;
        json!([good, head]).to_string()
    };
    let files = [
        String::new(),
        "null".into(),
        good.to_string(),
        json!({ "heads": null }).to_string(),
        with("seq", json!(-1)),
        with("seq", json!("2")),
        with("chain", json!("../x")),
        with("digest", json!("0")),
        with("more", json!(1)),
        json!([[]]).to_string(),
    ];
    for text in files {
        std::fs::write(second.join("heads.json"), &text).unwrap();
        let (error, code) = repo.json_in(&second, &["verify", "--expect", "heads.json"]);
        assert_eq!(code, 2, "{text}: {error:#}");
        assert!(error["message"].as_str().unwrap().contains("heads.json"), "{error:#}");
        assert!(error["hint"].as_str().unwrap().contains("jq .heads"), "{error:#}");
    }
    let (error, code) = repo.json_in(&second, &["verify", "--expect", "nowhere.json"]);
    assert_eq!(code, 2, "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("nowhere.json"), "{error:#}");
}

#[test]
fn a_shallow_clone_cannot_tell_whether_an_earlier_head_was_reached() {
    let (repo, second, chain, _) = fetched();
    let (verdict, _) = repo.json_in(&second, &["verify"]);
    repo.receipt(&["remark", "@", "-m", "more"]);
    repo.receipt(&["push"]);
    let remote = repo.git_in(&second, &["remote", "get-url", "origin"]);
    let shallow = repo.folder.path().join("shallow");
    let url = format!("file://{remote}");
    repo.git_in(repo.folder.path(), &["clone", "-q", "--depth=1", &url, shallow.to_str().unwrap()]);
    let refspec = format!("refs/receipts/chains/*:{}*", chain.rsplit_once('/').unwrap().0.to_owned() + "/");
    repo.git_in(&shallow, &["fetch", "-q", "--depth=1", "origin", &refspec]);
    std::fs::write(shallow.join("heads.json"), verdict["heads"].to_string()).unwrap();
    let (found, code) = broken(&repo, &shallow, &["verify", "--expect", "heads.json"]);
    assert_eq!((found, code), (vec![], 4), "incomplete, not broken");
}

#[test]
fn a_witness_lets_every_clone_miss_what_is_gone() {
    let (repo, second, _, id) = fetched();
    let (verdict, code) = repo.json_in(&second, &["verify", "--witness"]);
    assert_eq!((code, &verdict["witnessed"]["heads"]), (0, &json!(1)), "{verdict:#}");
    let witness = verdict["witnessed"]["entries"][0].as_str().unwrap().to_owned();
    // Again, there is nothing new to sign; its own chain is no head of another's.
    let (again, _) = repo.json_in(&second, &["verify", "--witness", "--remember"]);
    assert_eq!(again["witnessed"], json!({ "heads": 0, "entries": [], "strangers": 0 }), "{again:#}");
    repo.receipt_in(&second, &["push"]);
    // A clone that never saw the chain whole misses its end by what was signed.
    let third = repo.folder.path().join("third");
    let remote = repo.git(&["remote", "get-url", "origin"]);
    repo.git_in(repo.folder.path(), &["clone", "-q", &remote, third.to_str().unwrap()]);
    repo.receipt_in(&third, &["fetch"]);
    let chain = format!("refs/receipts-remotes/origin/chains/{id}");
    assert_missed(&repo, &third, &chain, &["verify"]);
    let (log, _) = repo.json_in(&third, &["log", "--all", "--kind", "heads.witnessed"]);
    let entry = &log["entries"][0];
    assert_eq!(format!("{}@{}", entry["chain"].as_str().unwrap(), entry["seq"]), witness, "{log:#}");
    repo.assert_clean(&third);
}

#[test]
fn nothing_is_witnessed_where_something_is_broken_or_nothing_may_be_recorded() {
    let (repo, second, chain, _) = fetched();
    repo.receipt_in(&second, &["verify", "--remember"]);
    let tip = repo.git_in(&second, &["rev-parse", &chain]);
    repo.git_in(&second, &["update-ref", &chain, &format!("{chain}^")]);
    let (verdict, code) = repo.json_in(&second, &["verify", "--witness"]);
    assert_eq!((code, &verdict["witnessed"]), (1, &Value::Null));
    assert_eq!(repo.git_in(&second, &["for-each-ref", "refs/receipts/chains"]), "");
    repo.git_in(&second, &["update-ref", &chain, &tip]);
    repo.git_in(&second, &["config", "receipt.enabled", "false"]);
    let (error, code) = repo.json_in(&second, &["verify", "--witness"]);
    assert_eq!(code, 2, "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("receipt.enabled"), "{error:#}");
    // What is asked about a part says nothing about the whole.
    for flag in ["--remember", "--witness"] {
        assert_eq!(repo.json_in(&second, &["verify", "@", flag]).1, 2);
    }
}

#[test]
fn strangers_are_remembered_and_not_witnessed() {
    let (repo, second, chain, id) = fetched();
    let elsewhere = |args: &[&str]| {
        let mut command = repo.command(PROGRAM, &second, args);
        let output = command.env("HOME", repo.folder.path().join("other")).output().unwrap();
        (serde_json::from_slice::<Value>(&output.stdout).unwrap(), output.status.code())
    };
    elsewhere(&["--json", "init", "--no-man"]);
    let (verdict, code) = elsewhere(&["--json", "verify", "--remember", "--witness"]);
    assert_eq!(code, Some(4), "an unknown signer is incomplete, not broken: {verdict:#}");
    assert_eq!(verdict["witnessed"], json!({ "heads": 0, "entries": [], "strangers": 1 }), "{verdict:#}");
    assert_eq!(verdict["remembered"]["heads"], 1);
    repo.git_in(&second, &["update-ref", "-d", &chain]);
    let (verdict, code) = elsewhere(&["--json", "verify"]);
    assert_eq!((code, &verdict["findings"][0]["chain"]), (Some(1), &json!(id)), "{verdict:#}");
}
