"""The index: level with the ledger whatever happened to it, and the same in whatever order."""

from pathlib import Path

import pytest

from gitprov.codec import canonical
from gitprov.errors import UnknownRun
from gitprov.index.history import History
from gitprov.model.ids import new_id
from gitprov.store.store import Store
from tests.support.chains import entry
from tests.support.repositories import Clone
from tests.support.runs import manifest, record, run_ids

REFS = ("refs/prov/ledger/2026-01/05", "refs/prov/ledger/2026-01/06")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


def listed(store: Store) -> list[str]:
    return sorted(run.record.id for run in History(store).runs())


def test_history_that_was_cut_off_is_taken_in_once_it_is_there(
    clone: Clone, tmp_path: Path
) -> None:
    """The tips are the same before and after: git says in another file what they reach."""
    record(clone.store(), 5)
    shallow = Clone.make(tmp_path / "shallow")
    fetch = ("fetch", "--quiet", f"file://{clone.path}", "refs/prov/ledger/*:refs/prov/ledger/*")
    shallow.git(*fetch, "--depth=2")
    store = shallow.store()
    assert len(listed(store)) == 2
    shallow.git(*fetch, "--depth=4")
    assert len(listed(store)) == 4
    shallow.git(*fetch, "--unshallow")
    assert listed(store) == run_ids(clone.store())
    shallow.git(*fetch, "--depth=3")
    assert len(listed(store)) == 3


def two_records_with_one_id(store: Store) -> tuple[list[str], list[str]]:
    """Return two entries that hold records with the same id, and what each says."""
    run_id = new_id()
    messages = ["the first", "the second"]
    records = [canonical.encode(manifest(run_id, message=text)) for text in messages]
    return [entry(store, {run_id: {"run.1.msgpack": data}}) for data in records], messages


def shown(store: Store) -> list[str]:
    return [run.record.message for run in History(store).runs()]


def test_one_of_two_is_shown_whatever_the_order(clone: Clone) -> None:
    store = clone.store()
    git = store.repository.git
    store.repository.require_writable()
    tips, messages = two_records_with_one_id(store)
    seen = set()
    for first, second in (tips, tips[::-1]):
        for one_by_one in (True, False):
            (store.repository.prov_dir / "index.sqlite").unlink(missing_ok=True)
            git.run("update-ref", REFS[0], first)
            if one_by_one:
                assert shown(store) == [messages[tips.index(first)]]
            git.run("update-ref", REFS[1], second)
            seen |= {*shown(store)}
            assert len(shown(store)) == 1
            for ref in REFS:
                git.run("update-ref", "-d", ref)
    assert len(seen) == 1


@pytest.mark.parametrize("gone", [0, 1])
def test_the_other_one_is_shown_when_one_is_gone(clone: Clone, gone: int) -> None:
    store = clone.store()
    tips, messages = two_records_with_one_id(store)
    for ref, tip in zip(REFS, tips, strict=True):
        store.repository.git.run("update-ref", ref, tip)
    store.repository.require_writable()
    assert len(shown(store)) == 1
    store.repository.git.run("update-ref", "-d", REFS[gone])
    assert shown(store) == [messages[1 - gone]]


def test_names_of_git_come_before_names_of_runs(clone: Clone) -> None:
    """Who names a run must not be able to stand in for a commit, branch or tag."""
    store = clone.store()
    head = clone.git("rev-parse", "HEAD").strip()
    clone.git("tag", "v1")
    (made,) = record(store, source={"commit": head, "object_format": "sha1"})
    names = ["HEAD", "main", "v1", head, head[:10], "refs/heads/main"]
    for name in names:
        record(store, name=name)
    history = History(store)
    assert [history.find(name).record.id for name in names] == [made] * len(names)


def test_name_that_git_does_not_know(clone: Clone) -> None:
    store = clone.store()
    ids = record(store, 2, name="keen-dune")
    assert History(store).find("keen-dune").record.id in ids
    clone.git("branch", "keen-dune")
    with pytest.raises(UnknownRun, match="no run was made from keen-dune"):
        History(store).find("keen-dune")


def test_a_record_that_nobody_can_read_does_not_hide_the_others(clone: Clone) -> None:
    store = clone.store()
    record(store, 2)
    run_id = new_id()
    bad = canonical.encode(manifest(run_id, status="unheard of"))
    oid = entry(store, {run_id: {"run.1.msgpack": bad}})
    clone.git("update-ref", REFS[0], oid)
    history = History(store)
    assert len(list(history.runs())) == 2
    assert history.unreadable() == 1
    result = clone.prov_call("log", "--oneline")
    assert result.returncode == 0
    assert "1 record cannot be read; see: git prov verify" in result.stderr
    clone.git("update-ref", "-d", REFS[0])
    assert History(store).unreadable() == 0
