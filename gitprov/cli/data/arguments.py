"""What the arguments of verbs on data name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gitprov.capture.data.options import DataOptions
from gitprov.cli.finding import find_run
from gitprov.cli.progress import data_bar
from gitprov.data.references import Present, Recorded, all_of, recorded, referred
from gitprov.data.sides import Sides
from gitprov.errors import GitprovError, UnknownData
from gitprov.index.artifacts import DataIndex, Version
from gitprov.index.history import History
from gitprov.model.run import Run
from gitprov.model.wording import digest_text, encodable, place_text, printable
from gitprov.store.store import Store


class Names:
    """What the arguments of a verb name."""

    def __init__(self, store: Store, sides: Sides) -> None:
        self.store = store
        self.history = History(store)
        self.index = DataIndex(store)
        self.sides = sides

    def run(self, word: str) -> Run:
        """Return the run that a word stands for."""
        run: Run = find_run(self.history, word).record
        return run

    def all(self, text: str) -> Sequence[Recorded | Present]:
        """Return all that an argument names."""
        return referred(text, self.run)

    def all_recorded(self, text: str) -> Sequence[Recorded]:
        """Return the recorded data that an argument names: a run's, or the newest at a place.

        Raises UnknownData.
        """
        try:
            found = recorded(text, self.run)
        except GitprovError as error:
            versions = self.index.versions_at(text, self.store.repository.work_tree)
            if not versions:
                raise UnknownData(
                    f"{printable(text)} is no recorded data: name a run, RUN:NAME, or a place that "
                    "a run has recorded (git prov data ls)"
                ) from error
            return [self.newest(versions[-1])]
        if not found:
            raise UnknownData(f"run {printable(text)} has recorded no data")
        return found

    def newest(self, version: Version) -> Recorded:
        """Return data as the last run had it that used a version."""
        run = self.history.find(version.uses[-1].run_id).record
        role, digest = version.uses[-1].role, version.digest
        return next(
            item
            for item in all_of(run)
            if encodable(place_text(item.artifact)) == version.place
            and (item.role, digest_text(item.artifact)) == (role, digest)
        )

    def one(self, text: str) -> Recorded | Present:
        """Return the one thing that an argument names; raise UnknownData."""
        found = self.all(text)
        if len(found) != 1:
            raise UnknownData(f"{text} stands for {len(found)} data; name one, as {text}:NAME")
        return found[0]

    def one_recorded(self, text: str) -> Recorded:
        """Return the one recorded thing that an argument names; raise UnknownData."""
        found = self.all_recorded(text)
        if len(found) != 1:
            raise UnknownData(f"{text} stands for {len(found)} data; name one, as {text}:NAME")
        return found[0]


@contextmanager
def names_in(store: Store, options: DataOptions) -> Iterator[Names]:
    """Yield what arguments name; how far hashing is shows on a terminal."""
    with data_bar() as watch:
        yield Names(store, Sides(store, Path.cwd(), replace(options, watch=watch)))
