"""Runs that are not in the ledger: under way, waiting, dead, damaged, or set aside."""

import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitprov.codec import canonical
from gitprov.codec.records import decode_record
from gitprov.doctor.findings import Finding, Findings, fault, good, mendable, mended, note
from gitprov.doctor.processes import clipped, is_near, owner_text
from gitprov.errors import GitprovError, StoreDamaged
from gitprov.model.ids import short
from gitprov.model.run import RUN_SCHEMA
from gitprov.model.wording import command_text, duration_text, plural
from gitprov.recorder.adoption import adopt_dead_runs
from gitprov.store.drain import drain
from gitprov.store.journal import Journal, JournalRun
from gitprov.store.liveness import DEAD_AFTER_SECONDS
from gitprov.store.store import Store

_LONGEST_COMMAND = 40
# Five heartbeats.
_SILENT_SECONDS = 300


def runs_of_the_journal(store: Store) -> Findings:
    """Look at each run that the ledger does not have yet."""
    dead_after = store.repository.config.duration("prov.deadafter", DEAD_AFTER_SECONDS)
    waiting = 0
    for journal in store.journal.runs():
        try:
            if journal.is_finished:
                waiting += 1
            else:
                yield _unfinished(store, journal, dead_after)
        except FileNotFoundError:
            pass  # it has ended meanwhile
        except OSError as error:
            name = f"run {short(journal.id)}"
            advice = f"see who owns it: ls -ld {shlex.quote(str(journal.path))}"
            yield fault(f"{name} cannot be read: {error.strerror}", advice)
    if waiting:
        yield mendable(f"{plural(waiting, 'finished run')} not in the ledger yet", _record)
    if not store.journal.runs():
        yield good("none wait")


def runs_set_aside(store: Store) -> Findings:
    """Look at what could not be recorded, and say why as far as that shows."""
    for journal in Journal(_rejected(store)).runs():
        reason = _why_rejected(journal)
        place = shlex.quote(str(journal.path))
        if reason is None:
            yield fault(
                f"run {short(journal.id)} was set aside, and can be read by this version",
                f"to record it: mv {place} {shlex.quote(str(store.journal.folder))}",
            )
        else:
            yield _set_aside(journal.id, reason, journal.path)


def _unfinished(store: Store, journal: JournalRun, dead_after: float) -> Finding:
    name, now = f"run {short(journal.id)}", time.time()
    try:
        started = journal.started
        dead = journal.is_orphaned(dead_after=dead_after)
    except StoreDamaged as error:
        return mendable(f"{name} cannot be read: {_cause(error)}", _record)
    if started is None:
        age = _ago(now - journal.path.stat().st_mtime)
        why = "its process is still looking at what goes in, or died"
        if _is_of_a_job(store, journal):
            why = "its job has no rank 0 yet"
        return note(f"{name} has not begun ({why}); made {age}, removed after a week", mend=_record)
    manifest, owner = _parts(started)
    name = f"{name} ({_command(manifest)})"
    if dead:
        return mendable(f"the process of {name} is gone", _record)
    begun = manifest.get("started_ns")
    since = f", for {duration_text(int(now * 1e9) - begun)}" if isinstance(begun, int) else ""
    text = f"{name} is under way: {owner_text(owner)}{since}"
    if is_near(owner):
        return note(text)
    if not owner.get("boot"):
        over = f"{shlex.quote(str(journal.path))} {shlex.quote(str(store.repository.prov_dir))}"
        return note(f"{text}, and cannot be told from a dead one", f"if it is over: mv {over}")
    return _elsewhere(journal, owner, text, dead_after)


def _elsewhere(
    journal: JournalRun, owner: Mapping[str, Any], text: str, dead_after: float
) -> Finding:
    """Say what is known of a run on another machine, or in another container."""
    silence = time.time() - _last_sign(journal)
    text = f"{text}, last sign of life {_ago(silence)}"
    if silence < _SILENT_SECONDS:
        return note(text)
    if owner.get("local"):
        return note(text, "its machine alone can tell whether it lives; there: git prov doctor")
    after = duration_text(int(dead_after * 1e9))
    return note(f"{text}; it counts as dead after {after} without one (prov.deadAfter)")


def _record(store: Store) -> Iterator[Finding]:
    """Finish the dead, record what is finished, set aside what cannot be."""
    adopted = adopt_dead_runs(store)
    drained = drain(store)
    if adopted.runs:
        ids = ", ".join(short(run_id) for run_id in adopted.runs)
        yield mended(f"recorded as aborted, because the process died: {ids}")
    if others := len(set(drained.recorded) - set(adopted.runs)):
        yield mended(f"{plural(others, 'finished run')} recorded")
    for run_id, reason in {**adopted.rejected, **drained.rejected}.items():
        yield _set_aside(
            run_id,
            reason.rpartition("; its files")[0].partition("; move")[0],
            _rejected(store) / run_id,
        )


def _set_aside(run_id: str, reason: str, path: Path) -> Finding:
    return fault(
        f"run {short(run_id)} could not be recorded and was set aside: {reason}",
        f"see what is left in {shlex.quote(str(path))}, then remove that folder",
    )


def _why_rejected(journal: JournalRun) -> str | None:
    """Return why a run cannot be recorded; None where nothing speaks against it."""
    try:
        finished = journal.finished
        if finished is None:
            return "it was not finished" if journal.started else "there is nothing of it"
        run = decode_record(RUN_SCHEMA, canonical.encode(finished.get("manifest") or {})).record
    except GitprovError as error:
        return _cause(error)
    return None if run.id == journal.id else "the folder has another name than the run in it"


def _cause(error: GitprovError) -> str:
    """Return what is wrong, without what to do: here it is done, or said."""
    return str(error).partition("; ")[0]


def _rejected(store: Store) -> Path:
    return store.repository.prov_dir / "rejected"


def _is_of_a_job(store: Store, journal: JournalRun) -> bool:
    for path in (store.repository.prov_dir / "jobs").glob("[0-9a-f]*"):
        with suppress(OSError):
            if path.read_text(errors="replace").strip() == journal.id:
                return True
    return False


def _parts(started: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return manifest and owner of what may have been written by another version."""
    manifest, owner = started.get("manifest"), started.get("owner")
    return (
        manifest if isinstance(manifest, dict) else {},
        owner if isinstance(owner, dict) else {},
    )


def _command(manifest: Mapping[str, Any]) -> str:
    try:
        return clipped(command_text(manifest["command"]["argv"]), _LONGEST_COMMAND)
    except (LookupError, TypeError):
        return "of an unknown command"


def _last_sign(journal: JournalRun) -> float:
    times = [path.stat().st_mtime for path in journal.path.rglob("*") if path.is_file()]
    return max(times, default=journal.path.stat().st_mtime)


def _ago(seconds: float) -> str:
    return f"{duration_text(int(max(seconds, 0.0) * 1e9))} ago"
