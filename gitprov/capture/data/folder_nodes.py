"""The second pass over folders: nodes of the listing, from the deepest folder up.

Those of folders in which nothing has changed are not made again.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gitprov.capture.data.folder_scan import Redact, Scan
from gitprov.capture.data.stat_cache import CachedFolder, StatCache
from gitprov.capture.hashing import sizes_and_modes
from gitprov.capture.hashing.algorithms import split
from gitprov.codec.listings import FILE, LINK, PROGRAM, SHA256, Item
from gitprov.store.listings import Folder, add_folder, join_parts

_OWNER_RUNS = 0o100

# Takes type and content of a git object, and returns its name.
Add = Callable[[str, bytes], str]


@dataclass(slots=True)
class _Plan:
    """What is left to be done for a folder once its files are hashed.

    `known` is what was made of it when its files were the same, nothing where they were not;
    `said` are names, and what links say, that hold a secret, with commitments for it.
    """

    path: bytes
    part: bytes | None
    links: dict[bytes, bytes]
    folders: list[bytes]
    is_first: bool
    known: CachedFolder | None
    said: Mapping[bytes, bytes]


class Overwritten(Exception):
    """The cache has another state of a folder than the one that was hashed."""


class NodeMaker:
    """Makes the nodes of folders whose files are in the cache."""

    def __init__(self, cache: StatCache, redact: Redact | None) -> None:
        self._cache = cache
        self._redact = redact
        # Folders before what they hold, the parts of one in their order.
        self._plans: dict[bytes, _Plan] = {}
        self._last: bytes | None = None

    def plan(self, scan: Scan, *, is_known: bool) -> None:
        """Take note of a folder, or of a part of one; `is_known`: its files are what they were."""
        is_first, self._last = scan.path != self._last, scan.path
        known = scan.cached if is_known else None
        if known is not None:  # of a million files, the rest is too much to keep
            known = known._replace(names=b"", stats=b"", digests=b"")
        said = self._without_secrets(scan)
        self._plans[scan.key] = _Plan(
            scan.path, scan.part, scan.links, scan.folders, is_first, known, said
        )

    def make(self, add: Add, states: Mapping[bytes, int], reused: set[str] | None) -> Folder:
        """Return the topmost folder; nodes that are not made again are added to `reused`.

        With None, all are made. `states` say what the cache had of each folder when it was hashed:
        raises Overwritten where somebody else has looked at it since, and seen something else.
        """
        made: dict[bytes, Folder] = {}
        parts: dict[bytes, Folder] = {}
        for key, plan in reversed(self._plans.items()):
            folders = {name: made.pop(os.path.join(plan.path, name)) for name in plan.folders}
            node = _Node(plan, folders)
            folder = node.known() if reused is not None else None
            if folder is None:
                cached = self._cache.get(key)
                if cached is None or cached.state != states.get(key):
                    raise Overwritten(os.fsdecode(plan.path))
                folder = self._made(node, cached, add)
                self._cache.put(key, node.remembered(cached, folder))
            elif reused is not None:
                reused.difference_update(below.tree for below in folders.values())
                reused.add(folder.tree)
            if plan.part is None:
                made[plan.path] = folder
                continue
            parts[plan.part] = folder
            if plan.is_first:
                made[plan.path] = self._joined(plan.path, parts, add, reused)
                parts = {}
        return made.popitem()[1]

    def _made(self, node: "_Node", cached: CachedFolder, add: Add) -> Folder:
        items = self._files(cached)
        items += [_link(name, target) for name, target in node.plan.links.items()]
        items += [folder.item(name) for name, folder in node.folders.items()]
        items, trees = node.without_secrets(items)
        return add_folder(add, sorted(items, key=_by_name), trees, depth=len(node.plan.part or b""))

    def _joined(
        self, path: bytes, parts: Mapping[bytes, Folder], add: Add, reused: set[str] | None
    ) -> Folder:
        """Return a folder of which these are the parts."""
        key = path + b"\0*"
        below = b"".join(b"%s%s" % (part, parts[part].sha256) for part in sorted(parts))
        below = hashlib.sha256(below).digest()
        cached = self._cache.get(key)
        if reused is not None and cached and cached.below == below and cached.sha256:
            reused.difference_update(part.tree for part in parts.values())
            reused.add(str(cached.tree))
            return Folder(cached.sha256, str(cached.tree), cached.size, cached.files)
        folder = join_parts(add, parts)
        made = CachedFolder(below=below, sha256=folder.sha256, tree=folder.tree)
        self._cache.put(key, made._replace(size=folder.size, files=folder.files))
        return folder

    def _files(self, cached: CachedFolder) -> list[Item]:
        names = cached.names.split(b"\0")[:-1]
        rows = zip(names, sizes_and_modes(cached.stats), self._digests(cached), strict=True)
        return [
            Item(name, PROGRAM if mode & _OWNER_RUNS else FILE, size, 1, digests)
            for name, (size, mode), digests in rows
        ]

    def _digests(self, cached: CachedFolder) -> Iterator[dict[str, bytes]]:
        """Yield the digests of each file, by algorithm."""
        digests, width = cached.digests, self._cache.width
        starts = range(0, len(digests), width)
        if self._cache.algorithms == (SHA256,):  # as nearly always
            return ({SHA256: digests[start : start + width]} for start in starts)
        algorithms = self._cache.algorithms
        return (split(algorithms, digests[start : start + width]) for start in starts)

    def _without_secrets(self, scan: Scan) -> Mapping[bytes, bytes]:
        if self._redact is None:
            return {}
        return self._redact([*scan.names, *scan.links, *scan.links.values(), *scan.folders])


@dataclass(slots=True)
class _Node:
    """What is needed for a node."""

    plan: _Plan
    folders: dict[bytes, Folder]

    def without_secrets(self, items: list[Item]) -> tuple[list[Item], dict[bytes, str]]:
        """Return items, and the trees of folders, with commitments in names and targets."""
        trees = {name: folder.tree for name, folder in self.folders.items()}
        said = self.plan.said
        if not said:
            return items, trees
        redacted = []
        for item in items:
            name = said.get(item.name, item.name)
            if item.target is None:
                redacted.append(item._replace(name=name))
            else:
                redacted.append(_link(name, said.get(item.target, item.target)))
        return redacted, {said.get(name, name): tree for name, tree in trees.items()}

    def known(self) -> Folder | None:
        """Return what was made of the same before, None where it was not the same."""
        known = self.plan.known
        if known and known.sha256 and known.tree and known.below == self._below():
            return Folder(known.sha256, known.tree, known.size, known.files)
        return None

    def remembered(self, cached: CachedFolder, made: Folder) -> CachedFolder:
        """Return what the cache is to have."""
        return cached._replace(
            below=self._below(),
            sha256=made.sha256,
            tree=made.tree,
            size=made.size,
            files=made.files,
        )

    def _below(self) -> bytes:
        """Return what stands for all that is in it besides files."""
        parts = [b"%s\0%s\0" % link for link in self.plan.links.items()]
        parts += [b"%s/\0%s\0" % (name, folder.sha256) for name, folder in self.folders.items()]
        # What is a secret may be another matter by now.
        parts += [b"%s\0=%s\0" % secret for secret in sorted(self.plan.said.items())]
        return b"".join(parts)


def _link(name: bytes, target: bytes) -> Item:
    digest = {SHA256: hashlib.sha256(target).digest()}
    return Item(name, LINK, 0, 1, digest, target)


def _by_name(item: Item) -> bytes:
    return item.name
