//! Many processes at once, and processes killed in the middle.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{PROGRAM, TestRepo};

fn line(text: &str) -> String {
    format!(
        "{{\"kind\":\"remark.made\",\"once\":\"{text}\",\"data\":{{\"text\":{{\"text\":\"{text}\"}}}}}}\n"
    )
}

#[test]
fn thirty_two_processes_on_one_chain_and_on_their_own_lose_nothing() {
    const PROCESSES: usize = 32;
    const EACH: usize = 4;
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Shared"]);
    std::thread::scope(|scope| {
        for process in 0..PROCESSES {
            let (repo, receipt) = (&repo, &receipt);
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut command = repo.command(PROGRAM, &repo.path, &["record", "--receipt", receipt]);
                    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
                    let text = line(&format!("p{process}-{n}"));
                    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
                    assert!(child.wait().unwrap().success());
                }
                let session = format!("session-{process}");
                repo.receipt(&["open", "-m", "Own", "--session", &session, "--agent", "test"]);
            });
        }
    });
    let (log, _) = repo.json(&["log", &receipt, "--kind", "remark.made"]);
    assert_eq!(log["entries"].as_array().unwrap().len(), PROCESSES * EACH);
    let (verdict, code) = repo.verify();
    assert_eq!(code, 0, "{verdict:#}");
    assert_eq!(verdict["chains"].as_array().unwrap().len(), 1 + PROCESSES);
    repo.assert_clean(&repo.path);
}

/// 20 kills here, as many as `GIT_RECEIPT_KILLS` says for a long run.
#[test]
fn a_killed_append_leaves_every_acknowledged_entry_and_no_wait() {
    let kills: u32 = std::env::var("GIT_RECEIPT_KILLS").map_or(20, |n| n.parse().unwrap());
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Survives"]);
    let mut acknowledged = BTreeSet::new();
    let mut longest = Duration::ZERO;
    for n in 0..kills {
        let text = format!("kill-{n}");
        let file = repo.path.join("line.jsonl");
        std::fs::write(&file, line(&text)).unwrap();
        let args = ["record", "--receipt", &receipt, "line.jsonl"];
        let mut command = repo.command(PROGRAM, &repo.path, &args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Spread the moments over the whole run of a process, debug or release.
        std::thread::sleep(Duration::from_micros(u64::from(n % 40) * 250));
        let _ = child.kill();
        if child.wait().unwrap().success() {
            acknowledged.insert(text);
        }
        if n % 5 == 4 {
            let text = format!("after-{n}");
            std::fs::write(&file, line(&text)).unwrap();
            let start = Instant::now();
            repo.receipt(&args);
            longest = longest.max(start.elapsed());
            acknowledged.insert(text);
        }
    }
    assert!(longest < Duration::from_secs(2), "the next command waited {longest:?}");
    let (log, _) = repo.json(&["log", &receipt, "--kind", "remark.made"]);
    let there: BTreeSet<String> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["data"]["text"]["text"].as_str().unwrap().to_owned())
        .collect();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "{lost:?}");
    println!("{kills} kills, {} acknowledged, longest wait {longest:?}", acknowledged.len());
    repo.assert_clean(&repo.path);
}

#[test]
fn the_lock_of_a_dead_process_is_named_and_cleared() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Locked"]);
    let chain = repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]);
    let stale = repo.path.join(".git").join(format!("{chain}.lock"));
    std::fs::write(&stale, "").unwrap();
    // The number of a process that was killed while it held our lock.
    let locks = repo.path.join(".git/receipts/locks");
    for entry in std::fs::read_dir(&locks).unwrap() {
        std::fs::write(entry.unwrap().path(), "999999").unwrap();
    }
    let output = repo.try_receipt(&["remark", &receipt, "-m", "after the crash"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cleared stale lock") && said.contains(&chain), "{said}");
    assert!(!stale.exists());
}

#[test]
fn a_lock_that_somebody_may_hold_is_named_with_its_age_and_left_alone() {
    let repo = TestRepo::new();
    let receipt = repo.receipt(&["open", "-m", "Locked"]);
    let chain = repo.git(&["for-each-ref", "--format=%(refname)", "refs/receipts/chains"]);
    let lock = repo.path.join(".git").join(format!("{chain}.lock"));
    std::fs::write(&lock, "").unwrap();
    let output = repo.try_receipt(&["remark", &receipt, "-m", "not now"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&chain) && said.contains("s old"), "{said}");
    assert!(lock.exists());
    let old = std::time::SystemTime::now() - Duration::from_secs(60);
    std::fs::File::options().write(true).open(&lock).unwrap().set_modified(old).unwrap();
    repo.receipt(&["remark", &receipt, "-m", "now"]);
    assert!(!lock.exists());
}

/// When commands are killed. Half of the moments are spread over a whole run and a tenth beyond it; the other half over
/// what comes after the journal is written: that is a small part of a run, and the one where recovery is needed.
struct Moments {
    kills: u32,
    journal: PathBuf,
    whole: Duration,
    after_journal: Duration,
    /// How many ended as if nothing had been done, how many as if nobody had killed them, and how many left a journal.
    before: u32,
    after: u32,
    journals: u32,
}

impl Moments {
    /// As many kills as `GIT_RECEIPT_KILLS` says, else `kills`. Round 0 is a whole run, to measure it.
    fn new(repo: &TestRepo, kills: u32) -> Self {
        let kills = std::env::var("GIT_RECEIPT_KILLS").map_or(kills, |n| n.parse().unwrap());
        let journal = repo.path.join(".git/receipts/landing/journal.json");
        let (whole, after_journal) = Default::default();
        Moments { kills, journal, whole, after_journal, before: 0, after: 0, journals: 0 }
    }

    /// Runs a command in a round, kills it unless it is the first, and says whether it was done before.
    fn run(&mut self, mut command: Command, round: u32) -> bool {
        let start = Instant::now();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let to_journal = |child: &mut Child| {
            while !self.journal.exists() && child.try_wait().unwrap().is_none() {
                std::hint::spin_loop();
            }
        };
        if round == 0 {
            to_journal(&mut child);
            let journal = start.elapsed();
            assert!(child.wait().unwrap().success());
            (self.whole, self.after_journal) = (start.elapsed(), start.elapsed() - journal);
            return true;
        }
        let part = 1.1 * f64::from(round - 1) / f64::from((self.kills - 1).max(1));
        if round % 2 == 1 {
            std::thread::sleep(self.whole.mul_f64(part));
        } else {
            to_journal(&mut child);
            let (seen, wait) = (Instant::now(), self.after_journal.mul_f64(part));
            // A sleep is longer than all that is to be hit.
            while seen.elapsed() < wait {
                std::hint::spin_loop();
            }
        }
        let _ = child.kill();
        let done = child.wait().unwrap().success();
        self.journals += u32::from(self.journal.exists());
        done
    }

    fn ended(&mut self, after: bool) {
        *(if after { &mut self.after } else { &mut self.before }) += 1;
    }
}

impl Drop for Moments {
    /// A test of kills that never hit anything would say nothing.
    fn drop(&mut self) {
        let Moments { kills, before, after, journals, .. } = self;
        println!(
            "{kills} kills: {before} before anything, {after} after everything, {journals} left a journal"
        );
        if !std::thread::panicking() && *kills >= 10 {
            assert!(*before > 0 && *after > 0 && *journals > 0);
        }
    }
}

#[test]
fn a_killed_rollback_is_before_or_after_and_never_between() {
    let repo = TestRepo::new();
    let mut moments = Moments::new(&repo, 10);
    for name in ["a", "b", "gone"] {
        std::fs::write(repo.path.join(name), "start\n").unwrap();
    }
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Files"]);
    for name in ["a", "b", "new/c"] {
        std::fs::create_dir_all(repo.path.join("new")).unwrap();
        std::fs::write(repo.path.join(name), format!("{name} changed\n")).unwrap();
    }
    std::fs::remove_file(repo.path.join("gone")).unwrap();
    let mut last = repo.receipt(&["propose", "-m", "Change", "--restore"]);
    repo.receipt(&["accept", &last]);
    for n in 0..=moments.kills {
        // A rollback of rollbacks of rollbacks takes its time.
        if n % 8 == 7 {
            std::fs::write(repo.path.join("a"), format!("{n}\n")).unwrap();
            std::fs::write(repo.path.join(format!("new-{n}")), "new\n").unwrap();
            last = repo.receipt(&["propose", "-m", "Another", "--restore"]);
            repo.receipt(&["accept", &last]);
        }
        let head = repo.git(&["rev-parse", "HEAD"]);
        let refs = repo.git(&["for-each-ref"]);
        let (plan, _) = repo.json(&["rollback", &last, "--dry-run"]);
        let wanted = plan["undone"]["to_tree"].as_str().unwrap().to_owned();
        let command = repo.command(PROGRAM, &repo.path, &["rollback", &last]);
        let done = moments.run(command, n);
        repo.receipt(&["status"]);
        let after = repo.git(&["rev-parse", "HEAD"]) != head;
        moments.ended(after);
        assert_eq!(repo.git(&["for-each-ref"]) != refs, after, "round {n}: refs and HEAD disagree");
        assert!(after || !done, "round {n}: acknowledged and lost");
        let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "round {n}, after: {after}");
        assert_eq!(repo.git(&["write-tree"]), tree, "round {n}: the index is another");
        if !after {
            repo.receipt(&["rollback", &last]);
        } else {
            assert_eq!(tree, wanted, "round {n}");
        }
        // The next round takes back this one.
        last = repo.receipt(&["list", "--json"]);
        let list: serde_json::Value = serde_json::from_str(&last).unwrap();
        last = list["receipts"][0]["receipt"].as_str().unwrap().to_owned();
    }
    repo.assert_clean(&repo.path);
}

#[test]
fn a_killed_staging_of_a_rollback_has_its_receipt_or_no_trace() {
    let repo = TestRepo::new();
    let mut moments = Moments::new(&repo, 10);
    for name in ["file", "new"] {
        std::fs::write(repo.path.join(name), "changed\n").unwrap();
    }
    let receipt = repo.receipt(&["propose", "-m", "Change", "--restore"]);
    repo.receipt(&["accept", &receipt]);
    let (plan, _) = repo.json(&["rollback", &receipt, "--dry-run"]);
    let wanted = plan["undone"]["to_tree"].as_str().unwrap();
    let receipts = || repo.json(&["list"]).0["receipts"].as_array().unwrap().len();
    for n in 0..=moments.kills {
        let before = receipts();
        let command = repo.command(PROGRAM, &repo.path, &["rollback", &receipt, "--stage"]);
        let done = moments.run(command, n);
        repo.receipt(&["status"]);
        let after = !repo.git(&["status", "--porcelain"]).is_empty();
        moments.ended(after);
        assert!(after || !done, "round {n}: acknowledged and lost");
        assert_eq!(receipts(), before + usize::from(after), "round {n}, after: {after}");
        if after {
            assert_eq!(repo.git(&["write-tree"]), wanted, "round {n}");
            assert_eq!(repo.git(&["diff"]), "", "round {n}: the files are others");
            repo.git(&["reset", "-q", "--hard"]);
        }
    }
    repo.assert_clean(&repo.path);
}

/// 10 kills here, as many as `GIT_RECEIPT_KILLS` says for a long run.
#[test]
fn a_killed_return_to_a_snapshot_is_before_or_after_and_never_between() {
    const FILES: u32 = 60;
    let repo = TestRepo::new();
    let mut moments = Moments::new(&repo, 10);
    let receipt = repo.receipt(&["open", "-m", "Work"]);
    let fill = |word: &str| {
        for file in 0..FILES {
            let folder = repo.path.join(format!("d{}", file % 7));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{file}")), format!("{word} {file}\n")).unwrap();
        }
        std::fs::write(repo.path.join(format!("only-{word}")), word).unwrap();
        repo.git(&["add", &format!("only-{word}"), "d1"]);
    };
    let mut trees = Vec::new();
    for word in ["one", "two"] {
        let _ = std::fs::remove_file(repo.path.join("only-one"));
        fill(word);
        let (snapshot, _) = repo.json(&["snapshot"]);
        trees.push([&snapshot["worktree"], &snapshot["index"]].map(|id| id.as_str().unwrap().to_owned()));
    }
    let mut at = 1;
    for n in 0..=moments.kills {
        let other = 1 - at;
        let refs = repo.git(&["for-each-ref"]);
        let to = format!("{receipt}@{}", other + 1);
        let command = repo.command(PROGRAM, &repo.path, &["rollback", "--to", &to]);
        let done = moments.run(command, n);
        repo.receipt(&["status"]);
        assert!(!repo.path.join(".git/receipts/landing/journal.json").exists(), "round {n}");
        assert!(!repo.path.join(".git/index.lock").exists(), "round {n}");
        let recorded = repo.git(&["for-each-ref"]) != refs;
        let (now, _) = repo.json(&["snapshot"]);
        let now = [&now["worktree"], &now["index"]].map(|id| id.as_str().unwrap().to_owned());
        let place = trees.iter().position(|known| *known == now);
        let place = place.unwrap_or_else(|| panic!("round {n}: {now:?} is none of {trees:?}"));
        assert!(place == other || !done, "round {n}: acknowledged and lost");
        assert_eq!(recorded, place == other, "round {n}: refs and files disagree");
        moments.ended(place == other);
        at = place;
    }
    repo.assert_clean(&repo.path);
}

#[test]
fn a_killed_apply_is_before_or_after_and_never_between() {
    let repo = TestRepo::new();
    let mut moments = Moments::new(&repo, 20);
    for name in ["a", "b", "c", "gone"] {
        std::fs::write(repo.path.join(name), "start\n").unwrap();
    }
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Files"]);
    for n in 0..=moments.kills {
        for name in ["a", "b", "c"] {
            std::fs::write(repo.path.join(name), format!("{name} {n}\n")).unwrap();
        }
        std::fs::create_dir_all(repo.path.join("new")).unwrap();
        std::fs::write(repo.path.join(format!("new/{n}")), "new\n").unwrap();
        if n == 3 {
            std::fs::remove_file(repo.path.join("gone")).unwrap();
        }
        let receipt = repo.receipt(&["propose", "-m", &format!("Round {n}"), "--restore"]);
        let head = repo.git(&["rev-parse", "HEAD"]);
        let (preview, _) = repo.json(&["preview", &receipt]);
        let command = repo.command(PROGRAM, &repo.path, &["accept", &receipt]);
        let refs = repo.git(&["for-each-ref"]);
        let done = moments.run(command, n);
        // The next command, whatever it is, finds it before or after.
        repo.receipt(&["status"]);
        let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
        let after = repo.git(&["rev-parse", "HEAD"]) != head;
        assert!(after || !done, "round {n}: acknowledged and lost");
        moments.ended(after);
        assert_eq!(repo.git(&["for-each-ref"]) != refs, after, "round {n}: refs and HEAD disagree");
        if after {
            assert_eq!(tree, preview["tree"].as_str().unwrap(), "round {n}");
            assert_eq!(repo.git(&["rev-parse", "HEAD^"]), head, "round {n}");
        }
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "round {n}, after: {after}");
        assert_eq!(repo.git(&["write-tree"]), tree, "round {n}: the index is another");
        let (shown, _) = repo.json(&["show", &receipt]);
        let state = &shown["proposal"]["state"];
        assert_eq!(state == "applied", after, "round {n}: {state}");
        // And nothing is in the way of going on.
        if !after {
            repo.receipt(&["accept", &receipt]);
        }
    }
    repo.assert_clean(&repo.path);
}
