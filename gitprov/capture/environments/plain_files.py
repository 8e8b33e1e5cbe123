"""Files that tell of an environment: read with bounds, whatever stands at their path."""

import errno
import os
import stat
from pathlib import Path

_MEBIBYTE = 1 << 20


def read_plain(path: Path, limit: int = _MEBIBYTE) -> bytes:
    """Return what a plain file holds.

    Raises OSError where it is absent, no plain file, larger than `limit`, or cannot be read.
    """
    # Not blocking, so that a named pipe cannot hold up the run.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit >> 20} MiB", str(path))
    return data


def text_or_nothing(path: Path, limit: int = _MEBIBYTE) -> str:
    """Return the text of a plain file, nothing where there is none."""
    try:
        return read_plain(path, limit).decode("utf-8", "replace")
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return ""
