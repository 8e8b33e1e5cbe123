"""The Python interface, in this process and in a real repository."""

import asyncio
import math
import os
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import gitprov
import gitprov.api
from gitprov import GitprovWarning
from gitprov.errors import NotARepository, QueryError, RunStateError
from gitprov.model.run import Run
from gitprov.store.lock import store_lock
from tests.support.repositories import IDENTITY, Clone
from tests.support.runs import run_ids


class NumberLike:
    """What NumPy's and PyTorch's scalars have in common."""

    ndim = 0

    def __init__(self, value: Any) -> None:
        self._value = value

    def item(self) -> Any:
        return self._value

    def __float__(self) -> float:
        return float(self._value)


class ArrayLike:
    """What has `item` and is no scalar."""

    ndim = 2

    def item(self) -> Any:
        raise ValueError("more than one element")


@pytest.fixture(autouse=True)
def plain_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Never where the tests were started: that is a repository too.
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GIT_", "GITPROV_", "CI"))]:
        monkeypatch.delenv(name)
    for name, value in {**IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    monkeypatch.chdir(clone.path)
    return clone


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the paths of what is synced, in order."""
    paths: list[str] = []
    original = os.fsync

    def noting(descriptor: int) -> None:
        original(descriptor)
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", noting)
    return paths


def found(query: str | None = None) -> list[Run]:
    return list(gitprov.search_runs(query))


def only() -> Run:
    [run] = found()
    return run


def values(run: Run) -> dict[str, Any]:
    return {metric.name: metric.value for metric in run.metrics}


@pytest.mark.usefixtures("clone")
class TestStartRun:
    def test_everything_that_is_given(self, clone: Clone) -> None:
        clone.write("data.csv", "1,2\n")
        with gitprov.start_run(
            name="digits",
            params={"lr": 0.1, "net": {"layers": [3, 4], "bias": True}, "none": None},
            message="why",
            tags=["a"],
            inputs=["data.csv"],
        ) as live:
            live.log_params({"late": Path("x"), "net": {"layers": [5]}})
            live.log_tags("b", "a")
        run = only()
        assert run.id == live.id
        assert (run.name, run.message, run.tags) == ("digits", "why", ("a", "b"))
        assert run.params == {
            "lr": 0.1,
            "net.layers.0": 5,
            "net.layers.1": 4,
            "net.bias": True,
            "none": "None",
            "late": "x",
        }
        assert [item.path for item in run.inputs] == ["data.csv"]
        assert (run.status, run.exit_code) == ("completed", None)
        assert run.command.entrypoint == "gitprov.start_run"
        assert run.source is not None
        assert run.source.dirty

    def test_metrics_keep_every_value_and_end_with_the_last(self) -> None:
        with gitprov.start_run() as live:
            for step in range(3):
                live.log_metrics({"loss": 1 / (step + 1), "acc": step}, step=step)
            live.log_metrics({"once": 7})
        run = only()
        assert values(run) == {"loss": pytest.approx(1 / 3), "acc": 2.0, "once": 7.0}
        assert {metric.name: metric.step for metric in run.metrics} == {
            "loss": 2,
            "acc": 2,
            "once": None,
        }
        assert [item.name for item in run.byproducts] == ["series"]

    def test_numbers_of_every_kind(self) -> None:
        with gitprov.start_run(params={"numpy": NumberLike(3), "array": "x"}) as live:
            live.log_metrics(
                {
                    "nan": math.nan,
                    "inf": math.inf,
                    "minus": -math.inf,
                    "zero": -0.0,
                    "true": True,
                    "numpy": NumberLike(0.5),
                    "large": 10**300,
                },
                step=NumberLike(0).item(),
            )
        run = only()
        assert values(run) == {
            "nan": "nan",
            "inf": "inf",
            "minus": "-inf",
            "zero": 0.0,
            "true": 1.0,
            "numpy": 0.5,
            "large": 1e300,
        }
        assert math.copysign(1, float(values(run)["zero"])) == 1
        assert run.params["numpy"] == 3
        assert run.metric("inf") == math.inf

    @pytest.mark.parametrize(
        ("wrong", "step", "error"),
        [
            ({"m": "high"}, None, ValueError),
            ({"m": None}, None, TypeError),
            ({"m": [1]}, None, TypeError),
            ({"m": 10**400}, None, ValueError),
            ({"m": 1}, 1 << 70, ValueError),
            ({"m": 1}, "first", ValueError),
        ],
    )
    def test_mistakes_are_raised_and_the_run_goes_on(
        self, wrong: dict[str, Any], step: Any, error: type[Exception]
    ) -> None:
        with gitprov.start_run() as live:
            with pytest.raises(error):
                live.log_metrics(wrong, step=step)
            live.log_metrics({"m": 2})
        assert values(only()) == {"m": 2.0}

    def test_data_is_hashed_when_it_is_logged(self, clone: Clone) -> None:
        clone.write("model.json", "{}")
        clone.write("folder/part", "x")
        with gitprov.start_run() as live:
            live.log_input("folder")
            live.log_output(Path("model.json"))
            clone.write("model.json", "changed later")
        run = only()
        assert [(item.path, item.kind, item.seen) for item in (*run.inputs, *run.outputs)] == [
            ("folder", "tree", "observed"),
            ("model.json", "file", "observed"),
        ]
        assert run.outputs[0].size == 2

    def test_what_cannot_be_read_is_warned_of_and_recorded(self) -> None:
        with pytest.warns(GitprovWarning, match="inputs.early: No such file"):
            live = gitprov.start_run(inputs=["early"])
        with live, pytest.warns(GitprovWarning, match="outputs.late: No such file") as caught:
            live.log_output("late")
        assert caught[0].filename == __file__
        run = only()
        assert {"inputs.early", "outputs.late"} <= run.missing.keys()
        assert [item.path for item in (*run.inputs, *run.outputs)] == ["early", "late"]

    def test_an_exception_is_a_failed_run(self) -> None:
        def program() -> None:
            with gitprov.start_run() as live:
                live.log_metrics({"before": 1})
                raise ZeroDivisionError("division by zero")

        with pytest.raises(ZeroDivisionError):
            program()
        run = only()
        assert (run.status, run.error) == ("failed", "ZeroDivisionError: division by zero")
        assert values(run) == {"before": 1.0}

    def test_an_exception_with_a_text_that_has_no_utf8_form(self) -> None:
        with pytest.raises(FileNotFoundError), gitprov.start_run():
            Path(os.fsdecode(b"caf\xe9")).read_text()
        error = only().error
        assert error is not None
        assert r"caf\udce9" in error

    def test_a_keyboard_interrupt_is_an_aborted_run(self) -> None:
        with pytest.raises(KeyboardInterrupt), gitprov.start_run():
            raise KeyboardInterrupt
        assert (only().status, only().error) == ("aborted", "KeyboardInterrupt")

    @pytest.mark.parametrize(
        ("code", "status"), [(None, "completed"), (0, "completed"), (3, "failed")]
    )
    def test_leaving_by_sys_exit(self, code: int | None, status: str) -> None:
        with pytest.raises(SystemExit), gitprov.start_run():
            raise SystemExit(code)
        assert only().status == status

    def test_a_run_in_a_run_is_part_of_it(self) -> None:
        with (
            gitprov.start_run(name="outer") as outer,
            gitprov.start_run(name="inner") as inner,
            gitprov.start_run(name="innermost") as innermost,
        ):
            pass
        with gitprov.start_run(name="later") as later:
            pass
        links = {run.id: [(link.rel, link.id) for link in run.links] for run in found()}
        assert links == {
            outer.id: [],
            inner.id: [("part_of", outer.id)],
            innermost.id: [("part_of", inner.id)],
            later.id: [],
        }

    def test_finishing_by_hand_and_twice(self) -> None:
        live = gitprov.start_run()
        live.finish("failed", "by hand")
        live.finish()
        assert (only().status, only().error) == ("failed", "by hand")
        for action in (
            lambda: live.log_params({"a": 1}),
            lambda: live.log_metrics({"a": 1}),
            lambda: live.log_tags("a"),
            lambda: live.log_input("train.py"),
        ):
            with pytest.raises(RunStateError, match="is finished"):
                action()

    def test_durable_when_finish_returns_and_then_recorded(
        self, clone: Clone, synced: list[str]
    ) -> None:
        store = clone.store()
        live = gitprov.start_run()
        live.log_metrics({"loss": 1})
        synced.clear()
        with store_lock(store.lock_path):
            live.finish()
            [journal] = store.journal.runs()
            assert (journal.id, journal.is_finished) == (live.id, True)
            assert synced[-1] == f"{journal.path}/finished"
            assert run_ids(store) == []
        gitprov.api._drains.join()
        assert store.journal.runs() == []
        assert run_ids(store) == [live.id]

    def test_what_cannot_be_drained_is_warned_of_later(self, clone: Clone) -> None:
        (clone.path / ".git/refs/prov").write_text("in the way of our refs\n")
        with gitprov.start_run() as first:
            pass
        gitprov.api._drains.join()
        with pytest.warns(GitprovWarning, match="runs wait in .*journal") as caught:
            gitprov.start_run().finish()
        assert caught[0].filename == __file__
        with warnings.catch_warnings(action="ignore"):
            gitprov.api._drains.join()
            gitprov.api._warn_of_drains()
        (clone.path / ".git/refs/prov").unlink()
        assert first.id in {run.id for run in found()}
        assert len(found()) == 2


class TestOutsideARepository:
    @pytest.fixture(autouse=True)
    def outside(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_a_warning_and_the_program_goes_on(self) -> None:
        with pytest.warns(GitprovWarning, match="not recorded: .* git init") as caught:
            live = gitprov.start_run(params={"a": 1}, inputs=["gone"])
        assert caught[0].filename == __file__
        with live:
            live.log_metrics({"a": 1})
            live.log_input("gone")
            live.log_tags("a")
        assert live.id is None

    def test_a_tracked_function(self) -> None:
        with pytest.warns(GitprovWarning, match="not recorded"):
            assert gitprov.track(lambda: 5)() == 5

    def test_a_search(self) -> None:
        with pytest.raises(NotARepository):
            found()


@pytest.mark.usefixtures("clone")
class TestTrack:
    def test_without_arguments(self) -> None:
        @gitprov.track
        def train(lr: float, *rest: int, model: str = "svm", data: object = None) -> str:
            """Train."""
            return f"{lr} {rest} {model}"

        assert train(0.1, 1, 2, data=object()) == "0.1 (1, 2) svm"
        assert train.__doc__ == "Train."
        run = only()
        assert run.name == "train"
        assert run.params == {"lr": 0.1, "rest": "<tuple>", "model": "svm", "data": "<object>"}
        assert run.command.entrypoint is not None
        assert run.command.entrypoint.startswith("tests.unit.test_api:") or (
            run.command.entrypoint.startswith("test_api:")
        )
        assert run.command.entrypoint.endswith("train")

    def test_with_arguments(self) -> None:
        @gitprov.track(name="other", tags=["t"])
        def train() -> None: ...

        train()
        assert (only().name, only().tags) == ("other", ("t",))

    def test_large_objects_are_recorded_by_their_type(self) -> None:
        @gitprov.track
        def train(array: object, number: object, path: object) -> None: ...

        train(ArrayLike(), NumberLike(3), Path("a/b"))
        assert only().params == {"array": "<ArrayLike>", "number": 3, "path": "a/b"}

    @pytest.mark.parametrize(
        ("result", "metrics"),
        [
            ({"a": 1, "b": 0.5}, {"a": 1.0, "b": 0.5}),
            ({"a": NumberLike(0.5)}, {"a": 0.5}),
            ({"a": math.nan}, {"a": "nan"}),
            ({"a": 1, "b": "text"}, {}),
            ({"a": True}, {}),
            ({}, {}),
            ([1], {}),
            (None, {}),
        ],
    )
    def test_a_returned_mapping_of_numbers_is_metrics(
        self, result: Any, metrics: dict[str, Any]
    ) -> None:
        assert gitprov.track(lambda: result)() is result
        assert values(only()) == metrics

    def test_exceptions_go_through(self) -> None:
        @gitprov.track
        def train() -> None:
            raise ValueError("no data")

        with pytest.raises(ValueError, match="no data"):
            train()
        assert (only().status, only().error) == ("failed", "ValueError: no data")

    def test_wrong_arguments_are_the_functions_own_error(self) -> None:
        @gitprov.track
        def train(lr: float) -> None: ...

        with pytest.raises(TypeError, match="lr"):
            train()  # type: ignore[call-arg]
        assert found() == []

    def test_coroutines(self) -> None:
        @gitprov.track
        async def train(wait: float) -> dict[str, float]:
            await asyncio.sleep(wait)
            return {"waited": wait}

        async def both() -> list[dict[str, float]]:
            return list(await asyncio.gather(train(0.02), train(0.01)))

        assert asyncio.run(both()) == [{"waited": 0.02}, {"waited": 0.01}]
        runs = found()
        assert sorted(values(run)["waited"] for run in runs) == [0.01, 0.02]
        assert [run.links for run in runs] == [(), ()]
        assert all(run.duration_ns >= 10_000_000 for run in runs)

    def test_calls_in_a_run_are_part_of_it(self) -> None:
        with gitprov.start_run(name="outer") as outer:
            gitprov.track(lambda: None)()
        inner = next(run for run in found() if run.name != "outer")
        assert [(link.rel, link.id) for link in inner.links] == [("part_of", outer.id)]


@pytest.mark.usefixtures("clone")
class TestSearch:
    @pytest.fixture
    def history(self, clone: Clone) -> Clone:
        for number in range(4):
            with gitprov.start_run(
                name=f"run-{number}", params={"n": number, "kind": "odd" if number % 2 else "even"}
            ) as live:
                live.log_metrics({"accuracy": number / 4})
                time.sleep(0.002)
        return clone

    @pytest.mark.usefixtures("history")
    def test_queries(self) -> None:
        def names(query: str | None) -> list[str | None]:
            return [run.name for run in found(query)]

        assert names(None) == ["run-3", "run-2", "run-1", "run-0"]
        assert names("metrics.accuracy > 0.4") == ["run-3", "run-2"]
        assert names('params.kind = "odd" and not params.n = 3') == ["run-1"]
        assert names('name ~ "[02]$" or status = "failed"') == ["run-2", "run-0"]
        assert names("metrics.accuracy > 9") == []
        with pytest.raises(QueryError, match="did you mean name"):
            names("nam = 1")

    def test_from_anywhere(
        self, history: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert len(list(gitprov.search_runs(path=history.path))) == 4
        assert next(gitprov.search_runs("params.n = 2", path=str(history.path))).name == "run-2"
