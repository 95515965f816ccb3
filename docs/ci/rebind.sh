#!/bin/sh
# Binds a commit that a forge made of several, as by its squash button, to the receipts that they had.
#
#   docs/ci/rebind.sh COMMIT [RANGE]
#
# The receipts are those that `Receipt-Id` lines name: in COMMIT's own message, and in the messages of RANGE, the
# commits it was made of. Needs a key that the policy's signers list.
set -eu
commit=${1:?is the commit to bind}
receipts=$(
	{
		git log -1 --format=%B "$commit"
		[ $# -lt 2 ] || git log --format=%B "$2"
	} | sed -n 's/^[[:space:]*]*[Rr]eceipt-[Ii]d:[[:space:]]*//p' | sort -u
)
if [ -z "$receipts" ]; then
	echo "no message names a receipt" >&2
	exit 1
fi
# shellcheck disable=SC2086 # one word each
git receipt bind $receipts "$commit"
