"""What a rebase has really made, by the log that git keeps of HEAD.

Git tells the hook post-rewrite of each commit that a rebase has dealt with, and so of those that
were skipped or have become empty: named as the new one is whatever HEAD was at. A run would be
linked, as if for sure, to a commit that has nothing to do with it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from gitprov.model.rewrite import Replacement
from gitprov.store.repository import Repository

# What the whole is called is up to $GIT_REFLOG_ACTION: rebase, pull --rebase, anything.
_LINE = re.compile(
    rb"(?P<old>[0-9a-f]{40}) (?P<new>[0-9a-f]{40}) [^\t]*\t"
    rb"(?:(?:(?!: ).)+? \((?P<action>start|squash|fixup|continue)\): )?"
)
_COMBINING = frozenset({b"squash", b"fixup", b"continue"})


class _Move(NamedTuple):
    """A step of HEAD, and what git did there."""

    old: str
    new: str
    action: bytes | None


# The steps of one rebase, by where they led.
_Rebase = dict[str, _Move]


def without_skipped(repository: Repository, pairs: Sequence[Replacement]) -> list[Replacement]:
    """Return the pairs of a rebase but for those of skipped commits.

    Where no log tells, these are pairs with a new commit that has the author of none of its old
    ones: HEAD was at somebody else's.
    """
    new = {pair.new for pair in pairs if pair.new}
    steps = next((found for found in _rebases(repository) if new <= found.keys()), None)
    if steps is None:
        made = _with_author_of_old(repository, pairs)
        return [pair for pair in pairs if pair.new is None or pair.new in made]
    kept = []
    seen = Counter[str]()
    for pair in pairs:
        if pair.new is not None:
            seen[pair.new] += 1
            if seen[pair.new] > _made_of(repository, steps, pair.new):
                continue
        kept.append(pair)
    return kept


def _made_of(repository: Repository, steps: _Rebase, new: str) -> int:
    """Return of how many commits one was made; of none where HEAD just came by."""
    count = 0
    while (move := steps.get(new)) and move.action != b"start":
        count += 1
        if not _combines(repository, move):
            return count
        new = move.old
    return count + 1 if count else 0


def _with_author_of_old(repository: Repository, pairs: Sequence[Replacement]) -> set[str]:
    """Return the new commits that have the author and date of one that they took the place of."""
    oids = {oid for pair in pairs for oid in (pair.old, pair.new) if oid}
    listed = repository.git.call(
        "rev-list", "--no-walk", "--ignore-missing", "--no-commit-header",
        "--format=%H %at %ae %an", "--stdin", stdin="".join(f"{oid}\n" for oid in oids).encode(),
    )  # fmt: skip
    authors = dict(line.split(b" ", 1) for line in listed.stdout.splitlines())
    by = {oid: authors.get(oid.encode()) for oid in oids}
    return {pair.new for pair in pairs if pair.new and by[pair.new] == by[pair.old]}


def _combines(repository: Repository, move: _Move) -> bool:
    """Say whether a step took the place of the one before it, which it was made of, too."""
    if move.action not in _COMBINING:
        return False
    if move.action != b"continue":
        return True
    listed = repository.git.call("rev-list", "--no-walk", "--parents", move.old, move.new)
    parents = [line.split()[1:] for line in listed.stdout.splitlines()]
    return len(parents) == 2 and parents[0] == parents[1]  # noqa: PLR2004


def _rebases(repository: Repository) -> Iterator[_Rebase]:
    """Yield the rebases in this clone's work trees, the latest of each first."""
    common = repository.common_dir
    for path in (common / "logs/HEAD", *common.glob("worktrees/*/logs/HEAD")):
        found: list[_Rebase] = []
        with suppress(OSError):
            for line in path.read_bytes().splitlines():
                match = _LINE.match(line)
                if match is None:
                    continue
                old, new = match["old"].decode("ascii"), match["new"].decode("ascii")
                if match["action"] == b"start":
                    found.append({})
                # Where HEAD was led to again, it was made before.
                if found and not line.endswith(b": fast-forward"):
                    found[-1].setdefault(new, _Move(old, new, match["action"]))
        yield from reversed(found)
