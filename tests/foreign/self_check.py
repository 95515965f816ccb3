#!/usr/bin/env python3
"""Holds writer.py and stock-tools.sh against each other, without the program.

Honest histories have to pass stock-tools.sh and `git fsck --strict`, in a SHA-1
and in a SHA-256 repository. Of the forgeries stock-tools.sh has to report those
that the table says it covers, at the entry the forgery names where that is
still there, and to pass the others, which only a reader of receipts can judge.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import writer

STOCK_TOOLS = Path(__file__).resolve().parent.parent / "stock-tools.sh"


def project(path, algorithm):
    """A repository with two commits of its own."""
    subprocess.run(["git", "init", "-q", f"--object-format={algorithm}", path], check=True)
    person = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
    for number in (1, 2):
        Path(path, "file").write_text(f"{number}\n", encoding="ascii")
        subprocess.run(["git", "-C", path, "add", "file"], check=True)
        subprocess.run(["git", "-C", path, *person, "commit", "-q", "-m", f"Write {number}"], check=True)
    return path


def stock_tools(path):
    done = subprocess.run([STOCK_TOOLS, path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def check_honest(history, algorithm):
    with tempfile.TemporaryDirectory() as path:
        project(path, algorithm)
        if stock_tools(path)[0] != 1:
            return "a repository without receipts passes"
        _, writers = history(writer.Scene(path))
        expected = f"{sum(len(one.entries) for one in writers)} entries, {len(writers)} chains: all verify\n"
        code, said = stock_tools(path)
        if code or said != expected:
            return said
        fsck = subprocess.run(["git", "-C", path, "fsck", "--strict"], capture_output=True, text=True, check=False)
        complaints = [line for line in fsck.stdout.splitlines() if not line.startswith("dangling ")]
        return "\n".join(complaints) if fsck.returncode or complaints else None


def check_forgery(name, algorithm):
    with tempfile.TemporaryDirectory() as path:
        project(path, algorithm)
        made = writer.forge(name, path)
        code, said = stock_tools(path)
        if not writer.FORGERIES[name].stock:
            return said if code else None
        if code != 1 or "Traceback" in said:
            return f"not reported\n{said}"
        named = made["commit"] in said or f"{made['chain']}@{made['seq']}" in said
        return None if named else f"another entry is reported\n{said}"


def main():
    algorithms = ("sha1", "sha256")
    jobs = [(check_honest, history, a) for a in algorithms for history in (writer.honest, writer.edges)]
    jobs += [(check_forgery, name, a) for a in algorithms for name in writer.FORGERIES]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(lambda job: job[0](*job[1:]), jobs))
    failed = [(job, said) for job, said in zip(jobs, results) if said is not None]
    for (_, what, algorithm), said in failed:
        print(f"{getattr(what, '__name__', what)} in {algorithm}: {said}")
    print(f"{len(jobs)} histories, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
