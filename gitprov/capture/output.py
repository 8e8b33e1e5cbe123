"""What a command prints, kept: its beginning in a file, its end in memory.

Recording must not disturb the command. What cannot be recorded is a `fault` of the spool, and the
output flows all the same.
"""

import fcntl
import hashlib
import os
from pathlib import Path

TAIL_BYTES = 16 * 1024

_STDERR = 2


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
            self._descriptor = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _STDERR + 1)
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
