//! Many processes at once, and processes killed in the middle.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
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
