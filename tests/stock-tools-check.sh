#!/usr/bin/env bash
# Records a session with the program, then checks every entry of it with git, sed, sha256sum, Python and ssh-keygen
# alone; the same for a history that the second implementation wrote.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --locked --quiet
program=$PWD/${CARGO_TARGET_DIR:-target}/debug/git-receipt
[ -x "$program" ] || program=${CARGO_TARGET_DIR:-target}/debug/git-receipt
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work/home GIT_CONFIG_NOSYSTEM=1
unset XDG_CONFIG_HOME GIT_RECEIPT GIT_RECEIPT_ID GIT_RECEIPT_KEY_FILE
mkdir -p "$HOME"
git config --global user.name "Ann Example"
git config --global user.email ann@example.com

for format in sha1 sha256; do
  repo=$work/$format
  git init --quiet --initial-branch=main --object-format=$format "$repo"
  cd "$repo"
  echo one >file
  git add file
  git commit --quiet -m "First"
  "$program" init --no-man >/dev/null
  "$program" open -m "Check with stock tools" >/dev/null
  "$program" run --gate test -- sh -c 'echo fine'
  echo two >file
  "$program" run -- sh -c 'echo "half done"; exit 1' || true
  git commit --quiet -am "Second"
  "$program" bind
  "$program" close --status completed
  "$program" remark @ -m "looks right: ünïcode, \"quotes\", 'more'"
  if [ -d "$here/../shared/fixtures/claude-code" ]; then
    "$program" import claude-code "$here"/../shared/fixtures/claude-code/*/full.jsonl >/dev/null
  else
    echo "recorded sessions are not here: skipped"
  fi
  python3 "$here/tests/foreign/writer.py" honest "$repo" >/dev/null
  "$here/tests/stock-tools.sh" "$repo"
  git fsck --strict
done
