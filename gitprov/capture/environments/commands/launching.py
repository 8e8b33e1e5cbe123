"""A command that starts another: what both have in common, and how options are passed over."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line, with the folder and the variables that it gets.

    `doubts` say why the one that started it may give it others. `for_python`: what started it is a
    tool for Python programs.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    doubts: tuple[str, ...] = ()
    for_python: bool = False

    def program(self, name: str) -> Path | None:
        """Return the file that executing `name` would start, as an absolute path."""
        if "/" in name:
            places = [self.cwd / name]
        else:
            folders = self.env.get("PATH", os.defpath).split(os.pathsep)
            places = [self.cwd / folder / name for folder in folders]
        for place in places:
            try:
                if place.is_file() and os.access(place, os.X_OK):
                    return place
            except (OSError, ValueError):  # ValueError: a null byte in the name
                continue
        return None

    def doubting(self, *doubts: str | None) -> "Command":
        """Return the same with further doubts; those that are None or empty do not count."""
        return replace(self, doubts=(*self.doubts, *filter(None, doubts)))

    def within(self, prefix: Path | None, variable: str = "VIRTUAL_ENV") -> "Command":
        """Return the same in an environment, as its activation would do; None leaves it as it is.

        `variable` is the one that names the prefix to programs.
        """
        if prefix is None:
            return self
        path = os.pathsep.join(filter(None, (str(prefix / "bin"), self.env.get("PATH"))))
        env = {name: value for name, value in self.env.items() if name != "PYTHONHOME"}
        return replace(self, env={**env, "PATH": path, variable: str(prefix)})


Launcher = Callable[[Command], Command | None]
"""Returns what a command starts; None where it starts nothing that we know."""


class Options(NamedTuple):
    """The options before a command, with their values (empty for flags), and that command."""

    given: tuple[tuple[str, str], ...]
    rest: tuple[str, ...]

    def values(self, *names: str) -> list[str]:
        """Return the values of an option that has these names, as often as it was given."""
        return [value for name, value in self.given if name in names]

    def value(self, *names: str) -> str | None:
        """Return the last of these values; None where there is none."""
        return next(reversed(self.values(*names)), None)

    def has(self, *names: str) -> bool:
        """Say whether it was given."""
        return any(name in names for name, _ in self.given)


def options_before(
    words: Sequence[str], with_value: str = "", with_two: str = "", *, positional: int = 0
) -> Options:
    """Return the options up to the first word that is none, or up to `--`.

    `with_value` and `with_two` name, separated by blanks, those that take one word and two. Others
    count as flags. So many `positional` words stand between options and command.
    """
    one, two = with_value.split(), with_two.split()
    given: list[tuple[str, str]] = []
    index = 0
    while index < len(words) and words[index].startswith("-") and words[index] not in ("-", "--"):
        word = words[index]
        name, equals, value = word.partition("=")
        index += 1
        if equals:
            given.append((name, value))
        elif word in two:
            given.append((word, " ".join(words[index : index + 2])))
            index += 2
        elif word in one:
            given.append((word, words[index] if index < len(words) else ""))
            index += 1
        elif (short := word[:2]) in one:
            given.append((short, word[2:]))
        else:
            given.append((word, ""))
    if index < len(words) and words[index] == "--":
        index += 1
    return Options(tuple(given), tuple(words[index + positional :]))


def above(folder: Path, *names: str) -> Path | None:
    """Return the nearest folder from `folder` upwards that has one of these names in it."""
    for place in (folder, *folder.parents):
        if any((place / name).exists() for name in names):
            return place
    return None


def is_on(value: str | None) -> bool:
    """Say whether a variable is set to what means yes."""
    return (value or "").strip().lower() in ("1", "true", "yes", "on", "t", "y")
