"""Rewritten commits into the ledger, so that every clone can follow runs to where they went.

Recorded is what concerns runs: pairs whose old commit a run was made from, or that stands itself
in the place of one. What users do to other commits is no business of the ledger.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from gitprov.capture.source import capture_agent
from gitprov.codec.documents import to_document
from gitprov.errors import GitprovError
from gitprov.index.history import History
from gitprov.model.ids import new_id
from gitprov.model.rewrite import REWRITE_SCHEMA, Replacement, Rewrite
from gitprov.model.run import Recorder
from gitprov.recorder.encodable import encodable_document
from gitprov.store.appending import Appending, attempt, clear_up
from gitprov.store.lock import store_lock
from gitprov.store.rewrites import WaitingRewrite, settle, waiting_rewrites
from gitprov.store.store import Store
from gitprov.version import __version__

# Git reads an entry whole, and a record has a limit of its own.
_COMMITS_A_RECORD = 10_000


def record_rewrites(store: Store) -> int:
    """Record what waits; return how many commits were found to have moved.

    A file is removed once the ledger has what concerns runs in it. Raises StoreBusy, GitFailed or
    OSError where nothing can be written; it waits on then.
    """
    if not waiting_rewrites(store.repository):
        return 0
    store.repository.require_writable()
    with store_lock(store.lock_path) as lock:
        waiting = waiting_rewrites(store.repository)  # as nobody else will take them in
        fresh = list(_concerning(store, waiting))
        _append(store, lock, fresh)
        for rewrite in waiting:
            settle(store.repository, rewrite)
    return sum(len(commits) for _, commits in fresh)


def record_map(store: Store, commits: Sequence[Replacement]) -> int:
    """Record a map of commits that somebody has at hand; return how many concern runs."""
    store.repository.require_writable()
    with store_lock(store.lock_path) as lock:
        fresh = list(_concerning(store, [WaitingRewrite("map", tuple(commits), store.lock_path)]))
        _append(store, lock, fresh)
    return sum(len(commits) for _, commits in fresh)


def _concerning(
    store: Store, waiting: Iterable[WaitingRewrite]
) -> Iterator[tuple[str, list[Replacement]]]:
    """Yield, for each rewrite, how it was made and the commits that lead on from runs."""
    history = History(store)
    known = history.sources() | set(_sources_under_way(store))
    recorded = set(history.rewrites())
    known.update(pair.new for pair in recorded if pair.new)
    for rewrite in waiting:
        fresh = [pair for pair in _leading_on(rewrite.commits, known) if pair not in recorded]
        recorded.update(fresh)
        for start in range(0, len(fresh), _COMMITS_A_RECORD):
            yield rewrite.how, fresh[start : start + _COMMITS_A_RECORD]


def _leading_on(pairs: Sequence[Replacement], known: set[str]) -> list[Replacement]:
    """Return the pairs that lead on from known commits, by way of each other, too; all are known.

    A map of two rewrites has commits in the middle, in whatever order.
    """
    by_old: dict[str, list[Replacement]] = defaultdict(list)
    for pair in pairs:
        by_old[pair.old].append(pair)
    found: set[Replacement] = set()
    waiting = [old for old in by_old if old in known]
    while waiting:
        for pair in by_old.pop(waiting.pop(), ()):
            found.add(pair)
            if pair.new is not None:
                known.add(pair.new)
                waiting.append(pair.new)
    return [pair for pair in dict.fromkeys(pairs) if pair in found]


def _sources_under_way(store: Store) -> Iterator[str]:
    """Yield the commits of runs that the ledger does not have yet."""
    for journal in store.journal.runs():
        with suppress(GitprovError, OSError):
            manifest = (journal.started or {}).get("manifest", {})
            commit = manifest.get("source", {}).get("commit")
            if isinstance(commit, str):
                yield commit


def _append(store: Store, lock: int | None, fresh: list[tuple[str, list[Replacement]]]) -> None:
    if not fresh:
        return
    agent, _ = capture_agent(store.repository.config, os.environ)
    records = [
        Rewrite(
            id=new_id(),
            made_ns=time.time_ns(),
            how=how,
            commits=tuple(commits),
            recorder=Recorder(purl=f"pkg:pypi/gitprov@{__version__}"),
            agent=agent,
        )
        for how, commits in fresh
    ]
    clear_up(store)
    attempt(store, lock, partial(_write, records))


def _write(records: Iterable[Rewrite], appending: Appending) -> None:
    missing = [record for record in records if record.id not in appending.recorded]
    documents = [encodable_document(to_document(record)) for record in missing]
    appending.write_rewrites([appending.seal(document, REWRITE_SCHEMA) for document in documents])
    appending.remember()
