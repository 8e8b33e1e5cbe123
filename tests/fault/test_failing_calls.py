"""Each call by which the store reaches the world fails in turn, and no acknowledged run is lost."""

import shutil
import time
from itertools import count
from pathlib import Path

import pytest

from gitprov.errors import GitprovError
from gitprov.index.history import History
from gitprov.policy.verify import verify
from gitprov.recorder.active import ActiveRun, Request
from gitprov.recorder.assembly import Ending
from gitprov.recorder.recovery import catch_up
from gitprov.store.drain import drain
from gitprov.store.git_locks import git_locks
from gitprov.store.store import Store
from tests.support.failing_store import Fault, failing
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import run_ids


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def prepared(tmp_path: Path) -> Clone:
    """Return a clone with a run in its ledger, one in its journal, and work not committed."""
    clone = Clone.make(tmp_path / "prepared")
    shutil.rmtree(clone.path / ".git" / "hooks")
    record(clone.store(), clone)
    drain(clone.store())
    record(clone.store(), clone)
    clone.write("train.py", "print('changed')\n")
    return clone


def record(store: Store, clone: Clone) -> str:
    """Record a run and return its id once it is acknowledged."""
    run = ActiveRun.start(store, Request(argv=["true"], inputs=["train.py"]), clone.path)
    run.contribution.add_metrics({"loss": 0.5}, None)
    run.finish(Ending(status="completed", ended_ns=time.time_ns()))
    return run.id


def go_through(clone: Clone, acknowledged: list[str], words: list[str]) -> None:
    """Record, drain and read, as far as it goes; note what was acknowledged and what was said."""
    store = clone.store()
    try:
        acknowledged.append(record(store, clone))
        drain(store)
        list(History(store).runs())
    except (GitprovError, OSError) as error:
        words.append(str(error))
        words += catch_up(store).problems
    finally:
        store.close()


def meet(clone: Clone, fault: Fault, before: list[str]) -> None:
    """Let a fault strike, then see that all is there and all works."""
    acknowledged, words = list(before), list[str]()
    with failing(clone.path / ".git", fault):
        go_through(clone, acknowledged, words)
    assert all(word and "a fault in gitprov" not in word for word in words), words
    store = clone.store()
    try:
        acknowledged.append(record(store, clone))
        problems = catch_up(store).problems
        assert not problems, problems
        recorded = run_ids(store)
        assert set(acknowledged) <= set(recorded)
        assert len(recorded) == len(set(recorded))
        assert {decoded.record.id for decoded in History(store).runs()} == set(recorded)
        assert not [run.id for run in store.journal.runs() if run.is_finished]
        assert git_locks(store.repository) == []
        assert not list((clone.path / ".git/objects/pack").glob("*.keep"))
        findings = verify(store)
        assert findings.is_good, findings.reasons
        assert findings.counts["writers"]["checked"] == len(recorded)
    finally:
        store.close()


@pytest.mark.parametrize(
    ("late", "lasts", "step"),
    [(False, False, 1), (True, False, 3), (False, True, 3)],
    ids=["once", "late", "lasts"],
)
def test_each_call_fails_in_turn(
    prepared: Clone, tmp_path: Path, step: int, *, late: bool, lasts: bool
) -> None:
    [waiting] = [run.id for run in prepared.store().journal.runs()]
    before = [*run_ids(prepared.store()), waiting]
    writer = (prepared.path / ".git/prov/writer").read_text().split()[0]
    clone = Clone(tmp_path / "clone")
    for number in count(1, step):
        shutil.copytree(prepared.path, clone.path)
        folder = clone.path / ".git/prov"
        (folder / "writer").write_text(f"{writer} {folder.stat().st_ino}\n")
        fault = Fault(at=number, late=late, lasts=lasts)
        try:
            meet(clone, fault, before)
        except BaseException as error:
            error.add_note(f"call {number}: {fault.hit}")
            raise
        shutil.rmtree(clone.path)
        if fault.hit is None:
            break
    assert number > 50
