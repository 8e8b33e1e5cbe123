"""Notes on source commits: one line a run, for `git log --notes=prov`.

Derived from the ledger. The tree is read whatever fan-out it has (git changes it when it rewrites
notes) and only the folders on the way to a changed note are written anew, so that adding one note
costs the same with 100 as with 100,000 (libgit2's notes take quadratic time and space).

Our lines stand in the order of their text, behind what people wrote: so a note is the same in
whatever order runs came, and as git's own `cat_sort_uniq` leaves it where commits are combined. A
run has one line in a note.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from gitprov.store.git import Git
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
_SUBJECT = "Notes of runs"
_OURS = re.compile(rb"run [k-z]{8,32} ")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_FAN_OUT = 2

Lines = Mapping[str, Sequence[str]]


class _Change(NamedTuple):
    """Lines that a note is to have, and lines that it is not to have."""

    lines: Sequence[str]
    without: Sequence[str]


def stage_notes(
    pack: PackBuilder,
    reader: ObjectReader,
    tip: str | None,
    lines: Lines,
    time_ns: int,
    *,
    without: Lines = MappingProxyType({}),
    anew: bool = False,
) -> str | None:
    """Add to `pack` the notes commit that has `lines` (by commit id) in it, after `tip`.

    Returns the commit, or None where nothing is new. A line takes the place of an earlier one of
    its run, and those in `without` go; what people wrote into a note stays. With `anew`, nothing
    else is in any note but `lines`.
    """
    tree = decode_commit(reader.read(tip).data).tree if tip else EMPTY_TREE
    writer = _Writer(pack, reader)
    changes = {oid: _Change(lines.get(oid, ()), without.get(oid, ())) for oid in {*lines, *without}}
    changed = writer.updated(EMPTY_TREE if anew else tree, changes, depth=0)
    if changed == tree:
        return None
    author = person(_AUTHOR, None, time_ns)
    parents = (tip,) if tip else ()
    return pack.add_commit(Commit(changed, parents, author, author, f"{_SUBJECT}\n".encode()))


class _Writer:
    def __init__(self, pack: PackBuilder, reader: ObjectReader) -> None:
        self._pack = pack
        self._reader = reader

    def updated(self, tree: str, changes: Mapping[str, _Change], depth: int) -> str:
        """Return the tree with notes changed whose names, below this folder, are the keys."""
        data = b"" if tree == EMPTY_TREE else self._reader.read(tree).data
        entries = {entry.name: entry for entry in decode_tree(data)}
        deeper: dict[bytes, dict[str, _Change]] = {}
        for rest, change in changes.items():
            name = rest.encode()
            folder = name[:_FAN_OUT]
            is_folder = folder in entries and entries[folder].mode == MODE_TREE
            if name not in entries and (is_folder or depth == 0):
                deeper.setdefault(folder, {})[rest[_FAN_OUT:]] = change
            else:
                old = entries.pop(name, None)
                if note := self._note(old.oid if old else None, change):
                    entries[name] = TreeEntry(MODE_FILE, name, note)
        for folder, below in deeper.items():
            old = entries.pop(folder, None)
            oid = self.updated(old.oid if old else EMPTY_TREE, below, depth + 1)
            if oid != EMPTY_TREE:
                entries[folder] = TreeEntry(MODE_TREE, folder, oid)
        return self._pack.add("tree", encode_tree(entries.values()))

    def _note(self, old: str | None, change: _Change) -> str | None:
        """Return the note as it is to be, None for one that is to be gone."""
        present = self._reader.read(old).data.splitlines() if old else []
        given = _encoded(change.lines)
        wrong = set(_encoded(change.without))
        theirs = [line for line in present if not _OURS.match(line)]
        known = set(theirs)
        theirs += [line for line in given if not _OURS.match(line) and line not in known]
        stay = (line for line in present if _OURS.match(line) and line not in wrong)
        fresh = (line for line in given if _OURS.match(line))
        ours = {_run(line): line for line in (*stay, *fresh)}
        lines = [*theirs, *sorted(ours.values())]
        if old and sorted(lines) == sorted(present):
            return old
        if not any(lines):
            return None
        return self._pack.add("blob", b"".join(line + b"\n" for line in lines))


def _run(line: bytes) -> bytes:
    """Return the id of the run that a line of ours is about."""
    return line.split(b" ", 2)[1]


def _encoded(lines: Sequence[str]) -> list[bytes]:
    return [line.encode("utf-8", "surrogateescape") for line in lines]


def written_by_others(
    git: Git, reader: ObjectReader, tip: str, since: str | None
) -> dict[str, list[str]]:
    """Return lines as ours that somebody else has written since a notes commit, by commit.

    Git does when it rewrites commits: it copies what was said of the old ones.
    """
    theirs = git.run(
        "rev-list", "--ignore-missing", "--basic-regexp", "--invert-grep", f"--grep=^{_SUBJECT}$",
        tip, *([f"^{since}"] if since else []),
    )  # fmt: skip
    if not theirs:
        return {}
    options = ("--stdin", "--root", "-m", "-r", "--no-renames")
    notes = sorted(_changed(git.run("diff-tree", *options, stdin=theirs)))
    found: dict[str, list[str]] = {}
    blobs = reader.read_many([blob for _, blob in notes])
    for (commit, _), blob in zip(notes, blobs, strict=True):
        lines = blob.data.splitlines() if blob else []
        ours = [line.decode("utf-8", "surrogateescape") for line in lines if _OURS.match(line)]
        found.setdefault(commit, []).extend(ours)
    return found


def _changed(raw: bytes) -> set[tuple[str, str]]:
    """Return commits and their new notes, by what git says of files that differ.

    A note that has only moved to another folder is no new one.
    """
    found: set[tuple[str, str]] = set()
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for line in (*raw.decode("ascii", "replace").splitlines(), ""):
        about, _, path = line.partition("\t")
        if not path:  # the next comparison
            found.update(after.items() - before.items())
            before, after = {}, {}
            continue
        _, _, old, new, status = about.split()
        commit = path.replace("/", "")
        if status != "A":
            before[commit] = old
        if status != "D":
            after[commit] = new
    return {(commit, note) for commit, note in found if _COMMIT.match(commit)}


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
