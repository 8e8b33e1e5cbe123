"""What a command prints: passed on at once, unchanged, and kept in a file.

Recording must not disturb the command. What cannot be recorded is a `fault` of the spool, and the
output flows all the same.
"""

import contextlib
import fcntl
import hashlib
import os
import select
import selectors
import sys
import termios
import time
from pathlib import Path
from resource import struct_rusage
from types import TracebackType
from typing import Self

STDOUT, STDERR = 1, 2
TAIL_BYTES = 16 * 1024

_CHUNK = 64 * 1024
_OFLAG = 1  # index of the output modes in what tcgetattr returns

# After the command has ended, something that it started may still hold its output open: a daemon,
# which must not keep us, or the `tee` of a shell's `> >(tee log)`, whose last words must not be
# lost. 0.2 s of silence tells them apart well enough; one that goes on talking has 2 s in all.
_SILENCE = 0.2
_LINGER = 2.0
_TICK = 0.05  # how often to look for the command's end where no signal tells of it
_BLOCKED_TICK = 1.0


class OutputSpool:
    """The beginning of the output in a file, up to a limit, and its end in memory.

    - Every byte given to `write` is either in the file (`size`) or counted in `dropped`.
    - The file holds a prefix of the output, unbuffered, so that it outlives a killed recorder.
    - `sha256` is the digest of what is in the file, at any time.
    - `fault` is `None`, or says why the file is incomplete; after a fault nothing is added to it.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        self.size = 0
        self.dropped = 0
        self.fault: str | None = None
        self._limit = limit
        self._hash = hashlib.sha256()
        self._end = b""
        self._descriptor = -1
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        try:
            descriptor = os.open(path, flags, 0o666)
            # Started with a closed stderr, we would be given its number.
            self._descriptor = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)
            os.close(descriptor)
        except OSError as error:
            self.fail(str(error))

    @property
    def sha256(self) -> bytes:
        """Digest of what is in the file."""
        return self._hash.digest()

    @property
    def tail(self) -> bytes:
        """The last 16 KiB at most of all output, whole lines where a line ends within them."""
        if len(self._end) <= TAIL_BYTES:
            return self._end
        # One byte more than the tail is kept: it tells whether the tail begins a line as it is.
        _, newline, lines = self._end.partition(b"\n")
        return lines if newline and lines else self._end[1:]

    def write(self, data: bytes) -> None:
        """Take the next bytes of the output."""
        self._end = (self._end + data[-TAIL_BYTES - 1 :])[-TAIL_BYTES - 1 :]
        before = self.size
        if self.fault is None:
            self._store(memoryview(data)[: max(0, self._limit - self.size)])
        self.dropped += len(data) - (self.size - before)

    def fail(self, reason: str) -> None:
        """Stop storing, for a reason that is kept if it is the first."""
        if self.fault is None:
            self.fault = reason

    def close(self, *, fsync: bool = True) -> None:
        """Finish the file and make its content durable; more than once does no harm."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        try:
            try:
                if fsync and self.fault is None:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.fail(str(error))

    def _store(self, view: memoryview) -> None:
        try:
            while view:
                stored = os.write(self._descriptor, view)
                self._hash.update(view[:stored])
                self.size += stored
                view = view[stored:]
        except OSError as error:
            self.fail(str(error))


class _Channel:
    """The way from the command to one of our own streams: a pty if that is a terminal, or a pipe.

    `pending` was read and is not yet written; while there is any, nothing more is read, so a slow
    reader slows the command down as it would have.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.terminal = os.isatty(target)
        self.source, self.child_end = os.openpty() if self.terminal else os.pipe()
        self.pending = memoryview(b"")
        self.owed = 0  # bytes that were in the pipe when the command ended
        if self.terminal:
            self.size = bytes(8)
            modes = termios.tcgetattr(target)
            modes[_OFLAG] &= ~termios.OPOST  # the real terminal does that, once
            termios.tcsetattr(self.child_end, termios.TCSANOW, modes)
            self.copy_size()

    def copy_size(self) -> bool:
        """Give the pty the size of the real window; says whether that is a change."""
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(self.target, termios.TIOCGWINSZ, bytes(8))
            if size != self.size:
                fcntl.ioctl(self.source, termios.TIOCSWINSZ, size)
                self.size = size
                return True
        return False

    def unread(self) -> int:
        """Count the bytes that wait to be read."""
        with contextlib.suppress(OSError):
            count = fcntl.ioctl(self.source, termios.FIONREAD, bytes(4))
            return int.from_bytes(count, sys.byteorder)
        return 0


class OutputRelay:
    """Moves output from the command to our streams and the spool, one event at a time.

    Nothing here blocks in a write: one stream whose reader has stopped must not hold up the other.
    """

    def __init__(self, spool: OutputSpool | None) -> None:
        self._spool = spool
        # poll takes any number of descriptors; macOS documents that its own takes no devices.
        linux = sys.platform == "linux"
        self._selector = selectors.PollSelector() if linux else selectors.SelectSelector()
        self._channels: dict[int, _Channel] = {}
        self._open: list[_Channel] = []
        self._moved = 0.0
        self._woken = False
        self.abandoned = False
        if spool is not None:
            try:
                self._open_channels()
            except (OSError, termios.error) as error:  # no pty to be had: run unrecorded
                self.__exit__(None, None, None)
                self._channels = {}
                spool.fail(str(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.started()
        for channel in tuple(self._open):
            self._close(channel)
        self._selector.close()

    def stream(self, number: int) -> int | None:
        """Return what the command gets as stdout or stderr; `None` is our own."""
        channel = self._channels.get(number)
        return None if channel is None else channel.child_end

    @property
    def on_terminal(self) -> bool:
        """Whether the command has a pty."""
        return any(channel.terminal for channel in self._open)

    def resize(self) -> bool:
        """Copy the window's size to each pty; says whether it has changed."""
        changes = [channel.copy_size() for channel in self._open if channel.terminal]
        return any(changes)

    def started(self) -> None:
        """Let go of the command's ends, so that the last process to close them ends the output."""
        for channel in set(self._channels.values()):
            if channel.child_end >= 0:
                os.close(channel.child_end)
                channel.child_end = -1

    def wake_on(self, descriptor: int) -> None:
        """Let bytes on a descriptor end a wait: they say that a signal has come."""
        self._selector.register(descriptor, selectors.EVENT_READ)
        self._woken = True

    def until_exit(self, pid: int) -> tuple[int, struct_rusage]:
        """Move output until the command has ended; return its wait status and what it used."""
        while self._open or self._woken:
            # SIGCHLD ends the wait, unless we were started with it blocked.
            self._turn(_BLOCKED_TICK if self._woken else _TICK)
            reaped, status, used = os.wait4(pid, os.WNOHANG)
            if reaped:
                return status, used
        _, status, used = os.wait4(pid, 0)
        return status, used

    def drain(self) -> None:
        """Move what the ended command has left, and what comes within the grace from others."""
        for channel in self._open:
            channel.owed = channel.unread()
        ended = self._moved = time.monotonic()
        while self._open and not self.abandoned:
            now = time.monotonic()
            silent = now - self._moved > _SILENCE
            late = now - ended > _LINGER and all(channel.owed <= 0 for channel in self._open)
            if (silent or late) and not any(channel.pending for channel in self._open):
                return
            self._turn(_SILENCE)

    def _open_channels(self) -> None:
        ours: dict[int, tuple[int, int, int]] = {}
        for number in (STDOUT, STDERR):
            with contextlib.suppress(OSError):  # closed for us, and so for the command
                status = os.fstat(number)
                ours[number] = (status.st_dev, status.st_ino, status.st_rdev)
        files: dict[tuple[int, int, int], _Channel] = {}
        for number, file in ours.items():
            if file not in files:
                files[file] = channel = _Channel(number)
                self._open.append(channel)
                self._selector.register(channel.source, selectors.EVENT_READ, channel)
            self._channels[number] = files[file]

    def _turn(self, timeout: float) -> None:
        """Wait for something to move, and move it."""
        for key, _ in self._selector.select(timeout):
            channel: _Channel | None = key.data
            if channel is None:
                os.read(key.fd, _CHUNK)
            elif channel.pending:
                self._write(channel)
            else:
                self._read(channel)

    def _read(self, channel: _Channel) -> None:
        try:
            data = os.read(channel.source, _CHUNK)
        except OSError:  # EIO is how Linux says that a pty has no other end any more
            data = b""
        if not data:
            self._close(channel)
            return
        self._moved = time.monotonic()
        channel.owed -= len(data)
        channel.pending = memoryview(data)
        self._selector.unregister(channel.source)
        self._selector.register(channel.target, selectors.EVENT_WRITE, channel)
        if self._spool is not None:
            self._spool.write(data)

    def _write(self, channel: _Channel) -> None:
        try:  # a pipe that polls as writable takes this much without blocking
            sent = os.write(channel.target, channel.pending[: select.PIPE_BUF])
        except BlockingIOError:
            return
        except OSError:  # the reader has gone: the command's next write must fail as ours did
            self._close(channel)
            return
        self._moved = time.monotonic()
        channel.pending = channel.pending[sent:]
        if not channel.pending:
            self._selector.unregister(channel.target)
            self._selector.register(channel.source, selectors.EVENT_READ, channel)

    def _close(self, channel: _Channel) -> None:
        self._selector.unregister(channel.target if channel.pending else channel.source)
        channel.pending = memoryview(b"")
        self._open.remove(channel)
        os.close(channel.source)
