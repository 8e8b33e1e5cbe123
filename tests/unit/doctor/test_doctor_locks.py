"""Locks: the dead ones go, the others are shown. No process is harmed."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from gitprov.cli import run
from gitprov.codec import canonical
from gitprov.doctor import examination, locks
from gitprov.doctor.examination import examine, mend
from gitprov.doctor.processes import lock_holders
from gitprov.index.history import History
from gitprov.store.liveness import current_process
from gitprov.store.lock import store_lock
from gitprov.store.pins import PINS
from gitprov.store.ref_moves import RefMoved, move_refs
from gitprov.store.store import Store
from tests.support.examining import (
    dead_process,
    follow,
    mended,
    only,
    texts,
)
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import finish, ledger_tips, record

HOLDER = """
import subprocess, sys
from pathlib import Path
from gitprov.store.lock import store_lock
with store_lock(Path(sys.argv[1])) as held:
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(held,))
    print(child.pid, flush=True)
    sys.stdin.read()
    child.communicate()
"""


def test_a_holder_of_the_lock_is_named_and_not_disturbed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "_PATIENCE_SECONDS", 0.1)
    finish(store)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.lock_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        assert set(lock_holders(store.lock_path)) == {holder.pid, child}
        seen = examine(store)
        assert seen.busy
        held = [text for text in texts(seen, "note") if "held by process" in text]
        assert any(f"process {child} (cat) for " in text for text in held)
        assert any(f"process {holder.pid} (" in text for text in held)
        done = mend(store, seen)
        assert "nothing is mended" in only(done, "fault").text
        assert store.journal.runs()
    finally:
        holder.communicate(timeout=20)
    assert lock_holders(store.lock_path) == []
    assert "1 finished run recorded" in str(mend(store, examine(store)).found)


@pytest.mark.parametrize("dry_run", [True, False])
def test_while_the_lock_is_held_not_all_is_called_well(
    store: Store,
    clone: Clone,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    dry_run: bool,
) -> None:
    monkeypatch.setattr(examination, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.chdir(clone.path)
    record(store)
    History(store).count()
    words = ["doctor", "--dry-run"] if dry_run else ["doctor"]
    with store_lock(store.lock_path):
        assert run(words) == 0
    said = capsys.readouterr().out
    assert said.endswith("another process is at work: not all was looked at; try again\n")
    assert run(words) == 0
    assert capsys.readouterr().out.endswith("all is well\n")


def test_a_lock_of_git_that_was_killed(clone: Clone, store: Store) -> None:
    """Git dies between locking our ref and moving it, as from `kill -9`."""
    record(store)
    History(store).count()
    source = clone.commit("more")
    hook = clone.path / ".git" / "hooks" / "reference-transaction"
    hook.write_text('#!/bin/sh\n[ "$1" != prepared ] || kill -9 $PPID\n')
    hook.chmod(0o755)
    ((ref, tip),) = ledger_tips(store).items()
    with store_lock(store.lock_path) as lock, pytest.raises(RefMoved):
        move_refs(store.repository, {ref: (tip, source)}, lock=lock)
    hook.unlink()
    locked = store.repository.common_dir / f"{ref}.lock"
    assert locked.exists()
    assert mended(store) == "1 dead lock on refs removed"
    assert not locked.exists()
    record(store)


def test_a_lock_that_may_be_anybodys_is_shown_and_left(
    clone: Clone, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store)
    History(store).count()
    (ref,) = ledger_tips(store)
    locked = store.repository.common_dir / f"{ref}.lock"
    locked.touch()
    assert "some git is at work" in only(examine(store), "note").text
    monkeypatch.setattr(locks, "_BRIEF_SECONDS", -1)
    seen = examine(store)
    found = only(seen, "fault")
    mend(store, seen)
    assert locked.exists()
    follow(clone, found.advice)
    assert not locked.exists()


@pytest.mark.parametrize("name", ["packed-refs", "config", f"{PINS}/kkkk"])
def test_old_locks_elsewhere_are_shown_and_left(clone: Clone, store: Store, name: str) -> None:
    path = store.repository.common_dir / f"{name}.lock"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert not texts(examine(store), "fault")
    os.utime(path, (0, 0))
    seen = examine(store)
    found = only(seen, "fault")
    mend(store, seen)
    assert path.exists()
    follow(clone, found.advice)
    assert not path.exists()


def test_the_file_of_a_dead_owner_of_the_lock(store: Store) -> None:
    path = store.repository.prov_dir / "lock-owner"
    path.write_bytes(canonical.encode(dead_process()))
    assert mended(store) == "the lock of a process that is gone was removed"
    path.write_bytes(canonical.encode({**current_process(), "pid": 1, "boot": "another"}))
    assert not texts(examine(store), "mendable")
    path.write_bytes(b"\xc1")
    assert only(examine(store), "fault").advice == "if no gitprov is running, remove it"


def test_a_filesystem_without_locks_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    record(store)
    monkeypatch.setattr(fcntl, "flock", no_flock)
    assert any("the filesystem has no locks" in text for text in texts(examine(store), "note"))
