"""Locks: ours, those that git puts on our refs, and those of git that get in our way.

Git's locks say nothing of their owner. What is not provably dead is shown, never removed.
"""

import fcntl
import shlex
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gitprov.doctor.findings import Finding, Findings, fault, good, mendable, mended, note
from gitprov.doctor.processes import lock_holders, owner_text, process_text
from gitprov.errors import StoreBusy
from gitprov.model.wording import duration_text, plural
from gitprov.store.git_locks import git_locks, release_dead_locks
from gitprov.store.liveness import is_known_dead
from gitprov.store.lock import NO_LOCKS, owner_file, store_lock
from gitprov.store.owned_file import owner_of
from gitprov.store.pins import PINS
from gitprov.store.store import Store

# So long no git needs to move a ref, or to write one of the files below.
_BRIEF_SECONDS = 60
_LONG_SECONDS = 600
_AGAIN = "in a minute: git prov doctor"
# What every git may lock in the common directory, and then blocks us, too.
_OTHERS = ("packed-refs.lock", "config.lock", "shallow.lock")


def holders(store: Store) -> Iterator[Finding]:
    """Say who holds the store's lock, as far as that can be seen from here."""
    owner = _owner(store)
    found = [process_text(pid) for pid in lock_holders(store.lock_path)]
    if owner is not None:
        found = [owner_text(owner)]
    for text in found:
        yield note(f"held by {text}", "if it hangs, end it; the lock goes with it")
    if not found:
        yield note("its holder is another user's, in another container or on another host")


def lock_of_the_store(store: Store) -> Findings:
    """Look at files that stand in for the lock where the filesystem has none."""
    path = owner_file(store.lock_path)
    breaking = path.with_name(f"{path.name}.breaking")
    with suppress(FileNotFoundError):
        if _age(breaking) > _LONG_SECONDS:
            yield fault(f"{breaking} was left behind", f"rmdir {_quoted(breaking)}")
    try:
        owner = owner_of(path)
    except StoreBusy as error:
        yield fault(f"{path} is damaged", str(error).partition("; ")[2])
        return
    if owner is not None and is_known_dead(owner):
        yield mendable(f"{owner_text(owner)} is gone and has left {path}", _remove_owner_file)
    if store.lock_path.exists() and not _can_lock(store.lock_path):
        yield note("the filesystem has no locks: a file that names its owner stands in for it")


def locks_on_refs(store: Store) -> Findings:
    """Look at git's locks on refs of ours; what they are is known under the store's lock."""
    found = git_locks(store.repository)
    for lock in found:
        text = _text(store, lock.path, lock.age_seconds)
        if lock.proof:
            yield mendable(f"{text}: {lock.proof}", _remove_dead_locks)
        elif lock.age_seconds < _BRIEF_SECONDS:
            yield note(f"{text}: some git is at work, or was killed", _AGAIN)
        else:
            yield _by_hand(text, lock.path)
    if not found:
        yield good("none left behind")


def locks_of_git(store: Store) -> Findings:
    """Look at locks of git's that are not on our refs; git holds them for moments."""
    common_dir = store.repository.common_dir
    paths = [common_dir / name for name in _OTHERS]
    for path in [*paths, *(common_dir / PINS).rglob("*.lock")]:
        with suppress(FileNotFoundError):
            age = _age(path)
            if age > _LONG_SECONDS:
                yield _by_hand(_text(store, path, age), path)


def _remove_dead_locks(store: Store) -> Findings:
    with store_lock(store.lock_path):
        before = git_locks(store.repository)
        alive = release_dead_locks(store.repository)
    if (count := len(before) - len(alive)) > 0:
        yield mended(f"{plural(count, 'dead lock')} on refs removed")


def _remove_owner_file(store: Store) -> Findings:
    path = owner_file(store.lock_path)
    # Where the filesystem has no locks, taking it removes what stands in for it.
    with store_lock(store.lock_path) as held:
        owner = owner_of(path)
        if held is not None and owner is not None and is_known_dead(owner):
            path.unlink(missing_ok=True)
    yield mended("the lock of a process that is gone was removed")


def _by_hand(text: str, path: Path) -> Finding:
    return fault(
        f"{text}: whose it is cannot be known",
        f"if no git is running in this repository: rm {_quoted(path)}",
    )


def _owner(store: Store) -> dict[str, object] | None:
    with suppress(StoreBusy):
        return owner_of(owner_file(store.lock_path))
    return None


def _can_lock(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in NO_LOCKS
    return True


def _age(path: Path) -> float:
    return time.time() - path.lstat().st_mtime


def _text(store: Store, path: Path, age: float) -> str:
    made = duration_text(int(max(age, 0.0) * 1e9))
    return f"{path.relative_to(store.repository.common_dir)}, made {made} ago"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
