"""Which ids the records of chains have, remembered between commands.

`<common dir>/prov/ids.sqlite` lists the records of the chains that end at its tips: id, folder and
the tree of an entry, which many entries may share. What has become of the chains since, git is
asked; so a look-up costs what is new, and not a walk through all that there is. The file is derived
from chains that are here, never from what is on its way in, and may be deleted at any time. Where
it cannot be read or written, all is walked.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from weakref import finalize

from gitprov.errors import GitFailed, MalformedRecord
from gitprov.model.ids import is_id
from gitprov.store.git import Git
from gitprov.store.objects import ObjectReader, decode_tree
from gitprov.store.repository import EMPTY_TREE

IDS = "ids.sqlite"

_VERSION = 1
_WAIT_SECONDS = 1.0

_COLUMNS = "id TEXT, folder BLOB, tree BLOB, PRIMARY KEY (id, folder, tree)"
_TABLES = (
    f"CREATE TABLE records ({_COLUMNS}) WITHOUT ROWID",
    # How many entries have a tree.
    "CREATE TABLE trees (tree BLOB PRIMARY KEY, entries INT) WITHOUT ROWID",
    # The tips that the records belong to, and the commits at which history was cut off.
    "CREATE TABLE tips (oid TEXT, cut INT, PRIMARY KEY (oid, cut)) WITHOUT ROWID",
    f"PRAGMA user_version = {_VERSION}",
)
_CHANGES = (
    f"CREATE TEMP TABLE gained ({_COLUMNS}) WITHOUT ROWID",
    "CREATE TEMP TABLE lost (tree BLOB PRIMARY KEY) WITHOUT ROWID",
)
_FOLDERS = """
    SELECT folder FROM records WHERE id = ?1 AND tree NOT IN (SELECT tree FROM lost)
    UNION SELECT folder FROM gained WHERE id = ?1
"""
_REMEMBER = (
    "INSERT OR IGNORE INTO records SELECT * FROM gained",
    "DELETE FROM records WHERE tree IN (SELECT tree FROM lost)",
    "DELETE FROM trees WHERE tree IN (SELECT tree FROM lost)",
    "DELETE FROM tips",
)
_ENTRIES = "SELECT entries FROM trees WHERE tree = ?"
_COUNT = """
    INSERT INTO trees VALUES (?, ?)
    ON CONFLICT (tree) DO UPDATE SET entries = entries + excluded.entries
"""

_Tips = set[tuple[str, int]]
_Row = tuple[str, bytes, bytes]


class RecordIds:
    """The ids in the chains that end at `tips`; `cut` is where a shallow clone cuts them off.

    Without a path, nothing is remembered.
    """

    def __init__(
        self,
        git: Git,
        reader: ObjectReader,
        path: Path | None,
        tips: Collection[str],
        cut: Collection[str] = (),
    ) -> None:
        self._git = git
        self._reader = reader
        self._path = path
        self._now: _Tips = {(oid, 0) for oid in tips} | {(oid, 1) for oid in cut}
        self._tips = list(tips)
        self._remembered: _Tips = set()
        # By how many entries more or less have a tree.
        self._changes: Counter[str] = Counter()
        self._connection: sqlite3.Connection | None = None

    def folders(self, record_id: str) -> list[str]:
        """Return the folders of the records that the chains have under an id."""
        if not self._tips:
            return []
        try:
            rows = self._opened().execute(_FOLDERS, [record_id]).fetchall()
        except sqlite3.DatabaseError:  # damaged: it is made anew
            self._start_anew()
            rows = self._opened().execute(_FOLDERS, [record_id]).fetchall()
        return sorted(folder.hex() for (folder,) in rows)

    def remember(self) -> None:
        """Write what was found to the file, where that can be.

        Only what was looked for: with no look-up before, nothing is done.
        """
        connection = self._connection
        if connection is None or self._path is None or self._now == self._remembered:
            return
        with suppress(sqlite3.Error, OSError):
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                if _tips_of(connection) != self._remembered:
                    return  # another command was quicker
                changes = self._changes.items()
                connection.executemany(_COUNT, ((bytes.fromhex(tree), by) for tree, by in changes))
                for statement in _REMEMBER:
                    connection.execute(statement)
                connection.executemany("INSERT INTO tips VALUES (?, ?)", self._now)
            if not _path_of(connection):
                _replace_file(self._path, connection)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._open(self._usable_file() or _new_list())
            except GitFailed:  # of what old tips have led to, a part was collected
                self._start_anew()
        assert self._connection is not None  # noqa: S101 -- just opened
        return self._connection

    def _start_anew(self) -> None:
        self._remembered = set()
        self._open(_new_list())

    def _open(self, connection: sqlite3.Connection) -> None:
        """Take a list, with what has become of the chains since it was written."""
        self._connection = connection
        finalize(self, connection.close)
        for statement in _CHANGES:
            connection.execute(statement)
        old = [oid for oid, cut in self._remembered if not cut]
        self._changes = _trees_of_entries(self._git, self._tips, old)
        self._changes.subtract(_trees_of_entries(self._git, old, self._tips))
        fresh, lost = [], []
        for tree, by in self._changes.items():
            asked = connection.execute(_ENTRIES, [bytes.fromhex(tree)])
            (before,) = asked.fetchone() or (0,)
            if before + by <= 0:
                lost.append((bytes.fromhex(tree),))
            elif before == 0:
                fresh.append(tree)
        table = "gained" if _path_of(connection) else "records"
        rows = self._rows(fresh)
        connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?)", rows)  # noqa: S608
        connection.executemany("INSERT INTO lost VALUES (?)", lost)
        connection.commit()

    def _usable_file(self) -> sqlite3.Connection | None:
        """Return the file, opened, unless it says nothing about the chains as they are."""
        if self._path is None or not self._path.is_file():
            return None
        connection = None
        with suppress(sqlite3.Error):
            connection = _connected(f"{self._path.as_uri()}?mode=rw")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == _VERSION:
                remembered = _tips_of(connection)
                cut = {item for item in self._now if item[1]}
                tips = [oid for oid, is_cut in remembered if not is_cut]
                # Of what was collected, nobody can tell what it has led to.
                here = all(found is not None for found in list(self._reader.read_many(tips)))
                if here and cut == {item for item in remembered if item[1]}:
                    self._remembered = remembered
                    return connection
        if connection is not None:
            connection.close()
        return None

    def _rows(self, trees: Sequence[str]) -> Iterator[_Row]:
        """Yield the records in trees of entries."""
        for tree, found in zip(trees, self._reader.read_many(trees), strict=True):
            with suppress(MalformedRecord):
                for item in decode_tree(found.data if found else b""):
                    name = item.name.decode("ascii", "replace")
                    if is_id(name):
                        yield name, bytes.fromhex(item.oid), bytes.fromhex(tree)


def _trees_of_entries(git: Git, tips: Sequence[str], known: Sequence[str]) -> Counter[str]:
    """Return the trees of entries that `tips` reach and `known` do not, and how many have each."""
    if not tips:
        return Counter()
    names = "\n".join([*tips, *(f"^{oid}" for oid in known), ""])
    asked = ("rev-list", "--no-commit-header", "--format=%T", "--stdin")
    trees = Counter(git.run(*asked, stdin=names.encode()).decode().split())
    del trees[EMPTY_TREE]  # of joins
    return trees


def _connected(where: str) -> sqlite3.Connection:
    return sqlite3.connect(where, uri=True, timeout=_WAIT_SECONDS)


def _new_list() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for statement in _TABLES:
        connection.execute(statement)
    return connection


def _tips_of(connection: sqlite3.Connection) -> _Tips:
    return set(connection.execute("SELECT oid, cut FROM tips"))


def _path_of(connection: sqlite3.Connection) -> str:
    """Return the file of a list, nothing for one in memory."""
    return str(connection.execute("PRAGMA database_list").fetchone()[2])


def _replace_file(path: Path, connection: sqlite3.Connection) -> None:
    """Put what is in memory in the place of the file, with the access that objects have."""
    access = (path.parent.parent / "objects").stat().st_mode & 0o7777
    if not path.parent.is_dir():
        path.parent.mkdir()
        path.parent.chmod(access)
    temporary = path.with_name(f".{IDS}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        connection.execute("VACUUM INTO ?", [str(temporary)])
        temporary.chmod(access & 0o666)
        path.with_name(f"{IDS}-journal").unlink(missing_ok=True)  # of the old one
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
