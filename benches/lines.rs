//! Line tables of many commits against `git log -p` of the same, in one run and in turn.
//!
//! ```sh
//! cargo bench --locked --bench lines -- REPOSITORY [COMMITS]
//! ```
//!
//! Prints the medians of seven rounds each, in milliseconds, and their ratio. Ours diffs every first-parent commit
//! against its parent on two threads, with renames, moves and pairing; git's prints its patches without renames.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use git_receipt::domain::ids::{Oid, Timestamp};
use git_receipt::domain::lines;
use git_receipt::store::{OpenOptions, Store};

const ROUNDS: usize = 7;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let Some(repo) = args.next() else {
        // `cargo test` and `cargo bench` without a repository have nothing to measure.
        println!("give a repository: cargo bench --bench lines -- REPOSITORY [COMMITS]");
        return ExitCode::SUCCESS;
    };
    let count = args.next().unwrap_or_else(|| "2000".into());
    let repo = Path::new(&repo);
    let pairs = pairs(repo, &count);
    let (mut ours, mut gits, mut numbers) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        numbers = diff_all(repo, &pairs);
        ours.push(start.elapsed().as_secs_f64() * 1000.0);
        let start = Instant::now();
        let args = ["log", "-p", "--no-renames", "--first-parent", "--format=%H", "-n", &count];
        let status = git(repo).args(args).stdout(Stdio::null()).status().expect("git runs");
        assert!(status.success());
        gits.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    let (ours, gits) = (median(ours), median(gits));
    println!(
        "{} commits, {numbers} lines: ours {ours:.0} ms, git log -p {gits:.0} ms, {:.2}",
        pairs.len(),
        ours / gits
    );
    ExitCode::SUCCESS
}

fn git(repo: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(repo).arg("--no-pager");
    command
}

/// The trees of every commit and of its first parent.
fn pairs(repo: &Path, count: &str) -> Vec<(Oid, Oid)> {
    let args = ["log", "--first-parent", "--format=%T", "-n", count];
    let out = git(repo).args(args).output().expect("git runs");
    let text = String::from_utf8(out.stdout).expect("ids are ASCII");
    let trees: Vec<Oid> = text.lines().filter_map(Oid::from_hex).collect();
    trees.windows(2).map(|pair| (pair[1], pair[0])).collect()
}

fn diff_all(repo: &Path, pairs: &[(Oid, Oid)]) -> u64 {
    let next = AtomicUsize::new(0);
    let work = || {
        let store = open(repo);
        let mut numbers = 0;
        while let Some((from, to)) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (base, proposed) = store.changed_files(*from, *to).expect("trees are here");
            // A path that nobody may write is no matter of speed.
            numbers += lines::diff(&base, &proposed, &store).map_or(0, |table| table.count());
        }
        numbers
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        work() + other.join().expect("no panic")
    })
}

fn open(repo: &Path) -> Store {
    let options = OpenOptions {
        directory: repo.to_owned(),
        now: Timestamp::from_unix_ms(0),
        quarantined: false,
        entropy: |_| {},
        settings: Vec::new(),
        private: None,
        trusts_kept: false,
        named: true,
        temporary: std::env::temp_dir(),
        objects: Default::default(),
    };
    Store::open(&options).expect("a repository")
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
