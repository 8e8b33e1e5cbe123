"""Runs whose owner is in another container or on another host: alive, dead, or taken for dead."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gitprov.codec import canonical
from gitprov.policy.verify import verify
from gitprov.recorder.adoption import adopt_dead_runs
from gitprov.store.journal import JournalRun
from tests.support.repositories import Clone, clean_environment

WAIT_SECONDS = 60
ELSEWHERE = {"host": "elsewhere.example.org", "boot": "another", "local": False}
# Its number has been given to another process since, for all that one can tell.
GONE = {"started": "1"}

COMMAND = """
echo acc=0.5 >> $GITPROV_METRICS; echo ready; read line; echo more; exit 3
"""
PROGRAM = """
import gitprov
run = gitprov.start_run(params={"lr": 0.1})
run.log_metrics({"acc": 0.5})
print("ready", flush=True)
input()
run.log_metrics({"acc": 0.75})
run.finish()
"""
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


class Owner:
    """A process that owns a run, and waits to be told to go on."""

    def __init__(self, clone: Clone, *command: str) -> None:
        self.clone = clone
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "gitprov", "run", "--", "sh", "-c", COMMAND],
            cwd=clone.path, env=clean_environment(), start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        (self.run,) = clone.store().journal.runs()

    def say(self, **fields: object) -> None:
        """Change what the run's journal says of its owner."""
        started = self.run.started
        assert started is not None
        started["owner"] |= fields
        (self.run.path / "started").write_bytes(canonical.encode(started))

    def fall_silent(self, minutes: float) -> None:
        past = time.time() - 60 * minutes
        os.utime(self.run.path / "alive", (past, past))

    def go_on(self) -> str:
        """Let it end; return what it says on stderr."""
        return self.process.communicate("\n", timeout=WAIT_SECONDS)[1]

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=WAIT_SECONDS)


def recorded(clone: Clone) -> list[dict[str, Any]]:
    return [json.loads(line) for line in clone.prov("log", "--json").splitlines()]


def is_aborted(clone: Clone) -> None:
    """Check that all that was known of the one run is in its record."""
    [run] = recorded(clone)
    assert run["status"] == "aborted"
    assert [(metric["name"], metric["value"]) for metric in run["metrics"]] == [("acc", 0.5)]
    assert clone.prov("show", "--output") == "ready\n"
    assert verify(clone.store()).is_good


def test_other_container(clone: Clone) -> None:
    try:
        subprocess.run([*UNSHARE, "true"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only who may make namespaces can make a container")
    prov = [sys.executable, "-m", "gitprov"]
    owner = Owner(clone, *UNSHARE, *prov, "run", "--", "sh", "-c", COMMAND)
    try:
        assert recorded(clone) == []
    finally:
        owner.kill()
    is_aborted(clone)


def test_other_host_that_lives(clone: Clone) -> None:
    owner = Owner(clone)
    owner.say(**ELSEWHERE)
    assert recorded(clone) == []
    owner.fall_silent(minutes=600)  # but the server of the filesystem knows its lock
    assert recorded(clone) == []
    owner.go_on()
    assert [run["status"] for run in recorded(clone)] == ["failed"]


def test_other_host_that_died(clone: Clone) -> None:
    owner = Owner(clone)
    owner.say(**ELSEWHERE)
    owner.kill()
    owner.fall_silent(minutes=59)
    assert recorded(clone) == []
    owner.fall_silent(minutes=61)
    is_aborted(clone)


def test_time_until_a_host_counts_as_dead(clone: Clone) -> None:
    owner = Owner(clone)
    owner.say(**ELSEWHERE)
    owner.kill()
    owner.fall_silent(minutes=31)
    for wrong in ("soon", "-5m", "5x"):
        clone.git("config", "prov.deadAfter", wrong)
        listed = clone.prov_call("log", "--json")
        assert (listed.returncode, listed.stdout) == (0, "")
        assert f"prov.deadafter={wrong} is not a time" in listed.stderr
    clone.git("config", "prov.deadAfter", "32m")
    assert recorded(clone) == []
    clone.git("config", "prov.deadAfter", "30m")
    is_aborted(clone)


def test_machine_that_was_rebooted(clone: Clone) -> None:
    owner = Owner(clone)
    started = owner.run.started
    assert started is not None
    if not started["owner"]["local"]:
        pytest.skip("the temporary folder is on a filesystem that other machines may see")
    owner.kill()
    owner.say(boot="another")
    is_aborted(clone)


class TestTakenForDead:
    """As a machine that slept for hours may be."""

    @pytest.fixture(params=["recorded", "finished"])
    def adopted(self, request: pytest.FixtureRequest, clone: Clone) -> Any:
        """Return what lets somebody record the run, to the end or just to its acknowledgement."""

        def adopt(run: JournalRun) -> None:
            if request.param == "recorded":
                assert len(recorded(clone)) == 1
            else:
                assert adopt_dead_runs(clone.store()).runs == [run.id]

        return adopt

    def test_command(self, clone: Clone, adopted: Any) -> None:
        owner = Owner(clone)
        owner.say(**GONE)
        adopted(owner.run)
        errors = owner.go_on()
        assert owner.process.returncode == 3
        assert "another host has recorded it as aborted" in errors
        assert "Traceback" not in errors
        assert len(errors.splitlines()) == 2
        is_aborted(clone)

    def test_program(self, clone: Clone, adopted: Any) -> None:
        owner = Owner(clone, sys.executable, "-c", PROGRAM)
        owner.say(**GONE)
        adopted(owner.run)
        errors = owner.go_on()
        assert owner.process.returncode == 0
        assert f"metrics not recorded: run {owner.run.id[:8]} has ended" in errors
        assert "another host has recorded it as aborted" in errors
        [run] = recorded(clone)
        assert (run["status"], run["params"]) == ("aborted", {"lr": 0.1})
        assert [metric["value"] for metric in run["metrics"]] == [0.5]
        assert verify(clone.store()).is_good

    def test_output_goes_on_while_it_is_recorded(self, clone: Clone) -> None:
        owner = Owner(clone)
        owner.say(**GONE)
        assert adopt_dead_runs(clone.store()).runs == [owner.run.id]
        assert "another host" in owner.go_on()
        is_aborted(clone)


def test_output_that_is_being_written(clone: Clone) -> None:
    """The recorder is killed in the midst of it: what it has kept is in the record."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gitprov", "run", "--quiet", "--", "sh", "-c",
         "trap '' PIPE; while echo a line of output; do :; done 2>/dev/null"],
        cwd=clone.path, env=clean_environment(), start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert len(process.stdout.read(1 << 20)) == 1 << 20
        process.kill()
        process.wait(WAIT_SECONDS)
        [run] = recorded(clone)
    finally:
        process.stdout.close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert run["status"] == "aborted"
    output = clone.prov_bytes("show", "--output")
    line = b"a line of output\n"
    assert len(output) >= 1 << 20
    assert output == (line * (len(output) // len(line) + 1))[: len(output)]
    assert verify(clone.store()).is_good
