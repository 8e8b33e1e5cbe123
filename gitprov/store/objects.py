"""Git objects as values: trees, commits, and where they are read from.

Encoding and decoding follow git's object format byte for byte and touch no repository. Reading is
behind `ObjectReader`, which has two implementations with one contract: the git program
(`GitObjects`, the quick one) and libgit2 (`gitprov.store.libgit2`, the second opinion that
verification uses).
"""

import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from gitprov.errors import GitFailed, MalformedRecord, ObjectMissing
from gitprov.store.git import Git

MODE_TREE = 0o40000
MODE_FILE = 0o100644
MAX_OBJECT_BYTES = 1 << 30

_ID_BYTES = 20
_ID = re.compile(rb"[0-9a-f]{40}\Z")
# Names asked for before any answer is read: they must fit into the smallest pipe (4 KiB), or
# both sides could wait for each other.
_BATCH = 90
# So much of them is held at once; what comes on top is asked for again, one by one.
_HELD_BYTES = 32 << 20


class Object(NamedTuple):
    """A git object: blob, tree, commit or tag, and its content."""

    type: str
    data: bytes


class TreeEntry(NamedTuple):
    """One name in a tree."""

    mode: int
    name: bytes
    oid: str


class Commit(NamedTuple):
    """The parts of a commit that gitprov reads, from its raw bytes."""

    tree: str
    parents: tuple[str, ...]
    author: bytes
    committer: bytes
    message: bytes


class ObjectReader(Protocol):
    """Read access to an object store."""

    def read(self, oid: str) -> Object:
        """Return one object; raise ObjectMissing."""
        found = next(iter(self.read_many([oid])))
        if found is None:
            raise ObjectMissing(f"object {oid} is not in this clone")
        return found

    def read_many(self, oids: Sequence[str]) -> Iterator[Object | None]:
        """Yield the objects in the order asked for, None for each that is missing."""

    def close(self) -> None:
        """Let go of processes and files; the reader is not used again."""


def present(git: Git, oids: Iterable[str]) -> set[str]:
    """Return those of some objects that are in the repository."""
    asked = "".join(f"{oid}\n" for oid in oids).encode()
    if not asked:
        return set()
    answers = git.run("cat-file", "--batch-check", stdin=asked).decode().splitlines()
    return {answer.split()[0] for answer in answers if not answer.endswith(" missing")}


def object_id(kind: str, data: bytes) -> str:
    """Return the SHA-1 name of an object."""
    header = f"{kind} {len(data)}\0".encode()
    return hashlib.sha1(header + data, usedforsecurity=False).hexdigest()


def encode_tree(entries: Iterable[TreeEntry]) -> bytes:
    """Return a tree's bytes: entries in git's order, where a folder sorts as if `/` ended it."""

    def order(entry: TreeEntry) -> bytes:
        return entry.name + b"/" if entry.mode == MODE_TREE else entry.name

    return b"".join(
        b"%o %s\0%s" % (entry.mode, entry.name, bytes.fromhex(entry.oid))
        for entry in sorted(entries, key=order)
    )


def decode_tree(data: bytes) -> list[TreeEntry]:
    """Return the entries of a tree; raise MalformedRecord where the bytes are none."""
    entries, offset = [], 0
    while offset < len(data):
        space = data.find(b" ", offset)
        end = data.find(b"\0", space)
        if space < 0 or end < 0 or end + 1 + _ID_BYTES > len(data):
            raise MalformedRecord("a tree object is cut short")
        try:
            mode = int(data[offset:space], 8)
        except ValueError as error:
            raise MalformedRecord("a tree object has a mode that is no number") from error
        oid = data[end + 1 : end + 1 + _ID_BYTES].hex()
        entries.append(TreeEntry(mode, data[space + 1 : end], oid))
        offset = end + 1 + _ID_BYTES
    return entries


def encode_commit(commit: Commit) -> bytes:
    """Return a commit's bytes. Author and committer are whole lines: name, e-mail, time, zone."""
    lines = [b"tree " + commit.tree.encode()]
    lines += [b"parent " + parent.encode() for parent in commit.parents]
    lines += [b"author " + commit.author, b"committer " + commit.committer]
    for line in lines:
        if b"\n" in line or b"\0" in line:
            raise MalformedRecord("a commit header holds control characters")
    if b"\0" in commit.message:
        raise MalformedRecord("a commit message holds a NUL")
    return b"\n".join([*lines, b"", commit.message])


def decode_commit(data: bytes) -> Commit:
    """Return the parts of a commit; raise MalformedRecord where the bytes are none."""
    header, separator, message = data.partition(b"\n\n")
    tree = b""
    parents: list[bytes] = []
    people = {b"author": b"", b"committer": b""}
    for line in header.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"tree" and not tree:
            tree = value
        elif key == b"parent":
            parents.append(value)
        elif key in people:
            people[key] = value
    if not tree or not separator:
        raise MalformedRecord("a commit object has no tree or no message")
    # Whoever reads on asks git for these: a name that git would resolve must not get there.
    if not all(_ID.match(oid) for oid in (tree, *parents)):
        raise MalformedRecord("a commit object names something that is not an object id")
    return Commit(
        tree.decode(),
        tuple(parent.decode() for parent in parents),
        people[b"author"],
        people[b"committer"],
        message,
    )


class GitObjects(ObjectReader):
    """Objects through one `git cat-file --batch` process, started when first asked.

    Git does not compare a packed object with its name: use the libgit2 reader where that matters.
    """

    def __init__(
        self, git: Git, env: dict[str, str] | None = None, limit: int = MAX_OBJECT_BYTES
    ) -> None:
        self._git = git
        self._env = env
        self._limit = limit
        self._process: subprocess.Popen[bytes] | None = None

    def read_many(self, oids: Sequence[str]) -> Iterator[Object | None]:
        """Yield the objects in the order asked for, None for each that is missing."""
        for start in range(0, len(oids), _BATCH):
            batch = oids[start : start + _BATCH]
            answers = self._ask(batch)
            yield from answers
            for oid in batch[len(answers) :]:
                yield from self._ask([oid])

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            # Not politely: it may be about to write an answer that nobody wants to hold.
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, oids: Sequence[str]) -> list[Object | None]:
        """Return the first objects, as many as may be held, and one at least.

        All answers are taken before any is handed out: a caller that stops early must not leave
        answers in the pipe for the next question.
        """
        conversation = self._open()
        assert conversation.stdin is not None  # noqa: S101 -- opened with pipes
        conversation.stdin.write("".join(f"{oid}\n" for oid in oids).encode())
        conversation.stdin.flush()
        answers: list[Object | None] = []
        held = 0
        for _ in oids:
            answer = self._answer(conversation)
            if held < _HELD_BYTES:
                answers.append(answer)
            held += len(answer.data) if answer else 0
        return answers

    def _open(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = self._git.open("cat-file", "--batch", env=self._env)
        return self._process

    def _answer(self, conversation: subprocess.Popen[bytes]) -> Object | None:
        assert conversation.stdout is not None  # noqa: S101 -- opened with pipes
        words = conversation.stdout.readline().split()
        if not words:
            self.close()
            raise GitFailed(
                "git cat-file stopped: an object is damaged (see: git fsck) or, in a partial "
                "clone, could not be fetched"
            )
        if len(words) != 3:  # noqa: PLR2004 -- "<name> missing" or "<name> ambiguous"
            return None
        kind, size = words[1].decode(), int(words[2])
        if size > min(self._limit, MAX_OBJECT_BYTES):
            self.close()
            raise MalformedRecord(f"object {words[0].decode()} is {size} bytes, over the limit")
        data = conversation.stdout.read(size)
        if len(data) < size:
            self.close()
            raise GitFailed(f"object {words[0].decode()} is damaged; see: git fsck")
        conversation.stdout.read(1)
        return Object(kind, data)
