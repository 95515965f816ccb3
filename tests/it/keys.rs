//! Keys wherever git has them: in files, written out, encrypted, in an agent; and what is said of those that cannot be
//! used.
#![cfg(unix)]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{PROGRAM, TestRepo, check};

const WORDS: &str = "correct horse battery";

/// An agent of the test's own, gone with it.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    /// None, with a word, where there is no `ssh-agent`.
    fn start(repo: &TestRepo) -> Option<Self> {
        // A socket's path is short, and the test's folder may not be.
        let socket = repo.folder.path().join("a");
        let mut command =
            repo.command("ssh-agent", repo.folder.path(), &["-D", "-a", socket.to_str().unwrap()]);
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            println!("skipped: no `ssh-agent` here");
            return None;
        };
        let agent = Agent { child, socket };
        let start = Instant::now();
        while !agent.socket.exists() {
            if start.elapsed() > Duration::from_secs(10) {
                println!("skipped: `ssh-agent` does not start here");
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(agent)
    }

    fn add(&self, repo: &TestRepo, key: &Path) {
        let mut command = repo.command("ssh-add", &repo.path, &["-q", key.to_str().unwrap()]);
        command.env("SSH_AUTH_SOCK", &self.socket);
        check(command);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a key below the home folder.
fn make_key(repo: &TestRepo, name: &str, kind: &str, passphrase: &str) -> PathBuf {
    let path = repo.home().join(name);
    let file = path.to_str().unwrap();
    check(repo.command(
        "ssh-keygen",
        &repo.path,
        &["-q", "-t", kind, "-N", passphrase, "-C", "me", "-f", file],
    ));
    path
}

fn fingerprint(repo: &TestRepo, public: &Path) -> String {
    let line = check(repo.command("ssh-keygen", &repo.path, &["-l", "-f", public.to_str().unwrap()]));
    line.split(' ').nth(1).unwrap().to_owned()
}

fn line_of(key: &Path) -> String {
    std::fs::read_to_string(key.with_extension("pub")).unwrap().trim().to_owned()
}

/// A receipt with a proposal, which only the person's key decides on.
fn proposal(repo: &TestRepo) -> String {
    std::fs::write(repo.path.join("file"), "two\n").unwrap();
    repo.receipt(&["propose", "-m", "Change it", "--restore"])
}

/// A command that has no terminal, also where whoever runs these tests has one.
fn without_terminal(repo: &TestRepo, directory: &Path, args: &[&str]) -> Command {
    if std::fs::File::open("/dev/tty").is_err() {
        return repo.command(PROGRAM, directory, args);
    }
    let args = [&["-w", PROGRAM], args].concat();
    repo.command("setsid", directory, &args)
}

/// Decides on a proposal, away from any terminal.
fn decide(repo: &TestRepo, agent: Option<&Agent>) -> Output {
    decide_in(repo, &repo.path, agent)
}

fn decide_in(repo: &TestRepo, directory: &Path, agent: Option<&Agent>) -> Output {
    let mut command = without_terminal(repo, directory, &["--json", "reject", "@", "-m", "no"]);
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", &agent.socket);
    }
    command.output().expect("on a terminal these tests need setsid")
}

/// Who signed the last decision.
fn decided_by(repo: &TestRepo) -> String {
    let (log, _) = repo.json(&["log", "--all", "--kind", "lines.rejected"]);
    log["entries"][0]["signer"].as_str().unwrap_or_else(|| panic!("{log:#}")).to_owned()
}

/// What was said instead of deciding.
fn refusal(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["schema"], "git-receipt/error/1", "{error:#}");
    assert!(error["hint"].is_string(), "{error:#}");
    error
}

/// Insists on a decision by the key at `path`.
fn assert_decides(repo: &TestRepo, agent: Option<&Agent>, key: &Path) {
    proposal(repo);
    let output = decide(repo, agent);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(decided_by(repo), fingerprint(repo, key));
    assert_eq!(repo.verify().1, 0, "{:#}", repo.verify().0);
}

#[test]
fn a_literal_key_in_an_agent_signs() {
    let repo = TestRepo::new();
    let Some(agent) = Agent::start(&repo) else { return };
    let key = make_key(&repo, "id", "ed25519", "");
    agent.add(&repo, &key);
    let public = key.with_extension("pub");
    let line = line_of(&key);
    std::fs::remove_file(&key).unwrap();
    repo.git(&["config", "gpg.format", "ssh"]);
    for (setting, value) in [
        ("user.signingKey", format!("key::{line}")),
        ("user.signingKey", line.clone()),
        ("receipt.signingKey", line.rsplit_once(' ').unwrap().0.to_owned()),
        ("receipt.signingKey", format!("key::{line}")),
    ] {
        repo.git(&["config", setting, &value]);
        assert_decides(&repo, Some(&agent), &public);
        // git takes the same words.
        if setting == "user.signingKey" {
            let mut command = repo.command("git", &repo.path, &["commit", "-qS", "--allow-empty", "-m", "x"]);
            assert!(command.env("SSH_AUTH_SOCK", &agent.socket).status().unwrap().success());
        }
    }
    let error = {
        proposal(&repo);
        refusal(&decide(&repo, None))
    };
    assert!(error.to_string().contains("nor in a running agent"), "{error:#}");
    assert!(error["hint"].as_str().unwrap().contains("ssh-add"), "{error:#}");
    let shown = repo.receipt(&["key", "show", "receipt.signingKey"]);
    assert!(shown.contains(&fingerprint(&repo, &public)), "{shown}");
}

#[test]
fn a_public_file_stands_for_the_private_half_in_an_agent() {
    let repo = TestRepo::new();
    let Some(agent) = Agent::start(&repo) else { return };
    let key = make_key(&repo, "id", "ed25519", "");
    agent.add(&repo, &key);
    let public = key.with_extension("pub");
    std::fs::remove_file(&key).unwrap();
    // The file itself, and the private half's path, as with git.
    for path in ["~/id.pub", "~/id", public.to_str().unwrap()] {
        repo.git(&["config", "receipt.signingKey", path]);
        assert_decides(&repo, Some(&agent), &public);
    }
    proposal(&repo);
    let error = refusal(&decide(&repo, None));
    assert!(error.to_string().contains("id.pub"), "{error:#}");
    assert!(error.to_string().contains("nor in a running agent"), "{error:#}");
}

#[test]
fn paths_are_read_as_git_reads_them() {
    let repo = TestRepo::new();
    let key = make_key(&repo, "id", "ed25519", "");
    let public = key.with_extension("pub");
    std::fs::create_dir(repo.path.join("below")).unwrap();
    std::fs::copy(&key, repo.path.join(".git/id")).unwrap();
    for path in ["~/id", "~/id.pub", ".git/id", key.to_str().unwrap()] {
        repo.git(&["config", "receipt.signingKey", path]);
        assert_decides(&repo, None, &public);
    }
    // A relative path starts at the top of the working tree, wherever one stands.
    repo.git(&["config", "receipt.signingKey", ".git/id"]);
    proposal(&repo);
    let output = decide_in(&repo, &repo.path.join("below"), None);
    assert!(output.status.success(), "{output:?}");
    repo.git(&["config", "receipt.signingKey", "~/nowhere"]);
    proposal(&repo);
    let output = decide(&repo, None);
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error["message"].as_str().unwrap().contains("receipt.signingKey"), "{error:#}");
    assert!(error["causes"][0].as_str().unwrap().contains("home/nowhere"), "{error:#}");
}

#[test]
fn an_encrypted_key_signs_from_an_agent_or_says_what_is_missing() {
    let repo = TestRepo::new();
    let key = make_key(&repo, "id", "ed25519", WORDS);
    repo.git(&["config", "receipt.signingKey", "~/id"]);
    proposal(&repo);
    let error = refusal(&decide(&repo, None));
    assert!(error.to_string().contains("no terminal to ask on"), "{error:#}");
    assert!(error["hint"].as_str().unwrap().contains("ssh-add"), "{error:#}");
    let Some(agent) = Agent::start(&repo) else { return };
    let open = make_key(&repo, "open", "ed25519", "");
    check(repo.command("cp", &repo.path, &["-p", key.to_str().unwrap(), open.to_str().unwrap()]));
    let file = open.to_str().unwrap();
    check(repo.command("ssh-keygen", &repo.path, &["-q", "-p", "-P", WORDS, "-N", "", "-f", file]));
    agent.add(&repo, &open);
    assert_decides(&repo, Some(&agent), &key.with_extension("pub"));
}

#[test]
fn on_a_terminal_the_passphrase_is_asked_for() {
    let repo = TestRepo::new();
    let key = make_key(&repo, "id", "ed25519", WORDS);
    repo.git(&["config", "receipt.signingKey", "~/id"]);
    for (typed, fits) in [("something else", false), (WORDS, true)] {
        proposal(&repo);
        let (mut keyboard, screen) = pty_process::blocking::open().unwrap();
        let mut command = pty_process::blocking::Command::new(PROGRAM)
            .args(["--no-pager", "reject", "@", "-m", "no"])
            .current_dir(&repo.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", repo.home());
        for (name, value) in
            [("GIT_COMMITTER_NAME", "Ann Example"), ("GIT_COMMITTER_EMAIL", "ann@example.com")]
        {
            command = command.env(name, value);
        }
        let mut child = command.spawn(screen).unwrap();
        let (mut seen, mut answered) = (Vec::new(), 0);
        let mut buffer = [0; 1024];
        // At its end a pseudo-terminal gives an error or nothing.
        while let Ok(count @ 1..) = keyboard.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..count]);
            // Once an entry, as nobody but ssh-keygen ever has the passphrase.
            if String::from_utf8_lossy(&seen).matches("Enter passphrase").count() > answered {
                answered += 1;
                keyboard.write_all(format!("{typed}\n").as_bytes()).unwrap();
            }
        }
        let seen = String::from_utf8_lossy(&seen).into_owned();
        assert!(answered > 0, "{seen}");
        assert_eq!(child.wait().unwrap().success(), fits, "{seen}");
        assert!(!seen.contains(typed), "{seen}");
        match fits {
            true => assert_eq!(decided_by(&repo), fingerprint(&repo, &key.with_extension("pub"))),
            false => assert!(seen.contains("another passphrase than the one"), "{seen}"),
        }
    }
}

#[test]
fn an_agents_hook_never_asks_on_the_terminal() {
    let repo = TestRepo::new();
    let key = make_key(&repo, "id", "ed25519", WORDS);
    let payload = r#"{"hook_event_name":"UserPromptSubmit","session_id":"s1","prompt":"Do it"}"#;
    let payload = payload.replacen('{', &format!("{{\"cwd\":{:?},", repo.path), 1);
    std::fs::write(repo.folder.path().join("payload"), payload).unwrap();
    let (mut keyboard, screen) = pty_process::blocking::open().unwrap();
    let script = format!("'{PROGRAM}' hook claude-code --strict < ../payload; echo ended with $?");
    let mut child = pty_process::blocking::Command::new("sh")
        .args(["-c", &script])
        .current_dir(&repo.path)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", repo.home())
        .env("GIT_RECEIPT_KEY_FILE", &key)
        .spawn(screen)
        .unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = keyboard.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&seen);
        assert!(!text.contains("Enter passphrase"), "{text}");
    }
    child.wait().unwrap();
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("has a passphrase") && seen.contains("ended with 2"), "{seen}");
}

#[test]
fn the_program_that_git_signs_with_signs() {
    let repo = TestRepo::new();
    let key = make_key(&repo, "id", "ed25519", WORDS);
    let open = make_key(&repo, "open", "ed25519", "");
    let program = repo.home().join("signer");
    // As a password manager does: it knows the key that it is asked for.
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> '{}'\nexec ssh-keygen -Y sign -n \"$4\" -f '{}'\n",
        repo.home().join("asked").display(),
        open.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    repo.git(&["config", "gpg.ssh.program", program.to_str().unwrap()]);
    repo.git(&["config", "receipt.signingKey", &format!("key::{}", line_of(&open))]);
    assert_decides(&repo, None, &open.with_extension("pub"));
    let asked = std::fs::read_to_string(repo.home().join("asked")).unwrap();
    assert!(asked.starts_with("-Y sign -n git-receipt -f ") && asked.ends_with(" -U\n"), "{asked}");
    // What it signs with another key is not taken.
    repo.git(&["config", "receipt.signingKey", &format!("key::{}", line_of(&key))]);
    proposal(&repo);
    let output = decide(&repo, None);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("cannot sign with key"), "{output:?}");
    repo.git(&["config", "gpg.ssh.program", "no-such-signer"]);
    let output = decide(&repo, None);
    assert!(String::from_utf8_lossy(&output.stdout).contains("cannot run `no-such-signer`"), "{output:?}");
    // A file of the tree has no say.
    repo.git(&["config", "--unset", "gpg.ssh.program"]);
    std::fs::write(repo.path.join(".gitconfig"), "[gpg \"ssh\"]\n\tprogram = no-such-signer\n").unwrap();
    let output = decide(&repo, None);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nor in a running agent"), "{output:?}");
}

#[test]
fn keys_of_other_types_are_refused_by_name() {
    let repo = TestRepo::new();
    repo.git(&["config", "gpg.format", "ssh"]);
    proposal(&repo);
    for (kind, name) in [("rsa", "ssh-rsa"), ("ecdsa", "ecdsa-sha2-nistp256")] {
        let key = make_key(&repo, kind, kind, "");
        let locked = make_key(&repo, &format!("{kind}-locked"), kind, WORDS);
        let old = repo.home().join(format!("{kind}-old"));
        std::fs::copy(&key, &old).unwrap();
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o600)).unwrap();
        let file = old.to_str().unwrap();
        check(repo.command(
            "ssh-keygen",
            &repo.path,
            &["-q", "-p", "-m", "PEM", "-P", "", "-N", "", "-f", file],
        ));
        let line = line_of(&key);
        let public = format!("~/{kind}.pub");
        let names =
            [key.to_str().unwrap(), locked.to_str().unwrap(), file, &public, &line, &format!("key::{line}")]
                .map(str::to_owned);
        for value in names {
            repo.git(&["config", "user.signingKey", &value]);
            let error = refusal(&decide(&repo, None));
            let text = error.to_string();
            // The old form says no curve.
            assert!(
                text.contains(name) || value == file && text.contains("ecdsa-sha2"),
                "{value}: {error:#}"
            );
            assert!(error["message"].as_str().unwrap().contains("user.signingKey"), "{error:#}");
            assert!(error["hint"].as_str().unwrap().contains("key new --person"), "{error:#}");
        }
        assert_eq!(repo.verify().1, 0, "looking needs no key");
    }
}

/// Runs `open` with `GIT_RECEIPT_KEY_FILE`, as in CI.
fn in_ci(repo: &TestRepo, file: &str) -> Output {
    let mut command = without_terminal(repo, &repo.path, &["--json", "open", "-m", "In CI"]);
    command.env("GIT_RECEIPT_KEY_FILE", file).output().unwrap()
}

#[test]
fn a_key_file_of_ci_that_cannot_be_used_is_a_clear_error() {
    let repo = TestRepo::new();
    let good = make_key(&repo, "good", "ed25519", "");
    let private = std::fs::read_to_string(&good).unwrap();
    let body: String = private.lines().filter(|line| !line.starts_with('-')).collect();
    let write = |name: &str, text: &[u8]| {
        let path = repo.home().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pkcs8 = ["BEGIN", "END"].map(|word| format!("-----{word} PRIVATE KEY-----\n")).join("MC4CAQAw\n");
    let half = &private[..private.len() / 2];
    let cases = [
        (repo.home().join("nowhere").to_str().unwrap().to_owned(), "home/nowhere"),
        (repo.home().to_str().unwrap().to_owned(), "cannot read key"),
        (write("empty", b""), "is empty"),
        (write("blank", b"\n \n"), "is empty"),
        (write("binary", &[0xff, 0xfe, 0]), "it is no text"),
        (write("text", b"hello\n"), "cannot be read"),
        (write("half", half.as_bytes()), "cannot be read"),
        (write("pkcs8", pkcs8.as_bytes()), "another form than OpenSSH's own"),
        // The commonest mistake: the key where its path belongs.
        (private.clone(), "is a private key itself"),
        (body.clone(), "is a private key itself"),
        (private.replace('\n', " "), "is a private key itself"),
        (make_key(&repo, "locked", "ed25519", WORDS).to_str().unwrap().to_owned(), "has a passphrase"),
    ];
    for (file, said) in &cases {
        let output = in_ci(&repo, file);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(error.contains(said), "{said}: {error}");
        let talk = error + &String::from_utf8_lossy(&output.stderr);
        for secret in [&body[100..140], &body[body.len() - 40..], WORDS] {
            assert!(!talk.contains(secret), "{talk}");
        }
    }
    let kept = std::fs::read_dir(repo.path.join(".git/receipts")).into_iter().flatten();
    assert_eq!(
        kept.filter(|file| file.as_ref().unwrap().path().is_file()).count(),
        0,
        "nothing is left behind"
    );
    assert_eq!(repo.git(&["for-each-ref", "refs/receipts"]), "");
}

#[test]
fn a_key_file_of_ci_may_lack_its_last_newline_and_is_warned_about_when_others_can_use_it() {
    let repo = TestRepo::new();
    let good = make_key(&repo, "good", "ed25519", "");
    let private = std::fs::read_to_string(&good).unwrap();
    for (text, mode) in [
        (private.trim_end().to_owned(), 0o600),
        (private.replace('\n', "\r\n"), 0o600),
        (private.clone(), 0o644),
        (private.clone(), 0o620),
    ] {
        let path = repo.home().join("ci");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = in_ci(&repo, path.to_str().unwrap());
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.contains(&format!("mode {mode:04o}")), mode != 0o600, "{said}");
        assert_eq!(said.contains("chmod 600"), mode != 0o600, "{said}");
    }
    // What ssh-keygen signs for us it refuses to, and that is said in words.
    let locked = make_key(&repo, "locked", "ed25519", WORDS);
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = in_ci(&repo, locked.to_str().unwrap());
    let error = refusal(&output);
    assert!(error.to_string().contains("can be read by others"), "{error:#}");
    assert!(error["hint"].as_str().unwrap().contains("chmod 600"), "{error:#}");
}

#[test]
fn a_key_is_never_overwritten_and_rotation_keeps_the_old_one() {
    let repo = TestRepo::new();
    let keys = repo.home().join(".config/git-receipt/keys");
    let (error, code) = repo.json(&["key", "new", "--person", "--rotate"]);
    assert_eq!(code, 2, "{error:#}");
    repo.receipt(&["key", "new", "--person"]);
    let first = std::fs::read_to_string(keys.join("person")).unwrap();
    for name in [vec!["key", "new", "--person"], vec!["key", "new"]] {
        let (error, code) = repo.json(&name);
        assert_eq!(code, 2);
        assert!(error["hint"].as_str().unwrap().contains("--rotate"), "{error:#}");
    }
    assert_eq!(std::fs::read_to_string(keys.join("person")).unwrap(), first);
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.receipt(&["key", "trust"]);
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Signers"]);
    assert_decides(&repo, None, &keys.join("person.pub"));

    let (rotated, code) = repo.json(&["key", "new", "--person", "--rotate"]);
    assert_eq!(code, 0, "{rotated:#}");
    let name = rotated["keys"][1]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("person-2") && name.len() == "person-2026-01-02".len(), "{name}");
    assert_eq!(std::fs::read_to_string(keys.join(&name)).unwrap(), first);
    let modes =
        ["person", &name].map(|name| keys.join(name).metadata().unwrap().permissions().mode() & 0o777);
    assert_eq!(modes, [0o600, 0o600]);
    let next = rotated["next"].to_string();
    let new = rotated["keys"][0]["public_key"].as_str().unwrap();
    assert!(next.contains("line 2 of `.receipts/allowed_signers`"), "{next}");
    assert!(next.contains(&format!("ann@example.com namespaces=\\\"git-receipt\\\" {new}")), "{next}");
    assert!(next.contains("key revoke SHA256:"), "{next}");
    // Both count: two keys of one principal.
    repo.receipt(&["key", "trust"]);
    let signers = std::fs::read_to_string(repo.path.join(".receipts/allowed_signers")).unwrap();
    assert_eq!(signers.matches("ann@example.com ").count(), 2, "{signers}");
    repo.git(&["commit", "-qam", "The new key"]);
    assert_decides(&repo, None, &keys.join("person.pub"));
    repo.assert_clean(&repo.path);
    let (list, _) = repo.json(&["key", "list"]);
    let of_ann = list["keys"].as_array().unwrap().iter().filter(|key| key["principal"] == "ann@example.com");
    assert_eq!(of_ann.count(), 2, "{list:#}");
    // Again on the same day: no name is taken twice, no key is lost.
    let second = std::fs::read_to_string(keys.join("person")).unwrap();
    let (again, _) = repo.json(&["key", "new", "--person", "--rotate"]);
    assert_eq!(again["keys"][1]["name"], format!("{name}-2"));
    assert_eq!(std::fs::read_to_string(keys.join(&name)).unwrap(), first);
    assert_eq!(std::fs::read_to_string(keys.join(format!("{name}-2"))).unwrap(), second);
    let said = repo.receipt(&["key", "new", "--rotate"]);
    assert!(said.contains("receipts that the old key opened stay its own"), "{said}");
    repo.receipt(&["open", "-m", "With the new recorder"]);
    repo.assert_clean(&repo.path);
}

#[test]
fn a_configured_key_stays_the_one_that_decides() {
    let repo = TestRepo::new();
    let key = make_key(&repo, "id", "ed25519", "");
    repo.git(&["config", "receipt.signingKey", "~/id"]);
    let (made, _) = repo.json(&["key", "new", "--person"]);
    assert!(made["next"][0].as_str().unwrap().contains("`receipt.signingKey` names another key"), "{made:#}");
    assert_decides(&repo, None, &key.with_extension("pub"));
    let (list, _) = repo.json(&["key", "list"]);
    let named = list["keys"].as_array().unwrap().iter().any(|key| key["name"] == "receipt.signingKey");
    assert!(named, "{list:#}");
}
