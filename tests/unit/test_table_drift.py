"""What is said of two tables, from their profiles alone: no pyarrow is needed for it."""

import math
import sys
from dataclasses import replace

import pytest

from gitprov.capture.data.tables import (
    Column,
    Numbers,
    TableDrift,
    TableProfile,
    drift,
    form_of,
    profile,
)
from gitprov.capture.data.tables.histogram import bucket_of, lower_bound
from gitprov.capture.data.tables.profile import Bucket, Value
from gitprov.errors import MalformedRecord, MissingDependency
from gitprov.views.tables import drift_lines, profile_lines


def numbers(**counts: int) -> Column:
    """Return a column with so many values in each bucket."""
    histogram = tuple(Bucket(bucket=int(k[1:]), count=n) for k, n in counts.items())
    return Column(
        name="x",
        type="double",
        distinct=3,
        numbers=Numbers(
            count=sum(counts.values()), min=1.0, max=9.0, mean=5.0, std=2.0, histogram=histogram
        ),
    )


def words(distinct: int | None = None, nulls: int = 0, **counts: int) -> Column:
    top = tuple(Value(text=text, count=count) for text, count in counts.items())
    return Column(
        name="x",
        type="string",
        nulls=nulls,
        distinct=len(counts) if distinct is None else distinct,
        top=top,
    )


def psi(before: Column, after: Column, rows: int = 100) -> float | None:
    found = drift(
        TableProfile(rows=rows, columns=(before,)), TableProfile(rows=rows, columns=(after,))
    )
    return found.columns[0].psi if found.columns else None


def test_psi_is_the_sum_over_groups() -> None:
    expected = (0.7 - 0.5) * math.log(0.7 / 0.5) + (0.3 - 0.5) * math.log(0.3 / 0.5)
    assert psi(words(a=50, b=50), words(a=70, b=30)) == pytest.approx(expected)
    assert psi(numbers(b10=50, b20=50), numbers(b10=70, b20=30)) == pytest.approx(expected)
    assert psi(words(a=50, b=50), words(b=50, a=50)) == 0.0


def test_psi_of_what_was_never_there() -> None:
    found = psi(words(a=100), words(b=100))
    assert found is not None
    assert found > 5
    assert psi(numbers(b50=100), numbers(b99=100)) == pytest.approx(found)
    assert psi(numbers(b50=100), numbers(b10=100)) == pytest.approx(found)
    nulls = psi(words(a=100), words(nulls=50, a=50))
    assert nulls is not None
    assert nulls > 1


def test_psi_is_not_made_of_what_is_unknown() -> None:
    many = replace(words(distinct=1000), more=True, top=())
    assert psi(words(a=100), many) is None
    assert psi(words(a=100), numbers(b1=100)) is None
    # b may be there before, below the top values: it counts with the others.
    assert psi(words(distinct=9, a=50), words(a=50, b=50)) == 0.0
    assert psi(words(distinct=1, a=100), words(a=50, b=50)) != 0.0


def test_means_that_move_within_a_bucket() -> None:
    before, after = numbers(b10=100), numbers(b10=100)
    assert after.numbers is not None
    after = replace(after, numbers=replace(after.numbers, mean=6.0, std=4.0))
    found = drift(
        TableProfile(rows=100, columns=(before,)), TableProfile(rows=100, columns=(after,))
    ).columns[0]
    assert found.psi == 0.0
    assert found.shift == pytest.approx(1 / math.sqrt((4 + 16) / 2))


def test_columns_that_come_go_and_change_their_type() -> None:
    before = TableProfile(
        rows=3, columns=(Column(name="a", type="int64"), Column(name="b", type="x"))
    )
    after = TableProfile(rows=1, columns=(Column(name="b", type="y"), Column(name="c", type="x")))
    found = drift(before, after)
    assert (found.rows, found.added, found.removed) == (-2, ("c",), ("a",))
    assert list(drift_lines(found)) == [
        "rows: 3 -> 1 (-2)",
        "added column c",
        "removed column a",
        "column b: type x -> y",
    ]
    assert TableDrift.from_document(found.to_document()) == found
    assert list(drift_lines(drift(before, before))) == []


def test_lines_are_safe_for_a_terminal() -> None:
    column = replace(words(**{"a\x1b[2J": 2}), name="x\ny")
    lines = list(profile_lines(TableProfile(rows=2, columns=(column,), skipped=1)))
    assert lines == [
        "2 rows, 1 column, 1 lines skipped",
        "  x\\ny: string, 1 distinct, top 'a\\x1b[2J' (2)",
    ]


@pytest.mark.parametrize("document", [{}, {"schema": "run.1"}, {"schema": "table.1", "rows": "1"}])
def test_documents_that_are_no_profiles(document: dict[str, object]) -> None:
    with pytest.raises(MalformedRecord):
        TableProfile.from_document(document)


@pytest.mark.parametrize(
    "number", [0.0, 1.0, -1.0, 5e-324, 1.7976931348623157e308, -3.5, 0.1, 1024.0]
)
def test_buckets_hold_their_numbers(number: float) -> None:
    bucket = bucket_of(number)
    assert abs(lower_bound(bucket)) <= abs(number) * (1 + 1e-12)
    assert bucket_of(-number) == -bucket
    if number > 0:
        assert number / 2**0.25 <= lower_bound(bucket) * (1 + 1e-12)
        assert bucket > 0


@pytest.mark.parametrize(
    ("name", "media_type", "form"),
    [
        ("a.csv", None, ".csv"),
        ("A.CSV.GZ", None, ".csv.gz"),
        ("a.parquet", None, ".parquet"),
        ("a.parquet.gz", None, None),
        ("a.ndjson.gz", None, ".ndjson.gz"),
        ("a.txt", None, None),
        ("csv", None, None),
        ("a.gz", None, None),
        ("object", "text/csv", ".csv"),
        ("object", "text/plain", None),
    ],
)
def test_forms(name: str, media_type: str | None, form: str | None) -> None:
    assert form_of(name, media_type) == form


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependency, match=r"pip install 'gitprov\[tables\]'"):
        profile("table.csv", ".csv")
