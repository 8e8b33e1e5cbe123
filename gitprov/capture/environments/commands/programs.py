"""Programs besides Python: which of them a command starts, and what one says.

Nothing is started to find a program, and none can hold up a run. What one says of itself (its
version, its home) is kept as long as its file does not change.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from gitprov.capture.environments.cache import Cache
from gitprov.capture.environments.commands.chain import innermost
from gitprov.capture.environments.commands.launching import Command
from gitprov.capture.environments.commands.shebang import HEAD_BYTES, words_of
from gitprov.capture.environments.kind import Request

TIMEOUT_SECONDS = 20.0

_RACY_NS = 2_000_000_000  # coarser than the time stamps of any filesystem in use


class ProgramError(Exception):
    """A program gave no answer; the message says why."""


def started_as(names: frozenset[str], request: Request) -> Command | None:
    """Return what is started in the end, if that is a program of such a name, versions apart.

    Of a script whose first line names such a program, that and its arguments stand in front.
    """
    command = innermost(Command(argv=tuple(request.argv), cwd=request.cwd, env=request.env))
    if not command.argv:
        return None
    if _bare(command.argv[0]) in names:
        return command
    script = command.program(command.argv[0])
    if script is None:
        return None
    try:
        with script.open("rb") as file:
            words = words_of(file.read(HEAD_BYTES), script)
    except OSError:
        return None
    if words and _bare(words[0]) in names:
        return replace(command, argv=(*words, *command.argv))
    return None


def _bare(program: str) -> str:
    """Return a program's name without folder and version: julia of /opt/julia-1.11."""
    return PurePath(program).name.rstrip("-.0123456789")


def said_by(
    program: Path,
    arguments: Sequence[str],
    command: Command,
    cache: Cache,
    depends_on: Sequence[object] = (),
) -> str | None:
    """Return what a program prints; None where it fails. It is started once, until it changes.

    It is started where `command` would be. `depends_on` is, besides its file, what its answer
    depends on, as JSON has it.
    """
    try:
        status = program.stat()
    except OSError:
        return None
    state = [status.st_mtime_ns, status.st_size, status.st_ino]
    parts = [str(program), state, list(arguments), list(depends_on)]
    key = hashlib.sha256(json.dumps(["said", *parts]).encode()).hexdigest()
    kept = cache.read(key)
    if kept is not None and isinstance(kept.get("said"), str):
        said: str = kept["said"]
        return said
    try:
        output = output_of([str(program), *arguments], cwd=command.cwd, env=command.env)
    except ProgramError:
        return None
    answer = output.decode("utf-8", "replace").strip()
    if status.st_mtime_ns < time.time_ns() - _RACY_NS:
        cache.write(key, {"said": answer})
    return answer


def output_of(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float | None = None
) -> bytes:
    """Return what a command prints; raise ProgramError where it fails or takes too long."""
    timeout = TIMEOUT_SECONDS if timeout is None else timeout
    name = PurePath(command[0]).name
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ProgramError(f"{name} cannot be started: {reason}") from error
    with process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            raise ProgramError(f"{name} did not answer within {timeout:.0f} s") from error
        except BaseException:
            _kill(process)
            raise
    if process.returncode != 0:
        raise ProgramError(f"{name} failed with status {process.returncode}")
    return output


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group: a child of a wrapper would keep the pipe open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
