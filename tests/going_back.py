#!/usr/bin/env python3
"""Lands the newest commits of a repository as proposals and takes them back again.

  going_back.py SOURCE COMMITS [PROGRAM]

What must hold:
- rolled back newest first, every tree on the way is the original history's, id for id;
- rolled back from the middle of the history, one gives the tree that `git revert` gives, or conflicts where it does;
- `replay --check` finds every rollback as it was, and `verify` everything.

GIT_RECEIPT_SEED picks other places in the middle, GIT_RECEIPT_MIDDLE says how many (20). Standard library and git only.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import landed_history


class Problem(Exception):
    """Something that must hold does not."""


def insist(holds, what):
    if not holds:
        raise Problem(what)


def tree_of(landed, revision):
    return landed.git("rev-parse", f"{revision}^{{tree}}")


def try_receipt(landed, *args):
    done = subprocess.run([landed.program, *args], cwd=landed.repo, env=landed.env("bob"), capture_output=True,
                          timeout=600, check=False)
    return done.returncode, done.stdout.decode().strip(), done.stderr.decode("utf-8", "replace")


def revert_in(landed, scratch, commit, top):
    """What `git revert` makes of it in a clone with git's defaults: the tree, or nothing where it conflicts."""
    env = landed.env("scratch")

    def git(*args):
        return subprocess.run(["git", "-C", scratch, *args], env=env, capture_output=True, check=False)

    insist(git("checkout", "-q", "-f", "--detach", top).returncode == 0, "checkout in the scratch clone")
    done = git("-c", "merge.conflictStyle=merge", "-c", "core.attributesFile=/dev/null", "revert", "--no-edit", commit)
    if done.returncode == 0:
        return git("rev-parse", "HEAD^{tree}").stdout.decode().strip()
    # One that leaves nothing to commit is empty, and no conflict.
    unmerged = git("ls-files", "-u").stdout
    empty = not unmerged and b"empty" in done.stdout + done.stderr
    git("revert", "--abort")
    git("reset", "-q", "--hard")
    return git("rev-parse", f"{top}^{{tree}}").stdout.decode().strip() if empty else None


def middle(landed, made, count, seed):
    """Rolls back single ones from the middle and holds each against `git revert`."""
    scratch = os.path.join(landed.folder, "scratch")
    subprocess.run(["git", "clone", "-q", "--no-local", "--branch", "main", landed.repo, scratch], env=landed.env(),
                   check=True)
    # Attributes of the project could choose other merge drivers, which are nobody's defaults.
    with open(os.path.join(scratch, ".git/info/attributes"), "w", encoding="utf-8") as file:
        file.write("* !merge !text !eol !filter !conflict-marker-size\n")
    top, clean, conflicts = landed.git("rev-parse", "HEAD"), 0, 0
    commits = landed.git("log", "--first-parent", "--reverse", "--format=%H", "start..main").splitlines()
    insist(len(commits) == len(made), f"{len(commits)} commits for {len(made)} receipts")
    places = random.Random(seed).sample(range(len(made)), min(count, len(made)))
    for place in places:
        receipt, commit = made[place][0], commits[place]
        wanted = revert_in(landed, scratch, commit, top)
        code, out, said = try_receipt(landed, "--json", "rollback", receipt, "--dry-run")
        if wanted is None:
            insist(code == 3, f"{receipt}: git revert conflicts, rollback ended with {code}: {said}{out}")
            conflicts += 1
            continue
        if wanted == tree_of(landed, top):
            insist(code == 2, f"{receipt}: git revert is empty, rollback ended with {code}: {said}{out}")
            continue
        insist(code == 0, f"{receipt}: git revert is clean, rollback ended with {code}: {said}{out}")
        given = json.loads(out)["undone"]["to_tree"]
        insist(given == wanted, f"{receipt}: git revert gives {wanted}, rollback {given}")
        clean += 1
    insist(landed.git("rev-parse", "HEAD") == top, "a dry run moved HEAD")
    return clean, conflicts


def backwards(landed, made):
    """Rolls back all of them, the newest first."""
    trees = [tree_of(landed, "start")] + [tree for _, tree in made]
    own = []
    for place in range(len(made) - 1, -1, -1):
        code, out, said = try_receipt(landed, "rollback", made[place][0])
        insist(code == 0, f"{made[place][0]}: rollback ended with {code}: {said}")
        own.append(out)
        now = tree_of(landed, "HEAD")
        insist(now == trees[place], f"after {place} are left the tree is {now}, and was {trees[place]}")
    insist(landed.git("status", "--porcelain") == "", "index or files are not as the commit has them")
    return own


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    program = sys.argv[3] if len(sys.argv) == 4 else "target/release/git-receipt"
    seed = os.environ.get("GIT_RECEIPT_SEED", "1")
    count = int(os.environ.get("GIT_RECEIPT_MIDDLE", "20"))
    with tempfile.TemporaryDirectory() as folder:
        landed, made = landed_history.play(sys.argv[1], int(sys.argv[2]), folder, program)
        insist(made, "nothing landed")
        clean, conflicts = middle(landed, made, count, seed)
        own = backwards(landed, made)
        for receipt in own + [receipt for receipt, _ in made]:
            code, out, _ = try_receipt(landed, "replay", receipt, "--check")
            insist(code == 0, f"{receipt}: replay --check ended with {code}\n{out}")
        code, out, said = try_receipt(landed, "verify")
        insist(code == 0, f"verify ended with {code}\n{out}{said}")
        landed.git("fsck", "--strict")
    print(f"{len(made)} landed and taken back, every tree the original's; "
          f"from the middle {clean} as `git revert` gives, {conflicts} conflict alike")


if __name__ == "__main__":
    try:
        main()
    except Problem as problem:
        sys.exit(f"going_back: {problem}")
