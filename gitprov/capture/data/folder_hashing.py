"""The first pass over folders: what has changed since it was hashed last is hashed."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from gitprov.capture.data.folder_scan import Redact, Scan, Scanner, estimated_sizes
from gitprov.capture.data.progress import Progress
from gitprov.capture.data.stat_cache import CachedFolder, StatCache
from gitprov.capture.hashing import sizes_and_modes, sum_of_sizes
from gitprov.capture.hashing.worker import Answer, Request

_FILES_A_REQUEST = 256
_BYTES_A_REQUEST = 16 << 20
# So much is hashed again at most where we are killed.
_BYTES_AT_RISK = 1 << 30


class Engine(Protocol):
    """What hashes files: answers come in the order of the requests."""

    def hash(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Yield the answers to requests."""


class Found(Protocol):
    """Is told of each folder that is found, and whether its files are what they were."""

    def __call__(self, scan: Scan, /, *, is_known: bool) -> None:
        """Take note of a folder, or of a part of one."""


class FolderHashing:
    """Hashes what has changed in folders; what it finds is in the cache at once."""

    def __init__(
        self,
        cache: StatCache,
        redact: Redact | None,
        found: Found,
        progress: Progress | None,
    ) -> None:
        self._cache = cache
        self._found = found
        self._scanner = Scanner(cache, redact)
        self._progress = progress
        # What the cache has of each folder, by its key: others may write there, too.
        self.states: dict[bytes, int] = {}

    @property
    def left_out(self) -> dict[bytes, str]:
        """What is not in the listing, and why."""
        return self._scanner.left_out

    def run(self, top: bytes, engine: Engine) -> None:
        """Hash what has changed since it was hashed last; tell of each folder that is found.

        Raises OSError where the topmost folder cannot be read.
        """
        asked: deque[tuple[Request, _Hashing]] = deque()
        folder: _Hashing | None = None
        unsaved = 0
        try:
            for found in engine.hash(self._changed(top, asked)):
                request, folder = asked.popleft()
                self._tell(found.stats)
                for name, why in found.failed.items():
                    self.left_out[os.path.join(request.folder, name)] = why
                folder.add([name for name in request.names if name not in found.failed], found)
                unsaved += sum_of_sizes(found.stats)
                if folder.is_complete:
                    self._put(folder.key, folder.hashed())
                if unsaved > _BYTES_AT_RISK:
                    self._keep(folder)
                    unsaved = 0
        finally:
            self._keep(folder)

    def _keep(self, folder: "_Hashing | None") -> None:
        """Write what is hashed, also of a folder that is under way: a kill may come any time."""
        if folder is not None and not folder.is_complete:
            self._put(folder.key, folder.hashed())
        self._cache.save()

    def _put(self, key: bytes, folder: CachedFolder) -> None:
        self._cache.put(key, folder)
        self.states[key] = folder.state

    def _changed(self, top: bytes, asked: "deque[tuple[Request, _Hashing]]") -> Iterator[Request]:
        """Go through the folders, and ask for the files whose stat is not what it was."""
        for scan in self._scanner.scans(top):
            if self._progress is not None:
                self._progress.check()
            cached = scan.cached or CachedFolder()
            names, stats = _ended(scan.names), b"".join(scan.stats)
            is_known = (cached.names, cached.stats) == (names, stats) and bool(cached.sha256)
            self._found(scan, is_known=is_known)
            if is_known:
                self.states[scan.key] = cached.state
                self._tell(stats)
                continue
            same, changed = self._divided(scan, cached)
            requests = [
                Request(scan.path, part, size, self._cache.algorithms)
                for part, size in _parts(scan, changed)
            ]
            folder = _Hashing(scan.key, same, len(requests), self._cache.width)
            if not requests:  # there are none, or some are gone
                self._put(scan.key, folder.hashed())
            for request in requests:
                asked.append((request, folder))
                yield request

    def _divided(
        self, scan: Scan, cached: CachedFolder
    ) -> tuple[dict[bytes, tuple[bytes, bytes]], list[bytes]]:
        """Return the files that are what they were, and the names of the others."""
        if not scan.stats:
            return {}, scan.names
        known = cached.known(self._cache.width)
        same: dict[bytes, tuple[bytes, bytes]] = {}
        changed = []
        for name, stat in zip(scan.names, scan.stats, strict=True):
            before = known.get(name)
            if before is not None and before[0] == stat:
                same[name] = before
            else:
                changed.append(name)
        self._tell(b"".join([stat for stat, _ in same.values()]))
        return same, changed

    def _tell(self, stats: bytes) -> None:
        """Say that files are done, by their packed stats."""
        if self._progress is not None:
            self._progress.add(sum_of_sizes(stats))


class _Hashing:
    """A folder, or a part of one, whose files are being hashed; `key` is what it is known by."""

    def __init__(
        self, key: bytes, same: dict[bytes, tuple[bytes, bytes]], requests: int, width: int
    ) -> None:
        self.key = key
        self._same = same
        self._width = width
        self._left = requests
        self._found: list[CachedFolder] = []

    @property
    def is_complete(self) -> bool:
        """Whether all answers have come."""
        return not self._left

    def add(self, names: list[bytes], found: Answer) -> None:
        """Take the next answer, and the names that it speaks of."""
        self._found.append(CachedFolder(_ended(names), found.stats, found.digests))
        self._left -= 1

    def hashed(self) -> CachedFolder:
        """Return the folder with all its files."""
        if not self._same:  # in the order of their names already
            return CachedFolder(
                b"".join([part.names for part in self._found]),
                b"".join([part.stats for part in self._found]),
                b"".join([part.digests for part in self._found]),
            )
        files = dict(self._same)
        for part in self._found:
            files |= part.known(self._width)
        ordered = sorted(files.items())
        return CachedFolder(
            _ended(name for name, _ in ordered),
            b"".join([stat for _, (stat, _) in ordered]),
            b"".join([digest for _, (_, digest) in ordered]),
        )


def _parts(scan: Scan, names: Sequence[bytes]) -> Iterator[tuple[list[bytes], int]]:
    """Yield files that are hashed together, and how large they are, as far as that is known."""
    if scan.stats:
        all_sizes = (size for size, _ in sizes_and_modes(b"".join(scan.stats)))
        sizes = dict(zip(scan.names, all_sizes, strict=True))
    else:
        sizes = estimated_sizes(scan.path, names)
    part: list[bytes] = []
    size = 0
    for name in names:
        part.append(name)
        size += sizes.get(name, 0)
        if len(part) == _FILES_A_REQUEST or size > _BYTES_A_REQUEST:
            yield part, size
            part, size = [], 0
    if part:
        yield part, size


def _ended(names: Iterable[bytes]) -> bytes:
    return b"".join([name + b"\0" for name in names])
