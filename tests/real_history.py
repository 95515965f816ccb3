#!/usr/bin/env python3
"""Checks proposals on the real history of a repository.

  real_history.py [--binary PATH] [--repo PATH] [--commits N] [--seed S] [--subsets K] [--every-apply M] [--only REV]
  real_history.py --self-test

Every commit of the first-parent history is proposed against its parent in a scratch clone. What the program makes of
the proposal, whole and in random parts, is held against a second reading of docs/format.md, "Proposal lines": a slow
and simple one, below. Its patches are held against `git apply`, and some proposals are accepted and applied.

It ends at the first disagreement with exit code 1, says how to repeat it, and keeps the scratch clone. Exit code 2
means that it could not look. Standard library and git only.
"""
import argparse
import base64
import bisect
import collections
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

WAIT = 300  # seconds for one command: more than any should take, so that a run that hangs ends
LONGEST = 100_000  # bytes of a selection: systems bound the length of one argument

Commit = collections.namedtuple("Commit", "id tree parent parent_tree subject")


class Disagreement(Exception):
    """The program and this file differ, or the program failed where it should not."""


class Unable(Exception):
    """There is nothing to check, or no way to."""


# The format page, read plainly.

# One file of a table. `ops` holds pairs of the first number of an operation and the operation as the table has it.
File = collections.namedtuple("File", "path old_path base proposed first count ops")

ON_LINES = {"+", "-", "~", ">"}


def numbers_taken(op):
    """How many numbers an operation takes: one for each line, one for a whole block, one for a whole file."""
    return op[-1] if op[0] in {"+", "-", "~"} else 1


def path_of(value):
    return value.encode() if isinstance(value, str) else base64.b64decode(value["b64"], validate=True)


def read_table(data):
    """The files of a `lines.json`."""
    table = json.loads(data)
    if json.dumps(table, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() != data:
        raise Disagreement("the line table is not canonical JSON")
    files, number = [], 1
    for file in table["files"]:
        if file["first"] != number:
            raise Disagreement(f"`first` of {file['path']} is {file['first']}, but {number} numbers it")
        ops = []
        for op in file["ops"]:
            ops.append((number, op))
            number += numbers_taken(op)
        old_path = path_of(file["old_path"]) if "old_path" in file else None
        base, proposed = (file[side] and file[side].split(":")[1] for side in ("base", "proposed"))
        files.append(File(path_of(file["path"]), old_path, base, proposed, file["first"], number - file["first"], ops))
    return files


def base_path(file):
    """Where the base has a file."""
    return None if file.base is None else file.old_path or file.path


def split(data):
    """Lines with their terminators. No bytes are no lines."""
    lines = data.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]


def text_after(base, proposed, ops, chosen):
    """The bytes that the chosen operations on lines make of the base's."""
    base, proposed = split(base), split(proposed)
    coming = collections.defaultdict(list)  # base line -> (proposed line, bytes) of what goes in before it
    leaving, becoming = set(), {}
    for number, op in ops:
        if op[0] == "+":
            _, at, source, count = op
            for i in range(count):
                if number + i in chosen:
                    coming[at].append((source + i, proposed[source + i - 1]))
        elif op[0] == "-":
            _, at, count = op
            leaving.update(at + i for i in range(count) if number + i in chosen)
        elif op[0] == "~":
            _, at, source, count = op
            becoming.update((at + i, proposed[source + i - 1]) for i in range(count) if number + i in chosen)
        elif op[0] == ">":
            _, at, count, to, source = op
            if number in chosen:
                leaving.update(range(at, at + count))
                coming[to] += [(source + i, base[at + i - 1]) for i in range(count)]
    lines = []
    for at in range(1, len(base) + 2):
        lines += [line for _, line in sorted(coming[at])]
        if at in becoming:
            lines.append(becoming[at])
        elif at <= len(base) and at not in leaving:
            lines.append(base[at - 1])
    terminator = b"\r\n" if base and base[0].endswith(b"\r\n") else b"\n"
    ended = [line if line.endswith(b"\n") else line + terminator for line in lines[:-1]]
    return b"".join(ended + lines[-1:])


def file_after(file, chosen, base_mode, proposed_mode, read):
    """Path, mode and content of a file with the chosen numbers; none where there is no file then.

    Content is the id of an object that is there already, or bytes. `read` gives the bytes of a blob.
    """
    numbers = {n for n in range(file.first, file.first + file.count) if n in chosen}
    whole = {op[0] for number, op in file.ops if op[0] not in ON_LINES and number in chosen}
    on_lines = [(number, op) for number, op in file.ops if op[0] in ON_LINES]
    if file.base is None:
        if not numbers:
            return None
        content = text_after(b"", read(file.proposed), on_lines, chosen) if on_lines else file.proposed
        return file.path, proposed_mode, content
    if "file-" in whole:
        return None
    path = file.path if "rename" in whole else base_path(file)
    mode = proposed_mode if whole & {"cap", "type"} else base_mode
    if whole & {"bytes", "type"}:
        return path, mode, file.proposed
    if not numbers.intersection(n for number, op in on_lines for n in range(number, number + numbers_taken(op))):
        return path, mode, file.base
    return path, mode, text_after(read(file.base), read(file.proposed), on_lines, chosen)


def clash(paths):
    """Two things at one path, or a file where a folder is; none where every path has its place."""
    # With NUL for the slash, whatever is in a folder follows the folder's own name at once.
    ordered = sorted(path.replace(b"/", b"\0") for path in paths)
    for one, next_one in zip(ordered, ordered[1:]):
        if one == next_one or next_one.startswith(one + b"\0"):
            return one.replace(b"\0", b"/"), next_one.replace(b"\0", b"/")
    return None


def applied(files, chosen, base, proposed, read):
    """What becomes of the base: the files that the chosen numbers give, and the paths that clash, if any do.

    `base` and `proposed` are trees as dictionaries from path to mode and id.
    """
    after = []
    for file in files:
        base_mode, base_id = base.get(base_path(file), (None, None))
        proposed_mode, proposed_id = (None, None) if file.proposed is None else proposed.get(file.path, (None, None))
        if (base_id, proposed_id) != (file.base, file.proposed):
            raise Disagreement(f"the table has {file.base} and {file.proposed} at {file.path!r}, the trees have "
                               f"{base_id} and {proposed_id}")
        for _, op in file.ops:
            if op[0] == "cap" and op[1:] != [base_mode, proposed_mode]:
                raise Disagreement(f"the table has {op} at {file.path!r}, the trees have {base_mode} {proposed_mode}")
        after.append(file_after(file, chosen, base_mode, proposed_mode, read))
    after = [file for file in after if file]
    moved_or_changed = {base_path(file) for file in files}
    staying = [path for path in base if path not in moved_or_changed]
    return after, clash(staying + [path for path, _, _ in after])


def runs_of(file):
    """The numbers of a file in its runs: groups of operations with no unchanged base line between them."""
    everything = list(range(file.first, file.first + file.count))
    if file.base is None:
        return [everything]
    taken_out = sorted(line for _, op in file.ops if op[0] in {"-", "~", ">"}
                       for line in range(op[1], op[1] + (op[2] if op[0] == ">" else op[-1])))

    def place(at):
        """Unchanged base lines before a point: what has as many of them has none in between."""
        return at - 1 - bisect.bisect_left(taken_out, at)

    groups = []  # pairs of places and numbers
    for number, op in file.ops:
        places = {"whole"} if op[0] not in ON_LINES else {place(op[1])} | ({place(op[3])} if op[0] == ">" else set())
        numbers = list(range(number, number + numbers_taken(op)))
        # A move has two places, so groups that were apart can become one.
        for group in [group for group in groups if group[0] & places]:
            groups.remove(group)
            places, numbers = group[0] | places, group[1] + numbers
        groups.append((places, numbers))
    return [sorted(numbers) for _, numbers in groups]


DEVICES = {b"con", b"prn", b"aux", b"nul", b"conin$", b"conout$",
           *(name + b"%d" % n for name in (b"com", b"lpt") for n in range(1, 10))}


def unwelcome(path):
    """Whether a path that the base does not have is refused for what it is on Windows."""
    parts = re.split(rb"[/\\]", path)
    return bool(re.match(rb"[A-Za-z]:", path)) or any(re.split(rb"[.:]", part)[0].lower() in DEVICES for part in parts)


# Choosing numbers.

def spelled(numbers):
    """A selection as the page spells it: sorted, merged, such as `1-4,7`."""
    ranges = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def numbers_in(text):
    """The numbers of a selection."""
    numbers = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


class Choices:
    """Random parts of a table, of many shapes: errors hide at the edges of operations, runs and files."""

    def __init__(self, files, chance):
        self.chance = chance
        self.count = sum(file.count for file in files)
        self.files = [range(file.first, file.first + file.count) for file in files]
        self.operations = [range(n, n + numbers_taken(op)) for file in files for n, op in file.ops]
        self.runs = [run for file in files for run in runs_of(file)]

    def some(self, groups):
        """Each group or not, together at least one."""
        likely = self.chance.choice([0.05, 0.25, 0.5, 0.75, 0.95])
        picked = [group for group in groups if self.chance.random() < likely]
        return {n for group in picked or [self.chance.choice(groups)] for n in group}

    def ranges(self):
        picked = set()
        for _ in range(self.chance.randint(1, 4)):
            first = self.chance.randint(1, self.count)
            picked.update(range(first, min(self.count, first + self.chance.randint(0, self.count)) + 1))
        return picked

    def one(self, shape):
        every = range(1, self.count + 1)
        picked = {
            "runs": lambda: self.some(self.runs),
            "run": lambda: set(self.chance.choice(self.runs)),
            "lines": lambda: self.some([(n,) for n in every]),
            "line": lambda: {self.chance.choice(every)},
            "all but a line": lambda: set(every) - {self.chance.choice(every)},
            "operations": lambda: self.some(self.operations),
            "operation": lambda: set(self.chance.choice(self.operations)),
            "all but an operation": lambda: set(every) - set(self.chance.choice(self.operations)),
            "files": lambda: self.some(self.files),
            "file": lambda: set(self.chance.choice(self.files)),
            "ranges": self.ranges,
        }[shape]()
        return picked if len(spelled(picked)) <= LONGEST else self.ranges()

    def several(self, count):
        """Shapes and selections, no selection twice. The first is of whole runs, as patches need these."""
        shapes = ["run", "lines", "line", "all but a line", "operations", "operation", "all but an operation", "files",
                  "file", "ranges", "runs"]
        found = {}
        for tried in range(count * 3):
            if len(found) == count:
                break
            shape = "runs" if tried == 0 else self.chance.choice(shapes)
            picked = self.one(shape)
            if picked:
                found.setdefault(spelled(picked), (shape, picked))
        return list(found.values())

    def of_whole_runs(self, chosen):
        return all(chosen.issuperset(run) or chosen.isdisjoint(run) for run in self.runs)


# Git.

class Trees:
    """Reads trees and blobs of a repository, and writes trees beside it.

    What is written goes to a folder of objects of its own. So no object is in the repository because of this file, and
    a program that forgets to write one is found out.
    """

    def __init__(self, repository, scratch, env):
        self.repository, self.scratch = repository, scratch
        objects = os.path.join(scratch, "objects")
        os.makedirs(objects)
        self.env = {**env, "GIT_OBJECT_DIRECTORY": objects,
                    "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.path.join(repository, ".git", "objects")}
        self.reader = self.start("cat-file", "--batch")
        self.writer = self.start("hash-object", "-w", "--no-filters", "--stdin-paths")
        self.listed, self.blobs, self.base = collections.OrderedDict(), {}, None

    def start(self, *args):
        return subprocess.Popen(["git", *args], cwd=self.repository, env=self.env, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)

    def close(self):
        for process in (self.reader, self.writer):
            process.stdin.close()
            process.stdout.close()
            process.wait(WAIT)

    def git(self, *args, index=None, stdin=b"", check=True):
        env = {**self.env, "GIT_INDEX_FILE": index} if index else self.env
        done = subprocess.run(["git", *args], cwd=self.repository, env=env, input=stdin, capture_output=True,
                              timeout=WAIT)
        if check and done.returncode:
            raise Unable(f"git {' '.join(args)}: {done.stderr.decode(errors='replace')}")
        return done

    def blob(self, oid):
        if oid not in self.blobs:
            self.reader.stdin.write(oid.encode() + b"\n")
            self.reader.stdin.flush()
            header = self.reader.stdout.readline().split()
            if len(header) != 3 or header[1] != b"blob":
                raise Disagreement(f"no blob {oid}: git says {header}")
            self.blobs[oid] = self.reader.stdout.read(int(header[2]))
            self.reader.stdout.read(1)
        return self.blobs[oid]

    def store(self, data):
        path = os.path.join(self.scratch, "blob")
        with open(path, "wb") as file:
            file.write(data)
        self.writer.stdin.write(path.encode() + b"\n")
        self.writer.stdin.flush()
        return self.writer.stdout.readline().decode().strip()

    def listing(self, tree):
        """A tree as a dictionary from path to mode and id. The last few are kept: one commit's base is the next's
        proposed tree."""
        if tree not in self.listed:
            files = {}
            for line in self.git("ls-tree", "-r", "-z", "--full-tree", tree).stdout.split(b"\0")[:-1]:
                about, path = line.split(b"\t", 1)
                mode, _, oid = about.decode().split()
                files[path] = (mode, oid)
            self.listed[tree] = files
            while len(self.listed) > 4:
                self.listed.popitem(last=False)
        return self.listed[tree]

    def start_from(self, tree):
        """Makes `tree` the base of the trees to come."""
        self.blobs = {}
        self.base = os.path.join(self.scratch, "base-index")
        if os.path.exists(self.base):
            os.remove(self.base)
        self.git("read-tree", tree, index=self.base)

    def index(self):
        """An index of the base, to be changed."""
        path = os.path.join(self.scratch, "index")
        shutil.copyfile(self.base, path)
        return path

    def written(self, files, after):
        """The tree that the base becomes when `files` of a table become `after`."""
        index = self.index()
        gone = [base_path(file) for file in files if file.base is not None]
        lines = [b"0 %s\t%s\0" % (b"0" * len(file.base or file.proposed), path)
                 for file, path in zip([f for f in files if f.base is not None], gone)]
        for path, mode, content in after:
            oid = self.store(content) if isinstance(content, bytes) else content
            lines.append(b"%s %s\t%s\0" % (mode.encode(), oid.encode(), path))
        self.git("update-index", "-z", "--index-info", index=index, stdin=b"".join(lines))
        return self.git("write-tree", index=index).stdout.decode().strip()

    def patched(self, patch):
        """The tree that `git apply` makes of the base, or what it says against the patch."""
        index = self.index()
        done = self.git("apply", "--cached", "-", index=index, stdin=patch, check=False)
        if done.returncode:
            return None, done.stderr.decode(errors="replace")
        return self.git("write-tree", index=index).stdout.decode().strip(), ""

    def difference(self, one, other):
        """What differs between two trees, in few words."""
        done = self.git("diff", "--stat", one, other, check=False)
        if done.returncode:
            return "(one of the trees was not written)\n"
        return done.stdout.decode(errors="replace")


# The program on one history.

class History:
    def __init__(self, options):
        self.options = options
        self.counts = collections.Counter()
        self.shapes, self.kinds = collections.Counter(), collections.Counter()
        self.scratch = tempfile.mkdtemp(prefix="real-history-")
        self.clone, self.worktree = os.path.join(self.scratch, "clone"), os.path.join(self.scratch, "worktree")
        home, tools = os.path.join(self.scratch, "home"), os.path.join(self.scratch, "bin")
        os.makedirs(os.path.join(home, ".config"))
        os.makedirs(tools)
        os.symlink(options.binary, os.path.join(tools, "git-receipt"))
        with open(os.path.join(home, ".gitconfig"), "w", encoding="utf-8") as file:
            # Objects stay where they are while other processes read them, and folders of other users may be cloned.
            file.write("[user]\n\tname = Ann Example\n\temail = ann@example.com\n[gc]\n\tauto = 0\n"
                       "[maintenance]\n\tauto = false\n[safe]\n\tdirectory = *\n[advice]\n\tdetachedHead = false\n")
        self.env = {"PATH": tools + os.pathsep + os.environ["PATH"], "HOME": home,
                    "XDG_CONFIG_HOME": os.path.join(home, ".config"), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
                    "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true", "TMPDIR": tempfile.gettempdir()}
        self.trees = None
        self.commit = self.receipt = None

    def run(self, *args, cwd=None):
        try:
            return subprocess.run(["git", *args], cwd=cwd or self.clone, env=self.env, stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=WAIT)
        except subprocess.TimeoutExpired:
            raise Disagreement(f"`git {' '.join(args)}` took more than {WAIT} seconds") from None

    def git(self, *args, cwd=None):
        done = self.run(*args, cwd=cwd)
        if done.returncode:
            raise Unable(f"git {' '.join(args)}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def program(self, *args, cwd=None):
        """`git receipt`, which has to succeed."""
        done = self.run("receipt", *args, cwd=cwd)
        if done.returncode:
            self.disagree(f"`git receipt {' '.join(args)[:200]}` ended with exit code {done.returncode}",
                          output=done.stdout + done.stderr)
        return done.stdout

    def disagree(self, what, chosen=None, wanted=None, got=None, output=b""):
        """Ends the run with what it was about."""
        lines = [what]
        if chosen is not None:
            lines.append(f"selection  {spelled(chosen)}")
        if wanted and got:
            lines += [f"wanted     {wanted}", f"got        {got}", "from the wanted tree to the other:",
                      self.trees.difference(wanted, got).rstrip()]
        if output:
            lines.append(output.decode(errors="replace")[-4000:].rstrip())
        raise Disagreement("\n".join(lines))

    def again(self):
        """All that is needed to look at it and to repeat it."""
        lines = []
        if self.commit:
            lines += [f"commit     {self.commit.id} {self.commit.subject}",
                      f"parent     {self.commit.parent} (tree {self.commit.parent_tree})"]
        if self.receipt:
            lines.append(f"receipt    {self.receipt}")
        lines.append(f"kept in    {self.clone}, with HOME={self.env['HOME']}")
        if self.commit:
            lines.append(f"again with --binary {self.options.binary} --repo {self.options.repo} --seed "
                         f"{self.options.seed} --subsets {self.options.subsets} --only {self.commit.id}")
        return "\n".join(lines)

    def play(self):
        started = time.monotonic()
        where = ["--no-local", "--no-tags", self.options.repo, self.clone]
        done = subprocess.run(["git", "clone", "-q", *where], env=self.env, capture_output=True, cwd=os.getcwd(),
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Unable(f"cannot clone: {done.stderr.decode(errors='replace')}")
        self.program("init", "--no-man")
        self.git("worktree", "add", "-q", "--detach", self.worktree, "HEAD")
        self.trees = Trees(self.clone, self.scratch, self.env)
        commits = self.commits()
        for index, commit in enumerate(commits):
            self.commit, self.receipt = commit, None
            self.check(commit, self.options.every_apply and index % self.options.every_apply == 0)
            if (index + 1) % 100 == 0:
                print(f"{index + 1} of {len(commits)} commits, {time.monotonic() - started:.0f} s", file=sys.stderr)
                # As maintenance would do it sooner or later; thousands of single objects slow everybody down.
                self.git("repack", "-d", "-q")
        self.commit = self.receipt = None
        self.program("verify")
        self.trees.close()
        self.summary(time.monotonic() - started)

    def commits(self):
        """The commits to check, newest first: id, tree, parent and its tree, subject."""
        if self.git("rev-parse", "--is-shallow-repository").strip() == b"true":
            raise Unable("the repository is shallow")
        start, count = (self.options.only, 1) if self.options.only else ("HEAD", self.options.commits)
        logged = self.git("log", "-z", "--first-parent", f"--max-count={count + 1}", "--format=%H%n%T%n%s", start, "--")
        records = [record.decode(errors="replace").split("\n", 2) for record in logged.split(b"\0") if record]
        # First parents only, so that each record is followed by its parent's. The root has none and is left out.
        pairs = list(zip(records, records[1:]))
        if not pairs:
            raise Unable("there is no commit with a parent")
        return [Commit(oid, tree, parent, parent_tree, subject)
                for (oid, tree, subject), (parent, parent_tree, _) in pairs]

    def check(self, commit, apply):
        if commit.tree == commit.parent_tree:
            self.counts["without a change"] += 1
            return
        chance = random.Random(f"{self.options.seed} {commit.id}")
        base, proposed = self.trees.listing(commit.parent_tree), self.trees.listing(commit.tree)
        if not self.propose(commit, [path for path in proposed if path not in base and unwelcome(path)]):
            return
        self.counts["commits"] += 1
        self.trees.start_from(commit.parent_tree)
        files = self.table(commit)
        choices = Choices(files, chance)
        every = set(range(1, choices.count + 1))

        # Everything: what the table says, what the program makes of it, and its patch are all the commit's own tree.
        after, clashing = applied(files, every, base, proposed, self.trees.blob)
        if clashing:
            self.disagree(f"all lines of the table clash: {clashing}")
        mine = self.trees.written(files, after)
        if mine != commit.tree:
            self.disagree("all lines of the table, read plainly, do not give the commit's tree", every, commit.tree,
                          mine)
        tree, done = self.preview(None)
        if tree != commit.tree:
            self.disagree("all lines do not give the commit's tree", every, commit.tree, tree, done.stderr)
        self.patch(None, commit.tree)

        for shape, chosen in choices.several(self.options.subsets):
            self.shapes[shape] += 1
            self.counts["subsets"] += 1
            self.part(files, choices, chosen, base, proposed)
        if apply:
            self.accept(commit)

    def propose(self, commit, refused):
        """Proposes the commit; false where the page wants it refused and it is."""
        subject = commit.subject.replace("\0", "").strip() or "No subject"
        about = [f"-m{subject}"] if subject.startswith("-") else ["-m", subject]
        done = self.run("receipt", "propose", *about, "--base", commit.parent, "--tree", commit.id)
        if refused:
            if done.returncode != 2:
                self.disagree(f"it proposes {refused[0]!r}, which the page refuses", output=done.stdout + done.stderr)
            self.counts["with refused paths"] += 1
            return False
        if done.returncode:
            self.disagree(f"`git receipt propose` ended with exit code {done.returncode}",
                          output=done.stdout + done.stderr)
        if not re.fullmatch(rb"[0-7][0-9A-HJKMNP-TV-Z]{25}\n", done.stdout):
            self.disagree("`git receipt propose` does not print the id alone", output=done.stdout + done.stderr)
        self.receipt = done.stdout.decode().strip()
        return True

    def table(self, commit):
        """The table of the proposal, after a look at what the entry says about it."""
        bodies = [json.loads(line) for line in self.program("show", self.receipt, "--raw").splitlines()]
        made = [body["data"] for body in bodies
                if body["kind"] == "proposal.made" and body["receipt"] == self.receipt]
        if len(made) != 1:
            self.disagree(f"{len(made)} proposals in the receipt")
        data, algorithm = made[0], "sha1:" if len(commit.id) == 40 else "sha256:"
        says = (data["base"]["commit"], data["base"]["tree"], data["tree"], data["revision"])
        wanted = (*(algorithm + oid for oid in (commit.parent, commit.parent_tree, commit.tree)), 1)
        if says != wanted:
            self.disagree(f"the entry says {says} instead of {wanted}")
        stored = self.trees.blob(data["lines"]["oid"].split(":")[1])
        if data["lines"]["digest"] != "sha256:" + hashlib.sha256(stored).hexdigest():
            self.disagree("the digest of the line table is another")
        files = read_table(stored)
        count = sum(file.count for file in files)
        if data["lines"]["count"] != count or data["lines"]["files"] != len(files):
            self.disagree(f"the entry counts {data['lines']}, the table has {count} lines in {len(files)} files")
        self.counts["lines"] += count
        self.counts["files"] += len(files)
        self.kinds.update(op[0] for file in files for _, op in file.ops)
        return files

    def preview(self, chosen):
        """The tree that the program gives, or none where it says that paths clash."""
        lines = ["--lines", spelled(chosen)] if chosen is not None else []
        done = self.run("receipt", "preview", self.receipt, *lines, "--on-base", "--json")
        said = done.stdout + done.stderr
        if done.returncode == 2 and (b"must come along" in said or b"needs" in said):
            return None, done
        if done.returncode:
            self.disagree(f"`git receipt preview` ended with exit code {done.returncode}", chosen, output=said)
        try:
            tree = json.loads(done.stdout)["tree"]
        except (ValueError, KeyError, TypeError):
            self.disagree("`git receipt preview --json` has no `tree`", chosen, output=said)
        return tree.split(":")[-1], done

    def part(self, files, choices, chosen, base, proposed, led_here=True):
        """Holds what the program makes of a part against the page."""
        after, clashing = applied(files, chosen, base, proposed, self.trees.blob)
        tree, done = self.preview(chosen)
        if tree is None:
            if not clashing:
                self.disagree("the program refuses this, and nothing clashes", chosen, output=done.stdout + done.stderr)
            self.counts["refusals"] += 1
            # What it asks for has to help.
            asked = re.search(rb"lines? ([0-9][0-9,-]*) must come along", done.stdout + done.stderr)
            if asked and led_here:
                more = chosen | numbers_in(asked.group(1).decode())
                self.part(files, choices, more, base, proposed, led_here=False)
            elif not led_here:
                self.disagree("the lines that it named came along, and it refuses again", chosen,
                              output=done.stdout + done.stderr)
            return
        if clashing:
            self.disagree(f"the program allows this, and {clashing} clash", chosen)
        mine = self.trees.written(files, after)
        if mine != tree:
            self.disagree("chosen lines give another tree", chosen, mine, tree, done.stderr)
        if choices.of_whole_runs(chosen):
            self.patch(chosen, mine)

    def patch(self, chosen, wanted):
        """Holds the program's patch against `git apply`, which has to arrive at the `wanted` tree."""
        lines = ["--lines", spelled(chosen)] if chosen is not None else []
        patch = self.program("diff", self.receipt, *lines, "--patch")
        # Lines can move without a change, past lines that are alike. `git apply` takes no empty patch.
        if not patch and wanted == self.commit.parent_tree:
            return
        tree, complaint = self.trees.patched(patch)
        kept = os.path.join(self.scratch, "patch")
        if tree != wanted:
            with open(kept, "wb") as file:
                file.write(patch)
        if tree is None:
            self.disagree(f"`git apply --cached` does not take the patch, kept as {kept}", chosen,
                          output=complaint.encode())
        if tree != wanted:
            self.disagree(f"the patch, kept as {kept}, gives another tree", chosen, wanted, tree)
        self.counts["patches"] += 1

    def accept(self, commit):
        """Accepts the proposal in a worktree that has the parent checked out, which commits it there."""
        def git(*args):
            return self.git(*args, cwd=self.worktree).decode(errors="replace").strip()

        number = self.counts["accepted"] + self.counts["unclean"]
        git("checkout", "-q", "-f", "-b", f"accepted/{number}", commit.parent)
        git("clean", "-ffdxq")
        if git("status", "--porcelain"):
            # Attributes can make a file that is just checked out look changed. That says nothing about the program.
            self.counts["unclean"] += 1
            return
        self.program("accept", self.receipt, cwd=self.worktree)
        head, tree, *parents = git("show", "-s", "--format=%H %T %P", "HEAD").split()
        if tree != commit.tree:
            self.disagree("accepting everything gives another tree", None, commit.tree, tree)
        if parents != [commit.parent]:
            self.disagree(f"the commit {head} has the parents {parents}")
        if git("symbolic-ref", "HEAD") != f"refs/heads/accepted/{number}":
            self.disagree(f"HEAD has become {git('symbolic-ref', 'HEAD')}")
        left = set(git("status", "--porcelain").splitlines())
        if left:
            # The same question: an index that remembers nothing of the files has to compare them all.
            git("checkout", "-q", "-f", "--detach", commit.id)
            os.remove(git("rev-parse", "--path-format=absolute", "--git-path", "index"))
            git("read-tree", "HEAD")
            if not left <= set(git("status", "--porcelain").splitlines()):
                self.disagree("the working tree is not clean after accepting", output="\n".join(sorted(left)).encode())
        self.counts["accepted"] += 1

    def summary(self, seconds):
        counts = self.counts
        print(f"{counts['commits']} commits in {seconds:.0f} s: {counts['files']} files, {counts['lines']} lines")
        print("operations: " + ", ".join(f"{count} {kind}" for kind, count in self.kinds.most_common()))
        shapes = ", ".join(f"{count} {shape}" for shape, count in self.shapes.most_common())
        print(f"{counts['subsets']} parts: {shapes}")
        print(f"{counts['refusals']} refusals of clashing paths, {counts['patches']} patches applied by git, "
              f"{counts['accepted']} proposals accepted and applied")
        for what in ("without a change", "with refused paths"):
            if counts[what]:
                print(f"left out: {counts[what]} commits {what}")
        if counts["unclean"]:
            print(f"not accepted: {counts['unclean']} proposals, as git found the parent's own checkout changed")
        print("all agree, and all entries verify")


# Tests of the reading above.

def self_test():
    test_texts()
    test_files()
    test_clashes()
    test_runs()
    test_choices()
    test_random_texts()
    test_tables()
    test_trees()
    print("the oracle gives what the page says")


def expect(got, wanted, about):
    assert got == wanted, f"{about}: {got!r} instead of {wanted!r}"


def numbered(ops, first=1):
    pairs = []
    for op in ops:
        pairs.append((first, op))
        first += numbers_taken(op)
    return pairs


def test_texts():
    abc, move = b"a\nb\nc\nd\n", [[">", 1, 3, 5, 3], ["+", 5, 2, 1], ["+", 5, 6, 1]]
    cases = [
        ("adds", b"a\nb\n", b"x\na\ny\nz\nb\nw\n", [["+", 1, 1, 1], ["+", 2, 3, 2], ["+", 3, 6, 1]], {
            "": b"a\nb\n", "1": b"x\na\nb\n", "2": b"a\ny\nb\n", "3": b"a\nz\nb\n", "2-3": b"a\ny\nz\nb\n",
            "2,4": b"a\ny\nb\nw\n", "1-4": b"x\na\ny\nz\nb\nw\n"}),
        ("adds to nothing", b"", b"x\ny\n", [["+", 1, 1, 2]], {"": b"", "2": b"y\n", "1-2": b"x\ny\n"}),
        ("removes", abc, b"a\nd\n", [["-", 2, 2]], {"1": b"a\nc\nd\n", "2": b"a\nb\nd\n", "1-2": b"a\nd\n"}),
        ("removes of everything", b"a\nb\n", b"", [["-", 1, 2]], {"1": b"b\n", "1-2": b""}),
        ("mutates", b"a\nb\nc\n", b"a\nB\nC\n", [["~", 2, 2, 2]], {"1": b"a\nB\nc\n", "2": b"a\nb\nC\n",
                                                                "1-2": b"a\nB\nC\n"}),
        ("an add before a mutate", b"a\nb\n", b"a\nx\nB\n", [["+", 2, 2, 1], ["~", 2, 3, 1]], {
            "1": b"a\nx\nb\n", "2": b"a\nB\n", "1-2": b"a\nx\nB\n"}),
        ("an add behind a remove", b"a\nb\nc\n", b"a\nx\nc\n", [["-", 2, 1], ["+", 3, 2, 1]], {
            "1": b"a\nc\n", "2": b"a\nb\nx\nc\n", "1-2": b"a\nx\nc\n"}),
        ("a move down among adds", abc, b"d\nx\na\nb\nc\ny\n", move, {
            "1": b"d\na\nb\nc\n", "2-3": b"a\nb\nc\nd\nx\ny\n", "1,3": b"d\na\nb\nc\ny\n", "1-2": b"d\nx\na\nb\nc\n",
            "1-3": b"d\nx\na\nb\nc\ny\n"}),
        ("a move up", b"x\na\nb\nc\n", b"a\nb\nc\nx\n", [[">", 2, 3, 1, 1]], {"1": b"a\nb\nc\nx\n"}),
        ("a move of the end", b"x\na\nb\nc", b"a\nb\nc\nx\n", [[">", 2, 3, 1, 1]], {"1": b"a\nb\nc\nx\n"}),
        ("two moves to one place", b"1\n2\n3\n4\n5\n6\n7\n", b"7\n4\n5\n6\n1\n2\n3\n",
         [[">", 1, 3, 8, 5], [">", 4, 3, 8, 2]], {
             "1": b"4\n5\n6\n7\n1\n2\n3\n", "2": b"1\n2\n3\n7\n4\n5\n6\n", "1-2": b"7\n4\n5\n6\n1\n2\n3\n"}),
        ("the end gets a terminator", b"a\nb", b"a\nb\nc", [["~", 2, 2, 1], ["+", 3, 3, 1]], {
            "1": b"a\nb\n", "2": b"a\nb\nc", "1-2": b"a\nb\nc"}),
        ("the end loses its terminator", b"a\nb\n", b"a\nb", [["~", 2, 2, 1]], {"": b"a\nb\n", "1": b"a\nb"}),
        ("a line without terminator before another", b"a\nb\nc\n", b"a\nx", [["~", 2, 2, 1], ["-", 3, 1]], {
            "1": b"a\nx\nc\n", "2": b"a\nb\n", "1-2": b"a\nx"}),
        ("the only line has no terminator", b"a", b"a\r\nb", [["~", 1, 1, 1], ["+", 2, 2, 1]], {
            "2": b"a\nb", "1-2": b"a\r\nb"}),
        ("CRLF", b"a\r\nb\r\n", b"a\r\nx\r\nb\n", [["+", 2, 2, 1], ["~", 2, 3, 1]], {
            "1": b"a\r\nx\r\nb\r\n", "2": b"a\r\nb\n", "1-2": b"a\r\nx\r\nb\n"}),
        ("a terminator as the first line has it", b"a\r\nb", b"a\r\nb\nc\nd", [["~", 2, 2, 1], ["+", 3, 3, 2]], {
            "2": b"a\r\nb\r\nc\n", "3": b"a\r\nb\r\nd", "1,3": b"a\r\nb\nd"}),
        ("only the first line counts", b"a\nb\r\nc", b"a\nb\r\nc\nd", [["~", 3, 3, 1], ["+", 4, 4, 1]], {
            "2": b"a\nb\r\nc\nd"}),
        ("a lone CR ends no line", b"a\rb\n", b"a\rb\nc\r", [["+", 2, 2, 1]], {"1": b"a\rb\nc\r"}),
    ]
    for name, base, proposed, ops, wanted in cases:
        every = spelled(range(1, 1 + sum(map(numbers_taken, ops))))
        for first in (1, 40):
            for chosen, data in {**wanted, "": base, every: proposed}.items():
                numbers = {first - 1 + n for n in numbers_in(chosen)} if chosen else set()
                # Numbers of other files are in a selection as well and do nothing here.
                numbers |= {first - 1, first + sum(map(numbers_taken, ops))}
                expect(text_after(base, proposed, numbered(ops, first), numbers), data, (name, first, chosen))


def made_up(path, ops, base=None, proposed=None, old_path=None, first=1):
    pairs = numbered(ops, first)
    return File(path, old_path, base, proposed, first, sum(map(numbers_taken, ops)), pairs)


def test_files():
    blobs = {"old": b"a\nb\n", "new": b"a\nB\n", "empty": b"", "nul": b"\0", "nul2": b"\0\0", "created": b"x\ny"}
    plain, program, link = "100644", "100755", "120000"
    line = ["~", 2, 2, 1]
    cases = [
        ("file+", made_up(b"f", [["file+"], ["+", 1, 1, 2]], None, "created"), None, program, {
            "": None, "1": (b"f", program, b""), "2": (b"f", program, b"x\n"), "3": (b"f", program, b"y"),
            "1,3": (b"f", program, b"y"), "1-3": (b"f", program, b"x\ny")}),
        ("file+ of a binary file", made_up(b"f", [["file+"]], None, "nul"), None, plain, {
            "": None, "1": (b"f", plain, "nul")}),
        ("file+ of an empty file", made_up(b"f", [["file+"]], None, "empty"), None, plain, {
            "1": (b"f", plain, "empty")}),
        ("file+ of a link", made_up(b"f", [["file+"]], None, "old"), None, link, {"1": (b"f", link, "old")}),
        ("file-", made_up(b"f", [["file-"]], "old", None), plain, None, {"": (b"f", plain, "old"), "1": None}),
        ("rename", made_up(b"g", [["rename"], line], "old", "new", b"f"), plain, plain, {
            "": (b"f", plain, "old"), "1": (b"g", plain, "old"), "2": (b"f", plain, b"a\nB\n"),
            "1-2": (b"g", plain, b"a\nB\n")}),
        ("cap", made_up(b"f", [["cap", plain, program], line], "old", "new"), plain, program, {
            "": (b"f", plain, "old"), "1": (b"f", program, "old"), "2": (b"f", plain, b"a\nB\n"),
            "1-2": (b"f", program, b"a\nB\n")}),
        ("bytes", made_up(b"g", [["rename"], ["cap", plain, program], ["bytes"]], "nul", "nul2", b"f"), plain, program,
         {"": (b"f", plain, "nul"), "1": (b"g", plain, "nul"), "2": (b"f", program, "nul"),
          "3": (b"f", plain, "nul2"), "1,3": (b"g", plain, "nul2"), "1-3": (b"g", program, "nul2")}),
        ("type", made_up(b"f", [["type"]], "old", "new"), plain, link, {
            "": (b"f", plain, "old"), "1": (b"f", link, "new")}),
    ]
    for name, file, base_mode, proposed_mode, wanted in cases:
        for chosen, after in wanted.items():
            numbers = numbers_in(chosen) if chosen else set()
            expect(file_after(file, numbers | {99}, base_mode, proposed_mode, blobs.__getitem__), after, (name, chosen))


def test_clashes():
    expect(clash([b"a", b"b", b"a.c", b"a-b/c"]), None, "no clash")
    expect(clash([b"a", b"b", b"a"]), (b"a", b"a"), "two at one path")
    expect(clash([b"a.c", b"a/b/c", b"a", b"a-b"]), (b"a", b"a/b/c"), "a file where a folder is")
    expect(clash([b"a/b", b"a/b/c/d", b"a/c"]), (b"a/b", b"a/b/c/d"), "deeper")
    base = {b"a": ("100644", "one"), b"stays": ("100644", "one")}
    proposed = {b"a/b": ("100644", "two"), b"stays": ("100644", "one")}
    files = [made_up(b"a", [["file-"]], "one", None), made_up(b"a/b", [["file+"]], None, "two", first=2)]
    for chosen, wanted in {(1,): None, (2,): (b"a", b"a/b"), (1, 2): None, (): None}.items():
        expect(applied(files, set(chosen), base, proposed, None)[1], wanted, ("a folder for a file", chosen))
    try:
        applied([made_up(b"b", [["file-"]], "two", None)], {1}, {b"b": ("100644", "one")}, {}, None)
    except Disagreement:
        pass
    else:
        raise AssertionError("a table about another tree passes")
    chain = {b"a": ("100644", "one"), b"b": ("100644", "two")}
    moved = {b"b": ("100644", "one"), b"c": ("100644", "two")}
    files = [made_up(b"b", [["rename"]], "one", "one", b"a"), made_up(b"c", [["rename"]], "two", "two", b"b", 2)]
    for chosen, wanted in {(1,): (b"b", b"b"), (2,): None, (1, 2): None}.items():
        expect(applied(files, set(chosen), chain, moved, None)[1], wanted, ("a chain of renames", chosen))


def test_runs():
    def runs(*ops, base="old", proposed="new", old_path=None):
        return sorted(runs_of(made_up(b"f", list(ops), base, proposed, old_path)))

    expect(runs(["-", 2, 2], ["+", 4, 2, 1], ["-", 5, 1]), [[1, 2, 3], [4]], "an unchanged line stands in between")
    expect(runs(["+", 2, 2, 1], ["-", 2, 2], ["~", 4, 3, 2]), [[1, 2, 3, 4, 5]], "nothing stands in between")
    expect(runs(["-", 1, 1], ["+", 3, 2, 1]), [[1], [2]], "a point behind an unchanged line")
    expect(runs(["-", 1, 1], [">", 3, 3, 8, 9], ["+", 8, 7, 1], ["-", 9, 1]), [[1], [2, 3], [4]], "a move ties two")
    expect(runs(["-", 1, 1], ["-", 3, 1], [">", 5, 3, 2, 2], ["-", 8, 1]), [[1, 3, 4], [2]], "and what touches them")
    expect(runs([">", 1, 3, 9, 1], ["-", 5, 1], [">", 10, 3, 6, 9]), [[1], [2, 3]], "a move behind a remove")
    expect(runs([">", 1, 3, 7, 9], [">", 8, 3, 7, 4]), [[1, 2]], "two moves that meet")
    expect(runs(["rename"], ["cap", "100644", "100755"], ["-", 1, 1]), [[1, 2], [3]], "operations on the whole file")
    expect(runs(["file+"], ["+", 1, 1, 3], base=None), [[1, 2, 3, 4]], "a created file")
    expect(runs(["file-"], proposed=None), [[1]], "a deleted file")


def test_choices():
    expect(spelled({7, 1, 3, 2}), "1-3,7", "spelling")
    expect(spelled({1, 2, 4}), "1-2,4", "two numbers are a range")
    expect(numbers_in("1-3,7"), {1, 2, 3, 7}, "reading")
    paths = [b"src/aux.c", b"AUX", b"a/com1:x/b", b"c:/x", b"a\\nul", b"auxx", b"a/com0", b"x.aux"]
    expect([unwelcome(path) for path in paths], [True] * 5 + [False] * 3, "devices")
    files = [made_up(b"f", [["-", 2, 2], ["~", 5, 3, 1]], "old", "new"), made_up(b"g", [["file-"]], "old", first=4)]
    seen = set()
    for seed in range(200):
        choices = Choices(files, random.Random(seed))
        for shape, chosen in choices.several(4):
            assert chosen and chosen <= {1, 2, 3, 4}, chosen
            if shape in {"run", "runs", "file", "files"}:
                assert choices.of_whole_runs(chosen), (shape, chosen)
            seen.add(shape)
    assert len(seen) == 11, seen
    assert not choices.of_whole_runs({1}) and choices.of_whole_runs({1, 2, 4})
    wide = Choices([made_up(b"f", [["file+"], ["+", 1, 1, 200_000]], None, "new")], random.Random(1))
    assert all(0 < len(spelled(wide.one("lines"))) <= LONGEST for _ in range(5))


def test_random_texts():
    """Texts of few different lines, and operations between them as chance has it: all give the one, none the other."""
    chance = random.Random(1)
    for _ in range(2000):
        pool = [b"a\n", b"b\n", b"\n", b"a\r\n"]
        old, new, ops = [], [], []
        lines = chance.randint(0, 8)
        for at in range(1, lines + 2):
            count = chance.choice([0, 0, 0, 1, 2])
            if count:
                ops.append(["+", at, len(new) + 1, count])
                new += chance.choices(pool, k=count)
            if at > lines:
                break
            old.append(chance.choice(pool))
            what = chance.random()
            if what < 0.2:
                ops.append(["-", at, 1])
            elif what < 0.4:
                new.append(chance.choice(pool))
                ops.append(["~", at, len(new), 1])
            else:
                new.append(old[-1])
        # The last line of a text may have no terminator. Where only one text's last line has none, it is another line.
        old, new = b"".join(old), b"".join(new)
        pairs = numbered(ops)
        every = set(range(1, 1 + sum(map(numbers_taken, ops))))
        expect(text_after(old, new, pairs, every), new, ops)
        expect(text_after(old, new, pairs, set()), old, ops)


def test_tables():
    oid = "sha1:" + "ab" * 20
    data = json.dumps({"files": [
        {"base": oid, "first": 1, "old_path": {"b64": "/w=="}, "ops": [["rename"], ["-", 1, 3]], "path": "\u00e9",
         "proposed": oid},
        {"base": None, "first": 5, "ops": [["file+"]], "path": "z", "proposed": oid}]},
        ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    one, two = read_table(data.encode())
    expect((one.path, one.old_path, one.base, one.first, one.count, one.ops),
           ("\u00e9".encode(), b"\xff", "ab" * 20, 1, 4, [(1, ["rename"]), (2, ["-", 1, 3])]), "a table")
    expect((base_path(one), base_path(two), two.first, two.count), (b"\xff", None, 5, 1), "a table")
    for wrong in (data.replace('"first":5', '"first":4'), data + "\n", data.replace(":5", ": 5")):
        try:
            read_table(wrong.encode())
        except Disagreement:
            continue
        raise AssertionError(f"{wrong} passes")


def test_trees():
    """Trees written through an index are the trees that git makes of the same files, and its patches apply."""
    scratch = tempfile.mkdtemp(prefix="real-history-self-test-")
    repository = os.path.join(scratch, "repository")
    env = {"PATH": os.environ["PATH"], "HOME": scratch, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}

    def git(*args, stdin=b""):
        return subprocess.run(["git", *args], cwd=repository, env=env, input=stdin, check=True,
                              capture_output=True).stdout

    def tree(files):
        """By way of the working tree and `git add`."""
        git("rm", "-rfq", "--cached", "--ignore-unmatch", ".")
        for name in os.listdir(repository):
            if name != ".git":
                path = os.path.join(repository, name)
                shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)
        for path, (mode, data) in files.items():
            path = os.path.join(repository.encode(), path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if mode == "120000":
                os.symlink(data, path)
                continue
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, int(mode[-3:], 8))
        git("add", "-A")
        return git("write-tree").decode().strip()

    os.makedirs(repository)
    git("init", "-q")
    git("config", "core.autocrlf", "false")
    plain, program, link = "100644", "100755", "120000"
    old = {b"a": (plain, b"1\n2\n3"), b"bin": (plain, b"\0"), b"d/x": (plain, b"x\n"), b"gone": (plain, b"g\n"),
           b"kept/in/here": (plain, b"k\n"), b"ln": (plain, b"l\n"), b"run": (plain, b"r\n"), b"swap": (plain, b"s\n")}
    new = {b"a": (plain, b"1\n2\n3\n4\n"), b"bin": (plain, b"\0\0"), b"d/\xff y": (plain, b"x\n"),
           b"fresh": (program, b"p\nq\n"), b"kept/in/here": (plain, b"k\n"), b"ln": (link, b"target"),
           b"run": (program, b"r\n"), b"swap/in": (plain, b"s2\n")}
    base_tree, proposed_tree = tree(old), tree(new)
    trees = Trees(repository, scratch, env)
    base, proposed = trees.listing(base_tree), trees.listing(proposed_tree)
    expect({path: (mode, trees.blob(oid)) for path, (mode, oid) in base.items()}, old, "a listing")
    shapes = [(b"a", None, [["~", 3, 3, 1], ["+", 4, 4, 1]]), (b"bin", None, [["bytes"]]),
              (b"d/\xff y", b"d/x", [["rename"]]), (b"fresh", None, [["file+"], ["+", 1, 1, 2]]),
              (b"gone", None, [["file-"]]), (b"ln", None, [["type"]]), (b"run", None, [["cap", plain, program]]),
              (b"swap", None, [["file-"]]), (b"swap/in", None, [["file+"], ["+", 1, 1, 1]])]
    files, first = [], 1
    for path, old_path, ops in shapes:
        ids = (side.get(at, (None, None))[1] for side, at in ((base, old_path or path), (proposed, path)))
        files.append(made_up(path, ops, *ids, old_path, first))
        first += files[-1].count
    # Numbers: a 1-2, bin 3, rename 4, fresh 5-7, gone 8, ln 9, run 10, swap 11, swap/in 12-13.
    trees.start_from(base_tree)
    cases = {
        "1-13": new,
        "2": {**old, b"a": (plain, b"1\n2\n3\n4\n")},
        "1,3,9": {**old, b"a": (plain, b"1\n2\n3\n"), b"bin": new[b"bin"], b"ln": new[b"ln"]},
        "4,8": {**{p: f for p, f in old.items() if p not in {b"d/x", b"gone"}}, b"d/\xff y": (plain, b"x\n")},
        "7,10": {**old, b"fresh": (program, b"q\n"), b"run": new[b"run"]},
        "11-12": {**{p: f for p, f in old.items() if p != b"swap"}, b"swap/in": (plain, b"")},
    }
    for chosen, wanted in cases.items():
        after, clashing = applied(files, numbers_in(chosen), base, proposed, trees.blob)
        expect(clashing, None, chosen)
        wanted_tree = tree(wanted)
        expect(trees.written(files, after), wanted_tree, chosen)
        patch = git("diff", "--binary", "--full-index", "-M", base_tree, wanted_tree)
        expect(trees.patched(patch), (wanted_tree, ""), chosen)
    expect(applied(files, {13}, base, proposed, trees.blob)[1], (b"swap", b"swap/in"), "13")
    expect(trees.patched(b"--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n")[0], None, "a wrong patch")
    assert "bin" in trees.difference(base_tree, proposed_tree)
    trees.close()
    shutil.rmtree(scratch)


def main(argv):
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    built = os.path.join(here, "target", "release", "git-receipt")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=built if os.path.exists(built) else shutil.which("git-receipt"),
                        help="the program, else the release build, else the one on the path")
    parser.add_argument("--repo", default=here, help="whose history: a folder, or what else `git clone` takes")
    parser.add_argument("--commits", type=int, default=1000, help="how many of the newest commits")
    parser.add_argument("--seed", default="1", help="of what is chosen; each commit has its own chance under it")
    parser.add_argument("--subsets", type=int, default=3, help="parts of each proposal")
    parser.add_argument("--every-apply", type=int, default=25, metavar="M", help="accept every Mth; 0 for none")
    parser.add_argument("--only", metavar="REV", help="this commit and no other")
    parser.add_argument("--self-test", action="store_true", help="check the reading of the page, without the program")
    options = parser.parse_args(argv)
    if options.self_test:
        return self_test()
    if not options.binary or not os.path.isfile(options.binary):
        raise Unable("there is no program; build it or name it with --binary")
    options.binary = os.path.realpath(options.binary)
    if os.path.exists(options.repo):
        options.repo = os.path.realpath(options.repo)
    history = History(options)
    try:
        history.play()
    except Disagreement as found:
        print(found, history.again(), sep="\n", file=sys.stderr)
        return 1
    except (Unable, KeyboardInterrupt):
        shutil.rmtree(history.scratch, ignore_errors=True)
        raise
    except Exception:
        # A table out of all bounds ends here too.
        print(history.again(), file=sys.stderr)
        raise
    shutil.rmtree(history.scratch)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Unable as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
