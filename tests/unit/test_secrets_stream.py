"""A stream without its secrets: what is held back, for how long, and what is kept on disk."""

import hashlib
import random
import string
from pathlib import Path

import pytest

from gitprov.capture.output import TAIL_BYTES, OutputSpool
from gitprov.capture.secrets.allowed import Allowed
from gitprov.capture.secrets.commitments import commitment
from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.library import library_version, tokens
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.secrets.scanner import Scanner
from gitprov.capture.secrets.stream import MAX_HELD, RedactedStream

SALT = bytes(32)
TOKEN = "hf_" + "aBcDeFgHi" * 4
LETTERS = string.ascii_letters + string.digits
KEY = "\n".join(
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        *("".join(random.Random(line).choices(LETTERS, k=64)) for line in range(12)),  # noqa: S311
        "-----END RSA PRIVATE KEY-----",
    ]
)


@pytest.fixture(autouse=True)
def _library_is_imported() -> None:
    list(tokens(library_version()))


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(Scanner(Allowed()), lambda: SALT)


@pytest.fixture
def stream(redactor: Redactor) -> RedactedStream:
    return RedactedStream(redactor, "output")


def committed(value: str) -> bytes:
    return commitment(SALT, value).encode()


def test_a_line_is_held_back_until_it_is_whole(stream: RedactedStream) -> None:
    assert stream.feed(b"one\ntwo") == b"one\n"
    assert stream.feed(f" {TOKEN[:20]}".encode()) == b""
    assert stream.feed(f"{TOKEN[20:]} three".encode()) == b""
    assert stream.feed(b"\nfour") == b"two " + committed(TOKEN) + b" three\n"
    assert stream.held == 4
    assert stream.end() == b"four"
    assert stream.held == 0


def test_the_lines_of_a_progress_bar_are_lines(stream: RedactedStream) -> None:
    assert stream.feed(b"\r 10%|#  |") == b"\r"
    assert stream.feed(b"\r 20%|## |") == b" 10%|#  |\r"
    assert stream.feed(b"\r\n") == b" 20%|## |\r\n"


def test_bytes_stay_as_they_are(stream: RedactedStream) -> None:
    data = b"caf\xe9 \xff\x00 \xf0\x9f\x98\x80 \xf0\x9f\n"
    assert stream.feed(data[:13]) + stream.feed(data[13:]) == data
    assert stream.feed(b"\xe9 " + TOKEN.encode() + b" \xff\n") == (
        b"\xe9 " + committed(TOKEN) + b" \xff\n"
    )


def test_a_private_key_is_held_back_until_its_end(stream: RedactedStream) -> None:
    lines = [f"{line}\n".encode() for line in KEY.splitlines()]
    assert [stream.feed(line) for line in lines[:-1]] == [b""] * (len(lines) - 1)
    assert stream.feed(lines[-1]) == committed(KEY) + b"\n"


def test_a_private_key_without_an_end(stream: RedactedStream) -> None:
    cut = KEY[:300]
    assert stream.feed(f"a\n{cut}".encode()) == b"a\n"
    assert stream.end() == committed(cut)


def test_a_word_about_keys_holds_nothing_up(stream: RedactedStream) -> None:
    assert stream.feed(b"-----BEGIN RSA PRIVATE KEY-----\n") == b""
    told = stream.feed(b"is how a key begins\n")
    assert told == b"-----BEGIN RSA PRIVATE KEY-----\nis how a key begins\n"


@pytest.mark.parametrize("step", [100, 4000, 70_000])
@pytest.mark.parametrize("place", [0, 100, MAX_HELD - 20, MAX_HELD - 4100, MAX_HELD + 5])
@pytest.mark.parametrize("secret", [f" {TOKEN} ", " --password hunter2hunter2 ", f' "{TOKEN}" '])
def test_a_line_without_an_end(stream: RedactedStream, step: int, place: int, secret: str) -> None:
    text = "x. " * (place // 3) + secret + "y, " * 60_000
    data = text.encode()
    given = b"".join(stream.feed(data[start : start + step]) for start in range(0, len(data), step))
    assert len(given) > MAX_HELD  # and the rest is not far
    assert stream.held < 2 * MAX_HELD
    value = TOKEN if TOKEN in secret else "hunter2hunter2"
    assert given + stream.end() == data.replace(value.encode(), committed(value))


def test_what_takes_long_waits(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def not_yet(text: str) -> list[Finding] | None:
        asked.append(text)
        return None if "token" in text else []

    monkeypatch.setattr(redactor, "find_at_once", not_yet)
    stream = RedactedStream(redactor, "output")
    assert stream.feed(b"one\n") == b"one\n"
    assert stream.feed(f"token {TOKEN}\n".encode()) == b""
    assert stream.waits
    assert stream.feed(b"two\n") == b""
    assert stream.settle() == b"token " + committed(TOKEN) + b"\ntwo\n"
    assert not stream.waits
    assert asked == ["one\n", f"token {TOKEN}\n"]


class TestSpool:
    def test_what_reaches_the_disk_has_no_secret(self, tmp_path: Path, redactor: Redactor) -> None:
        spool = OutputSpool(tmp_path / "log", limit=10_000, redactor=redactor)
        for data in (b"a\n", f"b {TOKEN[:9]}".encode(), TOKEN[9:].encode(), b"\nc\nd"):
            spool.write(data)
            assert TOKEN[:9].encode() not in (tmp_path / "log").read_bytes()
        expected = b"a\nb " + committed(TOKEN) + b"\nc\n"
        assert (tmp_path / "log").read_bytes() == expected
        spool.close()
        expected += b"d"
        assert (tmp_path / "log").read_bytes() == expected
        assert (spool.size, spool.dropped, spool.fault) == (len(expected), 0, None)
        assert spool.sha256 == hashlib.sha256(expected).digest()
        assert spool.tail == expected
        assert redactor.found == {"byproducts.output.log": "Hugging Face Token"}

    def test_a_line_is_never_of_two_streams(self, tmp_path: Path, redactor: Redactor) -> None:
        spool = OutputSpool(tmp_path / "log", limit=10_000, redactor=redactor)
        spool.write(f"out {TOKEN[:20]}".encode(), 1)
        spool.write(b"err", 2)
        spool.write(f"{TOKEN[20:]}\n".encode(), 1)
        spool.write(b"or\n", 2)
        spool.close()
        assert (tmp_path / "log").read_bytes() == b"out " + committed(TOKEN) + b"\nerror\n"

    @pytest.mark.parametrize("place", [0, 3000, 3100, 3200, 30_000])
    def test_beyond_the_limit_and_in_the_tail(
        self, tmp_path: Path, redactor: Redactor, place: int
    ) -> None:
        lines = [f"line {number:05}\n" for number in range(4000)]
        lines[place // len(lines[0])] = f"line {TOKEN}\n"
        spool = OutputSpool(tmp_path / "log", limit=3100, redactor=redactor)
        data = "".join(lines).encode()
        for start in range(0, len(data), 1000):
            spool.write(data[start : start + 1000])
        spool.close()
        expected = data.replace(TOKEN.encode(), committed(TOKEN))
        assert (tmp_path / "log").read_bytes() == expected[:3100]
        assert spool.size + spool.dropped == len(expected)
        assert expected.endswith(spool.tail)
        assert TAIL_BYTES - 20 < len(spool.tail) <= TAIL_BYTES

    def test_a_fault_of_the_scanner_stops_the_keeping_alone(
        self, tmp_path: Path, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spool = OutputSpool(tmp_path / "log", limit=10_000, redactor=redactor)
        spool.write(b"one\n")
        spool.write(b"err", 2)

        def broken(_text: str) -> list[Finding]:
            raise ValueError(TOKEN)

        monkeypatch.setattr(redactor, "find_at_once", broken)
        monkeypatch.setattr(redactor, "find", broken)
        spool.write(f"two {TOKEN}\n".encode())
        spool.write(b"three\n")
        spool.settle()
        spool.close()
        assert spool.fault == "it could not be searched for secrets (ValueError)"
        assert (tmp_path / "log").read_bytes() == spool.tail == b"one\n"
        assert spool.dropped == len(f"errtwo {TOKEN}\nthree\n")
