"""`git prov doctor` as a whole: looks before it mends, and goes on where a check fails."""

import errno
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitprov.doctor import examination, runs
from gitprov.doctor.examination import CHECKS, examine
from gitprov.index.history import History
from gitprov.model.ids import new_id
from gitprov.store.lock import store_lock
from gitprov.store.store import Store
from tests.support.examining import (
    begun,
    dead_process,
    findings,
    kept_pack,
    texts,
)
from tests.support.repositories import Clone
from tests.support.runs import finish, record


def content(folder: Path) -> Mapping[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_wrong_where_nothing_is(store: Store) -> None:
    record(store, 2)
    assert History(store).count() == 2
    seen = examine(store)
    assert [item.text for _, item in findings(seen) if item.state != "good"] == []
    areas = {check.area for check in CHECKS}
    assert areas - {area for area, _ in findings(seen)} <= {"remotes", "files"}


def test_a_repository_without_gitprov_is_left_as_it_is(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "bare-of-us")
    before = content(clone.path)
    seen = examine(clone.store())
    assert not texts(seen, "fault") + texts(seen, "mendable")
    assert content(clone.path) == before
    assert not (clone.path / ".git" / "prov").exists()


def test_looking_changes_nothing(clone: Clone, store: Store) -> None:
    record(store)
    finish(store)
    begun(store, **dead_process())
    kept_pack(store)
    broken = store.journal.create(new_id())
    (broken.path / "started").write_bytes(b"\xc1")
    (store.repository.prov_dir / "index.sqlite").write_bytes(b"no index" * 999)
    with store_lock(store.lock_path):
        pass
    before = content(clone.path)
    seen = examine(store)
    assert seen.count("mendable") == 5
    assert content(clone.path) == before


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "planted"), ZeroDivisionError("planted")], ids=["disk", "ours"]
)
def test_a_check_that_fails_hides_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(store: Store) -> None:
        raise error

    checks = [
        check._replace(look=broken) if check.look is runs.runs_of_the_journal else check
        for check in CHECKS
    ]
    monkeypatch.setattr(examination, "CHECKS", checks)
    kept_pack(store)
    seen = examine(store)
    assert "planted" in texts(seen, "fault")[0]
    assert texts(seen, "mendable") == ["packs: 1 pack kept from gc for a process that was killed"]
