"""Moving refs together, with compare-and-set, by one git that shares the store's lock."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from gitprov.errors import StoreBusy
from gitprov.store.durable import sync_folders
from gitprov.store.git import last_line, syncing
from gitprov.store.git_locks import PACKED, announce
from gitprov.store.high_water import HighWater
from gitprov.store.repository import Repository

NO_OBJECT = "0" * 40
Changes = Mapping[str, tuple[str | None, str | None]]


class RefMoved(StoreBusy):
    """A ref was not where the change expected it; read it again and retry."""


def move_refs(
    repository: Repository, changes: Changes, *, lock: int | None, fsync: bool = True
) -> None:
    """Move refs from their expected old values to new ones, all of them or none.

    `changes` maps a ref to (old, new); None stands for "does not exist". The caller holds the
    store's lock, as `lock`. Raises RefMoved where an old value is not what is there, or another
    process is moving the same ref. A git that dies at it leaves some refs moved and some not. With
    `fsync`, all of it is durable on return.
    """
    lines = ["start"]
    lines += [
        f"update {ref} {new or NO_OBJECT} {old or NO_OBJECT}" for ref, (old, new) in changes.items()
    ]
    lines += ["prepare", "commit", ""]
    plan = {ref: new for ref, (_, new) in changes.items()}
    if None in plan.values():  # to take a ref away, git locks the packed ones, too
        plan[PACKED] = None
    announcement = announce(repository, plan)
    result = repository.git.holding(lock).call(
        "update-ref",
        "--stdin",
        stdin="\n".join(lines).encode(),
        config=syncing(fsync=fsync),
    )
    if result.returncode >= 0:  # else it was killed, and its locks are still there
        announcement.unlink(missing_ok=True)
    if result.returncode != 0:
        raise RefMoved(f"could not move refs: {last_line(result.stderr)}; see: git prov doctor")
    if fsync:
        _sync_folders(repository.common_dir, changes)
    # Last: where power loss takes a move back, nothing is to say that it was made.
    HighWater(repository).remember({ref: new for ref, (_, new) in changes.items()})


def _sync_folders(common_dir: Path, refs: Iterable[str]) -> None:
    """Make the names of refs durable, and those of the folders that lead to them."""
    parents = {parent for ref in refs for parent in (common_dir / ref).parents}
    for folder in sorted(folder for folder in parents if folder.is_relative_to(common_dir)):
        # Gone where `git pack-refs` has come by: the top, synced too, has the packed refs.
        with suppress(FileNotFoundError):
            sync_folders([folder])
