"""Canonical msgpack: one document, one sequence of bytes (specification, section 7).

A document is a map with text keys over None-free values: bool, int (64 bits), finite float64
without negative zero, text, bytes, arrays and maps. `decode` accepts exactly what `encode`
produces: it encodes what it has read once more and compares, so that over-long headers, float32,
unsorted or doubled keys and extension types are refused without a parser of our own.

Bytes may come from anyone. Nothing is built before one pass has shown that they hold as many
items as their headers claim, so memory grows with the size of the input and not with its claims.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgpack

from gitprov.errors import MalformedRecord

MAX_BYTES = 4 << 20
MAX_DEPTH = 32
MAX_ITEMS = 1 << 16

Document = dict[str, Any]

_SIMPLE = frozenset({bool, int, str, bytes})
_TEXT_ONLY = frozenset({str})
_ARRAYS = frozenset({list, tuple})
_CONTAINERS = _ARRAYS | {dict}
_SMALL_MAP = 16
_MAX_KNOWN = 4096
_known_keys: set[tuple[str, ...]] = set()


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of `document`.

    Raises MalformedRecord for what the format cannot hold (a set, nan, a lone surrogate, …) and
    for a document that exceeds its limits.
    """
    if not isinstance(document, Mapping):
        raise MalformedRecord(f"a record is a map, this is {type(document).__name__}")
    packed = _pack(document if _is_canonical(document) else _ordered(document, 0))
    if len(packed) > MAX_BYTES:
        raise MalformedRecord(f"the record is {len(packed)} bytes; the limit is {MAX_BYTES}")
    return packed


def decode(data: bytes) -> Document:
    """Return the document in `data`; raise MalformedRecord unless the bytes are canonical."""
    if len(data) > MAX_BYTES:
        raise MalformedRecord(f"the record is {len(data)} bytes; the limit is {MAX_BYTES}")
    try:
        whole = msgpack.Unpacker(max_buffer_size=MAX_BYTES)
        whole.feed(data)
        whole.skip()
        document = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
        )
    except (ValueError, TypeError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise MalformedRecord(f"not msgpack: {error or type(error).__name__}") from error
    if type(document) is not dict:
        raise MalformedRecord(f"a record is a map, this is {type(document).__name__}")
    _check(document, 0)
    if _pack(document) != data:
        raise MalformedRecord("the bytes are not in canonical form")
    return document


def _pack(document: Any) -> bytes:
    try:
        packed: bytes = msgpack.packb(document, use_bin_type=True)
    except UnicodeEncodeError as error:
        raise MalformedRecord("text that is not valid Unicode; keep it as bytes") from error
    except OverflowError as error:
        raise MalformedRecord("an integer does not fit into 64 bits") from error
    return packed


def _check(container: Any, depth: int) -> None:
    """Refuse what msgpack can say and the format cannot, in the map or array just read."""
    if depth >= MAX_DEPTH or len(container) > MAX_ITEMS:
        _limit(container, depth)
    values = container
    if type(container) is dict:
        keys = tuple(container)
        if keys not in _known_keys:
            _check_keys(keys)
        values = container.values()
    for value in values:
        kind = type(value)
        if kind in _SIMPLE:
            continue
        if kind is dict or kind is list:
            _check(value, depth + 1)
        elif kind is float:
            if value == 0 or not math.isfinite(value):
                _finite(value)
        else:
            raise MalformedRecord(f"a value of type {kind.__name__} has no place in a record")


def _check_keys(keys: tuple[Any, ...]) -> None:
    """Refuse keys that are not text or not in order; remember those of small maps, which recur."""
    if not _TEXT_ONLY.issuperset(map(type, keys)):
        raise MalformedRecord("a key is not text")
    # Sorting by code point is sorting by UTF-8 bytes.
    if list(keys) != sorted(keys):
        raise MalformedRecord("the keys of a map are not in order")
    if len(keys) <= _SMALL_MAP and len(_known_keys) < _MAX_KNOWN:
        _known_keys.add(keys)


def _is_canonical(document: Any) -> bool:
    """Say whether a document can be packed as it is; that is quick to tell."""
    try:
        _check(document, 0)
    except MalformedRecord:
        return False
    return type(document) is dict


def _ordered(container: Any, depth: int) -> Any:
    """Return a map or array with the keys of all maps in order, checked for what may be encoded."""
    if depth >= MAX_DEPTH or len(container) > MAX_ITEMS:
        _limit(container, depth)
    if type(container) in _ARRAYS or not isinstance(container, Mapping):
        return [value if type(value) in _SIMPLE else _value(value, depth) for value in container]
    derived = not _TEXT_ONLY.issuperset(map(type, container))
    if derived and not all(isinstance(key, str) for key in container):
        raise MalformedRecord("a key is not text")
    ordered = {}
    for key in sorted(container):
        value = container[key]
        ordered[key] = value if type(value) in _SIMPLE else _value(value, depth)
    return ordered


def _value(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is float:
        return _finite(value)
    if kind in _CONTAINERS:
        return _ordered(value, depth + 1)
    # What is rare may take longer: values of types that are derived from these.
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, str | int | bytes):
        return value
    if isinstance(value, Mapping | list | tuple):
        return _ordered(value, depth + 1)
    raise MalformedRecord(f"a value of type {kind.__name__} has no place in a record")


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise MalformedRecord("nan and infinity have no number form; keep them as text")
    if number == 0 and math.copysign(1, number) < 0:
        raise MalformedRecord("negative zero has no canonical form")
    return number


def _limit(container: Any, depth: int) -> None:
    if len(container) > MAX_ITEMS:
        raise MalformedRecord(
            f"{len(container)} items in one array or map; the limit is {MAX_ITEMS}"
        )
    if len(container) and depth >= MAX_DEPTH:
        raise MalformedRecord(f"nested deeper than {MAX_DEPTH} levels")
