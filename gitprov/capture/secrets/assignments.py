"""Secrets by their names: `--password x`, `API_KEY=x`, `"api_key": "x"`, `password: x`.

What is quoted counts in any file, what is not only where it cannot be code.
"""

import re
from collections.abc import Iterator
from pathlib import PurePath

from gitprov.capture.secrets.excuses import is_prose
from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.names import (
    BY_NAME,
    is_secret,
    is_secret_in_text,
    says_secret,
)

# In code that is in JSON, quotes stand behind backslashes.
_QUOTED = r"(?P<quote>\\*[\"'`])(?P<quoted>(?:(?!(?P=quote))(?:\\.|[^\n]))+)(?P=quote)"
_PLAIN = r"(?P<plain>(?:[^\s\"'`,;<>|&\\]|\\(?![\"'`]))+)"
_VALUE = rf"(?:{_QUOTED}|{_PLAIN})"
_NAME = r"(?<![\w.-])(?P<name>(?:[A-Za-z]+ )?[A-Za-z_][\w.-]*)"
_END_OF_NAME = r"(?:\\*[\"'`])?(?:\[[0-9]*\]|\])?"
# As in `password: str = "x"`, `const token: &str = "x"`.
_TYPE = r"(?::\s*&?[A-Za-z_][\w.]*(?:\[[^]=]*\])?(?:\s*\|\s*[\w.]+)*\s*(?==))?"
_SIGN = r"\s*(?::=|=>|[=!]={1,2}|[:=])\s*"

_OPTION = re.compile(rf"(?<![\w-])(?P<name>--?[A-Za-z][\w.-]*)(?:[=:]|(?P<space>\s+)(?!-)){_VALUE}")
_VARIABLE = re.compile(rf"(?<![\w.-])(?P<name>[A-Z][A-Z0-9_]*)={_VALUE}")
_TO_QUOTED = re.compile(rf"{_NAME}{_END_OF_NAME}{_TYPE}{_SIGN}@?[bBrRuU]{{0,2}}{_QUOTED}")
_TO_PLAIN = re.compile(rf"{_NAME}{_END_OF_NAME}{_SIGN}{_PLAIN}")
# As in .netrc, where it may stand on a line of its own.
_LOGIN = re.compile(
    r"(?:\b(?:login|user)\s+\S+\s+|^\s*(?=\S+\s+\S+\s*$))(?P<name>password)\s+(?P<plain>\S+)",
    re.IGNORECASE,
)

# Files whose names end otherwise may be code, where `password = given` is no secret.
_NO_CODE = frozenset(
    """
    .bash .cfg .cnf .conf .config .csh .env .fish .ini .ksh .log .markdown .md .properties .rst .sh
    .text .toml .txt .yaml .yml .zsh
    """.split()
)


def assignments(line: str, file: str = "") -> Iterator[Finding]:
    """Yield the values in a line whose names say secret; `file` is the file's name, if any."""
    name = PurePath(file).name.lower()
    holds_secrets = name.startswith(".env") or name.endswith(".env") or "netrc" in name
    patterns = [_OPTION, _VARIABLE, _TO_QUOTED]
    if holds_secrets or name.endswith("rc") or PurePath(name).suffix in {"", *_NO_CODE}:
        patterns += [_TO_PLAIN, _LOGIN]
    for pattern in patterns:
        for found in pattern.finditer(line):
            if pattern is _TO_PLAIN and not says_secret(found["name"]):
                continue  # `PASS: test_one1`
            if _is_secret(found, words_too=holds_secrets):
                yield Finding(*found.span(found.lastgroup or 0), BY_NAME)


def _is_secret(found: re.Match[str], *, words_too: bool) -> bool:
    name, group = found["name"], found.lastgroup or ""
    value = found[group]
    if words_too:
        return is_secret(name, value)
    if not name.startswith("-"):
        return is_secret_in_text(name, value, quoted=group == "quoted")
    # Behind an option a sentence may go on, or its usage: `use --token to log in`, `--token A-KEY`.
    is_word = is_prose(value) and ("-" not in value or value.isupper())
    return is_secret(name, value) and not (group == "plain" and found["space"] and is_word)
