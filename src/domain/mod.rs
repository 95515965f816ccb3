//! The rules: functions from values to values, without git, files, clock or randomness.

pub mod canonical;
pub mod entry;
pub mod fact;
pub mod ids;
pub mod revoked;
pub mod signers;
pub mod sshsig;
