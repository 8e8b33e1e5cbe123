"""Laws of the codec, over documents and bytes that nobody thought of."""

import contextlib
import dataclasses
import math
import random
import string
import struct
import tracemalloc
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from gitprov.codec import canonical
from gitprov.codec.compression import compress, decompress
from gitprov.codec.documents import from_document, to_document
from gitprov.codec.events import decode_events, encode_event
from gitprov.errors import MalformedRecord
from gitprov.model.run import Run

# A busy machine is no fault of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: number != 0 or math.copysign(1, number) > 0
)
INTEGERS = st.integers(-(1 << 63), (1 << 64) - 1) | st.integers(-200, 300)
SCALARS = st.booleans() | INTEGERS | FLOATS | TEXT | st.binary(max_size=40)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(TEXT, inner, max_size=20),
    max_leaves=40,
)
DOCUMENTS = st.dictionaries(TEXT, VALUES, max_size=20)


def typed(value: Any) -> Any:
    """Return a value that is equal only where types are equal too: 1, 1.0 and True differ."""
    if isinstance(value, list | tuple):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return type(value), value


# Documents and bytes


@given(DOCUMENTS)
def test_round_trip(document: dict[str, Any]) -> None:
    data = canonical.encode(document)
    decoded = canonical.decode(data)
    assert typed(decoded) == typed(document)
    assert canonical.encode(decoded) == data


@given(DOCUMENTS, st.randoms())
def test_order_of_keys_does_not_matter(document: dict[str, Any], chance: random.Random) -> None:
    assert canonical.encode(shuffled(document, chance)) == canonical.encode(document)


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [shuffled(item, chance) for item in value]
    if isinstance(value, dict):
        items = list(value.items())
        chance.shuffle(items)
        return {key: shuffled(item, chance) for key, item in items}
    return value


def refused_or_canonical(data: bytes) -> None:
    try:
        document = canonical.decode(data)
    except MalformedRecord:
        return
    assert canonical.encode(document) == data


@given(st.binary(max_size=200))
@example(b"\x80")
@example(b"\x81\xa1a\xc0")
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    refused_or_canonical(data)
    refused_or_canonical(b"\x81\xa1a" + data)


@given(DOCUMENTS, st.data())
def test_mutated_bytes_are_refused_or_canonical(document: dict[str, Any], draw: Any) -> None:
    data = bytearray(canonical.encode(document))
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(data)))
        match draw.draw(st.sampled_from(("flip", "insert", "cut", "remove"))):
            case "flip" if place < len(data):
                data[place] ^= 1 << draw.draw(st.integers(0, 7))
            case "insert":
                data[place:place] = draw.draw(st.binary(min_size=1, max_size=5))
            case "cut":
                del data[place:]
            case _:
                del data[place : place + 1]
    refused_or_canonical(bytes(data))


@given(DOCUMENTS, st.data())
def test_any_truncation_is_refused(document: dict[str, Any], draw: Any) -> None:
    data = canonical.encode(document)
    with pytest.raises(MalformedRecord):
        canonical.decode(data[: draw.draw(st.integers(0, len(data) - 1))])


@given(DOCUMENTS, st.binary(min_size=1, max_size=5))
def test_anything_that_follows_is_refused(document: dict[str, Any], more: bytes) -> None:
    with pytest.raises(MalformedRecord):
        canonical.decode(canonical.encode(document) + more)


# Encoders that are not canonical


class Sloppy:
    """A msgpack encoder of its own that makes free choices; `choices` counts the wrong ones."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.choices = 0

    def _maybe(self) -> bool:
        wrong = self.chance.random() < 0.15
        self.choices += wrong
        return wrong

    def pack(self, value: Any) -> bytes:  # noqa: PLR0911 - one return for each type
        if isinstance(value, bool):
            return b"\xc3" if value else b"\xc2"
        if isinstance(value, int):
            return self._int(value)
        if isinstance(value, float):
            if _is_float32(value) and self._maybe():
                return b"\xca" + struct.pack(">f", value)
            return b"\xcb" + struct.pack(">d", value)
        if isinstance(value, str):
            text = value.encode()
            return self._header(len(text), (0xA0, 31), (0xD9, 0xDA, 0xDB)) + text
        if isinstance(value, bytes):
            return self._header(len(value), None, (0xC4, 0xC5, 0xC6)) + value
        if isinstance(value, list):
            head = self._header(len(value), (0x90, 15), (None, 0xDC, 0xDD))
            return head + b"".join(map(self.pack, value))
        return self._map(value)

    def _map(self, value: dict[str, Any]) -> bytes:
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode())
        if len(pairs) > 1 and self._maybe():
            pairs = [*pairs[1:], pairs[0]]
        if pairs and self._maybe():
            pairs.append(self.chance.choice(pairs))
        head = self._header(len(pairs), (0x80, 15), (None, 0xDE, 0xDF))
        return head + b"".join(self.pack(key) + self.pack(item) for key, item in pairs)

    def _int(self, number: int) -> bytes:
        forms = [bytes([number & 0xFF])] if -32 <= number <= 127 else []
        unsigned = [(0xCC + code, form) for code, form in enumerate("BHIQ")]
        signed = [(0xD0 + code, form) for code, form in enumerate("bhiq")]
        for code, form in (*unsigned, *signed) if number >= 0 else signed:
            try:
                forms.append(struct.pack(f">B{form}", code, number))
            except struct.error:
                continue
        if len(forms) > 1 and self._maybe():
            return self.chance.choice(forms[1:])
        return forms[0]

    def _header(
        self, count: int, fix: tuple[int, int] | None, codes: tuple[int | None, ...]
    ) -> bytes:
        forms = [bytes([fix[0] | count])] if fix and count <= fix[1] else []
        for code, form in zip(codes, "BHI", strict=True):
            if code is not None and count < 1 << 8 * struct.calcsize(form):
                forms.append(struct.pack(f">B{form}", code, count))
        if len(forms) > 1 and self._maybe():
            return self.chance.choice(forms[1:])
        return forms[0]


def _is_float32(number: float) -> bool:
    try:
        return bool(struct.unpack(">f", struct.pack(">f", number))[0] == number)
    except OverflowError:
        return False


@given(DOCUMENTS, st.randoms())
def test_sloppy_encoders_are_refused(document: dict[str, Any], chance: random.Random) -> None:
    sloppy = Sloppy(chance)
    data = sloppy.pack(document)
    if sloppy.choices:
        with pytest.raises(MalformedRecord):
            canonical.decode(data)
    else:
        assert data == canonical.encode(document)


# Small inputs that ask for much


def peak_of(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def decode_anyhow(data: bytes) -> None:
    with contextlib.suppress(MalformedRecord):
        canonical.decode(data)


@pytest.mark.parametrize("claim", [b"\xdd\0\x01\0\0", b"\xdd\xff\xff\xff\xff", b"\xdc\xff\xff"])
@pytest.mark.parametrize("levels", [1, 30, 1000, 100_000])
def test_claimed_items_cost_nothing(claim: bytes, levels: int) -> None:
    data = b"\x81\xa1a" + claim * levels
    assert peak_of(lambda: decode_anyhow(data)) < 8 << 20


@pytest.mark.parametrize(
    "item",
    [b"\x80", b"\x90", b"\x91\xc3", b"\x81\xa0" * 29 + b"\x80", b"\x81\xa1z\xc3", b"\xa2zz"],
    ids=lambda item: item[:6].hex(),
)
def test_dense_input_stays_in_memory(item: bytes) -> None:
    row = b"\xdc" + struct.pack(">H", 4096) + item * 4096
    rows = min(65535, ((1 << 20) - 10) // len(row))
    data = b"\x81\xa1a\xdc" + struct.pack(">H", rows) + row * rows
    assert len(data) <= 1 << 20
    assert peak_of(lambda: decode_anyhow(data)) < 256 << 20


@given(st.sampled_from([b"\x91", b"\x81\xa0"]), st.integers(1, 5000))
@settings(max_examples=25)
def test_depth_never_breaks_the_reader(level: bytes, levels: int) -> None:
    data = b"\x81\xa0" + level * levels + b"\xc3"
    if levels < canonical.MAX_DEPTH:
        assert canonical.encode(canonical.decode(data)) == data
    else:
        with pytest.raises(MalformedRecord):
            canonical.decode(data)


# Dataclasses


@cache
def instances(declared: Any) -> st.SearchStrategy[Any]:
    """Return values of a type that the model declares."""
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if dataclasses.is_dataclass(declared):
        return records(typing.cast("Any", declared))
    if origin is tuple:
        return st.lists(instances(arguments[0]), max_size=3).map(tuple)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(TEXT, instances(arguments[1]), max_size=3)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(instances, arguments))
    simple: dict[Any, st.SearchStrategy[Any]] = {
        types.NoneType: st.none(),
        bool: st.booleans(),
        int: INTEGERS,
        float: FLOATS,
        str: TEXT,
        bytes: st.binary(max_size=40),
        Any: VALUES,
    }
    return simple[declared]


def records(kind: Any) -> st.SearchStrategy[Any]:
    """Return instances of a dataclass that say something: what says nothing is not written."""
    fields = {field.name: instances(field.type) for field in dataclasses.fields(kind)}
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING is field.default_factory
        if required and typing.get_origin(field.type) is tuple:
            fields[field.name] = fields[field.name].filter(bool)
    return st.builds(kind, **fields).filter(to_document)


@given(instances(Run))
@settings(max_examples=50)
def test_dataclasses_round_trip(run: Run) -> None:
    document = to_document(run)
    assert from_document(Run, document) == run
    decoded = canonical.decode(canonical.encode(document))
    assert typed(decoded) == typed(document)
    assert from_document(Run, decoded) == run


@given(st.data())
@settings(max_examples=50)
def test_unknown_fields_change_nothing_that_is_known(draw: Any) -> None:
    document = to_document(draw.draw(instances(Run)))
    more = draw.draw(st.dictionaries(TEXT.map("x-".__add__), VALUES, max_size=3))
    assert from_document(Run, more | document) == from_document(Run, document)


# Events


@given(st.lists(DOCUMENTS, max_size=4), st.data())
def test_torn_events_leave_a_prefix(events: list[dict[str, Any]], draw: Any) -> None:
    data = b"".join(map(encode_event, events))
    assert list(decode_events(data)) == events
    torn = data[: draw.draw(st.integers(0, len(data)))]
    left = list(decode_events(torn))
    assert left == events[: len(left)]
    assert b"".join(map(encode_event, left)) == data[: len(b"".join(map(encode_event, left)))]


@given(st.lists(DOCUMENTS, min_size=1, max_size=4), st.data())
def test_flipped_bits_leave_the_events_before(events: list[dict[str, Any]], draw: Any) -> None:
    frames = [encode_event(event) for event in events]
    data = bytearray(b"".join(frames))
    bit = draw.draw(st.integers(0, 8 * len(data) - 1))
    data[bit // 8] ^= 1 << bit % 8
    whole, end = 0, 0
    while end + len(frames[whole]) <= bit // 8:
        end += len(frames[whole])
        whole += 1
    assert list(decode_events(bytes(data))) == events[:whole]


@given(st.lists(DOCUMENTS, max_size=3), st.integers(0, 64))
def test_zeros_behind_events_are_not_events(events: list[dict[str, Any]], count: int) -> None:
    data = b"".join(map(encode_event, events)) + bytes(count)
    assert list(decode_events(data)) == events


@given(st.binary(max_size=100))
def test_any_bytes_are_events_or_none(data: bytes) -> None:
    frames = b"".join(map(encode_event, decode_events(data)))
    assert data.startswith(frames)


# Compression

CONTENT = st.binary(max_size=300) | st.text(string.ascii_letters, max_size=5).map(
    lambda text: text.encode() * 500
)


@given(CONTENT)
def test_compression_round_trip(content: bytes) -> None:
    assert decompress(compress(content)) == content
    assert decompress(compress(content), limit=len(content)) == content


@given(CONTENT, st.data())
def test_cut_frames_are_refused(content: bytes, draw: Any) -> None:
    frame = compress(content)
    with pytest.raises(MalformedRecord):
        decompress(frame[: draw.draw(st.integers(0, len(frame) - 1))])


@given(CONTENT, st.binary(min_size=1, max_size=20))
def test_extended_frames_are_refused(content: bytes, more: bytes) -> None:
    frame = compress(content)
    for extended in (frame + more, frame + frame, more + frame):
        try:
            read = decompress(extended)
        except MalformedRecord:
            continue
        pytest.fail(f"read {len(read)} bytes of a frame that is not alone")


@given(CONTENT, st.data())
def test_corrupted_frames_yield_what_they_declare_or_nothing(content: bytes, draw: Any) -> None:
    """A frame without a checksum may hide damage; its output is bounded all the same."""
    frame = bytearray(compress(content))
    for _ in range(draw.draw(st.integers(1, 3))):
        bit = draw.draw(st.integers(0, 8 * len(frame) - 1))
        frame[bit // 8] ^= 1 << bit % 8
    limit = 1 << 20
    with contextlib.suppress(MalformedRecord):
        assert len(decompress(bytes(frame), limit)) <= limit


@given(st.binary(max_size=100), st.booleans())
def test_any_bytes_are_a_frame_or_refused(data: bytes, with_magic: bool) -> None:  # noqa: FBT001
    with contextlib.suppress(MalformedRecord):
        decompress(b"\x28\xb5\x2f\xfd" + data if with_magic else data, 1 << 20)
