//! Any bytes taken for the commit of an entry give findings or an entry, never a panic.

#![no_main]

use git_receipt::domain::chain::{self, Before};
use git_receipt::domain::ids::Oid;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let link = chain::inspect(Oid::Sha1([0; 20]), bytes, &mut Vec::new());
    let _ = chain::check_link(&link, Before::Nothing, |_| None);
    assert!(link.entry.is_some() || !link.findings.is_empty());
});
