"""Files and folders on local disks, hashed again only where they have changed."""

import os
import stat
import time
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from gitprov.capture.data.folder_hashing import Engine
from gitprov.capture.data.folder_scan import Redact
from gitprov.capture.data.folders import FolderCapture
from gitprov.capture.data.names import place
from gitprov.capture.data.options import Captured, DataOptions
from gitprov.capture.data.progress import Progress
from gitprov.capture.data.stat_cache import CachedFolder, StatCache
from gitprov.capture.hashing import hash_file, pack_stat, size_and_mode
from gitprov.capture.hashing.algorithms import hashes, split
from gitprov.capture.hashing.pool import Pool
from gitprov.capture.secrets.redaction import Redactor
from gitprov.errors import InputError
from gitprov.model.run import Artifact, Seen
from gitprov.store.git import Git
from gitprov.store.objects import present
from gitprov.store.payload import LISTING

# Hashing less takes no longer than looking it up.
_WORTH_CACHING = 256 << 10
_STEP = "hashing"


class Objects(Protocol):
    """Takes the objects of one listing."""

    def add(self, kind: str, data: bytes) -> str:
        """Take an object and return its name."""

    def keep(self, sha256: bytes, tree: str) -> None:
        """Say what the listing is, once all of its objects are there."""

    def discard(self) -> None:
        """Forget what was taken, unless it is kept."""


class Listings(Protocol):
    """Takes listings: the journal of a run, or memory where nothing is recorded."""

    def new_listing(self) -> Objects:
        """Return what takes the objects of one listing."""


class LocalCapture:
    """Captures files and folders. Use it as a context manager.

    `prov_dir` is gitprov's folder in the git directory, `top` the work tree that paths are
    relative to. Secrets in the names that listings hold are kept out by `redactor`; `place` says
    where.
    """

    def __init__(
        self,
        prov_dir: Path,
        top: Path | None,
        options: DataOptions,
        *,
        redactor: Redactor | None = None,
        place: str = "",
    ) -> None:
        self._prov_dir = prov_dir
        self._top = top
        self._options = options
        self._redactor = redactor
        self._place = place

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in ("cache", "_md5_cache"):
            if name in self.__dict__:
                self.__dict__[name].close()
        if "_engine" in self.__dict__:
            self._engine.close()

    @cached_property
    def cache(self) -> StatCache:
        """What is known of files that were hashed before."""
        options = self._options
        return StatCache(
            self._prov_dir / "stat-cache.sqlite",
            options.algorithms,
            follow_links=options.follow_links,
            afresh=options.verify,
            hides=self.redact,
        )

    @cached_property
    def _md5_cache(self) -> StatCache:
        path = self._prov_dir / "stat-cache.sqlite"
        return StatCache(path, ("md5",), afresh=self._options.verify, hides=self.redact)

    @property
    def redact(self) -> Redact | None:
        """What keeps secrets out of the names in listings."""
        return self._without_secrets if self._redactor is not None else None

    def capture(self, path: Path, listings: Listings, seen: Seen) -> Captured:
        """Return a file or folder as an artifact; `listings` takes the listing of a folder.

        Raises OSError or InputError where it cannot be read.
        """
        hashes(self._options.algorithms)  # whether there are such
        if path.is_dir():
            return self._folder(path, listings, seen)
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError("neither a file nor a folder")
        size, digest = self.hashed(path)
        artifact = Artifact(
            kind="file",
            name=self._options.name,
            size=size,
            digest=digest,
            seen=seen,
            **place(path, self._top),
        )
        return Captured(artifact)

    def hashed(self, path: Path) -> tuple[int, Mapping[str, bytes]]:
        """Return size and digests of a file; raise OSError or InputError."""
        return self._hashed(os.path.abspath(os.fsencode(path)), self.cache)

    def md5(self, path: bytes) -> str:
        """Return the md5 of a file, by which DVC names it; raise OSError or InputError."""
        _, digests = self._hashed(os.path.abspath(path), self._md5_cache)
        return digests["md5"].hex()

    def _hashed(self, path: bytes, cache: StatCache) -> tuple[int, Mapping[str, bytes]]:
        found = os.stat(path)
        large = found.st_size >= _WORTH_CACHING
        if large and (cached := cache.get(path)) and cached.stats == pack_stat(found):
            return found.st_size, split(cache.algorithms, cached.digests)
        heard = None
        if self._options.watch is not None:
            heard = Progress(self._options.watch, _STEP, lambda: found.st_size).add
        stat, digests = hash_file(path, time.time_ns(), hashes(cache.algorithms), heard)
        if large:
            cache.put(path, CachedFolder(os.path.basename(path) + b"\0", stat, digests))
        return size_and_mode(stat)[0], split(cache.algorithms, digests)

    def _folder(self, path: Path, listings: Listings, seen: Seen) -> Captured:
        objects = listings.new_listing()
        absolute = os.path.abspath(os.fsencode(path))
        progress = None
        if self._options.watch is not None:
            progress = Progress(self._options.watch, _STEP, lambda: _size(absolute))
        capture = FolderCapture(
            self.cache,
            self._engine,
            objects.add,
            self._absent,
            redact=self.redact,
            progress=progress,
        )
        try:
            found = capture.capture(absolute)
            folder = found.folder
            objects.keep(folder.sha256, folder.tree)
        except BaseException:
            objects.discard()
            raise
        artifact = Artifact(
            kind="tree",
            name=self._options.name,
            size=folder.size,
            digest={"sha256": folder.sha256},
            file_count=folder.files,
            listing=f"{LISTING}{folder.sha256.hex()}",
            links="followed" if self._options.follow_links else None,
            seen=seen,
            **place(path, self._top),
        )
        left_out = {os.fsdecode(name): why for name, why in found.left_out.items()}
        return Captured(artifact, folder.tree, left_out)

    @cached_property
    def _engine(self) -> "ClosedEngine":
        if self._options.engine is None:
            return Pool()
        # Late: an extra, which takes a second to import.
        from gitprov.capture.hashing.dask_engine import dask_engine  # noqa: PLC0415

        return dask_engine(self._options.engine)

    def _absent(self, trees: Collection[str]) -> Collection[str]:
        return set(trees) - present(Git(self._prov_dir.parent), trees)

    def _without_secrets(self, names: Sequence[bytes]) -> Mapping[bytes, bytes]:
        assert self._redactor is not None  # noqa: S101 -- else this is not asked for
        # All at once: there may be a million.
        if not self._redactor.find(os.fsdecode(b"\n".join(names)), remember=False):
            return {}
        said = {
            name: os.fsencode(self._redactor.text(os.fsdecode(name), self._place, remember=False))
            for name in names
        }
        return {name: redacted for name, redacted in said.items() if redacted != name}


class ClosedEngine(Engine, Protocol):
    """An engine that has something to let go of."""

    def close(self) -> None:
        """End workers, and what is under way."""


def _size(top: bytes) -> int:
    """Return the bytes of all files below a folder, as far as it can be looked at."""
    total, waiting = 0, [top]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
