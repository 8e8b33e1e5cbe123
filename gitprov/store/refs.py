"""The refs that gitprov owns: their names, their listing, and moving them together.

Specification: section 2.
"""

import os
import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from gitprov.errors import StoreBusy
from gitprov.store.git import Git, last_line

OURS = "refs/prov"
LEDGER = "refs/prov/ledger"
KEEP = "refs/prov/keep"
PAYLOAD = "refs/prov/payload"
REMOTE = "refs/prov-remote"
NOTES = "refs/notes/prov"

Area = Literal["ledger", "keep", "payload"]
AREAS: tuple[Area, ...] = ("ledger", "keep", "payload")
NO_OBJECT = "0" * 40
DEAD_LOCK_SECONDS = 60

_SHARD_REF = re.compile(
    r"refs/(?:prov|prov-remote/(?P<remote>.+?))"
    r"/(?P<area>ledger|keep|payload)/(?P<month>\d{4}-(?:0[1-9]|1[0-2]))/(?P<shard>0[0-9a-f])\Z"
)


class Shard(NamedTuple):
    """One chain of one area: a month and a shard of two hex digits."""

    area: Area
    month: str
    shard: str

    @property
    def ref(self) -> str:
        """The ref of ours that holds the chain."""
        return f"refs/prov/{self.area}/{self.month}/{self.shard}"

    def remote_ref(self, remote: str) -> str:
        """Return the ref that says where a remote was last seen to have the chain."""
        return f"{REMOTE}/{remote}/{self.area}/{self.month}/{self.shard}"


def parse_shard(ref: str) -> Shard | None:
    """Return the chain that a ref of ours or of a remote holds; None for other names."""
    match = _SHARD_REF.match(ref)
    if match is None:
        return None
    area: Area = match["area"]  # type: ignore[assignment]  # the pattern allows just these
    return Shard(area, match["month"], match["shard"])


def list_refs(git: Git, *prefixes: str) -> dict[str, str]:
    """Return the refs below the prefixes and the objects that they point at, sorted by name."""
    output = git.run("for-each-ref", "--format=%(objectname) %(refname)", *prefixes)
    pairs = (line.split(" ", 1) for line in os.fsdecode(output).split("\n") if line)
    return {name: oid for oid, name in pairs}


def unreadable_refs(common_dir: Path, listed: Collection[str], prefix: str) -> list[str]:
    """Return the refs below `prefix` that have a file and yet are not `listed`.

    Git leaves refs out of its listings whose file holds no object's name, as after a power loss.
    """
    files = (path for path in (common_dir / prefix).rglob("*") if path.is_file())
    names = (path.relative_to(common_dir).as_posix() for path in files if path.suffix != ".lock")
    return sorted(name for name in names if name not in listed)


def release_dead_locks(common_dir: Path) -> None:
    """Remove what a killed `git update-ref` has left of locks on our refs; under the store's lock.

    Git never breaks a lock. It holds one for milliseconds; whoever holds the store's lock knows
    that no gitprov moves refs, and a lock with a value in it is not gc's, which writes none. A
    minute is for others: a push into this repository that waits for a hook.
    """
    locks = [*(common_dir / OURS).rglob("*.lock"), (common_dir / NOTES).with_suffix(".lock")]
    for lock in locks:
        with suppress(FileNotFoundError):
            found = lock.stat()
            if found.st_size and time.time() - found.st_mtime > DEAD_LOCK_SECONDS:
                lock.unlink()


class RefMoved(StoreBusy):
    """A ref was not where the change expected it; read it again and retry."""


def move_refs(
    git: Git, changes: Mapping[str, tuple[str | None, str | None]], *, fsync: bool = True
) -> None:
    """Move refs from their expected old values to new ones, all of them or none.

    `changes` maps a ref to (old, new); None stands for "does not exist". Raises RefMoved where
    an old value is not what is there, or another process is moving the same ref.
    """
    lines = ["start"]
    lines += [
        f"update {ref} {new or NO_OBJECT} {old or NO_OBJECT}" for ref, (old, new) in changes.items()
    ]
    lines += ["prepare", "commit", ""]
    result = git.call(
        "update-ref",
        "--stdin",
        stdin="\n".join(lines).encode(),
        config=[f"core.fsync={'all' if fsync else 'none'}"],
    )
    if result.returncode != 0:
        raise RefMoved(f"could not move refs: {last_line(result.stderr)}; try again")
