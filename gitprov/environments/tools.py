"""Programs that make environments and install into them: uv, or venv and pip.

They are started in an empty folder, so that no configuration of a project applies, neither of the
run's nor of the present one; the user's own does. Variables that would lead them to another
environment are taken away. They touch the new environment, and caches of their own.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from gitprov.environments.interpreters import plain_environment

# Settings of pip and uv that say where to install, what, and with what.
_MISLEADING = frozenset(
    """
    PIP_DRY_RUN PIP_PREFIX PIP_PYTHON PIP_REQUIREMENT PIP_ROOT PIP_TARGET PIP_USER
    UV_PREFIX UV_PROJECT UV_PROJECT_ENVIRONMENT UV_PYTHON UV_SYSTEM_PYTHON UV_TARGET
    UV_VENV_CLEAR UV_VENV_SEED UV_WORKING_DIR UV_WORKING_DIRECTORY
    """.split()
)
_MAX_REASON = 600
_COMPLAINTS = ("ERROR:", "error:", "Error:", "\u00d7")
_CHATTER = ("WARNING:", "[notice]")


class ToolFailedError(Exception):
    """A program failed; the message is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where packages may come from, beside what the user has configured."""

    index_url: str | None = None
    find_links: tuple[Path, ...] = ()
    offline: bool = False


class Tool(Protocol):
    """What makes environments in folders, and installs into them."""

    @property
    def name(self) -> str:
        """The name for people."""
        ...

    def make(self, interpreter: Path, folder: Path) -> None:
        """Make an environment; raises ToolFailedError."""
        ...

    def install(
        self, python: Path, lines: Sequence[str], editables: Sequence[Path], *,
        hashed: bool, builds: bool, sources: Sources,
    ) -> None:  # fmt: skip
        """Install what requirement lines say, and folders as editable; nothing that they need.

        With `hashed`, each line has hashes and the files have to have them. Without `builds`, only
        wheels are installed, so that nothing is executed. Raises ToolFailedError.
        """
        ...

    def remove(self, python: Path, names: Sequence[str]) -> None:
        """Remove packages; raises ToolFailedError."""
        ...


class Uv:
    """The program uv."""

    name = "uv"

    def __init__(self, program: str) -> None:
        self._program = program

    def make(self, interpreter: Path, folder: Path) -> None:
        """Make an environment with nothing in it."""
        options = ["--no-project", "--no-python-downloads", "--python", str(interpreter)]
        call([self._program, "venv", *options, "--", str(folder)])

    def install(
        self, python: Path, lines: Sequence[str], editables: Sequence[Path], *,
        hashed: bool, builds: bool, sources: Sources,
    ) -> None:  # fmt: skip
        """Install without what is needed besides."""
        command = [self._program, "pip", "install", "--no-deps", "--python", str(python)]
        command += _source_options(sources)
        command += ["--offline"] if sources.offline else []
        command += ["--require-hashes"] if hashed else []
        command += [] if builds else ["--no-build"]
        call([*command, *_wanted(editables)], lines)

    def remove(self, python: Path, names: Sequence[str]) -> None:
        """Remove packages."""
        call([self._program, "pip", "uninstall", "--python", str(python), "--", *names])


class Pip:
    """The standard module venv, and the pip that it puts into an environment, or another one."""

    name = "venv and pip"

    def __init__(self, outside: Path | None = None) -> None:
        """Use the pip of each environment, or that of an interpreter outside, for any."""
        self._outside = outside

    def make(self, interpreter: Path, folder: Path) -> None:
        """Make an environment; what venv puts into it is pip, and setuptools before Python 3.12."""
        options = ["--without-pip"] if self._outside else []
        call([str(interpreter), "-m", "venv", *options, str(folder)])

    def install(
        self, python: Path, lines: Sequence[str], editables: Sequence[Path], *,
        hashed: bool, builds: bool, sources: Sources,
    ) -> None:  # fmt: skip
        """Install without what is needed besides."""
        command = [*self._pip(python), "install", "--no-deps", "--no-input"]
        command += ["--no-warn-script-location", *_source_options(sources)]
        command += ["--no-index"] if sources.offline else []
        command += ["--require-hashes"] if hashed else []
        command += [] if builds else ["--only-binary=:all:"]
        call([*command, *_wanted(editables)], list(map(_in_old_form, lines)))

    def remove(self, python: Path, names: Sequence[str]) -> None:
        """Remove packages; where pip is among them, it goes last of all."""
        call([*self._pip(python), "uninstall", "--yes", "--", *sorted(names, key="pip".__eq__)])

    def _pip(self, python: Path) -> list[str]:
        if self._outside is None:
            command = [str(python), "-m", "pip"]
        else:
            command = [str(self._outside), "-m", "pip", "--python", str(python)]
        return [*command, "--disable-pip-version-check"]


def uv_on_path() -> Uv | None:
    """Return uv, if it is installed."""
    program = shutil.which("uv")
    return Uv(program) if program else None


def our_pip(version: str) -> Pip | None:
    """Return the pip that stands beside gitprov, if it works for this version of Python."""
    match = re.match(r"(\d+)\.(\d+)", version)
    is_new = match is not None and (int(match[1]), int(match[2])) >= sys.version_info[:2]
    return Pip(Path(sys.executable)) if is_new and find_spec("pip") is not None else None


def call(command: Sequence[str], lines: Sequence[str] | None = None) -> None:
    """Run a program to its end; `lines` are given as its requirements file.

    Raises ToolFailedError with what it said.
    """
    env = {key: value for key, value in plain_environment().items() if key not in _MISLEADING}
    with tempfile.TemporaryDirectory(prefix="gitprov-") as folder:
        if lines:
            file = Path(folder, "requirements.txt")
            file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
            command = [*command, "--requirement", str(file)]
        empty = Path(folder, "empty")
        empty.mkdir()
        try:
            done = subprocess.run(
                command,
                cwd=empty,
                env=env | {"NO_COLOR": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as error:
            raise ToolFailedError(f"{command[0]} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        raise ToolFailedError(_reason(command, done.stdout.decode("utf-8", "replace")))


def _in_old_form(line: str) -> str:
    """Return a line as pip before 24.1 takes it, too: that wants a host between the slashes."""
    name, at, url = line.partition(" @ ")
    if not at or not url.startswith("git+file:///"):
        return line
    return f"{url}{'&' if '#' in url else '#'}egg={name}"


def _source_options(sources: Sources) -> list[str]:
    options = [] if sources.index_url is None else [f"--index-url={sources.index_url}"]
    return options + [f"--find-links={folder}" for folder in sources.find_links]


def _wanted(editables: Sequence[Path]) -> list[str]:
    return [part for folder in editables for part in ("--editable", str(folder))]


def _reason(command: Sequence[str], output: str) -> str:
    """Return what was said from the first complaint on, or the last line."""
    lines = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    first = next((at for at, line in enumerate(lines) if line.startswith(_COMPLAINTS)), -1)
    told = [line for line in lines[first:] if not line.startswith(_CHATTER)]
    return " ".join(told)[:_MAX_REASON] or f"{os.path.basename(command[0])} said nothing"  # noqa: PTH119 -- text
