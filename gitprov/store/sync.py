"""Pushing and fetching through ordinary remotes, with the git program as transport.

Only what is safe to try again is tried again: a chain that the remote has moved meanwhile is
fetched, joined and pushed once more, a few times with growing pauses. A refusal by the remote's
policy is final and is passed on in the remote's words; so is, in ours, what the remote has where
it cannot be joined.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitprov.errors import RemoteFailed, StoreBusy
from gitprov.model.run import RUN_SCHEMA
from gitprov.store.acceptance import Accepted, accept
from gitprov.store.consolidation import consolidate, remember_pack
from gitprov.store.durable import sync_folders
from gitprov.store.git import last_line, syncing
from gitprov.store.git_locks import release_dead_locks
from gitprov.store.high_water import HighWater
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.lock import store_lock
from gitprov.store.objects import decode_commit
from gitprov.store.ref_moves import move_refs
from gitprov.store.refs import AREAS, KEEP, REMOTE, Area, Shard, list_refs, parse_shard
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.setbacks import losses
from gitprov.store.store import Store

HOOK_GUARD = "GITPROV_PUSHING"
ATTEMPTS = 8
_PAUSE_SECONDS = 0.05
# What a remote answers when another push has won the race for a ref; anything else is policy.
_RACES = ("failed to update ref", "incorrect old value", "cannot lock ref", "reference already")


@dataclass(slots=True)
class Pushed:
    """What a push has published."""

    runs: int = 0
    refs: int = 0
    snapshots: int = 0
    commits: int = 0
    attempts: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def fetch_refspecs(remote: str, areas: Sequence[Area]) -> list[str]:
    """Return the refspecs that mirror a remote's chains beside ours, never over them."""
    return [f"+refs/prov/{area}/*:refs/prov-remote/{remote}/{area}/*" for area in areas]


def pull(store: Store, remote: str, areas: Sequence[Area] = ("ledger", "keep")) -> Accepted:
    """Fetch a remote's chains and join them with ours. Raises RemoteFailed."""
    fetch_chains(store, remote, remote, areas)
    done = accept(store)
    done.lost = losses(store, HighWater(store.repository).remotes_fallen(store.refs()))
    return done


def push(
    store: Store, remote: str, areas: Sequence[Area] = AREAS, *, attempts: int = ATTEMPTS
) -> Pushed:
    """Publish what the remote does not have, in so many attempts.

    Raises RemoteFailed where it cannot be reached, StoreBusy where others kept winning the race;
    refusals are in the result.
    """
    done = Pushed()
    pending = _pending(store, remote, areas)
    if pending:
        _clear_mirror(store)
    while pending and done.attempts < attempts:
        if done.attempts:
            time.sleep(_PAUSE_SECONDS * 2**done.attempts * random.random())  # noqa: S311
        done.attempts += 1
        _count(store, remote, pending, done)
        raced = _push_once(store, remote, pending, done)
        if not raced:
            return done
        done.refused |= _join(store, remote, raced)
        pending = [
            shard for shard in _pending(store, remote, areas) if shard.ref not in done.refused
        ]
    if pending:
        raise StoreBusy(
            f"others kept pushing to {remote}; what is left goes with the next: git prov push"
        )
    return done


def _pending(store: Store, remote: str, areas: Sequence[Area]) -> list[Shard]:
    """Return our chains whose tip the remote was not seen to have."""
    refs = store.refs()
    shards = (parse_shard(ref) for ref in refs if ref.startswith("refs/prov/"))
    return [
        shard
        for shard in shards
        if shard and shard.area in areas and refs.get(shard.remote_ref(remote)) != refs[shard.ref]
    ]


def _join(store: Store, remote: str, raced: Sequence[Shard]) -> dict[str, str]:
    """Join what the remote has; return the chains for which another attempt is of no use."""
    before = store.refs()
    fetch_chains(store, remote, remote, sorted({shard.area for shard in raced}))
    refusals = accept(store).refused
    after, hopeless = store.refs(), {}
    for shard in raced:
        ours, theirs = after[shard.ref], after.get(shard.remote_ref(remote))
        if ours != before[shard.ref] or theirs is None:
            continue
        git = store.repository.git
        if git.call("merge-base", "--is-ancestor", theirs, ours).returncode != 0:
            start = f"{shard.ref} of remote {remote} "
            said = (text.removeprefix(start) for text in refusals if text.startswith(start))
            hopeless[shard.ref] = f"what is there {next(said, 'could not be joined with ours')}"
    return hopeless


def _push_once(store: Store, remote: str, shards: Sequence[Shard], done: Pushed) -> list[Shard]:
    """Push; return the chains that somebody else has moved at the remote."""
    git = store.repository.git
    refs = store.refs()
    result = git.call(
        "push",
        "--no-verify",
        "--porcelain",
        "--no-follow-tags",
        "--recurse-submodules=no",
        remote,
        *(f"{shard.ref}:{shard.ref}" for shard in shards),
        env={HOOK_GUARD: "1"},
        # The user's settings for signing, options and mirroring are meant for their branches.
        config=[
            "push.gpgSign=false",
            "push.pushOption=",
            "push.negotiate=false",
            f"remote.{remote}.mirror=false",
            *syncing(fsync=store.fsync),
        ],
    )
    raced, answered = [], False
    sent: dict[Shard, str] = {}
    by_ref = {shard.ref: shard for shard in shards}
    for line in result.stdout.decode(errors="replace").split("\n"):
        flag, _, rest = line.partition("\t")
        ref, _, summary = rest.partition("\t")
        shard = by_ref.get(ref.partition(":")[0])
        if shard is None:
            continue
        answered = True
        if flag != "!":
            sent[shard] = refs[shard.ref]
        elif summary.startswith("[rejected]") or any(race in summary for race in _RACES):
            raced.append(shard)
        else:
            done.refused[shard.ref] = summary
    done.refs += len(sent)
    _note_remote_tips(store, remote, sent)
    if result.returncode != 0 and not answered:
        raise RemoteFailed(f"cannot push to {remote}: {last_line(result.stderr)}")
    return raced


def _note_remote_tips(store: Store, remote: str, sent: Mapping[Shard, str]) -> None:
    """Remember what the remote has now; git does so only where the fetch refspec is set up."""
    if not sent or remote not in store.repository.config.remotes():
        return
    with store_lock(store.lock_path) as lock:
        refs = store.refs()
        moves = {shard.remote_ref(remote): oid for shard, oid in sent.items()}
        changes = {ref: (refs.get(ref), oid) for ref, oid in moves.items() if refs.get(ref) != oid}
        if changes:
            move_refs(store.repository, changes, lock=lock, fsync=store.fsync)
        HighWater(store.repository).remember(moves)


def _clear_mirror(store: Store) -> None:
    """Remove locks that a killed fetch or push has left where we see what remotes have."""
    if any((store.repository.common_dir / REMOTE).rglob("*.lock")):
        with store_lock(store.lock_path):
            release_dead_locks(store.repository)


def fetch_chains(store: Store, source: str, remote: str, areas: Sequence[Area]) -> None:
    """Fetch from `source` into the mirror of `remote`. Raises RemoteFailed.

    What arrives is durable: our own chains will stand on it.
    """
    store.repository.require_writable()
    _clear_mirror(store)
    packs = store.repository.common_dir / "objects" / "pack"
    before = _pack_names(packs)
    result = store.repository.git.call(
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--recurse-submodules=no",
        "--no-auto-maintenance",
        # What a remote has no longer must show: it is pushed again then.
        "--prune",
        # Nor what the user's refspecs would do: a mirror's put the remote's refs over ours.
        "--refmap=",
        source,
        *fetch_refspecs(remote, areas),
        # One pack, not loose objects in folders that nobody syncs.
        config=[*syncing(fsync=store.fsync), "fetch.unpackLimit=1"],
    )
    if result.returncode != 0:
        raise RemoteFailed(f"cannot fetch from {source}: {last_line(result.stderr)}")
    if fresh := _pack_names(packs) - before:
        if store.fsync:
            sync_folders([packs])
        with store_lock(store.lock_path):
            for name in fresh:
                remember_pack(store.repository.common_dir, name)
        consolidate(store)


def _pack_names(packs: Path) -> set[str]:
    return {path.stem.removeprefix("pack-") for path in packs.glob("pack-*.idx")}


def _count(store: Store, remote: str, shards: Sequence[Shard], done: Pushed) -> None:
    """Count what is about to be published, so that nobody publishes source unawares."""
    refs = store.refs()
    known = [oid for ref, oid in refs.items() if ref.startswith(f"refs/prov-remote/{remote}/")]
    git = store.repository.git
    ledger = [refs[shard.ref] for shard in shards if shard.area == "ledger"]
    entries = read_entries(store.objects, list_entries(git, ledger, known))
    done.runs = sum(record.schema == RUN_SCHEMA for entry in entries for record in entry.records)
    keep = [refs[shard.ref] for shard in shards if shard.ref.startswith(KEEP)]
    branches = list_refs(git, f"refs/remotes/{remote}")
    sources = list_entries(git, keep, [*known, *branches.values()])
    done.snapshots = done.commits = 0
    for oid in sources:
        commit = decode_commit(store.objects.read(oid).data)
        if commit.tree == EMPTY_TREE:
            continue
        if commit.committer.startswith(b"gitprov <unknown> "):
            done.snapshots += 1
        else:
            done.commits += 1


def preview(store: Store, remote: str, areas: Sequence[Area] = AREAS) -> Pushed:
    """Return what `push` would publish now."""
    would = Pushed()
    pending = _pending(store, remote, areas)
    would.refs = len(pending)
    if pending:
        _count(store, remote, pending, would)
    return would
