"""Commits that were rewritten in this clone, and wait to be recorded.

The hook `post-rewrite` leaves a file for each rewrite in `<common dir>/prov/rewrites/`: the first
line says how, the others are git's own, `<old> <new>`. `git filter-repo` calls no hook; it leaves
a map of its own, which counts as such a file whenever it has changed, and when runs have come in
that it may concern: it is best used in a fresh clone.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitprov.errors import InputError
from gitprov.model.rewrite import Replacement
from gitprov.store.rebase_log import without_skipped
from gitprov.store.refs import REMOTE, list_refs
from gitprov.store.repository import Repository

_PAIR = re.compile(r"(?P<old>[0-9a-f]{40}) (?P<new>[0-9a-f]{40})(?: |\Z)")
_DROPPED = "0" * 40
_FILTER_REPO_MAP = "filter-repo/commit-map"
_WORD = re.compile(r"[a-z-]{1,32}\Z")


@dataclass(frozen=True, slots=True)
class WaitingRewrite:
    """Commits that were rewritten together, and the file that says so.

    `stamp` is there for a file that is not ours to remove: it is remembered instead.
    """

    how: str
    commits: tuple[Replacement, ...]
    path: Path
    stamp: str | None = None


def rewrites_wait(repository: Repository) -> bool:
    """Say whether anything waits. Nearly always nothing, and that costs two look-ups."""
    try:
        names = os.listdir(repository.prov_dir / "rewrites")  # noqa: PTH208 -- names are wanted
    except OSError:
        names = []
    waits = any(name.endswith(".pairs") for name in names)
    return waits or _filter_repo_stamp(repository) is not None


def waiting_rewrites(repository: Repository) -> list[WaitingRewrite]:
    """Return what waits, the oldest first."""
    found = []
    for path in _by_age((repository.prov_dir / "rewrites").glob("*.pairs")):
        with suppress(FileNotFoundError):  # somebody else has taken it in
            how, _, pairs = path.read_text("ascii", "replace").partition("\n")
            how = how.strip() if _WORD.match(how.strip()) else "rewrite"
            commits = list(_pairs(pairs))
            if how == "rebase":
                commits = without_skipped(repository, commits)
            found.append(WaitingRewrite(how, tuple(commits), path))
    return [*found, *_filter_repo_map(repository)]


def read_map(path: Path) -> tuple[Replacement, ...]:
    """Return the pairs in a file with a line `<old> <new>` for each commit.

    Lines of another form are left out, as headings are. Raises InputError.
    """
    try:
        found = tuple(_pairs(path.read_text("ascii", "replace")))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not found:
        raise InputError(f"{path} has no line with two full commit ids: the old and the new one")
    return found


def settle(repository: Repository, rewrite: WaitingRewrite) -> None:
    """Let a rewrite that was taken in wait no longer."""
    if rewrite.stamp is None:
        rewrite.path.unlink(missing_ok=True)
    else:
        (repository.prov_dir / "filter-repo-map").write_text(rewrite.stamp)


def _filter_repo_map(repository: Repository) -> Iterator[WaitingRewrite]:
    if stamp := _filter_repo_stamp(repository):
        path = repository.common_dir / _FILTER_REPO_MAP
        pairs = tuple(_pairs(path.read_text("ascii", "replace")))
        yield WaitingRewrite("filter-repo", pairs, path, stamp)


def _filter_repo_stamp(repository: Repository) -> str | None:
    """Return what tells the map as it is from what was taken in; None where it was, or is none."""
    try:
        status = (repository.common_dir / _FILTER_REPO_MAP).stat()
    except OSError:
        return None
    fetched = hashlib.sha256(repr(list_refs(repository.git, REMOTE)).encode()).hexdigest()
    stamp = f"{status.st_mtime_ns} {status.st_size} {fetched}\n"
    with suppress(OSError):
        if (repository.prov_dir / "filter-repo-map").read_text() == stamp:
            return None
    return stamp


def _pairs(text: str) -> Iterator[Replacement]:
    for line in text.splitlines():
        if (match := _PAIR.match(line)) and match["old"] != match["new"]:
            new = match["new"]
            yield Replacement(old=match["old"], new=None if new == _DROPPED else new)


def _by_age(paths: Iterator[Path]) -> list[Path]:
    aged = []
    for path in paths:
        with suppress(FileNotFoundError):
            aged.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(aged)]
