//! The program from outside: real repositories, real git, real `ssh-keygen`.

mod audit;
mod bits;
mod documents;
mod foreign;
mod forks;
mod heads;
#[cfg(unix)]
mod hook_files;
mod hooks;
mod hostile_proposals;
mod keys;
mod kills;
mod landing;
mod places;
mod proposals;
mod record;
mod replay;
mod reruns;
mod rollback;
mod sessions;
mod sharing;
mod support;
