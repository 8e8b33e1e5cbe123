"""Tables in files as people have them: large, mixed, damaged, and what has drifted in them."""

import datetime as dt
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.data.tables import Column, TableProfile, drift, profile
from gitprov.capture.data.tables.reading import _first_line
from gitprov.errors import InputError
from gitprov.views.tables import drift_lines, profile_lines

pa: Any = pytest.importorskip("pyarrow", reason="needs the group `data`")
parquet: Any = pytest.importorskip("pyarrow.parquet", reason="needs the group `data`")
pytestmark = pytest.mark.data


def csv(path: Path, text: str | bytes) -> TableProfile:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return profile(path, ".csv")


def column(found: TableProfile, name: str) -> Column:
    return next(column for column in found.columns if column.name == name)


def test_csv_as_people_write_it(tmp_path: Path) -> None:
    found = csv(
        tmp_path / "a.csv",
        '\ufeffa,b,"c\nd",e,a\r\n1,x,1.5,2020-01-01,\r\n2,"y\nz",,,\r\n03,NA,inf,x,3\r\nbad,row\r\n',
    )
    assert (found.rows, found.skipped) == (3, 1)
    assert found.types == {
        "a": "int64",
        "b": "string",
        "c\nd": "double",
        "e": "string",
        "a#2": "int64",
    }
    assert list(profile_lines(found)) == [
        "3 rows, 5 columns, 1 lines skipped",
        "  a: int64, 3 distinct, 1 to 3, mean 2, std 0.816497",
        "  b: string, 1 null, 2 distinct, top 'x' (1), 'y\\nz' (1)",
        "  c\\nd: double, 1 null, 2 distinct, 1.5 to 1.5, mean 1.5, std 0",
        "  e: string, 1 null, 2 distinct, top '2020-01-01' (1), 'x' (1)",
        "  a#2: int64, 2 nulls, 1 distinct, 3 to 3, mean 3, std 0",
    ]


def test_a_header_is_looked_at_once() -> None:
    """A stray quote makes all lines part of the header."""
    counted: list[int] = []

    class Line(bytes):
        def __add__(self, other: bytes) -> "Line":
            return Line(bytes(self) + other)

        def count(self, *what: Any) -> int:
            counted.append(len(self))
            return super().count(*what)

    class Lines(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            return Line(super().readline(size))

    data = b'"a\n' + b"b\n" * 100
    assert _first_line(Lines(data)) == data
    assert sum(counted) == len(data)
    assert _first_line(Lines(b'"a\nb",c\n1,2\n')) == b'"a\nb",c\n'


def test_types_are_those_of_all_rows_not_of_the_first(tmp_path: Path) -> None:
    """The first block of the file has integers only."""
    rows = [str(number) for number in range(1_200_000)]
    text = "n,f,t\n" + "".join(f"{row},{row},{row}\n" for row in rows) + "1,0.5,x\n"
    assert len(text) > (16 << 20)
    found = csv(tmp_path / "large.csv", text)
    assert found.types == {"n": "int64", "f": "double", "t": "string"}
    assert found.rows == len(rows) + 1
    numbers, words = column(found, "f").numbers, column(found, "t")
    assert numbers is not None
    assert (numbers.min, numbers.max) == (0.0, len(rows) - 1)
    assert (words.numbers, words.distinct, words.more, words.top) == (None, 1000, True, ())


@pytest.mark.parametrize("text", ["", "\n", "a,b\n", "a,b"])
def test_csv_without_rows(text: str, tmp_path: Path) -> None:
    found = csv(tmp_path / "empty.csv", text)
    assert found.rows == 0
    assert list(found.types) == (["a", "b"] if text.strip() else [])


def test_parquet_with_all_kinds_of_columns(tmp_path: Path) -> None:
    day = dt.datetime(2020, 1, 2)  # noqa: DTZ001 -- without a zone on purpose
    table = pa.table(
        {
            "int": [1, 2, None],
            "float": [1.0, -2.5, float("nan")],
            "half": pa.array([1, 2, 3], pa.float32()).cast(pa.float16()),
            "decimal": pa.array([1, 2, 3]).cast(pa.decimal128(22, 2)),
            "unsigned": pa.array([2**64 - 1, 1, 0], pa.uint64()),
            "bool": [True, False, None],
            "words": pa.array(["a", "b", "a"]).dictionary_encode(),
            "bytes": [b"\xff", b"a", b"a"],
            "list": [[1], [2], None],
            "struct": [{"x": 1}, {"x": 2}, None],
            "time": [day, None, day],
            "zoned": pa.array([day] * 3, pa.timestamp("us", "UTC")),
            "date": [day.date(), None, None],
            "span": [dt.timedelta(1), None, None],
            "null": pa.nulls(3),
        }
    )
    parquet.write_table(table, tmp_path / "all.parquet")
    found = profile(tmp_path / "all.parquet", ".parquet")
    assert TableProfile.from_document(found.to_document()) == found
    assert found.types == {
        field.name: str(field.type) for field in parquet.read_schema(tmp_path / "all.parquet")
    } | {"words": "string"}
    known = {column.name: column for column in found.columns}
    floats, unsigned = known["float"].numbers, known["unsigned"].numbers
    assert floats is not None
    assert unsigned is not None
    assert (floats.count, floats.non_finite, floats.min, floats.max) == (3, 1, -2.5, 1.0)
    assert (unsigned.min, unsigned.max) == (0, 2**64 - 1)
    assert [value.text for value in known["bool"].top] == ["false", "true"]
    assert known["words"].top[0].count == 2
    assert known["list"].distinct is None
    assert known["date"].first == "2020-01-02"
    assert known["zoned"].last == "2020-01-02 00:00:00.000000Z"
    assert known["null"].nulls == 3


def test_json_lines_that_change_their_mind(tmp_path: Path) -> None:
    rows: list[Any] = [{"a": 1}, {"a": 2.5, "b": "x"}, {"b": None, "c": {"z": 1, "y": [2]}}]
    text = "\n".join(map(json.dumps, rows)) + "\n\nnot json\n[1]\n" + '{"a": 1e400, "c": 3}'
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(text.encode()))
    found = profile(path, ".jsonl.gz")
    assert (found.rows, found.skipped) == (4, 2)
    assert found.types == {"a": "double", "b": "string", "c": "string"}
    assert [value.text for value in column(found, "c").top] == ["3", '{"y": [2], "z": 1}']
    assert column(found, "b").nulls == 3


DAMAGED = {
    "nothing": (".parquet", b""),
    "no parquet": (".parquet", b"PAR1 nothing PAR1"),
    "not packed": (".csv.gz", b"not packed"),
    "cut short": (".csv.gz", gzip.compress(b"a,b\n1,2\n" * 100)[:-12]),
    "wrong sum": (".jsonl.gz", gzip.compress(b'{"a": 1}\n')[:-4] + bytes(4)),
    "no text": (".csv", b"a,b\n\xff\xfe,1\n"),
    "open quotes": (".csv", b'a,b\n"' + b"x" * (9 << 20)),
    "long line": (".jsonl", b'{"a": "' + b"x" * (17 << 20)),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_tables_are_refused(case: str, tmp_path: Path) -> None:
    form, data = DAMAGED[case]
    path = tmp_path / "table"
    path.write_bytes(data)
    with pytest.raises(InputError):
        profile(path, form)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        profile(tmp_path / "none.csv", ".csv")


def test_drift_in_words(tmp_path: Path) -> None:
    before = csv(
        tmp_path / "a.csv",
        "id,x,kind,gone\n" + "".join(f"{n},{n % 10},{'ab'[n % 2]},1\n" for n in range(1000)),
    )
    after = csv(
        tmp_path / "b.csv",
        "id,x,kind,new\n" + "".join(f"{n},{n % 10 + 5},{'abbb'[n % 4]},\n" for n in range(1200)),
    )
    assert list(drift_lines(drift(before, after))) == [
        "rows: 1,000 -> 1,200 (+200)",
        "added column new",
        "removed column gone",
        (
            "column id: distinct 1,000 -> more than 1,000; max 999 -> 1199; "
            "mean 499.5 -> 599.5; std 288.675 -> 346.41; mean moved by +0.31 std; "
            "PSI 0.857 (much)"
        ),
        (
            "column x: min 0 -> 5; max 9 -> 14; mean 4.5 -> 9.5; mean moved by +1.74 std; "
            "PSI 6.171 (much)"
        ),
        "column kind: PSI 0.275 (much)",
    ]
    assert list(drift_lines(drift(after, after))) == []


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    """Ten times the rows, about the same peak."""
    program = (
        "import resource, sys\n"
        "from gitprov.capture.data.tables import profile\n"
        "profile(sys.argv[1], '.csv')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = []
    for count in (200_000, 2_000_000):
        path = tmp_path / f"{count}.csv"
        with path.open("w") as stream:
            stream.write("id,name\n")
            stream.writelines(f"{number},a name {number}\n" for number in range(count))
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        peaks.append(int(done.stdout))
        path.unlink()
    assert peaks[1] < peaks[0] + (64 << 10)
