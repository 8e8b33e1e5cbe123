"""The sqlite file and keeping it level with the ledger.

The tips that the index stands for are written in the same transaction as their runs, so a crash
leaves it behind but never wrong. So is what a shallow clone has been told to leave out, which
decides what tips reach. Damage or another version of the schema means: built again. Where the git
directory cannot be written to, the index is built in memory.

Two records with one id break the format, and acceptance keeps the second one out. Where a ledger
has both nevertheless, the index has the one whose blob has the smaller name, in whatever order
they came: which of them is true cannot be told from here, but the answer must not change.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from gitprov.codec.records import decode_record
from gitprov.errors import MalformedRecord
from gitprov.model.rewrite import REWRITE_SCHEMA, Rewrite
from gitprov.model.run import RUN_SCHEMA, Run
from gitprov.model.wording import command_text, digest_text, encodable, place_text
from gitprov.store.ledger import Entry, list_entries, read_entries
from gitprov.store.refs import LEDGER, list_refs
from gitprov.store.store import Store

SCHEMA_VERSION = 8
_SCHEMA = """
CREATE TABLE tips (ref TEXT PRIMARY KEY, oid TEXT NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE unreadable (blob TEXT PRIMARY KEY, entry TEXT NOT NULL);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, blob TEXT NOT NULL, entry TEXT NOT NULL,
    started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, status TEXT NOT NULL, exit_code INTEGER,
    name TEXT, message TEXT, command TEXT NOT NULL, agent TEXT, email TEXT,
    source_commit TEXT, source_tree TEXT, source_ref TEXT, dirty INTEGER, omitted INTEGER,
    python TEXT, patch_id TEXT, series_patch TEXT, environment TEXT
);
CREATE INDEX runs_started ON runs (started_ns);
CREATE INDEX runs_source ON runs
    (source_commit, source_tree, dirty, omitted, patch_id, series_patch, started_ns);
CREATE INDEX runs_entry ON runs (entry);
CREATE TABLE fields (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    name TEXT NOT NULL, number REAL, text TEXT
);
CREATE TABLE artifacts (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE, role TEXT NOT NULL,
    place TEXT NOT NULL, name TEXT, kind TEXT NOT NULL, digest TEXT, size INTEGER, files INTEGER
);
CREATE INDEX artifacts_run ON artifacts (run);
CREATE INDEX artifacts_place ON artifacts (place);
CREATE INDEX artifacts_name ON artifacts (name);
CREATE INDEX artifacts_digest ON artifacts (digest);
CREATE TABLE rewrites (
    old TEXT NOT NULL, new TEXT, how TEXT NOT NULL, made_ns INTEGER NOT NULL, agent TEXT,
    record TEXT NOT NULL, entry TEXT NOT NULL
);
CREATE INDEX rewrites_record ON rewrites (record);
CREATE INDEX rewrites_entry ON rewrites (entry);
CREATE TABLE patches (name TEXT PRIMARY KEY, patch_id TEXT NOT NULL, paths INTEGER NOT NULL);
CREATE INDEX fields_run ON fields (run);
CREATE INDEX fields_number ON fields (name, number);
CREATE INDEX fields_text ON fields (name, text);
"""
_COLUMNS = (
    "id blob entry started_ns ended_ns status exit_code name message command agent email "
    "source_commit source_tree source_ref dirty omitted python patch_id series_patch "
    "environment"
).split()
_INSERT = (
    f"INSERT INTO runs ({', '.join(_COLUMNS)})"  # noqa: S608 -- names of our own
    f" VALUES ({', '.join('?' * len(_COLUMNS))})"
)


def open_index(store: Store) -> sqlite3.Connection:
    """Return the index, level with the ledger as it is now.

    Raises GitFailed, ObjectMissing or MalformedRecord where the ledger cannot be read.
    """
    tips = list_refs(store.repository.git, LEDGER)
    path = store.repository.prov_dir / "index.sqlite"
    depth = _shallow_fingerprint(store)
    try:
        return _open_and_update(path, store, tips, depth)
    except sqlite3.DatabaseError:
        pass
    try:
        # Damaged, or of another version: everything in it can be had from the ledger again.
        path.unlink(missing_ok=True)
        return _open_and_update(path, store, tips, depth)
    except (sqlite3.DatabaseError, OSError):
        return _open_and_update(":memory:", store, tips, depth)


def index_state(store: Store) -> Literal["none", "level", "behind", "damaged"]:
    """Say how the index is, and leave it so. Reads all of it."""
    path = store.repository.prov_dir / "index.sqlite"
    if not path.exists():
        return "none"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as index:
            if index.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                return "damaged"
            if index.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
                return "behind"
            tips = list_refs(store.repository.git, LEDGER)
            level = dict(index.execute("SELECT ref, oid FROM tips")) == tips
            return "level" if level else "behind"
    except sqlite3.OperationalError:
        return "behind"  # in use, or its last writer was killed
    except sqlite3.DatabaseError:
        return "damaged"


def fill(connection: sqlite3.Connection, table: str, names: Iterable[str]) -> None:
    """Put names into a temporary table that has nothing else in it."""
    connection.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {table} (name TEXT PRIMARY KEY) WITHOUT ROWID"
    )
    connection.execute("BEGIN")  # one by one, they would take five times as long
    connection.execute(f"DELETE FROM temp.{table}")  # noqa: S608 -- names of our own
    connection.executemany(
        f"INSERT OR IGNORE INTO temp.{table} VALUES (?)",  # noqa: S608
        ((name,) for name in names),
    )
    connection.execute("COMMIT")


def _shallow_fingerprint(store: Store) -> str:
    """Return what stands for where history is cut off: tips alone do not say what they reach."""
    try:
        cut = (store.repository.common_dir / "shallow").read_bytes()
    except FileNotFoundError:
        return ""
    return hashlib.sha256(cut).hexdigest()


def _open_and_update(
    path: Path | str, store: Store, tips: dict[str, str], depth: str
) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            indexed = dict(connection.execute("SELECT ref, oid FROM tips"))
            if indexed == tips and _fact(connection, "shallow") == depth:
                return connection
        connection.execute("BEGIN IMMEDIATE")
        _create_if_needed(connection)
        _update(connection, store, tips, depth)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _create_if_needed(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == SCHEMA_VERSION:
        return
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise sqlite3.DatabaseError(f"index of version {version}")
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _fact(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value FROM facts WHERE name = ?", [name]).fetchone()
    return row[0] if row else None


def _set_fact(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])


def _update(connection: sqlite3.Connection, store: Store, tips: dict[str, str], depth: str) -> None:
    """Take in what the ledger has gained, and drop what it has no longer."""
    git = store.repository.git
    indexed = dict(connection.execute("SELECT ref, oid FROM tips"))
    old = set(indexed.values())
    present = {
        oid for oid, found in zip(old, store.objects.read_many(list(old)), strict=True) if found
    }
    lost = []
    if present == old and _fact(connection, "shallow") == depth:
        lost = list_entries(git, list(old), list(tips.values()))
    # What old tips reached can no longer be told once gc has collected one, or history is cut off
    # elsewhere. Where entries share a record, losing one must not lose the run.
    if _fact(connection, "shallow") != depth:
        # Where history is cut off, a commit seems to add all that there is.
        connection.execute("DELETE FROM patches")
    if present != old or _fact(connection, "shallow") != depth or (
        lost and _fact(connection, "shared")
    ):  # fmt: skip
        for table in ("runs", "rewrites", "unreadable", "facts"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 -- names of our own
        old, lost = set(), []
    gained = list_entries(git, list(tips.values()), list(old))
    for table in ("runs", "rewrites", "unreadable"):
        connection.executemany(f"DELETE FROM {table} WHERE entry = ?", [(oid,) for oid in lost])  # noqa: S608
    _insert(connection, read_entries(store.objects, gained))
    connection.execute("DELETE FROM tips")
    connection.executemany("INSERT INTO tips VALUES (?, ?)", tips.items())
    _set_fact(connection, "shallow", depth)


def _insert(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    for entry in entries:
        for record in entry.records:
            if record.schema not in (RUN_SCHEMA, REWRITE_SCHEMA):
                continue
            try:
                decoded: Run | Rewrite = decode_record(record.schema, record.data).record
            except MalformedRecord:
                # One that nobody can read must not hide the others; listings say how many.
                connection.execute(
                    "INSERT OR REPLACE INTO unreadable VALUES (?, ?)", [record.blob, entry.oid]
                )
                continue
            if isinstance(decoded, Rewrite):
                _insert_rewrite(connection, decoded, entry.oid)
            else:
                _insert_run(connection, decoded, record.blob, entry.oid)


def _insert_run(connection: sqlite3.Connection, run: Run, blob: str, entry: str) -> None:
    row = connection.execute("SELECT blob FROM runs WHERE id = ?", [run.id]).fetchone()
    if row is not None:
        _set_fact(connection, "shared", "yes")
        if row[0] <= blob:
            return
        connection.execute("DELETE FROM runs WHERE id = ?", [run.id])
    number = connection.execute(_INSERT, _row(run, blob, entry)).lastrowid
    connection.executemany(
        "INSERT INTO fields VALUES (?, ?, ?, ?)", [(number, *field) for field in _fields(run)]
    )
    connection.executemany(
        "INSERT INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(number, *artifact) for artifact in _artifacts(run)],
    )


def _insert_rewrite(connection: sqlite3.Connection, rewrite: Rewrite, entry: str) -> None:
    if connection.execute("SELECT 1 FROM rewrites WHERE record = ?", [rewrite.id]).fetchone():
        _set_fact(connection, "shared", "yes")
        return
    by = rewrite.agent.name if rewrite.agent else None
    same = (rewrite.how, rewrite.made_ns, by, rewrite.id, entry)
    connection.executemany(
        "INSERT INTO rewrites VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(pair.old, pair.new, *same) for pair in rewrite.commits],
    )


def _row(run: Run, blob: str, entry: str) -> Sequence[object]:
    source, agent = run.source, run.agent
    return (
        run.id,
        blob,
        entry,
        run.started_ns,
        run.ended_ns,
        run.status,
        run.exit_code,
        run.name,
        run.message,
        command_text(run.command.argv),
        agent.name if agent else None,
        agent.email if agent else None,
        source.commit if source else None,
        source.tree if source else None,
        source.ref if source else None,
        source.dirty if source else None,
        len(source.omitted) if source else None,
        run.environment.python if run.environment else None,
        source.patch_id if source else None,
        source.series.patch_id if source and source.series else None,
        run.environment.digest.hex() if run.environment else None,
    )


def _fields(run: Run) -> Iterable[tuple[str, float | None, str]]:
    """Yield name, number and text of what is searched by name."""
    for name, value in run.params.items():
        number = None if isinstance(value, str) else float(value)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"params.{name}", number, text
    for metric in run.metrics:
        yield f"metrics.{metric.name}", float(metric.value), str(metric.value)
    for tag in run.tags:
        yield "tag", None, tag


def _artifacts(run: Run) -> Iterable[tuple[object, ...]]:
    """Yield role, place, name, kind, digest, size and number of files of the data of a run."""
    for role, artifacts in (("input", run.inputs), ("output", run.outputs)):
        for item in artifacts:
            place, name = encodable(place_text(item)), item.name and encodable(item.name)
            yield role, place, name, item.kind, digest_text(item), item.size, item.file_count
