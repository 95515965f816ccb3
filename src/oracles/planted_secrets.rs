//! Planted secrets on their way into a repository, and a search for them in everything that is stored there.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::domain::entry::Draft;
use crate::domain::fact::Fact;
use crate::domain::fact::data::{Role, Step, ToolCalled, ToolStatus};
use crate::domain::ids::{Oid, Timestamp};
use crate::domain::redact::{Redactor, corpus};
use crate::store::keys::{KeyDir, Signer};
use crate::store::{AppendOptions, ChainScope, OpenOptions, Repeats, Store};

fn git(top: &Path, args: &[&str]) -> Vec<u8> {
    let identity = ["-c", "user.name=Ann", "-c", "user.email=a@example.com"];
    let output = Command::new("git").current_dir(top).args(identity).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The bytes of every object and of every file below `.git`.
fn everything(top: &Path) -> Vec<u8> {
    let mut all = git(top, &["cat-file", "--batch-all-objects", "--batch"]);
    let mut folders = vec![top.join(".git")];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => all.extend(fs::read(path).unwrap()),
            }
        }
    }
    all
}

fn call(title: &str, input: String, output: &str) -> Draft {
    let fact = ToolCalled {
        tool: "Bash".into(),
        call_id: None,
        input: Some(input.as_str().into()),
        output: Some(output.into()),
        status: ToolStatus::Ok,
        exit_code: None,
        duration_ms: None,
        confirmation: None,
        step: Step::Flexible,
        files: Vec::new(),
        more_files: None,
        runtime: None,
        reason: None,
    };
    Draft::new(None, title, Fact::ToolCalled(fact))
}

#[test]
fn no_planted_secret_reaches_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    git(top, &["init", "-q"]);
    git(top, &["commit", "-q", "--allow-empty", "-m", "First"]);
    let root = String::from_utf8(git(top, &["rev-parse", "HEAD"])).unwrap();
    let store = Store::open(&OpenOptions {
        directory: top.to_owned(),
        now: Timestamp::from_unix_ms(1_700_000_000_000),
        quarantined: false,
        entropy: crate::env::entropy,
        settings: Vec::new(),
        private: None,
        trusts_kept: false,
        named: true,
        temporary: std::env::temp_dir(),
        objects: Default::default(),
    })
    .unwrap();
    let keys = KeyDir::new(&top.join("config"));
    keys.create("recorder", &[7; 32], "test").unwrap();
    let signer = Signer::load(&keys.path("recorder")).unwrap();
    let redactor = Redactor::default();
    let planted = corpus::sample(61);
    assert!(planted.len() >= 600, "{} texts", planted.len());
    let receipt = store.new_receipt_id(store.now());
    let drafts = planted.iter().map(|(text, _)| {
        let input = serde_json::json!({ "command": text }).to_string();
        let mut draft = call(text, input, text);
        draft.receipt = Some(receipt);
        draft
    });
    let options = AppendOptions {
        signer: &signer,
        scope: ChainScope::Console,
        role: Role::Agent,
        name: "Ann".into(),
        email: "a@example.com".into(),
        repo: Oid::from_hex(root.trim()).unwrap(),
        redactor: &redactor,
        times: None,
        repeats: Repeats::SayTheSame,
        rests_on: None,
    };
    let report = store.append(&options, drafts.collect()).unwrap();
    assert_eq!(report.entries.len(), planted.len());
    git(top, &["gc", "-q"]);
    let stored = everything(top);
    let text = String::from_utf8_lossy(&stored);
    let left: Vec<&String> = planted
        .iter()
        .flat_map(|(_, cores)| cores)
        .filter(|core| core.len() >= 8 && text.contains(&core[..8]))
        .collect();
    assert!(left.is_empty(), "{} of {} are left, as {:?}", left.len(), planted.len(), left.first());
}
