"""Finding secrets in text: what the library knows, and what it lacks.

`gate` picks the lines that are worth a look; those that are not known to be clean are given to all
detectors. What is allowed is not found.
"""

import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from gitprov.capture.secrets.allowed import Allowed
from gitprov.capture.secrets.clean_texts import CleanTexts
from gitprov.capture.secrets.commitments import COMMITMENT
from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.gate import lines_worth_a_look, may_hold_private_key
from gitprov.version import __version__

__all__ = ["Finding", "Scanner"]

_LIBRARY = "detect_secrets"


class Scanner:
    """Looks for secrets. `cache` is a folder in which clean texts may be remembered."""

    def __init__(self, allowed: Allowed, cache: Path | None = None) -> None:
        self._allowed = allowed
        self._cache = cache

    def find(self, text: str, file: str = "", *, remember: bool = True) -> list[Finding]:
        """Return the secrets in a text, sorted, not overlapping.

        `file` is the name of the file that holds the text, if any: where code can be, names alone
        say less. A text that will not come again is not to be remembered. Raises MissingDependency
        where the library cannot be imported.
        """
        found = self._find(text, file, remember=remember)
        return found or []

    def find_at_once(self, text: str) -> list[Finding] | None:
        """Return the secrets in a text that will not come again, or None where that takes long.

        The library's import takes long, the first time that it is needed.
        """
        return self._find(text, "", remember=False, at_once=_LIBRARY not in sys.modules)

    def _find(
        self, text: str, file: str, *, remember: bool, at_once: bool = False
    ) -> list[Finding] | None:
        text = _without_commitments(text)
        lines = lines_worth_a_look(text)
        if not lines and not may_hold_private_key(text):
            return []
        if remember and f"{file}\0{text}" in self._clean:
            return []
        if at_once:
            return None
        # Late: what is clean at a glance or known to be needs no detectors, and no library.
        from gitprov.capture.secrets.detection import detect  # noqa: PLC0415

        # As a whole: a detector may find a part of what another has found.
        found = [
            secret
            for secret in apart(detect(text, lines, file))
            if not self._allowed.allows(text[secret.start : secret.end], secret.kind)
        ]
        if remember and not found:
            self._clean.add(f"{file}\0{text}")
        return found

    @cached_property
    def _clean(self) -> CleanTexts:
        # Late: the version is only asked for where a text is worth a look.
        from gitprov.capture.secrets.library import library_version  # noqa: PLC0415

        rules = [rule.encode() for rule in (__version__, library_version())]
        return CleanTexts(self._cache, [*rules, self._allowed.fingerprint])


def _without_commitments(text: str) -> str:
    """Return the text with stars for what has been replaced already: it is found once."""
    if "{secret:" not in text:
        return text
    return COMMITMENT.sub(lambda found: "*" * len(found[0]), text)


def apart(found: Iterable[Finding]) -> list[Finding]:
    """Return the places sorted; where some overlap, one that covers them, of the widest's kind."""
    apart: list[Finding] = []
    widest = 0
    for secret in sorted(found, key=lambda secret: (secret.start, -secret.end)):
        if apart and secret.start < apart[-1].end:
            last = apart[-1]
            if secret.end - secret.start > widest:
                widest = secret.end - secret.start
                last = last._replace(kind=secret.kind)
            apart[-1] = last._replace(end=max(last.end, secret.end))
        else:
            apart.append(secret)
            widest = secret.end - secret.start
    return apart
