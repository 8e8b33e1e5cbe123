"""Shallow clones: `git fetch --depth` cuts whatever it fetches, and chains of ours must stay whole.

Git lists the commits that it takes for the first ones in `<common dir>/shallow`. Where one of ours
is among them, what came before it is hidden, and the next gc would take it.
"""

import os
from collections.abc import Collection
from contextlib import suppress

from gitprov.store.durable import write_durably
from gitprov.store.git_locks import SHALLOW, announce, mend
from gitprov.store.lock import store_lock
from gitprov.store.objects import decode_commit
from gitprov.store.repository import Repository
from gitprov.store.store import Store

WHOLE = "--depth=2147483647"  # what `git fetch --unshallow` stands for
NEWEST = "--depth=1"

# What this software writes, and the entries of all others.
_MARKS = (b"\ncommitter gitprov <unknown> ", b"\nProv-Run: ")


def cut_chains(store: Store) -> dict[str, tuple[str, ...]]:
    """Return the commits of ours that are cut, and what came before each."""
    oids = sorted(store.repository.cut_commits())
    found = zip(oids, store.objects.read_many(oids), strict=True)
    return {
        oid: decode_commit(commit.data).parents
        for oid, commit in found
        if commit and any(mark in commit.data for mark in _MARKS)
    }


def mend_cuts(store: Store) -> None:
    """Let git see what came before commits of ours again, as far as it is here."""
    here = [
        oid for oid, parents in cut_chains(store).items() if all(store.objects.read_many(parents))
    ]
    if not here:
        return
    store.repository.require_writable()
    with store_lock(store.lock_path):
        mend(store.repository)
        cut = store.repository.cut_commits()
        whole = {oid for oid in here if oid in cut and _reaches_all(store, oid, cut - {oid})}
        if whole:
            _replace(store.repository, cut, cut - whole)


def _reaches_all(store: Store, oid: str, cut: Collection[str]) -> bool:
    """Say whether all that a commit leads to is here, up to what else is cut."""
    trial = store.repository.prov_dir / f".shallow.{os.getpid()}.tmp"
    try:
        trial.write_text(_listing(cut))
        env = {"GIT_SHALLOW_FILE": str(trial)}
        walk = store.repository.git.call("rev-list", "--quiet", oid, env=env)
    finally:
        trial.unlink(missing_ok=True)
    return walk.returncode == 0


def _replace(repository: Repository, before: Collection[str], after: Collection[str]) -> None:
    """Replace git's list, unless a git is about to do so itself: then the next command does."""
    path = repository.common_dir / SHALLOW
    lock = path.with_name(f"{SHALLOW}.lock")
    announcement = announce(repository, {SHALLOW: None})
    with suppress(FileExistsError):
        lock.open("x").close()
        if repository.cut_commits() != before:
            lock.unlink()
        elif after:
            write_durably(lock, _listing(after).encode())
            lock.replace(path)
        else:  # an empty list would make it a shallow clone still
            path.unlink()
            lock.unlink()
    announcement.unlink(missing_ok=True)


def _listing(oids: Collection[str]) -> str:
    return "".join(f"{oid}\n" for oid in sorted(oids))
