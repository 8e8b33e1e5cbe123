"""The drain: finished runs go from the journal into the ledger, all of them in one commit.

Under the lock: objects first (one kept pack), then ledger, keep and payload refs in one
transaction, then the journal's folders go. A drain that is killed anywhere leaves either a run in
the journal or a run in both places, which the next drain recognises. Specification: section 9.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from gitprov.codec import canonical
from gitprov.codec.documents import to_document
from gitprov.codec.records import decode_record, encode_record, file_name
from gitprov.errors import MalformedRecord, StoreBusy
from gitprov.model.ids import new_id, short
from gitprov.model.ledger import START_SCHEMA, Start, Tip
from gitprov.model.run import RUN_SCHEMA, Agent, Run, Writer
from gitprov.model.wording import run_line
from gitprov.store.durable import sync_folders
from gitprov.store.journal import JournalRun
from gitprov.store.ledger import ENVIRONMENT, list_entries, read_entries
from gitprov.store.lock import store_lock
from gitprov.store.messages import entry_message, person
from gitprov.store.notes import stage_notes
from gitprov.store.objects import MODE_TREE, Commit, decode_commit
from gitprov.store.pack import Existing, Files, PackBuilder
from gitprov.store.payload import payload_files
from gitprov.store.refs import (
    KEEP,
    LEDGER,
    NOTES,
    PAYLOAD,
    Area,
    RefMoved,
    Shard,
    list_refs,
    move_refs,
    parse_shard,
)
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store
from gitprov.store.writer import (
    ChainEnd,
    load_chain_end,
    save_chain_end,
    shard_of,
    writer_id,
)

_ATTEMPTS = 5

Refs = dict[str, str]


@dataclass(slots=True)
class Drained:
    """What a drain did: the runs that are in the ledger now, and those that could not go."""

    recorded: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A run whose manifest is final."""

    journal: JournalRun
    run: Run
    data: bytes


def drain(store: Store, *, wait: float = 60.0) -> Drained:
    """Write every finished run of the journal into the ledger.

    Raises StoreBusy where the lock is not free within `wait` seconds (its holder takes our runs
    along), GitFailed or OSError where nothing can be written; the journal keeps the runs then.
    """
    done = Drained()
    if not any(run.is_finished for run in store.journal.runs()):
        return done
    store.repository.require_writable()
    with store_lock(store.lock_path, timeout=wait):
        for attempt in range(_ATTEMPTS):
            finished = [run for run in store.journal.runs() if run.is_finished]
            if not finished:
                return done
            try:
                _Drain(store, done).write(finished)
            except RefMoved:
                # Somebody moved a ref without our lock: `git fetch` into it, or an update by hand.
                if attempt == _ATTEMPTS - 1:
                    raise
    return done


class _Drain:
    def __init__(self, store: Store, done: Drained) -> None:
        self._store = store
        self._git = store.repository.git
        self._done = done
        self._pack = PackBuilder()
        self._writer = writer_id(store.repository.prov_dir)
        self._shard = shard_of(self._writer)
        self._now = time.time_ns()
        self._month = time.strftime("%Y-%m", time.gmtime(self._now // 1_000_000_000))
        self._refs = list_refs(self._git, LEDGER, KEEP, PAYLOAD, NOTES)

    def write(self, finished: Sequence[JournalRun]) -> None:
        """Write one batch and remove it from the journal."""
        end, recorded = self._chain_end()
        ready, end = self._sealed([run for run in finished if run.id not in recorded], end)
        moves: dict[str, tuple[str | None, str | None]] = {}
        if ready:
            end = self._stage_ledger(ready, end, moves)
            self._stage_keep(ready, moves)
            self._stage_payload(ready, moves)
        note = self._stage_notes(ready)
        written = self._pack.write(
            self._git, self._store.repository.common_dir, fsync=self._store.fsync
        )
        if moves:
            move_refs(self._git, moves, fsync=self._store.fsync)
            self._sync_refs(moves)
        written.release()
        for run in finished:
            if run.id not in self._done.rejected:
                run.remove()
        save_chain_end(self._store.repository.prov_dir, self._writer, end)
        self._done.recorded += [item.run.id for item in ready]
        if note:
            self._move_notes(note)

    def _chain_end(self) -> tuple[ChainEnd, set[str]]:
        """Return where our chain ends, and the runs that entered since the cached end."""
        end = load_chain_end(self._store.repository.prov_dir, self._writer)
        ours = {
            ref: oid
            for ref, oid in self._refs.items()
            if (shard := parse_shard(ref)) and shard.area == "ledger" and shard.shard == self._shard
        }
        newest = max(ours, default=None)
        if newest == end.ref and (newest is None or ours[newest] == end.tip):
            return end, set()
        reader = self._store.objects
        known = [end.tip] if end.tip and next(reader.read_many([end.tip])) else []
        recorded = set()
        # Not only the entries since the cached tip: that tip may have been left behind when
        # unpublished entries were made anew, so sequence numbers decide, not positions.
        for entry in read_entries(reader, list_entries(self._git, list(ours.values()), known)):
            for record in entry.records:
                if record.schema != RUN_SCHEMA:
                    continue
                run: Run = decode_record(record.schema, record.data).record
                recorded.add(run.id)
                place = run.writer
                if place and place.id == self._writer and place.sequence > end.sequence:
                    end = replace(end, sequence=place.sequence - 1).after(record.data)
        return replace(end, environments={}), recorded

    def _sealed(self, runs: Sequence[JournalRun], end: ChainEnd) -> tuple[list[_Ready], ChainEnd]:
        """Give the runs their places in our chain, in the order in which they ended."""
        documents = []
        for run in runs:
            finished = run.finished
            if finished is not None:
                documents.append((finished["manifest"], run))
        documents.sort(key=lambda pair: (pair[0].get("ended_ns", 0), pair[1].id))
        ready = []
        for document, journal in documents:
            place = Writer(id=self._writer, sequence=end.sequence + 1, previous=end.digest)
            document["writer"] = to_document(place)
            try:
                data = canonical.encode(document)
                run = decode_record(RUN_SCHEMA, data).record
            except MalformedRecord as error:
                self._reject(journal, str(error))
                continue
            ready.append(_Ready(journal, run, data))
            end = end.after(data)
        return ready, end

    def _reject(self, journal: JournalRun, reason: str) -> None:
        """Set aside what can never be written, so that it does not hold up the others."""
        folder = self._store.repository.prov_dir / "rejected"
        folder.mkdir(exist_ok=True)
        journal.path.rename(folder / journal.id)
        self._done.rejected[journal.id] = reason

    def _stage_ledger(
        self,
        ready: Sequence[_Ready],
        end: ChainEnd,
        moves: dict[str, tuple[str | None, str | None]],
    ) -> ChainEnd:
        ref = self._ref("ledger")
        tip = self._refs.get(ref)
        environments = dict(end.environments)
        folders: dict[str, Files] = {}
        if tip is None:
            start = self._start()
            folders[start.id] = {file_name(START_SCHEMA): encode_record(start)}
        for item in ready:
            folders[item.run.id] = self._folder(item, environments)
        oid = self._pack.add_commit(
            Commit(
                self._pack.add_tree(folders),
                (tip,) if tip else (),
                _author(ready[-1].run.agent, ready[-1].run.ended_ns),
                person("gitprov", None, self._now),
                entry_message([item.run for item in ready]),
            )
        )
        moves[ref] = (tip, oid)
        return replace(end, ref=ref, tip=oid, environments=environments)

    def _folder(self, item: _Ready, environments: dict[str, str]) -> Files:
        folder: dict[str, bytes | Files | Existing] = {file_name(RUN_SCHEMA): item.data}
        if item.run.environment is not None:
            digest = item.run.environment.digest.hex()
            if digest not in environments:
                environments[digest] = self._pack.add_tree(_nested(item.journal.environment()))
            folder[ENVIRONMENT] = Existing(MODE_TREE, environments[digest])
        return folder

    def _start(self) -> Start:
        """Return the record that ties a new month to what came before it."""
        shards = ((ref, oid, parse_shard(ref)) for ref, oid in self._refs.items())
        earlier = [
            Tip(ref=ref, commit=oid)
            for ref, oid, shard in shards
            if shard and shard.area == "ledger" and shard.month < self._month
        ]
        latest = max((tip.ref.split("/")[3] for tip in earlier), default="")
        continues = tuple(tip for tip in earlier if tip.ref.split("/")[3] == latest)
        return Start(id=new_id(), month=self._month, continues=continues)

    def _stage_keep(
        self, ready: Sequence[_Ready], moves: dict[str, tuple[str | None, str | None]]
    ) -> None:
        """Hold the sources of the runs: snapshots with their history, or the commits themselves."""
        for item in ready:
            for found in item.journal.snapshot_objects():
                self._pack.add(found.type, found.data)
        sources = [
            oid
            for item in ready
            if item.run.source and (oid := item.run.source.snapshot or item.run.source.commit)
        ]
        ref = self._ref("keep")
        tip = self._refs.get(ref)
        kept = decode_commit(self._store.objects.read(tip).data).parents if tip else ()
        fresh = [oid for oid in dict.fromkeys(sources) if oid not in kept]
        if fresh:
            moves[ref] = (tip, self._chain(tip, EMPTY_TREE, fresh, ready, "source"))

    def _stage_payload(
        self, ready: Sequence[_Ready], moves: dict[str, tuple[str | None, str | None]]
    ) -> None:
        folders = {item.run.id: payload_files(item.journal) for item in ready}
        folders = {run_id: files for run_id, files in folders.items() if files}
        if folders:
            ref = self._ref("payload")
            tip = self._refs.get(ref)
            tree = self._pack.add_tree(folders)
            moves[ref] = (tip, self._chain(tip, tree, (), ready, "payload"))

    def _chain(
        self, tip: str | None, tree: str, more: Iterable[str], ready: Sequence[_Ready], what: str
    ) -> str:
        if tree == EMPTY_TREE:
            self._pack.add("tree", b"")
        author = person("gitprov", None, self._now)
        runs = " ".join(short(item.run.id) for item in ready)
        message = f"{what} of {runs}\n".encode()
        return self._pack.add_commit(
            Commit(tree, (*((tip,) if tip else ()), *more), author, author, message)
        )

    def _stage_notes(self, ready: Sequence[_Ready]) -> str | None:
        lines: dict[str, list[str]] = {}
        for item in ready:
            if item.run.source and item.run.source.commit:
                lines.setdefault(item.run.source.commit, []).append(run_line(item.run))
        if not lines:
            return None
        return stage_notes(self._pack, self._store.objects, self._refs.get(NOTES), lines, self._now)

    def _move_notes(self, note: str) -> None:
        try:
            move_refs(self._git, {NOTES: (self._refs.get(NOTES), note)}, fsync=False)
        except StoreBusy:
            return  # somebody writes notes at this moment; they are derived, and made up later

    def _sync_refs(self, moves: Iterable[str]) -> None:
        if not self._store.fsync:
            return
        folders = {self._store.repository.common_dir / ref for ref in moves}
        parents = {parent for path in folders for parent in list(path.parents)[:3]}
        sync_folders(sorted(parent for parent in parents if parent.is_dir()))

    def _ref(self, area: Area) -> str:
        return Shard(area, self._month, self._shard).ref


def _author(agent: Agent | None, time_ns: int) -> bytes:
    return person(agent.name if agent else None, agent.email if agent else None, time_ns)


def _nested(files: dict[str, bytes]) -> Files:
    """Turn `a/b` names into folders."""
    folder: dict[str, bytes | Files] = {}
    for name, data in files.items():
        *parents, last = name.split("/")
        place = folder
        for parent in parents:
            place = place.setdefault(parent, {})  # type: ignore[assignment]
        place[last] = data
    return folder
