"""Between dataclasses and documents, by the types that the dataclasses declare.

The model's classes are the definition of the format: `to_document` leaves out what is absent,
`from_document` checks every known field's type and every required field's presence. Unknown
fields are let through unread (a later minor version may have written them); whoever must keep
them keeps the bytes.

What reads a type is put together once and kept; a reader says where it failed only when it does.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from gitprov.codec.canonical import Document
from gitprov.errors import MalformedRecord

T = TypeVar("T")
Reader = Callable[[Any], Any]

_PLAIN = frozenset({bool, int, float, str, bytes, types.NoneType})
_SHOWN = 40


def to_document(record: Any) -> Document:
    """Return the document of a dataclass: fields by name, None and empty ones left out.

    Keys are in canonical order, which makes it quick to encode.
    """
    document: Document = {}
    for name in _fields(typing.cast("Any", type(record))):
        value = getattr(record, name)
        if type(value) not in _PLAIN:
            value = _plain(value)
            if value in ([], {}):
                continue
        if value is not None:
            document[name] = value
    return document


@cache
def _fields(kind: Any) -> list[str]:
    return sorted(field.name for field in dataclasses.fields(kind))


def _plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return to_document(value)
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in sorted(value)}
    return value


def from_document(kind: type[T], document: Mapping[str, Any], where: str = "") -> T:
    """Return the instance of dataclass `kind` that `document` describes.

    Raises MalformedRecord, naming the field, for a wrong type or an absent required field.
    """
    try:
        record: T = _reader(typing.cast("Any", kind))(document)
    except _Misfit as misfit:
        path = "".join(reversed(misfit.path)).removeprefix("." if not where else "")
        raise MalformedRecord(f"{where}{path} {misfit}".strip()) from None
    return record


class _Misfit(Exception):
    """A value does not fit; `path` leads to it, innermost step first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path: list[str] = []

    def under(self, step: str) -> "_Misfit":
        self.path.append(step)
        return self


@cache
def _reader(declared: Any) -> Reader:  # noqa: PLR0911 - one return for each kind of type
    """Return the function that checks and converts a value of the declared type."""
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if dataclasses.is_dataclass(declared):
        return _record(typing.cast("Any", declared))
    if origin is tuple:
        return _array(_reader(arguments[0]))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _map(_reader(arguments[1]))
    if origin is typing.Literal:
        return _choice(arguments)
    if declared is Any:
        return lambda value: value
    if origin in (types.UnionType, typing.Union):
        present = tuple(argument for argument in arguments if argument is not types.NoneType)
        return _reader(present[0]) if len(present) == 1 else _Scalar(present)
    return _Scalar((declared,))


def _record(kind: type) -> Reader:
    fields = dataclasses.fields(kind)
    readers = {field.name: _reader(typing.cast("Any", field.type)) for field in fields}
    scalars = {name: read.accepted for name, read in readers.items() if isinstance(read, _Scalar)}
    required = {
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }

    def read(value: Any) -> Any:
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _Misfit("is not a map")
        values = {}
        name = ""
        try:
            for name, item in value.items():
                # Most fields are scalars: no call for one that fits.
                if name in scalars and type(item) in scalars[name]:
                    values[name] = item
                elif name in readers:
                    values[name] = readers[name](item)
        except _Misfit as misfit:
            raise misfit.under(f".{name}") from None
        if not required <= values.keys():
            raise _Misfit("is missing").under(f".{min(required - values.keys())}")
        return kind(**values)

    return read


def _array(item: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _Misfit("is not an array")
        items: list[Any] = []
        try:
            for element in value:
                items.append(item(element))  # noqa: PERF401 - its length says where it failed
        except _Misfit as misfit:
            raise misfit.under(f"[{len(items)}]") from None
        return tuple(items)

    return read


def _map(item: Reader) -> Reader:
    scalars = item.accepted if isinstance(item, _Scalar) else frozenset()

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _Misfit("is not a map")
        if scalars.issuperset(map(type, value.values())):
            return dict(value)
        items = {}
        key = ""
        try:
            for key, element in value.items():
                items[key] = item(element)
        except _Misfit as misfit:
            raise misfit.under(f"[{key[:_SHOWN]!r}]") from None
        return items

    return read


def _choice(choices: tuple[Any, ...]) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not str or value not in choices:
            raise _Misfit(f"is none of {', '.join(choices)}")
        return value

    return read


class _Scalar:
    """Check by exact type: True is an int to isinstance, and not in this format."""

    def __init__(self, allowed: tuple[type, ...]) -> None:
        self.accepted = frozenset(allowed)
        self._names = " or ".join(kind.__name__ for kind in allowed)

    def __call__(self, value: Any) -> Any:
        if type(value) not in self.accepted:
            raise _Misfit(f"is {type(value).__name__}, not {self._names}")
        return value
