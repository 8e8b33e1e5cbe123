"""Through programs that start others (`uv run`, `env`, `mpirun`, …) to what they start."""

from pathlib import PurePath

from gitprov.capture.environments.commands.environment_managers import MANAGERS
from gitprov.capture.environments.commands.launching import Command
from gitprov.capture.environments.commands.wrappers import WRAPPERS

_LAUNCHERS = {**WRAPPERS, **MANAGERS}
_MAX_LAUNCHERS = 8


def innermost(command: Command) -> Command:
    """Return the command that is started in the end."""
    return chain(command)[-1]


def chain(command: Command) -> list[Command]:
    """Return a command, what that starts, what this starts, and so on."""
    found = [command]
    for _ in range(_MAX_LAUNCHERS):
        launcher = _LAUNCHERS.get(PurePath(command.argv[0]).name) if command.argv else None
        if launcher is None or command.program(command.argv[0]) is None:
            break
        inner = launcher(command)
        if inner is None:
            break
        command = inner
        found.append(command)
    return found
