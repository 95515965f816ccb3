//! Chosen lines, as a reader in Python applies them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64ct::{Base64, Encoding as _};

use crate::domain::lines::tests::naive::{ours, text_case};
use crate::domain::lines::tests::world::cases;

#[test]
fn an_independent_reader_gives_the_same_bytes() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lines_oracle.py");
    let child = Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: no python3 here");
        return;
    };
    let mut input = child.stdin.take().unwrap();
    let cases = cases(300).min(100_000);
    let writer = std::thread::spawn(move || {
        for (base, proposed, file, chosen) in (0..cases).flat_map(text_case) {
            let numbers: Vec<u64> = chosen.ranges().iter().flat_map(|(low, high)| *low..=*high).collect();
            let case = serde_json::json!({
                "base": Base64::encode_string(&base), "proposed": Base64::encode_string(&proposed),
                "first": file.first, "ops": file.ops, "chosen": numbers,
            });
            writeln!(input, "{case}").unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let mut answers = output.stdout.split(|byte| *byte == b'\n');
    let mut compared = 0;
    for (base, proposed, file, chosen) in (0..cases).flat_map(text_case) {
        let theirs = Base64::decode_vec(std::str::from_utf8(answers.next().unwrap()).unwrap()).unwrap();
        assert_eq!(ours(&base, &proposed, &file, &chosen), theirs, "{file:?} {chosen}");
        compared += 1;
    }
    println!("{compared} files compared with the Python oracle");
}
