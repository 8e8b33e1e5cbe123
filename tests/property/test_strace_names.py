"""Laws of what is read from strace: whatever a name holds, it comes back."""

from hypothesis import given
from hypothesis import strategies as st

from gitprov.capture.tracing.strace_lines import Call, Joined, NotUnderstood, unescaped

NAMES = st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name)
_LETTERS = {b"\n": b"n", b"\t": b"t", b"\r": b"r", b"\v": b"v", b"\f": b"f"}


def escaped(name: bytes, also: bytes = b'"') -> bytes:
    """Return a name as strace writes it: octal digits only as many as are needed."""
    text = b""
    for index, number in enumerate(name):
        letter = bytes([number])
        following = name[index + 1 : index + 2]
        if letter in _LETTERS:
            text += b"\\" + _LETTERS[letter]
        elif letter == b"\\" or (letter == b'"' and also == b'"'):
            text += b"\\" + letter
        elif number < 0x20 or number > 0x7E or letter in also:
            text += (b"\\%03o" if following.isdigit() else b"\\%o") % number
        else:
            text += letter
    return text


@given(NAMES)
def test_names_come_back(name: bytes) -> None:
    assert unescaped(escaped(name)) == name


@given(NAMES, NAMES, st.integers(1, 1 << 22))
def test_opens_come_back(name: bytes, place: bytes, pid: int) -> None:
    line = b'%d openat(AT_FDCWD<%s>, "%s", O_RDONLY) = 3<%s>\n' % (
        pid, escaped(place, b"<>"), escaped(name), escaped(place + name, b"<>"),
    )  # fmt: skip
    call = Joined().take(line)
    assert isinstance(call, Call)
    assert (call.pid, call.paths, call.opened) == (pid, (name,), place + name)
    assert call.folders[0].path == place


@given(NAMES, NAMES, NAMES)
def test_halves_of_calls_are_joined_whatever_stands_between(a: bytes, b: bytes, c: bytes) -> None:
    joined = Joined()
    assert joined.take(b'1 rename("%s", "%s" <unfinished ...>\n' % (escaped(a), escaped(b))) is None
    between = joined.take(b'2 chdir("%s") = 0\n' % escaped(c))
    after = joined.take(b"1 <... rename resumed>) = 0\n")
    assert between == Call(2, "chdir", (c,))
    assert after == Call(1, "rename", (a, b))


@given(st.binary(max_size=200))
def test_any_bytes_are_understood_or_said_not_to_be(line: bytes) -> None:
    try:
        found = Joined().take(line)
    except NotUnderstood:
        return
    assert found is None or found.pid >= 0
