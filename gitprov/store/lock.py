"""The lock under which the store's refs move.

`flock` on a file of our own: the kernel lets go of it when its holder dies, so a killed process
blocks nobody. Child processes that inherit the descriptor share the lock: whoever gets it knows
that no git that an earlier holder started is still at work. Where the filesystem has no `flock`,
a file that names its owner stands in for it (`gitprov.store.owned_file`).
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gitprov.errors import StoreBusy
from gitprov.store.owned_file import owned_file

_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05
# What network filesystems answer that were set up without locks.
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})


_held: set[int] = set()


def _let_go() -> None:
    """Close the locks in a forked child: they are its parent's, and of the gits it starts."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)


class Overtaken(Exception):
    """While we waited for the lock, its holder did our work, too."""


@contextmanager
def store_lock(
    path: Path, *, timeout: float = 60.0, left: Callable[[], int] | None = None
) -> Iterator[int | None]:
    """Hold the lock while the block runs; yields the descriptor that holds it, if one does.

    `left` says how much is left to do of what we want the lock for: others may do it meanwhile.
    Raises Overtaken once that is nothing, and StoreBusy when another process holds the lock for
    longer than `timeout` seconds in which nothing of it was done.
    """
    wait = _Wait(path, timeout, left)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    _held.add(descriptor)
    try:
        if _flocked(descriptor, wait):
            yield descriptor
            return
    finally:
        if descriptor in _held:  # else this is a forked child, which has closed it
            _held.discard(descriptor)
            os.close(descriptor)
    with owned_file(owner_file(path), wait):
        yield None


def owner_file(path: Path) -> Path:
    """Return the file that stands in for a lock where the filesystem has none."""
    return path.with_name(f"{path.name}-owner")


class _Wait:
    """A pause between two tries, until the time is over."""

    def __init__(self, path: Path, timeout: float, left: Callable[[], int] | None) -> None:
        self._path = path
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._count = left
        self._left = -1
        self._pause = _SHORTEST_PAUSE

    def __call__(self) -> None:
        left = self._count() if self._count is not None else self._left
        if left == 0:
            raise Overtaken
        if left != self._left:
            self._left, self._deadline = left, time.monotonic() + self._timeout
        if time.monotonic() > self._deadline:
            raise StoreBusy(
                f"another process holds {self._path}; try again, or see who with: git prov doctor"
            )
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _flocked(descriptor: int, wait: Callable[[], None]) -> bool:
    """Lock a file; say whether its filesystem can."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return False
            if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                raise
            wait()
        else:
            return True
