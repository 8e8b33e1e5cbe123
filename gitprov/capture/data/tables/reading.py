"""Tables as batches of columns: CSV, Parquet, JSON line by line; all but Parquet gzipped, too.

Pyarrow reads them; it is imported when a table is. Everything streams: a batch is in memory at a
time, of Parquet a row group.
"""

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, NamedTuple

from gitprov.errors import InputError, MissingDependency

Source = str | bytes | os.PathLike[str] | BinaryIO

_BATCH_ROWS = 1 << 16
_BATCH_LINES = 1 << 14
_BLOCK_BYTES = 4 << 20
_MAX_LINE_BYTES = 16 << 20
_MAX_COLUMNS = 10_000
# Floats below it stand for each integer.
_EXACT = 2.0**53
_GZIP = ".gz"
_MEDIA_TYPES = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/vnd.apache.parquet": ".parquet",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
}


class Batch(NamedTuple):
    """Some rows of a table: an Arrow array for each of the columns that they have."""

    rows: int
    columns: Mapping[str, Any]


class Arrow(NamedTuple):
    """Pyarrow, and its module of functions."""

    pa: Any
    pc: Any


class Skipped:
    """How many rows were none."""

    rows = 0


def arrow() -> Arrow:
    """Return pyarrow; raises MissingDependency."""
    try:
        # Late: it takes longer to import than most commands take, and need not be there.
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import compute as pc  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependency(
            "summaries of tables need pyarrow: pip install 'gitprov[tables]'"
        ) from error
    return Arrow(pa, pc)


def form_of(name: str, media_type: str | None = None) -> str | None:
    """Return the form of a table by its name or media type, as `.csv` or `.csv.gz`; None of others.

    It costs no imports, so that it can be asked of anything.
    """
    path, ending = os.path.splitext(name.lower())
    if ending == _GZIP:
        inner = os.path.splitext(path)[1]
        return f"{inner}{_GZIP}" if inner in _FORMS and inner not in _PACKED else None
    return ending if ending in _FORMS else _MEDIA_TYPES.get(media_type or "")


@contextmanager
def batches(source: Source, form: str, skipped: Skipped) -> Iterator[Iterator[Batch]]:
    """Yield the batches of a table. Raises InputError where it is none, OSError, MissingDependency.

    A file that is given stays open; one that is named is opened here.
    """
    pa, pc = arrow()
    with ExitStack() as stack:
        stream: Any = source
        if isinstance(source, str | bytes | os.PathLike):
            stream = stack.enter_context(open(source, "rb"))
        if form.endswith(_GZIP):
            stream = gzip.GzipFile(fileobj=stream)
        try:
            yield _FORMS[form.removesuffix(_GZIP)](stream, Arrow(pa, pc), skipped)
        except (pa.ArrowException, EOFError, UnicodeError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            # Pyarrow, too, says OSError of files that are damaged.
            raise InputError(f"this is no table of the form {form}: {_line(error)}") from error


def shown(value: Any) -> str:
    """Return a value as text: one and the same of equal numbers, whatever their type is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return str(value).encode("utf-8", "backslashreplace").decode()


def is_inferred(form: str) -> bool:
    """Say whether values are text whose types have to be found."""
    return form.removesuffix(_GZIP) in _TEXT


def _csv(stream: Any, arrow: Arrow, skipped: Skipped, delimiter: str = ",") -> Iterator[Batch]:
    """Yield columns of text: what type a column has is known at the end only."""
    from pyarrow import csv  # noqa: PLC0415 -- as above

    def skip(_: Any) -> str:
        skipped.rows += 1
        return "skip"

    first = _first_line(stream)
    if not first.strip():
        return
    read = csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip)
    header = first if first.endswith(b"\n") else first + b"\n"
    names = csv.read_csv(arrow.pa.BufferReader(header), read, parse).column_names
    if len(names) > _MAX_COLUMNS:
        raise InputError(f"this table has more than {_MAX_COLUMNS} columns")
    skipped.rows = 0
    convert = csv.ConvertOptions(
        column_types={name: arrow.pa.string() for name in names},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    own = _unique(names)
    yield Batch(0, {name: arrow.pa.nulls(0) for name in own})
    if header != first:
        return
    for batch in csv.open_csv(stream, read, parse, convert):
        yield Batch(batch.num_rows, dict(zip(own, batch.columns, strict=True)))


def _tsv(stream: Any, arrow: Arrow, skipped: Skipped) -> Iterator[Batch]:
    return _csv(stream, arrow, skipped, "\t")


def _first_line(stream: Any) -> bytes:
    """Return the header, with as many lines as it has."""
    lines: list[bytes] = []
    size = quotes = 0
    while size < _BLOCK_BYTES and (line := stream.readline(_BLOCK_BYTES)):
        lines.append(line)
        size += len(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            break
    stream.seek(0)
    return b"".join(lines)


def _parquet(stream: Any, _arrow: Arrow, _skipped: Skipped) -> Iterator[Batch]:
    from pyarrow import parquet  # noqa: PLC0415 -- as above

    file = parquet.ParquetFile(stream, pre_buffer=False)
    names = file.schema_arrow.names
    if len(names) > _MAX_COLUMNS:
        raise InputError(f"this table has more than {_MAX_COLUMNS} columns")
    own = _unique(names)
    # Without rows there is a schema all the same.
    yield Batch(0, dict(zip(own, file.schema_arrow.empty_table().columns, strict=True)))
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        yield Batch(batch.num_rows, dict(zip(own, batch.columns, strict=True)))


def _jsonl(stream: Any, arrow: Arrow, skipped: Skipped) -> Iterator[Batch]:
    """Yield columns that have a type in each batch.

    Not by pyarrow, which takes the types of the first block for those of the file.
    """
    rows: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    while line := stream.readline(_MAX_LINE_BYTES + 1):
        if len(line) > _MAX_LINE_BYTES:
            raise InputError("this table has lines that are too long")
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            skipped.rows += 1
            continue
        rows.append(row)
        names |= dict.fromkeys(row)
        if len(names) > _MAX_COLUMNS:
            raise InputError(f"this table has more than {_MAX_COLUMNS} columns")
        if len(rows) == _BATCH_LINES:
            yield _batch(rows, names, arrow.pa)
            rows = []
    if rows:
        yield _batch(rows, names, arrow.pa)


def _batch(rows: list[dict[str, Any]], names: Iterable[str], pa: Any) -> Batch:
    columns = {name: _array(pa, [row.get(name) for row in rows]) for name in names}
    return Batch(len(rows), columns)


def _array(pa: Any, values: list[Any]) -> Any:
    """Return values of JSON as an array of the one type that fits, else of text."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    try:
        if kinds == {bool}:
            return pa.array(values, pa.bool_())
        if kinds == {int}:
            return pa.array(values, pa.int64())
        if kinds <= {int, float}:
            return pa.array(
                [None if value is None else float(value) for value in values], pa.float64()
            )
    except (OverflowError, pa.ArrowInvalid):
        pass  # integers of any size
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else shown(value)


def _unique(names: list[str]) -> list[str]:
    """Return names in which each is there once."""
    seen: dict[str, int] = {}
    own = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        own.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return own


def _line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


_Reader = Callable[[Any, Arrow, Skipped], Iterator[Batch]]
_FORMS: Mapping[str, _Reader] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
    ".pq": _parquet,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
}
_PACKED = frozenset({".parquet", ".pq"})
_TEXT = frozenset({".csv", ".tsv"})
