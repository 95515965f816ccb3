//! What is kept between runs saves time, and changes nothing that is said.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{TestRepo, check};

/// A repository with enough entries that their signatures are worth remembering.
fn with_entries() -> TestRepo {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "Many calls"]);
    let fact =
        r#"{"kind":"usage.counted","title":"call","data":{"model":"m","input_tokens":1,"output_tokens":2}}"#;
    fs::write(repo.path.join("facts"), format!("{fact}\n").repeat(100)).unwrap();
    repo.receipt(&["record", "facts"]);
    repo.receipt(&["close", "--status", "completed", "-m", "Done"]);
    repo
}

fn kept(repo: &TestRepo) -> Vec<PathBuf> {
    let folder = repo.path.join(".git/receipts/kept");
    let files = |folder: &Path| fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    files(&folder).flat_map(|folder| files(&folder).collect::<Vec<_>>()).collect()
}

fn signatures(repo: &TestRepo) -> Vec<PathBuf> {
    kept(repo).into_iter().filter(|path| path.ends_with("signatures")).collect()
}

/// Replaces the tip of the chain by one whose signed words differ, and everything else is as it was.
fn change_the_tip(repo: &TestRepo) {
    let chain = repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]);
    let body = check(repo.command("git", &repo.path, &["cat-file", "commit", &chain])) + "\n";
    let changed = repo.path.join("changed");
    fs::write(&changed, body.replacen("Done", "Gone", 2)).unwrap();
    let id = repo.git(&["hash-object", "-t", "commit", "-w", "changed"]);
    repo.git(&["update-ref", &chain, &id]);
}

#[test]
fn a_second_check_says_the_same_and_what_changed_since_is_found() {
    let repo = with_entries();
    let first = repo.verify();
    assert_eq!(first.1, 0, "{:#}", first.0);
    let [list] = &signatures(&repo)[..] else { panic!("{:?}", kept(&repo)) };
    assert_eq!(fs::metadata(list).unwrap().len() % 16, 0);
    assert_eq!(repo.verify(), first);
    change_the_tip(&repo);
    let (verdict, code) = repo.verify();
    assert_eq!(code, 1, "{verdict:#}");
    let codes =
        verdict["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap());
    assert!(codes.clone().any(|code| code == "E101"), "{verdict:#}");
}

#[test]
fn a_list_of_somebody_else_excuses_nothing() {
    let (repo, other) = (with_entries(), with_entries());
    other.verify();
    // The other's list, and their secret in place of none, which is as far as a copied repository could go.
    let theirs = signatures(&other).remove(0);
    change_the_tip(&repo);
    assert_eq!(repo.verify().1, 1);
    for mine in signatures(&repo) {
        let all = [fs::read(&theirs).unwrap(), fs::read(&mine).unwrap(), vec![0; 4096]].concat();
        fs::write(mine, all).unwrap();
    }
    assert_eq!(repo.verify().1, 1);
}

#[test]
fn nothing_is_kept_in_ci_or_without_leave_and_a_torn_list_is_mended() {
    let repo = with_entries();
    let verify = |args: &[&str], variable: Option<(&str, &str)>| {
        let mut command = repo.command(env!("CARGO_BIN_EXE_git-receipt"), &repo.path, args);
        command.envs(variable);
        assert!(command.output().unwrap().status.success());
    };
    verify(&["verify", "--no-cache"], None);
    verify(&["verify"], Some(("CI", "true")));
    assert_eq!(kept(&repo), Vec::<PathBuf>::new());
    verify(&["verify"], None);
    let list = signatures(&repo).remove(0);
    let whole = fs::read(&list).unwrap();
    fs::write(&list, &whole[..37]).unwrap();
    verify(&["verify"], None);
    let mended = fs::read(&list).unwrap();
    assert_eq!(mended.len() % 16, 0);
    assert!(mended.len() >= whole.len(), "{} of {} bytes", mended.len(), whole.len());
    fs::remove_dir_all(repo.path.join(".git/receipts/kept")).unwrap();
    verify(&["verify"], None);
    assert_eq!(fs::read(&list).unwrap().len(), whole.len());
}
