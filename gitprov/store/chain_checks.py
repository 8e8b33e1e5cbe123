"""What the commits of payload and keep chains must look like before they are joined.

Form, not truth: a chain that passes can be read, and reading it costs no more than its size says.
For the ledger, `gitprov.store.entry_checks` does it. Specification: sections 4 and 10.2.
"""

import re
from collections.abc import Collection, Sequence

from gitprov.codec.canonical import MAX_BYTES
from gitprov.codec.compression import MAX_PAYLOAD_BYTES
from gitprov.errors import MalformedRecord, ObjectMissing
from gitprov.model.ids import is_id
from gitprov.store.git import Git
from gitprov.store.listings import FOLDER_PREFIX, NODE
from gitprov.store.messages import has_controls
from gitprov.store.objects import (
    MODE_FILE,
    MODE_TREE,
    Commit,
    ObjectReader,
    TreeEntry,
    decode_commit,
    decode_tree,
)
from gitprov.store.repository import EMPTY_TREE

_LISTING = re.compile(rb"listing-[0-9a-f]{64}")


def check_payload(git: Git, reader: ObjectReader, commits: Sequence[str]) -> None:
    """Check payload commits: folders named by runs, with plain files and listings in them.

    Raises MalformedRecord, and ObjectMissing where a part is not here. Reads trees only; contents
    are compared with the hashes in records whenever they are used. Each object is read once: a few
    trees that many commits name stand for more files than there is time to look at.
    """
    folders: set[str] = set()
    trees: dict[str, None] = {}
    for oid in commits:
        commit = _commit(reader, oid)
        _check_text(commit)
        trees[commit.tree] = None
    for tree in trees:
        for folder in _tree(reader, tree):
            name = folder.name.decode("ascii", "replace")
            if folder.mode != MODE_TREE or not is_id(name):
                raise MalformedRecord(f"payload {tree} holds {name!r}, which is no run")
            folders.add(folder.oid)
    files: set[str] = set()
    listings: dict[str, None] = {}
    for oid in folders:
        for file in _tree(reader, oid):
            if file.mode == MODE_TREE and _LISTING.fullmatch(file.name):
                listings[file.oid] = None
                continue
            if file.mode != MODE_FILE or b"/" in file.name or file.name in (b"", b".", b".."):
                raise MalformedRecord(f"{file.name!r} in a payload is not a plain file")
            files.add(file.oid)
    _check_sizes(git, sorted(files), MAX_PAYLOAD_BYTES)
    _check_sizes(git, _nodes(reader, list(listings)), MAX_BYTES)


def _nodes(reader: ObjectReader, listings: Sequence[str]) -> list[str]:
    """Return the nodes of listings, whose trees hold one each, and the folders below it."""
    nodes: dict[str, None] = {}
    seen, waiting = set(listings), list(listings)
    while waiting:
        oid = waiting.pop()
        entries = _tree(reader, oid)
        if [entry.name for entry in entries].count(NODE) != 1:
            raise MalformedRecord(f"tree {oid} stands for no folder of a listing")
        for entry in entries:
            if entry.mode == MODE_TREE and entry.name.startswith(FOLDER_PREFIX):
                if entry.oid not in seen:
                    seen.add(entry.oid)
                    waiting.append(entry.oid)
            elif entry.mode == MODE_FILE and entry.name == NODE:
                nodes[entry.oid] = None
            else:
                raise MalformedRecord(f"{entry.name!r} has no place in a listing (tree {oid})")
    return list(nodes)


def _check_sizes(git: Git, blobs: Sequence[str], limit: int) -> None:
    if not blobs:
        return
    answers = git.run(
        "cat-file",
        "--batch-check=%(objectname) %(objecttype) %(objectsize)",
        stdin="".join(f"{oid}\n" for oid in blobs).encode(),
    )
    for answer in answers.decode().splitlines():
        oid, kind, *size = answer.split()
        if not size:
            raise ObjectMissing(f"object {oid} of a payload is not in this clone; git fetch it")
        if kind != "blob" or int(size[0]) > limit:
            raise MalformedRecord(f"a payload holds a {kind} of {size[0]} bytes")


def check_keep(
    reader: ObjectReader, tip: str, known: str | None, cut: Collection[str] = ()
) -> list[str]:
    """Check that a keep chain holds commits for their parents' sake alone; return its commits.

    A keep commit is told from a source, which is where the chain ends, by its empty tree. `cut`
    are those whose parents a shallow clone does without.
    Raises MalformedRecord, and ObjectMissing where a parent is not here.
    """
    if _commit(reader, tip).tree != EMPTY_TREE:
        raise MalformedRecord("a keep commit holds files")
    keep, seen, waiting = [], {tip, known}, [tip]
    while waiting:
        oid = waiting.pop()
        commit = _commit(reader, oid)
        if commit.tree == EMPTY_TREE:
            keep.append(oid)
            parents = commit.parents if oid not in cut else ()
            news = [parent for parent in parents if parent not in seen]
            seen.update(news)
            waiting += news
    return keep


def _check_text(commit: Commit) -> None:
    if has_controls(commit):
        raise MalformedRecord("a commit has control characters in its header or message")


def _commit(reader: ObjectReader, oid: str) -> Commit:
    found = reader.read(oid)
    if found.type != "commit":
        raise MalformedRecord(f"object {oid} is a {found.type} where the chain has a commit")
    return decode_commit(found.data)


def _tree(reader: ObjectReader, oid: str) -> list[TreeEntry]:
    if oid == EMPTY_TREE:
        return []
    found = reader.read(oid)
    if found.type != "tree":
        raise MalformedRecord(f"object {oid} is a {found.type} where a payload has a folder")
    return decode_tree(found.data)
