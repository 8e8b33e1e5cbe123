import hashlib
from pathlib import Path

import pytest

from gitprov.capture.output import TAIL_BYTES, OutputSpool


def test_everything_below_the_limit_is_in_the_file(tmp_path: Path) -> None:
    spool = OutputSpool(tmp_path / "log", limit=100)
    for data in (b"one\n", b"", b"\xff\x00two\r"):
        spool.write(data)
    stored = b"one\n\xff\x00two\r"
    assert (tmp_path / "log").read_bytes() == stored  # before it is closed, too
    assert (spool.size, spool.dropped, spool.tail) == (len(stored), 0, stored)
    assert spool.sha256 == hashlib.sha256(stored).digest()
    assert spool.fault is None
    spool.close()
    spool.close(fsync=False)


def test_what_is_beyond_the_limit_is_counted_and_seen_in_the_tail(tmp_path: Path) -> None:
    spool = OutputSpool(tmp_path / "log", limit=5)
    for data in (b"abc", b"defg", b"hi"):
        spool.write(data)
    spool.close()
    assert (tmp_path / "log").read_bytes() == b"abcde"
    assert (spool.size, spool.dropped, spool.tail) == (5, 4, b"abcdefghi")
    assert spool.sha256 == hashlib.sha256(b"abcde").digest()
    assert spool.fault is None


@pytest.mark.parametrize(
    ("output", "tail"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"x" * TAIL_BYTES, b"x" * TAIL_BYTES, id="all of it"),
        pytest.param(b"x" * (TAIL_BYTES + 9), b"x" * TAIL_BYTES, id="no line start"),
        pytest.param(b"x" * TAIL_BYTES + b"\n", b"x" * (TAIL_BYTES - 1) + b"\n", id="one line"),
        pytest.param(b"x" * TAIL_BYTES + b"\nlast", b"last", id="a line start"),
        pytest.param(b"\n" + b"x" * TAIL_BYTES, b"x" * TAIL_BYTES, id="a line start at its edge"),
    ],
)
@pytest.mark.parametrize("step", [1, 1000, 10**6])
def test_tail(tmp_path: Path, output: bytes, tail: bytes, step: int) -> None:
    spool = OutputSpool(tmp_path / "log", limit=0)
    for start in range(0, len(output), step):
        spool.write(output[start : start + step])
    spool.close(fsync=False)
    assert spool.tail == tail
    assert spool.dropped == len(output)


def test_full_disk_is_a_fault() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    spool = OutputSpool(full, limit=100)
    spool.write(b"abc")
    spool.write(b"def")
    spool.close()
    assert spool.fault is not None
    assert "No space left" in spool.fault
    assert (spool.size, spool.dropped, spool.tail) == (0, 6, b"abcdef")
    assert spool.sha256 == hashlib.sha256(b"").digest()


def test_file_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    spool = OutputSpool(tmp_path / "missing" / "log", limit=100)
    spool.write(b"abc")
    spool.close()
    assert spool.fault is not None
    assert (spool.size, spool.dropped) == (0, 3)


def test_the_first_fault_is_kept(tmp_path: Path) -> None:
    spool = OutputSpool(tmp_path / "log", limit=100)
    spool.write(b"abc")
    spool.fail("first")
    spool.fail("second")
    spool.write(b"def")
    spool.close()
    assert spool.fault == "first"
    assert (spool.size, spool.dropped) == (3, 3)
    assert (tmp_path / "log").read_bytes() == b"abc"
