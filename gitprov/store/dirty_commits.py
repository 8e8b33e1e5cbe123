"""The commits on which dirty runs were captured: an empty file each, named by the commit.

Zeros are the name of none: on a branch that has no commit yet.

A hook sees by them, without starting Python, that a commit just made may be what such a run was
made from. They are hints: without them the same is found later. The oldest go when there are many.
"""

import os
from contextlib import suppress

from gitprov.store.repository import Repository

MAX_COMMITS = 1000
_FOLDER = "dirty"
_ID_LETTERS = 40
_NO_COMMIT = "0" * _ID_LETTERS


def mark_dirty(repository: Repository, commit: str | None) -> None:
    """Note that a dirty run was captured on a commit; where that cannot be done, nothing is."""
    path = repository.prov_dir / _FOLDER / (commit or _NO_COMMIT)
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        known = path.exists()
        path.touch()  # also one that is there: it is the newest now
        if not known:
            _remove_oldest(repository)


def is_dirty(repository: Repository, commit: str) -> bool:
    """Say whether a dirty run was captured on a commit, as far as is known."""
    return (repository.prov_dir / _FOLDER / commit).exists()


def dirty_commits(repository: Repository) -> list[str]:
    """Return the commits that are marked, in no order."""
    try:
        names = os.listdir(repository.prov_dir / _FOLDER)  # noqa: PTH208 -- names alone are wanted
    except OSError:
        return []
    return [name for name in names if len(name) == _ID_LETTERS]


def _remove_oldest(repository: Repository) -> None:
    commits = dirty_commits(repository)
    if len(commits) <= MAX_COMMITS:
        return
    ages = {}
    for commit in commits:
        path = repository.prov_dir / _FOLDER / commit
        with suppress(OSError):  # another process does the same
            ages[path] = path.stat().st_mtime_ns
    for path in sorted(ages, key=ages.__getitem__)[: len(commits) - MAX_COMMITS]:
        path.unlink(missing_ok=True)
