"""Many finished runs at once, for imports: into the ledger by way of packs, past the journal.

Runs go in chunks; a chunk is there as a whole, durably, or not at all. Environments are given once
for all runs that share them.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from typing import TypeVar

from gitprov.codec.canonical import Document
from gitprov.codec.environments import environment_digest
from gitprov.errors import IntegrityError, MalformedRecord
from gitprov.store.appending import Appending, attempt, clear_up
from gitprov.store.consolidation import consolidate
from gitprov.store.known_records import KnownRecords
from gitprov.store.lock import store_lock
from gitprov.store.refs import LEDGER, list_refs
from gitprov.store.staging import Ready, Staging
from gitprov.store.store import Store

T = TypeVar("T")

# So many are in memory, and drains wait for so many.
_CHUNK_RUNS = 4000
_LOCKED_RUNS = 16_000

Environments = Mapping[bytes, Mapping[str, bytes]]


def append_many(
    store: Store, manifests: Iterable[Document], environments: Environments | None = None
) -> list[str]:
    """Write finished runs into the ledger, in the order given; return the ids of those written.

    A manifest is the document of a `run.1` without `writer`. One whose id the ledger has already
    is left out, so an import that was cut short can be repeated. `environments` holds the files of
    environment locks by their digests.

    Raises MalformedRecord for a manifest that breaks the format and IntegrityError for an
    environment that is not given or has another digest, both before anything of the chunk is
    written; StoreBusy, GitFailed or OSError where nothing can be. Chunks before it stay.
    """
    environments = environments or {}
    for digest, files in environments.items():
        if environment_digest(files) != digest:
            raise IntegrityError(f"an environment does not have the digest {digest.hex()}")
    store.repository.require_writable()
    known, tips = KnownRecords(store), list_refs(store.repository.git, LEDGER)
    written: dict[str, None] = {}
    remaining = iter(manifests)
    while some := list(islice(remaining, _LOCKED_RUNS)):
        with store_lock(store.lock_path) as lock, _without_collections():
            clear_up(store)
            # Another import may have brought some of them since we last had the lock.
            if tips != (tips := list_refs(store.repository.git, LEDGER)):
                known = KnownRecords(store)
            fresh: dict[str, Document] = {}
            for document in some:
                run_id = str(document.get("id"))
                if run_id not in written and not known.has(run_id):
                    fresh.setdefault(run_id, document)
            attempt(store, lock, partial(_append, fresh, environments, written))
            tips = list_refs(store.repository.git, LEDGER)
    consolidate(store)
    return list(written)


def _append(
    fresh: Mapping[str, Document],
    environments: Environments,
    written: dict[str, None],
    appending: Appending,
) -> None:
    """Write runs in chunks. While git takes one in, the next is made."""
    # A git that died at it has moved the ref all the same.
    written |= dict.fromkeys(run_id for run_id in fresh if run_id in appending.recorded)
    remaining = iter([document for run_id, document in fresh.items() if run_id not in written])
    problem: MalformedRecord | IntegrityError | None = None
    with ExitStack() as protected, ThreadPoolExecutor(1) as pool:
        storing: tuple[Staging, Future[None]] | None = None
        while True:
            try:
                ready = list(_ready(islice(remaining, _CHUNK_RUNS), environments, appending))
            except (MalformedRecord, IntegrityError) as error:
                ready, problem = [], error
            if storing is not None:
                staging, stored = storing
                stored.result()
                appending.land(staging)
                written |= dict.fromkeys(staging.run_ids)
            if problem is not None:
                raise problem
            if not ready:
                break
            staging = appending.stage(ready)
            protected.callback(staging.release)
            storing = staging, pool.submit(staging.write)
    appending.remember()


def _ready(
    manifests: Iterable[Document], environments: Environments, appending: Appending
) -> Iterator[Ready]:
    for document in manifests:
        try:
            data, run = appending.seal(document)
        except MalformedRecord as error:
            raise MalformedRecord(f"run {document.get('id')}: {error}") from error
        files: Mapping[str, bytes] = {}
        if run.environment is not None:
            if run.environment.digest not in environments:
                raise IntegrityError(f"the environment of run {run.id} is not given")
            files = environments[run.environment.digest]
        yield Ready(run, data, (), environment=partial(_same, files), payload=dict)


def _same(value: T) -> T:
    return value


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keep Python from looking for cycles in a chunk: it has none, and all of it is needed."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
