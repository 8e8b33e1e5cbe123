"""The way from a command to one of our own streams: a pty where that is a terminal, or a pipe.

The command must not be able to tell. So its pty has the modes and the window of the real
terminal, changes of the window are passed down, and modes that the command sets on its stdout, as
curses does, are passed up.
"""

import contextlib
import fcntl
import os
import sys
import termios
from typing import Any

# Indexes into what tcgetattr returns.
_IFLAG, _OFLAG, _LFLAG, _CC = 0, 1, 3, 6


class Channel:
    """One stream of the command, from `child_end` through `source` to `target`, which is ours.

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
            self._modes = _passed_on(termios.tcgetattr(self.source))
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

    def copy_modes(self) -> None:
        """Give the real terminal the modes that the command has set on its own.

        Programs that set them on stdin or /dev/tty reach the real one directly. Done only from
        the foreground: a background process that sets modes would be stopped for it.
        """
        with contextlib.suppress(OSError, termios.error):
            modes = termios.tcgetattr(self.source)
            if _passed_on(modes) == self._modes or os.tcgetpgrp(self.target) != os.getpgrp():
                return
            self._modes = _passed_on(modes)
            real = termios.tcgetattr(self.target)
            for index in (_IFLAG, _LFLAG, _CC):
                real[index] = modes[index]
            # Post-processing stays the real terminal's; which newlines it adds is the command's.
            real[_OFLAG] = (modes[_OFLAG] & ~termios.OPOST) | (real[_OFLAG] & termios.OPOST)
            termios.tcsetattr(self.target, termios.TCSADRAIN, real)

    def unread(self) -> int:
        """Count the bytes that wait to be read."""
        with contextlib.suppress(OSError):
            count = fcntl.ioctl(self.source, termios.FIONREAD, bytes(4))
            return int.from_bytes(count, sys.byteorder)
        return 0


def _passed_on(modes: list[Any]) -> tuple[Any, ...]:
    """Return what of the modes is passed on, for comparison."""
    return modes[_IFLAG], modes[_OFLAG], modes[_LFLAG], tuple(modes[_CC])
