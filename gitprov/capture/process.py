"""Runs the user's command so that it cannot tell the difference, while its output is spooled.

What the command keeps: stdin and every other inherited descriptor, session, process group and
controlling terminal (so Ctrl-C, Ctrl-Z, `input()` and getpass work), signal dispositions, and a
terminal or a pipe on stdout and stderr, whichever it would have had. Bytes are passed on as they
come, unchanged; stdout and stderr keep their order where they are one file.

Whatever fails in recording, the command runs: a fault stands in the spool, never in the outcome.
"""

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Self

from gitprov.capture.output import OutputSpool
from gitprov.capture.relay import STDERR, STDOUT, OutputRelay
from gitprov.model.run import Usage

_Handler = Callable[[int, FrameType | None], object] | int | None

_TYPED = (signal.SIGINT, signal.SIGQUIT)
_SENT = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_RESIZED = (signal.SIGWINCH, signal.SIGCONT)  # SIGCONT: the window may have changed meanwhile


class CommandUnstartable(Exception):
    """The command could not be started; `shell_status` is what a shell would return."""

    def __init__(self, message: str, shell_status: int) -> None:
        super().__init__(message)
        self.shell_status = shell_status


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the command ended: with an exit code, or by a signal."""

    exit_code: int | None
    signal: int | None
    usage: Usage

    @property
    def shell_status(self) -> int:
        """The status that a shell reports: the exit code, or 128 and the signal's number."""
        return 128 + (self.signal or 0) if self.exit_code is None else self.exit_code


def run_command(
    argv: Sequence[str], *, env: Mapping[str, str], spool: OutputSpool | None
) -> Outcome:
    """Run a command to its end, passing on its output, and a copy of that to `spool`.

    Without a spool, the command has our own stdout and stderr. The program is looked up in the
    PATH of `env`. While it runs, signals sent to us are sent on to it; those typed at the terminal
    have reached it already. Outside the main thread Python cannot catch signals, and none are.

    The spool stays open. Raises CommandUnstartable where there is nothing to run.
    """
    with OutputRelay(spool) as relay, _Signals(relay) as signals:
        own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.monotonic_ns()
        process = _spawn(argv, env, relay)
        signals.started(process.pid)
        relay.started()
        status, used = relay.until_exit(process.pid)
        ended = time.monotonic_ns()
        code = process.returncode = os.waitstatus_to_exitcode(status)  # reaped: Popen must not
        signals.ended()
        relay.drain()
    usage = Usage(
        wall_ns=ended - started,
        cpu_user_ns=round(used.ru_utime * 1e9),
        cpu_system_ns=round(used.ru_stime * 1e9),
        max_rss_bytes=_peak_memory(used.ru_maxrss, own_peak),
    )
    return Outcome(
        exit_code=code if code >= 0 else None, signal=-code if code < 0 else None, usage=usage
    )


class _Signals:
    """Sends on to the command what is sent to us, and keeps us alive while it decides.

    The handlers stand before the command is started: a caught signal has its default disposition
    in the command, as if we were not there, and one that was ignored on entry stays ignored.
    """

    def __init__(self, relay: OutputRelay) -> None:
        self._relay = relay
        self._previous: dict[int, _Handler] = {}
        self._pid: int | None = None
        self._early: list[int] | None = []
        self._wakeup: tuple[int, ...] = ()
        self._previous_wakeup = -1

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._catch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._wakeup:
            signal.set_wakeup_fd(self._previous_wakeup)
            for descriptor in self._wakeup:
                os.close(descriptor)

    def started(self, pid: int) -> None:
        """Name the command's process, and send it what came before it was there."""
        self._pid = pid
        early, self._early = self._early or (), None
        for number in early:
            self._send(number)

    def ended(self) -> None:
        """Send nothing more: the process id may be another's soon."""
        self._pid = None

    def _catch(self) -> None:
        # A handler alone is not enough: a signal that comes just before a wait does not end it.
        self._wakeup = reader, writer = os.pipe()
        os.set_blocking(writer, False)
        self._previous_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._relay.wake_on(reader)
        for number in (*_TYPED, *_SENT, *(_RESIZED if self._relay.on_terminal else ())):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._previous[number] = signal.signal(number, self._receive)
        # Even where it is ignored: the kernel would throw the exit status away.
        self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number in _RESIZED:
            # The kernel has told the command before its pty had the new size: tell it again.
            if self._relay.resize():
                os.kill(0, signal.SIGWINCH)
        elif self._early is not None:
            self._early.append(number)
        elif self._pid is not None:
            self._send(number)
        elif number in _SENT:
            self._relay.abandoned = True

    def _send(self, number: int) -> None:
        # Who sent a SIGINT does not help: of one Ctrl-C we get the terminal's and then git's,
        # which repeats it for `git prov`. Where the terminal is ours, the command has its own.
        if self._pid is not None and not (number in _TYPED and _in_foreground()):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it may be setuid
                os.kill(self._pid, number)


def _spawn(
    argv: Sequence[str], env: Mapping[str, str], relay: OutputRelay
) -> subprocess.Popen[bytes]:
    def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            arguments,
            env=env,
            stdout=relay.stream(STDOUT),
            stderr=relay.stream(STDERR),
            close_fds=False,  # the shell's `<(...)` and make's jobserver are inherited descriptors
        )

    try:
        try:
            return start(argv)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            # A script without `#!`: shells and execvp give it to sh.
            return start(["/bin/sh", _find(argv[0], env), *argv[1:]])
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        name = os.fsencode(argv[0]).decode(errors="backslashreplace")
        reason = "command not found" if missing and "/" not in name else error.strerror
        raise CommandUnstartable(f"{name}: {reason}", 127 if missing else 126) from error


def _find(name: str, env: Mapping[str, str]) -> str:
    if "/" in name:
        return name
    candidates = (os.path.join(folder, name) for folder in os.get_exec_path(env))  # noqa: PTH118
    return next((path for path in candidates if os.access(path, os.X_OK)), name)


def _in_foreground() -> bool:
    """Whether what is typed at our controlling terminal reaches our process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _peak_memory(reported: int, own_peak: int) -> int | None:
    """Return the command's peak in bytes, or `None` if the number is ours and not the command's."""
    if sys.platform == "darwin":
        return reported
    # Linux counts the memory that a process had before exec, which is what we had at the fork.
    return reported * 1024 if reported > own_peak else None
