"""Laws of profiles: the same table in each form, in any order, in any batches, is the same."""

import gzip
import io
import json
import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitprov.capture.data.tables import TableProfile, drift, profile, reading
from gitprov.capture.data.tables.histogram import bucket_of
from gitprov.codec import canonical
from gitprov.errors import InputError

pa: Any = pytest.importorskip("pyarrow", reason="needs the group `data`")
parquet: Any = pytest.importorskip("pyarrow.parquet", reason="needs the group `data`")
pytestmark = pytest.mark.data

_INTEGERS = st.integers(-(1 << 53), 1 << 53)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda x: x + 0.0)
_TEXT = st.text("abc é日\"',\n", min_size=1, max_size=4).map(lambda text: f"t{text}")
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | _INTEGERS,
            "f": st.none() | _FLOATS,
            "t": st.none() | _TEXT,
            "b": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=30,
)
_TYPES = pa.schema([("i", pa.int64()), ("f", pa.float64()), ("t", pa.string()), ("b", pa.bool_())])


def as_parquet(rows: list[dict[str, Any]]) -> TableProfile:
    stream = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=_TYPES), stream)
    stream.seek(0)
    found = profile(stream, ".parquet")
    assert not stream.closed
    return found


def as_jsonl(rows: list[dict[str, Any]]) -> TableProfile:
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    return profile(io.BytesIO(text.encode()), ".jsonl")


def as_csv(rows: list[dict[str, Any]], *, packed: bool = False) -> TableProfile:
    def cell(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return '"' + value.replace('"', '""') + '"'
        return reading.shown(value) if isinstance(value, bool) else repr(value)

    lines = ["i,f,t,b", *(",".join(cell(row[name]) for name in "iftb") for row in rows)]
    data = "\n".join(lines).encode() + b"\n"
    stream = io.BytesIO(gzip.compress(data) if packed else data)
    return profile(stream, ".csv.gz" if packed else ".csv")


@given(_ROWS)
def test_a_profile_says_what_is_there(rows: list[dict[str, Any]]) -> None:
    found = as_parquet(rows)
    assert found.rows == len(rows)
    for column in found.columns:
        values = [row[column.name] for row in rows if row[column.name] is not None]
        assert column.nulls == len(rows) - len(values)
        assert column.distinct == len(set(values))
        if column.name in "tb":
            assert sum(value.count for value in column.top) == len(values)
            continue
        assert column.numbers is not None
        assert column.numbers.count == len(values)
        if not values:
            continue
        assert (column.numbers.min, column.numbers.max) == (min(values), max(values))
        floats = [float(value) for value in values]
        scale = max(map(abs, floats))
        mean, std = statistics.fmean(floats), statistics.pstdev(floats)
        assert column.numbers.mean == pytest.approx(mean, rel=1e-9, abs=scale * 1e-9)
        assert column.numbers.std == pytest.approx(std, rel=1e-6, abs=scale * 1e-6)
        expected: dict[int, int] = {}
        for value in floats:
            expected[bucket_of(value)] = expected.get(bucket_of(value), 0) + 1
        assert {item.bucket: item.count for item in column.numbers.histogram} == expected


@given(_ROWS)
def test_a_profile_survives_being_kept(rows: list[dict[str, Any]]) -> None:
    found = as_parquet(rows)
    data = canonical.encode(found.to_document())
    assert TableProfile.from_document(canonical.decode(data)) == found
    assert drift(found, found).columns == ()


def counts(found: TableProfile) -> Any:
    """Return all of a profile that does not depend on the order of sums, nor on types."""
    return found.rows, [
        (
            column.name,
            column.nulls,
            column.distinct,
            column.numbers and (column.numbers.min, column.numbers.max, column.numbers.histogram),
            column.top,
        )
        for column in sorted(found.columns, key=lambda column: column.name)
    ]


@given(_ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_is_of_no_importance(rows: list[dict[str, Any]], random: Any) -> None:
    before = counts(as_jsonl(rows))
    random.shuffle(rows)
    assert counts(as_jsonl(rows)) == before


@given(_ROWS)
def test_every_form_says_the_same(rows: list[dict[str, Any]]) -> None:
    full = [row for row in rows if None not in row.values()]
    if not full:
        return
    expected = counts(as_parquet(full))
    assert counts(as_jsonl(full)) == expected
    assert counts(as_csv(full)) == expected
    assert counts(as_csv(full, packed=True)) == expected


_MIXED = st.none() | st.integers() | _FLOATS | _TEXT | st.booleans() | st.lists(st.integers())


@given(st.lists(st.dictionaries(st.sampled_from("ab"), _MIXED), max_size=12), st.integers(1, 12))
def test_batches_are_of_no_importance(rows: list[dict[str, Any]], size: int) -> None:
    whole = as_jsonl(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_BATCH_LINES", size)
        split = as_jsonl(rows)
    assert counts(split) == counts(whole)
    assert split.types == whole.types


@given(st.binary(max_size=300), st.sampled_from([".csv", ".jsonl", ".parquet", ".csv.gz", ".tsv"]))
def test_any_bytes_are_a_table_or_refused(data: bytes, form: str) -> None:
    try:
        found = profile(io.BytesIO(data), form)
    except InputError:
        return
    assert found.rows >= 0
    for column in found.columns:
        assert column.numbers is None or math.isfinite(column.numbers.mean or 0)
    canonical.encode(found.to_document())
