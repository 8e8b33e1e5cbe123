"""Taking in what was fetched: checked first, then joined with what is here.

A remote's chains lie under `refs/prov-remote/<remote>/` and are read as a stranger's. A commit
that breaks the format, or stands in the way of what is here, keeps its chain out, with the reason;
nothing of ours moves for it. Joining never loses a run: the result has the runs of both sides,
whatever order clones fetch in. Specification: section 10.
"""

import time
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial

from gitprov.errors import MalformedRecord, ObjectMissing, StoreBusy
from gitprov.model.run import Run
from gitprov.model.wording import printable, run_line
from gitprov.store.chain_checks import check_keep, check_payload
from gitprov.store.entry_checks import EntryChecks
from gitprov.store.environment_trees import MAX_BYTES, EnvironmentTrees
from gitprov.store.git_locks import mend, release_dead_locks
from gitprov.store.high_water import HighWater
from gitprov.store.join import join_chains
from gitprov.store.known_records import Arriving, KnownRecords
from gitprov.store.ledger import list_entries
from gitprov.store.lock import store_lock
from gitprov.store.notes import stage_notes
from gitprov.store.objects import GitObjects
from gitprov.store.pack import PackBuilder
from gitprov.store.partial_clone import bring, promisor
from gitprov.store.ref_moves import RefMoved, move_refs
from gitprov.store.refs import NOTES, OURS, list_refs
from gitprov.store.remote_tips import (
    RemoteTip,
    mark_read,
    refusals,
    remote_tips,
    unread_tips,
)
from gitprov.store.setbacks import OVERWRITER
from gitprov.store.store import Store

# The lines of runs by source commit, for the notes.
Lines = dict[str, list[str]]


@dataclass(slots=True)
class Accepted:
    """The number of runs that are new here, what was refused and why, what remotes have lost."""

    runs: int = 0
    refused: dict[RemoteTip, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def accept(store: Store, again: Collection[str] = ()) -> Accepted:
    """Join every chain that remotes were seen to have and we have not looked at yet.

    And those of the refs `again`, where ours has left them behind. A chain that this version has
    refused before is not read again, and the reason is said again; of a remote that is no more, it
    is said once.
    Raises GitFailed, RefMoved or OSError where something cannot be written.
    """
    done = Accepted()
    refs = store.refs()
    done.refused |= refusals(store.repository, refs)
    if not _unsettled(store, refs, again):
        return done
    store.repository.require_writable()
    read: list[RemoteTip] = []
    refused: dict[RemoteTip, str] = {}
    remotes = store.repository.config.remotes()
    with store_lock(store.lock_path) as lock, closing(_Acceptance(store, lock)) as acceptance:
        mend(store.repository)
        for tip in _unsettled(store, refs, again):
            if not acceptance.has(tip):
                acceptance.forget(tip)
                continue
            try:
                done.runs += _twice(store, partial(acceptance.join, tip))
            except (MalformedRecord, ObjectMissing) as error:
                reason = f"{tip.shard.ref} of remote {tip.remote} is not taken in: {error}"
                done.refused[tip] = printable(reason)
                acceptance.start_anew()
                if tip.remote not in remotes:
                    acceptance.forget(tip)
                elif isinstance(error, MalformedRecord):  # what is missing may come yet
                    refused[tip] = printable(reason)
            else:
                read.append(tip)
                if tip.remote == OVERWRITER:  # of no use any more
                    acceptance.forget(tip)
        acceptance.remember()
        mark_read(store.repository, refs, read, refused)
    return done


def _twice(store: Store, action: Callable[[], int]) -> int:
    """Try once more where somebody moved our ref by hand, or was killed at it."""
    try:
        return action()
    except RefMoved:
        release_dead_locks(store.repository)
        return action()


def _unsettled(store: Store, refs: dict[str, str], again: Collection[str]) -> list[RemoteTip]:
    remotes = store.repository.config.remotes()
    settled = {tip for tip in refusals(store.repository, refs) if tip.remote in remotes}
    return [tip for tip in unread_tips(store.repository, refs, again) if tip not in settled]


class _Acceptance:
    """One look at what remotes have. What chains share is read once."""

    def __init__(self, store: Store, lock: int | None) -> None:
        self._store = store
        self._lock = lock
        self._git = store.repository.git.holding(lock)
        self._cut = store.repository.cut_commits()
        self._promisor = promisor(store.repository.config)
        self._known = KnownRecords(store)
        self._reader = GitObjects(self._git, limit=MAX_BYTES)
        self._environments = EnvironmentTrees(self._reader)

    def close(self) -> None:
        """End what was started for reading."""
        self._reader.close()

    def remember(self) -> None:
        """Let the next command find which records were here."""
        self._known.remember()

    def start_anew(self) -> None:
        """Forget the environments that were read: what a bad chain has counts for no other."""
        self._environments = EnvironmentTrees(self._reader)

    def has(self, theirs: RemoteTip) -> bool:
        """Say whether the end of a chain is here."""
        return next(self._store.objects.read_many([theirs.oid])) is not None

    def forget(self, theirs: RemoteTip) -> None:
        """Drop a ref of the mirror that outlived its objects, in a power loss: fetch brings both.

        As long as it is there, git takes what it leads to for known.
        """
        move_refs(self._store.repository, {theirs.ref: (theirs.oid, None)}, lock=self._lock)

    def join(self, theirs: RemoteTip) -> int:
        """Join one chain with ours and return how many runs are new."""
        store = self._store
        if (kind := self._reader.read(theirs.oid).type) != "commit":
            raise MalformedRecord(f"the chain ends at a {kind}")
        refs = store.refs()
        area = f"{OURS}/{theirs.shard.area}/"
        known = [tip for ref, tip in refs.items() if ref.startswith(area)]
        if theirs.shard.area == "keep":
            check_keep(self._reader, theirs.oid, refs.get(theirs.shard.ref), self._cut)
            self._move(theirs, refs, {})
            return 0
        news = list_entries(self._git, [theirs.oid], known)
        if not self._cut.isdisjoint(news):
            raise ObjectMissing("git fetch --depth has cut it off; bring the rest: git prov pull")
        if self._promisor:
            bring(self._git, self._promisor, news)
        if theirs.shard.area == "payload":
            check_payload(self._git, self._reader, news)
            self._move(theirs, refs, {})
            return 0
        arriving, checks = Arriving(self._known), EntryChecks(self._reader, self._environments)
        lines: Lines = {}
        count = 0
        for found in checks.check(news):
            arriving.check(found, checks.contents[found.id])
            if isinstance(found.record, Run):
                count += 1
                if found.record.source and (commit := found.record.source.commit):
                    lines.setdefault(commit, []).append(run_line(found.record))
        arriving.check_claims()
        self._move(theirs, refs, lines)
        self._known.take(checks.contents)
        return count

    def _move(self, theirs: RemoteTip, refs: dict[str, str], lines: Lines) -> None:
        """Join a chain that was checked, and note its runs on their sources."""
        store, git, oid, shard = self._store, self._git, theirs.oid, theirs.shard
        ours = refs.get(shard.ref)
        pack = PackBuilder()
        published = [other.oid for other in remote_tips(refs) if other.shard == shard]
        tip = join_chains(git, store.objects, pack, ours, oid, shard.area, published)
        notes_tip = list_refs(git, NOTES).get(NOTES) if lines else None
        note = stage_notes(pack, store.objects, notes_tip, lines, time.time_ns()) if lines else None
        written = pack.write(git, store.repository.common_dir, fsync=store.fsync)
        try:
            if tip != ours:
                marks = HighWater(store.repository)
                if ours is not None and not marks.reaches(tip, ours):
                    marks.forget(shard.ref, fsync=store.fsync)
                move_refs(
                    store.repository, {shard.ref: (ours, tip)}, lock=self._lock, fsync=store.fsync
                )
            if note:
                with suppress(StoreBusy):  # notes are derived: what is missing is made up later
                    move_refs(
                        store.repository,
                        {NOTES: (notes_tip, note)},
                        lock=self._lock,
                        fsync=store.fsync,
                    )
        finally:
            written.release()
