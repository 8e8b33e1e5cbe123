"""Taking in what was fetched: checked first, then joined with what is here.

A remote's chains lie under `refs/prov-remote/<remote>/` and are read as a stranger's. An entry
that breaks the format keeps its chain out, with the reason; nothing of ours moves for it. Joining
never loses a run: the result has the runs of both sides, whatever order clones fetch in.
Specification: section 10.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gitprov.codec import canonical
from gitprov.codec.records import KINDS, decode_record
from gitprov.errors import MalformedRecord, ObjectMissing, StoreBusy
from gitprov.model.run import RUN_SCHEMA, Run
from gitprov.model.wording import run_line
from gitprov.store.join import join_chains
from gitprov.store.ledger import Entry, list_entries, read_entries
from gitprov.store.lock import store_lock
from gitprov.store.notes import stage_notes
from gitprov.store.objects import MODE_FILE, MODE_TREE, ObjectReader, decode_tree
from gitprov.store.pack import PackBuilder
from gitprov.store.refs import (
    LEDGER,
    NOTES,
    RefMoved,
    list_refs,
    move_refs,
    release_dead_locks,
)
from gitprov.store.remote_tips import RemoteTip, mark_read, remote_tips, unread_tips
from gitprov.store.store import Store

_BATCH = 2000
_MAX_ENVIRONMENT_DEPTH = 16


@dataclass(slots=True)
class Accepted:
    """The number of runs that are new here, and what was refused, in words."""

    runs: int = 0
    refused: list[str] = field(default_factory=list)


def accept(store: Store) -> Accepted:
    """Join every chain that remotes were seen to have and we have not looked at yet.

    Raises GitFailed or OSError where nothing can be written.
    """
    done = Accepted()
    refs = store.refs()
    if not unread_tips(store.repository, refs):
        return done
    store.repository.require_writable()
    read = []
    with store_lock(store.lock_path):
        for tip in unread_tips(store.repository, refs):
            try:
                done.runs += _accept_chain(store, tip)
            except RefMoved:
                # Somebody moved our ref by hand, or was killed at it: the next command looks.
                release_dead_locks(store.repository.common_dir)
            except (MalformedRecord, ObjectMissing) as error:
                done.refused.append(
                    f"{tip.shard.ref} of remote {tip.remote} is not taken in: {error}"
                )
            else:
                read.append(tip)
        mark_read(store.repository, refs, read)
    return done


def _accept_chain(store: Store, theirs: RemoteTip) -> int:
    """Join one chain with ours and return how many runs are new."""
    oid, shard = theirs.oid, theirs.shard
    git = store.repository.git
    if (kind := store.objects.read(oid).type) != "commit":
        raise MalformedRecord(f"the chain ends at a {kind}")
    refs = store.refs()
    ours = refs.get(shard.ref)
    known = [tip for ref, tip in refs.items() if ref.startswith(LEDGER + "/")]
    news = list_entries(git, [oid], known) if shard.area == "ledger" else []
    lines: dict[str, list[str]] = {}
    count = 0
    environments: set[str] = set()
    for start in range(0, len(news), _BATCH):
        for entry in read_entries(store.objects, news[start : start + _BATCH]):
            for run in check_entry(entry):
                count += 1
                if run.source and run.source.commit:
                    lines.setdefault(run.source.commit, []).append(run_line(run))
            for record in entry.records:
                if record.environment:
                    _check_names(store.objects, record.environment, environments)
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
    return count


def check_entry(entry: Entry) -> Sequence[Run]:
    """Return the runs of an entry; raise MalformedRecord where one breaks the format.

    Records of kinds that this version does not know are let through: their shape was checked, and
    dropping them would lose what a newer gitprov has written.
    """
    runs = []
    for record in entry.records:
        if record.schema not in KINDS:
            canonical.decode(record.data)
            continue
        decoded = decode_record(record.schema, record.data).record
        if decoded.id != record.id:
            raise MalformedRecord(f"the folder {record.id} holds the record of {decoded.id}")
        if record.schema == RUN_SCHEMA:
            runs.append(decoded)
    return runs


def _check_names(reader: ObjectReader, tree: str, seen: set[str]) -> None:
    """Raise MalformedRecord where writing an environment's files out would leave its folder."""
    waiting = [(tree, 0)]
    while waiting:
        oid, depth = waiting.pop()
        if oid in seen:
            continue
        seen.add(oid)
        if depth > _MAX_ENVIRONMENT_DEPTH:
            raise MalformedRecord("an environment has folders in folders without end")
        for entry in decode_tree(reader.read(oid).data):
            if b"/" in entry.name or entry.name.lower() in (b"", b".", b"..", b".git"):
                raise MalformedRecord(f"an environment holds the name {entry.name!r}")
            if entry.mode == MODE_TREE:
                waiting.append((entry.oid, depth + 1))
            elif entry.mode != MODE_FILE:
                raise MalformedRecord(f"{entry.name!r} in an environment is not a plain file")
