"""The journal: where runs live until they are in the ledger.

One folder a run in `<common dir>/prov/journal/`, named by the run's id:

- `started`     one document: who runs, and the manifest as far as it is known at the start
- `alive`       locked and touched by the process that owns the run, while it lives
- `events-…`    one file a process that contributes: parameters, metrics, inputs, … as frames
- `environment/` the environment lock's files, as they were at the start
- `environment-…/` the same as they are known at the end, where that is more, by their digest
- `payload/…`   spooled files that become payload: the output, series
- `listings/…`  the objects of listings, one file each, out of gc's reach
- `snapshot`    the objects of the snapshot, likewise
- `finished`    empty until the run ends, then one frame with the finished document; once that is
                durable, the run is acknowledged

Nothing is removed before the ledger has the run. Specification: section 9.
"""

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gitprov.codec import canonical
from gitprov.codec.canonical import Document
from gitprov.codec.events import begins_whole, decode_events, encode_event
from gitprov.errors import MalformedRecord, StoreDamaged
from gitprov.model.ids import is_id
from gitprov.store.durable import overwrite_durably, sync_file, sync_folders, write_durably
from gitprov.store.liveness import (
    DEAD_AFTER_SECONDS,
    LifeSign,
    current_process,
    is_dead,
    is_local,
)
from gitprov.store.object_file import AS_IT_IS, ObjectFile, read_objects
from gitprov.store.objects import Object

_STARTED, _ALIVE, _FINISHED = "started", "alive", "finished"
_RETIRED = ".done-"
# The sha256 of a listing, and the git tree that holds it.
_LISTING = re.compile(r"([0-9a-f]{64})-([0-9a-f]{40})")


class JournalListing(NamedTuple):
    """A listing: its sha256 as text, the tree that holds it, and the file with its new objects."""

    sha256: str
    tree: str
    path: Path

    def objects(self) -> Iterator[Object]:
        """Yield those of its objects that the repository may lack."""
        yield from read_objects(self.path)


class Journal:
    """The runs of one repository that the ledger does not have yet."""

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self.folder = folder
        self._fsync = fsync

    def create(self, run_id: str) -> "JournalRun":
        """Make the folder of a new run. It counts once `begin` has written what is known."""
        path = self.folder / run_id
        path.mkdir(parents=True)
        (path / "payload").mkdir()
        (path / "listings").mkdir()
        return JournalRun(path, fsync=self._fsync)

    def open(self, run_id: str) -> "JournalRun":
        """Return a run's folder, whether or not it exists."""
        return JournalRun(self.folder / run_id, fsync=self._fsync)

    def runs(self) -> list["JournalRun"]:
        """Return the runs that are in the journal, in the order of their ids."""
        try:
            names = sorted(os.listdir(self.folder))  # noqa: PTH208 -- names alone are wanted
        except FileNotFoundError:
            return []
        return [self.open(name) for name in names if is_id(name)]

    def clear_retired(self) -> None:
        """Remove what `JournalRun.retire` has set aside, also by processes that died since."""
        for path in self.folder.glob(f"{_RETIRED}*"):
            shutil.rmtree(path, ignore_errors=True)


class JournalRun:
    """One run's folder."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        self.path = path
        self._fsync = fsync
        self._life: LifeSign | None = None
        self._events: tuple[int, Path] | None = None

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def prov_dir(self) -> Path:
        """The folder of gitprov's own files that the journal is in."""
        return self.path.parents[1]

    def begin(self, started: Mapping[str, Any]) -> None:
        """Write what is known at the start, so that a run whose process dies is not lost."""
        local = is_local(self.path)
        self._life = LifeSign(self.path / _ALIVE, heartbeat=not local)
        # Its name is made durable now, so that the acknowledgement waits for one sync alone.
        (self.path / _FINISHED).touch()
        write_durably(
            self.path / _STARTED,
            canonical.encode({**started, "owner": {**current_process(), "local": local}}),
            fsync=self._fsync,
        )
        if self._fsync:
            # In a new repository the journal's own folder and its parent are new names, too.
            sync_folders(list(self.path.parents)[:3])

    @property
    def size(self) -> int:
        """The bytes of its files, as far as they count when it is drained."""
        payload = (self.path / "payload").glob("*")  # gone where a removal was cut short
        listings = (self.path / "listings").glob("*")
        files = (self.snapshot, *payload, *listings)
        return sum(path.stat().st_size for path in files if path.is_file())

    @property
    def started(self) -> Document | None:
        """What `begin` wrote; None where the process died before that."""
        return self._read(_STARTED)

    @property
    def finished(self) -> Document | None:
        """What `finish` wrote; None while the run lives or if its process died."""
        try:
            return next(decode_events((self.path / _FINISHED).read_bytes()), None)
        except FileNotFoundError:
            return None

    @property
    def is_finished(self) -> bool:
        """Whether the run is acknowledged."""
        try:
            return begins_whole((self.path / _FINISHED).read_bytes())
        except FileNotFoundError:
            return False

    @property
    def is_over(self) -> bool:
        """Whether nothing can be added any more: finished, by whomever, or in the ledger."""
        return self.is_finished or not self.path.exists()

    def is_orphaned(self, *, dead_after: float = DEAD_AFTER_SECONDS) -> bool:
        """Say whether the process that began the run is gone and left it unfinished.

        On another machine, it counts as gone after so many seconds without a sign of life.
        """
        if self.is_finished:
            return False
        started = self.started
        if started is None:
            return False
        owner = started.get("owner", {})
        if not isinstance(owner, Mapping):
            raise StoreDamaged(f"{self.path / _STARTED} is damaged (it names no owner)")
        return is_dead(owner, self.path / _ALIVE, dead_after=dead_after)

    def finish(self, finished: Mapping[str, Any]) -> None:
        """Acknowledge the run: on return, it survives whatever happens to this machine."""
        if self._fsync:
            payload = list((self.path / "payload").iterdir())
            for path in payload:
                sync_file(path)
            sync_folders({path.parent for path in payload})
        overwrite_durably(self.path / _FINISHED, encode_event(finished), fsync=self._fsync)
        if self._life is not None:
            self._life.end()

    def write_environment(self, files: Mapping[str, bytes], digest: bytes | None = None) -> None:
        """Store the files of the environment lock; their names may have folders.

        Those that are known only at the end have a folder of their own, named by their `digest`: a
        manifest leads to the files that it was made with, whenever the process dies.
        """
        top = self._environment(digest)
        for name, data in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, data, fsync=self._fsync)
        if self._fsync:
            sync_folders([*self._folders(top), self.path])

    def environment(self, digest: bytes | None = None) -> dict[str, bytes]:
        """Return what `write_environment` stored with this digest; else what it did without."""
        top = self._environment(digest)
        if not top.is_dir():
            top = self._environment(None)
        return {
            path.relative_to(top).as_posix(): path.read_bytes()
            for path in sorted(top.rglob("*"))
            if path.is_file()
        }

    def _environment(self, digest: bytes | None) -> Path:
        return self.path / ("environment" if digest is None else f"environment-{digest.hex()}")

    def payload(self, name: str) -> Path:
        """Return the path of a spooled file."""
        return self.path / "payload" / name

    def _events_file(self) -> Path:
        """Return the file of this process: a forked child must not go on with its parent's."""
        if self._events is None or self._events[0] != os.getpid():
            # In the order of their making, so that later values win.
            name = f"events-{time.time_ns():020}-{os.getpid()}-{os.urandom(4).hex()}"
            self._events = os.getpid(), self.path / name
        return self._events[1]

    def append(self, event: Mapping[str, Any]) -> None:
        """Add an event of this process; it survives the death of the process at once.

        Raises OSError where it could not be written; those before and after it are not harmed.
        """
        frame = encode_event(event)
        descriptor = os.open(self._events_file(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            written = os.write(descriptor, frame)
        finally:
            os.close(descriptor)
        if written < len(frame):
            # A reader stops at a torn frame: what comes later goes to another file.
            self._events = None
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def events(self) -> Iterator[Document]:
        """Yield the events of all contributing processes, those of each in order."""
        for path in sorted(self.path.glob("events-*")):
            yield from decode_events(path.read_bytes())

    def new_listing(self) -> "NewListing":
        """Return what takes the objects of a listing that the repository may lack."""
        return NewListing(self.path / "listings", fsync=self._fsync)

    def listings(self) -> list[JournalListing]:
        """Return the listings of the run."""
        paths = sorted((self.path / "listings").glob("*"))
        found = ((_LISTING.fullmatch(path.name), path) for path in paths)
        return [JournalListing(match[1], match[2], path) for match, path in found if match]

    @property
    def snapshot(self) -> Path:
        """The file with the objects of the run's snapshot; absent where there is none."""
        return self.path / "snapshot"

    def snapshot_objects(self) -> Iterator[Object]:
        """Yield the objects of the run's snapshot."""
        yield from read_objects(self.snapshot)

    def discard(self) -> None:
        """Remove what there is of a run that could not begin, as far as that can be done."""
        if self._life is not None:
            self._life.end()
        shutil.rmtree(self.path, ignore_errors=True)

    def retire(self) -> None:
        """Take the run out of the journal, whole; only for runs that the ledger has.

        In one step: of a folder that was emptied file by file, power loss could bring some back.
        """
        self.path.rename(self.path.with_name(_RETIRED + self.id))

    @staticmethod
    def _folders(top: Path) -> list[Path]:
        """Return a folder and those below it; nothing where it does not exist."""
        return [Path(parent) for parent, _, _ in os.walk(top)]

    def _read(self, name: str) -> Document | None:
        try:
            return canonical.decode((self.path / name).read_bytes())
        except FileNotFoundError:
            return None
        except MalformedRecord as error:
            raise StoreDamaged(
                f"{self.path / name} is damaged ({error}); move the folder away to go on"
            ) from error


class NewListing:
    """A listing that is being written to the journal: it is there once `keep` is through."""

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self._folder = folder
        self._fsync = fsync
        temporary = folder / f"new-{os.getpid()}-{os.urandom(4).hex()}"
        self._objects = ObjectFile(temporary, AS_IT_IS)

    def add(self, kind: str, data: bytes) -> str:
        """Take an object and return its name."""
        return self._objects.add(kind, data)

    def keep(self, sha256: bytes, tree: str) -> None:
        """Say what the listing is, once all of its objects are there."""
        self._objects.keep(self._folder / f"{sha256.hex()}-{tree}", fsync=self._fsync)

    def discard(self) -> None:
        """Forget what was taken, unless it is kept."""
        self._objects.discard()
