"""What may be asked for when data is captured, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from gitprov.model.run import Artifact
from gitprov.store.repository import Config
from gitprov.store.transfer import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """How data is to be captured.

    `algorithms` are those of the digests of files. Links in folders are recorded unless they are
    to be followed. With `hint_only`, remote objects are not read: what the store says of them is
    recorded. With `verify`, everything is read again, whatever is known of it. `engine` is where
    files are hashed: here, or on a Dask cluster (`dask://HOST:PORT`). `name` is what the data is
    called; `watch` is told how far it is.
    """

    algorithms: tuple[str, ...] = ("sha256",)
    follow_links: bool = False
    hint_only: bool = False
    verify: bool = False
    engine: str | None = None
    name: str | None = None
    watch: Watch | None = None


def with_digests(options: DataOptions, config: Config) -> DataOptions:
    """Return the options with the digests that prov.data.digest asks for.

    What is no digest there is noticed when data is captured.
    """
    words = (config.get("prov.data.digest") or "").replace(",", " ").split()
    return replace(options, algorithms=tuple(dict.fromkeys(words))) if words else options


class Captured(NamedTuple):
    """An artifact, the git tree that holds its listing, and what is not in that.

    `left_out` says why, by the path below it.
    """

    artifact: Artifact
    tree: str | None = None
    left_out: Mapping[str, str] = {}
