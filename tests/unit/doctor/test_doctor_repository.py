"""Refs, packs, index, disk and set-up: really broken, and put right or shown."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from gitprov.doctor import machine
from gitprov.doctor.examination import examine, mend
from gitprov.doctor.findings import Finding
from gitprov.index.history import History
from gitprov.model.ids import new_id
from gitprov.store.pack import PackBuilder
from gitprov.store.pins import PINS, pin
from gitprov.store.store import Store
from tests.support.examining import findings, follow, kept_pack, mended, only, texts
from tests.support.repositories import Clone
from tests.support.runs import finish, ledger_tips, record, run_ids
from tests.support.servers import bare_repository


def test_a_ref_of_ours_that_cannot_be_read(clone: Clone, store: Store) -> None:
    before = record(store, 2)
    clone.prov("push")
    before += record(store)
    ((ref, _),) = ledger_tips(store).items()
    (store.repository.common_dir / ref).write_bytes(b"")
    finish(store)
    found = [item for _, item in findings(examine(store)) if item.state == "fault"]
    assert found[0].text == f"{ref} cannot be read; it holds up what is to be recorded"
    follow(clone, found[0].advice)
    mend(store, examine(store))
    assert set(run_ids(store)) > set(before)
    assert len(run_ids(store)) == 4
    clone.prov("verify")


def test_a_ref_of_ours_that_names_nothing(clone: Clone, store: Store) -> None:
    record(store, 2)
    ((ref, tip),) = ledger_tips(store).items()
    (store.repository.common_dir / ref).write_text("1" * 40 + "\n")
    found = [item for _, item in findings(examine(store)) if item.state == "fault"]
    assert found[0].text.startswith(f"{ref} names {'1' * 40}, which is not there")
    assert found[0].advice is not None
    follow(clone, found[0].advice.replace(" && git prov pull origin", ""))
    assert ledger_tips(store) == {ref: tip}


def test_a_ref_of_a_remote_that_cannot_be_read(clone: Clone, store: Store) -> None:
    record(store)
    History(store).count()
    clone.prov("push")
    (path,) = (clone.path / ".git" / "refs" / "prov-remote").rglob("0?")
    path.write_bytes(b"")
    assert mended(store) == "1 ref of remotes forgotten; next: git prov pull"
    clone.prov("pull")
    assert path.read_text().strip() in ledger_tips(store).values()


def test_a_pin_of_a_run_that_is_no_more(clone: Clone, store: Store, tmp_path: Path) -> None:
    pin(store.repository, tmp_path, new_id(), clone.git("rev-parse", "HEAD").strip())
    assert mended(store) == "commits that no run needs any more were let go"
    assert not clone.git("for-each-ref", PINS)


def test_a_packed_pin_that_a_lock_of_git_holds_on_to(
    clone: Clone, store: Store, tmp_path: Path
) -> None:
    pin(store.repository, tmp_path, new_id(), clone.git("rev-parse", "HEAD").strip())
    clone.git("pack-refs", "--all")
    lock = store.repository.common_dir / "packed-refs.lock"
    lock.touch()
    assert "are still held" in only(mend(store, examine(store)), "fault").text
    lock.unlink()
    assert mended(store) == "commits that no run needs any more were let go"


def test_what_was_fetched_is_taken_in(clone: Clone, store: Store, tmp_path: Path) -> None:
    other = Clone.of(str(tmp_path / "remote.git"), tmp_path / "other")
    record(other.store(), 3)
    other.prov("push")
    clone.git("fetch", "--quiet")
    seen = examine(store)
    assert texts(seen, "mendable") == ["remotes: 1 fetched chain not taken in yet"]
    assert texts(mend(store, seen), "mended") == ["remotes: 3 runs taken in"]


def test_a_chain_that_breaks_the_format_stays_a_fault(clone: Clone, store: Store) -> None:
    ref = "refs/prov-remote/origin/ledger/2026-01/00"
    clone.git("update-ref", ref, clone.git("rev-parse", "HEAD").strip())
    assert "is not taken in" in only(mend(store, examine(store)), "fault").text
    assert "a chain of origin breaks the format" in only(examine(store), "fault").text


def test_a_pack_that_is_kept_for_nobody(store: Store) -> None:
    kept_pack(store)
    assert mended(store) == "packs of killed processes are left to gc"
    assert not list(store.repository.common_dir.rglob("*.keep"))


def test_packs_that_are_due_to_be_merged(store: Store) -> None:
    for number in range(17):
        pack = PackBuilder()
        pack.add("blob", b"%d" % number)
        pack.write(store.repository.git, store.repository.common_dir).release()
    assert mended(store) == "packs merged"


@pytest.mark.parametrize("damage", ["garbage", "header", "cut"])
def test_a_damaged_index_is_made_again(store: Store, damage: str) -> None:
    record(store, 2)
    History(store).count()
    path = store.repository.prov_dir / "index.sqlite"
    data = path.read_bytes()
    path.write_bytes(
        {
            "garbage": data[:200] + os.urandom(len(data) - 200),
            "header": b"no index" * 999,
            "cut": data[: len(data) // 2],
        }[damage]
    )
    assert mended(store) == "made again from the ledger, 2 runs"


def test_an_index_that_is_behind_is_made_level(store: Store) -> None:
    record(store)
    History(store).count()
    record(store)
    assert mended(store) == "level with the ledger, 2 runs"


def test_an_index_that_is_in_use_is_not_damaged(store: Store) -> None:
    record(store)
    History(store).count()
    connection = sqlite3.connect(store.repository.prov_dir / "index.sqlite", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    assert not texts(examine(store), "mendable")
    connection.close()


def test_temporary_files_go_after_a_week(store: Store) -> None:
    prov = store.repository.prov_dir
    (prov / "journal").mkdir(exist_ok=True)
    names = (".chain.1.tmp", "lock-owner.1.abcd", "journal/.now-1-abcd", ".bundle")
    (prov / ".bundle" / "objects").mkdir(parents=True)
    for name in names:
        (prov / name).touch()
    assert not texts(examine(store), "mendable")
    for name in names:
        os.utime(prov / name, (0, 0))
    assert mended(store) == "4 temporary files removed"
    assert not [name for name in names if (prov / name).exists()]


def test_a_disk_that_is_nearly_full(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_LITTLE_BYTES", shutil.disk_usage("/").total * 1000)
    assert "there may be no room" in only(examine(store), "fault").text


def test_settings_that_are_worth_knowing(clone: Clone) -> None:
    clone.git("config", "prov.fsync", "off")
    found = only(examine(clone.store()), "note")
    assert "prov.fsync is off" in found.text
    follow(clone, found.advice)
    assert not texts(examine(clone.store()), "note")


def test_a_ledger_from_the_future(clone: Clone, store: Store) -> None:
    future = clone.git("commit-tree", "HEAD^{tree}", GIT_COMMITTER_DATE="2099-01-01T00:00:00Z")
    clone.git("update-ref", "refs/prov/ledger/2099-01/00", future.strip())
    assert any("a clock was wrong" in text for text in texts(examine(store), "note"))


def test_hooks_that_cannot_start_gitprov(clone: Clone) -> None:
    clone.git("config", "prov.program", "/nowhere/git-prov")
    found = only(examine(clone.store()), "fault")
    follow(clone, found.advice)
    assert not texts(examine(clone.store()), "fault")


def test_a_clone_that_is_set_up_in_part(clone: Clone) -> None:
    clone.git("remote", "add", "second", "https://example.org/second.git")
    (clone.path / ".git" / "hooks" / "pre-push").chmod(0o644)
    found = only(examine(clone.store()), "note")
    assert "set up: hook pre-push is not executable; remote.second.fetch lacks" in found.text


def test_a_user_that_git_does_not_know(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"):
        monkeypatch.delenv(name)
    assert only(examine(store), "note").advice == "git config user.name NAME"


def test_a_host(tmp_path: Path) -> None:
    host = Clone(bare_repository(tmp_path / "host.git"))

    def set_up() -> Finding:
        (found,) = (
            item
            for area, item in findings(examine(host.store()))
            if (area == "set-up" and "push" in item.text) or "hook" in item.text
        )
        return found

    found = set_up()
    assert (found.state, found.text) == (
        "note",
        "pushes are not checked: hook pre-receive is not there",
    )
    follow(host, found.advice)
    assert (set_up().state, set_up().text) == ("good", "pushes are checked")
    host.git("config", "prov.receive", "off")
    assert set_up().text == "pushes are not checked: prov.receive is off"
    follow(host, set_up().advice)
    host.git("config", "prov.program", str(tmp_path / "gone"))
    assert set_up().state == "fault"
    follow(host, set_up().advice)
    assert set_up().state == "good"
