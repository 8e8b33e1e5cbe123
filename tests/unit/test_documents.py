"""Dataclasses as documents: what is left out, what is refused, and how it is said."""

from enum import IntEnum
from typing import Any

import pytest

from gitprov.codec import canonical
from gitprov.codec.documents import from_document, to_document
from gitprov.codec.records import KINDS, decode_record, encode_record, file_name, schema_of
from gitprov.errors import MalformedRecord
from gitprov.model.ledger import Start, Tip
from gitprov.model.run import Artifact, Command, Hardware, Metric, Recorder, Run, Source

ID = "kzmwtqpxlnorsuvykzmwtqpxlnorsuvy"


def run(**fields: Any) -> Run:
    known: dict[str, Any] = {
        "id": ID,
        "status": "completed",
        "started_ns": 1,
        "ended_ns": 3,
        "command": Command(argv=("true",)),
        "recorder": Recorder(purl="pkg:pypi/gitprov@0.1.0"),
    }
    return Run(**known | fields)


def test_absent_and_empty_fields_are_left_out() -> None:
    assert to_document(run()) == {
        "schema": "run.1",
        "id": ID,
        "status": "completed",
        "started_ns": 1,
        "ended_ns": 3,
        "command": {"argv": ["true"]},
        "recorder": {"purl": "pkg:pypi/gitprov@0.1.0"},
    }


def test_zero_false_and_empty_text_stay() -> None:
    document = to_document(run(exit_code=0, message="", source=Source(dirty=False)))
    assert document["exit_code"] == 0
    assert document["message"] == ""
    assert document["source"] == {"object_format": "sha1", "dirty": False}


def test_an_object_that_says_nothing_is_left_out() -> None:
    assert "hardware" not in to_document(run(hardware=Hardware()))


def test_what_stands_in_ext_stays_as_it_is() -> None:
    ext = {"org.example": {"empty": {}, "list": [], "text": ""}}
    assert to_document(run(ext=ext))["ext"] == ext


def test_the_record_is_not_the_document() -> None:
    decoded = decode_record("run.1", encode_record(run(params={"a": 1})))
    decoded.document["params"]["a"] = 2
    assert decoded.record.params == {"a": 1}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"exit_code": True}, "exit_code is bool, not int"),
        ({"status": "done"}, "status is none of completed, failed, aborted"),
        ({"tags": ["a", 1]}, "tags[1] is int, not str"),
        ({"params": {"a": []}}, "params['a'] is list, not bool or int or float or str"),
        ({"params": {"a\n": b""}}, "params['a\\n'] is bytes, not bool or int or float or str"),
        ({"metrics": [{"name": "m"}]}, "metrics[0].value is missing"),
        ({"metrics": [{"name": "m", "value": 1}]}, "metrics[0].value is int, not float or str"),
        ({"inputs": [{"kind": "file", "digest": []}]}, "inputs[0].digest is not a map"),
        ({"command": ["true"]}, "command is not a map"),
        ({"command": {}}, "command.argv is missing"),
        ({"name": None}, "name is NoneType, not str"),
    ],
)
def test_a_misfit_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedRecord) as refusal:
        from_document(Run, to_document(run()) | fields)
    assert str(refusal.value) == message


def test_a_misfit_is_named_below_a_place() -> None:
    with pytest.raises(MalformedRecord, match=r"^a\.b\.value is missing$"):
        from_document(Metric, {"name": "m"}, "a.b")
    with pytest.raises(MalformedRecord, match=r"^a\.b is not a map$"):
        from_document(Metric, [], "a.b")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "document",
    [
        {"a": {1, 2}}, {"a": None}, {1: "a"}, {b"a": 1}, {"a": float("nan")}, {"a": -0.0},
        {"a": 1 << 64}, {"a": -(1 << 63) - 1}, {"a": "\ud800"}, {"\ud800": 1}, {"a": object()},
        {"a": bytearray(b"x")}, {"a": 1j}, {"a": [0] * 65537}, {"a": b"x" * (4 << 20)}, [1], "a",
    ],
    ids=lambda document: repr(document)[:20],
)  # fmt: skip
def test_what_no_document_can_hold(document: Any) -> None:
    with pytest.raises(MalformedRecord):
        canonical.encode(document)


def test_arrays_and_maps_that_hold_themselves_are_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(MalformedRecord):
        canonical.encode({"a": endless})


def test_subclasses_are_written_as_what_they_are() -> None:
    class Colour(IntEnum):
        RED = 1

    class Word(str):
        __slots__ = ()

    document = {Word("b"): Colour.RED, "a": Word("x"), "c": (1, 2)}
    assert canonical.encode(document) == canonical.encode({"a": "x", "b": 1, "c": [1, 2]})


def test_too_many_items_are_refused_when_read() -> None:
    data = b"\x81\xa1a\xdd\x00\x01\x00\x01" + b"\x00" * 65537
    with pytest.raises(MalformedRecord):
        canonical.decode(data)


def test_records_too_large_are_refused_when_read() -> None:
    with pytest.raises(MalformedRecord, match="limit"):
        canonical.decode(bytes(canonical.MAX_BYTES + 1))


def test_a_writer_refuses_what_a_reader_would() -> None:
    for record in (
        run(ended_ns=0),
        run(id="x"),
        run(command=Command(argv=())),
        run(inputs=(Artifact(kind="file"),)),
        run(metrics=(Metric(name="m", value=1),)),
        Start(id=ID, month="October"),
    ):
        with pytest.raises(MalformedRecord):
            encode_record(record)


def test_records_round_trip() -> None:
    start = Start(
        id=ID, month="2025-10", continues=(Tip(ref="refs/prov/ledger/2025-09/03", commit="0" * 40),)
    )
    for record in (run(name="a", exit_code=1), start):
        decoded = decode_record(record.schema, encode_record(record))
        assert decoded.record == record
        assert decoded.schema == record.schema


@pytest.mark.parametrize("schema", KINDS)
def test_file_names_declare_schemas(schema: str) -> None:
    assert schema_of(file_name(schema)) == schema


@pytest.mark.parametrize("name", ["run.2.msgpack", "later.1.msgpack", "run.9999.msgpack"])
def test_unknown_kinds_are_recognised_as_records(name: str) -> None:
    assert schema_of(name) == name.removesuffix(".msgpack")


@pytest.mark.parametrize(
    "name",
    ["run.msgpack", "run.0.msgpack", "run.01.msgpack", "Run.1.msgpack", "run.1.msgpack\n",
     "run.1.json", "signature", "../run.1.msgpack", "run.10000.msgpack", ".1.msgpack"],
)  # fmt: skip
def test_other_files_are_no_records(name: str) -> None:
    assert schema_of(name) is None


def test_duration_and_metric() -> None:
    record = run(metrics=(Metric(name="loss", value="nan"), Metric(name="acc", value=0.5)))
    assert record.duration_ns == 2
    assert record.metric("acc") == 0.5
    assert record.metric("loss") != record.metric("loss")
    assert record.metric("none") is None
