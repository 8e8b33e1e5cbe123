"""A Python interpreter on this machine for a recorded one: the same version, or the nearest.

A recorded path is only tried where no stranger can have put anything: it is a Python by its name,
belongs to the system or to the user, nobody else may write it, and it is in no work tree that was
fetched.
"""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitprov.capture.environments.commands.interpreter import Interpreter as Program
from gitprov.capture.environments.commands.shebang import is_python
from gitprov.capture.environments.python.probe import Answer, ProbeError, ask
from gitprov.errors import RestoreFailed
from gitprov.model.environment import Interpreter
from gitprov.model.environment_wording import interpreter_text

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.\d+\S*)?")
_UV_SECONDS = 20
_IMPLEMENTATIONS = {"cpython": "python", "pypy": "pypy", "graalpy": "graalpy"}
# What would point an interpreter or installer at another environment.
_MISLEADING = ("PYTHON", "CONDA_", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An interpreter of this machine: `CPython 3.11.7`, and in what it is not the recorded one."""

    path: Path
    version: str
    title: str
    note: str | None = None


def plain_environment() -> dict[str, str]:
    """Return our variables without those that choose another Python environment."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_MISLEADING)}


def find_python(wanted: Interpreter, given: Path | None, *, work_tree: Path | None) -> Found:
    """Return the interpreter to restore with: the one given, the same version, or the same X.Y.

    Raises RestoreFailed where there is none.
    """
    if given is not None:
        answer = _ask(given)
        if answer is None:
            raise RestoreFailed(f"{given} does not answer as a Python interpreter does")
        return _found(given, answer, wanted)
    series = _series(wanted.version)
    near: Found | None = None
    for path in dict.fromkeys(_places(wanted, series, work_tree)):
        answer = _ask(path)
        if answer is None or answer.implementation != wanted.implementation:
            continue
        if answer.version == wanted.version and wanted.soabi in (None, answer.soabi):
            return _found(path, answer, wanted)
        if _series(answer.version) == series and near is None:
            near = _found(path, answer, wanted)
    if near is not None:
        return near
    raise RestoreFailed(
        f"no {_title(wanted.implementation, wanted.version)} is here; install it (uv python "
        f"install {series}), or name another one: --python PATH"
    )


def _found(path: Path, answer: Answer, wanted: Interpreter) -> Found:
    title = _title(answer.implementation, answer.version)
    asked = _title(wanted.implementation, wanted.version)
    differs = title if title != asked else ""
    if not differs and wanted.soabi not in (None, answer.soabi):
        differs = answer.soabi
    return Found(
        path=Path(os.path.abspath(path)),  # noqa: PTH100 -- links make an environment: they stay
        version=answer.version,
        title=title,
        note=f"{differs} stands for {asked}, which is not here" if differs else None,
    )


def _title(implementation: str, version: str) -> str:
    return interpreter_text(Interpreter(implementation=implementation, version=version))


def _series(version: str) -> str:
    match = _VERSION.match(version)
    return f"{match[1]}.{match[2]}" if match else ""


def _places(wanted: Interpreter, series: str, work_tree: Path | None) -> Iterator[Path]:
    stem = _IMPLEMENTATIONS.get(wanted.implementation, "python")
    base = Path(wanted.base_prefix or "/", "bin", f"{stem}{series}")
    recorded = Path(wanted.executable) if wanted.executable else base
    yield from (path for path in (base, recorded) if _is_trusted(path, work_tree))
    for name in (f"{stem}{series}", f"{stem}3", stem):
        for folder in os.get_exec_path():
            if os.access(path := Path(folder, name), os.X_OK) and Path(folder).is_absolute():
                yield path
    if series and (uv := shutil.which("uv")):
        for version in (wanted.version, series):
            yield from _by_uv(uv, version)


def _by_uv(uv: str, version: str) -> Iterator[Path]:
    if not _VERSION.fullmatch(version):
        return
    command = [uv, "python", "find", "--no-project", "--system", "--no-python-downloads", version]
    try:
        done = subprocess.run(
            command,
            cwd="/",
            env=plain_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_UV_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return
    if done.returncode == 0 and done.stdout.strip():
        yield Path(done.stdout.strip())


def _is_trusted(path: Path, work_tree: Path | None) -> bool:
    if not path.is_absolute() or not is_python(path.name):
        return False
    try:
        real = path.resolve(strict=True)
        if not is_python(real.name) or not os.access(real, os.X_OK):
            return False
        if work_tree is not None and real.is_relative_to(work_tree.resolve()):
            return False
        return all(_is_ours(place) for place in (real, real.parent))
    except (OSError, ValueError, RuntimeError):
        return False


def _is_ours(place: Path) -> bool:
    status = place.stat()
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid in (0, os.geteuid()) and not writable


def _ask(path: Path) -> Answer | None:
    root, env = Path("/"), plain_environment()
    program = Program(path=path, options=("-I",), cwd=root, env=env)
    try:
        return ask(program, cwd=root, env=env)
    except ProbeError:
        return None
