"""What remotes were last seen to have, and what of it was looked at already.

Small, so that a command which finds nothing new pays for no more than this.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

from gitprov.codec import canonical
from gitprov.errors import MalformedRecord
from gitprov.store.refs import REMOTE, Shard, parse_shard
from gitprov.store.repository import Repository


class RemoteTip(NamedTuple):
    """The end of one chain at one remote: its tracking ref, the entry, the chain of ours."""

    ref: str
    oid: str
    shard: Shard

    @property
    def remote(self) -> str:
        """The remote's name."""
        return self.ref.removeprefix(REMOTE + "/").removesuffix(self.shard.ref[len("refs/prov") :])


def remote_tips(refs: Mapping[str, str]) -> list[RemoteTip]:
    """Return the remote tips among `refs`, whether or not we have them."""
    tips = []
    for ref, oid in refs.items():
        if ref.startswith(REMOTE + "/") and (shard := parse_shard(ref)):
            tips.append(RemoteTip(ref, oid, shard))
    return tips


def unread_tips(repository: Repository, refs: Mapping[str, str]) -> list[RemoteTip]:
    """Return the remote tips that differ from ours and were not looked at before."""
    tips = [tip for tip in remote_tips(refs) if refs.get(tip.shard.ref) != tip.oid]
    if not tips:
        return []
    seen = _load(repository)
    return [tip for tip in tips if seen.get(tip.ref) != tip.oid]


def mark_read(repository: Repository, refs: Mapping[str, str], read: list[RemoteTip]) -> None:
    """Remember tips that were looked at and joined."""
    current = {tip.ref for tip in remote_tips(refs)}
    seen = {ref: oid for ref, oid in _load(repository).items() if ref in current}
    seen |= {tip.ref: tip.oid for tip in read}
    path = repository.prov_dir / "accepted"
    temporary = path.with_name(f".accepted.{os.getpid()}.tmp")
    temporary.write_bytes(canonical.encode(seen))
    temporary.replace(path)


def _load(repository: Repository) -> dict[str, str]:
    # A cache: losing it costs a second look at what is there already.
    try:
        return canonical.decode((repository.prov_dir / "accepted").read_bytes())
    except (OSError, MalformedRecord):
        return {}
