"""Listings: what a folder held, one node a folder (specification, section 6.2).

A node is one canonical document with a column for each property, so that a thousand items cost
little more than one. It names the folders below it by the sha256 of their nodes: the sha256 of the
root node stands for all that is below it. Folders with many items are split by the hash of the
names, so that every node is small, and a pure function of what it holds.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from gitprov.codec import canonical
from gitprov.errors import MalformedRecord
from gitprov.model.run import RawText

# A folder with more items, or longer names, is split, and so are its parts, as long as the hash
# has digits.
MAX_ITEMS = 1024
MAX_TEXT_BYTES = 1 << 20
MAX_SPLITS = 16

FILE, PROGRAM, LINK, FOLDER = 0o100644, 0o100755, 0o120000, 0o040000
SHA256 = "sha256"

_FILES = frozenset({FILE, PROGRAM})
_MODES = _FILES | {LINK, FOLDER}
_SHA256_BYTES = 32
_MAX_NUMBER = (1 << 63) - 1
_ALGORITHM = re.compile(r"[a-z0-9_]{1,32}")
_COLUMNS = frozenset({"digests", "files", "modes", "names", "sizes"})
_PARTS = frozenset(b"%x" % digit for digit in range(16))
# Names that lead elsewhere when what is listed is written out.
_NO_NAMES = frozenset({b"", b".", b".."})


class Item(NamedTuple):
    """A file, link or folder.

    `size` is in bytes; that of a folder, and the number of its `files` (links are among them), are
    sums over all below it.
    `digests` are of a file's content, by algorithm; links and folders have the sha256 of what the
    link says, and of the folder's node.
    """

    name: bytes
    mode: int
    size: int
    files: int
    digests: Mapping[str, bytes]
    target: bytes | None = None

    @property
    def sha256(self) -> bytes:
        """The digest that names a folder or link; files may have others instead."""
        return self.digests[SHA256]


class Node(NamedTuple):
    """What a folder holds, or a part of it. A split one holds parts, named by a digit."""

    items: tuple[Item, ...]
    is_split: bool = False

    @property
    def size(self) -> int:
        """The bytes of all files below it."""
        return sum(item.size for item in self.items)

    @property
    def files(self) -> int:
        """The number of files and links below it."""
        return sum(item.files for item in self.items)


def encode_node(node: Node) -> bytes:
    """Return the bytes of a node; its items are in the order of their names."""
    items = node.items
    algorithms = sorted({name for item in items for name in item.digests})
    document: dict[str, Any] = {
        "files": [item.files for item in items],
        "digests": {name: [item.digests.get(name, b"") for item in items] for name in algorithms},
        "modes": [item.mode for item in items],
        "names": [_raw(item.name) for item in items],
        "sizes": [item.size for item in items],
    }
    if node.is_split:
        document["split"] = True
    if targets := [_raw(item.target) for item in items if item.target is not None]:
        document["targets"] = targets
    return canonical.encode(document)


def decode_node(data: bytes) -> Node:
    """Return the node in `data`; raise MalformedRecord for any other bytes."""
    document = canonical.decode(data)
    try:
        node = _node(document)
        well = _is_well_formed(node) and encode_node(node) == data
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedRecord(f"this is no node of a listing ({error!r})") from error
    if not well:
        raise MalformedRecord("this is no node of a listing")
    return node


def split(items: Sequence[Item], depth: int) -> Mapping[bytes, Sequence[Item]] | None:
    """Return the parts of a folder that is too large to be one node, else None.

    `depth` says how often it was split before.
    """
    if _fits(items) or depth == MAX_SPLITS:
        return None
    parts: dict[bytes, list[Item]] = {}
    for item in items:
        parts.setdefault(part_of(item.name, depth), []).append(item)
    return dict(sorted(parts.items()))


def fits(count: int, text: int) -> bool:
    """Say whether so many items, with so many bytes of names and targets, are one node."""
    return count <= MAX_ITEMS and text <= MAX_TEXT_BYTES


def _fits(items: Sequence[Item]) -> bool:
    return fits(len(items), sum(len(item.name) + len(item.target or b"") for item in items))


def part_of(name: bytes, depth: int) -> bytes:
    """Return the part in which a name stands, of a folder that was split so often before."""
    return hashlib.sha256(name).hexdigest()[depth].encode()


def is_in_part(name: bytes, digits: bytes) -> bool:
    """Say whether a name stands in the part with these digits."""
    return hashlib.sha256(name).hexdigest().startswith(digits.decode())


def _node(document: Mapping[str, Any]) -> Node:
    if not _COLUMNS <= document.keys() <= _COLUMNS | {"split", "targets"}:
        raise MalformedRecord("a node of a listing has these columns: " + ", ".join(_COLUMNS))
    columns = document["digests"]
    if not all(map(_ALGORITHM.fullmatch, columns)):
        raise MalformedRecord("a node of a listing has a digest without a proper name")
    rows = zip(*columns.values(), strict=True) if columns else iter(())
    digests = [
        {name: digest for name, digest in zip(columns, row, strict=True) if digest} for row in rows
    ]
    modes, targets = document["modes"], list(document.get("targets", ()))
    if modes.count(LINK) != len(targets):
        raise MalformedRecord("a node of a listing has a target for each link")
    targets.reverse()
    items = tuple(
        Item(
            _bytes(name), mode, size, files, digest,
            _bytes(targets.pop()) if mode == LINK else None,
        )
        for name, mode, size, files, digest in zip(
            document["names"], modes, document["sizes"], document["files"], digests, strict=True
        )
    )  # fmt: skip
    return Node(items, "split" in document)


def _is_well_formed(node: Node) -> bool:
    names = [item.name for item in node.items]
    in_order = all(before < after for before, after in pairwise(names))
    if node.is_split:
        parts = _PARTS.issuperset(names) and all(item.mode == FOLDER for item in node.items)
        return in_order and parts and bool(names) and all(map(_is_item, node.items))
    fit = _fits(node.items) and not any(b"/" in name or b"\0" in name for name in names)
    return in_order and fit and _NO_NAMES.isdisjoint(names) and all(map(_is_item, node.items))


def _is_item(item: Item) -> bool:
    numbers = (item.mode, item.size, item.files)
    return (
        all(type(number) is int and 0 <= number <= _MAX_NUMBER for number in numbers)
        and item.mode in _MODES
        and (item.mode == FOLDER or item.files == 1)
        and bool(item.digests)
        and all(type(digest) is bytes for digest in item.digests.values())
        and (item.mode in _FILES or item.digests.keys() == {SHA256})
        and len(item.digests.get(SHA256, bytes(_SHA256_BYTES))) == _SHA256_BYTES
        and (item.target is None or _is_link(item, item.target))
    )


def _is_link(item: Item, target: bytes) -> bool:
    found = hashlib.sha256(target).digest()
    return item.size == 0 and b"\0" not in target and found == item.sha256


def _raw(name: bytes) -> RawText:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name


def _bytes(name: RawText) -> bytes:
    return name if isinstance(name, bytes) else name.encode()
