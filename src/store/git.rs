//! Running git itself, for what it does better than we could: transport, reftable, configuration writes.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::error::StoreError;

/// A git command in the repository `git_dir`, with replace refs, grafts and prompts off.
pub(super) fn command(git_dir: &Path, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new("git");
    command
        // Without the second git says of the grafts below, turned off or not, that they are out of date.
        .args(["--no-replace-objects", "-c", "advice.graftFileDeprecated=false"])
        .args(args)
        .env("GIT_DIR", git_dir)
        .env("LC_ALL", "C")
        .env("GIT_GRAFT_FILE", "/dev/null")
        // Our own hooks have nothing to add to what we do ourselves.
        .env("GIT_RECEIPT_IN_HOOK", "1")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null());
    command
}

/// Runs git, feeds it `input`, and returns what it printed.
///
/// # Errors
/// When git cannot be started or exits with anything but 0; the cause is its standard error.
pub(super) fn run(
    git_dir: &Path,
    args: &[impl AsRef<OsStr>],
    input: Option<&[u8]>,
) -> Result<Vec<u8>, StoreError> {
    let output = output(command(git_dir, args), input).map_err(|error| failed(args, &error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(args, String::from_utf8_lossy(&output.stderr).trim()))
}

/// Runs a prepared command and collects what it printed, whatever its exit code.
pub(super) fn output(mut command: Command, input: Option<&[u8]>) -> std::io::Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn()?;
    let feeder = input.zip(child.stdin.take()).map(|(input, mut stdin)| {
        let input = input.to_vec();
        // git may close its end early; its exit code tells.
        std::thread::spawn(move || drop(stdin.write_all(&input)))
    });
    let output = child.wait_with_output();
    if let Some(feeder) = feeder {
        let _ = feeder.join();
    }
    output
}

pub(super) fn failed(args: &[impl AsRef<OsStr>], cause: &str) -> StoreError {
    let shown: Vec<_> = args.iter().take(3).map(|arg| arg.as_ref().to_string_lossy()).collect();
    StoreError::Git { command: shown.join(" "), cause: cause.to_owned() }
}
