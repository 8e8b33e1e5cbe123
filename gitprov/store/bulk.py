"""Many finished runs at once, for imports: into the ledger by way of packs, past the journal.

Runs go in chunks; a chunk is there as a whole, durably, or not at all. Environments are given once
for all runs that share them.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
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
from gitprov.store.staging import Ready
from gitprov.store.store import Store

T = TypeVar("T")

_CHUNK_RUNS = 8000

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
    known = KnownRecords(store)
    written: dict[str, None] = {}
    remaining = iter(manifests)
    while chunk := list(islice(remaining, _CHUNK_RUNS)):
        fresh = {str(document.get("id")): document for document in chunk}
        fresh = {
            run_id: document
            for run_id, document in fresh.items()
            if run_id not in written and not known.contents(run_id)
        }
        with store_lock(store.lock_path) as lock, _without_collections():
            clear_up(store)
            attempt(store, lock, partial(_append, fresh.values(), environments))
        written |= dict.fromkeys(fresh)
    consolidate(store)
    return list(written)


def _append(
    manifests: Iterable[Document], environments: Environments, appending: Appending
) -> None:
    appending.write(list(_ready(manifests, environments, appending)))
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
