"""The ledger: append-only chains of entries, each a commit with a folder per record.

Specification: sections 3 and 4. Reading is in bulk (four questions to the object store for any
number of entries) and checks shape, not trust: `gitprov.store.acceptance` decides what may enter,
`gitprov.policy.verify` judges what is there.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitprov.codec.records import schema_of
from gitprov.errors import MalformedRecord, ObjectMissing
from gitprov.model.ids import is_id
from gitprov.store.git import Git
from gitprov.store.objects import (
    MODE_FILE,
    MODE_TREE,
    Commit,
    ObjectReader,
    decode_commit,
    decode_tree,
)
from gitprov.store.repository import EMPTY_TREE

ENVIRONMENT = "environment"
SIGNATURE = "signature"

_ENTRIES_AT_ONCE = 2000


class StoredRecord(NamedTuple):
    """A record where it lies: its bytes, and what stands beside them in its folder."""

    id: str
    schema: str
    blob: str
    data: bytes
    environment: str | None
    signature: str | None


class Entry(NamedTuple):
    """One commit of a chain and the records in it."""

    oid: str
    commit: Commit
    records: tuple[StoredRecord, ...]


class RecordFiles(NamedTuple):
    """What the folder of a record names."""

    schema: str
    blob: str
    environment: str | None
    signature: str | None


class _Folder(NamedTuple):
    entry: int
    id: str
    tree: str


class _Place(NamedTuple):
    entry: int
    id: str
    files: RecordFiles


def list_entries(git: Git, tips: Sequence[str], known: Sequence[str] = ()) -> list[str]:
    """Return the commits reachable from `tips` and not from `known`, parents first."""
    if not tips:
        return []
    names = "\n".join([*tips, *(f"^{oid}" for oid in known), ""])
    output = git.run("rev-list", "--topo-order", "--reverse", "--stdin", stdin=names.encode())
    return output.decode().split()


def read_entries(reader: ObjectReader, oids: Sequence[str]) -> Iterator[Entry]:
    """Yield the entries of commits, in their order.

    Raises ObjectMissing where this clone lacks an object, MalformedRecord where an entry has not
    the shape of one.
    """
    for start in range(0, len(oids), _ENTRIES_AT_ONCE):
        yield from _read_batch(reader, oids[start : start + _ENTRIES_AT_ONCE])


def entry_folders(oid: str, tree: bytes) -> Iterator[tuple[str, str]]:
    """Yield id and folder of each record in the tree of an entry; raise MalformedRecord."""
    for entry in decode_tree(tree):
        name = entry.name.decode("ascii", "replace")
        if entry.mode != MODE_TREE or not is_id(name):
            raise MalformedRecord(f"entry {oid} holds {name!r}, which is no record")
        yield name, entry.oid


def record_files(record_id: str, tree: bytes) -> RecordFiles:
    """Return what the folder of a record names; raise MalformedRecord for another folder."""
    schemas, environment, signature = [], None, None
    for entry in decode_tree(tree):
        name = entry.name.decode("ascii", "replace")
        schema = schema_of(name)
        if schema is not None and entry.mode == MODE_FILE:
            schemas.append((schema, entry.oid))
        elif name == ENVIRONMENT and entry.mode == MODE_TREE:
            environment = entry.oid
        elif name == SIGNATURE and entry.mode == MODE_FILE:
            signature = entry.oid
        else:
            raise MalformedRecord(f"record {record_id} holds {name!r}, which has no place there")
    if len(schemas) != 1:
        raise MalformedRecord(f"record {record_id} has {len(schemas)} manifests instead of one")
    return RecordFiles(*schemas[0], environment, signature)


def read_contents(reader: ObjectReader, oids: Sequence[str], kind: str) -> Iterator[bytes]:
    """Yield what is in objects of the ledger, all of one kind.

    Raises ObjectMissing where this clone lacks one, MalformedRecord for one of another kind.
    """
    for oid, found in zip(oids, reader.read_many(oids), strict=True):
        if found is None:
            raise ObjectMissing(f"object {oid} of the ledger is not in this clone; git fetch it")
        if found.type != kind:
            raise MalformedRecord(f"object {oid} is a {found.type} where the ledger has a {kind}")
        yield found.data


def _read_batch(reader: ObjectReader, oids: Sequence[str]) -> Iterator[Entry]:
    commits = [decode_commit(data) for data in read_contents(reader, oids, "commit")]
    folders = _folders(reader, oids, commits)
    places = _places(reader, folders)
    records: list[list[StoredRecord]] = [[] for _ in oids]
    for place, data in zip(
        places, read_contents(reader, [place.files.blob for place in places], "blob"), strict=True
    ):
        files = place.files
        record = StoredRecord(
            place.id, files.schema, files.blob, data, files.environment, files.signature
        )
        records[place.entry].append(record)
    for oid, commit, found in zip(oids, commits, records, strict=True):
        yield Entry(oid, commit, tuple(found))


def _folders(reader: ObjectReader, oids: Sequence[str], commits: Sequence[Commit]) -> list[_Folder]:
    """Return the record folders of entries; an entry with the empty tree (a merge) has none."""
    filled = [index for index, commit in enumerate(commits) if commit.tree != EMPTY_TREE]
    trees = read_contents(reader, [commits[index].tree for index in filled], "tree")
    return [
        _Folder(index, record_id, tree)
        for index, data in zip(filled, trees, strict=True)
        for record_id, tree in entry_folders(oids[index], data)
    ]


def _places(reader: ObjectReader, folders: Sequence[_Folder]) -> list[_Place]:
    """Return what lies in record folders."""
    trees = read_contents(reader, [folder.tree for folder in folders], "tree")
    return [
        _Place(folder.entry, folder.id, record_files(folder.id, data))
        for folder, data in zip(folders, trees, strict=True)
    ]
