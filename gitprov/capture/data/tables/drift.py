"""What has changed between two versions of a table, from their profiles alone.

`psi` is the population stability index: the sum of (a - b) ln(a / b) over ten groups that held a
tenth of the values before, what is less and greater than all of them, and nulls; of text, over the
values. A group without values counts as half a value. Below 0.1 is usually called stable, above
0.25 a shift. It is blind to what moves inside one bucket of the histogram (a fifth of a value
wide); `shift` is not: the difference of the means in standard deviations (the root of both
variances' mean).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from gitprov.capture.data.tables.profile import Column, TableProfile
from gitprov.codec.documents import from_document, to_document
from gitprov.errors import MalformedRecord

SCHEMA = "table-drift.1"
_GROUPS = 10
_EMPTY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Retyped:
    """A column with another type."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """A column that both versions have, and that differs.

    Measures are absent where they mean nothing.
    """

    name: str
    before: Column
    after: Column
    psi: float | None = None
    shift: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDrift:
    """The differences of two tables. Columns that are the same are not in it."""

    rows_before: int
    rows_after: int
    schema: str = SCHEMA
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[Retyped, ...] = ()
    columns: tuple[ColumnDrift, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there are more than before."""
        return self.rows_after - self.rows_before

    def to_document(self) -> dict[str, Any]:
        """Return the drift as a document of plain values."""
        return to_document(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the drift that a document describes; raises MalformedRecord."""
        if document.get("schema") != SCHEMA:
            raise MalformedRecord("this is no drift of a table")
        return from_document(cls, document)


def drift(before: TableProfile, after: TableProfile) -> TableDrift:
    """Return in what two tables differ, by what their profiles tell."""
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in after.columns}
    both = [(old[name], new[name]) for name in old if name in new]
    return TableDrift(
        rows_before=before.rows,
        rows_after=after.rows,
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        retyped=tuple(
            Retyped(name=a.name, before=a.type, after=b.type) for a, b in both if a.type != b.type
        ),
        columns=tuple(
            ColumnDrift(
                name=a.name,
                before=a,
                after=b,
                psi=_psi(_groups(a, b, before.rows, after.rows)),
                shift=_shift(a, b),
            )
            for a, b in both
            if a != b
        ),
    )


def _shift(before: Column, after: Column) -> float | None:
    a, b = before.numbers, after.numbers
    if a is None or b is None or a.mean is None or b.mean is None:
        return None
    spread = math.hypot(a.std or 0.0, b.std or 0.0) / math.sqrt(2)
    if spread == 0:
        return 0.0 if a.mean == b.mean else None
    shift = (b.mean - a.mean) / spread
    return shift + 0.0 if math.isfinite(shift) else None


def _psi(counts: list[tuple[int, int]] | None) -> float | None:
    counts = [pair for pair in counts or () if any(pair)]
    olds, news = [old for old, _ in counts], [new for _, new in counts]
    if not any(olds) or not any(news):
        return None
    old_total = sum(count or _EMPTY for count in olds)
    new_total = sum(count or _EMPTY for count in news)
    index = 0.0
    for old, new in counts:
        a, b = (old or _EMPTY) / old_total, (new or _EMPTY) / new_total
        index += (b - a) * math.log(b / a)
    return max(index, 0.0)


def _groups(
    before: Column, after: Column, rows_before: int, rows_after: int
) -> list[tuple[int, int]] | None:
    """Return how many values fall into each group, before and after; None where that is unknown."""
    groups = [(before.nulls, after.nulls)]
    if before.numbers is not None and after.numbers is not None:
        a = {item.bucket: item.count for item in before.numbers.histogram}
        b = {item.bucket: item.count for item in after.numbers.histogram}
        groups.append((before.numbers.non_finite, after.numbers.non_finite))
        return groups + _tenths(a, b)
    if not (_is_told_apart(before) and _is_told_apart(after)):
        return None
    a_text = {item.text: item.count for item in before.top}
    b_text = {item.text: item.count for item in after.top}
    # What is not among the top values of one may be below them, unless they are all.
    a_all, b_all = len(a_text) == before.distinct, len(b_text) == after.distinct
    groups += [
        (a_text.get(text, 0), b_text.get(text, 0))
        for text in dict.fromkeys([*a_text, *b_text])
        if (text in a_text or a_all) and (text in b_text or b_all)
    ]
    old, new = (sum(counts) for counts in zip(*groups, strict=True))
    return [*groups, (rows_before - old, rows_after - new)]


def _is_told_apart(column: Column) -> bool:
    """Say whether the values of a column are known: all, or the most frequent ones."""
    return bool(column.top) or (column.numbers is None and column.distinct == 0)


def _tenths(before: Mapping[int, int], after: Mapping[int, int]) -> list[tuple[int, int]]:
    """Return buckets joined to groups that had a tenth before, and what lies below and above."""
    if not before:
        return [(0, sum(after.values()))]
    least, greatest = min(before), max(before)
    below = sum(count for bucket, count in after.items() if bucket < least)
    above = sum(count for bucket, count in after.items() if bucket > greatest)
    enough = sum(before.values()) / _GROUPS
    groups = [(0, 0)]
    for bucket in sorted(bucket for bucket in {*before, *after} if least <= bucket <= greatest):
        old, new = groups[-1]
        groups[-1] = (old + before.get(bucket, 0), new + after.get(bucket, 0))
        if groups[-1][0] >= enough:
            groups.append((0, 0))
    rest_old, rest_new = groups.pop()
    last_old, last_new = groups.pop()
    return [*groups, (last_old + rest_old, last_new + rest_new), (0, below), (0, above)]
