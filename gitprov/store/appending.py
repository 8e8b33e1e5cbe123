"""Appending runs to the chain of this clone's writer: sealed, stored, reachable, in this order.

An `Appending` is one attempt, under the store's lock: refs are read once, and what is written
stands on them. Objects are stored first (one kept pack), then ledger, keep and payload refs move
in one transaction; notes, which are derived, follow. Specification: section 9.3.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gitprov.codec import canonical
from gitprov.codec.canonical import Document
from gitprov.codec.records import MAX_SEQUENCE, decode_record, encode_document, writer_of
from gitprov.errors import GitFailed, MalformedRecord, StoreBusy, StoreDamaged
from gitprov.model.rewrite import Rewrite
from gitprov.model.run import RUN_SCHEMA
from gitprov.store.git_locks import mend, release_dead_locks
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.pack import release_leftovers
from gitprov.store.ref_moves import Changes, RefMoved, move_refs
from gitprov.store.refs import KEEP, LEDGER, NOTES, PAYLOAD, Shard, list_refs, parse_shard
from gitprov.store.staging import Place, Ready, Staging
from gitprov.store.store import Store
from gitprov.store.writer import (
    ChainEnd,
    load_chain_end,
    save_chain_end,
    shard_of,
    writer_id,
)

T = TypeVar("T")

_ATTEMPTS = 5


def clear_up(store: Store) -> None:
    """Put right what those have left who were killed while appending."""
    release_leftovers(store.repository.common_dir)
    mend(store.repository)


def attempt(store: Store, lock: int | None, action: Callable[["Appending"], T]) -> T:
    """Return what `action` returns; it is tried again where a ref has moved meanwhile.

    Somebody moves a ref without our lock (`git fetch` into it, an update by hand), or was killed
    while doing so.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return action(Appending(store, lock))
        except RefMoved:
            release_dead_locks(store.repository)
    return action(Appending(store, lock))


class Appending:
    """One attempt. `recorded` has the runs that entered since the cached end of our chain.

    `end` is where the chain ends with all that was sealed. Git commands share the lock.
    """

    def __init__(self, store: Store, lock: int | None) -> None:
        self._store = store
        self._lock = lock
        self._git = store.repository.git
        self._writer = writer_id(store.repository.prov_dir)
        now = time.time_ns()
        self._place = Place(
            refs=list_refs(self._git, LEDGER, KEEP, PAYLOAD, NOTES),
            shard=shard_of(self._writer),
            month=time.strftime("%Y-%m", time.gmtime(now // 1_000_000_000)),
            now_ns=now,
        )
        self.end, self.recorded = self._chain_end()

    def seal(self, document: Document, schema: str = RUN_SCHEMA) -> tuple[bytes, Any]:
        """Give a record its place in our chain; return its final bytes and the record.

        Raises MalformedRecord where it is none, StoreDamaged where the chain cannot go on.
        """
        end = self.end
        place: Document = {"id": self._writer, "sequence": end.sequence + 1}
        if end.digest is not None:
            place = {"id": self._writer, "previous": end.digest, "sequence": end.sequence + 1}
        sealed = {**document, "writer": place}
        try:
            data, run = encode_document(schema, sealed)
        except MalformedRecord as error:
            if _could_stand(sealed, schema):
                raise StoreDamaged(
                    f"the chain of this clone cannot go on behind record {end.sequence}: "
                    f"{error}; see what git prov verify says"
                ) from error
            raise
        self.end = end.after(data)
        return data, run

    def write(self, ready: Sequence[Ready]) -> None:
        """Make sealed runs reachable; raise RefMoved, GitFailed or OSError where nothing was."""
        if ready:
            try:
                self._write(ready)
            except GitFailed:
                if not any(item.snapshot or item.listings for item in ready):
                    raise
                self._write(ready, careful=True)

    def write_rewrites(self, sealed: Sequence[tuple[bytes, Rewrite]]) -> None:
        """Make sealed records of rewritten commits reachable; raise as `write` does."""
        staging = Staging(self._store, self._place, self._lock)
        staging.add_rewrites(sealed, self.end)
        try:
            staging.write()
            self.land(staging)
        finally:
            staging.release()

    def complete(self, ready: Sequence[Ready]) -> None:
        """Write the sources and payload of runs that the ledger has, once more.

        Refs move one after another: who moved them may have died when not all of them had.
        """
        if ready:
            self._write(ready, anew=False)

    def remember(self) -> None:
        """Cache the end of the chain, once all that might say otherwise is gone for good.

        Not while a run is in the journal, too: it is by the entries since the cached end that the
        next attempt knows it.
        """
        if self.recorded and self.recorded.intersection(
            run.id for run in self._store.journal.runs()
        ):
            return
        save_chain_end(self._store.repository.prov_dir, self._writer, self.end)

    def stage(self, ready: Sequence[Ready], *, careful: bool = False, anew: bool = True) -> Staging:
        """Return sealed runs as objects, to be written next. They stand on what has landed."""
        staging = Staging(self._store, self._place, self._lock)
        if anew:
            staging.add_entries(ready, self.end)
        staging.add_sources(ready, careful=careful or not anew)
        staging.add_payload(ready, careful=careful or not anew)
        if anew:
            staging.add_notes(ready)
        return staging

    def land(self, staging: Staging) -> None:
        """Make what was written reachable; raise RefMoved or OSError."""
        # Git moves them in this order: once the ledger has a run, so has all that goes with it.
        moves = dict(sorted(staging.moves.items(), key=lambda move: move[0].startswith(LEDGER)))
        self._move(moves, fsync=self._store.fsync)
        self._place.refs.update({ref: new for ref, (_, new) in staging.moves.items() if new})
        if placed := staging.end:
            # More may have been sealed since.
            self.end = replace(
                self.end, ref=placed.ref, tip=placed.tip, environments=placed.environments
            )
        if staging.note:
            self._move_notes(staging.note)

    def _write(self, ready: Sequence[Ready], *, careful: bool = False, anew: bool = True) -> None:
        staging = self.stage(ready, careful=careful, anew=anew)
        try:
            staging.write()
            self.land(staging)
        finally:
            staging.release()

    def _chain_end(self) -> tuple[ChainEnd, set[str]]:
        """Return where our chain ends, and the runs that entered since the cached end."""
        end = load_chain_end(self._store.repository.prov_dir, self._writer)
        ours = {
            ref: oid
            for ref, oid in self._place.refs.items()
            if (shard := parse_shard(ref))
            and shard.area == "ledger"
            and shard.shard == self._place.shard
        }
        # What others write into our shard, months that have not come among it, says nothing
        # about us: the cache is good where the ref that we wrote last is where we left it, and
        # this month has no other.
        present = Shard("ledger", self._place.month, self._place.shard).ref
        left = ours.get(end.ref) == end.tip if end.ref else not ours
        if left and (end.ref == present or present not in ours):
            return end, set()
        reader = self._store.objects
        # Not the reader's word: it may have a pack open still that gc has removed.
        is_here = self._git.call("cat-file", "-e", str(end.tip)).returncode == 0
        known = [end.tip] if end.tip and is_here else []
        recorded = set()
        # Not only the entries since the cached tip: that tip may have been left behind when
        # unpublished entries were made anew, so sequence numbers decide, not positions.
        for entry in read_entries(reader, list_entries(self._git, list(ours.values()), known)):
            for record in entry.records:
                try:
                    place = writer_of(record.data)
                except MalformedRecord:
                    continue  # no record of ours is; verification names it
                recorded.add(record.id)
                if place and place.id == self._writer and place.sequence > end.sequence:
                    end = replace(end, sequence=place.sequence - 1).after(record.data)
        return replace(end, environments={}), recorded

    def _move_notes(self, note: str) -> None:
        try:
            # Derived, and synced all the same: an empty ref would stop every fetch of the user.
            self._move({NOTES: (self._place.refs.get(NOTES), note)}, fsync=self._store.fsync)
            self._place.refs[NOTES] = note
        except StoreBusy:
            # Somebody writes notes at this moment; they are derived, and made up later.
            release_dead_locks(self._store.repository)

    def _move(self, changes: Changes, *, fsync: bool) -> None:
        move_refs(self._store.repository, changes, lock=self._lock, fsync=fsync)


def _could_stand(document: Document, schema: str) -> bool:
    """Say whether a record is well-formed, whatever is wrong with its place in the chain."""
    place = {**document["writer"], "sequence": MAX_SEQUENCE, "previous": bytes(32)}
    try:
        decode_record(schema, canonical.encode({**document, "writer": place}))
    except MalformedRecord:
        return False
    return True
