"""Options and arguments that several of the verbs on data have."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gitprov.capture.data.options import DataOptions
from gitprov.cli.finding import find_run
from gitprov.cli.progress import data_bar
from gitprov.data.references import Present, Recorded, referred
from gitprov.data.sides import Sides
from gitprov.errors import UnknownData
from gitprov.index.history import History
from gitprov.model.run import Run
from gitprov.store.store import Store

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="RUN:NAME, or a path or URI as it is now.")
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Read everything again, whatever is known of it.")
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", metavar="URI", help="Hash on a Dask cluster: dask://HOST:PORT."),
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Record what links lead to, not what they say.")
]
HintOnly = Annotated[
    bool,
    typer.Option(
        "--hint-only", help="Do not read remote objects: record what their store says, no digest."
    ),
]


class Names:
    """What the arguments of a verb name."""

    def __init__(self, store: Store, sides: Sides) -> None:
        self.history = History(store)
        self.sides = sides

    def run(self, word: str) -> Run:
        """Return the run that a word stands for."""
        run: Run = find_run(self.history, word).record
        return run

    def all(self, text: str) -> Sequence[Recorded | Present]:
        """Return all that an argument names."""
        return referred(text, self.run)

    def one(self, text: str) -> Recorded | Present:
        """Return the one thing that an argument names; raise UnknownData."""
        found = self.all(text)
        if len(found) != 1:
            raise UnknownData(f"{text} stands for {len(found)} data; name one, as {text}:NAME")
        return found[0]

    def recorded(self, text: str) -> Recorded:
        """Return the one recorded thing that an argument names; raise UnknownData."""
        found = self.one(text)
        if isinstance(found, Present):
            raise UnknownData(f"{text} is not recorded data; that is RUN:NAME")
        return found


@contextmanager
def names_in(store: Store, options: DataOptions) -> Iterator[Names]:
    """Yield what arguments name; how far hashing is shows on a terminal."""
    with data_bar() as watch:
        yield Names(store, Sides(store, Path.cwd(), replace(options, watch=watch)))
