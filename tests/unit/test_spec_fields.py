"""The tables of the specification say what the dataclasses say, and nothing else."""

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any

import pytest

from gitprov.codec import canonical, listings
from gitprov.codec.records import KINDS

SPECIFICATION = Path(__file__).resolve().parents[2] / "docs" / "format" / "spec-v1.md"
HEADER = "| field | type | unit | required | meaning |"
HEADING = re.compile(r"^#{3,4} [0-9.]+ ([A-Za-z]+)$", re.MULTILINE)
ROW = re.compile(r"^\| `([a-z_]+)` \| ([^|]+) \| ([^|]*) ?\| (yes|no) \| ([^|]+) \|$")


def specification() -> str:
    return SPECIFICATION.read_text()


def tables() -> dict[str, dict[str, tuple[str, bool]]]:
    """Return the specification's tables of fields by class: the type, and whether required."""
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    text = specification()
    headings = list(HEADING.finditer(text))
    for heading in headings:
        body = re.split(r"^#", text[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]
        if HEADER not in body:
            continue
        lines = body[body.index(HEADER) :].splitlines()[2:]
        rows = [ROW.match(line) for line in lines if line.startswith("|")]
        assert all(rows), f"a row of {heading[1]} is not of the form {ROW.pattern}"
        found[heading[1]] = {row[1]: (row[2], row[4] == "yes") for row in rows if row}
    return found


def model_classes() -> dict[str, Any]:
    """Return every dataclass that a record can hold, by name."""
    classes: dict[str, Any] = {}

    def visit(declared: Any) -> None:
        if dataclasses.is_dataclass(declared):
            kind = typing.cast("Any", declared)
            classes[kind.__name__] = kind
            for field in dataclasses.fields(kind):
                visit(field.type)
        for argument in typing.get_args(declared):
            visit(argument)

    for kind in KINDS.values():
        visit(kind)
    return classes


def required(field: Any) -> bool:
    """Say whether a record must have a field; `schema` has a default for writers alone."""
    absent = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return absent or field.name == "schema"


def in_words(declared: Any) -> str:
    """Return a declared type in the words of the tables, ids and times as what they are made of."""
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if dataclasses.is_dataclass(declared):
        return "map"
    if origin is tuple:
        return f"array of {in_words(arguments[0])}"
    if origin in (types.UnionType, typing.Union):
        present = [argument for argument in arguments if argument is not types.NoneType]
        if present == [str, bytes]:
            return "raw"
        names = [in_words(argument) for argument in present]
        return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    if isinstance(origin, type) and origin is not tuple and len(arguments) == 2:
        return f"map of {in_words(arguments[1])}"
    simple = {str: "text", int: "int", float: "float", bool: "bool", bytes: "bytes", Any: "any"}
    return simple.get(declared, "text")


CLASSES = model_classes()


@pytest.mark.parametrize("name", CLASSES)
def test_tables_match_the_classes(name: str) -> None:
    table = tables()[name]
    declared = {field.name: required(field) for field in dataclasses.fields(CLASSES[name])}
    assert {field: row[1] for field, row in table.items()} == declared


@pytest.mark.parametrize("name", CLASSES)
def test_types_match_the_classes(name: str) -> None:
    alias = {"id": "text", "object id": "text", "time": "int"}
    written = {field: alias.get(row[0], row[0]) for field, row in tables()[name].items()}
    declared = {field.name: in_words(field.type) for field in dataclasses.fields(CLASSES[name])}
    assert written == declared


def test_no_table_stands_alone() -> None:
    assert tables().keys() == CLASSES.keys()


def test_words_and_defaults_are_named() -> None:
    text = specification()
    for kind in CLASSES.values():
        for field in dataclasses.fields(kind):
            (row,) = [
                line
                for line in _section(text, kind.__name__).splitlines()
                if line.startswith(f"| `{field.name}` |")
            ]
            for word in typing.get_args(field.type):
                if isinstance(word, str):
                    assert f"`{word}`" in row
            if isinstance(field.default, str) and field.name != "schema":
                assert f"Default `{field.default}`" in row


def _section(text: str, name: str) -> str:
    (heading,) = [match for match in HEADING.finditer(text) if match[1] == name]
    return re.split(r"^#", text[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def test_limits_are_those_of_the_code() -> None:
    text = specification()
    for what, limit in (
        ("bytes of one document", canonical.MAX_BYTES),
        ("items of one array, keys of one map", canonical.MAX_ITEMS),
        ("depth of a value", canonical.MAX_DEPTH),
    ):
        grouped = f"{limit:,}".replace(",", " ")
        assert f"| {what} | {grouped} |" in text


def test_limits_of_nodes_are_those_of_the_code() -> None:
    text = _section(specification(), "Listings")
    assert f"more than {listings.MAX_ITEMS:,} items" in text
    assert f"more than 1 MiB ({listings.MAX_TEXT_BYTES:,} bytes)" in text
    assert f"down to {listings.MAX_SPLITS} digits" in text
    for mode in (listings.FILE, listings.PROGRAM, listings.LINK, listings.FOLDER):
        assert f"{mode} (octal {mode:o})" in text
