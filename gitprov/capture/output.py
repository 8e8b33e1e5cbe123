"""What a command prints, kept without its secrets: its beginning in a file, its end in memory.

Recording must not disturb the command. What cannot be recorded is a `fault` of the spool, and the
output flows all the same.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.secrets.stream import RedactedStream
from gitprov.errors import GitprovError

TAIL_BYTES = 16 * 1024

OUTPUT_PLACE = "byproducts.output.log"

_STDERR = 2


class OutputSpool:
    """The beginning of the output in a file, up to a limit, and its end in memory.

    With a `redactor`, the output is that without secrets: what has to be held back until it is
    whole reaches the file with the next `write` or `settle`, or with `close`.

    - Every byte of the output is either in the file (`size`) or counted in `dropped`.
    - The file holds a prefix of the output, unbuffered, so that it outlives a killed recorder.
    - `sha256` is the digest of what is in the file, at any time.
    - `fault` is `None`, or says why the file is incomplete; after a fault nothing is added to it.
    """

    def __init__(self, path: Path, *, limit: int, redactor: Redactor | None = None) -> None:
        self.size = 0
        self.dropped = 0
        self.fault: str | None = None
        self._limit = limit
        self._hash = hashlib.sha256()
        self._end = b""
        self._streams: dict[int, RedactedStream] = {}
        self._redactor = redactor
        self._scanner_failed = False
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

    def write(self, data: bytes, stream: int = 1) -> None:
        """Take the next bytes of one of the command's streams; a line is never of two of them.

        Quick: what is not waits for `settle`.
        """
        if self._redactor is None:
            self._keep(data)
            return
        if stream not in self._streams:
            self._streams[stream] = RedactedStream(self._redactor, OUTPUT_PLACE)
        self._keep_of(self._streams[stream], lambda held: held.feed(data), len(data))

    def settle(self) -> None:
        """Do what had to wait, once the output was passed on."""
        for stream in self._streams.values():
            if stream.waits:
                self._keep_of(stream, RedactedStream.settle)

    def _keep_of(
        self, stream: RedactedStream, take: Callable[[RedactedStream], bytes], new: int = 0
    ) -> None:
        """Keep what a stream gives; where the scanner fails, nothing more is kept of any."""
        if self._scanner_failed:
            self.dropped += new
            return
        try:
            self._keep(take(stream))
        except Exception as error:  # noqa: BLE001 -- it must not stop the output
            self._scanner_failed = True
            self.dropped += sum(stream.held for stream in self._streams.values())
            known = isinstance(error, GitprovError)  # the words of others may hold what they saw
            why = str(error) if known else type(error).__name__
            self.fail(f"it could not be searched for secrets ({why})")

    def _keep(self, data: bytes) -> None:
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
        for stream in self._streams.values():
            self._keep_of(stream, RedactedStream.end)
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
