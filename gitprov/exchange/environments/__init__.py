"""Recorded environments as files that other tools install from, build from or audit.

A format is one module with a function `export` (the contract is in `exported`), and one line in
`FORMATS`.
"""

import difflib
from collections.abc import Mapping

from gitprov.errors import InputError
from gitprov.exchange.environments import (
    conda_explicit,
    cyclonedx,
    dockerfile,
    pylock,
    requirements,
)
from gitprov.exchange.environments.exported import Exported, Exporter
from gitprov.model.environment import Environment
from gitprov.model.wording import printable

__all__ = ["FORMATS", "Exported", "Exporter", "export"]

FORMATS: Mapping[str, Exporter] = {
    "conda-explicit": conda_explicit.export,
    "cyclonedx": cyclonedx.export,
    "dockerfile": dockerfile.export,
    "pylock": pylock.export,
    "requirements": requirements.export,
}


def export(environment: Environment, form: str, *, resolve: bool = False) -> Exported:
    """Return an environment in one of `FORMATS`.

    Raises InputError for a format that there is not, and where this environment cannot be had in
    it; MissingDependency where a package is needed for it. With `resolve`, an index is asked for
    what no lock names, where the format has use for it.
    """
    if form not in FORMATS:
        near = difflib.get_close_matches(form.lower(), FORMATS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FORMATS)}"
        raise InputError(f"there is no format {printable(form[:40])}; {hint}")
    return FORMATS[form](environment, resolve=resolve)
