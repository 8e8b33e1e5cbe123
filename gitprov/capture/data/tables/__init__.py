"""Tables: a profile of each version, and from two of them what has drifted.

CSV, Parquet and JSON line by line are read through pyarrow (the extra `tables`). Profiles hold
values of the data, the most frequent ones of text columns: they belong where the data may be.
"""

from gitprov.capture.data.tables.drift import ColumnDrift, Retyped, TableDrift, drift
from gitprov.capture.data.tables.profile import Column, Numbers, TableProfile
from gitprov.capture.data.tables.reading import (
    Skipped,
    Source,
    arrow,
    batches,
    form_of,
    is_inferred,
)
from gitprov.capture.data.tables.summary import ColumnSummary

__all__ = [
    "Column",
    "ColumnDrift",
    "Numbers",
    "Retyped",
    "TableDrift",
    "TableProfile",
    "drift",
    "form_of",
    "profile",
]


def profile(source: Source, form: str) -> TableProfile:
    """Return the profile of a table: a path, or a file at its beginning that can be read twice.

    `form` is what `form_of` says. Raises InputError where the content is something else, OSError
    where it cannot be read, MissingDependency without pyarrow.
    """
    pa, pc = arrow()
    columns: dict[str, ColumnSummary] = {}
    skipped = Skipped()
    rows = 0
    with batches(source, form, skipped) as read:
        for batch in read:
            for name, values in batch.columns.items():
                if name not in columns:
                    columns[name] = ColumnSummary(name, inferred=is_inferred(form))
                    columns[name].skip(rows)
                columns[name].add(values, pa, pc)
            rows += batch.rows
    return TableProfile(
        rows=rows,
        skipped=skipped.rows,
        columns=tuple(summary.column() for summary in columns.values()),
    )
