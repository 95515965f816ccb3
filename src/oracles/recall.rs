//! How many of the planted secrets are found, by kind, place and dress.

use std::collections::BTreeMap;

use crate::domain::redact::corpus::corpus;
use crate::domain::redact::{Redactor, without_markers};

/// Found and planted.
type Tally = BTreeMap<&'static str, (usize, usize)>;

fn table(title: &str, tally: &Tally) {
    println!("{title}");
    for (name, (found, planted)) in tally {
        println!("  {name:<34} {found:>5} of {planted:>5}  {:>6.2} %", percent(*found, *planted));
    }
}

fn percent(found: usize, planted: usize) -> f64 {
    100.0 * found as f64 / planted as f64
}

#[test]
fn planted_secrets_are_found() {
    let redactor = Redactor::new(&[]).expect("no patterns, no mistake");
    let corpus = corpus();
    let (mut kinds, mut places, mut dresses) = (Tally::new(), Tally::new(), Tally::new());
    let (mut found, mut missed, mut cut) = (0, Vec::new(), 0);
    for planted in &corpus {
        let (out, _) = redactor.redact_str(&planted.text);
        let left = planted.left(&out);
        for (tally, name) in
            [(&mut kinds, planted.kind), (&mut places, planted.place), (&mut dresses, planted.dress)]
        {
            let entry = tally.entry(name).or_default();
            entry.0 += usize::from(left.is_none());
            entry.1 += 1;
        }
        match left {
            None => {
                found += 1;
                let kept = without_markers(out.as_bytes());
                cut += (planted.text.len() - planted.secret.text.len()).saturating_sub(kept);
            }
            Some(left) => missed.push((planted, left, out.into_owned())),
        }
    }
    let show = std::env::var("GIT_RECEIPT_SHOW_MISSED").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    for (planted, left, out) in missed.iter().take(show) {
        println!(
            "missed: {} | {} | {}: {left:?} is left\n    {:?}\n -> {out:?}",
            planted.kind, planted.place, planted.dress, planted.text
        );
    }
    table("by kind", &kinds);
    table("by place", &places);
    table("by dress", &dresses);
    println!(
        "overall: {found} of {} texts, {} kinds, {} places, {} dresses, {:.2} %; {:.1} bytes too many a text",
        corpus.len(),
        kinds.len(),
        places.len(),
        dresses.len(),
        percent(found, corpus.len()),
        cut as f64 / found as f64,
    );
    assert!(corpus.len() >= 300 && kinds.len() >= 20, "the corpus has shrunk");
    let new = missed.iter().filter(|(planted, ..)| !planted.is_known_miss()).count();
    assert_eq!(new, 0, "missed besides {} known ones", missed.len() - new);
}
