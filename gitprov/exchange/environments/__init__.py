"""Recorded environments as files that other tools install from, build from or audit.

A format is one module with a function that takes an `Environment` and returns an `Exported`, and
one line in `FORMATS`.
"""

from collections.abc import Mapping

from gitprov.exchange.environments.exported import Exported, Exporter
from gitprov.model.environment import Environment

__all__ = ["FORMATS", "Exported", "Exporter", "export"]

FORMATS: Mapping[str, Exporter] = {}


def export(environment: Environment, form: str, *, resolve: bool = False) -> Exported:
    """Return an environment in one of `FORMATS`.

    Raises InputError for a format that there is not, and where this environment cannot be had in
    it; MissingDependency where a package is needed for it. With `resolve`, an index is asked for
    what no lock names, where the format has use for it.
    """
    raise NotImplementedError
