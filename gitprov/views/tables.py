"""Tables in words: what one holds, and what has drifted between two."""

from collections.abc import Iterator

from gitprov.capture.data.tables import Column, ColumnDrift, TableDrift, TableProfile
from gitprov.model.wording import printable

# As the population stability index is usually read.
_SOME, _MUCH = 0.1, 0.25
_SHOWN_VALUES = 5


def profile_lines(profile: TableProfile) -> Iterator[str]:
    """Yield a line for the table and one for each column."""
    skipped = f", {profile.skipped:,} lines skipped" if profile.skipped else ""
    yield f"{_count(profile.rows, 'row')}, {_count(len(profile.columns), 'column')}{skipped}"
    for column in profile.columns:
        yield f"  {printable(column.name)}: {', '.join(_facts(column))}"


def drift_lines(drift: TableDrift) -> Iterator[str]:
    """Yield what differs; nothing for tables whose profiles are the same."""
    if drift.rows:
        yield f"rows: {drift.rows_before:,} -> {drift.rows_after:,} ({drift.rows:+,})"
    for name in drift.added:
        yield f"added column {printable(name)}"
    for name in drift.removed:
        yield f"removed column {printable(name)}"
    for column in drift.columns:
        yield f"column {printable(column.name)}: {'; '.join(_changes(column))}"


def _facts(column: Column) -> Iterator[str]:
    yield printable(column.type)
    if column.nulls:
        yield _count(column.nulls, "null")
    if column.distinct is not None:
        yield f"{'more than ' if column.more else ''}{column.distinct:,} distinct"
    numbers = column.numbers
    if numbers is not None and numbers.min is not None and numbers.max is not None:
        yield f"{_number(numbers.min)} to {_number(numbers.max)}"
        if numbers.mean is not None and numbers.std is not None:
            yield f"mean {_number(numbers.mean)}, std {_number(numbers.std)}"
    if column.first is not None and column.last is not None:
        yield f"{printable(column.first)} to {printable(column.last)}"
    if column.top:
        top = column.top[:_SHOWN_VALUES]
        yield "top " + ", ".join(f"'{printable(value.text)}' ({value.count:,})" for value in top)


def _changes(drift: ColumnDrift) -> Iterator[str]:
    before, after = drift.before, drift.after
    if before.type != after.type:
        yield f"type {printable(before.type)} -> {printable(after.type)}"
    if before.nulls != after.nulls:
        yield f"nulls {before.nulls:,} -> {after.nulls:,}"
    if (before.distinct, before.more) != (after.distinct, after.more):
        yield f"distinct {_distinct(before)} -> {_distinct(after)}"
    a, b = before.numbers, after.numbers
    if a is not None and b is not None:
        for name in ("min", "max", "mean", "std"):
            old, new = getattr(a, name), getattr(b, name)
            if old != new:
                yield f"{name} {_number(old)} -> {_number(new)}"
    if (before.first, before.last) != (after.first, after.last):
        yield f"{_span(before)} -> {_span(after)}"
    if drift.shift:
        yield f"mean moved by {drift.shift:+.2f} std"
    if drift.psi is not None:
        yield f"PSI {drift.psi:.3f}{_reading(drift.psi)}"


def _reading(psi: float) -> str:
    return " (much)" if psi >= _MUCH else " (some)" if psi >= _SOME else ""


def _distinct(column: Column) -> str:
    if column.distinct is None:
        return "unknown"
    return f"{'more than ' if column.more else ''}{column.distinct:,}"


def _span(column: Column) -> str:
    return f"{printable(column.first or 'none')} to {printable(column.last or 'none')}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
