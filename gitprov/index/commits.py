"""What links between runs and later commits are found by: trees, dates, parents, patch ids.

All of it is asked of git in bulk, and nothing is fetched for it. Patch ids cost a diff each and
never change, so those that were made once are kept in the index.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from gitprov.errors import GitFailed
from gitprov.index.changed_paths import signature
from gitprov.index.database import fill
from gitprov.store.git import Git
from gitprov.store.patch_ids import (
    FileChange,
    content_sizes,
    diffing,
    file_changes,
    patch_ids,
    series_patch_ids,
)

_FORMAT = "--format=%H %T %ct %P"
# So many diffs are made for one question, of the newest commits: a second or so for 1,000.
MAX_PATCHES = 5000
# Commits that change more than that, before and after, are not compared: it takes seconds each.
MAX_BYTES = 64 << 20
# Git stops where commits become older than asked for, and dates are not always in order.
_DISORDER = 365 * 86400
_MAX_ASKED = 500
_BRANCHES = ("refs/heads", "refs/remotes")


class CommitInfo(NamedTuple):
    """A commit, its tree, when it was made (seconds since the epoch), and its parents."""

    oid: str
    tree: str
    time: int
    parents: tuple[str, ...]


class Commits:
    """Commits of one repository."""

    def __init__(self, git: Git, index: sqlite3.Connection) -> None:
        self._git = diffing(git)
        self._index = index

    def since(self, time: int, tips: Sequence[str]) -> list[CommitInfo]:
        """Return the commits that `tips` reach and that were made since a time, parents first."""
        options = ("--topo-order", "--reverse", f"--max-age={max(0, time - _DISORDER)}")
        return [commit for commit in self._list(*options, names=tips) if commit.time >= time]

    def among(self, revisions: Sequence[str]) -> set[str]:
        """Return the commits of revisions and ranges."""
        output = self._git.run("rev-list", "--stdin", stdin=_lines(revisions))
        return set(output.decode("ascii", "replace").split())

    def beyond(self, tips: Iterable[str], known: Iterable[str]) -> dict[str, CommitInfo]:
        """Return the commits that `tips` reach and `known` do not, by id, parents first."""
        names = [*tips, *(f"^{oid}" for oid in known)]
        return {found.oid: found for found in self._list("--topo-order", "--reverse", names=names)}

    def present(self, oids: Iterable[str]) -> dict[str, CommitInfo]:
        """Return those of the commits that are in this clone."""
        # The second option keeps git from fetching them.
        options = ("--ignore-missing", "--missing=allow-promisor", "--no-walk=unsorted")
        return {found.oid: found for found in self._list(*options, names=sorted(set(oids)))}

    def patch_ids(self, commits: Sequence[CommitInfo]) -> dict[str, str]:
        """Return the patch ids of commits that have one: of the newest where there are many."""
        plain = [commit.oid for commit in commits if len(commit.parents) < 2]  # noqa: PLR2004
        found = self._kept(plain)
        fresh = [oid for oid in plain if oid not in found][-MAX_PATCHES:]
        found |= self._make(patch_ids, {oid: oid for oid in fresh})
        return {oid: patch_id for oid, patch_id in found.items() if patch_id}

    def series(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return, for trees and the trees that are their bases, the patch ids of the difference."""
        names = {f"{base}..{tree}": (tree, base) for tree, base in pairs}
        found = self._kept(list(names))
        fresh = [pair for name, pair in names.items() if name not in found]
        while fresh:
            batch = dict(fresh)  # git names each difference by the tree alone
            found |= self._make(
                series_patch_ids,
                {f"{base}..{tree}": f"{tree} {base}" for tree, base in batch.items()},
            )
            fresh = [(tree, base) for tree, base in fresh if batch[tree] != base]
        return {names[name]: patch_id for name, patch_id in found.items() if patch_id}

    def signatures(self, commits: Iterable[CommitInfo]) -> set[int]:
        """Return the signatures of what commits change, of those whose patch ids were made."""
        fill(self._index, "asked", (commit.oid for commit in commits))
        rows = self._index.execute("SELECT paths FROM patches JOIN temp.asked USING (name)")
        return {row[0] for row in rows}

    def changes(self, commits: Sequence[CommitInfo]) -> dict[str, list[FileChange]]:
        """Return the files that commits change; of none where a folder is not here."""
        with suppress(GitFailed):
            return file_changes(self._git, [commit.oid for commit in commits])
        return {}

    def nearest(self, commits: Iterable[str]) -> str | None:
        """Return the one of the commits that reaches all others; None where there is no such."""
        oids = sorted(commits)
        if len(oids) < 2:  # noqa: PLR2004
            return next(iter(oids), None)
        found = self._git.call("merge-base", "--independent", *oids).stdout.split()
        return found[0].decode("ascii") if len(found) == 1 else None

    def branches(self, *, holding: str | None = None, without: str | None = None) -> dict[str, str]:
        """Return branches, here and at remotes, and where they end: that hold a commit, or do not.

        All where no commit is given. One that is not here is held by none.
        """
        which = [f"--contains={holding}"] if holding else []
        which += [f"--no-contains={without}"] if without else []
        listed = self._git.call(
            "for-each-ref", "--format=%(objectname) %(symref) %(refname:short)", *which, *_BRANCHES
        )
        if listed.returncode != 0:
            if not without:
                return {}
            return self.branches()
        lines = (line.split(" ", 2) for line in os.fsdecode(listed.stdout).splitlines())
        return {name: oid for oid, symbolic, name in lines if not symbolic}

    def branches_around(self, commits: Sequence[str]) -> list[str]:
        """Return the ends of branches that hold one of the commits, and where HEAD was lately."""
        containing = [f"--contains={oid}" for oid in commits[:_MAX_ASKED]]
        branches = self._git.call("for-each-ref", "--format=%(objectname)", *containing, *_BRANCHES)
        # Fails where there is no reflog, as in a bare repository.
        lately = self._git.call("log", "-g", "--format=%H", f"--max-count={_MAX_ASKED}", "HEAD")
        return list(dict.fromkeys((branches.stdout + lately.stdout).decode("ascii").split()))

    def ends_of(self, refs: Sequence[str]) -> list[str]:
        """Return the commits that refs lead to, each once, of those that are there."""
        names = "".join(f"{ref}^{{commit}}\n" for ref in refs).encode()
        answers = self._git.run(
            "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=names
        )
        lines = answers.decode("utf-8", "replace").splitlines()
        return list(dict.fromkeys(line.split()[0] for line in lines if line.endswith(" commit")))

    def differing(self, tree: str, other: str) -> set[str] | None:
        """Return the files in which two trees differ, None where one of them is not here."""
        found = self._git.call("diff-tree", "-r", "-z", "--name-only", "--no-renames", tree, other)
        if found.returncode != 0:
            return None
        return {os.fsdecode(name) for name in found.stdout.split(b"\0") if name}

    def _list(self, *options: str, names: Sequence[str]) -> list[CommitInfo]:
        if not names:
            return []
        output = self._git.run(
            "rev-list", "--no-commit-header", _FORMAT, *options, "--stdin", stdin=_lines(names)
        )
        commits = []
        for line in output.decode("ascii", "replace").splitlines():
            oid, tree, time, *parents = line.split()
            commits.append(CommitInfo(oid, tree, int(time), tuple(parents)))
        return commits

    def _make(
        self, make: Callable[[Git, Iterable[str]], dict[str, str]], names: Mapping[str, str]
    ) -> dict[str, str]:
        """Make patch ids of what can be compared here, and keep them."""
        if not names:
            return {}
        try:
            changes = file_changes(self._git, names.values())
            sizes = content_sizes(self._git, changes)
            small = [
                asked for asked, size in sizes.items() if size is not None and size < MAX_BYTES
            ]
            made = make(self._git, small)
        except GitFailed:  # a folder is not here
            return {}
        rows = [
            (name, made.get(asked.split()[0], ""), signature(file.path for file in changes[asked]))
            for name, asked in names.items()
            if sizes[asked] is not None
        ]
        with suppress(sqlite3.OperationalError):  # in use, or on a full disk: made again next time
            self._index.execute("BEGIN IMMEDIATE")
            self._index.executemany("INSERT OR REPLACE INTO patches VALUES (?, ?, ?)", rows)
            self._index.execute("COMMIT")
        return {name: patch_id for name, patch_id, _ in rows}

    def _kept(self, names: Sequence[str]) -> dict[str, str]:
        if not names:
            return {}
        fill(self._index, "asked", names)
        return dict(
            self._index.execute("SELECT name, patch_id FROM patches JOIN temp.asked USING (name)")
        )


def _lines(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
