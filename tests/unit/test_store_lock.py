"""The lock: one at a time, and never held by the dead."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitprov.errors import StoreBusy
from gitprov.store.lock import store_lock
from tests.support.repositories import clean_environment

HOLDER = """
import sys, time
from pathlib import Path
from gitprov.store.lock import store_lock
with store_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_is_free_again_after_the_block(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for _ in range(2):
        with store_lock(path, timeout=0):
            assert path.exists()


def test_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), store_lock(tmp_path / "lock", timeout=0):
        raise KeyError
    with store_lock(tmp_path / "lock", timeout=0):
        pass


def test_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = hold(path)
    try:
        with pytest.raises(StoreBusy), store_lock(path, timeout=0):
            pass
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate(timeout=20)
    with store_lock(path, timeout=5):
        assert path.exists()


def test_child_of_the_holder_does_not_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with store_lock(path, timeout=0):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with store_lock(path, timeout=0):
        child.communicate(b"\n", timeout=20)


def test_waiting_ends_with_a_message_that_helps(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    begun = time.monotonic()
    with store_lock(path), pytest.raises(StoreBusy) as failure, store_lock(path, timeout=0.2):
        pass
    assert 0.2 <= time.monotonic() - begun < 10
    assert str(path) in str(failure.value)
    assert "fuser" in str(failure.value)
    assert "\n" not in str(failure.value)


def _add_one(folder: Path) -> None:
    for _ in range(50):
        with store_lock(folder / "lock"):
            path = folder / "number"
            path.write_text(str(int(path.read_text()) + 1))


def test_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_one, args=(tmp_path,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert (tmp_path / "number").read_text() == "200"
