"""Bringing the chains of a remote beside ours, with the git program as transport.

They are read where they lie, in `refs/prov-remote/`; taking them in is acceptance's. What arrives
is durable: our own chains will stand on it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gitprov.errors import RemoteFailed
from gitprov.store.consolidation import consolidate, remember_pack
from gitprov.store.durable import sync_folders
from gitprov.store.git import syncing
from gitprov.store.git_locks import (
    PACKED,
    SHALLOW,
    announced,
    has_locks,
    left_moving,
    release_dead_locks,
)
from gitprov.store.home import Home
from gitprov.store.lock import store_lock
from gitprov.store.partial_clone import EVERYTHING, promisor
from gitprov.store.refs import REMOTE, Area, Shard
from gitprov.store.shallow import NEWEST, WHOLE, cut_chains, mend_cuts
from gitprov.store.store import Store
from gitprov.store.transfer import FETCH, Watch, transfer


class _Part(NamedTuple):
    """Areas that are fetched together, and how."""

    areas: Sequence[Area]
    options: Sequence[str] = ()


def fetch_chains(
    store: Store,
    source: str,
    home: Home,
    areas: Sequence[Area],
    *,
    watch: Watch | None = None,
) -> None:
    """Fetch from `source` into the mirror of a home. Raises RemoteFailed."""
    store.repository.require_writable()
    clear_mirror(store)
    with _durable_packs(store):
        for part in _parts(store, areas):
            _fetch(store, source, home.fetch_refspecs(part.areas), part.options, watch)
    mend_cuts(store)


def fetch_shards(store: Store, source: str, home: Home, shards: Collection[Shard]) -> None:
    """Fetch these chains alone, to push them. Raises RemoteFailed.

    The history of sources stays where it is, in a clone that was made without it.
    """
    store.repository.require_writable()
    clear_mirror(store)
    with _durable_packs(store):
        for part in _parts(store, sorted({shard.area for shard in shards}), sparing=True):
            wanted = [shard for shard in shards if shard.area in part.areas]
            _fetch(store, source, home.shard_refspecs(wanted), part.options)
    mend_cuts(store)


def fetch_payload(
    store: Store, source: str, home: Home, places: Iterable[str], *, watch: Watch | None = None
) -> None:
    """Fetch the payload of some months or shards, as `2026-11/*` or `2026-11/0a*`.

    A pattern each: see `Home.shard_refspecs`. Raises RemoteFailed.
    """
    store.repository.require_writable()
    clear_mirror(store)
    to = f"{REMOTE}/{home.remote}/payload"
    refspecs = [f"+{home.namespace}/payload/{place}:{to}/{place}" for place in places]
    with _durable_packs(store):
        options = [EVERYTHING] if promisor(store.repository.config) is not None else []
        _fetch(store, source, refspecs, options, watch)


def clear_mirror(store: Store) -> None:
    """Remove locks that a killed fetch or push has left where we see what remotes have."""
    if left_moving(store.repository) or has_locks(store.repository):
        with store_lock(store.lock_path):
            release_dead_locks(store.repository)


def _parts(store: Store, areas: Sequence[Area], *, sparing: bool = False) -> Iterator[_Part]:
    """Yield what is to be fetched: nearly always all in one.

    Ledger and payload are always fetched whole. Only keep leads to sources, so it is there that
    a clone without their history, or without their files, is to stay what it is.
    """
    is_shallow = bool(store.repository.cut_commits())
    is_partial = promisor(store.repository.config) is not None
    if not (is_shallow or is_partial):
        yield _Part(areas)
        return
    deeper = [WHOLE] if cut_chains(store) else []
    if ours := [area for area in areas if area != "keep"]:
        yield _Part(ours, [*deeper, *([EVERYTHING] if is_partial else [])])
    if "keep" in areas:
        yield _Part(["keep"], [NEWEST] if sparing and is_shallow else deeper)


@contextmanager
def _durable_packs(store: Store) -> Iterator[None]:
    """Make the packs durable that come while the block runs, and see to it that they stay few."""
    packs = store.repository.common_dir / "objects" / "pack"
    before = _pack_names(packs)
    yield
    if fresh := _pack_names(packs) - before:
        if store.fsync:
            sync_folders([packs])
        with store_lock(store.lock_path):
            for name in fresh:
                remember_pack(store.repository.common_dir, name)
        consolidate(store)


def _fetch(
    store: Store,
    source: str,
    refspecs: Sequence[str],
    options: Sequence[str],
    watch: Watch | None = None,
) -> None:
    with announced(store.repository, PACKED, SHALLOW):
        result = transfer(
            store.repository.git,
            *FETCH,
            # What a remote has no longer must show: it is pushed again then.
            "--prune",
            # Nor what the user's refspecs would do: a mirror's put the remote's refs over ours.
            "--refmap=",
            *options,
            source,
            *refspecs,
            watch=watch,
            # One pack, not loose objects in folders that nobody syncs.
            config=[*syncing(fsync=store.fsync), "fetch.unpackLimit=1"],
        )
    if result.returncode != 0:
        raise RemoteFailed(f"cannot fetch from {source}: {result.reason}")


def _pack_names(packs: Path) -> set[str]:
    return {path.stem.removeprefix("pack-") for path in packs.glob("pack-*.idx")}
