"""Pins: refs that hold the commits from which runs have started, until a keep chain holds them.

A branch may be reset or a work tree removed while its run is under way, and gc comes by. Git has
the objects of a snapshot in the journal, out of gc's reach; the commit below it is held by
`refs/prov-pin/<run id>`. Nobody but the run's process makes such a ref, and nobody but the drain
removes it, so both are done as git would on disk, without the cost of a git process.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gitprov.store.durable import sync_folders, write_durably
from gitprov.store.journal import Journal
from gitprov.store.ref_moves import RefMoved, move_refs
from gitprov.store.refs import list_refs
from gitprov.store.repository import Repository

PINS = "refs/prov-pin"


def pin(
    repository: Repository, workspace: Path, run_id: str, commit: str, *, fsync: bool = True
) -> None:
    """Hold a commit that a run needs; `workspace` is a folder for a moment. Raises OSError."""
    folder = repository.common_dir / PINS
    folder.mkdir(parents=True, exist_ok=True)
    # Whole or not there at all: an empty ref would trouble every git command.
    written = workspace / "pin"
    write_durably(written, f"{commit}\n".encode(), fsync=fsync)
    written.replace(folder / run_id)
    if fsync:
        sync_folders([folder, folder.parent])


def unpin(repository: Repository, run_ids: Iterable[str]) -> None:
    """Let go of what runs needed."""
    for run_id in run_ids:
        (repository.common_dir / PINS / run_id).unlink(missing_ok=True)


def unpin_dead(repository: Repository, journal: Journal, *, lock: int | None) -> None:
    """Let go of what is held for runs that are no more, also where git has packed the refs."""
    with suppress(FileNotFoundError):
        names = os.listdir(repository.common_dir / PINS)  # noqa: PTH208 -- names alone are wanted
        unpin(repository, (name for name in names if not (journal.folder / name).exists()))
    left = {
        ref: (oid, None)
        for ref, oid in _packed(repository)
        if not (journal.folder / ref.removeprefix(f"{PINS}/")).exists()
    }
    if left:
        with suppress(RefMoved):  # the next drain finds them again
            move_refs(repository, left, lock=lock)


def _packed(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield the pins that git has packed; nearly always there are none."""
    with suppress(FileNotFoundError):
        if f" {PINS}/".encode() in (repository.common_dir / "packed-refs").read_bytes():
            yield from list_refs(repository.git, PINS).items()
