"""What an interpreter says about itself: one short start of it.

The probe runs in the command's folder with the command's environment, because both can choose
the interpreter (pyenv) and its path (a relative PYTHONPATH). It works on Python 3.6 and later.
"""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gitprov.capture.environments.commands.interpreter import Interpreter

TIMEOUT_SECONDS = 20.0

_MARK = "gitprov-probe:"  # whatever else start-up files print stands before it
# The empty entry goes first of all: it is the current folder, whose json.py is not ours to run.
_SOURCE = f"""\
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import importlib.machinery, json, os, sysconfig
site = sys.modules.get("site")
sites = list(getattr(site, "getsitepackages", list)())
if getattr(site, "ENABLE_USER_SITE", False):
    sites.append(site.getusersitepackages())
suffix = importlib.machinery.EXTENSION_SUFFIXES[:1] or [""]
print("\\n{_MARK}" + json.dumps(dict(
    executable=os.path.realpath(sys.executable),
    version=sys.version.split()[0],
    implementation=sys.implementation.name,
    soabi=suffix[0].split(".")[1] if suffix[0].count(".") > 1 else "",
    prefix=os.path.realpath(sys.prefix),
    base_prefix=os.path.realpath(sys.base_prefix),
    platform=sysconfig.get_platform(),
    folders=sys.path,
    sites=sites,
)))
"""
_TEXTS = ("executable", "version", "implementation", "soabi", "prefix", "base_prefix", "platform")


class ProbeError(Exception):
    """The interpreter gave no answer; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An interpreter's own account, with links resolved: `python` and `python3` answer alike.

    `folders` is its sys.path; `sites` are the folders whose .pth files extend that, which need
    not exist.
    """

    executable: str
    version: str
    implementation: str
    soabi: str
    prefix: str
    base_prefix: str
    platform: str
    folders: list[str]
    sites: list[str]


def ask(interpreter: Interpreter, *, cwd: Path, env: Mapping[str, str]) -> Answer:
    """Start the interpreter once and return its answer; raise ProbeError if it gives none."""
    with Question(interpreter, cwd=cwd, env=env) as question:
        return question.answer()


class Question:
    """An interpreter that was asked, and thinks about it: other work can be done meanwhile.

    Raises ProbeError where it cannot be started. It is gone at the end of the `with`.
    """

    def __init__(self, interpreter: Interpreter, *, cwd: Path, env: Mapping[str, str]) -> None:
        self._path = interpreter.path
        command = [str(interpreter.path), *interpreter.options, "-c", _SOURCE]
        try:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        except (OSError, ValueError) as error:
            raise ProbeError(f"{command[0]} cannot be started: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            _kill(self._process)
        self._process.__exit__(None, None, None)

    def answer(self) -> Answer:
        """Return the answer; raise ProbeError if there is none."""
        _, mark, line = self._output().rpartition(_MARK.encode())
        if not mark:
            raise ProbeError(f"{self._path} does not answer as Python 3 does")
        try:
            document, _ = json.JSONDecoder().raw_decode(line.decode())
            texts = {name: str(document[name]) for name in _TEXTS}
            return Answer(
                **texts,
                folders=[str(folder) for folder in document["folders"]],
                sites=[str(folder) for folder in document["sites"]],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ProbeError(f"{self._path} gave an answer that makes no sense") from error

    def _output(self) -> bytes:
        try:
            output, _ = self._process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            _kill(self._process)
            reason = f"{self._path} did not answer within {TIMEOUT_SECONDS:.0f} s"
            raise ProbeError(reason) from error
        return output


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group: a child of a wrapper script would keep the pipe open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
