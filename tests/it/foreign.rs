//! Histories by another writer: the honest one is accepted, and every forgery is found.

use std::sync::Mutex;

use serde_json::Value;

use crate::support::{TestRepo, check, project};

fn writer(repo: &TestRepo, args: &[&str]) -> Value {
    let path = project("tests/foreign/writer.py");
    let mut all = vec![path.to_str().unwrap()];
    all.extend(args);
    serde_json::from_str(&check(repo.command("python3", &repo.path, &all))).unwrap()
}

#[test]
fn an_honest_foreign_history_is_accepted_once_its_keys_are_listed() {
    for format in ["sha1", "sha256"] {
        for history in ["honest", "edges"] {
            let repo = TestRepo::bare_of_receipts(&["--object-format", format]);
            let told = writer(&repo, &[history, "."]);
            let (verdict, code) = repo.verify();
            assert_eq!(code, 4, "{history} by unknown signers: {verdict:#}");
            let keys: std::collections::BTreeSet<String> = match &told["public_keys"] {
                Value::Array(keys) => keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect(),
                keys => {
                    keys.as_object().unwrap().values().map(|key| key.as_str().unwrap().to_owned()).collect()
                }
            };
            for (index, key) in keys.iter().enumerate() {
                let file = repo.home().join(format!("{index}.pub"));
                std::fs::write(&file, key).unwrap();
                let principal = format!("writer{index}@example.com");
                repo.receipt(&["key", "trust", file.to_str().unwrap(), "--principal", &principal]);
            }
            repo.git(&["add", ".receipts"]);
            repo.git(&["commit", "-qm", "Trust them"]);
            let (verdict, code) = repo.verify();
            assert_eq!(code, 0, "{history} with listed signers: {verdict:#}");
        }
    }
}

#[test]
fn every_forgery_is_found_at_its_place() {
    let names: Vec<String> = {
        let repo = TestRepo::empty(&[]);
        let path = project("tests/foreign/writer.py");
        let listed = check(repo.command("python3", &repo.path, &[path.to_str().unwrap(), "list"]));
        listed.split_whitespace().map(str::to_owned).collect()
    };
    assert!(names.len() >= 140, "{} forgeries", names.len());
    let queue = Mutex::new(names.iter());
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(name) = queue.lock().unwrap().next() else { break };
                    if let Err(why) = forgery_is_found(name) {
                        missed.lock().unwrap().push(format!("{name}: {why}"));
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    println!("{} forgeries tried, {} caught", names.len(), names.len() - missed.len());
    assert!(missed.is_empty(), "{missed:#?}");
}

fn forgery_is_found(name: &str) -> Result<(), String> {
    let repo = TestRepo::bare_of_receipts(&[]);
    let told = writer(&repo, &["forge", name, "."]);
    let (verdict, code) = repo.verify();
    let findings = verdict["findings"].as_array().ok_or("no findings")?;
    let at_place = |finding: &&Value| {
        finding["commit"] == told["commit"]
            || finding["chain"] == told["chain"] && finding["seq"] == told["seq"]
    };
    let found = |weight: &str| findings.iter().filter(|f| f["weight"] == weight).find(at_place).is_some();
    match told["expect"].as_str() {
        Some("finding") if code == 1 && found("broken") => Ok(()),
        Some("unknown") if code == 4 && found("warning") => Ok(()),
        expected => Err(format!("expected {expected:?}, got exit {code} and {findings:?}")),
    }
}
