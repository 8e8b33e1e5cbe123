"""Joining two chains of the same month and shard.

Entries of ours that no remote has seen are made anew on the other side's tip, so that a crowd of
writers leaves one line. What is published on both sides is joined by a merge commit that is a
pure function of its parents, so that all clones that join the same two make the same commit. Merge
commits that hold nothing which the other side lacks give way: else clones that meet at several
remotes would join each other's joins for ever. Specification: section 10.3.
"""

import re
from collections.abc import Sequence

from gitprov.errors import MalformedRecord
from gitprov.store.git import Git
from gitprov.store.ledger import list_entries
from gitprov.store.objects import Commit, ObjectReader, decode_commit
from gitprov.store.pack import PackBuilder
from gitprov.store.refs import Area
from gitprov.store.repository import EMPTY_TREE

_AUTHOR = b"gitprov <unknown>"
_MESSAGE = b"Join two chains\n"
# Seconds and zone; more digits than any date that git's own checks let through.
_TIME = re.compile(rb"> (\d{1,18}) [+-]\d{4}\Z")


def join_chains(
    git: Git,
    reader: ObjectReader,
    pack: PackBuilder,
    ours: str | None,
    theirs: str,
    area: Area,
    published: Sequence[str],
) -> str:
    """Return the tip that has the entries of both sides; new commits go to `pack`.

    `published` are the tips of this chain at all remotes.
    """
    if ours is None:
        return theirs
    behind = list_entries(git, [theirs], [ours])
    if not behind:
        return ours
    ahead = list_entries(git, [ours], [theirs])
    if not ahead:
        return theirs
    commits = [decode_commit(reader.read(oid).data) for oid in ahead]
    if all(map(_is_join, commits)):
        they = (decode_commit(reader.read(oid).data) for oid in behind)
        if theirs > ours or not all(map(_is_join, they)):
            return theirs
    unpublished = list_entries(git, [ours], published) == ahead
    linear = all(len(commit.parents) <= 1 for commit in commits)
    if area == "ledger" and unpublished and linear:
        return _made_anew(pack, commits, theirs)
    return pack.add_commit(merge_commit(reader, pack, [ours, theirs]))


def merge_commit(reader: ObjectReader, pack: PackBuilder, tips: Sequence[str]) -> Commit:
    """Return the one commit that joins `tips`: no content, sorted parents, their latest time."""
    times = [_time(decode_commit(reader.read(tip).data)) for tip in tips]
    author = _AUTHOR + b" " + str(max(times)).encode() + b" +0000"
    tree = pack.add_tree({})
    assert tree == EMPTY_TREE  # noqa: S101 -- an identity of git's
    return Commit(tree, tuple(sorted(tips)), author, author, _MESSAGE)


def _is_join(commit: Commit) -> bool:
    return commit.tree == EMPTY_TREE and commit.message == _MESSAGE


def _made_anew(pack: PackBuilder, commits: Sequence[Commit], tip: str) -> str:
    """Put commits on top of `tip`, in their order; trees, people and words stay."""
    for commit in commits:
        tip = pack.add_commit(commit._replace(parents=(tip,)))
    return tip


def _time(commit: Commit) -> int:
    match = _TIME.search(commit.committer)
    if match is None:
        raise MalformedRecord("a commit of the chain has no date")
    return int(match[1])
