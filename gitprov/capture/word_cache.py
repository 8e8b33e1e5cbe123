"""Words under keys, kept between runs in one small file: a patch id under its commit, for one.

It can only save time. Lines are appended, each in one write and with a checksum of its own:
processes at once do not harm each other, a torn line counts as absent, and so does whatever
cannot be read. A file that has grown too large keeps its newer half.
"""

import contextlib
import os
import zlib
from pathlib import Path

from gitprov.store.durable import write_durably

MAX_BYTES = 1 << 17


class WordCache:
    """Words under keys; neither has line ends, and words no spaces."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._lines = b"\n" + path.read_bytes()
        except OSError:
            self._lines = b"\n"

    def get(self, key: str) -> str | None:
        """Return the word that was kept last under a key, or None."""
        beginning = f"\n{key} ".encode()
        found = self._lines.rfind(beginning)
        while found >= 0:
            line = self._lines[found + 1 : self._lines.find(b"\n", found + 1)]
            known, _, checksum = line.rpartition(b" ")
            word = known[len(beginning) - 1 :]
            if checksum == _checksum(known) and b" " not in word:  # else, of a longer key
                return word.decode()
            found = self._lines.rfind(beginning, 0, found)
        return None

    def put(self, key: str, word: str) -> None:
        """Keep a word under a key."""
        known = f"{key} {word}".encode()
        line = known + b" " + _checksum(known) + b"\n"
        self._lines += line
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                os.write(descriptor, line)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            if size > MAX_BYTES:
                lines = self._path.read_bytes().splitlines(keepends=True)
                newer = b"".join(lines[len(lines) // 2 :])
                write_durably(self._path, newer, fsync=False)


def _checksum(known: bytes) -> bytes:
    return b"%08x" % zlib.crc32(known)
