"""Draining behind the program's back: everything once, nothing lost, and nobody waits for ever."""

import _thread
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from gitprov.recorder import background
from gitprov.recorder.background import BackgroundDrain
from gitprov.recorder.recovery import CaughtUp, catch_up
from gitprov.store.drain import drain
from gitprov.store.lock import store_lock
from gitprov.store.store import Store
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import finish, run_ids


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


@pytest.fixture
def drains() -> BackgroundDrain:
    return BackgroundDrain()


class Work:
    """Work that waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.stores: list[Store] = []
        monkeypatch.setattr(background, "catch_up", self)

    def __call__(self, store: Store) -> CaughtUp:
        self.stores.append(store)
        self.begun.set()
        assert self.go.wait(30)
        return catch_up(store)


def test_drains_what_it_takes(clone: Clone, drains: BackgroundDrain) -> None:
    store = clone.store()
    drains.join()
    for _ in range(2):
        run = finish(store)
        drains.take(store)
        drains.join()
        assert run.id in run_ids(clone.store())
    assert store.journal.runs() == []
    assert drains.problems() == []


def test_many_threads_at_once(tmp_path: Path, drains: BackgroundDrain) -> None:
    clones = [Clone.make(tmp_path / name) for name in "ab"]
    expected: dict[Clone, list[str]] = {clone: [] for clone in clones}
    start = threading.Barrier(8)

    def record(clone: Clone) -> None:
        start.wait()
        for _ in range(3):
            store = clone.store()
            expected[clone].append(finish(store).id)
            drains.take(store)

    threads = [threading.Thread(target=record, args=(clones[number % 2],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    drains.join()
    for clone in clones:
        assert run_ids(clone.store()) == sorted(expected[clone])
    assert drains.problems() == []


def test_stores_of_one_journal_are_drained_together(
    clone: Clone, drains: BackgroundDrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    stores = [clone.store() for _ in range(4)]
    ids = []
    for store in stores:
        ids.append(finish(store).id)
        drains.take(store)
        assert work.begun.wait(30)
    work.go.set()
    drains.join()
    assert work.stores == stores[:2]
    assert run_ids(clone.store()) == sorted(ids)


def test_a_problem_is_told_once(clone: Clone, drains: BackgroundDrain) -> None:
    store = clone.store()
    run = finish(store)
    (clone.path / ".git/refs/prov").write_text("in the way\n")
    drains.take(store)
    drains.join()
    [problem] = drains.problems()
    assert str(store.journal.folder) in problem
    assert drains.problems() == []
    (clone.path / ".git/refs/prov").unlink()
    drains.take(store)
    drains.join()
    assert run_ids(clone.store()) == [run.id]


def test_a_mistake_of_ours_is_a_problem_and_ends_nothing(
    clone: Clone, drains: BackgroundDrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(_: Store) -> CaughtUp:
        raise LookupError("of ours")

    store = clone.store()
    with monkeypatch.context() as patch:
        patch.setattr(background, "catch_up", mistake)
        drains.take(store)
        drains.join()
    [problem] = drains.problems()
    assert "please report it: LookupError('of ours')" in problem
    run = finish(store)
    drains.take(store)
    drains.join()
    assert run_ids(clone.store()) == [run.id]


def test_the_caller_drains_where_no_thread_can_be_started(
    clone: Clone, drains: BackgroundDrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    store = clone.store()
    ids = []
    for _ in range(2):
        ids.append(finish(store).id)
        drains.take(store)
        assert run_ids(clone.store()) == sorted(ids)
    drains.join()


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_work_that_is_broken_off_keeps_nobody_waiting(
    clone: Clone,
    drains: BackgroundDrain,
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    def broken_off(_: Store) -> CaughtUp:
        raise fault

    store = clone.store()
    run = finish(store)
    with monkeypatch.context() as patch:
        patch.setattr(_thread, "start_new_thread", refuse)
        patch.setattr(background, "catch_up", broken_off)
        with pytest.raises(type(fault)):
            drains.take(store)
    assert drains._idle.is_set()
    drains.take(store)
    drains.join()
    assert run_ids(clone.store()) == [run.id]


def test_forked_child_begins_anew(
    clone: Clone, drains: BackgroundDrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent's thread is not there; it must not wait for it, nor drain in its place."""
    monkeypatch.setattr(background, "_LONGEST_WAIT_SECONDS", 0.1)
    work = Work(monkeypatch)
    store, ours = clone.store(), clone.store()
    first = finish(store)
    drains.take(store)
    assert work.begun.wait(30)
    drains.take(ours)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work.go.set()
            before = len(work.stores)
            drains.join()
            drains.take(clone.store())
            drains.join()
            status = 0 if len(work.stores) == before + 1 and not drains.problems() else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    work.go.set()
    drains.join()
    assert run_ids(clone.store()) == [first.id]


PROGRAM = """
import atexit, sys
import gitprov
{before}
run = gitprov.start_run()
print(run.id)
{after}
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "run.finish()"),
        ("", ""),
        ("", "run.finish(); sys.exit(3)"),
        ("", "run.finish(); raise KeyboardInterrupt"),
        ("atexit.register(lambda: run.finish())", ""),
        ("import threading", "threading.Timer(0.01, run.finish).start()"),
        (
            "from multiprocessing import get_context",
            "p = get_context('fork').Process(); run.finish(); p.start(); p.join()",
        ),
    ],
    ids=["finished", "left", "exit", "interrupt", "late", "thread", "fork"],
)  # fmt: skip
def test_the_end_of_a_program_waits_for_it(clone: Clone, before: str, after: str) -> None:
    done = clone.call(sys.executable, "-c", PROGRAM.format(before=before, after=after))
    assert "gitprov" not in done.stderr
    store = clone.store()
    assert run_ids(store) == done.stdout.split()
    assert store.journal.runs() == []


def test_the_end_of_a_program_tells_of_problems(clone: Clone) -> None:
    (clone.path / ".git/refs/prov").write_text("in the way\n")
    done = clone.call(sys.executable, "-c", PROGRAM.format(before="", after="run.finish()"))
    assert done.returncode == 0
    assert done.stderr.count("GitprovWarning: runs wait in") == 1
    [run] = clone.store().journal.runs()
    assert run.is_finished


def test_finish_waits_for_no_drain(clone: Clone) -> None:
    """Somebody holds the lock, and the program has its acknowledgement all the same."""
    store = clone.store()
    store.repository.require_writable()
    text = PROGRAM.format(before="", after="run.finish(); print('done', flush=True)")
    with store_lock(store.lock_path):
        program = subprocess.Popen(
            [sys.executable, "-c", text],
            cwd=clone.path, env=clean_environment(), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert program.stdout is not None
        run_id = program.stdout.readline().strip()
        assert program.stdout.readline() == "done\n"
        assert [run.id for run in store.journal.runs() if run.is_finished] == [run_id]
    assert program.wait(60) == 0
    program.stdout.close()
    assert run_ids(store) == [run_id]


FORK = """
import os, sys, time
import gitprov
gitprov.start_run().finish()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
if (child := os.fork()) == 0:
    sys.stdin.read()
    os._exit(0)
print(child, flush=True)
"""


def test_child_that_outlives_a_drain_keeps_nothing_of_it(clone: Clone, tmp_path: Path) -> None:
    """Forked while a git of ours is at work, it has neither the lock nor the pipe to that git."""
    begun = tmp_path / "begun"
    hook = clone.write(
        ".git/hooks/reference-transaction",
        f'#!/bin/sh\n[ "$1" != prepared ] || {{ touch {begun}; sleep 1; }}\n',
    )
    hook.chmod(0o755)
    program = subprocess.Popen(
        [sys.executable, "-c", FORK, str(begun)],
        cwd=clone.path, env=clean_environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert program.stdin is not None
    assert program.stdout is not None
    child = int(program.stdout.readline())
    assert program.wait(60) == 0
    store = clone.store()
    held = [os.readlink(path) for path in Path(f"/proc/{child}/fd").iterdir()]  # noqa: PTH115
    assert str(store.lock_path) not in held
    assert sum(name.startswith("pipe:") for name in held) == 2
    hook.unlink()
    run = finish(store)
    assert drain(store, wait=0).recorded == [run.id]
    assert len(run_ids(store)) == 2
    program.communicate(timeout=20)
