"""Whether the process that owns a run still lives, also in another container or on another host.

The owner of a run says who it is (`current_process`), and holds a lock on a file in the run's
folder (`LifeSign`). Where other machines may see the folder, it touches the file every minute, too.

Nothing here trusts a host's name or clock: names are the same on two machines more often than one
thinks, and clocks differ. Where it cannot be known that a process is gone, it counts as alive.
Specification: section 9.5.
"""

import errno
import fcntl
import os
import re
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any
from weakref import WeakSet

from gitprov.codec.canonical import Document

DEAD_AFTER_SECONDS = 3600
_BEAT_SECONDS = 60
# A network filesystem may show a time that is a minute old. Two beats may get lost.
_SHORTEST_SECONDS = 5 * _BEAT_SECONDS

# No two machines have one of these mounted at a time. A server may well export it, but those who
# mount the export see another type.
_LOCAL = frozenset("bcachefs btrfs ext2 ext3 ext4 f2fs jfs overlay ramfs tmpfs xfs zfs".split())


def current_process() -> Document:
    """Return what tells this process from any other, also after a reboot or on another host."""
    return {
        "host": os.uname().nodename,
        "boot": _boot_id(),
        "pids": _pid_namespace(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
    }


def is_known_dead(owner: Mapping[str, Any]) -> bool:
    """Say whether a process is known to be gone, by its number and start.

    That tells only of processes of this machine since its start, and of this container.
    """
    return is_near(owner) and not _is_running(owner)


def is_dead(owner: Mapping[str, Any], alive: Path, *, dead_after: float) -> bool:
    """Say whether the owner of a run is known to be gone, wherever it is.

    `alive` is the file of its life sign; the owner's `local` says that the file is for its machine
    alone, so that there is no heartbeat. A heartbeat counts as lost after `dead_after` seconds, or
    five minutes where that is more.
    """
    if is_near(owner):
        return is_known_dead(owner)
    held = _is_locked(alive)
    if held or not owner.get("boot"):
        return False
    same_machine = owner["boot"] == _boot_id()
    if same_machine and held is False:
        return True
    if owner.get("local"):
        # Local to both, so its machine was this one, before a reboot. Seen through the network,
        # the owner is on the machine that has the disk; only that can tell.
        return not same_machine and is_local(alive.parent)
    return silence(alive) > max(dead_after, _SHORTEST_SECONDS)


class LifeSign:
    """A file that shows that this process lives, until `end`.

    It is locked; the kernel, or the server of a network filesystem, lets go of the lock when this
    process dies. A child has no part in it. With `heartbeat`, a thread touches the file: no
    server knows soon that a whole machine is gone.
    """

    def __init__(self, path: Path, *, heartbeat: bool) -> None:
        self._file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        with suppress(OSError):  # a filesystem without locks: the heartbeat alone must do
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _held.add(self)
        if heartbeat:
            self._thread = threading.Thread(
                target=_beat, args=(self._file, self._ended), name="gitprov heartbeat", daemon=True
            )
            self._thread.start()

    def end(self) -> None:
        """Show nothing more; more than once does no harm."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._file.close()

    def forget(self) -> None:
        """Close the file in a forked child, which must not hold its parent's lock."""
        self._thread = None
        self._file.close()


_held: WeakSet[LifeSign] = WeakSet()


def _forget_all() -> None:
    for sign in list(_held):
        sign.forget()


# What is started with exec has not inherited the file; a worker of multiprocessing has.
os.register_at_fork(after_in_child=_forget_all)


def _beat(file: FileIO, ended: threading.Event) -> None:
    # Signals are for the program's own threads.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while not ended.wait(_BEAT_SECONDS):
        with suppress(OSError):
            os.utime(file.fileno())


def is_local(path: Path, mountinfo: str | None = None) -> bool:
    """Say whether no other machine can have mounted the filesystem that a path is on."""
    if mountinfo is None:
        try:
            mountinfo = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
        except OSError:
            return False
    return filesystem_type(os.path.realpath(path), mountinfo) in _LOCAL


def filesystem_type(path: str, mountinfo: str) -> str:
    """Return the type of the filesystem that a path is on, by a table of mounts (proc(5))."""
    best, found = "", ""
    for line in mountinfo.splitlines():
        mount, separator, source = line.partition(" - ")
        words = mount.split(" ")
        if not separator or len(words) < 5:  # noqa: PLR2004
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[4])
        below = path == point or path.startswith(point.rstrip("/") + "/")
        if below and len(point) >= len(best):  # of two at one place, the later one covers
            best, found = point, source.split(" ")[0]
    return found


def process_start(pid: int) -> str:
    """Return the kernel's start time of a process in clock ticks, or nothing where unknown.

    A process that has ended and waits to be reaped has none.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    words = stat.rpartition(")")[2].split()
    return "" if words[0] in "ZX" else words[19]


def is_near(owner: Mapping[str, Any]) -> bool:
    """Say whether a process has its number from the kernel and the container that we run in."""
    return bool(owner.get("boot") == _boot_id() and owner.get("pids") == _pid_namespace())


def _is_running(owner: Mapping[str, Any]) -> bool:
    pid = owner.get("pid")
    if not isinstance(pid, int):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's, and perhaps hidden from us.
        return process_start(pid) in ("", owner.get("started", ""))
    # The number may have been given to another process since.
    return bool(owner.get("started", "") == process_start(pid))


def _is_locked(alive: Path) -> bool | None:
    """Say whether a process holds the lock of a life sign; None where that cannot be known."""
    try:
        descriptor = os.open(alive, os.O_RDONLY)
    except OSError:
        return None
    try:
        # Shared: several who ask must not take one another for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return True if error.errno == errno.EWOULDBLOCK else None
    else:
        return False
    finally:
        os.close(descriptor)


def silence(alive: Path) -> float:
    """Return for how many seconds nothing was heard, by the clock of the filesystem.

    Zero where that cannot be known.
    """
    # Beside the run's folder, which somebody may be about to remove.
    probe = alive.parent.parent / f".now-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        last = (alive if alive.exists() else alive.parent).stat().st_mtime
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.utime(descriptor)
            return os.fstat(descriptor).st_mtime - last
        finally:
            os.close(descriptor)
            probe.unlink(missing_ok=True)
    except OSError:
        return 0.0


def _boot_id() -> str:
    """Return what is new with each boot of this machine; where there is none, the host's name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return os.uname().nodename


def _pid_namespace() -> str:
    """Return within which process numbers mean what they mean here: containers have their own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
