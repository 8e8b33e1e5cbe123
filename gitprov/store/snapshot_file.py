"""The objects of a snapshot in one file, from the capture until the ledger has them.

One sync makes all of them durable, however many files have changed. The file is one zlib stream of
objects as git hashes them: type and size, NUL, content (specification, section 9.1).
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gitprov.errors import StoreDamaged
from gitprov.store.durable import write_durably
from gitprov.store.objects import Object, ObjectReader, object_id

# It is read once, and soon: time counts, not space.
_LEVEL = 1


def write_snapshot(path: Path, objects: Iterable[Object], *, fsync: bool) -> None:
    """Write objects to a file, whole or not at all."""
    packer = zlib.compressobj(_LEVEL)
    parts = []
    for item in objects:
        parts.append(packer.compress(f"{item.type} {len(item.data)}\0".encode()))
        parts.append(packer.compress(item.data))
    write_durably(path, b"".join([*parts, packer.flush()]), fsync=fsync)


def read_snapshot(path: Path) -> Iterator[Object]:
    """Yield the objects in a file, none where there is no such file; raise StoreDamaged."""
    try:
        content = zlib.decompress(path.read_bytes())
    except FileNotFoundError:
        return
    except zlib.error as error:
        raise StoreDamaged(f"{path} is damaged ({error})") from error
    start = 0
    while start < len(content):
        end = content.find(b"\0", start)
        kind, _, size = content[start : max(start, end)].decode("ascii", "replace").partition(" ")
        if not size.isdecimal() or end + 1 + int(size) > len(content):
            raise StoreDamaged(f"{path} is damaged (an object is cut short)")
        start = end + 1 + int(size)
        yield Object(kind, content[end + 1 : start])


class WithSnapshot(ObjectReader):
    """The trees of a snapshot, and all that another reader has."""

    def __init__(self, reader: ObjectReader, path: Path) -> None:
        self._reader = reader
        trees = (item for item in read_snapshot(path) if item.type == "tree")
        self._trees = {object_id(item.type, item.data): item for item in trees}

    def read_many(self, oids: Sequence[str]) -> Iterator[Object | None]:
        """Yield the objects in the order asked for, None for each that is missing."""
        others = self._reader.read_many([oid for oid in oids if oid not in self._trees])
        for oid in oids:
            yield self._trees[oid] if oid in self._trees else next(others)

    def close(self) -> None:
        """Let go of the other reader."""
        self._reader.close()
