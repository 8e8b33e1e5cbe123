"""The digests of one file, and the stat that belongs to them."""

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from stat import S_ISREG
from typing import NamedTuple

from gitprov.capture.hashing.algorithms import Hash
from gitprov.errors import InputError

# A small file is one read: the call costs more than the hash.
_BUFFER_BYTES = 1 << 20
_ATTEMPTS = 3
# Clocks of filesystems tick. Coarse ones are those with whole seconds.
_TICK_NS = 20_000_000
_COARSE_TICK_NS = 2_000_000_000
_SECOND_NS = 1_000_000_000
_STAT = struct.Struct("<QqqQI")
STAT_BYTES = _STAT.size


class Hashed(NamedTuple):
    """What a file was when it was read: its stat, packed by `pack_stat`, and its digests."""

    stat: bytes
    digests: bytes


def pack_stat(found: os.stat_result) -> bytes:
    """Return what of a file's stat changes when its content does, as far as a stat can tell.

    Size in bytes, time of the last change of content and of the inode in nanoseconds, inode, mode.
    """
    return _STAT.pack(
        found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode
    )


def size_and_mode(stat: bytes) -> tuple[int, int]:
    """Return the size in bytes and the mode of a packed stat."""
    size, _, _, _, mode = _STAT.unpack(stat)
    return size, mode


def sizes_and_modes(stats: bytes) -> Iterator[tuple[int, int]]:
    """Yield the same of packed stats, one after the other."""
    return ((size, mode) for size, _, _, _, mode in _STAT.iter_unpack(stats))


def sum_of_sizes(stats: bytes) -> int:
    """Return how large the files are together whose packed stats these are."""
    return sum(size for size, *_ in _STAT.iter_unpack(stats))


def hash_file(
    path: bytes,
    now_ns: int,
    hashes: Sequence[Callable[[], Hash]],
    heard: Callable[[int], None] | None = None,
) -> Hashed:
    """Return the digests of a file, one after the other, and the stat that it had meanwhile.

    A file that was written within one tick of `now_ns`, when hashing began, may be written once
    more with the same times: git's racy rule. Its stat is one that no file has, but for size and
    mode, so that it is hashed again. A file that changes while it is read is read again. `heard`
    is told of bytes that were read, where they are many. Raises InputError where the file keeps
    changing, OSError where it cannot be read.
    """
    for _ in range(_ATTEMPTS):
        # Without waiting: it may have become a pipe since it was looked at.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            if not S_ISREG(found.st_mode):
                raise InputError(f"{os.fsdecode(path)} is no file any more")
            digests = _hash(descriptor, found.st_size, hashes, heard)
            after = os.fstat(descriptor)
            if digests is not None and _times(found) == _times(after):
                stat = pack_stat(found) if _is_settled(found, now_ns) else _unsettled(found)
                return Hashed(stat, digests)
        finally:
            os.close(descriptor)
    name = os.fsdecode(path)
    raise InputError(f"{name} keeps changing while it is read; record it once it is complete")


def _hash(
    descriptor: int,
    size: int,
    hashes: Sequence[Callable[[], Hash]],
    heard: Callable[[int], None] | None,
) -> bytes | None:
    """Return the digests of what is read, None where it is not as long as its stat says."""
    begun = [new() for new in hashes]
    if size < _BUFFER_BYTES:
        # One more than there should be: so a file that has grown shows.
        data = os.read(descriptor, size + 1)
        if len(data) != size:
            return None
        for each in begun:
            each.update(data)
        return b"".join([each.digest() for each in begun])
    buffer = bytearray(_BUFFER_BYTES)
    view = memoryview(buffer)
    read = 0
    while count := os.readv(descriptor, [buffer]):
        for each in begun:
            each.update(view[:count])
        read += count
        if read > size:  # it might grow for ever
            return None
        if heard is not None:
            heard(count)
    return b"".join([each.digest() for each in begun]) if read == size else None


def _times(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_settled(found: os.stat_result, now_ns: int) -> bool:
    mtime_ns, ctime_ns = found.st_mtime_ns, found.st_ctime_ns
    tick = _TICK_NS if mtime_ns % _SECOND_NS or ctime_ns % _SECOND_NS else _COARSE_TICK_NS
    return max(mtime_ns, ctime_ns) < now_ns - tick


def _unsettled(found: os.stat_result) -> bytes:
    return _STAT.pack(found.st_size, 0, 0, 0, found.st_mode)
