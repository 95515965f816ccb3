//! Whatever the strict reader accepts, the writer gives back byte for byte; nothing makes it panic.

#![no_main]

use git_receipt::domain::canonical;
use git_receipt::domain::entry::Body;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = canonical::read(bytes) {
        assert_eq!(canonical::write(&value).expect("what was read can be written"), bytes);
    }
    let _ = Body::read(bytes);
});
