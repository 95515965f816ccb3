#!/usr/bin/env bash
# Checks every entry of every chain with nothing of ours: git, sed, sha256sum,
# Python's standard library and ssh-keygen. What it looks at is the byte
# contract in docs/format.md; who may do what to a receipt is not its business.
#
#   stock-tools.sh [REPO] [ALLOWED_SIGNERS [PRINCIPAL]]
#
# Without ALLOWED_SIGNERS each chain is held to the key that opened it. With it
# every signer has to be listed there, and with PRINCIPAL has to be that one.
# Exit: 0 all entries verify, 1 a problem or no receipts, 2 could not look.
set -euo pipefail

if [ $# -gt 3 ] || [[ "${1:-}" == -* ]]; then
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
fi
repo=$(cd "${1:-.}" && pwd)
signers=${2:+$(realpath "$2")}
principal=${3:-}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The reader that looks at everything. It leaves the tips it found sound in
# $scratch/tips, one a line: commit, digest, allowed signers, principal; and its
# last word in $scratch/summary if that is a good one.
status=0
python3 "$here/stock_tools.py" "$repo" "$scratch" "$signers" "$principal" || status=$?
[ "$status" -le 1 ] || exit "$status"

# The recipe that docs/format.md gives to people, as it is written there. It is
# run on the tip of each chain, so that what we print keeps working.
recipe() { # commit, digest, allowed signers, principal
    git -C "$repo" --no-replace-objects cat-file commit "$1" | sed '1,/^$/d' >msg &&
        sed -n 3p msg | tr -d '\n' >body &&
        sed -n '/BEGIN SSH/,/END SSH/p' msg >sig &&
        [ "sha256:$(sha256sum body | sed 's/ .*//')" = "$2" ] &&
        ssh-keygen -Y verify -f "$3" -I "$4" -n git-receipt -s sig <body >/dev/null 2>&1
}
cd "$scratch"
touch tips
while IFS=$'\t' read -r commit digest allowed who; do
    recipe "$commit" "$digest" "$allowed" "$who" && continue
    echo "commit $commit: the recipe in docs/format.md does not verify it"
    status=1
done <tips
[ "$status" -ne 0 ] || cat summary
exit "$status"
