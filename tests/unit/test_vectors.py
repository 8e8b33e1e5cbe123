"""The vectors of the format, through the readers (specification, sections 5 to 8)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitprov.codec import canonical
from gitprov.codec.listings import decode_node, encode_node
from gitprov.codec.records import decode_record
from gitprov.errors import MalformedRecord

ROOT = Path(__file__).resolve().parent.parent.parent
CASES = sorted(path.parent for path in (ROOT / "tests" / "vectors").glob("*/case.json"))
NODES = [case for case in CASES if case.name.startswith("node_")]
GOOD = [case for case in CASES if not case.name.endswith("_fail") and case not in NODES]
BAD = [case for case in CASES if case.name.endswith("_fail")]
REASONS = {"encoding", "type", "value", "missing", "limit", "kind"}


def about(case: Path) -> dict[str, str]:
    content: dict[str, str] = json.loads((case / "case.json").read_text())
    return content


def read(case: Path) -> object:
    """Return what a reader makes of a case."""
    data = (case / "input.msgpack").read_bytes()
    return decode_node(data) if case in NODES else decode_record(about(case)["schema"], data)


def from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"$hex"}:
            return bytes.fromhex(value["$hex"])
        if value.keys() == {"$float"}:
            return float(value["$float"])
        return {key: from_json(item) for key, item in value.items()}
    return value


def typed(value: Any) -> Any:
    """Return a value that is equal only where types are equal too: 1, 1.0 and True differ."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return type(value), value


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_is_read(case: Path) -> None:
    data = (case / "input.msgpack").read_bytes()
    decoded = decode_record(about(case)["schema"], data)
    expected = from_json(json.loads((case / "document.json").read_text()))
    assert typed(decoded.document) == typed(expected)
    assert canonical.encode(decoded.document) == data
    assert canonical.encode(expected) == data


@pytest.mark.parametrize(
    "case",
    [case for case in NODES if case not in BAD],
    ids=lambda case: case.name,
)
def test_node_is_read(case: Path) -> None:
    data = (case / "input.msgpack").read_bytes()
    expected = from_json(json.loads((case / "document.json").read_text()))
    assert canonical.encode(expected) == data
    node = decode_node(data)
    assert encode_node(node) == data
    assert [item.name for item in node.items] == [
        name if isinstance(name, bytes) else name.encode() for name in expected["names"]
    ]
    assert [item.mode for item in node.items] == expected["modes"]
    assert (node.size, node.files) == (sum(expected["sizes"]), sum(expected["files"]))
    assert node.is_split == expected.get("split", False)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_is_refused(case: Path) -> None:
    assert not (case / "document.json").exists()
    assert about(case)["reason"] in REASONS
    with pytest.raises(MalformedRecord) as refusal:
        read(case)
    message = str(refusal.value)
    assert message
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize(
    "case",
    [case for case in BAD if about(case)["reason"] in ("type", "value", "missing")],
    ids=lambda case: case.name,
)
def test_is_refused_for_its_fields_alone(case: Path) -> None:
    data = (case / "input.msgpack").read_bytes()
    assert canonical.encode(canonical.decode(data)) == data


@pytest.mark.parametrize(
    "case",
    [case for case in BAD if about(case)["reason"] in ("encoding", "limit")],
    ids=lambda case: case.name,
)
def test_is_refused_for_its_bytes_alone(case: Path) -> None:
    with pytest.raises(MalformedRecord):
        canonical.decode((case / "input.msgpack").read_bytes())


def test_suite_is_large_enough() -> None:
    assert len(CASES) >= 40
    assert len(BAD) * 2 >= len(CASES)
    assert len(NODES) >= 80


def test_every_file_belongs_to_a_case() -> None:
    folders = {path for path in (ROOT / "tests" / "vectors").iterdir() if path.is_dir()}
    assert folders == set(CASES)


def test_suite_is_what_the_script_writes() -> None:
    script = ROOT / "scripts" / "make-vectors"
    check = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr
