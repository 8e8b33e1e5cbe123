"""The journal: where runs live until they are in the ledger.

One folder a run in `<common dir>/prov/journal/`, named by the run's id:

- `started`     one document: who runs, and the manifest as far as it is known at the start
- `events-…`    one file a process that contributes: parameters, metrics, inputs, … as frames
- `environment/` the environment lock's files
- `payload/…`   spooled files that become payload: the output, series, listings
- `objects/`    git objects of the snapshot, in an object store of their own, out of gc's reach
- `finished`    the finished document; once this file is durable, the run is acknowledged

Nothing is removed before the ledger has the run. Specification: section 9.
"""

import errno
import os
import shutil
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from gitprov.codec import canonical
from gitprov.codec.canonical import Document
from gitprov.codec.events import decode_events, encode_event
from gitprov.errors import MalformedRecord, StoreDamaged
from gitprov.model.ids import is_id
from gitprov.store.durable import sync_file, sync_folders, write_durably
from gitprov.store.objects import Object

_STARTED, _FINISHED = "started", "finished"


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


class JournalRun:
    """One run's folder."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        self.path = path
        self._fsync = fsync

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    def begin(self, started: Mapping[str, Any]) -> None:
        """Write what is known at the start, so that a run whose process dies is not lost."""
        write_durably(
            self.path / _STARTED,
            canonical.encode({**started, "owner": current_process()}),
            fsync=self._fsync,
        )
        if self._fsync:
            # In a new repository the journal's own folder and its parent are new names, too.
            sync_folders(list(self.path.parents)[:3])

    @property
    def started(self) -> Document | None:
        """What `begin` wrote; None where the process died before that."""
        return self._read(_STARTED)

    @property
    def finished(self) -> Document | None:
        """What `finish` wrote; None while the run lives or if its process died."""
        return self._read(_FINISHED)

    @property
    def is_finished(self) -> bool:
        """Whether the run is acknowledged."""
        return (self.path / _FINISHED).exists()

    @property
    def is_orphaned(self) -> bool:
        """Whether the process that began the run is gone and left it unfinished."""
        if self.is_finished:
            return False
        started = self.started
        if started is None:
            return False
        return is_dead(started.get("owner", {}))

    def finish(self, finished: Mapping[str, Any]) -> None:
        """Acknowledge the run: on return, it survives whatever happens to this machine."""
        if self._fsync:
            payload = self.path / "payload"
            for path in payload.iterdir():
                sync_file(path)
            # Git has synced the snapshot's objects, and no folder.
            sync_folders([payload, *self._folders(self.objects_dir)])
        write_durably(self.path / _FINISHED, canonical.encode(finished), fsync=self._fsync)

    def write_environment(self, files: Mapping[str, bytes]) -> None:
        """Store the files of the environment lock; their names may have folders."""
        for name, data in files.items():
            path = self.path / "environment" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, data, fsync=self._fsync)
        if self._fsync:
            sync_folders(self._folders(self.path / "environment"))

    def environment(self) -> dict[str, bytes]:
        """Return what `write_environment` stored."""
        top = self.path / "environment"
        return {
            path.relative_to(top).as_posix(): path.read_bytes()
            for path in sorted(top.rglob("*"))
            if path.is_file()
        }

    def payload(self, name: str) -> Path:
        """Return the path of a spooled file."""
        return self.path / "payload" / name

    @cached_property
    def _events_file(self) -> Path:
        # In the order of their making, so that later values win.
        return self.path / f"events-{os.getpid()}-{time.time_ns():020}-{os.urandom(4).hex()}"

    def append(self, event: Mapping[str, Any]) -> None:
        """Add an event of this process; it survives the death of the process at once.

        Raises OSError where it could not be written; those before and after it are not harmed.
        """
        frame = encode_event(event)
        descriptor = os.open(self._events_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            written = os.write(descriptor, frame)
        finally:
            os.close(descriptor)
        if written < len(frame):
            # A reader stops at a torn frame: what comes later goes to another file.
            del self._events_file
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def events(self) -> Iterator[Document]:
        """Yield the events of all contributing processes, those of each in order."""
        for path in sorted(self.path.glob("events-*")):
            yield from decode_events(path.read_bytes())

    @property
    def objects_dir(self) -> Path:
        """The object store of the run's snapshot."""
        return self.path / "objects"

    def snapshot_objects(self) -> Iterator[Object]:
        """Yield the loose objects of the run's own object store."""
        for path in sorted(self.objects_dir.glob("[0-9a-f][0-9a-f]/*")):
            try:
                header, _, content = zlib.decompress(path.read_bytes()).partition(b"\0")
            except zlib.error as error:
                raise StoreDamaged(f"{path} is damaged ({error})") from error
            yield Object(header.split(b" ")[0].decode(), content)

    def remove(self) -> None:
        """Forget the run; only for runs that the ledger has, or that never began."""
        # The mark of acknowledgement goes last: a removal that is cut short must leave
        # something that the next drain recognises as done.
        for name in os.listdir(self.path):  # noqa: PTH208
            if name != _FINISHED:
                entry = self.path / name
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        (self.path / _FINISHED).unlink(missing_ok=True)
        self.path.rmdir()

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


def current_process() -> Document:
    """Return what tells this process from any other, also after a reboot or on another host."""
    return {
        "host": socket.gethostname(),
        "boot": _boot_id(),
        "pids": _pid_namespace(),
        "pid": os.getpid(),
        "started": _process_start(os.getpid()),
    }


def is_dead(owner: Mapping[str, Any]) -> bool:
    """Say whether a process is known to be gone.

    Where that cannot be known (another host, another container) it counts as alive.
    """
    if owner.get("host") != socket.gethostname():
        return False
    if owner.get("boot") != _boot_id():
        return True
    pid = owner.get("pid")
    if not isinstance(pid, int) or owner.get("pids") != _pid_namespace():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    # The number may have been given to another process since.
    return bool(owner.get("started", "") != _process_start(pid))


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    """Return within which process numbers mean what they mean here: containers have their own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _process_start(pid: int) -> str:
    """Return the kernel's start time of a process in clock ticks, or nothing where unknown.

    A process that has ended and waits to be reaped has none.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    words = stat.rpartition(")")[2].split()
    return "" if words[0] in "ZX" else words[19]
