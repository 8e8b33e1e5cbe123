"""Which lines of a text are worth a closer look, and for what.

Detectors take many microseconds a line; this takes a fraction of one, and needs nothing but the
standard library. A line is worth a look if a name in it says secret, or if it holds a long word
such as tokens are made of. Hashes and ids in hexadecimal digits are no such words: they are the
daily bread here. Tests hold this against all detectors.
"""

import re
import sys
from functools import cached_property
from typing import NamedTuple

from gitprov.capture.secrets.escapes import without_escapes
from gitprov.capture.secrets.names import hints_at_secret, says_secret
from gitprov.capture.secrets.token_forms import BEGINNINGS

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_WORD_LETTERS = f"{_LETTERS}0123456789_-"
_NAME_LETTERS = f"{_WORD_LETTERS}."

# Bytes of the same length as the text, one a character: places in them are places in the text.
_LOWER = bytes(range(256)).lower().translate(bytes.maketrans(b"\r", b"\n"))
_LONG = b"w" * 20
_WORD_SHAPES, _NAME_SHAPES, _BLOB_SHAPES = (
    bytes(ord("w") if code in letters.encode() else ord(" ") for code in range(256))
    for letters in (_WORD_LETTERS, f"{_WORD_LETTERS}/+", f"{_WORD_LETTERS}/+=")
)
# No token is as long: an image in a notebook.
_BLOB = b"w" * 4096

# Every name that says secret holds one of these, and so do those that the library goes by.
_IN_NAMES = (b"key", b"pass", b"pw", b"token", b"secret", b"contrase", b"credential", b"jwt")
_NAME_END = re.compile(r"[\w.-]*")
_NAME_REACH = 64
# A name that only hints at a secret counts where a value follows that could be one.
_HINTED = re.compile(r"(?:=|\\*[\"']\]?\s*[:=])\s*\\*[\"']?[^\s\"'\\]{8}")
_HINTED_OPTION = re.compile(r"(?:[=:]|\s+)[\"']?[^\s\"']{8}")
_ASSIGNED = re.compile(r"[\"'`=:(]|--|\bpassword\s")

_CREDENTIALS = re.compile(r"(?:bearer|authorization\W+\w+)\s+\S{8}", re.IGNORECASE)
# Other words that go with secrets, and what is asked of the line besides.
_MARKS = {
    b"://": re.compile("[@?]"),
    b"authorization": _CREDENTIALS,
    b"bearer": _CREDENTIALS,
    b"curl": re.compile(r"\s-[uU]|--user|--proxy-user"),
}

_WORD = re.compile(r"[\w-]*", re.ASCII)
_HEXADECIMAL = re.compile(r"[0-9a-f_-]*|[0-9A-F_-]*")
# A part of a word that looks drawn by lot.
_RANDOM = re.compile(
    r"(?<![A-Za-z0-9])(?:(?=[0-9]*[A-Za-z])(?=[A-Za-z]*[0-9])[A-Za-z0-9]{9}"
    r"|(?=[a-z]*[A-Z])(?=[A-Z]*[a-z])[A-Za-z]{16}|[A-Z]{16})"
)
_BEGINNING = re.compile(f"(?<![A-Za-z0-9])(?:{'|'.join(BEGINNINGS)})")
# What stands before a word may be how its token begins: `hvs.`, `123456789:AA`.
_JOINS = (".", ":", "/")
_BEFORE = 12

_KEY_MARKS = ("PRIVATE KEY", "PuTTY-User-Key")
_UNFINISHED_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[ \t]*(?:[A-Za-z0-9+/=]+|[A-Za-z0-9-]+: [^\r\n]*)?[ \t]*[\r\n])*[A-Za-z0-9+/= \t]*\Z"
)


class Look(NamedTuple):
    """A line worth a look: for names that say secret, for tokens and credentials, or for both."""

    start: int
    end: int
    names: bool
    tokens: bool


def lines_worth_a_look(text: str) -> list[Look]:
    """Return the lines that may hold a secret, in order.

    Carriage returns end lines, too: a progress bar is many lines.
    """
    found = _Found(text)
    for part in _IN_NAMES:
        found.add_names(part)
    for mark, needed in _MARKS.items():
        found.add_mark(mark, needed)
    found.add_tokens()
    lines = sorted(found.names | found.tokens)
    return [Look(*line, line in found.names, line in found.tokens) for line in lines]


def may_hold_private_key(text: str) -> bool:
    """Say whether a private key may be in the text; it has many lines."""
    return any(mark in text for mark in _KEY_MARKS)


def unfinished_key(text: str) -> int | None:
    """Return where a private key begins that goes on to the end of the text; None for none."""
    if not may_hold_private_key(text):
        return None
    found = _UNFINISHED_KEY.search(text)
    return found.start() if found else None


class _Found:
    """The lines that were found in one text, as it is and without its escapes."""

    def __init__(self, text: str) -> None:
        self.names: set[tuple[int, int]] = set()
        self.tokens: set[tuple[int, int]] = set()
        self._text = text
        self._plain = without_escapes(text)
        self._forms = (text,) if self._plain is text else (text, self._plain)
        self._flat = _flat(text)
        self._lower = self._flat.translate(_LOWER)

    def add_names(self, part: bytes) -> None:
        """Add the lines with a name that holds `part` and says secret, and what could be one."""
        line, place = (0, -1), self._lower.find(part)
        while place >= 0:
            if place >= line[1]:
                line = self._line_around(place)
                # Names that the library goes by and we do not stand beside long words.
                if self._long_names.find(_LONG, *line) >= 0:
                    self.tokens.add(line)
            if line in self.names or any(
                _says_secret(form, place, line[0]) for form in self._forms
            ):
                if _ASSIGNED.search(self._text, *line):
                    self.names.add(line)
                place = line[1]
            place = self._lower.find(part, place + 1)

    def add_mark(self, mark: bytes, needed: re.Pattern[str]) -> None:
        """Add the lines with a mark and what is needed besides."""
        place = self._lower.find(mark)
        while place >= 0:
            line = self._line_around(place)
            if any(needed.search(form, *line) for form in self._forms):
                self.tokens.add(line)
            place = self._lower.find(mark, line[1])

    def add_tokens(self) -> None:
        """Add the lines with a long word of letters and digits that is no hash and no blob."""
        flat = self._flat if self._plain is self._text else _flat(self._plain)
        shapes = flat.translate(_WORD_SHAPES)
        place = shapes.find(_LONG)
        while place >= 0:
            end = _end(_WORD, self._plain, place)
            if _is_like_a_token(self._plain, place, end):
                line = self._line_around(place)
                self.tokens.add(line)
                end = line[1]
            place = shapes.find(_LONG, end)

    @cached_property
    def _long_names(self) -> bytes:
        return self._flat.translate(_NAME_SHAPES)

    def _line_around(self, place: int) -> tuple[int, int]:
        end = self._lower.find(b"\n", place)
        return self._lower.rfind(b"\n", 0, place) + 1, end if end >= 0 else len(self._lower)


def _says_secret(text: str, place: int, start: int) -> bool:
    """Say whether the name around a place says secret, perhaps with the word before it."""
    before = text[max(start, place - _NAME_REACH) : place]
    rest = before.rstrip(_NAME_LETTERS)
    if rest.endswith(" ") and not before[len(rest) :].startswith("-"):
        rest = rest[:-1].rstrip(_LETTERS)
    end = _end(_NAME_END, text, place, place + _NAME_REACH)
    name = before[len(rest) :] + text[place:end]
    if hints_at_secret(name):
        follows = _HINTED_OPTION if name.startswith("-") else _HINTED
        return follows.match(text, end) is not None
    return says_secret(name)


def _flat(text: str) -> bytes:
    return _without_blobs(text.encode("latin-1", "replace"))


def _without_blobs(flat: bytes) -> bytes:
    """Return the text with spaces for what is no word: it would be one hit after the other."""
    if len(flat) < len(_BLOB):
        return flat
    shapes = flat.translate(_BLOB_SHAPES)
    start = shapes.find(_BLOB)
    while start >= 0:
        end = shapes.find(b" ", start)
        end = end if end >= 0 else len(flat)
        flat = flat[:start] + b" " * (end - start) + flat[end:]
        start = shapes.find(_BLOB, end)
    return flat


def _is_like_a_token(text: str, place: int, end: int) -> bool:
    """Say whether a word of a text may be of a token."""
    if _HEXADECIMAL.fullmatch(text, place, end):
        return False
    if _BEGINNING.match(text, place) or _RANDOM.search(text, place, end):
        return True
    is_joined = text.startswith(_JOINS, place - 1) if place else False
    before = max(0, place - _BEFORE)
    return is_joined and _BEGINNING.search(text, before, place + 2) is not None


def _end(pattern: re.Pattern[str], text: str, place: int, limit: int = sys.maxsize) -> int:
    found = pattern.match(text, place, limit)
    return found.end() if found else place
