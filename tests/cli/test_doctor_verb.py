"""`git prov doctor`: what it prints and returns, on a run that was really killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repositories import Clone, clean_environment


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.prov("init")
    return clone


def killed(clone: Clone) -> None:
    """Kill the process that records a run, and then the command."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gitprov", "run", "--quiet", "--", "sh", "-c", "echo $$; cat"],
        cwd=clone.path, env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)


def test_all_is_well_in_a_few_lines(clone: Clone) -> None:
    clone.run("true")
    said = clone.prov("doctor").splitlines()
    assert said[-1] == "all is well"
    assert len(said) < 10
    assert all(line.startswith("ok ") for line in said[:-1])
    assert clone.prov("doctor", "--dry-run").splitlines() == said


def test_a_killed_run_is_shown_and_then_recorded(clone: Clone) -> None:
    killed(clone)
    looked = clone.prov("doctor", "--dry-run")
    assert "found   runs    the process of run " in looked
    assert looked.endswith("can be put right by: git prov doctor\n")
    assert clone.store().journal.runs()
    said = clone.prov("doctor")
    assert said.index("found   runs") < said.index("mended  runs    recorded as aborted")
    assert said.endswith("all is well now\n")
    assert not clone.store().journal.runs()
    listed = clone.prov_call("log", "--json")
    assert [json.loads(line)["status"] for line in listed.stdout.splitlines()] == ["aborted"]
    assert listed.stderr == ""


def test_what_is_left_for_a_person_shows_in_the_exit_status(clone: Clone) -> None:
    lock = clone.path / ".git" / "packed-refs.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    done = clone.prov_call("doctor")
    assert done.returncode == 1
    assert f"next: if no git is running in this repository: rm {lock}" in done.stdout
    assert done.stdout.endswith("1 fault left for you to see to\n")
    assert lock.exists()


def test_json(clone: Clone) -> None:
    killed(clone)
    looked = json.loads(clone.prov("doctor", "--dry-run", "--json"))
    assert (looked["schema"], looked["verdict"], looked["dry_run"]) == ("doctor.1", "good", True)
    states = {item["state"] for item in looked["findings"]}
    assert states == {"good", "mendable"}
    done = json.loads(clone.prov("doctor", "--json"))
    assert {item["state"] for item in done["findings"]} == {"good", "mendable", "mended"}
    assert all(item.keys() <= {"area", "state", "text", "advice"} for item in done["findings"])
    (clone.path / ".git" / "prov" / "rejected" / ("k" * 32)).mkdir(parents=True)
    bad = clone.prov_call("doctor", "--json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["verdict"] == "fault"


def test_outside_a_repository(tmp_path: Path) -> None:
    done = Clone(tmp_path).prov_call("doctor")
    assert done.returncode == 10
    assert "not in a git repository" in done.stderr


def test_many_of_a_kind_are_counted(clone: Clone) -> None:
    for letter in "klmnopqrstuv":
        (clone.path / ".git" / "prov" / "rejected" / (letter * 32)).mkdir(parents=True)
    said = clone.prov_call("doctor").stdout
    assert "… and 4 more: git prov doctor --json" in said
    assert "12 faults left for you to see to" in said
