"""Many clones push to one remote at the same moment: all runs get there, and soon."""

from pathlib import Path

import pytest

from gitprov.errors import RemoteFailed, StoreBusy
from gitprov.policy.verify import verify
from gitprov.store import sync
from gitprov.store.sync import ATTEMPTS, pull, push
from tests.support.contention import push_at_once
from tests.support.repositories import Clone
from tests.support.runs import ledger_tips, record, run_ids


@pytest.fixture
def clone(tmp_path: Path, server: Clone) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(server.path))
    return clone


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses that pushes make, which are not waited for."""
    made: list[float] = []
    monkeypatch.setattr(sync.time, "sleep", made.append)
    return made


@pytest.mark.parametrize("shard", ["", "0b"], ids=["anywhere", "one chain"])
def test_all_runs_get_there(tmp_path: Path, server: Clone, clone: Clone, shard: str) -> None:
    """`scripts/bench/sync` has the figures of forty clones."""
    done = push_at_once(tmp_path, str(server.path), clones=6, runs=2, shard=shard)
    assert run_ids(server.store()) == sorted(done.ids)
    assert len(done.ids) == 12
    if not shard:
        assert done.median_attempts <= 3
    assert pull(clone.store(), "origin").runs == 12
    assert verify(clone.store()).is_good


def test_a_lock_that_stays_is_given_up_on(server: Clone, clone: Clone, pauses: list[float]) -> None:
    record(clone.store())
    (ref,) = ledger_tips(clone.store())
    lock = server.path / f"{ref}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(StoreBusy, match="what is left goes with the next"):
        push(clone.store(), "origin")
    assert len(pauses) == ATTEMPTS - 1
    assert len(set(pauses)) == len(pauses)
    assert all(0 <= pause <= 2 for pause in pauses)
    lock.unlink()
    assert push(clone.store(), "origin").runs == 1


def test_a_refusal_is_final(server: Clone, clone: Clone, pauses: list[float]) -> None:
    record(clone.store())
    hook = server.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    done = push(clone.store(), "origin")
    assert done.attempts == 1
    assert list(done.refused.values()) == ["[remote rejected] (pre-receive hook declined)"]
    assert not pauses


def test_a_remote_that_is_away_is_not_asked_again(
    server: Clone, clone: Clone, pauses: list[float]
) -> None:
    record(clone.store())
    server.path.rename(server.path.with_name("away"))
    with pytest.raises(RemoteFailed):
        push(clone.store(), "origin")
    assert not pauses
