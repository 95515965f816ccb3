//! The rules: functions from values to values, without git, files, clock or randomness.

pub mod audit;
pub mod canonical;
pub mod chain;
pub mod checked;
pub mod commit;
pub mod entry;
pub mod fact;
pub mod finding;
pub mod fold;
pub mod ids;
pub mod invisible;
pub mod kept;
pub mod lines;
mod lines_of_text;
pub mod money;
pub mod normal;
pub mod policy;
pub mod presence;
pub mod redact;
pub mod review;
pub mod revoked;
pub mod secret_paths;
pub mod signers;
pub mod sshsig;
pub mod verify;
