"""Folders on local disks, as listings.

Two passes. The first goes through the folders and hashes what has changed since it was hashed last;
what it finds is kept at once, so that an interruption costs only what was under way. The second
makes the nodes, from the deepest folder up; those of folders in which nothing has changed are not
made again. What is neither a file, a link nor a folder, or cannot be read, is left out and named.
"""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from gitprov.capture.data.folder_hashing import Engine, FolderHashing
from gitprov.capture.data.folder_nodes import Add, NodeMaker, Overwritten
from gitprov.capture.data.folder_scan import Redact
from gitprov.capture.data.progress import Progress
from gitprov.capture.data.stat_cache import StatCache
from gitprov.errors import InputError
from gitprov.store.listings import Folder

_ATTEMPTS = 3

# Says which of some trees are not in the repository.
Absent = Callable[[Collection[str]], Collection[str]]


@dataclass(slots=True)
class CapturedFolder:
    """A folder as a listing, and what is not in it: paths below it, and why."""

    folder: Folder
    left_out: dict[bytes, str]


class FolderCapture:
    """Makes listings of folders; `add` takes the objects of what is new."""

    def __init__(
        self,
        cache: StatCache,
        engine: Engine,
        add: Add,
        absent: Absent,
        *,
        redact: Redact | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._cache = cache
        self._engine = engine
        self._add = add
        self._absent = absent
        self._redact = redact
        self._progress = progress

    def capture(self, top: bytes) -> CapturedFolder:
        """Return the listing of a folder, given by its absolute path.

        Raises OSError where the folder itself cannot be read, InputError where another process
        captures it at the same time and keeps finding something else.
        """
        for _ in range(_ATTEMPTS):
            with suppress(Overwritten):
                return self._captured(top)
        where = os.fsdecode(top)
        raise InputError(f"{where} keeps changing while it is read; record it once it is complete")

    def _captured(self, top: bytes) -> CapturedFolder:
        nodes = NodeMaker(self._cache, self._redact)
        hashing = FolderHashing(self._cache, self._redact, nodes.plan, self._progress)
        hashing.run(top, self._engine)
        reused: set[str] = set()
        folder = nodes.make(self._add, hashing.states, reused)
        if self._absent(reused):  # dropped since: all is there to make them again
            folder = nodes.make(self._add, hashing.states, None)
        self._cache.save()
        start = len(top.rstrip(b"/")) + 1
        left_out = {path[start:]: why for path, why in hashing.left_out.items()}
        return CapturedFolder(folder, left_out)
