"""The journal's frames: documents that tell whether they were written to their end.

A frame is a length and a CRC-32 (both 32 bits, big endian) and one canonical document. A reader
takes frames until one is incomplete or does not match, which is where the writer died.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from gitprov.codec import canonical
from gitprov.codec.canonical import Document
from gitprov.errors import MalformedRecord

_HEADER = struct.Struct(">II")


def encode_event(event: Mapping[str, Any]) -> bytes:
    """Return one frame."""
    body = canonical.encode(event)
    return _HEADER.pack(len(body), zlib.crc32(body)) + body


def decode_events(data: bytes) -> Iterator[Document]:
    """Yield the whole frames at the beginning of `data`."""
    for body in _bodies(data):
        try:
            yield canonical.decode(body)
        except MalformedRecord:
            return


def begins_whole(data: bytes) -> bool:
    """Say whether the first frame is whole; what is in it is not looked at."""
    return next(_bodies(data), None) is not None


def _bodies(data: bytes) -> Iterator[bytes]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        body = data[offset : offset + length]
        offset += length
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        yield body
