//! Tests that hold our rules against other programs, recorded data and the clock.
//!
//! They live here because the rules themselves know of no processes, files or clocks, and see their helpers because
//! they are part of the crate.

mod check_output;
mod false_hits;
mod lines;
mod planted_secrets;
mod policy_patterns;
mod recall;
mod redaction_speed;
mod sessions;
mod ssh_keygen;
