//! How fast redaction is, in units of SHA-256 over the same bytes, and that hostile text does not slow it down.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::domain::redact::Redactor;

/// Output of builds, tests, listings and logs, as sessions are full of.
fn typical(len: usize) -> Vec<u8> {
    let mut text = String::with_capacity(len + 1024);
    let mut n = 0;
    while text.len() < len {
        n += 1;
        text += &format!("   Compiling some-crate-{n} v1.{n}.3 (/home/me/project/crates/some-crate-{n})\n");
        if n % 5 == 0 {
            text += "warning: unused variable: `token`\n  --> src/parser/tokens.rs:12:9\n   |\n12 |     let token = next_token();\n";
        }
        if n % 7 == 0 {
            text += &format!(
                "drwxr-xr-x 2 me me 4096 Mar  4 05:06 target/debug/deps/some_crate_{n}-1f2e3d4c5b6a7988\n"
            );
            text += "{\"level\":\"info\",\"msg\":\"request done\",\"status\":200,\"duration_ms\":12,\"path\":\"/v1/items\"}\n";
        }
        if n % 11 == 0 {
            text += "test store::tests::a_stale_tip_leaves_the_chain_alone ... ok\n    Finished `dev` profile in 1.23s\n";
        }
    }
    text.truncate(len);
    text.into_bytes()
}

fn repeated(piece: &str, len: usize) -> Vec<u8> {
    piece.bytes().cycle().take(len).collect()
}

fn best<T>(rounds: usize, mut run: impl FnMut() -> T) -> Duration {
    let mut time = Duration::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        std::hint::black_box(run());
        time = time.min(start.elapsed());
    }
    time
}

fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64().max(1e-9)
}

/// Hostile text: pieces that are said over and over again.
const HOSTILE: &[&str] = &[
    "=",
    "a:",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----END PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2",
    "A",
    "\\",
    "\"",
    "[",
    "\u{1b}[0m",
    "\\u001b[0m",
    "password=",
    "password: ",
    "password: |\n  ",
    "password: | ",
    "secret secret ",
    "secret=a&",
    "token token token\n",
    "name=\"password\"\r\n\r\n",
    "name: password\n value",
    "| api key |",
    "eyJ",
    "eyJhbGciOiJIUzI1NiJ9.",
    "://",
    "://a:",
    "https://a:b#@",
    "curl -u",
    "curl ",
    "mysql -p",
    "curl - - - - - - - - ",
    "| chpasswd",
    "echo | sudo -S",
    "--password-stdin",
    "+ASt",
    "A+ASt",
    ".atlasv1.",
    "LS0tLS1CRUdJTi",
    "Private-Lines: 1\n",
    "secret access key",
    "Cookie: a=b; ",
    "TRUE\t1\ta\t",
    ":5432:a:b:",
    "ghp_",
    "Authorization: Bearer ",
    "identified with a by '",
];

#[test]
fn typical_output_is_read_in_a_moment() {
    let redactor = Redactor::new(&[]).expect("no patterns, no mistake");
    let optimised = !cfg!(debug_assertions);
    for (len, rounds) in [(10_000, 200), (1_000_000, 10), (50_000_000, 1)] {
        if !optimised && len > 1_000_000 {
            println!("50 MB: skipped in an unoptimised build");
            continue;
        }
        let text = typical(len);
        let (redacts, hashes) =
            (best(rounds, || redactor.redact(&text)), best(rounds, || Sha256::digest(&text)));
        let (redacts, hashes) = (rate(len, redacts), rate(len, hashes));
        println!("{len:>9} bytes: {redacts:>7.1} MB/s, SHA-256 {hashes:>7.1} MB/s, {:.2}", redacts / hashes);
    }
    let start = Instant::now();
    Redactor::new(&["ACME-[0-9]{8}".into()]).expect("a fine pattern");
    println!("compiling one pattern: {:?}", start.elapsed());
}

#[test]
fn hostile_text_takes_time_in_proportion_to_its_length() {
    let redactor = Redactor::new(&[]).expect("no patterns, no mistake");
    let optimised = !cfg!(debug_assertions);
    let long = if optimised { 50_000_000 } else { 160_000 };
    let sample = repeated("=", long);
    let hashes = rate(long, best(1, || Sha256::digest(&sample)));
    let mut slow = Vec::new();
    for piece in HOSTILE {
        let (short, long) = (repeated(piece, long / 8), repeated(piece, long));
        let measure = || {
            let few = best(3, || redactor.redact(&short));
            let many = best(1, || redactor.redact(&long));
            (many, many.as_secs_f64() / few.as_secs_f64() / 8.0)
        };
        let (mut many, mut grows) = measure();
        for _ in 0..4 {
            // Other programs on the machine slow one measurement down, not five in a row.
            if grows <= 4.0 {
                break;
            }
            let (again, less) = measure();
            (many, grows) = (many.min(again), grows.min(less));
        }
        let speed = rate(long.len(), many);
        println!("{piece:<40?} {speed:>7.1} MB/s, {:.2} of SHA-256, {grows:.1} times linear", speed / hashes);
        // Twice covers what caches and other programs on the machine do; quadratic would be eight.
        if grows > 4.0 && many > Duration::from_millis(200) {
            slow.push(*piece);
        }
    }
    assert!(slow.is_empty(), "more than linear: {slow:?}");
}
