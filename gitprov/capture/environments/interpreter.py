"""Which Python interpreter a command runs under, found without starting anything.

The interpreter keeps the path that it is called by: the symbolic link in a virtual environment is
what makes it that environment's.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitprov.capture.environments.shebang import HEAD_BYTES, is_python, python_of

_OPTIONS_OF_PATH = "EISs"  # change where modules are looked for
_OPTIONS_WITH_VALUE = "WX"
_OPTIONS_BEFORE_CODE = "cm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """An interpreter, and the options given to it that change which packages it sees.

    `doubt` says why it may not be the one that the command uses; None where it is.
    """

    path: Path
    options: tuple[str, ...] = ()
    doubt: str | None = None


def find_interpreter(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> Interpreter | None:
    """Return the interpreter of the command; else the python on PATH; None if there is none."""
    program = _program(argv[0], cwd, env) if argv else None
    words: list[str] = []
    if program is not None:
        words = [str(program), *argv[1:]] if is_python(program.name) else _script_words(program)
    if words and (path := _program(words[0], cwd, env)):
        return Interpreter(path=path, options=_options(words[1:]))
    if words:
        reason = f"the command asks for {words[0]}, which is not there"
    elif program is not None:
        reason = "the command is not a Python program"
    else:
        reason = "the command was not found"
    for name in ("python3", "python"):
        if path := _program(name, cwd, env):
            doubt = f"{reason}; the packages are those of the {name} on PATH"
            return Interpreter(path=path, doubt=doubt)
    return None


def _program(name: str, cwd: Path, env: Mapping[str, str]) -> Path | None:
    """Return the file that executing `name` would start, as an absolute path."""
    if "/" in name:
        places = [cwd / name]
    else:
        folders = env.get("PATH", os.defpath).split(os.pathsep)
        places = [cwd / folder / name for folder in folders]
    for place in places:
        try:
            if place.is_file() and os.access(place, os.X_OK):
                return place
        except (OSError, ValueError):  # ValueError: a null byte in the name
            continue
    return None


def _script_words(program: Path) -> list[str]:
    try:
        with program.open("rb") as file:
            return python_of(file.read(HEAD_BYTES), program)
    except OSError:
        return []


def _options(words: Iterable[str]) -> tuple[str, ...]:
    """Return those of -E -I -S -s that stand among the interpreter's own options, in order."""
    return tuple(f"-{letter}" for letter in sorted(set(_letters(iter(words)))))


def _letters(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word in ("-", "--") or not word.startswith("-") or word.startswith("--"):
            return
        for index, letter in enumerate(word[1:], 2):
            if letter in _OPTIONS_BEFORE_CODE:
                return
            if letter in _OPTIONS_WITH_VALUE:
                if index == len(word):
                    next(words, None)
                break
            if letter in _OPTIONS_OF_PATH:
                yield letter
