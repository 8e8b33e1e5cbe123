"""Records as bytes: the kinds and versions that exist, and how each is checked.

A record's kind and major version are the name of its file, `run.1.msgpack`. Bytes that are once
in a ledger are never written again: a reader that needs an older shape in memory upgrades the
document, one version at a time (specification, section 8).
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from gitprov.codec import canonical
from gitprov.codec.canonical import Document
from gitprov.codec.documents import from_document, to_document
from gitprov.errors import MalformedRecord
from gitprov.model.ids import is_id
from gitprov.model.ledger import START_SCHEMA, Start
from gitprov.model.rewrite import REWRITE_SCHEMA, Rewrite
from gitprov.model.run import RUN_SCHEMA, Artifact, Run, Source, Writer

KINDS: dict[str, type] = {RUN_SCHEMA: Run, REWRITE_SCHEMA: Rewrite, START_SCHEMA: Start}
DIGEST_BYTES = {"sha256": 32}
MAX_SEQUENCE = (1 << 63) - 1

_FILE_NAME = re.compile(r"([a-z]{1,32}\.[1-9][0-9]{0,3})\.msgpack\Z")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ALGORITHM = re.compile(r"[a-z0-9_]{1,32}\Z")
_NON_FINITE = ("nan", "inf", "-inf")
# What sqlite and most languages call an integer. Params alone may be larger.
_INT_MAX = (1 << 63) - 1
_COUNT = (0, _INT_MAX)
_STEP = (-1 << 63, _INT_MAX)
_SEQUENCE = (1, MAX_SEQUENCE)
_EXIT_CODE = (0, (1 << 32) - 1)  # Windows gives 32 bits
_SIGNAL = (1, 255)


class Decoded(NamedTuple):
    """A record read from bytes: the whole document, and the typed view of what we know of it."""

    schema: str
    document: Document
    record: Any


def file_name(schema: str) -> str:
    """Return the name of the file that holds a record of this schema."""
    return f"{schema}.msgpack"


def schema_of(name: str) -> str | None:
    """Return the schema that a file name declares, or None where it names no record."""
    match = _FILE_NAME.match(name)
    return match.group(1) if match else None


def encode_record(record: Run | Rewrite | Start) -> bytes:
    """Return the canonical bytes of a record, after the checks that a reader will make."""
    return encode_document(record.schema, to_document(record))[0]


def encode_document(schema: str, document: Mapping[str, Any]) -> tuple[bytes, Any]:
    """Return the canonical bytes of a record that is given as a document, and the record.

    Raises MalformedRecord for what `decode_record` would refuse.
    """
    return canonical.encode(document), _checked(schema, document)


def decode_record(schema: str, data: bytes) -> Decoded:
    """Return the record of kind `schema` in `data`.

    Raises MalformedRecord for bytes that are not canonical, fields of a wrong type, values out of
    range, and kinds or major versions that this reader does not know.
    """
    if schema not in KINDS:
        raise MalformedRecord(f"records of kind {schema} need a newer gitprov")
    document = canonical.decode(data)
    return Decoded(schema, document, _checked(schema, document))


def writer_of(data: bytes) -> Writer | None:
    """Return the place of a record in its writer's chain, whatever kind of record it is.

    Raises MalformedRecord where the bytes are no record. None: it has no place, as in a `start.1`.
    """
    document = canonical.decode(data).get("writer")
    if document is None:
        return None
    if not isinstance(document, Mapping):
        raise MalformedRecord("writer is not a map")
    writer = from_document(Writer, document, "writer")
    _check_writer(writer)
    return writer


def _checked(schema: str, document: Mapping[str, Any]) -> Any:
    """Return the record in a document."""
    if document.get("schema") != schema:
        raise MalformedRecord(f"the record does not say that it is {schema}")
    record: Any = from_document(KINDS[schema], document)
    if not is_id(record.id):
        raise MalformedRecord("the id is not 32 letters from k to z")
    if isinstance(record, Run):
        _check_run(record)
    elif isinstance(record, Rewrite):
        _check_rewrite(record)
    else:
        _check_start(record)
    return record


def _check_run(run: Run) -> None:
    """Check what types alone do not say."""
    if not 0 <= run.started_ns <= run.ended_ns <= _INT_MAX:
        raise MalformedRecord("started_ns and ended_ns are no span of time")
    if not run.command.argv:
        raise MalformedRecord("command.argv is empty")
    _check_range("exit_code", run.exit_code, _EXIT_CODE)
    _check_range("signal", run.signal, _SIGNAL)
    for metric in run.metrics:
        if type(metric.value) is str and metric.value not in _NON_FINITE:
            raise MalformedRecord("a metric has a value that is no number")
        if metric.step is not None:
            _check_range("metric.step", metric.step, _STEP)
    _check_machine(run)
    if run.source is not None:
        _check_source(run.source)
    for group in (run.inputs, run.outputs, run.byproducts):
        for artifact in group:
            _check_artifact(artifact)
    _check_bindings(run)
    names = (run.name or "", *run.tags, *run.params, *[metric.name for metric in run.metrics])
    if _CONTROL.search(" ".join(names)):
        raise MalformedRecord("a name holds control characters")


def _check_range(name: str, value: int | None, span: tuple[int, int]) -> None:
    if value is not None and not span[0] <= value <= span[1]:
        raise MalformedRecord(f"{name} is not between {span[0]} and {span[1]}")


def _check_machine(run: Run) -> None:
    """Check the numbers about the machine and what the command used of it."""
    if run.hardware is not None:
        for name in ("cores", "memory_bytes"):
            _check_range(f"hardware.{name}", getattr(run.hardware, name), _COUNT)
    if run.usage is not None:
        for name in ("wall_ns", "cpu_user_ns", "cpu_system_ns", "max_rss_bytes"):
            _check_range(f"usage.{name}", getattr(run.usage, name), _COUNT)
    if run.trace is not None:
        _check_range("trace.processes", run.trace.processes, _COUNT)


def _check_source(source: Source) -> None:
    for name in ("commit", "tree", "snapshot", "patch_id"):
        value = getattr(source, name)
        if value is not None and not _OBJECT_ID.match(value):
            raise MalformedRecord(f"source.{name} is not an object id")
    if source.series is not None:
        for name in ("base", "patch_id"):
            if not _OBJECT_ID.match(getattr(source.series, name)):
                raise MalformedRecord(f"source.series.{name} is not an object id")
    for omission in source.omitted:
        _check_content(omission.size, omission.digest)


def _check_artifact(artifact: Artifact) -> None:
    if artifact.name is None and artifact.path is None and artifact.uri is None:
        raise MalformedRecord("an artifact has neither name, path nor uri")
    _check_range("file_count", artifact.file_count, _COUNT)
    _check_content(artifact.size, artifact.digest)


def _check_content(size: int | None, digest: Mapping[str, bytes]) -> None:
    _check_range("size", size, _COUNT)
    for algorithm, value in digest.items():
        if not _ALGORITHM.match(algorithm):
            raise MalformedRecord("a digest has a name that is not of a-z, 0-9 and _")
        if len(value) != DIGEST_BYTES.get(algorithm, len(value)):
            raise MalformedRecord(f"a {algorithm} digest of {len(value)} bytes")


def _check_bindings(run: Run) -> None:
    """Check what binds this record to others and to its environment."""
    sha256 = DIGEST_BYTES["sha256"]
    if run.environment is not None and len(run.environment.digest) != sha256:
        raise MalformedRecord("environment.digest is not a sha256")
    _check_writer(run.writer)
    if not all(is_id(link.id) for link in run.links):
        raise MalformedRecord("a link leads to something that is not an id")


def _check_writer(writer: Writer | None) -> None:
    if writer is None:
        return
    if not is_id(writer.id):
        raise MalformedRecord("writer.id is not 32 letters from k to z")
    _check_range("writer.sequence", writer.sequence, _SEQUENCE)
    if writer.previous is not None and len(writer.previous) != DIGEST_BYTES["sha256"]:
        raise MalformedRecord("writer.previous is not a sha256")


def _check_rewrite(rewrite: Rewrite) -> None:
    _check_range("made_ns", rewrite.made_ns, _COUNT)
    if not rewrite.how or _CONTROL.search(rewrite.how):
        raise MalformedRecord("how is empty or holds control characters")
    if not rewrite.commits:
        raise MalformedRecord("commits is empty")
    for pair in rewrite.commits:
        if not all(_OBJECT_ID.match(oid) for oid in (pair.old, pair.new) if oid is not None):
            raise MalformedRecord("commits names something that is not an object id")
    _check_writer(rewrite.writer)


def _check_start(start: Start) -> None:
    if not _MONTH.match(start.month):
        raise MalformedRecord("the month is not of the form 2025-01")
    for tip in start.continues:
        if not tip.ref.startswith("refs/prov/ledger/") or not _OBJECT_ID.match(tip.commit):
            raise MalformedRecord("continues names something that is not a ledger's tip")
