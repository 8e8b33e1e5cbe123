"""Git objects in one file, from the capture until the ledger has them.

One sync makes all of them durable, however many they are, and gc does not visit them. The file is
one zlib stream of objects as git hashes them: type and size, NUL, content (specification, section
9.1).
"""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from gitprov.errors import StoreDamaged
from gitprov.store.durable import sync_folders
from gitprov.store.objects import MAX_OBJECT_BYTES, Object, ObjectReader, object_id

# It is read once, and soon: time counts, not space.
_LEVEL = 1
# Hashes do not become shorter.
AS_IT_IS = 0
_CHUNK_BYTES = 1 << 18
# Type and size of the largest object.
_HEADER_BYTES = 32
_KINDS = frozenset({"blob", "commit", "tree"})


class ObjectFile:
    """A file of objects that is being written. It has its name once `keep` is through."""

    def __init__(self, temporary: Path, level: int = _LEVEL) -> None:
        self._path = temporary
        self._stream = temporary.open("wb")
        self._packer = zlib.compressobj(level)
        self._names: set[str] = set()

    def add(self, kind: str, data: bytes) -> str:
        """Add an object, unless it is there already, and return its name."""
        oid = object_id(kind, data)
        if oid not in self._names:
            self._names.add(oid)
            self._stream.write(self._packer.compress(f"{kind} {len(data)}\0".encode()))
            self._stream.write(self._packer.compress(data))
        return oid

    def keep(self, path: Path, *, fsync: bool) -> None:
        """End the file and give it its name, whole or not at all."""
        self._stream.write(self._packer.flush())
        self._stream.flush()
        if fsync:
            os.fsync(self._stream.fileno())
        self._stream.close()
        self._path.replace(path)
        if fsync:
            sync_folders([path.parent])

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(OSError):
            self._stream.close()
        self._path.unlink(missing_ok=True)


def write_objects(path: Path, objects: Iterable[Object], *, fsync: bool) -> None:
    """Write objects to a file, whole or not at all."""
    written = ObjectFile(path.with_name(f".{path.name}.{os.getpid()}.tmp"))
    try:
        for item in objects:
            written.add(item.type, item.data)
        written.keep(path, fsync=fsync)
    except BaseException:
        written.discard()
        raise


def read_objects(path: Path) -> Iterator[Object]:
    """Yield the objects in a file, none where there is no such file; raise StoreDamaged."""
    try:
        with path.open("rb") as stream:
            yield from _objects(_Unpacked(path, stream.read))
    except FileNotFoundError:
        return


def _objects(content: "_Unpacked") -> Iterator[Object]:
    while (header := content.until_nul()) is not None:
        kind, _, size = header.decode("ascii", "replace").partition(" ")
        # The checksum stands at the end: until then, anything may have been altered.
        if kind not in _KINDS or not size.isdecimal() or int(size) > MAX_OBJECT_BYTES:
            raise content.damaged("an object has no proper header")
        yield Object(kind, content.exactly(int(size)))


class _Unpacked:
    """What a zlib stream holds, piece by piece."""

    def __init__(self, path: Path, read: Callable[[int], bytes]) -> None:
        self._path = path
        self._read = read
        self._unpacker = zlib.decompressobj()
        self._held = b""

    def until_nul(self) -> bytes | None:
        """Return what stands before the next NUL, None at the end; both are passed."""
        while (end := self._held.find(b"\0", 0, _HEADER_BYTES)) < 0:
            if not self._more():
                if self._held:
                    raise self.damaged("an object is cut short")
                return None
        found, self._held = self._held[:end], self._held[end + 1 :]
        return found

    def exactly(self, size: int) -> bytes:
        """Return so many bytes."""
        parts, held = [], self._held
        while len(held) < size:
            parts.append(held)
            size -= len(held)
            self._held = b""
            if not self._more():
                raise self.damaged("an object is cut short")
            held = self._held
        self._held = held[size:]
        return b"".join([*parts, held[:size]])

    def damaged(self, why: str) -> StoreDamaged:
        """Return the error that says what is wrong with the file."""
        return StoreDamaged(f"{self._path} is damaged ({why})")

    def _more(self) -> bool:
        """Take the next piece; say whether there is one."""
        if len(self._held) >= _HEADER_BYTES and b"\0" not in self._held[:_HEADER_BYTES]:
            raise self.damaged("an object has no header")
        while not self._unpacker.eof:
            data = self._unpacker.unconsumed_tail or self._read(_CHUNK_BYTES)
            try:
                piece = self._unpacker.decompress(data, _CHUNK_BYTES)
            except zlib.error as error:
                raise self.damaged(str(error)) from error
            if not data and not piece:
                raise self.damaged("it is cut short")
            if piece:
                self._held += piece
                return True
        return False


class WithObjectFile(ObjectReader):
    """The trees in a file of objects, and all that another reader has."""

    def __init__(self, reader: ObjectReader, path: Path) -> None:
        self._reader = reader
        trees = (item for item in read_objects(path) if item.type == "tree")
        self._trees = {object_id(item.type, item.data): item for item in trees}

    def read_many(self, oids: Sequence[str]) -> Iterator[Object | None]:
        """Yield the objects in the order asked for, None for each that is missing."""
        others = self._reader.read_many([oid for oid in oids if oid not in self._trees])
        for oid in oids:
            yield self._trees[oid] if oid in self._trees else next(others)

    def close(self) -> None:
        """Let go of the other reader."""
        self._reader.close()
