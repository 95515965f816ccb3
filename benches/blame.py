#!/usr/bin/env python3
"""Holds `git receipt blame` against `git blame`: the commit of every line, and the time.

  cargo build --release --locked && benches/blame.py [PROGRAM] [REPOSITORY] [FILES] [ROUNDS]

Works in a throw-away clone of REPOSITORY (this one if left out), on FILES (200) of its text files, the same number of
files apart. Each round takes every file once with git and once with us, in turn; the time of a file is its median, and
the ratio is of the sums. That is done without receipts, with ten receipts bound to ten commits, and with a chain of a
thousand entries beside them. REPOSITORY may also be a folder that tests/landed_history.py made: then it is done there,
where each of the newest commits landed as a proposal. Every case is measured when blame was not asked of the file before
in that state (`first`), and when it was (`again`). Ends with 1 if a line is another's than git says. Needs git and python3.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/git-receipt")
source = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parent.parent)
wanted = int(sys.argv[3]) if len(sys.argv) > 3 else 200
rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
work = tempfile.TemporaryDirectory()
landed = Path(source, "repo", ".git").is_dir()
home, clone = Path(work.name, "home"), Path(work.name, "repo" if landed else "clone")
environment = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}


def run(*args, input=None):
    done = subprocess.run(args, cwd=clone, env=environment, input=input, capture_output=True, check=True)
    return done.stdout


def timed(*args):
    start = time.perf_counter()
    subprocess.run(args, cwd=clone, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000


def text_files():
    """Tracked files that hold lines, evenly spread over the list."""
    listed = run("git", "grep", "-I", "-l", "-z", "-e", "").split(b"\0")
    files = [os.fsdecode(name) for name in listed if name]
    step = max(len(files) / wanted, 1)
    return [files[int(at * step)] for at in range(min(wanted, len(files)))]


def commits(porcelain):
    """Commit and place of every line in the porcelain format: a header, what belongs to it, the content."""
    found, expect = [], True
    for line in porcelain.split(b"\n")[:-1]:
        if expect:
            found.append(tuple(line.split(b" ")[:3]))
        expect = line.startswith(b"\t")
    return found


def differing(files):
    lines, wrong = 0, 0
    for name in files:
        theirs = commits(run("git", "blame", "--porcelain", "--", name))
        ours = json.loads(run(program, "blame", "--json", "--", name))["lines"]
        ours = [(line["commit"], line["origin_line"], line["line"]) for line in ours]
        theirs = [(commit.decode(), int(origin), int(place)) for commit, origin, place in theirs]
        lines += len(theirs)
        wrong += abs(len(ours) - len(theirs)) + sum(one != other for one, other in zip(ours, theirs))
    return lines, wrong


def forget():
    """Leaves what blame remembers of files aside, and not which signatures hold."""
    for folder in clone.glob(".git/receipts/kept/*/blame*"):
        shutil.rmtree(folder)


def compare(what, files):
    lines, wrong = differing(files)
    for case in ["first", "again"]:
        times = {name: ([], []) for name in files}
        if case == "again":
            for name in files:
                timed(program, "blame", "--", name)
        for _ in range(rounds):
            for name, (ours, theirs) in times.items():
                if case == "first":
                    forget()
                theirs.append(timed("git", "blame", "--", name))
                ours.append(timed(program, "blame", "--", name))
        ours = sum(statistics.median(pair[0]) for pair in times.values())
        theirs = sum(statistics.median(pair[1]) for pair in times.values())
        each = statistics.median(statistics.median(a) / statistics.median(b) for a, b in times.values())
        print(
            f"{what + ', ' + case:<46} {len(files):4} files {lines:7} lines {wrong:3} differ  {ours:9.0f} ms"
            f" {theirs:9.0f} ms   {ours / theirs:5.2f} (a file: {each:.2f})" + ("   <= 1.3" if case == "again" else ""),
            flush=True,
        )
    if wrong:
        sys.exit(1)


def ours_is():
    print(f"{run('git', '--version').decode().strip()}, {run(program, '--version').decode().strip()}, {source}")


if landed:
    shutil.copytree(source, work.name, symlinks=True, dirs_exist_ok=True)
    run("git", "gc", "--quiet")
    ours_is()
    compare("every newest commit landed", text_files())
    sys.exit(0)
home.mkdir()
subprocess.run(
    ["git", "clone", "--quiet", "--no-local", source, str(clone)], env=environment, check=True
)
run("git", "config", "--global", "user.name", "Ann Example")
run("git", "config", "--global", "user.email", "ann@example.com")
files = text_files()
ours_is()
compare("without receipts", files)
run(program, "init", "--no-man", "--no-hooks")
newest = run("git", "log", "--no-merges", "--format=%H", "-10").decode().split()
for commit in newest:
    receipt = run(program, "open", "-m", "Bench").decode().strip()
    run(program, "bind", receipt, commit)
    run(program, "close", "--status", "completed")
compare("ten receipts bound to ten commits", files)
run(program, "open", "-m", "Bench")
fact = {"kind": "usage.counted", "title": "call", "data": {"model": "m", "input_tokens": 1, "output_tokens": 2}}
run(program, "record", input=("\n".join([json.dumps(fact)] * 1000) + "\n").encode())
run("git", "gc", "--quiet")
compare("and a chain of 1,000 entries", files)
