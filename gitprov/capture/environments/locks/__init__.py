"""Lock files, read: which packages they name, at which versions, from which files.

A kind of lock is one module with a function `read(path, data)`, and one line in `READERS`. Lock
files are written by strangers: a reader takes what it understands, and raises InputError, which
names the file, where nothing can be made of it.
"""

from gitprov.capture.environments.locks.lock import Lock, LockedFile, LockedPackage

__all__ = ["Lock", "LockedFile", "LockedPackage", "read_lock"]


def read_lock(path: str, data: bytes) -> Lock | None:
    """Return what a lock file says; None where it is none of Python or conda packages.

    Raises InputError, which names the file, where it is damaged.
    """
    raise NotImplementedError
