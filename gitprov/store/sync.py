"""Pushing and fetching through ordinary remotes, with the git program as transport.

Only what is safe to try again is tried again: a chain that the remote has moved meanwhile is
fetched, joined and pushed once more, a few times with growing pauses. A refusal by the remote's
policy is final and is passed on in the remote's words; so is, in ours, what the remote has where
it cannot be joined. Many remotes judge a push as a whole: what one chain is refused for does not
hold up the others, they are pushed by themselves.
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gitprov.errors import RemoteFailed, StoreBusy
from gitprov.store.acceptance import Accepted, accept
from gitprov.store.fetching import clear_mirror, fetch_chains, fetch_payload
from gitprov.store.git import syncing
from gitprov.store.high_water import HighWater
from gitprov.store.home import Home, home_of, ways_out
from gitprov.store.lock import store_lock
from gitprov.store.publishing import Pushed, count_published, pending_chains, seen_at
from gitprov.store.ref_moves import move_refs
from gitprov.store.refs import AREAS, REMOTE, Area, Shard
from gitprov.store.setbacks import losses
from gitprov.store.store import Store
from gitprov.store.transfer import Transfer, Watch, transfer

HOOK_GUARD = "GITPROV_PUSHING"
ATTEMPTS = 8
_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
# So often is a push that is refused as a whole split, to find what it is refused for.
_MAX_SPLITS = 16
# What a remote answers when another push has won the race for a ref; anything else is policy.
_RACES = ("failed to update ref", "incorrect old value", "cannot lock ref", "reference already")
# What our own hook on a host begins its words with.
REFUSED = "gitprov: refused: "


class _Answers(NamedTuple):
    """What a remote has answered to a push: it has some chains now, and not the others, and why.

    Those that `raced` somebody else has moved; those that are `refused` are so by its policy.
    """

    there: list[Shard]
    sent: list[Shard]
    raced: dict[Shard, str]
    refused: dict[Shard, str]
    words: Sequence[str]

    @property
    def refuses_all(self) -> bool:
        """Say whether it refuses several at once: for each of them, or for one of them."""
        return len(self.refused) > 1 and not (self.there or self.raced)


def pull(
    store: Store,
    remote: str,
    areas: Sequence[Area] = ("ledger", "keep"),
    *,
    watch: Watch | None = None,
) -> Accepted:
    """Fetch a remote's chains and join them with ours. Raises RemoteFailed."""
    home = home_of(store.repository.config, remote)
    fetch_chains(store, home.remote, home, areas, watch=watch)
    done = accept(store)
    done.lost = losses(store, HighWater(store.repository).remotes_fallen(store.refs()))
    return done


def pull_payload(
    store: Store, remote: str, places: Iterable[str], *, watch: Watch | None = None
) -> Accepted:
    """Fetch the payload of some months or shards and take it in: see `fetch_payload`."""
    home = home_of(store.repository.config, remote)
    fetch_payload(store, home.remote, home, places, watch=watch)
    return accept(store)


def push(
    store: Store,
    remote: str,
    areas: Sequence[Area] = AREAS,
    *,
    attempts: int = ATTEMPTS,
    watch: Watch | None = None,
) -> Pushed:
    """Publish what the remote does not have, in so many attempts.

    Raises RemoteFailed where it cannot be reached, StoreBusy where others kept winning the race;
    refusals are in the result.
    """
    home = home_of(store.repository.config, remote)
    done = Pushed()
    waiting = [pending_chains(store, home, areas)]
    if waiting[0]:
        clear_mirror(store)
    splits, left, reason = _MAX_SPLITS, attempts, ""
    while waiting:
        shards = waiting.pop()
        if not shards:
            continue
        if not left:
            raise StoreBusy(
                f"others kept pushing to {home.remote}: {reason}; "
                "what is left goes with the next: git prov push"
            )
        done.attempts += 1
        answers = _push_once(store, home, shards, done, watch)
        if answers.refuses_all and splits:
            splits -= 1
            half = len(shards) // 2
            waiting += [shards[half:], shards[:half]]
            continue
        if answers.refused:
            done.refused |= {shard.ref: why for shard, why in answers.refused.items()}
            done.words += [word for word in answers.words if word not in done.words]
        if answers.raced:
            left -= 1
            if left:
                # Before the join, not after it: what is joined is out of date with the next push.
                longest = min(_PAUSE_SECONDS * 2 ** (attempts - left), _LONGEST_PAUSE_SECONDS)
                time.sleep(longest * random.random())  # noqa: S311
            reason = next(iter(answers.raced.values()))
            done.refused |= _join(store, home, list(answers.raced))
            again = pending_chains(store, home, areas)
            others = {shard for group in waiting for shard in group}
            waiting.append(
                [shard for shard in again if shard.ref not in done.refused and shard not in others]
            )
    if done.refused and _takes_none(store, home) and not _is_checked(done):
        done.advice = ways_out(home)
    return done


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


def _is_checked(done: Pushed) -> bool:
    """Say whether our own hook has refused something: there, runs are welcome."""
    return any(word.startswith(REFUSED) for word in done.words)


def _push_once(
    store: Store, home: Home, shards: Sequence[Shard], done: Pushed, watch: Watch | None
) -> _Answers:
    """Push, count what was sent, and return what the remote answers."""
    refs = store.refs()
    known = seen_at(store, home, refs)  # before git moves what it sees of the remote
    result = transfer(
        store.repository.git,
        "push",
        "--no-verify",
        "--porcelain",
        "--no-follow-tags",
        "--recurse-submodules=no",
        home.remote,
        *home.push_refspecs(shards),
        watch=watch,
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
    answers = _read_answers(result, home, shards)
    done.refs += len(answers.sent)
    count_published(store, answers.sent, refs, known, done)
    _note_remote_tips(store, home, {shard: refs[shard.ref] for shard in answers.there})
    if result.returncode != 0 and not (answers.there or answers.raced or answers.refused):
        raise RemoteFailed(f"cannot push to {home.remote}: {result.reason}")
    return answers


def _read_answers(result: Transfer, home: Home, shards: Sequence[Shard]) -> _Answers:
    """Return what a push has printed: see `git push --porcelain`."""
    answers = _Answers([], [], {}, {}, result.words)
    by_ref = {shard.ref: shard for shard in shards}
    for line in result.output.split("\n"):
        flag, _, rest = line.partition("\t")
        ref, _, summary = rest.partition("\t")
        shard = by_ref.get(ref.partition(":")[0])
        if shard is None:
            continue
        if flag != "!":
            answers.there.append(shard)
            if flag != "=":
                answers.sent.append(shard)
        elif blocked := _blocked(result.errors, home.ref(shard)):
            answers.refused[shard] = blocked
        elif summary.startswith("[rejected]") or any(race in summary for race in _RACES):
            answers.raced[shard] = summary
        else:
            answers.refused[shard] = summary
    return answers


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
