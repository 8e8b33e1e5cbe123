"""What the arguments of verbs on environments name, and saying what of it cannot be read."""

from typing import Annotated, NamedTuple

import typer

from gitprov.cli.catching_up import warn
from gitprov.cli.finding import find_run
from gitprov.environments.recorded import RecordedEnvironments
from gitprov.index.environments import EnvironmentIndex
from gitprov.index.history import History
from gitprov.model.environment import Environment
from gitprov.model.run import Run
from gitprov.store.store import Store

RunName = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]", help="last, last~2, the beginning of an id, a name, a commit or a branch."
    ),
]


class Recorded(NamedTuple):
    """A run and its environment; `problems` are documents of it that cannot be read."""

    run: Run
    environment: Environment
    problems: tuple[str, ...]


class Environments:
    """The environments of the runs that arguments name."""

    def __init__(self, store: Store) -> None:
        self._history = History(store)
        self._recorded = RecordedEnvironments(store, EnvironmentIndex(store))

    def read(self, name: str) -> Recorded:
        """Return the environment of the run that a word stands for.

        Raises UnknownRun and the like, EnvironmentMissing.
        """
        run: Run = find_run(self._history, name).record
        found = self._recorded.of(run)
        return Recorded(run, found.environment, found.problems)

    def named(self, name: str) -> Recorded:
        """Return the same, and warn of what cannot be read."""
        found = self.read(name)
        warn(found.problems)
        return found
