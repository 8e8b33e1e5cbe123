"""The files of an environment where they lie, measured before they are read.

Git keeps equal folders once: fifteen small trees that each name the next one ten times stand for
more files than any disk holds. So the size of what a tree stands for is added up from the sizes of
what it names, each object looked at once, and nothing is written out or gone through before that
is known to be within limits. Specification: section 4.4.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from gitprov.codec.environments import digest_of
from gitprov.errors import MalformedRecord
from gitprov.store.objects import MODE_FILE, MODE_TREE, ObjectReader, TreeEntry, decode_tree

MAX_NAMES = 10_000
MAX_BYTES = 64 << 20
MAX_DEPTH = 16
# How often environments may say the same name, on average, where many are read.
MAX_REPETITION = 100

_NO_NAMES = (b"", b".", b"..", b".git")


class _Extent(NamedTuple):
    """What a folder stands for, everything below it included."""

    names: int = 0
    size: int = 0
    height: int = 0


class _File(NamedTuple):
    size: int
    digest: bytes


class EnvironmentTrees:
    """Environments of one object store; what they share is measured once."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._extents: dict[str, _Extent] = {}
        self._known_files: dict[str, _File] = {}
        self._digests: dict[str, bytes] = {}
        self._names = 0
        self._names_digested = 0

    def check(self, tree: str) -> None:
        """Raise MalformedRecord for an environment that is too large or would leave its folder.

        Raises ObjectMissing where a part of it is not in this clone.
        """
        self._measure(tree, 0)

    def files(self, tree: str) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of each file of an environment, checked first."""
        self.check(tree)
        for path, blob in self._paths(tree, "", {}):
            yield path, self._reader.read(blob).data

    def digest(self, tree: str) -> bytes:
        """Return the digest of an environment, checked first; raise MalformedRecord as `check`."""
        if tree not in self._digests:
            self.check(tree)
            self._names_digested += self._extents[tree].names
            paths = self._paths(tree, "", {})
            digests = {path: self._known_files[blob].digest for path, blob in paths}
            self._digests[tree] = digest_of(digests)
        return self._digests[tree]

    def check_repetition(self) -> None:
        """Raise MalformedRecord where environments stand for far more names than they have.

        Each has its digest of its own, whatever folders they share, so a few objects could keep
        us busy for days.
        """
        if self._names_digested > MAX_NAMES + MAX_REPETITION * self._names:
            raise MalformedRecord("environments repeat the same folders without end")

    def _paths(
        self, tree: str, prefix: str, known: dict[str, list[TreeEntry]]
    ) -> Iterator[tuple[str, str]]:
        """Yield path and blob of each file below a folder; `known` are folders that were read."""
        if tree not in known:
            known[tree] = self._entries(tree)
        for entry in known[tree]:
            path = prefix + entry.name.decode("utf-8", "surrogateescape")
            if entry.mode == MODE_TREE:
                yield from self._paths(entry.oid, f"{path}/", known)
            else:
                yield path, entry.oid

    def _measure(self, tree: str, depth: int) -> _Extent:
        # Known from elsewhere is not enough: here, the same folder may lie deeper.
        extent = self._extents.get(tree)
        if depth + (extent.height if extent else 0) > MAX_DEPTH:
            raise MalformedRecord("an environment has folders in folders without end")
        if extent is not None:
            return extent
        extent = _Extent()
        entries = self._entries(tree)
        self._names += len(entries)
        for entry in entries:
            if entry.mode == MODE_TREE:
                below = self._measure(entry.oid, depth + 1)
            else:
                below = _Extent(size=self._file(entry.oid).size, height=-1)
            extent = _Extent(
                extent.names + 1 + below.names,
                extent.size + below.size,
                max(extent.height, below.height + 1),
            )
            if extent.names > MAX_NAMES:
                raise MalformedRecord(f"an environment holds more than {MAX_NAMES} names")
            if extent.size > MAX_BYTES:
                raise MalformedRecord(f"an environment holds more than {MAX_BYTES >> 20} MiB")
        self._extents[tree] = extent
        return extent

    def _entries(self, tree: str) -> list[TreeEntry]:
        found = self._reader.read(tree)
        if found.type != "tree":
            raise MalformedRecord(f"an environment holds a {found.type} where a folder belongs")
        entries = decode_tree(found.data)
        for entry in entries:
            if b"/" in entry.name or entry.name.lower() in _NO_NAMES:
                raise MalformedRecord(f"an environment holds the name {entry.name!r}")
            if entry.mode not in (MODE_TREE, MODE_FILE):
                raise MalformedRecord(f"{entry.name!r} in an environment is not a plain file")
        if len({entry.name for entry in entries}) < len(entries):
            raise MalformedRecord("an environment holds the same name twice")
        return entries

    def _file(self, blob: str) -> _File:
        if blob not in self._known_files:
            found = self._reader.read(blob)
            if found.type != "blob":
                raise MalformedRecord(f"an environment holds a {found.type} where a file belongs")
            self._known_files[blob] = _File(len(found.data), hashlib.sha256(found.data).digest())
        return self._known_files[blob]
