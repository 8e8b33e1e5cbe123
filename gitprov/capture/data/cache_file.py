"""Opening the sqlite files that remember what was hashed: what is damaged begins anew."""

import sqlite3
from pathlib import Path

_BUSY_SECONDS = 5


def open_cache(path: Path, table: str, columns: str, version: int) -> sqlite3.Connection:
    """Return the connection to a file with one table, made again where its version is another.

    Raises sqlite3.OperationalError where it is in use or cannot be written, and OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        if _version(connection) != version:
            with connection:
                # Another may have come first, and what it has written stays.
                connection.execute("BEGIN IMMEDIATE")
                if _version(connection) != version:
                    connection.execute(f"DROP TABLE IF EXISTS {table}")
                    connection.execute(f"CREATE TABLE {table} ({columns}) WITHOUT ROWID")
                    connection.execute(f"PRAGMA user_version = {version}")
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError:
        connection.close()
        path.unlink()
        return open_cache(path, table, columns, version)
    return connection


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
