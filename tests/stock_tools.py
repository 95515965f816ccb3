"""The part of stock-tools.sh that a shell is bad at. See there for the usage.

It knows the format from docs/format.md alone and shares no line with the
program, so that the two can only agree by both being right. It reports every
problem and goes on after each.
"""

import base64
import binascii
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

NAMESPACE = b"git-receipt"
MAX_BODY = 65_536
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
KEY = re.compile(r"[a-z0-9_]+")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
REPO = re.compile(r"sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{3}Z", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
REF = re.compile(r"refs/(?:receipts|receipts-remotes/[^/]+)/(chains|sealed)/(.+)")

BEGIN = b"-----BEGIN SSH SIGNATURE-----"
END = b"-----END SSH SIGNATURE-----"


class Refused(Exception):
    """Why some bytes are not what the format says."""


# --- JSON -------------------------------------------------------------------


def parse_canonical(body):
    """The object in `body`, which has to be the canonical bytes of it."""
    if len(body) > MAX_BODY:
        raise Refused(f"the body has {len(body)} bytes, more than {MAX_BODY}")

    def no(what):
        def refuse(text):
            raise Refused(f"{what} {text} in the body")

        return refuse

    def pairs(items):
        if len(dict(items)) != len(items):
            raise Refused("a key stands twice in the body")
        return dict(items)

    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=pairs,
            parse_float=no("the number"),
            parse_constant=no("the number"),
        )
        limits(value, 1)
        again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if again.encode("utf-8") != body:
            raise Refused("the body is not in canonical form")
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is not canonical JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refused("the body is not an object")
    return value


def limits(value, depth):
    """What the format forbids beyond RFC 8785. The body itself is level 1."""
    if isinstance(value, (dict, list)) and depth > MAX_DEPTH:
        raise Refused(f"the body is more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not KEY.fullmatch(key):
                raise Refused(f"the key {key!a} in the body")
            limits(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            limits(inner, depth + 1)
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise Refused(f"the number {value} in the body")


def text(pattern):
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def whole(value):
    return type(value) is int and value >= 0  # a bool is an int to Python


def or_null(check):
    return lambda value: value is None or check(value)


def seconds(time):
    """Whole seconds of an entry's time, or None where it is not such a time."""
    match = TIME.fullmatch(time) if isinstance(time, str) else None
    try:
        return match and int(datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return None


def link(value):
    """A citation or a mention."""
    return (
        isinstance(value, dict)
        and set(value) == {"chain", "seq", "digest"}
        and text(ULID)(value["chain"])
        and whole(value["seq"])
        and text(DIGEST)(value["digest"])
    )


def key_of(citation):
    return citation["chain"], citation["seq"], citation["digest"]


FIELDS = {
    "v": lambda value: type(value) is int and value == 1,
    "repo": text(REPO),
    "chain": text(ULID),
    "seq": whole,
    "prev": or_null(text(DIGEST)),
    "cites": lambda value: isinstance(value, list) and all(map(link, value)),
    "time": lambda value: seconds(value) is not None,
    "signer": text(FINGERPRINT),
    "receipt": or_null(text(ULID)),
    "once": or_null(lambda value: isinstance(value, str) and len(value.encode()) <= 128),
    "title": lambda value: isinstance(value, str) and len(value) <= 60 and not CONTROL.search(value),
    "kind": lambda value: isinstance(value, str) and value != "",
    "data": lambda value: isinstance(value, dict),
}


# --- signatures -------------------------------------------------------------


def strings(blob, count):
    """`count` SSH strings from the front of `blob`, and what is left."""
    found = []
    for _ in range(count):
        (size,) = struct.unpack_from(">I", blob)
        if len(blob) < 4 + size:
            raise Refused("the signature is cut short")
        found.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return found, blob


def check_armour(armour):
    """The public key inside, after all that ssh-keygen is lax about."""
    lines = armour.split(b"\n")
    try:
        blob = base64.b64decode(b"".join(lines[1:-2]), validate=True)
    except binascii.Error:
        raise Refused("the signature is not base64") from None
    encoded = base64.b64encode(blob)
    rows = [encoded[at : at + 70] for at in range(0, len(encoded), 70)]
    if b"\n".join([BEGIN, *rows, END, b""]) != armour:
        raise Refused("the armour is not as it would be written again")
    try:
        if blob[:6] != b"SSHSIG":
            raise Refused("the signature is not an SSHSIG")
        (version,) = struct.unpack_from(">I", blob, 6)
        (key, namespace, reserved, algorithm, signature), rest = strings(blob[10:], 5)
        if version != 1:
            raise Refused(f"the signature has version {version}")
        if namespace != NAMESPACE:
            raise Refused(f"the signature is for the namespace {namespace!a}")
        if reserved:
            raise Refused("the signature's reserved field is not empty")
        if algorithm != b"sha512":
            raise Refused(f"the signature's hash is {algorithm!a}")
        if rest:
            raise Refused("bytes follow the signature inside its armour")
        (kind, raw), flags = strings(signature, 2)
        if kind not in (b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"):
            raise Refused(f"the signature is of type {kind!a}")
        if len(raw) != 64 or len(flags) != (5 if kind.startswith(b"sk-") else 0):
            raise Refused("the signature has another length")
        if flags and not flags[0] & 1:
            raise Refused("the signature was made without user presence")
        # OpenSSH takes S and S + L alike, so anyone could write a second commit
        # for the same entry.
        if int.from_bytes(raw[32:], "little") >= ED25519_ORDER:
            raise Refused("the signature's S is not reduced")
    except struct.error:
        raise Refused("the signature is cut short") from None
    return key


def parse_public_key(line):
    """The blob in an OpenSSH public key line that has no comment."""
    if not isinstance(line, str) or line.count(" ") != 1:
        raise Refused("`public_key` is not a key line without a comment")
    kind, encoded = line.split(" ")
    try:
        blob = base64.b64decode(encoded, validate=True)
        (named, *_), _ = strings(blob, 1)
    except (ValueError, struct.error):
        raise Refused("`public_key` is not a key") from None
    if named.decode("ascii", "replace") != kind or base64.b64encode(blob).decode() != encoded:
        raise Refused("`public_key` is not a key")
    if kind not in ("ssh-ed25519", "sk-ssh-ed25519@openssh.com"):
        raise Refused(f"`public_key` has the type {kind!a}")
    return blob


def fingerprint(blob):
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


# --- the repository ---------------------------------------------------------


class Repository:
    def __init__(self, path, scratch):
        # Replacements and grafts are somebody's local wish, not what was signed.
        # A graft file that is not there is one that git says nothing about.
        env = dict(os.environ, GIT_NO_REPLACE_OBJECTS="1", GIT_GRAFT_FILE=os.path.join(scratch, "no-grafts"))
        self.command = ["git", "-C", path]
        self.env = env
        self.hash = hashlib.new(self.git("rev-parse", "--show-object-format").strip())
        self.algorithm = self.hash.name
        self.batch = subprocess.Popen(
            [*self.command, "cat-file", "--batch"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.empty_tree = self.id_of("tree", b"")

    def git(self, *arguments):
        done = subprocess.run([*self.command, *arguments], env=self.env, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode("utf-8", "surrogateescape")

    def id_of(self, kind, content):
        return hashlib.new(self.algorithm, b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest()

    def commit(self, name):
        """The bytes of a commit, or None where there is no such commit."""
        # A forged parent can say anything; only a whole id is asked for, and no ref.
        if not re.fullmatch(r"[0-9a-f]+", name) or len(name) != 2 * self.hash.digest_size:
            return None
        self.batch.stdin.write(name.encode() + b"\n")
        self.batch.stdin.flush()
        answer = self.batch.stdout.readline().split()
        if len(answer) != 3:
            return None
        content = self.batch.stdout.read(int(answer[2]) + 1)[:-1]
        return content if answer[1] == b"commit" else None

    def refs(self):
        places = ["refs/receipts", "refs/receipts-remotes"]
        listing = self.git("for-each-ref", "--format=%(objectname) %(refname)", *places)
        for line in listing.splitlines():
            tip, name = line.split(" ", 1)
            match = REF.fullmatch(name)
            if match:
                yield name, match[1], match[2], tip

    def roots(self):
        """The ids that entries may call their repository; None where history is cut."""
        if self.git("rev-parse", "--is-shallow-repository").strip() == "true":
            return None
        # An unborn HEAD is not an error here, so it is not named.
        found = self.git("rev-list", "--max-parents=0", "--branches", "--remotes").split()
        return {f"{self.algorithm}:{root}" for root in found} or None


class Entry:
    """One commit, and what is wrong with it looked at alone."""

    def __init__(self, repository, commit, raw):
        self.commit = commit
        self.problems = []
        self.fields = None
        self.armour = None
        self.signing_key = None
        if repository.id_of("commit", raw) != commit:
            self.problems.append("the bytes are not those that the commit's id names")

        head, _, self.message = raw.partition(b"\n\n")
        self.headers = head.split(b"\n")
        self.parents = [line[7:].decode("ascii", "replace") for line in self.headers if line.startswith(b"parent ")]
        self.read_message()
        if self.fields is not None:
            self.read_fields()
        self.tree_line = b"tree " + repository.empty_tree.encode()

    def attempt(self, check, *arguments):
        try:
            return check(*arguments)
        except Refused as refused:
            self.problems.append(str(refused))
            return None

    def read_message(self):
        lines = self.message.split(b"\n")
        self.body = lines[2] if len(lines) > 2 else b""
        self.digest = "sha256:" + hashlib.sha256(self.body).hexdigest()
        self.subject = lines[0]
        self.fields = self.attempt(parse_canonical, self.body)
        if len(lines) < 8 or lines[1] or lines[3] or lines[4] != BEGIN or lines[-2] != END or lines[-1]:
            self.problems.append("the message is not subject, body, signature and a newline")
        else:
            self.armour = b"\n".join(lines[4:])
            self.signing_key = self.attempt(check_armour, self.armour)

    def read_fields(self):
        fields = self.fields
        for name in sorted(FIELDS.keys() - fields.keys()):
            self.problems.append(f"the field `{name}` is missing")
        for name in sorted(fields.keys() - FIELDS.keys()):
            self.problems.append(f"the field `{name}` is not of this version")
        for name, check in FIELDS.items():
            if name in fields and not check(fields[name]):
                self.problems.append(f"the field `{name}` is {fields[name]!a:.80}")
                del fields[name]  # nothing below has to look at its type again
        if "kind" in fields and "title" in fields:
            if self.subject != f"{fields['kind']}: {fields['title']}".encode():
                self.problems.append("the subject is not that of the body")
        cites = [key_of(citation) for citation in self.get("cites", ())]
        if len(set(cites)) != len(cites):
            self.problems.append("a citation stands twice")
        if any(chain == self.get("chain") for chain, _, _ in cites):
            self.problems.append("it cites its own chain")

    def get(self, name, otherwise=None):
        return otherwise if self.fields is None else self.fields.get(name, otherwise)

    def data(self, name):
        return self.get("data", {}).get(name)

    def name(self):
        return self.get("chain"), self.get("seq"), self.digest

    def mentions(self):
        heads = self.data("heads") if self.get("kind") == "heads.witnessed" else None
        continues = self.data("continues") if self.get("kind") == "chain.opened" else None
        return [head for head in [*(heads if isinstance(heads, list) else []), continues] if link(head)]


# --- the checks -------------------------------------------------------------


class Checker:
    def __init__(self, path, scratch, signers, principal):
        self.repository = Repository(path, scratch)
        self.roots = self.repository.roots()
        self.scratch, self.signers, self.principal = scratch, signers, principal
        self.read_entries = {}
        self.checked = {}  # commit: entry, in the order of looking
        self.keys = {}  # commit of a chain.opened: key
        self.to_verify = []  # (entry, allowed signers, principal)
        self.reached = defaultdict(set)  # chain: the entries that its own refs reach
        self.sealed = defaultdict(set)  # the same of chains that only seals hold
        self.loose = []  # what a ref's own name and place get wrong

    def read(self, commit):
        if commit not in self.read_entries:
            raw = self.repository.commit(commit)
            self.read_entries[commit] = raw and Entry(self.repository, commit, raw)
        return self.read_entries[commit]

    def before(self, entry):
        """The entry that `entry` follows, as well as a broken one lets us tell."""
        parents = [parent for parent in map(self.read, entry.parents) if parent]
        for parent in parents:
            if entry.get("prev") == parent.digest:
                return parent
        first = parents[0] if parents else None
        if first and first.fields is not None and (entry.fields is None or first.get("chain") == entry.get("chain")):
            return first
        return None

    def walk(self, tip):
        """The chain that ends in `tip`, oldest entry first."""
        path = []
        entry = self.read(tip)
        while entry:
            path.append(entry)
            entry = self.before(entry)
        return path[::-1]

    def check_chain(self, path):
        opened = path[0]
        if opened.commit not in self.keys:
            self.keys[opened.commit] = opened.attempt(parse_public_key, opened.data("public_key"))
            if opened.get("kind") != "chain.opened":
                opened.problems.append("the chain does not begin with chain.opened")
        key = self.keys[opened.commit]
        allowed, principal = self.allowed(opened, key)
        for at, entry in enumerate(path):
            if entry.commit in self.checked:
                continue
            self.checked[entry.commit] = entry
            earlier = path[at - 1] if at else None
            entry.problems += self.links(entry, earlier)
            entry.problems += self.identity(entry, opened, key)
            entry.problems += self.headers(entry, opened)
            if entry.armour:
                self.to_verify.append((entry, allowed, principal))

    def allowed(self, opened, key):
        """The file of keys that this chain is held to, and as whom."""
        if self.signers:
            return self.signers, self.principal
        path = os.path.join(self.scratch, f"signers-{opened.commit}")
        with open(path, "w", encoding="ascii") as file:
            if key:
                file.write(f'writer namespaces="git-receipt" {opened.data("public_key")}\n')
        return path, "writer"

    def links(self, entry, earlier):
        if entry.fields is None:
            return  # refused as a whole, and it says nothing to compare with
        seq, cites = entry.get("seq"), entry.get("cites", ())
        expected = earlier.get("seq", seq - 1 if seq else 0) + 1 if earlier else 0
        if seq is not None and seq != expected:
            yield f"seq is {seq} where {expected} belongs"
        if entry.get("prev") != (earlier.digest if earlier else None):
            yield "`prev` is not the digest of the entry before"
        if earlier and entry.get("chain") != earlier.get("chain"):
            yield "it names another chain than the entry before"
        if earlier and (entry.get("time") or "~") < (earlier.get("time") or ""):
            yield "its time is before that of the entry before"
        if earlier and earlier.get("kind") == "chain.closed":
            yield "it follows chain.closed"
        if earlier and entry.get("kind") == "chain.opened":
            yield "chain.opened stands within the chain"
        if entry.get("kind") == "chain.closed" and entry.data("entries") != expected + 1:
            yield f"chain.closed counts {entry.data('entries')!a} entries, not {expected + 1}"
        if not earlier and cites:
            yield "entry 0 cites"

        parents = entry.parents
        if earlier and parents[:1] != [earlier.commit]:
            yield "the first parent is not the entry before"
        parents = parents[1:] if earlier else parents
        if len(parents) != len(cites):
            yield f"{len(cites)} citations and {len(parents)} parents for them"
        for citation, commit in zip(cites, parents):
            cited = self.read(commit)
            if not cited or cited.name() != key_of(citation):
                yield f"the parent for {citation['chain']}@{citation['seq']} is not that entry"

    def identity(self, entry, opened, key):
        if entry.fields is None:
            return
        if self.roots is not None and entry.get("repo") not in self.roots:
            yield "it belongs to another repository"
        if key and entry.get("signer") != fingerprint(key):
            yield "`signer` is not the key that opened the chain"
        if key and entry.signing_key and entry.signing_key != key:
            yield "the signature is of another key than the one that opened the chain"

    def headers(self, entry, opened):
        def ident(name):
            value = opened.data(name)
            return re.sub(r"[<>\x00-\x1f\x7f-\x9f]", "", value if isinstance(value, str) else "").strip(" ")

        when = seconds(entry.get("time"))
        if when is None:
            return  # said already, and nothing to compare with
        person = f"{ident('name')} <{ident('email')}> {when} +0000".encode()
        expected = [
            entry.tree_line,
            *(b"parent " + parent.encode() for parent in entry.parents),
            b"author " + person,
            b"committer " + person,
        ]
        if entry.headers == expected:
            return
        words = [[line.split(b" ")[0] for line in headers] for headers in (entry.headers, expected)]
        if words[0] != words[1]:
            yield "the commit has other headers than tree, parents, author and committer"
        for line, right in zip(entry.headers, expected):
            if words[0] == words[1] and line != right:
                yield f"the header {line!a} should be {right!a}"

    def verify_signatures(self):
        def verify(job):
            entry, allowed, principal = job
            signature = os.path.join(self.scratch, f"{entry.commit}.sig")
            with open(signature, "wb") as file:
                file.write(entry.armour)
            if not principal:
                command = ["ssh-keygen", "-Y", "find-principals", "-f", allowed, "-s", signature]
                found = subprocess.run(command, capture_output=True, check=False).stdout.decode().split("\n")
                principal = found[0]
            command = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", principal]
            command += ["-n", NAMESPACE.decode(), "-s", signature]
            done = subprocess.run(command, input=entry.body, capture_output=True, check=False)
            os.unlink(signature)
            if done.returncode:
                said = (done.stdout + done.stderr).decode("utf-8", "replace").strip().split("\n")[-1]
                entry.problems.append(f"ssh-keygen does not verify the signature: {said!a}")
            return entry, allowed, principal

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(verify, self.to_verify))

    def run(self):
        tips = []
        for name, place, chain, tip in self.repository.refs():
            path = self.walk(tip)
            if not path:
                self.loose.append((chain, None, tip, f"{name} names no commit that is here"))
                continue
            tips.append(tip)
            if path[-1].fields is not None and path[-1].get("chain") != chain:
                self.loose.append((chain, path[-1].get("seq"), tip, f"{name} holds an entry of another chain"))
            self.reached[chain].update(entry.name() for entry in path)
            self.check_chain(path)
        if not tips and not self.loose:
            print("no receipts here")
            return 1

        # What is only cited is checked too: a sealed chain has no ref of its own.
        for entry in self.growing():
            seals = entry.get("kind") == "chains.sealed"
            for citation, commit in zip(entry.get("cites", ()), entry.parents[1:]):
                if commit in self.checked and not seals:
                    continue
                path = self.walk(commit)
                if path and path[-1].name() == key_of(citation):
                    self.check_chain(path)
                    if seals:
                        self.sealed[citation["chain"]].update(one.name() for one in path)

        self.check_anchors()
        self.check_forks()
        verified = self.verify_signatures()
        self.leave_tips(tips, verified)
        return self.report()

    def growing(self):
        """Every checked entry, those that are found on the way included."""
        at = 0
        while at < len(self.checked):
            batch = list(self.checked.values())[at:]
            at += len(batch)
            yield from batch

    def check_anchors(self):
        """What somebody saw has to be there still: no chain is cut or gone.

        A seal stands for a ref that went, and never for one that was set back.
        Whose seal it is takes a policy to judge, which this does not read.
        """
        for entry in self.checked.values():
            named = [("cites", citation) for citation in entry.get("cites", ())]
            named += [("mentions", mention) for mention in entry.mentions()]
            for verb, seen in named:
                here = self.reached.get(seen["chain"]) or self.sealed.get(seen["chain"], ())
                if key_of(seen) not in here:
                    entry.problems.append(f"it {verb} {seen['chain']}@{seen['seq']}, which no ref of that chain holds")

    def check_forks(self):
        places = defaultdict(list)
        for entry in self.checked.values():
            places[entry.get("chain"), entry.get("seq")].append(entry)
        for (chain, seq), entries in places.items():
            if chain is not None and seq is not None and len(entries) > 1:
                for entry in entries:
                    entry.problems.append(f"{len(entries)} different entries stand at {chain}@{seq}")

    def leave_tips(self, tips, verified):
        jobs = {entry.commit: (entry, allowed, who) for entry, allowed, who in verified}
        with open(os.path.join(self.scratch, "tips"), "w", encoding="utf-8") as file:
            for tip in dict.fromkeys(tips):
                entry, allowed, who = jobs.get(tip, (None, None, None))
                if entry and not entry.problems:
                    file.write(f"{tip}\t{entry.digest}\t{os.path.abspath(allowed)}\t{who}\n")

    def report(self):
        problems = self.loose + [
            (entry.get("chain"), entry.get("seq"), entry.commit, problem)
            for entry in self.checked.values()
            for problem in entry.problems
        ]
        for chain, seq, commit, problem in problems:
            # A ref's name is a stranger's word: nothing of it reaches a terminal raw.
            chain = "?" if chain is None else ascii(chain).strip("'")
            print(f"{chain}@{'?' if seq is None else seq} commit {commit}: {problem}")
        chains = {entry.get("chain") for entry in self.checked.values()} - {None}
        counted = f"{len(self.checked)} entries, {len(chains)} chains"
        if problems:
            print(f"{counted}: {len(problems)} problems")
            return 1
        # Good news waits until the recipe has been tried as well.
        with open(os.path.join(self.scratch, "summary"), "w", encoding="ascii") as file:
            file.write(f"{counted}: all verify\n")
        return 0


def main():
    path, scratch, signers, principal = sys.argv[1:]
    try:
        return Checker(path, scratch, signers, principal).run()
    except subprocess.CalledProcessError as error:
        print(f"`{' '.join(error.cmd)}` failed with {error.returncode}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
