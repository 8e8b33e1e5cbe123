"""Pins: what a run has started from is there when it ends, whatever gc does meanwhile."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitprov.policy.verify import verify
from gitprov.recorder import active
from gitprov.recorder.active import ActiveRun, Request
from gitprov.store import pins
from gitprov.store.drain import drain
from gitprov.store.pins import PINS, pin, unpin, unpin_dead
from gitprov.store.refs import KEEP, list_refs
from gitprov.store.store import Store
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import finish, runs

# What a user does who is through with a branch, while a run that started from it is under way.
FORGET = """
git checkout --quiet main
git branch --quiet -D topic
git reflog expire --expire=now --all
git gc --quiet --prune=now
"""
STARTED = """
import os, sys
import gitprov
gitprov.start_run()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a clone with a branch of its own checked out."""
    clone = Clone.make(tmp_path / "clone")
    clone.git("checkout", "--quiet", "-b", "topic")
    clone.commit("second", {"new.py": "x = 1\n"})
    return clone


@pytest.fixture
def store(clone: Clone) -> Store:
    store = clone.store()
    store.repository.require_writable()
    return store


def head(clone: Clone) -> str:
    return clone.git("rev-parse", "HEAD").strip()


def pinned(clone: Clone) -> list[str]:
    return clone.git("for-each-ref", "--format=%(objectname)", PINS).split()


def held(clone: Clone) -> str:
    """Return the parents of all keep commits."""
    return clone.git("log", "--format=%P", f"--glob={KEEP}/*")


@pytest.mark.parametrize("packed", ["", "git pack-refs --all --prune\n"], ids=["loose", "packed"])
@pytest.mark.parametrize("dirty", [False, True], ids=["clean", "dirty"])
def test_commit_of_a_run_outlives_its_branch(clone: Clone, packed: str, *, dirty: bool) -> None:
    commit = head(clone)
    if dirty:
        clone.write("untracked.py", "y = 2\n")
    clone.run("sh", "-c", packed + FORGET)
    [run] = runs(clone.store())
    assert run.source is not None
    assert run.source.commit == commit
    assert run.source.dirty is dirty
    clone.git("gc", "--quiet", "--prune=now")
    assert (run.source.snapshot if dirty else commit) in held(clone)
    assert clone.git("show", f"{commit}:new.py") == "x = 1\n"
    findings = verify(clone.store())
    assert findings.is_good
    assert findings.counts["sources"] == {"checked": 1, "failed": 0, "unknown": 0}
    assert pinned(clone) == []
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


def test_pin_goes_with_the_drain(clone: Clone) -> None:
    clone.run("sh", "-c", f"test $(git for-each-ref {PINS} | wc -l) = 1")
    [run] = runs(clone.store())
    assert run.status == "completed"
    assert pinned(clone) == []


def test_run_that_dies_lets_go_once_it_is_recorded(clone: Clone) -> None:
    commit = head(clone)
    with subprocess.Popen(
        [sys.executable, "-c", STARTED], cwd=clone.path, env=clean_environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.kill()
    clone.call("sh", "-c", FORGET, check=True)
    assert pinned(clone) == [commit]
    clone.prov("log")
    assert pinned(clone) == []
    [run] = runs(clone.store())
    assert run.status == "aborted"
    assert commit in held(clone)
    clone.git("gc", "--quiet", "--prune=now")
    assert clone.git("cat-file", "-t", commit) == "commit\n"
    assert verify(clone.store()).is_good


@pytest.mark.parametrize("packed", [False, True])
def test_pins_of_no_run_go_with_a_drain(clone: Clone, store: Store, *, packed: bool) -> None:
    gone, alive = finish(store), store.journal.create("k" * 32)
    for run in (gone, alive):
        pin(store.repository, run.path, run.id, head(clone))
    assert len(pinned(clone)) == 2
    gone.retire()
    if packed:
        clone.git("pack-refs", "--all", "--prune")
    finish(store)
    drain(store)
    assert list(list_refs(store.repository.git, PINS)) == [f"{PINS}/{alive.id}"]
    alive.retire()
    finish(store)
    drain(store)
    assert pinned(clone) == []


def test_packed_pin_that_cannot_be_removed_now_holds_nothing_up(clone: Clone, store: Store) -> None:
    gone = store.journal.create("k" * 32)
    pin(store.repository, gone.path, gone.id, head(clone))
    clone.git("pack-refs", "--all", "--prune")
    gone.retire()
    lock = store.repository.common_dir / "packed-refs.lock"
    lock.touch()
    run = finish(store)
    assert drain(store).recorded == [run.id]
    assert len(pinned(clone)) == 1
    lock.unlink()
    unpin_dead(store.repository, store.journal, lock=None)
    assert pinned(clone) == []


@pytest.mark.parametrize("fault", [OSError(28, "No space left"), KeyboardInterrupt()], ids=repr)
def test_start_that_fails_leaves_none(
    clone: Clone, store: Store, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        assert pinned(clone) == [head(clone)]
        raise fault

    monkeypatch.setattr(active, "environment_of", fail)
    with pytest.raises(type(fault)):
        ActiveRun.start(store, Request(argv=["true"]), clone.path)
    assert pinned(clone) == []
    assert store.journal.runs() == []


def test_repository_without_a_commit_needs_no_pin(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "empty", commit=False)
    clone.run("true")
    assert not (clone.path / ".git" / PINS).exists()


@pytest.mark.parametrize("fsync", [True, False])
def test_git_may_pack_it_at_any_moment(
    clone: Clone, store: Store, monkeypatch: pytest.MonkeyPatch, *, fsync: bool
) -> None:
    """It removes no folder that stands right below `refs`, as ours does."""

    def packing(original: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            original(*arguments, **options)
            clone.git("pack-refs", "--all", "--prune")

        return call

    other, run = store.journal.create("k" * 32), store.journal.create("l" * 32)
    pin(store.repository, other.path, other.id, head(clone))
    monkeypatch.setattr(pins, "write_durably", packing(pins.write_durably))
    monkeypatch.setattr(Path, "replace", packing(Path.replace))
    monkeypatch.setattr(Path, "mkdir", packing(Path.mkdir))
    pin(store.repository, run.path, run.id, head(clone), fsync=fsync)
    assert pinned(clone) == [head(clone)] * 2


def test_letting_go_twice_does_no_harm(clone: Clone, store: Store) -> None:
    run = store.journal.create("k" * 32)
    pin(store.repository, run.path, run.id, head(clone), fsync=False)
    assert pinned(clone) == [head(clone)]
    for _ in range(2):
        unpin(store.repository, [run.id])
    assert pinned(clone) == []
