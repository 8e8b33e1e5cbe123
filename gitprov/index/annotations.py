"""Notes on commits: the runs that were made from each, and those whose source it stands for.

All of it follows from the ledger and the commits in this clone. A drain notes its own runs as it
writes them; what links add comes from here, and `rebuild` makes everything anew. Lines that people
wrote into the notes stay.
"""

import os
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import chain

from gitprov.index.history import History
from gitprov.model.wording import note_line
from gitprov.store.git_locks import mend
from gitprov.store.lock import store_lock
from gitprov.store.notes import Lines, stage_notes, written_by_others, written_by_people
from gitprov.store.pack import PackBuilder
from gitprov.store.ref_moves import move_refs
from gitprov.store.refs import NOTES, list_refs
from gitprov.store.store import Store

# The notes commit up to which it was looked at what others have written.
_SEEN = "notes-seen"
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")

Line = tuple[str, str]  # the commit, and what is to be noted on it


def annotate(store: Store) -> None:
    """Note runs on the commits that stand for their sources, where that is not done yet.

    What others have written of runs since, as git does at an amend or a rebase, goes where the
    ledger says otherwise. Raises StoreBusy, RefMoved, GitFailed or OSError where notes cannot be
    written.
    """
    tip, before = _tip(store), _seen(store)
    altered: dict[str, list[str]] = {}
    if tip and tip != before:
        altered = written_by_others(store.repository.git, store.objects, tip, before)
    history = History(store)  # after the notes: it has all the runs that are in them
    lines = _by_commit(chain(_made_from(history, altered), _linked(history, altered)))
    if lines or altered:
        _write(store, lines, without=altered)
    if tip and tip != before:
        _remember(store, tip)


def rebuild(store: Store) -> int:
    """Make all notes anew; return how many commits have one. Raises as `annotate` does."""
    history = History(store)
    sources = sorted(history.sources())
    present = store.objects.read_many(sources)
    here = [oid for oid, found in zip(sources, present, strict=True) if found]
    lines = _by_commit(chain(_made_from(history, here), _linked(history)))
    _write(store, lines, anew=True)
    return len(lines)


def _made_from(history: History, commits: Iterable[str]) -> Iterator[Line]:
    """Yield a line for each run that was made from one of the commits."""
    for run in history.made_from(commits):
        source = run.record.source
        if source is not None and source.commit is not None:
            yield source.commit, note_line(run.record)


def _linked(history: History, also: Collection[str] = ()) -> Iterator[Line]:
    for run, link in history.linked_runs(also):
        yield link.commit, note_line(run.record, link)


def _by_commit(lines: Iterator[Line]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for commit, line in lines:
        found[commit].append(line)
    return found


def _write(store: Store, lines: Lines, *, without: Lines | None = None, anew: bool = False) -> None:
    store.repository.require_writable()
    git = store.repository.git
    with store_lock(store.lock_path) as lock:
        mend(store.repository)
        tip = _tip(store)
        if anew and tip:
            kept = written_by_people(store.objects, tip)
            lines = {oid: [*kept.get(oid, ()), *lines.get(oid, ())] for oid in {**kept, **lines}}
        pack = PackBuilder()
        note = stage_notes(
            pack, store.objects, tip, lines, time.time_ns(), without=without or {}, anew=anew
        )
        if note is None:
            return
        written = pack.write(git.holding(lock), store.repository.common_dir, fsync=store.fsync)
        try:
            move_refs(store.repository, {NOTES: (tip, note)}, lock=lock, fsync=store.fsync)
        finally:
            written.release()


def _tip(store: Store) -> str | None:
    return list_refs(store.repository.git, NOTES).get(NOTES)


def _seen(store: Store) -> str | None:
    """Return the notes commit up to which notes were looked at, None where that is not known."""
    with suppress(OSError):
        seen = (store.repository.prov_dir / _SEEN).read_text("ascii", "replace").strip()
        return seen if _COMMIT.match(seen) else None
    return None


def _remember(store: Store, tip: str) -> None:
    seen = store.repository.prov_dir / _SEEN
    temporary = seen.with_name(f".{_SEEN}.{os.getpid()}.tmp")
    with suppress(OSError):  # looked at again
        temporary.write_text(f"{tip}\n")
        temporary.replace(seen)
