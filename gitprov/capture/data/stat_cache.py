"""What folders held when they were hashed last: what has not changed is not read again.

`<common dir>/prov/stat-cache.sqlite` has one row a folder, or a file that was captured by itself.
A file counts as unchanged while size, both times, inode and mode are what they were; who sets all
of them back is not noticed, which `git prov data verify` is for. Deleting the cache costs a second
hash of everything. Each row has a checksum: what a digest was once is evidence, and sqlite does not
notice when a disk returns something else.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gitprov.capture.data.cache_file import open_cache
from gitprov.capture.hashing import STAT_BYTES
from gitprov.capture.hashing.algorithms import width

_TABLE = """
    path BLOB PRIMARY KEY, names BLOB NOT NULL, stats BLOB NOT NULL, digests BLOB NOT NULL,
    below BLOB NOT NULL, sha256 BLOB, tree TEXT, size INTEGER, files INTEGER,
    checksum INTEGER NOT NULL
"""
_VERSION = 2
_ROWS_AT_ONCE = 200
_BYTES_AT_ONCE = 4 << 20


class CachedFolder(NamedTuple):
    """A folder as it was hashed: its files in the order of their names, one after the other.

    Names end with NUL; stats and digests are of a fixed length. `below` says what its links and
    folders were, and the rest what all that made of it: the sha256 of its node, the tree that holds
    it, size and files.
    """

    names: bytes = b""
    stats: bytes = b""
    digests: bytes = b""
    below: bytes = b""
    sha256: bytes | None = None
    tree: str | None = None
    size: int = 0
    files: int = 0

    @property
    def state(self) -> int:
        """A checksum of the files: others may have written another state since."""
        return zlib.crc32(self.digests, zlib.crc32(self.stats, zlib.crc32(self.names)))

    def known(self, width: int) -> dict[bytes, tuple[bytes, bytes]]:
        """Return packed stat and digests, `width` bytes, of each file by its name."""
        pairs = zip(_pieces(self.stats, STAT_BYTES), _pieces(self.digests, width), strict=True)
        return dict(zip(self.names.split(b"\0")[:-1], pairs, strict=True))


class StatCache:
    """The folders that were hashed before. Whatever goes wrong with it, it only forgets.

    With `afresh`, it knows only what it has learnt itself. What `hides` says of names in it, that
    there is a secret in them, is remembered by this process alone.
    """

    def __init__(
        self,
        path: Path,
        algorithms: Sequence[str],
        *,
        follow_links: bool = False,
        afresh: bool = False,
        hides: Callable[[Sequence[bytes]], object] | None = None,
    ) -> None:
        self.algorithms = tuple(algorithms)
        self.width = width(algorithms)
        self.follow_links = follow_links
        # What folders hold depends on it.
        links = b"followed:" if follow_links else b""
        self._kind = b"%s:%s" % (",".join(algorithms).encode(), links)
        self._path = path
        self._afresh = afresh
        self._hides = hides
        self._secret: dict[bytes, CachedFolder] = {}
        self._learnt: set[bytes] = set()
        self._fresh: dict[bytes, CachedFolder] = {}
        self._rows = self._bytes = 0
        self._is_open = False
        self._opened: sqlite3.Connection | None = None

    @property
    def _connection(self) -> sqlite3.Connection | None:
        """The file, opened when it is needed first; None where it cannot be."""
        if not self._is_open:
            self._is_open = True
            with suppress(sqlite3.Error, OSError):
                self._opened = open_cache(self._path, "folders", _TABLE, _VERSION)
        return self._opened

    def get(self, path: bytes) -> CachedFolder | None:
        """Return what a folder held when it was hashed last; None where it never was."""
        for remembered in (self._fresh, self._secret):
            if path in remembered:
                return remembered[path]
        if self._connection is None or (self._afresh and path not in self._learnt):
            return None
        key = self._kind + path
        with suppress(sqlite3.Error):
            row = self._connection.execute(_GET, (key,)).fetchone()
            return self._whole(key, CachedFolder(*row[:-1]), row[-1]) if row else None
        return None

    def _whole(self, key: bytes, folder: CachedFolder, checksum: int) -> CachedFolder | None:
        """Return a folder, None where its row is damaged."""
        if _checksum(key, folder) != checksum:
            return None
        count = folder.names.count(b"\0")
        lengths = len(folder.stats), len(folder.digests)
        return folder if lengths == (count * STAT_BYTES, count * self.width) else None

    def put(self, path: bytes, folder: CachedFolder) -> None:
        """Remember what a folder holds; from time to time this is written."""
        if self._hides is not None and self._hides([path, *folder.names.split(b"\0")[:-1]]):
            self._secret[path] = folder
            return
        self._fresh[path] = folder
        if self._afresh:
            self._learnt.add(path)
        self._rows += 1
        self._bytes += len(folder.stats)
        if self._rows >= _ROWS_AT_ONCE or self._bytes > _BYTES_AT_ONCE:
            # Whether or not it can be written: trying takes long where others write.
            self._rows = self._bytes = 0
            self.save()

    def save(self) -> None:
        """Write what is remembered, so that it is there for others, and after an interruption."""
        if self._connection is None or not self._fresh:
            return
        keyed = ((self._kind + path, folder) for path, folder in self._fresh.items())
        rows = [(key, *folder, _checksum(key, folder)) for key, folder in keyed]
        try:
            with self._connection:
                self._connection.executemany(_PUT, rows)
        except sqlite3.OperationalError:  # in use, or on a full disk
            return
        except sqlite3.Error:  # damaged: the next one begins anew
            self._connection.close()
            self._opened = None
            self._path.unlink(missing_ok=True)
            return
        self._fresh.clear()

    def close(self) -> None:
        """Write what is remembered, and let go of the file."""
        self.save()
        if self._connection is not None:
            self._connection.close()
            self._opened = None


_COLUMNS = ", ".join((*CachedFolder._fields, "checksum"))
_GET = f"SELECT {_COLUMNS} FROM folders WHERE path = ?"  # noqa: S608 -- names of our own
_MARKS = ", ".join("?" * (len(CachedFolder._fields) + 2))
_PUT = f"INSERT OR REPLACE INTO folders (path, {_COLUMNS}) VALUES ({_MARKS})"  # noqa: S608


def _checksum(key: bytes, folder: CachedFolder) -> int:
    found = zlib.crc32(key)
    for value in folder:
        found = zlib.crc32(value if isinstance(value, bytes) else str(value).encode(), found)
    return found


def _pieces(data: bytes, length: int) -> Iterator[bytes]:
    return (data[start : start + length] for start in range(0, len(data), length))
