"""What `git prov doctor` says of runs, whoever owns them, and does for them."""

import os

import pytest

from gitprov.doctor.examination import examine, mend
from gitprov.doctor.findings import State
from gitprov.model.ids import new_id
from gitprov.store.rejected import set_aside
from gitprov.store.store import Store
from tests.support.examining import begun, dead_process, findings, follow, only, texts
from tests.support.repositories import Clone
from tests.support.runs import STARTED_NS, finish, manifest, run_ids


def test_runs_that_wait_and_runs_whose_process_died(store: Store) -> None:
    waiting, dead = finish(store), begun(store, **dead_process())
    seen = examine(store)
    assert len(texts(seen, "mendable")) == 2
    done = mend(store, seen)
    assert f"recorded as aborted, because the process died: {dead.id[:8]}" in str(done.found)
    assert "1 finished run recorded" in str(done.found)
    assert run_ids(store) == sorted([waiting.id, dead.id])
    assert examine(store).count("mendable") == 0


def test_a_run_under_way_is_shown_and_left_alone(store: Store) -> None:
    journal = store.journal.create(new_id())
    journal.begin({"manifest": manifest(journal.id)})
    seen = examine(store)
    found = only(seen, "note")
    assert f"run {journal.id[:8]} (true) is under way: process {os.getpid()} of this" in found.text
    assert not findings(mend(store, seen))
    assert journal.path.exists()


@pytest.mark.parametrize(
    ("seconds", "state", "words"),
    [
        (1, "note", "process 7 on elsewhere"),
        (1000, "note", "counts as dead after 1h00m"),
        (7200, "mendable", "is gone"),
    ],
)
def test_a_run_on_another_machine(store: Store, seconds: int, state: State, words: str) -> None:
    journal = begun(store, host="elsewhere", boot="another", pid=7, local=False)
    now = (journal.path / "started").stat().st_mtime
    for path in journal.path.iterdir():
        os.utime(path, (now - seconds, now - seconds))
    found = only(examine(store), state)
    assert words in found.text


def test_a_run_on_another_machine_that_alone_can_tell(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitprov.store.liveness.is_local", lambda _: False)
    journal = begun(store, host="elsewhere", boot="another", pid=7, local=True)
    for path in journal.path.iterdir():
        os.utime(path, (0, 0))
    found = [item for _, item in findings(examine(store)) if "elsewhere" in item.text]
    assert found[0].advice == (
        "its machine alone can tell whether it lives; there: git prov doctor"
    )


def test_a_run_whose_owner_cannot_be_known(clone: Clone, store: Store) -> None:
    journal = begun(store, boot="")
    found = only(examine(store), "note")
    assert "cannot be told from a dead one" in found.text
    follow(clone, found.advice)
    assert not journal.path.exists()
    assert "none wait" in str(examine(store).found)


def test_a_folder_without_a_run(store: Store) -> None:
    journal = store.journal.create(new_id())
    assert "has not begun" in only(examine(store), "note").text
    os.utime(journal.path, (0, 0))
    mend(store, examine(store))
    assert not journal.path.exists()


def test_a_damaged_run_is_set_aside_and_stays_a_fault(clone: Clone, store: Store) -> None:
    journal = store.journal.create(new_id())
    (journal.path / "started").write_bytes(b"\xc1")
    seen = examine(store)
    assert "cannot be read" in only(seen, "mendable").text
    assert "was set aside" in only(mend(store, seen), "fault").text
    found = only(examine(store), "fault")
    assert "started is damaged" in found.text
    assert str(store.repository.prov_dir / "rejected" / journal.id) in (found.advice or "")


def test_a_run_set_aside_that_can_be_recorded_after_all(clone: Clone, store: Store) -> None:
    journal = finish(store)
    set_aside(store.repository, journal)
    follow(clone, only(examine(store), "fault").advice)
    assert "1 finished run recorded" in str(mend(store, examine(store)).found)
    assert run_ids(store) == [journal.id]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "does not say that it is run.1"),
        ({"manifest": manifest("k" * 32)}, "another name"),
        ({"manifest": {**manifest("k" * 32), "ended_ns": STARTED_NS - 1}}, "no span of time"),
    ],
)
def test_why_a_run_was_set_aside(store: Store, document: dict[str, object], words: str) -> None:
    journal = store.journal.create(new_id())
    journal.finish(document)
    set_aside(store.repository, journal)
    assert words in only(examine(store), "fault").text
