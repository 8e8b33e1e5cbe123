"""Rewritten commits on their way into the ledger."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gitprov.codec.records import decode_record
from gitprov.model.ids import new_id
from gitprov.model.rewrite import REWRITE_SCHEMA, Replacement, Rewrite
from gitprov.policy.verify import verify
from gitprov.recorder import rewriting
from gitprov.recorder.recovery import catch_up
from gitprov.recorder.rewriting import record_map, record_rewrites
from gitprov.store.drain import drain
from gitprov.store.rewrites import settle
from gitprov.store.store import Store
from tests.support.repositories import Clone
from tests.support.runs import entries, finish, manifest, record, records

SOURCE, NEW, NEWER, OTHER = (letter * 40 for letter in "abcd")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Clone.make(tmp_path / "repo").store()


def wait(store: Store, *pairs: tuple[str, str], how: str = "amend") -> Path:
    """Leave a file as the hook does."""
    folder = store.repository.prov_dir / "rewrites"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{new_id()}.pairs"
    path.write_text("".join((f"{how}\n", *(f"{old} {new}\n" for old, new in pairs))))
    return path


def recorded(store: Store) -> list[Rewrite]:
    return [
        decode_record(found.schema, found.data).record
        for found in records(store)
        if found.schema == REWRITE_SCHEMA
    ]


def commits(store: Store) -> list[tuple[str, list[tuple[str, str | None]]]]:
    found = recorded(store)
    return [(each.how, [(pair.old, pair.new) for pair in each.commits]) for each in found]


def good(store: Store) -> bool:
    findings = verify(store)
    return findings.is_good and findings.total("failed") == 0


def replacements(*pairs: tuple[str, str | None]) -> Sequence[Replacement]:
    return [Replacement(old=old, new=new) for old, new in pairs]


def test_what_concerns_runs(store: Store) -> None:
    (run,) = record(store, source={"commit": SOURCE})
    path = wait(store, (OTHER, NEWER), (SOURCE, NEW))
    assert record_rewrites(store) == 1
    assert not path.exists()
    (found,) = recorded(store)
    assert [(pair.old, pair.new) for pair in found.commits] == [(SOURCE, NEW)]
    assert found.writer is not None
    assert found.writer.sequence == 2
    assert run in store.repository.git.run("log", "--format=%B", entries(store)[0]).decode()
    message = store.repository.git.run("log", "-1", "--format=%B", entries(store)[-1]).decode()
    assert message == f"1 commit rewritten: amend\n\nProv-Rewritten: {SOURCE} {NEW}\n\n"
    assert good(store)


def test_nothing_that_concerns_runs(store: Store) -> None:
    record(store, source={"commit": SOURCE})
    before = entries(store)
    path = wait(store, (OTHER, NEW))
    assert record_rewrites(store) == 0
    assert not path.exists()
    assert entries(store) == before


def test_nothing_waits(store: Store) -> None:
    assert record_rewrites(store) == 0
    assert not entries(store)


def test_one_after_the_other(store: Store) -> None:
    record(store, source={"commit": SOURCE})
    for number, pair in enumerate(((SOURCE, NEW), (NEW, NEWER), (NEWER, SOURCE))):
        wait(store, pair, how="rebase" if number else "amend")
    assert record_rewrites(store) == 3
    assert commits(store) == [
        ("amend", [(SOURCE, NEW)]), ("rebase", [(NEW, NEWER)]), ("rebase", [(NEWER, SOURCE)]),
    ]  # fmt: skip
    assert [found.writer.sequence for found in recorded(store) if found.writer] == [2, 3, 4]
    assert good(store)


def test_once_only(store: Store) -> None:
    """As after a process that was killed before it could remove the file."""
    record(store, source={"commit": SOURCE})
    for _ in range(2):
        wait(store, (SOURCE, NEW))
        record_rewrites(store)
    assert commits(store) == [("amend", [(SOURCE, NEW)])]


def test_killed_before_the_file_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    record(store, source={"commit": SOURCE})
    path = wait(store, (SOURCE, NEW))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rewriting, "settle", killed)
    with pytest.raises(KeyboardInterrupt):
        record_rewrites(store)
    assert path.exists()
    monkeypatch.setattr(rewriting, "settle", settle)
    assert record_rewrites(store) == 0
    assert not path.exists()
    assert commits(store) == [("amend", [(SOURCE, NEW)])]
    assert good(store)


def test_of_a_run_that_the_ledger_does_not_have_yet(store: Store) -> None:
    """Under way, or waiting in the journal."""
    store.repository.require_writable()
    under_way = store.journal.create(new_id())
    under_way.begin({"manifest": manifest(under_way.id, source={"commit": SOURCE})})
    waiting = finish(store, source={"commit": OTHER})
    wait(store, (SOURCE, NEW), (OTHER, NEWER))
    assert record_rewrites(store) == 2
    assert drain(store).recorded == [waiting.id]
    assert [found.writer.sequence for found in recorded(store) if found.writer] == [1]
    assert good(store)


def test_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "_COMMITS_A_RECORD", 10)
    pairs = [(f"{number:040x}", f"{number:039x}f") for number in range(1, 26)]
    for old, _ in pairs:
        finish(store, source={"commit": old})
    drain(store)
    wait(store, *pairs, how="rebase")
    assert record_rewrites(store) == 25
    assert [len(found.commits) for found in recorded(store)] == [10, 10, 5]
    assert good(store)


def test_any_command_takes_it_in(store: Store) -> None:
    record(store, source={"commit": SOURCE})
    wait(store, (SOURCE, NEW))
    assert catch_up(store).problems == []
    assert commits(store) == [("amend", [(SOURCE, NEW)])]


class TestMap:
    def test_given_by_hand(self, store: Store) -> None:
        record(store, source={"commit": SOURCE})
        given = replacements((NEW, NEWER), (SOURCE, NEW), (OTHER, None), (SOURCE, NEW))
        assert record_map(store, given) == 2
        assert commits(store) == [("map", [(NEW, NEWER), (SOURCE, NEW)])]
        assert record_map(store, given) == 0
        assert good(store)

    def test_dropped(self, store: Store) -> None:
        record(store, source={"commit": SOURCE})
        assert record_map(store, replacements((SOURCE, None))) == 1
        assert commits(store) == [("map", [(SOURCE, None)])]
        message = store.repository.git.run("log", "-1", "--format=%B", entries(store)[-1])
        assert f"Prov-Rewritten: {SOURCE} dropped".encode() in message
        assert good(store)
