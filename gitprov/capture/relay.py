"""Passing on what a command prints: at once, unchanged, with a copy to the spool."""

import contextlib
import os
import select
import selectors
import sys
import termios
import time
from resource import struct_rusage
from types import TracebackType
from typing import Self

from gitprov.capture.channel import Channel
from gitprov.capture.output import OutputSpool

STDOUT, STDERR = 1, 2

_CHUNK = 64 * 1024

# After the command has ended, something that it started may still hold its output open: a daemon,
# which must not keep us, or the `tee` of a shell's `> >(tee log)`, whose last words must not be
# lost. 0.2 s of silence tells them apart well enough; one that goes on talking has 2 s in all.
_SILENCE = 0.2
_LINGER = 2.0
_TICK = 0.05  # how often to look for the command's end where no signal tells of it
_BLOCKED_TICK = 1.0


class OutputRelay:
    """Moves output from the command to our streams and the spool, one event at a time.

    Nothing here blocks in a write: one stream whose reader has stopped must not hold up the other.
    """

    def __init__(self, spool: OutputSpool | None) -> None:
        self._spool = spool
        # poll takes any number of descriptors; macOS documents that its own takes no devices.
        linux = sys.platform == "linux"
        self._selector = selectors.PollSelector() if linux else selectors.SelectSelector()
        self._channels: dict[int, Channel] = {}
        self._open: list[Channel] = []
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
            if channel.terminal:
                channel.copy_modes()
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
        files: dict[tuple[int, int, int], Channel] = {}
        for number, file in ours.items():
            if file not in files:
                files[file] = channel = Channel(number)
                self._open.append(channel)
                self._selector.register(channel.source, selectors.EVENT_READ, channel)
            self._channels[number] = files[file]

    def _turn(self, timeout: float) -> None:
        """Wait for something to move, and move it."""
        for key, _ in self._selector.select(timeout):
            channel: Channel | None = key.data
            if channel is None:
                os.read(key.fd, _CHUNK)
            elif channel.pending:
                self._write(channel)
            else:
                self._read(channel)
        if self._spool is not None and not any(channel.pending for channel in self._open):
            self._spool.settle()

    def _read(self, channel: Channel) -> None:
        try:
            data = os.read(channel.source, _CHUNK)
        except OSError:  # EIO is how Linux says that a pty has no other end any more
            data = b""
        if not data:
            self._close(channel)
            return
        if channel.terminal:
            channel.copy_modes()  # before the output that was written for them
        self._moved = time.monotonic()
        channel.owed -= len(data)
        channel.pending = memoryview(data)
        self._selector.unregister(channel.source)
        self._selector.register(channel.target, selectors.EVENT_WRITE, channel)
        if self._spool is not None:
            self._spool.write(data, channel.target)

    def _write(self, channel: Channel) -> None:
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

    def _close(self, channel: Channel) -> None:
        self._selector.unregister(channel.target if channel.pending else channel.source)
        channel.pending = memoryview(b"")
        self._open.remove(channel)
        os.close(channel.source)
