"""Folders of a tree by their paths; of a large tree, only those that are asked for are read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gitprov.errors import ObjectMissing
from gitprov.store.objects import MODE_TREE, Object, ObjectReader, TreeEntry, decode_tree
from gitprov.store.repository import EMPTY_TREE


class Folder(NamedTuple):
    """A folder's tree, and what is in it by name."""

    oid: str
    entries: dict[bytes, TreeEntry]


def read_folders(reader: ObjectReader, tree: str, paths: Iterable[bytes]) -> dict[bytes, Folder]:
    """Return those of the folders at `paths`, and of the folders above them, that there are.

    All of one depth are read at once. Raises ObjectMissing.
    """
    found: dict[bytes, Folder] = {}
    for level in _levels(paths):
        trees = {path: oid for path in level if (oid := _tree_at(path, tree, found))}
        read = reader.read_many([oid for oid in trees.values() if oid != EMPTY_TREE])
        for path, oid in trees.items():
            entries = [] if oid == EMPTY_TREE else _entries(next(read), oid)
            found[path] = Folder(oid, {entry.name: entry for entry in entries})
    return found


def files_among(reader: ObjectReader, tree: str, paths: Iterable[bytes]) -> set[bytes]:
    """Return those of the paths at which a tree has a file or a link."""
    asked = set(paths)
    folders = read_folders(reader, tree, {path.rpartition(b"/")[0] for path in asked})
    there = set()
    for path in asked:
        above, _, name = path.rpartition(b"/")
        entry = folders[above].entries.get(name) if above in folders else None
        if entry is not None and entry.mode != MODE_TREE:
            there.add(path)
    return there


def _tree_at(path: bytes, tree: str, found: Mapping[bytes, Folder]) -> str | None:
    """Return the tree of a folder, by what is known of the one above it."""
    if not path:
        return tree
    above, _, name = path.rpartition(b"/")
    entry = found[above].entries.get(name) if above in found else None
    return entry.oid if entry is not None and entry.mode == MODE_TREE else None


def _entries(item: Object | None, oid: str) -> list[TreeEntry]:
    if item is None:
        raise ObjectMissing(f"tree {oid} is not in this clone")
    return decode_tree(item.data)


def _levels(paths: Iterable[bytes]) -> list[list[bytes]]:
    """Return folders, with those above them, by their depth, the top first."""
    levels: dict[int, list[bytes]] = defaultdict(list)
    known: set[bytes] = {b""}
    levels[0].append(b"")
    for path in paths:
        while path not in known:
            known.add(path)
            levels[path.count(b"/") + 1].append(path)
            path = path.rpartition(b"/")[0]  # noqa: PLW2901 -- upwards
    return [levels[depth] for depth in sorted(levels)]
