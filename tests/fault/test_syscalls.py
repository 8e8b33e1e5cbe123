"""A fault at a system call: a sample over all calls of all scenarios.

Every call, with every kind of fault: scripts/torture calls.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import sweep
from tests.support.repositories import Clone, clean_environment
from tests.support.scenarios import RECORDED, SCENARIOS
from tests.support.torture import workers
from tests.support.tracer import reason_not_to_trace

_OFTEN = {"kill process": 6, "kill tree": 6, "ENOSPC": 2, "EIO": 2}
_SECONDS = 200


def _sample() -> list[Any]:
    kinds = len(sweep.KINDS)
    # Each kind begins elsewhere, so that together they meet more calls.
    return [
        pytest.param(kind, (number + (order + 1) / (kinds + 1)) / count, id=f"{kind} {number}")
        for order, kind in enumerate(sweep.KINDS)
        for count in [_OFTEN.get(kind, 1)]
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def worker() -> Iterator[ProcessPoolExecutor]:
    with workers(1) as pool:
        if reason := pool.submit(reason_not_to_trace).result(_SECONDS):
            pytest.skip(reason)
        yield pool


class Scenario:
    """The tests of one scenario; a class each, so that they are spread over processes."""

    name = ""

    @pytest.mark.parametrize(("kind", "place"), _sample())
    def test_fault(self, worker: ProcessPoolExecutor, kind: str, place: float) -> None:
        state = worker.submit(sweep.sample, self.name, kind, place).result(_SECONDS)
        outcome = worker.submit(sweep.attempt, self.name, state).result(_SECONDS)
        assert not outcome.lost, outcome.state
        assert not outcome.wrong, outcome.state


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


class TestTheSweep:
    """That the sweep meets what it says."""

    def test_each_scenario_has_its_class(self) -> None:
        assert [tests.name for tests in Scenario.__subclasses__()] == list(SCENARIOS)

    def test_strace_sees_the_same_calls(self, tmp_path: Path, worker: ProcessPoolExecutor) -> None:
        assert shutil.which("strace"), "needs strace: scripts/install-system-packages"
        calls = worker.submit(sweep.prepare, "run", tmp_path).result(_SECONDS)
        clone, trace = Clone(tmp_path / "live/clone"), tmp_path / "trace"
        names = {call.name for call in calls}
        subprocess.run(
            ["strace", "--follow-forks", "--seccomp-bpf", "--decode-fds=path", "-o", str(trace),
             "-e", f"trace={','.join(sorted(names))}", sys.executable, "-m", "gitprov", *RECORDED],
            cwd=clone.path, env=clean_environment(), capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        seen = Counter(_changes(trace, clone.path))
        assert seen == Counter(call.name for call in calls)


_LINE = re.compile(
    r"\d+ +(?P<name>\w+)\("
    r'(?:AT_FDCWD<[^>]*>, )?(?:\d+<(?P<file>/[^>]*)>|"(?P<path>[^"]*)")(?P<rest>.*)'
)
_TO_WRITE = re.compile("O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")


def _changes(trace: Path, top: Path) -> Iterator[str]:
    """Yield the calls on files below `top` that change them, as strace has them.

    Without those that the recorded command makes, which are known by their files.
    """
    for found in map(_LINE.match, trace.read_text().splitlines()):
        if found is None or (found["name"] == "openat" and not _TO_WRITE.search(found["rest"])):
            continue
        path = top / (found["file"] or found["path"])
        by_command = (
            path.name in {"out.txt", "pid.txt", "metrics.lines"} and found["name"] != "unlink"
        )
        if path.is_relative_to(top) and not by_command:
            yield found["name"]
