"""Environments of recorded runs: read, followed over time, and none of them trusted."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gitprov.codec.environment_text import text
from gitprov.environments.history import EnvironmentHistory
from gitprov.environments.recorded import RecordedEnvironments, read_files
from gitprov.errors import EnvironmentMissing, IntegrityError, UnknownRun
from gitprov.index.environments import EnvironmentIndex
from gitprov.index.history import History
from gitprov.model.environment import Environment
from gitprov.model.run import Run
from gitprov.store.drain import drain
from gitprov.store.environment_trees import EnvironmentTrees
from gitprov.store.ledger import find_record
from gitprov.store.store import Store
from tests.support.repositories import Clone
from tests.support.runs import STARTED_NS, finish, loose_object, record, runs, unpack

HOUR = 3_600_000_000_000
REPOS = Path(__file__).parents[1] / "repos"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Clone.make(tmp_path / "repo").store()
    yield store
    store.close()


def files(version: str = "3.11.7", **packages: str) -> dict[str, bytes]:
    """Return an environment of Python packages."""
    interpreter = {"version": version, "implementation": "cpython"}
    rows = [
        {"name": name, "version": found, "purl": f"pkg:pypi/{name}@{found}"}
        for name, found in packages.items()
    ]
    return {
        "packages.json": text("packages.1", {"interpreter": interpreter, "packages": rows}),
        "machine.json": text("machine.1", {"cpu": "Xeon"}),
    }


def recorded(
    store: Store, hour: int, environment: Mapping[str, bytes] | None, **fields: Any
) -> str:
    """Record a run that started at an hour, and return its id."""
    started = STARTED_NS + hour * HOUR
    times = {"started_ns": started, "ended_ns": started + 1}
    (run_id,) = record(store, environment=environment, **times, **fields)
    return run_id


def history(store: Store) -> EnvironmentHistory:
    return EnvironmentHistory(store, History(store))


class _Counting(EnvironmentTrees):
    """What the store reads of environments, tree by tree."""

    read: list[str] = []  # noqa: RUF012 -- emptied by the test

    def files(self, tree: str) -> Iterator[tuple[str, bytes]]:
        self.read.append(tree)
        return super().files(tree)


class TestSteps:
    def test_runs_in_a_row_are_one_step(self, store: Store) -> None:
        first = recorded(store, 0, files(numpy="1.26"))
        recorded(store, 1, files(numpy="1.26"))
        last = recorded(store, 2, files(numpy="1.26"))
        changed = recorded(store, 3, files(numpy="2.0", six="1"))
        newest, oldest = history(store).steps()
        assert (oldest.stretch.first, oldest.stretch.last, oldest.stretch.count) == (first, last, 3)
        assert oldest.difference is None
        assert (newest.run.id, newest.before) == (changed, last)
        assert newest.difference is not None
        assert [(change.kind, change.name) for change in newest.difference.changes] == [
            ("upgraded", "numpy"),
            ("added", "six"),
        ]

    def test_by_the_time_of_the_start_not_of_the_record(self, store: Store) -> None:
        late = recorded(store, 9, files(numpy="2.0"))
        early = recorded(store, 1, files(numpy="1.26"))
        found = list(history(store).steps(oldest_first=True))
        assert [step.run.id for step in found] == [early, late]

    def test_back_and_forth(self, store: Store) -> None:
        for hour in range(4):
            recorded(store, hour, files(numpy=("1", "2")[hour % 2]))
        found = list(history(store).steps())
        assert [step.difference and step.difference.changes[0].kind for step in found] == [
            "upgraded", "downgraded", "upgraded", None,
        ]  # fmt: skip

    def test_runs_without_an_environment_stand_between_no_others(self, store: Store) -> None:
        recorded(store, 0, files(numpy="1"))
        recorded(store, 1, None)
        recorded(store, 2, files(numpy="1"))
        (step,) = history(store).steps()
        assert step.stretch.count == 2

    def test_other_files_that_come_to_the_same_are_no_step(self, store: Store) -> None:
        """As where the repository of the run is installed, and has another commit."""
        ids = []
        for hour in range(3):
            state = {"name": "own", "path": "/p", "commit": f"{hour}" * 40, "is_source": True}
            more = {"editables.json": text("editables.1", {"editables": [state]})}
            ids.append(recorded(store, hour, files(numpy="1") | more))
        recorded(store, 3, files(numpy="2"))
        newest, oldest = history(store).steps()
        assert (oldest.stretch.first, oldest.stretch.last) == (ids[0], ids[2])
        assert oldest.stretch.count == 3
        assert newest.before == ids[2]

    def test_equal_environments_are_read_once(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for hour in range(6):
            recorded(store, hour, files(numpy=("1", "2")[hour // 3]))
            recorded(store, 10 + hour, files(numpy="1"))
        monkeypatch.setattr("gitprov.environments.recorded.EnvironmentTrees", _Counting)
        _Counting.read.clear()
        assert len(list(history(store).steps())) == 3
        assert len(_Counting.read) == 2
        _Counting.read.clear()
        assert len(history(store).versions("numpy")) == 3
        assert len(_Counting.read) == 2

    def test_one_that_cannot_be_read_costs_no_other(self, store: Store) -> None:
        recorded(store, 0, files(numpy="1"))
        recorded(store, 1, {"packages.json": b"{"})
        recorded(store, 2, files(numpy="2"))
        found = list(history(store).steps())
        assert len(found) == 3


class TestVersions:
    def test_first_and_last_runs(self, store: Store) -> None:
        ids = [
            recorded(store, hour, environment)
            for hour, environment in enumerate(
                [
                    files(numpy="1.26"),
                    files(numpy="1.26", six="1"),
                    files(numpy="2.0"),
                    files(six="1"),
                ]
            )
        ]
        found = history(store).versions("NumPy")
        assert [[item.version for item in version.installed] for version in found] == [
            ["1.26"], ["2.0"], [],
        ]  # fmt: skip
        assert [(version.first.first, version.last.last, version.count) for version in found] == [
            (ids[0], ids[1], 2),
            (ids[2], ids[2], 1),
            (ids[3], ids[3], 1),
        ]

    def test_the_interpreter(self, store: Store) -> None:
        recorded(store, 0, files("3.11.7"))
        recorded(store, 1, files("3.12.1"))
        found = history(store).versions("python")
        assert [version.installed[0].version for version in found] == ["3.11.7", "3.12.1"]

    def test_other_kinds(self, store: Store) -> None:
        conda = {"prefix": "/p", "packages": [{"name": "blas", "version": "1", "build": "mkl"}]}
        language = {"version": "4", "packages": [{"name": "blas", "version": "3"}]}
        system = {"manager": "dpkg", "packages": [{"name": "blas", "version": "2"}]}
        recorded(
            store,
            0,
            {
                "conda.json": text("conda.1", conda),
                "r.json": text("r.1", language),
                "system-packages.json": text("system-packages.1", system),
            },
        )
        (version,) = history(store).versions("blas")
        assert [(item.where, item.version, item.note) for item in version.installed] == [
            ("conda", "1", "build mkl"),
            ("R", "3", None),
            ("dpkg", "2", None),
        ]

    def test_states_of_editable_ones(self, store: Store) -> None:
        for hour in range(2):
            row = {"name": "own", "version": "1", "purl": "pkg:pypi/own@1", "editable": True}
            interpreter = {"version": "3.11.7", "implementation": "cpython"}
            state = {"name": "own", "path": "/p", "commit": f"{hour}" * 40, "dirty": True}
            recorded(
                store,
                hour,
                {
                    "packages.json": text(
                        "packages.1", {"interpreter": interpreter, "packages": [row]}
                    ),
                    "editables.json": text("editables.1", {"editables": [state]}),
                },
            )
        assert [version.installed[0].note for version in history(store).versions("own")] == [
            f"editable at {'0' * 9} with uncommitted changes",
            f"editable at {'1' * 9} with uncommitted changes",
        ]

    def test_of_what_no_run_had(self, store: Store) -> None:
        assert history(store).versions("numpy") == []
        assert history(store).names() == set()
        recorded(store, 0, files(numpy="1"))
        assert history(store).versions("nmupy") == []
        assert history(store).names() == {"numpy"}


class TestReading:
    def of(self, store: Store) -> tuple[RecordedEnvironments, Run]:
        return RecordedEnvironments(store), History(store).find("last").record

    def test_all_of_it(self, store: Store) -> None:
        recorded(store, 0, files(numpy="1"))
        environments, run = self.of(store)
        found = environments.of(run)
        assert found.problems == ()
        assert found.environment.python is not None
        assert found.environment.python.packages[0].name == "numpy"
        assert environments.of(run) is found

    def test_lock_files_are_those_that_the_run_names(self, store: Store) -> None:
        journal = finish(
            store, environment={"a.txt": b"a", "uv.lock": b"lock", "sub/uv.lock": b"b"}
        )
        assert drain(store).recorded == [journal.id]
        environments, run = self.of(store)
        assert environments.of(run).environment.locks == {}

    def test_none(self, store: Store) -> None:
        recorded(store, 0, None, missing={"environment": "an import knows none"})
        environments, run = self.of(store)
        with pytest.raises(EnvironmentMissing, match="no environment: an import knows none"):
            environments.of(run)
        with pytest.raises(EnvironmentMissing):
            environments.documents(run, ("agreement.json",))

    def test_another_than_the_run_names(self, store: Store) -> None:
        recorded(store, 0, files(numpy="1"))
        recorded(store, 1, files(numpy="2"))
        one, two = (History(store).find(name).record for name in ("last~1", "last"))
        index = EnvironmentIndex(store)
        index.entry = lambda _: EnvironmentIndex(store).entry(two.id)  # type: ignore[method-assign]
        swapped = Run(
            id=two.id, status="completed", started_ns=1, ended_ns=2, command=two.command,
            recorder=two.recorder, environment=one.environment,
        )  # fmt: skip
        with pytest.raises(IntegrityError, match="git prov verify"):
            RecordedEnvironments(store, index).of(swapped)

    def test_files_that_are_not_in_this_clone(self, store: Store) -> None:
        """As where a partial clone cannot ask its remote."""
        recorded(store, 0, files(numpy="1"))
        environments, run = self.of(store)
        entry = EnvironmentIndex(store).entry(run.id)
        tree = find_record(store.objects, entry, run.id).environment
        assert tree is not None
        store.close()
        unpack(Clone(store.repository.require_work_tree()))
        blob = store.repository.git.run("rev-parse", f"{tree}:packages.json").decode().strip()
        loose_object(store, blob).unlink()
        with pytest.raises(EnvironmentMissing, match="fetch it with: git prov pull"):
            environments.of(run)
        assert environments.documents(run, ("machine.json",)).environment.machine is not None
        (step,) = history(store).steps()
        assert step.problem is not None
        assert "git prov pull" in step.problem

    def test_a_run_that_is_not_here(self, store: Store) -> None:
        with pytest.raises(UnknownRun):
            EnvironmentIndex(store).entry("k" * 32)

    def test_a_few_documents_alone(self, store: Store) -> None:
        said = {"lock": "uv.lock", "name": "numpy", "locked": "2", "installed": "1"}
        agreement = text("agreement.1", {"compared": ["uv.lock"], "disagreements": [said]})
        recorded(store, 0, files(numpy="1") | {"agreement.json": agreement})
        environments, run = self.of(store)
        found = environments.documents(run, ("agreement.json", "container.json"))
        assert found.environment.disagreements[0].locked == "2"
        assert found.environment.python is None


class TestStrangers:
    @pytest.mark.parametrize(
        ("document", "says"),
        [
            (b'{"schema": "machine.2"}', "this gitprov reads machine.1"),
            (b"[" * 100_000, "is not JSON"),
            (b'{"cpu": ' + b"9" * 10_000 + b"}", "is not JSON"),
            (b'"text"', "is not a map"),
            (b'{"cpu": 1}', "machine.json"),
            (b'{"schema": {"a": 1}}', "this gitprov reads"),
            (b"\xff\xfe", "is not JSON"),
        ],
        ids=["later", "deep", "huge", "text", "types", "schema", "bytes"],
    )
    def test_a_document_that_cannot_be_read_costs_no_other(
        self, document: bytes, says: str
    ) -> None:
        found = read_files(
            files(numpy="1") | {"machine.json": document, "uv.lock": b"x"}, ("uv.lock",)
        )
        assert found.environment.python is not None
        assert found.environment.machine is None
        assert found.environment.locks == {"uv.lock": b"x"}
        (problem,) = found.problems
        assert says in problem

    def test_interpreters_and_languages_are_put_together_again(self) -> None:
        one = files(numpy="1")["packages.json"]
        found = read_files(
            {
                "interpreters/1/packages.json": one,
                "interpreters/2/packages.json": one,
                "r.json": text("r.1", {"version": "4"}),
                "julia.json": text("julia.1", {"version": "1"}),
                "conda.json": b"{",
            },
            (),
        )
        assert set(found.environment.others) == {"1", "2"}
        assert set(found.environment.languages) == {"R", "Julia"}
        assert len(found.problems) == 1

    def test_files_of_later_versions_are_passed_over(self) -> None:
        found = read_files(files(numpy="1") | {"later.json": b"{", "more/x": b""}, ())
        assert found.problems == ()


def test_environments_of_the_first_format(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone", commit=False)
    clone.git("fetch", "--quiet", str(REPOS / "format-1.bundle"), "refs/prov/*:refs/prov/*")
    store = clone.store()
    environments = RecordedEnvironments(store)
    for run in runs(store):
        found = environments.of(run)
        assert found.problems == ()
        # Its packages.json knows nothing.
        assert found.environment == Environment(
            locks={"sub/poetry.lock": b"# a lock in a folder\n", "uv.lock": b"version = 1\n"}
        )
    (step,) = history(store).steps()
    assert step.problem is None
    store.close()
