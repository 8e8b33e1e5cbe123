"""Chains that `git fetch --depth` has cut: whole again, where what is hidden is here."""

import os
import time
from pathlib import Path

import pytest

from gitprov.store import shallow
from gitprov.store.shallow import cut_chains, mend_cuts
from gitprov.store.store import Store
from tests.support.repositories import Clone
from tests.support.runs import ledger_tips, record, run_ids


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.commit("second")
    return clone


@pytest.fixture
def store(clone: Clone) -> Store:
    """Return a store with three runs, of which one shows: the chain is cut at its tip."""
    store = clone.store()
    record(store, 3)
    cut(clone, tip(store))
    assert len(run_ids(store)) == 1
    return store


def tip(store: Store) -> str:
    (oid,) = ledger_tips(store).values()
    return oid


def before(clone: Clone, oid: str) -> str:
    """Return the parent of a commit, whatever git takes for cut."""
    return clone.git("cat-file", "commit", oid).split("\nparent ")[1].split()[0]


def cut(clone: Clone, *oids: str) -> Path:
    path = clone.path / ".git" / "shallow"
    path.write_text("".join(f"{oid}\n" for oid in sorted(oids)))
    return path


def test_what_is_here_shows_again(clone: Clone, store: Store) -> None:
    mend_cuts(store)
    assert len(run_ids(store)) == 3
    assert not (clone.path / ".git" / "shallow").exists()
    assert clone.git("rev-parse", "--is-shallow-repository").strip() == "false"
    mend_cuts(store)


def test_a_chain_that_is_cut_more_than_once(clone: Clone, store: Store) -> None:
    path = cut(clone, tip(store), before(clone, tip(store)))
    mend_cuts(store)
    assert len(run_ids(store)) == 3
    assert not path.exists()


def test_what_the_user_has_cut_stays_cut(clone: Clone, store: Store) -> None:
    head = clone.git("rev-parse", "HEAD").strip()
    path = cut(clone, head, tip(store))
    assert list(cut_chains(store)) == [tip(store)]
    mend_cuts(store)
    assert path.read_text() == f"{head}\n"
    assert clone.git("rev-list", "--count", "HEAD").strip() == "1"
    assert len(run_ids(store)) == 3


def test_what_is_gone_stays_cut(clone: Clone, store: Store) -> None:
    clone.git("gc", "--prune=now", "--quiet")
    mend_cuts(clone.store())
    assert len(run_ids(clone.store())) == 1
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


def test_what_is_here_in_part_stays_cut(clone: Clone, store: Store) -> None:
    """Else git would stumble over what is missing further down."""
    second = before(clone, tip(store))
    clone.git("update-ref", "refs/heads/held", second)
    path = cut(clone, tip(store), second)
    clone.git("gc", "--prune=now", "--quiet")
    assert path.read_text().split() == sorted([tip(store), second])
    mend_cuts(clone.store())
    assert path.read_text() == f"{second}\n"
    assert len(run_ids(clone.store())) == 2
    cut(clone, tip(store))
    mend_cuts(clone.store())
    assert path.read_text() == f"{tip(store)}\n"


def test_nothing_is_done_while_a_git_is_about_to(clone: Clone, store: Store) -> None:
    lock = clone.path / ".git" / "shallow.lock"
    lock.touch()
    mend_cuts(store)
    assert lock.exists()
    assert len(run_ids(store)) == 1
    lock.unlink()
    mend_cuts(store)
    assert len(run_ids(store)) == 3


def test_death_at_it_blocks_nobody(
    clone: Clone, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    head = clone.git("rev-parse", "HEAD").strip()
    cut(clone, head, tip(store))
    with monkeypatch.context() as patch:
        patch.setattr(shallow, "write_durably", killed)
        with pytest.raises(Killed):
            mend_cuts(store)
    lock = clone.path / ".git" / "shallow.lock"
    old = time.time() - 60
    os.utime(lock, (old, old))
    for announced in (clone.path / ".git/prov/moving").iterdir():
        os.utime(announced, (old - 1, old - 1))
    record(store)
    assert not lock.exists()
    mend_cuts(store)
    assert len(run_ids(store)) == 4
