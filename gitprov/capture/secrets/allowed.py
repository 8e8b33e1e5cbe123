r"""What a project has said is no secret, in `[secrets]` of `.gitprov.toml`.

- `allow-paths`: globs of files that are not looked into, as in `.gitignore` but for `!`. Relative
  to the top of the work tree; letters count as they are written. A glob with a `/` before its end
  is matched from the top, one without matches at any depth. `*` and `?` stand for letters other
  than `/`, `[a-z]` and `[!a-z]` for one letter, `**` as a whole part of the path for any number of
  folders, `\` takes the next letter as it is. What matches a folder matches all below it; with a
  `/` at its end a glob matches nothing but folders.
- `allow-patterns`: regular expressions. What is found is no secret where one of them matches
  anywhere in it.
- `allow-kinds`: kinds of secrets that are not looked for, as `git prov scan` names them.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gitprov.capture.settings_file import read_settings, settings_error

# A part of a glob: a letter taken as it is, `*`, `?`, `[letters]`, any other letter.
_TOKEN = re.compile(
    r"(?P<literal>\\.)|(?P<many>\*+)|(?P<one>\?)|\[(?P<letters>[!^]?\]?[^]]*)]|.", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is allowed to be recorded although it looks like a secret."""

    paths: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = ()
    kinds: frozenset[str] = frozenset()

    @property
    def fingerprint(self) -> bytes:
        """A digest of what is allowed: what was clean under another one must be looked at again."""
        patterns = [pattern.pattern for pattern in self.patterns]
        said = repr((self.paths, patterns, sorted(self.kinds)))
        return hashlib.sha256(said.encode("utf-8", "backslashreplace")).digest()

    def allows(self, secret: str, kind: str) -> bool:
        """Say whether this may be recorded although it looks like a secret of this kind."""
        return kind in self.kinds or any(pattern.search(secret) for pattern in self.patterns)

    def allows_path(self, path: str | bytes) -> bool:
        """Say whether a file, named from the top of the work tree, may hold what it wants."""
        return bool(self.paths) and _any_of(self.paths).fullmatch(os.fsdecode(path)) is not None


def read_allowed(top: Path | None) -> Allowed:
    """Return what a work tree's `.gitprov.toml` allows; raise InputError where it is wrong."""
    found = read_settings(top).secrets
    for glob in found.allow_paths:
        if glob.startswith("!"):
            raise settings_error(f"secrets.allow-paths holds {glob!r}: nothing is taken back")
        with _refused(f"secrets.allow-paths holds {glob!r}, no glob"):
            re.compile(_path_pattern(glob))
    patterns = []
    for pattern in found.allow_patterns:
        with _refused(f"secrets.allow-patterns holds {pattern!r}, no regular expression"):
            patterns.append(re.compile(pattern))
    return Allowed(found.allow_paths, tuple(patterns), frozenset(found.allow_kinds))


@contextmanager
def _refused(problem: str) -> Iterator[None]:
    try:
        yield
    except re.error as error:
        raise settings_error(f"{problem}: {error}") from error


@lru_cache(maxsize=8)
def _any_of(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{_path_pattern(glob)})" for glob in globs), re.DOTALL)


def _path_pattern(glob: str) -> str:
    """Return the regular expression of the files that a glob stands for."""
    body = glob.removesuffix("/")
    *folders, last = body.removeprefix("/").split("/")
    pattern = "" if "/" in body else "(?:.*/)?"
    for part in folders:
        pattern += "(?:.*/)?" if part == "**" else f"{_part_pattern(part)}/"
    pattern += ".+" if last == "**" else _part_pattern(last)
    return pattern + ("/.+" if glob.endswith("/") else "(?:/.+)?")


def _part_pattern(part: str) -> str:
    """Return the regular expression of one part of a path."""
    return _TOKEN.sub(_token_pattern, part)


def _token_pattern(token: re.Match[str]) -> str:
    match token.lastgroup:
        case "many":
            return "[^/]*"
        case "one":
            return "[^/]"
        case "letters":
            letters = token["letters"]
            negated = "^" if letters[0] in "!^" else ""
            letters = re.sub(r"[\\\[\]^&~|]", r"\\\g<0>", letters[len(negated) :])
            return f"(?!/)[{negated}{letters}]"
        case _ if token[0] == "[":
            raise re.error("[ without ]")
        case _:
            return re.escape(token[0][-1])
