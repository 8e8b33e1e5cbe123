"""What runs were made from: commit and tree, each with all the runs that share it.

Before a branch has its first commit there is a tree alone.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitprov.codec.records import decode_record
from gitprov.model.run import RUN_SCHEMA, Source
from gitprov.store.store import Store


class Origin(NamedTuple):
    """A commit and tree that runs were made from; `omitted` says how many files the tree lacks."""

    commit: str | None
    tree: str | None
    dirty: bool
    omitted: int
    patch_id: str | None
    series_patch: str | None
    started_ns: int


def find_origins(
    index: sqlite3.Connection, condition: str, parameters: Sequence[str] = ()
) -> list[Origin]:
    """Return what the runs were made from that a condition picks."""
    rows = index.execute(
        "SELECT source_commit, source_tree, dirty, omitted, patch_id, series_patch,"  # noqa: S608
        " min(started_ns) FROM runs"
        " WHERE (source_commit IS NOT NULL OR source_tree IS NOT NULL)"
        f" AND ({condition}) GROUP BY 1, 2, 3, 4, 5, 6",
        parameters,
    )
    return [Origin(*row) for row in rows]


def reads(store: Store, index: sqlite3.Connection, origin: Origin) -> frozenset[str] | None:
    """Return what the runs from an uncommitted tree have read, None where that is not known."""
    found: set[str] = set()
    for source in _sources(store, index, origin):
        if source is None or not source.reads:
            return None
        found.update(map(os.fsdecode, source.reads))
    return frozenset(found)


def left_out(store: Store, index: sqlite3.Connection, origin: Origin) -> tuple[str, ...]:
    """Return the files that snapshots of an uncommitted tree leave out, of those that are named."""
    found: set[str] = set()
    for source in _sources(store, index, origin):
        if source is not None:
            found.update(os.fsdecode(omission.path) for omission in source.omitted)
    return tuple(sorted(found))


def _sources(store: Store, index: sqlite3.Connection, origin: Origin) -> Iterator[Source | None]:
    """Yield the sources of the runs from an uncommitted tree; None for one that is gone."""
    rows = index.execute(
        "SELECT blob FROM runs WHERE source_commit IS ? AND source_tree = ? AND dirty"
        " AND omitted = ?",
        [origin.commit, origin.tree, origin.omitted],
    )
    for found in store.objects.read_many([row[0] for row in rows.fetchall()]):
        yield decode_record(RUN_SCHEMA, found.data).record.source if found else None
