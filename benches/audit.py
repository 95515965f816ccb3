#!/usr/bin/env python3
"""What an audit of many commits costs, in turn with what plain git takes to show them and with checking the chains.

  tests/landed_history.py SOURCE 1000 FOLDER [PROGRAM]     makes the repository
  benches/audit.py FOLDER [PROGRAM] [ROUNDS]

Prints medians in milliseconds and the ratio. Needs git and the Python standard library.
"""
import os
import statistics
import subprocess
import sys
import time

folder = os.path.realpath(sys.argv[1])
program = os.path.realpath(sys.argv[2] if len(sys.argv) > 2 else "target/release/git-receipt")
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
repo = os.path.join(folder, "repo")
env = {"PATH": os.environ["PATH"], "HOME": os.path.join(folder, "home"), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def timed(command, codes=(0,)):
    start = time.perf_counter()
    done = subprocess.run(command, cwd=repo, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    took = (time.perf_counter() - start) * 1000
    assert done.returncode in codes, (command, done.returncode, done.stderr)
    return took


commits = subprocess.run(["git", "rev-list", "--count", "start..main"], cwd=repo, env=env, check=True,
                         capture_output=True, text=True).stdout.strip()
show = ["git", "log", "-p", "start..main"]
verify = [program, "verify", "--all", "--policy-from", "policy"]
audit = [program, "audit", "start..main", "--policy-from", "policy", "--ref", "refs/heads/main"]
times = {"log": [], "verify": [], "audit": []}
for _ in range(rounds):
    times["log"].append(timed(show))
    times["verify"].append(timed(verify))
    times["audit"].append(timed(audit))
log, check, judged = (statistics.median(times[name]) for name in ("log", "verify", "audit"))
print(f"{commits} commits: audit {judged:.0f} ms, git log -p {log:.0f} ms, verify {check:.0f} ms")
print(f"audit / (git log -p + verify): {judged / (log + check):.2f}   (aim 1.5)")
