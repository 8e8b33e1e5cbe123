"""A secret's place in a text."""

from typing import NamedTuple


class Finding(NamedTuple):
    """Where a secret begins and ends, and of what kind it is, in words for people."""

    start: int
    end: int
    kind: str
