#!/usr/bin/env python3
"""Plays the newest commits of a repository again as work of an agent: proposed, accepted by a reviewer, applied.

  landed_history.py SOURCE COMMITS FOLDER [PROGRAM]

FOLDER/repo then has a branch `main` whose trees are those of SOURCE's first-parent history, each commit the
application of a proposal that `bob@example.com` accepted; a tag `start` where it begins; and a branch `policy` with a
policy that asks for exactly that. FOLDER/home is the agent's home, FOLDER/bob the reviewer's. Standard library and git
only.
"""
import os
import subprocess
import sys

POLICY = """version = 1
[roles]
reviewers = ["bob@example.com"]
[[rule]]
refs = ["refs/heads/*"]
receipt = "accepted"
approvers = ["reviewers"]
grade = "tree"
"""


class Landed:
    """A repository in the making."""

    def __init__(self, folder, program):
        self.folder, self.program = os.path.realpath(folder), os.path.realpath(program)
        self.repo = os.path.join(self.folder, "repo")

    def env(self, who="home"):
        home = os.path.join(self.folder, who)
        os.makedirs(home, exist_ok=True)
        return {"PATH": os.environ["PATH"], "HOME": home, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
                "GIT_AUTHOR_NAME": who, "GIT_AUTHOR_EMAIL": f"{who}@example.com", "GIT_COMMITTER_NAME": who,
                "GIT_COMMITTER_EMAIL": f"{who}@example.com"}

    def run(self, *command, who="home", codes=(0,), stdin=None, env=None):
        done = subprocess.run(command, cwd=self.repo, env={**self.env(who), **(env or {})}, capture_output=True,
                              input=stdin, timeout=600)
        if done.returncode not in codes:
            raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}")
        return done.stdout.decode("utf-8", "replace").strip()

    def git(self, *args, **more):
        return self.run("git", *args, **more)

    def receipt(self, *args, **more):
        return self.run(self.program, *args, **more)

    def start(self, source, commits):
        """Clones SOURCE to where its newest COMMITS begin, and returns their trees, oldest first."""
        os.makedirs(self.folder, exist_ok=True)
        subprocess.run(["git", "clone", "-q", "--no-checkout", "--single-branch", source, self.repo],
                       env=self.env(), check=True)
        for key, value in [("gc.auto", "0"), ("user.name", "Home"), ("user.email", "home@example.com"),
                           ("core.autocrlf", "false"), ("maintenance.auto", "false")]:
            self.git("config", key, value)
        line = self.git("log", "--first-parent", "--format=%H %T", f"-{commits + 1}", "HEAD").splitlines()
        line.reverse()
        start = line[0].split()[0]
        self.git("checkout", "-q", "-B", "main", start)
        self.git("tag", "start", start)
        self.git("remote", "set-head", "origin", "--delete")
        self.git("remote", "remove", "origin")
        self.receipt("init", "--no-hooks", "--no-man")
        for who in ["home", "bob"]:
            self.receipt("key", "new", "--person", who=who)
        self.policy(start)
        pairs = zip(line, line[1:])
        return [after.split()[1] for before, after in pairs if before.split()[1] != after.split()[1]]

    def public(self, who, name):
        path = os.path.join(self.folder, who, ".config/git-receipt/keys", f"{name}.pub")
        with open(path, encoding="utf-8") as file:
            return " ".join(file.read().split()[:2])

    def policy(self, start):
        signers = [("bob@example.com", "bob", "person"), ("home@example.com", "home", "person"),
                   ("home+agent@example.com", "home", "recorder")]
        text = "".join(f'{who} namespaces="git-receipt" {self.public(home, name)}\n' for who, home, name in signers)
        index = {"GIT_INDEX_FILE": os.path.join(self.folder, "policy-index")}
        self.git("read-tree", start, env=index)
        for path, content in [("allowed_signers", text), ("policy.toml", POLICY)]:
            blob = self.git("hash-object", "-w", "--stdin", stdin=content.encode())
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},.receipts/{path}", env=index)
        tree = self.git("write-tree", env=index)
        commit = self.git("commit-tree", tree, "-p", start, "-m", "A policy")
        self.git("update-ref", "refs/heads/policy", commit)
        self.git("config", "receipt.defaultBranch", "refs/heads/policy")

    def land(self, tree, number):
        """One commit of it; returns the receipt."""
        receipt = self.receipt("propose", "-m", f"Step {number}", "--tree", tree)
        self.receipt("accept", receipt, who="bob")
        return receipt


def play(source, commits, folder, program):
    """Makes all of it; returns the repository and the pairs of receipt and tree, oldest first."""
    landed = Landed(folder, program)
    made = []
    for number, tree in enumerate(landed.start(source, commits)):
        made.append((landed.land(tree, number), tree))
        if number % 100 == 99:
            print(f"{number + 1} commits landed", file=sys.stderr, flush=True)
    return landed, made


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    play(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] if len(sys.argv) == 5 else "target/release/git-receipt")
