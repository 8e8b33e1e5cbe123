"""The ledger: append-only chains of entries, each a commit with a folder per record.

Specification: sections 3 and 4. Reading is in bulk (four questions to the object store for many
entries), and checks shape, not trust: `gitprov.store.entry_checks` decides what may enter,
`gitprov.policy.verify` judges what is there.
"""

from collections.abc import Iterator, Mapping, Sequence
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

_ENTRIES_AT_ONCE = 180
_RECORDS_AT_ONCE = 5000


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


# The records of each tree of an entry: id and folder.
_Folders = Mapping[str, Sequence[tuple[str, str]]]


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
    last = ""
    for entry in decode_tree(tree):
        name = entry.name.decode("ascii", "replace")
        if entry.mode != MODE_TREE or not is_id(name):
            raise MalformedRecord(f"entry {oid} holds {name!r}, which is no record")
        if name <= last:
            raise MalformedRecord(f"entry {oid} holds {name!r} twice, or not in order")
        last = name
        yield name, entry.oid


def record_files(record_id: str, tree: bytes) -> RecordFiles:
    """Return what the folder of a record names; raise MalformedRecord for another folder."""
    schemas, environment, signature = [], None, None
    for entry in decode_tree(tree):
        name = entry.name.decode("ascii", "replace")
        schema = schema_of(name)
        if schema is not None and entry.mode == MODE_FILE:
            schemas.append((schema, entry.oid))
        elif name == ENVIRONMENT and entry.mode == MODE_TREE and environment is None:
            environment = entry.oid
        elif name == SIGNATURE and entry.mode == MODE_FILE and signature is None:
            signature = entry.oid
        else:
            raise MalformedRecord(f"record {record_id} holds {name!r}, which has no place there")
    if len(schemas) != 1:
        raise MalformedRecord(f"record {record_id} has {len(schemas)} manifests instead of one")
    return RecordFiles(*schemas[0], environment, signature)


def find_record(reader: ObjectReader, entry: str, record_id: str) -> RecordFiles:
    """Return what the folder of one record names, in the entry that holds it.

    Raises ObjectMissing where this clone lacks an object, MalformedRecord where it is not there.
    """
    (data,) = read_contents(reader, [entry], "commit")
    (tree,) = read_contents(reader, [decode_commit(data).tree], "tree")
    folder = dict(entry_folders(entry, tree)).get(record_id)
    if folder is None:
        raise MalformedRecord(f"entry {entry} does not hold record {record_id}")
    (data,) = read_contents(reader, [folder], "tree")
    return record_files(record_id, data)


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
    trees = {commit.tree: oid for oid, commit in zip(oids, commits, strict=True)}
    trees.pop(EMPTY_TREE, None)  # of joins
    contents = read_contents(reader, list(trees), "tree")
    folders: _Folders = {
        tree: list(entry_folders(oid, data))
        for (tree, oid), data in zip(trees.items(), contents, strict=True)
    }
    portion: list[tuple[str, Commit]] = []
    count = 0
    for oid, commit in zip(oids, commits, strict=True):
        portion.append((oid, commit))
        count += len(folders.get(commit.tree, ()))
        if count >= _RECORDS_AT_ONCE:
            yield from _read_portion(reader, portion, folders)
            portion, count = [], 0
    yield from _read_portion(reader, portion, folders)


def _read_portion(
    reader: ObjectReader, portion: Sequence[tuple[str, Commit]], folders: _Folders
) -> Iterator[Entry]:
    """Yield entries whose records are in memory together, what they share only once."""
    used = [folders.get(commit.tree, ()) for _, commit in portion]
    named = {folder: record_id for pairs in used for record_id, folder in pairs}
    trees = read_contents(reader, list(named), "tree")
    files = {
        folder: record_files(record_id, data)
        for (folder, record_id), data in zip(named.items(), trees, strict=True)
    }
    blobs = list(dict.fromkeys(found.blob for found in files.values()))
    data = dict(zip(blobs, read_contents(reader, blobs, "blob"), strict=True))
    for (oid, commit), pairs in zip(portion, used, strict=True):
        records = (_stored(record_id, files[folder], data) for record_id, folder in pairs)
        yield Entry(oid, commit, tuple(records))


def _stored(record_id: str, files: RecordFiles, data: Mapping[str, bytes]) -> StoredRecord:
    schema, blob, environment, signature = files
    return StoredRecord(record_id, schema, blob, data[blob], environment, signature)
