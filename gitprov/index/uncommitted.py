"""Runs from uncommitted changes, and the commits that were made of these later.

Both are what they are by the trees themselves, wherever the commit stands; nothing is inferred but
from a tree that is known to lack files.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from gitprov.index.commits import CommitInfo, Commits
from gitprov.index.origins import Origin, left_out, reads
from gitprov.model.source_link import SourceLink
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store


class CommittedLater:
    """Finds, among some commits, those that were made of uncommitted trees."""

    def __init__(
        self,
        store: Store,
        index: sqlite3.Connection,
        candidates: Sequence[CommitInfo],
        present: Mapping[str, CommitInfo],
    ) -> None:
        self._store = store
        self._index = index
        self._commits = Commits(store.repository.git, index)
        self._present = present
        self._children: dict[str | None, list[CommitInfo]] = defaultdict(list)
        self._by_tree: dict[str, list[CommitInfo]] = defaultdict(list)
        for commit in candidates:
            self._by_tree[commit.tree].append(commit)
            # A first commit comes after none.
            self._children[next(iter(commit.parents), None)].append(commit)

    def links(self, origin: Origin, since: int) -> Iterator[SourceLink]:
        """Yield the links of runs with uncommitted changes; `since` is the earliest time."""
        if origin.dirty and origin.tree is not None:
            yield from self._same(origin, origin.tree, since)
            yield from self._near(origin, origin.tree, since)

    def _same(self, origin: Origin, tree: str, since: int) -> Iterator[SourceLink]:
        source = self._present.get(origin.commit or "")
        if tree == (source.tree if source else EMPTY_TREE):
            return  # nothing that was captured differs from the commit itself
        files = left_out(self._store, self._index, origin) if origin.omitted else ()
        for commit in self._by_tree.get(tree, ()):
            if commit.time < (source.time if source else since):
                continue
            if origin.omitted:
                yield SourceLink(commit.oid, "same-tree", _via(origin, commit), files=files)
            else:
                yield SourceLink(commit.oid, "committed", _via(origin, commit), same_tree=True)

    def _near(self, origin: Origin, tree: str, since: int) -> Iterator[SourceLink]:
        children = [made for made in self._children.get(origin.commit, ()) if made.time >= since]
        if origin.omitted or not children:
            return
        known = reads(self._store, self._index, origin)
        if known is None:
            return
        for child in children:
            files = self._commits.differing(tree, child.tree)
            if files and known.isdisjoint(files):
                named = tuple(sorted(files))
                yield SourceLink(child.oid, "near", _via(origin, child), files=named)


def _via(origin: Origin, commit: CommitInfo) -> str:
    """Return by what a commit was found: the source, or itself where there was no commit."""
    return origin.commit or commit.oid
