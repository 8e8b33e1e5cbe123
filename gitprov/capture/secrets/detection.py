"""All detectors, on the lines of a text that are worth a look."""

from collections.abc import Iterable, Iterator

from gitprov.capture.secrets.assignments import assignments
from gitprov.capture.secrets.escapes import without_escapes
from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.forms import forms, private_keys
from gitprov.capture.secrets.gate import Look
from gitprov.capture.secrets.library import is_allowed, keywords, tokens

_PRAGMA = "pragma"


def detect(text: str, lines: Iterable[Look], file: str) -> Iterator[Finding]:
    """Yield what any detector takes for a secret, in no order; places may overlap."""
    yield from private_keys(text)
    for look in lines:
        line = text[look.start : look.end]
        before = text[text.rfind("\n", 0, max(0, look.start - 1)) + 1 : look.start].rstrip("\n")
        # A comment may allow what is in a line.
        if (_PRAGMA in line or _PRAGMA in before) and is_allowed(line, file, before):
            continue
        for form in dict.fromkeys((line, without_escapes(line))):
            for found in _in_line(form, look, file):
                yield Finding(look.start + found.start, look.start + found.end, found.kind)


def _in_line(line: str, look: Look, file: str) -> Iterator[Finding]:
    if look.tokens:
        yield from forms(line)
        yield from tokens(line)
    if look.names:
        yield from keywords(line, file)
        yield from assignments(line, file)
