"""Where the sources of runs went: which later commits stand for them.

The kinds of links are those of `gitprov.model.source_link`.
Nothing of this is stored: it follows from the ledger and the commits that are in this clone.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from gitprov.codec.records import decode_record
from gitprov.index.commits import CommitInfo, Commits
from gitprov.model.run import RUN_SCHEMA, Run
from gitprov.model.source_link import SourceLink, Step
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store

_DAY = 86400
# How much older than a run its source may be, where the source is not here to be asked.
_SOURCE_AGE = 30 * _DAY
# So many branches are compared as a whole with commits that may be squash merges of them.
_MAX_SERIES = 100


class Origin(NamedTuple):
    """A commit and tree that runs were made from."""

    commit: str
    tree: str | None
    dirty: bool
    patch_id: str | None
    series_patch: str | None
    started_ns: int


class Links:
    """Links of one repository, as the index and the commits in this clone have them."""

    def __init__(self, store: Store, index: sqlite3.Connection) -> None:
        self._store = store
        self._index = index
        self._commits = Commits(store.repository.git, index)

    def into(
        self, origins: Sequence[Origin], revisions: Sequence[str], tips: Sequence[str]
    ) -> dict[Origin, list[SourceLink]]:
        """Return what stands for origins among the commits of `revisions`, the surest first.

        `tips` are the commits that the revisions begin at. An origin that they reach is not
        searched for by inference: it is in that history itself.
        """
        found = {origin: links for origin, links in self._search(origins, revisions, tips) if links}
        return {
            origin: sorted(links, key=lambda link: link.sureness) for origin, links in found.items()
        }

    def branches(self, *, holding: str | None = None, without: str | None = None) -> dict[str, str]:
        """Return the ends of branches, here and at remotes, that hold a commit or do not."""
        return self._commits.branches(holding=holding, without=without)

    def main_branches(self) -> list[str]:
        """Return where HEAD is and where the main branches end, each commit once."""
        remote = f"refs/remotes/{self._store.repository.config.main_remote()}"
        return self._commits.ends_of([
            "HEAD", f"{remote}/HEAD",
            *[f"{where}/{name}" for where in ("refs/heads", remote) for name in ("main", "master")],
        ])  # fmt: skip

    def present(self, commits: Sequence[str]) -> list[str]:
        """Return those of the commits that are in this clone."""
        return list(self._commits.present(commits))

    def rewritten(self, origins: Sequence[Origin]) -> dict[Origin, list[SourceLink]]:
        """Return the commits in this clone that took the place of sources, on a branch or not."""
        standing = self._standing_for({origin.commit for origin in origins})
        present = self._commits.present(oid for ways in standing.values() for oid in ways)
        return {
            origin: [
                SourceLink(place, "rewritten", place, steps)
                for place, steps in standing[origin.commit].items()
                if steps and place in present
            ]
            for origin in origins
        }

    def _search(
        self, origins: Sequence[Origin], revisions: Sequence[str], tips: Sequence[str]
    ) -> Iterator[tuple[Origin, list[SourceLink]]]:
        if not origins:
            return
        standing = self._standing_for({origin.commit for origin in origins})
        places = {oid for ways in standing.values() for oid in ways}
        present = self._commits.present(places)
        times = [
            present[origin.commit].time
            if origin.commit in present
            else origin.started_ns // 1_000_000_000 - _SOURCE_AGE
            for origin in origins
        ]
        candidates = self._commits.since(min(times) - _DAY, revisions)
        if not candidates:
            return
        beyond = self._commits.beyond(present, tips)
        if loose := [oid for oid in present if oid in beyond]:
            # A branch may have gone on from them before it was merged, without another run.
            ends = self._commits.branches_around(loose)
            beyond = self._commits.beyond([*loose, *ends], tips)
        search = _Search(self._commits, candidates, tips, present, beyond)
        near = self._near(origins, candidates)
        for origin in origins:
            links = list(near.get(origin, ()))
            for place, steps in standing[origin.commit].items():
                links += search.links(origin, place, steps)
            yield origin, list(dict.fromkeys(links))

    def _standing_for(self, sources: Iterable[str]) -> dict[str, dict[str, tuple[Step, ...]]]:
        """Return, for each commit, itself and those that took its place, with the steps there."""
        edges: dict[str, list[Step]] = defaultdict(list)
        for old, *step in self._index.execute(
            "SELECT old, how, new, record, made_ns, agent FROM rewrites"
            " WHERE new IS NOT NULL ORDER BY made_ns, record"
        ):
            edges[old].append(Step(*step))
        standing = {}
        for source in sources:
            ways: dict[str, tuple[Step, ...]] = {source: ()}
            waiting = [source]
            while waiting:
                old = waiting.pop()
                for step in edges.get(old, ()):
                    if step.new not in ways:
                        ways[step.new] = (*ways[old], step)
                        waiting.append(step.new)
            standing[source] = ways
        return standing

    def _near(
        self, origins: Sequence[Origin], candidates: Sequence[CommitInfo]
    ) -> dict[Origin, list[SourceLink]]:
        """Return the commits that differ from uncommitted trees in files that no run has read."""
        children: dict[str, list[CommitInfo]] = defaultdict(list)
        for commit in candidates:
            for parent in commit.parents[:1]:
                children[parent].append(commit)
        found: dict[Origin, list[SourceLink]] = defaultdict(list)
        for origin in origins:
            if not origin.dirty or origin.tree is None:
                continue
            for child in children.get(origin.commit, ()):
                if child.tree == origin.tree or (reads := self._reads(origin)) is None:
                    continue
                files = self._commits.differing(origin.tree, child.tree)
                if files is not None and not reads.intersection(files):
                    link = SourceLink(child.oid, "near", origin.commit, files=tuple(sorted(files)))
                    found[origin].append(link)
        return found

    def _reads(self, origin: Origin) -> frozenset[str] | None:
        """Return what runs from an uncommitted tree have read, None where that is not known."""
        rows = self._index.execute(
            "SELECT blob FROM runs WHERE source_commit = ? AND source_tree = ? AND dirty",
            [origin.commit, origin.tree],
        ).fetchall()
        reads: set[str] = set()
        for found in self._store.objects.read_many([row[0] for row in rows]):
            if found is None:
                return None
            run: Run = decode_record(RUN_SCHEMA, found.data).record
            if run.source is None or not run.source.reads:
                return None
            reads.update(
                path if isinstance(path, str) else path.decode("utf-8", "surrogateescape")
                for path in run.source.reads
            )
        return frozenset(reads)


class _Search:
    """One search: the commits that may stand for sources, by all that they are found by."""

    def __init__(
        self,
        commits: Commits,
        candidates: Sequence[CommitInfo],
        tips: Sequence[str],
        present: Mapping[str, CommitInfo],
        beyond: Mapping[str, CommitInfo],
    ) -> None:
        self._commits = commits
        self._candidates = {commit.oid: commit for commit in candidates}
        self._tips = tips
        self._present = present
        self._beyond = beyond
        self._by_tree: dict[str, list[CommitInfo]] = defaultdict(list)
        for commit in candidates:
            if commit.tree != EMPTY_TREE:
                self._by_tree[commit.tree].append(commit)
        self._patches: Mapping[str, list[CommitInfo]] | None = None
        self._own_patches: Mapping[str, str] | None = None
        self._squashed: Mapping[str, list[SourceLink]] | None = None

    def links(self, origin: Origin, place: str, steps: tuple[Step, ...]) -> Iterator[SourceLink]:
        """Yield the links of an origin by way of one commit that stands for it."""
        if steps and place in self._candidates:
            known = None if origin.dirty or origin.tree is None else origin.tree
            same = self._candidates[place].tree == known if known else None
            yield SourceLink(place, "rewritten", place, steps, same_tree=same)
        if origin.dirty and not steps and origin.tree:
            for commit in self._later(self._by_tree.get(origin.tree, ()), place):
                yield SourceLink(commit.oid, "committed", place, same_tree=True)
        if place in self._present and place not in self._beyond:
            return  # it is in this history itself
        yield from self._inferred(origin, place, steps)

    def _inferred(
        self, origin: Origin, place: str, steps: tuple[Step, ...]
    ) -> Iterator[SourceLink]:
        tree = self._present[place].tree if place in self._present else None
        if tree is None and not steps and not origin.dirty:
            tree = origin.tree
        if tree and (same := self._by_tree.get(tree)):
            for commit in same:
                known = None if origin.dirty or steps else True
                yield SourceLink(commit.oid, "same-tree", place, steps, same_tree=known)
            return
        # What a squash merge holds is told by branches as a whole, before single commits are.
        patch_id = self._patch_id(place) or (None if steps else origin.patch_id)
        if patch_id and (same := self._patched().get(patch_id)):
            yield from (SourceLink(commit.oid, "same-patch", place, steps) for commit in same)
            return
        if squashed := self._squashes().get(place):
            yield from (SourceLink(link.commit, "squash", link.via, steps) for link in squashed)
        elif not steps and origin.series_patch:
            for commit in self._patched().get(origin.series_patch, ()):
                yield SourceLink(commit.oid, "squash", place)

    def _later(self, commits: Iterable[CommitInfo], place: str) -> Iterator[CommitInfo]:
        """Yield commits but for those that were there before a source was."""
        since = self._present[place].time if place in self._present else 0
        return (commit for commit in commits if commit.time >= since)

    def _patched(self) -> Mapping[str, list[CommitInfo]]:
        """Return the candidates by patch id."""
        if self._patches is None:
            by_patch = defaultdict(list)
            for oid, patch_id in self._commits.patch_ids(list(self._candidates.values())).items():
                by_patch[patch_id].append(self._candidates[oid])
            self._patches = by_patch
        return self._patches

    def _patch_id(self, place: str) -> str | None:
        if self._own_patches is None:
            outside = [commit for oid, commit in self._present.items() if oid in self._beyond]
            self._own_patches = self._commits.patch_ids(outside)
        return self._own_patches.get(place)

    def _squashes(self) -> Mapping[str, list[SourceLink]]:
        """Return squash merges, by the commits that went into them."""
        if self._squashed is None:
            squashed: dict[str, list[SourceLink]] = defaultdict(list)
            for tip in self._ends():
                merges = self._by_tree.get(tip.tree, [])
                if not merges and (patch_id := self._commits.series(tip.oid, self._tips)):
                    merges = self._patched().get(patch_id, [])
                for merge in merges:
                    for oid in self._history(tip.oid):
                        squashed[oid].append(SourceLink(merge.oid, "squash", tip.oid))
            self._squashed = squashed
        return self._squashed

    def _ends(self) -> list[CommitInfo]:
        """Return the commits that a branch with our sources may have ended at, newest first.

        Every commit that reaches one may be such: branches go on after a merge, or are deleted.
        """
        newest = sorted(self._beyond.values(), key=lambda commit: -commit.time)
        ends = (end for end in newest if not self._history(end.oid).isdisjoint(self._present))
        return list(islice(ends, _MAX_SERIES))

    def _history(self, tip: str) -> set[str]:
        """Return the commits that `tip` reaches beyond the tips of the search, itself included."""
        reached, waiting = {tip}, [tip]
        while waiting:
            for parent in self._beyond[waiting.pop()].parents:
                if parent in self._beyond and parent not in reached:
                    reached.add(parent)
                    waiting.append(parent)
        return reached
