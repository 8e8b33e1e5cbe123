"""A tree that is another one with some paths changed; only the folders on the way are read.

With a hundred thousand files, that is a hundredth of what git needs to read, change and write an
index, which has all of them.
"""

import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gitprov.store.folders import read_folders
from gitprov.store.objects import MODE_TREE, ObjectReader, TreeEntry, encode_tree, object_id
from gitprov.store.repository import EMPTY_TREE


@dataclass(frozen=True, slots=True)
class ChangedTree:
    """A tree's id, the trees in it that the other one has not, and the files, by path."""

    oid: str
    trees: Mapping[str, bytes]
    files: Mapping[bytes, TreeEntry]


@dataclass(slots=True)
class _Folder:
    """What is to become of a folder: what it has, and what is asked of it."""

    entries: dict[bytes, TreeEntry] = field(default_factory=dict)
    removed: set[bytes] = field(default_factory=set)
    added: dict[bytes, TreeEntry] = field(default_factory=dict)

    def apply(self) -> list[TreeEntry]:
        """Remove and add what is asked for; return what was not there before."""
        for name in self.removed:
            if name in self.entries and self.entries[name].mode != MODE_TREE:
                del self.entries[name]
        new = [entry for name, entry in self.added.items() if self.entries.get(name) != entry]
        self.entries |= self.added
        return new

    def put_folder(self, name: bytes, oid: str | None) -> None:
        """Put a folder here, or take it out where nothing is left of it."""
        if oid is not None:
            self.entries[name] = TreeEntry(MODE_TREE, name, oid)
        elif name in self.entries and self.entries[name].mode == MODE_TREE:
            del self.entries[name]


def changed_tree(
    reader: ObjectReader, base: str, files: Mapping[bytes, TreeEntry], removed: Iterable[bytes]
) -> ChangedTree:
    """Return `base` without the files at `removed`, and with `files`, by their paths.

    A file takes the place of a folder, and a folder that of a file. Raises ObjectMissing.
    """
    folders = _folders(files, removed)
    known = read_folders(reader, base, folders)
    for path, there in known.items():
        folders[path].entries.update(
            {name: _canonical(entry) for name, entry in there.entries.items()}
        )
    trees: dict[str, bytes] = {}
    new: dict[bytes, TreeEntry] = {}
    oid = EMPTY_TREE
    for path in sorted(folders, key=_depth, reverse=True):  # what is below a folder before it
        folder = folders[path]
        new |= {_join(path, entry.name): entry for entry in folder.apply()}
        data = encode_tree(folder.entries.values())
        oid = object_id("tree", data)
        unchanged = path in known and known[path].oid == oid
        if not unchanged and (folder.entries or not path):
            trees[oid] = data
        if path:
            above, _, name = path.rpartition(b"/")
            folders[above].put_folder(name, oid if folder.entries else None)
    return ChangedTree(oid, trees, new)


def _folders(
    files: Mapping[bytes, TreeEntry], removed: Iterable[bytes]
) -> defaultdict[bytes, _Folder]:
    """Return the folders in which something is to change, with those above them."""
    folders: defaultdict[bytes, _Folder] = defaultdict(_Folder)
    for path in removed:
        above, _, name = path.rpartition(b"/")
        folders[above].removed.add(name)
    for path, entry in files.items():
        above, _, name = path.rpartition(b"/")
        folders[above].added[name] = entry._replace(name=name)
    for path in list(folders):
        above = path
        while above:
            above = above.rpartition(b"/")[0]
            if above in folders:
                break  # and so are those above it, now or later
            folders[above] = _Folder()
    folders.setdefault(b"", _Folder())
    return folders


def _canonical(entry: TreeEntry) -> TreeEntry:
    """Return an entry as git writes it today: old trees have more kinds of files."""
    if stat.S_ISREG(entry.mode):
        return entry._replace(mode=0o100755 if entry.mode & stat.S_IXUSR else 0o100644)
    return entry


def _depth(path: bytes) -> int:
    return path.count(b"/") + 1 if path else 0


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
