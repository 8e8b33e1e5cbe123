"""Hashing the files of folders, here or in a process of its own.

A process takes requests on standard input and answers on standard output, in order, each as its
length in 32 bits and what `marshal` makes of it: both sides are the same interpreter.
"""

import marshal
import os
import signal
import struct
import sys
import time
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from gitprov.capture.hashing import hash_file
from gitprov.capture.hashing.algorithms import hashes
from gitprov.errors import InputError

_LENGTH = struct.Struct("<I")


class Request(NamedTuple):
    """Some files of one folder, how large they are together, and the digests that are wanted."""

    folder: bytes
    names: Sequence[bytes]
    size: int = 0
    algorithms: Sequence[str] = ("sha256",)


class Answer(NamedTuple):
    """Stats and digests of the files that could be read, one after the other; why not others."""

    stats: bytes
    digests: bytes
    failed: dict[bytes, str]


def answer(request: Request) -> Answer:
    """Hash the files of a request."""
    now_ns = time.time_ns()
    wanted = hashes(request.algorithms)
    stats, digests = [], []
    failed: dict[bytes, str] = {}
    prefix = os.path.join(request.folder, b"")
    for name in request.names:
        try:
            stat, found = hash_file(prefix + name, now_ns, wanted)
        except InputError as error:
            failed[name] = str(error)
        except OSError as error:
            failed[name] = error.strerror or str(error)
        else:
            stats.append(stat)
            digests.append(found)
    return Answer(b"".join(stats), b"".join(digests), failed)


def send(stream: BinaryIO, values: Sequence[tuple[object, ...]]) -> None:
    """Write requests or answers, as one message."""
    data = marshal.dumps([tuple(value) for value in values])
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> list[tuple[object, ...]]:
    """Read one message; raise EOFError where there is none."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(header)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    values: list[tuple[object, ...]] = marshal.loads(data)  # noqa: S302 -- of our own process
    return values


def main() -> None:
    """Answer until there are no more requests."""
    # It reaches the whole group; the program that hears it ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            requests = receive(sys.stdin.buffer)
        except EOFError:
            return
        send(sys.stdout.buffer, [answer(Request(*values)) for values in requests])  # type: ignore[arg-type]
