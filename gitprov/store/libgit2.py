"""The second reader of objects: libgit2, through pygit2.

It shares no code with the git program that wrote the objects, and it compares every object with
its name, which `git cat-file` does not do for packed ones. Slower to start (docs/adr/0001), so
only verification uses it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pygit2

from gitprov.errors import IntegrityError, ObjectMissing, UnsupportedRepository
from gitprov.store.objects import Object, object_id

_NAMES = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}


class LibgitObjects:
    """Objects of one repository, each checked against its name."""

    def __init__(self, git_dir: Path) -> None:
        try:
            self._repository = pygit2.Repository(str(git_dir))
        except pygit2.GitError as error:
            raise UnsupportedRepository(f"libgit2 cannot open this repository: {error}") from error

    def read(self, oid: str) -> Object:
        """Return one object; raise ObjectMissing, or IntegrityError for damaged content."""
        try:
            kind, data = self._repository.read(oid)
        except (KeyError, ValueError) as error:
            raise ObjectMissing(f"object {oid} is not in this clone") from error
        except (pygit2.GitError, OSError) as error:
            raise IntegrityError(f"object {oid} is damaged: {error}") from error
        name = _NAMES[int(kind)]
        if object_id(name, data) != oid:
            raise IntegrityError(f"object {oid} does not match its name")
        return Object(name, data)

    def read_many(self, oids: Sequence[str]) -> Iterator[Object | None]:
        """Yield the objects in the order asked for, None for each that is missing."""
        for oid in oids:
            try:
                yield self.read(oid)
            except ObjectMissing:
                yield None

    def close(self) -> None:
        """Release libgit2's file handles."""
        self._repository.free()
