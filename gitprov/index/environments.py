"""Where environments were recorded, and how they followed each other."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from gitprov.errors import UnknownRun
from gitprov.index.database import open_index
from gitprov.store.store import Store


@dataclass(slots=True)
class Stretch:
    """Runs one after the other that had one environment: the first, the last, how many."""

    digest: str
    first: str
    first_ns: int
    last: str
    last_ns: int
    count: int = 1


class EnvironmentIndex:
    """Questions on the environments of all runs; level with the ledger at the first one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _index(self) -> sqlite3.Connection:
        return open_index(self._store)

    def entry(self, run_id: str) -> str:
        """Return the commit of the ledger that holds a run; raise UnknownRun."""
        row = self._index.execute("SELECT entry FROM runs WHERE id = ?", [run_id]).fetchone()
        if row is None:
            raise UnknownRun(f"no run {run_id} in this clone; fetch it with: git prov pull")
        entry: str = row[0]
        return entry

    def stretches(self) -> Iterator[Stretch]:
        """Yield the environments of all runs in the order of their starts, the oldest first.

        Runs that have none stand between no others.
        """
        rows = self._index.execute(
            "SELECT environment, id, started_ns FROM runs WHERE environment IS NOT NULL"
            " ORDER BY started_ns, id"
        )
        current: Stretch | None = None
        for digest, run_id, started_ns in rows:
            if current is not None and current.digest == digest:
                current.last, current.last_ns = run_id, started_ns
                current.count += 1
                continue
            if current is not None:
                yield current
            current = Stretch(digest, run_id, started_ns, run_id, started_ns)
        if current is not None:
            yield current
