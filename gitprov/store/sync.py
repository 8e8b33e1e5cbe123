"""Pushing and fetching through ordinary remotes, with the git program as transport.

Only what is safe to try again is tried again: a chain that the remote has moved meanwhile is
fetched, joined and pushed once more, a few times with growing pauses. A refusal by the remote's
policy is final and is passed on in the remote's words; so is, in ours, what the remote has where
it cannot be joined.
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gitprov.errors import GitFailed, RemoteFailed, StoreBusy
from gitprov.model.run import RUN_SCHEMA
from gitprov.store.acceptance import Accepted, accept
from gitprov.store.fetching import clear_mirror, fetch_chains, fetch_payload
from gitprov.store.git import last_line, syncing
from gitprov.store.high_water import HighWater
from gitprov.store.home import Home, home_of, ways_out
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.lock import store_lock
from gitprov.store.objects import decode_commit
from gitprov.store.ref_moves import move_refs
from gitprov.store.refs import AREAS, OURS, REMOTE, Area, Shard, list_refs, parse_shard
from gitprov.store.repository import EMPTY_TREE, Config
from gitprov.store.setbacks import losses
from gitprov.store.store import Store

HOOK_GUARD = "GITPROV_PUSHING"
ATTEMPTS = 8
_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
# What a remote answers when another push has won the race for a ref; anything else is policy.
_RACES = ("failed to update ref", "incorrect old value", "cannot lock ref", "reference already")


@dataclass(slots=True)
class Pushed:
    """What a push has published, what was refused, and what to do about that, in words.

    `size` is in bytes, and known of what is to be published only.
    """

    runs: int = 0
    refs: int = 0
    snapshots: int = 0
    commits: int = 0
    size: int = 0
    attempts: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    advice: str = ""


def pull(store: Store, remote: str, areas: Sequence[Area] = ("ledger", "keep")) -> Accepted:
    """Fetch a remote's chains and join them with ours. Raises RemoteFailed."""
    home = home_of(store.repository.config, remote)
    fetch_chains(store, home.remote, home, areas)
    done = accept(store)
    done.lost = losses(store, HighWater(store.repository).remotes_fallen(store.refs()))
    return done


def pull_payload(store: Store, remote: str, places: Iterable[str]) -> Accepted:
    """Fetch the payload of some months or shards and take it in: see `fetch_payload`."""
    home = home_of(store.repository.config, remote)
    fetch_payload(store, home.remote, home, places)
    return accept(store)


def push(
    store: Store, remote: str, areas: Sequence[Area] = AREAS, *, attempts: int = ATTEMPTS
) -> Pushed:
    """Publish what the remote does not have, in so many attempts.

    Raises RemoteFailed where it cannot be reached, StoreBusy where others kept winning the race;
    refusals are in the result.
    """
    home = home_of(store.repository.config, remote)
    done = Pushed()
    pending = _pending(store, home, areas)
    reason = ""
    if pending:
        clear_mirror(store)
    while pending:
        if done.attempts == attempts:
            raise StoreBusy(
                f"others kept pushing to {home.remote}: {reason}; "
                "what is left goes with the next: git prov push"
            )
        done.attempts += 1
        raced = _push_once(store, home, pending, done)
        pending = []
        if raced:
            # Before the join, not after it: what is joined is out of date with the next push.
            if done.attempts < attempts:
                longest = min(_PAUSE_SECONDS * 2**done.attempts, _LONGEST_PAUSE_SECONDS)
                time.sleep(longest * random.random())  # noqa: S311
            reason = next(iter(raced.values()))
            done.refused |= _join(store, home, list(raced))
            left = _pending(store, home, areas)
            pending = [shard for shard in left if shard.ref not in done.refused]
    if done.refused and _takes_none(store, home):
        done.advice = ways_out(home)
    return done


def _pending(store: Store, home: Home, areas: Sequence[Area]) -> list[Shard]:
    """Return our chains whose tip the remote was not seen to have."""
    refs = store.refs()
    shards = (parse_shard(ref) for ref in refs if ref.startswith(f"{OURS}/"))
    return [
        shard
        for shard in shards
        if shard
        and shard.area in areas
        and refs.get(shard.remote_ref(home.remote)) != refs[shard.ref]
    ]


def _join(store: Store, home: Home, raced: Sequence[Shard]) -> dict[str, str]:
    """Join what the remote has; return the chains for which another attempt is of no use."""
    before = store.refs()
    fetch_chains(store, home.remote, home, sorted({shard.area for shard in raced}), sparing=True)
    refusals = accept(store, {shard.remote_ref(home.remote) for shard in raced}).refused
    after, hopeless = store.refs(), {}
    for shard in raced:
        ours, theirs = after[shard.ref], after.get(shard.remote_ref(home.remote))
        if ours != before[shard.ref] or theirs is None:
            continue
        git = store.repository.git
        if git.call("merge-base", "--is-ancestor", theirs, ours).returncode != 0:
            start = f"{shard.ref} of remote {home.remote} "
            said = (text.removeprefix(start) for text in refusals if text.startswith(start))
            hopeless[shard.ref] = f"what is there {next(said, 'could not be joined with ours')}"
    return hopeless


def _takes_none(store: Store, home: Home) -> bool:
    """Say whether a home was never seen to have a chain."""
    return not any(ref.startswith(f"{REMOTE}/{home.remote}/") for ref in store.refs())


def _push_once(store: Store, home: Home, shards: Sequence[Shard], done: Pushed) -> dict[Shard, str]:
    """Push; return the chains that somebody else has moved at the remote, in its words."""
    git = store.repository.git
    refs = store.refs()
    known = _known(store, home, refs)  # before git moves what it sees of the remote
    result = git.call(
        "push",
        "--no-verify",
        "--porcelain",
        "--no-follow-tags",
        "--recurse-submodules=no",
        home.remote,
        *home.push_refspecs(shards),
        env={HOOK_GUARD: "1"},
        # The user's settings for signing, options and mirroring are meant for their branches.
        config=[
            "push.gpgSign=false",
            "push.pushOption=",
            "push.negotiate=false",
            f"remote.{home.remote}.mirror=false",
            *syncing(fsync=store.fsync),
        ],
    )
    raced: dict[Shard, str] = {}
    there: dict[Shard, str] = {}
    sent, answered = [], False
    by_ref = {shard.ref: shard for shard in shards}
    for line in result.stdout.decode(errors="replace").split("\n"):
        flag, _, rest = line.partition("\t")
        ref, _, summary = rest.partition("\t")
        shard = by_ref.get(ref.partition(":")[0])
        if shard is None:
            continue
        answered = True
        if flag != "!":
            there[shard] = refs[shard.ref]
            if flag != "=":
                sent.append(shard)
        elif blocked := _blocked(result.stderr, home.ref(shard)):
            done.refused[shard.ref] = blocked
        elif summary.startswith("[rejected]") or any(race in summary for race in _RACES):
            raced[shard] = summary
        else:
            done.refused[shard.ref] = summary
    done.refs += len(sent)
    _count(store, sent, refs, known, done)
    _note_remote_tips(store, home, there)
    if result.returncode != 0 and not answered:
        raise RemoteFailed(f"cannot push to {home.remote}: {last_line(result.stderr)}")
    return raced


def _blocked(said: bytes, ref: str) -> str | None:
    """Return a remote's words on another ref that stands where one would have to be."""
    lines = said.decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if f"cannot create '{ref}'" in line), None)


def _note_remote_tips(store: Store, home: Home, there: Mapping[Shard, str]) -> None:
    """Remember what the remote has now; git does so only where the fetch refspec is set up."""
    if not there or home.remote not in store.repository.config.remotes():
        return
    with store_lock(store.lock_path) as lock:
        refs = store.refs()
        moves = {shard.remote_ref(home.remote): oid for shard, oid in there.items()}
        changes = {ref: (refs.get(ref), oid) for ref, oid in moves.items() if refs.get(ref) != oid}
        if changes:
            move_refs(store.repository, changes, lock=lock, fsync=store.fsync)
        HighWater(store.repository).remember(moves)


def _known(store: Store, home: Home, refs: Mapping[str, str]) -> list[str]:
    """Return the commits that a home was seen to have, those of branches among them."""
    chains = [oid for ref, oid in refs.items() if ref.startswith(f"{REMOTE}/{home.remote}/")]
    return [*chains, *list_refs(store.repository.git, f"refs/remotes/{home.remote}").values()]


def _count(
    store: Store,
    shards: Sequence[Shard],
    refs: Mapping[str, str],
    known: Sequence[str],
    done: Pushed,
) -> None:
    """Add what publishing chains publishes, so that nobody publishes source unawares."""
    git = store.repository.git
    ledger = [refs[shard.ref] for shard in shards if shard.area == "ledger"]
    entries = read_entries(store.objects, list_entries(git, ledger, known))
    done.runs += sum(record.schema == RUN_SCHEMA for entry in entries for record in entry.records)
    keep = [refs[shard.ref] for shard in shards if shard.area == "keep"]
    for oid in list_entries(git, keep, known):
        commit = decode_commit(store.objects.read(oid).data)
        if commit.tree == EMPTY_TREE:
            continue
        if commit.committer.startswith(b"gitprov <unknown> "):
            done.snapshots += 1
        else:
            done.commits += 1


def preview(store: Store, remote: str, areas: Sequence[Area] = AREAS) -> Pushed:
    """Return what `push` would publish now, and how large that is on disk here."""
    home = home_of(store.repository.config, remote)
    would = Pushed()
    if pending := _pending(store, home, areas):
        refs = store.refs()
        known = _known(store, home, refs)
        would.refs = len(pending)
        _count(store, pending, refs, known, would)
        would.size = _size(store, [refs[shard.ref] for shard in pending], known)
    return would


def shared_areas(config: Config) -> Sequence[Area]:
    """Return what `git prov push` sends: all, or the ledger alone with prov.share=ledger.

    Raises GitFailed for another value: nobody's source is to go by a mistake in writing.
    """
    shared = config.get("prov.share", "all")
    if shared not in ("all", "ledger"):
        raise GitFailed(f"the configuration prov.share={shared} is neither all nor ledger")
    return AREAS if shared == "all" else ("ledger",)


def _size(store: Store, tips: Sequence[str], known: Sequence[str]) -> int:
    """Return the bytes on disk of what tips reach and `known` does not."""
    names = "".join(f"{oid}\n" for oid in [*tips, *(f"^{oid}" for oid in known)])
    counted = store.repository.git.call(
        "rev-list", "--objects", "--disk-usage", "--stdin", stdin=names.encode()
    )
    return int(counted.stdout) if counted.returncode == 0 else 0  # not all is in this clone
