"""Which files branches have changed since they left a history, for each of their states.

To compare each state with where it left takes as long as the branch is long, each time. What its
commits change tells as well, step by step. A set of paths is a number here, its signature: equal
sets have the same, and others practically never.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from gitprov.store.patch_ids import FileChange

# sqlite's integers are signed.
_BYTES = 7


class Commit(NamedTuple):
    """What this module asks of a commit."""

    oid: str
    parents: tuple[str, ...]


def signature(paths: Iterable[bytes]) -> int:
    """Return the signature of some paths, each given once."""
    found = 0
    for path in paths:
        found ^= int.from_bytes(blake2b(path, digest_size=_BYTES).digest(), "big")
    return found


def signatures(
    commits: Sequence[Commit],
    changes: Mapping[str, Sequence[FileChange]],
    roots: Collection[str],
) -> dict[tuple[str, str], int]:
    """Return, by where branches have left and their states, the signature of what differs.

    They have left at `roots` and wherever a parent is not among the commits, which come parents
    first. Beyond a merge nothing is told.
    """
    known = {commit.oid for commit in commits}
    children = Counter(parent for commit in commits for parent in commit.parents)
    ends: dict[str, _Chain] = {}
    found = {}
    for commit in commits:
        if len(commit.parents) != 1 or commit.oid not in changes:
            continue
        (parent,) = commit.parents
        if parent in roots or parent not in known:
            chain = _Chain(parent)
        elif parent in ends:
            chain = ends[parent].copied() if children[parent] > 1 else ends.pop(parent)
        else:
            continue
        chain.take(changes[commit.oid])
        ends[commit.oid] = chain
        found[chain.root, commit.oid] = chain.signature
    return found


class _Chain:
    """Commits one after the other, and in which files the last differs from where they begin."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.signature = 0
        self._first: dict[bytes, tuple[str, str]] = {}
        self._differing: set[bytes] = set()

    def copied(self) -> "_Chain":
        """Return the same, to be led on elsewhere."""
        other = _Chain(self.root)
        other.signature = self.signature
        other._first = dict(self._first)
        other._differing = set(self._differing)
        return other

    def take(self, changes: Iterable[FileChange]) -> None:
        """Lead it on by one commit."""
        for path, before, after in changes:
            differs = after != self._first.setdefault(path, before)
            if differs != (path in self._differing):
                self.signature ^= signature([path])
                self._differing ^= {path}
