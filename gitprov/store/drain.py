"""The drain: finished runs go from the journal into the ledger, all of them in one commit.

Under the lock: objects first (one kept pack), then ledger, keep and payload refs in one
transaction, then the journal's folders go. A drain that is killed anywhere leaves either a run in
the journal or a run in both places, which the next drain recognises. A run that can never be
written is set aside and holds up no other. Specification: section 9.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from gitprov.codec import canonical
from gitprov.codec.canonical import Document
from gitprov.codec.documents import to_document
from gitprov.codec.records import MAX_SEQUENCE, decode_record
from gitprov.errors import GitFailed, MalformedRecord, StoreBusy, StoreDamaged
from gitprov.model.run import RUN_SCHEMA, Run, Writer
from gitprov.store.durable import sync_folders
from gitprov.store.journal import JournalRun
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.lock import store_lock
from gitprov.store.pack import release_leftovers
from gitprov.store.refs import (
    KEEP,
    LEDGER,
    NOTES,
    PAYLOAD,
    RefMoved,
    Shard,
    list_refs,
    move_refs,
    parse_shard,
    release_dead_locks,
)
from gitprov.store.rejected import set_aside
from gitprov.store.staging import Place, Ready, Staging
from gitprov.store.store import Store
from gitprov.store.writer import (
    ChainEnd,
    load_chain_end,
    save_chain_end,
    shard_of,
    writer_id,
)

_ATTEMPTS = 5


@dataclass(slots=True)
class Drained:
    """What a drain did: the runs that are in the ledger now, and those that could not go."""

    recorded: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)


def drain(store: Store, *, wait: float = 60.0) -> Drained:
    """Write every finished run of the journal into the ledger.

    Raises StoreBusy where the lock is not free within `wait` seconds (its holder takes our runs
    along), GitFailed or OSError where nothing can be written, StoreDamaged where our chain cannot
    go on; the journal keeps the runs then.
    """
    done = Drained()
    if not any(run.is_finished for run in store.journal.runs()):
        return done
    store.repository.require_writable()
    with store_lock(store.lock_path, timeout=wait):
        release_leftovers(store.repository.common_dir)
        for attempt in range(_ATTEMPTS):
            finished = [run for run in store.journal.runs() if run.is_finished]
            if not finished:
                return done
            try:
                _Drain(store, done).write(finished)
            except RefMoved:
                # Somebody moved a ref without our lock: `git fetch` into it, or an update by hand;
                # or was killed while doing so.
                if attempt == _ATTEMPTS - 1:
                    raise
                release_dead_locks(store.repository.common_dir)
    return done


class _Drain:
    def __init__(self, store: Store, done: Drained) -> None:
        self._store = store
        self._git = store.repository.git
        self._done = done
        self._writer = writer_id(store.repository.prov_dir)
        now = time.time_ns()
        self._place = Place(
            refs=list_refs(self._git, LEDGER, KEEP, PAYLOAD, NOTES),
            shard=shard_of(self._writer),
            month=time.strftime("%Y-%m", time.gmtime(now // 1_000_000_000)),
            now_ns=now,
        )

    def write(self, finished: Sequence[JournalRun]) -> None:
        """Write one batch and remove it from the journal."""
        end, recorded = self._chain_end()
        ready, end = self._sealed([run for run in finished if run.id not in recorded], end)
        if ready:
            try:
                end = self._write(ready, end)
            except GitFailed:
                if not any(item.snapshot for item in ready):
                    raise
                end = self._write(ready, end, careful=True)
        for run in finished:
            if run.id not in self._done.rejected:
                run.remove()
        if self._store.fsync:
            # A folder that came back after a power loss would be recorded a second time, once
            # the cache below says that there is nothing new to look for it in.
            sync_folders([self._store.journal.folder])
        save_chain_end(self._store.repository.prov_dir, self._writer, end)
        self._done.recorded += [item.run.id for item in ready]

    def _write(self, ready: Sequence[Ready], end: ChainEnd, *, careful: bool = False) -> ChainEnd:
        """Make runs reachable, and return where our chain ends then."""
        staging = Staging(self._store, self._place)
        try:
            end = staging.add(ready, end, careful=careful)
            staging.write()
            move_refs(self._git, staging.moves, fsync=self._store.fsync)
            self._sync_refs(staging.moves)
            if staging.note:
                self._move_notes(staging.note)
        finally:
            staging.release()
        return end

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
        known = [end.tip] if end.tip and next(reader.read_many([end.tip])) else []
        recorded = set()
        # Not only the entries since the cached tip: that tip may have been left behind when
        # unpublished entries were made anew, so sequence numbers decide, not positions.
        for entry in read_entries(reader, list_entries(self._git, list(ours.values()), known)):
            for record in entry.records:
                if record.schema != RUN_SCHEMA:
                    continue
                try:
                    run: Run = decode_record(record.schema, record.data).record
                except MalformedRecord:
                    continue  # no record of ours is; verification names it
                recorded.add(run.id)
                place = run.writer
                if place and place.id == self._writer and place.sequence > end.sequence:
                    end = replace(end, sequence=place.sequence - 1).after(record.data)
        return replace(end, environments={}), recorded

    def _sealed(self, runs: Sequence[JournalRun], end: ChainEnd) -> tuple[list[Ready], ChainEnd]:
        """Give the runs their places in our chain, in the order in which they ended."""
        documents = []
        for run in runs:
            try:
                documents.append((_manifest(run), run))
            except MalformedRecord as error:
                self._reject(run, str(error))
        documents.sort(key=lambda pair: (pair[0]["ended_ns"], pair[1].id))
        ready = []
        for document, journal in documents:
            place = Writer(id=self._writer, sequence=end.sequence + 1, previous=end.digest)
            document["writer"] = to_document(place)
            try:
                data = canonical.encode(document)
                run = decode_record(RUN_SCHEMA, data).record
            except MalformedRecord as error:
                if _could_stand(document):
                    raise StoreDamaged(
                        f"the chain of this clone cannot go on behind record {end.sequence}: "
                        f"{error}; see what git prov verify says"
                    ) from error
                self._reject(journal, str(error))
                continue
            try:
                snapshot = tuple(journal.snapshot_objects())
            except (MalformedRecord, StoreDamaged) as error:
                self._reject(journal, str(error))
                continue
            ready.append(Ready(journal, run, data, snapshot))
            end = end.after(data)
        return ready, end

    def _reject(self, journal: JournalRun, reason: str) -> None:
        place = set_aside(self._store.repository, journal)
        self._done.rejected[journal.id] = f"{reason}; its files are in {place}"

    def _move_notes(self, note: str) -> None:
        try:
            move_refs(self._git, {NOTES: (self._place.refs.get(NOTES), note)}, fsync=False)
        except StoreBusy:
            # Somebody writes notes at this moment; they are derived, and made up later.
            release_dead_locks(self._store.repository.common_dir)

    def _sync_refs(self, moves: Iterable[str]) -> None:
        if not self._store.fsync:
            return
        files = {self._store.repository.common_dir / ref for ref in moves}
        for folder in sorted({parent for path in files for parent in list(path.parents)[:5]}):
            # Gone where `git pack-refs` has come by: the top, synced too, has the packed refs.
            with suppress(FileNotFoundError):
                sync_folders([folder])


def _could_stand(document: Document) -> bool:
    """Say whether a run is well-formed, whatever is wrong with its place in the chain."""
    place = {**document["writer"], "sequence": MAX_SEQUENCE, "previous": bytes(32)}
    try:
        decode_record(RUN_SCHEMA, canonical.encode({**document, "writer": place}))
    except MalformedRecord:
        return False
    return True


def _manifest(journal: JournalRun) -> Document:
    """Return a run's finished manifest; raise MalformedRecord where there is none to be read."""
    try:
        finished = journal.finished
    except StoreDamaged as error:
        raise MalformedRecord(str(error)) from error
    manifest = finished.get("manifest") if finished else None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("ended_ns"), int):
        raise MalformedRecord("what was finished is no manifest")
    if manifest.get("id") != journal.id:
        raise MalformedRecord("the folder has another name than the run in it")
    return manifest
