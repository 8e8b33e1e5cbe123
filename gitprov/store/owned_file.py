"""A lock for filesystems that have none: a file that exists while it is held and names its owner.

Made by `link`, which is atomic on network filesystems, too (open(2), on O_EXCL). The file of an
owner that is known to be dead is removed by whoever waits; one on another host counts as alive for
an hour.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitprov.codec import canonical
from gitprov.codec.canonical import Document
from gitprov.errors import MalformedRecord, StoreBusy
from gitprov.store.liveness import current_process, is_known_dead, is_near, silence

# A git that a dead owner has started may be at work for a moment yet.
_GRACE_SECONDS = 5
_LONGEST_SECONDS = 3600


@contextmanager
def owned_file(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold `path` while the block runs; `wait` is called between tries and may raise."""
    mine = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    content = canonical.encode(current_process())
    mine.write_bytes(content)
    try:
        while not _linked(mine, path):
            _remove_if_dead(path)
            wait()
        os.utime(path)  # from now on the owner may start a git
    finally:
        mine.unlink()
    try:
        yield
    finally:
        # Whoever took us for dead has it now.
        with suppress(FileNotFoundError):
            if path.read_bytes() == content:
                path.unlink()


def owner_of(path: Path) -> Document | None:
    """Return who holds the file; None where nobody does."""
    try:
        return canonical.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except MalformedRecord as error:
        raise StoreBusy(f"{path} is damaged; if no gitprov is running, remove it") from error


def _linked(mine: Path, path: Path) -> bool:
    try:
        path.hardlink_to(mine)
    except FileExistsError:
        return False
    except OSError as error:
        raise StoreBusy(
            f"the filesystem of {path.parent} can neither lock nor link files "
            f"({error.strerror}); put the git directory on one that can"
        ) from error
    return True


def _is_silent(owner: Document, path: Path) -> bool:
    """Say whether an owner on another machine, or before a reboot, has held it for too long.

    The lock is held for a drain, which takes seconds.
    """
    return not is_near(owner) and silence(path) > _LONGEST_SECONDS


def _remove_if_dead(path: Path) -> None:
    """Remove the file of a dead owner; only one process at a time may, or one took a live one's."""
    owner = owner_of(path)
    if owner is None or not (is_known_dead(owner) or _is_silent(owner, path)):
        return
    breaking = path.with_name(f"{path.name}.breaking")
    try:
        breaking.mkdir()
    except FileExistsError:
        # Whoever made it is at it, or died within these few lines.
        with suppress(FileNotFoundError):
            if time.time() - breaking.stat().st_mtime > 60 * _GRACE_SECONDS:
                raise StoreBusy(f"{breaking} was left behind; remove it") from None
        return
    try:
        with suppress(FileNotFoundError):
            old = time.time() - path.stat().st_mtime > _GRACE_SECONDS
            if old and owner_of(path) == owner:
                path.unlink()
    finally:
        breaking.rmdir()
