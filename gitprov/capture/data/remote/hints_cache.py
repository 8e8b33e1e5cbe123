"""What remote objects were when they were read last: what has not changed is not read again.

`<common dir>/prov/remote-cache.sqlite` has one row an object. An object counts as unchanged while
its store says the same of it, and says more than size and time: a version, an etag or a checksum.
That is a store's word, not a proof, which `git prov data verify` is for. Deleting the file costs
reading everything once more.
"""

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gitprov.capture.data.cache_file import open_cache
from gitprov.capture.data.remote.said import Said

_TABLE = """
    uri BLOB NOT NULL, algorithms TEXT NOT NULL, size INTEGER, remote TEXT NOT NULL,
    digests BLOB NOT NULL, PRIMARY KEY (uri, algorithms)
"""
_VERSION = 2
# What an interruption costs at most.
_ROWS_AT_ONCE = 500
_SAVE_SECONDS = 1.0
_GET = "SELECT size, remote, digests FROM objects WHERE uri = ? AND algorithms = ?"
_PUT = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)"


class HintsCache:
    """The objects that were read before. Whatever goes wrong with it, it only forgets."""

    def __init__(self, path: Path) -> None:
        self._fresh: list[tuple[bytes, str, int | None, str, bytes]] = []
        self._saved = time.monotonic()
        self._connection: sqlite3.Connection | None = None
        with suppress(sqlite3.Error, OSError):
            self._connection = open_cache(path, "objects", _TABLE, _VERSION)

    def get(self, uri: str, algorithms: Sequence[str], now: Said) -> bytes | None:
        """Return the digests of an object, one after the other, if it is what it was."""
        if self._connection is None:
            return None
        with suppress(sqlite3.Error, ValueError):
            wanted = (_key(uri), " ".join(algorithms))
            row = self._connection.execute(_GET, wanted).fetchone()
            if row is not None:
                size, remote, digests = row
                before = Said(now.path, size, json.loads(remote))
                return bytes(digests) if before.vouches_for(now) else None
        return None

    def put(self, uri: str, algorithms: Sequence[str], read: Said, digests: bytes) -> None:
        """Remember what an object was; from time to time this is written."""
        remote = json.dumps(dict(read.remote))
        with suppress(UnicodeEncodeError):
            self._fresh.append((_key(uri), " ".join(algorithms), read.size, remote, digests))
        late = time.monotonic() - self._saved > _SAVE_SECONDS
        if late or len(self._fresh) >= _ROWS_AT_ONCE:
            self.save()

    def save(self) -> None:
        """Write what is remembered, so that it is there for others, and after an interruption."""
        if self._connection is not None and self._fresh:
            # In use, or a full disk; ValueError is what sqlite3 says of values that it cannot take.
            with suppress(sqlite3.Error, ValueError), self._connection:
                self._connection.executemany(_PUT, self._fresh)
        self._fresh.clear()
        self._saved = time.monotonic()

    def close(self) -> None:
        """Write what is remembered, and let go of the file."""
        self.save()
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _key(uri: str) -> bytes:
    """Return the bytes of a URI: names in stores need not be text."""
    return uri.encode("utf-8", "surrogateescape")
