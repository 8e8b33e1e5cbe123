"""Reading files for their hash, noticing when they change meanwhile."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from gitprov.errors import InputError
from gitprov.model.run import RawText

_BUFFER_BYTES = 1 << 20
_ATTEMPTS = 3


class Hashed(NamedTuple):
    """A file's size in bytes and the sha256 of its content."""

    size: int
    sha256: bytes


def hash_file(path: Path) -> Hashed:
    """Return size and sha256 of a file.

    A file that changes while it is read is read again; raises InputError when it keeps changing,
    OSError when it cannot be read.
    """
    for _ in range(_ATTEMPTS):
        before = path.stat()
        digest = hashlib.sha256()
        # A buffer that fits small files: the read call costs more than the hash.
        buffer = bytearray(max(1, min(_BUFFER_BYTES, before.st_size + 1)))
        view = memoryview(buffer)
        size = 0
        with path.open("rb", buffering=0) as stream:
            while count := stream.readinto(buffer):
                digest.update(view[:count])
                size += count
            after = os.fstat(stream.fileno())
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return Hashed(size, digest.digest())
    raise InputError(f"{path} keeps changing while it is read; record it once it is complete")


def raw_text(path: str | os.PathLike[str]) -> RawText:
    """Return a path as text, or as bytes where it is not valid UTF-8."""
    encoded = os.fsencode(path)
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded
