"""What stands in the way of writing files into a work tree: uncommitted work, and repositories.

Only what git has in a commit may be overwritten unasked. A repository inside the work tree (a
submodule, a work tree of its own) is never written into and never removed, whoever asks.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import NamedTuple


class Obstacles(NamedTuple):
    """What would be lost: paths with uncommitted work, and repositories of their own."""

    uncommitted: list[bytes]
    repositories: list[bytes]


def find_obstacles(top: bytes, paths: Iterable[bytes], committed: AbstractSet[bytes]) -> Obstacles:
    """Return what stands where `paths` are to be written; `committed` is what is as in HEAD."""
    uncommitted: dict[bytes, None] = {}
    repositories: dict[bytes, None] = {}
    for path in paths:
        for found, is_repository in _standing(top, path):
            if is_repository:
                repositories[found] = None
            elif found not in committed:
                uncommitted[found] = None
    return Obstacles(list(uncommitted), list(repositories))


def is_gone(top: bytes, path: bytes) -> bool:
    """Say whether a tracked path has gone: nothing is there, or a folder full of other files.

    So it has where a folder above it was replaced by a link, wherever that may lead.
    """
    found = next(_standing(top, path), None)
    return _mode(_join(top, path)) is None if found is None else found[0] != path


def is_there(top: bytes, path: bytes) -> bool:
    """Say whether a file or link is at a path, with nothing but real folders above it."""
    return next(_standing(top, path), None) == (path, False)


def _standing(top: bytes, path: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield what would have to go for a file at `path`, and whether it is a repository."""
    place = b""
    for name in path.split(b"/"):
        place = _join(place, name)
        mode = _mode(_join(top, place))
        if mode is None:
            return
        if not stat.S_ISDIR(mode):  # a file above the path is in its way, a link as well
            yield place, False
            return
        if _is_repository(_join(top, place)):
            yield place, True
            return
    for folder, folders, files in os.walk(_join(top, path)):
        below = os.path.relpath(folder, top)
        if _is_repository(folder):
            yield below, True
            folders.clear()
            continue
        links = [name for name in folders if _is_link(_join(folder, name))]
        for name in (*files, *links):
            yield _join(below, name), False


def _is_repository(folder: bytes) -> bool:
    return _mode(_join(folder, b".git")) is not None


def _is_link(path: bytes) -> bool:
    return stat.S_ISLNK(_mode(path) or 0)


def _mode(path: bytes) -> int | None:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return None


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
