"""Secrets replaced by commitments, in all that is about to be written.

What is known to be a secret, by the name of an environment variable, an argument or a parameter, is
replaced wherever it stands; the rest is looked for (`scanner`). Numbers are left as they are, but
for those whose names say password.
"""

import os
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gitprov.capture.secrets.allowed import Allowed, read_allowed
from gitprov.capture.secrets.commitments import commitment, load_salt
from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.names import (
    BY_NAME,
    is_secret,
    is_secret_within,
    secret_arguments,
)
from gitprov.capture.secrets.scanner import Scanner, apart
from gitprov.codec.canonical import Document
from gitprov.errors import InputError
from gitprov.store.repository import Repository

BY_VARIABLE = "Environment Variable"

_MIN_KNOWN = 8
_MIN_LINE = 16
# A word may stand in other words: `postgres` in `postgresql`.
_WORD = re.compile(r"[a-z]{1,15}|[A-Z]?[a-z]{1,14}|[A-Z]{1,15}|[0-9]{1,15}")
# Of our own making, and nothing to look into: digests, ids, reasons under their field's name.
_OURS = frozenset({"digest", "id", "listing", "previous"})
_THEIRS = ("params.", "ext.")
_REASONS = "missing"

_MAX_CLEAN = 4096
_MAX_LENGTH = 256


class Redactor:
    """Replaces secrets by commitments.

    `found` says what was replaced: its place in the document, and its kind. `problems` says in
    words what was wrong with the settings. What is redacted once stays as it is.
    """

    def __init__(
        self,
        scanner: Scanner,
        salt: Callable[[], bytes],
        *,
        allowed: Allowed = Allowed(),  # noqa: B008 -- frozen
        problems: Sequence[str] = (),
    ) -> None:
        self.found: dict[str, str] = {}
        self.problems = list(problems)
        self.allowed = allowed
        self._scanner = scanner
        self._load_salt = salt
        self._known: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._clean: set[str] = set()
        self._news: dict[str, str] = {}

    def learn(self, value: str, kind: str) -> None:
        """Take a value for a secret wherever it stands from now on, if it is long enough."""
        if len(value) < _MIN_KNOWN or value in self._known or self.allowed.allows(value, kind):
            return
        lines = [line.strip() for line in value.splitlines()]
        forms = [value, quote(value, safe=""), *(line for line in lines if len(line) >= _MIN_LINE)]
        self._known |= dict.fromkeys(forms, kind)
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_wherever_it_stands, longest_first)))
        self._clean.clear()

    def text(self, text: str, place: str = "", *, file: str = "", remember: bool = True) -> str:
        """Return the text with commitments for secrets; `place` says where it is to be recorded.

        `file` is the name of the file that holds it, if any. Texts that will not come again are
        not to be remembered.
        """
        if text in self._clean:
            return text
        found = self.find(text, file, remember=remember)
        if not found and len(text) <= _MAX_LENGTH and len(self._clean) < _MAX_CLEAN:
            self._clean.add(text)
        return self.replace(text, found, place)

    def find(self, text: str, file: str = "", *, remember: bool = True) -> list[Finding]:
        """Return the secrets in a text, the known ones too: sorted, not overlapping."""
        return self._with_known(text, self._scanner.find(text, file, remember=remember))

    def find_at_once(self, text: str) -> list[Finding] | None:
        """Return the same for a text that will not come again, or None where that takes long."""
        found = self._scanner.find_at_once(text)
        return None if found is None else self._with_known(text, found)

    def replace(self, text: str, found: Iterable[Finding], place: str = "") -> str:
        """Return the text with commitments for what was found in it."""
        parts, end = [], 0
        for secret in found:
            value = text[secret.start : secret.end]
            parts += [text[end : secret.start], self._replaced(value, secret.kind, place)]
            end = secret.end
        return "".join([*parts, text[end:]])

    def document(self, document: Mapping[str, Any]) -> Document:
        """Return the document with commitments for secrets, in names and in values."""
        known = len(self._known)
        redacted = self._mapping(document, "")
        if len(self._known) > known:  # it may stand before the name that gave it away
            redacted = self._mapping(redacted, "")
        return redacted

    def known_in(self, text: str) -> list[Finding]:
        """Return where in a text those secrets stand that are known."""
        if self._pattern is None:
            return []
        return [
            Finding(*found.span(), self._known[found[0]]) for found in self._pattern.finditer(text)
        ]

    def may_be_in(self, content: bytes) -> bool:
        """Say, quickly, whether content may hold a secret that is known."""
        codes = ("utf-8", "utf-16-le", "utf-16-be") if b"\0" in content else ("utf-8",)
        return any(
            known.encode(code, "surrogatepass") in content
            for known in self._known
            for code in codes
        )

    def tell(self, place: str, kind: str) -> None:
        """Take note of a secret that was kept out otherwise, so that the user is told of it."""
        self.found[place] = kind

    def found_besides(self, told: Container[str]) -> dict[str, str]:
        """Return what was found, place and kind, in other places than these."""
        return {place: kind for place, kind in self.found.items() if place not in told}

    def take_news(self) -> dict[str, str]:
        """Return what was replaced since the last call: place and kind."""
        news, self._news = self._news, {}
        return news

    def _with_known(self, text: str, found: list[Finding]) -> list[Finding]:
        known = self.known_in(text)
        return apart([*found, *known]) if known else found

    def _mapping(self, document: Mapping[str, Any], prefix: str) -> Document:
        redacted = {}
        for name, value in document.items():
            place = f"{prefix}{self.text(name, prefix.removesuffix('.'))}"
            redacted[place[len(prefix) :]] = self._item(name, value, place)
        return redacted

    def _item(self, name: str, value: Any, place: str) -> Any:
        if name in _OURS and not place.startswith(_THEIRS):
            return value
        by_name = isinstance(value, str | int | float) and _is_secret(name, value)
        if by_name and not place.startswith(_REASONS):
            text = str(value)
            if not self.allowed.allows(text, BY_NAME):
                self.learn(text, BY_NAME)
                return self._replaced(text, BY_NAME, place)
        if name == "argv" and isinstance(value, list | tuple):
            return self._arguments(value, place)
        return self._value(value, place)

    def _value(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            within = place.partition(".")[2] if place.startswith(_THEIRS) else ""
            if is_secret_within(within, value) and not self.allowed.allows(value, BY_NAME):
                self.learn(value, BY_NAME)
                return self._replaced(value, BY_NAME, place)
            return self.text(value, place)
        if isinstance(value, bytes):
            text = os.fsdecode(value)
            redacted = self.text(text, place)
            return value if redacted == text else os.fsencode(redacted)
        if isinstance(value, Mapping):
            return self._mapping(value, f"{place}.")
        if isinstance(value, list | tuple):
            return [self._value(item, f"{place}[{number}]") for number, item in enumerate(value)]
        return value

    def _arguments(self, argv: Sequence[str | bytes], place: str) -> list[str | bytes]:
        redacted = list(argv)
        for number, start in secret_arguments([os.fsdecode(word) for word in argv]):
            word = os.fsdecode(argv[number])
            value = word[start:]
            if not self.allowed.allows(value, BY_NAME):
                self.learn(value, BY_NAME)
                here = f"{place}[{number}]"
                redacted[number] = word[:start] + self._replaced(value, BY_NAME, here)
        return [self._value(word, f"{place}[{number}]") for number, word in enumerate(redacted)]

    def _replaced(self, value: str, kind: str, place: str) -> str:
        if place:
            kinds = {*self.found.get(place, kind).split(", "), kind}
            self.found[place] = self._news[place] = ", ".join(sorted(kinds))
        return commitment(self._salt, value)

    @cached_property
    def _salt(self) -> bytes:
        return self._load_salt()


def redactor_for(repository: Repository, environ: Mapping[str, str]) -> Redactor:
    """Return what keeps secrets out of what is recorded in a repository.

    The values of environment variables whose names say secret are known. Where `.gitprov.toml` is
    wrong, nothing is allowed.
    """
    return redactor_at(repository.prov_dir, repository.work_tree, environ)


def redactor_at(prov_dir: Path, top: Path | None, environ: Mapping[str, str]) -> Redactor:
    """Return the same where gitprov's folder and the work tree are known, and no repository is."""
    problems = []
    try:
        allowed = read_allowed(top)
    except InputError as error:
        allowed = Allowed()
        problems.append(f"{error}; so nothing is allowed")
    redactor = Redactor(
        Scanner(allowed, prov_dir / "cache"),
        lambda: load_salt(prov_dir),
        allowed=allowed,
        problems=problems,
    )
    for name, value in environ.items():
        if len(value) >= _MIN_KNOWN and is_secret(name, value):
            redactor.learn(value, BY_VARIABLE)
    return redactor


def _is_secret(name: str, value: str | float) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float) and "pass" not in name.lower():
        return False
    return is_secret(name, str(value))


def _wherever_it_stands(value: str) -> str:
    escaped = re.escape(value)
    if _WORD.fullmatch(value):
        return rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])"
    return escaped
