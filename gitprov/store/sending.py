"""One push, and what the remote answers.

Many remotes judge a push as a whole. What one chain is refused for does not hold up the others: a
push of several that is refused is split, until what is refused stands alone.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from gitprov.errors import RemoteFailed, StoreBusy
from gitprov.store.git import syncing
from gitprov.store.high_water import HighWater
from gitprov.store.home import Home
from gitprov.store.lock import store_lock
from gitprov.store.publishing import Pushed, believed_chains, count_published, seen_at
from gitprov.store.ref_moves import move_refs
from gitprov.store.refs import Shard, remote_of
from gitprov.store.store import Store
from gitprov.store.transfer import Transfer, Watch, transfer

HOOK_GUARD = "GITPROV_PUSHING"
# So often is asked at most, to find out what is refused.
_MAX_PUSHES = 24
_FEW = 3
# What a remote answers when another push has won the race for a ref; anything else is policy.
_RACES = ("failed to update ref", "incorrect old value", "cannot lock ref", "reference already")
# Others may hold the lock for long; to know what the remote has now is not worth the wait.
_PATIENCE_SECONDS = 2.0


class Answers(NamedTuple):
    """What a remote has answered: it has some chains now, and not the others, and why.

    Of those that are `there`, some were `sent` just now. What has `raced` somebody else has moved,
    what is `refused` is so by the remote's policy. `words` are its own.
    """

    there: list[Shard]
    sent: list[Shard]
    raced: dict[Shard, str]
    refused: dict[Shard, str]
    words: list[str]


class Sending:
    """Pushes of one command to one home; `done` adds up what they have published."""

    def __init__(self, store: Store, home: Home, watch: Watch | None) -> None:
        self.done = Pushed()
        self._store = store
        self._home = home
        self._watch = watch
        self._pushes = 0
        self._refused_alone = 0

    def send(self, shards: Sequence[Shard], *, apart: bool) -> Answers:
        """Push chains; `apart` finds out which of several are refused.

        Raises RemoteFailed where the remote cannot be reached.
        """
        answers = self.once(shards)
        if not apart or len(answers.refused) <= 1 or answers.there or answers.raced:
            self._refused_alone += len(shards) == len(answers.refused) == 1
            return answers
        half = len(shards) // 2
        found = Answers([], [], {}, answers.refused, [])
        for part in (shards[:half], shards[half:]):
            if self._pushes >= _MAX_PUSHES or self._is_hopeless():
                found.words.extend(answers.words)
                break
            below = self.send(part, apart=True)
            for shard in part:
                found.refused.pop(shard, None)
            found.there.extend(below.there)
            found.sent.extend(below.sent)
            found.raced.update(below.raced)
            found.refused.update(below.refused)
            found.words.extend(below.words)
        return found

    def once(self, shards: Sequence[Shard]) -> Answers:
        """Push chains, count what was sent, note what is there, and return the answers."""
        store, home = self._store, self._home
        self._pushes += 1
        refs = store.refs()
        known = seen_at(store, home.remote, refs)  # before git moves what it sees of the remote
        result = transfer(
            store.repository.git,
            "push",
            "--no-verify",
            "--porcelain",
            "--no-follow-tags",
            "--recurse-submodules=no",
            home.remote,
            *home.push_refspecs(shards),
            watch=self._watch,
            env={HOOK_GUARD: "1"},
            # The user's settings for signing, options and mirroring are meant for their branches.
            config=[
                "push.gpgSign=false",
                "push.pushOption=",
                "push.negotiate=false",
                f"remote.{home.remote}.mirror=false",
                # Git's quick way to find what is new sends each environment once more. It is for
                # the large trees of sources, which keep leads to.
                f"pack.useSparse={str(any(shard.area == 'keep' for shard in shards)).lower()}",
                *syncing(fsync=store.fsync),
            ],
        )
        answers = _read_answers(result, home, shards)
        if result.returncode != 0 and not (answers.there or answers.raced or answers.refused):
            raise RemoteFailed(f"cannot push to {home.remote}: {result.reason}")
        self.done.refs += len(answers.sent)
        believed = set(believed_chains(refs, home))
        lost = [shard for shard in answers.sent if shard in believed]
        gone = {refs[shard.ref] for shard in lost}
        self.done.lost += [f"{home.remote} had lost {shard.name}; it is back" for shard in lost]
        known = [oid for oid in known if oid not in gone]
        count_published(store, answers.sent, refs, known, self.done)
        self._note_remote_tips({shard: refs[shard.ref] for shard in answers.there})
        return answers

    def _is_hopeless(self) -> bool:
        """Say whether a few were refused, each by itself, where none was ever taken."""
        return self._refused_alone >= _FEW and not takes_any(self._store, self._home)

    def _note_remote_tips(self, there: Mapping[Shard, str]) -> None:
        """Remember what the remote has now; git does so only where the fetch refspec is set up."""
        store, home = self._store, self._home
        if not there or home.remote not in store.repository.config.remotes():
            return
        with (
            suppress(StoreBusy),  # then it is asked once more
            store_lock(store.lock_path, timeout=_PATIENCE_SECONDS) as lock,
        ):
            refs = store.refs()
            moves = {shard.remote_ref(home.remote): oid for shard, oid in there.items()}
            changes = {
                ref: (refs.get(ref), oid) for ref, oid in moves.items() if refs.get(ref) != oid
            }
            if changes:
                move_refs(store.repository, changes, lock=lock, fsync=store.fsync)
            HighWater(store.repository).remember(moves)


def takes_any(store: Store, home: Home) -> bool:
    """Say whether a home was ever seen to have a chain."""
    return any(remote_of(ref) == home.remote for ref in store.refs())


def _read_answers(result: Transfer, home: Home, shards: Sequence[Shard]) -> Answers:
    """Return what a push has printed: see `git push --porcelain`.

    A remote may have several URLs: then a chain is there where none of them has said no.
    """
    answers = Answers([], [], {}, {}, [])
    by_ref = {shard.ref: shard for shard in shards}
    sent: dict[Shard, bool] = {}
    for line in result.output.split("\n"):
        flag, _, rest = line.partition("\t")
        ref, _, summary = rest.partition("\t")
        shard = by_ref.get(ref.partition(":")[0])
        if shard is None:
            continue
        if flag != "!":
            sent[shard] = sent.get(shard, False) or flag != "="
        elif blocked := _blocked(result.errors, home.ref(shard)):
            answers.refused[shard] = blocked
        elif summary.startswith("[rejected]") or any(race in summary for race in _RACES):
            answers.raced[shard] = summary
        else:
            answers.refused[shard] = summary
    for shard, was_sent in sent.items():
        if shard not in answers.refused and shard not in answers.raced:
            answers.there.append(shard)
            if was_sent:
                answers.sent.append(shard)
    if answers.refused:
        answers.words.extend(result.words)
    return answers


def _blocked(said: bytes, ref: str) -> str | None:
    """Return a remote's words on another ref that stands where one would have to be."""
    lines = said.decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if f"cannot create '{ref}'" in line), None)
