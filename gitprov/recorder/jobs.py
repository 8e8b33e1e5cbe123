"""The one run of a distributed job that has no run around it.

Rank 0 owns the run, the others contribute. Nobody waits: whichever rank comes first makes the
run's folder in the journal and writes its id to `<common dir>/prov/jobs/<digest of the job's key>`;
the others find it there, and rank 0 begins the run when it comes. Specification: section 9.6.
"""

import hashlib
import itertools
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gitprov.errors import RunStateError
from gitprov.model.ids import is_id, new_id, short
from gitprov.recorder.joined import outer_run_id
from gitprov.recorder.ranks import Rank, job_key, rank_of
from gitprov.store.journal import JournalRun
from gitprov.store.store import Store

# Which process of a rank has its place in the run of which job.
_PLACED_VARIABLE = "GITPROV_PLACED"
_KEPT_SECONDS = 7 * 24 * 3600
_numbers = itertools.count(1)


class Place(NamedTuple):
    """The folder of a job's run, and the rank that this process has in it."""

    journal: JournalRun
    rank: int


def take_place(store: Store) -> Place | None:
    """Return this process's place in the run of its job; None where its run is its own.

    Where a process starts several runs, one after another, the other ranks are taken to start the
    same ones in the same order. Raises RunStateError for a rank that comes when the run has ended,
    OSError where nothing can be written.
    """
    rank = rank_of(os.environ)
    if rank is None or not store.repository.config.flag("prov.ranks", default=True):
        return None
    key = job_key(rank, os.environ)
    if key is None:
        return None
    job = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    other, _, known = os.environ.get(_PLACED_VARIABLE, "").partition(" ")
    if known == job and other != str(os.getpid()):
        return None  # a tool that a rank has started, whose variables it has inherited
    store.repository.require_writable()
    words = f"{key}\n{next(_numbers)}".encode(errors="surrogateescape")
    name = hashlib.sha256(words).hexdigest()[:32]
    claims = _Claims(store)
    try:
        journal = claims.claim(name)
    except OSError:
        if rank.number == 0:  # the run comes first, with or without the others
            return None
        raise
    if journal.id == outer_run_id():
        return None  # a child of a rank: it has inherited the variables
    os.environ[_PLACED_VARIABLE] = f"{os.getpid()} {job}"
    return _place(claims, name, journal, rank)


def _place(claims: "_Claims", name: str, journal: JournalRun, rank: Rank) -> Place:
    if rank.number == 0:
        # One that somebody has begun is that of an earlier execution under the same key.
        unused = not journal.is_over and journal.started is None
        return Place(journal if unused else claims.replace(name), 0)
    if journal.is_over:
        raise RunStateError(
            f"rank {rank.number} comes after the run {short(journal.id)} of its job has ended"
        )
    return Place(journal, rank.number)


class _Claims:
    """The files that name the runs of jobs."""

    def __init__(self, store: Store) -> None:
        self._journal = store.journal
        self._folder = store.repository.prov_dir / "jobs"

    def claim(self, name: str) -> JournalRun:
        """Return the run of a job; whoever comes first chooses it."""
        while True:
            with suppress(FileNotFoundError):
                return self._read(name)
            self._tidy()
            journal = self._journal.create(new_id())
            written = self._write(name, journal)
            try:
                (self._folder / name).hardlink_to(written)
            except FileExistsError:
                shutil.rmtree(journal.path)
            else:
                return journal
            finally:
                written.unlink()

    def replace(self, name: str) -> JournalRun:
        """Let the job have a new run."""
        journal = self._journal.create(new_id())
        self._write(name, journal).replace(self._folder / name)
        return journal

    def _read(self, name: str) -> JournalRun:
        path = self._folder / name
        run_id = path.read_text(errors="replace").strip()
        if not is_id(run_id):  # cut short by a power failure
            path.unlink()
            raise FileNotFoundError(path)
        return self._journal.open(run_id)

    def _write(self, name: str, journal: JournalRun) -> Path:
        written = self._folder / f".{name}.{journal.id}"
        written.write_text(f"{journal.id}\n")
        return written

    def _tidy(self) -> None:
        """Make the folder, and remove what is a week old: no rank comes as late as that."""
        self._folder.mkdir(exist_ok=True)
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                    path.unlink()
