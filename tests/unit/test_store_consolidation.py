"""Consolidation: few packs however many drains, and nothing lost on the way."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitprov.policy.verify import verify
from gitprov.store import consolidation
from gitprov.store.consolidation import consolidate
from gitprov.store.drain import drain
from gitprov.store.git import Git
from gitprov.store.lock import store_lock
from gitprov.store.pack import PackBuilder
from gitprov.store.store import Store
from tests.support.repositories import Clone
from tests.support.runs import finish, record, run_ids

WIDTH = 4


class Killed(BaseException):
    """The process is gone at this point."""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a clone that does not wait for the disk."""
    clone = Clone.make(tmp_path / "clone")
    clone.git("config", "prov.fsync", "off")
    clone.git("config", "gc.auto", "0")
    return clone


@pytest.fixture
def store(clone: Clone) -> Store:
    store = clone.store()
    store.repository.require_writable()
    return store


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge four packs instead of sixteen."""
    monkeypatch.setattr(consolidation, "_WIDTH", WIDTH)


def folder(store: Store) -> Path:
    return store.repository.common_dir / "objects" / "pack"


def packs(store: Store) -> set[str]:
    """Return the names of the packs that git takes for whole."""
    return {
        path.stem.removeprefix("pack-")
        for path in folder(store).glob("*.idx")
        if path.with_suffix(".pack").exists()
    }


def listed(store: Store) -> set[str]:
    path = store.repository.prov_dir / "packs"
    return {line.split()[1] for line in path.read_text().splitlines()} if path.exists() else set()


def blob_packs(store: Store, count: int, first: int = 0) -> list[str]:
    """Write so many packs as a drain does, and return the objects in them."""
    oids = []
    for number in range(first, first + count):
        pack = PackBuilder()
        oids.append(pack.add("blob", b"number %d" % number))
        pack.write(store.repository.git, store.repository.common_dir, fsync=False).release()
    return oids


def all_there(store: Store, oids: list[str]) -> bool:
    asked = "".join(f"{oid}\n" for oid in oids).encode()
    return store.repository.git.run("cat-file", "--batch-check", stdin=asked).count(
        b" blob "
    ) == len(oids)


def sound(clone: Clone, ids: list[str]) -> None:
    """See that all is there, and that git finds no fault."""
    store = clone.store()
    assert run_ids(store) == sorted(ids)
    findings = verify(store)
    assert findings.is_good
    assert findings.counts["writers"]["checked"] == len(ids)
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


def test_hundreds_of_drains_leave_few_packs(clone: Clone, store: Store) -> None:
    loose = clone.git("count-objects").split()[0]
    ids = record(store, 280)
    assert len(packs(store)) < 40
    assert clone.git("count-objects").split()[0] == loose
    assert "garbage: 0\n" in clone.git("count-objects", "-v")
    sound(clone, ids)


@pytest.mark.usefixtures("narrow")
def test_each_object_is_written_as_often_as_there_are_classes(store: Store) -> None:
    oids = blob_packs(store, WIDTH**3)
    assert len(packs(store)) == WIDTH**3
    consolidate(store)
    [whole] = packs(store)
    assert (store.repository.prov_dir / "packs").read_text() == f"3 {whole}\n"
    assert all_there(store, oids)


def test_nothing_to_do_starts_no_git(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    blob_packs(store, 15)
    monkeypatch.setattr(Git, "call", None)
    consolidate(store)
    assert len(packs(store)) == 15


@pytest.mark.usefixtures("narrow")
def test_packs_of_the_user_are_not_touched(clone: Clone, store: Store) -> None:
    clone.git("repack", "-ad", "--quiet")
    clone.commit("second", {"new.py": "x = 1\n"})
    clone.git("repack", "-d", "--quiet")
    theirs = packs(store)
    assert len(theirs) == 2
    record(store, 2 * WIDTH)
    assert theirs < packs(store)
    assert not theirs & listed(store)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("mark", ["keep", "promisor", "mtimes"])
def test_pack_that_git_treats_otherwise_is_not_touched(store: Store, mark: str) -> None:
    """Kept by somebody, fetched with objects left out, or of what is on its way out."""
    blob_packs(store, WIDTH)
    [kept, *_] = sorted(packs(store))
    (folder(store) / f"pack-{kept}.{mark}").write_text("by hand\n")
    consolidate(store)
    assert kept in packs(store)
    blob_packs(store, WIDTH + 1, first=WIDTH)
    consolidate(store)
    assert kept in packs(store)
    assert len(packs(store)) < 2 * WIDTH


@pytest.mark.usefixtures("narrow")
def test_large_packs_are_left_to_git(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consolidation, "_LARGEST_BYTES", 100)
    oids = blob_packs(store, WIDTH)
    consolidate(store)
    assert len(packs(store)) == 1
    assert listed(store) == set()
    assert all_there(store, oids)


def lose_the_list(store: Store) -> None:
    (store.repository.prov_dir / "packs").unlink()


def damage_the_list(store: Store) -> None:
    path = store.repository.prov_dir / "packs"
    path.write_bytes(b"\xff\n0\n0 ../../etc\nx y\n99 none\n 0 0\n" + path.read_bytes())


def gather_all(store: Store) -> None:
    store.repository.git.run("gc", "--prune=now", "--quiet")


def index_all(store: Store) -> None:
    store.repository.git.run("multi-pack-index", "write")


def map_all(store: Store) -> None:
    store.repository.git.run("repack", "-adb", "--write-midx", "--quiet")


def lose_an_index(store: Store) -> None:
    """Leave what a gc leaves that is killed while it removes a pack that it has merged."""
    name = min(listed(store))
    store.repository.git.run("repack", "-a", "--quiet")
    (folder(store) / f"pack-{name}.idx").unlink()


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    "meanwhile",
    [lose_the_list, damage_the_list, gather_all, index_all, map_all, lose_an_index],
)
@pytest.mark.parametrize("before", [WIDTH - 1, 2 * WIDTH + 1])
def test_whatever_happens_meanwhile(
    clone: Clone, store: Store, meanwhile: Callable[[Store], None], before: int
) -> None:
    ids = record(store, before)
    meanwhile(store)
    ids += record(store, 4 * WIDTH)
    assert len(packs(store)) < before + 4 * WIDTH
    sound(clone, ids)
    ids += record(store, WIDTH)
    assert len(listed(store)) < 2 * WIDTH
    sound(clone, ids)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("tool", ["gc", "other"])
def test_waits_while_another_is_at_it(store: Store, tool: str) -> None:
    oids = blob_packs(store, WIDTH)
    gc = store.repository.common_dir / "gc.pid"
    if tool == "gc":
        gc.write_text("1 somewhere\n")
        consolidate(store)
        assert len(packs(store)) == WIDTH
        os.utime(gc, (time.time() - 13 * 3600,) * 2)
    else:
        with store_lock(store.repository.prov_dir / "packs-lock"):
            consolidate(store)
        assert len(packs(store)) == WIDTH
    consolidate(store)
    assert len(packs(store)) == 1
    assert all_there(store, oids)


@pytest.mark.usefixtures("narrow")
def test_git_that_fails_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = record(store, WIDTH - 1)
    original = Git.argv

    def fail(git: Git, *arguments: str, config: Any = ()) -> list[str]:
        words = ["no-such-command"] if arguments[0] == "pack-objects" else arguments
        return original(git, *words, config=config)

    with monkeypatch.context() as patch:
        patch.setattr(Git, "argv", fail)
        ids += record(store)
        assert len(packs(store)) == WIDTH
        assert listed(store) == packs(store)
    ids += record(store)
    assert len(packs(store)) == 2
    assert run_ids(store) == sorted(ids)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("step", range(1, 3 + 4 * WIDTH))
def test_killed_between_any_two_steps(
    clone: Clone, store: Store, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Steps are the list's rename and the removal of each file."""
    ids = record(store, WIDTH - 1)
    steps: list[int] = []

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, *arguments: Any, **options: Any) -> Any:
            if "pack" in path.name and path.suffix != ".keep":
                steps.append(1)
                if len(steps) == step:
                    raise Killed
            return original(path, *arguments, **options)

        return call

    ids.append(finish(store).id)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dying(Path.unlink))
        patch.setattr(Path, "replace", dying(Path.replace))
        if step < 2 + 4 * WIDTH:
            with pytest.raises(Killed):
                drain(store)
        else:
            drain(store)
    sound(clone, ids)
    ids += record(store, WIDTH)
    assert len(packs(store)) <= 2 * WIDTH
    assert len(listed(store)) < WIDTH
    sound(clone, ids)
    clone.git("gc", "--quiet", "--prune=now")
    sound(clone, ids)
