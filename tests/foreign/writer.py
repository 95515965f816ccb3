#!/usr/bin/env python3
"""A second writer of the receipt format, honest or not, for tests.

It knows docs/format.md alone and shares no line with the program: standard
library, git's plumbing and `ssh-keygen -Y sign`. The honest writer shows that
the format can be written by others; the forgeries, one deviation each, show
what a reader must not let pass.

    writer.py list
    writer.py [--key FILE] [--stranger-key FILE] honest REPO
    writer.py [--key FILE] [--stranger-key FILE] edges REPO
    writer.py [--key FILE] [--stranger-key FILE] forge NAME REPO

REPO needs a commit at HEAD. Keys that are not given are made and forgotten.
"""

import argparse
import base64
import calendar
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import namedtuple
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Callable

NAMESPACE = "git-receipt"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def canonical(value):
    """RFC 8785 as far as the format needs it: keys are ASCII, numbers whole."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


def new_ulid():
    number = int.from_bytes(os.urandom(16), "big")
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


class Clock:
    """The same moments in every run, a little more than a second apart."""

    def __init__(self):
        self.now = datetime(2026, 2, 3, 4, 5, 6, 123_000, timezone.utc)

    def tick(self):
        self.now += timedelta(milliseconds=1_007)
        return stamp(self.now)


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


class Key:
    """An OpenSSH private key, used through ssh-keygen."""

    def __init__(self, path=None):
        if path is None:
            self.directory = tempfile.TemporaryDirectory()  # lives as long as the key
            path = Path(self.directory.name, "key")
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path)
        self.path = str(path)
        self.public = " ".join(run("ssh-keygen", "-y", "-f", path).decode().split()[:2])
        self.blob = base64.b64decode(self.public.split(" ")[1])
        hashed = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        self.fingerprint = "SHA256:" + hashed.rstrip("=")

    def sign(self, content, namespace=NAMESPACE, algorithm="sha512"):
        options = ["-f", self.path, "-n", namespace, "-O", f"hashalg={algorithm}"]
        return run("ssh-keygen", "-Y", "sign", *options, given=content)


def run(*command, given=b""):
    done = subprocess.run([str(word) for word in command], input=given, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"`{' '.join(map(str, command))}` failed: {done.stderr.decode('utf-8', 'replace')}")
    return done.stdout


class Repo:
    def __init__(self, path):
        self.path = str(path)
        self.algorithm = self.git("rev-parse", "--show-object-format")
        roots = self.git("rev-list", "--max-parents=0", "HEAD").split()
        self.id = self.oid(min(roots))
        self.empty_tree = self.write("tree", b"")
        self.head = self.git("rev-parse", "HEAD")
        self.head_tree = self.git("rev-parse", "HEAD^{tree}")

    def git(self, *arguments, given=b""):
        command = ["git", "--no-replace-objects", "-C", self.path, *arguments]
        return run(*command, given=given).decode().rstrip("\n")

    def oid(self, name):
        return f"{self.algorithm}:{name}"

    def write(self, kind, content, anything=False):
        """`anything` lets through what git itself would refuse to write."""
        literally = ["--literally"] if anything else []
        return self.git("hash-object", *literally, "-t", kind, "-w", "--stdin", given=content)

    def set_ref(self, name, commit):
        self.git("update-ref", name, commit)

    def delete_ref(self, name):
        self.git("update-ref", "-d", name)


# An entry as it was written. `seq` is its place in the chain, whatever its body
# says, so that a report of it can be looked up.
Entry = namedtuple("Entry", "chain seq digest commit body armour fields")


def link(entry):
    """The citation, or the mention, of an entry."""
    return {"chain": entry.chain, "seq": entry.seq, "digest": entry.digest}


def same(value):
    return value


@dataclass
class Hooks:
    """Where an entry can be bent on its way from facts to bytes, in this order.

    Each takes what an honest writer has at that point and returns what is used
    instead; all that comes after follows from it, so that one hook is one lie.
    """

    fields: Callable = same  # the body as a dict
    body: Callable = same  # its bytes
    signed: Callable = same  # the bytes that are signed
    armour: Callable = same  # the signature as it is stored
    subject: Callable = same  # the first line
    parents: Callable = same  # the list of commits
    headers: Callable = same  # the list of header lines
    message: Callable = same  # all after the headers
    key: Key | None = None  # who signs
    namespace: str = NAMESPACE
    algorithm: str = "sha512"


class Writer:
    """One chain and the key that signs it."""

    def __init__(self, repo, key, clock, name="Ann", email="ann@example.com", role="agent", place="chains"):
        self.repo, self.key, self.clock = repo, key, clock
        self.name, self.email, self.role = name, email, role
        self.chain = new_ulid()
        self.ref = f"refs/receipts/{place}/{self.chain}"
        self.entries = []

    @property
    def tip(self):
        return self.entries[-1]

    def open(self, data=None, **hooks):
        data = data or {}
        own = {"public_key": self.key.public, "name": self.name, "email": self.email, "role": self.role}
        own |= {"nonce": os.urandom(16).hex(), "tool": {"name": "writer.py", "version": "1"}}
        return self.append("chain.opened", own | data, title="Chain opened", **hooks)

    def append(self, kind, data, title="", receipt=None, cites=(), once=None, time=None, **hooks):
        """Write one entry and move the chain's ref to it.

        `cites` are entries; `hooks` are those of `Hooks`.
        """
        bend = Hooks(**hooks)
        fields = bend.fields(
            {
                "v": 1,
                "repo": self.repo.id,
                "chain": self.chain,
                "seq": len(self.entries),
                "prev": self.tip.digest if self.entries else None,
                "cites": [link(entry) for entry in cites],
                "time": time or self.clock.tick(),
                "signer": self.key.fingerprint,
                "receipt": receipt,
                "once": once,
                "title": title,
                "kind": kind,
                "data": data,
            }
        )
        body = bend.body(canonical(fields))
        key = bend.key or self.key
        armour = bend.armour(key.sign(bend.signed(body), bend.namespace, bend.algorithm))
        subject = bend.subject(f"{fields['kind']}: {fields['title']}".encode())
        message = bend.message(b"\n\n".join([subject, body, armour]))

        parents = [self.tip.commit] if self.entries else []
        parents = bend.parents(parents + [entry.commit for entry in cites])
        headers = [b"tree " + self.repo.empty_tree.encode()]
        headers += [b"parent " + parent.encode() for parent in parents]
        person = self.person(fields["time"])
        headers = bend.headers([*headers, b"author " + person, b"committer " + person])

        commit = self.repo.write("commit", b"\n".join([*headers, b"", message]), anything=bool(hooks))
        self.repo.set_ref(self.ref, commit)
        entry = Entry(self.chain, len(self.entries), digest_of(body), commit, body, armour, fields)
        self.entries.append(entry)
        return entry

    def person(self, time):
        def ident(value):
            return "".join(c for c in value if c not in "<>" and not is_control(c)).strip(" ")

        # Forged times come by here too; timegm takes a 30th of February in its stride.
        seconds = calendar.timegm(tuple(map(int, re.findall(r"\d+", time[:19]))))
        return f"{ident(self.name)} <{ident(self.email)}> {seconds} +0000".encode()

    def cut(self, entry):
        """Set the ref back to `entry`, as though nothing had followed it."""
        self.repo.set_ref(self.ref, entry.commit)

    def summary(self):
        return {
            "chain": self.chain,
            "ref": self.ref,
            "signer": self.key.fingerprint,
            "public_key": self.key.public,
            "commits": [entry.commit for entry in self.entries],
        }


def is_control(character):
    return character < " " or "\x7f" <= character <= "\x9f"


# --- honest data ------------------------------------------------------------


def opened(repo, **more):
    base = {"commit": repo.oid(repo.head), "tree": repo.oid(repo.head_tree), "dirty": False}
    return {"task": {"text": "Do the work"}, "summary": "Do the work", "risk": "low", "base": base} | more


def called(**more):
    tool = {"tool": "Bash", "input": {"text": "ls"}, "output": {"text": "a/b\n"}, "status": "ok", "exit_code": 0}
    return tool | {"duration_ms": 12, "step": "flexible", "files": []} | more


def checked(repo, **more):
    gate = {"gate": "test", "command": ["make", "test"], "exit_code": 0, "result": "passed", "duration_ms": 345}
    return gate | {"output": {"text": "3 passed\n"}, "tree": repo.oid(repo.head_tree), "dirty": False} | more


def closed(**more):
    return {"status": "completed", "output": {"text": "Done"}, "summary": "Done"} | more


def bound(repo, **more):
    data = {"commit": repo.oid(repo.head), "tree": repo.oid(repo.head_tree)}
    parent = repo.git("rev-list", "--parents", "--max-count=1", "HEAD").split()[1:2]
    if parent:
        data["parent_tree"] = repo.oid(repo.git("rev-parse", "HEAD^1^{tree}"))
    return data | {"subject": repo.git("log", "-1", "--format=%s")} | more


def remark(text="Seen"):
    return {"text": {"text": text}}


def proposal(repo, revision=1, **more):
    """A proposal that adds one file of one line at the end of HEAD's tree."""
    line = f"line of revision {revision}\n".encode()
    blob = repo.write("blob", line)
    listing = repo.git("ls-tree", "HEAD").encode() + b"\n" + f"100644 blob {blob}\tproposed.txt\n".encode()
    tree = repo.git("mktree", given=listing.lstrip(b"\n"))
    table = {"path": "proposed.txt", "base": None, "proposed": repo.oid(blob), "first": 1}
    table = canonical({"files": [table | {"ops": [["file+"], ["+", 1, 1, 1]]}]})
    lines = {"digest": digest_of(table), "oid": repo.oid(repo.write("blob", table)), "count": 2}
    lines |= {"added": 1, "removed": 0, "mutated": 0, "moved": 0, "files": 1}
    base = {"commit": repo.oid(repo.head), "tree": repo.oid(repo.head_tree)}
    data = {"revision": revision, "base": base, "tree": repo.oid(tree), "lines": lines}
    return data | {"algorithm": "by hand", "summary": "Add a file"} | more


# --- honest histories -------------------------------------------------------


class Scene:
    """A repository, two keys and one clock; whatever a history needs to begin."""

    def __init__(self, path, key=None, stranger_key=None):
        self.repo = Repo(path)
        self.clock = Clock()
        self.key = key or Key()
        self.stranger_key = stranger_key or Key()

    def writer(self, **more):
        return Writer(self.repo, self.key, self.clock, **more)

    def stranger(self, **more):
        person = {"name": "Bob", "email": "bob@example.com", "role": "human"} | more
        return Writer(self.repo, self.stranger_key, self.clock, **person)

    def public_keys(self):
        return [self.key.public, self.stranger_key.public]


def honest(scene):
    """Two chains that cite each other, and a receipt from opening to binding."""
    repo = scene.repo
    agent, person = scene.writer(), scene.stranger()
    receipt = new_ulid()
    agent.open()
    person.open()
    agent.append("receipt.opened", opened(repo), "Do the work", receipt)
    agent.append("tool.called", called(), "Bash: ls", receipt, once="call-1")
    gate = agent.append("gate.checked", checked(repo), "test passed", receipt)
    seen = person.append("remark.made", remark("Ran it here too"), "Ran it here too", receipt, [gate])
    agent.append("commit.bound", bound(repo), "HEAD", receipt, [seen])
    agent.append("receipt.closed", closed(), "Done", receipt)
    agent.append("chain.closed", {"entries": len(agent.entries) + 1, "reason": "over"}, "Chain closed")
    return receipt, [agent, person]


def edges(scene):
    """What is rare and still right: a reader that refuses any of it is too strict."""
    repo = scene.repo
    agent = scene.writer(name=" Ann <the agent>\t", email="ann@example.com")
    person = scene.stranger()
    receipt = new_ulid()
    agent.open()
    person.open()
    agent.append("receipt.opened", opened(repo), "", receipt)  # no title
    agent.append("tool.called", called(duration_ms=2**53 - 1), "\U0001f9fe" * 60, receipt, once="\u00e9" * 64)
    odd = '"\\/\b\f\n\r\t\0\x1f\x7f\u0080\u2028\ufeff\U0001f9fe e\u0301 \u00e9'
    first = agent.append("remark.made", remark(odd), "<b>\u202eodd", receipt, time=agent.tip.fields["time"])

    def filled(fields):
        """The longest body there may be."""
        fields["data"]["command"][1] += "x" * (65_536 - len(canonical(fields)))
        return fields

    second = agent.append("gate.checked", checked(repo), "long", receipt, fields=filled)
    person.append("remark.made", remark(), "", receipt, [second, first])  # two of one chain, in any order
    person.append("heads.witnessed", {"heads": [link(agent.tip), link(person.tip)]})

    # A remote that has not got the last entries yet.
    repo.set_ref(f"refs/receipts-remotes/origin/chains/{agent.chain}", first.commit)

    # One chain is sealed and its ref goes; one is sealed and goes on; one takes
    # over from the first.
    gone, goes_on = scene.writer(), scene.writer()
    for writer in (gone, goes_on):
        writer.open()
        writer.append("remark.made", remark(), "", receipt, [agent.tip])
    seals = scene.writer(place="sealed")
    seals.open()
    seals.append("chains.sealed", {}, "Two chains sealed", cites=[gone.tip, goes_on.tip])
    repo.delete_ref(gone.ref)
    goes_on.append("remark.made", remark("Later"), "Later", receipt)
    heir = scene.writer()
    heir.open({"continues": link(gone.tip)})
    return receipt, [agent, person, gone, goes_on, seals, heir]


# --- forgeries --------------------------------------------------------------


class Stage(Scene):
    """A scene with an honest chain in it: opened, a receipt, one tool call."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.receipt = new_ulid()
        self.owner = self.writer()
        self.owner.open()
        self.opening = self.owner.append("receipt.opened", opened(self.repo), "Do the work", self.receipt)
        self.owner.append("tool.called", called(), "Bash: ls", self.receipt)

    def remark(self, writer=None, cites=(), **more):
        text = "A text with a / and a \x1f and a\nnewline in it"
        return (writer or self.owner).append("remark.made", remark(text), "A remark", self.receipt, cites, **more)

    def call(self, **more):
        return self.owner.append("tool.called", called(), "Bash: ls", self.receipt, **more)

    def other(self, **more):
        """A second chain, opened and with one remark."""
        writer = self.stranger(**more)
        writer.open()
        self.remark(writer, [self.opening])
        return writer


@dataclass
class Forgery:
    name: str
    make: Callable  # (Stage) -> the Entry that a report has to name
    expect: str = "finding"  # or "unknown": kept and counted, and not wrong
    stock: bool = True  # whether stock-tools.sh has to report it
    why: str = ""


FORGERIES = {}


def forgery(name, **more):
    """Lists a function of a stage as a forgery; its docstring says why."""

    def add(make):
        assert name not in FORGERIES, name
        FORGERIES[name] = Forgery(name, make, why=(make.__doc__ or "").strip(), **more)
        return make

    return add


def bent(name, why, expect="finding", stock=True, **hooks):
    """A forgery that is one bent remark at the end of the owner's chain."""
    forgery(name, expect=expect, stock=stock)(lambda stage: stage.remark(**hooks))
    FORGERIES[name].why = why


def bent_call(name, why, **hooks):
    """The same of a tool call, which has numbers in it."""
    forgery(name)(lambda stage: stage.call(**hooks))
    FORGERIES[name].why = why


def put(**values):
    """Fields set to what is given, or to what a function makes of the old value."""

    def change(fields):
        return fields | {k: v(fields[k]) if callable(v) else v for k, v in values.items()}

    return change


def without(name):
    return lambda fields: {key: value for key, value in fields.items() if key != name}


def put_data(**values):
    return lambda fields: fields | {"data": fields["data"] | values}


def swap(old, new):
    """Bytes replaced once; that they are there is part of the forgery."""

    def change(content):
        assert old in content, f"{old!r} is not in {content!r}"
        return content.replace(old, new, 1)

    return change


# Links: seq, prev, chain, repo.

bent("seq-gap", "one number is left out", fields=put(seq=lambda seq: seq + 1))
bent("seq-repeated", "the number of the entry before", fields=put(seq=lambda seq: seq - 1))
bent("seq-is-a-string", "a number in quotes", fields=put(seq=str))
bent("prev-wrong", "the digest of nothing", fields=put(prev=digest_of(b"nothing")))
bent("prev-upper-case", "hexadecimal in capitals", fields=put(prev=lambda prev: "sha256:" + prev[7:].upper()))
bent("foreign-repo", "the root of another project", fields=put(repo=lambda repo: repo[:-4] + "beef"))
bent("chain-lower-case", "a ULID is in upper case", fields=put(chain=str.lower))
bent("chain-of-another", "a body that names another chain", fields=put(chain=new_ulid()))


@forgery("prev-null-at-1")
def _(stage):
    """only the first entry has no `prev`"""
    writer = stage.writer()
    writer.open()
    return stage.remark(writer, fields=put(prev=None))


@forgery("prev-at-0")
def _(stage):
    """the first entry has nothing before it"""
    return stage.writer().open(fields=put(prev=stage.owner.tip.digest))


@forgery("prev-is-an-older-entry")
def _(stage):
    """`prev` and parent agree with each other and leave one entry out"""
    older = stage.owner.entries[-2]
    return stage.remark(fields=put(prev=older.digest), parents=lambda _: [older.commit])


@forgery("ref-of-another-chain")
def _(stage):
    """a chain under the name of another"""
    owner = stage.owner
    stage.repo.delete_ref(owner.ref)
    stage.repo.set_ref(f"refs/receipts/chains/{new_ulid()}", owner.tip.commit)
    return owner.tip


# Keys and signatures.


@forgery("key-swapped")
def _(stage):
    """chain.opened and `signer` say one key, another one signs"""
    return stage.writer().open(key=stage.stranger_key)


@forgery("key-of-opening-is-another")
def _(stage):
    """chain.opened carries a key that is not the signer's"""
    return stage.writer().open({"public_key": stage.stranger_key.public})


@forgery("key-changes")
def _(stage):
    """a good entry of another key in the chain"""
    other = stage.stranger_key
    return stage.remark(key=other, fields=put(signer=other.fingerprint))


@forgery("signer-is-another")
def _(stage):
    """`signer` names a key that did not sign"""
    return stage.remark(fields=put(signer=stage.stranger_key.fingerprint))


@forgery("signature-moved")
def _(stage):
    """the good signature of the entry before"""
    return stage.remark(armour=lambda _: stage.owner.tip.armour)


bent("namespace-git", "a signature for a commit", namespace="git")
bent("namespace-file", "a signature for a file", namespace="file")
bent("hash-sha256", "SSHSIG allows it, the format does not", algorithm="sha256")
bent("signed-with-newline", "the body and a newline are signed", signed=lambda body: body + b"\n")
bent("signed-digest-only", "the digest is signed, not the body", signed=lambda body: digest_of(body).encode())


# The armour. Libraries and ssh-keygen pass most of these.


def rearmour(change, columns=70):
    """The same armour around a changed blob, or in other columns."""

    def armour(old):
        encoded = base64.b64encode(change(base64.b64decode(b"".join(old.split(b"\n")[1:-2]))))
        rows = [encoded[at : at + columns] for at in range(0, len(encoded), columns)]
        return b"\n".join([b"-----BEGIN SSH SIGNATURE-----", *rows, b"-----END SSH SIGNATURE-----", b""])

    return armour


def string(content):
    return len(content).to_bytes(4, "big") + content


def unreduced(blob):
    """S + L in place of S: the same point, and so a second good signature."""
    raised = int.from_bytes(blob[-32:], "little") + ED25519_ORDER
    return blob[:-32] + raised.to_bytes(32, "little")


def flipped(blob):
    return blob[:-8] + bytes([blob[-8] ^ 1]) + blob[-7:]


bent("armour-crlf", "lines end as on Windows", armour=lambda armour: armour.replace(b"\n", b"\r\n"))
bent("armour-unwrapped", "base64 on one line", armour=rearmour(same, columns=10_000))
bent("armour-64-columns", "wrapped as PEM is", armour=rearmour(same, columns=64))
bent("armour-indented", "a space before a row", armour=swap(b"\n", b"\n "))
bent("armour-version-0", "a version bit flipped", armour=rearmour(swap(b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\0")))
bent("armour-version-2", "a later version", armour=rearmour(swap(b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\2")))
bent(
    "armour-reserved",
    "the reserved field holds something",
    armour=rearmour(swap(string(NAMESPACE.encode()) + string(b""), string(NAMESPACE.encode()) + string(b"room"))),
)
bent("armour-trailing-bytes", "bytes after the signature inside", armour=rearmour(lambda blob: blob + b"\0\0\0\0"))
bent("signature-not-reduced", "S + L verifies where nobody looks", armour=rearmour(unreduced))
bent("signature-bit-flipped", "one bit of S", armour=rearmour(flipped))
bent("signature-missing", "nothing where the signature belongs", armour=lambda _: b"")


@forgery("armour-names-another-key")
def _(stage):
    """the key inside the armour is not the one that signed"""
    return stage.remark(armour=rearmour(swap(stage.key.blob, stage.stranger_key.blob)))


# JSON. The signature is good over exactly these bytes.


def unsorted(body):
    return json.dumps(dict(reversed(json.loads(body).items())), separators=(",", ":")).encode()


def deep(levels):
    """A list of lists that makes the body `levels` deep, it and `data` counted."""
    value = []
    for _ in range(levels - 3):
        value = [value]
    return value


def too_long(fields):
    fields["data"]["more"] = ""
    fields["data"]["more"] = "x" * (65_537 - len(canonical(fields)))
    return fields


bent("json-space", "a space after a colon", body=swap(b'":', b'": '))
bent("json-unsorted", "keys the other way round", body=unsorted)
bent("json-duplicate-key", "a key twice, with one value", body=swap(b'"v":1', b'"v":1,"v":1'))
bent("json-duplicate-key-differs", "a key twice, with two values", body=swap(b'"title":', b'"title":"B","title":'))
bent_call("json-float", "no fractions", body=swap(b'"duration_ms":12', b'"duration_ms":12.5'))
bent_call("json-float-whole", "12.0 is 12 and is not written so", body=swap(b'"duration_ms":12', b'"duration_ms":12.0'))
bent_call("json-exponent", "no exponents", body=swap(b'"duration_ms":12', b'"duration_ms":12e1'))
bent_call("json-minus-zero", "-0 is written 0", body=swap(b'"duration_ms":12', b'"duration_ms":-0'))
bent_call("json-leading-zero", "012 is not JSON", body=swap(b'"duration_ms":12', b'"duration_ms":012'))
bent_call("json-2-to-53", "one more than is exact", body=swap(b'"duration_ms":12', b'"duration_ms":9007199254740992'))
bent_call(
    "json-minus-2-to-53", "one less than is exact", body=swap(b'"duration_ms":12', b'"duration_ms":-9007199254740992')
)
bent_call("json-nan", "NaN is not JSON", body=swap(b'"duration_ms":12', b'"duration_ms":NaN'))
bent("json-upper-case-key", "keys are lower case", fields=put_data(Mood="good"))
bent("json-dash-in-key", "keys have no dashes", fields=put_data(**{"the-mood": "good"}))
bent("json-escaped-ascii", "a letter as an escape", body=swap(b'"A remark"', b'"\\u0041 remark"'))
bent("json-escaped-slash", "a slash needs no escape", body=swap(b" / ", b" \\/ "))
bent("json-upper-case-escape", "escapes are in lower case", body=swap(b"\\u001f", b"\\u001F"))
bent("json-long-escape", "a newline has a short escape", body=swap(b"\\n", b"\\u000a"))
bent("json-lone-surrogate", "half a character", body=swap(b" / ", b" \\ud800 "))
bent("json-surrogate-bytes", "half a character as UTF-8", body=swap(b" / ", b" \xed\xa0\x80 "))
bent("json-raw-nul", "a NUL as it is", body=swap(b"\\u001f", b"\0"))
bent("json-raw-control", "a control character as it is", body=swap(b"\\u001f", b"\x1f"))
bent("json-invalid-utf8", "a byte that is never UTF-8", body=swap(b" / ", b" \xff "))
bent("json-overlong-utf8", "a slash in two bytes", body=swap(b" / ", b" \xc0\xaf "))
bent("json-trailing-space", "a space at the end", body=lambda body: body + b" ")
bent("json-trailing-value", "a second value", body=lambda body: body + b"{}")
bent("json-bom", "a byte order mark", body=lambda body: b"\xef\xbb\xbf" + body)
bent("json-depth-33", "a level too many", fields=put_data(more=deep(33)))
bent(
    "json-depth-10000",
    "enough to overflow a stack",
    fields=put_data(more=0),
    body=swap(b'"more":0', b'"more":' + b"[" * 10_000 + b"]" * 10_000),
)
bent("json-65537-bytes", "a byte too many", fields=too_long)
bent("json-array", "a body that is no object", body=lambda _: b"[]")
bent("json-empty", "no body", body=lambda _: b"")

# Fields.

bent("field-unknown", "version 1 has no such field", fields=put(extra=1))
bent("field-missing", "every field is always there", fields=without("once"))
bent("version-2", "a version nobody knows yet", fields=put(v=2))
bent("title-61-characters", "one too many", fields=put(title="x" * 61))
bent("title-control-character", "an escape sequence in a title", fields=put(title="red \x1b[31m"))
bent("title-null", "a title may be empty and not null", fields=put(title=None), subject=lambda _: b"remark.made: ")
bent("once-129-bytes", "one too many", fields=put(once="x" * 129))
bent("once-130-bytes-in-65-characters", "bytes are counted, not characters", fields=put(once="\u00e9" * 65))
bent("time-without-milliseconds", "three digits, always", fields=put(time=lambda time: time[:19] + "Z"))
bent("time-with-microseconds", "three digits, always", fields=put(time=lambda time: time[:-1] + "456Z"))
bent("time-with-offset", "UTC is Z", fields=put(time=lambda time: time[:-1] + "+00:00"))
bent("time-with-space", "a T between date and time", fields=put(time=lambda time: time.replace("T", " ")))
bent("time-that-never-was", "a thirtieth of February", fields=put(time="2026-02-30T00:00:00.000Z"))
bent("time-backwards", "before the entry before", fields=put(time="2025-02-03T04:05:06.123Z"))
bent("kind-unknown", "a later version's, perhaps", expect="unknown", stock=False, fields=put(kind="weather.noted"))
bent("data-field-unknown", "a later version's, perhaps", expect="unknown", stock=False, fields=put_data(mood="good"))
bent("data-field-missing", "a remark without a text", stock=False, fields=put(data={}))

# Beginning and end of a chain.


@forgery("opened-at-1")
def _(stage):
    """a chain is opened once"""
    writer = stage.writer()
    writer.open()
    return writer.open()


@forgery("not-opened")
def _(stage):
    """a chain whose first entry is something else"""
    return stage.remark(stage.writer())


@forgery("entry-after-closed")
def _(stage):
    """a closed chain has ended"""
    stage.owner.append("chain.closed", {"entries": len(stage.owner.entries) + 1, "reason": "over"})
    return stage.remark()


@forgery("closed-miscounts")
def _(stage):
    """chain.closed counts itself"""
    return stage.owner.append("chain.closed", {"entries": len(stage.owner.entries), "reason": "over"})


# The commit around the entry.


def change_header(words, change):
    """The headers that begin with `words` changed and the others left."""
    return lambda headers: [change(line) if line.startswith(words) else line for line in headers]


def change_both(change):
    return change_header((b"author", b"committer"), change)


def add_header(line):
    return lambda headers: [*headers, line]


def later(line):
    """A second later than it was."""
    start, seconds, zone = line.rsplit(b" ", 2)
    return b" ".join([start, str(int(seconds) + 1).encode(), zone])


FAKE_SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----"

bent("author-differs", "not the name of chain.opened", headers=change_header(b"author", swap(b"Ann", b"Eve")))
bent("committer-differs", "not the name of chain.opened", headers=change_header(b"committer", swap(b"Ann", b"Eve")))
bent("author-and-committer-differ", "alike, and not as opened", headers=change_both(swap(b"ann@", b"eve@")))
bent("author-time-differs", "a second later", headers=change_header(b"author", later))
bent("committer-time-differs", "a second later", headers=change_header(b"committer", later))
bent("both-times-differ", "alike, and not the entry's", headers=change_both(later))
bent("timezone-0100", "the same moment elsewhere", headers=change_both(swap(b"+0000", b"+0100")))
bent("timezone-minus-0000", "the same moment, unsaid where", headers=change_both(swap(b"+0000", b"-0000")))
bent("header-encoding", "makes git show other text", headers=add_header(b"encoding ISO-8859-1"))
bent("header-gpgsig", "a second signature", headers=add_header(b"gpgsig " + FAKE_SIGNATURE))
bent("header-unknown", "room for anything", headers=add_header(b"note anything"))
bent("headers-swapped", "committer before author", headers=lambda lines: [*lines[:-2], lines[-1], lines[-2]])


@forgery("header-mergetag")
def _(stage):
    """a tag carried inside the commit"""
    tag = f"object {stage.repo.head}\n type commit\n tag v1\n tagger Ann <ann@example.com> 0 +0000\n \n v1"
    return stage.remark(headers=add_header(b"mergetag " + tag.encode()))


@forgery("tree-not-empty")
def _(stage):
    """files carried by the commit and signed by nobody"""
    repo = stage.repo
    other_tree = swap(repo.empty_tree.encode(), repo.head_tree.encode())
    return stage.remark(headers=change_header(b"tree", other_tree))


bent("message-no-final-newline", "a byte too few", message=lambda message: message[:-1])
bent("message-extra-newline", "a byte too many", message=lambda message: message + b"\n")
bent("message-text-after-signature", "words that nobody signed", message=lambda message: message + b"Acked-by: Eve\n")
bent("message-text-before-body", "a line that nobody signed", message=swap(b"\n\n", b"\n\nAcked-by: Eve\n\n"))
bent("message-two-signatures", "one after the other", armour=lambda armour: armour + armour)
bent("subject-kind-differs", "git log would show another kind", subject=swap(b"remark.made", b"gate.checked"))
bent("subject-title-differs", "git log would show another title", subject=swap(b"A remark", b"All tests passed"))
bent("subject-trailing-space", "a byte nobody sees", subject=lambda subject: subject + b" ")

# Citations and parents.


@forgery("parent-without-cite")
def _(stage):
    """a parent that the body does not speak of"""
    other = stage.other()
    return stage.remark(parents=lambda parents: [*parents, other.tip.commit])


@forgery("parents-swapped")
def _(stage):
    """two citations, their parents the other way round"""
    cites = [stage.other().tip, stage.other().tip]
    return stage.remark(cites=cites, parents=lambda parents: [parents[0], parents[2], parents[1]])


@forgery("parent-first-is-cited")
def _(stage):
    """`--first-parent` would leave the chain"""
    return stage.remark(cites=[stage.other().tip], parents=lambda parents: parents[::-1])


@forgery("cite-without-parent")
def _(stage):
    """what is cited would not travel along"""
    return stage.remark(cites=[stage.other().tip], parents=lambda parents: parents[:1])


@forgery("cite-with-wrong-digest")
def _(stage):
    """the right place and other bytes"""
    other = stage.other().tip
    return stage.remark(cites=[other._replace(digest=digest_of(b"nothing"))])


@forgery("cite-with-wrong-seq")
def _(stage):
    """the right bytes and another place"""
    other = stage.other().tip
    return stage.remark(cites=[other._replace(seq=other.seq + 1)])


@forgery("cite-of-own-chain")
def _(stage):
    """`prev` says that already"""
    return stage.remark(cites=[stage.owner.entries[1]])


@forgery("cite-repeated")
def _(stage):
    """one entry twice"""
    other = stage.other().tip
    return stage.remark(cites=[other, other])


@forgery("cite-with-unknown-field")
def _(stage):
    """a citation is three values"""
    change = put(cites=lambda cites: [cites[0] | {"why": "because"}])
    return stage.remark(cites=[stage.other().tip], fields=change)


@forgery("cite-at-0")
def _(stage):
    """the first entry cites nothing"""
    writer = stage.writer()
    cited = stage.owner.tip
    return writer.open(fields=put(cites=[link(cited)]), parents=lambda _: [cited.commit])


@forgery("data-citation-not-in-cites", stock=False)
def _(stage):
    """a decision that does not carry along what it decides"""
    made = stage.owner.append("proposal.made", proposal(stage.repo), "Add a file", stage.receipt)
    decision = {"proposal": link(made), "lines": "1-2"}
    return stage.other().append("lines.accepted", decision, "Accepted", stage.receipt)


# What was seen once and is not there now. The entry is the one that is missing.


@forgery("cut-and-cited")
def _(stage):
    """the ref is set back behind an entry that another chain cites"""
    lost = stage.remark()
    stage.remark(stage.other(), [lost])
    stage.owner.cut(stage.opening)
    return lost


@forgery("cut-and-mentioned")
def _(stage):
    """the ref is set back behind a witnessed head"""
    lost = stage.remark()
    stage.other().append("heads.witnessed", {"heads": [link(lost)]})
    stage.owner.cut(stage.opening)
    return lost


@forgery("cut-and-sealed")
def _(stage):
    """the ref is set back behind what a seal holds"""
    lost = stage.remark()
    seal(stage, lost)
    stage.owner.cut(stage.opening)
    return lost


@forgery("deleted-and-cited")
def _(stage):
    """the ref is gone, without a seal"""
    lost = stage.remark()
    stage.remark(stage.other(), [lost])
    stage.repo.delete_ref(stage.owner.ref)
    return lost


@forgery("deleted-and-mentioned")
def _(stage):
    """the ref is gone, and only a witnessed head says that it was there"""
    writer = stage.writer()
    writer.open()
    lost = writer.append("remark.made", remark(), "", stage.receipt)
    stage.other().append("heads.witnessed", {"heads": [link(lost)]})
    stage.repo.delete_ref(writer.ref)
    return lost


@forgery("deleted-and-seal-cut")
def _(stage):
    """the ref is gone under a seal, and then the seal is gone too"""
    lost = stage.remark()
    seals = seal(stage, lost)
    stage.remark(stage.other(), [lost])
    stage.repo.delete_ref(stage.owner.ref)
    seals.cut(seals.entries[0])
    return lost


def seal(stage, tip):
    seals = stage.writer(place="sealed")
    seals.open()
    seals.append("chains.sealed", {}, "Sealed", cites=[tip])
    return seals


# Two entries at one place.


def fork(stage):
    """Two different entries that follow the same one; the ref keeps the first."""
    kept = stage.remark()
    stage.owner.entries.pop()
    second = stage.call()
    stage.owner.cut(kept)
    return second


@forgery("fork-at-a-remote")
def _(stage):
    """a remote has another entry at the place of ours"""
    second = fork(stage)
    stage.repo.set_ref(f"refs/receipts-remotes/origin/chains/{second.chain}", second.commit)
    return second


@forgery("fork-that-is-cited")
def _(stage):
    """somebody cites another entry at the place of ours"""
    second = fork(stage)
    stage.remark(stage.other(), [second])
    return second


@forgery("fork-that-is-mentioned")
def _(stage):
    """somebody saw another entry at the place of ours"""
    second = fork(stage)
    stage.other().append("heads.witnessed", {"heads": [link(second)]})
    return second


# Who may do what, and when. The bytes and the links are all in order, so these
# are not for stock-tools.sh.


@forgery("stranger-closes", stock=False)
def _(stage):
    """only the owner says that the work is over"""
    return stage.other().append("receipt.closed", closed(), "Done", stage.receipt, [stage.owner.tip])


@forgery("stranger-checks", stock=False)
def _(stage):
    """only the owner adds a gate"""
    data = checked(stage.repo)
    return stage.other().append("gate.checked", data, "test passed", stage.receipt, [stage.owner.tip])


@forgery("stranger-calls", stock=False)
def _(stage):
    """only the owner adds a tool call"""
    return stage.other().append("tool.called", called(), "Bash: ls", stage.receipt, [stage.owner.tip])


@forgery("stranger-revises", stock=False)
def _(stage):
    """only the owner revises a proposal"""
    made = stage.owner.append("proposal.made", proposal(stage.repo), "Add a file", stage.receipt)
    revised = proposal(stage.repo, revision=2, replaces=link(made))
    return stage.other().append("proposal.revised", revised, "Add a file", stage.receipt, [made])


@forgery("stranger-opens-again", stock=False)
def _(stage):
    """nobody takes a receipt over by opening it"""
    return stage.other().append("receipt.opened", opened(stage.repo), "Mine", stage.receipt, [stage.opening])


@forgery("opened-twice", stock=False)
def _(stage):
    """not by its owner either"""
    return stage.owner.append("receipt.opened", opened(stage.repo), "Do the work", stage.receipt)


@forgery("gate-after-close", stock=False)
def _(stage):
    """what was not checked in time was not checked"""
    stage.owner.append("receipt.closed", closed(), "Done", stage.receipt)
    return stage.owner.append("gate.checked", checked(stage.repo), "test passed", stage.receipt)


@forgery("closed-twice", stock=False)
def _(stage):
    """the first word stands"""
    stage.owner.append("receipt.closed", closed(), "Done", stage.receipt)
    return stage.owner.append("receipt.closed", closed(status="failed"), "Failed", stage.receipt)


@forgery("bound-to-another-tree", stock=False)
def _(stage):
    """a binding whose tree is not the commit's"""
    repo = stage.repo
    data = bound(repo, tree=repo.oid(repo.empty_tree))
    return stage.owner.append("commit.bound", data, "HEAD", stage.receipt)


@forgery("receipt-never-opened", stock=False)
def _(stage):
    """work on a receipt that is not there"""
    return stage.owner.append("tool.called", called(), "Bash: ls", new_ulid())


@forgery("receipt-null", stock=False)
def _(stage):
    """work on no receipt"""
    return stage.owner.append("tool.called", called(), "Bash: ls")


# --- the command ------------------------------------------------------------


def forge(name, path, key=None, stranger_key=None):
    """Make one forgery; what is returned is what `writer.py forge` prints."""
    lie = FORGERIES[name]
    stage = Stage(path, key, stranger_key)
    entry = lie.make(stage)
    place = {"chain": entry.chain, "seq": entry.seq, "commit": entry.commit}
    return {"name": name, **place, "expect": lie.expect, "public_keys": stage.public_keys()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", type=Key, metavar="FILE", help="private key of the first writer")
    parser.add_argument("--stranger-key", type=Key, metavar="FILE", help="private key of the second")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print the names of the forgeries")
    commands.add_parser("honest", help="write two honest chains").add_argument("repo")
    commands.add_parser("edges", help="write what is rare and right").add_argument("repo")
    one = commands.add_parser("forge", help="make one forgery")
    one.add_argument("name", choices=FORGERIES, metavar="NAME")
    one.add_argument("repo")
    given = parser.parse_args()

    if given.command == "list":
        print("\n".join(FORGERIES))
    elif given.command == "forge":
        print(json.dumps(forge(given.name, given.repo, given.key, given.stranger_key)))
    else:
        scene = Scene(given.repo, given.key, given.stranger_key)
        receipt, writers = {"honest": honest, "edges": edges}[given.command](scene)
        chains = [writer.summary() for writer in writers]
        print(json.dumps({"receipt": receipt, "chains": chains, "public_keys": scene.public_keys()}))


if __name__ == "__main__":
    main()
