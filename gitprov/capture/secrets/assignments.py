"""Secrets by their names: `--password x`, `API_KEY=x`, `"api_key": "x"`, `password: x`.

Where the text is a file, only what cannot be code counts here; code is the library's business.
"""

import re
from collections.abc import Iterator
from pathlib import PurePath

from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.names import BY_NAME, may_be_secret, says_secret

_QUOTED_OR_NOT = r"(?:\"(?P<double>[^\"\n]+)\"|'(?P<single>[^'\n]+)'|(?P<plain>[^\s\"'`,;<>|&]+))"
_OPTION = re.compile(rf"(?<![\w-])--?(?P<name>[A-Za-z][\w.-]*)(?:=|\s+(?!-)){_QUOTED_OR_NOT}")
_VARIABLE = re.compile(rf"(?<![\w.-])(?P<name>[A-Z][A-Z0-9_]*)={_QUOTED_OR_NOT}")
_LOOSE = re.compile(
    r"(?<![\w.-])(?P<name>(?:[A-Za-z]+ )?[A-Za-z_][\w.-]*)[\"']?"
    rf"\s*(?::=|=>|[:=])\s*{_QUOTED_OR_NOT}"
)
# As in .netrc.
_LOGIN = re.compile(r"(?P<name>\b(?:login|user)\s+\S+\s+password)\s+(?P<plain>\S+)", re.IGNORECASE)
# Words, and names of other things: `password=password`, `token: required`, `api_key=cfg.key`.
_WORDS = re.compile(r"[A-Za-z_]+(?:[-._/:][A-Za-z_]+)*[.:!?()[{]*")
_MIN_LENGTH = 6


def assignments(line: str, file: str = "") -> Iterator[Finding]:
    """Yield the values in a line whose names say secret; `file` is the file's name, if any."""
    patterns = (_OPTION, _VARIABLE, _LOGIN) if file else (_OPTION, _VARIABLE, _LOGIN, _LOOSE)
    words_too = PurePath(file).name.startswith(".env") or file.endswith(".env")
    for pattern in patterns:
        for found in pattern.finditer(line):
            if says_secret(found["name"]) and _is_secret(found, words_too=words_too):
                yield Finding(*found.span(found.lastgroup or 0), BY_NAME)


def _is_secret(found: re.Match[str], *, words_too: bool) -> bool:
    value = found[found.lastgroup or 0]
    if not may_be_secret(value):
        return False
    if words_too or found.lastgroup != "plain":
        return True
    return len(value) >= _MIN_LENGTH and _WORDS.fullmatch(value) is None
