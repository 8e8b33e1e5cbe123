"""The files of an environment where they lie, measured before they are read.

Git keeps equal folders once: fifteen small trees that each name the next one ten times stand for
more files than any disk holds. So the size of what a tree stands for is added up from the sizes of
what it names, each object looked at once, and nothing is written out or gone through before that
is known to be within limits. Specification: section 4.4.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gitprov.errors import MalformedRecord
from gitprov.store.objects import MODE_FILE, MODE_TREE, ObjectReader, TreeEntry, decode_tree

MAX_NAMES = 10_000
MAX_BYTES = 64 << 20
MAX_DEPTH = 16

_NO_NAMES = (b"", b".", b"..", b".git")


class _Extent(NamedTuple):
    """What a folder stands for, everything below it included."""

    names: int = 0
    size: int = 0
    height: int = 0


class EnvironmentTrees:
    """Environments of one object store; what they share is measured once."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._extents: dict[str, _Extent] = {}
        self._sizes: dict[str, int] = {}

    def check(self, tree: str) -> None:
        """Raise MalformedRecord for an environment that is too large or would leave its folder.

        Raises ObjectMissing where a part of it is not in this clone.
        """
        self._measure(tree, 0)

    def files(self, tree: str) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of each file of an environment, checked first."""
        self.check(tree)
        yield from self._files(tree, "")

    def _files(self, tree: str, prefix: str) -> Iterator[tuple[str, bytes]]:
        for entry in self._entries(tree):
            path = prefix + entry.name.decode("utf-8", "surrogateescape")
            if entry.mode == MODE_TREE:
                yield from self._files(entry.oid, f"{path}/")
            else:
                yield path, self._reader.read(entry.oid).data

    def _measure(self, tree: str, depth: int) -> _Extent:
        # Known from elsewhere is not enough: here, the same folder may lie deeper.
        extent = self._extents.get(tree)
        if depth + (extent.height if extent else 0) > MAX_DEPTH:
            raise MalformedRecord("an environment has folders in folders without end")
        if extent is not None:
            return extent
        extent = _Extent()
        for entry in self._entries(tree):
            if entry.mode == MODE_TREE:
                below = self._measure(entry.oid, depth + 1)
            else:
                below = _Extent(size=self._size(entry.oid), height=-1)
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

    def _size(self, blob: str) -> int:
        if blob not in self._sizes:
            found = self._reader.read(blob)
            if found.type != "blob":
                raise MalformedRecord(f"an environment holds a {found.type} where a file belongs")
            self._sizes[blob] = len(found.data)
        return self._sizes[blob]
