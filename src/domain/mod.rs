//! The rules: functions from values to values, without git, files, clock or randomness.

pub mod redact;
pub mod secret_paths;
