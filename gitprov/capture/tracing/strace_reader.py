"""Reads what strace writes, as long as it does: a program of its own.

When the command itself has ended, it says what was touched, and goes on to read what background
processes of the command still cause: strace must never wait for a reader, nor lose it. Without a
tracer, the kernel would refuse their calls.
"""

import marshal
import os
import re
import select
import sys
from contextlib import suppress

from gitprov.capture.real_paths import resolved
from gitprov.capture.tracing.strace_lines import Call, Ended, Joined, NotUnderstood
from gitprov.capture.tracing.touched import Touched, Write

MAX_PATHS = 10_000
READY = b"ready\n"
# So many seconds after the end of gitprov, strace will not come any more.
_PATIENCE = 10
_COMPILED = re.compile(r"(.*/)__pycache__/([^/]+?)\.[^/.]+(?:\.opt-\d+)?\.pyc")
_GAPS = {
    "io_uring_setup": "files may have been opened through io_uring",
    "chroot": "a process has changed its root",
    "pivot_root": "a process has changed its root",
    "mount": "something was mounted",
    "move_mount": "something was mounted",
}


class Trace:
    """What the processes of a command touch below `top` and `roots`, line by line."""

    def __init__(self, top: str, roots: list[str], cwd: str) -> None:
        self.touched = Touched()
        self.gaps: dict[str, None] = {}
        self.processes = 0
        self.living: set[int] = set()
        self.main: int | None = None
        self.is_over = False
        self._inside = top.rstrip(os.sep) + os.sep
        self._roots = tuple(root.rstrip(os.sep) + os.sep for root in roots)
        self._cwd = cwd
        self._lines = Joined()
        self._line = 0
        # The process of each thread, and where each process works.
        self._leaders: dict[int, int] = {}
        self._folders: dict[int, str] = {}
        self._links: dict[str, list[str]] = {}
        # Those of whose making strace has told, and those that had ended before it did.
        self._announced: set[int] = set()
        self._gone: set[int] = set()

    @property
    def threads(self) -> set[int]:
        """Which of those that live are threads of others."""
        return set(self._leaders)

    def take(self, line: bytes) -> None:
        """Take the next line."""
        self._line += 1
        try:
            said = self._lines.take(line)
        except NotUnderstood:
            self.gaps["strace said what is not understood"] = None
            return
        if said is None:
            return
        if self.main is None:
            self.main = said.pid
        if isinstance(said, Ended):
            self._ended(said.pid)
            return
        if said.pid not in self.living:
            self._begun(said.pid)
        self._called(said)

    def _ended(self, pid: int) -> None:
        self.living.discard(pid)
        self._folders.pop(pid, None)
        self._leaders.pop(pid, None)
        if pid in self._announced:
            self._announced.discard(pid)
        else:
            self._gone.add(pid)
        self.is_over = self.is_over or pid == self.main

    def _begun(self, pid: int) -> None:
        """Take note of a process or thread, which may be heard of before the call that made it."""
        if pid not in self._leaders and pid not in self._folders:
            group, parent = _origin(pid)
            self._place(group or parent or pid, pid, is_thread=group is not None)
        self.living.add(pid)
        if pid not in self._leaders:
            self.processes += 1

    def _called(self, call: Call) -> None:
        leader = self._leaders.get(call.pid, call.pid)
        if call.process is not None:
            self._forked(leader, call.process, is_thread="CLONE_THREAD" in call.flags)
        elif call.name in _GAPS:
            self.gaps[_GAPS[call.name]] = None
        else:
            for folder in call.folders:
                if folder.is_current and folder.path:
                    self._folders[leader] = os.fsdecode(folder.path)
            self._touched(call, self._folders.get(leader, self._cwd), leader)

    def _forked(self, leader: int, child: int, *, is_thread: bool) -> None:
        """Take the call that has made a process or thread, which may have ended by now."""
        if child in self._gone:
            self._gone.discard(child)
            return
        self._announced.add(child)
        self._place(leader, child, is_thread=is_thread)
        if child not in self.living and not is_thread:
            self.living.add(child)
            self.processes += 1

    def _place(self, leader: int, child: int, *, is_thread: bool) -> None:
        """Let a thread share the working folder of its process, and a process have its parent's."""
        if is_thread:
            if child in self.living and child not in self._leaders:  # taken for a process
                self.processes -= 1
                self._folders[leader] = self._folders.pop(child, self._cwd)
            self._leaders[child] = leader
        elif child not in self._folders:
            self._folders[child] = self._folders.get(leader, self._cwd)

    def _touched(self, call: Call, cwd: str, leader: int) -> None:
        folders = [os.fsdecode(folder.path or b"") or cwd for folder in call.folders]
        places = [
            os.path.join(folders[index] if index < len(folders) else cwd, os.fsdecode(path))
            for index, path in enumerate(call.paths)
        ]
        if call.opened is not None:
            self._opened(call, places[0], os.fsdecode(call.opened))
        elif call.name == "chdir":
            self._folders[leader] = os.path.realpath(places[0])
        elif call.name == "fchdir":
            self._folders[leader] = folders[0]
        elif call.name.startswith("exec"):
            self._read(places[0], os.path.realpath(places[0]))
        elif call.name == "truncate":
            self._write(os.path.realpath(places[0]))
        else:  # moved or linked
            above, name = os.path.split(places[1])
            new = os.path.join(os.path.realpath(above), name)
            if os.path.isdir(new):
                self._moved_folder(os.path.realpath(places[0]), new)
                return
            old = os.path.join(os.path.realpath(os.path.dirname(places[0])), _base(places[0]))
            self._read(old, old)
            self._write(new, certainly=True)

    def _opened(self, call: Call, place: str, real: str) -> None:
        if call.flags & {"O_PATH", "O_DIRECTORY", "O_TMPFILE", "__O_TMPFILE"}:
            return
        is_new = "O_TRUNC" in call.flags or {"O_CREAT", "O_EXCL"} <= call.flags
        if not is_new and "O_WRONLY" not in call.flags:
            if {"O_RDWR", "O_CREAT"} <= call.flags:
                name = self._name_of(real)
                if name is not None and name not in self.touched.reads:
                    self.touched.doubtful.add(name)
            else:
                self._read(place, real)
        if not call.flags.isdisjoint({"O_WRONLY", "O_RDWR"}):
            self._write(real, certainly=is_new)

    def _read(self, place: str, real: str) -> None:
        """Take it that a file was read, as are the links on the way; `real` is where it is."""
        found = [real]
        if os.path.normpath(place) != real:
            if place not in self._links and len(self._links) < MAX_PATHS:
                self._links[place] = resolved(place)[1]
            found += self._links.get(place, [])
        if real.endswith(".pyc"):
            compiled = _COMPILED.fullmatch(real)
            if compiled:
                found.append(f"{compiled[1]}{compiled[2]}.py")
            elif self._inside in real[1:]:
                self.gaps["compiled Python code was read from elsewhere"] = None
        for path in found:
            name = self._name_of(path)
            if name is not None and self._has_room(self.touched.reads, name):
                self.touched.read(name, self._line)

    def _write(self, real: str, *, certainly: bool = False) -> None:
        name = self._name_of(real)
        if name is not None and self._has_room(self.touched.writes, name):
            self.touched.write(name, Write(self._line, known=certainly))

    def _moved_folder(self, old: str, new: str) -> None:
        """Take what is below for written there: under its old names, it may have been read."""
        name = self._name_of(new + os.sep)
        if name is not None:
            self.touched.folders.setdefault(name, self._line)
        if self._name_of(old + os.sep) is not None:
            self.gaps["a folder was moved"] = None

    def _name_of(self, place: str) -> str | None:
        if place.startswith(self._inside):
            inside = place[len(self._inside) :]
            return None if inside.startswith(".git/") else inside
        return place if self._roots and place.startswith(self._roots) else None

    def _has_room(self, names: object, name: str) -> bool:
        assert isinstance(names, dict)  # noqa: S101 -- one of two
        if name in names or len(names) < MAX_PATHS:
            return True
        self.gaps[f"there are more than {MAX_PATHS} files"] = None
        return False


def _origin(pid: int) -> tuple[int | None, int | None]:
    """Return the process that a thread is of, or the parent of a process, while it is there."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            lines = dict(line.split(b":", 1) for line in file.read().splitlines() if b":" in line)
    except OSError:
        return None, None
    group = int(lines[b"Tgid"])
    return (group, None) if group != pid else (None, int(lines[b"PPid"]))


def _base(place: str) -> str:
    return os.path.basename(place.rstrip(os.sep))


def _open(pipe: str) -> int:
    """Open the pipe before strace does, which waits for that."""
    return os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)


def _await(pipe: int) -> None:
    """Wait for strace; end where it does not come, and who was to start it has gone."""
    parent = os.getppid()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    patience = _PATIENCE
    while patience and not poll.poll(1000):
        patience = patience - 1 if os.getppid() != parent else _PATIENCE
    if not patience:
        os._exit(0)
    os.set_blocking(pipe, True)


def main() -> None:
    """Read the pipe that the first argument names, and write to stdout what it says."""
    pipe, top, cwd, *roots = sys.argv[1:]
    trace = Trace(top, roots, cwd)
    waiting = _open(pipe)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    _await(waiting)
    with open(waiting, "rb") as lines:
        with suppress(Exception):  # whatever happens, strace must be read
            for line in lines:
                trace.take(line)
                if trace.is_over:
                    break
        touched = trace.touched
        result = {
            "reads": touched.reads,
            "writes": {name: tuple(write) for name, write in touched.writes.items()},
            "folders": touched.folders,
            "doubtful": list(touched.doubtful),
            "gaps": list(trace.gaps),
            "processes": trace.processes,
            "living": len(trace.living - trace.threads),
            "is_over": trace.is_over,
        }
        sys.stdout.buffer.write(marshal.dumps(result))
        sys.stdout.buffer.flush()
        os.close(1)
        while lines.read(1 << 20):
            pass
    os._exit(0)  # stdout is closed
