"""What several exporters say in their notes."""

from collections.abc import Sequence

from gitprov.model.environment import Environment, PythonEnvironment
from gitprov.model.wording import printable

MAX_NAMED = 5


def names(items: Sequence[str]) -> str:
    """Return `a, b and 3 others`."""
    named = ", ".join(printable(item) for item in items[:MAX_NAMED])
    more = len(items) - MAX_NAMED
    return f"{named} and {more} other{'' if more == 1 else 's'}" if more > 0 else named


def python_of(environment: Environment) -> str:
    """Return `CPython 3.11.7, linux-x86_64` of the environment's own interpreter."""
    if environment.python is None:
        return "no Python was recorded"
    interpreter = environment.python.interpreter
    implementation = {"cpython": "CPython", "pypy": "PyPy"}.get(
        interpreter.implementation, interpreter.implementation
    )
    place = f", {interpreter.platform}" if interpreter.platform else ""
    return printable(f"{implementation} {interpreter.version}{place}")


def broken(python: PythonEnvironment) -> list[str]:
    """Return a note about what was installed and could not be identified."""
    entries = [item.entry for item in python.broken]
    return [f"broken where it was recorded, and left out: {names(entries)}"] if entries else []
