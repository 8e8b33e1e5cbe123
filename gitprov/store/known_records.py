"""Which records this clone has already, by id: what a stranger sends must not stand in for them.

A record that comes in under an id of ours with other content would be shown in place of ours, and
one that carries our writer's id would move the end of our chain. Both are refused before a chain
is joined. Specification: section 10.2.
"""

from functools import cached_property
from typing import NamedTuple

from gitprov.codec.records import writer_of
from gitprov.errors import MalformedRecord
from gitprov.store.entry_checks import Checked, Content, content_of
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.record_ids import IDS, RecordIds
from gitprov.store.refs import LEDGER, list_refs, parse_shard
from gitprov.store.store import Store
from gitprov.store.writer import load_chain_end, shard_of, writer_id


class _Claim(NamedTuple):
    """A record that says that our writer wrote it."""

    sequence: int
    digest: bytes
    previous: bytes | None
    record_id: str


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
        return record_id in self._taken or bool(self._ids.folders(record_id))

    def contents(self, record_id: str) -> set[Content]:
        """Return what is here under an id: one content, unless damage was done before."""
        if record_id in self._taken:
            return {self._taken[record_id]}
        reader = self._store.objects
        folders = self._ids.folders(record_id)
        return {content_of(record_id, reader.read(folder).data) for folder in folders}

    def remember(self) -> None:
        """Let the next command find what this one has looked for."""
        if "_ids" in self.__dict__:
            self._ids.remember()

    @cached_property
    def _ids(self) -> RecordIds:
        repository = self._store.repository
        return RecordIds(
            repository.git,
            self._store.objects,
            repository.prov_dir / IDS,
            list_refs(repository.git, LEDGER).values(),
            repository.cut_commits(),
        )

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
        self._claims: list[_Claim] = []

    def check(self, found: Checked, content: Content) -> None:
        """Raise MalformedRecord where the record's id is taken by another record."""
        known = self._known.contents(found.id)
        if known and content not in known:
            raise MalformedRecord(f"another record than the one here has the id {found.id}")
        place = found.writer
        if place and place.id == self._known.writer and not known:
            claim = _Claim(place.sequence, found.digest, place.previous, found.id)
            self._claims.append(claim)

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
