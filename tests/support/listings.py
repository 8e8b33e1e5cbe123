"""Listings made by hand, in memory, and folders as dictionaries."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st

from gitprov.codec import listings as codec
from gitprov.codec.listings import FILE, LINK, SHA256, Item
from gitprov.store.listings import Folder, Listing, add_folder
from gitprov.store.objects import Object, ObjectReader, object_id

# What a folder holds, by name: a file's content, what a link says, a folder.
Content = Mapping[bytes, "bytes | str | Content"]


class Objects(ObjectReader):
    """Git objects in memory; `asked` are the names of those that were read."""

    def __init__(self) -> None:
        self.found: dict[str, Object] = {}
        self.asked: list[str] = []

    def add(self, kind: str, data: bytes) -> str:
        """Take an object and return its name."""
        oid = object_id(kind, data)
        self.found[oid] = Object(kind, data)
        return oid

    def read_many(self, oids: Sequence[str]) -> Iterator[Object | None]:
        """Yield the objects in the order asked for, None for each that is missing."""
        for oid in oids:
            self.asked.append(oid)
            yield self.found.get(oid)

    def close(self) -> None:
        """Do nothing."""

    def folder(self, content: Content) -> Folder:
        """Add a folder with all that is below it."""
        items, trees = [], {}
        for name, value in sorted(content.items()):
            if isinstance(value, bytes):
                items.append(file_item(name, value))
            elif isinstance(value, str):
                items.append(link_item(name, value.encode()))
            else:
                below = self.folder(value)
                items.append(below.item(name))
                trees[name] = below.tree
        return add_folder(self.add, items, trees)

    def listing(self, content: Content) -> Listing:
        """Add a folder and open its listing."""
        return self.open(self.folder(content))

    def open(self, folder: Folder) -> Listing:
        """Return the listing of a folder."""
        return Listing(self, folder.tree, folder.sha256)


def file_item(name: bytes, data: bytes = b"", mode: int = FILE) -> Item:
    """Return a file."""
    return Item(name, mode, len(data), 1, {SHA256: hashlib.sha256(data).digest()})


def link_item(name: bytes, target: bytes) -> Item:
    """Return a link."""
    return Item(name, LINK, 0, 1, {SHA256: hashlib.sha256(target).digest()}, target)


def flat(content: Content, prefix: bytes = b"") -> dict[bytes, Item]:
    """Return the files and links below a folder by path."""
    found: dict[bytes, Item] = {}
    for name, value in content.items():
        if isinstance(value, bytes):
            found[prefix + name] = file_item(name, value)
        elif isinstance(value, str):
            found[prefix + name] = link_item(name, value.encode())
        else:
            found |= flat(value, prefix + name + b"/")
    return found


def deep(objects: Objects, levels: int, content: bytes) -> Folder:
    """Return a folder with so many folders in one another, and a file in the last."""
    folder = add_folder(objects.add, [file_item(b"file", content)], {})
    for _ in range(levels):
        folder = add_folder(objects.add, [folder.item(b"d")], {b"d": folder.tree})
    return folder


@contextmanager
def small_nodes(items: int = 3) -> Iterator[None]:
    """Split folders with more than so many items."""
    with patch.object(codec, "MAX_ITEMS", items):
        yield


def settle(folder: Path) -> None:
    """Wait until a file that is written now has another time than those in a folder."""
    marker = folder.parent / "marker"
    newest = max(path.lstat().st_ctime_ns for path in (folder, *folder.rglob("*")))
    while True:
        marker.write_bytes(b"")
        if marker.stat().st_ctime_ns > newest + 30_000_000:
            marker.unlink()
            return


names = (
    st.binary(min_size=1, max_size=4)
    .filter(lambda name: not set(b"/\0") & set(name))
    .filter(lambda name: name not in {b".", b".."})
) | st.sampled_from([b"a", b"b", b"a.b", b"a-", b"ab", b".git", b"node", b"=a", b"\xff"])
contents: st.SearchStrategy[Content] = st.recursive(
    st.dictionaries(names, st.binary(max_size=2) | st.sampled_from(["a", "../x", ""]), max_size=8),
    lambda below: st.dictionaries(names, st.binary(max_size=2) | below, max_size=8),
    max_leaves=12,
)
