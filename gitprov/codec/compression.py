"""zstd for payloads, read with limits.

A frame may declare any size, so the declared size is checked first, against the caller's limit
and against what a frame of its length can hold at all; output is bounded whatever the frame
says, and nothing may follow the frame. Identity is never over compressed bytes: zstd's output
differs between versions and levels, and its frames need not carry a checksum.
"""

import zstandard

from gitprov.errors import MalformedRecord

MAX_PAYLOAD_BYTES = 1 << 30
_LEVEL = 3
# A block of at least four bytes yields at most 128 KiB.
_MAX_RATIO = (128 << 10) // 4


def compress(data: bytes) -> bytes:
    """Return `data` as one zstd frame that declares its size."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def decompress(frame: bytes, limit: int = MAX_PAYLOAD_BYTES) -> bytes:
    """Return what one zstd frame holds.

    Raises MalformedRecord for a frame that does not declare its size or declares more than
    `limit` bytes, for damage, and for anything that follows the frame.
    """
    try:
        if not frame.startswith(zstandard.FRAME_HEADER):
            raise MalformedRecord("not a zstd frame")
        declared = zstandard.frame_content_size(frame)
        if declared < 0:
            raise MalformedRecord("a compressed payload does not declare its size")
        if declared > limit:
            raise MalformedRecord(f"a payload of {declared} bytes; the limit is {limit}")
        if declared > len(frame) * _MAX_RATIO:
            raise MalformedRecord("a compressed payload declares more than it can hold")
        if declared == 0:
            return _empty(frame)
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise MalformedRecord(f"not a zstd frame: {error}") from error


def _empty(frame: bytes) -> bytes:
    """Read a frame that declares no content, which the one-call decoder takes on trust."""
    reader = zstandard.ZstdDecompressor().decompressobj()
    if reader.decompress(frame) or not reader.eof or reader.unused_data:
        raise MalformedRecord("a compressed payload is damaged")
    return b""
