"""Summing up a column batch by batch, in memory that does not grow with the table."""

import hashlib
import math
from collections import Counter
from typing import Any

from gitprov.capture.data.tables.histogram import MAX_PLACE, OFFSET, PER_DOUBLING
from gitprov.capture.data.tables.profile import MAX_DISTINCT, Bucket, Column, Numbers, Value
from gitprov.capture.data.tables.reading import shown

_TOP = 50
# Longer values are cut, and end with the beginning of their hash: they stay apart.
_MAX_TEXT = 200
_CUT = 160
_MAX_INTEGER = 1 << 63


class ColumnSummary:
    """Sums up one column.

    Batches are Arrow arrays. Those of text (`inferred`) are taken for numbers as long as all of
    them are; a column whose batches differ in type is one of text.
    """

    def __init__(self, name: str, *, inferred: bool) -> None:
        self._name = name
        self._inferred = inferred
        self._type: str | None = None
        self._nulls = 0
        self._counts: Counter[str] | None = Counter()
        self._distinct: int | None = 0
        self._numbers: _Numbers | None = None
        self._first: str | None = None
        self._last: str | None = None

    def add(self, array: Any, pa: Any, pc: Any) -> None:
        """Take the next batch of values."""
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        kind = array.type
        if pa.types.is_float16(kind):  # few functions take them
            array = array.cast(pa.float32())
        self._nulls += array.null_count
        values = array.drop_null()
        if not len(values):
            if self._type is None and not self._inferred and not pa.types.is_null(kind):
                self._take(kind, pa)
            return
        self._count(values, pa, pc)
        if self._inferred:
            values = self._narrowed(values, pa)
        else:
            self._take(kind, pa)
        if self._numbers is not None:
            self._numbers.add(values, pc, pa)
        if pa.types.is_temporal(values.type) and not pa.types.is_duration(values.type):
            ends = pc.min_max(values)
            first, last = str(ends["min"].cast(pa.string())), str(ends["max"].cast(pa.string()))
            self._first = min(first, self._first or first)
            self._last = max(last, self._last or last)

    def skip(self, rows: int) -> None:
        """Take so many rows that do not have the column."""
        self._nulls += rows

    def column(self) -> Column:
        """Return what the column is, all of its batches being taken."""
        is_text = self._numbers is None and self._first is None
        ranked = sorted((self._counts or Counter()).items(), key=lambda pair: (-pair[1], pair[0]))
        return Column(
            name=self._name,
            type=self._type or "null",
            nulls=self._nulls,
            distinct=self._distinct,
            more=self._counts is None and self._distinct is not None,
            numbers=None if self._numbers is None else self._numbers.summed(self._type or ""),
            top=tuple(Value(text=text, count=n) for text, n in ranked[:_TOP]) if is_text else (),
            first=self._first,
            last=self._last,
        )

    def _take(self, kind: Any, pa: Any) -> None:
        """Take the type of a batch: the first one, or what both are."""
        name = str(kind)
        if self._type is None:
            self._type = name
            if _is_number(kind, pa):
                self._numbers = _Numbers()
        elif self._type != name:
            if {self._type, name} == {"int64", "double"}:
                self._type = "double"
            else:
                self._type = "string"
                self._numbers = None
                self._first = self._last = None

    def _narrowed(self, values: Any, pa: Any) -> Any:
        """Return text as the numbers that it stands for, while all text of the column does."""
        if self._type == "string":
            return values
        for name, kind in (("int64", pa.int64()), ("double", pa.float64())):
            if (self._type, name) == ("double", "int64"):
                continue
            try:
                numbers = values.cast(kind)
            except pa.ArrowInvalid:
                continue
            self._type = name
            self._numbers = self._numbers or _Numbers()
            return numbers
        self._type = "string"
        self._numbers = None
        return values

    def _count(self, values: Any, pa: Any, pc: Any) -> None:
        if self._counts is None:
            return
        try:
            counted = None if pa.types.is_nested(values.type) else pc.value_counts(values)
        except pa.ArrowNotImplementedError:
            counted = None
        if counted is None:
            self._counts = self._distinct = None
            return
        for found in counted.to_pylist():
            self._counts[_short(shown(found["values"]))] += found["counts"]
            if len(self._counts) > MAX_DISTINCT:
                self._counts, self._distinct = None, MAX_DISTINCT
                return
        self._distinct = len(self._counts)


class _Numbers:
    """Sums up numbers; means are joined as by Chan, Golub and LeVeque."""

    def __init__(self) -> None:
        self._count = self._finite = 0
        self._mean = self._squares = 0.0
        self._min: int | float | None = None
        self._max: int | float | None = None
        self._buckets: Counter[int] = Counter()

    def add(self, values: Any, pc: Any, pa: Any) -> None:
        floats = values.cast(pa.float64(), safe=False)
        is_finite = pc.is_finite(floats)
        self._count += len(values)
        values, floats = values.filter(is_finite), floats.filter(is_finite)
        count = len(floats)
        if not count:
            return
        ends = pc.min_max(values)
        low, high = _number(ends["min"].as_py()), _number(ends["max"].as_py())
        self._min = low if self._min is None else min(self._min, low)
        self._max = high if self._max is None else max(self._max, high)
        mean, total = pc.mean(floats).as_py(), self._finite + count
        delta = mean - self._mean
        squares = pc.variance(floats).as_py() * count
        self._squares += squares + delta * delta * self._finite * count / total
        self._mean += delta * count / total
        self._finite = total
        for found in pc.value_counts(self._positions(floats, pc, pa)).to_pylist():
            self._buckets[found["values"]] += found["counts"]

    @staticmethod
    def _positions(floats: Any, pc: Any, pa: Any) -> Any:
        """Return the bucket of each number, as `bucket_of` does."""
        logs = pc.floor(pc.multiply(pc.log2(pc.abs(floats)), float(PER_DOUBLING)))
        logs = pc.min_element_wise(logs, float(MAX_PLACE))
        zero = pc.equal(floats, 0.0)
        position = pc.add(pc.if_else(zero, 0.0, logs), float(OFFSET))
        return pc.multiply(pc.sign(floats), position).cast(pa.int64())

    def summed(self, kind: str) -> Numbers:
        """Return the sums; the ends of a column of floats are floats."""
        mean, squares = self._mean, self._squares
        end = float if kind == "double" else _same
        known = self._finite and math.isfinite(mean) and math.isfinite(squares)
        return Numbers(
            count=self._count,
            non_finite=self._count - self._finite,
            min=None if self._min is None else end(self._min),
            max=None if self._max is None else end(self._max),
            mean=mean + 0.0 if known else None,
            std=math.sqrt(max(squares, 0.0) / self._finite) if known else None,
            histogram=tuple(
                Bucket(bucket=bucket, count=count)
                for bucket, count in sorted(self._buckets.items())
            ),
        )


def _same(value: float) -> float:
    return value


def _is_number(kind: Any, pa: Any) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _number(value: Any) -> int | float:
    """Return a number that a document can hold, and no -0.0."""
    if isinstance(value, int) and -_MAX_INTEGER <= value < 2 * _MAX_INTEGER:
        return value
    return float(value) + 0.0


def _short(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    return f"{text[:_CUT]}…{hashlib.sha256(text.encode()).hexdigest()[:16]}"
