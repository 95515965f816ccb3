//! The `git-receipt` binary: hands arguments and environment to the library and exits with the code it gets.

use std::process::ExitCode;

fn main() -> ExitCode {
    git_receipt::cli::run(std::env::args_os())
}
