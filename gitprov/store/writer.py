"""The writer: this clone's identity in the ledger, and where its chain of records ends.

`<common dir>/prov/writer` holds the id; a copied clone notices by the folder's inode that the id
is not its own and takes a new one. The end of the chain is derived from the ledger; a cached
copy saves the walk as long as the ledger's tip is the one that it was read at.
"""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitprov.codec import canonical
from gitprov.errors import MalformedRecord
from gitprov.model.ids import is_id, new_id
from gitprov.store.durable import write_durably

SHARDS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEnd:
    """The last record of a writer: its number (0: none yet) and the sha256 of its bytes.

    `tip` is the ledger commit at which this was true, `environments` the trees of environments
    that are reachable from it, by digest.
    """

    sequence: int = 0
    digest: bytes | None = None
    ref: str | None = None
    tip: str | None = None
    environments: dict[str, str] = field(default_factory=dict)

    def after(self, record: bytes) -> "ChainEnd":
        """Return the end of the chain once `record` is in it."""
        return ChainEnd(  # not `replace`, which takes its time, for each of many
            sequence=self.sequence + 1,
            digest=hashlib.sha256(record).digest(),
            ref=self.ref,
            tip=self.tip,
            environments=self.environments,
        )


def writer_id(prov_dir: Path) -> str:
    """Return this clone's writer id, made at the first call."""
    path = prov_dir / "writer"
    inode = str(prov_dir.stat().st_ino)
    try:
        words = path.read_bytes().decode("ascii", "replace").split()
    except FileNotFoundError:
        words = []
    if len(words) == 2 and is_id(words[0]) and words[1] == inode:  # noqa: PLR2004
        return words[0]
    fresh = new_id()
    write_durably(path, f"{fresh} {inode}\n".encode())
    return fresh


def shard_of(writer: str) -> str:
    """Return the shard that a writer writes to: two hex digits, 00 to 0f."""
    return f"{hashlib.sha256(writer.encode()).digest()[0] % SHARDS:02x}"


def load_chain_end(prov_dir: Path, writer: str) -> ChainEnd:
    """Return the cached end of a writer's chain; an empty one where there is no usable cache."""
    try:
        document = canonical.decode((prov_dir / "chain").read_bytes())
    except (OSError, MalformedRecord):
        return ChainEnd()
    if document.pop("writer", None) != writer:
        return ChainEnd()
    try:
        return ChainEnd(**document)
    except TypeError:
        return ChainEnd()


def save_chain_end(prov_dir: Path, writer: str, end: ChainEnd) -> None:
    """Cache the end of the chain. Losing it costs a walk: it is not synced, and may fail."""
    document: dict[str, Any] = {"writer": writer, "sequence": end.sequence}
    document |= {
        name: value
        for name in ("digest", "ref", "tip", "environments")
        if (value := getattr(end, name))
    }
    path = prov_dir / "chain"
    temporary = path.with_name(f".chain.{os.getpid()}.tmp")
    with suppress(OSError):
        temporary.write_bytes(canonical.encode(document))
        temporary.replace(path)
