"""Which Python interpreter a command runs under, found without starting anything.

Programs that start others (`uv run`, `env`, `mpirun`, …) are looked through, one after another, to
the command that they start. The interpreter keeps the path that it is called by: the symbolic link
in a virtual environment is what makes it that environment's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitprov.capture.environments.commands.chain import chain, innermost
from gitprov.capture.environments.commands.launching import Command
from gitprov.capture.environments.commands.shebang import HEAD_BYTES, is_python, python_of

_OPTIONS_OF_PATH = "EISs"  # change where modules are looked for
_OPTIONS_WITH_VALUE = "WX"
_OPTIONS_BEFORE_CODE = "cm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """An interpreter, and the options given to it that change which packages it sees.

    `doubt` says why it may not be the one that the command uses; None where it is. `of_python` says
    whether the command is a program of Python at all. It starts in `cwd` with the variables `env`,
    where these are given: programs in between may change both.
    """

    path: Path
    options: tuple[str, ...] = ()
    doubt: str | None = None
    of_python: bool = True
    cwd: Path | None = None
    env: Mapping[str, str] | None = None


def find_interpreter(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> Interpreter | None:
    """Return the interpreter of the command; else the python on PATH; None if there is none."""
    command = innermost(Command(argv=tuple(argv), cwd=cwd, env=env))
    program = command.program(command.argv[0]) if command.argv else None
    words: list[str] = []
    if program is not None:
        arguments = command.argv[1:]
        words = [str(program), *arguments] if is_python(program.name) else _script_words(program)
    if words and (path := command.program(words[0])):
        return Interpreter(
            path=path,
            options=_options(words[1:]),
            doubt="; ".join(command.doubts) or None,
            cwd=command.cwd,
            env=command.env,
        )
    if words:
        reason = f"the command asks for {words[0]}, which is not there"
    elif program is not None:
        reason = "the command is not a Python program"
    else:
        reason = "the command was not found"
    for name in ("python3", "python"):
        if path := command.program(name):
            doubt = f"{reason}; the packages are those of the {name} on PATH"
            return Interpreter(
                path=path,
                doubt="; ".join((*command.doubts, doubt)),
                of_python=bool(words) or (program is None and command.for_python),
                cwd=command.cwd,
                env=command.env,
            )
    return None


def pythons_of_launchers(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> Iterator[Path]:
    """Yield the interpreters under which programs run that only start the command, as Poetry's."""
    for command in chain(Command(argv=tuple(argv), cwd=cwd, env=env))[:-1]:
        program = command.program(command.argv[0])
        words = _script_words(program) if program else []
        if words and (path := command.program(words[0])):
            yield path


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
