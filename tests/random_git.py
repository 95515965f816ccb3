#!/usr/bin/env python3
"""Random sessions of git, each played twice: in a clone with every hook of ours, and in one without.

  random_git.py PROGRAM [SESSIONS] [FIRST_SEED]

Both clones must end alike: commits, branches, index, files, stashes. Every line that the agent writes names its
receipt, so what each commit ought to be bound to can be read from the commit itself. Standard library and git only.
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

FILES = ["a.txt", "b.txt", "dir/c.txt", "with space.txt"]


class Clone:
    """One of the two clones, and how to do things in it."""

    def __init__(self, home, path, program):
        self.top, self.program, self.clock, self.home = path, program, 1_700_000_000, home
        self.at = path

    def env(self, more=None):
        stamp = f"{self.clock} +0000"
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
               "GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp, "GIT_EDITOR": "true", "LC_ALL": "C",
               "GIT_MERGE_AUTOEDIT": "no"}
        env.update(more or {})
        return env

    def git(self, *args, more=None, check=False, stdin=None):
        done = subprocess.run(["git", *args], cwd=self.at, env=self.env(more), input=stdin, capture_output=True,
                              timeout=120, stdin=None if stdin is not None else subprocess.DEVNULL)
        if check and done.returncode:
            raise AssertionError((args, done))
        return done

    def read(self, *args):
        return self.git(*args, check=True).stdout.decode("utf-8", "replace")

    def write(self, path, text):
        path = os.path.join(self.at, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def text(self, path):
        try:
            with open(os.path.join(self.at, path), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def outcome(self):
        """Everything that git did here."""
        self.at = self.top
        refs = [l for l in self.read("for-each-ref", "--format=%(objectname) %(refname)").splitlines()
                if "refs/receipts" not in l and "refs/notes" not in l]
        trees = sorted(l for l in self.read("worktree", "list", "--porcelain").splitlines() if l.startswith("HEAD"))
        files = {}
        for folder, _, names in os.walk(self.top):
            if "/.git" in folder or folder.endswith("/.git"):
                continue
            for name in names:
                if name != ".git" and not folder.startswith(os.path.join(self.top, ".husky")):
                    files[os.path.relpath(os.path.join(folder, name), self.top)] = open(
                        os.path.join(folder, name), "rb").read()
        ran = os.path.join(self.top, ".git", "ran")
        ran = open(ran).read() if os.path.exists(ran) else ""
        return {"hooks": ran, "refs": refs, "worktrees": trees, "index": self.read("ls-files", "-s"), "files": files,
                "status": self.read("status", "--porcelain=v2", "--branch"), "stash": self.read("stash", "list")}


class Session:
    def __init__(self, seed, program, home):
        self.random, self.seed, self.program = random.Random(seed), seed, program
        self.folder = tempfile.mkdtemp(prefix=f"random-git-{seed}-")
        self.with_hooks = Clone(home, os.path.join(self.folder, "a", "repo"), program)
        self.without = Clone(home, os.path.join(self.folder, "b", "repo"), None)
        self.clones = [self.with_hooks, self.without]
        self.receipts, self.number, self.open = {}, 0, {}
        self.worktrees = {"main": None}
        self.where = "main"
        self.log = []

    def both(self, *args, more=None, check=False):
        self.log.append(("git", *args))
        for clone in self.clones:
            clone.clock += 1
        done = [clone.git(*args, more=more, check=check) for clone in self.clones]
        codes = [one.returncode for one in done]
        assert codes[0] == codes[1], (args, codes, done[0].stdout, done[0].stderr, done[1].stderr)
        return codes[0]

    def hook(self, event, **more):
        payload = {"session_id": f"s{self.seed}-{self.where}", "transcript_path": "/nowhere", "cwd": self.with_hooks.at,
                   "hook_event_name": event, **more}
        done = subprocess.run([self.program, "hook", "claude-code", "--strict"], input=json.dumps(payload).encode(),
                              cwd=self.with_hooks.at, env=self.with_hooks.env(), capture_output=True, timeout=60)
        assert done.returncode == 0 and not done.stdout, done

    def start(self):
        for clone in self.clones:
            os.makedirs(clone.top)
            clone.git("init", "-q", "-b", "main", check=True)
            for name, value in [("user.name", "Ann"), ("user.email", "a@example.com"), ("gc.auto", "0")]:
                clone.git("config", name, value, check=True)
            clone.clock = 1_700_000_100
            for file in FILES[:3]:
                clone.write(file, "".join(f"line {n} of {file}\n" for n in range(12)))
            clone.git("add", "-A", check=True)
            clone.git("commit", "-qm", "Start", check=True)
            # The first commit names the project, so nobody rewrites it.
            clone.git("commit", "-qm", "Second", "--allow-empty", check=True)
        self.manager()
        subprocess.run([self.program, "init", "--no-man"], cwd=self.with_hooks.top, env=self.with_hooks.env(), check=True,
                       capture_output=True)
        if self.random.random() < 0.5:
            self.with_hooks.git("config", "receipt.trailers", "false", check=True)

    def manager(self):
        """Half of the clones have hooks of somebody else's, which both clones run."""
        kind = self.random.choice(["none", "none", "plain", "path", "husky"])
        if kind == "none":
            return
        for clone in self.clones:
            folder = {"plain": ".git/hooks", "path": ".git/shared-hooks", "husky": ".husky/_"}[kind]
            where = os.path.join(clone.top, folder)
            os.makedirs(where, exist_ok=True)
            if kind != "plain":
                clone.git("config", "core.hooksPath", folder, check=True)
            if kind == "husky":
                with open(os.path.join(where, ".gitignore"), "w") as file:
                    file.write("*")
            for name in ["post-commit", "prepare-commit-msg", "post-rewrite"]:
                path = os.path.join(where, name)
                with open(path, "w") as file:
                    file.write(f'#!/bin/sh\necho "{name} $#" >> "$(git rev-parse --git-common-dir)/ran"\n'
                               'cat >/dev/null </dev/stdin 2>/dev/null || true\n')
                os.chmod(path, 0o755)

    # What can happen.

    def edit(self, by_agent):
        file = self.random.choice(FILES)
        self.number += 1
        name = None
        if by_agent:
            if self.where not in self.open:
                self.prompt()
            name = self.open[self.where]
        line = f"{'agent ' + name if name else 'human'} line {self.number}"
        text = self.with_hooks.text(file)
        lines = text.splitlines()
        if any(l.startswith(("<<<<<<<", "=======", ">>>>>>>")) for l in lines):
            return
        at = self.random.randrange(len(lines) + 1)
        if lines and self.random.random() < 0.4:
            lines[at - 1] = line
        else:
            lines.insert(at, line)
        new = "".join(l + "\n" for l in lines)
        self.log.append(("edit", file, line, at))
        if by_agent:
            path = os.path.join(self.with_hooks.at, file)
            use = {"tool_name": "Write", "tool_use_id": f"t{self.seed}-{self.number}",
                   "tool_input": {"file_path": path, "content": new}}
            self.hook("PreToolUse", **use)
        for clone in self.clones:
            clone.write(file, new)
        if by_agent:
            kind = "update" if text else "create"
            self.hook("PostToolUse", **use, tool_response={"type": kind, "filePath": path, "content": new})

    def prompt(self):
        if self.where in self.open and self.random.random() < 0.5:
            self.stop()
        self.number += 1
        name = f"task{self.number}"
        self.hook("UserPromptSubmit", prompt=f"do {name}")
        if self.where not in self.open:
            # Where the agent is at work already, a prompt is guidance and opens no receipt.
            self.open[self.where] = name
            self.receipts[name] = {"id": self.listed()[name], "where": self.where}

    def listed(self):
        done = subprocess.run([self.program, "list", "--json"], cwd=self.with_hooks.top, env=self.with_hooks.env(),
                              capture_output=True, check=True)
        return {r["summary"].removeprefix("do "): r["receipt"] for r in json.loads(done.stdout)["receipts"]}

    def stop(self):
        if self.open.pop(self.where, None):
            self.hook("Stop", last_assistant_message="done")

    def commit(self):
        self.both("add", "-A")
        kind = self.random.random()
        self.number += 1
        message = f"Commit {self.number}"
        if kind < 0.6:
            self.both("commit", "-qm", message)
        elif kind < 0.75:
            self.both("commit", "-q", "--amend", *(["-m", message] if self.random.random() < 0.5 else ["--no-edit"]))
        elif kind < 0.9:
            # As programs with a window do it: an index of their own, everything named by the environment.
            for clone in self.clones:
                dot_git = clone.read("rev-parse", "--absolute-git-dir").strip()
                index = os.path.join(dot_git, "window-index")
                shutil.copy(os.path.join(dot_git, "index"), index)
                more = {"GIT_DIR": dot_git, "GIT_WORK_TREE": clone.at, "GIT_INDEX_FILE": index}
                clone.git("commit", "-qm", message, more=more)
                clone.git("reset", "-q")
        else:
            self.both("commit", "-q", "-m", message, "--", self.random.choice(FILES[:3]))

    def busy(self):
        dot_git = self.with_hooks.read("rev-parse", "--absolute-git-dir").strip()
        return any(os.path.exists(os.path.join(dot_git, name)) for name in
                   ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"])

    def clean(self):
        return not self.with_hooks.read("status", "--porcelain").strip()

    def abort(self):
        for name in ["merge", "cherry-pick", "revert", "rebase"]:
            self.both(name, "--abort")

    def tidy(self):
        if not self.clean():
            self.both("add", "-A")
            self.number += 1
            self.both("commit", "-qm", f"Tidy {self.number}")

    def rebase(self):
        self.tidy()
        count = int(self.with_hooks.read("rev-list", "--count", "--first-parent", "HEAD")) - 1
        if count < 2:
            return
        depth = min(count, self.random.randint(2, 4))
        word = self.random.choice(["squash", "fixup", "reword", "pick", "swap"])
        script = {"swap": "sed -i '1{h;d};2{G}'"}.get(word, f"sed -i '2s/^pick/{word}/'")
        self.both("rebase", "-q", "-i", f"HEAD~{depth}", more={"GIT_SEQUENCE_EDITOR": script})
        if self.busy():
            self.abort()

    def pick(self):
        self.tidy()
        others = self.with_hooks.read("rev-list", "--no-merges", "--max-count=20", "--branches").splitlines()
        self.both(self.random.choice(["cherry-pick", "revert"]), self.random.choice(others))
        if self.busy():
            self.abort()

    def stash(self):
        self.both("stash", self.random.choice(["push", "push", "pop"]))
        if "UU" in self.with_hooks.read("status", "--porcelain") or self.unmerged():
            self.both("checkout", "-q", "HEAD", "--", ".")
            self.both("reset", "-q", "--hard")

    def unmerged(self):
        return bool(self.with_hooks.read("ls-files", "-u").strip())

    def branch(self):
        self.tidy()
        self.number += 1
        self.both("checkout", "-q", "-b", f"b{self.number}")

    def switch(self):
        self.tidy()
        names = self.with_hooks.read("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        self.both("checkout", "-q", self.random.choice(names))

    def merge(self):
        self.tidy()
        names = self.with_hooks.read("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        name = self.random.choice(names)
        if self.random.random() < 0.4:
            self.both("merge", "-q", "--squash", name)
            if self.unmerged():
                self.both("reset", "-q", "--hard")
            elif not self.clean():
                self.number += 1
                self.both("commit", "-qm", f"Squashed {self.number}")
        else:
            self.both("merge", "-q", "--no-edit", *(["--no-ff"] if self.random.random() < 0.5 else []), name)
            if self.busy() or self.unmerged():
                self.abort()

    def worktree(self):
        if self.where != "main":
            self.where = "main"
            for clone in self.clones:
                clone.at = clone.top
            return
        self.tidy()
        self.number += 1
        name = f"wt{self.number}"
        for clone in self.clones:
            clone.git("worktree", "add", "-q", "-b", name, os.path.join(os.path.dirname(clone.top), name), check=True)
            clone.at = os.path.join(os.path.dirname(clone.top), name)
        self.where = name

    def play(self):
        self.start()
        steps = [(self.edit, 8), (self.commit, 6), (self.prompt, 1), (self.stop, 2), (self.rebase, 2), (self.pick, 2),
                 (self.stash, 1), (self.branch, 1), (self.switch, 1), (self.merge, 2), (self.worktree, 1)]
        moves = [move for move, weight in steps for _ in range(weight)]
        for _ in range(self.random.randint(8, 18)):
            move = self.random.choice(moves)
            if move == self.edit:
                self.edit(self.random.random() < 0.6)
            else:
                move()
        self.tidy()
        self.check()
        shutil.rmtree(self.folder)

    def check(self):
        ours, theirs = (clone.outcome() for clone in self.clones)
        if self.trailers():
            return self.verify()
        for part in ours:
            assert ours[part] == theirs[part], (part, ours[part], theirs[part])
        if self.bindings_checked():
            self.verify()

    def trailers(self):
        return self.with_hooks.git("config", "receipt.trailers").stdout.strip() == b"true"

    def bindings_checked(self):
        """What each commit is bound to, against the lines that it adds."""
        by_id = {r["id"]: name for name, r in self.receipts.items()}
        done = subprocess.run([self.program, "log", "--all", "--json"], cwd=self.with_hooks.top,
                              env=self.with_hooks.env(), capture_output=True, check=True)
        bound = {}
        for entry in json.loads(done.stdout)["entries"]:
            data = entry.get("data") or {}
            for key in {"commit.bound": ["commit"], "commit.rebound": ["to"]}.get(entry["kind"], []):
                bound.setdefault(data[key].split(":")[1], set()).add(by_id.get(entry["receipt"], entry["receipt"]))
        self.with_hooks.at = self.with_hooks.top
        for commit in self.with_hooks.read("rev-list", "--no-merges", "--branches").split():
            shown = self.with_hooks.read("show", "--format=", "--unified=0", "--no-renames", commit)
            added = {m for line in shown.splitlines() if line.startswith("+")
                     for m in re.findall(r"agent (task\d+) line", line)}
            claimed = bound.get(commit, set())
            wrong = claimed - added
            missed = {name for name in added - claimed if self.must_be_bound(commit, name)}
            assert not wrong, ("bound by accident", commit, wrong, shown)
            assert not missed, ("not bound", commit, missed, shown, claimed)
        return True

    def must_be_bound(self, commit, name):
        """A receipt is bound in the worktree that it was opened in; elsewhere it may be."""
        if len(self.worktrees_seen()) == 1:
            return True
        return False

    def worktrees_seen(self):
        return {line for line in self.with_hooks.read("worktree", "list", "--porcelain").splitlines()
                if line.startswith("worktree ")}

    def verify(self):
        done = subprocess.run([self.program, "verify"], cwd=self.with_hooks.top, env=self.with_hooks.env(),
                              capture_output=True)
        assert done.returncode == 0, done.stdout.decode()
        log = os.path.join(self.with_hooks.top, ".git", "receipts", "hook.log")
        if os.path.exists(log):
            lines = [l for l in open(log, encoding="utf-8") if "error" in l]
            assert not lines, lines


def main(argv):
    program = os.path.realpath(argv[0])
    sessions = int(argv[1]) if len(argv) > 1 else 20
    first = int(argv[2]) if len(argv) > 2 else 1
    home = tempfile.mkdtemp(prefix="random-git-home-")
    tools = os.path.join(home, "bin")
    os.makedirs(tools)
    os.symlink(program, os.path.join(tools, "git-receipt"))
    os.environ["PATH"] = tools + os.pathsep + os.environ["PATH"]
    bound = 0
    for seed in range(first, first + sessions):
        session = Session(seed, program, home)
        try:
            session.play()
        except Exception:
            print(f"seed {seed}, kept in {session.folder}", file=sys.stderr)
            for line in session.log:
                print("  ", *line, file=sys.stderr)
            raise
        bound += len(session.receipts)
    shutil.rmtree(home)
    print(f"{sessions} sessions, {bound} receipts: git's outcome is the same, bindings are right, all verify")


if __name__ == "__main__":
    main(sys.argv[1:])
