"""What is executed, as it is observed: arguments, folder, and the variables that are recorded."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gitprov.capture.files import raw_text
from gitprov.capture.settings_file import read_settings
from gitprov.capture.variables import recorded_variables
from gitprov.errors import InputError
from gitprov.model.run import Command


def command_of(
    argv: Sequence[str], cwd: Path, top: Path | None, entrypoint: str | None = None
) -> Command:
    """Return what is executed, with the environment variables that are recorded."""
    also: Sequence[str] = ()
    with suppress(InputError):  # the redactor tells of it
        also = read_settings(top).environment.record
    inside = top is not None and cwd.is_relative_to(top)
    return Command(
        argv=tuple(raw_text(word) for word in argv),
        cwd=raw_text(cwd.relative_to(top)) if top and inside else None,
        entrypoint=entrypoint,
        env=recorded_variables(os.environ, also),
    )
