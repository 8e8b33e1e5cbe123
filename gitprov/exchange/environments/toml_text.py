"""TOML, written: as much of it as a lock file needs."""

from collections.abc import Mapping, Sequence

Scalar = str | bool | int
Value = Scalar | Mapping[str, "Value"] | Sequence["Value"]

_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"'}
_ESCAPES |= {"\\": "\\\\"}


def value_text(value: Value) -> str:
    """Return a value on one line."""
    if isinstance(value, str):
        return '"' + "".join(_letter(letter) for letter in value) + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {value_text(value[key])}" for key in value) + " }"
    if len(value) > 1:
        return "[\n" + "".join(f"    {value_text(item)},\n" for item in value) + "]"
    return "[" + "".join(value_text(item) for item in value) + "]"


def table_text(table: Mapping[str, Value]) -> str:
    """Return the lines of a table's keys."""
    return "".join(f"{key} = {value_text(value)}\n" for key, value in table.items())


def _letter(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
