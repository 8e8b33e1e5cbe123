"""Many processes add to one run at once: nothing is lost, nothing is torn."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from gitprov.model.ids import new_id
from gitprov.store.journal import Journal, JournalRun
from tests.support.repositories import clean_environment

PROCESSES, EVENTS = 12, 300

# Long events, so that a torn one would be noticed. A line is said for each event that is in.
STARTED = """
import sys
from pathlib import Path
from gitprov.store.journal import Journal
path = Path(sys.argv[1])
run = Journal(path.parent).open(path.name)
for number in range(int(sys.argv[3])):
    run.append({"by": int(sys.argv[2]), "number": number, "text": sys.argv[2] * 3000})
    print(number, flush=True)
    if number == int(sys.argv[4]):
        sys.stdin.read()
"""
FORKED = """
import os, sys
from pathlib import Path
from gitprov.store.journal import Journal
path = Path(sys.argv[1])
run = Journal(path.parent).open(path.name)
run.append({"by": -1, "number": 0, "text": ""})
for process in range(int(sys.argv[2])):
    if os.fork() == 0:
        for number in range(int(sys.argv[3])):
            run.append({"by": process, "number": number, "text": str(process) * 3000})
        os._exit(0)
for process in range(int(sys.argv[2])):
    assert os.wait()[1] == 0
"""


@pytest.fixture
def run(tmp_path: Path) -> JournalRun:
    return Journal(tmp_path / "journal").create(new_id())


def numbers(run: JournalRun) -> dict[int, list[int]]:
    """Return the numbers of the events of each process, in order."""
    found = defaultdict(list)
    for event in run.events():
        found[event["by"]].append(event["number"])
        assert event["text"] == str(event["by"]) * 3000 or event["by"] < 0
    return found


def test_processes_at_once_and_one_that_is_killed(run: JournalRun) -> None:
    killed, until = 5, EVENTS // 2
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STARTED, str(run.path), str(number), str(EVENTS),
             str(until if number == killed else -1)],
            env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    victim = processes[killed]
    assert victim.stdout is not None
    for line in victim.stdout:
        if int(line) == until:
            break
    os.kill(victim.pid, signal.SIGKILL)
    for process in processes:
        process.communicate(timeout=120)
    found = numbers(run)
    assert found.pop(killed) == list(range(until + 1))
    assert found == {n: list(range(EVENTS)) for n in range(PROCESSES) if n != killed}


def test_frame_that_its_process_died_in_is_the_last_of_its_own(run: JournalRun) -> None:
    for number in (0, 1):
        process = [sys.executable, "-c", STARTED, str(run.path), str(number), "3", "-1"]
        subprocess.run(
            process, env=clean_environment(), check=True, stdout=subprocess.DEVNULL, timeout=60
        )
    first, _ = sorted(run.path.glob("events-*"))
    whole = first.read_bytes()
    for length in range(0, len(whole), 97):
        first.write_bytes(whole[:length])
        found = numbers(run)
        assert found[1] == [0, 1, 2]
        assert found[0] == list(range(length * 3 // len(whole)))


def test_forked_processes_at_once(run: JournalRun) -> None:
    words = [str(run.path), str(PROCESSES), str(EVENTS)]
    subprocess.run(
        [sys.executable, "-c", FORKED, *words], env=clean_environment(), check=True, timeout=120
    )
    found = numbers(run)
    assert found.pop(-1) == [0]
    assert found == {number: list(range(EVENTS)) for number in range(PROCESSES)}
    assert len(list(run.path.glob("events-*"))) == PROCESSES + 1
