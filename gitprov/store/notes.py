"""Notes on source commits: one line a run, for `git log --notes=prov`.

Derived from the ledger. The tree is read whatever fan-out it has (git changes it when it rewrites
notes) and only the folders on the way to a changed note are written anew, so that adding one note
costs the same with 100 as with 100,000 (libgit2's notes take quadratic time and space).

Our lines stand in the order of their text, behind what people wrote: so a note is the same in
whatever order runs came, and as git's own `cat_sort_uniq` leaves it where commits are combined.
"""

import re
from collections.abc import Mapping, Sequence

from gitprov.store.messages import person
from gitprov.store.objects import (
    MODE_FILE,
    MODE_TREE,
    Commit,
    ObjectReader,
    TreeEntry,
    decode_commit,
    decode_tree,
    encode_tree,
)
from gitprov.store.pack import PackBuilder
from gitprov.store.repository import EMPTY_TREE

_AUTHOR = "gitprov"
_OURS = re.compile(rb"run [k-z]{8,32} ")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_FAN_OUT = 2

Lines = Mapping[str, Sequence[str]]


def stage_notes(
    pack: PackBuilder,
    reader: ObjectReader,
    tip: str | None,
    lines: Lines,
    time_ns: int,
    *,
    anew: bool = False,
) -> str | None:
    """Add to `pack` the notes commit that has `lines` (by commit id) in it, after `tip`.

    Returns the commit, or None where nothing is new. A line that a note has is not added again;
    what people wrote into a note stays. With `anew`, nothing else is in it but `lines`.
    """
    tree = decode_commit(reader.read(tip).data).tree if tip else EMPTY_TREE
    writer = _Writer(pack, reader)
    changed = writer.updated(EMPTY_TREE if anew else tree, lines, depth=0)
    if changed == tree:
        return None
    author = person(_AUTHOR, None, time_ns)
    parents = (tip,) if tip else ()
    return pack.add_commit(Commit(changed, parents, author, author, b"Notes of runs\n"))


class _Writer:
    def __init__(self, pack: PackBuilder, reader: ObjectReader) -> None:
        self._pack = pack
        self._reader = reader

    def updated(self, tree: str, lines: Lines, depth: int) -> str:
        """Return the tree with notes added whose names, below this folder, are the keys."""
        data = b"" if tree == EMPTY_TREE else self._reader.read(tree).data
        entries = {entry.name: entry for entry in decode_tree(data)}
        deeper: dict[bytes, dict[str, Sequence[str]]] = {}
        for rest, added in lines.items():
            name = rest.encode()
            folder = name[:_FAN_OUT]
            is_folder = folder in entries and entries[folder].mode == MODE_TREE
            if name not in entries and (is_folder or depth == 0):
                deeper.setdefault(folder, {})[rest[_FAN_OUT:]] = added
            else:
                old = entries[name].oid if name in entries else None
                entries[name] = TreeEntry(MODE_FILE, name, self._note(old, added))
        for folder, below in deeper.items():
            old_tree = entries[folder].oid if folder in entries else EMPTY_TREE
            oid = self.updated(old_tree, below, depth + 1)
            entries[folder] = TreeEntry(MODE_TREE, folder, oid)
        return self._pack.add("tree", encode_tree(entries.values()))

    def _note(self, old: str | None, added: Sequence[str]) -> str:
        present = self._reader.read(old).data.splitlines() if old else []
        given = [line.encode("utf-8", "surrogateescape") for line in added]
        if set(given).issubset(present) and old:
            return old
        theirs = [line for line in present if not _OURS.match(line)]
        known = set(theirs)
        theirs += [line for line in given if not _OURS.match(line) and line not in known]
        ours = sorted({line for line in (*present, *given) if _OURS.match(line)})
        return self._pack.add("blob", b"".join(line + b"\n" for line in (*theirs, *ours)))


def written_by_people(reader: ObjectReader, tip: str) -> dict[str, list[str]]:
    """Return the lines of notes that are not ours, by commit."""
    found: dict[str, list[str]] = {}
    folders = [("", decode_commit(reader.read(tip).data).tree)]
    notes: list[tuple[str, str]] = []
    while folders:
        trees = list(reader.read_many([oid for _, oid in folders]))
        below = []
        for (prefix, _), tree in zip(folders, trees, strict=True):
            for entry in decode_tree(tree.data) if tree else ():
                name = prefix + entry.name.decode("ascii", "replace")
                if entry.mode == MODE_TREE:
                    below.append((name, entry.oid))
                elif _COMMIT.match(name):
                    notes.append((name, entry.oid))
        folders = below
    blobs = reader.read_many([oid for _, oid in notes])
    for (commit, _), blob in zip(notes, blobs, strict=True):
        lines = blob.data.splitlines() if blob else []
        if theirs := [line for line in lines if not _OURS.match(line)]:
            found[commit] = [line.decode("utf-8", "surrogateescape") for line in theirs]
    return found
