"""Where data was recorded: its versions over time, and the runs that used each."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from gitprov.index.database import open_index
from gitprov.model.wording import encodable
from gitprov.store.store import Store

_COLUMNS = """a.place, a.name, a.kind, a.digest, a.size, a.files, a.role, r.id, r.started_ns
    FROM artifacts a JOIN runs r ON r.number = a.run"""
_IN_TIME = "ORDER BY r.started_ns, r.id, a.rowid"


class Use(NamedTuple):
    """A run that read (`input`) or wrote (`output`) a version of data."""

    run_id: str
    role: str
    started_ns: int


@dataclass(slots=True)
class Version:
    """What data was at some time: one content, and all runs in a row that used it so."""

    place: str
    kind: str
    name: str | None
    digest: str | None
    size: int | None
    files: int | None
    uses: list[Use] = field(default_factory=list)


class DataIndex:
    """Questions on the data of all runs; level with the ledger at the time of the first one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _index(self) -> sqlite3.Connection:
        return open_index(self._store)

    def versions(self, name: str, *, is_pattern: bool = False) -> list[Version]:
        """Return the versions of what lies at a place, or was ever called so, the oldest first.

        A pattern has `*`, `?` and `[…]`, as SQLite's GLOB. Each place has versions of its own.
        """
        how = "GLOB" if is_pattern else "="
        wanted = encodable(name)
        called = f"SELECT place FROM artifacts WHERE name {how} ?"  # noqa: S608 -- our own words
        query = f"SELECT {_COLUMNS} WHERE a.place {how} ? OR a.place IN ({called}) {_IN_TIME}"
        return list(_versions(self._index.execute(query, [wanted, wanted])))

    def versions_at(self, name: str, top: Path | None) -> list[Version]:
        """Return the versions of data by its name, its place as recorded, or a path from here.

        `top` is the work tree.
        """
        places = [name]
        path = Path(os.path.abspath(name))  # noqa: PTH100 -- links are kept as they are named
        if top is not None and path.is_relative_to(top):
            places.append(str(path.relative_to(top)))
        places.append(path.as_uri())
        return next((found for place in places if (found := self.versions(place))), [])

    def with_digest(self, digest: str) -> list[Version]:
        """Return where content was recorded, by `sha256:…`, the oldest first."""
        rows = self._index.execute(f"SELECT {_COLUMNS} WHERE a.digest = ? {_IN_TIME}", [digest])
        return list(_versions(rows))

    def latest(self) -> list[tuple[Version, int]]:
        """Return the newest version of each place, and how many versions it has had."""
        places: dict[str, list[Version]] = {}
        for version in _versions(self._index.execute(f"SELECT {_COLUMNS} {_IN_TIME}")):
            places.setdefault(version.place, []).append(version)
        return [
            (versions[-1], len({version.digest for version in versions}))
            for _, versions in sorted(places.items())
        ]


def _versions(rows: sqlite3.Cursor) -> Iterator[Version]:
    """Put uses of equal content together where none of other content stands between them."""
    found: list[Version] = []
    current: dict[str, Version] = {}
    for row in rows:
        place, name, kind, digest, size, files, role, run_id, started_ns = _typed(row)
        version = current.get(place)
        if version is None or version.digest != digest or digest is None:
            version = current[place] = Version(place, kind, name, digest, size, files)
            found.append(version)
        version.name = name or version.name
        version.uses.append(Use(run_id, role, started_ns))
    yield from found


_Row = tuple[str, str | None, str, str | None, int | None, int | None, str, str, int]


def _typed(row: Sequence[object]) -> _Row:
    return tuple(row)  # type: ignore[return-value]
