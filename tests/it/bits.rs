//! Every single bit of an entry's commit counts.

use git_receipt::domain::chain::{self, Before, Inspector};
use git_receipt::domain::checked::Checked;
use git_receipt::domain::ids::Oid;
use git_receipt::domain::kept::Secret;

use crate::support::{TestRepo, check};

#[test]
fn every_flipped_bit_in_the_commits_of_five_entries_is_a_finding() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Five entries"]);
    repo.receipt(&["run", "--gate", "test", "--", "true"]);
    repo.receipt(&["bind"]);
    repo.receipt(&["close", "--status", "completed"]);
    repo.receipt(&["remark", &receipt, "-m", "ünïcode"]);
    let chain = repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]);
    let commits = repo.git(&["rev-list", "--first-parent", "--reverse", &chain]);
    let mut links = Vec::new();
    let secret = Secret::new(&[7; 32]);
    let nothing = Checked::new(secret.clone(), &[]);
    let mut flips = 0_u64;
    for commit in commits.lines().take(5) {
        let mut command = repo.command("git", &repo.path, &["cat-file", "commit", commit]);
        let bytes = command.output().unwrap().stdout;
        let id = Oid::from_hex(commit).unwrap();
        let before = links.last().map_or(Before::Nothing, Before::Entry);
        let mut first = Inspector::knowing(Some(&nothing));
        let whole = first.inspect(id, &bytes);
        assert_eq!(whole.findings, []);
        // That this very signature was found to hold before excuses no other byte.
        let checked = Checked::new(secret.clone(), first.into_fresh().as_flattened());
        let mut again = Inspector::knowing(Some(&checked));
        assert_eq!(again.inspect(id, &bytes), whole);
        assert!(again.into_fresh().is_empty(), "it was not checked once more");
        let mut again = Inspector::knowing(Some(&checked));
        assert_eq!(chain::check_link(&whole, before, |_| None), []);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let link = again.inspect(id, &changed);
            // A changed parent or author line is consistent in itself and contradicts its neighbours.
            let parents_hold = link.parents == whole.parents;
            let found = !link.findings.is_empty()
                || !parents_hold
                || !chain::check_link(&link, before, |_| None).is_empty();
            assert!(found, "bit {bit} of {commit}");
            flips += 1;
        }
        links.push(whole);
    }
    println!("{flips} bits flipped, {flips} found");
    assert_eq!(links.len(), 5);
}

#[test]
fn a_flipped_bit_in_a_stored_commit_turns_verify_red() {
    let repo = TestRepo::new();
    repo.receipt(&["open", "-m", "One"]);
    repo.receipt(&["close", "--status", "completed", "-m", "Done"]);
    let chain = repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]);
    let body = check(repo.command("git", &repo.path, &["cat-file", "commit", &chain])) + "\n";
    for (from, to) in [("completed", "completee"), ("author Ann", "author Bnn"), ("\"seq\":2", "\"seq\":3")] {
        let changed = repo.path.join("changed");
        std::fs::write(&changed, body.replacen(from, to, 1)).unwrap();
        let id = repo.git(&["hash-object", "-t", "commit", "-w", "changed"]);
        repo.git(&["update-ref", &chain, &id]);
        let (verdict, code) = repo.verify();
        assert_eq!(code, 1, "{from} → {to}: {verdict:#}");
    }
}
