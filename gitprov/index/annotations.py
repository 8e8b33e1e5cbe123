"""Notes on commits: the runs that were made from each, and those whose source it stands for.

All of it follows from the ledger and the commits in this clone. A drain notes its own runs as it
writes them; what links add comes from here, and `rebuild` makes everything anew. Lines that people
wrote into the notes stay.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain

from gitprov.index.history import History
from gitprov.model.wording import note_line
from gitprov.store.git_locks import mend
from gitprov.store.lock import store_lock
from gitprov.store.notes import stage_notes, written_by_people
from gitprov.store.pack import PackBuilder
from gitprov.store.ref_moves import move_refs
from gitprov.store.refs import NOTES, list_refs
from gitprov.store.store import Store

Line = tuple[str, str]  # the commit, and what is to be noted on it


def annotate(store: Store) -> None:
    """Note runs on the commits that stand for their sources, where that is not done yet.

    Raises StoreBusy, RefMoved, GitFailed or OSError where notes cannot be written.
    """
    if lines := _by_commit(_linked(History(store))):
        _write(store, lines, anew=False)


def rebuild(store: Store) -> int:
    """Make all notes anew; return how many commits have one. Raises as `annotate` does."""
    history = History(store)
    lines = _by_commit(chain(_made_from(store, history), _linked(history)))
    _write(store, lines, anew=True)
    return len(lines)


def _made_from(store: Store, history: History) -> Iterator[Line]:
    """Yield a line for each run whose source is in this clone."""
    sources = sorted(history.sources())
    present = store.objects.read_many(sources)
    here = {oid for oid, found in zip(sources, present, strict=True) if found}
    for run in history.runs():
        source = run.record.source
        if source is not None and source.commit in here:
            yield source.commit, note_line(run.record)


def _linked(history: History) -> Iterator[Line]:
    for run, link in history.linked_runs():
        yield link.commit, note_line(run.record, link)


def _by_commit(lines: Iterator[Line]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for commit, line in lines:
        found[commit].append(line)
    return found


def _write(store: Store, lines: Mapping[str, list[str]], *, anew: bool) -> None:
    store.repository.require_writable()
    git = store.repository.git
    with store_lock(store.lock_path) as lock:
        mend(store.repository)
        tip = list_refs(git, NOTES).get(NOTES)
        if anew and tip:
            kept = written_by_people(store.objects, tip)
            lines = {oid: [*kept.get(oid, ()), *lines.get(oid, ())] for oid in {**kept, **lines}}
        pack = PackBuilder()
        note = stage_notes(pack, store.objects, tip, lines, time.time_ns(), anew=anew)
        if note is None:
            return
        written = pack.write(git.holding(lock), store.repository.common_dir, fsync=store.fsync)
        try:
            move_refs(store.repository, {NOTES: (tip, note)}, lock=lock, fsync=store.fsync)
        finally:
            written.release()
