"""A process tree stopped at the entry of every system call that changes files.

strace counts injections per process and per call, and whoever waits for its victim goes on before
anybody can stop it. Here the calls of a whole tree are numbered in the order in which they happen,
and nothing runs between a fault and what else it takes along. The kernel's filter (seccomp) lets
all other calls pass at full speed. Linux on x86-64 only.
"""

import ctypes
import os
import platform
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

# Which argument names the file: a descriptor, a path, a path behind the folder it is relative to.
_FD, _PATH, _AT = "descriptor", "path", "at"
_CALLS: dict[int, tuple[str, str]] = {
    1: ("write", _FD), 18: ("pwrite64", _FD), 20: ("writev", _FD), 40: ("sendfile", _FD),
    296: ("pwritev", _FD), 328: ("pwritev2", _FD), 285: ("fallocate", _FD),
    74: ("fsync", _FD), 75: ("fdatasync", _FD), 77: ("ftruncate", _FD), 73: ("flock", _FD),
    91: ("fchmod", _FD), 93: ("fchown", _FD), 277: ("sync_file_range", _FD), 306: ("syncfs", _FD),
    2: ("open", _PATH), 85: ("creat", _PATH), 76: ("truncate", _PATH), 82: ("rename", _PATH),
    83: ("mkdir", _PATH), 84: ("rmdir", _PATH), 86: ("link", _PATH), 87: ("unlink", _PATH),
    88: ("symlink", _PATH), 90: ("chmod", _PATH), 92: ("chown", _PATH), 132: ("utime", _PATH),
    235: ("utimes", _PATH),
    257: ("openat", _AT), 258: ("mkdirat", _AT), 260: ("fchownat", _AT), 261: ("futimesat", _AT),
    263: ("unlinkat", _AT), 264: ("renameat", _AT), 265: ("linkat", _AT), 268: ("fchmodat", _AT),
    280: ("utimensat", _AT), 316: ("renameat2", _AT),
}  # fmt: skip
_OPENS = {2: 1, 257: 2}  # where the flags stand
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_NEW_NAME = {"link": 1, "symlink": 1}  # the argument that is made, where it is not the first
_INT = 0xFFFFFFFF
_AT_FDCWD = -100 & _INT

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long
_LIBC.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_TRACEME, _POKEUSER, _CONT, _SETOPTIONS, _SYSCALL_INFO = 0, 6, 7, 0x4200, 0x420E
_EVENT_FORKS, _EVENT_EXEC, _EVENT_SECCOMP = (1, 2, 3), 4, 7
# Follow forks of each kind and exec, stop where the filter says so, kill all when we die.
_OPTIONS = 0x100000 | sum(1 << event for event in (*_EVENT_FORKS, _EVENT_EXEC, _EVENT_SECCOMP))
_RAX, _ORIG_RAX = 80, 120
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER_MODE = 22, 38, 2
_ARCH = 0xC000003E
_ALLOW, _TRACE = 0x7FFF0000, 0x7FF00000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALL = 0x40000000  # __WALL
_STOPPED = 0x7F


class Call(NamedTuple):
    """A system call about to be made: its number in the tree, who makes it, and on which file."""

    number: int
    program: str
    name: str
    path: str

    def __str__(self) -> str:
        return f"#{self.number} {self.program}: {self.name} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens at a call: a kill of the process or of the whole tree, or an error.

    An error that lasts meets every call from there on, but for those that cannot have it.
    """

    at: int
    kind: Literal["process", "tree", "error"]
    error: int = 0
    lasts: bool = False
    spares: frozenset[str] = frozenset()

    def meets(self, call: Call) -> bool:
        """Say whether this call fails."""
        due = call.number == self.at or (self.lasts and call.number > self.at)
        return due and call.name not in self.spares


@dataclass(slots=True, kw_only=True)
class Watch:
    """Which calls count: those on files below `top`, by programs that are not apart.

    `apart` are programs whose calls are not ours to fail: the recorded command. `elsewhere` are
    those that stand for another machine, with all that they start: no kill reaches them either.
    """

    top: Path
    apart: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    seconds: float = 60.0


@dataclass(slots=True)
class Traced:
    """How it went: the exit status of the first process, its calls, and which one was hit."""

    status: int = 0
    calls: list[Call] = field(default_factory=list)
    hit: Call | None = None
    victim_is_first: bool = False


def trace(action: Callable[[], int], watch: Watch, fault: Fault | None = None) -> Traced:
    """Do `action` in a child process; return once the whole tree is gone.

    The calling process must have a single thread and no other children. Raises TimeoutError.
    """
    child = os.fork()
    if child == 0:
        _act(action)
    return _Tracer(child, watch, fault).run()


def reason_not_to_trace() -> str | None:
    """Return why processes cannot be traced here; None where they can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "needs Linux on x86-64"
    child = os.fork()
    if child == 0:
        with suppress(OSError):
            _be_traced()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, _ALL)
    while (status & 0xFF) == _STOPPED:
        _ptrace(_CONT, child)
        _, status = os.waitpid(child, _ALL)
    return None if status == 0 else "ptrace or seccomp is not permitted here"


def _act(action: Callable[[], int]) -> NoReturn:
    status = 70
    try:
        _be_traced()
        status = action()
    except BaseException:  # noqa: BLE001 -- whatever it is, this process ends here
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _be_traced() -> None:
    """Ask to be traced, wait for it, and have the kernel stop this process at its calls."""
    _ptrace(_TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    program = b"".join(_filter())
    buffer = ctypes.create_string_buffer(program)
    fields = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    header = ctypes.create_string_buffer(fields)
    address = ctypes.addressof(header)
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0), (_PR_SET_SECCOMP, _FILTER_MODE, address)):
        if _LIBC.prctl(*arguments, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


def _filter() -> Iterator[bytes]:
    """Yield the kernel's filter: a stop at each call of the table, at opens only to write."""

    def line(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("HBBI", code, then, otherwise, value)

    yield line(_LOAD, 4)  # the architecture
    yield line(_EQUAL, _ARCH, 1, 0)
    yield line(_RETURN, _ALLOW)
    yield line(_LOAD, 0)  # the call
    for number in _CALLS:
        position = _OPENS.get(number)
        if position is None:
            yield line(_EQUAL, number, 0, 1)
            yield line(_RETURN, _TRACE)
        else:
            yield line(_EQUAL, number, 0, 4)
            yield line(_LOAD, 16 + 8 * position)
            yield line(_ANY_BIT, _CHANGING, 0, 1)
            yield line(_RETURN, _TRACE)
            yield line(_RETURN, _ALLOW)
    yield line(_RETURN, _ALLOW)


def _ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> int:
    ctypes.set_errno(0)
    result: int = _LIBC.ptrace(request, pid, address, data)
    if result == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return result


class _Tracer:
    def __init__(self, first: int, watch: Watch, fault: Fault | None) -> None:
        self._first = first
        self._watch = watch
        self._fault = fault
        self._done = Traced()
        self._programs = {first: "git prov"}
        self._elsewhere: set[int] = set()
        self._info = ctypes.create_string_buffer(88)

    def run(self) -> Traced:
        os.waitpid(self._first, _ALL)
        _ptrace(_SETOPTIONS, self._first, 0, _OPTIONS)
        self._go_on(self._first)
        with self._deadline():
            while True:
                try:
                    pid, status = os.waitpid(-1, _ALL)
                except ChildProcessError:
                    return self._done
                self._programs.setdefault(pid, "")
                if os.WIFSTOPPED(status):
                    self._stopped(pid, os.WSTOPSIG(status), status >> 16)
                    continue
                del self._programs[pid]
                self._elsewhere.discard(pid)
                if pid == self._first:
                    self._done.status = os.waitstatus_to_exitcode(status)

    def _stopped(self, pid: int, number: int, event: int) -> None:
        """Deal with one stop of one process, and let it go on."""
        with suppress(ProcessLookupError):  # killed meanwhile
            if event == _EVENT_SECCOMP:
                self._at_call(pid)
            elif event == _EVENT_EXEC:
                self._programs[pid] = program = _program(pid)
                if program in self._watch.elsewhere:
                    self._elsewhere.add(pid)
            elif event in _EVENT_FORKS:
                self._forked(pid)
            # New processes begin with a stop that is the kernel's way of handing them over.
            passed = 0 if event or number == signal.SIGSTOP else number
            self._go_on(pid, passed)

    def _forked(self, pid: int) -> None:
        child = ctypes.c_ulong()
        _ptrace(0x4201, pid, 0, ctypes.addressof(child))
        self._programs[child.value] = self._programs[pid]
        if pid in self._elsewhere:
            self._elsewhere.add(child.value)

    def _at_call(self, pid: int) -> None:
        program = self._programs[pid]
        if program in self._watch.apart or pid in self._elsewhere:
            return
        name, path = self._read_call(pid)
        if not (path + "/").startswith(f"{self._watch.top}/"):
            return
        call = Call(len(self._done.calls) + 1, program, name, path)
        self._done.calls.append(call)
        fault = self._fault
        if fault and fault.meets(call):
            if self._done.hit is None:
                self._done.hit = call
                self._done.victim_is_first = pid == self._first
            self._strike(pid, fault)

    def _strike(self, pid: int, fault: Fault) -> None:
        if fault.kind == "error":
            _ptrace(_POKEUSER, pid, _ORIG_RAX, -1)
            _ptrace(_POKEUSER, pid, _RAX, -fault.error)
            return
        reached = set(self._programs) - self._elsewhere if fault.kind == "tree" else {pid}
        self._kill(reached)

    def _read_call(self, pid: int) -> tuple[str, str]:
        """Return a call's name and the file that it is about."""
        _ptrace(_SYSCALL_INFO, pid, len(self._info), ctypes.addressof(self._info))
        number, *arguments = struct.unpack_from("7Q", self._info, 24)
        name, kind = _CALLS[number]
        process = Path(f"/proc/{pid}")
        with suppress(OSError):
            if kind == _FD:
                return name, str((process / f"fd/{arguments[0] & _INT}").readlink())
            path = _text(pid, arguments[_NEW_NAME.get(name, 0) if kind == _PATH else 1])
            folder = arguments[0] & _INT if kind == _AT else _AT_FDCWD
            base = process / ("cwd" if folder == _AT_FDCWD else f"fd/{folder}")
            return name, os.path.normpath(base.readlink() / path)
        return name, ""

    def _go_on(self, pid: int, number: int = 0) -> None:
        with suppress(ProcessLookupError):
            _ptrace(_CONT, pid, 0, number)

    @staticmethod
    def _kill(pids: set[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Kill the tree when its time is up, and raise TimeoutError once it is gone."""
        end = time.monotonic() + self._watch.seconds
        before = signal.signal(signal.SIGALRM, lambda *_: self._kill(set(self._programs)))
        # Again and again: a process may have been born meanwhile.
        signal.setitimer(signal.ITIMER_REAL, self._watch.seconds, 0.5)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        if time.monotonic() > end:
            raise TimeoutError(f"not done in {self._watch.seconds:.0f} s")


def _program(pid: int) -> str:
    """Return what a process runs: the program, and for git its command."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return ""
    program = os.path.basename(words[0])  # noqa: PTH119
    if program == "git":
        rest = iter(words[1:])
        for word in rest:
            if word == "-c":
                next(rest, None)
            elif not word.startswith("-"):
                return f"git {word}"
    return program


def _text(pid: int, address: int) -> str:
    """Return the text at an address of a process."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        found = b""
        while b"\0" not in found:
            memory.seek(address + len(found))
            found += memory.read(4096 - (address + len(found)) % 4096)
    return os.fsdecode(found.partition(b"\0")[0])
