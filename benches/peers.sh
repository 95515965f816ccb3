#!/usr/bin/env bash
# Whole processes against plain git, each pair in one run. Needs git, hyperfine, jq, python3 and ssh-keygen.
#
#   cargo build --release --locked && benches/peers.sh [PROGRAM] [ENTRIES]
#
# Prints one line a figure: what was measured, the medians in milliseconds, their ratio, and the bar.
set -euo pipefail

program=$(realpath "${1:-target/release/git-receipt}")
entries=${2:-100000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work/home GIT_CONFIG_NOSYSTEM=1
unset XDG_CONFIG_HOME GIT_RECEIPT GIT_RECEIPT_ID GIT_RECEIPT_KEY_FILE
mkdir -p "$HOME"
git config --global user.name "Ann Example"
git config --global user.email ann@example.com
git config --global init.defaultBranch main
git config --global gc.auto 0

# median NAME RUNS COMMAND…: medians of commands run in turn, in milliseconds, one a line.
medians() {
  local runs=$1; shift
  for round in 1 2 3; do
    hyperfine -N --warmup 3 --runs "$runs" --export-json "$work/times.$round.json" "$@" >/dev/null 2>&1
  done
  jq -s '[.[].results] | transpose | .[] | [.[].times[]] | sort | .[length / 2 | floor] * 1000' \
    "$work"/times.[123].json
}

# report TEXT A B BAR: the ratio A / B.
report() {
  python3 - "$@" <<'P'
import sys
text, a, b, bar = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
print(f"{text:<62} {a:10.2f} ms {b:10.2f} ms   {a / b:8.4f}   {bar}")
P
}

new_repo() {
  git init --quiet "$1"
  cd "$1"
  echo one >file
  git add file
  git commit --quiet -m "First"
  "$program" init --no-man >/dev/null
  "$program" open -m "Bench" >/dev/null
}

facts() {
  python3 - "$1" <<'P'
import json, sys
for n in range(int(sys.argv[1])):
    data = {"model": "m", "input_tokens": n, "output_tokens": 3 * n}
    print(json.dumps({"kind": "usage.counted", "title": f"call {n}", "data": data}))
P
}

echo "$(git --version), $("$program" --version), $(nproc) cores, $(date -u +%F)"
printf '%-62s %13s %13s   %8s   %s\n' what ours theirs ratio bar

# Append: one entry, against the two git commands that would store a commit on a ref.
new_repo "$work/small"
facts 10 | "$program" record >/dev/null
echo '{"kind":"remark.made","data":{"text":{"text":"looked at by hand"}}}' >"$work/line.json"
tree=$(git mktree </dev/null)
cat >"$work/pair.sh" <<P
commit=\$(git commit-tree $tree -p refs/heads/main -m message) && git update-ref refs/heads/pair \$commit
P
mapfile -t t < <(medians 60 "$program -C $work/small record $work/line.json" "sh $work/pair.sh")
append_small=${t[0]}
report "append one entry / git commit-tree + git update-ref from sh" "${t[0]}" "${t[1]}" "<= 0.55 (0.45 static)"

new_repo "$work/large"
facts "$entries" | "$program" record >/dev/null
git gc --quiet
mapfile -t t < <(medians 60 "$program -C $work/large record $work/line.json" "$program -C $work/small record $work/line.json")
report "append at $entries entries / append at ten" "${t[0]}" "${t[1]}" "<= 1.2"

# Verify: against a history of gpgsig-signed commits, per commit, and against fsck.
ssh-keygen -q -t ed25519 -N '' -f "$work/signing"
new_repo "$work/signed"
git config gpg.format ssh
git config user.signingKey "$work/signing"
echo "ann@example.com $(cut -d' ' -f1,2 "$work/signing.pub")" >"$work/allowed"
git config gpg.ssh.allowedSignersFile "$work/allowed"
signed=300
for n in $(seq $signed); do git commit --quiet --allow-empty -S -m "Signed $n"; done
cd "$work/large"
mapfile -t t < <(medians 3 "$program -C $work/large verify" "git -C $work/signed log --show-signature main" "git -C $work/large fsck --strict")
python3 - "${t[0]}" "${t[1]}" "${t[2]}" "$entries" $signed <<'P'
import sys
ours, git, fsck, entries, signed = (float(x) for x in sys.argv[1:])
per_entry, per_commit = ours / entries * 1000, git / signed * 1000
print(f"{'verify, us an entry':<62} {per_entry:10.2f} us {per_commit:10.2f} us   {per_commit / per_entry:8.1f}   >= 300 x git log --show-signature")
print(f"{'verify, entries a second':<62} {entries / ours * 1000:10.0f}")
print(f"{'verify everything / git fsck --strict':<62} {ours:10.0f} ms {fsck:10.0f} ms   {ours / fsck:8.2f}")
P

# Notes: 1,000 bindings in one batch, against a loop of git notes add.
new_repo "$work/notes"
python3 - <<'P' | git fast-import --quiet
print("feature done")
for n in range(1000):
    print(f"commit refs/heads/many\ncommitter A <a@example.com> {1700000000 + n} +0000\ndata 1\nx")
print("done")
P
git rev-list refs/heads/many >"$work/commits"
python3 - "$work/commits" <<'P' >"$work/bound.jsonl"
import json, sys
for commit in open(sys.argv[1]).read().split():
    data = {"commit": f"sha1:{commit}", "tree": "sha1:4b825dc642cb6eb9a060e54bf8d69288fbee4904", "subject": "x"}
    print(json.dumps({"kind": "commit.bound", "title": "x", "data": data}))
P
python3 - "$work/bound.jsonl" <<'P' >"$work/unbound.jsonl"
import json, sys
for line in open(sys.argv[1]):
    fact = json.loads(line)
    text = json.dumps(fact["data"])
    print(json.dumps({"kind": "remark.made", "title": "x", "data": {"text": {"text": text}}}))
P
cat >"$work/notes.sh" <<P
head -200 $work/commits | while read -r commit; do git notes --ref=peer add -f -m "a line" \$commit; done
P
mapfile -t t < <(medians 3 "$program -C $work/notes record $work/bound.jsonl" "$program -C $work/notes record $work/unbound.jsonl" "sh $work/notes.sh")
python3 - "${t[0]}" "${t[1]}" "${t[2]}" <<'P'
import sys
bound, unbound, loop = (float(x) for x in sys.argv[1:])
loop *= 5
print(f"{'1,000 signed bindings with notes / git notes add loop':<62} {bound:10.1f} ms {loop:10.1f} ms   {bound / loop:8.4f}")
print(f"{'notes of 1,000 bindings alone / git notes add loop':<62} {bound - unbound:10.1f} ms {loop:10.1f} ms   {(bound - unbound) / loop:8.4f}   <= 0.05")
P
