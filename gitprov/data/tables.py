"""What has changed in the tables among data that differs: rows, columns, values."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from gitprov.capture.data.tables.drift import TableDrift
from gitprov.capture.data.tables.reading import form_of
from gitprov.data.comparison import Change, DataDifference
from gitprov.data.content import DataContent
from gitprov.data.sides import Side
from gitprov.errors import DataUnavailable, InputError
from gitprov.model.wording import place_text


class ChangedTable(NamedTuple):
    """A table that has changed: how, or why that cannot be told."""

    change: Change
    drift: TableDrift | None
    reason: str | None = None


def changed_tables(content: DataContent, found: DataDifference) -> Iterator[ChangedTable]:
    """Yield the tables that have changed.

    The recorded bytes of both sides are needed; `content` brings them. Raises MissingDependency
    where there is a table and pyarrow is not installed.
    """
    for change in found.changes:
        name = change.path.decode("utf-8", "replace") or place_text(found.after.artifact)
        form = form_of(name, None) if change.kind == "changed" else None
        if form is not None:
            yield _compared(content, found, change, form)


def _compared(
    content: DataContent, found: DataDifference, change: Change, form: str
) -> ChangedTable:
    # Late: only a table needs it.
    from gitprov.capture.data.tables import drift, profile  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        try:
            profiles = [
                profile(_bytes(content, side, change.path, Path(folder, name)), form)
                for name, side in (("before", found.before), ("after", found.after))
            ]
        except (DataUnavailable, InputError, OSError) as error:
            return ChangedTable(change, None, str(error))
    return ChangedTable(change, drift(*profiles))


def _bytes(content: DataContent, side: Side, path: bytes, copy: Path) -> Path:
    """Return a file with the bytes of a side: where it lies, or a copy."""
    digest = side.artifact.digest
    if path and side.listing is not None:
        item = side.listing.find(path)
        digest = item.digests if item is not None else {}
    return content.open(side, path, digest) or content.copied(side, path, digest, copy)
