"""A power loss after any change that a command makes: a sample of the disks that it may leave.

All that is lost that was not synced, and some mixtures. More: scripts/torture writes.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.support import dropped_writes
from tests.support.disk_model import Disk, materialise, on_disk
from tests.support.disk_states import record_changes
from tests.support.disk_trace import (
    Linked,
    MadeFolder,
    Opened,
    Renamed,
    Step,
    Synced,
    Written,
    reason_not_to_record,
)
from tests.support.repositories import Clone
from tests.support.torture import workers

MIXTURES = 8
_SECONDS = 200


@pytest.fixture(scope="module")
def worker() -> Iterator[ProcessPoolExecutor]:
    if reason := reason_not_to_record():
        pytest.skip(reason)
    with workers(1) as pool:
        yield pool


class Scenario:
    """The test of one scenario; a class each, so that they are spread over processes."""

    name = ""

    def test_power_loss(self, worker: ProcessPoolExecutor) -> None:
        states = worker.submit(dropped_writes.sample, self.name, MIXTURES).result(_SECONDS)
        assert states
        bad = []
        for state in states:
            outcome = worker.submit(dropped_writes.attempt, self.name, state).result(_SECONDS)
            if outcome.lost or outcome.wrong:
                bad.append(outcome)
        assert not bad


class TestProgram(Scenario):
    name = "program"


class TestFreshClone(Scenario):
    name = "fresh clone"


class TestInit(Scenario):
    name = "init"


class TestRun(Scenario):
    name = "run"


class TestFirstRun(Scenario):
    name = "first run"


class TestPush(Scenario):
    name = "push"


class TestPushAndJoin(Scenario):
    name = "push and join"


class TestPull(Scenario):
    name = "pull"


class TestDrain(Scenario):
    name = "drain"


class TestDeadRun(Scenario):
    name = "dead run"


class TestIndex(Scenario):
    name = "index"


class TestTheStates:
    """That the disks are what they should be, and that what is wrong with them is noticed."""

    def test_each_scenario_has_its_class(self) -> None:
        tested = [tests.name for tests in Scenario.__subclasses__()]
        assert tested == list(dropped_writes.PART.scenarios)

    def test_a_run_that_is_not_synced_is_missed(self, worker: ProcessPoolExecutor) -> None:
        states = worker.submit(dropped_writes.sample, "unsynced", 0).result(_SECONDS)
        outcome = worker.submit(dropped_writes.attempt, "unsynced", states[-1]).result(_SECONDS)
        assert len([lost for lost in outcome.lost if lost.endswith("was acknowledged")]) == 2

    @pytest.mark.parametrize(
        ("synced", "survives"),
        [
            ([], {"old": b"old"}),
            ([""], {"old": b"old", "new": b"", "folder": None}),
            (["temporary"], {"old": b"old"}),
            (["temporary", ""], {"old": b"old", "new": b"words", "folder": None}),
            (["folder"], {"old": b"old"}),
            (["folder", ""], {"old": b"old", "new": b"", "folder": None, "folder/second": b""}),
        ],
        ids=["nothing", "names", "bytes", "both", "inner names", "all names"],
    )
    def test_only_what_was_synced(
        self, tmp_path: Path, synced: list[str], survives: dict[str, bytes | None]
    ) -> None:
        (tmp_path / "before").mkdir()
        (tmp_path / "before/old").write_bytes(b"old")
        disk = Disk(tmp_path / "before")
        disk.apply(Step(1.0, Opened("temporary", create=True, empty=True, mode=0o644)))
        disk.apply(Step(1.0, Written("temporary", 0, b"words")))
        if "temporary" in synced:
            disk.apply(Step(1.0, Synced("temporary")))
        disk.apply(Step(2.0, MadeFolder("folder")))
        disk.apply(Step(2.0, Linked("temporary", "folder/second")))
        disk.apply(Step(2.0, Renamed("temporary", "new")))
        for folder in synced:
            if folder != "temporary":
                disk.apply(Step(3.0, Synced(folder)))
        (tmp_path / "after").mkdir()
        materialise(disk.tree(lambda _: 0.0), tmp_path / "after")
        assert on_disk(tmp_path / "after") == survives

    def test_trace_amounts_to_the_disk(self, tmp_path: Path) -> None:
        if reason := reason_not_to_record():
            pytest.skip(reason)
        clone = Clone.make(tmp_path / "clone")
        clone.write("many.txt", "".join(f"{number}\n" for number in range(10_000)))
        script = (
            "git add . && git commit --quiet -m more && git gc --quiet --prune=now && "
            "git tag one && git branch two && git pack-refs --all && git branch -D two && "
            "cd .git && printf words >a && printf more >>a && ln a b && mv b d && "
            "truncate -s 3 d && rm a"
        )
        record_changes(tmp_path, ["sh", "-c", script])
        assert (clone.path / ".git" / "d").read_bytes() == b"wor"
