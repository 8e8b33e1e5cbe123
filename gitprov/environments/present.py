"""The environment that the command of a recorded run would have here and now.

To learn it, the interpreter of that command is started. A record comes from strangers, and so may
the files of the work tree: an interpreter that is one of these is not started for a record's sake,
nor one that somebody else may have written, nor with variables that the command sets for it.
"""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitprov.capture.environments.commands.interpreter import find_interpreter
from gitprov.capture.environments.commands.launching import Command
from gitprov.capture.environments.python_packages import INTERPRETER_FIELD
from gitprov.capture.preview import previewing
from gitprov.capture.settings_file import read_settings
from gitprov.capture.variables import recorded_variables
from gitprov.codec.environment_text import PACKAGES
from gitprov.environments.recorded import read_files
from gitprov.errors import InputError
from gitprov.model.environment import Environment
from gitprov.model.environment_wording import word
from gitprov.model.run import Run
from gitprov.store.repository import Repository

# Variables by which a program is led to load something else.
_STEERING = ("PYTHON", "LD_", "DYLD_")
_INTERPRETER = re.compile(r"(python|pypy|graalpy|julia|R|Rscript)[\d.]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentEnvironment:
    """What is here now; `missing` is what could not be learnt, as runs have it."""

    environment: Environment
    variables: Mapping[str, str]
    missing: Mapping[str, str]


def present_environment(
    repository: Repository,
    run: Run,
    cwd: Path,
    *,
    python: Path | None = None,
    system_packages: bool = False,
) -> PresentEnvironment:
    """Return the environment that the command of `run` would have now; nothing is recorded.

    It would be started in the folder that it was started in, where this work tree has it, else in
    `cwd`; with the variables of this process; with `python` instead of its own interpreter, where
    that is given. `system_packages` asks for those. Raises InputError where this would start a
    program out of the repository.
    """
    argv = [str(python)] if python else [os.fsdecode(word) for word in run.command.argv]
    folder = _folder(repository, run, cwd)
    if python is None:
        _require_own(repository, argv, folder)
    elif not os.access(python, os.X_OK) or python.is_dir():
        raise InputError(f"{word(str(python))} is no program; name an interpreter with --python")
    with previewing(repository) as preview:
        captured = preview.environment(argv, folder, system_packages=system_packages)
        also: Sequence[str] = ()
        if repository.work_tree is not None:
            also = read_settings(repository.work_tree).environment.record
        variables = {
            name: preview.redactor.text(value, f"command.env.{name}")
            for name, value in recorded_variables(os.environ, also).items()
        }
    if python is not None and (
        PACKAGES not in captured.files or INTERPRETER_FIELD in captured.missing
    ):
        raise InputError(f"{word(str(python))} does not answer as a Python interpreter does")
    found = read_files(captured.files, captured.locks)
    return PresentEnvironment(
        environment=found.environment, variables=variables, missing=captured.missing
    )


def _folder(repository: Repository, run: Run, cwd: Path) -> Path:
    """Return the folder of the run in this work tree; `cwd` where there is none."""
    top = repository.work_tree
    if top is None or run.command.cwd is None:
        return cwd
    folder = (top / os.fsdecode(run.command.cwd)).resolve()
    return folder if folder.is_relative_to(top.resolve()) and folder.is_dir() else cwd


def _require_own(repository: Repository, argv: Sequence[str], cwd: Path) -> None:
    """Raise InputError where the interpreter of a command is not here, or may be a stranger's."""
    command = Command(argv=tuple(argv), cwd=cwd, env=os.environ)
    if command.program(argv[0]) is None:
        raise InputError(
            f"{word(argv[0])}, which the run has started, is not here; name an interpreter to look "
            "at with --python"
        )
    named = [cwd / argv[0]] if "/" in argv[0] else []
    places = [path for path in named if _INTERPRETER.match(path.name)]
    if interpreter := find_interpreter(argv, cwd=cwd, env=os.environ):
        places.append(interpreter.path)
        for name, value in (interpreter.env or {}).items():
            if name.startswith(_STEERING) and os.environ.get(name) != value:
                raise InputError(
                    f"the command sets {word(name)} for its interpreter, which is not started so "
                    "for the sake of a record; name the interpreter with --python"
                )
    for place in places:
        for path in (Path(os.path.abspath(place)), place.resolve()):  # noqa: PTH100 -- links are kept
            if _is_of_repository(repository, path) or _is_open_to_others(path):
                raise InputError(
                    f"{word(str(place))} is a file of the repository, or one that others can "
                    "write, and is not started for the sake of a record; if you trust it, name it "
                    "with --python"
                )


def _is_open_to_others(path: Path) -> bool:
    """Whether anybody can put another program there."""
    for place in (path, path.parent):
        try:
            mode = place.stat().st_mode
        except OSError:
            continue
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return True
    return False


def _is_of_repository(repository: Repository, path: Path) -> bool:
    """Whether a file came with the repository: git tracks it, or it is in another one inside."""
    top = repository.work_tree
    if top is None:
        return False
    below = path.parent.resolve() / path.name
    above = [place for place in below.parents if place.is_relative_to(top.resolve())]
    if any((place / ".git").exists() for place in above[:-1]):
        return True
    return bool(above) and _is_tracked(repository, path)


def _is_tracked(repository: Repository, path: Path) -> bool:
    top = repository.require_work_tree().resolve()
    below = path.parent.resolve() / path.name
    if not below.is_relative_to(top):
        return False
    name = below.relative_to(top).as_posix()
    listed = repository.git.call("ls-files", "--error-unmatch", "--", f":(top,literal){name}")
    return listed.returncode == 0
