"""A command under strace: Linux, any program.

strace follows every process of the command, and is seen by none of them: it is no parent of theirs
(`-D`), so signals, terminals and the exit status are the command's own, and the kernel stops only
the calls that name files (`--seccomp-bpf`). What it says goes through a pipe to a reader, which is
a program of its own (`gitprov.capture.tracing.strace_reader`).
"""

import contextlib
import marshal
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitprov.capture.tracing.strace_lines import CALLS
from gitprov.capture.tracing.strace_reader import READY
from gitprov.capture.tracing.touched import Touched, Write
from gitprov.errors import InputError
from gitprov.store.git import last_line

_OPTIONS = (
    "-D", "-f", "--seccomp-bpf", "-z", "-y", "-q", "-s", "0", "-e", "signal=none",
    "-e", "trace=" + ",".join(f"?{name}" for name in CALLS),
)  # fmt: skip
_PROGRAM = (
    "import sys; count = int(sys.argv[1]); sys.path[:] = sys.argv[2:count + 2]; "
    "del sys.argv[1:count + 2]; "
    "from gitprov.capture.tracing.strace_reader import main; main()"
)
_PROBE_SECONDS = 10
_ELF, _SCRIPT = b"\x7fELF", b"#!"
_HEAD_BYTES = 256


@dataclass(slots=True)
class StraceFindings:
    """What strace has said: what was touched, and what it cannot have seen of it.

    `living` are the processes that were left when the command had ended; `processes` counts all.
    """

    touched: Touched
    gaps: list[str]
    processes: int
    living: int


class Strace:
    """One command under strace, whose pipe stands in `folder`.

    Raises InputError where nothing can be traced, which says what to do, and OSError.
    """

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], folder: Path, top: str, roots: list[str]
    ) -> None:
        self._strace = _require(argv, env)
        self._pipe = folder / "strace"
        os.mkfifo(self._pipe, 0o600)
        arguments = [os.fspath(self._pipe), top, os.getcwd(), *roots]
        # A session of its own: what is typed at the terminal is not meant for it.
        self._reader = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, str(len(sys.path)), *sys.path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "GITPROV_OBSERVE_READS": "0"},
        )
        assert self._reader.stdout  # noqa: S101 -- opened with pipes
        # Without a reader, the command would wait for ever.
        if self._reader.stdout.read(len(READY)) != READY:
            raise InputError("what strace says cannot be read: the reader has not started")

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs another one traced."""
        return [self._strace, *_OPTIONS, "-o", os.fspath(self._pipe), "--", *argv]

    def findings(self) -> StraceFindings:
        """Return what was touched; the command has ended.

        Raises InputError where that is not known.
        """
        with contextlib.suppress(OSError):  # strace may never have come to the pipe
            os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
        assert self._reader.stdout  # noqa: S101 -- opened with pipes
        with self._reader.stdout as stream:
            said = stream.read()
        self._reader.poll()
        try:
            found = marshal.loads(said)  # noqa: S302 -- from a program of ours
        except (EOFError, ValueError, TypeError) as error:
            raise InputError("what strace has said was not read to its end") from error
        if not found["is_over"]:
            found["gaps"].append("strace did not see the end of the command")
        touched = Touched(
            reads=found["reads"],
            writes={name: Write(*write) for name, write in found["writes"].items()},
            folders=found["folders"],
            doubtful=set(found["doubtful"]),
        )
        return StraceFindings(touched, found["gaps"], found["processes"], found["living"])


def _require(argv: Sequence[str], env: Mapping[str, str]) -> str:
    """Return strace, if it can trace this command; raise InputError that says what to do."""
    if sys.platform != "linux":
        raise InputError("strace is for Linux; --trace=audit observes Python everywhere")
    strace = shutil.which("strace", path=env.get("PATH"))
    if strace is None:
        raise InputError(
            "strace is not installed; install it with the system's packages: apt-get install strace"
        )
    try:
        probe = subprocess.run(
            [strace, *_OPTIONS, "-o", os.devnull, "--", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError("strace did not end in time when it was tried") from error
    if probe.returncode != 0 or probe.stderr:
        raise InputError(
            f"strace may not trace here, or is older than 5.4 ({last_line(probe.stderr)}); a "
            "container needs --cap-add=SYS_PTRACE, and kernel.yama.ptrace_scope must be below 3"
        )
    _require_program(argv[0], env)
    return strace


def _require_program(name: str, env: Mapping[str, str]) -> None:
    """Raise InputError where strace would say in other words than ours why there is no program."""
    program = shutil.which(name, path=env.get("PATH"))
    if program is None:
        raise InputError(f"{name} is not a program that can be started")
    try:
        head = _head(program)
    except OSError:  # it may be executed, and not be read
        return
    if head.startswith(_SCRIPT):
        words = os.fsdecode(head[2:].split(b"\n")[0]).split()
        if words and os.access(words[0], os.X_OK):
            return
    elif head.startswith(_ELF):
        if _machine(head) == _machine(_head(sys.executable)):
            return
        raise InputError(f"{name} is a program for another machine")
    raise InputError(f"{name} is neither a binary nor a script that names its interpreter")


def _head(program: str) -> bytes:
    with Path(program).open("rb") as file:
        return file.read(_HEAD_BYTES)


def _machine(head: bytes) -> bytes:
    """Return for which machines a binary is: its class, byte order and architecture."""
    return head[4:6] + head[18:20]
