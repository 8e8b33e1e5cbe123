"""Compressed payloads from strangers: bombs, lies about sizes, and what follows a frame."""

import struct
import tracemalloc

import pytest
import zstandard

from gitprov.codec.compression import compress, decompress
from gitprov.errors import MalformedRecord

MAGIC = b"\x28\xb5\x2f\xfd"
BLOCK = 128 << 10


def frame_header(declared: int | None) -> bytes:
    """Return a handmade header: a content size of 8 bytes, or none and a window of 2 MiB."""
    if declared is None:
        return MAGIC + b"\x00\x58"
    return MAGIC + b"\xe0" + struct.pack("<Q", declared)


def blocks(count: int) -> bytes:
    """Return blocks that repeat one byte, 128 KiB for each four bytes."""
    repeated = [(BLOCK << 3 | 1 << 1 | (index == count - 1)) for index in range(count)]
    return b"".join(header.to_bytes(3, "little") + b"a" for header in repeated)


def refused_at(frame: bytes, limit: int) -> int:
    """Check that a frame is refused; return the peak of memory that it took."""
    tracemalloc.start()
    try:
        with pytest.raises(MalformedRecord):
            decompress(frame, limit)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_handmade_frames_are_sound() -> None:
    assert decompress(frame_header(BLOCK * 3) + blocks(3)) == b"a" * BLOCK * 3


@pytest.mark.parametrize("declared", [(1 << 20) + 1, 1 << 30, 1 << 40, (1 << 63) - 1])
def test_a_declared_bomb_is_refused_before_memory_is_taken(declared: int) -> None:
    assert refused_at(frame_header(declared) + blocks(20_000), 1 << 20) < 1 << 18


@pytest.mark.parametrize("declared", [1 << 29, 1 << 30])
def test_a_declared_size_that_the_frame_cannot_hold(declared: int) -> None:
    assert refused_at(frame_header(declared) + blocks(10), 1 << 30) < 1 << 18


def test_a_bomb_that_declares_too_little() -> None:
    for declared in (0, 1, BLOCK):
        assert refused_at(frame_header(declared) + blocks(2000), 1 << 30) < 1 << 20


def test_a_bomb_that_declares_nothing() -> None:
    assert refused_at(frame_header(None) + blocks(2000), 1 << 30) < 1 << 18


def test_a_frame_that_holds_less_than_it_declares() -> None:
    with pytest.raises(MalformedRecord):
        decompress(frame_header(BLOCK * 3) + blocks(2))


@pytest.mark.parametrize("content", [b"", b"x", b"hello" * 1000], ids=len)
def test_a_second_frame_is_refused(content: bytes) -> None:
    for frame in (compress(b""), compress(b"y"), b"\x50\x2a\x4d\x18\0\0\0\0", b"\0"):
        with pytest.raises(MalformedRecord):
            decompress(compress(content) + frame)


@pytest.mark.parametrize("frame", [b"\x50\x2a\x4d\x18\0\0\0\0", b"\x5f\x2a\x4d\x18\x01\0\0\0x"])
def test_frames_to_skip_are_no_payload(frame: bytes) -> None:
    with pytest.raises(MalformedRecord):
        decompress(frame)


def test_an_empty_frame_is_checked_to_its_end() -> None:
    frame = compress(b"")
    assert decompress(frame) == b""
    for damaged in (frame[:-1], frame[:-3], frame[:-1] + b"\xff", frame + b"\0"):
        with pytest.raises(MalformedRecord):
            decompress(damaged)


def test_a_frame_with_a_checksum_is_checked() -> None:
    frame = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(b"hello" * 10))
    assert decompress(bytes(frame)) == b"hello" * 10
    frame[-1] ^= 1
    with pytest.raises(MalformedRecord):
        decompress(bytes(frame))


def test_a_stream_without_size_is_refused() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"hello")
    with pytest.raises(MalformedRecord, match="declare its size"):
        decompress(frame)


def test_the_limit_is_the_last_size_that_is_read() -> None:
    assert decompress(compress(b"12345"), limit=5) == b"12345"
    with pytest.raises(MalformedRecord, match="limit"):
        decompress(compress(b"123456"), limit=5)


def test_the_highest_ratio_is_read() -> None:
    content = bytes(32 << 20)
    assert decompress(compress(content)) == content
