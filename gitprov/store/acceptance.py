"""Taking in what was fetched: checked first, then joined with what is here.

A remote's chains lie under `refs/prov-remote/<remote>/` and are read as a stranger's. A commit
that breaks the format, or stands in the way of what is here, keeps its chain out, with the reason;
nothing of ours moves for it. Joining never loses a run: the result has the runs of both sides,
whatever order clones fetch in. Specification: section 10.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from gitprov.errors import MalformedRecord, ObjectMissing, StoreBusy
from gitprov.model.run import Run
from gitprov.model.wording import printable, run_line
from gitprov.store.chain_checks import check_entry, check_keep, check_payload
from gitprov.store.environment_trees import EnvironmentTrees
from gitprov.store.join import join_chains
from gitprov.store.known_records import Arriving, KnownRecords
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.lock import store_lock
from gitprov.store.notes import stage_notes
from gitprov.store.pack import PackBuilder
from gitprov.store.refs import (
    NOTES,
    OURS,
    RefMoved,
    list_refs,
    move_refs,
    release_dead_locks,
)
from gitprov.store.remote_tips import (
    RemoteTip,
    mark_read,
    refusals,
    remote_tips,
    unread_tips,
)
from gitprov.store.store import Store

_BATCH = 2000

# The lines of runs by source commit, for the notes.
Lines = dict[str, list[str]]


@dataclass(slots=True)
class Accepted:
    """The number of runs that are new here, and what was refused, in words."""

    runs: int = 0
    refused: list[str] = field(default_factory=list)


def accept(store: Store) -> Accepted:
    """Join every chain that remotes were seen to have and we have not looked at yet.

    A chain that this version has refused before is not read again; the reason is said again.
    Raises GitFailed or OSError where nothing can be written.
    """
    done = Accepted()
    refs = store.refs()
    done.refused += refusals(store.repository, refs).values()
    if not _unsettled(store, refs):
        return done
    store.repository.require_writable()
    read: list[RemoteTip] = []
    refused: dict[RemoteTip, str] = {}
    with store_lock(store.lock_path):
        acceptance = _Acceptance(store)
        for tip in _unsettled(store, refs):
            try:
                done.runs += acceptance.join(tip)
            except RefMoved:
                # Somebody moved our ref by hand, or was killed at it: the next command looks.
                release_dead_locks(store.repository.common_dir)
            except (MalformedRecord, ObjectMissing) as error:
                reason = f"{tip.shard.ref} of remote {tip.remote} is not taken in: {error}"
                done.refused.append(printable(reason))
                if isinstance(error, MalformedRecord):  # what is missing may come yet
                    refused[tip] = printable(reason)
            else:
                read.append(tip)
        mark_read(store.repository, refs, read, refused)
    return done


def _unsettled(store: Store, refs: dict[str, str]) -> list[RemoteTip]:
    settled = refusals(store.repository, refs)
    return [tip for tip in unread_tips(store.repository, refs) if tip not in settled]


class _Acceptance:
    """One look at what remotes have. What chains share is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._git = store.repository.git
        self._known = KnownRecords(store)
        self._environments = EnvironmentTrees(store.objects)

    def join(self, theirs: RemoteTip) -> int:
        """Join one chain with ours and return how many runs are new."""
        store = self._store
        if (kind := store.objects.read(theirs.oid).type) != "commit":
            raise MalformedRecord(f"the chain ends at a {kind}")
        refs = store.refs()
        area = f"{OURS}/{theirs.shard.area}/"
        known = [tip for ref, tip in refs.items() if ref.startswith(area)]
        if theirs.shard.area == "keep":
            check_keep(store.objects, theirs.oid, refs.get(theirs.shard.ref))
            _move(store, theirs, refs, {})
            return 0
        news = list_entries(self._git, [theirs.oid], known)
        if theirs.shard.area == "payload":
            check_payload(self._git, store.objects, news)
            _move(store, theirs, refs, {})
            return 0
        arriving = Arriving(self._known)
        lines: Lines = {}
        count = 0
        for run in self._runs(news, arriving):
            count += 1
            if run.source and run.source.commit:
                lines.setdefault(run.source.commit, []).append(run_line(run))
        arriving.check_claims()
        _move(store, theirs, refs, lines)
        arriving.taken()
        return count

    def _runs(self, news: list[str], arriving: Arriving) -> Iterator[Run]:
        """Yield the runs of new entries, each checked."""
        for start in range(0, len(news), _BATCH):
            for entry in read_entries(self._store.objects, news[start : start + _BATCH]):
                for record, run in check_entry(entry):
                    arriving.check(record, run)
                    if record.environment:
                        self._environments.check(record.environment)
                    if run:
                        yield run


def _move(store: Store, theirs: RemoteTip, refs: dict[str, str], lines: Lines) -> None:
    """Join a chain that was checked, and note its runs on their sources."""
    git, oid, shard = store.repository.git, theirs.oid, theirs.shard
    ours = refs.get(shard.ref)
    pack = PackBuilder()
    published = [other.oid for other in remote_tips(refs) if other.shard == shard]
    tip = join_chains(git, store.objects, pack, ours, oid, shard.area, published)
    notes_tip = list_refs(git, NOTES).get(NOTES) if lines else None
    note = stage_notes(pack, store.objects, notes_tip, lines, time.time_ns()) if lines else None
    written = pack.write(git, store.repository.common_dir, fsync=store.fsync)
    try:
        if tip != ours:
            move_refs(git, {shard.ref: (ours, tip)}, fsync=store.fsync)
        if note:
            with suppress(StoreBusy):  # notes are derived: what is missing is made up later
                move_refs(git, {NOTES: (notes_tip, note)}, fsync=False)
    finally:
        written.release()
