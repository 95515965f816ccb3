//! Real commands on real pipes and pseudo-terminals. What needs a process of its own to signal runs this test
//! binary again, as [`the_process_that_runs_a_command`].

use std::{ffi::OsString, io, time::Instant};

use super::*;

/// Keeps what is written and when.
#[derive(Default)]
struct Sheet {
    bytes: Vec<u8>,
    first: Option<Instant>,
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.first.get_or_insert_with(Instant::now);
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does to each write what it is told to.
struct Odd<F>(F);

impl<F: FnMut(&[u8]) -> io::Result<usize>> Write for Odd<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn command<const N: usize>(argv: [&str; N]) -> Command {
    Command { argv: argv.map(OsString::from).to_vec(), ..Command::default() }
}

fn sh(script: &str) -> Command {
    command(["sh", "-c", script])
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the commands print text")
}

const SECOND: Duration = Duration::from_secs(1);

mod on_pipes {
    use super::*;

    fn quietly(cmd: &Command) -> Outcome {
        run(cmd.clone(), &mut io::sink(), &mut io::sink()).expect("it runs")
    }

    #[test]
    fn both_streams_are_copied_apart_and_kept_together_in_order() {
        for run in [run as fn(_, &mut (dyn Write + Send), &mut (dyn Write + Send)) -> _, |cmd, out, err| {
            portable::run(&cmd, out, err)
        }] {
            let (mut out, mut err) = (Sheet::default(), Sheet::default());
            let cmd = sh("echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three; exit 3");
            let outcome = run(cmd, &mut out, &mut err).expect("it runs");
            assert_eq!(outcome.exit, Exit::Code(3));
            assert_eq!(text(&outcome.output.bytes), "one\ntwo\nthree\n");
            assert_eq!((outcome.output.total, outcome.output.truncated), (14, false));
            assert_eq!((text(&out.bytes), text(&err.bytes)), ("one\nthree\n", "two\n"));
            assert!(!outcome.interrupted && !outcome.timed_out);
            assert!(outcome.duration >= Duration::from_millis(400) && outcome.duration < 5 * SECOND);
        }
    }

    #[test]
    fn output_is_copied_while_the_command_runs() {
        let mut out = Sheet::default();
        run(sh("printf a; sleep 1; printf b"), &mut out, &mut io::sink()).expect("it runs");
        assert!(out.first.expect("something was written").elapsed() > SECOND / 2);
    }

    #[test]
    fn a_deadly_signal_is_told_from_a_code() {
        let outcome = quietly(&sh("kill -TERM $$"));
        assert_eq!((outcome.exit, outcome.exit.code(), outcome.interrupted), (Exit::Signal(15), 143, false));
        let outcome = quietly(&sh("kill -INT $$"));
        assert_eq!((outcome.exit, outcome.exit.code(), outcome.interrupted), (Exit::Signal(2), 130, true));
        assert_eq!(quietly(&sh("exit 143")).exit, Exit::Code(143));
        assert!(quietly(&command(["true"])).exit.success());
    }

    #[test]
    fn what_cannot_be_run_has_the_code_of_a_shell() {
        let directory = tempfile::tempdir().unwrap();
        let no_program = directory.path().join("text");
        std::fs::write(&no_program, "hello").unwrap();
        let fail = |argv: Vec<OsString>| {
            let error = run(Command { argv, ..Command::default() }, &mut io::sink(), &mut io::sink())
                .expect_err("it cannot run");
            (error.exit_code(), error.to_string())
        };
        assert_eq!(fail(vec![]), (None, "no command was given".into()));
        assert_eq!(fail(vec!["no-such-program".into()]), (Some(127), "cannot find `no-such-program`".into()));
        assert_eq!(fail(vec![no_program.into()]).0, Some(126));
        assert_eq!(fail(vec![directory.path().into()]).0, Some(126));
        assert_eq!(fail(vec!["a\0b".into()]).0, None);
    }

    #[test]
    fn variables_are_added() {
        let cmd = Command {
            env: vec![("CHILD_TEST_ADDED".into(), "yes".into())],
            ..sh("echo $CHILD_TEST_ADDED; test -n \"$PATH\"")
        };
        let outcome = quietly(&cmd);
        assert_eq!((outcome.exit, text(&outcome.output.bytes)), (Exit::Code(0), "yes\n"));
    }

    #[test]
    fn variables_are_left_out_and_the_folder_and_an_empty_input_are_chosen() {
        let cmd = Command {
            directory: Some("/".into()),
            without: vec!["HOME".into()],
            no_input: true,
            ..sh("pwd; echo ${HOME-none}; cat; echo end")
        };
        assert_eq!(text(&quietly(&cmd).output.bytes), "/\nnone\nend\n");
    }

    #[test]
    fn long_output_is_copied_whole_and_kept_in_part() {
        const LEN: usize = 40_000_000;
        let mut count = 0;
        let mut out = Odd(|bytes: &[u8]| {
            count += bytes.len();
            Ok(bytes.len())
        });
        let outcome =
            run(sh("yes 123456789 | head -c 40000000"), &mut out, &mut io::sink()).expect("it runs");
        assert_eq!(count, LEN);
        assert_eq!((outcome.output.total, outcome.output.truncated), (LEN as u64, true));
        let end = 1024 * 1024;
        let kept = outcome.output.bytes;
        let marker = format!("\n[{} bytes left out here]\n", LEN - 2 * end);
        assert_eq!(text(&kept[end..end + marker.len()]), marker);
        assert_eq!(kept.len(), 2 * end + marker.len());
        assert!(kept.starts_with(b"123456789\n1") && kept.ends_with(b"9\n123456789\n"));
    }

    #[test]
    fn a_gone_reader_ends_its_stream_and_not_the_command() {
        let mut calls = 0;
        let mut out = Odd(|_: &[u8]| {
            calls += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        });
        let mut err = Sheet::default();
        let outcome = run(sh("seq 1 100000; echo end >&2; exit 4"), &mut out, &mut err).expect("it runs");
        assert_eq!(outcome.exit, Exit::Code(4));
        assert!(outcome.output.total < 588_895 + 4, "nobody reads the numbers to their end");
        assert_eq!((calls, text(&err.bytes)), (1, "end\n"));
    }

    #[test]
    fn a_writer_that_would_block_is_tried_again() {
        let (mut turn, mut copied) = (0, Vec::new());
        let mut out = Odd(|bytes: &[u8]| {
            turn += 1;
            match turn % 3 {
                0 => return Err(io::ErrorKind::WouldBlock.into()),
                1 => return Err(io::ErrorKind::Interrupted.into()),
                _ => {}
            }
            let count = bytes.len().min(40_000);
            copied.extend_from_slice(&bytes[..count]);
            Ok(count)
        });
        let outcome = run(sh("seq 1 50000"), &mut out, &mut io::sink()).expect("it runs");
        assert!(copied == outcome.output.bytes);
        assert_eq!(copied.len(), 288_894);
    }

    #[test]
    fn a_slow_writer_loses_nothing() {
        let mut copied = Vec::new();
        let mut out = Odd(|bytes: &[u8]| {
            std::thread::sleep(Duration::from_millis(if copied.is_empty() { 2_500 } else { 5 }));
            copied.extend_from_slice(bytes);
            Ok(bytes.len())
        });
        // More than fits the pipe and the queue, and someone to hold the pipe open.
        let outcome = run(sh("sleep 4 & seq 1 400000"), &mut out, &mut io::sink()).expect("it runs");
        assert_eq!(outcome.output.total, 2_688_895);
        assert!(copied == outcome.output.bytes);
    }

    #[test]
    fn a_stuck_writer_does_not_stop_the_clock() {
        let mut stuck = true;
        let mut out = Odd(|bytes: &[u8]| {
            if std::mem::replace(&mut stuck, false) {
                std::thread::sleep(3 * SECOND);
            }
            Ok(bytes.len())
        });
        let cmd = Command { timeout: Some(SECOND / 5), ..command(["yes"]) };
        let outcome = run(cmd, &mut out, &mut io::sink()).expect("it runs");
        assert_eq!((outcome.exit, outcome.timed_out), (Exit::Signal(15), true));
        assert!(outcome.duration < 2 * SECOND, "{:?}", outcome.duration);
    }

    #[test]
    fn time_runs_out() {
        let cmd = Command { timeout: Some(SECOND / 5), ..sh("echo start; exec sleep 30") };
        let outcome = quietly(&cmd);
        assert_eq!((outcome.exit, outcome.timed_out, outcome.interrupted), (Exit::Signal(15), true, false));
        assert_eq!(text(&outcome.output.bytes), "start\n");
        assert!(outcome.duration >= SECOND / 5 && outcome.duration < 2 * SECOND);

        let cmd = Command { timeout: Some(SECOND / 5), ..sh("trap '' TERM; while :; do sleep 0.1; done") };
        let outcome = quietly(&cmd);
        assert_eq!((outcome.exit, outcome.timed_out), (Exit::Signal(9), true));
        assert!(outcome.duration >= 2 * SECOND && outcome.duration < 4 * SECOND);

        let outcome = quietly(&Command { timeout: Some(Duration::MAX), ..command(["true"]) });
        assert!(outcome.exit.success() && !outcome.timed_out);

        let mut sink = (io::sink(), io::sink());
        let cmd = Command { timeout: Some(SECOND / 5), ..command(["sleep", "30"]) };
        assert!(portable::run(&cmd, &mut sink.0, &mut sink.1).expect("it runs").timed_out);
    }

    #[test]
    fn a_holder_of_the_pipe_is_not_waited_for() {
        let portable: fn(&Command) -> Outcome =
            |cmd| portable::run(cmd, &mut io::sink(), &mut io::sink()).expect("it runs");
        for run in [quietly, portable] {
            let start = Instant::now();
            let outcome = run(&sh("echo hi; sleep 6 &"));
            assert_eq!((outcome.exit, text(&outcome.output.bytes)), (Exit::Code(0), "hi\n"));
            assert!(start.elapsed() >= GRACE && start.elapsed() < 2 * SECOND, "{:?}", start.elapsed());

            let start = Instant::now();
            let outcome = run(&sh("(while sleep 0.05; do echo more; done) & echo hi"));
            assert!(text(&outcome.output.bytes).starts_with("hi\nmore\n"));
            assert!(outcome.duration < SECOND);
            assert!(start.elapsed() >= PATIENCE && start.elapsed() < 5 * SECOND, "{:?}", start.elapsed());
        }
    }

    /// Whether a process is still at work; one that nobody has waited for is not.
    fn runs(pid: &str) -> bool {
        let listed = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid.trim()]).output();
        let state = String::from_utf8(listed.expect("there is a `ps`").stdout).unwrap();
        !state.trim().is_empty() && !state.trim_start().starts_with('Z')
    }

    #[test]
    fn a_group_of_its_own_goes_with_the_command() {
        let gone = |pid: &str| {
            let start = Instant::now();
            while runs(pid) && start.elapsed() < 5 * SECOND {
                std::thread::sleep(Duration::from_millis(10));
            }
            !runs(pid)
        };
        let own = |script: &str| Command { own_group: true, timeout: Some(SECOND), ..sh(script) };
        // What it leaves running, what outlives a signal, and what the clock ends.
        for (script, exit, timed_out) in [
            ("sleep 60 >&- 2>&- & echo $!; exit 3", Exit::Code(3), false),
            ("(trap '' TERM; exec sleep 60) & echo $!; wait", Exit::Signal(15), true),
            ("sleep 60 & echo $!; kill -STOP $$", Exit::Signal(15), true),
        ] {
            let outcome = quietly(&own(script));
            assert_eq!((outcome.exit, outcome.timed_out), (exit, timed_out), "{script}");
            assert!(gone(text(&outcome.output.bytes)), "{script}");
        }
        let outcome = quietly(&own("(sleep 0.1; echo late) & echo early"));
        assert_eq!((outcome.exit, text(&outcome.output.bytes)), (Exit::Code(0), "early\nlate\n"));
        assert_eq!(quietly(&own("kill -KILL $$")).exit, Exit::Signal(9));
    }

    #[test]
    fn what_is_left_soon_after_the_end_is_still_read() {
        let outcome = quietly(&sh("(sleep 0.1; echo late) & echo early"));
        assert_eq!(text(&outcome.output.bytes), "early\nlate\n");
    }

    #[test]
    fn closed_streams_do_not_end_the_wait() {
        let outcome = quietly(&sh("exec >&- 2>&-; sleep 0.5; exit 5"));
        assert_eq!(outcome.exit, Exit::Code(5));
        assert!(outcome.duration >= SECOND / 2);
    }
}

mod on_a_pseudo_terminal {
    use std::os::fd::AsFd;

    use pty_process::{Size, blocking as pty};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::{super::terminal::Terminal, *};

    /// Run `cmd` with a pseudo-terminal of the test's as "our" terminal, typing `keys` when the command says
    /// `ready`.
    fn run_typing(cmd: &Command, keys: &[u8], errors_apart: bool) -> (Outcome, Sheet, Sheet) {
        let (keyboard, screen) = pty::open().unwrap();
        keyboard.resize(Size::new(33, 101)).unwrap();
        let before = tcgetattr(&screen).unwrap();
        let (mut out, mut err) = (Sheet::default(), Sheet::default());
        let outcome = {
            let terminal = Terminal::new(screen.as_fd(), screen.as_fd(), errors_apart)
                .unwrap()
                .expect("it is a terminal");
            let mut typed = false;
            let mut watch = Odd(|bytes: &[u8]| {
                // A busy machine may show the modes a moment late.
                let is_raw = || !tcgetattr(&screen).unwrap().local_modes.contains(LocalModes::ICANON);
                let soon = || {
                    std::thread::sleep(Duration::from_millis(10));
                    is_raw()
                };
                assert!(is_raw() || (0..50).any(|_| soon()), "raw while it runs");
                let count = out.write(bytes)?;
                if !typed && out.bytes.windows(5).any(|word| word == b"ready") {
                    typed = true;
                    let (mut keyboard, keys) =
                        (keyboard.as_fd().try_clone_to_owned().map(std::fs::File::from)?, keys.to_vec());
                    // Apart, as more keys than the terminal takes wait for the loop that waits for us.
                    std::thread::spawn(move || keyboard.write_all(&keys));
                }
                Ok(count)
            });
            unix::run_on(cmd, Some(&terminal), &mut watch, &mut err).expect("it runs")
        };
        let after = tcgetattr(&screen).unwrap();
        assert_eq!(format!("{before:?}"), format!("{after:?}"), "the terminal is as it was");
        (outcome, out, err)
    }

    #[test]
    fn the_command_has_a_terminal_like_ours() {
        let cmd = sh(
            "test -t 0 && test -t 1 && test -t 2 && stty size && stty -a </dev/tty | grep -o ' icanon' && echo e >&2",
        );
        let (outcome, out, err) = run_typing(&cmd, b"", false);
        assert_eq!(text(&outcome.output.bytes), "33 101\r\n icanon\r\ne\r\n");
        assert_eq!(
            (outcome.exit, out.bytes, err.bytes.is_empty()),
            (Exit::Code(0), outcome.output.bytes, true)
        );
    }

    #[test]
    fn standard_error_elsewhere_stays_apart() {
        let (outcome, out, err) = run_typing(&sh("test -t 2 || echo no >&2; sleep 0.2; echo out"), b"", true);
        assert_eq!((text(&out.bytes), text(&err.bytes)), ("out\r\n", "no\n"));
        assert_eq!(text(&outcome.output.bytes), "no\nout\r\n");
    }

    #[test]
    fn keys_reach_the_command() {
        let (outcome, ..) =
            run_typing(&sh("echo ready; read -r line; echo \"got $line\""), b"hello\r", false);
        assert_eq!(text(&outcome.output.bytes), "ready\r\nhello\r\ngot hello\r\n");
        let (outcome, ..) = run_typing(&sh("echo ready; cat; echo done"), b"\x04", false);
        assert!(text(&outcome.output.bytes).ends_with("done\r\n"));
    }

    #[test]
    fn a_typed_interrupt_is_the_commands() {
        let (outcome, ..) = run_typing(&sh("echo ready; exec sleep 30"), b"\x03", false);
        assert_eq!((outcome.exit, outcome.interrupted), (Exit::Signal(2), true));
        let (outcome, ..) =
            run_typing(&sh("trap 'echo caught; exit 9' INT; echo ready; sleep 30"), b"\x03", false);
        assert!(text(&outcome.output.bytes).contains("caught"));
        assert_eq!((outcome.exit, outcome.interrupted), (Exit::Code(9), false));
    }

    #[test]
    fn a_long_paste_is_typed_whole() {
        let keys = vec![b'k'; 300_000];
        let (outcome, ..) =
            run_typing(&sh("stty raw -echo; echo ready; sleep 0.5; head -c 300000 | wc -c"), &keys, false);
        assert!(text(&outcome.output.bytes).contains("300000"), "{:?}", text(&outcome.output.bytes));
    }

    #[test]
    fn long_output_arrives_whole() {
        let (outcome, out, _) = run_typing(&sh("seq 1 100000"), b"", false);
        let expected: String = (1..=100_000).map(|n| format!("{n}\r\n")).collect();
        assert!(text(&outcome.output.bytes) == expected);
        assert!(out.bytes == outcome.output.bytes);
    }

    #[test]
    fn a_holder_of_the_terminal_is_not_waited_for() {
        let start = Instant::now();
        let (outcome, ..) = run_typing(&sh("trap '' HUP; sleep 6 & echo hi"), b"", false);
        assert_eq!((outcome.exit, text(&outcome.output.bytes)), (Exit::Code(0), "hi\r\n"));
        assert!(start.elapsed() < 2 * SECOND);
    }

    #[test]
    fn a_terminal_opened_again_is_read_again() {
        let (outcome, ..) = run_typing(&sh("exec <&- >&- 2>&-; sleep 0.3; echo late >/dev/tty"), b"", false);
        assert_eq!(text(&outcome.output.bytes), "late\r\n");
    }

    #[test]
    fn time_runs_out_for_the_whole_group() {
        let cmd =
            Command { timeout: Some(SECOND / 5), ..sh("trap 'echo bye; exit 6' TERM; sleep 30; echo no") };
        let (outcome, ..) = run_typing(&cmd, b"", false);
        assert_eq!((outcome.exit, outcome.timed_out), (Exit::Code(6), true));
        assert!(text(&outcome.output.bytes).ends_with("bye\r\n"));
        assert!(outcome.duration < 2 * SECOND);
    }

    #[test]
    fn a_program_that_is_not_there_leaves_the_terminal_alone() {
        let (_keyboard, screen) = pty::open().unwrap();
        let before = format!("{:?}", tcgetattr(&screen).unwrap());
        let terminal = Terminal::new(screen.as_fd(), screen.as_fd(), false).unwrap();
        let error =
            unix::run_on(&command(["no-such-program"]), terminal.as_ref(), &mut io::sink(), &mut io::sink());
        assert_eq!(error.expect_err("it is not there").exit_code(), Some(127));
        drop(terminal);
        assert_eq!(format!("{:?}", tcgetattr(&screen).unwrap()), before);
    }

    #[test]
    fn no_terminal_is_no_terminal() {
        let (reader, writer) = io::pipe().unwrap();
        assert!(Terminal::new(reader.as_fd(), writer.as_fd(), false).unwrap().is_none());
    }
}

mod as_a_process {
    use std::{
        io::{BufRead, BufReader, Read},
        os::{
            fd::AsFd,
            unix::process::{CommandExt, ExitStatusExt},
        },
        process::{Child, Stdio},
    };

    use pty_process::{Size, blocking as pty};
    use rustix::{
        process::{Pid, Signal, getpid, kill_process},
        termios::tcgetattr,
    };
    use signal_hook::consts;

    use super::*;

    /// Not a test: what [`again`] starts.
    #[test]
    fn the_process_that_runs_a_command() {
        let Ok(script) = std::env::var("CHILD_TEST_SCRIPT") else { return };
        let told = |word: &str| std::env::var("CHILD_TEST_HOW").is_ok_and(|how| how.contains(word));
        let cmd = Command { terminal: told("terminal"), ..sh(&script) };
        let hold = told("hold").then(|| Hold::new().unwrap());
        let outcome = if told("panic") {
            // As in a build that does not unwind.
            std::panic::set_hook(Box::new(|_| std::process::abort()));
            run(cmd, &mut Odd(|_: &[u8]| panic!("as told")), &mut io::stderr())
        } else {
            run(cmd, &mut io::stdout(), &mut io::stderr())
        }
        .expect("it runs");
        if told("then-die") {
            kill_process(getpid(), Signal::TERM).unwrap();
            // Some other thread may be the one to get it.
            std::thread::sleep(SECOND / 5);
        }
        if told("memory") {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
            println!("{peak}");
        }
        println!("code={} interrupted={}", outcome.exit.code(), outcome.interrupted);
        drop(hold);
    }

    /// Where the tests run in the background, as under `nohup` or a build server, signals are ignored from the
    /// start. A caught one has its default action again in whatever is started, so the process that is tested
    /// always begins as one on a terminal does.
    fn with_default_signals() {
        static CAUGHT: std::sync::Once = std::sync::Once::new();
        CAUGHT.call_once(|| {
            let ignored = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let mask = ignored.lines().find_map(|line| line.strip_prefix("SigIgn:"));
            let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
            for signal in [consts::SIGINT, consts::SIGQUIT, consts::SIGHUP, consts::SIGTERM] {
                if mask >> (signal - 1) & 1 == 1 {
                    let noticed: std::sync::Arc<std::sync::atomic::AtomicBool> = Default::default();
                    signal_hook::flag::register(signal, noticed).unwrap();
                }
            }
        });
    }

    fn again(script: &str, how: &str) -> std::process::Command {
        with_default_signals();
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child::tests::as_a_process::the_process_that_runs_a_command", "--nocapture"])
            .env("CHILD_TEST_SCRIPT", script)
            .env("CHILD_TEST_HOW", how);
        command
    }

    /// In the background, as far as any terminal of the tests goes.
    fn on_pipes(script: &str, how: &str) -> Child {
        let mut command = again(script, how);
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn wait_for_ready(output: &mut impl Read) {
        let mut lines = BufReader::with_capacity(1, output);
        let mut line = String::new();
        while !line.contains("ready") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before it was ready");
        }
    }

    fn signalled(script: &str, signals: &[Signal]) -> String {
        let mut child = on_pipes(script, "");
        let mut output = child.stdout.take().unwrap();
        wait_for_ready(&mut output);
        for &signal in signals {
            kill_process(Pid::from_child(&child), signal).unwrap();
            std::thread::sleep(Duration::from_millis(300));
        }
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert!(child.wait().unwrap().success());
        rest
    }

    #[test]
    fn a_signal_to_us_alone_is_passed_on_and_we_live_to_tell() {
        for (name, signal) in
            [("INT", Signal::INT), ("TERM", Signal::TERM), ("HUP", Signal::HUP), ("QUIT", Signal::QUIT)]
        {
            let script = format!("trap 'echo got; exit 7' {name}; echo ready; while :; do sleep 0.05; done");
            let rest = signalled(&script, &[signal]);
            assert!(rest.contains("got\ncode=7 interrupted=true\n"), "{name}: {rest}");
        }
        let rest = signalled("echo ready; exec sleep 30", &[Signal::TERM]);
        assert!(rest.contains("code=143 interrupted=true"), "{rest}");
    }

    #[test]
    fn a_second_interrupt_is_passed_on_too() {
        let script = "trap 'n=$((n+1)); echo got $n; test $n = 2 && exit 8' INT; echo ready; while :; do sleep 0.05; done";
        let rest = signalled(script, &[Signal::INT, Signal::INT]);
        assert!(rest.contains("got 1\ngot 2\ncode=8 interrupted=true\n"), "{rest}");
    }

    #[test]
    fn after_the_run_signals_end_us_again_unless_held() {
        let output = on_pipes("echo hi", "then-die").wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(15));
        let output = on_pipes("echo hi", "then-die hold").wait_with_output().unwrap();
        assert!(output.status.success());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_ignored_signal_stays_ignored() {
        let again = again("kill -HUP $$; kill -HUP $PPID; sleep 0.3; echo alive", "");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(again.get_program()).args(again.get_args());
        shell.envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = shell.output().unwrap();
        assert!(
            text(&output.stdout).contains("alive\ncode=0 interrupted=false\n"),
            "{}",
            text(&output.stdout)
        );
    }

    #[test]
    fn standard_input_is_the_commands() {
        let mut child = on_pipes("cat", "");
        child.stdin.take().unwrap().write_all(b"from above\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(text(&output.stdout).contains("from above\ncode=0"));
    }

    #[test]
    fn a_closed_standard_output_changes_nothing_for_the_command() {
        let directory = tempfile::tempdir().unwrap();
        let done = directory.path().join("done");
        let mut child =
            on_pipes(&format!("echo ready; sleep 0.3; seq 1 200000; echo ok > {}", done.display()), "");
        let mut output = child.stdout.take().unwrap();
        wait_for_ready(&mut output);
        drop(output);
        child.wait().unwrap();
        assert_eq!(std::fs::read_to_string(done).unwrap(), "ok\n");
    }

    #[test]
    fn a_command_without_end_ends_with_its_reader() {
        let mut child = on_pipes("echo ready; exec yes", "");
        let mut output = child.stdout.take().unwrap();
        wait_for_ready(&mut output);
        drop(output);
        child.wait().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_bounded_however_long_the_output() {
        let mut child = on_pipes("yes | head -c 300000000", "memory");
        let mut output = child.stdout.take().unwrap();
        let (mut tail, mut buffer) = (Vec::new(), vec![0; 65_536]);
        loop {
            let count = output.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            tail.extend_from_slice(&buffer[..count]);
            tail.drain(..tail.len().saturating_sub(1_000));
        }
        assert!(child.wait().unwrap().success());
        let tail = text(&tail);
        let peak: usize =
            tail.split("VmHWM:").nth(1).unwrap().trim_start().split(' ').next().unwrap().parse().unwrap();
        assert!(peak < 64 * 1024, "{peak} KiB");
    }

    /// On a terminal of its own, in its foreground.
    fn on_terminal(script: &str, how: &str) -> (Child, pty::Pty) {
        let (ours, theirs) = pty::open().unwrap();
        ours.resize(Size::new(20, 70)).unwrap();
        let child = pty::Command::from(again(script, how)).spawn(theirs).unwrap();
        (child, ours)
    }

    fn read_to_end(terminal: &mut pty::Pty) -> String {
        let mut all = Vec::new();
        // The end of a pseudo-terminal is an error on Linux.
        let _ = terminal.read_to_end(&mut all);
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn a_typed_interrupt_comes_once_to_a_command_on_pipes() {
        let script =
            "trap 'echo got' INT; echo ready; n=0; while test $n -lt 12; do sleep 0.05; n=$((n+1)); done";
        let (mut child, mut terminal) = on_terminal(script, "");
        wait_for_ready(&mut terminal);
        terminal.write_all(b"\x03").unwrap();
        let rest = read_to_end(&mut terminal);
        assert_eq!(rest.matches("got").count(), 1, "{rest}");
        assert!(rest.contains("code=0 interrupted=true"), "{rest}");
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn our_own_terminal_is_passed_through() {
        let script = "test -t 1 && stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.05; done";
        let (mut child, mut terminal) = on_terminal(script, "terminal");
        wait_for_ready(&mut terminal);
        let modes = tcgetattr(&terminal).unwrap().local_modes;
        assert!(!modes.contains(rustix::termios::LocalModes::ICANON), "raw while it runs");
        terminal.resize(Size::new(21, 71)).unwrap();
        let rest = read_to_end(&mut terminal);
        assert!(rest.contains("21 71\r\ncode=3 interrupted=false\r\n"), "{rest}");
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn a_signal_reaches_a_command_on_a_pseudo_terminal() {
        let (mut child, mut terminal) =
            on_terminal("trap 'echo got; exit 7' TERM; echo ready; sleep 30", "terminal");
        wait_for_ready(&mut terminal);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let rest = read_to_end(&mut terminal);
        assert!(rest.contains("got\r\ncode=7 interrupted=true\r\n"), "{rest}");
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn a_panic_puts_the_terminal_right() {
        let (ours, theirs) = pty::open().unwrap();
        let keep_open = theirs.as_fd().try_clone_to_owned().unwrap();
        let before = format!("{:?}", tcgetattr(&keep_open).unwrap());
        let mut child =
            pty::Command::from(again("echo hi; sleep 1", "terminal panic")).spawn(theirs).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(6), "it aborted");
        assert_eq!(format!("{:?}", tcgetattr(&keep_open).unwrap()), before);
        drop(ours);
    }
}
