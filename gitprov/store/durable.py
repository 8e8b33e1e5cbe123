"""Files that survive power loss.

A file is durable when its content and the folder entry that names it were both synced; git and
libgit2 sync no folder. `fsync=False` (configuration `prov.fsync=off`) leaves the syncing to the
operating system.
"""

import os
from collections.abc import Iterable
from pathlib import Path


def write_durably(path: Path, data: bytes, *, fsync: bool = True) -> None:
    """Make `path` hold `data`, whole or not at all, whatever happens meanwhile."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        try:
            _write_all(descriptor, data)
            if fsync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105 -- the same call as os.open's, on purpose
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if fsync:
        sync_folders([path.parent])


def overwrite_durably(path: Path, data: bytes, *, fsync: bool = True) -> None:
    """Make a file hold `data`, which tells by itself whether all of it is there.

    One sync where the file was there before; a death meanwhile leaves a part of `data`.
    """
    known = path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        _write_all(descriptor, data)
        if fsync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if fsync and not known:
        sync_folders([path.parent])


def sync_folders(folders: Iterable[Path]) -> None:
    """Make the entries of folders durable: names made, renamed or removed in them."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a file that was written earlier durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
