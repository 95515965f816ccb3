//! The files of signers and of revoked keys parse or say where they do not.

#![no_main]

use git_receipt::domain::revoked::Revoked;
use git_receipt::domain::signers::AllowedSigners;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<AllowedSigners>();
        let _ = text.parse::<Revoked>();
    }
});
