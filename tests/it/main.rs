//! The program from outside: real repositories, real git, real `ssh-keygen`.

mod audit;
mod bits;
mod blame;
mod documents;
mod foreign;
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
mod sessions;
mod sharing;
mod support;
