"""Listings as git trees that mirror the folders (specification, section 4.7).

The tree of a folder holds its node as the blob `node`, and for each folder or part below it a tree
whose name is `=` and that of the folder: names such as `.git` have no place in git's trees. Equal
folders are one object, within a listing and between listings, so that what two snapshots share is
stored once, and what they differ in is found without looking at the rest.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gitprov.codec.listings import (
    FOLDER,
    MAX_SPLITS,
    SHA256,
    Item,
    Node,
    decode_node,
    encode_node,
    is_in_part,
    part_of,
    split,
)
from gitprov.errors import IntegrityError, MalformedRecord
from gitprov.store.objects import (
    MODE_FILE,
    MODE_TREE,
    ObjectReader,
    TreeEntry,
    decode_tree,
    encode_tree,
)

NODE = b"node"
FOLDER_PREFIX = b"="


class Folder(NamedTuple):
    """A folder of a listing: its node's sha256, the tree that holds it, and what is below it."""

    sha256: bytes
    tree: str
    size: int
    files: int

    def item(self, name: bytes) -> Item:
        """Return what the node of the folder around it says of it."""
        return Item(name, FOLDER, self.size, self.files, {SHA256: self.sha256})


def add_folder(
    add: Callable[[str, bytes], str],
    items: Sequence[Item],
    trees: Mapping[bytes, str],
    *,
    depth: int = 0,
) -> Folder:
    """Make the objects of a folder and return it.

    `add` takes type and content of an object and returns its name; `trees` has the trees of the
    folders among the items, which are in the order of their names.
    """
    parts = split(items, depth)
    if parts is None:
        node = Node(tuple(items))
    else:
        below = {
            name: add_folder(add, part, trees, depth=depth + 1) for name, part in parts.items()
        }
        node = Node(tuple(folder.item(name) for name, folder in below.items()), is_split=True)
        trees = {name: folder.tree for name, folder in below.items()}
    return add_node(add, node, trees)


def join_parts(add: Callable[[str, bytes], str], parts: Mapping[bytes, Folder]) -> Folder:
    """Make the objects of a folder from its parts, by their digits, and return it."""
    if b"" in parts:
        return parts[b""]
    within: dict[bytes, dict[bytes, Folder]] = {}
    for digits in sorted(parts):
        within.setdefault(digits[:1], {})[digits[1:]] = parts[digits]
    below = {digit: join_parts(add, some) for digit, some in within.items()}
    node = Node(tuple(folder.item(digit) for digit, folder in below.items()), is_split=True)
    return add_node(add, node, {digit: folder.tree for digit, folder in below.items()})


def add_node(add: Callable[[str, bytes], str], node: Node, trees: Mapping[bytes, str]) -> Folder:
    """Make the objects of one node and return what it stands for.

    `trees` has at least the trees of the folders, or parts, among its items.
    """
    data = encode_node(node)
    entries = [TreeEntry(MODE_FILE, NODE, add("blob", data))]
    entries += [
        TreeEntry(MODE_TREE, FOLDER_PREFIX + item.name, trees[item.name])
        for item in node.items
        if item.mode == FOLDER
    ]
    tree = add("tree", encode_tree(entries))
    return Folder(hashlib.sha256(data).digest(), tree, node.size, node.files)


class Place(NamedTuple):
    """A folder, or a part of one: its tree, and what its node must be.

    The hash of each name in a part begins with its `digits`.
    """

    tree: str
    sha256: bytes
    digits: bytes = b""


# Where the folders are that a node names, by their names.
Places = Mapping[bytes, Place]


class Listing:
    """A listing where it is stored; each node is compared with its hash when it is read.

    All methods raise ObjectMissing where a part is not in this clone, IntegrityError where a part
    is not what its hash says, MalformedRecord where it is no listing.
    """

    def __init__(self, reader: ObjectReader, tree: str, sha256: bytes) -> None:
        self._reader = reader
        self.top = Place(tree, sha256)

    def items(self) -> Iterator[tuple[bytes, Item]]:
        """Yield path and item of each file, link and folder, each folder before what it holds."""
        waiting = [self._within(self.top, b"")]
        while waiting:
            for path, item, folder in waiting[-1]:
                yield path, item
                if folder is not None:
                    waiting.append(self._within(folder, path + b"/"))
                    break
            else:
                waiting.pop()

    def count(self) -> int:
        """Return how many items there are, each as often as it stands somewhere.

        The objects of a listing are shared: few of them may stand for more than there is room for.
        """
        counts: dict[Place, int] = {}
        waiting = [self.top]
        while waiting:
            place = waiting[-1]
            node, places = self.read(place)
            missing = [below for below in places.values() if below not in counts]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            own = 0 if node.is_split else len(node.items)
            counts[place] = own + sum(counts[below] for below in places.values())
        return counts[self.top]

    def folder(self) -> Sequence[Item]:
        """Return what the topmost folder itself holds."""
        return self.unfolded(*self.read(self.top))[0]

    def files(self) -> Iterator[tuple[bytes, Item]]:
        """Yield path and item of each file and link."""
        return ((path, item) for path, item in self.items() if item.mode != FOLDER)

    def find(self, path: bytes) -> Item | None:
        """Return one item."""
        found = self.open(path)
        return found[0] if found else None

    def open(self, path: bytes) -> "tuple[Item, Listing | None] | None":
        """Return one item and, where it is a folder, the listing of that; None if there is none."""
        place: Place | None = self.top
        item: Item | None = None
        for name in path.split(b"/"):
            item, place = self._look_up(place, name) if place else (None, None)
        if item is None:
            return None
        return item, Listing(self._reader, place.tree, place.sha256) if place else None

    def check(self, good: dict[Place, tuple[int, int]]) -> tuple[int, int]:
        """Read all folders, and compare what they hold with the sums above; return size and files.

        Those in `good` are not read once more; those that are found in order are added.
        """
        fresh: dict[Place, tuple[int, int]] = {}
        waiting: list[tuple[Place, tuple[int, int] | None]] = [(self.top, None)]
        while waiting:
            place, expected = waiting.pop()
            found = good.get(place) or fresh.get(place)
            if found is None:
                node, places = self.read(place)
                found = fresh[place] = node.size, node.files
                waiting += [
                    (places[item.name], (item.size, item.files))
                    for item in node.items
                    if item.mode == FOLDER
                ]
            if expected not in (None, found):
                raise IntegrityError(f"a listing has wrong sums (above tree {place.tree})")
        good |= fresh
        return good[self.top]

    def _within(self, place: Place, prefix: bytes) -> Iterator[tuple[bytes, Item, Place | None]]:
        items, places = self.unfolded(*self.read(place))
        for item in items:
            yield prefix + item.name, item, places.get(item.name)

    def _look_up(self, place: Place, name: bytes) -> tuple[Item | None, Place | None]:
        node, places = self.read(place)
        while node.is_split:
            part = part_of(name, len(place.digits))
            if part not in places:
                return None, None
            place = places[part]
            node, places = self.read(place)
        return next((item for item in node.items if item.name == name), None), places.get(name)

    def unfolded(self, node: Node, places: Places) -> tuple[Sequence[Item], Places]:
        """Return what a folder that was read holds in all its parts."""
        if not node.is_split:
            return node.items, places
        items: list[Item] = []
        found: dict[bytes, Place] = {}
        for part in places.values():
            more, below = self.unfolded(*self.read(part))
            items += more
            found |= below
        return sorted(items, key=_by_name), found

    def read(self, place: Place) -> tuple[Node, Places]:
        """Return the node of a folder or part, and where what is below it is."""
        found = decode_tree(_content(self._reader, place.tree, "tree"))
        entries = {(entry.mode, entry.name): entry.oid for entry in found}
        if (MODE_FILE, NODE) not in entries:
            raise MalformedRecord(f"tree {place.tree} is no folder of a listing")
        data = _content(self._reader, entries.pop((MODE_FILE, NODE)), "blob")
        if hashlib.sha256(data).digest() != place.sha256:
            raise IntegrityError(f"a listing does not match its hash (tree {place.tree})")
        node = decode_node(data)
        _check_place(node, place)
        folders = {
            (MODE_TREE, FOLDER_PREFIX + item.name): item
            for item in node.items
            if item.mode == FOLDER
        }
        if entries.keys() != folders.keys():
            raise MalformedRecord(f"tree {place.tree} has other folders than its node names")
        places = {}
        for key, item in folders.items():
            digits = place.digits + item.name if node.is_split else b""
            places[item.name] = Place(entries[key], item.sha256, digits)
        return node, places


def _check_place(node: Node, place: Place) -> None:
    """Check that parts are no deeper than hashes go, and hold the names that belong there."""
    if node.is_split:
        well = len(place.digits) < MAX_SPLITS
    elif place.digits:
        # An empty one would be good for any part: few objects could stand for parts without end.
        well = bool(node.items) and all(is_in_part(item.name, place.digits) for item in node.items)
    else:
        well = True
    if not well:
        raise MalformedRecord(f"tree {place.tree} is no such part of a folder")


def nodes(reader: ObjectReader, trees: Sequence[str], seen: set[str]) -> Iterator[Node]:
    """Yield the nodes below trees, but for trees that were `seen`; raise as `Listing` does."""
    waiting = [tree for tree in trees if tree not in seen]
    while waiting:
        oid = waiting.pop()
        if oid in seen:
            continue
        seen.add(oid)
        for entry in decode_tree(_content(reader, oid, "tree")):
            if entry.name == NODE:
                yield decode_node(_content(reader, entry.oid, "blob"))
            else:
                waiting.append(entry.oid)


def _content(reader: ObjectReader, oid: str, kind: str) -> bytes:
    found = reader.read(oid)
    if found.type != kind:
        raise MalformedRecord(f"object {oid} is a {found.type} where a listing has a {kind}")
    return found.data


def _by_name(item: Item) -> bytes:
    return item.name
