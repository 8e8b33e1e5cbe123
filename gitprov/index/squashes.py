"""Squash merges: commits that change all that a branch has changed since it left a history.

Where the branch ended when it was merged is written nowhere: it may have gone on since, or be
gone. So each state of a branch with sources is compared, if it changes the files that a commit of
the history changes. A branch that goes on after such a merge, and is merged so once more, has left
the history at its own state of then.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gitprov.index.changed_paths import Commit, signatures
from gitprov.index.commits import CommitInfo, Commits

_DAY = 86400
# So many states of branches are looked at, ends of branches first.
_MAX_STATES = 5000
# So many of those of which it is not known what they change, as above a merge.
_MAX_UNKNOWN = 200
# A branch that has taken in others as often as that is no branch of somebody's work.
_MAX_BORDERS = 32
_MAX_MERGES_OF_A_BRANCH = 10


class Squash(NamedTuple):
    """A commit, and the state of a branch all of whose changes it holds."""

    merge: CommitInfo
    end: str


class _State(NamedTuple):
    """A state of a branch, and where it left the history: by now, or when it was last merged."""

    end: CommitInfo
    base: CommitInfo


def find_squashes(
    commits: Commits,
    candidates: Sequence[CommitInfo],
    patched: Mapping[str, Sequence[CommitInfo]],
    beyond: Mapping[str, CommitInfo],
    sources: Collection[str],
) -> dict[str, list[Squash]]:
    """Return those of the candidates that are squash merges, by the sources that went into them.

    `candidates` are commits of a history, parents first, and `patched` has them by their patch
    ids; `beyond` has the commits of branches that this history does not reach, parents first.
    """
    places = {commit.oid: number for number, commit in enumerate(candidates)}
    matching = _Matching(commits, candidates, patched, beyond, places)
    waiting = list(_states(commits, candidates, beyond, sources))
    matched: dict[_State, list[CommitInfo]] = {}
    for _ in range(_MAX_MERGES_OF_A_BRANCH):
        fresh = matching.merges(waiting)
        if not fresh:
            break
        matched |= fresh
        ends = {state.end.oid: state.end for state in matched}
        waiting = list(_since_merged(beyond, ends, [state.end for state in waiting]))
    by_end: dict[str, list[_State]] = defaultdict(list)
    for state in matched:
        by_end[state.end.oid].append(state)
    histories = {oid: _history(oid, beyond) for oid in by_end}
    found: dict[str, list[Squash]] = defaultdict(list)
    for state, merges in matched.items():
        held = histories[state.end.oid]
        merged = [other for oid in held & by_end.keys() - {state.end.oid} for other in by_end[oid]]
        # What the branch has taken in, or was merged before, is not part of this one.
        place = places.get(state.base.oid, -1)
        before = [
            histories[other.end.oid]
            for other in merged
            if other.end == state.base or places[matched[other][0].oid] <= place
        ]
        for oid in held.difference(*before).intersection(sources):
            found[oid] += [Squash(merge, state.end.oid) for merge in merges]
    return found


class _Matching:
    """The commits of a history, by what they change."""

    def __init__(
        self,
        commits: Commits,
        candidates: Sequence[CommitInfo],
        patched: Mapping[str, Sequence[CommitInfo]],
        beyond: Mapping[str, CommitInfo],
        places: Mapping[str, int],
    ) -> None:
        self._commits = commits
        self._patched = patched
        self._beyond = [Commit(oid, commit.parents) for oid, commit in beyond.items()]
        self._changes = commits.changes(list(beyond.values()))
        self._wanted = commits.signatures(candidates)
        self._places = places
        self._by_tree: dict[str, list[CommitInfo]] = defaultdict(list)
        for commit in candidates:
            if len(commit.parents) == 1:
                self._by_tree[commit.tree].append(commit)

    def merges(self, states: Sequence[_State]) -> dict[_State, list[CommitInfo]]:
        """Return the states that one commit stands for, and those commits, oldest first."""
        same = {state: self._by_tree.get(state.end.tree, ()) for state in states}
        below = {merge.oid: merge.parents[0] for found in same.values() for merge in found}
        parents = self._commits.present(below.values())
        series = self._commits.series(
            (state.end.tree, state.base.tree) for state in self._likely(states)
        )
        found = {}
        for state, merges in same.items():
            patch_id = series.get((state.end.tree, state.base.tree), "")
            by_tree = (
                merge
                for merge in merges
                if (parent := parents.get(below[merge.oid])) and parent.tree == state.base.tree
            )
            after = {
                merge.oid: merge
                for merge in (*by_tree, *self._patched.get(patch_id, ()))
                if merge.time >= state.base.time
            }
            if after:
                found[state] = sorted(after.values(), key=lambda merge: self._places[merge.oid])
        return found

    def _likely(self, states: Sequence[_State]) -> Iterator[_State]:
        """Yield the states that change the files that some commit changes."""
        told = signatures(self._beyond, self._changes, {state.base.oid for state in states})
        unknown = 0
        for state in states:
            known = told.get((state.base.oid, state.end.oid))
            unknown += known is None
            if known in self._wanted or (known is None and unknown <= _MAX_UNKNOWN):
                yield state


def _states(
    commits: Commits,
    candidates: Sequence[CommitInfo],
    beyond: Mapping[str, CommitInfo],
    sources: Collection[str],
) -> Iterator[_State]:
    """Yield the states of branches with sources that change anything, ends first."""
    related, parents = set[str](), set[str]()
    for commit in beyond.values():
        parents.update(commit.parents)
        if commit.oid in sources or not related.isdisjoint(commit.parents):
            related.add(commit.oid)
    # What was merged below a source is where the rest of its branch has left the history.
    for commit in reversed(list(beyond.values())):
        if commit.oid in related:
            related.update(parent for parent in commit.parents if parent in beyond)
    latest = max(commit.time for commit in candidates) + _DAY
    ends = [beyond[oid] for oid in related if beyond[oid].time <= latest]
    ends.sort(key=lambda commit: (commit.oid in parents, -commit.time, commit.oid))
    del ends[_MAX_STATES:]
    left = bases(commits, beyond, [end.oid for end in ends])
    for end in ends:
        base = left.get(end.oid)
        if base and base.tree != end.tree:
            yield _State(end, base)


def bases(
    commits: Commits, beyond: Mapping[str, CommitInfo], oids: Sequence[str]
) -> dict[str, CommitInfo]:
    """Return where commits of branches have left the history that `beyond` lies beyond."""
    borders = _borders(beyond)
    around = {found for oid in oids if (found := borders[oid])}
    nearest = {found: commits.nearest(found) for found in around}
    known = commits.present(oid for oid in nearest.values() if oid)
    left = {oid: known.get(nearest.get(borders[oid]) or "") for oid in oids}
    return {oid: base for oid, base in left.items() if base}


def _borders(beyond: Mapping[str, CommitInfo]) -> dict[str, frozenset[str]]:
    """Return, for each commit, where its history enters the one that `beyond` lies beyond."""
    borders: dict[str, frozenset[str]] = {}
    for oid, commit in beyond.items():
        above = [borders.get(parent, frozenset([parent])) for parent in commit.parents]
        found = above[0] if len(above) == 1 else frozenset[str]().union(*above)
        borders[oid] = found if len(found) <= _MAX_BORDERS else frozenset()
    return borders


def _since_merged(
    beyond: Mapping[str, CommitInfo], merged: Mapping[str, CommitInfo], ends: Iterable[CommitInfo]
) -> Iterator[_State]:
    """Yield the states of branches beyond the one that was merged last."""
    last: dict[str, str] = {}
    for oid, commit in beyond.items():
        below = next((last[parent] for parent in commit.parents if parent in last), None)
        if oid in merged:
            last[oid] = oid
        elif below:
            last[oid] = below
    for end in ends:
        base = merged.get(last.get(end.oid, ""))
        if base and base.tree != end.tree:
            yield _State(end, base)


def _history(tip: str, beyond: Mapping[str, CommitInfo]) -> set[str]:
    """Return the commits beyond that `tip` reaches, itself included."""
    reached, waiting = {tip}, [tip]
    while waiting:
        for parent in beyond[waiting.pop()].parents:
            if parent in beyond and parent not in reached:
                reached.add(parent)
                waiting.append(parent)
    return reached
