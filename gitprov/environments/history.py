"""How the environments of runs have changed over time: all of it, or a package's versions.

Runs in a row with equal environments are one stretch, and are not looked at one by one; what is
read is the environment of each stretch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from gitprov.environments.comparison import compare
from gitprov.environments.packages import normalised
from gitprov.environments.recorded import RecordedEnvironments
from gitprov.errors import GitprovError
from gitprov.index.environments import EnvironmentIndex, Stretch
from gitprov.index.history import History
from gitprov.model.environment import Environment, Package, PythonEnvironment
from gitprov.model.environment_changes import Difference
from gitprov.model.environment_wording import commit_text, origin_text
from gitprov.model.run import Run
from gitprov.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where runs began to have another environment, and in what it differs from the one before.

    `difference` is None for the first of all, and where `problem` says why nothing can be said.
    `before` is the last run of the environment before.
    """

    stretch: Stretch
    run: Run
    environment: Environment | None = None
    before: str | None = None
    difference: Difference | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A package as it was installed: for what, in which version, and from where if not an index."""

    where: str
    name: str
    version: str
    note: str | None = None


@dataclass(slots=True, kw_only=True)
class PackageVersion:
    """Runs in a row that had a package so; `installed` is empty where they did not have it.

    `problem` says why it cannot be told.
    """

    installed: tuple[Installed, ...]
    stretches: list[Stretch] = field(default_factory=list)
    problem: str | None = None

    @property
    def first(self) -> Stretch:
        """The stretch with the first run."""
        return self.stretches[0]

    @property
    def last(self) -> Stretch:
        """The stretch with the last run."""
        return self.stretches[-1]

    @property
    def count(self) -> int:
        """How many runs these are."""
        return sum(stretch.count for stretch in self.stretches)


class EnvironmentHistory:
    """Questions on the environments of all runs of a repository."""

    def __init__(self, store: Store, history: History) -> None:
        self._history = history
        self._index = EnvironmentIndex(store)
        self._recorded = RecordedEnvironments(store, self._index)

    def steps(self, *, oldest_first: bool = False) -> Iterator[Step]:
        """Yield where the environment has changed, the newest first unless asked otherwise.

        Other files that come to the same, as where the run's own repository is installed and has
        another commit, are no step.
        """
        found = self._steps()
        yield from reversed(list(found)) if oldest_first else found

    def _steps(self) -> Iterator[Step]:
        stretches = list(self._index.stretches())
        for number in range(len(stretches) - 1, -1, -1):
            stretch = stretches[number]
            before = stretches[number - 1] if number else None
            step = self._step(before, stretch)
            if before is not None and _is_same(step):
                before.last, before.last_ns = stretch.last, stretch.last_ns
                before.count += stretch.count
            else:
                yield step

    def versions(self, name: str) -> list[PackageVersion]:
        """Return what a package was over time, the oldest first; empty where no run had it.

        `python` is the interpreter, where no package is called so.
        """
        wanted = normalised(name)
        found: list[PackageVersion] = []
        for stretch in self._index.stretches():
            problem, installed = None, tuple[Installed, ...]()
            try:
                installed = tuple(_installed(self._environment(stretch.first), wanted))
            except GitprovError as error:
                problem = str(error)
            if not found or (found[-1].installed, found[-1].problem) != (installed, problem):
                found.append(PackageVersion(installed=installed, problem=problem))
            found[-1].stretches.append(stretch)
        return found if any(version.installed for version in found) else []

    def names(self) -> set[str]:
        """Return what packages the newest environment has, to name one that was meant."""
        stretches = list(self._index.stretches())
        try:
            environment = self._environment(stretches[-1].first) if stretches else None
        except GitprovError:
            return set()
        return {name for name, _ in _all(environment)} if environment else set()

    def _step(self, before: Stretch | None, stretch: Stretch) -> Step:
        run = self._history.find(stretch.first).record
        last = before.last if before else None
        try:
            environment = self._environment(stretch.first)
            if before is None:
                return Step(stretch=stretch, run=run, environment=environment)
            was = self._environment(before.last)
        except GitprovError as error:
            return Step(stretch=stretch, run=run, before=last, problem=str(error))
        return Step(
            stretch=stretch,
            run=run,
            environment=environment,
            before=last,
            difference=compare(was, environment),
        )

    def _environment(self, run_id: str) -> Environment:
        return self._recorded.of(self._history.find(run_id).record).environment


def _is_same(step: Step) -> bool:
    difference = step.difference
    return difference is not None and not difference and not difference.unrecorded


def _installed(environment: Environment, wanted: str) -> Iterator[Installed]:
    found = [item for name, item in _all(environment) if normalised(name) == wanted]
    if not found and wanted == "python" and environment.python is not None:
        version = environment.python.interpreter.version
        found = [Installed(where="Python", name="python", version=version)]
    yield from found


def _all(environment: Environment) -> Iterator[tuple[str, Installed]]:
    """Yield all packages of all kinds by name."""
    states = {item.name: item for item in environment.editables if not item.is_source}
    pythons: list[tuple[str, PythonEnvironment]] = list(environment.others.items())
    if environment.python is not None:
        pythons.insert(0, ("Python", environment.python))
    for where, python in pythons:
        for package in python.packages:
            note = _note(package)
            if (state := states.get(package.name)) and package.editable and state.commit:
                note = f"editable at {commit_text(state.commit, dirty=state.dirty)}"
            yield (
                package.name,
                Installed(where=where, name=package.name, version=package.version, note=note),
            )
    for item in environment.conda.packages if environment.conda else ():
        yield (
            item.name,
            Installed(
                where="conda", name=item.name, version=item.version, note=f"build {item.build}"
            ),
        )
    for language, installed in environment.languages.items():
        for library in installed.packages:
            yield (
                library.name,
                Installed(where=language, name=library.name, version=library.version),
            )
    if environment.system_packages is not None:
        for library in environment.system_packages.packages:
            yield (
                library.name,
                Installed(
                    where=environment.system_packages.manager,
                    name=library.name,
                    version=library.version,
                ),
            )


def _note(package: Package) -> str | None:
    if package.editable:
        return "editable"
    origin = package.origin
    return f"from {origin_text(origin)}" if origin and origin.vcs else None
