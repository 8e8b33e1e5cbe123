"""A fetch that is killed leaves locks of git's; the next one removes them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gitprov.store import git_locks
from gitprov.store.sync import pull
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import ledger_tips, record
from tests.support.servers import bare_repository


@pytest.fixture
def hub(tmp_path: Path) -> Clone:
    return Clone(bare_repository(tmp_path / "hub.git"))


@pytest.fixture
def clone(hub: Clone, tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(hub.path))
    return clone


def killed_pull(clone: Clone, where: str) -> None:
    """Pull until git is about to make the change that a pattern tells; then all of it dies."""
    end = clone.path / ".git" / "hooks" / "reference-transaction"
    end.write_text(f'#!/bin/sh\n[ $1 = prepared ] && grep -q "{where}" && kill -9 0\nexit 0\n')
    end.chmod(0o755)
    killed = subprocess.run(
        [sys.executable, "-m", "gitprov", "pull"], cwd=clone.path, env=clean_environment(),
        start_new_session=True, check=False, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    end.unlink()


def test_lock_on_all_packed_refs(clone: Clone, hub: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    record(clone.store())
    clone.prov("push")
    (ref,) = ledger_tips(clone.store())
    hub.git("update-ref", "-d", ref)
    killed_pull(clone, f" {'0' * 40} refs/prov-remote/origin/ledger/")
    left = clone.path / ".git" / "packed-refs.lock"
    assert left.exists()
    # What else is at work on this machine is not for the test to say.
    monkeypatch.setattr(git_locks, "_git_lives_since", lambda _: False)
    assert pull(clone.store(), "origin").lost
    assert not left.exists()
    assert "sent 1 run" in clone.prov("push")
