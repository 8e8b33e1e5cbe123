"""What is kept of a table: rows, schema, and a summary of each column.

Profiles are documents (`gitprov.codec.documents`), so that they can be kept beside what they
describe. They are functions of the rows alone: the order of rows, and how they were read, change no
count, and sums by rounding only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from gitprov.codec.documents import from_document, to_document
from gitprov.errors import MalformedRecord

SCHEMA = "table.1"
# So many different values of a column are told apart.
MAX_DISTINCT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """How many values fall into one bucket (`histogram`)."""

    bucket: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A column of numbers, those that are not finite apart.

    `mean` and `std` (of the population) are of finite ones, and absent without any.
    """

    count: int
    non_finite: int = 0
    min: int | float | None = None
    max: int | float | None = None
    mean: float | None = None
    std: float | None = None
    histogram: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value as text, and how often it is there."""

    text: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column. `distinct` is exact up to MAX_DISTINCT; with `more`, there are at least so many.

    `top` has the values that are there most often, where all were told apart; none of numbers.
    `first` and `last` are the least and greatest of times, as text.
    """

    name: str
    type: str
    nulls: int = 0
    distinct: int | None = None
    more: bool = False
    numbers: Numbers | None = None
    top: tuple[Value, ...] = ()
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableProfile:
    """A table; `skipped` rows had another number of fields than the header, or were no rows."""

    rows: int
    schema: str = SCHEMA
    skipped: int = 0
    columns: tuple[Column, ...] = field(default_factory=tuple)

    @property
    def types(self) -> Mapping[str, str]:
        """The type of each column by its name."""
        return {column.name: column.type for column in self.columns}

    def to_document(self) -> dict[str, Any]:
        """Return the profile as a document of plain values."""
        return to_document(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the profile that a document describes; raises MalformedRecord."""
        if document.get("schema") != SCHEMA:
            raise MalformedRecord("this is no profile of a table")
        return from_document(cls, document)
