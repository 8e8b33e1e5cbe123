"""The objects below a prefix on their way into a listing, on disk: there may be millions.

A store may name its objects in any order, and a prefix may hold as many as a bucket has. What is
known of them waits in a temporary database, and the nodes are made from it, the deepest first, one
at a time: memory holds no more than a part of a folder.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Self

from gitprov.capture.data.folder_scan import Redact
from gitprov.capture.data.remote.said import Said
from gitprov.capture.hashing import algorithms as digests_of
from gitprov.codec.listings import FILE, FOLDER, MAX_ITEMS, MAX_SPLITS, SHA256, Item, Node, fits
from gitprov.store.listings import Folder, add_node

# In the order of `folder`, what a folder holds stands right behind it: no name has this byte.
_SLASH = b"\0"
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE folders (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE items (
    folder BLOB, place TEXT, name BLOB, mode INTEGER, size INTEGER, files INTEGER, digests BLOB,
    tree TEXT, remote TEXT, PRIMARY KEY (folder, place, name)
) WITHOUT ROWID;
"""
_ROWS_AT_ONCE = 1000
# One more than a node may hold shows that there are too many.
_MOST = MAX_ITEMS + 1
_DIGITS = "0123456789abcdef"
_GIT = b".git"
_NO_NAMES = frozenset({b"", b".", b".."})

# Takes type and content of a git object, and returns its name.
Add = Callable[[str, bytes], str]
_Row = tuple[bytes, str, bytes, int, int | None, int, bytes | None, str | None, str | None]


class Waiting(NamedTuple):
    """An object that has no digest yet: its path below the prefix, and what is said of it."""

    path: str
    size: int | None
    remote: Mapping[str, str]


class Spool:
    """The objects below one prefix. `left_out` says what has no place in a listing, and why."""

    def __init__(self, algorithms: Sequence[str]) -> None:
        self.left_out: dict[str, str] = {}
        self._algorithms = algorithms
        self._rows: list[_Row] = []
        self._known: bytes | None = None
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._add_folders(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, path: str, said: Said, digests: bytes | None) -> bool:
        """Take an object or folder, by its path below the prefix; say whether it has a place."""
        names = path.encode("utf-8", "surrogateescape").split(b"/")
        folders = names if said.is_folder else names[:-1]
        if _GIT in folders:
            return False
        if any(name in _NO_NAMES or b"\0" in name for name in names):
            self.left_out[path] = "its name would lead elsewhere in a folder"
            return False
        if not said.is_folder and said.size is None:
            self.left_out[path] = "neither a file nor a folder"
            return False
        folder = _SLASH.join(folders)
        if folder != self._known:
            self._add_folders(folder)
        if said.is_folder:
            return True
        remote = None if digests else json.dumps(dict(said.remote))
        row = (folder, _place(names[-1]), names[-1], FILE, said.size, 1, digests, None, remote)
        self._rows.append(row)
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._write()
        return True

    def waiting(self) -> Iterator[Waiting]:
        """Yield the objects without digests, in one order; some may be set meanwhile."""
        self._write()
        after: tuple[bytes, str, bytes] = (b"", "", b"")
        while rows := self._database.execute(_WAITING, (*after, _ROWS_AT_ONCE)).fetchall():
            for folder, _, name, size, remote in rows:
                yield Waiting(_path(folder, name), size, json.loads(remote))
            after = rows[-1][:3]

    def set(self, path: str, size: int, digests: bytes) -> None:
        """Take the digests of an object that waits for them."""
        self._database.execute(
            "UPDATE items SET size = ?, digests = ? WHERE folder = ? AND place = ? AND name = ?",
            (size, digests, *_key(path)),
        )

    def leave_out(self, path: str, why: str) -> None:
        """Take an object away that could not be read."""
        self.left_out[path] = why
        self._database.execute(
            "DELETE FROM items WHERE folder = ? AND place = ? AND name = ?", _key(path)
        )

    def make(self, add: Add, redact: Redact | None = None) -> Folder:
        """Make the nodes of all folders; return the topmost. `redact` keeps secrets out of names.

        Nothing can be set or left out any more.
        """
        self._write()
        if redact is not None:
            self._redact(redact)
        for (path,) in self._database.execute("SELECT path FROM folders ORDER BY path DESC"):
            made = self._make(add, path, "")
            if not path:
                return made
            above, _, name = path.rpartition(_SLASH)
            said = redact([name]) if redact is not None else {}
            self._put_folder(above, said.get(name, name), made)
        raise AssertionError  # the topmost folder is always there

    def _make(self, add: Add, folder: bytes, place: str) -> Folder:
        """Make the node of a folder, or of the part of it whose names begin with these digits."""
        rows = self._database.execute(_PART, (folder, place, place + "g", _MOST)).fetchall()
        text = sum(len(name) for name, *_ in rows)
        if fits(len(rows), text) or len(place) == MAX_SPLITS:
            items = [self._item(*row) for row in sorted(rows)]
            trees = {name: tree for name, *_, tree in rows if tree}
            return add_node(add, Node(tuple(items)), trees)
        rows.clear()
        parts = {}
        for digit in _DIGITS:
            found = (folder, place + digit, place + digit + "g")
            if self._database.execute(_ANY, found).fetchone():
                parts[digit.encode()] = self._make(add, folder, place + digit)
        items = [part.item(name) for name, part in parts.items()]
        trees = {name: part.tree for name, part in parts.items()}
        return add_node(add, Node(tuple(items), is_split=True), trees)

    def _item(
        self, name: bytes, mode: int, size: int, files: int, digests: bytes, _: str | None
    ) -> Item:
        if mode == FOLDER:
            return Item(name, mode, size, files, {SHA256: digests})
        return Item(name, mode, size, files, digests_of.split(self._algorithms, digests))

    def _redact(self, redact: Redact) -> None:
        """Put what stands for a secret where objects have one in their names."""
        after: tuple[bytes, str, bytes] = (b"", "", b"")
        while rows := self._database.execute(_NAMES, (*after, _ROWS_AT_ONCE)).fetchall():
            said = redact([name for *_, name in rows])
            for folder, place, name in rows:
                if name in said:
                    new = (_place(said[name]), said[name])
                    self._database.execute(_RENAME, (*new, folder, place, name))
            after = rows[-1]

    def _put_folder(self, above: bytes, name: bytes, made: Folder) -> None:
        row = (above, _place(name), name)
        same = self._database.execute(_SAME, row).fetchone()
        if same is not None:
            self.left_out[_path(above, name)] = "a folder has the same name"
        values = (FOLDER, made.size, made.files, made.sha256, made.tree, None)
        self._database.execute(_PUT, (*row, *values))

    def _add_folders(self, folder: bytes) -> None:
        """Note a folder and those around it."""
        self._known = folder
        while self._database.execute(
            "INSERT OR IGNORE INTO folders VALUES (?)", (folder,)
        ).rowcount:
            folder = folder.rpartition(_SLASH)[0]

    def _write(self) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(_PUT, self._rows)
        self._database.execute("COMMIT")
        self._rows.clear()


_PUT = "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SAME = "SELECT 1 FROM items WHERE folder = ? AND place = ? AND name = ?"
_ANY = "SELECT 1 FROM items WHERE folder = ? AND place >= ? AND place < ? LIMIT 1"
_PART = """
SELECT name, mode, size, files, digests, tree FROM items
WHERE folder = ? AND place >= ? AND place < ? LIMIT ?
"""
_WAITING = """
SELECT folder, place, name, size, remote FROM items
WHERE (folder, place, name) > (?, ?, ?) AND digests IS NULL
ORDER BY folder, place, name LIMIT ?
"""
_NAMES = """
SELECT folder, place, name FROM items WHERE (folder, place, name) > (?, ?, ?)
ORDER BY folder, place, name LIMIT ?
"""
_RENAME = """
UPDATE OR REPLACE items SET place = ?, name = ? WHERE folder = ? AND place = ? AND name = ?
"""


def _place(name: bytes) -> str:
    """Return the digits by which a name finds its part, however often a folder is split."""
    return hashlib.sha256(name).hexdigest()[:MAX_SPLITS]


def _key(path: str) -> tuple[bytes, str, bytes]:
    folder, _, name = path.encode("utf-8", "surrogateescape").rpartition(b"/")
    return folder.replace(b"/", _SLASH), _place(name), name


def _path(folder: bytes, name: bytes) -> str:
    whole = folder.replace(_SLASH, b"/") + b"/" + name if folder else name
    return whole.decode("utf-8", "surrogateescape")
