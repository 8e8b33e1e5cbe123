"""Pushing and fetching through ordinary remotes, with the git program as transport.

Only what is safe to try again is tried again: a chain that the remote has moved meanwhile is
fetched, joined and pushed once more, a few times with growing pauses. A refusal by the remote's
policy is final and is passed on in the remote's words; so is, in ours, what the remote has where
it cannot be joined.
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence

from gitprov.errors import StoreBusy
from gitprov.store.acceptance import Accepted, accept
from gitprov.store.fetching import clear_mirror, fetch_chains, fetch_payload, fetch_shards
from gitprov.store.high_water import HighWater
from gitprov.store.home import Home, home_of, ways_out
from gitprov.store.publishing import Pushed, believed_chains, pending_chains
from gitprov.store.refs import AREAS, Area, Shard
from gitprov.store.sending import Sending, takes_any
from gitprov.store.setbacks import losses
from gitprov.store.store import Store
from gitprov.store.transfer import REFUSED, Watch

ATTEMPTS = 8
_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
_SHALLOW = "shallow update not allowed"


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
    done = _of(home, accept(store))
    done.lost = losses(store, HighWater(store.repository).remotes_fallen(store.refs()))
    return done


def pull_payload(
    store: Store, remote: str, places: Iterable[str], *, watch: Watch | None = None
) -> Accepted:
    """Fetch the payload of some months or shards and take it in: see `fetch_payload`."""
    home = home_of(store.repository.config, remote)
    fetch_payload(store, home.remote, home, places, watch=watch)
    return _of(home, accept(store))


def _of(home: Home, done: Accepted) -> Accepted:
    """Leave out what other remotes have: of that, all commands speak."""
    done.refused = {tip: why for tip, why in done.refused.items() if tip.remote == home.remote}
    return done


def push(
    store: Store,
    remote: str,
    areas: Sequence[Area] = AREAS,
    *,
    attempts: int = ATTEMPTS,
    hurried: bool = False,
    watch: Watch | None = None,
) -> Pushed:
    """Publish what the remote does not have, in so many attempts.

    `hurried` asks it nothing besides: what it was seen to have it is believed to have still, and
    which of several chains it refuses is not found out. Raises RemoteFailed where it cannot be
    reached, StoreBusy where others kept winning the race; refusals are in the result.
    """
    home = home_of(store.repository.config, remote)
    sending = Sending(store, home, watch)
    done = sending.done
    wanted = pending_chains(store, home, areas)
    asked = [] if hurried else believed_chains(store.refs(), home, areas)
    if wanted or asked:
        clear_mirror(store)
    reason = ""
    while wanted or asked:
        if done.attempts == attempts:
            raise StoreBusy(
                f"{home.remote} has not taken all of it: {reason}; "
                "what is left goes with the next: git prov push"
            )
        done.attempts += 1
        answers = sending.send([*wanted, *asked], apart=not hurried)
        done.refused |= {shard.ref: why for shard, why in answers.refused.items()}
        done.words += [word for word in answers.words if word not in done.words]
        # What the remote has, and more, is not ours to push.
        raced = {shard: why for shard, why in answers.raced.items() if shard in wanted}
        wanted = asked = []
        if raced:
            reason = next(iter(raced.values()))
            if done.attempts < attempts:
                _pause(done.attempts)
            done.refused |= _join(store, home, raced)
            left = pending_chains(store, home, areas)
            wanted = [shard for shard in left if shard.ref not in done.refused]
    if done.refused:
        done.advice = _advice(store, home, done)
    return done


def _pause(attempts: int) -> None:
    """Wait before the join, not after it: what is joined is out of date with the next push."""
    longest = min(_PAUSE_SECONDS * 2**attempts, _LONGEST_PAUSE_SECONDS)
    time.sleep(longest * random.random())  # noqa: S311


def _join(store: Store, home: Home, raced: Mapping[Shard, str]) -> dict[str, str]:
    """Join what the remote has; return the chains for which another attempt is of no use."""
    before = store.refs()
    # No more than these: with hundreds of others at work, there is always something new.
    fetch_shards(store, _push_url(store, home), home, raced.keys())
    done = _of(home, accept(store, {shard.remote_ref(home.remote) for shard in raced}))
    refusals = {tip.shard: why for tip, why in done.refused.items()}
    after, hopeless = store.refs(), {}
    for shard in raced:
        ours, theirs = after[shard.ref], after.get(shard.remote_ref(home.remote))
        if ours != before[shard.ref] or theirs is None:
            continue
        git = store.repository.git
        if git.call("merge-base", "--is-ancestor", theirs, ours).returncode != 0:
            start = f"{shard.ref} of remote {home.remote} "
            said = refusals.get(shard, f"{start}could not be joined with ours")
            hopeless[shard.ref] = f"what is there {said.removeprefix(start)}"
    return hopeless


def _push_url(store: Store, home: Home) -> str:
    """Return where pushes go: what stands in the way of one is there."""
    return store.repository.config.get(f"remote.{home.remote}.pushurl") or home.remote


def _advice(store: Store, home: Home, done: Pushed) -> str:
    """Return what to do about refusals, where anything is to be done here."""
    if any(_SHALLOW in reason for reason in done.refused.values()):
        return (
            "the history of the sources is not in this shallow clone; bring it: "
            "git fetch --unshallow, or send runs alone: git config prov.share ledger"
        )
    # Where our own hook has refused something, runs are welcome.
    is_checked = any(word.startswith(f"gitprov: {REFUSED}") for word in done.words)
    if is_checked or takes_any(store, home):
        return ""
    return f"{home.remote} takes no runs there: {ways_out(home)}"
