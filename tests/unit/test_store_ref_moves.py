"""Moving refs, all or none, and what a git leaves that is killed while it does."""

import os
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gitprov.errors import StoreBusy
from gitprov.store.drain import drain
from gitprov.store.git_locks import git_locks, left_moving, release_dead_locks
from gitprov.store.lock import store_lock
from gitprov.store.ref_moves import Changes, RefMoved, move_refs
from gitprov.store.refs import LEDGER, list_refs
from gitprov.store.repository import Repository
from tests.support.killed_git import killed_git, needs_strace
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import finish, run_ids

A, B = "refs/prov/ledger/2026-01/00", "refs/prov/ledger/2026-01/01"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


@pytest.fixture
def repository(clone: Clone) -> Repository:
    repository = Repository.discover(clone.path)
    repository.require_writable()
    return repository


@pytest.fixture
def commits(clone: Clone) -> list[str]:
    """Return three commits."""
    return [clone.git("commit-tree", "-m", text, "HEAD^{tree}").strip() for text in "xyz"]


def move(repository: Repository, changes: Changes, *, fsync: bool = False) -> None:
    with store_lock(repository.prov_dir / "lock") as lock:
        move_refs(repository, changes, lock=lock, fsync=fsync)


def refs(repository: Repository) -> dict[str, str]:
    return list_refs(repository.git, LEDGER)


def long_ago(*paths: Path) -> None:
    """Make files older than any process."""
    for path in paths:
        os.utime(path, (0, 0))


@pytest.mark.parametrize("fsync", [True, False])
def test_create_move_and_delete(repository: Repository, commits: list[str], *, fsync: bool) -> None:
    one, two, _ = commits
    move(repository, {A: (None, one), B: (None, two)}, fsync=fsync)
    assert refs(repository) == {A: one, B: two}
    move(repository, {A: (one, two), B: (two, None)}, fsync=fsync)
    assert refs(repository) == {A: two}
    assert not left_moving(repository)


@pytest.mark.parametrize(
    ("there", "old"), [(None, 1), (0, None), (0, 1)], ids=["absent", "present", "elsewhere"]
)
def test_ref_that_is_not_where_it_was_expected(
    repository: Repository, commits: list[str], there: int | None, old: int | None
) -> None:
    if there is not None:
        move(repository, {B: (None, commits[there])})
    before = refs(repository)
    expected = None if old is None else commits[old]
    with pytest.raises(RefMoved, match="could not move refs"):
        move(repository, {A: (None, commits[0]), B: (expected, commits[2])})
    assert refs(repository) == before
    assert not left_moving(repository)
    assert git_locks(repository) == []


def test_moved_ref_is_a_busy_store() -> None:
    assert issubclass(RefMoved, StoreBusy)


def test_ref_to_nothing_is_refused(repository: Repository, commits: list[str]) -> None:
    with pytest.raises(RefMoved):
        move(repository, {A: (None, commits[0]), B: (None, "12" * 20)})
    assert refs(repository) == {}


def test_one_of_many_racers_wins(repository: Repository, commits: list[str]) -> None:
    """Also among those who do not heed the lock."""
    winners: list[str] = []
    start = threading.Barrier(8)

    def race(number: int) -> None:
        start.wait()
        try:
            move_refs(repository, {A: (None, commits[number % 3])}, lock=None, fsync=False)
        except RefMoved:
            return
        winners.append(commits[number % 3])

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert winners == [refs(repository)[A]]


@needs_strace
@pytest.mark.parametrize(
    ("call", "number"),
    [*[("write", number) for number in range(1, 7)], ("rename", 1), ("rename", 2)],
)
def test_git_that_is_killed_blocks_nobody(
    repository: Repository,
    commits: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
) -> None:
    changes = {A: (None, commits[0]), B: (None, commits[1])}
    with monkeypatch.context() as patch:
        patch.setenv("PATH", killed_git(tmp_path / "bin", "update-ref", call, number))
        with pytest.raises(RefMoved):
            move(repository, changes)
    assert left_moving(repository)
    for left in git_locks(repository):
        if left.path.stat().st_size == 0:
            # Other tests' git may have been there before.
            long_ago(left.path, *(repository.prov_dir / "moving").iterdir())
    assert release_dead_locks(repository) == []
    moved = refs(repository)
    move(repository, {ref: (moved.get(ref), new) for ref, (_, new) in changes.items()})
    assert refs(repository) == {A: commits[0], B: commits[1]}
    assert not left_moving(repository)


@needs_strace
@pytest.mark.parametrize(
    ("call", "number"),
    [("write", 2), ("write", 3), ("write", 4), ("rename", 1), ("unlink", 1), ("unlink", 2)],
)
def test_git_that_is_killed_while_it_removes_packed_refs_blocks_nobody(
    clone: Clone,
    repository: Repository,
    commits: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
) -> None:
    """Not the user's git either, which wants to pack refs."""
    move(repository, {A: (None, commits[0]), B: (None, commits[1])})
    clone.git("pack-refs", "--all", "--prune")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", killed_git(tmp_path / "bin", "update-ref", call, number))
        with pytest.raises(RefMoved):
            move(repository, {A: (commits[0], None)})
    left = list(repository.common_dir.rglob("*.lock"))
    long_ago(*left, *(repository.prov_dir / "moving").iterdir())
    assert release_dead_locks(repository) == []
    moved = refs(repository)
    move(repository, {A: (moved.get(A), commits[2])})
    clone.git("pack-refs", "--all", "--prune")
    assert refs(repository) == {A: commits[2], B: commits[1]}
    assert not list(repository.common_dir.glob("packed-refs.*"))


PARENT = """
import sys
from pathlib import Path
from gitprov.store.drain import drain
from gitprov.store.store import Store
drain(Store.open(Path(sys.argv[1])))
"""
HOOK = """#!/bin/sh
test "$1" = {state} || exit 0
echo waiting > {there}
read word < {go}
"""


@pytest.mark.parametrize(("state", "left"), [("prepared", True), ("committed", False)])
def test_git_of_a_killed_parent_holds_the_lock_until_it_is_done(
    clone: Clone, tmp_path: Path, state: str, *, left: bool
) -> None:
    """Nobody takes its locks for dead, nor moves the refs under its feet."""
    there, go = tmp_path / "there", tmp_path / "go"
    for path in (there, go):
        os.mkfifo(path)
    hook = clone.path / ".git" / "hooks" / "reference-transaction"
    hook.write_text(HOOK.format(state=state, there=there, go=go))
    hook.chmod(0o755)
    store = clone.store()
    run = finish(store)
    arrival, leave = os.open(there, os.O_RDONLY | os.O_NONBLOCK), os.open(go, os.O_RDWR)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", PARENT, str(clone.path)], env=clean_environment()
        ) as parent:
            assert select.select([arrival], [], [], 60)[0]
            parent.kill()
        with pytest.raises(StoreBusy), store_lock(store.lock_path, timeout=0):
            pass
        assert left_moving(store.repository)
        hook.unlink()
        os.write(leave, b"go\n")
        # A git that nobody listens to any more ends before it commits.
        assert drain(store).recorded == ([run.id] if left else [])
    finally:
        os.close(arrival)
        os.close(leave)
    assert run_ids(store) == [run.id]
    assert store.journal.runs() == []
    assert git_locks(store.repository) == []
    assert not left_moving(store.repository)
