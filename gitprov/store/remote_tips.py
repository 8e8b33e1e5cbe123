"""What remotes were last seen to have, and what of it was looked at already.

`<common dir>/prov/accepted` is a cache: by remote ref, the tip that was joined, or the tip that was
refused with the reason and the version of gitprov that refused it. Deleting it costs a second look
at everything. Small, so that a command which finds nothing new pays for no more than this.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from gitprov.codec import canonical
from gitprov.errors import MalformedRecord
from gitprov.store.refs import Shard, parse_shard, remote_of
from gitprov.store.repository import Repository
from gitprov.version import __version__


class RemoteTip(NamedTuple):
    """The end of one chain at one remote: its tracking ref, the entry, the chain, the remote."""

    ref: str
    oid: str
    shard: Shard
    remote: str


def remote_tips(refs: Mapping[str, str]) -> list[RemoteTip]:
    """Return the remote tips among `refs`, whether or not we have them.

    Those of remotes that are no more among them: what they had may be ours.
    """
    return [
        RemoteTip(ref, oid, shard, remote)
        for ref, oid in refs.items()
        if (remote := remote_of(ref)) and (shard := parse_shard(ref))
    ]


def unread_tips(
    repository: Repository, refs: Mapping[str, str], again: Collection[str] = ()
) -> list[RemoteTip]:
    """Return the remote tips that differ from ours and were not joined before.

    Those of the refs `again` are among them even so.
    """
    tips = [tip for tip in remote_tips(refs) if refs.get(tip.shard.ref) != tip.oid]
    if not tips:
        return []
    seen = _load(repository)
    return [tip for tip in tips if seen.get(tip.ref) != tip.oid or tip.ref in again]


def refusals(repository: Repository, refs: Mapping[str, str]) -> dict[RemoteTip, str]:
    """Return the tips among `refs` that this version has refused before, and why."""
    found = {}
    seen: dict[str, Any] = {}
    for tip in remote_tips(refs):
        if refs.get(tip.shard.ref) != tip.oid:
            seen = seen or _load(repository)
            match seen.get(tip.ref):
                case {"tip": tip.oid, "version": version, "reason": str(reason)} if (
                    version == __version__
                ):
                    found[tip] = reason
    return found


def mark_read(
    repository: Repository,
    refs: Mapping[str, str],
    read: Sequence[RemoteTip],
    refused: Mapping[RemoteTip, str],
) -> None:
    """Remember tips that were joined, and those that were refused, with the reasons."""
    current = {tip.ref for tip in remote_tips(refs)}
    seen = {ref: known for ref, known in _load(repository).items() if ref in current}
    seen |= {tip.ref: tip.oid for tip in read}
    seen |= {
        tip.ref: {"tip": tip.oid, "version": __version__, "reason": reason}
        for tip, reason in refused.items()
    }
    path = repository.prov_dir / "accepted"
    temporary = path.with_name(f".accepted.{os.getpid()}.tmp")
    temporary.write_bytes(canonical.encode(seen))
    temporary.replace(path)


def _load(repository: Repository) -> dict[str, Any]:
    try:
        return canonical.decode((repository.prov_dir / "accepted").read_bytes())
    except (OSError, MalformedRecord):
        return {}
