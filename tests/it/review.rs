//! A review as people do it: the program on a pseudo-terminal, keys in, a screen out, and what is signed afterwards.

use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pty_process::{Size, blocking as pty};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::Value;

use crate::support::{PROGRAM, TestRepo, check, project};

/// The program on a terminal of its own.
struct Screen {
    terminal: Arc<pty::Pty>,
    child: std::process::Child,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    bytes: Vec<u8>,
    screen: vt100::Parser,
    ended: bool,
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Gone already where the test went well.
        let _ = self.child.kill();
    }
}

/// Starts the program on a new terminal of 24 rows and 80 columns.
fn spawn(repo: &TestRepo, args: &[&str], env: &[(&str, &str)]) -> (pty::Pty, std::process::Child) {
    spawn_any(repo, PROGRAM, args, env)
}

/// Starts any program there.
fn spawn_any(
    repo: &TestRepo,
    program: &str,
    args: &[&str],
    env: &[(&str, &str)],
) -> (pty::Pty, std::process::Child) {
    let (terminal, theirs) = pty::open().unwrap();
    terminal.resize(Size::new(24, 80)).unwrap();
    let mut command = pty::Command::new(program)
        .args(args)
        .current_dir(&repo.path)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", repo.home())
        .env("TERM", "xterm-256color")
        .env("GIT_COMMITTER_NAME", "Ann Example")
        .env("GIT_COMMITTER_EMAIL", "ann@example.com");
    for (name, value) in env {
        command = command.env(name, value);
    }
    (terminal, command.spawn(theirs).unwrap())
}

impl Screen {
    fn start(repo: &TestRepo, args: &[&str], env: &[(&str, &str)]) -> Screen {
        Screen::of(spawn(repo, args, env))
    }

    fn of((terminal, child): (pty::Pty, std::process::Child)) -> Screen {
        let screen = vt100::Parser::new(size(24), size(80), 0);
        let seen = Arc::new(Mutex::new(Seen { bytes: Vec::new(), screen, ended: false }));
        let terminal = Arc::new(terminal);
        let (from, to) = (Arc::clone(&terminal), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // At its end a pseudo-terminal gives an error or nothing.
            while let Ok(count @ 1..) = (&*from).read(&mut buffer) {
                let mut seen = to.lock().unwrap();
                seen.bytes.extend_from_slice(&buffer[..count]);
                seen.screen.process(&buffer[..count]);
            }
            to.lock().unwrap().ended = true;
        });
        Screen { terminal, child, seen }
    }

    /// Types, and waits until the screen shows something.
    fn press(&self, keys: &str, shows: &str) {
        (&*self.terminal).write_all(keys.as_bytes()).unwrap();
        self.wait(shows, |seen| seen.screen.screen().contents().contains(shows));
    }

    fn wait(&self, what: &str, there: impl Fn(&Seen) -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !there(&self.seen.lock().unwrap()) {
            let now = self.contents();
            assert!(Instant::now() < until, "no `{what}` in:\n{now}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn contents(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    fn resize(&self, rows: u16, columns: u16) {
        self.seen.lock().unwrap().screen.screen_mut().set_size(size(rows), size(columns));
        self.terminal.resize(Size::new(rows, columns)).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end and insists that the terminal is as it was; the exit code, and what it shows then.
    fn end(mut self) -> (i32, String) {
        self.wait("end", |seen| seen.ended);
        let code = self.child.wait().unwrap().code().unwrap();
        let modes = tcgetattr(&*self.terminal).unwrap().local_modes;
        let seen = self.seen.lock().unwrap();
        let screen = seen.screen.screen();
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "{modes:?}");
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{}", screen.contents());
        assert!(!screen.bracketed_paste(), "{}", screen.contents());
        (code, screen.contents())
    }
}

fn size(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

/// A file of some lines, each of which a proposal changes; a key of the person's own.
fn with_proposal(count: u32) -> (TestRepo, String) {
    proposing(&lines(count, "is"), &lines(count, "was"))
}

/// A file that a proposal changes; a key of the person's own.
fn proposing(before: &str, after: &str) -> (TestRepo, String) {
    let repo = TestRepo::new();
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.receipt(&["key", "new", "--person"]);
    write(&repo, "a.txt", before);
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Lines"]);
    write(&repo, "a.txt", after);
    let receipt = repo.receipt(&["propose", "-m", "Past tense"]);
    repo.git(&["checkout", "-q", "a.txt"]);
    (repo, receipt)
}

fn lines(count: u32, verb: &str) -> String {
    (1..=count).map(|n| format!("line {n} {verb} here\n")).collect()
}

fn write(repo: &TestRepo, name: &str, content: &str) {
    std::fs::write(repo.path.join(name), content).unwrap();
}

fn standing(repo: &TestRepo, receipt: &str) -> Value {
    repo.json(&["show", receipt]).0["proposal"].clone()
}

fn kept(repo: &TestRepo) -> Vec<std::path::PathBuf> {
    let folder = repo.path.join(".git/receipts/reviews");
    let files = std::fs::read_dir(folder).into_iter().flatten();
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn what_was_decided_on_the_screen_is_signed_at_the_end() {
    let (repo, receipt) = with_proposal(4);
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "4 undecided");
    screen.press("y", "1 accepted, 3 undecided");
    screen.press("n", "1 accepted, 1 rejected");
    screen.press("y", "2 accepted, 1 rejected");
    screen.press("u", "1 accepted, 1 rejected, 2 undecided");
    screen.press("y", "2 accepted, 1 rejected, 1 undecided");
    screen.press("q", "sign what was decided");
    screen.press("s", "rejected lines 2");
    let (code, shown) = screen.end();
    assert_eq!(code, 0, "{shown}");
    let now = standing(&repo, &receipt);
    assert_eq!(
        (&now["accepted"], &now["rejected"], &now["pending"]),
        (&"1,3".into(), &"2".into(), &"4".into())
    );
    let (log, _) = repo.json(&["log", &receipt]);
    let signers: Vec<_> = log["entries"].as_array().unwrap().iter().map(|entry| &entry["chain"]).collect();
    assert_eq!(signers[0], signers[1], "{log:#}");
    assert!(kept(&repo).is_empty());
    repo.assert_clean(&repo.path);
}

#[test]
fn an_edited_line_is_proposed_in_a_receipt_of_the_reviewers_own() {
    let (repo, receipt) = with_proposal(4);
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("n", "1 rejected");
    screen.press("e", "text: line 2 was here");
    screen.press("\u{15}line two shall be here", "line two shall be here");
    screen.press("\r", "1 edited");
    screen.press("y", "1 accepted");
    screen.press("qs", "proposed in");
    let (code, shown) = screen.end();
    assert_eq!(code, 0, "{shown}");
    let now = standing(&repo, &receipt);
    assert_eq!(
        (&now["accepted"], &now["rejected"], &now["pending"]),
        (&"3".into(), &"1-2".into(), &"4".into())
    );

    let fork = shown.split("proposed in ").nth(1).unwrap().split_whitespace().next().unwrap();
    let raw = repo.receipt(&["show", fork, "--raw"]);
    let entries: Vec<Value> = raw.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (opened, proposed) = (&entries[0], &entries[1]);
    let all = repo.receipt(&["show", &receipt, "--raw"]);
    let original: Value = serde_json::from_str(all.lines().nth(1).unwrap()).unwrap();
    assert_eq!(original["kind"], "proposal.made");
    assert_eq!(opened["data"]["forked_from"]["chain"], original["chain"]);
    assert_eq!(opened["data"]["forked_from"]["seq"], original["seq"]);
    assert_eq!(opened["cites"][0], opened["data"]["forked_from"]);
    // The reviewer, not the recorder, is its author.
    let person = repo.json(&["key", "list"]).0.to_string();
    assert!(person.contains(opened["signer"].as_str().unwrap()));
    assert_ne!(opened["signer"], original["signer"]);
    let tree = proposed["data"]["tree"].as_str().unwrap().trim_start_matches("sha1:");
    let text = repo.git(&["cat-file", "blob", &format!("{tree}:a.txt")]);
    assert_eq!(text, "line 1 is here\nline two shall be here\nline 3 was here\nline 4 was here");

    // It is the reviewer's to go on with, and nobody else's.
    write(&repo, "a.txt", &text.replace("line two shall", "line two will").replace("4 was", "4 is"));
    repo.receipt(&["revise", fork]);
    repo.receipt(&["accept", fork]);
    assert!(repo.git(&["show", "HEAD:a.txt"]).contains("line two will be here"));
    let elsewhere = repo.home().join("other");
    let made = ["-q", "-t", "ed25519", "-N", "", "-f", elsewhere.to_str().unwrap()];
    check(repo.command("ssh-keygen", &repo.path, &made));
    let mut command = repo.command(PROGRAM, &repo.path, &["close", fork, "--status", "completed"]);
    let refused = command.env("GIT_RECEIPT_KEY_FILE", &elsewhere).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("belongs to") && said.contains("neither the recorder nor your key"), "{said}");
    repo.receipt(&["close", fork, "--status", "completed"]);
    assert_eq!(repo.json(&["show", fork]).0["state"], "completed");
    repo.assert_clean(&repo.path);
}

/// Whether we, and so what we start, were told to ignore hangups.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (Signal::HUP.as_raw() - 1) & 1 == 1
}

#[test]
fn whatever_ends_it_puts_the_terminal_right_and_keeps_what_was_decided() {
    let (repo, receipt) = with_proposal(3);
    for (signal, code) in [(Some(Signal::TERM), 143), (Some(Signal::HUP), 129), (None, 130)] {
        // Below `nohup` it stays ignored, as it should.
        if signal == Some(Signal::HUP) && ignores_hangups() {
            println!("skipped: hangups are ignored here");
            continue;
        }
        let screen = Screen::start(&repo, &["review", "@"], &[]);
        screen.press("", "3 undecided");
        screen.press("y", "1 accepted");
        screen.press("n", "1 rejected");
        match signal {
            Some(signal) => screen.signal(signal),
            None => screen.press("\u{3}", "kept"),
        }
        let (ended, shown) = screen.end();
        assert_eq!(ended, code, "{shown}");
        assert_eq!(standing(&repo, &receipt)["pending"], "1-3");
        let files = kept(&repo);
        assert_eq!(files.len(), 1);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&files[0]).unwrap());
        assert_eq!(mode & 0o777, 0o600);

        let screen = Screen::start(&repo, &["review", "@"], &[]);
        screen.press("", "kept, unsigned: 2");
        screen.press("y", "1 accepted, 1 rejected, 1 undecided");
        screen.press("qd", "discarded");
        assert_eq!(screen.end().0, 0);
        assert!(kept(&repo).is_empty());
    }
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("n", "1 rejected");
    screen.signal(Signal::TERM);
    screen.end();
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("y", "1 rejected, 2 undecided");
    screen.press("qs", "rejected lines 1");
    assert_eq!(screen.end().0, 0);
    assert_eq!(standing(&repo, &receipt)["rejected"], "1");
    assert!(kept(&repo).is_empty());
}

/// Lines of which two change, far apart, and a wide one beside the first.
fn two_places() -> (TestRepo, String) {
    let before = lines(40, "is").replace("line 9 is", "9 漢字");
    let after = before.replace("line 10 is", "line 10 was").replace("line 30 is", "line 30 was");
    proposing(&before, &after)
}

#[test]
fn unchanged_lines_stand_around_those_that_change() {
    let (repo, _) = two_places();
    for (env, dims) in [(&[][..], true), (&[("NO_COLOR", "1")][..], false)] {
        let screen = Screen::start(&repo, &["review", "@"], env);
        screen.press("", "2 undecided");
        let shown = screen.contents();
        let rows: Vec<&str> = shown.lines().filter_map(|row| row.get(21..)).map(str::trim_end).collect();
        let want = [
            "         line 7 is here",
            "         line 8 is here",
            "         9 漢字 here",
            ">  L01 - line 10 is here",
            "       + line 10 was here",
            "         line 11 is here",
            "         line 12 is here",
            "         line 13 is here",
            "       …",
            "         line 27 is here",
        ];
        assert_eq!(rows[2..12], want, "{shown}");
        assert!(shown.contains("line 33 is here") && !shown.contains("line 34"), "{shown}");
        let bytes = String::from_utf8_lossy(&screen.seen.lock().unwrap().bytes).into_owned();
        // Dimmed by number 2 of its own or among others.
        assert_eq!(bytes.contains("\u{1b}[2m"), dims, "{bytes:?}");
        screen.press("n", ">  L02");
        screen.resize(7, 80);
        screen.press("", "line 31 is here");
        assert!(screen.contents().contains("L02 - line 30 is here"), "{}", screen.contents());
        screen.resize(4, 30);
        screen.press("k", ">n L01");
        screen.resize(24, 80);
        screen.press("", "line 7 is here");
        screen.press("qd", "");
        assert_eq!(screen.end().0, 0);
    }
    // In plain text, what stands between two lines once.
    let (code, _, err) = answer(&repo, &["review", "@"], "s\nq\n");
    assert_eq!(code, 0, "{err}");
    let around = "unchanged: line 8 is here\nunchanged: 9 漢字 here\nL01 changes: line 10 is here\n  to: line 10 was here\n\
                  unchanged: line 11 is here\n";
    assert!(err.contains(around), "{err}");
    assert!(err.contains("unchanged: line 29 is here\nL02 changes"), "{err}");
    assert_eq!(err.matches("unchanged: line 12 is here").count(), 1, "{err}");
    assert!(
        !err.contains("line 6 is") && !err.contains("line 14 is") && !err.contains("line 34 is"),
        "{err}"
    );
}

#[test]
fn a_file_of_a_hundred_thousand_lines_opens_at_once() {
    let before = lines(100_000, "is");
    let after: String = (1..=100_000)
        .map(|n| format!("line {n} {} here\n", if n % 100 == 0 { "was" } else { "is" }))
        .collect();
    let (repo, _) = proposing(&before, &after);
    let began = Instant::now();
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "1000 undecided");
    screen.press("G", "line 100000 was here");
    screen.press("g", "line 97 is here");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    screen.press("q", "");
    screen.end();
}

#[test]
fn the_shell_can_stop_it_and_go_on_with_it() {
    let (repo, receipt) = with_proposal(3);
    let screen = Screen::of(spawn_any(&repo, "sh", &["-i"], &[("PS1", "ready: ")]));
    screen.press("", "ready:");
    screen.press(&format!("'{PROGRAM}' review @\r"), "3 undecided");
    screen.press("y", "1 accepted");
    screen.press("\u{1a}", "ready:");
    screen.press("stty -a\r", " icanon");
    {
        let seen = screen.seen.lock().unwrap();
        let now = seen.screen.screen();
        assert!(!now.alternate_screen() && !now.hide_cursor(), "{}", now.contents());
        assert!(String::from_utf8_lossy(&seen.bytes).contains("\u{1b}[?2004l"));
    }
    screen.press("fg\r", "1 accepted, 2 undecided");
    assert!(screen.seen.lock().unwrap().screen.screen().alternate_screen());
    screen.press("n", "1 accepted, 1 rejected");
    // While a text is typed, and more than once.
    screen.press("e!", "was here!");
    screen.press("\u{1a}", "ready:");
    screen.press("fg\r", "was here!");
    screen.press("\r", "every line is decided");
    screen.press("qs", "rejected lines 2-3");
    screen.press("exit\r", "");
    assert_eq!(screen.end().0, 0);
    assert_eq!(standing(&repo, &receipt)["accepted"], "1");
}

#[test]
fn after_a_stop_the_terminal_is_taken_again_as_it_is_needed() {
    let (repo, _) = with_proposal(3);
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "3 undecided");
    let stopped = screen.child.id();
    screen.signal(Signal::STOP);
    let state = || std::fs::read_to_string(format!("/proc/{stopped}/stat")).unwrap_or_default();
    while cfg!(target_os = "linux") && !state().contains(") T ") {
        std::thread::sleep(Duration::from_millis(5));
    }
    // As a shell does that has the terminal now.
    let mut modes = tcgetattr(&*screen.terminal).unwrap();
    modes.local_modes |= LocalModes::ICANON | LocalModes::ECHO;
    tcsetattr(&*screen.terminal, OptionalActions::Now, &modes).unwrap();
    screen.seen.lock().unwrap().screen.process(b"\x1b[?1049l\x1b[2J\x1b[?2004l");
    screen.signal(Signal::CONT);
    screen.press("y", "1 accepted, 2 undecided");
    screen.press("", "line 3 was here");
    screen.press("qd", "discarded");
    assert_eq!(screen.end().0, 0);
}

#[test]
fn what_is_pasted_is_never_taken_for_decisions() {
    let (repo, receipt) = with_proposal(4);
    let paste = |text: &str| format!("\u{1b}[200~{text}\u{1b}[201~");
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "4 undecided");
    assert!(screen.seen.lock().unwrap().screen.screen().bracketed_paste());
    screen.press(&paste("yes, and nothing else\rqs"), "what is pasted decides nothing");
    screen.press("j", "nothing decided, 4 undecided");
    screen.press("e", "text: line 2 was here");
    screen.press(&paste(", pasted\r"), "text: line 2 was here, pasted");
    screen.press("\r", "1 edited, 3 undecided");
    screen.press("/", "/");
    screen.press(&paste("LINE 4".to_lowercase().as_str()), "/line 4");
    screen.press("\r", ">  L04");
    screen.press("q", "sign what was decided");
    screen.press(&paste("s"), "sign what was decided");
    screen.press("c", "1 edited, 3 undecided");
    screen.press("qd", "discarded");
    assert_eq!(screen.end().0, 0);
    assert_eq!(standing(&repo, &receipt)["pending"], "1-4");
}

#[test]
fn a_terminal_that_goes_away_keeps_what_was_decided() {
    let (repo, _) = with_proposal(3);
    let (mut terminal, mut child) = spawn(&repo, &["review", "@"], &[]);
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    terminal.write_all(b"y").unwrap();
    while !String::from_utf8_lossy(&seen).contains("1 accepted") {
        let count = terminal.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..count]);
    }
    // As when a window is closed: the system sends SIGHUP, and writing fails.
    drop(terminal);
    child.wait().unwrap();
    assert_eq!(kept(&repo).len(), 1);
}

#[test]
fn the_screen_follows_its_size() {
    let (repo, _) = with_proposal(40);
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "40 undecided");
    assert!(!screen.contents().contains("L30"));
    screen.resize(100, 120);
    screen.press("", "L40");
    screen.resize(1, 1);
    screen.press("G", "");
    screen.resize(6, 40);
    screen.press("", "L40");
    screen.resize(24, 80);
    screen.press("g", "L01");
    screen.press("/line 33 was\r", ">  L33");
    screen.press("q", "");
    assert_eq!(screen.end().0, 0);
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let (repo, _) = with_proposal(3);
    let colours = |args: &[&str], env: &[(&str, &str)]| {
        let screen = Screen::start(&repo, args, env);
        screen.press("", "3 undecided");
        screen.press("yq", "sign what");
        screen.press("d", "discarded");
        let seen = Arc::clone(&screen.seen);
        assert_eq!(screen.end().0, 0);
        let bytes = String::from_utf8_lossy(&seen.lock().unwrap().bytes).into_owned();
        // Whatever selects a colour: 30 to 37, 38 and 48 with more, 90 to 97, and the backgrounds.
        let escapes = bytes.split("\u{1b}[").skip(1).filter_map(|part| part.split_once('m'));
        let numbers = escapes.filter(|(head, _)| head.chars().all(|c| c.is_ascii_digit() || c == ';'));
        numbers
            .flat_map(|(head, _)| head.split(';').map(str::to_owned).collect::<Vec<_>>())
            .any(|number| matches!(number.parse(), Ok(30..=38 | 40..=48 | 90..=97 | 100..=107)))
    };
    assert!(colours(&["review", "@"], &[]));
    assert!(!colours(&["review", "@"], &[("NO_COLOR", "1")]));
    assert!(!colours(&["--color=never", "review", "@"], &[]));
    assert!(colours(&["--color=always", "review", "@"], &[("NO_COLOR", "1")]));
}

/// Answers questions through a pipe; standard output and standard error.
fn answer(repo: &TestRepo, args: &[&str], answers: &str) -> (i32, String, String) {
    let mut command = repo.command(PROGRAM, &repo.path, args);
    command.env("ACCESSIBLE", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn questions_in_plain_text_come_to_the_same() {
    let (repo, receipt) = with_proposal(5);
    let answers = "what\n?\ny\nn\ns\ne\nline four shall be here\n2\nu\ny\nq\ns\n";
    let (code, out, err) = answer(&repo, &["--json", "review", "@"], answers);
    assert_eq!(code, 0, "{err}");
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["schema"], "git-receipt/review/1");
    let schema: Value =
        serde_json::from_slice(&std::fs::read(project("docs/schemas/review.json")).unwrap()).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&said), "{said:#}");
    // `u` took the edit back and went to its line.
    assert_eq!(
        (&said["accepted"], &said["rejected"], &said["fork"]),
        (&"1,4".into(), &"2".into(), &Value::Null)
    );
    let now = standing(&repo, &receipt);
    assert_eq!(
        (&now["accepted"], &now["rejected"], &now["pending"]),
        (&"1,4".into(), &"2".into(), &"3,5".into())
    );
    assert!(err.contains("L01 changes: line 1 is here\n  to: line 1 was here\nAccept L01? "), "{err}");
    assert!(err.contains("That is no answer") && err.contains("s: leave the line undecided"), "{err}");
    assert!(!err.contains('\u{1b}') && !out.contains('\u{1b}'), "{err}{out}");

    let (code, out, err) = answer(&repo, &["review", "@"], "e\nline 3, three\na\ns\n");
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("edited lines 3, proposed in"), "{out}");
    assert_eq!(standing(&repo, &receipt)["accepted"], "1,4-5");
    repo.assert_clean(&repo.path);
}

#[test]
fn answers_that_run_out_sign_nothing_and_are_kept() {
    let (repo, receipt) = with_proposal(3);
    let (code, out, _) = answer(&repo, &["review", "@"], "y\nn\n");
    assert_eq!(code, 0);
    assert!(out.contains("nothing signed") && out.contains("kept"), "{out}");
    assert_eq!(standing(&repo, &receipt)["pending"], "1-3");
    let (_, out, err) = answer(&repo, &["review", "@"], "y\ny\ns\n");
    assert!(err.contains("kept, unsigned: 2"), "{err}");
    assert!(out.contains("accepted lines 1,3") && out.contains("rejected lines 2"), "{out}{err}");
}

#[test]
fn a_signal_between_questions_keeps_what_was_decided() {
    let (repo, _) = with_proposal(3);
    let screen = Screen::start(&repo, &["review", "@"], &[("ACCESSIBLE", "1")]);
    screen.press("y\r", "Accept L02?");
    screen.signal(Signal::TERM);
    let (code, shown) = screen.end();
    assert_eq!((code, kept(&repo).len()), (143, 1), "{shown}");
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let (repo, _) = with_proposal(2);
    let (error, code) = repo.json(&["review", "@"]);
    assert_eq!(code, 2, "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("needs a terminal"), "{error:#}");
    assert!(error["hint"].as_str().unwrap().contains("git receipt accept @ --lines"), "{error:#}");
}

#[test]
fn what_changed_meanwhile_is_told_and_nothing_is_signed_over_it() {
    let (repo, receipt) = with_proposal(4);
    // A line landed.
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("nn", "2 rejected");
    repo.receipt(&["accept", &receipt, "--lines", "2"]);
    repo.receipt(&["apply", &receipt, "--partial"]);
    screen.press("qs", "landed meanwhile");
    let (code, shown) = screen.end();
    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("kept, unsigned"), "{shown}");
    let now = standing(&repo, &receipt);
    assert_eq!(
        (&now["rejected"], &now["applied"], &now["pending"]),
        (&"".into(), &"2".into(), &"1,3-4".into())
    );

    // What was kept is taken up without it; then the same key says something else from another terminal.
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "kept, unsigned: 1");
    screen.press("y", "1 rejected, 2 undecided");
    repo.receipt(&["accept", &receipt, "--lines", "1"]);
    screen.press("qs", "meanwhile");
    let (code, shown) = screen.end();
    assert_eq!(code, 3, "{shown}");
    assert_eq!(standing(&repo, &receipt)["accepted"], "1");

    // A new revision.
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "an earlier review");
    screen.press("n", "undecided");
    screen.press("y", "1 accepted");
    write(&repo, "b.txt", "new\n");
    repo.receipt(&["revise", &receipt]);
    screen.press("qs", "superseded");
    let (code, shown) = screen.end();
    assert_eq!(code, 3, "{shown}");
    // With what was not taken up beside it.
    assert_eq!(kept(&repo).len(), 2);

    let (code, _, err) = answer(&repo, &["review", "@"], "q\n");
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("decisions about revision 1 are not taken up: revision 2"), "{err}");
    assert!(!err.contains("earlier review"), "{err}");
    repo.assert_clean(&repo.path);
}

#[test]
fn what_was_kept_and_is_not_as_it_was_written_is_ignored_with_a_word() {
    let (repo, receipt) = with_proposal(3);
    answer(&repo, &["review", "@"], "y\n");
    let [file] = kept(&repo).try_into().unwrap();
    let good = std::fs::read_to_string(&file).unwrap();
    let wrong = [
        good.replace("\"accepted\":\"1\"", "\"accepted\":\"1-4\""),
        good.replace("\"version\":1", "\"version\":2"),
        good.replace("sha256:", "sha256:0"),
        "{}".into(),
        String::new(),
    ];
    for text in wrong {
        assert_ne!(text, good);
        std::fs::write(&file, text).unwrap();
        let (_, _, err) = answer(&repo, &["review", "@"], "q\n");
        assert!(err.contains("cannot be used") && err.contains("Accept L01?"), "{err}");
    }
    // What somebody else wrote in the right form is not the reviewer's word.
    std::fs::write(&file, good.replace("\"accepted\":\"1\"", "\"accepted\":\"1-3\"")).unwrap();
    let (_, _, err) = answer(&repo, &["review", "@"], "q\n");
    assert!(err.contains("nothing in your configuration folder says that they are yours"), "{err}");
    std::fs::write(&file, &good).unwrap();
    let (_, _, err) = answer(&repo, &["review", "@"], "n\nq\n");
    assert!(err.contains("kept, unsigned: 1\naccepted lines 1\n"), "{err}");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(repo.path.join("a.txt"), &file).unwrap();
    let (_, _, err) = answer(&repo, &["review", "@"], "q\n");
    assert!(err.contains("cannot be used"), "{err}");
    assert_eq!(standing(&repo, &receipt)["pending"], "1-3");
}

#[test]
fn starting_anew_loses_nothing_of_what_was_kept() {
    let (repo, receipt) = with_proposal(3);
    answer(&repo, &["review", "@"], "y\ny\n");
    let [first] = kept(&repo).try_into().unwrap();
    let before = std::fs::read(&first).unwrap();
    // Discarding what was said now leaves alone what was said then.
    answer(&repo, &["review", "@"], "n\nn\nq\nd\n");
    assert_eq!((kept(&repo), std::fs::read(&first).unwrap()), (vec![first.clone()], before.clone()));
    let (_, _, err) = answer(&repo, &["review", "@"], "n\nn\nq\nk\n");
    let aside = kept(&repo).into_iter().find(|path| *path != first).unwrap();
    assert!(err.contains("set aside") && err.contains(aside.to_str().unwrap()), "{err}");
    assert_eq!(std::fs::read(&aside).unwrap(), before);
    // And as it says, moved back it is offered again.
    std::fs::rename(&aside, &first).unwrap();
    let (_, out, err) = answer(&repo, &["review", "@"], "y\nn\ns\n");
    assert!(err.contains("accepted lines 1-2"), "{err}");
    assert!(out.contains("accepted lines 1-2"), "{out}{err}");
    assert_eq!(standing(&repo, &receipt)["accepted"], "1-2");
    let vouched = repo.home().join(".config/git-receipt/reviews");
    assert_eq!(std::fs::read_dir(vouched).unwrap().count(), 1, "only what was overwritten by hand");
}

#[test]
fn editing_the_last_open_line_leads_to_the_end() {
    let (repo, _) = with_proposal(2);
    let (code, out, err) = answer(&repo, &["review", "@"], "y\ne\n\ne\nline two\ns\n");
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("edited lines 2"), "{out}");
    // Asked again only where nothing was typed.
    assert_eq!((err.matches("Accept L01?").count(), err.matches("Accept L02?").count()), (1, 2), "{err}");
    assert!(err.contains("accepted lines 1\nedited lines 2\n"), "{err}");
}

#[test]
fn spaces_cannot_push_text_out_of_sight() {
    let (repo, _) = with_proposal(1);
    write(&repo, "f.js", &format!("ok();{}evil();\n", " ".repeat(300)));
    repo.receipt(&["propose", "-m", "Call"]);
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "undecided");
    screen.press("G", "ok();⟨300 spaces⟩evil();");
    screen.press("q", "");
    screen.end();
    let (_, _, err) = answer(&repo, &["review", "@"], "s\ns\n");
    assert!(err.contains("ok();⟨300 spaces⟩evil();"), "{err}");
}

#[test]
fn text_of_strangers_cannot_steer_the_terminal() {
    let (repo, _) = with_proposal(1);
    let nasty = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}txt\ttab\r\n\u{9b}31m wide ﷽ 漢字\n";
    write(&repo, "b\u{1b}[31m.txt", nasty);
    repo.receipt(&["propose", "-m", "Nasty \u{1b}[5mtitle"]);
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "undecided");
    screen.press("G", "31m wide");
    let shown = screen.contents();
    assert!(shown.contains("\\u{1b}[5mtitle") && shown.contains("\\u{9b}31m wide \\u{fdfd} 漢字"), "{shown}");
    screen.press("e", "text: \\u{9b}31m");
    screen.press("\u{1b}", "left as it was");
    screen.press("q", "");
    let bytes = {
        let seen = Arc::clone(&screen.seen);
        screen.end();
        let bytes = seen.lock().unwrap().bytes.clone();
        String::from_utf8(bytes).unwrap()
    };
    for forbidden in ["\u{1b}]0;", "\u{1b}[2Jt", "\u{202e}", "\u{9b}", "\u{1b}[5m", "\u{7}", "﷽"] {
        assert!(!bytes.contains(forbidden), "{forbidden:?}");
    }
    let (_, _, err) = answer(&repo, &["review", "@"], "q\n");
    assert!(!err.contains('\u{1b}') && err.contains("b\\u{1b}[31m.txt"), "{err}");
}

#[test]
fn what_cannot_be_seen_is_spelled_out_before_anybody_agrees() {
    let (repo, _) = with_proposal(1);
    let hidden: Vec<char> =
        "\u{3164}\u{115f}\u{1160}\u{ffa0}\u{34f}\u{fe00}\u{e0100}\u{17b4}\u{2800}\u{a0}\u{3000}"
            .chars()
            .collect();
    let text: String = hidden.iter().map(|c| format!("const {{ t{c} }} = q;\n")).collect();
    write(&repo, "f.js", &text);
    let receipt = repo.receipt(&["propose", "-m", "Destructure"]);
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "undecided");
    screen.press("G", "t\\u{3000}");
    screen.press("q", "");
    let seen = Arc::clone(&screen.seen);
    screen.end();
    let on_screen = String::from_utf8(seen.lock().unwrap().bytes.clone()).unwrap();
    let (_, _, asked) = answer(&repo, &["review", "@"], &"s\n".repeat(hidden.len() + 1));
    let shown = [on_screen, asked, repo.receipt(&["diff", &receipt])];
    for c in hidden {
        for (way, shown) in ["review", "questions", "diff"].iter().zip(&shown) {
            assert!(
                !shown.contains(c) && shown.contains(&format!("t\\u{{{:x}}}", u32::from(c))),
                "{way}: {c:?}"
            );
        }
    }
}

#[test]
fn ten_thousand_lines_answer_at_once() {
    let (repo, receipt) = with_proposal(10_000);
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("", "10000 undecided");
    let began = Instant::now();
    for n in 1..=100 {
        screen.press("y", &format!("{n} accepted"));
    }
    screen.press("G", "L10000");
    screen.press("/line 5000 was\r", ">  L05000");
    screen.press("a", "accepted, lines of this file: 9900");
    screen.press("u", "100 accepted, 9900 undecided");
    screen.press("d", "rejected, lines of this file: 9900");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    screen.press("qs", "rejected lines 101-10000");
    assert_eq!(screen.end().0, 0);
    assert_eq!(standing(&repo, &receipt)["rejected"], "101-10000");
}

#[test]
fn two_reviewers_both_count_and_hear_of_each_other() {
    let (repo, receipt) = with_proposal(3);
    repo.receipt(&["key", "trust"]);
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "Signers"]);
    let screen = Screen::start(&repo, &["review", "@"], &[]);
    screen.press("y", "1 accepted");
    // The recorder stands in for a second person.
    let recorder = repo.home().join(".config/git-receipt/keys/recorder");
    let mut other = repo.command(PROGRAM, Path::new(&repo.path), &["reject", &receipt, "--lines", "1-2"]);
    other.env("GIT_RECEIPT_KEY_FILE", recorder);
    check(other);
    screen.press("qs", "accepted lines 1");
    let (code, shown) = screen.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("rejected lines 1 meanwhile") && shown.contains("stay rejected"), "{shown}");
    repo.assert_clean(&repo.path);
}
