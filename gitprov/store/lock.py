"""The lock under which the store's refs move.

`flock` on a file of our own: the kernel lets go of it when its holder dies, so a killed process
blocks nobody.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitprov.errors import StoreBusy

_PAUSE_SECONDS = 0.005


@contextmanager
def store_lock(path: Path, *, timeout: float = 60.0) -> Iterator[None]:
    """Hold the lock while the block runs.

    Raises StoreBusy when another process holds it for longer than `timeout` seconds, and where
    the filesystem has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _acquire(descriptor, path, time.monotonic() + timeout)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                raise StoreBusy(
                    f"the filesystem of {path.parent} cannot lock files ({error.strerror}); "
                    "put the git directory on one that can"
                ) from error
            if time.monotonic() > deadline:
                raise StoreBusy(
                    f"another process holds {path}; try again, or see who with: fuser {path}"
                ) from error
            time.sleep(_PAUSE_SECONDS)
        else:
            return
