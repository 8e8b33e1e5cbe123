"""Finished runs as git objects: what goes into ledger, keep, payload and notes.

One `Staging` is one batch. It reads the repository and changes nothing in it before `write`; the
refs to be moved afterwards are in `moves`, where our chain will end in `end`, and the notes commit,
which is derived and may fail, in `note`. Specification: sections 4 and 9.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from gitprov.codec.records import encode_record, file_name
from gitprov.errors import GitFailed, GitprovError, StoreDamaged
from gitprov.model.ids import new_id, short
from gitprov.model.ledger import START_SCHEMA, Start, Tip
from gitprov.model.rewrite import REWRITE_SCHEMA, Rewrite
from gitprov.model.run import RUN_SCHEMA, Agent, Run
from gitprov.model.wording import run_line
from gitprov.store.journal import JournalListing
from gitprov.store.ledger import ENVIRONMENT
from gitprov.store.messages import entry_message, person, rewrite_message
from gitprov.store.notes import stage_notes
from gitprov.store.objects import MODE_TREE, Commit, Object, decode_commit, present
from gitprov.store.pack import Existing, Files, PackBuilder, Written
from gitprov.store.payload import LISTING
from gitprov.store.refs import NOTES, Area, Shard, parse_shard
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store
from gitprov.store.writer import ChainEnd

# An entry is one tree, which git reads whole.
_ENTRY_RUNS = 1000

Refs = dict[str, str]
Moves = dict[str, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Ready:
    """A run whose manifest is final, the objects of its snapshot, and how to get its files."""

    run: Run
    data: bytes
    snapshot: tuple[Object, ...]
    environment: Callable[[], Mapping[str, bytes]]
    payload: Callable[[], Files]
    listings: Sequence[JournalListing] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and when a batch is written: the refs as they are, our shard, the month."""

    refs: Refs
    shard: str
    month: str
    now_ns: int


class Staging:
    """The objects and ref moves of one batch."""

    def __init__(self, store: Store, place: Place, lock: int | None) -> None:
        self.moves: Moves = {}
        self.note: str | None = None
        self.end: ChainEnd | None = None
        self.run_ids: list[str] = []
        self._store = store
        self._git = store.repository.git.holding(lock)
        self._place = place
        self._pack = PackBuilder()
        self._written: list[Written] = []

    def add_entries(self, ready: Sequence[Ready], end: ChainEnd) -> None:
        """Stage entries with the runs; our chain ends at `self.end` with them."""
        for start in range(0, len(ready), _ENTRY_RUNS):
            end = self._entry(ready[start : start + _ENTRY_RUNS], end)
        self.end = end
        self.run_ids = [item.run.id for item in ready]

    def write(self) -> None:
        """Store the objects, kept from gc until `release`; raise GitFailed where git refuses."""
        self._written.append(self._stored(self._pack))

    def release(self) -> None:
        """Let gc treat the objects as any others; call it once refs reach them, or never will."""
        for written in self._written:
            written.release()

    def _stored(self, pack: PackBuilder, *, strict: bool = True) -> Written:
        common_dir = self._store.repository.common_dir
        return pack.write(self._git, common_dir, fsync=self._store.fsync, strict=strict)

    def add_rewrites(self, sealed: Sequence[tuple[bytes, Rewrite]], end: ChainEnd) -> None:
        """Stage one entry for each record of rewritten commits; our chain ends at `self.end`."""
        for data, rewrite in sealed:
            folders: dict[str, Files] = {rewrite.id: {file_name(REWRITE_SCHEMA): data}}
            author = _author(rewrite.agent, rewrite.made_ns)
            end = self._append(folders, author, rewrite_message(rewrite), end)
        self.end = end

    def _entry(self, ready: Sequence[Ready], end: ChainEnd) -> ChainEnd:
        environments = dict(self._environments(end))
        folders = {item.run.id: self._folder(item, environments) for item in ready}
        author = _author(ready[-1].run.agent, ready[-1].run.ended_ns)
        message = entry_message([item.run for item in ready])
        end = self._append(folders, author, message, end)
        return replace(end, environments=environments)

    def _append(
        self, folders: dict[str, Files], author: bytes, message: bytes, end: ChainEnd
    ) -> ChainEnd:
        """Stage an entry with these records at the end of the month's chain."""
        ref, tip = self._ledger_end()
        if tip is None:
            start = self._start()
            folders[start.id] = {file_name(START_SCHEMA): encode_record(start)}
        committer = person("gitprov", None, self._place.now_ns)
        parents = (tip,) if tip else ()
        tree = self._pack.add_tree(folders)
        oid = self._pack.add_commit(Commit(tree, parents, author, committer, message))
        environments = self._environments(end)
        self.moves[ref] = (self._place.refs.get(ref), oid)
        return replace(end, ref=ref, tip=oid, environments=dict(environments))

    def _environments(self, end: ChainEnd) -> Mapping[str, str]:
        """Return the environments that our chain of this month reaches.

        Only what this very chain reaches: another month may be dropped at any time.
        """
        ref, tip = self._ledger_end()
        return end.environments if tip and (ref, tip) == (end.ref, end.tip) else {}

    def _ledger_end(self) -> tuple[str, str | None]:
        """Return the ref of our chain of this month and where it ends, with what is staged."""
        ref = self._ref("ledger")
        return ref, self.moves[ref][1] if ref in self.moves else self._place.refs.get(ref)

    def _folder(self, item: Ready, environments: dict[str, str]) -> Files:
        folder: dict[str, bytes | Files | Existing] = {file_name(RUN_SCHEMA): item.data}
        if item.run.environment is not None:
            digest = item.run.environment.digest.hex()
            if digest not in environments:
                environments[digest] = self._pack.add_tree(_nested(item.environment()))
            folder[ENVIRONMENT] = Existing(MODE_TREE, environments[digest])
        return folder

    def _start(self) -> Start:
        """Return the record that ties a new month to what came before it."""
        shards = ((ref, oid, parse_shard(ref)) for ref, oid in self._place.refs.items())
        earlier = [
            (shard.month, Tip(ref=ref, commit=oid))
            for ref, oid, shard in shards
            if shard and shard.area == "ledger" and shard.month < self._place.month
        ]
        latest = max((month for month, _ in earlier), default="")
        continues = tuple(tip for month, tip in earlier if month == latest)
        return Start(id=new_id(), month=self._place.month, continues=continues)

    def add_sources(self, ready: Sequence[Ready], *, careful: bool) -> None:
        """Hold the sources of the runs: snapshots with their history, or the commits themselves.

        `careful` is for when git refused to write the batch: snapshots hold what users have in
        their work trees. Each is then written apart, and left out where it is not whole.
        """
        reader = self._store.objects
        sources = {
            oid: item
            for item in ready
            if item.run.source and (oid := item.run.source.snapshot or item.run.source.commit)
        }
        ref = self._ref("keep")
        tip = self._place.refs.get(ref)
        kept = decode_commit(reader.read(tip).data).parents if tip else ()
        fresh = []
        for oid, item in sources.items():
            if oid in kept:
                continue
            if item.snapshot and careful:
                whole = self._stored_apart(oid, item.snapshot)
            elif item.snapshot:
                _add_all(self._pack, item.snapshot)
                whole = True
            else:
                # Gone where the branch was reset and gc came by while the command ran.
                found = next(reader.read_many([oid]))
                whole = found is not None and found.type == "commit"
            if whole:
                fresh.append(oid)
        if fresh:
            self.moves[ref] = (tip, self._chain(tip, EMPTY_TREE, fresh, ready, "source"))

    def _stored_apart(self, oid: str, objects: Sequence[Object]) -> bool:
        """Store a snapshot as it is; say whether everything that it refers to is here."""
        pack = PackBuilder()
        _add_all(pack, objects)
        self._written.append(self._stored(pack, strict=False))
        walk = self._git.call("rev-list", "--objects", "--quiet", oid, "--not", "--all")
        return walk.returncode == 0

    def add_payload(self, ready: Sequence[Ready], *, careful: bool) -> None:
        """Stage what is kept apart from the ledger.

        `careful` is for when git refused to write the batch: listings are then written apart.
        """
        listings = self._listings(ready, careful=careful)
        folders: dict[str, Files] = {}
        for item in ready:
            trees = {
                f"{LISTING}{found.sha256}": Existing(MODE_TREE, found.tree)
                for found in item.listings
                if found.tree in listings
            }
            folders[item.run.id] = {**item.payload(), **trees}
        folders = {run_id: files for run_id, files in folders.items() if files}
        if folders:
            ref = self._ref("payload")
            tip = self._place.refs.get(ref)
            tree = self._pack.add_tree(folders)
            self.moves[ref] = (tip, self._chain(tip, tree, (), ready, "payload"))

    def _listings(self, ready: Sequence[Ready], *, careful: bool) -> set[str]:
        """Stage the objects of listings; return the trees that are whole.

        Parts that were in the repository when a listing was made may be gone since.
        """
        listings = {found.tree: found for item in ready for found in item.listings}
        for found in listings.values():
            pack = PackBuilder() if careful else self._pack
            with suppress(GitFailed, StoreDamaged):
                _add_all(pack, found.objects())
                if careful:
                    self._written.append(self._stored(pack))
        others = [tree for tree in listings if tree not in self._pack]
        return (listings.keys() - set(others)) | present(self._git, others)

    def _chain(
        self, tip: str | None, tree: str, more: Iterable[str], ready: Sequence[Ready], what: str
    ) -> str:
        if tree == EMPTY_TREE:
            self._pack.add("tree", b"")
        author = person("gitprov", None, self._place.now_ns)
        runs = " ".join(short(item.run.id) for item in ready)
        message = f"{what} of {runs}\n".encode()
        return self._pack.add_commit(
            Commit(tree, (*((tip,) if tip else ()), *more), author, author, message)
        )

    def add_notes(self, ready: Sequence[Ready]) -> None:
        """Stage notes. They are derived: what stands in their way must not hold up the runs."""
        with suppress(GitprovError):
            self._notes(ready)

    def _notes(self, ready: Sequence[Ready]) -> None:
        lines: dict[str, list[str]] = {}
        reader, now = self._store.objects, self._place.now_ns
        sources = {item.run.source.commit for item in ready if item.run.source}
        commits = [commit for commit in sources if commit]
        # A note on a commit that is not here shows nowhere.
        here = {oid for oid, found in zip(commits, reader.read_many(commits), strict=True) if found}
        for item in ready:
            if item.run.source and item.run.source.commit in here:
                lines.setdefault(item.run.source.commit, []).append(run_line(item.run))
        if lines:
            tip = self._place.refs.get(NOTES)
            self.note = stage_notes(self._pack, reader, tip, lines, now)

    def _ref(self, area: Area) -> str:
        return Shard(area, self._place.month, self._place.shard).ref


def _add_all(pack: PackBuilder, objects: Iterable[Object]) -> None:
    for found in objects:
        pack.add(found.type, found.data)


def _author(agent: Agent | None, time_ns: int) -> bytes:
    return person(agent.name if agent else None, agent.email if agent else None, time_ns)


def _nested(files: Mapping[str, bytes]) -> Files:
    """Turn `a/b` names into folders."""
    folder: dict[str, bytes | Files] = {}
    for name, data in files.items():
        *parents, last = name.split("/")
        place = folder
        for parent in parents:
            place = place.setdefault(parent, {})  # type: ignore[assignment]
        place[last] = data
    return folder
