#!/usr/bin/env python3
"""Random surgery on commits that accepted lines landed in, and what an audit then says of each commit.

  random_rewrites.py PROGRAM [REWRITES] [FIRST_SEED]

Rewords, reorders, squashes, drops, rebases, picks, squash-merges (here and in a second clone through a bare
remote), and sometimes tampers. Every accepted line holds a mark of its receipt, so that the files alone tell what a commit
holds, without asking the program. Wrong is: a grade for a commit that holds anything else than whole sets of accepted lines;
a better grade than the commit has; no grade where lines stand far enough apart for git and for us. Standard library and
git only.
"""
import collections
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import landed_history  # noqa: E402

POLICY = landed_history.POLICY.replace('grade = "tree"', 'grade = "lines"')
FILES = ["a.txt", "dir/b.txt"]
LINES = 120
MARK = re.compile(r"by (R\d+)")


class World(landed_history.Landed):
    """One project: a base, receipts landed on `topic`, and another one landed on `moved`."""

    def __init__(self, seed, program):
        super().__init__(tempfile.mkdtemp(prefix=f"rewrites-{seed}-"), program)
        self.random, self.seed = random.Random(seed), seed
        self.apart = self.random.random() < 0.7
        self.edits, self.landed, self.number = {}, {}, 0

    def write(self, path, text):
        path = os.path.join(self.repo, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def begin(self):
        os.makedirs(self.repo)
        self.git("init", "-q", "-b", "main")
        for key, value in [("gc.auto", "0"), ("user.name", "Home"), ("user.email", "home@example.com"),
                           ("receipt.defaultBranch", "refs/heads/main"), ("advice.detachedHead", "false")]:
            self.git("config", key, value)
        for path in FILES:
            self.write(path, "".join(f"line {n} of {path}\n" for n in range(LINES)))
        self.git("add", "-A")
        self.git("commit", "-qm", "Start")
        self.receipt("init", "--no-hooks", "--no-man")
        for who in ["home", "bob"]:
            self.receipt("key", "new", "--person", who=who)
        signers = [("bob@example.com", "bob", "person"), ("home@example.com", "home", "person"),
                   ("home+agent@example.com", "home", "recorder")]
        self.write(".receipts/allowed_signers", "".join(
            f'{who} namespaces="git-receipt" {self.public(home, name)}\n' for who, home, name in signers))
        self.write(".receipts/policy.toml", POLICY)
        self.git("add", "-A")
        self.git("commit", "-qm", "A policy")
        self.git("tag", "base")
        step = 9 if self.apart else self.random.choice([1, 2, 4])
        self.places = [(path, at) for path in FILES for at in range(5, LINES - 5, step)]
        self.random.shuffle(self.places)
        self.git("checkout", "-q", "-b", "moved")
        self.change()
        self.git("checkout", "-q", "-b", "topic", "base")
        for _ in range(self.random.randint(3, 5)):
            self.change()

    def change(self):
        """A receipt that changes some lines, of which one may be refused, and perhaps makes a file."""
        mark = f"R{self.number}"
        self.number += 1
        mine = [self.places.pop() for _ in range(self.random.randint(1, 3))]
        texts = {path: self.lines("HEAD", path) for path in {path for path, _ in mine}}
        for path, at in mine:
            texts[path][at] = f"line {at} of {path} by {mark}"
        for path, lines in texts.items():
            self.write(path, "\n".join(lines) + "\n")
        new = f"new-{mark}" if self.random.random() < 0.3 else None
        if new:
            self.write(new, f"made by {mark}\n")
        receipt = self.receipt("propose", "-m", f"Change {mark}", "--restore")
        if len(mine) + bool(new) > 1 and self.random.random() < 0.3:
            self.receipt("reject", receipt, "--lines", "1", who="bob")
        self.receipt("accept", receipt, who="bob")
        before, after = self.git("rev-parse", "HEAD~"), self.git("rev-parse", "HEAD")
        self.edits[mark] = self.changes(before, after)
        self.landed[after] = (self.tree(before), self.tree(after))

    def tree(self, commit):
        return self.git("rev-parse", f"{commit}^{{tree}}")

    def lines(self, commit, path):
        text = self.run("git", "show", f"{commit}:{path}", codes=(0, 128))
        return text.split("\n") if text else []

    def changes(self, before, after):
        """What differs, as a set of (path, place, text); None where lines moved, which no receipt here does."""
        found = set()
        for path in self.git("diff", "--name-only", "--no-renames", before, after).splitlines():
            old, new = self.lines(before, path), self.lines(after, path)
            if path.startswith("new-"):
                found.add((path, 0, "\n".join(new)))
                continue
            if len(old) != len(new):
                return None
            found |= {(path, at, text) for at, (was, text) in enumerate(zip(old, new)) if was != text}
        return found

    def truth(self, commit):
        """The best grade that a commit can have, read from its files."""
        parent = self.git("rev-parse", f"{commit}~")
        changes = self.changes(parent, commit)
        if changes is None:
            return "none"
        if not changes:
            return "empty"
        marks = {(MARK.search(text) or [None, None])[1] for _, _, text in changes}
        if None in marks or changes != set().union(*(self.edits[mark] for mark in marks)):
            return "none"
        if commit in self.landed:
            return "commit"
        if (self.tree(parent), self.tree(commit)) in self.landed.values():
            return "tree"
        return "patch" if len(marks) == 1 else "lines"

    # Surgery. Each returns where the range to audit begins, or None where git itself stopped.

    def todo(self, commits):
        order = commits[:]
        if self.random.random() < 0.6:
            self.random.shuffle(order)
        lines = []
        for commit in order:
            verb = self.random.choice(["pick", "pick", "squash", "fixup", "drop", "reword"])
            if not any(line.startswith(("pick", "reword")) for line in lines) and verb in ("squash", "fixup"):
                verb = "pick"
            lines.append(f"{verb} {commit}")
        if not any(line.startswith(("pick", "reword")) for line in lines):
            lines.append("noop")
        path = os.path.join(self.folder, "todo")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return {"GIT_SEQUENCE_EDITOR": f"cp '{path}'", "GIT_EDITOR": "true"}

    def rebase(self):
        onto = self.random.choice(["base", "moved"])
        self.git("checkout", "-q", "-B", "work", "topic")
        commits = self.git("rev-list", "--reverse", "base..topic").splitlines()
        return self.stopped(["rebase", "-q", "-i", "--onto", onto, "base"], ["rebase", "--abort"], onto,
                            self.todo(commits))

    def pick(self):
        onto = self.random.choice(["base", "moved"])
        self.git("checkout", "-q", "-B", "work", onto)
        commits = self.git("rev-list", "--reverse", "base..topic").splitlines()
        chosen = self.random.sample(commits, self.random.randint(1, len(commits)))
        return self.stopped(["cherry-pick", *self.random.choice([[], ["-x"], ["-e"]]), *chosen],
                            ["cherry-pick", "--abort"], onto, {"GIT_EDITOR": "true"})

    def squash(self):
        onto = self.random.choice(["base", "moved"])
        self.git("checkout", "-q", "-B", "work", onto)
        if self.stopped(["merge", "-q", "--squash", "topic"], ["reset", "-q", "--hard"], onto, {}) is None:
            return None
        message = self.random.choice([["-m", "Squashed"], ["--no-edit"], ["-m", self.messages()]])
        return self.stopped(["commit", "-q", *message], ["reset", "-q", "--hard"], onto, {"GIT_EDITOR": "true"})

    def forge(self):
        """The same by somebody without receipts, in another clone, through a bare remote."""
        bare, other = os.path.join(self.folder, "bare"), os.path.join(self.folder, "other")
        for path in [bare, other]:
            shutil.rmtree(path, ignore_errors=True)
        self.git("clone", "-q", "--bare", ".", bare)
        self.git("clone", "-q", bare, other)
        self.git("-C", other, "checkout", "-q", "-B", "work", "origin/moved")
        done = self.run("git", "-C", other, "merge", "-q", "--squash", "origin/topic", codes=(0, 1))
        if self.run("git", "-C", other, "diff", "--name-only", "--diff-filter=U"):
            return None
        self.git("-C", other, "commit", "-q", "-m", f"Topic (#1)\n\n{self.messages()}{done}")
        self.git("-C", other, "push", "-q", "--force", "origin", "work")
        self.git("fetch", "-q", bare, "+work:refs/remotes/bare/work")
        self.git("checkout", "-q", "-B", "work", "refs/remotes/bare/work")
        return "moved"

    def messages(self):
        texts = self.git("log", "--format=* %B", "base..topic")
        return texts if self.random.random() < 0.7 else "Topic"

    def stopped(self, command, abort, onto, env):
        done = subprocess.run(["git", *command], cwd=self.repo, env={**self.env(), **env}, capture_output=True)
        if done.returncode:
            subprocess.run(["git", *abort], cwd=self.repo, env=self.env(), capture_output=True)
            return None
        return onto

    def tamper(self):
        path = self.random.choice(FILES)
        lines = self.lines("HEAD", path)
        at = self.random.randrange(1, LINES - 1)
        how = self.random.choice(["more", "back", "swap", "new"])
        if how == "more":
            lines[at] += " and more"
        elif how == "swap":
            lines[at - 1], lines[at] = lines[at], lines[at - 1]
        elif how == "back":
            marked = [n for n, line in enumerate(lines) if MARK.search(line)]
            if marked:
                lines[marked[0]] = f"line {marked[0]} of {path}"
        else:
            self.write("extra", "not asked for\n")
        self.write(path, "\n".join(lines) + "\n")
        self.git("add", "-A")
        self.stopped(["commit", "-q", "--amend", "--no-edit"], ["reset", "-q", "--hard"], "", {})

    def rewrite(self, tally):
        surgery = self.random.choice([self.rebase, self.rebase, self.pick, self.squash, self.squash, self.forge])
        onto = surgery()
        if onto is None:
            tally["stopped by git"] += 1
            return
        if self.git("rev-parse", "HEAD") != self.git("rev-parse", onto) and self.random.random() < 0.3:
            self.tamper()
        said = self.receipt("audit", f"{onto}..HEAD", "--ref", "refs/heads/main", "--json", codes=(0, 1, 4))
        order = ["none", "lines", "patch", "tree", "commit"]
        for commit in json.loads(said)["commits"]:
            truth, grade = self.truth(commit["commit"]), commit["grade"]
            where = f"seed {self.seed}, {surgery.__name__}, {commit['commit']} in {self.repo}: {grade}, is {truth}"
            if truth == "empty":
                continue
            if order.index(grade) > order.index(truth):
                raise SystemExit(f"claimed wrongly: {where}")
            if grade != truth and self.apart:
                raise SystemExit(f"missed: {where}")
            tally["close together, missed" if grade != truth else grade] += 1


def main():
    program = sys.argv[1]
    rewrites = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    tally, done = collections.Counter(), 0
    while done < rewrites:
        world = World(seed, program)
        world.begin()
        for _ in range(min(30, rewrites - done)):
            world.rewrite(tally)
            done += 1
        shutil.rmtree(world.folder)
        seed += 1
    said = ", ".join(f"{count} {name}" for name, count in sorted(tally.items()))
    print(f"{done} rewrites; commits by grade: {said}; none claimed wrongly")


if __name__ == "__main__":
    main()
