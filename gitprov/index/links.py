"""Where the sources of runs went: which later commits stand for them.

The kinds of links are those of `gitprov.model.source_link`.
Nothing of this is stored: it follows from the ledger and the commits that are in this clone.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from gitprov.index.commits import CommitInfo, Commits
from gitprov.index.origins import Origin
from gitprov.index.squashes import Squash, bases, find_squashes
from gitprov.index.uncommitted import CommittedLater
from gitprov.model.source_link import SourceLink, Step
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store

_DAY = 86400
# How much older than a run its source may be, where the source is not here to be asked.
_SOURCE_AGE = 30 * _DAY


class Links:
    """Links of one repository, as the index and the commits in this clone have them."""

    def __init__(self, store: Store, index: sqlite3.Connection) -> None:
        self._store = store
        self._index = index
        self._commits = Commits(store.repository.git, index)

    def into(
        self,
        origins: Sequence[Origin],
        revisions: Sequence[str],
        tips: Sequence[str],
        sources: Iterable[str] = (),
    ) -> dict[Origin, list[SourceLink]]:
        """Return what stands for origins among the commits of `revisions`, the surest first.

        A commit is named once, for what is surest. `tips` are the commits that the revisions begin
        at. An origin that they reach is not searched for by inference: it is in that history
        itself. `sources` are those of other runs: a branch may be known by them alone.
        """
        wanted = None
        found = {}
        for origin, links in self._search(origins, tips, sources):
            if links and wanted is None and list(revisions) != list(tips):
                wanted = self._commits.among(revisions)
            inside = [link for link in links if wanted is None or link.commit in wanted]
            if inside:
                found[origin] = surest(inside)
        return found

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

    def apart(self, commits: Collection[str], tips: Sequence[str]) -> list[str]:
        """Return those of the commits that are in this clone and that `tips` do not reach."""
        beyond = self._commits.beyond(self._commits.present(commits), tips)
        return [oid for oid in beyond if oid in commits]

    def rewritten(self, origins: Sequence[Origin]) -> dict[Origin, list[SourceLink]]:
        """Return the commits in this clone that took the place of sources, on a branch or not."""
        standing = self._standing_for(origin.commit for origin in origins)
        present = self._commits.present(oid for ways in standing.values() for oid in ways)
        found = {
            origin: [
                _rewritten(origin, present[place], steps)
                for place, steps in standing[origin.commit].items()
                if steps and place in present
            ]
            for origin in origins
        }
        return {origin: links for origin, links in found.items() if links}

    def _search(
        self,
        origins: Sequence[Origin],
        tips: Sequence[str],
        sources: Iterable[str],
    ) -> Iterator[tuple[Origin, list[SourceLink]]]:
        """Yield origins with all that stands for them in the history of `tips`."""
        if not origins:
            return
        standing = self._standing_for(origin.commit for origin in origins)
        places = {oid for ways in standing.values() for oid in ways}
        known = self._commits.present(places.union(sources))
        present = {oid: known[oid] for oid in places if oid in known}
        beyond = self._outside(present, known, tips)
        since = {origin: _since(origin, standing[origin.commit], present) for origin in origins}
        candidates = self._candidates(since.values(), present, beyond, tips)
        if not candidates:
            return
        search = _Search(self._commits, candidates, present, beyond, known.keys())
        later = CommittedLater(self._store, self._index, candidates, present)
        for origin in origins:
            links = list(later.links(origin, since[origin]))
            for place, steps in standing[origin.commit].items():
                links += search.links(origin, place, steps, since[origin])
            yield origin, links

    def _outside(
        self, present: Iterable[str], known: Iterable[str], tips: Sequence[str]
    ) -> dict[str, CommitInfo]:
        """Return the commits of branches that the history of `tips` lacks, parents first.

        They are those with `present`, if it lacks any of these. A branch may have gone on from
        there before it was merged, with other sources (`known`) or none.
        """
        beyond = self._commits.beyond(present, tips)
        loose = [oid for oid in present if oid in beyond]
        if not loose:
            return beyond
        ends = self._commits.branches_around(loose)
        return self._commits.beyond([*loose, *ends, *known], tips)

    def _candidates(
        self,
        since: Iterable[int],
        present: Iterable[str],
        beyond: Mapping[str, CommitInfo],
        tips: Sequence[str],
    ) -> list[CommitInfo]:
        """Return the commits of a history that may stand for sources, parents first.

        They are those since the first source was made, or since the branch of one has left.
        """
        loose = [oid for oid in present if oid in beyond]
        left = (base.time for base in bases(self._commits, beyond, loose).values())
        return self._commits.since(min([*since, *left]), tips)

    def _standing_for(
        self, sources: Iterable[str | None]
    ) -> dict[str | None, dict[str, tuple[Step, ...]]]:
        """Return, for each commit, itself and those that took its place, with the steps there.

        Nothing stands for a source that is no commit.
        """
        edges: dict[str, list[Step]] = defaultdict(list)
        for old, *step in self._index.execute(
            "SELECT old, how, new, record, made_ns, agent FROM rewrites"
            " WHERE new IS NOT NULL ORDER BY made_ns, record"
        ):
            edges[old].append(Step(*step))
        standing: dict[str | None, dict[str, tuple[Step, ...]]] = {None: {}}
        for source in {oid for oid in sources if oid}:
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


class _Search:
    """One search: the commits that may stand for sources, by all that they are found by."""

    def __init__(
        self,
        commits: Commits,
        candidates: Sequence[CommitInfo],
        present: Mapping[str, CommitInfo],
        beyond: Mapping[str, CommitInfo],
        sources: Collection[str],
    ) -> None:
        self._commits = commits
        self._sources = sources
        self._candidates = {commit.oid: commit for commit in candidates}
        self._present = present
        self._beyond = beyond
        self._by_tree: dict[str, list[CommitInfo]] = defaultdict(list)
        for commit in candidates:
            if commit.tree != EMPTY_TREE:
                self._by_tree[commit.tree].append(commit)

    def links(
        self, origin: Origin, place: str, steps: tuple[Step, ...], since: int
    ) -> Iterator[SourceLink]:
        """Yield the links of an origin by way of one commit that stands for it."""
        if steps and place in self._candidates:
            yield _rewritten(origin, self._candidates[place], steps)
        if place in self._present and place not in self._beyond:
            return  # it is in this history itself
        for link in self._inferred(origin, place, steps):
            if self._candidates[link.commit].time >= since:
                yield link

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
        patch_id = self._own_patches.get(place) or (None if steps else origin.patch_id)
        if patch_id and (same := self._patched.get(patch_id)):
            yield from (SourceLink(commit.oid, "same-patch", place, steps) for commit in same)
            return
        if squashed := self._squashed.get(place):
            yield from (
                SourceLink(found.merge.oid, "squash", found.end, steps) for found in squashed
            )
        elif not steps and origin.series_patch:
            for commit in self._patched.get(origin.series_patch, ()):
                yield SourceLink(commit.oid, "squash", place)

    @cached_property
    def _patched(self) -> Mapping[str, list[CommitInfo]]:
        """The candidates by patch id."""
        by_patch = defaultdict(list)
        for oid, patch_id in self._commits.patch_ids(list(self._candidates.values())).items():
            by_patch[patch_id].append(self._candidates[oid])
        return by_patch

    @cached_property
    def _own_patches(self) -> Mapping[str, str]:
        """The patch ids of sources outside this history."""
        outside = [commit for oid, commit in self._present.items() if oid in self._beyond]
        return self._commits.patch_ids(outside)

    @cached_property
    def _squashed(self) -> Mapping[str, list[Squash]]:
        """Squash merges, by the sources that went into them."""
        return find_squashes(
            self._commits,
            list(self._candidates.values()),
            self._patched,
            self._beyond,
            self._sources,
        )


def surest(links: Iterable[SourceLink]) -> list[SourceLink]:
    """Return the links, each commit once, the surest first."""
    found: dict[str, SourceLink] = {}
    for link in sorted(links, key=lambda link: link.sureness):
        found.setdefault(link.commit, link)
    return list(found.values())


def _rewritten(origin: Origin, place: CommitInfo, steps: tuple[Step, ...]) -> SourceLink:
    same = None if origin.dirty or origin.tree is None else place.tree == origin.tree
    return SourceLink(place.oid, "rewritten", place.oid, steps, same_tree=same)


def _since(origin: Origin, places: Iterable[str], present: Mapping[str, CommitInfo]) -> int:
    """Return when a commit that stands for an origin may have been made, at the earliest."""
    started = origin.started_ns // 1_000_000_000
    if origin.commit is None:
        return started
    times = [present[oid].time for oid in places if oid in present]
    if origin.commit not in present:
        times.append(started - _SOURCE_AGE)
    return min(times) - _DAY
