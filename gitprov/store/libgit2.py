"""The second reader of objects: libgit2, through pygit2.

It shares no code with the git program that wrote the objects, and it compares every object with
its name, which `git cat-file` does not do for packed ones. Slower to start (docs/adr/0001), so
only verification uses it. Loose objects are read here, with zlib: libgit2 1.9 does not come back
from one that is cut short.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pygit2

from gitprov.errors import IntegrityError, ObjectMissing, UnsupportedRepository
from gitprov.store.objects import Object, object_id

_NAMES = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}


class LibgitObjects:
    """Objects of one repository, each checked against its name."""

    def __init__(self, git_dir: Path, common_dir: Path) -> None:
        self._folders = _object_folders(common_dir / "objects")
        try:
            self._repository = pygit2.Repository(str(git_dir))
        except pygit2.GitError as error:
            raise UnsupportedRepository(f"libgit2 cannot open this repository: {error}") from error

    def read(self, oid: str) -> Object:
        """Return one object; raise ObjectMissing, or IntegrityError for damaged content."""
        try:
            found = self._loose(oid) or self._packed(oid)
        except (KeyError, ValueError) as error:
            raise ObjectMissing(f"object {oid} is not in this clone") from error
        except (pygit2.GitError, OSError, zlib.error) as error:
            raise IntegrityError(f"object {oid} is damaged: {error}") from error
        if object_id(*found) != oid:
            raise IntegrityError(f"object {oid} does not match its name")
        return found

    def read_many(self, oids: Sequence[str]) -> Iterator[Object | None]:
        """Yield the objects in the order asked for, None for each that is missing."""
        for oid in oids:
            try:
                yield self.read(oid)
            except ObjectMissing:
                yield None

    def _loose(self, oid: str) -> Object | None:
        for folder in self._folders:
            try:
                packed = (folder / oid[:2] / oid[2:]).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                continue
            # A stream that is cut short is an error to zlib.
            header, _, content = zlib.decompress(packed).partition(b"\0")
            return Object(header.partition(b" ")[0].decode("ascii", "replace"), content)
        return None

    def _packed(self, oid: str) -> Object:
        kind, data = self._repository.read(oid)
        return Object(_NAMES[int(kind)], data)

    def close(self) -> None:
        """Release libgit2's file handles."""
        self._repository.free()


def _object_folders(first: Path) -> list[Path]:
    """Return an object store and those that it borrows from (`info/alternates`)."""
    found: list[Path] = []
    waiting = [first]
    while waiting:
        folder = waiting.pop()
        if folder in found:
            continue
        found.append(folder)
        with suppress(OSError):
            lines = (folder / "info" / "alternates").read_bytes().splitlines()
            waiting += [folder / os.fsdecode(line) for line in lines if line]
    return found
