"""Which records this clone has already, by id: what a stranger sends must not stand in for them.

A record that comes in under an id of ours with other content would be shown in place of ours, and
one that carries our writer's id would move the end of our chain. Both are refused before a chain
is joined. Specification: section 10.2.
"""

import hashlib
from collections.abc import Collection, Iterator
from functools import cached_property
from io import BytesIO
from typing import NamedTuple

from gitprov.codec.records import schema_of, writer_of
from gitprov.errors import MalformedRecord
from gitprov.store.git import Git
from gitprov.store.ledger import (
    ENVIRONMENT,
    StoredRecord,
    entry_folders,
    list_entries,
    read_contents,
    read_entries,
)
from gitprov.store.objects import ObjectReader, decode_commit, decode_tree
from gitprov.store.refs import LEDGER, list_refs, parse_shard
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store
from gitprov.store.writer import load_chain_end, shard_of, writer_id

# Each entry is compared with so many names.
_FEW = 50


class Content(NamedTuple):
    """What makes two records under one id the same."""

    schema: str | None
    digest: bytes
    environment: str | None


class _Claim(NamedTuple):
    """A record that says that our writer wrote it."""

    sequence: int
    digest: bytes
    previous: bytes | None
    record_id: str


def record_folders(git: Git, tips: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield id and folder of each record that chains have.

    Costs one walk by git, which reads two objects an entry (commit and tree) and no record: a
    second for a hundred thousand entries, once a command that takes something in.
    """
    if not tips:
        return
    walk = git.run(
        "rev-list", "--objects", "--filter=tree:2", "--stdin", stdin="\n".join(tips).encode()
    )
    for line in BytesIO(walk):
        oid, _, name = line.decode("ascii", "replace").rstrip("\n").partition(" ")
        if name:
            yield name, oid


def find_folders(
    git: Git, reader: ObjectReader, tips: Collection[str], ids: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield id and folder of each record that chains have under one of these ids.

    Git looks for a few by their path: a third of the time, and less with a commit graph.
    """
    if not ids or not tips:
        return
    if len(ids) > _FEW:
        found = record_folders(git, tips)
    else:
        asked = "\n".join([*tips, "--", *ids]).encode()
        # All sides of joins, whose own tree has none of them.
        entries = git.run("rev-list", "--full-history", "--stdin", stdin=asked).decode().split()
        commits = map(decode_commit, read_contents(reader, entries, "commit"))
        trees = [commit.tree for commit in commits if commit.tree != EMPTY_TREE]
        contents = zip(trees, read_contents(reader, trees, "tree"), strict=True)
        found = (pair for tree, data in contents for pair in entry_folders(tree, data))
    yield from (pair for pair in found if pair[0] in ids)


class KnownRecords:
    """The records of our ledger, asked for when the first news come."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.writer = writer_id(store.repository.prov_dir)
        self._taken: dict[str, Content] = {}

    def take(self, contents: dict[str, Content]) -> None:
        """Count the records of a chain that was joined among those that are here."""
        self._taken |= contents

    def has(self, record_id: str) -> bool:
        """Say whether any record is here under an id."""
        return record_id in self._taken or record_id in self._folders

    def contents(self, record_id: str) -> set[Content]:
        """Return what is here under an id: one content, unless damage was done before."""
        if record_id in self._taken:
            return {self._taken[record_id]}
        reader = self._store.objects
        found = set()
        for folder in self._folders.get(record_id, ()):
            schema, digest, environment = None, b"", None
            for item in decode_tree(reader.read(folder).data):
                name = item.name.decode("ascii", "replace")
                if name == ENVIRONMENT:
                    environment = item.oid
                elif kind := schema_of(name):
                    schema, digest = kind, hashlib.sha256(reader.read(item.oid).data).digest()
            found.add(Content(schema, digest, environment))
        return found

    @cached_property
    def _folders(self) -> dict[str, list[str]]:
        """The folders of all records of our ledger, by the records' ids."""
        git = self._store.repository.git
        folders: dict[str, list[str]] = {}
        for record_id, folder in record_folders(git, list_refs(git, LEDGER).values()):
            folders.setdefault(record_id, []).append(folder)
        return folders

    def named_by_ours(self) -> set[bytes | None]:
        """Return the digests of our writer's records, as far as other records of it say them.

        Reads every record of our shard.
        """
        store, shard = self._store, shard_of(self.writer)
        refs = list_refs(store.repository.git, LEDGER).items()
        tips = [oid for ref, oid in refs if (place := parse_shard(ref)) and place.shard == shard]
        named = {load_chain_end(store.repository.prov_dir, self.writer).digest}
        for entry in read_entries(store.objects, list_entries(store.repository.git, tips)):
            for record in entry.records:
                writer = writer_of(record.data)
                if writer and writer.id == self.writer:
                    named.add(writer.previous)
        return named


class Arriving:
    """The records of one chain on their way in."""

    def __init__(self, known: KnownRecords) -> None:
        self._known = known
        self._contents: dict[str, Content] = {}
        self._claims: list[_Claim] = []

    def check(self, record: StoredRecord) -> None:
        """Raise MalformedRecord where the record's id is taken by another record."""
        digest = hashlib.sha256(record.data).digest()
        content = Content(record.schema, digest, record.environment)
        known = self._known.contents(record.id)
        if (known and content not in known) or self._contents.get(record.id, content) != content:
            raise MalformedRecord(f"another record than the one here has the id {record.id}")
        self._contents[record.id] = content
        place = writer_of(record.data)
        if place and place.id == self._known.writer and not known:
            self._claims.append(_Claim(place.sequence, digest, place.previous, record.id))

    def check_claims(self) -> None:
        """Raise MalformedRecord where a record carries our writer's id and is not ours.

        Ours may come back, as when a month was dropped here: each record of ours names the one
        before it, so one that we have stands for all before.
        """
        if not self._claims:
            return
        ours = self._known.named_by_ours()
        for claim in sorted(self._claims, key=lambda claim: claim.sequence, reverse=True):
            if claim.digest not in ours:
                raise MalformedRecord(
                    f"record {claim.record_id} carries the writer id of this clone and is not "
                    "among the records that this clone has written"
                )
            ours.add(claim.previous)

    def taken(self) -> None:
        """Say that the chain was joined."""
        self._known.take(self._contents)
