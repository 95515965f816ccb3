//! Receipts travel: mirrors, packs, a bare remote and two clones that both write.

use crate::support::TestRepo;

/// A repository, a bare remote, and a second clone with `init` run.
pub fn two_clones() -> (TestRepo, std::path::PathBuf, std::path::PathBuf) {
    let repo = TestRepo::new();
    let (remote, second) = repo.share();
    (repo, remote, second)
}

#[test]
fn two_clones_that_both_write_lose_nothing() {
    let (repo, remote, second) = two_clones();
    let first_receipt = repo.receipt(&["open", "-m", "From the first"]);
    repo.receipt(&["bind"]);
    let second_receipt = repo.receipt_in(&second, &["open", "-m", "From the second"]);
    repo.receipt_in(&second, &["bind"]);
    repo.receipt(&["push"]);
    repo.receipt_in(&second, &["push"]);
    repo.receipt(&["fetch"]);
    repo.receipt_in(&second, &["fetch"]);
    repo.receipt_in(&second, &["remark", &first_receipt, "-m", "seen here"]);
    repo.receipt_in(&second, &["push"]);
    repo.receipt(&["fetch"]);
    for directory in [&repo.path, &second] {
        let (list, _) = repo.json_in(directory, &["list"]);
        let ids: Vec<_> = list["receipts"].as_array().unwrap().iter().map(|r| r["receipt"].clone()).collect();
        assert!(
            ids.contains(&first_receipt.as_str().into()) && ids.contains(&second_receipt.as_str().into())
        );
        repo.assert_clean(directory);
        let note = repo.git_in(directory, &["notes", "--ref=receipts", "show", "HEAD"]);
        assert_eq!(note.lines().count(), 2, "{note}");
    }
    let log = repo.receipt(&["log", &first_receipt, "--kind", "remark.made"]);
    assert!(log.contains("seen here"), "{log}");
    repo.assert_clean(&remote);
    // The second push of the same changes nothing.
    let (again, _) = repo.json(&["push"]);
    assert_eq!(again["moved"].as_array().unwrap().len(), 0, "{again:#}");
}

#[test]
fn mirrors_and_packs_keep_everything() {
    let (repo, remote, _) = two_clones();
    repo.receipt(&["open", "-m", "Packed"]);
    repo.receipt(&["run", "--gate", "test", "--", "echo", "fine"]);
    repo.receipt(&["close", "--status", "completed"]);
    repo.git(&["gc", "-q", "--prune=now"]);
    repo.assert_clean(&repo.path);
    repo.git(&["repack", "-adfq"]);
    repo.assert_clean(&repo.path);
    let output = repo.receipt(&["show", "@", "--output", "1"]);
    assert_eq!(output, "fine", "the artifact survives gc");
    repo.receipt(&["push"]);
    repo.assert_clean(&remote);
    let mirror = repo.folder.path().join("mirror.git");
    repo.git(&["clone", "-q", "--mirror", ".", mirror.to_str().unwrap()]);
    repo.assert_clean(&mirror);
    repo.receipt(&["remark", "@", "-m", "after packing"]);
    repo.assert_clean(&repo.path);
}

#[test]
fn a_chain_that_a_remote_has_otherwise_is_left_alone() {
    let (repo, remote, _) = two_clones();
    repo.receipt(&["open", "-m", "One"]);
    let chain = repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]);
    let early = repo.git(&["rev-parse", &chain]);
    repo.receipt(&["remark", "@", "-m", "two"]);
    repo.receipt(&["push"]);
    // The clone is set back, as from a backup: what comes next goes to a chain of its own.
    repo.git(&["update-ref", &chain, &early]);
    repo.receipt(&["remark", "@", "-m", "three"]);
    let chains = repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]);
    assert_eq!(chains.lines().count(), 2, "{chains}");
    let pushed = repo.try_receipt(&["push"]);
    assert_eq!(pushed.status.code(), Some(3), "{pushed:?}");
    assert!(String::from_utf8_lossy(&pushed.stdout).contains("left alone"), "{pushed:?}");
    let there = repo.git_in(&remote, &["rev-list", "--count", "--first-parent", &chain]);
    assert_eq!(there, "3", "the remote keeps what it had");
}

#[test]
fn plain_git_fetch_brings_receipts_too() {
    let (repo, _, second) = two_clones();
    let receipt = repo.receipt(&["open", "-m", "Travels with fetch"]);
    repo.receipt(&["push"]);
    repo.git_in(&second, &["fetch", "-q"]);
    assert!(repo.receipt_in(&second, &["list"]).contains(&receipt));
}
