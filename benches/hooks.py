#!/usr/bin/env python3
"""What a hook costs, in turn with a plain append and an empty run of the program.

  benches/hooks.py [PROGRAM] [ROUNDS]

Prints medians in milliseconds and their ratios. Needs git and the Python standard library.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

program = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "target/release/git-receipt")
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 200
work = tempfile.mkdtemp(prefix="hook-bench-")
env = {"PATH": os.environ["PATH"], "HOME": work, "GIT_CONFIG_NOSYSTEM": "1"}


def git(where, *args):
    subprocess.run(["git", "-C", where, *args], env=env, check=True, stdout=subprocess.DEVNULL)


def repository(name, files=1):
    where = os.path.join(work, name)
    os.makedirs(where)
    git(where, "init", "-q", "-b", "main")
    for key, value in [("user.name", "Ann"), ("user.email", "a@example.com"), ("gc.auto", "0")]:
        git(where, "config", key, value)
    for number in range(files):
        folder = os.path.join(where, f"d{number % 100}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"f{number}"), "w") as file:
            file.write(f"file {number}\n")
    git(where, "add", "-A")
    git(where, "commit", "-qm", "First")
    return where


def timed(where, args, stdin=os.devnull, program=program):
    os.chdir(where)
    actions = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.perf_counter()
    child = os.posix_spawn(program, [program, *args], env, file_actions=actions)
    status = os.waitpid(child, 0)[1]
    took = time.perf_counter() - start
    assert status == 0, (args, status)
    return took * 1000


def payload(path, event, where, **more):
    with open(path, "w") as file:
        json.dump({"session_id": "s", "cwd": where, "transcript_path": "/nowhere", "permission_mode": "default",
                   "hook_event_name": event, **more}, file)
    return path


def report(name, ours, theirs, bar):
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"{name:<66} {ours:8.2f} ms {theirs:8.2f} ms   {ours / theirs:6.2f}   {bar}")


def main():
    where, plain = repository("set-up"), repository("not-set-up")
    subprocess.run([program, "init", "--no-man", *NO_HOOKS], cwd=where, env=env, check=True, stdout=subprocess.DEVNULL)
    git(where, "config", "receipt.snapshots", "off")
    path, line = os.path.join(work, "payload.json"), os.path.join(work, "line.json")
    with open(line, "w") as file:
        file.write('{"kind":"remark.made","data":{"text":{"text":"looked at by hand"}}}')
    timed(where, ["hook", "claude-code"], payload(path, "UserPromptSubmit", where, prompt="go"))
    output = "".join(f"line {n} of a listing, some words\n" for n in range(320))
    file = os.path.join(where, "d0", "f0")
    results = {name: [] for name in ["post", "pre", "append", "edit", "empty", "nothing"]}
    for number in range(rounds):
        bash = {"tool_name": "Bash", "tool_input": {"command": "ls -la"}, "tool_use_id": f"b{number}"}
        payload(path, "PreToolUse", where, **bash)
        results["pre"].append(timed(where, ["hook", "claude-code"], path))
        told = {"stdout": output, "stderr": "", "interrupted": False}
        payload(path, "PostToolUse", where, **bash, tool_response=told, duration_ms=7)
        results["post"].append(timed(where, ["hook", "claude-code"], path))
        results["append"].append(timed(where, ["record", line]))
        results["empty"].append(timed(where, ["--version"]))
        results["nothing"].append(timed(plain, ["hook", "claude-code"], path))
    report("hook after a call with 10 KB of output / plain append", results["post"], results["append"], "<= 2")
    report("hook before a call / plain append", results["pre"], results["append"], "")
    report("hook where nothing is set up / empty run", results["nothing"], results["empty"], "<= 1.2")

    git(where, "config", "receipt.snapshots", "edits")
    timed(where, ["hook", "claude-code"], payload(path, "UserPromptSubmit", where, prompt="more"))
    appends, edits, unsnapped = [], [], []
    for number in range(rounds):
        for snapshots, times in [("edits", edits), ("turns", unsnapped)]:
            git(where, "config", "receipt.snapshots", snapshots)
            write = {"tool_name": "Write", "tool_input": {"file_path": file, "content": f"{number}\n"},
                     "tool_use_id": f"{snapshots}{number}"}
            payload(path, "PreToolUse", where, **write)
            timed(where, ["hook", "claude-code"], path)
            with open(file, "w") as out:
                out.write(f"{number} {snapshots}\n")
            payload(path, "PostToolUse", where, **write, tool_response={"filePath": file, "type": "update"})
            times.append(timed(where, ["hook", "claude-code"], path))
        appends.append(timed(where, ["record", line]))
    report("hook after an edit, with its snapshot / plain append", edits, appends, "<= 3")
    report("hook after an edit, without / plain append", unsnapped, appends, "")

    large = repository("large", 50_000)
    subprocess.run([program, "init", "--no-man", *NO_HOOKS], cwd=large, env=env, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "open", "-m", "x"], cwd=large, env=env, check=True, stdout=subprocess.DEVNULL)
    real_git = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True).stdout.strip()
    snapshots, status = [], []
    for number in range(max(5, rounds // 10)):
        with open(os.path.join(large, "d0", "f0"), "w") as out:
            out.write(f"{number}\n")
        snapshots.append(timed(large, ["snapshot", "-m", "x"]))
        status.append(timed(large, ["status", "--porcelain"], program=real_git))
    report("snapshot of 50,000 files, one changed / git status", snapshots, status, "<= 1.2")


NO_HOOKS = []
main()
