"""What the library finds: bc-detect-secrets, all of its detectors that go by form, and its names.

Its verdict on single lines, without its files, settings, network and command line. Not asked are
its detectors by entropy (hashes of commits, data and models would all be secrets), its detector of
private keys, which knows their first line and not the key, and that of passwords in URLs (see
`forms` for both). Nor its excuses for values: see `excuses`. Importing it takes as long as all else
that a run needs, so it is imported when there is a line to ask about.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitprov.capture.secrets.excuses import may_be_secret
from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.names import is_secret_in_text
from gitprov.errors import MissingDependency

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

KEYWORD = "Secret Keyword"

_NOT_ASKED = ("BasicAuthDetector", "HighEntropyString", "PrivateKeyDetector")
# The name before `= "value"` and the like, or behind `"value" ==`.
_NAME_BEFORE = re.compile(
    r"(?<![\w.-])([\w.-]+)[\"'`\])]*(?:\[[0-9]*\])?\s*(?::=|=>|[:=!]{1,3}|\(|\.assign\(|,|(?=\s))\s*@?[\"'`]?$"
)
_NAME_BEHIND = re.compile(r"[\"'`]\s*[!=]{2,3}\s*([\w.-]+)")
_REACH = 200
_WORD_LETTER = re.compile(r"[\w-]")


def library_version() -> str:
    """Return the library's version without importing it: what it finds depends on that."""
    spec = find_spec("detect_secrets")
    if spec is None or spec.origin is None:
        raise MissingDependency("detect_secrets is not installed; pip install bc-detect-secrets")
    return Path(spec.origin).with_name("__version__.py").read_text("utf-8")


def token_kinds() -> frozenset[str]:
    """Return the kinds of what `tokens` finds."""
    return frozenset(detector.secret_type for detector in _library().detectors)


def is_allowed(line: str, file: str, before: str) -> bool:
    """Say whether a comment allows what is in a line: `pragma: allowlist secret`.

    `before` is the line before it, where `pragma: allowlist nextline secret` may stand.
    """
    return _library().is_allowed(line, file, before)


def tokens(line: str) -> Iterator[Finding]:
    """Yield what the library's detectors of tokens and credentials find in a line."""
    asked = _library()
    for detector in asked.detectors:
        if any(expression.search(line) for expression in detector.denylist):
            found = asked.verdict(detector, line)
            for start, end in _places(line, detector, found):
                yield Finding(start, end, detector.secret_type)


def keywords(line: str, file: str = "") -> Iterator[Finding]:
    """Yield the values in a line whose names say secret, to the library and to us.

    `file` is the file's name, by which the library knows the language.
    """
    asked = _library()
    if not asked.verdict(asked.keyword_detector, line, file):
        return
    for expression, group in asked.keyword_expressions(file).items():
        # All of them: the library looks at the first alone.
        for found in expression.finditer(line):
            start, end = found.span(group)
            name = _NAME_BEFORE.search(line[max(0, start - _REACH) : start]) or _NAME_BEHIND.match(
                line, end
            )
            if name and is_secret_in_text(name[1], found[group], quoted=True):
                yield Finding(start, end, KEYWORD)


class _Library:
    """The library, imported."""

    def __init__(self) -> None:
        # Late: see above.
        from detect_secrets.core.plugins.util import (  # noqa: PLC0415
            get_mapping_from_secret_type_to_class,
        )
        from detect_secrets.filters import allowlist  # noqa: PLC0415
        from detect_secrets.plugins import keyword  # noqa: PLC0415
        from detect_secrets.util.code_snippet import CodeSnippet  # noqa: PLC0415
        from detect_secrets.util.filetype import determine_file_type  # noqa: PLC0415

        detectors = dict(get_mapping_from_secret_type_to_class())
        self.keyword_detector = detectors.pop(KEYWORD)()
        self.detectors: list[Any] = [
            detector()
            for detector in detectors.values()
            if not detector.__name__.endswith(_NOT_ASKED)
        ]
        self._keyword, self._file_type = keyword, determine_file_type
        self._snippet, self._allowlist = CodeSnippet, allowlist

    def verdict(self, detector: "BasePlugin", line: str, file: str = "") -> set[str]:
        """Return what a detector finds, but for what is no secret in anybody's eyes."""
        secrets = detector.analyze_line(filename=file, line=line)
        values = {secret.secret_value for secret in secrets if secret.secret_value}
        return {value for value in values if may_be_secret(value)}

    def keyword_expressions(self, file: str) -> Mapping["re.Pattern[str]", int]:
        """Return the expressions of the keyword detector for a file, with the secret's group."""
        found: Mapping[re.Pattern[str], int] = self._keyword.REGEX_BY_FILETYPE.get(
            self._file_type(file), self._keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
        )
        return found

    def is_allowed(self, line: str, file: str, before: str) -> bool:
        """See the function of this name."""
        context = self._snippet(snippet=[before, line], start_line=0, target_index=1)
        return bool(self._allowlist.is_line_allowlisted(filename=file, line=line, context=context))


@cache
def _library() -> _Library:
    show = warnings.showwarning
    try:
        return _Library()
    except ImportError as error:
        raise MissingDependency(f"the scanner for secrets cannot be imported: {error}") from error
    finally:
        if warnings.showwarning is not show:
            # Its import has given all warnings to logging; this process may be anybody's program.
            logging.captureWarnings(capture=False)


def _places(line: str, detector: Any, values: set[str]) -> Iterator[tuple[int, int]]:
    """Yield where the values stand: where the detector's expressions match, or else anywhere."""
    placed = set()
    for expression in detector.denylist:
        for found in expression.finditer(line):
            for group in range(1 if expression.groups else 0, expression.groups + 1):
                if found[group] in values:
                    placed.add(found[group])
                    yield _whole_word(line, found, group)
    for value in values - placed:
        for found in re.finditer(re.escape(value), line):
            yield found.span()


def _whole_word(line: str, found: re.Match[str], group: int) -> tuple[int, int]:
    """Return the place of a group, and of the rest of its word: it may be a token's first part."""
    start, end = found.span(group)
    while start > found.start() and _WORD_LETTER.match(line, start - 1):
        start -= 1
    while end < found.end() and _WORD_LETTER.match(line, end):
        end += 1
    return start, end
