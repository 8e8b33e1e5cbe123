"""Many processes record at once, beside a gc that prunes without pause."""

import subprocess
import sys
import threading
from pathlib import Path

from gitprov.policy.verify import verify
from tests.support.beside_gc import Crowd, record_beside_gc
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import run_ids, runs

PROCESSES, RUNS = 16, 5

# Below the command line, which would spend its time on start-up.
PROGRAM = """
import sys
from pathlib import Path
from gitprov.store.drain import drain
from gitprov.store.store import Store
from tests.support.runs import finish
store = Store.open(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    lock = {"uv.lock": b"version = %d" % (number % 2)}
    print(finish(store, environment=lock).id, flush=True)
    drain(store)
"""


def test_parallel_runs_beside_gc(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone")
    (clone.path / ".git" / "prov").mkdir()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(clone.path), str(RUNS)],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    done = threading.Event()
    collections = []

    def collect() -> None:
        while not done.is_set():
            clone.git("gc", "--prune=now", "--quiet")
            collections.append(1)

    gc = threading.Thread(target=collect)
    gc.start()
    acknowledged: list[str] = []
    try:
        for worker in workers:
            output, errors = worker.communicate(timeout=120)
            assert errors == "", errors.splitlines()[-1]
            assert worker.returncode == 0
            acknowledged += output.split()
    finally:
        for worker in workers:
            worker.kill()
        done.set()
        gc.join(120)
    assert collections
    store = clone.store()
    assert len(acknowledged) == PROCESSES * RUNS
    assert run_ids(store) == sorted(acknowledged)
    assert store.journal.runs() == []
    places = sorted(run.writer.sequence for run in runs(store) if run.writer)
    assert places == list(range(1, PROCESSES * RUNS + 1))
    clone.git("gc", "--prune=now", "--quiet")
    findings = verify(store)
    assert findings.is_good
    assert findings.total("unknown") == 0
    assert clone.git("fsck", "--strict", "--no-dangling") == ""
    assert not list((clone.path / ".git" / "objects" / "pack").glob("*.keep"))


def test_crowd_beside_gc(tmp_path: Path) -> None:
    """The short form of a part of `scripts/torture`."""
    outcome = record_beside_gc(Crowd(processes=64, runs=3), tmp_path / "clone")
    assert outcome.tried == 192
    assert outcome.lost == []
    assert outcome.wrong == []


def test_parallel_commands(tmp_path: Path) -> None:
    """The whole command, a few at once: each is recorded, none disturbs another."""
    clone = Clone.make(tmp_path / "clone")
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "gitprov", "run", "--quiet", "-t", f"number-{number}", "--",
             "sh", "-c", f"exit {number}"],
            cwd=clone.path, env=clean_environment(), stderr=subprocess.PIPE, text=True,
        )
        for number in range(8)
    ]  # fmt: skip
    outcomes = [(command.communicate(timeout=120)[1], command.returncode) for command in commands]
    assert outcomes == [("", number) for number in range(8)]
    found = {run.tags: run.exit_code for run in runs(clone.store())}
    assert found == {(f"number-{number}",): number for number in range(8)}
    assert clone.prov_call("verify").returncode == 0
