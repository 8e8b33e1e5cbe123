"""Runs whose process died: finished for them, as aborted, with all that they left."""

import shutil
import time

from gitprov.recorder.assembly import Ending, assemble
from gitprov.recorder.contribution import Contribution
from gitprov.store.journal import JournalRun
from gitprov.store.lock import store_lock
from gitprov.store.store import Store

# Capturing large inputs may take hours before a run begins.
_LEFT_NS = 7 * 24 * 3600 * 1_000_000_000


def adopt_dead_runs(store: Store) -> list[str]:
    """Finish, as aborted, the runs whose process is gone; return their ids.

    Folders whose process died a week ago, before there was a run, are removed.
    """
    for journal in store.journal.runs():
        if _never_began(journal):
            shutil.rmtree(journal.path, ignore_errors=True)
    if not any(journal.is_orphaned for journal in store.journal.runs()):
        return []
    with store_lock(store.lock_path):
        return [
            journal.id
            for journal in store.journal.runs()
            if journal.is_orphaned and _finish_for(journal)
        ]


def _never_began(journal: JournalRun) -> bool:
    """Say whether this is what a process left that died before its run began, days ago."""
    if journal.is_finished or journal.started is not None:
        return False
    try:
        age_ns = time.time_ns() - journal.path.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    return age_ns > _LEFT_NS


def _finish_for(journal: JournalRun) -> bool:
    started = journal.started
    if started is None:
        return False
    last_sign = _last_sign(journal)
    Contribution(journal, None).take_reported_lines()
    reason = "the process that recorded the run died"
    ending = Ending(
        status="aborted",
        ended_ns=max(last_sign, started["manifest"]["started_ns"]),
        error=reason,
        missing={"exit_code": reason, "usage": reason, "outputs": reason},
    )
    journal.finish({"manifest": assemble(journal, started, ending)})
    return True


def _last_sign(journal: JournalRun) -> int:
    """Return when the run last wrote anything: the latest time at which it surely lived."""
    times = [path.stat().st_mtime_ns for path in journal.path.rglob("*") if path.is_file()]
    return max(times, default=time.time_ns())
