"""The refs that gitprov owns: their names and their listing.

Specification: section 2.
"""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Literal, NamedTuple

from gitprov.store.git import Git

OURS = "refs/prov"
LEDGER = "refs/prov/ledger"
KEEP = "refs/prov/keep"
PAYLOAD = "refs/prov/payload"
REMOTE = "refs/prov-remote"
NOTES = "refs/notes/prov"

Area = Literal["ledger", "keep", "payload"]
AREAS: tuple[Area, ...] = ("ledger", "keep", "payload")

_SHARD_REF = re.compile(
    r"refs/(?:prov|prov-remote/(?P<remote>.+?))"
    r"/(?P<area>ledger|keep|payload)/(?P<month>[0-9]{4}-(?:0[1-9]|1[0-2]))/(?P<shard>0[0-9a-f])\Z"
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

    @property
    def name(self) -> str:
        """What people are told: `ledger/2026-11/0a`."""
        return f"{self.area}/{self.month}/{self.shard}"

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


def remote_of(ref: str) -> str | None:
    """Return the remote of which a ref says what it was seen to have; None for other refs."""
    match = _SHARD_REF.match(ref)
    return match["remote"] if match else None


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
