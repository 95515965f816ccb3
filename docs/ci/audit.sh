#!/bin/sh
# Fetches receipts and audits what HEAD adds to BASE, on any build server.
#
#   BASE=… REF=refs/heads/main [HEAD=HEAD] [REMOTE=origin] docs/ci/audit.sh
#
# BASE is what the target has: a commit, or zeros where the branch is new, which then is judged from where it leaves
# the remote's default branch. Writes receipts.json, receipts.sarif, receipts.xml and receipts.md here, prints the
# report, and exits as the audit does: 0 passed, 1 failed, 4 incomplete, 2 trouble.
set -eu
: "${BASE:?is the commit that the target branch has}" "${REF:?is the full name of the target branch}"
head=${HEAD:-HEAD} remote=${REMOTE:-origin}

git fetch --quiet "$remote" "refs/receipts/chains/*:refs/receipts-remotes/$remote/chains/*" \
	"refs/receipts/sealed/*:refs/receipts-remotes/$remote/sealed/*" \
	"+refs/receipts/evidence/*:refs/receipts-remotes/$remote/evidence/*"

set -- --ref "$REF"
case $BASE in
*[!0]*) ;;
*)
	git remote set-head "$remote" --auto >/dev/null
	BASE=$(git merge-base "refs/remotes/$remote/HEAD" "$head")
	set -- "$@" --policy-from "refs/remotes/$remote/HEAD"
	;;
esac

code=0
git receipt audit "$BASE..$head" "$@" --format json >receipts.json || code=$?
case $code in
0 | 1 | 4) ;;
*) exit "$code" ;;
esac
for form in sarif:sarif junit:xml markdown:md; do
	git receipt audit "$BASE..$head" "$@" --format "${form%:*}" >"receipts.${form#*:}" || [ $? -eq "$code" ]
done
git receipt audit "$BASE..$head" "$@" || [ $? -eq "$code" ]
exit "$code"
