"""Runs whose process died: finished for them, as aborted, with all that they left."""

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field

from gitprov.capture.secrets.commitments import COMMITMENT
from gitprov.errors import GitprovError
from gitprov.recorder.assembly import Ending, assemble
from gitprov.recorder.contribution import take_reported_lines_of_all
from gitprov.store.journal import JournalRun
from gitprov.store.liveness import DEAD_AFTER_SECONDS
from gitprov.store.lock import store_lock
from gitprov.store.payload import OUTPUT_LOG
from gitprov.store.rejected import set_aside
from gitprov.store.store import Store

# Capturing large inputs may take hours before a run begins.
_LEFT_NS = 7 * 24 * 3600 * 1_000_000_000


@dataclass(slots=True)
class Adopted:
    """The dead runs that were finished, and those that could not be, with the reasons."""

    runs: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)


def adopt_dead_runs(store: Store) -> Adopted:
    """Finish, as aborted, the runs whose process is gone.

    One that cannot be finished is set aside, so that it holds up no other. Folders whose process
    died a week ago, before there was a run, are removed. Raises StoreBusy, and OSError where
    nothing can be written.
    """
    done = Adopted()
    waiting = [journal for journal in store.journal.runs() if _is_unfinished(journal)]
    if not waiting:
        return done
    dead_after = store.repository.config.duration("prov.deadafter", DEAD_AFTER_SECONDS)
    if not any(_needs_care(journal, dead_after) for journal in waiting):
        return done
    with store_lock(store.lock_path):
        for journal in waiting:
            if journal.path.exists() and _needs_care(journal, dead_after):
                _care_for(store, journal, done)
    return done


def _is_unfinished(journal: JournalRun) -> bool:
    """Say whether a run waits for its end; one that we cannot read is for others to look after."""
    try:
        return not journal.is_finished
    except OSError:
        return False


def _needs_care(journal: JournalRun, dead_after: float) -> bool:
    """Say whether a run is dead, damaged, or nothing but a folder that was left."""
    try:
        return journal.is_orphaned(dead_after=dead_after) or _never_began(journal)
    except OSError:
        return False
    except GitprovError:
        return not journal.is_finished


def _care_for(store: Store, journal: JournalRun, done: Adopted) -> None:
    try:
        if _never_began(journal):
            shutil.rmtree(journal.path, ignore_errors=True)
        else:
            _finish_for(journal)
            done.runs.append(journal.id)
    except (GitprovError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        # Damaged, or written by another version: nothing here may be taken for granted.
        place = set_aside(store.repository, journal)
        done.rejected[journal.id] = f"{error}; its files are in {place}"


def _never_began(journal: JournalRun) -> bool:
    """Say whether this is what a process left that died before its run began, days ago."""
    if journal.is_finished or journal.started is not None:
        return False
    try:
        age_ns = time.time_ns() - journal.path.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    return age_ns > _LEFT_NS


def _finish_for(journal: JournalRun) -> None:
    started = journal.started
    if started is None:
        return
    last_sign = _last_sign(journal)
    take_reported_lines_of_all(journal)
    _freeze(journal)
    reason = "the process that recorded the run died"
    ending = Ending(
        status="aborted",
        ended_ns=max(last_sign, started["manifest"]["started_ns"]),
        error=reason,
        missing={"exit_code": reason, "usage": reason, "outputs": reason, **_kept_out(journal)},
    )
    journal.finish({"manifest": assemble(journal, started, ending)})


def _kept_out(journal: JournalRun) -> dict[str, str]:
    """Say that secrets were kept out of the output; who knew of what kind they were is dead."""
    with suppress(FileNotFoundError):
        if COMMITMENT.search(journal.payload(OUTPUT_LOG).read_text("latin-1")):
            return {f"byproducts.{OUTPUT_LOG}": "secrets stand as commitments"}
    return {}


def _last_sign(journal: JournalRun) -> int:
    """Return when the run last wrote anything: the latest time at which it surely lived."""
    times = [path.stat().st_mtime_ns for path in journal.path.rglob("*") if path.is_file()]
    return max(times, default=time.time_ns())


def _freeze(journal: JournalRun) -> None:
    """Give the output, which may still be open for writing, a copy that is not.

    A process that was taken for dead, as on a machine that slept, may wake up and go on; what the
    manifest says of the output must stay true.
    """
    output, copy = journal.payload(OUTPUT_LOG), journal.path / OUTPUT_LOG
    with suppress(OSError):  # there may be none, or no room
        shutil.copyfile(output, copy)
        copy.replace(output)
