"""Notes on source commits: one line a run, for `git log --notes=prov`.

Derived from the ledger. The tree is read whatever fan-out it has (git changes it when it rewrites
notes) and only the folders on the way to a changed note are written anew, so that adding one note
costs the same with 100 as with 100,000 (libgit2's notes take quadratic time and space).
"""

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
_FAN_OUT = 2

Lines = Mapping[str, Sequence[str]]


def stage_notes(
    pack: PackBuilder, reader: ObjectReader, tip: str | None, lines: Lines, time_ns: int
) -> str | None:
    """Add to `pack` the notes commit that has `lines` (by commit id) in it, after `tip`.

    Returns the commit, or None where every line is there already. A line that a note has is not
    added again; what people wrote into a note stays.
    """
    tree = decode_commit(reader.read(tip).data).tree if tip else EMPTY_TREE
    changed = _Writer(pack, reader).updated(tree, lines, depth=0)
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
        text = self._reader.read(old).data if old else b""
        present = set(text.splitlines())
        fresh = [line.encode() for line in added if line.encode() not in present]
        if not fresh and old:
            return old
        if text and not text.endswith(b"\n"):
            text += b"\n"
        return self._pack.add("blob", text + b"".join(line + b"\n" for line in fresh))
