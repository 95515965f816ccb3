//! The program from outside: real repositories, real git, real `ssh-keygen`.

mod audit;
mod audit_attacks;
mod bits;
mod blame;
mod documents;
mod foreign;
mod forks;
mod heads;
#[cfg(unix)]
mod hook_files;
mod hooks;
mod hostile_proposals;
mod kept;
mod keys;
mod kills;
mod landing;
mod places;
#[cfg(unix)]
mod policy_story;
mod proposals;
mod record;
mod replay;
mod reruns;
#[cfg(unix)]
mod review;
mod rollback;
mod sessions;
mod sharing;
mod support;
