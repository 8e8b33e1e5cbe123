"""The drain: finished runs go from the journal into the ledger, many of them in one commit.

Under the lock: objects first (one kept pack), then ledger, keep and payload refs in one
transaction, then the journal's folders go. A drain that is killed anywhere leaves either a run in
the journal or a run in both places, which the next drain recognises. A run that can never be
written is set aside and holds up no other. Specification: section 9.3.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from gitprov.codec.canonical import Document
from gitprov.codec.records import encode_document
from gitprov.errors import MalformedRecord, StoreDamaged
from gitprov.model.run import RUN_SCHEMA, Run
from gitprov.store.appending import Appending, attempt, clear_up
from gitprov.store.consolidation import consolidate
from gitprov.store.durable import sync_folders
from gitprov.store.journal import JournalRun
from gitprov.store.lock import Overtaken, store_lock
from gitprov.store.objects import Object
from gitprov.store.payload import payload_files
from gitprov.store.pins import unpin_dead
from gitprov.store.rejected import set_aside
from gitprov.store.staging import Ready
from gitprov.store.store import Store

# A batch is held in memory: so many runs, or so many bytes of journal.
_BATCH_RUNS = 250
_BATCH_BYTES = 256 << 20


@dataclass(slots=True)
class Drained:
    """What a drain did: the runs that it wrote into the ledger, and those that could not go.

    `sources` are the commits that the former were made from; None is among them where there was
    none.
    """

    recorded: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    sources: set[str | None] = field(default_factory=set)


def drain(store: Store, *, wait: float = 60.0) -> Drained:
    """Write the finished runs of the journal into the ledger: all that are there once we may.

    Who waits for another drain waits no longer than it takes until the runs that were there at
    the call are gone. Raises StoreBusy where none of them goes in `wait` seconds, GitFailed or
    OSError where nothing can be written, StoreDamaged where our chain cannot go on; the journal
    keeps the runs then.
    """
    done = Drained()
    waiting = _finished(store)
    if not waiting:
        return done
    store.repository.require_writable()
    with suppress(Overtaken):
        lock = store_lock(
            store.lock_path,
            timeout=wait,
            left=lambda: sum(run.path.exists() for run in waiting),
        )
        with lock as held:
            clear_up(store)
            for batch in _batches(_finished(store)):
                attempt(store, held, partial(_write, store, batch, done))
            unpin_dead(store.repository, store.journal, lock=held)
        consolidate(store)
    return done


def _finished(store: Store) -> list[JournalRun]:
    """Return the runs that are acknowledged, but for those of others that we may not read."""
    found = []
    for run in store.journal.runs():
        with suppress(OSError):
            if run.is_finished:
                found.append(run)
    return found


def _batches(runs: Iterable[JournalRun]) -> Iterator[list[JournalRun]]:
    batch, size = [], 0
    for run in runs:
        batch.append(run)
        size += run.size
        if len(batch) == _BATCH_RUNS or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write(store: Store, batch: Sequence[JournalRun], done: Drained, appending: Appending) -> None:
    """Write one batch and remove it from the journal."""
    # Some may have been set aside at an earlier attempt.
    batch = [run for run in batch if run.id not in done.rejected]
    appending.complete(list(_again(run for run in batch if run.id in appending.recorded)))
    fresh = [run for run in batch if run.id not in appending.recorded]
    ready = _sealed(store, fresh, done, appending)
    appending.write(ready)
    for run in batch:
        if run.id not in done.rejected:
            run.retire()
    if store.fsync:
        # A folder that came back after a power loss would be recorded a second time, once the
        # end of the chain is cached and says that there is nothing new to look for it in.
        sync_folders([store.journal.folder])
    appending.remember()
    store.journal.clear_retired()
    done.recorded += [item.run.id for item in ready]
    done.sources.update(item.run.source.commit for item in ready if item.run.source)


def _sealed(
    store: Store, runs: Sequence[JournalRun], done: Drained, appending: Appending
) -> list[Ready]:
    """Give the runs their places in our chain, in the order in which they ended."""

    def reject(run: JournalRun, reason: Exception) -> None:
        place = set_aside(store.repository, run)
        done.rejected[run.id] = f"{reason}; its files are in {place}"

    documents = []
    for run in runs:
        try:
            documents.append((_manifest(run), tuple(run.snapshot_objects()), run))
        except (MalformedRecord, StoreDamaged) as error:
            reject(run, error)
    documents.sort(key=lambda found: (found[0]["ended_ns"], found[2].id))
    ready = []
    for document, snapshot, journal in documents:
        try:
            data, run_record = appending.seal(document)
        except MalformedRecord as error:
            reject(journal, error)
        else:
            ready.append(_with_files(journal, run_record, data, snapshot))
    return ready


def _again(recorded: Iterable[JournalRun]) -> Iterator[Ready]:
    """Yield runs that the ledger has, but for their place in it, which does not matter any more.

    One whose files were damaged since holds up no other.
    """
    for journal in recorded:
        with suppress(MalformedRecord, StoreDamaged):
            data, run = encode_document(RUN_SCHEMA, _manifest(journal))
            yield _with_files(journal, run, data, tuple(journal.snapshot_objects()))


def _with_files(journal: JournalRun, run: Run, data: bytes, snapshot: tuple[Object, ...]) -> Ready:
    digest = run.environment.digest if run.environment is not None else None
    return Ready(
        run,
        data,
        snapshot,
        environment=partial(journal.environment, digest),
        payload=partial(payload_files, journal),
        listings=journal.listings(),
    )


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
