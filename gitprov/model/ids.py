"""Record ids: 128 random bits, written with the letters k to z.

Each hexadecimal digit stands for one letter (0 is k, f is z), so an id can never be mistaken
for a commit, and ids sort as their numbers do. Specification: section 3.
"""

import os
import re

ID_LENGTH = 32
SHORT_LENGTH = 8

_TO_LETTERS = str.maketrans("0123456789abcdef", "klmnopqrstuvwxyz")
_ID = re.compile(r"[k-z]{32}\Z")
_PREFIX = re.compile(r"[k-z]{1,32}\Z")


def new_id() -> str:
    """Return a fresh id of 32 letters, from the operating system's random source."""
    return os.urandom(16).hex().translate(_TO_LETTERS)


def is_id(text: str) -> bool:
    """Say whether `text` is a whole id."""
    return _ID.match(text) is not None


def is_prefix(text: str) -> bool:
    """Say whether `text` could begin an id (a whole one included)."""
    return _PREFIX.match(text) is not None


def short(run_id: str) -> str:
    """Return the first letters of an id, enough for a person to recognise it."""
    return run_id[:SHORT_LENGTH]
